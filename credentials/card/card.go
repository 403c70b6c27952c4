// Package card is for the sealed card: 276 bytes, printed as a QR of 667
// digits, that say nothing to a phone camera and open, with no network, only
// when an epoch's keys and the holder's own code meet. It makes such cards
// (Seal), recognises them (Match) and opens them (Open), by docs/card.md. It
// reads no clock, trust list or status list: whether a key may sign, whether a
// card still holds, and what a person is shown are left to package verifier,
// and drawing the symbol to package symbol.
package card

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/cloudflare/circl/kem"
)

// The shape of every card, whatever it says (docs/card.md, Bytes).
const (
	Size   = 276 // bytes of a card
	Digits = 667 // decimal digits of a card: 23 blocks of 12 bytes, 29 digits each

	tagSize   = 8
	encSize   = 32
	plainSize = 220
	keySize   = 32

	blockBytes  = 12
	blockDigits = 29
)

// label names this version of the card in everything that is hashed, derived
// or signed. A new field needs a new label.
const label = "safeconduct/card/1"

// What can be wrong with a card, a code or the keys. Each is a fact about the
// input and carries none of it.
var (
	// ErrNotOurs: the digits, or the bytes, are no card of this network.
	ErrNotOurs = errors.New("card: not a card of this network")
	// ErrCode: what was entered is not ten digits. It is a wrong code that cost
	// no Argon2id and counts as no try.
	ErrCode = errors.New("card: the code is not ten digits")
	// ErrWrongCode: the card does not open with this code.
	ErrWrongCode = errors.New("card: wrong code")
	// ErrContent: the card opened, and what it holds breaks the format.
	ErrContent = errors.New("card: content breaks the format")
	// ErrTooLong: the claims do not fit a card, even with shortened names.
	ErrTooLong = errors.New("card: claims do not fit")
	// ErrKeys: a key of the epoch has the wrong size, is all zero, or is no
	// usable X25519 key.
	ErrKeys = errors.New("card: epoch keys are unusable")
	// ErrSigner: the signing key is not P-256, or its signature does not verify.
	ErrSigner = errors.New("card: signing key is unusable")
)

// A Card is the sealed card: recognition tag (8 bytes), HPKE encapsulated key
// (32), HPKE ciphertext (236).
type Card [Size]byte

// A TagKey recognises the cards of one epoch and opens none of them.
type TagKey struct {
	Epoch uint32
	Key   []byte // 32 bytes
}

// SealKeys are what sealing to an epoch needs.
type SealKeys struct {
	Epoch  uint32
	TagKey []byte // 32 bytes
	NetKey []byte // 32 bytes
	Public []byte // X25519, 32 bytes
}

// OpenKeys are what a device needs to open the cards of an epoch.
type OpenKeys struct {
	Epoch   uint32
	TagKey  []byte // 32 bytes
	NetKey  []byte // 32 bytes
	Private []byte // X25519, 32 bytes

	parsed kem.PrivateKey // set by Prepare
}

// Prepare returns the keys with the private key parsed, which takes a seventh of
// an opening without the stretch. Open does it each time for keys that were not
// prepared. Unusable keys are ErrKeys.
func (k OpenKeys) Prepare() (OpenKeys, error) {
	if err := k.check(); err != nil {
		return OpenKeys{}, err
	}
	sk, err := receiverKey(k.Private)
	if err != nil {
		return OpenKeys{}, err
	}
	k.parsed = sk
	return k, nil
}

// Parse reads a card from its digits: exactly 667 ASCII digits, nothing
// trimmed. Anything else is ErrNotOurs (docs/card.md, Opening, step 1).
func Parse(digits string) (Card, error) {
	var c Card
	if len(digits) != Digits || !allDigits(digits) {
		return Card{}, ErrNotOurs
	}
	var n big.Int
	for i := range Size / blockBytes {
		n.SetString(digits[i*blockDigits:(i+1)*blockDigits], 10)
		// docs/card.md, Digits and symbol: a block not below 2^96 is refused, so
		// that every card has exactly one spelling.
		if n.BitLen() > blockBytes*8 {
			return Card{}, ErrNotOurs
		}
		n.FillBytes(c[i*blockBytes : (i+1)*blockBytes])
	}
	return c, nil
}

// Digits returns the card as 667 decimal digits, for the QR symbol.
func (c Card) Digits() string {
	var b strings.Builder
	b.Grow(Digits)
	var n big.Int
	for i := range Size / blockBytes {
		n.SetBytes(c[i*blockBytes : (i+1)*blockBytes])
		fmt.Fprintf(&b, "%0*d", blockDigits, &n)
	}
	return b.String()
}

// Match finds the first key, in order, that recognises the card. It looks at
// every key whatever it finds, so that the time says nothing about which epoch
// a card belongs to. A key that is not 32 bytes, or all zero, matches nothing.
func (c Card) Match(keys []TagKey) (i int, ok bool) {
	found := 0
	for n, k := range keys {
		hit := c.taggedBy(k.Key)
		i = subtle.ConstantTimeSelect(hit&^found, n, i)
		found |= hit
	}
	return i, found == 1
}

// taggedBy returns 1 if the card carries the tag that key makes, else 0.
func (c *Card) taggedBy(key []byte) int {
	if !usable(key) {
		return 0
	}
	tag := tagOf(key, c.enc(), c.ciphertext())
	return subtle.ConstantTimeCompare(tag[:], c[:tagSize])
}

func (c *Card) enc() []byte        { return c[tagSize : tagSize+encSize] }
func (c *Card) ciphertext() []byte { return c[tagSize+encSize:] }

// tagOf is the recognition tag: the first 8 bytes of
// HMAC-SHA-256(tagKey, label ‖ enc ‖ ct).
func tagOf(key, enc, ciphertext []byte) (tag [tagSize]byte) {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, label) // a hash never returns an error
	h.Write(enc)
	h.Write(ciphertext)
	copy(tag[:], h.Sum(nil))
	return tag
}

// epochID is the epoch's id as it is bound into info and the signature.
func epochID(epoch uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, epoch)
}

// usable refuses a key that is not 32 bytes or is all zero: the one a slip of
// the keystore would give, and with it every card would open to everybody
// (docs/card.md, Bytes: every reader and sealer refuses it).
func usable(key []byte) bool {
	var zero [keySize]byte
	return len(key) == keySize && subtle.ConstantTimeCompare(key, zero[:]) == 0
}

func (k SealKeys) check() error {
	if !usable(k.TagKey) || !usable(k.NetKey) || !usable(k.Public) {
		return ErrKeys
	}
	return nil
}

func (k OpenKeys) check() error {
	if !usable(k.TagKey) || !usable(k.NetKey) || !usable(k.Private) {
		return ErrKeys
	}
	return nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
