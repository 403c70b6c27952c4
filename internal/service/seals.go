package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// sealLabel is what the key of the rows' seals is derived for.
const sealLabel = "safeconduct/rows/1"

// SealKey is the key by which the rows of a network are believed. It is derived in
// the keystore, once for a process, so that a seal costs no call of it.
func SealKey(ctx context.Context, keys interface {
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
}, network string,
) ([]byte, error) {
	return keys.MAC(ctx, sealLabel, []byte(network))
}

// ringLabel is what the key of the keyring is derived for.
const ringLabel = "safeconduct/keyring/1"

// KeyringKey is the key of a network's keyring, derived like SealKey.
func KeyringKey(ctx context.Context, keys interface {
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
}, network string,
) ([]byte, error) {
	return keys.MAC(ctx, ringLabel, []byte(network))
}

// CheckRows holds every row that has a seal against it. Until it finds nothing, what
// it found keeps the service from publishing and from being ready. It names tables and
// ids, which say nothing about anybody.
func (s *Service) CheckRows(ctx context.Context) error {
	problems, err := s.DB.CheckSeals(ctx)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		if err := s.CheckPutBack(ctx); err != nil || !s.keeps.Load() {
			return err
		}
		return s.Offsite.RowsHold(ctx)
	}
	return fmt.Errorf("%w: %s", s.DB.Distrusted(), strings.Join(problems[:min(len(problems), maxNamed)], "; "))
}

// DecoysOf tells the decoys of a status list.
func (s *Service) DecoysOf(ctx context.Context, list uint16) (*mask.Decoys, error) {
	key, err := s.Keys.Decoys(ctx, list)
	if err != nil {
		return nil, err
	}
	return mask.New(key)
}

// maxNamed bounds how many rows a line of the log names.
const maxNamed = 20

// BelieveRows gives a database the key of its seals, and adds up its heads. From here
// on a row that was not written by a process with that key is none. Every database was
// sealed when it was made, so that one without a seal has lost them all.
func BelieveRows(ctx context.Context, db *sqlstore.DB, keys interface {
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
}, network string,
) error {
	key, err := SealKey(ctx, keys, network)
	if err != nil {
		return fmt.Errorf("derive the key of the rows: %w", err)
	}
	db.Seal(key)
	_, err = db.Counted(ctx)
	if errors.Is(err, sqlstore.ErrNeverSealed) {
		return &sqlstore.SealError{Table: "head_count", ID: "1"}
	}
	return err
}
