package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLease(t *testing.T) { everywhereTwice(t, testLease) }

func testLease(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	a, b := db.Lease("publisher", "a", time.Minute), db.Lease("publisher", "b", 1500*time.Millisecond)
	acquire := func(what string, l *Lease, want bool) {
		t.Helper()
		if got, err := l.Acquire(ctx); err != nil || got != want {
			t.Fatalf("%s: %v, %v, want %v", what, got, err, want)
		}
	}
	acquire("a free one", a, true)
	acquire("a held one", b, false)
	acquire("one's own", a, true)
	acquire("another one", db.Lease("sweeper", "b", time.Minute), true)
	if err := errors.Join(a.Renew(ctx), b.Release(ctx)); err != nil {
		t.Fatal(err)
	}
	acquire("one that somebody else gave back", b, false)
	if err := b.Renew(ctx); !errors.Is(err, ErrLease) {
		t.Errorf("renew another's: %v, want ErrLease", err)
	}
	if err := errors.Join(a.Release(ctx), a.Release(ctx)); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	acquire("one that was given back", b, true)

	// It ends by itself, after its two seconds and not before the first.
	for ours := false; !ours; {
		time.Sleep(50 * time.Millisecond)
		var err error
		if ours, err = a.Acquire(ctx); err != nil || time.Since(begun) > time.Minute {
			t.Fatalf("after it was over: %v", err)
		}
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("over after %v, want a second or more", took)
	}
	if err := b.Renew(ctx); !errors.Is(err, ErrLease) {
		t.Errorf("renew what was over: %v, want ErrLease", err)
	}
}

func TestLeaseOneHolder(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		db := on.db(t)
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				ours, err := db.Lease("publisher", fmt.Sprint(i), time.Minute).Acquire(context.Background())
				if err != nil {
					t.Errorf("acquire: %v", err)
				}
				if ours {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d holders, want 1", won.Load())
		}
	})
}
