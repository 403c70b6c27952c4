package sqlstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

// keyringPlaces are an address of nothing yet on each engine, and how to put
// something else there.
func keyringPlaces(t *testing.T) map[string]struct {
	where string
	empty func()
} {
	file, dsn := filepath.Join(t.TempDir(), "keyring.db"), pgtest.Start(t)
	return map[string]struct {
		where string
		empty func()
	}{
		"sqlite":   {file, func() { ok(t, os.WriteFile(file, nil, 0o600)) }},
		"postgres": {dsn, func() { pgtest.Shared(t).Administer(t, dsn, "CREATE SCHEMA keyring AUTHORIZATION app") }},
	}
}

// TestKeyringIsKept: opening makes no keyring, neither where none is nor where
// something empty is, and making one replaces none.
func TestKeyringIsKept(t *testing.T) {
	for engine, at := range keyringPlaces(t) {
		t.Run(engine, func(t *testing.T) {
			ctx := t.Context()
			if _, err := OpenKeyring(ctx, at.where); !errors.Is(err, ErrMissing) {
				t.Errorf("nothing there: %v, want ErrMissing", err)
			}
			if free, err := VacantKeyring(ctx, at.where); err != nil || !free {
				t.Errorf("opening left something there: %v, %v", free, err)
			}
			at.empty()
			if _, err := OpenKeyring(ctx, at.where); !errors.Is(err, ErrMissing) {
				t.Errorf("an empty one: %v, want ErrMissing", err)
			}
			if _, err := CreateKeyring(ctx, at.where, "net"); err == nil {
				t.Error("made where something is")
			}
		})
	}
}

// TestKeyringBond: a keyring says whose it is and counts what is written to it;
// whoever binds it once more changes nothing, and a new bond has another id.
func TestKeyringBond(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx, k := t.Context(), on.keyring(t)
		bond := func() Bond {
			t.Helper()
			b, err := k.Bond(ctx)
			ok(t, err)
			return b
		}
		first := bond()
		if first.Network != "0123" || len(first.ID) != 32 {
			t.Fatalf("%+v", first)
		}
		id := storetest.NewID()
		ok(t, k.Create(ctx, id, []byte("one")))
		ok(t, k.Swap(ctx, id, []byte("one"), []byte("two")))
		ok(t, k.Erase(ctx, id))
		if got := bond(); got.Changes != first.Changes+3 {
			t.Errorf("%d changes after three", got.Changes-first.Changes)
		}
		if err := k.Create(ctx, id, []byte("three")); err != nil {
			t.Fatal(err)
		}
		before := bond()
		if err := k.Create(ctx, id, []byte("four")); !errors.Is(err, vault.ErrConflict) || bond() != before {
			t.Errorf("a refused change: %v, %+v", err, bond())
		}
		ok(t, k.Bind(ctx, "other"))
		if bond() != before {
			t.Error("bound twice")
		}
		ok(t, k.Rebind(ctx, "0123", before.Changes))
		if got := bond(); got.ID == before.ID || got.Changes <= before.Changes {
			t.Errorf("%+v after %+v", got, before)
		}
	})
}

