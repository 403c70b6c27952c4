package httpapi_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
)

// TestErasedByTwo: nobody alone destroys a case, whoever asks.
func TestErasedByTwo(t *testing.T) {
	w := newWorld(t)
	program := w.admit("Lotus", "NGO", "KHM", "supervisor")
	other := w.admit("Bridge", "NGO", "THA", "supervisor")
	worker, boss := w.person(w.agency["Lotus"], people.Caseworker), w.person(w.agency["Lotus"], people.Supervisor)
	at, document := w.keeps(program, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	if got := worker.call("DELETE", at, nil); got.status != http.StatusForbidden {
		t.Errorf("a caseworker asks: %d", got.status)
	}
	if got := w.call(other, "DELETE", at, nil); got.status != http.StatusNotFound {
		t.Errorf("another agency asks: %d", got.status)
	}
	var out asked
	w.into(boss.call("DELETE", at, nil), 202, &out)
	boss.agreed(out.Request, "waits")
	w.into(w.call(program, "GET", document, nil), 200, nil)
	done := worker.agreed(out.Request, "done")
	if done.Erased.Records != 2 {
		t.Errorf("erased: %+v", done.Erased)
	}
	if got := w.call(program, "GET", document, nil); got.status != http.StatusNotFound {
		t.Errorf("it is there: %d", got.status)
	}
}

// TestErasedAfterAll: an erasure that was cut off is finished by whoever asks once more, and
// is not said to be done before.
func TestErasedAfterAll(t *testing.T) {
	w := newWorld(t)
	program := w.admit("Lotus", "NGO", "KHM", "supervisor")
	worker, boss := w.person(w.agency["Lotus"], people.Caseworker), w.person(w.agency["Lotus"], people.Supervisor)
	at, document := w.keeps(program, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	var out asked
	w.into(boss.call("DELETE", at, nil), 202, &out)
	boss.agreed(out.Request, "waits")
	e := vault.Erasure{Case: idIn(at), Agency: w.agency["Lotus"], Records: []string{idIn(at), idIn(document)}, MAC: make([]byte, 32)}
	slices.Sort(e.Records)
	store := w.db.Vault()
	if err := errors.Join(store.BeginErasure(t.Context(), e), store.Forget(t.Context(), e)); err != nil {
		t.Fatal(err)
	}
	if done := worker.agreed(out.Request, "done"); done.Erased.Records != 2 {
		t.Errorf("erased: %+v", done.Erased)
	}
	if _, err := store.Record(t.Context(), idIn(at)); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the case: %v", err)
	}
}

// TestTwoOpenOnce: what two have agreed to is one opening, of what was shared then, where
// she asked. Asked for in another session, or of what was shared again, it takes two anew.
func TestTwoOpenOnce(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.admit("Gate", "x_DiplomaticMission", "ETH", "mission")
	gate := w.agency["Gate"]
	asks, admin := w.person(gate, people.Mission), w.person(gate, people.Admin)
	_, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	w.into(w.shares(ngo, document, grantTo(gate)), 201, nil)
	ask := func(b *browser) (q request) {
		t.Helper()
		var out asked
		w.into(b.call("POST", "/api/v1/openings/without-holder", map[string]string{"record": idIn(document), "purpose": "danger_to_life"}), 202, &out)
		return out.Request
	}
	reads := func(when string, b *browser, want int) {
		t.Helper()
		if got := b.call("GET", document, nil); got.status != want {
			t.Errorf("%s: %d %s", when, got.status, got.body)
		}
	}
	first := ask(asks)
	asks.agreed(first, "waits")
	admin.agreed(first, "done")
	reads("where she asked", asks, http.StatusOK)

	elsewhere := &browser{world: w, key: asks.key}
	w.into(elsewhere.signIn(), 201, nil)
	reads("in another session", elsewhere, http.StatusForbidden)
	second := ask(elsewhere)
	reads("asked in another session", elsewhere, http.StatusForbidden)
	asks.agreed(second, "waits")
	reads("and one has agreed", elsewhere, http.StatusForbidden)
	admin.agreed(second, "done")
	reads("and two have", elsewhere, http.StatusOK)

	w.into(w.shares(ngo, document, grantTo(gate)), 201, nil)
	for _, b := range []*browser{asks, elsewhere} {
		reads("shared again", b, http.StatusForbidden)
	}
	third := ask(asks)
	reads("shared and asked again", asks, http.StatusForbidden)
	asks.agreed(third, "waits")
	admin.agreed(third, "done")
	reads("and agreed to", asks, http.StatusOK)
	reads("by the agreement of another session", elsewhere, http.StatusForbidden)
}

// TestOpenedWithoutHolder: two open a shared record to the one who asks, for a quarter
// of an hour; the holder's history says so, and those are told who answer for it.
func TestOpenedWithoutHolder(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.admit("Gate", "x_DiplomaticMission", "ETH", "mission")
	w.admit("Bridge", "NGO", "THA", "supervisor")
	gate := w.agency["Gate"]
	asks, admin := w.person(gate, people.Mission), w.person(gate, people.Admin)
	keeper, stranger := w.person(w.agency["Lotus"], people.Supervisor), w.person(w.agency["Bridge"], people.Supervisor)
	at, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	record := document[len("/api/v1/documents/"):]
	want := map[string]string{"record": record, "purpose": "danger_to_life"}
	if got := asks.call("POST", "/api/v1/openings/without-holder", map[string]string{"record": record, "purpose": "confirm_identity"}); got.status != http.StatusBadRequest {
		t.Errorf("for less than a life: %d %s", got.status, got.body)
	}
	if got := asks.call("POST", "/api/v1/openings/without-holder", want); got.status != http.StatusNotFound {
		t.Errorf("what is not shared: %d %s", got.status, got.body)
	}
	w.into(w.shares(ngo, document, grantTo(gate)), 201, nil)
	reads := func(b *browser) int { return b.call("GET", document, nil).status }
	if got := reads(asks); got != http.StatusForbidden {
		t.Errorf("before anybody asks: %d", got)
	}
	var out asked
	w.into(asks.call("POST", "/api/v1/openings/without-holder", want), 202, &out)
	asks.agreed(out.Request, "waits")
	if got := reads(asks); got != http.StatusForbidden {
		t.Errorf("one has agreed: %d", got)
	}
	told := func(b *browser) bool {
		t.Helper()
		var list struct{ Requests []request }
		w.into(b.call("GET", "/api/v1/requests", nil), 200, &list)
		return slices.ContainsFunc(list.Requests, func(q request) bool { return q.ID == out.Request.ID && q.State == "done" })
	}
	if told(keeper) {
		t.Error("the keeper is told of what was not done")
	}
	admin.agreed(out.Request, "done")
	if got := reads(asks); got != http.StatusOK {
		t.Errorf("to the one who asked: %d", got)
	}
	elsewhere := &browser{world: w, key: asks.key}
	w.into(elsewhere.signIn(), 201, nil)
	for name, b := range map[string]*browser{"the other who agreed": admin, "she in another browser": elsewhere, "a program": {world: w}} {
		if got := reads(b); got == http.StatusOK {
			t.Errorf("%s reads it", name)
		}
	}
	if got := asks.call("GET", at, nil); got.status == http.StatusOK {
		t.Errorf("the case is open, too: %d", got.status)
	}
	for name, b := range map[string]*browser{"who answers for the keeper": keeper, "who answers for the agency": admin} {
		if !told(b) {
			t.Errorf("%s is not told", name)
		}
		w.into(b.call("GET", "/api/v1/requests/"+out.Request.ID, nil), 200, nil)
	}
	if told(stranger) {
		t.Error("a stranger is told")
	}
	var history struct{ Entries []struct{ Kind string } }
	w.into(w.call(ngo, "GET", at+"/history", nil), 200, &history)
	if !slices.ContainsFunc(history.Entries, func(e struct{ Kind string }) bool { return e.Kind == "record.opened_by_two" }) {
		t.Error("the history does not say it")
	}
	w.later = 16 * time.Minute
	if got := reads(asks); got != http.StatusForbidden {
		t.Errorf("after a quarter of an hour: %d", got)
	}
}
