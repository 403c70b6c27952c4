package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

var (
	_ people.Changes  = (*People)(nil)
	_ people.Requests = (*People)(nil)
)

// Changes returns the roster's changes from a number on.
func (p *People) Changes(ctx context.Context, from uint64, limit int) ([][]byte, error) {
	rows, err := p.db.read.QueryContext(ctx, "SELECT change FROM roster_changes WHERE seq >= $1 ORDER BY seq LIMIT $2", int64(from), limit) //nolint:gosec // counts one by one
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read the roster: %w", classify(err))
	}
	var all [][]byte
	err = each(rows, func() error {
		var change []byte
		if err := rows.Scan(&change); err != nil {
			return err
		}
		all = append(all, change)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read the roster: %w", classify(err))
	}
	return all, nil
}

// AppendChange writes a change of the roster. people.ErrConflict if there is one with
// its number. It goes behind the one that was written last, and behind no other.
func (p *People) AppendChange(ctx context.Context, seq uint64, change []byte, presses people.Pressing, log ...audit.Entry) error {
	at := int64(seq) //nolint:gosec // counts one by one
	return p.db.pressing(ctx, presses, log, func(tx *sql.Tx, h *heads) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO roster_changes (seq, change) VALUES ($1, $2)", at, change)
		if isTaken(err) {
			return people.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write the roster: %w", err)
		}
		of, err := h.of(ctx, ofRoster)
		if err != nil {
			return err
		}
		var before seal
		if at > 1 {
			var last []byte
			err := tx.QueryRowContext(ctx, "SELECT change FROM roster_changes WHERE seq = $1", at-1).Scan(&last)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("sqlstore: read the roster: %w", err)
			}
			before = h.change(at-1, last)
		}
		if of.only(sealedChange) != before {
			return &SealError{sealedChange.String(), fmt.Sprint(at - 1)}
		}
		of.drop(sealedChange)
		of.put(h.change(at, change))
		return nil
	})
}

// requestRow is a request as it is kept.
type requestRow struct {
	people.Request

	id          string
	act, proofs []byte
	what        string // what the act is to do, for whoever looks for some
	expires     int64
}

func rowOfRequest(r people.Request) (row requestRow, err error) {
	row = requestRow{Request: r, id: r.Act.ID, what: r.Act.Do, expires: r.Act.Expires}
	if row.act, err = r.Act.Bytes(); err != nil {
		return row, err
	}
	if row.proofs, err = json.Marshal(r.Proofs); err != nil {
		return row, fmt.Errorf("sqlstore: encode the approvals: %w", err)
	}
	return row, nil
}

// AddRequest writes a request. Transactions come one after the other, so that of two that
// ask for the same at once the second finds the first.
func (p *People) AddRequest(ctx context.Context, r people.Request, presses people.Pressing, asked func(waits people.Request) bool, log ...audit.Entry) error {
	row, err := rowOfRequest(r)
	if err != nil {
		return err
	}
	return p.db.pressing(ctx, presses, log, func(tx *sql.Tx, h *heads) error {
		if asked != nil {
			waiting, err := list(ctx, tx, scanRequest, selectRequests+"WHERE what = $1 AND state = 'waits'", row.what)
			if err != nil {
				return err
			}
			for _, one := range waiting {
				if q, err := one.read(); err == nil && asked(q) {
					return people.ErrExists
				}
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO requests (id, act, proofs, state, change, expires, version, sealed, what) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			row.id, row.act, row.proofs, string(row.State), int64(row.Change), row.expires, row.Version, bytesOrNone(row.Sealed), row.what) //nolint:gosec // counts one by one
		if isTaken(err) {
			return people.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write a request: %w", err)
		}
		of, err := h.of(ctx, inBucket(bucketRequests, row.id))
		if err == nil {
			of.put(h.request(row))
		}
		return err
	})
}

const selectRequests = "SELECT id, act, proofs, state, change, expires, version, sealed, what FROM requests "

func scanRequest(row scanner) (r requestRow, err error) {
	var change int64
	var sealed any // a driver may give NULL and no bytes the same []byte
	if err := row.Scan(&r.id, &r.act, &r.proofs, &r.State, &change, &r.expires, &r.Version, &sealed, &r.what); err != nil {
		return r, err
	}
	r.Sealed, _ = sealed.([]byte)
	r.Change = uint64(change) //nolint:gosec // written from a uint64
	return r, nil
}

// read is the request that a row holds, once its seal is known to be there.
func (r requestRow) read() (people.Request, error) {
	var err error
	if r.Act, err = approval.Parse(r.act); err != nil || json.Unmarshal(r.proofs, &r.Proofs) != nil {
		return people.Request{}, &SealError{sealedRequest.String(), r.id}
	}
	return r.Request, nil
}

// Request returns a request.
func (p *People) Request(ctx context.Context, id string) (r people.Request, err error) {
	err = p.db.believed(ctx, func(h *heads) error {
		_, row, err := requestIn(ctx, h.q, h, id)
		if err == nil {
			r, err = row.read()
		}
		return err
	})
	return r, err
}

// requestIn reads a request, with the head that it stands in.
func requestIn(ctx context.Context, q querier, h *heads, id string) (of *head, r requestRow, err error) {
	r, err = scanRequest(q.QueryRowContext(ctx, selectRequests+"WHERE id = $1", id))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, r, fmt.Errorf("sqlstore: read requests: %w", classify(err))
	}
	none := err != nil
	if of, err = h.of(ctx, inBucket(bucketRequests, id)); err != nil {
		return nil, r, err
	}
	switch {
	case none:
		return of, r, people.ErrNotFound
	case !of.has(h.request(r)):
		return of, r, &SealError{sealedRequest.String(), id}
	default:
		return of, r, nil
	}
}

