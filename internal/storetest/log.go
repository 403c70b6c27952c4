package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
)

// LogStore is what the suite Log tests: the log's own store, and the way in.
type LogStore interface {
	audit.Store
	Append(ctx context.Context, entries ...audit.Entry) error
}

// Log is the suite of the audit.Store. open returns an empty store.
func Log(t *testing.T, open func(t *testing.T) LogStore) {
	waiting := func(t *testing.T, s LogStore) int64 { return get[int64](t)(s.Waiting(t.Context())) }
	leaves := func(t *testing.T, s LogStore, first int64, n int) [][32]byte {
		return get[[][32]byte](t)(s.Sequenced(t.Context(), first, n))
	}
	appended := func(t *testing.T, s LogStore, n int) (hashes [][32]byte) {
		t.Helper()
		entries := make([]audit.Entry, n)
		for i := range entries {
			entries[i] = Entry(t, "")
			hashes = append(hashes, entries[i].Hash)
		}
		ok(t, s.Append(t.Context(), entries...))
		return hashes
	}
	in := func(all, some [][32]byte) (n int) {
		for _, hash := range some {
			if slices.Contains(all, hash) {
				n++
			}
		}
		return n
	}

	t.Run("nothing was done", func(t *testing.T) {
		s := open(t)
		same(t, "size", get[int64](t)(s.Size(t.Context())), int64(0))
		same(t, "waiting", waiting(t, s), int64(0))
		same(t, "leaves", len(leaves(t, s, 0, 10)), 0)
		for n := int64(1); n < 4; n++ {
			ok(t, s.CloseWindow(t.Context(), (n-1)*audit.Window))
			same(t, "size", get[int64](t)(s.Size(t.Context())), n*audit.Window)
		}
		all := leaves(t, s, 0, 1000)
		same(t, "leaves", len(all), 3*audit.Window)
		same(t, "leaves, read again in parts", slices.Concat(leaves(t, s, 0, 100), leaves(t, s, 100, 1), leaves(t, s, 101, 1000)), all)
		slices.SortFunc(all, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
		same(t, "leaves that differ", len(slices.Compact(all)), 3*audit.Window)
	})

	t.Run("places", func(t *testing.T) {
		s := open(t)
		hashes := appended(t, s, 100)
		same(t, "waiting", waiting(t, s), int64(100))
		same(t, "size before", get[int64](t)(s.Size(t.Context())), int64(0))
		ok(t, s.CloseWindow(t.Context(), 0))
		same(t, "waiting", waiting(t, s), int64(0))
		all := leaves(t, s, 0, 1000)
		same(t, "leaves", len(all), audit.Window)
		same(t, "entries among them", in(all, hashes), 100)
		at := make([]int, len(hashes))
		for i, hash := range hashes {
			at[i] = slices.Index(all, hash)
		}
		if slices.IsSorted(at) || slices.Max(at) < 150 {
			t.Errorf("the places are in an order: %v", at)
		}
		appended(t, s, 1)
		same(t, "leaves that had their places", leaves(t, s, 0, 1000), all)
		same(t, "behind the end", len(leaves(t, s, audit.Window, 10)), 0)
	})

	t.Run("what does not fit waits", func(t *testing.T) {
		s := open(t)
		first := appended(t, s, 300)
		ok(t, s.CloseWindow(t.Context(), 0))
		same(t, "waiting", waiting(t, s), int64(300-audit.Window))
		same(t, "entries in the window", in(leaves(t, s, 0, 1000), first), audit.Window)
		second := appended(t, s, 256)
		ok(t, s.CloseWindow(t.Context(), audit.Window))
		same(t, "waiting", waiting(t, s), int64(300-audit.Window))
		same(t, "the oldest", in(leaves(t, s, 0, 1000), first), 300)
		same(t, "the others", in(leaves(t, s, 0, 1000), second), 2*audit.Window-300)
	})

	t.Run("refused", func(t *testing.T) {
		s := open(t)
		appended(t, s, 3)
		for _, first := range []int64{-1, 1, audit.Window} {
			is(t, fmt.Sprint("from ", first), s.CloseWindow(t.Context(), first), audit.ErrSequence)
		}
		ok(t, s.CloseWindow(t.Context(), 0))
		is(t, "once more", s.CloseWindow(t.Context(), 0), audit.ErrSequence)
		same(t, "size", get[int64](t)(s.Size(t.Context())), int64(audit.Window))
		e := Entry(t, "")
		ok(t, s.Append(t.Context(), e))
		if err := s.Append(t.Context(), Entry(t, ""), e); err == nil {
			t.Error("an entry was appended twice")
		}
		same(t, "nothing of a refused append", waiting(t, s), int64(1))
	})

	t.Run("many at once", func(t *testing.T) {
		s := open(t)
		const writers, each = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					if err := inTurn(func() error { return s.Append(context.Background(), Entry(t, "")) }); err != nil {
						t.Errorf("append: %v", err)
					}
				}
			})
		}
		wg.Wait()
		same(t, "entries", waiting(t, s), int64(writers*each))
	})

	t.Run("one numbering wins", func(t *testing.T) {
		s := open(t)
		appended(t, s, 4)
		won := make(chan string, 8)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := s.CloseWindow(context.Background(), 0); err == nil {
					won <- fmt.Sprint(i)
				}
			})
		}
		wg.Wait()
		same(t, "winners", len(won), 1)
		same(t, "size", get[int64](t)(s.Size(t.Context())), int64(audit.Window))
	})
}
