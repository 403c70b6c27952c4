package service

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
	"github.com/safeconduct/safeconduct/web"
)

// A shut house is a network that is locked, as a process sees it that has no key: what
// was published last, and a roster to hold the passkeys of those against who open it.
type shutHouse struct {
	cfg Config

	told bool // the signer knows, if it is a process of its own

	mu       sync.Mutex
	lock     Lock
	db       *sqlstore.DB // nil until it was reached
	people   *people.Roster
	passkeys *passkey.RelyingParty
}

// waitUnlocked serves what is public until the network is no longer locked, or ctx
// ends. It returns at once where it is not.
func waitUnlocked(ctx context.Context, cfg Config, at Serving) (err error) {
	lock, locked, err := ReadLock(cfg.Dir)
	if err != nil || !locked {
		return err
	}
	if opens, err := readOpening(cfg.Dir); err != nil || opens != nil {
		return err
	}
	if err := (config.Folder{Dir: cfg.Dir}).Check(); err != nil {
		return err
	}
	unlock, err := files.WaitLock(ctx, cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if cfg.Engines, err = config.ReadEngines(cfg.Dir); err != nil {
		return err
	}
	h := &shutHouse{cfg: cfg, lock: lock}
	defer h.close()
	return h.serve(ctx, at)
}

// serve answers until the network is no longer locked.
func (h *shutHouse) serve(ctx context.Context, at Serving) error {
	_, _, _ = h.Roster(ctx) // so that the page says where to call, from the first request on
	api, err := h.api()
	if err != nil {
		return err
	}
	server := api.Listener(at.Listen)
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	telling, told := context.WithCancel(ctx)
	defer told()
	go everyHour(telling, h.cfg.Now, func() { api.Hour(telling) })
	h.cfg.Log.WarnContext(ctx, "the network is locked: no key is opened, and what is public is served")
	warnOfPages(ctx, h.cfg.Log, web.Built())
	if err := h.wait(ctx, served); err != nil {
		return err
	}
	ending, release := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer release()
	if err := server.Shutdown(ending); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// wait returns when the network is no longer locked, or ctx ends.
func (h *shutHouse) wait(ctx context.Context, served <-chan error) error {
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.tellSigner(ctx)
			if h.opened(ctx) {
				h.cfg.Log.WarnContext(ctx, "the network was opened again")
				return nil
			}
		}
	}
}

// tellSigner tells a signer of its own, once, that the network is locked: the process
// with the keys may have ended before it did.
func (h *shutHouse) tellSigner(ctx context.Context) {
	socket := h.cfg.socket()
	if h.told || socket == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := signer.LockAt(ctx, socket, h.ID())
	h.told = err == nil || errors.Is(err, signer.ErrShut)
}

// api is the HTTP face.
func (h *shutHouse) api() (*httpapi.Server, error) {
	card, err := web.CardPage(h.lock.Desk)
	if err != nil {
		return nil, err
	}
	aside := h.cfg.Engines.AsideAt(h.cfg.Dir)
	return httpapi.New(httpapi.Config{
		Lock: h, Board: &shutBoard{path: filepath.Join(aside, offsite.PackName)}, LogFiles: h.logFiles(aside), Log: h.cfg.Log, Now: h.cfg.Now,
		Ready: func(context.Context) error { return roster.ErrLocked },
		Pages: web.Pages, Desk: h.lock.Desk, CardPage: card, CardStyle: web.CardStyleSHA256, SecurityContact: h.cfg.SecurityContact,
	})
}

// ID is the lock's.
func (h *shutHouse) ID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lock.ID
}

// Roster is the roster that was locked. It needs the database, and no key: each change
// of it proves itself, and the file of the lock says with which it ended.
func (h *shutHouse) Roster(ctx context.Context) (*people.Roster, *passkey.RelyingParty, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reach(ctx); err != nil {
		return nil, nil, err
	}
	state, err := h.people.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := h.lock.holds(ctx, h.db, state); err != nil {
		return nil, nil, err
	}
	if h.lock.Seq == 0 || state.Lock != "" && state.Lock != h.lock.ID {
		h.lock = h.lock.pinned(state)
		if err := h.lock.write(h.cfg.Dir); err != nil {
			return nil, nil, err
		}
	}
	return h.people, h.passkeys, nil
}

// reach opens the database, once it answers.
func (h *shutHouse) reach(ctx context.Context) error {
	if h.people != nil {
		return nil
	}
	if h.db == nil {
		db, err := openDatabase(ctx, h.cfg.Dir)
		if err != nil {
			return err
		}
		h.db = db
	}
	r := network.Record{Name: h.lock.Name, BaseURL: h.lock.URL, Desk: h.lock.Desk, Demo: h.lock.Demo}
	if r.BaseURL == "" {
		var err error
		if r, err = h.db.Network().Network(ctx); err != nil {
			return err
		}
		h.lock = h.lock.of(r)
	}
	all, passkeys, err := openPeople(h.db, r, h.cfg.Now)
	if err != nil {
		return err
	}
	h.people, h.passkeys = all, passkeys
	return nil
}

