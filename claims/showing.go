package claims

import "slices"

// A Showing is a question to a person's consent: may this be shown to whom, for
// what, on this day? Cards and grants ask the same one.
type Showing struct {
	To      Recipient
	About   Origin
	Purpose string // list sharing_purpose
	On      Day
}

// Recipient is the agency that would see something.
type Recipient struct {
	Class   string // list org_type
	Country string // whose agency it is; three letters
	// For are the states beside it in whose name the network has the agency answer.
	For []string
	// Identifies says that the agency decides who is identified formally.
	Identifies bool
}

// OfState reports whether the agency belongs to a state, as far as anybody knows.
func (r Recipient) OfState() bool { return slices.Contains(authorities, r.Class) }

// Origin is what is known of the state that a person comes from, and of the one
// where she is.
type Origin struct {
	Stated []string // the nationalities that she stated; three letters each
	Shown  []string // those that documents of hers show
	Host   string   // the state where she is, which is that of the agency that keeps her case
}

// PurposeContact is the purpose for which a card names a mission: nothing is
// shown, but somebody may ring there.
const PurposeContact = "contact"

// scopes is what a person has to have agreed to share with, for agencies of
// each class. Agencies of no other class are shown anything.
var scopes = map[string]string{
	"NGO":                           "ngo",
	"x_Shelter":                     "shelter",
	"HealthServiceOrganisation":     "health",
	"LegalService":                  "legal",
	"LawEnforcement":                "police",
	"ImmigrationService":            "immigration",
	"CentralGovernmentOrganisation": "ministry",
	"LocalGovernmentOrganisation":   "ministry",
	"x_InternationalOrganisation":   "international_organisation",
	ClassMission:                    "other_mission",
}

// authorities are the classes whose agencies belong to a state, as far as
// anybody knows: that a hospital or a school is private shows nowhere.
var authorities = []string{
	ClassMission, "LawEnforcement", "ImmigrationService", "CentralGovernmentOrganisation", "LocalGovernmentOrganisation",
	"HealthServiceOrganisation", "SchoolOrCollege",
}

// Allows reports whether a person's newest word allows it. words are all her
// consents that are known, in any order. Of those that were given on the newest
// day each has to allow it, because a day is all that tells them apart. Whatever
// she was not asked, was not sure of or was asked for too long ago is no, and so
// is everything that this function does not know.
func Allows(words []*Consent, s Showing) bool {
	newest := Day("")
	for _, c := range words {
		newest = max(newest, c.GivenOn)
	}
	older := func(c *Consent) bool { return c.GivenOn != newest }
	last := slices.DeleteFunc(slices.Clone(words), older)
	return len(last) > 0 && !slices.ContainsFunc(last, func(c *Consent) bool { return !c.allows(s) })
}

func (c *Consent) allows(s Showing) bool {
	listed := s.Purpose == PurposeContact || slices.Contains(values("sharing_purpose"), s.Purpose)
	if !c.Interview || !listed || !c.standsOn(s.On) {
		return false
	}
	mission, authority := s.To.Class == ClassMission, s.To.OfState()
	switch {
	case s.Purpose == PurposeContact && (!mission || !hasState(known(s.About.Stated), s.To.Country)):
		// A card names the mission of a state that she stated, and nobody else.
		// That a state might be hers is a reason to be careful, not to ring there.
		return false
	case s.About.Involves(s.To):
		// Her own state is told only by a consent of its own, given in freedom.
		// Whoever is held or has just come out is not free, and one agency's
		// word is not enough to say otherwise.
		if c.SafeIfStateKnows != "yes" || !c.MissionMayBeContacted || c.Circumstance != "free" {
			return false
		}
		if mission {
			return s.Purpose == PurposeContact || slices.Contains(c.ShareScope, "mission_of_origin")
		}
		return slices.Contains(c.ShareScope, scopes[s.To.Class]) && c.names(s.To.Country)
	case authority && !mission && !sameState(s.To.Country, s.About.Host):
		return slices.Contains(c.ShareScope, scopes[s.To.Class]) && c.names(s.To.Country)
	default:
		return slices.Contains(c.ShareScope, scopes[s.To.Class])
	}
}

// standsOn reports whether the consent was given by that day and need not be
// asked for again yet.
func (c *Consent) standsOn(day Day) bool {
	if _, ok := day.Time(); !ok || c.GivenOn == "" || c.GivenOn > day {
		return false
	}
	by, ask := c.AskAgainBy()
	if c.ReconfirmBy != "" && (!ask || c.ReconfirmBy < by) {
		by, ask = c.ReconfirmBy, true
	}
	_, ok := by.Time()
	return !ask || ok && by >= day
}

// names reports whether she agreed that data goes to that state.
func (c *Consent) names(state string) bool {
	return slices.ContainsFunc(c.TransferToState, func(s string) bool { return sameState(s, state) })
}

// Involves reports whether an agency is an authority of the person's own state:
// of each nationality that she stated or that a document of hers shows. Where
// none is known, or where the two contradict each other, it is every state's
// authority but those of the state where she is. An NGO, a shelter, a lawyer or
// an international organisation in her country is not her state.
func (o Origin) Involves(r Recipient) bool {
	if !r.OfState() {
		return false
	}
	stated, shown := known(o.Stated), known(o.Shown)
	for _, state := range append([]string{r.Country}, r.For...) { // it stands for each
		if hasState(stated, state) || hasState(shown, state) {
			return true
		}
	}
	agree := slices.ContainsFunc(stated, func(s string) bool { return hasState(shown, s) })
	unclear := len(stated)+len(shown) == 0 || len(stated) > 0 && len(shown) > 0 && !agree
	return unclear && !sameState(r.Country, o.Host)
}

// known leaves out the codes that name no state.
func known(nationalities []string) []string {
	return slices.DeleteFunc(slices.Clone(nationalities), func(s string) bool { return s == "" || slices.Contains(stateless, s) })
}

func hasState(states []string, one string) bool {
	return slices.ContainsFunc(states, func(s string) bool { return sameState(s, one) })
}

func sameState(a, b string) bool { return State(a) == State(b) }
