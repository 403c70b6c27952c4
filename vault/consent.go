package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// Need is what a consent takes besides her yes.
type Need string

// What a consent may take.
const (
	NeedCode         Need = "code"           // of her card
	NeedMission      Need = "mission"        // does she want a mission, or an authority of her state, to be told? asked apart
	NeedState        Need = "state_question" // is it safe if your country's office knows that you are here?
	NeedSecondPerson Need = "second_person"  // of the agency
	NeedSecondAgency Need = "second_agency"  // somebody of another one, neither of a state, who asks her alone as well
)

// Ask is what a holder is asked about: may this agency read this, for this, until then?
type Ask struct {
	Record   string
	Agency   string
	Purpose  Purpose
	Parts    []Part
	Readings int       // left for the agency, by which it reads without her; 0 is none
	Until    time.Time // the last day; midnight UTC
	Language string    // BCP 47, in which she is asked
	// Circumstance is how she is: free, detained, first_72h.
	Circumstance string
	// Keeper and To are the two agencies by the names that she knows.
	Keeper, To string
}

// Answers are what she answered beside giving her code.
type Answers struct {
	// Mission says that she agreed separately that a diplomatic mission, or an
	// authority of her own state, is told. It is not part of any other agreement
	// and never a condition: the state of origin is not trusted by default.
	Mission bool
	// SafeWithState is her answer to: is it safe if your country's office
	// knows that you are here? yes, no or unsure; empty if she was not asked.
	// Before anything goes to an authority of her state she has to be asked, and
	// anything but yes rules it out, whatever Mission says.
	SafeWithState string
	Method        string         // list consent_method, or empty
	Witness       private.String // with verbal_witnessed, and only then
}

// How long a text may be read aloud, and how long what was not said in freedom stands.
const (
	readLife  = 10 * time.Minute
	maxUnfree = claims.ReviewDays * 24 * time.Hour
)

// check lists what is wrong with an ask.
func (a Ask) check(today time.Time) *invalid.Checker {
	var c invalid.Checker
	c.Agency("/agency", a.Agency, invalid.Required)
	a.Purpose.check(&c)
	c.Must(a.Purpose != claims.PurposeDanger, "/purpose", invalid.CodeNotAllowed, "is what two people open for without her")
	checkParts(&c, a.Parts)
	c.Must(a.Readings >= 0 && a.Readings <= maxReadings, "/readings", invalid.CodeRange, "is from 0 to 10")
	c.OneOf("/circumstance", a.Circumstance, claims.Values("circumstance"), invalid.Required)
	c.ShortLine("/language", a.Language, maxLanguage, invalid.Required)
	switch {
	case a.Until.IsZero() || a.Until != a.Until.UTC().Truncate(24*time.Hour):
		c.Add("/until", invalid.CodeFormat, "is a day, UTC")
	case a.Until.Before(today):
		c.Add("/until", invalid.CodeRange, "is today or later")
	case a.Until.Sub(today) > maxGrant:
		c.Add("/until", invalid.CodeRange, "is at most 180 days from today")
	case a.Readings > 0 && a.Until.Sub(today) > maxLeft:
		c.Add("/until", invalid.CodeRange, "is at most 14 days from today, where readings are left for the agency")
	case a.Circumstance != "free" && a.Until.Sub(today) > maxUnfree:
		c.Add("/until", invalid.CodeRange, "is at most 14 days from today, where she is not free")
	}
	return &c
}

const maxLanguage = 20

// check adds what is wrong with the answers.
func (a Answers) check(c *invalid.Checker) {
	c.OneOf("/safe_if_state_knows", a.SafeWithState, claims.Values("safe_if_state_knows"), invalid.Optional)
	c.OneOf("/method", a.Method, claims.Values("consent_method"), invalid.Optional)
	witnessed := a.Method == "verbal_witnessed"
	c.Only("/witness", !a.Witness.IsZero(), witnessed, "goes with verbal_witnessed")
	c.Name("/witness", a.Witness, invalid.Need(witnessed))
}

// Question is what she is read, and what her yes takes.
type Question struct {
	Nonce    string
	Expires  time.Time
	Text     string
	Language string // of the text: English where there is none in the language that was wanted
	SHA256   [32]byte
	OwnState bool
	Needs    []Need
}

// asked is an ask about a record of the actor's own.
type asked struct {
	Ask

	r      Record
	cases  []Record // of the same holder
	to     claims.Recipient
	signed Signed // with all that is known of where she is from
	own    bool   // an authority of her state, as far as anybody knows
	text   string
	in     string // its language
}

