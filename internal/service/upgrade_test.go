package service

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// lines is a log that several may read and write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestUpgrade: while the stores are brought up to date the service lives, is not ready and
// answers nothing else, and its log says how far it is. Then it serves. Whoever only looks
// waits, and stores of a newer program open for nobody.
func TestUpgrade(t *testing.T) {
	log := &lines{}
	cfg := Config{Dir: t.TempDir(), WorkFactor: DemoWork, Passphrase: "a passphrase for a test", Log: slog.New(slog.NewTextHandler(log, nil))}
	if _, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ask := func(path string, want int) {
		t.Helper()
		var last error
		for range 600 {
			r, err := http.Get("http://" + address + path)
			if err == nil {
				_ = r.Body.Close()
				if r.StatusCode == want {
					return
				}
				err = errors.New(r.Status)
			}
			last = err
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("%s: %v, want %d", path, last, want)
	}

	seen := make(chan struct{})
	cfg.finish = func(_ context.Context, tell func(int64, float64)) error {
		tell(9001, 0.37)
		<-seen
		tell(9001, 1)
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, cfg, Serving{Listen: address, Window: time.Hour}) }()
	ask("/healthz", http.StatusOK)
	ask("/readyz", http.StatusServiceUnavailable)
	ask("/pack", http.StatusServiceUnavailable)
	if text := log.String(); !strings.Contains(text, "step=9001 percent=37") || strings.Contains(text, "msg=serving") {
		t.Errorf("the log says\n%s", text)
	}
	close(seen)
	ask("/readyz", http.StatusOK)
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "step=9001 percent=100") || !strings.Contains(text, "msg=serving") {
		t.Errorf("the log says\n%s", text)
	}

	cfg.finish = nil
	s, err := Look(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := sqlitetest.Open(t, filepath.Join(cfg.Dir, config.DatabaseName))
	if _, err := db.ExecContext(t.Context(), "INSERT INTO steps (number, done) VALUES (9001, TRUE)"); err != nil {
		t.Fatal(err)
	}
	for what, open := range map[string]func(context.Context, Config) (*Service, error){"serve": Open, "look": Look} {
		if _, err := open(t.Context(), cfg); !errors.Is(err, sqlstore.ErrNewerStores) {
			t.Errorf("%s over stores of a newer program: %v", what, err)
		}
	}
}
