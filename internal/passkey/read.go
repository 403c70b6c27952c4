package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// What is read has a size. The largest that authenticators make are far below:
// a credential id has 1,023 bytes at most (WebAuthn §4, Credential ID), an RSA key
// of 4,096 bits takes 530 and its signature 512.
const (
	maxResponse      = 16 << 10
	maxClientData    = 4 << 10
	maxStatement     = 4 << 10
	maxAuthenticator = 2 << 10
	maxSignature     = 1 << 10
	maxCredentialID  = 1023
	maxKey           = 1 << 10
	minChallenge     = 32
	maxChallenge     = 64
)

// The ceremonies, as client data names them (WebAuthn §5.8.1).
const (
	creating  = "webauthn.create"
	asserting = "webauthn.get"
)

// ways are the transports that are kept (WebAuthn §5.8.4). A browser may name
// others, which are passed over.
var ways = []string{"ble", "hybrid", "internal", "nfc", "smart-card", "usb"}

// registrationJSON is what a browser's toJSON makes of a new credential (WebAuthn
// §5.1, RegistrationResponseJSON). Browsers may add to it. What is left out here
// says again what the attestation object says, and nobody signed it.
type registrationJSON struct {
	ID         string `json:"id"`
	RawID      string `json:"rawId"`
	Type       string `json:"type"`
	Extensions struct {
		CredProps *struct {
			RK *bool `json:"rk"`
		} `json:"credProps"`
	} `json:"clientExtensionResults"`
	Response struct {
		ClientData string   `json:"clientDataJSON"`
		Statement  string   `json:"attestationObject"`
		Transports []string `json:"transports"`
	} `json:"response"`
}

// assertionJSON is what it makes of an assertion (AuthenticationResponseJSON).
type assertionJSON struct {
	ID       string `json:"id"`
	RawID    string `json:"rawId"`
	Type     string `json:"type"`
	Response struct {
		ClientData    string  `json:"clientDataJSON"`
		Authenticator string  `json:"authenticatorData"`
		Signature     string  `json:"signature"`
		UserHandle    *string `json:"userHandle"`
	} `json:"response"`
}

// registration is a new credential's response with its bytes.
type registration struct {
	id, clientData, statement []byte
	transports                []string
	discoverable              *bool // what the browser says of it, if it does
}

func readRegistration(response []byte) (registration, error) {
	var in registrationJSON
	if strictjson.UnmarshalOpen(response, strictjson.Limits{Size: maxResponse}, &in) != nil {
		return registration{}, refuse(Malformed)
	}
	r := registration{
		clientData: decoded(in.Response.ClientData, maxClientData),
		statement:  decoded(in.Response.Statement, maxStatement),
	}
	for _, t := range ways {
		if slices.Contains(in.Response.Transports, t) {
			r.transports = append(r.transports, t)
		}
	}
	if in.Extensions.CredProps != nil {
		r.discoverable = in.Extensions.CredProps.RK
	}
	r.id = credentialID(in.ID, in.RawID, in.Type)
	if r.id == nil || r.clientData == nil || r.statement == nil {
		return registration{}, refuse(Malformed)
	}
	return r, nil
}

// Assertion is what a client sent to be let in or to agree, read and not yet
// believed.
type Assertion struct {
	Credential        []byte // its id, by which the roster knows whose it is
	Person            string // whose the authenticator says it is; "" where it says nothing
	Challenge         []byte // what the client says it was signed over
	ClientData        []byte
	AuthenticatorData []byte
	Signature         []byte
}

