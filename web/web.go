// Package web holds the pages of the service: templates with their styles, and
// what scripts/web.sh builds from src.
//
// A page that is built is a folder of src with a page.json, and it is served at
// its own address: src/check at /check. Beside it stands src/shared, which every
// page may import; a page imports no other page, and a test sees to it. To add
// one, make its folder and, in its page.json, say
//
//   - entry, html, style, icon: where its program, text, style and sign begin;
//   - words: the first parts of the ids of all messages that it says;
//   - policy and may: its Content-Security-Policy, and the powerful features
//     that it may use;
//   - loads, if it loads more than its entry: a module of its own that builds
//     that (workers, WebAssembly);
//   - offline, if it works without a network: its service worker, and its name
//     as an installed application.
//
// Its two routes stand in docs/api/openapi.yaml, as those of /check do. Decision
// 0030 (docs/decisions/0030-pages-in-rooms.md) says why pages are cut like this.
//
// What the pages show, and serving them, is left to others.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// A build without scripts/web.sh embeds an empty folder.
//
//go:embed all:dist
var dist embed.FS

//go:embed src/*/page.json
var described embed.FS

// HowToBuild says to people how a binary gets its pages.
const HowToBuild = "Build it from the source tree with make build, or run scripts/web.sh before go build or go install."

// ErrNotBuilt is what a binary says that was built without its pages.
var ErrNotBuilt = errors.New("web: the pages are not in this binary")

// Page is one page that a browser loads from an address of its own.
type Page struct {
	// Name is its address without the slash: the page is at /NAME, and what it
	// loads below that.
	Name string
	// Policy is the value of Content-Security-Policy (CSP Level 3 §3.1) for the
	// page and for every file of it: a worker obeys the one it came with.
	Policy string
	// Permissions is the value of Permissions-Policy (§5 of that draft).
	Permissions string
	// Offline pages have a service worker, NAME/sw.js.
	Offline bool
	// Files are what was built: NAME.html, and below NAME/ what it loads.
	Files fs.FS
}

// Built returns ErrNotBuilt where this binary was built without the page.
func (p Page) Built() error {
	if _, err := fs.Stat(p.Files, p.Name+".html"); err != nil {
		return ErrNotBuilt
	}
	return nil
}

// Pages are all pages, by their names.
var Pages = pages()

// Built returns ErrNotBuilt where a page is not in this binary.
func Built() error {
	for _, p := range Pages {
		if err := p.Built(); err != nil {
			return err
		}
	}
	return nil
}

// description is a page.json. All but the last three is for build.mjs.
type description struct {
	Entry   string   `json:"entry"`
	HTML    string   `json:"html"`
	Style   string   `json:"style"`
	Icon    string   `json:"icon"`
	Words   []string `json:"words"`
	Loads   string   `json:"loads"`
	Offline *offline `json:"offline"`
	Policy  []string `json:"policy"`
	May     []string `json:"may"`
}

type offline struct {
	Worker     string `json:"worker"`
	Name       string `json:"name"`
	Background string `json:"background"`
	Theme      string `json:"theme"`
}

// features are the powerful ones that a browser may give a page. A page has
// those that its may names, and no other.
var features = []string{
	"camera", "publickey-credentials-create", "publickey-credentials-get",
	"accelerometer", "display-capture", "geolocation", "gyroscope", "hid", "idle-detection",
	"magnetometer", "microphone", "midi", "payment", "serial", "usb", "browsing-topics",
}

func pages() []Page {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder is named above
	}
	found, err := fs.Glob(described, "src/*/page.json")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	all := make([]Page, 0, len(found))
	for _, name := range found {
		data, err := described.ReadFile(name)
		if err != nil {
			panic(err) // it was listed
		}
		page, err := describe(path.Base(path.Dir(name)), data)
		if err != nil {
			panic(err) // TestPageDescriptions reads the same files
		}
		page.Files = files
		all = append(all, page)
	}
	return all
}

func describe(name string, data []byte) (Page, error) {
	var d description
	if err := strictjson.Unmarshal(data, strictjson.Limits{}, &d); err != nil {
		return Page{}, fmt.Errorf("web: src/%s/page.json: %w", name, err)
	}
	permissions := make([]string, 0, len(features))
	for _, feature := range features {
		allowed := "()"
		if slices.Contains(d.May, feature) {
			allowed = "(self)"
		}
		permissions = append(permissions, feature+"="+allowed)
	}
	for _, feature := range d.May {
		if !slices.Contains(features, feature) {
			return Page{}, fmt.Errorf("web: src/%s/page.json: no feature %q", name, feature)
		}
	}
	return Page{
		Name: name, Policy: strings.Join(d.Policy, "; "), Permissions: strings.Join(permissions, ", "), Offline: d.Offline != nil,
	}, nil
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
