package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// A network is locked by a change of its roster, which every replica sees within a
// second, or by a file in a folder, which needs neither passphrase nor database. Either
// way the process that serves writes that file, ends with all that it knows, and a new
// one begins which opens no key for as long as the file is there
// (docs/decisions/0044-lock.md).

// ErrLocked says that a network is locked: no process opens its keys before two people
// have opened it again.
var ErrLocked = fmt.Errorf("two people have to open it again, and safeconduct unlock says where: docs/operate.md, When the network is locked. %w", roster.ErrLocked)

// errUnopened is ErrLocked, found before any key was opened.
var errUnopened = fmt.Errorf("%w", ErrLocked)

// Lock is what a process without keys has to know: it stands in a file in the folder.
type Lock struct {
	ID     string `json:"lock"`   // of the act that locked the network, or one of this folder's own
	Roster bool   `json:"roster"` // the roster is locked, and so is every replica
	At     int64  `json:"at"`     // Unix seconds
	// Seq and Head are the roster as it was believed by the process that had the keys:
	// one that was made anew, or cut, opens nothing.
	Seq  uint64 `json:"seq"`
	Head []byte `json:"head"`
	// What can be said of the network while its database is away.
	Name string `json:"name"`
	URL  string `json:"url"`
	Desk string `json:"desk"`
	Demo bool   `json:"demo"`
}

// maxLock bounds the two files of a lock. Of that which opens it a proof is the
// largest part.
const maxLock = 64 << 10

// ReadLock reads the lock of a folder; ok is whether it is locked. A file that cannot be
// read locks it, too: somebody in a hurry may have made it by hand, or as another user.
func ReadLock(dir string) (l Lock, ok bool, err error) {
	data, err := files.Read(filepath.Join(dir, config.LockedName), maxLock)
	if errors.Is(err, os.ErrNotExist) {
		return Lock{}, false, nil
	}
	if err == nil && strictjson.Unmarshal(data, strictjson.Limits{Size: maxLock}, &l) == nil && l.ID != "" {
		return l, true, nil
	}
	l = Lock{ID: randomHex(16), At: time.Now().Unix()}
	return l, true, l.write(dir)
}

func (l Lock) write(dir string) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return files.Replace(filepath.Join(dir, config.LockedName), append(data, '\n'))
}

// pinned is a lock with the roster as it is now.
func (l Lock) pinned(state roster.State) Lock {
	l.Seq, l.Head = state.Seq, bytes.Clone(state.Head[:])
	if state.Lock != "" {
		l.ID, l.Roster = state.Lock, true
	}
	return l
}

// of is a lock with what is said of a network.
func (l Lock) of(r network.Record) Lock {
	l.Name, l.URL, l.Desk, l.Demo = r.Name, r.BaseURL, r.Desk, r.Demo
	return l
}

// holds tells whether a roster is the one that was locked, or what has become of it.
func (l Lock) holds(ctx context.Context, db *sqlstore.DB, state roster.State) error {
	if l.Seq == 0 {
		return nil // there was none to be seen
	}
	rows, err := db.People().Changes(ctx, l.Seq, 1)
	if err != nil {
		return err
	}
	if state.Seq < l.Seq || len(rows) != 1 {
		return rosterError("has %d changes, and had %d when the network was locked", state.Seq, l.Seq)
	}
	if head := sha256.Sum256(rows[0]); !bytes.Equal(head[:], l.Head) {
		return rosterError("has another change %d than when the network was locked", l.Seq)
	}
	return nil
}

// LockFolder locks the network in a folder for the processes that serve it from there.
// It needs no passphrase, and no database that answers.
func LockFolder(ctx context.Context, dir string) (Lock, error) {
	if err := (config.Folder{Dir: dir}).Check(); err != nil {
		return Lock{}, err
	}
	l, ok, err := ReadLock(dir)
	if err != nil || ok {
		return l, err
	}
	l = Lock{ID: randomHex(16), At: time.Now().Unix()}
	if err := l.write(dir); err != nil { // first of all
		return l, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if seen, err := l.seen(ctx, dir); err == nil {
		return seen, seen.write(dir)
	}
	return l, nil // the process that runs knows more
}

// lookTime is how long whoever locks looks at the database.
const lookTime = 3 * time.Second

// seen is a lock with what the database says of the network.
func (l Lock) seen(ctx context.Context, dir string) (Lock, error) {
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return l, err
	}
	defer func() { _ = db.Close() }()
	r, err := db.Network().Network(ctx)
	if err != nil {
		return l, err
	}
	all, _, err := openPeople(db, r, time.Now)
	if err != nil {
		return l, err
	}
	state, err := all.State(ctx)
	if err != nil {
		return l, err
	}
	return l.of(r).pinned(state), nil
}

