package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CodeTries keeps the wrong codes that each actor has tried, so that no actor
// gets more tries by asking several processes. The text is the caller's; it
// holds times under hashes of cards.
type CodeTries struct{ db *DB }

// CodeTries returns the store of wrong codes.
func (db *DB) CodeTries() *CodeTries { return &CodeTries{db} }

// Read returns what was kept for an actor, and its version; empty and 0 at
// first.
func (c *CodeTries) Read(ctx context.Context, actor string) (text string, version int64, err error) {
	err = c.db.read.QueryRowContext(ctx, "SELECT wrong, version FROM code_tries WHERE actor = $1", actor).Scan(&text, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("sqlstore: read tries: %w", classify(err))
	}
	return text, version, nil
}

// Write keeps text in place of the given version, and reports whether that was
// still the one to be replaced.
func (c *CodeTries) Write(ctx context.Context, actor, text string, version int64, now time.Time) (ok bool, err error) {
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO code_tries (actor, version, wrong, day) VALUES ($1, $2 + 1, $3, $4)
			ON CONFLICT (actor) DO UPDATE SET version = excluded.version, wrong = excluded.wrong, day = excluded.day
			WHERE code_tries.version = $2`, actor, version, text, toDay(now))
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