// about finds out what an ask is about.
func (v *Vault) about(ctx context.Context, by audit.Actor, a Ask, c *invalid.Checker) (asked, error) {
	r, err := v.owned(ctx, by, a.Record)
	if err != nil {
		return asked{}, err
	}
	if err := c.Err(); err != nil {
		return asked{}, err
	}
	if a.Agency == by.Agency {
		return asked{}, invalid.One("/agency", invalid.CodeNotAllowed, "is another agency: the owner reads without a grant")
	}
	out := asked{Ask: a, r: r}
	if out.to, err = v.directory.Recipient(ctx, a.Agency); err != nil {
		return asked{}, fmt.Errorf("vault: whom to share with: %w", err)
	}
	if out.cases, err = v.sameHolder(ctx, r); err != nil {
		return asked{}, err
	}
	if out.signed, err = v.saidOf(ctx, out.cases, true); err != nil {
		return asked{}, err
	}
	out.own = out.signed.Origin.Involves(out.to)
	out.text, out.in = wording(a, out.to.Class == claims.ClassMission, out.own)
	return out, nil
}

// AskConsent begins a consent: with the text to read to the holder, and a nonce that
// serves for exactly this question, once, within ten minutes.
func (v *Vault) AskConsent(ctx context.Context, by audit.Actor, a Ask) (Question, error) {
	one, err := v.about(ctx, by, a, a.check(v.today()))
	if err != nil {
		return Question{}, err
	}
	q := Question{Text: one.text, Language: one.in, SHA256: sha256.Sum256([]byte(one.text)), OwnState: one.own, Needs: []Need{NeedCode}}
	if one.own || one.to.Class == claims.ClassMission {
		q.Needs = append(q.Needs, NeedMission)
	}
	switch {
	case one.own && a.Circumstance == "free":
		q.Needs = append(q.Needs, NeedState, NeedSecondPerson)
	case one.own:
		q.Needs = append(q.Needs, NeedState, NeedSecondAgency)
	}
	given, err := v.challenge(ctx, by, one.digest(), readLife)
	q.Nonce, q.Expires = given.Nonce, given.Expires
	return q, err
}

// digest is what a nonce serves for: this question, in these words, and no other.
func (a asked) digest() string {
	fields := []string{a.Record, a.Agency, string(a.Purpose), a.Until.Format(time.DateOnly), strconv.Itoa(a.Readings), a.Language, a.Circumstance, a.text}
	for _, p := range a.Parts {
		fields = append(fields, string(p))
	}
	return fmt.Sprintf("%x", sha256.Sum256(card.LengthPrefixed("safeconduct/ask/1", fields...)))
}

// consentMessage is what the holder's card signs with her code: card.Consent.Message.
func consentMessage(keeper string, o Order, minute int64) []byte {
	said := card.Consent{
		Nonce: o.Nonce, Keeper: keeper, Agency: o.Agency, Record: o.Record, Purpose: string(o.Purpose),
		Until: o.Until.Format(time.DateOnly), Readings: o.Readings, Text: o.Text, Minute: minute,
	}
	for _, p := range o.Parts {
		said.Parts = append(said.Parts, string(p))
	}
	return said.Message()
}

// Prove has her card sign, or hands over what it signed. It is asked once, when all else is
// as it should be, and judges whether the card is hers and in use.
type Prove func(ctx context.Context, message []byte) (Proof, error)

// Order is an answer that was given with her code.
type Order struct {
	Ask
	Answers

	Nonce  string
	Text   [32]byte // of what she was read
	Minute int64    // of the device that signed; 0 where the service has the card sign
	// Second is the other agency where she is not free.
	Second string
}

// Proposal is a word that others have to agree to: what an act says of it, and the word,
// sealed to the case.
type Proposal struct {
	Case, Record string
	Alone        bool   // people of two agencies, each of whom asked her alone
	Second       string // the other agency, then
	Digest       []byte
	Sealed       []byte
}

