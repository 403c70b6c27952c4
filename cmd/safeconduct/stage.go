package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/verifier"
	"github.com/safeconduct/safeconduct/web"
)

// stage serves the API, and the page that shows the story once it was played. It has
// the passkeys of everybody in the story and uses them for whoever asks: of all
// networks this is for a demonstration alone, which answers on this machine alone.
type stage struct {
	api http.Handler
	url string // where browsers see it
	now atomic.Pointer[scene]
}

// scene is what there is after the story.
type scene struct {
	page  []byte
	staff []demo.Staff
}

// stageSoon is the page until the story was played. It looks again by itself.
const stageSoon = `<!doctype html>
<html lang="en" dir="ltr">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5"><title>Demo</title></head>
<body><main><h1>The story is still being played</h1><p>Wait a minute or two. This page looks again by itself.</p></main></body>
</html>
`

// Where the page sends its visitors' wishes.
const (
	stageSignIn  = "/stage/sign-in" // as somebody
	stagePasskey = "/stage/passkey" // an answer of the passkey of whoever is signed in
)

// ServeHTTP shows the page at the root, does what it offers, and leaves everything else
// to the API.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.now.Load()
	switch {
	case now == nil && r.URL.Path == "/":
		if allowed(w, r, http.MethodGet, http.MethodHead) {
			s.servePage(w, r, []byte(stageSoon))
		}
	case now == nil:
		s.api.ServeHTTP(w, r)
	case r.URL.Path == "/":
		if allowed(w, r, http.MethodGet, http.MethodHead) {
			s.servePage(w, r, now.page)
		}
	case r.URL.Path == stageSignIn:
		if allowed(w, r, http.MethodPost) {
			s.here(w, r, now, s.signIn)
		}
	case r.URL.Path == stagePasskey:
		if allowed(w, r, http.MethodPost) {
			s.here(w, r, now, s.passkey)
		}
	default:
		s.api.ServeHTTP(w, r)
	}
}

// allowed reports whether a request has one of the methods, and refuses it otherwise
// (RFC 9110 §15.5.6).
func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "this cannot be done here", http.StatusMethodNotAllowed)
	return false
}

// servePage shows a page at the one name that passkeys and cookies are for.
func (s *stage) servePage(w http.ResponseWriter, r *http.Request, page []byte) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if host != "localhost" {
		http.Redirect(w, r, s.url+"/", http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'sha256-"+web.StageStyleSHA256+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// A form says where it stands with its origin, which no-referrer would take away.
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(page)
}

// here has something done for a page of this machine. Pages elsewhere, and whoever does
// not say where it stands, get nothing.
func (s *stage) here(w http.ResponseWriter, r *http.Request, now *scene, do func(http.ResponseWriter, *http.Request, *scene)) {
	if http.NewCrossOriginProtection().Check(r) != nil || r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		http.Error(w, "only a page of this demo may ask for that", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	w.Header().Set("Cache-Control", "no-store")
	do(w, r, now)
}

// signIn signs a visitor in with the passkey of somebody in the story.
func (s *stage) signIn(w http.ResponseWriter, r *http.Request, now *scene) {
	key := now.passkeyOf(r.PostFormValue("person"))
	if key == nil {
		http.Error(w, "there is nobody like that in the story", http.StatusNotFound)
		return
	}
	one := caller.NewPerson(s.url, s.url, key)
	if err := one.SignIn(r.Context()); err != nil { // they were removed, perhaps
		http.Error(w, "the service does not sign them in: "+err.Error(), http.StatusBadGateway)
		return
	}
	page := "/admin"
	if slices.Contains(one.Me.Roles, "officer") {
		page = "/check"
	}
	http.SetCookie(w, one.Cookie())
	http.Redirect(w, r, page, http.StatusSeeOther)
}

// passkey answers what a page would ask a browser's passkey, with that of whoever is
// signed in there.
func (s *stage) passkey(w http.ResponseWriter, r *http.Request, now *scene) {
	var asked struct {
		Options json.RawMessage `json:"options"`
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &asked) != nil {
		http.Error(w, "nothing that a passkey is asked", http.StatusBadRequest)
		return
	}
	id, err := s.signedIn(r)
	key := now.passkeyOf(id)
	if err != nil || key == nil {
		http.Error(w, "nobody of the story is signed in", http.StatusUnauthorized)
		return
	}
	response, err := key.Get(asked.Options, s.url)
	if err != nil {
		http.Error(w, "the passkey does not answer that", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"response": json.RawMessage(response)})
}

// signedIn asks the service who sent a request.
func (s *stage) signedIn(r *http.Request) (id string, err error) {
	asks, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.url+"/api/v1/sessions/self", nil)
	if err != nil {
		return "", err
	}
	asks.Header["Cookie"] = r.Header["Cookie"]
	resp, err := http.DefaultClient.Do(asks)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var me caller.Me
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&me)
	return me.ID, err // of a refusal none
}

// passkeyOf is the passkey of somebody in the story, nil where there is nobody like
// that. Each visitor has a copy, because visitors come at once.
func (s *scene) passkeyOf(person string) *software.Authenticator {
	for _, one := range s.staff {
		if one.ID == person {
			key := *one.Passkey
			return &key
		}
	}
	return nil
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

// house is where some of the staff work.
type house struct {
	Name  string
	Staff []demo.Staff
}

// housesOf puts together who works for the same agency.
func housesOf(staff []demo.Staff) []house {
	var all []house
	for _, one := range staff {
		name := one.AgencyName
		if name == "" {
			name = "The network itself"
		}
		i := slices.IndexFunc(all, func(h house) bool { return h.Name == name })
		if i < 0 {
			all, i = append(all, house{Name: name}), len(all)
		}
		all[i].Staff = append(all[i].Staff, one)
	}
	return all
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
		w := wordsFor(verifier.Verdict{State: state, Reason: c.Reason})
		cards = append(cards, stageCard{
			Card: c, Picture: template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(svg)), //nolint:gosec // our own drawing
			Sign: w.sign, Heading: w.heading, Next: w.next, Band: bands[state],
		})
	}
	var page bytes.Buffer
	if err := web.Stage.Execute(&page, map[string]any{
		"Steps": story.Steps, "Cards": cards, "Dir": dir, "Houses": housesOf(story.Staff), "SignIn": stageSignIn,
	}); err != nil {
		return err
	}
	s.now.Store(&scene{page.Bytes(), story.Staff})
	return nil
}
