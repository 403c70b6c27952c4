// Package zxing reads QR symbols with ZXing-C++, in the WebAssembly program that
// the officers' page runs: the file is that of the npm package zxing-wasm, byte
// for byte, so that the page and this process cannot disagree about a picture.
// The program runs inside of this process and can reach nothing but the memory
// that it is given (docs/decisions/0031-the-readers-of-symbols.md). What a
// picture is, and which of several symbols was meant, is left to package picture.
package zxing

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/safeconduct/safeconduct/internal/files"
)

//go:embed zxing_reader.wasm
var program []byte

// digest is the SHA-256 of the program. The names in emscripten.go are those of
// this file and of no other.
const digest = "e8af31edb56d0522f4de74495839385ef019ba8bc90d38e5ecb2f18795d86fb2"

// maxMemory is what the program may have, in pages of 64 KiB: 256 MiB.
const maxMemory = 4096

// maxSymbols is how many symbols are looked for in one picture.
const maxSymbols = 8

// ErrProgram says that the program went wrong, and not that a picture has no
// symbol in it.
var ErrProgram = errors.New("zxing: the reader went wrong")

// A Luminance is a picture in grey: one byte for each pixel, row after row, 0 is
// black.
type Luminance struct {
	Pix           []byte
	Width, Height int
}

// A Reader holds the compiled program. It can be used by several goroutines,
// which wait for each other.
type Reader struct {
	runtime        wazero.Runtime
	cache          wazero.CompilationCache // nil if nothing is kept
	code, indirect wazero.CompiledModule

	mu  sync.Mutex
	now *instance // the one that the host functions below serve
}

// New compiles the program, which takes about half a second on amd64 and arm64.
// Elsewhere it is interpreted, and slow. What it is compiled to is kept in the folder
// cache, made where there is none, and read from there the next time; "" keeps
// nothing. A folder in which others may write is not used: what lies in it is run.
func New(ctx context.Context, cache string) (*Reader, error) {
	if cache != "" && files.Own(cache) {
		if r, err := compiled(ctx, cache); err == nil || ctx.Err() != nil {
			return r, err
		}
		// A full disk, or a file that was damaged: it goes without.
	}
	return compiled(ctx, "")
}

func compiled(ctx context.Context, cache string) (*Reader, error) {
	if sum := sha256.Sum256(program); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%w: not the program that this was written for", ErrProgram)
	}
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(maxMemory)
	r := &Reader{}
	if cache != "" {
		var err error
		if r.cache, err = wazero.NewCompilationCacheWithDir(cache); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProgram, err)
		}
		config = config.WithCompilationCache(r.cache)
	}
	r.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrProgram, err), r.Close(ctx))
	}
	return r, nil
}

func (r *Reader) prepare(ctx context.Context) (err error) {
	if r.code, err = r.runtime.CompileModule(ctx, program); err != nil {
		return err
	}
	imports := r.code.ImportedFunctions()
	if r.indirect, err = r.runtime.CompileModule(ctx, indirectCalls(imports)); err != nil {
		return err
	}
	return r.host(ctx, imports)
}

// Close gives the memory back.
func (r *Reader) Close(ctx context.Context) error {
	err := r.runtime.Close(ctx)
	if r.cache != nil {
		err = errors.Join(err, r.cache.Close(ctx))
	}
	return err
}

// Read returns the text of every QR symbol that could be read in a picture. Each
// picture gets an instance of its own, so nothing is left of the one before. It
// ends with the context.
func (r *Reader) Read(ctx context.Context, l Luminance) (texts []string, err error) {
	if l.Width < 1 || l.Height < 1 || len(l.Pix) != l.Width*l.Height {
		return nil, fmt.Errorf("%w: %d bytes are no picture of %d × %d", ErrProgram, len(l.Pix), l.Width, l.Height)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		// Calls into the program panic where it does: no step could go on.
		if p := recover(); p != nil {
			cause, ok := p.(error)
			if !ok {
				cause = fmt.Errorf("%v", p)
			}
			texts, err = nil, fmt.Errorf("%w: %w", ErrProgram, cause)
		}
	}()
	in := r.instance()
	defer in.stop(ctx)
	r.start(ctx, in)
	return in.read(ctx, l, "QRCode")
}

// instance is what the host functions serve from now on.
func (r *Reader) instance() *instance {
	r.now = &instance{idle: idle{}, objects: map[uint32]*object{}, types: map[uint32]kind{}, functions: map[string]function{}}
	return r.now
}

// start gives an instance its memory, and lets the program say what it can do.
func (r *Reader) start(ctx context.Context, in *instance) {
	var err error
	// The program needs its memory before it runs, and the little module beside
	// it needs the program's table.
	if in.code, err = r.runtime.InstantiateModule(ctx, r.code, wazero.NewModuleConfig().WithName(codeName).WithStartFunctions()); err != nil {
		panic(err)
	}
	in.memory = in.code.Memory()
	if in.indirect, err = r.runtime.InstantiateModule(ctx, r.indirect, wazero.NewModuleConfig().WithName("")); err != nil {
		panic(err)
	}
	in.call(ctx, exportStart)
}

// An instance is the program with a memory of its own.
type instance struct {
	code, indirect api.Module
	memory         api.Memory
	exceptions
	idle idle

	// What the program has registered: see embind.go.
	objects   map[uint32]*object
	types     map[uint32]kind
	functions map[string]function
	callers   []caller
	texts     []string // of the results that came out
	failed    error    // what came out instead of results
}

// stop gives the memory back, however far start came.
func (in *instance) stop(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // that it is over may be why this stops
	for _, m := range []api.Module{in.indirect, in.code} {
		if m != nil {
			_ = m.Close(ctx)
		}
	}
}

// options are those of web/src/check/reading.ts, and the package's own defaults
// for what is not set there. What is left out is 0.
var options = map[string]uint32{
	"tryHarder":             1,
	"tryRotate":             1,
	"tryInvert":             1,
	"tryDownscale":          1,
	"downscaleThreshold":    500,
	"downscaleFactor":       3,
	"minLineCount":          2,
	"maxNumberOfSymbols":    maxSymbols,
	"tryCode39ExtendedMode": 1,
}

// read is one call of readBarcodesFromPixmap.
func (in *instance) read(ctx context.Context, l Luminance, formats string) ([]string, error) {
	pixels := in.allocate(ctx, l.Pix)
	f := in.function("readBarcodesFromPixmap")
	given := in.object(f.types[len(f.types)-1])
	o := in.make(ctx, given)
	for _, field := range given.fields {
		value := uint64(options[field.name])
		if field.name == "formats" {
			value = in.newString(ctx, formats)
		}
		in.callTable(ctx, field.setter, uint64(field.setterContext), o, value)
	}
	results := in.callTable(ctx, f.invoker, f.context, pixels, uint64(l.Width), uint64(l.Height), o) //nolint:gosec // sides of a picture, never negative
	count := in.callMember(ctx, "size", results)
	for i := range count {
		in.callMember(ctx, "get", results, i) // which arrives in invoke
	}
	texts, failed := in.texts, in.failed
	in.texts, in.failed = nil, nil
	return texts, failed
}
