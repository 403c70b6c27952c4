package camera_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/web/browsertest/camera"
)

// drawn is a symbol of random digits, and the digits.
func drawn(t *testing.T, seed uint64) (*symbol.Symbol, string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	digits := make([]byte, symbol.Digits)
	for i := range digits {
		digits[i] = '0' + byte(r.IntN(10))
	}
	s, err := symbol.New(string(digits))
	if err != nil {
		t.Fatal(err)
	}
	return s, string(digits)
}

func draw(t *testing.T, s *symbol.Symbol, class camera.Class, perModule float64, seed uint64) (camera.Frame, []byte) {
	t.Helper()
	f, err := camera.Draw(s, class, perModule, seed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := f.JPEG()
	if err != nil {
		t.Fatal(err)
	}
	return f, data
}

func TestDrawIsRepeatable(t *testing.T) {
	s, _ := drawn(t, 1)
	_, first := draw(t, s, camera.Worn, 3.5, 7)
	_, again := draw(t, s, camera.Worn, 3.5, 7)
	_, other := draw(t, s, camera.Worn, 3.5, 8)
	if !bytes.Equal(first, again) {
		t.Error("the same seed draws another frame")
	}
	if bytes.Equal(first, other) {
		t.Error("another seed draws the same frame")
	}
}

func TestPixelsPerModule(t *testing.T) {
	for _, want := range []float64{2.5, 3, 3.5, 4, 5} {
		for seed := range uint64(200) {
			for _, class := range []camera.Class{camera.Typical, camera.Worn} {
				got, err := camera.Place(class, want, seed)
				if err != nil {
					t.Fatalf("%s, seed %d: %v", class, seed, err)
				}
				if math.Abs(got-want) > 0.01 {
					t.Errorf("%s, seed %d: %.3f pixels to a module, want %.1f", class, seed, got, want)
				}
			}
		}
	}
}

// TestOthersRead shows a frame to a reader that has nothing to do with the one
// in the page: the pictures show the card, and an empty one none.
func TestOthersRead(t *testing.T) {
	reader, err := exec.LookPath("ZXingReader")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ZXingReader is missing: scripts/install.sh test installs it")
		}
		t.Skip("ZXingReader is not here")
	}
	dir := t.TempDir()
	read := func(data []byte) string {
		t.Helper()
		name := filepath.Join(dir, "frame.jpg")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(reader, "-bytes", name).Output()
		return strings.TrimSpace(string(out))
	}
	got := 0
	for seed := range uint64(4) {
		s, digits := drawn(t, seed)
		_, data := draw(t, s, camera.Typical, 5, seed)
		if read(data) == digits {
			got++
		}
	}
	if got < 4 {
		t.Errorf("%d of 4 frames were read", got)
	}
	empty, err := camera.Empty(1).JPEG()
	if err != nil {
		t.Fatal(err)
	}
	if text := read(empty); text != "" {
		t.Error("something was read where no card is")
	}
}

func BenchmarkDraw(b *testing.B) {
	digits := strings.Repeat("0123456789", 67)[:symbol.Digits]
	s, err := symbol.New(digits)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := camera.Draw(s, camera.Worn, 3.5, 1)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.JPEG(); err != nil {
			b.Fatal(err)
		}
	}
}
