package storetest

import (
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
	t.Run("empty", func(t *testing.T) {
		s := open(t)
		same(t, "size", get[int64](t)(s.Size(t.Context())), int64(0))
		same(t, "waiting", len(get[[]string](t)(s.Unsequenced(t.Context(), 10))), 0)
		same(t, "leaves", len(get[[][32]byte](t)(s.Sequenced(t.Context(), 0, 10))), 0)
		ok(t, s.Sequence(t.Context(), 0, nil))
	})

	t.Run("places", func(t *testing.T) {
		s := open(t)
		var ids []string
		var hashes [][32]byte
		for i := range 5 {
			e := Entry(t, []string{"", NewID()}[i%2])
			ok(t, s.Append(t.Context(), e))
			ids, hashes = append(ids, e.ID), append(hashes, e.Hash)
		}
		same(t, "waiting, in order", get[[]string](t)(s.Unsequenced(t.Context(), 10)), ids)
		same(t, "the oldest two", get[[]string](t)(s.Unsequenced(t.Context(), 2)), ids[:2])
		same(t, "size before", get[int64](t)(s.Size(t.Context())), int64(0))

		ok(t, s.Sequence(t.Context(), 0, ids[:3]))
		same(t, "size", get[int64](t)(s.Size(t.Context())), int64(3))
		same(t, "waiting", get[[]string](t)(s.Unsequenced(t.Context(), 10)), ids[3:])

		ok(t, s.Sequence(t.Context(), 3, ids[3:]))
		same(t, "all leaves", get[[][32]byte](t)(s.Sequenced(t.Context(), 0, 10)), hashes)
		same(t, "a part", get[[][32]byte](t)(s.Sequenced(t.Context(), 1, 2)), hashes[1:3])
		same(t, "behind the end", len(get[[][32]byte](t)(s.Sequenced(t.Context(), 5, 10))), 0)
	})

	t.Run("refused", func(t *testing.T) {
		s := open(t)
		var ids []string
		for range 3 {
			e := Entry(t, "")
			ok(t, s.Append(t.Context(), e))
			ids = append(ids, e.ID)
		}
		ok(t, s.Sequence(t.Context(), 0, ids[:1]))
		for _, c := range []struct {
			name  string
			first int64
			ids   []string
		}{
			{"a number that is given", 0, ids[1:]},
			{"a gap", 2, ids[1:]},
			{"before the first", -1, ids[1:]},
			{"an unknown id", 1, []string{ids[1], NewID()}},
			{"an id twice", 1, []string{ids[1], ids[1]}},
			{"an id with a number", 1, []string{ids[1], ids[0]}},
		} {
			is(t, c.name, s.Sequence(t.Context(), c.first, c.ids), audit.ErrSequence)
			same(t, c.name+": waiting", get[[]string](t)(s.Unsequenced(t.Context(), 10)), ids[1:])
			same(t, c.name+": size", get[int64](t)(s.Size(t.Context())), int64(1))
		}
		e := Entry(t, "")
		ok(t, s.Append(t.Context(), e))
		if err := s.Append(t.Context(), Entry(t, ""), e); err == nil {
			t.Error("an id was appended twice")
		}
		same(t, "nothing of a refused append", len(get[[]string](t)(s.Unsequenced(t.Context(), 10))), 3)
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
		ids := get[[]string](t)(s.Unsequenced(t.Context(), 1000))
		slices.Sort(ids)
		same(t, "entries", len(slices.Compact(ids)), writers*each)
	})

	t.Run("one numbering wins", func(t *testing.T) {
		s := open(t)
		for range 4 {
			ok(t, s.Append(t.Context(), Entry(t, "")))
		}
		ids := get[[]string](t)(s.Unsequenced(t.Context(), 10))
		won := make(chan string, 8)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := s.Sequence(context.Background(), 0, ids); err == nil {
					won <- fmt.Sprint(i)
				}
			})
		}
		wg.Wait()
		same(t, "winners", len(won), 1)
		same(t, "size", get[int64](t)(s.Size(t.Context())), int64(4))
	})
}
