package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// LogReport is what a check of the public log found.
type LogReport struct {
	audit.Report
	Key      string           // the one that signed the checkpoint
	Keys     []string         // all that were known
	Follows  audit.Checkpoint // of a log that began anew after a restore
	Waiting  int64            // entries that have no leaf yet, as far as the database is here
	Windows  int64            // that this takes
	Problems []string
	// Roster says that the folder's roster was replayed and held against the log,
	// and RosterProblems what does not hold.
	Roster         bool
	RosterProblems []string
	// RowProblems are what does not hold of the rows that the log tells about, or kept
	// them from being looked at.
	RowProblems []string
}

// VerifyLog checks every tile and the signed checkpoint of a log, as a stranger
// would. The keys are the log's public keys, as far as they are known, the newest first;
// none means those in the folder's keystore, and then the rows that the log tells about
// are held against their seals, too. Where the folder has the database, and it opens, its
// roster is replayed and held against the log's entries.
func VerifyLog(ctx context.Context, folder config.Folder, keys ...string) (found LogReport, err error) {
	var rows *rowsOf
	if folder.Check() == nil {
		if rows, err = openRows(ctx, folder); err != nil {
			return found, err
		}
		defer func() { err = errors.Join(err, rows.close()) }()
		found.Waiting = rows.waiting(ctx)
		found.Roster, found.RosterProblems = rows.roster(ctx)
	}
	found.Windows = audit.Backlog(found.Waiting)
	ours := len(keys) == 0
	if ours {
		if keys, err = logKeys(ctx, folder); err != nil {
			return found, err
		}
	}
	found.Keys = keys
	files, done, err := logFiles(ctx, folder)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, done()) }()
	key, err := signedWith(files, keys, ours)
	if err != nil {
		return found, err
	}
	found.Report, err = audit.Verify(files, key)
	if err == nil {
		found.Key = key
		found.Follows, err = service.Follows(files, key, keys)
	}
	if p := problemOfLog(err); p != "" {
		found.Problems, err = []string{p}, nil
	}
	if err != nil || !ours || !found.Roster || len(found.RosterProblems) > 0 {
		return found, err // rows are judged where the database opens, and people are who it says
	}
	found.RowProblems, err = rows.check(ctx)
	return found, err
}

// rowsOf is the database of a folder as far as it can be opened: checking a log must not
// depend on what else is broken. doctor and fsck say what is wrong with the rest.
type rowsOf struct {
	db      *sqlstore.DB                    // nil where there is none that this program knows
	putBack func(ctx context.Context) error // nil where its rows cannot be believed
	closing []func() error
}

func openRows(ctx context.Context, folder config.Folder) (r *rowsOf, err error) {
	r = &rowsOf{}
	e, err := config.ReadEngines(folder.Dir)
	if err != nil {
		return r, err
	}
	if i, err := sqlstore.Inspect(ctx, e.DatabaseAt(folder.Dir)); err != nil || i.Schema != i.Newest {
		return r, nil //nolint:nilerr // doctor says what is wrong with it
	}
	db, err := sqlstore.Open(ctx, e.DatabaseAt(folder.Dir))
	if err != nil {
		return r, nil //nolint:nilerr // the same
	}
	r.db, r.closing = db, append(r.closing, db.Close)
	of, err := db.Network().Network(ctx)
	if err != nil {
		return r, nil //nolint:nilerr // the same
	}
	cfg, err := service.ConfigFor(folder)
	if err != nil {
		return r, nil //nolint:nilerr // without the passphrase rows say nothing
	}
	cfg.Engines = e
	keys, done, err := service.OpenKeys(ctx, cfg, of.ID)
	if err != nil {
		return r, nil //nolint:nilerr // the same
	}
	r.closing = append(r.closing, done)
	seal, err := service.SealKey(ctx, keys, of.ID)
	if err != nil {
		return r, nil //nolint:nilerr // the same
	}
	db.Seal(seal)
	r.putBack = func(ctx context.Context) error { return service.CheckPutBack(ctx, cfg, db, keys, of.ID) }
	under, err := service.KeyringKey(ctx, keys, of.ID)
	if err != nil {
		return r, nil //nolint:nilerr // the same
	}
	if ring, err := sqlstore.OpenKeyring(ctx, e.KeyringAt(folder.Dir)); err == nil {
		ring.Seal(under)
		r.closing = append(r.closing, ring.Close)
		db.CaseKeys(ring.CaseKey)
	}
	return r, nil
}

