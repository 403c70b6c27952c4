package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	qrcode "github.com/skip2/go-qrcode"
)

// drawPicture writes a picture to FILE: blank, huge (a header alone, which
// promises more pixels than there is memory for), cut, noise, address (a QR
// code with a web address), two CARD CARD, or of one CARD: beside (an address),
// inverted, faded, photograph, pdf (the photograph in one), or drawn (a PDF
// without a photograph).
func drawPicture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: picture FILE KIND [CARD...]")
	}
	var cards []image.Image
	for _, name := range args[2:] {
		f, err := os.Open(ts.MkAbs(name))
		ts.Check(err)
		card, err := png.Decode(f)
		ts.Check(err)
		ts.Check(f.Close())
		cards = append(cards, card)
	}
	var out bytes.Buffer
	switch args[1] {
	case "blank":
		ts.Check(png.Encode(&out, canvas(200, 200)))
	case "huge":
		out.Write(hugeHeader())
	case "cut":
		ts.Check(png.Encode(&out, canvas(200, 200)))
		out.Truncate(out.Len() / 2)
	case "noise":
		out.WriteString("GIF89a\xff\xfe\x00\x80")
	case "address":
		ts.Check(png.Encode(&out, address(ts)))
	case "beside":
		ts.Check(png.Encode(&out, sheet(address(ts), cards[0])))
	case "inverted":
		ts.Check(png.Encode(&out, eachGrey(cards[0], func(g uint8) uint8 { return 255 - g })))
	case "faded":
		ts.Check(png.Encode(&out, eachGrey(cards[0], func(g uint8) uint8 { return 120 + g/5 })))
	case "two":
		ts.Check(png.Encode(&out, sheet(cards...)))
	case "photograph":
		ts.Check(jpeg.Encode(&out, photograph(cards[0]), &jpeg.Options{Quality: 85}))
	case "pdf":
		out.WriteString("%PDF-1.7\n1 0 obj\n<< /Subtype /Image /Filter /DCTDecode >>\nstream\n")
		ts.Check(jpeg.Encode(&out, photograph(cards[0]), &jpeg.Options{Quality: 85}))
		out.WriteString("\nendstream\nendobj\n")
	case "drawn":
		out.WriteString("%PDF-1.7\n1 0 obj\n<< /Length 9 >>\nstream\n0 0 m 1 S\nendstream\nendobj\n")
	default:
		ts.Fatalf("no picture is called %s", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}

func address(ts *testscript.TestScript) image.Image {
	code, err := qrcode.New("https://example.org/not-a-card", qrcode.Medium)
	ts.Check(err)
	return code.Image(200)
}

// sheet lays pictures beside each other.
func sheet(pictures ...image.Image) image.Image {
	width, height := 40, 0
	for _, p := range pictures {
		width, height = width+p.Bounds().Dx()+40, max(height, p.Bounds().Dy()+80)
	}
	out, x := canvas(width, height), 40
	for _, p := range pictures {
		draw.Draw(out, p.Bounds().Add(image.Pt(x, 40)), p, image.Point{}, draw.Src)
		x += p.Bounds().Dx() + 40
	}
	return out
}

func eachGrey(p image.Image, change func(uint8) uint8) image.Image {
	out := image.NewGray(p.Bounds())
	draw.Draw(out, out.Rect, p, out.Rect.Min, draw.Src)
	for i, g := range out.Pix {
		out.Pix[i] = change(g)
	}
	return out
}

func canvas(width, height int) draw.Image {
	c := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(c, c.Bounds(), image.NewUniform(color.RGBA{R: 0xd8, G: 0xd2, B: 0xc4, A: 0xff}), image.Point{}, draw.Src)
	return c
}

// photograph lays a card on a table, a little turned, in light that falls off.
func photograph(card image.Image) image.Image {
	side := card.Bounds().Dx()
	out := canvas(side*3/2, side*3/2)
	for y := range out.Bounds().Dy() {
		for x := range out.Bounds().Dx() {
			// Turned by about 5.7 degrees around a corner: cos ≈ 0.995, sin ≈ 0.1.
			fx, fy := float64(x)-0.3*float64(side), float64(y)-0.15*float64(side)
			at := image.Pt(int(0.995*fx+0.1*fy), int(-0.1*fx+0.995*fy))
			if fx < 0 && at.X < 0 || !at.In(card.Bounds()) {
				continue
			}
			light := 1 - 0.4*float64(x)/float64(out.Bounds().Dx())
			v, _, _, _ := card.At(at.X, at.Y).RGBA()
			grey := uint8((0.1 + 0.85*float64(v)/0xffff) * light * 255)
			out.Set(x, y, color.RGBA{R: grey, G: grey, B: grey, A: 0xff})
		}
	}
	return out
}

// hugeHeader is the beginning of a PNG of 60,000 by 60,000 pixels.
func hugeHeader() []byte {
	ihdr := []byte("IHDR")
	ihdr = binary.BigEndian.AppendUint32(ihdr, 60_000)
	ihdr = binary.BigEndian.AppendUint32(ihdr, 60_000)
	ihdr = append(ihdr, 8, 6, 0, 0, 0) // RGBA
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	b = append(b, ihdr...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(ihdr))
}
