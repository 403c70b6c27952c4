package claims

import (
	"fmt"
	"strings"
)

// RuleVersion names the rule and the weights by which DimensionResults counts.
// It changes with every change of a weight or a threshold.
const RuleVersion = "ILO_EC_2009/adult-labour/1"

// What a dimension can come to. A dimension without any indicator is
// not_assessed, never negative: nobody may have asked.
const (
	Positive    = "positive"
	Negative    = "negative"
	NotAssessed = "not_assessed"
)

// What the rule can come to.
const (
	RuleMet           = "rule_met"
	RuleNotMet        = "rule_not_met"        // says nothing about what happened to a person
	NotEnoughAssessed = "not_enough_assessed" // the answer hangs on dimensions that nobody asked about
	DependsOnAge      = "depends_on_age"      // met for a child, not or not yet for an adult
)

// Indicator is one operational indicator that somebody found.
type Indicator struct {
	Code      string `json:"code,omitempty" is:"required,fixed"`           // of the list of indicators
	Dimension int    `json:"dimension,omitempty"`                          // as listed; Complete fills it in
	Strength  string `json:"strength,omitempty" list:"indicator_strength"` // as listed; Complete fills it in
	Phase     string `json:"phase,omitempty" list:"indicator_phase"`       // as listed; Complete fills it in
	Basis     string `json:"basis,omitempty" list:"indicator_basis" is:"required"`
}

// DimensionResult is what one dimension came to, and why.
type DimensionResult struct {
	Dimension            int    // 1 to 6
	Result               string // Positive, Negative or NotAssessed
	Strong, Medium, Weak int    // how many indicators of each strength were counted
	Threshold            string // which threshold was met: 2S, 1S+1, 3M, 2M+1W; "" if none
	Explanation          string // the same in words
}

// Assessment is what the rule computes. It is shown, and never forced: the
// stated status is a person's decision.
type Assessment struct {
	RuleVersion string
	Dimensions  [6]DimensionResult // dimension 1 first
	Outcome     string             // RuleMet, RuleNotMet, NotEnoughAssessed or DependsOnAge
	Explanation string             // the same in words
}

var dimensionNames = [6]string{
	"deceptive recruitment",
	"coercive recruitment",
	"recruitment by abuse of vulnerability",
	"exploitation",
	"coercion at destination",
	"abuse of vulnerability at destination",
}

// DimensionResults applies the rule of the ILO and EC operational indicators
// (2009, adults, labour exploitation). Strengths are taken from the list, not
// from the indicators given; codes that are not listed and repetitions count
// nothing. minorAtTime is yes, no or unknown; anything else is unknown.
//
// A dimension is positive with at least two strong, one strong and one other,
// three medium, or two medium and one weak indicators. For an adult the rule
// is met when recruitment was deceptive or coercive, or a vulnerability was
// abused then or later, and there is exploitation, and coercion at the
// destination. For a child exploitation alone meets it: Palermo Protocol,
// article 3(c), needs no means. The list for children has weights of its own,
// none of them lower for an indicator on both lists; they are not used.
func DimensionResults(indicators []Indicator, minorAtTime string) Assessment {
	a := Assessment{RuleVersion: RuleVersion}
	seen := map[string]bool{}
	for i := range a.Dimensions {
		a.Dimensions[i].Dimension = i + 1
	}
	for _, x := range indicators {
		listed, ok := indicator(x.Code)
		if !ok || seen[x.Code] {
			continue
		}
		seen[x.Code] = true
		d := &a.Dimensions[listed.Dimension-1]
		switch listed.Strength {
		case "S":
			d.Strong++
		case "M":
			d.Medium++
		case "W":
			d.Weak++
		default:
			panic("claims: indicator without strength in the embedded vocabulary")
		}
	}
	for i := range a.Dimensions {
		a.Dimensions[i].judge()
	}
	a.judge(minorAtTime)
	return a
}

