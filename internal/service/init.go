package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

// Founding is what init and demo decide about a new network.
type Founding struct {
	ID, Name, BaseURL, Desk string
	Demo                    bool
}

// Found makes the keys and the databases of a new network in an empty folder,
// and returns the first operator's token. When it returns an error, nothing of
// them is left.
func Found(ctx context.Context, cfg Config, f Founding) (token string, err error) {
	for _, name := range []string{config.KeysName, config.DatabaseName, config.EnginesName} {
		if _, err := os.Lstat(filepath.Join(cfg.Dir, name)); !errors.Is(err, os.ErrNotExist) {
			return "", errors.Join(fmt.Errorf("%s holds a network already; nothing was changed", cfg.Dir), err)
		}
	}
	defer func() {
		if err != nil {
			for _, name := range []string{config.AsideName, config.KeysName, config.KeysName + ".lock", config.DatabaseName, config.DatabaseName + "-wal", config.DatabaseName + "-shm",
				config.KeyringName, config.KeyringName + "-wal", config.KeyringName + "-shm"} {
				_ = os.Remove(filepath.Join(cfg.Dir, name)) // made above, and of no use to anybody
			}
		}
	}()
	// Before anything is made: the service would not start without it.
	aside := cfg.Engines.AsideAt(cfg.Dir)
	if cfg.Engines.Aside == "" {
		if err := os.MkdirAll(aside, 0o700); err != nil {
			return "", err
		}
	}
	if err := offsite.New(offsite.Config{Dir: aside}).Check(); err != nil {
		return "", err
	}
	keys, done, err := cfg.createKeys(ctx, f.ID)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	db, err := sqlstore.Open(ctx, cfg.Engines.DatabaseAt(cfg.Dir))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	roster, err := people.New(people.Config{Store: db.People(), Now: cfg.Now})
	if err != nil {
		return "", err
	}
	n, err := network.New(network.Config{
		Store: db.Network(), Keys: keystore.New(keys), Rights: roster, ID: f.ID, Name: f.Name, BaseURL: f.BaseURL, Desk: f.Desk, Demo: f.Demo, Now: cfg.Now,
	})
	if err != nil {
		return "", err
	}
	first, token := people.NewOperator()
	if err := n.Init(ctx, network.Founder{ID: first.ID, Token: first.Token}); err != nil {
		return "", err
	}
	// Empty, and there from the first day: one that is missing later is a loss.
	keyring, err := sqlstore.CreateKeyring(ctx, cfg.Engines.KeyringAt(cfg.Dir), f.ID)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, keyring.Close()) }()
	bond, err := keyring.Bond(ctx)
	if err != nil {
		return "", err
	}
	if err := db.BindKeyring(ctx, bond, nil); err != nil {
		return "", err
	}
	return token, cfg.Engines.Write(cfg.Dir)
}
