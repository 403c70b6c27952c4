// Package private holds text and bytes about a person in a type that cannot be
// printed, logged or encoded by accident. It is public because a verdict
// carries such values to whoever imports the verifier. It does not encrypt:
// keeping the values from disks and wires is the business of the rooms that
// write them.
package private

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// Masked is what every way of printing a private value shows instead of it.
const Masked = "[private]"

// ErrReveal says that a private value was about to be encoded without anybody
// having asked for it by name. Writers call Reveal and encode the result.
var ErrReveal = errors.New("private: value must be revealed on purpose before it is encoded")

// String is text about a person. The zero value is the empty text.
//
// The text sits behind a pointer, so that printing a struct that holds a
// String shows at most an address: fmt does not call methods of unexported
// fields, and slog prints surrounding structs with fmt.
type String struct{ p *string }

// New wraps s.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{p: &s}
}

// Reveal returns the text. It is the one way to read it, and easy to find.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether the text is empty.
func (s String) IsZero() bool { return s.p == nil || *s.p == "" }

// Equal compares two texts in time that does not depend on their content.
func (s String) Equal(t String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// String shows the mask. The receiver is a value, so that it also covers
// pointers.
func (String) String() string { return Masked }

// GoString shows the mask for %#v.
func (String) GoString() string { return Masked }

// Format shows the mask for every verb, %x and %d included.
func (String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Masked)) }

// LogValue shows the mask in structured logs.
func (String) LogValue() slog.Value { return slog.StringValue(Masked) }

// MarshalText refuses: a mask stored by mistake would be a lost value.
func (String) MarshalText() ([]byte, error) { return nil, ErrReveal }

// MarshalJSON refuses, as MarshalText does.
func (String) MarshalJSON() ([]byte, error) { return nil, ErrReveal }

// MarshalCBOR refuses, as MarshalText does.
func (String) MarshalCBOR() ([]byte, error) { return nil, ErrReveal }

// UnmarshalText takes a value in; reading is not what has to be guarded.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
