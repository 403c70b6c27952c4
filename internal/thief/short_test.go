package thief_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestClassifiers: what can be told they tell, also where it takes two features; of noise,
// and where labels were shuffled, they learn nothing. The numbers are the same in each run.
func TestClassifiers(t *testing.T) {
	draw := func(r *rand.Rand, n int, tell func(v []float64, yes bool)) (x [][]float64, y []bool) {
		for i := range n {
			v := make([]float64, 20)
			for j := range v {
				v[j] = r.NormFloat64()
			}
			yes := i%2 == 0
			tell(v, yes)
			x, y = append(x, v), append(y, yes)
		}
		return x, y
	}
	for name, one := range map[string]struct {
		tell        func(v []float64, yes bool)
		least, most float64 // of the best of them
	}{
		"noise": {func([]float64, bool) {}, 0.4, 0.57},
		"one feature": {func(v []float64, yes bool) {
			if yes {
				v[3] += 4
			}
		}, 0.99, 1},
		"a little of each": {func(v []float64, yes bool) {
			if yes {
				for j := range v {
					v[j] += 0.6
				}
			}
		}, 0.95, 1},
		"a product of two": {func(v []float64, yes bool) {
			if (v[0]*v[1] > 0) != yes {
				v[0] = -v[0]
			}
		}, 0.8, 1},
	} {
		r := rand.New(rand.NewPCG(1, 68)) // each its own: cases come in no order
		x, y := draw(r, 600, one.tell)
		of := crossed(x, y, r)
		if len(of) != len(classifiers) {
			t.Fatalf("%s: %v", name, of)
		}
		best := 0.0
		for _, a := range of {
			best = max(best, a)
		}
		if best < one.least || best > one.most {
			t.Errorf("%s: the best has %.3f, want %.2f to %.2f: %v", name, best, one.least, one.most, of)
		}
	}
	if a := auc([]float64{3, 1, 1, 0}, []bool{true, true, false, false}); a != 0.875 {
		t.Errorf("AUC with a tie: %v", a)
	}
}

// mended are the tables of which no row leads to a row of another: every key is a name of
// its own, and what they say is in boxes. Each table about a person belongs here.
var mended = []string{"heads", "names", "cells", "leaves", "status_entries", "idempotency", "keyring.keys", "paper_tries", "requests"}

// public are tables that say what everybody may know of the network: its id leads from one
// to the other.
var public = []string{"keyring.bond", "keyring_bond", "network", "packs"}

// TestStolen is hostile case 87 in small: it plays few people of each population, and wants the thief to have been at work:
// each act was done, and of each row that is somebody's he knows something. Nothing of a
// table that is mended leads on from there, and its rows keep no order.
func TestStolen(t *testing.T) {
	n := 12
	if !light {
		n = 2 // each code takes its whole Argon2id
	}
	lighten()
	s := play(t, 1, n, 12*time.Hour, config.Engines{})
	th := newThief(s.loot, s.rises)
	owned, seen := 0, map[string]int{}
	for _, one := range s.tables {
		name, leads, lengths := shortName(one.name), map[string]bool{}, map[string]map[int]bool{}
		for _, r := range one.rows {
			if r.person == nobody {
				continue
			}
			owned++
			seen[name]++
			for _, other := range th.reach(r) {
				if other.table != one {
					leads[shortName(other.table.name)] = true
				}
			}
			for i, v := range r.values {
				column := one.columns[i]
				if lengths[column] == nil {
					lengths[column] = map[int]bool{}
				}
				switch v := v.(type) {
				case string:
					lengths[column][len(v)] = true
				case []byte:
					lengths[column][len(v)] = true
				}
			}
		}
		t.Logf("%-20s %4d rows, ordered %v, %d lengths at most, leads to %v", name, seen[name], one.numbers, longest(lengths), slices.Sorted(maps.Keys(leads)))
		for other := range leads {
			if slices.Contains(public, name) && slices.Contains(public, other) {
				delete(leads, other)
			}
		}
		if !slices.Contains(mended, name) && len(leads) > 0 {
			t.Errorf("%s leads to %v, and is in no list", name, slices.Sorted(maps.Keys(leads)))
		}
		if !slices.Contains(mended, name) {
			continue
		}
		if len(leads) > 0 {
			t.Errorf("%s leads to %v", name, slices.Sorted(maps.Keys(leads)))
		}
		if one.numbers {
			t.Errorf("%s has rows in the order in which they came", name)
		}
		if m := longest(lengths); m > 6 {
			t.Errorf("%s has values of %d lengths: %v", name, m, lengths)
		}
	}
	s.keysRenewed(t)
	for _, one := range s.tables {
		if name := shortName(one.name); slices.Contains(mended, name) && seen[name] == 0 {
			t.Errorf("no row of %s is anybody's", name)
		}
	}
	if owned < 20*n {
		t.Errorf("of %d people only %d rows are known", 2*n, owned)
	}
	for _, line := range s.lines {
		if strings.Contains(line.route, "/cases") || strings.Contains(line.route, "/documents") || strings.Contains(line.route, "/attestations") {
			t.Errorf("the service's log says %s", line.what())
		}
	}
	if len(s.lines) < 2*days || len(s.nights) != days-1 {
		t.Errorf("%d lines in the service's log, %d nights", len(s.lines), len(s.nights))
	}
}

// keysRenewed: of everybody who came on a day, the keys look changed in the night. Which
// cases were shared on it is not told by that.
func (s *robbed) keysRenewed(t *testing.T) {
	t.Helper()
	looked := 0
	for _, one := range s.tables {
		if shortName(one.name) != "keyring.keys" {
			continue
		}
		for _, r := range one.rows {
			if r.person == nobody {
				continue
			}
			nights := make([]string, 0, days)
			for _, before := range one.before {
				nights = append(nights, before[r.key()])
			}
			nights = append(nights, r.digest())
			for d := 1; d < days; d++ {
				if s.people[r.person].came[d] && nights[d-1] != "" {
					looked++
					if nights[d-1] == nights[d] {
						t.Errorf("keys of %d (a survivor: %v), who came on day %d, are as they were", r.person, s.people[r.person].survivor, d)
					}
				}
			}
		}
	}
	if looked < len(s.people)/2 {
		t.Errorf("%d keys of %d people were looked at", looked, len(s.people))
	}
}

func longest(lengths map[string]map[int]bool) (n int) {
	for _, l := range lengths {
		n = max(n, len(l))
	}
	return n
}
