package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestStoryStops shows that the story can fail: with a verify command that
// gives another answer, or the right one with another exit status, it stops
// there and says at which step.
func TestStoryStops(t *testing.T) {
	const step = "The checkpoint opens his card offline"
	for _, c := range []struct {
		name   string
		state  verifier.State
		status int
		want   string
	}{
		{"a green card that is blue", verifier.Confirmed, 0, "got confirmed, want unconfirmed"},
		{"a status of another state", verifier.Unconfirmed, 3, "ended with 3"},
		{"no answer at all", "", 2, "want unconfirmed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told strings.Builder
			_, err := playInProcess(t, demo.Config{
				Out: &told,
				Verify: func(context.Context, ...string) ([]byte, int, error) {
					out, err := json.Marshal(map[string]any{"state": c.state, "demo": true})
					return out, c.status, err
				},
			})
			if err == nil || !strings.Contains(err.Error(), step) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to stop at %q with %q", err, step, c.want)
			}
			if last := told.String()[strings.LastIndex(told.String(), "  ✕"):]; !strings.Contains(last, step) {
				t.Errorf("got %q as the last line", last)
			}
		})
	}
}

// TestStageIsOfTheDemo: a service over the same folder signs nobody in for a press.
func TestStageIsOfTheDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if err := copyTree(endedDemo(t).dir, dir); err != nil {
		t.Fatal(err)
	}
	cfg, err := service.ConfigFor(config.Folder{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	h, err := service.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	for _, path := range []string{stageSignIn, stagePasskey} {
		w := httptest.NewRecorder()
		h.API.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil))
		if w.Code != http.StatusNotFound || len(w.Result().Cookies()) > 0 { //nolint:bodyclose // of a recorder
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestStageSoon: before there is a story, its page says to wait, and nothing of what it
// offers is there yet.
func TestStageSoon(t *testing.T) {
	s := &stage{api: http.NotFoundHandler(), url: "http://localhost:1"}
	get := func(method, address string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, address, nil))
		return w
	}
	if w := get(http.MethodGet, "http://localhost:1/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "still being played") ||
		!strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, path := range []string{stageSignIn, stagePasskey} {
		if w := get(http.MethodPost, "http://localhost:1"+path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// playInProcess plays the story against a service in this process.
func playInProcess(t *testing.T, cfg demo.Config) (*demo.Story, error) {
	t.Helper()
	cfg.Dir = t.TempDir()
	var ago atomic.Int64
	ago.Store(int64(demo.Began))
	network := service.Config{
		Dir: cfg.Dir, Passphrase: config.DemoPassphrase, WorkFactor: service.DemoWork,
		Now: func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) },
	}
	server := httptest.NewUnstartedServer(nil)
	url, err := pagesAt(server.Listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	access, err := foundDemo(t.Context(), network, url)
	if err != nil {
		t.Fatal(err)
	}
	h, err := service.Open(t.Context(), network)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = h.API
	server.Start()
	t.Cleanup(func() {
		server.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg.URL, cfg.Operator, cfg.Join, cfg.KeyLeft = url, access.Token, access.Join, keyLeft(h)
	cfg.SetClock = func(d time.Duration) { ago.Store(int64(d)) }
	return demo.Play(t.Context(), cfg)
}
