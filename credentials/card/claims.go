package card

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/private"
)

const (
	secondsPerDay = 86_400
	maxValidity   = 180 * secondsPerDay // docs/card.md: exp − iat ≤ 15,552,000
	maxIndex      = 1<<20 - 1
	maxNameInput  = 1024 // bytes of a name before shortening; a bound, not a rule of the format
	portraitSize  = 16
)

// Claims are what a card says. A status and a decision level are optional: the
// same card is given to anybody whose papers are lost.
type Claims struct {
	IssuedAt time.Time // midnight UTC
	Expires  time.Time // midnight UTC, after IssuedAt by 180 days at most; the first day the card no longer holds

	Name        private.String // as in the passport, "PRIMARY, SECONDARY" or one identifier
	BirthDate   private.String // YYYYMMDD, YYYYMM, YYYY or empty
	Nationality private.String // three capital letters, the ICAO code (Germany is DEU), or empty
	Sex         int            // 1, 2, 3, or 0 for not stated

	Handle [8]byte // names the case on this card only: random, new on every card
	List   uint16  // number of the status list and answers list
	Index  uint32  // index in both, 0…2^20−1

	Status        int    // 0 none, 1 possible, 2 actual
	DecisionLevel int    // 0 none, 1 preliminary, 2 reasonable grounds, 3 formal, 4 judicial
	Portrait      []byte // first 16 bytes of the portrait's SHA-256, or nil

	NamesShortened        bool // Seal sets it when it shortens
	Blank                 bool // printed ahead: no identity, no status
	MissionMayBeContacted bool // the holder agrees that a mission is contacted
}

// A Problem is one thing that is wrong with claims. It never holds the value.
type Problem struct {
	Field   string // snake case, such as birth_date
	Problem string
}

// An InvalidError is what Seal returns for claims that Validate refuses.
type InvalidError struct{ Problems []Problem }

// Error names the fields and what is wrong with them, without the values.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("card: claims are not valid")
	for i, p := range e.Problems {
		b.WriteString([]string{": ", "; "}[min(i, 1)] + p.Field + " " + p.Problem)
	}
	return b.String()
}

// Validate returns everything that keeps the claims from being issued, all at
// once, or nil. It asks more than a reader does: names are Latin, and the
// handle is set.
func (c Claims) Validate() []Problem {
	problems := c.problems()
	add := func(field, problem string) { problems = append(problems, Problem{field, problem}) }
	if c.Handle == [8]byte{} {
		add("handle", "is not set")
	}
	name := c.Name.Reveal()
	if len(name) > maxNameInput {
		add("name", "is too long")
	}
	if validName(name) {
		if !strings.ContainsFunc(name, unicode.IsLetter) {
			add("name", "has no letter")
		}
		if strings.ContainsFunc(name, func(r rune) bool { return !latinRune(r) }) {
			add("name", "must be in Latin letters, as in the passport or as a person transliterated it")
		}
	}
	return problems
}

// problems holds the rules that bind issuing and reading alike (docs/card.md,
// Signed content).
func (c Claims) problems() []Problem {
	var problems []Problem
	add := func(field, problem string) { problems = append(problems, Problem{field, problem}) }

	if !midnight(c.IssuedAt) {
		add("issued_at", "must be midnight UTC between 1970 and 2106")
	}
	if !midnight(c.Expires) {
		add("expires", "must be midnight UTC between 1970 and 2106")
	}
	if valid := c.Expires.Unix() - c.IssuedAt.Unix(); midnight(c.IssuedAt) && midnight(c.Expires) && (valid <= 0 || valid > maxValidity) {
		add("expires", "must be 1 to 180 days after issued_at")
	}
	if c.Index > maxIndex {
		add("index", "must be below 2^20")
	}
	if c.Blank {
		return append(problems, c.blankProblems()...)
	}

	switch name := c.Name.Reveal(); {
	case name == "":
		add("name", "is required")
	case !validName(name):
		add("name", "holds a character that a name cannot have")
	}
	if !validBirthDate(c.BirthDate.Reveal()) {
		add("birth_date", "must be YYYYMMDD, YYYYMM or YYYY")
	}
	if !validNationality(c.Nationality.Reveal()) {
		add("nationality", "must be three capital letters, the ICAO code")
	}
	if c.Sex < 0 || c.Sex > 3 {
		add("sex", "must be 1, 2 or 3, or left out")
	}
	if c.Status < 0 || c.Status > 2 {
		add("status", "must be 1 (possible) or 2 (actual), or left out")
	}
	if c.DecisionLevel < 0 || c.DecisionLevel > 4 {
		add("decision_level", "must be 1 to 4, or left out")
	}
	if (c.Status == 0) != (c.DecisionLevel == 0) {
		add("decision_level", "stands with status or not at all")
	}
	if c.Portrait != nil && len(c.Portrait) != portraitSize {
		add("portrait", "must be the first 16 bytes of a SHA-256")
	}
	return problems
}

// blankProblems: with key 7 there is no 169, 1, 2, 5, 6 or 8.
func (c Claims) blankProblems() []Problem {
	var problems []Problem
	for _, f := range []struct {
		field string
		set   bool
	}{
		{"name", !c.Name.IsZero()},
		{"birth_date", !c.BirthDate.IsZero()},
		{"nationality", !c.Nationality.IsZero()},
		{"sex", c.Sex != 0},
		{"status", c.Status != 0},
		{"decision_level", c.DecisionLevel != 0},
		{"portrait", c.Portrait != nil},
		{"names_shortened", c.NamesShortened},
		{"mission_may_be_contacted", c.MissionMayBeContacted},
	} {
		if f.set {
			problems = append(problems, Problem{f.field, "cannot be on a blank"})
		}
	}
	return problems
}

func midnight(t time.Time) bool {
	s := t.Unix()
	return s >= 0 && s <= math.MaxUint32 && s%secondsPerDay == 0 && t.Nanosecond() == 0
}

func validName(name string) bool {
	if name == "" || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return !nameRune(r) })
}

// validBirthDate checks month 01–12 and day 01–31 and asks no calendar: papers
// with 31 February exist, and the card repeats them.
func validBirthDate(s string) bool {
	if !allDigits(s) {
		return false
	}
	switch len(s) {
	case 0, 4:
		return true
	case 6:
		return "01" <= s[4:6] && s[4:6] <= "12"
	case 8:
		return "01" <= s[4:6] && s[4:6] <= "12" && "01" <= s[6:8] && s[6:8] <= "31"
	default:
		return false
	}
}

func validNationality(s string) bool {
	if s == "" {
		return true
	}
	if len(s) != 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}
