package vault

import (
	"context"
	"slices"
	"sync"
)

// queue lends out the memory in which pictures are drawn, in shares, and is fair
// to those who ask. They are served in rounds, one picture of each in a round, so
// that nobody waits for all that somebody else has sent. Within a round whoever
// asked first is first, and a large picture is not overtaken by small ones.
type queue struct {
	share int64 // bytes

	mu      sync.Mutex
	free    int            // shares
	round   int            // the one that is being served
	last    map[string]int // the last round in which an asker has a place, if it is not over
	waiting []*place       // in the order of service
}

// place is one picture that waits.
type place struct {
	round, shares int
	served        chan struct{} // closed when the shares are the asker's
}

// newQueue divides total bytes among at most users at a time.
func newQueue(total int64, users int) *queue {
	return &queue{share: total / int64(users), free: users, last: make(map[string]int)}
}

// take waits until it is an asker's turn and n bytes are free. At most all bytes
// are asked for.
func (q *queue) take(ctx context.Context, asker string, n int64) (giveBack func(), err error) {
	p := q.enter(asker, int(max(1, (n+q.share-1)/q.share)))
	select {
	case <-p.served:
		return func() { q.giveBack(p) }, nil
	case <-ctx.Done():
		q.leave(p)
		return nil, ctx.Err()
	}
}

// enter gives an asker a place in the first round in which it has none.
func (q *queue) enter(asker string, shares int) *place {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := &place{round: max(q.round, q.last[asker]+1), shares: shares, served: make(chan struct{})}
	q.last[asker] = p.round
	behind := slices.IndexFunc(q.waiting, func(other *place) bool { return other.round > p.round })
	if behind < 0 {
		behind = len(q.waiting)
	}
	q.waiting = slices.Insert(q.waiting, behind, p)
	q.serve()
	return p
}

func (q *queue) giveBack(p *place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += p.shares
	q.serve()
}

// leave is for whoever does not wait any longer, and may have been served in
// that moment.
func (q *queue) leave(p *place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at := slices.Index(q.waiting, p); at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	} else {
		q.free += p.shares
	}
	q.serve()
}

// serve lends what is free to whoever is next.
func (q *queue) serve() {
	for len(q.waiting) > 0 && q.waiting[0].shares <= q.free {
		p := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.free -= p.shares
		q.round = p.round
		close(p.served)
	}
	for asker, last := range q.last {
		if last < q.round {
			delete(q.last, asker)
		}
	}
}
