// Package mask says which places of a status list are nobody's: a quarter of them,
// chosen by the key of the list, so that whoever issues, whoever publishes and
// whoever signs agree on them without a table that somebody could change. What a
// decoy is for, and how decoys go, is for package credentials; who has the key, for a
// keystore.
package mask

import (
	"errors"

	"golang.org/x/crypto/chacha20"

	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// KeySize is the length of a list's key, in bytes.
const KeySize = chacha20.KeySize

// ErrKey says that bytes cannot be the key of a list.
var ErrKey = errors.New("mask: the key of a list is 32 bytes, and not all zero")

// Each place has two bits of the key stream, the lowest of a byte first. It is a
// decoy's where both are 0.
const (
	bitsOfPlace   = 2
	placesOfByte  = 8 / bitsOfPlace
	blockSize     = 64 // RFC 8439 §2.3
	placesOfBlock = blockSize * placesOfByte
	blocks        = statuslist.Entries / placesOfBlock
)

// Decoys are those of one list. Only New makes one. It can be used by many goroutines.
type Decoys struct{ key [KeySize]byte }

// New is what a key gives. The key serves for nothing else: the nonce is
// always the same.
func New(key []byte) (*Decoys, error) {
	if len(key) != KeySize || [KeySize]byte(key) == [KeySize]byte{} {
		return nil, ErrKey
	}
	return &Decoys{[KeySize]byte(key)}, nil
}

// Has tells whether a place is a decoy's. So is one that a list does not have: nothing
// real can stand there.
func (d *Decoys) Has(index uint32) bool {
	if index >= statuslist.Entries {
		return true
	}
	var block [blockSize]byte
	d.stream(index/placesOfBlock, block[:])
	return decoy(block[:], index%placesOfBlock)
}

// All are the places of all decoys, in order.
func (d *Decoys) All() []uint32 {
	stream := make([]byte, blocks*blockSize)
	d.stream(0, stream)
	places := make([]uint32, 0, statuslist.Entries/3)
	for i := range uint32(statuslist.Entries) {
		if decoy(stream, i) {
			places = append(places, i)
		}
	}
	return places
}

func decoy(stream []byte, i uint32) bool {
	return stream[i/placesOfByte]>>(i%placesOfByte*bitsOfPlace)&(1<<bitsOfPlace-1) == 0
}

// stream fills zeros with the key stream from a block on (RFC 8439 §2.4).
func (d *Decoys) stream(block uint32, zeros []byte) {
	if d.key == [KeySize]byte{} {
		panic("mask: not made by New")
	}
	c, err := chacha20.NewUnauthenticatedCipher(d.key[:], make([]byte, chacha20.NonceSize))
	if err != nil {
		panic(err) // the lengths are constants
	}
	c.SetCounter(block)
	c.XORKeyStream(zeros, zeros)
}
