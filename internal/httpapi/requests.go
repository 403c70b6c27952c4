package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
)

// ask begins an act of the roster, and answers with the request that it became.
func (s *Server) ask(ctx context.Context, by audit.Actor, do, agency string, what any) (api.AskedJSONResponse, error) {
	q, err := s.cfg.People.Ask(ctx, by, do, agency, what)
	if err != nil {
		return api.AskedJSONResponse{}, err
	}
	out, err := s.requestOf(ctx, by, q)
	return api.AskedJSONResponse{Request: out}, err
}

// askSealed is ask for an act that has the digest of an order, in the name of the
// asker's own agency.
func (s *Server) askSealed(ctx context.Context, by audit.Actor, do string, what any, sealed []byte) (api.AskedJSONResponse, error) {
	q, err := s.cfg.People.AskSealed(ctx, by, do, by.Agency, what, sealed)
	if err != nil {
		return api.AskedJSONResponse{}, err
	}
	out, err := s.requestOf(ctx, by, q)
	// The answer is kept for a request that comes again, and says nothing about
	// anybody: the order is read where the request is.
	out.Lines = slices.DeleteFunc(out.Lines, func(l api.ActLine) bool { return strings.HasPrefix(l.At, "order.") })
	return api.AskedJSONResponse{Request: out}, err
}

// requestOf is a request as somebody sees it who may.
func (s *Server) requestOf(ctx context.Context, by audit.Actor, q people.Request) (api.Request, error) {
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return api.Request{}, err
	}
	lines, err := s.linesOfRequest(ctx, q)
	if err != nil {
		return api.Request{}, err
	}
	out := api.Request{
		ID: q.Act.ID, Do: q.Act.Do, Agency: q.Act.Agency, State: api.RequestState(q.State), Lines: lines,
		Expires: time.Unix(q.Act.Expires, 0).UTC(), Agreed: agreedBy(q.Proofs), Change: int64(q.Change), //nolint:gosec // counts one by one
	}
	if needs, err := state.Needs(q.Act); err == nil {
		out.People, out.Apart, out.Delayed, out.Root = needs.People, needs.Apart, needs.Delay, needs.Root
	}
	if q.State == people.Done && (q.Act.Do == roster.DoIssue || q.Act.Do == roster.DoCard) {
		signed, err := s.cfg.Issuer.Decided(ctx, q.Act)
		if err != nil {
			return api.Request{}, err
		}
		if q.Act.Do == roster.DoCard {
			out.CardID = api.ID(signed)
		} else {
			out.Attestation = api.ID(signed)
		}
	}
	if i := slices.IndexFunc(state.Waiting, func(w roster.Waiting) bool { return w.Seq == q.Change }); i >= 0 {
		out.Counts = time.Unix(state.Waiting[i].Counts, 0).UTC()
	}
	if out.State == api.RequestStateWaits && q.Act.Over(s.cfg.Now()) {
		out.State = api.RequestStateOver
	}
	if out.State == api.RequestStateWaits && state.Spent(q.Act, out.Agreed) {
		out.State = api.RequestStateAskAgain
	}
	if out.State == api.RequestStateWaits {
		who := slices.DeleteFunc(state.Who(q.Act), func(p roster.Person) bool {
			return !slices.Contains(out.Agreed, p.ID) && !state.Counts(q.Act, out.Agreed, p.ID)
		})
		out.Who, out.Others = whoAgrees(by, who, out.Agreed)
	}
	out.Mine = out.State == api.RequestStateWaits && state.Counts(q.Act, out.Agreed, by.ID)
	if out.Mine {
		if out.Options, err = s.agreeing(q.Act, state.People[by.ID].Credentials); err != nil {
			return api.Request{}, err
		}
	}
	return out, nil
}

