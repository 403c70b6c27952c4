package zxing

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

// Emscripten shortens names, and differently in each build. These are the
// program's exports, as dist/es/reader/index.js of the npm package has them.
const (
	exportStart          = "ra" // __wasm_call_ctors: runs once, first of all
	exportFree           = "ta"
	exportTable          = "ua"
	exportMalloc         = "va"
	exportExceptionPtr   = "wa" // __cxa_get_exception_ptr
	exportSetThrew       = "xa"
	exportSetTempRet     = "ya"
	exportRestoreStack   = "za"
	exportCurrentStack   = "Aa"
	exportIncrementCount = "Ba" // __cxa_increment_exception_refcount
	exportDecrementCount = "Ca" // __cxa_decrement_exception_refcount
	exportCanCatch       = "Da" // __cxa_can_catch
)

// direct names the two imports that call an export instead of a function of the
// table, because 64-bit numbers are split on their way.
var direct = map[string]string{"X": "Ea", "W": "Fa"}

// A hostFunction gets its parameters and gives its result. What is 32 bits wide
// has nothing above them.
type hostFunction func(in *instance, ctx context.Context, p []uint64) uint64

// hostFunctions are the imports that are not an invoke: C++ exceptions, memory,
// and embind, by which the program says what it can do. Those that are nil
// describe what nobody here asks for.
var hostFunctions = map[string]hostFunction{
	"r": (*instance).beginCatch,
	"J": (*instance).endCatch,
	"T": (*instance).rethrow,
	"q": (*instance).throw,
	"e": (*instance).resume,
	"a": (*instance).findCatch,
	"i": (*instance).findCatch,
	"l": (*instance).findCatch,
	"v": func(_ *instance, _ context.Context, p []uint64) uint64 { return p[0] }, // llvm_eh_typeid_for

	"Z": func(*instance, context.Context, []uint64) uint64 { panic(errAbort) },
	"_": (*instance).grow,

	"V":  (*instance).registerFunction,
	"E":  (*instance).registerMember,
	"F":  (*instance).registerObject,
	"oa": (*instance).registerField,
	"ha": (*instance).registerBool,
	"ga": (*instance).registerString,
	"I":  (*instance).makeCaller,
	"H":  (*instance).invoke,
	"C":  func(*instance, context.Context, []uint64) uint64 { return undefined }, // emval_get_global

	"na": nil, // finalize_value_object
	"la": nil, // register_class
	"ka": nil, // register_class_constructor
	"ja": nil, // register_iterable
	"Y":  nil, // register_bigint
	"x":  nil, // register_integer
	"U":  nil, // register_float
	"P":  nil, // register_std_wstring
	"s":  nil, // register_memory_view
	"ia": nil, // register_void
	"fa": nil, // register_emval
	"ma": nil, // register_optional
	"Q":  nil, // emval_incref
	"pa": nil, // emval_decref
	"aa": nil, // emval_run_destructors
}

var errAbort = errors.New("abort")

