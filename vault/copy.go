package vault

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/safeconduct/safeconduct/audit"
)

// Handover says how a copy of a case leaves. It goes into the holder's history, and
// holds nothing that opens the copy.
type Handover struct {
	// Card is the card whose number and code were given for this copy.
	Card string
	// Console says that no code was asked for, because somebody runs a command who has
	// the folder and the passphrase of the keys. Only that command sets it.
	Console bool
	// To is the kind of thing that opens the copy.
	To CopyTo
}

// CopyTo is what a copy is encrypted to.
type CopyTo string

// The kinds of recipients that a copy can have.
const (
	ToPassphrase CopyTo = "passphrase"
	ToX25519     CopyTo = "x25519" // age1…
	ToHybrid     CopyTo = "hybrid" // age1pq…
)

// Copy is a case on its way to its holder: everything that is kept of it, to be read
// once. Who reads it has been written down.
type Copy struct {
	Case

	// Shared are the grants that live.
	Shared []Shared

	v         *Vault
	record    Record   // the case's own
	documents []Record // in the order of their ids
}

// Copy opens all of a case, for a copy that its holder takes with her. It is for the
// agency that keeps the case. That it was taken, by whom, on what proof and to what
// kind of recipient is in the history before anything can be read. Reading it all is
// one entry, not one for each page.
//
// Whether the holder's code was given has been decided by whoever calls.
func (v *Vault) Copy(ctx context.Context, by audit.Actor, caseID string, h Handover) (*Copy, error) {
	c, err := v.beginCopy(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	said := facts{"to": h.To, "documents": len(c.documents)}
	switch {
	case h.Console:
		said["proof"] = "console"
	case isID(h.Card):
		said["proof"], said["card"] = "code", h.Card
	default:
		return nil, ErrConsent
	}
	entry, err := v.entry(c.record, by, "copy.made", said)
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return nil, fmt.Errorf("vault: write down that a copy is made: %w", err)
	}
	return c, nil
}

// RefuseCopy writes into the history of a case that somebody asked for a copy of it and
// had no number and code of a card of hers.
func (v *Vault) RefuseCopy(ctx context.Context, by audit.Actor, caseID string) error {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	entry, err := v.entry(r, by, "copy.refused", nil)
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: write down that a copy was refused: %w", err)
	}
	return nil
}

// beginCopy finds the case and its documents, and makes sure that its key file opens:
// what cannot be read at all is not written down as taken.
func (v *Vault) beginCopy(ctx context.Context, by audit.Actor, caseID string) (*Copy, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	if _, err := v.identity(ctx, r, r.Agency); err != nil {
		return nil, err
	}
	records, err := v.store.Records(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	shared, err := v.live(v.store.Grants(ctx, r.ID))
	if err != nil {
		return nil, err
	}
	documents := slices.DeleteFunc(records, func(one Record) bool { return one.ID == one.Case })
	return &Copy{Case: caseOf(r), Shared: shared, v: v, record: r, documents: documents}, nil
}

// Documents reads the newest version of every document, one after the other.
func (c *Copy) Documents(ctx context.Context) iter.Seq2[Kept, error] {
	return func(yield func(Kept, error) bool) {
		for _, r := range c.documents {
			kept, err := c.document(ctx, r)
			if !yield(kept, err) || err != nil {
				return
			}
		}
	}
}

func (c *Copy) document(ctx context.Context, r Record) (Kept, error) {
	d, o, err := c.v.openDocument(ctx, r, r.Agency)
	if err != nil {
		return Kept{}, err
	}
	pages, err := c.v.pages(ctx, r.ID)
	return Kept{ID: r.ID, Case: r.Case, Version: o.Version, Document: d, Pages: pages}, err
}

// Pages reads the newest version of every page of a document, one after the other.
func (c *Copy) Pages(ctx context.Context, kept Kept) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		at := slices.IndexFunc(c.documents, func(r Record) bool { return r.ID == kept.ID })
		if at < 0 {
			yield(Page{}, ErrNotFound)
			return
		}
		id, err := c.v.identity(ctx, c.documents[at], c.record.Agency)
		if err != nil {
			yield(Page{}, err)
			return
		}
		for _, info := range kept.Pages {
			o, err := c.v.store.Object(ctx, kept.ID, info.Page)
			if err != nil {
				yield(Page{}, err)
				return
			}
			content, err := c.v.openObject(ctx, id, o)
			if err != nil {
				yield(Page{}, fmt.Errorf("vault: copy a page: %w", err))
				return
			}
			if !yield(Page{infoOf(o), &content}, nil) {
				return
			}
		}
	}
}

// History reads the history, oldest first. That the copy was taken is its last entry, or
// near it.
func (c *Copy) History(ctx context.Context) iter.Seq2[Event, error] { return c.v.events(ctx, c.record) }
