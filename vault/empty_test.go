package vault_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault"
)

// TestEmptyTexts: an empty text in a document is as if the member were not there: the same
// is said against it, and the same is kept.
func TestEmptyTexts(t *testing.T) {
	d := passport()
	d.CustomType, d.IssueDate, d.IssuingAuthority = private.New("Blue book"), private.New("2002-04-15"), private.New("Passport office")
	d.MRZFormat, d.RecordStatus = "TD3", "active"
	d.Loss.PlaceCountry, d.Loss.PlaceCity, d.Loss.EmbassyNotified = private.New("THA"), private.New("Mae Sot"), "no"
	d.Loss.PoliceReport.Ref, d.Loss.PoliceReport.Date, d.Loss.ReviewDate = private.New("7/26"), private.New("2026-01-02"), "2026-05-01"
	whole, err := private.RevealJSON(d)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(whole, &all); err != nil {
		t.Fatal(err)
	}
	read := func() (problems string, kept []byte) {
		t.Helper()
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		d, err := vault.ParseDocument(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Validate(time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)); err != nil {
			problems = err.Error()
		}
		if kept, err = private.RevealJSON(d); err != nil {
			t.Fatal(err)
		}
		return problems, kept
	}
	cases := 0
	var walk func(v map[string]any, at string)
	walk = func(v map[string]any, at string) {
		for _, member := range slices.Sorted(maps.Keys(v)) {
			switch text := v[member].(type) {
			case map[string]any:
				walk(text, at+"/"+member)
			case string:
				delete(v, member)
				problems, kept := read()
				v[member] = ""
				gotProblems, gotKept := read()
				if gotProblems != problems {
					t.Errorf("%s/%s: %q of an empty text, %q where there is none", at, member, gotProblems, problems)
				}
				if !bytes.Equal(kept, gotKept) {
					t.Errorf("%s/%s: an empty text is kept: %s", at, member, gotKept)
				}
				v[member] = text
				cases++
			}
		}
	}
	walk(all, "")
	if cases < 25 {
		t.Errorf("%d texts", cases)
	}
}
