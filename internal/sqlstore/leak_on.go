//go:build leaking

package sqlstore

import (
	"context"
	"database/sql"
)

// Leak writes text into a table of its own, where nothing seals it. It exists to be caught.
func (db *DB) Leak(ctx context.Context, id, text string) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS leak (id TEXT PRIMARY KEY, said TEXT NOT NULL)"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO leak (id, said) VALUES ($1, $2)", id, text)
		return err
	})
}
