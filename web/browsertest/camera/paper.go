package camera

import (
	"math"
	"math/rand/v2"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
)

const (
	symbolMM = 40.0
	moduleMM = symbolMM / symbol.Modules
	marginMM = symbol.QuietZone * moduleMM

	// The paper around the symbol.
	paperLeft, paperRight = -symbolMM/2 - marginMM - 4, symbolMM/2 + marginMM + 38
	paperTop, paperBottom = -symbolMM/2 - marginMM - 4, symbolMM/2 + marginMM + 4

	dotMM = 25.4 / 203

	// raster is how many points of the printed picture there are to a
	// millimetre, three to a thermal dot.
	raster     = 3 / dotMM
	rasterSize = 960 // symbolMM * raster, rounded up
)

// printed is the reflectance of the symbol as it lies on the paper.
type printed struct {
	points []float32
}

// printed prints the modules. A laser printer's dots are too fine to matter; a
// thermal printer has whole dots only.
func (sc *scene) printed(modules *[symbol.Modules][symbol.Modules]bool, r *rand.Rand) *printed {
	dark := func(x, y float64) bool {
		if sc.thermal {
			x, y = (math.Floor(x/dotMM)+0.5)*dotMM, (math.Floor(y/dotMM)+0.5)*dotMM
		}
		i, j := int(x/moduleMM), int(y/moduleMM)
		return x >= 0 && y >= 0 && i < symbol.Modules && j < symbol.Modules && modules[j][i]
	}
	missing := sc.failures(r)
	p := &printed{points: make([]float32, rasterSize*rasterSize)}
	for row := range rasterSize {
		y := (float64(row) + 0.5) / raster
		for column := range rasterSize {
			x := (float64(column) + 0.5) / raster
			inked := dark(x, y)
			if sc.thermal && inked {
				inked = !missing[int(y/dotMM)*dots+int(x/dotMM)]
			}
			if !inked && sc.gain > 0 {
				inked = dark(x-sc.gain, y) || dark(x+sc.gain, y) || dark(x, y-sc.gain) || dark(x, y+sc.gain)
				if inked && sc.thermal {
					inked = !missing[int(y/dotMM)*dots+int(x/dotMM)]
				}
			}
			value := sc.paper
			if inked {
				value = sc.ink
			}
			p.points[row*rasterSize+column] = float32(value)
		}
	}
	for range sc.scratches {
		p.scratch(sc.paper, r)
	}
	if sc.fold {
		p.flake(sc, r)
	}
	return p
}

// dots is how many thermal dots lie across the symbol.
const dots = 321

// failures are the dots that stay white: single ones, and all of a column
// whose heating element is dead.
func (sc *scene) failures(r *rand.Rand) []bool {
	missing := make([]bool, dots*dots)
	if !sc.thermal {
		return missing
	}
	for i := range missing {
		missing[i] = r.Float64() < sc.missingDots
	}
	for range sc.deadColumns {
		at := r.IntN(dots)
		for row := range dots {
			missing[row*dots+at] = true
		}
	}
	return missing
}

// scratch rubs the ink off along a line of about a tenth of a millimetre.
func (p *printed) scratch(paper float64, r *rand.Rand) {
	x, y := between(r, 0, symbolMM), between(r, 0, symbolMM)
	angle, length, half := between(r, 0, 2*math.Pi), between(r, 3, 12), between(r, 0.03, 0.08)
	for t := 0.0; t < length; t += 0.5 / raster {
		p.rub(x+t*math.Cos(angle), y+t*math.Sin(angle), half, paper)
	}
}

// flake lets ink fall off where the paper is folded.
func (p *printed) flake(sc *scene, r *rand.Rand) {
	along := [2]float64{math.Cos(sc.foldDirection), math.Sin(sc.foldDirection)}
	for t := -symbolMM; t < symbolMM; t += 0.1 {
		if r.Float64() < 0.5 {
			continue
		}
		off := sc.foldAt + 0.1*r.NormFloat64()
		p.rub(symbolMM/2+along[0]*t-along[1]*off, symbolMM/2+along[1]*t+along[0]*off, between(r, 0.03, 0.1), sc.paper)
	}
}

// rub makes a round spot of bare paper.
func (p *printed) rub(x, y, half, paper float64) {
	for row := int((y - half) * raster); row <= int((y+half)*raster); row++ {
		for column := int((x - half) * raster); column <= int((x+half)*raster); column++ {
			if row >= 0 && column >= 0 && row < rasterSize && column < rasterSize {
				p.points[row*rasterSize+column] = float32(paper)
			}
		}
	}
}

// at is the reflectance at a place on the paper, in millimetres from the
// symbol's centre; on is false where there is no paper.
func (p *printed) at(sc *scene, x, y float64) (value float64, on bool) {
	if x < paperLeft || x > paperRight || y < paperTop || y > paperBottom || sc.torn(x, y) {
		return 0, false
	}
	column, row := int((x+symbolMM/2)*raster), int((y+symbolMM/2)*raster)
	if x >= -symbolMM/2 && y >= -symbolMM/2 && column < rasterSize && row < rasterSize {
		return float64(p.points[row*rasterSize+column]), true
	}
	if words(x, y) {
		return sc.ink, true
	}
	return sc.paper, true
}

// words stands for the lines of text beside the symbol.
func words(x, y float64) bool {
	if x < symbolMM/2+marginMM+3 || x > paperRight-4 || y < paperTop+6 || y > paperBottom-6 {
		return false
	}
	line := math.Mod(y+100, 6)
	return line < 2 && math.Mod(x*1.7+100, 1) < 0.45 && math.Mod(x+math.Floor(y/6)*3+100, 9) < 7
}

// torn tells whether a place lies in the corner that is missing. The tear runs
// at 45°, raggedly; its depth is measured from the symbol's corner along each
// edge.
func (sc *scene) torn(x, y float64) bool {
	if sc.tornCorner == 0 {
		return false
	}
	sx, sy := -1.0, -1.0
	if sc.tornCorner == 2 || sc.tornCorner == 3 {
		sx = 1
	}
	if sc.tornCorner >= 3 {
		sy = 1
	}
	beyond := (sx*x - symbolMM/2) + (sy*y - symbolMM/2) + sc.tornDepth
	across := sx*x - sy*y
	return beyond > 0.4*math.Sin(2.1*across)+0.25*math.Sin(5.3*across+1)
}
