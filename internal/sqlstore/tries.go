package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CodeTries keeps the wrong codes that each actor has tried, so that no actor
// gets more tries by asking several processes. The text is the caller's; it holds hours
// under keyed hashes of cards. A row is called by a keyed hash of whose it is, and has
// the text in a box.
type CodeTries struct{ db *DB }

// CodeTries returns the store of wrong codes.
func (db *DB) CodeTries() *CodeTries { return &CodeTries{db} }

// triesBox is the smallest size of what is kept for an actor: of more than eighty cards
// in a day it is doubled.
const triesBox = 4 << 10

// Read returns what was kept for an actor, and its version; empty and nil at
// first.
func (c *CodeTries) Read(ctx context.Context, actor string) (text string, version []byte, err error) {
	if c.db.seals == nil {
		return "", nil, ErrNoSealKey
	}
	of, day := c.db.seals.name("code_tries", actor), int64(0)
	err = c.db.read.QueryRowContext(ctx, "SELECT day, box FROM code_tries WHERE name = $1", of[:]).Scan(&day, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("sqlstore: read tries: %w", classify(err))
	}
	text, err = c.db.seals.openCodeTries(of, day, version)
	return text, version, err
}

func (k *sealer) openCodeTries(of name, day int64, box []byte) (string, error) {
	plain, err := k.boxes.open(box, "code_tries", of.String(), day)
	if err != nil {
		return "", &SealError{"code_tries", of.String()}
	}
	return string(plain), nil
}

// Write keeps text in place of the given version, and reports whether that was
// still the one to be replaced. The row is another one each time, also with the same text.
func (c *CodeTries) Write(ctx context.Context, actor, text string, version []byte, now time.Time) (ok bool, err error) {
	if c.db.seals == nil {
		return false, ErrNoSealKey
	}
	of := c.db.seals.name("code_tries", actor)
	box := c.db.seals.boxes.box(triesBox, []byte(text), "code_tries", of.String(), toDay(now))
	query, args := "UPDATE code_tries SET day = $2, box = $3 WHERE name = $1 AND box = $4", []any{of[:], toDay(now), box, version}
	if version == nil {
		query, args = "INSERT INTO code_tries (name, day, box) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING", args[:3]
	}
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		ok = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sqlstore: write tries: %w", err)
	}
	return ok, nil
}

// Sweep forgets those who have been quiet for longer than any try counts.
func (c *CodeTries) Sweep(ctx context.Context, now time.Time) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM code_tries WHERE day < $1", toDay(now)-1)
		if err != nil {
			return fmt.Errorf("sqlstore: sweep tries: %w", err)
		}
		return nil
	})
}
