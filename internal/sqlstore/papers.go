package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/safeconduct/safeconduct/credentials"
)

// TryPaper counts a try with a card number in each budget, unless one is used up: then it
// writes as much, and no more tries.
func (c *Credentials) TryPaper(ctx context.Context, budgets []credentials.Budget, hour int64) (within bool, err error) {
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		within = true
		for _, b := range budgets {
			var tries int
			err := tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(tries), 0) FROM paper_tries WHERE number = $1 AND hour > $2`,
				b.Place[:], hour-24).Scan(&tries)
			if err != nil {
				return fmt.Errorf("sqlstore: count tries: %w", err)
			}
			within = within && tries < b.Daily
		}
		for _, b := range budgets {
			_, err := tx.ExecContext(ctx, `INSERT INTO paper_tries (number, hour, tries, who) VALUES ($1, $2, $3, $4)
				ON CONFLICT (number, hour) DO UPDATE SET tries = paper_tries.tries + excluded.tries`, b.Place[:], hour, one(within), b.Who)
			if err != nil {
				return fmt.Errorf("sqlstore: count try: %w", err)
			}
		}
		return nil
	})
	return within && err == nil, err
}

// SettlePaper takes a right try out of the count, and nothing in place of a wrong one.
func (c *Credentials) SettlePaper(ctx context.Context, budgets []credentials.Budget, hour int64, right bool) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		for _, b := range budgets {
			_, err := tx.ExecContext(ctx, "UPDATE paper_tries SET tries = tries - $3 WHERE number = $1 AND hour = $2", b.Place[:], hour, one(right))
			if err != nil {
				return fmt.Errorf("sqlstore: settle try: %w", err)
			}
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
