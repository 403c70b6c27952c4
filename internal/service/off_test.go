package service

import (
	"testing"
	"time"
)

// TestOffForLong: a service that was off for longer than its trust list holds, and than
// the root's statement of who signs those, starts and publishes what holds again.
func TestOffForLong(t *testing.T) {
	t.Parallel()
	u := newUnit(t, false)
	for _, away := range []time.Duration{40 * 24 * time.Hour, 400 * 24 * time.Hour} {
		before := u.Board.Number()
		u.ok(u.Close())
		u.clock = u.clock.Add(away)
		s, err := Open(t.Context(), u.cfg)
		u.ok(err)
		u.Service = s // newUnit closes it
		pack, err := s.Board.Pack(t.Context())
		u.ok(err)
		if pack == nil || s.Board.Number() <= before || pack.Trust().Expires <= u.clock.Unix() {
			t.Fatalf("after %v pack %d follows %d", away, s.Board.Number(), before)
		}
		u.ok(u.card())
	}

	// The same where it ran meanwhile, and could not publish.
	before := u.Board.Number()
	u.clock = u.clock.Add(40 * 24 * time.Hour)
	u.Board.mu.Lock()
	u.Board.opened = time.Time{} // it is opened anew by the hour
	u.Board.mu.Unlock()
	u.ok(u.Board.publishDue(t.Context(), time.Hour))
	if u.Board.Number() <= before {
		t.Errorf("pack %d follows %d", u.Board.Number(), before)
	}
}
