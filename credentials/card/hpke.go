package card

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/kem"
)

// The wrapper around HPKE (RFC 9180) in mode_psk. Go's crypto/hpke has base mode
// only, so this is cloudflare/circl, and nothing else here sees it.
var (
	suite     = hpke.NewSuite(hpke.KEM_X25519_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_ChaCha20Poly1305)
	kemScheme = hpke.KEM_X25519_HKDF_SHA256.Scheme()
)

// errSeed: the library read another seed than the one that enc was made from, or
// the seed was used and wiped before.
var errSeed = errors.New("card: hpke set-up gives another enc")

// An encapsulation is one fresh seed and the enc it gives. The code, the
// signature and the ciphertext all depend on enc, so it is known before there is
// anything to encrypt. A seed serves one card: two plaintexts under one seed and
// code would repeat a nonce.
type encapsulation struct {
	seed   [32]byte
	public kem.PublicKey
	enc    []byte
}

// encapsulate draws a seed and computes enc for the epoch's public key.
func encapsulate(public []byte, random io.Reader) (*encapsulation, error) {
	pk, err := kemScheme.UnmarshalBinaryPublicKey(public)
	if err != nil {
		return nil, ErrKeys
	}
	e := &encapsulation{public: pk}
	if _, err := io.ReadFull(random, e.seed[:]); err != nil {
		return nil, fmt.Errorf("card: draw an encapsulation seed: %w", err)
	}
	enc, secret, err := kemScheme.EncapsulateDeterministically(pk, e.seed[:])
	clear(secret)
	if err != nil {
		e.wipe()
		return nil, ErrKeys // a low-order public key (RFC 9180 §7.1.4)
	}
	e.enc = enc
	return e, nil
}

// sealer sets up mode_psk from the same seed, once: the seed is wiped, and a
// second call would find another enc and refuse.
func (e *encapsulation) sealer(info, psk, pskID []byte) (hpke.Sealer, error) {
	defer e.wipe()
	sender, err := suite.NewSender(e.public, info)
	if err != nil {
		return nil, fmt.Errorf("card: hpke sender: %w", err)
	}
	enc, s, err := sender.SetupPSK(bytes.NewReader(e.seed[:]), psk, pskID)
	if err != nil {
		return nil, fmt.Errorf("card: hpke set-up: %w", err)
	}
	if subtle.ConstantTimeCompare(enc, e.enc) != 1 {
		return nil, errSeed
	}
	return s, nil
}

// wipe clears the seed. Copies that the library made on its own stack and heap
// are out of reach.
func (e *encapsulation) wipe() { clear(e.seed[:]) }

// receiverKey parses a private key and computes its public half, which HPKE
// needs on every opening.
func receiverKey(private []byte) (kem.PrivateKey, error) {
	sk, err := kemScheme.UnmarshalBinaryPrivateKey(private)
	if err != nil {
		return nil, ErrKeys
	}
	sk.Public() // circl keeps it; computed here, it is only read afterwards
	return sk, nil
}

// opener sets up the receiving side. It is false for a low-order enc too.
func opener(sk kem.PrivateKey, enc, info, psk, pskID []byte) (hpke.Opener, bool) {
	receiver, err := suite.NewReceiver(sk, info)
	if err != nil {
		return nil, false
	}
	o, err := receiver.SetupPSK(enc, psk, pskID)
	return o, err == nil
}
