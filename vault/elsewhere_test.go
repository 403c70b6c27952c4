package vault_test

import (
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault"
)

// TestRecordedElsewhere is hostile case 94: one document in two agencies' cases is
// told to both keepers, when they read it, and to nobody else; recording it answers as
// if there were no other.
func TestRecordedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	reads := func(what string, by audit.Actor, d vault.Kept, want bool) {
		t.Helper()
		got, err := w.ReadDocument(ctx, by, d.ID)
		w.ok(err)
		if got.Elsewhere != want {
			t.Errorf("%s: recorded elsewhere is %t", what, got.Elsewhere)
		}
	}
	add := func(by audit.Actor, d vault.Document) vault.Kept {
		t.Helper()
		c, err := w.CreateCase(ctx, by)
		w.ok(err)
		kept, err := w.AddDocument(ctx, by, c.ID, d)
		w.ok(err)
		if kept.Elsewhere {
			t.Error("whoever records a document hears that there is another")
		}
		return kept
	}
	document := passport()
	mine := add(w.worker, document)
	reads("the first", w.worker, mine, false)
	plain := document // as somebody types it who has no scanner
	plain.MRZ, plain.MRZFormat, plain.MRZChecks = private.String{}, "", nil
	theirs := add(w.second, plain)
	reads("the first keeper", w.worker, mine, true)
	reads("the second keeper", w.second, theirs, true)

	// Two records of one case are nobody's business.
	twice := plain
	twice.Number = private.New("Y1234567")
	alone := add(w.worker, twice)
	_, err := w.AddDocument(ctx, w.worker, alone.Case, twice)
	w.ok(err)
	reads("twice in one case", w.worker, alone, false)
	kept, err := w.AddDocument(ctx, w.second, theirs.Case, plain)
	w.ok(err)
	reads("a third record", w.second, kept, true)
	other := plain
	other.Number = private.New("X7654321")
	reads("another number", w.second, add(w.second, other), false)

	// No look-up finds it, and no history says so: nobody agreed to be found.
	q := specimenQuery()
	answer, err := w.LookUp(ctx, w.embassy, q)
	w.ok(err)
	if answer != vault.Received {
		t.Errorf("a look-up answers %q", answer)
	}
	w.has(mine.Case, "number.looked_up", 0)
	events, err := w.History(ctx, w.second, theirs.Case)
	w.ok(err)
	for _, e := range events {
		if !slices.Contains([]string{"case.created", "document.added", "document.read", "object.committed"}, e.Note.Kind) {
			t.Errorf("the history of the other case holds %s", e.Note.Kind)
		}
	}

	// Whoever it is shared with is not told.
	w.share(mine.ID, w.embassy)
	w.open(w.embassy, mine.ID, vault.PartDocument)
	reads("a mission that it was opened to", w.embassy, mine, false)

	// A correction, and an erasure, end it.
	_, err = w.UpdateDocument(ctx, w.second, theirs.ID, 1, other)
	w.ok(err)
	reads("while a second record stands", w.worker, mine, true)
	_, err = w.UpdateDocument(ctx, w.second, kept.ID, 1, other)
	w.ok(err)
	reads("after a correction", w.worker, mine, false)
	third := add(w.second, plain)
	reads("recorded anew", w.worker, mine, true)
	_, err = w.Erase(ctx, w.second, third.Case)
	w.ok(err)
	reads("after an erasure", w.worker, mine, false)
}
