package verifier

import (
	"encoding/hex"
	"maps"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// Shown is a verdict with what the code opened, in the one form in which the
// API, the command line and the browser give it (schema Verdict in
// docs/api/openapi.yaml). It holds text about a person, so that
// private.RevealJSON alone encodes it.
type Shown struct {
	Verdict
	Card       *ShownCard     `json:"card,omitempty"`
	Credential map[string]any `json:"credential,omitempty"`
}

// ShownCard is what stands on a card.
type ShownCard struct {
	Handle                string         `json:"handle"`
	Name                  private.String `json:"name,omitzero"`
	BirthDate             private.String `json:"birth_date,omitzero"`
	Sex                   int            `json:"sex,omitempty"`
	Nationality           private.String `json:"nationality,omitzero"`
	Status                int            `json:"status,omitempty"`
	DecisionLevel         int            `json:"decision_level,omitempty"`
	Issued                string         `json:"issued"`   // a day
	LastDay               string         `json:"last_day"` // a day, the one before exp
	Portrait              string         `json:"portrait,omitempty"`
	NamesShortened        bool           `json:"names_shortened,omitempty"`
	Blank                 bool           `json:"blank,omitempty"`
	MissionMayBeContacted bool           `json:"mission_may_be_contacted,omitempty"`
}

// Show gives a verdict with its claims, for a reader who may see them.
func (v Verdict) Show() Shown {
	s := Shown{Verdict: v}
	if v.Card != nil {
		s.Card = showCard(*v.Card)
	}
	if v.Credential != nil {
		s.Credential = maps.Clone(v.Credential.Claims)
		delete(s.Credential, "status") // a reader keeps nothing to follow
	}
	return s
}

func showCard(c card.Claims) *ShownCard {
	return &ShownCard{
		Handle: hex.EncodeToString(c.Handle[:]), Name: c.Name, BirthDate: c.BirthDate, Sex: c.Sex,
		Nationality: c.Nationality, Status: c.Status, DecisionLevel: c.DecisionLevel,
		// The printed date is the day before exp: docs/card.md, Opening in
		// order, step 6.
		Issued: c.IssuedAt.Format(time.DateOnly), LastDay: c.Expires.AddDate(0, 0, -1).Format(time.DateOnly),
		Portrait: hex.EncodeToString(c.Portrait), NamesShortened: c.NamesShortened,
		Blank: c.Blank, MissionMayBeContacted: c.MissionMayBeContacted,
	}
}
