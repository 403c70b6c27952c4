package credentials

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// IdentityClaim is who a person says she is, and what there is to show for
// it. All names are as the person and her papers write them, in any script.
// The last members are there because missions without a database ask for them.
type IdentityClaim struct {
	ClaimID      string           `json:"claim_id,omitempty"`
	Names        []Name           `json:"names,omitempty"` // at least one, at most MaxNames
	BirthDate    *PartialDate     `json:"dob,omitempty"`
	Sex          string           `json:"sex,omitempty" list:"sex"` // list sex
	Citizenship  []string         `json:"citizenship,omitempty"`    // three letters each
	PlaceOfBirth private.String   `json:"place_of_birth,omitzero"`
	ParentsNames []private.String `json:"parents_names,omitempty"` // at most 4
	HomeContact  private.String   `json:"home_contact,omitzero"`
	Photo        *Photo           `json:"photo,omitempty"`
	Languages    []string         `json:"languages,omitempty"` // ISO 639, three letters each
	Evidence     []Evidence       `json:"evidence,omitempty"`
	Assurance    string           `json:"assurance,omitempty" list:"assurance"`       // list assurance; required
	ClaimStatus  string           `json:"claim_status,omitempty" list:"claim_status"` // list claim_status; required
	MissionReply *MissionReply    `json:"mission_reply,omitempty"`

	FatherName       private.String `json:"father_name,omitzero"`
	GrandfatherName  private.String `json:"grandfather_name,omitzero"`
	Region           private.String `json:"region,omitzero"`
	District         private.String `json:"district,omitzero"`
	Village          private.String `json:"village,omitzero"`
	NationalIDNumber private.String `json:"national_id_number,omitzero"`
	School           private.String `json:"school,omitzero"`
	RelativeContact  private.String `json:"relative_contact,omitzero"`
}

// Name is one name of a person. Many people have one name and no surname, so
// only the full name is required.
type Name struct {
	Script          string         `json:"script,omitempty"` // ISO 15924, such as Latn, Khmr; required
	Full            private.String `json:"full,omitzero"`    // required
	Given           private.String `json:"given,omitzero"`
	Family          private.String `json:"family,omitzero"`
	Type            string         `json:"type,omitempty" list:"name_type"`                  // list name_type; required
	Transliteration string         `json:"transliteration,omitempty" list:"transliteration"` // list transliteration: by rule, or entered by a person; Latn only
}

// Photo is a portrait that is kept elsewhere.
type Photo struct {
	SHA256     private.String `json:"sha256,omitzero"`       // 64 hexadecimal digits; required
	CapturedOn Day            `json:"captured_on,omitempty"` // required
}

// Evidence is one thing that speaks for an identity.
type Evidence struct {
	Type     string         `json:"type,omitempty" list:"evidence_type"`         // list evidence_type; required
	Strength string         `json:"strength,omitempty" list:"evidence_strength"` // list evidence_strength; required
	Seen     string         `json:"seen,omitempty" list:"evidence_seen"`         // list evidence_seen; required
	HeldBy   private.String `json:"held_by,omitzero"`
}

// MissionReply is what an embassy or consulate answered, as the agency knows
// it. The mission's own signed answer is a Reply.
type MissionReply struct {
	Mission   private.String `json:"mission,omitzero"` // required
	Ref       private.String `json:"ref,omitzero"`
	OfficerID private.String `json:"officer_id,omitzero"`
	Date      Day            `json:"date,omitempty"` // required
	ETDRef    private.String `json:"etd_ref,omitzero"`
}

// Kind is KindIdentity.
func (*IdentityClaim) Kind() Kind { return KindIdentity }

// Format hides the claims whatever the verb.
func (i IdentityClaim) Format(f fmt.State, _ rune) { hidden(f, KindIdentity) }

// LogValue hides the claims in structured logs.
func (i IdentityClaim) LogValue() slog.Value { return hiddenLog(KindIdentity) }

