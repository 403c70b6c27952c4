package card

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// epoch is one epoch's keys, all three sides of them.
type epoch struct {
	seal SealKeys
	open OpenKeys
}

func newEpoch(t testing.TB, id uint32) epoch {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tag, net := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(tag)
	_, _ = rand.Read(net)
	return epoch{
		SealKeys{id, tag, net, k.PublicKey().Bytes()},
		OpenKeys{Epoch: id, TagKey: tag, NetKey: net, Private: k.Bytes()},
	}
}

func newSigner(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func code(t testing.TB, s string) Code {
	t.Helper()
	c, err := ParseCode(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var day = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// someone is a made-up person with every field a normal card may have.
func someone() Claims {
	return Claims{
		IssuedAt: day, Expires: day.AddDate(0, 0, 180),
		Name: private.New("TESFAYE, FELIX ABEBE"), BirthDate: private.New("19950314"),
		Nationality: private.New("ETH"), Sex: 1,
		Handle: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, List: 3, Index: 917302,
		Status: 1, DecisionLevel: 2, Portrait: bytes.Repeat([]byte{0xab}, 16),
		MissionMayBeContacted: true,
	}
}

var testKID = [8]byte{0x24, 0x11, 0x81, 0x0b, 0x28, 0xa2, 0xbb, 0xa3}

// quickSeal seals without the stretch; what comes back with it stands for the
// stretched code.
func quickSeal(t testing.TB, data []byte, keys SealKeys, key crypto.Signer) (Sealed, []byte) {
	t.Helper()
	e, err := encapsulate(keys.Public, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stretched := bytes.Repeat([]byte{7}, stretchSize)
	s, err := seal(data, keys, e, stretched, testKID, key)
	if err != nil {
		t.Fatal(err)
	}
	return s, stretched
}

func encoded(t testing.TB, c Claims) []byte {
	t.Helper()
	b, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealAndOpen(t *testing.T) {
	e, key := newEpoch(t, 202611), newSigner(t)
	blank := Claims{IssuedAt: day, Expires: day.AddDate(0, 0, 1), Handle: [8]byte{9}, Blank: true}
	lost := Claims{IssuedAt: day, Expires: day.AddDate(0, 0, 1), Handle: [8]byte{9}, Name: private.New("JOHNSON, AMARA")}
	for name, claims := range map[string]Claims{"full": someone(), "blank": blank, "lost document": lost} {
		t.Run(name, func(t *testing.T) {
			s, err := Seal(claims, e.seal, code(t, "4821773056"), testKID, key, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(s.Card.Digits())
			if err != nil || c != s.Card {
				t.Fatalf("the card does not come back from its digits: %v", err)
			}
			o, err := Open(c, e.open, code(t, "4821 773-056"))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(o.Claims(), claims) || !reflect.DeepEqual(s.Claims, claims) || s.Shortened {
				t.Error("claims differ")
			}
			if o.KeyID() != testKID {
				t.Errorf("got key id %x", o.KeyID())
			}
			if !o.Verify(&key.PublicKey) || o.Verify(&newSigner(t).PublicKey) {
				t.Error("Verify is wrong about who signed")
			}
			msg := []byte("nonce")
			if !ed25519.Verify(s.OpenKey, msg, ed25519.Sign(o.OpenKey(), msg)) {
				t.Error("the open keys are no pair")
			}
		})
	}
}

// TestPrepare: prepared keys open what the others open, and unusable ones are
// refused.
func TestPrepare(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	s, stretched := quickSeal(t, encoded(t, someone()), e.seal, key)
	prepared, err := e.open.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]OpenKeys{"prepared": prepared, "plain": e.open} {
		o, err := open(s.Card, keys, stretched)
		if err != nil || !o.Verify(&key.PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*OpenKeys){
		"zero tagKey":       func(k *OpenKeys) { k.TagKey = make([]byte, 32) },
		"short netKey":      func(k *OpenKeys) { k.NetKey = k.NetKey[1:] },
		"long private key":  func(k *OpenKeys) { k.Private = append(k.Private[:32:32], 0) },
		"wiped private key": func(k *OpenKeys) { k.Private = make([]byte, 32) },
	} {
		k := prepared
		edit(&k)
		if _, err := k.Prepare(); !errors.Is(err, ErrKeys) {
			t.Errorf("%s: prepared with %v", name, err)
		}
		if err := s.Card.openable(k); !errors.Is(err, ErrKeys) {
			t.Errorf("%s: openable with %v", name, err)
		}
	}
}

func TestVerifyRefusesOtherKeys(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	s, stretched := quickSeal(t, encoded(t, someone()), e.seal, key)
	o, err := open(s.Card, e.open, stretched)
	if err != nil {
		t.Fatal(err)
	}
	if !o.Verify(&key.PublicKey) {
		t.Fatal("the right key does not verify")
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*ecdsa.PublicKey{"nil": nil, "zero": {}, "P-384": &p384.PublicKey} {
		if o.Verify(k) {
			t.Errorf("%s verifies", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := Card{1}.Digits()
	if len(good) != Digits {
		t.Fatalf("got %d digits", len(good))
	}
	largest := strings.Repeat("79228162514264337593543950335", Size/blockBytes) // 2^96-1 in every block
	if c, err := Parse(largest); err != nil || c.Digits() != largest {
		t.Errorf("the largest blocks are refused: %v", err)
	}
	for name, s := range map[string]string{
		"empty":           "",
		"one short":       good[1:],
		"one more":        good + "0",
		"space":           good[:666] + " ",
		"line end":        good[:666] + "\n",
		"trimmed":         " " + good[:665] + " ",
		"sign":            "+" + good[1:],
		"minus":           good[:29] + "-" + good[30:],
		"underscore":      "0_0" + good[3:],
		"Arabic digit":    good[:665] + "٣",
		"block of 2^96":   "79228162514264337593543950336" + good[29:],
		"last block 2^96": good[:22*29] + "79228162514264337593543950336",
		"block of 9s":     strings.Repeat("9", 29) + good[29:],
		"web address":     "https://example.org/" + good[:647],
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(s); !errors.Is(err, ErrNotOurs) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	a, b := newEpoch(t, 1), newEpoch(t, 2)
	s, _ := quickSeal(t, encoded(t, someone()), a.seal, newSigner(t))
	ka, kb := TagKey{1, a.seal.TagKey}, TagKey{2, b.seal.TagKey}
	for _, c := range []struct {
		name string
		keys []TagKey
		i    int
		ok   bool
	}{
		{"none", nil, 0, false},
		{"another", []TagKey{kb}, 0, false},
		{"first", []TagKey{ka, kb}, 0, true},
		{"last", []TagKey{kb, kb, ka}, 2, true},
		{"twice: the first counts", []TagKey{kb, ka, ka}, 1, true},
		{"short key", []TagKey{{1, a.seal.TagKey[:31]}}, 0, false},
		{"no key", []TagKey{{1, nil}}, 0, false},
	} {
		if i, ok := s.Card.Match(c.keys); i != c.i || ok != c.ok {
			t.Errorf("%s: got %d, %t, want %d, %t", c.name, i, ok, c.i, c.ok)
		}
	}

	// A card that was tagged with the zero key is nobody's.
	zero := s.Card
	tag := tagOf(make([]byte, 32), zero.enc(), zero.ciphertext())
	copy(zero[:], tag[:])
	if _, ok := zero.Match([]TagKey{{1, make([]byte, 32)}}); ok {
		t.Error("the zero key matches")
	}
}

// TestEveryFlippedBit: no card that differs in one bit is recognised.
func TestEveryFlippedBit(t *testing.T) {
	e := newEpoch(t, 1)
	s, _ := quickSeal(t, encoded(t, someone()), e.seal, newSigner(t))
	keys := []TagKey{{1, e.seal.TagKey}}
	if _, ok := s.Card.Match(keys); !ok {
		t.Fatal("the card itself does not match")
	}
	n := 0
	for bit := range Size * 8 {
		c := s.Card
		c[bit/8] ^= 1 << (bit % 8)
		if _, ok := c.Match(keys); ok {
			t.Errorf("bit %d flipped: still a match", bit)
		}
		n++
	}
	if n != 276*8 {
		t.Errorf("flipped %d bits", n)
	}
}

// TestFlippedBitsUnderTheTag: somebody with the tag key makes the tag fit again;
// then the AEAD refuses.
func TestFlippedBitsUnderTheTag(t *testing.T) {
	e := newEpoch(t, 1)
	s, stretched := quickSeal(t, encoded(t, someone()), e.seal, newSigner(t))
	for bit := tagSize * 8; bit < Size*8; bit += 7 {
		c := s.Card
		c[bit/8] ^= 1 << (bit % 8)
		tag := tagOf(e.seal.TagKey, c.enc(), c.ciphertext())
		copy(c[:], tag[:])
		if _, err := open(c, e.open, stretched); !errors.Is(err, ErrWrongCode) {
			t.Errorf("bit %d: got %v", bit, err)
		}
	}
}

// countArgon2id counts the stretches in f.
func countArgon2id(t *testing.T, f func()) int {
	t.Helper()
	n, argon := 0, argon2id
	argon2id = func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
		n++
		if time != 3 || memory != 64*1024 || threads != 1 || keyLen != 32 || len(salt) != 16 || len(password) != 10 {
			t.Errorf("Argon2id with t=%d m=%d p=%d out=%d", time, memory, threads, keyLen)
		}
		return argon(password, salt, time, memory, threads, keyLen)
	}
	defer func() { argon2id = argon }()
	f()
	return n
}

func TestOneArgon2idPerAttempt(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	good, other := code(t, "0123456789"), code(t, "0123456780")
	var s Sealed
	var err error
	if n := countArgon2id(t, func() { s, err = Seal(someone(), e.seal, good, testKID, key, nil) }); n != 1 || err != nil {
		t.Fatalf("sealing: %d stretches, %v", n, err)
	}
	lowOrder := s.Card
	clear(lowOrder[tagSize : tagSize+encSize])
	tag := tagOf(e.seal.TagKey, lowOrder.enc(), lowOrder.ciphertext())
	copy(lowOrder[:], tag[:])

	otherEpoch, zero := newEpoch(t, 1).open, e.open
	zero.NetKey = make([]byte, 32)
	short := e.open
	short.Private = short.Private[1:]
	wrongID := e.open
	wrongID.Epoch++

	for _, c := range []struct {
		name string
		card Card
		keys OpenKeys
		code Code
		err  error
		n    int
	}{
		{"right code", s.Card, e.open, good, nil, 1},
		{"wrong code", s.Card, e.open, other, ErrWrongCode, 1},
		{"low-order enc", lowOrder, e.open, good, ErrWrongCode, 1},
		{"epoch under another id", s.Card, wrongID, good, ErrWrongCode, 1},
		{"no code", s.Card, e.open, Code{}, ErrCode, 0},
		{"another epoch", s.Card, otherEpoch, good, ErrNotOurs, 0},
		{"zero netKey", s.Card, zero, good, ErrKeys, 0},
		{"short private key", s.Card, short, good, ErrKeys, 0},
	} {
		n := countArgon2id(t, func() { _, err = Open(c.card, c.keys, c.code) })
		if !errors.Is(err, c.err) || n != c.n {
			t.Errorf("%s: got %v after %d stretches, want %v after %d", c.name, err, n, c.err, c.n)
		}
	}
	if n := countArgon2id(t, func() { _, err = ParseCode("482177305") }); n != 0 || !errors.Is(err, ErrCode) {
		t.Errorf("a short code: %d stretches, %v", n, err)
	}
}

func TestSealRefuses(t *testing.T) {
	e, key, good := newEpoch(t, 1), newSigner(t), code(t, "0123456789")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := func(edit func(*SealKeys)) SealKeys { k := e.seal; edit(&k); return k }
	badClaims := someone()
	badClaims.Index = 1 << 20
	wide := someone()
	wide.Name = private.New("A" + strings.Repeat("\u0301", 60)) // one letter with sixty accents cannot be cut
	wide.NamesShortened = true
	broken := errors.New("no entropy")
	for _, c := range []struct {
		name   string
		claims Claims
		keys   SealKeys
		code   Code
		key    crypto.Signer
		random io.Reader
		err    error
	}{
		{"no code", someone(), e.seal, Code{}, key, nil, ErrCode},
		{"zero tagKey", someone(), zeroed(func(k *SealKeys) { k.TagKey = make([]byte, 32) }), good, key, nil, ErrKeys},
		{"long netKey", someone(), zeroed(func(k *SealKeys) { k.NetKey = make([]byte, 33) }), good, key, nil, ErrKeys},
		{"zero public key", someone(), zeroed(func(k *SealKeys) { k.Public = make([]byte, 32) }), good, key, nil, ErrKeys},
		{"low-order public key", someone(), zeroed(func(k *SealKeys) { k.Public = append([]byte{1}, make([]byte, 31)...) }), good, key, nil, ErrKeys},
		{"claims", badClaims, e.seal, good, key, nil, new(InvalidError)},
		{"too long", wide, e.seal, good, key, nil, ErrTooLong},
		{"P-384", someone(), e.seal, good, p384, nil, ErrSigner},
		{"signs with another key", someone(), e.seal, good, impostor{key, newSigner(t)}, nil, ErrSigner},
		{"signs r‖s", someone(), e.seal, good, rawSigner{key}, nil, ErrSigner},
		{"reader fails", someone(), e.seal, good, key, iotest.ErrReader(broken), broken},
		{"reader ends", someone(), e.seal, good, key, bytes.NewReader(make([]byte, 31)), io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Seal(c.claims, c.keys, c.code, testKID, c.key, c.random)
			if errors.As(c.err, new(*InvalidError)) {
				if !errors.As(err, new(*InvalidError)) {
					t.Errorf("got %v", err)
				}
			} else if !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if s.Card != (Card{}) {
				t.Error("a card came back with the error")
			}
		})
	}
}

// impostor names one key and signs with another.
type impostor struct {
	crypto.Signer
	other crypto.Signer
}

func (i impostor) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return i.other.Sign(random, digest, opts)
}

// rawSigner breaks the promise of a crypto.Signer and answers in r ‖ s.
type rawSigner struct{ *ecdsa.PrivateKey }

func (s rawSigner) Sign(random io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	r, t, err := ecdsa.Sign(random, s.PrivateKey, digest)
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), t.FillBytes(make([]byte, 32))...), nil
}

// TestSealIsFresh: two cards of the same claims share no byte run, and the same
// seed gives the same enc.
func TestSealIsFresh(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	a, err := Seal(someone(), e.seal, code(t, "0123456789"), testKID, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Seal(someone(), e.seal, code(t, "0123456789"), testKID, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.Card.enc(), b.Card.enc()) || bytes.Equal(a.OpenKey, b.OpenKey) {
		t.Error("two cards share enc or open key")
	}
	seed := bytes.Repeat([]byte{5}, 32)
	x, err := encapsulate(e.seal.Public, bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	y, err := encapsulate(e.seal.Public, bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x.enc, y.enc) {
		t.Error("one seed gives two enc")
	}
}

// TestMovedSignature: with the epoch keys a genuine COSE_Sign1 can be sealed
// again under another code, and then no key verifies it.
func TestMovedSignature(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	s, stretched := quickSeal(t, encoded(t, someone()), e.seal, key)
	o, err := open(s.Card, e.open, stretched)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := o.content.message.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	moved := sealPlain(t, e.seal, pad(signed), stretched)
	o, err = open(moved, e.open, stretched)
	if err != nil {
		t.Fatal(err)
	}
	if o.Verify(&key.PublicKey) {
		t.Error("a signature holds in another envelope")
	}
}

// sealPlain seals any plaintext, as somebody with the epoch keys could.
func sealPlain(t testing.TB, keys SealKeys, plain, stretched []byte) (c Card) {
	t.Helper()
	enc, err := encapsulate(keys.Public, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	master, err := newMaster(stretched, keys.NetKey)
	if err != nil {
		t.Fatal(err)
	}
	psk, err := master.derive(usePSK)
	if err != nil {
		t.Fatal(err)
	}
	sl, err := enc.sealer(hpkeInfo(keys.Epoch), psk, []byte(pskID))
	if err != nil {
		t.Fatal(err)
	}
	ct, err := sl.Seal(plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	tag := tagOf(keys.TagKey, enc.enc, ct)
	copy(c[:], tag[:])
	copy(c[tagSize:], enc.enc)
	copy(c[tagSize+encSize:], ct)
	return c
}

func TestContentThatOpensAndIsBroken(t *testing.T) {
	e := newEpoch(t, 1)
	stretched := bytes.Repeat([]byte{7}, stretchSize)
	for name, plain := range map[string][]byte{
		"zeros": make([]byte, plainSize), "ones": bytes.Repeat([]byte{1}, plainSize),
		"empty and padded": pad(nil),
	} {
		c := sealPlain(t, e.seal, plain, stretched)
		if _, err := open(c, e.open, stretched); !errors.Is(err, ErrContent) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestNothingPrints: keys, codes and claims stay out of text, also inside other
// structs.
func TestNothingPrints(t *testing.T) {
	e, c := newEpoch(t, 1), code(t, "4821773056")
	e.seal.NetKey, e.seal.TagKey = []byte("NETKEYNETKEYNETKEYNETKEYNETKEYNE"), []byte("TAGKEYTAGKEYTAGKEYTAGKEYTAGKEYTA")
	e.open.NetKey, e.open.TagKey = e.seal.NetKey, e.seal.TagKey
	s, stretched := quickSeal(t, encoded(t, someone()), e.seal, newSigner(t))
	o, err := open(s.Card, e.open, stretched)
	if err != nil {
		t.Fatal(err)
	}
	type outer struct {
		Code   Code
		Seal   SealKeys
		Open   OpenKeys
		Tag    TagKey
		Claims Claims
		Opened Opened
	}
	values := []any{c, &c, e.seal, e.open, TagKey{1, e.seal.TagKey}, someone(), o, *o,
		outer{c, e.seal, e.open, TagKey{1, e.seal.TagKey}, someone(), *o}}
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&log, verb, v)
		}
		l.Info("value", "v", v)
	}
	for _, secret := range []string{"4821773056", "34383231", "NETKEY", "TAGKEY", "4e45544b", "4E45544B", "78 69 84", "TESFAYE", "917302"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q was printed", secret)
		}
	}
	if !strings.Contains(log.String(), private.Masked) {
		t.Error("no mask was printed: the test prints nothing")
	}
	for _, v := range []any{c, someone(), outer{Code: c}} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("%T encodes as %q", v, b)
		}
	}
}
