package credentials

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/invalid"
)

// CardOrder asks for a card.
type CardOrder struct {
	Case string
	// About is the screening whose status and decision level the card
	// carries. Empty makes a plain lost-document record, which says neither;
	// nothing but opening a card tells the two apart.
	About ID
	// Name is in Latin letters: as in the passport, or a transliteration that
	// a person entered. Other scripts stay in the record. Signs that a card does
	// not have are transcribed (card.Transcribe).
	Name private.String
	// BirthDate is YYYYMMDD, YYYYMM or YYYY, or empty.
	BirthDate private.String
	// Sex is 1, 2 or 3 as in MOSIP Claim 169, or 0 when not stated.
	Sex int
	// Nationality is an ICAO three-letter code, or empty.
	Nationality private.String
	// Portrait is the SHA-256 of the portrait in the record, or nil.
	Portrait []byte
	// MissionMayBeContacted says that the holder agreed to it. It is refused
	// unless her newest signed consent says so too, and a signed identity states
	// the Nationality, because that is the mission that the card names.
	MissionMayBeContacted bool
	// Replaces is the holder's earlier card.
	Replaces ID
	// Supervised says that the asker may make the cards that take a second pair of
	// eyes: one in another name, and the third of a month.
	Supervised bool
	// ValidUntil is the last day; zero means as long as a card may be valid.
	ValidUntil time.Time
	RequestKey string

	agreed *agreed // DecideCard's: what people agreed to
}

// Card is a card as it leaves the service: once.
type Card struct {
	Issued
	Number string    // 12 digits, printed 4-4-4
	Code   card.Code // printed on a separate slip, and never stored
	Digits string    // 667 digits, what the symbol holds
	// NamesShortened says that the name did not fit whole.
	NamesShortened bool
	// PrintedName is the name as the card says it, where that is not letter by
	// letter what was ordered: transcribed, shortened or both. Otherwise it is
	// empty.
	PrintedName private.String
}

// maxCardDays is how long a card may be valid: docs/card.md, Epochs.
const maxCardDays = 180

// IssueCard makes a card. It follows the order of Issue. The code exists in
// the answer only; a lost answer means a new card that replaces this one.
func (is *Issuer) IssueCard(ctx context.Context, by audit.Actor, o CardOrder) (Card, error) {
	now := is.cfg.Now().UTC()
	switch earlier, err := is.repeated(ctx, by, o.RequestKey); {
	case err != nil:
		return Card{}, err
	case earlier != nil:
		return Card{}, ErrConflict // the request made an attestation
	}
	agency, err := is.cfg.Network.Agency(ctx, by.Agency)
	if err != nil {
		return Card{}, fmt.Errorf("find agency: %w", err)
	}
	keys, end, err := is.cfg.Network.SealKeys(ctx)
	if err != nil {
		return Card{}, fmt.Errorf("find epoch: %w", err)
	}
	drafted, err := is.cardDraft(ctx, by, agency, o, end, now)
	if err != nil {
		return Card{}, err
	}
	draft, content := drafted.Issued, drafted.content
	draft.Card.Epoch = keys.Epoch
	if err := is.checkAgreed(ctx, by, false, o.agreed); err != nil {
		return Card{}, err
	}
	if ctx, err = authorised(ctx, o.agreed, o.Case, drafted.about); err != nil {
		return Card{}, err
	}
	kid, key, err := is.cfg.Keys.Signer(ctx, by.Agency)
	if err != nil {
		return Card{}, fmt.Errorf("find signing key: %w", err)
	}
	ctx = context.WithoutCancel(ctx) // from here on, finish what was begun
	defer func() { is.letGo(draft.ID) }()
	var printed Card
	var sealed card.Sealed
	again := func() error { return is.checkAgreed(ctx, by, false, o.agreed) }
	err = is.reserved(ctx, by, &draft, agency.Limits, key, again, func(key crypto.Signer) (err error) {
		sealed, err = is.seal(ctx, &draft, &printed, content, keys, kid, key)
		return err
	})
	if err != nil {
		return Card{}, err
	}
	printed.Digits, printed.NamesShortened = sealed.Card.Digits(), sealed.Shortened
	if says := sealed.Claims.Name; says.Reveal() != o.Name.Reveal() {
		printed.PrintedName = says
	}
	draft.Card.OpenKey, draft.Card.Salt = sealed.OpenKey, sealed.Salt
	return is.completeCard(ctx, by, draft, printed, o.Supervised)
}

