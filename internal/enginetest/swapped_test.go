package enginetest_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/vault"
)

// exchange lets two rows of a table have each other's values in some columns. The rows are
// those with the lowest and the highest key of all whose values are of one length.
func exchange(t *testing.T, path, table, key string, columns ...string) {
	t.Helper()
	db := sqlitetest.Open(t, path)
	defer func() { _ = db.Close() }()
	which := "TRUE"
	if table == "heads" {
		which = "subject LIKE 'case/%'"
	}
	same := fmt.Sprintf("%[3]s AND length(%[1]s) = (SELECT length(%[1]s) FROM %[2]s WHERE %[3]s GROUP BY 1 ORDER BY COUNT(*) DESC LIMIT 1)", columns[0], table, which)
	var a, b []byte
	err := db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT MIN(%[1]s), MAX(%[1]s) FROM %[2]s WHERE %[3]s", key, table, same)).Scan(&a, &b)
	if err != nil || bytes.Equal(a, b) {
		t.Fatalf("%s has no two rows to exchange: %v", table, err)
	}
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = fmt.Sprintf("%[1]s = (SELECT o.%[1]s FROM before o WHERE CAST(o.%[2]s AS BLOB) <> CAST(%[3]s.%[2]s AS BLOB))", c, key, table)
	}
	for _, s := range []string{
		fmt.Sprintf("CREATE TEMP TABLE before AS SELECT * FROM %[1]s WHERE CAST(%[2]s AS BLOB) IN (x'%[3]x', x'%[4]x')", table, key, a, b),
		fmt.Sprintf("UPDATE %[1]s SET %[2]s WHERE CAST(%[3]s AS BLOB) IN (x'%[4]x', x'%[5]x')", table, strings.Join(sets, ", "), key, a, b),
	} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestSwapped is of hostile cases 69 and 81, in a whole network: what is whole in itself and
