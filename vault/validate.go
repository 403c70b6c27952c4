package vault

import (
	"errors"
	"fmt"
	"slices"
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
	d.check(c)
	return c.Err()
}

// follows is Validate for a document that comes after a loss report, or after
// none: it changes nothing in it that only a mission's reply may set.
func (d Document) follows(before *Loss, now time.Time) error {
	c := invalid.New(now)
	d.check(c)
	old, asked := "", ""
	if before != nil {
		old = before.SLTDRequested
	}
	if d.Loss != nil {
		asked = d.Loss.SLTDRequested
	}
	same := old == asked || old == "" && asked == "no" || old == "no" && asked == ""
	c.Must(same, "/loss_report/sltd_requested", invalid.CodeNotAllowed, "is as it was, until a mission's reply says otherwise")
	return c.Err()
}

// check reports each member that is wrong by itself, as its tags say, and then
// how they go together.
func (d Document) check(c *invalid.Checker) {
	claims.CheckMembers(c, "", &d)
	other := d.Kind == "OTHER"
	c.Only("/custom_type", !d.CustomType.IsZero(), other, "goes with kind OTHER")
	c.There("/custom_type", !d.CustomType.IsZero(), invalid.Need(other))
	checkNumber(c, "/document_number", d.Number, invalid.Optional)
	// A coarse date stands for all of its days, so that 2020 is not before
	// 2020-03-01. What is no date is a problem already.
	issued, expires := d.IssueDate.Reveal(), d.ExpiryDate.Reveal()
	if least := min(len(issued), len(expires)); expires[:least] < issued[:least] && isDate(issued) && isDate(expires) {
		c.Add("/expiry_date", invalid.CodeRange, "is not before the date of issue")
	}
	d.checkZone(c)
	if d.Loss != nil {
		d.Loss.check(c, "/loss_report")
	}
	if d.RecordStatus == "superseded" || d.RecordStatus == "erased" {
		c.Add("/record_status", invalid.CodeNotAllowed, "is active or withdrawn; the rest is set by the service")
	}
}

// isDate reports whether s is a date of the calendar, as exactly as it is known.
func isDate(s string) bool {
	return slices.ContainsFunc([]string{invalid.FormDay, invalid.FormMonth, invalid.FormYear}, func(form string) bool {
		_, err := time.Parse(form, s)
		return err == nil
	})
}

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
		for _, p := range structural.Problems {
			c.Add("/mrz", "mrz_"+p.Code, where(p))
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

// where says where in a zone a problem is.
func where(p mrz.Problem) string {
	switch {
	case p.Line == 0:
		return ""
	case p.From == 0:
		return fmt.Sprintf("line %d", p.Line)
	default:
		return fmt.Sprintf("line %d, characters %d to %d", p.Line, p.From, p.To)
	}
}

func (l *Loss) check(c *invalid.Checker, pointer string) {
	if r := l.PoliceReport; r != nil {
		made := r.Made == "yes"
		c.Only(pointer+"/police_report/ref", !r.Ref.IsZero(), made, "goes with a report that was made")
		c.Only(pointer+"/police_report/date", !r.Date.IsZero(), made, "goes with a report that was made")
	}
	// An embassy is told only with a consent of its own: the state of origin is
	// not trusted by default.
	told := l.EmbassyNotified == "yes"
	c.Only(pointer+"/embassy_consent", l.EmbassyConsent != "", told, "goes with an embassy that was notified")
	c.There(pointer+"/embassy_consent", l.EmbassyConsent != "", invalid.Need(told))
}

// Doubts lists what a person should look at twice, without hindering anybody:
// check digits that fail, names that stand oddly in the machine-readable zone,
// and typed values that the zone contradicts. A forged or misprinted document
// has to be recorded as it is.
func (d Document) Doubts() []invalid.Problem {
	zone, err := d.Zone()
	if err != nil || zone.Format == "" {
		return nil
	}
	var found invalid.Checker
	for _, p := range zone.Oddities {
		found.Add("/mrz", "mrz_"+p.Code, where(p))
	}
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
	differs := func(pointer string, yes bool) {
		if yes {
			found.Add(pointer, "differs_from_mrz", "is not what the machine-readable zone says")
		}
	}
	differs("/issuing_state", claims.State(d.IssuingState) != claims.State(zone.State.Reveal()))
	differs("/document_number", !d.Number.IsZero() && normalNumber(d.Number.Reveal()) != normalNumber(zone.Number.Reveal()))
	differs("/birth_date", !agree(zoneDate(d.BirthDate), zone.BirthDate.Reveal()))
	differs("/expiry_date", !agree(zoneDate(d.ExpiryDate), zone.Expiry.Reveal()))
	printed := zone.Sex.Reveal()
	differs("/sex", !d.Sex.IsZero() && d.Sex.Reveal() != printed && (printed != "" || d.Sex.Reveal() != "X"))
	return found.Problems()
}

// agree reports whether two dates of a zone may be the same day: what one of
// them leaves open, it does not contradict.
func agree(a, b string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] && a[i] != '<' && b[i] != '<' {
			return false
		}
	}
	return true
}
