package httpapi

import (
	"context"
	"fmt"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/people"
)

// pngScale is how many pixels a module of a card's picture has: at 300 dpi
// the 73 modules with their quiet zone are 49 mm wide.
const pngScale = 8

// IssueCard makes a card. What it answers is shown once: number, code and
// digits are nowhere else (docs/card.md, The code).
func (s *Server) IssueCard(ctx context.Context, r api.IssueCardRequestObject) (api.IssueCardResponseObject, error) {
	key := requestKey(ctx)
	ctx, by := acting(ctx)
	until, err := parseDay("/valid_until", r.Body.ValidUntil)
	if err != nil {
		return nil, err
	}
	portrait, err := s.portrait(ctx, by, r.Body.PortraitPage)
	if err != nil {
		return nil, err
	}
	made, err := s.cfg.Issuer.IssueCard(ctx, by, credentials.CardOrder{
		Case: r.Case, About: credentials.ID(r.Body.Attestation),
		Name: r.Body.Name, BirthDate: r.Body.BirthDate, Sex: r.Body.Sex, Nationality: r.Body.Nationality,
		Portrait: portrait, MissionMayBeContacted: r.Body.MissionMayBeContacted,
		Replaces: credentials.ID(r.Body.Replaces), ValidUntil: until, RequestKey: key,
		Supervised: people.MayIn(by, people.CardAgain, people.Own) == nil,
	})
	if err != nil {
		return nil, err
	}
	return drawn(made)
}

// drawn adds the pictures to a card.
func drawn(made credentials.Card) (api.IssueCard201JSONResponse, error) {
	drawing, err := symbol.New(made.Digits)
	if err != nil {
		return api.IssueCard201JSONResponse{}, fmt.Errorf("draw card: %w", err)
	}
	return api.IssueCard201JSONResponse{
		ID: api.ID(made.ID), Number: card.FormatNumber(made.Number), Code: made.Code.Reveal(), Digits: made.Digits,
		Svg: string(drawing.SVG()), Png: drawing.PNG(pngScale),
		// The printed date is the day before exp: docs/card.md, Opening, step 6.
		Expires:        formatDay(made.ValidUntil.AddDate(0, 0, -1)),
		NamesShortened: made.NamesShortened, PrintedName: made.PrintedName.Reveal(), Replaces: api.ID(made.Replaces),
	}, nil
}

// ChangeCard withdraws, pauses or resumes a card.
func (s *Server) ChangeCard(c context.Context, r api.ChangeCardRequestObject) (api.ChangeCardResponseObject, error) {
	key := requestKey(c)
	ctx, by := acting(c)
	d, err := s.cfg.Issuer.ChangeCard(ctx, by, credentials.ID(r.Card), credentials.Action(r.Body.Action), credentials.Reason(r.Body.Reason), key)
	if err != nil {
		return nil, err
	}
	tellsAbout(c, d.Case)
	return api.ChangeCard200JSONResponse{ID: api.ID(d.ID), State: api.StatusChangedState(d.State)}, nil
}
