package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

type initFlags struct {
	dir, passphraseFile, name, url, desk string
	engines                              engines
	json                                 bool
}

func initCommand() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the keys and the database of a new network",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "an empty folder (required)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "a file with the passphrase of the keys; keep it on another disk")
	isSetting(c, "passphrase-file")
	c.Flags().StringVar(&f.name, "name", "", "the network's name (required)")
	c.Flags().StringVar(&f.url, "url", "", "where it will be served, https (required)")
	c.Flags().StringVar(&f.desk, "desk", "", "the telephone number of the network's desk (required)")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	f.engines.flags(c)
	for _, name := range []string{"dir", "name", "url", "desk"} {
		_ = c.MarkFlagRequired(name)
	}
	return c
}

func (f initFlags) run(ctx context.Context, out io.Writer) error {
	passphrase, err := passphraseFor(f.engines, f.passphraseFile)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	unlock, err := lockFolder(f.dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	// What lies there might be somebody's, or what is left of another network.
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) > 0 {
		return errors.Join(fmt.Errorf("%s is not empty; nothing was changed", f.dir), err)
	}
	cfg := houseConfig{dir: f.dir, engines: f.engines, passphrase: passphrase, now: time.Now}
	id := randomHex(16)
	token, err := found(ctx, cfg, founding{id: id, name: f.name, baseURL: strings.TrimRight(f.url, "/"), desk: f.desk})
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(out).Encode(map[string]string{"network": id, "role": "operator", "token": token})
	}
	_, err = fmt.Fprintf(out, "The network is made. The first operator's token is shown this once:\n\n%s\n\n"+
		"The root key lies in the key file with the others: whoever holds folder and\npassphrase can name agencies. docs/operate.md says how to keep them apart.\n", token)
	return err
}

type serveFlags struct {
	dir, passphraseFile, listen string
	window, drainDelay          time.Duration
	metrics                     string
	metricsOpen                 bool
}

func serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve a network",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "the folder that init made (required)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "a file with the passphrase of the keys")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8443", "address to serve on, behind something that speaks TLS")
	c.Flags().DurationVar(&f.window, "window", time.Hour, "how often lists and packs are published")
	c.Flags().StringVar(&f.metrics, "metrics", "", "address to answer Prometheus on, as 127.0.0.1:9090 (default: nowhere)")
	c.Flags().BoolVar(&f.metricsOpen, "metrics-open", false, "let --metrics be an address that other machines reach")
	c.Flags().DurationVar(&f.drainDelay, "drain-delay", 0, "how long /readyz says no before the service stops taking requests (as long as what stands before it takes to notice)")
	isSetting(c, "passphrase-file", "listen", "window", "metrics", "metrics-open", "drain-delay")
	_ = c.MarkFlagRequired("dir")
	return c
}

// shutdownTime is how long requests in flight may take to finish.
const shutdownTime = 20 * time.Second

// shortestWindow keeps a slip of the finger from publishing without pause.
const shortestWindow = time.Second

func (f serveFlags) run(ctx context.Context, logTo io.Writer) (err error) {
	if f.window < shortestWindow {
		return fmt.Errorf("--window: %s or more", shortestWindow)
	}
	e, err := readEngines(f.dir)
	if err != nil {
		return err
	}
	passphrase, err := passphraseFor(e, f.passphraseFile)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(logTo, nil))
	if err := keepMemory(); err != nil {
		return fmt.Errorf("keep keys out of core files: %w", err)
	}
	var counted *metrics
	if f.metrics != "" {
		counted = newMetrics()
	}
	h, err := openHouse(ctx, houseConfig{dir: f.dir, passphrase: passphrase, now: time.Now, log: log, metrics: counted})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	var scrapes net.Listener
	if counted != nil {
		if scrapes, err = metricsListener(ctx, f.metrics, f.metricsOpen); err != nil {
			return err
		}
		counted.house(h)
	}
	server := h.api.Listener(f.listen)
	server.Handler = leaky(h, server.Handler)
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	log.InfoContext(ctx, "serving", "settled", h.settled)
	// The chores go on while the last requests are answered: a process that is
	// not heard any more has its drafts taken away. The rooms stay open until
	// the last chore is done with them.
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var chores sync.WaitGroup
	h.window = f.window
	h.watching.Store(true)
	chores.Go(func() { h.beat(working) })
	chores.Go(func() { h.mend(working) })
	chores.Go(func() {
		h.board.follow(working, followEvery, func(err error) {
			log.WarnContext(working, "no newer pack", "cause", err.Error())
		})
	})
	chores.Go(func() { h.keepHouse(working, ctx.Done(), f.window) })
	if counted != nil {
		chores.Go(func() { counted.serve(working, scrapes, f.metricsOpen, log) })
	}
	if h.remote != nil {
		chores.Go(func() { _ = h.remote.Run(working) }) // renews the login; never ends with an error
	}
	defer chores.Wait()
	defer cancel()

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return h.stop(working, server, f.drainDelay)
}

