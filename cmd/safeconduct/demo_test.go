package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/verifier"
	"github.com/safeconduct/safeconduct/web"
)

// TestDemo plays the whole story once, as a person would run it, and looks at
// what it leaves and serves.
func TestDemo(t *testing.T) {
	d := servingDemo(t)
	t.Run("list", d.testList)
	t.Run("symbols", d.testSymbols)
	t.Run("verdicts", d.testVerdicts)
	t.Run("files", d.testFiles)
	t.Run("page", d.testPage)
	t.Run("methods", d.testMethods)
	t.Run("people", d.testPeople)
	t.Run("visitors", d.testVisitors)
}

var (
	number   = regexp.MustCompile(`^[0-9]{4}-[0-9]{4}-[0-9]{4}$`)
	codeForm = regexp.MustCompile(`^[0-9]{10}$`)
	digits   = regexp.MustCompile(`^[0-9]{667}$`)
	hexID    = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// TestDemoLocked: a demonstration that one of its people locks ends at once by itself,
// with its keys, and leaves its folder locked.
func TestDemoLocked(t *testing.T) {
	d, err := play(program(t), filepath.Join(t.TempDir(), "locked"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.person(t.Context(), "", "operator-1")
	if err != nil {
		t.Fatal(err)
	}
	var asked caller.Asked
	if err := p.Post(t.Context(), "/api/v1/lock", nil, &asked); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Agree(t.Context(), asked.Request.ID); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(3*time.Minute, func() { _ = d.process.Process.Kill() })
	defer late.Stop()
	if err := d.process.Wait(); err != nil {
		t.Errorf("it did not end by itself: %v", err)
	}
	if _, locked, err := service.ReadLock(d.dir); err != nil || !locked {
		t.Errorf("the folder is not locked: %v", err)
	}
}

// testList holds demo.json against docs/operate.md, The demonstration.
func (d *played) testList(t *testing.T) {
	m := d.list
	if !strings.HasPrefix(m.URL, "http://localhost:") || !hexID.MatchString(m.Network) || m.Pack != config.PackName {
		t.Errorf("got url %q, network %q, pack %q", m.URL, m.Network, m.Pack)
	}
	testNames(t, filepath.Join(d.dir, config.DemoName))
	roles := map[string]int{}
	for _, a := range m.Actors {
		roles[a.Role]++
		if len(a.Token) < 40 || (a.Role != "operator" && !hexID.MatchString(a.Agency)) {
			t.Errorf("the %s has no token or agency", a.Role)
		}
	}
	for role, want := range map[string]int{"operator": 2, "caseworker": 2, "supervisor": 2, "mission": 2, "officer": 1} {
		if roles[role] != want {
			t.Errorf("got %d of role %s, want %d", roles[role], role, want)
		}
	}
	states := map[string]int{}
	for i, c := range m.Cards {
		states[c.Expect]++
		if c.Person == "" || !number.MatchString(c.Number) || !card.ValidNumber(strings.ReplaceAll(c.Number, "-", "")) ||
			!codeForm.MatchString(c.Code) || !digits.MatchString(c.Digits) ||
			path.Dir(c.PNG) != "cards" || path.Dir(c.SVG) != "cards" {
			t.Errorf("card %d is not listed as promised", i)
		}
		if strings.HasPrefix(c.Person, "TESFAYE") && c.Expect != string(verifier.OutOfUse) {
			t.Errorf("the card of who was erased is %s", c.Expect)
		}
	}
	if len(m.Cards) < 8 {
		t.Errorf("got %d cards, want 8 or more", len(m.Cards))
	}
	for state, least := range map[verifier.State]int{
		verifier.Confirmed: 1, verifier.Unconfirmed: 2, verifier.Paused: 1, verifier.Replaced: 1, verifier.OutOfUse: 2,
	} {
		if states[string(state)] < least {
			t.Errorf("got %d cards that are %s, want %d or more", states[string(state)], state, least)
		}
	}
	if len(m.Documents) < 2 {
		t.Errorf("got %d documents, want 2 or more", len(m.Documents))
	}
	for _, doc := range m.Documents {
		if doc.Person == "" || doc.Number == "" || len(doc.BirthDate) != 6 {
			t.Error("a document is not listed as promised")
		}
	}
}

// testNames compares the names of the members letter by letter, which
// encoding/json does not.
func testNames(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	names := func(where string, o any, want ...string) {
		members, _ := o.(map[string]any)
		if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", where, got, want)
		}
	}
	names("demo.json", top, "actors", "cards", "documents", "network", "pack", "persons", "url")
	for list, want := range map[string][]string{
		"actors":    {"agency", "role", "token"},
		"persons":   {"agency", "handle", "id", "passkey", "roles"},
		"cards":     {"code", "digits", "expect", "number", "person", "png", "svg"},
		"documents": {"birth_date", "number", "person"},
	} {
		all, _ := top[list].([]any)
		for _, one := range all {
			names(list, one, want...)
		}
	}
}

// testSymbols has programs that people have read the PNGs, and the SVGs drawn
// from their path.
func (d *played) testSymbols(t *testing.T) {
	type picture struct{ path, digits string }
	var pictures []picture
	for i, c := range d.list.Cards {
		svg, err := os.ReadFile(filepath.Join(d.dir, c.SVG))
		if err != nil {
			t.Fatal(err)
		}
		drawn := filepath.Join(t.TempDir(), fmt.Sprintf("svg-%02d.png", i))
		if err := os.WriteFile(drawn, drawSVG(t, svg), 0o600); err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, picture{filepath.Join(d.dir, c.PNG), c.Digits}, picture{drawn, c.Digits})
	}
	for _, reader := range []struct {
		name string
		args []string
	}{
		{"zbarimg", []string{"--quiet", "--raw"}},
		{"ZXingReader", []string{"-format", "QRCode", "-bytes"}},
	} {
		t.Run(reader.name, func(t *testing.T) {
			if _, err := exec.LookPath(reader.name); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s is missing", reader.name)
				}
				t.Skipf("%s is not installed", reader.name)
			}
			for _, p := range pictures {
				out, err := exec.CommandContext(t.Context(), reader.name, append(slices.Clone(reader.args), p.path)...).Output()
				if err != nil {
					t.Fatalf("%s: %v", filepath.Base(p.path), err)
				}
				if got := strings.TrimSuffix(string(out), "\n"); got != p.digits {
					t.Errorf("%s: got %d characters, not the digits listed", filepath.Base(p.path), len(got))
				}
			}
			t.Logf("%d pictures", len(pictures))
		})
	}
}

