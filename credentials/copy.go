package credentials

import (
	"context"
	"fmt"
	"iter"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// Copied is an attestation or a card as its holder takes it with her. A card has no
// content: what it says is on paper alone.
type Copied struct {
	Attestation

	// Said is what was signed; nil for a card.
	Said *sdjwt.Claims
}

// Copy reads everything that was signed about a case, one after the other and oldest
// first, for a copy that its holder takes with her. It is for the agency that keeps the
// case; ErrNotFound for everybody else. Each signature is checked again.
//
// It writes no history: whoever makes the copy has written that down.
func (is *Issuer) Copy(ctx context.Context, by audit.Actor, caseID string) iter.Seq2[Copied, error] {
	return func(yield func(Copied, error) bool) {
		all, err := is.List(ctx, by, caseID)
		if err != nil {
			yield(Copied{}, err)
			return
		}
		for _, d := range all {
			c, err := is.copied(ctx, by, d)
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (is *Issuer) copied(ctx context.Context, by audit.Actor, d Issued) (Copied, error) {
	c := Copied{Attestation: Attestation{Issued: d}}
	if d.Kind == KindCard {
		return c, nil
	}
	token, err := is.opened(ctx, by, d)
	if err != nil {
		return Copied{}, fmt.Errorf("copy an attestation: %w", err)
	}
	c.Token = string(token)
	// What was said is not over when the attestation is: as on the day of signing.
	if c.Said, err = is.own(ctx, c.Attestation, sdjwt.Policy{Now: d.IssuedOn}); err != nil {
		return Copied{}, fmt.Errorf("copy an attestation: %w", err)
	}
	return c, nil
}
