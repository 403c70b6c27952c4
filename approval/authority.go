package approval

import (
	"context"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Authority is what shows that something may be signed in an agency's name: an act
// with the proofs of those who agreed to it, or the token of a program. Whoever has
// the keys checks it against the roster, and believes nothing else.
type Authority struct {
	// Token is the bearer token of a program.
	Token private.String
	// Act is an act in its one form, Proofs are those of the people who agreed to it,
	// and Order is what the act has the digest of.
	Act    []byte
	Proofs []Proof
	Order  []byte
	// Case is whom it is about, where no act says it.
	Case string
	// About is a signed attestation, with its disclosures, that what is signed repeats
	// something of: the screening of a card; or the trust list that a pack names.
	About private.String
	// Changes are what shows that places of a list may change as they do.
	Changes []Change
	// Proof shows that a checkpoint of the log goes on behind the one before: the hashes
	// of a consistency proof (RFC 6962 §2.1.2).
	Proof [][]byte
}

// String tells nothing: an order is about a person.
func (Authority) String() string { return "authority" }

// GoString is String.
func (a Authority) GoString() string { return a.String() }

// Change is what shows that one place of a list may change: receipts of the signer for
// an answer, an act with its proofs for a pause that ends.
type Change struct {
	List   uint16
	Index  uint32
	Card   []byte // the signer's receipt for what stands at this place: a card, where it is confirmed
	Reply  []byte // the signer's receipt for the reply that confirms it
	Act    []byte
	Proofs []Proof
}

type authorityKey struct{}

// With is a context in which an authority goes along to where something is signed.
func With(ctx context.Context, a Authority) context.Context {
	return context.WithValue(ctx, authorityKey{}, a)
}

// Of returns the authority of a context; the zero Authority, which allows nothing, if
// there is none.
func Of(ctx context.Context) Authority {
	a, _ := ctx.Value(authorityKey{}).(Authority)
	return a
}
