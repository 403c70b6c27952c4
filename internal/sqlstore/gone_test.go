package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/safeconduct/safeconduct/internal/storetest"
)

// TestFilesTakenAway takes each file of a database away while it is open, or puts
// another one into its place: nothing is written into a file without a name.
func TestFilesTakenAway(t *testing.T) {
	ctx := t.Context()
	for what, spoil := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, path+".away") },
		"replaced": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			t.Run(what+" "+suffix, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "main.db")
				db, err := Open(ctx, path)
				ok(t, err)
				sealing(t, db)
				kept := storetest.Entry(t, "")
				ok(t, db.Log().Append(ctx, kept))
				ringPath := filepath.Join(t.TempDir(), "ring.db")
				ring, err := CreateKeyring(ctx, ringPath, "0123", testRingKey)
				ok(t, err)
				ok(t, errors.Join(spoil(path+suffix), spoil(ringPath+suffix)))
				for name, err := range map[string]error{
					"write": db.Log().Append(ctx, storetest.Entry(t, "")), "ping": db.Ping(ctx),
					"keep a key file": ring.Create(ctx, storetest.NewID(), []byte("a key file")), "ping the keyring": ring.Ping(ctx),
				} {
					if !errors.Is(err, ErrGone) || !errors.Is(err, ErrUnavailable) {
						t.Errorf("%s: %v, want ErrGone", name, err)
					}
				}
				if what == "moved" {
					ok(t, errors.Join(os.Rename(path+suffix+".away", path+suffix), os.Rename(ringPath+suffix+".away", ringPath+suffix)))
					ok(t, db.Log().Append(ctx, storetest.Entry(t, "")))
					ok(t, ring.Create(ctx, storetest.NewID(), []byte("a key file")))
				}
				ok(t, errors.Join(db.Close(), ring.Close()))
				if what != "removed" || suffix == "" {
					return
				}
				// Stopping in order has saved what was acknowledged.
				db = openAt(t, path)
				if all, err := db.Log().Entries(ctx); err != nil || len(all) != 1 || all[0].Hash != kept.Hash {
					t.Errorf("%d entries, %v, want the one that was acknowledged", len(all), err)
				}
			})
		}
	}
}

// TestNoFileIsMade: a pool that opens one more connection, while the file is moved away,
// makes no empty one in its place: the right one could not be put back then.
func TestNoFileIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "away.db")
	for _, readOnly := range []bool{false, true} {
		db, err := sql.Open("sqlite", sqliteDSN(path, "deferred", readOnly, 0))
		if err != nil {
			t.Fatal(err)
		}
		if db.PingContext(t.Context()) == nil {
			t.Errorf("read only %v: there is a database", readOnly)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read only %v: a file was made: %v", readOnly, err)
		}
	}
}

// TestFilesTakenAwayMeanwhile takes a file away inside a transaction: its commit
// is not acknowledged.
func TestFilesTakenAwayMeanwhile(t *testing.T) {
	db := openDB(t)
	err := db.sealed(t.Context(), func(tx *sql.Tx, h *heads) error {
		ok(t, os.Remove(db.path+"-wal"))
		return db.appendEntries(t.Context(), tx, h, storetest.Entry(t, ""))
	})
	if !errors.Is(err, ErrGone) {
		t.Errorf("%v, want ErrGone", err)
	}
}

// TestFilesStay: what SQLite itself does with its files is nobody's loss, whichever
// connections come and go, ours or another process's.
func TestFilesStay(t *testing.T) {
	db := openDB(t)
	db.write.SetMaxIdleConns(-1)
	db.read.SetMaxIdleConns(-1) // every connection is closed behind its call
	for range 3 {
		other, err := Open(t.Context(), db.path)
		ok(t, err)
		sealing(t, other)
		ok(t, other.Log().Append(t.Context(), storetest.Entry(t, "")))
		ok(t, other.Truncate(t.Context()))
		ok(t, other.Close())
		over, cancel := context.WithCancel(t.Context())
		err = db.tx(over, func(*sql.Tx) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v, want Canceled", err)
		}
		ok(t, db.Log().Append(t.Context(), storetest.Entry(t, "")))
		ok(t, db.Truncate(t.Context()))
		ok(t, db.Ping(t.Context()))
	}
	if n, err := db.Log().Waiting(t.Context()); err != nil || n != 6 {
		t.Errorf("%d entries, %v, want 6", n, err)
	}
}
