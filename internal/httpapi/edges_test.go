package httpapi_test

import (
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
)

// atOnce asks a hundred times at once, and counts what comes of it by its code, or by
// what of says.
func atOnce(ask func() answer, of func(a answer) string) map[string]int {
	var mu sync.Mutex
	counts := map[string]int{}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			said := of(ask())
			mu.Lock()
			defer mu.Unlock()
			counts[said]++
		})
	}
	wg.Wait()
	return counts
}

// TestBudgetsAtOnce: of a hundred that come at once to the edge of a budget exactly what
// is left passes. The clock stands still, so that nothing is given back meanwhile.
func TestBudgetsAtOnce(t *testing.T) {
	start := time.Now()
	still := func(edit func(*httpapi.Config)) func(*httpapi.Config) {
		return func(c *httpapi.Config) {
			c.Now = func() time.Time { return start }
			c.Rate, c.StrangerRate = 1e6, 1e6
			edit(c)
		}
	}
	code := func(a answer) string {
		if a.status < 300 {
			return "passed"
		}
		return a.code()
	}
	t.Run("requests", func(t *testing.T) {
		rate := 0
		w := newWorld(t, still(func(c *httpapi.Config) { c.Rate = 20; rate = 41 }))
		got := atOnce(func() answer { return w.call(w.operator, "GET", "/api/v1/agencies", nil) }, code)
		if got["passed"] != rate || got["rate_limited"] != 100-rate {
			t.Errorf("%v, want %d", got, rate)
		}
	})
	t.Run("sign-ins", func(t *testing.T) {
		w := newWorld(t, still(func(c *httpapi.Config) { c.StrangerRate = 3 }))
		got := atOnce(func() answer { return w.call("", "POST", "/api/v1/sessions/options", nil) }, code)
		if got["passed"] != 7 || got["rate_limited"] != 93 {
			t.Errorf("%v, want 7", got)
		}
	})
	t.Run("invitations", func(t *testing.T) {
		w := newWorld(t, still(func(*httpapi.Config) {}))
		w.admit("Gate", "ImmigrationService", "THA", "officer")
		secret, public := w.invitation("Gate"), newPublicKey(t)
		got := atOnce(func() answer {
			return w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": secret, "public_key": public})
		}, code)
		if got["passed"] != 1 || got["invitation_refused"] != 99 {
			t.Errorf("%v, want one", got)
		}
	})
	t.Run("codes", func(t *testing.T) {
		w := newWorld(t, still(func(c *httpapi.Config) { c.Now = nil })) // a pack is not from the future
		ngo, officer := w.admit("Lotus", "NGO", "KHM", "supervisor"), w.admit("Gate", "ImmigrationService", "THA", "officer")
		var printed cardAnswer
		w.into(w.call(ngo, "POST", w.cases(ngo)+"/cards", map[string]any{"name": "SITI"}), 201, &printed)
		w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
		wrong := "1" + printed.Code[1:]
		if wrong == printed.Code {
			wrong = "2" + printed.Code[1:]
		}
		ask := func() answer {
			return w.call(officer, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": wrong})
		}
		state := func(a answer) string {
			if a.code() == "busy" {
				return "busy" // a seat that did not come free in time is no try
			}
			var v verdictAnswer
			w.into(a, 200, &v)
			return v.State
		}
		got := atOnce(ask, state)
		for got["code_locked"] == 0 && got["wrong_code"] < 6 { // on a busy machine few had a seat
			got[state(ask())]++
		}
		if got["wrong_code"] != 5 {
			t.Errorf("%v, want 5 wrong", got)
		}
	})
}
