package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const someKey = "0f8f1a52-made-up-key"

func digest(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// clock is a clock that a test moves.
type clock struct{ unix atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_772_000_000+c.unix.Load(), 0) }

func (c *clock) move(d time.Duration) { c.unix.Add(int64(d / time.Second)) }

func begin(t *testing.T, i *Idempotency, actor, key, request string) *Claim {
	t.Helper()
	c, answer, err := i.Begin(t.Context(), actor, key, digest(request))
	if err != nil || c == nil || answer != nil {
		t.Fatalf("begin: claim %v, answer %q, %v, want a claim", c != nil, answer, err)
	}
	return c
}

func wantAnswer(t *testing.T, i *Idempotency, actor, key, request, want string) {
	t.Helper()
	c, answer, err := i.Begin(t.Context(), actor, key, digest(request))
	if err != nil || c != nil || string(answer) != want {
		t.Fatalf("repeated: claim %v, answer %q, %v, want %q", c != nil, answer, err, want)
	}
}

func wantErr(t *testing.T, i *Idempotency, actor, key, request string, want error) {
	t.Helper()
	if c, answer, err := i.Begin(t.Context(), actor, key, digest(request)); !errors.Is(err, want) || c != nil || answer != nil {
		t.Fatalf("begin: claim %v, answer %q, %v, want %v", c != nil, answer, err, want)
	}
}

func TestIdempotency(t *testing.T) { everywhere(t, testIdempotency) }

func testIdempotency(t *testing.T, on place) {
	var c clock
	db := on.db(t)
	i := db.Idempotency(c.now)

	claim := begin(t, i, "a", someKey, "r")
	wantErr(t, i, "a", someKey, "r", ErrInFlight)
	wantErr(t, i, "a", someKey, "other", ErrMismatch)
	if err := i.Finish(t.Context(), claim, "", []byte("made-up answer")); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, i, "a", someKey, "r", "made-up answer")
	wantErr(t, i, "a", someKey, "other", ErrMismatch)
	if err := i.Finish(t.Context(), claim, "", []byte("another")); !errors.Is(err, ErrClaim) {
		t.Errorf("finish twice: %v, want ErrClaim", err)
	}
	if err := i.Abandon(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, i, "a", someKey, "r", "made-up answer")

	// Another actor's key of the same name is another key.
	begin(t, i, "b", someKey, "other")

	// Nothing on the disk tells what was asked or answered, or under which
	// key.
	for _, text := range []string{"made-up answer", someKey} {
		if on.holds(t, db.base, text) {
			t.Errorf("%q is on the disk", text)
		}
	}

	c.move(24 * time.Hour)
	begin(t, i, "a", someKey, "quite another request")
}

func TestIdempotencyAbandonAndLost(t *testing.T) { everywhereTwice(t, testIdempotencyAbandonAndLost) }

func testIdempotencyAbandonAndLost(t *testing.T, on place) {
	var c clock
	i := on.db(t).Idempotency(c.now)
	first := begin(t, i, "a", someKey, "r")
	if err := i.Abandon(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	lost := begin(t, i, "a", someKey, "r")
	c.move(119 * time.Second)
	wantErr(t, i, "a", someKey, "r", ErrInFlight)
	c.move(time.Second)
	again := begin(t, i, "a", someKey, "r")
	// Whoever was lost and comes back must not write over the new holder.
	if err := i.Finish(t.Context(), lost, "", []byte("late")); !errors.Is(err, ErrClaim) {
		t.Errorf("a lost holder finished: %v, want ErrClaim", err)
	}
	if err := i.Abandon(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	wantErr(t, i, "a", someKey, "r", ErrInFlight)
	if err := i.Finish(t.Context(), again, "", []byte("in time")); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, i, "a", someKey, "r", "in time")
}

func TestIdempotencyForgetAndSweep(t *testing.T) { everywhereTwice(t, testIdempotencyForgetAndSweep) }

func testIdempotencyForgetAndSweep(t *testing.T, on place) {
	var c clock
	i := on.db(t).Idempotency(c.now)
	for _, key := range []string{"of the case", "of another case", "of none"} {
		claim := begin(t, i, "a", key, "r")
		caseID := map[string]string{"of the case": "5eed", "of another case": "5eee"}[key]
		if err := i.Finish(t.Context(), claim, caseID, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.Forget(t.Context(), "5eed"); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, i, "a", "of another case", "r", "of another case")
	wantAnswer(t, i, "a", "of none", "r", "of none")
	begin(t, i, "a", "of the case", "r")

	if n, err := i.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("swept %d, %v, want 0", n, err)
	}
	c.move(48 * time.Hour) // no row has a finer time than the day
	if n, err := i.Sweep(t.Context()); err != nil || n != 3 {
		t.Errorf("swept %d, %v, want 3", n, err)
	}
}

func TestIdempotencyOneWinner(t *testing.T) { everywhereTwice(t, testIdempotencyOneWinner) }

func testIdempotencyOneWinner(t *testing.T, on place) {
	i := on.db(t).Idempotency(nil)
	var won, waiting atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			c, _, err := i.Begin(context.Background(), "a", someKey, digest("r"))
			switch {
			case err == nil && c != nil:
				won.Add(1)
			case errors.Is(err, ErrInFlight):
				waiting.Add(1)
			default:
				t.Errorf("begin: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || waiting.Load() != 31 {
		t.Errorf("%d won and %d wait, want 1 and 31", won.Load(), waiting.Load())
	}
}
