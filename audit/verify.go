package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Report says what Verify found to be true.
type Report struct {
	Origin string
	Size   int64     // number of leaves
	Root   tlog.Hash // of the tree that the leaves give, and that is signed
	Ahead  int       // tile files of a publication that has no checkpoint yet, or never came to one
}

// Verify is the stranger's check of a copy of the public files: the checkpoint
// is signed by vkey, the tiles give the signed root from the leaves up, and no
// other tile file contradicts them. It needs nothing but the files, all of
// which it reads; dir must let its folders be listed.
//
// Errors are ErrCheckpoint, or a TileError around ErrTampered that names the
// tile, or what kept a file from being read. That the log has not forgotten
// what it showed before is [CheckConsistency]'s to say.
func Verify(dir fs.FS, vkey string) (Report, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return Report{}, fmt.Errorf("%w: read the key: %w", ErrCheckpoint, err)
	}
	c, err := readCheckpoint(dir, verifier)
	if err != nil {
		return Report{}, err
	}
	if err := walk(dir, c, func(tlog.Tile, []byte) error { return nil }); err != nil {
		return Report{}, err
	}
	ahead, err := others(dir, c.Size)
	if err != nil {
		return Report{}, err
	}
	return Report{Origin: c.Origin, Size: c.Size, Root: c.Root, Ahead: ahead}, nil
}

// Compare is the operator's check: what the store has as the published leaves
// is what was published. It looks at every published leaf and changes nothing.
//
// Errors are ErrFork (as a TileError where a leaf was rewritten), those of
// Verify, and the store's own.
func Compare(ctx context.Context, dir fs.FS, vkey string, store Store) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("%w: read the key: %w", ErrCheckpoint, err)
	}
	head, err := readCheckpoint(dir, verifier)
	if err != nil {
		return err
	}
	return compare(ctx, dir, head, store)
}

// Lost counts the published leaves that the store does not have as they were published.
// Errors are those of Verify, and the store's own.
func Lost(ctx context.Context, dir fs.FS, vkey string, store Store) (lost int64, err error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, fmt.Errorf("%w: read the key: %w", ErrCheckpoint, err)
	}
	head, err := readCheckpoint(dir, verifier)
	if err != nil {
		return 0, err
	}
	return lost, walk(dir, head, func(t tlog.Tile, data []byte) error {
		if t.L > 0 {
			return nil
		}
		hashes, err := store.Sequenced(ctx, t.N<<tileHeight, t.W)
		if err != nil && !errors.Is(err, ErrFork) {
			return fmt.Errorf("read leaves: %w", err)
		}
		for i := range t.W {
			if i >= len(hashes) || tlog.RecordHash(hashes[i][:]) != hashAt(data, i) {
				lost++
			}
		}
		return nil
	})
}

// compare checks that tiles and store both still hold the tree that was signed.
func compare(ctx context.Context, dir fs.FS, head Checkpoint, leaves Leaves) error {
	size, err := leaves.Size(ctx)
	if err != nil {
		return fmt.Errorf("read the size of the log: %w", err)
	}
	if size < head.Size {
		return fmt.Errorf("%w: %d leaves are published, the store has %d", ErrFork, head.Size, size)
	}
	return walk(dir, head, func(t tlog.Tile, data []byte) error {
		if t.L > 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return compareTile(ctx, t, data, leaves)
	})
}
