package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
)

// Rows that grant nothing have no seal: answers, counts and challenges. Which of them are
// there nobody knows by heart. But each that is there was written by us or is damage, and
// what stands beside its box follows from what is in it.

// looseTable is a table of such rows. its reports whether a row is as it was written: its
// name, the number beside the box, and the box.
type looseTable struct {
	table, query string
	its          func(k *sealer, of []byte, number int64, box []byte) bool
}

var looseTables = []looseTable{
	looseRows(lookUpRows, func() any { return new(lookUpsOf) }),
	looseRows(passkeyRows, func() any { return new(useSays) }),
	{"nonces", "SELECT name, hour, box FROM nonces", func(k *sealer, of []byte, hour int64, box []byte) bool {
		var says nonceSays
		plain, err := k.boxes.open(box, "nonces", string(of), 0)
		return err == nil && bodyDecoding.Unmarshal(plain, &says) == nil && hour == hourBehind(says.Expires+1)
	}},
	{"idempotency", "SELECT id, day, box FROM idempotency", func(k *sealer, of []byte, day int64, box []byte) bool {
		var kept answered
		plain, err := k.boxes.open(box, "idempotency", string(of), 0)
		return err == nil && bodyDecoding.Unmarshal(plain, &kept) == nil && day == dayBehind(kept.Expires)
	}},
	{"code_tries", "SELECT name, day, box FROM code_tries", func(k *sealer, of []byte, day int64, box []byte) bool {
		_, err := k.openCodeTries(name(of), day, box)
		return err == nil
	}},
	{"paper_tries", "SELECT name, day, box FROM paper_tries", func(k *sealer, of []byte, day int64, box []byte) bool {
		t, err := k.openTried(name(of), box)
		return err == nil && day == t.newest/24
	}},
	{"spent_challenges", "SELECT name, hour, NULL FROM spent_challenges", func(k *sealer, of []byte, hour int64, _ []byte) bool {
		return k.spentName(name(of), hour) == name(of)
	}},
}

// looseRows are those of a table of boxes in which rows have no seal.
func looseRows(b boxed, says func() any) looseTable {
	return looseTable{b.table, "SELECT name, 0, box FROM " + b.table, func(k *sealer, of []byte, _ int64, box []byte) bool {
		return b.read(k, boxedRow{name: name(of), box: box}, says()) == nil
	}}
}

// nameLength is how long the keys of these rows are: a name, but for answers, which are
// called by the caller's own key.
func (u looseTable) nameLength() int {
	if u.table == "idempotency" {
		return 32
	}
	return len(name{})
}

// checkUnsealed looks at all rows that have no seal.
func (db *DB) checkUnsealed(ctx context.Context, tx *sql.Tx) (problems []string, err error) {
	if db.seals == nil {
		return nil, ErrNoSealKey
	}
	for _, u := range looseTables {
		rows, err := tx.QueryContext(ctx, u.query)
		if err != nil {
			return nil, classify(err)
		}
		err = each(rows, func() error {
			var of, box []byte
			var number sql.NullInt64
			if err := rows.Scan(&of, &number, &box); err != nil {
				problems = append(problems, "rows of "+u.table+" are not what was written here")
				return nil //nolint:nilerr // it is damage of the row
			}
			if len(of) != u.nameLength() || !u.its(db.seals, of, number.Int64, box) {
				problems = append(problems, (&SealError{u.table, hex.EncodeToString(of[:min(len(of), len(name{}))])}).problem())
			}
			return nil
		})
		if err != nil {
			return nil, classify(err)
		}
	}
	return problems, nil
}
