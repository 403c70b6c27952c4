package card

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/safeconduct/safeconduct/credentials/private"
)

const (
	maxSigned     = plainSize - 1 // the 0x80 takes one byte
	kidSize       = 8
	signatureSize = 64

	// What stands around the payload in every COSE_Sign1 of a card: array head,
	// protected header (14), empty unprotected header, head of a payload of 24 to
	// 255 bytes (2), signature with its head (66).
	maxPayload = maxSigned - 1 - 14 - 1 - 2 - (2 + signatureSize)
)

// payload is the signed CBOR map. Required members have no omitempty: when one
// is missing, re-encoding adds it and the comparison in readContent fails. In
// the same way an empty text, a zero or a false where the format knows only
// absence is left out by re-encoding, and refused.
type payload struct {
	Expires  int64     `cbor:"4,keyasint"`
	IssuedAt int64     `cbor:"6,keyasint"`
	Identity *identity `cbor:"169,keyasint,omitempty"`
	Status   status    `cbor:"-65537,keyasint"`
}

// identity has the keys of MOSIP Claim 169.
type identity struct {
	Name        string `cbor:"4,keyasint,omitempty"`
	BirthDate   string `cbor:"8,keyasint,omitempty"`
	Sex         int    `cbor:"9,keyasint,omitempty"`
	Nationality string `cbor:"13,keyasint,omitempty"`
}

type status struct {
	Status                int    `cbor:"1,keyasint,omitempty"`
	DecisionLevel         int    `cbor:"2,keyasint,omitempty"`
	Handle                []byte `cbor:"3,keyasint"`
	Index                 index  `cbor:"4,keyasint"`
	Portrait              []byte `cbor:"5,keyasint,omitempty"`
	NamesShortened        bool   `cbor:"6,keyasint,omitempty"`
	Blank                 bool   `cbor:"7,keyasint,omitempty"`
	MissionMayBeContacted bool   `cbor:"8,keyasint,omitempty"`
}

// index is the array [list number, index].
type index struct {
	_     struct{} `cbor:",toarray"`
	List  uint16
	Index uint32
}

// RFC 8949 §4.2.1: core deterministic encoding, and a reader as strict as the
// writer.
var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  16,
		MaxMapPairs:       16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options above are constants
	}
	return v
}

// encode writes claims as the signed payload.
func (c Claims) encode() ([]byte, error) {
	p := payload{
		Expires:  c.Expires.Unix(),
		IssuedAt: c.IssuedAt.Unix(),
		Status: status{
			Status:                c.Status,
			DecisionLevel:         c.DecisionLevel,
			Handle:                c.Handle[:],
			Index:                 index{List: c.List, Index: c.Index},
			Portrait:              c.Portrait,
			NamesShortened:        c.NamesShortened,
			Blank:                 c.Blank,
			MissionMayBeContacted: c.MissionMayBeContacted,
		},
	}
	if !c.Blank {
		p.Identity = &identity{
			Name:        c.Name.Reveal(),
			BirthDate:   c.BirthDate.Reveal(),
			Sex:         c.Sex,
			Nationality: c.Nationality.Reveal(),
		}
	}
	b, err := encoding.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("card: encode claims: %w", err)
	}
	return b, nil
}

