package claims

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindReply is the kind of a Reply.
const KindReply Kind = "reply"

// Reply is the answer of an embassy or consulate. Which attestation it answers
// stands in the signed form, not here.
type Reply struct {
	Answer       string         `json:"answer,omitempty" list:"reply_answer" is:"required" tells:"answer"`
	Mission      private.String `json:"mission,omitzero" is:"required" tells:"answer"`
	MissionState string         `json:"mission_state,omitempty" is:"required,country" tells:"answer"`
	Ref          private.String `json:"ref,omitzero" tells:"note"`
	OfficerID    private.String `json:"officer_id,omitzero" tells:"note"`
	Date         Day            `json:"date,omitempty" is:"required,past" tells:"answer"`

	Channel   string     `json:"channel,omitempty" list:"reply_channel" is:"required" tells:"answer"`
	CallBacks []CallBack `json:"callbacks,omitempty" is:"max=8" tells:"note"` // with relayed only

	Needed []string       `json:"needed,omitempty" list:"reply_needed" tells:"answer"` // required with more_info_needed, and only then
	Reason private.String `json:"reason,omitzero" is:"text" tells:"note"`

	ETDRef        private.String `json:"etd_ref,omitzero" tells:"note"`                 // reference of a travel document; with matched only, as are the next four
	ETDValidUntil Day            `json:"etd_valid_until,omitempty" tells:"note"`        // not before the date
	Entries       string         `json:"entries,omitempty" list:"entries" tells:"note"` // how often it lets its bearer in
	CollectWhere  private.String `json:"collect_where,omitzero" tells:"note"`
	DeliveredOn   Day            `json:"delivered_on,omitempty" is:"past" tells:"note"`

	SLTDRecorded bool `json:"sltd_recorded" tells:"answer"` // the state has entered the lost document in INTERPOL's list
}

// CallBack is one call to a mission that has no account, to hear whether its
// answer is its own.
type CallBack struct {
	By            string `json:"by,omitempty" is:"required,agency"` // who called: a person of an agency
	On            Day    `json:"on,omitempty" is:"required,past"`
	FromDirectory bool   `json:"from_directory"` // the number was in the agency's own directory, not in the answer
	Confirmed     bool   `json:"confirmed"`      // the mission said that the answer is its own
}

// Kind is KindReply.
func (*Reply) Kind() Kind { return KindReply }

// Format hides the claims whatever the verb.
func (r Reply) Format(f fmt.State, _ rune) { hidden(f, KindReply) }

// LogValue hides the claims in structured logs.
func (r Reply) LogValue() slog.Value { return hiddenLog(KindReply) }

// OfficeVerified reports whether the answer is surely the mission's: it was
// given through the mission's own account, or two people called back on a
// directory number and nobody who called was told otherwise. Until then
// screens say "answered, office not verified".
func (r *Reply) OfficeVerified() bool {
	switch r.Channel {
	case "account":
		return true
	case "relayed":
		var callers []string
		for _, call := range r.CallBacks {
			if !call.Confirmed {
				return false
			}
			if call.FromDirectory && call.By != "" && !slices.Contains(callers, call.By) {
				callers = append(callers, call.By)
			}
		}
		return len(callers) >= 2
	default:
		return false
	}
}

// Matched reports whether the reply may confirm anybody: the person matched the records
// of whoever answers, who said so through an account of its own (docs/decisions/0006).
// For whom it does, Confirms tells.
func (r *Reply) Matched() bool { return r.Answer == "matched" && r.Channel == "account" }

// Answerer is an agency that answers, as far as that decides what its answer is worth.
type Answerer struct {
	Class    string   // list org_type
	Country  string   // whose agency it is; three letters
	Confirms []string // the states for which the network has named it
}

// Confirmation is what a reply is worth to a card: a value of the answers list
// (docs/card.md, Answers after printing).
type Confirmation uint8

// The values.
const (
	ConfirmsNothing   Confirmation = 0
	ConfirmsAsMission Confirmation = 1 // the mission of the stated nationality confirms
	ConfirmsAsNamed   Confirmation = 3 // an authority that the network has named for it does
)

// Confirms tells what the reply is worth to somebody: nothing, unless a state's own
// mission or an authority that the network has named for that state answers in its name,
// and she has stated that she is of that state. stated knows a nationality by a code of
// it, and need not say which it is. A mission of another state confirms nobody.
func (r *Reply) Confirms(by Answerer, stated func(code string) bool) Confirmation {
	if !r.Matched() || !slices.ContainsFunc(StateCodes(r.MissionState), stated) {
		return ConfirmsNothing
	}
	return by.Speaks(r.MissionState)
}

// Speaks tells as what an agency answers in a state's name through an account of its own.
func (by Answerer) Speaks(state string) Confirmation {
	switch {
	case !IsState(state):
		return ConfirmsNothing
	case by.Class == ClassMission && sameState(by.Country, state):
		return ConfirmsAsMission
	case MayBeNamed(by.Class) && hasState(by.Confirms, state):
		return ConfirmsAsNamed
	default:
		return ConfirmsNothing
	}
}

// MayBeNamed tells whether the network may name agencies of a class for a state: a mission
// that stands for another one (Vienna Convention on Consular Relations, Article 8), and an
// authority of a government.
func MayBeNamed(class string) bool {
	switch class {
	case ClassMission, "CentralGovernmentOrganisation", "LocalGovernmentOrganisation", "ImmigrationService", "LawEnforcement":
		return true
	default:
		return false
	}
}

func (r *Reply) rules(c *invalid.Checker) {
	c.Only("/callbacks", len(r.CallBacks) > 0, r.Channel == "relayed", "goes with a relayed answer")
	more := r.Answer == "more_info_needed"
	c.Only("/needed", len(r.Needed) > 0, more, "goes with more_info_needed")
	c.There("/needed", len(r.Needed) > 0, invalid.Need(more))
	matched := r.Answer == "matched"
	for _, m := range []struct {
		pointer string
		is      bool
	}{
		{"/etd_ref", !r.ETDRef.IsZero()},
		{"/etd_valid_until", r.ETDValidUntil != ""},
		{"/entries", r.Entries != ""},
		{"/collect_where", !r.CollectWhere.IsZero()},
		{"/delivered_on", r.DeliveredOn != ""},
	} {
		c.Only(m.pointer, m.is, matched, "goes with an answer that matched")
	}
	if before(r.ETDValidUntil, r.Date) {
		c.Add("/etd_valid_until", invalid.CodeRange, "is not before the answer")
	}
}
