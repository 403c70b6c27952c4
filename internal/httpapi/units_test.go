package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
)

// TestNameOfAnother is hostile case 93: whose name cannot be told from another's
// is not admitted, and hears whose it is.
func TestNameOfAnother(t *testing.T) {
	w := newWorld(t)
	w.admit("Lotus House", "NGO", "KHM", "caseworker")
	for _, name := range []string{"Lotus House", "Lotus-House", "LOTUS HOUSE", "Lоtus Hоuse", "Lotus Höuse", "L0tus House"} {
		got := w.call(w.operator, http.MethodPost, "/api/v1/agencies", map[string]string{"name": name, "class": "NGO", "country": "THA", "desk": "+66 00 000 001"})
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(string(got.body), `"name_alike"`) || !strings.Contains(string(got.body), ": Lotus House") {
			t.Errorf("%q: got %d %s, want 422 with the other's name", name, got.status, got.body)
		}
	}
	for _, name := range []string{"Lotus  House", "<b>Lotus Home</b>", "Lotus\u200bHome", "Lоtus Home", "Lotus\nHome"} {
		got := w.call(w.operator, http.MethodPost, "/api/v1/agencies", map[string]string{"name": name, "class": "NGO", "country": "THA", "desk": "+66 00 000 001"})
		if got.status != http.StatusUnprocessableEntity && got.status != http.StatusBadRequest || strings.Contains(string(got.body), "Home") {
			t.Errorf("%q: got %d %s, want a refusal that does not repeat it", name, got.status, got.body)
		}
	}
}

// TestWhoSignsWhat: an agency signs what its class does, or what was agreed with
// it, and nothing that its class alone would let through the door.
func TestWhoSignsWhat(t *testing.T) {
	w := newWorld(t)
	lawyers := w.admit("Lawyers", "LegalService", "THA", "caseworker")
	decision := screening()
	decision.DecisionLevel = "formal_identification"
	formal := orderOf(t, decision)
	at := w.cases(lawyers)
	if got := w.call(lawyers, http.MethodPost, at+"/attestations", formal); got.status != http.StatusForbidden || got.code() != "level_not_signed" {
		t.Errorf("a formal decision of lawyers: %d %s", got.status, got.body)
	}
	w.into(w.call(lawyers, http.MethodPost, at+"/attestations", screeningBody(t)), http.StatusCreated, nil)

	var made struct {
		ID    string
		Signs struct {
			Kinds []string
			Level string
		}
	}
	asked := w.agree(w.call(w.operator, http.MethodPost, "/api/v1/agencies", map[string]any{
		"name": "Listeners", "class": "NGO", "country": "KHM", "desk": "+855 00 000 009", "signs": map[string]any{"kinds": []string{"opinion"}},
	}))
	var list struct{ Agencies []json.RawMessage }
	w.into(w.call(w.operator, http.MethodGet, "/api/v1/agencies", nil), http.StatusOK, &list)
	for _, one := range list.Agencies {
		if strings.Contains(string(one), asked.ID) {
			w.into(answer{status: 200, body: one}, 200, &made)
		}
	}
	if strings.Join(made.Signs.Kinds, " ") != "opinion" || made.Signs.Level != "" {
		t.Errorf("it signs %v up to %q", made.Signs.Kinds, made.Signs.Level)
	}
	w.agency["Listeners"] = made.ID
	listeners := w.admit("Listeners", "NGO", "KHM", "caseworker")
	at = w.cases(listeners)
	for path, body := range map[string]any{"/attestations": screeningBody(t), "/cards": map[string]any{"name": personName}} {
		if got := w.call(listeners, http.MethodPost, at+path, body); got.status != http.StatusForbidden || got.code() != "kind_not_signed" {
			t.Errorf("%s of an agency that gives opinions: %d %s", path, got.status, got.body)
		}
	}
}

// cases opens a case and returns where it is.
func (w *world) cases(token string) string {
	w.t.Helper()
	var made struct{ ID string }
	w.into(w.call(token, http.MethodPost, "/api/v1/cases", nil), http.StatusCreated, &made)
	return "/api/v1/cases/" + made.ID
}

