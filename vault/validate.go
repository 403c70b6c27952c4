package vault

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault/mrz"
)

// Validate returns nil or an *invalid.Error with everything that is wrong with
// a document. It judges form, not truth: a check digit that fails is recorded,
// and an expired passport is a passport.
func (d Document) Validate(now time.Time) error {
	c := invalid.New(now)
	c.OneOf("/kind", d.Kind, claims.Values("document_kind"), invalid.Required)
	other := d.Kind == "OTHER"
	c.Only("/custom_type", !d.CustomType.IsZero(), other, "goes with kind OTHER")
	c.Line("/custom_type", d.CustomType, invalid.Need(other))
	c.Country("/issuing_state", d.IssuingState, invalid.Required)
	checkNumber(c, "/document_number", d.Number, invalid.Optional)
	issued, okIssued := c.PastDate("/issue_date", d.IssueDate.Reveal(), invalid.Optional, forms...)
	expires, okExpires := c.Date("/expiry_date", d.ExpiryDate.Reveal(), invalid.Optional, forms...)
	// A coarse date stands for all of its days, so that 2020 is not before
	// 2020-03-01.
	if least := min(len(issued), len(expires)); okIssued && okExpires && d.ExpiryDate.Reveal()[:least] < d.IssueDate.Reveal()[:least] {
		c.Add("/expiry_date", invalid.CodeRange, "is not before the date of issue")
	}
	c.Line("/issuing_authority", d.IssuingAuthority, invalid.Optional)
	c.Name("/holder_names", d.HolderNames, invalid.Optional)
	c.PastDate("/birth_date", d.BirthDate.Reveal(), invalid.Optional, forms...)
	c.OneOf("/sex", d.Sex.Reveal(), claims.Values("sex"), invalid.Optional)
	d.checkZone(c)
	c.OneOf("/custody", d.Custody, claims.Values("custody"), invalid.Optional)
	c.PastDay("/custody_since", d.CustodySince, invalid.Optional)
	if d.Loss != nil {
		d.Loss.check(c, "/loss_report")
	}
	c.OneOf("/record_status", d.RecordStatus, claims.Values("record_status"), invalid.Optional)
	if d.RecordStatus == "superseded" || d.RecordStatus == "erased" {
		c.Add("/record_status", invalid.CodeNotAllowed, "is active or withdrawn; the rest is set by the service")
	}
	return c.Err()
}

// forms is how the dates of a document may be written: as exactly as they are
// known.
var forms = []string{invalid.FormDay, invalid.FormMonth, invalid.FormYear}

// checkNumber allows what is printed on documents of the world.
func checkNumber(c *invalid.Checker, pointer string, number private.String, n invalid.Need) {
	s := number.Reveal()
	if !c.There(pointer, s != "", n) {
		return
	}
	strange := strings.ContainsFunc(s, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune(" ./<-", r) })
	if len(s) > 40 || strange || normalNumber(s) == "" {
		c.Add(pointer, invalid.CodeFormat, "is 1 to 40 letters, digits, spaces, and . / < -")
	}
}

func isAlnum(r rune) bool {
	return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}

// checkZone reports what mrz.Parse reports, and a summary that says otherwise.
func (d Document) checkZone(c *invalid.Checker) {
	zone, err := d.Zone()
	var structural *mrz.Error
	switch {
	case errors.As(err, &structural):
		for _, s := range structural.Problems {
			where := ""
			if s.Line > 0 {
				where = fmt.Sprintf("line %d", s.Line)
			}
			if s.From > 0 {
				where += fmt.Sprintf(", characters %d to %d", s.From, s.To)
			}
			c.Add("/mrz", "mrz_"+s.Code, where)
		}
		return
	case err != nil:
		c.Add("/mrz", "mrz_unreadable", "")
		return
	}
	if d.MRZFormat != "" && d.MRZFormat != zone.Format {
		c.Add("/mrz_format", invalid.CodeInconsistent, "is as the zone says, or absent")
	}
	if d.MRZChecks != nil && (zone.Format == "" || *d.MRZChecks != zone.Checks) {
		c.Add("/mrz_checks", invalid.CodeInconsistent, "is as the zone says, or absent")
	}
}

