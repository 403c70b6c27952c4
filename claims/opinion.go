package claims

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// Opinion is what another agency thinks of an attestation. The attestation
// stays as it is, and both are read together. Which attestation it is about
// stands in the signed form, not here.
type Opinion struct {
	Opinion        string         `json:"opinion,omitempty" list:"opinion"`                 // list opinion; required
	AuthorityClass string         `json:"authority_class,omitempty" list:"authority_class"` // list authority_class; required
	Date           Day            `json:"date,omitempty"`                                   // required
	Parts          []string       `json:"parts,omitempty" list:"attestation_part"`          // list attestation_part: what is concurred in, missing or dissented from; required with concur_in_part
	Reason         private.String `json:"reason,omitzero"`                                  // free text; required with dissent
}

// Kind is KindOpinion.
func (*Opinion) Kind() Kind { return KindOpinion }

// Format hides the claims whatever the verb.
func (o Opinion) Format(f fmt.State, _ rune) { hidden(f, KindOpinion) }

// LogValue hides the claims in structured logs.
func (o Opinion) LogValue() slog.Value { return hiddenLog(KindOpinion) }

// Validate reports everything that keeps the opinion from being signed.
func (o *Opinion) Validate(now time.Time) []invalid.Problem {
	c := newChecker(now)
	c.code("/opinion", "opinion", o.Opinion, required)
	c.code("/authority_class", "authority_class", o.AuthorityClass, required)
	c.past("/date", o.Date, required)
	c.Only("/parts", len(o.Parts) > 0, o.Opinion != "concur", "is said when not all is concurred in")
	c.codes("/parts", "attestation_part", o.Parts, o.Opinion == "concur_in_part")
	// A dissent that says nothing would weigh as much as one that can be
	// answered.
	c.Text("/reason", o.Reason, o.Opinion == "dissent")
	return c.Problems()
}

// Reliance is how an agency used an attestation: this is how a status carries
// from one agency to the next. Which attestation it is about stands in the
// signed form, not here.
type Reliance struct {
	Reliance        string         `json:"reliance,omitempty" list:"reliance"`                 // list reliance; required unless officer_decision is there
	OfficerDecision string         `json:"officer_decision,omitempty" list:"officer_decision"` // list officer_decision: what an officer did after reading
	AuthorityClass  string         `json:"authority_class,omitempty" list:"authority_class"`   // list authority_class; required
	Date            Day            `json:"date,omitempty"`                                     // required
	Parts           []string       `json:"parts,omitempty" list:"attestation_part"`            // list attestation_part: what was relied on; required with relied_partly, and only then
	Reason          string         `json:"reason,omitempty" list:"reliance_reason"`            // list reliance_reason; required with rescreened
	ReasonText      private.String `json:"reason_text,omitzero"`                               // free text; required with the reason other
	NewScreening    string         `json:"new_screening,omitempty"`                            // id of the screening that was made again; with rescreened only
}

// Kind is KindReliance.
func (*Reliance) Kind() Kind { return KindReliance }

// Format hides the claims whatever the verb.
func (r Reliance) Format(f fmt.State, _ rune) { hidden(f, KindReliance) }

// LogValue hides the claims in structured logs.
func (r Reliance) LogValue() slog.Value { return hiddenLog(KindReliance) }

// Relied reports whether the agency took over the attestation or a part of it.
func (r *Reliance) Relied() bool {
	return r.Reliance == "relied_no_reinterview" || r.Reliance == "relied_partly"
}

// Validate reports everything that keeps the reliance from being signed.
func (r *Reliance) Validate(now time.Time) []invalid.Problem {
	c := newChecker(now)
	c.code("/reliance", "reliance", r.Reliance, r.OfficerDecision == "")
	c.code("/officer_decision", "officer_decision", r.OfficerDecision, optional)
	fits := map[string][]string{
		"relied_no_reinterview": {"relied"},
		"relied_partly":         {"relied_partly", "referred_to_mdt"},
		"rescreened":            {"referred_to_mdt", "rescreen_required", "refused"},
	}[r.Reliance]
	if fits != nil && r.OfficerDecision != "" && !slices.Contains(fits, r.OfficerDecision) {
		c.Add("/officer_decision", invalid.CodeInconsistent, "fits reliance")
	}
	c.code("/authority_class", "authority_class", r.AuthorityClass, required)
	c.past("/date", r.Date, required)
	partly := r.Reliance == "relied_partly" || r.OfficerDecision == "relied_partly"
	c.Only("/parts", len(r.Parts) > 0, partly, "goes with relied_partly")
	c.codes("/parts", "attestation_part", r.Parts, invalid.Need(partly))
	again := r.Reliance == "rescreened"
	c.code("/reason", "reliance_reason", r.Reason, invalid.Need(again))
	c.Text("/reason_text", r.ReasonText, r.Reason == "other")
	c.Only("/new_screening", r.NewScreening != "", again, "goes with rescreened")
	c.ID("/new_screening", r.NewScreening, optional)
	return c.Problems()
}