// Validate reports everything that keeps the claim from being signed.
func (i *IdentityClaim) Validate(now time.Time) []Problem {
	c := newChecker(now)
	c.id("/claim_id", i.ClaimID, optional)
	if c.there("/names", len(i.Names) > 0, required) && c.count("/names", len(i.Names), MaxNames) {
		for n := range i.Names {
			i.Names[n].check(c, at("/names", n))
		}
	}
	c.partial("/dob", i.BirthDate, optional)
	c.code("/sex", "sex", i.Sex, optional)
	if c.count("/citizenship", len(i.Citizenship), MaxCitizen) {
		for n, state := range i.Citizenship {
			c.country(at("/citizenship", n), state, required)
		}
		c.distinct("/citizenship", i.Citizenship)
	}
	c.line("/place_of_birth", i.PlaceOfBirth, optional)
	if c.count("/parents_names", len(i.ParentsNames), 4) {
		for n, name := range i.ParentsNames {
			c.name(at("/parents_names", n), name, required)
		}
	}
	c.line("/home_contact", i.HomeContact, optional)
	if p := i.Photo; p != nil {
		c.digest("/photo/sha256", p.SHA256, required)
		c.past("/photo/captured_on", p.CapturedOn, required)
	}
	if c.count("/languages", len(i.Languages), MaxLanguages) {
		for n, language := range i.Languages {
			c.language(at("/languages", n), language, required)
		}
		c.distinct("/languages", i.Languages)
	}
	if c.count("/evidence", len(i.Evidence), MaxEvidence) {
		for n := range i.Evidence {
			i.Evidence[n].check(c, at("/evidence", n))
		}
	}
	i.standing(c)
	c.name("/father_name", i.FatherName, optional)
	c.name("/grandfather_name", i.GrandfatherName, optional)
	c.line("/region", i.Region, optional)
	c.line("/district", i.District, optional)
	c.line("/village", i.Village, optional)
	c.line("/national_id_number", i.NationalIDNumber, optional)
	c.line("/school", i.School, optional)
	c.line("/relative_contact", i.RelativeContact, optional)
	return c.problems
}

// standing checks how far the identity is supported, against what supports it.
func (i *IdentityClaim) standing(c *checker) {
	c.code("/assurance", "assurance", i.Assurance, required)
	documents := []string{
		"passport_original", "passport_copy", "photo_of_passport", "id_card", "birth_cert", "visa_stamp",
		"airline_record", "embassy_record",
	}
	switch {
	case i.Assurance == "mission_confirmed" && i.MissionReply == nil:
		c.add("/assurance", CodeInconsistent, "mission_confirmed needs the mission's reply")
	case i.Assurance == "document_supported" &&
		!slices.ContainsFunc(i.Evidence, func(e Evidence) bool { return slices.Contains(documents, e.Type) }):
		c.add("/assurance", CodeInconsistent, "document_supported needs a document among the evidence")
	}
	c.code("/claim_status", "claim_status", i.ClaimStatus, required)
	if slices.Contains([]string{"confirmed", "not_found", "more_info_needed", "refused"}, i.ClaimStatus) && i.MissionReply == nil {
		c.add("/claim_status", CodeInconsistent, "an answer needs the mission's reply")
	}
	if m := i.MissionReply; m != nil {
		c.line("/mission_reply/mission", m.Mission, required)
		c.line("/mission_reply/ref", m.Ref, optional)
		c.line("/mission_reply/officer_id", m.OfficerID, optional)
		c.past("/mission_reply/date", m.Date, required)
		c.line("/mission_reply/etd_ref", m.ETDRef, optional)
	}
}

func (n *Name) check(c *checker, field string) {
	c.shape(field+"/script", n.Script, scriptShape, "is four letters, as in ISO 15924", required)
	c.name(field+"/full", n.Full, required)
	c.name(field+"/given", n.Given, optional)
	c.name(field+"/family", n.Family, optional)
	c.code(field+"/type", "name_type", n.Type, required)
	c.code(field+"/transliteration", "transliteration", n.Transliteration, optional)
	if n.Transliteration != "" && n.Script != "" && n.Script != "Latn" {
		c.add(field+"/transliteration", CodeInconsistent, "is said of names in Latin letters")
	}
}

func (e *Evidence) check(c *checker, field string) {
	c.code(field+"/type", "evidence_type", e.Type, required)
	c.code(field+"/strength", "evidence_strength", e.Strength, required)
	c.code(field+"/seen", "evidence_seen", e.Seen, required)
	c.line(field+"/held_by", e.HeldBy, optional)
}
