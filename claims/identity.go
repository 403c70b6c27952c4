package claims

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// IdentityClaim is who a person says she is, and what there is to show for
// it. All names are as the person and her papers write them, in any script.
// The last members are there because missions without a database ask for them.
type IdentityClaim struct {
	ClaimID      string           `json:"claim_id,omitempty"`
	Names        []Name           `json:"names,omitempty"` // at least one, at most maxNames
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
func (i *IdentityClaim) Validate(now time.Time) []invalid.Problem {
	c := newChecker(now)
	c.ID("/claim_id", i.ClaimID, optional)
	if c.There("/names", len(i.Names) > 0, required) && c.Count("/names", len(i.Names), maxNames) {
		for n := range i.Names {
			i.Names[n].check(c, invalid.At("/names", n))
		}
	}
	i.BirthDate.Check(c.Checker, "/dob", optional)
	c.code("/sex", "sex", i.Sex, optional)
	if c.Count("/citizenship", len(i.Citizenship), maxCitizen) {
		for n, state := range i.Citizenship {
			c.Country(invalid.At("/citizenship", n), state, required)
		}
		c.Distinct("/citizenship", i.Citizenship)
	}
	c.Line("/place_of_birth", i.PlaceOfBirth, optional)
	if c.Count("/parents_names", len(i.ParentsNames), maxParents) {
		for n, name := range i.ParentsNames {
			c.Name(invalid.At("/parents_names", n), name, required)
		}
	}
	c.Line("/home_contact", i.HomeContact, optional)
	if p := i.Photo; p != nil {
		c.digest("/photo/sha256", p.SHA256, required)
		c.past("/photo/captured_on", p.CapturedOn, required)
	}
	if c.Count("/languages", len(i.Languages), maxLanguages) {
		for n, language := range i.Languages {
			c.language(invalid.At("/languages", n), language, required)
		}
		c.Distinct("/languages", i.Languages)
	}
	if c.Count("/evidence", len(i.Evidence), maxEvidence) {
		for n := range i.Evidence {
			i.Evidence[n].check(c, invalid.At("/evidence", n))
		}
	}
	i.standing(c)
	c.Name("/father_name", i.FatherName, optional)
	c.Name("/grandfather_name", i.GrandfatherName, optional)
	c.Line("/region", i.Region, optional)
	c.Line("/district", i.District, optional)
	c.Line("/village", i.Village, optional)
	c.Line("/national_id_number", i.NationalIDNumber, optional)
	c.Line("/school", i.School, optional)
	c.Line("/relative_contact", i.RelativeContact, optional)
	return c.Problems()
}

// standing checks how far the identity is supported, against what supports it.
func (i *IdentityClaim) standing(c checker) {
	c.code("/assurance", "assurance", i.Assurance, required)
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
	c.code("/claim_status", "claim_status", i.ClaimStatus, required)
	if slices.Contains([]string{"confirmed", "not_found", "more_info_needed", "refused"}, i.ClaimStatus) && i.MissionReply == nil {
		c.Add("/claim_status", invalid.CodeInconsistent, "an answer needs the mission's reply")
	}
	if m := i.MissionReply; m != nil {
		c.Line("/mission_reply/mission", m.Mission, required)
		c.Line("/mission_reply/ref", m.Ref, optional)
		c.Line("/mission_reply/officer_id", m.OfficerID, optional)
		c.past("/mission_reply/date", m.Date, required)
		c.Line("/mission_reply/etd_ref", m.ETDRef, optional)
	}
}

func (n *Name) check(c checker, field string) {
	c.script(field+"/script", n.Script, required)
	c.Name(field+"/full", n.Full, required)
	c.Name(field+"/given", n.Given, optional)
	c.Name(field+"/family", n.Family, optional)
	c.code(field+"/type", "name_type", n.Type, required)
	c.code(field+"/transliteration", "transliteration", n.Transliteration, optional)
	if n.Transliteration != "" && n.Script != "" && n.Script != "Latn" {
		c.Add(field+"/transliteration", invalid.CodeInconsistent, "is said of names in Latin letters")
	}
}

func (e *Evidence) check(c checker, field string) {
	c.code(field+"/type", "evidence_type", e.Type, required)
	c.code(field+"/strength", "evidence_strength", e.Strength, required)
	c.code(field+"/seen", "evidence_seen", e.Seen, required)
	c.Line(field+"/held_by", e.HeldBy, optional)
}
