package signer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/internal/keystore"
)

// ErrOtherRoster says that the signer has adopted a roster that is not the one at hand:
// it is ahead, as behind a copy of the database that was put back, or another one.
var ErrOtherRoster = errors.New("signer: the roster that was adopted is another one than the one at hand")

// Roster is where a Client takes from what its signer lacks.
type Roster struct {
	Base string // where the network is served
	// Changes are those from a number on, at most limit of them, in their order.
	Changes func(ctx context.Context, from uint64, limit int) ([][]byte, error)
}

// Follow says where the roster is. From then on what a signer refuses is asked again
// when it lacked something of the roster.
func (c *Client) Follow(r Roster) {
	c.handing.Lock()
	defer c.handing.Unlock()
	c.follows = &r
}

// informed asks, and once more when the signer refused and lacked something.
func (c *Client) informed(ctx context.Context, q question) (answer, error) {
	a, err := c.ask(ctx, q)
	if !errors.Is(err, keystore.ErrRefused) {
		return a, err
	}
	if told, _ := c.HandOver(ctx); told == 0 {
		return a, err
	}
	return c.ask(ctx, q)
}

// Began says when the signer began, and with how many changes.
func (c *Client) Began(ctx context.Context) (Beginning, error) {
	a, err := c.ask(ctx, question{Op: opRoster})
	if err != nil || a.Began == 0 {
		return Beginning{}, err
	}
	return Beginning{time.Unix(a.Began, 0), a.First}, nil
}

// handedAtOnce is how many changes are handed over with one question.
const handedAtOnce = 200

// HandOver hands the signer what it lacks of the roster, and returns how many changes
// it took. One that does not count yet for it is handed over again another time.
func (c *Client) HandOver(ctx context.Context) (told int, err error) {
	c.handing.Lock()
	defer c.handing.Unlock()
	if c.follows == nil {
		return 0, nil
	}
	at, err := c.ask(ctx, question{Op: opRoster})
	if err != nil {
		return 0, err
	}
	first := at.Number
	for {
		changes, err := c.lacking(ctx, at)
		if err != nil {
			return int(at.Number - first), err //nolint:gosec // few
		}
		if len(changes) == 0 {
			break
		}
		refused := c.hand(ctx, changes, true)
		now, err := c.ask(ctx, question{Op: opRoster})
		if err := errors.Join(refused, err); err != nil {
			return int(max(now.Number, first) - first), err //nolint:gosec // few
		}
		if now.Number <= at.Number {
			return 0, ErrWrongAnswer
		}
		at = now
	}
	if at.Number == first {
		return 0, nil
	}
	return int(at.Number - first), c.hand(ctx, nil, false) //nolint:gosec // few
}

// lacking are the changes behind the one that the signer has last, of which it looks
// whether it is the same here.
func (c *Client) lacking(ctx context.Context, at answer) ([][]byte, error) {
	changes, err := c.follows.Changes(ctx, max(at.Number, 1), handedAtOnce)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the roster: %w", err)
	case at.Number == 0:
		return changes, nil
	case len(changes) == 0:
		return nil, ErrOtherRoster
	}
	if head := sha256.Sum256(changes[0]); !bytes.Equal(head[:], at.Data) {
		return nil, ErrOtherRoster
	}
	return changes[1:], nil
}

// hand sends changes, as many as one question holds.
func (c *Client) hand(ctx context.Context, changes [][]byte, more bool) error {
	q, size := question{Op: opAdopt, Label: c.follows.Base, More: more}, 0
	for _, change := range changes {
		if size += len(change); size > maxBatch && len(q.Many) > 0 {
			break
		}
		q.Many = append(q.Many, message{Bytes: change})
	}
	_, err := c.ask(ctx, q)
	return err
}
