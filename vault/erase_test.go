package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/vault"
)

// TestErase: what was erased opens for nobody, with no key that is left.
func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c, other := w.newCase(), w.newCase()
	w.ok(w.SetFindable(ctx, w.worker, c.ID, true))
	w.ok(w.SetFindable(ctx, w.worker, other.ID, true))
	d, kept := w.newDocument(c.ID), w.newDocument(other.ID)
	for _, document := range []string{d.ID, d.ID, kept.ID} {
		_, err := w.page(document, "image/png", pngOf(20, 20))
		w.ok(err)
	}
	w.share(d.ID, w.embassy)
	w.open(w.embassy, c.ID, vault.PartDocument, vault.PartPages)
	sealed, err := w.Seal(ctx, c.ID, []byte("token"))
	w.ok(err)

	// A thief copies everything but the keyring before the erasure.
	copied := map[string][]byte{"token": sealed}
	for key, err := range w.blobs.List(ctx, "") {
		w.ok(err)
		if last, err := w.store.Object(ctx, kept.ID, 1); err != nil || last.Blob == key {
			w.ok(err)
			continue // of the other case
		}
		copied[key], err = os.ReadFile(filepath.Join(w.dir, "blobs", filepath.FromSlash(key)))
		w.ok(err)
	}
	fields, err := w.store.Object(ctx, d.ID, 0)
	w.ok(err)
	copied["fields"] = fields.Sealed
	row, err := w.store.Record(ctx, d.ID)
	w.ok(err)

	done, err := w.Erase(ctx, w.worker, c.ID)
	w.ok(err)
	if done.Records != 2 || done.Pages != 2 || done.Objects != 3 || done.Grants != 1 || done.Notes < 10 {
		t.Errorf("counts %+v", done)
	}

	for _, by := range []audit.Actor{w.worker, w.embassy} {
		_, err = w.ReadDocument(ctx, by, d.ID)
		w.is("document", err, vault.ErrNotFound)
		_, err = w.ReadPage(ctx, by, d.ID, 1)
		w.is("page", err, vault.ErrNotFound)
		_, err = w.Open(ctx, by, c.ID, sealed)
		w.is("what was sealed to the case", err, vault.ErrNotFound)
	}
	_, err = w.History(ctx, w.worker, c.ID)
	w.is("history", err, vault.ErrNotFound)
	_, err = w.Erase(ctx, w.worker, c.ID)
	w.is("again", err, vault.ErrNotFound)
	w.blobsAre(1) // that of the other case
	left, err := w.SharedWith(ctx, w.embassy)
	w.ok(err)
	if len(left) != 0 {
		t.Errorf("grants %+v", left)
	}

	// A look-up finds the other case only.
	_, err = w.LookUp(ctx, w.second, specimenQuery())
	w.ok(err)
	w.has(other.ID, "number.looked_up", 1)
	_, err = w.ReadPage(ctx, w.worker, kept.ID, 1)
	w.ok(err)

	// Rows written back from a backup open nothing.
	row.ID, row.Case = c.ID, c.ID
	w.is("its row without its key", w.store.CreateRecord(ctx, row, nil, nil), vault.ErrNotFound)
	_, err = w.Open(ctx, w.worker, c.ID, sealed)
	w.is("row without a key file", err, vault.ErrNotFound)

	// What was copied opens with none of the keys that are left.
	for name, file := range copied {
		for _, record := range []string{other.ID, kept.ID} {
			key, err := w.keyring.Get(ctx, record)
			w.ok(err)
			identity, err := age.Decrypt(bytes.NewReader(key), everyKey{w, record})
			w.ok(err)
			var text bytes.Buffer
			_, err = text.ReadFrom(identity)
			w.ok(err)
			id, err := age.ParseHybridIdentity(text.String())
			w.ok(err)
			if _, err := age.Decrypt(bytes.NewReader(file), id); err == nil {
				t.Errorf("%s opens with another record's key", name)
			}
		}
	}

	// The keyring's files hold nothing of the case, and the log no body.
	w.ok(filepath.WalkDir(w.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasPrefix(e.Name(), "keyring") {
			return err
		}
		data, err := os.ReadFile(name)
		if bytes.Contains(data, []byte(d.ID)) || bytes.Contains(data, []byte(c.ID)) {
			t.Errorf("%s still names the case", e.Name())
		}
		return err
	}))
	entries, err := w.store.History(ctx, c.ID)
	w.ok(err)
	if len(entries) != 0 {
		t.Errorf("%d entries are left", len(entries))
	}
}

