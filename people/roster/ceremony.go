package roster

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/invalid"
)

// DoNewKey has a key replaced that signs for the network or for an agency.
const DoNewKey = "signing.change"

// The uses of keys that a ceremony replaces. The root is pinned by every device.
const (
	UseTrust  = "trust"  // trust lists
	UseStatus = "status" // status and answers lists
	UsePack   = "pack"   // packs and envelopes
	UseLog    = "log"    // checkpoints of the log
	UseAgency = "agency" // attestations and cards of one agency
)

// Ceremony is a key that two people agreed to replace.
type Ceremony struct {
	Use    string
	Agency string // with UseAgency
	Before string // id of the key that signed
	At     int64  // when it was agreed to, Unix seconds
}

// NewKey has a key replaced. The keystore makes the new one, and nobody sees either. It
// names the key that signs until then, so that it is replaced once.
type NewKey struct {
	Use    string `json:"use"`
	Agency string `json:"agency"`
	Before string `json:"before"`
}

// keyID is the form of a key's id: the first 8 bytes of its thumbprint.
var keyID = regexp.MustCompile(`^[0-9a-f]{16}$`)

func (k *NewKey) need(s *State, _ approval.Act) need {
	if k.Use == UseAgency {
		return team(s, k.Agency, "")
	}
	n, agencies := twoBodies(s, ""), 0
	for id := range s.Agencies {
		if s.Active(id) {
			agencies++
		}
	}
	n.apart = agencies > 1 // a network of one agency has its two operators
	return n
}

func (k *NewKey) check(s *State, _ approval.Act) error {
	var c invalid.Checker
	c.Must(slices.Contains([]string{UseTrust, UseStatus, UsePack, UseLog, UseAgency}, k.Use), "/use", invalid.CodeNotInList, "is a use of keys that are replaced")
	c.Must(keyID.MatchString(k.Before), "/before", invalid.CodeFormat, "is the id of a key")
	if err := c.Err(); err != nil {
		return err
	}
	if (k.Use == UseAgency) != (k.Agency != "") || k.Agency != "" && !s.Active(k.Agency) {
		return ErrState
	}
	if slices.ContainsFunc(s.Ceremonies, func(c Ceremony) bool { return c.Use == k.Use && c.Agency == k.Agency && c.Before == k.Before }) {
		return fmt.Errorf("%w: this key was replaced", ErrState)
	}
	return nil
}

func (k *NewKey) apply(s *State, _ approval.Act, at int64) {
	s.Ceremonies = append(slices.Clip(s.Ceremonies), Ceremony{k.Use, k.Agency, k.Before, at})
}

// Replaces tells whether two people agreed that the key which has this id is replaced.
func (s *State) Replaces(use, agency, before string) bool {
	return slices.ContainsFunc(s.Ceremonies, func(c Ceremony) bool { return c.Use == use && c.Agency == agency && c.Before == before })
}
