package sqlstore

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Refusal is a day on which an agency was refused a card because it had made as many as
// it may.
type Refusal struct {
	Agency string
	Day    time.Time
}

// Refusals lists the newest of each agency since a day.
func (c *Credentials) Refusals(ctx context.Context, since time.Time) (all []Refusal, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		all = nil
		return every(ctx, h, cardCountRows, func(_ boxedRow, made cardsMade) error {
			for _, c := range slices.Backward(made.Days) {
				if c.Refused && c.Day >= toDay(since) {
					all = append(all, Refusal{made.Agency, fromDay(c.Day)})
					break
				}
			}
			return nil
		})
	})
	slices.SortFunc(all, func(a, b Refusal) int { return strings.Compare(a.Agency, b.Agency) })
	return all, err
}

// LookUps are how many look-ups somebody spent on a day.
type LookUps struct {
	Actor, Agency string // one of them
	Used          int
}

// LookUps lists whoever spent at least so many on a day.
func (v *Vault) LookUps(ctx context.Context, day time.Time, least int) ([]LookUps, error) {
	if v.db.seals == nil {
		return nil, ErrNoSealKey
	}
	rows, err := lookUpRows.rows(ctx, v.db.read)
	if err != nil {
		return nil, err
	}
	var all []LookUps
	for _, r := range rows {
		var spent lookUpsOf
		if err := lookUpRows.read(v.db.seals, r, &spent); err != nil {
			return nil, err
		}
		l := LookUps{Used: spent.on(toDay(day))}
		var known bool
		if l.Actor, l.Agency, known = whose(spent.Who); known && l.Used >= least {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b LookUps) int {
		return cmp.Or(strings.Compare(a.Actor, b.Actor), strings.Compare(a.Agency, b.Agency))
	})
	return all, nil
}

// WrongCodes counts the card numbers with which at least so many codes were tried within
// the 24 hours before an hour, and were not right. What is tried within that hour is told
// when it is over.
func (c *Credentials) WrongCodes(ctx context.Context, hour int64, least int) (numbers int, err error) {
	err = c.usedUp(ctx, func(t tried) {
		if t.who == "" && t.between(hour-24, hour) >= least {
			numbers++
		}
	})
	return numbers, err
}

// WrongAtDesk is how many codes somebody tried with one card number, and were not right.
type WrongAtDesk struct {
	Actor, Agency string // one of them
	Tries         int
}

// WrongAtDesk lists those of at least so many within the 24 hours before an hour.
func (c *Credentials) WrongAtDesk(ctx context.Context, hour int64, least int) (all []WrongAtDesk, err error) {
	err = c.usedUp(ctx, func(t tried) {
		w := WrongAtDesk{Tries: t.between(hour-24, hour)}
		var known bool
		if w.Actor, w.Agency, known = whose(t.who); known && w.Tries >= least {
			all = append(all, w)
		}
	})
	slices.SortFunc(all, func(a, b WrongAtDesk) int {
		return cmp.Or(cmp.Compare(a.Actor, b.Actor), cmp.Compare(a.Agency, b.Agency), cmp.Compare(a.Tries, b.Tries))
	})
	return all, err
}

// usedUp reads the budgets that were used up within their day.
func (c *Credentials) usedUp(ctx context.Context, each func(tried)) error {
	if c.db.seals == nil {
		return ErrNoSealKey
	}
	rows, err := c.db.read.QueryContext(ctx, "SELECT name, box FROM paper_tries WHERE used_up")
	if err != nil {
		return fmt.Errorf("sqlstore: read tries: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var of, box []byte
		if err := rows.Scan(&of, &box); err != nil {
			return fmt.Errorf("sqlstore: read tries: %w", classify(err))
		}
		if len(of) != len(name{}) {
			return &SealError{"paper_tries", hex.EncodeToString(of)}
		}
		t, err := c.db.seals.openTried(name(of), box)
		if err != nil {
			return err
		}
		each(t)
	}
	return rows.Err()
}

// whose reads whom a budget is of.
func whose(who string) (actor, agency string, known bool) {
	if id, ok := strings.CutPrefix(who, "actor:"); ok {
		return id, "", true
	}
	id, ok := strings.CutPrefix(who, "agency:")
	if !ok {
		return "", "", false
	}
	return "", id, true
}
