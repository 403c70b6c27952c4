package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// browser is one that somebody sits before: it keeps a cookie, says where its pages
// are from, and has a software passkey.
type browser struct {
	*world
	key    *software.Authenticator
	cookie string
}

func (b *browser) call(method, path string, body any, edit ...func(*http.Request)) answer {
	b.t.Helper()
	a := b.world.call("", method, path, body, append([]func(*http.Request){func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if b.cookie != "" {
			r.AddCookie(&http.Cookie{Name: signin.LoopbackCookieName, Value: b.cookie})
		}
	}}, edit...)...)
	for _, line := range a.header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
			b.t.Errorf("a cookie that scripts or other sites get: %v", err)
			continue
		}
		b.cookie = c.Value
	}
	return a
}

type options struct{ Options json.RawMessage }

func (b *browser) signIn() answer {
	b.t.Helper()
	var o options
	b.into(b.call("POST", "/api/v1/sessions/options", nil), 200, &o)
	response, err := b.key.Get(o.Options, peopletest.Origin)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.call("POST", "/api/v1/sessions", map[string]any{"response": json.RawMessage(response)})
}

// join takes a link up.
func (b *browser) join(link string) answer {
	b.t.Helper()
	_, secret, _ := strings.Cut(link, "#join=")
	var o options
	b.into(b.call("POST", "/api/v1/joins/options", map[string]any{"secret": secret}), 200, &o)
	b.key = software.New()
	made, err := b.key.Create(o.Options, peopletest.Origin)
	if err != nil {
		b.t.Fatal(err)
	}
	var act struct {
		Act     string
		Options json.RawMessage
	}
	b.into(b.call("POST", "/api/v1/joins/passkey", map[string]any{"secret": secret, "response": json.RawMessage(made)}), 200, &act)
	signed, err := b.key.Get(act.Options, peopletest.Origin)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.call("POST", "/api/v1/joins", map[string]any{"secret": secret, "act": act.Act, "response": json.RawMessage(signed)})
}

type request struct {
	ID, Do, State string
	People        int
	Agreed        []string
	Mine, Apart   bool
	Change        int64
	Attestation   string
	CardID        string `json:"card_id"`
	Card          cardAnswer
	Erased        struct{ Withdrawn, Records, Pages int }
	Lines         []struct{ At, Value string }
	Options       json.RawMessage
}

type asked struct {
	Request         request
	ID, Link, Token string
}

// agree approves with this browser's passkey.
func (b *browser) agree(q request) answer {
	b.t.Helper()
	var now request
	b.into(b.call("GET", "/api/v1/requests/"+q.ID, nil), 200, &now)
	if len(now.Options) == 0 {
		b.t.Fatalf("a request that is not mine to agree to: %s, mine %v", now.State, now.Mine)
	}
	response, err := b.key.Get(now.Options, peopletest.Origin)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.call("POST", "/api/v1/requests/"+q.ID+"/approvals", map[string]any{"response": json.RawMessage(response)})
}

func (b *browser) agreed(q request, want string) request {
	b.t.Helper()
	var now request
	b.into(b.agree(q), 200, &now)
	if now.State != want {
		b.t.Fatalf("%s: %s, want %s", q.Do, now.State, want)
	}
	return now
}

