package copies

import (
	"cmp"
	_ "embed" // the page below
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/web"
)

//go:embed page.html
var pageHTML string

// pageTemplate is the page that says what is what. It runs no script and loads nothing
// but the pictures beside it.
var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page writes it. What it shows is read for it, one thing after the other, and once more
// for the files.
func (k *keeping) page() error {
	v := &view{k: k, Language: web.English, Direction: "ltr", Made: day(k.made)}
	if c, ok := web.Words.Catalogue(k.order.Language); ok {
		v.Language, v.Direction = c.Language, c.Direction
	}
	keeper, err := k.agency(k.by.Agency)
	if err != nil {
		return err
	}
	v.Keeper, v.Desk = keeper.Name, cmp.Or(keeper.Desk, k.cfg.Network.Desk())
	v.Files = map[string]string{"contents": contentsName, "history": historyName, "proof": "proof"}
	_, err = k.out.add(pageName, func(w io.Writer) error {
		if err := pageTemplate.Execute(w, v); v.err == nil {
			return err
		}
		return v.err
	})
	return err
}

// view is what the page shows.
type view struct {
	Language, Direction string
	Made, Keeper, Desk  string
	Files               map[string]string

	k   *keeping
	err error // what kept something from being read
}

// failed remembers the first error: a template has no way to give one back in the middle
// of a list.
func (v *view) failed(err error) bool {
	if v.err == nil {
		v.err = err
	}
	return v.err != nil
}

// phrase is a message in the chosen language, with the English one where only a machine
// has translated it.
type phrase struct{ Text, English string }

// Say is a message with values for its placeholders.
func (v *view) Say(id string, values ...string) (phrase, error) {
	m, ok := web.Words.Lookup(v.Language, "copy."+id)
	if !ok {
		return phrase{}, fmt.Errorf("copies: no message %s", id)
	}
	p := phrase{Text: web.Fill(m.Text, values...)}
	if m.Mark == web.Machine {
		source, _ := web.Words.Lookup(web.English, "copy."+id)
		p.English = web.Fill(source.Text, values...)
	}
	return p, nil
}

// Machine says that nobody has read the translation.
func (v *view) Machine() string {
	if p, err := v.Say("heading"); err != nil || p.English == "" {
		return ""
	}
	m, _ := web.Words.Lookup(v.Language, "copy.machine")
	return m.Text
}

// node is a value as it stands in JSON, with its name.
type node struct {
	Name, Text string
	Nodes      []node
}

// nodesOf are the members of a value, in the order of their names.
func nodesOf(value any) []node {
	switch value := value.(type) {
	case map[string]any:
		var all []node
		for _, name := range slices.Sorted(maps.Keys(value)) {
			all = append(all, nodeOf(strings.ReplaceAll(name, "_", " "), value[name]))
		}
		return all
	case []any:
		var all []node
		for i, one := range value {
			all = append(all, nodeOf(strconv.Itoa(i+1), one))
		}
		return all
	default:
		return nil
	}
}

func nodeOf(name string, value any) node {
	if list, ok := value.([]any); ok && !slices.ContainsFunc(list, func(one any) bool { return nodesOf(one) != nil }) {
		var texts []string
		for _, one := range list {
			texts = append(texts, fmt.Sprint(one))
		}
		return node{Name: name, Text: strings.Join(texts, ", ")}
	}
	if nodes := nodesOf(value); nodes != nil {
		return node{Name: name, Nodes: nodes}
	}
	return node{Name: name, Text: fmt.Sprint(value)}
}

// paper is a document on the page.
type paper struct {
	Title    string
	Record   []node
	Pictures []picture
}

type picture struct{ File, Number string }

// Papers reads the documents.
func (v *view) Papers() iter.Seq[paper] {
	return func(yield func(paper) bool) {
		n := 0
		for kept, err := range v.k.of.Documents(v.k.ctx) {
			n++
			var p paper
			if err == nil {
				p, err = paperOf(n, kept)
			}
			if v.failed(err) || !yield(p) {
				return
			}
		}
	}
}

func paperOf(n int, kept vault.Kept) (paper, error) {
	record, err := private.RevealJSON(kept.Document)
	if err != nil {
		return paper{}, err
	}
	value, err := strictjson.Value(record, strictjson.Limits{Size: 1 << 20})
	if err != nil {
		return paper{}, err
	}
	p := paper{Title: kept.Document.Kind, Record: nodesOf(value)}
	for _, page := range kept.Pages {
		p.Pictures = append(p.Pictures, picture{pictureName(n, page), strconv.Itoa(page.Page)})
	}
	return p, nil
}

