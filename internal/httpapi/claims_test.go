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
	at := w.cases(ngo)
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

// TestOneRound: what is wrong with values comes in one answer, whether the contract or
// a room says so. Only what cannot be read at all comes before how it goes together.
func TestOneRound(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at := w.cases(ngo)
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{
			"values of claims", at + "/attestations",
			`{"kind":"appointment","claims":{"purpose":"dance","day":"2026-2-30","country":"kh","office":""}}`,
			422, "/claims/purpose not_in_list, /claims/office required, /claims/country format, /claims/day format",
		},
		{
			"values and how they go together", at + "/attestations",
			`{"kind":"identity","claims":{"names":[],"sex":"m","dob":{"value":"1990","precision":"century"},"citizenship":["KHM","KHM"],"assurance":"mission_confirmed","claim_status":"open"}}`,
			422, "/claims/names required, /claims/dob/precision not_in_list, /claims/sex not_in_list, /claims/citizenship/1 duplicate, /claims/assurance inconsistent",
		},
		{
			"values of a record", at + "/documents",
			`{"kind":"PAPER","custom_type":"a paper","issuing_state":"Cambodia","mrz":"P<","loss_report":{"event":"gone","embassy_consent":"x"}}`,
			422, "/kind not_in_list, /issuing_state format, /loss_report/event not_in_list, /loss_report/embassy_consent format, /custom_type not_allowed, /mrz mrz_line_count, /loss_report/embassy_consent not_allowed",
		},
		{
			"values of a card", at + "/cards", `{"name":"អាមីណា","birth_date":"1990-05","nationality":"kh"}`,
			422, "/birth_date format, /nationality format, /name format",
		},
		{
			"a type, a member, and what the contract says of the rest", at + "/attestations",
			`{"kind":"appointment","valid_until":"2026-02-30","claims":{"purpose":"dance","office":7,"window":"","when":"now"}}`,
			400, "/claims unknown_field, /claims/day required, /claims/office type, /claims/purpose not_in_list, /claims/window length, /valid_until format",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.call(ngo, "POST", c.path, c.body)
			_, problems := problemsOf(t, got)
			if c.status == 400 {
				slices.Sort(problems) // the validator goes by no order
			}
			if s := strings.Join(problems, ", "); got.status != c.status || s != c.want {
				t.Errorf("got %d\n%s, want %d\n%s", got.status, s, c.status, c.want)
			}
		})
	}
}

// TestNamesAreJudgedAlike: what an attestation takes, a record takes, and the
// other way round.
func TestNamesAreJudgedAlike(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at := w.cases(ngo)
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
	at := w.cases(ngo)
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
