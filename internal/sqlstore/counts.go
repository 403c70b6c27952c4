package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
)

// cardCount is how many cards an agency has begun on a day, and whether it was refused
// one.
type cardCount struct {
	agency     string
	day, cards int64
	refused    bool
}

const selectCounts = "SELECT agency_id, day, cards, refused FROM card_counts "

func scanCount(row scanner) (c cardCount, err error) {
	return c, row.Scan(&c.agency, &c.day, &c.cards, &c.refused)
}

// countsOf reads all counts of an agency, none of which is missing.
func countsOf(ctx context.Context, tx *sql.Tx, h *heads, agency string) (*head, []cardCount, error) {
	of, err := h.of(ctx, ofCount(agency))
	if err != nil {
		return nil, nil, err
	}
	all, err := list(ctx, tx, scanCount, selectCounts+"WHERE agency_id = $1", agency)
	if err != nil {
		return nil, nil, fmt.Errorf("sqlstore: count cards: %w", err)
	}
	for _, c := range all {
		if !of.has(h.cardCount(c)) {
			return nil, nil, &SealError{sealedCount.String(), agency}
		}
	}
	if of.count(sealedCount) != len(all) {
		return nil, nil, &SealError{"rows of", sealedCount.String()}
	}
	return of, all, nil
}

// countCard counts a card of an agency on a day, unless that would be one too many.
// It stands in the transaction that reserves the card: SQLite has one writer, and
// PostgreSQL makes one of two that read the same days wait or begin anew. What no
// limit looks at any more goes with it.
func countCard(ctx context.Context, tx *sql.Tx, h *heads, agency string, day time.Time, limits []credentials.Limit) error {
	_, all, err := countsOf(ctx, tx, h, agency)
	if err != nil {
		return err
	}
	kept := keptCounts
	for _, l := range limits {
		kept = max(kept, l.Days)
		var made int64
		for _, c := range all {
			// Also what another process has counted for tomorrow: at midnight, too, there
			// is one number.
			if c.day > toDay(day)-int64(l.Days) {
				made += c.cards
			}
		}
		if made >= int64(l.Cards) {
			return credentials.ErrQuota
		}
	}
	if err := changeCount(ctx, tx, h, agency, toDay(day), func(c *cardCount) { c.cards++ }); err != nil {
		return err
	}
	return forgetCounts(ctx, tx, h, agency, toDay(day)-int64(kept))
}

// keptCounts is how many days a count is kept at least: one that a later limit may
// look at.
const keptCounts = 60

// changeCount changes the count of an agency on a day.
func changeCount(ctx context.Context, tx *sql.Tx, h *heads, agency string, day int64, change func(*cardCount)) error {
	of, all, err := countsOf(ctx, tx, h, agency)
	if err != nil {
		return err
	}
	c := cardCount{agency: agency, day: day}
	if i := slices.IndexFunc(all, func(c cardCount) bool { return c.day == day }); i >= 0 {
		c = all[i]
		if err := of.take(h.cardCount(c), agency); err != nil {
			return err
		}
	}
	change(&c)
	of.put(h.cardCount(c))
	_, err = tx.ExecContext(ctx, `INSERT INTO card_counts (agency_id, day, cards, refused) VALUES ($1, $2, $3, $4)
		ON CONFLICT (agency_id, day) DO UPDATE SET cards = excluded.cards, refused = excluded.refused`, agency, day, c.cards, c.refused)
	if err != nil {
		return fmt.Errorf("sqlstore: count cards: %w", err)
	}
	return nil
}

// forgetCounts forgets those from before a day.
func forgetCounts(ctx context.Context, tx *sql.Tx, h *heads, agency string, before int64) error {
	of, all, err := countsOf(ctx, tx, h, agency)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.day >= before {
			continue
		}
		if err := of.take(h.cardCount(c), agency); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM card_counts WHERE agency_id = $1 AND day = $2", agency, c.day); err != nil {
			return fmt.Errorf("sqlstore: count cards: %w", err)
		}
	}
	return nil
}

// errSaid says that something was logged before today.
var errSaid = errors.New("sqlstore: it was said today")

// Refused logs that an agency was at its limit, once a day.
func (c *Credentials) Refused(ctx context.Context, agency string, day time.Time, entries ...audit.Entry) error {
	err := c.db.change(ctx, entries, func(tx *sql.Tx, h *heads) error {
		var said bool
		err := changeCount(ctx, tx, h, agency, toDay(day), func(c *cardCount) { said, c.refused = c.refused, true })
		if err == nil && said {
			err = errSaid
		}
		return err
	})
	if errors.Is(err, errSaid) {
		return nil
	}
	return err
}
