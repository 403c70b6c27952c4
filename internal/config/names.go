package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/safeconduct/safeconduct/internal/files"
)

// Names in a folder that init or demo made.
const (
	DatabaseName   = "safeconduct.db"
	KeyringName    = "keyring.db"
	KeysName       = "keys.age"
	ObjectsName    = "blobs"
	LogName        = "log"
	AsideName      = "aside"
	PassphraseName = "passphrase"
	PackName       = "pack.json"
	// EnginesName is where init writes the engines down, so that every later
	// command needs the folder alone. A folder without engines has no such file.
	EnginesName = "engines.json"
	// RotationName is where a rotation of keys that has begun is written down.
	RotationName = "rotation.json"
	// SignerName is the folder of what a signer keeps beside the keys.
	SignerName = "signer"
	// SocketName is where a signer that nobody has started for itself is asked.
	SocketName = "signer.sock"
	// JudgedName says as what each agency was judged when it was worked out last what its
	// answers confirm.
	JudgedName = "answers.judged"
	// LockedName says that no process opens the keys of the network, and UnlockName is
	// what two people have signed to open it again.
	LockedName = "locked"
	UnlockName = "unlock.json"
	// UnfinishedName marks a folder that a restore has begun and not ended.
	UnfinishedName = "restore.unfinished"
	// DemoName is in every folder that a finished demo left.
	DemoName = "demo.json"
)

// DemoPassphrase begins the passphrase of every demo, so that a folder whose
// story was not told to its end is known for a demo, too.
const DemoPassphrase = "made-up-people-"

// Folder names the folder of a network, and the file with the passphrase of its
// keys, "" when none was named.
type Folder struct{ Dir, PassphraseFile string }

// Path is a file or folder in the folder.
func (f Folder) Path(name string) string { return filepath.Join(f.Dir, name) }

// Check tells a folder that init or demo made from any other.
func (f Folder) Check() error {
	if _, err := os.Stat(f.Path(UnfinishedName)); err == nil {
		return fmt.Errorf("%s: a restore was cut off here; remove everything it put there, and restore again", f.Dir)
	}
	_, err := os.Stat(f.Path(KeysName))
	if _, elsewhere := os.Stat(f.Path(EnginesName)); err == nil || elsewhere == nil {
		return nil
	}
	for _, name := range []string{DatabaseName, KeyringName} {
		if _, there := os.Stat(f.Path(name)); there == nil {
			return fmt.Errorf("%s: %w", f.Dir, ErrNoKeys)
		}
	}
	return fmt.Errorf("%s is not a folder that init or demo made: %w", f.Dir, err)
}

// ErrNoKeys says that the key file of a network is gone, and the rest is there.
var ErrNoKeys = errors.New(KeysName + " is not there, and without it nothing of this network opens. " +
	"Put it back, from a copy or from a backup (docs/restore.md); with a Vault it is " + EnginesName + " that is missing")

// IsDemo tells a folder that a demo made, by what only a demo writes. A file of
// the right name is not enough: what is taken for a former demo is deleted.
func (f Folder) IsDemo() bool {
	passphrase, err := files.Read(f.Path(PassphraseName), 4<<10)
	if err == nil && strings.HasPrefix(string(passphrase), DemoPassphrase) {
		return true
	}
	var listed struct {
		Network string
		Actors  []struct{ Token string }
	}
	data, err := files.Read(f.Path(DemoName), 1<<20)
	return err == nil && json.Unmarshal(data, &listed) == nil && len(listed.Network) == 32 && len(listed.Actors) > 0
}

// PassphraseName is the file with the passphrase that a flag or the environment
// names, "" for none.
func (f Folder) PassphraseName() string {
	if f.PassphraseFile != "" {
		return f.PassphraseFile
	}
	return os.Getenv(passphraseEnv)
}

// passphraseEnv names the file with the passphrase in the environment.
const passphraseEnv = "SAFECONDUCT_PASSPHRASE_FILE"

// Passphrase is the passphrase of the key file, "" where the keys are in a
// Vault or a signer has them. A demo's is found by itself; a real network has none in its folder.
func (f Folder) Passphrase() (string, error) {
	left := f.Path(PassphraseName)
	if _, err := os.Stat(left); f.PassphraseFile == "" && err == nil {
		return ReadPassphrase(left)
	}
	e, err := ReadEngines(f.Dir)
	if err != nil {
		return "", err
	}
	return e.Passphrase(f.PassphraseFile)
}

// ReadPassphrase reads the passphrase of the key file from a file that the flag
// or the environment names.
func ReadPassphrase(path string) (string, error) {
	if path == "" {
		path = os.Getenv(passphraseEnv)
	}
	if path == "" {
		return "", errors.New("which passphrase? Give --passphrase-file or SAFECONDUCT_PASSPHRASE_FILE")
	}
	data, err := files.Read(path, 4<<10)
	if err != nil {
		return "", err
	}
	passphrase := strings.TrimRight(string(data), "\r\n")
	if len(passphrase) < 12 {
		return "", errors.New("the passphrase is shorter than 12 characters")
	}
	return passphrase, nil
}

// CheckURL refuses the address of a service that others could listen to: tokens
// go there.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("--url: not an address")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !ip.IsLoopback()) {
		return errors.New("--url: https, except on this machine")
	}
	return nil
}
