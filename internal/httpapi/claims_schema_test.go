package httpapi

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	contract "github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/vault"
)

var update = flag.Bool("update", false, "rewrite the claims in docs/api/openapi.yaml, and docs/rights.md")

const contractFile = "../../docs/api/openapi.yaml"

// TestClaimsSchemas keeps the contract and the rooms at one set of claims and
// of document members: the same names, the same code lists, nothing besides.
func TestClaimsSchemas(t *testing.T) {
	want := claimsSchemas(t)
	before, rest, ok := bytes.Cut(contract.Contract, []byte("    # BEGIN\n"))
	got, after, ok2 := bytes.Cut(rest, []byte("    # END\n"))
	if !ok || !ok2 {
		t.Fatal("the contract has no place for claims")
	}
	if *update {
		all := slices.Concat(before, []byte("    # BEGIN\n"), want, []byte("    # END\n"), after)
		if err := os.WriteFile(contractFile, all, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/api/openapi.yaml does not hold the claims of package credentials: run with -update, then go generate")
	}
	if n := bytes.Count(got, []byte("x-vocabulary")); n < 30 {
		t.Errorf("got %d code lists, want at least 30: the reading of tags is broken", n)
	}
}

func claimsSchemas(t *testing.T) []byte {
	t.Helper()
	w := schemaWriter{t: t, lists: map[string][]string{}, done: map[reflect.Type]bool{}}
	for _, l := range claims.Lists() {
		w.lists[l.Name] = l.Values
	}
	for _, kind := range claims.Kinds() {
		c, err := claims.New(kind)
		if err != nil {
			t.Fatal(err)
		}
		w.object(reflect.TypeOf(c).Elem(), reflect.TypeOf(c).Elem().Name())
	}
	w.object(reflect.TypeFor[vault.Document](), "DocumentRecord")
	return w.out.Bytes()
}

// prefix begins the name of an inner schema: it says whose the type is.
func prefix(t reflect.Type) string {
	if strings.HasSuffix(t.PkgPath(), "/claims") {
		return "Claims"
	}
	return "Record"
}

type schemaWriter struct {
	t     *testing.T
	lists map[string][]string
	done  map[reflect.Type]bool
	out   bytes.Buffer
}

func (w *schemaWriter) object(t reflect.Type, name string) {
	if w.done[t] {
		return
	}
	w.done[t] = true
	var inner []reflect.Type
	fmt.Fprintf(&w.out, "    %s:\n      type: object\n      additionalProperties: false\n      properties:\n", name)
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			w.t.Errorf("%s.%s has no JSON name", t, f.Name)
			continue
		}
		list := f.Tag.Get("list")
		fmt.Fprintf(&w.out, "        %s: %s\n", name, w.schema(f.Type, list, &inner))
	}
	if name == "DocumentRecord" {
		w.out.WriteString("      x-go-type: json.RawMessage\n")
	}
	for _, t := range inner {
		w.object(t, prefix(t)+t.Name())
	}
}

func (w *schemaWriter) schema(t reflect.Type, list string, inner *[]reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return w.schema(t.Elem(), list, inner)
	case t == reflect.TypeFor[private.String]() && list != "":
		return w.enum(list)
	case t == reflect.TypeFor[private.String]():
		return "{$ref: '#/components/schemas/PersonNote'}"
	case t == reflect.TypeFor[claims.Day]():
		return "{$ref: '#/components/schemas/Day'}"
	}
	switch t.Kind() {
	case reflect.Struct:
		*inner = append(*inner, t)
		return "{$ref: '#/components/schemas/" + prefix(t) + t.Name() + "'}"
	case reflect.Slice:
		return fmt.Sprintf("{type: array, maxItems: %d, items: %s}", w.most(list), w.schema(t.Elem(), list, inner))
	case reflect.String:
		if list != "" {
			return w.enum(list)
		}
		return "{type: string, maxLength: 200}"
	case reflect.Bool:
		return "{type: boolean}"
	case reflect.Int:
		return "{type: integer, minimum: 0, maximum: 100000}"
	default:
		w.t.Errorf("claims hold a %s, which has no schema here", t)
		return "{}"
	}
}

func (w *schemaWriter) enum(list string) string {
	values := w.lists[list]
	if len(values) == 0 {
		w.t.Errorf("there is no list %q", list)
	}
	return fmt.Sprintf("{type: string, x-vocabulary: %s, enum: ['%s']}", list, strings.Join(values, "', '"))
}

// most is how many entries a list may have, before package credentials counts
// more closely.
func (w *schemaWriter) most(list string) int {
	if list != "" {
		return len(w.lists[list])
	}
	return 100
}
