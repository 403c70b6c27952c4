package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrLease says that a lease is not the caller's any more.
var ErrLease = errors.New("sqlstore: the lease is not this holder's")

// Lease makes one process at a time do a piece of work, such as publishing the
// log, among all that share the database. It goes by the database's clock. It
// saves work and keeps order; it is no lock: a holder that was stopped for
// longer than the lease and wakes up does not know. What must never happen
// twice is guarded by the row that it changes (Log.CloseWindow, Network.NextPack).
type Lease struct {
	db           *DB
	name, holder string
	ttl          time.Duration
}

// Lease returns the lease called name for a holder, which has to be another
// text in every process. ttl is rounded up to whole seconds; nothing is
// acquired yet.
func (db *DB) Lease(name, holder string, ttl time.Duration) *Lease {
	return &Lease{db, name, holder, ttl}
}

// Acquire takes the lease when it is free or over, and prolongs it when it is
// the holder's already. It reports whether the holder has it now.
func (l *Lease) Acquire(ctx context.Context) (ours bool, err error) {
	err = l.change(ctx, "acquire", func(tx *sql.Tx, now, until int64) (sql.Result, error) {
		return tx.ExecContext(ctx, `INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
			WHERE leases.holder = excluded.holder OR leases.until <= $4`, l.name, l.holder, until, now)
	})
	if errors.Is(err, ErrLease) {
		return false, nil
	}
	return err == nil, err
}

// Renew prolongs the lease. ErrLease if it is over, even when nobody else has
// taken it: the holder has to acquire it again, and look what happened.
func (l *Lease) Renew(ctx context.Context) error {
	return l.change(ctx, "renew", func(tx *sql.Tx, now, until int64) (sql.Result, error) {
		return tx.ExecContext(ctx, "UPDATE leases SET until = $1 WHERE name = $2 AND holder = $3 AND until > $4",
			until, l.name, l.holder, now)
	})
}

// Release gives the lease back. It does nothing when it is not the holder's.
func (l *Lease) Release(ctx context.Context) error {
	err := l.change(ctx, "release", func(tx *sql.Tx, _, _ int64) (sql.Result, error) {
		return tx.ExecContext(ctx, "DELETE FROM leases WHERE name = $1 AND holder = $2", l.name, l.holder)
	})
	if errors.Is(err, ErrLease) {
		return nil
	}
	return err
}

// change runs a statement that is told the time and the end of a lease that
// begins now. ErrLease if it changes nothing.
func (l *Lease) change(ctx context.Context, what string, do func(tx *sql.Tx, now, until int64) (sql.Result, error)) error {
	return l.db.tx(ctx, func(tx *sql.Tx) error {
		var now int64
		if err := tx.QueryRowContext(ctx, l.db.now()).Scan(&now); err != nil {
			return fmt.Errorf("sqlstore: read the clock: %w", err)
		}
		seconds := int64((l.ttl + time.Second - 1) / time.Second)
		res, err := do(tx, now, now+seconds)
		if err := mustChange(res, err, ErrLease); err != nil {
			return fmt.Errorf("sqlstore: %s a lease: %w", what, err)
		}
		return nil
	})
}
