package claims

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// DocumentReport is the signed statement about a passport or another document:
// what it is, where it is, and how it was lost. The record itself, with its
// pages, is kept encrypted by package vault. Reporting notifies no state.
type DocumentReport struct {
	DocID            string         `json:"doc_id,omitempty"`
	DocumentKind     string         `json:"document_kind,omitempty" list:"document_kind"` // list document_kind; required
	CustomType       private.String `json:"custom_type,omitzero"`                         // with OTHER, and only then
	IssuingState     string         `json:"issuing_state,omitempty"`                      // three letters; required
	DocumentNumber   private.String `json:"document_number,omitzero"`
	IssueDate        *PartialDate   `json:"issue_date,omitempty"`
	ExpiryDate       Day            `json:"expiry_date,omitempty"`
	IssuingAuthority private.String `json:"issuing_authority,omitzero"`
	HolderNames      private.String `json:"holder_names,omitzero"`           // as printed
	HolderBirthDate  *PartialDate   `json:"holder_dob,omitempty"`            // as printed
	HolderSex        string         `json:"holder_sex,omitempty" list:"sex"` // list sex, as printed
	MRZ              *MRZ           `json:"mrz,omitempty"`
	Pages            []Page         `json:"pages,omitempty"`
	Custody          string         `json:"custody,omitempty" list:"custody"` // list custody; required
	CustodySince     *PartialDate   `json:"custody_since,omitempty"`
	RecordStatus     string         `json:"record_status,omitempty" list:"record_status"` // list record_status; required
	Loss             *Loss          `json:"loss,omitempty"`
}

// MRZ is the machine-readable zone with the result of every check digit, one
// by one: a zone is not simply right or wrong.
type MRZ struct {
	Raw    private.String `json:"raw,omitzero"`                       // the lines, separated by line feeds
	Format string         `json:"format,omitempty" list:"mrz_format"` // list mrz_format; required
	Checks MRZChecks      `json:"checks"`
}

// MRZChecks is one result of the list mrz_check for each check digit: pass,
// fail, or absent where none is printed.
type MRZChecks struct {
	DocNo     string `json:"doc_no,omitempty" list:"mrz_check"`
	BirthDate string `json:"dob,omitempty" list:"mrz_check"`
	Expiry    string `json:"expiry,omitempty" list:"mrz_check"`
	Optional  string `json:"optional,omitempty" list:"mrz_check"`
	Composite string `json:"composite,omitempty" list:"mrz_check"`
}

// Page is a picture of a page, which is kept elsewhere.
type Page struct {
	SHA256             private.String `json:"sha256,omitzero"`                                            // 64 hexadecimal digits; required
	Role               string         `json:"page_role,omitempty" list:"page_role"`                       // list page_role; required
	CapturedBy         string         `json:"captured_by,omitempty"`                                      // id of an agency or of a person of one
	CaptureDeviceClass string         `json:"capture_device_class,omitempty" list:"capture_device_class"` // list capture_device_class
	SeenOriginal       bool           `json:"seen_original"`                                              // whoever took the picture had the document in hand
}

// Loss is how a document went, or came back.
type Loss struct {
	ReportID         string         `json:"report_id,omitempty"`
	Event            string         `json:"event,omitempty" list:"loss_event"`                // list loss_event; required
	SLTDEquivalent   string         `json:"sltd_equivalent,omitempty" list:"sltd_equivalent"` // list sltd_equivalent
	EventDate        *PartialDate   `json:"event_date,omitempty"`
	PlaceCountry     string         `json:"place_country,omitempty"` // three letters
	PlaceCity        private.String `json:"place_city,omitzero"`
	TakenByRole      string         `json:"taken_by_role,omitempty" list:"taken_by_role"` // list taken_by_role
	Circumstances    private.String `json:"circumstances,omitzero"`                       // free text
	PoliceReport     *PoliceReport  `json:"police_report,omitempty"`
	EmbassyNotified  string         `json:"embassy_notified,omitempty" list:"embassy_notified"` // list embassy_notified; required
	EmbassyConsentID string         `json:"embassy_consent_id,omitempty"`                       // with yes, and only then
	SLTDRequested    string         `json:"sltd_requested,omitempty" list:"sltd_requested"`     // list sltd_requested; required
	SLTDReplyID      string         `json:"sltd_reply_id,omitempty"`                            // the mission's reply; with done_by_state, and only then
	MisuseSuspected  bool           `json:"misuse_suspected"`
	ReviewDate       Day            `json:"review_date,omitempty"`
}

// PoliceReport says whether the loss was told to the police. Where that is not
// safe, or the police refused, there is none, and nobody is blamed for it.
type PoliceReport struct {
	Made string         `json:"made,omitempty" list:"police_report_made"` // list police_report_made; required
	Ref  private.String `json:"ref,omitzero"`                             // with yes only
	Date Day            `json:"date,omitempty"`                           // with yes only
}

// Kind is KindDocument.
func (*DocumentReport) Kind() Kind { return KindDocument }

// Format hides the claims whatever the verb.
func (d DocumentReport) Format(f fmt.State, _ rune) { hidden(f, KindDocument) }

