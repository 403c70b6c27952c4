//go:build !race

package browsertest_test

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
)

// picture is a card as somebody may show it.
type picture struct {
	Name string `json:"name"`
	PNG  string `json:"png"` // base64
}

// pictures show one card in ways that readers find hard.
func pictures(t *testing.T, digits string) []picture {
	t.Helper()
	return []picture{
		{"cut at the square, on grey", cardPicture(t, digits, 0, 255, 90, 0)},
		{"cut at the square, on dark grey", cardPicture(t, digits, 10, 240, 55, 0)},
		{"light on dark", cardPicture(t, digits, 255, 0, 0, symbol.QuietZone)},
		{"faded", cardPicture(t, digits, 120, 170, 170, symbol.QuietZone)},
	}
}

// cardPicture draws a card's symbol with so many modules of paper around it, on
// a ground. The shades are from 0, black, to 255.
func cardPicture(t *testing.T, digits string, ink, paper, ground uint8, margin int) string {
	t.Helper()
	s, err := symbol.New(digits)
	if err != nil {
		t.Fatal(err)
	}
	modules, err := png.Decode(bytes.NewReader(s.PNG(1)))
	if err != nil {
		t.Fatal(err)
	}
	const scale, beyond = 8, 8 // pixels to a module; modules of ground
	side := (symbol.Modules + 2*margin + 2*beyond) * scale
	drawn := image.NewGray(image.Rect(0, 0, side, side))
	fill := func(r image.Rectangle, shade uint8) {
		draw.Draw(drawn, r, image.NewUniform(color.Gray{Y: shade}), image.Point{}, draw.Src)
	}
	fill(drawn.Bounds(), ground)
	fill(drawn.Bounds().Inset(beyond*scale), paper)
	for y := range symbol.Modules {
		for x := range symbol.Modules {
			if grey, _, _, _ := modules.At(x+symbol.QuietZone, y+symbol.QuietZone).RGBA(); grey == 0 {
				at := image.Pt(x+margin+beyond, y+margin+beyond).Mul(scale)
				fill(image.Rectangle{at, at.Add(image.Pt(scale, scale))}, ink)
			}
		}
	}
	return encoded(t, drawn)
}

// blank is a picture with nothing on it.
func blank(t *testing.T) string {
	t.Helper()
	drawn := image.NewGray(image.Rect(0, 0, 320, 240))
	draw.Draw(drawn, drawn.Bounds(), image.NewUniform(color.Gray{Y: 200}), image.Point{}, draw.Src)
	return encoded(t, drawn)
}

func encoded(t *testing.T, drawn image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, drawn); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