// TestKeyringDamage: a key file that is not what was kept is given to nobody, and
// a look finds it without any key.
func TestKeyringDamage(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		ctx, k := t.Context(), on.keyring(t)
		whole, changed := storetest.NewID(), storetest.NewID()
		for _, id := range []string{whole, changed} {
			ok(t, k.Create(ctx, id, []byte("a key file")))
		}
		problems, damaged, err := k.Check(ctx)
		if err != nil || len(problems)+len(damaged) > 0 {
			t.Fatalf("%v %v %v", problems, damaged, err)
		}
		if _, err := k.write.ExecContext(ctx, "UPDATE key_files SET file = $1 WHERE record_id = $2", []byte("a key file!"), changed); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Get(ctx, changed); !errors.Is(err, vault.ErrIntegrity) {
			t.Errorf("a changed key file: %v, want ErrIntegrity", err)
		}
		if _, err := k.Get(ctx, whole); err != nil {
			t.Error(err)
		}
		if _, damaged, err = k.Check(ctx); err != nil || !slices.Equal(damaged, []string{changed}) {
			t.Errorf("%v %v", damaged, err)
		}

		// A bound keyring has a digest of each: who takes one away hides a change.
		if _, err := k.write.ExecContext(ctx, "UPDATE key_files SET sha256 = NULL WHERE record_id = $1", changed); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Get(ctx, changed); !errors.Is(err, vault.ErrIntegrity) {
			t.Errorf("a key file without its digest: %v, want ErrIntegrity", err)
		}
		if _, damaged, err = k.Check(ctx); err != nil || !slices.Equal(damaged, []string{changed}) {
			t.Errorf("without its digest: %v %v", damaged, err)
		}
	})
}

// TestKeyringLacks: a keyring without one of its tables or columns is damaged, and
// is said to be.
func TestKeyringLacks(t *testing.T) {
	for what, statement := range map[string]string{
		"bond": "DROP TABLE bond", "key files": "DROP TABLE key_files", "digests": "ALTER TABLE key_files DROP COLUMN sha256",
	} {
		t.Run(what, func(t *testing.T) {
			everywhere(t, func(t *testing.T, on place) {
				k := on.keyring(t)
				if _, err := k.write.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
				_, err := k.Bond(t.Context())
				_, _, err2 := k.Check(t.Context())
				if err := errors.Join(err, err2); !errors.Is(err, ErrDamaged) {
					t.Errorf("%v, want ErrDamaged", err)
				}
			})
		})
	}
}

// TestKeyringFileDamage flips bytes all over a file, and cuts it: either nothing
// that is kept has changed, or it is said.
func TestKeyringFileDamage(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "keyring.db")
	k, err := CreateKeyring(ctx, path, "0123")
	ok(t, err)
	kept := map[string]string{}
	for range 40 {
		id := storetest.NewID()
		kept[id] = strings.Repeat(id, 40)
		ok(t, k.Create(ctx, id, []byte(kept[id])))
	}
	ok(t, k.Truncate(ctx))
	ok(t, k.Close())
	data, err := os.ReadFile(path)
	ok(t, err)
	look := func(what string) (said bool) {
		k, err := OpenKeyring(ctx, path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrMissing) && !errors.Is(err, ErrMigration) {
				t.Errorf("%s: %v", what, err)
			}
			return true
		}
		defer func() { _ = k.Close() }()
		problems, damaged, err := k.Check(ctx)
		if err != nil || len(problems)+len(damaged) > 0 {
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", what, err)
			}
			return true
		}
		n := 0
		for f, err := range k.Files(ctx) {
			if n++; err != nil || kept[f.Record] != string(f.File()) {
				t.Errorf("%s: a key file is another one, %v", what, err)
				return false
			}
		}
		if n != len(kept) {
			t.Errorf("%s: %d of %d key files, and nothing is said", what, n, len(kept))
		}
		return false
	}
	found := 0
	for at := 17; at < len(data); at += len(data) / 120 {
		flipped := slices.Clone(data)
		flipped[at] ^= 0x10
		ok(t, os.WriteFile(path, flipped, 0o600))
		if look("a flipped byte") {
			found++
		}
		for _, ext := range []string{"-wal", "-shm"} {
			_ = os.Remove(path + ext)
		}
	}
	if found < 40 {
		t.Errorf("only %d flips were found: most of the file is in use", found)
	}
	for _, n := range []int{1, 100, 4096, len(data) / 2, len(data) - 4096, len(data) - 1} {
		ok(t, os.WriteFile(path, data[:n], 0o600))
		if !look("a cut file") {
			t.Errorf("cut at %d of %d, and nothing is said", n, len(data))
		}
	}
}
