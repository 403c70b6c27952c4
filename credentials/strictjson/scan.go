package strictjson

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads one value from the front of data. It builds Go values only
// when asked. Texts point into data, so that they cost nothing.
type scanner struct {
	data  string
	i     int
	depth int // containers that may still be opened
	build bool
	names []string // the member names of all open objects, innermost last
}

// manyNames is the number of members from which on an object's names go into a
// map: comparing each with each would let 64 KiB cost seconds.
const manyNames = 16

// value reads one value. known are the members that its objects may be asked for,
// nil where no name is looked at.
func (s *scanner) value(known *shape) (any, error) {
	s.space()
	if s.i == len(s.data) {
		return nil, invalid("ends early")
	}
	switch c := s.data[s.i]; c {
	case '{':
		return s.object(known)
	case '[':
		return s.array(known)
	case '"':
		text, err := s.text()
		if err != nil || !s.build {
			return nil, err
		}
		return text, nil
	case 't':
		return true, s.word("true")
	case 'f':
		return false, s.word("false")
	case 'n':
		return nil, s.word("null")
	default:
		return s.number()
	}
}

func (s *scanner) object(known *shape) (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	var out map[string]any
	if s.build {
		out = make(map[string]any)
	}
	if s.names == nil {
		s.names = make([]string, 0, manyNames)
	}
	mine := names{base: len(s.names)}
	for first := true; ; first = false {
		s.space()
		if first && s.take('}') {
			break
		}
		if s.i == len(s.data) || s.data[s.i] != '"' {
			return nil, invalid("member name expected")
		}
		name, err := s.text()
		if err != nil {
			return nil, err
		}
		if mine.seen(s, name) {
			return nil, ErrDuplicateKey
		}
		inner, there := known.member(name)
		if !there && known.inAnotherCase(name) {
			return nil, fmt.Errorf("%w: its name is that of another in another case", ErrUnknownField)
		}
		s.space()
		if !s.take(':') {
			return nil, invalid("colon expected")
		}
		v, err := s.value(inner)
		if err != nil {
			return nil, err
		}
		if s.build {
			out[name] = v
		}
		s.space()
		if s.take('}') {
			break
		}
		if !s.take(',') {
			return nil, invalid("comma expected")
		}
	}
	s.names = s.names[:mine.base]
	s.depth++
	if !s.build {
		return nil, nil
	}
	return out, nil
}

func (s *scanner) array(known *shape) (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	var out []any
	if s.build {
		out = make([]any, 0, 4)
	}
	for first := true; ; first = false {
		s.space()
		if first && s.take(']') {
			break
		}
		v, err := s.value(known)
		if err != nil {
			return nil, err
		}
		if s.build {
			out = append(out, v)
		}
		s.space()
		if s.take(']') {
			break
		}
		if !s.take(',') {
			return nil, invalid("comma expected")
		}
	}
	s.depth++
	if !s.build {
		return nil, nil
	}
	return out, nil
}

// enter steps over an opening bracket.
func (s *scanner) enter() error {
	if s.depth == 0 {
		return invalid("nested too deeply")
	}
	s.depth--
	s.i++
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.data) {
		switch s.data[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.data) && s.data[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) word(w string) error {
	if len(s.data)-s.i < len(w) || s.data[s.i:s.i+len(w)] != w {
		return invalid("unknown word")
	}
	s.i += len(w)
	return nil
}

// number reads by the grammar of RFC 8259 §6.
func (s *scanner) number() (any, error) {
	start, exponent := s.i, false
	s.take('-')
	switch {
	case s.take('0'):
	case s.digits():
	default:
		return nil, invalid("value expected")
	}
	if s.take('.') && !s.digits() {
		return nil, invalid("digit expected")
	}
	if s.take('e') || s.take('E') {
		exponent = true
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return nil, invalid("digit expected")
		}
	}
	n := s.data[start:s.i]
	// The largest float64 has 309 digits: without an exponent only a longer
	// number can be too large.
	if exponent || len(n) > 300 {
		if _, err := strconv.ParseFloat(n, 64); err != nil {
			return nil, invalid("number out of range")
		}
	}
	if !s.build {
		return nil, nil
	}
	return json.Number(n), nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.data) && '0' <= s.data[s.i] && s.data[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// text reads a string. The result points into data where nothing is escaped.
func (s *scanner) text() (string, error) {
	s.i++
	start, ascii := s.i, true
	for ; s.i < len(s.data); s.i++ {
		switch c := s.data[s.i]; {
		case c == '"':
			text := s.data[start:s.i]
			s.i++
			if !ascii && !utf8.ValidString(text) {
				return "", invalid("not UTF-8")
			}
			return text, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return "", invalid("control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", invalid("string does not end")
}

// escaped reads the rest of a string whose first escape is at s.i.
func (s *scanner) escaped(start int) (string, error) {
	out := []byte(s.data[start:s.i])
	for s.i < len(s.data) {
		c := s.data[s.i]
		s.i++
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return "", invalid("not UTF-8")
			}
			return string(out), nil
		case c < ' ':
			return "", invalid("control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		if s.i == len(s.data) {
			break
		}
		c = s.data[s.i]
		s.i++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := s.unicode()
			if !ok {
				return "", invalid("bad \\u escape")
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", invalid("unknown escape")
		}
	}
	return "", invalid("string does not end")
}

// unicode reads the four hex digits after \u, and the second half of a pair.
// RFC 7493 §2.1: a surrogate that stands alone is no character; encoding/json
// would replace it silently, and other readers keep it.
func (s *scanner) unicode() (rune, bool) {
	r, ok := s.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if !s.take('\\') || !s.take('u') {
		return 0, false
	}
	low, ok := s.hex4()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != unicode.ReplacementChar
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.data)-s.i < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		switch c := s.data[s.i+i]; {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.i += 4
	return r, true
}

// names finds a member name that one object has already had. Names are the
// same if they differ only by case, because encoding/json would put both into
// one field.
type names struct {
	base   int
	folded map[string]bool
}

func (n *names) seen(s *scanner, name string) bool {
	mine := s.names[n.base:]
	if n.folded == nil {
		for _, other := range mine {
			if strings.EqualFold(other, name) {
				return true
			}
		}
		s.names = append(s.names, name)
		if len(mine)+1 < manyNames {
			return false
		}
		n.folded = make(map[string]bool, 2*manyNames)
		for _, other := range s.names[n.base:] {
			n.folded[fold(other)] = true
		}
		return false
	}
	key := fold(name)
	if n.folded[key] {
		return true
	}
	n.folded[key] = true
	return false
}

// fold maps names that strings.EqualFold calls equal to the same text: each
// character becomes the smallest of those that differ from it only by case.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}
