package sqlstore

import (
	"bytes"
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// oneLeaf is a row of leaves that has its place.
const oneLeaf = "name = (SELECT name FROM leaves WHERE place IS NOT NULL ORDER BY name LIMIT 1)"

// TestLeavesAreHeld: a row of leaves that was removed, changed, moved or put back, or whose
// place was taken, is found, by the check of everything or by whoever holds the tree
// against what was published.
func TestLeavesAreHeld(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		for name, spoil := range map[string]string{
			"a published one removed": "DELETE FROM leaves WHERE " + oneLeaf,
			"its place taken":         "UPDATE leaves SET place = NULL WHERE " + oneLeaf,
			"given another place":     "UPDATE leaves SET place = name WHERE " + oneLeaf,
			"another's box":           "UPDATE leaves SET box = (SELECT box FROM leaves ORDER BY name DESC LIMIT 1) WHERE " + oneLeaf,
			"a window less":           "UPDATE log_size SET numbered = numbered - 256",
			"a window more":           "UPDATE log_size SET numbered = numbered + 256",
			"one that waits removed":  "DELETE FROM leaves WHERE place IS NULL",
			"one that waits placed":   "UPDATE leaves SET place = name WHERE place IS NULL",
		} {
			t.Run(name, func(t *testing.T) {
				db := on.db(t)
				for n := range int64(2) {
					ok(t, db.Log().Append(t.Context(), storetest.Entry(t, ""), storetest.Entry(t, "")))
					ok(t, db.Log().CloseWindow(t.Context(), n*audit.Window))
				}
				ok(t, db.Log().Append(t.Context(), storetest.Entry(t, "")))
				published, err := db.Log().Sequenced(t.Context(), 0, 1000)
				ok(t, err)
				holds := func() bool {
					problems, err := db.CheckSeals(t.Context())
					ok(t, err)
					now, err := db.Log().Sequenced(t.Context(), 0, 1000)
					return len(problems) == 0 && err == nil && slices.Equal(now, published)
				}
				if !holds() {
					t.Fatal("damaged before")
				}
				if _, err := db.write.ExecContext(t.Context(), spoil); err != nil {
					t.Fatal(err)
				}
				if holds() {
					t.Error("not found")
				}
			})
		}
	})
}

// TestFillingLeaves: what fills a place is known again by its number, is another one in a
// log that began anew, and stays where a former log had it.
func TestFillingLeaves(t *testing.T) {
	db := openDB(t)
	begin := func(origin string) {
		t.Helper()
		e := storetest.Entry(t, "")
		ok(t, db.sealed(t.Context(), func(tx *sql.Tx, h *heads) error {
			at := db.leaves(tx)
			if err := at.write(t.Context(), tx, h, e); err != nil {
				return err
			}
			return at.beginAnew(t.Context(), tx, LogRestart{Origin: origin}, e.Hash)
		}))
		db.restarts.Store(nil)
		db.known.forget()
	}
	all := func() [][32]byte {
		t.Helper()
		leaves, err := db.Log().Sequenced(t.Context(), 0, 100_000)
		ok(t, err)
		return leaves
	}
	window := func() {
		t.Helper()
		size, err := db.Log().Size(t.Context())
		ok(t, err)
		ok(t, db.Log().CloseWindow(t.Context(), size))
	}
	window()
	first := all()
	window()
	one := all()
	begin("two")
	two := all()
	window()
	if !slices.Equal(two[audit.Window:], one) || len(two) != 3*audit.Window {
		t.Error("the leaves of before are others, or elsewhere")
	}
	begin("three")
	three := all()
	if len(three) != 5*audit.Window || !slices.Equal(three[2*audit.Window:4*audit.Window], one) {
		t.Error("the leaves of before are others, or elsewhere")
	}
	sorted := slices.Clone(three)
	slices.SortFunc(sorted, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(sorted)) != len(three) {
		t.Error("two leaves are the same")
	}
	if slices.Contains(first, three[len(three)-1]) || fmt.Sprint(first) == fmt.Sprint(three[:audit.Window]) {
		t.Error("two logs fill alike")
	}
	window()
	begin("four") // from the same rows, another restore would have drawn another name
	if four := all(); slices.ContainsFunc(four[:audit.Window], func(h [32]byte) bool { return slices.Contains(three, h) }) {
		t.Error("two logs fill alike")
	}
}
