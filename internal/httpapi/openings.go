package httpapi

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
)

// ChallengeOpening gives a nonce, and names the records that may be opened with
// the card: what was shared of its case with the actor's agency.
func (s *Server) ChallengeOpening(asked context.Context, r api.ChallengeOpeningRequestObject) (api.ChallengeOpeningResponseObject, error) {
	ctx, by := acting(asked)
	card, err := s.cardOf(ctx, r.Body.CardHandle)
	if err != nil {
		return nil, err
	}
	records, err := s.openable(ctx, by, card.Case)
	if err != nil {
		return nil, err
	}
	c, err := s.cfg.Vault.Challenge(ctx, by)
	if err != nil {
		return nil, err
	}
	tellsAbout(asked, card.Case)
	return api.ChallengeOpening201JSONResponse{Nonce: c.Nonce, Expires: formatTime(c.Expires), Records: records}, nil
}

// OpenRecord opens a record with a signature that only the card and the holder's code
// together can make.
func (s *Server) OpenRecord(asked context.Context, r api.OpenRecordRequestObject) (api.OpenRecordResponseObject, error) {
	ctx, by := acting(asked)
	card, err := s.cardOf(ctx, r.Body.CardHandle)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(r.Body.Signature)
	if err != nil {
		return nil, vault.ErrSignature
	}
	opening := vault.Opening{
		Nonce: r.Body.Nonce, Device: r.Body.Device, Record: r.Body.Record, Purpose: vault.Purpose(r.Body.Purpose),
		Parts: partsOf(r.Body.Parts), Minute: r.Body.Minute, Signature: signature,
	}
	// The card must be of the case that the record belongs to, or a holder
	// could be made to open somebody else's.
	records, err := s.openable(ctx, by, card.Case)
	if err != nil {
		return nil, err
	}
	from := vault.Card{ID: string(card.ID), OpenKey: card.Card.OpenKey}
	if !slices.Contains(records, opening.Record) && (len(records) == 0 || opening.Record != card.Case) {
		from.OpenKey = nil // the nonce is spent and the try is refused like a bad signature
	}
	expires, err := s.cfg.Vault.OpenRecord(ctx, by, opening, from)
	if err != nil {
		return nil, err
	}
	tellsAbout(asked, card.Case)
	return api.OpenRecord201JSONResponse{OpenedJSONResponse: openedUntil(expires)}, nil
}

// OpenByCode opens a record with number and code, which are proven here.
func (s *Server) OpenByCode(asked context.Context, r api.OpenByCodeRequestObject) (api.OpenByCodeResponseObject, error) {
	ctx, by := acting(asked)
	caseID, _, err := s.cfg.Vault.Shared(ctx, by, r.Body.Record)
	if err != nil {
		return nil, err
	}
	challenge, err := s.cfg.Vault.Challenge(ctx, by)
	if err != nil {
		return nil, err
	}
	opening := vault.Opening{
		Nonce: challenge.Nonce, Record: r.Body.Record, Purpose: vault.Purpose(r.Body.Purpose), Parts: partsOf(r.Body.Parts),
		Minute: s.cfg.Now().Unix() / 60,
	}
	proof, err := s.proven(ctx, by, caseID, r.Body.Number, r.Body.Code, vault.OpeningMessage(opening, by.Agency))
	if err != nil {
		return nil, err
	}
	opening.Signature = proof.Signature
	expires, err := s.cfg.Vault.OpenByCode(ctx, by, opening, vault.Card{ID: string(proof.Card), OpenKey: proof.OpenKey})
	if err != nil {
		return nil, err
	}
	tellsAbout(asked, caseID)
	return api.OpenByCode201JSONResponse{OpenedJSONResponse: openedUntil(expires)}, nil
}

func openedUntil(t time.Time) api.OpenedJSONResponse {
	return api.OpenedJSONResponse{Expires: formatTime(t)}
}

