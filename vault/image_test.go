package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"testing"
)

// frame is a JPEG of that size without pixels: enough to be measured.
func frame(marker byte, width, height uint16, components ...byte) []byte {
	b := []byte{0xff, 0xd8, 0xff, marker}
	b = binary.BigEndian.AppendUint16(b, uint16(8+3*len(components)))
	b = binary.BigEndian.AppendUint16(append(b, 8), height)
	b = append(binary.BigEndian.AppendUint16(b, width), byte(len(components)))
	for i, sampling := range components {
		b = append(b, byte(i+1), sampling, 0)
	}
	return append(b, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0)
}

// turnedBy puts an EXIF orientation into a JPEG.
func turnedBy(orientation byte, data []byte) []byte {
	app1 := "\xff\xe1\x00\x22Exif\x00\x00II\x2a\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00" + string(orientation) + "\x00\x00\x00\x00\x00\x00\x00"
	return append(append(bytes.Clone(data[:2]), app1...), data[2:]...)
}

// TestSizes: what is kept whole, what is kept smaller, and what is refused.
func TestSizes(t *testing.T) {
	const most, half, none = 1, 2, 0
	third := []byte{0x22, 0x11, 0x11} // 4:2:0, as telephones write
	full := []byte{0x11, 0x11, 0x11}
	for _, c := range []struct {
		name string
		data []byte
		want int // by how much the sides are divided; 0 is refused
	}{
		{"12 megapixels", frame(0xc0, 4032, 3024, third...), most},
		{"12 megapixels, turned", turnedBy(6, frame(0xc0, 4032, 3024, third...)), most},
		{"40 megapixels", frame(0xc0, 8000, 5000, third...), most},
		{"40 megapixels, all colours, turned", turnedBy(6, frame(0xc0, 8000, 5000, full...)), half},
		{"48 megapixels", frame(0xc0, 8064, 6048, third...), half},
		{"48 megapixels, turned", turnedBy(6, frame(0xc0, 8064, 6048, third...)), half},
		{"50 megapixels", frame(0xc0, 8160, 6144, third...), half},
		{"108 megapixels", frame(0xc0, 12000, 9000, third...), 3},
		{"a panorama", frame(0xc0, 16382, 3628, third...), half},
		{"24 megapixels, progressive", frame(0xc2, 6000, 4000, third...), most},
		{"24 megapixels, inks", frame(0xc0, 6000, 4000, 0x11, 0x11, 0x11, 0x11), half},
		{"48 megapixels, progressive", frame(0xc2, 8064, 6048, third...), none},
		{"108 megapixels, all colours", frame(0xc0, 12000, 9000, full...), none},
		{"200 megapixels", frame(0xc0, 16320, 12240, third...), none},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := examine(mediaJPEG, c.data)
			if p.shrink != c.want || errors.Is(err, ErrImageTooLarge) != (c.want == none) {
				t.Fatalf("divided by %d, %v; want %d", p.shrink, err, c.want)
			}
			if err == nil && (p.memory(p.shrink) > maxDecoded || p.area(p.shrink) > MaxKept) {
				t.Errorf("%d MiB for %d pixels", p.memory(p.shrink)>>20, p.area(p.shrink))
			}
		})
	}
}

// TestSmaller: a picture that is made smaller is turned as well, and every
// pixel is the mean of those whose place it takes.
func TestSmaller(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 65, 33))
	draw.Draw(img, img.Rect, image.NewUniform(color.RGBA{20, 60, 200, 255}), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(0, 0, 32, 16), image.NewUniform(color.RGBA{240, 10, 10, 255}), image.Point{}, draw.Src)
	for x := 40; x < 60; x++ { // black and white lines become grey
		for y := 20; y < 30; y++ {
			img.SetRGBA(x, y, color.RGBA{uint8(255 * (x % 2)), uint8(255 * (x % 2)), uint8(255 * (x % 2)), 255})
		}
	}
	var asJPEG, asPNG bytes.Buffer
	if err := errors.Join(jpeg.Encode(&asJPEG, img, &jpeg.Options{Quality: 100}), png.Encode(&asPNG, img)); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{mediaJPEG: asJPEG.Bytes(), mediaPNG: asPNG.Bytes()} {
		p, err := examine(name, data)
		if err != nil {
			t.Fatal(err)
		}
		p.shrink, p.facts.orientation = 2, 6
		out, err := p.redraw()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := image.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if got.Bounds() != image.Rect(0, 0, 17, 33) {
			t.Fatalf("%s: %v", name, got.Bounds())
		}
		near := func(x, y int, want color.RGBA) {
			t.Helper()
			r, g, b, _ := got.At(x, y).RGBA()
			for i, v := range []uint32{r, g, b} {
				if w := []uint8{want.R, want.G, want.B}[i]; int(v>>8)-int(w) > 32 || int(w)-int(v>>8) > 32 {
					t.Errorf("%s at %d,%d: %d %d %d, want %v", name, x, y, r>>8, g>>8, b>>8, want)
					return
				}
			}
		}
		near(13, 4, color.RGBA{240, 10, 10, 255})
		near(13, 28, color.RGBA{20, 60, 200, 255})
		near(4, 24, color.RGBA{127, 127, 127, 255})
	}
}