// lies in another's place, is cut, in another order, or older, is found by the check of
// everything.
func TestSwapped(t *testing.T) {
	older := t.TempDir()
	var pages []string // of the first version of a page, and of the second
	r, a := newAtRest(t, func(a *attacked) {
		a.ok(os.CopyFS(older, os.DirFS(a.cfg.Dir)))
		objects, err := a.s.DB.Vault().AllObjects(t.Context(), vault.Object{}, 1000)
		a.ok(err)
		for _, o := range objects {
			if o.Record == a.document && o.Page == 1 {
				pages = append(pages, o.Blob)
			}
		}
		a.publish()
		a.publish()
	})
	if len(pages) != 2 {
		t.Fatalf("%d versions of the page", len(pages))
	}
	to := filepath.Join(t.TempDir(), "copy")
	change := func(name string, how func([]byte) []byte) func(*testing.T, config.Folder) {
		return func(t *testing.T, f config.Folder) {
			t.Helper()
			data, err := os.ReadFile(f.Path(name))
			if err := errors.Join(err, os.WriteFile(f.Path(name), how(slices.Clone(data)), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(data []byte) []byte { return data[:len(data)-1] }
	page := func(i int) string { return filepath.Join(config.ObjectsName, pages[i]) }
	as := func(from string) func([]byte) []byte {
		return func([]byte) []byte {
			data, err := os.ReadFile(from)
			a.ok(err)
			return data
		}
	}
	run := func(db, statement string) func(*testing.T, config.Folder) {
		return func(t *testing.T, f config.Folder) { sqlitetest.Administer(t, f.Path(db), statement) }
	}
	cases := map[string]func(*testing.T, config.Folder){
		"a page is the older version of itself": change(page(1), as(filepath.Join(r.dir, page(0)))),
		"a page is cut":                         change(page(1), cut),
		"a page without its last chunk":         change(page(1), func(b []byte) []byte { return b[:len(b)-len(b)%(64<<10+16)] }),
		"chunks of a page in another order": change(page(1), func(b []byte) []byte {
			n, half := len(b), 16<<10
			return slices.Concat(b[:n-2*half], b[n-half:], b[n-2*half:n-half])
		}),
		"a page with more behind it":          change(page(1), func(b []byte) []byte { return append(b, 0) }),
		"a keyring row is cut":                run(config.KeyringName, "UPDATE keys SET box = substr(box, 1, length(box) - 1) WHERE name = (SELECT MIN(name) FROM keys)"),
		"a keyring row is another's":          func(t *testing.T, f config.Folder) { exchange(t, f.Path(config.KeyringName), "keys", "name", "box") },
		"a keyring row with its name is gone": run(config.KeyringName, "DELETE FROM keys WHERE name = (SELECT MIN(name) FROM keys)"),
		"the keyring is an older one": func(t *testing.T, f config.Folder) {
			t.Helper()
			var changes int
			db := sqlitetest.Open(t, f.Path(config.KeyringName))
			a.ok(db.QueryRowContext(t.Context(), "SELECT changes FROM bond").Scan(&changes))
			a.ok(db.Close())
			sqlitetest.Administer(t, f.Path(config.KeyringName), fmt.Sprintf("UPDATE bond SET changes = %d", changes-1))
		},
		"the pack outside is an older one":    change(config.AsideName+"/"+offsite.PackName, as(filepath.Join(older, config.AsideName, offsite.PackName))),
		"the journal outside is an older one": change(config.AsideName+"/"+offsite.JournalName, as(filepath.Join(older, config.AsideName, offsite.JournalName))),
		"the checkpoint is an older one":      change(config.LogName+"/checkpoint", as(filepath.Join(older, config.LogName, "checkpoint"))),
		"the checkpoint is cut":               change(config.LogName+"/checkpoint", cut),
		"a tile is cut":                       change(config.LogName+"/tile/0/000", cut),
		"a tile is another":                   change(config.LogName+"/tile/0/000", as(filepath.Join(r.dir, config.LogName, "tile/0/001"))),
		"the database is cut":                 change(config.DatabaseName, func(b []byte) []byte { return b[:len(b)/2] }),
		"a trigger": run(config.DatabaseName,
			"CREATE TRIGGER more AFTER DELETE ON cells BEGIN INSERT INTO nonces (name, hour, box) VALUES (old.name, 0, old.box); END"),
		"a table more": run(config.KeyringName, "CREATE TABLE more (box BLOB)"),
	}
	for table, columns := range map[string][]string{
		"cells": {"box"}, "names": {"box"}, "status_entries": {"box"}, "leaves": {"box"}, "requests": {"box"}, "sessions": {"box"},
		"invitations": {"box"}, "idempotency": {"box"}, "passkey_uses": {"box"}, "lookup_budgets": {"box"}, "paper_tries": {"box"},
	} {
		key := map[string]string{"idempotency": "id", "names": "item"}[table]
		if key == "" {
			key = "name"
		}
		cases[table+": a box is cut"] = run(config.DatabaseName, fmt.Sprintf("UPDATE %[1]s SET box = substr(box, 1, length(box) - 1) WHERE %[2]s = (SELECT MIN(%[2]s) FROM %[1]s)", table, key))
		if table == "paper_tries" {
			continue // it has one row
		}
		cases[table+": a row has another's box"] = func(t *testing.T, f config.Folder) { exchange(t, f.Path(config.DatabaseName), table, key, columns...) }
	}
	cases["heads: a case has another's body"] = func(t *testing.T, f config.Folder) {
		exchange(t, f.Path(config.DatabaseName), "heads", "subject", "content")
	}
	cases["heads: a case has another's head"] = func(t *testing.T, f config.Folder) {
		exchange(t, f.Path(config.DatabaseName), "heads", "subject", "content", "digest", "mac", "number")
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.t = t
			folder := r.copied(to)
			cases[name](t, folder)
			found, err := doctor.Fsck(t.Context(), folder)
			if err == nil && len(found.Problems) == 0 {
				t.Error("it is not found")
			}
		})
	}
}
