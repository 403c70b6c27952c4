package hcvault

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/internal/keystore"
)

// Sizes of AES-256-GCM as Vault makes it: a 96-bit nonce in front, a 128-bit
// tag behind.
const (
	nonceSize = 12
	tagSize   = 16
)

// maxWrapped bounds what is asked to be unwrapped, in bytes.
const maxWrapped = 1 << 20

// Wrap encrypts a record's file key to an agency. The result opens only for
// the same record and agency.
func (v *Vault) Wrap(ctx context.Context, agency, record string, fileKey []byte) ([]byte, error) {
	if err := known(agency); err != nil {
		return nil, err
	}
	return v.seal(ctx, v.wrappingName(agency), fileKey, record, agency)
}

// Unwrap reverses Wrap. ErrWrapped if the bytes belong to another record or
// agency.
func (v *Vault) Unwrap(ctx context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	if err := known(agency); err != nil {
		return nil, err
	}
	return v.unseal(ctx, v.wrappingName(agency), wrapped, record, agency)
}

// WrapEpoch encrypts an epoch's keys for keeping in a database.
func (v *Vault) WrapEpoch(ctx context.Context, epoch uint32, plain []byte) ([]byte, error) {
	return v.seal(ctx, v.keyName(epochsKey), plain, epochText(epoch))
}

// UnwrapEpoch reverses WrapEpoch. ErrWrapped if the bytes belong to another
// epoch.
func (v *Vault) UnwrapEpoch(ctx context.Context, epoch uint32, wrapped []byte) ([]byte, error) {
	return v.unseal(ctx, v.keyName(epochsKey), wrapped, epochText(epoch))
}

func epochText(epoch uint32) string { return string(binary.BigEndian.AppendUint32(nil, epoch)) }

// seal has Vault encrypt plain, bound to what it is for. The result is the
// version of the key, four bytes, and Vault's ciphertext.
func (v *Vault) seal(ctx context.Context, name string, plain []byte, bound ...string) ([]byte, error) {
	// Vault makes a key that is not there if the caller's policy lets it, so
	// we look first.
	k, err := v.key(ctx, name, kindAEAD)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Ciphertext string `json:"ciphertext"`
	}
	err = v.link.call(ctx, v.cfg.Mount+"/encrypt/"+name, map[string]any{
		"plaintext":       base64.StdEncoding.EncodeToString(plain),
		"associated_data": base64.StdEncoding.EncodeToString(lengthPrefixed(bound...)),
	}, &answer)
	if errors.Is(err, errRefused) || errors.Is(err, ErrNoKey) {
		return nil, ErrBadResponse
	}
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(answer.Ciphertext, "vault:v")
	number, text, ok2 := strings.Cut(rest, ":")
	version, err := strconv.ParseUint(number, 10, 31)
	body, err2 := base64.StdEncoding.Strict().DecodeString(text)
	// Another process may just have rotated the key, so the version may be
	// newer than the one we know, but never older.
	if !ok || !ok2 || err != nil || err2 != nil || version < uint64(k.latest) || version > maxVersions || //nolint:gosec // at least 1
		strconv.FormatUint(version, 10) != number || len(body) != nonceSize+len(plain)+tagSize {
		return nil, ErrBadResponse
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(version)), body...), nil
}

// unseal reverses seal for the same purpose.
func (v *Vault) unseal(ctx context.Context, name string, wrapped []byte, bound ...string) ([]byte, error) {
	if _, err := v.key(ctx, name, kindAEAD); err != nil {
		return nil, err
	}
	version, ok := wrappedVersion(wrapped)
	if !ok {
		return nil, ErrWrapped
	}
	var answer struct {
		Plaintext *string `json:"plaintext"`
	}
	err := v.link.call(ctx, v.cfg.Mount+"/decrypt/"+name, map[string]any{
		"ciphertext":      prefix(version) + base64.StdEncoding.EncodeToString(wrapped[4:]),
		"associated_data": base64.StdEncoding.EncodeToString(lengthPrefixed(bound...)),
	}, &answer)
	switch {
	case errors.Is(err, errRefused):
		// The tag does not fit, or the version was ended.
		return nil, ErrWrapped
	case errors.Is(err, ErrNoKey):
		return nil, ErrBadResponse // it was there a moment ago
	case err != nil:
		return nil, err
	case answer.Plaintext == nil:
		return nil, ErrBadResponse
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(*answer.Plaintext)
	if err != nil || len(plain) != len(wrapped)-4-nonceSize-tagSize {
		return nil, ErrBadResponse
	}
	return plain, nil
}

// wrappedVersion reads the version in front, if the whole can be ours at all.
func wrappedVersion(wrapped []byte) (int, bool) {
	if len(wrapped) < 4+nonceSize+tagSize || len(wrapped) > maxWrapped {
		return 0, false
	}
	n := binary.BigEndian.Uint32(wrapped)
	return int(n), n >= 1 && n <= math.MaxInt32
}

// checkBinding asks Vault to open something for another purpose than it was
// sealed for. A server that does not know associated data ignores it silently,
// and then any agency's wrapping would open for any record.
func (v *Vault) checkBinding(ctx context.Context) error {
	const epoch = math.MaxUint32 // there is no such epoch
	wrapped, err := v.WrapEpoch(ctx, epoch, []byte("binding"))
	if errors.Is(err, ErrDenied) {
		return nil // this process wraps nothing
	}
	if err != nil {
		return fmt.Errorf("try a wrapping: %w", err)
	}
	switch _, err := v.UnwrapEpoch(ctx, epoch-1, wrapped); {
	case errors.Is(err, ErrWrapped), errors.Is(err, ErrDenied):
		return nil
	case err != nil:
		return fmt.Errorf("try a wrapping: %w", err)
	}
	return fmt.Errorf("%w: it opens a wrapping for another purpose", ErrBadResponse)
}

// MAC is HMAC-SHA-256 over label and data, in which no label and data can look
// like another label and data: values of one label say nothing about those of
// another. It is the network's only way to look something up that it must not
// store. It stays with the first version of the key: what was computed with
// another one would not be found.
func (v *Vault) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	const version = 1
	var answer struct {
		HMAC string `json:"hmac"`
	}
	err := v.link.call(ctx, v.cfg.Mount+"/hmac/"+v.keyName(indexKey), map[string]any{
		"input":       base64.StdEncoding.EncodeToString(append(lengthPrefixed(label), data...)),
		"algorithm":   "sha2-256",
		"key_version": version,
	}, &answer)
	if errors.Is(err, errRefused) {
		return nil, ErrBadResponse
	}
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(answer.HMAC, prefix(version))
	mac, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(mac) != 32 {
		return nil, ErrBadResponse
	}
	return mac, nil
}

// Decoys is the key of a status list by which its decoys are known.
func (v *Vault) Decoys(ctx context.Context, list uint16) ([]byte, error) {
	return keystore.DecoysKey(ctx, v.MAC, list)
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