func (l *Loss) check(c *invalid.Checker, pointer string) {
	c.OneOf(pointer+"/event", l.Event, claims.Values("loss_event"), invalid.Required)
	c.OneOf(pointer+"/sltd_equivalent", l.SLTDEquivalent, claims.Values("sltd_equivalent"), invalid.Optional)
	l.EventDate.Check(c, pointer+"/event_date", invalid.Optional)
	c.Country(pointer+"/place_country", l.PlaceCountry.Reveal(), invalid.Optional)
	c.Line(pointer+"/place_city", l.PlaceCity, invalid.Optional)
	c.OneOf(pointer+"/taken_by_role", l.TakenByRole, claims.Values("taken_by_role"), invalid.Optional)
	c.Text(pointer+"/circumstances", l.Circumstances, invalid.Optional)
	if r := l.PoliceReport; r != nil {
		c.OneOf(pointer+"/police_report/made", r.Made, claims.Values("police_report_made"), invalid.Required)
		made := r.Made == "yes"
		c.Only(pointer+"/police_report/ref", !r.Ref.IsZero(), made, "goes with a report that was made")
		c.Line(pointer+"/police_report/ref", r.Ref, invalid.Optional)
		c.Only(pointer+"/police_report/date", !r.Date.IsZero(), made, "goes with a report that was made")
		c.PastDate(pointer+"/police_report/date", r.Date.Reveal(), invalid.Optional, forms...)
	}
	c.OneOf(pointer+"/embassy_notified", l.EmbassyNotified, claims.Values("embassy_notified"), invalid.Optional)
	// An embassy is told only with a consent of its own: the state of origin is
	// not trusted by default.
	told := l.EmbassyNotified == "yes"
	c.Only(pointer+"/embassy_consent", l.EmbassyConsent != "", told, "goes with an embassy that was notified")
	c.ID(pointer+"/embassy_consent", l.EmbassyConsent, invalid.Need(told))
	c.OneOf(pointer+"/sltd_requested", l.SLTDRequested, claims.Values("sltd_requested"), invalid.Optional)
	c.Day(pointer+"/review_date", l.ReviewDate, invalid.Optional)
}

// askedByNobody refuses a change of what only a mission's reply may set.
func (d Document) askedByNobody(before *Loss) error {
	old, now := "", ""
	if before != nil {
		old = before.SLTDRequested
	}
	if d.Loss != nil {
		now = d.Loss.SLTDRequested
	}
	if old == now || old == "" && now == "no" || old == "no" && now == "" {
		return nil
	}
	return invalid.One("/loss_report/sltd_requested", invalid.CodeNotAllowed, "is as it was, until a mission's reply says otherwise")
}

// Doubts lists what a person should look at twice, without hindering anybody:
// check digits that fail, and typed values that the machine-readable zone
// contradicts. A forged or misprinted document has to be recorded as it is.
func (d Document) Doubts() []invalid.Problem {
	zone, err := d.Zone()
	if err != nil || zone.Format == "" {
		return nil
	}
	var found invalid.Checker
	for _, c := range []struct {
		name   string
		result mrz.Result
	}{
		{"doc_no", zone.Checks.Number}, {"dob", zone.Checks.BirthDate}, {"expiry", zone.Checks.Expiry},
		{"optional", zone.Checks.Optional}, {"composite", zone.Checks.Composite},
	} {
		if c.result == mrz.Fail {
			found.Add("/mrz_checks/"+c.name, "check_digit", "the check digit does not belong to what is printed")
		}
	}
	if !d.Number.IsZero() && normalNumber(d.Number.Reveal()) != normalNumber(zone.Number.Reveal()) {
		found.Add("/document_number", "differs_from_mrz", "is not what the machine-readable zone says")
	}
	for _, c := range []struct {
		field       string
		typed, zone private.String
	}{{"/birth_date", d.BirthDate, zone.BirthDate}, {"/expiry_date", d.ExpiryDate, zone.Expiry}} {
		if short := zoneDate(c.typed); short != "" && short != c.zone.Reveal() {
			found.Add(c.field, "differs_from_mrz", "is not what the machine-readable zone says")
		}
	}
	if printed := zone.Sex.Reveal(); !d.Sex.IsZero() && d.Sex.Reveal() != printed && (printed != "" || d.Sex.Reveal() != "X") {
		found.Add("/sex", "differs_from_mrz", "is not what the machine-readable zone says")
	}
	return found.Problems()
}