// openDatabase opens the database of a folder. It makes none.
func openDatabase(ctx context.Context, dir string) (*sqlstore.DB, error) {
	engines, err := config.ReadEngines(dir)
	if err != nil {
		return nil, err
	}
	where := engines.DatabaseAt(dir)
	switch free, err := sqlstore.Vacant(ctx, where); {
	case err != nil:
		return nil, err
	case free:
		return nil, sqlstore.ErrUnavailable
	}
	return sqlstore.Open(ctx, where)
}

// opening is what opens a network again: an act, and the proofs of two people.
type opening struct {
	Act    string           `json:"act"` // in its one form
	Proofs []approval.Proof `json:"proofs"`
}

// readOpening reads what a process without keys has written; nil if there is nothing.
func readOpening(dir string) (*opening, error) {
	data, err := files.Read(filepath.Join(dir, config.UnlockName), maxLock)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var o opening
	if strictjson.Unmarshal(data, strictjson.Limits{Size: maxLock}, &o) != nil {
		return nil, dropOpening(dir)
	}
	return &o, nil
}

func (o opening) write(dir string) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return files.Replace(filepath.Join(dir, config.UnlockName), data)
}

func dropOpening(dir string) error { return remove(filepath.Join(dir, config.UnlockName)) }
func dropLock(dir string) error    { return remove(filepath.Join(dir, config.LockedName)) }

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// opened tells whether the roster says already that two people have opened this lock: the
// process that wrote it there may have ended before it said so. What lies in the folder is
// not asked, because anybody may have put it there.
func (l Lock) opened(state roster.State) bool {
	return l.ID != "" && state.Lock == "" && state.Opened == l.ID
}

// enough tells whether an opening opens this lock, by the roster alone.
func (o opening) enough(ctx context.Context, all *people.Roster, l Lock) error {
	act, err := all.ReadUnlock(ctx, l.ID, []byte(o.Act))
	if err != nil {
		return err
	}
	switch _, enough, err := all.Unlocking(ctx, act, o.Proofs); {
	case err != nil:
		return err
	case !enough:
		return roster.ErrNotAgreed
	}
	return nil
}

// mayOpen answers errUnopened for a network that is locked, before any key of it is
// opened, and nil where it is not, or where what opens it is there.
func (s *Service) mayOpen(ctx context.Context, r network.Record) error {
	all, _, err := openPeople(s.DB, r, s.cfg.Now)
	if err != nil {
		return err
	}
	lock, locked, err := ReadLock(s.cfg.Dir)
	if err != nil {
		return err
	}
	state, err := all.State(ctx)
	switch {
	case err != nil && locked:
		return errUnopened // it says why it does not open
	case errors.Is(err, people.ErrDamaged):
		return rosterError("cannot be replayed: %v", err)
	case err != nil:
		return err
	}
	opens, err := readOpening(s.cfg.Dir)
	switch {
	case err != nil:
		return err
	case !locked && state.Lock == "":
		return dropOpening(s.cfg.Dir)
	case !locked:
		lock = Lock{At: state.LockedAt}.of(r).pinned(state)
		return errors.Join(errUnopened, lock.write(s.cfg.Dir))
	case opens == nil:
		return errUnopened
	}
	if err = lock.holds(ctx, s.DB, state); err == nil && !lock.opened(state) {
		err = opens.enough(ctx, all, lock)
	}
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "what was to open the network does not hold", "cause", err.Error())
		return errors.Join(errUnopened, dropOpening(s.cfg.Dir))
	}
	return nil
}

// unlock writes into the roster, and so into the log, that two people have opened the
// network. Nothing was done before it.
func (s *Service) unlock(ctx context.Context) error {
	opens, err := readOpening(s.cfg.Dir)
	if err != nil || opens == nil {
		return err
	}
	lock, _, err := ReadLock(s.cfg.Dir)
	if err != nil {
		return err
	}
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	if !lock.opened(state) {
		act, err := approval.Parse([]byte(opens.Act))
		if err != nil {
			return errors.Join(ErrLocked, dropOpening(s.cfg.Dir))
		}
		if err := s.People.Unlock(ctx, act, opens.Proofs, nil); err != nil {
			s.cfg.Log.ErrorContext(ctx, "the network could not be opened again", "cause", err.Error())
			// The keys are dropped again, and a process without them serves on.
			return errors.Join(ErrLocked, fmt.Errorf("open the network again: %w", err), dropOpening(s.cfg.Dir))
		}
	}
	return errors.Join(dropLock(s.cfg.Dir), dropOpening(s.cfg.Dir))
}

