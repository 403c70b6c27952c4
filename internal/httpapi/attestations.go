package httpapi

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
)

// orderOf turns a body into what the issuer takes.
func orderOf(o api.Order, caseID, requestKey string) (credentials.Order, error) {
	stated, err := claims.Decode(claims.Kind(o.Kind), o.Claims)
	if err != nil {
		return credentials.Order{}, err
	}
	until, err := parseDay("/valid_until", o.ValidUntil)
	if err != nil {
		return credentials.Order{}, err
	}
	return credentials.Order{
		Case: caseID, About: credentials.ID(o.About), Claims: stated,
		Replaces: credentials.ID(o.Supersedes), ValidUntil: until, RequestKey: requestKey,
	}, nil
}

// Attest issues an attestation about a case of the actor's own agency, or asks those
// who have to agree to it.
func (s *Server) Attest(ctx context.Context, r api.AttestRequestObject) (api.AttestResponseObject, error) {
	key := requestKey(ctx)
	ctx, by := acting(ctx)
	order, err := orderOf(*r.Body, r.Case, key)
	if err != nil {
		return nil, err
	}
	if byPerson(ctx) || credentials.Agreement(order.Claims) {
		out, _, err := s.propose(ctx, by, *r.Body, order)
		if err != nil {
			return nil, err
		}
		return api.Attest202JSONResponse{AskedJSONResponse: out}, nil
	}
	a, err := s.issue(ctx, by, *r.Body, order)
	if err != nil {
		return nil, err
	}
	return api.Attest201JSONResponse(attestation(a.Issued)), nil
}

// Answer issues an attestation about another agency's one, which is named by
// its id or by the card that the holder opened, or asks those who have to agree to it.
// Whoever may not answer it is told that before anything else is looked at.
func (s *Server) Answer(c context.Context, r api.AnswerRequestObject) (api.AnswerResponseObject, error) {
	key := requestKey(c)
	ctx, by := acting(c)
	if err := people.May(by, people.Issue(r.Body.Kind)); err != nil {
		return nil, err
	}
	order, err := orderOf(*r.Body, "", key)
	if err != nil {
		return nil, err
	}
	if order.About, err = s.about(ctx, by, *r.Body); err != nil {
		return nil, err
	}
	if byPerson(ctx) || credentials.Agreement(order.Claims) {
		out, caseID, err := s.propose(ctx, by, *r.Body, order)
		if err != nil {
			return nil, err
		}
		tellsAbout(c, caseID)
		return api.Answer202JSONResponse{AskedJSONResponse: out}, nil
	}
	a, err := s.issue(ctx, by, *r.Body, order)
	if err != nil {
		return nil, err
	}
	tellsAbout(c, a.Case)
	return api.Answer201JSONResponse(attestation(a.Issued)), nil
}

// issue asks whether the actor's role may state this kind, and issues. What the
// issuer finds wrong with the claims points into the claims; to it, they are
// the whole.
func (s *Server) issue(ctx context.Context, by audit.Actor, body api.Order, order credentials.Order) (credentials.Attestation, error) {
	if err := people.May(by, people.Issue(body.Kind)); err != nil {
		return credentials.Attestation{}, err
	}
	a, err := s.cfg.Issuer.Issue(ctx, by, order)
	if err == nil {
		// Repeating the request repeats this, and changes nothing twice.
		return a, s.missionAnswered(ctx, by, a.Issued, order.Claims)
	}
	return credentials.Attestation{}, pointedAt(body, err)
}

// pointedAt has problems with claims point into the body that they came in.
func pointedAt(body api.Order, err error) error {
	input, ok := errors.AsType[*invalid.Error](err)
	if !ok {
		return err
	}
	pointed := &invalid.Error{Problems: slices.Clone(input.Problems)}
	for i, p := range pointed.Problems {
		switch {
		case p.Pointer == "/case", p.Pointer == "/about", p.Pointer == "/kind":
		case p.Pointer == "/valid_until" && body.ValidUntil != "":
		default:
			pointed.Problems[i].Pointer = "/claims" + p.Pointer
		}
	}
	return pointed
}

// propose asks those to agree to an attestation who have to, which is checked and
// written down, and signed by nobody yet.
func (s *Server) propose(ctx context.Context, by audit.Actor, body api.Order, order credentials.Order) (out api.AskedJSONResponse, caseID string, err error) {
	if err := people.May(by, people.Issue(body.Kind)); err != nil {
		return out, "", err
	}
	d, sealed, err := s.cfg.Issuer.Propose(ctx, by, order)
	if err != nil {
		return out, "", pointedAt(body, err)
	}
	out, err = s.askSealed(ctx, by, roster.DoIssue, &roster.Issue{Case: d.Case, Kind: d.Kind, Level: d.Level, Order: d.Order}, sealed)
	return out, d.Case, err
}

