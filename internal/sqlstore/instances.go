package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Several processes may work with one PostgreSQL database. Each says every
// BeatEvery that it is there; one that has said nothing for goneAfter counts as
// gone, by the database's clock, and the others end what it began. A process
// that was only stopped, and wakes up, finds its drafts and requests ended: it
// is refused, because each of them is guarded by its own row.
//
// A SQLite file belongs to one process at a time, so that whatever another one
// began is nobody's any more.
const (
	BeatEvery = 500 * time.Millisecond
	goneAfter = 3 * time.Second
)

// instance is this process, to the others.
type instance struct {
	id string

	mu     sync.Mutex
	beats  int
	beaten time.Time // when it was last heard; zero while it is not
	steady time.Time // since when it has been heard without a gap
	// lost are requests that could not be ended, because the database was away.
	lost map[string]*Claim
}

func newInstance() *instance {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never returns an error
	return &instance{id: hex.EncodeToString(id[:]), lost: map[string]*Claim{}}
}

// Instance names this process among all that work with the database.
func (db *DB) Instance() string { return db.me.id }

// Beat says that this process is there. It waits for nobody who writes, so that
// a queue of writers never looks like a dead process.
func (db *DB) Beat(ctx context.Context) error {
	began := time.Now()
	err := db.beat(ctx, db.me.id)
	db.me.mu.Lock()
	defer db.me.mu.Unlock()
	switch now := time.Now(); {
	case err != nil:
		return fmt.Errorf("sqlstore: beat: %w", kind(err))
	case now.Sub(began) > goneAfter/2 || now.Sub(db.me.beaten) > goneAfter*2/3:
		db.me.beaten, db.me.steady = now, now
	default:
		db.me.beaten = now
	}
	db.me.beats++
	return nil
}

// ErrUnheard says that this process has not reached the database for so long
// that the others take it for gone.
var ErrUnheard = errors.New("sqlstore: this process is not heard by the others")

// Heard returns ErrUnheard when the last Beat is too long ago.
func (db *DB) Heard() error {
	db.me.mu.Lock()
	defer db.me.mu.Unlock()
	if time.Since(db.me.beaten) > goneAfter {
		return ErrUnheard
	}
	return nil
}

// judges reports whether this process may take others for gone: when it was
// heard for so long without a gap that all others had the time to be heard as
// well, and before it has begun to beat. After the database was away everybody
// is late, and nobody is gone.
func (db *DB) judges() bool {
	db.me.mu.Lock()
	defer db.me.mu.Unlock()
	if db.me.beats <= 1 {
		return true
	}
	return !db.me.beaten.IsZero() && time.Since(db.me.beaten) <= goneAfter && time.Since(db.me.steady) > goneAfter
}

// Leave takes this process off the list, so that what it left open is ended at
// once, and forgets who was gone long ago.
func (db *DB) Leave(ctx context.Context) error {
	if err := db.leave(ctx, db.me.id); err != nil {
		return fmt.Errorf("sqlstore: leave: %w", kind(err))
	}
	return nil
}

// Others counts the other processes that are there.
func (db *DB) Others(ctx context.Context) (n int, err error) {
	if n, err = db.others(ctx, db.read, db.me.id); err != nil {
		return 0, fmt.Errorf("sqlstore: count processes: %w", kind(err))
	}
	return n, nil
}
