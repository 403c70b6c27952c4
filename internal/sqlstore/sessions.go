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

// A session has a seal of its own, which internal/signin makes, and stands in a head as
// well: one that has ended and is put back is none.

func ofSession(hash [32]byte) string { return inBucket(bucketSessions, string(hash[:])) }

// sessionID names a session where it does not hold.
func sessionID(hash [32]byte) string { return fmt.Sprintf("%x", hash[:8]) }

// Add writes a session.
func (s *Sessions) Add(ctx context.Context, r signin.Row) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error { return insertSession(ctx, tx, h, r) })
}

func insertSession(ctx context.Context, tx *sql.Tx, h *heads, r signin.Row) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO sessions (hash, person, made, seen, verified, roster, seal) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		r.Hash[:], r.Person, r.Made.UnixMilli(), r.Seen.UnixMilli(), r.Verified.UnixMilli(), int64(r.Roster), r.Seal) //nolint:gosec // counts one by one
	if err != nil {
		return fmt.Errorf("sqlstore: write session: %w", err)
	}
	of, err := h.of(ctx, ofSession(r.Hash))
	if err == nil {
		of.put(h.session(r))
	}
	return err
}

// removeSessions removes some, and returns how many there were.
func removeSessions(ctx context.Context, tx *sql.Tx, h *heads, where string, args ...any) (n int, err error) {
	rows, err := list(ctx, tx, scanSession, selectSessions+where+" ORDER BY hash", args...)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: read sessions: %w", err)
	}
	for _, r := range rows {
		of, err := h.of(ctx, ofSession(r.Hash))
		if err != nil {
			return n, err
		}
		if err := of.take(h.session(r), sessionID(r.Hash)); err != nil {
			return n, err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE hash = $1", r.Hash[:]); err != nil {
			return n, fmt.Errorf("sqlstore: end sessions: %w", err)
		}
	}
	return len(rows), nil
}

// Replace puts a session in the place of another, or of itself, if that has not
// ended.
func (s *Sessions) Replace(ctx context.Context, hash [32]byte, r signin.Row) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		n, err := removeSessions(ctx, tx, h, "WHERE hash = $1", hash[:])
		switch {
		case err != nil:
			return err
		case n == 0:
			return signin.ErrNotFound
		}
		return insertSession(ctx, tx, h, r)
	})
}

// End removes a session.
func (s *Sessions) End(ctx context.Context, hash [32]byte) error {
	return s.remove(ctx, "WHERE hash = $1", hash[:])
}

// EndAll removes all sessions of a person.
func (s *Sessions) EndAll(ctx context.Context, person string) error {
	return s.remove(ctx, "WHERE person = $1", person)
}

func (s *Sessions) remove(ctx context.Context, where string, args ...any) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		_, err := removeSessions(ctx, tx, h, where, args...)
		return err
	})
}

const selectSessions = "SELECT hash, person, made, seen, verified, roster, seal FROM sessions "

func scanSession(row scanner) (r signin.Row, err error) {
	var hash []byte
	var made, seen, verified, roster int64
	if err := row.Scan(&hash, &r.Person, &made, &seen, &verified, &roster, &r.Seal); err != nil {
		return r, err
	}
	if len(hash) != len(r.Hash) {
		return r, &SealError{sealedSession.String(), fmt.Sprintf("%.8x", hash)}
	}
	r.Hash, r.Roster = [32]byte(hash), uint64(roster) //nolint:gosec // written from a uint64
	r.Made, r.Seen, r.Verified = time.UnixMilli(made).UTC(), time.UnixMilli(seen).UTC(), time.UnixMilli(verified).UTC()
	return r, nil
}

// Session returns the session with the hash of a token.
func (s *Sessions) Session(ctx context.Context, hash [32]byte) (signin.Row, error) {
	all, err := s.sessions(ctx, "WHERE hash = $1", hash[:])
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
	return s.sessions(ctx, "WHERE person = $1 ORDER BY made DESC, hash", person)
}

func (s *Sessions) sessions(ctx context.Context, where string, arg any) (all []signin.Row, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		all = nil
		var stranger error
		rows, err := list(ctx, h.q, scanSession, selectSessions+where, arg)
		if err != nil {
			return fmt.Errorf("sqlstore: read sessions: %w", err)
		}
		for _, r := range rows {
			of, err := h.of(ctx, ofSession(r.Hash))
			switch {
			case err != nil:
				return err
			case of.has(h.session(r)):
				all = append(all, r)
			default:
				stranger = &SealError{sealedSession.String(), sessionID(r.Hash)}
			}
		}
		return stranger
	})
	return all, strangers(sealedSession, err, nil)
}

// strangers has whoever comes by a row that nobody here wrote be told what a stranger
// is. That it was there stays remembered.
func strangers(t sealedTable, err, absent error) error {
	if untrue, ok := errors.AsType[*SealError](err); ok && untrue.Table == t.String() {
		return absent
	}
	return err
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
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if _, err := removeSessions(ctx, tx, h, "WHERE made <= $1 OR seen <= $2", made.UnixMilli(), seen.UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM spent_challenges WHERE expires <= $1", now.UnixMilli()); err != nil {
			return fmt.Errorf("sqlstore: sweep challenges: %w", err)
		}
		return nil
	})
}
