package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// KeyringBond is the keyring that belongs to these records: its id, and how many
// changes of it were seen. The zero Bond where none was noted yet.
func (db *DB) KeyringBond(ctx context.Context) (b Bond, err error) {
	var changes int64
	err = db.read.QueryRowContext(ctx, "SELECT id, changes FROM keyring_bond").Scan(&b.ID, &changes)
	if errors.Is(err, sql.ErrNoRows) {
		return Bond{}, nil
	}
	if err != nil {
		return Bond{}, fmt.Errorf("sqlstore: read which keyring belongs here: %w", classify(err))
	}
	b.Changes = uint64(changes) //nolint:gosec // counts from zero
	return b, nil
}

// BindKeyring notes that a keyring belongs to these records, in the place of any
// other, and which records stay shut because it has no key for them.
func (db *DB) BindKeyring(ctx context.Context, b Bond, shut []string) error {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		for _, clear := range []string{"DELETE FROM keyring_bond", "DELETE FROM shut_records"} {
			if _, err := tx.ExecContext(ctx, clear); err != nil {
				return err
			}
		}
		for _, record := range shut {
			if _, err := tx.ExecContext(ctx, "INSERT INTO shut_records (record_id) VALUES ($1)", record); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO keyring_bond (id, changes) VALUES ($1, $2)", b.ID, int64(b.Changes)) //nolint:gosec // counts by hand
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: note which keyring belongs here: %w", err)
	}
	return nil
}

// SeeKeyring notes how many changes of the keyring were seen. It never goes
// back, and notes nothing of another keyring.
func (db *DB) SeeKeyring(ctx context.Context, b Bond) error {
	err := db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE keyring_bond SET changes = $1 WHERE id = $2 AND changes < $1", int64(b.Changes), b.ID) //nolint:gosec // counts by hand
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: note the keyring's changes: %w", err)
	}
	return nil
}

// Keyless returns the records, of those given, that must have a key file: they
// are there, are not being erased, and are not known to stay shut. Whoever finds
// no key file for a record asks this last.
func (db *DB) Keyless(ctx context.Context, records []string) (must []string, err error) {
	for _, r := range records {
		found, err := list(ctx, db.read, scanText, mustHaveKey+" AND r.id = $1", r)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: look for a record: %w", err)
		}
		must = append(must, found...)
	}
	return must, nil
}

// Keyed returns at most limit ids of records that must have a key file, behind
// after, in order.
func (db *DB) Keyed(ctx context.Context, after string, limit int) ([]string, error) {
	ids, err := list(ctx, db.read, scanText, mustHaveKey+" AND r.id > $1 ORDER BY r.id LIMIT $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list records: %w", err)
	}
	return ids, nil
}

const mustHaveKey = `SELECT r.id FROM records r
	WHERE NOT EXISTS (SELECT 1 FROM shut_records s WHERE s.record_id = r.id)
	AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.case_id = r.case_id)`

func scanText(row scanner) (text string, err error) { return text, row.Scan(&text) }
