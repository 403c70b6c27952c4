//go:build !race

package browsertest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	settings "github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/service"
)

// begun is a network that is served, and that nobody has joined yet.
type begun struct {
	Service string `json:"service"`
	Link    string `json:"link"`
	Key     string `json:"key"` // SHA-256 of the key of its certificate, in base64
}

// TestFirstMinutes is of the first hour of docs/operate.md: from the link that init
// prints to an agency with one officer and one approved device, within 25 actions of
// two people. It says how long that took.
func TestFirstMinutes(t *testing.T) {
	needBrowser(t)
	binary, work, port := programIn(t), t.TempDir(), freePort(t)
	secret := filepath.Join(work, "passphrase")
	if err := os.WriteFile(secret, []byte("of a made-up network"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, address := filepath.Join(work, "net"), "https://net.example:"+freePort(t)
	begin := exec.CommandContext(t.Context(), binary, "init", "--dir", dir, "--passphrase-file", secret, "--name", "Harbour network", "--url", address, "--desk", "+855 00 000 000", "--json")
	out, err := begin.Output()
	var made struct{ Link string }
	if err != nil || json.Unmarshal(out, &made) != nil {
		t.Fatal(err)
	}
	serve(t, binary, dir, secret, port)
	b := begun{Service: address, Link: made.Link}
	b.Key = before(t, address, true, port)
	players := newPlayer(t, config{Founding: b})
	players.play(t, "firstMinutes")
}

// TestTwoReplicas has the people of a network before two processes over one PostgreSQL.
func TestTwoReplicas(t *testing.T) {
	needBrowser(t)
	binary, work := programIn(t), t.TempDir()
	first, second, ports := filepath.Join(work, "a"), filepath.Join(work, "b"), []string{freePort(t), freePort(t)}
	secret := filepath.Join(work, "passphrase")
	if err := os.WriteFile(secret, []byte("of a made-up network"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "http://localhost:" + freePort(t)
	for _, dir := range []string{first, second} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cfg := service.Config{
		Dir: first, WorkFactor: service.DemoWork, Passphrase: "of a made-up network",
		Engines: settings.Engines{Database: pgtest.Start(t), Keyring: pgtest.Start(t)}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: madeNetwork, Name: "Made-up network", BaseURL: address, Desk: "+00 00 000 000", Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	// Nobody makes a key here, so that copies of one key file will do.
	for _, name := range []string{settings.EnginesName, settings.KeysName} {
		data, err := os.ReadFile(filepath.Join(first, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(second, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Nor any pages.
	if err := os.CopyFS(filepath.Join(second, settings.ObjectsName), os.DirFS(filepath.Join(first, settings.ObjectsName))); err != nil {
		t.Fatal(err)
	}
	for i, dir := range []string{first, second} {
		serve(t, binary, dir, secret, ports[i])
	}
	b := begun{Service: address, Link: access.Link(address)}
	before(t, address, false, ports...)
	players := newPlayer(t, config{Replicas: b})
	players.play(t, "twoReplicas")
}

// serve runs a process of a network until the test ends, and waits until it answers.
func serve(t *testing.T, binary, dir, secret, port string) {
	t.Helper()
	var said bytes.Buffer
	c := exec.Command(binary, "serve", "--dir", dir, "--passphrase-file", secret, "--listen", "127.0.0.1:"+port)
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		<-ended
	})
	for until := time.Now().Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		answer, err := http.Get("http://127.0.0.1:" + port + "/readyz") //nolint:noctx // it answers or it does not
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			t.Fatalf("the service ended: %s", said.String())
		default:
		}
		if time.Now().After(until) {
			t.Fatal("the service is not ready")
		}
	}
}

// before puts a proxy at the address of a network: the first request goes to the first
// of the processes behind it, and each to another one than that before. It returns what
// a browser knows the key of its certificate by.
func before(t *testing.T, address string, tls bool, ports ...string) (key string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	targets, met := make([]*url.URL, len(ports)), make([]atomic.Int64, len(ports))
	for i, port := range ports {
		targets[i] = &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	}
	var n atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		i := (n.Add(1) - 1) % int64(len(targets))
		met[i].Add(1)
		r.SetURL(targets[i])
		r.Out.Host = r.In.Host
	}}
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	mux.HandleFunc("GET /made-up/met", func(w http.ResponseWriter, _ *http.Request) {
		all := make([]int64, len(met))
		for i := range met {
			all[i] = met[i].Load()
		}
		_ = json.NewEncoder(w).Encode(all)
	})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "localhost:"+u.Port())
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}
	t.Cleanup(server.Close)
	if !tls {
		server.Start()
		return ""
	}
	server.StartTLS()
	sum := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
