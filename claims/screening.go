package claims

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

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
	TraffickingStatus      string         `json:"trafficking_status,omitempty" list:"trafficking_status"`             // list trafficking_status; required
	DecisionLevel          string         `json:"decision_level,omitempty" list:"decision_level"`                     // list decision_level; required
	AuthorityClass         string         `json:"authority_class,omitempty" list:"authority_class"`                   // list authority_class; required
	StandardOfEvidence     string         `json:"standard_of_evidence,omitempty" list:"standard_of_evidence"`         // list standard_of_evidence; required
	Confidence             string         `json:"confidence,omitempty" list:"confidence"`                             // list confidence; required
	ConfidenceReason       private.String `json:"confidence_reason,omitzero"`                                         // free text
	Tool                   string         `json:"tool,omitempty" list:"tool"`                                         // list tool; required
	ToolName               private.String `json:"tool_name,omitzero"`                                                 // with OTHER, and only then
	Act                    []string       `json:"act,omitempty" list:"act"`                                           // list act
	Means                  []string       `json:"means,omitempty" list:"means"`                                       // list means; not needed for a child
	Purpose                []string       `json:"purpose,omitempty" list:"purpose"`                                   // list purpose
	ForcedCriminalityKind  []string       `json:"forced_criminality_kind,omitempty" list:"forced_criminality_kind"`   // list of that name; with x_ForcedCriminality, and only then
	MethodsOfControl       []string       `json:"methods_of_control,omitempty" list:"methods_of_control"`             // list of that name
	MethodOfRecruitment    []string       `json:"method_of_recruitment,omitempty" list:"method_of_recruitment"`       // list of that name
	RecruitmentApps        []string       `json:"recruitment_apps,omitempty" list:"website_or_app"`                   // list website_or_app
	ForcedLabourIndustry   []string       `json:"forced_labour_industry,omitempty" list:"forced_labour_industry"`     // list of that name
	TypeOfSexExploitation  []string       `json:"type_of_sex_exploitation,omitempty" list:"type_of_sex_exploitation"` // list of that name
	Indicators             []Indicator    `json:"indicators,omitempty"`
	DimensionResults       *RuleResult    `json:"dimension_results,omitempty"`                  // Complete computes it; required with indicators
	MinorAtTime            string         `json:"minor_at_time,omitempty" list:"minor_at_time"` // list minor_at_time; required
	Interview              *Interview     `json:"interview,omitempty"`                          // required
	Consent                *Consent       `json:"consent,omitempty"`                            // required
	NonPunishmentStatement *NonPunishment `json:"non_punishment_statement,omitempty"`
	RequestedEffect        []string       `json:"requested_effect,omitempty" list:"requested_effect"` // list requested_effect
	ReflectionPeriod       *Reflection    `json:"reflection_period,omitempty"`
	ValidFrom              Day            `json:"valid_from,omitempty"`
	ValidUntil             Day            `json:"valid_until,omitempty"` // later than valid_from, at most maxValidity days
	ReviewBy               Day            `json:"review_by,omitempty"`   // no later than the function ReviewBy says
	AskAgainInPrivate      bool           `json:"ask_again_in_private,omitempty"`
	Referral               *Referral      `json:"referral,omitempty"`
}

