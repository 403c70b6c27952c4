package claims

import (
	"slices"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// Consent is what a person agreed to, question by question. Whatever was not
// answered is no.
//
// HTCDS 2.0 has one box to tick and seven questions in its guidance; here each
// question has its own answer.
type Consent struct {
	Interview          bool `json:"interview"`             // to be interviewed; nothing is signed without it
	Purpose            bool `json:"purpose"`               // knows why the data is collected
	Use                bool `json:"use"`                   // knows how it is and may be used
	ResearchUse        bool `json:"research_use"`          // agrees to use in research
	RightToRequestData bool `json:"right_to_request_data"` // knows how to ask for the data
	StorageDuration    bool `json:"storage_duration"`      // knows how long it is kept
	HowToWithdraw      bool `json:"how_to_withdraw"`       // knows how to take the consent back

	GivenOn         Day            `json:"given_on,omitempty"`                         // required
	ShareScope      []string       `json:"share_scope,omitempty" list:"share_scope"`   // list share_scope: with whom
	TransferToState []string       `json:"transfer_to_state,omitempty"`                // states that data may go to, three letters each
	ReceiptLanguage string         `json:"receipt_language,omitempty"`                 // ISO 639, three letters; required
	Method          string         `json:"method,omitempty" list:"consent_method"`     // list consent_method; required
	Witness         private.String `json:"witness,omitzero"`                           // with verbal_witnessed, and only then
	Controller      private.String `json:"controller,omitzero"`                        // the organisation that answers for the data; required
	LawfulBasis     string         `json:"lawful_basis,omitempty" list:"lawful_basis"` // list lawful_basis; required
	Circumstance    string         `json:"circumstance,omitempty" list:"circumstance"` // list circumstance; required
	ReconfirmBy     Day            `json:"reconfirm_by,omitempty"`                     // when to ask again; required unless free

	FindableByNumber      bool   `json:"findable_by_number"`                                       // a document number may find the record
	SafeIfStateKnows      string `json:"safe_if_state_knows,omitempty" list:"safe_if_state_knows"` // list of that name; asked before anything goes to a state
	MissionMayBeContacted bool   `json:"mission_may_be_contacted"`                                 // the office of the person's own country
}

// AskAgainBy computes when consent that was not given freely has to be asked
// for again: ReviewDays after it was given, unless the person was free.
func (c *Consent) AskAgainBy() (by Day, ask bool) {
	if c.Circumstance == "free" {
		return "", false
	}
	return c.GivenOn.Add(ReviewDays), true
}

func (c *Consent) check(k checker, field string) {
	if !c.Interview {
		k.Add(field+"/interview", invalid.CodeRequired, "the person agreed to the interview")
	}
	given := k.past(field+"/given_on", c.GivenOn, required)
	k.codes(field+"/share_scope", "share_scope", c.ShareScope, optional)
	if k.Count(field+"/transfer_to_state", len(c.TransferToState), maxStates) {
		for i, state := range c.TransferToState {
			k.Country(invalid.At(field+"/transfer_to_state", i), state, required)
		}
		k.Distinct(field+"/transfer_to_state", c.TransferToState)
	}
	k.language(field+"/receipt_language", c.ReceiptLanguage, required)
	k.code(field+"/method", "consent_method", c.Method, required)
	witnessed := c.Method == "verbal_witnessed"
	k.Only(field+"/witness", !c.Witness.IsZero(), witnessed, "goes with verbal_witnessed")
	k.Name(field+"/witness", c.Witness, invalid.Need(witnessed))
	k.Line(field+"/controller", c.Controller, required)
	k.code(field+"/lawful_basis", "lawful_basis", c.LawfulBasis, required)
	k.code(field+"/circumstance", "circumstance", c.Circumstance, required)
	by, ask := c.AskAgainBy()
	if k.day(field+"/reconfirm_by", c.ReconfirmBy, invalid.Need(ask)) && given && ask && c.ReconfirmBy > by {
		k.Add(field+"/reconfirm_by", invalid.CodeRange, "is at most 14 days after consent that was not given in freedom")
	}
	c.checkState(k, field)
}

// checkState checks what concerns the state of origin. It is not trusted by
// default: anything but a clear "it is safe" hides the option.
func (c *Consent) checkState(k checker, field string) {
	origin := slices.Contains(c.ShareScope, "mission_of_origin")
	k.code(field+"/safe_if_state_knows", "safe_if_state_knows", c.SafeIfStateKnows,
		invalid.Need(c.MissionMayBeContacted || origin || len(c.TransferToState) > 0))
	if c.SafeIfStateKnows == "yes" {
		return
	}
	if c.MissionMayBeContacted {
		k.Add(field+"/mission_may_be_contacted", invalid.CodeInconsistent, "is no unless it is safe if the state knows")
	}
	if origin {
		k.Add(field+"/share_scope", invalid.CodeInconsistent, "has no mission of origin unless it is safe if the state knows")
	}
}
