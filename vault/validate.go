package vault

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault/mrz"
)

// vocabularyJSON holds the closed sets of values with their sources. It is
// data, so that a correction against a source is a change of data.
//
//go:embed vocabulary.json
var vocabularyJSON []byte

// vocabulary is the values of each list by its name. The file is ours and is
// read when the program starts; a test reads it, too.
var vocabulary = func() map[string][]string {
	var file struct {
		Lists []struct {
			Name   string
			Values []string
		}
	}
	if err := json.Unmarshal(vocabularyJSON, &file); err != nil {
		panic("vault: vocabulary.json: " + err.Error())
	}
	lists := map[string][]string{}
	for _, l := range file.Lists {
		lists[l.Name] = l.Values
	}
	return lists
}()

// Problem is one thing that is wrong with an input. It repeats nothing of it.
type Problem struct {
	Field  string // JSON pointer (RFC 6901); empty for the whole
	Code   string // stable
	Detail string // what is asked for
}

// InvalidError lists everything that is wrong with an input, so that a form is
// corrected once.
type InvalidError struct{ Problems []Problem }

// Error names fields and codes.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString(ErrInvalid.Error())
	for i, p := range e.Problems {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s %s", sep, p.Field, p.Code)
	}
	return b.String()
}

// Unwrap is ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// problems collects.
type problems []Problem

func (p *problems) add(field, code, detail string) {
	*p = append(*p, Problem{field, code, detail})
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &InvalidError{p}
}

// The longest texts, in characters.
const (
	maxLine = 200
	maxNote = 4000
)

// oneOf holds a value against a list of the vocabulary.
func (p *problems) oneOf(field, list, value string, required bool) {
	switch {
	case value == "" && required:
		p.add(field, "required", "one of the listed values")
	case value != "" && !slices.Contains(vocabulary[list], value):
		p.add(field, "unknown", "one of the listed values")
	}
}

// text holds a text to what a screen and a print can show: no control
// characters, nothing that turns the direction of what follows, no unassigned
// code points. The two joiners are needed to write several scripts.
func (p *problems) text(field string, value private.String, longest int, lines bool) {
	s := value.Reveal()
	if !utf8.ValidString(s) {
		p.add(field, "character", "valid UTF-8")
		return
	}
	if utf8.RuneCountInString(s) > longest {
		p.add(field, "too_long", fmt.Sprintf("at most %d characters", longest))
		return
	}
	if s != "" && strings.TrimSpace(s) == "" {
		p.add(field, "blank", "a text that is not only spaces")
		return
	}
	for _, r := range s {
		if !writable(r) && (!lines || r != '\n') {
			p.add(field, "character", "no control or direction characters")
			return
		}
	}
}

func writable(r rune) bool {
	const zwnj, zwj = '\u200c', '\u200d'
	return r == zwnj || r == zwj || unicode.IsGraphic(r) && !unicode.In(r, unicode.Zl, unicode.Zp)
}

// date holds a date to YYYY, YYYY-MM or YYYY-MM-DD and to the calendar, and
// returns its first day. ok is false for no date and for a wrong one.
func (p *problems) date(field string, value private.String) (first time.Time, layout string, ok bool) {
	s := value.Reveal()
	if s == "" {
		return time.Time{}, "", false
	}
	for _, layout := range []string{"2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil && len(s) == len(layout) && t.Year() >= 1800 {
			return t, layout, true
		}
	}
	p.add(field, "date", "YYYY, YYYY-MM or YYYY-MM-DD")
	return time.Time{}, "", false
}

// day holds a date that is no secret to a whole day.
func (p *problems) day(field, value string) {
	if value == "" {
		return
	}
	if _, layout, ok := p.date(field, private.New(value)); ok && layout != time.DateOnly {
		p.add(field, "date", "YYYY-MM-DD")
	}
}

// Validate lists everything that is wrong with a document as an *InvalidError.
// It judges form, not truth: a check digit that fails is recorded, and an
// expired passport is a passport.
func (d Document) Validate() error {
	var p problems
	p.oneOf("/kind", "kind", d.Kind, true)
	if (d.Kind == "OTHER") != !d.CustomType.IsZero() {
		p.add("/custom_type", "with_other_only", "with kind OTHER, and with no other")
	}
	p.text("/custom_type", d.CustomType, 60, false)
	if !isCountry(d.IssuingState) {
		p.add("/issuing_state", "country", "three letters A to Z")
	}
	p.number("/document_number", d.Number)
	issued, _, okIssued := p.date("/issue_date", d.IssueDate)
	expires, layout, okExpires := p.date("/expiry_date", d.ExpiryDate)
	// A coarse date stands for its last day here, so that 2020 is not before
	// 2020-03-01.
	if okIssued && okExpires && lastDay(expires, layout).Before(issued) {
		p.add("/expiry_date", "before_issue_date", "not before the date of issue")
	}
	p.text("/issuing_authority", d.IssuingAuthority, maxLine, false)
	p.text("/holder_names", d.HolderNames, maxLine, false)
	p.date("/birth_date", d.BirthDate)
	p.oneOf("/sex", "sex", d.Sex.Reveal(), false)
	p.zone(d)
	p.oneOf("/custody", "custody", d.Custody, false)
	p.day("/custody_since", d.CustodySince)
	p.loss(d.Loss)
	p.oneOf("/record_status", "record_status", d.RecordStatus, false)
	if d.RecordStatus == "superseded" || d.RecordStatus == "erased" {
		p.add("/record_status", "read_only", "active or withdrawn")
	}
	return p.err()
}

