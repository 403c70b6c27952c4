package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/safeconduct/safeconduct/credentials/mask"
)

// Health is what Check found. Problems name what is broken, never whose it is.
type Health struct {
	Issued   int64    `json:"issued"`
	Active   int64    `json:"active"`
	Entries  int64    `json:"status_entries"`
	Logged   int64    `json:"log_entries"`
	Drafts   int64    `json:"drafts"`  // open ones; wrong only where nobody is issuing
	Settled  int      `json:"settled"` // drafts, by whoever opened the house
	Problems []string `json:"problems"`
}

// invariants are questions whose answer must be zero: docs/operate.md, fsck.
var invariants = []struct{ problem, query string }{
	{"records without a status entry", `SELECT COUNT(*) FROM issued i WHERE NOT EXISTS
		(SELECT 1 FROM status_entries e WHERE e.list = i.list AND e.list_index = i.list_index AND NOT e.decoy)`},
	{"status entries of two records", `SELECT COUNT(*) FROM
		(SELECT list, list_index FROM issued GROUP BY list, list_index HAVING COUNT(*) > 1) AS twice`},
	{"real status entries without a record", `SELECT COUNT(*) FROM status_entries e WHERE NOT e.decoy AND NOT e.held AND NOT EXISTS
		(SELECT 1 FROM issued i WHERE e.list = i.list AND e.list_index = i.list_index)`},
	{"abandoned drafts that are not out of use", `SELECT COUNT(*) FROM issued i JOIN status_entries e
		ON e.list = i.list AND e.list_index = i.list_index WHERE i.state IN ('abandoned', 'withdrawn') AND e.wanted_status <> 1`},
	{"records in use that are not marked so", `SELECT COUNT(*) FROM issued i JOIN status_entries e
		ON e.list = i.list AND e.list_index = i.list_index WHERE i.state = 'active' AND e.wanted_status <> 0`},
	{"cards in use without an open key", `SELECT COUNT(*) FROM issued i LEFT JOIN cards c ON c.id = i.id
		WHERE i.kind = 'card' AND i.state = 'active' AND c.open_key IS NULL`},
	{"attestations in use without a token", `SELECT COUNT(*) FROM issued
		WHERE kind <> 'card' AND state = 'active' AND sealed IS NULL`},
	{"records with fewer than two log entries", `SELECT COUNT(*) FROM
		(SELECT i.case_id AS c, COUNT(*) AS issued FROM issued i WHERE i.state <> 'abandoned' AND i.sealed IS NOT NULL GROUP BY i.case_id) AS counted
		WHERE (SELECT COUNT(*) FROM log_entries l WHERE l.case_id = counted.c) < 2 * counted.issued`},
}

// Misplaced tells what stands where it may not in the status lists: something real at
// a place of a decoy, or a decoy at one of something real. What a restore holds may be
// either: it belongs to nobody here.
func (db *DB) Misplaced(ctx context.Context, decoys func(ctx context.Context, list uint16) (*mask.Decoys, error)) (problems []string, err error) {
	numbers, err := db.Credentials().Lists(ctx)
	if err != nil {
		return nil, err
	}
	for _, number := range numbers {
		may, err := decoys(ctx, number)
		if err != nil {
			return nil, err
		}
		places, err := list(ctx, db.read, scanPlace, selectPlaces+"WHERE list = $1 AND NOT held", number)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: check: %w", classify(err))
		}
		wrong := 0
		for _, p := range places {
			if p.Decoy != may.Has(p.Index) {
				wrong++
			}
		}
		if wrong > 0 {
			problems = append(problems, fmt.Sprintf("%d places of status list %d are decoys and should not be, or the other way round", wrong, number))
		}
	}
	return problems, nil
}

// Check asks the engine what damage it knows of, and the data whether its
// invariants hold. SQLite reads the whole file for it; a PostgreSQL server tells
// what it has come across.
func (db *DB) Check(ctx context.Context) (Health, error) {
	var h Health
	h.Problems = []string{}
	err := db.readTx(ctx, func(tx *sql.Tx) error {
		damage, err := db.damage(ctx, tx)
		if err != nil {
			return err
		}
		h.Problems = append(h.Problems, damage...)
		for _, count := range []struct {
			into  *int64
			query string
		}{
			{&h.Issued, "SELECT COUNT(*) FROM issued"},
			{&h.Active, "SELECT COUNT(*) FROM issued WHERE state = 'active'"},
			{&h.Entries, "SELECT COUNT(*) FROM status_entries WHERE NOT decoy AND NOT held"},
			{&h.Logged, "SELECT COUNT(*) FROM log_entries"},
			{&h.Drafts, "SELECT COUNT(*) FROM issued WHERE state = 'draft'"},
		} {
			if err := tx.QueryRowContext(ctx, count.query).Scan(count.into); err != nil {
				return err
			}
		}
		for _, i := range invariants {
			var n int64
			if err := tx.QueryRowContext(ctx, i.query).Scan(&n); err != nil {
				return err
			}
			if n != 0 {
				h.Problems = append(h.Problems, fmt.Sprintf("%d %s", n, i.problem))
			}
		}
		return nil
	})
	if err != nil {
		return Health{}, fmt.Errorf("sqlstore: check: %w", err)
	}
	return h, nil
}
