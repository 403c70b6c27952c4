package network

import (
	"context"
	"errors"
	"time"

	"github.com/safeconduct/safeconduct/verifier"
)

// trustKeyLife is how long the root's statement holds that names the key for trust lists.
// Half way through it is signed anew, as soon as a list is signed and the root at hand.
const trustKeyLife = 365 * day

// Named is the key that the root's statement beside the list names, and until when; no
// key where there is no statement.
func (l SignedTrustList) Named() (kid string, until time.Time) {
	k, err := verifier.ReadTrustKey(l.Key)
	if err != nil {
		return "", time.Time{}
	}
	return k.KeyID, time.Unix(k.Expires, 0).UTC()
}

// nameKey has the root say that a key signs trust lists from a time on.
func (n *Network) nameKey(ctx context.Context, key verifier.Signer, from int64) (string, error) {
	jwk, err := publicKey(key)
	if err != nil {
		return "", err
	}
	root, err := n.cfg.Keys.Root(ctx)
	if err != nil {
		return "", err
	}
	return verifier.TrustKey{
		Network: n.cfg.ID, KeyID: key.KeyID, JWK: jwk, IssuedAt: from, Expires: from + int64(trustKeyLife/time.Second),
	}.Sign(root)
}

// after is the date of the next statement: now, and later than the last one and than what
// the root signed to show that it is at hand. By it devices tell which one is newer.
func (n *Network) after(last string) int64 {
	now := n.cfg.Now().Unix()
	if k, err := verifier.ReadTrustKey(last); err == nil {
		return max(now, k.IssuedAt+2)
	}
	return now
}

// rootAtHand tells whether the root signs: a key that it did not name would sign trust
// lists for nobody. What it signs to show it names the key of now, and goes nowhere.
func (n *Network) rootAtHand(ctx context.Context) bool {
	key, err := n.cfg.Keys.Trust(ctx)
	if err != nil {
		return false
	}
	last, err := n.cfg.Store.TrustList(ctx)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false
	}
	_, err = n.nameKey(ctx, key, n.after(last.Key)-1)
	return err == nil
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
