package main

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

// schemas writes the part of the contract: the kinds, an order and an answer for
// each, and the members of claims and of document records.
func schemas() []byte {
	var out bytes.Buffer
	writeKinds(&out)
	fmt.Fprintf(&out, `    PersonLine:
      type: string
      description: Text about a person, one line
      minLength: 1
      maxLength: %d
      x-checked-by: claims
      x-go-type: private.String
      x-go-type-import: {path: github.com/safeconduct/safeconduct/credentials/private}
    PersonNote:
      type: string
      description: Text about a person, several lines
      minLength: 1
      maxLength: %d
      x-checked-by: claims
      x-go-type: private.String
      x-go-type-import: {path: github.com/safeconduct/safeconduct/credentials/private}
`, invalid.MaxLine, invalid.MaxText)
	for _, o := range objects() {
		writeObject(&out, o)
	}
	return out.Bytes()
}

// excluded lists the schemas that have their Go types in packages claims and
// vault.
func excluded() []byte {
	names := []string{"PersonLine", "PersonNote"}
	for _, k := range claims.Kinds() {
		names = append(names, order(k))
		if k.Answers {
			names = append(names, answer(k))
		}
	}
	for _, o := range objects() {
		if !o.kept() {
			names = append(names, o.name)
		}
	}
	return []byte("    - " + strings.Join(names, "\n    - ") + "\n")
}

// typeOf is the Go type of a kind's claims.
func typeOf(k claims.Terms) reflect.Type {
	c, err := claims.New(k.Kind)
	if err != nil {
		panic(err) // a kind of the table
	}
	return reflect.TypeOf(c).Elem()
}

func order(k claims.Terms) string  { return strings.TrimSuffix(typeOf(k).Name(), "Claim") + "Order" }
func answer(k claims.Terms) string { return strings.TrimSuffix(typeOf(k).Name(), "Claim") + "Answer" }

const schemaRef = "#/components/schemas/"

func ref(name string) string { return "{$ref: '" + schemaRef + name + "'}" }

// writeKinds writes the kinds, and what is posted to state one.
func writeKinds(out *bytes.Buffer) {
	all := claims.Kinds()
	answers := slices.DeleteFunc(claims.Kinds(), func(k claims.Terms) bool { return !k.Answers })
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = string(k.Kind)
	}
	fmt.Fprintf(out, "    Kind:\n      type: string\n      enum: [%s]\n      x-go-type: string\n", strings.Join(names, ", "))
	writeChoice(out, "AttestationOrder", "The claims belong to the kind.", all, order)
	writeChoice(out, "AnswerOrder", "The claims belong to the kind; either `about` or `card_handle` is given.", answers, answer)
	for _, k := range all {
		writeOrder(out, order(k), k, "about")
	}
	for _, k := range answers {
		writeOrder(out, answer(k), k, "about", "card_handle")
	}
}

func writeChoice(out *bytes.Buffer, name, says string, of []claims.Terms, schema func(claims.Terms) string) {
	fmt.Fprintf(out, "    %s:\n      description: %s\n      oneOf:\n", name, says)
	for _, k := range of {
		fmt.Fprintf(out, "        - %s\n", ref(schema(k)))
	}
	out.WriteString("      discriminator:\n        propertyName: kind\n        mapping:\n")
	for _, k := range of {
		fmt.Fprintf(out, "          %s: '%s%s'\n", k.Kind, schemaRef, schema(k))
	}
	out.WriteString("      x-go-type: Order\n")
}

func writeOrder(out *bytes.Buffer, name string, k claims.Terms, about ...string) {
	fmt.Fprintf(out, "    %s:\n      type: object\n      additionalProperties: false\n      required: [kind, claims]\n      properties:\n", name)
	fmt.Fprintf(out, "        kind: {type: string, enum: [%s]}\n        claims: %s\n", k.Kind, ref(typeOf(k).Name()))
	for _, member := range about {
		schema := map[string]string{"about": "ID", "card_handle": "CardHandle"}[member]
		fmt.Fprintf(out, "        %s: %s\n", member, ref(schema))
	}
	fmt.Fprintf(out, "        supersedes: %s\n        valid_until: %s\n", ref("ID"), ref("Day"))
}

// object is a struct with the name of its schema.
type object struct {
	name string
	t    reflect.Type
	seen bool // by somebody who does not see all of it: nothing in it has to be there
}

// record is the schema of a document as it is kept, and seenRecord as it is shown.
const (
	record     = "DocumentRecord"
	seenRecord = "SeenRecord"
)

