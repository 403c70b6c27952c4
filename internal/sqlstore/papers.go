package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
)

// TryPaper counts a try with a card number, unless there were too many: then it writes
// as much, and no more tries.
func (c *Credentials) TryPaper(ctx context.Context, number [16]byte, hour int64, daily int) (within bool, err error) {
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		var tries int
		err := tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(tries), 0) FROM paper_tries WHERE number = $1 AND hour > $2`,
			number[:], hour-24).Scan(&tries)
		if err != nil {
			return fmt.Errorf("sqlstore: count tries: %w", err)
		}
		within = tries < daily
		_, err = tx.ExecContext(ctx, `INSERT INTO paper_tries (number, hour, tries) VALUES ($1, $2, $3)
			ON CONFLICT (number, hour) DO UPDATE SET tries = paper_tries.tries + excluded.tries`, number[:], hour, one(within))
		if err != nil {
			return fmt.Errorf("sqlstore: count try: %w", err)
		}
		return nil
	})
	return within && err == nil, err
}

// SettlePaper takes a right try out of the count, and nothing in place of a wrong one.
func (c *Credentials) SettlePaper(ctx context.Context, number [16]byte, hour int64, right bool) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE paper_tries SET tries = tries - $3 WHERE number = $1 AND hour = $2", number[:], hour, one(right))
		if err != nil {
			return fmt.Errorf("sqlstore: settle try: %w", err)
		}
		return nil
	})
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// SweepPapers forgets old tries.
func (c *Credentials) SweepPapers(ctx context.Context, hour int64) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM paper_tries WHERE hour < $1", hour); err != nil {
			return fmt.Errorf("sqlstore: forget tries: %w", err)
		}
		return nil
	})
}
