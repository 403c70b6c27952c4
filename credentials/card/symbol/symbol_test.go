package symbol_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	qrcode "github.com/skip2/go-qrcode"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/internal/picture/zxing"
)

const side = symbol.Modules + 2*symbol.QuietZone

// someDigits are those of a card of random bytes; the same n gives the same.
func someDigits(n uint64) string {
	var c card.Card
	r := rand.New(rand.NewPCG(n, 1))
	for i := range c {
		c[i] = byte(r.Uint32())
	}
	return c.Digits()
}

func draw(t testing.TB, digits string) *symbol.Symbol {
	t.Helper()
	s, err := symbol.New(digits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A matrix is the modules by row and column, quiet zone left out; true is dark.
type matrix [symbol.Modules][symbol.Modules]bool

// modules reads the matrix back out of the PNG.
func modules(t *testing.T, b []byte, scale int) matrix {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := img.Bounds(), image.Rect(0, 0, side*scale, side*scale); got != want {
		t.Fatalf("PNG is %v, want %v", got, want)
	}
	var m matrix
	for y := range side * scale {
		for x := range side * scale {
			r, _, _, _ := img.At(x, y).RGBA()
			mx, my := x/scale-symbol.QuietZone, y/scale-symbol.QuietZone
			inside := mx >= 0 && my >= 0 && mx < symbol.Modules && my < symbol.Modules
			switch {
			case r == 0 && !inside:
				t.Fatalf("a dark pixel in the quiet zone at %d,%d", x, y)
			case r == 0:
				m[my][mx] = true
			case r != 0xffff:
				t.Fatalf("a grey pixel at %d,%d", x, y)
			case inside && m[my][mx]:
				t.Fatalf("module %d,%d has two colours", mx, my)
			}
		}
	}
	return m
}

// TestVersion12M reads version and level out of the matrix, and the digits with
// another program. That the mode is numeric follows: in version 12-M there is room
// for 691 digits, and for 419 characters in the next larger mode (ISO/IEC 18004,
// Table 7).
func TestVersion12M(t *testing.T) {
	reader, err := zxing.New(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close(t.Context()) }()
	for name, digits := range map[string]string{
		"random": someDigits(1), "zeros": card.Card{}.Digits(), "nines": strings.Repeat("9", 667),
	} {
		t.Run(name, func(t *testing.T) {
			m := modules(t, draw(t, digits).PNG(3), 3)
			// §7.10: beside the upper right finder, 18 bits of which the first six are
			// the version, the last bit in the upper left.
			version := 0
			for i := 12; i < 18; i++ {
				if m[i/3][symbol.Modules-11+i%3] {
					version |= 1 << (i - 12)
				}
			}
			if version != 12 || symbol.Modules != 17+4*version {
				t.Errorf("got version %d", version)
			}
			// §7.9: beside the upper left finder, 15 bits under a mask that begins with
			// 10; the first two are the level, and 00 is M.
			if level := [2]bool{!m[8][0], m[8][1]}; level != [2]bool{} {
				t.Errorf("got level %v, want M", level)
			}
			img, err := png.Decode(bytes.NewReader(draw(t, digits).PNG(3)))
			if err != nil {
				t.Fatal(err)
			}
			look := zxing.Luminance{Pix: make([]byte, 9*side*side), Width: 3 * side, Height: 3 * side}
			for i := range look.Pix {
				look.Pix[i] = color.GrayModel.Convert(img.At(i%look.Width, i/look.Width)).(color.Gray).Y
			}
			got, err := reader.Read(t.Context(), look)
			if err != nil || len(got) != 1 || got[0] != digits {
				t.Errorf("another program reads %d symbols, and not the digits: %v", len(got), err)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	good := someDigits(1)
	for name, s := range map[string]string{
		"empty": "", "one short": good[1:], "one more": good + "1", "letter": good[1:] + "A",
		"Arabic digit": good[2:] + "٣", "space": good[1:] + " ",
	} {
		if _, err := symbol.New(s); !errors.Is(err, symbol.ErrDigits) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestPNGIsOneBit(t *testing.T) {
	s := draw(t, someDigits(2))
	b := s.PNG(8)
	// IHDR: width and height at 16 and 20, bit depth at 24.
	if depth := b[24]; depth != 1 {
		t.Errorf("got %d bits per pixel", depth)
	}
	for _, scale := range []int{1, 2, 5, 8, 13, 40} { // every pixel is looked at
		if modules(t, s.PNG(scale), scale) != modules(t, b, 8) {
			t.Errorf("scale %d draws something else", scale)
		}
	}
	for _, c := range []struct{ scale, want int }{{-1, 1}, {0, 1}, {1, 1}, {40, 40}, {1000, 40}} {
		cfg, err := png.DecodeConfig(bytes.NewReader(s.PNG(c.scale)))
		if err != nil || cfg.Width != side*c.want || cfg.Height != side*c.want {
			t.Errorf("scale %d: got %d × %d, %v", c.scale, cfg.Width, cfg.Height, err)
		}
	}
}

var run = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// TestSVG draws the path again and compares it with the PNG, and looks for
// anything that could name what the card is.
func TestSVG(t *testing.T) {
	s := draw(t, someDigits(3))
	svg := s.SVG()
	var doc struct {
		XMLName xml.Name
		Width   string `xml:"width,attr"`
		Height  string `xml:"height,attr"`
		ViewBox string `xml:"viewBox,attr"`
		Rest    []struct {
			XMLName xml.Name
			D       string `xml:"d,attr"`
			Inner   string `xml:",innerxml"`
		} `xml:",any"`
		Text string `xml:",chardata"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.ViewBox != "0 0 73 73" || doc.Width != doc.Height {
		t.Errorf("got %s by %s, %s", doc.Width, doc.Height, doc.ViewBox)
	}
	mm, err := strconv.ParseFloat(strings.TrimSuffix(doc.Width, "mm"), 64)
	if err != nil || mm*symbol.Modules/side < 40 {
		t.Errorf("printed at %.2f mm, want 40 or more", mm*symbol.Modules/side)
	}
	if len(doc.Rest) != 2 || doc.Rest[0].XMLName.Local != "rect" || doc.Rest[1].XMLName.Local != "path" || doc.Text != "" {
		t.Fatalf("want one rect and one path, and no text: %v", doc.Rest)
	}
	want := modules(t, s.PNG(1), 1)
	var got matrix
	path, n := doc.Rest[1].D, 0
	for _, r := range run.FindAllStringSubmatch(path, -1) {
		n += len(r[0])
		var x, y, w, back int
		if _, err := fmt.Sscan(strings.Join(r[1:], " "), &x, &y, &w, &back); err != nil || w != back {
			t.Fatalf("run %q", r[0])
		}
		for i := range w {
			got[y-symbol.QuietZone][x+i-symbol.QuietZone] = true
		}
	}
	if n != len(path) {
		t.Errorf("%d of %d bytes of the path are runs", n, len(path))
	}
	if got != want {
		t.Error("SVG and PNG differ")
	}
	for _, word := range []string{"victim", "survivor", "traffick", "card", "safeconduct", "<text", "<title", "<desc", "<!--"} {
		if bytes.Contains(bytes.ToLower(svg), []byte(word)) {
			t.Errorf("the SVG says %q", word)
		}
	}
}

// TestOtherReaders: programs that people have read exactly the 667 digits.
func TestOtherReaders(t *testing.T) {
	const cards = 5
	readers := []struct {
		name string
		args func(path string) []string
		text func(out []byte) string
	}{
		{"zbarimg", func(p string) []string { return []string{"--quiet", "--raw", p} },
			func(out []byte) string { return strings.TrimSuffix(string(out), "\n") }},
		{"ZXingReader", func(p string) []string { return []string{"-format", "QRCode", "-bytes", p} },
			func(out []byte) string { return strings.TrimSuffix(string(out), "\n") }},
	}
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			if _, err := exec.LookPath(r.name); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s is missing", r.name)
				}
				t.Skipf("%s is not installed", r.name)
			}
			n := 0
			for i := range uint64(cards) {
				digits := someDigits(10 + i)
				path := filepath.Join(t.TempDir(), "symbol.png")
				if err := os.WriteFile(path, draw(t, digits).PNG(6), 0o600); err != nil {
					t.Fatal(err)
				}
				var stderr bytes.Buffer
				cmd := exec.Command(r.name, r.args(path)...)
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, stderr.Bytes())
				}
				if got := r.text(out); got != digits {
					t.Errorf("read %d bytes, not the digits", len(got))
				}
				n++
			}
			t.Logf("%s: %d cases", r.name, n)
			if n != cards {
				t.Errorf("read %d of %d", n, cards)
			}
		})
	}
}

func ExampleNew() {
	digits := card.Card{1, 2, 3}.Digits() // of a sealed card, in earnest
	s, err := symbol.New(digits)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.62s\n", s.SVG())
	// Output: <svg xmlns="http://www.w3.org/2000/svg" width="45mm" height="4
}

// BenchmarkSVG and BenchmarkPNG draw a symbol whose matrix is there;
// BenchmarkNew makes the matrix; BenchmarkGoQRCodePNG is the library's own way
// from digits to a PNG of 512 pixels.
func BenchmarkSVG(b *testing.B) {
	s := draw(b, someDigits(1))
	for b.Loop() {
		s.SVG()
	}
}

func BenchmarkPNG(b *testing.B) {
	s := draw(b, someDigits(1))
	for b.Loop() {
		s.PNG(7) // 511 pixels
	}
}

func BenchmarkNew(b *testing.B) {
	digits := someDigits(1)
	for b.Loop() {
		if _, err := symbol.New(digits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGoQRCodePNG(b *testing.B) {
	digits := someDigits(1)
	for b.Loop() {
		q, err := qrcode.NewWithForcedVersion(digits, 12, qrcode.Medium)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := q.PNG(512); err != nil {
			b.Fatal(err)
		}
	}
}
