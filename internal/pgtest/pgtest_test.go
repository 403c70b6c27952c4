package pgtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/pgtest"
)

func TestStart(t *testing.T) {
	a, b := pgtest.Start(t), pgtest.Start(t)
	if a == b {
		t.Fatal("two tests got one database")
	}
	server := pgtest.Shared(t)
	server.Administer(t, a, "CREATE TABLE x (y INT)")
	if got := server.Administer(t, b, "SELECT to_regclass('x') IS NULL"); got != "t" {
		t.Errorf("the other database has no such table: %q, want t", got)
	}
	if got := server.Administer(t, a, "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %q, want on", got)
	}
	if got := server.Administer(t, a, "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'"); got != "f" {
		t.Errorf("the application is a superuser: %q, want f", got)
	}
	if !server.Holds(t, "database system is ready") || server.Holds(t, "what nobody wrote"+t.Name()) {
		t.Error("Holds does not find what is there, or finds what is not")
	}
}

func TestStandbyTakesOver(t *testing.T) {
	primary := pgtest.New(t)
	dsn := primary.Database(t)
	primary.Administer(t, dsn, "CREATE TABLE x (y INT)")
	standby := primary.Standby(t)
	if got := standby.Administer(t, dsn, "SELECT pg_is_in_recovery()"); got != "t" {
		t.Fatalf("the standby is in recovery: %q, want t", got)
	}
	primary.Kill(t)
	standby.Promote(t)
	if got := standby.Administer(t, dsn, "INSERT INTO x VALUES (1) RETURNING y"); got != "1" {
		t.Errorf("a write after the promotion: %q, want 1", got)
	}
}

// TestEmptied gives databases that were used to tests again.
func TestEmptied(t *testing.T) {
	server := pgtest.Shared(t)
	seen := map[string]bool{}
	for range 3 {
		t.Run("", func(t *testing.T) {
			dsn := pgtest.Start(t)
			seen[dsn] = true
			server.Administer(t, dsn, "CREATE TABLE x (y INT); CREATE SCHEMA s; CREATE TABLE s.x (y INT)")
		})
	}
	if len(seen) == 3 {
		t.Error("no database came back")
	}
}

// TestNothingIsLeft looks for the folder of a server whose test has ended.
func TestNothingIsLeft(t *testing.T) {
	var data string
	t.Run("server", func(t *testing.T) { data = pgtest.New(t).Data() })
	if data == "" {
		t.Skip("no server was started")
	}
	for range 3000 { // a minute
		if _, err := os.Stat(data); os.IsNotExist(err) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the folder is still there")
}