// cardDraft is a card that is to be made.
type cardDraft struct {
	Issued
	content card.Claims
	// What the screening that it carries says, and that screening as it was signed.
	status, level string
	about         private.String
}

// cardDraft validates an order and gathers what the card will say. Status and
// decision level come from the signed screening, never from the request.
func (is *Issuer) cardDraft(ctx context.Context, by audit.Actor, agency Agency, o CardOrder, epochEnd, now time.Time) (made cardDraft, err error) {
	d := Issued{
		Kind: KindCard, Case: o.Case, Agency: by.Agency, Replaces: o.Replaces,
		State: Draft, IssuedOn: day(now), RequestKey: o.RequestKey, Card: &CardFacts{},
	}
	// A card without a screening is a record of lost documents.
	if may := agency.signs(); o.About == "" && !may.May(claims.KindDocument) || o.About != "" && !may.May(claims.KindScreening) {
		return cardDraft{}, ErrKind
	}
	if err := is.place(ctx, by, &d); err != nil {
		return cardDraft{}, err
	}
	holder, err := is.holderTag(ctx, o.Case, o.Name)
	if err != nil {
		return cardDraft{}, err
	}
	d.Card.Holder, d.Card.Contact = holder, o.MissionMayBeContacted
	related, err := is.cfg.Store.ByCase(ctx, o.Case)
	if err != nil {
		return cardDraft{}, err
	}
	if err := supervised(related, d, o.Supervised); err != nil {
		return cardDraft{}, err
	}
	content := card.Claims{
		IssuedAt: d.IssuedOn, Name: private.New(card.Transcribe(o.Name.Reveal())), BirthDate: o.BirthDate, Sex: o.Sex, Nationality: o.Nationality,
		MissionMayBeContacted: o.MissionMayBeContacted,
	}
	c := invalid.New(now)
	switch len(o.Portrait) {
	case 0:
	case sha256.Size:
		content.Portrait = o.Portrait[:16]
	default:
		c.Add("/portrait", invalid.CodeFormat, "is a SHA-256")
	}
	latest := d.IssuedOn.AddDate(0, 0, maxCardDays)
	if day(epochEnd).Before(latest) {
		latest = day(epochEnd)
	}
	d.ValidUntil = latest
	if !o.ValidUntil.IsZero() {
		// The last printed day is the day before exp.
		d.ValidUntil = day(o.ValidUntil).AddDate(0, 0, 1)
		if !d.ValidUntil.After(d.IssuedOn) || d.ValidUntil.After(latest) {
			d.ValidUntil = latest
			c.Add("/valid_until", invalid.CodeRange, "is from today on, within a card's longest validity")
		}
	}
	content.Expires = d.ValidUntil
	if o.About != "" {
		d.About = o.About
		if made.status, made.level, made.about, err = is.screened(ctx, by, agency, o.Case, o.About); err != nil {
			return cardDraft{}, err
		}
		status, level := claims.CardStatus(made.status), claims.CardDecisionLevel(made.level)
		if status == 0 || level == 0 {
			c.Add("/about", invalid.CodeNotAllowed, "is a screening with a possible or actual status: a card carries no other")
		} else {
			content.Status, content.DecisionLevel = status, level
		}
	}
	if o.MissionMayBeContacted {
		agreed, err := is.contact(ctx, by, agency, o.Case, o.Nationality.Reveal())
		if err != nil {
			return cardDraft{}, err
		}
		c.Must(agreed, "/mission_may_be_contacted", invalid.CodeNotAllowed, "is no until her newest signed consent says that it is safe and that she wants it, and a signed identity states the nationality on the card")
	}
	checkBirthYear(c, o.BirthDate.Reveal())
	checkPrintable(c, content, o.Name)
	if err := c.Err(); err != nil {
		return cardDraft{}, err
	}
	made.Issued, made.content = d, content
	return made, nil
}

