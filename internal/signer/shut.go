package signer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/people/roster"
)

// A signer of its own is told when its network is locked, ends with its keys, and another
// process answers in its place that has none. It opens nothing before it was shown that
// two people have opened the network: it replays its own roster, which needs no key, as
// far as it had it, and what it is handed behind that.

// ErrShut says that the network is locked: its signer has put the keys away.
var ErrShut = errors.New("signer: the network is locked, and the keys are put away")

// ErrUnpinned says that a folder was locked while no signer had its keys, so that nobody
// wrote down how far the roster went: nothing that is in the folder is believed without.
var ErrUnpinned = errors.New("signer: the folder was locked while no signer ran, and the lock does not say what opens it: take its file away, start the signer, and lock the network again")

// Pin says what opens a signer that is shut.
type Pin struct {
	// Lock is the id of the lock in the signer's own roster. Where that has none, a
	// folder alone is locked, under an id that anybody may have made up: then what two
	// people agree to since opens it, whatever it calls the lock.
	Lock  string
	At    int64 // when it was locked, Unix seconds
	Place       // how far its roster went when it had the keys
}

// ServeShut answers in the place of a signer until it was shown what opens the lock, or
// ctx ends. It closes the listener. opened is the lock that was opened, for the Judge
// that begins with the keys; "" for none.
func ServeShut(ctx context.Context, l net.Listener, dir string, pin Pin, cfg Config) (opened string, err error) {
	members, err := pinned(ctx, dir, pin)
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &shut{pin: pin, members: members, now: cfg.Now, opened: done}
	cfg.shut = s
	err = Serve(ctx, l, cfg)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, err
}

// shut is a signer without keys.
type shut struct {
	pin     Pin
	members members
	now     func() time.Time
	opened  func()

	mu   sync.Mutex
	open string // the lock that was opened
}

// pinned replays the roster of a folder without a key to check its seal: the pin says
// with which change it ends.
func pinned(ctx context.Context, dir string, pin Pin) (members, error) {
	data, err := files.Read(filepath.Join(dir, RosterName), maxState)
	if errors.Is(err, os.ErrNotExist) && pin.Seq == 0 {
		return members{}, nil
	}
	if err != nil {
		return members{}, err
	}
	if pin.Seq == 0 {
		return members{}, ErrUnpinned
	}
	var f sealed
	var kept adopted
	if strictjson.Unmarshal(data, strictjson.Limits{Size: maxState}, &f) != nil || strictjson.Unmarshal(f.State, strictjson.Limits{Size: maxState}, &kept) != nil {
		return members{}, damaged(RosterName)
	}
	m, err := replay(ctx, nil, kept)
	if err != nil {
		return members{}, err
	}
	if at := m.place(); at.Seq != pin.Seq || !bytes.Equal(at.Head, pin.Head) {
		return members{}, damaged(RosterName)
	}
	return m, nil
}

// answer says how far the roster goes, and looks at what may open the lock.
func (s *shut) answer(ctx context.Context, q question, a *answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch q.Op {
	case opRoster:
		at := s.members.place()
		a.Number, a.Data = at.Seq, at.Head
		return nil
	case opOpen:
		lock, err := s.opens(ctx, q.Many)
		if err != nil {
			return err
		}
		s.open = lock
		time.AfterFunc(lastWord, s.opened)
		return nil
	default:
		return ErrShut
	}
}

// lastWord is how long the answer may take to be written that it opens.
const lastWord = 100 * time.Millisecond

