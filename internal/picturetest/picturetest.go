// Package picturetest draws what people photograph, scan and send: made-up cards
// and what happens to them on the way. The same call draws the same pictures, so
// that every reader can be asked about them. Reading them is left to the tests.
package picturetest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"math"
	"math/rand/v2"

	qrcode "github.com/skip2/go-qrcode"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
)

// Address is what the other symbol says, where there is one beside a card.
const Address = "https://example.org/not-a-card"

// A Picture is one of them. Text is what a reader has to find: a card's digits,
// Address, or nothing where two cards leave open which was meant.
type Picture struct {
	Name    string
	Text    string
	Several bool
	Draw    func() image.Image
}

// Digits are those of a card that does not exist; the same n gives the same.
func Digits(n uint64) string {
	r := rand.New(rand.NewPCG(n, 31)) //nolint:gosec // the same n gives the same
	b := make([]byte, symbol.Digits)
	for i := range b {
		b[i] = '0' + byte(r.IntN(10)) //nolint:gosec // below ten
	}
	return string(b)
}

// All yields every picture: 3 cards, 71 pictures of each and more.
func All() iter.Seq[Picture] {
	return func(yield func(Picture) bool) {
		for n := range uint64(3) {
			for _, p := range ofCard(n) {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// ofCard lists the pictures of one card.
func ofCard(n uint64) []Picture {
	digits := Digits(n)
	paper := mustSymbol(digits)
	var all []Picture
	add := func(name string, draw func(r *rand.Rand) image.Image) {
		seed := uint64(len(all))
		all = append(all, Picture{Name: fmt.Sprintf("card %d, %s", n, name), Text: digits, Draw: func() image.Image {
			return draw(rand.New(rand.NewPCG(n, seed))) //nolint:gosec // the same pictures each time
		}})
	}

	// A file of the symbol as a browser or printer draws it: 45 mm.
	for _, dpi := range []float64{96, 120, 150, 203, 300} {
		add(fmt.Sprintf("SVG at %g dpi", dpi), func(*rand.Rand) image.Image {
			return view{scale: dpi * sideMM / 25.4 / side}.draw(paper)
		})
		add(fmt.Sprintf("SVG at %g dpi, without smooth edges", dpi), func(*rand.Rand) image.Image {
			return view{scale: dpi * sideMM / 25.4 / side, crisp: true}.draw(paper)
		})
	}
	for _, scale := range []float64{2, 3, 4, 8} {
		add(fmt.Sprintf("file, %g pixels to a module", scale), func(*rand.Rand) image.Image {
			return view{scale: scale, crisp: true}.draw(paper)
		})
		add(fmt.Sprintf("light on dark, %g pixels to a module", scale), func(*rand.Rand) image.Image {
			return view{scale: scale, crisp: true, ink: 255, paper: 1, around: 1}.draw(paper)
		})
	}
	// A scanner: a little askew, soft, with noise.
	for _, dpi := range []float64{100, 150, 200} {
		for _, noise := range []float64{4, 10} {
			add(fmt.Sprintf("scan at %g dpi, noise %g", dpi, noise), func(r *rand.Rand) image.Image {
				return view{scale: dpi * sideMM / 25.4 / side, turn: r.Float64() - 0.5, margin: 12, noise: noise, ink: 30, paper: 235, around: 235}.with(r).draw(paper)
			})
		}
	}
	// A telephone: tilted, in light that falls off, and not straight above.
	for degrees := 1; degrees <= 15; degrees++ {
		add(fmt.Sprintf("turned by %d°", degrees), func(r *rand.Rand) image.Image {
			return view{scale: 5, turn: float64(degrees), margin: 20, noise: 3, ink: 40, paper: 220, around: 180}.with(r).draw(paper)
		})
	}
	for _, lean := range []float64{0.05, 0.1, 0.15} {
		add(fmt.Sprintf("in perspective, %g", lean), func(r *rand.Rand) image.Image {
			return view{scale: 6, turn: 7, lean: lean, margin: 40, noise: 4, ink: 40, paper: 225, around: 120}.with(r).draw(paper)
		})
	}
	for _, dark := range []float64{0.3, 0.5, 0.7} {
		add(fmt.Sprintf("in light that falls off by %g", dark), func(r *rand.Rand) image.Image {
			return view{scale: 5, turn: 3, shade: dark, margin: 25, noise: 3, ink: 30, paper: 230, around: 150}.with(r).draw(paper)
		})
	}
	// A print that has faded, and one that was faint from the first.
	for _, f := range [][2]uint8{{120, 170}, {100, 140}, {150, 200}, {60, 100}, {190, 230}, {20, 60}} {
		add(fmt.Sprintf("faded, %d on %d", f[0], f[1]), func(*rand.Rand) image.Image {
			return view{scale: 4, crisp: true, ink: f[0], paper: f[1], around: f[1]}.draw(paper)
		})
	}
	// Cut out along the modules, and laid on something grey.
	for _, grey := range []uint8{20, 40, 60, 90, 120, 160, 200} {
		add(fmt.Sprintf("without a margin on grey %d", grey), func(*rand.Rand) image.Image {
			return view{scale: 8, crisp: true, around: grey, margin: 60, cut: true}.draw(paper)
		})
	}
	// In all eight ways that a telephone may store a picture (EXIF orientation 1
	// to 8).
	for orientation := 1; orientation <= 8; orientation++ {
		add(fmt.Sprintf("orientation %d", orientation), func(*rand.Rand) image.Image {
			return orient(view{scale: 4, crisp: true}.draw(paper), orientation)
		})
	}
	add("on nothing, ink alone", func(*rand.Rand) image.Image {
		return transparent(view{scale: 4, crisp: true}.draw(paper))
	})
	add("small in a large photograph", func(r *rand.Rand) image.Image {
		return view{scale: 5, turn: 4, margin: 400, noise: 4, ink: 40, paper: 220, around: 150}.with(r).draw(paper)
	})

	// With another symbol in view.
	address := mustCode(Address)
	add("beside an address", func(*rand.Rand) image.Image { return beside(plain(paper), plain(address), false) })
	add("under an address", func(*rand.Rand) image.Image { return beside(plain(address), plain(paper), true) })
	add("twice", func(*rand.Rand) image.Image { return beside(plain(paper), plain(paper), false) })
	add("with another card", func(*rand.Rand) image.Image {
		return beside(plain(paper), plain(mustSymbol(Digits(n+100))), false)
	})
	all[len(all)-1].Text, all[len(all)-1].Several = "", true
	add("an address alone", func(*rand.Rand) image.Image { return plain(address) })
	all[len(all)-1].Text = Address
	return all
}

// matrix is a symbol with its quiet zone; true is dark.
type matrix [][]bool

const (
	side   = symbol.Modules + 2*symbol.QuietZone
	sideMM = 45
)

func mustSymbol(digits string) matrix {
	s, err := symbol.New(digits)
	if err != nil {
		panic(err) // the digits are ours
	}
	p, err := png.Decode(bytes.NewReader(s.PNG(1)))
	if err != nil {
		panic(err)
	}
	m := make(matrix, side)
	for y := range m {
		m[y] = make([]bool, side)
		for x := range m[y] {
			m[y][x] = color.GrayModel.Convert(p.At(x, y)).(color.Gray).Y < 128
		}
	}
	return m
}

func mustCode(text string) matrix {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		panic(err) // a short text
	}
	return q.Bitmap()
}

// A view is how a symbol is looked at.
type view struct {
	scale  float64 // pixels to a module
	turn   float64 // degrees
	lean   float64 // perspective: how much nearer one side is
	margin int     // pixels around the paper
	cut    bool    // the paper ends where the modules do
	crisp  bool    // a pixel has the one colour that is at its centre

	ink, paper, around uint8 // paper and around 0 are white
	noise              float64
	shade              float64 // how much darker the far side is

	chance *rand.Rand
}

func (v view) with(r *rand.Rand) view { v.chance = r; return v }

// plain is a symbol as a file holds it.
func plain(m matrix) *image.Gray { return view{scale: 4, crisp: true}.draw(m) }

// draw draws the symbol, in the middle of its surroundings.
func (v view) draw(m matrix) *image.Gray {
	if v.paper == 0 {
		v.paper = 255
	}
	if v.around == 0 {
		v.around = 255
	}
	size := float64(len(m))
	width := int(math.Round(size*v.scale)) + 2*v.margin
	out := image.NewGray(image.Rect(0, 0, width, width))
	sin, cos := math.Sincos(v.turn * math.Pi / 180)
	half := float64(width) / 2
	at := func(px, py float64) float64 { // the grey of one point
		px, py = px-half, py-half
		depth := 1 + v.lean*px/half
		px, py = px*depth, py*depth
		x, y := (cos*px+sin*py)/v.scale+size/2, (cos*py-sin*px)/v.scale+size/2
		edge := 0.0
		if v.cut {
			edge = symbol.QuietZone
		}
		switch {
		case x < edge || y < edge || x >= size-edge || y >= size-edge:
			return float64(v.around)
		case m[int(y)][int(x)]:
			return float64(v.ink)
		default:
			return float64(v.paper)
		}
	}
	rays := 3
	if v.crisp {
		rays = 1
	}
	for y := range width {
		for x := range width {
			sum := 0.0
			for i := range rays * rays {
				sum += at(float64(x)+(float64(i%rays)+0.5)/float64(rays), float64(y)+(float64(i/rays)+0.5)/float64(rays))
			}
			g := sum / float64(rays*rays) * (1 - v.shade*float64(x)/float64(width))
			if v.noise > 0 {
				g += v.chance.NormFloat64() * v.noise
			}
			out.SetGray(x, y, color.Gray{Y: uint8(min(255, max(0, g)))})
		}
	}
	return out
}

// beside lays two pictures on one white sheet.
func beside(a, b *image.Gray, below bool) image.Image {
	const gap = 30
	at := image.Pt(a.Rect.Dx()+gap, 0)
	if below {
		at = image.Pt(0, a.Rect.Dy()+gap)
	}
	out := image.NewGray(a.Rect.Union(b.Rect.Add(at)))
	for i := range out.Pix {
		out.Pix[i] = 255
	}
	for _, p := range []struct {
		from *image.Gray
		at   image.Point
	}{{a, image.Point{}}, {b, at}} {
		for y := range p.from.Rect.Dy() {
			for x := range p.from.Rect.Dx() {
				out.SetGray(p.at.X+x, p.at.Y+y, p.from.GrayAt(x, y))
			}
		}
	}
	return out
}

// orient stores a square picture in another way (EXIF 2.3 §4.6.4, Orientation).
func orient(from *image.Gray, orientation int) image.Image {
	n := from.Rect.Dx() - 1
	out := image.NewGray(from.Rect)
	for y := range n + 1 {
		for x := range n + 1 {
			to := [...]image.Point{{x, y}, {n - x, y}, {n - x, n - y}, {x, n - y}, {y, x}, {n - y, x}, {n - y, n - x}, {y, n - x}}[orientation-1]
			out.SetGray(to.X, to.Y, from.GrayAt(x, y))
		}
	}
	return out
}

// transparent keeps the ink and nothing else.
func transparent(from *image.Gray) image.Image {
	out := image.NewNRGBA(from.Rect)
	for i, g := range from.Pix {
		if g < 128 {
			out.Pix[4*i+3] = 255
		}
	}
	return out
}
