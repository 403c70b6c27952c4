// Package camera draws what a 720p camera sees of a printed card: the paper in
// perspective, out of focus, moved, folded, glossy, torn, printed on a laser or
// a 203-dpi thermal printer, in uneven light, with the sensor's noise. The same
// seed draws the same frame. Reading the frames is left to the browser that is
// shown them.
//
// The size of a module in the frame is what decides whether a symbol can be
// read, so a frame is asked for by it: PixelsPerModule is the square root of
// the area that the symbol's four corners enclose in the frame, over 65. A
// camera with a horizontal field of view of 60° sees a module of a 40 mm print
// with 2.7 pixels from 25 cm, 3.5 from 19 cm and 5 from 14 cm.
package camera

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
)

// Width and Height are those of every frame.
const (
	Width  = 1280
	Height = 720

	// focal is the focal length in pixels: a horizontal field of view of 60°.
	focal = 1108.5
	// supersampling is how many rays a pixel is made of, by row and by column.
	supersampling = 2
)

// A Class is a range of conditions.
type Class string

const (
	// Typical is a sheet that came out of the printer lately, held out in a lit
	// room by somebody who tries.
	Typical Class = "typical"
	// Worn is a card that was in a pocket for weeks: two of the damages that
	// paper suffers at once, more tilt, and half the light.
	Worn Class = "worn"
)

// A Frame is one picture of the camera.
type Frame struct {
	Picture *image.YCbCr
	// PixelsPerModule is measured in the frame.
	PixelsPerModule float64
	// Marks tells what happened to this card, for whoever looks at a frame that
	// was not read.
	Marks []string
	// Quality is that of the camera's own JPEG encoder.
	Quality int
}

// Draw draws a frame of a card with this symbol. The seed decides everything
// that the class leaves open.
func Draw(s *symbol.Symbol, class Class, perModule float64, seed uint64) (Frame, error) {
	modules, err := matrix(s)
	if err != nil {
		return Frame{}, err
	}
	r := rand.New(rand.NewPCG(seed, math.Float64bits(perModule))) //nolint:gosec // the same seed draws the same frame
	sc := newScene(class, r)
	p := sc.printed(modules, r)
	g, err := sc.place(perModule, r)
	if err != nil {
		return Frame{}, err
	}
	light := sc.expose(g, p, r)
	light = blur(light, sc.defocus)
	light = smear(light, sc.motion, sc.motionAngle)
	return Frame{
		Picture: sc.develop(light, r), PixelsPerModule: g.perModule(), Marks: sc.marks, Quality: sc.quality,
	}, nil
}

// Empty draws a frame in which no card is held.
func Empty(seed uint64) Frame {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same seed draws the same frame
	sc := newScene(Typical, r)
	light := sc.expose(nil, nil, r)
	return Frame{Picture: sc.develop(blur(light, sc.defocus), r), Quality: sc.quality}
}

// JPEG is the frame as the camera sends it.
func (f Frame) JPEG() ([]byte, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, f.Picture, &jpeg.Options{Quality: f.Quality}); err != nil {
		return nil, fmt.Errorf("camera: encode: %w", err)
	}
	return b.Bytes(), nil
}

// WriteMJPEG writes frames as Chromium's --use-file-for-fake-video-capture
// takes them: one JPEG after the other.
func WriteMJPEG(w io.Writer, frames []Frame) error {
	for _, f := range frames {
		data, err := f.JPEG()
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// matrix returns the modules without the quiet zone; true is dark.
func matrix(s *symbol.Symbol) (*[symbol.Modules][symbol.Modules]bool, error) {
	picture, err := png.Decode(bytes.NewReader(s.PNG(1)))
	if err != nil {
		return nil, fmt.Errorf("camera: symbol: %w", err)
	}
	var m [symbol.Modules][symbol.Modules]bool
	for y := range m {
		for x := range m[y] {
			m[y][x] = color.GrayModel.Convert(picture.At(x+symbol.QuietZone, y+symbol.QuietZone)).(color.Gray).Y < 128
		}
	}
	return &m, nil
}
