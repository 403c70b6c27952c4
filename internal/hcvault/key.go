package hcvault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Kinds of keys, by Vault's names.
const (
	kindSigning = "ecdsa-p256"
	kindLog     = "ed25519"
	kindAEAD    = "aes256-gcm96" // binds associated data; Vault's CBC kinds do not
	kindMAC     = "hmac"
)

// macSize is the size of the index key in bytes; Vault asks for 32 at least.
const macSize = 32

// The network's own keys. The last one is made last: where it is, all are.
var networkKeys = []struct{ name, kind string }{
	{generationKey, kindAEAD},
	{epochsKey, kindAEAD},
	{indexKey, kindMAC},
	{logKey, kindLog},
	{statusKey, kindSigning},
	{packKey, kindSigning},
	{trustKey, kindSigning},
	{rootKey, kindSigning},
}

const (
	rootKey, trustKey          = "root", "trust"
	statusKey, packKey, logKey = "status", "pack", "log"
	indexKey, epochsKey        = "index", "epochs"

	// The generation key encrypts nothing. The number of its latest version
	// counts the changes of the keystore: it is kept where the keys are, only
	// rises, and goes back when Vault is put back to an older state, which is
	// what it is there to show.
	generationKey = "generation"

	lastKey = rootKey
)

// fresh is how long what was read about a key is taken to be so. A rotation by
// another process is seen within that time.
const fresh = time.Second

// maxVersions bounds how many versions of one key are looked at.
const maxVersions = 10_000

// key is what Vault says about a key.
type key struct {
	name                  string
	latest                int
	minDecrypt, minEncode int // versions below are ended
	public                map[int]crypto.PublicKey
	asked, answered       time.Time
	forgotten             time.Time // what was asked before is not kept
}

// keyName is the name in Vault of one of the network's keys.
func (v *Vault) keyName(use string) string { return v.cfg.Prefix + "-" + use }

// signingName and wrappingName are the names in Vault of an agency's keys.
// The agency is checked by known.
func (v *Vault) signingName(agency string) string  { return v.cfg.Prefix + "-sign-" + agency }
func (v *Vault) wrappingName(agency string) string { return v.cfg.Prefix + "-wrap-" + agency }

// known refuses ids that could name another path in Vault. Such an agency has
// no keys.
func known(agency string) error {
	if !name.MatchString(agency) {
		return ErrNoKey
	}
	return nil
}

// key tells about a key, as read within the last second. ErrNoKey if Vault has
// none of that name.
func (v *Vault) key(ctx context.Context, name, kind string) (*key, error) {
	v.mu.RLock()
	k := v.keys[name]
	v.mu.RUnlock()
	if k != nil {
		if age := v.cfg.Now().Sub(k.asked); age >= 0 && age < fresh {
			return k, nil
		}
	}
	return v.readKey(ctx, name, kind)
}

// keyAnswer is what we need of Vault's description of a key.
type keyAnswer struct {
	Name           string                     `json:"name"`
	Type           string                     `json:"type"`
	Latest         int                        `json:"latest_version"`
	MinDecryption  int                        `json:"min_decryption_version"`
	MinEncryption  int                        `json:"min_encryption_version"`
	KeySize        int                        `json:"key_size"`
	Derived        bool                       `json:"derived"`
	Exportable     bool                       `json:"exportable"`
	Backup         bool                       `json:"allow_plaintext_backup"`
	Deletion       bool                       `json:"deletion_allowed"`
	Imported       bool                       `json:"imported_key"`
	AutoRotate     int64                      `json:"auto_rotate_period"` // seconds
	ConvergentMode bool                       `json:"convergent_encryption"`
	Keys           map[string]json.RawMessage `json:"keys"`
}

// readKey asks Vault about a key, and refuses one that could leave Vault, or
// that changed in a way no key does.
func (v *Vault) readKey(ctx context.Context, name, kind string) (*key, error) {
	asked := v.cfg.Now()
	var a keyAnswer
	if err := v.link.call(ctx, v.cfg.Mount+"/keys/"+name, nil, &a); err != nil {
		if errors.Is(err, errRefused) {
			return nil, ErrBadResponse
		}
		return nil, err
	}
	if a.Name != name || a.Latest < 1 || a.Latest > maxVersions || len(a.Keys) > maxVersions {
		return nil, ErrBadResponse
	}
	// Vault rotates by itself where auto_rotate_period is set: a key that no
	// trust list names would begin to sign.
	if a.Type != kind || a.Derived || a.ConvergentMode || a.Exportable || a.Backup || a.Deletion || a.Imported ||
		a.AutoRotate != 0 || kind == kindMAC && a.KeySize < macSize {
		return nil, ErrKey
	}
	k := &key{name: name, latest: a.Latest, minDecrypt: a.MinDecryption, minEncode: a.MinEncryption, asked: asked, answered: v.cfg.Now()}
	if kind == kindSigning || kind == kindLog {
		var err error
		if k.public, err = publicKeys(a, kind); err != nil {
			return nil, err
		}
	}
	return v.remember(k)
}

