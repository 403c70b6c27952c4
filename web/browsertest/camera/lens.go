package camera

import (
	"errors"
	"math"
	"math/rand/v2"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
)

type vector [3]float64

func (a vector) dot(b vector) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func (a vector) plus(b vector, times float64) vector {
	return vector{a[0] + times*b[0], a[1] + times*b[1], a[2] + times*b[2]}
}

func (a vector) cross(b vector) vector {
	return vector{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

// geometry is where the paper is: a plane through centre, and beyond the fold
// another one. The camera is at the origin and looks along z; x is right and y
// is down, in the frame as on the paper.
type geometry struct {
	centre, right, down vector

	fold         bool
	hinge        vector // a point of the fold
	along, flap  vector // along the fold, and from it into the second half
	at           [2]float64
	alongPaper   [2]float64
	acrossPaper  [2]float64
	normal       vector
	secondNormal vector
}

// place holds the paper so that its symbol has modules of this size and lies
// whole in the frame.
func (sc *scene) place(perModule float64, r *rand.Rand) (*geometry, error) {
	cr, sr := math.Cos(sc.roll), math.Sin(sc.roll)
	cy, sy := math.Cos(sc.yaw), math.Sin(sc.yaw)
	cp, sp := math.Cos(sc.pitch), math.Sin(sc.pitch)
	// Rz(roll) · Ry(yaw) · Rx(pitch), its first two columns.
	g := &geometry{
		right: vector{cr * cy, sr * cy, -sy},
		down:  vector{cr*sy*sp - sr*cp, sr*sy*sp + cr*cp, cy * sp},
	}
	dx, dy := between(r, -0.12, 0.12), between(r, -0.06, 0.06)
	distance := focal * moduleMM / perModule
	for range 12 { // tilt makes the symbol smaller: come as close as it takes
		g.centre = vector{dx * distance, dy * distance, distance}
		g.bend(sc)
		distance *= g.perModule() / perModule
	}
	for _, c := range g.corners() {
		if c[0] < 4 || c[1] < 4 || c[0] > Width-4 || c[1] > Height-4 {
			return nil, errors.New("camera: the symbol does not fit into the frame")
		}
	}
	return g, nil
}

// bend computes what follows from the plane and the fold.
func (g *geometry) bend(sc *scene) {
	g.normal = g.right.cross(g.down)
	if g.fold = sc.fold; !g.fold {
		return
	}
	c, s := math.Cos(sc.foldDirection), math.Sin(sc.foldDirection)
	g.alongPaper, g.acrossPaper = [2]float64{c, s}, [2]float64{-s, c}
	g.at = [2]float64{-s * sc.foldAt, c * sc.foldAt}
	onto := func(p [2]float64) vector { return vector{}.plus(g.right, p[0]).plus(g.down, p[1]) }
	g.hinge = g.centre.plus(onto(g.at), 1)
	g.along = onto(g.alongPaper)
	g.flap = vector{}.plus(onto(g.acrossPaper), math.Cos(sc.foldAngle)).plus(g.normal, math.Sin(sc.foldAngle))
	g.secondNormal = g.along.cross(g.flap)
}

// project is where a place on the paper lies in the frame.
func (g *geometry) project(x, y float64) [2]float64 {
	p := g.centre.plus(g.right, x).plus(g.down, y)
	if g.fold {
		rx, ry := x-g.at[0], y-g.at[1]
		if across := rx*g.acrossPaper[0] + ry*g.acrossPaper[1]; across > 0 {
			p = g.hinge.plus(g.along, rx*g.alongPaper[0]+ry*g.alongPaper[1]).plus(g.flap, across)
		}
	}
	return [2]float64{Width/2 + focal*p[0]/p[2], Height/2 + focal*p[1]/p[2]}
}

// corners are the symbol's, clockwise from its upper left.
func (g *geometry) corners() [4][2]float64 {
	const h = symbolMM / 2
	return [4][2]float64{g.project(-h, -h), g.project(h, -h), g.project(h, h), g.project(-h, h)}
}

// perModule is the size of a module in the frame: see the package comment.
func (g *geometry) perModule() float64 {
	c := g.corners()
	area := 0.0
	for i, p := range c {
		q := c[(i+1)%4]
		area += p[0]*q[1] - q[0]*p[1]
	}
	return math.Sqrt(math.Abs(area)/2) / symbol.Modules
}

// paperAt is the place on the paper that a point of the frame shows, and how
// squarely the camera sees it.
func (g *geometry) paperAt(px, py float64) (x, y, facing float64, ok bool) {
	ray := vector{(px - Width/2) / focal, (py - Height/2) / focal, 1}
	if d := ray.dot(g.normal); d != 0 {
		hit := vector{}.plus(ray, g.centre.dot(g.normal)/d).plus(g.centre, -1)
		x, y = hit.dot(g.right), hit.dot(g.down)
		if !g.fold || (x-g.at[0])*g.acrossPaper[0]+(y-g.at[1])*g.acrossPaper[1] <= 0 {
			return x, y, math.Abs(g.normal[2]), true
		}
	}
	d := ray.dot(g.secondNormal)
	if !g.fold || d == 0 {
		return 0, 0, 0, false
	}
	hit := vector{}.plus(ray, g.hinge.dot(g.secondNormal)/d).plus(g.hinge, -1)
	a, b := hit.dot(g.along), hit.dot(g.flap)
	if b < 0 {
		return 0, 0, 0, false
	}
	return g.at[0] + a*g.alongPaper[0] + b*g.acrossPaper[0], g.at[1] + a*g.alongPaper[1] + b*g.acrossPaper[1],
		math.Abs(g.secondNormal[2]), true
}

// bounds is the part of the frame that the paper can lie in.
func (g *geometry) bounds() (left, top, right, bottom int) {
	left, top = Width, Height
	for _, x := range []float64{paperLeft, paperRight} {
		for _, y := range []float64{paperTop, paperBottom} {
			p := g.project(x, y)
			left, right = min(left, int(p[0])-8), max(right, int(p[0])+8)
			top, bottom = min(top, int(p[1])-8), max(bottom, int(p[1])+8)
		}
	}
	return max(left, 0), max(top, 0), min(right, Width), min(bottom, Height)
}
