package service

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/vault"
)

// openOffsite finds the off-site folder, and makes the one that lies in the
// network's own.
func (s *Service) openOffsite(network string) error {
	dir := s.cfg.Engines.AsideAt(s.cfg.Dir)
	if s.cfg.Engines.Aside == "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	s.Offsite = offsite.New(offsite.Config{
		Dir: dir, Network: network, Keys: s.Keys, Now: s.cfg.Now,
		State: func(ctx context.Context) (uint64, []vault.Erasure, error) {
			// In this order: what is erased later is in a later journal.
			sequence, err := s.DB.Network().PackSequence(ctx)
			if err != nil {
				return 0, nil, err
			}
			erasures, err := s.DB.Vault().Erasures(ctx)
			return sequence, erasures, err
		},
	})
	return s.Offsite.Check()
}

// keptCheckpoint reads the checkpoint in the off-site folder, for a log of this name. One
// of a log that ours followed after a restore says nothing of ours.
func (s *Service) keptCheckpoint(ours string) func() ([]byte, error) {
	return func() ([]byte, error) {
		data, err := s.Offsite.Checkpoint()
		if err != nil || data == nil {
			return nil, err
		}
		origin, _, _ := strings.Cut(string(data), "\n")
		if origin != ours && slices.Contains(s.former, origin) {
			return nil, nil
		}
		return data, nil
	}
}

// settleErasures carries out what the off-site folder knows to be erased and the
// database does not: it was put back to an older state, by us or behind our
// back.
func (s *Service) settleErasures(ctx context.Context) error {
	j, err := s.Offsite.Read(ctx)
	if err != nil {
		return err
	}
	erasures, err := j.All()
	if err != nil {
		return err
	}
	_, err = s.Vault.Repeat(ctx, erasures)
	return err
}

// journaled is the vault's store that begins no erasure before the journal
// outside of the database has it.
type journaled struct {
	vault.Store

	offsite *offsite.Folder
}

// BeginErasure writes the journal, here and there.
func (s journaled) BeginErasure(ctx context.Context, e vault.Erasure) error {
	if err := s.Store.BeginErasure(ctx, e); err != nil {
		return err
	}
	return s.offsite.KeepJournal(ctx)
}
