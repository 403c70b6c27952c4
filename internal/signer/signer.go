// Package signer puts a network's private keys into a process of their own. The
// process that has them answers on a Unix socket ([Serve]); everybody else asks
// there through a [Client], which is a keystore.Store like any other. Who may
// connect is told by the kernel: the socket is its owner's alone, and the user of
// whoever connects is looked at as well. What is asked for is judged by a [Guard]:
// it reads each message, remembers what was signed, and refuses what no honest
// service could want. Whether somebody has agreed who may is for a [Judge], by a roster
// that it replays itself. How keys are kept is for
// internal/keyfile and internal/hcvault, and what is signed for internal/keystore.
//
// docs/decisions/0037-signer.md says why it is shaped like this, and
// docs/decisions/0040-what-the-signer-believes.md what it believes.
package signer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

var (
	// ErrAway says that no signer answers on the socket, or that it went away
	// before it had answered. The error in hand is a *trouble.Later.
	ErrAway = fmt.Errorf("signer: %w", trouble.ErrKeystore)

	// ErrWrongAnswer says that what answers on the socket is no signer of this
	// version.
	ErrWrongAnswer = fmt.Errorf("signer: %w", trouble.ErrWrongAnswer)

	// ErrNoKey says that the signer has no such key.
	ErrNoKey = fmt.Errorf("signer: %w", keystore.ErrNoKey)

	// ErrWrapped says that wrapped bytes do not open for the record, agency or
	// epoch they were presented for, or were altered.
	ErrWrapped = fmt.Errorf("signer: %w, %w", keystore.ErrWrapped, vault.ErrIntegrity)

	// ErrRefused says that the signer does not do this with its keys.
	ErrRefused = fmt.Errorf("signer: %w", keystore.ErrRefused)

	// ErrQuestion says that the signer could not read a question.
	ErrQuestion = errors.New("signer: the question was not understood")

	// errOther is what has no name here.
	errOther = errors.New("signer: it did not work")
)

// troubles are the conditions that a caller can act on, as a Client returns them;
// their place is what goes over the socket, so that new ones go to the end. The
// first that an error is counts.
var troubles = []struct{ is, as error }{
	{},                           // nothing
	{is: errOther, as: errOther}, // nothing else of these
	{is: keystore.ErrNoKey, as: ErrNoKey},
	{is: keystore.ErrWrapped, as: ErrWrapped},
	{is: trouble.ErrKeystore, as: ErrAway},
	{is: trouble.ErrWrongAnswer, as: ErrWrongAnswer},
	{is: trouble.ErrFull, as: fmt.Errorf("signer: the disk is %w", trouble.ErrFull)},
	{is: trouble.ErrBusy, as: fmt.Errorf("signer: %w", trouble.ErrBusy)},
	{is: trouble.ErrDamaged, as: fmt.Errorf("signer: %w", trouble.ErrDamaged)},
	{is: context.DeadlineExceeded, as: ErrAway},
	{is: context.Canceled, as: ErrAway},
	{is: ErrQuestion, as: ErrQuestion},
	{is: keystore.ErrRefused, as: ErrRefused},
	{is: ErrShut, as: ErrShut},
}

// troubled is the answer that says what went wrong.
func troubled(err error) answer {
	a := answer{Trouble: 1, Cause: cause(err)}
	for i, t := range troubles {
		if i > 0 && errors.Is(err, t.is) {
			a.Trouble = uint8(i)
			break
		}
	}
	if later, ok := errors.AsType[*trouble.Later](err); ok {
		a.Cause = cause(errors.New(later.Cause))
		a.After = uint32(later.RetryAfter().Milliseconds()) //nolint:gosec // seconds
	}
	return a
}

// cause is what an error says, short and in one line. Keystores put no value of
// anybody's into their words.
func cause(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, err.Error())
	return text[:min(len(text), maxCause)]
}

// err is what the asker gets.
func (a answer) err() error {
	switch {
	case a.Trouble == 0:
		return nil
	case int(a.Trouble) >= len(troubles):
		return ErrWrongAnswer
	}
	t := troubles[a.Trouble]
	if errors.Is(t.as, trouble.ErrUnavailable) {
		return &trouble.Later{Err: t.as, Cause: a.Cause, After: time.Duration(a.After) * time.Millisecond}
	}
	return fmt.Errorf("%w (%s)", t.as, a.Cause)
}
