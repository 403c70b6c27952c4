package sqlstore

import (
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
// its number.
func (p *People) AppendChange(ctx context.Context, seq uint64, change []byte, log ...audit.Entry) error {
	return p.db.change(ctx, log, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO roster_changes (seq, change) VALUES ($1, $2)", int64(seq), change) //nolint:gosec // counts one by one
		if isTaken(err) {
			return people.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write the roster: %w", err)
		}
		return nil
	})
}

// AddRequest writes a request.
func (p *People) AddRequest(ctx context.Context, r people.Request, log ...audit.Entry) error {
	act, proofs, err := encodeRequest(r)
	if err != nil {
		return err
	}
	return p.db.change(ctx, log, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO requests (id, act, proofs, state, change, expires, version, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			r.Act.ID, act, proofs, string(r.State), int64(r.Change), r.Act.Expires, r.Version, r.Sealed) //nolint:gosec // counts one by one
		if isTaken(err) {
			return people.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write a request: %w", err)
		}
		return nil
	})
}

func encodeRequest(r people.Request) (act, proofs []byte, err error) {
	if act, err = r.Act.Bytes(); err != nil {
		return nil, nil, err
	}
	if proofs, err = json.Marshal(r.Proofs); err != nil {
		return nil, nil, fmt.Errorf("sqlstore: encode the approvals: %w", err)
	}
	return act, proofs, nil
}

const selectRequests = "SELECT act, proofs, state, change, version, sealed FROM requests "

// Request returns a request.
func (p *People) Request(ctx context.Context, id string) (people.Request, error) {
	all, err := p.requests(ctx, selectRequests+"WHERE id = $1", id)
	switch {
	case err != nil:
		return people.Request{}, err
	case len(all) == 0:
		return people.Request{}, people.ErrNotFound
	default:
		return all[0], nil
	}
}

// Waiting returns the requests that wait, oldest first.
func (p *People) Waiting(ctx context.Context, now time.Time) ([]people.Request, error) {
	return p.requests(ctx, selectRequests+"WHERE state = 'waits' AND expires > $1 ORDER BY expires, id", now.Unix())
}

func (p *People) requests(ctx context.Context, query string, arg any) ([]people.Request, error) {
	rows, err := p.db.read.QueryContext(ctx, query, arg)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read requests: %w", classify(err))
	}
	var all []people.Request
	err = each(rows, func() error {
		var r people.Request
		var act, proofs []byte
		var change int64
		if err := rows.Scan(&act, &proofs, &r.State, &change, &r.Version, &r.Sealed); err != nil {
			return err
		}
		var err error
		if r.Act, err = approval.Parse(act); err != nil || json.Unmarshal(proofs, &r.Proofs) != nil {
			return errors.New("sqlstore: a request is damaged")
		}
		r.Change = uint64(change) //nolint:gosec // written from a uint64
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read requests: %w", classify(err))
	}
	return all, nil
}

// ReplaceRequest writes a request as given. people.ErrConflict if somebody else has
// changed it since it was read.
func (p *People) ReplaceRequest(ctx context.Context, r people.Request) error {
	act, proofs, err := encodeRequest(r)
	if err != nil {
		return err
	}
	return p.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE requests SET proofs = $1, state = $2, change = $3, version = version + 1 WHERE id = $4 AND version = $5 AND act = $6",
			proofs, string(r.State), int64(r.Change), r.Act.ID, r.Version, act) //nolint:gosec // counts one by one
		if err := mustChange(res, err, people.ErrConflict); err != nil {
			return fmt.Errorf("sqlstore: write a request: %w", err)
		}
		return nil
	})
}

// SweepRequests forgets requests that have been over for a month.
func (p *People) SweepRequests(ctx context.Context, now time.Time) error {
	return p.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM requests WHERE expires < $1", now.AddDate(0, -1, 0).Unix()); err != nil {
			return fmt.Errorf("sqlstore: sweep requests: %w", err)
		}
		return nil
	})
}
