package httpapi

import (
	"context"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/vault"
)

// ShareDocument lets one agency read a document record until a day, with the
// holder's consent.
func (s *Server) ShareDocument(ctx context.Context, r api.ShareDocumentRequestObject) (api.ShareDocumentResponseObject, error) {
	grant, err := s.share(ctx, r.Document, false, *r.Body)
	if err != nil {
		return nil, err
	}
	return api.ShareDocument201JSONResponse(grant), nil
}

// ShareCase does the same for the attestations of a case.
func (s *Server) ShareCase(ctx context.Context, r api.ShareCaseRequestObject) (api.ShareCaseResponseObject, error) {
	grant, err := s.share(ctx, r.Case, true, *r.Body)
	if err != nil {
		return nil, err
	}
	return api.ShareCase201JSONResponse(grant), nil
}

// share shares a case, or a document of one; whole says which is meant.
func (s *Server) share(c context.Context, record api.ID, whole bool, order api.GrantOrder) (api.Grant, error) {
	ctx, by := acting(c)
	until, err := parseDay("/until", order.Until)
	if err != nil {
		return api.Grant{}, err
	}
	given := order.Consent
	if given.SafeWithState == "not_sure" { // the word of the version before
		given.SafeWithState = "unsure"
	}
	caseID, err := s.caseNamed(ctx, by, record, whole)
	if err != nil {
		return api.Grant{}, err
	}
	signed, err := s.signed(ctx, by, caseID)
	if err != nil {
		return api.Grant{}, err
	}
	parts := partsOf(order.Parts)
	if len(parts) == 0 {
		parts = vault.Parts
	}
	shared, err := s.cfg.Vault.Share(ctx, by, vault.Grant{
		Record: record, Agency: order.Agency, Purpose: vault.Purpose(order.Purpose), Parts: parts, Readings: order.Readings, Until: until,
		Consent: vault.Consent{
			Holder: given.Holder, Mission: given.Mission, SafeWithState: string(given.SafeWithState),
			Method: string(given.Method), Language: given.Language, Circumstance: string(given.Circumstance),
		},
	}, signed)
	if err != nil {
		return api.Grant{}, err
	}
	tellsAbout(c, caseID)
	return grantOf(shared), nil
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

// signed reads what attestations of a case say about sharing it. The rooms that
// keep the two never meet.
func (s *Server) signed(ctx context.Context, by audit.Actor, caseID string) (vault.Signed, error) {
	words, err := s.cfg.Issuer.Consents(ctx, by, caseID)
	if err != nil {
		return vault.Signed{}, err
	}
	origin, err := s.cfg.Issuer.Origin(ctx, by, caseID)
	return vault.Signed{Consents: words, Origin: origin}, err
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
		ID: g.ID, Record: g.Record, Agency: g.Agency, Purpose: api.Purpose(g.Purpose), Parts: []api.Part{}, Readings: g.Readings, Taken: g.Taken, Until: formatDay(g.Until),
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
