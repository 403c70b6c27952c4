package credentials

import (
	"fmt"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// known remembers what a stretch has led to: the same code of the same card is
// tried many times by tests, and stretching it is most of what they cost.
var known = map[string]struct {
	signature []byte
	known     bool
}{}

// CountStretches counts the codes that f has stretched: Kept.Sign takes one
// Argon2id and one signature whatever it is given, which package card tests.
func CountStretches(f func()) int {
	n, before := 0, signs
	signs = func(k card.Kept, code card.Code, message []byte) ([]byte, bool) {
		n++
		key := fmt.Sprintf("%x %x %x %q %x", k.Salt, k.NetKey, k.OpenKey, code.Reveal(), message)
		found, there := known[key]
		if !there {
			found.signature, found.known = before(k, code, message)
			known[key] = found
		}
		return found.signature, found.known
	}
	defer func() { signs = before }()
	f()
	return n
}

// WithoutStretching has one code be the right one of every card that there is, while f
// runs: what is counted beside it is seen sooner.
func WithoutStretching(right string, f func()) {
	before := signs
	signs = func(k card.Kept, code card.Code, _ []byte) ([]byte, bool) {
		return nil, len(k.Salt) > 0 && code.Reveal() == right
	}
	defer func() { signs = before }()
	f()
}
