package verifier

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
)

// TrustKey names the key that signs a network's trust lists. The root signs it at a
// ceremony, for a year at most, so that it can be kept away from the machine that runs
// day and night (docs/decisions/0048-trust-key.md).
type TrustKey struct {
	Network  string          `json:"network"`
	KeyID    string          `json:"kid"`
	JWK      json.RawMessage `json:"jwk"` // P-256
	IssuedAt int64           `json:"iat"` // Unix seconds; a device goes back behind none that it was shown
	Expires  int64           `json:"exp"` // Unix seconds
}

const (
	// MaxTrustKey bounds a signed TrustKey in bytes.
	MaxTrustKey = 4 << 10
	// MaxTrustKeyLife is how long one may hold: what a device that has seen no newer one
	// believes of a key that was stolen.
	MaxTrustKeyLife = 366 * 24 * time.Hour
)

// Sign makes the signed form of the statement. root is the network's root key.
func (k TrustKey) Sign(root Signer) (string, error) { return signStatement(TypeTrustKey, root, k) }

// ReadTrustKey reads what a signed TrustKey says. It checks no signature: Open does.
func ReadTrustKey(compact string) (TrustKey, error) {
	m, err := jws.Parse(compact, MaxTrustKey, TypeTrustKey)
	if err != nil {
		return TrustKey{}, fmt.Errorf("trust key: %w", err)
	}
	var k TrustKey
	if err := readStatement(m.Unverified(), MaxTrustKey, &k); err != nil {
		return TrustKey{}, fmt.Errorf("trust key: %w", err)
	}
	return k, nil
}

// trustKey is the key that may sign trust lists: the one that a statement names, and no
// other; or without a statement the root, whatever the kid says.
type trustKey struct {
	TrustKey
	public *ecdsa.PublicKey
}

// over tells that the statement says nothing any more. The root has no end.
func (k trustKey) over(now time.Time) bool { return k.Expires != 0 && now.Unix() >= k.Expires }

// open checks the signature of a trust list and reads it; v must not be used after an
// error.
func (k trustKey) open(compact string, v any) error {
	if k.KeyID == "" {
		return openStatement(TypeTrustList, compact, MaxTrustList, k.public, v)
	}
	return openAny(TypeTrustList, compact, MaxTrustList, map[string]*ecdsa.PublicKey{k.KeyID: k.public}, v)
}

// inDates tells whether the statement counts for a device, at a time. The root needs none.
func (k trustKey) inDates(dev Device, now time.Time) error {
	switch {
	case k.KeyID == "":
		return nil
	case k.IssuedAt < dev.TrustKeyIssued:
		return notReady(ReasonPackOlder, "the root's statement is older than one this device has seen")
	case now.Unix() < k.IssuedAt:
		return notReady(ReasonClock, "the clock is before the date of the root's statement")
	case k.over(now):
		return notReady(ReasonTrustListOld, "the root's statement is past its date")
	default:
		return nil
	}
}

// readTrustKey checks the statement whenever it may be.
func readTrustKey(compact string, root *ecdsa.PublicKey, network string) (trustKey, error) {
	if compact == "" {
		return trustKey{public: root}, nil
	}
	var k TrustKey
	if err := openStatement(TypeTrustKey, compact, MaxTrustKey, root, &k); err != nil {
		return trustKey{}, fmt.Errorf("trust key: %w", err)
	}
	switch {
	case k.Network != network:
		return trustKey{}, errors.New("trust key: of another network")
	case k.KeyID == "":
		return trustKey{}, errors.New("trust key: without a kid")
	case k.IssuedAt <= 0 || k.Expires <= k.IssuedAt || k.Expires-k.IssuedAt > int64(MaxTrustKeyLife/time.Second):
		return trustKey{}, errors.New("trust key: holds for nothing, or for more than a year")
	}
	public, err := jws.ParseKey(k.JWK)
	if err != nil {
		return trustKey{}, fmt.Errorf("trust key: %w", err)
	}
	return trustKey{k, public}, nil
}
