package keyfile

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// ErrWrapped says that wrapped bytes do not open for the record, agency or
// epoch they were presented for, or were altered.
var ErrWrapped = fmt.Errorf("keyfile: %w, %w", keystore.ErrWrapped, vault.ErrIntegrity)

var _ keystore.Store = (*File)(nil)

// key is the key that signs for a use now.
func (f *File) key(use keystore.Use) (*ecdsa.PrivateKey, error) {
	if id, ok := use.OfAgency(); ok {
		a, err := f.agency(id)
		if err != nil {
			return nil, err
		}
		return a.signing[len(a.signing)-1], nil
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	switch use {
	case keystore.Root:
		// In this keystore it lies beside the online keys; a network that wants
		// it offline keeps it elsewhere.
		return f.keys.root, nil
	case keystore.Trust:
		if f.keys.trust == nil {
			return nil, ErrNoKey
		}
		return f.keys.trust, nil
	case keystore.Status:
		return f.keys.status, nil
	case keystore.Pack:
		return f.keys.pack, nil
	default:
		return nil, ErrNoKey
	}
}

// Public is the key that signs for a use now. ErrNoKey if there is none.
func (f *File) Public(_ context.Context, use keystore.Use) (keystore.Public, error) {
	key, err := f.key(use)
	if err != nil {
		return keystore.Public{}, err
	}
	return keystore.PublicOf(&key.PublicKey)
}

// Publics are the keys that sign or have signed for a use.
func (f *File) Publics(_ context.Context, use keystore.Use) ([]keystore.Public, error) {
	key, err := f.key(use)
	if err != nil {
		return nil, err
	}
	all := []*ecdsa.PrivateKey{key}
	var former [][]byte
	if id, ok := use.OfAgency(); ok {
		a, err := f.agency(id)
		if err != nil {
			return nil, err
		}
		all = a.signing
	} else {
		f.mu.RLock()
		former = f.keys.former[use]
		f.mu.RUnlock()
	}
	publics := make([]keystore.Public, len(all))
	for i, key := range all {
		if publics[i], err = keystore.PublicOf(&key.PublicKey); err != nil {
			return nil, err
		}
	}
	for _, der := range former {
		p, err := keystore.PublicFrom(der)
		if err != nil {
			return nil, err
		}
		publics = append(publics, p)
	}
	return publics, nil
}

// errReplaced says that a key was replaced between finding it and signing.
var errReplaced = &trouble.Later{Err: trouble.ErrKeystore, Cause: "the key was replaced meanwhile", After: time.Second}

// Sign signs messages by their SHA-256 with the key that signs for a use now, if it is the
// one that the caller means.
func (f *File) Sign(_ context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	key, err := f.key(use)
	if err != nil {
		return nil, err
	}
	if keyID(key) != kid {
		return nil, errReplaced
	}
	signatures := make([][]byte, len(messages))
	for i, m := range messages {
		if signatures[i], err = key.Sign(rand.Reader, m.Digest(), crypto.SHA256); err != nil {
			return nil, fmt.Errorf("keyfile: sign: %w", err)
		}
	}
	return signatures, nil
}

// SignLog signs the text of one of the log's checkpoints, with the key that signs now or
// the one before it.
func (f *File) SignLog(_ context.Context, kid string, text []byte) ([]byte, error) {
	f.mu.RLock()
	k := f.keys
	f.mu.RUnlock()
	pairs := [][2]string{{k.log, k.logPublic}}
	if n := len(k.logFormer); n > 0 {
		pairs = append(pairs, [2]string{k.logBefore, k.logFormer[n-1]})
	}
	for _, pair := range pairs {
		if id, err := keystore.LogKeyID(pair[1]); err != nil || id != kid {
			continue
		}
		signer, err := note.NewSigner(pair[0])
		if err != nil {
			return nil, fmt.Errorf("keyfile: the log's key: %w", err)
		}
		return signer.Sign(text)
	}
	return nil, ErrNoKey
}

// SignDerived signs with a key that is derived for one label and one network.
func (f *File) SignDerived(ctx context.Context, label, network string, data []byte) ([]byte, error) {
	key, err := keystore.Derived(ctx, f.MAC, label, network)
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(key, keystore.Labelled(label, data)), nil
}

// DerivedKey is the public half of the key of SignDerived.
func (f *File) DerivedKey(ctx context.Context, label, network string) (ed25519.PublicKey, error) {
	key, err := keystore.Derived(ctx, f.MAC, label, network)
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil //nolint:forcetypeassert // ed25519's own
}

// LogKeys are the texts by which strangers check the log's checkpoints, note verifier
// keys: that of the key which signs now, and those from before.
func (f *File) LogKeys(context.Context) ([]string, error) {
	// Whoever only reads the log has to know a key that another process made. Where the
	// file cannot be read, what was read of it holds.
	_ = f.refresh()
	f.mu.RLock()
	defer f.mu.RUnlock()
	vkeys := []string{f.keys.logPublic}
	for _, former := range slices.Backward(f.keys.logFormer) {
		vkeys = append(vkeys, former)
	}
	return vkeys, nil
}

// NewAgency makes an agency's signing key and key-encryption key, and returns
// the signing key's id and public half. For an agency that has keys it returns
// those, so that a set-up which was interrupted can be repeated.
func (f *File) NewAgency(ctx context.Context, agency string) (keystore.Public, error) {
	if agency == "" {
		return keystore.Public{}, errors.New("keyfile: an agency needs an id")
	}
	key, err := f.agency(agency)
	if errors.Is(err, ErrNoKey) {
		err = f.update(ctx, func(k *keys) error {
			if _, ok := k.agencies[agency]; ok {
				return nil // another process was faster
			}
			return k.addSigning(agency)
		})
		if err == nil {
			key, err = f.agency(agency)
		}
	}
	if err != nil {
		return keystore.Public{}, err
	}
	return keystore.PublicOf(&key.signing[len(key.signing)-1].PublicKey)
}

// RotateAgency makes a new signing key for an agency, if the one with the id before signs
// now. It signs from then on; the old ones stay in the file and sign nothing.
func (f *File) RotateAgency(ctx context.Context, agency, before string) (keystore.Public, error) {
	if _, err := f.agency(agency); err != nil {
		return keystore.Public{}, err
	}
	err := f.update(ctx, func(k *keys) error {
		all := k.agencies[agency].signing
		if keyID(all[len(all)-1]) != before {
			return errUnchanged // another process was faster
		}
		return k.addSigning(agency)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return keystore.Public{}, err
	}
	return f.Public(ctx, keystore.Agency(agency))
}

// Rotate makes a new key for a use of the network's own, if the one with the id before
// signs for it now. The private half of that one is gone with it; that of the log's stays
// until the next change.
func (f *File) Rotate(ctx context.Context, use keystore.Use, before string) (keystore.Public, error) {
	if use == keystore.Log {
		return f.rotateLog(ctx, before)
	}
	own := func(k *keys) **ecdsa.PrivateKey {
		return map[keystore.Use]**ecdsa.PrivateKey{keystore.Trust: &k.trust, keystore.Status: &k.status, keystore.Pack: &k.pack}[use]
	}
	if own(&keys{}) == nil {
		return keystore.Public{}, fmt.Errorf("keyfile: %w: a key of this use is not changed", keystore.ErrRefused)
	}
	err := f.update(ctx, func(k *keys) error {
		signing := own(k)
		if *signing == nil {
			return ErrNoKey
		}
		if keyID(*signing) != before {
			return errUnchanged // another process was faster
		}
		old, err := x509.MarshalPKIXPublicKey(&(*signing).PublicKey)
		if err != nil {
			return fmt.Errorf("keyfile: encode key: %w", err)
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return fmt.Errorf("keyfile: make key: %w", err)
		}
		if k.former == nil {
			k.former = map[keystore.Use][][]byte{}
		}
		// Clip: the slice is shared with the version that readers still hold.
		k.former[use] = append(slices.Clip(k.former[use]), old)
		*signing = key
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return keystore.Public{}, err
	}
	return f.Public(ctx, use)
}

// rotateLog is Rotate for the log. Its name stays.
func (f *File) rotateLog(ctx context.Context, before string) (keystore.Public, error) {
	err := f.update(ctx, func(k *keys) error {
		switch id, err := keystore.LogKeyID(k.logPublic); {
		case err != nil:
			return err
		case id != before:
			return errUnchanged // another process was faster
		}
		return k.replaceLog()
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return keystore.Public{}, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return keystore.PublicOfLog(f.keys.logPublic)
}

// replaceLog gives the log a new key. The private half of the one before the last is gone.
func (k *keys) replaceLog() error {
	origin, _, _ := strings.Cut(k.logPublic, "+")
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return fmt.Errorf("keyfile: make log key: %w", err)
	}
	// Clip: the slice is shared with the version that readers still hold.
	k.logBefore, k.logFormer = k.log, append(slices.Clip(k.logFormer), k.logPublic)
	k.log, k.logPublic = skey, vkey
	return nil
}

// errUnchanged says that there is nothing to write.
var errUnchanged = errors.New("keyfile: nothing to change")

// addSigning gives an agency a new signing key, and its first key-encryption
// key if it has none.
func (k *keys) addSigning(agency string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("keyfile: make key: %w", err)
	}
	a := k.agencies[agency]
	// Clip: the slice is shared with the version that readers still hold.
	a.signing = append(slices.Clip(a.signing), key)
	if len(a.kek) == 0 {
		a.kek = [][]byte{random(32)}
	}
	k.agencies[agency] = a
	return nil
}

// agency finds an agency's keys, also those that another process made after
// this one had opened the file.
func (f *File) agency(id string) (agencyKeys, error) {
	for _, look := range []func() error{func() error { return nil }, f.refresh} {
		if err := look(); err != nil {
			return agencyKeys{}, err
		}
		f.mu.RLock()
		a, ok := f.keys.agencies[id]
		f.mu.RUnlock()
		if ok {
			return a, nil
		}
	}
	return agencyKeys{}, ErrNoKey
}

// Labels of what is encrypted here. Each use has its own, so that bytes made
// for one never open as another.
const (
	labelTransit = "safeconduct/keyfile/transit/1"
	labelEpoch   = "safeconduct/keyfile/epoch/1"
	labelMAC     = "safeconduct/keyfile/mac/1"
)

// Wrap encrypts a record's file key to an agency. The result opens only for
// the same record and agency.
func (f *File) Wrap(_ context.Context, agency, record string, fileKey []byte) ([]byte, error) {
	a, err := f.agency(agency)
	if err != nil {
		return nil, err
	}
	// The key's number stands in front, so that keys can be replaced while
	// older wrappings still open.
	number := binary.BigEndian.AppendUint32(nil, uint32(len(a.kek)-1)) //nolint:gosec // few keys
	return seal(number, a.kek[len(a.kek)-1], fileKey, labelTransit, string(number), record, agency)
}

// Unwrap reverses Wrap. ErrWrapped if the bytes belong to another record or
// agency.
func (f *File) Unwrap(_ context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	a, err := f.agency(agency)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < 4 {
		return nil, ErrWrapped
	}
	number, body := wrapped[:4], wrapped[4:]
	n := binary.BigEndian.Uint32(number)
	if uint64(n) >= uint64(len(a.kek)) {
		return nil, ErrWrapped
	}
	return unseal(a.kek[n], body, labelTransit, string(number), record, agency)
}

// WrapEpoch encrypts an epoch's keys for keeping in a database.
func (f *File) WrapEpoch(_ context.Context, epoch uint32, plain []byte) ([]byte, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return seal(nil, f.keys.epochs, plain, labelEpoch, string(binary.BigEndian.AppendUint32(nil, epoch)))
}

// UnwrapEpoch reverses WrapEpoch. ErrWrapped if the bytes belong to another
// epoch.
func (f *File) UnwrapEpoch(_ context.Context, epoch uint32, wrapped []byte) ([]byte, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return unseal(f.keys.epochs, wrapped, labelEpoch, string(binary.BigEndian.AppendUint32(nil, epoch)))
}

// MAC is HMAC-SHA-256 over data under a key of its own for every label: values
// of one label say nothing about those of another. It is the network's only
// way to look something up that it must not store, as the document-number
// index and the card number are.
func (f *File) MAC(_ context.Context, label string, data []byte) ([]byte, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	// RFC 5869: the label goes into info, which separates the keys.
	key, err := hkdf.Key(sha256.New, f.keys.index, nil, string(lengthPrefixed(labelMAC, label)), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("keyfile: derive: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil), nil
}

// Decoys is the key of a status list by which its decoys are known.
func (f *File) Decoys(ctx context.Context, list uint16) ([]byte, error) {
	return keystore.DecoysKey(ctx, f.MAC, list)
}

// seal appends AES-256-GCM under a random nonce to dst. One key seals far
// fewer than the 2^32 messages that a random 96-bit nonce allows (NIST SP
// 800-38D §8.3).
func seal(dst, key, plain []byte, bound ...string) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(dst, nil, plain, lengthPrefixed(bound...)), nil //nolint:gosec // NewGCMWithRandomNonce draws it
}

func unseal(key, sealed []byte, bound ...string) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, lengthPrefixed(bound...))
	if err != nil {
		return nil, ErrWrapped
	}
	return plain, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("keyfile: cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("keyfile: cipher: %w", err)
	}
	return aead, nil
}

// lengthPrefixed joins parts so that no two lists of parts give the same
// bytes: "ab","c" and "a","bc" differ.
func lengthPrefixed(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p))) //nolint:gosec // short labels and ids
		b = append(b, p...)
	}
	return b
}
