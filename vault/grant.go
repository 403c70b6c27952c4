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

// Grant lets one agency read one record until a day, provided that the holder
// opens it (OpenRecord). Record is a document's id, or a case's id for the
// attestations of the case.
type Grant struct {
	Record  string
	Agency  string
	Purpose Purpose
	Parts   []Part
	// Readings is how many readings the holder leaves for the agency, by which it reads
	// without her; 0 is none: each is opened by her code, at the counter.
	Readings int
	Until    time.Time // the last day on which it serves; midnight UTC
	Consent  Consent
}

// Consent is what the holder said about this grant. It goes into her history,
// sealed.
type Consent struct {
	// Holder says that she agreed to this agency, purpose and day.
	Holder bool
	// Mission says that she agreed separately that a diplomatic mission, or an
	// authority of her own state, is told. It is not part of any other agreement
	// and never a condition: the state of origin is not trusted by default.
	Mission bool
	// SafeWithState is her answer to: is it safe if your country's office
	// knows that you are here? yes, no or unsure; empty if she was not asked.
	// Before anything goes to an authority of her state she has to be asked, and
	// anything but yes rules it out, whatever Mission says.
	SafeWithState string
	Method        string // signature, thumb, verbal_witnessed
	Language      string // BCP 47, the language in which she was asked
	Circumstance  string // free, detained, first_72h
}

// Signed is what signed attestations of the case say and a grant depends on.
// The face reads it where they are kept, and hands it over with the grant.
type Signed struct {
	Consents []*claims.Consent // in any order
	Origin   claims.Origin     // where the holder is from; what the vault keeps is added to it
}

// check lists what is wrong with a grant.
func (g Grant) check(today time.Time) error {
	var c invalid.Checker
	c.Agency("/agency", g.Agency, invalid.Required)
	g.Purpose.check(&c)
	checkParts(&c, g.Parts)
	c.Must(g.Readings >= 0 && g.Readings <= maxReadings, "/readings", invalid.CodeRange, "is from 0 to 10")
	switch {
	case g.Until.IsZero() || g.Until != g.Until.UTC().Truncate(24*time.Hour):
		c.Add("/until", invalid.CodeFormat, "is a day, UTC")
	case g.Until.Before(today):
		c.Add("/until", invalid.CodeRange, "is today or later")
	case g.Until.Sub(today) > maxGrant:
		c.Add("/until", invalid.CodeRange, "is at most 180 days from today")
	case g.Readings > 0 && g.Until.Sub(today) > maxLeft:
		c.Add("/until", invalid.CodeRange, "is at most 14 days from today, where readings are left for the agency")
	}
	for _, one := range []struct {
		field, value string
		allowed      []string
	}{
		{"/consent/method", g.Consent.Method, claims.Values("consent_method")},
		{"/consent/circumstance", g.Consent.Circumstance, claims.Values("circumstance")},
		{"/consent/safe_with_state", g.Consent.SafeWithState, claims.Values("safe_if_state_knows")},
	} {
		c.OneOf(one.field, one.value, one.allowed, invalid.Optional)
	}
	c.ShortLine("/consent/language", g.Consent.Language, 20, invalid.Optional)
	return c.Err()
}

// Share lets another agency read a record. It rewrites the record's key file
// and nothing else, whatever the record weighs. A second grant to the same
// agency replaces the first, is asked the same questions, and has another id.
//
// ErrConsent unless the holder agreed to it now, and her newest signed consent
// allows it too, where one was signed. To an authority of her own state nothing
// goes before she was asked whether that is safe: an *invalid.Error says that
// the question is missing.
func (v *Vault) Share(ctx context.Context, by audit.Actor, g Grant, signed Signed) (Shared, error) {
	r, err := v.owned(ctx, by, g.Record)
	if err != nil {
		return Shared{}, err
	}
	if err := g.check(v.today()); err != nil {
		return Shared{}, err
	}
	if g.Agency == by.Agency {
		return Shared{}, invalid.One("/agency", invalid.CodeNotAllowed, "is another agency: the owner reads without a grant")
	}
	to, err := v.directory.Recipient(ctx, g.Agency)
	if err != nil {
		return Shared{}, fmt.Errorf("vault: whom to share with: %w", err)
	}
	defer v.cases.lock(r.Case)()

	origin, err := v.origin(ctx, r, signed.Origin)
	if err != nil {
		return Shared{}, fmt.Errorf("vault: where the holder is from: %w", err)
	}
	if err := g.agreed(to, origin, signed.Consents, claims.NewDay(v.now())); err != nil {
		return Shared{}, err
	}
	entry, err := v.entry(r, by, "record.shared", facts{
		"with": g.Agency, "purpose": g.Purpose, "parts": g.Parts, "readings": g.Readings, "until": g.Until.Format(time.DateOnly),
		"mission": to.Class == claims.ClassMission, "own_state": origin.Involves(to),
		"consent": facts{"holder": g.Consent.Holder, "mission": g.Consent.Mission, "safe_with_state": g.Consent.SafeWithState,
			"method": g.Consent.Method, "language": g.Consent.Language, "circumstance": g.Consent.Circumstance},
	})
	if err != nil {
		return Shared{}, err
	}
	// The key file is written first, because a row must never name a key that is
	// not there. A crash in between leaves an agency that could open the file, and
	// no row that would let it.
	if err := v.changeReaders(ctx, r, r.Agency, g.Agency, ""); err != nil {
		return Shared{}, fmt.Errorf("vault: share: %w", err)
	}
	given := Shared{
		ID: newID(), Record: r.ID, Case: r.Case, Agency: g.Agency,
		Purpose: g.Purpose, Parts: g.Parts, Readings: g.Readings, Until: g.Until, Day: v.today(),
	}
	if err := v.store.Share(ctx, given, entry); err != nil {
		return Shared{}, fmt.Errorf("vault: share: %w", err)
	}
	return given, nil
}

