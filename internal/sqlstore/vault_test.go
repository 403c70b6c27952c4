package sqlstore

import (
	"crypto/rand"
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
		k := closed(t, func() (*Keyring, error) { return CreateKeyring(t.Context(), dsn, "0123") })
		testKeyringForgets(t, k, func(s string) bool {
			server.Administer(t, dsn, "CHECKPOINT") // from memory to the files
			return server.Holds(t, s, "pg_wal")
		})
	})
}

func testKeyringForgets(t *testing.T, k *Keyring, there func(string) bool) {
	ctx := t.Context()
	// Several pages of the database, and nothing that a compression could hide.
	fill := func(s string) (file []byte) {
		for len(file) < 6000 {
			file = append(append(file, s...), rand.Text()...)
		}
		return file
	}
	a, b, c := storetest.NewID(), storetest.NewID(), storetest.NewID()
	one := fill("canary-one!")
	for id, file := range map[string][]byte{a: one, b: fill("canary-two!"), c: fill("canary-stays!")} {
		if err := k.Create(ctx, id, file); err != nil {
			t.Fatal(err)
		}
	}
	if !there("canary-one!") || !there("canary-two!") || !there("canary-stays!") {
		t.Fatal("the canaries cannot be seen: this test proves nothing")
	}
	if err := k.Swap(ctx, a, one, fill("canary-three!")); err != nil {
		t.Fatal(err)
	}
	if there("canary-one!") {
		t.Error("the replaced file is still there")
	}
	if err := k.Erase(ctx, a, b); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"canary-one!", "canary-two!", "canary-three!"} {
		if there(s) {
			t.Errorf("%s is still there", s)
		}
	}
	if _, err := k.Get(ctx, c); err != nil || !there("canary-stays!") {
		t.Errorf("another record's key file: %v", err)
	}
	if err := errors.Join(k.Erase(ctx, a, b), k.Erase(ctx), k.Truncate(ctx)); err != nil {
		t.Errorf("nothing to erase: %v", err)
	}
}
