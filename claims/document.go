package claims

import (
	"fmt"
	"log/slog"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// KindDocument is the kind of a DocumentReport.
const KindDocument Kind = "document"

// DocumentReport is the signed statement about a passport or another document:
// what it is, where it is, and how it was lost. The record itself, with its
// pages, is kept encrypted by package vault. Reporting notifies no state.
type DocumentReport struct {
	DocID            string         `json:"doc_id,omitempty" is:"id" tells:"document"`
	DocumentKind     string         `json:"document_kind,omitempty" list:"document_kind" is:"required" tells:"document"`
	CustomType       private.String `json:"custom_type,omitzero" tells:"document"` // with OTHER, and only then
	IssuingState     string         `json:"issuing_state,omitempty" is:"required,country" tells:"document"`
	DocumentNumber   private.String `json:"document_number,omitzero" tells:"document"`
	IssueDate        *PartialDate   `json:"issue_date,omitempty" tells:"document"`
	ExpiryDate       Day            `json:"expiry_date,omitempty" tells:"document"`
	IssuingAuthority private.String `json:"issuing_authority,omitzero" tells:"document"`
	HolderNames      private.String `json:"holder_names,omitzero" is:"name" tells:"document"` // as printed
	HolderBirthDate  *PartialDate   `json:"holder_dob,omitempty" tells:"document"`            // as printed
	HolderSex        string         `json:"holder_sex,omitempty" list:"sex" tells:"document"` // as printed
	MRZ              *MRZ           `json:"mrz,omitempty" tells:"document"`
	Pages            []Page         `json:"pages,omitempty" is:"max=64" tells:"pages"`
	Custody          string         `json:"custody,omitempty" list:"custody" is:"required" tells:"custody"`
	CustodySince     *PartialDate   `json:"custody_since,omitempty" tells:"custody"`
	RecordStatus     string         `json:"record_status,omitempty" list:"record_status" is:"required" tells:"document"`
	Loss             *Loss          `json:"loss,omitempty" tells:"account"`
}

// MRZ is the machine-readable zone with the result of every check digit, one
// by one: a zone is not simply right or wrong.
type MRZ struct {
	Raw    private.String `json:"raw,omitzero" is:"text"` // the lines, separated by line feeds
	Format string         `json:"format,omitempty" list:"mrz_format" is:"required"`
	Checks MRZChecks      `json:"checks"`
}

// MRZChecks is one result of the list mrz_check for each check digit: pass,
// fail, or absent where none is printed.
type MRZChecks struct {
	DocNo     string `json:"doc_no,omitempty" list:"mrz_check" is:"required"`
	BirthDate string `json:"dob,omitempty" list:"mrz_check" is:"required"`
	Expiry    string `json:"expiry,omitempty" list:"mrz_check" is:"required"`
	Optional  string `json:"optional,omitempty" list:"mrz_check" is:"required"`
	Composite string `json:"composite,omitempty" list:"mrz_check" is:"required"`
}

// Page is a picture of a page, which is kept elsewhere.
type Page struct {
	SHA256             private.String `json:"sha256,omitzero" is:"required,digest"`
	Role               string         `json:"page_role,omitempty" list:"page_role" is:"required"`
	CapturedBy         string         `json:"captured_by,omitempty" is:"agency"`
	CaptureDeviceClass string         `json:"capture_device_class,omitempty" list:"capture_device_class"`
	SeenOriginal       bool           `json:"seen_original"` // whoever took the picture had the document in hand
}

// Loss is how a document went, or came back.
type Loss struct {
	ReportID         string         `json:"report_id,omitempty" is:"id"`
	Event            string         `json:"event,omitempty" list:"loss_event" is:"required"`
	SLTDEquivalent   string         `json:"sltd_equivalent,omitempty" list:"sltd_equivalent"`
	EventDate        *PartialDate   `json:"event_date,omitempty"`
	PlaceCountry     string         `json:"place_country,omitempty" is:"country"`
	PlaceCity        private.String `json:"place_city,omitzero"`
	TakenByRole      string         `json:"taken_by_role,omitempty" list:"taken_by_role"`
	Circumstances    private.String `json:"circumstances,omitzero" is:"text"`
	PoliceReport     *PoliceReport  `json:"police_report,omitempty"`
	EmbassyNotified  string         `json:"embassy_notified,omitempty" list:"embassy_notified" is:"required"`
	EmbassyConsentID string         `json:"embassy_consent_id,omitempty" is:"id"` // with yes, and only then
	SLTDRequested    string         `json:"sltd_requested,omitempty" list:"sltd_requested" is:"required"`
	SLTDReplyID      string         `json:"sltd_reply_id,omitempty" is:"id"` // the mission's reply; with done_by_state, and only then
	MisuseSuspected  bool           `json:"misuse_suspected"`
	ReviewDate       Day            `json:"review_date,omitempty"`
}

// PoliceReport says whether the loss was told to the police. Where that is not
// safe, or the police refused, there is none, and nobody is blamed for it.
type PoliceReport struct {
	Made string         `json:"made,omitempty" list:"police_report_made" is:"required"`
	Ref  private.String `json:"ref,omitzero"`             // with yes only
	Date Day            `json:"date,omitempty" is:"past"` // with yes only
}

// Kind is KindDocument.
func (*DocumentReport) Kind() Kind { return KindDocument }

// Format hides the claims whatever the verb.
func (d DocumentReport) Format(f fmt.State, _ rune) { hidden(f, KindDocument) }

// LogValue hides the claims in structured logs.
func (d DocumentReport) LogValue() slog.Value { return hiddenLog(KindDocument) }

func (d *DocumentReport) rules(c *invalid.Checker) {
	other := d.DocumentKind == "OTHER"
	c.Only("/custom_type", !d.CustomType.IsZero(), other, "names a kind that is not in the list")
	c.There("/custom_type", !d.CustomType.IsZero(), invalid.Need(other))
	if d.Loss == nil {
		return
	}
	d.Loss.rules(c, "/loss")
	if d.Loss.Event == "destroyed" && d.Custody != "" && d.Custody != "destroyed" {
		c.Add("/custody", invalid.CodeInconsistent, "is destroyed when the document was")
	}
}

func (l *Loss) rules(c *invalid.Checker, at string) {
	gone := l.Event != "recovered" && l.Event != "never_issued"
	c.Only(at+"/sltd_equivalent", l.SLTDEquivalent != "", gone, "is said of a document that is gone")
	if p := l.PoliceReport; p != nil {
		c.Only(at+"/police_report/ref", !p.Ref.IsZero(), p.Made == "yes", "goes with a report that was made")
		c.Only(at+"/police_report/date", p.Date != "", p.Made == "yes", "goes with a report that was made")
	}
	// A mission is told with the holder's consent to exactly that, or not.
	told := l.EmbassyNotified == "yes"
	c.Only(at+"/embassy_consent_id", l.EmbassyConsentID != "", told, "goes with an embassy that was notified")
	c.There(at+"/embassy_consent_id", l.EmbassyConsentID != "", invalid.Need(told))
	// Only a state can enter a document there, so only its reply can say so.
	done := l.SLTDRequested == "done_by_state"
	c.Only(at+"/sltd_reply_id", l.SLTDReplyID != "", done, "goes with done_by_state")
	c.There(at+"/sltd_reply_id", l.SLTDReplyID != "", invalid.Need(done))
}
