package thief_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/recovery"
)

// result is what the thief learns from one kind of row.
type result struct {
	table      string
	units      int
	survivors  int
	rows       [2]int // of either population
	of         map[string]float64
	best, fake float64 // AUC of the best classifier, and of the best with labels that were shuffled
	touched    float64 // of the best with what says when and how often alone
	sized      float64 // of the best with sizes alone
	whole      bool    // everybody has as many of these rows, whichever population's: it stands for a case
	strongest  []string
}

// robbed is a world that was played to its end, and what the thief has of it.
type robbed struct {
	*loot
	*world
	people []*person
	nights []night
	sealed []int64 // sizes of the sealed backups, of which he opens none
	rises  map[string]map[string]float64
	r      *rand.Rand
}

// play plays one world and robs it.
func play(t testing.TB, seed uint64, n int, each time.Duration, on config.Engines) *robbed {
	t.Helper()
	dir := t.TempDir()
	w := newWorld(t, dir, on)
	s := &robbed{world: w, r: rand.New(rand.NewPCG(seed, 10))}
	s.people = w.populate(s.r, n)
	rises := w.measured()
	to := filepath.Join(dir, "recipients")
	var recipients strings.Builder
	for range 2 { // of whom the thief is neither
		_, public, err := backup.NewIdentity()
		w.ok(err)
		fmt.Fprintln(&recipients, public)
	}
	w.ok(os.WriteFile(to, []byte(recipients.String()), 0o600))
	w.play(s.people, each, func(day int) {
		if day == days-1 {
			return
		}
		copied := filepath.Join(dir, fmt.Sprint("night ", day))
		s.nights = append(s.nights, nightOf(w.steal(copied)))
		w.ok(os.RemoveAll(copied)) // thousands of people are a gigabyte each time
		file := filepath.Join(dir, fmt.Sprintf("backup-%d.age", day))
		_, err := recovery.Backup(t.Context(), recovery.BackupOrder{Folder: w.folder(), Recipients: to, To: file, KeyringTo: file + ".keyring", Progress: &bytes.Buffer{}})
		w.ok(err)
		for _, f := range []string{file, file + ".keyring"} {
			info, err := os.Stat(f)
			w.ok(err)
			s.sealed = append(s.sealed, info.Size())
			w.ok(os.Remove(f))
		}
	})
	for _, p := range s.people {
		if len(p.plan) > 0 {
			t.Fatalf("%d (a survivor: %v): %d acts were not done", p.n, p.survivor, len(p.plan))
		}
	}
	s.loot = take(t, w, w.steal(filepath.Join(dir, "stolen")), s.nights)
	s.rises = rises()
	return s
}

// judged asks the classifiers about the rows of each table, and where a card leads.
func (s *robbed) judged() (results []result, found string) {
	th := newThief(s.loot, s.rises)
	for _, one := range s.tables {
		if res, ok := th.judge(one, s.people, s.r); ok {
			results = append(results, res)
		}
	}
	// Of those whose cards were checked last: what is kept for hours is there still.
	checked := slices.Clone(s.people)
	slices.SortFunc(checked, func(a, b *person) int { return b.checked.Compare(a.checked) })
	return results, th.photographed(checked[:min(len(checked), 20)], labels(s.t))
}

// measured has the world measure by how much each column of numbers rises with each kind
// of request; what it returns gives the means.
func (w *world) measured() func() map[string]map[string]float64 {
	sum, count := map[string]map[string]float64{}, map[string]float64{}
	last := map[string][]int64{}
	w.after = func(what string, status int) {
		if status < 300 {
			count[what]++
		}
		w.truth.rises(last, func(table string, column int, by int64) {
			if status >= 300 || by > 1000 {
				return
			}
			c := fmt.Sprintf("%s#%d", table, column)
			if sum[c] == nil {
				sum[c] = map[string]float64{}
			}
			sum[c][what] += float64(by)
		})
	}
	return func() map[string]map[string]float64 {
		for _, of := range sum {
			for what := range of {
				of[what] /= count[what]
			}
		}
		return sum
	}
}

// judge asks the classifiers about the rows of one table.
func (th *thief) judge(one *table, all []*person, r *rand.Rand) (res result, ok bool) {
	res.table = shortName(one.name)
	for _, row := range one.rows {
		if row.person != nobody {
			res.rows[population(all, row.person)]++
		}
	}
	units := th.units(one, r)
	var y []bool
	for _, u := range units {
		s := all[u.person].survivor
		y = append(y, s)
		if s {
			res.survivors++
		}
	}
	res.units = len(units)
	// Everybody has one, and as many as others or one that is written again and again.
	a, b, written := float64(res.rows[0]), float64(res.rows[1]), 0
	for _, u := range units {
		written += u.times
	}
	res.whole = res.units*10 >= len(all)*9 && (math.Abs(a-b) <= (a+b)/20 || written >= 4*len(units))
	if res.rows == [2]int{} {
		return res, false
	}
	if res.survivors < 10 || res.units-res.survivors < 10 {
		return res, true // too few to learn from: how many there are of each is told
	}
	names, x := matrix(units)
	if len(names) == 0 {
		res.best, res.fake, res.touched, res.sized = 0.5, 0.5, 0.5, 0.5
		return res, true
	}
	best := func(x [][]float64, y []bool) (of map[string]float64, top float64) {
		if len(x[0]) == 0 {
			return nil, 0.5
		}
		of = crossed(x, y, r)
		for _, a := range of {
			top = max(top, a)
		}
		return of, top
	}
	res.of, res.best = best(x, y)
	shuffled := slices.Clone(y)
	r.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
	_, res.fake = best(x, shuffled)
	_, res.touched = best(only(names, x, "night", "lowest", "highest", " by "), y)
	_, res.sized = best(only(names, x, "bytes"), y)
	res.strongest = strongest(names, x, y)
	return res, true
}

