package service

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keyfile"
)

// TestOriginNames: a checkpoint's first line chooses among the names of this
// network's log, and no others.
func TestOriginNames(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	vkeys, err := keys.LogKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vkey := vkeys[0]
	for line, renamed := range map[string]bool{
		"safeconduct/test": false, "safeconduct/test/0123abcd": true, "safeconduct/test/0123ABCD": false,
		"safeconduct/test/": false, "safeconduct/other/0123abcd": false, "safeconduct/test/0123abcd/0123abcd": false, "": false,
	} {
		got, err := KeyForCheckpoint(vkeys, []byte(line+"\n5\n"))
		if err != nil || (got != vkey) != renamed || renamed && !strings.HasPrefix(got, line+"+") {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

// testKeys is the key file of a log called safeconduct/test.
func testKeys(t *testing.T) *keyfile.File {
	t.Helper()
	keys, err := keyfile.Create(t.Context(), keyfile.Config{
		Path: filepath.Join(t.TempDir(), config.KeysName), Passphrase: "a passphrase for a test", WorkFactor: 1,
	}, "safeconduct/test")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
