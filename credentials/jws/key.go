package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// ErrKey says that a JSON Web Key is not a public P-256 key for signatures.
var ErrKey = errors.New("jws: not a public P-256 signing key")

// ParseKey reads a public P-256 key from a JWK (RFC 7517 §4, RFC 7518 §6.2.1).
// Other kinds of key, private keys, points off the curve, and keys marked for
// another use are ErrKey.
func ParseKey(jwk []byte) (*ecdsa.PublicKey, error) {
	v, err := strictjson.Value(jwk, strictjson.Limits{Size: 2 << 10, Depth: 2})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: not an object", ErrKey)
	}
	return KeyOf(members)
}

// KeyOf reads a key as ParseKey does, from a JWK that strictjson.Value has
// read already as a part of something larger.
func KeyOf(jwk map[string]any) (*ecdsa.PublicKey, error) {
	// Members beside the key itself may only confirm what it is for. d is not
	// among them: a private key sent by mistake is refused, not used.
	for name, v := range jwk {
		fits := false
		switch name {
		case "kty":
			fits = v == "EC"
		case "crv":
			fits = v == "P-256"
		case "x", "y":
			fits = true // judged below
		case "alg":
			fits = v == string(algorithm)
		case "use":
			fits = v == "sig"
		case "key_ops":
			ops, isList := v.([]any)
			fits = isList && !slices.ContainsFunc(ops, func(op any) bool { return op != "verify" })
		case "kid":
			_, fits = v.(string)
		case "ext": // browsers write it (Web Cryptography §11)
			_, fits = v.(bool)
		}
		if !fits {
			return nil, fmt.Errorf("%w: a member that does not fit", ErrKey)
		}
	}
	if jwk["kty"] == nil || jwk["crv"] == nil {
		return nil, fmt.Errorf("%w: no kty or no crv", ErrKey)
	}
	point := make([]byte, 1, 65)
	point[0] = 4 // SEC 1 §2.3.3: uncompressed
	for _, name := range []string{"x", "y"} {
		// RFC 7518 §6.2.1.2: the full 32 bytes, leading zeros included.
		text, _ := jwk[name].(string)
		half, err := Decode(text)
		if err != nil || len(half) != 32 {
			return nil, fmt.Errorf("%w: coordinate of 32 bytes expected", ErrKey)
		}
		point = append(point, half...)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("%w: not a point on the curve", ErrKey)
	}
	return pub, nil
}

// MarshalKey writes pub as a JWK with the members kty, crv, x and y.
func MarshalKey(pub *ecdsa.PublicKey) ([]byte, error) {
	x, y, err := coordinates(pub)
	if err != nil {
		return nil, err
	}
	return []byte(`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}`), nil
}

// Thumbprint is the RFC 7638 SHA-256 thumbprint of pub, nil for a key that is
// not P-256.
func Thumbprint(pub *ecdsa.PublicKey) []byte {
	x, y, err := coordinates(pub)
	if err != nil {
		return nil
	}
	// RFC 7638 §3.2: the required members in order, without white space.
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return sum[:]
}

// KeyID returns the name our tokens give pub: the first 8 bytes of its
// Thumbprint, as 16 hex digits. The same 8 bytes are the kid of a card. It is
// "" for a key that is not P-256.
func KeyID(pub *ecdsa.PublicKey) string {
	thumb := Thumbprint(pub)
	if thumb == nil {
		return ""
	}
	return hex.EncodeToString(thumb[:8])
}

func coordinates(pub *ecdsa.PublicKey) (x, y string, err error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return "", "", fmt.Errorf("%w: other kind of key", ErrKey)
	}
	point, err := pub.Bytes()
	if err != nil {
		return "", "", fmt.Errorf("%w: not a point on the curve", ErrKey)
	}
	return base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]), nil
}