// TestSecondCard is of hostile cases 94 and 100: a caseworker does not make cards in
// two names out of one finding, nor many for one person, and a supervisor may.
func TestSecondCard(t *testing.T) {
	w := newWorld(t)
	worker := w.admit("Lotus", "NGO", "KHM", "caseworker")
	supervisor := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at := w.cases(worker)
	var made struct{ ID string }
	w.into(w.call(worker, http.MethodPost, at+"/attestations", screeningBody(t)), http.StatusCreated, &made)
	card := func(token, name string, want int) {
		t.Helper()
		got := w.call(token, http.MethodPost, at+"/cards", map[string]any{"name": name, "attestation": made.ID})
		if got.status != want || want == http.StatusForbidden && (got.code() != "supervisor_required" || strings.Contains(string(got.body), "MADE")) {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, want)
		}
	}
	card(worker, "MADE UP", http.StatusCreated)
	card(worker, "ALSO MADE UP", http.StatusForbidden)
	card(worker, "UP, MADE", http.StatusCreated)
	card(worker, "MADE UP", http.StatusForbidden)
	card(supervisor, "MADE UP", http.StatusCreated)
	card(supervisor, "ALSO MADE UP", http.StatusCreated)
}

// TestDecisionOfTwo: from reasonable grounds on an attestation waits for two people of
// the agency, who are shown all that they agree to.
func TestDecisionOfTwo(t *testing.T) {
	w := newWorld(t)
	worker := w.admit("Lotus", "NGO", "KHM", "caseworker")
	other := w.admit("Bridge", "NGO", "THA", "supervisor")
	of := func(agency string, role people.Role) *browser {
		id := w.house.Person(w.agency[agency], role, w.house.First)
		b := &browser{world: w, key: w.house.Keys[id]}
		w.into(b.signIn(), 201, nil)
		return b
	}
	supervisor, colleague, stranger := of("Lotus", people.Supervisor), of("Lotus", people.Caseworker), of("Bridge", people.Supervisor)
	_ = other
	at := w.cases(worker)
	decision := screening()
	decision.DecisionLevel = "reasonable_grounds"
	listed := func() int {
		t.Helper()
		var all struct{ Attestations []json.RawMessage }
		w.into(w.call(worker, http.MethodGet, at+"/attestations", nil), 200, &all)
		return len(all.Attestations)
	}
	var q asked
	w.into(w.call(worker, http.MethodPost, at+"/attestations", orderOf(t, decision)), 202, &q)
	for _, l := range q.Request.Lines {
		if strings.HasPrefix(l.At, "order.") {
			t.Errorf("the answer that is kept says %s", l.At)
		}
	}
	if got := stranger.call("GET", "/api/v1/requests/"+q.Request.ID, nil); got.status != 404 {
		t.Errorf("another agency reads it: %d", got.status)
	}
	var shown request
	w.into(supervisor.call("GET", "/api/v1/requests/"+q.Request.ID, nil), 200, &shown)
	said := map[string]string{}
	for _, l := range shown.Lines {
		said[l.At] = l.Value
	}
	if said["what.level"] != "reasonable_grounds" || said["order.claims.purpose.0"] != "ForcedLabour" || said["order.claims.consent.controller"] != "Lotus (made up)" {
		t.Errorf("the supervisor is shown %d lines, and not what is signed", len(said))
	}
	colleague.agreed(q.Request, "waits")
	if n := listed(); n != 0 {
		t.Errorf("%d attestations after one has agreed", n)
	}
	done := supervisor.agreed(q.Request, "done")
	if done.Attestation == "" || listed() != 1 {
		t.Errorf("nothing is signed, or nobody says what: %q", done.Attestation)
	}
	w.into(w.call(worker, http.MethodGet, "/api/v1/attestations/"+done.Attestation, nil), 200, nil)
	if got := w.call(worker, http.MethodPost, at+"/attestations", orderOf(t, &claims.Screening{DecisionLevel: "reasonable_grounds"})); got.status != 422 {
		t.Errorf("what is wrong is told before anybody agrees: %d %s", got.status, got.body)
	}
}

