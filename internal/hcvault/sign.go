package hcvault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/verifier"
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
	ctx     context.Context //nolint:containedctx // crypto.Signer has no context; a signer is made for one act
	name    string
	version int
	public  *ecdsa.PublicKey
}

// Public is the public half, an *ecdsa.PublicKey on P-256.
func (s signer) Public() crypto.PublicKey { return s.public }

// Sign has Vault sign a SHA-256 digest. The signature is ASN.1, as
// crypto.Signer promises, and was checked with the public half. The
// randomness is Vault's own; random is not read.
func (s signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("hcvault: only SHA-256 digests are signed")
	}
	all, err := s.signAll([][]byte{digest})
	if err != nil {
		return nil, err
	}
	return all[0], nil
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
	for _, d := range digests {
		if len(d) != sha256.Size {
			return nil, errors.New("hcvault: a digest must have 32 bytes")
		}
	}
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

// signer finds the latest version of a signing key.
func (v *Vault) signer(ctx context.Context, name string) (string, signer, error) {
	k, err := v.key(ctx, name, kindSigning)
	if err != nil {
		return "", signer{}, err
	}
	pub, ok := k.public[k.latest].(*ecdsa.PublicKey)
	if !ok {
		return "", signer{}, ErrBadResponse
	}
	// Once an act has got as far as signing, its own deadline or a client that
	// hung up shall not decide whether a signature exists; Timeout bounds it.
	return jws.KeyID(pub), signer{v, context.WithoutCancel(ctx), name, k.latest, pub}, nil
}

// Signer is the key an agency signs attestations and cards with now, and its
// id. ErrNoKey if it has none. The signer stays with its version of the key:
// get a new one for each act.
func (v *Vault) Signer(ctx context.Context, agency string) (string, crypto.Signer, error) {
	if err := known(agency); err != nil {
		return "", nil, err
	}
	kid, s, err := v.signer(ctx, v.signingName(agency))
	if err != nil {
		return "", nil, fmt.Errorf("find the agency's key: %w", err)
	}
	return kid, s, nil
}

// SignBatch signs many SHA-256 digests with an agency's key, which is what a
// hundred cards in one go are for. It returns the key's id and the signatures
// in the order of the digests, each ASN.1 and checked; or an error, and then
// none of them.
func (v *Vault) SignBatch(ctx context.Context, agency string, digests [][]byte) (kid string, signatures [][]byte, err error) {
	if err := known(agency); err != nil {
		return "", nil, err
	}
	kid, s, err := v.signer(ctx, v.signingName(agency))
	if err != nil {
		return "", nil, fmt.Errorf("find the agency's key: %w", err)
	}
	signatures = make([][]byte, len(digests))
	// A hundred thousand take no more memory on their way than a thousand.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var calls sync.WaitGroup
	for range abreast {
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
		return "", nil, err
	}
	return kid, signatures, nil
}

// Root is the key that signs trust lists, and nothing else. Only a process
// with the policy "root" may sign with it.
func (v *Vault) Root(ctx context.Context) (verifier.Signer, error) { return v.named(ctx, rootKey) }

// Status is the key that signs status and answers lists.
func (v *Vault) Status(ctx context.Context) (verifier.Signer, error) { return v.named(ctx, statusKey) }

// Pack is the key that signs packs and envelopes.
func (v *Vault) Pack(ctx context.Context) (verifier.Signer, error) { return v.named(ctx, packKey) }

func (v *Vault) named(ctx context.Context, use string) (verifier.Signer, error) {
	kid, s, err := v.signer(ctx, v.keyName(use))
	if err != nil {
		return verifier.Signer{}, fmt.Errorf("find the %s key: %w", use, err)
	}
	return verifier.Signer{KeyID: kid, Key: s}, nil
}

// logSigner is the version of the log's key that was the latest when the
// keystore was opened. It stays that one: the log knows it by its hash.
type logSigner struct {
	v       *Vault
	ctx     context.Context //nolint:containedctx // note.Signer has no context
	version int
	public  ed25519.PublicKey
	check   note.Verifier
}

// Name is the log's origin.
func (s logSigner) Name() string { return s.check.Name() }

// KeyHash names the key beside the origin (C2SP signed-note).
func (s logSigner) KeyHash() uint32 { return s.check.KeyHash() }

// Sign has Vault sign the text of a note, and checks the signature.
func (s logSigner) Sign(text []byte) ([]byte, error) {
	sigs, err := s.v.sign(s.ctx, s.v.keyName(logKey), s.version, [][]byte{text}, map[string]any{"marshaling_algorithm": "jws"})
	if err != nil {
		return nil, err
	}
	if len(sigs[0]) != ed25519.SignatureSize || !ed25519.Verify(s.public, text, sigs[0]) {
		return nil, ErrBadResponse
	}
	return sigs[0], nil
}

// LogSigner is the Ed25519 key that signs the log's checkpoints (C2SP
// signed-note). It works until the keystore is closed, whatever becomes of
// ctx.
func (v *Vault) LogSigner(ctx context.Context) (note.Signer, error) {
	check, err := note.NewVerifier(v.log)
	if err != nil {
		return nil, fmt.Errorf("hcvault: read the log key: %w", err)
	}
	k, err := v.key(ctx, v.keyName(logKey), kindLog)
	if err != nil {
		return nil, fmt.Errorf("look at the log key: %w", err)
	}
	for version, p := range k.public {
		pub, ok := p.(ed25519.PublicKey)
		if !ok {
			return nil, ErrBadResponse
		}
		if text, err := noteKey(v.cfg.Origin, pub); err == nil && text == v.log {
			return logSigner{v, context.WithoutCancel(ctx), version, pub, check}, nil
		}
	}
	return nil, ErrNoKey
}

// LogKey is the text by which strangers check the log's checkpoints, a note
// verifier key.
func (v *Vault) LogKey(context.Context) (string, error) { return v.log, nil }
