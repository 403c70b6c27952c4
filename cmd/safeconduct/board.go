package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// board is what a network puts up for everybody: status and answers lists, the
// pack around them, and the log's checkpoint. It holds the newest of each.
type board struct {
	network   *network.Network
	publisher *credentials.Publisher
	store     credentials.Store
	log       *audit.Log
	aside     *aside
	now       func() time.Time

	one sync.Mutex // one publication at a time

	mu       sync.RWMutex
	lists    verifier.Lists
	sequence uint64
	pack     *verifier.Pack
}

func newBoard(h *house) (*board, error) {
	publisher, err := credentials.NewPublisher(credentials.PublisherConfig{
		Store: h.db.Credentials(),
		Signer: func(ctx context.Context) (string, crypto.Signer, error) {
			s, err := h.keys.Status(ctx)
			return s.KeyID, s.Key, err
		},
		StatusLists: h.network.StatusLists(), AnswersLists: h.network.AnswersLists(), Now: h.cfg.now,
	})
	if err != nil {
		return nil, err
	}
	return &board{
		network: h.network, publisher: publisher, store: h.db.Credentials(), log: h.log, aside: h.aside, now: h.cfg.now,
	}, nil
}

// open puts up what was published last. A network that has published nothing
// begins with a window in which nothing happened.
func (b *board) open(ctx context.Context) error {
	if _, err := b.store.OpenList(ctx); err != nil {
		return err
	}
	status, _, err := b.tokens(ctx)
	if err != nil {
		return err
	}
	if len(status) == 0 {
		_, err := b.Publish(ctx, audit.Actor{ID: "service"}, false)
		return err
	}
	b.one.Lock()
	defer b.one.Unlock()
	return b.makePack(ctx)
}

// Publish closes the window: lists, pack and log checkpoint.
func (b *board) Publish(ctx context.Context, by audit.Actor, emergency bool) (httpapi.Published, error) {
	b.one.Lock()
	defer b.one.Unlock()
	if err := b.network.Turn(ctx); err != nil {
		return httpapi.Published{}, fmt.Errorf("turn epochs: %w", err)
	}
	done, err := b.publisher.Publish(ctx, by, credentials.Window{Emergency: emergency})
	if err != nil {
		return httpapi.Published{}, err
	}
	if err := b.makePack(ctx); err != nil {
		return httpapi.Published{}, err
	}
	head, err := b.log.Publish(ctx)
	if err != nil {
		return httpapi.Published{}, fmt.Errorf("publish the log: %w", err)
	}
	if err := b.aside.keepHead(head.Signed); err != nil {
		return httpapi.Published{}, fmt.Errorf("keep the checkpoint: %w", err)
	}
	return httpapi.Published{Sequence: b.number(), LogSize: head.Size, Waiting: done.Waiting}, nil
}

// makePack puts a pack around the newest lists.
func (b *board) makePack(ctx context.Context) error {
	status, answers, err := b.tokens(ctx)
	if err != nil {
		return err
	}
	lists, sequence, err := b.network.Pack(ctx, status, answers)
	if err != nil {
		return fmt.Errorf("make the pack: %w", err)
	}
	pack, err := b.network.ServerPack(ctx, lists, sequence)
	if err != nil {
		return fmt.Errorf("open the pack: %w", err)
	}
	// Before anybody can have it.
	if err := b.aside.keepPack(ctx, lists); err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists, b.sequence, b.pack = lists, sequence, pack
	return nil
}

// tokens collects the newest token of every list.
func (b *board) tokens(ctx context.Context) (status, answers []verifier.ListToken, err error) {
	numbers, err := b.store.Lists(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range numbers {
		s, a, err := b.store.Tokens(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		if s != "" && a != "" {
			status = append(status, verifier.ListToken{Number: n, Token: s})
			answers = append(answers, verifier.ListToken{Number: n, Token: a})
		}
	}
	return status, answers, nil
}

func (b *board) number() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.sequence
}

// age is how old the oldest list of the newest pack is.
func (b *board) age() time.Duration {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var oldest time.Duration
	for _, signed := range b.pack.ListDates() {
		oldest = max(oldest, b.now().Sub(signed))
	}
	return oldest
}

// Lists returns the public half of the newest pack.
func (b *board) Lists(context.Context) (verifier.Lists, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lists, nil
}

// Tokens returns the newest tokens of a status list, empty ones when there is
// no such list.
func (b *board) Tokens(ctx context.Context, list uint16) (status, answers string, err error) {
	status, answers, err = b.store.Tokens(ctx, list)
	if errors.Is(err, credentials.ErrNotFound) {
		return "", "", nil
	}
	return status, answers, err
}

// Envelope seals the epoch keys to the device that acts, for the newest pack.
func (b *board) Envelope(ctx context.Context, by audit.Actor) (string, error) {
	return b.network.Envelope(ctx, by, b.number())
}

// Pack returns the newest pack, opened for the service itself.
func (b *board) Pack(context.Context) (*verifier.Pack, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.pack, nil
}
