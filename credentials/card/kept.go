package card

import (
	"crypto/ed25519"
	"crypto/subtle"
	"fmt"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Kept is what is kept of a card by which its code is known again when the card
// itself is not at hand: Sealed.Salt, the netKey of the epoch, and
// Sealed.OpenKey. It is for the service's own faces: it opens nothing.
//
// Whoever has all three can try codes at the price of one Argon2id each
// (docs/threat-model.md, Number and code together).
type Kept struct {
	Salt    []byte // 16 bytes
	NetKey  []byte // 32 bytes
	OpenKey ed25519.PublicKey
}

// Sign reports whether code is the code of the card, and has the card's own key sign a
// message if it is: what a device does with card and code, where nobody has read the
// card. The key is gone when it returns. A message says in its first bytes what it is
// for; of an empty one no signature is given out.
//
// It takes one Argon2id and one signature whatever it is given, and does not know the
// parts that are missing or unusable: the zero Kept stands for a card that there is not,
// and no answer comes sooner for it.
func (k Kept) Sign(code Code, message []byte) (signature []byte, known bool) {
	whole := len(k.Salt) == saltSize && usable(k.NetKey) && len(k.OpenKey) == ed25519.PublicKeySize && !code.IsZero()
	if !whole {
		code = Code{private.New("0000000000")}
		k = Kept{Salt: make([]byte, saltSize), NetKey: make([]byte, keySize), OpenKey: make([]byte, ed25519.PublicKeySize)}
	}
	stretched := stretchSalted(code, k.Salt)
	defer clear(stretched)
	m, err := newMaster(stretched, k.NetKey)
	if err != nil {
		return nil, false
	}
	defer m.wipe()
	seed, err := m.derive(useOpen)
	if err != nil {
		return nil, false
	}
	defer clear(seed)
	key := ed25519.NewKeyFromSeed(seed)
	defer clear(key)
	signature = ed25519.Sign(key, message)
	known = subtle.ConstantTimeCompare(key[ed25519.SeedSize:], k.OpenKey) == 1 && whole
	if !known || len(message) == 0 {
		return nil, known
	}
	return signature, true
}

// Format shows a mask: with the keys codes can be tried.
func (Kept) Format(f fmt.State, _ rune) { mask(f) }
