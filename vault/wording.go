package vault

import (
	"fmt"
	"strings"
	"text/template"
	"time"
)

// What a holder is read before she gives her code: in short sentences, in a language of
// hers, and always in the same words, so that everybody knows what her card has signed.
// A language is added by one template and its words; a change of a template changes the
// digest that cards sign, and nothing that was given before.

// fallback is the language of a text where there is none in the one that was wanted.
const fallback = "en"

// speech is what a language has.
type speech struct {
	text     *template.Template
	purposes map[Purpose]string
	parts    map[Part]string
	date     func(time.Time) string
}

// speeches are the languages that there are texts in.
var speeches = map[string]speech{
	"en": {
		text: template.Must(template.New("en").Parse(`{{.To}} would like to see something that {{.Keeper}} keeps about you.
It may see: {{.What}}.
What for: {{.For}}.
Until: {{.Until}}.
{{if .Readings}}You do not have to be there: it may look {{if eq .Readings 1}}once{{else}}{{.Readings}} times{{end}}. Each time it is written down who looked, and you can ask who did.
{{else}}Each time it looks, you have to be there and give your code.
{{end}}{{if .Own}}{{if .Free}}You have said that you are free: nobody keeps you where you are. {{else}}You have said that you are not free, or were not until a few days ago. Two people have each asked you about this alone. {{end}}{{.To}} may belong to the state that you come from. Is it safe for you if that state knows that you are here? If it is not, or if you do not know, say so and do not give your code. By giving your code you say that it is safe for you if that state knows that you are here, and that you want {{.To}} to be told.
{{else if .Mission}}{{.To}} is the office of a state. By giving your code you say that you want it to be told.
{{end}}You do not have to agree. Nothing that you get here depends on it. You can take it back whenever you like, without your code: say so at {{.Keeper}}. It cannot forget what it has seen until then.
If you agree, give your code now.
`)),
		purposes: map[Purpose]string{
			"confirm_identity": "to confirm who you are", "travel_document": "to make a travel document for you",
			"protection": "to protect you", "legal_aid": "to help you with the law", "medical": "to care for your health",
			"shelter": "to find you a place to stay", "reunion": "to find your family",
		},
		parts: map[Part]string{
			PartIdentity: "your name, and what you said of who you are", PartPortrait: "your picture", PartDocument: "what stands in your papers",
			PartPages: "pictures of your papers", PartAttestations: "what agencies wrote about you", PartStatus: "what was found about your situation",
		},
		date: func(t time.Time) string { return t.Format("2 January 2006") },
	},
}

// wording is what a holder is read, and in which language: the one that she is asked in,
// without its region where need be, or English.
func wording(a Ask, mission, own bool) (text, language string) {
	language, _, _ = strings.Cut(a.Language, "-")
	s, ok := speeches[language]
	if !ok {
		language, s = fallback, speeches[fallback]
	}
	what := make([]string, len(a.Parts))
	for i, p := range a.Parts {
		what[i] = s.parts[p]
	}
	var b strings.Builder
	err := s.text.Execute(&b, map[string]any{
		"To": a.To, "Keeper": a.Keeper, "What": strings.Join(what, "; "), "For": s.purposes[a.Purpose], "Until": s.date(a.Until),
		"Readings": a.Readings, "Mission": mission, "Own": own, "Free": a.Circumstance == "free",
	})
	if err != nil { // a template of ours, with values of its own kinds
		panic(fmt.Sprintf("vault: the text in %s: %v", language, err))
	}
	return b.String(), language
}
