// Package token makes and reads the secrets that somebody carries: the bearer
// token of a member or a device, and the invitation of a device. A store keeps
// the hash of one and never the secret itself. Whom a secret lets in, and until
// when, is left to people and network.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// Kind tells secrets of one use from those of another, so that none is taken
// for what it is not. A secret is the prefix of its kind and, in base64url, 32
// random bytes and the first 4 bytes of their hash. The prefix lets secret
// scanners find a leaked one; the checksum keeps a cut or mistyped one away from
// the database.
type Kind struct{ prefix, label string }

// The kinds.
var (
	Bearer     = Kind{"sc_", "safeconduct/token/1"}
	Invitation = Kind{"sci_", "safeconduct/invitation/1"}
	Join       = Kind{"scj_", "safeconduct/join/1"}
)

const (
	randomBytes   = 32
	checksumBytes = 4
)

// New makes a secret of a kind, and the SHA-256 that it is stored under.
func New(k Kind) (secret string, hash [32]byte) {
	b := make([]byte, randomBytes, randomBytes+checksumBytes)
	_, _ = rand.Read(b) // never returns an error
	secret = k.prefix + base64.RawURLEncoding.EncodeToString(append(b, k.checksum(b)...))
	return secret, sha256.Sum256([]byte(secret))
}

// Hash returns the SHA-256 that a secret is stored under, if the secret is whole
// and of this kind.
func Hash(k Kind, secret string) (hash [32]byte, ok bool) {
	text, ok := strings.CutPrefix(secret, k.prefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(randomBytes+checksumBytes) {
		return hash, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != randomBytes+checksumBytes {
		return hash, false
	}
	if subtle.ConstantTimeCompare(k.checksum(b[:randomBytes]), b[randomBytes:]) != 1 {
		return hash, false
	}
	return sha256.Sum256([]byte(secret)), true
}

func (k Kind) checksum(random []byte) []byte {
	sum := sha256.Sum256(append([]byte(k.label), random...))
	return sum[:checksumBytes]
}
