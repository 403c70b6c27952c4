package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/vault"
)

// walk looks at the bodies of all cases, some at a time, and gathers what look finds. It
// is for questions that are asked seldom: nothing leads from an agency or a day to a case.
// A case that is known to stay shut is left out.
func walk[T any](ctx context.Context, db *DB, look func(h *heads, b *body) ([]T, error)) (all []T, err error) {
	step, err := slotsAtOnce(ctx, db.read)
	if err != nil {
		return nil, err
	}
	for first := int64(0); first < slots; first += step {
		var some []T
		err := db.believed(ctx, func(h *heads) error {
			some = nil
			found, err := h.between(ctx, first, step)
			if err != nil {
				return err
			}
			bodies, err := h.bodiesOf(ctx, found, nil)
			for _, b := range bodies {
				if err != nil {
					return err
				}
				var more []T
				more, err = look(h, b)
				some = append(some, more...)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// bodiesOf opens those of some heads that are of cases. Whose key is gone, as it should
// be, is told to shut.
func (h *heads) bodiesOf(ctx context.Context, found []*head, shut func(caseID string)) (all []*body, err error) {
	for _, one := range found {
		if _, ok := caseID(one.subject); !ok || len(one.content) == 0 {
			continue
		}
		f, err := h.openFront(one.content, one.subject)
		if err == nil && one.body == nil {
			err = h.openBody(ctx, one, f.caseID)
		}
		if errors.Is(err, vault.ErrNotFound) {
			if shut != nil {
				shut(f.caseID)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one.body)
	}
	return all, nil
}

// Touched are the records of all cases that were changed behind a number of changes, and
// how many there are now. Some that were changed shortly before may be among them.
func (db *DB) Touched(ctx context.Context, behind int64) (records []string, now int64, err error) {
	if now, err = db.Counted(ctx); err != nil {
		return nil, 0, err
	}
	changed, err := list(ctx, db.read, func(row scanner) (slot int64, err error) { return slot, row.Scan(&slot) },
		"SELECT DISTINCT slot FROM heads WHERE number > $1 AND slot < $2", behind, slots)
	if err != nil {
		return nil, 0, fmt.Errorf("sqlstore: read heads: %w", classify(err))
	}
	for _, slot := range changed {
		var some []string
		err := db.believed(ctx, func(h *heads) error {
			some = nil
			found, err := h.between(ctx, slot, 1)
			if err != nil {
				return err
			}
			bodies, err := h.bodiesOf(ctx, found, nil)
			for _, b := range bodies {
				for _, r := range b.Records {
					some = append(some, r.ID)
				}
			}
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		records = append(records, some...)
	}
	return records, now, nil
}

// rawHeads reads heads as they stand, where nobody asks whether they are the newest.
func (h *heads) rawHeads(ctx context.Context, where string, args ...any) ([]*head, error) {
	all, err := list(ctx, h.q, func(row scanner) (*head, error) {
		one := &head{}
		err := row.Scan(&one.subject, &one.slot, &one.number, &one.content)
		one.was = one.number
		return one, err
	}, "SELECT subject, slot, number, content FROM heads WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read heads: %w", classify(err))
	}
	return all, nil
}
