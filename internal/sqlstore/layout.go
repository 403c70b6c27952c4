package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// What lies where. A SQLite file keeps what does not fit into a page of its table in pages
// that were free when the row came, and PostgreSQL keeps rows as they came, each with the
// transaction that wrote it. So neighbours would be of one act, and of two copies of a file
// what differs would be what was changed. Both are undone from time to time: rows change
// places with others, and all places of the status lists are written anew.

// laid are the tables whose rows change places: those that an act on a case adds to, of
// the main database and of the keyring.
var laid = []string{"cells", "heads", "names", "leaves", "status_entries", "requests", "idempotency", ringTable}

// layout is behind which row of each table the next ones stand that change places.
type layout struct {
	mu     sync.Mutex
	behind map[string][]any
}

const (
	// layAtOnce is how many rows change places with each other, in one change of the
	// database. They are neighbours by keyed names, and so any rows of the table.
	layAtOnce = 64
	// layEach is how many rows of a table change places each time at the most, so that a
	// large network writes no more than some megabytes, and goes on the next time.
	layEach = 1024
)

// Lay has rows change places with others of their table, up to a number of each table, and
// goes on where it was the last time. Nothing that a row says is changed.
func (b *base) Lay(ctx context.Context) error {
	b.layout.mu.Lock()
	defer b.layout.mu.Unlock()
	tables, err := b.describe(ctx, b.read)
	if err != nil {
		return fmt.Errorf("sqlstore: lay rows anew: %w", classify(err))
	}
	for _, t := range tables {
		if !slices.Contains(laid, t.name) {
			continue
		}
		for range layEach / layAtOnce {
			more, err := b.layRows(ctx, t)
			if err != nil {
				return fmt.Errorf("sqlstore: lay rows of %s anew: %w", t.name, err)
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// layRows takes the next rows of a table out, and puts them in again in an order that is
// drawn, all in one change. It reports whether there are more behind them.
func (b *base) layRows(ctx context.Context, t table) (more bool, err error) {
	var names, keys, marks []string
	for i, c := range t.columns {
		names, marks = append(names, quoted(c.Name)), append(marks, fmt.Sprintf("$%d", i+1))
	}
	var keyAt []int
	for _, k := range t.key {
		keys = append(keys, quoted(k))
		keyAt = append(keyAt, slices.IndexFunc(t.columns, func(c column) bool { return c.Name == k }))
	}
	key := strings.Join(keys, ", ")
	read := "SELECT " + strings.Join(names, ", ") + " FROM " + quoted(t.name)
	order := fmt.Sprintf(" ORDER BY %s LIMIT %d", key, layAtOnce)
	//nolint:gosec // the names are those of our own schema
	remove := fmt.Sprintf("DELETE FROM %s WHERE (%s) = (%s)", quoted(t.name), key, strings.Join(marks[:len(keys)], ", "))
	//nolint:gosec // the same
	add := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quoted(t.name), strings.Join(names, ", "), strings.Join(marks, ", "))

	if b.layout.behind == nil {
		b.layout.behind = map[string][]any{}
	}
	from, been := b.layout.behind[t.name]
	var rows [][]any
	if !been { // of this process: each begins anywhere, so that no row is always last
		if from, err = b.anyRow(ctx, t, key); err != nil {
			return false, err
		}
	}
	err = b.tx(ctx, func(tx *sql.Tx) (err error) {
		if from == nil {
			rows, err = list(ctx, tx, scanAny(len(names)), read+order)
		} else {
			rows, err = list(ctx, tx, scanAny(len(names)), fmt.Sprintf("%s WHERE (%s) > (%s)%s", read, key, strings.Join(marks[:len(keys)], ", "), order), from...)
		}
		if err != nil {
			return err
		}
		drawn := slices.Clone(rows)
		rand.Shuffle(len(drawn), func(a, b int) { drawn[a], drawn[b] = drawn[b], drawn[a] }) //nolint:gosec // ChaCha8, which the system has seeded
		for _, row := range rows {
			if _, err := tx.ExecContext(ctx, remove, pick(row, keyAt)...); err != nil {
				return err
			}
		}
		for _, row := range drawn {
			if _, err := tx.ExecContext(ctx, add, row...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	more = len(rows) == layAtOnce
	b.layout.behind[t.name] = nil
	if more {
		b.layout.behind[t.name] = pick(rows[len(rows)-1], keyAt)
	}
	return more, nil
}

// anyRow is the key of any row of a table that is longer than what changes places in one
// go, and else nil.
func (b *base) anyRow(ctx context.Context, t table, key string) (from []any, err error) {
	var n int64
	if err := b.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(t.name)).Scan(&n); err != nil || n <= layEach {
		return nil, err
	}
	//nolint:gosec // the names are those of our own schema, and a number that was drawn
	found, err := list(ctx, b.read, scanAny(len(t.key)), fmt.Sprintf("SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d", key, quoted(t.name), key, rand.Int64N(n)))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// scanAny scans a row of as many columns, whatever they are.
func scanAny(columns int) func(scanner) ([]any, error) {
	return func(row scanner) ([]any, error) {
		values, into := make([]any, columns), make([]any, columns)
		for i := range values {
			into[i] = &values[i]
		}
		err := row.Scan(into...)
		for i, v := range values {
			if b, ok := v.([]byte); ok { // nil is no bytes, and not NULL, as SQLite's driver has it
				values[i] = append([]byte{}, b...)
			}
		}
		return values, err
	}
}

func pick(row []any, at []int) []any {
	picked := make([]any, len(at))
	for i, n := range at {
		picked[i] = row[n]
	}
	return picked
}
