package claims_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// said writes problems as "field code".
func said(problems []invalid.Problem) []string {
	out := []string{}
	for _, p := range problems {
		out = append(out, p.Pointer+" "+p.Code)
	}
	return out
}

func TestScreening(t *testing.T) {
	// edit runs before Complete, spoil after it.
	for name, tt := range map[string]struct {
		edit, spoil func(*claims.Screening)
		want        []string
	}{
		"complete": {},
		"stated status differs from the rule": {
			edit: func(s *claims.Screening) { s.TraffickingStatus = claims.StatusNot },
		},
		"judicial finding by an agency": {
			edit: func(s *claims.Screening) { s.DecisionLevel = "judicial_finding" },
			want: []string{"/decision_level inconsistent"},
		},
		"judicial finding by a court": {
			edit: func(s *claims.Screening) {
				s.DecisionLevel, s.AuthorityClass = "judicial_finding", "CourtOrProsecution"
			},
		},
		"tool without its name": {
			edit: func(s *claims.Screening) { s.ToolName = private.String{} },
			want: []string{"/tool_name required"},
		},
		"name of a listed tool": {
			edit: func(s *claims.Screening) { s.Tool = "ILO_EC_2009" },
			want: []string{"/tool_name not_allowed"},
		},
		"actual status without act, means, purpose": {
			edit: func(s *claims.Screening) {
				s.Act, s.Means, s.Purpose, s.ForcedCriminalityKind = nil, nil, nil, nil
			},
			want: []string{"/act required", "/means required", "/purpose required"},
		},
		"possible status without them": {
			edit: func(s *claims.Screening) {
				s.Act, s.Means, s.Purpose, s.ForcedCriminalityKind = nil, nil, nil, nil
				s.TraffickingStatus = claims.StatusPossible
			},
		},
		"child without means": {
			edit: func(s *claims.Screening) { s.Means, s.MinorAtTime = nil, "yes" },
		},
		"unknown age without means": {
			edit: func(s *claims.Screening) { s.Means, s.MinorAtTime = nil, "unknown" },
			want: []string{"/means required"},
		},
		"forced criminality without its kind": {
			edit: func(s *claims.Screening) { s.ForcedCriminalityKind = nil },
			want: []string{"/forced_criminality_kind required"},
		},
		"kind without forced criminality": {
			edit: func(s *claims.Screening) { s.Purpose = []string{"ForcedLabour"} },
			want: []string{"/forced_criminality_kind not_allowed"},
		},
		"twice in a list": {
			edit: func(s *claims.Screening) { s.Act = []string{"transfer", "receipt", "transfer"} },
			want: []string{"/act/2 duplicate"},
		},
		"more than there are codes": {
			edit: func(s *claims.Screening) { s.Act = slices.Repeat([]string{"transfer"}, 6) },
			want: []string{"/act too_many"},
		},
		"empty entry": {
			edit: func(s *claims.Screening) { s.Means = []string{""} },
			want: []string{"/means/0 required"},
		},
		"indicator twice": {
			edit: func(s *claims.Screening) { s.Indicators[3] = s.Indicators[2] },
			want: []string{"/indicators/3/code duplicate"},
		},
		"unknown indicator": {
			edit: func(s *claims.Screening) { s.Indicators[0].Code = "d7_weather" },
			want: []string{"/indicators/0/code not_in_list"},
		},
		"empty indicator": {
			edit: func(s *claims.Screening) { s.Indicators[0] = claims.Indicator{} },
			want: []string{"/indicators/0/code required", "/indicators/0/basis required"},
		},
		"indicator with other facts": {
			spoil: func(s *claims.Screening) {
				s.Indicators[3].Strength, s.Indicators[3].Dimension, s.Indicators[3].Phase = "S", 5, "recruitment"
			},
			want: []string{"/indicators/3/dimension inconsistent", "/indicators/3/strength inconsistent", "/indicators/3/phase inconsistent"},
		},
		"indicator without facts": {
			spoil: func(s *claims.Screening) {
				s.Indicators[3] = claims.Indicator{Code: "d4_low_no_salary", Basis: "reported"}
			},
			want: []string{"/indicators/3/dimension required", "/indicators/3/strength required", "/indicators/3/phase required"},
		},
		"too many indicators": {
			edit: func(s *claims.Screening) { s.Indicators = slices.Repeat(s.Indicators[:1], 68) },
			want: []string{"/indicators too_many"},
		},
		"no results": {
			spoil: func(s *claims.Screening) { s.DimensionResults = nil },
			want:  []string{"/dimension_results required"},
		},
		"no results and no indicators": {
			spoil: func(s *claims.Screening) { s.DimensionResults, s.Indicators = nil, nil },
		},
		"results that were not computed": {
			spoil: func(s *claims.Screening) {
				s.DimensionResults = &claims.RuleResult{RuleVersion: "x", D1: "negative", D2: "positive", D3: "", D4: "negative", D5: "negative", D6: "x", Outcome: "rule_not_met", Differs: true}
			},
			want: []string{
				"/dimension_results/d6 not_in_list",
				"/dimension_results/rule_version inconsistent", "/dimension_results/d1 inconsistent", "/dimension_results/d2 inconsistent",
				"/dimension_results/d3 inconsistent", "/dimension_results/d4 inconsistent", "/dimension_results/d5 inconsistent",
				"/dimension_results/d6 inconsistent", "/dimension_results/outcome inconsistent", "/dimension_results/differs inconsistent",
			},
		},
		"no interview": {
			edit: func(s *claims.Screening) { s.Interview = nil },
			want: []string{"/interview required"},
		},
		"interview to come": {
			edit: func(s *claims.Screening) { s.Interview.Date = "2026-03-12" },
			want: []string{"/interview/date range"},
		},
		"interview where it is tomorrow": {
			edit: func(s *claims.Screening) { s.Interview.Date = "2026-03-10" },
		},
		"interpreter yes and no": {
			edit: func(s *claims.Screening) { s.Interview.Interpreter = false },
			want: []string{"/interview/interpreter inconsistent"},
		},
		"too many interviews": {
			edit: func(s *claims.Screening) { s.Interview.PriorInterviews = 100 },
			want: []string{"/interview/prior_interviews range"},
		},
		"fewer than no interviews": {
			edit: func(s *claims.Screening) { s.Interview.PriorInterviews = -1 },
			want: []string{"/interview/prior_interviews range"},
		},
		"alone with others": {
			edit: func(s *claims.Screening) { s.Interview.Alone = "yes" },
			want: []string{"/interview/others_present inconsistent"},
		},
		"other words on the law": {
			spoil: func(s *claims.Screening) { s.Interview.StatementOfLaw = "a witness statement" },
			want:  []string{"/interview/statement_of_law format"},
		},
		"no words on the law": {
			spoil: func(s *claims.Screening) { s.Interview.StatementOfLaw = "" },
			want:  []string{"/interview/statement_of_law required"},
		},
		"too many to keep apart": {
			edit: func(s *claims.Screening) {
				s.Interview.KeepApartFrom = make([]private.String, 17)
			},
			want: []string{"/interview/keep_apart_from too_many"},
		},
		"nobody to keep apart": {
			edit: func(s *claims.Screening) { s.Interview.KeepApartFrom = make([]private.String, 1) },
			want: []string{"/interview/keep_apart_from/0 required"},
		},
		"not private, no review": {
			spoil: func(s *claims.Screening) { s.ReviewBy, s.AskAgainInPrivate = "", false },
			want:  []string{"/review_by required", "/ask_again_in_private inconsistent"},
		},
		"not private, late review": {
			spoil: func(s *claims.Screening) { s.ReviewBy = "2026-03-23" },
			want:  []string{"/review_by range"},
		},
		"not private, early review": {
			spoil: func(s *claims.Screening) { s.ReviewBy = "2026-03-11" },
		},
		"private, no review": {
			edit: func(s *claims.Screening) { s.Interview.Alone, s.Interview.OthersPresent = "yes", nil },
		},
		"no law for the statement": {
			edit: func(s *claims.Screening) { s.NonPunishmentStatement.LegalRefs = nil },
			want: []string{"/non_punishment_statement/legal_refs required"},
		},
		"no statement, no law": {
			edit: func(s *claims.Screening) { *s.NonPunishmentStatement = claims.NonPunishment{} },
		},
		"endless reflection": {
			edit: func(s *claims.Screening) { s.ReflectionPeriod.Days = 366 },
			want: []string{"/reflection_period/days range"},
		},
		"no reflection": {
			edit: func(s *claims.Screening) { *s.ReflectionPeriod = claims.Reflection{} },
			want: []string{"/reflection_period/start required", "/reflection_period/days range", "/reflection_period/legal_basis required"},
		},
		"ends as it begins": {
			edit: func(s *claims.Screening) { s.ValidUntil = s.ValidFrom },
			want: []string{"/valid_until range"},
		},
		"holds too long": {
			edit: func(s *claims.Screening) { s.ValidUntil = s.ValidFrom.Add(3*365 + 1) },
			want: []string{"/valid_until range"},
		},
		"no such day": {
			edit: func(s *claims.Screening) { s.ValidUntil = "2027-02-29" },
			want: []string{"/valid_until format"},
		},
		"no such year": {
			edit: func(s *claims.Screening) { s.ValidUntil = "2569-03-10" },
			want: []string{"/valid_until range", "/valid_until range"}, // too late of itself, and after valid_from
		},
		"refers to itself": {
			edit: func(s *claims.Screening) { s.Referral.ToOrg = s.Referral.FromOrg },
			want: []string{"/referral/to_org inconsistent"},
		},
		"same earlier attestation twice": {
			edit: func(s *claims.Screening) { s.Referral.PreviousAttestations = []string{id("a"), id("a")} },
			want: []string{"/referral/previous_attestations/1 duplicate"},
		},
		"no such id": {
			edit: func(s *claims.Screening) { s.Referral.PreviousAttestations = []string{"A" + id("a")[1:]} },
			want: []string{"/referral/previous_attestations/0 format"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := someScreening()
			s.ReviewBy, s.AskAgainInPrivate = "", false
			if tt.edit != nil {
				tt.edit(s)
			}
			claims.Complete(s)
			if tt.spoil != nil {
				tt.spoil(s)
			}
			if diff := cmp.Diff(said(found(s)), append([]string{}, tt.want...)); diff != "" {
				t.Errorf("got, want:\n%s", diff)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	s := someScreening()
	s.TraffickingStatus, s.Tool = "victim", "ILO_EC_2009"
	s.Act = []string{"x", "x"}
	s.Indicators[3].Strength = "X"
	s.Interview.Language = "English"
	s.Consent.Interview = false
	s.ReflectionPeriod.Days = -1
	s.Referral.Date = "yesterday"
	want := []string{
		"/trafficking_status not_in_list", "/act/0 not_in_list", "/act/1 not_in_list", "/act/1 duplicate", "/indicators/3/strength not_in_list",
		"/interview/language format", "/reflection_period/days range", "/referral/date format",
		"/tool_name not_allowed", "/indicators/3/strength inconsistent", "/consent/interview required",
	}
	for range 20 {
		if diff := cmp.Diff(said(found(s)), want); diff != "" {
			t.Fatalf("got, want:\n%s", diff)
		}
	}
}

func TestCompleteKeepsWhatWasStated(t *testing.T) {
	s := someScreening()
	s.TraffickingStatus, s.ReviewBy, s.Consent.ReconfirmBy = claims.StatusNot, "2026-03-15", "2026-03-12"
	claims.Complete(s)
	if s.TraffickingStatus != claims.StatusNot || s.ReviewBy != "2026-03-15" || s.Consent.ReconfirmBy != "2026-03-12" {
		t.Error("Complete changed what somebody stated")
	}
	if !s.DimensionResults.Differs || s.DimensionResults.Outcome != claims.RuleMet {
		t.Errorf("got %+v, want a difference to be shown", *s.DimensionResults)
	}
	s.ReviewBy, s.Consent.ReconfirmBy = "2027-01-01", "2027-01-01"
	claims.Complete(s)
	if s.ReviewBy != "2026-03-22" || s.Consent.ReconfirmBy != "2026-03-22" {
		t.Errorf("got review by %s, ask again by %s, want 14 days after the interview and the consent", s.ReviewBy, s.Consent.ReconfirmBy)
	}
	claims.Complete(new(claims.Screening)) // nothing to complete, nothing to panic about
}

func TestReviewBy(t *testing.T) {
	private := claims.Interview{Date: "2026-02-20", Alone: "yes", InterpreterKind: "vetted", PlaceKind: "shelter"}
	for name, tt := range map[string]struct {
		edit func(*claims.Interview)
		by   claims.Day
		ask  bool
	}{
		"private":            {func(*claims.Interview) {}, "", false},
		"no interpreter":     {func(i *claims.Interview) { i.InterpreterKind = "none" }, "", false},
		"not alone":          {func(i *claims.Interview) { i.Alone = "no" }, "2026-03-06", true},
		"not surely alone":   {func(i *claims.Interview) { i.Alone = "unsure" }, "2026-03-06", true},
		"not said":           {func(i *claims.Interview) { i.Alone = "" }, "2026-03-06", true},
		"resident interpret": {func(i *claims.Interview) { i.InterpreterKind = "fellow_resident" }, "2026-03-06", true},
		"detained":           {func(i *claims.Interview) { i.PlaceKind = "detention" }, "2026-03-06", true},
	} {
		i := private
		tt.edit(&i)
		if by, ask := claims.ReviewBy(i); by != tt.by || ask != tt.ask {
			t.Errorf("%s: got %q, %v, want %q, %v", name, by, ask, tt.by, tt.ask)
		}
	}
}

func TestCardNumbers(t *testing.T) {
	for status, want := range map[string]int{claims.StatusPossible: 1, claims.StatusActual: 2, claims.StatusNot: 0, "": 0, "x": 0} {
		if got := claims.CardStatus(status); got != want {
			t.Errorf("status %q: got %d, want %d", status, got, want)
		}
	}
	for level, want := range map[string]int{
		"preliminary_screening": 1, "reasonable_grounds": 2, "formal_identification": 3, "judicial_finding": 4, "": 0, "x": 0,
	} {
		if got := claims.CardDecisionLevel(level); got != want {
			t.Errorf("level %q: got %d, want %d", level, got, want)
		}
	}
}

func TestConsent(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*claims.Consent)
		want []string
	}{
		"complete":     {func(*claims.Consent) {}, nil},
		"no interview": {func(c *claims.Consent) { c.Interview = false }, []string{"/consent/interview required"}},
		"the rest no": {func(c *claims.Consent) {
			c.Purpose, c.Use, c.ResearchUse, c.RightToRequestData, c.StorageDuration, c.HowToWithdraw = false, false, false, false, false, false
		}, nil},
		"not safe": {func(c *claims.Consent) { c.SafeIfStateKnows = "no" },
			[]string{"/consent/mission_may_be_contacted inconsistent", "/consent/share_scope inconsistent"}},
		"not surely safe": {func(c *claims.Consent) { c.SafeIfStateKnows = "unsure" },
			[]string{"/consent/mission_may_be_contacted inconsistent", "/consent/share_scope inconsistent"}},
		"not asked": {func(c *claims.Consent) { c.SafeIfStateKnows = "" },
			[]string{"/consent/safe_if_state_knows required", "/consent/mission_may_be_contacted inconsistent", "/consent/share_scope inconsistent"}},
		"not asked, nothing to a state": {func(c *claims.Consent) {
			c.SafeIfStateKnows, c.MissionMayBeContacted, c.ShareScope, c.TransferToState = "", false, []string{"shelter"}, nil
		}, nil},
		"not safe, another state": {func(c *claims.Consent) {
			c.SafeIfStateKnows, c.MissionMayBeContacted, c.ShareScope = "no", false, nil
		}, nil},
		"not safe, mission only": {func(c *claims.Consent) {
			c.SafeIfStateKnows, c.ShareScope = "no", nil
		}, []string{"/consent/mission_may_be_contacted inconsistent"}},
		"no witness":           {func(c *claims.Consent) { c.Witness = private.String{} }, []string{"/consent/witness required"}},
		"witness of a thumb":   {func(c *claims.Consent) { c.Method = "thumb" }, []string{"/consent/witness not_allowed"}},
		"detained, no day":     {func(c *claims.Consent) { c.Circumstance, c.ReconfirmBy = "detained", "" }, []string{"/consent/reconfirm_by required"}},
		"detained, late":       {func(c *claims.Consent) { c.ReconfirmBy = "2026-03-23" }, []string{"/consent/reconfirm_by range"}},
		"detained, in time":    {func(c *claims.Consent) { c.ReconfirmBy = "2026-03-22" }, nil},
		"free, no day":         {func(c *claims.Consent) { c.Circumstance, c.ReconfirmBy = "free", "" }, nil},
		"free, some day":       {func(c *claims.Consent) { c.Circumstance, c.ReconfirmBy = "free", "2026-09-01" }, nil},
		"state twice":          {func(c *claims.Consent) { c.TransferToState = []string{"THA", "THA"} }, []string{"/consent/transfer_to_state/1 duplicate"}},
		"no state":             {func(c *claims.Consent) { c.TransferToState = []string{"Thailand"} }, []string{"/consent/transfer_to_state/0 format"}},
		"too many states":      {func(c *claims.Consent) { c.TransferToState = make([]string, 9) }, []string{"/consent/transfer_to_state too_many"}},
		"given in the future":  {func(c *claims.Consent) { c.GivenOn = "2026-03-12" }, []string{"/consent/given_on range"}},
		"no controller":        {func(c *claims.Consent) { c.Controller = private.String{} }, []string{"/consent/controller required"}},
		"witness is no letter": {func(c *claims.Consent) { c.Witness = private.New("12") }, []string{"/consent/witness format"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := someScreening()
			tt.edit(s.Consent)
			if diff := cmp.Diff(said(found(s)), append([]string{}, tt.want...)); diff != "" {
				t.Errorf("got, want:\n%s", diff)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"Nguyễn Thị Hoa": true, "နှင်းဆီ": true, "ស៊ីន ស៊ីសាមុត": true, "สมศรี": true, "王小明": true, "عبد الله": true,
		"ተስፋዬ": true, "O'Neill-Sató Jr.": true, "क्ष\u200dमा": true, "នាង\u200bស្រី": true, "X": true, "Juan (Jun) III": true,
		"": false, "12345": false, "...": false, " Anna": false, "Anna ": false, "An\nna": false, "An\tna": false, "An\u200fna": true,
		"An\u2028na": false, "An\u202ena": false, "An\u0000na": false, "An\ue000na": false, "An\ufeffna": false,
		strings.Repeat("x", invalid.MaxLine): true, strings.Repeat("x", invalid.MaxLine+1): false,
		strings.Repeat("ស", invalid.MaxLine): true,
	} {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			c := &claims.IdentityClaim{
				Names:     []claims.Name{{Script: "Zyyy", Full: private.New(name), Type: "used"}},
				Assurance: "self_asserted", ClaimStatus: "open",
			}
			if problems := found(c); (len(problems) == 0) != ok {
				t.Errorf("%q: got %v, want ok %v", name, problems, ok)
			}
		})
	}
}

func TestPartialDates(t *testing.T) {
	for _, tt := range []struct{ value, precision, want string }{
		{"1999-07-31", "day", ""}, {"1999-07", "month", ""}, {"1999", "year", ""},
		{"1999", "estimated", ""}, {"1999-07", "estimated", ""}, {"1999-07-31", "estimated", ""},
		{"2026-03-10", "day", ""}, {"2026-03", "month", ""}, {"2026", "year", ""},
		{"1999-07-31", "year", "/dob/value format"}, {"1999", "day", "/dob/value format"}, {"1999-7", "month", "/dob/value format"},
		{"1999-02-29", "day", "/dob/value format"}, {"1999-13", "month", "/dob/value format"}, {"31.7.1999", "day", "/dob/value format"},
		{"2569", "year", "/dob/value range"}, {"1899", "year", "/dob/value range"}, {"2026-04", "month", "/dob/value range"},
		{"2026-03-12", "day", "/dob/value range"}, {"1999", "", "/dob/precision required"}, {"1999", "about", "/dob/precision not_in_list"},
		{"", "year", "/dob/value required"},
	} {
		t.Run(tt.value+" "+tt.precision, func(t *testing.T) {
			c := &claims.IdentityClaim{
				Names:     []claims.Name{{Script: "Latn", Full: private.New("Anna"), Type: "used"}},
				Assurance: "self_asserted", ClaimStatus: "open",
				BirthDate: &claims.PartialDate{Value: private.New(tt.value), Precision: tt.precision},
			}
			if got := strings.Join(said(found(c)), " "); got != tt.want {
				t.Errorf("%s %s: got %q, want %q", tt.value, tt.precision, got, tt.want)
			}
		})
	}
}

func ExampleComplete() {
	s := someScreening()
	s.TraffickingStatus = claims.StatusNot
	claims.Complete(s)
	fmt.Println("outcome:", s.DimensionResults.Outcome)
	fmt.Println("differs:", s.DimensionResults.Differs)
	fmt.Println("review by:", s.ReviewBy, "ask again in private:", s.AskAgainInPrivate)
	fmt.Println("problems:", found(s))
	// Output:
	// outcome: rule_met
	// differs: true
	// review by: 2026-03-22 ask again in private: true
	// problems: []
}