// Waiting returns the requests that wait, oldest first.
func (p *People) Waiting(ctx context.Context, now time.Time) ([]people.Request, error) {
	return p.requests(ctx, "WHERE state = 'waits' AND expires > $1 ORDER BY expires, id", now.Unix())
}

// Agreed returns the requests to do something to which enough have agreed, and that were
// not over at a time.
func (p *People) Agreed(ctx context.Context, do string, since time.Time) ([]people.Request, error) {
	return p.requests(ctx, "WHERE what = $1 AND state IN ('agreed', 'done') AND expires > $2 ORDER BY expires, id", do, since.Unix())
}

// requests reads those that a condition finds.
func (p *People) requests(ctx context.Context, where string, args ...any) (all []people.Request, err error) {
	err = p.db.believed(ctx, func(h *heads) error {
		all = nil
		rows, err := list(ctx, h.q, scanRequest, selectRequests+where, args...)
		if err != nil || len(rows) == 0 {
			return err
		}
		if _, err := h.ofBuckets(ctx, bucketRequests); err != nil {
			return err
		}
		for _, row := range rows {
			of, err := h.of(ctx, inBucket(bucketRequests, row.id))
			if err == nil && !of.has(h.request(row)) {
				err = &SealError{sealedRequest.String(), row.id}
			}
			if err != nil {
				return err
			}
			r, err := row.read()
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read requests: %w", err)
	}
	return all, nil
}

// ReplaceRequest writes a request as given. people.ErrConflict if somebody else has
// changed it since it was read.
func (p *People) ReplaceRequest(ctx context.Context, r people.Request) error {
	row, err := rowOfRequest(r)
	if err != nil {
		return err
	}
	return p.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		of, old, err := requestIn(ctx, tx, h, row.id)
		switch {
		case errors.Is(err, people.ErrNotFound):
			return people.ErrConflict
		case err != nil:
			return err
		case old.Version != row.Version || !bytes.Equal(old.act, row.act):
			return people.ErrConflict
		}
		if err := of.take(h.request(old), old.id); err != nil {
			return err
		}
		old.proofs, old.State, old.Change, old.Version = row.proofs, row.State, row.Change, old.Version+1
		of.put(h.request(old))
		_, err = tx.ExecContext(ctx, "UPDATE requests SET proofs = $1, state = $2, change = $3, version = $4 WHERE id = $5",
			old.proofs, string(old.State), int64(old.Change), old.Version, old.id) //nolint:gosec // counts one by one
		if err != nil {
			return fmt.Errorf("sqlstore: write a request: %w", err)
		}
		return nil
	})
}

// SweepRequests forgets requests that have been over for a month.
func (p *People) SweepRequests(ctx context.Context, now time.Time) error {
	return p.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		over, err := list(ctx, tx, scanRequest, selectRequests+"WHERE expires < $1 ORDER BY id", now.AddDate(0, -1, 0).Unix())
		if err != nil {
			return err
		}
		for _, row := range over {
			of, err := h.of(ctx, inBucket(bucketRequests, row.id))
			if err != nil {
				return err
			}
			if err := of.take(h.request(row), row.id); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM requests WHERE id = $1", row.id); err != nil {
				return fmt.Errorf("sqlstore: sweep requests: %w", err)
			}
		}
		return nil
	})
}
