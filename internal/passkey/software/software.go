// Package software is an authenticator without hardware and the browser in front
// of it, for demonstrations and tests: it answers what internal/passkey asks, and
// its key is a member of a file. It stands before
// github.com/descope/virtualwebauthn, which makes the responses. Whoever has the
// file is the person, so that no network but a demonstration may know such a
// credential; to judge what it answers is for internal/passkey.
package software

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/descope/virtualwebauthn"
	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/internal/passkey"
)

var (
	// ErrSite says that another site asked than the one that this authenticator
	// is for.
	ErrSite = errors.New("software: this authenticator is for another site")

	// ErrCredential says that the authenticator has no credential that fits, or
	// has one where none may be.
	ErrCredential = errors.New("software: no credential that fits")
)

// Authenticator holds one credential of one person at one site, and believes
// everybody who has it to be her. It is kept as JSON. It is not safe for
// concurrent use.
type Authenticator struct {
	RPID       string `json:"rp_id"`
	AAGUID     []byte `json:"aaguid"`
	Person     string `json:"person,omitempty"`     // from its registration on
	Credential []byte `json:"credential,omitempty"` // its id
	Key        []byte `json:"key,omitempty"`        // PKCS #8

	// Count is what it says of how often it has signed. It stays where it is, at
	// nothing for a new one, as passkeys do that are copied between devices.
	Count uint32 `json:"-"`

	// Absent and Unverified are those who touch it not, or whom it does not know.
	Absent, Unverified bool `json:"-"`
}

// New returns an authenticator for demonstrations, without a credential.
func New() *Authenticator {
	return &Authenticator{RPID: "localhost", AAGUID: passkey.SoftwareAAGUID[:]}
}

// Unlabelled returns one for tests of networks that are no demonstration. It says
// of itself what most browsers' authenticators say, which is nothing, and no
// network can tell it from them: docs/decisions/0036-passkeys-and-sessions.md.
func Unlabelled(rpID string) *Authenticator {
	return &Authenticator{RPID: rpID, AAGUID: make([]byte, 16)}
}

// Create answers the CreationOptions of a page at an origin.
func (a *Authenticator) Create(options []byte, origin string) (response []byte, err error) {
	asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
	switch {
	case err != nil:
		return nil, fmt.Errorf("software: the options: %w", err)
	case asked.RelyingPartyID != a.RPID:
		return nil, ErrSite
	case a.Credential != nil:
		return nil, ErrCredential
	}
	made := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	a.Person, a.Credential, a.Key = hex.EncodeToString([]byte(asked.UserID)), made.ID, made.Key.Data
	virtual, credential, err := a.virtual()
	if err != nil {
		return nil, err
	}
	return unattested([]byte(virtualwebauthn.CreateAttestationResponse(a.party(origin), virtual, credential, *asked)))
}

// Get answers the RequestOptions of a page at an origin.
func (a *Authenticator) Get(options []byte, origin string) (response []byte, err error) {
	asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
	switch {
	case err != nil:
		return nil, fmt.Errorf("software: the options: %w", err)
	case asked.RelyingPartyID != a.RPID:
		return nil, ErrSite
	case a.Credential == nil:
		return nil, ErrCredential
	}
	virtual, credential, err := a.virtual()
	if err != nil {
		return nil, err
	}
	if len(asked.AllowCredentials) > 0 && !credential.IsAllowedForAssertion(*asked) {
		return nil, ErrCredential
	}
	return []byte(virtualwebauthn.CreateAssertionResponse(a.party(origin), virtual, credential, *asked)), nil
}

// Agree answers over a challenge alone, as a page does that was shown what the
// challenge is the hash of.
func (a *Authenticator) Agree(challenge []byte, origin string) (response []byte, err error) {
	virtual, credential, err := a.virtual()
	if err != nil {
		return nil, err
	}
	return []byte(virtualwebauthn.CreateAssertionResponse(a.party(origin), virtual, credential, virtualwebauthn.AssertionOptions{Challenge: challenge})), nil
}

func (a *Authenticator) party(origin string) virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: a.RPID, Name: a.RPID, Origin: origin}
}

// virtual is the library's form of both. It would panic at a key that is none.
func (a *Authenticator) virtual() (virtualwebauthn.Authenticator, virtualwebauthn.Credential, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(a.Key)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() || len(a.AAGUID) != 16 || len(a.Credential) == 0 {
		return virtualwebauthn.Authenticator{}, virtualwebauthn.Credential{}, ErrCredential
	}
	person, err := hex.DecodeString(a.Person)
	if err != nil {
		return virtualwebauthn.Authenticator{}, virtualwebauthn.Credential{}, ErrCredential
	}
	virtual := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
		UserHandle: person, UserNotPresent: a.Absent, UserNotVerified: a.Unverified,
	})
	virtual.Aaguid = [16]byte(a.AAGUID)
	credential := virtualwebauthn.NewCredentialWithImportedKey(virtualwebauthn.KeyTypeEC2, a.Key)
	credential.ID, credential.Counter = slices.Clone(a.Credential), a.Count
	return virtual, credential, nil
}

// unattested takes the statement out that the library's authenticator makes of
// itself, as a browser does where no attestation was asked for (WebAuthn §5.1.3).
func unattested(response []byte) ([]byte, error) {
	var in map[string]any
	if err := json.Unmarshal(response, &in); err != nil {
		return nil, fmt.Errorf("software: a response: %w", err)
	}
	inner, _ := in["response"].(map[string]any)
	var object struct {
		Format    string         `cbor:"fmt"`
		Statement map[string]any `cbor:"attStmt"`
		AuthData  []byte         `cbor:"authData"`
	}
	text, _ := inner["attestationObject"].(string)
	raw, err := b64.DecodeString(text)
	if err == nil {
		err = cbor.Unmarshal(raw, &object)
	}
	if err != nil {
		return nil, fmt.Errorf("software: a response: %w", err)
	}
	object.Format, object.Statement = "none", map[string]any{}
	encoder, err := cbor.CTAP2EncOptions().EncMode()
	if err == nil {
		raw, err = encoder.Marshal(object)
	}
	if err != nil {
		return nil, fmt.Errorf("software: a response: %w", err)
	}
	inner["attestationObject"] = b64.EncodeToString(raw)
	return json.Marshal(in)
}

// b64 is the form of bytes in all of it.
var b64 = base64.RawURLEncoding
