// Package keyfile is the embedded keystore: every private key of a network in
// one age file under a passphrase. It hands out what keys do (sign, wrap,
// authenticate) and never a key itself, so that a keystore on other machines
// can stand in its place. It protects a stolen, switched-off disk as far as
// the passphrase goes; whoever is root on the running host has the keys. Where
// the passphrase comes from, and who may ask for a signature, is left to
// others.
package keyfile

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

var (
	// ErrExists says that there is a file already; keys are never replaced.
	ErrExists = errors.New("keyfile: the key file exists")

	// ErrNotFound says that there is no key file.
	ErrNotFound = errors.New("keyfile: no key file")

	// ErrMode says that others than its owner may read or write the file, or
	// that it is no plain file.
	ErrMode = errors.New("keyfile: the key file must be a plain file with mode 0600")

	// ErrPassphrase says that the passphrase does not open the file, or that
	// the parameters in its header were altered.
	ErrPassphrase = errors.New("keyfile: the passphrase does not open the key file")

	// ErrDamaged says that the file was cut short or altered. Nothing of it
	// is used.
	ErrDamaged = errors.New("keyfile: the key file is damaged")

	// ErrOlder says that the file on the disk is an older copy than the one
	// in memory.
	ErrOlder = errors.New("keyfile: the key file is an older copy")

	// ErrFull says that the disk is full. The file is as it was.
	ErrFull = fmt.Errorf("keyfile: the disk is %w", trouble.ErrFull)

	// ErrNoKey says that the file holds no such key.
	ErrNoKey = fmt.Errorf("keyfile: %w", keystore.ErrNoKey)
)

// maxFile bounds the file in bytes; two thousand agencies fit.
const maxFile = 16 << 20

// Config says which file, and how to open it.
type Config struct {
	// Path of the file. Beside it stand a lock file and, for a moment, the
	// next version.
	Path string

	// Passphrase that opens it.
	Passphrase string

	// WorkFactor is the base-2 logarithm of the scrypt work of a file written
	// from now on. Zero is age's own default, about a second, and is right
	// for every real network. Tests and throw-away demo networks set a lower
	// one: their keys protect nobody.
	WorkFactor int
}

// File is an open key file. It is safe for use by many goroutines, and several
// processes may hold the same file: each change is made to what is on the
// disk, under a lock.
type File struct {
	keystore.Blind

	cfg Config

	mu     sync.RWMutex
	keys   *keys
	loaded os.FileInfo // of the file that keys was read from
}

// keys is the file's content, parsed.
type keys struct {
	generation uint64
	root       *ecdsa.PrivateKey
	trust      *ecdsa.PrivateKey // nil in a file from before there was one
	status     *ecdsa.PrivateKey
	pack       *ecdsa.PrivateKey
	log        string   // note signer key
	logPublic  string   // note verifier key
	logBefore  string   // note signer key of the one before, which signs beside it for a time
	logFormer  []string // note verifier keys of those that signed before, the oldest first
	index      []byte
	epochs     []byte
	agencies   map[string]agencyKeys
	former     map[keystore.Use][][]byte // public halves, SubjectPublicKeyInfo, of keys that are gone
}

type agencyKeys struct {
	signing []*ecdsa.PrivateKey // the last one signs
	kek     [][]byte            // the last one wraps, each one unwraps
}

// Create makes a file with fresh network keys and no agency, and opens it. The
// log's checkpoints will be signed under the name origin, which contains
// neither spaces nor a plus sign (C2SP signed-note). An existing file is
// ErrExists.
func Create(ctx context.Context, cfg Config, origin string) (*File, error) {
	f, err := newFile(cfg)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, cfg.Path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Lstat(cfg.Path); !errors.Is(err, os.ErrNotExist) {
		return nil, ErrExists
	}
	k, err := newKeys(origin)
	if err != nil {
		return nil, err
	}
	if err := f.write(k); err != nil {
		return nil, err
	}
	return f, nil
}

