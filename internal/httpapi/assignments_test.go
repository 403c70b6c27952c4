package httpapi_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/people"
)

// whoIs is somebody's id.
func (w *world) whoIs(c comer) string {
	w.t.Helper()
	if c.browser != nil {
		for id, key := range w.house.Keys {
			if key == c.browser.key {
				return id
			}
		}
	}
	by, err := w.people.Authenticate(w.t.Context(), c.token)
	if err != nil {
		w.t.Fatal(err)
	}
	return by.ID
}

// given gives a case to somebody.
func (w *world) given(by comer, at string, to comer) {
	w.t.Helper()
	w.into(w.ask(by, "POST", at+"/people", map[string]string{"person": w.whoIs(to)}), 204, nil)
}

// anotherPerson is somebody else of an agency, signed in.
func (w *world) anotherPerson(agency string, role people.Role) *browser {
	w.t.Helper()
	b := &browser{world: w, key: w.house.Keys[w.house.Person(agency, role, w.house.First)]}
	w.into(b.signIn(), 201, nil)
	return b
}

// idIn is the id at the end of where something is.
func idIn(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// caseAnswer is a case as its people read it.
type caseAnswer struct {
	ID     string
	People []struct{ Person, Until string }
	Joined []string
}

// entries counts what a history says, by kind.
func (w *world) entries(by comer, at string) map[string]int {
	w.t.Helper()
	var history struct{ Entries []struct{ Kind string } }
	w.into(w.ask(by, "GET", at+"/history", nil), 200, &history)
	count := map[string]int{}
	for _, e := range history.Entries {
		count[e.Kind]++
	}
	return count
}

// TestColleagues is of hostile cases 46 and 100: a case is in the list of who works on it,
// of nobody else but a supervisor; so is what waits in it for one touch. It is given to
// people of the agency who work on cases, in the holder's sight, and taken with the next
// call.
func TestColleagues(t *testing.T) {
	w := newWorld(t)
	program := comer{token: w.admit("Lotus", "NGO", "KHM", "caseworker")}
	w.admit("Bridge", "NGO", "THA", "caseworker")
	lotus := w.agency["Lotus"]
	worker, colleague := comer{browser: w.person(lotus, people.Caseworker)}, comer{browser: w.anotherPerson(lotus, people.Caseworker)}
	boss, admin := comer{browser: w.person(lotus, people.Supervisor)}, comer{browser: w.person(lotus, people.Admin)}
	stranger := comer{browser: w.person(w.agency["Bridge"], people.Caseworker)}
	var begun struct{ ID string }
	w.into(w.ask(worker, "POST", "/api/v1/cases", nil), 201, &begun)
	at := "/api/v1/cases/" + begun.ID
	var out asked
	w.into(w.ask(worker, "POST", at+"/attestations", screeningBody(t)), 202, &out)
	waits := "/api/v1/requests/" + out.Request.ID

	sees := func(c comer) (sees bool) {
		t.Helper()
		var cases struct{ Cases []struct{ ID string } }
		var requests struct{ Requests []request }
		w.into(w.ask(c, "GET", "/api/v1/cases", nil), 200, &cases)
		sees = slices.ContainsFunc(cases.Cases, func(one struct{ ID string }) bool { return one.ID == begun.ID })
		if c.browser != nil {
			w.into(w.ask(c, "GET", "/api/v1/requests", nil), 200, &requests)
			lists := slices.ContainsFunc(requests.Requests, func(q request) bool { return q.ID == out.Request.ID })
			reads := w.ask(c, "GET", waits, nil)
			if lists != sees || (reads.status == 200) != sees || reads.status != 200 && reads.status != 404 {
				t.Errorf("the case is hers: %v; what waits in it is listed: %v, and read: %d", sees, lists, reads.status)
			}
		}
		if read := w.ask(c, "GET", at, nil); (read.status == 200) != sees {
			t.Errorf("the case is listed: %v, and read: %d", sees, read.status)
		}
		return sees
	}
	is := func(what string, c comer, want bool) {
		t.Helper()
		if got := sees(c); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	is("who began it", worker, true)
	is("who supervises", boss, true)
	is("a colleague", colleague, false)
	is("a colleague's program", program, false)
	if got := w.ask(colleague, "DELETE", waits, nil); got.status != 404 {
		t.Errorf("a colleague withdraws what waits in it: %d", got.status)
	}
	if got := w.ask(admin, "GET", at, nil); got.status != 403 {
		t.Errorf("an admin reads it: %d", got.status)
	}

	w.given(worker, at, colleague)
	w.given(colleague, at, program)
	is("a colleague to whom it was given", colleague, true)
	is("and a program", program, true)
	var read caseAnswer
	w.into(w.ask(boss, "GET", at, nil), 200, &read)
	want := []string{w.whoIs(worker), w.whoIs(colleague), w.whoIs(program)}
	slices.Sort(want)
	var got []string
	for _, p := range read.People {
		got = append(got, p.Person)
		if p.Until != "" {
			t.Errorf("%s works on it until %s", p.Person, p.Until)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("its people are %v, want %v", got, want)
	}

	// Who cannot be given it, and why, is one answer.
	var refused answer
	for name, who := range map[string]string{
		"nobody": randomID(), "another agency's": w.whoIs(stranger), "an admin": w.whoIs(admin), "an operator": w.house.First,
	} {
		a := w.ask(worker, "POST", at+"/people", map[string]string{"person": who})
		if a.status != http.StatusUnprocessableEntity {
			t.Errorf("given to %s: %d", name, a.status)
		}
		if refused.body != nil && !bytes.Equal(a.body, refused.body) {
			t.Errorf("given to %s: %s, and to somebody else %s", name, a.body, refused.body)
		}
		refused = a
	}

	for _, gone := range []comer{colleague, worker} {
		w.into(w.ask(boss, "DELETE", at+"/people/"+w.whoIs(gone), nil), 204, nil)
	}
	if got := w.ask(boss, "DELETE", at+"/people/"+w.whoIs(worker), nil); got.status != 404 {
		t.Errorf("taken twice: %d", got.status)
	}
	w.into(w.ask(program, "DELETE", at+"/people/"+w.whoIs(program), nil), 204, nil)
	is("from whom it was taken", colleague, false)
	is("and what nobody works on", program, false)
	if got := w.ask(worker, "GET", at, nil); got.status != 404 {
		t.Errorf("who began it and had it taken from her: %d", got.status)
	}
	is("is the supervisor's", boss, true)
	if n := w.entries(boss, at); n["case.assigned"] != 2 || n["case.unassigned"] != 3 {
		t.Errorf("the history has %d given and %d taken", n["case.assigned"], n["case.unassigned"])
	}
}

// TestSecondOfTwo: whoever may be the second person of what takes two reads what it says,
// and nothing else of the case; it is done as what the asker is.
func TestSecondOfTwo(t *testing.T) {
	w := newWorld(t)
	w.admit("Lotus", "NGO", "KHM", "caseworker")
	lotus := w.agency["Lotus"]
	boss, colleague := comer{browser: w.person(lotus, people.Supervisor)}, comer{browser: w.person(lotus, people.Caseworker)}
	var begun struct{ ID string }
	w.into(w.ask(boss, "POST", "/api/v1/cases", nil), 201, &begun)
	at := "/api/v1/cases/" + begun.ID
	w.into(w.ask(boss, "DELETE", at+"/people/"+w.whoIs(boss), nil), 204, nil) // her case all the same
	decision := screening()
	decision.DecisionLevel = "reasonable_grounds"
	var out asked
	w.into(w.ask(boss, "POST", at+"/attestations", orderOf(t, decision)), 202, &out)
	boss.browser.agreed(out.Request, "waits")
	var shown request
	w.into(w.ask(colleague, "GET", "/api/v1/requests/"+out.Request.ID, nil), 200, &shown)
	if !slices.ContainsFunc(shown.Lines, func(l struct{ At, Value string }) bool { return strings.HasPrefix(l.At, "order.claims.") }) {
		t.Error("the second person does not see what she agrees to")
	}
	if done := colleague.browser.agreed(out.Request, "done"); done.Attestation == "" {
		t.Error("nothing is signed")
	} else if got := w.ask(colleague, "GET", "/api/v1/attestations/"+done.Attestation, nil); got.status != 404 {
		t.Errorf("and then she reads it: %d", got.status)
	}
	if got := w.ask(colleague, "GET", at, nil); got.status != 404 {
		t.Errorf("she reads the case: %d", got.status)
	}
}

// TestTakenBack is of hostile case 46: from whom a case was taken, has it no more with a
// card that she printed and the code that she read, until it is given to her again.
func TestTakenBack(t *testing.T) {
	w := newWorld(t)
	worker := comer{token: w.admit("Lotus", "NGO", "KHM", "caseworker")}
	boss := comer{browser: w.person(w.agency["Lotus"], people.Supervisor)}
	at := w.cases(worker.token)
	var printed cardAnswer
	w.into(w.call(worker.token, "POST", at+"/cards", map[string]any{"name": personName}), 201, &printed)
	attends := func(code string) answer {
		t.Helper()
		return w.ask(worker, "POST", "/api/v1/cases/attendances", map[string]string{"number": printed.Number, "code": code})
	}
	w.into(w.ask(boss, "DELETE", at+"/people/"+w.whoIs(worker), nil), 204, nil)
	wrong := attends("0000000000")
	if got := attends(printed.Code); got.status != http.StatusForbidden || got.code() != "code_refused" || !bytes.Equal(got.body, wrong.body) {
		t.Errorf("attends to what was taken from her: %d %s, and with another code %s", got.status, got.body, wrong.body)
	}
	if got := w.ask(worker, "GET", at, nil); got.status != 404 {
		t.Errorf("and then reads it: %d", got.status)
	}
	w.given(boss, at, worker)
	w.into(attends(printed.Code), 201, nil)
	if n := w.entries(boss, at); n["case.attended"] != 1 || n["case.unassigned"] != 1 {
		t.Errorf("the history has %d attendances, and says %d times that it was taken", n["case.attended"], n["case.unassigned"])
	}
}

// TestAttendances is of hostile case 46. Whoever is on duty, and has a holder's card and
// her code, works on her case for some hours, and she sees it; everything else has one
// answer. Two cases of one person are joined in the same way.
func TestAttendances(t *testing.T) {
	w := newWorld(t)
	worker, duty := comer{token: w.admit("Lotus", "NGO", "KHM", "caseworker")}, comer{browser: w.person(w.agency["Lotus"], people.Caseworker)}
	other := comer{token: w.admit("Bridge", "NGO", "THA", "caseworker")}
	at := w.cases(worker.token)
	var printed, paused, theirs cardAnswer
	w.into(w.call(worker.token, "POST", at+"/cards", map[string]any{"name": personName}), 201, &printed)
	w.into(w.call(worker.token, "POST", at+"/cards", map[string]any{"name": personName}), 201, &paused)
	w.into(w.call(worker.token, "POST", "/api/v1/cards/"+paused.ID+"/status", map[string]string{"action": "pause", "reason": "safety"}), 200, nil)
	w.into(w.call(other.token, "POST", w.cases(other.token)+"/cards", map[string]any{"name": personName}), 201, &theirs)

	tried := func(c comer, number, code string) answer {
		t.Helper()
		return w.ask(c, "POST", "/api/v1/cases/attendances", map[string]string{"number": number, "code": code})
	}
	var refused answer
	for name, a := range map[string]answer{
		"another code":          tried(duty, printed.Number, theirs.Code),
		"another agency's card": tried(duty, theirs.Number, theirs.Code),
		"by another agency":     tried(other, printed.Number, printed.Code),
		"a card that is paused": tried(duty, paused.Number, paused.Code),
		"no number of ours":     tried(duty, strings.Repeat("1", 12), printed.Code),
		"nothing":               tried(duty, "", ""),
	} {
		if a.status != http.StatusForbidden || a.code() != "code_refused" || refused.body != nil && !bytes.Equal(a.body, refused.body) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		refused = a
	}
	if got := w.ask(duty, "GET", at, nil); got.status != 404 {
		t.Errorf("before she has the code: %d", got.status)
	}

	var in struct{ Case, Until string }
	w.into(tried(duty, printed.Number, printed.Code), 201, &in)
	until, err := time.Parse(time.RFC3339, in.Until)
	if left := time.Until(until); err != nil || in.Case != idIn(at) || left > 12*time.Hour || left < 12*time.Hour-10*time.Minute {
		t.Errorf("she works on %s until %s", in.Case, in.Until)
	}
	var read caseAnswer
	w.into(w.ask(duty, "GET", at, nil), 200, &read)
	if i := slices.IndexFunc(read.People, func(p struct{ Person, Until string }) bool { return p.Person == w.whoIs(duty) }); i < 0 || read.People[i].Until != in.Until {
		t.Errorf("its people are %v", read.People)
	}
	for _, a := range []answer{
		w.ask(duty, "POST", at+"/people", map[string]string{"person": w.whoIs(duty)}), w.ask(duty, "DELETE", at+"/people/"+w.whoIs(worker), nil),
	} {
		if a.status != http.StatusForbidden || a.code() != "attends_only" {
			t.Errorf("who is there for some hours changes who works on it: %d %s", a.status, a.body)
		}
	}
	w.into(tried(worker, printed.Number, printed.Code), 201, &in)
	if w.into(w.call(worker.token, "GET", at, nil), 200, &read); len(read.People) != 2 || in.Case != idIn(at) {
		t.Errorf("who works on it attends, and its people are %v", read.People)
	}
	if n := w.entries(worker, at); n["case.attended"] != 2 {
		t.Errorf("the history has %d attendances", n["case.attended"])
	}

	// She came without card and code the night before.
	var begun struct{ ID string }
	w.into(w.ask(duty, "POST", "/api/v1/cases", nil), 201, &begun)
	night := "/api/v1/cases/" + begun.ID
	join := func(c comer, one, two, number, code string) answer {
		t.Helper()
		return w.ask(c, "POST", one+"/joins", map[string]string{"case": idIn(two), "number": number, "code": code})
	}
	for name, a := range map[string]answer{
		"by who works on one of them": join(worker, at, night, printed.Number, printed.Code),
		"from the other side":         join(worker, night, at, printed.Number, printed.Code),
		"with what never was":         join(duty, night, "/"+randomID(), printed.Number, printed.Code),
	} {
		if a.status != http.StatusNotFound {
			t.Errorf("joined %s: %d %s", name, a.status, a.body)
		}
	}
	for name, a := range map[string]answer{
		"another code": join(duty, night, at, printed.Number, theirs.Code), "a card of neither": join(duty, night, at, theirs.Number, theirs.Code),
	} {
		if a.status != http.StatusForbidden || a.code() != "code_refused" {
			t.Errorf("joined with %s: %d %s", name, a.status, a.body)
		}
	}
	if a := join(duty, night, night, printed.Number, printed.Code); a.status != http.StatusUnprocessableEntity {
		t.Errorf("joined with itself: %d %s", a.status, a.body)
	}
	for range 2 { // the second changes nothing
		w.into(join(duty, night, at, printed.Number, printed.Code), 204, nil)
	}
	for one, two := range map[string]string{at: night, night: at} {
		if w.into(w.ask(duty, "GET", one, nil), 200, &read); !slices.Equal(read.Joined, []string{idIn(two)}) {
			t.Errorf("joined with %v", read.Joined)
		}
		if n := w.entries(duty, one); n["case.joined"] != 1 {
			t.Errorf("the history has %d joins", n["case.joined"])
		}
	}
	if got := w.ask(worker, "GET", night, nil); got.status != 404 {
		t.Errorf("who works on one reads the other: %d", got.status)
	}
	supervisor := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.erased(supervisor, night)
	var left caseAnswer
	if w.into(w.ask(worker, "GET", at, nil), 200, &left); len(left.Joined) != 0 {
		t.Errorf("joined with %v, which is gone", left.Joined)
	}
}
