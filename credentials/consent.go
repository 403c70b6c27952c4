package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// Consents returns what the holder of a case has agreed to, as it stands in the
// signed screenings of the case; claims.Allows finds her newest word among them.
// One that is paused or withdrawn counts as a day on which she agreed to nothing:
// nobody acts on a yes that its agency has taken out of use.
//
// One that was replaced still counts, because a newer paper may hold an older
// word. Whatever replaced it counts as said on no earlier day, so that neither
// hides the other: a correction cannot lift a no by an earlier date, nor leave
// behind the yes that it corrects.
//
// It is for the agency that keeps the case. Anybody else gets ErrNotFound.
func (is *Issuer) Consents(ctx context.Context, by audit.Actor, caseID string) ([]*claims.Consent, error) {
	all, err := is.List(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	screenings := map[ID]Issued{}
	words := map[ID]*claims.Consent{}
	for _, d := range all {
		if d.Kind != claims.KindScreening {
			continue
		}
		word, err := is.consent(ctx, by, d)
		if err != nil {
			return nil, err
		}
		if d.State != Active && d.State != Replaced {
			word = &claims.Consent{GivenOn: word.GivenOn}
		}
		screenings[d.ID], words[d.ID] = d, word
	}
	for range screenings { // each round carries a day one replacement further
		for id, d := range screenings {
			if older := words[d.Replaces]; older != nil {
				words[id].GivenOn = max(words[id].GivenOn, older.GivenOn)
			}
		}
	}
	return slices.Collect(maps.Values(words)), nil
}

// Signed is Consents and Origin, read in the name of the agency that keeps the case: for
// rooms that decide by them, whoever asks. It must not leave the service as it is.
func (is *Issuer) Signed(ctx context.Context, caseID string) ([]*claims.Consent, claims.Origin, error) {
	keeper, err := is.cfg.Cases.Owner(ctx, caseID)
	if err != nil {
		return nil, claims.Origin{}, err
	}
	words, err := is.Consents(ctx, issuer(keeper), caseID)
	if err != nil {
		return nil, claims.Origin{}, err
	}
	origin, err := is.Origin(ctx, issuer(keeper), caseID)
	return words, origin, err
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
	return is.origin(ctx, by, caseID, func(s State) bool { return s != Replaced })
}

// origin gathers it from the attestations whose state counts.
func (is *Issuer) origin(ctx context.Context, by audit.Actor, caseID string, counts func(State) bool) (claims.Origin, error) {
	all, err := is.List(ctx, by, caseID)
	if err != nil {
		return claims.Origin{}, err
	}
	var origin claims.Origin
	for _, d := range all {
		if !counts(d.State) || d.Kind != claims.KindIdentity && d.Kind != claims.KindDocument {
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
	err = is.said(ctx, issuer(keeper), d, &said)
	if err != nil {
		return "", fmt.Errorf("read what is answered: %w", err)
	}
	return said.DocID, nil
}

// issuer is this room itself, which reads for an agency what nobody is shown.
func issuer(agency string) audit.Actor {
	return audit.Actor{ID: "issuer", Agency: agency, Role: "system"}
}

// said reads members of a signed attestation. What was said is not over when the
// attestation is, so that it is read as on the day on which it was signed.
func (is *Issuer) said(ctx context.Context, by audit.Actor, d Issued, members any) error {
	token, err := is.opened(ctx, by, d)
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
// contacted. Only what is in use says where she is from: a state that was
// withdrawn is one to be careful with, and none to be rung.
func (is *Issuer) contact(ctx context.Context, by audit.Actor, keeper Agency, caseID, nationality string) (bool, error) {
	words, err := is.Consents(ctx, by, caseID)
	if err != nil {
		return false, err
	}
	said, err := is.cfg.Said(ctx, caseID)
	if err != nil {
		return false, err
	}
	words = append(words, said...)
	origin, err := is.origin(ctx, by, caseID, func(s State) bool { return s == Active })
	if err != nil {
		return false, err
	}
	origin.Host = keeper.Country
	return claims.Allows(words, claims.Showing{
		To:      claims.Recipient{Class: claims.ClassMission, Country: nationality},
		About:   origin,
		Purpose: claims.PurposeContact, On: claims.NewDay(is.cfg.Now()),
	}), nil
}

// PrintAgain tells whether a card of a case that is in use says that a mission may be
// contacted, and its holder does not allow that any more.
func (is *Issuer) PrintAgain(ctx context.Context, caseID string) (bool, error) {
	keeper, err := is.cfg.Cases.Owner(ctx, caseID)
	if err != nil {
		return false, err
	}
	all, err := is.List(ctx, issuer(keeper), caseID)
	if err != nil {
		return false, err
	}
	for _, d := range all {
		if d.Card == nil || !d.Card.Contact || d.State != Active || !day(is.cfg.Now()).Before(d.ValidUntil) {
			continue
		}
		switch allowed, err := is.stillContact(ctx, keeper, d); {
		case err != nil:
			return false, err
		case !allowed:
			return true, nil
		}
	}
	return false, nil
}

// MayContact tells whether the holder of a card in use allows now what it says, that a
// mission may be contacted; ErrNotFound for a handle of no such card.
func (is *Issuer) MayContact(ctx context.Context, handle [8]byte) (bool, error) {
	d, err := is.CardByHandle(ctx, handle)
	if err == nil && d.Card == nil {
		err = ErrNotFound
	}
	if err != nil {
		return false, err
	}
	keeper, err := is.cfg.Cases.Owner(ctx, d.Case)
	if err != nil {
		return false, err
	}
	return is.stillContact(ctx, keeper, d)
}

// stillContact asks of a card again what was asked when it was made. Its nationality is
// known by a keyed hash alone: it is one of those that she stated.
func (is *Issuer) stillContact(ctx context.Context, keeper string, d Issued) (bool, error) {
	of, err := is.cfg.Network.Agency(ctx, keeper)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotAllowed) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	origin, err := is.origin(ctx, issuer(keeper), d.Case, func(s State) bool { return s == Active })
	if err != nil {
		return false, err
	}
	for _, nationality := range origin.Stated {
		tag, err := is.nationalityTag(ctx, d.Card.Handle, nationality)
		if err != nil {
			return false, err
		}
		if tag != [16]byte{} && tag == d.Card.Nationality {
			return is.contact(ctx, issuer(keeper), of, d.Case, nationality)
		}
	}
	return false, nil
}
