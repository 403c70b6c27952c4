package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
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

// CheckRows holds every row that has a seal against it. Until it finds nothing, what
// it found keeps the service from publishing and from being ready. It names tables and
// ids, which say nothing about anybody.
func (s *Service) CheckRows(ctx context.Context) error {
	problems, err := s.DB.CheckSeals(ctx)
	if err != nil || len(problems) == 0 {
		return err
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

// believeRows gives the database the key of its seals, and adds up its heads. From
// here on a row that was not written by a process with that key is none. Rows of the
// version before are sealed as they stand, once: the folder remembers it, and is not
// in the hands of whoever can write to the database.
func (s *Service) believeRows(ctx context.Context, network string) error {
	key, err := SealKey(ctx, s.Keys, network)
	if err != nil {
		return fmt.Errorf("derive the key of the rows: %w", err)
	}
	s.DB.Seal(key)
	mark := filepath.Join(s.cfg.Dir, config.SealedName)
	_, marked := os.Lstat(mark)
	_, err = s.DB.Counted(ctx)
	if errors.Is(err, sqlstore.ErrNeverSealed) {
		if marked == nil {
			return &sqlstore.SealError{Table: "head_count", ID: "1"}
		}
		err = s.DB.SealRows(ctx)
	}
	if err != nil || marked == nil {
		return err
	}
	return files.Replace(mark, nil)
}