// Share lets another agency read a record, by the holder's word that prove shows to be
// hers. It rewrites the record's key file and nothing else, whatever the record weighs. A
// second grant to the same agency replaces the first, is asked the same questions, and has
// another id.
//
// ErrConsent unless she agreed to it, and her newest word elsewhere allows it too. To an
// authority of her own state nothing goes before she was asked whether that is safe (an
// *invalid.Error says that the question is missing), and before others have agreed: then
// there is a proposal and no grant.
func (v *Vault) Share(ctx context.Context, by audit.Actor, o Order, prove Prove) (Shared, *Proposal, error) {
	c := o.Ask.check(v.today())
	o.Answers.check(c)
	one, err := v.about(ctx, by, o.Ask, c)
	if err != nil {
		return Shared{}, nil, err
	}
	if err := mayAsk(one, o); err != nil {
		return Shared{}, nil, v.heard(ctx, by, one, o, err)
	}
	word := Word{
		ID: newID(), Kind: WordGrant, Case: one.r.Case, Record: one.r.ID, Agency: o.Agency, State: InForce,
		Purpose: o.Purpose, Parts: o.Parts, Until: o.Until.Format(time.DateOnly), Readings: o.Readings,
		Language: o.Language, Text: fmt.Sprintf("%x", o.Text), TextLanguage: one.in, OwnState: one.own, Circumstance: o.Circumstance,
		SafeWithState: o.SafeWithState, Mission: o.Mission, Method: o.Method, Witness: o.Witness,
		Given: v.now().UTC().Truncate(time.Minute), By: by.ID, Alone: one.own && o.Circumstance != "free",
	}
	// Whoever may not have it, may not have it with her code either: nobody gives one in vain.
	words, err := v.everywhere(ctx, one.cases)
	if err != nil {
		return Shared{}, nil, err
	}
	if !allows(word, words, one.to, one.signed, claims.NewDay(v.now())) {
		return Shared{}, nil, v.heard(ctx, by, one, o, ErrConsent)
	}
	if word.Proof, err = v.prove(ctx, by, one, o, prove); err != nil {
		return Shared{}, nil, err
	}
	if one.own {
		word.Since = standing(words, word)
		proposal, err := propose(one.r, word, o.Second)
		return Shared{}, proposal, err
	}
	given, err := v.give(ctx, by, one.r, one.to, word)
	return given, nil, err
}

// heard is why she was refused, once it is kept that she said no: it counts like every
// other, so that a worker whose order is refused does not tick another box instead.
func (v *Vault) heard(ctx context.Context, by audit.Actor, one asked, o Order, refused error) error {
	no := Word{
		Kind: WordRecord, Language: o.Language, Circumstance: o.Circumstance,
		SafeWithState: o.SafeWithState, Method: o.Method, Witness: o.Witness,
	}
	concerns := one.own || one.to.Class == claims.ClassMission
	if !concerns || !no.unsafe() || o.Text != sha256.Sum256([]byte(one.text)) {
		return refused
	}
	words, err := v.words(ctx, one.r)
	if err != nil {
		return err
	}
	said := func(w Word) bool {
		return w.Kind == WordRecord && w.State == InForce && w.unsafe() && w.day() == claims.NewDay(v.now())
	}
	if slices.ContainsFunc(words, said) {
		return refused
	}
	r, err := v.store.Record(ctx, one.r.Case)
	if err == nil {
		_, err = v.say(ctx, by, r, no, "consent.recorded")
	}
	if err != nil {
		return err
	}
	return refused
}

