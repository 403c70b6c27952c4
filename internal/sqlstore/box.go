package sqlstore

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/chacha20poly1305"
)

// boxes makes boxes and opens them: XChaCha20-Poly1305 with a random nonce in front
// (draft-irtf-cfrg-xchacha), over plaintext that has its length in front of it and zeros
// behind it, up to a size of which there are few. What stands where is bound to its
// place: table, name and number are additional data.
type boxes struct{ aead cipher.AEAD }

// keySize is how long the key of boxes is, and that of a case.
const keySize = chacha20poly1305.KeySize

// errBox says that a box is not what was put there. Whoever reads a row makes it a
// SealError that names the row: never an absence.
var errBox = errors.New("sqlstore: a box does not open")

// newBoxes makes boxes under a key of keySize bytes.
func newBoxes(key []byte) (*boxes, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: boxes: %w", err)
	}
	return &boxes{aead}, nil
}

// derived derives a key for one use.
func derived(key []byte, label string) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, label, keySize)
	if err != nil {
		panic(err) // of a size that it has
	}
	return out
}

// padded is how long plaintext of n bytes becomes: least, or that doubled until it fits.
func padded(n, least int) int {
	size := least + 4
	if n > least {
		size = least<<bits.Len(uint((n-1)/least)) + 4
	}
	return size
}

// box seals plain for a place. Every box of a class least is of one length, as long as
// its plaintext is not longer than that; then it is twice as long, and so on.
func (b *boxes) box(least int, plain []byte, table, of string, number int64) []byte {
	text := make([]byte, padded(len(plain), least))
	binary.BigEndian.PutUint32(text, uint32(len(plain))) //nolint:gosec // far below 4 GiB
	copy(text[4:], plain)
	out := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(text)+chacha20poly1305.Overhead)
	_, _ = rand.Read(out) // never returns an error
	return b.aead.Seal(out, out, text, bound(table, of, number))
}

// open opens what box has made for the same place.
func (b *boxes) open(box []byte, table, of string, number int64) ([]byte, error) {
	if len(box) < chacha20poly1305.NonceSizeX+4+chacha20poly1305.Overhead {
		return nil, errBox
	}
	text, err := b.aead.Open(nil, box[:chacha20poly1305.NonceSizeX], box[chacha20poly1305.NonceSizeX:], bound(table, of, number))
	if err != nil || len(text) < 4 {
		return nil, errBox
	}
	n := binary.BigEndian.Uint32(text)
	if uint64(n) > uint64(len(text)-4) { //nolint:gosec // not negative: looked at above
		return nil, errBox
	}
	return text[4 : 4+n], nil
}

func bound(table, of string, number int64) []byte {
	return make(message, 0, 64).text(table, of).number(number)
}
