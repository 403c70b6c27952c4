package hcvault

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/keystore"
)

const (
	// maxBatch is how many signatures are asked for in one call. A call is
	// bounded in time, and a full one takes Vault about a hundredth of a second.
	maxBatch = 250
	// abreast is how many such calls are on their way, or their answers being
	// verified: Vault should not wait for us, nor our cores for it.
	abreast = 3
)

// signer is one version of a P-256 key in Vault.
type signer struct {
	v       *Vault
	ctx     context.Context //nolint:containedctx // it is made for one call
	name    string
	version int
	public  *ecdsa.PublicKey
}

// signAll signs digests in one call: all of them or none.
func (s signer) signAll(digests [][]byte) ([][]byte, error) {
	raw, err := s.ask(digests)
	if err != nil {
		return nil, err
	}
	return s.checked(digests, raw)
}

// ask has Vault sign digests, and believes nothing yet.
func (s signer) ask(digests [][]byte) ([][]byte, error) {
	return s.v.sign(s.ctx, s.name, s.version, digests, map[string]any{
		"prehashed": true, "hash_algorithm": "sha2-256", "marshaling_algorithm": "jws",
	})
}

// checked verifies each signature and returns it as ASN.1.
func (s signer) checked(digests, raw [][]byte) ([][]byte, error) {
	signatures := make([][]byte, len(raw))
	for i := range raw {
		sig, err := asn1(raw[i])
		// The check that every other one leads up to: nothing leaves that the
		// public key does not verify for this very digest.
		if err != nil || !ecdsa.VerifyASN1(s.public, digests[i], sig) {
			return nil, ErrBadResponse
		}
		signatures[i] = sig
	}
	return signatures, nil
}

// asn1 turns r ‖ s, 32 bytes each (RFC 7518 §3.4), into the form of RFC 3279
// §2.2.3. Anything but 64 bytes is no such signature.
func asn1(raw []byte) ([]byte, error) {
	if len(raw) != 64 {
		return nil, ErrBadResponse
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[32:]))
	})
	return b.Bytes()
}

type signAnswer struct {
	Signature string `json:"signature"`
	Error     string `json:"error"`
}

// sign has one version of a key sign inputs, and returns what follows Vault's
// prefix. The caller checks the signatures.
func (v *Vault) sign(ctx context.Context, name string, version int, inputs [][]byte, how map[string]any) ([][]byte, error) {
	body := map[string]any{"key_version": version}
	for k, value := range how {
		body[k] = value
	}
	var results []signAnswer
	var err error
	path := v.cfg.Mount + "/sign/" + name
	if len(inputs) == 1 {
		body["input"] = base64.StdEncoding.EncodeToString(inputs[0])
		results = make([]signAnswer, 1)
		err = v.link.call(ctx, path, body, &results[0])
	} else {
		batch := make([]map[string]string, len(inputs))
		for i, in := range inputs {
			batch[i] = map[string]string{"input": base64.StdEncoding.EncodeToString(in)}
		}
		body["batch_input"] = batch
		var answer struct {
			Results []signAnswer `json:"batch_results"`
		}
		err = v.link.call(ctx, path, body, &answer)
		results = answer.Results
	}
	switch {
	case errors.Is(err, errRefused):
		// The version was ended since we looked. Nothing was signed, and who
		// asks again gets the new key.
		v.forget(name)
		return nil, unavailable("it refused this version of the key", time.Second)
	case err != nil:
		return nil, err
	case len(results) != len(inputs):
		return nil, ErrBadResponse
	}
	sigs := make([][]byte, len(inputs))
	for i, r := range results {
		text, ok := strings.CutPrefix(r.Signature, prefix(version))
		if !ok || r.Error != "" {
			return nil, ErrBadResponse
		}
		if sigs[i], err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
			return nil, ErrBadResponse
		}
	}
	return sigs, nil
}

// prefix begins everything that a version of a key made.
func prefix(version int) string { return "vault:v" + strconv.Itoa(version) + ":" }

var _ keystore.Store = (*Vault)(nil)

// nameOf is the name in Vault of the key for a use. ErrNoKey for a use that there
// is no key for.
func (v *Vault) nameOf(use keystore.Use) (string, error) {
	if agency, ok := use.OfAgency(); ok {
		return v.signingName(agency), known(agency)
	}
	switch use {
	case keystore.Root:
		return v.keyName(rootKey), nil // only a login with the duty root may sign with it
	case keystore.Trust:
		return v.keyName(trustKey), nil
	case keystore.Status:
		return v.keyName(statusKey), nil
	case keystore.Pack:
		return v.keyName(packKey), nil
	default:
		return "", ErrNoKey
	}
}

// Public is the latest version of the key for a use. ErrNoKey if there is none.
func (v *Vault) Public(ctx context.Context, use keystore.Use) (keystore.Public, error) {
	name, err := v.nameOf(use)
	if err != nil {
		return keystore.Public{}, err
	}
	k, err := v.key(ctx, name, kindSigning)
	if err != nil {
		return keystore.Public{}, fmt.Errorf("find the key of %s: %w", kindOfUse(use), err)
	}
	pub, ok := k.public[k.latest].(*ecdsa.PublicKey)
	if !ok {
		return keystore.Public{}, ErrBadResponse
	}
	return keystore.PublicOf(pub)
}

