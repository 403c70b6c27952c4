package vault

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

// Recorded is what a worker heard without a card.
type Recorded struct {
	Answers

	Language     string
	Circumstance string
}

// RecordConsent writes down what the holder says of her own record and of her card. It
// gives nothing to anybody else: for that her card has to sign.
func (v *Vault) RecordConsent(ctx context.Context, by audit.Actor, caseID string, said Recorded) (Word, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Word{}, err
	}
	var c invalid.Checker
	said.check(&c)
	c.There("/method", said.Method != "", invalid.Required)
	c.ShortLine("/language", said.Language, maxLanguage, invalid.Required)
	c.OneOf("/circumstance", said.Circumstance, claims.Values("circumstance"), invalid.Required)
	c.There("/safe_if_state_knows", said.SafeWithState != "", invalid.Need(said.Mission))
	c.Must(!said.Mission || said.SafeWithState == "yes" || said.SafeWithState == "", "/mission", invalid.CodeInconsistent,
		"is no unless it is safe if the state knows")
	if err := c.Err(); err != nil {
		return Word{}, err
	}
	return v.say(ctx, by, r, Word{
		Kind: WordRecord, Language: said.Language, Circumstance: said.Circumstance,
		SafeWithState: said.SafeWithState, Mission: said.Mission, Method: said.Method, Witness: said.Witness,
	}, "consent.recorded")
}

// say writes down a word that gives nobody anything.
func (v *Vault) say(ctx context.Context, by audit.Actor, r Record, w Word, kind string) (Word, error) {
	w.ID, w.Case, w.Record, w.State = newID(), r.Case, r.ID, InForce
	w.Given, w.By = v.now().UTC().Truncate(time.Minute), by.ID
	spoken, err := v.spoken(r, w)
	if err != nil {
		return Word{}, err
	}
	entry, err := v.entry(r, by, kind, facts{"consent": w.ID, "mission": w.Mission, "safe_if_state_knows": w.SafeWithState, "circumstance": w.Circumstance})
	if err != nil {
		return Word{}, err
	}
	defer v.cases.lock(r.Case)()
	if err := v.store.AddWord(ctx, spoken, entry); err != nil {
		return Word{}, fmt.Errorf("vault: record a consent: %w", err)
	}
	return w, nil
}

// Consents lists what the holder of a case said: what is in force, or all of it. Everything
// that was shared stands on one of them.
func (v *Vault) Consents(ctx context.Context, by audit.Actor, caseID string, all bool) ([]Word, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	words, err := v.words(ctx, r)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(words, func(w Word) bool { return !all && w.State != InForce }), nil
}

// TakeBackConsent ends a word at once, with what stands on it. It takes neither her code
// nor a second person: whoever hears her say no, acts on it.
func (v *Vault) TakeBackConsent(ctx context.Context, by audit.Actor, caseID, id string) error {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	words, err := v.words(ctx, r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(words, func(w Word) bool { return w.ID == id && w.State == InForce && !w.no() })
	if i < 0 {
		return ErrNotFound // a no is lifted by her code on another day, and not by taking it back
	}
	if w := words[i]; w.Kind == WordGrant {
		of, err := v.owned(ctx, by, w.Record)
		if err != nil {
			return err
		}
		return v.takeBack(ctx, by, of, w.Agency, TakenBack)
	}
	entry, err := v.entry(r, by, "consent.taken_back", facts{"consent": id})
	if err == nil {
		err = v.store.EndWord(ctx, caseID, id, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: take back: %w", err)
	}
	return nil
}

// no tells whether a word takes away and gives nothing.
func (w Word) no() bool {
	return w.Kind == WordNone || w.Kind == WordRecord && (w.SafeWithState != "" && (!w.Mission || w.unsafe()) || w.Circumstance != "free")
}

// TakeBackAll is that she takes everything back: every grant ends at once, and that she
// said no is her newest word.
func (v *Vault) TakeBackAll(ctx context.Context, by audit.Actor, caseID string) (Word, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Word{}, err
	}
	// First, so that nothing is read from now on, whatever becomes of the rest.
	none, err := v.say(ctx, by, r, Word{Kind: WordNone}, "consent.none")
	if err != nil {
		return Word{}, err
	}
	grants, err := v.store.Grants(ctx, caseID)
	if err != nil {
		return Word{}, err
	}
	// Each by itself, so that what can be ended is, also where one cannot.
	var errs []error
	for _, g := range grants {
		of, err := v.store.Record(ctx, g.Record)
		if err == nil {
			err = v.takeBack(ctx, by, of, g.Agency, TakenBack)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return none, errors.Join(errs...)
}

// TellPrintAgain writes into the history of a case that a card says something that its
// holder does not allow any more.
func (v *Vault) TellPrintAgain(ctx context.Context, by audit.Actor, caseID string) error {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	entry, err := v.entry(r, by, "card.print_again", nil)
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: tell that a card is to be printed again: %w", err)
	}
	return nil
}

// SaidOfCard is what the holder of a case said at a desk, for what her own card says.
func (v *Vault) SaidOfCard(ctx context.Context, caseID string) ([]*claims.Consent, error) {
	r, err := v.store.Record(ctx, caseID)
	if err != nil {
		return nil, err
	}
	cases, err := v.sameHolder(ctx, r)
	if err != nil {
		return nil, err
	}
	words, err := v.everywhere(ctx, cases)
	if err != nil {
		return nil, err
	}
	var said []*claims.Consent
	for _, w := range words {
		switch {
		case w.Kind != WordGrant && w.State != TakenBack:
			said = append(said, w.consent(claims.Recipient{}))
		case w.unsafe(): // asked about somebody else, and an answer all the same
			said = append(said, Word{Given: w.Given}.consent(claims.Recipient{}))
		}
	}
	return said, nil
}
