package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
)

// TryPaper counts a try with a card number, unless there were too many.
func (c *Credentials) TryPaper(ctx context.Context, number [16]byte, hour int64, hourly, daily int) (within bool, err error) {
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		var inHour, inDay int
		err := tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(CASE WHEN hour = $2 THEN tries ELSE 0 END), 0), COALESCE(SUM(tries), 0)
			FROM paper_tries WHERE number = $1 AND hour > $3`, number[:], hour, hour-24).Scan(&inHour, &inDay)
		if err != nil {
			return fmt.Errorf("sqlstore: count tries: %w", err)
		}
		if within = inHour < hourly && inDay < daily; !within {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO paper_tries (number, hour, tries) VALUES ($1, $2, 1)
			ON CONFLICT (number, hour) DO UPDATE SET tries = paper_tries.tries + 1`, number[:], hour)
		if err != nil {
			return fmt.Errorf("sqlstore: count try: %w", err)
		}
		return nil
	})
	return within && err == nil, err
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
