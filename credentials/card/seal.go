package card

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Sealed is a card that was just made, and what its issuer keeps of it.
type Sealed struct {
	Card      Card
	OpenKey   ed25519.PublicKey // proves the holder's consent online; the only thing of the code that the service keeps
	Salt      []byte            // of the code's stretch, which is public on the card
	Shortened bool              // names were shortened to fit
	Claims    Claims            // what the card says, with the shortened name
}

// Seal signs the claims and seals them to an epoch and a code. kid is the key id
// that the trust list gives the agency's key. The key is a crypto.Signer on
// P-256 that answers in ASN.1. random gives the encapsulation seed; nil means
// crypto/rand, and a reader that repeats itself breaks the seal.
//
// Claims that Validate refuses are an *InvalidError. Names that do not fit are
// shortened and Shortened is set; claims that do not fit even then are
// ErrTooLong. No code is ErrCode, bad epoch keys are ErrKeys.
func Seal(claims Claims, keys SealKeys, code Code, kid [8]byte, key crypto.Signer, random io.Reader) (Sealed, error) {
	if err := keys.check(); err != nil {
		return Sealed{}, err
	}
	if code.IsZero() {
		return Sealed{}, ErrCode
	}
	if problems := claims.Validate(); len(problems) > 0 {
		return Sealed{}, &InvalidError{problems}
	}
	claims, data, err := fit(claims)
	if err != nil {
		return Sealed{}, err
	}
	if random == nil {
		random = rand.Reader
	}
	e, err := encapsulate(keys.Public, random)
	if err != nil {
		return Sealed{}, err
	}
	defer e.wipe()
	stretched := stretch(code, e.enc)
	defer clear(stretched)
	s, err := seal(data, keys, e, stretched, kid, key)
	if err != nil {
		return Sealed{}, err
	}
	s.Claims, s.Shortened = claims, claims.NamesShortened
	return s, nil
}

// seal is everything after the stretch: sign, encrypt, tag.
func seal(data []byte, keys SealKeys, e *encapsulation, stretched []byte, kid [8]byte, key crypto.Signer) (Sealed, error) {
	m, err := newMaster(stretched, keys.NetKey)
	if err != nil {
		return Sealed{}, err
	}
	defer m.wipe()

	external, err := externalAAD(keys.Epoch, e.enc, m)
	if err != nil {
		return Sealed{}, err
	}
	signed, err := sign(data, kid, key, external)
	if err != nil {
		return Sealed{}, err
	}
	if len(signed) > maxSigned {
		return Sealed{}, ErrTooLong
	}

	psk, err := m.derive(usePSK)
	if err != nil {
		return Sealed{}, err
	}
	defer clear(psk)
	sealer, err := e.sealer(hpkeInfo(keys.Epoch), psk, []byte(pskID))
	if err != nil {
		return Sealed{}, err
	}
	ciphertext, err := sealer.Seal(pad(signed), nil)
	if err != nil {
		return Sealed{}, fmt.Errorf("card: seal: %w", err)
	}

	seed, err := m.derive(useOpen)
	if err != nil {
		return Sealed{}, err
	}
	defer clear(seed)
	open := ed25519.NewKeyFromSeed(seed)
	defer clear(open)

	s := Sealed{OpenKey: ed25519.PublicKey(append([]byte(nil), open[32:]...)), Salt: salt(e.enc)}
	tag := tagOf(keys.TagKey, e.enc, ciphertext)
	b := append(append(append(s.Card[:0], tag[:]...), e.enc...), ciphertext...)
	if len(b) != Size {
		return Sealed{}, ErrTooLong // cannot happen with this suite; a card is never another size
	}
	return s, nil
}

// fit encodes claims, with the name shortened if they do not fit otherwise.
func fit(c Claims) (Claims, []byte, error) {
	data, err := c.encode()
	if err != nil || len(data) <= maxPayload {
		return c, data, err
	}
	if c.Blank {
		return c, nil, ErrTooLong
	}
	c.NamesShortened = true
	_, ok := shorten(c.Name.Reveal(), func(name string) bool {
		c.Name = private.New(name)
		data, err = c.encode()
		return err == nil && len(data) <= maxPayload
	})
	if err != nil {
		return c, nil, err
	}
	if !ok {
		return c, nil, ErrTooLong
	}
	return c, data, nil
}
