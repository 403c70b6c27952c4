package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// boxed is a table of what is small and comes and goes: requests, sessions, counts. Each
// row has a keyed name, in the order of which it stands, and a box with all that it says,
// of few sizes. Whoever has no key can tell neither what a row is about nor what it
// allows, and nothing links it to another one.
//
// What a row grants it grants with a seal, over the row as it stands. All these tables
// share 256 heads, by the first byte of a row's name: which of them was written last does
// not tell what kind of thing came or went.
type boxed struct {
	table string
	least int         // the smallest size of what a row says
	kind  sealedTable // 0 where rows have no seal
	// also is one more column, "" for none: another keyed name by which a row is found,
	// or a box of one size, from which is read whether the whole row is wanted.
	also string
}

var (
	requestRows    = boxed{"requests", 16 << 10, sealedRequest, "front"}
	sessionRows    = boxed{"sessions", 256, sealedSession, ""}
	invitationRows = boxed{"invitations", 512, sealedInvitation, "secret"}
	enrolmentRows  = boxed{"enrolments", 4 << 10, sealedEnrolment, "token"}
	cardCountRows  = boxed{"card_counts", 2 << 10, sealedCount, ""}
	erasureRows    = boxed{"erasures", 2 << 10, sealedErasure, ""}

	lookUpRows  = boxed{"lookup_budgets", 256, 0, ""}
	passkeyRows = boxed{"passkey_uses", 32, 0, ""}
)

// sealedBoxed are those whose rows have seals.
var sealedBoxed = []boxed{requestRows, sessionRows, invitationRows, enrolmentRows, cardCountRows, erasureRows}

// boxedRow is a row as it stands.
type boxedRow struct {
	name      name
	also, box []byte
}

// untrue says that a row is not what was written.
func (b boxed) untrue(r boxedRow) error { return &SealError{b.table, r.name.String()} }

func (b boxed) selects() string {
	if b.also == "" {
		return "SELECT name, box, box FROM " + b.table
	}
	return "SELECT name, box, " + b.also + " FROM " + b.table
}

func (b boxed) scan(row scanner) (r boxedRow, err error) {
	var called []byte
	if err := row.Scan(&called, &r.box, &r.also); err != nil {
		return r, err
	}
	if len(called) != len(r.name) {
		return r, &SealError{b.table, hex.EncodeToString(called)}
	}
	if b.also == "" {
		r.also = nil
	}
	r.name = name(called)
	return r, nil
}

// seal is the seal of a row.
func (b boxed) seal(k *sealer, r boxedRow) seal {
	return k.seal(b.kind, ofTable(b.kind, len(r.box)+len(r.also)).bytes(r.name[:], r.also, r.box))
}

// row makes the row that says something.
func (b boxed) row(k *sealer, n name, also []byte, says any) (boxedRow, error) {
	plain, err := bodyEncoding.Marshal(says)
	if err != nil {
		return boxedRow{}, fmt.Errorf("sqlstore: encode a row of %s: %w", b.table, err)
	}
	return boxedRow{n, also, k.boxes.box(b.least, plain, b.table, string(n[:]), 0)}, nil
}

// read reads what a row says.
func (b boxed) read(k *sealer, r boxedRow, into any) error {
	plain, err := k.boxes.open(r.box, b.table, string(r.name[:]), 0)
	if err != nil || bodyDecoding.Unmarshal(plain, into) != nil {
		return b.untrue(r)
	}
	return nil
}

// believe reads what a row says, and holds the row against its head.
func (b boxed) believe(ctx context.Context, h *heads, r boxedRow, into any) error {
	of, err := h.of(ctx, inBucket(r.name))
	switch {
	case err != nil:
		return err
	case !of.has(b.seal(h.sealer, r)):
		return b.untrue(r)
	default:
		return b.read(h.sealer, r, into)
	}
}

// get reads the row with a name. Where there is none the head is looked for as well: how
// long it takes does not tell.
func (b boxed) get(ctx context.Context, h *heads, n name, into any) (r boxedRow, found bool, err error) {
	r, err = b.scan(h.q.QueryRowContext(ctx, b.selects()+" WHERE name = $1", n[:]))
	return b.got(ctx, h, n, r, err, into)
}

// getAlso reads the row with another name.
func (b boxed) getAlso(ctx context.Context, h *heads, also name, into any) (r boxedRow, found bool, err error) {
	r, err = b.scan(h.q.QueryRowContext(ctx, b.selects()+" WHERE "+b.also+" = $1", also[:]))
	return b.got(ctx, h, also, r, err, into)
}

func (b boxed) got(ctx context.Context, h *heads, n name, r boxedRow, err error, into any) (boxedRow, bool, error) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err = h.of(ctx, inBucket(n))
		return r, false, err
	case err != nil:
		return r, false, fmt.Errorf("sqlstore: read %s: %w", b.table, classify(err))
	default:
		err = b.believe(ctx, h, r, into)
		return r, err == nil, err
	}
}

// rows reads all rows as they stand, in the order of their names.
func (b boxed) rows(ctx context.Context, q querier) ([]boxedRow, error) {
	all, err := list(ctx, q, b.scan, b.selects()+" ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read %s: %w", b.table, classify(err))
	}
	return all, nil
}

