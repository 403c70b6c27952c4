package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

//go:embed catalogues/*.json
var catalogueFiles embed.FS

// English is the language that every message is written in first.
const English = "en"

// Languages lists the catalogues in the order in which a reader chooses.
var Languages = []string{English, "km", "my", "th", "zh", "ar"}

// Words holds the catalogues of this build.
var Words = mustCatalogues()

// Mark says how far a message can be trusted.
type Mark string

// A message is written by us, translated by a machine, or read by a person who
// speaks the language. A face that shows a machine's words shows the English
// ones beside them.
const (
	Source   Mark = "source"
	Machine  Mark = "machine"
	Reviewed Mark = "reviewed"
)

// Message is one text of a catalogue.
type Message struct {
	Text string `json:"text"`
	Mark Mark   `json:"mark"`
	// Of is the Fingerprint of the English text that a reviewer compared with;
	// only reviewed messages have one.
	Of string `json:"of,omitempty"`
	// Pictogram names a drawing that stands beside the text. It is the same in
	// every language, so English alone names it.
	Pictogram string `json:"pictogram,omitempty"`
}

// Catalogue is every message in one language.
type Catalogue struct {
	Language  string             `json:"language"`
	Name      string             `json:"name"`      // as its speakers call it
	Direction string             `json:"direction"` // ltr or rtl
	Digits    string             `json:"digits"`    // ten, from zero up
	Messages  map[string]Message `json:"messages"`
}

// Catalogues are the catalogues of all languages. They do not change.
type Catalogues struct {
	byLanguage map[string]Catalogue
}

// Found is a message as a reader gets it.
type Found struct {
	Message
	// Language is the one that Text is in: English where the language asked
	// for has no such message.
	Language string
}

// maxCatalogue bounds a catalogue, in bytes.
const maxCatalogue = 512 << 10

func mustCatalogues() *Catalogues {
	files, err := fs.Sub(catalogueFiles, "catalogues")
	if err != nil {
		panic(err) // the name is a constant
	}
	c, err := ParseCatalogues(files, Languages)
	if err != nil {
		panic(err) // a build with a broken catalogue does not pass its tests
	}
	return c
}

// ParseCatalogues reads <language>.json for each language. English must be
// among them.
func ParseCatalogues(files fs.FS, languages []string) (*Catalogues, error) {
	c := &Catalogues{byLanguage: map[string]Catalogue{}}
	for _, language := range languages {
		data, err := fs.ReadFile(files, language+".json")
		if err != nil {
			return nil, fmt.Errorf("web: catalogue: %w", err)
		}
		parsed, err := parseCatalogue(language, data)
		if err != nil {
			return nil, fmt.Errorf("web: catalogue %s: %w", language, err)
		}
		c.byLanguage[language] = parsed
	}
	if _, ok := c.byLanguage[English]; !ok {
		return nil, errors.New("web: no English catalogue")
	}
	c.dropStaleReviews()
	return c, nil
}

var messageID = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)

func parseCatalogue(language string, data []byte) (Catalogue, error) {
	var c Catalogue
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: maxCatalogue}, &c); err != nil {
		return Catalogue{}, err
	}
	switch {
	case c.Language != language:
		return Catalogue{}, errors.New("language is not the one of the file name")
	case c.Name == "":
		return Catalogue{}, errors.New("name is missing")
	case c.Direction != "ltr" && c.Direction != "rtl":
		return Catalogue{}, errors.New("direction is neither ltr nor rtl")
	case utf8.RuneCountInString(c.Digits) != 10:
		return Catalogue{}, errors.New("digits are not ten")
	}
	for id, m := range c.Messages {
		if err := m.check(language); err != nil {
			return Catalogue{}, fmt.Errorf("%s: %w", id, err)
		}
		if !messageID.MatchString(id) {
			return Catalogue{}, fmt.Errorf("%s: not an id", id)
		}
	}
	return c, nil
}

func (m Message) check(language string) error {
	switch {
	case m.Text == "":
		return errors.New("text is missing")
	case (language == English) != (m.Mark == Source):
		return errors.New("mark source is for English, and for nothing else")
	case m.Mark != Source && m.Mark != Machine && m.Mark != Reviewed:
		return errors.New("mark is none of source, machine, reviewed")
	case (m.Of != "") != (m.Mark == Reviewed):
		return errors.New("reviewed messages, and no others, say of which English text")
	case m.Pictogram != "" && language != English:
		return errors.New("pictograms are named in English only")
	}
	return nil
}

// Fingerprint names a text by the first eight hexadecimal digits of its
// SHA-256. It tells that an English text changed after a review.
func Fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// dropStaleReviews takes the mark from messages whose English text is not the
// one that the reviewer saw: they are a machine's words again.
func (c *Catalogues) dropStaleReviews() {
	for _, catalogue := range c.byLanguage {
		for id, m := range catalogue.Messages {
			if m.Mark == Reviewed && m.Of != Fingerprint(c.byLanguage[English].Messages[id].Text) {
				m.Mark, m.Of = Machine, ""
				catalogue.Messages[id] = m
			}
		}
	}
}

// Catalogue gives the catalogue of a language.
func (c *Catalogues) Catalogue(language string) (Catalogue, bool) {
	found, ok := c.byLanguage[language]
	return found, ok
}

// Lookup gives a message in a language, or in English where the language does
// not have it. It is false when nobody has it.
func (c *Catalogues) Lookup(language, id string) (Found, bool) {
	source, ok := c.byLanguage[English].Messages[id]
	if !ok {
		return Found{}, false
	}
	if m, ok := c.byLanguage[language].Messages[id]; ok {
		m.Pictogram = source.Pictogram
		return Found{Message: m, Language: language}, true
	}
	return Found{Message: source, Language: English}, true
}

// Fill puts values where a text has their names in braces. Pairs are a name and
// its value: Fill("Desk: {desk}", "desk", "+1").
func Fill(text string, pairs ...string) string {
	replacements := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		replacements = append(replacements, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(replacements...).Replace(text)
}
