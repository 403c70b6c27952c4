package web_test

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/web"
)

// What a holder carries, and what stays in the history of a telephone that she
// borrowed, says nothing about what happened to her or who helped. The lint of
// the catalogues looks at their messages; here is everything else.

// tells finds a word, in any of our languages, that tells.
func tells(text string) string {
	for _, language := range web.Languages {
		for _, list := range []map[string][]string{web.Avoided, web.CarriedWords} {
			if word := web.Says(language, text, list); word != "" {
				return word
			}
		}
	}
	return ""
}

func TestSymbolTellsNothing(t *testing.T) {
	s, err := symbol.New(strings.Repeat("1234567890", 67)[:symbol.Digits])
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range drawingTells(s.SVG()) {
		t.Error(fault)
	}
	for _, fault := range pictureTells(s.PNG(2)) {
		t.Error(fault)
	}
}

// drawingTells says what a drawing holds besides shapes.
func drawingTells(svg []byte) []string {
	var faults []string
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return faults
		}
		if err != nil {
			return append(faults, err.Error())
		}
		switch part := token.(type) {
		case xml.StartElement:
			if !slices.Contains([]string{"svg", "rect", "path"}, part.Name.Local) {
				faults = append(faults, "an element "+part.Name.Local)
			}
			for _, a := range part.Attr {
				if !slices.Contains([]string{"xmlns", "width", "height", "viewBox", "shape-rendering", "fill", "d"}, a.Name.Local) {
					faults = append(faults, "an attribute "+a.Name.Local)
				}
			}
		case xml.CharData, xml.Comment, xml.ProcInst, xml.Directive:
			faults = append(faults, "text beside the shapes")
		}
	}
}

// pictureTells says what a PNG holds besides pixels: its other chunks can hold
// names, programs and times.
func pictureTells(png []byte) []string {
	var faults []string
	for rest := png[8:]; len(rest) >= 12; {
		size, kind := int(binary.BigEndian.Uint32(rest)), string(rest[4:8])
		if !slices.Contains([]string{"IHDR", "IDAT", "IEND"}, kind) {
			faults = append(faults, "a chunk "+kind)
		}
		rest = rest[min(len(rest), 12+size):]
	}
	return faults
}

func TestCardPageTellsNothing(t *testing.T) {
	page, err := web.CardPage("+855 12 345 678")
	if err != nil {
		t.Fatal(err)
	}
	if word := tells(string(page)); word != "" {
		t.Errorf("the page says %q", word)
	}
}

var title = regexp.MustCompile(`(?s)<title>(.*?)</title>`)

// TestNamesTellNothing: titles stand in a telephone's history and on a printed
// page, a manifest's names under an icon, and file names in an address.
func TestNamesTellNothing(t *testing.T) {
	titles := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == "node_modules" || d.Name() == "dist") {
				return fs.SkipDir
			}
			return err
		}
		if word := tells(filepath.ToSlash(name)); word != "" {
			t.Errorf("%s is named after %q", name, word)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var said []string
		switch {
		case strings.HasSuffix(name, ".html"):
			found := title.FindSubmatch(data)
			if found == nil {
				return fmt.Errorf("%s has no title", name)
			}
			titles++
			said = append(said, string(found[1]))
		case strings.HasSuffix(name, ".svg"), d.Name() == "page.json", name == "build.mjs": // a manifest is made of the two
			said = append(said, string(data))
		}
		for _, text := range said {
			if word := tells(text); word != "" {
				t.Errorf("%s says %q", name, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if titles < 2 {
		t.Errorf("found %d titles", titles)
	}
}

var route = regexp.MustCompile(`(?m)^  (/[^:\n]*):$`)

// TestAddressesTellNothing: an address is read over a shoulder and kept in a
// proxy's log.
func TestAddressesTellNothing(t *testing.T) {
	routes := route.FindAllSubmatch(api.Contract, -1)
	if len(routes) < 30 {
		t.Fatalf("found %d routes", len(routes))
	}
	for _, r := range routes {
		if word := tells(string(r[1])); word != "" {
			t.Errorf("%s says %q", r[1], word)
		}
	}
}

// TestTellingIsFound keeps the tests above honest.
func TestTellingIsFound(t *testing.T) {
	for _, text := range []string{"/ngo/check", "/api/v1/survivors", "Shelter card", "RESCUE", "幸存者", "ผู้เสียหาย", "هذه ضحية"} {
		if tells(text) == "" {
			t.Errorf("%q tells and is let through", text)
		}
	}
	for _, text := range []string{"/api/v1/cases", "A card was found", "/trust-list"} {
		if word := tells(text); word != "" {
			t.Errorf("%q is refused for %q", text, word)
		}
	}
	for _, svg := range []string{"<svg><title>x</title></svg>", "<svg><text/></svg>", `<svg id="x"/>`, "<svg><!-- x --></svg>", "<svg>x</svg>"} {
		if len(drawingTells([]byte(svg))) == 0 {
			t.Errorf("%s is let through", svg)
		}
	}
	if len(pictureTells([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x01tEXtx\x00\x00\x00\x00"))) == 0 {
		t.Error("a text in a picture is let through")
	}
}
