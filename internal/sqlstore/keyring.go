package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/vault"
)

//go:embed keyring/*.sql
var keyringMigrations embed.FS

// Keyring is the database of key files, apart from the main one: it has a file
// or a schema of its own, which data backups leave out, so that what was erased
// here stays erased (docs/overview.md, Keys). It is the vault.Keyring.
type Keyring struct{ *base }

var _ vault.Keyring = (*Keyring)(nil)

// OpenKeyring opens the database at where as Open does. In PostgreSQL the table
// stands in the schema keyring, of the main database or better of one of its
// own (docs/decisions/0008-postgresql.md).
func OpenKeyring(ctx context.Context, where string) (*Keyring, error) {
	b, err := open(ctx, where, schema{name: "keyring", files: keyringMigrations, dir: "keyring", keys: "key_files"})
	if err != nil {
		return nil, err
	}
	return &Keyring{base: b}, nil
}

// Create keeps the first key file of a record.
func (k *Keyring) Create(ctx context.Context, record string, file []byte) error {
	return k.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO key_files (record_id, file) VALUES ($1, $2)", record, file)
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: keep a key file: %w", err)
		}
		return nil
	})
}

// Get returns a record's key file.
func (k *Keyring) Get(ctx context.Context, record string) ([]byte, error) {
	return keyFile(ctx, k.read, record)
}

func keyFile(ctx context.Context, q querier, record string) ([]byte, error) {
	var file []byte
	err := q.QueryRowContext(ctx, "SELECT file FROM key_files WHERE record_id = $1", record).Scan(&file)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, vault.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read a key file: %w", kind(err))
	}
	return file, nil
}

// Swap replaces old by new, if old is what is kept.
func (k *Keyring) Swap(ctx context.Context, record string, old, new []byte) error {
	err := k.tx(ctx, func(tx *sql.Tx) error {
		kept, err := keyFile(ctx, tx, record)
		if err != nil {
			return err
		}
		if !bytes.Equal(kept, old) {
			return vault.ErrConflict
		}
		_, err = tx.ExecContext(ctx, "UPDATE key_files SET file = $1 WHERE record_id = $2", new, record)
		if err != nil {
			return fmt.Errorf("sqlstore: replace a key file: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return k.forget(ctx, record)
}

// Erase destroys key files. When it returns nil, no file of the table holds a
// byte of them, and SQLite's write-ahead log neither. PostgreSQL's write-ahead
// log and its archive keep them until they are recycled.
func (k *Keyring) Erase(ctx context.Context, records ...string) error {
	if len(records) == 0 {
		return nil
	}
	err := k.tx(ctx, func(tx *sql.Tx) error {
		for _, r := range records {
			if _, err := tx.ExecContext(ctx, "DELETE FROM key_files WHERE record_id = $1", r); err != nil {
				return fmt.Errorf("sqlstore: erase a key file: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return k.forget(ctx, records...)
}

// forget removes what the files still hold of these records from before the
// last change. A reader may be in the way for a moment.
func (k *Keyring) forget(ctx context.Context, records ...string) error {
	err := k.wipe(ctx, k.write, records...)
	for wait := time.Millisecond; errors.Is(err, ErrBusy) && wait < time.Second; wait *= 2 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		err = k.wipe(ctx, k.write, records...)
	}
	return err
}