// Open opens a file that Create made. It refuses a file that anybody but its
// owner may read, that the passphrase does not open, or that is not whole.
func Open(cfg Config) (*File, error) {
	f, err := newFile(cfg)
	if err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

func newFile(cfg Config) (*File, error) {
	var errs []error
	if cfg.Path == "" {
		errs = append(errs, errors.New("keyfile: path is required"))
	}
	if cfg.Passphrase == "" {
		errs = append(errs, errors.New("keyfile: passphrase is required"))
	}
	if cfg.WorkFactor < 0 || cfg.WorkFactor > 22 { // age reads up to 22
		errs = append(errs, errors.New("keyfile: work factor must be 1 to 22, or 0 for the default"))
	}
	return &File{cfg: cfg}, errors.Join(errs...)
}

// Generation rises with every change of the file. Whoever keeps the highest
// one it has seen can refuse an older copy of the file.
func (f *File) Generation(context.Context) (uint64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.keys.generation, nil
}

func newKeys(origin string) (*keys, error) {
	k := &keys{index: random(32), epochs: random(32), agencies: map[string]agencyKeys{}}
	for _, p := range []**ecdsa.PrivateKey{&k.root, &k.trust, &k.status, &k.pack} {
		var err error
		if *p, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, fmt.Errorf("keyfile: make key: %w", err)
		}
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("keyfile: make log key: %w", err)
	}
	if _, err := note.NewSigner(skey); err != nil {
		return nil, errors.New("keyfile: the log's name must be without spaces and plus signs")
	}
	k.log, k.logPublic = skey, vkey
	return k, nil
}

// random returns n bytes of the system's randomness, which never fails.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// update changes the keys: it takes the lock, reads what is on the disk now,
// lets change edit a copy, and replaces the file. When it returns an error the
// old file stands.
func (f *File) update(ctx context.Context, change func(*keys) error) error {
	unlock, err := lock(ctx, f.cfg.Path)
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.refresh(); err != nil {
		return err
	}
	f.mu.RLock()
	next := f.keys.clone()
	f.mu.RUnlock()
	if err := change(next); err != nil {
		return err
	}
	next.generation++
	return f.write(next)
}

// refresh reads the file again if another process has replaced it.
func (f *File) refresh() error {
	info, err := os.Lstat(f.cfg.Path)
	if err != nil {
		return fmt.Errorf("keyfile: look at file: %w", kind(err))
	}
	f.mu.RLock()
	same := f.loaded != nil && os.SameFile(info, f.loaded) &&
		info.ModTime().Equal(f.loaded.ModTime()) && info.Size() == f.loaded.Size()
	f.mu.RUnlock()
	if same {
		return nil
	}
	return f.load()
}

// load reads and checks the file, and only then uses any of it.
func (f *File) load() error {
	f.mu.RLock()
	before := f.loaded
	f.mu.RUnlock()
	data, info, err := read(f.cfg.Path)
	if err != nil {
		return err
	}
	plain, err := decrypt(data, f.cfg.Passphrase)
	if err != nil {
		return err
	}
	defer clear(plain)
	k, err := parse(plain)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys != nil && k.generation < f.keys.generation {
		if f.loaded != before {
			return nil // a change of our own came in between; what is in memory is newer
		}
		return ErrOlder
	}
	f.keys, f.loaded = k, info
	return nil
}

// read returns the file's bytes if its mode lets only the owner at them.
func read(path string) ([]byte, os.FileInfo, error) {
	// A link is refused before it is followed: its target may be somebody
	// else's to change.
	if info, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil, ErrNotFound
	} else if err != nil {
		return nil, nil, fmt.Errorf("keyfile: look at file: %w", kind(err))
	} else if !info.Mode().IsRegular() {
		return nil, nil, ErrMode
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("keyfile: open: %w", kind(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("keyfile: look at file: %w", kind(err))
	case !info.Mode().IsRegular():
		return nil, nil, ErrMode
	case runtime.GOOS != "windows" && info.Mode().Perm() != 0o600:
		// Windows has no such modes; there the folder's own rights count.
		return nil, nil, ErrMode
	case info.Size() > maxFile:
		return nil, nil, ErrDamaged
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, nil, fmt.Errorf("keyfile: read: %w", kind(err))
	}
	return data, info, nil
}

func decrypt(data []byte, passphrase string) ([]byte, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, ErrPassphrase
	}
	r, err := age.Decrypt(bytes.NewReader(data), identity)
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch) || errors.Is(err, age.ErrIncorrectIdentity):
		return nil, ErrPassphrase
	case err != nil:
		return nil, ErrDamaged
	}
	// age authenticates each chunk and the end of the file; nothing is used
	// before the last byte was read.
	plain, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// write replaces the file: a crash leaves the old one or the new one, never
