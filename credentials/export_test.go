package credentials

import (
	"fmt"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// known remembers what a stretch has led to: the same code of the same card is
// tried many times by tests, and stretching it is most of what they cost.
var known = map[string]bool{}

// CountStretches counts the codes that f has stretched: Kept.Knows takes one
// Argon2id whatever it is given, which package card tests.
func CountStretches(f func()) int {
	n, before := 0, knows
	knows = func(k card.Kept, code card.Code) bool {
		n++
		key := fmt.Sprintf("%x %x %x %q", k.Salt, k.NetKey, k.OpenKey, code.Reveal())
		found, there := known[key]
		if !there {
			found = before(k, code)
			known[key] = found
		}
		return found
	}
	defer func() { knows = before }()
	f()
	return n
}

// WithoutStretching has every code be the right one of a card that there is, while f
// runs: what is counted beside it is seen sooner.
func WithoutStretching(f func()) {
	before := knows
	knows = func(k card.Kept, _ card.Code) bool { return len(k.Salt) > 0 }
	defer func() { knows = before }()
	f()
}
