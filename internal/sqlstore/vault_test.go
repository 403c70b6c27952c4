package sqlstore

import (
	"bytes"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

func TestVault(t *testing.T) {
	everywhereTwice(t, func(t *testing.T, on place) {
		storetest.Vault(t, func(t *testing.T) storetest.VaultStores {
			return storetest.VaultStores{Store: on.db(t).Vault(), Keyring: on.keyring(t)}
		})
	})
}

// TestKeyringForgets looks for erased and replaced key files in every byte of
// the keyring's files. The write-ahead log of PostgreSQL is left out: it keeps
// what was written until it is recycled (docs/decisions/0008-postgresql.md).
func TestKeyringForgets(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		k := sqlitePlace.keyring(t)
		testKeyringForgets(t, k, func(s string) bool { return onDisk(t, k.path, s) })
	})
	t.Run("postgres", func(t *testing.T) {
		server := pgtest.New(t)
		dsn := server.Database(t)
		k := closed(t, func() (*Keyring, error) { return CreateKeyring(t.Context(), dsn, "0123", testRingKey) })
		testKeyringForgets(t, k, func(s string) bool {
			server.Administer(t, dsn, "CHECKPOINT") // from memory to the files
			return server.Holds(t, s, "pg_wal")
		})
	})
}

func testKeyringForgets(t *testing.T, k *Keyring, there func(string) bool) {
	ctx := t.Context()
	// What a row begins with, its middle and what it ends with, as the files hold them.
	parts := func(record string) (seen []string) {
		t.Helper()
		rows, err := k.rowsOf(ctx, k.read, record)
		ok(t, err)
		r := rows[len(rows)-1]
		for _, at := range []int{0, len(r.box) / 2, len(r.box) - 24} {
			seen = append(seen, string(r.box[at:at+24]))
		}
		return seen
	}
	gone := func(what string, parts []string) {
		t.Helper()
		for _, p := range parts {
			if there(p) {
				t.Errorf("%s: part of it is still there", what)
			}
		}
	}
	// So many that pages are split and filled again, and some rows that need more.
	var records []string
	for i := range 200 {
		id := storetest.NewID()
		ok(t, k.Create(ctx, id, fileOf(id, 500+i%2*3000)))
		records = append(records, id)
	}
	for _, p := range parts(records[0]) {
		if !there(p) {
			t.Fatal("what is kept cannot be seen: this test proves nothing")
		}
	}
	for i, id := range records[:20] {
		before := parts(id)
		size := 500 + i%2*3000
		ok(t, k.Swap(ctx, id, fileOf(id, size), fileOf(id+"!", size)))
		if i%10 == 0 {
			gone("a replaced key file", before)
		}
	}
	var erased []string
	for _, id := range records[:100] {
		erased = append(erased, parts(id)...)
	}
	ok(t, k.Erase(ctx, records[:100]...))
	gone("an erased key file", erased)
	for _, id := range records[100:] {
		file, err := k.Get(ctx, id)
		if err != nil || !bytes.HasPrefix(file, []byte(id)) {
			t.Errorf("another record's key file: %v", err)
		}
	}
	if err := errors.Join(k.Erase(ctx, records[:2]...), k.Erase(ctx), k.Truncate(ctx)); err != nil {
		t.Errorf("nothing to erase: %v", err)
	}
}