// linesOfRequest are all that a request says: of what is signed the order, too, which
// the act has the digest of. To its second person it is open for as long as it waits.
func (s *Server) linesOfRequest(ctx context.Context, q people.Request) ([]api.ActLine, error) {
	lines, err := linesOf(q.Act)
	if err != nil || q.State == people.Withdrawn || q.State == people.Done {
		return lines, err
	}
	order, err := s.orderOf(ctx, q)
	if err != nil || order == nil {
		return lines, err
	}
	more, err := approval.LinesOf("order", order)
	if err != nil {
		return nil, err
	}
	return append(lines, asLines(more)...), nil
}

// orderOf is the order that an act has the digest of; nil if it has none.
func (s *Server) orderOf(ctx context.Context, q people.Request) ([]byte, error) {
	asker := audit.Actor{ID: q.Act.By, Agency: q.Act.Agency}
	switch q.Act.Do {
	case roster.DoIssue, roster.DoCard, roster.DoResume:
		return s.cfg.Issuer.Proposed(ctx, asker, q.Act, q.Sealed)
	case roster.DoLookUp:
		var l roster.LookUp
		if err := q.Act.Read(&l); err != nil {
			return nil, err
		}
		return s.cfg.Vault.Proposed(ctx, asker, l.Order, q.Sealed)
	default:
		return nil, nil
	}
}

// linesOf are all that an act says.
func linesOf(act approval.Act) ([]api.ActLine, error) {
	lines, err := act.Lines()
	if err != nil {
		return nil, err
	}
	return asLines(lines), nil
}

func asLines(lines []approval.Line) []api.ActLine {
	out := make([]api.ActLine, len(lines))
	for i, l := range lines {
		out[i] = api.ActLine{At: l.At, Value: l.Value.Reveal()}
	}
	return out
}

// manyWho is how many of those who may agree are named.
const manyWho = 30

// whoAgrees are those whose agreement counts, those first who have agreed, who are of
// one's own agency, and who run the network. others is how many more there are.
func whoAgrees(by audit.Actor, who []roster.Person, agreed []api.ID) (named []api.Agreeing, others int) {
	rank := func(p roster.Person) int {
		switch {
		case slices.Contains(agreed, p.ID):
			return 0
		case p.Agency == by.Agency:
			return 1
		case p.Agency == "":
			return 2
		default:
			return 3
		}
	}
	slices.SortStableFunc(who, func(a, b roster.Person) int { return rank(a) - rank(b) })
	for _, p := range who[:min(len(who), manyWho)] {
		named = append(named, agreeingFor(by, p, agreed))
	}
	return named, max(0, len(who)-manyWho)
}

// agreeingFor is one of them. The agency is for everybody, the handle for whoever may
// list her.
func agreeingFor(by audit.Actor, p roster.Person, agreed []api.ID) api.Agreeing {
	one := api.Agreeing{ID: p.ID, Agency: p.Agency, Agreed: slices.Contains(agreed, p.ID)}
	if people.MayFor(by, people.MemberManage, p.Agency) == nil {
		one.Handle = p.Handle
	}
	return one
}

// whoMade are those behind a change that waits: who asked for it, and who has agreed.
// Whoever is to stop it has to know whether they are all of one place.
func whoMade(by audit.Actor, s roster.State, w roster.Waiting) []api.Agreeing {
	made := []api.Agreeing{}
	for _, id := range append([]string{w.Act.By}, w.By...) {
		p, known := s.People[id]
		if known && !slices.ContainsFunc(made, func(a api.Agreeing) bool { return a.ID == id }) {
			made = append(made, agreeingFor(by, p, w.By))
		}
	}
	return made
}

// agreeing asks a browser for an assertion over an act, by one of these passkeys.
func (s *Server) agreeing(act approval.Act, keys []roster.Credential) (json.RawMessage, error) {
	challenge, err := act.Challenge()
	if err != nil {
		return nil, err
	}
	var allow []passkey.Credential
	for _, k := range keys {
		allow = append(allow, passkey.Known(k))
	}
	return s.cfg.Passkeys.RequestOptions(challenge[:], allow)
}

