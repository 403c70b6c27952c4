package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// Signed is what signed attestations of the case say and a grant depends on. The rooms
// that keep them never meet: Config.Said tells.
type Signed struct {
	Consents []*claims.Consent // in any order
	Origin   claims.Origin     // where the holder is from; what the vault keeps is added to it
}

// sameHolder lists the case of a record, and those that were joined with it: what she says
// at one desk counts at the other.
func (v *Vault) sameHolder(ctx context.Context, r Record) ([]Record, error) {
	joined, err := v.store.Joins(ctx, r.Case)
	if err != nil {
		return nil, fmt.Errorf("vault: which cases are about her: %w", err)
	}
	cases := []Record{r}
	for _, j := range joined {
		switch one, err := v.store.Record(ctx, j.Other); {
		case err == nil:
			cases = append(cases, one)
		case !errors.Is(err, ErrNotFound): // else it was erased
			return nil, fmt.Errorf("vault: a case that is about her: %w", err)
		}
	}
	return cases, nil
}

// saidOf gathers what she signed in her cases, and, where it matters, all that is known of
// where she is from.
func (v *Vault) saidOf(ctx context.Context, cases []Record, origin bool) (all Signed, err error) {
	for _, one := range cases {
		signed, err := v.said(ctx, one.Case)
		if err != nil {
			return Signed{}, fmt.Errorf("vault: what she signed: %w", err)
		}
		if origin {
			if signed.Origin, err = v.origin(ctx, one, signed.Origin); err != nil {
				return Signed{}, fmt.Errorf("vault: where the holder is from: %w", err)
			}
		}
		all.Consents = append(all.Consents, signed.Consents...)
		all.Origin.Stated = append(all.Origin.Stated, signed.Origin.Stated...)
		all.Origin.Shown = append(all.Origin.Shown, signed.Origin.Shown...)
		all.Origin.Host = signed.Origin.Host // of the agency that keeps them all
	}
	return all, nil
}

// everywhere is all that she said at desks in her cases.
func (v *Vault) everywhere(ctx context.Context, cases []Record) (all []Word, err error) {
	for _, one := range cases {
		words, err := v.words(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, words...)
	}
	return all, nil
}

// agreed tells whether others have agreed where they have to: her own state is told nothing
// by her and one worker alone.
func agreed(w Word, to claims.Recipient, signed Signed) bool {
	return len(w.Agreed) >= 2 || !signed.Origin.Involves(to)
}

// spoken is a word's row.
func (v *Vault) spoken(r Record, w Word) (Spoken, error) {
	plain, err := private.RevealJSON(w)
	if err != nil {
		return Spoken{}, err
	}
	sealed, err := sealBox(r.CaseRecipient, plain)
	if err != nil {
		return Spoken{}, err
	}
	return Spoken{ID: w.ID, Case: r.Case, Record: w.Record, Agency: w.Agency, Kind: w.Kind, State: w.State, Sealed: sealed, Day: v.today()}, nil
}

// caseIdentity opens what is sealed to the case of a record, in its keeper's name.
func (v *Vault) caseIdentity(ctx context.Context, r Record) (age.Identity, error) {
	if r.ID != r.Case {
		own, err := v.store.Record(ctx, r.Case)
		if err != nil {
			return nil, err
		}
		r = own
	}
	return v.identity(ctx, r, r.Agency)
}

// words reads all that the holder of a case said, oldest first.
func (v *Vault) words(ctx context.Context, r Record) ([]Word, error) {
	rows, err := v.store.Words(ctx, r.Case)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	id, err := v.caseIdentity(ctx, r)
	if err != nil {
		return nil, err
	}
	words := make([]Word, len(rows))
	for i, s := range rows {
		plain, err := openBox(id, s.Sealed)
		if err != nil {
			return nil, fmt.Errorf("vault: what she said: %w", err)
		}
		w := &words[i]
		if json.Unmarshal(plain, w) != nil || w.ID != s.ID || w.Case != s.Case || w.Record != s.Record || w.Agency != s.Agency || w.Kind != s.Kind {
			return nil, fmt.Errorf("vault: what she said: %w", ErrIntegrity)
		}
		if w.State = s.State; w.State == InForce && w.Until != "" && w.Until < v.today().Format(time.DateOnly) {
			w.State = Over
		}
	}
	slices.SortStableFunc(words, func(a, b Word) int { return a.Given.Compare(b.Given) })
	return words, nil
}

// stillAllowed tells whether the holder's newest word allows a grant now: that she said no
// since, in a screening or at a desk, ends it before anybody takes it back. ErrNotFound as
// for what was taken back.
//
// A grant from before there were words stands on none. It serves until its day, but not for
// an authority of her state: nobody knows that her code was given for it.
func (v *Vault) stillAllowed(ctx context.Context, r Record, g Shared) (Shared, error) {
	to, err := v.directory.Recipient(ctx, g.Agency)
	if err != nil {
		return Shared{}, fmt.Errorf("vault: whom it is shared with: %w", err)
	}
	cases, err := v.sameHolder(ctx, r)
	if err != nil {
		return Shared{}, err
	}
	signed, err := v.saidOf(ctx, cases, to.OfState())
	if err != nil {
		return Shared{}, err
	}
	words, err := v.everywhere(ctx, cases)
	if err != nil {
		return Shared{}, err
	}
	w := Word{Kind: WordGrant, Purpose: g.Purpose, Given: g.Day, Circumstance: "free"}
	if g.Word != "" {
		i := slices.IndexFunc(words, func(one Word) bool { return one.ID == g.Word && one.State == InForce })
		if i < 0 {
			return Shared{}, ErrNotFound
		}
		w = words[i]
	}
	if !agreed(w, to, signed) || !allows(w, words, to, signed, claims.NewDay(v.now())) {
		return Shared{}, ErrNotFound
	}
	if w.Proof != nil {
		g.Card = w.Proof.Card
	}
	return g, nil
}
