package claims

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindScreening is the kind of a Screening.
const KindScreening Kind = "screening"

// The trafficking statuses of HTCDS 2.0. StatusNot is never on a card and
// never carried: whoever needs protection later must not meet it again.
const (
	StatusPossible = "PossibleVictimOfTrafficking"
	StatusActual   = "ActualVictimOfTrafficking"
	StatusNot      = "NotAVictimOfTrafficking"
)

// StatementOfLaw is what every interview says about itself, word for word, so
// that nobody reads its answers as testimony.
const StatementOfLaw = "answers to screening questions, not a witness statement"

// ReviewDays is after how many days a screening is looked at again when the
// person may not have been able to speak freely.
const ReviewDays = 14

// Screening is one agency's assessment of what happened to a person: who
// assessed, by which tool, to which standard, on which day. It is evidence and
// no verdict.
type Screening struct {
	TraffickingStatus      string         `json:"trafficking_status,omitempty" list:"trafficking_status" is:"required" tells:"status"`
	DecisionLevel          string         `json:"decision_level,omitempty" list:"decision_level" is:"required" tells:"level"`
	AuthorityClass         string         `json:"authority_class,omitempty" list:"authority_class" is:"required" tells:"assessment"`
	StandardOfEvidence     string         `json:"standard_of_evidence,omitempty" list:"standard_of_evidence" is:"required" tells:"assessment"`
	Confidence             string         `json:"confidence,omitempty" list:"confidence" is:"required" tells:"confidence"`
	ConfidenceReason       private.String `json:"confidence_reason,omitzero" is:"text" tells:"confidence"`
	Tool                   string         `json:"tool,omitempty" list:"tool" is:"required" tells:"assessment"`
	ToolName               private.String `json:"tool_name,omitzero" tells:"assessment"` // with OTHER, and only then
	Act                    []string       `json:"act,omitempty" list:"act" tells:"codes"`
	Means                  []string       `json:"means,omitempty" list:"means" tells:"codes"` // not needed for a child
	Purpose                []string       `json:"purpose,omitempty" list:"purpose" tells:"codes"`
	ForcedCriminalityKind  []string       `json:"forced_criminality_kind,omitempty" list:"forced_criminality_kind" tells:"account"` // with x_ForcedCriminality, and only then
	MethodsOfControl       []string       `json:"methods_of_control,omitempty" list:"methods_of_control" tells:"account"`
	MethodOfRecruitment    []string       `json:"method_of_recruitment,omitempty" list:"method_of_recruitment" tells:"account"`
	RecruitmentApps        []string       `json:"recruitment_apps,omitempty" list:"website_or_app" tells:"account"`
	ForcedLabourIndustry   []string       `json:"forced_labour_industry,omitempty" list:"forced_labour_industry" tells:"account"`
	TypeOfSexExploitation  []string       `json:"type_of_sex_exploitation,omitempty" list:"type_of_sex_exploitation" tells:"account"`
	Indicators             []Indicator    `json:"indicators,omitempty" is:"max=67" tells:"indicators"`
	DimensionResults       *RuleResult    `json:"dimension_results,omitempty" tells:"indicators"` // Complete computes it; required with indicators
	MinorAtTime            string         `json:"minor_at_time,omitempty" list:"minor_at_time" is:"required" tells:"needs"`
	Interview              *Interview     `json:"interview,omitempty" is:"required" tells:"interview"`
	Consent                *Consent       `json:"consent,omitempty" is:"required" tells:"consent"`
	NonPunishmentStatement *NonPunishment `json:"non_punishment_statement,omitempty" tells:"effects"`
	RequestedEffect        []string       `json:"requested_effect,omitempty" list:"requested_effect" tells:"needs"`
	ReflectionPeriod       *Reflection    `json:"reflection_period,omitempty" tells:"effects"`
	ValidFrom              Day            `json:"valid_from,omitempty" tells:"validity"`
	ValidUntil             Day            `json:"valid_until,omitempty" tells:"validity"` // later than valid_from, at most maxValidity days
	ReviewBy               Day            `json:"review_by,omitempty" tells:"interview"`  // no later than the function ReviewBy says
	AskAgainInPrivate      bool           `json:"ask_again_in_private,omitempty" tells:"interview"`
	Referral               *Referral      `json:"referral,omitempty" tells:"note"`
}