// readClaims reads the signed payload and refuses every key, type, range and
// encoding that encode would not have written.
func readClaims(data []byte) (Claims, bool) {
	var p payload
	if decoding.Unmarshal(data, &p) != nil {
		return Claims{}, false
	}
	if again, err := encoding.Marshal(p); err != nil || !bytes.Equal(again, data) {
		return Claims{}, false
	}
	s := p.Status
	if len(s.Handle) != len(Claims{}.Handle) {
		return Claims{}, false
	}
	c := Claims{
		IssuedAt:              time.Unix(p.IssuedAt, 0).UTC(),
		Expires:               time.Unix(p.Expires, 0).UTC(),
		Handle:                [8]byte(s.Handle),
		List:                  s.Index.List,
		Index:                 s.Index.Index,
		Status:                s.Status,
		DecisionLevel:         s.DecisionLevel,
		Portrait:              s.Portrait,
		NamesShortened:        s.NamesShortened,
		Blank:                 s.Blank,
		MissionMayBeContacted: s.MissionMayBeContacted,
	}
	if id := p.Identity; id != nil {
		// A blank has no 169 at all, not even one that the rules below would see as
		// empty.
		if s.Blank {
			return Claims{}, false
		}
		c.Name = private.New(id.Name)
		c.BirthDate = private.New(id.BirthDate)
		c.Sex = id.Sex
		c.Nationality = private.New(id.Nationality)
	}
	return c, len(c.problems()) == 0
}

// content is a card's plaintext, read but not yet verified.
type content struct {
	message cose.UntaggedSign1Message
	kid     [kidSize]byte
	claims  Claims
}

// readContent reads 220 bytes of plaintext: padding, COSE_Sign1, header and
// claims, in that order (docs/card.md, Opening, step 4). It checks no signature.
func readContent(plain []byte) (*content, bool) {
	signed, ok := unpad(plain)
	if !ok {
		return nil, false
	}
	c, ok := readSigned(signed)
	if !ok {
		return nil, false
	}
	c.claims, ok = readClaims(c.message.Payload)
	return c, ok
}

// readSigned reads the COSE_Sign1. With this header and deterministic encoding
// there is one way to write it, so nothing is parsed that would then have to be
// encoded again and compared: everything but kid, payload and signature must be
// the very bytes that sign writes. FuzzContent holds it to go-cose's own reading.
func readSigned(signed []byte) (*content, bool) {
	var c content
	var payloadSize, mark uint8
	var data, signature []byte
	s := cryptobyte.String(signed)
	head, ok := take(&s, len(signedHead))
	if !ok || !bytes.Equal(head, signedHead) || !s.CopyBytes(c.kid[:]) ||
		!s.ReadUint8(&mark) || mark != 0xa0 || // the unprotected header is empty
		!s.ReadUint8(&mark) || mark != 0x58 || !s.ReadUint8(&payloadSize) || payloadSize < 24 || // claims are longer
		!s.ReadBytes(&data, int(payloadSize)) ||
		!s.ReadUint8(&mark) || mark != 0x58 || !s.ReadUint8(&mark) || mark != signatureSize ||
		!s.ReadBytes(&signature, signatureSize) || !s.Empty() {
		return nil, false
	}
	c.message = cose.UntaggedSign1Message{Headers: headers(c.kid), Payload: data, Signature: signature}
	c.message.Headers.RawProtected = signed[1 : len(signedHead)+kidSize]
	return &c, true
}

// signedHead is what a card's COSE_Sign1 begins with: an array of four, a byte
// string of 13, and in it the map {1: -7 (ES256), 4: byte string of eight …
var signedHead = []byte{0x84, 0x4d, 0xa2, 0x01, 0x26, 0x04, 0x48}

func take(s *cryptobyte.String, n int) (b []byte, ok bool) {
	ok = s.ReadBytes(&b, n)
	return b, ok
}

// headers: the protected header has exactly alg and kid, the unprotected one
// nothing.
func headers(kid [kidSize]byte) cose.Headers {
	return cose.Headers{
		Protected: cose.ProtectedHeader{
			cose.HeaderLabelAlgorithm: cose.AlgorithmES256,
			cose.HeaderLabelKeyID:     kid[:],
		},
		Unprotected: cose.UnprotectedHeader{},
	}
}

// pad: the COSE_Sign1, 0x80, then zeros to 220.
func pad(signed []byte) []byte {
	plain := make([]byte, plainSize)
	copy(plain, signed)
	plain[len(signed)] = 0x80
	return plain
}

