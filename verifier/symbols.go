package verifier

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"golang.org/x/crypto/argon2"

	"github.com/safeconduct/safeconduct/credentials/jws"
)

// SymbolAlphabet are the 32 characters that Symbols are written in. 0, 1, I and
// O are not among them, because people read them for one another.
const SymbolAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

// SymbolCount is how many symbols a device shows: 30 bits.
const SymbolCount = 6

// What Symbols are derived under, and at what cost. The cost is that of a card's
// code: half of 2^30 guesses are worth some core-years, or days of a graphics
// card, where an enrolment takes minutes (docs/decisions/0012-devices.md).
const (
	symbolLabel  = "safeconduct/device-symbols/1"
	symbolPasses = 3
	symbolKiB    = 64 * 1024
	symbolLanes  = 1
	symbolSize   = 32
)

var networkForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// argon2id is a variable so that test runs can make it cheap (light.go).
var argon2id = argon2.IDKey

// Symbols are the six characters by which two people see that the device in
// front of them and the one that the network is about to trust are the same,
// and that both mean the same network: they stand for the network's id, its root
// key and the device's public key. It takes one Argon2id, so that nobody who
// puts another key in between finds one with equal symbols in time.
//
// With label = "safeconduct/device-symbols/1", network = the id as 32 hex digits
// in ASCII, thumbprint = the 32 bytes of the root key's SHA-256 thumbprint (RFC
// 7638), and public = the MLKEM768-X25519 public key (1,216 bytes):
//
//	password = SHA-256(label ‖ network ‖ thumbprint ‖ public)
//	salt     = first 16 bytes of SHA-256(label ‖ "/salt" ‖ network)
//	out      = Argon2id(password, salt; t = 3, m = 64 MiB, p = 1, 0x13, 32 bytes)
//
// and the first 30 bits of out, five at a time and the highest first, each name
// a character of SymbolAlphabet.
func Symbols(network string, root json.RawMessage, public []byte) (string, error) {
	if !networkForm.MatchString(network) {
		return "", errors.New("symbols: the network id is not 32 hex digits")
	}
	key, err := jws.ParseKey(root)
	if err != nil {
		return "", fmt.Errorf("symbols: root key: %w", err)
	}
	// Every part has one length, so that no two triples give the same bytes.
	if _, err := hpke.MLKEM768X25519().NewPublicKey(public); err != nil {
		return "", errors.New("symbols: not an MLKEM768-X25519 public key")
	}
	h := sha256.New()
	h.Write([]byte(symbolLabel + network)) // a hash never returns an error
	h.Write(jws.Thumbprint(key))
	h.Write(public)
	salt := sha256.Sum256([]byte(symbolLabel + "/salt" + network))
	return spell(argon2id(h.Sum(nil), salt[:16], symbolPasses, symbolKiB, symbolLanes, symbolSize)), nil
}

// spell writes the first 30 bits as six characters.
func spell(b []byte) string {
	bits := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	var out [SymbolCount]byte
	for i := range out {
		out[i] = SymbolAlphabet[bits>>(32-5*(i+1))&31]
	}
	return string(out[:])
}

// agencySymbolLabel is what AgencySymbols are derived under.
const agencySymbolLabel = "safeconduct/agency-symbols/1"

// AgencySymbols are six characters that stand for an agency of a network beside its
// name, which anybody may choose: the first 30 bits of
//
//	SHA-256("safeconduct/agency-symbols/1" ‖ network ‖ agency)
//
// written as those of Symbols are, where network and agency are the two ids as they
// stand in the trust list. Who stands before an officer cannot choose them: ids are
// drawn by the service, and an agency is admitted by people who see them.
func AgencySymbols(network, agency string) string {
	sum := sha256.Sum256([]byte(agencySymbolLabel + network + agency))
	return spell(sum[:])
}