// Interview is how a screening interview was held.
type Interview struct {
	Date               Day              `json:"date,omitempty" is:"required,past"`
	PlaceCountry       string           `json:"place_country,omitempty" is:"required,country"`
	Mode               string           `json:"mode,omitempty" list:"interview_mode" is:"required"`
	Language           string           `json:"language,omitempty" is:"required,language"`
	Interpreter        bool             `json:"interpreter"` // somebody interpreted
	InterpreterKind    string           `json:"interpreter_kind,omitempty" list:"interpreter_kind" is:"required"`
	InterviewerOrgRole string           `json:"interviewer_org_role,omitempty" list:"org_type" is:"required"`
	PriorInterviews    int              `json:"prior_interviews" is:"min=0,max=99"` // nobody should be asked again and again
	Alone              string           `json:"alone,omitempty" list:"alone" is:"required"`
	OthersPresent      []string         `json:"others_present,omitempty" list:"others_present"` // besides interviewer and interpreter
	PlaceKind          string           `json:"place_kind,omitempty" list:"place_kind" is:"required"`
	StatementOfLaw     string           `json:"statement_of_law,omitempty" is:"fixed"` // always StatementOfLaw; Complete fills it in
	KeepApartFrom      []private.String `json:"keep_apart_from,omitempty" is:"max=16"` // people whom the person must not be housed with
}

// NonPunishment says whether an agency states that the person should not be
// punished for what she was made to do.
type NonPunishment struct {
	Stated    bool             `json:"stated"`
	LegalRefs []private.String `json:"legal_refs,omitempty" is:"max=8"` // such as ACTIP article 14(7); required when stated
}

// Reflection is a time to recover and think that was given or is asked for.
type Reflection struct {
	Start      Day            `json:"start,omitempty" is:"required"`
	Days       int            `json:"days" is:"min=1,max=365"`
	LegalBasis private.String `json:"legal_basis,omitzero" is:"required"`
}

// Referral is how a person came from one organisation to another.
type Referral struct {
	FromOrg              string   `json:"from_org,omitempty" is:"required,agency"`
	ToOrg                string   `json:"to_org,omitempty" is:"required,agency"`
	Reason               string   `json:"reason,omitempty" list:"referral_reason" is:"required"`
	Date                 Day      `json:"date,omitempty" is:"required,past"`
	PreviousAttestations []string `json:"previous_attestations,omitempty" is:"id,max=16"`
}

// Kind is KindScreening.
func (*Screening) Kind() Kind { return KindScreening }

// Format hides the claims whatever the verb.
func (s Screening) Format(f fmt.State, _ rune) { hidden(f, KindScreening) }

// LogValue hides the claims in structured logs.
func (s Screening) LogValue() slog.Value { return hiddenLog(KindScreening) }

// ReviewBy computes when a screening made in this interview has to be looked
// at again because the person may not have been able to speak freely: she was
// not surely alone, another resident interpreted, or she was detained. Then
// caseworkers see "ask again in private", and it is ReviewDays after the
// interview; otherwise ask is false and there is no such day.
func ReviewBy(i Interview) (by Day, ask bool) {
	if i.Alone != "yes" || i.InterpreterKind == "fellow_resident" || i.PlaceKind == "detention" {
		return i.Date.Add(ReviewDays), true
	}
	return "", false
}

