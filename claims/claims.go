// Package claims is what an agency can state about a case: a type of claims for
// each kind of attestation, the closed lists of values that they draw on, the
// consent that goes with them, the rule by which indicators are counted, and
// what has to hold before any of it is signed.
//
// It leaves issuing to package credentials, keeping papers to package vault,
// and how an input's problems are told to package invalid.
package claims

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/invalid"
)

// Kind names what an attestation states. The set is closed.
type Kind string

// The six kinds of attestation, and the card. A card carries claims of other
// kinds and has none of its own: New refuses KindCard.
const (
	KindScreening Kind = "screening"
	KindIdentity  Kind = "identity"
	KindDocument  Kind = "document"
	KindOpinion   Kind = "opinion"
	KindReliance  Kind = "reliance"
	KindReply     Kind = "reply"
)

// Kinds lists every kind of attestation.
func Kinds() []Kind {
	return []Kind{KindScreening, KindIdentity, KindDocument, KindOpinion, KindReliance, KindReply}
}

// ErrUnknownKind says that there is no such kind of claims.
var ErrUnknownKind = errors.New("claims: unknown kind of attestation")

// MaxClaims is the largest encoded claims, in bytes.
const MaxClaims = 64 << 10

// maxClaimsDepth is how deep claims nest; the deepest of ours is 4.
const maxClaimsDepth = 6

// Claims is what an attestation says. Only the six types of this package are
// ever read or encoded. None of them prints: they are about a person even
// where they hold codes only.
type Claims interface {
	// Kind returns the kind of attestation that the claims belong to.
	Kind() Kind
	// Validate reports everything that is wrong, in the order in which the
	// members are documented, and nil if the claims may be signed on that day.
	Validate(now time.Time) []invalid.Problem
}

// New returns empty claims of a kind, as a pointer: *Screening,
// *IdentityClaim, *DocumentReport, *Opinion, *Reliance or *Reply. Any other
// kind is ErrUnknownKind.
func New(kind Kind) (Claims, error) {
	switch kind {
	case KindScreening:
		return new(Screening), nil
	case KindIdentity:
		return new(IdentityClaim), nil
	case KindDocument:
		return new(DocumentReport), nil
	case KindOpinion:
		return new(Opinion), nil
	case KindReliance:
		return new(Reliance), nil
	case KindReply:
		return new(Reply), nil
	default:
		return nil, ErrUnknownKind
	}
}

// Decode reads claims of a kind from JSON of at most MaxClaims bytes.
// It reads strictly (package strictjson) and judges nothing: what it returns
// may still be refused by Validate. Errors wrap those of strictjson, or are
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
	return claims, nil
}

// Encode writes claims as JSON, private texts included: the result is
// for sealing and signing, and for nothing else. The same claims always give
// the same bytes. It does not validate.
func Encode(c Claims) ([]byte, error) {
	if !Known(c) {
		return nil, ErrUnknownKind
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

// Check validates c and returns nil or an *invalid.Error with every
// problem. Claims that are not of this package are ErrUnknownKind.
func Check(c Claims, now time.Time) error {
	if !Known(c) {
		return ErrUnknownKind
	}
	if problems := c.Validate(now); len(problems) > 0 {
		return &invalid.Error{Problems: problems}
	}
	return nil
}

// Known reports whether c is one of the six types and not a nil pointer. A type
// from elsewhere could name any kind as its own.
func Known(c Claims) bool {
	switch c := c.(type) {
	case *Screening:
		return c != nil
	case *IdentityClaim:
		return c != nil
	case *DocumentReport:
		return c != nil
	case *Opinion:
		return c != nil
	case *Reliance:
		return c != nil
	case *Reply:
		return c != nil
	default:
		return false
	}
}