var (
	viewBox = regexp.MustCompile(`viewBox="0 0 (\d+) \d+"`)
	dark    = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`)
)

// drawSVG draws the one path of a card's SVG, which is runs of dark modules.
func drawSVG(t *testing.T, svg []byte) []byte {
	t.Helper()
	const scale = 8
	box := viewBox.FindSubmatch(svg)
	runs := dark.FindAllSubmatch(svg, -1)
	if box == nil || len(runs) < 65 {
		t.Fatal("the SVG is drawn in another way")
	}
	whole := func(b []byte) int {
		n, err := strconv.Atoi(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	side := whole(box[1]) * scale
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for _, run := range runs {
		x, y, width := whole(run[1])*scale, whole(run[2])*scale, whole(run[3])*scale
		for dy := range scale {
			for dx := range width {
				picture.SetColorIndex(x+dx, y+dy, 1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// testVerdicts: what the list says is what verify says, whichever way the card
// is given.
func (d *played) testVerdicts(t *testing.T) {
	binary, checks := program(t), 0
	for _, c := range d.list.Cards {
		for _, way := range []struct {
			name, input string
			stdin       string
		}{
			{"picture", filepath.Join(d.dir, c.PNG), ""},
			{"digits", c.Digits, ""},
			{"standard input", "-", c.Digits + "\n"},
		} {
			verify := exec.CommandContext(t.Context(), binary, "verify", "--json", "--pack", filepath.Join(d.dir, d.list.Pack), "--code", c.Code, way.input)
			verify.Stdin = strings.NewReader(way.stdin)
			out, err := verify.Output()
			exit := (*exec.ExitError)(nil)
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			var verdict struct {
				State string
				Demo  bool
			}
			if err := json.Unmarshal(out, &verdict); err != nil {
				t.Fatal(err)
			}
			want := wantStatus[verifier.State(c.Expect)]
			if got := verify.ProcessState.ExitCode(); verdict.State != c.Expect || got != want || !verdict.Demo {
				t.Errorf("%s by %s: got %s, status %d, demo %v; want %s, status %d", c.PNG, way.name, verdict.State, got, verdict.Demo, c.Expect, want)
			}
			checks++
		}
	}
	t.Logf("%d checks", checks)
}

// testFiles: nothing lies in the folder but what docs/operate.md names, and
// nobody else can read it.
func (d *played) testFiles(t *testing.T) {
	known := []string{
		"safeconduct.db", "safeconduct.db-wal", "safeconduct.db-shm", "keyring.db", "keyring.db-wal", "keyring.db-shm",
		"blobs", "log", "aside", "keys.age", "keys.age.lock", "passphrase", "pack.json", "pack.json.key",
		"pack-old.json", "pack-old.json.key", "pack-gate-1.json", "pack-gate-1.json.key",
		"pack-consular-desk.json", "pack-consular-desk.json.key", "pack-consular-desk-2.json", "pack-consular-desk-2.json.key",
		"cards", "demo.json", "signer", "answers.judged",
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("%s is not documented", e.Name())
		}
	}
	var cards []string
	for _, c := range d.list.Cards {
		cards = append(cards, path.Base(c.PNG), path.Base(c.SVG))
	}
	slices.Sort(cards)
	entries, err = os.ReadDir(filepath.Join(d.dir, "cards"))
	if err != nil {
		t.Fatal(err)
	}
	var pictures []string
	for _, e := range entries {
		pictures = append(pictures, e.Name())
	}
	if !slices.Equal(pictures, cards) {
		t.Errorf("cards/ holds %q, and %q are listed", pictures, cards)
	}
	err = filepath.WalkDir(d.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", name, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testPage: the story is served to this machine under its own names, and to no
// other.
func (d *played) testPage(t *testing.T) {
	for _, c := range []struct {
		host string
		want int
	}{
		{"", http.StatusOK},
		{"localhost", http.StatusOK},
		{"localhost:1234", http.StatusOK},
		{"127.0.0.1", http.StatusOK},
		{"demo.example", http.StatusForbidden},
		{"127.0.0.1.demo.example", http.StatusForbidden},
		{"localhost.demo.example:80", http.StatusForbidden},
		{"192.0.2.1", http.StatusForbidden},
	} {
		for _, target := range []string{"/", "/pack", "/card"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.list.URL+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = c.host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var page bytes.Buffer
			_, err = page.ReadFrom(resp.Body)
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.want {
				t.Errorf("host %q, %s: got %d, want %d", c.host, target, resp.StatusCode, c.want)
			}
			if target == "/card" && c.want == http.StatusOK &&
				(!strings.Contains(page.String(), "00 00 000 000</a>") || !strings.Contains(resp.Header.Get("Content-Security-Policy"), web.CardStyleSHA256)) {
				t.Errorf("the page for finders has another desk, or a style that its policy refuses: %q", resp.Header)
			}
			if target == "/" && c.want == http.StatusOK {
				d.lookAtPage(t, resp.Header, page.String())
			}
		}
	}
}

// testMethods: the page is there for HEAD as for GET, and says what else it is not for.
func (d *played) testMethods(t *testing.T) {
	for _, c := range []struct {
		method, target string
		want           int
		allow          string
	}{
		{http.MethodGet, "/", http.StatusOK, ""},
		{http.MethodHead, "/", http.StatusOK, ""},
		{http.MethodPost, "/", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodOptions, "/", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, stageSignIn, http.StatusMethodNotAllowed, "POST"},
		{http.MethodHead, stagePasskey, http.StatusMethodNotAllowed, "POST"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, d.list.URL+c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.want || resp.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: got %d, Allow %q; want %d, %q", c.method, c.target, resp.StatusCode, resp.Header.Get("Allow"), c.want, c.allow)
		}
		if c.method == http.MethodHead && len(body) > 0 {
			t.Errorf("HEAD %s has a body", c.target)
		}
	}
}

func (d *played) lookAtPage(t *testing.T, header http.Header, page string) {
	t.Helper()
	if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; img-src data:; style-src 'sha256-") {
		t.Errorf("got Content-Security-Policy %q", csp)
	}
	for _, want := range append([]string{
		"He can read who opened his record",
		`<span class="native" lang="km" dir="auto">ចាន់ សុខា</span>`,
		`<span class="native" lang="my" dir="auto">မောင်မောင်အောင်</span>`,
		`<span class="native" lang="am" dir="auto">ትግስት በቀለ</span>`,
		`<span class="native" lang="zh-Hans" dir="auto">陈伟</span>`,
	}, numbersOf(d.list)...) {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	for _, word := range []string{"victim", "survivor", "traffick", "rescue", "<script"} {
		if strings.Contains(strings.ToLower(page), word) {
			t.Errorf("the page holds %q", word)
		}
	}
}

func numbersOf(m manifest) []string {
	var all []string
	for _, c := range m.Cards {
		all = append(all, c.Number)
	}
	return all
}

// testPeople: everybody who is listed signs in with the passkey that is listed, and one
// of them alone is not enough for anything.
func (d *played) testPeople(t *testing.T) {
	roles := map[string]int{}
	for _, one := range d.list.Persons {
		p, err := d.person(t.Context(), one.Agency, one.Handle)
		if err != nil {
			t.Fatalf("%s: %v", one.Handle, err)
		}
		if p.Me.ID != one.ID || p.Me.Agency != one.Agency || !slices.Equal(p.Me.Roles, one.Roles) || len(one.Roles) != 1 {
			t.Errorf("%s signs in as %s", one.Handle, p.Me.Handle)
		}
		roles[one.Roles[0]]++
	}
	for role, want := range map[string]int{"operator": 2, "admin": 5, "supervisor": 2, "caseworker": 2, "mission": 2, "officer": 1} {
		if roles[role] != want {
			t.Errorf("got %d people who are %s, want %d", roles[role], role, want)
		}
	}
	var founding struct{ Open bool }
	first, err := d.person(t.Context(), "", "operator-1")
	if err := errors.Join(err, first.Get(t.Context(), "/api/v1/founding", &founding)); err != nil || founding.Open {
		t.Errorf("the founding is open: %v, %v", founding.Open, err)
	}
}

// testVisitors: whoever looks at the page is signed in as somebody by one press, and
// agrees with that person's passkey. Pages elsewhere have nothing of it.
func (d *played) testVisitors(t *testing.T) {
	send := func(path, mediaType, body string, edit func(*http.Request)) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.list.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		if edit != nil {
			edit(req)
		}
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	const form = "application/x-www-form-urlencoded"
	cookies := map[string]*http.Cookie{}
	for _, one := range d.list.Persons {
		resp, want := send("/stage/sign-in", form, "person="+one.ID, nil), "/admin"
		if one.Roles[0] == "officer" {
			want = "/check"
		}
		set := resp.Cookies()
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != want || len(set) != 1 || !set[0].HttpOnly || set[0].SameSite != http.SameSiteStrictMode {
			t.Fatalf("%s: %d to %q with %d cookies", one.Handle, resp.StatusCode, resp.Header.Get("Location"), len(set))
		}
		cookies[one.ID] = set[0]
	}

	// One visitor, in two windows, is two people.
	first, second := d.list.Persons[0], d.list.Persons[1]
	as := func(who demo.Staff) func(*http.Request) {
		return func(r *http.Request) {
			r.AddCookie(cookies[who.ID])
			r.Header.Set("Idempotency-Key", randomHex(16))
		}
	}
	read := func(resp *http.Response, want int, into any) {
		t.Helper()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != want {
			t.Fatalf("%s: %d, %v", resp.Request.URL.Path, resp.StatusCode, err)
		}
	}
	var asked caller.Asked
	read(send("/api/v1/people", "application/json", `{"roles":["auditor"],"handle":"auditor-1"}`, as(first)), 202, &asked)
	agree := func(who demo.Staff) (now caller.Request) {
		t.Helper()
		options, err := json.Marshal(map[string]any{"options": asked.Request.Options})
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]json.RawMessage
		read(send("/stage/passkey", "application/json", string(options), as(who)), 200, &answer)
		body, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		read(send("/api/v1/requests/"+asked.Request.ID+"/approvals", "application/json", string(body), as(who)), 200, &now)
		return now
	}
	if now := agree(first); now.State != "waits" {
		t.Errorf("after one has agreed it is %s", now.State)
	}
	p, err := d.person(t.Context(), second.Agency, second.Handle)
	if err := errors.Join(err, p.Get(t.Context(), "/api/v1/requests/"+asked.Request.ID, &asked.Request)); err != nil {
		t.Fatal(err)
	}
	if now := agree(second); now.State != caller.Done {
		t.Errorf("after two have agreed it is %s", now.State)
	}

	for name, c := range map[string]struct {
		path, body string
		edit       func(*http.Request)
		want       int
	}{
		"another site":       {"/stage/sign-in", "person=" + first.ID, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"no word of where":   {"/stage/sign-in", "person=" + first.ID, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, 403},
		"nobody":             {"/stage/sign-in", "", nil, 404},
		"somebody else":      {"/stage/sign-in", "person=" + strings.Repeat("0", 32), nil, 404},
		"not signed in":      {"/stage/passkey", `{"options":{}}`, nil, 401},
		"no options":         {"/stage/passkey", `{}`, as(first), 400},
		"elsewhere signs":    {"/stage/passkey", `{"options":{}}`, func(r *http.Request) { as(first)(r); r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		"under another name": {"/stage/sign-in", "person=" + first.ID, func(r *http.Request) { r.Host = "demo.example" }, 403},
	} {
		if resp := send(c.path, form, c.body, c.edit); resp.StatusCode != c.want || len(resp.Cookies()) > 0 {
			t.Errorf("%s: %d with %d cookies, want %d", name, resp.StatusCode, len(resp.Cookies()), c.want)
		}
	}
}

// TestDemoAgain: a demo takes the place of a former one, leaves alone what
// somebody else put there, and ends well when it is interrupted.
func TestDemoAgain(t *testing.T) {
	first, second := servingDemo(t), endedDemo(t) // fails unless the interrupt gave status 0
	if second.list.Network == first.list.Network {
		t.Error("the second demo has the first one's network")
	}
	for _, c := range first.list.Cards {
		if slices.ContainsFunc(second.list.Cards, func(o listedCard) bool { return o.Digits == c.Digits }) {
			t.Error("a card of the first demo is listed by the second")
		}
	}
	notes, err := os.ReadFile(filepath.Join(second.dir, "somebody's notes"))
	if err != nil || string(notes) != "kept" {
		t.Error("what somebody else put into the folder is gone")
	}
	blobs := 0
	if err := filepath.WalkDir(filepath.Join(second.dir, config.ObjectsName), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "network" { // which says whose folder it is
			blobs++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if blobs != 1 {
		t.Errorf("got %d pages, want the one that was not erased", blobs)
	}
}

// TestDemoWithoutPages: a script is told that the demo does not hold, a person how
// to get the pages.
func TestDemoWithoutPages(t *testing.T) {
	for name, f := range map[string]demoFlags{"once": {once: true}, "json": {json: true}} {
		t.Run(name, func(t *testing.T) {
			if err := f.pages(io.Discard, web.ErrNotBuilt); !errors.Is(err, web.ErrNotBuilt) || !strings.Contains(err.Error(), "make build") {
				t.Errorf("got %v", err)
			}
			if err := f.pages(io.Discard, nil); err != nil {
				t.Errorf("with the pages: %v", err)
			}
		})
	}
	var told bytes.Buffer
	if err := (demoFlags{}).pages(&told, web.ErrNotBuilt); err != nil || !strings.Contains(told.String(), "make build") {
		t.Errorf("a person is told %q, %v", told.String(), err)
	}
}

// TestDemoRefuses: nothing is touched, and nothing is served to others.
func TestDemoRefuses(t *testing.T) {
	binary := program(t)
	former := func(t *testing.T, dir string) {
		t.Helper()
		for _, name := range []string{config.DemoName, config.PassphraseName} {
			if err := copyTree(filepath.Join(endedDemo(t).dir, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		fill  func(*testing.T, string)
		flags []string
		want  string
	}{
		{"a foreign folder", write("thesis.txt", "years"), nil, "neither empty nor a former demo"},
		{"somebody else's demo.json", write(config.DemoName, `{"demo":true}`), nil, "neither empty nor a former demo"},
		{"a network with its passphrase", write(config.PassphraseName, "a real passphrase\n"), nil, "neither empty nor a former demo"},
		{"every address", former, []string{"--listen", "0.0.0.0:0"}, "127.0.0.1 and localhost only"},
		{"every address, version 6", former, []string{"--listen", "[::]:0"}, "127.0.0.1 and localhost only"},
		{"no address", former, []string{"--listen", ":0"}, "127.0.0.1 and localhost only"},
		{"another machine", former, []string{"--listen", "192.0.2.1:0"}, "127.0.0.1 and localhost only"},
		{"another loopback", former, []string{"--listen", "127.0.0.2:0"}, "127.0.0.1 and localhost only"},
		{"a name", former, []string{"--listen", "demo.example:0"}, "127.0.0.1 and localhost only"},
		{"an argument", former, []string{"now"}, "unknown command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.fill(t, dir)
			before := contents(t, dir)
			out, err := exec.CommandContext(t.Context(), binary, append([]string{"demo", "--once", "--dir", dir}, c.flags...)...).CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("got %v, want status 1", err)
			}
			if !strings.Contains(string(out), c.want) {
				t.Errorf("got %q, want it to say %q", out, c.want)
			}
			if after := contents(t, dir); after != before {
				t.Errorf("the folder was %s and is %s", before, after)
			}
		})
	}
	t.Run("a folder in use", func(t *testing.T) {
		d := servingDemo(t)
		out, err := exec.CommandContext(t.Context(), binary, "demo", "--once", "--dir", d.dir).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "in use") {
			t.Errorf("got %v: %s", err, out)
		}
		if again, err := readManifest(d.dir); err != nil || again.Network != d.list.Network {
			t.Error("a demo that was being served was replaced")
		}
	})
}

// contents is a folder as a text: names and what is in them.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&b, "%s %q\n", filepath.Base(name), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
