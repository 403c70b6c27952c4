//go:build stretched

package threeways_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/cloudflare/circl/hpke"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// This file is a second sealer, written from docs/card.md alone. It seals what
// ours would not: what somebody could print who took the keys out of a device.

const label = "safeconduct/card/1"

var suite = hpke.NewSuite(hpke.KEM_X25519_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_ChaCha20Poly1305)

// psk is what an epoch and a code make of an enc: docs/card.md, Bytes.
func (w *world) psk(e epoch, enc []byte) []byte {
	w.t.Helper()
	var c card.Card
	copy(c[8:], enc)
	code, err := card.ParseCode(rightCode)
	must(w.t, err)
	slow, err := card.Stretch(c, code)
	must(w.t, err)
	psk, err := hkdf.Key(sha256.New, append(slow, e.open.NetKey...), nil, label+"/psk", 32)
	must(w.t, err)
	return psk
}

func info(e epoch) []byte { return binary.BigEndian.AppendUint32([]byte(label), e.open.ID) }

// plain opens a genuine card as far as its padded content.
func (w *world) plain(e epoch, digits string) []byte {
	w.t.Helper()
	c, err := card.Parse(digits)
	must(w.t, err)
	key, err := hpke.KEM_X25519_HKDF_SHA256.Scheme().UnmarshalBinaryPrivateKey(e.open.Private)
	must(w.t, err)
	receiver, err := suite.NewReceiver(key, info(e))
	must(w.t, err)
	opener, err := receiver.SetupPSK(c[8:40], w.psk(e, c[8:40]), []byte("safeconduct/code/1"))
	must(w.t, err)
	plain, err := opener.Open(c[40:], nil)
	must(w.t, err)
	return plain
}

// sealAnything seals a padded content of any kind.
func (w *world) sealAnything(e epoch, plain []byte) string {
	w.t.Helper()
	scheme := hpke.KEM_X25519_HKDF_SHA256.Scheme()
	public, err := scheme.UnmarshalBinaryPublicKey(e.seal.Public)
	must(w.t, err)
	seed := make([]byte, scheme.EncapsulationSeedSize())
	_, _ = rand.Read(seed)
	enc, _, err := scheme.EncapsulateDeterministically(public, seed)
	must(w.t, err)
	sender, err := suite.NewSender(public, info(e))
	must(w.t, err)
	_, sealer, err := sender.SetupPSK(bytes.NewReader(seed), w.psk(e, enc), []byte("safeconduct/code/1"))
	must(w.t, err)
	ciphertext, err := sealer.Seal(plain, nil)
	must(w.t, err)
	return tagged(e, append(enc, ciphertext...))
}

// tagged writes an epoch's tag before enc and ciphertext, as only a device of
// the network can.
func tagged(e epoch, sealed []byte) string {
	tag := hmac.New(sha256.New, e.open.TagKey)
	tag.Write([]byte(label))
	tag.Write(sealed)
	return card.Card(append(tag.Sum(nil)[:8], sealed...)).Digits()
}

// sealOddities makes cards that open with the right code and hold something
// else than their issuer signed for them.
func (w *world) sealOddities() {
	genuine := w.things[2]
	plain := w.plain(w.live, genuine.text)
	changed := func(old, now []byte) []byte {
		if bytes.Count(plain, old) != 1 {
			w.t.Fatal("making the cases: the content of a card is not as it was thought")
		}
		return bytes.Replace(plain, old, now, 1)
	}
	kid, err := hex.DecodeString(w.agencies[genuine.agency].kid)
	must(w.t, err)
	end := bytes.LastIndexByte(plain, 0x80)
	for _, odd := range []struct {
		name  string
		fate  fate
		plain []byte
	}{
		{"card whose content was moved to another envelope", moved, plain},
		{"card of another name", moved, changed([]byte("NUMBER"), []byte("NUMBEZ"))},
		{"card of zeros", wrongContent, make([]byte, 220)},
		{"card of nothing", wrongContent, append([]byte{0x80}, make([]byte, 219)...)},
		{"card of noise", wrongContent, bytes.Repeat([]byte{0xa5}, 220)},
		{"card without padding mark", wrongContent, append(bytes.Clone(plain[:end]), make([]byte, 220-end)...)},
		{"card with a byte too many", wrongContent, append(append(bytes.Clone(plain[:end]), 0, 0x80), make([]byte, 218-end)...)},
		{"card with markup in the name", wrongContent, changed([]byte("NUMBER"), []byte("<b>/b>"))},
		{"card of a key nobody has", unknownKey, changed(kid, make([]byte, 8))},
	} {
		w.things = append(w.things, &thing{
			name: odd.name, isCard: true, fate: odd.fate, text: w.sealAnything(w.live, odd.plain),
			agency: genuine.agency, list: genuine.list, index: genuine.index, from: genuine.from, to: genuine.to,
		})
	}
}
