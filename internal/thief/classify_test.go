package thief_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// A classifier learns from labelled vectors and returns what scores new ones. All of them
// see columns that were put in order and have mean 0 and variance 1.
type classifier struct {
	name  string
	train func(x [][]float64, y []bool, r *rand.Rand) func(v []float64) float64
}

var classifiers = []classifier{
	{"logistic regression", logistic},
	{"naive Bayes", bayes},
	{"nearest neighbours", nearest},
	{"random forest", forest},
	{"boosted stumps", boosted},
}

// auc is the probability that somebody of the first population scores above one of the
// second (Mann and Whitney), ties being a half.
func auc(scores []float64, y []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	var sum, yes float64
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		rank := float64(i+j+1) / 2
		for ; i < j; i++ {
			if y[order[i]] {
				sum += rank
				yes++
			}
		}
	}
	no := float64(len(y)) - yes
	if yes == 0 || no == 0 {
		return 0.5
	}
	return (sum - yes*(yes+1)/2) / (yes * no)
}

// crossed is the AUC of each classifier over five folds, none of which was seen by what
// judges it.
func crossed(x [][]float64, y []bool, r *rand.Rand) map[string]float64 {
	const folds = 5
	order := r.Perm(len(x))
	sum := map[string]float64{}
	for k := range folds {
		var in, out []int
		for i, u := range order {
			if i%folds == k {
				out = append(out, u)
			} else {
				in = append(in, u)
			}
		}
		tx, ty, vx, vy := scaled(x, y, in, out)
		for _, c := range classifiers {
			score := c.train(tx, ty, r)
			scores := make([]float64, len(vx))
			for i, v := range vx {
				scores[i] = score(v)
			}
			sum[c.name] += auc(scores, vy) / folds
		}
	}
	return sum
}