// judge compares the counts of a dimension with the thresholds.
func (d *DimensionResult) judge() {
	words := "no threshold was met"
	switch s, m, w := d.Strong, d.Medium, d.Weak; {
	case s+m+w == 0:
		d.Result, words = NotAssessed, "nothing was recorded, which does not mean that nothing happened"
	case s >= 2:
		d.Result, d.Threshold, words = Positive, "2S", "two strong are enough"
	case s == 1 && m+w >= 1:
		d.Result, d.Threshold, words = Positive, "1S+1", "one strong and one medium or weak are enough"
	case m >= 3:
		d.Result, d.Threshold, words = Positive, "3M", "three medium are enough"
	case m >= 2 && w >= 1:
		d.Result, d.Threshold, words = Positive, "2M+1W", "two medium and one weak are enough"
	default:
		d.Result = Negative
	}
	d.Explanation = fmt.Sprintf("Dimension %d, %s: %d strong, %d medium, %d weak; %s (%s).",
		d.Dimension, dimensionNames[d.Dimension-1], d.Strong, d.Medium, d.Weak, words, strings.ReplaceAll(d.Result, "_", " "))
}

// judge combines the dimensions.
func (a *Assessment) judge(minorAtTime string) {
	d := func(n int) string { return a.Dimensions[n-1].Result }
	means := or(d(1), d(2), d(3), d(6))
	adult := and(means, d(4), d(5))
	child := d(4)
	outcome := map[string]string{Positive: RuleMet, Negative: RuleNotMet, NotAssessed: NotEnoughAssessed}
	switch {
	case minorAtTime == "yes":
		a.Outcome = outcome[child]
		a.Explanation = "For a child no means is needed; exploitation: " + say(child) + "."
		return
	case minorAtTime == "no":
		a.Outcome = outcome[adult]
	case adult == child:
		a.Outcome = outcome[adult]
	case child == Positive:
		a.Outcome = DependsOnAge
	default:
		a.Outcome = NotEnoughAssessed
	}
	a.Explanation = "For an adult three things are needed. Means: " + say(means) + "; exploitation: " + say(d(4)) +
		"; coercion at destination: " + say(d(5)) + "."
	if minorAtTime != "no" {
		a.Explanation += " The age is not known; for a child exploitation alone is enough: " + say(child) + "."
	}
}

func say(result string) string { return strings.ReplaceAll(result, "_", " ") }

// or and and leave open what could still go either way.
func or(results ...string) string {
	out := Negative
	for _, r := range results {
		switch r {
		case Positive:
			return Positive
		case NotAssessed:
			out = NotAssessed
		}
	}
	return out
}

func and(results ...string) string {
	out := Positive
	for _, r := range results {
		switch r {
		case Negative:
			return Negative
		case NotAssessed:
			out = NotAssessed
		}
	}
	return out
}

// Suggests returns the trafficking status that the outcome speaks for, or "".
// The rule screens, it does not find: it suggests at most "possible", and it
// never suggests that somebody was not trafficked.
func (a Assessment) Suggests() string {
	if a.Outcome == RuleMet {
		return StatusPossible
	}
	return ""
}

// Differs reports whether a stated trafficking status points another way than
// the outcome, so that a second reader looks. It forbids nothing.
func (a Assessment) Differs(status string) bool {
	switch a.Outcome {
	case RuleMet:
		return status == StatusNot
	case RuleNotMet:
		return status == StatusPossible || status == StatusActual
	default:
		return false
	}
}

// RuleResult is an Assessment as a screening carries it.
type RuleResult struct {
	RuleVersion string `json:"rule_version" is:"fixed"`
	D1          string `json:"d1" list:"dimension_result"`
	D2          string `json:"d2" list:"dimension_result"`
	D3          string `json:"d3" list:"dimension_result"`
	D4          string `json:"d4" list:"dimension_result"`
	D5          string `json:"d5" list:"dimension_result"`
	D6          string `json:"d6" list:"dimension_result"`
	Outcome     string `json:"outcome" list:"rule_outcome"`
	Differs     bool   `json:"differs"` // the stated status points another way
}

// result returns what a screening with that status carries.
func (a Assessment) result(status string) RuleResult {
	d := func(n int) string { return a.Dimensions[n-1].Result }
	return RuleResult{
		RuleVersion: a.RuleVersion, Outcome: a.Outcome, Differs: a.Differs(status),
		D1: d(1), D2: d(2), D3: d(3), D4: d(4), D5: d(5), D6: d(6),
	}
}
