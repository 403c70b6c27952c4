package card

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/private"
)

const codeDigits = 10

// A Code is the holder's own ten digits. It is consent and a limit on tries,
// not encryption strength (docs/card.md, The code). It will not print; the zero
// Code is no code and opens nothing.
type Code struct{ digits private.String }

// NewCode draws a code. Nobody chooses one. A nil reader means crypto/rand.
func NewCode(random io.Reader) (Code, error) {
	s, err := randomDigits(random, codeDigits)
	if err != nil {
		return Code{}, fmt.Errorf("card: draw a code: %w", err)
	}
	return Code{private.New(s)}, nil
}

// ParseCode reads a code as people type it: any Unicode decimal digits, also
// mixed, with spaces and dashes dropped. Anything else, or not ten digits, is
// ErrCode, which costs no Argon2id and counts as no try.
func ParseCode(s string) (Code, error) {
	digits, ok := fold(s, codeDigits)
	if !ok {
		return Code{}, ErrCode
	}
	return Code{private.New(digits)}, nil
}

// WithoutMarks drops the characters that nobody sees from what was typed or
// pasted: digits that are copied out of a message come with U+202A before and
// U+202C behind them. The format refuses such a code (docs/card.md, The code), so
// whoever takes input from people drops the marks first, before anything is asked.
func WithoutMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if unseen(r) {
			return -1
		}
		return r
	}, s)
}

// Reveal returns the ten ASCII digits, for the slip and the read-back.
func (c Code) Reveal() string { return c.digits.Reveal() }

// IsZero reports whether there is no code.
func (c Code) IsZero() bool { return c.digits.IsZero() }

// String shows a mask.
func (Code) String() string { return private.Masked }

// Format shows a mask for every verb.
func (Code) Format(f fmt.State, _ rune) { mask(f) }

// LogValue shows a mask in structured logs.
func (Code) LogValue() slog.Value { return masked }

// MarshalText refuses: the service never stores a code.
func (Code) MarshalText() ([]byte, error) { return nil, private.ErrReveal }

// MarshalJSON refuses, as MarshalText does.
func (Code) MarshalJSON() ([]byte, error) { return nil, private.ErrReveal }

// randomDigits draws n decimal digits, each number equally likely.
func randomDigits(random io.Reader, n int) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	v, err := rand.Int(random, limit)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*d", n, v), nil
}

// What follows keeps keys and claims out of logs: fmt and slog show a mask.

var masked = slog.StringValue(private.Masked)

func mask(f fmt.State) { _, _ = io.WriteString(f, private.Masked) }

// Format shows a mask: the key recognises people's cards.
func (TagKey) Format(f fmt.State, _ rune) { mask(f) }

// LogValue shows a mask in structured logs.
func (TagKey) LogValue() slog.Value { return masked }

// Format shows a mask: the keys are secret.
func (SealKeys) Format(f fmt.State, _ rune) { mask(f) }

// LogValue shows a mask in structured logs.
func (SealKeys) LogValue() slog.Value { return masked }

// Format shows a mask: the keys are secret.
func (OpenKeys) Format(f fmt.State, _ rune) { mask(f) }

// LogValue shows a mask in structured logs.
func (OpenKeys) LogValue() slog.Value { return masked }

// Format shows a mask: claims are about a person.
func (Claims) Format(f fmt.State, _ rune) { mask(f) }

// LogValue shows a mask in structured logs.
func (Claims) LogValue() slog.Value { return masked }

// Format shows a mask: an opened card holds a person's claims and key.
func (Opened) Format(f fmt.State, _ rune) { mask(f) }

// LogValue shows a mask in structured logs.
func (Opened) LogValue() slog.Value { return masked }
