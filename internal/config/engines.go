package config

import (
	"encoding/json"
	"path/filepath"

	"github.com/safeconduct/safeconduct/internal/files"
)

// Engines says where a network keeps what it keeps. What is empty lies in the
// folder: SQLite files, a folder of objects, a key file. None of it is secret:
// passwords and keys come from files and the environment.
type Engines struct {
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
	// Aside is the off-site folder, on another disk or machine, for what must
	// outlive the databases: the erasure journal and what was published last.
	Aside string `json:"aside,omitempty"`
	// Signer is the socket of a process that has the keys, where it is not one of
	// our own.
	Signer string `json:"signer_socket,omitempty"`
}

// Fields are the engines by the names of their settings.
func (e *Engines) Fields() map[string]*string {
	return map[string]*string{
		"database": &e.Database, "keyring": &e.Keyring, "objects": &e.Objects,
		"s3-access-key": &e.S3AccessKey, "s3-secret-key-file": &e.S3SecretKeyFile,
		"vault": &e.Vault, "vault-role-id-file": &e.VaultRoleID, "vault-secret-id-file": &e.VaultSecretID,
		"vault-ca-file": &e.VaultCA, "vault-mount": &e.VaultMount, "vault-prefix": &e.VaultPrefix,
		"aside": &e.Aside, "signer-socket": &e.Signer,
	}
}

// ReadEngines tells the engines of a folder: what init wrote down, and what the
// environment says instead.
func ReadEngines(dir string) (Engines, error) {
	var e Engines
	file, err := ReadFile(dir)
	if err != nil {
		return e, err
	}
	fields := e.Fields()
	for _, s := range Settings {
		if into, ok := fields[s.Name]; ok {
			*into, _ = s.Value(file)
		}
	}
	return e, nil
}

// Write notes engines for later commands.
func (e Engines) Write(dir string) error {
	if e == (Engines{}) {
		return nil
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(filepath.Join(dir, EnginesName), append(data, '\n'))
}

// DatabaseAt is the address or the file of the main database.
func (e Engines) DatabaseAt(dir string) string { return either(e.Database, dir, DatabaseName) }

// KeyringAt is the address or the file of the keyring.
func (e Engines) KeyringAt(dir string) string { return either(e.Keyring, dir, KeyringName) }

// AsideAt is the off-site folder.
func (e Engines) AsideAt(dir string) string { return either(e.Aside, dir, AsideName) }

func either(address, dir, name string) string {
	if address != "" {
		return address
	}
	return filepath.Join(dir, name)
}

// Passphrase reads the passphrase of the key file, unless the keys are in a
// Vault or a signer has them: then there is no key file of ours.
func (e Engines) Passphrase(path string) (string, error) {
	if e.Vault != "" || e.Signer != "" {
		return "", nil
	}
	return ReadPassphrase(path)
}
