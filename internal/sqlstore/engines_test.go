package sqlstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// place is an engine that a test runs on.
type place struct {
	// db and keyring open a new database that is closed when the test ends.
	db      func(t *testing.T) *DB
	keyring func(t *testing.T) *Keyring
	// holds reports whether the files of a database hold a text.
	holds func(t *testing.T, b *base, text string) bool
}

var sqlitePlace = place{
	db: openDB,
	keyring: func(t *testing.T) *Keyring {
		return closed(t, func() (*Keyring, error) {
			return CreateKeyring(t.Context(), filepath.Join(t.TempDir(), "keyring.db"), "0123", testRingKey)
		})
	},
	holds: func(t *testing.T, b *base, text string) bool { return onDisk(t, b.path, text) },
}

var postgresPlace = place{
	db: func(t *testing.T) *DB {
		dsn := pgtest.Start(t)
		return sealing(t, closed(t, func() (*DB, error) { return Open(t.Context(), dsn) }))
	},
	keyring: func(t *testing.T) *Keyring {
		dsn := pgtest.Start(t)
		return closed(t, func() (*Keyring, error) { return CreateKeyring(t.Context(), dsn, "0123", testRingKey) })
	},
	holds: func(t *testing.T, _ *base, text string) bool { return pgtest.Shared(t).Holds(t, text) },
}

// repeatedPlace is PostgreSQL where every transaction that changes something is
// conflicted at its first COMMIT, as after a conflict, and has to be run again.
var repeatedPlace = place{
	db: func(t *testing.T) *DB {
		dsn := pgtest.Start(t)
		db := sealing(t, closed(t, func() (*DB, error) { return Open(t.Context(), dsn) }))
		refuseOnce(t, dsn, "safeconduct")
		return db
	},
	keyring: func(t *testing.T) *Keyring {
		dsn := pgtest.Start(t)
		k := closed(t, func() (*Keyring, error) { return CreateKeyring(t.Context(), dsn, "0123", testRingKey) })
		refuseOnce(t, dsn, "keyring")
		return k
	},
}

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, on place)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqlitePlace) })
	t.Run("postgres", func(t *testing.T) { test(t, postgresPlace) })
}

// everywhereTwice runs a suite on both engines, and once more on PostgreSQL with
// every transaction refused once.
func everywhereTwice(t *testing.T, test func(t *testing.T, on place)) {
	everywhere(t, test)
	t.Run("postgres, each transaction twice", func(t *testing.T) {
		pgtest.Shared(t)
		before := refusals.Load()
		t.Cleanup(func() { // behind those of the databases that test opens
			if refusals.Load() == before {
				t.Error("no transaction was refused: this test proves nothing")
			}
		})
		test(t, repeatedPlace)
	})
}

// sealing gives a database the key of its seals. One that is empty begins to count.
func sealing(t *testing.T, db *DB) *DB {
	t.Helper()
	db.Seal([]byte(testSealKey))
	db.CaseKeys(storetest.CaseKey)
	_, err := db.Counted(t.Context())
	if errors.Is(err, ErrNeverSealed) {
		err = db.SealRows(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// unsealed is a database as a restore finds it, before it loads anything.
func unsealed(t *testing.T, db *DB) *DB {
	t.Helper()
	if _, err := db.write.ExecContext(t.Context(), "DELETE FROM head_count"); err != nil {
		t.Fatal(err)
	}
	return db
}

const testSealKey = "the key of the seals, for a test"

// closed opens something and closes it when the test ends.
func closed[T interface{ Close() error }](t *testing.T, open func() (T, error)) T {
	t.Helper()
	v, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// refuseOnce makes a schema refuse each transaction at its first COMMIT with a
// serialization failure. The server knows a
// transaction again by the first row that it changed; it remembers it in an
// advisory lock of the session, because those outlive the transaction.
func refuseOnce(t *testing.T, dsn, schema string) {
	t.Helper()
	server := pgtest.Shared(t)
	server.Administer(t, dsn, strings.ReplaceAll(`
		CREATE SEQUENCE SCHEMA.refused;
		CREATE FUNCTION SCHEMA.refuse() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $f$
		DECLARE
			changed RECORD;
			mark BIGINT;
		BEGIN
			IF current_setting('refuse.judged', TRUE) = txid_current()::TEXT THEN
				RETURN NULL;
			END IF;
			PERFORM set_config('refuse.judged', txid_current()::TEXT, TRUE);
			IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
			mark := hashtextextended(TG_TABLE_NAME || TG_OP || (to_jsonb(changed) - ARRAY['added', 'used', 'box', 'front', 'tag'])::TEXT, 0);
			IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND (classid::BIGINT << 32 | objid::BIGINT) = mark) THEN
				RETURN NULL;
			END IF;
			PERFORM pg_advisory_lock(mark), nextval('SCHEMA.refused');
			RAISE EXCEPTION USING ERRCODE = '40001';
		END $f$;
		DO $$
		DECLARE name TEXT;
		BEGIN
			-- Rows that many transactions change at once are no mark, nor those that are drawn anew.
			FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'SCHEMA'::regnamespace
				AND c.relkind IN ('r', 'p') AND NOT c.relispartition
				AND c.relname NOT IN ('turn', 'goose_db_version', 'network', 'status_lists', 'heads', 'head_count', 'leaves', 'bond')
			LOOP
				EXECUTE format('CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE ON SCHEMA.%I
					DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION SCHEMA.refuse()', name);
			END LOOP;
		END $$`, "SCHEMA", schema))
	t.Cleanup(func() {
		if server.Administer(t, dsn, "SELECT is_called FROM "+schema+".refused") == "t" {
			refusals.Add(1)
		}
	})
}

// refusals counts the databases that have refused a transaction.
var refusals atomic.Int64

// onDisk looks into the files of a SQLite database.
func onDisk(t *testing.T, path, text string) bool {
	t.Helper()
	found := false
	for _, end := range []string{"", "-wal", "-shm"} {
		data, err := os.ReadFile(path + end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		found = found || strings.Contains(string(data), text)
	}
	return found
}
