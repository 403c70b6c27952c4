package roster_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/people/roster"
)

// byRoot adds the root's signature to a change.
func (h *house) byRoot(c roster.Change) roster.Change {
	h.t.Helper()
	a := actOf(h.t, c)
	challenge, err := a.Challenge()
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
	c.Root = sum[:]
	return c
}

// lock locks a network, and returns the id of the lock.
func (s *settled) lock(by string) string {
	s.t.Helper()
	s.must(roster.DoLock, "", &roster.Lock{}, by)
	if s.s.Lock == "" || s.s.LockedAt != s.now {
		s.t.Fatal("the network is not locked")
	}
	return s.s.Lock
}

// TestAnybodyLocks: one person is enough, or the root alone; somebody who was removed
// is nobody.
func TestAnybodyLocks(t *testing.T) {
	s := grown(t)
	worker := s.person(s.a, roster.Caseworker, s.a1, s.a2)
	auditor := s.person("", roster.Auditor, s.op1, s.op2)
	for _, by := range []string{s.op1, s.b2, worker, auditor} {
		s := *s
		s.house = &house{t: t, s: s.s.View(s.now), now: s.now, n: s.n}
		s.lock(by)
	}
	root := *s.house
	if err := root.try(root.byRoot(root.change(root.act(roster.DoLock, "", &roster.Lock{})))); err != nil || root.s.Lock == "" {
		t.Errorf("the root: %v", err)
	}
	s.must(roster.DoRemovePerson, s.a, &roster.RemovePerson{ID: worker}, s.a1)
	if err := s.do(roster.DoLock, "", &roster.Lock{}, worker); !errors.Is(err, roster.ErrProof) {
		t.Errorf("somebody who was removed: %v", err)
	}
	if err := s.do(roster.DoLock, "", &roster.Lock{}); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("nobody: %v", err)
	}
}

// TestLocked: nothing happens in a locked network but that two people open it, or that
// the root takes more away; and what waited waits anew.
func TestLocked(t *testing.T) {
	s := grown(t)
	late := s.id()
	s.must(roster.DoAddPerson, s.a, &roster.AddPerson{
		Person: roster.Person{ID: late, Agency: s.a, Roles: []roster.Role{roster.Caseworker}, Handle: "x"}, Link: link("x", s.now+30*24*3600),
	}, s.a1, s.a2)
	s.pass(time.Hour)
	lock := s.lock(s.b1)

	for name, err := range map[string]error{
		"a person":    s.do(roster.DoSignOut, s.a, &roster.SignOut{ID: s.a1}, s.a1),
		"locked more": s.do(roster.DoLock, "", &roster.Lock{}, s.a1),
		"quota":       s.do(roster.DoRaiseQuota, "", &roster.RaiseQuota{Quota: roster.Quota{Agency: s.a, Event: "Yard", Cards: 300, Until: s.now + 3600}}, s.b1, s.op1),
	} {
		if !errors.Is(err, roster.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.try(s.byRoot(s.change(s.act(roster.DoRemovePerson, s.b, &roster.RemovePerson{ID: s.b2})))); err != nil {
		t.Errorf("the root takes away: %v", err)
	}
	s.pass(3 * roster.Delay)
	if v := s.view(); v.People[late].ID != "" {
		t.Error("what waited counts while nobody can stop it")
	}

	open := &roster.Unlock{Lock: lock}
	for name, c := range map[string]struct {
		change roster.Change
		want   error
	}{
		"one":           {s.change(s.act(roster.DoUnlock, "", open), s.a1), roster.ErrNotAgreed},
		"the same":      {s.change(s.act(roster.DoUnlock, "", open), s.a1, s.a1), roster.ErrProof},
		"one removed":   {s.change(s.act(roster.DoUnlock, "", open), s.a1, s.b2), roster.ErrProof},
		"the root":      {s.byRoot(s.change(s.act(roster.DoUnlock, "", open), s.a1)), roster.ErrProof},
		"the root only": {s.byRoot(s.change(s.act(roster.DoUnlock, "", open))), roster.ErrProof},
		"another lock":  {s.change(s.act(roster.DoUnlock, "", &roster.Unlock{Lock: s.id()}), s.a1, s.b1), roster.ErrState},
	} {
		if err := s.try(c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	s.must(roster.DoUnlock, "", open, s.a1, s.b1)
	if s.s.Lock != "" || s.s.SessionsFrom != s.now {
		t.Error("it is not open, or sessions from before count")
	}
	if v := s.view(); v.People[late].ID != "" {
		t.Error("what waited counts at once")
	}
	s.pass(roster.Delay)
	if v := s.view(); v.People[late].ID == "" {
		t.Error("what waited does not count a day later")
	}
}

// TestUnlockOfOne: where fewer than two people could agree, the root is the second, and
// a caseworker is no second either.
func TestUnlockOfOne(t *testing.T) {
	h, op := found(t, false)
	a := h.agency("NGO", op)
	worker := h.person(a, roster.Caseworker, op)
	h.must(roster.DoLock, "", &roster.Lock{}, worker)
	open := &roster.Unlock{Lock: h.s.Lock}
	if err := h.do(roster.DoUnlock, "", open, op); !errors.Is(err, roster.ErrProof) {
		t.Errorf("one alone: %v", err)
	}
	if err := h.try(h.byRoot(h.change(h.act(roster.DoUnlock, "", open), worker))); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("a caseworker and the root: %v", err)
	}
	if err := h.try(h.byRoot(h.change(h.act(roster.DoUnlock, "", open), op))); err != nil || h.s.Lock != "" {
		t.Errorf("the operator and the root: %v", err)
	}
}

func actOf(t testing.TB, c roster.Change) approval.Act {
	t.Helper()
	a, err := approval.Parse(c.Act)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
