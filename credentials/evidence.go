package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	reasons       []reason          // what of it counts
	waiting, held int
}

// real works out what changes for real, in the order of entries, up to a limit.
// What needs a reason changes if there is one that is believed, and stays as it stands
// otherwise.
func (s stand) real(believe belief) (realChanges, error) {
	var r realChanges
	for _, e := range s.entries {
		if e.Decoy {
			continue
		}
		to, waits := wanted(e), wanted(e) != e
		if waits && len(r.now) == s.limit {
			to, waits = e, false
		}
		status, answer, err := s.said.needs(to)
		if err != nil {
			return r, err
		}
		if status || answer {
			shown, reasons := s.shown(e.Index, status, answer, believe)
			held, err := s.said.hold(to, status && !slices.Contains(reasons, reason{e.Index, false}), answer && !slices.Contains(reasons, reason{e.Index, true}))
			if err != nil {
				return r, err
			}
			if len(reasons) > 0 {
				r.evidence, r.reasons = append(r.evidence, shown), append(r.reasons, reasons...)
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

// reason is what shows that a card is confirmed, or else that something is in use again.
type reason struct {
	index  uint32
	answer bool
}

// belief tells which reasons the signer is shown.
type belief func(reason) bool

func everything(reason) bool { return true }
func nothing(reason) bool    { return false }

// shown is what shows of a place that it may change, as far as it is believed, and which
// of the reasons that it needs are among that.
func (s stand) shown(index uint32, status, answer bool, believe belief) (shown approval.Change, reasons []reason) {
	shown = s.proven[index]
	again, confirmed := reason{index, false}, reason{index, true}
	if !believe(again) {
		shown.Act, shown.Proofs = nil, nil
	}
	if !believe(confirmed) {
		shown.Reply = nil
	}
	if status && len(shown.Card) > 0 && len(shown.Act) > 0 {
		reasons = append(reasons, again)
	}
	if answer && len(shown.Card) > 0 && len(shown.Reply) > 0 {
		reasons = append(reasons, confirmed)
	}
	return shown, reasons
}

// maxAsks bounds how often the signer is asked in one window which reasons of a list it
// does not believe. Whatever it was not asked about waits for the next window.
const maxAsks = 64

func (p *Publisher) refused(err error) bool {
	return p.cfg.Refused != nil && errors.Is(err, p.cfg.Refused)
}

// believable finds out which reasons the signer believes, by halves: it refuses a list
// whole, for one of them. Those that it did not believe the last time come after all
// others, so that nobody waits twice for the same ones.
func (p *Publisher) believable(ctx context.Context, n uint16, w Window) (belief, error) {
	s, err := p.stand(ctx, n, w)
	if err != nil {
		return nil, err
	}
	all, err := s.real(everything)
	if err != nil {
		return nil, err
	}
	believed, doubted, asks := map[reason]bool{}, map[reason]bool{}, 0
	var ask func(some []reason) error
	ask = func(some []reason) error {
		if len(some) == 0 || asks == maxAsks {
			return nil
		}
		asks++
		with := maps.Clone(believed)
		for _, one := range some {
			with[one] = true
		}
		_, err := p.sign(ctx, s, func(one reason) bool { return with[one] })
		switch half := len(some) / 2; {
		case err == nil:
			believed = with
			return nil
		case !p.refused(err):
			return err
		case len(some) == 1:
			doubted[some[0]] = true
			return nil
		default:
			if err := ask(some[:half]); err != nil {
				return err
			}
			return ask(some[half:])
		}
	}
	var first, last []reason
	for _, one := range all.reasons {
		if p.doubted[n][one] {
			last = append(last, one)
		} else {
			first = append(first, one)
		}
	}
	for _, some := range [][]reason{first, last} {
		if err := ask(some); err != nil {
			return nil, err
		}
	}
	for _, one := range last {
		doubted[one] = !believed[one] // also if there was no time to ask again
	}
	p.doubted[n] = doubted
	return func(one reason) bool { return believed[one] }, nil
}

// wanted is an entry with all that is wanted of it public.
func wanted(e Entry) Entry {
	e.PublishedStatus, e.PublishedAnswer = e.WantedStatus, e.WantedAnswer
	return e
}

// proven gathers what shows that entries may become public as they are wanted, or be
// as they were written down.
func (p *Publisher) proven(ctx context.Context, n uint16, entries []Entry, s *said) (map[uint32]approval.Change, error) {
	if s == nil {
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
