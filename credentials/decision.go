package credentials

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// ErrNotAgreed says that nobody has shown that those have agreed to something who have
// to.
var ErrNotAgreed = errors.New("credentials: not everybody has agreed who has to")

// Approval is what people agreed to, and by what they did.
type Approval struct {
	Act    approval.Act
	Proofs []approval.Proof
}

// agreed is an order that was read from what people agreed to. Nothing outside of this
// file makes one, so that an order with it is the one that they saw.
type agreed struct {
	Approval
	order []byte
}

// DecisionLevel is the level of an attestation that is a decision, from reasonable
// grounds on; "" for every other.
func DecisionLevel(c claims.Claims) string {
	s, ok := c.(*claims.Screening)
	if !ok || claims.CardDecisionLevel(s.DecisionLevel) < claims.CardDecisionLevel("reasonable_grounds") {
		return ""
	}
	return s.DecisionLevel
}

// Agreement tells whether an attestation is one that nobody signs unless people have
// agreed to it, also where a program asks: a decision, and an answer in a state's name.
func Agreement(c claims.Claims) bool {
	return DecisionLevel(c) != "" || c.Kind() == claims.KindReply
}

// Propose checks an order as Issue would, signs nothing, and seals it to its case. It
// returns what an act says of it.
func (is *Issuer) Propose(ctx context.Context, by audit.Actor, o Order) (d Decision, sealed []byte, err error) {
	agency, err := is.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return Decision{}, nil, fmt.Errorf("find agency: %w", err)
	}
	draft, err := is.draft(ctx, by, agency, o, is.cfg.Now().UTC())
	if err != nil {
		return Decision{}, nil, err
	}
	stated, err := private.RevealJSON(o.Claims)
	if err != nil {
		return Decision{}, nil, fmt.Errorf("encode the claims: %w", err)
	}
	digest, sealed, err := is.write(ctx, draft.Case, attestationOrder{
		Case: draft.Case, Kind: draft.Kind, About: draft.About, Claims: stated, Replaces: o.Replaces,
		ValidUntil: seconds(o.ValidUntil), Salt: salt(),
	})
	return Decision{Case: draft.Case, Kind: string(draft.Kind), Level: DecisionLevel(o.Claims), Order: digest}, sealed, err
}

// ProposeCard is Propose for a card.
func (is *Issuer) ProposeCard(ctx context.Context, by audit.Actor, o CardOrder) (d CardDecision, sealed []byte, err error) {
	agency, err := is.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return CardDecision{}, nil, fmt.Errorf("find agency: %w", err)
	}
	_, end, err := is.cfg.Network.SealKeys(ctx)
	if err != nil {
		return CardDecision{}, nil, fmt.Errorf("find epoch: %w", err)
	}
	draft, err := is.cardDraft(ctx, by, agency, o, end, is.cfg.Now().UTC())
	if err != nil {
		return CardDecision{}, nil, err
	}
	related, err := is.cfg.Store.ByCase(ctx, o.Case)
	if err != nil {
		return CardDecision{}, nil, err
	}
	digest, sealed, err := is.write(ctx, o.Case, cardOrder{
		Case: o.Case, About: o.About, TraffickingStatus: draft.status, DecisionLevel: draft.level,
		Name: o.Name, BirthDate: o.BirthDate, Sex: o.Sex, Nationality: o.Nationality, Portrait: o.Portrait,
		MissionMayBeContacted: o.MissionMayBeContacted, Replaces: o.Replaces, ValidUntil: seconds(o.ValidUntil), Salt: salt(),
	})
	return CardDecision{Case: o.Case, Again: supervised(related, draft.Issued, false) != nil, Order: digest}, sealed, err
}

// ProposeReturn is Propose for the end of a pause: of an attestation, with the cards
// that carry it, or of a card. The id of one is ErrNotFound to whoever means the other.
func (is *Issuer) ProposeReturn(ctx context.Context, by audit.Actor, id ID, isCard bool, reason Reason) (r Return, sealed []byte, err error) {
	if !reason.Valid() {
		return Return{}, nil, errReason()
	}
	d, err := is.signedBy(ctx, by, id)
	switch {
	case err != nil:
		return Return{}, nil, err
	case isCard != (d.Kind == KindCard):
		return Return{}, nil, ErrNotFound
	}
	p, err := is.returns(ctx, d, "", nil)
	if err != nil {
		return Return{}, nil, err
	}
	r = Return{Case: d.Case, Of: string(d.ID), Kind: string(d.Kind), Places: p.places}
	r.Order, sealed, err = is.write(ctx, d.Case, returnOrder{Case: d.Case, Of: d.ID, Pause: d.ChangeKey, Reason: reason, Salt: salt()})
	return r, sealed, err
}

// write puts an order into its one form, and seals it to its case.
func (is *Issuer) write(ctx context.Context, caseID string, order any) (digest, sealed []byte, err error) {
	data, err := private.RevealJSON(order)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the order: %w", err)
	}
	if sealed, err = is.cfg.Cases.Seal(ctx, caseID, data); err != nil {
		return nil, nil, fmt.Errorf("seal the order: %w", err)
	}
	sum := sha256.Sum256(data)
	return sum[:], sealed, nil
}

