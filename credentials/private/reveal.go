package private

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// RevealJSON encodes v as encoding/json would, but with every String written
// as the text it holds: behind pointers, in slices, maps, structs and
// interfaces. It is the one way to put a struct with such values on a wire or
// under encryption, and easy to find. Types with an own MarshalJSON or
// MarshalText speak for themselves.
//
// A map whose keys are Strings is ErrReveal: keys of a map are for looking up.
func RevealJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := reveal(&b, reflect.ValueOf(v), 0); err != nil {
		return nil, fmt.Errorf("private: encode: %w", err)
	}
	return b.Bytes(), nil
}

var (
	stringType    = reflect.TypeFor[String]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
	zeroerType    = reflect.TypeFor[zeroer]()
)

// maxNesting stops values that contain themselves, which encoding/json refuses
// as well.
const maxNesting = 1000

var errNesting = errors.New("nested too deeply")

// reveal writes one value. Whatever cannot hold a String is left to
// encoding/json, so that only the way down to Strings is ours.
func reveal(b *bytes.Buffer, v reflect.Value, depth int) error {
	if depth > maxNesting {
		return errNesting
	}
	if !v.IsValid() {
		b.WriteString("null")
		return nil
	}
	t := v.Type()
	if t == stringType {
		return plain(b, v.Interface().(String).Reveal())
	}
	if !holds(t) && v.CanInterface() {
		return plain(b, addressed(v))
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("null")
			return nil
		}
		return reveal(b, v.Elem(), depth+1)
	case reflect.Slice:
		if v.IsNil() {
			b.WriteString("null")
			return nil
		}
		return revealArray(b, v, depth)
	case reflect.Array:
		return revealArray(b, v, depth)
	case reflect.Map:
		return revealMap(b, v, depth)
	case reflect.Struct:
		return revealStruct(b, v, depth)
	default:
		return fmt.Errorf("type %s: %w", t, ErrReveal)
	}
}

// addressed returns v in the form in which encoding/json would find a method
// of its pointer.
func addressed(v reflect.Value) any {
	if v.CanAddr() && v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
		return v.Addr().Interface()
	}
	return v.Interface()
}

func plain(b *bytes.Buffer, v any) error {
	raw, err := json.Marshal(v)
	b.Write(raw)
	return err
}