// ReadAssertion reads an AuthenticationResponseJSON. Nothing of it is believed
// before SignIn, Again or Verify has.
func ReadAssertion(response []byte) (Assertion, error) {
	var in assertionJSON
	if strictjson.UnmarshalOpen(response, strictjson.Limits{Size: maxResponse}, &in) != nil {
		return Assertion{}, refuse(Malformed)
	}
	a := Assertion{
		Credential:        credentialID(in.ID, in.RawID, in.Type),
		ClientData:        decoded(in.Response.ClientData, maxClientData),
		AuthenticatorData: decoded(in.Response.Authenticator, maxAuthenticator),
		Signature:         decoded(in.Response.Signature, maxSignature),
	}
	if a.Credential == nil || a.ClientData == nil || a.AuthenticatorData == nil || a.Signature == nil {
		return Assertion{}, refuse(Malformed)
	}
	if h := in.Response.UserHandle; h != nil && *h != "" {
		raw := decoded(*h, handleSize)
		if len(raw) != handleSize {
			return Assertion{}, refuse(WrongPerson) // we never made one of another size
		}
		a.Person = hex.EncodeToString(raw)
	}
	c, err := readClientData(a.ClientData)
	if err != nil {
		return Assertion{}, err
	}
	a.Challenge = c.challenge
	return a, nil
}

// clientData is what the browser says of its page (WebAuthn §5.8.1).
type clientData struct {
	ceremony, origin string
	challenge        []byte
	framed           bool
}

// readClientData reads it as RFC 8259 does and no more leniently, so that the
// library, which reads the same bytes again, sees the same.
func readClientData(data []byte) (clientData, error) {
	var in struct {
		Type        string  `json:"type"`
		Challenge   string  `json:"challenge"`
		Origin      string  `json:"origin"`
		CrossOrigin bool    `json:"crossOrigin"`
		TopOrigin   *string `json:"topOrigin"`
	}
	if strictjson.UnmarshalOpen(data, strictjson.Limits{Size: maxClientData}, &in) != nil {
		return clientData{}, refuse(Malformed)
	}
	challenge := decoded(in.Challenge, maxChallenge)
	if challenge == nil {
		return clientData{}, refuse(Malformed)
	}
	return clientData{in.Type, in.Origin, challenge, in.CrossOrigin || in.TopOrigin != nil}, nil
}

// collected holds client data against what was asked for (WebAuthn §7.1, §7.2).
func (p *RelyingParty) collected(data []byte, ceremony string, challenge []byte) error {
	c, err := readClientData(data)
	switch {
	case err != nil:
		return err
	case c.ceremony != ceremony:
		return refuse(WrongCeremony)
	case len(challenge) < minChallenge || !bytes.Equal(c.challenge, challenge): // both are known to whoever asks
		return refuse(WrongChallenge)
	case !slices.Contains(p.cfg.Origins, c.origin):
		return refuse(WrongOrigin)
	case c.framed:
		return refuse(CrossOrigin)
	}
	return nil
}

// flagged looks at the flags of authenticator data (WebAuthn §7.1, §7.2).
func flagged(f protocol.AuthenticatorFlags) error {
	switch {
	case !f.HasUserPresent():
		return refuse(NotPresent)
	case !f.HasUserVerified():
		return refuse(NotVerified)
	case f.HasBackupState() && !f.HasBackupEligible():
		return refuse(WrongBackup)
	}
	return nil
}

// credentialID reads the two ways in which a response names its credential,
// which have to agree. nil says that they do not.
func credentialID(id, rawID, kind string) []byte {
	if id != rawID || kind != string(protocol.PublicKeyCredentialType) {
		return nil
	}
	return decoded(id, maxCredentialID)
}

// decoded reads base64url as WebAuthn §5.1 writes it: without padding, and in one
// spelling alone. nil says that it is not, that it is longer than limit, or that
// there is nothing.
func decoded(text string, limit int) []byte {
	enc := base64.RawURLEncoding.Strict()
	if len(text) > enc.EncodedLen(limit) {
		return nil
	}
	raw, err := enc.DecodeString(text)
	// DecodeString passes over line ends.
	if err != nil || len(raw) == 0 || enc.EncodedLen(len(raw)) != len(text) {
		return nil
	}
	return raw
}

// ReadChallenge is the challenge that a RegistrationResponseJSON says it was made
// over, for whoever has to find out whether it is one of theirs. Nothing of it is
// believed before Register has judged it.
func ReadChallenge(response []byte) ([]byte, error) {
	r, err := readRegistration(response)
	if err != nil {
		return nil, err
	}
	c, err := readClientData(r.clientData)
	if err != nil {
		return nil, err
	}
	return c.challenge, nil
}
