// Package mrz reads and writes the machine-readable zones of travel documents
// (ICAO Doc 9303 parts 4, 5, 6 and 7): TD1, TD2, TD3, MRV-A and MRV-B. It
// reports every check digit as pass, fail or absent and corrects nothing. It
// does not recognise characters in pictures, look up country codes or judge
// whether a date makes sense: that is left to whoever holds the document.
package mrz

import (
	"fmt"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Format is one of the five layouts of ICAO Doc 9303.
type Format string

// The five layouts.
const (
	TD1  Format = "TD1"   // cards, 3 lines of 30
	TD2  Format = "TD2"   // larger cards, 2 lines of 36
	TD3  Format = "TD3"   // passports, 2 lines of 44
	MRVA Format = "MRV-A" // visas, 2 lines of 44
	MRVB Format = "MRV-B" // small visas, 2 lines of 36
)

// Result says what a check digit says about its field.
type Result string

// The three results. Absent means that the layout has no such digit, or that a
// filler is printed in its place: nothing was confirmed and nothing refuted.
const (
	Pass   Result = "pass"
	Fail   Result = "fail"
	Absent Result = "absent"
)

// Checks holds one result per check digit that any layout knows. The names on
// a document have no check digit in any layout.
type Checks struct {
	Number    Result `json:"doc_no" list:"mrz_check"`
	BirthDate Result `json:"dob" list:"mrz_check"`
	Expiry    Result `json:"expiry" list:"mrz_check"`
	Optional  Result `json:"optional" list:"mrz_check"`
	Composite Result `json:"composite" list:"mrz_check"`
}

// Failed reports whether any check digit contradicts its field.
func (c Checks) Failed() bool {
	return c.Number == Fail || c.BirthDate == Fail || c.Expiry == Fail || c.Optional == Fail || c.Composite == Fail
}

// Fields are the values of a machine-readable zone as they are printed, without
// the fillers that pad a field to its length. A filler inside a value stays a
// '<', except in names, where it is a space.
type Fields struct {
	Format      Format
	Code        private.String // document code, one or two characters
	State       private.String // issuing state or organisation, for example UTO or D
	Surname     private.String // primary identifier; empty where none is printed
	GivenNames  private.String // secondary identifiers, separated by spaces; may be empty
	Number      private.String // document number, more than nine characters on TD1 and TD2 only
	Nationality private.String
	BirthDate   private.String // YYMMDD, '<' where a part is unknown
	Sex         private.String // F, M, or empty for unspecified
	Expiry      private.String // YYMMDD, '<' where a part is not stated
	Optional    private.String // optional data; on TD3 the personal number
	More        private.String // TD1 only: optional data of the second line
}

// MRZ is a machine-readable zone that was read.
type MRZ struct {
	Fields
	Checks Checks
	// Oddities are places where the names do not stand as ICAO Doc 9303 asks,
	// with CodeFiller or CodeNames. The fields were read all the same.
	Oddities []Problem
	lines    []private.String
}

// Lines returns the zone as it was read.
func (m MRZ) Lines() []private.String { return append([]private.String(nil), m.lines...) }

// The kinds of structural problem, and of oddity.
const (
	CodeLines      = "line_count"       // no layout has so many lines
	CodeLength     = "line_length"      // the line is too long or too short for its layout
	CodeAlphabet   = "character"        // a character that its field does not allow
	CodeFiller     = "filler"           // a filler where a value has to begin, or a value after the filling; in the names, an oddity
	CodeNames      = "names"            // names that do not consist of one primary and at most one secondary part; an oddity
	CodeTooLong    = "too_long"         // writing only: a value does not fit its field
	CodeUnknown    = "unknown_format"   // writing only: no such layout
	CodeUnwritable = "no_transcription" // writing only: a letter that has no transcription into A to Z
)

// Problem is one structural problem. It says where and what kind, never what
// is printed there.
type Problem struct {
	Line int    // from 1; 0 when the problem is about the whole zone
	From int    // first character, from 1; 0 when the problem is about the whole line
	To   int    // last character
	Code string // one of the Code constants
}

// Error holds every structural problem that was found, in the order of the
// characters.
type Error struct{ Problems []Problem }

// Error names places and codes only.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("mrz: ")
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("; ")
		}
		switch {
		case p.Line == 0:
			b.WriteString(p.Code)
		case p.From == 0:
			fmt.Fprintf(&b, "line %d: %s", p.Line, p.Code)
		default:
			fmt.Fprintf(&b, "line %d, characters %d to %d: %s", p.Line, p.From, p.To, p.Code)
		}
	}
	return b.String()
}

// kind is the alphabet of a field.
type kind int

const (
	letters   kind = iota // A to Z, then fillers
	docCode               // a letter, then a letter, a digit or a filler
	names                 // A to Z and single fillers
	mixed                 // A to Z, 0 to 9 and fillers
	date                  // 0 to 9 and fillers
	sex                   // F, M or a filler
	digit                 // 0 to 9 or a filler
	composite             // as digit
)

