package credentials

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// masks knows the decoys of every list, which never change.
type masks struct {
	key func(ctx context.Context, list uint16) ([]byte, error)

	mu    sync.Mutex
	known map[uint16]*mask.Decoys
}

func (m *masks) of(ctx context.Context, list uint16) (*mask.Decoys, error) {
	m.mu.Lock()
	d := m.known[list]
	m.mu.Unlock()
	if d != nil {
		return d, nil
	}
	key, err := m.key(ctx, list)
	if err == nil {
		d, err = mask.New(key)
	}
	if err != nil {
		return nil, fmt.Errorf("tell the decoys of a list: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[uint16]*mask.Decoys{}
	}
	m.known[list] = d
	return d, nil
}

// The ways a decoy goes, in eighths. They are those of real entries: one that
// was paused comes back, or ends; one that ended or was replaced stays so; a
// reply comes, is taken back, or makes way for another one.
var (
	statusWays = map[uint8][8]uint8{
		statuslist.Valid: {
			statuslist.Invalid, statuslist.Replaced, statuslist.Suspended, statuslist.Suspended,
			statuslist.Suspended, statuslist.Suspended, statuslist.Suspended, statuslist.Suspended,
		},
		statuslist.Suspended: {
			statuslist.Invalid, statuslist.Replaced, statuslist.Valid, statuslist.Valid,
			statuslist.Valid, statuslist.Valid, statuslist.Valid, statuslist.Valid,
		},
	}
	answerWays = map[uint8][8]uint8{
		AnswerNone:    {AnswerOther, AnswerMission, AnswerMission, AnswerMission, AnswerMission, AnswerMission, AnswerMission, AnswerMission},
		AnswerMission: {AnswerOther, AnswerNone, AnswerNone, AnswerNone, AnswerNone, AnswerNone, AnswerNone, AnswerNone},
		AnswerOther:   {AnswerMission, AnswerMission, AnswerNone, AnswerNone, AnswerNone, AnswerNone, AnswerNone, AnswerNone},
	}
)

// decoys draws changes that mean nothing, on indices that are never given to
// anybody, so that a window does not tell how much really happened. Which ones may
// serve is settled for each list by its key; when all of them do, those in use go on
// changing. The same decoys serve both lists, because cards stand in both: an index
// that changes in both must not be surely real.
type decoys struct {
	free   []uint32 // what may become one, in no order
	all    []Entry  // every decoy, as it stands after this window
	moved  []bool   // which of them change in this window
	random io.Reader
}

// newDecoys finds the decoys among the entries of a list, and what may become one: no
// index of a frozen list, because it may have been one before, and have gone some way.
func newDecoys(entries []Entry, may *mask.Decoys, frozen bool, random io.Reader) *decoys {
	d := &decoys{random: random}
	taken := make(map[uint32]bool, len(entries))
	for _, e := range entries {
		taken[e.Index] = true
		if e.Decoy {
			d.all = append(d.all, e)
		}
	}
	d.moved = make([]bool, len(d.all))
	if frozen {
		return d
	}
	for _, i := range may.All() {
		if !taken[i] {
			d.free = append(d.free, i)
		}
	}
	return d
}

// status changes the status of n decoys, and answer their answers.
func (d *decoys) status(n int) error {
	return d.move(n, statusWays, func(e *Entry) (wanted, published *uint8) { return &e.WantedStatus, &e.PublishedStatus })
}

func (d *decoys) answer(n int) error {
	return d.move(n, answerWays, func(e *Entry) (wanted, published *uint8) { return &e.WantedAnswer, &e.PublishedAnswer })
}

// move changes one value of n different decoys, half of them new ones.
func (d *decoys) move(n int, ways map[uint8][8]uint8, value func(*Entry) (wanted, published *uint8)) error {
	var idle []int
	for i, e := range d.all {
		// What has ended gets no answers any more.
		if e.PublishedStatus == statuslist.Valid || e.PublishedStatus == statuslist.Suspended {
			idle = append(idle, i)
		}
	}
	for range n {
		if len(d.free) == 0 && len(idle) == 0 {
			return nil
		}
		r, err := d.draw()
		if err != nil {
			return err
		}
		way, fresh, which := r%8, r/8%2 == 0, int(r/16)
		var i int
		if len(idle) == 0 || fresh && len(d.free) > 0 {
			if i, err = d.add(); err != nil {
				return err
			}
		} else {
			at, last := which%len(idle), len(idle)-1
			i, idle[at] = idle[at], idle[last]
			idle = idle[:last]
		}
		wanted, published := value(&d.all[i])
		*published = ways[*published][way]
		*wanted, d.moved[i] = *published, true
	}
	return nil
}

// changed returns the decoys that change in this window.
func (d *decoys) changed() []Entry {
	var found []Entry
	for i, e := range d.all {
		if d.moved[i] {
			found = append(found, e)
		}
	}
	return found
}

// add makes a decoy of an index that is free for one.
func (d *decoys) add() (int, error) {
	r, err := d.draw()
	if err != nil {
		return 0, err
	}
	at, last := int(r)%len(d.free), len(d.free)-1
	d.all = append(d.all, Entry{Index: d.free[at], Decoy: true})
	d.moved = append(d.moved, false)
	d.free[at], d.free = d.free[last], d.free[:last]
	return len(d.all) - 1, nil
}

func (d *decoys) draw() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(d.random, b[:]); err != nil {
		return 0, fmt.Errorf("draw decoy: %w", err)
	}
	return binary.BigEndian.Uint32(b[:]), nil
}
