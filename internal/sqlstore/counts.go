package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
)

// countCard counts a card of an agency on a day, unless that would be one too many.
// It stands in the transaction that reserves the card: SQLite has one writer, and
// PostgreSQL makes one of two that read the same days wait or begin anew. What no
// limit looks at any more goes with it.
func countCard(ctx context.Context, tx *sql.Tx, agency string, day time.Time, limits []credentials.Limit) error {
	kept := 0
	for _, l := range limits {
		kept = max(kept, l.Days)
		var made int
		// Also what another process has counted for tomorrow: at midnight, too, there
		// is one number.
		err := tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(cards), 0) FROM card_counts WHERE agency_id = $1 AND day > $2",
			agency, toDay(day)-int64(l.Days)).Scan(&made)
		switch {
		case err != nil:
			return fmt.Errorf("sqlstore: count cards: %w", err)
		case made >= l.Cards:
			return credentials.ErrQuota
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO card_counts (agency_id, day, cards, refused) VALUES ($1, $2, 1, $3)
		ON CONFLICT (agency_id, day) DO UPDATE SET cards = card_counts.cards + 1`, agency, toDay(day), false)
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM card_counts WHERE agency_id = $1 AND day < $2", agency, toDay(day)-int64(max(kept, keptCounts)))
	}
	if err != nil {
		return fmt.Errorf("sqlstore: count cards: %w", err)
	}
	return nil
}

// keptCounts is how many days a count is kept at least: one that a later limit may
// look at.
const keptCounts = 60

// Refused logs that an agency was at its limit, once a day.
func (c *Credentials) Refused(ctx context.Context, agency string, day time.Time, entries ...audit.Entry) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO card_counts (agency_id, day, cards, refused) VALUES ($1, $2, 0, $3)
			ON CONFLICT (agency_id, day) DO UPDATE SET refused = $3 WHERE NOT card_counts.refused`, agency, toDay(day), true)
		if err != nil {
			return fmt.Errorf("sqlstore: note a refusal: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // it was said today
		}
		return c.db.appendEntries(ctx, tx, slices.Clone(entries)...)
	})
}
