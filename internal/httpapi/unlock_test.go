package httpapi_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestLock: one person locks, whatever her role, by one touch over the act; from the
// next request on nobody is let in, by whatever they come with. What is asked of a
// network that is open to open it, is refused.
func TestLock(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.StrangerRate, c.Desk = 1000, "+855 00" })
	ngo := strings.Repeat("0a", 16)
	w.house.Agency(w.net, roster.Agency{ID: ngo, Name: "Made-up House", Class: "NGO", Country: "KHM", Desk: "+855 00"}, w.house.First)
	worker := &browser{world: w, key: w.house.Keys[w.house.Person(ngo, roster.Caseworker, w.house.First)]}
	w.into(worker.signIn(), 201, nil)
	token := w.admit("Lotus", "NGO", "KHM", "caseworker")
	w.into(w.call(token, "GET", "/api/v1/cases", nil), 200, nil)
	for path, body := range map[string]any{
		"/api/v1/unlock/options": map[string]any{},
		"/api/v1/unlock":         map[string]any{"act": "{}", "responses": []any{map[string]any{}}},
	} {
		if got := w.call("", "POST", path, body); got.status != 409 || !bytes.Contains(got.body, []byte(`"state_conflict"`)) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}

	var q asked
	w.into(worker.call("POST", "/api/v1/lock", nil), 202, &q)
	if q.Request.Do != roster.DoLock || q.Request.People != 1 || !q.Request.Mine {
		t.Fatalf("%+v", q.Request)
	}
	worker.agreed(q.Request, "done")
	_, secret := w.house.NewLink()
	first := &browser{world: w, key: w.house.Keys[w.house.First]}
	for name, got := range map[string]answer{
		"who locked":  worker.call("GET", "/api/v1/sessions/self", nil),
		"a program":   w.call(token, "GET", "/api/v1/cases", nil),
		"signing in":  first.signIn(),
		"a link":      w.call("", "POST", "/api/v1/joins/options", map[string]any{"secret": secret}),
		"as operator": w.call(w.operator, "POST", "/api/v1/publications", map[string]any{}),
	} {
		if got.status != 503 || !bytes.Contains(got.body, []byte(`"code":"locked"`)) || !bytes.Contains(got.body, []byte("+855 00")) || bytes.Contains(got.body, []byte(`"request"`)) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := w.call("", "GET", "/log/checkpoint", nil); got.status != 200 && got.status != 404 {
		t.Errorf("what is public: %d", got.status)
	}
}