// OpenLeft takes a reading that the holder left for the agency. The contract lets people
// alone come here.
func (s *Server) OpenLeft(asked context.Context, r api.OpenLeftRequestObject) (api.OpenLeftResponseObject, error) {
	ctx, by := acting(asked)
	caseID, _, err := s.cfg.Vault.Shared(ctx, by, r.Body.Record)
	if err != nil {
		return nil, err
	}
	expires, err := s.cfg.Vault.OpenLeft(ctx, by, vault.Opening{
		Record: r.Body.Record, Purpose: vault.Purpose(r.Body.Purpose), Parts: partsOf(r.Body.Parts),
	})
	if err != nil {
		return nil, err
	}
	tellsAbout(asked, caseID)
	return api.OpenLeft201JSONResponse{OpenedJSONResponse: openedUntil(expires)}, nil
}

// OpenAgain asks the agency that keeps a record whether it may be opened once more today:
// when it no longer may, and one at a time.
func (s *Server) OpenAgain(ctx context.Context, r api.OpenAgainRequestObject) (api.OpenAgainResponseObject, error) {
	ctx, by := acting(ctx)
	caseID, keeper, err := s.cfg.Vault.AskAgain(ctx, by, r.Body.Record)
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoAgain, keeper, &roster.Again{Case: caseID, Record: r.Body.Record, Reader: by.Agency})
	if err != nil {
		return nil, err
	}
	return api.OpenAgain202JSONResponse{AskedJSONResponse: out}, nil
}

// tellAgain says in the holder's history that her record may be opened once more.
func (s *Server) tellAgain(ctx context.Context, by audit.Actor, act approval.Act) error {
	var a roster.Again
	if err := act.Read(&a); err != nil {
		return err
	}
	return s.cfg.Vault.TellAgain(ctx, by, a.Record, a.Reader, act.By)
}

// OpenWithoutHolder asks two people of the agency to agree that a record which is shared
// with it is open to the asker for a quarter of an hour, without the holder's code.
func (s *Server) OpenWithoutHolder(ctx context.Context, r api.OpenWithoutHolderRequestObject) (api.OpenWithoutHolderResponseObject, error) {
	ctx, by := acting(ctx)
	caseID, keeper, err := s.cfg.Vault.Shared(ctx, by, r.Body.Record)
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoOpen, by.Agency, &roster.Open{
		Case: caseID, Record: r.Body.Record, Keeper: keeper, Purpose: string(r.Body.Purpose),
	})
	if err == nil {
		err = s.cfg.Vault.AskByTwo(ctx, by, r.Body.Record, out.Request.ID)
	}
	if err != nil {
		return nil, err
	}
	return api.OpenWithoutHolder202JSONResponse{AskedJSONResponse: out}, nil
}

// tellOpened says in the holder's history that a record is open without her, before it
// is, and in the service's log that there is something to look at.
func (s *Server) tellOpened(ctx context.Context, asker audit.Actor, agreed credentials.Approval) error {
	var o roster.Open
	if err := agreed.Act.Read(&o); err != nil {
		return err
	}
	if err := s.cfg.Vault.TellOpened(ctx, asker, o.Record, vault.Purpose(o.Purpose), agreedBy(agreed.Proofs)); err != nil {
		return err
	}
	s.cfg.Log.WarnContext(ctx, "a record was opened without its holder, by two")
	return nil
}

// cardOf finds the card in use with a handle. Whoever knows a handle has
// opened the card; a card that is no longer in use opens nothing.
func (s *Server) cardOf(ctx context.Context, handle api.CardHandle) (credentials.Issued, error) {
	h, err := parseHandle(handle)
	if err != nil {
		return credentials.Issued{}, err
	}
	card, err := s.cfg.Issuer.CardByHandle(ctx, h)
	if err == nil && card.Card == nil {
		return credentials.Issued{}, credentials.ErrNotFound
	}
	return card, err
}

// openable lists the records of a case that are shared with the actor's agency.
func (s *Server) openable(ctx context.Context, by audit.Actor, caseID string) ([]api.ID, error) {
	shared, err := s.cfg.Vault.SharedIn(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	records := []api.ID{}
	for _, g := range shared {
		records = append(records, g.Record)
	}
	return records, nil
}

func formatTime(t time.Time) api.Time { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
