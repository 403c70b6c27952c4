package service

import (
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestWithoutTheDatabase: with the database gone, what is for everybody is served
// from memory, and cards are judged (docs/operate.md, Several replicas).
func TestWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	cfg := Config{
		Dir: filepath.Join(t.TempDir(), "a"), Passphrase: "a passphrase for a test", WorkFactor: 4,
		Engines: config.Engines{Database: server.Database(t), Keyring: server.Database(t)}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "One", BaseURL: "https://one.example", Desk: "+00 00 000 000"})
	if err != nil {
		t.Fatal(err)
	}
	operator := access.Token
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	by, err := s.People.Authenticate(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	house := peopletest.Joined(t, s.People, s.Passkeys, "https://one.example", access.Join)
	gate := house.Agency(s.Network, roster.Agency{Name: "Gate (made up)", Class: "ImmigrationService", Country: "THA", Desk: "+66 00 000 005"})
	officer := house.Token(gate, people.Officer)
	if _, err := s.Board.Publish(t.Context(), by, false); err != nil {
		t.Fatal(err)
	}

	web := httptest.NewServer(s.API)
	t.Cleanup(web.Close)
	ask := func(method, path, token, body string) (int, string, http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", randomHex(16))
		resp, err := web.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data), resp.Header
	}
	files := []string{
		"/trust-list", "/trust-key", "/pack", "/status-lists/0", "/answers-lists/0", "/log/checkpoint",
		"/log/tile/0/000",
	}
	before := map[string]string{}
	for _, path := range files {
		status, body, _ := ask("GET", path, "", "")
		if status != 200 || body == "" {
			t.Fatalf("%s: got %d", path, status)
		}
		before[path] = body
	}
	const card = `{"digits":"12345"}`
	status, verdict, _ := ask("POST", "/api/v1/verifications", officer, card)
	if status != 200 {
		t.Fatalf("got %d %s", status, verdict)
	}

	signed, _, err := s.Sessions.Start(t.Context(), house.First, "")
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := s.Sessions.Challenge(t.Context(), signin.SignIn, "")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := house.Keys[house.First].Agree(challenge, house.Origin)
	if err != nil {
		t.Fatal(err)
	}
	// page asks as a browser does.
	page := func(method, path, cookie, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Idempotency-Key", randomHex(16))
		if cookie != "" {
			r.AddCookie(s.Sessions.Cookie(cookie))
		}
		resp, err := web.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	if status, body := page("GET", "/api/v1/sessions/self", signed, ""); status != 200 {
		t.Fatalf("a session: got %d %s", status, body)
	}

	server.Kill(t)
	began := time.Now()
	// Nobody is told that they are not signed in, and nobody is let in.
	for _, c := range []struct{ what, method, path, cookie, body string }{
		{"a session", "GET", "/api/v1/sessions/self", signed, ""},
		{"signing in", "POST", "/api/v1/sessions", "", `{"response":` + string(shown) + `}`},
	} {
		if status, body := page(c.method, c.path, c.cookie, c.body); status != 503 || !strings.Contains(body, "database_unavailable") {
			t.Errorf("%s: got %d %s", c.what, status, body)
		}
	}
	for _, path := range files {
		t.Run(path, func(t *testing.T) {
			if status, body, _ := ask("GET", path, "", ""); status != 200 || body != before[path] {
				t.Errorf("got %d %q", status, body)
			}
			if status, _, _ := ask("HEAD", path, "", ""); status != 200 {
				t.Errorf("HEAD: got %d", status)
			}
		})
	}
	if status, body, _ := ask("POST", "/api/v1/verifications", officer, card); status != 200 || body != verdict {
		t.Errorf("a check: got %d %s, want %s", status, body, verdict)
	}
	for _, c := range []struct{ method, path, token, body string }{
		{"GET", "/readyz", "", ""},
		{"GET", "/api/v1/agencies", officer, ""},
		{"POST", "/api/v1/verifications", operator, card},
		{"GET", "/log/tile/0/100", "", ""}, // nobody knows whether there is one by now
	} {
		if status, body, _ := ask(c.method, c.path, c.token, c.body); status != 503 && (c.token != operator || status != 403) {
			t.Errorf("%s %s: got %d %s", c.method, c.path, status, body)
		}
	}
	t.Logf("answered in %s", time.Since(began))
	s.Board.confirmed = time.Now().Add(-time.Minute)
	if _, _, header := ask("GET", "/status-lists/0", "", ""); header.Get("Age") != "60" {
		t.Errorf("the list is %q old", header.Get("Age"))
	}
}

// TestLogFilesAreHeld: what is held is the newest checkpoint with its tiles, and
// of a long log the newest of them.
func TestLogFilesAreHeld(t *testing.T) {
	const size = 600
	dir := fstest.MapFS{CheckpointName: {Data: []byte("log\n" + strconv.Itoa(size) + "\nx\n")}, RestartName: {Data: []byte("{}")}}
	for name := range audit.Tiles(size) {
		dir[name] = &fstest.MapFile{Data: []byte(name)}
	}
	dir["tile/0/002.p/1"] = &fstest.MapFile{Data: []byte("older")}
	l := &logFiles{dir: dir}
	if err := l.update(); err != nil {
		t.Fatal(err)
	}
	l.dir = fstest.MapFS{}
	for name := range dir {
		data, err := fs.ReadFile(l, name)
		if held := name != "tile/0/002.p/1"; (err == nil) != held || held && string(data) != string(dir[name].Data) {
			t.Errorf("%s: got %q, %v", name, data, err)
		}
	}
	if info, err := fs.Stat(l, "tile/0/000"); err != nil || info.Name() != "000" || info.Size() != int64(len("tile/0/000")) || !info.Mode().IsRegular() {
		t.Errorf("got %v, %v", info, err)
	}

	// A tile that cannot be read leaves everything as it was.
	dir[CheckpointName] = &fstest.MapFile{Data: []byte("log\n601\nx\n")}
	l.dir = dir
	if err := l.update(); err == nil {
		t.Error("held a checkpoint without its tiles")
	}
	l.dir = fstest.MapFS{}
	if data, err := fs.ReadFile(l, CheckpointName); err != nil || !strings.Contains(string(data), "600") {
		t.Errorf("got %q, %v", data, err)
	}
	for name := range audit.Tiles(601) {
		dir[name] = &fstest.MapFile{Data: []byte(name)}
	}
	l.dir = dir
	if err := l.update(); err != nil {
		t.Fatal(err)
	}
	l.dir = fstest.MapFS{}
	if _, err := fs.ReadFile(l, "tile/0/002.p/88"); err == nil {
		t.Error("a partial tile is held that has a successor")
	}
	if _, err := fs.ReadFile(l, "tile/0/002.p/89"); err != nil {
		t.Error(err)
	}
}
