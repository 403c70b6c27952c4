package service

import (
	"context"

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
