package credentials

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// Consents returns what the holder of a case has agreed to, as it stands in the
// signed screenings of the case; claims.Allows finds her newest word among them.
// A screening that was replaced does not count, because the newer one does. One
// that is paused or withdrawn counts as a day on which she agreed to nothing:
// nobody acts on a yes that its agency has taken out of use.
//
// It is for the agency that keeps the case. Anybody else gets ErrNotFound.
func (is *Issuer) Consents(ctx context.Context, by audit.Actor, caseID string) ([]*claims.Consent, error) {
	all, err := is.List(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	var words []*claims.Consent
	for _, d := range all {
		if d.Kind != claims.KindScreening || d.State == Replaced {
			continue
		}
		word, err := is.consent(ctx, by, d)
		if err != nil {
			return nil, err
		}
		if d.State != Active {
			word = &claims.Consent{GivenOn: word.GivenOn}
		}
		words = append(words, word)
	}
	return words, nil
}

// consent reads the consent of a signed screening.
func (is *Issuer) consent(ctx context.Context, by audit.Actor, d Issued) (*claims.Consent, error) {
	token, err := is.cfg.Cases.Open(ctx, by, d.Case, d.Sealed)
	if err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	// What she said is not over when the finding is, so that it is read as on
	// the day on which it was signed.
	said, err := is.own(ctx, Attestation{Issued: d, Token: string(token)}, sdjwt.Policy{Now: d.IssuedOn})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(said.Payload()["consent"])
	if err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	var word claims.Consent
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: claims.MaxClaims}, &word); err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	return &word, nil
}

// contact tells whether a card may say that the mission of a nationality may be
// contacted.
func (is *Issuer) contact(ctx context.Context, by audit.Actor, keeper Agency, caseID, nationality string) (bool, error) {
	words, err := is.Consents(ctx, by, caseID)
	if err != nil {
		return false, err
	}
	return claims.Allows(words, claims.Showing{
		To:      claims.Recipient{Class: claims.ClassMission, Country: nationality},
		About:   claims.Origin{Stated: []string{nationality}, Host: keeper.Country},
		Purpose: claims.PurposeContact, On: claims.NewDay(is.cfg.Now()),
	}), nil
}
