package vault_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/vault"
)

// TestCopy: a copy holds what is kept, it is in the history before anything of it is read,
// and nobody but the agency that keeps the case begins one.
func TestCopy(t *testing.T) {
	w := newWorld(t)
	c := w.newCase()
	doc := w.newDocument(c.ID)
	picture := pngOf(40, 30)
	_, err := w.AddPage(w.Context(), w.worker, doc.ID, vault.PageMeta{Role: vault.RoleData}, bytes.NewReader(picture))
	w.ok(err)
	w.share(doc.ID, w.second)
	byCode := vault.Handover{Card: id(), To: vault.ToPassphrase}

	for name, target := range map[string]string{"another agency's": c.ID, "a document": doc.ID, "none": id()} {
		by := w.worker
		if target == c.ID {
			by = w.second
		}
		_, err := w.Copy(w.Context(), by, target, byCode)
		w.is(name, err, vault.ErrNotFound)
		w.is(name, w.RefuseCopy(w.Context(), by, target), vault.ErrNotFound)
	}
	_, err = w.Copy(w.Context(), w.worker, c.ID, vault.Handover{To: vault.ToX25519})
	w.is("on nobody's word", err, vault.ErrConsent)
	w.has(c.ID, "copy.made", 0)

	copied, err := w.Copy(w.Context(), w.worker, c.ID, byCode)
	w.ok(err)
	w.has(c.ID, "copy.made", 1)
	before := len(w.kinds(c.ID))
	if len(copied.Shared) != 1 || copied.ID != c.ID {
		t.Errorf("got %+v", copied.Case)
	}
	pages := 0
	for kept, err := range copied.Documents(w.Context()) {
		w.ok(err)
		if reveal(t, kept.Document) != reveal(t, doc.Document) || len(kept.Pages) != 1 {
			t.Error("another document")
		}
		for page, err := range copied.Pages(w.Context(), kept) {
			w.ok(err)
			read, err := w.ReadPage(w.Context(), w.worker, doc.ID, 1)
			w.ok(err)
			if !bytes.Equal(page.Bytes(), read.Bytes()) {
				t.Error("another picture")
			}
			pages++
		}
	}
	var kinds []string
	for event, err := range copied.History(w.Context()) {
		w.ok(err)
		kinds = append(kinds, event.Note.Kind)
		if event.Note.Hash() != event.Leaf || event.Position != -1 {
			t.Errorf("%s: leaf or place", event.Note.Kind)
		}
	}
	if pages != 1 || !slices.Contains(kinds, "copy.made") {
		t.Errorf("%d pages, history %v", pages, kinds)
	}
	// One entry says that all of it left: reading it adds none.
	if after := len(w.kinds(c.ID)); after != before+1 { // the page that this test read
		t.Errorf("the history grew from %d to %d", before, after)
	}
	w.ok(w.RefuseCopy(w.Context(), w.worker, c.ID))
	w.has(c.ID, "copy.refused", 1)

	// Where it cannot be written down, nothing is read.
	w.store.append = errors.New("the log is away")
	if _, err := w.Copy(w.Context(), w.worker, c.ID, byCode); err == nil {
		t.Error("a copy that nobody wrote down")
	}
}
