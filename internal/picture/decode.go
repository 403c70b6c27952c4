package picture

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	_ "image/gif" // what telephones, scanners and screens give, as far as Go reads it
	_ "image/jpeg"
	_ "image/png"
	"io"

	_ "golang.org/x/image/bmp" // and what else telephones and scanners give
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // likewise

	"github.com/safeconduct/safeconduct/internal/picture/zxing"
)

var errTooLarge = errors.New("picture: too many pixels")

// Is reports whether data begins as something does that Read can look into.
func Is(data []byte) bool {
	_, _, err := image.DecodeConfig(bytes.NewReader(data))
	return isPDF(data) || !errors.Is(err, image.ErrFormat)
}

// decode reads a picture. Which way up it is stored makes no difference, so what
// a telephone notes about that is not asked for.
func decode(file []byte) (image.Image, error) {
	header, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	if header.Width < 1 || header.Height < 1 || header.Width > maxPixels/header.Height {
		return nil, errTooLarge
	}
	var r io.Reader = bytes.NewReader(file)
	if format == "jpeg" {
		// ITU-T T.81 §B.2.1: some programs leave out the marker at the end. What
		// comes after the first one is not read.
		r = io.MultiReader(r, bytes.NewReader([]byte{0xff, 0xd9}))
	}
	picture, _, err := image.Decode(r)
	return picture, err
}

// looks are the ways in which a picture is shown to the reader, one after the
// other until it sees something; web/src/check/symbols.ts has the same. What is
// small in a large photograph needs the larger size, what is blurred the smaller.
// Where no size shows anything, the card may have been cut at its square, and its
// ink alone may be readable.
func looks(picture image.Image) []func() zxing.Luminance {
	size := picture.Bounds().Size()
	longest := max(size.X, size.Y)
	var plain, ink []func() zxing.Luminance
	seen := map[int]bool{}
	for _, side := range []int{1600, 2600, 1000} {
		side = min(side, longest)
		if seen[side] {
			continue
		}
		seen[side] = true
		plain = append(plain, func() zxing.Luminance { return grey(picture, side) })
		ink = append(ink, func() zxing.Luminance { return inkOnly(grey(picture, side)) })
	}
	return append(plain, ink...)
}

// grey draws a picture with this longest side on white, as paper is, and takes
// the luminance by the formula of the npm package zxing-wasm.
func grey(picture image.Image, longest int) zxing.Luminance {
	bounds := picture.Bounds()
	scale := float64(longest) / float64(max(bounds.Dx(), bounds.Dy()))
	width, height := scaled(bounds.Dx(), scale), scaled(bounds.Dy(), scale)
	drawn := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(drawn, drawn.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	if bounds.Size() == drawn.Rect.Size() {
		draw.Draw(drawn, drawn.Rect, picture, bounds.Min, draw.Over)
	} else {
		draw.BiLinear.Scale(drawn, drawn.Rect, picture, bounds, draw.Over, nil)
	}
	l := zxing.Luminance{Pix: make([]byte, width*height), Width: width, Height: height}
	for i := range l.Pix {
		p := drawn.Pix[4*i : 4*i+3]
		l.Pix[i] = byte((306*uint32(p[0]) + 601*uint32(p[1]) + 117*uint32(p[2]) + 512) >> 10) //nolint:gosec // 255 at most
	}
	return l
}

func scaled(side int, scale float64) int { return max(1, int(float64(side)*scale+0.5)) }

// inkOnly makes the darkest of three shades black and the rest white: of ink,
// ground and paper the ink, as web/src/check/shades.ts does. A symbol that was cut
// at its edge and lies on grey runs into the ground otherwise, and no reader finds
// its corners.
func inkOnly(l zxing.Luminance) zxing.Luminance {
	var counts [256]int
	for _, g := range l.Pix {
		counts[g]++
	}
	ink := otsu(counts[:otsu(counts[:])])
	for i, g := range l.Pix {
		l.Pix[i] = 255
		if int(g) < ink {
			l.Pix[i] = 0
		}
	}
	return l
}

// otsu is the threshold that splits shades best into two classes (N. Otsu, A
// Threshold Selection Method from Gray-Level Histograms, 1979).
func otsu(counts []int) int {
	total, sum := 0, 0
	for shade, n := range counts {
		total, sum = total+n, sum+n*shade
	}
	best, found, below, sumBelow := 0.0, len(counts), 0, 0
	for shade, n := range counts[:len(counts)-1] {
		below, sumBelow = below+n, sumBelow+n*shade
		if above := total - below; below > 0 && above > 0 {
			apart := float64(sumBelow)/float64(below) - float64(sum-sumBelow)/float64(above)
			if apart *= apart * float64(below) * float64(above); apart > best {
				best, found = apart, shade+1
			}
		}
	}
	return found
}