// remember keeps what was read, unless it contradicts what was read before: a public
// half never changes, and versions are never taken back. It returns what is so of the
// two, because answers cross: a question that was asked first may be answered last, and
// of two that were under way together the one that saw more is right.
func (v *Vault) remember(k *key) (*key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.keys[k.name]
	if old == nil {
		v.keys[k.name] = k
		return k, nil
	}
	for n, was := range old.public {
		if is, ok := k.public[n].(interface{ Equal(crypto.PublicKey) bool }); ok && !is.Equal(was) {
			return nil, fmt.Errorf("%w: a public key changed", ErrBadResponse)
		}
	}
	if k.latest < old.latest {
		if !k.asked.Before(old.answered) {
			return nil, fmt.Errorf("%w: it was put back to an older state", ErrBadResponse)
		}
		return old, nil
	}
	if k.latest == old.latest && k.asked.Before(old.asked) {
		return old, nil
	}
	if k.asked.Before(old.forgotten) {
		return k, nil
	}
	k.forgotten = old.forgotten
	v.keys[k.name] = k
	return k, nil
}

// forget makes the next look at a key ask Vault, and keeps no answer to what was asked
// before.
func (v *Vault) forget(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k := v.keys[name]; k != nil {
		old := *k
		old.asked, old.forgotten = time.Time{}, v.cfg.Now()
		v.keys[name] = &old
	}
}

// publicKeys reads the public halves. The latest version has to be among them.
func publicKeys(a keyAnswer, kind string) (map[int]crypto.PublicKey, error) {
	all := make(map[int]crypto.PublicKey, len(a.Keys))
	for _, text := range slices.Sorted(maps.Keys(a.Keys)) {
		n, err := strconv.Atoi(text)
		var one struct {
			Public string `json:"public_key"`
		}
		if err != nil || n < 1 || n > a.Latest || json.Unmarshal(a.Keys[text], &one) != nil {
			return nil, ErrBadResponse
		}
		pub, err := publicKey(one.Public, kind)
		if err != nil {
			return nil, err
		}
		all[n] = pub
	}
	if all[a.Latest] == nil {
		return nil, ErrBadResponse
	}
	return all, nil
}

func publicKey(text, kind string) (crypto.PublicKey, error) {
	if kind == kindLog {
		raw, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, ErrBadResponse
		}
		return ed25519.PublicKey(raw), nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, ErrBadResponse
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	pub, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || pub.Curve != elliptic.P256() {
		return nil, ErrBadResponse
	}
	return pub, nil
}

// makeKey makes a key that never leaves Vault. For a key that is there Vault
// changes nothing, so that two processes may do the same.
func (v *Vault) makeKey(ctx context.Context, name, kind string) error {
	// exportable, allow_plaintext_backup, deletion_allowed and derived are off
	// unless asked for, and our policy does not let anybody ask.
	body := map[string]any{"type": kind}
	if kind == kindMAC {
		body["key_size"] = macSize
	}
	if err := v.change(ctx, "keys/"+name, body); err != nil {
		return err
	}
	v.forget(name)
	_, err := v.key(ctx, name, kind)
	return err
}

// change asks for a change of a key.
func (v *Vault) change(ctx context.Context, path string, body map[string]any) error {
	if body == nil {
		body = map[string]any{}
	}
	err := v.link.call(ctx, v.cfg.Mount+"/"+path, body, nil)
	if errors.Is(err, errRefused) {
		return ErrBadResponse
	}
	return err
}

// logVersion is a version of the log's key.
type logVersion struct {
	number int
	public ed25519.PublicKey
	vkey   string // note verifier key
	signs  bool
}

// logVersions are the versions of the log's key that Vault keeps, the latest first.
func (v *Vault) logVersions(ctx context.Context) ([]logVersion, error) {
	k, err := v.key(ctx, v.keyName(logKey), kindLog)
	if err != nil {
		return nil, fmt.Errorf("look at the log key: %w", err)
	}
	all := make([]logVersion, 0, len(k.public))
	for _, number := range slices.Sorted(maps.Keys(k.public)) {
		public, ok := k.public[number].(ed25519.PublicKey)
		if !ok {
			return nil, ErrBadResponse
		}
		vkey, err := noteKey(v.cfg.Origin, public)
		if err != nil {
			return nil, err
		}
		all = append(all, logVersion{number, public, vkey, number >= k.minEncode})
	}
	slices.Reverse(all)
	return all, nil
}

func noteKey(origin string, pub ed25519.PublicKey) (string, error) {
	text, err := note.NewEd25519VerifierKey(origin, pub)
	if err != nil {
		return "", fmt.Errorf("hcvault: name the log key: %w", err)
	}
	return text, nil
}
