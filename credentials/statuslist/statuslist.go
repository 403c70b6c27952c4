// Package statuslist encodes, signs and reads Token Status Lists
// (draft-ietf-oauth-status-list-20): one small number for each of a million
// credentials, fetched as a whole, so that nobody learns which one is being
// looked at. It leaves to others which index belongs to whom, when a list is
// too old, and fetching.
package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Entries is the length of every list of ours. It is far larger than the
// number of people in it: a list hides whoever is looked up among all its
// entries (§12.1, herd privacy), and its length says nothing about how many
// people there are.
const Entries = 1 << 20

// The values of an entry, §7.1. With the two bits we use there are no others.
const (
	Valid     uint8 = 0
	Invalid   uint8 = 1 // for good
	Suspended uint8 = 2 // for now
	Replaced  uint8 = 3 // ours (§7.1 leaves 3 to applications): there is a newer one
)

// maxEntries bounds the length of any list, so that sizes never overflow.
const maxEntries = 1 << 26

// What is refused. No error of this package repeats its input.
var (
	// ErrShape says that a list cannot have that many bits or entries.
	ErrShape = errors.New("statuslist: bits must be 1, 2, 4 or 8, and entries a multiple of 8")
	// ErrList says that an encoded list is not canonical base64url of one
	// whole zlib stream.
	ErrList = errors.New("statuslist: the list is malformed")
	// ErrTooLarge says that an encoded list is, or becomes, larger than the
	// entries that were allowed.
	ErrTooLarge = errors.New("statuslist: the list is larger than allowed")
	// ErrIndex says that an index is not in the list. §8.3: the credential
	// that names it is not to be accepted.
	ErrIndex = errors.New("statuslist: index out of range")
	// ErrStatus says that a value does not fit into the bits of the list.
	ErrStatus = errors.New("statuslist: status does not fit")
)

// noStatus comes with an error. It is a value that nobody uses, so that an
// error that is overlooked does not read as Valid.
const noStatus = 0xff

// List is a status list. The zero List has no entries.
type List struct {
	bits  uint8  // of one entry
	shift uint8  // log2 of the entries in one byte
	data  []byte // §4.1: entry i in byte i·bits/8, the lowest bits first
}

// New makes a list in which every entry is 0. bits is 1, 2, 4 or 8; entries is
// a multiple of 8, at most 2^26. The error is ErrShape.
func New(bits, entries int) (*List, error) {
	l, size, err := shape(bits, entries)
	if err != nil {
		return nil, err
	}
	l.data = make([]byte, size)
	return l, nil
}

// shape returns an empty list for entries of so many bits, and the size in
// bytes that it has when full.
func shape(bits, entries int) (l *List, size int, err error) {
	if entries < 8 || entries > maxEntries || entries%8 != 0 {
		return nil, 0, ErrShape
	}
	switch bits { // §4.1: no other numbers of bits exist
	case 1, 2, 4, 8:
		shift := map[int]uint8{1: 3, 2: 2, 4: 1, 8: 0}[bits]
		return &List{bits: uint8(bits), shift: shift}, entries >> shift, nil
	default:
		return nil, 0, ErrShape
	}
}

// Bits returns how many bits an entry has.
func (l *List) Bits() int { return int(l.bits) }

// Len returns the number of entries.
func (l *List) Len() int { return len(l.data) << l.shift }

// Get returns entry i, or ErrIndex. It does not allocate.
func (l *List) Get(i int) (uint8, error) {
	if i < 0 || i >= l.Len() {
		return noStatus, ErrIndex
	}
	return l.data[i>>l.shift] >> l.offset(i) & l.mask(), nil
}

// Set sets entry i. The error is ErrIndex or ErrStatus.
func (l *List) Set(i int, status uint8) error {
	if i < 0 || i >= l.Len() {
		return ErrIndex
	}
	if status&^l.mask() != 0 {
		return ErrStatus
	}
	b := &l.data[i>>l.shift]
	*b = *b&^(l.mask()<<l.offset(i)) | status<<l.offset(i)
	return nil
}

// offset is where entry i begins in its byte.
func (l *List) offset(i int) uint { return uint(i) & (1<<l.shift - 1) * uint(l.bits) }

// mask has the bits of an entry set.
func (l *List) mask() uint8 { return uint8(1<<l.bits - 1) }

// Encode returns the list as the member lst (§4.2): base64url without padding
// of a zlib stream. It fails for the zero List alone.
func (l *List) Encode() (string, error) {
	if l.Len() == 0 {
		return "", ErrShape
	}
	// §4.1: ZLIB (RFC 1950) around DEFLATE, highest compression recommended.
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err != nil {
		return "", fmt.Errorf("compress the list: %w", err)
	}
	if _, err := w.Write(l.data); err != nil {
		return "", fmt.Errorf("compress the list: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("compress the list: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes()), nil
}

// Decode reads the member lst of a list with so many bits an entry. The list
// may be shorter than entries, a multiple of 8, but not longer: inflating
// stops one byte beyond. Errors are ErrShape, ErrList and ErrTooLarge.
func Decode(bits int, lst string, entries int) (*List, error) {
	l, size, err := shape(bits, entries)
	if err != nil {
		return nil, err
	}
	if len(lst) > base64.RawURLEncoding.EncodedLen(maxDeflated(size)) {
		return nil, ErrTooLarge
	}
	// encoding/base64 skips line breaks, also when it is strict.
	if strings.ContainsAny(lst, "\r\n") {
		return nil, fmt.Errorf("%w: not canonical base64url", ErrList)
	}
	deflated, err := base64.RawURLEncoding.Strict().DecodeString(lst)
	if err != nil {
		return nil, fmt.Errorf("%w: not canonical base64url", ErrList)
	}
	if l.data, err = inflate(deflated, size); err != nil {
		return nil, err
	}
	return l, nil
}

// maxDeflated is more than any compressor makes of size bytes; the largest
// bound in use is that of miniz, 128 + 1.1·size.
func maxDeflated(size int) int { return 128 + size + size/8 }

// inflate reads one whole zlib stream of at most size bytes (§8.3, step 5).
func inflate(deflated []byte, size int) ([]byte, error) {
	in := bytes.NewReader(deflated)
	r, err := zlib.NewReader(in) // refuses raw DEFLATE: it has no zlib header
	if err != nil {
		return nil, fmt.Errorf("%w: not a zlib stream", ErrList)
	}
	// One byte more than fits tells a list that is exactly full from one that
	// goes on. Reading to io.EOF is what has the checksum compared.
	out, n := make([]byte, size+1), 0
	for err = nil; err == nil; {
		if n > size {
			return nil, ErrTooLarge
		}
		var m int
		m, err = r.Read(out[n:])
		n += m
	}
	switch {
	case !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: the zlib stream is broken", ErrList)
	case n > size:
		return nil, ErrTooLarge
	case n == 0:
		return nil, fmt.Errorf("%w: no entries", ErrList)
	case in.Len() > 0:
		return nil, fmt.Errorf("%w: bytes after the zlib stream", ErrList)
	}
	if n < size/2 {
		return slices.Clone(out[:n]), nil // do not hold on to the large buffer
	}
	return out[:n:n], nil
}
