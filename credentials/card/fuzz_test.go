package card

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzParse: digits that are read come back the same, and so does every card.
func FuzzParse(f *testing.F) {
	f.Add(Card{}.Digits())
	f.Add(Card{0xff, 1, 2}.Digits())
	f.Add(strings.Repeat("79228162514264337593543950335", 23))
	f.Add(strings.Repeat("79228162514264337593543950336", 23))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(s)
		switch {
		case err == nil && c.Digits() != s:
			t.Error("digits do not come back the same")
		case err != nil && !errors.Is(err, ErrNotOurs):
			t.Errorf("got %v", err)
		}
		// Any bytes are a card, and its digits are read again.
		var c2 Card
		copy(c2[:], s)
		if again, err := Parse(c2.Digits()); err != nil || again != c2 {
			t.Errorf("a card does not come back from its digits: %v", err)
		}
	})
}

// FuzzCode: what is accepted is ten ASCII digits, is accepted again as itself,
// and holds ten decimal digits and only what the format drops.
func FuzzCode(f *testing.F) {
	for _, s := range []string{"4821773056", "4821 773-056", "៤៨២១៧៧៣០៥៦", "482177305", "", "4821\u2212773056", "\u200f4821773056", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCode(s)
		if err != nil {
			if !errors.Is(err, ErrCode) || !c.IsZero() {
				t.Errorf("got %v with a code", err)
			}
			return
		}
		digits := c.Reveal()
		if len(digits) != 10 || !allDigits(digits) {
			t.Errorf("accepted as %d bytes", len(digits))
		}
		if again, err := ParseCode(digits); err != nil || again.Reveal() != digits {
			t.Error("the code is not read as itself")
		}
		n := 0
		for _, r := range s {
			if unicode.Is(unicode.Nd, r) {
				n++
			} else if !unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Pd) && r != '\t' && r != '\r' && r != '\n' {
				t.Errorf("U+%04X was dropped", r)
			}
		}
		if n != 10 || !utf8.ValidString(s) {
			t.Errorf("%d digits were read as ten", n)
		}
	})
}

// FuzzTranscribe: a name is transcribed once and for all, letters come through
// whole and in order, and a name with nothing unprintable in it can be printed or
// is not a name.
func FuzzTranscribe(f *testing.F) {
	for _, s := range []string{"MUTHU A/L SAMY", "O\u2019NEIL", ",SITI", "SITI  NUR,,", "\u202aA\u00ad\u2060", " ", "សុខ", "\xff", "`-,./"} {
		f.Add(s)
	}
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if !unicode.IsLetter(r) || unseen(r) {
				return -1
			}
			return r
		}, s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		printed := Transcribe(name)
		if again := Transcribe(printed); again != printed {
			t.Errorf("%+q, then %+q", printed, again)
		}
		if letters(printed) != letters(name) {
			t.Errorf("%+q has other letters than %+q", printed, name)
		}
		if place, _ := Unprintable(name); place == 0 && printed != "" && !validName(printed) {
			t.Errorf("%+q cannot be printed", printed)
		}
	})
}

// FuzzContent: plaintext that is read encodes again to the same bytes, from what
// was understood of it alone, and go-cose reads the COSE_Sign1 the same way.
func FuzzContent(f *testing.F) {
	f.Add(envelope(marshal(f, raw())))
	f.Add(marshal(f, raw()))
	f.Add(pad(envelope(marshal(f, raw()))))
	f.Add(pad(envelope(marshal(f, rawBlank()))))
	f.Add(make([]byte, plainSize))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) <= maxSigned {
			sameAsLibrary(t, plain)
		}
		if signed, ok := unpad(plain); ok {
			sameAsLibrary(t, signed)
		}
		c, ok := readContent(plain)
		// A fuzzer seldom keeps 220 bytes: short input is also read as a payload
		// within a good envelope.
		if !ok && len(plain) >= 24 && len(plain) <= maxPayload {
			plain = pad(envelope(plain))
			c, ok = readContent(plain)
		}
		if !ok {
			return
		}
		data, err := c.claims.encode()
		if err != nil {
			t.Fatal(err)
		}
		b := envelope(data)
		copy(b[7:], c.kid[:])
		copy(b[len(b)-signatureSize:], c.message.Signature)
		if !bytes.Equal(pad(b), plain) {
			t.Error("the content does not come back the same")
		}
	})
}

// FuzzOpen: a card of any bytes, tagged and, if asked, sealed by somebody with
// the epoch keys, never panics, gets the same verdict twice, and is never one
// that the agency signed.
func FuzzOpen(f *testing.F) {
	k, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	tag, net := bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)
	seal := SealKeys{1, tag, net, k.PublicKey().Bytes()}
	keys, err := OpenKeys{Epoch: 1, TagKey: tag, NetKey: net, Private: k.Bytes()}.Prepare()
	if err != nil {
		f.Fatal(err)
	}
	stretched := bytes.Repeat([]byte{4}, stretchSize)
	signer, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{5}, 32))
	if err != nil {
		f.Fatal(err)
	}
	genuine, _ := quickSeal(f, encoded(f, someone()), seal, signer)
	f.Add(false, genuine.Card[:])
	f.Add(true, envelope(marshal(f, raw())))
	f.Add(true, envelope(marshal(f, rawBlank())))
	f.Add(false, make([]byte, Size))
	f.Fuzz(func(t *testing.T, sealed bool, data []byte) {
		var c Card
		if sealed {
			c = sealPlain(t, seal, pad(data[:min(len(data), maxSigned)]), stretched)
		} else {
			copy(c[:], data)
			again := tagOf(tag, c.enc(), c.ciphertext())
			copy(c[:], again[:])
		}
		if i, ok := c.Match([]TagKey{{1, tag}}); i != 0 || !ok {
			t.Fatal("a tagged card is not recognised")
		}
		a, errA := open(c, keys, stretched)
		b, errB := open(c, keys, stretched)
		if !errors.Is(errA, errB) || (a == nil) != (b == nil) || (a == nil) == (errA == nil) {
			t.Fatalf("two verdicts: %v, %v", errA, errB)
		}
		if errA != nil && !errors.Is(errA, ErrWrongCode) && !errors.Is(errA, ErrContent) {
			t.Errorf("got %v", errA)
		}
		if sealed && errors.Is(errA, ErrWrongCode) {
			t.Error("a card sealed with the right keys does not open")
		}
		if a != nil && a.Verify(&signer.PublicKey) && !bytes.Equal(c[tagSize:], genuine.Card[tagSize:]) {
			t.Error("a card that the agency did not sign verifies")
		}
	})
}
