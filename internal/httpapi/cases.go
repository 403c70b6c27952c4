package httpapi

import (
	"context"
	"errors"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
)

// OpenCase begins a case for the actor's agency.
func (s *Server) OpenCase(c context.Context, r api.OpenCaseRequestObject) (api.OpenCaseResponseObject, error) {
	ctx, by := acting(c)
	made, err := s.cfg.Vault.CreateCase(ctx, by)
	if err != nil {
		return nil, err
	}
	if r.Body != nil && r.Body.Findable {
		if err := s.cfg.Vault.SetFindable(ctx, by, made.ID, true); err != nil {
			return nil, err
		}
		made.Findable = true
	}
	tellsAbout(c, made.ID)
	return api.OpenCase201JSONResponse(caseOf(made)), nil
}

// ListCases lists the cases that are somebody's, a page at a time.
func (s *Server) ListCases(ctx context.Context, r api.ListCasesRequestObject) (api.ListCasesResponseObject, error) {
	ctx, by := acting(ctx)
	limit := r.Params.Limit
	if limit == 0 {
		limit = 100
	}
	found, err := s.cfg.Vault.Cases(ctx, by, r.Params.After, limit)
	if err != nil {
		return nil, err
	}
	list := api.CaseList{Cases: make([]api.Case, len(found))}
	for i, c := range found {
		list.Cases[i] = caseOf(c)
	}
	return api.ListCases200JSONResponse(list), nil
}

// MakeCaseFindable records the holder's consent to be found by a document's
// number, or its end.
func (s *Server) MakeCaseFindable(ctx context.Context, r api.MakeCaseFindableRequestObject) (api.MakeCaseFindableResponseObject, error) {
	ctx, by := acting(ctx)
	if err := s.cfg.Vault.SetFindable(ctx, by, r.Case, r.Body.Findable); err != nil {
		return nil, err
	}
	return api.MakeCaseFindable204Response{}, nil
}

// ReadCase returns a case and what belongs to it.
func (s *Server) ReadCase(ctx context.Context, r api.ReadCaseRequestObject) (api.ReadCaseResponseObject, error) {
	ctx, by := acting(ctx)
	found, err := s.cfg.Vault.Case(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	documents, err := s.cfg.Vault.Documents(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	grants, err := s.cfg.Vault.Grants(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	workers, err := s.cfg.Vault.People(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	joined, err := s.cfg.Vault.Joined(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	out := caseOf(found)
	out.Documents, out.Grants, out.People, out.Joined = documents, []api.Grant{}, workersOf(workers), joined
	for _, g := range grants {
		out.Grants = append(out.Grants, grantOf(g))
	}
	return api.ReadCase200JSONResponse(out), nil
}

// EraseCase asks two people of the agency to agree that a case is erased.
func (s *Server) EraseCase(ctx context.Context, r api.EraseCaseRequestObject) (api.EraseCaseResponseObject, error) {
	ctx, by := acting(ctx)
	if _, err := s.cfg.Vault.Case(ctx, by, r.Case); err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoErase, by.Agency, &roster.Erase{Case: r.Case})
	if err != nil {
		return nil, err
	}
	return api.EraseCase202JSONResponse{AskedJSONResponse: out}, nil
}

// erase takes everything of a case out of use and destroys its keys.
//
// The withdrawal comes first: it is the only one of the two that needs what the case
// says, and repeating it after a crash withdraws nothing twice. Where an erasure was cut off
// there is nothing left to withdraw; only the vault knows whether the case is gone.
func (s *Server) erase(ctx context.Context, by audit.Actor, caseID string) (api.Erased, error) {
	withdrawn, err := s.cfg.Issuer.WithdrawCase(ctx, by, caseID)
	if err != nil && !errors.Is(err, credentials.ErrNotFound) && !errors.Is(err, vault.ErrNotFound) {
		return api.Erased{}, err
	}
	erased, err := s.cfg.Vault.Erase(ctx, by, caseID)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return api.Erased{}, nil // it is gone
	case err != nil:
		return api.Erased{}, err
	}
	return api.Erased{
		Withdrawn: withdrawn, Records: erased.Records, Objects: erased.Objects,
		Pages: erased.Pages, Grants: erased.Grants, Notes: erased.Notes,
	}, nil
}

// ReadHistory returns what was done with a case, with what it takes to find
// each entry in the public log.
func (s *Server) ReadHistory(ctx context.Context, r api.ReadHistoryRequestObject) (api.ReadHistoryResponseObject, error) {
	ctx, by := acting(ctx)
	events, err := s.cfg.Vault.History(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	out := api.History{Entries: make([]api.HistoryEntry, len(events))}
	for i, e := range events {
		out.Entries[i] = api.HistoryEntry{
			Day: formatDay(e.Day), Kind: e.Note.Kind, Salt: e.Note.Salt[:], Body: e.Note.Body, Leaf: hexOf(e.Leaf[:]),
		}
	}
	return api.ReadHistory200JSONResponse(out), nil
}

func caseOf(c vault.Case) api.Case {
	return api.Case{ID: c.ID, Opened: formatDay(c.Day), Findable: c.Findable}
}