func (r *rowsOf) close() (err error) {
	for _, done := range slices.Backward(r.closing) {
		err = errors.Join(err, done())
	}
	return err
}

// waiting is how many entries have no leaf yet, as far as the database says it.
func (r *rowsOf) waiting(ctx context.Context) int64 {
	if r.db == nil {
		return 0
	}
	n, err := r.db.Log().Waiting(ctx)
	if err != nil {
		return 0
	}
	return n
}

// roster looks at the roster where it and the entries of the log can be read.
func (r *rowsOf) roster(ctx context.Context) (looked bool, problems []string) {
	if r.putBack == nil {
		return false, nil
	}
	problems, err := service.ExamineRoster(ctx, r.db)
	return err == nil, problems
}

// check holds the rows against their seals. What cannot be opened is for fsck to say.
func (r *rowsOf) check(ctx context.Context) (problems []string, err error) {
	problems, err = r.db.CheckSeals(ctx)
	switch {
	case errors.Is(err, sqlstore.ErrNeverSealed):
		return []string{"the rows have no seals: " + err.Error()}, nil
	case errors.Is(err, sqlstore.ErrNoCaseKey):
		return []string{"could not check: the keyring cannot be opened, and without it no case"}, nil
	}
	if err != nil || len(problems) > 0 {
		return problems, err
	}
	switch old, err := service.AsPutBack(r.putBack(ctx)); {
	case err != nil:
		return nil, err
	case old != nil:
		return []string{old.Error()}, nil
	}
	return nil, nil
}

// logFiles are the log's public files: in the folder, or in the database that
// several processes share.
func logFiles(ctx context.Context, folder config.Folder) (fs.FS, func() error, error) {
	e, err := config.ReadEngines(folder.Dir)
	if err != nil {
		return nil, nil, err
	}
	if e.Database == "" {
		return os.DirFS(folder.Path(config.LogName)), func() error { return nil }, nil
	}
	db, err := sqlstore.Open(ctx, e.Database)
	if err != nil {
		return nil, nil, err
	}
	return db.LogFiles(), db.Close, nil
}

// signedWith is the key among keys that signed the checkpoint, the first of them where none
// did: the check says what is wrong with it. A log that began anew has another name; our
// own keys are known by the first one, and those of whoever asks by what they are given as.
func signedWith(files fs.FS, keys []string, ours bool) (string, error) {
	checkpoint, err := fs.ReadFile(files, service.CheckpointName)
	if err != nil || len(checkpoint) > 64<<10 {
		return keys[0], nil //nolint:nilerr // the check says what is wrong with it
	}
	if !ours {
		i := max(0, slices.IndexFunc(keys, func(k string) bool { _, err := audit.ParseCheckpoint(checkpoint, k); return err == nil }))
		return keys[i], nil
	}
	return service.KeyForCheckpoint(keys, checkpoint)
}

// logKeys reads the public keys from the key file, and nothing else of the
// folder: checking a log must not depend on what else is broken, nor mend it.
func logKeys(ctx context.Context, folder config.Folder) ([]string, error) {
	if err := folder.Check(); err != nil {
		return nil, err
	}
	cfg, err := service.ConfigFor(folder)
	if err != nil {
		return nil, err
	}
	if cfg.Engines, err = config.ReadEngines(folder.Dir); err != nil {
		return nil, err
	}
	if cfg.Engines.Vault != "" {
		s, err := service.Look(ctx, service.Config{Dir: folder.Dir})
		if err != nil {
			return nil, err
		}
		vkeys, err := s.Keys.LogKeys(ctx) // by its present name
		return vkeys, errors.Join(err, s.Close())
	}
	keys, closeKeys, err := service.OpenKeys(ctx, cfg, "")
	if err != nil {
		return nil, err
	}
	vkeys, err := keys.LogKeys(ctx)
	return vkeys, errors.Join(err, closeKeys())
}

// problemOfLog tells what was found wrong from what kept us from looking.
func problemOfLog(err error) string {
	if errors.Is(err, audit.ErrTampered) || errors.Is(err, audit.ErrCheckpoint) || errors.Is(err, audit.ErrFork) ||
		errors.Is(err, service.ErrUnlinked) || errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return ""
}
