//go:build js && wasm

package main

import (
	"encoding/base64"
	"math"
	"syscall/js"
	"time"
)

// arguments are what JavaScript passed, read one after the other. The first
// one of the wrong kind is remembered by its name.
type arguments struct {
	values []js.Value
	wrong  string
}

func (a *arguments) refuse(name string) {
	if a.wrong == "" {
		a.wrong = name
	}
}

// next is the next argument; what was left out is undefined.
func (a *arguments) next() js.Value {
	if len(a.values) == 0 {
		return js.Undefined()
	}
	v := a.values[0]
	a.values = a.values[1:]
	return v
}

// maybe is a text, or nil for null and undefined.
func (a *arguments) maybe(name string) *string {
	v := a.next()
	switch v.Type() {
	case js.TypeNull, js.TypeUndefined:
		return nil
	case js.TypeString:
		s := v.String()
		return &s
	default:
		a.refuse(name)
		return nil
	}
}

func (a *arguments) text(name string) string {
	s := a.maybe(name)
	if s == nil {
		a.refuse(name)
		return ""
	}
	return *s
}

// whole is a number without a fraction, as large as JavaScript has them.
func (a *arguments) whole(name string) int {
	const safe = 1<<53 - 1
	v := a.next()
	if v.Type() != js.TypeNumber || v.Float() != math.Trunc(v.Float()) || math.Abs(v.Float()) > safe {
		a.refuse(name)
		return 0
	}
	return int(v.Float())
}

func (a *arguments) time(name string) time.Time {
	return time.Unix(int64(a.whole(name)), 0).UTC()
}

// object is an object's JSON text.
func (a *arguments) object(name string) []byte {
	v := a.next()
	if v.Type() != js.TypeObject {
		a.refuse(name)
		return nil
	}
	text := js.Global().Get("JSON").Call("stringify", v)
	if text.Type() != js.TypeString {
		a.refuse(name)
		return nil
	}
	return []byte(text.String())
}

// base64 is a byte string as JSON carries it.
func (a *arguments) base64(name string) []byte {
	b, err := base64.StdEncoding.Strict().DecodeString(a.text(name))
	if err != nil || len(b) == 0 {
		a.refuse(name)
		return nil
	}
	return b
}

// bytes is a Uint8Array, or nil for null and undefined.
func (a *arguments) bytes(name string) []byte {
	v := a.next()
	switch {
	case v.IsNull() || v.IsUndefined():
		return nil
	case !v.InstanceOf(js.Global().Get("Uint8Array")):
		a.refuse(name)
		return nil
	}
	b := make([]byte, v.Length())
	js.CopyBytesToGo(b, v)
	return b
}
