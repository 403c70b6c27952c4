package web

import (
	"bytes"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestCardPage: the page is there in all languages, says where to call, and
// holds nothing that asks, runs or loads.
func TestCardPage(t *testing.T) {
	page, err := CardPage("+855 12 345 678")
	if err != nil {
		t.Fatal(err)
	}
	text := html.UnescapeString(string(page)) // html/template writes + as &#43;
	for _, language := range Languages {
		c, _ := Words.Catalogue(language)
		if !strings.Contains(text, `<section id="`+language+`" lang="`+language+`" dir="`+c.Direction+`">`) {
			t.Errorf("no section in %s", language)
		}
		for _, id := range append([]string{"card.heading"}, cardLines...) {
			m, _ := Words.Lookup(language, id)
			for part := range strings.SplitSeq(m.Text, "{desk}") {
				if !strings.Contains(text, part) {
					t.Errorf("%s: %s is not on the page", language, id)
				}
			}
		}
		if note, _ := Words.Lookup(language, "card.machine"); language != English && !strings.Contains(text, note.Text) {
			t.Errorf("%s does not say that a machine translated it", language)
		}
	}
	if got := strings.Count(text, `<a class="desk" dir="ltr" href="tel:+85512345678">+855 12 345 678</a>`); got != len(Languages) {
		t.Errorf("the desk is named %d times, want %d", got, len(Languages))
	}
	elements := elementsOf(t, page)
	for _, not := range []string{"script", "form", "input", "button", "select", "textarea", "img", "iframe", "link", "base", "object", "video", "audio"} {
		if slices.Contains(elements, not) {
			t.Errorf("the page has an element %s", not)
		}
	}
	if strings.Contains(text, "http-equiv") || strings.Contains(text, " style=") || strings.Contains(text, "url(") || strings.Contains(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), "//") {
		t.Error("the page loads something, or sends its reader elsewhere")
	}
	if got := strings.Count(text, "<style"); got != 1 || CardStyleSHA256 != styleDigest(text) {
		t.Errorf("%d style elements, or another digest than the policy names", got)
	}
}

// TestCardPageDesks: a desk is text from a network's founding and not trusted.
func TestCardPageDesks(t *testing.T) {
	for desk, want := range map[string]string{
		"":                          "",
		"javascript:alert(1)":       `<span class="desk" dir="ltr">javascript:alert(1)</span>`,
		"</span><script>":           `<span class="desk" dir="ltr">&lt;/span&gt;&lt;script&gt;</span>`,
		"010 55 (day), 020 (night)": `<span class="desk" dir="ltr">010 55 (day), 020 (night)</span>`,
		"+00 00 000 000":            `href="tel:+0000000000"`,
	} {
		t.Run(desk, func(t *testing.T) {
			page, err := CardPage(desk)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.ReplaceAll(string(page), "&#43;", "+"), want) || strings.Contains(string(page), "<script") {
				t.Errorf("not as %q", want)
			}
			if got := bytes.Contains(page, []byte(`class="desk"`)); got != (desk != "") {
				t.Errorf("a desk is named: %v", got)
			}
		})
	}
}

// elementsOf lists the names of a page's elements.
func elementsOf(t *testing.T, page []byte) []string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var names []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			names = append(names, start.Name.Local)
		}
	}
}
