package passkey

import (
	"crypto/ecdsa"
	"encoding/json"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Checker checks what a roster is proven by: passkeys of people, and the network's
// root.
type Checker struct{ *RelyingParty }

var _ roster.Checker = Checker{}

// Proof checks that a passkey of the roster has signed a challenge.
func (c Checker) Proof(k roster.Credential, challenge [32]byte, p approval.Proof) error {
	return c.Verify(Known(k), challenge, p)
}

// Root checks the root's signature: ECDSA on P-256 over the challenge as the digest,
// in ASN.1 (RFC 3279 §2.2.3).
func (c Checker) Root(root json.RawMessage, challenge [32]byte, signature []byte) error {
	key, err := jws.ParseKey(root)
	if err != nil {
		return refuse(WrongAlgorithm)
	}
	if !ecdsa.VerifyASN1(key, challenge[:], signature) {
		return refuse(WrongSignature)
	}
	return nil
}

// Known is a passkey of the roster. How often it has signed is not the roster's to
// say.
func Known(k roster.Credential) Credential {
	var model [16]byte
	copy(model[:], k.AAGUID)
	return Credential{ID: k.ID, PublicKey: k.PublicKey, AAGUID: model, BackupEligible: k.Synced, Software: model == SoftwareAAGUID}
}

// Kept is a passkey as the roster keeps it.
func (c Credential) Kept() roster.Credential {
	return roster.Credential{ID: c.ID, PublicKey: c.PublicKey, AAGUID: c.AAGUID[:], Synced: c.BackupEligible}
}
