package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// Objection is why the agency that keeps a case contests an answer in it.
type Objection string

// The objections.
const (
	ObjectionUnexpected    Objection = "not_expected"     // nobody was asked, and nothing was shared for it
	ObjectionAnotherPerson Objection = "another_person"   // it is about somebody else
	ObjectionHolder        Objection = "holder_disagrees" // she says otherwise
	ObjectionSafety        Objection = "safety"
	ObjectionOther         Objection = "other"
)

// Valid tells whether o is one of the objections.
func (o Objection) Valid() bool {
	switch o {
	case ObjectionUnexpected, ObjectionAnotherPerson, ObjectionHolder, ObjectionSafety, ObjectionOther:
		return true
	default:
		return false
	}
}

// Contest takes an answer of another agency off, for those whose case it is in: no card is
// confirmed by it, nor by anything else that its agency answers in the case, until the
// contest is taken back. Withdrawing the answer does not end it. It changes nothing of what
// was signed and only takes away. To everybody else there is no such answer; ErrConflict for
// what is none, or is out of use. Doing it twice is done once.
func (is *Issuer) Contest(ctx context.Context, by audit.Actor, id ID, why Objection) (Issued, error) {
	if !why.Valid() {
		return Issued{}, invalid.One("/reason", invalid.CodeNotInList, "is one of the listed reasons")
	}
	return is.contest(ctx, by, id, why, func(d Issued) error {
		switch terms, err := claims.TermsFor(d.Kind); {
		case err != nil, !terms.Answers, d.Agency == by.Agency: // one's own is withdrawn
			return ErrConflict
		case d.State != Active && d.State != Paused, d.Contested != "" && d.Contested != why:
			return ErrConflict
		default:
			return nil
		}
	})
}

// TakeContestBack ends a contest, also of what was withdrawn since. What its agency
// confirms it confirms again, as far as it would now, once no other answer of it is
// contested in the case.
func (is *Issuer) TakeContestBack(ctx context.Context, by audit.Actor, id ID) (Issued, error) {
	return is.contest(ctx, by, id, "", func(Issued) error { return nil })
}

// contest writes why an answer is contested, "" for not any more, if it may be.
func (is *Issuer) contest(ctx context.Context, by audit.Actor, id ID, why Objection, may func(Issued) error) (d Issued, err error) {
	err = is.settledOf(ctx, id, func() error {
		if d, err = is.keptBy(ctx, by, id); err != nil {
			return err
		}
		if err := may(d); err != nil || d.Contested == why {
			return err
		}
		related, err := is.cfg.Store.ByCase(ctx, d.Case)
		if err != nil {
			return err
		}
		will := slices.Clone(related)
		for i := range will {
			if will[i].ID == id {
				will[i].Contested = why
			}
		}
		answers, err := is.answers(ctx, will)
		if err != nil {
			return err
		}
		act, reason := "contested", why
		if why == "" {
			act, reason = "contest_taken_back", d.Contested
		}
		entry, err := is.note(ctx, d.Case, string(d.Kind)+"."+act, noteBody{
			ID: d.ID, Actor: by.ID, Agency: by.Agency, Reason: string(reason), Day: day(is.cfg.Now()).Format(time.DateOnly),
		})
		if err != nil {
			return err
		}
		if err := is.cfg.Store.Contest(ctx, See(d.Case, related), id, why, answers, entry); err != nil {
			return fmt.Errorf("contest: %w", err)
		}
		d.Contested = why
		return nil
	})
	if err != nil {
		return Issued{}, err
	}
	return d, nil
}

// keptBy finds what stands in a case of the actor's, whoever signed it.
func (is *Issuer) keptBy(ctx context.Context, by audit.Actor, id ID) (Issued, error) {
	d, err := is.cfg.Store.Get(ctx, id)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return Issued{}, err
	case err != nil, d.State == Draft, d.State == Abandoned, d.Kind == KindCard:
		// Its case is asked for all the same: an unknown one takes as long as another agency's.
		d = Issued{Case: nowhere}
	}
	return d, is.keeps(ctx, by, d.Case)
}
