package credentials

import "time"

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
func expiry(claims Claims, asked, now time.Time) (time.Time, *Problem) {
	today := day(now)
	if asked.IsZero() {
		return today.AddDate(0, 0, defaultLifetime(claims)), nil
	}
	last := day(asked)
	if last.Before(today) || !last.Before(today.AddDate(0, 0, maxLifetime)) {
		return time.Time{}, &Problem{Field: "/valid_until", Code: CodeRange, Rule: "from today on, within three years"}
	}
	return last.AddDate(0, 0, 1), nil
}

func defaultLifetime(claims Claims) int {
	if s, ok := claims.(*Screening); ok && (s.DecisionLevel == "formal_identification" || s.DecisionLevel == "judicial_finding") {
		return lifetimeScreening
	}
	switch claims.Kind() {
	case KindIdentity:
		return lifetimeIdentity
	case KindDocument:
		return lifetimeDocument
	case KindOpinion, KindReliance, KindReply:
		return lifetimeOpinion
	default:
		return lifetimePrelim
	}
}
