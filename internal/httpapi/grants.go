package httpapi

import (
	"context"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/vault"
)

// ShareDocument lets one agency read a document record until a day, by a word of the
// holder that her card has signed with her code.
func (s *Server) ShareDocument(ctx context.Context, r api.ShareDocumentRequestObject) (api.ShareDocumentResponseObject, error) {
	grant, waits, err := s.share(ctx, r.Document, false, *r.Body)
	switch {
	case err != nil:
		return nil, err
	case waits != nil:
		return api.ShareDocument202JSONResponse{AskedJSONResponse: *waits}, nil
	}
	return api.ShareDocument201JSONResponse(grant), nil
}

// ShareCase does the same for the attestations of a case.
func (s *Server) ShareCase(ctx context.Context, r api.ShareCaseRequestObject) (api.ShareCaseResponseObject, error) {
	grant, waits, err := s.share(ctx, r.Case, true, *r.Body)
	switch {
	case err != nil:
		return nil, err
	case waits != nil:
		return api.ShareCase202JSONResponse{AskedJSONResponse: *waits}, nil
	}
	return api.ShareCase201JSONResponse(grant), nil
}

// share shares a case, or a document of one; whole says which is meant. Where others have
// to agree, it waits for them.
func (s *Server) share(c context.Context, record api.ID, whole bool, o api.GrantOrder) (grant api.Grant, waits *api.AskedJSONResponse, err error) {
	ctx, by := acting(c)
	caseID, err := s.caseNamed(ctx, by, record, whole)
	if err != nil {
		return api.Grant{}, nil, err
	}
	ask, err := s.askOf(ctx, by, record, api.ConsentQuestion{
		Agency: o.Agency, Purpose: o.Purpose, Parts: o.Parts, Readings: o.Readings, Until: o.Until, Language: o.Language, Circumstance: o.Circumstance,
	})
	if err != nil {
		return api.Grant{}, nil, err
	}
	proves, err := s.proves(by, caseID, o.Proof)
	if err != nil {
		return api.Grant{}, nil, err
	}
	order := vault.Order{
		Ask: ask, Nonce: o.Nonce, Text: digestOf(o.TextSha256), Minute: o.Proof.Minute, Second: o.SecondAgency,
		Answers: vault.Answers{Mission: o.Mission, SafeWithState: string(o.SafeIfStateKnows), Method: string(o.Method), Witness: o.Witness},
	}
	given, proposed, err := s.cfg.Vault.Share(ctx, by, order, proves)
	if err != nil {
		return api.Grant{}, nil, err
	}
	tellsAbout(c, caseID)
	if proposed != nil {
		asked, err := s.askSecond(ctx, by, order, *proposed)
		return api.Grant{}, &asked, err
	}
	return grantOf(given), nil, nil
}

// caseNamed finds the case of a record. A document where a case is meant, and the
// reverse, is as unknown as an id that never was.
func (s *Server) caseNamed(ctx context.Context, by audit.Actor, record api.ID, whole bool) (string, error) {
	caseID, err := s.cfg.Vault.CaseOf(ctx, by, record)
	if err == nil && (caseID == record) != whole {
		err = vault.ErrNotFound
	}
	return caseID, err
}

// UnshareDocument takes a grant of a document back at once.
func (s *Server) UnshareDocument(ctx context.Context, r api.UnshareDocumentRequestObject) (api.UnshareDocumentResponseObject, error) {
	ctx, by := acting(ctx)
	if _, err := s.caseNamed(ctx, by, r.Document, false); err != nil {
		return nil, err
	}
	if err := s.cfg.Vault.TakeBack(ctx, by, r.Document, r.Agency); err != nil {
		return nil, err
	}
	return api.UnshareDocument204Response{}, nil
}

// UnshareCase takes a grant of a case's attestations back at once.
func (s *Server) UnshareCase(ctx context.Context, r api.UnshareCaseRequestObject) (api.UnshareCaseResponseObject, error) {
	ctx, by := acting(ctx)
	if _, err := s.caseNamed(ctx, by, r.Case, true); err != nil {
		return nil, err
	}
	if err := s.cfg.Vault.TakeBack(ctx, by, r.Case, r.Agency); err != nil {
		return nil, err
	}
	return api.UnshareCase204Response{}, nil
}

// ListShared lists what is shared with the actor's agency, by id.
func (s *Server) ListShared(ctx context.Context, _ api.ListSharedRequestObject) (api.ListSharedResponseObject, error) {
	ctx, by := acting(ctx)
	shared, err := s.cfg.Vault.SharedWith(ctx, by)
	if err != nil {
		return nil, err
	}
	list := api.SharedList{Records: make([]api.Grant, len(shared))}
	for i, g := range shared {
		list.Records[i] = grantOf(g)
	}
	return api.ListShared200JSONResponse(list), nil
}

func grantOf(g vault.Shared) api.Grant {
	out := api.Grant{
		ID: g.ID, Record: g.Record, Agency: g.Agency, Consent: g.Word, Purpose: api.Purpose(g.Purpose), Parts: []api.Part{}, Readings: g.Readings, Taken: g.Taken, Until: formatDay(g.Until),
	}
	for _, p := range g.Parts {
		out.Parts = append(out.Parts, api.Part(p))
	}
	return out
}

func partsOf(parts []api.Part) (out []vault.Part) {
	for _, p := range parts {
		out = append(out, vault.Part(p))
	}
	return out
}
