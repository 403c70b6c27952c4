// Package vectortest finds and reads the data made by others that tests hold
// our formats against. What a vector means, and what has to come out, is left
// to the tests of each room.
package vectortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Path returns a file or folder of vectors. SAFECONDUCT_VECTORS names the
// folder that holds them all; without it they lie beside the project. Where
// there are none the test is skipped, except in CI, where it ends.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("SAFECONDUCT_VECTORS")
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "vectors")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil { //nolint:gosec // whoever runs the tests names the folder
		if os.Getenv("CI") == "true" {
			t.Fatalf("vectors are missing: %v", err)
		}
		t.Skipf("no vectors (set SAFECONDUCT_VECTORS): %v", err)
	}
	return path
}

// root is the folder of the module that the test belongs to.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// ReadJSON reads a file into v, or ends the test.
func ReadJSON(t testing.TB, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
}

// Hex is a byte string that the files write in hex.
type Hex []byte

// UnmarshalText reads it.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Point is a P-256 public key, as a JWK has it.
type Point struct{ X, Y string }

// Key reads it.
func (p Point) Key(t testing.TB) *ecdsa.PublicKey {
	t.Helper()
	point := []byte{4} // uncompressed: SEC 1 §2.3.3
	for _, half := range []string{p.X, p.Y} {
		b, err := base64.RawURLEncoding.DecodeString(half)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Cards is the file of sealed cards.
type Cards struct {
	Now    int64 // Unix seconds
	Epochs []struct {
		ID                                    uint32
		NetKey, PrivateKey, PublicKey, TagKey Hex
	}
	EndedEpochs []struct {
		ID     uint32
		TagKey Hex
	}
	Issuers []struct {
		Kid Hex
		Point
	}
	Cards []Card
}

// Card is one sealed card, and what has to be read from it.
type Card struct {
	Name, Code, Digits, Expect string
	OpenKey                    Hex
	Claims                     map[string]any
}

// ReadCards reads the file of sealed cards.
func ReadCards(t testing.TB) Cards {
	t.Helper()
	var f Cards
	ReadJSON(t, Path(t, "card", "cards.json"), &f)
	if len(f.Cards) == 0 {
		t.Fatal("no cards in the file")
	}
	return f
}