// complete fills in the listed facts of the indicators, the results of the rule,
// the fixed words, the review day and, for whoever is not free, the day to ask
// for consent again. Earlier days that somebody chose stay, and so does the
// stated status.
func (s *Screening) complete() {
	for i := range s.Indicators {
		if x, ok := indicator(s.Indicators[i].Code); ok {
			s.Indicators[i].Dimension, s.Indicators[i].Strength, s.Indicators[i].Phase = x.Dimension, x.Strength, x.Phase
		}
	}
	result := DimensionResults(s.Indicators, s.MinorAtTime).result(s.TraffickingStatus)
	s.DimensionResults = &result
	if s.Interview != nil {
		s.Interview.StatementOfLaw = StatementOfLaw
		by, ask := ReviewBy(*s.Interview)
		s.AskAgainInPrivate = s.AskAgainInPrivate || ask
		if ask && (s.ReviewBy == "" || s.ReviewBy > by) {
			s.ReviewBy = by
		}
	}
	if s.Consent != nil {
		by, ask := s.Consent.AskAgainBy()
		if ask && (s.Consent.ReconfirmBy == "" || s.Consent.ReconfirmBy > by) {
			s.Consent.ReconfirmBy = by
		}
	}
}

// lastDay is the day that the screening states, or else that of a preliminary
// one, which is meant to be looked at again soon, or of a formal one.
func (s *Screening) lastDay(issued Day) Day {
	switch {
	case s.ValidUntil != "":
		return s.ValidUntil
	case s.DecisionLevel == "formal_identification" || s.DecisionLevel == "judicial_finding":
		return issued.Add(365 - 1)
	default:
		return issued.Add(90 - 1)
	}
}

func (s *Screening) reviewDay() Day { return s.ReviewBy }

// CardStatus returns the number of a trafficking status on a card: 1 possible,
// 2 actual (docs/card.md, Signed content, status key 1). It is 0 for every
// other text: nothing else may be on a card, or be carried in any other way.
func CardStatus(traffickingStatus string) int {
	return 1 + slices.Index([]string{StatusPossible, StatusActual}, traffickingStatus)
}

// CardDecisionLevel returns the number of a decision level on a card, 1 to 4
// (docs/card.md, Signed content, status key 2), and 0 for every other text.
func CardDecisionLevel(decisionLevel string) int {
	return 1 + slices.Index(values("decision_level"), decisionLevel)
}

func (s *Screening) rules(c *invalid.Checker) {
	s.assessmentRules(c)
	s.exploitationRules(c)
	s.indicatorRules(c)
	if s.Interview != nil {
		s.Interview.rules(c, "/interview")
	}
	if s.Consent != nil {
		s.Consent.rules(c, "/consent")
	}
	if n := s.NonPunishmentStatement; n != nil {
		c.There("/non_punishment_statement/legal_refs", len(n.LegalRefs) > 0, invalid.Need(n.Stated))
	}
	s.timeRules(c)
	if r := s.Referral; r != nil && r.FromOrg != "" && r.FromOrg == r.ToOrg {
		c.Add("/referral/to_org", invalid.CodeInconsistent, "is not the organisation that refers")
	}
}

// assessmentRules are about who assessed, and how.
func (s *Screening) assessmentRules(c *invalid.Checker) {
	if s.DecisionLevel == "judicial_finding" && s.AuthorityClass != "" && s.AuthorityClass != "CourtOrProsecution" {
		c.Add("/decision_level", invalid.CodeInconsistent, "a judicial finding is made by a court or prosecution")
	}
	other := s.Tool == "OTHER"
	c.Only("/tool_name", !s.ToolName.IsZero(), other, "names a tool that is not in the list")
	c.There("/tool_name", !s.ToolName.IsZero(), invalid.Need(other))
}

// exploitationRules are about act, means and purpose.
func (s *Screening) exploitationRules(c *invalid.Checker) {
	// A first screening may be signed before all three are known; to call
	// somebody actually trafficked means to state them.
	actual := invalid.Need(s.TraffickingStatus == StatusActual)
	c.There("/act", len(s.Act) > 0, actual)
	// Palermo Protocol, article 3(c): for a child no means is needed.
	c.There("/means", len(s.Means) > 0, actual && s.MinorAtTime != "yes")
	c.There("/purpose", len(s.Purpose) > 0, actual)
	forced := slices.Contains(s.Purpose, "x_ForcedCriminality")
	c.Only("/forced_criminality_kind", len(s.ForcedCriminalityKind) > 0, forced, "goes with the purpose x_ForcedCriminality")
	c.There("/forced_criminality_kind", len(s.ForcedCriminalityKind) > 0, invalid.Need(forced))
}

