package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// maxEvidence bounds for how many places of a list something is shown at once: whoever
// signs is asked one question.
const maxEvidence = 1000

// said are the lists that the next ones are held against by whoever signs.
type said struct{ status, answers *statuslist.List }

// said asks for them; nil where nobody reads what is signed.
func (p *Publisher) said(ctx context.Context, n uint16) (*said, error) {
	if p.cfg.Said == nil {
		return nil, nil
	}
	var lists [2]*statuslist.List
	for i, base := range []string{p.cfg.StatusLists, p.cfg.AnswersLists} {
		token, judged, err := p.cfg.Said(ctx, fmt.Sprintf("%s%d", base, n))
		if err != nil {
			return nil, fmt.Errorf("ask which list stands: %w", err)
		}
		if !judged {
			return nil, nil
		}
		if lists[i], err = standing(token); err != nil {
			return nil, fmt.Errorf("read the list that stands: %w", err)
		}
	}
	return &said{lists[0], lists[1]}, nil
}

// standing reads a list of whoever has the key; one that is not there says nothing.
func standing(token string) (*statuslist.List, error) {
	if token == "" {
		return statuslist.New(2, statuslist.Entries)
	}
	input := token[:max(0, strings.LastIndexByte(token, '.'))]
	_, t, err := statuslist.ReadInput([]byte(input), statuslist.Entries)
	if err != nil {
		return nil, err
	}
	return t.List, nil
}

// needs tells what of an entry, as it would become public, has to be shown a reason
// for: that it is in use again, and that it is confirmed.
func (s *said) needs(e Entry) (status, answer bool, err error) {
	if s == nil || e.Decoy {
		return false, false, nil
	}
	was, err := s.status.Get(int(e.Index))
	if err != nil {
		return false, false, err
	}
	answered, err := s.answers.Get(int(e.Index))
	return was == statuslist.Suspended && e.PublishedStatus == statuslist.Valid,
		e.PublishedAnswer != AnswerNone && e.PublishedAnswer != answered, err
}

// hold leaves what nothing shows a reason for as it stands in the lists.
func (s *said) hold(e Entry, status, answer bool) (_ Entry, err error) {
	if status {
		e.PublishedStatus = statuslist.Suspended
	}
	if answer {
		e.PublishedAnswer, err = s.answers.Get(int(e.Index))
	}
	return e, err
}

// step is an entry as it was published last, and as it will be.
type step struct{ from, to Entry }

// realChanges are what a window does to entries that are no decoys.
type realChanges struct {
	now           []step            // what becomes public
	back          []Entry           // what was written down as public and stands in no list
	evidence      []approval.Change // what shows that all this may be
	waiting, held int
}

// real works out what changes for real: whatever has waited longest, up to a limit.
// What needs a reason changes if there is one, and stays as it stands otherwise.
func (p *Publisher) real(ctx context.Context, n uint16, entries []Entry, s *said, believed bool, limit int) (realChanges, error) {
	var r realChanges
	proven, err := p.proven(ctx, n, entries, s, believed)
	if err != nil {
		return r, err
	}
	for _, e := range entries {
		if e.Decoy {
			continue
		}
		to, waits := wanted(e), wanted(e) != e
		if waits && len(r.now) == limit {
			to, waits = e, false
		}
		status, answer, err := s.needs(to)
		if err != nil {
			return r, err
		}
		if status || answer {
			shown, ok := proven[e.Index]
			held, err := s.hold(to, status && (len(shown.Card) == 0 || len(shown.Act) == 0), answer && (len(shown.Card) == 0 || len(shown.Reply) == 0))
			if err != nil {
				return r, err
			}
			if ok {
				r.evidence = append(r.evidence, shown)
			}
			if held != to {
				r.held++
			}
			to = held
		}
		switch {
		case to == e:
		case waits:
			r.now = append(r.now, step{e, to})
		default: // written down as public, and whoever signs does not know of it
			r.back = append(r.back, to)
		}
		if to != wanted(to) {
			r.waiting++
		}
	}
	return r, nil
}

// wanted is an entry with all that is wanted of it public.
func wanted(e Entry) Entry {
	e.PublishedStatus, e.PublishedAnswer = e.WantedStatus, e.WantedAnswer
	return e
}

// proven gathers what shows that entries may become public as they are wanted, or be
// as they were written down.
func (p *Publisher) proven(ctx context.Context, n uint16, entries []Entry, s *said, believed bool) (map[uint32]approval.Change, error) {
	if s == nil || !believed {
		return nil, nil
	}
	var places []uint32
	for _, e := range entries {
		is1, is2, err1 := s.needs(e)
		will1, will2, err2 := s.needs(wanted(e))
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if (is1 || is2 || will1 || will2) && len(places) < maxEvidence {
			places = append(places, e.Index)
		}
	}
	if len(places) == 0 {
		return nil, nil
	}
	all, err := p.cfg.Store.Evidence(ctx, n, places)
	if err != nil {
		return nil, fmt.Errorf("gather what shows that places may change: %w", err)
	}
	proven := make(map[uint32]approval.Change, len(all))
	for _, one := range all {
		proven[one.Index] = one
	}
	return proven, nil
}