// scaled puts columns to mean 0 and variance 1, by what is learned from alone.
func scaled(x [][]float64, y []bool, in, out []int) (tx [][]float64, ty []bool, vx [][]float64, vy []bool) {
	d := len(x[0])
	mean, dev := make([]float64, d), make([]float64, d)
	for j := range d {
		for _, i := range in {
			mean[j] += x[i][j] / float64(len(in))
		}
		for _, i := range in {
			dev[j] += (x[i][j] - mean[j]) * (x[i][j] - mean[j]) / float64(len(in))
		}
		dev[j] = math.Sqrt(dev[j])
	}
	put := func(of []int) (px [][]float64, py []bool) {
		for _, i := range of {
			v := make([]float64, d)
			for j := range d {
				if dev[j] > 0 {
					v[j] = max(-6, min(6, (x[i][j]-mean[j])/dev[j]))
				}
			}
			px, py = append(px, v), append(py, y[i])
		}
		return px, py
	}
	tx, ty = put(in)
	vx, vy = put(out)
	return tx, ty, vx, vy
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// logistic goes down the gradient with momentum, held by a small penalty.
func logistic(x [][]float64, y []bool, _ *rand.Rand) func([]float64) float64 {
	d, n := len(x[0]), float64(len(x))
	w, speed, bias := make([]float64, d), make([]float64, d), 0.0
	g := make([]float64, d)
	dot := func(v []float64) (s float64) {
		for j, u := range v {
			s += w[j] * u
		}
		return s + bias
	}
	for range 120 {
		for j := range g {
			g[j] = 0.003 * w[j]
		}
		off := 0.0
		for i, v := range x {
			e := sigmoid(dot(v))
			if y[i] {
				e--
			}
			off += e / n
			for j, u := range v {
				g[j] += e * u / n
			}
		}
		for j := range w {
			speed[j] = 0.85*speed[j] - 0.1*g[j]
			w[j] += speed[j]
		}
		bias -= 0.3 * off
	}
	return dot
}

// bins cuts a column into parts of equal numbers.
const bins = 12

func cuts(x [][]float64) (all [][]float64) {
	for j := range x[0] {
		column := make([]float64, len(x))
		for i := range x {
			column[i] = x[i][j]
		}
		slices.Sort(column)
		var at []float64
		for k := 1; k < bins; k++ {
			if c := column[k*len(column)/bins]; len(at) == 0 || c > at[len(at)-1] {
				at = append(at, c)
			}
		}
		all = append(all, at)
	}
	return all
}

// bin is how many cuts a value has reached.
func bin(at []float64, v float64) (k int) {
	for k < len(at) && v >= at[k] {
		k++
	}
	return k
}

func binned(x [][]float64, at [][]float64) (all [][]uint8) {
	for _, v := range x {
		b := make([]uint8, len(v))
		for j, u := range v {
			b[j] = uint8(bin(at[j], u))
		}
		all = append(all, b)
	}
	return all
}

// bayes counts how often each part of a column is either population's.
func bayes(x [][]float64, y []bool, _ *rand.Rand) func([]float64) float64 {
	at := cuts(x)
	b := binned(x, at)
	odds := make([][bins]float64, len(at))
	for j := range at {
		var count [2][bins]float64
		var total [2]float64
		for i := range b {
			k := 0
			if y[i] {
				k = 1
			}
			count[k][b[i][j]]++
			total[k]++
		}
		for k := range bins {
			odds[j][k] = math.Log((count[1][k]+2)/(total[1]+2*bins)) - math.Log((count[0][k]+2)/(total[0]+2*bins))
		}
	}
	return func(v []float64) (s float64) {
		for j, u := range v {
			s += odds[j][bin(at[j], u)]
		}
		return s
	}
}

// nearest asks the 25 nearest, in the 24 columns that tell most by themselves.
func nearest(x [][]float64, y []bool, _ *rand.Rand) func([]float64) float64 {
	type told struct {
		j    int
		tell float64
	}
	var columns []told
	for j := range x[0] {
		column := make([]float64, len(x))
		for i := range x {
			column[i] = x[i][j]
		}
		columns = append(columns, told{j, math.Abs(auc(column, y) - 0.5)})
	}
	slices.SortFunc(columns, func(a, b told) int { return cmp.Compare(b.tell, a.tell) })
	columns = columns[:min(len(columns), 24)]
	const k = 25
	return func(v []float64) float64 {
		type near struct {
			d   float64
			yes bool
		}
		var best []near
		for i := range x {
			d := 0.0
			for _, c := range columns {
				d += (x[i][c.j] - v[c.j]) * (x[i][c.j] - v[c.j])
			}
			if len(best) == k && d >= best[k-1].d {
				continue
			}
			at, _ := slices.BinarySearchFunc(best, d, func(n near, d float64) int { return cmp.Compare(n.d, d) })
			best = slices.Insert(best, at, near{d, y[i]})
			best = best[:min(len(best), k)]
		}
		s := 0.0
		for _, n := range best {
			if n.yes {
				s += 1 / (1 + n.d)
			} else {
				s -= 1 / (1 + n.d)
			}
		}
		return s
	}
}

// node is one of a tree: a leaf where left is nil.
type node struct {
	j           int
	k           uint8
	left, right *node
	share       float64
}

// forest is 60 trees, each of what was drawn with replacement, each question among some
// columns.
func forest(x [][]float64, y []bool, r *rand.Rand) func([]float64) float64 {
	at := cuts(x)
	b := binned(x, at)
	some := int(math.Sqrt(float64(len(at)))) + 2
	var grow func(of []int, depth int) *node
	grow = func(of []int, depth int) *node {
		yes := 0
		for _, i := range of {
			if y[i] {
				yes++
			}
		}
		n := &node{share: (float64(yes) + 1) / (float64(len(of)) + 2)}
		if depth == 0 || yes == 0 || yes == len(of) || len(of) < 20 {
			return n
		}
		best := 1e-9
		for range some {
			j := r.IntN(len(at))
			var count [2][bins]int
			for _, i := range of {
				k := 0
				if y[i] {
					k = 1
				}
				count[k][b[i][j]]++
			}
			var low [2]int
			for k := range len(at[j]) {
				low[0] += count[0][k]
				low[1] += count[1][k]
				if gain := gini(yes, len(of), low[1], low[0]+low[1]); gain > best {
					best, n.j, n.k = gain, j, uint8(k)
				}
			}
		}
		if best <= 1e-9 {
			return n
		}
		var left, right []int
		for _, i := range of {
			if b[i][n.j] <= n.k {
				left = append(left, i)
			} else {
				right = append(right, i)
			}
		}
		n.left, n.right = grow(left, depth-1), grow(right, depth-1)
		return n
	}
	var trees []*node
	for range 60 {
		drawn := make([]int, len(x))
		for i := range drawn {
			drawn[i] = r.IntN(len(x))
		}
		trees = append(trees, grow(drawn, 8))
	}
	return func(v []float64) (s float64) {
		for _, n := range trees {
			for n.left != nil {
				if bin(at[n.j], v[n.j]) <= int(n.k) {
					n = n.left
				} else {
					n = n.right
				}
			}
			s += n.share
		}
		return s
	}
}

// gini is how much purer two parts are than the whole: yes of all, and yes of all in the
// lower part.
func gini(yes, all, lowYes, low int) float64 {
	if low == 0 || low == all {
		return 0
	}
	impure := func(yes, all int) float64 {
		p := float64(yes) / float64(all)
		return p * (1 - p) * float64(all)
	}
	return (impure(yes, all) - impure(lowYes, low) - impure(yes-lowYes, all-low)) / float64(all)
}

// boosted is 100 questions, each about what those before it got wrong (LogitBoost with
// stumps).
func boosted(x [][]float64, y []bool, _ *rand.Rand) func([]float64) float64 {
	at := cuts(x)
	b := binned(x, at)
	type stump struct {
		j         int
		k         uint8
		low, high float64
	}
	var all []stump
	f := make([]float64, len(x))
	for range 100 {
		weight, wrong := make([]float64, len(x)), make([]float64, len(x))
		var w, e float64
		for i := range x {
			p := sigmoid(f[i])
			weight[i] = max(1e-4, p*(1-p))
			wrong[i] = -p
			if y[i] {
				wrong[i] = 1 - p
			}
			w += weight[i]
			e += wrong[i]
		}
		var best stump
		gain := 0.0
		for j := range at {
			if len(at[j]) == 0 {
				continue
			}
			var sw, se [bins]float64
			for i := range b {
				sw[b[i][j]] += weight[i]
				se[b[i][j]] += wrong[i]
			}
			var lw, le float64
			for k := range len(at[j]) {
				lw += sw[k]
				le += se[k]
				if lw < 1e-3 || w-lw < 1e-3 {
					continue
				}
				if g := le*le/lw + (e-le)*(e-le)/(w-lw); g > gain {
					gain, best = g, stump{j, uint8(k), le / (lw + 1), (e - le) / (w - lw + 1)}
				}
			}
		}
		if gain == 0 {
			break
		}
		all = append(all, best)
		for i := range f {
			if b[i][best.j] <= best.k {
				f[i] += 0.3 * best.low
			} else {
				f[i] += 0.3 * best.high
			}
		}
	}
	return func(v []float64) (s float64) {
		for _, one := range all {
			if bin(at[one.j], v[one.j]) <= int(one.k) {
				s += one.low
			} else {
				s += one.high
			}
		}
		return s
	}
}
