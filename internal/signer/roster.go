package signer

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/people/roster"
)

// A signer knows who belongs to a network by itself: it is handed the changes of the
// roster, replays them from the founding on, and keeps them. Nobody has it forget one,
// or take another in its place.

// RosterName is the file, in the signer's folder, with the roster as it was adopted.
const RosterName = "roster.json"

const (
	// lag is how old a change may be whose date a running signer believes. What is
	// older, and waits, waits from when it was handed over: nobody dates a change back
	// to have it count at once.
	lag = 10 * time.Minute
	// longestAct is how long before its end an act can have been done.
	longestAct = 73 * time.Hour
)

// Place says how far a roster goes.
type Place struct {
	Seq  uint64 // of the newest change; 0 is none
	Head []byte // its SHA-256
}

// adopted is the file.
type adopted struct {
	// Base is where the network is served, as whoever handed the first change over
	// said it: its passkeys are for that site.
	Base string `json:"base"`
	// Whole says that what was there when this signer began was handed over. From
	// then on it looks at dates.
	Whole bool `json:"whole"`
	// Began is when that was, in Unix seconds, and First how many changes there were.
	Began   int64  `json:"began,omitempty"`
	First   uint64 `json:"first,omitempty"`
	Changes []seen `json:"changes"`
}

// seen is a change, and when it was handed over.
type seen struct {
	At     int64  `json:"at"` // Unix seconds
	Change []byte `json:"change"`
}

// members is the roster as far as it was adopted.
type members struct {
	kept  adopted
	state roster.State
	check roster.Checker // nil before the first change
	view  *roster.State
}

// replay works out what the changes of the file come to.
func replay(ctx context.Context, keys keystore.Store, kept adopted) (members, error) {
	m := members{kept: adopted{Base: kept.Base, Whole: kept.Whole, Began: kept.Began, First: kept.First}}
	for _, s := range kept.Changes {
		if err := m.add(ctx, keys, s); err != nil {
			return m, fmt.Errorf("%s: %w: %w", RosterName, ErrState, err)
		}
	}
	return m, nil
}

// add adds the next change, dated by when it was seen.
func (m *members) add(ctx context.Context, keys keystore.Store, s seen) error {
	c, err := roster.Parse(s.Change)
	if err != nil {
		return err
	}
	if m.check == nil {
		if m.check, err = founded(ctx, keys, c, m.kept.Base); err != nil {
			return err
		}
	}
	if err := m.state.ApplyAt(c, m.check, s.At); err != nil {
		return err
	}
	m.kept.Changes, m.view = append(m.kept.Changes, s), nil
	return nil
}

// founded sees that a roster was founded by the root that this keystore has, and
// returns what its proofs are checked with. Without keys that was seen before.
func founded(ctx context.Context, keys keystore.Store, c roster.Change, base string) (roster.Checker, error) {
	act, err := approval.Parse(c.Act)
	if err != nil {
		return nil, err
	}
	var f roster.Found
	if err := act.Read(&f); act.Do != roster.DoFound || err != nil {
		return nil, errors.Join(roster.ErrPlace, err)
	}
	if keys != nil {
		publics, err := keys.Publics(ctx, keystore.Root)
		if err != nil {
			return nil, err
		}
		root, err := jws.ParseKey(f.Root)
		if err != nil || !among(publics, jws.KeyID(root), f.Root) {
			return nil, fmt.Errorf("%w: another root founded it", roster.ErrProof)
		}
	}
	site, err := passkey.At(base, "network", f.Demo) // what it is called is for browsers
	if err != nil {
		return nil, err
	}
	rp, err := passkey.New(site)
	return passkey.Checker{RelyingParty: rp}, err
}

// place says how far it goes.
func (m *members) place() Place {
	if m.state.Seq == 0 {
		return Place{}
	}
	return Place{m.state.Seq, m.state.Head[:]}
}

