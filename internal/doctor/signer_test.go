package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestSignersFiles: what the signer keeps and serve does not start with, fsck and doctor
// name.
func TestSignersFiles(t *testing.T) {
	passphrase := elsewhere(t)
	for _, name := range []string{"state.json", "roster.json", "signed.sealed"} {
		t.Run(name, func(t *testing.T) {
			folder := changed(t, passphrase)
			dir := filepath.Join(folder.Dir, config.SignerName)
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte(`{"state":{},"mac":"AAAA"}`), 0o600)); err != nil {
				t.Fatal(err)
			}
			found, err := Fsck(t.Context(), folder)
			if said := strings.Join(found.Problems, "\n"); err != nil || !strings.Contains(said, name) {
				t.Errorf("fsck: %v, %q", err, said)
			}
			if !slices.ContainsFunc(Examine(t.Context(), folder, time.Now), func(f Finding) bool { return f.State == Fault && strings.Contains(f.Found, name) }) {
				t.Error("doctor does not say it")
			}
		})
	}
}
