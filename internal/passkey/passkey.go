// Package passkey lets people show who they are with a passkey (WebAuthn
// Level 3), and checks what they agreed to with one: the registration of a
// credential, signing in without a name, and an assertion over a challenge that
// is the hash of an act. It stands before github.com/go-webauthn/webauthn, takes
// and returns plain values, and has no switch that makes a check weaker: the user
// is always verified, the origin compared byte by byte, a frame of another site
// refused. It keeps nothing and speaks no HTTP: sessions and challenges are for
// internal/signin, who has which credential for the roster, and what an act says
// for whoever asks people to agree to it.
package passkey

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

var (
	// ErrRefused says that a response of a client is not what was asked for. It
	// is always a *Refused, which says why.
	ErrRefused = errors.New("passkey: refused")

	// ErrConfig says that a relying party, or what was asked of one, makes no
	// sense: a mistake of the program, never of a client.
	ErrConfig = errors.New("passkey: not a relying party")
)

// Reason is why a response was refused. It is one of these words, and never
// repeats anything that a client sent.
type Reason string

// The reasons.
const (
	Malformed       Reason = "malformed"         // cannot be read, or is beyond its limits
	WrongChallenge  Reason = "challenge"         // signed over another challenge
	WrongCeremony   Reason = "ceremony"          // made for registering and presented for signing in, or the reverse
	WrongOrigin     Reason = "origin"            // made on another site
	CrossOrigin     Reason = "cross_origin"      // made in a frame of another site
	WrongSite       Reason = "rp_id"             // the authenticator signed for another site
	NotPresent      Reason = "user_presence"     // nobody touched it
	NotVerified     Reason = "user_verification" // it does not say that it knew its user
	WrongBackup     Reason = "backup"            // whether it can be copied is contradictory, or has changed
	WrongAlgorithm  Reason = "algorithm"         // a kind of key that is not taken, or a weak one
	WrongStatement  Reason = "attestation"       // a statement of origin that was not asked for
	NotDiscoverable Reason = "not_discoverable"  // it would need a name to sign in
	WrongCredential Reason = "credential"        // another credential than the one that was to sign
	WrongPerson     Reason = "person"            // names another person, or none
	WrongSignature  Reason = "signature"         // the signature is not of this credential
	Counted         Reason = "sign_count"        // its counter went back: there may be a copy of it
	SoftwareKey     Reason = "software"          // of a demonstration's authenticators, elsewhere
)

// Refused is ErrRefused with its reason.
type Refused struct{ Reason Reason }

// Error names the reason alone.
func (r *Refused) Error() string { return "passkey: refused: " + string(r.Reason) }

// Is makes it ErrRefused.
func (r *Refused) Is(target error) bool { return target == ErrRefused }

func refuse(why Reason) error { return &Refused{why} }

// SoftwareAAGUID names the model of the authenticators that internal/passkey/software
// makes, for demonstrations. Attestation is not asked for, so this is what an
// authenticator says of itself: it keeps honest people from a mistake and stops
// nobody who lies. docs/decisions/0036-passkeys-and-sessions.md says what does.
var SoftwareAAGUID = [16]byte{0x8d, 0x5c, 0x2c, 0xed, 0x00, 0xe0, 0x4c, 0xcc, 0xad, 0x74, 0x8f, 0x3b, 0xf9, 0x28, 0x5b, 0x4f}

// localhost is the one site of all demonstrations.
const localhost = "localhost"

// Config is what a relying party is. At makes one from the address of a network.
type Config struct {
	RPID    string   // the host that credentials are for
	Origins []string // the pages that may use them, as browsers write origins
	Name    string   // the network's, as an authenticator shows it
	Demo    bool     // takes software authenticators, and is on localhost
}

// At is the relying party of the network at an address. A demonstration is on
// this machine, and its pages are at localhost: a browser takes no bare address
// for a site (WebAuthn §4, RP ID: a domain). Everybody else has https
// and a name.
func At(baseURL, name string, demo bool) (Config, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return Config{}, fmt.Errorf("%w: the address of the network is none", ErrConfig)
	}
	host := strings.ToLower(u.Hostname())
	if ip, err := netip.ParseAddr(host); demo && err == nil && ip.IsLoopback() {
		host = localhost
	}
	origin := u.Scheme + "://" + host
	if port := u.Port(); port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		origin += ":" + port
	}
	c := Config{RPID: host, Origins: []string{origin}, Name: name, Demo: demo}
	return c, c.check()
}

