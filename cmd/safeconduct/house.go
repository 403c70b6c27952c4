package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/web"
)

// Names in a folder that init or demo made.
const (
	databaseName   = "safeconduct.db"
	keyringName    = "keyring.db"
	keysName       = "keys.age"
	blobsName      = "blobs"
	logName        = "log"
	passphraseName = "passphrase"
)

// houseConfig says which folder to open, and how.
type houseConfig struct {
	dir        string
	engines    engines
	passphrase string
	workFactor int // of the key file when it is written; zero is age's default
	now        func() time.Time
	log        *slog.Logger
	metrics    *metrics // nil when nobody counts
}

// house is every room of one service, wired together.
type house struct {
	cfg      houseConfig
	db       *sqlstore.DB
	keyring  *sqlstore.Keyring
	keys     keystore
	remote   *hcvault.Vault // the same keys, when they are in a Vault
	blobs    objects
	aside    *aside
	logDir   audit.Dir
	log      *audit.Log
	people   *people.Roster
	network  *network.Network
	vault    *vault.Vault
	issuer   *credentials.Issuer
	board    *board
	api      *httpapi.Server
	settled  int // drafts that recovery found
	closings []func() error

	window   time.Duration // how often serve publishes; zero when nobody does
	leaving  atomic.Bool   // no new requests, please
	watching atomic.Bool   // beats are sent

	asking   sync.Mutex // whether we are ready, once at a time
	answered time.Time
	answer   error
}

// errInUse says that another process works in the folder.
var errInUse = errors.New("the folder is in use by another process")

// founding is what init and demo decide about a new network.
type founding struct {
	id, name, baseURL, desk string
	demo                    bool
}

// found makes the keys and the database of a new network in an empty folder,
// and returns the first operator's token. When it returns an error, nothing of
// them is left.
func found(ctx context.Context, cfg houseConfig, f founding) (token string, err error) {
	for _, name := range []string{keysName, databaseName, enginesName} {
		if _, err := os.Lstat(filepath.Join(cfg.dir, name)); !errors.Is(err, os.ErrNotExist) {
			return "", errors.Join(fmt.Errorf("%s holds a network already; nothing was changed", cfg.dir), err)
		}
	}
	defer func() {
		if err != nil {
			for _, name := range []string{keysName, keysName + ".lock", databaseName, databaseName + "-wal", databaseName + "-shm",
				keyringName, keyringName + "-wal", keyringName + "-shm"} {
				_ = os.Remove(filepath.Join(cfg.dir, name)) // made above, and of no use to anybody
			}
		}
	}()
	// Before anything is made: the service would not start without it.
	if cfg.engines.Aside != "" {
		if err := (&aside{dir: cfg.engines.Aside}).there(); err != nil {
			return "", err
		}
	}
	keys, done, err := cfg.createKeys(ctx, f.id)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	db, err := sqlstore.Open(ctx, cfg.engines.database(cfg.dir))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	roster, err := people.New(people.Config{Store: db.People(), Now: cfg.now})
	if err != nil {
		return "", err
	}
	n, err := network.New(network.Config{
		Store: db.Network(), Keys: keys, Rights: roster, ID: f.id, Name: f.name, BaseURL: f.baseURL, Desk: f.desk, Demo: f.demo, Now: cfg.now,
	})
	if err != nil {
		return "", err
	}
	first, token := people.NewOperator()
	if err := n.Init(ctx, network.Founder{ID: first.ID, Token: first.Token}); err != nil {
		return "", err
	}
	// Empty, and there from the first day: one that is missing later is a loss.
	keyring, err := sqlstore.OpenKeyring(ctx, cfg.engines.keyring(cfg.dir))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, keyring.Close()) }()
	return token, cfg.engines.write(cfg.dir)
}

func (c houseConfig) keyfile() keyfile.Config {
	return keyfile.Config{Path: filepath.Join(c.dir, keysName), Passphrase: c.passphrase, WorkFactor: c.workFactor}
}