// Open keeps what opens the network for the process that has the keys.
func (h *shutHouse) Open(_ context.Context, act approval.Act, proofs []approval.Proof) error {
	data, err := act.Bytes()
	if err != nil {
		return err
	}
	return opening{Act: string(data), Proofs: proofs}.write(h.cfg.Dir)
}

// opened tells whether the network is no longer locked here: two people have opened it
// at this process or, by the roster, at another one, or somebody has taken the lock out
// of the folder.
func (h *shutHouse) opened(ctx context.Context) bool {
	if opens, err := readOpening(h.cfg.Dir); err == nil && opens != nil {
		return true
	}
	if _, err := os.Lstat(filepath.Join(h.cfg.Dir, config.LockedName)); errors.Is(err, os.ErrNotExist) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	all, _, err := h.Roster(ctx)
	if err != nil {
		return false
	}
	lock, err := all.Locked(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || lock != "" || !h.lock.Roster {
		return false
	}
	return dropLock(h.cfg.Dir) == nil
}

func (h *shutHouse) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db != nil {
		_ = h.db.Close()
	}
}

// logFiles are the log's public files, without a key and, of the checkpoint, without a
// database.
func (h *shutHouse) logFiles(aside string) fs.FS {
	if h.cfg.Engines.Database == "" {
		return os.DirFS(filepath.Join(h.cfg.Dir, config.LogName))
	}
	return &shutLog{house: h, aside: aside}
}

// shutLog are the log's public files where they are in a database.
type shutLog struct {
	house *shutHouse
	aside string

	mu   sync.Mutex
	held *logFiles
}

// Open opens one of them.
func (l *shutLog) Open(name string) (fs.File, error) {
	held, err := l.reached()
	if err == nil {
		return held.Open(name)
	}
	if name == CheckpointName {
		return os.Open(filepath.Join(l.aside, offsite.CheckpointName))
	}
	return nil, err
}

func (l *shutLog) reached() (*logFiles, error) {
	l.house.mu.Lock()
	err := l.house.reach(context.Background()) //nolint:contextcheck // a file has none
	db := l.house.db
	l.house.mu.Unlock()
	if db == nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		held := &logFiles{dir: db.LogFiles()}
		if err := held.update(); err != nil {
			return nil, err
		}
		l.held = held
	}
	return l.held, nil
}

// shutBoard is what was published last, as it lies in the off-site folder: a pack is put
// there before anybody can have it. Whoever reads it checks its signatures.
type shutBoard struct {
	path string

	mu     sync.Mutex
	read   time.Time // when the file that was read was written
	lists  verifier.Lists
	tokens map[uint16]listTokens
}

// errShut is what has no answer in a locked network.
var errShut = roster.ErrLocked

func (b *shutBoard) look() error {
	info, err := os.Stat(b.path)
	if err != nil {
		return errors.Join(trouble.ErrUnavailable, err)
	}
	if !b.read.IsZero() && info.ModTime().Equal(b.read) {
		return nil
	}
	data, err := files.Read(b.path, verifier.MaxPack+maxTrustList)
	if err != nil {
		return err
	}
	var lists verifier.Lists
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: verifier.MaxPack + maxTrustList}, &lists); err != nil {
		return errors.Join(trouble.ErrDamaged, err)
	}
	tokens, err := tokensOf(lists)
	if err != nil {
		return errors.Join(trouble.ErrDamaged, err)
	}
	b.read, b.lists, b.tokens = info.ModTime(), lists, tokens
	return nil
}

// maxTrustList bounds a trust list beside its pack, in bytes.
const maxTrustList = 8 << 20

// Lists returns the public half of the newest pack.
func (b *shutBoard) Lists(context.Context) (verifier.Lists, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.look()
	return b.lists, err
}

// Tokens returns the tokens of a status list.
func (b *shutBoard) Tokens(_ context.Context, list uint16) (status, answers string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err = b.look()
	t := b.tokens[list]
	return t.status, t.answers, err
}

// Confirmed is now: of a locked network nothing newer is published.
func (b *shutBoard) Confirmed() time.Time { return time.Now() }

// Publish publishes nothing.
func (b *shutBoard) Publish(context.Context, audit.Actor, bool) (httpapi.Published, error) {
	return httpapi.Published{}, errShut
}

// Envelope seals nothing.
func (b *shutBoard) Envelope(context.Context, audit.Actor) (string, error) { return "", errShut }

// Pack opens nothing.
func (b *shutBoard) Pack(context.Context) (*verifier.Pack, error) { return nil, errShut }
