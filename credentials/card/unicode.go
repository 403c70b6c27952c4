package card

import (
	"unicode"

	"golang.org/x/text/unicode/rangetable"
)

// Which letters a name may have and which digits a code may have must not
// depend on the toolchain: a card that one device calls does_not_match would
// open on another. The format says Unicode 15.0. Go's own tables are 15.0 up to
// Go 1.26 and newer after it, so everything newer is cut off with the list of
// what 15.0 had assigned. Categories of characters that were assigned then
// change almost never; TestUnicodeTables holds a fingerprint of the result and
// fails if they do.
var assigned = rangetable.Assigned("15.0.0")

// in reports whether r was in one of the tables in Unicode 15.0.
func in(r rune, tables ...*unicode.RangeTable) bool {
	return unicode.In(r, tables...) && unicode.Is(assigned, r)
}

// nameRune reports whether a name may hold r: letters, marks, decimal digits,
// and the few signs that passports print (docs/card.md, Signed content).
func nameRune(r rune) bool {
	switch r {
	case ' ', '\'', '-', '.', ',', '\u200c', '\u200d':
		return true
	default:
		return in(r, unicode.L, unicode.M, unicode.Nd)
	}
}

// latinRune reports whether a name that is being issued may hold r. Readers do
// not ask: that names are Latin binds issuing only.
func latinRune(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d':
		return false // joiners shape other scripts; in Latin text nobody sees them
	case !nameRune(r):
		return false
	case r >= 0x02b0 && r <= 0x02ff:
		return true // ʿ, ʾ and their like, which transliterations of Arabic and Uzbek use
	case in(r, unicode.L):
		return unicode.Is(unicode.Latin, r)
	case in(r, unicode.M):
		return unicode.In(r, unicode.Inherited, unicode.Latin)
	case in(r, unicode.Nd):
		return r <= '9'
	default:
		return true
	}
}

// unseen reports whether nobody sees r: what the Unicode Standard calls default
// ignorable (§5.21), which is direction and joining marks, variation selectors,
// and the like. Nothing of the format depends on it, so it may be as new as the
// toolchain.
func unseen(r rune) bool {
	if unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) || r >= 0xfff9 && r <= 0xfffb {
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// decimal returns the value of a Unicode decimal digit. Digits of one script
// stand in a row from zero to nine (Unicode stability policy for Nd), so a range
// of the table is always whole tens; TestUnicodeTables checks that too.
func decimal(r rune) (int, bool) {
	if !in(r, unicode.Nd) {
		return 0, false
	}
	for _, x := range unicode.Nd.R16 {
		if rune(x.Lo) <= r && r <= rune(x.Hi) {
			return int(r-rune(x.Lo)) % 10, true
		}
	}
	for _, x := range unicode.Nd.R32 {
		if lo := int64(x.Lo); lo <= int64(r) && int64(r) <= int64(x.Hi) {
			return int(int64(r)-lo) % 10, true
		}
	}
	return 0, false
}

// fold turns what a person typed into ASCII digits: any decimal digits, also
// mixed, with spaces, dashes, tabs and line ends dropped. Anything else, the
// minus sign U+2212 and format characters too, makes it false
// (docs/card.md, The code).
func fold(s string, digits int) (string, bool) {
	// Ten digits never need this much room; the bound is there before the loop.
	const maxInput = 4096
	if len(s) > maxInput {
		return "", false
	}
	out := make([]byte, 0, digits)
	for _, r := range s {
		if d, ok := decimal(r); ok {
			if len(out) == digits {
				return "", false
			}
			out = append(out, "0123456789"[d])
			continue
		}
		switch {
		case r == '\t', r == '\r', r == '\n':
		case in(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Pd):
		default:
			// Invalid UTF-8 arrives here as U+FFFD and is refused with it.
			return "", false
		}
	}
	return string(out), len(out) == digits
}
