package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/vault"
)

// A draft that is being signed has a row of its own, until it is completed or given up, so
// that those whose process is gone are found without looking at every case. Its row says
// which process it is, and in a box where the draft stands: what it is says the case.

const (
	insertDraft = "INSERT INTO drafts (name, owner, box) VALUES ($1, $2, $3)"
	deleteDraft = "DELETE FROM drafts WHERE name = $1"
	// selectDrafts is in no order: names have none.
	selectDrafts = "SELECT name, owner, box FROM drafts "
)

func (k *sealer) draftName(id credentials.ID) name { return k.name("draft", string(id)) }

func addDraft(ctx context.Context, tx *sql.Tx, h *heads, to lead, owner string) error {
	called := h.draftName(credentials.ID(to.ID))
	plain, err := to.text()
	if err != nil {
		return err
	}
	if err := h.exec(ctx, tx, insertDraft, called[:], owner, h.boxes.box(leadSize, plain, "drafts", string(called[:])+owner, 0)); err != nil {
		return fmt.Errorf("sqlstore: begin a draft: %w", err)
	}
	return nil
}

func forgetDraft(ctx context.Context, tx *sql.Tx, h *heads, id credentials.ID) error {
	called := h.draftName(id)
	if err := h.exec(ctx, tx, deleteDraft, called[:]); err != nil {
		return fmt.Errorf("sqlstore: end a draft: %w", err)
	}
	return nil
}

func (k *sealer) scanDraft(row scanner) (to lead, err error) {
	var called, owner, box []byte
	if err := row.Scan(&called, &owner, &box); err != nil {
		return to, err
	}
	plain, err := k.boxes.open(box, "drafts", string(called)+string(owner), 0)
	if err != nil {
		return to, &SealError{"drafts", hex.EncodeToString(called)}
	}
	return readLead(plain)
}

// Drafts lists what was reserved and neither completed nor abandoned.
func (c *Credentials) Drafts(ctx context.Context) ([]credentials.Issued, error) {
	return c.drafts(ctx, "")
}

// Orphans lists the drafts that no other process is about to complete: those of
// expired processes, and this one's own.
func (c *Credentials) Orphans(ctx context.Context) ([]credentials.Issued, error) {
	expired := ""
	if c.db.mayExpireOthers() {
		expired = " OR " + c.db.expired("owner")
	}
	return c.drafts(ctx, "WHERE owner = $1"+expired, c.db.me.id)
}

// drafts reads drafts in the order of their ids. A row whose case has no such draft, or
// not any more, is none.
func (c *Credentials) drafts(ctx context.Context, where string, args ...any) (found []credentials.Issued, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		found = nil
		all, err := list(ctx, h.q, h.scanDraft, selectDrafts+where, args...)
		if err != nil {
			return fmt.Errorf("sqlstore: read drafts: %w", classify(err))
		}
		for _, to := range all {
			b, err := h.caseOf(ctx, to.Case)
			if errors.Is(err, vault.ErrNotFound) {
				continue // it stays shut, and its erasure ends what was drafted
			}
			if err != nil {
				return err
			}
			if d := b.issuedBy(credentials.ID(to.ID)); d != nil && d.State.state() == credentials.Draft {
				found = append(found, d.issued(b.Case))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(x, y credentials.Issued) int { return cmp.Compare(x.ID, y.ID) })
	return found, nil
}
