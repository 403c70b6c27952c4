package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

// While nothing runs, nobody in the house knows how far the database had come: a copy of
// yesterday over it is whole, and every seal holds. So that is written down outside of
// it, in the aside folder, and whoever opens the network wants the database to have come
// as far. It is the same number that every change of a sealed row raises.

// PutBackError says that the database is an older copy than one that this network has
// worked with. Nothing was changed.
type PutBackError struct {
	Found string // what is so
	Do    string // what to do

	// lately says that only what was done since the network was last opened can be
	// missing, as where a part of the database was lost.
	lately bool
}

// Error says both.
func (e *PutBackError) Error() string { return "the database " + e.Found + ". " + e.Do }

// Unwrap says that this is damage.
func (e *PutBackError) Unwrap() error { return trouble.ErrDamaged }

// AsPutBack tells a database that was put back from what kept us from looking.
func AsPutBack(err error) (*PutBackError, error) {
	if old, ok := errors.AsType[*PutBackError](err); ok {
		return old, nil
	}
	return nil, err
}

const doNewest = "Keep a copy of it, and put its newest state back, or restore it from a backup (docs/operate.md, When the database was put back). Until then nothing is served and nothing was changed."

// logNames are the name that the log has, by what the database says, and those that it
// had before.
func logNames(ctx context.Context, db *sqlstore.DB, network string) (now string, former []string, err error) {
	restarts, err := db.Log().Restarts(ctx)
	if err != nil || len(restarts) == 0 {
		return LogOrigin(network), nil, err
	}
	now = restarts[len(restarts)-1].Origin
	if !isRestarted(now, LogOrigin(network)) {
		return "", nil, errors.New("the database names the log as no restore does")
	}
	former = []string{LogOrigin(network)}
	for _, r := range restarts {
		former = append(former, r.Origin)
		// Which may be that of another restore, which was given up.
		if before, _, _ := strings.Cut(r.Former, "\n"); before != "" {
			former = append(former, before)
		}
	}
	return now, former, nil
}

// CheckPutBack looks whether a database has come as far as was written down outside of
// it, for whoever opens nothing else. Its rows have to be believed.
func CheckPutBack(ctx context.Context, cfg Config, db *sqlstore.DB, keys offsite.Keys, network string) error {
	return checkPutBack(ctx, db, offsite.New(offsite.Config{Dir: cfg.Engines.AsideAt(cfg.Dir), Network: network, Keys: keys}), network)
}

func checkPutBack(ctx context.Context, db *sqlstore.DB, aside *offsite.Folder, network string) error {
	kept, err := aside.Rows(ctx) // before the database, which goes on
	if err != nil || kept.Log == "" {
		return err
	}
	now, former, err := logNames(ctx, db, network)
	if err != nil {
		return err
	}
	if kept.Log != now {
		if slices.Contains(former, kept.Log) {
			return nil // of before a restore, which begins anew
		}
		return &PutBackError{"is from before a restore, whose log began with another name", doNewest, false}
	}
	number, err := db.Counted(ctx)
	if err != nil || number >= kept.Number {
		return err
	}
	return &PutBackError{fmt.Sprintf("is an older copy: it had come to change %d, and has %d", kept.Number, number), doNewest, number >= kept.Opened}
}

// CheckPutBack looks whether the database has come as far as it had.
func (s *Service) CheckPutBack(ctx context.Context) error {
	return checkPutBack(ctx, s.DB, s.Offsite, s.Network.ID())
}

// openPutBack refuses a database that was put back. Where a part of it was lost that the
// log knows of nothing can be logged, so that nobody changes anything, and whoever
// checks cards is served.
func (s *Service) openPutBack(ctx context.Context) error {
	old, err := AsPutBack(s.CheckPutBack(ctx))
	if err == nil {
		s.openedAt, err = s.DB.Counted(ctx)
	}
	if err != nil || old == nil {
		return err
	}
	if _, err := s.log.Check(ctx); !old.lately || !errors.Is(err, audit.ErrStopped) {
		return old
	}
	s.cfg.Log.ErrorContext(ctx, "a part of the database is gone", "cause", old.Error())
	return nil
}

// keepRowsEvery is how often it is written down how far the database has come: what was
// done since can be put back while nothing runs, and no more.
const keepRowsEvery = 5 * time.Second

// keepRows writes down how far the database has come, if it has come further.
func (s *Service) keepRows(ctx context.Context) error {
	number, err := s.DB.Counted(ctx)
	if err != nil || number <= s.keptRows.Load() {
		return err
	}
	return s.keepNumber(ctx, offsite.Rows{Number: number})
}

// keepOpened writes it down for a network that was opened.
func (s *Service) keepOpened(ctx context.Context) error {
	number, err := s.DB.Counted(ctx)
	if err != nil {
		return err
	}
	return s.keepNumber(ctx, offsite.Rows{Number: number, Opened: s.openedAt})
}

// keepNumber keeps nothing for a log that has stopped: what knows better stays as it is.
func (s *Service) keepNumber(ctx context.Context, r offsite.Rows) (err error) {
	if _, err := s.log.Check(ctx); err != nil {
		return nil //nolint:nilerr // /readyz says it
	}
	if r.Log, _, err = logNames(ctx, s.DB, s.Network.ID()); err != nil {
		return err
	}
	if err := s.Offsite.KeepRows(ctx, r); err != nil {
		return fmt.Errorf("keep how far the database has come: %w", err)
	}
	s.keptRows.Store(r.Number)
	return nil
}

// keepRowsAgain does so from time to time.
func (s *Service) keepRowsAgain(ctx context.Context) {
	again(ctx, keepRowsEvery, func() {
		if err := s.keepRows(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "not written down how far the database has come", "cause", err.Error())
		}
	})
}

// keepRowsAtLast does so when the network is closed, if it can be done soon.
func (s *Service) keepRowsAtLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepRowsEvery)
	defer cancel()
	_ = s.keepRows(ctx) // what cannot be written now was written a moment ago
}
