package claims_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// TestSigning is the whole table of who signs what: class, kinds by their first two
// letters, and the levels of a screening.
func TestSigning(t *testing.T) {
	const all = "sc ap id do op re" // and no reply
	want := map[string][2]string{
		"NGO":                           {all, "12"},
		"LawEnforcement":                {"op re", ""},
		"HealthServiceOrganisation":     {all, "1"},
		"CentralGovernmentOrganisation": {all, "1234"},
		"LocalGovernmentOrganisation":   {all, "12"},
		"ImmigrationService":            {"op re", ""},
		"LegalService":                  {all, "1"},
		"CorporateBusiness":             {"", ""},
		"SchoolOrCollege":               {"op re", ""},
		"x_DiplomaticMission":           {"op answer", ""},
		"x_InternationalOrganisation":   {all, "12"},
		"x_Shelter":                     {all, "1"},
		"Bank":                          {"", ""},
		"":                              {"", ""},
	}
	for class, w := range want {
		s := claims.SigningOf(class)
		var kinds []string
		for _, terms := range claims.Kinds() {
			switch {
			case !s.May(terms.Kind):
			case terms.Kind == claims.KindReply:
				kinds = append(kinds, "answer")
			default:
				kinds = append(kinds, string(terms.Kind)[:2])
			}
		}
		var levels strings.Builder
		for i, level := range claims.Values("decision_level") {
			if s.Reaches(level) {
				levels.WriteByte(byte('1' + i))
			}
		}
		if got := [2]string{strings.Join(kinds, " "), levels.String()}; got != w {
			t.Errorf("%s: signs %q, want %q", class, got, w)
		}
		for _, other := range []string{"", "x", "Formal_identification"} {
			if s.Reaches(other) {
				t.Errorf("%s: the level %q is reached", class, other)
			}
		}
		if s.May("card") || s.May("") {
			t.Errorf("%s: signs what is no attestation", class)
		}
	}
	document, err := os.ReadFile(filepath.Join("..", "docs", "vocabulary.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range claims.SigningClasses() {
		s := claims.SigningOf(class)
		kinds, level := []string{}, "none"
		for _, kind := range s.Kinds {
			kinds = append(kinds, "`"+string(kind)+"`")
		}
		if len(kinds) == 0 {
			kinds = []string{"none"}
		}
		if s.Level != "" {
			level = "`" + s.Level + "`"
		}
		if row := "| `" + class + "` | " + strings.Join(kinds, ", ") + " | " + level + " |\n"; !strings.Contains(string(document), row) {
			t.Errorf("docs/vocabulary.md, Who signs what, lacks %s", row)
		}
	}
	if listed := slices.Sorted(slices.Values(claims.Values("org_type"))); !slices.Equal(claims.SigningClasses(), listed) {
		t.Errorf("the table has the classes %v, the vocabulary %v", claims.SigningClasses(), listed)
	}
}
