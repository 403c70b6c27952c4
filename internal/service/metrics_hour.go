package service

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A check moves no number while it is answered: whoever scrapes every few seconds would
// read from them when it was. What checks do is counted when an hour is over, and what the
// whole process uses (memory, processor time, connections) is read then and stays as it
// was until the next hour is (docs/decisions/0066-no-moment-of-a-check.md).

// keyBuckets are the bounds of the keystore's histogram, in seconds.
var keyBuckets = []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2}

// asked is a call of the keystore.
type asked struct {
	operation, failed string
	took              time.Duration
}

// inBucket is the upper bound of a call's bucket.
func inBucket(took time.Duration) time.Duration {
	for _, limit := range keyBuckets {
		if took.Seconds() <= limit {
			return time.Duration(limit * float64(time.Second))
		}
	}
	return time.Minute
}

// held are calls of the keystore that are not counted yet.
type held struct {
	mu    sync.Mutex
	calls map[asked]int
}

func (h *held) add(what asked) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == nil {
		h.calls = map[asked]int{}
	}
	h.calls[what]++
}

func (h *held) take() map[asked]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.calls
	h.calls = nil
	return all
}

// hour counts what checks have asked of the keystore, and reads anew what the process uses.
func (m *Metrics) hour() {
	if m == nil {
		return
	}
	for what, times := range m.held.take() {
		m.countKey(what, times)
	}
	m.usedThen.read()
}

// still is what was gathered when it was read last.
type still[T any] struct {
	gather func() (T, error)
	last   atomic.Pointer[T]
}

func newStill[T any](gather func() (T, error)) *still[T] {
	s := &still[T]{gather: gather}
	s.last.Store(new(T))
	return s
}

// read gathers anew. What cannot be gathered stays as it was.
func (s *still[T]) read() {
	if now, err := s.gather(); err == nil {
		s.last.Store(&now)
	}
}

// Gather returns what was read.
func (s *still[T]) Gather() (T, error) { return *s.last.Load(), nil }

// everyHour does something at the turn of each hour, until ctx ends. No two of them, and no
// beginning and the first, are less than an hour apart: of less, what is told then would
// tell more than the hour.
func everyHour(ctx context.Context, now func() time.Time, do func()) {
	for {
		wait := time.NewTimer(untilTurn(now()))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
			do()
		}
	}
}

// untilTurn is how long it is until the first full hour that is an hour away, less what a
// timer is late.
func untilTurn(now time.Time) time.Duration {
	const late = 2 * time.Second
	earliest := now.Add(time.Hour - late)
	turn := earliest.Truncate(time.Hour)
	if turn.Before(earliest) {
		turn = turn.Add(time.Hour)
	}
	return turn.Sub(now)
}
