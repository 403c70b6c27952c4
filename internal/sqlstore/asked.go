package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/vault"
)

// budgetDays is how long the counts of look-ups are kept: today's and
// yesterday's (docs/threat-model.md, Retention).
const budgetDays = 2

// lookUpsOf are the look-ups of somebody: one row, however many there were and when.
type lookUpsOf struct {
	Who  string    `cbor:"1,keyasint"`
	Days []lookUps `cbor:"2,keyasint"`
}

type lookUps struct {
	_    struct{} `cbor:",toarray"`
	Day  int64
	Used int
}

// on is how many there were on a day.
func (l lookUpsOf) on(day int64) int {
	for _, d := range l.Days {
		if d.Day == day {
			return d.Used
		}
	}
	return 0
}

// Spend takes one from every budget.
func (v *Vault) Spend(ctx context.Context, day time.Time, budgets ...vault.Budget) error {
	k := v.db.seals
	if k == nil {
		return ErrNoSealKey
	}
	today := toDay(day)
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		for _, b := range budgets {
			n := k.name("look-ups of", b.Who)
			var spent lookUpsOf
			if _, err := lookUpRows.loose(ctx, k, tx, n, &spent); err != nil {
				return err
			}
			used := spent.on(today)
			if used >= b.Limit {
				return vault.ErrBudget
			}
			spent.Who = b.Who
			spent.Days = slices.DeleteFunc(spent.Days, func(l lookUps) bool { return l.Day == today || l.Day <= today-budgetDays })
			spent.Days = append(spent.Days, lookUps{Day: today, Used: used + 1})
			if err := lookUpRows.keep(ctx, tx, k, n, spent); err != nil {
				return err
			}
		}
		return nil
	})
}

// SweepLookUps forgets the look-ups of whoever has made none since a day, and what does
// not open.
func (v *Vault) SweepLookUps(ctx context.Context, day time.Time) error {
	k := v.db.seals
	if k == nil {
		return ErrNoSealKey
	}
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		rows, err := lookUpRows.rows(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			var spent lookUpsOf
			err := lookUpRows.read(k, r, &spent)
			if err == nil && slices.ContainsFunc(spent.Days, func(l lookUps) bool { return l.Day > toDay(day)-budgetDays }) {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM lookup_budgets WHERE name = $1", r.name[:]); err != nil {
				return fmt.Errorf("sqlstore: forget look-ups: %w", err)
			}
		}
		return nil
	})
}

// nonceSays is what the box of a challenge holds.
type nonceSays struct {
	Actor   string `cbor:"1,keyasint"`
	Agency  string `cbor:"2,keyasint"`
	About   string `cbor:"3,keyasint,omitempty"`
	Expires int64  `cbor:"4,keyasint"` // seconds
}

const nonceLeast = 512

// AddNonce keeps a challenge.
func (v *Vault) AddNonce(ctx context.Context, n vault.Nonce, now time.Time) error {
	k := v.db.seals
	if k == nil {
		return ErrNoSealKey
	}
	plain, err := bodyEncoding.Marshal(nonceSays{n.Actor, n.Agency, n.About, n.Expires.Unix()})
	if err != nil {
		return fmt.Errorf("sqlstore: encode a challenge: %w", err)
	}
	called := k.name("nonce", n.Nonce)
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM nonces WHERE hour <= $1", now.Unix()/3600)
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO nonces (name, hour, box) VALUES ($1, $2, $3)",
				called[:], hourBehind(n.Expires.Unix()+1), k.boxes.box(nonceLeast, plain, "nonces", string(called[:]), 0))
		}
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: keep a challenge: %w", err)
		}
		return nil
	})
}

// TakeNonce removes a challenge and returns it. Whether it is over is for the vault.
func (v *Vault) TakeNonce(ctx context.Context, nonce string) (n vault.Nonce, err error) {
	k := v.db.seals
	if k == nil {
		return n, ErrNoSealKey
	}
	called := k.name("nonce", nonce)
	err = v.db.tx(ctx, func(tx *sql.Tx) error {
		var box []byte
		err := tx.QueryRowContext(ctx, "DELETE FROM nonces WHERE name = $1 RETURNING box", called[:]).Scan(&box)
		if errors.Is(err, sql.ErrNoRows) {
			return vault.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("sqlstore: take a challenge: %w", err)
		}
		var says nonceSays
		plain, err := k.boxes.open(box, "nonces", string(called[:]), 0)
		if err != nil || bodyDecoding.Unmarshal(plain, &says) != nil {
			return &SealError{"nonces", called.String()}
		}
		n = vault.Nonce{Nonce: nonce, Actor: says.Actor, Agency: says.Agency, About: says.About, Expires: time.Unix(says.Expires, 0).UTC()}
		return nil
	})
	return n, err
}
