package service

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/verifier"
)

// keystoreOperations are what the service asks of a keystore.
var keystoreOperations = []string{
	"find", "sign", "sign_log", "wrap", "unwrap", "wrap_epoch", "unwrap_epoch", "mac", "new_agency", "rotate_agency", "generation",
}

// countedKeys counts and times what is asked of a keystore.
func (m *Metrics) countedKeys(k Keystore) Keystore {
	if m == nil {
		return k
	}
	return countedKeys{k, m}
}

type countedKeys struct {
	Keystore
	m *Metrics
}

// count is to be deferred with the time at which a call began.
func (c countedKeys) count(operation string, began time.Time, err *error) {
	c.m.keystore.WithLabelValues(operation).Observe(time.Since(began).Seconds())
	if *err != nil {
		c.m.keyErrors.WithLabelValues(operation, outcome(*err)).Inc()
	}
}

func (c countedKeys) Signer(ctx context.Context, agency string) (kid string, key crypto.Signer, err error) {
	defer c.count("find", time.Now(), &err)
	kid, key, err = c.Keystore.Signer(ctx, agency)
	return kid, c.key(key), err
}

func (c countedKeys) Root(ctx context.Context) (s verifier.Signer, err error) {
	return c.named(c.Keystore.Root(ctx))
}

func (c countedKeys) Status(ctx context.Context) (s verifier.Signer, err error) {
	return c.named(c.Keystore.Status(ctx))
}

func (c countedKeys) Pack(ctx context.Context) (s verifier.Signer, err error) {
	return c.named(c.Keystore.Pack(ctx))
}

func (c countedKeys) named(s verifier.Signer, err error) (verifier.Signer, error) {
	s.Key = c.key(s.Key)
	return s, err
}

func (c countedKeys) LogSigner(ctx context.Context) (s note.Signer, err error) {
	defer c.count("find", time.Now(), &err)
	if s, err = c.Keystore.LogSigner(ctx); err != nil {
		return s, err
	}
	return countedNote{s, c}, nil
}

func (c countedKeys) Wrap(ctx context.Context, agency, record string, fileKey []byte) (w []byte, err error) {
	defer c.count("wrap", time.Now(), &err)
	return c.Keystore.Wrap(ctx, agency, record, fileKey)
}

func (c countedKeys) Unwrap(ctx context.Context, agency, record string, wrapped []byte) (p []byte, err error) {
	defer c.count("unwrap", time.Now(), &err)
	return c.Keystore.Unwrap(ctx, agency, record, wrapped)
}

func (c countedKeys) WrapEpoch(ctx context.Context, epoch uint32, plain []byte) (w []byte, err error) {
	defer c.count("wrap_epoch", time.Now(), &err)
	return c.Keystore.WrapEpoch(ctx, epoch, plain)
}

func (c countedKeys) UnwrapEpoch(ctx context.Context, epoch uint32, wrapped []byte) (p []byte, err error) {
	defer c.count("unwrap_epoch", time.Now(), &err)
	return c.Keystore.UnwrapEpoch(ctx, epoch, wrapped)
}

func (c countedKeys) MAC(ctx context.Context, label string, data []byte) (m []byte, err error) {
	defer c.count("mac", time.Now(), &err)
	return c.Keystore.MAC(ctx, label, data)
}

func (c countedKeys) NewAgency(ctx context.Context, agency string) (kid string, p *ecdsa.PublicKey, err error) {
	defer c.count("new_agency", time.Now(), &err)
	return c.Keystore.NewAgency(ctx, agency)
}

func (c countedKeys) RotateAgency(ctx context.Context, agency string) (kid string, p *ecdsa.PublicKey, err error) {
	defer c.count("rotate_agency", time.Now(), &err)
	return c.Keystore.RotateAgency(ctx, agency)
}

func (c countedKeys) Generation(ctx context.Context) (n uint64, err error) {
	defer c.count("generation", time.Now(), &err)
	return c.Keystore.Generation(ctx)
}

// key counts the signatures of a key, if there is one.
func (c countedKeys) key(k crypto.Signer) crypto.Signer {
	if k == nil {
		return nil
	}
	return countedKey{k, c}
}

type countedKey struct {
	crypto.Signer
	c countedKeys
}

func (k countedKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	defer k.c.count("sign", time.Now(), &err)
	return k.Signer.Sign(random, digest, opts)
}

type countedNote struct {
	note.Signer
	c countedKeys
}

func (n countedNote) Sign(text []byte) (sig []byte, err error) {
	defer n.c.count("sign_log", time.Now(), &err)
	return n.Signer.Sign(text)
}
