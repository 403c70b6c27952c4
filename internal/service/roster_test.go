package service

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestRosterIsTheLoggedOne: whoever writes into the database takes no change of the
// roster back, and puts none in. An agency was suspended; to be rid of that, its
// change is removed, or altered, or what was logged of it. Nothing opens then.
func TestRosterIsTheLoggedOne(t *testing.T) {
	cfg, house, agency, _, _ := withPeople(t, config.Engines{})
	opened(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: agency}, house.First)
	})
	whole := cfg.Dir
	for _, c := range []struct{ name, statement, found string }{
		{"nothing", "SELECT 1", ""},
		{"the newest change removed", "DELETE FROM roster_changes WHERE seq = (SELECT MAX(seq) FROM roster_changes)", "ends with change 3, and the log tells of change 4"},
		{"all but the founding removed", "DELETE FROM roster_changes WHERE seq > 1", "ends with change 1, and the log tells of change 4"},
		{"all changes removed", "DELETE FROM roster_changes", "ends with change 0, and the log tells of change 4"},
		{"one in the middle removed", "DELETE FROM roster_changes WHERE seq = 2", "cannot be replayed"},
		{"one put in twice", "INSERT INTO roster_changes SELECT 5, change FROM roster_changes WHERE seq = 2", "cannot be replayed"},
		{"an agency renamed", "UPDATE roster_changes SET change = CAST(replace(CAST(change AS TEXT), 'Lotus', 'Locus') AS BLOB) WHERE seq = 3", "cannot be replayed"},
		{"the newest was made at another time", "UPDATE roster_changes SET change = CAST(replace(CAST(change AS TEXT), '\"at\":', '\"at\":1') AS BLOB) WHERE seq = 4", "cannot be replayed"},
		{"what was logged removed", "DELETE FROM cells", "cannot be held against the log"},
		{"what was logged put in place of one another", "UPDATE cells SET box = (SELECT box FROM cells ORDER BY name LIMIT 1)", "cannot be held against the log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := cfg
			cfg.Dir = copyOf(t, whole)
			sqlitetest.Administer(t, filepath.Join(cfg.Dir, config.DatabaseName), c.statement)
			for name, open := range map[string]func(context.Context, Config) (*Service, error){"Open": Open, "Look": Look} {
				s, err := open(t.Context(), cfg)
				if err == nil {
					_ = s.Close()
				}
				wrong, ok := errors.AsType[*RosterError](err)
				switch {
				case c.found == "":
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
				case !ok || !errors.Is(err, people.ErrDamaged) || !strings.Contains(wrong.Found, c.found) || wrong.Do == "":
					t.Errorf("%s: %v, want a roster that %s", name, err, c.found)
				}
			}
		})
	}
}
