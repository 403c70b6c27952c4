package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// openDB opens a new database that is closed when the test ends.
func openDB(t *testing.T) *DB {
	t.Helper()
	// A name that would break a careless connection string.
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "my %3F ?&#.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return sealing(t, db)
}

func TestSettings(t *testing.T) {
	db := openDB(t)
	for _, pool := range []struct {
		name string
		db   *sql.DB
		only int
	}{{"writer", db.write, 0}, {"readers", db.read, 1}} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1",
			"busy_timeout": "5000", "temp_store": "2", "trusted_schema": "0", "query_only": fmt.Sprint(pool.only),
		} {
			var got string
			if err := pool.db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s: %s is %s, want %s", pool.name, pragma, got, want)
			}
		}
	}
	if _, err := db.read.ExecContext(t.Context(), "DELETE FROM leaves"); err == nil {
		t.Error("a reader wrote")
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := db.tx(t.Context(), func(*sql.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(db.path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of one of the files is %o, want 600", got)
		}
	}
}

func TestTxAllOrNothing(t *testing.T) { everywhere(t, testTxAllOrNothing) }

func testTxAllOrNothing(t *testing.T, on place) {
	db := on.db(t)
	insert := func(tx *sql.Tx) error { return db.leaves(tx).add(t.Context(), tx, storetest.Entry(t, "").Hash) }
	count := func() int64 {
		n, err := db.Log().Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	stop := errors.New("stop")
	err := db.tx(t.Context(), func(tx *sql.Tx) error { return errors.Join(insert(tx), stop) })
	if !errors.Is(err, stop) || count() != 0 {
		t.Errorf("after an error: %v, %d rows, want stop and none", err, count())
	}
	func() {
		defer func() { _ = recover() }()
		_ = db.tx(t.Context(), func(tx *sql.Tx) error {
			if err := insert(tx); err != nil {
				t.Error(err)
			}
			panic("made up")
		})
	}()
	if count() != 0 {
		t.Errorf("after a panic: %d rows, want none", count())
	}
	ended, end := context.WithCancel(t.Context())
	err = db.tx(ended, func(tx *sql.Tx) error {
		err := insert(tx)
		end()
		return err
	})
	if !errors.Is(err, context.Canceled) || count() != 0 {
		t.Errorf("after the context ended: %v, %d rows, want canceled and none", err, count())
	}
	if err := db.tx(t.Context(), insert); err != nil || count() != 1 {
		t.Errorf("then: %v, %d rows, want 1", err, count())
	}
}

func TestViewIsOneMoment(t *testing.T) { everywhere(t, testViewIsOneMoment) }

func testViewIsOneMoment(t *testing.T, on place) {
	db := on.db(t)
	err := db.readTx(t.Context(), func(tx *sql.Tx) error {
		before, err := db.leaves(tx).Size(t.Context())
		if err != nil {
			return err
		}
		if err := errors.Join(db.Log().Append(t.Context(), storetest.Entry(t, "")), db.Log().CloseWindow(t.Context(), 0)); err != nil {
			return err
		}
		after, err := db.leaves(tx).Size(t.Context())
		if before != after {
			t.Errorf("the size changed from %d to %d inside one view", before, after)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBusyAndTwoProcesses(t *testing.T) {
	db := openDB(t)
	other, err := Open(t.Context(), db.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	sealing(t, other)
	if _, err := other.write.ExecContext(t.Context(), "PRAGMA busy_timeout = 10"); err != nil {
		t.Fatal(err)
	}
	err = db.tx(t.Context(), func(tx *sql.Tx) error {
		return other.Log().Append(t.Context(), storetest.Entry(t, ""))
	})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("write beside a writer: %v, want ErrBusy", err)
	}
	if err := other.Log().Append(t.Context(), storetest.Entry(t, "")); err != nil {
		t.Errorf("write after a writer: %v", err)
	}
	if n, err := db.Log().Waiting(t.Context()); err != nil || n != 1 {
		t.Errorf("the other's row: %d, %v, want 1", n, err)
	}
}

func TestFull(t *testing.T) {
	db := openDB(t)
	// SQLite's own limit on pages gives the same code as a full disk.
	if _, err := db.write.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	err := db.sealed(t.Context(), func(tx *sql.Tx, h *heads) error {
		e := storetest.Entry(t, "")
		e.Note = private.New(strings.Repeat("x", 1<<20))
		return db.appendEntries(t.Context(), tx, h, e)
	})
	if !errors.Is(err, ErrFull) {
		t.Errorf("write to a full disk: %v, want ErrFull", err)
	}
}

func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	for range 2 { // also on a database that is up to date
		db, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}

	// A migration that breaks off leaves no part of itself, and no database
	// is handed out.
	sqlFile := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + s)} }
	files := fstest.MapFS{"m/0001_a.sql": sqlFile("CREATE TABLE a (x BIGINT);"), "m/0002_b.sql": sqlFile("CREATE TABLE b (x BIGINT);\nNOT SQL;")}
	path = filepath.Join(t.TempDir(), "b.db")
	if _, err := open(t.Context(), path, schema{files: files, dir: "m"}); !errors.Is(err, ErrMigration) {
		t.Fatalf("open: %v, want ErrMigration", err)
	}
	files["m/0002_b.sql"] = sqlFile("CREATE TABLE b (x BIGINT);")
	b, err := open(t.Context(), path, schema{files: files, dir: "m"})
	if err != nil {
		t.Fatalf("open with the migration mended: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	// An older program still opens a newer database.
	delete(files, "m/0002_b.sql")
	if b, err = open(t.Context(), path, schema{files: files, dir: "m"}); err != nil {
		t.Fatalf("open with an older program: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMigrateAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	errs := make(chan error, 6)
	for range cap(errs) {
		go func() {
			db, err := Open(context.Background(), path)
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestNoClearText keeps columns for text about people, and times finer than a
// day, out of the schema.
func TestNoClearText(t *testing.T) {
	err := fs.WalkDir(mainMigrations, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(mainMigrations, path)
		if err != nil {
			return err
		}
		for _, word := range []string{"birth", "surname", "given_name", "nationality TEXT", "document_number", "phone", "email", "TIMESTAMP", "DATETIME"} {
			if strings.Contains(string(data), word) {
				t.Errorf("%s mentions %q", path, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTruncateErases(t *testing.T) {
	db := openDB(t)
	const caseID = "5eed"
	if err := db.Log().Append(t.Context(), storetest.Entry(t, caseID)); err != nil {
		t.Fatal(err)
	}
	var box []byte
	called := db.seals.entryName(caseID, 1)
	ok(t, db.read.QueryRowContext(t.Context(), "SELECT box FROM cells WHERE name = $1", called[:]).Scan(&box))
	secret := string(box[100:200])
	if !onDisk(t, db.path, secret) {
		t.Fatal("the test looks in the wrong place")
	}
	err := db.sealed(t.Context(), func(_ *sql.Tx, h *heads) error {
		c, err := h.caseOf(t.Context(), caseID)
		if err == nil {
			c.forget()
		}
		return err
	})
	if err := errors.Join(err, db.Truncate(t.Context())); err != nil {
		t.Fatal(err)
	}
	if onDisk(t, db.path, secret) {
		t.Error("erased bytes are still on the disk")
	}
	if h, err := db.Log().History(t.Context(), caseID); err != nil || len(h) != 0 {
		t.Errorf("history after erasure: %d entries, %v", len(h), err)
	}
	if n, err := db.Log().Waiting(t.Context()); err != nil || n != 1 {
		t.Errorf("the hash must stay: %d, %v", n, err)
	}
}

func TestBackup(t *testing.T) {
	db := openDB(t)
	e := storetest.Entry(t, "")
	if err := db.Log().Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("back up over a file: %v, want ErrExist", err)
	}
	db2, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db2.Close() }()
	sealing(t, db2)
	if all, err := db2.Log().Entries(t.Context()); err != nil || len(all) != 1 || all[0].Hash != e.Hash {
		t.Errorf("the copy holds %d entries, %v", len(all), err)
	}
}

func TestDays(t *testing.T) {
	for _, c := range []struct {
		t    time.Time
		want int64
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(86399, 0), 0},
		{time.Unix(86400, 0), 1},
		{time.Unix(-1, 0), -1},
		{time.Unix(-86400, 0), -1},
		{storetest.Day(0).Add(23 * time.Hour), 20513},
	} {
		if got := toDay(c.t); got != c.want {
			t.Errorf("day of %d: %d, want %d", c.t.Unix(), got, c.want)
		}
	}
	if got := fromDay(20513); !got.Equal(storetest.Day(0)) {
		t.Errorf("day 20513 is %s, want %s", got, storetest.Day(0))
	}
}

func TestLog(t *testing.T) {
	everywhereTwice(t, func(t *testing.T, on place) {
		storetest.Log(t, func(t *testing.T) storetest.LogStore { return on.db(t).Log() })
	})
}

func TestHistory(t *testing.T) { everywhere(t, testHistory) }

func testHistory(t *testing.T, on place) {
	log := on.db(t).Log()
	mine, other := storetest.NewID(), storetest.NewID()
	first, second := storetest.Entry(t, mine), storetest.Entry(t, mine)
	public := storetest.Entry(t, "")
	ok(t, log.Append(t.Context(), first, storetest.Entry(t, other), public))
	ok(t, log.CloseWindow(t.Context(), 0))
	ok(t, log.Append(t.Context(), second))
	h, err := log.History(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	if len(h) != 2 || h[0].Hash != first.Hash || h[1].Hash != second.Hash || h[0].Position < 0 || h[0].Position >= audit.Window || h[1].Position != -1 {
		t.Errorf("history: %d entries in another order or place", len(h))
	}
	if !h[0].Note.Equal(first.Note) || !h[0].Day.Equal(first.Day) || h[0].Case != mine {
		t.Error("an entry came back changed")
	}
	all, err := log.Entries(t.Context())
	if err != nil || len(all) != 1 || all[0].Hash != public.Hash {
		t.Errorf("entries of no case: %d, %v, want 1", len(all), err)
	}
}

// TestMigrationParts: what is taken away again never runs with what is made.
func TestMigrationParts(t *testing.T) {
	const made = "CREATE TABLE a (x BIGINT);\n"
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"up and down":              {"-- +goose Up\n" + made + "-- +goose Down\nDROP TABLE a;\n", nil},
		"up alone":                 {"-- +goose Up\n" + made, nil},
		"no part":                  {made, ErrMigration},
		"down first":               {"-- +goose Down\nDROP TABLE a;\n-- +goose Up\n" + made, ErrMigration},
		"down, written otherwise":  {"-- +goose Up\n" + made + "--+goose Down\nDROP TABLE a;\n", ErrMigration},
		"a word that is not taken": {"-- +goose Up\n-- +goose NO TRANSACTION\n" + made, ErrMigration},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{"m/0001_a.sql": {Data: []byte(c.text)}}
			b, err := open(t.Context(), filepath.Join(t.TempDir(), "m.db"), schema{name: "m", files: files, dir: "m"})
			if !errors.Is(err, c.want) {
				t.Fatalf("open: %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			defer func() { ok(t, b.Close()) }()
			if err := hasTable(t.Context(), b.read, "a", ""); err != nil {
				t.Errorf("the table that was made: %v", err)
			}
		})
	}
}
