package credentials

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// How long texts may be, in characters (Unicode code points), and lists, in
// entries. A list of codes may have as many entries as there are codes.
const (
	MaxName       = 200  // one name, one place, one reference
	MaxText       = 4000 // one free text
	MaxNames      = 8    // names of one person
	MaxKeepApart  = 16   // people to keep apart from
	MaxCitizen    = 4    // citizenships
	MaxLanguages  = 8    // languages of one person
	MaxEvidence   = 16   // pieces of evidence
	MaxLegalRefs  = 8    // references to law
	MaxPrevious   = 16   // earlier attestations
	MaxPages      = 64   // pages of one document
	MaxStates     = 8    // states that data may go to
	MaxCallbacks  = 8    // call-backs to a mission
	MaxInterviews = 99   // earlier interviews
)

// MaxValidity is the longest time, in days, that a screening may be relied on.
const MaxValidity = 3 * 365

// What a Problem's code can be. The words are stable.
const (
	CodeRequired     = "required"     // missing
	CodeNotAllowed   = "not_allowed"  // may not be there, or not yet
	CodeFormat       = "format"       // not written as it must be
	CodeNotInList    = "not_in_list"  // not one of the listed values
	CodeRange        = "range"        // too early, late, small or large
	CodeDuplicate    = "duplicate"    // twice in a list
	CodeInconsistent = "inconsistent" // does not fit another member
	CodeTooLong      = "too_long"     // text
	CodeTooMany      = "too_many"     // list entries
)

// Problem says what is wrong with one member of claims. It never holds the
// value.
type Problem struct {
	Field string // JSON pointer (RFC 6901), such as /indicators/3/strength
	Code  string // one of the Code constants
	Rule  string // the rule in a few words, for a person
}

// InvalidError is claims that may not be signed, with every problem.
type InvalidError struct{ Problems []Problem }

// Error lists fields and codes, and no values.
func (e *InvalidError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "credentials: %d problems", len(e.Problems))
	for i, p := range e.Problems {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		b.WriteString(p.Field + " " + p.Code)
	}
	return b.String()
}

// Day is a calendar day, written YYYY-MM-DD, in the place where it was written
// down. It has no time of day: nothing here needs one, and a time tells more
// about a person than a day.
type Day string

// NewDay returns the day of t in UTC.
func NewDay(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// Time returns the start of the day in UTC, and whether d is a day at all.
func (d Day) Time() (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, string(d))
	return t, err == nil
}

// Add returns the day that many days later. What is no day stays as it is.
func (d Day) Add(days int) Day {
	t, ok := d.Time()
	if !ok {
		return d
	}
	return NewDay(t.AddDate(0, 0, days))
}

// PartialDate is a date as well as it is known: many people know a year only.
type PartialDate struct {
	Value     private.String `json:"value,omitzero"`                            // YYYY-MM-DD, YYYY-MM or YYYY
	Precision string         `json:"precision,omitempty" list:"date_precision"` // list date_precision; estimated goes with each of the three forms
}

// checker collects problems in the order in which it is asked.
type checker struct {
	latest   Day // the last day that is not in the future
	problems []Problem
}

func newChecker(now time.Time) *checker {
	// Days are local and "now" is not: in the time zone furthest ahead
	// (UTC+14) tomorrow has already begun.
	return &checker{latest: NewDay(now.UTC().Add(14 * time.Hour))}
}

func (c *checker) add(field, code, rule string) {
	c.problems = append(c.problems, Problem{Field: field, Code: code, Rule: rule})
}

// at is the pointer to an entry of a list.
func at(field string, i int) string { return field + "/" + strconv.Itoa(i) }

// optional and required say whether a member must be there.
type need bool

const (
	optional need = false
	required need = true
)

// there reports whether a member that needs checking is there.
func (c *checker) there(field string, is bool, n need) bool {
	if !is && n == required {
		c.add(field, CodeRequired, "is required")
	}
	return is
}

// only reports a member that is there and may not be.
func (c *checker) only(field string, is, may bool, rule string) {
	if is && !may {
		c.add(field, CodeNotAllowed, rule)
	}
}

// code checks one value of a code list.
func (c *checker) code(field, list, value string, n need) {
	if c.there(field, value != "", n) && !slices.Contains(values(list), value) {
		c.add(field, CodeNotInList, "is not in the list "+list)
	}
}

// codes checks a list of values of a code list.
func (c *checker) codes(field, list string, given []string, n need) {
	if !c.there(field, len(given) > 0, n) || !c.count(field, len(given), len(values(list))) {
		return
	}
	for i, v := range given {
		c.code(at(field, i), list, v, required)
	}
	c.distinct(field, given)
}

// count checks the length of a list, and reports whether it is worth reading.
func (c *checker) count(field string, n, most int) bool {
	if n > most {
		c.add(field, CodeTooMany, fmt.Sprintf("has at most %d entries", most))
	}
	return n <= most
}

// distinct reports the entries that are there already.
func (c *checker) distinct(field string, given []string) {
	for i, v := range given {
		if v != "" && slices.Contains(given[:i], v) {
			c.add(at(field, i), CodeDuplicate, "is in the list already")
		}
	}
}

var (
	idShape       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	agencyShape   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)
	countryShape  = regexp.MustCompile(`^[A-Z]{3}$`)
	languageShape = regexp.MustCompile(`^[a-z]{3}$`)
	scriptShape   = regexp.MustCompile(`^[A-Z][a-z]{3}$`)
	digestShape   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (c *checker) shape(field, value string, shape *regexp.Regexp, rule string, n need) {
	if c.there(field, value != "", n) && !shape.MatchString(value) {
		c.add(field, CodeFormat, rule)
	}
}

