package invalid

import (
	"slices"
	"strings"
	"time"
)

// The forms in which a date may be written: as exactly as it is known.
const (
	FormDay   = time.DateOnly
	FormMonth = "2006-01"
	FormYear  = "2006"
)

// The first and the last day of anything: nobody alive was born before the
// first, and no paper is good after the last.
const (
	firstDay = "1900-01-01"
	lastDay  = "2199-12-31"
)

// Day checks a day of any time, written YYYY-MM-DD. It reports whether the day
// can be compared; as texts, days are in order.
func (c *Checker) Day(pointer, value string, n Need) bool {
	_, ok := c.Date(pointer, value, n, FormDay)
	return ok
}

// PastDay checks a day that has come.
func (c *Checker) PastDay(pointer, value string, n Need) bool {
	_, ok := c.PastDate(pointer, value, n, FormDay)
	return ok
}

// ComingDay checks a day that is not over yet, and is within a year.
func (c *Checker) ComingDay(pointer, value string, n Need) bool {
	if !c.Day(pointer, value, n) {
		return false
	}
	day, _ := time.Parse(FormDay, value)
	first, err := time.Parse(FormDay, c.earliest)
	if err != nil || day.Before(first) || day.After(first.AddDate(1, 0, 0)) {
		c.Add(pointer, CodeRange, "is today or later, within a year")
		return false
	}
	return true
}

// Date checks a date of any time, written in one of the forms, and returns
// which it is. It reports whether there is a right date.
func (c *Checker) Date(pointer, value string, n Need, forms ...string) (form string, ok bool) {
	if form, ok = c.written(pointer, value, n, forms); !ok {
		return "", false
	}
	if value < firstDay[:len(form)] || value > lastDay[:len(form)] {
		c.Add(pointer, CodeRange, "is a year from 1900 to 2199"+hint(value))
		return "", false
	}
	return form, true
}

// PastDate checks a date that has come: this month and this year have.
func (c *Checker) PastDate(pointer, value string, n Need, forms ...string) (form string, ok bool) {
	if form, ok = c.written(pointer, value, n, forms); !ok {
		return "", false
	}
	if len(c.latest) < len(form) || value < firstDay[:len(form)] || value > c.latest[:len(form)] {
		c.Add(pointer, CodeRange, "is from 1900 on and not in the future"+hint(value))
		return "", false
	}
	return form, true
}

// written checks the form of a date and that the calendar has it.
func (c *Checker) written(pointer, value string, n Need, forms []string) (string, bool) {
	if !c.There(pointer, value != "", n) {
		return "", false
	}
	i := slices.IndexFunc(forms, func(form string) bool { _, err := time.Parse(form, value); return err == nil })
	if i < 0 {
		letters := strings.NewReplacer("2006", "YYYY", "01", "MM", "02", "DD")
		c.Add(pointer, CodeFormat, "is written "+letters.Replace(strings.Join(forms, " or "))+", and is in the calendar")
		return "", false
	}
	return forms[i], true
}

// hint helps whoever copied a year as papers of Thailand, Cambodia, Laos and
// Myanmar print it. The years in it are always the same: no value is repeated.
func hint(value string) string {
	if value < "2400" || value > "2800" {
		return ""
	}
	return "; a year of the Buddhist calendar is 543 more, so that 2540 there is 1997 here"
}
