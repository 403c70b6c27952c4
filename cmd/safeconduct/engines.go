package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
)

// engines says where a network keeps what it keeps. What is empty lies in the
// folder: SQLite files, a folder of objects, a key file. None of it is secret:
// passwords and keys come from files and the environment.
type engines struct {
	// Database and Keyring are postgres:// addresses. Two different databases
	// are better than one: their backups live for different times.
	Database string `json:"database,omitempty"`
	Keyring  string `json:"keyring,omitempty"`
	// Objects is s3://BUCKET/PREFIX?endpoint=https://HOST&region=R&path-style=true
	// The two below it are who asks, and the file that holds the secret key.
	Objects         string `json:"objects,omitempty"`
	S3AccessKey     string `json:"s3_access_key,omitempty"`
	S3SecretKeyFile string `json:"s3_secret_key_file,omitempty"`
	// Vault is the address of a HashiCorp Vault, and the next three are files:
	// the two halves of an AppRole login, and the authorities of its
	// certificate.
	Vault         string `json:"vault,omitempty"`
	VaultRoleID   string `json:"vault_role_id_file,omitempty"`
	VaultSecretID string `json:"vault_secret_id_file,omitempty"`
	VaultCA       string `json:"vault_ca_file,omitempty"`
	// VaultMount and VaultPrefix are the transit engine and the beginning of
	// every key's name.
	VaultMount  string `json:"vault_mount,omitempty"`
	VaultPrefix string `json:"vault_prefix,omitempty"`
	// Aside is a folder on another disk or machine, for what must outlive the
	// databases: the erasure journal and what was published last.
	Aside string `json:"aside,omitempty"`
}

// enginesName is where init writes the engines down, so that every later
// command needs the folder alone. A folder without engines has no such file.
const enginesName = "engines.json"

// fields are the engines by the names of their settings.
func (e *engines) fields() map[string]*string {
	return map[string]*string{
		"database": &e.Database, "keyring": &e.Keyring, "objects": &e.Objects,
		"s3-access-key": &e.S3AccessKey, "s3-secret-key-file": &e.S3SecretKeyFile,
		"vault": &e.Vault, "vault-role-id-file": &e.VaultRoleID, "vault-secret-id-file": &e.VaultSecretID,
		"vault-ca-file": &e.VaultCA, "vault-mount": &e.VaultMount, "vault-prefix": &e.VaultPrefix,
		"aside": &e.Aside,
	}
}

// flags lets a command name engines. The environment stands in for what no
// flag names.
func (e *engines) flags(c *cobra.Command) {
	fields := e.fields()
	for _, s := range settings {
		if into, ok := fields[s.name]; ok {
			c.Flags().StringVar(into, s.name, "", s.about)
			isSetting(c, s.name)
		}
	}
}

// readEngines tells the engines of a folder: what init wrote down, and what the
// environment says instead.
func readEngines(dir string) (engines, error) {
	var e engines
	file, err := readSettings(dir)
	if err != nil {
		return e, err
	}
	fields := e.fields()
	for _, s := range settings {
		if into, ok := fields[s.name]; ok {
			*into, _ = s.value(file)
		}
	}
	return e, nil
}

// write notes engines for later commands.
func (e engines) write(dir string) error {
	if e == (engines{}) {
		return nil
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, enginesName), append(data, '\n'))
}

// database is where the main database is, and keyring where the keyring is.
func (e engines) database(dir string) string { return either(e.Database, dir, databaseName) }
func (e engines) keyring(dir string) string  { return either(e.Keyring, dir, keyringName) }

// aside is the folder for what must outlive both.
func (e engines) aside(dir string) string { return either(e.Aside, dir, asideName) }

func either(address, dir, name string) string {
	if address != "" {
		return address
	}
	return filepath.Join(dir, name)
}

// keystore is where the network's and the agencies' keys are: a key file, or a
// HashiCorp Vault.
type keystore interface {
	credentials.Keys
	vault.KeyKeeper
	network.Keys
	LogSigner(ctx context.Context) (note.Signer, error)
}

// logOrigin is the name that a network's log signs under.
func logOrigin(id string) string { return "safeconduct/" + id }

// createKeys makes the keys of a new network.
func (c houseConfig) createKeys(ctx context.Context, id string) (keystore, func() error, error) {
	if c.engines.Vault == "" {
		keys, err := keyfile.Create(ctx, c.keyfile(), logOrigin(id))
		return keys, func() error { return nil }, err
	}
	keys, err := hcvault.Create(ctx, c.hcvault(id))
	if err != nil {
		return nil, nil, err
	}
	return keys, func() error { return keys.Close(context.WithoutCancel(ctx)) }, nil
}

// openKeys opens the keys of a network.
func (h *house) openKeys(ctx context.Context, id string) error {
	if h.cfg.engines.Vault == "" {
		keys, err := keyfile.Open(h.cfg.keyfile())
		h.keys = keys
		return err
	}
	keys, err := hcvault.Open(ctx, h.cfg.hcvault(id))
	if err != nil {
		return err
	}
	h.keys, h.remote = keys, keys
	h.closeWith(func() error { return keys.Close(context.WithoutCancel(ctx)) })
	return nil
}

func (c houseConfig) hcvault(id string) hcvault.Config {
	e := c.engines
	return hcvault.Config{
		Address: e.Vault, CACert: e.VaultCA, RoleIDFile: e.VaultRoleID, SecretIDFile: e.VaultSecretID,
		Mount: e.VaultMount, Prefix: e.VaultPrefix, Origin: logOrigin(id), Now: c.now,
	}
}

// objects is where encrypted pages are: a folder, or a bucket.
type objects interface {
	vault.Blobs
	CollectTemp(ctx context.Context) (int, error)
	Close() error
}

func (c houseConfig) openObjects(ctx context.Context) (objects, error) {
	if c.engines.Objects == "" {
		return blobs.Open(filepath.Join(c.dir, blobsName), c.now)
	}
	cfg, err := s3Config(c.engines, c.now)
	if err != nil {
		return nil, err
	}
	return blobs.OpenS3(ctx, cfg)
}

// s3Config reads the address of a bucket.
func s3Config(e engines, now func() time.Time) (blobs.S3Config, error) {
	u, err := url.Parse(e.Objects)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return blobs.S3Config{}, errors.New("--objects: not of the form s3://BUCKET/PREFIX?endpoint=URL")
	}
	cfg := blobs.S3Config{
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Endpoint: u.Query().Get("endpoint"),
		Region: u.Query().Get("region"), PathStyle: u.Query().Get("path-style") == "true",
		AccessKey: e.S3AccessKey, Now: now,
	}
	secret, err := readBounded(e.S3SecretKeyFile, 4<<10)
	if err != nil {
		return blobs.S3Config{}, fmt.Errorf("the secret key of the bucket: %w", err)
	}
	cfg.SecretKey = private.New(strings.TrimSpace(string(secret)))
	if ca := u.Query().Get("ca"); ca != "" {
		if cfg.CACert, err = readBounded(ca, 1<<20); err != nil {
			return blobs.S3Config{}, fmt.Errorf("the authorities of the bucket's certificate: %w", err)
		}
	}
	return cfg, nil
}

// passphraseFor reads the passphrase of the key file, unless the keys are in a
// Vault: then there is no key file.
func passphraseFor(e engines, path string) (string, error) {
	if e.Vault != "" {
		return "", nil
	}
	return readPassphrase(path)
}
