package claims

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindReliance is the kind of a Reliance.
const KindReliance Kind = "reliance"

// Reliance is how an agency used an attestation: this is how a status carries
// from one agency to the next. Which attestation it is about stands in the
// signed form, not here.
type Reliance struct {
	Reliance        string         `json:"reliance,omitempty" list:"reliance" tells:"answer"`                 // required unless officer_decision is there
	OfficerDecision string         `json:"officer_decision,omitempty" list:"officer_decision" tells:"answer"` // what an officer did after reading
	AuthorityClass  string         `json:"authority_class,omitempty" list:"authority_class" is:"required" tells:"answer"`
	Date            Day            `json:"date,omitempty" is:"required,past" tells:"answer"`
	Parts           []string       `json:"parts,omitempty" list:"attestation_part" tells:"answer"` // what was relied on; required with relied_partly, and only then
	Reason          string         `json:"reason,omitempty" list:"reliance_reason" tells:"answer"` // required with rescreened
	ReasonText      private.String `json:"reason_text,omitzero" is:"text" tells:"note"`            // required with the reason other
	NewScreening    string         `json:"new_screening,omitempty" is:"id" tells:"note"`           // the screening that was made again; with rescreened only
}

// Kind is KindReliance.
func (*Reliance) Kind() Kind { return KindReliance }

// Format hides the claims whatever the verb.
func (r Reliance) Format(f fmt.State, _ rune) { hidden(f, KindReliance) }

// LogValue hides the claims in structured logs.
func (r Reliance) LogValue() slog.Value { return hiddenLog(KindReliance) }

func (r *Reliance) rules(c *invalid.Checker) {
	c.There("/reliance", r.Reliance != "", r.OfficerDecision == "")
	fits := map[string][]string{
		"relied_no_reinterview": {"relied"},
		"relied_partly":         {"relied_partly", "referred_to_mdt"},
		"rescreened":            {"referred_to_mdt", "rescreen_required", "refused"},
	}[r.Reliance]
	if fits != nil && r.OfficerDecision != "" && !slices.Contains(fits, r.OfficerDecision) {
		c.Add("/officer_decision", invalid.CodeInconsistent, "fits reliance")
	}
	partly := r.Reliance == "relied_partly" || r.OfficerDecision == "relied_partly"
	c.Only("/parts", len(r.Parts) > 0, partly, "goes with relied_partly")
	c.There("/parts", len(r.Parts) > 0, invalid.Need(partly))
	again := r.Reliance == "rescreened"
	c.There("/reason", r.Reason != "", invalid.Need(again))
	c.There("/reason_text", !r.ReasonText.IsZero(), r.Reason == "other")
	c.Only("/new_screening", r.NewScreening != "", again, "goes with rescreened")
}
