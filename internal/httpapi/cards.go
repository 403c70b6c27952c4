package httpapi

import (
	"context"
	"fmt"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// pngScale is how many pixels a module of a card's picture has: at 300 dpi
// the 73 modules with their quiet zone are 49 mm wide.
const pngScale = 8

// IssueCard makes a card, or asks for the touch of whoever makes it. What it answers is
// shown once: number, code and digits are nowhere else (docs/card.md, The code).
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
	order := credentials.CardOrder{
		Case: r.Case, About: credentials.ID(r.Body.Attestation),
		Name: r.Body.Name, BirthDate: r.Body.BirthDate, Sex: r.Body.Sex, Nationality: r.Body.Nationality,
		Portrait: portrait, MissionMayBeContacted: r.Body.MissionMayBeContacted,
		Replaces: credentials.ID(r.Body.Replaces), ValidUntil: until, RequestKey: key,
		Supervised: people.MayIn(by, people.CardAgain, people.Own) == nil,
	}
	if byPerson(ctx) {
		d, sealed, err := s.cfg.Issuer.ProposeCard(ctx, by, order)
		if err != nil {
			return nil, err
		}
		out, err := s.askSealed(ctx, by, roster.DoCard, &roster.Card{Case: d.Case, Again: d.Again, Order: d.Order}, sealed)
		if err != nil {
			return nil, err
		}
		return api.IssueCard202JSONResponse{AskedJSONResponse: out}, nil
	}
	made, err := s.cfg.Issuer.IssueCard(ctx, by, order)
	if err != nil {
		return nil, err
	}
	out, err := drawn(made)
	if err != nil {
		return nil, err
	}
	return api.IssueCard201JSONResponse(out), nil
}

// drawn adds the pictures to a card.
func drawn(made credentials.Card) (api.Card, error) {
	drawing, err := symbol.New(made.Digits)
	if err != nil {
		return api.Card{}, fmt.Errorf("draw card: %w", err)
	}
	return api.Card{
		ID: api.ID(made.ID), Number: card.FormatNumber(made.Number), Code: made.Code.Reveal(), Digits: made.Digits,
		Svg: string(drawing.SVG()), Png: drawing.PNG(pngScale),
		// The printed date is the day before exp: docs/card.md, Opening, step 6.
		Expires:        formatDay(made.ValidUntil.AddDate(0, 0, -1)),
		NamesShortened: made.NamesShortened, PrintedName: made.PrintedName.Reveal(), Replaces: api.ID(made.Replaces),
	}, nil
}

// ChangeCard withdraws or pauses a card, or asks two people to agree that it is in use
// again.
func (s *Server) ChangeCard(c context.Context, r api.ChangeCardRequestObject) (api.ChangeCardResponseObject, error) {
	key := requestKey(c)
	ctx, by := acting(c)
	id, action, reason := credentials.ID(r.Card), credentials.Action(r.Body.Action), credentials.Reason(r.Body.Reason)
	if action == credentials.Resume {
		out, err := s.resume(c, id, true, reason)
		if err != nil {
			return nil, err
		}
		return api.ChangeCard202JSONResponse{AskedJSONResponse: out}, nil
	}
	d, err := s.cfg.Issuer.ChangeCard(ctx, by, id, action, reason, key)
	if err != nil {
		return nil, err
	}
	tellsAbout(c, d.Case)
	return api.ChangeCard200JSONResponse{ID: api.ID(d.ID), State: api.StatusChangedState(d.State)}, nil
}