// indicatorRules see to it that what is called computed was computed. That the
// stated status differs from the outcome is allowed.
func (s *Screening) indicatorRules(c *invalid.Checker) {
	if len(s.Indicators) > len(vocabulary().Indicators) {
		return // too many to be worth reading
	}
	codes := make([]string, len(s.Indicators))
	for i, x := range s.Indicators {
		at := invalid.At("/indicators", i)
		x.rules(c, at)
		if x.Code != "" && slices.Contains(codes, x.Code) {
			c.Add(at+"/code", invalid.CodeDuplicate, "is in the list already")
		}
		codes[i] = x.Code
	}
	if !c.There("/dimension_results", s.DimensionResults != nil, invalid.Need(len(s.Indicators) > 0)) {
		return
	}
	got, want := s.DimensionResults, DimensionResults(s.Indicators, s.MinorAtTime).result(s.TraffickingStatus)
	for _, m := range []struct {
		name string
		same bool
	}{
		{"rule_version", got.RuleVersion == want.RuleVersion},
		{"d1", got.D1 == want.D1}, {"d2", got.D2 == want.D2}, {"d3", got.D3 == want.D3},
		{"d4", got.D4 == want.D4}, {"d5", got.D5 == want.D5}, {"d6", got.D6 == want.D6},
		{"outcome", got.Outcome == want.Outcome}, {"differs", got.Differs == want.Differs},
	} {
		c.Must(m.same, "/dimension_results/"+m.name, invalid.CodeInconsistent, "is as the rule computes it")
	}
}

func (x Indicator) rules(c *invalid.Checker, at string) {
	listed, ok := indicator(x.Code)
	if !ok {
		c.Must(x.Code == "", at+"/code", invalid.CodeNotInList, "is one of the listed indicators")
		return
	}
	for _, m := range []struct {
		name        string
		there, same bool
	}{
		{"dimension", x.Dimension != 0, x.Dimension == listed.Dimension},
		{"strength", x.Strength != "", x.Strength == listed.Strength},
		{"phase", x.Phase != "", x.Phase == listed.Phase},
	} {
		if c.There(at+"/"+m.name, m.there, invalid.Required) && !m.same {
			c.Add(at+"/"+m.name, invalid.CodeInconsistent, "is as listed for the indicator")
		}
	}
}

func (i *Interview) rules(c *invalid.Checker, at string) {
	if i.InterpreterKind != "" && i.Interpreter != (i.InterpreterKind != "none") {
		c.Add(at+"/interpreter", invalid.CodeInconsistent, "fits interpreter_kind")
	}
	if i.Alone == "yes" && len(i.OthersPresent) > 0 {
		c.Add(at+"/others_present", invalid.CodeInconsistent, "is empty when the person was alone")
	}
	if c.There(at+"/statement_of_law", i.StatementOfLaw != "", invalid.Required) && i.StatementOfLaw != StatementOfLaw {
		c.Add(at+"/statement_of_law", invalid.CodeFormat, "is the fixed sentence")
	}
}

// maxValidity is the longest time, in days, that a screening may be relied on.
const maxValidity = 3 * 365

// timeRules are about from when to when the screening holds, and its review.
func (s *Screening) timeRules(c *invalid.Checker) {
	if before(s.ValidUntil, s.ValidFrom.Add(1)) || before(s.ValidFrom.Add(maxValidity), s.ValidUntil) {
		c.Add("/valid_until", invalid.CodeRange, fmt.Sprintf("is after valid_from, by at most %d days", maxValidity))
	}
	if s.Interview == nil {
		return
	}
	by, ask := ReviewBy(*s.Interview)
	c.There("/review_by", s.ReviewBy != "", invalid.Need(ask))
	if before(by, s.ReviewBy) {
		c.Add("/review_by", invalid.CodeRange, fmt.Sprintf("is at most %d days after an interview that was not private", ReviewDays))
	}
	if ask && !s.AskAgainInPrivate {
		c.Add("/ask_again_in_private", invalid.CodeInconsistent, "is yes after an interview that was not private")
	}
}