// Publics are the versions of the key for a use that Vault keeps.
func (v *Vault) Publics(ctx context.Context, use keystore.Use) ([]keystore.Public, error) {
	name, err := v.nameOf(use)
	if err != nil {
		return nil, err
	}
	k, err := v.key(ctx, name, kindSigning)
	if err != nil {
		return nil, fmt.Errorf("find the keys of %s: %w", kindOfUse(use), err)
	}
	publics := make([]keystore.Public, 0, len(k.public))
	for _, version := range k.public {
		pub, ok := version.(*ecdsa.PublicKey)
		if !ok {
			return nil, ErrBadResponse
		}
		p, err := keystore.PublicOf(pub)
		if err != nil {
			return nil, err
		}
		publics = append(publics, p)
	}
	return publics, nil
}

// kindOfUse says whose key it is, without an id.
func kindOfUse(use keystore.Use) string {
	if _, ok := use.OfAgency(); ok {
		return "the agency"
	}
	return string(use)
}

// Sign has Vault sign messages, by the SHA-256 that is made of them here, with the
// version of a key that has this id:
// as long as Vault lets it, for an act that has begun. The signatures are in the
// order of the messages, each ASN.1 and checked; or there is an error, and then
// none of them. A hundred cards in one go take one call.
func (v *Vault) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	name, err := v.nameOf(use)
	if err != nil {
		return nil, err
	}
	s, err := v.version(ctx, name, kid)
	if err != nil {
		return nil, err
	}
	digests := make([][]byte, len(messages))
	for i, m := range messages {
		digests[i] = m.Digest()
	}
	signatures := make([][]byte, len(digests))
	// A hundred thousand take no more memory on their way than a thousand.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.ctx = ctx
	var next atomic.Int64
	var calls sync.WaitGroup
	for range min(abreast, (len(digests)+maxBatch-1)/maxBatch) {
		calls.Go(func() {
			for ctx.Err() == nil {
				last := int(next.Add(maxBatch))
				first := last - maxBatch
				if first >= len(digests) {
					return
				}
				some, err := s.signAll(digests[first:min(last, len(digests))])
				if err != nil {
					stop(err)
				}
				copy(signatures[first:], some)
			}
		})
	}
	calls.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return signatures, nil
}

// version finds the version of a key that has an id.
func (v *Vault) version(ctx context.Context, name, kid string) (signer, error) {
	k, err := v.key(ctx, name, kindSigning)
	if err != nil {
		return signer{}, fmt.Errorf("find the key: %w", err)
	}
	is := func(version int) (*ecdsa.PublicKey, bool) {
		pub, ok := k.public[version].(*ecdsa.PublicKey)
		return pub, ok && jws.KeyID(pub) == kid
	}
	if pub, ok := is(k.latest); ok { // almost always
		return signer{v: v, name: name, version: k.latest, public: pub}, nil
	}
	for version := range k.public {
		if pub, ok := is(version); ok {
			return signer{v: v, name: name, version: version, public: pub}, nil
		}
	}
	return signer{}, unavailable("it does not have this version of the key any more", time.Second)
}

// SignLog has Vault sign the text of one of the log's checkpoints, with the version of
// the log's key that has this id, as long as Vault lets it: the latest, and the one before.
func (v *Vault) SignLog(ctx context.Context, kid string, text []byte) ([]byte, error) {
	versions, err := v.logVersions(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range versions {
		if id, err := keystore.LogKeyID(l.vkey); err != nil || id != kid || !l.signs {
			continue
		}
		signatures, err := v.sign(ctx, v.keyName(logKey), l.number, [][]byte{text}, map[string]any{"marshaling_algorithm": "jws"})
		if err != nil {
			return nil, err
		}
		if len(signatures[0]) != ed25519.SignatureSize || !ed25519.Verify(l.public, text, signatures[0]) {
			return nil, ErrBadResponse
		}
		return signatures[0], nil
	}
	return nil, ErrNoKey
}

// SignDerived signs with a key that is derived for one label and one network from
// Vault's keyed hash. It is in this process for a moment: Vault has no such key.
func (v *Vault) SignDerived(ctx context.Context, label, network string, data []byte) ([]byte, error) {
	key, err := keystore.Derived(ctx, v.MAC, label, network)
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(key, keystore.Labelled(label, data)), nil
}

// DerivedKey is the public half of the key of SignDerived.
func (v *Vault) DerivedKey(ctx context.Context, label, network string) (ed25519.PublicKey, error) {
	key, err := keystore.Derived(ctx, v.MAC, label, network)
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil //nolint:forcetypeassert // ed25519's own
}

// LogKeys are the texts by which strangers check the log's checkpoints, note verifier
// keys: that of the latest version, and those before it that Vault keeps.
func (v *Vault) LogKeys(ctx context.Context) ([]string, error) {
	versions, err := v.logVersions(ctx)
	if err != nil {
		return nil, err
	}
	vkeys := make([]string, len(versions))
	for i, l := range versions {
		vkeys[i] = l.vkey
	}
	return vkeys, nil
}
