package copies

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

// Recipient is what opens a copy: a passphrase, or a key that the holder brings.
type Recipient struct {
	age  age.Recipient
	kind vault.CopyTo
}

const (
	// workFactor is scrypt's, as a power of two: 64 MiB and a fifth of a second. age's own
	// tool takes 256 MiB, which the browser of a small telephone does not have.
	workFactor = 16
	// A passphrase can be tried for ever by whoever finds the file: four words.
	minPassphrase = 16
	maxPassphrase = 256 // bytes
	// maxRecipient bounds a recipient: a hybrid one has 1,959 characters.
	maxRecipient = 2048
)

// ForPassphrase is a copy that a passphrase opens, as it was typed. at is where the
// passphrase stands in the input. The error is an *invalid.Error.
func ForPassphrase(at string, passphrase private.String) (Recipient, error) {
	text := passphrase.Reveal()
	unseen := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case len(text) > maxPassphrase:
		return Recipient{}, invalid.One(at, invalid.CodeTooLong, "is at most 256 bytes")
	case !utf8.ValidString(text), strings.ContainsFunc(text, unseen), strings.TrimSpace(text) != text:
		return Recipient{}, invalid.One(at, invalid.CodeFormat, "is what can be written on paper: no tabs, no line ends, no spaces at its ends")
	case utf8.RuneCountInString(text) < minPassphrase:
		return Recipient{}, invalid.One(at, invalid.CodeRange, "is at least 16 characters: four words or more")
	}
	r, err := age.NewScryptRecipient(text)
	if err != nil {
		return Recipient{}, invalid.One(at, invalid.CodeFormat, "is a passphrase")
	}
	r.SetWorkFactor(workFactor)
	return Recipient{r, vault.ToPassphrase}, nil
}

// ParseRecipient reads a recipient of age's own two kinds: age1… (X25519) and age1pq…
// (hybrid, post-quantum). A plugin's is refused: it would run a program that its name
// chooses. at is where it stands in the input. The error is an *invalid.Error and repeats
// nothing.
func ParseRecipient(at, text string) (Recipient, error) {
	refused := invalid.One(at, invalid.CodeFormat, "is a recipient of age, age1… or age1pq…, and no plugin's")
	if len(text) > maxRecipient {
		return Recipient{}, refused
	}
	var to Recipient
	if r, err := age.ParseHybridRecipient(text); err == nil {
		to = Recipient{r, vault.ToHybrid}
	} else if r, err := age.ParseX25519Recipient(text); err == nil {
		to = Recipient{r, vault.ToX25519}
	} else {
		return Recipient{}, refused
	}
	// A point of low order is a key for nobody, and is found only when it is used.
	if _, err := to.age.Wrap(make([]byte, 16)); err != nil {
		return Recipient{}, refused
	}
	return to, nil
}
