package credentials

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// envelopeMembers are the member names that the signed form of every
// attestation adds to the claims. No claims have a member of that name.
var envelopeMembers = []string{"attestation_id", "kind", "about", "supersedes", "iss", "iat", "exp", "vct", "status", "cnf"}

// A member of claims with a name of the envelope would be two members of one
// signed object.
func TestNoMemberHasAnEnvelopeName(t *testing.T) {
	seen := 0
	for _, terms := range claims.Kinds() {
		kind := terms.Kind
		c, err := claims.New(kind)
		if err != nil {
			t.Fatal(err)
		}
		typ := reflect.TypeOf(c).Elem()
		// RFC 9901 §4.2.4.1 reserves these two names as well.
		reserved := append([]string{"_sd", "..."}, envelopeMembers...)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name == "" || slices.Contains(reserved, name) {
				t.Errorf("%s has a member %q", kind, name)
			}
			seen++
		}
		// The envelope discloses up to four members of its own.
		if typ.NumField()+4 > digests {
			t.Errorf("%s has %d members, more than there are digests", kind, typ.NumField())
		}
	}
	if seen == 0 {
		t.Error("no member was looked at")
	}
}
