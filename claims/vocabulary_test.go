package claims_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
)

func TestVocabularyIsWhole(t *testing.T) {
	marks := []string{claims.MarkRead, claims.MarkExcerpt, claims.MarkKnown, claims.MarkComputed, claims.MarkOurs}
	code := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	names := map[string]bool{}
	for _, l := range claims.Lists() {
		if names[l.Name] || l.Source == "" || l.CodeSystem == "" || len(l.Values) == 0 || !slices.Contains(marks, l.Mark) {
			t.Errorf("list %q is not whole: %+v", l.Name, l)
		}
		names[l.Name] = true
		seen := map[string]bool{}
		for _, v := range l.Values {
			if seen[v] || !code.MatchString(v) {
				t.Errorf("list %s: value %q", l.Name, v)
			}
			seen[v] = true
			if strings.HasPrefix(v, "x_") != (l.ValueMarks[v] == claims.MarkOurs) {
				t.Errorf("list %s: %s: our additions begin with x_ and are marked", l.Name, v)
			}
		}
		for v, m := range l.ValueMarks {
			if !seen[v] || !slices.Contains(marks, m) {
				t.Errorf("list %s: mark of %q", l.Name, v)
			}
		}
	}
	for _, o := range claims.Observables() {
		a := claims.DimensionResults(nil, "")
		for _, code := range o.Suggests {
			a = claims.DimensionResults([]claims.Indicator{{Code: code}}, "")
			if !slices.ContainsFunc(a.Dimensions[:], func(d claims.DimensionResult) bool { return d.Result != claims.NotAssessed }) {
				t.Errorf("observable %s suggests %q, which is no indicator", o.Code, code)
			}
		}
		if len(o.Suggests) == 0 || o.Label == "" || o.Source == "" || !slices.Contains(marks, o.Mark) {
			t.Errorf("observable %q is not whole", o.Code)
		}
	}
}

// What the standards fix is fixed here a second time, so that a slip in the
// data file does not pass.
func TestSizesOfStandardLists(t *testing.T) {
	want := map[string]int{
		"trafficking_status": 3, "decision_level": 4, "authority_class": 5 + 3, "standard_of_evidence": 4, "tool": 7, "act": 5, "means": 9,
		"purpose": 11 + 1, "methods_of_control": 16, "method_of_recruitment": 10, "website_or_app": 15, "forced_labour_industry": 21,
		"type_of_sex_exploitation": 4, "org_type": 9 + 3, "gender": 6, "document_kind": 15, "ilo_forced_labour_sign": 11, "loss_event": 9,
		"sltd_equivalent": 4, "custody": 10, "evidence_type": 11, "mrz_format": 5,
	}
	got := map[string]int{}
	for _, l := range claims.Lists() {
		if _, ok := want[l.Name]; ok {
			got[l.Name] = len(l.Values)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got, want:\n%s", diff)
	}
}

func TestIndicators(t *testing.T) {
	dimensions := [6]int{}
	strengths := [6]map[string]int{}
	codes := map[string]bool{}
	shape := regexp.MustCompile(`^d[1-6]_[a-z]+(_[a-z]+)*$`)
	for _, x := range claims.Indicators() {
		if codes[x.Code] || !shape.MatchString(x.Code) || !strings.HasPrefix(x.Code, fmt.Sprintf("d%d_", x.Dimension)) {
			t.Fatalf("code %q", x.Code)
		}
		codes[x.Code] = true
		i := x.Dimension - 1
		dimensions[i]++
		if strengths[i] == nil {
			strengths[i] = map[string]int{}
		}
		strengths[i][x.Strength]++
		phase := "destination"
		if x.Dimension <= 3 {
			phase = "recruitment"
		}
		if x.Phase != phase || x.Label == "" || x.Source == "" || x.Mark == "" {
			t.Errorf("%s is not whole: %+v", x.Code, x)
		}
	}
	if want := [6]int{10, 10, 16, 9, 15, 7}; dimensions != want || len(codes) != 67 {
		t.Errorf("got %v, %d in all, want %v, 67 in all", dimensions, len(codes), want)
	}
	want := [6]map[string]int{
		{"S": 1, "M": 8, "W": 1}, {"S": 1, "M": 9}, {"M": 14, "W": 2}, {"S": 1, "M": 7, "W": 1}, {"S": 4, "M": 10, "W": 1}, {"M": 5, "W": 2},
	}
	if diff := cmp.Diff(strengths, want); diff != "" {
		t.Errorf("strengths: got, want:\n%s", diff)
	}
}

func TestListsAreCopies(t *testing.T) {
	claims.Lists()[0].Values[0] = "changed"
	for _, l := range claims.Lists() {
		if l.ValueMarks != nil {
			l.ValueMarks["changed"] = "R"
		}
	}
	claims.Observables()[0].Suggests[0] = "changed"
	if claims.Lists()[0].Values[0] == "changed" || claims.Observables()[0].Suggests[0] == "changed" {
		t.Error("a caller can change the vocabulary")
	}
	for _, l := range claims.Lists() {
		if l.ValueMarks["changed"] != "" {
			t.Error("a caller can change the marks")
		}
	}
}