// statement is an attestation on the page, or a card.
type statement struct {
	Kind, Agency, Issued, Until string
	State                       phrase
	File, Token                 string
	Said                        []node
}

// formal are the members of an attestation that say nothing about anybody.
var formal = []string{"iss", "iat", "exp", "vct", "status", "attestation_id", "kind", "about", "supersedes"}

// Statements reads the attestations, and Cards the cards.
func (v *view) Statements() iter.Seq[statement] { return v.signed(false) }

// Cards reads the cards.
func (v *view) Cards() iter.Seq[statement] { return v.signed(true) }

func (v *view) signed(cards bool) iter.Seq[statement] {
	return func(yield func(statement) bool) {
		n := 0
		for one, err := range v.k.cfg.Issuer.Copy(v.k.ctx, v.k.by, v.k.order.Case) {
			if v.failed(err) {
				return
			}
			if cards != (one.Said == nil) {
				continue
			}
			n++
			s, err := v.statement(n, one)
			if v.failed(err) || !yield(s) {
				return
			}
		}
	}
}

func (v *view) statement(n int, one credentials.Copied) (s statement, err error) {
	agency, err := v.k.agency(one.Agency)
	if err != nil {
		return s, err
	}
	d := signedOf(one.Issued)
	s = statement{Kind: string(one.Kind), Agency: agency.Name, Issued: d.Issued, Until: d.ValidUntil}
	if s.State, err = v.Say("state." + d.State); err != nil || one.Said == nil {
		return s, err
	}
	s.File, s.Token = attestationNames(n)
	said := maps.Clone(one.Said.Payload())
	maps.DeleteFunc(said, func(name string, _ any) bool { return slices.Contains(formal, name) })
	s.Said = nodesOf(said)
	return s, nil
}

// reader is somebody with whom a record is shared.
type reader struct{ Agency, Purpose, Until string }

// Readers lists them.
func (v *view) Readers() ([]reader, error) {
	var all []reader
	for _, g := range v.k.of.Shared {
		a, err := v.k.agency(g.Agency)
		if err != nil {
			return nil, err
		}
		all = append(all, reader{a.Name, strings.ReplaceAll(string(g.Purpose), "_", " "), day(g.Until)})
	}
	return all, nil
}

// deed is an entry of the history on the page.
type deed struct{ When, What, Who, More string }

// technical tells entries that are for whoever checks from those for whoever reads: what
// was kept was added before, and what was reserved was issued after it.
func technical(kind string) bool {
	return kind == "object.committed" || strings.HasSuffix(kind, ".reserved")
}

// Deeds reads the history.
func (v *view) Deeds() iter.Seq[deed] {
	return func(yield func(deed) bool) {
		for event, err := range v.k.of.History(v.k.ctx) {
			if v.failed(err) {
				return
			}
			if technical(event.Note.Kind) {
				continue
			}
			d, err := v.deed(event)
			if v.failed(err) || !yield(d) {
				return
			}
		}
	}
}

// deed puts into words what can be put into words of every entry: when, what, and who.
func (v *view) deed(e vault.Event) (deed, error) {
	var body map[string]any
	if err := json.Unmarshal(e.Note.Body, &body); err != nil {
		return deed{}, fmt.Errorf("copies: an entry: %w", err)
	}
	text := func(name string) string { s, _ := body[name].(string); return s }
	d := deed{When: cmp.Or(strings.NewReplacer("T", " ", "Z", " UTC").Replace(text("at")), day(e.Day))}
	d.What = strings.NewReplacer(".", ", ", "_", " ").Replace(e.Note.Kind)
	who, err := v.k.agency(text("agency"))
	if err != nil {
		return deed{}, err
	}
	d.Who = who.Name
	switch text("actor") {
	case "console":
		p, err := v.Say("console")
		if err != nil {
			return deed{}, err
		}
		d.Who = p.Text
	default:
		if role := text("role"); role != "" {
			d.Who += ", " + role
		}
	}
	for _, name := range []string{"with", "purpose", "until", "parts", "to", "page", "reason"} {
		value, there := body[name]
		if !there {
			continue
		}
		if id, isText := value.(string); isText && name == "with" {
			other, err := v.k.agency(id)
			if err != nil {
				return deed{}, err
			}
			value = other.Name
		}
		d.More += fmt.Sprintf("%s: %s; ", name, nodeOf("", value).Text)
	}
	d.More = strings.TrimSuffix(d.More, "; ")
	return d, nil
}
