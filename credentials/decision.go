package credentials

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// ErrNotAgreed says that an attestation is a decision, and that nobody has shown that
// those have agreed to it who have to.
var ErrNotAgreed = errors.New("credentials: not everybody has agreed who has to")

// Approval is what people agreed to, and by what they did.
type Approval struct {
	Act    approval.Act
	Proofs []approval.Proof
}

// Decision is what an act says of an attestation that is a decision. The order itself
// is about a person: the act holds its digest, and whoever is asked to agree is shown
// the order that has it.
type Decision struct {
	Case  string `json:"case"`
	Kind  string `json:"kind"`
	Level string `json:"level"`
	Order []byte `json:"order"` // SHA-256 of Proposal's Bytes
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

// Proposal is an order that waits for people to agree.
type Proposal struct {
	Decision Decision
	Sealed   []byte // the order, encrypted to the case
}

// proposed is the one form of an order that waits.
type proposed struct {
	Case       string          `json:"case"`
	Kind       claims.Kind     `json:"kind"`
	Claims     json.RawMessage `json:"claims"`
	Replaces   ID              `json:"replaces"`
	ValidUntil int64           `json:"valid_until"` // Unix seconds; 0 is the default of the kind
	Salt       string          `json:"salt"`        // keeps the digest from being guessed
}

// maxProposal bounds one, in bytes.
const maxProposal = 300 << 10

// Propose checks an order that is a decision as Issue would, signs nothing, and seals it
// to its case.
func (is *Issuer) Propose(ctx context.Context, by audit.Actor, o Order) (Proposal, error) {
	level := DecisionLevel(o.Claims)
	if level == "" {
		return Proposal{}, fmt.Errorf("%w: the attestation is no decision", ErrConflict)
	}
	agency, err := is.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return Proposal{}, fmt.Errorf("find agency: %w", err)
	}
	draft, err := is.draft(ctx, by, agency, o, is.cfg.Now().UTC())
	if err != nil {
		return Proposal{}, err
	}
	stated, err := private.RevealJSON(o.Claims)
	if err != nil {
		return Proposal{}, fmt.Errorf("encode the claims: %w", err)
	}
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // never returns an error
	p := proposed{
		Case: draft.Case, Kind: draft.Kind, Claims: stated, Replaces: o.Replaces, Salt: base64.RawURLEncoding.EncodeToString(salt[:]),
	}
	if !o.ValidUntil.IsZero() {
		p.ValidUntil = o.ValidUntil.Unix()
	}
	data, err := json.Marshal(p)
	if err != nil {
		return Proposal{}, fmt.Errorf("encode the order: %w", err)
	}
	sealed, err := is.cfg.Cases.Seal(ctx, draft.Case, data)
	if err != nil {
		return Proposal{}, fmt.Errorf("seal the order: %w", err)
	}
	digest := sha256.Sum256(data)
	return Proposal{Decision{Case: draft.Case, Kind: string(draft.Kind), Level: level, Order: digest[:]}, sealed}, nil
}

// Proposed opens an order that waits, for an actor whose agency keeps the case: the
// bytes that the act has the digest of.
func (is *Issuer) Proposed(ctx context.Context, by audit.Actor, a approval.Act, sealed []byte) ([]byte, error) {
	var d Decision
	if err := a.Read(&d); err != nil {
		return nil, err
	}
	data, err := is.cfg.Cases.Open(ctx, by, d.Case, sealed)
	if err != nil {
		return nil, err
	}
	if digest := sha256.Sum256(data); string(digest[:]) != string(d.Order) {
		return nil, fmt.Errorf("%w: the order is another one", ErrNotAgreed)
	}
	return data, nil
}

// Decide issues what was agreed to. It is repeated without harm: one act is one
// attestation.
func (is *Issuer) Decide(ctx context.Context, by audit.Actor, agreed Approval, sealed []byte) (Attestation, error) {
	data, err := is.Proposed(ctx, by, agreed.Act, sealed)
	if err != nil {
		return Attestation{}, err
	}
	var p proposed
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: maxProposal}, &p); err != nil {
		return Attestation{}, fmt.Errorf("decode the order: %w", err)
	}
	stated, err := claims.Decode(p.Kind, p.Claims)
	if err != nil {
		return Attestation{}, err
	}
	o := Order{Case: p.Case, Claims: stated, Replaces: p.Replaces, RequestKey: agreed.Act.ID, decided: &decided{agreed, p}}
	if p.ValidUntil > 0 {
		o.ValidUntil = time.Unix(p.ValidUntil, 0).UTC()
	}
	return is.Issue(ctx, by, o)
}

// Decided is the attestation that an act became; "" while nobody has signed it.
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

// decided is an order that was read from what people agreed to. Nothing outside of this
// file makes one, so that an order with it is the one that they saw.
type decided struct {
	agreed Approval
	order  proposed
}

// checkDecision refuses a decision that those have not agreed to who have to. It is
// asked before a draft is written down, and again right before the key signs: somebody
// may have been sent away between.
func (is *Issuer) checkDecision(ctx context.Context, by audit.Actor, o Order) error {
	level := DecisionLevel(o.Claims)
	if level == "" {
		return nil
	}
	if o.decided == nil {
		return ErrNotAgreed
	}
	act := o.decided.agreed.Act
	var d Decision
	if err := act.Read(&d); err != nil {
		return err
	}
	if act.Agency != by.Agency || d.Case != o.Case || d.Level != level || o.About != "" {
		return ErrNotAgreed
	}
	if err := is.cfg.Agreed(ctx, act, o.decided.agreed.Proofs); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAgreed, err)
	}
	return nil
}
