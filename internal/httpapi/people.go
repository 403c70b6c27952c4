package httpapi

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// ListPeople lists the people of an agency, or of the network.
func (s *Server) ListPeople(ctx context.Context, r api.ListPeopleRequestObject) (api.ListPeopleResponseObject, error) {
	ctx, by := acting(ctx)
	agency := ownUnless(r.Params.Agency, by)
	if err := people.MayFor(by, people.MemberManage, agency); err != nil {
		return nil, err
	}
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	list := api.PersonList{People: []api.Person{}}
	for _, p := range state.Of(agency) {
		list.People = append(list.People, api.Person{
			ID: p.ID, Agency: p.Agency, Roles: rolesOf(p), Handle: p.Handle, State: personState(p), Keys: len(p.Credentials),
		})
	}
	return api.ListPeople200JSONResponse(list), nil
}

func personState(p roster.Person) api.PersonState {
	switch {
	case p.Removed:
		return api.PersonStateRemoved
	case len(p.Credentials) == 0:
		return api.PersonStateInvited
	default:
		return api.PersonStateActive
	}
}

// ownUnless is the agency that somebody asks about: her own where none is given.
func ownUnless(agency string, by audit.Actor) string {
	if agency == "" {
		return by.Agency
	}
	return agency
}

// AddPerson asks to take somebody in. The link is in this answer only.
func (s *Server) AddPerson(ctx context.Context, r api.AddPersonRequestObject) (api.AddPersonResponseObject, error) {
	ctx, by := acting(ctx)
	link, secret := s.cfg.People.NewLink()
	p := people.NewPerson(ownUnless(r.Body.Agency, by), r.Body.Handle, rolesIn(r.Body.Roles)...)
	out, err := s.ask(ctx, by, roster.DoAddPerson, p.Agency, &roster.AddPerson{Person: p, Link: link})
	if err != nil {
		return nil, err
	}
	out.ID, out.Link = p.ID, s.joinLink(secret)
	return api.AddPerson202JSONResponse{AskedJSONResponse: out}, nil
}

// joinLink is what somebody opens to join. The secret stands behind the #, which
// browsers keep to themselves.
func (s *Server) joinLink(secret string) string {
	return s.cfg.Network.BaseURL() + "/admin#join=" + secret
}

func rolesIn(roles []api.Role) []people.Role {
	out := make([]people.Role, len(roles))
	for i, r := range roles {
		out[i] = people.Role(r)
	}
	return out
}

// managed finds somebody whose agency the actor may manage. Of others it is not told
// whether they are there.
func (s *Server) managed(ctx context.Context, by audit.Actor, id string) (roster.Person, error) {
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return roster.Person{}, err
	}
	p, ok := state.People[id]
	if !ok || id != by.ID && people.MayFor(by, people.MemberManage, p.Agency) != nil {
		return roster.Person{}, people.ErrNotFound
	}
	return p, nil
}

// ChangePerson asks to give somebody other roles.
func (s *Server) ChangePerson(ctx context.Context, r api.ChangePersonRequestObject) (api.ChangePersonResponseObject, error) {
	ctx, by := acting(ctx)
	p, err := s.managed(ctx, by, r.Person)
	if err != nil {
		return nil, err
	}
	roles := people.NewPerson(p.Agency, r.Body.Handle, rolesIn(r.Body.Roles)...).Roles
	out, err := s.ask(ctx, by, roster.DoChangePerson, p.Agency, &roster.ChangePerson{ID: p.ID, Roles: roles, Handle: r.Body.Handle})
	if err != nil {
		return nil, err
	}
	return api.ChangePerson202JSONResponse{AskedJSONResponse: out}, nil
}

// RecoverPerson asks to replace the passkeys that somebody has lost.
func (s *Server) RecoverPerson(ctx context.Context, r api.RecoverPersonRequestObject) (api.RecoverPersonResponseObject, error) {
	ctx, by := acting(ctx)
	p, err := s.managed(ctx, by, r.Person)
	if err != nil {
		return nil, err
	}
	link, secret := s.cfg.People.NewLink()
	out, err := s.ask(ctx, by, roster.DoRecoverPerson, p.Agency, &roster.RecoverPerson{ID: p.ID, Link: link})
	if err != nil {
		return nil, err
	}
	out.ID, out.Link = p.ID, s.joinLink(secret)
	return api.RecoverPerson202JSONResponse{AskedJSONResponse: out}, nil
}

// RemovePerson asks to end somebody's access.
func (s *Server) RemovePerson(ctx context.Context, r api.RemovePersonRequestObject) (api.RemovePersonResponseObject, error) {
	ctx, by := acting(ctx)
	p, err := s.managed(ctx, by, r.Person)
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoRemovePerson, p.Agency, &roster.RemovePerson{ID: p.ID})
	if err != nil {
		return nil, err
	}
	return api.RemovePerson202JSONResponse{AskedJSONResponse: out}, nil
}

