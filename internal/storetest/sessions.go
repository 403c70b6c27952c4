package storetest

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/signin"
)

// Sessions is the suite of the signin.Store. open returns an empty store.
func Sessions(t *testing.T, open func(t *testing.T) signin.Store) {
	t.Run("sessions", func(t *testing.T) { sessions(t, open(t)) })
	t.Run("ended while it was used", func(t *testing.T) { sessionGone(t, open(t)) })
	t.Run("challenges", func(t *testing.T) { challenges(t, open(t)) })
	t.Run("uses of a passkey", func(t *testing.T) { passkeyUses(t, open(t)) })
	t.Run("sweep", func(t *testing.T) { sessionSweep(t, open(t)) })
}

// moment is a time to the millisecond.
func moment(n time.Duration) time.Time { return Day(0).Add(n + 7*time.Millisecond) }

func sessionRow(person string, made time.Duration) signin.Row {
	return signin.Row{
		Hash: hash(), Person: person, Made: moment(made), Seen: moment(made + time.Minute), Verified: moment(made + time.Second),
		Seal: []byte("seal of " + person),
	}
}

func sessions(t *testing.T, s signin.Store) {
	hers, mine := NewID(), NewID()
	old, young, other := sessionRow(hers, 0), sessionRow(hers, time.Hour), sessionRow(mine, 0)
	for _, r := range []signin.Row{old, young, other} {
		ok(t, s.Add(t.Context(), r))
	}
	if err := s.Add(t.Context(), old); err == nil {
		t.Error("a hash twice was taken")
	}
	same(t, "by hash", get[signin.Row](t)(s.Session(t.Context(), old.Hash)), old)
	same(t, "hers", get[[]signin.Row](t)(s.Sessions(t.Context(), hers)), []signin.Row{young, old})
	same(t, "nobody's", len(get[[]signin.Row](t)(s.Sessions(t.Context(), NewID()))), 0)
	_, err := s.Session(t.Context(), hash())
	is(t, "unknown", err, signin.ErrNotFound)

	ok(t, s.End(t.Context(), old.Hash))
	ok(t, s.End(t.Context(), old.Hash))
	_, err = s.Session(t.Context(), old.Hash)
	is(t, "ended", err, signin.ErrNotFound)
	ok(t, s.Add(t.Context(), old))
	ok(t, s.EndAll(t.Context(), hers))
	same(t, "hers after the end of all", len(get[[]signin.Row](t)(s.Sessions(t.Context(), hers))), 0)
	same(t, "another's", get[signin.Row](t)(s.Session(t.Context(), other.Hash)), other)
}

// sessionGone: what has ended is not written back by a request that had read it
// before.
func sessionGone(t *testing.T, s signin.Store) {
	r := sessionRow(NewID(), 0)
	is(t, "nothing to replace", s.Replace(t.Context(), r.Hash, r), signin.ErrNotFound)
	ok(t, s.Add(t.Context(), r))
	next := r
	next.Hash, next.Verified, next.Seal = hash(), moment(time.Hour), []byte("another")
	ok(t, s.Replace(t.Context(), r.Hash, next))
	same(t, "replaced", get[signin.Row](t)(s.Session(t.Context(), next.Hash)), next)
	is(t, "the one before", s.Replace(t.Context(), r.Hash, r), signin.ErrNotFound)
	next.Seen = moment(2 * time.Hour)
	ok(t, s.Replace(t.Context(), next.Hash, next))
	same(t, "by itself", get[[]signin.Row](t)(s.Sessions(t.Context(), r.Person)), []signin.Row{next})
	ok(t, s.EndAll(t.Context(), r.Person))
	is(t, "ended", s.Replace(t.Context(), next.Hash, next), signin.ErrNotFound)
	same(t, "hers", len(get[[]signin.Row](t)(s.Sessions(t.Context(), r.Person))), 0)
}

// challenges: of any number who come at once, one is first.
func challenges(t *testing.T, s signin.Store) {
	c, until := sha256.Sum256([]byte("a challenge")), moment(time.Minute)
	var first atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ok, err := s.Spend(t.Context(), c, until)
			if err != nil {
				t.Error(err)
			}
			if ok {
				first.Add(1)
			}
		})
	}
	all.Wait()
	same(t, "first ones", first.Load(), int32(1))
	same(t, "another", get[bool](t)(s.Spend(t.Context(), hash(), until)), true)
}

func passkeyUses(t *testing.T, s signin.Store) {
	k := hash()
	_, err := s.LastUse(t.Context(), k)
	is(t, "never used", err, signin.ErrNotFound)
	for i, step := range []struct {
		use signin.Use
		ok  bool
	}{
		{signin.Use{}, true},
		{signin.Use{BackedUp: true}, true},
		{signin.Use{SignCount: 7}, true},
		{signin.Use{SignCount: 7, BackedUp: true}, false},
		{signin.Use{SignCount: 6}, false},
		{signin.Use{}, false},
		{signin.Use{SignCount: 1<<32 - 1, BackedUp: true}, true},
	} {
		before, _ := s.LastUse(t.Context(), k)
		same(t, "taken", get[bool](t)(s.Used(t.Context(), k, step.use)), step.ok)
		want := step.use
		if !step.ok {
			want = before
		}
		if got := get[signin.Use](t)(s.LastUse(t.Context(), k)); got != want {
			t.Errorf("step %d: %+v, want %+v", i, got, want)
		}
	}
	_, err = s.LastUse(t.Context(), hash())
	is(t, "another", err, signin.ErrNotFound)
}

func sessionSweep(t *testing.T, s signin.Store) {
	p := NewID()
	long, idle, fine := sessionRow(p, 0), sessionRow(p, 10*time.Hour), sessionRow(p, 10*time.Hour)
	long.Seen, fine.Seen = moment(12*time.Hour), moment(12*time.Hour)
	for _, r := range []signin.Row{long, idle, fine} {
		ok(t, s.Add(t.Context(), r))
	}
	c, other := hash(), hash()
	_, err := s.Spend(t.Context(), c, moment(time.Hour))
	ok(t, err)
	_, err = s.Spend(t.Context(), other, moment(13*time.Hour))
	ok(t, err)
	ok(t, s.Sweep(t.Context(), moment(0), moment(11*time.Hour), moment(12*time.Hour)))
	same(t, "left", get[[]signin.Row](t)(s.Sessions(t.Context(), p)), []signin.Row{fine})
	same(t, "a challenge that was over", get[bool](t)(s.Spend(t.Context(), c, moment(time.Hour))), true)
	same(t, "one that was not", get[bool](t)(s.Spend(t.Context(), other, moment(13*time.Hour))), false)
}
