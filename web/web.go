// Package web holds the pages of the service as templates, with their styles.
// What they show is left to whoever serves them.
package web

import (
	"crypto/sha256"
	_ "embed" // the pages below
	"encoding/base64"
	"html/template"
	"strings"
)

//go:embed stage.html
var stageHTML string

// Stage is the page of the demo: the story step by step, and its cards.
var Stage = template.Must(template.New("stage").Parse(stageHTML))

// StageStyleSHA256 is the digest of the page's one style element, in the form
// that a Content-Security-Policy names it by (CSP Level 3 §2.3.1).
var StageStyleSHA256 = styleDigest(stageHTML)

func styleDigest(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
