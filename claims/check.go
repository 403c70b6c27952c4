package claims

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// How many entries lists may have. A list of codes may have as many entries as
// there are codes.
const (
	maxNames      = 8  // names of one person
	maxParents    = 4  // names of parents
	maxKeepApart  = 16 // people to keep apart from
	maxCitizen    = 4  // citizenships
	maxLanguages  = 8  // languages of one person
	maxEvidence   = 16 // pieces of evidence
	maxLegalRefs  = 8  // references to law
	maxPrevious   = 16 // earlier attestations
	maxPages      = 64 // pages of one document
	maxStates     = 8  // states that data may go to
	maxCallbacks  = 8  // call-backs to a mission
	maxInterviews = 99 // earlier interviews
)

// maxValidity is the longest time, in days, that a screening may be relied on.
const maxValidity = 3 * 365

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

// Shorter, because every member says one of the two.
const (
	optional = invalid.Optional
	required = invalid.Required
)

// A checker is an invalid.Checker that knows the code lists, and what is
// written in one way only in claims.
type checker struct{ *invalid.Checker }

func newChecker(now time.Time) checker { return checker{invalid.New(now)} }

// code checks one value of a code list.
func (c checker) code(pointer, list, value string, n invalid.Need) {
	if c.There(pointer, value != "", n) && !slices.Contains(values(list), value) {
		c.Add(pointer, invalid.CodeNotInList, "is not in the list "+list)
	}
}

// codes checks a list of values of a code list.
func (c checker) codes(pointer, list string, given []string, n invalid.Need) {
	if !c.There(pointer, len(given) > 0, n) || !c.Count(pointer, len(given), len(values(list))) {
		return
	}
	for i, v := range given {
		c.code(invalid.At(pointer, i), list, v, required)
	}
	c.Distinct(pointer, given)
}

var (
	languageShape = regexp.MustCompile(`^[a-z]{3}$`)
	scriptShape   = regexp.MustCompile(`^[A-Z][a-z]{3}$`)
	digestShape   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// language checks a language after ISO 639-2 or 639-3.
func (c checker) language(pointer, value string, n invalid.Need) {
	c.Shape(pointer, value, languageShape, "is three lower-case letters, as in ISO 639", n)
}

// script checks a script after ISO 15924.
func (c checker) script(pointer, value string, n invalid.Need) {
	c.Shape(pointer, value, scriptShape, "is four letters, as in ISO 15924", n)
}

func (c checker) digest(pointer string, value private.String, n invalid.Need) {
	c.Shape(pointer, value.Reveal(), digestShape, "is a SHA-256 in 64 lower-case hexadecimal digits", n)
}

// day checks a day of any time. It reports whether the day can be compared.
func (c checker) day(pointer string, d Day, n invalid.Need) bool {
	return c.Day(pointer, string(d), n)
}

// past checks a day that has come.
func (c checker) past(pointer string, d Day, n invalid.Need) bool {
	return c.PastDay(pointer, string(d), n)
}

// forms is how the date of each precision is written. The precisions are the
// list date_precision.
var forms = map[string][]string{
	"day": {invalid.FormDay}, "month": {invalid.FormMonth}, "year": {invalid.FormYear},
	"estimated": {invalid.FormDay, invalid.FormMonth, invalid.FormYear},
}

// Check checks a date that has come and may be known to the month or the year
// only.
func (d *PartialDate) Check(c *invalid.Checker, pointer string, n invalid.Need) {
	if !c.There(pointer, d != nil, n) || d == nil {
		return
	}
	c.OneOf(pointer+"/precision", d.Precision, values("date_precision"), required)
	written := forms[d.Precision]
	if written == nil {
		written = forms["estimated"] // the precision is a problem already
	}
	c.PastDate(pointer+"/value", d.Value.Reveal(), required, written...)
}

// hidden is how claims print: by their kind. A printed claim would be the
// leak that private.String is there to prevent, because the codes alone say
// what happened to a person.
func hidden(f fmt.State, k Kind) { _, _ = fmt.Fprintf(f, "[%s claims]", string(k)) }

func hiddenLog(k Kind) slog.Value { return slog.StringValue("[" + string(k) + " claims]") }
