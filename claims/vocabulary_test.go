package claims_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

var updateVocabulary = flag.Bool("update-vocabulary", false, "rewrite the generated part of docs/vocabulary.md")

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
	for _, x := range claims.ListedIndicators() {
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

func TestToConfirm(t *testing.T) {
	open := claims.ToConfirm()
	for _, u := range open {
		if u.Mark != claims.MarkExcerpt && u.Mark != claims.MarkKnown || u.Source == "" || u.List == "" {
			t.Errorf("got %+v", u)
		}
	}
	for _, want := range []claims.Unconfirmed{
		{List: "act", Source: "Palermo Protocol (2000), article 3(a)", Mark: "K"},
		{List: "forced_labour_industry", Value: "B_MiningAndQuarrying", Source: "HTCDS 2.0 (IOM, CC BY 4.0)", Mark: "K"},
	} {
		if !slices.Contains(open, want) {
			t.Errorf("%+v is not there", want)
		}
	}
	indicators := 0
	for _, u := range open {
		if u.List == "indicators" {
			indicators++
		}
	}
	if indicators != 67 {
		t.Errorf("got %d indicators to confirm, want all 67", indicators)
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

const (
	vocabularyDoc = "../docs/vocabulary.md"
	generatedMark = "<!-- From here on generated: go test ./claims -run TestVocabularyDoc -update-vocabulary -->\n"
)

// TestVocabularyDoc rebuilds the generated part of docs/vocabulary.md and
// compares it with what is there.
func TestVocabularyDoc(t *testing.T) {
	doc, err := os.ReadFile(vocabularyDoc)
	if err != nil {
		t.Fatal(err)
	}
	prose, there, found := strings.Cut(string(doc), generatedMark)
	want := generated(t)
	if *updateVocabulary {
		if err := os.WriteFile(vocabularyDoc, []byte(strings.TrimRight(prose, "\n")+"\n\n"+generatedMark+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found {
		t.Fatalf("docs/vocabulary.md has no generated part: %s", generatedMark)
	}
	if diff := cmp.Diff(there, want); diff != "" {
		t.Errorf("docs/vocabulary.md is not what the vocabulary says; got, want:\n%s", diff)
	}
}

// generated writes members, lists, indicators and what is to be confirmed.
func generated(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("\n## Members\n\nMembers of the claims of each kind. *private* is text about a person, which never prints.\n")
	for _, kind := range claimKinds {
		c, err := claims.New(kind)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n### Claims of kind %s\n\n| member | holds | list |\n|---|---|---|\n", kind)
		memberRows(&b, reflect.TypeOf(c), "")
	}
	b.WriteString("\n## Code lists\n\nA mark in brackets is of that value alone.\n")
	for _, l := range claims.Lists() {
		fmt.Fprintf(&b, "\n### List %s\n\nSource: %s. Mark: %s. Code system: %s.", l.Name, l.Source, l.Mark, l.CodeSystem)
		if l.Note != "" {
			b.WriteString(" " + strings.TrimSuffix(l.Note, ".") + ".")
		}
		values := slices.Clone(l.Values)
		for i, v := range values {
			values[i] = "`" + v + "`"
			if m := l.ValueMarks[v]; m != "" {
				values[i] += " (" + m + ")"
			}
		}
		fmt.Fprintf(&b, "\n\n%s\n", strings.Join(values, ", "))
	}
	b.WriteString("\n## Indicators\n\nStrengths for adults and labour exploitation: S strong, M medium, W weak. The labels are ours, close to the source's.\n\n| code | dimension | strength | phase | label | mark |\n|---|---|---|---|---|---|\n")
	for _, x := range claims.ListedIndicators() {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s | %s |\n", x.Code, x.Dimension, x.Strength, x.Phase, x.Label, x.Mark)
	}
	b.WriteString("\n## Observables\n\nWhat people from scam compounds often tell, with the indicators that a form may offer because of it. Not signed.\n\n| code | label | suggests | mark |\n|---|---|---|---|\n")
	for _, o := range claims.Observables() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", o.Code, o.Label, strings.Join(o.Suggests, "` `"), o.Mark)
	}
	b.WriteString("\n## To be confirmed against the source\n\n")
	open := map[string][]string{}
	for _, u := range claims.ToConfirm() {
		what := "list " + u.List
		if u.Value != "" {
			what = "`" + u.Value + "`"
		}
		key := "mark " + u.Mark + ", " + u.Source
		open[key] = append(open[key], what)
	}
	for _, key := range slices.Sorted(maps.Keys(open)) {
		fmt.Fprintf(&b, "- %s: %s\n", key, strings.Join(open[key], ", "))
	}
	return b.String()
}

func memberRows(b *bytes.Buffer, t reflect.Type, prefix string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		list, typ, many := f.Tag.Get("list"), f.Type, ""
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			if typ.Kind() == reflect.Slice {
				many = "list of "
				name += "[]"
			}
			typ = typ.Elem()
		}
		holds := ""
		switch {
		case typ == reflect.TypeFor[private.String]():
			holds = "private"
		case typ == reflect.TypeFor[claims.Day]():
			holds = "day"
		case typ.Kind() == reflect.Bool:
			holds = "yes or no"
		case typ.Kind() == reflect.Int:
			holds = "number"
		case list != "":
			holds = "code"
		case typ.Kind() == reflect.String:
			holds = "text"
		}
		if typ.Kind() == reflect.Struct && holds == "" {
			memberRows(b, typ, prefix+name+".")
			continue
		}
		if list != "" {
			list = "[" + list + "](#list-" + list + ")"
		}
		fmt.Fprintf(b, "| `%s%s` | %s%s | %s |\n", prefix, name, many, holds, list)
	}
}