// everyKey unwraps with the keys of all agencies.
type everyKey struct {
	w      *world
	record string
}

func (k everyKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if key, err := k.w.keeper.Unwrap(k.w.Context(), s.Args[0], k.record, s.Body); err == nil {
			return key, nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// TestReplay: after a restore the journal makes the backup forget again, and
// nobody can erase a case by writing a row into it.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c, other := w.newCase(), w.newCase()
	d := w.newDocument(c.ID)
	_, err := w.page(d.ID, "image/png", pngOf(20, 20))
	w.ok(err)
	before := map[string][]byte{}
	rows := map[string]vault.Record{}
	for _, record := range []string{c.ID, d.ID} {
		before[record], err = w.keyring.Get(ctx, record)
		w.ok(err)
		rows[record], err = w.store.Record(ctx, record)
		w.ok(err)
	}
	_, err = w.Erase(ctx, w.worker, c.ID)
	w.ok(err)

	// The restore brings the case's row and the key files back.
	for record, file := range before {
		w.ok(w.keyring.Create(ctx, record, file))
	}
	w.ok(w.store.CreateRecord(ctx, rows[c.ID], nil, nil))
	n, err := w.Replay(ctx)
	w.ok(err)
	if n != 1 {
		t.Errorf("%d erasures were replayed", n)
	}
	for record := range before {
		_, err = w.keyring.Get(ctx, record)
		w.is("key file", err, vault.ErrNotFound)
	}
	_, err = w.Case(ctx, w.worker, c.ID)
	w.is("case", err, vault.ErrNotFound)
	w.blobsAre(0)
	if n, err = w.Replay(ctx); err != nil || n != 1 {
		t.Errorf("a second time: %d, %v", n, err)
	}

	w.ok(w.store.BeginErasure(ctx, vault.Erasure{Case: other.ID, Agency: other.Agency, Records: []string{other.ID}, Day: w.now, MAC: make([]byte, 32)}))
	n, err = w.Replay(ctx)
	w.is("forged entry", err, vault.ErrIntegrity)
	if n != 1 {
		t.Errorf("%d erasures were replayed beside the forged one", n)
	}
	_, err = w.History(ctx, w.worker, other.ID)
	w.ok(err)
}

// TestInterruptedErase: whatever fails on the way, repeating it finishes it.
func TestInterruptedErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	fault := errors.New("the disk is gone")
	v, err := vault.New(vault.Config{Store: &noErase{w.store, fault}, Keyring: w.keyring, Blobs: w.blobs, Keys: w.keeper,
		Directory: directory{}, Network: "test network"})
	w.ok(err)
	_, err = v.Erase(ctx, w.worker, c.ID)
	w.is("rows that cannot be erased", err, fault)
	_, err = w.ReadDocument(ctx, w.worker, d.ID)
	w.is("half erased", err, vault.ErrNotFound)
	_, err = w.AddDocument(ctx, w.worker, c.ID, passport())
	w.is("a case that is being erased takes nothing new", err, vault.ErrNotFound)
	n, err := w.Replay(ctx)
	if err != nil || n != 1 {
		t.Errorf("%d replayed, %v", n, err)
	}
	_, err = w.Case(ctx, w.worker, c.ID)
	w.is("case", err, vault.ErrNotFound)
}

