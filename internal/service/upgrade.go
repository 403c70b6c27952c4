package service

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
)

// upgrade does what is left of bringing the stores up to date, now that keys, rows and
// keyring are known to be this network's. Whoever only looks leaves that to others. Until
// it is done both forms are read, the older one by what brings it up to date.
func (s *Service) upgrade(ctx context.Context, bind bool) error {
	finish := s.cfg.finish
	switch {
	case !bind && s.cfg.Upgrading == nil:
		return s.DB.Finished(ctx)
	case finish == nil:
		finish = s.DB.Finish
	}
	var told time.Time
	return finish(ctx, func(step int64, part float64) {
		if s.cfg.Upgrading != nil {
			s.cfg.Upgrading(step, part)
		}
		if now := time.Now(); now.Sub(told) >= upgradeEvery || part == 1 {
			told = now
			s.cfg.Log.InfoContext(ctx, "bringing the stores up to date", "step", step, "percent", int(100*part))
		}
	})
}

// upgradeEvery is how often the log hears how far it is.
const upgradeEvery = 5 * time.Second

// openServing is Open that answers meanwhile, if the stores have to be brought up to date:
// whoever asks hears that the service lives, and is not ready.
func openServing(ctx context.Context, cfg Config, at Serving) (*Service, error) {
	server := &http.Server{
		Addr: at.Listen, Handler: httpapi.NotYet(),
		ReadHeaderTimeout: lookTime, ReadTimeout: lookTime, WriteTimeout: lookTime,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	var once sync.Once
	served := make(chan error, 1)
	cfg.Upgrading = func(int64, float64) {
		once.Do(func() { go func() { served <- server.ListenAndServe() }() })
	}
	s, err := Open(ctx, cfg)
	once.Do(func() { served <- http.ErrServerClosed }) // nobody needed it
	if closing := server.Close(); err == nil && closing != nil {
		return nil, errors.Join(closing, s.Close())
	}
	if serving := <-served; err == nil && !errors.Is(serving, http.ErrServerClosed) {
		return nil, errors.Join(serving, s.Close())
	}
	return s, err
}
