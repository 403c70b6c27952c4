package camera

import (
	"image"
	"math"
	"math/rand/v2"
)

// expose collects the light that falls on each pixel, before lens and sensor
// have spoiled it. Without a geometry there is only the background.
func (sc *scene) expose(g *geometry, p *printed, r *rand.Rand) []float32 {
	light := make([]float32, Width*Height)
	wave := between(r, 20, 90)
	c, s := math.Cos(sc.backgroundA), math.Sin(sc.backgroundA)
	for row := range Height {
		for column := range Width {
			grain := 0.15 * math.Sin((float64(column)*c+float64(row)*s)/wave)
			light[row*Width+column] = float32(sc.background * (1 + grain) * sc.lit(float64(column), float64(row)))
		}
	}
	if g == nil {
		return light
	}
	left, top, right, bottom := g.bounds()
	for row := top; row < bottom; row++ {
		for column := left; column < right; column++ {
			i := row*Width + column
			light[i] = float32(sc.pixel(g, p, float64(column), float64(row), float64(light[i])))
		}
	}
	return light
}

// pixel is the light of the rays that make up one pixel.
func (sc *scene) pixel(g *geometry, p *printed, column, row, behind float64) float64 {
	lit, sum := sc.lit(column, row), 0.0
	for i := range supersampling * supersampling {
		px := column + (float64(i%supersampling)+0.5)/supersampling
		py := row + (float64(i/supersampling)+0.5)/supersampling
		x, y, facing, ok := g.paperAt(px, py)
		value, on := 0.0, false
		if ok {
			value, on = p.at(sc, x, y)
		}
		if !on {
			sum += behind
			continue
		}
		sum += value*facing*lit + sc.shine(x, y)
	}
	return sum / (supersampling * supersampling)
}

// shine is the highlight on glossy paper: it adds the lamp's own light.
func (sc *scene) shine(x, y float64) float64 {
	if sc.gloss == 0 {
		return 0
	}
	dx, dy := (x-sc.glossX)/sc.glossSize, (y-sc.glossY)/(1.6*sc.glossSize)
	return sc.gloss * math.Exp(-(dx*dx+dy*dy)/2)
}

// lit is how much light there is at a point of the frame: exposure, a gradient
// across it, the lens's falling off to the corners, and a shadow's soft edge.
func (sc *scene) lit(column, row float64) float64 {
	x, y := column/(Width/2)-1, row/(Height/2)-1
	l := sc.exposure * (1 + sc.gradientX*x + sc.gradientY*y) * (1 - 0.12*(x*x+y*y))
	if sc.shadow > 0 {
		edge := (column-Width/2)*math.Cos(sc.shadowAngle) + (row-Height/2)*math.Sin(sc.shadowAngle) - sc.shadowAt
		l *= 1 - sc.shadow/(1+math.Exp(-edge/6))
	}
	return max(l, 0)
}

// blur is the lens out of focus.
func blur(light []float32, sigma float64) []float32 {
	reach := int(math.Ceil(3 * sigma))
	kernel := make([]float32, 2*reach+1)
	sum := float32(0)
	for i := range kernel {
		d := float64(i - reach)
		kernel[i] = float32(math.Exp(-d * d / (2 * sigma * sigma)))
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	pass := func(from []float32, step, length, lines, stride int) []float32 {
		to := make([]float32, len(from))
		for line := range lines {
			base := line * stride
			for i := range length {
				var v float32
				for k, w := range kernel {
					at := min(max(i+k-reach, 0), length-1)
					v += w * from[base+at*step]
				}
				to[base+i*step] = v
			}
		}
		return to
	}
	return pass(pass(light, 1, Width, Height, Width), Width, Height, Width, 1)
}

// smear is the hand that moves while the shutter is open.
func smear(light []float32, length, angle float64) []float32 {
	if length < 0.2 {
		return light
	}
	const steps = 5
	type shift struct {
		dx, dy int
		w      [4]float32
	}
	shifts := make([]shift, steps)
	for i := range shifts {
		t := length * (float64(i)/(steps-1) - 0.5)
		x, y := t*math.Cos(angle), t*math.Sin(angle)
		fx, fy := x-math.Floor(x), y-math.Floor(y)
		shifts[i] = shift{int(math.Floor(x)), int(math.Floor(y)), [4]float32{
			float32((1 - fx) * (1 - fy)), float32(fx * (1 - fy)), float32((1 - fx) * fy), float32(fx * fy),
		}}
	}
	to := make([]float32, len(light))
	for row := range Height {
		for column := range Width {
			var v float32
			for _, s := range shifts {
				x0, y0 := min(max(column+s.dx, 0), Width-1), min(max(row+s.dy, 0), Height-1)
				x1, y1 := min(x0+1, Width-1), min(y0+1, Height-1)
				v += s.w[0]*light[y0*Width+x0] + s.w[1]*light[y0*Width+x1] + s.w[2]*light[y1*Width+x0] + s.w[3]*light[y1*Width+x1]
			}
			to[row*Width+column] = v / steps
		}
	}
	return to
}

// develop is the sensor and the camera's own processor: noise, the curve of
// sRGB, sharpening, eight bits.
func (sc *scene) develop(light []float32, r *rand.Rand) *image.YCbCr {
	// Drawing a normal number for each of a million pixels would take longer than
	// all the rest; a table, entered anew for every row, is as good.
	noise := make([]float32, 1<<14)
	for i := range noise {
		noise[i] = float32(r.NormFloat64())
	}
	values := make([]float32, len(light))
	for row := range Height {
		at := r.IntN(len(noise))
		for column := range Width {
			i := row*Width + column
			l := float64(light[i])
			l += math.Sqrt(sc.shot*sc.shot*l+sc.readNoise*sc.readNoise) * float64(noise[(at+column*5)&(len(noise)-1)])
			values[i] = curve(l)
		}
	}
	picture := image.NewYCbCr(image.Rect(0, 0, Width, Height), image.YCbCrSubsampleRatio420)
	for row := range Height {
		for column := range Width {
			i := row*Width + column
			v := values[i]
			if row > 0 && column > 0 && row < Height-1 && column < Width-1 {
				around := (values[i-1] + values[i+1] + values[i-Width] + values[i+Width]) / 4
				v += float32(sc.sharpening) * (v - around)
			}
			picture.Y[row*picture.YStride+column] = uint8(min(max(v, 0), 255))
		}
	}
	for i := range picture.Cb {
		picture.Cb[i], picture.Cr[i] = sc.warmBlue, sc.warmRed
	}
	return picture
}

// curve is the transfer function of sRGB, from light to 0…255.
var curveTable = func() (t [4097]float32) {
	for i := range t {
		l := float64(i) / 4096
		if l <= 0.0031308 {
			t[i] = float32(255 * 12.92 * l)
		} else {
			t[i] = float32(255 * (1.055*math.Pow(l, 1/2.4) - 0.055))
		}
	}
	return t
}()

func curve(l float64) float32 { return curveTable[int(4096*min(max(l, 0), 1))] }