// TestPeopleOverHTTP: from signing in to being let in, approved, recovered and sent
// away, as browsers do it.
func TestPeopleOverHTTP(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.StrangerRate = 1000 })
	ngo := strings.Repeat("0a", 16)
	w.house.Agency(w.net, roster.Agency{ID: ngo, Name: "Made-up House", Class: "NGO", Country: "KHM", Desk: "+855 00"}, w.house.First)
	first := &browser{world: w, key: w.house.Keys[w.house.First]}
	var me struct {
		ID    string
		Roles []string
		Demo  bool
	}
	w.into(first.signIn(), 201, &me)
	if me.ID != w.house.First || !slices.Equal(me.Roles, []string{"operator"}) || !me.Demo {
		t.Fatalf("signed in as %v", me.Roles)
	}
	add := func(by *browser, role string) (asked, answer) {
		t.Helper()
		a := by.call("POST", "/api/v1/people", map[string]any{"agency": ngo, "roles": []string{role}, "handle": "desk-1"})
		var out asked
		_ = json.Unmarshal(a.body, &out)
		return out, a
	}
	take := func(role string, by ...*browser) *browser {
		t.Helper()
		q, a := add(by[0], role)
		w.into(a, 202, nil)
		for i, b := range by {
			b.agreed(q.Request, map[bool]string{true: "done", false: "waits"}[i == len(by)-1])
		}
		b := &browser{world: w}
		w.into(b.join(q.Link), 201, &me)
		if me.ID != q.ID || me.Roles[0] != role {
			t.Fatalf("joined as %v", me.Roles)
		}
		return b
	}
	s1, s2 := take("supervisor", first), take("supervisor", first)
	worker := take("caseworker", first)
	var closing asked
	w.into(first.call("DELETE", "/api/v1/founding", nil), 202, &closing)
	first.agreed(closing.Request, "waits")
	s1.agreed(closing.Request, "done")
	var founding struct{ Open bool }
	w.into(first.call("GET", "/api/v1/founding", nil), 200, &founding)
	if founding.Open {
		t.Error("founding is open")
	}

	t.Run("one is not two", func(t *testing.T) {
		q, a := add(s1, "caseworker")
		w.into(a, 202, nil)
		s1.agreed(q.Request, "waits")
		if got := s1.call("POST", "/api/v1/requests/"+q.Request.ID+"/approvals", map[string]any{"response": map[string]any{}}); got.code() != "approval_invalid" {
			t.Errorf("nothing at all: %d %s", got.status, got.code())
		}
		for name, b := range map[string]*browser{"a caseworker": worker, "an operator": first} {
			if got := b.call("GET", "/api/v1/requests/"+q.Request.ID, nil); got.status != 404 {
				t.Errorf("%s reads it: %d", name, got.status)
			}
		}
		if got := (&browser{world: w}).call("POST", "/api/v1/joins/options", map[string]any{"secret": strings.TrimPrefix(q.Link, peopletest.Address+"/admin#join=")}); got.code() != "invitation_refused" {
			t.Errorf("its link, before the second has agreed: %d %s", got.status, got.code())
		}
		s2.agreed(q.Request, "done")
		b := &browser{world: w}
		w.into(b.join(q.Link), 201, nil)
		if got := (&browser{world: w}).call("POST", "/api/v1/joins/options", map[string]any{"secret": strings.TrimPrefix(q.Link, peopletest.Address+"/admin#join=")}); got.code() != "invitation_refused" {
			t.Errorf("its link, once more: %d %s", got.status, got.code())
		}
	})
	t.Run("who may not ask", func(t *testing.T) {
		for _, b := range []*browser{worker, {world: w}} {
			if _, a := add(b, "caseworker"); a.status != 403 && a.status != 401 {
				t.Errorf("asks: %d %s", a.status, a.code())
			}
		}
		if a := s1.call("POST", "/api/v1/people", map[string]any{"agency": strings.Repeat("0b", 16), "roles": []string{"caseworker"}, "handle": "x"}); a.status != 403 {
			t.Errorf("for an agency that is not hers: %d %s", a.status, a.code())
		}
	})
	t.Run("a program", func(t *testing.T) {
		var q asked
		w.into(s1.call("POST", "/api/v1/programs", map[string]any{"role": "supervisor", "label": "intake", "days": 30}), 202, &q)
		if a := w.call(q.Token, "GET", "/api/v1/cases", nil); a.status != 401 {
			t.Errorf("before anybody has agreed: %d", a.status)
		}
		s1.agreed(q.Request, "waits")
		s2.agreed(q.Request, "done")
		w.into(w.call(q.Token, "GET", "/api/v1/cases", nil), 200, nil)
		// Its request waits for people, and it agrees to nothing.
		var wants asked
		w.into(w.call(q.Token, "POST", "/api/v1/people", map[string]any{"roles": []string{"caseworker"}, "handle": "x"}), 202, &wants)
		for path, want := range map[string]int{"/api/v1/requests/" + wants.Request.ID: 200, "/api/v1/requests": 200, "/api/v1/sessions/self": 401} {
			if a := w.call(q.Token, "GET", path, nil); a.status != want {
				t.Errorf("%s by a token: %d, want %d", path, a.status, want)
			}
		}
		var seen request
		if w.into(w.call(q.Token, "GET", "/api/v1/requests/"+wants.Request.ID, nil), 200, &seen); seen.Mine || len(seen.Options) > 0 {
			t.Error("a program is told that it may agree")
		}
		s1.agreed(wants.Request, "waits")
		s2.agreed(wants.Request, "done")
		var gone asked
		w.into(s1.call("DELETE", "/api/v1/programs/"+q.ID, nil), 202, &gone)
		s1.agreed(gone.Request, "done")
		if a := w.call(q.Token, "GET", "/api/v1/cases", nil); a.status != 401 {
			t.Errorf("a program that was removed: %d", a.status)
		}
	})
	t.Run("other sites", func(t *testing.T) {
		for name, edit := range map[string]func(*http.Request){
			"cross-site":             func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"another origin":         func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
			"neither of the headers": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") },
		} {
			if a := s1.call("POST", "/api/v1/people", map[string]any{"roles": []string{"caseworker"}, "handle": "x"}, edit); a.code() != "cross_origin" {
				t.Errorf("%s: %d %s", name, a.status, a.code())
			}
		}
	})
	t.Run("sessions end", func(t *testing.T) {
		elsewhere := &browser{world: w, key: worker.key}
		w.into(elsewhere.signIn(), 201, nil)
		var all struct{ Sessions []struct{ Here bool } }
		w.into(elsewhere.call("GET", "/api/v1/sessions", nil), 200, &all)
		if len(all.Sessions) != 2 {
			t.Errorf("%d sessions, want 2", len(all.Sessions))
		}
		w.into(worker.call("DELETE", "/api/v1/sessions/self", nil), 204, nil)
		if a := worker.call("GET", "/api/v1/sessions/self", nil); a.status != 401 {
			t.Errorf("signed out: %d", a.status)
		}
		w.into(elsewhere.call("GET", "/api/v1/sessions/self", nil), 200, &me)
		var q asked
		w.into(s1.call("DELETE", "/api/v1/people/"+me.ID, nil), 202, &q)
		s1.agreed(q.Request, "done")
		if a := elsewhere.call("GET", "/api/v1/sessions/self", nil); a.status != 401 {
			t.Errorf("removed: %d", a.status)
		}
		if a := elsewhere.signIn(); a.code() != "unauthenticated" {
			t.Errorf("signs in again: %d %s", a.status, a.code())
		}
	})
	t.Run("lost and recovered", func(t *testing.T) {
		third := take(string(people.Admin), s1, s2)
		w.into(s2.call("GET", "/api/v1/sessions/self", nil), 200, &me)
		var q asked
		w.into(s1.call("POST", "/api/v1/people/"+me.ID+"/recovery", nil), 202, &q)
		s1.agreed(q.Request, "waits")
		if a := s2.call("GET", "/api/v1/requests/"+q.Request.ID, nil); a.status != 404 {
			t.Errorf("she agrees to it herself: %d", a.status)
		}
		third.agreed(q.Request, "done")
		if a := s2.call("GET", "/api/v1/sessions/self", nil); a.status != 401 {
			t.Errorf("her old session: %d", a.status)
		}
		if a := s2.signIn(); a.code() != "unauthenticated" {
			t.Errorf("her old passkey: %d %s", a.status, a.code())
		}
		again := &browser{world: w}
		w.into(again.join(q.Link), 201, &me)
	})
}
