package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// requestSays is what the box of a request holds. Its front says what becomes of it: of
// many it is read whether the whole of one is wanted, without opening that.
type requestSays struct {
	Act     []byte `cbor:"1,keyasint"`
	Proofs  []byte `cbor:"2,keyasint"`
	State   string `cbor:"3,keyasint"`
	Change  uint64 `cbor:"4,keyasint,omitempty"`
	Version int64  `cbor:"5,keyasint,omitempty"`
	Sealed  []byte `cbor:"6,keyasint"` // null where there is none
}

type requestFront struct {
	Do      string `cbor:"1,keyasint"`
	State   string `cbor:"2,keyasint"`
	Expires int64  `cbor:"3,keyasint"`
}

// frontLeast is how long the plaintext of every front is: the longest act's name is 82
// letters.
const frontLeast = 128

func ofRequest(k *sealer, id string) name { return k.name("request", id) }

// rowOfRequest is what is kept of a request, and its front.
func rowOfRequest(k *sealer, r people.Request) (says requestSays, front []byte, err error) {
	says = requestSays{State: string(r.State), Change: r.Change, Version: r.Version, Sealed: r.Sealed}
	if says.Act, err = r.Act.Bytes(); err != nil {
		return says, nil, err
	}
	if says.Proofs, err = json.Marshal(r.Proofs); err != nil {
		return says, nil, fmt.Errorf("sqlstore: encode the approvals: %w", err)
	}
	plain, err := bodyEncoding.Marshal(requestFront{r.Act.Do, says.State, r.Act.Expires})
	if err != nil {
		return says, nil, fmt.Errorf("sqlstore: encode a request: %w", err)
	}
	n := ofRequest(k, r.Act.ID)
	return says, k.boxes.box(frontLeast, plain, "fronts of requests", string(n[:]), 0), nil
}

// request is the request that a row holds, once its seal is known to be there.
func (says requestSays) request(r boxedRow) (q people.Request, err error) {
	q = people.Request{State: people.RequestState(says.State), Change: says.Change, Version: says.Version, Sealed: says.Sealed}
	if q.Act, err = approval.Parse(says.Act); err != nil || json.Unmarshal(says.Proofs, &q.Proofs) != nil {
		return people.Request{}, requestRows.untrue(r)
	}
	return q, nil
}

// AddRequest writes a request. Transactions come one after the other, so that of two that
// ask for the same at once the second finds the first.
func (p *People) AddRequest(ctx context.Context, r people.Request, presses people.Pressing, asked func(waits people.Request) bool, log ...audit.Entry) error {
	return p.db.pressing(ctx, presses, log, func(tx *sql.Tx, h *heads) error {
		if asked != nil {
			waiting, err := requestsIn(ctx, h, func(f requestFront) bool { return f.Do == r.Act.Do && f.State == string(people.Waits) })
			if err != nil {
				return err
			}
			if slices.ContainsFunc(waiting, asked) {
				return people.ErrExists
			}
		}
		says, front, err := rowOfRequest(h.sealer, r)
		if err == nil {
			err = requestRows.add(ctx, tx, h, ofRequest(h.sealer, r.Act.ID), front, says)
		}
		if isTaken(err) {
			return people.ErrExists
		}
		return err
	})
}

// Request returns a request.
func (p *People) Request(ctx context.Context, id string) (r people.Request, err error) {
	err = p.db.believed(ctx, func(h *heads) error {
		_, r, err = requestIn(ctx, h, id)
		return err
	})
	return r, err
}

// requestIn reads a request, with its row.
func requestIn(ctx context.Context, h *heads, id string) (r boxedRow, q people.Request, err error) {
	var says requestSays
	r, found, err := requestRows.get(ctx, h, ofRequest(h.sealer, id), &says)
	switch {
	case err != nil:
		return r, q, err
	case !found:
		return r, q, people.ErrNotFound
	}
	q, err = says.request(r)
	return r, q, err
}

