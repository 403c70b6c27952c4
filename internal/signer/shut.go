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
	"github.com/safeconduct/safeconduct/people/roster"
)

// A signer of its own is told when its network is locked, ends with its keys, and another
// process answers in its place that has none. It opens nothing before it was shown that
// two people have opened the network: it replays its own roster, which needs no key, as
// far as it had it, and what it is handed behind that.

// ErrShut says that the network is locked: its signer has put the keys away.
var ErrShut = errors.New("signer: the network is locked, and the keys are put away")

// Pin says what opens a signer that is shut.
type Pin struct {
	Lock  string // the id of the lock
	Place        // how far its roster went when it had the keys
}

// ServeShut answers in the place of a signer until it was shown what opens the lock, or
// ctx ends. It closes the listener.
func ServeShut(ctx context.Context, l net.Listener, dir string, pin Pin, cfg Config) (opened bool, err error) {
	members, err := pinned(ctx, dir, pin)
	if err != nil {
		return false, errors.Join(err, l.Close())
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
	open bool
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
		if err := s.opens(ctx, q.Many); err != nil {
			return err
		}
		s.open = true
		time.AfterFunc(lastWord, s.opened)
		return nil
	default:
		return ErrShut
	}
}

// lastWord is how long the answer may take to be written that it opens.
const lastWord = 100 * time.Millisecond

// opens tells whether these changes, behind those that the signer has, open the lock.
// Nothing of them is kept: the process with the keys is handed them once more.
func (s *shut) opens(ctx context.Context, changes []message) error {
	m, now, opens := s.members, s.now(), false
	if m.check == nil {
		return refuse("no roster was adopted before the network was locked")
	}
	m.kept.Changes = m.kept.Changes[:len(m.kept.Changes):len(m.kept.Changes)]
	for _, change := range changes {
		c, err := roster.Parse(change.Bytes)
		if err != nil {
			return refuse("not a change of the roster")
		}
		at := seen{At: c.At, Change: change.Bytes}
		switch made := time.Unix(c.At, 0); {
		case made.After(now.Add(ahead)):
			return refuse("a change that is dated ahead")
		case !m.state.Demo && now.Sub(made) > lag:
			at.At = now.Unix()
		}
		if err := m.add(ctx, nil, at); err != nil {
			return refuse("a change of the roster that does not hold here: " + err.Error())
		}
		act, err := approval.Parse(c.Act)
		if err != nil {
			return refuse("not an act")
		}
		var what roster.Unlock
		opens = opens || act.Do == roster.DoUnlock && act.Read(&what) == nil && what.Lock == s.pin.Lock
	}
	if !opens {
		return refuse("nothing that opens this lock")
	}
	return nil
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
