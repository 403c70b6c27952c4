package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

// Log is the log's entries: the audit.Store, and what a case's history is read
// from.
type Log struct{ db *DB }

// Log returns the store of the log's entries.
func (db *DB) Log() *Log { return &Log{db} }

// change runs do and appends the log entries that tell about it, in one
// transaction.
func (db *DB) change(ctx context.Context, log []audit.Entry, do func(tx *sql.Tx, h *heads) error) error {
	return db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := do(tx, h); err != nil {
			return err
		}
		return db.appendEntries(ctx, tx, h, log...)
	})
}

// pressing is change for what may be written although the log has stopped: it proves
// itself, and its entry waits for its place.
func (db *DB) pressing(ctx context.Context, presses people.Pressing, log []audit.Entry, do func(tx *sql.Tx, h *heads) error) error {
	if !presses {
		return db.change(ctx, log, do)
	}
	return db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := do(tx, h); err != nil {
			return err
		}
		return db.leaves(tx).write(ctx, tx, h, log...)
	})
}

// Guard has the log looked at wherever an entry is about to be appended, in that
// very transaction: whoever cannot log does nothing that has to be logged. mayAppend
// is audit.Log's MayAppend; its errors are those of the call. Guard is called
// once, before the database is used.
func (db *DB) Guard(mayAppend func(ctx context.Context, leaves audit.Leaves) error) {
	db.mayAppend = mayAppend
}

// MayAppend tells whether an entry could be appended now, for whoever signs
// something before the entry that tells about it is written.
// Those who ask while it is being looked share the next look.
func (l *Log) MayAppend(ctx context.Context) error {
	return l.db.looks.share(func() error { return l.db.guarded(context.WithoutCancel(ctx), l.db.leaves(l.db.read)) })
}

func (db *DB) guarded(ctx context.Context, published *leaves) error {
	if db.mayAppend == nil {
		return nil // a database that has no log yet, or whose log is begun anew
	}
	if err := db.mayAppend(ctx, published); err != nil {
		return fmt.Errorf("sqlstore: append to the log: %w", err)
	}
	return nil
}

// appendEntries writes log entries in the transaction of the change that they
// tell about, so that neither exists without the other. Every method that
// changes something calls it.
func (db *DB) appendEntries(ctx context.Context, tx *sql.Tx, h *heads, entries ...audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	published := db.leaves(tx)
	if err := h.once(func() error { return db.guarded(ctx, published) }); err != nil {
		return err
	}
	return published.write(ctx, tx, h, entries...)
}

// write is appendEntries whatever has become of the log.
func (l *leaves) write(ctx context.Context, tx *sql.Tx, h *heads, entries ...audit.Entry) error {
	for _, e := range entries {
		if err := h.tell(ctx, e); err != nil {
			return err
		}
		if err := l.add(ctx, tx, e.Hash); err != nil {
			return err
		}
	}
	return nil
}

// Append writes entries that tell about no change of the database: an opening,
// a check of a proof.
func (l *Log) Append(ctx context.Context, entries ...audit.Entry) error {
	return l.db.change(ctx, entries, func(*sql.Tx, *heads) error { return nil })
}

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// each calls scan for every row and closes the rows.
func each(rows *sql.Rows, scan func() error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}
