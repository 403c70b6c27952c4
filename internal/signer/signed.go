package signer

import (
	"bytes"
	"context"
	"maps"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// What a Judge remembers of what it has permitted: which acts are used up, and how much
// each agency had signed on each day. The database counts exactly and for all replicas;
// this is where whoever has the database stops.

// SignedName is the file, in the signer's folder, with what was permitted. It is encrypted
// and of few sizes: how much an agency had signed on which day is nobody's to read.
const (
	SignedName  = "signed.sealed"
	signedLabel = stateLabel + "signed/2"
)

// attestationsPerCard is how many attestations a program may have signed for each card
// that its agency may make: what is found and seen on one visit, and written anew.
const attestationsPerCard = 10

// signed is the file.
type signed struct {
	// Name and Desk are the network's own, as the first trust list had them: officers
	// are told to call there, and no roster says it.
	Name string `json:"name"`
	Desk string `json:"desk"`
	// Acts are those that are used up: what was signed under each, until nobody can
	// agree to it any more.
	Acts map[string]used `json:"acts"`
	// Days are what each agency had signed on each day: counted ahead, so that not
	// every signature waits for a disk.
	Days map[string]map[string]tally `json:"days"`

	exact map[string]map[string]tally // as it is
	open  map[string]int              // acts of this life whose signature does not exist yet: how often it is being made
}

// used is an act that is used up.
type used struct {
	Until  int64  `json:"until"`  // Unix seconds
	Digest []byte `json:"digest"` // SHA-256 of what was signed
}

// tally is how much was signed.
type tally struct {
	Cards        int `json:"cards"`
	Attestations int `json:"attestations"`
}

func (t tally) add(u tally) tally {
	return tally{t.Cards + u.Cards, t.Attestations + u.Attestations}
}

// within tells whether none is more than the other.
func (t tally) within(u tally) bool { return t.Cards <= u.Cards && t.Attestations <= u.Attestations }

func readSigned(ctx context.Context, keys keystore.Store, dir string) (signed, error) {
	var s signed
	err := reveal(ctx, keys, dir, SignedName, signedLabel, &s)
	if s.Acts == nil {
		s.Acts = map[string]used{}
	}
	if s.Days == nil {
		s.Days = map[string]map[string]tally{}
	}
	s.exact, s.open = map[string]map[string]tally{}, map[string]int{}
	for agency, days := range s.Days { // what was counted ahead is gone
		s.exact[agency] = maps.Clone(days)
	}
	return s, err
}

// keepSigned writes down what was permitted, without what no rule asks for any more.
func (j *Judge) keepSigned(ctx context.Context, days map[string]map[string]tally, now time.Time) error {
	first := dayOf(now.Add(-network.Probation))
	for _, all := range []map[string]map[string]tally{days, j.signed.exact} {
		for _, of := range all {
			maps.DeleteFunc(of, func(day string, _ tally) bool { return day < first })
		}
	}
	maps.DeleteFunc(j.signed.Acts, func(_ string, u used) bool { return u.Until+int64(day/time.Second) < now.Unix() })
	next := signed{Name: j.signed.Name, Desk: j.signed.Desk, Acts: j.signed.Acts, Days: days}
	if err := conceal(ctx, j.cfg.Keys, j.cfg.Dir, SignedName, signedLabel, next); err != nil {
		return err
	}
	j.signed.Days = days
	return nil
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// count counts what an agency is about to have signed, and refuses what is more than
// all that it may. The caller has the lock.
func (j *Judge) count(ctx context.Context, s roster.State, of roster.Agency, now time.Time, more tally) error {
	if s.Demo {
		return nil // nobody relies on it
	}
	today := dayOf(now)
	days, most := budget(of, now)
	exact := j.signed.exact[of.ID]
	if exact == nil {
		exact = map[string]tally{}
		j.signed.exact[of.ID] = exact
	}
	var before tally
	for i := range days {
		before = before.add(exact[dayOf(now.Add(-time.Duration(i)*day))])
	}
	if !before.add(more).within(most) {
		return refuse("more than the agency may have signed in this time")
	}
	next := exact[today].add(more)
	if !next.within(j.signed.Days[of.ID][today]) {
		ahead := maps.Clone(j.signed.Days)
		ahead[of.ID] = maps.Clone(ahead[of.ID])
		if ahead[of.ID] == nil {
			ahead[of.ID] = map[string]tally{}
		}
		ahead[of.ID][today] = tally{
			Cards:        next.Cards + (most.Cards-before.Cards)/blocks,
			Attestations: next.Attestations + (most.Attestations-before.Attestations)/blocks,
		}
		if err := j.keepSigned(ctx, ahead, now); err != nil {
			return err
		}
	}
	exact[today] = next
	return nil
}

// blocks is in how many parts what is left is written down ahead. A signer that is
// killed has lost one.
const blocks = 16

// budget is how much an agency may have signed in so many days, today among them.
func budget(of roster.Agency, now time.Time) (days int, most tally) {
	days, most.Cards = 1, network.DailyCards
	if since := time.Unix(of.Admitted, 0).UTC().Truncate(day); !of.Founder && now.Before(since.Add(network.Probation)) {
		days, most.Cards = int(network.Probation/day), network.ProbationCards
	}
	for _, q := range of.Quotas {
		if now.Unix() < q.Until {
			most.Cards += q.Cards
		}
	}
	most.Attestations = attestationsPerCard * most.Cards
	return days, most
}

// called sees that a network is called what it was called first.
func (j *Judge) called(ctx context.Context, l verifier.TrustList) error {
	if j.signed.Name == "" && l.Name != "" {
		j.signed.Name, j.signed.Desk = l.Name, l.Desk
		if err := j.keepSigned(ctx, j.signed.Days, j.cfg.Now()); err != nil {
			j.signed.Name = ""
			return err
		}
	}
	if l.Name != j.signed.Name || l.Desk != j.signed.Desk {
		return refuse("the network is called otherwise, or its desk")
	}
	return nil
}

// Close writes down exactly what was counted.
func (j *Judge) Close(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	exact := map[string]map[string]tally{}
	for agency, days := range j.signed.exact {
		exact[agency] = maps.Clone(days)
	}
	if len(exact) == 0 {
		return nil // nothing was counted
	}
	return j.keepSigned(ctx, exact, j.cfg.Now())
}

// use uses an act up: one act, one signature. The caller has the lock.
func (j *Judge) use(ctx context.Context, act approval.Act, m keystore.Message) error {
	before, ok := j.signed.Acts[act.ID]
	switch {
	case ok && !bytes.Equal(before.Digest, m.Digest()):
		return refuse("an act under which something was signed already")
	case ok && j.signed.open[act.ID] == 0:
		return nil // asked again, because the answer was lost
	case !ok:
		j.signed.Acts[act.ID] = used{Until: act.Expires, Digest: m.Digest()}
		if err := j.keepSigned(ctx, j.signed.Days, j.cfg.Now()); err != nil {
			delete(j.signed.Acts, act.ID)
			return err
		}
	}
	j.signed.open[act.ID]++
	t, _ := ctx.Value(takingKey{}).(*taking) // the guard has put it there
	t.done = append(t.done, func(signed bool) { j.settle(act.ID, signed) })
	return nil
}

// settle says what has become of a use: an act under which nothing could be signed is
// not used up.
func (j *Judge) settle(act string, signed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, ok := j.signed.open[act]
	switch {
	case !ok: // another one signed
	case signed:
		delete(j.signed.open, act)
	case n > 1:
		j.signed.open[act]--
	default:
		delete(j.signed.open, act)
		delete(j.signed.Acts, act)
	}
}

// taking is what is to be done when it is known whether something was signed.
type taking struct{ done []func(signed bool) }

type takingKey struct{}

func takes(ctx context.Context) (context.Context, *taking) {
	t := &taking{}
	return context.WithValue(ctx, takingKey{}, t), t
}

func (t *taking) settle(signed bool) {
	for _, f := range t.done {
		f(signed)
	}
}