// id checks the id of an attestation, report or record.
func (c *checker) id(field, value string, n need) {
	c.shape(field, value, idShape, "is 32 lower-case hexadecimal digits", n)
}

// agency checks the id of an agency or a person of one.
func (c *checker) agency(field, value string, n need) {
	c.shape(field, value, agencyShape, "is an identifier of up to 64 letters, digits and . _ : -", n)
}

// country checks a country. Every three capital letters pass, so that XXA
// (stateless), XXB (refugee), XXX (unspecified), UTO (specimens) and states
// that the standard does not know yet need no new version.
func (c *checker) country(field, value string, n need) {
	c.shape(field, value, countryShape, "is three capital letters, as in ICAO Doc 9303", n)
}

// language checks a language after ISO 639-2 or 639-3.
func (c *checker) language(field, value string, n need) {
	c.shape(field, value, languageShape, "is three lower-case letters, as in ISO 639", n)
}

func (c *checker) digest(field string, value private.String, n need) {
	c.shape(field, value.Reveal(), digestShape, "is a SHA-256 in 64 lower-case hexadecimal digits", n)
}

// oldest is the earliest day of anything: nobody alive was born before it.
const oldest Day = "1900-01-01"

// day checks a day of any time. It reports whether the day can be compared.
func (c *checker) day(field string, d Day, n need) bool {
	if !c.there(field, d != "", n) {
		return false
	}
	switch _, ok := d.Time(); {
	case !ok:
		c.add(field, CodeFormat, "is a day written YYYY-MM-DD")
		return false
	case d < oldest || d > "2199-12-31":
		c.add(field, CodeRange, "is a year from 1900 to 2199")
		return false
	default:
		return true
	}
}

// past checks a day that has come.
func (c *checker) past(field string, d Day, n need) bool {
	if !c.day(field, d, n) {
		return false
	}
	if d > c.latest {
		c.add(field, CodeRange, "is not in the future")
		return false
	}
	return true
}

// partial checks a date of any precision that has come.
func (c *checker) partial(field string, d *PartialDate, n need) {
	if !c.there(field, d != nil, n) || d == nil {
		return
	}
	c.code(field+"/precision", "date_precision", d.Precision, required)
	v := d.Value.Reveal()
	if !c.there(field+"/value", v != "", required) {
		return
	}
	layouts := map[string][]string{
		"day": {time.DateOnly}, "month": {"2006-01"}, "year": {"2006"},
		"estimated": {time.DateOnly, "2006-01", "2006"},
	}[d.Precision]
	if layouts == nil {
		return // the precision is a problem already
	}
	if !slices.ContainsFunc(layouts, func(l string) bool { _, err := time.Parse(l, v); return err == nil }) {
		c.add(field+"/value", CodeFormat, "is YYYY-MM-DD, YYYY-MM or YYYY, as the precision says")
		return
	}
	if latest := string(c.latest); v < string(oldest)[:len(v)] || v > latest[:len(v)] {
		c.add(field+"/value", CodeRange, "is from 1900 on and not in the future")
	}
}

// text checks free text of several lines.
func (c *checker) text(field string, v private.String, n need) {
	c.write(field, v.Reveal(), MaxText, n, func(r rune) bool {
		return plain(r) || r == '\n' || r == '\t' || r == '\u200e' || r == '\u200f' || r == '\u061c'
	})
}

// line checks text of one line: a place, a reference, a label.
func (c *checker) line(field string, v private.String, n need) {
	c.write(field, v.Reveal(), MaxName, n, plain)
}

// name checks a person's name, in any script. That the names of a card are
// Latin is a rule of cards (docs/card.md), not of the record.
func (c *checker) name(field string, v private.String, n need) {
	s := v.Reveal()
	before := len(c.problems)
	c.line(field, v, n)
	if len(c.problems) > before || s == "" {
		return
	}
	if !strings.ContainsFunc(s, unicode.IsLetter) {
		c.add(field, CodeFormat, "has a letter")
	}
}

// plain reports whether a character may stand in a line: whatever can be seen,
// and the joiners and the word break without which Khmer, Burmese and Thai are
// not written well. Control characters and what turns the direction of text
// around could make a line read as something else.
func plain(r rune) bool {
	return unicode.IsGraphic(r) && r != '\u2028' && r != '\u2029' || r == '\u200b' || r == '\u200c' || r == '\u200d'
}

func (c *checker) write(field, s string, most int, n need, may func(rune) bool) {
	if !c.there(field, s != "", n) {
		return
	}
	if !utf8.ValidString(s) {
		c.add(field, CodeFormat, "is Unicode text")
		return
	}
	if utf8.RuneCountInString(s) > most {
		c.add(field, CodeTooLong, fmt.Sprintf("has at most %d characters", most))
		return
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !may(r) }) {
		c.add(field, CodeFormat, "has no control characters")
	}
	if strings.TrimSpace(s) != s {
		c.add(field, CodeFormat, "neither begins nor ends with a space")
	}
}

// hidden is how claims print: by their kind. A printed claim would be the
// leak that private.String is there to prevent, because the codes alone say
// what happened to a person.
func hidden(f fmt.State, k Kind) { _, _ = fmt.Fprintf(f, "[%s claims]", string(k)) }

func hiddenLog(k Kind) slog.Value { return slog.StringValue("[" + string(k) + " claims]") }