func salt() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Proposed opens an order that waits, for an actor of the agency in whose name it is:
// the bytes that the act has the digest of. The case may be another agency's or a
// colleague's, which asks nothing to see what one's own agency has written: whoever
// calls has decided who sees the request.
func (is *Issuer) Proposed(ctx context.Context, by audit.Actor, a approval.Act, sealed []byte) ([]byte, error) {
	caseID, digest, err := orderOf(a)
	switch {
	case err != nil:
		return nil, err
	case by.Agency != a.Agency:
		return nil, ErrNotFound
	}
	keeper, err := is.cfg.Cases.Owner(ctx, caseID)
	if err != nil {
		return nil, err
	}
	data, err := is.cfg.Cases.Open(ctx, issuer(keeper), caseID, sealed)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); string(sum[:]) != string(digest) {
		return nil, fmt.Errorf("%w: the order is another one", ErrNotAgreed)
	}
	return data, nil
}

// orderOf is what every act about an order says: the case, and the order's digest.
func orderOf(a approval.Act) (caseID string, digest []byte, err error) {
	var d Decision
	var c CardDecision
	var r Return
	switch {
	case a.Read(&d) == nil:
		return d.Case, d.Order, nil
	case a.Read(&c) == nil:
		return c.Case, c.Order, nil
	default:
		err := a.Read(&r)
		return r.Case, r.Order, err
	}
}

// Decide issues what was agreed to, and returns what it states. It is repeated without
// harm: one act is one attestation.
func (is *Issuer) Decide(ctx context.Context, by audit.Actor, a Approval, sealed []byte) (Attestation, claims.Claims, error) {
	data, err := is.Proposed(ctx, by, a.Act, sealed)
	if err != nil {
		return Attestation{}, nil, err
	}
	p, stated, err := readAttestation(a.Act, data)
	if err != nil {
		return Attestation{}, nil, err
	}
	o := Order{Case: p.Case, About: p.About, Claims: stated, Replaces: p.Replaces, RequestKey: a.Act.ID, agreed: &agreed{a, data}}
	if p.ValidUntil > 0 {
		o.ValidUntil = time.Unix(p.ValidUntil, 0).UTC()
	}
	made, err := is.Issue(ctx, by, o)
	return made, stated, err
}

// DecideCard makes the card that was agreed to, once.
func (is *Issuer) DecideCard(ctx context.Context, by audit.Actor, a Approval, sealed []byte) (Card, error) {
	data, err := is.Proposed(ctx, by, a.Act, sealed)
	if err != nil {
		return Card{}, err
	}
	p, again, err := readCard(a.Act, data)
	if err != nil {
		return Card{}, err
	}
	o := CardOrder{
		Case: p.Case, About: p.About, Name: p.Name, BirthDate: p.BirthDate, Sex: p.Sex, Nationality: p.Nationality,
		Portrait: p.Portrait, MissionMayBeContacted: p.MissionMayBeContacted, Replaces: p.Replaces, Supervised: again,
		RequestKey: a.Act.ID, agreed: &agreed{a, data},
	}
	if p.ValidUntil > 0 {
		o.ValidUntil = time.Unix(p.ValidUntil, 0).UTC()
	}
	return is.IssueCard(ctx, by, o)
}

// DecideReturn ends the pause that was agreed to end, once.
func (is *Issuer) DecideReturn(ctx context.Context, by audit.Actor, a Approval, sealed []byte) (Issued, error) {
	data, err := is.Proposed(ctx, by, a.Act, sealed)
	if err != nil {
		return Issued{}, err
	}
	o, r, err := readReturn(a.Act, data)
	if err != nil {
		return Issued{}, err
	}
	if err := is.holds(ctx, by, a); err != nil {
		return Issued{}, err
	}
	return is.resume(ctx, by, o, r, a)
}

// Decided is the attestation or card that an act became; "" while nobody has signed it.
func (is *Issuer) Decided(ctx context.Context, a approval.Act) (ID, error) {
	d, err := is.cfg.Store.ByRequestKey(ctx, a.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case d.Agency != a.Agency || d.State == Draft || d.State == Abandoned:
		return "", nil
	default:
		return d.ID, nil
	}
}

// holds tells whether those have agreed to an act of the actor's agency who have to.
func (is *Issuer) holds(ctx context.Context, by audit.Actor, a Approval) error {
	if a.Act.Agency != by.Agency {
		return ErrNotAgreed
	}
	if err := is.cfg.Agreed(ctx, a.Act, a.Proofs); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAgreed, err)
	}
	return nil
}

// checkAgreed refuses what has to be agreed to and was not, and everything that was
// agreed to once and is no more. It is asked before a draft is written down, and again
// right before the key signs: somebody may have been sent away between.
func (is *Issuer) checkAgreed(ctx context.Context, by audit.Actor, required bool, a *agreed) error {
	switch {
	case a != nil:
		return is.holds(ctx, by, a.Approval)
	case required:
		return ErrNotAgreed
	default:
		return nil // a program's token is enough, and whoever has the keys sees that it is one
	}
}

// authorised adds to what shows that something may be signed what this room knows: what
// people agreed to, whom it is about, and the signed attestation that a card repeats.
func authorised(ctx context.Context, a *agreed, caseID string, about private.String) (context.Context, error) {
	shown := approval.Of(ctx)
	shown.Case, shown.About = caseID, about
	if a != nil {
		act, err := a.Act.Bytes()
		if err != nil {
			return nil, err
		}
		shown.Act, shown.Proofs, shown.Order = act, slices.Clone(a.Proofs), a.order
	}
	return approval.With(ctx, shown), nil
}