func isCountry(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func lastDay(first time.Time, layout string) time.Time {
	switch layout {
	case "2006":
		return first.AddDate(1, 0, -1)
	case "2006-01":
		return first.AddDate(0, 1, -1)
	default:
		return first
	}
}

// number allows what is printed on documents of the world.
func (p *problems) number(field string, value private.String) {
	s := value.Reveal()
	if s == "" {
		return
	}
	if len(s) > 40 || normalNumber(s) == "" {
		p.add(field, "document_number", "1 to 40 letters, digits, spaces, and . / < -")
		return
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune(" ./<-", rune(c)) {
			p.add(field, "document_number", "1 to 40 letters, digits, spaces, and . / < -")
			return
		}
	}
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// zone reports what mrz.Parse reports, and a summary that says otherwise.
func (p *problems) zone(d Document) {
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
			p.add("/mrz", "mrz_"+s.Code, where)
		}
		return
	case err != nil:
		p.add("/mrz", "mrz_unreadable", "")
		return
	}
	if d.MRZFormat != "" && d.MRZFormat != zone.Format {
		p.add("/mrz_format", "read_only", "as the zone says, or absent")
	}
	if d.MRZChecks != nil && (zone.Format == "" || *d.MRZChecks != zone.Checks) {
		p.add("/mrz_checks", "read_only", "as the zone says, or absent")
	}
}

// loss lists what is wrong with a loss report.
func (p *problems) loss(l *Loss) {
	if l == nil {
		return
	}
	const at = "/loss_report"
	p.oneOf(at+"/event", "event", l.Event, true)
	p.oneOf(at+"/sltd_equivalent", "sltd_equivalent", l.SLTDEquivalent, false)
	if l.EventDate != nil {
		p.precise(at+"/event_date", *l.EventDate)
	}
	if !l.PlaceCountry.IsZero() && !isCountry(l.PlaceCountry.Reveal()) {
		p.add(at+"/place_country", "country", "three letters A to Z")
	}
	p.text(at+"/place_city", l.PlaceCity, maxLine, false)
	p.oneOf(at+"/taken_by_role", "taken_by_role", l.TakenByRole, false)
	p.text(at+"/circumstances", l.Circumstances, maxNote, true)
	if r := l.PoliceReport; r != nil {
		p.oneOf(at+"/police_report/made", "police_report_made", r.Made, true)
		p.text(at+"/police_report/ref", r.Ref, maxLine, false)
		p.date(at+"/police_report/date", r.Date)
		if r.Made != "yes" && (!r.Ref.IsZero() || !r.Date.IsZero()) {
			p.add(at+"/police_report/made", "contradicts", "yes, where there is a reference or a date")
		}
	}
	p.oneOf(at+"/embassy_notified", "embassy_notified", l.EmbassyNotified, false)
	// An embassy is told only with a consent of its own: the state of origin is
	// not trusted by default.
	if (l.EmbassyNotified == "yes") != (l.EmbassyConsent != "") || l.EmbassyConsent != "" && !isID(l.EmbassyConsent) {
		p.add(at+"/embassy_consent", "consent", "the consent's id with yes, and with nothing else")
	}
	p.oneOf(at+"/sltd_requested", "sltd_requested", l.SLTDRequested, false)
	p.day(at+"/review_date", l.ReviewDate)
}

// precise holds a date to the precision that it claims.
func (p *problems) precise(field string, d Date) {
	p.oneOf(field+"/precision", "precision", d.Precision, true)
	if d.Value.IsZero() {
		p.add(field+"/value", "required", "YYYY, YYYY-MM or YYYY-MM-DD")
		return
	}
	_, layout, ok := p.date(field+"/value", d.Value)
	want := map[string]string{"day": "2006-01-02", "month": "2006-01", "year": "2006"}[d.Precision]
	if ok && want != "" && layout != want {
		p.add(field+"/precision", "contradicts", "the precision of the value")
	}
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
	return &InvalidError{[]Problem{{Field: "/loss_report/sltd_requested", Code: "set_by_reply_only", Detail: "as it was, until a mission's reply says otherwise"}}}
}

// Doubts lists what a person should look at twice, without hindering anybody:
// check digits that fail, and typed values that the machine-readable zone
// contradicts. A forged or misprinted document has to be recorded as it is.
func (d Document) Doubts() []Problem {
	zone, err := d.Zone()
	if err != nil || zone.Format == "" {
		return nil
	}
	var p problems
	for _, c := range []struct {
		name   string
		result mrz.Result
	}{
		{"doc_no", zone.Checks.Number}, {"dob", zone.Checks.BirthDate}, {"expiry", zone.Checks.Expiry},
		{"optional", zone.Checks.Optional}, {"composite", zone.Checks.Composite},
	} {
		if c.result == mrz.Fail {
			p.add("/mrz_checks/"+c.name, "check_digit", "the check digit does not belong to what is printed")
		}
	}
	if !d.Number.IsZero() && normalNumber(d.Number.Reveal()) != normalNumber(zone.Number.Reveal()) {
		p.add("/document_number", "differs_from_mrz", "what the machine-readable zone says")
	}
	for _, c := range []struct {
		field       string
		typed, zone private.String
	}{{"/birth_date", d.BirthDate, zone.BirthDate}, {"/expiry_date", d.ExpiryDate, zone.Expiry}} {
		if short := zoneDate(c.typed); short != "" && short != c.zone.Reveal() {
			p.add(c.field, "differs_from_mrz", "what the machine-readable zone says")
		}
	}
	if printed := zone.Sex.Reveal(); !d.Sex.IsZero() && d.Sex.Reveal() != printed && (printed != "" || d.Sex.Reveal() != "X") {
		p.add("/sex", "differs_from_mrz", "what the machine-readable zone says")
	}
	return p
}
