package mrz

import (
	"bytes"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Compose writes a machine-readable zone with correct check digits. It exists
// for specimens and tests: names are transcribed into A to Z and shortened by
// the rules of ICAO Doc 9303 where they do not fit, every other value must fit
// as it is. What it returns, Parse reads without a failing check digit.
//
// All problems are reported at once as an *Error.
func Compose(f Fields) ([]private.String, error) {
	l, known := layouts[f.Format]
	if !known {
		return nil, &Error{[]Problem{{Code: CodeUnknown}}}
	}
	c := composer{layout: l, lines: make([][]byte, l.lines)}
	for i := range c.lines {
		c.lines[i] = bytes.Repeat([]byte{'<'}, l.length)
	}
	c.names(f.Surname, f.GivenNames)
	c.put(l.code, f.Code.Reveal())
	c.put(l.state, f.State.Reveal())
	c.put(l.nationality, f.Nationality.Reveal())
	c.put(l.birth, f.BirthDate.Reveal())
	c.put(l.sex, f.Sex.Reveal())
	c.put(l.expiry, f.Expiry.Reveal())
	c.number(f.Number.Reveal(), f.Optional.Reveal())
	c.put(l.more, f.More.Reveal())
	if len(c.problems) > 0 {
		return nil, &Error{c.problems}
	}
	c.digits(l.birthCD, l.birth)
	c.digits(l.expiryCD, l.expiry)
	// ICAO Doc 9303-4 §4.2.2.2: an empty personal number may have 0 or a filler
	// as its check digit; the filler promises less.
	if !f.Optional.IsZero() {
		c.digits(l.optionalCD, l.optional)
	}
	c.digits(l.compositeCD, l.composite...)

	lines := make([]private.String, l.lines)
	for i, line := range c.lines {
		lines[i] = private.New(string(line))
	}
	// What we print must be what we read: alphabets and fillers are judged in
	// one place, and a value that would be read as another is refused.
	back, err := Parse(lines)
	if err != nil {
		return nil, err
	}
	if !back.Number.Equal(f.Number) || !back.Optional.Equal(f.Optional) || !back.State.Equal(f.State) {
		return nil, &Error{[]Problem{{Line: l.number.line, From: l.number.from, To: l.number.to, Code: CodeFiller}}}
	}
	return lines, nil
}

// composer fills the lines of one zone.
type composer struct {
	layout   layout
	lines    [][]byte
	problems []Problem
}

// put writes a value at the start of its field.
func (c *composer) put(s span, v string) {
	if len(v) > s.to-s.from+1 || s.line == 0 && v != "" {
		c.problems = append(c.problems, Problem{Line: s.line, From: s.from, To: s.to, Code: CodeTooLong})
		return
	}
	if s.line > 0 {
		copy(c.lines[s.line-1][s.from-1:s.to], v)
	}
}

// digits writes the check digit of the covered fields.
func (c *composer) digits(cd span, covered ...span) {
	if cd.line == 0 {
		return
	}
	var b strings.Builder
	for _, s := range covered {
		b.Write(c.lines[s.line-1][s.from-1 : s.to])
	}
	c.lines[cd.line-1][cd.from-1] = CheckDigit(b.String())
}

// number writes the document number and the optional data, into which a number
// of more than nine characters flows over on TD1 and TD2.
func (c *composer) number(number, optional string) {
	l := c.layout
	if len(number) <= 9 || !l.overflow {
		c.put(l.number, number)
		c.digits(l.numberCD, l.number)
		c.put(l.optional, optional)
		return
	}
	rest := number[9:] + string(CheckDigit(number))
	if optional != "" {
		rest += "<" + optional
	}
	c.put(l.number, number[:9])
	c.put(l.optional, rest)
}

// names transcribes and shortens the names.
func (c *composer) names(surname, given private.String) {
	primary, ok1 := transcribe(surname.Reveal())
	secondary, ok2 := transcribe(given.Reveal())
	s := c.layout.names
	if !ok1 || !ok2 {
		c.problems = append(c.problems, Problem{Line: s.line, From: s.from, To: s.to, Code: CodeUnwritable})
		return
	}
	room := s.to - s.from + 1
	if secondary != "" {
		// ICAO Doc 9303-4 §4.2.3: when names are cut, at least the beginning of
		// both identifiers stays.
		primary = cut(primary, room-3) + "<<"
	}
	c.put(s, cut(primary+secondary, room))
}

// cut shortens to n characters.
func cut(s string, n int) string { return s[:min(len(s), n)] }

// transcribe turns a name into A to Z and single fillers, ICAO Doc 9303-3 §6
// for the letters that have a transcription of their own, and the base letter
// for those with a mark. ok is false when a letter has none: a person then
// enters the transcription that the document prints.
func transcribe(name string) (out string, ok bool) {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) {
		r = unicode.ToUpper(r)
		if t, known := transcriptions[r]; known {
			b.WriteString(t)
			continue
		}
		base := []rune(norm.NFD.String(string(r)))[0]
		switch {
		case 'A' <= base && base <= 'Z':
			b.WriteRune(base)
		case r == ' ' || r == '-' || r == '<':
			b.WriteByte('<')
		case r == '\'' || r == '’' || r == '.' || r == ',':
			// ICAO Doc 9303-3 §4.6: these are left out.
		default:
			return "", false
		}
	}
	return strings.ReplaceAll(spaced(b.String()), " ", "<"), true
}

// transcriptions are the letters whose transcription is not their base letter.
var transcriptions = map[rune]string{
	'Ä': "AE", 'Å': "AA", 'Æ': "AE", 'Ð': "D", 'Ñ': "N", 'Ö': "OE", 'Ø': "OE", 'Ü': "UE", 'Þ': "TH",
	'Đ': "D", 'Ħ': "H", 'Ł': "L", 'Ŋ': "N", 'Œ': "OE", 'Ŧ': "T", 'ß': "SS", 'ẞ': "SS", 'Ĳ': "IJ", 'ĸ': "Q",
}
