package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// Verify judges a card or a credential as a device would, with the same code.
// Whatever was shown, the answer is 200 and a verdict. Nothing is recorded but in which
// hours codes were wrong.
func (s *Server) Verify(c context.Context, r api.VerifyRequestObject) (api.VerifyResponseObject, error) {
	ctx, by := acting(c)
	shown, err := presentation(*r.Body)
	if err != nil {
		return nil, err
	}
	pack, err := s.cfg.Board.Pack(ctx)
	if err != nil {
		s.report(c, slog.LevelWarn, "no pack to judge with", cause(err))
	}
	if notReady, ok := errors.AsType[*verifier.NotReadyError](err); ok {
		return reveal(verifier.NotReadyVerdict(notReady).Show()) // a device gives the reason too
	}
	verdict, err := s.check(ctx, by.ID, pack, shown, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return reveal(s.onlyAllowed(ctx, verdict).Show())
}

// presentation turns the body into what the verifier takes.
func presentation(o api.VerificationOrder) (verifier.Presentation, error) {
	if (o.Digits == "") == (o.Credential == "") {
		return verifier.Presentation{}, inconsistent("/digits", "either digits or credential is given")
	}
	p := verifier.Presentation{Text: o.Digits + o.Credential}
	if o.Code != nil {
		code := o.Code.Reveal()
		p.Code = &code
	}
	return p, nil
}

// maxTried is for how many cards wrong codes of one actor are counted within a
// day. Nobody mistypes so many.
const maxTried = 500

// check judges what was shown. A verdict about a code leaves only after the count was
// written down, which is done alike after a right code and a wrong one; and when another
// process has counted one in the meantime, the code is judged again under what is left
// then.
func (s *Server) check(ctx context.Context, actor string, pack *verifier.Pack, shown verifier.Presentation, now time.Time) (verifier.Verdict, error) {
	leave, err := s.seats.take(ctx, actor, now)
	if err != nil {
		return verifier.Verdict{}, err
	}
	defer leave()
	var verdict verifier.Verdict
	var before, wrong verifier.Tries
	for judged := false; ; judged = true {
		began, err := s.tries.read(ctx, actor, now)
		if err != nil {
			return verifier.Verdict{}, err
		}
		if shown.Code != nil && len(began.wrong.Hours) >= maxTried {
			return verifier.Verdict{}, fail(faultTooMany)
		}
		if !judged || !began.wrong.Equal(before) {
			before, wrong = began.wrong, began.wrong.Merge(verifier.Tries{}, now) // a copy
			shown.Tries = &wrong
			verdict = pack.Verify(shown, now)
		}
		if shown.Code == nil {
			return verdict, nil
		}
		if ok, err := s.tries.write(ctx, actor, began, wrong, now); ok || err != nil {
			return verdict, err
		}
	}
}

// proven is the one way in which a holder's number and code are proven at a desk, for all
// operations that take them: one stretch in the asker's own seat, wrong codes counted by
// asker, agency and number, and credentials.ErrCode for everything else than a card of hers in use, of that
// case where one is named. message is what her card signs.
func (s *Server) proven(ctx context.Context, by audit.Actor, caseID string, number, code private.String, message []byte) (credentials.Proof, error) {
	leave, err := s.seats.take(ctx, by.ID, s.cfg.Now())
	if err != nil {
		return credentials.Proof{}, err
	}
	defer leave()
	return s.cfg.Issuer.Prove(ctx, by, caseID, number, code, message)
}

// AskPaper tells whoever has number and code of a card whether it is in use.
func (s *Server) AskPaper(ctx context.Context, r api.AskPaperRequestObject) (api.AskPaperResponseObject, error) {
	ctx, _ = acting(ctx)
	answer, err := s.cfg.Issuer.Paper(ctx, r.Body.Number, r.Body.Code)
	if err != nil {
		return nil, err
	}
	return paperAnswer{Answer: api.PaperAnswerAnswer(answer), Desk: s.cfg.Network.Desk()}, nil
}

// paperAnswer is an answer of one length, whichever of the words it is: who sees that
// there is an answer doesn't see which.
type paperAnswer api.PaperAnswer

// VisitAskPaperResponse writes the answer, and spaces behind it as if it were the longest.
func (p paperAnswer) VisitAskPaperResponse(w http.ResponseWriter) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	missing := len(credentials.PaperNotInUse) - len(p.Answer)
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(append(body, strings.Repeat(" ", missing)+"\n"...))
	return err
}

// revealed is an answer that was encoded by private.RevealJSON, because it
// holds text about a person; the generated code would encode it again.
type revealed []byte

func reveal(answer any) (revealed, error) {
	body, err := private.RevealJSON(answer)
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	return body, nil
}

// write writes the answer as it is.
func (r revealed) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(r)
	return err
}

// VisitVerifyResponse writes a verdict.
func (r revealed) VisitVerifyResponse(w http.ResponseWriter) error { return r.write(w) }

// VisitListConsentsResponse writes what a holder said, with the names of witnesses.
func (r revealed) VisitListConsentsResponse(w http.ResponseWriter) error { return r.write(w) }

// LookUp takes a question about a document number, to which two people of the agency
// agree. What becomes of it says nothing of whether there is a record.
func (s *Server) LookUp(ctx context.Context, r api.LookUpRequestObject) (api.LookUpResponseObject, error) {
	ctx, by := acting(ctx)
	digest, sealed, err := s.cfg.Vault.ProposeLookUp(ctx, by, vault.Query{
		Kind: string(r.Body.Kind), State: r.Body.IssuingState,
		Number: r.Body.DocumentNumber, BirthDate: r.Body.BirthDate,
	})
	if err != nil {
		return nil, err
	}
	out, err := s.askSealed(ctx, by, roster.DoLookUp, &roster.LookUp{Order: digest}, sealed)
	if err != nil {
		return nil, err
	}
	return api.LookUp202JSONResponse{AskedJSONResponse: out}, nil
}
