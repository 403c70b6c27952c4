package card

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// The cost of trying a code, fixed per version and never read from a card.
const (
	stretchPasses = 3
	stretchKiB    = 64 * 1024
	stretchLanes  = 1
	stretchSize   = 32
	saltSize      = 16

	pskID = "safeconduct/code/1"
)

// argon2id is a variable so that a test can count its calls: one per attempt.
var argon2id = argon2.IDKey

// salt is the first 16 bytes of SHA-256(label ‖ "/salt" ‖ enc).
func salt(enc []byte) []byte {
	h := sha256.Sum256(append([]byte(label+"/salt"), enc...))
	return h[:saltSize]
}

// stretch is the slow half of every attempt: Argon2id over the code.
func stretch(code Code, enc []byte) []byte {
	return stretchSalted(code, salt(enc))
}

func stretchSalted(code Code, salt []byte) []byte {
	return argon2id([]byte(code.Reveal()), salt, stretchPasses, stretchKiB, stretchLanes, stretchSize)
}

// master is the HKDF key of stretched code ‖ netKey. With netKey what is derived
// from it has the 32 bytes of entropy that RFC 9180 §5.1.2 asks of a psk; the code
// alone has not.
type master []byte

// newMaster does the extract step, with an empty salt, once for all uses.
func newMaster(stretched, netKey []byte) (master, error) {
	var ikm [stretchSize + keySize]byte
	defer clear(ikm[:])
	copy(ikm[:stretchSize], stretched)
	copy(ikm[stretchSize:], netKey)
	prk, err := hkdf.Extract(sha256.New, ikm[:], nil)
	if err != nil {
		return nil, fmt.Errorf("card: derive: %w", err)
	}
	return prk, nil
}

func (m master) wipe() { clear(m) }

// The three uses of a master.
const (
	usePSK  = "psk"  // HPKE pre-shared key
	useBind = "bind" // ties the signature to this code and envelope
	useOpen = "open" // Ed25519 seed that proves consent to open a record online
)

// derive is the expand step, with info label ‖ "/" ‖ use, for 32 bytes.
func (m master) derive(use string) ([]byte, error) {
	k, err := hkdf.Expand(sha256.New, m, label+"/"+use, 32)
	if err != nil {
		return nil, fmt.Errorf("card: derive %s: %w", use, err)
	}
	return k, nil
}

// hpkeInfo is label ‖ id4.
func hpkeInfo(epoch uint32) []byte {
	return append([]byte(label), epochID(epoch)...)
}

// externalAAD is label ‖ id4 ‖ enc ‖ derive(bind): a signature belongs to its
// code and envelope, and somebody with the epoch keys cannot move it under a
// code of his own.
func externalAAD(epoch uint32, enc []byte, m master) ([]byte, error) {
	bind, err := m.derive(useBind)
	if err != nil {
		return nil, err
	}
	return append(append(hpkeInfo(epoch), enc...), bind...), nil
}
