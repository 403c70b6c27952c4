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
		return writeEntries(ctx, tx, h, log...)
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
	return l.db.looks.share(func() error { return l.db.guarded(context.WithoutCancel(ctx), leaves{l.db.read}) })
}

func (db *DB) guarded(ctx context.Context, published leaves) error {
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
	if err := h.once(func() error { return db.guarded(ctx, leaves{tx}) }); err != nil {
		return err
	}
	return writeEntries(ctx, tx, h, entries...)
}

// writeEntries is appendEntries whatever has become of the log.
func writeEntries(ctx context.Context, tx *sql.Tx, h *heads, entries ...audit.Entry) error {
	for _, e := range entries {
		if err := h.tell(ctx, e); err != nil {
			return err
		}
	}
	return insertEntries(ctx, tx, entries...)
}

// tell has a history's seal cover one more entry. What is left of an erased case is a
// hash alone, and belongs to none.
func (h *heads) tell(ctx context.Context, e audit.Entry) error {
	if e.Case == "" && e.Sealed == nil {
		return nil
	}
	of, err := h.of(ctx, ofHistory(e.Case))
	if err != nil {
		return err
	}
	before := of.only(sealedEntry)
	if before != (seal{}) {
		if err := of.take(before, of.subject); err != nil {
			return err
		}
	}
	of.put(h.entry(before, e))
	return nil
}

// insertEntries is appendEntries for a log that is being begun anew.
func insertEntries(ctx context.Context, tx *sql.Tx, entries ...audit.Entry) error {
	for _, e := range entries {
		_, err := tx.ExecContext(ctx,
			"INSERT INTO log_entries (id, case_id, hash, sealed, day) VALUES ($1, $2, $3, $4, $5)",
			e.ID, sql.NullString{String: e.Case, Valid: e.Case != ""}, e.Hash[:], e.Sealed, toDay(e.Day))
		if err != nil {
			return fmt.Errorf("sqlstore: append to the log: %w", err)
		}
	}
	return nil
}

// Append writes entries that tell about no change of the database: an opening,
// a check of a proof.
func (l *Log) Append(ctx context.Context, entries ...audit.Entry) error {
	return l.db.change(ctx, entries, func(*sql.Tx, *heads) error { return nil })
}

// Size returns how many entries have a leaf number.
func (l *Log) Size(ctx context.Context) (int64, error) { return leaves{l.db.read}.Size(ctx) }

// Sequenced returns the hashes of at most n leaves from the number first on.
func (l *Log) Sequenced(ctx context.Context, first int64, n int) ([][32]byte, error) {
	return leaves{l.db.read}.Sequenced(ctx, first, n)
}

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// leaves are the entries that have leaf numbers, as a transaction or anybody sees
// them.
type leaves struct{ querier }

// Size is how many there are.
func (q leaves) Size(ctx context.Context) (int64, error) {
	var size int64
	// The numbers have no gaps, so that the highest tells how many there are.
	err := q.QueryRowContext(ctx, "SELECT COALESCE(MAX(position) + 1, 0) FROM log_entries").Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: size of the log: %w", classify(err))
	}
	return size, nil
}

// Sequenced are the hashes of at most n of them from the number first on.
func (q leaves) Sequenced(ctx context.Context, first int64, n int) ([][32]byte, error) {
	rows, err := q.QueryContext(ctx,
		"SELECT position, hash FROM log_entries WHERE position >= $1 ORDER BY position LIMIT $2", first, n)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read leaves: %w", classify(err))
	}
	hashes := make([][32]byte, 0, n)
	err = each(rows, func() error {
		var position int64
		var hash []byte
		if err := rows.Scan(&position, &hash); err != nil {
			return err
		}
		// A gap or a short hash is damage; it must not shift the leaves
		// behind it into other places.
		if position != first+int64(len(hashes)) || len(hash) != 32 {
			return fmt.Errorf("sqlstore: %w: leaf %d is missing or damaged", audit.ErrFork, first+int64(len(hashes)))
		}
		hashes = append(hashes, [32]byte(hash))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read leaves: %w", classify(err))
	}
	return hashes, nil
}

// Published counts the entries that have a leaf number below size: as many as that
// unless some are gone.
func (l *Log) Published(ctx context.Context, size int64) (n int64, err error) {
	if err := l.db.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM log_entries WHERE position < $1", size).Scan(&n); err != nil {
		return 0, fmt.Errorf("sqlstore: count published entries: %w", classify(err))
	}
	return n, nil
}

