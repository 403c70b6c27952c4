package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

// testRingKey is the key of keyrings in tests.
var testRingKey = []byte("thirty-two bytes made for tests!")

// fileOf is n bytes for a key file.
func fileOf(id string, n int) []byte { return bytes.Repeat([]byte(id), n/len(id)+1)[:n] }

// TestKeyringDamage: a row that is not what was kept is given to nobody, and a look
// finds it, with the key of the keyring and no record's id.
func TestKeyringDamage(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx, k := t.Context(), on.keyring(t)
		a, b, c := storetest.NewID(), storetest.NewID(), storetest.NewID()
		for _, id := range []string{a, b, c} {
			ok(t, k.Create(ctx, id, fileOf(id, 700)))
		}
		rowOf := func(id string) ringRow {
			t.Helper()
			return firstRow(t, k, id)
		}
		run := func(statement string, args ...any) {
			t.Helper()
			_, err := k.write.ExecContext(ctx, statement, args...)
			ok(t, err)
		}
		put := func(r ringRow) { t.Helper(); run("UPDATE keys SET box = $1 WHERE name = $2", r.box, r.name) }
		found := func() KeyringHealth {
			t.Helper()
			found, err := k.Check(ctx)
			ok(t, err)
			return found
		}
		if got := found(); len(got.Problems)+len(got.Damaged) > 0 || got.Others {
			t.Fatalf("%+v", got)
		}
		was := rowOf(a)
		flip := slices.Clone(was.box)
		flip[len(flip)/3] ^= 4
		for what, box := range map[string][]byte{
			"a flipped bit": flip, "cut": was.box[:len(was.box)-1], "with more behind it": append(slices.Clone(was.box), 0),
			"nothing": {}, "another record's": rowOf(b).box,
		} {
			put(ringRow{was.name, box})
			if _, err := k.Get(ctx, a); !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("%s: %v, want ErrIntegrity", what, err)
			}
			if _, err := k.CaseKey(ctx, a); !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("the key of a case, %s: %v, want ErrIntegrity", what, err)
			}
			if got := found(); !slices.Equal(got.Damaged, []string{k.Name(a)}) {
				t.Errorf("%s: %+v", what, got)
			}
		}
		put(was)

		// Whole, and not the newest.
		key, err := k.CaseKey(ctx, a)
		ok(t, err)
		ok(t, k.Swap(ctx, a, fileOf(a, 700), fileOf(a, 900)))
		if same, err := k.CaseKey(ctx, a); err != nil || len(key) != keySize || !bytes.Equal(same, key) {
			t.Errorf("another key of the case after its key file was replaced: %v", err)
		}
		now := rowOf(a)
		put(was)
		if got := found(); !got.Others || len(got.Damaged) > 0 {
			t.Errorf("a row put back: %+v", got)
		}
		put(now)
		last := rowOf(c)
		ok(t, k.Erase(ctx, c))
		if got := found(); got.Others {
			t.Errorf("erased: %+v", got)
		}
		run("INSERT INTO keys (name, box) VALUES ($1, $2)", last.name, last.box)
		if got := found(); !got.Others {
			t.Error("an erased row put back, and nothing is said")
		}
		ok(t, k.Rebind(ctx, "0123", 0))
		if got := found(); got.Others {
			t.Error("bound anew, the rows that are there are those that belong there")
		}
		run("DELETE FROM keys WHERE name = $1", last.name)
		if got := found(); !got.Others {
			t.Error("a row taken away, and nothing is said")
		}
		run("INSERT INTO keys (name, box) VALUES ($1, $2)", last.name, last.box)

		// What it says of itself is under the key, too.
		var network, id string
		var changes int64
		var sum, mac []byte
		ok(t, k.read.QueryRowContext(ctx, "SELECT network, id, changes, sum, mac FROM bond").Scan(&network, &id, &changes, &sum, &mac))
		for _, change := range []string{"changes = changes + 1", "id = '0' || id", "network = 'other'", "sum = mac", "mac = sum"} {
			if change == "sum = mac" {
				run("UPDATE bond SET mac = $1", sum[1:]) // or it may be the sum
			}
			run("UPDATE bond SET " + change)
			if _, err := k.Bond(ctx); !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("%s: %v, want ErrIntegrity", change, err)
			}
			if err := k.Create(ctx, storetest.NewID(), []byte("more")); !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("%s, and it is written to: %v", change, err)
			}
			run("UPDATE bond SET network = $1, id = $2, changes = $3, sum = $4, mac = $5", network, id, changes, sum, mac)
		}
	})
}

