package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Locked returns the id of the act that locked the network, "" while it is open.
func (r *Roster) Locked(ctx context.Context) (string, error) {
	s, err := r.State(ctx)
	return s.Lock, err
}

// UnlockAct makes the act that opens what a lock has shut. Two people then sign it.
func (r *Roster) UnlockAct(ctx context.Context, lock string) (approval.Act, error) {
	s, err := r.State(ctx)
	if err != nil {
		return approval.Act{}, err
	}
	act, err := approval.New(s.Network, roster.DoUnlock, "", "", &roster.Unlock{Lock: lock}, r.cfg.Now(), roster.UnlockLife)
	if err != nil {
		return approval.Act{}, err
	}
	return act, conflict(s.Check(act))
}

// ReadUnlock reads an act that UnlockAct made, here or in another process, for this
// lock. approval.ErrRefused for any other.
func (r *Roster) ReadUnlock(ctx context.Context, lock string, data []byte) (approval.Act, error) {
	s, err := r.State(ctx)
	if err != nil {
		return approval.Act{}, err
	}
	act, err := approval.Parse(data)
	if err != nil {
		return approval.Act{}, err
	}
	var what roster.Unlock
	switch now := r.cfg.Now(); {
	case act.Do != roster.DoUnlock, act.Network != s.Network, act.Read(&what) != nil, what.Lock != lock,
		act.Expires > now.Add(roster.UnlockLife).Unix():
		return approval.Act{}, approval.ErrRefused
	case act.Over(now):
		return approval.Act{}, approval.ErrOver
	}
	return act, conflict(s.Check(act))
}

// Unlocking tells whether these proofs open a locked network, and what it needs.
// approval.ErrRefused if one of them does not count.
func (r *Roster) Unlocking(ctx context.Context, act approval.Act, proofs []approval.Proof) (n roster.Needs, enough bool, err error) {
	s, err := r.State(ctx)
	if err != nil {
		return n, false, err
	}
	if err := approval.Distinct(proofs); err != nil {
		return n, false, err
	}
	var agreed []string
	for _, p := range proofs {
		if !s.MayAgree(act, p.Person) {
			return n, false, approval.ErrRefused
		}
		if err := s.CheckProof(act, p, r.cfg.Checker); err != nil {
			return n, false, err
		}
		agreed = append(agreed, p.Person)
	}
	if n, err = s.Needs(act); err != nil {
		return n, false, err
	}
	switch err := s.Agreed(act, agreed); {
	case errors.Is(err, roster.ErrNotAgreed):
		return n, false, nil
	case err != nil:
		return n, false, conflict(err)
	}
	return n, !n.Root, nil
}

// Unlock opens a locked network by the proofs of two people. With sign, which signs with
// the root key, one is enough where fewer than two could agree.
func (r *Roster) Unlock(ctx context.Context, act approval.Act, proofs []approval.Proof, sign func(message []byte) ([]byte, error)) error {
	c := roster.Change{Proofs: proofs}
	n, _, err := r.Unlocking(ctx, act, proofs)
	if err != nil {
		return err
	}
	if n.Root && sign != nil {
		message, err := act.Message()
		if err != nil {
			return err
		}
		if c.Root, err = sign(message); err != nil {
			return fmt.Errorf("sign with the root key: %w", err)
		}
	}
	by := audit.Actor{}
	if len(proofs) > 0 {
		by.ID = proofs[0].Person
	}
	_, err = r.append(ctx, c, act, by)
	return conflict(err)
}