// Unsequenced returns the ids of at most n entries without a leaf number,
// oldest first.
func (l *Log) Unsequenced(ctx context.Context, n int) ([]string, error) {
	rows, err := l.db.read.QueryContext(ctx,
		"SELECT id FROM log_entries WHERE position IS NULL ORDER BY added LIMIT $1", n)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read waiting entries: %w", classify(err))
	}
	var ids []string
	err = each(rows, func() error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read waiting entries: %w", classify(err))
	}
	return ids, nil
}

// Sequence gives ids the leaf numbers from first on, all or none.
// audit.ErrSequence if first is not the size of the log, or an id is unknown,
// repeated or already numbered.
func (l *Log) Sequence(ctx context.Context, first int64, ids []string) error {
	return l.db.tx(ctx, func(tx *sql.Tx) error {
		size, err := leaves{tx}.Size(ctx)
		if err != nil {
			return err
		}
		if first != size {
			return audit.ErrSequence
		}
		for i, id := range ids {
			res, err := tx.ExecContext(ctx,
				"UPDATE log_entries SET position = $1 WHERE id = $2 AND position IS NULL", first+int64(i), id)
			if err := mustChange(res, err, audit.ErrSequence); err != nil {
				return fmt.Errorf("sqlstore: number leaves: %w", err)
			}
		}
		return nil
	})
}

// History returns the entries of a case, oldest first. None is missing, and none is
// another one's.
func (l *Log) History(ctx context.Context, caseID string) (all []audit.Logged, err error) {
	err = l.db.believed(ctx, func(h *heads) error {
		if all, err = entries(ctx, h.q, selectEntries+"WHERE case_id = $1 ORDER BY added", caseID); err != nil {
			return err
		}
		var told seal
		for _, e := range all {
			told = h.entry(told, e.Entry)
		}
		of, err := h.of(ctx, ofCase(caseID))
		if err == nil && of.only(sealedEntry) != told {
			err = &SealError{sealedEntry.String(), of.subject}
		}
		return err
	})
	return all, err
}

// Entries returns at most n entries that belong to no case, newest first,
// starting before the entry with the id before, or with the newest if it is
// empty. They hold no personal data.
func (l *Log) Entries(ctx context.Context, before string, n int) ([]audit.Logged, error) {
	return entries(ctx, l.db.read, selectEntries+`WHERE case_id IS NULL AND sealed IS NOT NULL
		AND ($1 = '' OR added < (SELECT added FROM log_entries WHERE id = $1))
		ORDER BY added DESC LIMIT $2`, before, n)
}

const selectEntries = "SELECT id, case_id, hash, sealed, day, position FROM log_entries "

// entries reads what a statement that begins with selectEntries finds.
func entries(ctx context.Context, q querier, query string, args ...any) ([]audit.Logged, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read log entries: %w", classify(err))
	}
	var all []audit.Logged
	err = each(rows, func() error {
		e, err := scanEntry(rows)
		all = append(all, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read log entries: %w", classify(err))
	}
	return all, nil
}

func scanEntry(row scanner) (audit.Logged, error) {
	e := audit.Logged{Position: -1}
	var caseID sql.NullString
	var position sql.NullInt64
	var hash []byte
	var sealed any // a driver may give NULL and no bytes the same []byte
	var day int64
	if err := row.Scan(&e.ID, &caseID, &hash, &sealed, &day, &position); err != nil {
		return e, err
	}
	if len(hash) != 32 {
		return e, &SealError{sealedEntry.String(), ofHistory(caseID.String)}
	}
	e.Sealed, _ = sealed.([]byte)
	e.Case, e.Hash, e.Day = caseID.String, [32]byte(hash), fromDay(day)
	if position.Valid {
		e.Position = position.Int64
	}
	return e, nil
}

// forgetHistory empties a case's entries and keeps their hashes. Without salt
// and body a hash says nothing any more.
func forgetHistory(ctx context.Context, tx *sql.Tx, h *heads, caseID string) error {
	_, err := tx.ExecContext(ctx,
		"UPDATE log_entries SET sealed = NULL, case_id = NULL WHERE case_id = $1", caseID)
	if err != nil {
		return fmt.Errorf("sqlstore: empty log entries: %w", err)
	}
	of, err := h.of(ctx, ofCase(caseID))
	if err == nil {
		of.drop(sealedEntry)
	}
	return err
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
