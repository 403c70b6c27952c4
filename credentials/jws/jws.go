// Package jws signs and reads compact JSON Web Signatures (RFC 7515) in the
// one way this project uses them: ES256 and nothing else, a protected header
// of exactly alg, typ and kid, strict base64url and strict JSON. go-jose makes
// and checks the signatures. Our own reading of form and header stands before
// it, because a general library takes what no token of ours has, and takes
// some of it in more than one spelling. Which key a kid stands for, and what a
// payload means, is left to the rooms that call it.
package jws

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The stable codes of an Error. Those of package strictjson (json_invalid,
// json_duplicate_key) occur too, when the header is not JSON we accept.
const (
	CodeMalformed = "token_malformed"      // not three parts, or not canonical base64url
	CodeHeader    = "token_header_refused" // a header member other than alg, typ and kid
	CodeAlg       = "token_alg_refused"    // alg is not ES256
	CodeTyp       = "token_typ_refused"    // typ is missing, or not one that was expected
	CodeKeyID     = "token_kid_invalid"    // kid is missing, unexpected, or not of our form
	CodeSignature = "signature_invalid"    // the signature was not made by that key over these bytes
	CodeTooLarge  = "too_large"            // longer than the caller allows
)

// Error says why a token was refused.
type Error struct {
	Code string // stable, for programs; see the constants
	Err  error  // for people who debug; never repeats the token
}

func (e *Error) Error() string { return e.Code + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code, why string) error { return &Error{code, errors.New("jws: " + why)} }

// KeyIDRule says what a profile wants of the kid header member.
type KeyIDRule int

// The rules. The zero value is the strictest that our own tokens meet.
const (
	KeyIDRequired KeyIDRule = iota // our own tokens
	KeyIDOptional                  // credentials of others, whose issuer may have one key
	KeyIDAbsent                    // key binding: the key is the one the credential names
)

// Profile says which tokens are read.
type Profile struct {
	Max   int       // bytes of the compact form; 0 means 64 KiB
	Types []string  // the values of typ that are accepted; none means no token is
	KeyID KeyIDRule // zero is KeyIDRequired
}

// algorithm is the one that is accepted: ECDSA on P-256 with SHA-256 (RFC 7518
// §3.4). It is a property of this project's keys and never taken from a token.
const algorithm = jose.ES256

// algorithms is the form in which go-jose is told.
var algorithms = []jose.SignatureAlgorithm{algorithm}

// signatureSize is that of r and s side by side, 32 bytes each, big-endian
// (RFC 7518 §3.4).
const signatureSize = 64

const (
	defaultMax  = 64 << 10
	longHeader  = 8 << 10 // ours have under 150 bytes
	maxOversize = 2 << 20
)

// Message is a token whose form is right and whose signature has not been
// checked yet.
type Message struct {
	header             *header
	payload, signature []byte
}

// Parse reads a token of our own: header exactly alg, typ and kid, typ one of
// those given, at most max bytes. The error is an *Error.
func Parse(compact string, max int, typ ...string) (*Message, error) {
	return Profile{Max: max, Types: typ}.Parse(compact)
}

// ParseInput reads what is about to be signed (RFC 7515 §5.1), as Parse reads a
// token. Unverified has its payload; Verify says no.
func ParseInput(input []byte, max int, typ ...string) (*Message, error) {
	return Parse(string(input)+"."+strings.Repeat("A", 86), max, typ...) // 64 bytes stand for the signature
}

// Parse reads a token by the profile p. The error is an *Error. Nothing of the
// token may be believed before Verify.
func (p Profile) Parse(compact string) (*Message, error) {
	limit := p.Max
	if limit <= 0 {
		limit = defaultMax
	}
	if len(compact) > limit {
		return nil, oversize(compact)
	}
	m, err := read(compact)
	if err != nil {
		return nil, err
	}
	// RFC 8725 §3.11: explicit typing keeps one kind of token from passing
	// for another.
	if m.header.typ == "" || !slices.Contains(p.Types, m.header.typ) {
		return nil, refuse(CodeTyp, "typ is not the one expected")
	}
	switch p.KeyID {
	case KeyIDRequired:
		if !m.header.named {
			return nil, refuse(CodeKeyID, "kid is missing")
		}
	case KeyIDOptional:
	case KeyIDAbsent:
		if m.header.named {
			return nil, refuse(CodeHeader, "kid is not expected here")
		}
	default:
		return nil, refuse(CodeKeyID, "the profile has no rule for kid")
	}
	return m, nil
}

// read takes a token apart and judges what no profile can change.
func read(compact string) (m *Message, err error) {
	// RFC 7515 §7.1: three parts. A JWE has five; its header is read all the
	// same, so that the refusal can say what is wrong with it.
	head, rest, ok := strings.Cut(compact, ".")
	if !ok {
		return nil, refuse(CodeMalformed, "three parts expected")
	}
	m = new(Message)
	if m.header, err = readHeader(head); err != nil {
		return nil, err
	}
	body, sig, ok := strings.Cut(rest, ".")
	if !ok || body == "" {
		return nil, refuse(CodeMalformed, "three parts expected")
	}
	if m.signature, err = Decode(sig); err != nil {
		return nil, err
	}
	if len(m.signature) != signatureSize {
		return nil, refuse(CodeMalformed, "signature of 64 bytes expected")
	}
	if m.payload, err = Decode(body); err != nil {
		return nil, err
	}
	return m, nil
}

// oversize answers for a token that is too long to be read. A token that is
// too long because of its header says so (a kid of one megabyte is a refused
// kid), as far as that can be found out with bounded work.
func oversize(compact string) error {
	head, _, ok := strings.Cut(compact[:min(len(compact), maxOversize)], ".")
	if ok && len(head) > longHeader {
		var e *Error
		if _, err := readHeader(head); errors.As(err, &e) && e.Code == CodeKeyID {
			return err
		}
	}
	return refuse(CodeTooLarge, "longer than allowed")
}

// ValidKeyID reports whether s may stand as kid: an opaque index into a set of
// pinned keys, never a path, a URL or a piece of a query.
func ValidKeyID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// Type returns the typ of the header; it is one of those that were expected.
func (m *Message) Type() string { return m.header.typ }

// KeyID returns the kid of the header, or "" where the profile lets it be
// absent. It says which key to try and proves nothing.
func (m *Message) KeyID() string { return m.header.keyID }

// Verify returns the payload if the signature is that of pub (RFC 7515 §5.2).
// The error is an *Error with code signature_invalid.
func (m *Message) Verify(pub *ecdsa.PublicKey) (payload []byte, err error) {
	signature := m.header.parsed
	signature.Signature = m.signature
	token := jose.JSONWebSignature{Signatures: []jose.Signature{signature}}
	if err := token.DetachedVerify(m.payload, pub); err != nil {
		return nil, refuse(CodeSignature, "signature does not match")
	}
	return m.payload, nil
}

// Decode reads base64url without padding in its one canonical form (RFC 7515
// §2, RFC 4648 §3.5): trailing bits are zero and line breaks, which
// encoding/base64 skips, are refused. Otherwise one token would have many
// spellings. The error is an *Error with code token_malformed.
func Decode(s string) ([]byte, error) { return AppendDecode(nil, s) }

// AppendDecode appends to b what Decode returns.
func AppendDecode(b []byte, s string) ([]byte, error) {
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 {
		return nil, refuse(CodeMalformed, "not canonical base64url")
	}
	b, err := strictBase64.AppendDecode(b, []byte(s))
	if err != nil {
		return nil, refuse(CodeMalformed, "not canonical base64url")
	}
	return b, nil
}

var strictBase64 = base64.RawURLEncoding.Strict()

// Sign makes a token of our own with the header alg, typ and kid. kid must be
// of the form ValidKeyID asks for, key a P-256 key; a crypto.Signer promises
// ASN.1, which becomes r and s here. The signature is checked before the token
// is returned.
func Sign(typ, kid string, key crypto.Signer, payload []byte) (string, error) {
	if kid == "" {
		return "", errors.New("jws: sign: kid is missing")
	}
	return Header{typ, kid}.Sign(key, payload)
}

// Unverified returns the payload without any check of the signature. It is
// for a holder who arranges what she was given; nothing in it may be believed.
func (m *Message) Unverified() []byte { return m.payload }
