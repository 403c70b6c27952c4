package card

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/veraison/go-cose"
)

// Opened is a card that opened with the right code. Until Verify has said yes
// for a key that the trust list gives this KeyID, nobody is known to have said
// what it holds.
type Opened struct {
	content  *content
	external []byte
	seed     []byte
}

// Open opens a card with the keys of its epoch, which Match finds, and the
// holder's code. It takes one Argon2id, about 150 ms and 64 MiB.
//
// A code that does not open it, or a low-order enc, is ErrWrongCode. A card that
// opens and breaks the format is ErrContent. No code is ErrCode, keys of another
// epoch are ErrNotOurs, unusable ones ErrKeys; these three cost no Argon2id.
func Open(c Card, keys OpenKeys, code Code) (*Opened, error) {
	if err := c.openable(keys); err != nil {
		return nil, err
	}
	if code.IsZero() {
		return nil, ErrCode
	}
	stretched := stretch(code, c.enc())
	defer clear(stretched)
	return open(c, keys, stretched)
}

// openable is what can be refused before the stretch.
func (c *Card) openable(keys OpenKeys) error {
	if err := keys.check(); err != nil {
		return err
	}
	if c.taggedBy(keys.TagKey) != 1 {
		return ErrNotOurs
	}
	return nil
}

// open is everything after the stretch (docs/card.md, Opening, steps 3 and 4,
// up to the signature).
func open(c Card, keys OpenKeys, stretched []byte) (*Opened, error) {
	m, err := newMaster(stretched, keys.NetKey)
	if err != nil {
		return nil, err
	}
	defer m.wipe()

	psk, err := m.derive(usePSK)
	if err != nil {
		return nil, err
	}
	defer clear(psk)
	sk := keys.parsed
	if sk == nil {
		if sk, err = receiverKey(keys.Private); err != nil {
			return nil, err
		}
	}
	o, ok := opener(sk, c.enc(), hpkeInfo(keys.Epoch), psk, []byte(pskID))
	if !ok {
		return nil, ErrWrongCode
	}
	plain, err := o.Open(c.ciphertext(), nil)
	if err != nil {
		return nil, ErrWrongCode
	}
	read, ok := readContent(plain)
	if !ok {
		return nil, ErrContent
	}
	external, err := externalAAD(keys.Epoch, c.enc(), m)
	if err != nil {
		return nil, err
	}
	seed, err := m.derive(useOpen)
	if err != nil {
		return nil, err
	}
	return &Opened{read, external, seed}, nil
}

// KeyID is the key id the card names. Every live key that the trust list gives
// this id is tried: two agencies may share one.
func (o *Opened) KeyID() [8]byte { return o.content.kid }

// Verify reports whether this key signed the card for this code and envelope. A
// key that is nil or not on P-256 never did.
func (o *Opened) Verify(public *ecdsa.PublicKey) bool {
	return verify(&o.content.message, o.external, public)
}

// Digest is the SHA-256 of the COSE Sig_structure (RFC 9052 §4.4) that the
// signature covers, and so of what the agency's key was asked to sign. The log
// holds it, and after a key was stolen it tells what had been signed before.
func (o *Opened) Digest() [32]byte {
	var d digester
	// The digester takes whatever there is, so that nothing can go wrong here:
	// reading the card has made sure of payload and signature.
	_ = o.content.message.Verify(o.external, &d)
	return d.sum
}

// digester stands where go-cose expects a key, because the library hands the
// Sig_structure to nobody else.
type digester struct{ sum [32]byte }

func (*digester) Algorithm() cose.Algorithm { return cose.AlgorithmES256 }

func (d *digester) Verify(content, _ []byte) error {
	d.sum = sha256.Sum256(content)
	return nil
}

// Claims are what the card says. They mean nothing before Verify.
func (o *Opened) Claims() Claims { return o.content.claims }

// OpenKey is the key that proves the holder's consent when a record is opened
// online. The service knows its public half from the sealing.
func (o *Opened) OpenKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(o.seed) }

// OpenSeed is the seed of OpenKey. Who only keeps it, or passes it on, spares
// the making of the key.
func (o *Opened) OpenSeed() []byte { return bytes.Clone(o.seed) }
