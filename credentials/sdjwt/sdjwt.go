// Package sdjwt signs, reads, presents and checks SD-JWTs (RFC 9901) and SD-JWT
// Verifiable Credentials (draft-ietf-oauth-sd-jwt-vc-19): a signed statement
// whose holder chooses which of its claims she shows. Everything here works on
// bytes, keys and a time that are handed in. Which issuer may be believed, what
// the status list says, and whether a nonce was used before is left to others.
package sdjwt

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// The values of typ this package knows.
const (
	TypeVC      = "dc+sd-jwt" // a verifiable credential, draft-ietf-oauth-sd-jwt-vc-19 §2.1
	typeBinding = "kb+jwt"    // RFC 9901 §4.3
)

// Bounds on what is read, found before anything is parsed.
const (
	MaxSize        = 32 << 10 // bytes of the whole presentation
	MaxDisclosures = 64
	MaxDepth       = 8 // objects and arrays inside one another, after disclosing
)

// How far clocks may differ.
const (
	Skew        = 60 * time.Second  // for exp and nbf
	BindingSkew = 120 * time.Second // for iat of key binding, either way
)

// Error says why a presentation was refused; Code is stable. Besides the codes
// below it carries those of package jws and of package strictjson.
type Error = jws.Error

// The stable codes of this package.
const (
	CodeMalformed       = "sd_malformed"        // not the compact form, or a disclosure or digest of the wrong shape
	CodeUnreferenced    = "sd_unreferenced"     // a disclosure that no digest names
	CodeDuplicateDigest = "sd_duplicate_digest" // a digest or disclosure that occurs twice
	CodeClaimRefused    = "sd_claim_refused"    // a disclosure of a name that must not be disclosed, or is there already
	CodeAlgRefused      = "sd_alg_refused"      // _sd_alg is not sha-256
	CodeClaimMissing    = "claim_missing"       // a claim that is required is not there, or was withheld
	CodeClaimInvalid    = "claim_invalid"       // a registered claim of the wrong form, or a time that has passed or not come
	CodeBindingRequired = "kb_required"         // no key binding where the verifier wants it
	CodeBindingInvalid  = "kb_invalid"          // key binding that does not hold
)

// Conditions a verdict tells apart from other refusals. Both come with code
// claim_invalid.
var (
	ErrExpired     = errors.New("sdjwt: exp has passed")
	ErrNotYetValid = errors.New("sdjwt: nbf has not come")
)

func refuse(code, why string) error { return &Error{Code: code, Err: errors.New("sdjwt: " + why)} }

// asError gives errors of strictjson their code.
func asError(what string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	code := strictjson.Code(err)
	if code == "" {
		code = CodeMalformed
	}
	return &Error{Code: code, Err: fmt.Errorf("sdjwt: %s: %w", what, err)}
}

// Profile says which SD-JWTs are read. It is the verifier's choice and never
// taken from the token.
type Profile struct {
	Types []string      // the values of typ that are accepted; none means no token is
	KeyID jws.KeyIDRule // zero means kid is required, as in our own credentials
}

// Token is an SD-JWT, with or without key binding, whose outer form is right
// and which has not been verified. It does not print.
type Token struct {
	message     *jws.Message
	hashed      string   // all up to the last tilde, which sd_hash covers
	jwt         string   // the issuer-signed part
	disclosures []string // as received: digests are over these very bytes
	binding     string   // the key binding JWT, or ""
}

// Parse reads a credential of our own: header alg, typ and kid, typ one of
// those given. The error is an *Error.
func Parse(s string, typ ...string) (*Token, error) { return Profile{Types: typ}.Parse(s) }

// Parse reads the compact form of an SD-JWT or SD-JWT+KB (RFC 9901 §4). The
// JSON serialisation of §8 is refused: one form is enough, and the fewer the
// readers the fewer the ways to disagree. The error is an *Error.
func (p Profile) Parse(s string) (*Token, error) {
	signed := jws.Profile{Max: MaxSize, Types: p.Types, KeyID: p.KeyID}
	if len(s) > MaxSize {
		_, err := signed.Parse(s) // too_large, or what made it so
		return nil, err
	}
	if strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") {
		return nil, refuse(CodeMalformed, "JSON serialisation is not accepted")
	}
	jwt, rest, tilde := strings.Cut(s, "~")
	m, err := signed.Parse(jwt)
	if err != nil {
		return nil, err
	}
	if !tilde {
		return nil, refuse(CodeMalformed, "no tilde")
	}
	t := &Token{message: m, jwt: jwt}
	end := strings.LastIndexByte(s, '~') + 1
	t.hashed, t.binding = s[:end], s[end:]
	if n := strings.Count(rest, "~"); n > MaxDisclosures {
		return nil, refuse(CodeMalformed, "too many disclosures")
	} else if n > 0 {
		t.disclosures = strings.Split(s[len(jwt)+1:end-1], "~")
	}
	// RFC 9901 §4: each disclosure has characters, and all of them are those of
	// base64url. Two tildes in a row, or a line break, are not part of it.
	for _, d := range t.disclosures {
		switch {
		case d == "":
			return nil, refuse(CodeMalformed, "a disclosure is empty")
		case !isBase64URL(d):
			return nil, refuse(jws.CodeMalformed, "a disclosure is not base64url")
		}
	}
	// The last part is a key binding JWT, or empty. Anything else is what was
	// written behind a credential, or a disclosure whose tilde was cut off.
	if t.binding != "" && !looksLikeJWT(t.binding) {
		return nil, refuse(CodeMalformed, "what stands behind the last tilde is no key binding")
	}
	return t, nil
}