// checkPrintable reports what a card cannot say. A name is held to the rule for
// every name (invalid.Checker.Name), and where it keeps that, to the one for
// cards; ordered is the name as it was typed.
func checkPrintable(c *invalid.Checker, content card.Claims, ordered private.String) {
	before := len(c.Problems())
	c.Name("/name", content.Name, invalid.Required)
	isName := len(c.Problems()) == before
	content.Handle = [8]byte{1} // drawn when the card is sealed
	for _, p := range content.Validate() {
		switch {
		case p.Field != "name":
			c.Add("/"+p.Field, invalid.CodeFormat, p.Problem)
		case isName:
			c.Add("/name", invalid.CodeFormat, p.Problem+unprintable(ordered))
		}
	}
}

// unprintable says which character of a name a card does not have. One sign tells
// nothing about a name, and without it nobody finds the mistake.
func unprintable(name private.String) string {
	place, r := card.Unprintable(name.Reveal())
	switch {
	case place == 0:
		return ""
	case unicode.IsGraphic(r) && !unicode.IsLetter(r) && !unicode.IsMark(r):
		return fmt.Sprintf("; character %d is %c (U+%04X)", place, r, r)
	default:
		return fmt.Sprintf("; character %d is U+%04X", place, r)
	}
}

// checkBirthYear holds the year of a birth date, YYYYMMDD or less, to those of
// people alive. A card's format takes every year; the rest of it is its own to
// judge.
func checkBirthYear(c *invalid.Checker, date string) {
	if len(date) >= 4 && strings.Trim(date[:4], "0123456789") == "" {
		c.PastDate("/birth_date", date[:4], invalid.Optional, invalid.FormYear)
	}
}

// screened reads status and decision level from a screening that is in use in
// the same case, and returns it as it was signed. Some may not stand on a card: the
// caller looks. A level that the agency may not sign any more is ErrLevel: a card says
// it anew.
func (is *Issuer) screened(ctx context.Context, by audit.Actor, agency Agency, caseID string, id ID) (status, level string, signed private.String, err error) {
	a, _, _, err := is.open(ctx, by, id)
	switch {
	case err != nil:
		return "", "", private.String{}, err
	case a.Case != caseID || a.Kind != claims.KindScreening:
		return "", "", private.String{}, ErrNotFound
	case a.State != Active || !day(is.cfg.Now()).Before(a.ValidUntil):
		return "", "", private.String{}, ErrConflict
	}
	said, err := is.own(ctx, a, sdjwt.Policy{Now: is.cfg.Now()})
	if err != nil {
		return "", "", private.String{}, err
	}
	status, level = said.Text("trafficking_status"), said.Text("decision_level")
	if claims.CardDecisionLevel(level) > 0 && !agency.signs().Reaches(level) {
		return "", "", private.String{}, ErrLevel
	}
	return status, level, private.New(a.Token), nil
}

// own reads back an attestation that was kept encrypted, and checks it again:
// what a database hands back is not believed because it came from a database.
func (is *Issuer) own(ctx context.Context, a Attestation, policy sdjwt.Policy) (*sdjwt.Claims, error) {
	token, err := sdjwt.Parse(a.Token, sdjwt.TypeVC)
	if err != nil {
		return nil, fmt.Errorf("read own attestation: %w", err)
	}
	key, err := is.cfg.Network.PublicKey(ctx, a.Agency, token.KeyID())
	if err != nil {
		return nil, fmt.Errorf("read own attestation: %w", err)
	}
	said, err := token.Verify(key, policy)
	if err != nil {
		return nil, fmt.Errorf("read own attestation: %w", err)
	}
	return said, nil
}

