package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// Health is what a check of everything found.
type Health struct {
	sqlstore.Health
	Pages   int   `json:"pages"`   // ciphertexts that were read, of pages and of fields
	Leaves  int64 `json:"leaves"`  // of the published log
	Waiting int64 `json:"waiting"` // entries that have no leaf there yet
	Served  bool  `json:"served"`  // by another process, so that nothing was settled
}

// Fsck settles what a crash left behind and checks that everything is whole.
// While another process serves the network nothing is settled.
func Fsck(ctx context.Context, folder config.Folder) (found Health, err error) {
	if err := folder.Check(); err != nil {
		return found, err
	}
	cfg, err := service.ConfigFor(folder)
	if err != nil {
		return found, err
	}
	unlock, err := files.Lock(folder.Dir)
	served := errors.Is(err, files.ErrInUse)
	switch {
	case served:
	case err != nil:
		return found, err
	default:
		defer func() { err = errors.Join(err, unlock()) }()
	}
	s, err := service.Look(ctx, cfg)
	if keyring, ok := errors.AsType[*service.KeyringError](err); ok {
		// Nothing is settled over the wrong keys, and nothing else compared.
		return Health{Health: sqlstore.Health{Problems: []string{keyring.Error()}}, Served: served}, nil
	}
	if objects, ok := errors.AsType[*service.ObjectsError](err); ok {
		return Health{Health: sqlstore.Health{Problems: []string{objects.Error()}}, Served: served}, nil
	}
	if roster, ok := errors.AsType[*service.RosterError](err); ok {
		// Nobody is who the rows say, and nothing is settled for anybody.
		return Health{Health: sqlstore.Health{Problems: []string{roster.Error()}}, Served: served}, nil
	}
	if untrue, ok := errors.AsType[*sqlstore.SealError](err); ok {
		return Health{Health: sqlstore.Health{Problems: []string{untrue.Error()}}, Served: served}, nil
	}
	if old, ok := errors.AsType[*service.PutBackError](err); ok {
		return Health{Health: sqlstore.Health{Problems: []string{old.Error()}}, Served: served}, nil
	}
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	others, err := s.DB.Others(ctx)
	if err != nil {
		return found, err
	}
	return Check(ctx, s, served || others > 0)
}

// Check settles what may be settled and asks every room whether it is whole.
func Check(ctx context.Context, s *service.Service, served bool) (Health, error) {
	// First, because whatever is settled is written down there.
	aside, err := s.CheckAside(ctx)

	if untrue, ok := errors.AsType[*sqlstore.SealError](err); ok {
		aside, err = []string{untrue.Error()}, nil
	}
	if err != nil {
		return Health{}, err
	}
	var settling error
	if !served {
		settling = s.Settle(ctx)
	}
	rows, err := s.DB.Check(ctx)
	if err != nil {
		return Health{}, err
	}
	sealed, err := s.DB.CheckSeals(ctx)
	if err != nil {
		return Health{}, err
	}
	misplaced, err := s.DB.Misplaced(ctx, s.DecoysOf)
	if untrue, ok := errors.AsType[*sqlstore.SealError](err); ok {
		misplaced, err = []string{untrue.Error()}, nil
	}
	if err != nil {
		return Health{}, err
	}
	rows.Problems = append(append(rows.Problems, sealed...), misplaced...)
	switch old, err := service.AsPutBack(s.CheckPutBack(ctx)); {
	case err != nil:
		return Health{}, err
	case old != nil:
		rows.Problems = append(rows.Problems, old.Error())
	}
	rows.Problems = append(rows.Problems, aside...)
	switch err := s.CheckSigner(ctx); {
	case errors.Is(err, service.ErrSignerState):
		rows.Problems = append(rows.Problems, "what the signer keeps: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	case err != nil:
		return Health{}, err
	}
	found := Health{Health: rows, Served: served}
	found.Settled = s.Settled
	if settling != nil {
		found.Problems = append(found.Problems, "not everything could be settled: "+settling.Error())
	}
	if rows.Drafts > 0 && !served {
		found.Problems = append(found.Problems, fmt.Sprintf("%d drafts that nobody settled", rows.Drafts))
	}
	roster, err := service.ExamineRoster(ctx, s.DB)
	if err != nil {
		return Health{}, err
	}
	found.Problems = append(found.Problems, roster...)
	before := len(found.Problems)
	if err := checkLog(ctx, s, &found); err != nil {
		return Health{}, err
	}
	if len(found.Problems) == before {
		// Whole in itself it may still be an older state, or another history.
		switch _, err := s.CheckLog(ctx); {
		case errors.Is(err, audit.ErrStopped):
			found.Problems = append(found.Problems, err.Error()+"; docs/operate.md, When the log has stopped, says what to do")
		case err != nil:
			return Health{}, err
		}
	}
	err = checkPages(ctx, s, &found)
	if untrue, ok := errors.AsType[*sqlstore.SealError](err); ok {
		found.Problems, err = append(found.Problems, untrue.Error()), nil
	}
	return found, err
}

// checkLog holds the published log against its checkpoint, and the store
// against both.
func checkLog(ctx context.Context, s *service.Service, found *Health) error {
	keys, err := s.Keys.LogKeys(ctx)
	if err != nil {
		return err
	}
	key, err := signedWith(s.LogDir, keys, true)
	if err != nil {
		return err
	}
	report, err := audit.Verify(s.LogDir, key)
	if errors.Is(err, fs.ErrNotExist) {
		// Before the first window there is nothing to look at.
		if size, sizing := s.DB.Log().Size(ctx); sizing != nil || size == 0 {
			return sizing
		}
	}
	if err == nil {
		found.Leaves = report.Size
		if found.Waiting, err = s.DB.Log().Waiting(ctx); err != nil {
			return err
		}
		lost, counting := audit.Lost(ctx, s.LogDir, key, s.DB.Log())
		if counting != nil {
			return counting
		}
		if lost > 0 {
			found.Problems = append(found.Problems, fmt.Sprintf("%d published leaves have no entry", lost))
		}
		err = audit.Compare(ctx, s.LogDir, key, s.DB.Log())
	}
	if p := problemOfLog(err); p != "" {
		found.Problems = append(found.Problems, p)
		return nil
	}
	return err
}

// checkPages reads every version of every page, and of every document's fields,
// and holds it against its row and the log.
func checkPages(ctx context.Context, s *service.Service, found *Health) error {
	scrubbed, err := s.Vault.Scrub(ctx)
	found.Pages = scrubbed.Objects
	for _, d := range scrubbed.Damaged {
		// Ids are for whoever has to restore it; they say nothing else.
		found.Problems = append(found.Problems, fmt.Sprintf("page %d of record %s is missing or damaged", d.Page, d.Record))
	}
	return err
}
