package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/vault"
)

// readers writes who sees what: the table, and what each claim and each member of a
// document tells.
func readers() []byte {
	var b bytes.Buffer
	b.WriteString("\n## The table\n\n*yes* is with whatever lets the reader in; a part is what has to be open, too.\n\n| topic | what it is |")
	for _, r := range claims.Readers {
		fmt.Fprintf(&b, " %s |", r)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(claims.Readers)) + "\n")
	topics, is := claims.Topics()
	for _, t := range topics {
		fmt.Fprintf(&b, "| %s | %s |", t, is[t])
		for _, r := range claims.Readers {
			fmt.Fprintf(&b, " %s |", need(r, t))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## What claims tell\n")
	for _, k := range claims.Kinds() {
		only := ""
		if claims.KeeperOnly(k.Kind) {
			only = "\nNobody but the agency that keeps the case reads these.\n"
		}
		fmt.Fprintf(&b, "\n### A signed %s\n%s\n| topic | claims |\n|---|---|\n", k.Kind, only)
		topicRows(&b, topics, typeOf(k))
	}
	b.WriteString("\n## What documents tell\n\nBesides these members, a page tells *portrait* or *pages*, by what it shows.\n\n| topic | members |\n|---|---|\n")
	topicRows(&b, topics, reflect.TypeFor[vault.Document]())
	return b.Bytes()
}

// need is a cell of the table.
func need(r claims.Reader, t claims.Topic) string {
	switch part, ever := claims.Need(r, t); {
	case !ever:
		return "–"
	case part == "":
		return "yes"
	default:
		return string(part)
	}
}

// topicRows writes a row for each topic that the members of a struct tell.
func topicRows(b *bytes.Buffer, topics []claims.Topic, t reflect.Type) {
	tells := map[claims.Topic][]string{}
	var gather func(prefix string, t reflect.Type)
	gather = func(prefix string, t reflect.Type) {
		for _, m := range claims.Members(t) {
			if m.Tells == claims.TopicEach {
				gather(prefix+m.Name+".", m.Type)
				continue
			}
			tells[m.Tells] = append(tells[m.Tells], "`"+prefix+m.Name+"`")
		}
	}
	gather("", t)
	for _, topic := range topics {
		if len(tells[topic]) > 0 {
			fmt.Fprintf(b, "| %s | %s |\n", topic, strings.Join(tells[topic], ", "))
		}
	}
}