// missionAnswered carries what a mission signed about lost documents into their
// records. Only what a mission says through its own account counts, as for the
// cards that it confirms.
func (s *Server) missionAnswered(ctx context.Context, by audit.Actor, d credentials.Issued, said claims.Claims) error {
	reply, ok := said.(*claims.Reply)
	if !ok || !reply.SLTDRecorded || reply.Channel != "account" {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // the reply is signed
	record, err := s.cfg.Issuer.AboutRecord(ctx, d.About)
	if err != nil {
		return err
	}
	_, err = s.cfg.Vault.MissionAnswered(ctx, by, vault.MissionAnswer{
		Reply: string(d.ID), Case: d.Case, Document: record, State: reply.MissionState,
	})
	return err
}

// about finds what the actor may answer: an attestation, or what a card stands for.
func (s *Server) about(ctx context.Context, by audit.Actor, o api.Order) (credentials.ID, error) {
	if (o.About == "") == (o.CardHandle == "") {
		return "", inconsistent("/about", "either about or card_handle is given")
	}
	if o.About != "" {
		return s.cfg.Issuer.Answerable(ctx, by, credentials.ID(o.About))
	}
	handle, err := parseHandle(o.CardHandle)
	if err != nil {
		return "", err
	}
	return s.cfg.Issuer.AnswerableCard(ctx, by, handle)
}

// ListAttestations lists what was stated about a case, as far as whoever asks may read it.
func (s *Server) ListAttestations(ctx context.Context, r api.ListAttestationsRequestObject) (api.ListAttestationsResponseObject, error) {
	ctx, by := acting(ctx)
	issued, err := s.cfg.Issuer.Readable(ctx, by, r.Case)
	if err != nil {
		return nil, err
	}
	list := api.AttestationList{Attestations: []api.Attestation{}}
	for _, d := range issued {
		if d.Kind != credentials.KindCard {
			list.Attestations = append(list.Attestations, attestation(d))
		}
	}
	return api.ListAttestations200JSONResponse(list), nil
}

// ReadAttestation returns one attestation in its signed form, with the disclosures that are
// for whoever asks.
func (s *Server) ReadAttestation(ctx context.Context, r api.ReadAttestationRequestObject) (api.ReadAttestationResponseObject, error) {
	ctx, by := acting(ctx)
	a, err := s.cfg.Issuer.Read(ctx, by, credentials.ID(r.Attestation))
	if err != nil {
		return nil, err
	}
	out := attestation(a.Issued)
	out.Credential, out.Reader = a.Token, api.Reader(a.Reader)
	return api.ReadAttestation200JSONResponse(out), nil
}

// ChangeAttestation withdraws or pauses an attestation, or asks two people to agree that
// it is in use again.
func (s *Server) ChangeAttestation(c context.Context, r api.ChangeAttestationRequestObject) (api.ChangeAttestationResponseObject, error) {
	key := requestKey(c)
	ctx, by := acting(c)
	id, action, reason := credentials.ID(r.Attestation), credentials.Action(r.Body.Action), credentials.Reason(r.Body.Reason)
	if action == credentials.Resume {
		out, err := s.resume(c, id, false, reason)
		if err != nil {
			return nil, err
		}
		return api.ChangeAttestation202JSONResponse{AskedJSONResponse: out}, nil
	}
	d, err := s.cfg.Issuer.ChangeAttestation(ctx, by, id, action, reason, key)
	if err != nil {
		return nil, err
	}
	tellsAbout(c, d.Case)
	return api.ChangeAttestation200JSONResponse{ID: api.ID(d.ID), State: api.StatusChangedState(d.State)}, nil
}

// Contest takes another agency's answer off, for whoever keeps the case.
func (s *Server) Contest(c context.Context, r api.ContestRequestObject) (api.ContestResponseObject, error) {
	ctx, by := acting(c)
	d, err := s.cfg.Issuer.Contest(ctx, by, credentials.ID(r.Attestation), credentials.Objection(r.Body.Reason))
	if err != nil {
		return nil, err
	}
	tellsAbout(c, d.Case)
	return api.Contest200JSONResponse(attestation(d)), nil
}

// TakeContestBack ends a contest.
func (s *Server) TakeContestBack(ctx context.Context, r api.TakeContestBackRequestObject) (api.TakeContestBackResponseObject, error) {
	ctx, by := acting(ctx)
	if _, err := s.cfg.Issuer.TakeContestBack(ctx, by, credentials.ID(r.Attestation)); err != nil {
		return nil, err
	}
	return api.TakeContestBack204Response{}, nil
}

// resume asks two people to agree that something is in use again.
func (s *Server) resume(c context.Context, id credentials.ID, isCard bool, reason credentials.Reason) (api.AskedJSONResponse, error) {
	ctx, by := acting(c)
	d, sealed, err := s.cfg.Issuer.ProposeReturn(ctx, by, id, isCard, reason)
	if err != nil {
		return api.AskedJSONResponse{}, err
	}
	what := roster.Resume{Case: d.Case, Of: d.Of, Kind: d.Kind, Order: d.Order}
	for _, p := range d.Places {
		what.Places = append(what.Places, roster.Place(p))
	}
	tellsAbout(c, d.Case)
	return s.askSealed(ctx, by, roster.DoResume, &what, sealed)
}

// attestation is the wire form of what was issued, without its content.
func attestation(d credentials.Issued) api.Attestation {
	return api.Attestation{
		ID: api.ID(d.ID), Kind: string(d.Kind), Agency: d.Agency, State: api.AttestationState(d.State),
		Issued: formatDay(d.IssuedOn), ValidUntil: formatDay(d.ValidUntil.AddDate(0, 0, -1)), ReviewBy: formatDay(d.ReviewBy),
		About: api.ID(d.About), Supersedes: api.ID(d.Replaces), Contested: api.Objection(d.Contested),
	}
}

// formatDay writes a day; the zero time is no day.
func formatDay(t time.Time) api.Day {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// parseDay reads a day, which the contract checks by form only.
func parseDay(pointer string, d api.Day) (time.Time, error) {
	if d == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, d)
	if err != nil {
		return time.Time{}, &failure{fault: faultInvalid, problems: []api.InputProblem{
			{Pointer: pointer, Code: invalid.CodeFormat, Rule: "is a day of the calendar"},
		}}
	}
	return t, nil
}

func parseHandle(s api.CardHandle) (handle [8]byte, err error) {
	if n, err := hex.Decode(handle[:], []byte(s)); err != nil || n != len(handle) {
		return handle, fail(faultNotFound)
	}
	return handle, nil
}