// lockEvery is how often it is looked whether the network was locked, and signerEvery how
// often a signer of its own is asked, which may have to ask a Vault.
const (
	lockEvery   = time.Second
	signerEvery = 2 * time.Second
)

// watchLock closes locked once the network is. The folder is looked at whatever the
// database does meanwhile: it may answer to nobody.
func (s *Service) watchLock(ctx context.Context, locked chan<- struct{}) {
	ctx, done := context.WithCancel(ctx)
	defer done()
	is := sync.OnceFunc(func() { close(locked); done() })
	go again(ctx, lockEvery, func() {
		if s.rosterLocked(ctx) {
			is()
		}
	})
	go again(ctx, signerEvery, func() {
		if s.signerLocked(ctx) {
			is()
		}
	})
	again(ctx, lockEvery, func() {
		if s.folderLocked(ctx) {
			is()
		}
	})
}

// rosterLocked tells whether the network was locked by its roster, and writes down what
// a process without keys has to know.
func (s *Service) rosterLocked(ctx context.Context) bool {
	state, err := s.People.State(ctx)
	if err != nil || state.Lock == "" {
		return false // that the database is away, others say
	}
	s.noted(ctx, Lock{At: state.LockedAt}.of(s.record()).pinned(state).write(s.cfg.Dir))
	return true
}

// folderLocked tells whether somebody has locked the folder, and adds what is known here.
func (s *Service) folderLocked(ctx context.Context) bool {
	lock, locked, err := ReadLock(s.cfg.Dir)
	if !locked {
		return false
	}
	s.noted(ctx, err)
	added := make(chan error, 1)
	go func() {
		state, err := s.People.State(ctx)
		if err == nil {
			err = lock.of(s.record()).pinned(state).write(s.cfg.Dir)
		}
		added <- err
	}()
	select {
	case err = <-added:
		s.noted(ctx, err)
	case <-time.After(lastWords):
	}
	return true
}

// noted says that a lock could not be written down. It is one all the same.
func (s *Service) noted(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.ErrorContext(ctx, "the lock could not be written down", "cause", err.Error())
	}
}

func (s *Service) record() network.Record {
	n := s.Network
	return network.Record{Name: n.Name(), BaseURL: n.BaseURL(), Desk: n.Desk(), Demo: n.Demo()}
}

// Locked is closed once the network was locked, for whoever serves it in another way than
// [Serve] does.
func (s *Service) Locked(ctx context.Context) <-chan struct{} {
	locked := make(chan struct{})
	go s.watchLock(ctx, locked)
	return locked
}

// LockByRoot locks the network for whoever has folder and passphrase, and so the root
// key.
func (s *Service) LockByRoot(ctx context.Context) error {
	err := s.End(ctx, roster.DoLock, "", &roster.Lock{})
	if errors.Is(err, people.ErrConflict) || errors.Is(err, roster.ErrState) {
		return nil // it is
	}
	return err
}

// UnlockByRoot opens a network by what one person's passkey answered and the root key,
// where fewer than two people could agree.
func (s *Service) UnlockByRoot(ctx context.Context, data, response []byte) error {
	lock, locked, err := ReadLock(s.cfg.Dir)
	switch {
	case err != nil:
		return err
	case !locked:
		return errors.New("the network is not locked")
	}
	act, err := s.People.ReadUnlock(ctx, lock.ID, data)
	if err != nil {
		return err
	}
	state, err := s.People.State(ctx)
	if err != nil {
		return err
	}
	a, err := passkey.ReadAssertion(response)
	if err != nil {
		return err
	}
	who, _, ok := state.Holder(a.Credential)
	if !ok {
		return approval.ErrRefused
	}
	if err := s.People.Unlock(ctx, act, []approval.Proof{a.Proof(who.ID)}, RootSigner(ctx, s.Keys)); err != nil {
		return err
	}
	return dropLock(s.cfg.Dir)
}
