package sqlstore

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

// TestLayKeepsRows: nothing that a row says is changed by where it lies.
func TestLayKeepsRows(t *testing.T) { everywhere(t, testLayKeepsRows) }

func testLayKeepsRows(t *testing.T, on place) {
	db := on.db(t)
	fillTables(t, db)
	for i := range 3 * layAtOnce {
		addCell(t, db, []byte{byte(i), byte(i >> 8), 1}, 700+i)
	}
	s := aCase(t, db)
	d, before := dumpOf(t, db)
	for range 2 {
		ok(t, db.Lay(t.Context()))
	}
	if d.Rows["cells"] < 3*layAtOnce || d.Rows["heads"] == 0 {
		t.Errorf("%v: this test proves nothing", d.Rows)
	}
	if _, after := dumpOf(t, db); !slices.EqualFunc(before, after, bytes.Equal) {
		t.Error("rows have changed")
	}
	if _, err := db.Vault().Grant(t.Context(), s.Record, s.Agency); err != nil {
		t.Error(err)
	}
}

func addCell(t *testing.T, db *DB, called []byte, size int) {
	t.Helper()
	box := make([]byte, size)
	_, _ = rand.Read(box)
	ok(t, db.tx(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO cells (name, box) VALUES ($1, $2)", called, box)
		return err
	}))
}

// TestLayParts: a table that is longer than what changes places in one go is gone through
// in several, from any row on, and then from the first.
func TestLayParts(t *testing.T) {
	db := openDB(t)
	for i := range 2*layEach + 1 {
		addCell(t, db, []byte{byte(i >> 8), byte(i), 1}, 16)
	}
	begins := map[string]bool{}
	for range 8 {
		db.layout.behind = nil // as another process
		ok(t, db.Lay(t.Context()))
		begins[fmt.Sprintf("%x", db.layout.behind["cells"])] = true
	}
	if len(begins) < 3 {
		t.Errorf("it always begins at the same row: %v", begins)
	}
	ends := 0
	for range 8 {
		ok(t, db.Lay(t.Context()))
		if db.layout.behind["cells"] == nil {
			ends++
		}
	}
	if ends < 2 {
		t.Errorf("it came to the end %d times", ends)
	}
}

// TestLayTellsNothing: what came together lies together in a SQLite file, until it was laid
// anew.
func TestLayTellsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	db := openAt(t, path)
	const acts = 100
	type cell struct{ act, at int }
	boxes := map[string]int{}
	for act := range acts {
		for range 2 {
			called, box := make([]byte, 16), make([]byte, 13000)
			_, _ = rand.Read(called)
			_, _ = rand.Read(box)
			boxes[string(box)] = act
			ok(t, db.tx(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), "INSERT INTO cells (name, box) VALUES ($1, $2)", called, box)
				return err
			}))
		}
	}
	together := func() (n int) {
		ok(t, db.Truncate(t.Context()))
		file, err := os.ReadFile(path)
		ok(t, err)
		var cells []cell
		for box, act := range boxes {
			at := bytes.Index(file, []byte(box[len(box)-64:]))
			if at < 0 {
				t.Fatal("a box is not in the file")
			}
			cells = append(cells, cell{act, at})
		}
		slices.SortFunc(cells, func(a, b cell) int { return a.at - b.at })
		for i := range cells[1:] {
			if cells[i].act == cells[i+1].act {
				n++
			}
		}
		return n
	}
	if n := together(); n < acts*8/10 {
		t.Errorf("%d of %d are neighbours: this test proves nothing", n, acts)
	}
	ok(t, db.Lay(t.Context()))
	if n := together(); n > acts/10 { // one by chance
		t.Errorf("%d of %d are neighbours", n, acts)
	}
}

// TestBoxAnew: every place is written anew, and says what it said.
func TestBoxAnew(t *testing.T) { everywhere(t, testBoxAnew) }

func testBoxAnew(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	open, err := db.Credentials().OpenList(ctx)
	ok(t, err)
	s := aCase(t, db)
	for i := range 6 {
		d := draftAt(open, uint32(i*700))
		d.Case = s.Case
		ok(t, db.Credentials().Reserve(ctx, d, nil, storetest.Entry(t, "")))
	}
	boxes := func() (all []string) {
		rows, err := list(ctx, db.read, func(row scanner) (box []byte, err error) { return box, row.Scan(&box) }, "SELECT box FROM status_entries")
		ok(t, err)
		for _, b := range rows {
			all = append(all, string(b))
		}
		return all
	}
	entries, err := db.Credentials().Entries(ctx, open)
	ok(t, err)
	before := boxes()
	ok(t, db.Credentials().BoxAnew(ctx))
	for _, b := range boxes() {
		if slices.Contains(before, b) {
			t.Error("a box is as it was")
		}
	}
	again, err := db.Credentials().Entries(ctx, open)
	if err != nil || len(entries) < 6 || !slices.Equal(entries, again) {
		t.Errorf("%v, %v; they were %v", again, err, entries)
	}
	if problems, err := db.CheckSeals(ctx); err != nil || len(problems) > 0 {
		t.Errorf("%v, %q", err, problems)
	}
}

// TestLayBeside: whoever works meanwhile notices nothing, and nothing is lost.
func TestLayBeside(t *testing.T) { everywhere(t, testLayBeside) }

func testLayBeside(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	open, err := db.Credentials().OpenList(ctx)
	ok(t, err)
	var working, laying sync.WaitGroup
	var next atomic.Uint32
	done := make(chan struct{})
	for range 4 {
		working.Go(func() {
			for range 12 {
				s := aCase(t, db)
				d := draftAt(open, next.Add(1)*300)
				d.Case = s.Case
				if err := db.Credentials().Reserve(ctx, d, nil, storetest.Entry(t, "")); err != nil {
					t.Error(err)
				}
				if err := db.Credentials().Complete(ctx, credentials.Completion{ID: d.ID, Sealed: []byte("signed")}, storetest.Entry(t, "")); err != nil {
					t.Error(err)
				}
				if err := db.Vault().TakeBack(ctx, s.Record, s.Agency, vault.TakenBack, storetest.Entry(t, s.Case)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	laying.Go(func() {
		for {
			if err := errors.Join(db.Lay(ctx), db.Credentials().BoxAnew(ctx)); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	working.Wait()
	close(done)
	laying.Wait()
	if problems, err := db.CheckSeals(ctx); err != nil || len(problems) > 0 {
		t.Errorf("%v, %q", err, problems)
	}
}
