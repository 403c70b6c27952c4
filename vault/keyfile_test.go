package vault_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/vault"
)

// TestDamagedKeyFile changes a key file wherever it can be changed: its record
// does not open, and that is damage and no fault of ours.
func TestDamagedKeyFile(t *testing.T) {
	w := newWorld(t)
	c, err := w.CreateCase(t.Context(), w.worker)
	w.ok(err)
	sealed, err := w.Seal(t.Context(), c.ID, []byte("a token"))
	w.ok(err)
	file, err := w.keyring.Get(t.Context(), c.ID)
	w.ok(err)
	put := func(old, changed []byte) {
		t.Helper()
		w.ok(w.keyring.Swap(t.Context(), c.ID, old, changed))
	}
	for at := 0; at < len(file); at += 5 {
		changed := bytes.Clone(file)
		changed[at] ^= 1
		put(file, changed)
		if _, err := w.Open(t.Context(), w.worker, c.ID, sealed); !errors.Is(err, vault.ErrIntegrity) {
			t.Errorf("byte %d of %d: %v, want ErrIntegrity", at, len(file), err)
		}
		put(changed, file)
	}
	for n := 0; n < len(file); n += 31 {
		put(file, file[:n])
		if _, err := w.Open(t.Context(), w.worker, c.ID, sealed); !errors.Is(err, vault.ErrIntegrity) {
			t.Errorf("cut at %d of %d: %v, want ErrIntegrity", n, len(file), err)
		}
		put(file[:n], file)
	}
	_, err = w.Open(t.Context(), w.worker, c.ID, sealed)
	w.ok(err)
}

// TestMendReaders: a key file from before a grant was given or taken back opens
// for those who may read now, and for nobody else.
func TestMendReaders(t *testing.T) {
	w := newWorld(t)
	c, err := w.CreateCase(t.Context(), w.worker)
	w.ok(err)
	readers := func() []string {
		t.Helper()
		file, err := w.keyring.Get(t.Context(), c.ID)
		w.ok(err)
		all, err := vault.Readers(file)
		w.ok(err)
		slices.Sort(all)
		return all
	}
	put := func(file []byte) {
		t.Helper()
		now, err := w.keyring.Get(t.Context(), c.ID)
		w.ok(err)
		w.ok(w.keyring.Swap(t.Context(), c.ID, now, file))
	}
	both := []string{w.worker.Agency, w.second.Agency}
	slices.Sort(both)

	alone, err := w.keyring.Get(t.Context(), c.ID)
	w.ok(err)
	w.ok(w.give(w.worker, w.grant(c.ID, w.second), vault.Signed{}))
	shared, err := w.keyring.Get(t.Context(), c.ID)
	w.ok(err)
	if mended, err := w.MendReaders(t.Context(), c.ID); mended || err != nil {
		t.Errorf("nothing was wrong: %v, %v", mended, err)
	}
	put(alone)
	if mended, err := w.MendReaders(t.Context(), c.ID); !mended || err != nil || !slices.Equal(readers(), both) {
		t.Errorf("from before the grant: %v, %v, %q", mended, err, readers())
	}
	w.ok(w.TakeBack(t.Context(), w.worker, c.ID, w.second.Agency))
	put(shared)
	if mended, err := w.MendReaders(t.Context(), c.ID); !mended || err != nil || !slices.Equal(readers(), []string{w.worker.Agency}) {
		t.Errorf("from before it was taken back: %v, %v, %q", mended, err, readers())
	}
	_, err = w.History(t.Context(), w.worker, c.ID)
	w.ok(err)
}
