package service

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keystore"
)

// keystoreOperations are what the service asks of a keystore.
var keystoreOperations = []string{
	"find", "sign", "sign_log", "sign_derived", "wrap", "unwrap", "wrap_epoch", "unwrap_epoch", "mac", "decoys", "receipt", "said", "new_agency", "rotate_agency", "rotate", "generation",
}

// countedKeys counts and times what is asked of a keystore.
func (m *Metrics) countedKeys(k keystore.Store) keystore.Store {
	if m == nil {
		return k
	}
	return countedKeys{k, m}
}

type countedKeys struct {
	keystore.Store
	m *Metrics
}

// count is to be deferred with the time at which a call began. What is asked for a check
// is counted when the hour is over.
func (c countedKeys) count(ctx context.Context, operation string, began time.Time, err *error) {
	took, failed := time.Since(began), ""
	if *err != nil {
		failed = outcome(*err)
	}
	if httpapi.AboutCheck(ctx) {
		c.m.held.add(asked{operation, failed, inBucket(took)})
		return
	}
	c.m.countKey(asked{operation, failed, took}, 1)
}

// countKey counts calls that were alike.
func (m *Metrics) countKey(what asked, times int) {
	for range times {
		m.keystore.WithLabelValues(what.operation).Observe(what.took.Seconds())
	}
	if what.failed != "" {
		m.keyErrors.WithLabelValues(what.operation, what.failed).Add(float64(times))
	}
}

func (c countedKeys) Public(ctx context.Context, use keystore.Use) (p keystore.Public, err error) {
	defer c.count(ctx, "find", time.Now(), &err)
	return c.Store.Public(ctx, use)
}

func (c countedKeys) Publics(ctx context.Context, use keystore.Use) (p []keystore.Public, err error) {
	defer c.count(ctx, "find", time.Now(), &err)
	return c.Store.Publics(ctx, use)
}

func (c countedKeys) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) (s [][]byte, err error) {
	defer c.count(ctx, "sign", time.Now(), &err)
	return c.Store.Sign(ctx, use, kid, messages)
}

func (c countedKeys) SignLog(ctx context.Context, kid string, text []byte) (s []byte, err error) {
	defer c.count(ctx, "sign_log", time.Now(), &err)
	return c.Store.SignLog(ctx, kid, text)
}

func (c countedKeys) SignDerived(ctx context.Context, label, network string, data []byte) (s []byte, err error) {
	defer c.count(ctx, "sign_derived", time.Now(), &err)
	return c.Store.SignDerived(ctx, label, network, data)
}

func (c countedKeys) DerivedKey(ctx context.Context, label, network string) (p ed25519.PublicKey, err error) {
	defer c.count(ctx, "find", time.Now(), &err)
	return c.Store.DerivedKey(ctx, label, network)
}

func (c countedKeys) Wrap(ctx context.Context, agency, record string, fileKey []byte) (w []byte, err error) {
	defer c.count(ctx, "wrap", time.Now(), &err)
	return c.Store.Wrap(ctx, agency, record, fileKey)
}

func (c countedKeys) Unwrap(ctx context.Context, agency, record string, wrapped []byte) (p []byte, err error) {
	defer c.count(ctx, "unwrap", time.Now(), &err)
	return c.Store.Unwrap(ctx, agency, record, wrapped)
}

func (c countedKeys) WrapEpoch(ctx context.Context, epoch uint32, plain []byte) (w []byte, err error) {
	defer c.count(ctx, "wrap_epoch", time.Now(), &err)
	return c.Store.WrapEpoch(ctx, epoch, plain)
}

func (c countedKeys) UnwrapEpoch(ctx context.Context, epoch uint32, wrapped []byte) (p []byte, err error) {
	defer c.count(ctx, "unwrap_epoch", time.Now(), &err)
	return c.Store.UnwrapEpoch(ctx, epoch, wrapped)
}

func (c countedKeys) MAC(ctx context.Context, label string, data []byte) (m []byte, err error) {
	defer c.count(ctx, "mac", time.Now(), &err)
	return c.Store.MAC(ctx, label, data)
}

func (c countedKeys) Decoys(ctx context.Context, list uint16) (k []byte, err error) {
	defer c.count(ctx, "decoys", time.Now(), &err)
	return c.Store.Decoys(ctx, list)
}

func (c countedKeys) Receipt(ctx context.Context, list uint16, index uint32) (r []byte, err error) {
	defer c.count(ctx, "receipt", time.Now(), &err)
	return c.Store.Receipt(ctx, list, index)
}

func (c countedKeys) Said(ctx context.Context, address, pack string) (list string, judged bool, err error) {
	defer c.count(ctx, "said", time.Now(), &err)
	return c.Store.Said(ctx, address, pack)
}

func (c countedKeys) Rotate(ctx context.Context, use keystore.Use, before string) (p keystore.Public, err error) {
	defer c.count(ctx, "rotate", time.Now(), &err)
	return c.Store.Rotate(ctx, use, before)
}

func (c countedKeys) NewAgency(ctx context.Context, agency string) (p keystore.Public, err error) {
	defer c.count(ctx, "new_agency", time.Now(), &err)
	return c.Store.NewAgency(ctx, agency)
}

func (c countedKeys) RotateAgency(ctx context.Context, agency, before string) (p keystore.Public, err error) {
	defer c.count(ctx, "rotate_agency", time.Now(), &err)
	return c.Store.RotateAgency(ctx, agency, before)
}

func (c countedKeys) Generation(ctx context.Context) (n uint64, err error) {
	defer c.count(ctx, "generation", time.Now(), &err)
	return c.Store.Generation(ctx)
}