// half of one. The caller holds the lock.
func (f *File) write(k *keys) (err error) {
	plain, err := k.marshal()
	if err != nil {
		return err
	}
	defer clear(plain)
	recipient, err := age.NewScryptRecipient(f.cfg.Passphrase)
	if err != nil {
		return fmt.Errorf("keyfile: passphrase: %w", err)
	}
	if f.cfg.WorkFactor != 0 {
		recipient.SetWorkFactor(f.cfg.WorkFactor)
	}

	folder := filepath.Dir(f.cfg.Path)
	// CreateTemp gives the file mode 0600.
	temp, err := os.CreateTemp(folder, "."+filepath.Base(f.cfg.Path)+".*")
	if err != nil {
		return fmt.Errorf("keyfile: write: %w", kind(err))
	}
	defer func() {
		_ = temp.Close()
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	if err := encrypt(temp, plain, recipient); err != nil {
		return fmt.Errorf("keyfile: write: %w", kind(err))
	}
	info, err := temp.Stat()
	if err != nil {
		return fmt.Errorf("keyfile: write: %w", kind(err))
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("keyfile: write: %w", kind(err))
	}
	if err := os.Rename(temp.Name(), f.cfg.Path); err != nil {
		return fmt.Errorf("keyfile: replace: %w", kind(err))
	}

	f.mu.Lock()
	f.keys, f.loaded = k, info
	f.mu.Unlock()
	return syncFolder(folder)
}

func encrypt(dst *os.File, plain []byte, recipient age.Recipient) error {
	w, err := age.Encrypt(dst, recipient)
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return dst.Sync()
}

func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be opened for that there
	}
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("keyfile: sync folder: %w", kind(err))
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("keyfile: sync folder: %w", kind(err))
	}
	return nil
}

// kind is what the system says, in words of ours where they are known, and
// without the path.
func kind(err error) error {
	if err = trouble.Disk(err); errors.Is(err, trouble.ErrFull) {
		return ErrFull
	}
	return err
}

func (k *keys) clone() *keys {
	c := *k
	c.agencies, c.former = maps.Clone(k.agencies), maps.Clone(k.former)
	return &c
}

// version of the content. A file of another version is refused: what its keys
// mean is not known.
const version = 1

// content is the file's plaintext as JSON; private keys are PKCS #8.
type content struct {
	Version    int                      `json:"version"`
	Generation uint64                   `json:"generation"`
	Root       []byte                   `json:"root"`
	Trust      []byte                   `json:"trust,omitempty"`
	Status     []byte                   `json:"status"`
	Pack       []byte                   `json:"pack"`
	Log        string                   `json:"log"`
	LogPublic  string                   `json:"log_public"`
	LogBefore  string                   `json:"log_before,omitempty"`
	LogFormer  []string                 `json:"log_former,omitempty"`
	Index      []byte                   `json:"index"`
	Epochs     []byte                   `json:"epochs"`
	Agencies   map[string]agencyContent `json:"agencies"`
	// Former are those that signed for a use of the network before. Their private
	// halves are gone.
	Former map[keystore.Use][][]byte `json:"former,omitempty"`
}

type agencyContent struct {
	Signing [][]byte `json:"signing"`
	KEK     [][]byte `json:"kek"`
}

