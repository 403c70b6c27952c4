package token

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// FuzzHash: a token is taken in exactly one spelling, and only if its
// check holds.
func FuzzHash(f *testing.F) {
	good, _ := New(Bearer)
	invitation, _ := New(Invitation)
	for _, s := range []string{invitation, good, good[:20], good + "A", good + "=", "sc_", "", strings.Repeat("A", 51), "sc_" + strings.Repeat("A", 48)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := Hash(Invitation, s); ok {
			if _, ok := Hash(Bearer, s); ok {
				t.Error("one secret is a token and an invitation")
			}
		}
		hash, ok := Hash(Bearer, s)
		if !ok {
			if hash != [32]byte{} {
				t.Error("a refused token has a hash")
			}
			return
		}
		if hash != sha256.Sum256([]byte(s)) || len(s) != len(good) {
			t.Error("a token was taken in another form")
		}
		for _, other := range []string{s[:len(s)-1], s + "A", strings.ToLower(s), strings.ToUpper(s), s[3:]} {
			if _, ok := Hash(Bearer, other); ok && other != s {
				t.Error("a second spelling was taken")
			}
		}
	})
}

func TestNew(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token, hash := New(Bearer)
		got, ok := Hash(Bearer, token)
		if !ok || got != hash || seen[token] {
			t.Fatalf("token taken is %v, hash equal is %v, seen before is %v", ok, got == hash, seen[token])
		}
		seen[token] = true
	}
}
