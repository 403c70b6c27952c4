package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// keySession is where the session of a request is left for those further in.
const keySession = "session"

// signedIn finds the person of a request's cookie. ErrUnauthenticated for every
// request that nobody who is signed in has sent.
func (s *Server) signedIn(c *gin.Context) (audit.Actor, error) {
	token, ok := s.cfg.Sessions.Token(c.Request)
	if !ok {
		return audit.Actor{}, people.ErrUnauthenticated
	}
	known, leave, err := s.unknownSession(c.Request.Context(), sessionKey(token))
	if err != nil {
		return audit.Actor{}, err
	}
	defer leave()
	find := s.cfg.Sessions.Read
	if AboutCheck(c.Request.Context()) {
		find = s.cfg.Sessions.Glance // when a card was checked is in no row
	}
	in, err := find(c.Request.Context(), token)
	switch {
	case errors.Is(err, signin.ErrNoSession):
		s.actors.forget(sessionKey(token))
		if !known {
			if err := s.madeUp(); err != nil {
				return audit.Actor{}, err
			}
		}
		return audit.Actor{}, s.nobody(c.Request.Context())
	case err != nil:
		return audit.Actor{}, err
	}
	by, _, err := s.cfg.People.Person(c.Request.Context(), in.Person)
	if err != nil {
		return audit.Actor{}, err
	}
	s.actors.remember(sessionKey(token), by, s.cfg.Now())
	c.Set(keySession, in)
	return by, nil
}

// nobody says why somebody who had a session has none: of a locked network nobody has.
func (s *Server) nobody(ctx context.Context) error {
	switch lock, err := s.cfg.People.Locked(ctx); {
	case err != nil:
		return err
	case lock != "":
		return roster.ErrLocked
	}
	return people.ErrUnauthenticated
}

// session is the session of a request of somebody who is signed in.
func session(ctx context.Context) signin.Session {
	c, _ := ctx.(*gin.Context)
	in, _ := c.Get(keySession)
	s, _ := in.(signin.Session)
	return s
}

// BeginSignIn makes a challenge for whoever comes.
func (s *Server) BeginSignIn(ctx context.Context, _ api.BeginSignInRequestObject) (api.BeginSignInResponseObject, error) {
	ctx, _ = acting(ctx)
	challenge, err := s.cfg.Sessions.Challenge(ctx, signin.SignIn, "")
	if err != nil {
		return nil, err
	}
	options, err := s.cfg.Passkeys.RequestOptions(challenge, nil)
	if err != nil {
		return nil, err
	}
	return api.BeginSignIn200JSONResponse{Options: options}, nil
}

// SignIn begins a session. Whatever is wrong has one answer.
func (s *Server) SignIn(ctx context.Context, r api.SignInRequestObject) (api.SignInResponseObject, error) {
	within, _ := acting(ctx)
	person, err := s.shown(within, r.Body.Response)
	if err != nil {
		return nil, unlessOurs(err, faultUnauthenticated)
	}
	me, cookie, err := s.start(ctx, person)
	if err != nil {
		return nil, unlessOurs(err, faultUnauthenticated)
	}
	return api.SignIn201JSONResponse{Body: me, Headers: api.SignIn201ResponseHeaders{SetCookie: cookie}}, nil
}

// unlessOurs answers what a client sent with one fault, and what is our own fault as
// it is.
func unlessOurs(err error, f fault) error {
	if diagnose(err).status >= http.StatusInternalServerError {
		return err
	}
	return fail(f)
}

