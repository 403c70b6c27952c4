package service

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// The newest window of the log is gone, and is there again.
const (
	stopLog = "UPDATE log_size SET numbered = numbered - 256"
	mendLog = "UPDATE log_size SET numbered = numbered + 256"
)

// TestBrakes: what only takes away waits for no log that has stopped, in whichever way it
// is asked for. What adds does, and everything is in the log once that goes on.
func TestBrakes(t *testing.T) {
	t.Parallel()
	cfg, house, agency, _, _ := withPeople(t, config.Engines{})
	opened(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		other := house.Person("", roster.Operator, house.First)
		gone := house.Person(agency, roster.Caseworker, house.First)
		away := house.Person(agency, roster.Supervisor, house.First)
		program, token := house.Program(agency, people.Caseworker, house.First)
		publish(t, s)
		run := func(statement string) {
			sqlitetest.Administer(t, filepath.Join(cfg.Dir, config.DatabaseName), statement)
		}
		run(stopLog)
		ctx := t.Context()
		add := people.NewPerson("", "operator-9", people.Operator)
		link, _ := s.People.NewLink()
		if _, err := s.People.Ask(ctx, house.Actor(house.First), roster.DoAddPerson, "", &roster.AddPerson{Person: add, Link: link}); !errors.Is(err, audit.ErrStopped) {
			t.Errorf("somebody is let in: %v", err)
		}
		agreed := func(do, agency string, what any) error {
			q, err := s.People.Ask(ctx, house.Actor(house.First), do, agency, what)
			if err != nil {
				return err
			}
			_, err = s.People.Agree(ctx, house.Actor(house.First), q.Act.ID, house.Proof(q.Act, house.First))
			return err
		}
		suspended := func() error {
			err := s.Suspend(ctx, agency, false)
			if errors.Is(err, audit.ErrStopped) && strings.Contains(err.Error(), "is suspended") {
				return nil
			}
			return err
		}
		for _, c := range []struct {
			name string
			do   func() error
		}{
			{"remove", func() error { return agreed(roster.DoRemovePerson, agency, &roster.RemovePerson{ID: gone}) }},
			{"remove by the root", func() error { return s.EndMember(ctx, away) }},
			{"remove a program", func() error { return s.EndMember(ctx, program.ID) }},
			{"sign out", func() error { return agreed(roster.DoSignOut, "", &roster.SignOut{ID: other}) }},
			{"suspend", suspended},
			{"lock", func() error { return agreed(roster.DoLock, "", &roster.Lock{}) }},
		} {
			if err := c.do(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		state, err := s.People.State(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if state.Present(state.People[gone]) || state.Present(state.People[away]) || state.Active(agency) || state.Lock == "" {
			t.Error("somebody is still there")
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/cases", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		if s.API.ServeHTTP(w, r); w.Code == http.StatusOK {
			t.Error("a token still reads")
		}
		run(mendLog)
		publish(t, s)
		if problems, err := ExamineRoster(ctx, s.DB); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
		if waits, err := s.DB.Log().Waiting(ctx); err != nil || waits > 0 {
			t.Errorf("not in the log: %v %v", waits, err)
		}
	})
}

// TestUnlockWithoutLog: what two people agreed to cannot be logged. The process does not
// end for it: it serves locked, and they agree again when the log goes on.
func TestUnlockWithoutLog(t *testing.T) { // not beside tests that start processes, as TestLockFolder
	cfg, house, _, _, _ := withPeople(t, config.Engines{})
	var other string
	opened(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		other = house.Person("", roster.Operator, house.First)
		publish(t, s)
	})
	if _, err := LockFolder(t.Context(), cfg.Dir); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(cfg.Dir, config.DatabaseName)
	sqlitetest.Administer(t, database, stopLog)
	r := replicaOf(t, cfg).start()
	agree := func() (int, string) {
		r.becomes(http.StatusServiceUnavailable, `"locked"`)
		act, first := r.agreeing(house, "", house.First)
		_, second := r.agreeing(house, act, other)
		return r.unlock(act, []json.RawMessage{first, second}...)
	}
	if status, body := agree(); status != http.StatusOK {
		t.Fatalf("two: %d %s", status, body)
	}
	select {
	case <-r.locked: // its keys are gone with it
	case err := <-r.ended:
		r.stop = nil
		t.Fatalf("it has ended: %v", err)
	}
	r.becomes(http.StatusServiceUnavailable, `"locked"`)
	if _, err := os.Stat(filepath.Join(cfg.Dir, config.UnlockName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was to open it is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, config.LockedName)); err != nil {
		t.Error(err)
	}
	sqlitetest.Administer(t, database, mendLog)
	if status, body := agree(); status != http.StatusOK {
		t.Fatalf("two again: %d %s", status, body)
	}
	r.becomes(http.StatusOK, "")
}
