package sqlstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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
			if _, err := CreateKeyring(ctx, at.where, "net", testRingKey); err == nil {
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

// TestKeyringLacks: a keyring without one of its tables or columns is damaged, and
// is said to be.
func TestKeyringLacks(t *testing.T) {
	for what, statement := range map[string]string{
		"bond": "DROP TABLE bond", "key files": "DROP TABLE keys", "sums": "ALTER TABLE bond DROP COLUMN sum",
	} {
		t.Run(what, func(t *testing.T) {
			everywhere(t, func(t *testing.T, on place) {
				k := on.keyring(t)
				if _, err := k.write.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
				_, err := k.Bond(t.Context())
				found, err2 := k.Check(t.Context())
				if err := errors.Join(err, err2); !errors.Is(err, ErrDamaged) && len(found.Problems) == 0 {
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
	k, err := CreateKeyring(ctx, path, "0123", testRingKey)
	ok(t, err)
	kept := map[string]string{}
	for range 40 {
		id := storetest.NewID()
		kept[id] = string(fileOf(id, 1280))
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
		k.Seal(testRingKey)
		_, err = k.Bond(ctx)
		health, err2 := k.Check(ctx)
		if err := errors.Join(err, err2); err != nil || len(health.Problems)+len(health.Damaged) > 0 || health.Others {
			if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("%s: %v", what, err)
			}
			return true
		}
		for id, want := range kept {
			file, err := k.Get(ctx, id)
			if err != nil || string(file) != want {
				t.Errorf("%s: a key file is another one, %v", what, err)
				return false
			}
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
	// A page that is in no use may lie at the end: that half of it is gone changes nothing.
	for n, lost := range map[int]bool{1: true, 100: true, 4096: true, len(data) / 2: true, len(data) - 16<<10: true, len(data) - 4096: false, len(data) - 1: false} {
		ok(t, os.WriteFile(path, data[:n], 0o600))
		if !look("a cut file") && lost {
			t.Errorf("cut at %d of %d, and nothing is said", n, len(data))
		}
		for _, ext := range []string{"-wal", "-shm"} {
			_ = os.Remove(path + ext)
		}
	}
}

// TestMayBeNames: the key of a case is in each row of a record, and a restore finds all of
// them, also where the first is not there.
func TestMayBeNames(t *testing.T) {
	ctx := t.Context()
	k, err := CreateKeyring(ctx, filepath.Join(t.TempDir(), "keyring.db"), "0123", testRingKey)
	ok(t, err)
	id := storetest.NewID()
	ok(t, k.Create(ctx, id, fileOf(id, 3*ringBox)))
	names, err := k.Names(ctx)
	ok(t, err)
	if len(names) != 4 {
		t.Fatalf("%d rows: this test proves nothing", len(names))
	}
	for _, name := range k.MayBeNamesOf(id) {
		delete(names, name)
	}
	if len(names) > 0 {
		t.Errorf("%d rows are not found", len(names))
	}
}
