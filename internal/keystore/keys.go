package keystore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/verifier"
)

// Keys is a Store as the rooms of the domain see it: they sign through a
// crypto.Signer, which asks the Store for each signature.
type Keys struct{ Store }

// New returns the keys of a Store.
func New(s Store) Keys { return Keys{s} }

// Signer is the key an agency signs attestations and cards with now, and its id.
// It stays with that key: get a new one for each act.
func (k Keys) Signer(ctx context.Context, agency string) (kid string, key crypto.Signer, err error) {
	return k.signer(ctx, Agency(agency))
}

// Root is the key that devices pin. It signs which key signs trust lists, and acts of the
// roster that only the root may do.
func (k Keys) Root(ctx context.Context) (verifier.Signer, error) { return k.named(ctx, Root) }

// Trust is the key that signs trust lists.
func (k Keys) Trust(ctx context.Context) (verifier.Signer, error) { return k.named(ctx, Trust) }

// Status is the key that signs status and answers lists.
func (k Keys) Status(ctx context.Context) (verifier.Signer, error) { return k.named(ctx, Status) }

// Pack is the key that signs packs and envelopes.
func (k Keys) Pack(ctx context.Context) (verifier.Signer, error) { return k.named(ctx, Pack) }

func (k Keys) named(ctx context.Context, use Use) (verifier.Signer, error) {
	kid, key, err := k.signer(ctx, use)
	return verifier.Signer{KeyID: kid, Key: key}, err
}

func (k Keys) signer(ctx context.Context, use Use) (string, crypto.Signer, error) {
	p, err := k.Public(ctx, use)
	if err != nil {
		return "", nil, err
	}
	public, err := p.Key()
	if err != nil {
		return "", nil, err
	}
	// Once an act has got as far as signing, its own deadline or a client that
	// hung up shall not decide whether a signature exists; the Store bounds it.
	return p.KeyID, signer{k.Store, context.WithoutCancel(ctx), use, p.KeyID, public}, nil
}

// NewAgency makes an agency's keys, or finds those it has.
func (k Keys) NewAgency(ctx context.Context, agency string) (kid string, public *ecdsa.PublicKey, err error) {
	return opened(k.Store.NewAgency(ctx, agency))
}

// RotateAgency makes a new signing key for an agency that has one, unless another one than
// before signs already. It returns the one that signs.
func (k Keys) RotateAgency(ctx context.Context, agency, before string) (kid string, public *ecdsa.PublicKey, err error) {
	return opened(k.Store.RotateAgency(ctx, agency, before))
}

// RotateOwn makes a new key for one of the network's own uses, unless another one than
// before signs already.
func (k Keys) RotateOwn(ctx context.Context, use verifier.Use, before string) error {
	_, err := k.Rotate(ctx, Use(use), before)
	return err
}

