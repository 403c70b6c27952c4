package thief_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
)

// What keeps the thief's reach small enough to be computed: a value in more rows than
// that is a word and leads nowhere, and from one row he goes so far.
const (
	mostAlike = 250
	mostSteps = 3
	mostRows  = 400
)

// unit is one thing that may be about a person: a row, and all that it leads to.
type unit struct {
	person   int
	times    int // how often its row was written
	features map[string]float64
}

// thief knows the schema as any table of values.
type thief struct {
	*loot
	rows   map[string][]*row // by token
	words  map[*table][]map[string]bool
	orders map[*table][]int // columns that order a table
	lines  []line           // that change something
	told   map[string]map[string]float64
}

// newThief reads the loot. rises tells by how much the numbers in a column go up with each
// kind of request: he has the program, and measures that himself.
func newThief(l *loot, rises map[string]map[string]float64) *thief {
	th := &thief{loot: l, rows: map[string][]*row{}, words: map[*table][]map[string]bool{}, orders: map[*table][]int{}, told: rises}
	for _, one := range l.tables {
		for _, r := range one.rows {
			for _, token := range r.tokens {
				th.rows[token] = append(th.rows[token], r)
			}
		}
		th.words[one] = wordsOf(one)
		for i := range one.columns {
			if orders(one, i) {
				th.orders[one] = append(th.orders[one], i)
			}
		}
	}
	for _, line := range l.lines {
		if line.status < 300 {
			th.lines = append(th.lines, line)
		}
	}
	return th
}

// word is a value as a word: what it is where there are few of them, how long it is, how
// it begins.
func word(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case int64:
		return fmt.Sprint(v)
	case string:
		if len(v) > 40 {
			return fmt.Sprintf("%.40s", v)
		}
		return v
	case []byte:
		if len(v) > 16 {
			return fmt.Sprintf("%x", v[:4])
		}
		return fmt.Sprintf("%x", v)
	default:
		return fmt.Sprint(v)
	}
}

// wordsOf are the values of each column that stand in many rows.
func wordsOf(one *table) (words []map[string]bool) {
	for i := range one.columns {
		count := map[string]int{}
		for _, r := range one.rows {
			count[word(r.values[i])]++
		}
		var frequent []string
		for w, n := range count {
			if n > len(one.rows)/50 && n > 10 || len(count) < 8 {
				frequent = append(frequent, w)
			}
		}
		sort.Slice(frequent, func(a, b int) bool {
			if count[frequent[a]] != count[frequent[b]] {
				return count[frequent[a]] > count[frequent[b]]
			}
			return frequent[a] < frequent[b]
		})
		set := map[string]bool{}
		for _, w := range frequent[:min(len(frequent), 24)] {
			set[w] = true
		}
		words = append(words, set)
	}
	return words
}

// orders tells whether a column puts rows in an order: numbers, most of them different.
func orders(one *table, i int) bool {
	seen, numbers := map[int64]bool{}, 0
	for _, r := range one.rows {
		if n, ok := r.values[i].(int64); ok {
			seen[n] = true
			numbers++
		}
	}
	return numbers > 30 && numbers == len(one.rows) && len(seen)*10 > numbers*9
}

// units are one row of each person in a table, each with its features: the one that was
// written most often, which of several such is chance.
func (th *thief) units(one *table, r *rand.Rand) (all []unit) {
	of := map[int][]*row{}
	for _, row := range one.rows {
		if row.person != nobody {
			of[row.person] = append(of[row.person], row)
		}
	}
	people := make([]int, 0, len(of))
	for p := range of {
		people = append(people, p)
	}
	slices.Sort(people)
	places := th.places(one)
	for _, p := range people {
		most := 0
		for _, row := range of[p] {
			most = max(most, row.times)
		}
		rows := slices.DeleteFunc(of[p], func(row *row) bool { return row.times < most })
		row := rows[r.IntN(len(rows))]
		all = append(all, unit{p, row.times, th.features(row, places)})
	}
	return all
}

// reach are the rows that a row leads to.
func (th *thief) reach(from *row) (all []*row) {
	seen := map[*row]bool{from: true}
	edge := []*row{from}
	for step := 0; step < mostSteps && len(edge) > 0; step++ {
		var next []*row
		for _, r := range edge {
			for _, token := range r.tokens {
				alike := th.rows[token]
				if len(alike) > mostAlike {
					continue
				}
				for _, other := range alike {
					if !seen[other] && len(all) < mostRows {
						seen[other] = true
						all, next = append(all, other), append(next, other)
					}
				}
			}
		}
		edge = next
	}
	return all
}

