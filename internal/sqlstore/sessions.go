package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
type sessionSays struct {
	Hash     []byte `cbor:"1,keyasint"`
	Person   string `cbor:"2,keyasint"`
	Made     int64  `cbor:"3,keyasint"` // milliseconds
	Seen     int64  `cbor:"4,keyasint"`
	Verified int64  `cbor:"5,keyasint"`
	Roster   uint64 `cbor:"6,keyasint"`
	Seal     []byte `cbor:"7,keyasint"`
}

func ofSession(k *sealer, hash [32]byte) name { return k.name("session", string(hash[:])) }

// row is the session that a row holds.
func (s sessionSays) row(r boxedRow) (signin.Row, error) {
	if len(s.Hash) != len(signin.Row{}.Hash) {
		return signin.Row{}, sessionRows.untrue(r)
	}
	return signin.Row{
		Hash: [32]byte(s.Hash), Person: s.Person, Roster: s.Roster, Seal: s.Seal,
		Made: time.UnixMilli(s.Made).UTC(), Seen: time.UnixMilli(s.Seen).UTC(), Verified: time.UnixMilli(s.Verified).UTC(),
	}, nil
}

// Add writes a session.
func (s *Sessions) Add(ctx context.Context, r signin.Row) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error { return insertSession(ctx, tx, h, r) })
}

func insertSession(ctx context.Context, tx *sql.Tx, h *heads, r signin.Row) error {
	return sessionRows.add(ctx, tx, h, ofSession(h.sealer, r.Hash), nil,
		sessionSays{r.Hash[:], r.Person, r.Made.UnixMilli(), r.Seen.UnixMilli(), r.Verified.UnixMilli(), r.Roster, r.Seal})
}

// removeSession removes one, and reports whether there was one.
func removeSession(ctx context.Context, tx *sql.Tx, h *heads, hash [32]byte) (bool, error) {
	var says sessionSays
	r, found, err := sessionRows.get(ctx, h, ofSession(h.sealer, hash), &says)
	if err != nil || !found {
		return false, err
	}
	return true, sessionRows.remove(ctx, tx, h, r)
}

// removeSessions removes those that are over.
func removeSessions(ctx context.Context, tx *sql.Tx, h *heads, over func(sessionSays) bool) error {
	return every(ctx, h, sessionRows, func(r boxedRow, says sessionSays) error {
		if !over(says) {
			return nil
		}
		return sessionRows.remove(ctx, tx, h, r)
	})
}

// Replace puts a session in the place of another, or of itself, if that has not
// ended.
func (s *Sessions) Replace(ctx context.Context, hash [32]byte, r signin.Row) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		there, err := removeSession(ctx, tx, h, hash)
		switch {
		case err != nil:
			return err
		case !there:
			return signin.ErrNotFound
		}
		return insertSession(ctx, tx, h, r)
	})
}

// End removes a session.
func (s *Sessions) End(ctx context.Context, hash [32]byte) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		_, err := removeSession(ctx, tx, h, hash)
		return err
	})
}

// EndAll removes all sessions of a person. No row says whose it is: all are looked at,
// which are as many as people are signed in.
func (s *Sessions) EndAll(ctx context.Context, person string) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		return removeSessions(ctx, tx, h, func(s sessionSays) bool { return s.Person == person })
	})
}

// Session returns the session with the hash of a token.
func (s *Sessions) Session(ctx context.Context, hash [32]byte) (row signin.Row, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		var says sessionSays
		r, found, err := sessionRows.get(ctx, h, ofSession(h.sealer, hash), &says)
		switch {
		case err != nil:
			return err
		case !found:
			return signin.ErrNotFound
		}
		row, err = says.row(r)
		return err
	})
	return row, strangers(sealedSession, err, signin.ErrNotFound)
}

// Sessions lists a person's, the newest first.
func (s *Sessions) Sessions(ctx context.Context, person string) (all []signin.Row, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		all = nil
		return every(ctx, h, sessionRows, func(r boxedRow, says sessionSays) error {
			if says.Person != person {
				return nil
			}
			row, err := says.row(r)
			all = append(all, row)
			return err
		})
	})
	slices.SortFunc(all, func(a, b signin.Row) int {
		return cmp.Or(b.Made.Compare(a.Made), bytes.Compare(a.Hash[:], b.Hash[:]))
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
	if s.db.seals == nil {
		return false, ErrNoSealKey
	}
	hour := hourBehind(until.Unix() + 1)
	n := s.db.seals.spentName(s.db.seals.name("challenge", string(challenge[:])), hour)
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "INSERT INTO spent_challenges (name, hour) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
			n[:], hour)
		if err != nil {
			return fmt.Errorf("sqlstore: sign-in: %w", err)
		}
		changed, err := res.RowsAffected()
		first = changed == 1
		return err
	})
	return first && err == nil, err
}

// spentName is what the row of a challenge is called: half of its name says which one it
// is, and the other half is a keyed hash of that half and of the hour behind it. So a row
// that was changed is known for one, although there is no box in it.
func (k *sealer) spentName(of name, hour int64) name {
	half := len(of) / 2
	check := k.name("spent", string(of[:half]), strconv.FormatInt(hour, 10))
	copy(of[half:], check[:half])
	return of
}

// useSays is what a passkey said last.
type useSays struct {
	Count    uint32 `cbor:"1,keyasint,omitempty"`
	BackedUp bool   `cbor:"2,keyasint,omitempty"`
}

func ofPasskey(k *sealer, passkey [32]byte) name { return k.name("passkey", string(passkey[:])) }

// LastUse returns what a passkey said last.
func (s *Sessions) LastUse(ctx context.Context, passkey [32]byte) (signin.Use, error) {
	if s.db.seals == nil {
		return signin.Use{}, ErrNoSealKey
	}
	var says useSays
	found, err := passkeyRows.loose(ctx, s.db.seals, s.db.read, ofPasskey(s.db.seals, passkey), &says)
	switch {
	case err != nil:
		return signin.Use{}, err
	case !found:
		return signin.Use{}, signin.ErrNotFound
	default:
		return signin.Use{SignCount: says.Count, BackedUp: says.BackedUp}, nil
	}
}

// Used writes what it says now, unless its count did not rise.
func (s *Sessions) Used(ctx context.Context, passkey [32]byte, u signin.Use) (ok bool, err error) {
	if s.db.seals == nil {
		return false, ErrNoSealKey
	}
	n := ofPasskey(s.db.seals, passkey)
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		var last useSays
		found, err := passkeyRows.loose(ctx, s.db.seals, tx, n, &last)
		if err != nil {
			return err
		}
		if ok = !found || u.SignCount > last.Count || u.SignCount == 0 && last.Count == 0; !ok {
			return nil
		}
		return passkeyRows.keep(ctx, tx, s.db.seals, n, useSays{u.SignCount, u.BackedUp})
	})
	return ok && err == nil, err
}

// Sweep forgets what is over.
func (s *Sessions) Sweep(ctx context.Context, made, seen, now time.Time) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		err := removeSessions(ctx, tx, h, func(s sessionSays) bool { return s.Made <= made.UnixMilli() || s.Seen <= seen.UnixMilli() })
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM spent_challenges WHERE hour <= $1", now.Unix()/3600); err != nil {
			return fmt.Errorf("sqlstore: sweep challenges: %w", err)
		}
		return nil
	})
}