// TestKeyringTellsNothing: rows are of one size, whatever they hold, are called by nothing
// that says anything, and open neither with the key of the keyring alone nor with the ids
// alone.
func TestKeyringTellsNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx, k := t.Context(), on.keyring(t)
		sizes, names := map[int]int{}, map[string]bool{}
		var first string
		for i := range 60 {
			id := storetest.NewID()
			first = cmp.Or(first, id)
			ok(t, k.Create(ctx, id, fileOf("-> safeconduct.org/transit ", 20+i*80)))
			names[id] = true
		}
		for row, err := range k.Rows(ctx) {
			ok(t, err)
			sizes[len(row.Box)]++
			if names[row.Name] || bytes.Contains(row.Box, []byte("safeconduct")) {
				t.Error("a row says what it is about")
			}
		}
		if len(sizes) != 1 {
			t.Errorf("rows of %d sizes: %v", len(sizes), sizes)
		}
		r := firstRow(t, k, first)
		other := newRingKeys(bytes.Repeat([]byte{9}, keySize)) // whoever has the ids
		if _, _, err := other.open(first, 0, r); err == nil || bytes.Equal(other.name(first, 0), r.name) {
			t.Error("a row opens under another key")
		}
		if _, _, err := k.keys.open(storetest.NewID(), 0, r); err == nil { // whoever has the key
			t.Error("a row opens for another id")
		}
		boxes, err := newBoxes(k.keys.boxes)
		ok(t, err)
		if _, err := boxes.open(r.box[:len(r.box)-ringMark], ringTable, string(r.name), 0); err == nil {
			t.Error("a row opens without an id")
		}
	})
}

// firstRow is the first row of a record, as it lies there.
func firstRow(t *testing.T, k *Keyring, record string) ringRow {
	t.Helper()
	rows, err := k.rowsOf(t.Context(), k.read, record)
	ok(t, err)
	return rows[0]
}