// TestRecordedElsewhere is hostile case 94: both keepers of one document are told
// when they read it, the answer to whoever records it is as it would be without, and
// neither learns of the other.
func TestRecordedElsewhere(t *testing.T) {
	w := newWorld(t)
	lotus := w.admit("Lotus", "NGO", "KHM", "caseworker")
	bridge := w.admit("Bridge", "NGO", "THA", "caseworker")
	record := map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": "L898902C3", "birth_date": "1974-08-12"}
	first, mine := w.keeps(lotus, record)
	if got := w.call(lotus, http.MethodGet, mine, nil); strings.Contains(string(got.body), "elsewhere") {
		t.Errorf("the only record: %s", got.body)
	}
	second := w.cases(bridge)
	said := w.call(bridge, http.MethodPost, second+"/documents", record)
	record["document_number"] = "X1234567"
	without := w.call(bridge, http.MethodPost, w.cases(bridge)+"/documents", record)
	var kept struct{ ID string }
	w.into(said, http.StatusCreated, &kept)
	var other struct{ ID string }
	w.into(without, http.StatusCreated, &other)
	if a, b := strings.ReplaceAll(string(said.body), kept.ID, ""), strings.ReplaceAll(string(without.body), other.ID, ""); a != b {
		t.Errorf("recording a document that is elsewhere answers %s, and another %s", a, b)
	}
	for token, where := range map[string]string{lotus: mine, bridge: "/api/v1/documents/" + kept.ID} {
		got := w.call(token, http.MethodGet, where, nil)
		if !strings.Contains(string(got.body), `"recorded_elsewhere"`) {
			t.Errorf("a keeper is told %s", got.body)
		}
		for of, id := range map[string]string{lotus: first, bridge: second} {
			if of != token && strings.Contains(string(got.body), strings.TrimPrefix(id, "/api/v1/cases/")) || strings.Contains(string(got.body), w.agency["Lotus"]) || strings.Contains(string(got.body), w.agency["Bridge"]) {
				t.Errorf("a keeper learns of the other: %s", got.body)
			}
		}
	}
}

// TestTermsOfAgencies: what an agency is, its partner, its cards and its keys are asked
// for as everything is, and answered as the contract says.
func TestTermsOfAgencies(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Alarms = func(context.Context) ([]httpapi.Alarm, error) {
			return []httpapi.Alarm{{Code: httpapi.AlarmQuota, Agency: strings.Repeat("0a", 16), Since: time.Unix(1_800_000_000, 0)}, {Code: httpapi.AlarmChanges, Count: 2}}, nil
		}
	})
	house, other := w.admit("Lotus House", "NGO", "KHM", "supervisor"), w.admit("River House", "NGO", "THA", "supervisor")
	lotus, river := "/api/v1/agencies/"+w.agency["Lotus House"], "/api/v1/agencies/"+w.agency["River House"]
	unknown := "/api/v1/agencies/" + strings.Repeat("0b", 16)
	about := map[string]any{"name": "Lotus House", "class": "NGO", "country": "KHM", "desk": "+855 00 000 002", "signs": map[string]any{"kinds": []string{"opinion"}}}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.DateOnly)
	quota := map[string]any{"event": "buses", "cards": 40, "until": tomorrow}
	for _, c := range []struct {
		name, token, path string
		body              any
		want              int
		do                string
	}{
		{"a description", w.operator, lotus + "/description", about, 202, "agency.change"},
		{"a name of another's", w.operator, river + "/description", about, 422, ""},
		{"of nobody", w.operator, unknown + "/description", about, 404, ""},
		{"by an agency", house, lotus + "/description", about, 403, ""},
		{"a partner", house, lotus + "/partner", map[string]string{"partner": w.agency["River House"]}, 202, "agency.partner"},
		{"a partner, by a program of that partner", other, lotus + "/partner", map[string]string{"partner": w.agency["River House"]}, 403, ""},
		{"a partner of another", other, lotus + "/partner", map[string]string{}, 404, ""},
		{"a partner of nobody", other, unknown + "/partner", map[string]string{}, 404, ""},
		{"no partnership to end", house, lotus + "/partner", map[string]string{}, 409, ""},
		{"more cards", house, lotus + "/quota", quota, 202, "agency.quota"},
		{"more cards, by an operator", w.operator, lotus + "/quota", quota, 202, "agency.quota"},
		{"too many cards", house, lotus + "/quota", map[string]any{"event": "buses", "cards": 5001, "until": tomorrow}, 400, ""},
		{"cards for too long", house, lotus + "/quota", map[string]any{"event": "buses", "cards": 50, "until": "2099-01-01"}, 422, ""},
		{"keys in other hands", w.operator, lotus + "/compromise", map[string]string{"since": "2026-01-01"}, 202, "agency.compromised"},
		{"on no day", w.operator, lotus + "/compromise", map[string]string{"since": "2026-02-30"}, 400, ""},
		{"keys of nobody", w.operator, unknown + "/compromise", map[string]string{"since": "2026-01-01"}, 404, ""},
	} {
		got := w.call(c.token, http.MethodPost, c.path, c.body)
		var q asked
		if got.status == http.StatusAccepted {
			w.into(got, 202, &q)
		}
		if got.status != c.want || q.Request.Do != c.do {
			t.Errorf("%s: %d %q %s, want %d %q", c.name, got.status, q.Request.Do, got.body, c.want, c.do)
		}
	}
	var alarms struct {
		Alarms []struct {
			Code, Agency, Since string
			Count               int
		}
	}
	w.into(w.call(w.operator, http.MethodGet, "/api/v1/alarms", nil), 200, &alarms)
	if len(alarms.Alarms) != 2 || alarms.Alarms[0].Code != "quota_exceeded" || alarms.Alarms[0].Since == "" || alarms.Alarms[1].Count != 2 || alarms.Alarms[1].Since != "" {
		t.Errorf("alarms: %+v", alarms.Alarms)
	}
	if got := w.call(house, http.MethodGet, "/api/v1/alarms", nil); got.status != http.StatusForbidden {
		t.Errorf("alarms for an agency: %d", got.status)
	}
}