// opens tells which lock these changes, behind those that the signer has, open.
// Nothing of them is kept: the process with the keys is handed them once more.
func (s *shut) opens(ctx context.Context, changes []message) (lock string, err error) {
	m, now := s.members, s.now()
	if m.check == nil {
		return "", refuse("no roster was adopted before the network was locked")
	}
	m.kept.Changes = m.kept.Changes[:len(m.kept.Changes):len(m.kept.Changes)]
	for _, change := range changes {
		c, err := roster.Parse(change.Bytes)
		if err != nil {
			return "", refuse("not a change of the roster")
		}
		at := seen{At: c.At, Change: change.Bytes}
		switch made := time.Unix(c.At, 0); {
		case made.After(now.Add(ahead)):
			return "", refuse("a change that is dated ahead")
		case !m.state.Demo && now.Sub(made) > lag:
			at.At = now.Unix()
		}
		if err := m.add(ctx, nil, at); err != nil {
			return "", refuse("a change of the roster that does not hold here: " + err.Error())
		}
		act, err := approval.Parse(c.Act)
		if err != nil {
			return "", refuse("not an act")
		}
		var what roster.Unlock
		if act.Do == roster.DoUnlock && act.Read(&what) == nil && s.pin.opens(act, what, m.state.Demo) {
			lock = what.Lock
		}
	}
	if lock == "" || m.state.Lock != "" {
		return "", refuse("nothing that opens this lock")
	}
	return lock, nil
}

// opens tells whether an act, which holds, opens this lock. One that was agreed to before
// it opens none.
func (p Pin) opens(act approval.Act, what roster.Unlock, demo bool) bool {
	if p.Lock != "" {
		return what.Lock == p.Lock
	}
	return demo || act.Expires >= time.Unix(p.At, 0).Add(roster.UnlockLife-ahead).Unix()
}

// Locked is the lock that this signer has adopted with its roster, and that nobody has
// opened since; "" for none.
func (j *Judge) Locked() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if lock := j.members.state.Lock; lock != j.cfg.Opened {
		return lock
	}
	return ""
}

// open is for a signer that ends with its parent, and is started anew with the lock in its
// roster: it answers again when it is shown what opens it.
func (j *Judge) open(ctx context.Context, changes []message) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := shut{pin: Pin{Lock: j.members.state.Lock}, members: j.members, now: j.cfg.Now}
	lock, err := s.opens(ctx, changes)
	if err == nil {
		j.cfg.Opened = lock
	}
	return err
}

// judge is the judge of a Store; nil if it has none.
func judge(s keystore.Store) *Judge {
	if g, ok := s.(*Guard); ok {
		return g.judge
	}
	return nil
}

// answerLocked answers in a network that is locked by the signer's own roster: it takes
// in what follows, and does nothing with its keys. A signer of its own ends, and another
// process is shown what opens it.
func (s *server) answerLocked(ctx context.Context, j *Judge, q question, a *answer) error {
	switch {
	case q.Op == opRoster, q.Op == opAdopt:
		return reply(ctx, s.cfg.Keys, q, a)
	case q.Op == opOpen && s.cfg.Lock == nil:
		return j.open(ctx, q.Many)
	default:
		return ErrShut
	}
}

// Lock tells a signer of its own that its network is locked: it ends with its keys. One
// that is the asker's own ends with the asker, and takes no such word.
func (c *Client) Lock(ctx context.Context, id string) error {
	_, err := c.ask(ctx, question{Op: opLock, Label: id})
	return err
}

// LockAt is Lock for the signer that answers at path, whether or not it has keys.
func LockAt(ctx context.Context, path, id string) error {
	c := at(path)
	return errors.Join(c.Lock(ctx, id), c.Close())
}

// Open shows a signer that is shut what it lacks of the roster and, if it is not part
// of that yet, the change that opens the network. Follow has said where the roster is.
func (c *Client) Open(ctx context.Context, next []byte) error {
	c.handing.Lock()
	defer c.handing.Unlock()
	if c.follows == nil {
		return ErrShut
	}
	at, err := c.ask(ctx, question{Op: opRoster})
	if err != nil {
		return err
	}
	changes, err := c.lacking(ctx, at)
	if err != nil {
		return err
	}
	if next != nil {
		changes = append(changes, next)
	}
	q := question{Op: opOpen}
	for _, change := range changes {
		q.Many = append(q.Many, message{Bytes: change})
	}
	if _, err = c.ask(ctx, q); err != nil {
		return fmt.Errorf("open the signer: %w", err)
	}
	return nil
}