func population(all []*person, n int) int {
	if all[n].survivor {
		return 1
	}
	return 0
}

// only keeps the columns whose names have one of these words.
func only(names []string, x [][]float64, words ...string) (kept [][]float64) {
	for _, v := range x {
		k := []float64{}
		for j, name := range names {
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) }) {
				k = append(k, v[j])
			}
		}
		kept = append(kept, k)
	}
	return kept
}

// strongest are the features that tell most by themselves.
func strongest(names []string, x [][]float64, y []bool) (said []string) {
	type told struct {
		name string
		auc  float64
	}
	var all []told
	for j, name := range names {
		column := make([]float64, len(x))
		for i := range x {
			column[i] = x[i][j]
		}
		all = append(all, told{name, auc(column, y)})
	}
	slices.SortFunc(all, func(a, b told) int { return cmp.Compare(math.Abs(b.auc-0.5), math.Abs(a.auc-0.5)) })
	for _, one := range all[:min(len(all), 6)] {
		said = append(said, fmt.Sprintf("%.3f %s", one.auc, one.name))
	}
	return said
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// TestThief is hostile case 87, and make thief: it prints what the thief learns of each kind of row. Nothing is
// held to a figure where few people are played.
func TestThief(t *testing.T) {
	people := os.Getenv("SAFECONDUCT_THIEF")
	if people == "" {
		t.Skip("make thief runs this")
	}
	n, err := strconv.Atoi(people)
	if err != nil || n < 20 {
		t.Fatal("SAFECONDUCT_THIEF: how many people of each population, 20 at least")
	}
	seeds := 5
	if s := os.Getenv("SAFECONDUCT_THIEF_SEEDS"); s != "" {
		if seeds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if !light {
		t.Fatal("-tags stretched: thousands of codes in no time")
	}
	lighten()
	each := time.Hour
	if n < 200 {
		each *= 6 // a publication takes as long for a few people
	}
	var mu sync.Mutex
	of := map[string][]result{}
	var cards []string
	slots := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for seed := range uint64(seeds) {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			var on config.Engines
			if os.Getenv("SAFECONDUCT_THIEF_ON") == "postgres" {
				on.Database, on.Keyring = pgtest.Start(t), pgtest.Start(t)
			}
			began := time.Now()
			s := play(t, seed+1, n, each, on)
			played := time.Now()
			results, found := s.judged()
			t.Logf("seed %d: %d people, %d requests in %s, judged in %s; sealed backups of %v bytes",
				seed+1, len(s.people), s.handles, played.Sub(began).Round(time.Second), time.Since(played).Round(time.Second), s.sealed)
			mu.Lock()
			defer mu.Unlock()
			for _, res := range results {
				of[res.table] = append(of[res.table], res)
			}
			cards = append(cards, found)
		})
	}
	all.Wait()
	if len(cards) < seeds {
		t.Fatal("a world was not played to its end")
	}
	fmt.Print(report(of, seeds))
	fmt.Println(cards[0])
}

// rank is what comes first: rows that stand for a case, the worst of them before the others.
func (r result) rank() float64 {
	if r.whole {
		return 2 + r.best
	}
	return r.best
}

// report is a table of what was learned, the worst first.
func report(of map[string][]result, seeds int) string {
	type judged struct {
		result
		fewest int
	}
	var all []judged
	for _, results := range of {
		var best, fake, touched, sized []float64
		j := judged{result: results[0], fewest: len(results)}
		for _, r := range results {
			best, fake, touched, sized = append(best, r.best), append(fake, r.fake), append(touched, r.touched), append(sized, r.sized)
		}
		j.best, j.fake, j.touched, j.sized = median(best), median(fake), median(touched), median(sized)
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b judged) int { return cmp.Compare(b.rank(), a.rank()) })
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %7s %7s %7s %7s   rows of survivors, of others (median of %d seeds)\n", "rows of", "best", "shuffled", "touched", "sizes", seeds)
	for _, j := range all {
		fmt.Fprintf(&b, "%-22s %7.3f %7.3f %7.3f %7.3f   %d, %d%s", j.table, j.best, j.fake, j.touched, j.sized, j.rows[1], j.rows[0], map[bool]string{true: "  one case each"}[j.whole])
		if j.best == 0 {
			b.WriteString("  too few people of one population to learn from")
		}
		b.WriteString("\n")
		if j.best > 0.53 {
			for _, s := range j.strongest {
				fmt.Fprintf(&b, "    %s\n", s)
			}
			for _, c := range classifiers {
				fmt.Fprintf(&b, "    %s %.3f;", c.name, j.of[c.name])
			}
			b.WriteString("\n")
		}
	}
	worst, told := 0.0, 0
	for _, j := range all {
		if worst = max(worst, j.best); j.best > 0.53 || j.best > j.fake+0.02 {
			told++
		}
	}
	fmt.Fprintf(&b, "The best of all says %.3f. %d of %d kinds of rows are over 0.53, or more than 0.02 over shuffled labels.\n", worst, told, len(all))
	return b.String()
}