// kept reports whether it is a whole document, which the API hands on as it is.
func (o object) kept() bool { return o.name == record || o.name == seenRecord }

// objects lists every struct of claims and records, outer ones first.
func objects() (all []object) {
	seen := map[reflect.Type]bool{}
	var add func(name string, t reflect.Type)
	add = func(name string, t reflect.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		all = append(all, object{name, t, false})
		for _, m := range claims.Members(t) {
			if inner(m.Type) {
				add(nameOf(m.Type), m.Type)
			}
		}
	}
	for _, k := range claims.Kinds() {
		add(typeOf(k).Name(), typeOf(k))
	}
	add(record, reflect.TypeFor[vault.Document]())
	return append(all, shown(seenRecord, reflect.TypeFor[vault.Document]())...)
}

// shown lists a struct of records as it is shown, and those inside of which some members
// are shown and others are not.
func shown(name string, t reflect.Type) []object {
	all := []object{{name, t, true}}
	for _, m := range claims.Members(t) {
		if m.Tells == claims.TopicEach {
			all = append(all, shown("Seen"+nameOf(m.Type), m.Type)...)
		}
	}
	return all
}

// inner reports whether a type is a struct with members of its own.
func inner(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[private.String]()
}

// nameOf is the schema of a struct inside claims or records.
func nameOf(t reflect.Type) string {
	if strings.HasSuffix(t.PkgPath(), "/claims") {
		return "Claims" + t.Name()
	}
	return "Record" + t.Name()
}

func writeObject(out *bytes.Buffer, o object) {
	fmt.Fprintf(out, "    %s:\n      type: object\n      additionalProperties: false\n", o.name)
	var needed []string
	for _, m := range claims.Members(o.t) {
		if m.Required && !o.seen {
			needed = append(needed, m.Name)
		}
	}
	if len(needed) > 0 {
		fmt.Fprintf(out, "      required: [%s]\n", strings.Join(needed, ", "))
	}
	out.WriteString("      properties:\n")
	for _, m := range claims.Members(o.t) {
		schema := value(m)
		if o.seen && m.Tells == claims.TopicEach {
			schema = ref("Seen" + nameOf(m.Type))
		}
		if m.Many {
			schema = fmt.Sprintf("{type: array, maxItems: %d, items: %s}", m.Max, schema)
		}
		fmt.Fprintf(out, "        %s: %s\n", m.Name, schema)
	}
	out.WriteString("      x-checked-by: claims\n")
	if o.kept() {
		out.WriteString("      x-go-type: json.RawMessage\n")
	}
}

// says tells how a text of a form is written.
var says = map[claims.Form]string{
	claims.FormDigest:   "SHA-256, 64 lower-case hexadecimal digits",
	claims.FormDate:     "YYYY-MM-DD, YYYY-MM or YYYY",
	claims.FormCountry:  "three capital letters, as in ICAO Doc 9303",
	claims.FormLanguage: "three lower-case letters, as in ISO 639",
	claims.FormScript:   "four letters, as in ISO 15924",
	claims.FormID:       "32 lower-case hexadecimal digits",
	claims.FormAgency:   "id of an agency, or of a person of one",
}

// value is the schema of a member, or of an entry of its list.
func value(m claims.Member) string {
	described := ""
	if s := says[m.Form]; s != "" {
		described = ", description: '" + s + "'"
	}
	switch {
	case m.List != "":
		return fmt.Sprintf("{type: string, x-vocabulary: %s, enum: ['%s']}", m.List, strings.Join(claims.Values(m.List), "', '"))
	case m.Form == claims.FormText || m.Form == claims.FormZone:
		return ref("PersonNote")
	case m.Type == reflect.TypeFor[private.String]() && described != "":
		return fmt.Sprintf("{type: string, maxLength: %d%s}", invalid.MaxLine, described)
	case m.Type == reflect.TypeFor[private.String]():
		return ref("PersonLine")
	case m.Type == reflect.TypeFor[claims.Day]():
		return ref("Day")
	case m.Type.Kind() == reflect.String:
		return fmt.Sprintf("{type: string, maxLength: %d%s}", invalid.MaxLine, described)
	case m.Type.Kind() == reflect.Bool:
		return "{type: boolean}"
	case m.Type.Kind() == reflect.Int && m.Max > 0:
		return fmt.Sprintf("{type: integer, minimum: %d, maximum: %d}", m.Min, m.Max)
	case m.Type.Kind() == reflect.Int:
		return "{type: integer, minimum: 0, maximum: 100000}"
	default:
		return ref(nameOf(m.Type))
	}
}
