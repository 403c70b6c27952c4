package invalid

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Need says whether a member has to be there. An optional member is checked
// where it is there.
type Need bool

// The two needs.
const (
	Optional Need = false
	Required Need = true
)

// Checker collects problems in the order in which it is asked. The zero value
// is ready for everything but days that have come or are to come: it takes none.
type Checker struct {
	earliest string // the first day that is not in the past, YYYY-MM-DD
	latest   string // the last day that is not in the future
	problems []Problem
}

// New returns a Checker for whom now is the present.
func New(now time.Time) *Checker {
	// Days are local and "now" is not: in the time zone furthest ahead
	// (UTC+14) tomorrow has already begun, and in the one furthest behind (UTC-12)
	// it is still yesterday.
	return &Checker{
		earliest: now.UTC().Add(-12 * time.Hour).Format(time.DateOnly),
		latest:   now.UTC().Add(14 * time.Hour).Format(time.DateOnly),
	}
}

// Problems returns what was found so far; nil if nothing was.
func (c *Checker) Problems() []Problem { return c.problems }

// Err returns what was found as an *Error, and nil if nothing was.
func (c *Checker) Err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{Problems: c.problems}
}

// Add reports a problem.
func (c *Checker) Add(pointer, code, rule string) {
	c.problems = append(c.problems, Problem{Pointer: pointer, Code: code, Rule: rule})
}

// Must reports a problem unless ok.
func (c *Checker) Must(ok bool, pointer, code, rule string) {
	if !ok {
		c.Add(pointer, code, rule)
	}
}

// At is the pointer to an entry of the list at pointer.
func At(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }

// There reports whether a member that needs checking is there.
func (c *Checker) There(pointer string, is bool, n Need) bool {
	if !is && n == Required {
		c.Add(pointer, CodeRequired, "is required")
	}
	return is
}

// Only reports a member that is there and may not be.
func (c *Checker) Only(pointer string, is, may bool, rule string) {
	if is && !may {
		c.Add(pointer, CodeNotAllowed, rule)
	}
}

// OneOf checks a value that is one of a closed list.
func (c *Checker) OneOf(pointer, value string, listed []string, n Need) {
	if c.There(pointer, value != "", n) && !slices.Contains(listed, value) {
		c.Add(pointer, CodeNotInList, "is one of the listed values")
	}
}

// Count checks the length of a list, and reports whether it is worth reading.
func (c *Checker) Count(pointer string, n, most int) bool {
	if n > most {
		c.Add(pointer, CodeTooMany, fmt.Sprintf("has at most %d entries", most))
	}
	return n <= most
}

// Distinct reports the entries that are there already.
func (c *Checker) Distinct(pointer string, given []string) {
	for i, v := range given {
		if v != "" && slices.Contains(given[:i], v) {
			c.Add(At(pointer, i), CodeDuplicate, "is in the list already")
		}
	}
}

// Shape checks a value that is written in one way only; rule says in which.
func (c *Checker) Shape(pointer, value string, shape *regexp.Regexp, rule string, n Need) {
	if c.There(pointer, value != "", n) && !shape.MatchString(value) {
		c.Add(pointer, CodeFormat, rule)
	}
}

var (
	idShape      = regexp.MustCompile(`^[0-9a-f]{32}$`)
	agencyShape  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)
	countryShape = regexp.MustCompile(`^[A-Z]{3}$`)
)

// ID checks the id of an attestation, report, record or consent.
func (c *Checker) ID(pointer, value string, n Need) {
	c.Shape(pointer, value, idShape, "is 32 lower-case hexadecimal digits", n)
}

// Agency checks the id of an agency or of a person of one.
func (c *Checker) Agency(pointer, value string, n Need) {
	c.Shape(pointer, value, agencyShape, "is an identifier of up to 64 letters, digits and . _ : -", n)
}

// Country checks a country. Every three capital letters pass, so that XXA
// (stateless), XXB (refugee), XXX (unspecified), UTO (specimens) and states
// that the standard does not know yet need no new version.
func (c *Checker) Country(pointer, value string, n Need) {
	c.Shape(pointer, value, countryShape, "is three capital letters, as in ICAO Doc 9303", n)
}
