package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// outage is a database that can be away.
type outage struct {
	httpapi.Tries
	people.Store

	away atomic.Bool
}

func (o *outage) err() error {
	if o.away.Load() {
		return fmt.Errorf("read: %w", sqlstore.ErrUnavailable)
	}
	return nil
}

func (o *outage) Changes(ctx context.Context, from uint64, limit int) ([][]byte, error) {
	if err := o.err(); err != nil {
		return nil, err
	}
	return o.Store.Changes(ctx, from, limit)
}

func (o *outage) Read(ctx context.Context, actor string) (string, []byte, error) {
	if err := o.err(); err != nil {
		return "", nil, err
	}
	return o.Tries.Read(ctx, actor)
}

func (o *outage) Write(ctx context.Context, actor, text string, version []byte, now time.Time) (bool, error) {
	if err := o.err(); err != nil {
		return false, err
	}
	return o.Tries.Write(ctx, actor, text, version, now)
}

// TestChecksWithoutTheDatabase: whoever was let in lately goes on checking cards
// while the database is away. Wrong codes count, and are not forgotten when it is
// back; nobody gets a try more because it was away.
func TestChecksWithoutTheDatabase(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	stranger := w.admit("Gate", "ImmigrationService", "THA", "officer")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	var printed cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", map[string]any{"name": "SITI"}), 201, &printed)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	wrong := "1" + printed.Code[1:]
	if wrong == printed.Code {
		wrong = "2" + printed.Code[1:]
	}

	db := &outage{Tries: w.cfg.Tries, Store: w.db.People()}
	cfg := w.cfg
	cfg.Tries = db
	var later atomic.Int64
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	var err error
	if cfg.People, err = people.New(people.Config{Store: db, Checker: passkey.Checker{RelyingParty: cfg.Passkeys}}); err != nil {
		t.Fatal(err)
	}
	server, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	here := httptest.NewServer(server)
	t.Cleanup(here.Close)
	at := func(r *http.Request) { r.URL.Host = strings.TrimPrefix(here.URL, "http://") }
	check := func(what, token, code, want string, left int) {
		t.Helper()
		var v verdictAnswer
		w.into(w.call(token, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": code}, at), 200, &v)
		if v.State != want || v.TriesLeft != left {
			t.Errorf("%s: got %s with %d tries left, want %s with %d", what, v.State, v.TriesLeft, want, left)
		}
	}
	refused := func(what, token string, status int) {
		t.Helper()
		if got := w.call(token, "POST", "/api/v1/verifications", `{"digits":"1"}`, at); got.status != status {
			t.Errorf("%s: got %d %s, want %d", what, got.status, got.body, status)
		}
	}

	check("one wrong code before", officer, wrong, "wrong_code", 4)
	db.away.Store(true)
	check("a right code", officer, printed.Code, "unconfirmed", 0)
	check("a second wrong one", officer, wrong, "wrong_code", 3)
	check("a third", officer, wrong, "wrong_code", 2)
	check("a right code after them", officer, printed.Code, "unconfirmed", 0)
	refused("somebody who was not let in lately", stranger, 503)
	for _, path := range []string{"/api/v1/shared", "/api/v1/cases"} {
		if got := w.call(officer, "GET", path, nil, at); got.status != 503 {
			t.Errorf("%s is answered with %d", path, got.status)
		}
	}
	later.Store(int64(13 * time.Hour))
	refused("half a day later", officer, 503)
	later.Store(0)

	db.away.Store(false)
	check("a fourth, when it is back", officer, wrong, "wrong_code", 1)
	// Another process knows what was counted here alone.
	at = func(*http.Request) {}
	check("a fifth, at another process", officer, wrong, "wrong_code", 0)
	check("the right one", officer, printed.Code, "code_locked", 0)
	at = func(r *http.Request) { r.URL.Host = strings.TrimPrefix(here.URL, "http://") }
	db.away.Store(true)
	check("one more than this process knows of", officer, wrong, "wrong_code", 0)
	check("the right one here", officer, printed.Code, "code_locked", 0)

	// Who is let in no more is not remembered.
	db.away.Store(false)
	refused("a stranger who comes", stranger, 200)
	gone, err := w.people.Authenticate(t.Context(), stranger)
	if err != nil {
		t.Fatal(err)
	}
	w.house.Do(roster.DoRemoveProgram, gone.Agency, &roster.RemoveProgram{ID: gone.ID}, w.house.First)
	refused("who was let go", stranger, 401)
	db.away.Store(true)
	refused("who was let go, while nobody can be asked", stranger, 503)
}

// staleBoard has not heard for a while whether there is something newer.
type staleBoard struct {
	httpapi.Board

	confirmed time.Time
}

func (b *staleBoard) Confirmed() time.Time { return b.confirmed }

// TestAge: what may have a successor that nobody could ask for says since when.
func TestAge(t *testing.T) {
	var up *staleBoard
	w := newPublished(t, func(c *httpapi.Config) {
		up = &staleBoard{c.Board, time.Now()}
		c.Board = up
	})
	for _, path := range published {
		if age := w.call("", "GET", path, nil).header.Get("Age"); age != "" {
			t.Errorf("%s is %q old", path, age)
		}
	}
	up.confirmed = time.Now().Add(-90 * time.Second)
	for _, path := range published {
		got := w.call("", "GET", path, nil)
		if age := got.header.Get("Age"); got.status != 200 || age != "90" && age != "91" || got.header.Get("Date") == "" {
			t.Errorf("%s: got %d, %q old", path, got.status, age)
		}
	}
	for _, path := range []string{"/card", "/api/openapi.yaml", "/log/tile/0/000", "/status-lists/9"} {
		if age := w.call("", "GET", path, nil).header.Get("Age"); age != "" {
			t.Errorf("%s is %q old", path, age)
		}
	}
}
