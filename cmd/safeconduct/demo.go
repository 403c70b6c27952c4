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
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/demo"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/web"
)

type demoFlags struct {
	dir, listen string
	engines     config.Engines
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
	enginesFlags(c, &f.engines)
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object when every step held, and nothing else")
	return c
}

func (f demoFlags) run(ctx context.Context, out io.Writer) error {
	began := time.Now()
	// Before anything of a former demo is touched.
	listener, err := service.ListenLocally(ctx, f.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	url, err := pagesAt(listener.Addr())
	if err != nil {
		return err
	}

	// The story begins four days ago; until it is told, the service lives
	// that much in the past.
	var ago atomic.Int64
	ago.Store(int64(demo.Began))
	now := func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) }

	cfg := service.Config{Dir: f.dir, Engines: f.engines, WorkFactor: service.DemoWork, Now: now, Passphrase: config.DemoPassphrase + randomHex(16)}
	access, err := foundDemo(ctx, cfg, url)
	if err != nil {
		return err
	}
	// From here on as serve does it: the keys are in a process of their own.
	cfg.Passphrase = ""
	if cfg.Keys, err = signerBeside(config.Folder{Dir: f.dir}, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	network, err := service.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = network.Close() }()

	s := &stage{api: network.API, url: url}
	server := network.API.Listener("")
	server.Handler = service.LocalOnly(s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	told := out
	if f.json {
		told = io.Discard
	}
	_, _ = fmt.Fprintf(told, "Safeconduct demo, at %s, in a minute or two. Everybody in it is made up.\n\n", url)
	story, err := demo.Play(ctx, demo.Config{
		URL: url, Operator: access.Token, Join: access.Join, Dir: f.dir, Out: told,
		SetClock: func(d time.Duration) { ago.Store(int64(d)) },
		Verify:   verifyAsChild,
		KeyLeft:  keyLeft(network),
	})
	if err != nil {
		return fmt.Errorf("the story stopped: %w", err)
	}
	_, _ = fmt.Fprintf(told, "\nEvery step held, in %s. %d cards are in %s.\n", time.Since(began).Round(100*time.Millisecond), len(story.Cards), filepath.Join(f.dir, "cards"))
	if err := f.pages(told, web.Built()); err != nil {
		return err
	}
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
	case <-network.Locked(ctx):
		_, err := fmt.Fprintln(told, "\nThe network was locked, and so this demo ends. Served in earnest it would go on without keys,\n"+
			"until two people open it again. Begin anew with the command that began this one.")
		return err
	case <-ctx.Done():
		return nil
	}
}

// pages says it when nobody can open a page of this demo. A script that asks
// whether the demo holds gets no for an answer; a person can look at the rest.
func (f demoFlags) pages(told io.Writer, missing error) error {
	if missing == nil {
		return nil
	}
	if f.once || f.json {
		return fmt.Errorf("the story held, and the demo does not: %w. %s", missing, web.HowToBuild)
	}
	_, err := fmt.Fprintf(told, "\nNobody can open /check here: the pages are not in this binary. %s\n", web.HowToBuild)
	return err
}

// foundDemo makes room in the folder and a throw-away network in it.
func foundDemo(ctx context.Context, cfg service.Config, url string) (access service.Access, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return access, err
	}
	unlock, err := files.Lock(cfg.Dir)
	if err != nil {
		return access, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := clearDemo(cfg.Dir); err != nil {
		return access, err
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil { //nolint:gosec // a folder
		return access, err
	}
	// First of all: it marks the folder as a demo's.
	if err := files.Replace(filepath.Join(cfg.Dir, config.PassphraseName), []byte(cfg.Passphrase+"\n")); err != nil {
		return access, err
	}
	return service.Found(ctx, cfg, service.Founding{
		ID: randomHex(16), Name: "Demo network (made-up people)", BaseURL: url, Desk: "+00 00 000 000", Demo: true,
	})
}

// pagesAt is where browsers have to look for a listener's pages: passkeys are for a
// name, and take no bare address.
func pagesAt(a net.Addr) (string, error) {
	_, port, err := net.SplitHostPort(a.String())
	return "http://localhost:" + port, err
}

// keyLeft tells whether the keyring still holds a key to a record.
func keyLeft(s *service.Service) func(ctx context.Context, record string) (bool, error) {
	return func(ctx context.Context, record string) (bool, error) {
		_, err := s.Keyring.Get(ctx, record)
		if errors.Is(err, vault.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
}

// demoFiles matches what a demo leaves in its folder, and what commands add to
// it. The last two are its marks, and go last.
var demoFiles = []string{
	config.DatabaseName + "*", config.KeyringName + "*", config.KeysName + "*", config.EnginesName, config.RotationName, "rows.sealed", config.JudgedName,
	config.SignerName + "*", config.ObjectsName, config.LogName, config.AsideName, "cards", config.LockedName, config.UnlockName,
	"pack*.json", "pack*.json.key", triesName, ".new-*", config.DemoName, config.PassphraseName,
}

// clearDemo makes room in an empty folder or in that of a former demo, and
// touches no other. Of a former demo it removes what a demo made; what
// somebody else put there stays.
func clearDemo(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	if !(config.Folder{Dir: dir}).IsDemo() {
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
