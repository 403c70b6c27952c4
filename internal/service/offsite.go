package service

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// openOffsite finds the off-site folder. It makes none but that of a further replica, whose
// own folder has nothing in it yet: one that is not there is a loss.
func (s *Service) openOffsite(of string) error {
	dir := s.cfg.Engines.AsideAt(s.cfg.Dir)
	if s.isReplica() {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	s.Offsite = offsite.New(offsite.Config{
		Dir: dir, Network: of, Keys: s.Keys, Now: s.cfg.Now,
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

// isReplica tells whether this may be a further replica, with an off-site folder of its own.
func (s *Service) isReplica() bool {
	return s.cfg.Engines.Aside == "" && s.cfg.Engines.Database != ""
}

// errNoJournal says that the off-site folder is another one, or empty: where its disk is
// not mounted there may be a folder all the same.
var errNoJournal = errors.New("the off-site folder (aside) has no erasure journal, which was there before a pack was shown to anybody. " +
	"Is its disk mounted? Put back what was in it; where that is lost, docs/operate.md, When the aside folder is lost, says what to do. " +
	"Until then nothing is served and nothing was changed")

// checkJournal looks whether the erasure journal is there, once there was a second pack: with
// the first it may have been cut off. A restore has none to begin with.
func (s *Service) checkJournal(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, config.UnfinishedName)); err == nil || s.isReplica() {
		return nil
	}
	sequence, err := s.DB.Network().PackSequence(ctx)
	if err != nil || sequence < 2 || s.Offsite.HasJournal() {
		return err
	}
	return errNoJournal
}

// CheckAside tells what is missing in the off-site folder, or is not what was written
// there. The journal and how far the database had come are read by whoever opens it.
func (s *Service) CheckAside(ctx context.Context) (problems []string, err error) {
	lists, number, err := s.DB.Network().NewestPack(ctx)
	if errors.Is(err, network.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	missing, err := s.Offsite.Missing()
	if err != nil {
		return nil, err
	}
	for _, name := range missing {
		problems = append(problems, "the off-site folder (aside) has no "+name)
	}
	journal, err := s.Offsite.Read(ctx)
	if err != nil {
		return nil, err
	}
	if journal.Network != "" && journal.Sequence+1 < number {
		problems = append(problems, fmt.Sprintf("the erasure journal in the off-site folder (aside) is an older one: it was written with pack %d, and the newest is %d", journal.Sequence, number))
	}
	kept, err := s.Offsite.Pack()
	want, e := json.Marshal(lists)
	if err := errors.Join(err, e); err != nil || kept == nil || bytes.Equal(kept, want) {
		return problems, err
	}
	// One more was made and not shown, or was shown and is not in the database any more.
	root, err := s.rootKey(ctx)
	if err != nil {
		return nil, err
	}
	there, ok := packNumber(kept, s.Network.ID(), root)
	switch {
	case !ok:
		problems = append(problems, "the pack in the off-site folder (aside) is not one that was published")
	case there == number:
		problems = append(problems, "the pack in the off-site folder (aside) is not as it was published")
	case there+1 < number:
		problems = append(problems, fmt.Sprintf("the pack in the off-site folder (aside) is an older one: its number is %d, and the newest is %d", there, number))
	}
	return problems, nil
}

// packNumber is the number of a pack that the root of a network vouches for.
func packNumber(data []byte, network string, root []byte) (number uint64, ok bool) {
	var lists verifier.Lists
	if json.Unmarshal(data, &lists) != nil {
		return 0, false
	}
	public, err := verifier.OpenLists(lists, network, root)
	if err != nil {
		return 0, false
	}
	return public.Statement().Sequence, true
}

// rootKey is the public half of the root's key, a JWK.
func (s *Service) rootKey(ctx context.Context) ([]byte, error) {
	root, err := s.Keys.Root(ctx)
	if err != nil {
		return nil, err
	}
	public, ok := root.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("the keystore gave another kind of root key")
	}
	return jws.MarshalKey(public)
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

// tellOffsite has the off-site folder know every erasure that was written down here, before
// it is carried out. Where it has no journal yet the first erasure makes it.
func (s *Service) tellOffsite(ctx context.Context) error {
	if !s.Offsite.HasJournal() {
		return nil
	}
	return s.Offsite.KeepJournal(ctx)
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
