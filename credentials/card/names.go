package card

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Transcribe writes a name as a card can print it. Look-alikes of the apostrophe,
// the hyphen and the blank become those; marks that nobody sees go; a stroke, as in
// A/L and S/O, becomes a blank, which is what a machine-readable zone makes of it
// (ICAO Doc 9303 part 3, §4.6); several blanks become one, and a comma with nothing
// before or behind it goes. Letters stay as they are. The format is none the wiser:
// whoever orders a card is told what it says, and what cannot be printed even so is
// refused (see Unprintable).
func Transcribe(name string) string {
	var b strings.Builder
	blank := false
	for _, r := range name {
		r, seen := transcribed(r)
		if !seen || r == ' ' && blank {
			continue
		}
		b.WriteRune(r)
		blank = r == ' '
	}
	printed := b.String()
	if rest := strings.TrimPrefix(printed, ","); rest != printed {
		printed = strings.TrimLeft(rest, ", ")
	}
	if rest := strings.TrimSuffix(printed, ","); rest != printed {
		printed = strings.TrimRight(rest, ", ")
	}
	return printed
}

// transcribed is one character as a card prints it; seen is false for one that
// nobody sees.
func transcribed(r rune) (printed rune, seen bool) {
	switch {
	case unseen(r):
		return 0, false
	case strings.ContainsRune("\u2018\u2019\u201a\u201b\u2032\u00b4`\uff07", r):
		return '\'', true
	case r == '\u2212' || r != '-' && unicode.Is(unicode.Pd, r): // the minus sign is no dash in Unicode
		return '-', true
	case r == '\t' || unicode.Is(unicode.Zs, r), strings.ContainsRune("/\u2044\u2215\uff0f", r):
		return ' ', true
	case r == '\uff0e', r == '\uff0c': // as East Asian keyboards write them
		return r - 0xfee0, true
	default:
		return r, true
	}
}

// Unprintable finds the first character of a name that a card cannot print, even
// transcribed, and where it stands, counted from 1. Place is 0 if there is none. It
// says nothing else about the name.
func Unprintable(name string) (place int, r rune) {
	for _, r := range name {
		place++
		if r, seen := transcribed(r); seen && (r == utf8.RuneError || !latinRune(r)) {
			return place, r
		}
	}
	return 0, 0
}

// shorten cuts a name, one character at a time, until fits accepts it, by the
// truncation rules for names of ICAO Doc 9303 (part 4, data element directory
// of the MRZ, and §4.2.3): characters are removed from one or more components;
// if there is a secondary identifier, the primary one stays and at least the
// first character of the secondary one; and the name ends in a letter.
//
// The order is ours, within those rules: given names are cut from the last one
// back, each to its initial, then dropped down to the first initial; only then
// the primary identifier, the same way. It returns false if nothing fits.
func shorten(name string, fits func(string) bool) (string, bool) {
	primary, secondary, _ := strings.Cut(name, ",")
	p, s := components(primary), components(secondary)
	if len(p) == 0 {
		p, s = s, nil
	}
	for _, part := range []*[]string{&s, &p} {
		for n := len(*part) - 1; n >= 0; n-- {
			for len(clusters((*part)[n])) > 1 {
				(*part)[n] = cutLast((*part)[n])
				if short := join(p, s); fits(short) {
					return short, true
				}
			}
		}
		for len(*part) > 1 {
			*part = (*part)[:len(*part)-1]
			if short := join(p, s); fits(short) {
				return short, true
			}
		}
	}
	return "", false
}

func components(identifier string) []string {
	return strings.FieldsFunc(identifier, func(r rune) bool { return r == ' ' || r == ',' })
}

func join(primary, secondary []string) string {
	if len(secondary) == 0 {
		return strings.Join(primary, " ")
	}
	return strings.Join(primary, " ") + ", " + strings.Join(secondary, " ")
}

// cutLast removes the last character of a component, with the marks on it, and
// signs that would then stand at its end.
func cutLast(component string) string {
	c := clusters(component)
	c = c[:len(c)-1]
	for len(c) > 1 && strings.ContainsAny(c[len(c)-1], "'-.") {
		c = c[:len(c)-1]
	}
	return strings.Join(c, "")
}

// clusters splits text before every character that is not a combining mark, so
// that no accent is left without its letter, nor a letter without its accent.
func clusters(s string) []string {
	var out []string
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		for n < len(s) {
			r, size := utf8.DecodeRuneInString(s[n:])
			if !unicode.Is(unicode.M, r) {
				break
			}
			n += size
		}
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

// Shortens tells whether a name is one of those that Seal makes of a longer one which
// does not fit.
func Shortens(name, short string) bool {
	_, ok := shorten(name, func(s string) bool { return s == short })
	return ok
}