// looksLikeJWT tells three parts of base64url with dots between them.
func looksLikeJWT(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) == 3 && parts[0] != "" && parts[1] != "" && isBase64URL(parts[0]+parts[1]+parts[2])
}

func isBase64URL(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r) && (r < '0' || '9' < r) && r != '-' && r != '_'
	})
}

// Type returns the typ of the header; it is one of those the profile names.
func (t *Token) Type() string { return t.message.Type() }

// KeyID returns the kid of the header, or "". It says which key to try.
func (t *Token) KeyID() string { return t.message.KeyID() }

// Format shows the mask: a token is all about a person.
func (*Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(private.Masked)) }

// LogValue shows the mask.
func (*Token) LogValue() slog.Value { return slog.StringValue(private.Masked) }

// Binding is what the verifier asked the holder to sign (RFC 9901 §4.3).
type Binding struct {
	Nonce    string // fresh for this transaction; that it is used once is the caller's to see
	Audience string // the verifier, in OpenID4VP its full client_id
}

// Policy is what the verifier demands beyond a good signature.
type Policy struct {
	// Now is the verifier's time. There is no default: a verdict without a
	// clock would be worth nothing.
	Now time.Time
	// Binding, if not nil, makes key binding required. RFC 9901 §7.3: this is
	// the verifier's decision and does not depend on what the holder sent. With
	// nil, key binding that was sent still has to be the holder's signature over
	// this presentation; for whom and when she made it is not asked.
	Binding *Binding
	// Required names top-level claims that must be there after disclosing,
	// besides vct, which every verifiable credential has. Without it an issuer
	// could put exp or status into a disclosure and a holder withhold it
	// (RFC 9901 §9.7).
	Required []string
	// Audience is the only aud a credential may name; "" refuses every
	// credential that names one.
	Audience string
}

// Verify checks everything RFC 9901 §7 asks for: the issuer's signature by
// pub, all disclosures, the registered claims, the policy, and key binding if
// the policy wants it. The error is an *Error. The claims are nil with every
// error but ErrExpired and ErrNotYetValid, where all else held and a verdict
// may say when.
func (t *Token) Verify(pub *ecdsa.PublicKey, policy Policy) (*Claims, error) {
	if policy.Now.IsZero() {
		return nil, refuse(CodeClaimInvalid, "no time to judge by")
	}
	if b := policy.Binding; b != nil && (b.Nonce == "" || b.Audience == "") {
		return nil, refuse(CodeBindingInvalid, "policy names no nonce or no audience")
	}
	// RFC 9901 §7.3 step 2. This does not need the signature, and a holder who
	// forgot is told so first.
	if policy.Binding != nil && t.binding == "" {
		return nil, refuse(CodeBindingRequired, "no key binding")
	}
	payload, err := t.message.Verify(pub)
	if err != nil {
		return nil, err
	}
	c, err := t.disclose(payload)
	if err != nil {
		return nil, err
	}
	if err := c.check(policy); err != nil {
		return nil, err
	}
	if t.binding != "" {
		if err := t.checkBinding(c, policy.Binding, policy.Now); err != nil {
			return nil, err
		}
	}
	return c, c.inTime(policy.Now)
}

// digestText is the text of a digest.
type digestText [43]byte

// digest is the base64url SHA-256 of a disclosure as received (RFC 9901
// §4.2.3): of the text, never of JSON written again.
func digest[T string | []byte](disclosure T) (text digestText) {
	var room [512]byte // most disclosures are shorter, and stay off the heap
	sum := sha256.Sum256(append(room[:0], disclosure...))
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return text
}

func (d digestText) String() string { return string(d[:]) }