// Interview is how a screening interview was held.
type Interview struct {
	Date               Day              `json:"date,omitempty"`                                     // required
	PlaceCountry       string           `json:"place_country,omitempty"`                            // three letters; required
	Mode               string           `json:"mode,omitempty" list:"interview_mode"`               // list interview_mode; required
	Language           string           `json:"language,omitempty"`                                 // ISO 639, three letters; required
	Interpreter        bool             `json:"interpreter"`                                        // somebody interpreted
	InterpreterKind    string           `json:"interpreter_kind,omitempty" list:"interpreter_kind"` // list interpreter_kind; required
	InterviewerOrgRole string           `json:"interviewer_org_role,omitempty" list:"org_type"`     // list org_type; required
	PriorInterviews    int              `json:"prior_interviews"`                                   // 0 to maxInterviews: nobody should be asked again and again
	Alone              string           `json:"alone,omitempty" list:"alone"`                       // list alone; required
	OthersPresent      []string         `json:"others_present,omitempty" list:"others_present"`     // list others_present; besides interviewer and interpreter
	PlaceKind          string           `json:"place_kind,omitempty" list:"place_kind"`             // list place_kind; required
	StatementOfLaw     string           `json:"statement_of_law,omitempty"`                         // always StatementOfLaw; Complete fills it in
	KeepApartFrom      []private.String `json:"keep_apart_from,omitempty"`                          // people whom the person must not be housed with
}

// NonPunishment says whether an agency states that the person should not be
// punished for what she was made to do.
type NonPunishment struct {
	Stated    bool             `json:"stated"`
	LegalRefs []private.String `json:"legal_refs,omitempty"` // such as ACTIP article 14(7); required when stated
}

// Reflection is a time to recover and think that was given or is asked for.
type Reflection struct {
	Start      Day            `json:"start,omitempty"`      // required
	Days       int            `json:"days"`                 // 1 to 365
	LegalBasis private.String `json:"legal_basis,omitzero"` // required
}

