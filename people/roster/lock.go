package roster

import (
	"errors"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/invalid"
)

// A lock shuts a network at once, on the word of one person: whoever stands at a door
// that is being broken in has no time to find a second one. It takes away and adds
// nothing. Two people open it again.

// What locks, and what opens.
const (
	DoLock   = "network.lock"
	DoUnlock = "network.unlock"
)

// UnlockLife is how long people have to agree that a locked network is opened. What they
// agreed to goes from hand to hand, and is kept nowhere.
const UnlockLife = 24 * time.Hour

// ErrLocked says that the network is locked: nobody is let in, and nothing changes but
// by those who open it, or by the root, which can only take more away.
var ErrLocked = errors.New("roster: the network is locked")

// Lock shuts the network. Anybody of it is enough, and so is the root alone.
type Lock struct{}

func (*Lock) need(*State, approval.Act) need {
	return need{people: 1, alone: true, who: func(Person) bool { return true }} // who is there: agreed asks that of everybody
}

func (*Lock) check(s *State, _ approval.Act) error {
	if s.Lock != "" {
		return ErrState
	}
	return nil
}

func (*Lock) apply(s *State, act approval.Act, at int64) { s.Lock, s.LockedAt = act.ID, at }

// Unlock opens a network that was locked. Where fewer than two people could agree to
// that, the root stands in for the second.
type Unlock struct {
	// Lock is the id of the act that locked it, so that nothing which was signed
	// during one lock opens another. A lock of one folder is none of the roster, and
	// has an id of its own there.
	Lock string `json:"lock"`
}

func (*Unlock) need(s *State, _ approval.Act) need {
	if s.leading() < 2 {
		return need{people: 1, root: true, who: leads}
	}
	return need{people: 2, who: leads}
}

func (u *Unlock) check(s *State, _ approval.Act) error {
	var c invalid.Checker
	c.ID("/lock", u.Lock, invalid.Required)
	if s.Lock != "" && s.Lock != u.Lock {
		return ErrState
	}
	return c.Err()
}

// apply ends all sessions from before. What waited starts to wait anew: while the
// network was locked nobody could stop it.
func (u *Unlock) apply(s *State, _ approval.Act, at int64) {
	s.Lock, s.Opened, s.SessionsFrom, s.SessionsChange = "", u.Lock, at, s.making
	s.Waiting = slices.Clone(s.Waiting)
	for i := range s.Waiting {
		w := &s.Waiting[i]
		w.Counts, w.dated = max(w.Counts, s.now+delay), max(w.dated, at+delay)
	}
}

// TakesAway tells whether an act only takes something away: whoever has folder and
// passphrase may do that alone, and it waits for nothing.
func (s *State) TakesAway(act approval.Act) bool {
	do, err := read(act)
	return err == nil && do.need(s, act).alone
}

// open tells whether an act can be done now: of a locked network only that which opens
// it, and what the root may do alone.
func (s *State) open(c Change, act approval.Act, do doing) bool {
	return s.Lock == "" || act.Do == DoUnlock || len(c.Root) > 0 && do.need(s, act).alone
}

// leading is how many people there are who answer for an agency, or run the network.
func (s *State) leading() int {
	n := 0
	for _, p := range s.People {
		if s.Present(p) && leads(p) {
			n++
		}
	}
	return n
}
