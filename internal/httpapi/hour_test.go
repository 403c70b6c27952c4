package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/verifier"
)

// brokenBoard has a pack, or fails in one of two ways.
type brokenBoard struct {
	httpapi.Board
	way atomic.Int32
}

func (b *brokenBoard) Pack(ctx context.Context) (*verifier.Pack, error) {
	switch b.way.Load() {
	case 1:
		return nil, errors.New("the cause")
	case 2:
		panic("MARKER")
	}
	return b.Board.Pack(ctx)
}

// TestNoMomentOfACheck is hostile case 89: whatever comes of a check, the log gets no line
// and no number moves while it is answered; what is told when the hour is over has no id,
// no role and no time in it, and is the same in whatever order the checks came.
func TestNoMomentOfACheck(t *testing.T) {
	var board *brokenBoard
	var mu sync.Mutex
	began, counted := 0, map[httpapi.Observed]int{}
	w := newWorld(t, func(c *httpapi.Config) {
		board = &brokenBoard{Board: c.Board}
		c.Board = board
		c.Observe = func() func(httpapi.Observed) {
			mu.Lock()
			defer mu.Unlock()
			began++
			return func(o httpapi.Observed) {
				mu.Lock()
				defer mu.Unlock()
				times := o.Times
				o.Took, o.Status, o.Times = 0, 0, 0
				counted[o] += times
			}
		}
	})
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	var printed cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", map[string]any{"name": "SITI"}), 201, &printed)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	wrong := "1" + printed.Code[1:]
	if wrong == printed.Code {
		wrong = "2" + printed.Code[1:]
	}
	w.server.Hour(t.Context()) // what came before
	lines, moved := w.log.String(), began

	check := func(token, code, state string) {
		t.Helper()
		var v verdictAnswer
		w.into(w.call(token, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": code}), 200, &v)
		if v.State != state {
			t.Errorf("got %s, want %s", v.State, state)
		}
	}
	refused := func(status int, token, method, path string, body any) {
		t.Helper()
		if got := w.call(token, method, path, body); got.status != status {
			t.Errorf("%s %s: got %d %s, want %d", method, path, got.status, got.body, status)
		}
	}
	check(officer, printed.Code, "unconfirmed")
	check(officer, wrong, "wrong_code")
	check(officer, printed.Code, "unconfirmed")
	refused(401, "", "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits})
	refused(400, officer, "POST", "/api/v1/verifications", "{}")
	refused(200, "", "POST", "/api/v1/papers", map[string]string{"number": printed.Number, "code": printed.Code})
	refused(200, "", "POST", "/api/v1/papers", map[string]string{"number": printed.Number, "code": wrong})
	refused(403, ngo, "POST", "/api/v1/cases/attendances", map[string]string{"number": printed.Number, "code": wrong})
	refused(200, "", "GET", "/pack", nil)
	refused(200, "", "HEAD", "/pack", nil)
	refused(501, "", "GET", "/check", nil) // no pages are built
	board.way.Store(1)
	check(officer, printed.Code, "not_ready")
	board.way.Store(2)
	refused(500, officer, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits})
	board.way.Store(0)

	if now := w.log.String(); now != lines {
		t.Errorf("the log has a line about a check: %s", strings.TrimPrefix(now, lines))
	}
	if began != moved {
		t.Error("whoever counts requests was told of a check while it was answered")
	}
	w.server.Hour(t.Context())
	told := strings.TrimPrefix(w.log.String(), lines)
	times := map[string]int{}
	for line := range strings.Lines(told) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if !slices.Contains([]string{"time", "level", "msg", "method", "route", "status", "code", "times", "build", "details"}, name) {
				t.Errorf("told %q: %s", name, line)
			}
		}
		n, _ := fields["times"].(float64)
		route, _ := fields["route"].(string)
		times[fields["msg"].(string)+route] += int(n)
	}
	for what, want := range map[string]int{
		"requests in an hour/api/v1/verifications": 7, "requests in an hour/api/v1/papers": 2, "requests in an hourcases": 1,
		"requests in an hour/pack": 2, "requests in an hour/check": 1, "no pack to judge with": 1, "panic": 1,
	} {
		if times[what] != want {
			t.Errorf("%s: told %d times, want %d: %s", what, times[what], want, told)
		}
	}
	for _, secret := range []string{"MARKER", "officer", "supervisor", printed.Digits[:40], printed.Number, printed.Code, officer, made.ID} {
		if strings.Contains(told, secret) {
			t.Errorf("told %q", secret)
		}
	}
	if !strings.Contains(told, "the cause") || !strings.Contains(told, "brokenBoard") {
		t.Errorf("what went wrong is not told: %s", told)
	}
	for o, n := range counted {
		if o.Route == "/api/v1/verifications" && (o.Role != "-" || n != 7) {
			t.Errorf("counted %d of %+v", n, o)
		}
	}
	lines = w.log.String()
	w.server.Hour(t.Context())
	if now := w.log.String(); now != lines {
		t.Errorf("told twice: %s", strings.TrimPrefix(now, lines))
	}
}

// TestNothingSaysWhatWasDone: of requests about cases the log has no line, and when the hour
// is over one count of all of them, without role or method; whoever counts requests is told
// that there was one.
func TestNothingSaysWhatWasDone(t *testing.T) {
	var mu sync.Mutex
	counted := map[string]int{}
	w := newWorld(t, func(c *httpapi.Config) {
		c.Observe = func() func(httpapi.Observed) {
			return func(o httpapi.Observed) {
				mu.Lock()
				defer mu.Unlock()
				counted[o.Method+" "+o.Route+" "+o.Role] += o.Times
			}
		}
	})
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.server.Hour(t.Context())
	clear(counted)
	before := w.log.String()
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	w.into(w.call(ngo, "GET", "/api/v1/cases/"+made.ID, nil), 200, nil)
	w.into(w.call(ngo, "GET", "/api/v1/requests", nil), 200, nil)
	if got := w.call(ngo, "GET", "/api/v1/documents/"+made.ID, nil); got.status != 404 {
		t.Errorf("got %s", got.body)
	}
	if now := w.log.String(); now != before {
		t.Errorf("the log has a line about a case: %s", strings.TrimPrefix(now, before))
	}
	w.server.Hour(t.Context())
	told := strings.TrimPrefix(w.log.String(), before)
	for _, want := range []string{`"method":"-","route":"cases","status":200,"code":"","times":3,`, `"method":"-","route":"cases","status":404,"code":"not_found","times":1,`} {
		if !strings.Contains(told, want) {
			t.Errorf("no %s in %s", want, told)
		}
	}
	if strings.Count(told, "\n") != 2 || strings.Contains(told, "supervisor") {
		t.Errorf("told %s", told)
	}
	if len(counted) != 1 || counted["- cases -"] != 4 {
		t.Errorf("counted %v", counted)
	}
}