// check refuses what would take credentials of another site, or of a
// demonstration where none is.
func (c Config) check() error {
	if _, err := netip.ParseAddr(c.RPID); err == nil || protocol.ValidateRPID(c.RPID) != nil || c.RPID != strings.ToLower(c.RPID) {
		return fmt.Errorf("%w: its id is not the name of a host in small letters", ErrConfig)
	}
	if c.Demo != (c.RPID == localhost) {
		return fmt.Errorf("%w: a demonstration is on localhost, and nothing else is", ErrConfig)
	}
	if c.Name == "" || len(c.Origins) == 0 {
		return fmt.Errorf("%w: it needs a name and an origin", ErrConfig)
	}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		// Exact: pages of other hosts below the same name are not these pages.
		if err != nil || u.Hostname() != c.RPID || u.Scheme+"://"+u.Host != origin || u.Scheme != "https" && (u.Scheme != "http" || !c.Demo) {
			return fmt.Errorf("%w: an origin is not https and of its own host", ErrConfig)
		}
	}
	return nil
}

// RelyingParty is one network as authenticators know it. New makes one; it is
// safe for concurrent use.
type RelyingParty struct {
	cfg Config
	lib *webauthn.WebAuthn
}

// New checks the configuration.
func New(cfg Config) (*RelyingParty, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Origins = slices.Clone(cfg.Origins)
	patience := webauthn.TimeoutConfig{Timeout: 5 * time.Minute} // what browsers are told; when a challenge ends is for internal/signin
	lib, err := webauthn.New(&webauthn.Config{
		RPID: cfg.RPID, RPDisplayName: cfg.Name, RPOrigins: cfg.Origins,
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(),
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: patience, Registration: patience},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &RelyingParty{cfg, lib}, nil
}

// Credential is a passkey as we know it, all of it public. ID, PublicKey, AAGUID,
// BackupEligible, Transports and Software never change; the others are as they
// were when it last signed in.
type Credential struct {
	ID             []byte
	PublicKey      []byte // COSE_Key, in the one form of CTAP2
	AAGUID         [16]byte
	SignCount      uint32
	BackupEligible bool     // may be copied to other devices of its owner
	BackupState    bool     // is
	Transports     []string // how browsers reach it, of a closed list
	Software       bool     // of a demonstration
}

// descriptors name credentials to a browser (WebAuthn §5.8.3).
func descriptors(all []Credential) []protocol.CredentialDescriptor {
	out := make([]protocol.CredentialDescriptor, 0, len(all))
	for _, c := range all {
		d := protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: c.ID}
		for _, t := range c.Transports {
			d.Transport = append(d.Transport, protocol.AuthenticatorTransport(t))
		}
		out = append(out, d)
	}
	return out
}

// algorithms are the kinds of keys that are taken: those that WebAuthn §5.4
// recommends, which every browser's authenticators have between them.
func algorithms() []protocol.CredentialParameter { return webauthn.CredentialParametersRecommendedL3() }

// checkKey refuses a public key that is not of those kinds, or a weak one. The
// library looks at none before it verifies a signature.
func checkKey(cose []byte) error {
	parsed, err := webauthncose.ParsePublicKey(cose)
	if err != nil || len(cose) > maxKey {
		return refuse(WrongAlgorithm)
	}
	switch key := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		if key.Algorithm == int64(webauthncose.AlgES256) {
			return nil
		}
	case webauthncose.OKPPublicKeyData:
		if key.Algorithm == int64(webauthncose.AlgEdDSA) {
			return nil
		}
	case webauthncose.RSAPublicKeyData:
		e, err := webauthncose.ParseRSAPublicKeyDataExponent(&key)
		if err == nil && e == 65537 && key.Algorithm == int64(webauthncose.AlgRS256) &&
			len(key.Modulus) >= 256 && len(key.Modulus) <= 512 && key.Modulus[0] >= 0x80 {
			return nil
		}
	}
	return refuse(WrongAlgorithm)
}

// admits refuses software authenticators where no demonstration is, and anything
// that was recorded as one.
func (p *RelyingParty) admits(c Credential) error {
	if !p.cfg.Demo && (c.Software || c.AAGUID == SoftwareAAGUID) {
		return refuse(SoftwareKey)
	}
	return nil
}

// handle is the user handle of a person: the bytes of her random id. WebAuthn
// §14.6.1: nothing that says who she is.
func handle(person string) ([]byte, error) {
	raw, err := hex.DecodeString(person)
	if err != nil || len(raw) != handleSize || hex.EncodeToString(raw) != person {
		return nil, fmt.Errorf("%w: a person has an id of %d random bytes in hex", ErrConfig, handleSize)
	}
	return raw, nil
}

const handleSize = 16

// user is a person as the library knows her.
type user struct {
	id    []byte
	label string
	owns  []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return u.id }
func (u user) WebAuthnName() string                       { return u.label }
func (u user) WebAuthnDisplayName() string                { return u.label }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.owns }
