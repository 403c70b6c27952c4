package promise_test

import (
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/pgtest"
)

// twoReplicas is a network of two processes over one database.
func twoReplicas(t *testing.T) *world {
	t.Helper()
	w := newWorldOn(t, memory(t), config.Engines{Database: pgtest.Start(t), Keyring: pgtest.Start(t)}, 2)
	t.Cleanup(w.close)
	return w
}

// turn has the replica with a number be asked from now on.
func (w *world) turn(n int) { w.service = w.all[n%len(w.all)] }

// TestNextRequest: whatever ends what is open ends it with the next request, on the
// replica that was told and on the other one.
func TestNextRequest(t *testing.T) {
	lighten()
	w := twoReplicas(t)
	yes := said{yes: true, contact: true, safe: "yes", circumstance: "free", scope: "all", states: "all"}
	no := yes
	no.scope = "none"
	parts := []string{"document", "pages"}
	share := act{kind: "share", office: "ngo", record: "document", purpose: "protection", parts: parts, days: 30, said: yes, card: "her", code: "right"}
	read := act{kind: "read", who: "ngo1", what: "document"}
	open := act{kind: "open", who: "ngo1", record: "document", purpose: "protection", parts: parts, card: "her", code: "right", device: "own"}
	left, taken := share, open
	left.left, left.days, taken.device = 2, 14, "left"
	opened, byLeft := []act{share, open, read}, []act{left, taken, read}
	given := []act{{kind: "assign", who: "colleague"}, {kind: "read", who: "colleague", what: "document"}}
	for _, one := range []struct {
		name string
		acts []act // the last of which is repeated
		ends act
		want int
	}{
		{"she takes it back", opened, act{kind: "unshare", office: "ngo", record: "document"}, http.StatusNotFound},
		{"she takes everything back", opened, act{kind: "no"}, http.StatusNotFound},
		{"she says no in a screening", opened, act{kind: "screen", said: no}, http.StatusNotFound},
		{"she shares it anew", opened, share, http.StatusForbidden},
		{"her card is paused", opened, act{kind: "card", action: "pause"}, http.StatusForbidden},
		{"her card is withdrawn", opened, act{kind: "card", action: "withdraw"}, http.StatusForbidden},
		{"her card is replaced", opened, act{kind: "card", action: "replace"}, http.StatusForbidden},
		{"the agency is suspended", opened, act{kind: "suspend", office: "ngo"}, http.StatusUnauthorized},
		{"he signs out", opened, act{kind: "leave", who: "ngo1"}, http.StatusUnauthorized},
		{"she takes back what she left", byLeft, act{kind: "unshare", office: "ngo", record: "document"}, http.StatusNotFound},
		{"the card by which she left it is paused", byLeft, act{kind: "card", action: "pause"}, http.StatusForbidden},
		{"the case is taken from her", given, act{kind: "unassign", who: "colleague"}, http.StatusNotFound},
	} {
		for told := range w.all {
			t.Run(one.name, func(t *testing.T) {
				w.t = t
				w.turn(told)
				p := w.begins(origins[0], newTally())
				defer p.ends()
				for i, a := range one.acts {
					p.do(i, a)
				}
				read := one.acts[len(one.acts)-1]
				for n := range w.all {
					w.turn(told + n)
					if got := p.reads(read); !got.done() {
						t.Fatalf("replica %d, before it: %s", told+n, got)
					}
				}
				w.turn(told)
				cookie := w.seats[read.who].browsers[0].cookie
				p.do(len(one.acts), one.ends)
				for n := range w.all {
					w.turn(told + n)
					w.seats[read.who].browsers[0].cookie = cookie // whoever copied it
					if got := p.reads(read); got.status != one.want {
						t.Errorf("told %d, asked replica %d: %s, want %d", told, (told+n)%len(w.all), got, one.want)
					}
				}
				w.turn(told)
			})
		}
	}
}

// TestPromiseOfTwo plays random sequences before two replicas, a request here and one
// there.
func TestPromiseOfTwo(t *testing.T) {
	lighten()
	w := twoReplicas(t)
	seed := number(t, envSeed, rand.Uint64())
	t.Logf("%s=%d", envSeed, seed)
	here := rand.New(rand.NewPCG(seed, 1))
	w.between = func() { w.turn(here.IntN(2)) }
	for n := range max(2, number(t, envCount, short)/20) {
		s := drawn{seed, n}.sequence()
		for _, f := range w.played(s, newTally()) {
			if len(f.rules()) > 0 {
				t.Errorf("%s%s", s, f)
			}
		}
	}
}
