package sqlstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
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

// keyringSchema is that of a keyring which has to be there.
var keyringSchema = schema{name: "keyring", files: keyringMigrations, dir: "keyring", keys: "key_files", kept: true}

// Bond says whose keyring one is. The network's database notes the same id.
type Bond struct {
	Network string // its id
	ID      string // drawn when the keyring was bound
	Changes uint64 // how often it has been written to
}

// OpenKeyring opens the keyring at where. It makes none: ErrMissing where there
// is none, or something else. In PostgreSQL the tables stand in the schema
// keyring, of the main database or better of one of its own
// (docs/decisions/0008-postgresql.md).
func OpenKeyring(ctx context.Context, where string) (*Keyring, error) {
	b, err := open(ctx, where, keyringSchema)
	if err != nil {
		return nil, err
	}
	return &Keyring{base: b}, nil
}

// CreateKeyring makes an empty keyring for a network where there is none. Whoever
// founds a network or restores one does this, and nobody else: a keyring that is
// not there is a loss.
func CreateKeyring(ctx context.Context, where, network string) (*Keyring, error) {
	free, err := VacantKeyring(ctx, where)
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, errors.New("sqlstore: there is a keyring already")
	}
	s := keyringSchema
	s.kept = false
	b, err := open(ctx, where, s)
	if err != nil {
		return nil, err
	}
	k := &Keyring{base: b}
	if err := k.Bind(ctx, network); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Bond reads whose keyring this is: the zero Bond where nobody has said so yet.
func (k *Keyring) Bond(ctx context.Context) (b Bond, err error) {
	var changes int64
	err = k.read.QueryRowContext(ctx, "SELECT network, id, changes FROM bond").Scan(&b.Network, &b.ID, &changes)
	if errors.Is(err, sql.ErrNoRows) {
		return Bond{}, nil
	}
	if err != nil {
		return Bond{}, fmt.Errorf("sqlstore: read whose keyring this is: %w", classify(err))
	}
	b.Changes = uint64(changes) //nolint:gosec // counts from zero
	return b, nil
}

// Bind says whose keyring this is, if nobody has yet: of several processes that
// say it at once the first one counts.
func (k *Keyring) Bind(ctx context.Context, network string) error { return k.bind(ctx, network, 0) }

// Rebind says it anew, under another id, and counts on behind changes.
func (k *Keyring) Rebind(ctx context.Context, network string, changes uint64) error {
	err := k.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM bond")
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: bind the keyring: %w", err)
	}
	return k.bind(ctx, network, changes)
}

func (k *Keyring) bind(ctx context.Context, network string, changes uint64) error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never returns an error
	err := k.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO bond (network, id, changes) SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM bond)",
			network, hex.EncodeToString(id[:]), int64(changes)+1) //nolint:gosec // counts by hand
		if err != nil {
			return err
		}
		return digestAll(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("sqlstore: bind the keyring: %w", err)
	}
	return nil
}

// digestAll notes the digests of key files that have none, a few at a time.
func digestAll(ctx context.Context, tx *sql.Tx) error {
	for {
		some, err := list(ctx, tx, scanKeyFile, selectKeyFiles+"WHERE sha256 IS NULL ORDER BY record_id LIMIT 500")
		if err != nil || len(some) == 0 {
			return err
		}
		for _, f := range some {
			if _, err := tx.ExecContext(ctx, "UPDATE key_files SET sha256 = $1 WHERE record_id = $2", digestOf(f.Kept), f.Record); err != nil {
				return err
			}
		}
	}
}

func digestOf(file []byte) []byte {
	sum := sha256.Sum256(file)
	return sum[:]
}

// change runs a change of the keyring, and counts it.
func (k *Keyring) change(ctx context.Context, do func(tx *sql.Tx) error) error {
	return k.tx(ctx, func(tx *sql.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE bond SET changes = changes + 1")
		return err
	})
}

// Check tells what the engine finds damaged, and the records whose key files are
// not what was kept. It reads everything, and opens nothing.
func (k *Keyring) Check(ctx context.Context) (problems, records []string, err error) {
	err = k.readTx(ctx, func(tx *sql.Tx) error {
		if err := k.withoutTimeouts(ctx, tx); err != nil {
			return err
		}
		problems, err = k.damage(ctx, tx)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sqlstore: check the keyring: %w", err)
	}
	for f, err := range k.Files(ctx) {
		if err != nil {
			return nil, nil, err
		}
		if !f.whole() {
			records = append(records, f.Record)
		}
	}
	return problems, records, nil
}

// Create keeps the first key file of a record, and draws a key beside it: that of a case
// is what its body, its cells and its history are boxed under.
func (k *Keyring) Create(ctx context.Context, record string, file []byte) error {
	key := make([]byte, keySize, keySize+len(file))
	_, _ = rand.Read(key) // never returns an error
	return k.Put(ctx, record, append(key, file...))
}

// Put keeps what Files gave for a record, in another keyring.
func (k *Keyring) Put(ctx context.Context, record string, kept []byte) error {
	return k.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO key_files (record_id, file, sha256) VALUES ($1, $2, $3)", record, kept, digestOf(kept))
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: keep a key file: %w", err)
		}
		return nil
	})
}

