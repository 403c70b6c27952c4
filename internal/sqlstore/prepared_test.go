package sqlstore

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestPrepared: a connection prepares a statement once, another time while it is being
// read from, sees what becomes of the tables, and does not keep more than it may.
func TestPrepared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if db, err := openSQLiteDB(sqliteDSN(path, "immediate", false, 0)); err == nil {
		if db.Ping() == nil {
			t.Error("a connection makes a file")
		}
		ok(t, db.Close())
	}
	ok(t, os.WriteFile(path, nil, 0o600))
	db := closed(t, func() (*sql.DB, error) { return openSQLiteDB(sqliteDSN(path, "immediate", false, 0)) })
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	ok(t, err)
	defer func() { ok(t, conn.Close()) }()
	kept := func() (n int) {
		ok(t, conn.Raw(func(c any) error { n = len(c.(*preparingConn).kept); return nil }))
		return n
	}
	run := func(query string, args ...any) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), query, args...)
		ok(t, err)
	}
	run("CREATE TABLE a (n INTEGER PRIMARY KEY)")
	if n := kept(); n != 0 {
		t.Errorf("%d statements are kept of a schema", n)
	}
	for i := range 3 {
		run("INSERT INTO a VALUES ($1)", i)
	}
	const numbers = "SELECT n FROM a WHERE n >= $1 ORDER BY n"
	var seen []int
	rows, err := conn.QueryContext(t.Context(), numbers, 0)
	ok(t, err)
	for rows.Next() {
		var outer, inner int
		ok(t, rows.Scan(&outer))
		ok(t, conn.QueryRowContext(t.Context(), numbers, outer).Scan(&inner)) // the rest is not read
		seen = append(seen, outer, inner)
	}
	ok(t, rows.Err())
	ok(t, rows.Close())
	if fmt.Sprint(seen) != "[0 0 1 1 2 2]" {
		t.Error(seen)
	}
	if n := kept(); n != 2 {
		t.Errorf("%d statements are kept, want 2", n)
	}
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO a VALUES ($1)", 2); !isTaken(err) {
		t.Errorf("a number twice: %v", err)
	}
	run("INSERT INTO a VALUES ($1)", 3)
	run("ALTER TABLE a RENAME TO b")
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO a VALUES ($1)", 4); err == nil {
		t.Error("a table that is not there took a row")
	}
	run("ALTER TABLE b RENAME TO a")
	run("INSERT INTO a VALUES ($1)", 4)
	for i := range 2 * maxPrepared {
		run(fmt.Sprintf("INSERT INTO a VALUES (%d)", 100+i))
	}
	if n := kept(); n > maxPrepared {
		t.Errorf("%d statements are kept", n)
	}
	var n int
	ok(t, conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n))
	if n != 5+2*maxPrepared {
		t.Errorf("%d rows", n)
	}
}
