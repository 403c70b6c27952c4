package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/web"
)

// Serving says where and how a network is served.
type Serving struct {
	Listen      string        // address for requests
	Window      time.Duration // how often lists and packs are published, a second or more
	DrainDelay  time.Duration // how long /readyz says no before requests are refused
	Metrics     string        // address for Prometheus, "" for nowhere
	MetricsOpen bool          // Metrics may be an address that other machines reach
}

// shutdownTime is how long requests in flight may take to finish.
const shutdownTime = 20 * time.Second

// shortestWindow keeps a slip of the finger from publishing without pause.
const shortestWindow = time.Second

// Check refuses what can be told to be wrong before anything is opened.
func (s Serving) Check() error {
	if s.Window < shortestWindow {
		return fmt.Errorf("--window: %s or more", shortestWindow)
	}
	return nil
}

// Serve serves the network in a folder until ctx ends, and then finishes what
// was begun. While the network is locked it serves without keys; when it is being
// locked, everything is dropped: ErrLocked, after which the caller puts a new process
// into the place of this one, which still remembers keys and people.
func Serve(ctx context.Context, cfg Config, at Serving) (err error) {
	if err := at.Check(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	if err := disableCoreDumps(); err != nil {
		return fmt.Errorf("keep keys out of core files: %w", err)
	}
	for {
		if err := waitUnlocked(ctx, cfg, at); err != nil || ctx.Err() != nil {
			return err
		}
		err := serve(ctx, cfg, at)
		if !errors.Is(err, errUnopened) {
			return err
		}
		if _, locked, _ := ReadLock(cfg.Dir); !locked { // it could not be written down
			return err
		}
	}
}

// serve is Serve with keys.
func serve(ctx context.Context, cfg Config, at Serving) (err error) {
	if at.Metrics != "" {
		cfg.Metrics = NewMetrics()
	}
	s, err := openServing(ctx, cfg, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var scrapes net.Listener
	if cfg.Metrics != nil {
		if scrapes, err = metricsListener(ctx, at.Metrics, at.MetricsOpen); err != nil {
			return err
		}
		cfg.Metrics.Watch(s)
	}
	server := s.API.Listener(at.Listen)
	server.Handler = leaky(s, server.Handler)
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	cfg.Log.InfoContext(ctx, "serving", "settled", s.Settled)
	warnOfPages(ctx, cfg.Log, web.Built())
	// The chores go on while the last requests are answered: a process without a
	// heartbeat has its drafts taken away. The rooms stay open until the last
	// chore is done with them.
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var chores sync.WaitGroup
	s.window = at.Window
	s.beating.Store(true)
	chores.Go(func() { s.heartbeat(working) })
	chores.Go(func() { s.recoverDrafts(working) })
	chores.Go(func() { s.keepRowsAgain(working) })
	chores.Go(func() { s.keepInformed(working) })
	chores.Go(func() { everyHour(working, cfg.Now, func() { s.tellHour(working) }) })
	chores.Go(func() {
		s.Board.follow(working, followEvery, func(err error) {
			cfg.Log.WarnContext(working, "no newer pack", "cause", err.Error())
		})
	})
	leaving, leave := context.WithCancel(ctx)
	chores.Go(func() { s.housekeeping(working, leaving.Done(), at.Window) })
	locked := make(chan struct{})
	chores.Go(func() { s.watchLock(working, locked) })
	if cfg.Metrics != nil {
		chores.Go(func() { cfg.Metrics.serve(working, scrapes, at.MetricsOpen, cfg.Log) })
	}
	if v, ok := s.store.(*hcvault.Vault); ok {
		chores.Go(func() { _ = v.Run(working) }) // renews the login; never ends with an error
	}
	defer chores.Wait()
	defer cancel()
	defer leave()

	select {
	case err := <-served:
		return err
	case <-locked:
		return s.drop(working, server)
	case <-ctx.Done():
	}
	return s.drain(working, server, at.DrainDelay)
}

// Dropping everything has this much time: for requests in flight, one of which may be
// the one that locked, and for all of it. Then the process ends, whatever still runs: it
// is made to be cut off at any moment.
const (
	lastWords = time.Second
	dropTime  = 4 * time.Second
)

// drop ends at once what is served.
func (s *Service) drop(ctx context.Context, server *http.Server) error {
	s.cfg.Log.WarnContext(ctx, "the network was locked: this process ends, and one without keys begins")
	s.draining.Store(true)
	if s.cfg.Restart != nil {
		time.AfterFunc(dropTime, s.cfg.Restart)
	}
	ctx, release := context.WithTimeout(ctx, lastWords)
	defer release()
	s.lockSigner(ctx)
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
	return ErrLocked
}

// warnOfPages says it when a binary was built without its pages. Everything else
// is served, so that this is no reason not to start.
func warnOfPages(ctx context.Context, log *slog.Logger, missing error) {
	if missing != nil {
		log.WarnContext(ctx, "nobody can open a page here", "cause", missing.Error(), "do", web.HowToBuild)
	}
}

// drain says that no new requests are wanted, waits until they go elsewhere, and
// finishes those in flight.
func (s *Service) drain(ctx context.Context, server *http.Server, delay time.Duration) error {
	s.draining.Store(true)
	time.Sleep(delay)
	ctx, release := context.WithTimeout(ctx, shutdownTime)
	defer release()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	s.cfg.Log.InfoContext(ctx, "stopped")
	return nil
}

// followEvery is how soon a pack that another process has published is served
// here as well.
const followEvery = 2 * time.Second

// tellHour tells what was seen of checks within the hour that is over.
func (s *Service) tellHour(ctx context.Context) {
	s.API.Hour(ctx)
	s.cfg.Metrics.hour()
}

// heartbeat tells the other processes that this one lives.
func (s *Service) heartbeat(ctx context.Context) {
	again(ctx, sqlstore.HeartbeatEvery, func() {
		if err := s.DB.Heartbeat(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "no heartbeat", "cause", err.Error())
		}
	})
}

// recoverDrafts ends what expired processes have begun, and what this one could
// not end itself while the database was away.
func (s *Service) recoverDrafts(ctx context.Context) {
	again(ctx, time.Second, func() {
		err := s.DB.Idempotency(s.cfg.Now).Settle(ctx)
		n, recovering := s.Issuer.Recover(ctx)
		s.cfg.Metrics.settle(n)
		if n > 0 {
			s.cfg.Log.InfoContext(ctx, "drafts settled", "settled", n)
		}
		if err = errors.Join(err, recovering, s.noteKeyring(ctx)); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "not everything could be settled", "cause", err.Error())
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

// housekeeping closes a window when the lists are as old as one, whatever happened
// or not, and does what has to be done from time to time. Windows go by the age
// of the lists: they must not get older only because the service was started
// anew, and of several processes the first one closes it for all.
func (s *Service) housekeeping(ctx context.Context, leaving <-chan struct{}, every time.Duration) {
	tick := time.NewTimer(max(0, every-s.Board.age()))
	defer tick.Stop()
	for {
		select {
		case <-leaving:
			return
		case <-tick.C:
		}
		for _, chore := range s.chores(every) {
			err := chore.do(ctx)
			s.cfg.Metrics.chore(chore.name, err)
			if err != nil {
				s.cfg.Log.ErrorContext(ctx, "housekeeping", "chore", chore.name, "error", err.Error())
			}
		}
		tick.Reset(max(every/4, every-s.Board.age()))
	}
}

// A chore is what the service does by itself with every window. Its name is a
// metric's label.
type chore struct {
	name string
	do   func(ctx context.Context) error
}

func (s *Service) chores(every time.Duration) []chore {
	return []chore{
		// First, so that nothing is published about rows that do not hold.
		{"check rows", s.CheckRows},
		{"check the roster", s.watchRoster},
		{"take keys off", s.followCompromised},
		{"judge answers", s.followAnswers},
		{"publish", func(ctx context.Context) error { return s.Board.publishDue(ctx, every) }},
		{"finish erasures", func(ctx context.Context) error { _, err := s.Vault.Replay(ctx); return err }},
		{"take expired grants back", func(ctx context.Context) error { _, err := s.Vault.Expire(ctx); return err }},
		{"forget who attended to cases", s.Vault.ForgetAttendances},
		{"forget tries with numbers", func(ctx context.Context) error { return s.Issuer.SweepPapers(ctx) }},
		{"forget who was signed in", func(ctx context.Context) error { return s.Sessions.Sweep(ctx) }},
		{"forget look-ups", func(ctx context.Context) error { return s.DB.Vault().SweepLookUps(ctx, s.cfg.Now()) }},
		{"forget requests that are over", func(ctx context.Context) error { return s.DB.People().SweepRequests(ctx, s.cfg.Now()) }},
		{"forget invitations that are over", s.Network.SweepWaiting},
		{"forget old answers", func(ctx context.Context) error { _, err := s.DB.Idempotency(s.cfg.Now).Sweep(ctx); return err }},
		{"forget old tries", func(ctx context.Context) error { return s.DB.CodeTries().Sweep(ctx, s.cfg.Now()) }},
		{"lay rows anew", s.LayAnew},
		{"collect broken uploads", func(ctx context.Context) error { _, err := s.Objects.CollectTemp(ctx); return err }},
		{"collect orphans", s.collectOrphans},
	}
}

// placesEvery is how often all places of the status lists are written anew: between any two
// backups of two nights.
const placesEvery = 18 * time.Hour

// LayAnew undoes what the stores tell by where their rows lie, and by which of them changed
// from one day to the next.
func (s *Service) LayAnew(ctx context.Context) error {
	err := errors.Join(s.DB.Lay(ctx), s.Keyring.Lay(ctx))
	if now := s.cfg.Now(); err == nil && now.Sub(s.boxed) >= placesEvery {
		if err = s.DB.Credentials().BoxAnew(ctx); err == nil {
			s.boxed = now
		}
	}
	return err
}

// orphansEvery is how often all names of ciphertexts are listed.
const orphansEvery = 24 * time.Hour

// collectOrphans removes ciphertexts that a crash left without a row, once a day.
func (s *Service) collectOrphans(ctx context.Context) error {
	if time.Since(s.collected) < orphansEvery {
		return nil
	}
	removed, err := s.Vault.CollectOrphans(ctx)
	s.cfg.Metrics.orphan(removed)
	if removed > 0 {
		s.cfg.Log.InfoContext(ctx, "orphans removed", "removed", removed)
	}
	if err == nil {
		s.collected = time.Now()
	}
	return err
}
