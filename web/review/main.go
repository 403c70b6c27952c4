// Command review is for a person who reads a catalogue in her own language: it
// lists what nobody has read yet, and marks what she has read. Changing a text
// is left to an editor, and judging whether a text may be said to the tests of
// package web.
//
//	go run ./web/review km
//	go run ./web/review km card.heading card.give_back
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/web"
)

func main() {
	if err := run(os.Stdout, filepath.Join("web", "catalogues"), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "review:", err)
		os.Exit(1)
	}
}

// run does what the arguments say with the catalogues in dir.
func run(w io.Writer, dir string, args []string) error {
	if len(args) == 0 {
		return errors.New("name a language, and then the messages that you have read")
	}
	language, ids := args[0], args[1:]
	words, err := web.ParseCatalogues(os.DirFS(dir), web.Languages)
	if err != nil {
		return err
	}
	c, ok := words.Catalogue(language)
	if !ok || language == web.English {
		return fmt.Errorf("there is no catalogue to review in %q", language)
	}
	name := filepath.Join(dir, language+".json")
	data, err := os.ReadFile(name) //nolint:gosec // a language that has a catalogue
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return list(w, words, c, data)
	}
	for _, id := range ids {
		source, _ := words.Lookup(web.English, id)
		if data, err = mark(data, id, source.Text); err != nil {
			return err
		}
	}
	return os.WriteFile(name, data, 0o644) //nolint:gosec // a file of the sources, as the others are
}

// list prints what nobody has read in its present form, in the order of the
// file.
func list(w io.Writer, words *web.Catalogues, c web.Catalogue, data []byte) error {
	for line := range bytes.Lines(data) {
		id, ok := idOf(line)
		if !ok || c.Messages[id].Mark != web.Machine {
			continue
		}
		source, _ := words.Lookup(web.English, id)
		if _, err := fmt.Fprintf(w, "%s\n  %s\n  %s\n", id, source.Text, c.Messages[id].Text); err != nil {
			return err
		}
	}
	return nil
}

// idOf reads the id of a line that is a message: a catalogue has one to a line,
// so that a difference shows what was changed.
func idOf(line []byte) (string, bool) {
	rest, ok := strings.CutPrefix(string(line), `    "`)
	if !ok {
		return "", false
	}
	id, _, ok := strings.Cut(rest, `": {`)
	return id, ok
}

// mark writes down that a message was compared with its English text.
func mark(data []byte, id, english string) ([]byte, error) {
	var out bytes.Buffer
	found := false
	for line := range bytes.Lines(data) {
		if here, ok := idOf(line); !ok || here != id {
			out.Write(line)
			continue
		}
		found = true
		_, rest, _ := bytes.Cut(line, []byte(": "))
		object, end := bytes.TrimRight(rest, ",\n"), rest[len(bytes.TrimRight(rest, ",\n")):]
		var m web.Message
		if err := json.Unmarshal(object, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(m.Text); err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, `    %s: {"text": %s, "mark": %q, "of": %q}%s`,
			strconv.Quote(id), bytes.TrimSpace(text.Bytes()), web.Reviewed, web.Fingerprint(english), end)
	}
	if !found {
		return nil, fmt.Errorf("no message %s", id)
	}
	return out.Bytes(), nil
}