// ListRequests lists what waits for somebody, what she asked for, and what was done that
// she is told of.
func (s *Server) ListRequests(ctx context.Context, _ api.ListRequestsRequestObject) (api.ListRequestsResponseObject, error) {
	ctx, by := acting(ctx)
	all, err := s.cfg.People.Waiting(ctx, by)
	if err != nil {
		return nil, err
	}
	told, err := s.cfg.People.Told(ctx, by)
	if err != nil {
		return nil, err
	}
	list := api.RequestList{Requests: []api.Request{}}
	for _, q := range append(all, told...) {
		concerns, err := s.concerns(ctx, by, q)
		if err != nil {
			return nil, err
		}
		if !concerns {
			continue
		}
		out, err := s.requestOf(ctx, by, q)
		switch {
		case errors.Is(err, credentials.ErrNotFound) || errors.Is(err, vault.ErrNotFound):
			continue // its case was erased
		case err != nil:
			return nil, err
		}
		list.Requests = append(list.Requests, out)
	}
	return api.ListRequests200JSONResponse(list), nil
}

// ReadRequest tells what is asked, and what has become of it.
func (s *Server) ReadRequest(ctx context.Context, r api.ReadRequestRequestObject) (api.ReadRequestResponseObject, error) {
	ctx, by := acting(ctx)
	q, err := s.request(ctx, by, r.Act)
	if err != nil {
		return nil, err
	}
	out, err := s.requestOf(ctx, by, q)
	if err != nil {
		return nil, err
	}
	return api.ReadRequest200JSONResponse(out), nil
}

// WithdrawRequest ends a request that nobody is to agree to any more.
func (s *Server) WithdrawRequest(ctx context.Context, r api.WithdrawRequestRequestObject) (api.WithdrawRequestResponseObject, error) {
	ctx, by := acting(ctx)
	if _, err := s.request(ctx, by, r.Act); err != nil {
		return nil, err
	}
	if err := s.cfg.People.Withdraw(ctx, by, r.Act); err != nil {
		return nil, err
	}
	return api.WithdrawRequest204Response{}, nil
}

// Agree adds somebody's approval. What was asked is done with the last one.
func (s *Server) Agree(ctx context.Context, r api.AgreeRequestObject) (api.AgreeResponseObject, error) {
	ctx, by := acting(ctx)
	a, err := passkey.ReadAssertion(r.Body.Response)
	if err != nil {
		return nil, fail(faultApproval)
	}
	if _, err := s.request(ctx, by, r.Act); err != nil {
		return nil, err
	}
	q, err := s.cfg.People.Agree(ctx, by, r.Act, a.Proof(by.ID))
	if err != nil {
		return nil, err
	}
	var done made
	switch q.State {
	case people.Agreed:
		if q, done, err = s.decide(ctx, by, q); err != nil {
			return nil, err
		}
	case people.Done:
		if err := s.follow(context.WithoutCancel(ctx), by, q.Act); err != nil {
			return nil, err
		}
	}
	out, err := s.requestOf(ctx, by, q)
	if err != nil {
		return nil, err
	}
	out.Card, out.Erased = done.card, done.erased
	return api.Agree200JSONResponse(out), nil
}

// made is what an act became, as far as it is told once.
type made struct {
	card   api.Card
	erased api.Erased
}

