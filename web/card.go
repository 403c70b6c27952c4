package web

import (
	"bytes"
	_ "embed" // the page below
	"html/template"
	"regexp"
	"strings"
)

//go:embed card.html
var cardHTML string

// Card is the page for an ordinary person who found a card. It asks nothing,
// looks nothing up and runs no script: whoever types a number or a code into a
// page that a stranger named would be taught to do it again elsewhere.
var Card = template.Must(template.New("card").Parse(cardHTML))

// CardStyleSHA256 is to Card what StageStyleSHA256 is to Stage.
var CardStyleSHA256 = styleDigest(cardHTML)

// cardLines are the messages of the page, in the order in which a finder needs
// them.
var cardLines = []string{"card.give_back", "card.call", "card.no_photo", "card.closed", "card.free", "card.no_questions"}

// cardSection is the page in one language.
type cardSection struct {
	Language, Direction, Name string
	Heading, Note             string
	Lines                     []cardLine
}

// cardLine is one sentence. A telephone number reads from left to right in
// every script, so it stands apart; Call is where a telephone dials it.
type cardLine struct {
	Pictogram           template.HTML
	Before, Desk, After string
	Call                template.URL
}

// CardPage makes the page for a network's desk. It says the same in all
// languages, one below the other, so that no choice has to be remembered or
// sent. A network without a desk has a page without that line.
func CardPage(desk string) ([]byte, error) {
	var sections []cardSection
	for _, language := range Languages {
		c, _ := Words.Catalogue(language)
		s := cardSection{Language: language, Direction: c.Direction, Name: c.Name}
		heading, _ := Words.Lookup(language, "card.heading")
		s.Heading = heading.Text
		machine := heading.Mark == Machine
		for _, id := range cardLines {
			m, _ := Words.Lookup(language, id)
			machine = machine || m.Mark == Machine
			before, after, calls := strings.Cut(m.Text, "{desk}")
			line := cardLine{Pictogram: Pictogram(m.Pictogram), Before: before, After: after}
			if calls {
				if desk == "" {
					continue
				}
				line.Desk, line.Call = desk, callAddress(desk)
			}
			s.Lines = append(s.Lines, line)
		}
		if machine {
			note, _ := Words.Lookup(language, "card.machine")
			s.Note = note.Text
		}
		sections = append(sections, s)
	}
	title, _ := Words.Lookup(English, "card.title")
	languages, _ := Words.Lookup(English, "card.languages")
	var page bytes.Buffer
	err := Card.Execute(&page, map[string]any{"Title": title.Text, "Languages": languages.Text, "Sections": sections})
	return page.Bytes(), err
}

var telephone = regexp.MustCompile(`^\+?[0-9][0-9 ()/-]*$`)

// callAddress is the tel address (RFC 3966) of a desk that is a telephone
// number, and empty for any other text.
func callAddress(desk string) template.URL {
	if !telephone.MatchString(desk) {
		return ""
	}
	digits := strings.Map(func(r rune) rune {
		if r == '+' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, desk)
	return template.URL("tel:" + digits) //nolint:gosec // digits only
}
