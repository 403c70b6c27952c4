package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault"
)

// A history is cells: one for each entry, called by its case and its number, boxed under
// the key of the case and of one size. How many there are and a chain over them stand in
// the body of the case, so that it stays as small however long the history is. What is
// about no case is a history like that, of the case without an id, under our own key.

// noCase is whose history the entries that are about no case are.
const noCase = ""

// entryLeast is the least size of an entry's cell; then it doubles. The longest kind of
// entry has 700 bytes. Four such cells fit into a page of SQLite's: with a kibibyte each of
// them had a page of its own behind the one with its name.
const entryLeast = 880

// toldCell is an entry that is written with its body.
type toldCell struct {
	n     uint64
	plain []byte
}

// tell puts an entry behind a history.
func (b *body) tell(e audit.Entry) {
	b.Entries++
	b.Chain = linked(b.Chain, e)
	note := e.Note.Reveal()
	plain := append(message(make([]byte, 0, 8+len(note))).number(toDay(e.Day)), note...)
	b.told = append(b.told, toldCell{b.Entries, plain})
	b.change()
}

// linked is a chain with one more entry.
func linked(chain []byte, e audit.Entry) []byte {
	sum := sha256.Sum256(message{}.text("history").bytes(chain, e.Hash[:]).number(toDay(e.Day)))
	return sum[:]
}

// tell writes an entry behind the history of its case. One that is being erased, or was,
// has none.
func (h *heads) tell(ctx context.Context, e audit.Entry) error {
	b, err := h.caseOf(ctx, e.Case)
	switch {
	case err != nil:
		return err
	case b.gone || b.Erasing != nil:
		return vault.ErrNotFound
	}
	b.tell(e)
	return nil
}

func (k *sealer) entryName(caseID string, n uint64) name {
	return k.name("entry", caseID, string(binary.BigEndian.AppendUint64(nil, n)))
}

// under are the boxes of a case, or of what is about none.
func (h *heads) under(ctx context.Context, caseID string) (*boxes, error) {
	if caseID == noCase {
		return h.boxes, nil
	}
	return h.caseKeys.ofCase(ctx, caseID)
}

// saveHistory writes the entries that are new, and removes all where there is no history
// any more.
func (h *heads) saveHistory(ctx context.Context, tx *sql.Tx, before, b *body) error {
	for n := b.Entries + 1; n <= before.Entries; n++ {
		called := h.entryName(b.Case, n)
		if err := h.exec(ctx, tx, deleteCell, called[:]); err != nil {
			return fmt.Errorf("sqlstore: forget a history: %w", err)
		}
	}
	if len(b.told) == 0 {
		return nil
	}
	under, err := h.under(ctx, b.Case)
	if err != nil {
		return err
	}
	for _, one := range b.told {
		called := h.entryName(b.Case, one.n)
		box := under.box(entryLeast, one.plain, "cells", string(called[:]), int64(one.n)) //nolint:gosec // counts one by one
		if err := h.exec(ctx, tx, insertCell, called[:], box); err != nil {
			return fmt.Errorf("sqlstore: append to a history: %w", err)
		}
	}
	b.told = nil
	return nil
}

// history reads the entries of a case, oldest first. None is missing, and none is another
// one's.
func (h *heads) history(ctx context.Context, b *body) (all []audit.Logged, err error) {
	if b.Entries == 0 {
		return nil, nil
	}
	under, err := h.under(ctx, b.Case)
	if err != nil {
		return nil, h.shut(ctx, b.Case, err)
	}
	damaged := &SealError{"cells", "of the history of " + b.Case}
	var chain []byte
	for first := uint64(1); first <= b.Entries; first += leavesAtOnce {
		boxes, err := h.entryBoxes(ctx, b.Case, first, min(leavesAtOnce, b.Entries-first+1))
		if err != nil {
			return nil, err
		}
		for i, box := range boxes {
			called := h.entryName(b.Case, first+uint64(i))
			plain, err := under.open(box, "cells", string(called[:]), int64(first)+int64(i))
			if err != nil || len(plain) < 8 {
				return nil, damaged
			}
			e := audit.Entry{Case: b.Case, Note: private.New(string(plain[8:])), Day: fromDay(int64(binary.BigEndian.Uint64(plain)))} //nolint:gosec // its bits
			note, err := audit.ParseNote(plain[8:])
			if err != nil {
				return nil, damaged
			}
			e.Hash = note.Hash()
			chain = linked(chain, e)
			all = append(all, audit.Logged{Entry: e, Position: -1})
		}
	}
	if string(chain) != string(b.Chain) {
		return nil, damaged
	}
	return all, nil
}

// entryBoxes reads the cells of some entries, in order; nil for one that is missing.
func (h *heads) entryBoxes(ctx context.Context, caseID string, first, n uint64) ([][]byte, error) {
	names, at, found := make([][]byte, n), make(map[name]uint64, n), make([][]byte, n)
	for i := range n {
		called := h.entryName(caseID, first+i)
		names[i], at[called] = called[:], i
	}
	rows, err := queryIn(ctx, h.q, "SELECT name, box FROM cells WHERE name IN ", names)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read a history: %w", classify(err))
	}
	err = each(rows, func() error {
		var called, box []byte
		if err := rows.Scan(&called, &box); err != nil {
			return err
		}
		if len(called) == len(name{}) {
			found[at[name(called)]] = box
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read a history: %w", classify(err))
	}
	return found, nil
}

// checkHistory looks whether a history is whole, and each entry has its leaf.
func (h *heads) checkHistory(ctx context.Context, l *leaves, b *body) error {
	all, err := h.history(ctx, b)
	if err != nil {
		return err
	}
	return l.number(ctx, all)
}

// forgetEntries removes the cells of a history of which nobody can say how long it is.
func (h *heads) forgetEntries(ctx context.Context, tx *sql.Tx, caseID string) error {
	for first := uint64(1); ; first += leavesAtOnce {
		boxes, err := h.entryBoxes(ctx, caseID, first, leavesAtOnce)
		if err != nil {
			return err
		}
		for i, box := range boxes {
			if box == nil {
				return nil
			}
			called := h.entryName(caseID, first+uint64(i))
			if err := h.exec(ctx, tx, deleteCell, called[:]); err != nil {
				return fmt.Errorf("sqlstore: forget a history: %w", err)
			}
		}
	}
}

// History returns the entries of a case, oldest first, and where in the log they stand.
// None is missing, and none is another one's.
func (l *Log) History(ctx context.Context, caseID string) (all []audit.Logged, err error) {
	err = l.db.believed(ctx, func(h *heads) error {
		b, err := h.caseOf(ctx, caseID)
		if err == nil {
			all, err = h.history(ctx, b)
		}
		if err != nil {
			return err
		}
		return l.db.leaves(h.q).number(ctx, all)
	})
	return all, err
}

// Entries returns the entries that are about no case, oldest first. They hold no personal
// data. Where in the log they stand is left out.
func (l *Log) Entries(ctx context.Context) (all []audit.Entry, err error) {
	err = l.db.believed(ctx, func(h *heads) error {
		b, err := h.caseOf(ctx, noCase)
		if err != nil {
			return err
		}
		found, err := h.history(ctx, b)
		all = make([]audit.Entry, len(found))
		for i, e := range found {
			all[i] = e.Entry
		}
		return err
	})
	return all, err
}
