package service

import (
	"context"
	"io"

	"github.com/safeconduct/safeconduct/internal/copies"
)

// Export writes the holder's own copy of the case that a record belongs to, for whoever
// has the folder and the passphrase of its keys. Her history says so before anything is
// written. ErrLocked while the network is locked, with nothing of anybody read.
func (s *Service) Export(ctx context.Context, record string, to copies.Recipient, language string, w io.Writer) (copies.Made, error) {
	if err := s.unlocked(ctx); err != nil {
		return copies.Made{}, err
	}
	maker, err := copies.New(copies.Config{
		Vault: s.Vault, Issuer: s.Issuer, Network: s.Network, Board: s.Board, Log: s.publicLog(), Now: s.cfg.Now,
	})
	if err != nil {
		return copies.Made{}, err
	}
	c, err := maker.AtConsole(ctx, copies.Order{Case: record, To: to, Language: language})
	if err != nil {
		return copies.Made{}, err
	}
	return c.Write(ctx, w)
}

// unlocked refuses while the network is locked, by its roster or by a file in this folder.
func (s *Service) unlocked(ctx context.Context) error {
	_, locked, err := ReadLock(s.cfg.Dir)
	if err != nil {
		return err
	}
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	if locked || state.Lock != "" {
		return ErrLocked
	}
	return nil
}
