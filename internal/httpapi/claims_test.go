package httpapi_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// problemsOf lists the code of a problem document, and where it points.
func problemsOf(t *testing.T, got answer) (code string, at []string) {
	t.Helper()
	var p struct {
		Code     string
		Problems []struct{ Pointer, Code, Rule string }
	}
	if err := json.Unmarshal(got.body, &p); err != nil {
		t.Fatal(err)
	}
	for _, one := range p.Problems {
		at = append(at, one.Pointer+" "+one.Code)
	}
	return p.Code, at
}

// TestWhatIsMissingIsToldAtOnce: what claims need stands in the contract, and is
// told by the room that has the rules, with everything else that is wrong.
func TestWhatIsMissingIsToldAtOnce(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", map[string]any{}), 201, &made)
	at := "/api/v1/cases/" + made.ID
	for _, c := range []struct{ name, path, body, want string }{
		{
			"an identity", at + "/attestations",
			`{"kind":"identity","claims":{"names":[{"full":"` + strings.Repeat("a", 201) + `","type":"used"}],"assurance":"mission_confirmed"}}`,
			"/claims/names/0/script required, /claims/names/0/full too_long, /claims/claim_status required, /claims/assurance inconsistent",
		},
		{
			"a document", at + "/attestations", `{"kind":"document","claims":{"document_kind":"OTHER"}}`,
			"/claims/issuing_state required, /claims/custody required, /claims/record_status required, /claims/custom_type required",
		},
		{
			"a record", at + "/documents", `{"birth_date":"2540-05-01","holder_names":"` + strings.Repeat("a", 201) + `"}`,
			"/kind required, /issuing_state required, /holder_names too_long, /birth_date range",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.call(ngo, "POST", c.path, c.body)
			code, problems := problemsOf(t, got)
			if s := strings.Join(problems, ", "); got.status != 422 || code != "input_refused" || s != c.want {
				t.Errorf("got %d %s\n%s, want 422\n%s", got.status, code, s, c.want)
			}
		})
	}
}

// TestNamesAreJudgedAlike: what an attestation takes, a record takes, and the
// other way round.
func TestNamesAreJudgedAlike(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", map[string]any{}), 201, &made)
	at := "/api/v1/cases/" + made.ID
	for name, want := range map[string]int{
		"សុខ\u200bសំណាង": 201, " Ann ": 201, "Ann\u200f": 201, "\u202aAnn\u202c": 201, "عبد الله": 201,
		"An\u202en": 422, "An\u0007n": 422, "...": 422, strings.Repeat("ស", 200): 201, strings.Repeat("ស", 201): 422,
	} {
		t.Run(name, func(t *testing.T) {
			attested := w.call(ngo, "POST", at+"/attestations", map[string]any{"kind": "identity", "claims": map[string]any{
				"names":     []map[string]any{{"script": "Zyyy", "full": name, "type": "used"}},
				"assurance": "self_asserted", "claim_status": "open",
			}})
			kept := w.call(ngo, "POST", at+"/documents", map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "holder_names": name})
			if attested.status != want || kept.status != want {
				t.Errorf("%+q: attested %d, kept %d, want %d", name, attested.status, kept.status, want)
			}
		})
	}
	for n, want := range map[int]int{3000: 201, 4000: 201, 4001: 422} {
		note := strings.Repeat("a", n)
		attested := w.call(ngo, "POST", at+"/attestations", map[string]any{"kind": "document", "claims": map[string]any{
			"document_kind": "PASSPORT", "issuing_state": "UTO", "custody": "unknown", "record_status": "active",
			"loss": map[string]any{"event": "lost", "embassy_notified": "no", "sltd_requested": "no", "circumstances": note},
		}})
		kept := w.call(ngo, "POST", at+"/documents", map[string]any{"kind": "PASSPORT", "issuing_state": "UTO",
			"loss_report": map[string]any{"event": "lost", "circumstances": note}})
		if attested.status != want || kept.status != want {
			t.Errorf("a note of %d: attested %d, kept %d, want %d", n, attested.status, kept.status, want)
		}
	}
	// What nobody sees is not kept.
	var id struct{ ID string }
	w.into(w.call(ngo, "POST", at+"/documents", map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "holder_names": " Ann Mary\u200b"}), 201, &id)
	var read struct {
		Record struct {
			HolderNames string `json:"holder_names"`
		}
	}
	w.into(w.call(ngo, "GET", "/api/v1/documents/"+id.ID, nil), 200, &read)
	if read.Record.HolderNames != "Ann Mary" {
		t.Errorf("kept as %+q", read.Record.HolderNames)
	}
}

// TestBuddhistYears: a year as papers of Thailand and Cambodia print it is
// refused wherever it is written, with a hint and without the year.
func TestBuddhistYears(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", map[string]any{}), 201, &made)
	at := "/api/v1/cases/" + made.ID
	for _, c := range []struct {
		path, pointer string
		body          map[string]any
	}{
		{at + "/attestations", "/claims/dob/value range", map[string]any{"kind": "identity", "claims": map[string]any{
			"names": []map[string]any{{"script": "Latn", "full": "Ann", "type": "used"}}, "assurance": "self_asserted", "claim_status": "open",
			"dob": map[string]any{"value": "2541-05-01", "precision": "day"},
		}}},
		{at + "/documents", "/birth_date range", map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "birth_date": "2541-05-01"}},
		{at + "/documents", "/expiry_date range", map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "expiry_date": "2575"}},
		{at + "/cards", "/birth_date range", map[string]any{"name": "ANN", "birth_date": "25410501"}},
		{at + "/cards", "/birth_date range", map[string]any{"name": "ANN", "birth_date": "2541"}},
	} {
		got := w.call(ngo, "POST", c.path, c.body)
		_, problems := problemsOf(t, got)
		if got.status != 422 || !slices.Equal(problems, []string{c.pointer}) || !strings.Contains(string(got.body), "2540 there is 1997 here") ||
			strings.Contains(string(got.body), "2541") || strings.Contains(string(got.body), "2575") {
			t.Errorf("%s: got %d %s", c.pointer, got.status, got.body)
		}
	}
}
