package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

// fillTables puts rows into every corner that a dump has to get right: NULLs,
// empty and arbitrary bytes, text in many scripts, rows that refer to others of
// their table, and numbers that count by themselves.
func fillTables(t *testing.T, db *DB) {
	t.Helper()
	for _, s := range []struct {
		query string
		args  []any
	}{
		{"INSERT INTO leaves (name, place, box) VALUES ($1, $2, $3)", []any{[]byte{0, 1, 255}, nil, []byte{}}},
		{"INSERT INTO leaves (name, place, box) VALUES ($1, $2, $3)", []any{[]byte{0, 1, 254}, []byte{1}, []byte("h")}},
		{"INSERT INTO names (set_name, item, box) VALUES ($1, $2, $3)", []any{make([]byte, 16), []byte("an item"), []byte("a box")}},
		{"INSERT INTO names (set_name, item, box) VALUES ($1, $2, $3)", []any{make([]byte, 16), []byte("another item"), []byte{}}},
		{"INSERT INTO status_lists (number, used, closed, status, answers) VALUES (3, 1, $1, 'token \" with \\ and \n', 'ចាន់ សុខា')", []any{false}},
		{"INSERT INTO agencies (id, version) VALUES ('Ένα', 9223372036854775807)", nil},
		{"INSERT INTO epochs (id, keys, created_day, seal_day, end_day, burned_day, reduced) VALUES (1, $1, 1, 2, 3, NULL, $2)", []any{[]byte(nil), true}},
	} {
		if _, err := db.write.ExecContext(t.Context(), s.query, s.args...); err != nil {
			t.Fatalf("%s: %v", s.query, err)
		}
	}
}

func dumpOf(t *testing.T, db *DB) (Dumped, [][]byte) {
	t.Helper()
	var parts [][]byte
	d, err := db.Dump(t.Context(), func(p []byte) error { parts = append(parts, bytes.Clone(p)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return d, parts
}

func load(t *testing.T, db *DB, parts [][]byte) (map[string]int64, error) {
	t.Helper()
	return db.Load(t.Context(), func() ([]byte, bool, error) {
		if len(parts) == 0 {
			return nil, false, nil
		}
		p := parts[0]
		parts = parts[1:]
		return p, true, nil
	})
}

// TestDump carries rows from each engine into each, and compares byte by byte.
func TestDump(t *testing.T) {
	for from, one := range map[string]place{"sqlite": sqlitePlace, "postgres": postgresPlace} {
		for to, other := range map[string]place{"sqlite": sqlitePlace, "postgres": postgresPlace} {
			t.Run(from+" to "+to, func(t *testing.T) {
				source, target := one.db(t), unsealed(t, other.db(t))
				fillTables(t, source)
				d, parts := dumpOf(t, source)
				if _, there := d.Rows["names"]; d.Schema == 0 || there || d.Rows["leaves"] != 2 {
					t.Fatalf("dumped: %+v", d)
				}
				loaded, err := load(t, target, parts)
				if err != nil {
					t.Fatal(err)
				}
				maps.DeleteFunc(d.Rows, func(_ string, n int64) bool { return n == 0 })
				if !maps.Equal(loaded, d.Rows) {
					t.Errorf("loaded %v of %v", loaded, d.Rows)
				}
				_, again := dumpOf(t, target)
				if !bytes.Equal(bytes.Join(parts, nil), bytes.Join(again, nil)) {
					t.Errorf("the copy differs:\n%s\n%s", bytes.Join(parts, nil), bytes.Join(again, nil))
				}
				// Numbers go on behind those that came.
				if _, err := target.write.ExecContext(t.Context(), "INSERT INTO status_lists (used, closed, status, answers) VALUES (0, $1, '', '')", false); err != nil {
					t.Fatal(err)
				}
				var newest int64
				if err := target.read.QueryRowContext(t.Context(), "SELECT MAX(number) FROM status_lists").Scan(&newest); err != nil || newest != 4 {
					t.Errorf("the newest list is %d, %v", newest, err)
				}
			})
		}
	}
}

// TestLoadRefuses: all or nothing, and nothing that the schema does not have.
func TestLoadRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		source := on.db(t)
		fillTables(t, source)
		_, parts := dumpOf(t, source)
		const head = `{"table":"epochs","columns":[{"name":"id","kind":"integer"},{"name":"created_day","kind":"integer"},` +
			`{"name":"seal_day","kind":"integer"},{"name":"end_day","kind":"integer"},{"name":"reduced","kind":"boolean"}]}` + "\n"
		for what, bad := range map[string]string{
			"another table":        `{"table":"sqlite_schema","columns":[{"name":"sql","kind":"text"}]}` + "\n[\"x\"]\n",
			"the migrations' book": `{"table":"goose_db_version","columns":[{"name":"version_id","kind":"integer"}]}` + "\n[99]\n",
			"another column":       `{"table":"epochs","columns":[{"name":"id) VALUES (1); --","kind":"integer"}]}` + "\n[1]\n",
			"another kind":         `{"table":"epochs","columns":[{"name":"id","kind":"text"}]}` + "\n[\"1\"]\n",
			"no head":              "[1]\n",
			"a short row":          head + "[1]\n",
			"text for a number":    head + "[\"x\",1,1,1,true]\n",
			"no JSON":              head + "[1,\n",
			"a row twice":          head + "[5,1,1,1,true]\n[5,1,1,1,true]\n",
		} {
			t.Run(what, func(t *testing.T) {
				target := unsealed(t, on.db(t))
				if _, err := load(t, target, append(slices.Clone(parts), []byte(bad))); err == nil {
					t.Error("taken")
				} else if strings.Contains(err.Error(), "VALUES (1)") || what != "a row twice" && !errors.Is(err, ErrRows) {
					t.Error(err)
				}
				if d, _ := dumpOf(t, target); d.Rows["leaves"] != 0 {
					t.Error("rows stayed")
				}
			})
		}
	})
}

