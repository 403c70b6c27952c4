package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

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
	if _, err := is.opened(ctx, by, about); err != nil {
		return Issued{}, ErrNotFound // also if nobody could tell: the less is said
	}
	return Issued{}, ErrConflict
}

// answers says what the answers list has to show for the cards in use of a case, whose
// records are all given: confirmed by the mission of the stated nationality, which goes
// before any other authority, or by one that was named for it, or not at all.
func (is *Issuer) answers(ctx context.Context, related []Issued) ([]Answer, error) {
	all, err := is.confirming(ctx, related)
	if err != nil {
		return nil, err
	}
	var answers []Answer
	for _, c := range related {
		if c.Kind != KindCard || c.Card == nil || (c.State != Active && c.State != Paused) {
			continue
		}
		answer, err := is.answer(ctx, all, c)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// confirming is a reply that may confirm somebody's identity, as it was signed, and whose
// it is.
type confirming struct {
	id   ID
	said claims.Reply
	by   claims.Answerer
}

// confirming reads the replies of a case that may confirm somebody. What they say is in
// the signed form, and a row says nothing that counts.
func (is *Issuer) confirming(ctx context.Context, related []Issued) (all []confirming, err error) {
	for _, r := range related {
		if r.Kind != claims.KindReply || !r.Matched || r.State != Active || silenced(related, r.Agency) || !day(is.cfg.Now()).Before(r.ValidUntil) {
			continue
		}
		agency, err := is.cfg.Network.Agency(ctx, r.Agency)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrNotAllowed):
			continue // an agency that is suspended or gone confirms nothing now
		case err != nil:
			return nil, fmt.Errorf("find who confirms: %w", err)
		}
		one := confirming{id: r.ID, by: agency.answers()}
		if one.said, err = is.reply(ctx, r); err != nil {
			return nil, fmt.Errorf("read who confirms: %w", err)
		}
		all = append(all, one)
	}
	return all, nil
}

// silenced tells whether an answer of an agency stands contested in a case, whatever it
// says and also if it is out of use: then nothing of that agency confirms anybody in it, so
// that a contest is not answered by withdrawing, or by answering again.
func silenced(related []Issued, agency string) bool {
	return slices.ContainsFunc(related, func(r Issued) bool {
		return r.Agency == agency && r.Contested != ""
	})
}

// reply reads what a signed reply says of whom it confirms, in the name of the agency that
// keeps the case.
func (is *Issuer) reply(ctx context.Context, r Issued) (claims.Reply, error) {
	keeper, err := is.cfg.Cases.Owner(ctx, r.Case)
	if err != nil {
		return claims.Reply{}, err
	}
	var said struct {
		ID      ID     `json:"attestation_id"`
		Kind    string `json:"kind"`
		Answer  string `json:"answer"`
		Channel string `json:"channel"`
		State   string `json:"mission_state"`
	}
	err = is.said(ctx, issuer(keeper), r, &said)
	if err == nil && (said.ID != r.ID || said.Kind != string(claims.KindReply)) {
		err = errors.New("credentials: another attestation stands where the reply should")
	}
	return claims.Reply{Answer: said.Answer, Channel: said.Channel, MissionState: said.State}, err
}

// answer is what a card shows. Which nationality was stated on it is kept by nobody: a
// keyed hash knows it again.
func (is *Issuer) answer(ctx context.Context, all []confirming, c Issued) (Answer, error) {
	var broken error
	stated := func(code string) bool {
		tag, err := is.nationalityTag(ctx, c.Card.Handle, code)
		broken = errors.Join(broken, err)
		return err == nil && tag == c.Card.Nationality && tag != [16]byte{}
	}
	answer := Answer{ID: c.ID, Value: AnswerNone}
	for _, one := range all {
		switch value := uint8(one.said.Confirms(one.by, stated)); {
		case value == AnswerMission && answer.Value != AnswerMission, value == AnswerOther && answer.Value == AnswerNone:
			answer.Value, answer.Reply = value, one.id
		}
	}
	return answer, broken
}

// other keeps those of the answers that are others than what is wanted already.
func (is *Issuer) other(ctx context.Context, related []Issued, answers []Answer) (changed []Answer, err error) {
	for _, a := range answers {
		i := slices.IndexFunc(related, func(r Issued) bool { return r.ID == a.ID })
		was, err := is.cfg.Store.Wanted(ctx, related[i])
		if err != nil {
			return nil, err
		}
		if was != a {
			changed = append(changed, a)
		}
	}
	return changed, nil
}
