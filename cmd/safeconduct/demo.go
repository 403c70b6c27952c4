package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/vault"
)

type demoFlags struct {
	dir, listen string
	engines     engines
	once, json  bool
}

func demoCommand() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole journey on made-up people, then serve it on this machine",
		Long: `Play the whole journey on made-up people, over the real HTTP API, then serve
it on this machine. The network is a throw-away one: it says so in every
verdict, and a real device holds no key of it.

The folder must be empty or a former demo, which is replaced. demo.json in it
lists everything that a script needs to go on.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "demo-data", "where everything goes")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "address to serve on, of this machine only")
	c.Flags().BoolVar(&f.once, "once", false, "end after the story; status 0 only if every step held")
	f.engines.flags(c)
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object when every step held, and nothing else")
	return c
}

// demoMark is in every folder that a finished demo left.
const demoMark = "demo.json"

// demoPassphrase begins the passphrase of every demo, so that a folder whose
// story was not told to its end is known for a demo, too.
const demoPassphrase = "made-up-people-"

// demoWork is the scrypt work of the demo's key file, low because its keys
// protect nobody.
const demoWork = 12

func (f demoFlags) run(ctx context.Context, out io.Writer) error {
	began := time.Now()
	// Before anything of a former demo is touched.
	listener, err := listenLocally(ctx, f.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	url := "http://" + listener.Addr().String()

	// The story begins four days ago; until it is told, the service lives
	// that much in the past.
	var ago atomic.Int64
	ago.Store(int64(4 * 24 * time.Hour))
	now := func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) }

	cfg := houseConfig{dir: f.dir, engines: f.engines, workFactor: demoWork, now: now, log: slog.New(slog.DiscardHandler), passphrase: demoPassphrase + randomHex(16)}
	token, err := foundDemo(ctx, cfg, url)
	if err != nil {
		return err
	}
	h, err := openHouse(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()

	s := &stage{api: h.api}
	server := h.api.Listener("")
	server.Handler = localOnly(s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	told := out
	if f.json {
		told = io.Discard
	}
	_, _ = fmt.Fprintf(told, "Safeconduct demo, at %s. Everybody in it is made up.\n\n", url)
	story, err := demo.Play(ctx, demo.Config{
		URL: url, Operator: token, Dir: f.dir, Out: told,
		SetClock: func(d time.Duration) { ago.Store(int64(d)) },
		Verify:   verifyAsChild,
		KeyLeft:  h.keyLeft,
	})
	if err != nil {
		return fmt.Errorf("the story stopped: %w", err)
	}
	_, _ = fmt.Fprintf(told, "\nEvery step held, in %s. %d cards are in %s.\n", time.Since(began).Round(100*time.Millisecond), len(story.Cards), filepath.Join(f.dir, "cards"))
	if f.json {
		if err := json.NewEncoder(out).Encode(map[string]any{
			"url": url, "dir": f.dir, "network": story.Network, "steps": len(story.Steps), "cards": len(story.Cards),
		}); err != nil {
			return err
		}
	}
	if f.once {
		return nil
	}
	if err := s.show(story, f.dir); err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	_, _ = fmt.Fprintf(told, "\nLook at %s/ . Ctrl-C ends it.\n", url)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}

// foundDemo makes room in the folder and a throw-away network in it.
func foundDemo(ctx context.Context, cfg houseConfig, url string) (token string, err error) {
	if err := os.MkdirAll(cfg.dir, 0o700); err != nil {
		return "", err
	}
	unlock, err := lockFolder(cfg.dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := clearDemo(cfg.dir); err != nil {
		return "", err
	}
	if err := os.Chmod(cfg.dir, 0o700); err != nil { //nolint:gosec // a folder
		return "", err
	}
	// First of all: it marks the folder as a demo's.
	if err := writeFile(filepath.Join(cfg.dir, passphraseName), []byte(cfg.passphrase+"\n")); err != nil {
		return "", err
	}
	return found(ctx, cfg, founding{
		id: randomHex(16), name: "Demo network (made-up people)", baseURL: url, desk: "+00 00 000 000", demo: true,
	})
}

// keyLeft tells whether the keyring still holds a key to a record.
func (h *house) keyLeft(ctx context.Context, record string) (bool, error) {
	_, err := h.keyring.Get(ctx, record)
	if errors.Is(err, vault.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// demoFiles matches what a demo leaves in its folder, and what commands add to
// it. The last two are its marks, and go last.
var demoFiles = []string{
	databaseName + "*", keyringName + "*", keysName + "*", enginesName, rotationName, blobsName, logName, asideName, "cards",
	"pack*.json", "pack*.json.key", triesName, ".new-*", demoMark, passphraseName,
}

// clearDemo makes room in an empty folder or in that of a former demo, and
// touches no other. Of a former demo it removes what a demo made; what
// somebody else put there stays.
func clearDemo(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	if !formerDemo(dir) {
		return fmt.Errorf("%s is neither empty nor a former demo; nothing was changed", dir)
	}
	for _, pattern := range demoFiles {
		for _, e := range entries {
			if ours, err := path.Match(pattern, e.Name()); err != nil || !ours {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// formerDemo tells a folder that a demo made, by what only a demo writes. A
// file of the right name is not enough: what is taken for a former demo is
// deleted.
func formerDemo(dir string) bool {
	passphrase, err := readBounded(filepath.Join(dir, passphraseName), 4<<10)
	if err == nil && strings.HasPrefix(string(passphrase), demoPassphrase) {
		return true
	}
	var listed struct {
		Network string
		Actors  []struct{ Token string }
	}
	data, err := readBounded(filepath.Join(dir, demoMark), 1<<20)
	return err == nil && json.Unmarshal(data, &listed) == nil && len(listed.Network) == 32 && len(listed.Actors) > 0
}

// listenLocally refuses every address that another machine could reach.
func listenLocally(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if !isLocal(host) {
		return nil, errors.New("--listen: the demo answers on 127.0.0.1 and localhost only")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	// What localhost means is for this machine's configuration to say.
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, errors.Join(errors.New("--listen: localhost is not this machine"), l.Close())
	}
	return l, nil
}

func isLocal(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// localOnly refuses requests that name another host: a web page elsewhere
// could otherwise reach this machine under a name of its own.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLocal(host) {
			http.Error(w, "this demo answers on this machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// verifyAsChild runs the verify command as an officer's device would: another
// process, given these arguments, an empty environment, and no network where
// the system allows to take it away.
func verifyAsChild(ctx context.Context, args ...string) ([]byte, int, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	c := exec.CommandContext(ctx, self, append([]string{"verify"}, args...)...) //nolint:gosec // this very program
	c.Env = []string{}
	c.SysProcAttr = withoutNetwork()
	out, err := c.Output()
	if c.SysProcAttr != nil && c.ProcessState == nil { // not allowed here
		c = exec.CommandContext(ctx, self, append([]string{"verify"}, args...)...) //nolint:gosec // this very program
		c.Env = []string{}
		out, err = c.Output()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return out, exit.ExitCode(), nil
	}
	return out, 0, err
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}