// TestLeadAnew: a dump does not say what leads to a case, not even under our own keys. It is
// made anew from the bodies that open, and leads to no other.
func TestLeadAnew(t *testing.T) { everywhere(t, testLeadAnew) }

func testLeadAnew(t *testing.T, on place) {
	ctx, source, target := t.Context(), on.db(t), unsealed(t, on.db(t))
	kept, erased := aCase(t, source), aCase(t, source)
	rows := func(db *DB) (all []string) {
		found, err := list(ctx, db.read, func(row scanner) (one [2][]byte, err error) { return one, row.Scan(&one[0], &one[1]) },
			"SELECT set_name, item FROM names ORDER BY set_name, item")
		ok(t, err)
		for _, one := range found {
			all = append(all, string(one[0])+string(one[1]))
		}
		return all
	}
	before := rows(source)
	_, parts := dumpOf(t, source)
	_, err := load(t, target, parts)
	ok(t, err)
	if n := len(rows(target)); n > 0 {
		t.Errorf("%d rows of the dump lead to cases", n)
	}
	target.CaseKeys(func(ctx context.Context, id string) ([]byte, error) {
		if id == erased.Case {
			return nil, vault.ErrNotFound
		}
		return storetest.CaseKey(ctx, id)
	})
	for range 2 { // also where there are some already
		ok(t, target.LeadAnew(ctx))
	}
	after := rows(target)
	if len(after) != len(before)/2 || slices.ContainsFunc(after, func(one string) bool { return !slices.Contains(before, one) }) {
		t.Errorf("%d rows, they were %d", len(after), len(before))
	}
	if problems, err := target.CheckLoaded(ctx); err != nil || len(problems) > 0 {
		t.Errorf("%v, %q", err, problems)
	}
	if _, err := target.Vault().Grant(ctx, kept.Record, kept.Agency); err != nil {
		t.Error(err)
	}
	if must, err := target.Keyless(ctx, []string{erased.Case, storetest.NewID()}); err != nil || !slices.Equal(must, []string{erased.Case}) {
		t.Errorf("records without a key: %q, %v", must, err)
	}
}
