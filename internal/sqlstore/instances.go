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

// Several processes may work with one PostgreSQL database. Each sends a heartbeat
// every HeartbeatEvery. A process without one for expiredAfter, by the database's
// clock, is expired, and the others end what it began. One that was only stopped,
// and wakes up, finds its drafts and requests ended: it is refused, because each of
// them is guarded by its own row.
//
// A SQLite file belongs to one process at a time, so that whatever another one
// began is nobody's any more.
const (
	HeartbeatEvery = 500 * time.Millisecond
	expiredAfter   = 3 * time.Second
)

// instance is this process, to the others.
type instance struct {
	id string

	mu            sync.Mutex
	heartbeats    int
	lastHeartbeat time.Time // zero while there is none
	steadySince   time.Time // since when they have come without a gap
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

// Heartbeat says that this process is alive. It waits for nobody who writes, so
// that a queue of writers never looks like an expired process.
func (db *DB) Heartbeat(ctx context.Context) error {
	began := time.Now()
	err := db.heartbeat(ctx, db.me.id)
	db.me.mu.Lock()
	defer db.me.mu.Unlock()
	switch now := time.Now(); {
	case err != nil:
		return fmt.Errorf("sqlstore: heartbeat: %w", classify(err))
	case now.Sub(began) > expiredAfter/2 || now.Sub(db.me.lastHeartbeat) > expiredAfter*2/3:
		db.me.lastHeartbeat, db.me.steadySince = now, now
	default:
		db.me.lastHeartbeat = now
	}
	db.me.heartbeats++
	return nil
}

// ErrHeartbeat says that this process has not reached the database for so long
// that the others take it for expired.
var ErrHeartbeat = errors.New("sqlstore: the heartbeats of this process do not reach the database")

// Alive returns ErrHeartbeat when the last Heartbeat is too long ago.
func (db *DB) Alive() error {
	db.me.mu.Lock()
	defer db.me.mu.Unlock()
	if time.Since(db.me.lastHeartbeat) > expiredAfter {
		return ErrHeartbeat
	}
	return nil
}

// mayExpireOthers reports whether this process may take others for expired: when
// its own heartbeats have come without a gap for so long that all others had the
// time to send theirs, and before it has sent any. After the database was away
// everybody is late, and nobody is expired.
func (db *DB) mayExpireOthers() bool {
	db.me.mu.Lock()
	defer db.me.mu.Unlock()
	if db.me.heartbeats <= 1 {
		return true
	}
	return !db.me.lastHeartbeat.IsZero() && time.Since(db.me.lastHeartbeat) <= expiredAfter && time.Since(db.me.steadySince) > expiredAfter
}

// Leave takes this process off the list, so that what it left open is ended at
// once, and forgets who expired long ago.
func (db *DB) Leave(ctx context.Context) error {
	if err := db.leave(ctx, db.me.id); err != nil {
		return fmt.Errorf("sqlstore: leave: %w", classify(err))
	}
	return nil
}

// Others counts the other processes that are there.
func (db *DB) Others(ctx context.Context) (n int, err error) {
	if n, err = db.others(ctx, db.read, db.me.id); err != nil {
		return 0, fmt.Errorf("sqlstore: count processes: %w", classify(err))
	}
	return n, nil
}
