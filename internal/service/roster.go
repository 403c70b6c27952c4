package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Every change of the roster proves itself and names the one before it, so that none
// can be put in, altered or taken out of the middle. Its newest ones can be removed,
// and what is left still holds. But each was logged in the transaction that wrote it,
// with its number and its digest: so the log and the roster end with the same change.

// RosterError says why the roster that was found is not the one that was signed and
// logged. Nothing was changed. It is a people.ErrDamaged.
type RosterError struct {
	Found string // what is so
	Do    string // what to do
}

// Error says both.
func (e *RosterError) Error() string { return "the roster " + e.Found + ". " + e.Do }

// Unwrap makes it a people.ErrDamaged.
func (e *RosterError) Unwrap() error { return people.ErrDamaged }

// ErrNoRoster says that a network is of a version in which nobody signed in.
var ErrNoRoster = sqlstore.ErrNoRoster

const doRoster = "Somebody has written into the database: keep a copy of it, and put back its newest whole state, or restore it (docs/operate.md, When the roster does not hold). Until then nothing is served and nothing was changed."

func rosterError(format string, args ...any) *RosterError {
	return &RosterError{Found: fmt.Sprintf(format, args...), Do: doRoster}
}

// logged is what an entry of the log says of a change of the roster.
type logged struct {
	Seq    uint64 `json:"seq"`
	SHA256 string `json:"sha256"`
}

// changeIn reads an entry; ok is false for one about something else, and whole for one
// whose text is what was logged.
func changeIn(e audit.Entry) (c logged, ok, whole bool) {
	note, err := e.Read()
	if err != nil {
		return c, false, false
	}
	if note.Kind != people.LogChange {
		return c, false, true
	}
	var body struct {
		What logged `json:"what"`
	}
	return body.What, json.Unmarshal(note.Body, &body) == nil, true
}

// changesAtOnce is how many changes of the roster are read in one go.
const changesAtOnce = 500

// eachEntry shows every entry of the log that is about no case.
func eachEntry(ctx context.Context, db *sqlstore.DB, look func(audit.Entry)) error {
	all, err := db.Log().Entries(ctx)
	for _, e := range all {
		look(e)
	}
	return err
}

// beginChange is how the text of an entry about a change begins, in its one form.
const beginChange = `{"kind":"` + people.LogChange + `",`

// lastLogged is the newest change that the log tells of; zero if it tells of none. It
// reads the whole log: of entries the order in which they lie in a table says nothing.
func lastLogged(ctx context.Context, db *sqlstore.DB) (last logged, err error) {
	err = eachEntry(ctx, db, func(e audit.Entry) {
		if !strings.HasPrefix(e.Note.Reveal(), beginChange) {
			return
		}
		switch c, ok, _ := changeIn(e); {
		case !ok || c.Seq < last.Seq:
		case c.Seq == last.Seq && c != last:
			last.SHA256 = "" // two that contradict each other
		default:
			last = c
		}
	})
	if untrue, ok := errors.AsType[*sqlstore.SealError](err); ok {
		err = rosterError("cannot be held against the log: %v", untrue)
	}
	return last, err
}

// CheckRoster replays the roster and looks whether the log ends with the same change.
// It answers a *RosterError if not, and ErrNoRoster where there is neither.
func (s *Service) CheckRoster(ctx context.Context) error {
	const looks = 20 // others may be changing it
	for range looks {
		state, err := s.rosterState(ctx)
		if err != nil {
			return err
		}
		last, err := lastLogged(ctx, s.DB) // behind it: what was read there is logged
		if err != nil {
			return err
		}
		switch head := hex.EncodeToString(state.Head[:]); {
		case state.Seq == 0 && last.Seq == 0:
			return ErrNoRoster
		case last.Seq == state.Seq && last.SHA256 == head:
			return nil
		case last.Seq == state.Seq:
			return rosterError("ends with another change %d than was logged", state.Seq)
		case last.Seq < state.Seq:
			return &unlogged{rosterError("has %d changes, and the log tells of %d", state.Seq, last.Seq)}
		}
		if now, err := s.rosterState(ctx); err != nil {
			return err
		} else if now.Seq < last.Seq {
			return rosterError("ends with change %d, and the log tells of change %d", now.Seq, last.Seq)
		}
	}
	return sqlstore.ErrBusy
}

