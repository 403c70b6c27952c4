package zxing

import (
	"context"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// The program describes itself when it starts: functions, objects with their
// fields, and how each is called. That is Emscripten's embind, of which this file
// has what reading symbols takes. What is called by a number is an entry of the
// program's table.

// undefined is embind's handle for no value: what results hold besides their text
// is not looked at.
const undefined = 2

// kind tells apart the types that fields of results have, as far as they are read.
type kind int

const (
	other kind = iota
	boolean
	utf8
)

// An entry is a place in the program's table, and the signature of what is there.
type entry struct {
	signature string
	at        uint32
}

// A function is what the program lets others call.
type function struct {
	types   []uint32 // of the result, then of each parameter
	invoker entry
	context uint64 // its first argument
}

// An object has fields, as a struct has.
type object struct {
	name        string
	constructor entry
	destructor  entry
	fields      []field
}

type field struct {
	name                         string
	kind                         uint32
	getter, setter               entry
	getterContext, setterContext uint32
}

// A caller turns values of the program into values of its host.
type caller struct {
	cast  bool
	types []uint32
}

// registerFunction is embind_register_function.
func (in *instance) registerFunction(_ context.Context, p []uint64) uint64 {
	in.functions[name(in.cString(p[0]))] = function{types: in.words(p[2], p[1]), invoker: in.entry(p[3], p[4]), context: p[5]}
	return 0
}

// registerMember is embind_register_class_function. One class has members, the
// list of results, so their names are enough.
func (in *instance) registerMember(_ context.Context, p []uint64) uint64 {
	in.functions[name(in.cString(p[1]))] = function{types: in.words(p[3], p[2]), invoker: in.entry(p[4], p[5]), context: p[6]}
	return 0
}

// name is what stands before the parameters that embind may write behind it.
func name(s string) string {
	s, _, _ = strings.Cut(s, "(")
	return s
}

// registerObject is embind_register_value_object.
func (in *instance) registerObject(_ context.Context, p []uint64) uint64 {
	in.objects[uint32(p[0])] = &object{name: in.cString(p[1]), constructor: in.entry(p[2], p[3]), destructor: in.entry(p[4], p[5])} //nolint:gosec // narrowed
	return 0
}

// registerField is embind_register_value_object_field.
func (in *instance) registerField(_ context.Context, p []uint64) uint64 {
	o := in.object(uint32(p[0])) //nolint:gosec // narrowed
	o.fields = append(o.fields, field{
		name: in.cString(p[1]), kind: uint32(p[2]), //nolint:gosec // narrowed
		getter: in.entry(p[3], p[4]), getterContext: uint32(p[5]), //nolint:gosec // narrowed
		setter: in.entry(p[7], p[8]), setterContext: uint32(p[9]), //nolint:gosec // narrowed
	})
	return 0
}

// registerBool is embind_register_bool.
func (in *instance) registerBool(_ context.Context, p []uint64) uint64 {
	in.types[uint32(p[0])] = boolean //nolint:gosec // narrowed
	return 0
}

// registerString is embind_register_std_string.
func (in *instance) registerString(_ context.Context, p []uint64) uint64 {
	in.types[uint32(p[0])] = utf8 //nolint:gosec // narrowed
	return 0
}

// makeCaller is emval_create_invoker.
func (in *instance) makeCaller(_ context.Context, p []uint64) uint64 {
	const cast = 3
	in.callers = append(in.callers, caller{cast: p[2] == cast, types: in.words(p[1], p[0])})
	return uint64(len(in.callers) - 1) //nolint:gosec // one was added a line ago
}

// invoke is emval_invoke. A cast of a result is the result itself, on its way
// out; everything else makes arrays that nobody here wants.
func (in *instance) invoke(ctx context.Context, p []uint64) uint64 {
	if p[0] >= uint64(len(in.callers)) {
		panic(errAbort)
	}
	if c := in.callers[p[0]]; c.cast && len(c.types) == 2 && in.objects[c.types[1]] != nil {
		in.takeResult(ctx, in.objects[c.types[1]], uint64(in.word(uint32(p[4])))) //nolint:gosec // narrowed
	}
	return api.EncodeF64(undefined)
}

// takeResult keeps the text of a result, and destroys the result. One that is not
// valid says what went wrong: an exception, for a symbol that could not be read is
// no result.
func (in *instance) takeResult(ctx context.Context, o *object, at uint64) {
	var text, wrong string
	valid := false
	for _, f := range o.fields {
		get := func() uint64 { return in.callTable(ctx, f.getter, uint64(f.getterContext), at) }
		switch {
		case f.name == "isValid" && in.types[f.kind] == boolean:
			valid = get() != 0
		case f.name == "text" && in.types[f.kind] == utf8:
			text = in.takeString(ctx, get())
		case f.name == "error" && in.types[f.kind] == utf8:
			wrong = in.takeString(ctx, get())
		}
	}
	in.callTable(ctx, o.destructor, at)
	if valid {
		in.texts = append(in.texts, text)
	} else {
		in.failed = fmt.Errorf("%w: %s", ErrProgram, wrong)
	}
}

func (in *instance) function(name string) function {
	f, ok := in.functions[name]
	if !ok {
		panic(fmt.Errorf("the program has no %s", name))
	}
	return f
}

func (in *instance) object(id uint32) *object {
	o := in.objects[id]
	if o == nil {
		panic(fmt.Errorf("the program has no object %d", id))
	}
	return o
}

// make makes an object without values.
func (in *instance) make(ctx context.Context, o *object) uint64 {
	return in.callTable(ctx, o.constructor)
}

// callMember calls a member of the list of results.
func (in *instance) callMember(ctx context.Context, name string, self uint64, params ...uint64) uint64 {
	f := in.function(name)
	return in.callTable(ctx, f.invoker, append([]uint64{f.context, self}, params...)...)
}

// callTable calls an entry of the program's table.
func (in *instance) callTable(ctx context.Context, e entry, params ...uint64) uint64 {
	var s signature
	for i, c := range e.signature {
		switch {
		case i == 0 && c == 'v':
		case c != 'i' && c != 'p': // a number or an address, of 32 bits both
			panic(fmt.Errorf("signature %q", e.signature))
		case i == 0:
			s.results = []api.ValueType{api.ValueTypeI32}
		default:
			s.params = append(s.params, api.ValueTypeI32)
		}
	}
	if len(params) != len(s.params) {
		panic(fmt.Errorf("%d parameters for %q", len(params), e.signature))
	}
	result, err := in.idle.call(ctx, in.indirect, s.String(), append([]uint64{uint64(e.at)}, params...))
	if err != nil {
		panic(err)
	}
	return narrow(api.ValueTypeI32, result)
}

func (in *instance) entry(signature, at uint64) entry {
	return entry{signature: in.cString(signature), at: uint32(at)} //nolint:gosec // narrowed
}

// words reads count numbers.
func (in *instance) words(at, count uint64) []uint32 {
	w := make([]uint32, count)
	for i := range w {
		w[i] = in.word(uint32(at) + 4*uint32(i)) //nolint:gosec // narrowed
	}
	return w
}

// cString reads text up to a zero, as names and signatures are kept.
func (in *instance) cString(at uint64) string {
	var b []byte
	for {
		c := in.byteAt(uint32(at)) //nolint:gosec // narrowed
		if c == 0 {
			return string(b)
		}
		b = append(b, c)
		at++
	}
}

// newString writes text as embind gives it: its length, the bytes, a zero.
func (in *instance) newString(ctx context.Context, s string) uint64 {
	b := append([]byte{byte(len(s)), 0, 0, 0}, s...) //nolint:gosec // names of formats, a few letters
	return in.allocate(ctx, append(b, 0))
}

// takeString reads text and gives its memory back.
func (in *instance) takeString(ctx context.Context, at uint64) string {
	const most = 1 << 16        // a QR symbol holds 7,089 digits at most
	size := in.word(uint32(at)) //nolint:gosec // narrowed
	if size > most {
		panic(errAbort)
	}
	b, ok := in.memory.Read(uint32(at)+4, size) //nolint:gosec // narrowed
	in.inside(ok)
	s := string(b)
	in.call(ctx, exportFree, at)
	return s
}

// allocate puts bytes into the program's memory.
func (in *instance) allocate(ctx context.Context, b []byte) uint64 {
	at := narrow(api.ValueTypeI32, in.call(ctx, exportMalloc, uint64(len(b))))
	if at == 0 {
		panic(fmt.Errorf("no room for %d bytes", len(b)))
	}
	in.inside(in.memory.Write(uint32(at), b)) //nolint:gosec // narrowed
	return at
}
