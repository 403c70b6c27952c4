package main

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/verifier"
	"github.com/safeconduct/safeconduct/web"
)

// stage serves the API, and the page that shows the story once it was played.
type stage struct {
	api  http.Handler
	url  string // where browsers see it
	page atomic.Pointer[[]byte]
}

// ServeHTTP shows the page at the root and leaves everything else to the API.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := s.page.Load()
	if page == nil || r.URL.Path != "/" || r.Method != http.MethodGet {
		s.api.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'sha256-"+web.StageStyleSHA256+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(*page)
}

// stageCard is a card as the page shows it.
type stageCard struct {
	demo.Card
	Picture template.URL
	Sign    string
	Heading string
	Next    string
	Band    string
}

// show makes the page.
func (s *stage) show(story *demo.Story, dir string) error {
	cards := make([]stageCard, 0, len(story.Cards))
	for _, c := range story.Cards {
		svg, err := os.ReadFile(filepath.Join(dir, c.SVG))
		if err != nil {
			return err
		}
		state := verifier.State(c.Expect)
		w := wordsOf(state)
		cards = append(cards, stageCard{
			Card: c, Picture: template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(svg)), //nolint:gosec // our own drawing
			Sign: w.sign, Heading: w.heading, Next: w.next, Band: bands[state],
		})
	}
	var page bytes.Buffer
	if err := web.Stage.Execute(&page, map[string]any{"Steps": story.Steps, "Cards": cards, "Dir": dir}); err != nil {
		return err
	}
	b := page.Bytes()
	s.page.Store(&b)
	return nil
}