// decide does what enough people have agreed to. It is repeated without harm, by each of
// them.
func (s *Server) decide(ctx context.Context, by audit.Actor, q people.Request) (_ people.Request, done made, err error) {
	ctx = context.WithoutCancel(ctx) // what was agreed to is not half done
	// The rooms that sign ask this themselves.
	if err := s.cfg.People.Holds(ctx, q.Act, q.Proofs); err != nil {
		return q, made{}, err
	}
	asker, err := s.asker(ctx, q)
	if err != nil {
		return q, made{}, err
	}
	agreed := credentials.Approval{Act: q.Act, Proofs: q.Proofs}
	switch q.Act.Do {
	case roster.DoIssue:
		err = s.decideAttestation(ctx, asker, agreed, q.Sealed)
	case roster.DoCard:
		done.card, err = s.decideCard(ctx, asker, agreed, q.Sealed)
	case roster.DoResume:
		_, err = s.cfg.Issuer.DecideReturn(ctx, asker, agreed, q.Sealed)
	case roster.DoErase:
		var e roster.Erase
		if err = q.Act.Read(&e); err == nil {
			done.erased, err = s.erase(ctx, asker, e.Case)
		}
	case roster.DoLookUp:
		var l roster.LookUp
		if err = q.Act.Read(&l); err == nil {
			_, err = s.cfg.Vault.DecideLookUp(ctx, asker, l.Order, q.Sealed)
		}
	case roster.DoOpen:
		err = s.tellOpened(ctx, asker, agreed)
	case roster.DoAgain:
		err = s.tellAgain(ctx, by, q.Act)
	case roster.DoShare:
		err = s.shareAgreed(ctx, asker, agreed, q.Sealed)
	default:
		err = people.ErrConflict
	}
	if err != nil {
		return q, made{}, err
	}
	if err := s.cfg.People.Finish(ctx, q); err != nil {
		return q, made{}, err
	}
	q.State = people.Done
	return q, done, nil
}

// agreedBy are the people who have agreed to an act.
func agreedBy(proofs []approval.Proof) []string {
	ids := make([]string, len(proofs))
	for i, p := range proofs {
		ids[i] = p.Person
	}
	return ids
}

// asker is who asked for an act, as what he is now: whose case it is hangs on that. Who
// has gone meanwhile has no role, and no case but those that were given to him.
func (s *Server) asker(ctx context.Context, q people.Request) (audit.Actor, error) {
	by, here, err := s.cfg.People.Present(ctx, q.Act.By)
	if err != nil {
		return audit.Actor{}, err
	}
	if !here {
		by.Role = ""
	}
	return audit.Actor{ID: q.Act.By, Agency: q.Act.Agency, Role: by.Role}, nil
}

func (s *Server) decideAttestation(ctx context.Context, asker audit.Actor, agreed credentials.Approval, sealed []byte) error {
	a, stated, err := s.cfg.Issuer.Decide(ctx, asker, agreed, sealed)
	if err != nil {
		return err
	}
	return s.missionAnswered(ctx, asker, a.Issued, stated)
}

// decideCard makes the card. Who agreed again after it was made gets none: its code was
// shown, or is lost, and a new card takes its place.
func (s *Server) decideCard(ctx context.Context, asker audit.Actor, agreed credentials.Approval, sealed []byte) (api.Card, error) {
	made, err := s.cfg.Issuer.DecideCard(ctx, asker, agreed, sealed)
	switch {
	case errors.Is(err, credentials.ErrCodeShown):
		return api.Card{}, nil
	case err != nil:
		return api.Card{}, err
	}
	return drawn(made)
}

// follow does at once what follows from a change of the roster, where it is more than
// the next look at it. What counts later is followed when lists are published.
func (s *Server) follow(ctx context.Context, by audit.Actor, act approval.Act) error {
	if act.Do == roster.DoLock {
		return nil // nothing follows any more
	}
	// What was written while the log has stopped only takes away. The roster is enough for
	// that, and the next publication does the rest.
	if err := s.cfg.Network.Adopt(ctx); err != nil && !errors.Is(err, audit.ErrStopped) {
		return err
	}
	switch act.Do {
	case roster.DoSuspendAgency, roster.DoResumeAgency, roster.DoChangeAgency:
		if _, err := s.cfg.Issuer.Reconsider(ctx, by, idIn(act)); !errors.Is(err, audit.ErrStopped) {
			return err
		}
		return nil
	case roster.DoNewKey:
		// Names and signs with the new key at once. What goes wrong is done by the next
		// window.
		_, err := s.cfg.Board.Publish(ctx, by, false)
		return err
	case roster.DoCompromisedAgency:
		return s.cfg.TakeKeysOff(ctx, idIn(act))
	case roster.DoRemovePerson, roster.DoSignOut, roster.DoRecoverPerson, roster.DoChangePerson:
		return s.cfg.Sessions.EndAll(ctx, idIn(act))
	default:
		return nil
	}
}

