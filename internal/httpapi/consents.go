package httpapi

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// AskConsent has the text to read to a holder, and a nonce for her answer.
func (s *Server) AskConsent(c context.Context, r api.AskConsentRequestObject) (api.AskConsentResponseObject, error) {
	ctx, by := acting(c)
	caseID, err := s.cfg.Vault.CaseOf(ctx, by, r.Body.Record)
	if err == nil && caseID != r.Case {
		err = vault.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	ask, err := s.askOf(ctx, by, r.Body.Record, *r.Body)
	if err != nil {
		return nil, err
	}
	q, err := s.cfg.Vault.AskConsent(ctx, by, ask)
	if err != nil {
		return nil, err
	}
	tellsAbout(c, caseID)
	out := api.AskConsent201JSONResponse{
		Nonce: q.Nonce, Expires: formatTime(q.Expires), Text: q.Text, TextLanguage: q.Language, TextSha256: hexOf(q.SHA256[:]), OwnState: q.OwnState,
	}
	for _, n := range q.Needs {
		out.Needs = append(out.Needs, api.ConsentChallengeNeeds(n))
	}
	return out, nil
}

// askOf is a question as the vault knows it, with the names that the holder knows.
func (s *Server) askOf(ctx context.Context, by audit.Actor, record api.ID, q api.ConsentQuestion) (vault.Ask, error) {
	until, err := parseDay("/until", q.Until)
	if err != nil {
		return vault.Ask{}, err
	}
	keeper, err := s.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return vault.Ask{}, err
	}
	to, err := s.cfg.Network.Agency(ctx, q.Agency)
	if err != nil {
		return vault.Ask{}, err
	}
	return vault.Ask{
		Record: record, Agency: q.Agency, Purpose: vault.Purpose(q.Purpose), Parts: partsOf(q.Parts), Readings: q.Readings, Until: until,
		Language: q.Language, Circumstance: string(q.Circumstance), Keeper: keeper.Name, To: to.Name,
	}, nil
}

