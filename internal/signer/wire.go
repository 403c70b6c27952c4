package signer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/internal/keystore"
)

// What goes over the socket is frames: a length of four bytes, big-endian, and
// that many bytes of CBOR (RFC 8949), one map. A question gets one answer on the
// same connection; who asks several at once uses several connections.

const (
	// maxFrame bounds a frame. The longest thing that is ever signed is a trust
	// list with the compromised keys of many agencies.
	maxFrame = 16 << 20
	// maxMany bounds how many are signed with one question.
	maxMany = 1000
	// maxCause bounds what is told of a cause, in bytes.
	maxCause = 300
)

// An op is what can be asked.
type op uint8

const (
	opReady op = iota + 1
	opPublic
	opSign
	opLogKey
	opSignLog
	opSignDerived
	opDerivedKey
	opNewAgency
	opRotateAgency
	opWrap
	opUnwrap
	opWrapEpoch
	opUnwrapEpoch
	opMAC
	opGeneration
	opRetireSigning
	opRotateWrapping
	opRetireWrapping
	opPublics
	opDecoys
	opReceipt
	opSaid
)

// question is all that can be asked.
type question struct {
	Op      op        `cbor:"1,keyasint"`
	Within  uint32    `cbor:"2,keyasint"` // milliseconds that the asker waits
	Use     string    `cbor:"3,keyasint,omitempty"`
	KeyID   string    `cbor:"4,keyasint,omitempty"`
	Many    []message `cbor:"5,keyasint,omitempty"`
	Agency  string    `cbor:"6,keyasint,omitempty"`
	Record  string    `cbor:"7,keyasint,omitempty"`
	Label   string    `cbor:"8,keyasint,omitempty"`
	Network string    `cbor:"9,keyasint,omitempty"`
	Epoch   uint32    `cbor:"10,keyasint,omitempty"`
	Data    []byte    `cbor:"11,keyasint,omitempty"`
	List    uint16    `cbor:"14,keyasint,omitempty"`
	Index   uint32    `cbor:"15,keyasint,omitempty"`
}

// message is a keystore.Message.
type message struct {
	Bytes []byte   `cbor:"1,keyasint"`
	Shown [][]byte `cbor:"2,keyasint,omitempty"`
}

// messages are those of a question, as a keystore takes them.
func (q question) messages() []keystore.Message {
	all := make([]keystore.Message, len(q.Many))
	for i, m := range q.Many {
		all[i] = keystore.Message(m)
	}
	return all
}

// answer is all that can come back.
type answer struct {
	Trouble uint8    `cbor:"1,keyasint,omitempty"` // its place in troubles, 0 if there is none
	Cause   string   `cbor:"2,keyasint,omitempty"` // in words of the keystore
	After   uint32   `cbor:"3,keyasint,omitempty"` // milliseconds until it is worth asking again
	KeyID   string   `cbor:"4,keyasint,omitempty"`
	DER     []byte   `cbor:"5,keyasint,omitempty"`
	Many    [][]byte `cbor:"6,keyasint,omitempty"`
	Data    []byte   `cbor:"7,keyasint,omitempty"`
	Text    string   `cbor:"8,keyasint,omitempty"`
	Number  uint64   `cbor:"9,keyasint,omitempty"`
}

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  maxMany + 15, // 16 is the least that the library takes
		MaxMapPairs:       16,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return v
}

// errFrame says that what came over the socket is no frame of ours.
var errFrame = errors.New("signer: what came over the socket cannot be read")

// write sends one frame.
func write(w io.Writer, v any) error {
	frame := bytes.NewBuffer(make([]byte, 4, 512))
	if err := encoding.NewEncoder(frame).Encode(v); err != nil {
		return fmt.Errorf("signer: encode: %w", err)
	}
	size := frame.Len() - 4
	if size > maxFrame {
		return errLong
	}
	binary.BigEndian.PutUint32(frame.Bytes(), uint32(size)) //nolint:gosec // at most maxFrame
	_, err := w.Write(frame.Bytes())
	return err
}

// errLong says that something is too long to be sent.
var errLong = errors.New("signer: longer than anything that is signed")

// read takes one frame. What it declares to be long takes no memory before it is
// there.
func read(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size > maxFrame {
		return errFrame
	}
	var body bytes.Buffer
	body.Grow(int(min(size, 4<<10)))
	if n, err := body.ReadFrom(io.LimitReader(r, size)); err != nil {
		return err
	} else if n != size {
		return io.ErrUnexpectedEOF
	}
	if decoding.Unmarshal(body.Bytes(), v) != nil {
		return errFrame
	}
	return nil
}
