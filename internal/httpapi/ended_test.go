package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// replica is the same world before another process, which has its own connections to
// the database and its own view of the roster.
func (w *world) replica(database string) *world {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	db, err := sqlstore.Open(w.t.Context(), database)
	must(err)
	w.t.Cleanup(func() { _ = db.Close() })
	db.Seal([]byte("the key of the seals, for a test")) // storetest.Seal's
	other := *w
	other.db = db
	other.people, err = people.New(people.Config{Store: db.People(), Checker: passkey.Checker{RelyingParty: w.cfg.Passkeys}})
	must(err)
	other.cfg.People = other.people
	other.cfg.Sessions, err = sessionsOf(&other, db)
	must(err)
	other.server, err = httpapi.New(other.cfg)
	must(err)
	other.http = httptest.NewServer(other.server)
	w.t.Cleanup(other.http.Close)
	return &other
}

// TestSessionsEnd is hostile case 57: a session is over on the next call, at both of two
// replicas over one PostgreSQL, when its person signs out, gets other roles, loses her
// passkey, is removed or signed out everywhere, or her agency is suspended; and so is
// what a device or a program had.
func TestSessionsEnd(t *testing.T) {
	database := pgtest.Start(t)
	a := newWorldIn(t, database, func(c *httpapi.Config) { c.Rate, c.StrangerRate = 1e6, 1e6 })
	b := a.replica(database)
	a.admit("Lotus", "NGO", "KHM", "caseworker")
	lotus := a.agency["Lotus"]
	stands := func(what string, want int, in *browser) {
		t.Helper()
		for name, w := range map[string]*world{"the first": a, "the second": b} {
			there := &browser{world: w, cookie: in.cookie}
			if got := there.call("GET", "/api/v1/sessions/self", nil); got.status != want {
				t.Errorf("%s, at %s replica: %d %s, want %d", what, name, got.status, got.body, want)
			}
		}
	}
	link, _ := a.people.NewLink()
	for what, end := range map[string]func(person string){
		"other roles": func(person string) {
			a.house.Do(roster.DoChangePerson, lotus, &roster.ChangePerson{ID: person, Roles: []roster.Role{people.Admin}, Handle: "desk-1"}, a.house.First)
		},
		"a lost passkey": func(person string) {
			a.house.Do(roster.DoRecoverPerson, lotus, &roster.RecoverPerson{ID: person, Link: link}, a.house.First)
		},
		"removed": func(person string) {
			a.house.Do(roster.DoRemovePerson, lotus, &roster.RemovePerson{ID: person}, a.house.First)
		},
		"signed out everywhere": func(person string) { a.house.Do(roster.DoSignOut, lotus, &roster.SignOut{ID: person}, a.house.First) },
	} {
		person := a.house.Person(lotus, people.Caseworker, a.house.First)
		one, other := &browser{world: a, key: a.house.Keys[person]}, &browser{world: b, key: a.house.Keys[person]}
		a.into(one.signIn(), 201, nil)
		b.into(other.signIn(), 201, nil)
		stands(what+", before", 200, one)
		stands(what+", before, elsewhere", 200, other)
		end(person)
		stands(what, 401, other)
		stands(what, 401, one)
	}

	person := a.house.Person(lotus, people.Caseworker, a.house.First)
	one, other := &browser{world: a, key: a.house.Keys[person]}, &browser{world: b, key: a.house.Keys[person]}
	a.into(one.signIn(), 201, nil)
	b.into(other.signIn(), 201, nil)
	kept := *one
	a.into(one.call("DELETE", "/api/v1/sessions/self", nil), 204, nil)
	stands("signed out here", 401, &kept)
	stands("and not there", 200, other)

	program, token := a.house.Program(lotus, people.Caseworker, a.house.First)
	device := a.device("Lotus")
	var self struct{ ID string }
	a.into(a.call(device, "GET", "/api/v1/devices/self", nil), 200, &self)
	has := func(what string, want int, token, path string) {
		t.Helper()
		for name, w := range map[string]*world{"the first": a, "the second": b} {
			if got := w.call(token, "GET", path, nil); got.status != want {
				t.Errorf("%s, at %s replica: %d %s, want %d", what, name, got.status, got.body, want)
			}
		}
	}
	has("a program", 200, token, "/api/v1/cases")
	has("a device", 200, device, "/api/v1/devices/self")
	a.house.Do(roster.DoRemoveProgram, lotus, &roster.RemoveProgram{ID: program.ID}, a.house.First)
	a.house.Do(roster.DoRemoveDevice, lotus, &roster.RemoveDevice{ID: self.ID}, a.house.First)
	has("a program that was removed", http.StatusUnauthorized, token, "/api/v1/cases")
	has("a device that was removed", http.StatusUnauthorized, device, "/api/v1/devices/self")
	a.house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: lotus}, a.house.First)
	stands("her agency is suspended", 401, other)
	has("a program of a suspended agency", http.StatusUnauthorized, a.tokens["Lotus caseworker"], "/api/v1/cases")
}