// Waiting returns the requests that wait, oldest first.
func (p *People) Waiting(ctx context.Context, now time.Time) ([]people.Request, error) {
	return p.requests(ctx, func(f requestFront) bool { return f.State == string(people.Waits) && f.Expires > now.Unix() })
}

// Agreed returns the requests to do something to which enough have agreed, and that were
// not over at a time.
func (p *People) Agreed(ctx context.Context, do string, since time.Time) ([]people.Request, error) {
	return p.requests(ctx, func(f requestFront) bool {
		return f.Do == do && f.Expires > since.Unix() && (f.State == string(people.Agreed) || f.State == string(people.Done))
	})
}

// requests reads those of which the front is wanted, oldest first.
func (p *People) requests(ctx context.Context, wanted func(requestFront) bool) (all []people.Request, err error) {
	err = p.db.believed(ctx, func(h *heads) error {
		all, err = requestsIn(ctx, h, wanted)
		return err
	})
	return all, err
}

func requestsIn(ctx context.Context, h *heads, wanted func(requestFront) bool) (all []people.Request, err error) {
	fronts, err := frontsIn(ctx, h)
	if err != nil {
		return nil, err
	}
	for _, f := range fronts {
		if !wanted(f.requestFront) {
			continue
		}
		var says requestSays
		r, found, err := requestRows.get(ctx, h, f.name, &says)
		switch {
		case err != nil:
			return nil, err
		case !found:
			continue // forgotten since
		}
		q, err := says.request(r)
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b people.Request) int {
		return cmp.Or(cmp.Compare(a.Act.Expires, b.Act.Expires), cmp.Compare(a.Act.ID, b.Act.ID))
	})
	return all, nil
}

// frontOf is the front of a request.
type frontOf struct {
	requestFront

	name name
}

// frontsIn reads the fronts of all requests: those of a month, and none of the rest.
func frontsIn(ctx context.Context, h *heads) ([]frontOf, error) {
	return list(ctx, h.q, func(row scanner) (f frontOf, err error) {
		var called, box []byte
		if err := row.Scan(&called, &box); err != nil {
			return f, err
		}
		plain, err := h.boxes.open(box, "fronts of requests", string(called), 0)
		if err != nil || len(called) != len(f.name) || bodyDecoding.Unmarshal(plain, &f.requestFront) != nil {
			return f, &SealError{requestRows.table, hex.EncodeToString(called)}
		}
		f.name = name(called)
		return f, nil
	}, "SELECT name, front FROM requests ORDER BY name")
}

// ReplaceRequest writes a request as given. people.ErrConflict if somebody else has
// changed it since it was read.
func (p *People) ReplaceRequest(ctx context.Context, r people.Request) error {
	return p.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		row, old, err := requestIn(ctx, h, r.Act.ID)
		switch {
		case errors.Is(err, people.ErrNotFound):
			return people.ErrConflict
		case err != nil:
			return err
		}
		next := old
		next.Proofs, next.State, next.Change, next.Version = r.Proofs, r.State, r.Change, old.Version+1
		says, front, err := rowOfRequest(h.sealer, next)
		if err != nil {
			return err
		}
		if act, err := r.Act.Bytes(); err != nil || old.Version != r.Version || !bytes.Equal(says.Act, act) {
			return cmp.Or(err, people.ErrConflict)
		}
		return requestRows.replace(ctx, tx, h, row, front, says)
	})
}

// SweepRequests forgets requests that have been over for a month.
func (p *People) SweepRequests(ctx context.Context, now time.Time) error {
	return p.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		fronts, err := frontsIn(ctx, h)
		if err != nil {
			return err
		}
		for _, f := range fronts {
			if f.Expires >= now.AddDate(0, -1, 0).Unix() {
				continue
			}
			var says requestSays
			r, found, err := requestRows.get(ctx, h, f.name, &says)
			if err != nil {
				return err
			}
			if found {
				if err := requestRows.remove(ctx, tx, h, r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
