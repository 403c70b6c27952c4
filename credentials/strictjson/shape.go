package strictjson

import (
	"cmp"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// shape is which members a Go value has fields for: those of a struct, or of the
// structs in a slice. It is nil for values whose members nobody looks at, such as
// maps and raw JSON.
type shape struct{ members map[string]*shape }

// member returns the shape of a member's value, and whether there is a field.
func (s *shape) member(name string) (*shape, bool) {
	if s == nil {
		return nil, false
	}
	inner, there := s.members[name]
	return inner, there
}

// inAnotherCase reports whether encoding/json would take name for a field that
// has another name.
func (s *shape) inAnotherCase(name string) bool {
	if s == nil {
		return false
	}
	for known := range s.members {
		if strings.EqualFold(known, name) {
			return true
		}
	}
	return false
}

// shapes are those that were asked for before, by their type.
var shapes sync.Map

var (
	rawMessage  = reflect.TypeFor[json.RawMessage]()
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// shapeOf returns the shape of a type as encoding/json sees it.
func shapeOf(t reflect.Type) *shape {
	if known, there := shapes.Load(t); there {
		return known.(*shape) //nolint:forcetypeassert // nothing else is put there
	}
	s := buildShape(t, map[reflect.Type]*shape{})
	shapes.Store(t, s)
	return s
}

// buildShape is shapeOf; begun are the structs that it is inside of, which a type
// may lead back to.
func buildShape(t reflect.Type, begun map[reflect.Type]*shape) *shape {
	for t != nil && t != rawMessage && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	if s, there := begun[t]; there {
		return s
	}
	s := &shape{members: map[string]*shape{}}
	begun[t] = s
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || f.Anonymous && name == "" {
			continue
		}
		s.members[cmp.Or(name, f.Name)] = buildShape(f.Type, begun)
	}
	return s
}
