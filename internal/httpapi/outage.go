package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/verifier"
)

// While the database is away, cards go on being judged: the pack is in memory,
// and what is needed beside it is remembered here. Who is let in is who was let in
// lately, and wrong codes are counted by this process alone until they can be
// written down (docs/decisions/0029-the-edge.md).

// How long a request waits for the database before it goes on without, and how
// long after somebody was last known to be let in.
const (
	outagePatience = 2 * time.Second
	rememberFor    = 12 * time.Hour
	maxRemembered  = 100_000
)

// isAway reports whether an error says that the database cannot be asked now. ctx
// is the caller's: who has gone away himself says nothing about a database.
func isAway(ctx context.Context, err error) bool {
	return ctx.Err() == nil &&
		(errors.Is(err, trouble.ErrUnavailable) || errors.Is(err, trouble.ErrBusy) || errors.Is(err, context.DeadlineExceeded))
}

// actors remembers who was let in lately, by the digest of the token.
type actors struct {
	mu sync.Mutex
	of map[[sha256.Size]byte]remembered
}

type remembered struct {
	by audit.Actor
	at time.Time
}

func newActors() *actors { return &actors{of: make(map[[sha256.Size]byte]remembered)} }

// remember notes that the database has just let somebody in.
func (a *actors) remember(token string, by audit.Actor, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.of) >= maxRemembered {
		maps.DeleteFunc(a.of, func(_ [sha256.Size]byte, r remembered) bool { return now.Sub(r.at) > rememberFor })
	}
	if len(a.of) < maxRemembered {
		a.of[sha256.Sum256([]byte(token))] = remembered{by, now}
	}
}

// forget is for a token that the database has just refused.
func (a *actors) forget(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, sha256.Sum256([]byte(token)))
}

// recall finds who was let in with a token within the last hours.
func (a *actors) recall(token string, now time.Time) (audit.Actor, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.of[sha256.Sum256([]byte(token))]
	return r.by, ok && now.Sub(r.at) <= rememberFor
}

// authenticate lets somebody in, for an operation that can do without the
// database also by what is remembered.
func (s *Server) authenticate(ctx context.Context, o *operation, token string) (audit.Actor, error) {
	asking := ctx
	if o.outage {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, outagePatience)
		defer cancel()
	}
	leave, err := s.unknownToken(ctx, token)
	if err != nil {
		return audit.Actor{}, err
	}
	by, err := s.cfg.People.Authenticate(asking, token)
	leave()
	switch {
	case err == nil:
		s.actors.remember(token, by, s.cfg.Now())
		return by, nil
	case !isAway(ctx, err):
		s.actors.forget(token)
		return audit.Actor{}, err
	case o.outage:
		if by, ok := s.actors.recall(token, s.cfg.Now()); ok {
			return by, nil
		}
	}
	return audit.Actor{}, err
}

// Tries keeps the wrong codes that each actor has tried, for all processes of
// the service: who asks two of them gets no more tries. The text is this
// room's own, the version the store's; it is nil of an actor without any.
type Tries interface {
	Read(ctx context.Context, actor string) (text string, version []byte, err error)
	// Write replaces what was read, and reports whether it still stood.
	Write(ctx context.Context, actor, text string, version []byte, now time.Time) (ok bool, err error)
}

// counter counts wrong codes in Tries, and alone while those are away. What it
// has counted alone is added to Tries with the actor's next check. An actor's
// checks come one after the other (stretchLimiter).
type counter struct {
	store Tries

	mu    sync.Mutex
	known map[string]verifier.Tries // what was last read or counted, by actor
	owed  map[string]bool           // actors of whom known may hold what Tries lack
}

func newCounter(store Tries) *counter {
	return &counter{store: store, known: make(map[string]verifier.Tries), owed: make(map[string]bool)}
}

// counted is what a check begins with.
type counted struct {
	wrong   verifier.Tries
	version []byte // of Tries
	alone   bool   // Tries are away
}

// read returns the wrong codes of an actor: those in Tries, and what this process
// has counted alone.
func (c *counter) read(ctx context.Context, actor string, now time.Time) (counted, error) {
	asking, cancel := context.WithTimeout(ctx, outagePatience)
	defer cancel()
	text, version, err := c.store.Read(asking, actor)
	if isAway(ctx, err) {
		return counted{wrong: c.knownOf(actor).Merge(verifier.Tries{}, now), alone: true}, nil
	}
	if err != nil {
		return counted{}, err
	}
	var stored verifier.Tries
	if text != "" {
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			return counted{}, fmt.Errorf("read tries: %w", err)
		}
	}
	wrong := stored.Merge(c.owedBy(actor), now)
	c.know(actor, wrong, now, c.owes(actor))
	return counted{wrong: wrong, version: version}, nil
}

// write counts what a check has found, and reports whether the verdict may be
// told: not if another process has counted something in the meantime.
func (c *counter) write(ctx context.Context, actor string, began counted, wrong verifier.Tries, now time.Time) (ok bool, err error) {
	if began.alone {
		c.know(actor, wrong, now, true)
		return true, nil
	}
	text, err := json.Marshal(wrong)
	if err != nil {
		return false, fmt.Errorf("encode tries: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, outagePatience)
	defer cancel()
	ok, err = c.store.Write(asking, actor, string(text), began.version, now)
	away := isAway(ctx, err)
	if away {
		ok, err = true, nil // it may have been written: merged, it is one try still
	}
	if ok {
		c.know(actor, wrong, now, away)
	}
	return ok, err
}

func (c *counter) knownOf(actor string) verifier.Tries {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[actor]
}

func (c *counter) owes(actor string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owed[actor]
}

// owedBy is what Tries may lack of an actor.
func (c *counter) owedBy(actor string) verifier.Tries {
	if !c.owes(actor) {
		return verifier.Tries{}
	}
	return c.knownOf(actor)
}

// maxKnown is for how many actors wrong codes are known before those are
// forgotten that count no longer.
const maxKnown = 1000

func (c *counter) know(actor string, wrong verifier.Tries, now time.Time, owed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(wrong.Hours) == 0 {
		delete(c.known, actor)
		delete(c.owed, actor)
		return
	}
	c.known[actor] = wrong
	if owed {
		c.owed[actor] = true
	} else {
		delete(c.owed, actor)
	}
	if len(c.known) > maxKnown {
		maps.DeleteFunc(c.known, func(_ string, t verifier.Tries) bool {
			return len(t.Merge(verifier.Tries{}, now).Hours) == 0
		})
		maps.DeleteFunc(c.owed, func(actor string, _ bool) bool { _, known := c.known[actor]; return !known })
	}
}
