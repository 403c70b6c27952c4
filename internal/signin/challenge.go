package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind is what a challenge was made for. It serves for nothing else.
type Kind string

// The kinds. Acts have challenges of their own: the hash of what is agreed to.
const (
	SignIn   Kind = "sign-in"  // nobody is known yet: person is ""
	Verify   Kind = "verify"   // somebody who is signed in shows herself once more
	Register Kind = "register" // somebody gets a passkey
)

// Patience is how long a challenge can be used.
const Patience = 5 * time.Minute

// A challenge is its end, random bytes, and a keyed hash over these, its kind and
// its person. So nothing is kept for whoever only asks, a row makes none, and an
// assertion over an act, which is 32 bytes and has no such hash, signs nobody in.
const (
	timeSize      = 8
	randomSize    = 24
	challengeSize = timeSize + randomSize + sha256.Size
)

// Challenge makes a challenge for a ceremony of a person.
func (s *Sessions) Challenge(ctx context.Context, kind Kind, person string) ([]byte, error) {
	c := appendTime(nil, s.now().Add(Patience))
	random := make([]byte, randomSize)
	_, _ = rand.Read(random) // never fails: crypto/rand
	c = append(c, random...)
	mac, err := s.mac(ctx, challengeLabel, about(c, kind, person))
	if err != nil {
		return nil, err
	}
	return append(c, mac...), nil
}

// Spend lets a challenge serve once. It looks whether we made it for this, then
// has judge look at what was signed over it, and only then uses it up: whoever
// sends rubbish writes no row. Of two who come with the same answer one is
// refused. judge's error is returned as it is.
func (s *Sessions) Spend(ctx context.Context, kind Kind, person string, challenge []byte, judge func() error) error {
	if len(challenge) != challengeSize {
		return ErrChallenge
	}
	head, mac := challenge[:timeSize+randomSize], challenge[timeSize+randomSize:]
	want, err := s.mac(ctx, challengeLabel, about(head, kind, person))
	if err != nil {
		return err
	}
	until := time.UnixMilli(int64(binary.BigEndian.Uint64(head))) //nolint:gosec // a bit pattern, of our own if the hash is right
	if !hmac.Equal(mac, want) || !s.now().Before(until) {
		return ErrChallenge
	}
	if err := judge(); err != nil {
		return err
	}
	first, err := s.cfg.Store.Spend(ctx, sha256.Sum256(challenge), until)
	if err != nil {
		return fmt.Errorf("signin: use up a challenge: %w", err)
	}
	if !first {
		return ErrChallenge
	}
	return nil
}

// about is what the keyed hash covers. The kinds hold no zero byte, and what
// follows it is the person alone.
func about(head []byte, kind Kind, person string) []byte {
	return slices.Concat(head, []byte(kind), []byte{0}, []byte(person))
}

// LastUse is what a passkey said of itself when it last signed in; ok is false
// for its first time.
func (s *Sessions) LastUse(ctx context.Context, passkey []byte) (u Use, ok bool, err error) {
	u, err = s.cfg.Store.LastUse(ctx, sha256.Sum256(passkey))
	switch {
	case errors.Is(err, ErrNotFound):
		return Use{}, false, nil
	case err != nil:
		return Use{}, false, fmt.Errorf("signin: read the use of a passkey: %w", err)
	}
	return u, true, nil
}

// Used writes what it says now. ErrCopied is for two sign-ins at once, which one
// passkey cannot have with one count; those that count nothing can.
func (s *Sessions) Used(ctx context.Context, passkey []byte, u Use) error {
	ok, err := s.cfg.Store.Used(ctx, sha256.Sum256(passkey), u)
	if err != nil {
		return fmt.Errorf("signin: write the use of a passkey: %w", err)
	}
	if !ok {
		return ErrCopied
	}
	return nil
}
