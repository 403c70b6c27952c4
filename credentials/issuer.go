// Package credentials issues what an agency states about a case: attestations
// of every kind of package claims, and the cards that carry them on paper. Each
// one is checked, written down, logged, signed, checked again and only then
// released; later it can be withdrawn, paused, resumed or replaced, and its
// status is published in lists that say nothing about anybody.
//
// It leaves reading to package verifier, keeping and encrypting records to
// package vault, and who belongs to a network to package network. The three
// meet in the format leaves below this package.
package credentials

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// Type is the vct of every attestation. It is the same for all kinds, because
// a vct can never be withheld (draft-ietf-oauth-sd-jwt-vc-19 §2.2.2.2) and
// must not say what somebody was screened for. The kind is a claim like others.
const Type = "urn:safeconduct:attestation:1"

// digests is how many digests every attestation carries, real and decoy, so
// that their number says nothing about what is in it (RFC 9901 §4.2.5).
const digests = 48

// IssuerConfig is everything an Issuer needs. Store, Keys, Cases, Network and
// StatusLists are required.
type IssuerConfig struct {
	Store   Store
	Keys    Keys
	Cases   Cases
	Network Network
	// StatusLists is the URI of the status lists, without the list number.
	StatusLists string
	// Agreed tells whether those have agreed to an act who have to, by proofs that
	// hold; nil means that nobody ever has.
	Agreed func(ctx context.Context, act approval.Act, proofs []approval.Proof) error
	// Said tells what the holder of a case said at a desk, of what her own card says; nil
	// means that she never said anything.
	Said func(ctx context.Context, caseID string) ([]*claims.Consent, error)
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Rand is where randomness comes from; nil means crypto/rand.
	Rand io.Reader

	// afterReserve lets a test stop the world between reserving and signing.
	afterReserve func(ID)
}

// Issuer issues attestations and cards.
type Issuer struct {
	cfg IssuerConfig
	// settling are held, one for some cases each, while it is worked out what an act
	// means for the other records of its case, until that is stored: a reply and a card
	// that are made at the same moment would otherwise miss each other, and one of them
	// be worked out anew. Acts on other cases go on beside it, and share a commit.
	// Another process does not wait either: its store finds that the case has changed.
	settling [256]sync.Mutex

	masks masks

	// hands are the drafts that calls of this Issuer are at work on.
	mu    sync.Mutex
	hands map[ID]bool
	// seals are the seats of those who seal a card now: its code costs 64 MiB, also where
	// a quota then refuses the card.
	seals chan struct{}
}

