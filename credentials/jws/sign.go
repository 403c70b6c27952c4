package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Header is the protected header of a token to be made; alg is always ES256.
type Header struct {
	Type  string // typ, required
	KeyID string // kid; "" leaves it out, which only key binding does
}

// Sign makes a token with the header h, and checks its signature before it is
// returned: a keystore that answers with another request's signature, or with
// noise, must not get it published. What comes back wrong is ErrSigner.
func (h Header) Sign(key crypto.Signer, payload []byte) (string, error) {
	token, err := h.sign(key, payload)
	if err != nil {
		return "", err
	}
	pub, err := public(key)
	if err != nil {
		return "", err
	}
	m, err := Profile{Max: len(token), Types: []string{h.Type}, KeyID: KeyIDOptional}.Parse(token)
	if err != nil {
		return "", err
	}
	if _, err := m.Verify(pub); err != nil {
		return "", ErrSigner
	}
	return token, nil
}

// SignHere makes a token as Sign does, but checks the signature only if key
// is not a plain *ecdsa.PrivateKey. A signer that stands for a key elsewhere
// (a keystore, another process) may answer with anything; the standard
// library, computing here from the digest it is given, does not, and a check
// costs twice what the signature does.
func (h Header) SignHere(key crypto.Signer, payload []byte) (string, error) {
	if _, here := key.(*ecdsa.PrivateKey); !here {
		return h.Sign(key, payload)
	}
	return h.sign(key, payload)
}

func (h Header) sign(key crypto.Signer, payload []byte) (string, error) {
	if err := h.valid(); err != nil {
		return "", err
	}
	if _, err := public(key); err != nil {
		return "", err
	}
	options := new(jose.SignerOptions).WithType(jose.ContentType(h.Type))
	if h.KeyID != "" {
		options.WithHeader("kid", h.KeyID)
	}
	o := opaque{key: key}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: &o}, options)
	if err != nil {
		return "", fmt.Errorf("jws: sign: %w", err)
	}
	if _, err := signer.Sign(payload); err != nil {
		return "", fmt.Errorf("jws: sign: %w", err)
	}
	return o.token, nil
}

// opaque lets go-jose sign with any crypto.Signer, and keeps the token: the
// very text that was signed, which go-jose would write a second time from the
// header and the payload.
type opaque struct {
	key   crypto.Signer
	token string
}

// Public names no key: the header says what is to be said about it.
func (*opaque) Public() *jose.JSONWebKey { return nil }

// Algs is the one algorithm there is.
func (*opaque) Algs() []jose.SignatureAlgorithm { return algorithms }

// SignPayload returns r and s of the signing input (RFC 7515 §5.1 step 5).
func (o *opaque) SignPayload(input []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	// Whole, so that a signer elsewhere can read what it signs; one that is here
	// hashes it.
	der, err := crypto.SignMessage(o.key, rand.Reader, input, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signature, err := raw(der)
	if err != nil {
		return nil, err
	}
	o.token = string(input) + "." + base64.RawURLEncoding.EncodeToString(signature)
	return signature, nil
}

// valid reports whether h can be written and read back.
func (h Header) valid() error {
	if h.KeyID != "" && !ValidKeyID(h.KeyID) {
		return errors.New("jws: sign: kid is not of our form")
	}
	if h.Type == "" || strings.Trim(h.Type, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return errors.New("jws: sign: typ is not a media type in small letters")
	}
	return nil
}

// public returns the public half of key, which must be a P-256 key.
func public(key crypto.Signer) (*ecdsa.PublicKey, error) {
	if key == nil {
		return nil, errors.New("jws: sign: no key")
	}
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub == nil || pub.Curve != elliptic.P256() {
		return nil, errors.New("jws: sign: key is not a P-256 key")
	}
	return pub, nil
}

// ErrSigner says that a signer answered with something that is not its
// signature over what it was asked to sign.
var ErrSigner = errors.New("jws: signer answered with a wrong signature")

// raw turns an ASN.1 signature over P-256 into r and s, 32 bytes each (RFC
// 7518 §3.4). Anything but one sequence of two such numbers is ErrSigner.
func raw(der []byte) ([]byte, error) {
	out := make([]byte, signatureSize)
	input := cryptobyte.String(der)
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() {
		return nil, ErrSigner
	}
	for _, half := range [][]byte{out[:32], out[32:]} {
		var n []byte
		if !seq.ReadASN1Integer(&n) || len(n) > 32 {
			return nil, ErrSigner
		}
		copy(half[32-len(n):], n)
	}
	if !seq.Empty() {
		return nil, ErrSigner
	}
	return out, nil
}