// TestAnAdmissionSaysWhatIsSigned: people agree to kinds and a level, and those are what
// the agency signs, also where an order leaves them to its class.
func TestAnAdmissionSaysWhatIsSigned(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct {
		signs any
		want  string
	}{
		{nil, "appointment document identity opinion reliance screening reasonable_grounds"},
		{map[string]any{"kinds": []string{}, "level": "preliminary_screening"}, "appointment document identity opinion reliance screening preliminary_screening"},
		{map[string]any{"kinds": []string{"opinion"}}, "opinion "},
	} {
		order := map[string]any{"name": "House number " + strings.Repeat("i", i+1), "class": "NGO", "country": "KHM", "desk": "+855 00 000 009"}
		if c.signs != nil {
			order["signs"] = c.signs
		}
		var asked asked
		w.into(w.call(w.operator, http.MethodPost, "/api/v1/agencies", order), http.StatusAccepted, &asked)
		var said []string
		level := ""
		for _, l := range asked.Request.Lines {
			switch {
			case strings.HasPrefix(l.At, "what.kinds"):
				said = append(said, l.Value)
			case l.At == "what.level":
				level = l.Value
			}
		}
		if got := strings.Join(append(said, level), " "); got != c.want {
			t.Errorf("%v: the act says %q, want %q", c.signs, got, c.want)
		}
	}
}

// TestWhoseKey: an order for another key says whose, where that is not clear, and not where
// it is the network's.
func TestWhoseKey(t *testing.T) {
	w := newWorld(t)
	w.admit("Lotus", "NGO", "KHM", "supervisor")
	for name, c := range map[string]struct {
		use, agency string
		status      int
		want        string
	}{
		"an agency's":                    {"agency", "", 422, "/agency required"},
		"the network's, with an agency":  {"log", w.agency["Lotus"], 422, "/agency not_allowed"},
		"of an agency that there is not": {"agency", randomID(), 404, ""},
		"the network's":                  {"trust", "", 202, ""},
		"an agency's, named":             {"agency", w.agency["Lotus"], 202, ""},
	} {
		order := map[string]string{"use": c.use}
		if c.agency != "" {
			order["agency"] = c.agency
		}
		got := w.call(w.operator, http.MethodPost, "/api/v1/ceremonies", order)
		if _, problems := problemsOf(t, got); got.status != c.status || strings.Join(problems, ", ") != c.want {
			t.Errorf("%s: %d %q, want %d %q", name, got.status, problems, c.status, c.want)
		}
	}
}
