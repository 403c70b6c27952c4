package mrz

import (
	"strings"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Parse reads the lines of one machine-readable zone, top line first. The
// number of lines, their length and, for two lines, a leading V choose the
// layout. Nothing is trimmed, folded or corrected.
//
// A check digit that fails is a result, not an error, and so are names that do
// not stand as ICAO Doc 9303 asks: a zone has to be recorded as it is printed.
// What keeps it from being cut into fields (lines, lengths, a character that its
// field does not allow) is an *Error that lists all of it.
func Parse(lines []private.String) (MRZ, error) {
	text := make([]string, len(lines))
	for i, l := range lines {
		text[i] = l.Reveal()
	}
	format, problems := detect(text)
	if len(problems) > 0 {
		return MRZ{}, &Error{problems}
	}
	l := layouts[format]
	for _, s := range l.spans() {
		problems = append(problems, check(s, s.in(text))...)
	}
	if len(problems) > 0 {
		return MRZ{}, &Error{problems}
	}
	oddities := l.names.odd(text)
	number, optional, numberCheck := l.readNumber(text)
	surname, given := splitNames(l.names.in(text))
	kept := make([]private.String, len(lines))
	copy(kept, lines)
	return MRZ{
		Fields: Fields{
			Format:      format,
			Code:        value(l.code, text),
			State:       value(l.state, text),
			Surname:     private.New(surname),
			GivenNames:  private.New(given),
			Number:      private.New(number),
			Nationality: value(l.nationality, text),
			BirthDate:   private.New(l.birth.in(text)),
			Sex:         value(l.sex, text),
			Expiry:      private.New(l.expiry.in(text)),
			Optional:    private.New(optional),
			More:        value(l.more, text),
		},
		Checks: Checks{
			Number:    numberCheck,
			BirthDate: l.compare(text, l.birthCD, l.birth),
			Expiry:    l.compare(text, l.expiryCD, l.expiry),
			Optional:  l.compare(text, l.optionalCD, l.optional),
			Composite: l.compare(text, l.compositeCD, l.composite...),
		},
		Oddities: oddities,
		lines:    kept,
	}, nil
}

// detect finds the layout. When the number of lines fits a layout but a length
// does not, the layout that is nearest names the lines that are wrong.
func detect(lines []string) (Format, []Problem) {
	var format Format
	switch len(lines) {
	case 3:
		format = TD1
	case 2:
		// ICAO Doc 9303-7 §4: visas begin with V, everything else does not.
		isVisa := strings.HasPrefix(lines[0], "V")
		large := len(lines[0])+len(lines[1]) > 36+44
		switch {
		case isVisa && large:
			format = MRVA
		case isVisa:
			format = MRVB
		case large:
			format = TD3
		default:
			format = TD2
		}
	default:
		return "", []Problem{{Code: CodeLines}}
	}
	var problems []Problem
	for i, line := range lines {
		if len(line) != layouts[format].length {
			problems = append(problems, Problem{Line: i + 1, Code: CodeLength})
		}
	}
	return format, problems
}

// check holds one field against its alphabet.
func check(s span, field string) []Problem {
	var problems []Problem
	add := func(code string, from, to int) {
		problems = append(problems, Problem{Line: s.line, From: s.from + from, To: s.from + to, Code: code})
	}
	for i := range len(field) {
		if !s.kind.allows(i, field[i]) {
			add(CodeAlphabet, i, i)
		}
	}
	if problems != nil {
		return problems
	}
	end := len(strings.TrimRight(field, "<"))
	switch s.kind {
	case letters:
		if strings.Contains(field[:end], "<") {
			add(CodeFiller, 0, end-1)
		}
	case names, mixed, date, sex, digit, composite, docCode:
		// The alphabet says everything.
	default:
		add(CodeAlphabet, 0, len(field)-1)
	}
	return problems
}

// allows reports whether a character may stand at place i of a field.
func (k kind) allows(i int, c byte) bool {
	letter := 'A' <= c && c <= 'Z'
	number := '0' <= c && c <= '9'
	filler := c == '<'
	switch k {
	case letters, names:
		return letter || filler
	case docCode:
		return letter || i == 1 && (number || filler)
	case mixed:
		return letter || number || filler
	case date, digit, composite:
		return number || filler
	case sex:
		return c == 'F' || c == 'M' || filler
	default:
		return false
	}
}

// odd tells what of the names does not stand as it should. ICAO Doc 9303-3
// §4.6: the primary identifier comes first, one filler stands between its parts,
// and two fillers stand once, between it and the secondary identifiers. States
// print otherwise all the same: `P<IND<<RAVINDRA` is somebody who has a given
// name and no surname.
func (s span) odd(lines []string) []Problem {
	field := s.in(lines)
	end := len(strings.TrimRight(field, "<"))
	primary, secondary, _ := strings.Cut(field[:end], "<<")
	switch {
	case primary == "" || primary[0] == '<':
		return []Problem{{Line: s.line, From: s.from, To: s.from, Code: CodeFiller}}
	case strings.HasPrefix(secondary, "<") || strings.Contains(secondary, "<<"):
		return []Problem{{Line: s.line, From: s.from + len(primary), To: s.from + end - 1, Code: CodeNames}}
	}
	return nil
}

// in cuts the field out of the lines. The lengths have been checked.
func (s span) in(lines []string) string {
	if s.line == 0 {
		return ""
	}
	return lines[s.line-1][s.from-1 : s.to]
}

// value is a field without the fillers behind it.
func value(s span, lines []string) private.String {
	return private.New(strings.TrimRight(s.in(lines), "<"))
}

// splitNames separates primary and secondary identifiers. Fillers that stand
// where they should not are no part of a name.
func splitNames(field string) (surname, given string) {
	surname, given, _ = strings.Cut(strings.TrimRight(field, "<"), "<<")
	return spaced(surname), spaced(given)
}

// spaced writes names with single spaces.
func spaced(names string) string {
	return strings.Join(strings.FieldsFunc(names, func(r rune) bool { return r == '<' }), " ")
}

// readNumber reads the document number, its check digit, and what of the
// optional data does not belong to the number.
func (l layout) readNumber(lines []string) (number, optional string, result Result) {
	number = l.number.in(lines)
	cd := l.numberCD.in(lines)
	optional = strings.TrimRight(l.optional.in(lines), "<")
	if !l.overflows(number, cd, optional) {
		return strings.TrimRight(number, "<"), optional, l.compare(lines, l.numberCD, l.number)
	}
	// ICAO Doc 9303-5 §4.2.2.1, note j, and 9303-6: a number of more than nine
	// characters has a filler in the place of its check digit, and goes on at
	// the start of the optional data, where the check digit and a filler end it.
	rest, after, _ := strings.Cut(optional, "<")
	number += rest[:len(rest)-1]
	optional = after
	return number, optional, judge(rest[len(rest)-1], number)
}

// overflows reports whether a document number goes on in the optional data.
func (l layout) overflows(number, cd, optional string) bool {
	rest, _, _ := strings.Cut(optional, "<")
	return l.overflow && cd == "<" && !strings.HasSuffix(number, "<") && len(rest) >= 2
}

// compare holds a check digit against the fields that it covers.
func (l layout) compare(lines []string, cd span, covered ...span) Result {
	printed := cd.in(lines)
	if printed == "" {
		return Absent
	}
	var b strings.Builder
	for _, s := range covered {
		b.WriteString(s.in(lines))
	}
	return judge(printed[0], b.String())
}

// judge compares a printed check digit with the computed one.
func judge(printed byte, covered string) Result {
	switch printed {
	case '<':
		return Absent
	case CheckDigit(covered):
		return Pass
	default:
		return Fail
	}
}

// CheckDigit computes the check digit of ICAO Doc 9303-3 §4.9: weights 7, 3, 1,
// digits count as themselves, A to Z as 10 to 35, everything else as 0; modulo
// 10, as an ASCII digit.
func CheckDigit(s string) byte {
	weights := [3]int{7, 3, 1}
	sum := 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			sum += int(c-'0') * weights[i%3]
		case 'A' <= c && c <= 'Z':
			sum += int(c-'A'+10) * weights[i%3]
		}
	}
	return byte('0' + sum%10)
}
