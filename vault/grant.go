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

// Purpose is why a record is shared or opened: a value of the list
// sharing_purpose. The set is closed, so that a purpose cannot carry a story.
type Purpose string

func (p Purpose) check(c *invalid.Checker) {
	if p == claims.PurposeDanger {
		c.Add("/purpose", invalid.CodeNotAllowed, "is what two people agree to without her: nobody shares for it")
		return
	}
	c.OneOf("/purpose", string(p), claims.Values("sharing_purpose"), invalid.Required)
}

// maxGrant is how long a grant may last. Longer needs are asked again. What the holder
// leaves for an agency lasts less: at most maxLeft, and maxReadings of them (docs/card.md,
// Opening a record online).
const (
	maxGrant    = 180 * 24 * time.Hour
	maxLeft     = 14 * 24 * time.Hour
	maxReadings = 10
)

// origin gathers what is known of the state that the holder of a case comes
// from: what attestations say, and what the documents in her case show.
func (v *Vault) origin(ctx context.Context, r Record, origin claims.Origin) (claims.Origin, error) {
	keeper, err := v.directory.Recipient(ctx, r.Agency)
	if err != nil {
		return claims.Origin{}, err
	}
	origin.Host = keeper.Country
	origin.Shown = slices.Clone(origin.Shown)
	records, err := v.store.Records(ctx, r.Case)
	if err != nil {
		return claims.Origin{}, err
	}
	for _, one := range records {
		if one.ID == one.Case {
			continue
		}
		shown, err := v.everShown(ctx, one)
		if err != nil {
			return claims.Origin{}, err
		}
		origin.Shown = append(origin.Shown, shown...)
	}
	return origin, nil
}

// everShown lists the nationalities that any version of a document has shown: who edits one
// takes no state away from those to be careful with.
func (v *Vault) everShown(ctx context.Context, r Record) ([]string, error) {
	newest, o, err := v.openDocument(ctx, r, r.Agency)
	if err != nil || o.Version == 1 {
		return newest.nationalities(), err
	}
	id, err := v.identity(ctx, r, r.Agency)
	if err != nil {
		return nil, err
	}
	all, err := v.store.AllObjects(ctx, Object{Record: r.ID}, o.Version)
	if err != nil {
		return nil, err
	}
	var shown []string
	for i, one := range all {
		if one.Record != r.ID || one.Page != 0 || one.Version != i+1 {
			return nil, fmt.Errorf("vault: the versions of a document: %w", ErrIntegrity)
		}
		plain, err := v.openObject(ctx, id, one)
		if err != nil {
			return nil, fmt.Errorf("vault: read a document: %w", err)
		}
		d, err := ParseDocument(plain)
		if err != nil {
			return nil, fmt.Errorf("vault: read a document: %w", ErrIntegrity)
		}
		shown = append(shown, d.nationalities()...)
	}
	return shown, nil
}

// TakeBack ends a grant at once: when it returns nil, the key file no longer
// opens for that agency. What the agency has read, it has read.
func (v *Vault) TakeBack(ctx context.Context, by audit.Actor, record, agency string) error {
	r, err := v.owned(ctx, by, record)
	if err != nil {
		return err
	}
	return v.takeBack(ctx, by, r, agency, TakenBack)
}

// takeBack removes an agency from the key file, and then the grant's row: with it ends the
// word that it stood on.
func (v *Vault) takeBack(ctx context.Context, by audit.Actor, r Record, agency string, as WordState) error {
	defer v.cases.lock(r.Case)()
	g, err := v.store.Grant(ctx, r.ID, agency)
	if err != nil {
		return err
	}
	kind := "record.taken_back"
	if as == Over {
		kind = "record.grant_expired"
	}
	entry, err := v.entry(r, by, kind, facts{"with": agency, "grant": g.ID, "consent": g.Word})
	if err != nil {
		return err
	}
	if err := v.changeReaders(ctx, r, r.Agency, "", agency); err != nil {
		return fmt.Errorf("vault: take back: %w", err)
	}
	if err := v.store.TakeBack(ctx, r.ID, agency, as, entry); err != nil {
		return fmt.Errorf("vault: take back: %w", err)
	}
	return nil
}

// Expire takes back the grants whose day has passed, at most a thousand per
// call, and returns how many. They have not been usable since their day ended;
// this also takes them out of the key files. It is for a timer, and acts in
// the name of each record's owner.
func (v *Vault) Expire(ctx context.Context) (int, error) {
	expired, err := v.store.Expired(ctx, v.today(), 1000)
	if err != nil {
		return 0, err
	}
	done := 0
	var errs []error
	for _, s := range expired {
		r, err := v.store.Record(ctx, s.Record)
		if err == nil {
			err = v.takeBack(ctx, audit.Actor{ID: "timer", Agency: r.Agency, Role: "system"}, r, s.Agency, Over)
		}
		switch {
		case errors.Is(err, ErrNotFound): // gone meanwhile
		case err != nil:
			errs = append(errs, err)
		default:
			done++
		}
	}
	return done, errors.Join(errs...)
}

// Grants returns the live grants of a case of the actor's agency.
func (v *Vault) Grants(ctx context.Context, by audit.Actor, caseID string) ([]Shared, error) {
	if _, err := v.ownedCase(ctx, by, caseID); err != nil {
		return nil, err
	}
	return v.live(v.store.Grants(ctx, caseID))
}

// SharedWith returns the grants to the actor's agency that are in force: those that the
// holder's newest word allows.
func (v *Vault) SharedWith(ctx context.Context, by audit.Actor) ([]Shared, error) {
	return v.sharedWith(ctx, by, func(Shared) bool { return true })
}

// SharedIn is SharedWith for one case. It takes as long for a case that never was as for
// another agency's.
func (v *Vault) SharedIn(ctx context.Context, by audit.Actor, caseID string) ([]Shared, error) {
	return v.sharedWith(ctx, by, func(g Shared) bool { return g.Case == caseID })
}

func (v *Vault) sharedWith(ctx context.Context, by audit.Actor, wanted func(Shared) bool) ([]Shared, error) {
	if err := requireActor(by); err != nil {
		return nil, err
	}
	all, err := v.live(v.store.GrantsTo(ctx, by.Agency))
	if err != nil {
		return nil, err
	}
	return v.stillAllowedOf(ctx, all, wanted)
}

// allowed lists the grants of a case to an agency that are in force now.
func (v *Vault) allowed(ctx context.Context, caseID, agency string) ([]Shared, error) {
	all, err := v.live(v.store.Grants(ctx, caseID))
	if err != nil {
		return nil, err
	}
	return v.stillAllowedOf(ctx, all, func(g Shared) bool { return g.Agency == agency })
}

// stillAllowedOf keeps those grants that are wanted and that the holder's newest word allows.
func (v *Vault) stillAllowedOf(ctx context.Context, all []Shared, wanted func(Shared) bool) (grants []Shared, err error) {
	for _, g := range all {
		if !wanted(g) {
			continue
		}
		r, err := v.store.Record(ctx, g.Record)
		if err == nil {
			g, err = v.stillAllowed(ctx, r, g)
		}
		switch {
		case err == nil:
			grants = append(grants, g)
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return grants, nil
}

// live keeps the grants whose last day has not passed.
func (v *Vault) live(all []Shared, err error) ([]Shared, error) {
	if err != nil {
		return nil, err
	}
	today := v.today()
	return slices.DeleteFunc(all, func(s Shared) bool { return s.Until.Before(today) }), nil
}
