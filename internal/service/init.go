package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
)

// Founding is what init and demo decide about a new network.
type Founding struct {
	ID, Name, BaseURL, Desk string
	Demo                    bool
}

// Access is how the first operator gets in.
type Access struct {
	Token string // of a program with the operator's role
	Join  string // the secret with which a passkey is added: the network's first person
}

// Link is what the first operator opens, at the address where the network is served.
func (a Access) Link(baseURL string) string { return baseURL + "/admin#join=" + a.Join }

// Found makes the keys and the databases of a new network in an empty folder,
// and returns how the first operator gets in, which is told this once. When it
// returns an error, nothing of them is left.
func Found(ctx context.Context, cfg Config, f Founding) (access Access, err error) {
	if cfg.Engines.Signer != "" {
		return Access{}, errors.New("--signer-socket: a network is made with its keys in its folder; docs/operate.md, The signer, says how they are moved")
	}
	for _, name := range []string{config.KeysName, config.DatabaseName, config.EnginesName} {
		if _, err := os.Lstat(filepath.Join(cfg.Dir, name)); !errors.Is(err, os.ErrNotExist) {
			return Access{}, errors.Join(fmt.Errorf("%s holds a network already; nothing was changed", cfg.Dir), err)
		}
	}
	defer func() {
		if err != nil {
			for _, name := range []string{config.AsideName, config.LogName, config.KeysName, config.KeysName + ".lock", config.DatabaseName, config.DatabaseName + "-wal", config.DatabaseName + "-shm",
				config.KeyringName, config.KeyringName + "-wal", config.KeyringName + "-shm", config.EnginesName} {
				_ = os.Remove(filepath.Join(cfg.Dir, name)) // made above, and of no use to anybody
			}
		}
	}()
	// Before anything is made: the service would not start without it.
	aside := cfg.Engines.AsideAt(cfg.Dir)
	if cfg.Engines.Aside == "" {
		if err := os.MkdirAll(aside, 0o700); err != nil {
			return Access{}, err
		}
	}
	if err := offsite.New(offsite.Config{Dir: aside}).Check(); err != nil {
		return Access{}, err
	}
	keys, done, err := cfg.createKeys(ctx, f.ID)
	if err != nil {
		return Access{}, err
	}
	defer func() { err = errors.Join(err, done()) }()
	db, err := sqlstore.Open(ctx, cfg.Engines.DatabaseAt(cfg.Dir))
	if err != nil {
		return Access{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	seal, err := SealKey(ctx, keys, f.ID)
	if err != nil {
		return Access{}, err
	}
	db.Seal(seal)
	if err := db.SealRows(ctx); err != nil {
		return Access{}, err
	}
	cfg = cfg.withDefaults()
	record := network.Record{ID: f.ID, Name: f.Name, BaseURL: f.BaseURL, Demo: f.Demo}
	roster, _, err := openPeople(db, record, cfg.Now)
	if err != nil {
		return Access{}, err
	}
	n, err := network.New(network.Config{
		Store: db.Network(), Keys: keystore.New(keys), Rights: roster, ID: f.ID, Name: f.Name, BaseURL: f.BaseURL, Desk: f.Desk, Demo: f.Demo, Now: cfg.Now,
	})
	if err != nil {
		return Access{}, err
	}
	if err := n.Init(ctx); err != nil {
		return Access{}, err
	}
	access, err = foundRoster(ctx, roster, keystore.New(keys), record, cfg.Now())
	if err != nil {
		return Access{}, err
	}
	// Empty, and there from the first day: one that is missing later is a loss.
	ring, err := KeyringKey(ctx, keys, f.ID)
	if err != nil {
		return Access{}, err
	}
	keyring, err := sqlstore.CreateKeyring(ctx, cfg.Engines.KeyringAt(cfg.Dir), f.ID, ring)
	if err != nil {
		return Access{}, err
	}
	defer func() { err = errors.Join(err, keyring.Close()) }()
	bond, err := keyring.Bond(ctx)
	if err != nil {
		return Access{}, err
	}
	if err := db.BindKeyring(ctx, bond, nil); err != nil {
		return Access{}, err
	}
	if err := cfg.Engines.Write(cfg.Dir); err != nil {
		return Access{}, err
	}
	if cfg.Engines.Database == "" {
		log, err := audit.OpenFolder(filepath.Join(cfg.Dir, config.LogName))
		if err := errors.Join(err, log.Close()); err != nil {
			return Access{}, err
		}
	}
	return access, cfg.foundObjects(ctx, f.ID)
}

// foundObjects makes the place for encrypted pages, which says from the first day whose it
// is, as the service will find it.
func (c Config) foundObjects(ctx context.Context, network string) (err error) {
	if c.Engines, err = config.ReadEngines(c.Dir); err != nil {
		return err
	}
	objects, err := OpenObjects(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, objects.Close()) }()
	return objects.Belong(ctx, network)
}