// host makes the module "a" that the program imports from.
func (r *Reader) host(ctx context.Context, imports []api.FunctionDefinition) error {
	const module = "a"
	b := r.runtime.NewHostModuleBuilder(module)
	for _, f := range imports {
		_, name, _ := f.Import()
		do, known := hostFunctions[name]
		switch {
		case !known:
			do = invoke(name, signature{f.ParamTypes(), f.ResultTypes()})
		case do == nil:
			do = func(*instance, context.Context, []uint64) uint64 { return 0 }
		}
		b.NewFunctionBuilder().WithGoFunction(r.serve(f, do), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// serve carries parameters and results between the program's stack and a
// function of ours. The upper half of a 32-bit value on that stack is not
// defined, and the program would take it for part of an address.
//
// The program calls its host all the time, so this is also where it is stopped
// when its time is over. To have every loop look for that, as wazero can, makes
// a picture take ten times as long.
func (r *Reader) serve(f api.FunctionDefinition, do hostFunction) api.GoFunc {
	params, results := f.ParamTypes(), f.ResultTypes()
	return func(ctx context.Context, stack []uint64) {
		if err := ctx.Err(); err != nil {
			panic(err)
		}
		p := make([]uint64, len(params))
		for i, t := range params {
			p[i] = narrow(t, stack[i])
		}
		result := do(r.now, ctx, p)
		for _, t := range results {
			stack[0] = narrow(t, result)
		}
	}
}

func narrow(t api.ValueType, v uint64) uint64 {
	if t == api.ValueTypeI32 || t == api.ValueTypeF32 {
		return v & 0xffff_ffff
	}
	return v
}

// call calls an export of the program whose result is of 32 bits, and panics
// where the program does.
func (in *instance) call(ctx context.Context, export string, params ...uint64) uint64 {
	result, err := in.idle.call(ctx, in.code, export, params)
	if err != nil {
		panic(err)
	}
	return narrow(api.ValueTypeI32, result)
}

// idle holds functions that are not running, by name. Each has a stack of its
// own, so one that is running cannot be called again, and making one for each of
// the twenty thousand calls that a picture takes costs more than the calls.
type idle map[string][]api.Function

func (i idle) call(ctx context.Context, m api.Module, export string, params []uint64) (uint64, error) {
	var f api.Function
	if n := len(i[export]); n > 0 {
		f, i[export] = i[export][n-1], i[export][:n-1]
	} else if f = m.ExportedFunction(export); f == nil {
		return 0, fmt.Errorf("the program has no %s", export)
	}
	results, err := f.Call(ctx, params...)
	if err != nil {
		return 0, err // what is left of its stack is not used again
	}
	i[export] = append(i[export], f)
	if len(results) == 0 {
		return 0, nil
	}
	return results[0], nil
}

// invoke is an import that calls into the program again, and lets the program
// know when an exception came out of that.
func invoke(name string, s signature) hostFunction {
	export := direct[name]
	if export == "" {
		s.params = s.params[1:]
	}
	byTable := s.String()
	return func(in *instance, ctx context.Context, p []uint64) uint64 {
		stack := in.call(ctx, exportCurrentStack)
		module, function := in.indirect, byTable
		if export != "" {
			module, function = in.code, export
		}
		result, err := in.idle.call(ctx, module, function, p)
		if err == nil {
			return result
		}
		if !errors.Is(err, errThrown) {
			panic(err)
		}
		in.call(ctx, exportRestoreStack, stack)
		in.call(ctx, exportSetThrew, 1, 0)
		return 0
	}
}

// grow is emscripten_resize_heap: more than was asked for while there is room,
// so that it is not asked for often.
func (in *instance) grow(_ context.Context, p []uint64) uint64 {
	const page = 1 << 16
	have := uint64(in.memory.Size())
	for _, more := range []uint64{have / 5, have / 20, 0} {
		want := max(p[0], have+more)
		if _, ok := in.memory.Grow(uint32((want - have + page - 1) / page)); ok { //nolint:gosec // both are of 32 bits
			return 1
		}
	}
	return 0
}

// exceptions is the state of C++ exceptions: the Itanium C++ ABI, as Emscripten
// keeps it. An exception is the address of what was thrown; what is known of it
// lies in 24 bytes before.
type exceptions struct {
	last   uint64   // thrown, and not yet caught
	thrown int      // how many there were
	caught []uint64 // the innermost last
}

// errThrown carries an exception through the frames between a throw and its
// invoke.
var errThrown = errors.New("thrown")

// Places in the 24 bytes before an exception.
const (
	headSize       = 24
	headType       = 4
	headDestructor = 8
	headCaught     = 12
	headRethrown   = 13
	headAdjusted   = 16
)

func (in *instance) head(exception uint64, at uint32) uint32 {
	return uint32(exception) - headSize + at //nolint:gosec // an address of 32 bits
}

// throw is __cxa_throw.
func (in *instance) throw(ctx context.Context, p []uint64) uint64 {
	in.putWord(in.head(p[0], headAdjusted), 0)
	in.putWord(in.head(p[0], headType), uint32(p[1]))       //nolint:gosec // narrowed
	in.putWord(in.head(p[0], headDestructor), uint32(p[2])) //nolint:gosec // narrowed
	in.call(ctx, exportIncrementCount, p[0])
	in.last = p[0]
	in.thrown++
	panic(errThrown)
}

// rethrow is __cxa_rethrow.
func (in *instance) rethrow(ctx context.Context, _ []uint64) uint64 {
	if len(in.caught) == 0 {
		panic(errAbort)
	}
	e := in.caught[len(in.caught)-1]
	if in.byteAt(in.head(e, headRethrown)) != 0 {
		in.caught = in.caught[:len(in.caught)-1]
	} else {
		in.putByte(in.head(e, headRethrown), 1)
		in.putByte(in.head(e, headCaught), 0)
	}
	in.call(ctx, exportIncrementCount, e)
	in.last = e
	panic(errThrown)
}

// resume is __resumeException: on to the next frame.
func (in *instance) resume(_ context.Context, p []uint64) uint64 {
	if in.last == 0 {
		in.last = p[0]
	}
	panic(errThrown)
}

// beginCatch is __cxa_begin_catch.
func (in *instance) beginCatch(ctx context.Context, p []uint64) uint64 {
	in.putByte(in.head(p[0], headCaught), 1)
	in.putByte(in.head(p[0], headRethrown), 0)
	in.caught = append(in.caught, p[0])
	return in.call(ctx, exportExceptionPtr, p[0])
}

// endCatch is __cxa_end_catch.
func (in *instance) endCatch(ctx context.Context, _ []uint64) uint64 {
	if len(in.caught) == 0 {
		panic(errAbort)
	}
	in.call(ctx, exportSetThrew, 0, 0)
	e := in.caught[len(in.caught)-1]
	in.caught = in.caught[:len(in.caught)-1]
	in.call(ctx, exportDecrementCount, e)
	in.last = 0
	return 0
}

// findCatch is __cxa_find_matching_catch: which of the types in p catches what
// was thrown.
func (in *instance) findCatch(ctx context.Context, p []uint64) uint64 {
	found := func(exception, kind uint64) uint64 {
		in.call(ctx, exportSetTempRet, kind)
		return exception
	}
	if in.last == 0 {
		return found(0, 0)
	}
	adjusted := in.head(in.last, headAdjusted)
	in.putWord(adjusted, uint32(in.last)) //nolint:gosec // an address of 32 bits
	thrown := uint64(in.word(in.head(in.last, headType)))
	if thrown == 0 {
		return found(in.last, 0)
	}
	for _, kind := range p {
		if kind == 0 || kind == thrown {
			break
		}
		if in.call(ctx, exportCanCatch, kind, thrown, uint64(adjusted)) != 0 {
			return found(in.last, kind)
		}
	}
	return found(in.last, thrown)
}

// What follows reads and writes the program's memory, and panics outside of it.

func (in *instance) word(at uint32) uint32 {
	v, ok := in.memory.ReadUint32Le(at)
	in.inside(ok)
	return v
}

func (in *instance) putWord(at, v uint32) { in.inside(in.memory.WriteUint32Le(at, v)) }

func (in *instance) byteAt(at uint32) byte {
	v, ok := in.memory.ReadByte(at)
	in.inside(ok)
	return v
}

func (in *instance) putByte(at uint32, v byte) { in.inside(in.memory.WriteByte(at, v)) }

func (in *instance) inside(ok bool) {
	if !ok {
		panic(fmt.Errorf("outside of %d bytes of memory", in.memory.Size()))
	}
}
