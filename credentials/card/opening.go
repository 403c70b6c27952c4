package card

import (
	"crypto/ed25519"
	"encoding/binary"
	"strconv"
	"strings"
)

// Opening is what somebody asks for who wants to read a record online, and what the
// open key of the holder's card signs (docs/card.md, Opening a record online).
type Opening struct {
	Nonce   string // the service's
	Device  string // id; empty where the service itself was given number and code
	Agency  string // id
	Record  string // id
	Purpose string
	Parts   []string
	Minute  int64 // minutes since 1970-01-01 UTC
}

// openingLabel is the first field of the message, and its version.
const openingLabel = "safeconduct/open/1"

// Message is what is signed: the label safeconduct/open/1 and then nonce, device, agency,
// record, purpose, parts joined by commas, and minute in decimal, each with its length in
// bytes in front of it as four bytes, big-endian. The label has no length in front.
func (o Opening) Message() []byte {
	return LengthPrefixed(openingLabel, o.Nonce, o.Device, o.Agency, o.Record, o.Purpose, strings.Join(o.Parts, ","), strconv.FormatInt(o.Minute, 10))
}

// LengthPrefixed is label ‖ for each field its length in bytes as four bytes, big-endian ‖
// field. No two lists of fields give the same bytes under one label.
func LengthPrefixed(label string, fields ...string) []byte {
	b := []byte(label)
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f))) //nolint:gosec // fields are far below 4 GiB
		b = append(b, f...)
	}
	return b
}

// Sign signs an opening with a seed that derive gave, OpenSeed. Nothing else is signed
// with it but what the holder said.
func (o Opening) Sign(seed []byte) []byte {
	key := ed25519.NewKeyFromSeed(seed)
	defer clear(key)
	return ed25519.Sign(key, o.Message())
}
