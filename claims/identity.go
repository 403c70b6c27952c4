package claims

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindIdentity is the kind of an IdentityClaim.
const KindIdentity Kind = "identity"

// IdentityClaim is who a person says she is, and what there is to show for
// it. All names are as the person and her papers write them, in any script.
// The last members are there because missions without a database ask for them.
type IdentityClaim struct {
	ClaimID      string           `json:"claim_id,omitempty" is:"id" tells:"identity"`
	Names        []Name           `json:"names,omitempty" is:"required,max=8" tells:"name"`
	BirthDate    *PartialDate     `json:"dob,omitempty" tells:"birth"`
	Sex          string           `json:"sex,omitempty" list:"sex" tells:"identity"`
	Citizenship  []string         `json:"citizenship,omitempty" is:"country,max=4" tells:"nationality"`
	PlaceOfBirth private.String   `json:"place_of_birth,omitzero" tells:"identity"`
	ParentsNames []private.String `json:"parents_names,omitempty" is:"name,max=4" tells:"family"`
	HomeContact  private.String   `json:"home_contact,omitzero" tells:"family"`
	Photo        *Photo           `json:"photo,omitempty" tells:"portrait"`
	Languages    []string         `json:"languages,omitempty" is:"language,max=8" tells:"identity"`
	Evidence     []Evidence       `json:"evidence,omitempty" is:"max=16" tells:"sources"`
	Assurance    string           `json:"assurance,omitempty" list:"assurance" is:"required" tells:"sources"`
	ClaimStatus  string           `json:"claim_status,omitempty" list:"claim_status" is:"required" tells:"sources"`
	MissionReply *MissionReply    `json:"mission_reply,omitempty" tells:"note"`

	FatherName       private.String `json:"father_name,omitzero" is:"name" tells:"family"`
	GrandfatherName  private.String `json:"grandfather_name,omitzero" is:"name" tells:"family"`
	Region           private.String `json:"region,omitzero" tells:"register"`
	District         private.String `json:"district,omitzero" tells:"register"`
	Village          private.String `json:"village,omitzero" tells:"register"`
	NationalIDNumber private.String `json:"national_id_number,omitzero" tells:"register"`
	School           private.String `json:"school,omitzero" tells:"register"`
	RelativeContact  private.String `json:"relative_contact,omitzero" tells:"family"`
}

// Name is one name of a person. Many people have one name and no surname, so
// only the full name is required.
type Name struct {
	Script          string         `json:"script,omitempty" is:"required,script"` // ISO 15924, such as Latn, Khmr
	Full            private.String `json:"full,omitzero" is:"required,name"`
	Given           private.String `json:"given,omitzero" is:"name"`
	Family          private.String `json:"family,omitzero" is:"name"`
	Type            string         `json:"type,omitempty" list:"name_type" is:"required"`
	Transliteration string         `json:"transliteration,omitempty" list:"transliteration"` // by rule, or entered by a person; Latn only
}

// Photo is a portrait that is kept elsewhere.
type Photo struct {
	SHA256     private.String `json:"sha256,omitzero" is:"required,digest"`
	CapturedOn Day            `json:"captured_on,omitempty" is:"required,past"`
}

// Evidence is one thing that speaks for an identity.
type Evidence struct {
	Type     string         `json:"type,omitempty" list:"evidence_type" is:"required"`
	Strength string         `json:"strength,omitempty" list:"evidence_strength" is:"required"`
	Seen     string         `json:"seen,omitempty" list:"evidence_seen" is:"required"`
	HeldBy   private.String `json:"held_by,omitzero"`
}

// MissionReply is what an embassy or consulate answered, as the agency knows
// it. The mission's own signed answer is a Reply.
type MissionReply struct {
	Mission   private.String `json:"mission,omitzero" is:"required"`
	Ref       private.String `json:"ref,omitzero"`
	OfficerID private.String `json:"officer_id,omitzero"`
	Date      Day            `json:"date,omitempty" is:"required,past"`
	ETDRef    private.String `json:"etd_ref,omitzero"`
}

// Kind is KindIdentity.
func (*IdentityClaim) Kind() Kind { return KindIdentity }

// Format hides the claims whatever the verb.
func (i IdentityClaim) Format(f fmt.State, _ rune) { hidden(f, KindIdentity) }

// LogValue hides the claims in structured logs.
func (i IdentityClaim) LogValue() slog.Value { return hiddenLog(KindIdentity) }

func (i *IdentityClaim) rules(c *invalid.Checker) {
	for n, name := range i.Names {
		if name.Transliteration != "" && name.Script != "" && name.Script != "Latn" {
			c.Add(invalid.At("/names", n)+"/transliteration", invalid.CodeInconsistent, "is said of names in Latin letters")
		}
	}
	// How far the identity is supported, against what supports it.
	documents := []string{
		"passport_original", "passport_copy", "photo_of_passport", "id_card", "birth_cert", "visa_stamp",
		"airline_record", "embassy_record",
	}
	switch {
	case i.Assurance == "mission_confirmed" && i.MissionReply == nil:
		c.Add("/assurance", invalid.CodeInconsistent, "mission_confirmed needs the mission's reply")
	case i.Assurance == "document_supported" &&
		!slices.ContainsFunc(i.Evidence, func(e Evidence) bool { return slices.Contains(documents, e.Type) }):
		c.Add("/assurance", invalid.CodeInconsistent, "document_supported needs a document among the evidence")
	}
	if slices.Contains([]string{"confirmed", "not_found", "more_info_needed", "refused"}, i.ClaimStatus) && i.MissionReply == nil {
		c.Add("/claim_status", invalid.CodeInconsistent, "an answer needs the mission's reply")
	}
}
