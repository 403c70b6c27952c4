package httpapi

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
)

// AssignCase gives a case to somebody of the agency.
func (s *Server) AssignCase(c context.Context, r api.AssignCaseRequestObject) (api.AssignCaseResponseObject, error) {
	ctx, by := acting(c)
	// The case is asked for first: to whom it is not, it says nothing about colleagues.
	if _, err := s.cfg.Vault.Case(ctx, by, r.Case); err != nil {
		return nil, err
	}
	if err := s.worksHere(ctx, by, r.Body.Person); err != nil {
		return nil, err
	}
	if err := s.cfg.Vault.Assign(ctx, by, r.Case, r.Body.Person); err != nil {
		return nil, err
	}
	tellsAbout(c, r.Case)
	return api.AssignCase204Response{}, nil
}

// worksHere refuses who is not there now, or not of the actor's agency, or does not work
// on cases: nobody is told which of these.
func (s *Server) worksHere(ctx context.Context, by audit.Actor, person string) error {
	other, here, err := s.cfg.People.Present(ctx, person)
	if err != nil {
		return err
	}
	if !here || other.Agency != by.Agency || people.MayIn(other, people.CaseRead, people.Assigned) != nil {
		return &failure{fault: faultRefused, problems: []api.InputProblem{
			{Pointer: "/person", Code: invalid.CodeNotAllowed, Rule: "is somebody of your agency who works on cases"},
		}}
	}
	return nil
}

// UnassignCase takes a case from somebody.
func (s *Server) UnassignCase(ctx context.Context, r api.UnassignCaseRequestObject) (api.UnassignCaseResponseObject, error) {
	ctx, by := acting(ctx)
	if err := s.cfg.Vault.Unassign(ctx, by, r.Case, r.Person); err != nil {
		return nil, err
	}
	return api.UnassignCase204Response{}, nil
}

// AttendCase gives somebody on duty the case of a holder who gave her card and her code.
func (s *Server) AttendCase(c context.Context, r api.AttendCaseRequestObject) (api.AttendCaseResponseObject, error) {
	ctx, by := acting(c)
	proof, err := s.proven(ctx, by, "", r.Body.Number, r.Body.Code, nil)
	if err == nil && proof.Agency != by.Agency {
		err = credentials.ErrCode
	}
	if err != nil {
		return nil, err
	}
	until, err := s.cfg.Vault.Attend(ctx, by, proof.Case, string(proof.Card))
	if errors.Is(err, vault.ErrNotFound) {
		err = credentials.ErrCode // it was erased meanwhile
	}
	if err != nil {
		return nil, err
	}
	tellsAbout(c, proof.Case)
	out := api.Attendance{Case: proof.Case}
	if !until.IsZero() {
		out.Until = formatTime(until)
	}
	return api.AttendCase201JSONResponse(out), nil
}

// JoinCases says of two cases that they are about one person, who gave her code.
func (s *Server) JoinCases(c context.Context, r api.JoinCasesRequestObject) (api.JoinCasesResponseObject, error) {
	ctx, by := acting(c)
	for _, id := range []string{r.Case, r.Body.Case} {
		if _, err := s.cfg.Vault.Case(ctx, by, id); err != nil {
			return nil, err
		}
	}
	if r.Case == r.Body.Case {
		return nil, invalid.One("/case", invalid.CodeNotAllowed, "is another case")
	}
	proof, err := s.proven(ctx, by, "", r.Body.Number, r.Body.Code, nil)
	if err == nil && proof.Case != r.Case && proof.Case != r.Body.Case {
		err = credentials.ErrCode
	}
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Vault.Join(ctx, by, r.Case, r.Body.Case, string(proof.Card)); err != nil {
		return nil, err
	}
	tellsAbout(c, r.Case)
	return api.JoinCases204Response{}, nil
}

// caseIn is the case that an act is about; "" for one about none.
func caseIn(act approval.Act) string {
	var what struct {
		Case string `json:"case"`
	}
	_ = json.Unmarshal(act.What, &what) // an act that waits has been read strictly
	return what.Case
}

// concerns tells whether somebody who may agree to an act has to do with it. What one
// alone agrees to has no second person: in a case of their agency it is for whoever asked
// and for those whose case it is, and to other colleagues it is what never was.
func (s *Server) concerns(ctx context.Context, by audit.Actor, q people.Request) (bool, error) {
	caseID := caseIn(q.Act)
	if caseID == "" || q.Act.By == by.ID {
		return true, nil
	}
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return false, err
	}
	if needs, err := state.Needs(q.Act); err == nil && needs.People > 1 {
		return true, nil
	}
	own, his, err := s.cfg.Vault.Stands(ctx, by, caseID)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return false, nil // erased
	case err != nil:
		return false, err
	}
	return his || !own, nil
}

// request finds a request that concerns somebody. Every other is as unknown as one that
// never was.
func (s *Server) request(ctx context.Context, by audit.Actor, id api.ID) (people.Request, error) {
	q, err := s.cfg.People.Request(ctx, by, id)
	if err != nil {
		return people.Request{}, err
	}
	concerns, err := s.concerns(ctx, by, q)
	if err == nil && !concerns {
		err = people.ErrNotFound
	}
	return q, err
}

// workersOf lists who works on a case.
func workersOf(all []vault.Assignment) []api.Worker {
	list := make([]api.Worker, len(all))
	for i, a := range all {
		list[i].Person = a.Person
		if !a.Until.IsZero() {
			list[i].Until = formatTime(a.Until)
		}
	}
	return list
}
