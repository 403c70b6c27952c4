package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
)

// TestFsckLostEntries is of hostile case 95: of what was published and is gone it is said how much.
func TestFsckLostEntries(t *testing.T) {
	passphrase := elsewhere(t)
	for _, c := range []struct{ name, statement, want string }{
		{"nothing", "SELECT 1", ""},
		{"one", "DELETE FROM leaves WHERE name = (SELECT MIN(name) FROM leaves WHERE place IS NOT NULL)", "1 published leaves have no entry"},
		{"the newest window", "UPDATE log_size SET numbered = numbered - 256", "256 published leaves have no entry"},
		{"all", "DELETE FROM leaves", "published leaves have no entry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := atRest(t, passphrase, config.Engines{})
			sqlitetest.Administer(t, filepath.Join(dir, config.DatabaseName), c.statement)
			found, err := Fsck(t.Context(), config.Folder{Dir: dir, PassphraseFile: passphrase})
			if err != nil {
				t.Fatal(err)
			}
			said := slices.ContainsFunc(found.Problems, func(p string) bool { return c.want != "" && strings.HasSuffix(p, c.want) })
			if said != (c.want != "") || found.Leaves < 3 || c.want == "" && len(found.Problems) > 0 {
				t.Errorf("%d leaves, problems %q, want %q", found.Leaves, found.Problems, c.want)
			}
		})
	}
}

// TestPutBack: a folder that was put back to an older copy is whole in itself, and
// both say that it is not the newest.
func TestPutBack(t *testing.T) {
	passphrase := elsewhere(t)
	dir := atRest(t, passphrase, config.Engines{})
	older := filepath.Join(t.TempDir(), "older")
	if err := errors.Join(os.CopyFS(older, os.DirFS(dir)), os.Chmod(older, 0o700), os.Chmod(filepath.Join(older, config.KeysName), 0o600)); err != nil {
		t.Fatal(err)
	}
	cfg, err := service.ConfigFor(config.Folder{Dir: dir, PassphraseFile: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Board.Publish(t.Context(), audit.Actor{ID: "test"}, false)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir  string
		well bool
	}{{dir, true}, {older, false}} {
		folder := config.Folder{Dir: c.dir, PassphraseFile: passphrase}
		found, err := Fsck(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		if well := len(found.Problems) == 0; well != c.well {
			t.Errorf("fsck: problems %q, want none: %v", found.Problems, c.well)
		}
		if !c.well && !strings.Contains(strings.Join(found.Problems, "\n"), "When the log has stopped") {
			t.Errorf("fsck does not say what to do: %q", found.Problems)
		}
		fault := slices.ContainsFunc(Examine(t.Context(), folder, nil), func(f Finding) bool { return f.Check == "log" && f.State == Fault })
		if fault == c.well {
			t.Errorf("doctor finds a fault of the log: %v, want %v", fault, !c.well)
		}
	}
}
