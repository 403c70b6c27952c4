package card

import (
	"crypto/ed25519"
	"slices"
	"testing"
)

// TestKept: a card's code is known again without the card; nothing else is, and
// every question takes one Argon2id, also one about nothing. What it signs for its code
// verifies with the card's key.
func TestKept(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	good, other := code(t, "0123456789"), code(t, "0123456780")
	s, err := Seal(someone(), e.seal, good, testKID, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Salt, salt(s.Card.enc())) {
		t.Error("the salt is not that of the card")
	}
	kept := Kept{Salt: s.Salt, NetKey: e.seal.NetKey, OpenKey: s.OpenKey}
	second, err := Seal(someone(), e.seal, good, testKID, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The key that a service without salt and netKey would come to.
	stretched := stretchSalted(code(t, "0000000000"), make([]byte, saltSize))
	m, err := newMaster(stretched, make([]byte, keySize))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := m.derive(useOpen)
	if err != nil {
		t.Fatal(err)
	}
	nobodys := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	for _, c := range []struct {
		name string
		edit func(*Kept)
		code Code
		want bool
	}{
		{"its code", func(*Kept) {}, good, true},
		{"another code", func(*Kept) {}, other, false},
		{"no code", func(*Kept) {}, Code{}, false},
		{"another card's salt", func(k *Kept) { k.Salt = second.Salt }, good, false},
		{"another card's key", func(k *Kept) { k.OpenKey = second.OpenKey }, good, false},
		{"another epoch", func(k *Kept) { k.NetKey = newEpoch(t, 2).seal.NetKey }, good, false},
		{"no salt", func(k *Kept) { k.Salt = nil }, good, false},
		{"a short salt", func(k *Kept) { k.Salt = k.Salt[1:] }, good, false},
		{"no net key", func(k *Kept) { k.NetKey = nil }, good, false},
		{"a net key of zeros", func(k *Kept) { k.NetKey = make([]byte, 32) }, good, false},
		{"no open key", func(k *Kept) { k.OpenKey = nil }, good, false},
		{"nothing", func(k *Kept) { *k = Kept{} }, good, false},
		{"nothing at all", func(k *Kept) { *k = Kept{} }, Code{}, false},
		{"the key of nothing", func(k *Kept) { *k = Kept{OpenKey: nobodys} }, code(t, "0000000000"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := kept
			c.edit(&k)
			message := []byte("safeconduct/test/1")
			var signature []byte
			var got bool
			if n := countArgon2id(t, func() { signature, got = k.Sign(c.code, message) }); n != 1 {
				t.Errorf("%d stretches, want 1", n)
			}
			if got != c.want || c.want != (len(signature) > 0) || got && !ed25519.Verify(k.OpenKey, message, signature) {
				t.Errorf("known is %v with %d bytes of a signature, want %v", got, len(signature), c.want)
			}
			if signature, got = k.Sign(c.code, nil); got != c.want || signature != nil {
				t.Errorf("of no message: known is %v with %d bytes of a signature, want %v and none", got, len(signature), c.want)
			}
		})
	}
}