// features of one row: what it says, what it leads to, who stands beside it in each order,
// and what it was in the nights before.
func (th *thief) features(r *row, places map[*row][]neighbour) map[string]float64 {
	f := map[string]float64{}
	th.says(f, "", r)
	for _, other := range th.reach(r) {
		th.says(f, "→ ", other)
		f["→ rows of "+shortName(other.table.name)]++
		th.nights(f, "→ ", other)
	}
	th.nights(f, "", r)
	for _, near := range places[r] {
		if near.row != nil {
			th.says(f, near.how+" ", near.row)
		} else {
			f[near.how]++
		}
	}
	return f
}

func (th *thief) says(f map[string]float64, how string, r *row) {
	words := th.words[r.table]
	name := how + shortName(r.table.name) + "."
	for i, v := range r.values {
		at := name + r.table.columns[i]
		if w := word(v); words[i][w] {
			f[at+"="+w]++
		}
		var size int
		switch v := v.(type) {
		case int64:
			top := at + " highest"
			if old, ok := f[top]; !ok || float64(v) > old {
				f[top] = float64(v)
			}
			low := at + " lowest"
			if old, ok := f[low]; !ok || float64(v) < old {
				f[low] = float64(v)
			}
			continue
		case string:
			size = len(v)
			// An age file says for how many it is sealed.
			if n := strings.Count(v, "\n-> "); n > 0 {
				f[at+" stanzas"] += float64(n)
			}
		case []byte:
			size = len(v)
			if n := strings.Count(string(v), "\n-> "); n > 0 {
				f[at+" stanzas"] += float64(n)
			}
		default:
			continue
		}
		f[at+" bytes"] += float64(size)
		f[fmt.Sprintf("%s bytes≈2^%d", at, int(math.Round(2*math.Log2(float64(size+1))))/2)]++
	}
}

// nights is whether a row was there in the nights before, and said the same.
func (th *thief) nights(f map[string]float64, how string, r *row) {
	if len(r.table.before) == 0 {
		return
	}
	key, now := r.key(), r.digest()
	name := how + shortName(r.table.name)
	for i := len(r.table.before) - 1; i >= 0; i-- {
		was, there := r.table.before[i][key]
		if !there {
			f[fmt.Sprintf("%s new after night %d", name, i+1)]++
			break
		}
		if was != now {
			f[fmt.Sprintf("%s changed after night %d", name, i+1)]++
		}
		now = was
	}
}

// neighbour is a row that stands beside another in an order, or what the service's log
// says of that place.
type neighbour struct {
	how string
	row *row
}

// places are the neighbours of each row of a table: by its number, by each column that
// orders it, and in the service's log where a column counts what is done.
func (th *thief) places(one *table) map[*row][]neighbour {
	near := map[*row][]neighbour{}
	beside := func(how string, sorted []*row) {
		for i, r := range sorted {
			if i > 0 {
				near[r] = append(near[r], neighbour{"before by " + how, sorted[i-1]})
			}
			if i+1 < len(sorted) {
				near[r] = append(near[r], neighbour{"after by " + how, sorted[i+1]})
			}
		}
	}
	if one.numbers {
		beside("row", one.rows)
	}
	for _, c := range th.orders[one] {
		sorted := slices.Clone(one.rows)
		slices.SortStableFunc(sorted, func(a, b *row) int { return int(max(-1, min(1, a.values[c].(int64)-b.values[c].(int64)))) })
		beside(one.columns[c], sorted)
		column := fmt.Sprintf("%s#%d", one.name, c)
		rises := th.told[column]
		if len(rises) == 0 {
			continue
		}
		// Numbers that count what is done, against the lines of what was done.
		at, i := 0.0, 0
		after := func(k int) float64 {
			if l := th.lines[k]; l.numbers != nil {
				return l.numbers[column]
			}
			return at + rises[th.lines[k].what()]
		}
		for _, r := range sorted {
			n := float64(r.values[c].(int64))
			for i < len(th.lines) && after(i) < n-0.5 {
				at = after(i)
				i++
			}
			for k := max(0, i-1); k < min(len(th.lines), i+2); k++ {
				near[r] = append(near[r], neighbour{fmt.Sprintf("the log where %s.%s is: %s", shortName(one.name), one.columns[c], th.lines[k].what()), nil})
			}
		}
	}
	return near
}

// matrix is the units of one table with the features that enough of them have.
func matrix(all []unit) (names []string, x [][]float64) {
	count := map[string]int{}
	for _, u := range all {
		for f := range u.features {
			count[f]++
		}
	}
	for f, n := range count {
		if n*200 >= len(all) { // half a percent
			names = append(names, f)
		}
	}
	slices.Sort(names)
	// Of those that are the same for everybody nothing is learned.
	kept := names[:0]
	for _, f := range names {
		first, differs := all[0].features[f], false
		for _, u := range all {
			if u.features[f] != first {
				differs = true
				break
			}
		}
		if differs {
			kept = append(kept, f)
		}
	}
	names = kept
	for _, u := range all {
		v := make([]float64, len(names))
		for i, f := range names {
			v[i] = u.features[f]
		}
		x = append(x, v)
	}
	return names, x
}
