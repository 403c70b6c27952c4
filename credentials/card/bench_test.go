package card

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"golang.org/x/crypto/argon2"
)

// BenchmarkOpenStretched opens and verifies a card, without the stretch. Its
// goal is a ratio to BenchmarkRawVerify in the same run: 1.7 or less.
func BenchmarkOpenStretched(b *testing.B) {
	e, key := newEpoch(b, 1), newSigner(b)
	s, stretched := quickSeal(b, encoded(b, someone()), e.seal, key)
	keys, err := e.open.Prepare() // once per device and epoch
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s.Card.openable(keys) != nil {
			b.Fatal("not openable")
		}
		o, err := open(s.Card, keys, stretched)
		if err != nil || !o.Verify(&key.PublicKey) {
			b.Fatal("does not open")
		}
	}
}

// BenchmarkSealStretched makes a card, without the stretch: validate, encode,
// encapsulate, sign, check the signature, encrypt.
func BenchmarkSealStretched(b *testing.B) {
	e, key := newEpoch(b, 1), newSigner(b)
	claims, stretched := someone(), make([]byte, stretchSize)
	for b.Loop() {
		if len(claims.Validate()) > 0 {
			b.Fatal("claims are refused")
		}
		_, data, err := fit(claims)
		if err != nil {
			b.Fatal(err)
		}
		enc, err := encapsulate(e.seal.Public, rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := seal(data, e.seal, enc, stretched, testKID, key); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStretch is the Argon2id of one attempt.
func BenchmarkStretch(b *testing.B) {
	remembering := argon2id
	argon2id = argon2.IDKey
	defer func() { argon2id = remembering }()
	c := Code{}
	for b.Loop() {
		stretch(c, make([]byte, encSize))
	}
}

// BenchmarkMatch recognises a card among eight epochs.
func BenchmarkMatch(b *testing.B) {
	e := newEpoch(b, 1)
	s, _ := quickSeal(b, encoded(b, someone()), e.seal, newSigner(b))
	keys := make([]TagKey, 8)
	for i := range keys {
		keys[i] = TagKey{uint32(i), e.seal.TagKey}
	}
	for b.Loop() {
		if _, ok := s.Card.Match(keys); !ok {
			b.Fatal("no match")
		}
	}
}

// BenchmarkRawVerify is one P-256 verification.
func BenchmarkRawVerify(b *testing.B) {
	key := newSigner(b)
	digest := sha256.Sum256([]byte("raw"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("does not verify")
		}
	}
}

// BenchmarkRawSign is one P-256 signature.
func BenchmarkRawSign(b *testing.B) {
	key := newSigner(b)
	digest := sha256.Sum256([]byte("raw"))
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}