func unpad(plain []byte) ([]byte, bool) {
	if len(plain) != plainSize {
		return nil, false
	}
	rest := bytes.TrimRight(plain, "\x00")
	if len(rest) == 0 || rest[len(rest)-1] != 0x80 {
		return nil, false
	}
	return rest[:len(rest)-1], true
}

// sign makes the COSE_Sign1 (RFC 9052 §4.4) and verifies it before anybody else
// does: a signer that answers with something else is found out here.
func sign(data []byte, kid [kidSize]byte, key crypto.Signer, external []byte) ([]byte, error) {
	m := cose.UntaggedSign1Message{Headers: headers(kid), Payload: data}
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrSigner
	}
	if err := m.Sign(rand.Reader, external, es256Signer{key}); err != nil {
		return nil, fmt.Errorf("card: sign: %w", err)
	}
	if !verify(&m, external, public) {
		return nil, ErrSigner
	}
	b, err := m.MarshalCBOR()
	if err != nil {
		return nil, fmt.Errorf("card: encode signed claims: %w", err)
	}
	return b, nil
}

// verify checks the signature of a COSE_Sign1 under one key.
func verify(m *cose.UntaggedSign1Message, external []byte, public *ecdsa.PublicKey) bool {
	v, ok := es256Verifier(public)
	return ok && m.Verify(external, v) == nil
}

// es256Verifier is false for a key that is not on P-256. It takes r ‖ s of
// exactly 64 bytes (RFC 9053 §2.1), with both values of s.
func es256Verifier(public *ecdsa.PublicKey) (cose.Verifier, bool) {
	if public == nil || public.Curve != elliptic.P256() {
		return nil, false
	}
	v, err := cose.NewVerifier(cose.AlgorithmES256, public)
	return v, err == nil
}

// es256Signer turns the ASN.1 that a crypto.Signer promises into r ‖ s. The one
// of go-cose passes no hash to the signer, and signers outside this process
// refuse that.
type es256Signer struct{ key crypto.Signer }

func (es256Signer) Algorithm() cose.Algorithm { return cose.AlgorithmES256 }

func (s es256Signer) Sign(random io.Reader, content []byte) ([]byte, error) {
	// Whole, so that a signer elsewhere can read what it signs.
	der, err := crypto.SignMessage(s.key, random, content, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var r, t big.Int
	var pair cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&pair, asn1.SEQUENCE) || !input.Empty() ||
		!pair.ReadASN1Integer(&r) || !pair.ReadASN1Integer(&t) || !pair.Empty() {
		return nil, ErrSigner
	}
	out := make([]byte, signatureSize)
	if cose.I2OSP(&r, out[:signatureSize/2]) != nil || cose.I2OSP(&t, out[signatureSize/2:]) != nil {
		return nil, ErrSigner
	}
	return out, nil
}

// ReadInput reads what is about to be signed for a card: the Sig_structure of its
// COSE_Sign1 (RFC 9052 §4.4), of which there is one way to write it. What it is
// bound to (docs/card.md, Signed content) is a secret of code and envelope.
func ReadInput(input []byte) (kid [8]byte, c Claims, ok bool) {
	var s struct {
		_         struct{} `cbor:",toarray"`
		Context   string
		Protected []byte
		External  []byte
		Payload   []byte
	}
	if decoding.Unmarshal(input, &s) != nil || s.Context != "Signature1" || !bytes.HasPrefix(s.External, []byte(label)) {
		return kid, c, false
	}
	if again, err := encoding.Marshal(s); err != nil || !bytes.Equal(again, input) {
		return kid, c, false
	}
	head := signedHead[2:]
	if len(s.Protected) != len(head)+kidSize || !bytes.HasPrefix(s.Protected, head) {
		return kid, c, false
	}
	c, ok = readClaims(s.Payload)
	return [8]byte(s.Protected[len(head):]), c, ok
}
