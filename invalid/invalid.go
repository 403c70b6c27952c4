// Package invalid says what is wrong with an input: all of it at once, each
// problem with a place, a code and a rule, and never with the value. Its
// Checker holds the rules that texts, days and lists have in common, so that a
// name that one room keeps is not refused by the next.
//
// It leaves to the rooms which member has to hold what.
package invalid

import (
	"errors"
	"strings"
)

// What a Problem's code can be. The words are stable. A room that has more to
// tell adds words of its own, as the machine-readable zone does.
const (
	CodeRequired     = "required"     // missing
	CodeNotAllowed   = "not_allowed"  // may not be there, or not yet
	CodeFormat       = "format"       // not written as it must be
	CodeNotInList    = "not_in_list"  // not one of the listed values
	CodeRange        = "range"        // too early, late, small or large
	CodeDuplicate    = "duplicate"    // twice in a list
	CodeInconsistent = "inconsistent" // does not fit another member
	CodeTooLong      = "too_long"     // text
	CodeTooMany      = "too_many"     // list entries
)

// Problem is one thing that is wrong with one member of an input. It never
// holds the value.
type Problem struct {
	Pointer string // JSON pointer (RFC 6901), such as /indicators/3/strength; empty for the whole
	Code    string // stable, for programs
	Rule    string // what has to hold, for a person: a few words that follow the name of the member
}

// ErrInput is what every Error is, so that a caller who does not want the list
// can ask with errors.Is.
var ErrInput = errors.New("invalid: the input cannot be accepted")

// Error is an input that was refused, with every problem, so that a form is
// corrected once.
type Error struct{ Problems []Problem }

// One returns an Error with a single problem.
func One(pointer, code, rule string) error {
	return &Error{Problems: []Problem{{Pointer: pointer, Code: code, Rule: rule}}}
}

// Error lists pointers and rules, and no values.
func (e *Error) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.Pointer + " " + p.Rule
	}
	return "invalid: " + strings.Join(texts, "; ")
}

// Unwrap is ErrInput.
func (e *Error) Unwrap() error { return ErrInput }