// stop lets whoever sends requests know, waits until they go elsewhere, and
// finishes what was begun.
func (h *house) stop(ctx context.Context, server *http.Server, delay time.Duration) error {
	h.leaving.Store(true)
	time.Sleep(delay)
	ctx, release := context.WithTimeout(ctx, shutdownTime)
	defer release()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	h.cfg.log.InfoContext(ctx, "stopped")
	return nil
}

// followEvery is how soon a pack that another process has published is served
// here as well.
const followEvery = 2 * time.Second

// beat tells the other processes that this one lives.
func (h *house) beat(ctx context.Context) {
	again(ctx, sqlstore.BeatEvery, func() {
		if err := h.db.Beat(ctx); err != nil && ctx.Err() == nil {
			h.cfg.log.WarnContext(ctx, "not heard by the others", "cause", err.Error())
		}
	})
}

// mend ends what processes that are gone have begun, and what this one could
// not end itself while the database was away.
func (h *house) mend(ctx context.Context) {
	again(ctx, time.Second, func() {
		err := h.db.Idempotency(h.cfg.now).Settle(ctx)
		n, recovering := h.issuer.Recover(ctx)
		h.cfg.metrics.settle(n)
		if n > 0 {
			h.cfg.log.InfoContext(ctx, "drafts settled", "settled", n)
		}
		if err = errors.Join(err, recovering); err != nil && ctx.Err() == nil {
			h.cfg.log.WarnContext(ctx, "not everything could be settled", "cause", err.Error())
		}
	})
}

// again does something at every tick until ctx ends.
func again(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// keepHouse closes a window when the lists are as old as one, whatever happened
// or not, and does what has to be done from time to time. Windows go by the age
// of the lists: they must not get older only because the service was started
// anew, and of several processes the first one closes it for all.
func (h *house) keepHouse(ctx context.Context, leaving <-chan struct{}, every time.Duration) {
	tick := time.NewTimer(max(0, every-h.board.age()))
	defer tick.Stop()
	for {
		select {
		case <-leaving:
			return
		case <-tick.C:
		}
		for _, chore := range []struct {
			name string
			do   func() error
		}{
			{"publish", func() error {
				return h.board.publishDue(ctx, every)
			}},
			{"take expired grants back", func() error { _, err := h.vault.Expire(ctx); return err }},
			{"forget tries with numbers", func() error { return h.issuer.SweepPapers(ctx) }},
			{"forget old answers", func() error { _, err := h.db.Idempotency(h.cfg.now).Sweep(ctx); return err }},
			{"forget old tries", func() error { return h.db.CodeTries().Sweep(ctx, h.cfg.now()) }},
			{"collect broken uploads", func() error { _, err := h.blobs.CollectTemp(ctx); return err }},
		} {
			err := chore.do()
			h.cfg.metrics.chore(chore.name, err)
			if err != nil {
				h.cfg.log.ErrorContext(ctx, "housekeeping", "chore", chore.name, "error", err.Error())
			}
		}
		tick.Reset(max(every/4, every-h.board.age()))
	}
}