// shown finds the person who has shown herself with a passkey, and writes down what
// the passkey said of itself.
func (s *Server) shown(ctx context.Context, response []byte) (person string, err error) {
	a, err := passkey.ReadAssertion(response)
	if err != nil {
		return "", err
	}
	state, err := s.cfg.People.State(ctx)
	switch {
	case err != nil:
		return "", err
	case state.Lock != "":
		return "", roster.ErrLocked
	}
	who, key, ok := state.Holder(a.Credential)
	if !ok {
		return "", people.ErrUnauthenticated
	}
	use, known, err := s.cfg.Sessions.LastUse(ctx, key.ID)
	if err != nil {
		return "", err
	}
	before := passkey.Known(key)
	if before.SignCount = use.SignCount; known {
		before.BackupState = use.BackedUp
	}
	var after passkey.Credential
	err = s.cfg.Sessions.Spend(ctx, signin.SignIn, "", a.Challenge, func() (err error) {
		after, err = s.cfg.Passkeys.SignIn(before, who.ID, a.Challenge, a)
		return err
	})
	if err != nil {
		return "", err
	}
	return who.ID, s.cfg.Sessions.Used(ctx, key.ID, signin.Use{SignCount: after.SignCount, BackedUp: after.BackupState})
}

// start begins a session of a person, and gives the browser its token.
func (s *Server) start(ctx context.Context, person string) (api.Me, string, error) {
	c, ok := ctx.(*gin.Context)
	if !ok {
		return api.Me{}, "", people.ErrUnauthenticated
	}
	former, _ := s.cfg.Sessions.Token(c.Request)
	token, in, err := s.cfg.Sessions.Start(c.Request.Context(), person, former)
	if err != nil {
		return api.Me{}, "", err
	}
	s.actors.remember(sessionKey(token), audit.Actor{ID: in.Person}, s.cfg.Now()) // she is let in already
	me, err := s.me(c.Request.Context(), in)
	return me, s.cfg.Sessions.Cookie(token).String(), err
}

// sessionKey is a session among those who were let in lately, where it is no token that
// lets a program in.
func sessionKey(token string) string { return "session " + token }

// me is what somebody may know of herself.
func (s *Server) me(ctx context.Context, in signin.Session) (api.Me, error) {
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return api.Me{}, err
	}
	p := state.People[in.Person]
	me := api.Me{
		ID: p.ID, Agency: p.Agency, AgencyName: state.Agencies[p.Agency].Name, Roles: rolesOf(p), Handle: p.Handle,
		Network: s.cfg.Network.Name(), Demo: state.Demo, SignedIn: minute(in.Made), Keys: []api.Passkey{},
	}
	for _, k := range p.Credentials {
		me.Keys = append(me.Keys, api.Passkey{ID: base64.RawURLEncoding.EncodeToString(k.ID), Synced: k.Synced})
	}
	return me, nil
}

// minute rounds a time: more exactly it would tell who was where.
func minute(t time.Time) time.Time { return t.UTC().Truncate(time.Minute) }

func rolesOf(p roster.Person) []api.Role {
	roles := make([]api.Role, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = api.Role(r)
	}
	return roles
}

// ReadSession tells somebody who she is.
func (s *Server) ReadSession(ctx context.Context, _ api.ReadSessionRequestObject) (api.ReadSessionResponseObject, error) {
	within, _ := acting(ctx)
	me, err := s.me(within, session(ctx))
	if err != nil {
		return nil, err
	}
	return api.ReadSession200JSONResponse(me), nil
}

// ListSessions tells somebody where she is signed in.
func (s *Server) ListSessions(ctx context.Context, _ api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	within, by := acting(ctx)
	all, err := s.cfg.Sessions.List(within, by.ID)
	if err != nil {
		return nil, err
	}
	list := api.SessionList{Sessions: make([]api.Session, len(all))}
	for i, one := range all {
		list.Sessions[i] = api.Session{ID: one.ID, Made: minute(one.Made), Seen: minute(one.Seen), Here: one.ID == session(ctx).ID}
	}
	return api.ListSessions200JSONResponse(list), nil
}

// SignOut ends the session of this browser.
func (s *Server) SignOut(ctx context.Context, _ api.SignOutRequestObject) (api.SignOutResponseObject, error) {
	c, ok := ctx.(*gin.Context)
	if !ok {
		return nil, people.ErrUnauthenticated
	}
	token, _ := s.cfg.Sessions.Token(c.Request)
	if err := s.cfg.Sessions.End(c.Request.Context(), token); err != nil {
		return nil, err
	}
	return api.SignOut204Response{Headers: api.SignOut204ResponseHeaders{SetCookie: s.cfg.Sessions.NoCookie().String()}}, nil
}