// TestKeyringPieces: a key file for many agencies has several rows, which come and go
// together, and are one version.
func TestKeyringPieces(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx, k := t.Context(), on.keyring(t)
		id := storetest.NewID()
		ok(t, k.Create(ctx, id, fileOf(id, 9000)))
		was, err := k.rowsOf(ctx, k.read, id)
		if err != nil || len(was) != 5 {
			t.Fatalf("%d rows, %v", len(was), err)
		}
		ok(t, k.Swap(ctx, id, fileOf(id, 9000), fileOf(id, 9001)))
		if file, err := k.Get(ctx, id); err != nil || !bytes.Equal(file, fileOf(id, 9001)) {
			t.Errorf("replaced: %v", err)
		}
		put := func(r ringRow) {
			t.Helper()
			_, err := k.write.ExecContext(ctx, "UPDATE keys SET box = $1 WHERE name = $2", r.box, r.name)
			ok(t, err)
		}
		now, err := k.rowsOf(ctx, k.read, id)
		ok(t, err)
		put(was[3])
		if _, err := k.Get(ctx, id); !errors.Is(err, vault.ErrIntegrity) {
			t.Errorf("a piece of an older version: %v, want ErrIntegrity", err)
		}
		put(now[3])
		_, err = k.write.ExecContext(ctx, "DELETE FROM keys WHERE name = $1", now[2].name)
		ok(t, err)
		if _, err := k.Get(ctx, id); !errors.Is(err, vault.ErrIntegrity) {
			t.Errorf("a piece is gone: %v, want ErrIntegrity", err)
		}
		_, err = k.write.ExecContext(ctx, "INSERT INTO keys (name, box) VALUES ($1, $2)", now[2].name, now[2].box)
		ok(t, err)
		ok(t, k.Swap(ctx, id, fileOf(id, 9001), fileOf(id, 100)))
		ok(t, k.Swap(ctx, id, fileOf(id, 100), fileOf(id, 5000)))
		ok(t, k.Erase(ctx, id))
		if names, err := k.Names(ctx); err != nil || len(names) != 0 {
			t.Errorf("%d rows are left, %v", len(names), err)
		}
		if found, err := k.Check(ctx); err != nil || found.Others {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// TestKeyringBackup: rows come back as they are, and nothing else is taken for one.
func TestKeyringBackup(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx, k, fresh := t.Context(), on.keyring(t), on.keyring(t)
		id := storetest.NewID()
		ok(t, k.Create(ctx, id, fileOf(id, 1900)))
		key, err := k.CaseKey(ctx, id)
		ok(t, err)
		for row, err := range k.Rows(ctx) {
			ok(t, err)
			ok(t, fresh.PutBack(ctx, row))
			if err := fresh.PutBack(ctx, row); !errors.Is(err, vault.ErrConflict) {
				t.Errorf("twice: %v", err)
			}
			for _, bad := range []KeyRow{{row.Name, row.Box[1:]}, {k.Name(storetest.NewID()), row.Box}, {"", row.Box}, {row.Name, nil}} {
				if err := fresh.PutBack(ctx, bad); !errors.Is(err, vault.ErrIntegrity) {
					t.Errorf("another row: %v, want ErrIntegrity", err)
				}
			}
		}
		file, err := fresh.Get(ctx, id)
		again, err2 := fresh.CaseKey(ctx, id)
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(file, fileOf(id, 1900)) || !bytes.Equal(again, key) {
			t.Errorf("what came back is another key file or key: %v", err)
		}
		if found, err := fresh.Check(ctx); err != nil || found.Others || len(found.Damaged) > 0 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// TestKeyringUnsealed: without its key a keyring says whose it is, and nothing else.
func TestKeyringUnsealed(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "keyring.db")
	k, err := CreateKeyring(ctx, path, "0123", testRingKey)
	ok(t, err)
	ok(t, k.Close())
	k = closed(t, func() (*Keyring, error) { return OpenKeyring(ctx, path) })
	if b, err := k.Bond(ctx); err != nil || b.Network != "0123" {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = k.Get(ctx, "an id")
	_, err2 := k.Check(ctx)
	_, err3 := k.CaseKey(ctx, "an id")
	for what, err := range map[string]error{
		"get": err, "check": err2, "a case's key": err3, "create": k.Create(ctx, "an id", nil), "swap": k.Swap(ctx, "an id", nil, nil),
		"erase": k.Erase(ctx, "an id"), "bind": k.Bind(ctx, "0123"), "put back": k.PutBack(ctx, KeyRow{}),
	} {
		if !errors.Is(err, ErrNoKeyringKey) {
			t.Errorf("%s: %v, want ErrNoKeyringKey", what, err)
		}
	}
	k.Seal(bytes.Repeat([]byte{9}, keySize))
	if _, err := k.Bond(ctx); !errors.Is(err, vault.ErrIntegrity) {
		t.Errorf("under another key: %v, want ErrIntegrity", err)
	}
}

// TestKeyringOrder: which of two rows came first cannot be told from where they lie in
// the file, but for a little.
func TestKeyringOrder(t *testing.T) {
	ctx := t.Context()
	k := sqlitePlace.keyring(t)
	var records []string
	for range 400 {
		id := storetest.NewID()
		ok(t, k.Create(ctx, id, fileOf(id, 600)))
		records = append(records, id)
	}
	ok(t, k.Truncate(ctx))
	data, err := os.ReadFile(k.path)
	ok(t, err)
	at := make([]int, len(records))
	for i, id := range records {
		r := firstRow(t, k, id)
		at[i] = bytes.Index(data, r.box[:24])
	}
	behind, pairs := 0, 0
	for i := range at {
		for j := range i {
			if pairs++; at[i] > at[j] {
				behind++
			}
		}
	}
	share := float64(behind) / float64(pairs) // one half is nothing
	t.Logf("of two rows the later one lies behind the other in %.3f", share)
	if share > 0.75 {
		t.Errorf("%.3f of pairs lie in the order in which they came", share)
	}
}

// TestRingSum: what is added and taken away again leaves nothing.
func TestRingSum(t *testing.T) {
	var none, a, b ringSum
	_, _ = rand.Read(a[:])
	for i := range b {
		b[i] = 0xff
	}
	if sum := none.add(a).add(b).add(a).sub(b).sub(a).sub(a); sum != none || none.add(b) == none || none.add(b).add(ringSum{1}) != none {
		t.Error("sums do not add up")
	}
}

// TestKeyringRenews: rows that are sealed anew hold what they held, and differ from what
// they were as rows do that were replaced; others stay as they are.
func TestKeyringRenews(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) { testKeyringRenews(t, on.keyring(t)) })
}

func testKeyringRenews(t *testing.T, k *Keyring) {
	ctx := t.Context()
	files := map[string][]byte{"short": fileOf("short", 300), "in pieces": fileOf("in pieces", 5000), "left": fileOf("left", 300)}
	keys := map[string][]byte{}
	for record, file := range files {
		if err := k.Create(ctx, record, file); err != nil {
			t.Fatal(err)
		}
		key, err := k.CaseKey(ctx, record)
		if err != nil {
			t.Fatal(err)
		}
		keys[record] = key
	}
	rows := func() map[string]string {
		all := map[string]string{}
		for r, err := range k.Rows(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			all[r.Name] = string(r.Box)
		}
		return all
	}
	before := rows()
	if err := k.Renew(ctx, "short", "nobody's", "in pieces"); err != nil {
		t.Fatal(err)
	}
	after := rows()
	if len(after) != len(before) {
		t.Fatalf("%d rows, and were %d", len(after), len(before))
	}
	for name, box := range before {
		if same, left := after[name] == box, name == k.Name("left"); same != left || len(after[name]) != len(box) {
			t.Errorf("%s: the same %v, want %v; %d bytes, and were %d", name, same, left, len(after[name]), len(box))
		}
	}
	for record, file := range files {
		got, err := k.Get(ctx, record)
		key, err2 := k.CaseKey(ctx, record)
		if err != nil || err2 != nil || !bytes.Equal(got, file) || !bytes.Equal(key, keys[record]) {
			t.Errorf("%s is not what it was: %v, %v", record, err, err2)
		}
	}
	if health, err := k.Check(ctx); err != nil || len(health.Problems)+len(health.Damaged) > 0 || health.Others {
		t.Errorf("%+v, %v", health, err)
	}
}

// TestKeyringWipedAgain: an erasure or a swap that a reader was in the way of is finished by
// the same call again, in this process or, of an erasure, in another.
func TestKeyringWipedAgain(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "keyring.db")
	k := closed(t, func() (*Keyring, error) { return CreateKeyring(ctx, path, "net", testRingKey) })
	other := closed(t, func() (*Keyring, error) { return OpenKeyring(ctx, path) })
	other.Seal(testRingKey)
	ok(t, other.Erase(ctx, "nobody")) // it owes nothing any more
	swap := func(ctx context.Context) error {
		return k.Swap(ctx, "swapped", fileOf("swapped", 300), fileOf("changed", 300))
	}
	for name, at := range map[string]struct{ first, again func(context.Context) error }{
		"erased":  {func(ctx context.Context) error { return k.Erase(ctx, "erased") }, func(ctx context.Context) error { return k.Erase(ctx, "erased") }},
		"started": {func(ctx context.Context) error { return k.Erase(ctx, "started") }, func(ctx context.Context) error { return other.Erase(ctx, "started") }},
		"swapped": {swap, swap},
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, k.Create(ctx, name, fileOf(name, 300)))
			box := string(firstRow(t, k, name).box[100:200])
			is := errors.New("the reader goes")
			err := other.readTx(ctx, func(tx *sql.Tx) error {
				if _, err := other.rowsOf(ctx, tx, name); err != nil {
					return err
				}
				soon, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // not all that it would wait
				defer cancel()
				if err := at.first(soon); err == nil {
					t.Error("wiped with a reader in the way")
				}
				return is
			})
			if !errors.Is(err, is) {
				t.Fatal(err)
			}
			if !onDisk(t, path, box) {
				t.Fatal("the test looks in the wrong place")
			}
			ok(t, at.again(ctx))
			if onDisk(t, path, box) {
				t.Error("the old row is still on the disk")
			}
		})
	}
}
