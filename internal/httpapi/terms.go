package httpapi

import (
	"context"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// DescribeAgency asks to change what an agency is, and what it may sign.
func (s *Server) DescribeAgency(ctx context.Context, r api.DescribeAgencyRequestObject) (api.DescribeAgencyResponseObject, error) {
	ctx, by := acting(ctx)
	what, err := s.cfg.Network.Description(ctx, network.Agency{
		ID: r.Agency, Name: r.Body.Name, Class: network.Class(r.Body.Class), Country: r.Body.Country, Desk: r.Body.Desk,
		Terms: network.Terms{Signs: orderedSigns(r.Body.Class, r.Body.Signs), Confirms: orderedStates(r.Body.Confirms)},
	})
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoChangeAgency, "", what)
	if err != nil {
		return nil, err
	}
	return api.DescribeAgency202JSONResponse{AskedJSONResponse: out}, nil
}

// NamePartner asks to name the agency whose people are the second person here. Either
// side may ask. To everybody else the agency is as unknown as one that never was.
func (s *Server) NamePartner(ctx context.Context, r api.NamePartnerRequestObject) (api.NamePartnerResponseObject, error) {
	ctx, by := acting(ctx)
	if people.MayFor(by, people.MemberManage, r.Agency) != nil && (by.Agency == "" || r.Body.Partner != by.Agency) {
		return nil, people.ErrNotFound
	}
	if _, err := s.cfg.Network.Agency(ctx, r.Agency); err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoPartner, r.Agency, &roster.Partner{ID: r.Agency, Partner: r.Body.Partner})
	if err != nil {
		return nil, err
	}
	return api.NamePartner202JSONResponse{AskedJSONResponse: out}, nil
}

// RaiseQuota asks to let an agency make more cards for one event.
func (s *Server) RaiseQuota(ctx context.Context, r api.RaiseQuotaRequestObject) (api.RaiseQuotaResponseObject, error) {
	ctx, by := acting(ctx)
	until, err := parseDay("/until", r.Body.Until)
	if err != nil {
		return nil, err
	}
	if _, err := s.cfg.Network.Agency(ctx, r.Agency); err != nil {
		return nil, err
	}
	quota := roster.Quota{Agency: r.Agency, Event: r.Body.Event, Cards: r.Body.Cards, Until: until.Add(24 * time.Hour).Unix()} // the day is over
	out, err := s.ask(ctx, by, roster.DoRaiseQuota, r.Agency, &roster.RaiseQuota{Quota: quota})
	if err != nil {
		return nil, err
	}
	return api.RaiseQuota202JSONResponse{AskedJSONResponse: out}, nil
}

// CompromiseAgency asks that what an agency's keys signed since a day counts no more.
func (s *Server) CompromiseAgency(ctx context.Context, r api.CompromiseAgencyRequestObject) (api.CompromiseAgencyResponseObject, error) {
	ctx, by := acting(ctx)
	since, err := parseDay("/since", r.Body.Since)
	if err != nil {
		return nil, err
	}
	if _, err := s.cfg.Network.Agency(ctx, r.Agency); err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoCompromisedAgency, "", &roster.CompromisedAgency{ID: r.Agency, Since: since.Unix()})
	if err != nil {
		return nil, err
	}
	return api.CompromiseAgency202JSONResponse{AskedJSONResponse: out}, nil
}

// ListSigningKeys lists the keys for lists, packs and the log, and those of an agency.
func (s *Server) ListSigningKeys(ctx context.Context, r api.ListSigningKeysRequestObject) (api.ListSigningKeysResponseObject, error) {
	ctx, by := acting(ctx)
	agency := ownUnless(r.Params.Agency, by)
	if err := people.MayFor(by, people.MemberManage, agency); err != nil {
		return nil, people.ErrNotFound
	}
	all, err := s.cfg.Network.SigningKeys(ctx, agency)
	if err != nil {
		return nil, err
	}
	list := api.SigningKeyList{Keys: []api.SigningKey{}}
	for _, k := range all {
		list.Keys = append(list.Keys, api.SigningKey{Use: api.KeyUse(k.Use), Agency: k.Agency, Kid: k.KeyID, Signs: k.Signs, Until: utc(k.Until)})
	}
	return api.ListSigningKeys200JSONResponse(list), nil
}

// ChangeSigningKey asks that a key which signs is replaced. Without an id, an agency's is
// one's own.
func (s *Server) ChangeSigningKey(ctx context.Context, r api.ChangeSigningKeyRequestObject) (api.ChangeSigningKeyResponseObject, error) {
	ctx, by := acting(ctx)
	agency := r.Body.Agency
	switch ofAgency := r.Body.Use == api.KeyUse(roster.UseAgency); {
	case ofAgency:
		agency = ownUnless(agency, by)
		if agency == "" {
			return nil, invalid.One("/agency", invalid.CodeRequired, "is required with the use agency")
		}
		if people.MayFor(by, people.MemberManage, agency) != nil {
			return nil, people.ErrNotFound
		}
	case agency != "":
		return nil, invalid.One("/agency", invalid.CodeNotAllowed, "goes with the use agency, and with no other")
	}
	what, err := s.cfg.Network.NewKey(ctx, string(r.Body.Use), agency)
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoNewKey, agency, what)
	if err != nil {
		return nil, err
	}
	return api.ChangeSigningKey202JSONResponse{AskedJSONResponse: out}, nil
}