type noErase struct {
	vault.Store
	err error
}

func (s *noErase) Erase(_ context.Context, _ string, _ ...audit.Entry) (vault.Erased, error) {
	return vault.Erased{}, s.err
}

// TestErasedIsUnknown: behind every door an id that was erased answers as one
// that never was, word for word, for its keeper and for whom it was shared with.
func TestErasedIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	_, err := w.page(d.ID, "image/png", pngOf(9, 9))
	w.ok(err)
	sealed, err := w.Seal(ctx, c.ID, []byte("token"))
	w.ok(err)
	w.share(d.ID, w.embassy)
	w.share(c.ID, w.embassy)
	w.open(w.embassy, c.ID, vault.Parts...)
	_, err = w.Erase(ctx, w.worker, c.ID)
	w.ok(err)
	doors := map[string]func(by audit.Actor, caseID, document string) error{
		"case":          func(by audit.Actor, c, _ string) error { _, err := w.Case(ctx, by, c); return err },
		"owner":         func(_ audit.Actor, c, _ string) error { _, err := w.Owner(ctx, c); return err },
		"case of":       func(by audit.Actor, _, d string) error { _, err := w.CaseOf(ctx, by, d); return err },
		"history":       func(by audit.Actor, c, _ string) error { _, err := w.History(ctx, by, c); return err },
		"documents":     func(by audit.Actor, c, _ string) error { _, err := w.Documents(ctx, by, c); return err },
		"grants":        func(by audit.Actor, c, _ string) error { _, err := w.Grants(ctx, by, c); return err },
		"findable":      func(by audit.Actor, c, _ string) error { return w.SetFindable(ctx, by, c, true) },
		"erase":         func(by audit.Actor, c, _ string) error { _, err := w.Erase(ctx, by, c); return err },
		"seal":          func(_ audit.Actor, c, _ string) error { _, err := w.Seal(ctx, c, []byte("x")); return err },
		"open":          func(by audit.Actor, c, _ string) error { _, err := w.Open(ctx, by, c, sealed); return err },
		"add document":  func(by audit.Actor, c, _ string) error { _, err := w.AddDocument(ctx, by, c, passport()); return err },
		"read document": func(by audit.Actor, _, d string) error { _, err := w.ReadDocument(ctx, by, d); return err },
		"update": func(by audit.Actor, _, d string) error {
			_, err := w.UpdateDocument(ctx, by, d, 1, passport())
			return err
		},
		"read page":      func(by audit.Actor, _, d string) error { _, err := w.ReadPage(ctx, by, d, 1); return err },
		"share":          func(by audit.Actor, _, d string) error { return w.give(by, w.grant(d, w.second), vault.Signed{}) },
		"share the case": func(by audit.Actor, c, _ string) error { return w.give(by, w.grant(c, w.second), vault.Signed{}) },
		"take back":      func(by audit.Actor, _, d string) error { return w.TakeBack(ctx, by, d, w.embassy.Agency) },
		"add page": func(by audit.Actor, _, d string) error {
			_, err := w.AddPage(ctx, by, d, vault.PageMeta{Role: vault.RoleData}, bytes.NewReader(pngOf(9, 9)))
			return err
		},
		"open record": func(by audit.Actor, c, _ string) error {
			_, err := w.OpenRecord(ctx, by, w.signed(by, c, vault.PartDocument), w.card)
			return err
		},
	}
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			for _, by := range []audit.Actor{w.worker, w.embassy} {
				gone, unknown := door(by, c.ID, d.ID), door(by, id(), id())
				if !errors.Is(gone, vault.ErrNotFound) {
					t.Errorf("%v, want ErrNotFound", gone)
				}
				if gone != nil && unknown != nil && gone.Error() != unknown.Error() {
					t.Errorf("%q for what was erased, %q for what never was", gone, unknown)
				}
			}
		})
	}
}
