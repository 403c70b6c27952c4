//go:build !race

package browsertest_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/service"
)

// founded is a network whose first operator has a link and has not joined yet.
type founded struct {
	Service string `json:"service"`
	Link    string `json:"link"`
}

// foundNetworks makes a network for each language in which the page is looked at: who
// joins one is there for good.
func foundNetworks(t *testing.T) map[string]founded {
	t.Helper()
	all := map[string]founded{}
	for _, language := range languages {
		all[language] = foundNetwork(t)
	}
	return all
}

// makeNetwork makes one that will be served at a port of localhost.
func makeNetwork(t *testing.T) (cfg service.Config, port string, made founded) {
	t.Helper()
	port = freePort(t)
	url := "http://localhost:" + port
	cfg = service.Config{
		Dir: filepath.Join(t.TempDir(), "network"), WorkFactor: service.DemoWork, Passphrase: "of a made-up network",
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	access, err := service.Found(t.Context(), cfg, service.Founding{
		ID: madeNetwork, Name: "Made-up network", BaseURL: url, Desk: "+00 00 000 000", Demo: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, port, founded{Service: url, Link: access.Link(url)}
}

// serveNetwork serves one as the program does, which begins anew when it was locked.
func serveNetwork(t *testing.T) founded {
	t.Helper()
	cfg, port, made := makeNetwork(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		for {
			err := service.Serve(ctx, cfg, service.Serving{Listen: "localhost:" + port, Window: time.Hour})
			if !errors.Is(err, service.ErrLocked) {
				ended <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return made
}

func foundNetwork(t *testing.T) founded {
	t.Helper()
	cfg, port, made := makeNetwork(t)
	s, err := service.Open(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	server := s.API.Listener("")
	server.Handler = service.LocalOnly(s.API)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return made
}
