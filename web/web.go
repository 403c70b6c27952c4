// Package web holds the pages of the service: templates with their styles, and
// what scripts/web.sh builds from src. What they show, and serving them, is left
// to others.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io/fs"
	"strings"
)

// A build without scripts/web.sh embeds an empty folder, and serves no pages.
//
//go:embed all:dist
var dist embed.FS

// Pages are the built pages: check.html, and below check/ the files that it
// loads.
var Pages = built()

func built() fs.FS {
	pages, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder is named above
	}
	return pages
}

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
