package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
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
	_, err = s.Issuer.Reconsider(ctx, Console, agency)
	if err == nil && alone {
		_, err = s.Board.Publish(ctx, Console, false)
	}
	if errors.Is(err, audit.ErrStopped) {
		return fmt.Errorf("the agency is suspended, and the lists say so once the log goes on: %w", err)
	}
	return err
}

// End takes something of the roster away for whoever has folder and passphrase: the
// root key alone is enough for that, and for nothing else. It waits for no log that has
// stopped.
func (s *Service) End(ctx context.Context, do, agency string, what any) error {
	return s.People.Console(ctx, do, agency, what, RootSigner(ctx, s.Keys))
}

// Reopen opens the founding again where fewer than two people can agree to anything: the
// root signs, and one person agrees on the page /admin. The first call asks, the next one
// signs what she has agreed to; done says that it is open. It answers an error with
// roster.ErrNotAgreed while nobody has agreed yet.
func (s *Service) Reopen(ctx context.Context, alone bool) (q people.Request, done bool, err error) {
	if err := s.DB.Log().MayAppend(ctx); err != nil {
		return q, false, err
	}
	q, err = s.People.WaitsForRoot(ctx, roster.DoReopenFounding)
	if errors.Is(err, people.ErrNotFound) {
		until := s.cfg.Now().Add(roster.FoundingLife).Unix()
		q, err = s.People.AskByRoot(ctx, roster.DoReopenFounding, &roster.ReopenFounding{Until: until})
		return q, false, err
	}
	if err != nil {
		return q, false, err
	}
	if q, err = s.People.Countersign(ctx, q, RootSigner(ctx, s.Keys)); err != nil || !alone {
		return q, err == nil, err
	}
	_, err = s.Board.Publish(ctx, Console, false)
	return q, true, err
}

// StopWaiting stops every change of the roster that waits, for whoever brings a network
// back: somebody may have stopped it since the backup, and nobody would know. Whoever
// agreed to it agrees anew.
func (s *Service) StopWaiting(ctx context.Context) (stopped int, err error) {
	state, err := s.People.State(ctx)
	if err != nil {
		return 0, err
	}
	for _, w := range state.Waiting {
		if err := s.End(ctx, roster.DoStop, "", &roster.Stop{Seq: w.Seq}); err != nil {
			return stopped, fmt.Errorf("stop change %d of the roster: %w", w.Seq, err)
		}
		stopped++
	}
	return stopped, nil
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

// EndDevice takes a device out, for good. What it holds it keeps until its lease is over.
func (s *Service) EndDevice(ctx context.Context, id string) error {
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	d, ok := state.Devices[id]
	if !ok {
		return network.ErrNotFound
	}
	if err := s.End(ctx, roster.DoRemoveDevice, d.Agency, &roster.RemoveDevice{ID: id}); err != nil {
		return err
	}
	if err := s.Network.Adopt(ctx); !errors.Is(err, audit.ErrStopped) {
		return err
	}
	return nil // the roster lets it fetch nothing, and the next publication does the rest
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
	// The newest first: what stands behind one that was taken off for this was made in
	// its place, or later.
	last := len(a.Keys)
	for i, k := range a.Keys {
		if takenOff(k, since) {
			last = i
		}
	}
	for _, k := range slices.Backward(a.Keys[:last]) {
		if k.Revoked || takenOff(k, since) || !k.To.After(since) {
			continue
		}
		_, err := s.Compromised(ctx, k.KeyID, since, order)
		if errors.Is(err, network.ErrNotFound) {
			continue // it made room for the new key, as nothing was signed with it
		}
		if err != nil {
			return keys, fmt.Errorf("take key %s off: %w", k.KeyID, err)
		}
		keys++
	}
	return keys, nil
}

// TakeKeysOff takes the keys of an agency off that the roster says were in strange
// hands since a time, from within the service that has the keys. It is repeated without
// harm.
func (s *Service) TakeKeysOff(ctx context.Context, agency string) error {
	ctx = context.WithoutCancel(ctx) // half of it would be worth nothing
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	a := state.Agencies[agency]
	if a.Compromised == 0 {
		return nil
	}
	_, err = s.AgencyCompromised(ctx, time.Unix(a.Compromised, 0).UTC(), Rotation{Agency: agency, Inside: true})
	return err
}

// followCompromised is TakeKeysOff for every agency of which the roster says so: what
// was cut off goes on with the next window.
func (s *Service) followCompromised(ctx context.Context) (err error) {
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	for id, a := range state.Agencies {
		if a.Compromised > 0 {
			err = errors.Join(err, s.TakeKeysOff(ctx, id))
		}
	}
	return err
}

func takenOff(k network.Key, since time.Time) bool {
	return k.Compromised != nil && k.Compromised.At == since.Unix()
}