// SignOutEverywhere asks to end all sessions of somebody.
func (s *Server) SignOutEverywhere(ctx context.Context, r api.SignOutEverywhereRequestObject) (api.SignOutEverywhereResponseObject, error) {
	ctx, by := acting(ctx)
	p, err := s.managed(ctx, by, r.Person)
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoSignOut, p.Agency, &roster.SignOut{ID: p.ID})
	if err != nil {
		return nil, err
	}
	return api.SignOutEverywhere202JSONResponse{AskedJSONResponse: out}, nil
}

// BeginKey begins the registration of a further passkey of one's own.
func (s *Server) BeginKey(ctx context.Context, _ api.BeginKeyRequestObject) (api.BeginKeyResponseObject, error) {
	ctx, by := acting(ctx)
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	var has []passkey.Credential
	for _, k := range state.People[by.ID].Credentials {
		has = append(has, passkey.Known(k))
	}
	options, err := s.creation(ctx, state.People[by.ID], has)
	if err != nil {
		return nil, err
	}
	return api.BeginKey200JSONResponse{Options: options}, nil
}

// AddKey asks to add it.
func (s *Server) AddKey(ctx context.Context, r api.AddKeyRequestObject) (api.AddKeyResponseObject, error) {
	ctx, by := acting(ctx)
	made, err := s.registered(ctx, by.ID, r.Body.Response)
	if err != nil {
		return nil, unlessOurs(err, faultApproval)
	}
	out, err := s.ask(ctx, by, roster.DoAddKey, by.Agency, &roster.AddKey{Person: by.ID, Credential: made})
	if err != nil {
		return nil, err
	}
	return api.AddKey202JSONResponse{AskedJSONResponse: out}, nil
}

// RemoveKey asks to take one away.
func (s *Server) RemoveKey(ctx context.Context, r api.RemoveKeyRequestObject) (api.RemoveKeyResponseObject, error) {
	ctx, by := acting(ctx)
	id, err := base64.RawURLEncoding.Strict().DecodeString(r.Key)
	if err != nil {
		return nil, people.ErrNotFound
	}
	out, err := s.ask(ctx, by, roster.DoRemoveKey, by.Agency, &roster.RemoveKey{Person: by.ID, Credential: id})
	if err != nil {
		return nil, err
	}
	return api.RemoveKey202JSONResponse{AskedJSONResponse: out}, nil
}

// ListPrograms lists the programs of an agency, or of the network.
func (s *Server) ListPrograms(ctx context.Context, r api.ListProgramsRequestObject) (api.ListProgramsResponseObject, error) {
	ctx, by := acting(ctx)
	agency := ownUnless(r.Params.Agency, by)
	if err := people.MayFor(by, people.MemberManage, agency); err != nil {
		return nil, err
	}
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	list := api.ProgramList{Programs: []api.Program{}}
	for _, p := range state.ProgramsOf(agency) {
		one := api.Program{ID: p.ID, Agency: p.Agency, Role: api.Role(p.Role), Label: p.Label, Expires: time.Unix(p.Expires, 0).UTC(), State: api.ProgramStateActive}
		switch {
		case p.Removed:
			one.State = api.ProgramStateRemoved
		case s.cfg.Now().Unix() >= p.Expires:
			one.State = api.ProgramStateOver
		}
		list.Programs = append(list.Programs, one)
	}
	return api.ListPrograms200JSONResponse(list), nil
}

// AddProgram asks to let a program in. Its token is in this answer only.
func (s *Server) AddProgram(ctx context.Context, r api.AddProgramRequestObject) (api.AddProgramResponseObject, error) {
	ctx, by := acting(ctx)
	out, err := s.addProgram(ctx, by, ownUnless(r.Body.Agency, by), people.Role(r.Body.Role), r.Body.Label, r.Body.Days)
	if err != nil {
		return nil, err
	}
	return api.AddProgram202JSONResponse{AskedJSONResponse: out}, nil
}

func (s *Server) addProgram(ctx context.Context, by audit.Actor, agency string, role people.Role, label string, days int) (api.AskedJSONResponse, error) {
	p, token := s.cfg.People.NewProgram(agency, role, label, time.Duration(days)*24*time.Hour)
	out, err := s.ask(ctx, by, roster.DoAddProgram, p.Agency, &roster.AddProgram{Program: p})
	if err != nil {
		return out, err
	}
	out.ID, out.Token = p.ID, token
	return out, nil
}

// RemoveProgram asks to take a program's access away.
func (s *Server) RemoveProgram(ctx context.Context, r api.RemoveProgramRequestObject) (api.RemoveProgramResponseObject, error) {
	ctx, by := acting(ctx)
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	p, ok := state.Programs[r.Program]
	if !ok || people.MayFor(by, people.MemberManage, p.Agency) != nil {
		return nil, people.ErrNotFound
	}
	out, err := s.ask(ctx, by, roster.DoRemoveProgram, p.Agency, &roster.RemoveProgram{ID: p.ID})
	if err != nil {
		return nil, err
	}
	return api.RemoveProgram202JSONResponse{AskedJSONResponse: out}, nil
}
