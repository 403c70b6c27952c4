package card

import (
	"crypto/ed25519"
	"fmt"
	"strconv"
	"strings"
)

// Consent is what a holder is asked who is to let another agency read something of hers,
// and what the open key of her card signs when she says yes (docs/consent.md).
type Consent struct {
	Nonce    string // the service's
	Keeper   string // id of the agency that keeps her case
	Agency   string // id of the one that is to read
	Record   string // id
	Purpose  string
	Parts    []string
	Until    string // the last day, YYYY-MM-DD
	Readings int    // how many she leaves for the agency
	Text     [32]byte
	Minute   int64 // minutes since 1970-01-01 UTC
}

// consentLabel is the first field of the message, and its version.
const consentLabel = "safeconduct/consent/1"

// Message is what is signed: the label safeconduct/consent/1 and then nonce, keeper,
// agency, record, purpose, parts joined by commas, the last day, how many readings are
// left, the SHA-256 of the text that she was read in hex, and minute in decimal, each with
// its length in bytes in front of it as four bytes, big-endian. The label has no length in
// front.
func (c Consent) Message() []byte {
	return LengthPrefixed(consentLabel, c.Nonce, c.Keeper, c.Agency, c.Record, c.Purpose, strings.Join(c.Parts, ","), c.Until,
		strconv.Itoa(c.Readings), fmt.Sprintf("%x", c.Text), strconv.FormatInt(c.Minute, 10))
}

// Sign signs a consent with a seed that derive gave, OpenSeed.
func (c Consent) Sign(seed []byte) []byte {
	key := ed25519.NewKeyFromSeed(seed)
	defer clear(key)
	return ed25519.Sign(key, c.Message())
}
