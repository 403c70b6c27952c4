package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

// TestBrakes: a log that has stopped keeps nobody in. Who is removed, signed out,
// suspended or locked out by a request is out with the next one.
func TestBrakes(t *testing.T) {
	w := newWorld(t)
	supervisor := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.admit("Gate", "ImmigrationService", "THA", "officer")
	join := func(agency string, role people.Role) (id string, b *browser) {
		id = w.house.Person(w.agency[agency], role, w.house.First)
		b = &browser{world: w, key: w.house.Keys[id]}
		w.into(b.signIn(), 201, nil)
		return id, b
	}
	gone, removed := join("Lotus", people.Caseworker)
	away, out := join("Gate", people.Officer)
	w.into(w.call(supervisor, "POST", w.cases(supervisor)+"/cards", `{"name":"SITI"}`), 201, nil)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	w.stopLog()

	if a := w.call(supervisor, "POST", "/api/v1/cases", nil); a.status != 503 || !strings.Contains(string(a.body), "audit_unavailable") {
		t.Errorf("a case: %d %s", a.status, a.body)
	}
	w.agree(w.call(w.operator, "DELETE", "/api/v1/people/"+gone, nil))
	w.agree(w.call(w.operator, "POST", "/api/v1/people/"+away+"/sign-out", nil))
	w.agree(w.call(w.operator, "POST", "/api/v1/agencies/"+w.agency["Lotus"]+"/status", map[string]string{"action": "suspend"}))
	for who, a := range map[string]answer{
		"who was removed": removed.call("GET", "/api/v1/sessions/self", nil), "who was signed out": out.call("GET", "/api/v1/sessions/self", nil),
		"a program of who is suspended": w.call(supervisor, "GET", "/api/v1/cases", nil),
	} {
		if a.status == 200 {
			t.Errorf("%s is still let in", who)
		}
	}
	w.agree(w.boss.call("POST", "/api/v1/lock", nil))
	if a := w.call(w.operator, "GET", "/api/v1/agencies", nil); a.status == 200 {
		t.Errorf("anybody reads: %d", a.status)
	}
}

// stopLog has the log refuse every entry from now on.
func (w *world) stopLog() {
	w.db.Guard(func(context.Context, audit.Leaves) error {
		return fmt.Errorf("%w: %w", audit.ErrStopped, errors.New("an entry is gone"))
	})
}
