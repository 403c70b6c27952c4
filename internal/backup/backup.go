// Package backup is the file that a backup is: one age file for people who
// keep their keys offline, in it a tar archive, and at its end a signed
// manifest that names every part. Any machine with age and tar can look inside;
// nobody without one of the keys can, now or when computers have changed.
//
// A reader believes nothing before it has seen everything: parts that the
// manifest does not name, in another order, of another size or another digest,
// bytes behind the end, or no manifest at all, and the whole is refused. What
// the manifest's signature must be is asked of the caller, who has the key.
//
// What is in a part, when it was true, and where it goes when a network is
// restored is left to others; so is where the file lies, and for how long.
package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Conditions that a caller can act on.
var (
	// ErrRecipients says that a file of recipients does not serve: fewer than
	// two different ones, or one that is not hybrid.
	ErrRecipients = errors.New("backup: at least two different recipients, each beginning with " + recipientPrefix)

	// ErrIdentity says that a file holds no hybrid identity.
	ErrIdentity = errors.New("backup: no identity, which would begin with " + identityPrefix)

	// ErrWrongIdentity says that the backup was not made for this identity.
	ErrWrongIdentity = errors.New("backup: the identity does not open this backup")

	// ErrDamaged says that the file is not what was written. Nothing of it may
	// be used.
	ErrDamaged = errors.New("backup: the backup is damaged, cut short or put together by somebody else")

	// ErrTooLarge says that a part does not fit into the format.
	ErrTooLarge = errors.New("backup: larger than a backup may hold")
)

const (
	recipientPrefix = "age1pq1"
	identityPrefix  = "AGE-SECRET-KEY-PQ-1"

	// minRecipients is how many people can open a backup, each by himself: a
	// key that is lost must not be the end.
	minRecipients = 2
	maxRecipients = 20
	maxLines      = 64 << 10 // bytes of a file with recipients or identities
)

// Recipient is somebody who can open a backup.
type Recipient = age.Recipient

// Identity opens a backup.
type Identity = age.Identity

// NewIdentity makes a key pair: the secret half for a safe place, the public
// half for the file of recipients.
func NewIdentity() (secret, public string, err error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return "", "", fmt.Errorf("backup: make a key: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}

// ParseRecipients reads a file of recipients, one a line; empty lines and those
// that begin with # are passed over. Only hybrid recipients are taken: what is
// recorded today has to stay shut when quantum computers come.
func ParseRecipients(r io.Reader) ([]Recipient, error) {
	var found []Recipient
	seen := map[string]bool{}
	err := lines(r, func(line string) error {
		one, err := age.ParseHybridRecipient(line)
		if err != nil || len(found) == maxRecipients {
			return ErrRecipients // the parser's own text repeats the line
		}
		if !seen[one.String()] {
			seen[one.String()] = true
			found = append(found, one)
		}
		return nil
	})
	if err != nil || len(found) < minRecipients {
		return nil, errors.Join(ErrRecipients, err)
	}
	return found, nil
}

// ParseIdentities reads a file with the secret halves, as NewIdentity makes
// them, or as age-keygen -pq does.
func ParseIdentities(r io.Reader) ([]Identity, error) {
	var found []Identity
	err := lines(r, func(line string) error {
		one, err := age.ParseHybridIdentity(line)
		if err != nil || len(found) == maxRecipients {
			return ErrIdentity
		}
		found = append(found, one)
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, ErrIdentity
	}
	return found, nil
}

// lines calls take for every line that says something.
func lines(r io.Reader, take func(string) error) error {
	limited := &io.LimitedReader{R: r, N: maxLines + 1}
	scan := bufio.NewScanner(limited)
	for scan.Scan() {
		line := strings.TrimSpace(scan.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := take(line); err != nil {
			return err
		}
	}
	if limited.N <= 0 {
		return ErrTooLarge
	}
	if scan.Err() != nil {
		return ErrTooLarge
	}
	return nil
}