// CaseKey returns the key of a case: vault.ErrNotFound for one that was erased.
func (k *Keyring) CaseKey(ctx context.Context, caseID string) ([]byte, error) {
	kept, err := keptOf(ctx, k.read, caseID)
	if err != nil {
		return nil, err
	}
	return kept[:keySize], nil
}

// Get returns a record's key file. One that is not what was kept is
// vault.ErrIntegrity.
func (k *Keyring) Get(ctx context.Context, record string) ([]byte, error) {
	return keyFile(ctx, k.read, record)
}

func keyFile(ctx context.Context, q querier, record string) ([]byte, error) {
	kept, err := keptOf(ctx, q, record)
	if err != nil {
		return nil, err
	}
	return kept[keySize:], nil
}

// keptOf is the key and the key file of a record.
func keptOf(ctx context.Context, q querier, record string) ([]byte, error) {
	f, err := scanKeyFile(q.QueryRowContext(ctx, selectKeyFiles+"WHERE record_id = $1", record))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, vault.ErrNotFound
	case errors.Is(classify(err), ErrDamaged):
		return nil, fmt.Errorf("sqlstore: read a key file: %w: %w", vault.ErrIntegrity, classify(err))
	case err != nil:
		return nil, fmt.Errorf("sqlstore: read a key file: %w", classify(err))
	case !f.whole() || len(f.Kept) < keySize:
		return nil, fmt.Errorf("sqlstore: read a key file: %w", vault.ErrIntegrity)
	}
	return f.Kept, nil
}

// Swap replaces old by new, if old is what is kept.
func (k *Keyring) Swap(ctx context.Context, record string, old, new []byte) error {
	err := k.change(ctx, func(tx *sql.Tx) error {
		kept, err := keptOf(ctx, tx, record)
		if err != nil {
			return err
		}
		if !bytes.Equal(kept[keySize:], old) {
			return vault.ErrConflict
		}
		fresh := append(bytes.Clone(kept[:keySize]), new...)
		_, err = tx.ExecContext(ctx, "UPDATE key_files SET file = $1, sha256 = $2 WHERE record_id = $3", fresh, digestOf(fresh), record)
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
	err := k.change(ctx, func(tx *sql.Tx) error {
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

// KeyFile is one key file of the keyring.
type KeyFile struct {
	Record string
	Kept   []byte // the key beside it, and the file

	sum   []byte // nil in a keyring that nobody has bound yet
	bound bool   // whether somebody has
}

const selectKeyFiles = "SELECT record_id, file, sha256, EXISTS (SELECT 1 FROM bond) FROM key_files "

func scanKeyFile(row scanner) (f KeyFile, err error) {
	var sum any // a driver may give NULL and no bytes the same []byte
	err = row.Scan(&f.Record, &f.Kept, &sum, &f.bound)
	f.sum, _ = sum.([]byte)
	return f, err
}

// File is the key file itself.
func (f KeyFile) File() []byte { return f.Kept[min(keySize, len(f.Kept)):] }

// CaseKey is the key beside the file: vault.ErrNotFound where there is nothing.
func (f KeyFile) CaseKey() ([]byte, error) {
	if len(f.Kept) < keySize {
		return nil, vault.ErrNotFound
	}
	return f.Kept[:keySize], nil
}

// whole tells whether the key file is what was kept. Binding a keyring notes every
// digest, so that one without has lost it since.
func (f KeyFile) whole() bool {
	if f.sum == nil {
		return !f.bound
	}
	return bytes.Equal(f.sum, digestOf(f.Kept))
}

// keyFilesAtOnce is how many key files are read at a time: some hundred KB.
const keyFilesAtOnce = 200

// Files yields every key file, in the order of the records. It waits for nobody
// and keeps nobody waiting.
func (k *Keyring) Files(ctx context.Context) iter.Seq2[KeyFile, error] {
	return func(yield func(KeyFile, error) bool) {
		for after := ""; ; {
			some, err := list(ctx, k.read, scanKeyFile,
				selectKeyFiles+"WHERE record_id > $1 ORDER BY record_id LIMIT $2", after, keyFilesAtOnce)
			if err != nil {
				yield(KeyFile{}, fmt.Errorf("sqlstore: read key files: %w", err))
				return
			}
			for _, f := range some {
				if !yield(f, nil) {
					return
				}
			}
			if len(some) < keyFilesAtOnce {
				return
			}
			after = some[len(some)-1].Record
		}
	}
}