func revealArray(b *bytes.Buffer, v reflect.Value, depth int) error {
	b.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := reveal(b, v.Index(i), depth+1); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func revealMap(b *bytes.Buffer, v reflect.Value, depth int) error {
	if v.IsNil() {
		b.WriteString("null")
		return nil
	}
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key, err := mapKey(it.Key())
		if err != nil {
			return err
		}
		entries = append(entries, entry{key, it.Value()})
	}
	slices.SortFunc(entries, func(x, y entry) int { return cmp.Compare(x.key, y.key) })
	b.WriteByte('{')
	for i, e := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := plain(b, e.key); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := reveal(b, e.value, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// mapKey names a key as encoding/json does.
func mapKey(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String {
		return k.String(), nil
	}
	if k.Type().Implements(textType) {
		if k.Kind() == reflect.Pointer && k.IsNil() {
			return "", nil
		}
		text, err := k.Interface().(encoding.TextMarshaler).MarshalText()
		return string(text), err
	}
	if k.CanInt() || k.CanUint() {
		return fmt.Sprint(k.Interface()), nil
	}
	return "", fmt.Errorf("map key of type %s: %w", k.Type(), errors.ErrUnsupported)
}

func revealStruct(b *bytes.Buffer, v reflect.Value, depth int) error {
	b.WriteByte('{')
	first := true
	for _, f := range fieldsOf(v.Type()) {
		value, there := f.in(v)
		if !there || f.omitEmpty && empty(value) || f.omitZero && zero(value) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		if err := plain(b, f.name); err != nil {
			return err
		}
		b.WriteByte(':')
		write := reveal
		if f.quoted {
			write = revealQuoted
		}
		if err := write(b, value, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// revealQuoted obeys the tag option "string": the JSON of a text, a number or
// a truth stands in a string of its own.
func revealQuoted(b *bytes.Buffer, v reflect.Value, depth int) error {
	var inner bytes.Buffer
	if err := reveal(&inner, v, depth); err != nil {
		return err
	}
	if inner.String() == "null" {
		b.WriteString("null")
		return nil
	}
	return plain(b, inner.String())
}

// empty is what the tag option "omitempty" asks of encoding/json. An empty
// String counts as the empty text it stands for.
func empty(v reflect.Value) bool {
	if v.Type() == stringType {
		return v.Interface().(String).IsZero()
	}
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// zero is what the tag option "omitzero" asks: IsZero if the type has it. A
// pointer to a String counts as the pointer to a text it stands for.
func zero(v reflect.Value) bool {
	t := v.Type()
	switch {
	case t == reflect.PointerTo(stringType):
		return v.IsNil()
	case t.Implements(zeroerType):
		if t.Kind() == reflect.Pointer && v.IsNil() || t.Kind() == reflect.Interface && (v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil()) {
			return true
		}
		return v.Interface().(zeroer).IsZero()
	case reflect.PointerTo(t).Implements(zeroerType):
		box := reflect.New(t)
		box.Elem().Set(v)
		return box.Interface().(zeroer).IsZero()
	default:
		return v.IsZero()
	}
}

type zeroer interface{ IsZero() bool }

// holds reports whether a value of type t can hold a String that encoding/json
// would come to.
func holds(t reflect.Type) bool {
	if known, ok := holding.Load(t); ok {
		return known.(bool)
	}
	found := search(t, map[reflect.Type]bool{})
	holding.Store(t, found)
	return found
}

var holding sync.Map // of reflect.Type to bool

func search(t reflect.Type, passed map[reflect.Type]bool) bool {
	switch {
	case t == stringType:
		return true
	case passed[t]:
		return false
	case t.Kind() == reflect.Interface:
		return true // what is in it, is seen when it is there
	// *String has the methods of String; other types that encode themselves
	// are left alone.
	case t != reflect.PointerTo(stringType) && (speaks(t) || t.Kind() != reflect.Pointer && speaks(reflect.PointerTo(t))):
		return false
	}
	passed[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return search(t.Elem(), passed)
	case reflect.Struct:
		return slices.ContainsFunc(fieldsOf(t), func(f field) bool { return search(f.typ, passed) })
	default:
		return false
	}
}

func speaks(t reflect.Type) bool { return t.Implements(marshalerType) || t.Implements(textType) }

// field is one member of a struct as encoding/json sees it.
type field struct {
	name                        string
	index                       []int
	typ                         reflect.Type
	tagged                      bool
	omitEmpty, omitZero, quoted bool
}

// in returns the field's value in v; there is none behind a nil pointer to an
// embedded struct.
func (f field) in(v reflect.Value) (reflect.Value, bool) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

var known sync.Map // of reflect.Type to []field

// fieldsOf lists the members of a struct type in the order of its fields, by
// the rules of encoding/json: of fields with one name the least deep wins, of
// those the one with a tag, and if that leaves several, none.
func fieldsOf(t reflect.Type) []field {
	if fields, ok := known.Load(t); ok {
		return fields.([]field)
	}
	byName := map[string][]field{}
	for _, f := range collect(t, nil, map[reflect.Type]bool{}) {
		byName[f.name] = append(byName[f.name], f)
	}
	var out []field
	for _, same := range byName {
		if f, ok := dominant(same); ok {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(x, y field) int { return slices.Compare(x.index, y.index) })
	known.Store(t, out)
	return out
}

func dominant(same []field) (field, bool) {
	slices.SortStableFunc(same, func(x, y field) int {
		if d := cmp.Compare(len(x.index), len(y.index)); d != 0 {
			return d
		}
		switch {
		case x.tagged == y.tagged:
			return 0
		case x.tagged:
			return -1
		default:
			return 1
		}
	})
	if len(same) > 1 && len(same[0].index) == len(same[1].index) && same[0].tagged == same[1].tagged {
		return field{}, false
	}
	return same[0], true
}

// collect lists all candidates, those of embedded structs included.
func collect(t reflect.Type, index []int, open map[reflect.Type]bool) []field {
	if open[t] {
		return nil // a struct that embeds itself adds nothing
	}
	open[t] = true
	defer delete(open, t)
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		inner := sf.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		embedded := sf.Anonymous && inner.Kind() == reflect.Struct
		if !sf.IsExported() && !embedded {
			continue
		}
		tag := sf.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !validName(name) {
			name = ""
		}
		at := append(slices.Clone(index), i)
		if embedded && name == "" {
			out = append(out, collect(inner, at, open)...)
			continue
		}
		f := field{name: name, index: at, typ: sf.Type, tagged: name != ""}
		if name == "" {
			f.name = sf.Name
		}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
			case "string":
				f.quoted = quotable(inner)
			}
		}
		out = append(out, f)
	}
	return out
}

func quotable(t reflect.Type) bool {
	if t != stringType && (speaks(t) || speaks(reflect.PointerTo(t))) {
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	default:
		return t == stringType
	}
}

// validName is encoding/json's idea of a name in a tag.
func validName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}
