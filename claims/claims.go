// Package claims is what an agency can state about a case: a type of claims for
// each kind of attestation, the closed lists of values that they draw on, the
// consent that goes with them, the rule by which indicators are counted, what has
// to hold before any of it is signed, and who sees what of it.
//
// It has many exported names because what is stated is a type for each kind and for
// each thing inside one, and because forms, parts and readers are closed lists.
//
// It leaves issuing to package credentials, keeping papers to package vault,
// and how an input's problems are told to package invalid.
package claims

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/invalid"
)

// Kind names what an attestation states. The set is closed: the table in
// kinds.go.
type Kind string

// ErrUnknownKind says that there is no such kind of claims.
var ErrUnknownKind = errors.New("claims: unknown kind of attestation")

// MaxClaims is the largest encoded claims, in bytes.
const MaxClaims = 64 << 10

// maxClaimsDepth is how deep claims nest; the deepest of ours is 4.
const maxClaimsDepth = 6

// Claims is what an attestation says. Only the types of this package are ever
// read or encoded. None of them prints: they are about a person even where they
// hold codes only.
type Claims interface {
	// Kind returns the kind of attestation that the claims belong to.
	Kind() Kind
	// rules reports members that do not go together. Each was checked by itself
	// before.
	rules(c *invalid.Checker)
}

// Inspect reports everything that keeps claims of this package from being
// signed: first each member by itself, in the order in which they are documented,
// and then how they go together.
func Inspect(k *invalid.Checker, c Claims) {
	CheckMembers(k, "", c)
	c.rules(k)
}

// Check inspects c and returns nil, if it may be signed on that day, or an
// *invalid.Error with every problem. Claims that are not of this package are
// ErrUnknownKind.
func Check(c Claims, now time.Time) error {
	if _, err := TermsOf(c); err != nil {
		return err
	}
	k := invalid.New(now)
	Inspect(k, c)
	return k.Err()
}

// Complete fills in what is computed and not asked, for the kinds that compute
// something. Call it between reading a form and issuing; Inspect checks what it
// did.
func Complete(c Claims) {
	if c, ok := c.(interface{ complete() }); ok {
		c.complete()
	}
}

// Decode reads claims of a kind from JSON of at most MaxClaims bytes.
// It reads strictly (package strictjson), drops what cannot be seen at the ends
// of texts, and judges nothing: what it returns may still be refused by
// Check. Errors wrap those of strictjson, or are
// ErrUnknownKind.
func Decode(kind Kind, data []byte) (Claims, error) {
	claims, err := New(kind)
	if err != nil {
		return nil, err
	}
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: MaxClaims, Depth: maxClaimsDepth}, claims); err != nil {
		return nil, fmt.Errorf("decode %s claims: %w", kind, err)
	}
	// JSON null decodes into anything without a trace, so it is refused here.
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return nil, fmt.Errorf("decode %s claims: %w: not an object", kind, strictjson.ErrInvalid)
	}
	invalid.Tidy(claims)
	return claims, nil
}

// Encode writes claims as JSON, private texts included: the result is
// for sealing and signing, and for nothing else. The same claims always give
// the same bytes. It does not validate.
func Encode(c Claims) ([]byte, error) {
	if _, err := TermsOf(c); err != nil {
		return nil, err
	}
	data, err := private.RevealJSON(c)
	if err != nil {
		return nil, fmt.Errorf("encode %s claims: %w", c.Kind(), err)
	}
	if len(data) > MaxClaims {
		return nil, fmt.Errorf("encode %s claims: %w", c.Kind(), strictjson.ErrTooLarge)
	}
	return data, nil
}

// hidden is how claims print: by their kind. A printed claim would be the
// leak that private.String is there to prevent, because the codes alone say
// what happened to a person.
func hidden(f fmt.State, k Kind) { _, _ = fmt.Fprintf(f, "[%s claims]", string(k)) }

func hiddenLog(k Kind) slog.Value { return slog.StringValue("[" + string(k) + " claims]") }
