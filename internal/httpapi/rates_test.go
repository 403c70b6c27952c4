package httpapi_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/people"
)

// limited reports whether an answer says that there were too many, and when to try again.
func limited(t testing.TB, a answer) bool {
	t.Helper()
	if a.status != http.StatusTooManyRequests {
		return false
	}
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); a.code() != "rate_limited" || err != nil || after < 1 {
		t.Errorf("%s, again after %q", a.body, a.header.Get("Retry-After"))
	}
	return true
}

// still has the clock stand, so that nothing is given back meanwhile: a slow machine would
// never come to the end of a rate.
func still(each, strangers float64) func(*httpapi.Config) {
	start := time.Now()
	return func(c *httpapi.Config) {
		c.Now = func() time.Time { return start }
		c.Rate, c.StrangerRate = rate.Limit(each), rate.Limit(strangers)
	}
}

// TestRateOfAsker: whoever is let in has a rate of her own, which nobody else can spend.
// What is heavy takes more of it.
func TestRateOfAsker(t *testing.T) {
	w := newWorld(t, still(20, 1e6))
	busy, other := w.admit("Lotus", "NGO", "KHM", "caseworker"), w.admit("Bridge", "NGO", "THA", "caseworker")
	check := map[string]string{"digits": strings.Repeat("0", 667)}
	passed := 0
	for range 100 {
		if got := w.call(busy, "POST", "/api/v1/verifications", check); !limited(t, got) {
			passed++
		}
	}
	if passed != 4 { // of ten each, in 41
		t.Errorf("%d heavy ones passed, want 4", passed)
	}
	for range 10 {
		if got := w.call(busy, "GET", "/api/v1/cases", nil); limited(t, got) {
			passed = 0
		}
	}
	if passed != 0 {
		t.Error("reading is spared from what heavy work has spent")
	}
	for range 41 {
		w.into(w.call(other, "GET", "/api/v1/cases", nil), 200, nil)
	}
	if !limited(t, w.call(other, "GET", "/api/v1/cases", nil)) {
		t.Error("there is no end to what somebody may ask")
	}
	for _, path := range []string{"/healthz", "/card", "/log/checkpoint"} {
		if got := w.call("", "GET", path, nil); limited(t, got) {
			t.Errorf("%s has the rate of those who are let in", path)
		}
	}
}

// TestMadeUpTokens is hostile case 90: a flood of tokens and sessions that nobody has is
// slowed down, tokens before they come to the database, and keeps out nobody who was let in
// lately, nor who signs in meanwhile.
func TestMadeUpTokens(t *testing.T) {
	w := newWorld(t, still(1e6, 1))
	b := &browser{world: w, key: w.house.Keys[w.house.First]}
	w.into(w.call(w.operator, "GET", "/api/v1/agencies", nil), 200, nil)
	w.madeUp()
	w.into(w.call(w.operator, "GET", "/api/v1/agencies", nil), 200, nil)
	w.into(b.signIn(), 201, nil)
	w.into(b.call("GET", "/api/v1/sessions/self", nil), 200, nil)
	if got := w.call("", "GET", "/api/v1/agencies", nil); got.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", got.status, got.body)
	}
}

// TestLetInElsewhere is hostile case 90: such a flood at one process keeps out nobody who
// was let in by another one, a person, a program and a device.
func TestLetInElsewhere(t *testing.T) {
	w := newWorld(t, still(1e6, 1e6))
	b := &browser{world: w, key: w.house.Keys[w.house.First]}
	w.into(b.signIn(), 201, nil)
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	device := w.device("Lotus")
	cfg := w.cfg
	cfg.StrangerRate = 1
	var err error
	if cfg.People, err = people.New(people.Config{Store: w.db.People(), Checker: passkey.Checker{RelyingParty: cfg.Passkeys}}); err != nil {
		t.Fatal(err)
	}
	server, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	there := httptest.NewServer(server)
	t.Cleanup(there.Close)
	at := func(r *http.Request) { r.URL.Host = strings.TrimPrefix(there.URL, "http://") }
	w.madeUp(at)
	w.into(b.call("GET", "/api/v1/sessions/self", nil, at), 200, nil)
	w.into(w.call(ngo, "GET", "/api/v1/cases", nil, at), 200, nil)
	w.into(w.call(device, "GET", "/api/v1/devices/self", nil, at), 200, nil)
	later := w.admit("Bridge", "NGO", "THA", "caseworker")
	w.into(w.call(ngo, "GET", "/api/v1/cases", nil, at), 200, nil) // reads the roster
	w.into(w.call(later, "GET", "/api/v1/cases", nil, at), 200, nil)
	w.into(b.call("DELETE", "/api/v1/sessions/self", nil), 204, nil)
	if got := b.call("GET", "/api/v1/sessions/self", nil, at); got.status != http.StatusUnauthorized {
		t.Errorf("a session that has ended: %d %s", got.status, got.body)
	}
}

// madeUp brings tokens and sessions that nobody has, until most are refused unasked.
func (w *world) madeUp(edit ...func(*http.Request)) {
	w.t.Helper()
	passed := 0
	for i := range 200 {
		token := "sc_" + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%032d", i))
		made := comer{token: token}
		if i%2 == 1 {
			made = comer{browser: &browser{world: w, cookie: token[len("sc_"):]}}
		}
		switch got := w.ask(made, "GET", "/api/v1/agencies", nil, edit...); {
		case limited(w.t, got):
		case got.status == http.StatusUnauthorized:
			passed++
		default:
			w.t.Fatalf("got %d %s", got.status, got.body)
		}
	}
	if passed == 0 || passed > 41 {
		w.t.Errorf("%d made-up tokens were asked about, want some and at most 41", passed)
	}
}

// TestFloodsAtDoors is hostile case 90: whatever strangers flood, every other door of
// theirs is open, and those who are let in notice nothing.
func TestFloodsAtDoors(t *testing.T) {
	paths := map[string]string{
		"enrolments": "POST /api/v1/enrolments", "joins": "POST /api/v1/joins/options", "papers": "POST /api/v1/papers",
		"sign_in": "POST /api/v1/sessions/options", "unlock": "POST /api/v1/unlock/options", "files": "GET /card", "health": "GET /healthz",
	}
	for flooded := range paths {
		t.Run(flooded, func(t *testing.T) {
			w := newWorld(t, still(1e6, 1))
			bodies := map[string]any{
				"enrolments": map[string]any{"invitation": "sci_" + strings.Repeat("A", 43), "public_key": newPublicKey(t)},
				"joins":      map[string]string{"secret": "scj_" + strings.Repeat("A", 43)},
				"papers":     map[string]string{"number": "1", "code": "1"},
			}
			ask := func(door string) answer {
				method, path, _ := strings.Cut(paths[door], " ")
				return w.call("", method, path, bodies[door])
			}
			n := 0
			for !limited(t, ask(flooded)) {
				if n++; n > 1000 {
					t.Fatal("there is no end to it")
				}
			}
			for door := range paths {
				if got := ask(door); door != flooded && (limited(t, got) || got.status >= 500) {
					t.Errorf("%s: %d %s", door, got.status, got.body)
				}
			}
			w.into(w.call(w.operator, "GET", "/api/v1/agencies", nil), 200, nil)
		})
	}
}