// unlogged is a RosterError that a log may be the cause of which has lost entries.
type unlogged struct{ *RosterError }

// Unwrap returns the RosterError.
func (e *unlogged) Unwrap() error { return e.RosterError }

func (s *Service) rosterState(ctx context.Context) (roster.State, error) {
	state, err := s.People.State(ctx)
	if errors.Is(err, people.ErrDamaged) {
		return state, rosterError("cannot be replayed: %v", err)
	}
	return state, err
}

// openRoster refuses a roster that is not the one that was logged. Where the log has
// lost what it published nothing can be logged, so that nobody changes anything, and
// whoever checks cards is served: then it is no reason that entries are gone.
func (s *Service) openRoster(ctx context.Context) error {
	err := s.CheckRoster(ctx)
	if _, lost := errors.AsType[*unlogged](err); lost {
		if _, log := s.log.Check(ctx); errors.Is(log, audit.ErrStopped) {
			return nil
		}
	}
	return err
}

// ExamineRoster replays a roster from its beginning, and holds every change against
// the log. Its problems name numbers of changes, and nobody.
func ExamineRoster(ctx context.Context, db *sqlstore.DB) (problems []string, err error) {
	r, err := db.Network().Network(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := openPeople(db, r, time.Now)
	if err != nil {
		return nil, err
	}
	state, err := all.State(ctx)
	switch {
	case errors.Is(err, people.ErrDamaged):
		return []string{err.Error()}, nil
	case err != nil:
		return nil, err
	}
	told, altered, err := toldChanges(ctx, db) // behind the state: what it has is logged
	if untrue, ok := errors.AsType[*sqlstore.SealError](err); ok {
		return []string{"entries of the log are not what was logged: " + untrue.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	if altered > 0 {
		problems = append(problems, fmt.Sprintf("%d entries of the log that are not what was logged", altered))
	}
	kept, err := digests(ctx, db, state.Seq)
	if err != nil {
		return nil, err
	}
	var silent, other, gone []uint64
	for i, digest := range kept {
		seq := uint64(i) + 1
		switch entries := told[seq]; {
		case len(entries) == 0:
			silent = append(silent, seq)
		case len(entries) > 1 || entries[0] != digest:
			other = append(other, seq)
		}
		delete(told, seq)
	}
	if state, err = all.State(ctx); err != nil && !errors.Is(err, people.ErrDamaged) {
		return nil, err
	}
	for seq := range told { // made since, or removed
		if seq > state.Seq || seq == 0 {
			gone = append(gone, seq)
		}
	}
	for _, p := range []struct {
		changes []uint64
		words   string
	}{
		{silent, "the log does not tell of changes of the roster: "},
		{other, "the log tells otherwise of changes of the roster: "},
		{gone, "changes of the roster are gone that the log tells of: "},
	} {
		if len(p.changes) > 0 {
			problems = append(problems, p.words+numbers(p.changes))
		}
	}
	return problems, nil
}

// toldChanges are the digests of all changes that the log tells of, by number, and how
// many entries have another text than was logged.
func toldChanges(ctx context.Context, db *sqlstore.DB) (told map[uint64][]string, altered int, err error) {
	told = map[uint64][]string{}
	err = eachEntry(ctx, db, func(e audit.Entry) {
		switch c, ok, whole := changeIn(e); {
		case !whole:
			altered++
		case ok:
			told[c.Seq] = append(told[c.Seq], c.SHA256)
		}
	})
	return told, altered, err
}

// digests are those of the first n changes.
func digests(ctx context.Context, db *sqlstore.DB, n uint64) (all []string, err error) {
	for uint64(len(all)) < n {
		rows, err := db.People().Changes(ctx, uint64(len(all))+1, int(min(n-uint64(len(all)), changesAtOnce)))
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return all, nil // removed in this moment: State says so next
		}
		for _, row := range rows {
			all = append(all, fmt.Sprintf("%x", sha256.Sum256(row)))
		}
	}
	return all, nil
}

// numbers lists a few of them.
func numbers(all []uint64) string {
	const few = 10
	slices.Sort(all)
	var words []string
	for _, n := range all[:min(len(all), few)] {
		words = append(words, fmt.Sprint(n))
	}
	if len(all) > few {
		words = append(words, fmt.Sprintf("and %d more", len(all)-few))
	}
	return strings.Join(words, ", ")
}
