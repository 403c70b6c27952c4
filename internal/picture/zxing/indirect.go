package zxing

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/tetratelabs/wazero/api"
)

// codeName is the name under which the program can be imported from.
const codeName = "zxing"

// A program made by Emscripten calls through its host wherever an exception may
// have to be caught: invoke_vii(f, a, b) asks the host to call function f of the
// program's table with a and b. WebAssembly calls by table from inside alone, so
// the host needs a module that imports the table and has one function for each
// signature:
//
//	(func (export "(ii)") (param i32 i32 i32)
//	  local.get 1 local.get 2 local.get 0 call_indirect (type (func (param i32 i32))))
//
// indirectCalls writes that module for the signatures that the imports have after
// their first parameter, and for those of embind's own functions.
func indirectCalls(imports []api.FunctionDefinition) []byte {
	signatures := map[string]signature{}
	add := func(params, results []api.ValueType) {
		s := signature{params, results}
		signatures[s.String()] = s
	}
	for _, f := range imports {
		if p := f.ParamTypes(); len(p) > 0 && p[0] == api.ValueTypeI32 {
			add(p[1:], f.ResultTypes())
		}
	}
	words := make([]api.ValueType, maxWords)
	for i := range words {
		words[i] = api.ValueTypeI32
	}
	for n := range len(words) + 1 {
		add(words[:n], nil)
		add(words[:n], words[:1])
	}

	var types, functions, exports, code vector
	for _, name := range slices.Sorted(maps.Keys(signatures)) { // always the same module
		s := signatures[name]
		n := uint32(types.count) //nolint:gosec // a few dozen
		types.add(s.encode())
		types.add(signature{append([]api.ValueType{api.ValueTypeI32}, s.params...), s.results}.encode())
		functions.add(number(n + 1))
		exports.add(text(name), []byte{0x00}, number(uint32(functions.count-1))) //nolint:gosec // as above
		body := []byte{0x00}                                                     // no locals
		for i := range s.params {
			body = append(append(body, 0x20), number(uint32(i+1))...)
		}
		body = append(append(append(body, 0x20, 0x00, 0x11), number(n)...), 0x00, 0x0b)
		code.add(number(uint32(len(body))), body) //nolint:gosec // as above
	}
	var table vector
	table.add(text(codeName), text(exportTable), []byte{0x01, 0x70, 0x00, 0x00})

	// WebAssembly Core §5.5: magic, version, and sections in the order of their ids.
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id byte
		vector
	}{{1, types}, {2, table}, {3, functions}, {7, exports}, {10, code}} {
		content := append(number(uint32(s.count)), s.bytes...)                                     //nolint:gosec // as above
		module = append(append(append(module, s.id), number(uint32(len(content)))...), content...) //nolint:gosec // as above
	}
	return module
}

// maxWords is how many parameters of 32 bits embind's functions have at most.
const maxWords = 6

// A signature names the types of a function, as WebAssembly writes them.
type signature struct{ params, results []api.ValueType }

// String is the name that a signature is exported by.
func (s signature) String() string {
	name := "("
	for _, t := range s.params {
		name += api.ValueTypeName(t) + " "
	}
	name += ")"
	for _, t := range s.results {
		name += api.ValueTypeName(t)
	}
	return name
}

// encode writes a function type (WebAssembly Core §5.3.6).
func (s signature) encode() []byte {
	b := append([]byte{0x60}, number(uint32(len(s.params)))...)                                    //nolint:gosec // a dozen
	return append(append(append(b, s.params...), number(uint32(len(s.results)))...), s.results...) //nolint:gosec // as above
}

// A vector is WebAssembly's: a count, and that many things after each other.
type vector struct {
	count int
	bytes []byte
}

func (v *vector) add(parts ...[]byte) {
	v.count++
	for _, p := range parts {
		v.bytes = append(v.bytes, p...)
	}
}

// number is an unsigned LEB128.
func number(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func text(s string) []byte { return append(number(uint32(len(s))), s...) } //nolint:gosec // short
