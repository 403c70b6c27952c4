//go:build !js

package main_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"image/png"
	"os"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/picture/zxing"
	"github.com/safeconduct/safeconduct/verifier"
)

// It has a flag of its own, for its keys are fresh each time: `make golden` would
// change it whenever anything else changed.
//
//	go test ./cmd/verifier-wasm -run TestSample -args -sample
var update = flag.Bool("sample", false, "make the sample of the self-test anew")

// sampleFile is what the page's self-test reads: a made-up network whose only
// device is in the file, its pack, and one card for each answer. It is judged
// at a time of its own, so it never gets old.
const sampleFile = "../../web/src/check/sample.json"

type sample struct {
	Now    int64           `json:"now"`
	File   string          `json:"file"`
	Device json.RawMessage `json:"device"`
	Cards  []sampleCard    `json:"cards"`
}

type sampleCard struct {
	State string `json:"state"`
	// Code is the holder's, as it is typed; null when none is given.
	Code *string `json:"code"`
	// Modules is the symbol without its quiet zone, a bit for each module, row
	// by row, the highest bit first; it is what a camera is shown.
	Modules []byte `json:"modules"`
	Side    int    `json:"side"`
}

// TestSample: the verifier gives every sample card the state that the page's
// self-test expects of it.
func TestSample(t *testing.T) {
	if *update {
		b, err := json.Marshal(newSample(t))
		must(t, err)
		must(t, os.WriteFile(sampleFile, append(b, '\n'), 0o600))
	}
	var s sample
	b, err := os.ReadFile(sampleFile)
	must(t, err)
	must(t, json.Unmarshal(b, &s))
	device, err := verifier.ParseDevice(s.Device)
	must(t, err)
	now := time.Unix(s.Now, 0).UTC()
	pack, err := verifier.OpenPack([]byte(s.File), device, now)
	must(t, err)
	if !pack.Trust().Demo {
		t.Error("the sample network does not say that it is one")
	}
	reader, err := zxing.New(t.Context(), "")
	must(t, err)
	defer func() { must(t, reader.Close(t.Context())) }()
	states := map[string]bool{}
	for _, c := range s.Cards {
		v := pack.Verify(verifier.Presentation{Text: readSymbol(t, reader, c), Code: c.Code}, now)
		if string(v.State) != c.State {
			t.Errorf("got %s, want %s", v, c.State)
		}
		states[c.State] = true
	}
	if len(states) < 8 {
		t.Errorf("the sample shows %d states", len(states))
	}
	// Whoever has the file has its keys: they open nothing of any other network.
	if _, err := verifier.OpenPack([]byte(s.File), device, now.AddDate(0, 0, 8)); err == nil {
		t.Error("the sample pack has no end")
	}
}

