package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteEngine is one SQLite file. The one connection that writes keeps writers
// from failing with SQLITE_BUSY, and readers do not wait for it (WAL).
type sqliteEngine struct{ of schema }

func openSQLite(ctx context.Context, path string, s schema) (*base, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: resolve path: %w", err)
	}
	// SQLite gives the WAL and shared-memory files the mode of the main file,
	// so that creating this one with 0600 covers all three.
	how := os.O_RDWR | os.O_CREATE
	if s.kept {
		how = os.O_RDWR
	}
	f, err := os.OpenFile(abs, how, 0o600) //nolint:gosec // where the folder or whoever runs this says
	if s.kept && errors.Is(err, os.ErrNotExist) {
		return nil, ErrMissing
	}
	if errors.Is(err, syscall.EISDIR) {
		return nil, fmt.Errorf("%w: a folder lies in its place", ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("sqlstore: open file: %w", err)
	}

	b := &base{engine: sqliteEngine{s}, path: abs}
	if b.write, err = openSQLiteDB(sqliteDSN(abs, "immediate", false, s.page)); err != nil {
		return nil, fmt.Errorf("sqlstore: open writer: %w", err)
	}
	b.write.SetMaxOpenConns(1)
	if s.kept {
		if err := hasTable(ctx, b.write, s.keys, s.had); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	if err := migrate(ctx, b.write, goose.DialectSQLite3, s); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if err := b.hold(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if b.read, err = openSQLiteDB(sqliteDSN(abs, "deferred", true, 0)); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: open readers: %w", err), b.Close())
	}
	readers := max(4, runtime.NumCPU())
	b.read.SetMaxOpenConns(readers)
	b.read.SetMaxIdleConns(readers)
	if err := b.Ping(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// hold notes which files are open. SQLite makes the write-ahead log and the
// shared memory when a connection first reads, and removes them with the last
// connection of all processes (https://sqlite.org/walformat.html, section 1.3).
// A pool may close any of its connections, and so the last one.
func (b *base) hold(ctx context.Context) (err error) {
	if b.anchor, err = openSQLiteDB(sqliteDSN(b.path, "deferred", true, 0)); err != nil {
		return fmt.Errorf("sqlstore: open files: %w", err)
	}
	b.anchor.SetMaxOpenConns(1)
	var tables int
	if err := b.anchor.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("sqlstore: open files: %w", classify(err))
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(b.path + suffix)
		if err != nil {
			return fmt.Errorf("sqlstore: open files: %w", err)
		}
		b.files = append(b.files, openFile{b.path + suffix, info})
	}
	return nil
}

// hasTable returns ErrMissing for a file that is empty, or of something else: it has
// neither table.
func hasTable(ctx context.Context, q querier, name, before string) error {
	var tables int
	err := q.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ($1, $2)", name, before).Scan(&tables)
	if err != nil {
		return fmt.Errorf("sqlstore: open: %w", classify(err))
	}
	if tables == 0 {
		return ErrMissing
	}
	return nil
}

// sqliteDSN names the file and every setting a connection must have. Settings
// stand here and not in statements, because each new connection of a pool
// starts from SQLite's defaults.
func sqliteDSN(path, lock string, readOnly bool, page int) string {
	q := url.Values{
		"_txlock": {lock},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			// FULL: a commit that was answered survives a power cut, which
			// WAL with NORMAL does not promise.
			"synchronous(FULL)",
			"foreign_keys(ON)",
			// Erased rows are overwritten with zeros, not only unlinked.
			"secure_delete(ON)",
			// Temporary tables and sorters stay off the disk.
			"temp_store(MEMORY)",
			"trusted_schema(OFF)",
		},
	}
	// After the others, which the driver sorts: the size of a page stays what it is when the
	// log is made.
	q.Set("_journal_mode", "WAL")
	if page > 0 {
		q.Add("_pragma", fmt.Sprintf("page_size(%d)", page))
	}
	// The file is there: a connection that a pool opens later makes none in its place, where
	// somebody has moved it away (https://sqlite.org/uri.html, the parameter mode).
	q.Set("mode", "rw")
	if readOnly {
		q.Add("_pragma", "query_only(ON)")
	} else {
		// Pages that this connection alone changes stay in memory, 8 MB of them: those
		// above all others, by which a row is found. At the end of each change SQLite
		// looks through all that it has in memory.
		q.Add("_pragma", "cache_size(-8192)")
		// The write-ahead log is moved into the database every 16 MB.
		q.Add("_pragma", "wal_autocheckpoint(4096)")
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

func (sqliteEngine) begin(ctx context.Context, conn *sql.Conn) (*sql.Tx, error) {
	return conn.BeginTx(context.WithoutCancel(ctx), nil) // or its end would undo the transaction
}

func (sqliteEngine) readOptions() *sql.TxOptions { return nil }

func (sqliteEngine) now() string { return "SELECT unixepoch()" }

// A file belongs to one process at a time: there is nobody else to hear it.
func (sqliteEngine) heartbeat(context.Context, string) error              { return nil }
func (sqliteEngine) leave(context.Context, string) error                  { return nil }
func (sqliteEngine) others(context.Context, querier, string) (int, error) { return 0, nil }
func (sqliteEngine) expired(string) string                                { return "TRUE" }
func (sqliteEngine) close() error                                         { return nil }

func (e sqliteEngine) damage(ctx context.Context, tx *sql.Tx) ([]string, error) {
	var whole string
	if err := tx.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&whole); err != nil {
		return nil, err
	}
	if whole != "ok" {
		return []string{"the database file is damaged"}, nil
	}
	want, err := e.of.made(ctx)
	if err != nil {
		return nil, err
	}
	is, err := list(ctx, tx, scanText, selectSchema)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(is, want) {
		return []string{"the tables of the database are not those that this program makes"}, nil
	}
	return nil, nil
}

// selectSchema is all that SQLite knows of tables, indexes, views and triggers, but where
// they lie.
const selectSchema = "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || COALESCE(sql, '') FROM sqlite_schema ORDER BY 1"

func scanText(row scanner) (text string, err error) { return text, row.Scan(&text) }

// made is what selectSchema says of a database that has just been made. A trigger that
// somebody else has added, which would run with our own statements, is not in it.
func (s schema) made(ctx context.Context) (all []string, err error) {
	db, err := openSQLiteDB(":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // each has a memory of its own
	if err := migrate(ctx, db, goose.DialectSQLite3, s); err != nil {
		return nil, err
	}
	return list(ctx, db, scanText, selectSchema)
}

// wipe empties the write-ahead log, which would otherwise keep the bytes of
// erased rows. In the database itself secure_delete has overwritten them.
func (sqliteEngine) wipe(ctx context.Context, write *sql.DB, _ ...string) error {
	var busy, inLog, moved int
	err := write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &moved)
	if err != nil {
		return fmt.Errorf("sqlstore: empty the write-ahead log: %w", classify(err))
	}
	if busy != 0 {
		return fmt.Errorf("sqlstore: empty the write-ahead log: %w", ErrBusy)
	}
	return nil
}

func (sqliteEngine) backup(ctx context.Context, write *sql.DB, path string) error {
	// VACUUM INTO leaves freed pages behind, so that a copy never holds what
	// was erased before it was made.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("sqlstore: back up: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("sqlstore: back up: %w", err)
	}
	if _, err := write.ExecContext(ctx, "VACUUM INTO $1", path); err != nil {
		return fmt.Errorf("sqlstore: back up: %w", classify(err))
	}
	return nil
}

// describe asks SQLite for its tables. Sorting keeps a dump the same from day to
// day.
func (sqliteEngine) describe(ctx context.Context, q querier) ([]table, error) {
	names, err := list(ctx, q, func(row scanner) (name string, err error) { return name, row.Scan(&name) },
		"SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
	if err != nil {
		return nil, err
	}
	all := make([]table, len(names))
	for i, name := range names {
		t := table{name: name, itself: map[string]string{}}
		type one struct {
			column

			key int
		}
		columns, err := list(ctx, q, func(row scanner) (c one, err error) {
			err = row.Scan(&c.Name, &c.Kind, &c.key)
			c.Kind = kindOf(c.Kind)
			return c, err
		}, "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid", name)
		if err != nil {
			return nil, err
		}
		for _, c := range columns {
			t.columns = append(t.columns, c.column)
		}
		slices.SortStableFunc(columns, func(a, b one) int { return a.key - b.key })
		for _, c := range columns {
			if c.key > 0 {
				t.key = append(t.key, c.Name)
			}
		}
		_, err = list(ctx, q, func(row scanner) (none struct{}, err error) {
			var other, from, to string
			err = row.Scan(&other, &from, &to)
			t.needs = append(t.needs, other)
			if other == name {
				t.itself[from] = to
			}
			return none, err
		}, `SELECT "table", "from", "to" FROM pragma_foreign_key_list($1)`, name)
		if err != nil {
			return nil, err
		}
		all[i] = t
	}
	return all, nil
}

// withoutTimeouts has nothing to do: SQLite ends no transaction by itself.
func (sqliteEngine) withoutTimeouts(context.Context, *sql.Tx) error { return nil }

// renumber has nothing to do: SQLite looks for the highest number each time.
func (sqliteEngine) renumber(context.Context, *sql.Tx, []table) error { return nil }

// classifySQLite is the name that an error of SQLite has among ours, or nil.
func classifySQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	if e.Code() == sqlite3.SQLITE_IOERR_SHORT_READ { // the file ends too soon
		return ErrDamaged
	}
	switch e.Code() & 0xff { // the low byte is the primary result code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return ErrBusy
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrDamaged
	case sqlite3.SQLITE_ERROR: // of everything else that it stands for only the text tells
		if text := e.Error(); strings.Contains(text, "no such table") || strings.Contains(text, "no such column") {
			return ErrDamaged
		}
		return nil
	default:
		return nil
	}
}

func sqliteTaken(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) &&
		(e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
