package invalid

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Tidy drops what cannot be seen at both ends of every private text in the
// struct that v points to, and ends its lines with line feeds. A telephone's
// keyboard leaves a blank after a name, a contact copied from one is wrapped in
// marks of direction, and a form in a browser ends lines as Windows does; none of
// it is part of the text, and nobody is sent away because of it. What else stands
// inside a text stays as it is.
//
// It is for whoever reads an input, before it is checked.
func Tidy(v any) { tidy(reflect.ValueOf(v)) }

func tidy(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			tidy(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			tidy(v.Index(i))
		}
	case reflect.Struct:
		if text, ok := v.Interface().(private.String); ok {
			given := text.Reveal()
			if tidied := Trim(lineEnds.Replace(given)); tidied != given {
				v.Set(reflect.ValueOf(private.New(tidied)))
			}
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				tidy(f)
			}
		}
	default: // codes, days, numbers: written in one way only
	}
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// Trim returns s without what cannot be seen at its ends: white space, the word
// break, and marks of direction. The two joiners stay, for they change how the
// letter before them is written.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
	})
}
