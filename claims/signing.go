package claims

import (
	"maps"
	"slices"
)

// Signing is what an agency may sign: which kinds of attestations, and up to which
// decision level a screening, and a card that carries one. The zero Signing is
// nothing at all.
type Signing struct {
	Kinds []Kind
	Level string // the highest; empty is none
}

// Decision levels, the lowest first, as the vocabulary lists them.
const (
	levelPreliminary = "preliminary_screening"
	levelGrounds     = "reasonable_grounds"
	levelFormal      = "formal_identification"
	levelJudicial    = "judicial_finding"
)

// helping are the kinds of those who take people in and vouch for what they find.
var helping = []Kind{KindScreening, KindAppointment, KindIdentity, KindDocument, KindOpinion, KindReliance}

// signing is what agencies of each class of the vocabulary sign by themselves. A
// network may agree on more or less with one agency; a class that does not stand
// here signs nothing. A decision that identifies somebody formally is a government's
// to make, and an answer of an embassy an embassy's.
var signing = map[string]Signing{
	"NGO":                           {helping, levelGrounds},
	"x_InternationalOrganisation":   {helping, levelGrounds},
	"x_Shelter":                     {helping, levelPreliminary},
	"HealthServiceOrganisation":     {helping, levelPreliminary},
	"LegalService":                  {helping, levelPreliminary},
	"LocalGovernmentOrganisation":   {helping, levelGrounds},
	"CentralGovernmentOrganisation": {helping, levelJudicial},
	"SchoolOrCollege":               {[]Kind{KindOpinion, KindReliance}, ""},
	"ImmigrationService":            {[]Kind{KindOpinion, KindReliance}, ""},
	"LawEnforcement":                {[]Kind{KindOpinion, KindReliance}, ""},
	ClassMission:                    {[]Kind{KindOpinion, KindReply}, ""},
	"CorporateBusiness":             {},
}

// NewSigning is what was agreed, in the words of the vocabulary.
func NewSigning(kinds []string, level string) *Signing {
	s := &Signing{Level: level}
	for _, kind := range kinds {
		s.Kinds = append(s.Kinds, Kind(kind))
	}
	return s
}

// SigningOf is what an agency of a class signs unless something else was agreed with
// it.
func SigningOf(class string) Signing {
	s := signing[class]
	s.Kinds = slices.Clone(s.Kinds)
	return s
}

// May tells whether an attestation of a kind is one of those. An answer in a state's name
// is one of who speaks for it alone, whatever was agreed with whom: Answerer.Speaks.
func (s Signing) May(kind Kind) bool { return slices.Contains(s.Kinds, kind) }

// Reaches tells whether a decision level is not above what may be signed. A level
// that the vocabulary does not list is above everything.
func (s Signing) Reaches(level string) bool {
	n := CardDecisionLevel(level)
	return n > 0 && n <= CardDecisionLevel(s.Level)
}

// Identifies tells whether whoever signs that identifies people formally.
func (s Signing) Identifies() bool { return s.May(KindScreening) && s.Reaches(levelFormal) }

// SigningClasses lists the classes of the table, sorted.
func SigningClasses() []string { return slices.Sorted(maps.Keys(signing)) }
