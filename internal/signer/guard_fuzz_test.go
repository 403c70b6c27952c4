package signer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
)

// FuzzGuard: whatever is to be signed, reading it ends, and what is refused leaves
// nothing behind.
func FuzzGuard(f *testing.F) {
	file, err := keyfile.Create(f.Context(), keyfile.Config{Path: filepath.Join(f.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "safeconduct/x")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := file.NewAgency(f.Context(), "aa01"); err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	g, err := signer.NewGuard(f.Context(), signer.GuardConfig{Keys: file, Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	uses := []keystore.Use{keystore.Root, keystore.Status, keystore.Pack, keystore.Agency("aa01"), keystore.Trust}
	kids := make([]string, len(uses))
	for i, use := range uses {
		p, err := file.Public(f.Context(), use)
		if err != nil {
			f.Fatal(err)
		}
		kids[i] = p.KeyID
	}
	f.Add(uint8(0), []byte("eyJhbGciOiJFUzI1NiIsInR5cCI6InNhZmVjb25kdWN0LXRydXN0LWtleStqd3QiLCJraWQiOiIwMCJ9.e30"), []byte{})
	f.Add(uint8(4), []byte("eyJhbGciOiJFUzI1NiIsInR5cCI6InNhZmVjb25kdWN0LXRydXN0K2p3dCIsImtpZCI6IjAwIn0.e30"), []byte{})
	f.Add(uint8(1), []byte("eyJhbGciOiJFUzI1NiIsInR5cCI6InN0YXR1c2xpc3Qrand0Iiwia2lkIjoiMDAifQ.e30"), []byte{})
	f.Add(uint8(3), []byte("eyJhbGciOiJFUzI1NiIsInR5cCI6ImRjK3NkLWp3dCIsImtpZCI6IjAwIn0.eyJfc2QiOltdfQ"), []byte("WyJhIiwiYiIsImMiXQ"))
	f.Add(uint8(3), []byte("\x84\x6aSignature1\x40\x40\x40"), []byte{})
	f.Fuzz(func(t *testing.T, use uint8, message, shown []byte) {
		i := int(use) % len(uses)
		before, _ := os.ReadFile(filepath.Join(dir, signer.StateName)) // may not be there yet
		m := keystore.Message{Bytes: message}
		if len(shown) > 0 {
			m.Shown = [][]byte{shown}
		}
		_, err := g.Sign(t.Context(), uses[i], kids[i], []keystore.Message{m})
		after, _ := os.ReadFile(filepath.Join(dir, signer.StateName))
		if err != nil && !bytes.Equal(before, after) {
			t.Fatal("refused, and the state has changed")
		}
	})
}
