package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
)

// cardsMade are the counts of an agency: one row, whatever it made and on how many days.
type cardsMade struct {
	Agency string      `cbor:"1,keyasint"`
	Days   []cardCount `cbor:"2,keyasint,omitempty"` // in order
}

// cardCount is how many cards an agency has begun on a day, and whether it was refused
// one.
type cardCount struct {
	_       struct{} `cbor:",toarray"`
	Day     int64
	Cards   int64
	Refused bool
}

// countsOf reads all counts of an agency.
func countsOf(ctx context.Context, h *heads, agency string) (r boxedRow, made cardsMade, found bool, err error) {
	r, found, err = cardCountRows.get(ctx, h, h.name("cards of", agency), &made)
	made.Agency = agency
	return r, made, found, err
}

// changeCounts changes the counts of an agency.
func changeCounts(ctx context.Context, tx *sql.Tx, h *heads, agency string, change func(*cardsMade) error) error {
	r, made, found, err := countsOf(ctx, h, agency)
	if err != nil {
		return err
	}
	if err := change(&made); err != nil {
		return err
	}
	if !found {
		return cardCountRows.add(ctx, tx, h, h.name("cards of", agency), nil, made)
	}
	return cardCountRows.replace(ctx, tx, h, r, nil, made)
}

// on is the count of a day.
func (m *cardsMade) on(day int64) *cardCount {
	i, found := slices.BinarySearchFunc(m.Days, day, func(c cardCount, day int64) int { return cmp.Compare(c.Day, day) })
	if !found {
		m.Days = slices.Insert(m.Days, i, cardCount{Day: day})
	}
	return &m.Days[i]
}

// countCard counts a card of an agency on a day, unless that would be one too many.
// It stands in the transaction that reserves the card: SQLite has one writer, and
// PostgreSQL makes one of two that read the same row wait or begin anew. What no
// limit looks at any more goes with it.
func countCard(ctx context.Context, tx *sql.Tx, h *heads, agency string, day time.Time, limits []credentials.Limit) error {
	return changeCounts(ctx, tx, h, agency, func(all *cardsMade) error {
		kept := keptCounts
		for _, l := range limits {
			kept = max(kept, l.Days)
			var made int64
			for _, c := range all.Days {
				// Also what another process has counted for tomorrow: at midnight, too, there
				// is one number.
				if c.Day > toDay(day)-int64(l.Days) {
					made += c.Cards
				}
			}
			if made >= int64(l.Cards) {
				return credentials.ErrQuota
			}
		}
		all.on(toDay(day)).Cards++
		all.Days = slices.DeleteFunc(all.Days, func(c cardCount) bool { return c.Day < toDay(day)-int64(kept) })
		return nil
	})
}

// keptCounts is how many days a count is kept at least: one that a later limit may
// look at.
const keptCounts = 60

// errSaid says that something was logged before today.
var errSaid = errors.New("sqlstore: it was said today")

// Refused logs that an agency was at its limit, once a day.
func (c *Credentials) Refused(ctx context.Context, agency string, day time.Time, entries ...audit.Entry) error {
	err := c.db.change(ctx, entries, func(tx *sql.Tx, h *heads) error {
		return changeCounts(ctx, tx, h, agency, func(all *cardsMade) error {
			c := all.on(toDay(day))
			if c.Refused {
				return errSaid
			}
			c.Refused = true
			return nil
		})
	})
	if errors.Is(err, errSaid) {
		return nil
	}
	return err
}
