package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A step is a migration that takes keys, and so more than SQL: rows are in boxes. It runs
// behind all migrations, when the keys are open, in batches. Each is one transaction, in
// which it is also written down how far the step has come, so that each is done once,
// whatever cut it off, and whichever process goes on. From its beginning on no program
// that does not know it opens the database (docs/decisions/0071-stores-last.md).
type step struct {
	number int64 // of the migration that it belongs to
	// batch brings what stands behind a place up to date: of what it reads and writes it
	// has the heads, as sealed says. It returns where the next one begins, or nil behind
	// the last, and what part of all is done.
	batch func(ctx context.Context, tx *sql.Tx, h *heads, place []byte) (next []byte, part float64, err error)
}

// steps of this version, in the order of their numbers. It is the first one from which
// anything is taken over, and so has none.
var steps []step

var (
	// ErrUnfinished says that steps are not done, and that whoever only looks has to wait.
	ErrUnfinished = errors.New("the stores are of a version before, or on the way to this one. Nothing was changed. " +
		"Start serve with this program, which brings them up to date and goes on where it was, and wait until /readyz says yes: docs/operate.md, Upgrade, and back")

	// ErrNewerStores says that steps have begun that this program does not know.
	ErrNewerStores = errors.New("the stores are of a newer version, or on the way to it, and this program cannot read them. Nothing was changed. " +
		"Use the newer program, or restore the backup from before: docs/operate.md, Upgrade, and back")

	// ErrNotAlone says that other processes work with a database whose stores are to be
	// brought up to date, and may be of a version before.
	ErrNotAlone = errors.New("the stores have to be brought up to date, and other processes work with them. Nothing was changed. " +
		"Stop all of them, and start this one first: docs/operate.md, Upgrade, and back")
)

// knows returns ErrNewerStores if there is a step that this program does not know.
func (s schema) knows(ctx context.Context, q querier) error {
	if s.state == "" {
		return nil
	}
	numbers, err := list(ctx, q, func(row scanner) (n int64, err error) { return n, row.Scan(&n) }, "SELECT number FROM "+s.state)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMigration, classify(err))
	}
	known := map[int64]bool{}
	for _, one := range s.steps {
		known[one.number] = true
	}
	for _, n := range numbers {
		if !known[n] {
			return ErrNewerStores
		}
	}
	return nil
}

// Finished returns nil when all steps are done, and there is none that this program does
// not know: ErrUnfinished, ErrNewerStores.
func (db *DB) Finished(ctx context.Context) error {
	if err := db.schema.knows(ctx, db.read); err != nil {
		return err
	}
	var done int
	if err := db.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM steps WHERE done").Scan(&done); err != nil {
		return fmt.Errorf("sqlstore: read steps: %w", classify(err))
	}
	if done < len(db.schema.steps) {
		return ErrUnfinished
	}
	return nil
}

// Finish does the steps that are not done. tell hears after each batch what part of a
// step is. Several processes may call it at once: each batch is done by one of them.
func (db *DB) Finish(ctx context.Context, tell func(number int64, part float64)) error {
	for _, s := range db.schema.steps {
		over, err := db.beginStep(ctx, s.number)
		for err == nil && !over {
			var part float64
			if over, part, err = db.batch(ctx, s); err == nil {
				tell(s.number, part)
			}
		}
		if err != nil {
			return fmt.Errorf("sqlstore: step %d: %w", s.number, err)
		}
	}
	return nil
}

// beginStep writes down that a step begins, so that no older program opens the database
// from then on, and then looks for one that has done so before.
func (db *DB) beginStep(ctx context.Context, number int64) (over bool, err error) {
	begun := false
	err = db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO steps (number, done) VALUES ($1, $2) ON CONFLICT (number) DO NOTHING", number, false)
		if err == nil {
			err = tx.QueryRowContext(ctx, "SELECT place IS NOT NULL, done FROM steps WHERE number = $1", number).Scan(&begun, &over)
		}
		return err
	})
	if err != nil || begun || over {
		return over, err
	}
	others, err := db.Others(ctx)
	if err == nil && others > 0 {
		err = ErrNotAlone
	}
	if err == nil {
		return false, nil
	}
	return false, errors.Join(err, db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM steps WHERE number = $1 AND place IS NULL AND NOT done", number)
		return err
	}))
}

// batch does the next batch of a step, unless another process has done the last one.
func (db *DB) batch(ctx context.Context, s step) (over bool, part float64, err error) {
	err = db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		part = 1
		var place []byte
		if err := tx.QueryRowContext(ctx, "SELECT place, done FROM steps WHERE number = $1", s.number).Scan(&place, &over); err != nil || over {
			return err
		}
		next, now, err := s.batch(ctx, tx, h, place)
		if err != nil {
			return err
		}
		if over = next == nil; !over {
			part = now
		}
		_, err = tx.ExecContext(ctx, "UPDATE steps SET place = $1, done = $2 WHERE number = $3", next, over, s.number)
		return err
	})
	return over, part, err
}
