package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
)

// A signer that is a process of its own locks as the service does: a file in its folder,
// a new process in its place, and no key until two people have opened the network. The
// service tells it, both when it is locked and what opens it.

// waitSigner answers without a key for as long as a signer's folder is locked, and says
// which lock was opened.
func waitSigner(ctx context.Context, f config.Folder, log *slog.Logger, at Signing) (opened string, err error) {
	lock, locked, err := ReadLock(f.Dir)
	if err != nil || !locked {
		return "", err
	}
	l, err := signer.Listen(at.Socket, len(at.Peers) > 0)
	if err != nil {
		return "", err
	}
	log.WarnContext(ctx, "the network is locked: no key is opened, and no passphrase is read")
	pin := signer.Pin{At: lock.At, Place: signer.Place{Seq: lock.Seq, Head: lock.Head}}
	if lock.Roster {
		pin.Lock = lock.ID
	}
	opened, err = signer.ServeShut(ctx, l, f.Path(config.SignerName), pin, signer.Config{Peers: at.Peers, Log: log})
	if err != nil || opened == "" {
		return "", err
	}
	log.WarnContext(ctx, "the network was opened again")
	return opened, dropLock(f.Dir)
}

// watchSigner ends a signer that has keys when its folder was locked, whoever wrote the
// file, or its own roster says that the network is.
func watchSigner(ctx context.Context, f config.Folder, judge *signer.Judge, locked func()) {
	again(ctx, lockEvery, func() {
		lock, is, err := ReadLock(f.Dir)
		if judge.Locked() == "" && (err != nil || !is) {
			return
		}
		if lock.Seq == 0 {
			_ = pinSigner(f, judge, lock) // it ends all the same
		}
		locked()
	})
}

// pinSigner writes down how far a signer's roster went, and the lock in it. What others
// call a lock that is none of the roster is nothing to it: they could call it anything.
func pinSigner(f config.Folder, judge *signer.Judge, lock Lock) error {
	at := judge.Roster()
	lock.Seq, lock.Head = at.Seq, at.Head
	if id := judge.Locked(); id != "" {
		lock.ID, lock.Roster = id, true
	}
	if lock.ID == "" {
		lock.ID = randomHex(16)
	}
	if lock.At == 0 {
		lock.At = time.Now().Unix()
	}
	return lock.write(f.Dir)
}

// lockSigner tells the signer at hand that the network is locked. One that this process
// has started ends with it, and takes no word for it.
func (s *Service) lockSigner(ctx context.Context) {
	if keys, ok := s.store.(*signer.Client); ok && s.cfg.socket() != "" {
		lock, _, err := ReadLock(s.cfg.Dir)
		if err == nil {
			err = keys.Lock(ctx, lock.ID)
		}
		if err != nil && !errors.Is(err, signer.ErrShut) {
			s.cfg.Log.ErrorContext(ctx, "the signer was not told that the network is locked", "cause", err.Error())
		}
	}
}

// signerLocked tells whether a signer of its own has put its keys away, and locks this
// folder, too: two people open both, and find the page for it at a process that is locked.
func (s *Service) signerLocked(ctx context.Context) bool {
	keys, ok := s.store.(*signer.Client)
	if !ok || s.cfg.socket() == "" || !errors.Is(keys.Ready(ctx), signer.ErrShut) {
		return false
	}
	if _, locked, _ := ReadLock(s.cfg.Dir); !locked {
		s.noted(ctx, Lock{ID: randomHex(16), At: time.Now().Unix()}.of(s.record()).write(s.cfg.Dir))
	}
	return s.folderLocked(ctx)
}

// socket is where a signer of its own answers; "" where there is none.
func (c Config) socket() string {
	if c.Socket != "" {
		return c.Socket
	}
	return c.Engines.Signer
}

// openSigner shows a signer that is shut what opens it, and waits for its keys.
func (s *Service) openSigner(ctx context.Context, keys keystore.Store, r network.Record) error {
	c, ok := keys.(*signer.Client)
	if !ok || !errors.Is(c.Ready(ctx), signer.ErrShut) {
		return nil
	}
	next, err := s.nextChange(ctx, r)
	if err != nil {
		return err
	}
	c.Follow(signer.Roster{Base: r.BaseURL, Changes: s.DB.People().Changes})
	if err := c.Open(ctx, next); errors.Is(err, signer.ErrRefused) {
		return s.stillShut(ctx, r, err)
	} else if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	for {
		err := c.Ready(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(openPause)
	}
}

// stillShut goes on locked, where a signer was not shown what opens it: what was to open
// the network is dropped, and a network that is locked by its signer alone is locked here,
// so that two people find the page on which they open both.
func (s *Service) stillShut(ctx context.Context, r network.Record, cause error) error {
	s.cfg.Log.ErrorContext(ctx, "the signer is locked, and nothing here opens it", "cause", cause.Error())
	_, locked, err := ReadLock(s.cfg.Dir)
	if err == nil && !locked {
		err = Lock{ID: randomHex(16), At: time.Now().Unix()}.of(r).write(s.cfg.Dir)
	}
	return errors.Join(errUnopened, err, dropOpening(s.cfg.Dir))
}

// openTime is how long a signer may take to have its keys again, and openPause how often
// it is asked.
const (
	openTime  = 20 * time.Second
	openPause = 100 * time.Millisecond
)

// nextChange is the change of the roster that opens the network, as it will stand there;
// nil where it does already, or where nobody here has opened it.
func (s *Service) nextChange(ctx context.Context, r network.Record) ([]byte, error) {
	opens, err := readOpening(s.cfg.Dir)
	if err != nil || opens == nil {
		return nil, err
	}
	all, _, err := openPeople(s.DB, r, s.cfg.Now)
	if err != nil {
		return nil, err
	}
	lock, _, err := ReadLock(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	state, err := all.State(ctx)
	if err != nil || lock.opened(state) {
		return nil, err
	}
	act, err := approval.Parse([]byte(opens.Act))
	if err != nil {
		return nil, err
	}
	data, err := act.Bytes()
	if err != nil {
		return nil, err
	}
	return roster.Change{
		Seq: state.Seq + 1, Prev: state.Head[:], At: max(s.cfg.Now().Unix(), state.At), Act: data, Proofs: opens.Proofs,
	}.Bytes()
}