// Formers are the public halves of all keys that sign or have signed for a use, by id.
func (k Keys) Formers(ctx context.Context, use verifier.Use) (map[string]*ecdsa.PublicKey, error) {
	publics, err := k.Publics(ctx, Use(use))
	if err != nil {
		return nil, err
	}
	all := make(map[string]*ecdsa.PublicKey, len(publics))
	for _, p := range publics {
		if all[p.KeyID], err = p.Key(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func opened(p Public, err error) (string, *ecdsa.PublicKey, error) {
	if err != nil {
		return "", nil, err
	}
	public, err := p.Key()
	return p.KeyID, public, err
}

// PublicOf is the public half of a key as a Store gives it.
func PublicOf(key *ecdsa.PublicKey) (Public, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return Public{}, fmt.Errorf("keystore: a public key: %w", err)
	}
	return Public{KeyID: jws.KeyID(key), DER: der}, nil
}

// PublicOfLog is the public half of a key of the log, by its note verifier key.
func PublicOfLog(vkey string) (Public, error) {
	public, err := LogPublic(vkey)
	if err != nil {
		return Public{}, err
	}
	kid, err := LogKeyID(vkey)
	if err != nil {
		return Public{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Public{}, fmt.Errorf("keystore: a public key: %w", err)
	}
	return Public{KeyID: kid, DER: der}, nil
}

// PublicFrom is PublicOf for a SubjectPublicKeyInfo.
func PublicFrom(der []byte) (Public, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return Public{}, fmt.Errorf("keystore: a public key: %w", trouble.ErrWrongAnswer)
	}
	return PublicOf(key)
}

// Key reads a public half. One that is not the key of its id is refused.
func (p Public) Key() (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(p.DER)
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || key.Curve != elliptic.P256() || jws.KeyID(key) != p.KeyID {
		return nil, fmt.Errorf("keystore: a public key is not what its id says: %w", trouble.ErrWrongAnswer)
	}
	return key, nil
}

// LogKey is the text by which strangers check what the log's key signs now.
func (k Keys) LogKey(ctx context.Context) (string, error) {
	vkeys, err := k.LogKeys(ctx)
	if err != nil {
		return "", err
	}
	if len(vkeys) == 0 {
		return "", fmt.Errorf("keystore: the log's keys: %w", trouble.ErrWrongAnswer)
	}
	return vkeys[0], nil
}

// Notes are the log's keys with their ids, as they can stand on a trust list: the one
// that signs now first.
func (k Keys) Notes(ctx context.Context) ([]verifier.NetworkKey, error) {
	vkeys, err := k.LogKeys(ctx)
	if err != nil {
		return nil, err
	}
	notes := make([]verifier.NetworkKey, len(vkeys))
	for i, vkey := range vkeys {
		notes[i] = verifier.NetworkKey{Use: verifier.UseLog, Note: vkey}
		if notes[i].KeyID, err = LogKeyID(vkey); err != nil {
			return nil, err
		}
	}
	return notes, nil
}

// LogPublic is the key in a note verifier key, without the log's name: a log that began
// anew has another name, and the same key.
func LogPublic(vkey string) (ed25519.PublicKey, error) {
	if _, err := note.NewVerifier(vkey); err != nil {
		return nil, fmt.Errorf("keystore: a key of the log: %w", trouble.ErrWrongAnswer)
	}
	// C2SP signed-note, "Signed Note Verifier Keys": name, hash, and a byte for the
	// kind in front of the key. NewVerifier takes Ed25519 alone.
	data, err := base64.StdEncoding.DecodeString(strings.SplitN(vkey, "+", 3)[2])
	if err != nil || len(data) != 1+ed25519.PublicKeySize {
		return nil, fmt.Errorf("keystore: a key of the log: %w", trouble.ErrWrongAnswer)
	}
	return ed25519.PublicKey(data[1:]), nil
}

// LogKeyID names a key of the log as the ids of tokens name theirs: the first 8 bytes of
// its thumbprint (RFC 7638 §3, RFC 8037 §2), in hex.
func LogKeyID(vkey string) (string, error) {
	public, err := LogPublic(vkey)
	if err != nil {
		return "", err
	}
	thumb := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`))
	return hex.EncodeToString(thumb[:8]), nil
}

// LogSigner signs the log's checkpoints with the key that has this text, one of LogKeys.
func (k Keys) LogSigner(ctx context.Context, vkey string) (note.Signer, error) {
	kid, err := LogKeyID(vkey)
	if err != nil {
		return nil, err
	}
	check, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("keystore: the log's key: %w", err)
	}
	return logSigner{k.Store, context.WithoutCancel(ctx), kid, check}, nil
}

// signer is one key of a Store.
type signer struct {
	store  Store
	ctx    context.Context //nolint:containedctx // crypto.Signer has no context; a signer is made for one act
	use    Use
	kid    string
	public *ecdsa.PublicKey
}

// Public is the public half, an *ecdsa.PublicKey on P-256.
func (s signer) Public() crypto.PublicKey { return s.public }

// Sign refuses: of a digest nobody can tell what it is.
func (signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("%w: a digest says nothing; messages are signed whole", ErrRefused)
}

var _ crypto.MessageSigner = signer{}

// Disclosing are the options of whoever signs digests of something, and shows what
// they stand for.
type Disclosing interface {
	crypto.SignerOpts
	// Shown are what was hashed.
	Shown() [][]byte
}

// SignMessage has the Store sign a message by its SHA-256. The signature is ASN.1,
// as crypto.Signer promises. The randomness is the Store's own; random is not read.
func (s signer) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("keystore: messages are signed by their SHA-256 alone")
	}
	m := Message{Bytes: message}
	if d, ok := opts.(Disclosing); ok {
		m.Shown = d.Shown()
	}
	all, err := s.store.Sign(s.ctx, s.use, s.kid, []Message{m})
	if err != nil {
		return nil, err
	}
	// A Store may be another process: nothing leaves that the public key does not
	// verify for this very message.
	if len(all) != 1 || !ecdsa.VerifyASN1(s.public, m.Digest(), all[0]) {
		return nil, fmt.Errorf("keystore: a signature: %w", trouble.ErrWrongAnswer)
	}
	return all[0], nil
}

// logSigner is a key of the log.
type logSigner struct {
	store Store
	ctx   context.Context //nolint:containedctx // note.Signer has no context
	kid   string
	check note.Verifier
}

// Name is the log's origin.
func (s logSigner) Name() string { return s.check.Name() }

// KeyHash names the key beside the origin (C2SP signed-note).
func (s logSigner) KeyHash() uint32 { return s.check.KeyHash() }

var _ audit.Follower = logSigner{}

// Last is how long the log was that the Store has signed, or was shown.
func (s logSigner) Last() (int64, bool, error) {
	text, judged, err := s.store.Said(s.ctx, s.Name(), "")
	if err != nil || !judged || text == "" {
		return 0, judged, err
	}
	size, err := audit.CheckpointSize([]byte(text))
	if err != nil {
		return 0, false, fmt.Errorf("keystore: the log's last checkpoint: %w", trouble.ErrWrongAnswer)
	}
	return size, true, nil
}

// Follow shows the Store that what is signed next goes on behind that.
func (s logSigner) Follow(proof tlog.TreeProof) note.Signer {
	s.ctx = proven(s.ctx, proof)
	return s
}

// Show shows it a checkpoint that another one has signed.
func (s logSigner) Show(signed []byte, proof tlog.TreeProof) error {
	_, _, err := s.store.Said(proven(s.ctx, proof), s.Name(), string(signed))
	return err
}

// proven has a proof go along to where something is signed.
func proven(ctx context.Context, proof tlog.TreeProof) context.Context {
	var a approval.Authority
	for _, h := range proof {
		a.Proof = append(a.Proof, h[:])
	}
	return approval.With(ctx, a)
}

// Sign has the Store sign the text of a note.
func (s logSigner) Sign(text []byte) ([]byte, error) {
	signature, err := s.store.SignLog(s.ctx, s.kid, text)
	if err != nil {
		return nil, err
	}
	if !s.check.Verify(text, signature) {
		return nil, fmt.Errorf("keystore: a signature of the log: %w", trouble.ErrWrongAnswer)
	}
	return signature, nil
}
