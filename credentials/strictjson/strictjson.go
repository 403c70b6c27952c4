// Package strictjson reads JSON that strangers wrote, and refuses whatever two
// readers could understand differently: duplicate member names (also those
// that differ only by case), bytes after the value, text that is not Unicode,
// numbers no float64 can hold, and members nobody asked for. The standard
// library is lenient in each of these points. Statements to which a later writer
// may add members are read with
// UnmarshalOpen, which passes over what it does not know
// and is as strict in all else. What the values mean, and which of them must be
// there, is left to the rooms that ask.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// What is refused, and why. No error of this package repeats its input.
var (
	// ErrInvalid says that the text is not JSON as RFC 8259 and RFC 7493
	// describe it, is nested too deeply, or does not fit the Go value it was
	// read into. Its code is json_invalid.
	ErrInvalid = errors.New("strictjson: not valid JSON")
	// ErrDuplicateKey says that an object names a member twice. Its code is
	// json_duplicate_key.
	ErrDuplicateKey = errors.New("strictjson: duplicate member name")
	// ErrTooLarge says that the text is longer than the limit. It is found
	// before anything is read. Its code is too_large.
	ErrTooLarge = errors.New("strictjson: too large")
	// ErrUnknownField says that an object has a member that the Go value has
	// no field for, or, where such members are passed over, one whose name is
	// that of a field in another case. Its code is unknown_field.
	ErrUnknownField = errors.New("strictjson: unknown member")
)

// Code returns the stable code of an error of this package, or "" for any
// other error.
func Code(err error) string {
	switch {
	case errors.Is(err, ErrDuplicateKey):
		return "json_duplicate_key"
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	case errors.Is(err, ErrUnknownField):
		return "unknown_field"
	case errors.Is(err, ErrInvalid):
		return "json_invalid"
	default:
		return ""
	}
}

// Limits bounds what is read. The zero value has sensible limits; there is no
// way to turn them off.
type Limits struct {
	Size  int // bytes; 0 means 64 KiB
	Depth int // arrays and objects inside one another; 0 means 16
}

func (l Limits) size() int {
	if l.Size <= 0 {
		return 64 << 10
	}
	return l.Size
}

func (l Limits) depth() int {
	if l.Depth <= 0 {
		return 16
	}
	return l.Depth
}

// Check reports whether data is exactly one JSON value within the limits. The
// error wraps ErrInvalid, ErrDuplicateKey or ErrTooLarge.
func Check(data []byte, limit Limits) error {
	_, err := read(data, limit, nil, false)
	return err
}

// Value checks data as Check does and returns what it says in the same pass:
// map[string]any, []any, string, bool, nil, and json.Number for numbers, so
// that no digit is lost. It is for claims whose names are not known before.
func Value(data []byte, limit Limits) (any, error) {
	return read(data, limit, nil, true)
}

// Unmarshal checks data as Check does and decodes it into v. A member that v
// has no field for is ErrUnknownField, a value of the wrong kind ErrInvalid.
// Numbers in fields of type any become json.Number.
//
// Member names are matched as encoding/json matches them, so a name in another
// case still finds its field; Check has made sure that there is only one.
func Unmarshal(data []byte, limit Limits, v any) error {
	if err := Check(data, limit); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	return readable(dec.Decode(v))
}

// UnmarshalOpen is Unmarshal for what a later writer may have added to: at every
// depth, a member that v has no field for is passed over. One whose name differs
// from a field's only by case is ErrUnknownField all the same: a reader that
// compares names exactly would pass over what encoding/json takes.
func UnmarshalOpen(data []byte, limit Limits, v any) error {
	if _, err := read(data, limit, shapeOf(reflect.TypeOf(v)), false); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return readable(dec.Decode(v))
}

// Knows reports whether v has a field for the member that path names. The names
// of members inside one another stand with dots between them, and an array
// counts for nothing: keys.kid is the member kid of every object in keys.
func Knows(v any, path string) bool {
	s := shapeOf(reflect.TypeOf(v))
	for name := range strings.SplitSeq(path, ".") {
		inner, there := s.member(name)
		if !there {
			return false
		}
		s = inner
	}
	return true
}

// readable turns the errors of encoding/json, which repeat the input, into
// ours, which do not.
func readable(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%w: %s is of the wrong kind", ErrInvalid, kind.Field)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return ErrUnknownField
	default:
		return fmt.Errorf("%w: a value is of the wrong kind", ErrInvalid)
	}
}

func read(data []byte, limit Limits, known *shape, build bool) (any, error) {
	if len(data) > limit.size() {
		return nil, ErrTooLarge
	}
	s := scanner{data: string(data), depth: limit.depth(), build: build}
	v, err := s.value(known)
	if err != nil {
		return nil, err
	}
	s.space()
	if s.i != len(data) {
		return nil, invalid("bytes after the value")
	}
	return v, nil
}

func invalid(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }
