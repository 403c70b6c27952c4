package safeconduct_test

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// link is a markdown link to something inside the tree.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// heading is a markdown heading of any level.
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	// citation is what a comment says when it leans on one of our documents:
	// docs/card.md, Opening in order, step 4.
	citation = regexp.MustCompile(`docs/[a-z0-9/-]+\.(?:md|yaml|svg)(?:, ([A-Z][^,.;:()]*))?`)
)

// TestDocsLinks follows every link between our documents.
func TestDocsLinks(t *testing.T) {
	followed := 0
	for _, name := range files(t, ".md") {
		text := read(t, name)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue // what others publish is not ours to test without a network
			}
			followed++
			file, anchor, _ := strings.Cut(target, "#")
			if file == "" {
				file = path.Base(name)
			}
			file = path.Join(path.Dir(name), file)
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there", name, target)
				continue
			}
			if anchor != "" && !hasAnchor(read(t, file), anchor) {
				t.Errorf("%s links to %s, which has no such heading", name, target)
			}
		}
	}
	if followed == 0 {
		t.Error("no link was followed: the pattern is broken")
	}
	t.Logf("%d links", followed)
}

// TestDocsCitations checks that a document or section named in a comment
// exists, so that a rule's source can be looked up and a renamed heading does
// not leave its readers behind.
func TestDocsCitations(t *testing.T) {
	followed := 0
	for _, name := range goFiles(t) {
		if name == "docs_test.go" {
			continue // its comments explain the pattern
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range f.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ")
			for _, m := range citation.FindAllStringSubmatch(text, -1) {
				followed++
				file, _, _ := strings.Cut(m[0], ", ")
				if _, err := os.Stat(file); err != nil {
					t.Errorf("%s cites %s, which is not there", name, file)
					continue
				}
				if m[1] != "" && !hasSection(read(t, file), m[1]) {
					t.Errorf("%s cites %q: no such section", name, m[0])
				}
			}
		}
	}
	t.Logf("%d citations", followed)
}

// TestDocsSections keeps the two tests above honest.
func TestDocsSections(t *testing.T) {
	const text = "# The card\n\n## Opening in order\n\n## Bytes\n"
	for cited, want := range map[string]bool{
		"Opening in order":          true,
		"Opening":                   true,
		"Bytes and nothing else":    true,
		"Byte":                      false,
		"Closing":                   false,
		"Opening a record online":   false,
		"Opening in orderly manner": false,
	} {
		if got := hasSection(text, cited); got != want {
			t.Errorf("hasSection(%q) = %v, want %v", cited, got, want)
		}
	}
	if !hasAnchor(text, "opening-in-order") || hasAnchor(text, "opening") {
		t.Error("hasAnchor does not tell headings apart")
	}
}

// hasSection reports whether text has a heading that cited names, in full, by
// its first words, or followed by more of the sentence.
func hasSection(text, cited string) bool {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		title := m[1] + " "
		cited := cited + " "
		if strings.HasPrefix(title, cited) || strings.HasPrefix(cited, title) {
			return true
		}
	}
	return false
}

// hasAnchor reports whether text has a heading that becomes this anchor.
func hasAnchor(text, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		if slug == anchor {
			return true
		}
	}
	return false
}

// read returns the text of the file called name.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocsDecisions: the list of decisions has each of them once, in their order.
func TestDocsDecisions(t *testing.T) {
	files, err := filepath.Glob("docs/decisions/[0-9]*.md")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d decisions, %v", len(files), err)
	}
	var want, got []string
	for _, f := range files {
		want = append(want, filepath.Base(f))
	}
	list, err := os.ReadFile("docs/decisions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`(?m)^\| \[(\d{4})\]\((\d{4}[^)]*)\)`).FindAllStringSubmatch(string(list), -1) {
		got = append(got, row[2])
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/decisions/README.md lists\n%s\nthe folder has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDocsChangelog: what was merged from two sides stands in it once.
func TestDocsChangelog(t *testing.T) {
	data, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		begins := strings.HasPrefix(line, "#") || strings.HasPrefix(line, "- ")
		if begins && seen[line] {
			t.Errorf("CHANGELOG.md says twice: %s", line)
		}
		seen[line] = true
	}
	if len(seen) < 100 {
		t.Errorf("read %d lines", len(seen))
	}
}
