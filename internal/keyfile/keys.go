package keyfile

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// ErrWrapped says that wrapped bytes do not open for the record, agency or
// epoch they were presented for, or were altered.
var ErrWrapped = fmt.Errorf("keyfile: the wrapped key does not open: %w", vault.ErrIntegrity)

// signer is a key that signs and shows its public half, and nothing else.
type signer struct{ key *ecdsa.PrivateKey }

// Public is the public half, an *ecdsa.PublicKey on P-256.
func (s signer) Public() crypto.PublicKey { return s.key.Public() }

// Sign signs a digest; the signature is ASN.1, as crypto.Signer promises.
func (s signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(random, digest, opts)
}

func named(key *ecdsa.PrivateKey) verifier.Signer {
	return verifier.Signer{KeyID: keyID(key), Key: signer{key}}
}

// Root is the key that signs trust lists, and nothing else. In this keystore
// it lies beside the online keys; a network that wants it offline keeps it
// elsewhere.
func (f *File) Root(context.Context) (verifier.Signer, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return named(f.keys.root), nil
}

// Status is the key that signs status and answers lists.
func (f *File) Status(context.Context) (verifier.Signer, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return named(f.keys.status), nil
}

// Pack is the key that signs packs and envelopes.
func (f *File) Pack(context.Context) (verifier.Signer, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return named(f.keys.pack), nil
}

// LogSigner is the Ed25519 key that signs the log's checkpoints (C2SP
// signed-note).
func (f *File) LogSigner(context.Context) (note.Signer, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return note.NewSigner(f.keys.log)
}

// LogKey is the text by which strangers check the log's checkpoints, a note
// verifier key.
func (f *File) LogKey(context.Context) (string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.keys.logPublic, nil
}

// NewAgency makes an agency's signing key and key-encryption key, and returns
// the signing key's id and public half. For an agency that has keys it returns
// those, so that a set-up which was interrupted can be repeated.
func (f *File) NewAgency(ctx context.Context, agency string) (string, *ecdsa.PublicKey, error) {
	if agency == "" {
		return "", nil, errors.New("keyfile: an agency needs an id")
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
		return "", nil, err
	}
	last := key.signing[len(key.signing)-1]
	return keyID(last), &last.PublicKey, nil
}

// RotateAgency makes a new signing key for an agency. It signs from now on;
// the old ones stay in the file and sign nothing.
func (f *File) RotateAgency(ctx context.Context, agency string) (string, *ecdsa.PublicKey, error) {
	if _, err := f.agency(agency); err != nil {
		return "", nil, err
	}
	var made *ecdsa.PrivateKey
	err := f.update(ctx, func(k *keys) error {
		if err := k.addSigning(agency); err != nil {
			return err
		}
		all := k.agencies[agency].signing
		made = all[len(all)-1]
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	return keyID(made), &made.PublicKey, nil
}

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

// Signer is the key an agency signs attestations and cards with now, and its
// id. ErrNoKey if it has none.
func (f *File) Signer(_ context.Context, agency string) (string, crypto.Signer, error) {
	a, err := f.agency(agency)
	if err != nil {
		return "", nil, err
	}
	last := a.signing[len(a.signing)-1]
	return keyID(last), signer{last}, nil
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
