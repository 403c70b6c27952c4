package doctor

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/people/roster"
)

// changed is a network at rest whose roster has four changes, all of them published.
func changed(t *testing.T, passphrase string) config.Folder {
	t.Helper()
	folder := config.Folder{Dir: atRest(t, passphrase, config.Engines{}), PassphraseFile: passphrase}
	cfg, err := service.ConfigFor(folder)
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	state, err := s.People.State(t.Context())
	for range 3 {
		for id := range state.People {
			err = errors.Join(err, s.End(t.Context(), roster.DoSignOut, "", &roster.SignOut{ID: id}))
		}
	}
	_, published := s.Board.Publish(t.Context(), audit.Actor{ID: "test"}, false)
	if err := errors.Join(err, published, s.Close()); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestRosterHolds: of a roster that somebody has written into, and of a log that tells
// otherwise of it, fsck, doctor and log verify say so.
func TestRosterHolds(t *testing.T) {
	passphrase := elsewhere(t)
	for _, c := range []struct {
		name, statement string
		fsck, verify    string // what they say
		shut            bool   // whether the network does not open: doctor looks as it does
	}{
		{"nothing", "SELECT 1", "", "", false},
		{"the newest change removed", "DELETE FROM roster_changes WHERE seq = 4",
			"ends with change 3, and the log tells of change 4", "changes of the roster are gone that the log tells of: 4", true},
		{"the newest two removed", "DELETE FROM roster_changes WHERE seq > 2",
			"ends with change 2, and the log tells of change 4", "changes of the roster are gone that the log tells of: 3, 4", true},
		{"all removed", "DELETE FROM roster_changes",
			"ends with change 0, and the log tells of change 4", "changes of the roster are gone that the log tells of: 1, 2, 3, 4", true},
		{"one removed", "DELETE FROM roster_changes WHERE seq = 2", "cannot be replayed", "does not hold", true},
		{"one altered", `UPDATE roster_changes SET change = CAST(replace(CAST(change AS TEXT), '"seq":3', '"seq":4') AS BLOB) WHERE seq = 3`, "cannot be replayed", "does not hold", true},
		{"entries of the log removed", "DELETE FROM cells", "cannot be held against the log", "is not what was written here", true},
		{"entries of the log changed", "UPDATE cells SET box = (SELECT box FROM cells ORDER BY name LIMIT 1)",
			"cannot be held against the log", "is not what was written here", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := changed(t, passphrase)
			sqlitetest.Administer(t, filepath.Join(folder.Dir, config.DatabaseName), c.statement)
			found, err := Fsck(t.Context(), folder)
			if err != nil {
				t.Fatal(err)
			}
			if said := strings.Join(found.Problems, "\n"); !strings.Contains(said, c.fsck) || (said == "") != (c.fsck == "") {
				t.Errorf("fsck says %q, want %q", said, c.fsck)
			}
			log, err := VerifyLog(t.Context(), folder)
			if err != nil || !log.Roster || len(log.Problems) > 0 {
				t.Fatalf("log verify: %+v, %v", log, err)
			}
			if said := strings.Join(log.RosterProblems, "\n"); !strings.Contains(said, c.verify) || (said == "") != (c.verify == "") {
				t.Errorf("log verify says %q, want %q", said, c.verify)
			}
			states, _ := examined(t, folder.Dir, passphrase)
			if want := map[bool]string{true: Fault, false: OK}[c.shut]; states["roster"] != want {
				t.Errorf("doctor says %q, want %q", states["roster"], want)
			}
		})
	}
	t.Run("no database", func(t *testing.T) {
		folder := changed(t, passphrase)
		sqlitetest.Administer(t, filepath.Join(folder.Dir, config.DatabaseName), "DROP TABLE roster_changes")
		if log, err := VerifyLog(t.Context(), folder); err != nil || log.Roster || len(log.Problems) > 0 || log.Size == 0 {
			t.Errorf("the log cannot be checked by itself: %+v, %v", log, err)
		}
	})
}
