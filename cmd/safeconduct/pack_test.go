package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/verifier"
)

// TestImportLearns: of a pack that is refused the key file remembers what the root says in
// it, and numbers begin anew.
func TestImportLearns(t *testing.T) {
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(err)
	point, err := root.PublicKey.Bytes() // 4, x and y
	ok(err)
	encode := base64.RawURLEncoding.EncodeToString
	jwk := []byte(`{"kty":"EC","crv":"P-256","x":"` + encode(point[1:33]) + `","y":"` + encode(point[33:]) + `"}`)
	made := time.Now().Add(-time.Hour).Unix()
	statement, err := verifier.TrustKey{Network: "n", KeyID: "trust", JWK: jwk, IssuedAt: made, Expires: made + 86400}.Sign(verifier.Signer{KeyID: "root", Key: root})
	ok(err)
	device, _, err := verifier.NewDevice("n", "device-1", jwk)
	ok(err)
	device.Sequence, device.Seen, device.TrustKeyIssued = 1<<53, made-60, made-3600
	key, err := verifier.MarshalDevice(device)
	ok(err)
	file, err := verifier.MarshalFile(verifier.File{Lists: verifier.Lists{TrustKey: statement}})
	ok(err)
	dir := t.TempDir()
	keyPath, packPath, from := filepath.Join(dir, "pack.json.key"), filepath.Join(dir, "pack.json"), filepath.Join(dir, "stick.json")
	ok(os.WriteFile(keyPath, key, 0o600))
	ok(os.WriteFile(packPath, []byte("the pack of before"), 0o600))
	ok(os.WriteFile(from, file, 0o600))
	kept := func() verifier.Device {
		t.Helper()
		data, err := os.ReadFile(filepath.Clean(keyPath))
		ok(err)
		d, err := verifier.ParseDevice(data)
		ok(err)
		return d
	}

	runs(t, 1, "pack", "import", "--dir", dir, from)
	if d := kept(); d.TrustKeyIssued != made || d.Sequence != 0 || d.Seen != made || d.ID != device.ID {
		t.Errorf("kept %d, %d, %d", d.TrustKeyIssued, d.Sequence, d.Seen)
	}
	if data, err := os.ReadFile(filepath.Clean(packPath)); err != nil || string(data) != "the pack of before" {
		t.Errorf("the pack was replaced: %v", err)
	}
	// What nobody has signed teaches nothing.
	before := kept()
	ok(os.WriteFile(from, []byte(strings.Replace(string(file), statement, statement[:len(statement)-9]+"AAAAAAAAA", 1)), 0o600))
	runs(t, 1, "pack", "import", "--dir", dir, from)
	if d := kept(); d.TrustKeyIssued != before.TrustKeyIssued || d.Sequence != before.Sequence || d.Seen != before.Seen {
		t.Errorf("kept %d, %d, %d", d.TrustKeyIssued, d.Sequence, d.Seen)
	}
}
