// Package sqlitetest does to a SQLite file what whoever can write to it could do,
// past every rule of ours, so that tests can see what is then believed. Stores
// and what they keep are left to internal/sqlstore.
package sqlitetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"testing"

	_ "modernc.org/sqlite" // the driver
)

// Administer runs statements in the database at path, which others may have open.
// No foreign keys are looked at.
func Administer(t testing.TB, path string, statements ...string) {
	t.Helper()
	if err := Run(t.Context(), path, statements...); err != nil {
		t.Fatal(err)
	}
}

// Run is Administer for a test that has no testing.TB.
func Run(ctx context.Context, path string, statements ...string) (err error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// DB is a SQLite file that a test looks at before it changes it.
type DB struct{ *sql.DB }

// Open opens the database at path. No foreign keys are looked at.
func Open(t testing.TB, path string) *DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // temporary tables are a connection's own
	t.Cleanup(func() { _ = db.Close() })
	return &DB{db}
}
