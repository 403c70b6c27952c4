//go:build stretched

package threeways_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/verifier"
)

var (
	seed = flag.Uint64("seed", 1, "make other cases")
	only = flag.Int("case", -1, "run the case with this number alone")
)

// TestCases gives every case to the verifier in Go, to the browser build in
// node, and to the server over HTTP. All that is shown has to be the same in
// all three, byte for byte, and to be right.
func TestCases(t *testing.T) {
	forget := card.Remember()
	defer forget()
	began := time.Now()
	var g *generator
	if !t.Run("make", func(t *testing.T) {
		// Keys, salts and signatures come from the seed too.
		cryptotest.SetGlobalRandom(t, *seed)
		g = newGenerator(newWorld(t, chanceFor(*seed, 4_000_000)), *seed)
	}) {
		return
	}
	g.t = t
	groups := g.groups(*only)
	t.Logf("seed %d: %d packs and %d signed things made in %v", *seed, len(g.packs)+len(g.refused), len(g.things), time.Since(began).Round(time.Millisecond))

	r := &results{t: t, states: map[answer]int{}, families: map[string]int{}}
	node, stations := newBrowser(t), newStations(t, 2)
	waiting := make(chan *group, len(groups)) // node is the slowest, and nobody waits for it
	var browsing sync.WaitGroup
	browsing.Go(func() {
		for group := range waiting {
			r.browsed(group, node)
		}
	})
	quick := func(g *group) bool { return !g.cases[0].whole }
	run := func(of []*group) {
		next := make(chan *group)
		var working sync.WaitGroup
		for _, s := range stations {
			working.Go(func() {
				for group := range next {
					r.inGo(group)
					r.overHTTP(group, s)
					waiting <- group
				}
			})
		}
		for _, group := range of {
			next <- group
		}
		close(next)
		working.Wait()
	}
	run(slices.DeleteFunc(slices.Clone(groups), func(g *group) bool { return !quick(g) }))
	forget() // from here on every code is stretched by whoever opens a card
	run(slices.DeleteFunc(slices.Clone(groups), quick))
	close(waiting)
	browsing.Wait()

	r.print()
	t.Logf("took %v", time.Since(began).Round(time.Second))
	if *only < 0 {
		r.complete()
	}
}

// group is cases of one pack, which is opened once for all of them.
type group struct {
	pack   *pack
	cases  []*oneCase
	native [][]given // by case and step
	online []bool    // by case: the same over HTTP
}

// given is one answer: what is shown, as canonical JSON, and the tries to keep
// where the caller keeps them.
type given struct{ verdict, tries string }

// groups makes the cases, in groups small enough to share out.
func (g *generator) groups(only int) []*group {
	const most = 100
	var all []*group
	open := map[string]*group{}
	for number := range total() {
		if only >= 0 && number != only {
			continue
		}
		c := g.make(number)
		key := fmt.Sprint(c.pack.number, c.whole)
		if open[key] == nil || len(open[key].cases) == most {
			open[key] = &group{pack: c.pack}
			all = append(all, open[key])
		}
		open[key].cases = append(open[key].cases, c)
	}
	return all
}

// open opens the pack of a group as a device does.
func (g *group) open() (*verifier.Pack, error) {
	if g.pack.file == "" {
		return nil, nil
	}
	device, err := verifier.ParseDevice([]byte(g.pack.device))
	if err != nil {
		panic(err) // the generator wrote it
	}
	return verifier.OpenPack([]byte(g.pack.file), device, g.pack.opened)
}

// results collects what all three answered.
type results struct {
	t        *testing.T
	mu       sync.Mutex
	states   map[answer]int
	families map[string]int
	same     int
	beyond   int
	differ   int
}

// wrong reports a case, with what is needed to run it alone.
func (r *results) wrong(c *oneCase, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.differ++
	switch {
	case r.differ <= 20:
		r.t.Errorf("case %d of seed %d (%s; make cases SEED=%d CASE=%d): %s", c.number, *seed, c.family, *seed, c.number, fmt.Sprintf(format, args...))
	case r.differ == 21:
		r.t.Error("and more")
	}
}

// inGo checks a group with package verifier, holds it to what is known, and
// notes what the codes stretch to.
func (r *results) inGo(g *group) {
	pack, refused := g.open()
	for _, c := range g.cases {
		var tries verifier.Tries
		var all []given
		for i := range c.steps {
			s := &c.steps[i]
			now := time.Unix(s.Now, 0).UTC()
			var v verifier.Verdict
			switch {
			case refused != nil:
				v = verifier.NotReadyVerdict(refused)
			case s.Text == nil:
				v = pack.UnreadableVerdict(verifier.ReasonNoCode, now)
			default:
				in := verifier.Presentation{Text: *s.Text, Code: s.Code, Tries: &tries}
				if !c.whole {
					s.Stretched = stretched(pack, in, now)
				}
				v = pack.Verify(in, now)
			}
			shown, err := private.RevealJSON(v.Show())
			if err != nil {
				r.wrong(c, "encode the verdict: %v", err)
			}
			kept, err := json.Marshal(&tries)
			if err != nil {
				r.wrong(c, "encode the tries: %v", err)
			}
			all = append(all, given{canonical(shown), string(kept)})
			if i == len(c.steps)-1 {
				r.judge(c, v)
			}
		}
		g.native = append(g.native, all)
	}
}

// stretched is what the page's own Argon2id would give, if it were asked.
func stretched(pack *verifier.Pack, in verifier.Presentation, now time.Time) string {
	if _, asked := pack.Ask(in, now); asked == nil {
		return ""
	}
	c, err := card.Parse(in.Text)
	code, codeErr := card.ParseCode(*in.Code)
	slow, stretchErr := card.Stretch(c, code)
	if err := errors.Join(err, codeErr, stretchErr); err != nil {
		panic(err) // it was asked for, so that both are there
	}
	return hex.EncodeToString(slow)
}

