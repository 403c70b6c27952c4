package httpapi_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/vault"
)

// TestTiming measures hostile cases 45, 54 and 91 with a clock: does the time of an answer
// tell what exists? It runs for as many pairs as SAFECONDUCT_TIMING says (make timing),
// and not otherwise: on a busy machine it would fail, and what it measures is counted by
// TestAnotherIsUnknown, TestLookUpsWorkAlike and TestPapersWorkAlike.
//
// One of each pair is about something that exists, in an order that is drawn. It fails
// where three runs of three have p < 0.01 in the Kolmogorov–Smirnov test.
func TestTiming(t *testing.T) {
	pairs, err := strconv.Atoi(os.Getenv("SAFECONDUCT_TIMING"))
	if err != nil || pairs < 1 {
		t.Skip("make timing")
	}
	w := newWorld(t, func(c *httpapi.Config) { c.Rate, c.StrangerRate, c.Even = 1e9, 1e9, 0 })
	t.Run("ids", func(t *testing.T) { timeIDs(t, w, pairs) })
	t.Run("look-ups", func(t *testing.T) { timeLookUps(t, w, 4*pairs) })
	t.Run("papers", func(t *testing.T) { timePapers(t, w, max(1, pairs/5)) })
}

// timeIDs asks with another agency's ids and with ids that never were, by every operation
// that is answered without a body. The others' work is counted.
func timeIDs(t *testing.T, w *world, pairs int) {
	ids, spare := theirs(t, w)
	me := comer{token: w.admit("Lotus", "NGO", "KHM", "supervisor")}
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	timed := 0
	for _, door := range w.server.Doors() {
		names := parameter.FindAllStringSubmatch(door.Path, -1)
		if door.Public || len(names) == 0 || slices.Contains(told, door.ID) || ids[names[0][1]] == "" {
			continue
		}
		ask := func(id string) answer {
			path := strings.Replace(door.Path, names[0][0], id, 1)
			return w.ask(me, door.Method, strings.NewReplacer("{page}", "1", "{agency}", spare).Replace(path), nil)
		}
		if ask(randomID()).status != http.StatusNotFound {
			continue
		}
		timed++
		alike(t, door.ID, pairs, func(exists bool) func() {
			id := randomID()
			if exists {
				id = ids[names[0][1]]
			}
			return func() { ask(id) }
		})
	}
	if timed < 10 {
		t.Errorf("timed %d operations: the search is broken", timed)
	}
}

// timeLookUps looks up a document that is recorded and one that is not, each time as
// somebody else, for nobody may look up so many.
func timeLookUps(t *testing.T, w *world, pairs int) {
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at, _ := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": "X1111111", "birth_date": "1995"})
	w.into(w.call(ngo, "PUT", at+"/findable", map[string]bool{"findable": true}), 204, nil)
	asked := 0
	alike(t, "look-up", pairs, func(exists bool) func() {
		q := vault.Query{Kind: "PASSPORT", State: "UTO", Number: private.New("X0000000"), BirthDate: private.New("95<<<<")}
		if exists {
			q.Number = private.New("X1111111")
		}
		asked++
		by := audit.Actor{ID: fmt.Sprint("officer-", asked), Agency: fmt.Sprint("agency-", asked/vault.LookUpsPerAgency), Role: "officer"}
		return func() {
			if _, err := w.cfg.Vault.LookUp(t.Context(), by, q); err != nil {
				t.Error(err)
			}
		}
	})
}

// timePapers asks with a number that a card has, and one that nobody has.
func timePapers(t *testing.T, w *world, pairs int) {
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made cardAnswer
	w.into(w.call(ngo, "POST", w.cases(ngo)+"/cards", `{"name":"SITI"}`), 201, &made)
	alike(t, "papers", pairs, func(exists bool) func() {
		number := "000000000097"
		if exists {
			number = strings.ReplaceAll(made.Number, "-", "")
		}
		return func() {
			w.call("", "POST", "/api/v1/papers", map[string]string{"number": number, "code": "0123456789"})
		}
	})
}

// alike measures until a run doesn't tell the two apart, three times at the most.
func alike(t *testing.T, what string, pairs int, prepare func(exists bool) func()) {
	t.Helper()
	var found []float64
	for range 3 {
		var took [2][]float64
		for range pairs {
			first := rand.IntN(2)
			for _, which := range []int{first, 1 - first} {
				ask := prepare(which == 1)
				start := time.Now()
				ask()
				took[which] = append(took[which], time.Since(start).Seconds())
			}
		}
		_, p := kolmogorovSmirnov(took[0], took[1])
		if found = append(found, p); p >= 0.01 {
			t.Logf("%s: p %.3f", what, found)
			return
		}
	}
	t.Errorf("%s: the time tells what exists, p %.2g", what, found)
}

// kolmogorovSmirnov compares two samples: the largest distance of their empirical
// distributions, and how likely one as large is if both are of one distribution, as for
// samples without end.
func kolmogorovSmirnov(a, b []float64) (d, p float64) {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		d = max(d, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	n := math.Sqrt(float64(len(a)) * float64(len(b)) / float64(len(a)+len(b)))
	l := n * d
	if l < 0.2 {
		return d, 1 // the sum below converges slowly there, to what rounds to 1
	}
	for k := 1.0; k <= 100; k++ {
		p += 2 * math.Pow(-1, k-1) * math.Exp(-2*k*k*l*l)
	}
	return d, min(max(p, 0), 1)
}

// TestKolmogorovSmirnov: the statistic by which make timing judges tells samples apart
// that differ, and not those that don't. Nothing here is measured.
func TestKolmogorovSmirnov(t *testing.T) {
	line := func(n int, from, step float64) (all []float64) {
		for i := range n {
			all = append(all, from+step*float64(i))
		}
		return all
	}
	for _, c := range []struct {
		name     string
		a, b     []float64
		d        float64
		from, to float64 // of p
	}{
		{"the same", line(100, 0, 1), line(100, 0, 1), 0, 1, 1},
		{"apart", line(100, 0, 1), line(100, 1000, 1), 1, 0, 1e-30},
		{"between each other", line(100, 0, 2), line(100, 1, 2), 0.01, 0.999, 1},
		{"by a third", line(300, 0, 1), line(300, 100, 1), 1. / 3, 0, 1e-13},
		// With 250 in each p is one in a hundred at 1.628·√(2/250) = 0.1456 (Smirnov's table).
		{"at the edge", line(250, 0, 1), line(250, 36.5, 1), 37. / 250, 0.005, 0.01},
		{"within it", line(250, 0, 1), line(250, 35.5, 1), 36. / 250, 0.01, 0.015},
		{"many alike", []float64{1, 1, 1, 2}, []float64{1, 2, 2, 2}, 0.5, 0.3, 1},
	} {
		d, p := kolmogorovSmirnov(c.a, c.b)
		if math.Abs(d-c.d) > 1e-9 || p < c.from || p > c.to {
			t.Errorf("%s: %.4f with p %.4g, want %.4f with p from %g to %g", c.name, d, p, c.d, c.from, c.to)
		}
	}
}
