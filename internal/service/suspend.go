package service

import (
	"context"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Suspend shuts an agency out of the network, for whoever runs commands in the folder
// and has the passphrase, and has what it confirmed judged anew. alone says that nobody
// serves the network: then the lists are published here, so that whoever checks knows.
// Repeating it after an error does what was left. To let it in again takes two people.
func (s *Service) Suspend(ctx context.Context, agency string, alone bool) error {
	ctx = context.WithoutCancel(ctx) // who is shut out is not half shut out
	a, err := s.Network.Agency(ctx, agency)
	if err != nil {
		return err
	}
	if !a.Suspended {
		if err := s.End(ctx, roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: agency}); err != nil {
			return err
		}
	}
	if _, err := s.Issuer.Reconsider(ctx, Console, agency); err != nil || !alone {
		return err
	}
	_, err = s.Board.Publish(ctx, Console, false)
	return err
}

// End takes something of the roster away for whoever has folder and passphrase: the
// root key alone is enough for that, and for nothing else. It signs nothing that
// could not be logged.
func (s *Service) End(ctx context.Context, do, agency string, what any) error {
	if err := s.DB.Log().MayAppend(ctx); err != nil {
		return err
	}
	return s.People.Console(ctx, do, agency, what, RootSigner(ctx, s.Keys))
}

// EndMember ends the access of a person or a program, at once and for good.
func (s *Service) EndMember(ctx context.Context, id string) error {
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	if p, ok := state.People[id]; ok {
		if err := s.End(ctx, roster.DoRemovePerson, p.Agency, &roster.RemovePerson{ID: id}); err != nil {
			return err
		}
		return s.Sessions.EndAll(ctx, id)
	}
	if p, ok := state.Programs[id]; ok {
		return s.End(ctx, roster.DoRemoveProgram, p.Agency, &roster.RemoveProgram{ID: id})
	}
	return people.ErrNotFound
}

// Withdraw takes everything out of use that an agency signed on a day or later, for
// whoever runs commands in the folder. It may be cut off and called again. alone says
// that nobody serves the network: then the lists are published here; emergency has
// them say all of it at once, and not so much in each window.
func (s *Service) Withdraw(ctx context.Context, agency string, since time.Time, alone, emergency bool) (credentials.Bulk, error) {
	if _, err := s.Network.Agency(ctx, agency); err != nil {
		return credentials.Bulk{}, err
	}
	done, err := s.Issuer.WithdrawSigned(ctx, Console, agency, since)
	if err != nil || !alone {
		return done, err
	}
	_, err = s.Board.Publish(ctx, Console, emergency)
	return done, err
}

// AgencyCompromised takes every key off with which an agency signed on a day or
// later, but for what was logged before that day; it signs with a new one. It may be
// cut off and called again.
func (s *Service) AgencyCompromised(ctx context.Context, since time.Time, order Rotation) (keys int, err error) {
	a, err := s.Network.Agency(ctx, order.Agency)
	if err != nil {
		return 0, err
	}
	for i, k := range a.Keys {
		// The key behind one that was taken off for this is the one that was made
		// in its place.
		isNew := i > 0 && takenOff(a.Keys[i-1], since)
		if k.Revoked || takenOff(k, since) || isNew || !k.To.After(since) {
			continue
		}
		if _, err := s.Compromised(ctx, k.KeyID, since, order); err != nil {
			return keys, fmt.Errorf("take key %s off: %w", k.KeyID, err)
		}
		keys++
	}
	return keys, nil
}

func takenOff(k network.Key, since time.Time) bool {
	return k.Compromised != nil && k.Compromised.At == since.Unix()
}
