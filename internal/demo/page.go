package demo

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// scannedPage draws the data page of a specimen passport, as a scanner would
// give it.
func scannedPage(lines []private.String) ([]byte, error) {
	page := image.NewRGBA(image.Rect(0, 0, 480, 320))
	draw.Draw(page, page.Bounds(), image.NewUniform(color.RGBA{R: 0xee, G: 0xe8, B: 0xd8, A: 0xff}), image.Point{}, draw.Src)
	draw.Draw(page, image.Rect(24, 60, 144, 210), image.NewUniform(color.RGBA{R: 0xb8, G: 0xb0, B: 0xa0, A: 0xff}), image.Point{}, draw.Src)
	write := func(x, y int, text string) {
		(&font.Drawer{Dst: page, Src: image.Black, Face: basicfont.Face7x13, Dot: fixed.P(x, y)}).DrawString(text)
	}
	write(24, 36, "UTOPIA  SPECIMEN  NOT A REAL DOCUMENT")
	for i, line := range lines {
		write(24, 264+24*i, line.Reveal())
	}
	var out bytes.Buffer
	err := png.Encode(&out, page)
	return out.Bytes(), err
}