// idIn is whom or what an act is about.
func idIn(act approval.Act) string {
	var what struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(act.What, &what) // an act that was done has been read strictly
	return what.ID
}

// LockNetwork asks to lock the network. Whoever asks is enough to agree.
func (s *Server) LockNetwork(ctx context.Context, _ api.LockNetworkRequestObject) (api.LockNetworkResponseObject, error) {
	ctx, by := acting(ctx)
	out, err := s.ask(ctx, by, roster.DoLock, "", &roster.Lock{})
	if err != nil {
		return nil, err
	}
	return api.LockNetwork202JSONResponse{AskedJSONResponse: out}, nil
}

// ListChanges lists what was agreed to and does not count yet, for whoever may stop
// it.
func (s *Server) ListChanges(ctx context.Context, _ api.ListChangesRequestObject) (api.ListChangesResponseObject, error) {
	ctx, by := acting(ctx)
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	list := api.ChangeList{Changes: []api.WaitingChange{}}
	for _, w := range state.Waiting {
		sees, mine := s.cfg.People.SeesChange(state, by, w)
		if !sees {
			continue
		}
		lines, err := linesOf(w.Act)
		if err != nil {
			return nil, err
		}
		list.Changes = append(list.Changes, api.WaitingChange{
			Change: int64(w.Seq), Do: w.Act.Do, Agency: w.Act.Agency, Lines: lines, //nolint:gosec // counts one by one
			Counts: time.Unix(w.Counts, 0).UTC(), Agreed: w.By, Who: whoMade(by, state, w), Mine: mine,
		})
	}
	return api.ListChanges200JSONResponse(list), nil
}

// StopChange asks to stop one.
func (s *Server) StopChange(ctx context.Context, r api.StopChangeRequestObject) (api.StopChangeResponseObject, error) {
	ctx, by := acting(ctx)
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	seq := uint64(r.Change) //nolint:gosec // the contract bounds it
	i := slices.IndexFunc(state.Waiting, func(w roster.Waiting) bool { return w.Seq == seq })
	if i < 0 {
		return nil, people.ErrNotFound
	}
	if _, stops := s.cfg.People.SeesChange(state, by, state.Waiting[i]); !stops {
		return nil, people.ErrNotFound
	}
	out, err := s.ask(ctx, by, roster.DoStop, state.Waiting[i].Act.Agency, &roster.Stop{Seq: seq})
	if err != nil {
		return nil, err
	}
	return api.StopChange202JSONResponse{AskedJSONResponse: out}, nil
}

// ReadFounding tells whether the network is being founded.
func (s *Server) ReadFounding(ctx context.Context, _ api.ReadFoundingRequestObject) (api.ReadFoundingResponseObject, error) {
	ctx, _ = acting(ctx)
	state, err := s.cfg.People.State(ctx)
	if err != nil {
		return nil, err
	}
	if !state.Founding(s.cfg.Now().Unix()) {
		return api.ReadFounding200JSONResponse{}, nil
	}
	return api.ReadFounding200JSONResponse{Open: true, Until: time.Unix(state.FoundingUntil, 0).UTC()}, nil
}

// CloseFounding asks to end the founding.
func (s *Server) CloseFounding(ctx context.Context, _ api.CloseFoundingRequestObject) (api.CloseFoundingResponseObject, error) {
	ctx, by := acting(ctx)
	out, err := s.ask(ctx, by, roster.DoCloseFounding, "", &roster.CloseFounding{})
	if err != nil {
		return nil, err
	}
	return api.CloseFounding202JSONResponse{AskedJSONResponse: out}, nil
}