// proves is how a holder's word is shown to be hers: by number and code of a card, or by
// what a device signed that read one.
func (s *Server) proves(by audit.Actor, caseID string, p api.ConsentProof) (vault.Prove, error) {
	typed := !p.Number.IsZero() || !p.Code.IsZero()
	read := p.CardHandle != "" || p.Device != "" || p.Minute != 0 || p.Signature != ""
	switch {
	case typed == read:
		return nil, inconsistent("/proof", "either number and code are given, or what a device signed")
	case typed:
		return func(ctx context.Context, message []byte) (vault.Proof, error) {
			given, err := s.proven(ctx, by, caseID, p.Number, p.Code, message)
			return vault.Proof{Card: string(given.Card), OpenKey: given.OpenKey, Signature: given.Signature}, err
		}, nil
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(p.Signature)
	if err != nil {
		return nil, vault.ErrSignature
	}
	return func(ctx context.Context, _ []byte) (vault.Proof, error) {
		card, err := s.cardOf(ctx, p.CardHandle)
		if err != nil {
			return vault.Proof{}, err
		}
		let, err := s.cfg.People.Admitted(ctx, p.Device, by.Agency)
		if err != nil {
			return vault.Proof{}, err
		}
		if card.Case != caseID || !let {
			return vault.Proof{}, vault.ErrSignature
		}
		return vault.Proof{Card: string(card.ID), OpenKey: ed25519.PublicKey(card.Card.OpenKey), Device: p.Device, Signature: signature}, nil
	}, nil
}

// askSecond asks others to agree to what a holder has said of an authority of her state.
func (s *Server) askSecond(ctx context.Context, by audit.Actor, o vault.Order, p vault.Proposal) (api.AskedJSONResponse, error) {
	act := roster.Share{
		Case: p.Case, Record: p.Record, To: o.Agency, Purpose: string(o.Purpose), Parts: []string{}, Readings: o.Readings,
		LastDay: formatDay(o.Until), Circumstance: o.Circumstance, AskedAlone: p.Alone, Second: p.Second, Order: p.Digest,
	}
	for _, part := range o.Parts {
		act.Parts = append(act.Parts, string(part))
	}
	return s.askSealed(ctx, by, roster.DoShare, &act, p.Sealed)
}

// shareAgreed shares what others have agreed to.
func (s *Server) shareAgreed(ctx context.Context, asker audit.Actor, agreed credentials.Approval, sealed []byte) error {
	var a roster.Share
	if err := agreed.Act.Read(&a); err != nil {
		return err
	}
	return s.cfg.Vault.DecideShare(ctx, asker, a.Record, a.Order, sealed, agreedBy(agreed.Proofs))
}

// RecordConsent writes down what a holder says of her own record and card.
func (s *Server) RecordConsent(c context.Context, r api.RecordConsentRequestObject) (api.RecordConsentResponseObject, error) {
	ctx, by := acting(c)
	var word vault.Word
	again, err := s.contactEnds(ctx, by, r.Case, func() (err error) {
		word, err = s.cfg.Vault.RecordConsent(ctx, by, r.Case, vault.Recorded{
			Language: r.Body.Language, Circumstance: string(r.Body.Circumstance),
			Answers: vault.Answers{
				Mission: r.Body.Mission, SafeWithState: string(r.Body.SafeIfStateKnows), Method: string(r.Body.Method), Witness: r.Body.Witness,
			},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	tellsAbout(c, r.Case)
	return api.RecordConsent201JSONResponse{ID: word.ID, PrintAgain: again}, nil
}

// TakeBackConsents ends everything that the holder of a case has agreed to.
func (s *Server) TakeBackConsents(c context.Context, r api.TakeBackConsentsRequestObject) (api.TakeBackConsentsResponseObject, error) {
	ctx, by := acting(c)
	var word vault.Word
	again, err := s.contactEnds(ctx, by, r.Case, func() (err error) {
		word, err = s.cfg.Vault.TakeBackAll(ctx, by, r.Case)
		return err
	})
	if err != nil {
		return nil, err
	}
	tellsAbout(c, r.Case)
	return api.TakeBackConsents201JSONResponse{ID: word.ID, PrintAgain: again}, nil
}

// TakeBackConsent ends one.
func (s *Server) TakeBackConsent(ctx context.Context, r api.TakeBackConsentRequestObject) (api.TakeBackConsentResponseObject, error) {
	ctx, by := acting(ctx)
	again, err := s.contactEnds(ctx, by, r.Case, func() error { return s.cfg.Vault.TakeBackConsent(ctx, by, r.Case, r.Consent) })
	if err != nil {
		return nil, err
	}
	return api.TakeBackConsent200JSONResponse{PrintAgain: again}, nil
}

// contactEnds has a holder say something, and tells whether a card of hers says since then
// what she does not allow any more. Her history says it, too.
func (s *Server) contactEnds(ctx context.Context, by audit.Actor, caseID api.ID, say func() error) (printAgain bool, err error) {
	if err := say(); err != nil {
		return false, err
	}
	if printAgain, err = s.cfg.Issuer.PrintAgain(ctx, caseID); err != nil || !printAgain {
		return false, err
	}
	return true, s.cfg.Vault.TellPrintAgain(ctx, by, caseID)
}

// onlyAllowed leaves out of a verdict that a mission may be contacted, where the card in
// use says so and its holder does not allow it any more, or nobody can tell.
func (s *Server) onlyAllowed(ctx context.Context, v verifier.Verdict) verifier.Verdict {
	if v.Card == nil || !v.Card.MissionMayBeContacted {
		return v
	}
	allowed, err := s.cfg.Issuer.MayContact(ctx, v.Card.Handle)
	if errors.Is(err, credentials.ErrNotFound) {
		return v // the state of the card says that it is none in use
	}
	said := *v.Card
	said.MissionMayBeContacted = err == nil && allowed
	v.Card = &said
	return v
}

// ListConsents lists what the holder of a case said.
func (s *Server) ListConsents(ctx context.Context, r api.ListConsentsRequestObject) (api.ListConsentsResponseObject, error) {
	ctx, by := acting(ctx)
	words, err := s.cfg.Vault.Consents(ctx, by, r.Case, r.Params.All)
	if err != nil {
		return nil, err
	}
	list := api.ConsentList{Consents: make([]api.Consent, len(words))}
	for i, w := range words {
		list.Consents[i] = consentOf(w)
	}
	return reveal(list)
}

func consentOf(w vault.Word) api.Consent {
	out := api.Consent{
		ID: w.ID, Kind: api.ConsentKind(w.Kind), State: api.ConsentState(w.State), Record: w.Record, Agency: w.Agency,
		Purpose: api.Purpose(w.Purpose), Readings: w.Readings, Until: w.Until, Language: w.Language, TextLanguage: w.TextLanguage, TextSha256: w.Text,
		Circumstance: w.Circumstance, OwnState: w.OwnState, SafeIfStateKnows: w.SafeWithState, Mission: w.Mission, Method: w.Method, Witness: w.Witness,
		Given: formatTime(w.Given), By: w.By, Agreed: w.Agreed, AskedAlone: w.Alone,
	}
	for _, p := range w.Parts {
		out.Parts = append(out.Parts, api.Part(p))
	}
	if w.Proof != nil {
		out.Card, out.Device = w.Proof.Card, w.Proof.Device
	}
	return out
}

// digestOf reads a SHA-256 in hex.
func digestOf(s string) (sum [32]byte) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) == len(sum) {
		sum = [32]byte(b)
	}
	return sum // none of another length is that of anything
}
