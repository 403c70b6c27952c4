package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Inspection is what a look at a database found. Looking changes nothing: no
// file is made and no migration run.
type Inspection struct {
	Engine string // its name and version
	// Schema is the number of the last migration that was run, Newest of the
	// last one that this program knows.
	Schema, Newest int64
	Old            bool // what is in it is not brought up to date: ErrNoRoster, ErrOldStores
	// Writable is nil when the database takes changes.
	Writable error
	// Ahead is how much later it is by the database's clock than by ours.
	Ahead time.Duration
	// Server and Name tell databases apart: two with one server lie on one
	// machine, two that share both are one database.
	Server, Name string
	// Wrong lists settings that are not as they must be: name, what it is, and
	// what it has to be.
	Wrong [][3]string
}

// Inspect looks at the main database, InspectKeyring at the keyring. ErrMissing
// if there is none, ErrUnavailable if its server cannot be reached.
func Inspect(ctx context.Context, where string) (Inspection, error) {
	return inspect(ctx, where, mainSchema)
}

// InspectKeyring looks at the keyring.
func InspectKeyring(ctx context.Context, where string) (Inspection, error) {
	return inspect(ctx, where, keyringSchema)
}

func inspect(ctx context.Context, where string, s schema) (i Inspection, err error) {
	if isPostgres(where) {
		i, err = inspectPostgres(ctx, where, s)
	} else {
		i, err = inspectSQLite(ctx, where)
	}
	if err != nil {
		return Inspection{}, err
	}
	i.Old = i.Schema < s.oldest
	i.Newest, err = s.newest(where)
	return i, err
}

// newest is the number of the last migration that this program knows for the
// engine.
func (s schema) newest(where string) (newest int64, err error) {
	sub, err := fs.Sub(s.files, s.dir)
	if err != nil {
		return 0, err
	}
	dialect := goose.DialectSQLite3
	if isPostgres(where) {
		dialect = goose.DialectPostgres
	}
	names, err := dialectFS{sub, dialect}.Glob("*.sql")
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		n, e := strconv.ParseInt(number, 10, 64)
		err = errors.Join(err, e)
		newest = max(newest, n)
	}
	return newest, err
}

func inspectSQLite(ctx context.Context, path string) (i Inspection, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return i, fmt.Errorf("sqlstore: resolve path: %w", err)
	}
	if empty, err := emptyFile(abs); empty {
		return i, errors.Join(ErrMissing, err)
	}
	db, err := sql.Open("sqlite", sqliteDSN(abs, "immediate", false, 0))
	if err != nil {
		return i, fmt.Errorf("sqlstore: open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var version, journal string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return i, fmt.Errorf("sqlstore: look: %w", classify(err))
	}
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return i, fmt.Errorf("sqlstore: look: %w", classify(err))
	}
	i = Inspection{Engine: "SQLite " + version, Server: "this machine", Name: abs}
	if journal != "wal" {
		i.Wrong = append(i.Wrong, [3]string{"journal_mode", journal, "wal"})
	}
	if i.Schema, err = applied(ctx, db, "goose_db_version"); err != nil {
		return i, err
	}
	tx, err := db.BeginTx(ctx, nil) // immediate: it takes the lock of a writer
	if err != nil {
		i.Writable = classify(err)
		return i, nil
	}
	return i, tx.Rollback()
}

// settings are what a server has to be set to, so that it loses no commit and
// repeats no value in its log (docs/decisions/0008-postgresql.md). Our own
// sessions set what their role may, so this asks what holds in one of them.
var settings = [][2]string{
	{"fsync", "on"},
	{"full_page_writes", "on"},
	{"log_statement", "none"},
	{"log_min_error_statement", "panic"},
	{"log_min_duration_statement", "-1"},
	{"log_parameter_max_length_on_error", "0"},
	{"log_error_verbosity", "terse"},
	{"statement_timeout", statementTimeout.String()},
	{"lock_timeout", busyTimeout.String()},
	{"idle_in_transaction_session_timeout", idleTimeout.String()},
}

func inspectPostgres(ctx context.Context, dsn string, s schema) (i Inspection, err error) {
	cfg, err := postgresConfig(dsn, s.name, statementTimeout, busyTimeout)
	if err != nil {
		return i, err
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var version string
	var clock, started float64
	var exists, mayWrite bool
	asked := time.Now()
	err = db.QueryRowContext(ctx, `SELECT current_setting('server_version'), EXTRACT(EPOCH FROM clock_timestamp())::float8,
		current_database(), EXTRACT(EPOCH FROM pg_postmaster_start_time())::float8,
		EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1),
		COALESCE(has_schema_privilege(to_regnamespace($1::text), 'USAGE, CREATE'), has_database_privilege(current_database(), 'CREATE'))`,
		s.name).Scan(&version, &clock, &i.Name, &started, &exists, &mayWrite)
	if err != nil {
		return i, fmt.Errorf("sqlstore: look: %w", classify(err))
	}
	between := asked.Add(time.Since(asked) / 2)
	i.Engine, i.Server = "PostgreSQL "+version, strconv.FormatFloat(started, 'f', 6, 64)
	i.Ahead = time.UnixMicro(int64(clock * 1e6)).Sub(between)
	if !mayWrite {
		i.Writable = errors.New("sqlstore: the role may not make tables")
	}
	for _, want := range settings {
		var is string
		if err := db.QueryRowContext(ctx, "SELECT current_setting($1)", want[0]).Scan(&is); err != nil {
			return i, fmt.Errorf("sqlstore: look: %w", classify(err))
		}
		if is != want[1] {
			i.Wrong = append(i.Wrong, [3]string{want[0], is, want[1]})
		}
	}
	if !exists {
		return i, nil
	}
	i.Schema, err = applied(ctx, db, "goose_db_version")
	return i, err
}

// applied is the number of the last migration that was run.
func applied(ctx context.Context, db *sql.DB, table string) (int64, error) {
	var n int64
	err := db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+table+" WHERE is_applied").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: look at the schema: %w", classify(err))
	}
	return n, nil
}