func (k *keys) marshal() ([]byte, error) {
	c := content{
		Version: version, Generation: k.generation, Log: k.log, LogPublic: k.logPublic, LogBefore: k.logBefore, LogFormer: k.logFormer, Index: k.index, Epochs: k.epochs,
		Agencies: make(map[string]agencyContent, len(k.agencies)), Former: k.former,
	}
	var errs []error
	pkcs8 := func(key *ecdsa.PrivateKey) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		errs = append(errs, err)
		return der
	}
	c.Root, c.Status, c.Pack = pkcs8(k.root), pkcs8(k.status), pkcs8(k.pack)
	if k.trust != nil {
		c.Trust = pkcs8(k.trust)
	}
	for id, a := range k.agencies {
		ac := agencyContent{KEK: a.kek}
		for _, s := range a.signing {
			ac.Signing = append(ac.Signing, pkcs8(s))
		}
		c.Agencies[id] = ac
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("keyfile: encode key: %w", err)
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("keyfile: encode: %w", err)
	}
	return plain, nil
}

// parse reads the content and refuses one with a key missing or malformed.
func parse(plain []byte) (*keys, error) {
	var c content
	if err := strictjson.Unmarshal(plain, strictjson.Limits{Size: maxFile}, &c); err != nil {
		return nil, ErrDamaged
	}
	if c.Version != version {
		return nil, ErrDamaged
	}
	k := &keys{
		generation: c.Generation, log: c.Log, logPublic: c.LogPublic, logBefore: c.LogBefore, logFormer: c.LogFormer, index: c.Index, epochs: c.Epochs,
		agencies: make(map[string]agencyKeys, len(c.Agencies)), former: c.Former,
	}
	bad := len(c.Index) != 32 || len(c.Epochs) != 32
	pkcs8 := func(der []byte) *ecdsa.PrivateKey {
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		key, ok := parsed.(*ecdsa.PrivateKey)
		bad = bad || err != nil || !ok || key.Curve != elliptic.P256()
		return key
	}
	k.root, k.status, k.pack = pkcs8(c.Root), pkcs8(c.Status), pkcs8(c.Pack)
	if len(c.Trust) > 0 {
		k.trust = pkcs8(c.Trust)
	}
	bad = bad || !oneLogKey(c.Log, c.LogPublic)
	origin, _, _ := strings.Cut(c.LogPublic, "+")
	for _, vkey := range c.LogFormer {
		_, err := keystore.LogPublic(vkey)
		bad = bad || err != nil || !strings.HasPrefix(vkey, origin+"+")
	}
	if n := len(c.LogFormer); n > 0 {
		bad = bad || !oneLogKey(c.LogBefore, c.LogFormer[n-1])
	} else {
		bad = bad || c.LogBefore != ""
	}
	for _, id := range slices.Sorted(maps.Keys(c.Agencies)) {
		a := agencyKeys{kek: c.Agencies[id].KEK}
		for _, der := range c.Agencies[id].Signing {
			a.signing = append(a.signing, pkcs8(der))
		}
		bad = bad || len(a.signing) == 0 || len(a.kek) == 0 ||
			slices.ContainsFunc(a.kek, func(key []byte) bool { return len(key) != 32 })
		k.agencies[id] = a
	}
	for use, all := range c.Former {
		bad = bad || use != keystore.Trust && use != keystore.Status && use != keystore.Pack
		for _, der := range all {
			_, err := keystore.PublicFrom(der)
			bad = bad || err != nil
		}
	}
	if bad {
		return nil, ErrDamaged
	}
	return k, nil
}

// oneLogKey tells whether a note signer key and a note verifier key are two halves.
func oneLogKey(skey, vkey string) bool {
	signer, err := note.NewSigner(skey)
	check, err2 := note.NewVerifier(vkey)
	return err == nil && err2 == nil && signer.Name() == check.Name() && signer.KeyHash() == check.KeyHash()
}

// keyID names a public key the way signatures do.
func keyID(key *ecdsa.PrivateKey) string { return jws.KeyID(&key.PublicKey) }