// BeginJoin begins the registration of a first passkey.
func (s *Server) BeginJoin(ctx context.Context, r api.BeginJoinRequestObject) (api.BeginJoinResponseObject, error) {
	ctx, _ = acting(ctx)
	p, err := s.cfg.People.Invited(ctx, r.Body.Secret)
	if err != nil {
		return nil, unlessOurs(err, faultInvitation)
	}
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	options, err := s.creation(ctx, p, nil)
	if err != nil {
		return nil, err
	}
	return api.BeginJoin200JSONResponse{
		Handle: p.Handle, AgencyName: state.Agencies[p.Agency].Name, Roles: rolesOf(p), Options: options,
	}, nil
}

// creation asks for a new passkey of a person.
func (s *Server) creation(ctx context.Context, p roster.Person, exclude []passkey.Credential) (json.RawMessage, error) {
	challenge, err := s.cfg.Sessions.Challenge(ctx, signin.Register, p.ID)
	if err != nil {
		return nil, err
	}
	return s.cfg.Passkeys.CreationOptions(passkey.Registration{Person: p.ID, Label: p.Handle, Exclude: exclude}, challenge)
}

// registered judges what a browser made of creation's options.
func (s *Server) registered(ctx context.Context, person string, response []byte) (roster.Credential, error) {
	challenge, err := passkey.ReadChallenge(response)
	if err != nil {
		return roster.Credential{}, err
	}
	var made passkey.Credential
	err = s.cfg.Sessions.Spend(ctx, signin.Register, person, challenge, func() (err error) {
		made, err = s.cfg.Passkeys.Register(person, challenge, response)
		return err
	})
	if err != nil {
		return roster.Credential{}, err
	}
	return made.Kept(), nil
}

// MakePasskey reads a first passkey, and answers with the act that it has to sign.
func (s *Server) MakePasskey(ctx context.Context, r api.MakePasskeyRequestObject) (api.MakePasskeyResponseObject, error) {
	ctx, _ = acting(ctx)
	p, err := s.cfg.People.Invited(ctx, r.Body.Secret)
	if err != nil {
		return nil, unlessOurs(err, faultInvitation)
	}
	made, err := s.registered(ctx, p.ID, r.Body.Response)
	if err != nil {
		return nil, unlessOurs(err, faultApproval)
	}
	act, err := s.cfg.People.JoinAct(ctx, r.Body.Secret, made)
	if err != nil {
		return nil, err
	}
	lines, err := linesOf(act)
	if err != nil {
		return nil, err
	}
	options, err := s.agreeing(act, []roster.Credential{made})
	if err != nil {
		return nil, err
	}
	data, err := act.Bytes()
	if err != nil {
		return nil, err
	}
	return api.MakePasskey200JSONResponse{Act: string(data), Lines: lines, Options: options}, nil
}

// Join lets somebody in who was taken in, and signs her in.
func (s *Server) Join(ctx context.Context, r api.JoinRequestObject) (api.JoinResponseObject, error) {
	within, _ := acting(ctx)
	p, err := s.cfg.People.Invited(within, r.Body.Secret)
	if err != nil {
		return nil, unlessOurs(err, faultInvitation)
	}
	act, err := approval.Parse([]byte(r.Body.Act))
	if err != nil {
		return nil, fail(faultApproval)
	}
	a, err := passkey.ReadAssertion(r.Body.Response)
	if err != nil {
		return nil, fail(faultApproval)
	}
	by, err := s.cfg.People.Join(within, r.Body.Secret, act, a.Proof(p.ID))
	if err != nil {
		return nil, unlessOurs(err, faultApproval)
	}
	me, cookie, err := s.start(ctx, by.ID)
	if err != nil {
		return nil, err
	}
	return api.Join201JSONResponse{Body: me, Headers: api.Join201ResponseHeaders{SetCookie: cookie}}, nil
}
