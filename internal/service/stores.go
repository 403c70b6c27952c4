package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/vault"
)

// Stores is everything that keeps the bytes of one network. A restore fills them
// before there are rooms to open.
type Stores struct {
	DB      *sqlstore.DB
	Keyring *sqlstore.Keyring
	Objects Objects
	LogDir  audit.Dir // the log's public files

	cfg      Config
	closings []func() error
}

// OpenStores opens the engines that cfg names. It makes no database: one that is
// not there is a loss. The caller closes them.
func OpenStores(ctx context.Context, cfg Config) (*Stores, error) {
	s := &Stores{cfg: cfg.withDefaults()}
	free, err := sqlstore.Vacant(ctx, cfg.Engines.DatabaseAt(cfg.Dir))
	if err == nil && free {
		err = errors.New("the database is not there: put it back from a backup (docs/restore.md). Nothing was changed")
	}
	if err != nil {
		return nil, err
	}
	if cfg.Engines.Objects == "" {
		if _, err := os.Stat(filepath.Join(cfg.Dir, config.ObjectsName)); errors.Is(err, fs.ErrNotExist) {
			return nil, &ObjectsError{"are not there: their folder is missing"}
		}
	}
	if cfg.Engines.Database == "" {
		if _, err := os.Stat(filepath.Join(cfg.Dir, config.LogName)); errors.Is(err, fs.ErrNotExist) {
			return nil, errNoLog
		}
	}
	if err := s.open(ctx, openKeyring); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// errNoLog says that the folder of the log's public files is gone. What was published must
// not be published once more, as if it were new.
var errNoLog = errors.New("the public log is not there: its folder is missing. Put it back (docs/operate.md, When the log has stopped). " +
	"Until then nothing is served and nothing was changed")

// CreateStores makes the databases of a network where there are none, and opens
// them with the rest. It is for whoever brings one back. ring is the key of the keyring.
func CreateStores(ctx context.Context, cfg Config, network string, ring []byte) (*Stores, error) {
	s := &Stores{cfg: cfg.withDefaults()}
	err := s.open(ctx, func(ctx context.Context, cfg Config) (*sqlstore.Keyring, error) {
		return sqlstore.CreateKeyring(ctx, cfg.Engines.KeyringAt(cfg.Dir), network, ring)
	})
	if err == nil {
		err = s.Objects.Belong(ctx, network)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ObjectsError says that the objects that were found are not those that belong here.
type ObjectsError struct{ Found string }

// Error says what to do, too.
func (e *ObjectsError) Error() string {
	return "the encrypted pages " + e.Found + ". Put them back, or compare --objects with what init was given " +
		"(docs/restore.md). Until then nothing is served and nothing was changed."
}

// checkObjects looks whether the place for encrypted pages is that of the network: one that
// is empty would be written to, as if nothing had been there.
func (s *Stores) checkObjects(ctx context.Context, network string) error {
	switch of, err := s.Objects.Of(ctx); {
	case errors.Is(err, blobs.ErrNotFound):
		return &ObjectsError{"are not there: nothing where they should be says that it belongs to this network"}
	case err != nil:
		return err
	case of != network:
		return &ObjectsError{"are another network's"}
	}
	return nil
}

func (s *Stores) open(ctx context.Context, keyring func(context.Context, Config) (*sqlstore.Keyring, error)) (err error) {
	cfg := s.cfg
	if s.DB, err = sqlstore.Open(ctx, cfg.Engines.DatabaseAt(cfg.Dir)); err != nil {
		return err
	}
	s.closeWith(s.DB.Close)
	if s.Keyring, err = keyring(ctx, cfg); err != nil {
		return err
	}
	s.closeWith(s.Keyring.Close)
	s.DB.CaseKeys(s.Keyring.CaseKey)
	if s.Objects, err = OpenObjects(ctx, cfg); err != nil {
		return err
	}
	s.closeWith(s.Objects.Close)
	s.Objects = cfg.Metrics.countedObjects(s.Objects)
	s.LogDir, err = s.openLogDir()
	return err
}

// openLogDir opens the folder of the log's public files: in the database where
// several processes may share it, beside it otherwise.
func (s *Stores) openLogDir() (audit.Dir, error) {
	if s.cfg.Engines.Database != "" {
		return s.DB.LogFiles(), nil
	}
	folder, err := audit.OpenFolder(filepath.Join(s.cfg.Dir, config.LogName))
	if err != nil {
		return nil, err
	}
	s.closeWith(folder.Close)
	return folder, nil
}

func (s *Stores) closeWith(f func() error) { s.closings = append(s.closings, f) }

// closeLast has f called when everything else is closed.
func (s *Stores) closeLast(f func() error) { s.closings = append([]func() error{f}, s.closings...) }

// Close closes everything, last opened first.
func (s *Stores) Close() error {
	var errs []error
	for i := len(s.closings) - 1; i >= 0; i-- {
		errs = append(errs, s.closings[i]())
	}
	s.closings = nil
	return errors.Join(errs...)
}

// createKeys makes the keys of a new network.
func (c Config) createKeys(ctx context.Context, id string) (keystore.Store, func() error, error) {
	if c.Engines.Vault == "" {
		keys, err := keyfile.Create(ctx, c.keyfile(), LogOrigin(id))
		return keys, func() error { return nil }, err
	}
	remote, err := hcvault.Create(ctx, c.hcvault(id))
	if err != nil {
		return nil, nil, err
	}
	return remote, func() error { return remote.Close(context.WithoutCancel(ctx)) }, nil
}

// OpenKeys opens the keys of a network. The caller calls done in the end.
func OpenKeys(ctx context.Context, c Config, id string) (keys keystore.Store, done func() error, err error) {
	switch {
	case c.Keys != nil:
		return c.Keys(ctx, id)
	case c.Engines.Signer != "":
		return SignerAt(c.Engines.Signer)(ctx, id)
	case c.Engines.Vault == "":
		keys, err := keyfile.Open(c.keyfile())
		return keys, func() error { return nil }, err
	}
	remote, err := hcvault.Open(ctx, c.hcvault(id))
	if err != nil {
		return nil, nil, err
	}
	return remote, func() error { return remote.Close(context.WithoutCancel(ctx)) }, nil
}

func (c Config) keyfile() keyfile.Config {
	return keyfile.Config{Path: filepath.Join(c.Dir, config.KeysName), Passphrase: c.Passphrase, WorkFactor: c.WorkFactor}
}

func (c Config) hcvault(id string) hcvault.Config { return HashiCorp(c.Engines, id, c.Now) }

// HashiCorp is how to reach the Vault of the network with that id.
func HashiCorp(e config.Engines, id string, now func() time.Time) hcvault.Config {
	return hcvault.Config{
		Address: e.Vault, CACert: e.VaultCA, RoleIDFile: e.VaultRoleID, SecretIDFile: e.VaultSecretID,
		Mount: e.VaultMount, Prefix: e.VaultPrefix, Origin: LogOrigin(id), Now: now,
	}
}

// Objects is where encrypted pages are: a folder, or a bucket.
type Objects interface {
	vault.Blobs
	CollectTemp(ctx context.Context) (int, error)
	// Of tells whose objects these are; blobs.ErrNotFound where nobody has said so. Belong
	// says it, once.
	Of(ctx context.Context) (network string, err error)
	Belong(ctx context.Context, network string) error
	Close() error
}

// OpenObjects opens the place for encrypted pages that cfg names.
func OpenObjects(ctx context.Context, c Config) (Objects, error) {
	if c.Engines.Objects == "" {
		return blobs.Open(filepath.Join(c.Dir, config.ObjectsName), c.Now)
	}
	cfg, err := s3Config(c.Engines, c.Now)
	if err != nil {
		return nil, err
	}
	return blobs.OpenS3(ctx, cfg)
}

// s3Config reads the address of a bucket.
func s3Config(e config.Engines, now func() time.Time) (blobs.S3Config, error) {
	u, err := url.Parse(e.Objects)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return blobs.S3Config{}, errors.New("--objects: not of the form s3://BUCKET/PREFIX?endpoint=URL")
	}
	cfg := blobs.S3Config{
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Endpoint: u.Query().Get("endpoint"),
		Region: u.Query().Get("region"), PathStyle: u.Query().Get("path-style") == "true",
		AccessKey: e.S3AccessKey, Now: now,
	}
	secret, err := files.Read(e.S3SecretKeyFile, 4<<10)
	if err != nil {
		return blobs.S3Config{}, fmt.Errorf("the secret key of the bucket: %w", err)
	}
	cfg.SecretKey = private.New(strings.TrimSpace(string(secret)))
	if ca := u.Query().Get("ca"); ca != "" {
		if cfg.CACert, err = files.Read(ca, 1<<20); err != nil {
			return blobs.S3Config{}, fmt.Errorf("the authorities of the bucket's certificate: %w", err)
		}
	}
	return cfg, nil
}
