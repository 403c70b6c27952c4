package credentials

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// maxDecoys is how many indices of a list serve as decoys before old ones are
// used again and again: without a bound, the hourly changes would use up the
// whole list in little more than a year.
const maxDecoys = statuslist.Entries / 4

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
// anybody, so that a window does not tell how much really happened. An index
// once used for a decoy stays one. The same decoys serve both lists, because
// cards stand in both: an index that changes in both must not be surely real.
type decoys struct {
	taken  map[uint32]bool // every index in use, real or decoy
	all    []Entry         // every decoy, as it stands after this window
	moved  []bool          // which of them change in this window
	frozen bool            // no index that looks free may be taken for one
	random io.Reader
}

func newDecoys(entries []Entry, random io.Reader) *decoys {
	d := &decoys{taken: make(map[uint32]bool, len(entries)), random: random}
	for _, e := range entries {
		d.taken[e.Index] = true
		if e.Decoy {
			d.all = append(d.all, e)
		}
	}
	d.moved = make([]bool, len(d.all))
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
		if d.frozen && len(idle) == 0 {
			return nil
		}
		r, err := d.draw()
		if err != nil {
			return err
		}
		way, fresh, which := r%8, r/8%2 == 0, int(r/16)
		var i int
		if len(idle) == 0 || fresh && !d.frozen && len(d.all) < maxDecoys {
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

// add makes a decoy of an index that nothing uses.
func (d *decoys) add() (int, error) {
	for range maxDraws {
		r, err := d.draw()
		if err != nil {
			return 0, err
		}
		if i := r % statuslist.Entries; !d.taken[i] {
			d.taken[i] = true
			d.all = append(d.all, Entry{Index: i, Decoy: true})
			d.moved = append(d.moved, false)
			return len(d.all) - 1, nil
		}
	}
	return 0, ErrListFull
}

func (d *decoys) draw() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(d.random, b[:]); err != nil {
		return 0, fmt.Errorf("draw decoy: %w", err)
	}
	return binary.BigEndian.Uint32(b[:]), nil
}
