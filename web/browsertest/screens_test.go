package browsertest_test

import (
	"cmp"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/verifier"
)

// screens are the pictures in docs/screens beside those of the states.
var (
	screens = []string{
		"start", "scan", "neutral", "invite", "waiting", "ready", "code", "device", "selftest", "unlock", "locked",
		"admin-signin", "admin-join", "admin-home", "admin-request", "admin-person-new", "admin-once",
		"admin-agency-change", "admin-alarms-all", "admin-notices",
	}
	languages = []string{"en", "ar", "km"}
)

const (
	screensFolder = "../../docs/screens"
	screenWidth   = 320
	maxScreens    = 9 << 18 // bytes of all of them: 2.25 MiB
)

// TestScreens holds the pictures in the documentation to be complete: one of
// every state and screen, in three languages. What they show is for people to
// look at; make screens draws them anew.
func TestScreens(t *testing.T) {
	names := slices.Clone(screens)
	for _, s := range verifier.States {
		names = append(names, "state-"+string(s))
	}
	slices.Sort(names)
	total := int64(0)
	for _, language := range languages {
		entries, err := os.ReadDir(filepath.Join(screensFolder, language))
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		for _, e := range entries {
			there = append(there, strings.TrimSuffix(e.Name(), ".png"))
			total += look(t, filepath.Join(screensFolder, language, e.Name()))
		}
		slices.Sort(there)
		if !slices.Equal(there, names) {
			t.Errorf("%s: pictures of %v, want %v", language, there, names)
		}
	}
	if total > maxScreens {
		t.Errorf("the pictures have %d bytes, want %d at most", total, maxScreens)
	}
}

func look(t *testing.T, name string) (size int64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	shape, err := png.DecodeConfig(f)
	if err != nil || shape.Width != screenWidth || shape.Height < 200 {
		t.Errorf("%s is no picture of a screen of %d pixels", name, screenWidth)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// keepScreens takes the pictures of this run into the documentation, with few
// colours, so that they stay small.
func keepScreens(t *testing.T, folder string) {
	t.Helper()
	for _, language := range languages {
		made, err := filepath.Glob(filepath.Join(folder, language, "*.png"))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(screensFolder, language)
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range made {
			keepScreen(t, name, filepath.Join(target, filepath.Base(name)))
		}
	}
}

func keepScreen(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	picture, err := png.Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(out, fewColours(picture, 16)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// fewColours draws a picture with its most frequent colours.
func fewColours(picture image.Image, most int) *image.Paletted {
	bounds := picture.Bounds()
	rough := func(c color.RGBA) color.RGBA { return color.RGBA{c.R &^ 7, c.G &^ 7, c.B &^ 7, 255} }
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
	type count struct {
		colour color.RGBA // one that occurs, for all that are roughly so
		times  int
	}
	counts := map[color.RGBA]*count{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			if counts[rough(c)] == nil {
				counts[rough(c)] = &count{colour: c}
			}
			counts[rough(c)].times++
		}
	}
	var sorted []count
	for _, c := range counts {
		sorted = append(sorted, *c)
	}
	slices.SortFunc(sorted, func(a, b count) int { return cmp.Compare(b.times, a.times) })
	var palette color.Palette
	for _, c := range sorted[:min(most, len(sorted))] {
		palette = append(palette, c.colour)
	}
	small := image.NewPaletted(bounds, palette)
	nearest := map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	return small
}
