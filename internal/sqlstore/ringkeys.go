package sqlstore

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/safeconduct/safeconduct/vault"
)

// A row of the keyring is a name and a box, and everything in it is under two things of
// which the keyring has neither: the key of the keyring, from the keystore, and the id of
// the record, from the main database. So the keyring tells nothing to whoever has it with
// its key but without the database, and nothing to whoever has the database with all its
// keys but not the keyring (docs/decisions/0064-keyring-rows.md).
//
// That a row is one of ours, and where it stands, is told without any id: behind the box
// are 16 bytes of a keyed hash of both. That no row was put back, taken away or added is
// told by the sum: the keyed hashes of all rows, added up, stand in the one row that says
// whose the keyring is. To add up keyed hashes and to find another set of rows with the
// same sum is as hard as finding a collision (Clarke, Devadas, van Dijk, Gassend and Suh,
// Incremental multiset hash functions, ASIACRYPT 2003, §5, MSet-Add-Hash).

// ringBox is the size of what every row holds: the case's key, and a key file for up to
// fourteen agencies. One that is for more goes on in further rows, whose names are those of
// nobody else's either. All rows have one size: SQLite, when it moves rows of several sizes
// between pages, leaves parts of them behind, which then outlive an erasure.
const ringBox = 2 << 10

// ringHead is what stands in front of a piece of a key file: the case's key, 16 bytes that
// all pieces of one version share, and how many there are.
const ringHead = keySize + 16 + 1

// maxPieces is how many rows a record has at most: a byte says how many.
const maxPieces = 255

// ringMark is how many bytes of the keyed hash of a row stand behind its box.
const ringMark = 16

// nameSize is how long the name of a row is.
const nameSize = 16

// ringKeys are what follows from the key of a keyring.
type ringKeys struct {
	names, boxes, rows []byte
}

func newRingKeys(key []byte) *ringKeys {
	return &ringKeys{derived(key, "safeconduct/keyring/names"), derived(key, "safeconduct/keyring/boxes"), derived(key, "safeconduct/keyring/rows")}
}

func sum256(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// name is what a row of a record is called, by its number from 0.
func (k *ringKeys) name(record string, piece int) []byte {
	return sum256(k.names, message(nil).text(record).number(int64(piece)))[:nameSize]
}

// ringRow is a row as it is kept: its name, and a box with the keyed hash of both behind it.
type ringRow struct{ name, box []byte }

// seal makes the rows of a record.
func (k *ringKeys) seal(record string, key caseKey, file []byte) (rows []ringRow, err error) {
	boxes, err := newBoxes(sum256(k.boxes, []byte(record)))
	if err != nil {
		return nil, err
	}
	count := max(1, (len(file)+ringBox-ringHead-1)/(ringBox-ringHead))
	if count > maxPieces {
		return nil, vault.ErrTooMany
	}
	head := append(key[:len(key):len(key)], make([]byte, 16)...)
	_, _ = rand.Read(head[len(key):]) // never returns an error
	head = append(head, byte(count))
	for piece := range count {
		part := file[:min(len(file), ringBox-ringHead)]
		file = file[len(part):]
		r := ringRow{name: k.name(record, piece)}
		r.box = boxes.box(ringBox, append(head[:ringHead:ringHead], part...), ringTable, string(r.name), 0)
		mark, _ := k.hash(r.name, r.box)
		r.box = append(r.box, mark...)
		rows = append(rows, r)
	}
	return rows, nil
}

// hash is the keyed hash of a row: the bytes that stand behind its box, and what it adds to
// the sum.
func (k *ringKeys) hash(name, box []byte) (mark []byte, term ringSum) {
	h := hmac.New(sha512.New, k.rows)
	h.Write(message(nil).bytes(name, box))
	out := h.Sum(nil)
	return out[:ringMark], ringSum(out[len(out)-len(term):])
}

// whole tells whether a row is as it was written, and what it adds to the sum.
func (k *ringKeys) whole(r ringRow) (term ringSum, ok bool) {
	at := len(r.box) - ringMark
	if at < 0 || len(r.name) != nameSize {
		return term, false
	}
	mark, term := k.hash(r.name, r.box[:at])
	return term, hmac.Equal(mark, r.box[at:])
}

// open opens one row of a record, and returns what stands in front of the piece of the key
// file in it.
func (k *ringKeys) open(record string, piece int, r ringRow) (head, part []byte, err error) {
	if _, ok := k.whole(r); !ok || !bytes.Equal(r.name, k.name(record, piece)) {
		return nil, nil, vault.ErrIntegrity
	}
	boxes, err := newBoxes(sum256(k.boxes, []byte(record)))
	if err != nil {
		return nil, nil, err
	}
	plain, err := boxes.open(r.box[:len(r.box)-ringMark], ringTable, string(r.name), 0)
	if err != nil || len(plain) < ringHead {
		return nil, nil, vault.ErrIntegrity
	}
	return plain[:ringHead], plain[ringHead:], nil
}

// bond is the keyed hash of what a keyring says of itself.
func (k *ringKeys) bond(b Bond, sum ringSum) []byte {
	return sum256(k.rows, ofRing().text(b.Network, b.ID).number(int64(b.Changes)).bytes(sum[:])) //nolint:gosec // its bits
}

func ofRing() message { return make(message, 0, 256).text("bond") }

// caseKey is the key of what the main database keeps of a case.
type caseKey [keySize]byte

func newCaseKey() (key caseKey) {
	_, _ = rand.Read(key[:]) // never returns an error
	return key
}

// ringSum is the sum of keyed hashes, a number modulo 2^256.
type ringSum [32]byte

func (s ringSum) add(t ringSum) ringSum {
	return s.with(t, func(x, y, carry uint64) (uint64, uint64) { return bits.Add64(x, y, carry) })
}

func (s ringSum) sub(t ringSum) ringSum {
	return s.with(t, func(x, y, borrow uint64) (uint64, uint64) { return bits.Sub64(x, y, borrow) })
}

func (s ringSum) with(t ringSum, do func(x, y, carry uint64) (uint64, uint64)) (out ringSum) {
	var carry uint64
	for i := 0; i < len(s); i += 8 { // the lowest eight bytes come first
		var word uint64
		word, carry = do(binary.LittleEndian.Uint64(s[i:]), binary.LittleEndian.Uint64(t[i:]), carry)
		binary.LittleEndian.PutUint64(out[i:], word)
	}
	return out
}

// Name is the name of a row, in hex.
func (r ringRow) Name() string { return hex.EncodeToString(r.name) }
