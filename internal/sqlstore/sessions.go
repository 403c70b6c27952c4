package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/internal/signin"
)

// Sessions is the signin.Store.
type Sessions struct{ db *DB }

var _ signin.Store = (*Sessions)(nil)

// Sessions returns the store of sessions.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

// Add writes a session.
func (s *Sessions) Add(ctx context.Context, r signin.Row) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error { return insertSession(ctx, tx, r) })
}

func insertSession(ctx context.Context, tx *sql.Tx, r signin.Row) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO sessions (hash, person, made, seen, verified, seal) VALUES ($1, $2, $3, $4, $5, $6)",
		r.Hash[:], r.Person, r.Made.UnixMilli(), r.Seen.UnixMilli(), r.Verified.UnixMilli(), r.Seal)
	if err != nil {
		return fmt.Errorf("sqlstore: write session: %w", err)
	}
	return nil
}

// Replace puts a session in the place of another, or of itself, if that has not
// ended.
func (s *Sessions) Replace(ctx context.Context, hash [32]byte, r signin.Row) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE sessions SET hash = $2, person = $3, made = $4, seen = $5, verified = $6, seal = $7 WHERE hash = $1",
			hash[:], r.Hash[:], r.Person, r.Made.UnixMilli(), r.Seen.UnixMilli(), r.Verified.UnixMilli(), r.Seal)
		if err := mustChange(res, err, signin.ErrNotFound); err != nil {
			return fmt.Errorf("sqlstore: replace session: %w", err)
		}
		return nil
	})
}

// End removes a session.
func (s *Sessions) End(ctx context.Context, hash [32]byte) error {
	return s.remove(ctx, "DELETE FROM sessions WHERE hash = $1", hash[:])
}

// EndAll removes all sessions of a person.
func (s *Sessions) EndAll(ctx context.Context, person string) error {
	return s.remove(ctx, "DELETE FROM sessions WHERE person = $1", person)
}

func (s *Sessions) remove(ctx context.Context, query string, arg any) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, query, arg); err != nil {
			return fmt.Errorf("sqlstore: end sessions: %w", err)
		}
		return nil
	})
}

const selectSessions = "SELECT hash, person, made, seen, verified, seal FROM sessions "

// Session returns the session with the hash of a token.
func (s *Sessions) Session(ctx context.Context, hash [32]byte) (signin.Row, error) {
	all, err := s.sessions(ctx, selectSessions+"WHERE hash = $1", hash[:])
	switch {
	case err != nil:
		return signin.Row{}, err
	case len(all) == 0:
		return signin.Row{}, signin.ErrNotFound
	default:
		return all[0], nil
	}
}

// Sessions lists a person's.
func (s *Sessions) Sessions(ctx context.Context, person string) ([]signin.Row, error) {
	return s.sessions(ctx, selectSessions+"WHERE person = $1 ORDER BY made DESC, hash", person)
}

func (s *Sessions) sessions(ctx context.Context, query string, arg any) ([]signin.Row, error) {
	rows, err := s.db.read.QueryContext(ctx, query, arg)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read sessions: %w", classify(err))
	}
	var all []signin.Row
	err = each(rows, func() error {
		var r signin.Row
		var hash []byte
		var made, seen, verified int64
		if err := rows.Scan(&hash, &r.Person, &made, &seen, &verified, &r.Seal); err != nil {
			return err
		}
		if len(hash) != len(r.Hash) {
			return nil // nobody's: no token has such a hash
		}
		r.Hash = [32]byte(hash)
		r.Made, r.Seen, r.Verified = time.UnixMilli(made).UTC(), time.UnixMilli(seen).UTC(), time.UnixMilli(verified).UTC()
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read sessions: %w", classify(err))
	}
	return all, nil
}

// Spend remembers a challenge, and reports whether it was unknown.
func (s *Sessions) Spend(ctx context.Context, challenge [32]byte, until time.Time) (first bool, err error) {
	return s.write(ctx, "INSERT INTO spent_challenges (hash, expires) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING",
		challenge[:], until.UnixMilli())
}

// LastUse returns what a passkey said last.
func (s *Sessions) LastUse(ctx context.Context, passkey [32]byte) (u signin.Use, err error) {
	err = s.db.read.QueryRowContext(ctx, "SELECT sign_count, backed_up FROM passkey_uses WHERE passkey = $1", passkey[:]).Scan(&u.SignCount, &u.BackedUp)
	if errors.Is(err, sql.ErrNoRows) {
		return signin.Use{}, signin.ErrNotFound
	}
	if err != nil {
		return signin.Use{}, fmt.Errorf("sqlstore: read passkey: %w", classify(err))
	}
	return u, nil
}

// Used writes what it says now, unless its count did not rise.
func (s *Sessions) Used(ctx context.Context, passkey [32]byte, u signin.Use) (ok bool, err error) {
	return s.write(ctx, `INSERT INTO passkey_uses (passkey, sign_count, backed_up) VALUES ($1, $2, $3)
		ON CONFLICT (passkey) DO UPDATE SET sign_count = excluded.sign_count, backed_up = excluded.backed_up
		WHERE excluded.sign_count > passkey_uses.sign_count OR (excluded.sign_count = 0 AND passkey_uses.sign_count = 0)`,
		passkey[:], int64(u.SignCount), u.BackedUp)
}

// write reports whether a statement changed a row.
func (s *Sessions) write(ctx context.Context, query string, args ...any) (changed bool, err error) {
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		changed = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sqlstore: sign-in: %w", err)
	}
	return changed, nil
}

// Sweep forgets what is over.
func (s *Sessions) Sweep(ctx context.Context, made, seen, now time.Time) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE made <= $1 OR seen <= $2", made.UnixMilli(), seen.UnixMilli()); err != nil {
			return fmt.Errorf("sqlstore: sweep sessions: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM spent_challenges WHERE expires <= $1", now.UnixMilli()); err != nil {
			return fmt.Errorf("sqlstore: sweep challenges: %w", err)
		}
		return nil
	})
}
