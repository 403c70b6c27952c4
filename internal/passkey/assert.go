package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/safeconduct/safeconduct/approval"
)

// RequestOptions asks a browser for an assertion over a challenge. Without
// credentials it is one that finds itself, for signing in without a name; with
// them, one of those, for somebody who is known. The answer is
// PublicKeyCredentialRequestOptionsJSON.
func (p *RelyingParty) RequestOptions(challenge []byte, allow []Credential) (json.RawMessage, error) {
	if err := checkChallenge(challenge); err != nil {
		return nil, err
	}
	options := []webauthn.LoginOption{
		webauthn.WithChallenge(bytes.Clone(challenge)),
		webauthn.WithUserVerification(protocol.VerificationRequired),
	}
	if len(allow) > 0 {
		options = append(options, webauthn.WithAllowedCredentials(descriptors(allow)))
	}
	asked, _, err := p.lib.BeginDiscoverableLogin(options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return json.Marshal(asked.Response)
}

// SignIn judges the assertion of somebody who has not said who she is. c and
// person are whose the roster says that a.Credential is, and the authenticator has
// to say the same (WebAuthn §7.2). It returns the credential as it is now,
// all of which is to be written back.
//
// A counter that did not rise refuses: there may be a copy of the key (§7.2 step
// 22). It is judged here alone, since an act may be checked years after later
// ones.
func (p *RelyingParty) SignIn(c Credential, person string, challenge []byte, a Assertion) (Credential, error) {
	if a.Person == "" {
		return Credential{}, refuse(WrongPerson)
	}
	return p.Again(c, person, challenge, a)
}

// Again is SignIn for somebody who is signed in already and shows herself once
// more: her authenticator need not say who she is, and may not say that she is
// another.
func (p *RelyingParty) Again(c Credential, person string, challenge []byte, a Assertion) (Credential, error) {
	if a.Person != "" && a.Person != person {
		return Credential{}, refuse(WrongPerson)
	}
	seen, err := p.assert(c, challenge, a)
	if err != nil {
		return Credential{}, err
	}
	if seen.Authenticator.CloneWarning {
		return Credential{}, refuse(Counted)
	}
	c.SignCount, c.BackupState = seen.Authenticator.SignCount, seen.Flags.BackupState
	return c, nil
}

// Proof is the assertion as it is kept beside what somebody agreed to, once Verify has judged it.
func (a Assertion) Proof(person string) approval.Proof {
	return approval.Proof{Person: person, Credential: a.Credential, ClientData: a.ClientData, AuthenticatorData: a.AuthenticatorData, Signature: a.Signature}
}

// Verify judges a proof of a credential over a challenge, which is the hash of
// what was agreed to. It looks at nothing but its arguments: no clock and no
// counter, so that whoever replays the roster years later has the same answer.
//
// That proof.Person has this credential, that the act is this one's to agree to,
// and that nobody agrees twice, is for whoever asks. Two proofs of one agreement
// may differ in their bytes (an ECDSA signature has a twin), so that bytes are no
// name for a proof.
func (p *RelyingParty) Verify(c Credential, challenge [32]byte, proof approval.Proof) error {
	if len(proof.Credential) == 0 || len(proof.ClientData) > maxClientData || len(proof.AuthenticatorData) > maxAuthenticator || len(proof.Signature) > maxSignature {
		return refuse(Malformed)
	}
	_, err := p.assert(c, challenge[:], Assertion{
		Credential: proof.Credential, ClientData: proof.ClientData, AuthenticatorData: proof.AuthenticatorData, Signature: proof.Signature,
	})
	return err
}

// assert judges an assertion (WebAuthn §7.2), and returns what the library makes
// of the credential with it.
func (p *RelyingParty) assert(c Credential, challenge []byte, a Assertion) (*webauthn.Credential, error) {
	if err := p.collected(a.ClientData, asserting, challenge); err != nil {
		return nil, err
	}
	if len(c.ID) == 0 || !bytes.Equal(c.ID, a.Credential) {
		return nil, refuse(WrongCredential)
	}
	if err := p.admits(c); err != nil {
		return nil, err
	}
	if err := checkKey(c.PublicKey); err != nil {
		return nil, err
	}
	parsed, err := protocol.CredentialAssertionResponse{
		PublicKeyCredential: publicKeyCredential(a.Credential),
		AssertionResponse: protocol.AuthenticatorAssertionResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: a.ClientData},
			AuthenticatorData:     a.AuthenticatorData, Signature: a.Signature,
		},
	}.Parse()
	if err != nil {
		return nil, refuse(Malformed)
	}
	data := parsed.Response.AuthenticatorData
	if !bytes.Equal(data.RPIDHash, p.site()) {
		return nil, refuse(WrongSite)
	}
	if err := flagged(data.Flags); err != nil {
		return nil, err
	}
	if data.Flags.HasAttestedCredentialData() { // WebAuthn §6.1: not in an assertion
		return nil, refuse(Malformed)
	}
	if data.Flags.HasBackupEligible() != c.BackupEligible { // §7.2
		return nil, refuse(WrongBackup)
	}
	// Who she is has been compared already: the library's user is one without a
	// name, who has this credential alone.
	nobody := []byte{0}
	seen, err := p.lib.ValidateLogin(user{id: nobody, owns: []webauthn.Credential{c.record()}}, webauthn.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(challenge), RelyingPartyID: p.cfg.RPID, UserID: nobody,
		AllowedCredentialIDs: [][]byte{c.ID}, UserVerification: protocol.VerificationRequired,
	}, parsed)
	if err != nil {
		return nil, refuse(WrongSignature)
	}
	return seen, nil
}

// record is the credential as the library has it.
func (c Credential) record() webauthn.Credential {
	flags := protocol.FlagUserPresent | protocol.FlagUserVerified
	if c.BackupEligible {
		flags |= protocol.FlagBackupEligible
	}
	if c.BackupState {
		flags |= protocol.FlagBackupState
	}
	return webauthn.Credential{
		ID: c.ID, PublicKey: c.PublicKey, Flags: webauthn.NewCredentialFlags(flags),
		AttestationFormat: string(protocol.AttestationFormatNone),
		Authenticator:     webauthn.Authenticator{AAGUID: c.AAGUID[:], SignCount: c.SignCount},
	}
}
