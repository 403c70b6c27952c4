package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// While a network is locked, what is public is served, and the page on which two people
// open it again. They need no session: each shows a passkey over one act, and both are
// held against the roster, which proves itself. Nothing of it is kept here. Who agreed
// first hands on what her passkey answered, so that the second may be anywhere, and ask
// any replica.

// Lock is a network that is locked, as those see it who open it.
type Lock interface {
	// ID is what an act that opens it has to name.
	ID() string
	// Roster is the roster, read without any key, and what its people sign with.
	Roster(ctx context.Context) (*people.Roster, *passkey.RelyingParty, error)
	// Open hands over what opens it. The process ends soon afterwards.
	Open(ctx context.Context, act approval.Act, proofs []approval.Proof) error
}

// pageOfPeople is where people sign in, and pageOfLock where they go instead.
const (
	pageOfPeople = "/admin"
	pageOfLock   = "/unlock"
)

// refuseLocked answers nothing of a locked network but what the contract says is
// answered then.
func (s *Server) refuseLocked(c *gin.Context) {
	switch o := op(c); {
	case s.cfg.Lock == nil || o != nil && o.locked:
		c.Next()
	case c.FullPath() == pageOfPeople && !changes(c.Request.Method):
		c.Redirect(http.StatusTemporaryRedirect, pageOfLock)
		c.Abort()
	default:
		s.refuse(c, roster.ErrLocked)
	}
}

// BeginUnlock makes the act that opens the network, or shows the one that somebody has
// signed already.
func (s *Server) BeginUnlock(ctx context.Context, r api.BeginUnlockRequestObject) (api.BeginUnlockResponseObject, error) {
	ctx, _ = acting(ctx)
	if s.cfg.Lock == nil {
		return nil, s.notShut(ctx)
	}
	all, passkeys, err := s.cfg.Lock.Roster(ctx)
	if err != nil {
		return nil, err
	}
	var act approval.Act
	if r.Body.Act == "" {
		act, err = all.UnlockAct(ctx, s.cfg.Lock.ID())
	} else {
		act, err = all.ReadUnlock(ctx, s.cfg.Lock.ID(), []byte(r.Body.Act))
	}
	if err != nil {
		return nil, err
	}
	lines, err := linesOf(act)
	if err != nil {
		return nil, err
	}
	data, err := act.Bytes()
	if err != nil {
		return nil, err
	}
	challenge, err := act.Challenge()
	if err != nil {
		return nil, err
	}
	// Which passkeys could sign it is told to nobody: each knows by itself.
	options, err := passkeys.RequestOptions(challenge[:], nil)
	if err != nil {
		return nil, err
	}
	return api.BeginUnlock200JSONResponse{Act: string(data), Lines: lines, Options: options}, nil
}

// notShut is what a process with keys answers to whoever would open the network: that it
// is open, or that this process is about to end.
func (s *Server) notShut(ctx context.Context) error {
	switch lock, err := s.cfg.People.Locked(ctx); {
	case err != nil:
		return err
	case lock != "":
		return roster.ErrLocked
	default:
		return fail(faultConflict)
	}
}

// UnlockNetwork judges one answer, or two, and hands over what opens the network.
func (s *Server) UnlockNetwork(ctx context.Context, r api.UnlockNetworkRequestObject) (api.UnlockNetworkResponseObject, error) {
	ctx, _ = acting(ctx)
	if s.cfg.Lock == nil {
		return nil, s.notShut(ctx)
	}
	all, _, err := s.cfg.Lock.Roster(ctx)
	if err != nil {
		return nil, err
	}
	act, err := all.ReadUnlock(ctx, s.cfg.Lock.ID(), []byte(r.Body.Act))
	if err != nil {
		return nil, err
	}
	state, err := all.State(ctx)
	if err != nil {
		return nil, err
	}
	var proofs []approval.Proof
	for _, response := range r.Body.Responses {
		a, err := passkey.ReadAssertion(response)
		if err != nil {
			return nil, fail(faultApproval)
		}
		who, _, ok := state.Holder(a.Credential)
		if !ok {
			return nil, fail(faultApproval)
		}
		proofs = append(proofs, a.Proof(who.ID))
	}
	needs, enough, err := all.Unlocking(ctx, act, proofs)
	if err != nil {
		return nil, unlessOurs(err, faultApproval)
	}
	if enough {
		if err := s.cfg.Lock.Open(ctx, act, proofs); err != nil {
			return nil, err
		}
	}
	return api.UnlockNetwork200JSONResponse{Open: enough, Agreed: len(proofs), People: needs.People, Root: needs.Root}, nil
}
