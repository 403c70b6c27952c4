package promise_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/promise"
)

// unbuilt are the rules that the service does not keep yet: a reading that breaks
// nothing else is no fault. When it is empty, all of them are kept.
var unbuilt []promise.Rule

// How much is played, and which: SAFECONDUCT_PROMISE is how many sequences,
// SAFECONDUCT_PROMISE_SEED the first of the two numbers that they are drawn from, and
// SAFECONDUCT_PROMISE_ONE the second, to play one alone.
const (
	envCount = "SAFECONDUCT_PROMISE"
	envSeed  = "SAFECONDUCT_PROMISE_SEED"
	envOne   = "SAFECONDUCT_PROMISE_ONE"
	// envStrict has every rule count, as if all of them were kept.
	envStrict = "SAFECONDUCT_PROMISE_STRICT"
)

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	if os.Getenv(env) == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(os.Getenv(env), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return n
}

// TestPromise plays random sequences of what people do to a case before a real service:
// its store, its keys, its cards and its HTTP face, and at each reading asks the model.
// Whatever the two do not agree on is shown with the shortest sequence that comes to it.
//
// It can fail: on the code of before it found thirteen rules broken, which are those that
// unbuilt began with. Decision 0060 has the sequences.
func TestPromise(t *testing.T) {
	count := number(t, envCount, short)
	seed := number(t, envSeed, uint64(time.Now().UnixNano()))
	first := number(t, envOne, 0)
	if os.Getenv(envOne) != "" {
		count = 1
	}
	lighten()
	var next atomic.Uint64
	all, worst := newTally(), worst{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), int(count)) {
		wg.Go(func() {
			w := newWorld(t, memory(t))
			mine := newTally()
			for n := next.Add(1) - 1; n < count; n = next.Add(1) - 1 {
				if w.floor.Sub(beginning) > 60*24*time.Hour || w.cases > 1000 {
					w.close()
					w = newWorld(t, memory(t))
				}
				// Every other one is the same each time.
				d := drawn{(n + first) % 2 * seed, n + first}
				for _, f := range w.played(d.sequence(), mine) {
					mu.Lock()
					worst.keep(d, f)
					mu.Unlock()
				}
			}
			w.close()
			mu.Lock()
			all.add(mine)
			mu.Unlock()
		})
	}
	wg.Wait()
	t.Logf("%d sequences, seed %d\n%s", count, seed, all)
	for _, r := range slices.Sorted(maps.Keys(worst)) {
		w := newWorld(t, memory(t))
		s, f := w.shrunk(r, worst[r])
		t.Errorf("%s=%d %s=%d: %s\n%s%s", envSeed, seed, envOne, worst[r].n, r, s, f)
		w.close()
	}
	if count >= 2000 && !t.Failed() { // of fewer, chance might leave one out
		all.enough(t)
	}
}

// drawn says which sequence it is.
type drawn struct{ seed, n uint64 }

func (d drawn) sequence() sequence {
	return newSequence(rand.New(rand.NewPCG(d.seed, d.n)))
}

// counts tells whether a rule is one that the service keeps already.
func counts(r promise.Rule) bool {
	return os.Getenv(envStrict) != "" || !slices.Contains(unbuilt, r)
}

// refused stands for a rule, where something is refused that no rule forbids.
const refused promise.Rule = "what no rule forbids is allowed"

func (f fault) rules() []promise.Rule {
	if !f.allowed {
		return []promise.Rule{refused}
	}
	return slices.DeleteFunc(slices.Clone(f.broken), func(r promise.Rule) bool { return !counts(r) })
}

// worst keeps for each rule the plainest fault that breaks it.
type worst map[promise.Rule]broken

type broken struct {
	drawn
	fault
}

func (w worst) keep(d drawn, f fault) {
	for _, r := range f.rules() {
		if was, ok := w[r]; !ok || f.plainer(was.fault) {
			w[r] = broken{d, f}
		}
	}
}

// plainer is whether a fault breaks fewer rules, or as many sooner.
func (f fault) plainer(than fault) bool {
	return cmp.Or(cmp.Compare(len(f.broken), len(than.broken)), cmp.Compare(f.act, than.act)) < 0
}

// shrunk leaves out acts for as long as the rule is broken, and no more of them.
func (w *world) shrunk(r promise.Rule, b broken) (sequence, fault) {
	w.t.Helper()
	s, kept := b.sequence(), b.fault
	s.acts = s.acts[:kept.act+1]
	for i := len(s.acts) - 1; i >= 0; i-- {
		less := sequence{s.from, slices.Delete(slices.Clone(s.acts), i, i+1)}
		for _, f := range w.played(less, newTally()) {
			if slices.Contains(f.rules(), r) && len(f.broken) <= len(kept.broken) {
				s, kept = less, f
				s.acts = s.acts[:f.act+1]
				i = min(i, len(s.acts))
				break
			}
		}
	}
	return s, kept
}

// memory is a folder for one world, in memory where there is such a thing: what is tried
// here is not how a disk keeps it.
func memory(t *testing.T) string {
	t.Helper()
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "promise-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Clean(dir)
}

// tally counts what came of it.
type tally struct {
	acts    map[string]int
	allowed map[string]int
	kept    map[string]int       // readings that were refused
	only    map[promise.Rule]int // what this rule alone stood in the way of
}

func newTally() *tally {
	return &tally{map[string]int{}, map[string]int{}, map[string]int{}, map[promise.Rule]int{}}
}

func (t *tally) note(agency string, allowed bool, broken []promise.Rule) {
	if allowed {
		t.allowed[agency]++
	} else {
		t.kept[agency]++
	}
	t.alone(broken)
}

// alone notes what stood in the way of something, if it was one rule.
func (t *tally) alone(broken []promise.Rule) {
	if len(broken) == 1 {
		t.only[broken[0]]++
	}
}

// refused is that somebody may not do something, and why.
func (t *tally) refused(a act, got answer) {
	var p struct{ Code string }
	_ = json.Unmarshal(got.body, &p)
	t.acts[a.kind+": "+p.Code]++
}

func (t *tally) add(o *tally) {
	addTo(t.acts, o.acts)
	addTo(t.allowed, o.allowed)
	addTo(t.kept, o.kept)
	addTo(t.only, o.only)
}

func addTo[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

func (t *tally) String() string {
	var b strings.Builder
	for _, one := range cast {
		fmt.Fprintf(&b, "%-12s %6d readings allowed, %6d refused\n", one.name, t.allowed[one.name], t.kept[one.name])
	}
	for _, k := range slices.Sorted(maps.Keys(t.acts)) {
		fmt.Fprintf(&b, "%6d  %s\n", t.acts[k], k)
	}
	b.WriteString("what one rule alone stood in the way of:\n")
	for _, r := range promise.Rules {
		fmt.Fprintf(&b, "%6d  %s\n", t.only[r], r)
	}
	return b.String()
}

// enough wants everybody to have read something, and each rule to have been all that
// stood in the way of somebody: without it there, a fault would have been found.
func (t *tally) enough(tt *testing.T) {
	tt.Helper()
	for _, one := range cast {
		if t.allowed[one.name] == 0 || t.kept[one.name] == 0 {
			tt.Errorf("the %s: %d allowed, %d refused", one.name, t.allowed[one.name], t.kept[one.name])
		}
	}
	for _, r := range promise.Rules {
		if t.only[r] == 0 {
			tt.Errorf("nobody was kept out by this alone: %s", r)
		}
	}
}
