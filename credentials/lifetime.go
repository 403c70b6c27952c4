package credentials

import (
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/invalid"
)

// Lifetimes by kind, in days, from the day of issue. A preliminary screening
// is meant to be looked at again soon; a formal one lasts a year.
const (
	lifetimeScreening = 365
	lifetimeIdentity  = 365
	lifetimeDocument  = 365
	lifetimeOpinion   = 365
	lifetimePrelim    = 90
	maxLifetime       = 3 * 365
)

// expiry returns the midnight at which an attestation is over. asked is its
// last day, as on a card: whoever reads a date means that day too.
func expiry(stated claims.Claims, asked, now time.Time) (time.Time, *invalid.Problem) {
	today := day(now)
	if asked.IsZero() {
		return today.AddDate(0, 0, defaultLifetime(stated)), nil
	}
	last := day(asked)
	if last.Before(today) || !last.Before(today.AddDate(0, 0, maxLifetime)) {
		return time.Time{}, &invalid.Problem{Pointer: "/valid_until", Code: invalid.CodeRange, Rule: "from today on, within three years"}
	}
	return last.AddDate(0, 0, 1), nil
}

func defaultLifetime(stated claims.Claims) int {
	if s, ok := stated.(*claims.Screening); ok && (s.DecisionLevel == "formal_identification" || s.DecisionLevel == "judicial_finding") {
		return lifetimeScreening
	}
	switch stated.Kind() {
	case claims.KindIdentity:
		return lifetimeIdentity
	case claims.KindDocument:
		return lifetimeDocument
	case claims.KindOpinion, claims.KindReliance, claims.KindReply:
		return lifetimeOpinion
	default:
		return lifetimePrelim
	}
}
