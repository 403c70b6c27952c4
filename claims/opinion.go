package claims

import (
	"fmt"
	"log/slog"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindOpinion is the kind of an Opinion.
const KindOpinion Kind = "opinion"

// Opinion is what another agency thinks of an attestation. The attestation
// stays as it is, and both are read together. Which attestation it is about
// stands in the signed form, not here.
type Opinion struct {
	Opinion        string         `json:"opinion,omitempty" list:"opinion" is:"required" tells:"answer"`
	AuthorityClass string         `json:"authority_class,omitempty" list:"authority_class" is:"required" tells:"answer"`
	Date           Day            `json:"date,omitempty" is:"required,past" tells:"answer"`
	Parts          []string       `json:"parts,omitempty" list:"attestation_part" tells:"answer"` // what is concurred in, missing or dissented from; required with concur_in_part
	Reason         private.String `json:"reason,omitzero" is:"text" tells:"note"`                 // required with dissent
}

// Kind is KindOpinion.
func (*Opinion) Kind() Kind { return KindOpinion }

// Format hides the claims whatever the verb.
func (o Opinion) Format(f fmt.State, _ rune) { hidden(f, KindOpinion) }

// LogValue hides the claims in structured logs.
func (o Opinion) LogValue() slog.Value { return hiddenLog(KindOpinion) }

func (o *Opinion) rules(c *invalid.Checker) {
	c.Only("/parts", len(o.Parts) > 0, o.Opinion != "concur", "is said when not all is concurred in")
	c.There("/parts", len(o.Parts) > 0, o.Opinion == "concur_in_part")
	// A dissent that says nothing would weigh as much as one that can be
	// answered.
	c.There("/reason", !o.Reason.IsZero(), o.Opinion == "dissent")
}
