package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/web"
)

// TestReview: a message that was read is no longer listed, nothing else in the
// file changes, and it is listed again when its English text changes.
func TestReview(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "catalogues"))); err != nil {
		t.Fatal(err)
	}
	unread := func() string {
		var out bytes.Buffer
		if err := run(&out, dir, []string{"km"}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const id = "card.heading"
	if !strings.Contains(unread(), id+"\n") {
		t.Fatalf("%s was read already: take another", id)
	}
	before := read("km.json")
	if err := run(&bytes.Buffer{}, dir, []string{"km", id}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(unread(), id+"\n") {
		t.Error("what was read is listed")
	}
	after := read("km.json")
	var changed []string
	old := strings.Split(before, "\n")
	for i, line := range strings.Split(after, "\n") {
		if line != old[i] {
			changed = append(changed, line)
		}
	}
	if len(changed) != 1 || !strings.Contains(changed[0], `"mark": "reviewed", "of": "`) {
		t.Errorf("changed: %q", changed)
	}

	english := read("en.json")
	source, _ := web.Words.Lookup(web.English, id)
	other := strings.Replace(english, `"`+source.Text+`"`, `"`+source.Text+` and nobody else"`, 1)
	if other == english {
		t.Fatal("the English text was not found")
	}
	if err := os.WriteFile(filepath.Join(dir, "en.json"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(unread(), id+"\n") {
		t.Error("the English text changed, and nobody is asked to read again")
	}
}

func TestReviewRefuses(t *testing.T) {
	dir := filepath.Join("..", "catalogues")
	for _, args := range [][]string{nil, {"en"}, {"xx"}, {"../km"}, {"km", "card.nothing"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			before, err := os.ReadFile(filepath.Join(dir, "km.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := run(&bytes.Buffer{}, dir, args); err == nil {
				t.Error("done")
			}
			if after, err := os.ReadFile(filepath.Join(dir, "km.json")); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the catalogue was changed: %v", err)
			}
		})
	}
}