// seal draws what is new on every card, code, number and handle, and seals.
func (is *Issuer) seal(ctx context.Context, d *Issued, printed *Card, content card.Claims, keys card.SealKeys, kid string, key crypto.Signer) (card.Sealed, error) {
	cose, err := coseKeyID(kid)
	if err != nil {
		return card.Sealed{}, err
	}
	if _, err := io.ReadFull(is.cfg.Rand, content.Handle[:]); err != nil {
		return card.Sealed{}, fmt.Errorf("draw case handle: %w", err)
	}
	if printed.Code, err = card.NewCode(is.cfg.Rand); err != nil {
		return card.Sealed{}, err
	}
	if printed.Number, err = card.NewNumber(is.cfg.Rand); err != nil {
		return card.Sealed{}, err
	}
	content.List, content.Index = d.List, d.Index
	facts := *d.Card
	if facts.Handle, err = is.HandleTag(ctx, content.Handle); err != nil {
		return card.Sealed{}, err
	}
	if facts.Number, err = is.tag(ctx, "card-number", []byte(printed.Number)); err != nil {
		return card.Sealed{}, err
	}
	if facts.Nationality, err = is.nationalityTag(ctx, facts.Handle, content.Nationality.Reveal()); err != nil {
		return card.Sealed{}, err
	}
	d.Card = &facts
	select {
	case is.seals <- struct{}{}:
		defer func() { <-is.seals }()
	case <-ctx.Done():
		return card.Sealed{}, fmt.Errorf("wait to seal a card: %w", ctx.Err())
	}
	sealed, err := card.Seal(content, keys, printed.Code, cose, key, is.cfg.Rand)
	if errors.Is(err, card.ErrTooLong) {
		return card.Sealed{}, invalid.One("/name", invalid.CodeTooLong, "fits on a card when shortened")
	}
	return sealed, err
}

// completeCard marks the earlier card as replaced, carries over what missions
// have answered already, and releases the card.
func (is *Issuer) completeCard(ctx context.Context, by audit.Actor, d Issued, printed Card, bySupervisor bool) (Card, error) {
	entry, err := is.entry(ctx, by, "issued", d)
	if err == nil {
		d.Receipt, err = is.cfg.Keys.Receipt(ctx, d.List, d.Index)
	}
	if err != nil {
		return Card{}, errors.Join(err, is.abandon(ctx, d))
	}
	err = is.settled(d.Case, func() error { return is.storeCard(ctx, d, bySupervisor, entry) })
	if err != nil {
		return Card{}, errors.Join(fmt.Errorf("complete: %w", err), is.abandon(ctx, d))
	}
	d.State = Active
	printed.Issued = d
	return printed, nil
}

// storeCard works out what a new card means for its case, and stores it.
func (is *Issuer) storeCard(ctx context.Context, d Issued, bySupervisor bool, entry audit.Entry) error {
	done := Completion{ID: d.ID, Case: d.Case, Receipt: d.Receipt, OpenKey: d.Card.OpenKey, Salt: d.Card.Salt}
	if d.About != "" {
		// The screening may have been withdrawn while the card was made.
		done.Changes = append(done.Changes, Change{ID: d.About, From: []State{Active}, To: Active})
	}
	if d.Replaces != "" {
		done.Changes = append(done.Changes, Change{ID: d.Replaces, From: []State{Active, Paused}, To: Replaced})
	}
	related, err := is.cfg.Store.ByCase(ctx, d.Case)
	if err != nil {
		return err
	}
	// Another card of the case may have been made at the same moment.
	if err := supervised(related, d, bySupervisor); err != nil {
		return err
	}
	done.Seen = See(d.Case, related)
	answers, err := is.answers(ctx, after(related, []Change{{ID: d.ID, To: Active}}))
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.ID == d.ID && a.Value != AnswerNone {
			done.Answers = append(done.Answers, a)
		}
	}
	return is.cfg.Store.Complete(ctx, done, entry)
}