// Reply is the answer of an embassy or consulate. Which attestation it answers
// stands in the signed form, not here.
type Reply struct {
	Answer       string         `json:"answer,omitempty" list:"reply_answer"` // list reply_answer; required
	Mission      private.String `json:"mission,omitzero"`                     // required
	MissionState string         `json:"mission_state,omitempty"`              // three letters; required
	Ref          private.String `json:"ref,omitzero"`
	OfficerID    private.String `json:"officer_id,omitzero"`
	Date         Day            `json:"date,omitempty"` // required

	Channel   string     `json:"channel,omitempty" list:"reply_channel"` // list reply_channel; required
	CallBacks []CallBack `json:"callbacks,omitempty"`                    // with relayed only

	Needed []string       `json:"needed,omitempty" list:"reply_needed"` // list reply_needed; required with more_info_needed, and only then
	Reason private.String `json:"reason,omitzero"`                      // free text

	ETDRef        private.String `json:"etd_ref,omitzero"`                 // reference of a travel document; with matched only, as are the next four
	ETDValidUntil Day            `json:"etd_valid_until,omitempty"`        // not before the date
	Entries       string         `json:"entries,omitempty" list:"entries"` // list entries
	CollectWhere  private.String `json:"collect_where,omitzero"`
	DeliveredOn   Day            `json:"delivered_on,omitempty"`

	SLTDRecorded bool `json:"sltd_recorded"` // the state has entered the lost document in INTERPOL's list
}

// CallBack is one call to a mission that has no account, to hear whether its
// answer is its own.
type CallBack struct {
	By            string `json:"by,omitempty"`   // who called: id of a person of an agency; required
	On            Day    `json:"on,omitempty"`   // required
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

// Matched reports whether the reply may turn cards green: the person matched
// the mission's records, and the answer is surely the mission's.
func (r *Reply) Matched() bool { return r.Answer == "matched" && r.OfficeVerified() }

// Validate reports everything that keeps the reply from being signed.
func (r *Reply) Validate(now time.Time) []invalid.Problem {
	c := newChecker(now)
	c.code("/answer", "reply_answer", r.Answer, required)
	c.Line("/mission", r.Mission, required)
	c.Country("/mission_state", r.MissionState, required)
	c.Line("/ref", r.Ref, optional)
	c.Line("/officer_id", r.OfficerID, optional)
	dated := c.past("/date", r.Date, required)
	c.code("/channel", "reply_channel", r.Channel, required)
	c.Only("/callbacks", len(r.CallBacks) > 0, r.Channel == "relayed", "goes with a relayed answer")
	if c.Count("/callbacks", len(r.CallBacks), maxCallbacks) {
		for i, call := range r.CallBacks {
			c.Agency(invalid.At("/callbacks", i)+"/by", call.By, required)
			c.past(invalid.At("/callbacks", i)+"/on", call.On, required)
		}
	}
	more := r.Answer == "more_info_needed"
	c.Only("/needed", len(r.Needed) > 0, more, "goes with more_info_needed")
	c.codes("/needed", "reply_needed", r.Needed, invalid.Need(more))
	c.Text("/reason", r.Reason, optional)
	r.travel(c, dated)
	return c.Problems()
}

// travel checks what is said about a travel document.
func (r *Reply) travel(c checker, dated bool) {
	const rule = "goes with an answer that matched"
	matched := r.Answer == "matched"
	c.Only("/etd_ref", !r.ETDRef.IsZero(), matched, rule)
	c.Line("/etd_ref", r.ETDRef, optional)
	c.Only("/etd_valid_until", r.ETDValidUntil != "", matched, rule)
	if c.day("/etd_valid_until", r.ETDValidUntil, optional) && dated && r.ETDValidUntil < r.Date {
		c.Add("/etd_valid_until", invalid.CodeRange, "is not before the answer")
	}
	c.Only("/entries", r.Entries != "", matched, rule)
	c.code("/entries", "entries", r.Entries, optional)
	c.Only("/collect_where", !r.CollectWhere.IsZero(), matched, rule)
	c.Line("/collect_where", r.CollectWhere, optional)
	c.Only("/delivered_on", r.DeliveredOn != "", matched, rule)
	c.past("/delivered_on", r.DeliveredOn, optional)
}