// standing is what was said of the record and the agency of a word, and whether it stands. A
// word that ran out stands: nobody took it back.
func standing(words []Word, of Word) string {
	var ids []string
	for _, w := range words {
		if w.Kind == WordGrant && w.Record == of.Record && w.Agency == of.Agency {
			ids = append(ids, fmt.Sprint(w.ID, w.State == TakenBack || w.State == Replaced))
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// mayAsk refuses what no code makes good.
func mayAsk(one asked, o Order) error {
	if one.own && o.SafeWithState == "" {
		return invalid.One("/safe_if_state_knows", invalid.CodeRequired, "is asked before anything goes to an authority of her state")
	}
	if one.to.Class == claims.ClassMission && (!o.Mission || o.SafeWithState != "" && o.SafeWithState != "yes") {
		return ErrConsent // a mission of any state is told only where she agreed to that separately
	}
	switch alone := one.own && o.Circumstance != "free"; {
	case alone && o.Second == "":
		return invalid.One("/second_agency", invalid.CodeRequired, "is another agency, one of whose people asks her alone as well: one agency's word is not enough where she is not free")
	case !alone && o.Second != "":
		return invalid.One("/second_agency", invalid.CodeNotAllowed, "is for where she is not free, and an authority of her state is to be told")
	}
	if o.Text != sha256.Sum256([]byte(one.text)) {
		return ErrText
	}
	return nil
}

// prove spends the nonce, and has her card sign.
func (v *Vault) prove(ctx context.Context, by audit.Actor, one asked, o Order, prove Prove) (*Proof, error) {
	if err := v.takeNonce(ctx, by, o.Nonce, one.digest()); err != nil {
		return nil, err
	}
	now := v.now().Unix() / 60
	minute := o.Minute
	if minute == 0 {
		minute = now
	}
	if skew := int64(clockSkew.Minutes()); now-minute > skew || minute-now > skew {
		return nil, invalid.One("/proof/minute", "clock", "is within five minutes of the service's clock")
	}
	message := consentMessage(by.Agency, o, minute)
	p, err := prove(ctx, message)
	if err != nil {
		return nil, err
	}
	if len(p.OpenKey) != ed25519.PublicKeySize || !ed25519.Verify(p.OpenKey, message, p.Signature) {
		return nil, ErrSignature
	}
	p.Nonce, p.Minute = o.Nonce, minute
	return &p, nil
}

// propose seals a word that others have to agree to.
func propose(r Record, w Word, second string) (*Proposal, error) {
	plain, err := private.RevealJSON(w)
	if err != nil {
		return nil, err
	}
	sealed, err := sealBox(r.CaseRecipient, plain)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(plain)
	return &Proposal{Case: r.Case, Record: r.ID, Alone: w.Alone, Second: second, Digest: digest[:], Sealed: sealed}, nil
}

// DecideShare gives what was proposed, once those have agreed who have to. It is repeated
// without harm: a word counts once, also if it was taken back meanwhile.
func (v *Vault) DecideShare(ctx context.Context, asker audit.Actor, record string, digest, sealed []byte, agreed []string) error {
	r, err := v.owned(ctx, asker, record)
	if err != nil {
		return err
	}
	id, err := v.caseIdentity(ctx, r)
	if err != nil {
		return err
	}
	plain, err := openBox(id, sealed)
	if err != nil {
		return err
	}
	var w Word
	if sum := sha256.Sum256(plain); string(sum[:]) != string(digest) || json.Unmarshal(plain, &w) != nil || w.Record != record || w.Proof == nil {
		return ErrIntegrity
	}
	switch inUse, err := v.cardInUse(ctx, r.Case, w.Proof.Card); {
	case err != nil:
		return fmt.Errorf("vault: is the card in use: %w", err)
	case !inUse:
		return ErrConsent // whose code it was is not as sure as it was
	}
	w.State, w.Agreed = InForce, agreed
	to, err := v.directory.Recipient(ctx, w.Agency)
	if err != nil {
		return fmt.Errorf("vault: whom to share with: %w", err)
	}
	_, err = v.give(ctx, asker, r, to, w)
	if errors.Is(err, errSaidBefore) {
		return nil
	}
	return err
}

// errSaidBefore says that there is such a word already.
var errSaidBefore = errors.New("vault: the word was given before")

// give writes a word down, and the grant that stands on it.
func (v *Vault) give(ctx context.Context, by audit.Actor, r Record, to claims.Recipient, w Word) (Shared, error) {
	defer v.cases.lock(r.Case)()
	cases, err := v.sameHolder(ctx, r)
	if err != nil {
		return Shared{}, err
	}
	words, err := v.everywhere(ctx, cases)
	if err != nil {
		return Shared{}, err
	}
	if slices.ContainsFunc(words, func(one Word) bool { return one.ID == w.ID }) {
		return Shared{}, errSaidBefore
	}
	if slices.ContainsFunc(words, func(one Word) bool { return one.Proof != nil && one.Proof.Nonce == w.Proof.Nonce }) {
		return Shared{}, ErrNonce // also where somebody put the nonce's row back
	}
	if len(w.Agreed) > 0 && standing(words, w) != w.Since {
		return Shared{}, ErrConsent // she said something newer of it while others were asked
	}
	signed, err := v.saidOf(ctx, cases, true)
	if err != nil {
		return Shared{}, err
	}
	until, err := time.Parse(time.DateOnly, w.Until)
	if err != nil || until.Before(v.today()) || !agreed(w, to, signed) || !allows(w, words, to, signed, claims.NewDay(v.now())) {
		return Shared{}, ErrConsent // also what was asked for days ago
	}
	spoken, err := v.spoken(r, w)
	if err != nil {
		return Shared{}, err
	}
	given := Shared{
		ID: newID(), Record: r.ID, Case: r.Case, Agency: w.Agency, Word: w.ID,
		Purpose: w.Purpose, Parts: w.Parts, Readings: w.Readings, Until: until, Day: v.today(),
	}
	entry, err := v.entry(r, by, "record.shared", facts{
		"with": w.Agency, "purpose": w.Purpose, "parts": w.Parts, "readings": w.Readings, "until": w.Until,
		"mission": to.Class == claims.ClassMission, "own_state": signed.Origin.Involves(to), "consent": w.ID, "grant": given.ID,
		"language": w.Language, "circumstance": w.Circumstance, "agreed": slices.Concat([]string{}, w.Agreed),
	})
	if err != nil {
		return Shared{}, err
	}
	// The key file is written first, because a row must never name a key that is
	// not there. A crash in between leaves an agency that could open the file, and
	// no row that would let it.
	if err := v.changeReaders(ctx, r, r.Agency, w.Agency, ""); err != nil {
		return Shared{}, fmt.Errorf("vault: share: %w", err)
	}
	if err := v.store.Share(ctx, given, spoken, entry); err != nil {
		return Shared{}, fmt.Errorf("vault: share: %w", err)
	}
	return given, nil
}
