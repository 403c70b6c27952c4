package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// TestDocumentsAreFresh: what the documents repeat of package claims is what it
// says today.
func TestDocumentsAreFresh(t *testing.T) {
	for _, d := range documents {
		old, err := os.ReadFile(filepath.Join("../..", d.name))
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := d.fresh(old)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(old, fresh) {
			t.Errorf("%s is not what package claims says: run make generate, and read the difference", d.name)
		}
	}
}

func TestAPlaceIsNeeded(t *testing.T) {
	for _, d := range documents {
		for _, old := range []string{"", d.begin[:len(d.begin)-1], d.end} {
			if _, err := d.fresh([]byte(old)); err == nil {
				t.Errorf("%s: %q has a place", d.name, old)
			}
		}
	}
}

// TestEveryKindIsInTheContract: each has its order, and an answer where it is
// about another attestation; each object is closed and says what it needs.
func TestEveryKindIsInTheContract(t *testing.T) {
	text := string(schemas())
	for _, k := range claims.Kinds() {
		for _, want := range []string{
			"    " + order(k) + ":\n", "          " + string(k.Kind) + ": '" + schemaRef + order(k) + "'\n", "    " + typeOf(k).Name() + ":\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the contract has no %q", k.Kind, want)
			}
		}
		if got := strings.Contains(text, "    "+answer(k)+":\n"); got != k.Answers {
			t.Errorf("%s: an answer is %v, want %v", k.Kind, got, k.Answers)
		}
	}
	if got, want := strings.Count(text, "type: object\n"), strings.Count(text, "additionalProperties: false\n"); got != want || got < 30 {
		t.Errorf("%d objects, %d of them closed", got, want)
	}
	if !strings.Contains(text, "    Opinion:\n      type: object\n      additionalProperties: false\n      required: [opinion, authority_class, date]\n") {
		t.Error("the contract does not say what an opinion needs")
	}
}

// TestListsInTheContract: wherever the contract names a list of the vocabulary,
// also where nothing is made from it, it has that list's values.
func TestListsInTheContract(t *testing.T) {
	contract, err := os.ReadFile("../../docs/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`x-vocabulary: (\w+),?\s+enum: \[([^\]]*)\]`).FindAllStringSubmatch(string(contract), -1) {
		seen[m[1]]++
		got := strings.Split(strings.ReplaceAll(m[2], "'", ""), ", ")
		if want := claims.Values(m[1]); !slices.Equal(got, want) {
			t.Errorf("list %s: got %q, want %q", m[1], got, want)
		}
	}
	if n := strings.Count(string(contract), "x-vocabulary: "); n < 60 || len(seen) < 50 {
		t.Errorf("%d uses of %d lists: the reading is broken", n, len(seen))
	}
	for list, n := range map[string]int{"sharing_purpose": 1, "org_type": 2, "document_kind": 4, "circumstance": 2, "consent_method": 2} {
		if seen[list] != n {
			t.Errorf("list %s is used %d times, want %d", list, seen[list], n)
		}
	}
}
