package main

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// vocabulary writes members, lists, indicators and what is still to be confirmed.
func vocabulary() []byte {
	var b bytes.Buffer
	b.WriteString("\n## Members\n\nMembers of the claims of each kind. *private* is text about a person, which never prints.\nA member that is not required may still be needed beside another one; the answer says so.\n")
	for _, k := range claims.Kinds() {
		fmt.Fprintf(&b, "\n### Claims of kind %s\n\n| member | holds | required | list |\n|---|---|---|---|\n", k.Kind)
		memberRows(&b, typeOf(k), "")
	}
	b.WriteString("\n## Code lists\n\nA mark in brackets is of that value alone.\n")
	for _, l := range claims.Lists() {
		fmt.Fprintf(&b, "\n### List %s\n\nSource: %s. Mark: %s. Code system: %s.", l.Name, l.Source, l.Mark, l.CodeSystem)
		if l.Note != "" {
			b.WriteString(" " + strings.TrimSuffix(l.Note, ".") + ".")
		}
		values := slices.Clone(l.Values)
		for i, v := range values {
			values[i] = "`" + v + "`"
			if m := l.ValueMarks[v]; m != "" {
				values[i] += " (" + m + ")"
			}
		}
		fmt.Fprintf(&b, "\n\n%s\n", strings.Join(values, ", "))
	}
	b.WriteString("\n## Indicators\n\nStrengths for adults and labour exploitation: S strong, M medium, W weak. The labels are ours, close to the source's.\n\n| code | dimension | strength | phase | label | mark |\n|---|---|---|---|---|---|\n")
	for _, x := range claims.Indicators() {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s | %s |\n", x.Code, x.Dimension, x.Strength, x.Phase, x.Label, x.Mark)
	}
	b.WriteString("\n## Observables\n\nWhat people from scam compounds often tell, with the indicators that a form may offer because of it. Not signed.\n\n| code | label | suggests | mark |\n|---|---|---|---|\n")
	for _, o := range claims.Observables() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", o.Code, o.Label, strings.Join(o.Suggests, "` `"), o.Mark)
	}
	toConfirm(&b)
	return b.Bytes()
}

func memberRows(b *bytes.Buffer, t reflect.Type, prefix string) {
	for _, m := range claims.Members(t) {
		name, many := prefix+m.Name, ""
		if m.Many {
			name, many = name+"[]", "list of "
		}
		if inner(m.Type) {
			memberRows(b, m.Type, name+".")
			continue
		}
		required, list := "", ""
		if m.Required {
			required = "yes"
		}
		if m.List != "" {
			list = "[" + m.List + "](#list-" + m.List + ")"
		}
		fmt.Fprintf(b, "| `%s` | %s%s | %s | %s |\n", name, many, holds(m), required, list)
	}
}

// holds tells in a word or two what a member is.
func holds(m claims.Member) string {
	switch {
	case m.Type == reflect.TypeFor[private.String]():
		return "private"
	case m.Type == reflect.TypeFor[claims.Day]():
		return "day"
	case m.Type.Kind() == reflect.Bool:
		return "yes or no"
	case m.Type.Kind() == reflect.Int:
		return "number"
	case m.List != "":
		return "code"
	default:
		return "text"
	}
}

// toConfirm lists what nobody has read in the source itself yet.
func toConfirm(b *bytes.Buffer) {
	b.WriteString("\n## To be confirmed against the source\n\n")
	open := map[string][]string{}
	note := func(mark, source, what string) {
		if mark == claims.MarkExcerpt || mark == claims.MarkKnown {
			key := "mark " + mark + ", " + source
			open[key] = append(open[key], what)
		}
	}
	for _, l := range claims.Lists() {
		note(l.Mark, l.Source, "list "+l.Name)
		for _, v := range l.Values {
			note(l.ValueMarks[v], l.Source, "`"+v+"`")
		}
	}
	for _, x := range claims.Indicators() {
		note(x.Mark, x.Source, "`"+x.Code+"`")
	}
	for _, o := range claims.Observables() {
		note(o.Mark, o.Source, "`"+o.Code+"`")
	}
	for _, key := range slices.Sorted(maps.Keys(open)) {
		fmt.Fprintf(b, "- %s: %s\n", key, strings.Join(open[key], ", "))
	}
}
