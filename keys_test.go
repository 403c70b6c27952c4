package safeconduct_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// privateKeys are what makes, reads or is a private key.
var privateKeys = map[string][]string{
	"crypto/ecdsa":                {"PrivateKey", "GenerateKey", "ParseRawPrivateKey"},
	"crypto/ed25519":              {"PrivateKey", "GenerateKey", "NewKeyFromSeed"},
	"crypto/ecdh":                 {"PrivateKey", "X25519", "P256"},
	"crypto/rsa":                  {"PrivateKey", "GenerateKey"},
	"crypto/x509":                 {"ParsePKCS8PrivateKey", "ParseECPrivateKey", "ParsePKCS1PrivateKey", "MarshalPKCS8PrivateKey"},
	"crypto/tls":                  {"LoadX509KeyPair", "X509KeyPair"},
	"filippo.io/age":              {"GenerateX25519Identity", "GenerateHybridIdentity", "ParseX25519Identity"},
	"golang.org/x/mod/sumdb/note": {"NewSigner", "GenerateKey"},
}

// keepers are the rooms that may have one in their hands, and whose it is. The
// network's and the agencies' are internal/keyfile's alone; everybody else asks
// a keystore.Store, which may be another process.
var keepers = map[string]string{
	"internal/keyfile":          "the network's and the agencies', in one file",
	"internal/keystore":         "for a moment, one that a Store derives for one use",
	"credentials/card":          "the holder's, out of a card and its code",
	"credentials/jws":           "nobody's: it tells whether a signer is one, to check it less",
	"verifier":                  "a device's own, and the holder's",
	"network":                   "an epoch's, which the keystore wraps at once",
	"vault":                     "a record's, which the keystore opens",
	"internal/passkey/software": "of people who do not exist",
	"internal/backup":           "of whoever opens backups, made offline",
}

// TestPrivateKeys holds the rule that every use of a network's or an agency's
// private key goes through internal/keystore.
func TestPrivateKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range goFiles(t) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") || slices.Contains(testRooms, dir) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, used := range touched(f) {
			if keepers[dir] == "" {
				t.Errorf("%s uses %s: private keys are behind internal/keystore", name, used)
			}
			seen[dir] = true
		}
	}
	for dir := range keepers {
		if !seen[dir] {
			t.Errorf("%s touches no private key: it needs no row", dir)
		}
	}
}

// TestPrivateKeysRefuse keeps TestPrivateKeys honest.
func TestPrivateKeysRefuse(t *testing.T) {
	for src, want := range map[string]int{
		`package p; import "crypto/ecdsa"; var k *ecdsa.PrivateKey`:                         1,
		`package p; import e "crypto/ed25519"; var k = e.NewKeyFromSeed(nil)`:               1,
		`package p; import "golang.org/x/mod/sumdb/note"; var k, _ = note.NewSigner("")`:    1,
		`package p; import "crypto/ecdsa"; var k *ecdsa.PublicKey`:                          0,
		`package p; import "golang.org/x/mod/sumdb/note"; var k, _ = note.NewVerifier("")`:  0,
		`package p; type t struct{ PrivateKey int }; var ecdsa t; var k = ecdsa.PrivateKey`: 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := touched(f); len(got) != want {
			t.Errorf("%s: %q", src, got)
		}
	}
}

// touched lists what a file uses of privateKeys.
func touched(f *ast.File) (used []string) {
	names := map[string]string{} // as the file calls a package → its path
	for _, spec := range f.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		as := path.Base(p)
		if spec.Name != nil {
			as = spec.Name.Name
		}
		names[as] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && slices.Contains(privateKeys[names[x.Name]], s.Sel.Name) {
			used = append(used, x.Name+"."+s.Sel.Name)
		}
		return true
	})
	return used
}
