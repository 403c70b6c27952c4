package claims_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// TestEmptyTexts: an empty text is as if the member were not there: the same is said against
// it, and the same is signed. In a list it is refused.
func TestEmptyTexts(t *testing.T) {
	cases := 0
	for name, c := range samples() {
		whole, err := claims.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		read := func(v any) ([]invalid.Problem, []byte) {
			t.Helper()
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			c, err := claims.Decode(c.Kind(), data)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			signed, err := claims.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			return found(c), signed
		}
		var all any
		if err := json.Unmarshal(whole, &all); err != nil {
			t.Fatal(err)
		}
		var walk func(v any, at string)
		walk = func(v any, at string) {
			switch v := v.(type) {
			case map[string]any:
				for _, member := range slices.Sorted(maps.Keys(v)) {
					text, ok := v[member].(string)
					if !ok {
						walk(v[member], at+"/"+member)
						continue
					}
					delete(v, member)
					problems, signed := read(all)
					v[member] = ""
					gotProblems, gotSigned := read(all)
					if diff := cmp.Diff(problems, gotProblems); diff != "" {
						t.Errorf("%s, %s/%s: what is said of an empty text:\n%s", name, at, member, diff)
					}
					// What is refused is not signed, however it would be written.
					if len(problems) == 0 && !bytes.Equal(signed, gotSigned) {
						t.Errorf("%s, %s/%s: an empty text is signed: %s", name, at, member, gotSigned)
					}
					v[member] = text
					cases++
				}
			case []any:
				for i := range v {
					text, ok := v[i].(string)
					if !ok {
						walk(v[i], invalid.At(at, i))
						continue
					}
					v[i] = ""
					if problems, _ := read(all); len(problems) == 0 {
						t.Errorf("%s, %s: an empty text in a list is taken", name, invalid.At(at, i))
					}
					v[i] = text
					cases++
				}
			}
		}
		walk(all, "")
	}
	if cases < 100 {
		t.Errorf("%d texts: they do not show much", cases)
	}
}