// LogValue hides the claims in structured logs.
func (d DocumentReport) LogValue() slog.Value { return hiddenLog(KindDocument) }

// Validate reports everything that keeps the report from being signed.
func (d *DocumentReport) Validate(now time.Time) []invalid.Problem {
	c := newChecker(now)
	c.ID("/doc_id", d.DocID, optional)
	c.code("/document_kind", "document_kind", d.DocumentKind, required)
	other := d.DocumentKind == "OTHER"
	c.Only("/custom_type", !d.CustomType.IsZero(), other, "names a kind that is not in the list")
	c.Line("/custom_type", d.CustomType, invalid.Need(other))
	c.Country("/issuing_state", d.IssuingState, required)
	c.Line("/document_number", d.DocumentNumber, optional)
	d.IssueDate.Check(c.Checker, "/issue_date", optional)
	c.day("/expiry_date", d.ExpiryDate, optional)
	c.Line("/issuing_authority", d.IssuingAuthority, optional)
	c.Name("/holder_names", d.HolderNames, optional)
	d.HolderBirthDate.Check(c.Checker, "/holder_dob", optional)
	c.code("/holder_sex", "sex", d.HolderSex, optional)
	if d.MRZ != nil {
		d.MRZ.check(c, "/mrz")
	}
	if c.Count("/pages", len(d.Pages), maxPages) {
		for i, p := range d.Pages {
			p.check(c, invalid.At("/pages", i))
		}
	}
	c.code("/custody", "custody", d.Custody, required)
	d.CustodySince.Check(c.Checker, "/custody_since", optional)
	c.code("/record_status", "record_status", d.RecordStatus, required)
	if d.Loss != nil {
		d.Loss.check(c, "/loss")
		if d.Loss.Event == "destroyed" && d.Custody != "" && d.Custody != "destroyed" {
			c.Add("/custody", invalid.CodeInconsistent, "is destroyed when the document was")
		}
	}
	return c.Problems()
}

func (m *MRZ) check(c checker, field string) {
	c.code(field+"/format", "mrz_format", m.Format, required)
	c.Text(field+"/raw", m.Raw, optional)
	for _, digit := range []struct{ name, result string }{
		{"doc_no", m.Checks.DocNo}, {"dob", m.Checks.BirthDate}, {"expiry", m.Checks.Expiry},
		{"optional", m.Checks.Optional}, {"composite", m.Checks.Composite},
	} {
		c.code(field+"/checks/"+digit.name, "mrz_check", digit.result, required)
	}
}

func (p *Page) check(c checker, field string) {
	c.digest(field+"/sha256", p.SHA256, required)
	c.code(field+"/page_role", "page_role", p.Role, required)
	c.Agency(field+"/captured_by", p.CapturedBy, optional)
	c.code(field+"/capture_device_class", "capture_device_class", p.CaptureDeviceClass, optional)
}

func (l *Loss) check(c checker, field string) {
	c.ID(field+"/report_id", l.ReportID, optional)
	c.code(field+"/event", "loss_event", l.Event, required)
	c.code(field+"/sltd_equivalent", "sltd_equivalent", l.SLTDEquivalent, optional)
	gone := l.Event != "recovered" && l.Event != "never_issued"
	c.Only(field+"/sltd_equivalent", l.SLTDEquivalent != "", gone, "is said of a document that is gone")
	l.EventDate.Check(c.Checker, field+"/event_date", optional)
	c.Country(field+"/place_country", l.PlaceCountry, optional)
	c.Line(field+"/place_city", l.PlaceCity, optional)
	c.code(field+"/taken_by_role", "taken_by_role", l.TakenByRole, optional)
	c.Text(field+"/circumstances", l.Circumstances, optional)
	if p := l.PoliceReport; p != nil {
		c.code(field+"/police_report/made", "police_report_made", p.Made, required)
		c.Only(field+"/police_report/ref", !p.Ref.IsZero(), p.Made == "yes", "goes with a report that was made")
		c.Line(field+"/police_report/ref", p.Ref, optional)
		c.Only(field+"/police_report/date", p.Date != "", p.Made == "yes", "goes with a report that was made")
		c.past(field+"/police_report/date", p.Date, optional)
	}
	// A mission is told with the holder's consent to exactly that, or not.
	c.code(field+"/embassy_notified", "embassy_notified", l.EmbassyNotified, required)
	told := l.EmbassyNotified == "yes"
	c.Only(field+"/embassy_consent_id", l.EmbassyConsentID != "", told, "goes with an embassy that was notified")
	c.ID(field+"/embassy_consent_id", l.EmbassyConsentID, invalid.Need(told))
	// Only a state can enter a document there, so only its reply can say so.
	c.code(field+"/sltd_requested", "sltd_requested", l.SLTDRequested, required)
	done := l.SLTDRequested == "done_by_state"
	c.Only(field+"/sltd_reply_id", l.SLTDReplyID != "", done, "goes with done_by_state")
	c.ID(field+"/sltd_reply_id", l.SLTDReplyID, invalid.Need(done))
	c.day(field+"/review_date", l.ReviewDate, optional)
}