// at is the roster at a time. It is shared: nobody changes what it holds.
func (m *members) at(now int64) roster.State {
	if v := m.view; v != nil && (len(v.Waiting) == 0 || now < v.Waiting[0].Counts) {
		return v.Now(now)
	}
	v := m.state.View(now)
	m.view = &v
	return v
}

// Roster says how far the roster goes that this signer has.
func (j *Judge) Roster() Place {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.members.place()
}

// Beginning says when a signer with an empty folder began, and how many changes of the
// roster it took in then as they were. It is zero for one that began before that was
// written down.
type Beginning struct {
	At      time.Time
	Changes uint64
}

// Began says when this signer began.
func (j *Judge) Began() Beginning {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.members.kept.Began == 0 {
		return Beginning{}
	}
	return Beginning{time.Unix(j.members.kept.Began, 0), j.members.kept.First}
}

// State is the roster as it counts now. It is shared: nobody changes what it holds.
func (j *Judge) State() roster.State {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.members.at(j.cfg.Now().Unix())
}

// Adopt takes changes of the roster in, in their order, and keeps as many as hold:
// those behind one that does not are not looked at. What is there already is passed
// over if it is the same. more says that others follow, for a signer that begins.
func (j *Judge) Adopt(ctx context.Context, base string, changes [][]byte, more bool) (Place, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := j.members
	next.kept.Changes = next.kept.Changes[:len(next.kept.Changes):len(next.kept.Changes)]
	if next.state.Seq == 0 {
		next.kept.Base = base
	}
	var stopped error
	for _, change := range changes {
		if stopped = j.adopt(ctx, &next, change); stopped != nil {
			break
		}
	}
	whole := next.kept.Whole || stopped == nil && !more && next.state.Seq > 0
	if next.state.Seq == j.members.state.Seq && whole == j.members.kept.Whole {
		return j.members.place(), stopped
	}
	if whole && !j.members.kept.Whole {
		next.kept.Began, next.kept.First = j.cfg.Now().Unix(), next.state.Seq
	}
	next.kept.Whole = whole
	if err := seal(ctx, j.cfg.Keys, j.cfg.Dir, RosterName, stateLabel+"roster", next.kept); err != nil {
		return j.members.place(), err
	}
	if whole && !j.members.kept.Whole && !next.state.Demo { // in a demonstration there is nobody to compare it with
		j.cfg.Log.InfoContext(ctx, "a roster was taken in for the first time, as it is", "changes", next.state.Seq, "sha256", hex.EncodeToString(next.state.Head[:]))
	}
	j.members = next
	return next.place(), stopped
}

// adopt is Adopt for one change.
func (j *Judge) adopt(ctx context.Context, m *members, change []byte) error {
	c, err := roster.Parse(change)
	if err != nil {
		return refuse("not a change of the roster")
	}
	if c.Seq <= m.state.Seq && c.Seq > 0 {
		if bytes.Equal(m.kept.Changes[c.Seq-1].Change, change) {
			return nil
		}
		return refuse("another change with this number was adopted")
	}
	act, err := approval.Parse(c.Act)
	if err != nil {
		return refuse("not an act")
	}
	now := j.cfg.Now()
	s := seen{At: c.At, Change: change}
	switch made := time.Unix(c.At, 0); {
	case made.After(now.Add(ahead)):
		return refuse("a change that is dated ahead")
	case m.state.Demo: // it plays in the past, and nothing waits in it
	case m.kept.Whole && act.Expires-c.At > int64(longestAct/time.Second):
		return refuse("a change that is dated before anybody can have asked for it")
	case m.kept.Whole && now.Sub(made) > lag:
		s.At = now.Unix()
	}
	err = m.add(ctx, j.cfg.Keys, s)
	if err == nil || errors.Is(err, trouble.ErrUnavailable) {
		return err
	}
	return refuse("a change of the roster that does not hold here, or not yet: " + err.Error())
}
