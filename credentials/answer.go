package credentials

import (
	"cmp"
	"context"
	"errors"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
)

// Nobody writes into a case unasked. Who keeps it may, and whoever its holder has shared
// something of it with; to everybody else there is nothing that could be answered,
// whatever he once held in his hands.

// Answerable finds an attestation, or a card, that the actor may answer. ErrNotFound for
// every other, as for an id that never was.
func (is *Issuer) Answerable(ctx context.Context, by audit.Actor, id ID) (ID, error) {
	d, err := is.answered(ctx, by, id, false)
	return d.ID, err
}

// AnswerableCard finds what a card in use, known by its handle, gives to answer: the
// attestation that it carries, or a plain card itself.
func (is *Issuer) AnswerableCard(ctx context.Context, by audit.Actor, handle [8]byte) (ID, error) {
	card, err := is.CardByHandle(ctx, handle)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	d, err := is.answered(ctx, by, cmp.Or(card.About, card.ID), true)
	return d.ID, err
}

// answered finds what an attestation answers, for whoever may answer it. One that is out
// of use is a conflict only to whoever keeps, signed, was shown or may read it: to
// everybody else it is what never was, because a refusal of its own would say that there
// had been something about somebody. shown says that the actor has a card in use that
// carries it.
func (is *Issuer) answered(ctx context.Context, by audit.Actor, id ID, shown bool) (Issued, error) {
	about, err := is.cfg.Store.Get(ctx, id)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return Issued{}, err
	case err != nil, about.State == Draft, about.State == Abandoned:
		// A case is asked for all the same: an unknown one takes as long as another agency's.
		about = Issued{Case: nowhere}
	}
	if err := is.cfg.Cases.Answers(ctx, by, about.Case); err != nil {
		return Issued{}, err
	}
	keeper, err := is.cfg.Cases.Owner(ctx, about.Case)
	switch {
	case err != nil:
		return Issued{}, err
	case keeper != by.Agency && about.Kind != KindCard && claims.KeeperOnly(about.Kind): // a card has no content to be read
		return Issued{}, ErrNotFound
	case about.State == Active || about.State == Paused:
		return about, nil
	case shown || keeper == by.Agency || about.Agency == by.Agency:
		return Issued{}, ErrConflict
	case about.Kind == KindCard: // it has nothing to be read
		return Issued{}, ErrNotFound
	}
	if _, err := is.cfg.Cases.Open(ctx, by, about.Case, about.Sealed); err != nil {
		return Issued{}, ErrNotFound // also if nobody could tell: the less is said
	}
	return Issued{}, ErrConflict
}
