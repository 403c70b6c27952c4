package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// Verify judges a card or a credential as a device would, with the same code.
// Whatever was shown, the answer is 200 and a verdict. Nothing is recorded.
func (s *Server) Verify(ctx context.Context, r VerifyRequestObject) (VerifyResponseObject, error) {
	ctx, by := acting(ctx)
	shown, err := presentation(*r.Body)
	if err != nil {
		return nil, err
	}
	pack, err := s.cfg.Board.Pack(ctx)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "no pack to judge with", "cause", err)
	}
	if notReady, ok := errors.AsType[*verifier.NotReadyError](err); ok {
		return encodeVerdict(verifier.NotReadyVerdict(notReady)) // a device gives the reason too
	}
	verdict, err := s.tries.verify(ctx, by.ID, pack, shown, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return encodeVerdict(verdict)
}

// presentation turns the body into what the verifier takes.
func presentation(o VerificationOrder) (verifier.Presentation, error) {
	if (o.Digits == "") == (o.Credential == "") {
		return verifier.Presentation{}, &failure{fault: faultInvalid, problems: []InputProblem{
			{Pointer: "/digits", Code: "inconsistent", Rule: "either digits or credential is given"},
		}}
	}
	p := verifier.Presentation{Text: o.Digits + o.Credential}
	if o.Code != nil {
		code := o.Code.Reveal()
		p.Code = &code
	}
	return p, nil
}

// tries counts wrong codes for each actor, and lets each of them stretch one
// code at a time: a code costs 64 MiB and a seventh of a second.
type tries struct {
	mu    sync.Mutex
	of    map[string]*actorTries
	seats chan struct{} // one for each core
}

type actorTries struct {
	seat    chan struct{}
	wrong   verifier.Tries
	touched time.Time
}

func newTries(cores int) *tries {
	return &tries{of: make(map[string]*actorTries), seats: make(chan struct{}, max(1, cores))}
}

// seatPatience is how long a check waits for its turn.
const seatPatience = 5 * time.Second

func (t *tries) verify(ctx context.Context, actor string, pack *verifier.Pack, shown verifier.Presentation, now time.Time) (verifier.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, seatPatience)
	defer cancel()
	mine := t.find(actor, now)
	// The actor's own seat comes first, so that one actor's queue takes no
	// core from the others.
	for _, seat := range []chan struct{}{mine.seat, t.seats} {
		select {
		case seat <- struct{}{}:
			defer func() { <-seat }()
		case <-ctx.Done():
			return verifier.Verdict{}, &failure{fault: faultBusy, retryAfter: "2"}
		}
	}
	shown.Tries = &mine.wrong
	return pack.Verify(shown, now), nil
}

// find returns an actor's tries, and forgets those of actors who have been
// quiet for longer than any try counts.
func (t *tries) find(actor string, now time.Time) *actorTries {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, a := range t.of {
		if now.Sub(a.touched) > 25*time.Hour {
			delete(t.of, id)
		}
	}
	mine := t.of[actor]
	if mine == nil {
		mine = &actorTries{seat: make(chan struct{}, 1)}
		t.of[actor] = mine
	}
	mine.touched = now
	return mine
}

// revealed is an answer that was encoded by private.RevealJSON, because it
// holds text about a person; the generated code would encode it again.
type revealed []byte

// VisitVerifyResponse writes the answer as it is.
func (r revealed) VisitVerifyResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(r)
	return err
}

func encodeVerdict(v verifier.Verdict) (revealed, error) {
	body, err := private.RevealJSON(v.Show().WithOpenKey())
	if err != nil {
		return nil, fmt.Errorf("encode verdict: %w", err)
	}
	return body, nil
}

// LookUp takes a question about a document number. The answer is one word,
// whether or not there is a record.
func (s *Server) LookUp(ctx context.Context, r LookUpRequestObject) (LookUpResponseObject, error) {
	ctx, by := acting(ctx)
	receipt, err := s.cfg.Vault.LookUp(ctx, by, vault.Query{
		Kind: string(r.Body.Kind), State: r.Body.IssuingState,
		Number: r.Body.DocumentNumber, BirthDate: r.Body.BirthDate,
	})
	if err != nil {
		return nil, err
	}
	return LookUp202JSONResponse{Answer: LookUpAnswerAnswer(receipt)}, nil
}
