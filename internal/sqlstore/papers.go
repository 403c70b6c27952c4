package sqlstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/safeconduct/safeconduct/credentials"
)

// tried is how many codes were tried with a card number in each of the last hours, and
// were not right: a row of paper_tries, which is called by a keyed hash of whose budget it
// is and with which number.
type tried struct {
	who    string             // "actor:" or "agency:" and an id; "" is everybody's
	newest int64              // hour
	counts [triedHours]uint16 // of the newest hour first
}

const (
	triedHours = 25  // those of a day, and the hour before it, by which alarms are told
	triedBox   = 128 // bytes of a row, whoever it is
)

// at is the place of an hour, after room was made for it if it is newer. There is none for
// one that is older than what is kept.
func (t *tried) at(hour int64) (place int, kept bool) {
	if on := hour - t.newest; on > 0 {
		if on >= triedHours {
			t.counts = [triedHours]uint16{}
		} else {
			copy(t.counts[on:], t.counts[:triedHours-on])
			clear(t.counts[:on])
		}
		t.newest = hour
	}
	place = int(min(t.newest-hour, triedHours))
	return place, place < triedHours
}

// add counts n more in an hour, or fewer.
func (t *tried) add(hour int64, n int) {
	if place, kept := t.at(hour); kept {
		t.counts[place] = uint16(min(max(0, int(t.counts[place])+n), math.MaxUint16))
	}
}

// between is how many there were from an hour on and before another.
func (t *tried) between(from, before int64) (n int) {
	for i, count := range t.counts {
		if hour := t.newest - int64(i); hour >= from && hour < before {
			n += int(count)
		}
	}
	return n
}

// day is how many there were in a day that ends with an hour. One of an hour to come,
// after a clock was set back, counts.
func (t *tried) day(hour int64) int { return t.between(hour-23, math.MaxInt64) }

func (t *tried) encode() ([]byte, error) {
	if len(t.who) > math.MaxUint8 {
		return nil, fmt.Errorf("sqlstore: an id of %d bytes", len(t.who))
	}
	plain := append(append(make([]byte, 0, triedBox), byte(len(t.who))), t.who...) //nolint:gosec // no longer than that
	plain = binary.BigEndian.AppendUint64(plain, uint64(t.newest))                 //nolint:gosec // an hour since 1970
	for _, n := range t.counts {
		plain = binary.BigEndian.AppendUint16(plain, n)
	}
	return plain, nil
}

func decodeTried(plain []byte) (t tried, ok bool) {
	var rest []byte
	if t.who, rest, ok = cutText(plain); !ok || len(rest) != 8+2*triedHours {
		return tried{}, false
	}
	t.newest = int64(binary.BigEndian.Uint64(rest)) //nolint:gosec // as encode wrote it
	for i := range t.counts {
		t.counts[i] = binary.BigEndian.Uint16(rest[8+2*i:])
	}
	return t, true
}

// openTried opens a row.
func (k *sealer) openTried(of name, box []byte) (tried, error) {
	plain, err := k.boxes.open(box, "paper_tries", of.String(), 0)
	t, ok := decodeTried(plain)
	if err != nil || !ok {
		return tried{}, &SealError{"paper_tries", of.String()}
	}
	return t, nil
}

// paperTries reads the row of each budget; one that is not there counts nothing.
func (c *Credentials) paperTries(ctx context.Context, tx *sql.Tx, budgets []credentials.Budget) (all []tried, err error) {
	for _, b := range budgets {
		t := tried{who: b.Who}
		of, box := c.ofPaper(b), []byte(nil)
		err := tx.QueryRowContext(ctx, "SELECT box FROM paper_tries WHERE name = $1", of[:]).Scan(&box)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("sqlstore: count tries: %w", err)
		default:
			if t, err = c.db.seals.openTried(of, box); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
	}
	return all, nil
}

func (c *Credentials) ofPaper(b credentials.Budget) name {
	return c.db.seals.name("paper_tries", string(b.Place[:]))
}

// keepPaperTries writes the row of each budget.
func (c *Credentials) keepPaperTries(ctx context.Context, tx *sql.Tx, budgets []credentials.Budget, all []tried, hour int64) error {
	for i, b := range budgets {
		plain, err := all[i].encode()
		if err != nil {
			return err
		}
		of := c.ofPaper(b)
		_, err = tx.ExecContext(ctx, `INSERT INTO paper_tries (name, day, used_up, box) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET day = excluded.day, used_up = excluded.used_up, box = excluded.box`,
			of[:], all[i].newest/24, all[i].day(hour) >= b.Daily, c.db.seals.boxes.box(triedBox, plain, "paper_tries", of.String(), 0))
		if err != nil {
			return fmt.Errorf("sqlstore: count try: %w", err)
		}
	}
	return nil
}

// TryPaper counts a try with a card number in each budget, unless one is used up: then it
// writes as much, and no more tries.
func (c *Credentials) TryPaper(ctx context.Context, budgets []credentials.Budget, hour int64) (within bool, err error) {
	if c.db.seals == nil {
		return false, ErrNoSealKey
	}
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		all, err := c.paperTries(ctx, tx, budgets)
		if err != nil {
			return err
		}
		within = true
		for i, b := range budgets {
			within = within && all[i].day(hour) < b.Daily
		}
		for i := range all {
			all[i].add(hour, one(within))
		}
		return c.keepPaperTries(ctx, tx, budgets, all, hour)
	})
	return within && err == nil, err
}

// SettlePaper takes a right try out of the count, and nothing in place of a wrong one. It
// writes the same rows after either.
func (c *Credentials) SettlePaper(ctx context.Context, budgets []credentials.Budget, hour int64, right bool) error {
	if c.db.seals == nil {
		return ErrNoSealKey
	}
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		all, err := c.paperTries(ctx, tx, budgets)
		if err != nil {
			return err
		}
		for i := range all {
			all[i].add(hour, -one(right))
		}
		return c.keepPaperTries(ctx, tx, budgets, all, hour)
	})
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// SweepPapers forgets the tries of days that were over before hour, or end with it.
func (c *Credentials) SweepPapers(ctx context.Context, hour int64) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM paper_tries WHERE day <= $1", hour/24); err != nil {
			return fmt.Errorf("sqlstore: forget tries: %w", err)
		}
		return nil
	})
}
