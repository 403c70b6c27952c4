package sqlstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// TestInspect looks at databases of both engines, before and after they were
// made, and changes nothing.
func TestInspect(t *testing.T) {
	folder := t.TempDir()
	for name, where := range map[string]string{"SQLite": filepath.Join(folder, "a.db"), "PostgreSQL": pgtest.Start(t)} {
		t.Run(name, func(t *testing.T) {
			before, err := sqlstore.Inspect(t.Context(), where)
			if name == "SQLite" && !errors.Is(err, sqlstore.ErrMissing) || name == "PostgreSQL" && (err != nil || before.Schema != 0) {
				t.Fatalf("before: %+v %v", before, err)
			}
			db, err := sqlstore.Open(t.Context(), where)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			got, err := sqlstore.Inspect(t.Context(), where)
			if err != nil {
				t.Fatal(err)
			}
			if got.Schema == 0 || got.Schema != got.Newest || got.Writable != nil || got.Ahead.Abs() > time.Second {
				t.Errorf("after: %+v", got)
			}
			t.Logf("%+v", got)
		})
	}
}

// TestInspectSettings: a server that repeats values in its log, or may lose
// commits, is found.
func TestInspectSettings(t *testing.T) {
	server := pgtest.New(t, "log_statement=all", "full_page_writes=off")
	dsn := server.Database(t)
	got, err := sqlstore.Inspect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]string{}
	for _, w := range got.Wrong {
		wrong[w[0]] = w[1]
	}
	if wrong["log_statement"] != "all" || wrong["full_page_writes"] != "off" {
		t.Errorf("found %v", got.Wrong)
	}
	server.Kill(t)
	if _, err := sqlstore.Inspect(t.Context(), dsn); !errors.Is(err, sqlstore.ErrUnavailable) {
		t.Errorf("a server that is down: %v", err)
	}
}
