// Package naming says whether a name can be told from others by looking at it: by
// whoever reads it on a small screen, in a hurry, in a script that is perhaps not
// their own. It follows Unicode Technical Standard #39 (Unicode Security
// Mechanisms), with the table of look-alikes of Unicode 17.0.
//
// It leaves what is named, and which names there are, to package network.
package naming

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.mau.fi/util/confusable"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/safeconduct/safeconduct/invalid"
)

// MaxLength is how many characters a name has at most.
const MaxLength = 80

// Check reports what keeps a name from being read as one thing only: markup and
// other signs that no name needs, what cannot be seen, spaces that cannot be
// counted, and words that mix scripts. A name that breaks one rule is not held to
// the next: what is left of it means little.
func Check(c *invalid.Checker, pointer, name string) {
	before := len(c.Problems())
	c.ShortLine(pointer, name, MaxLength, invalid.Required)
	if len(c.Problems()) > before {
		return
	}
	for _, rule := range []func(string) string{signs, spaces, forms, marks, scripts, look} {
		if broken := rule(name); broken != "" {
			c.Add(pointer, invalid.CodeFormat, broken)
			return
		}
	}
}

// punctuation is what a name may have beside letters, digits and spaces. The rest
// of ASCII is markup somewhere.
const punctuation = "-–'’.,&()/·"

// amVowels are the two letters that Unicode would rather see written as two signs
// each, and that Thai and Lao are never written without.
const amVowels = "ำຳ"

// signs are those that a name may be made of. Of digits it has those that everybody
// reads; the others look like these, or like letters (UTS #39 §5.3).
func signs(name string) string {
	place := 0
	for _, r := range name {
		place++
		switch {
		case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
			return fmt.Sprintf("has nothing in it that cannot be seen; character %d cannot", place)
		case unicode.IsLetter(r), unicode.IsMark(r), '0' <= r && r <= '9', r == ' ', strings.ContainsRune(punctuation, r):
		default:
			return fmt.Sprintf("is made of letters, the digits 0 to 9, single spaces and %s; character %d is none of these", punctuation, place)
		}
	}
	if !strings.ContainsFunc(name, unicode.IsLetter) {
		return "has a letter"
	}
	return ""
}

// spaces keeps two names from differing by what nobody can count.
func spaces(name string) string {
	if strings.Contains(name, "  ") {
		return "has one space between words"
	}
	return ""
}

// forms keeps characters out that Unicode has for the sake of older encodings, such
// as wide, mathematical and joined letters (UTS #39 §3.1, Not_NFKC).
func forms(name string) string {
	if !norm.NFC.IsNormalString(name) {
		return "is written in Unicode's composed form, NFC"
	}
	place := 0
	for _, r := range name {
		place++
		if s := string(r); !norm.NFKC.IsNormalString(s) && !strings.ContainsRune(amVowels, r) {
			return fmt.Sprintf("has plain letters; character %d is another form of one", place)
		}
	}
	return ""
}

// maxMarks is how many marks may stand on one letter (UTS #39 §5.4).
const maxMarks = 4

// marks keeps marks from hiding under each other, or standing on nothing.
func marks(name string) string {
	var on []rune // the marks since the last letter
	letter := false
	for _, r := range norm.NFD.String(name) {
		if !unicode.IsMark(r) {
			letter, on = unicode.IsLetter(r), on[:0]
			continue
		}
		if !letter || len(on) == maxMarks || slices.Contains(on, r) {
			return "has marks on letters only, at most four on one, and none of them twice"
		}
		on = append(on, r)
	}
	return ""
}

// recommended are the scripts that people write today (UAX #31, table 5). Common
// and Inherited are not among them: they go with every script.
var recommended = []string{
	"Arabic", "Armenian", "Bengali", "Bopomofo", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek", "Gujarati",
	"Gurmukhi", "Han", "Hangul", "Hebrew", "Hiragana", "Kannada", "Katakana", "Khmer", "Lao", "Latin", "Malayalam",
	"Myanmar", "Oriya", "Sinhala", "Tamil", "Telugu", "Thaana", "Thai", "Tibetan",
}

// mixes are the scripts that one word may mix (UTS #39 §5.2, Highly Restrictive).
var mixes = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"},
}

// scripts asks each word to be of one script, or of a mix that is written.
func scripts(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || strings.ContainsRune(punctuation, r) })
	for i, word := range words {
		var found []string
		for _, r := range word {
			script := scriptOf(r)
			switch {
			case script == "":
				return fmt.Sprintf("is written in a script of today; word %d is not", i+1)
			case script != common && !slices.Contains(found, script):
				found = append(found, script)
			}
		}
		if len(found) > 1 && !slices.ContainsFunc(mixes, func(mix []string) bool { return within(found, mix) }) {
			return fmt.Sprintf("has words of one script each; word %d mixes two", i+1)
		}
	}
	return ""
}

// common stands for what goes with every script.
const common = "Common"

// scriptOf names the script of a character; empty is one that is not recommended.
func scriptOf(r rune) string {
	if unicode.In(r, unicode.Common, unicode.Inherited) {
		return common
	}
	for _, name := range recommended {
		if unicode.Is(unicode.Scripts[name], r) {
			return name
		}
	}
	return ""
}

// look keeps out what is a letter to Unicode and an apostrophe or a stroke to whoever
// reads it. Nothing else could be taken for such a name, and it for any other.
func look(name string) string {
	if !Alike(name, name) {
		return "has a letter that is not taken for a sign"
	}
	return ""
}

func within(found, mix []string) bool {
	return !slices.ContainsFunc(found, func(s string) bool { return !slices.Contains(mix, s) })
}

// Alike tells whether two names could be taken for one another: letters that look
// alike in whatever scripts, with or without capitals, accents, spaces and
// punctuation. It is told of any two texts, whether or not they are names.
func Alike(a, b string) bool {
	ours := looks(a)
	return slices.ContainsFunc(looks(b), func(look string) bool { return look != "" && slices.Contains(ours, look) })
}

// looks are the skeletons of a name (UTS #39 §4): of what is seen, and of what is
// seen where somebody writes it without capitals. One alone would miss something: a
// capital i looks like a small L, and no longer when it is made small.
func looks(name string) []string {
	seen := bare(norm.NFKC.String(name))
	return []string{skeleton(fold(skeleton(seen))), skeleton(fold(seen))}
}

func fold(s string) string { return cases.Fold().String(s) }

// skeleton is that of UTS #39 §4, less the marks that it takes letters apart into.
func skeleton(s string) string { return bare(confusable.Skeleton(s)) }

// bare leaves letters, digits and the marks that are as good as letters, which are
// those that belong to a script. An accent is what a hurried reader sees last.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Inherited, r):
			return -1
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsDigit(r):
			return r
		default:
			return -1
		}
	}, norm.NFD.String(s))
}
