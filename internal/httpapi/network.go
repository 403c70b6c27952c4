package httpapi

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// Board holds what was published last, and publishes. It stands between the
// rooms that make lists, packs and the log, which do not know each other.
type Board interface {
	// Publish closes the window: lists, pack and log checkpoint.
	Publish(ctx context.Context, by audit.Actor, emergency bool) (Published, error)
	// Lists returns the public half of the newest pack.
	Lists(ctx context.Context) (verifier.Lists, error)
	// Tokens returns the newest tokens of a status list, empty ones when there
	// is no such list.
	Tokens(ctx context.Context, list uint16) (status, answers string, err error)
	// Envelope seals the epoch keys to the device that acts, for the newest
	// pack.
	Envelope(ctx context.Context, by audit.Actor) (string, error)
	// Confirmed is when it was last known that nothing newer is published than
	// what Lists and Tokens return.
	Confirmed() time.Time
	// Pack returns the newest pack, opened for the service itself.
	Pack(ctx context.Context) (*verifier.Pack, error)
}

// Published is what a publication did.
type Published struct {
	Sequence uint64 // of the pack
	LogSize  int64  // leaves under the checkpoint
	Waiting  int    // changes left for the next window
}

// ListAgencies lists the agencies of the network.
func (s *Server) ListAgencies(ctx context.Context, _ api.ListAgenciesRequestObject) (api.ListAgenciesResponseObject, error) {
	ctx, _ = acting(ctx)
	all, err := s.cfg.Network.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	list := api.AgencyList{Agencies: make([]api.Agency, len(all))}
	for i, a := range all {
		list.Agencies[i] = s.agencyOf(a)
	}
	return api.ListAgencies200JSONResponse(list), nil
}

// AdmitAgency asks to take an agency into the network.
func (s *Server) AdmitAgency(ctx context.Context, r api.AdmitAgencyRequestObject) (api.AdmitAgencyResponseObject, error) {
	ctx, by := acting(ctx)
	what, err := s.cfg.Network.Admission(ctx, network.Agency{
		Name: r.Body.Name, Class: network.Class(r.Body.Class), Country: r.Body.Country, Desk: r.Body.Desk,
		Terms: network.Terms{Signs: orderedSigns(r.Body.Class, r.Body.Signs), Confirms: orderedStates(r.Body.Confirms)},
	})
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoAdmitAgency, "", what)
	if err != nil {
		return nil, err
	}
	out.ID = what.ID
	return api.AdmitAgency202JSONResponse{AskedJSONResponse: out}, nil
}

// ChangeAgency asks to suspend an agency, or to let it in again.
func (s *Server) ChangeAgency(ctx context.Context, r api.ChangeAgencyRequestObject) (api.ChangeAgencyResponseObject, error) {
	ctx, by := acting(ctx)
	a, err := s.cfg.Network.Agency(ctx, r.Agency)
	if err != nil {
		return nil, err
	}
	do, what := roster.DoResumeAgency, any(&roster.ResumeAgency{ID: a.ID})
	if r.Body.Action == api.AgencyStatusOrderActionSuspend {
		do, what = roster.DoSuspendAgency, &roster.SuspendAgency{ID: a.ID}
	}
	out, err := s.ask(ctx, by, do, "", what)
	if err != nil {
		return nil, err
	}
	return api.ChangeAgency202JSONResponse{AskedJSONResponse: out}, nil
}

// AddMember asks to let a program in, for a year. The token is in this answer only.
func (s *Server) AddMember(ctx context.Context, r api.AddMemberRequestObject) (api.AddMemberResponseObject, error) {
	ctx, by := acting(ctx)
	out, err := s.addProgram(ctx, by, ownUnless(r.Body.Agency, by), people.Role(r.Body.Role), string(r.Body.Role), 365)
	if err != nil {
		return nil, err
	}
	return api.AddMember202JSONResponse{AskedJSONResponse: out}, nil
}

// ReadEnvelope serves a device the keys that are sealed to it.
func (s *Server) ReadEnvelope(ctx context.Context, _ api.ReadEnvelopeRequestObject) (api.ReadEnvelopeResponseObject, error) {
	ctx, by := acting(ctx)
	envelope, err := s.cfg.Board.Envelope(ctx, by)
	if err != nil {
		return nil, err
	}
	return api.ReadEnvelope200JSONResponse{Envelope: envelope}, nil
}

// Publish closes the publication window.
func (s *Server) Publish(ctx context.Context, r api.PublishRequestObject) (api.PublishResponseObject, error) {
	ctx, by := acting(ctx)
	done, err := s.cfg.Board.Publish(ctx, by, r.Body != nil && r.Body.Emergency)
	if err != nil {
		return nil, err
	}
	return api.Publish201JSONResponse{Sequence: int64(done.Sequence), LogSize: done.LogSize, Waiting: done.Waiting}, nil //nolint:gosec // counts one by one
}

func (s *Server) agencyOf(a network.Agency) api.Agency {
	state := api.AgencyState("active")
	if a.Suspended {
		state = "suspended"
	}
	out := api.Agency{
		ID: a.ID, Name: a.Name, Class: api.AgencyClass(a.Class), Country: a.Country, Desk: a.Desk,
		Since: formatDay(a.Since()), Symbols: verifier.AgencySymbols(s.cfg.Network.ID(), a.ID), Signs: signsOf(a), State: state,
		Partner: a.Partner, Confirms: a.Terms.Confirms,
	}
	for _, q := range a.Terms.Quotas {
		out.Quotas = append(out.Quotas, api.AgencyQuota{Event: q.Event, Cards: q.Cards, Until: q.Until})
	}
	return out
}

// orderedSigns is what an order says that an agency signs. What it leaves out is what
// agencies of the class sign, in words: people agree to what an act says.
func orderedSigns(class api.AgencyClass, o api.AgencySigns) *network.Signs {
	usual := claims.SigningOf(string(class))
	signs := network.Signs{Kinds: []string{}, Level: string(o.Level)}
	if len(o.Kinds) > 0 {
		signs.Kinds = append(signs.Kinds, o.Kinds...)
		return &signs
	}
	for _, kind := range usual.Kinds {
		signs.Kinds = append(signs.Kinds, string(kind))
	}
	signs.Level = cmp.Or(signs.Level, usual.Level)
	return &signs
}

// orderedStates are the states that an order names an agency for, each by its one code.
func orderedStates(codes []api.Country) (states []string) {
	for _, code := range codes {
		states = append(states, claims.State(code))
	}
	slices.Sort(states)
	return slices.Compact(states)
}

// signsOf is what an agency signs, agreed or by its class.
func signsOf(a network.Agency) api.AgencySigns {
	of := claims.SigningOf(string(a.Class))
	if agreed := a.Terms.Signs; agreed != nil {
		of = *claims.NewSigning(agreed.Kinds, agreed.Level)
	}
	signs := api.AgencySigns{Kinds: []api.Kind{}, Level: api.DecisionLevel(of.Level)}
	for _, kind := range of.Kinds {
		signs.Kinds = append(signs.Kinds, api.Kind(kind))
	}
	return signs
}
