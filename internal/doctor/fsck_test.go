package doctor

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
)

// TestFsckLostEntries: of what was published and is gone it is said how much.
func TestFsckLostEntries(t *testing.T) {
	passphrase := elsewhere(t)
	for _, c := range []struct{ name, statement, want string }{
		{"nothing", "SELECT 1", ""},
		{"one", "DELETE FROM log_entries WHERE position = 1", "1 published leaves have no entry"},
		{"the newest", "DELETE FROM log_entries WHERE position > 0", "published leaves have no entry"},
		{"all", "DELETE FROM log_entries", "published leaves have no entry"},
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
