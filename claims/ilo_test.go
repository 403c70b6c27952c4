package claims_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// marked returns n indicators of each strength in a dimension, or ok false
// when the list has fewer.
func marked(dimension, s, m, w int) (out []claims.Indicator, ok bool) {
	left := map[string]int{"S": s, "M": m, "W": w}
	for _, x := range claims.Indicators() {
		if x.Dimension == dimension && left[x.Strength] > 0 {
			left[x.Strength]--
			out = append(out, claims.Indicator{Code: x.Code, Basis: "reported"})
		}
	}
	return out, left["S"]+left["M"]+left["W"] == 0
}

// TestThresholds goes through every number of indicators that the list allows.
func TestThresholds(t *testing.T) {
	cases := 0
	for dimension := 1; dimension <= 6; dimension++ {
		for s := range 5 {
			for m := range 16 {
				for w := range 4 {
					given, ok := marked(dimension, s, m, w)
					if !ok {
						continue
					}
					cases++
					want := claims.Negative
					// The rule as vocabulary.json's source writes it.
					if s >= 2 || s >= 1 && m+w >= 1 || m >= 3 || m >= 2 && w >= 1 {
						want = claims.Positive
					}
					if s+m+w == 0 {
						want = claims.NotAssessed
					}
					// Repetitions and unknown codes count nothing.
					given = append(given, given...)
					given = append(given, claims.Indicator{Code: "d1_unknown", Strength: "S"})
					d := claims.DimensionResults(given, "no").Dimensions[dimension-1]
					if d.Result != want || d.Strong != s || d.Medium != m || d.Weak != w || d.Dimension != dimension {
						t.Errorf("dimension %d with %d S, %d M, %d W: got %+v, want %s", dimension, s, m, w, d, want)
					}
					if (d.Threshold != "") != (want == claims.Positive) || !strings.Contains(d.Explanation, fmt.Sprintf("%d strong, %d medium, %d weak", s, m, w)) {
						t.Errorf("dimension %d with %d S, %d M, %d W: explained as %q, %q", dimension, s, m, w, d.Threshold, d.Explanation)
					}
				}
			}
		}
	}
	if cases < 100 {
		t.Errorf("only %d cases", cases)
	}
	t.Logf("%d cases", cases)
}

func TestStrengthIsTakenFromTheList(t *testing.T) {
	given := []claims.Indicator{{Code: "d1_education", Strength: "S", Dimension: 4}, {Code: "d1_wages", Strength: "S", Dimension: 4}}
	a := claims.DimensionResults(given, "no")
	if a.Dimensions[0].Result != claims.Negative || a.Dimensions[3].Result != claims.NotAssessed {
		t.Errorf("got %+v", a)
	}
}

// state makes a dimension come to p positive, n negative, or - not assessed.
func state(t *testing.T, dimension int, want byte) []claims.Indicator {
	t.Helper()
	s, m := 0, 0
	switch want {
	case 'p':
		m = 3
	case 'n':
		m = 1
	}
	given, ok := marked(dimension, s, m, 0)
	if !ok {
		t.Fatal("the list has too few indicators")
	}
	return given
}

func TestOutcome(t *testing.T) {
	const (
		met, not, not2, age = claims.RuleMet, claims.RuleNotMet, claims.NotEnoughAssessed, claims.DependsOnAge
	)
	for _, tt := range []struct{ dimensions, adult, child, unknown string }{
		{"pnnppn", met, met, met},    // deceptive recruitment
		{"npnppn", met, met, met},    // coercive recruitment
		{"nnpppn", met, met, met},    // abuse of vulnerability stands in
		{"nnnppp", met, met, met},    // also at the destination
		{"p--pp-", met, met, met},    // the rest need not be known
		{"nnnppn", not, met, age},    // no means
		{"pnnpnn", not, met, age},    // no coercion at the destination
		{"pnnnpn", not, not, not},    // no exploitation
		{"ppp-pp", not2, not2, not2}, // nobody asked about exploitation
		{"ppppnp", not, met, age},    //
		{"pppp-p", not2, met, age},   //
		{"---pp-", not2, met, age},   //
		{"nn-ppn", not2, met, age},   //
		{"------", not2, not2, not2}, // nothing was asked
		{"nnnnnn", not, not, not},    //
		{"nnn-nn", not, not2, not2},  //
		{"---n--", not, not, not},    //
		{"p---n-", not, not2, not2},  //
	} {
		t.Run(tt.dimensions, func(t *testing.T) {
			var given []claims.Indicator
			for i := range 6 {
				given = append(given, state(t, i+1, tt.dimensions[i])...)
			}
			for minor, want := range map[string]string{"no": tt.adult, "yes": tt.child, "unknown": tt.unknown, "": tt.unknown} {
				a := claims.DimensionResults(given, minor)
				if a.Outcome != want || a.RuleVersion != claims.RuleVersion || a.Explanation == "" {
					t.Errorf("%s, minor %q: got %s (%s), want %s", tt.dimensions, minor, a.Outcome, a.Explanation, want)
				}
				if suggests := a.Suggests(); (suggests == claims.StatusPossible) != (want == met) || suggests != "" && want != met {
					t.Errorf("%s, minor %q: suggests %q", tt.dimensions, minor, suggests)
				}
			}
		})
	}
}

func TestDiffers(t *testing.T) {
	for outcome, want := range map[string][3]bool{
		claims.RuleMet: {false, false, true}, claims.RuleNotMet: {true, true, false},
		claims.NotEnoughAssessed: {}, claims.DependsOnAge: {},
	} {
		for i, status := range []string{claims.StatusPossible, claims.StatusActual, claims.StatusNot} {
			if got := (claims.Assessment{Outcome: outcome}).Differs(status); got != want[i] {
				t.Errorf("%s, %s: got %v, want %v", outcome, status, got, want[i])
			}
		}
	}
}

func ExampleDimensionResults() {
	a := claims.DimensionResults([]claims.Indicator{
		{Code: "d1_nature_location_employer"}, {Code: "d1_wages"},
		{Code: "d4_excessive_hours"}, {Code: "d4_low_no_salary"},
		{Code: "d5_confiscation_documents"}, {Code: "d5_violence"},
	}, "no")
	fmt.Println(a.Outcome, a.Suggests())
	fmt.Println(a.Explanation)
	fmt.Println(a.Dimensions[4].Explanation)
	fmt.Println(a.Dimensions[5].Explanation)
	// Output:
	// rule_met PossibleVictimOfTrafficking
	// For an adult three things are needed. Means: positive; exploitation: positive; coercion at destination: positive.
	// Dimension 5, coercion at destination: 2 strong, 0 medium, 0 weak; two strong are enough (positive).
	// Dimension 6, abuse of vulnerability at destination: 0 strong, 0 medium, 0 weak; nothing was recorded, which does not mean that nothing happened (not assessed).
}
