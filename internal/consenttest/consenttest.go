// Package consenttest gives consents for tests as a holder does at a desk: she is asked, a
// made-up card of hers signs, and where it is her own state two people agree. What may be
// agreed to, and what comes of it, is for package vault and its tests to say.
package consenttest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/vault"
)

// CardID is the id of the made-up card.
const CardID = "made up"

// CardKey is its key.
var CardKey = newKey()

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// Signs has the made-up card sign.
func Signs(_ context.Context, message []byte) (vault.Proof, error) {
	public, _ := CardKey.Public().(ed25519.PublicKey)
	return vault.Proof{Card: CardID, OpenKey: public, Signature: ed25519.Sign(CardKey, message)}, nil
}

// Order is a yes to everything: to confirm who she is, all parts of a record, for so many
// days.
func Order(record, agency string, now time.Time, days int) vault.Order {
	return vault.Order{
		Ask: vault.Ask{
			Record: record, Agency: agency, Purpose: "confirm_identity", Parts: vault.Parts,
			Until: now.UTC().Truncate(24*time.Hour).AddDate(0, 0, days), Language: "km", Circumstance: "free", Keeper: "One agency", To: "Another agency",
		},
		Answers: vault.Answers{Mission: true, SafeWithState: "yes", Method: "signature"},
	}
}

// Vault is what gives consents: package vault's.
type Vault interface {
	AskConsent(ctx context.Context, by audit.Actor, a vault.Ask) (vault.Question, error)
	Share(ctx context.Context, by audit.Actor, o vault.Order, prove vault.Prove) (vault.Shared, *vault.Proposal, error)
	DecideShare(ctx context.Context, asker audit.Actor, record string, digest, sealed []byte, agreed []string) error
	Grants(ctx context.Context, by audit.Actor, caseID string) ([]vault.Shared, error)
}

// Give asks for what is ordered and has it agreed to by everybody who has to.
func Give(ctx context.Context, v Vault, by audit.Actor, o vault.Order) (vault.Shared, error) {
	return GiveBy(ctx, v, by, o, CardID)
}

// GiveBy is Give with a card that is in use, which her own state's takes.
func GiveBy(ctx context.Context, v Vault, by audit.Actor, o vault.Order, card string) (vault.Shared, error) {
	q, err := v.AskConsent(ctx, by, o.Ask)
	if err != nil {
		return vault.Shared{}, err
	}
	o.Nonce, o.Text = q.Nonce, q.SHA256
	given, proposed, err := v.Share(ctx, by, o, func(ctx context.Context, message []byte) (vault.Proof, error) {
		p, err := Signs(ctx, message)
		p.Card = card
		return p, err
	})
	if err != nil || proposed == nil {
		return given, err
	}
	if err := v.DecideShare(ctx, by, o.Record, proposed.Digest, proposed.Sealed, []string{by.ID, "a second person"}); err != nil {
		return vault.Shared{}, err
	}
	grants, err := v.Grants(ctx, by, proposed.Case)
	if err != nil {
		return vault.Shared{}, err
	}
	for _, g := range grants {
		if g.Record == o.Record && g.Agency == o.Agency {
			return g, nil
		}
	}
	return vault.Shared{}, errors.New("consenttest: nothing was shared")
}

// Signed is what a screening of a day says in which she agrees to everything.
func Signed(day claims.Day, states ...string) claims.Consent {
	return claims.Consent{
		Interview: true, GivenOn: day, ShareScope: claims.Values("share_scope"), TransferToState: states,
		Circumstance: "free", SafeIfStateKnows: "yes", MissionMayBeContacted: true,
	}
}
