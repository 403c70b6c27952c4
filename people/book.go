package people

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people/roster"
)

// ErrDamaged says that the roster does not hold: a change was altered, put in or
// removed where they are kept. Nobody is let in until somebody has found out why.
var ErrDamaged = errors.New("people: the roster does not hold")

// Changes keeps the roster. Nothing that it returns is believed before it was
// replayed.
type Changes interface {
	// Changes returns the changes from a number on, at most limit of them, in
	// their order.
	Changes(ctx context.Context, from uint64, limit int) ([][]byte, error)
	// AppendChange writes a change. ErrConflict if there is one with its number:
	// somebody was faster. One that presses is written also while the log has stopped.
	AppendChange(ctx context.Context, seq uint64, change []byte, presses Pressing, log ...audit.Entry) error
}

// Pressing says that something only takes away, or asks for that: it is written with its
// entry whatever has become of the log, and the entry has its place once the log goes on.
type Pressing bool

// LogChange is the kind of the log's entries about changes of the roster. Such an
// entry names the change's number, seq, and its digest, sha256, and is written with the
// change or not at all.
const LogChange = "roster.change"

// book is the roster as far as it was read.
type book struct {
	mu    sync.Mutex
	state roster.State
	// view is the state as it was looked at last: good until the next change, or
	// until something counts that waits.
	view *roster.State
}

// changesAtOnce is how many changes are read in one go.
const changesAtOnce = 200

// State is the roster now. It is shared: nobody changes what it holds.
func (r *Roster) State(ctx context.Context) (roster.State, error) {
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	if err := r.catchUp(ctx); err != nil {
		return roster.State{}, err
	}
	return r.read(), nil
}

// read is the roster now as far as it was read; the book is locked.
func (r *Roster) read() roster.State {
	now := r.cfg.Now().Unix()
	if v := r.book.view; v != nil && (len(v.Waiting) == 0 || now < v.Waiting[0].Counts) {
		return v.Now(now)
	}
	v := r.book.state.View(now)
	r.book.view = &v
	return v
}

