package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// maxLabel is what authenticators keep of a name in bytes (WebAuthn §5.4.3).
const maxLabel = 64

// Registration is a person who gets a passkey.
type Registration struct {
	Person  string       // her id: 16 random bytes in hex
	Label   string       // what her authenticator shows of her, as "Caseworker, Shelter North": never a name
	Exclude []Credential // those she has: one authenticator holds one of them
}

// CreationOptions asks a browser for a new credential, over a challenge that is
// used once. The answer is PublicKeyCredentialCreationOptionsJSON.
func (p *RelyingParty) CreationOptions(r Registration, challenge []byte) (json.RawMessage, error) {
	id, err := handle(r.Person)
	if err != nil {
		return nil, err
	}
	if err := checkChallenge(challenge); err != nil {
		return nil, err
	}
	if r.Label == "" || len(r.Label) > maxLabel {
		return nil, fmt.Errorf("%w: a label has 1 to %d bytes", ErrConfig, maxLabel)
	}
	options, _, err := p.lib.BeginRegistration(user{id: id, label: r.Label},
		webauthn.WithCredentialParameters(algorithms()),
		webauthn.WithExclusions(descriptors(r.Exclude)),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()), // whether it can sign in without a name
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge = bytes.Clone(challenge)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return json.Marshal(options.Response)
}

// Register reads and judges what a browser answered (RegistrationResponseJSON).
//
// The credential is what its maker says it is: no attestation is asked for, and
// that somebody holds its key is shown by its first assertion alone. Whoever
// keeps it sees to it that no other person has the same credential id (WebAuthn
// §7.1).
func (p *RelyingParty) Register(person string, challenge, response []byte) (Credential, error) {
	id, err := handle(person)
	if err != nil {
		return Credential{}, err
	}
	r, err := readRegistration(response)
	if err != nil {
		return Credential{}, err
	}
	if err := p.collected(r.clientData, creating, challenge); err != nil {
		return Credential{}, err
	}
	parsed, err := r.parsed()
	if err != nil {
		return Credential{}, refuse(Malformed)
	}
	if err := p.judge(r, parsed.Response.AttestationObject); err != nil {
		return Credential{}, err
	}
	c, err := p.lib.CreateCredential(user{id: id}, webauthn.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(challenge), RelyingPartyID: p.cfg.RPID, UserID: id,
		UserVerification: protocol.VerificationRequired, CredParams: algorithms(),
	}, parsed)
	if err != nil {
		return Credential{}, refuse(WrongStatement)
	}
	out := Credential{
		ID: c.ID, PublicKey: c.PublicKey, AAGUID: [16]byte(c.Authenticator.AAGUID), SignCount: c.Authenticator.SignCount,
		BackupEligible: c.Flags.BackupEligible, BackupState: c.Flags.BackupState, Transports: r.transports,
	}
	out.Software = out.AAGUID == SoftwareAAGUID
	return out, nil
}

// judge holds the authenticator's part against what was asked for, before the
// library does, to tell one reason from another.
func (p *RelyingParty) judge(r registration, o protocol.AttestationObject) error {
	if o.AuthData.RPIDHash == nil || !bytes.Equal(o.AuthData.RPIDHash, p.site()) {
		return refuse(WrongSite)
	}
	if err := flagged(o.AuthData.Flags); err != nil {
		return err
	}
	if !bytes.Equal(o.AuthData.AttData.CredentialID, r.id) {
		return refuse(WrongCredential)
	}
	// WebAuthn §5.4.7: where none is asked for, a browser leaves no statement, or
	// one that a credential makes of itself. The readers of all others, for chips
	// and their makers' certificates, are for nobody to reach.
	_, certified := o.AttStatement["x5c"]
	switch protocol.AttestationFormat(o.Format) {
	case protocol.AttestationFormatNone:
	case protocol.AttestationFormatPacked:
		if certified {
			return refuse(WrongStatement)
		}
	default:
		return refuse(WrongStatement)
	}
	if err := checkKey(o.AuthData.AttData.CredentialPublicKey); err != nil {
		return err
	}
	if r.discoverable != nil && !*r.discoverable {
		return refuse(NotDiscoverable)
	}
	return p.admits(Credential{AAGUID: [16]byte(o.AuthData.AttData.AAGUID)})
}

// parsed is the response as the library has it. What the client says of its
// extensions is left out: nobody signed it, and nothing but credProps was asked.
func (r registration) parsed() (*protocol.ParsedCredentialCreationData, error) {
	return protocol.CredentialCreationResponse{
		PublicKeyCredential: publicKeyCredential(r.id),
		AttestationResponse: protocol.AuthenticatorAttestationResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: r.clientData},
			AttestationObject:     r.statement,
		},
	}.Parse()
}

func publicKeyCredential(id []byte) protocol.PublicKeyCredential {
	return protocol.PublicKeyCredential{
		Credential: protocol.Credential{ID: base64.RawURLEncoding.EncodeToString(id), Type: string(protocol.PublicKeyCredentialType)},
		RawID:      id,
	}
}

// site is what authenticators sign in place of the relying party's id.
func (p *RelyingParty) site() []byte {
	sum := sha256.Sum256([]byte(p.cfg.RPID))
	return sum[:]
}

func checkChallenge(challenge []byte) error {
	if len(challenge) < minChallenge || len(challenge) > maxChallenge {
		return fmt.Errorf("%w: a challenge has %d to %d bytes", ErrConfig, minChallenge, maxChallenge)
	}
	return nil
}