// every reads all rows, each of which has its seal and none of which is missing.
func every[T any](ctx context.Context, h *heads, b boxed, each func(r boxedRow, says T) error) error {
	rows, err := b.rows(ctx, h.q)
	if err != nil {
		return err
	}
	buckets, err := h.ofBuckets(ctx)
	if err != nil {
		return err
	}
	missing := -len(rows)
	for _, one := range buckets {
		missing += one.count(b.kind)
	}
	for _, r := range rows {
		var says T
		if err := b.believe(ctx, h, r, &says); err != nil {
			return err
		}
		if err := each(r, says); err != nil {
			return err
		}
	}
	if missing != 0 {
		return &SealError{"rows of", b.table}
	}
	return nil
}

// add writes a new row. An error that isTaken if there is one with one of its names.
func (b boxed) add(ctx context.Context, tx *sql.Tx, h *heads, n name, also []byte, says any) error {
	r, err := b.row(h.sealer, n, also, says)
	if err != nil {
		return err
	}
	query, args := "INSERT INTO "+b.table+" (name, box) VALUES ($1, $2)", []any{n[:], r.box}
	if b.also != "" {
		query, args = "INSERT INTO "+b.table+" (name, box, "+b.also+") VALUES ($1, $2, $3)", append(args, also)
	}
	if err := h.exec(ctx, tx, query, args...); err != nil {
		return fmt.Errorf("sqlstore: write %s: %w", b.table, err)
	}
	of, err := h.of(ctx, inBucket(n))
	if err == nil {
		of.put(b.seal(h.sealer, r))
	}
	return err
}

// replace writes a row in the place of one with the same name.
func (b boxed) replace(ctx context.Context, tx *sql.Tx, h *heads, old boxedRow, also []byte, says any) error {
	r, err := b.row(h.sealer, old.name, also, says)
	if err != nil {
		return err
	}
	query, args := "UPDATE "+b.table+" SET box = $2 WHERE name = $1", []any{r.name[:], r.box}
	if b.also != "" {
		query, args = "UPDATE "+b.table+" SET box = $2, "+b.also+" = $3 WHERE name = $1", append(args, also)
	}
	if err := h.exec(ctx, tx, query, args...); err != nil {
		return fmt.Errorf("sqlstore: write %s: %w", b.table, err)
	}
	of, err := h.of(ctx, inBucket(r.name))
	if err != nil {
		return err
	}
	of.put(b.seal(h.sealer, r))
	return of.take(b.seal(h.sealer, old), old.name.String())
}

// remove removes a row.
func (b boxed) remove(ctx context.Context, tx *sql.Tx, h *heads, old boxedRow) error {
	if err := h.exec(ctx, tx, "DELETE FROM "+b.table+" WHERE name = $1", old.name[:]); err != nil {
		return fmt.Errorf("sqlstore: forget %s: %w", b.table, err)
	}
	of, err := h.of(ctx, inBucket(old.name))
	if err != nil {
		return err
	}
	return of.take(b.seal(h.sealer, old), old.name.String())
}

// rowsOfBoxed reads the rows of all these tables, for the check of everything.
func (h *heads) rowsOfBoxed(ctx context.Context, q querier) (all []sealedRow, err error) {
	for _, b := range sealedBoxed {
		rows, err := b.rows(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			all = append(all, sealedRow{inBucket(r.name), r.name.String(), b.seal(h.sealer, r)})
		}
	}
	return all, nil
}

// boxed looks at all rows that are small and come and go. Of a backup sessions are left
// out, which means that they are over.
func (c *sealCheck) boxed(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) ([]string, error) {
		all, err := h.ofBuckets(ctx)
		if err != nil {
			return nil, err
		}
		rows, err := h.rowsOfBoxed(ctx, h.q)
		if err != nil {
			return nil, err
		}
		subjects := make([]string, len(all))
		for i, one := range all {
			if subjects[i] = one.subject; c.loaded {
				one.drop(sealedSession)
			}
		}
		return h.compare(ctx, subjects, rows)
	})
}

// hourBehind is the hour behind which something is over, rounded up: rows that are
// forgotten by their time carry no finer one. They stay up to an hour longer.
func hourBehind(seconds int64) int64 { return (seconds + 3599) / 3600 }

// dayBehind is the day behind which an answer is over. Hours would date what lies beside
// an answer in the file.
func dayBehind(seconds int64) int64 { return (seconds + 86399) / 86400 }

// loose reads a row that has no seal.
func (b boxed) loose(ctx context.Context, k *sealer, q querier, n name, into any) (found bool, err error) {
	r, err := b.scan(q.QueryRowContext(ctx, b.selects()+" WHERE name = $1", n[:]))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("sqlstore: read %s: %w", b.table, classify(err))
	default:
		err = b.read(k, r, into)
		return err == nil, err
	}
}

// keep writes a row that has no seal, over one that is there.
func (b boxed) keep(ctx context.Context, tx *sql.Tx, k *sealer, n name, says any) error {
	r, err := b.row(k, n, nil, says)
	if err != nil {
		return err
	}
	//nolint:gosec // the names of tables are those above
	_, err = tx.ExecContext(ctx, "INSERT INTO "+b.table+" (name, box) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET box = excluded.box", n[:], r.box)
	if err != nil {
		return fmt.Errorf("sqlstore: write %s: %w", b.table, err)
	}
	return nil
}