// span is where a field stands, counted from 1 as in ICAO Doc 9303, both ends
// included.
type span struct {
	line, from, to int
	kind           kind
}

// layout is one format: where its fields stand and what its composite check
// digit covers.
type layout struct {
	lines, length                              int
	code, state, names, number, numberCD       span
	nationality, birth, birthCD, sex           span
	expiry, expiryCD, optional, more           span
	optionalCD, compositeCD                    span
	composite                                  []span
	overflow, personalNumber, visa, threeLines bool
}

// ICAO Doc 9303-4 §4.2 (TD3), 9303-5 §4.2 (TD1), 9303-6 §4.2 (TD2), 9303-7 §4
// (MRV-A, MRV-B).
var layouts = map[Format]layout{
	TD1: {
		lines: 3, length: 30, overflow: true, threeLines: true,
		code: span{1, 1, 2, docCode}, state: span{1, 3, 5, letters},
		number: span{1, 6, 14, mixed}, numberCD: span{1, 15, 15, digit}, optional: span{1, 16, 30, mixed},
		birth: span{2, 1, 6, date}, birthCD: span{2, 7, 7, digit}, sex: span{2, 8, 8, sex},
		expiry: span{2, 9, 14, date}, expiryCD: span{2, 15, 15, digit},
		nationality: span{2, 16, 18, letters}, more: span{2, 19, 29, mixed}, compositeCD: span{2, 30, 30, composite},
		names:     span{3, 1, 30, names},
		composite: []span{{1, 6, 30, mixed}, {2, 1, 7, mixed}, {2, 9, 15, mixed}, {2, 19, 29, mixed}},
	},
	TD2: {
		lines: 2, length: 36, overflow: true,
		code: span{1, 1, 2, docCode}, state: span{1, 3, 5, letters}, names: span{1, 6, 36, names},
		number: span{2, 1, 9, mixed}, numberCD: span{2, 10, 10, digit}, nationality: span{2, 11, 13, letters},
		birth: span{2, 14, 19, date}, birthCD: span{2, 20, 20, digit}, sex: span{2, 21, 21, sex},
		expiry: span{2, 22, 27, date}, expiryCD: span{2, 28, 28, digit},
		optional: span{2, 29, 35, mixed}, compositeCD: span{2, 36, 36, composite},
		composite: []span{{2, 1, 10, mixed}, {2, 14, 20, mixed}, {2, 22, 35, mixed}},
	},
	TD3: {
		lines: 2, length: 44, personalNumber: true,
		code: span{1, 1, 2, docCode}, state: span{1, 3, 5, letters}, names: span{1, 6, 44, names},
		number: span{2, 1, 9, mixed}, numberCD: span{2, 10, 10, digit}, nationality: span{2, 11, 13, letters},
		birth: span{2, 14, 19, date}, birthCD: span{2, 20, 20, digit}, sex: span{2, 21, 21, sex},
		expiry: span{2, 22, 27, date}, expiryCD: span{2, 28, 28, digit},
		optional: span{2, 29, 42, mixed}, optionalCD: span{2, 43, 43, digit}, compositeCD: span{2, 44, 44, composite},
		composite: []span{{2, 1, 10, mixed}, {2, 14, 20, mixed}, {2, 22, 43, mixed}},
	},
	MRVA: visa(44),
	MRVB: visa(36),
}

// visa is the one layout of both visas: they differ in length only, and have
// no composite check digit.
func visa(length int) layout {
	return layout{
		lines: 2, length: length, visa: true,
		code: span{1, 1, 2, docCode}, state: span{1, 3, 5, letters}, names: span{1, 6, length, names},
		number: span{2, 1, 9, mixed}, numberCD: span{2, 10, 10, digit}, nationality: span{2, 11, 13, letters},
		birth: span{2, 14, 19, date}, birthCD: span{2, 20, 20, digit}, sex: span{2, 21, 21, sex},
		expiry: span{2, 22, 27, date}, expiryCD: span{2, 28, 28, digit},
		optional: span{2, 29, length, mixed},
	}
}

// spans lists the fields of a layout in the order of the characters.
func (l layout) spans() []span {
	all := []span{l.code, l.state, l.names, l.number, l.numberCD, l.nationality, l.birth, l.birthCD, l.sex,
		l.expiry, l.expiryCD, l.optional, l.optionalCD, l.more, l.compositeCD}
	if l.threeLines {
		all = []span{l.code, l.state, l.number, l.numberCD, l.optional, l.birth, l.birthCD, l.sex, l.expiry,
			l.expiryCD, l.nationality, l.more, l.compositeCD, l.names}
	}
	printed := all[:0]
	for _, s := range all {
		if s.line > 0 {
			printed = append(printed, s)
		}
	}
	return printed
}
