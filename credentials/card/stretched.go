//go:build js || stretched

package card

// This file is for the browser, where another library stretches the code three
// times as fast, and for test runs that stretch once. Elsewhere only the whole
// is exported, so that nobody can leave the stretch out.

// The Argon2id parameters of this version, for a library outside Go: passes,
// memory in KiB, lanes and bytes of output.
const (
	StretchPasses = stretchPasses
	StretchKiB    = stretchKiB
	StretchLanes  = stretchLanes
	StretchSize   = stretchSize
)

// Salt is the 16 bytes that Argon2id is salted with for this card. The password
// is what Code.Reveal returns.
func Salt(c Card) []byte { return salt(c.enc()) }

// Stretch is the slow half of Open. It returns 32 bytes.
func Stretch(c Card, code Code) ([]byte, error) {
	if code.IsZero() {
		return nil, ErrCode
	}
	return stretch(code, c.enc()), nil
}

// OpenStretched is the rest of Open, with the same errors.
func OpenStretched(c Card, keys OpenKeys, stretched []byte) (*Opened, error) {
	if err := c.openable(keys); err != nil {
		return nil, err
	}
	if len(stretched) != stretchSize {
		return nil, ErrCode
	}
	return open(c, keys, stretched)
}
