//go:build js || stretched

package card_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// TestOpenStretched: another Argon2id, with the parameters and the salt that
// this package names, opens what Open opens.
func TestOpenStretched(t *testing.T) {
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agency, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tag, net := []byte("a tag key of thirty-two bytes, 1"), []byte("a net key of thirty-two bytes, 2")
	code, err := card.ParseCode("4821773056")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	s, err := card.Seal(card.Claims{IssuedAt: day, Expires: day.AddDate(0, 0, 1), Name: private.New("SITI"), Handle: [8]byte{1}},
		card.SealKeys{Epoch: 1, TagKey: tag, NetKey: net, Public: x.PublicKey().Bytes()}, code, [8]byte{2}, agency, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := card.OpenKeys{Epoch: 1, TagKey: tag, NetKey: net, Private: x.Bytes()}
	stretched := argon2.IDKey([]byte(code.Reveal()), card.Salt(s.Card),
		card.StretchPasses, card.StretchKiB, card.StretchLanes, card.StretchSize)
	o, err := card.OpenStretched(s.Card, keys, stretched)
	if err != nil || !o.Verify(&agency.PublicKey) || o.Claims().Name.Reveal() != "SITI" {
		t.Fatalf("does not open: %v", err)
	}
	if own, err := card.Stretch(s.Card, code); err != nil || string(own) != string(stretched) {
		t.Errorf("Stretch gives something else: %v", err)
	}
	if _, err := card.OpenStretched(s.Card, keys, stretched[1:]); !errors.Is(err, card.ErrCode) {
		t.Errorf("31 bytes: got %v", err)
	}
	stretched[0] ^= 1
	if _, err := card.OpenStretched(s.Card, keys, stretched); !errors.Is(err, card.ErrWrongCode) {
		t.Errorf("another code: got %v", err)
	}
	if _, err := card.Stretch(s.Card, card.Code{}); !errors.Is(err, card.ErrCode) {
		t.Errorf("no code: got %v", err)
	}
}