// agreed reports whether the holder agreed to a grant: with what was said now,
// and with what she signed last. Neither alone is enough.
func (g Grant) agreed(to claims.Recipient, origin claims.Origin, signed []*claims.Consent, today claims.Day) error {
	if origin.Involves(to) && g.Consent.SafeWithState == "" {
		return invalid.One("/consent/safe_with_state", invalid.CodeRequired, "is asked before anything goes to an authority of her state")
	}
	if to.Class == claims.ClassMission && (!g.Consent.Mission || g.Consent.SafeWithState != "" && g.Consent.SafeWithState != "yes") {
		return ErrConsent // a mission of any state is told only where she agreed to that separately
	}
	asked := claims.Showing{To: to, About: origin, Purpose: string(g.Purpose), On: today}
	if !claims.Allows([]*claims.Consent{g.Consent.word(to, today)}, asked) {
		return ErrConsent
	}
	if len(signed) > 0 && !claims.Allows(signed, asked) {
		return ErrConsent
	}
	return nil
}

// word is what was said about one grant, as a consent of that day. She was asked
// about this agency, so that its kind and its state are among what she agreed to.
func (c Consent) word(to claims.Recipient, today claims.Day) *claims.Consent {
	return &claims.Consent{
		Interview: c.Holder, GivenOn: today, ShareScope: claims.Values("share_scope"), TransferToState: []string{to.Country},
		Circumstance: c.Circumstance, SafeIfStateKnows: c.SafeWithState, MissionMayBeContacted: c.Mission,
	}
}

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
		d, _, err := v.openDocument(ctx, one, r.Agency)
		if err != nil {
			return claims.Origin{}, err
		}
		origin.Shown = append(origin.Shown, d.nationalities()...)
	}
	return origin, nil
}

// TakeBack ends a grant at once: when it returns nil, the key file no longer
// opens for that agency. What the agency has read, it has read.
func (v *Vault) TakeBack(ctx context.Context, by audit.Actor, record, agency string) error {
	r, err := v.owned(ctx, by, record)
	if err != nil {
		return err
	}
	return v.takeBack(ctx, by, r, agency, "record.taken_back")
}

// takeBack removes an agency from the key file and then the grant's row.
func (v *Vault) takeBack(ctx context.Context, by audit.Actor, r Record, agency, kind string) error {
	defer v.cases.lock(r.Case)()
	if _, err := v.store.Grant(ctx, r.ID, agency); err != nil {
		return err
	}
	entry, err := v.entry(r, by, kind, facts{"with": agency})
	if err != nil {
		return err
	}
	if err := v.changeReaders(ctx, r, r.Agency, "", agency); err != nil {
		return fmt.Errorf("vault: take back: %w", err)
	}
	if err := v.store.TakeBack(ctx, r.ID, agency, entry); err != nil {
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
			err = v.takeBack(ctx, audit.Actor{ID: "timer", Agency: r.Agency, Role: "system"}, r, s.Agency, "record.grant_expired")
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

// SharedWith returns the live grants to the actor's agency.
func (v *Vault) SharedWith(ctx context.Context, by audit.Actor) ([]Shared, error) {
	if err := requireActor(by); err != nil {
		return nil, err
	}
	return v.live(v.store.GrantsTo(ctx, by.Agency))
}

// live keeps the grants whose last day has not passed.
func (v *Vault) live(all []Shared, err error) ([]Shared, error) {
	if err != nil {
		return nil, err
	}
	today := v.today()
	return slices.DeleteFunc(all, func(s Shared) bool { return s.Until.Before(today) }), nil
}