// cardsInAMonth is how many cards one person gets within monthOfCards days before
// somebody looks twice: a first, and one for what was lost or misspelt.
const (
	cardsInAMonth = 2
	monthOfCards  = 30
)

// supervised refuses a card that takes a second pair of eyes unless they look: one
// in another name than an earlier card of the same person, in use or not, and one
// too many in a month. One finding must not become papers for several people.
func supervised(related []Issued, d Issued, bySupervisor bool) error {
	if bySupervisor {
		return nil
	}
	lately := 0
	for _, c := range related {
		if c.ID == d.ID || c.Kind != KindCard || c.Card == nil || c.State == Draft || c.State == Abandoned {
			continue
		}
		if c.Card.Holder != ([16]byte{}) && c.Card.Holder != d.Card.Holder {
			return ErrSupervisor
		}
		if c.IssuedOn.After(d.IssuedOn.AddDate(0, 0, -monthOfCards)) {
			lately++
		}
	}
	if lately >= cardsInAMonth {
		return ErrSupervisor
	}
	return nil
}

// holderTag lets two cards of a case be seen to be in one name, without keeping the
// name. It takes the name's words in any order and without signs between them.
func (is *Issuer) holderTag(ctx context.Context, caseID string, name private.String) ([16]byte, error) {
	words := strings.FieldsFunc(strings.ToUpper(card.Transcribe(name.Reveal())), func(r rune) bool { return !unicode.IsLetter(r) })
	slices.Sort(words)
	return is.tag(ctx, "card-holder", []byte(caseID+" "+strings.Join(words, " ")))
}

// CardByHandle finds the card in use that shows a case handle. Whoever knows
// the handle has opened the card.
func (is *Issuer) CardByHandle(ctx context.Context, handle [8]byte) (Issued, error) {
	tag, err := is.HandleTag(ctx, handle)
	if err != nil {
		return Issued{}, err
	}
	return is.inUse(is.cfg.Store.ByHandle(ctx, tag))
}

// CardInUse tells whether a card is one of a case, and in use.
func (is *Issuer) CardInUse(ctx context.Context, caseID string, id ID) (bool, error) {
	d, err := is.inUse(is.cfg.Store.Get(ctx, id))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && d.Kind == KindCard && d.Case == caseID, err
}

// inUse hides every card that is not in use: a replaced card's key is dead.
func (is *Issuer) inUse(d Issued, err error) (Issued, error) {
	switch {
	case err != nil:
		return Issued{}, err
	case d.State != Active || !day(is.cfg.Now()).Before(d.ValidUntil):
		return Issued{}, ErrNotFound
	default:
		return d, nil
	}
}

// HandleTag is the keyed hash under which a card's case handle is kept.
func (is *Issuer) HandleTag(ctx context.Context, handle [8]byte) ([16]byte, error) {
	return is.tag(ctx, "card-handle", handle[:])
}

// nationalityTag lets a later reply be compared with the nationality on a card
// without keeping it. It is bound to the card, so that equal nationalities do
// not look equal.
func (is *Issuer) nationalityTag(ctx context.Context, handle [16]byte, nationality string) ([16]byte, error) {
	if nationality == "" {
		return [16]byte{}, nil
	}
	return is.tag(ctx, "card-nationality", append(handle[:], nationality...))
}

func (is *Issuer) tag(ctx context.Context, label string, data []byte) ([16]byte, error) {
	mac, err := is.cfg.Keys.MAC(ctx, label, data)
	if err != nil {
		return [16]byte{}, fmt.Errorf("keyed hash: %w", err)
	}
	if len(mac) < 16 {
		return [16]byte{}, errors.New("credentials: keyed hash is too short")
	}
	return [16]byte(mac[:16]), nil
}
