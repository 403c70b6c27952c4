package credentials

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
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
	var said struct {
		Consent *claims.Consent `json:"consent"`
	}
	if err := is.said(ctx, by, d, &said); err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	if said.Consent == nil {
		return &claims.Consent{}, nil
	}
	return said.Consent, nil
}

// Origin returns what signed attestations of a case say of the state that its
// holder comes from: the citizenships that she stated, and what documents of
// hers show. What was replaced does not count, because the newer one does; what
// was withdrawn still does, because a state that might be hers is one to be
// careful with.
//
// It is for the agency that keeps the case. Anybody else gets ErrNotFound.
func (is *Issuer) Origin(ctx context.Context, by audit.Actor, caseID string) (claims.Origin, error) {
	all, err := is.List(ctx, by, caseID)
	if err != nil {
		return claims.Origin{}, err
	}
	var origin claims.Origin
	for _, d := range all {
		if d.State == Replaced || d.Kind != claims.KindIdentity && d.Kind != claims.KindDocument {
			continue
		}
		var said struct {
			Citizenship  []string `json:"citizenship"`
			DocumentKind string   `json:"document_kind"`
			IssuingState string   `json:"issuing_state"`
		}
		if err := is.said(ctx, by, d, &said); err != nil {
			return claims.Origin{}, fmt.Errorf("read where the holder is from: %w", err)
		}
		origin.Stated = append(origin.Stated, said.Citizenship...)
		if d.Kind == claims.KindDocument && claims.ForOwnPeople(said.DocumentKind) {
			origin.Shown = append(origin.Shown, said.IssuingState)
		}
	}
	return origin, nil
}

// AboutRecord returns the record that a document attestation is about, read in
// the name of the agency that keeps the case; empty if it names none, or is of
// another kind.
func (is *Issuer) AboutRecord(ctx context.Context, id ID) (record string, err error) {
	d, err := is.cfg.Store.Get(ctx, id)
	if err != nil || d.Kind != claims.KindDocument {
		return "", err
	}
	keeper, err := is.cfg.Cases.Owner(ctx, d.Case)
	if err != nil {
		return "", err
	}
	var said struct {
		DocID string `json:"doc_id"`
	}
	err = is.said(ctx, audit.Actor{ID: "issuer", Agency: keeper, Role: "system"}, d, &said)
	if err != nil {
		return "", fmt.Errorf("read what is answered: %w", err)
	}
	return said.DocID, nil
}

// said reads members of a signed attestation. What was said is not over when the
// attestation is, so that it is read as on the day on which it was signed.
func (is *Issuer) said(ctx context.Context, by audit.Actor, d Issued, members any) error {
	token, err := is.cfg.Cases.Open(ctx, by, d.Case, d.Sealed)
	if err != nil {
		return err
	}
	all, err := is.own(ctx, Attestation{Issued: d, Token: string(token)}, sdjwt.Policy{Now: d.IssuedOn})
	if err != nil {
		return err
	}
	data, err := json.Marshal(all.Payload())
	if err != nil {
		return err
	}
	return json.Unmarshal(data, members)
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
