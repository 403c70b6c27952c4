package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// nowhere is the id of a case that there is not.
const nowhere = "00000000000000000000000000000000"

// Reading is an attestation as one reader sees it: the signed form with those of its
// disclosures that are for him, and of what stands beside it no more than they say.
type Reading struct {
	Attestation

	Reader claims.Reader
}

// Read opens an attestation for an actor who may read the attestations of its case: all
// of it if his agency keeps the case or has signed it, and otherwise what such a reader
// sees (claims.View). The signature holds over every choice of disclosures, and what is
// left out looks like what was never there. What a reader sees nothing of is to him what
// does not exist.
//
// The reading is in the holder's history before anything is released.
func (is *Issuer) Read(ctx context.Context, by audit.Actor, id ID) (Reading, error) {
	a, view, on, err := is.open(ctx, by, id)
	if err != nil {
		return Reading{}, err
	}
	shown := a
	if view.Reader != claims.ReaderOwn {
		if shown, err = is.present(ctx, a, view.Claims(a.Kind)); err != nil {
			return Reading{}, err
		}
	}
	if err := is.tell(ctx, by, a.Case, string(a.Kind), a.ID, view.Reader, on); err != nil {
		return Reading{}, fmt.Errorf("read attestation: %w", err)
	}
	return Reading{shown, view.Reader}, nil
}

// Readable lists the attestations of a case that an actor may read: all that was issued in
// it if he keeps it, and otherwise those of which such a reader sees something, with what
// he needs to read them and no more. What is not for him looks like what was never there.
//
// What another agency is shown is one entry in the holder's history, before it is.
func (is *Issuer) Readable(ctx context.Context, by audit.Actor, caseID string) ([]Issued, error) {
	on, err := is.cfg.Cases.Access(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	all, err := is.issued(ctx, caseID)
	if err != nil || on.Own {
		return all, err
	}
	view, err := is.view(ctx, by, on)
	if err != nil {
		return nil, err
	}
	var seen []Issued
	for _, d := range all {
		switch {
		case d.Kind == KindCard:
		case d.Agency == by.Agency:
			seen = append(seen, d)
		case len(view.Claims(d.Kind)) > 0:
			seen = append(seen, d.brief())
		}
	}
	if err := is.tell(ctx, by, caseID, "attestations", "", view.Reader, on); err != nil {
		return nil, fmt.Errorf("list attestations: %w", err)
	}
	return seen, nil
}

// brief is what another agency is told of an attestation before it reads it.
func (d Issued) brief() Issued {
	return Issued{
		ID: d.ID, Case: d.Case, Kind: d.Kind, Agency: d.Agency, State: d.State, IssuedOn: d.IssuedOn, ValidUntil: d.ValidUntil,
	}
}

// open decrypts an attestation of which the actor sees something. It is whole, and no
// reading yet: nothing of it leaves this room.
func (is *Issuer) open(ctx context.Context, by audit.Actor, id ID) (a Attestation, view claims.View, on claims.Access, err error) {
	d, err := is.cfg.Store.Get(ctx, id)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return a, view, on, err
	case err != nil, d.State == Draft, d.State == Abandoned, d.Kind == KindCard:
		// Its case is asked for all the same: an unknown one takes as long as another
		// agency's.
		d = Issued{Case: nowhere}
	}
	if on, err = is.cfg.Cases.Access(ctx, by, d.Case); err != nil {
		return a, view, on, err
	}
	on.Own = on.Own || d.Agency == by.Agency
	if view, err = is.view(ctx, by, on); err != nil {
		return a, view, on, err
	}
	if len(view.Claims(d.Kind)) == 0 {
		return a, view, on, ErrNotFound
	}
	token, err := is.opened(ctx, by, d)
	return Attestation{Issued: d, Token: string(token)}, view, on, err
}

// opened decrypts the signed token of an attestation.
func (is *Issuer) opened(ctx context.Context, by audit.Actor, d Issued) (token []byte, err error) {
	sealed := d.Sealed
	if sealed == nil {
		if sealed, err = is.cfg.Store.Token(ctx, d); err != nil {
			return nil, err
		}
	}
	return is.cfg.Cases.Open(ctx, by, d.Case, sealed)
}

// view is what the actor sees of a case that is open to him.
func (is *Issuer) view(ctx context.Context, by audit.Actor, on claims.Access) (claims.View, error) {
	if on.Own {
		return claims.ViewOf(claims.Recipient{}, by.Roles(), on), nil
	}
	agency, err := is.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return claims.View{}, fmt.Errorf("find agency: %w", err)
	}
	of := claims.Recipient{Class: agency.Class, Country: agency.Country, Identifies: agency.signs().Identifies()}
	return claims.ViewOf(of, by.Roles(), on), nil
}

// present chooses the disclosures of an attestation that show these claims. With them go
// those that say which attestation it is; what it replaced, and when somebody looks at it
// again, is for its own agency. It is verified first, and is the one that its row names.
func (is *Issuer) present(ctx context.Context, a Attestation, seen []string) (Attestation, error) {
	said, err := is.own(ctx, a, sdjwt.Policy{Now: a.IssuedOn}) // as on the day on which it was signed
	if err != nil {
		return Attestation{}, err
	}
	if said.Text("attestation_id") != string(a.ID) || said.Text("kind") != string(a.Kind) {
		return Attestation{}, errors.New("credentials: another attestation stands where this one should")
	}
	shown := slices.DeleteFunc(slices.Clone(said.Disclosed()), func(name string) bool {
		return !slices.Contains(beside, name) && !slices.Contains(seen, name)
	})
	token, err := sdjwt.Parse(a.Token, sdjwt.TypeVC)
	if err == nil {
		a.Token, err = token.Present(shown...)
	}
	if err != nil {
		return Attestation{}, fmt.Errorf("present attestation: %w", err)
	}
	a.Replaces, a.ReviewBy = "", time.Time{}
	return a, nil
}

// beside are the disclosures that are not claims and that every reader sees.
var beside = []string{"attestation_id", "kind", "about"}

// tell writes a reading into the history of the case: of one attestation, or of the list.
func (is *Issuer) tell(ctx context.Context, by audit.Actor, caseID, what string, id ID, as claims.Reader, on claims.Access) error {
	now := is.cfg.Now().UTC()
	entry, err := is.note(ctx, caseID, what+".read", noteBody{
		ID: id, Actor: by.ID, Agency: by.Agency, Role: by.Role, Reader: as, Purpose: on.Purpose,
		At: now.Format(minute), Day: day(now).Format(time.DateOnly),
	})
	if err != nil {
		return err
	}
	return is.cfg.Store.Append(ctx, entry)
}