// Referral is how a person came from one organisation to another.
type Referral struct {
	FromOrg              string   `json:"from_org,omitempty"`                      // id of an agency; required
	ToOrg                string   `json:"to_org,omitempty"`                        // id of an agency; required
	Reason               string   `json:"reason,omitempty" list:"referral_reason"` // list referral_reason; required
	Date                 Day      `json:"date,omitempty"`                          // required
	PreviousAttestations []string `json:"previous_attestations,omitempty"`
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

// Complete fills in what is computed and not asked: the listed facts of the
// indicators, the results of the rule, the fixed words, the review day and,
// for whoever is not free, the day to ask for consent again. Earlier days
// that somebody chose stay, and so does the stated status. Call it between
// reading a form and issuing; Validate checks what it did.
func (s *Screening) Complete() {
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

// Validate reports everything that keeps the screening from being signed.
func (s *Screening) Validate(now time.Time) []invalid.Problem {
	c := newChecker(now)
	s.assessment(c)
	s.exploitation(c)
	s.rule(c)
	c.code("/minor_at_time", "minor_at_time", s.MinorAtTime, required)
	if c.There("/interview", s.Interview != nil, required) {
		s.Interview.check(c, "/interview")
	}
	if c.There("/consent", s.Consent != nil, required) {
		s.Consent.check(c, "/consent")
	}
	s.effects(c)
	s.times(c)
	if s.Referral != nil {
		s.Referral.check(c, "/referral")
	}
	return c.Problems()
}

// assessment checks who assessed what, and how.
func (s *Screening) assessment(c checker) {
	c.code("/trafficking_status", "trafficking_status", s.TraffickingStatus, required)
	c.code("/decision_level", "decision_level", s.DecisionLevel, required)
	c.code("/authority_class", "authority_class", s.AuthorityClass, required)
	if s.DecisionLevel == "judicial_finding" && s.AuthorityClass != "" && s.AuthorityClass != "CourtOrProsecution" {
		c.Add("/decision_level", invalid.CodeInconsistent, "a judicial finding is made by a court or prosecution")
	}
	c.code("/standard_of_evidence", "standard_of_evidence", s.StandardOfEvidence, required)
	c.code("/confidence", "confidence", s.Confidence, required)
	c.Text("/confidence_reason", s.ConfidenceReason, optional)
	c.code("/tool", "tool", s.Tool, required)
	c.Only("/tool_name", !s.ToolName.IsZero(), s.Tool == "OTHER", "names a tool that is not in the list")
	c.Line("/tool_name", s.ToolName, s.Tool == "OTHER")
}

// exploitation checks act, means and purpose, and how it was done.
func (s *Screening) exploitation(c checker) {
	// A first screening may be signed before all three are known; to call
	// somebody actually trafficked means to state them.
	actual := invalid.Need(s.TraffickingStatus == StatusActual)
	c.codes("/act", "act", s.Act, actual)
	// Palermo Protocol, article 3(c): for a child no means is needed.
	c.codes("/means", "means", s.Means, actual && s.MinorAtTime != "yes")
	c.codes("/purpose", "purpose", s.Purpose, actual)
	forced := slices.Contains(s.Purpose, "x_ForcedCriminality")
	c.Only("/forced_criminality_kind", len(s.ForcedCriminalityKind) > 0, forced, "goes with the purpose x_ForcedCriminality")
	c.codes("/forced_criminality_kind", "forced_criminality_kind", s.ForcedCriminalityKind, invalid.Need(forced))
	c.codes("/methods_of_control", "methods_of_control", s.MethodsOfControl, optional)
	c.codes("/method_of_recruitment", "method_of_recruitment", s.MethodOfRecruitment, optional)
	c.codes("/recruitment_apps", "website_or_app", s.RecruitmentApps, optional)
	c.codes("/forced_labour_industry", "forced_labour_industry", s.ForcedLabourIndustry, optional)
	c.codes("/type_of_sex_exploitation", "type_of_sex_exploitation", s.TypeOfSexExploitation, optional)
}

// rule checks the indicators, and that what is called computed was computed.
// That the stated status differs from the outcome is allowed.
func (s *Screening) rule(c checker) {
	if c.Count("/indicators", len(s.Indicators), len(vocabulary().Indicators)) {
		codes := make([]string, len(s.Indicators))
		for i, x := range s.Indicators {
			codes[i] = x.Code
			x.check(c, invalid.At("/indicators", i))
		}
		for i, code := range codes {
			if code != "" && slices.Contains(codes[:i], code) {
				c.Add(invalid.At("/indicators", i)+"/code", invalid.CodeDuplicate, "is in the list already")
			}
		}
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
		if !m.same {
			c.Add("/dimension_results/"+m.name, invalid.CodeInconsistent, "is as the rule computes it")
		}
	}
}

func (x Indicator) check(c checker, field string) {
	listed, ok := indicator(x.Code)
	if c.There(field+"/code", x.Code != "", required) && !ok {
		c.Add(field+"/code", invalid.CodeNotInList, "is not one of the listed indicators")
	}
	if ok {
		for _, m := range []struct {
			name        string
			there, same bool
		}{
			{"dimension", x.Dimension != 0, x.Dimension == listed.Dimension},
			{"strength", x.Strength != "", x.Strength == listed.Strength},
			{"phase", x.Phase != "", x.Phase == listed.Phase},
		} {
			if c.There(field+"/"+m.name, m.there, required) && !m.same {
				c.Add(field+"/"+m.name, invalid.CodeInconsistent, "is as listed for the indicator")
			}
		}
	}
	c.code(field+"/basis", "indicator_basis", x.Basis, required)
}

func (i *Interview) check(c checker, field string) {
	c.past(field+"/date", i.Date, required)
	c.Country(field+"/place_country", i.PlaceCountry, required)
	c.code(field+"/mode", "interview_mode", i.Mode, required)
	c.language(field+"/language", i.Language, required)
	c.code(field+"/interpreter_kind", "interpreter_kind", i.InterpreterKind, required)
	if i.InterpreterKind != "" && i.Interpreter != (i.InterpreterKind != "none") {
		c.Add(field+"/interpreter", invalid.CodeInconsistent, "fits interpreter_kind")
	}
	c.code(field+"/interviewer_org_role", "org_type", i.InterviewerOrgRole, required)
	if i.PriorInterviews < 0 || i.PriorInterviews > maxInterviews {
		c.Add(field+"/prior_interviews", invalid.CodeRange, fmt.Sprintf("is a number from 0 to %d", maxInterviews))
	}
	c.code(field+"/alone", "alone", i.Alone, required)
	c.codes(field+"/others_present", "others_present", i.OthersPresent, optional)
	if i.Alone == "yes" && len(i.OthersPresent) > 0 {
		c.Add(field+"/others_present", invalid.CodeInconsistent, "is empty when the person was alone")
	}
	c.code(field+"/place_kind", "place_kind", i.PlaceKind, required)
	if c.There(field+"/statement_of_law", i.StatementOfLaw != "", required) && i.StatementOfLaw != StatementOfLaw {
		c.Add(field+"/statement_of_law", invalid.CodeFormat, "is the fixed sentence")
	}
	if c.Count(field+"/keep_apart_from", len(i.KeepApartFrom), maxKeepApart) {
		for n, who := range i.KeepApartFrom {
			c.Line(invalid.At(field+"/keep_apart_from", n), who, required)
		}
	}
}

// effects checks what the agency asks for.
func (s *Screening) effects(c checker) {
	if n := s.NonPunishmentStatement; n != nil {
		const field = "/non_punishment_statement/legal_refs"
		c.There(field, len(n.LegalRefs) > 0, invalid.Need(n.Stated))
		if c.Count(field, len(n.LegalRefs), maxLegalRefs) {
			for i, ref := range n.LegalRefs {
				c.Line(invalid.At(field, i), ref, required)
			}
		}
	}
	c.codes("/requested_effect", "requested_effect", s.RequestedEffect, optional)
	if r := s.ReflectionPeriod; r != nil {
		c.day("/reflection_period/start", r.Start, required)
		if r.Days < 1 || r.Days > 365 {
			c.Add("/reflection_period/days", invalid.CodeRange, "is from 1 to 365 days")
		}
		c.Line("/reflection_period/legal_basis", r.LegalBasis, required)
	}
}

// times checks from when to when the screening holds, and its review.
func (s *Screening) times(c checker) {
	from := c.day("/valid_from", s.ValidFrom, optional)
	if until := c.day("/valid_until", s.ValidUntil, optional); from && until {
		if s.ValidUntil <= s.ValidFrom || s.ValidUntil > s.ValidFrom.Add(maxValidity) {
			c.Add("/valid_until", invalid.CodeRange, fmt.Sprintf("is after valid_from, by at most %d days", maxValidity))
		}
	}
	var by Day
	var ask bool
	if s.Interview != nil {
		by, ask = ReviewBy(*s.Interview)
	}
	reviewed := c.day("/review_by", s.ReviewBy, invalid.Need(ask))
	if _, ok := by.Time(); ok && reviewed && s.ReviewBy > by {
		c.Add("/review_by", invalid.CodeRange, fmt.Sprintf("is at most %d days after an interview that was not private", ReviewDays))
	}
	if ask && !s.AskAgainInPrivate {
		c.Add("/ask_again_in_private", invalid.CodeInconsistent, "is yes after an interview that was not private")
	}
}

func (r *Referral) check(c checker, field string) {
	c.Agency(field+"/from_org", r.FromOrg, required)
	c.Agency(field+"/to_org", r.ToOrg, required)
	if r.FromOrg != "" && r.FromOrg == r.ToOrg {
		c.Add(field+"/to_org", invalid.CodeInconsistent, "is not the organisation that refers")
	}
	c.code(field+"/reason", "referral_reason", r.Reason, required)
	c.past(field+"/date", r.Date, required)
	if c.Count(field+"/previous_attestations", len(r.PreviousAttestations), maxPrevious) {
		for i, id := range r.PreviousAttestations {
			c.ID(invalid.At(field+"/previous_attestations", i), id, required)
		}
		c.Distinct(field+"/previous_attestations", r.PreviousAttestations)
	}
}
