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

	GivenOn         Day            `json:"given_on,omitempty" is:"required,past"`
	ShareScope      []string       `json:"share_scope,omitempty" list:"share_scope"`       // with whom
	TransferToState []string       `json:"transfer_to_state,omitempty" is:"country,max=8"` // states that data may go to
	ReceiptLanguage string         `json:"receipt_language,omitempty" is:"required,language"`
	Method          string         `json:"method,omitempty" list:"consent_method" is:"required"`
	Witness         private.String `json:"witness,omitzero" is:"name"`        // with verbal_witnessed, and only then
	Controller      private.String `json:"controller,omitzero" is:"required"` // the organisation that answers for the data
	LawfulBasis     string         `json:"lawful_basis,omitempty" list:"lawful_basis" is:"required"`
	Circumstance    string         `json:"circumstance,omitempty" list:"circumstance" is:"required"`
	ReconfirmBy     Day            `json:"reconfirm_by,omitempty"` // when to ask again; required unless free

	FindableByNumber      bool   `json:"findable_by_number"`                                       // a document number may find the record
	SafeIfStateKnows      string `json:"safe_if_state_knows,omitempty" list:"safe_if_state_knows"` // asked before anything goes to a state
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

func (c *Consent) rules(k *invalid.Checker, at string) {
	if !c.Interview {
		k.Add(at+"/interview", invalid.CodeRequired, "the person agreed to the interview")
	}
	witnessed := c.Method == "verbal_witnessed"
	k.Only(at+"/witness", !c.Witness.IsZero(), witnessed, "goes with verbal_witnessed")
	k.There(at+"/witness", !c.Witness.IsZero(), invalid.Need(witnessed))
	by, ask := c.AskAgainBy()
	k.There(at+"/reconfirm_by", c.ReconfirmBy != "", invalid.Need(ask))
	if ask && before(by, c.ReconfirmBy) {
		k.Add(at+"/reconfirm_by", invalid.CodeRange, "is at most 14 days after consent that was not given in freedom")
	}
	c.stateRules(k, at)
}

// stateRules are about the state of origin. It is not trusted by default:
// anything but a clear "it is safe" hides the option.
func (c *Consent) stateRules(k *invalid.Checker, at string) {
	origin := slices.Contains(c.ShareScope, "mission_of_origin")
	asked := invalid.Need(c.MissionMayBeContacted || origin || len(c.TransferToState) > 0)
	k.There(at+"/safe_if_state_knows", c.SafeIfStateKnows != "", asked)
	if c.SafeIfStateKnows == "yes" {
		return
	}
	if c.MissionMayBeContacted {
		k.Add(at+"/mission_may_be_contacted", invalid.CodeInconsistent, "is no unless it is safe if the state knows")
	}
	if origin {
		k.Add(at+"/share_scope", invalid.CodeInconsistent, "has no mission of origin unless it is safe if the state knows")
	}
}
