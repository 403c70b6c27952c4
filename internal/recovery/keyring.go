package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/vault"
)

// KeyringOrder says which network gets its keyring back, and from what.
type KeyringOrder struct {
	Folder   config.Folder
	Backup   string // "" takes the keyring that is there as it is, or an empty one
	Identity string // a file with a key that opens the backup
	// Yes is the network's name: whoever gives it knows that records will stay
	// shut.
	Yes      string
	Progress io.Writer
	Now      func() time.Time // nil means time.Now
}

// RestoredKeyring says what came back.
type RestoredKeyring struct {
	KeyFiles int      `json:"key_files"`
	Shut     int      `json:"shut"`   // records that have no key any more
	Mended   int      `json:"mended"` // key files that were older than who may read the record now
	Problems []string `json:"problems"`
}

// RestoreKeyring gives a network that lies here another keyring: from the
// keyring's own backup, or as it lies there. Nobody may serve the network
// meanwhile. What was erased does not come back, because the records of it are
// gone; records whose keys do not come back stay shut for good, and are opened
// for by nobody.
func RestoreKeyring(ctx context.Context, o KeyringOrder) (done RestoredKeyring, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.Folder.Check(); err != nil {
		return done, err
	}
	cfg, err := service.ConfigFor(o.Folder)
	if err != nil {
		return done, err
	}
	if cfg.Engines, err = config.ReadEngines(o.Folder.Dir); err != nil {
		return done, err
	}
	unlock, err := files.Lock(o.Folder.Dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	r := &restoringKeyring{order: o, cfg: cfg}
	if err := r.prepare(ctx); err != nil {
		return done, errors.Join(err, r.close())
	}
	if err := errors.Join(r.write(ctx), r.close()); err != nil {
		return done, err
	}
	s, err := service.Look(ctx, cfg)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if r.done.Mended, err = mendReaders(ctx, s); err != nil {
		return done, err
	}
	found, err := doctor.Check(ctx, s, false)
	r.done.Problems = found.Problems
	return r.done, err
}

// restoringKeyring is a KeyringOrder on its way.
type restoringKeyring struct {
	order   KeyringOrder
	cfg     service.Config
	db      *sqlstore.DB
	network string
	ring    []byte // the key of the keyring
	noted   sqlstore.Bond
	vacant  bool              // nothing is there yet
	files   map[string][]byte // of the backup, by the names of rows
	done    RestoredKeyring
}

func (r *restoringKeyring) close() error {
	if r.db == nil {
		return nil
	}
	db := r.db
	r.db = nil
	return db.Close()
}

// prepare checks everything, and changes nothing.
func (r *restoringKeyring) prepare(ctx context.Context) (err error) {
	where := r.cfg.Engines.DatabaseAt(r.cfg.Dir)
	if free, err := sqlstore.Vacant(ctx, where); err != nil || free {
		return errors.Join(errors.New("the database is not there: restore the whole network"), err)
	}
	if r.db, err = sqlstore.Open(ctx, where); err != nil {
		return err
	}
	n, err := r.db.Network().Network(ctx)
	if err != nil {
		return err
	}
	if others, err := r.db.Others(ctx); err != nil || others > 0 {
		return errors.Join(fmt.Errorf("%w: stop the service on every machine first", files.ErrInUse), err)
	}
	r.network = n.ID
	if err := r.believeRows(ctx); err != nil {
		return err
	}
	if r.noted, err = r.db.KeyringBond(ctx); err != nil {
		return err
	}
	if r.vacant, err = sqlstore.VacantKeyring(ctx, r.cfg.Engines.KeyringAt(r.cfg.Dir)); err != nil {
		return err
	}
	if r.order.Backup != "" {
		if !r.vacant {
			return errors.New("there is a keyring: move it away first, and keep it until everything opens. Nothing was changed")
		}
		if err := r.read(ctx); err != nil {
			return err
		}
	}
	r.db.CaseKeys(func(_ context.Context, id string) ([]byte, error) {
		rows := sqlstore.KeyringRows(r.ring)
		return rows.CaseKey(id, r.files[rows.NamesOf(id, func(string) bool { return false })[0]])
	})
	shut, err := r.shut(ctx)
	if err != nil {
		return err
	}
	if shut > 0 && r.order.Yes != n.Name {
		return fmt.Errorf("%d records will stay shut for good: nobody can open what is in them any more. "+
			"Look for a newer keyring or backup; when there is none, give --yes with the network's name. Nothing was changed", shut)
	}
	return nil
}

// believeRows gives the database the key of its seals.
func (r *restoringKeyring) believeRows(ctx context.Context) (err error) {
	keys, done, err := service.OpenKeys(ctx, r.cfg, r.network)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if r.ring, err = service.KeyringKey(ctx, keys, r.network); err != nil {
		return err
	}
	return service.BelieveRows(ctx, r.db, keys, r.network)
}

// read takes the keyring's backup in, and believes it only when it is whole, of
// this network, signed by it and not too old.
func (r *restoringKeyring) read(ctx context.Context) (err error) {
	keys, done, err := service.OpenKeys(ctx, r.cfg, r.network)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	from := &restoring{keys: keystore.New(keys)}
	if from.ids, err = readIdentities(r.order.Identity); err != nil {
		return err
	}
	say := newProgress(r.order.Progress)
	defer say.end()
	r.files = map[string][]byte{}
	signed, err := from.read(r.order.Backup, func(name string, data []byte) error {
		if !strings.HasPrefix(name, "keyfiles/") {
			return nil // of another kind of backup, as its manifest will say
		}
		say.add("reading", len(data))
		return backup.Files(data, func(f backup.File) error {
			r.files[f.Name] = slices.Clone(f.Data)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("the keyring's backup: %w", err)
	}
	return from.checkKeyringBackup(ctx, signed, r.network, r.order.Now())
}

// shut counts the records that would have no key.
func (r *restoringKeyring) shut(ctx context.Context) (int, error) {
	if !r.vacant {
		k, err := sqlstore.OpenKeyring(ctx, r.cfg.Engines.KeyringAt(r.cfg.Dir))
		if err != nil {
			return 0, fmt.Errorf("the keyring that is there cannot be used; move it away: %w", err)
		}
		s := &service.Stores{DB: r.db, Keyring: k}
		r.db.CaseKeys(k.CaseKey)
		shut, err := r.asItIs(ctx, s)
		return shut, errors.Join(err, k.Close())
	}
	shut := 0
	for name, err := range r.names(ctx) {
		if err != nil {
			return 0, err
		}
		if r.files[name] == nil {
			shut++
		}
	}
	return shut, nil
}

// asItIs looks at the keyring that is there: it has to be this network's, and
// whole.
func (r *restoringKeyring) asItIs(ctx context.Context, s *service.Stores) (shut int, err error) {
	bond, err := s.Keyring.Bond(ctx)
	switch {
	case err != nil:
		return 0, err
	case bond.Network != r.network:
		return 0, errors.New("the keyring that is there is another network's; move it away")
	}
	s.Keyring.Seal(r.ring)
	// That some of its rows are older, or were taken away, is what is mended here.
	found, err := s.Keyring.Check(ctx)
	if err != nil && !errors.Is(err, vault.ErrIntegrity) {
		return 0, err
	}
	if err != nil || len(found.Problems)+len(found.Damaged) > 0 {
		return 0, errors.New("the keyring that is there is damaged; move it away")
	}
	missing, err := s.MatchKeyring(ctx)
	return len(missing), err
}

// names yields the names of the rows that the keyring must have.
func (r *restoringKeyring) names(ctx context.Context) iter.Seq2[string, error] {
	rows := sqlstore.KeyringRows(r.ring)
	return func(yield func(string, error) bool) {
		for record, err := range (&service.Stores{DB: r.db}).Records(ctx) {
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range rows.NamesOf(record, func(name string) bool { return r.files[name] != nil }) {
				if !yield(name, nil) {
					return
				}
			}
		}
	}
}

// write makes the keyring, or takes the one that is there, and binds it. Until it
// has come to its end no command takes what lies there for the keyring.
func (r *restoringKeyring) write(ctx context.Context) (err error) {
	where := r.cfg.Engines.KeyringAt(r.cfg.Dir)
	var k *sqlstore.Keyring
	if r.vacant {
		k, err = sqlstore.CreateKeyring(ctx, where, r.network, r.ring)
	} else {
		k, err = sqlstore.OpenKeyring(ctx, where)
	}
	if err != nil {
		return err
	}
	k.Seal(r.ring)
	if !r.vacant {
		r.db.CaseKeys(k.CaseKey)
	}
	defer func() {
		err = errors.Join(err, k.Close())
		if err != nil && r.vacant && r.cfg.Engines.Keyring == "" {
			for _, ext := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(where + ext) // made above, and of no use to anybody
			}
		}
	}()
	for name, err := range r.names(ctx) {
		if err != nil {
			return err
		}
		if box := r.files[name]; box != nil {
			if err := k.PutBack(ctx, sqlstore.KeyRow{Name: name, Box: box}); err != nil {
				return err
			}
			r.done.KeyFiles++
		}
	}
	is, err := k.Bond(ctx)
	if err != nil {
		return err
	}
	if err := k.Rebind(ctx, r.network, max(is.Changes, r.noted.Changes)); err != nil {
		return err
	}
	r.done.Shut, err = bindKeyring(ctx, &service.Stores{DB: r.db, Keyring: k})
	return err
}
