package claims_test

import (
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// TestStates: whichever code of a state is asked for, it is the same state, and
// no code is that of two.
func TestStates(t *testing.T) {
	for _, pair := range [][2]string{
		{"RKS", "XKX"}, {"D", "DEU"}, {"ROM", "ROU"}, {"ZAR", "COD"}, {"TMP", "TLS"}, {"BUR", "MMR"}, {"GBO", "GBR"}, {"HKG", "CHN"},
	} {
		a, b := claims.StateCodes(pair[0]), claims.StateCodes(pair[1])
		if !slices.Equal(a, b) || !slices.Contains(a, pair[0]) || !slices.Contains(a, pair[1]) || claims.State(pair[0]) != claims.State(pair[1]) {
			t.Errorf("%v: %v and %v", pair, a, b)
		}
	}
	for _, one := range []string{"KHM", "THA", "UTO", "XXX", ""} {
		if got := claims.StateCodes(one); len(got) != 1 || got[0] != one || claims.State(one) != one {
			t.Errorf("%s: %v", one, got)
		}
	}
	// What an organisation issues says nothing about where its bearer is from.
	police := claims.Recipient{Class: "LawEnforcement", Country: "THA"}
	if !(claims.Origin{Shown: []string{"UNO"}, Host: "KHM"}).Involves(police) {
		t.Error("a document of the United Nations makes the nationality known")
	}
	if (claims.Origin{Shown: []string{"XKX"}, Host: "KHM"}).Involves(police) {
		t.Error("XKX was taken for no state")
	}
}
