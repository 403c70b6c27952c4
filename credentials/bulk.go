package credentials

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// Bulk is how much of what an agency signed was taken out of use.
type Bulk struct {
	Attestations int `json:"attestations"`
	Cards        int `json:"cards"`
	Cases        int `json:"cases"`
}

// bulkOf is how many records are read at a time.
const bulkOf = 10_000

// WithdrawSigned withdraws everything in use that an agency signed on a day or
// later, for whoever found that it cannot be relied on, who is by. Each record goes
// the way of one that its agency withdraws: what follows for its case follows, and
// the case's history says who, and why. It may be cut off anywhere and called again:
// what is out of use is not touched, and only what this call did is counted. Whoever
// calls it sees to it that the agency signs no more meanwhile.
func (is *Issuer) WithdrawSigned(ctx context.Context, by audit.Actor, agency string, since time.Time) (Bulk, error) {
	if since.IsZero() || since.After(is.cfg.Now()) {
		return Bulk{}, invalid.One("/since", invalid.CodeRange, "is a day, and not after today")
	}
	var done Bulk
	cases := map[string]bool{}
	for after := ID(""); ; {
		signed, err := is.cfg.Store.SignedSince(ctx, agency, day(since), after, bulkOf)
		if err != nil {
			return done, err
		}
		for _, d := range signed {
			withdrawn, err := is.withdrawOne(ctx, by, d.ID)
			for _, kind := range withdrawn {
				if kind == KindCard {
					done.Cards++
				} else {
					done.Attestations++
				}
			}
			if len(withdrawn) > 0 {
				cases[d.Case] = true
			}
			done.Cases = len(cases)
			if err != nil {
				return done, fmt.Errorf("withdraw what was signed since a day: %w", err)
			}
			after = d.ID
		}
		if len(signed) < bulkOf {
			break
		}
	}
	entry, err := openNote("agency.withdrawn_since", struct {
		Actor  string `json:"actor"`
		Agency string `json:"agency"`
		Since  string `json:"since"`
		Bulk
	}{by.ID, agency, day(since).Format(time.DateOnly), done}, is.cfg.Now())
	if err != nil {
		return done, err
	}
	return done, is.cfg.Store.Apply(ctx, nil, nil, nil, entry)
}

// withdrawOne withdraws a record that is still in use, and says of which kinds all is
// that went out of use with it.
func (is *Issuer) withdrawOne(ctx context.Context, by audit.Actor, id ID) (kinds []claims.Kind, err error) {
	from, to, err := transition(Withdraw)
	if err != nil {
		return nil, err
	}
	err = is.settledOf(ctx, id, func() error {
		kinds = nil
		d, err := is.cfg.Store.Get(ctx, id)
		if err != nil || !slices.Contains(from, d.State) {
			return err // it went with another, or somebody was faster
		}
		p, err := is.plan(ctx, d, Change{From: from, To: to})
		if err != nil {
			return err
		}
		if _, err := is.apply(ctx, by, d, Withdraw, p, ReasonIssuer); err != nil {
			return err
		}
		kinds = append(kinds, d.Kind)
		for range p.changes[1:] {
			kinds = append(kinds, KindCard)
		}
		return nil
	})
	return kinds, err
}
