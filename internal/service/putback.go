package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/people"
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

// doRows is what to do where a process noticed rows that are not what was written.
const doRows = "Keep a copy of it. safeconduct fsck names the rows; put the newest state of the database back, or restore it from a backup (docs/operate.md, When the database was put back). Until then nothing is served and nothing was changed."

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
	if err != nil {
		return err
	}
	if number >= kept.Number {
		if !kept.Untrue {
			return nil
		}
		return stillUntrue(ctx, db)
	}
	return &PutBackError{fmt.Sprintf("is an older copy: it had come to change %d, and has %d", kept.Number, number), doNewest, number >= kept.Opened}
}

// stillUntrue looks at every row where a process before us found some that were not what
// was written: without it whoever stops and starts the service would have them forgotten.
func stillUntrue(ctx context.Context, db *sqlstore.DB) error {
	problems, err := db.CheckSeals(ctx)
	if err != nil || len(problems) == 0 {
		return err
	}
	named := strings.Join(problems[:min(len(problems), maxNamed)], "; ")
	return &PutBackError{"has rows that are not what was written, as was noticed while it was served: " + named, doRows, false}
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
	if err == nil {
		s.rowsLog, _, err = logNames(ctx, s.DB, s.Network.ID())
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

// keepRows writes down how far the database has come, if it has come further, and that
// it has rows which are not what was written. What is written is what this process has
// seen: a database that was put back meanwhile says less.
func (s *Service) keepRows(ctx context.Context) error {
	_, err := s.DB.Counted(ctx) // what others have written is seen, too
	r := offsite.Rows{Number: s.DB.Seen(), Untrue: s.DB.Distrusted() != nil}
	if r.Number <= s.keptRows.Load() && !r.Untrue {
		return err
	}
	return errors.Join(err, s.keepNumber(ctx, r))
}

// keepNow does so at once, for a change that takes something away: put back, it would be
// given again. What was done is done, whether it can be written down or not.
func (s *Service) keepNow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepRowsEvery)
	defer cancel()
	if err := s.keepRows(ctx); err != nil {
		s.cfg.Log.WarnContext(ctx, "not written down how far the database has come", "cause", err.Error())
	}
}

// keepOpened writes it down for a network that was opened, of which every row was looked
// at that had to be.
func (s *Service) keepOpened(ctx context.Context) error {
	number, err := s.DB.Counted(ctx)
	if err != nil {
		return err
	}
	if err := s.keepNumber(ctx, offsite.Rows{Number: number, Opened: s.openedAt}); err != nil {
		return err
	}
	if s.DB.Distrusted() != nil || !s.keeps.Load() {
		return nil
	}
	return s.Offsite.RowsHold(ctx)
}

// keepNumber keeps nothing for a log that had stopped when it was opened: what knows
// better stays as it is.
func (s *Service) keepNumber(ctx context.Context, r offsite.Rows) (err error) {
	if !s.keeps.Load() {
		if _, err := s.log.Check(ctx); err != nil {
			return nil //nolint:nilerr // /readyz says it
		}
		s.keeps.Store(true)
	}
	r.Log = s.rowsLog
	if err := s.Offsite.KeepRows(ctx, r); err != nil {
		return fmt.Errorf("keep how far the database has come: %w", err)
	}
	s.keptRows.Store(r.Number)
	return nil
}

// keepRowsAgain does so from time to time, and as soon as something is noticed.
func (s *Service) keepRowsAgain(ctx context.Context) {
	keep := func() {
		if err := s.keepRows(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "not written down how far the database has come", "cause", err.Error())
		}
	}
	tick := time.NewTicker(keepRowsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.DB.Noticed():
		case <-tick.C:
		}
		keep()
	}
}

// keepRowsAtLast does so when the network is closed, if it can be done soon.
func (s *Service) keepRowsAtLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepRowsEvery)
	defer cancel()
	_ = s.keepRows(ctx) // what cannot be written now was written a moment ago
}

// keepsPeople, keepsSessions and keepsCredentials are the stores through which something
// is taken away: before anybody hears that it was, it stands outside of the database.
type keepsPeople struct {
	people.Store

	keep func(ctx context.Context)
}

// AppendChange keeps every change of the roster: there are few.
func (s keepsPeople) AppendChange(ctx context.Context, seq uint64, change []byte, pressing people.Pressing, log ...audit.Entry) error {
	err := s.Store.AppendChange(ctx, seq, change, pressing, log...)
	if err == nil {
		s.keep(ctx)
	}
	return err
}

// ReplaceRequest keeps that a request was taken back.
func (s keepsPeople) ReplaceRequest(ctx context.Context, r people.Request) error {
	err := s.Store.ReplaceRequest(ctx, r)
	if err == nil && r.State == people.Withdrawn {
		s.keep(ctx)
	}
	return err
}

type keepsSessions struct {
	signin.Store

	keep func(ctx context.Context)
}

// End keeps that somebody has signed out.
func (s keepsSessions) End(ctx context.Context, hash [32]byte) error {
	err := s.Store.End(ctx, hash)
	if err == nil {
		s.keep(ctx)
	}
	return err
}

// EndAll keeps that somebody was signed out everywhere.
func (s keepsSessions) EndAll(ctx context.Context, person string) error {
	err := s.Store.EndAll(ctx, person)
	if err == nil {
		s.keep(ctx)
	}
	return err
}

type keepsCredentials struct {
	credentials.Store

	keep func(ctx context.Context)
}

// Apply keeps that something was withdrawn, or paused.
func (s keepsCredentials) Apply(ctx context.Context, seen *credentials.Seen, changes []credentials.Change, answers []credentials.Answer, entries ...audit.Entry) error {
	err := s.Store.Apply(ctx, seen, changes, answers, entries...)
	if err == nil && len(changes) > 0 {
		s.keep(ctx)
	}
	return err
}