// judge holds an answer to what the generator knows.
func (r *results) judge(c *oneCase, v verifier.Verdict) {
	got := answer{v.State, v.Reason}
	yes := v.State == verifier.Confirmed || v.State == verifier.Unconfirmed
	switch {
	case c.want == nil && yes:
		r.wrong(c, "something that was changed is %s", v.State)
	case c.want != nil && c.want.reason == anyReason:
		if got.state != c.want.state {
			r.wrong(c, "got %v, want %s", got, c.want.state)
		}
	case c.want != nil && got != *c.want:
		r.wrong(c, "got %v, want %v", got, *c.want)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[got]++
	r.families[c.family]++
}

// overHTTP checks a group with the server.
func (r *results) overHTTP(g *group, s *station) {
	s.pack, s.refused = g.open()
	for i, c := range g.cases {
		answers, err := s.check(c)
		if err != nil {
			r.wrong(c, "%v", err)
		}
		g.online = append(g.online, err == nil)
		for k, got := range answers {
			if c.beyond == "" && got.verdict != g.native[i][k].verdict {
				g.online[i] = false
				r.wrong(c, "step %d:\n  Go    %s\n  HTTP  %s", k, g.native[i][k].verdict, got.verdict)
			}
		}
	}
}

// browsed checks a group with the browser build.
func (r *results) browsed(g *group, node *browser) {
	all, err := node.check(g)
	if err != nil || len(all) != len(g.cases) {
		r.wrong(g.cases[0], "%d answers to %d cases: %v", len(all), len(g.cases), err)
		return
	}
	for i, c := range g.cases {
		same := g.online[i] && len(all[i]) == len(g.native[i])
		for k := range min(len(all[i]), len(g.native[i])) {
			got, want := all[i][k], g.native[i][k]
			if got.tries == "" { // the pack did not open, and there is nothing to keep
				got.tries = want.tries
			}
			if got != want {
				same = false
				r.wrong(c, "step %d:\n  Go    %s %s\n  wasm  %s %s", k, want.verdict, want.tries, got.verdict, got.tries)
			}
		}
		r.mu.Lock()
		switch {
		case same && c.beyond != "":
			r.beyond++
		case same:
			r.same++
		}
		r.mu.Unlock()
	}
}

// canonical writes JSON in one way: RFC 8785, as far as the standard library
// goes. Numbers are those of JavaScript.
func canonical(text []byte) string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return "no JSON: " + err.Error()
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was JSON a moment ago
	}
	return string(b)
}

// print shows how often each state was the answer, and why.
func (r *results) print() {
	var b strings.Builder
	for _, state := range verifier.States {
		count := 0
		var reasons []string
		for _, a := range slices.SortedFunc(maps.Keys(r.states), func(a, b answer) int { return strings.Compare(string(a.reason), string(b.reason)) }) {
			if a.state == state {
				count += r.states[a]
				reasons = append(reasons, fmt.Sprintf("%s %d", map[bool]string{true: "-"}[a.reason == ""]+string(a.reason), r.states[a]))
			}
		}
		fmt.Fprintf(&b, "\n%-15s %6d   %s", state, count, strings.Join(reasons, ", "))
	}
	r.t.Logf("seed %d: %d cases the same in Go, in the browser build and over HTTP; %d more in the first two, which the API's contract does not take; %d problems%s",
		*seed, r.same, r.beyond, r.differ, b.String())
	for _, f := range families {
		r.t.Logf("%-24s %6d", f.name, r.families[f.name])
	}
}

// Words that this test cannot bring about, and why. If one of them comes up all
// the same, the table is wrong.
var (
	neverStates  = map[string]string{"NewerVersion": "there is no newer version than 1"}
	neverReasons = map[string]string{
		"ReasonNoPicture":       "said by whoever reads picture files: internal/picture",
		"ReasonDrawnPage":       "said by whoever reads picture files: internal/picture",
		"ReasonMoreThanOneCode": "said by whoever reads picture files: internal/picture",
	}
)

// complete fails if there were too few cases, or if some state or reason that
// package verifier declares was never the answer.
func (r *results) complete() {
	if r.same < 10_000 {
		r.t.Errorf("%d cases are the same in all three, want 10000", r.same)
	}
	states, reasons := map[string]bool{}, map[string]bool{}
	for a := range r.states {
		states[string(a.state)], reasons[string(a.reason)] = true, true
	}
	for typ, came := range map[string]map[string]bool{"State": states, "Reason": reasons} {
		never := map[string]map[string]string{"State": neverStates, "Reason": neverReasons}[typ]
		declared := constants(r.t, typ)
		if len(declared) < 17 {
			r.t.Fatalf("found %d constants of type %s", len(declared), typ)
		}
		for name, value := range declared {
			why, excused := never[name]
			switch {
			case excused && came[value]:
				r.t.Errorf("%s came up, though %s", name, why)
			case !excused && !came[value]:
				r.t.Errorf("%s was never the answer", name)
			}
			delete(never, name)
		}
		for name := range never {
			r.t.Errorf("there is no %s", name)
		}
	}
}

// constants reads the constants of a type from the source of package verifier.
func constants(t *testing.T, typ string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../verifier/verdict.go", nil, 0)
	must(t, err)
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		of, ok := spec.Type.(*ast.Ident)
		if !ok || of.Name != typ {
			return true
		}
		for i, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			must(t, err)
			found[name.Name] = value
		}
		return true
	})
	return found
}
