package invalid

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// How long texts may be, in characters (Unicode code points).
const (
	MaxLine = 200  // one name, one place, one reference
	MaxText = 4000 // one free text
)

// Text checks free text of several lines.
func (c *Checker) Text(pointer string, v private.String, n Need) {
	c.write(pointer, v.Reveal(), MaxText, n, func(r rune) bool { return plain(r) || r == '\n' || r == '\t' })
}

// Line checks text of one line: a place, a reference, a label.
func (c *Checker) Line(pointer string, v private.String, n Need) {
	c.ShortLine(pointer, v.Reveal(), MaxLine, n)
}

// ShortLine checks text of one line that has room for so many characters only,
// and is no secret.
func (c *Checker) ShortLine(pointer, s string, most int, n Need) {
	c.write(pointer, s, most, n, plain)
}

// Name checks a person's name, in any script, as it is written. That the names
// of a card are Latin is a rule of cards (docs/card.md), and of nothing else.
func (c *Checker) Name(pointer string, v private.String, n Need) {
	s := v.Reveal()
	before := len(c.problems)
	c.Line(pointer, v, n)
	if len(c.problems) > before || s == "" {
		return
	}
	if !strings.ContainsFunc(s, unicode.IsLetter) {
		c.Add(pointer, CodeFormat, "has a letter")
	}
}

// plain reports whether a character may stand in a line: whatever can be seen,
// the joiners and the word break without which Khmer, Burmese and Thai are not
// written well, and the three marks that give a blank or a sign among Arabic
// and Hebrew letters its direction. Control characters could make a line read
// as something else, and so could what turns the direction of all that follows.
func plain(r rune) bool {
	return unicode.IsGraphic(r) || strings.ContainsRune("\u200b\u200c\u200d\u200e\u200f\u061c", r)
}

func (c *Checker) write(pointer, s string, most int, n Need, may func(rune) bool) {
	if !c.There(pointer, s != "", n) {
		return
	}
	if !utf8.ValidString(s) {
		c.Add(pointer, CodeFormat, "is Unicode text")
		return
	}
	if utf8.RuneCountInString(s) > most {
		c.Add(pointer, CodeTooLong, fmt.Sprintf("has at most %d characters", most))
		return
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !may(r) }); i >= 0 {
		c.Add(pointer, CodeFormat, fmt.Sprintf("has no control or direction characters; character %d is one", utf8.RuneCountInString(s[:i])+1))
	}
	if Trim(s) != s {
		c.Add(pointer, CodeFormat, "neither begins nor ends with what cannot be seen")
	}
}
