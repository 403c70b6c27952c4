package zxing

import (
	"context"
	"errors"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/safeconduct/safeconduct/internal/picturetest"
)

// shared is one reader for all tests, which take longer to compile it than to
// use it.
var shared = sync.OnceValues(func() (*Reader, error) { return New(context.Background(), "") })

func reader(t testing.TB) *Reader {
	t.Helper()
	r, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func luminance(p image.Image) Luminance {
	g := p.(*image.Gray)
	return Luminance{Pix: g.Pix, Width: g.Rect.Dx(), Height: g.Rect.Dy()}
}

// card is the first picture, and what it says.
func card() (Luminance, string) {
	for p := range picturetest.All() {
		return luminance(p.Draw()), p.Text
	}
	panic("there is no picture")
}

func TestRead(t *testing.T) {
	r := reader(t)
	look, digits := card()
	got, err := r.Read(t.Context(), look)
	if err != nil || len(got) != 1 || got[0] != digits {
		t.Errorf("got %d texts, %v", len(got), err)
	}
	white := Luminance{Pix: make([]byte, 40*30), Width: 40, Height: 30}
	if got, err := r.Read(t.Context(), white); err != nil || len(got) != 0 {
		t.Errorf("in an empty picture: got %d texts, %v", len(got), err)
	}
	for name, l := range map[string]Luminance{
		"nothing": {}, "no height": {Width: 3}, "short": {Pix: make([]byte, 5), Width: 2, Height: 3}, "turned inside out": {Pix: make([]byte, 6), Width: -2, Height: -3},
	} {
		if _, err := r.Read(t.Context(), l); !errors.Is(err, ErrProgram) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestOneAtATime: goroutines share a reader.
func TestOneAtATime(t *testing.T) {
	r := reader(t)
	look, digits := card()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := r.Read(t.Context(), look); err != nil || len(got) != 1 || got[0] != digits {
				t.Errorf("got %d texts, %v", len(got), err)
			}
		})
	}
	all.Wait()
}

// TestEnds: the time of a picture can be over, and the next one is read again.
func TestEnds(t *testing.T) {
	r := reader(t)
	look, digits := card()
	over, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
	defer cancel()
	large := Luminance{Pix: make([]byte, 3000*3000), Width: 3000, Height: 3000}
	for y := range look.Height {
		copy(large.Pix[y*large.Width:], look.Pix[y*look.Width:(y+1)*look.Width])
	}
	begun := time.Now()
	if _, err := r.Read(over, large); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrProgram) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if got, err := r.Read(t.Context(), look); err != nil || len(got) != 1 || got[0] != digits {
		t.Errorf("after that: got %d texts, %v", len(got), err)
	}
}

// TestExceptions: what the program throws it catches itself: a format that there
// is none of, and more pixels than it has memory for.
func TestExceptions(t *testing.T) {
	r := reader(t)
	look, _ := card()
	in := r.instance()
	r.start(t.Context(), in)
	if got, err := in.read(t.Context(), look, "No such format"); len(got) != 0 || !errors.Is(err, ErrProgram) {
		t.Errorf("got %d texts, %v", len(got), err)
	}
	if in.last != 0 || len(in.caught) != 0 {
		t.Errorf("an exception is left: %d, %d caught", in.last, len(in.caught))
	}
	if in.thrown == 0 {
		t.Error("nothing was thrown")
	}
	if got, err := in.read(t.Context(), look, "QRCode"); len(got) != 1 || err != nil {
		t.Errorf("after that: got %d texts, %v", len(got), err)
	}
	in.stop(t.Context())
	huge := Luminance{Pix: make([]byte, 257<<20), Width: 257 << 10, Height: 1 << 10}
	if _, err := r.Read(t.Context(), huge); !errors.Is(err, ErrProgram) {
		t.Errorf("more than the memory: got %v", err)
	}
	if got, err := r.Read(t.Context(), look); err != nil || len(got) != 1 {
		t.Errorf("after that: got %d texts, %v", len(got), err)
	}
}

// TestImports: each name in the tables is one of the program's, and what is not
// in them is an invoke.
func TestImports(t *testing.T) {
	ctx := t.Context()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = runtime.Close(ctx) }()
	code, err := runtime.CompileModule(ctx, program)
	if err != nil {
		t.Fatal(err)
	}
	exports, imports := code.ExportedFunctions(), map[string]bool{}
	for _, f := range code.ImportedFunctions() {
		module, name, _ := f.Import()
		imports[name] = true
		if _, known := hostFunctions[name]; module != "a" || !known && len(f.ParamTypes()) == 0 {
			t.Errorf("import %s.%s has no counterpart", module, name)
		}
	}
	for name := range hostFunctions {
		if !imports[name] {
			t.Errorf("%s is not imported", name)
		}
	}
	for name, export := range direct {
		if !imports[name] || exports[export] == nil {
			t.Errorf("%s to %s leads nowhere", name, export)
		}
	}
}

// TestSameFileAsThePage: the program is the one that the page loads.
func TestSameFileAsThePage(t *testing.T) {
	theirs, err := os.ReadFile(filepath.Join("..", "..", "..", "web", "node_modules", "zxing-wasm", "dist", "reader", "zxing_reader.wasm"))
	if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("the page's packages are not here: make web")
	}
	if err != nil {
		t.Fatal(err)
	}
	if string(theirs) != string(program) {
		t.Error("the page reads with another program: docs/decisions/0031-the-readers-of-symbols.md says how to take a new one")
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		r, err := New(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	r := reader(b)
	look, _ := card()
	for b.Loop() {
		if _, err := r.Read(b.Context(), look); err != nil {
			b.Fatal(err)
		}
	}
}

// TestKept: the compiled program is read from the folder where it was kept; one that
// was damaged, or a folder that others may write to, is done without.
func TestKept(t *testing.T) {
	symbols := func(cache string) {
		t.Helper()
		r, err := New(t.Context(), cache)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(t.Context(), Luminance{Pix: make([]byte, 64), Width: 8, Height: 8}); err != nil {
			t.Error(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "programs")
	kept := func() (all []string) {
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		return all
	}
	symbols(dir)
	first := kept()
	if len(first) == 0 {
		t.Fatal("nothing was kept")
	}
	symbols(dir)
	if again := kept(); !slices.Equal(first, again) {
		t.Errorf("kept %q, and then %q", first, again)
	}
	for _, name := range first {
		if err := os.Truncate(name, 1000); err != nil {
			t.Fatal(err)
		}
	}
	symbols(dir)
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	symbols(open)
	if entries, err := os.ReadDir(open); err != nil || len(entries) > 0 {
		t.Errorf("%d entries in a folder of everybody's, %v", len(entries), err)
	}
}