// newSample makes keys, lists and cards, and forgets the keys that sign.
func newSample(t *testing.T) sample {
	t.Helper()
	now := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	root, status, packKey, agency, stranger := newKey(t), newKey(t), newKey(t), newKey(t), newKey(t)
	device, recipient, err := verifier.NewDevice("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", "self-test", jwk(t, &root.PublicKey))
	must(t, err)

	l := verifier.TrustList{
		Network: device.Network, Name: "Self-test", Demo: true, Sequence: 1,
		IssuedAt: now.Unix(), Expires: now.AddDate(0, 1, 0).Unix(), Desk: "+00 00 000 000",
		StatusLists: "https://self-test.example/status/", AnswersLists: "https://self-test.example/answers/",
		Keys: []verifier.NetworkKey{
			{Use: verifier.UseStatus, KeyID: signer(status).KeyID, JWK: jwk(t, &status.PublicKey)},
			{Use: verifier.UsePack, KeyID: signer(packKey).KeyID, JWK: jwk(t, &packKey.PublicKey)},
		},
		Agencies: []verifier.Agency{{
			ID: "self-test", Name: "Self-test", Class: "NGO", Country: "UTO", Issuer: "https://self-test.example", Desk: "+00 00 000 000",
			Keys: []verifier.AgencyKey{{KeyID: signer(agency).KeyID, JWK: jwk(t, &agency.PublicKey), From: now.AddDate(-1, 0, 0).Unix(), To: now.AddDate(1, 0, 0).Unix()}},
		}},
	}
	trust, err := l.Sign(signer(root))
	must(t, err)

	// One index for each answer of the two lists.
	const inUse, confirmed, paused, replaced, out = 10, 11, 12, 13, 14
	lists := map[string]map[int]uint8{
		l.StatusLists:  {paused: statuslist.Suspended, replaced: statuslist.Replaced, out: statuslist.Invalid},
		l.AnswersLists: {confirmed: 1},
	}
	s := verifier.PackStatement{Network: device.Network, Sequence: 1, IssuedAt: now.Unix(), TrustSHA256: verifier.TrustDigest(trust)}
	for prefix, to := range map[string]*[]verifier.ListToken{l.StatusLists: &s.Status, l.AnswersLists: &s.Answers} {
		list, err := statuslist.New(2, statuslist.Entries)
		must(t, err)
		for i, value := range lists[prefix] {
			must(t, list.Set(i, value))
		}
		token, err := statuslist.Token{Subject: prefix + "0", IssuedAt: now, Expires: now.AddDate(0, 0, 3), TTL: time.Hour, List: list}.
			Sign(signer(status).KeyID, status)
		must(t, err)
		*to = append(*to, verifier.ListToken{Number: 0, Token: token})
	}
	pack, err := s.Sign(signer(packKey))
	must(t, err)

	epoch, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(t, err)
	keys := card.SealKeys{Epoch: 1, TagKey: make([]byte, 32), NetKey: make([]byte, 32), Public: epoch.PublicKey().Bytes()}
	_, _ = rand.Read(keys.TagKey) // never fails: crypto/rand
	_, _ = rand.Read(keys.NetKey)
	envelope, err := verifier.Envelope{
		Network: device.Network, Device: device.ID, Sequence: 1, IssuedAt: now.Unix(), LeaseUntil: now.AddDate(0, 0, 7).Unix(),
	}.Seal(verifier.EpochKeys{Live: []verifier.Epoch{{ID: 1, TagKey: keys.TagKey, NetKey: keys.NetKey, Private: epoch.Bytes()}}}, recipient, signer(packKey))
	must(t, err)
	file, err := verifier.MarshalFile(verifier.File{Lists: verifier.Lists{TrustList: trust, Pack: pack}, Envelope: envelope})
	must(t, err)
	key, err := json.Marshal(device)
	must(t, err)
	made := sample{Now: now.Unix(), File: string(file), Device: key}

	right, wrong := "0123456789", "9876543210"
	code, err := card.ParseCode(right)
	must(t, err)
	day := now.Truncate(24 * time.Hour)
	add := func(state verifier.State, typed *string, kid, key *ecdsa.PrivateKey, index uint32, edit func(*card.Claims)) {
		claims := card.Claims{
			IssuedAt: day.AddDate(0, 0, -1), Expires: day.AddDate(0, 0, 30), Name: private.New("TEST, CARD"),
			BirthDate: private.New("1990"), Nationality: private.New("UTO"), Index: index,
		}
		_, _ = rand.Read(claims.Handle[:]) // never fails: crypto/rand
		edit(&claims)
		id, err := hex.DecodeString(signer(kid).KeyID)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := card.Seal(claims, keys, code, [8]byte(id), key, nil)
		must(t, err)
		made.Cards = append(made.Cards, drawSymbol(t, sealed.Card.Digits(), string(state), typed))
	}
	as := func(*card.Claims) {}
	add(verifier.Confirmed, &right, agency, agency, confirmed, as)
	add(verifier.Unconfirmed, &right, agency, agency, inUse, as)
	add(verifier.StatusOld, &right, agency, agency, inUse, func(c *card.Claims) { c.List = 7 })
	add(verifier.Expired, &right, agency, agency, inUse, func(c *card.Claims) { c.IssuedAt, c.Expires = day.AddDate(0, 0, -60), day.AddDate(0, 0, -1) })
	add(verifier.Paused, &right, agency, agency, paused, as)
	add(verifier.Replaced, &right, agency, agency, replaced, as)
	add(verifier.OutOfUse, &right, agency, agency, out, as)
	add(verifier.IssuerUnknown, &right, stranger, stranger, inUse, as)
	add(verifier.DoesNotMatch, &right, agency, stranger, inUse, as)
	add(verifier.WrongCode, &wrong, agency, agency, inUse, as)
	add(verifier.CodeNotGiven, nil, agency, agency, inUse, as)
	other := card.Card{}
	_, _ = rand.Read(other[:]) // never fails: crypto/rand
	made.Cards = append(made.Cards, drawSymbol(t, other.Digits(), string(verifier.NotOurs), &right))
	return made
}

// drawSymbol packs the modules of a card's symbol.
func drawSymbol(t *testing.T, digits, state string, code *string) sampleCard {
	t.Helper()
	s, err := symbol.New(digits)
	must(t, err)
	picture, err := png.Decode(bytes.NewReader(s.PNG(1)))
	must(t, err)
	quiet := (picture.Bounds().Dx() - symbol.Modules) / 2
	c := sampleCard{State: state, Code: code, Side: symbol.Modules, Modules: make([]byte, (symbol.Modules*symbol.Modules+7)/8)}
	for i := range c.Side * c.Side {
		if r, _, _, _ := picture.At(quiet+i%c.Side, quiet+i/c.Side).RGBA(); r < 0x8000 {
			c.Modules[i/8] |= 0x80 >> (i % 8)
		}
	}
	return c
}

// readSymbol reads it again, with a reader that nobody here wrote.
func readSymbol(t *testing.T, r *zxing.Reader, c sampleCard) string {
	t.Helper()
	const scale, margin = 4, 16
	side := c.Side*scale + 2*margin
	l := zxing.Luminance{Pix: bytes.Repeat([]byte{255}, side*side), Width: side, Height: side}
	for y := range c.Side * scale {
		for x := range c.Side * scale {
			if i := y/scale*c.Side + x/scale; c.Modules[i/8]&(0x80>>(i%8)) != 0 {
				l.Pix[(y+margin)*side+x+margin] = 0
			}
		}
	}
	texts, err := r.Read(t.Context(), l)
	must(t, err)
	if len(texts) != 1 {
		t.Fatalf("read %d symbols", len(texts))
	}
	return texts[0]
}