// openHouse opens a folder to serve it: it takes the folder for this process
// and settles what a crash may have left behind. The caller closes it.
func openHouse(ctx context.Context, cfg houseConfig) (_ *house, err error) {
	if err := isHouse(cfg.dir); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(cfg.dir)
	if err != nil {
		return nil, err
	}
	h, err := openQuietly(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	h.closings = append([]func() error{unlock}, h.closings...) // last of all
	// Before anything is begun here, so that no other process ends it.
	if err := h.db.Beat(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.closeWith(func() error {
		_ = h.db.Leave(context.WithoutCancel(ctx)) // else the others find out by themselves
		return nil
	})
	if err := errors.Join(h.openDoors(), h.settle(ctx)); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.board.open(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// openQuietly opens a folder and changes nothing of what it says. The caller
// closes it.
func openQuietly(ctx context.Context, cfg houseConfig) (_ *house, err error) {
	if cfg.engines, err = readEngines(cfg.dir); err != nil {
		return nil, err
	}
	h := &house{cfg: cfg}
	if err := h.openStores(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.openRooms(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// settle ends what a crash cut off: keys and rows agree, no draft stays open,
// and what was to be erased is erased. Nothing is served before. It is only for
// the process that has the folder: in another one's hands a draft is about to
// be signed. Where several processes share a database, the drafts of those that
// live stay.
func (h *house) settle(ctx context.Context) (err error) {
	if err := h.network.Check(ctx); err != nil {
		return err
	}
	if h.settled, err = h.issuer.Recover(ctx); err != nil {
		return err
	}
	if _, err := h.vault.Replay(ctx); err != nil {
		return err
	}
	return h.settleErasures(ctx)
}

// isHouse tells a folder that init or demo made from any other.
func isHouse(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, unfinishedName)); err == nil {
		return fmt.Errorf("%s: a restore was cut off here; remove everything it put there, and restore again", dir)
	}
	_, err := os.Stat(filepath.Join(dir, keysName))
	if _, elsewhere := os.Stat(filepath.Join(dir, enginesName)); err == nil || elsewhere == nil {
		return nil
	}
	return fmt.Errorf("%s is not a folder that init or demo made: %w", dir, err)
}

// openStores opens everything that keeps bytes.
func (h *house) openStores(ctx context.Context) (err error) {
	cfg := h.cfg
	if h.db, err = sqlstore.Open(ctx, cfg.engines.database(cfg.dir)); err != nil {
		return err
	}
	h.closeWith(h.db.Close)
	if h.keyring, err = sqlstore.OpenKeyring(ctx, cfg.engines.keyring(cfg.dir)); err != nil {
		return err
	}
	h.closeWith(h.keyring.Close)
	if h.blobs, err = cfg.openObjects(ctx); err != nil {
		return err
	}
	h.closeWith(h.blobs.Close)
	h.blobs = cfg.metrics.countedObjects(h.blobs)
	h.logDir, err = h.openLogDir()
	return err
}

// openLogDir opens the folder of the log's public files: in the database where
// several processes may share it, beside it otherwise.
func (h *house) openLogDir() (audit.Dir, error) {
	if h.cfg.engines.Database != "" {
		return h.db.LogFiles(), nil
	}
	folder, err := audit.OpenFolder(filepath.Join(h.cfg.dir, logName))
	if err != nil {
		return nil, err
	}
	h.closeWith(folder.Close)
	return folder, nil
}

// openRooms wires the domain rooms, which know of each other only what their
// interfaces say.
func (h *house) openRooms(ctx context.Context) (err error) {
	r, err := h.db.Network().Network(ctx)
	if err != nil {
		return err
	}
	if err := h.openKeys(ctx, r.ID); err != nil {
		return err
	}
	if err := errors.Join(h.nameLog(ctx, r.ID), h.openAside(r.ID)); err != nil {
		return err
	}
	h.keys = h.cfg.metrics.countedKeys(h.keys)
	if h.people, err = people.New(people.Config{Store: h.db.People(), Now: h.cfg.now}); err != nil {
		return err
	}
	if h.network, err = network.New(network.Config{
		Store: h.db.Network(), Keys: h.keys, Rights: h.people, ID: r.ID, Name: r.Name, BaseURL: r.BaseURL, Desk: r.Desk, Demo: r.Demo, Now: h.cfg.now,
	}); err != nil {
		return err
	}
	if h.log, err = h.openLog(ctx); err != nil {
		return err
	}
	if h.vault, err = vault.New(vault.Config{
		Store: journaled{h.db.Vault(), h.aside}, Keyring: h.keyring, Blobs: h.blobs, Keys: h.keys,
		Directory: members{h.network}, Network: h.network.ID(), Now: h.cfg.now,
	}); err != nil {
		return err
	}
	if h.issuer, err = credentials.NewIssuer(credentials.IssuerConfig{
		Store: h.db.Credentials(), Keys: watched(h.keys), Cases: h.vault, Network: members{h.network},
		StatusLists: h.network.StatusLists(), Now: h.cfg.now,
	}); err != nil {
		return err
	}
	h.board, err = newBoard(h)
	return err
}

func (h *house) openLog(ctx context.Context) (*audit.Log, error) {
	signer, err := h.keys.LogSigner(ctx)
	if err != nil {
		return nil, err
	}
	key, err := h.keys.LogKey(ctx)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, err
	}
	return audit.New(audit.Config{Store: h.db.Log(), Dir: h.logDir, Signer: signer, Verifier: verifier})
}

// openDoors makes the HTTP face.
func (h *house) openDoors() (err error) {
	card, err := web.CardPage(h.network.Desk())
	if err != nil {
		return err
	}
	h.api, err = httpapi.New(httpapi.Config{
		People: h.people, Network: h.network, Issuer: h.issuer, Vault: h.vault, Board: h.board,
		CardPage: card, CardStyle: web.CardStyleSHA256,
		Idempotency: httpapi.Once(h.db.Idempotency(h.cfg.now), sqlstore.ErrMismatch, sqlstore.ErrInFlight),
		Tries:       h.db.CodeTries(),
		LogFiles:    h.logDir, Log: h.cfg.log, Now: h.cfg.now, Ready: h.ready,
		Pages: web.Pages, Desk: h.network.Desk(),
		Observe: h.cfg.metrics.observe,
	})
	return err
}

// errLeaving says that this process finishes what it began, and takes no more.
var errLeaving = errors.New("the service is about to stop")

const (
	// readyTime bounds the answer to whether the service can work: whoever asks
	// wants to know it now.
	readyTime = 3 * time.Second
	// readyFor is how long an answer stands: anybody may ask, and to find it out
	// costs a few questions to other servers.
	readyFor = 250 * time.Millisecond
	// listsAge is how old lists may become beyond a window, before whoever reads
	// them should look elsewhere: the ttl of their tokens.
	listsAge = 6 * time.Hour
)

// ready says why the service cannot work now: the database takes no changes, a
// key cannot be used, the log contradicts itself, or the pack that is served
// here is old, or older than another process's.
func (h *house) ready(ctx context.Context) error {
	if h.leaving.Load() {
		return errLeaving // at once
	}
	h.asking.Lock()
	defer h.asking.Unlock()
	if time.Since(h.answered) > readyFor {
		// Also for those who ask next, so that it is nobody's own context.
		h.answer, h.answered = h.lookAround(context.WithoutCancel(ctx)), time.Now()
	}
	return h.answer
}

func (h *house) lookAround(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	errs := []error{h.keyring.Ping(ctx), h.aside.there()}
	if h.watching.Load() && h.cfg.engines.Database != "" {
		// Beats are changes, and wait behind nobody: a replica with much to
		// write is ready.
		errs = append(errs, h.db.Heard())
	} else {
		errs = append(errs, h.db.Ping(ctx))
	}
	if h.remote != nil {
		errs = append(errs, h.remote.Ready(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var oldest time.Duration
	if h.window > 0 {
		oldest = h.window + listsAge
	}
	return h.board.ready(ctx, oldest)
}

func (h *house) closeWith(f func() error) { h.closings = append(h.closings, f) }

// Close closes everything, last opened first.
func (h *house) Close() error {
	var errs []error
	for i := len(h.closings) - 1; i >= 0; i-- {
		errs = append(errs, h.closings[i]())
	}
	h.closings = nil
	return errors.Join(errs...)
}

// members is the network as the other rooms see it.
type members struct{ *network.Network }

// Agency describes an agency that is a member and not suspended.
func (m members) Agency(ctx context.Context, id string) (credentials.Agency, error) {
	a, err := m.Network.Agency(ctx, id)
	if err != nil {
		return credentials.Agency{}, err
	}
	if a.Suspended {
		return credentials.Agency{}, network.ErrForbidden
	}
	return credentials.Agency{ID: a.ID, Class: string(a.Class), Country: a.Country, Issuer: m.Issuer(a.ID)}, nil
}

// PublicKey returns a signing key of an agency, old ones included.
func (m members) PublicKey(ctx context.Context, agency, kid string) (*ecdsa.PublicKey, error) {
	a, err := m.Network.Agency(ctx, agency)
	if err != nil {
		return nil, err
	}
	for _, k := range a.Keys {
		if k.KeyID == kid {
			return jws.ParseKey(k.JWK)
		}
	}
	return nil, network.ErrNotFound
}

// Mission tells whether an agency is a diplomatic mission.
func (m members) Mission(ctx context.Context, agency string) (bool, error) {
	a, err := m.Network.Agency(ctx, agency)
	return a.Class == network.DiplomaticMission, err
}

// readPassphrase reads the passphrase of the key file from a file, which the
// flag or the environment names.
func readPassphrase(path string) (string, error) {
	if path == "" {
		path = os.Getenv("SAFECONDUCT_PASSPHRASE_FILE")
	}
	if path == "" {
		return "", errors.New("which passphrase? Give --passphrase-file or SAFECONDUCT_PASSPHRASE_FILE")
	}
	data, err := readBounded(path, 4<<10)
	if err != nil {
		return "", err
	}
	passphrase := strings.TrimRight(string(data), "\r\n")
	if len(passphrase) < 12 {
		return "", errors.New("the passphrase is shorter than 12 characters")
	}
	return passphrase, nil
}
