package camera

import (
	"math"
	"math/rand/v2"
)

// scene is everything about one frame that chance decides. Lengths on the
// paper are in millimetres from the symbol's centre, lengths in the frame in
// pixels, light is linear and 1 is the sensor's white.
type scene struct {
	class Class
	marks []string

	// How the paper is held.
	roll, yaw, pitch float64 // radians

	// The printer and what happened to the paper.
	thermal        bool
	gain           float64 // by how much ink spreads beyond its edge
	ink, paper     float64 // reflectance
	missingDots    float64 // share of dots that were not printed
	deadColumns    int     // heating elements that no longer heat
	scratches      int
	fold           bool
	foldAt         float64 // distance of the fold from the symbol's centre
	foldDirection  float64 // radians
	foldAngle      float64 // radians between the halves
	tornCorner     int     // 0 none, else 1…4 clockwise from the upper left
	tornDepth      float64 // how far into the symbol's margin or the symbol
	glossX, glossY float64
	glossSize      float64
	gloss          float64 // light that the highlight adds

	// Light and sensor.
	exposure                float64
	gradientX, gradientY    float64 // relative change over half a frame
	shadow                  float64 // share of light that a shadow takes
	shadowAt, shadowAngle   float64
	defocus                 float64 // σ of the blur
	motion                  float64 // length of the smear
	motionAngle             float64
	shot, readNoise         float64
	sharpening              float64
	quality                 int
	warmBlue, warmRed       uint8
	backgroundA, background float64
}

func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

func degrees(d float64) float64 { return d * math.Pi / 180 }

func (sc *scene) mark(m string) { sc.marks = append(sc.marks, m) }

// newScene draws the conditions of a class. The ranges are this package's
// definition of typical and worn; docs in README.md repeat them.
func newScene(class Class, r *rand.Rand) *scene {
	sc := &scene{class: class, paper: 0.85, ink: 0.05}
	sc.background, sc.backgroundA = between(r, 0.08, 0.5), between(r, 0, math.Pi)
	sc.warmBlue, sc.warmRed = uint8(128-r.IntN(12)), uint8(128+r.IntN(8)) //nolint:gosec // small numbers
	sc.exposure = between(r, 0.75, 1.05)
	sc.shadowAngle, sc.motionAngle = between(r, 0, 2*math.Pi), between(r, 0, math.Pi)
	sc.sharpening = between(r, 0, 0.5)
	if class == Worn {
		sc.worn(r)
	} else {
		sc.typical(r)
	}
	if sc.thermal {
		sc.mark("thermal")
	}
	return sc
}

func (sc *scene) typical(r *rand.Rand) {
	tilt := degrees(20)
	sc.roll, sc.yaw, sc.pitch = between(r, -degrees(30), degrees(30)), between(r, -tilt, tilt), between(r, -tilt, tilt)
	sc.gradientX, sc.gradientY = between(r, -0.2, 0.2), between(r, -0.2, 0.2)
	sc.defocus, sc.motion = between(r, 0.4, 0.9), between(r, 0, 1.5)
	sc.shot, sc.readNoise = 1/between(r, 35, 60), 0.004
	sc.quality = 70 + r.IntN(21)
	if r.Float64() < 0.5 {
		sc.printThermal(r, 0.002, 0)
	} else {
		sc.gain = between(r, 0, 0.03)
	}
	if r.Float64() < 0.2 {
		sc.crease(r, degrees(6))
	}
}

func (sc *scene) worn(r *rand.Rand) {
	tilt := degrees(28)
	sc.roll, sc.yaw, sc.pitch = between(r, -math.Pi, math.Pi), between(r, -tilt, tilt), between(r, -tilt, tilt)
	sc.gradientX, sc.gradientY = between(r, -0.35, 0.35), between(r, -0.35, 0.35)
	sc.defocus, sc.motion = between(r, 0.5, 1.0), between(r, 0, 2)
	sc.shot, sc.readNoise = 1/between(r, 20, 40), 0.008
	sc.exposure *= between(r, 0.5, 1)
	sc.quality = 55 + r.IntN(26)
	damages := []func(){
		func() { sc.crease(r, degrees(12)) },
		func() { sc.highlight(r) },
		func() { sc.tear(r) },
		func() { sc.printThermal(r, 0.01, 1+r.IntN(2)); sc.fade(r) },
		func() { sc.scratches = 4 + r.IntN(7); sc.mark("scratched") },
		func() { sc.shadow, sc.shadowAt = between(r, 0.3, 0.6), between(r, -60, 60); sc.mark("shadow") },
	}
	for _, i := range r.Perm(len(damages))[:2] {
		damages[i]()
	}
	if !sc.thermal {
		sc.gain = between(r, 0, 0.04)
	}
}

// printThermal prints with 8 dots to the millimetre: a module is 4 or 5 dots.
func (sc *scene) printThermal(r *rand.Rand, missing float64, dead int) {
	sc.thermal, sc.missingDots, sc.deadColumns = true, between(r, 0, missing), dead
	sc.gain, sc.ink = between(r, 0.01, 0.06), between(r, 0.08, 0.14)
}

// fade is what light and warmth do to thermal paper.
func (sc *scene) fade(r *rand.Rand) {
	sc.ink, sc.paper = between(r, 0.15, 0.32), between(r, 0.7, 0.8)
	sc.mark("faded")
}

func (sc *scene) crease(r *rand.Rand, most float64) {
	sc.fold, sc.foldAt, sc.foldDirection = true, between(r, -15, 15), float64(r.IntN(2))*math.Pi/2+between(r, -0.1, 0.1)
	sc.foldAngle = between(r, -most, most)
	sc.mark("folded")
}

func (sc *scene) highlight(r *rand.Rand) {
	sc.glossX, sc.glossY, sc.glossSize = between(r, -20, 20), between(r, -20, 20), between(r, 2.5, 5)
	sc.gloss = between(r, 0.4, 1.2)
	sc.mark("glossy")
}

// tear takes a corner away. At the corner without a finder pattern it reaches
// into the symbol; a tear through a finder pattern leaves nothing that any
// reader finds, so at the other three it ends in the margin.
func (sc *scene) tear(r *rand.Rand) {
	sc.tornCorner = 1 + r.IntN(4)
	sc.tornDepth = between(r, -4, 0)
	if sc.tornCorner == 3 {
		sc.tornDepth = between(r, 0, 9)
	}
	sc.mark("torn")
}