// catchUp reads what was added since, here or by another process. It begins with
// the change that was read last: if that one is gone, or another one, the sequence
// was cut.
func (r *Roster) catchUp(ctx context.Context) error {
	b := &r.book
	for {
		from := max(b.state.Seq, 1)
		rows, err := r.cfg.Store.Changes(ctx, from, changesAtOnce)
		if err != nil {
			return fmt.Errorf("read the roster: %w", err)
		}
		if b.state.Seq > 0 {
			if len(rows) == 0 || sha256.Sum256(rows[0]) != b.state.Head {
				return fmt.Errorf("%w: change %d is not what it was", ErrDamaged, b.state.Seq)
			}
			rows = rows[1:]
		}
		for _, row := range rows {
			c, err := roster.Parse(row)
			if err == nil {
				err = b.state.Apply(c, r.cfg.Checker)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			b.view = nil
		}
		if len(rows) < changesAtOnce-1 {
			return nil
		}
	}
}

// append makes the next change of an act that was agreed to. Another process may be
// faster: then what it wrote is read first, and all is judged anew.
func (r *Roster) append(ctx context.Context, c roster.Change, act approval.Act, by audit.Actor) (roster.Change, error) {
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	data, err := act.Bytes()
	if err != nil {
		return c, err
	}
	for range maxRaces {
		if err := r.catchUp(ctx); err != nil {
			return c, err
		}
		now := r.cfg.Now()
		c.Seq, c.Prev, c.At, c.Act = r.book.state.Seq+1, slices.Clone(r.book.state.Head[:]), max(now.Unix(), r.book.state.At), data
		row, err := c.Bytes()
		if err != nil {
			return c, err
		}
		presses := Pressing(r.book.state.TakesAway(act))
		next := r.book.state // Apply leaves what it shares as it is
		if err := next.Apply(c, r.cfg.Checker); err != nil {
			return c, err
		}
		entry, err := audit.NewAct(LogChange, by, map[string]any{
			"seq": c.Seq, "do": act.Do, "act": act.ID, "sha256": fmt.Sprintf("%x", next.Head), "founding": next.Founding(c.At),
		}, now)
		if err != nil {
			return c, err
		}
		switch err := r.cfg.Store.AppendChange(ctx, c.Seq, row, presses, entry); {
		case errors.Is(err, ErrConflict):
			continue
		case err != nil:
			return c, fmt.Errorf("write the change: %w", err)
		}
		r.book.state, r.book.view = next, nil
		return c, nil
	}
	return c, ErrConflict
}

// maxRaces bounds how often another process may be faster.
const maxRaces = 8

// Found begins the roster of a new network. sign signs an act's message with the
// root key.
func (r *Roster) Found(ctx context.Context, network string, f roster.Found, sign func(message []byte) ([]byte, error)) error {
	act, err := approval.New(network, roster.DoFound, "", "", &f, r.cfg.Now(), time.Hour)
	if err != nil {
		return err
	}
	return r.byRoot(ctx, act, sign)
}

// Console has something taken away by whoever has folder and passphrase, and so the
// root key: no person agrees, and nothing can be added in this way.
func (r *Roster) Console(ctx context.Context, do, agency string, what any, sign func(message []byte) ([]byte, error)) error {
	s, err := r.State(ctx)
	if err != nil {
		return err
	}
	act, err := approval.New(s.Network, do, agency, "", what, r.cfg.Now(), time.Hour)
	if err != nil {
		return err
	}
	return r.byRoot(ctx, act, sign)
}

// AskByRoot begins an act that the root signs with people: whoever has folder and
// passphrase asks, and it waits as every request does.
func (r *Roster) AskByRoot(ctx context.Context, do string, what any) (Request, error) {
	s, err := r.State(ctx)
	if err != nil {
		return Request{}, err
	}
	act, err := approval.New(s.Network, do, "", "", what, r.cfg.Now(), requestLife)
	if err != nil {
		return Request{}, err
	}
	if err := s.Check(act); err != nil {
		return Request{}, conflict(err)
	}
	entry, err := audit.NewAct("request.ask", audit.Actor{}, map[string]any{"request": act.ID, "do": do, "agency": ""}, r.cfg.Now())
	if err != nil {
		return Request{}, err
	}
	q := Request{Act: act, State: Waits}
	if err := r.cfg.Store.AddRequest(ctx, q, Pressing(s.TakesAway(act)), nil, entry); err != nil {
		return Request{}, fmt.Errorf("store the request: %w", err)
	}
	return q, nil
}

// WaitsForRoot finds the newest request of a kind that waits, also for the root.
// ErrNotFound if there is none.
func (r *Roster) WaitsForRoot(ctx context.Context, do string) (Request, error) {
	all, err := r.cfg.Store.Waiting(ctx, r.cfg.Now())
	if err != nil {
		return Request{}, fmt.Errorf("read the requests: %w", err)
	}
	for _, q := range slices.Backward(all) {
		if q.Act.Do == do && q.State == Waits {
			return q, nil
		}
	}
	return Request{}, ErrNotFound
}

// Countersign does what people have agreed to, with the root's signature. An error with
// roster.ErrNotAgreed while too few have.
func (r *Roster) Countersign(ctx context.Context, q Request, sign func(message []byte) ([]byte, error)) (Request, error) {
	if err := r.Holds(ctx, q.Act, q.Proofs); err != nil {
		return Request{}, err
	}
	message, err := q.Act.Message()
	if err != nil {
		return Request{}, err
	}
	signature, err := sign(message)
	if err != nil {
		return Request{}, fmt.Errorf("sign with the root key: %w", err)
	}
	c, err := r.append(ctx, roster.Change{Proofs: q.Proofs, Root: signature}, q.Act, audit.Actor{})
	if err != nil {
		return Request{}, conflict(err)
	}
	q.State, q.Change = Done, c.Seq
	if err := r.cfg.Store.ReplaceRequest(ctx, q); err != nil && !errors.Is(err, ErrConflict) {
		return Request{}, fmt.Errorf("store the request: %w", err)
	}
	return q, nil
}

func (r *Roster) byRoot(ctx context.Context, act approval.Act, sign func(message []byte) ([]byte, error)) error {
	message, err := act.Message()
	if err != nil {
		return err
	}
	signature, err := sign(message)
	if err != nil {
		return fmt.Errorf("sign with the root key: %w", err)
	}
	_, err = r.append(ctx, roster.Change{Root: signature}, act, audit.Actor{})
	return err
}

// Person tells who somebody of the roster is now, as sessions need it: sessions from
// before from are over. ErrUnauthenticated for somebody who is not let in,
// roster.ErrLocked for everybody while the network is locked.
func (r *Roster) Person(ctx context.Context, id string) (by audit.Actor, from time.Time, err error) {
	s, err := r.State(ctx)
	if err != nil {
		return audit.Actor{}, time.Time{}, err
	}
	p, ok := s.People[id]
	switch {
	case s.Lock != "":
		return audit.Actor{}, time.Time{}, roster.ErrLocked
	case !ok || !s.Present(p):
		return audit.Actor{}, time.Time{}, ErrUnauthenticated
	}
	return actorOf(p), time.Unix(max(p.SessionsFrom, s.SessionsFrom), 0), nil
}

// Standing is which of somebody's sessions count: those that were made since the change
// with which all ended at once, and since the time at which a change counted that had
// waited.
type Standing struct {
	Newest uint64    // the newest change
	Change uint64    // 0 if none ended them at once
	From   time.Time // rounded up to a second; zero if no change that had waited ended them
}

// Standing tells of somebody what Person does, to the change.
func (r *Roster) Standing(ctx context.Context, id string) (Standing, error) {
	if _, _, err := r.Person(ctx, id); err != nil {
		return Standing{}, err
	}
	s, err := r.State(ctx)
	if err != nil {
		return Standing{}, err
	}
	p := s.People[id]
	st := Standing{Newest: s.Seq, Change: max(p.SessionsChange, s.SessionsChange)}
	if p.SessionsFrom > 0 && p.SessionsChange == 0 {
		st.From = time.Unix(p.SessionsFrom, 0).Add(time.Second)
	}
	return st, nil
}

// actorOf is somebody as an actor. Several roles stand in one word.
func actorOf(p roster.Person) audit.Actor {
	roles := make([]string, len(p.Roles))
	for i, role := range p.Roles {
		roles[i] = string(role)
	}
	return audit.Actor{ID: p.ID, Agency: p.Agency, Role: strings.Join(roles, rolesApart)}
}

// rolesApart stands between the roles of an actor who has several: audit.Actor takes
// them apart.
const rolesApart = "+"
