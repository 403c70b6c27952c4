package network

import (
	"context"
	"time"

	"github.com/safeconduct/safeconduct/verifier"
)

// trustKeyLife is how long the root's statement holds that names the key for trust lists.
// Half way through it is signed anew, as soon as a list is signed and the root at hand.
const trustKeyLife = 365 * day

// nameKey has the root say that a key signs trust lists from now on. Its date is after
// that of the last statement: by it devices tell which one is newer.
func (n *Network) nameKey(ctx context.Context, key verifier.Signer, last string) (string, error) {
	jwk, err := publicKey(key)
	if err != nil {
		return "", err
	}
	root, err := n.cfg.Keys.Root(ctx)
	if err != nil {
		return "", err
	}
	now := n.cfg.Now()
	issued := now.Unix()
	if k, err := verifier.ReadTrustKey(last); err == nil {
		issued = max(issued, k.IssuedAt+1)
	}
	return verifier.TrustKey{
		Network: n.cfg.ID, KeyID: key.KeyID, JWK: jwk, IssuedAt: issued, Expires: now.Add(trustKeyLife).Unix(),
	}.Sign(root)
}

// named tells how long a statement of the root still holds which names a key: nothing for
// one that is over, names another, or is none.
func (n *Network) named(statement, kid string) time.Duration {
	k, err := verifier.ReadTrustKey(statement)
	if err != nil || k.KeyID != kid || k.Network != n.cfg.ID {
		return 0
	}
	return max(0, time.Unix(k.Expires, 0).Sub(n.cfg.Now()))
}

// TrustKeyLeft is how long the root's statement holds that stands beside the newest trust
// list; 0 where there is none.
func (n *Network) TrustKeyLeft(ctx context.Context) (time.Duration, error) {
	key, err := n.cfg.Keys.Trust(ctx)
	if err != nil {
		return 0, err
	}
	last, err := n.cfg.Store.TrustList(ctx)
	if err != nil {
		return 0, err
	}
	return n.named(last.Key, key.KeyID), nil
}
