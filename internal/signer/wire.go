package signer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/verifier"
)

// What goes over the socket is frames: a length of four bytes, big-endian, and
// that many bytes of CBOR (RFC 8949), one map. A question gets one answer on the
// same connection; who asks several at once uses several connections.

const (
	// maxFrame bounds a frame. The longest thing that is ever asked is a pack, with the
	// trust list that it names.
	maxFrame = verifier.MaxPack + verifier.MaxTrustList + 1<<20
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
	opLogKeys
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
	opRoster
	opAdopt
	opLock
	opOpen
	opRotate
)

// question is all that can be asked.
type question struct {
	Op      op         `cbor:"1,keyasint"`
	Within  uint32     `cbor:"2,keyasint"` // milliseconds that the asker waits
	Use     string     `cbor:"3,keyasint,omitempty"`
	KeyID   string     `cbor:"4,keyasint,omitempty"`
	Many    []message  `cbor:"5,keyasint,omitempty"`
	Agency  string     `cbor:"6,keyasint,omitempty"`
	Record  string     `cbor:"7,keyasint,omitempty"`
	Label   string     `cbor:"8,keyasint,omitempty"`
	Network string     `cbor:"9,keyasint,omitempty"`
	Epoch   uint32     `cbor:"10,keyasint,omitempty"`
	Data    []byte     `cbor:"11,keyasint,omitempty"`
	For     *authority `cbor:"12,keyasint,omitempty"`
	More    bool       `cbor:"13,keyasint,omitempty"`
	List    uint16     `cbor:"14,keyasint,omitempty"`
	Index   uint32     `cbor:"15,keyasint,omitempty"`
}

// authority is an approval.Authority.
type authority struct {
	Token   string     `cbor:"1,keyasint,omitempty"`
	Act     []byte     `cbor:"2,keyasint,omitempty"`
	Proofs  []proof    `cbor:"3,keyasint,omitempty"`
	Order   []byte     `cbor:"4,keyasint,omitempty"`
	Case    string     `cbor:"5,keyasint,omitempty"`
	About   string     `cbor:"6,keyasint,omitempty"`
	Changes []evidence `cbor:"7,keyasint,omitempty"`
	Proof   [][]byte   `cbor:"8,keyasint,omitempty"`
}

// proof is an approval.Proof.
type proof struct {
	Person            string `cbor:"1,keyasint"`
	Credential        []byte `cbor:"2,keyasint"`
	ClientData        []byte `cbor:"3,keyasint"`
	AuthenticatorData []byte `cbor:"4,keyasint"`
	Signature         []byte `cbor:"5,keyasint"`
}

// evidence is an approval.Change.
type evidence struct {
	List   uint16  `cbor:"1,keyasint"`
	Index  uint32  `cbor:"2,keyasint"`
	Card   []byte  `cbor:"3,keyasint,omitempty"`
	Reply  []byte  `cbor:"4,keyasint,omitempty"`
	Act    []byte  `cbor:"5,keyasint,omitempty"`
	Proofs []proof `cbor:"6,keyasint,omitempty"`
}

// authorityOf is what goes along with a question; nil if nothing does.
func authorityOf(a approval.Authority) *authority {
	w := &authority{
		Token: a.Token.Reveal(), Act: a.Act, Proofs: proofs(a.Proofs), Order: a.Order, Case: a.Case, About: a.About.Reveal(), Proof: a.Proof,
	}
	if w.Token == "" && len(w.Act)+len(w.Proofs)+len(w.Order)+len(w.Case)+len(w.About)+len(a.Changes)+len(w.Proof) == 0 {
		return nil
	}
	for _, c := range a.Changes {
		w.Changes = append(w.Changes, evidence{c.List, c.Index, c.Card, c.Reply, c.Act, proofs(c.Proofs)})
	}
	return w
}

func proofs(all []approval.Proof) []proof {
	var out []proof
	for _, p := range all {
		out = append(out, proof(p))
	}
	return out
}

// authority is what came along with a question: the zero Authority if nothing did.
func (q question) authority() (a approval.Authority) {
	if q.For == nil {
		return a
	}
	a = approval.Authority{
		Token: private.New(q.For.Token), Act: q.For.Act, Order: q.For.Order, Case: q.For.Case, About: private.New(q.For.About),
		Proofs: agreed(q.For.Proofs), Proof: q.For.Proof,
	}
	for _, c := range q.For.Changes {
		a.Changes = append(a.Changes, approval.Change{List: c.List, Index: c.Index, Card: c.Card, Reply: c.Reply, Act: c.Act, Proofs: agreed(c.Proofs)})
	}
	return a
}

func agreed(all []proof) []approval.Proof {
	var out []approval.Proof
	for _, p := range all {
		out = append(out, approval.Proof(p))
	}
	return out
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
	Began   int64    `cbor:"10,keyasint,omitempty"` // Unix seconds
	First   uint64   `cbor:"11,keyasint,omitempty"`
}

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   6,            // the proofs of a place's change
		MaxArrayElements:  maxMany + 15, // 16 is the least that the library takes
		MaxMapPairs:       16,           // a question has 15
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
