package claims

import (
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

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

// before reports whether both are days, and a is the earlier one.
func before(a, b Day) bool {
	_, first := a.Time()
	_, second := b.Time()
	return first && second && a < b
}

// PartialDate is a date as well as it is known: many people know a year only.
type PartialDate struct {
	Value     private.String `json:"value,omitzero" is:"required,date,past"`                  // YYYY-MM-DD, YYYY-MM or YYYY
	Precision string         `json:"precision,omitempty" list:"date_precision" is:"required"` // estimated goes with each of the three forms
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
	c.OneOf(pointer+"/precision", d.Precision, values("date_precision"), invalid.Required)
	written := forms[d.Precision]
	if written == nil {
		written = forms["estimated"] // the precision is a problem already
	}
	c.PastDate(pointer+"/value", d.Value.Reveal(), invalid.Required, written...)
}
