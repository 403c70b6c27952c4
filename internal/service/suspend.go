package service

import "context"

// Suspend shuts an agency out of the network, or lets it in again, for whoever
// runs commands in the folder, and has what it confirmed judged anew. alone says
// that nobody serves the network: then the lists are published here, so that
// whoever checks knows. Repeating it after an error does what was left.
func (s *Service) Suspend(ctx context.Context, agency string, suspend, alone bool) error {
	change := s.Network.Resume
	if suspend {
		change = s.Network.Suspend
	}
	ctx = context.WithoutCancel(ctx) // who is shut out is not half shut out
	if err := change(ctx, Console, agency); err != nil {
		return err
	}
	if _, err := s.Issuer.Reconsider(ctx, Console, agency); err != nil || !alone {
		return err
	}
	_, err := s.Board.Publish(ctx, Console, false)
	return err
}