// NewIssuer checks the configuration. It starts nothing; call Recover before
// the first use.
func NewIssuer(cfg IssuerConfig) (*Issuer, error) {
	if cfg.Store == nil || cfg.Keys == nil || cfg.Cases == nil || cfg.Network == nil || cfg.StatusLists == "" {
		return nil, errors.New("credentials: issuer needs Store, Keys, Cases, Network and StatusLists")
	}
	if cfg.Said == nil {
		cfg.Said = func(context.Context, string) ([]*claims.Consent, error) { return nil, nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Agreed == nil {
		cfg.Agreed = func(context.Context, approval.Act, []approval.Proof) error { return ErrNotAgreed }
	}
	if cfg.afterReserve == nil {
		cfg.afterReserve = failpoint
	}
	return &Issuer{cfg: cfg, masks: masks{key: cfg.Keys.Decoys}, hands: map[ID]bool{}, seals: make(chan struct{}, sealsAtOnce)}, nil
}

// Order asks for an attestation.
type Order struct {
	// Case is whom it is about. It is empty when About says it.
	Case string
	// About is the attestation that an opinion, a reliance or a reply answers.
	About  ID
	Claims claims.Claims
	// Replaces withdraws an earlier attestation of the same kind, case and
	// agency in favour of this one.
	Replaces ID
	// ValidUntil is the last day; zero means the default of the kind.
	ValidUntil time.Time
	// RequestKey makes the same request, sent twice, have one effect.
	RequestKey string

	agreed *agreed // Decide's: what people agreed to
}

// Attestation is an issued attestation with its signed form.
type Attestation struct {
	Issued
	Token string // SD-JWT VC with all its disclosures
}

// Issue makes an attestation. It either returns a signed, stored and logged
// attestation, or an error and nothing that anybody could use.
//
// Write down, then sign (docs/decisions/0002-sequence-of-issuing.md):
//
//  1. A request that was made before is answered with what it made.
//  2. The order is checked. Everything that is wrong with it is told at once, and
//     nothing is kept. A decision and a reply have to be agreed to, here and again
//     before step 4.
//  3. A place in a status list is drawn. Draft, place and log entry are stored in
//     one transaction, with the digest of the bytes that will be signed. Whoever
//     cannot write this down does not sign.
//  4. The agency's key signs these bytes, once.
//  5. The signature is checked with the public key, as a stranger would.
//  6. The token is encrypted to the case. Token, what follows from it for the rest
//     of the case, and a second log entry are stored in one transaction. Only now
//     is the attestation in use, and returned.
//
// A crash, or an error after step 3, leaves a draft, which Recover abandons and
// logs: there may be a signature that nobody was given, and there is none without
// a record.
func (is *Issuer) Issue(ctx context.Context, by audit.Actor, o Order) (Attestation, error) {
	now := is.cfg.Now().UTC()
	if a, err := is.repeated(ctx, by, o.RequestKey); err != nil || a != nil {
		return deref(a), err
	}
	agency, err := is.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return Attestation{}, fmt.Errorf("find agency: %w", err)
	}
	draft, err := is.draft(ctx, by, agency, o, now)
	if err != nil {
		return Attestation{}, err
	}
	if err := is.checkAgreed(ctx, by, Agreement(o.Claims), o.agreed); err != nil {
		return Attestation{}, err
	}
	if ctx, err = authorised(ctx, o.agreed, draft.Case, private.String{}); err != nil {
		return Attestation{}, err
	}
	kid, key, err := is.cfg.Keys.Signer(ctx, by.Agency)
	if err != nil {
		return Attestation{}, fmt.Errorf("find signing key: %w", err)
	}
	ctx = context.WithoutCancel(ctx) // from here on, finish what was begun
	defer func() { is.letGo(draft.ID) }()
	var token string
	again := func() error { return is.checkAgreed(ctx, by, Agreement(o.Claims), o.agreed) }
	err = is.reserved(ctx, by, &draft, nil, key, again, func(key crypto.Signer) (err error) {
		token, err = is.sign(draft, agency, o.Claims, kid, key)
		return err
	})
	if err != nil {
		return Attestation{}, err
	}
	return is.complete(ctx, by, draft, o, token)
}

// draft validates an order and turns it into what will be reserved.
func (is *Issuer) draft(ctx context.Context, by audit.Actor, agency Agency, o Order, now time.Time) (Issued, error) {
	terms, err := claims.TermsOf(o.Claims)
	if err != nil {
		return Issued{}, err
	}
	if err := maySign(agency, terms.Kind, o.Claims); err != nil {
		return Issued{}, err
	}
	claims.Complete(o.Claims)
	c := invalid.New(now)
	claims.Inspect(c, o.Claims)
	d := Issued{
		Kind: terms.Kind, Case: o.Case, Agency: by.Agency, About: o.About, Replaces: o.Replaces,
		State: Draft, IssuedOn: day(now), RequestKey: o.RequestKey,
	}
	d.ReviewBy, _ = claims.ReviewDay(o.Claims).Time()
	if r, ok := o.Claims.(*claims.Reply); ok {
		checkReply(c, r, agency)
		d.Matched = r.Matched()
	}
	checkAbout(c, d, terms)
	if d.ValidUntil, err = expiry(c, o, day(now)); err != nil {
		return Issued{}, err
	}
	if err := c.Err(); err != nil {
		return Issued{}, err
	}
	return d, is.place(ctx, by, &d)
}

// maySign refuses what an agency does not sign: a kind, or a decision of a level. A
// level that nobody knows is a problem of the input, and is told with the others.
func maySign(agency Agency, kind claims.Kind, c claims.Claims) error {
	may := agency.signs()
	if !may.May(kind) {
		return ErrKind
	}
	s, screening := c.(*claims.Screening)
	if screening && claims.CardDecisionLevel(s.DecisionLevel) > 0 && !may.Reaches(s.DecisionLevel) {
		return ErrLevel
	}
	return nil
}

// checkAbout checks that an attestation says what it is about.
func checkAbout(c *invalid.Checker, d Issued, terms claims.Terms) {
	if terms.Answers {
		c.Must(d.About != "", "/about", invalid.CodeRequired, "is required: an attestation of this kind answers another one")
		return
	}
	c.Must(d.Case != "", "/case", invalid.CodeRequired, "is required: an attestation of this kind is about a case")
	c.Must(d.About == "", "/about", invalid.CodeNotAllowed, "is empty: an attestation of this kind answers no other")
}

// checkReply keeps an agency from answering in a state's name that is not its own to
// answer for.
func checkReply(c *invalid.Checker, r *claims.Reply, agency Agency) {
	switch {
	case r.Channel != "account":
	case agency.Class != claims.ClassMission && len(agency.Confirms) == 0:
		c.Add("/channel", invalid.CodeNotAllowed, "is relayed: only a mission, or who was named for a state, answers through its own account")
	case agency.answers().Speaks(r.MissionState) == claims.ConfirmsNothing:
		c.Add("/mission_state", invalid.CodeInconsistent, "is the state that the mission belongs to, or that the network has named the agency for")
	}
}

// maxLifetime is how long an attestation may last, in days.
const maxLifetime = 3 * 365

// expiry returns the midnight at which an attestation is over: the one after its
// last day, as on a card, because whoever reads a date means that day too.
func expiry(c *invalid.Checker, o Order, today time.Time) (time.Time, error) {
	last := day(o.ValidUntil)
	if o.ValidUntil.IsZero() {
		stated, err := claims.LastDay(o.Claims, claims.NewDay(today))
		if err != nil {
			return time.Time{}, err
		}
		var ok bool
		if last, ok = stated.Time(); !ok {
			return time.Time{}, nil // a day that is none is a problem already
		}
	}
	c.Must(!last.Before(today) && last.Before(today.AddDate(0, 0, maxLifetime)), "/valid_until", invalid.CodeRange, "is from today on, within three years")
	return last.AddDate(0, 0, 1), nil
}

// place finds the case that a draft belongs to, and refuses whoever may not
// add to it. Somebody else's case is as unknown as one that does not exist.
func (is *Issuer) place(ctx context.Context, by audit.Actor, d *Issued) error {
	if d.About != "" {
		about, err := is.answered(ctx, by, d.About, false)
		switch {
		case err != nil:
			return err
		case d.Case != "" && d.Case != about.Case:
			return ErrNotFound
		}
		d.Case = about.Case
	} else if err := is.keeps(ctx, by, d.Case); err != nil {
		return err
	}
	if d.Replaces == "" {
		return nil
	}
	old, err := is.cfg.Store.Get(ctx, d.Replaces)
	switch {
	case err != nil:
		return err
	case old.Agency != by.Agency || old.Case != d.Case || old.Kind != d.Kind:
		return ErrNotFound
	case old.State != Active && old.State != Paused, old.Contested != "":
		return ErrConflict // what is contested is withdrawn, not said again
	}
	return nil
}

// complete stores the signed token, encrypted to the case, and what follows
// from it.
func (is *Issuer) complete(ctx context.Context, by audit.Actor, d Issued, o Order, token string) (Attestation, error) {
	sealed, err := is.cfg.Cases.Seal(ctx, d.Case, []byte(token))
	if err != nil {
		return Attestation{}, errors.Join(fmt.Errorf("seal token: %w", err), is.abandon(ctx, d))
	}
	entry, err := is.entry(ctx, by, "issued", d)
	if err == nil {
		d.Receipt, err = is.cfg.Keys.Receipt(ctx, d.List, d.Index)
	}
	if err != nil {
		return Attestation{}, errors.Join(err, is.abandon(ctx, d))
	}
	err = is.settled(d.Case, func() error {
		done := Completion{ID: d.ID, Case: d.Case, Sealed: sealed, Receipt: d.Receipt}
		if err := is.follows(ctx, d, o.Claims, &done); err != nil {
			return err
		}
		return is.cfg.Store.Complete(ctx, done, entry)
	})
	if err != nil {
		return Attestation{}, errors.Join(fmt.Errorf("complete: %w", err), is.abandon(ctx, d))
	}
	d.State = Active
	return Attestation{Issued: d, Token: token}, nil
}

// maxSettling bounds how often it is worked out anew what an act means for its
// case, when other processes change the case at the same time.
const maxSettling = 16

// settled works out what an act means for the other records of its case and
// stores it, one act at a time for a case in this process, and again when another
// process was faster.
func (is *Issuer) settled(caseID string, act func() error) (err error) {
	of := fnv.New32a()
	_, _ = of.Write([]byte(caseID))
	one := &is.settling[of.Sum32()%uint32(len(is.settling))]
	one.Lock()
	defer one.Unlock()
	for range maxSettling {
		if err = act(); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return err
}

// settledOf is settled for an act on a record whose case has to be looked for.
func (is *Issuer) settledOf(ctx context.Context, id ID, act func() error) error {
	d, err := is.cfg.Store.Get(ctx, id)
	if err != nil {
		d.Case = nowhere // it is for the act to say what is wrong
	}
	return is.settled(d.Case, act)
}

// follows works out what a new attestation means for its case: the one that it
// replaces, and the cards.
func (is *Issuer) follows(ctx context.Context, d Issued, stated claims.Claims, done *Completion) (err error) {
	s, screening := stated.(*claims.Screening)
	ends := screening && claims.CardStatus(s.TraffickingStatus) == 0
	if d.Replaces == "" && d.Kind != claims.KindReply {
		return nil
	}
	related, err := is.cfg.Store.ByCase(ctx, d.Case)
	if err != nil {
		return err
	}
	done.Seen = See(d.Case, related)
	var changes []Change
	if d.Replaces != "" {
		changes = append(changes, Change{ID: d.Replaces, From: []State{Active, Paused}, To: Replaced})
	}
	if d.Replaces != "" && ends {
		// A card goes on stating what it was printed with, until the agency
		// states something that may not stand on a card.
		changes = append(changes, cardsOf(related, d, []State{Active, Paused}, Withdrawn)...)
	}
	if d.Kind == claims.KindReply {
		// Also a reply that matches nothing counts: it may replace one that
		// did.
		will := after(related, append(changes, Change{ID: d.ID, To: Active}))
		if i := slices.IndexFunc(will, func(r Issued) bool { return r.ID == d.ID }); i >= 0 {
			will[i].Sealed = done.Sealed // it is not stored yet
		}
		done.Answers, err = is.answers(ctx, will)
	}
	done.Changes = changes
	return err
}

// sealsAtOnce is how many cards are sealed at once.
const sealsAtOnce = 4

// keeps refuses whoever's case it is not: another agency's, and a colleague's.
func (is *Issuer) keeps(ctx context.Context, by audit.Actor, caseID string) error {
	_, his, err := is.cfg.Cases.Stands(ctx, by, caseID)
	if err == nil && !his {
		err = ErrNotFound
	}
	return err
}

// List returns what was issued in a case, without content, for those whose case it is.
func (is *Issuer) List(ctx context.Context, by audit.Actor, caseID string) ([]Issued, error) {
	if err := is.keeps(ctx, by, caseID); err != nil {
		return nil, err
	}
	return is.issued(ctx, caseID)
}

// issued is List for whoever has asked whose case it is.
func (is *Issuer) issued(ctx context.Context, caseID string) ([]Issued, error) {
	all, err := is.cfg.Store.ByCase(ctx, caseID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(d Issued) bool { return d.State == Draft || d.State == Abandoned }), nil
}

// repeated finds what an earlier request with this key did. It returns nil
// when there was none.
func (is *Issuer) repeated(ctx context.Context, by audit.Actor, key string) (*Attestation, error) {
	if key == "" {
		return nil, nil
	}
	d, err := is.cfg.Store.ByRequestKey(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case d.Agency != by.Agency:
		return nil, ErrNotFound
	}
	// What was made before the case was erased is not told any more.
	if _, err := is.cfg.Cases.Owner(ctx, d.Case); err != nil {
		return nil, err
	}
	switch {
	case d.State == Draft:
		return nil, ErrInFlight
	case d.Kind == KindCard:
		return nil, ErrCodeShown
	}
	token, err := is.opened(ctx, by, d)
	if err != nil {
		return nil, err
	}
	return &Attestation{Issued: d, Token: string(token)}, nil
}

func deref(a *Attestation) Attestation {
	if a == nil {
		return Attestation{}
	}
	return *a
}

// day cuts a time to midnight UTC: nothing the service keeps is dated more
// exactly than a day.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
