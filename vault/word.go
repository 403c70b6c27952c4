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

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// A word is what the holder of a case said about one recipient, as it was heard. There are
// three: for another agency, which her card signs with her code; for the agency that keeps
// her case and her own card, which a worker records; and that she takes everything back.
// Words stand in rows that are sealed twice: what was said to the case, the row to its head.

// Word is one of them.
type Word struct {
	ID     string    `json:"id"`
	Kind   WordKind  `json:"kind"`
	Case   string    `json:"case"`
	Record string    `json:"record"` // the case, or a document of it
	Agency string    `json:"agency"` // who may read; empty for the agency that keeps the case
	State  WordState `json:"-"`

	Purpose  Purpose `json:"purpose,omitempty"`
	Parts    []Part  `json:"parts,omitempty"`
	Until    string  `json:"until,omitempty"` // a day
	Readings int     `json:"readings,omitempty"`

	Language      string         `json:"language"`       // in which she was asked
	Text          string         `json:"text,omitempty"` // the SHA-256 of what she was read, in hex
	TextLanguage  string         `json:"text_language,omitempty"`
	OwnState      bool           `json:"own_state,omitempty"` // the agency was one of her state's, as far as anybody knew
	Circumstance  string         `json:"circumstance"`
	SafeWithState string         `json:"safe_if_state_knows,omitempty"`
	Mission       bool           `json:"mission,omitempty"`
	Method        string         `json:"method,omitempty"`
	Witness       private.String `json:"witness,omitzero"`

	Given  time.Time `json:"given"` // a minute
	By     string    `json:"by"`    // who heard it
	Proof  *Proof    `json:"proof,omitempty"`
	Agreed []string  `json:"agreed,omitempty"` // who agreed beside her
	Alone  bool      `json:"alone,omitempty"`  // they are of two agencies, neither of a state, and each asked her alone
	Since  string    `json:"since,omitempty"`  // what she had said of the same record and agency until then, where others have to agree
}

// WordKind says what a word is.
type WordKind string

// The kinds of words.
const (
	WordGrant  WordKind = "grant"  // another agency may read
	WordRecord WordKind = "record" // of her own record, and of what her card says
	WordNone   WordKind = "none"   // she takes everything back
)

// WordState says what has become of a word.
type WordState string

// The states of words.
const (
	InForce   WordState = "in_force"
	TakenBack WordState = "taken_back"
	Replaced  WordState = "replaced" // by one of the same record and agency
	Over      WordState = "over"     // its last day has passed
)

// Proof is what shows that a word is hers: the signature that her card makes with her code.
type Proof struct {
	Card      string            `json:"card"`
	OpenKey   ed25519.PublicKey `json:"open_key"`
	Device    string            `json:"device,omitempty"` // that read the card; empty where number and code were given to the service
	Nonce     string            `json:"nonce"`
	Minute    int64             `json:"minute"`
	Signature []byte            `json:"signature"`
}

// Spoken is a row about a word.
type Spoken struct {
	ID     string
	Case   string
	Record string
	Agency string
	Kind   WordKind
	State  WordState
	Sealed []byte // the word, to the case
	Day    time.Time
}

// day is that of the word.
func (w Word) day() claims.Day { return claims.NewDay(w.Given) }

// consent is the word as an answer to whether something may be shown to a recipient. She
// was asked about that one, so that its kind and its state are among what she agreed to.
func (w Word) consent(to claims.Recipient) *claims.Consent {
	c := &claims.Consent{GivenOn: w.day(), Circumstance: w.Circumstance, SafeIfStateKnows: w.SafeWithState, MissionMayBeContacted: w.Mission}
	switch w.Kind {
	case WordGrant, WordRecord:
		c.Interview, c.ShareScope, c.TransferToState = true, claims.Values("share_scope"), []string{to.Country}
	default: // she agreed to nothing
	}
	if w.Alone {
		c = askedAlone(c)
	}
	return c
}

// askedAlone is a consent that was not given in freedom, once two people of two agencies
// have each asked her alone: it counts as free until it is asked for again, 14 days after
// it was given (R8: somebody in a cell has a right to her consul if she asks).
func askedAlone(c *claims.Consent) *claims.Consent {
	by, ask := c.AskAgainBy()
	if !ask {
		return c
	}
	free := *c
	free.Circumstance = "free"
	if free.ReconfirmBy == "" || by < free.ReconfirmBy {
		free.ReconfirmBy = by
	}
	return &free
}

// allows tells whether a holder's newest word allows what a word of hers for an agency was
// given for. There are two questions. Of the newest day, that word and what she signed in
// screenings each have to allow it. And a no that she said at a desk stands until a word of
// hers with her code is of a later day: words are all that she said, also what was replaced
// or has ended.
func allows(w Word, words []Word, to claims.Recipient, signed Signed, today claims.Day) bool {
	asked := claims.Showing{To: to, About: signed.Origin, Purpose: string(w.Purpose), On: today}
	said := []*claims.Consent{w.consent(to)}
	for _, c := range signed.Consents {
		if w.Alone {
			c = askedAlone(c)
		}
		said = append(said, c)
	}
	return claims.Allows(said, asked) && !slices.ContainsFunc(words, func(other Word) bool {
		return other.day() >= w.day() && other.ID != w.ID && other.refuses(asked, w.Alone)
	})
}

// refuses tells whether a word is a no to what is asked: that she takes everything back, or
// for a mission and whoever is of her state that it is not safe, or that she does not want
// it told. What a worker recorded is heard for those alone, and only as a no: it takes
// neither her code nor a second person. So is what she answered about her state when she
// was asked for somebody else.
func (w Word) refuses(asked claims.Showing, alone bool) bool {
	if w.Kind == WordNone {
		return true
	}
	if asked.To.Class != claims.ClassMission && !asked.About.Involves(asked.To) {
		return false
	}
	if w.unsafe() {
		return true
	}
	if w.Kind != WordRecord || w.State == TakenBack {
		return false
	}
	if w.SafeWithState == "" { // nobody asked her: that she is not free is all that it says
		return asked.About.Involves(asked.To) && w.Circumstance != "free" && !alone
	}
	c := w.consent(asked.To)
	if alone {
		c = askedAlone(c)
	}
	asked.On = w.day() // as she said it: what she said then does not wear off
	return !claims.Allows([]*claims.Consent{c}, asked)
}

// unsafe tells whether she said that it is not safe if her state knows, or that she does
// not know.
func (w Word) unsafe() bool { return w.SafeWithState != "" && w.SafeWithState != "yes" }

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

// Signed is what signed attestations of the case say and a grant depends on. The rooms
// that keep them never meet: Config.Said tells.
type Signed struct {
	Consents []*claims.Consent // in any order
	Origin   claims.Origin     // where the holder is from; what the vault keeps is added to it
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
	if out.signed, err = v.saidOf(ctx, r, true); err != nil {
		return asked{}, err
	}
	out.own = out.signed.Origin.Involves(out.to)
	out.text, out.in = wording(a, out.to.Class == claims.ClassMission, out.own)
	return out, nil
}

// saidOf gathers what she signed, and, where it matters, all that is known of where she is
// from: in this case, and in those that are about the same person.
func (v *Vault) saidOf(ctx context.Context, r Record, origin bool) (all Signed, err error) {
	cases, err := v.sameHolder(ctx, r)
	if err != nil {
		return Signed{}, err
	}
	for _, one := range cases {
		signed, err := v.said(ctx, one.Case)
		if err != nil {
			return Signed{}, fmt.Errorf("vault: what she signed: %w", err)
		}
		if origin {
			if signed.Origin, err = v.origin(ctx, one, signed.Origin); err != nil {
				return Signed{}, fmt.Errorf("vault: where the holder is from: %w", err)
			}
		}
		all.Consents = append(all.Consents, signed.Consents...)
		all.Origin.Stated = append(all.Origin.Stated, signed.Origin.Stated...)
		all.Origin.Shown = append(all.Origin.Shown, signed.Origin.Shown...)
		all.Origin.Host = signed.Origin.Host // of the agency that keeps them all
	}
	return all, nil
}

// sameHolder lists the case of a record, and those that were joined with it.
func (v *Vault) sameHolder(ctx context.Context, r Record) ([]Record, error) {
	joined, err := v.store.Joins(ctx, r.Case)
	if err != nil {
		return nil, fmt.Errorf("vault: which cases are about her: %w", err)
	}
	cases := []Record{r}
	for _, j := range joined {
		switch one, err := v.store.Record(ctx, j.Other); {
		case err == nil:
			cases = append(cases, one)
		case !errors.Is(err, ErrNotFound): // else it was erased
			return nil, fmt.Errorf("vault: a case that is about her: %w", err)
		}
	}
	return cases, nil
}

// everywhere is words, and those of the cases that are about the same person: what she says
// at one desk counts at the other.
func (v *Vault) everywhere(ctx context.Context, r Record) (all []Word, err error) {
	cases, err := v.sameHolder(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, one := range cases {
		words, err := v.words(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, words...)
	}
	return all, nil
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
	return fmt.Sprintf("%x", sha256.Sum256(lengthPrefixed("safeconduct/ask/1", fields...)))
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
	words, err := v.everywhere(ctx, one.r)
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
	words, err := v.everywhere(ctx, r)
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
	signed, err := v.saidOf(ctx, r, true)
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

// agreed tells whether others have agreed where they have to: her own state is told nothing
// by her and one worker alone.
func agreed(w Word, to claims.Recipient, signed Signed) bool {
	return len(w.Agreed) >= 2 || !signed.Origin.Involves(to)
}

// spoken is a word's row.
func (v *Vault) spoken(r Record, w Word) (Spoken, error) {
	plain, err := private.RevealJSON(w)
	if err != nil {
		return Spoken{}, err
	}
	sealed, err := sealBox(r.CaseRecipient, plain)
	if err != nil {
		return Spoken{}, err
	}
	return Spoken{ID: w.ID, Case: r.Case, Record: w.Record, Agency: w.Agency, Kind: w.Kind, State: w.State, Sealed: sealed, Day: v.today()}, nil
}

// caseIdentity opens what is sealed to the case of a record, in its keeper's name.
func (v *Vault) caseIdentity(ctx context.Context, r Record) (age.Identity, error) {
	if r.ID != r.Case {
		own, err := v.store.Record(ctx, r.Case)
		if err != nil {
			return nil, err
		}
		r = own
	}
	return v.identity(ctx, r, r.Agency)
}

// words reads all that the holder of a case said, oldest first.
func (v *Vault) words(ctx context.Context, r Record) ([]Word, error) {
	rows, err := v.store.Words(ctx, r.Case)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	id, err := v.caseIdentity(ctx, r)
	if err != nil {
		return nil, err
	}
	words := make([]Word, len(rows))
	for i, s := range rows {
		plain, err := openBox(id, s.Sealed)
		if err != nil {
			return nil, fmt.Errorf("vault: what she said: %w", err)
		}
		w := &words[i]
		if json.Unmarshal(plain, w) != nil || w.ID != s.ID || w.Case != s.Case || w.Record != s.Record || w.Agency != s.Agency || w.Kind != s.Kind {
			return nil, fmt.Errorf("vault: what she said: %w", ErrIntegrity)
		}
		if w.State = s.State; w.State == InForce && w.Until != "" && w.Until < v.today().Format(time.DateOnly) {
			w.State = Over
		}
	}
	slices.SortStableFunc(words, func(a, b Word) int { return a.Given.Compare(b.Given) })
	return words, nil
}

// stillAllowed tells whether the holder's newest word allows a grant now: that she said no
// since, in a screening or at a desk, ends it before anybody takes it back. ErrNotFound as
// for what was taken back.
//
// A grant from before there were words stands on none. It serves until its day, but not for
// an authority of her state: nobody knows that her code was given for it.
func (v *Vault) stillAllowed(ctx context.Context, r Record, g Shared) (Shared, error) {
	to, err := v.directory.Recipient(ctx, g.Agency)
	if err != nil {
		return Shared{}, fmt.Errorf("vault: whom it is shared with: %w", err)
	}
	signed, err := v.saidOf(ctx, r, to.OfState())
	if err != nil {
		return Shared{}, err
	}
	words, err := v.everywhere(ctx, r)
	if err != nil {
		return Shared{}, err
	}
	w := Word{Kind: WordGrant, Purpose: g.Purpose, Given: g.Day, Circumstance: "free"}
	if g.Word != "" {
		i := slices.IndexFunc(words, func(one Word) bool { return one.ID == g.Word && one.State == InForce })
		if i < 0 {
			return Shared{}, ErrNotFound
		}
		w = words[i]
	}
	if !agreed(w, to, signed) || !allows(w, words, to, signed, claims.NewDay(v.now())) {
		return Shared{}, ErrNotFound
	}
	if w.Proof != nil {
		g.Card = w.Proof.Card
	}
	return g, nil
}

// allowed lists the grants of a case to an agency that are in force now.
func (v *Vault) allowed(ctx context.Context, r Record, agency string) (grants []Shared, err error) {
	all, err := v.live(v.store.Grants(ctx, r.Case))
	if err != nil {
		return nil, err
	}
	for _, g := range all {
		if g.Agency != agency {
			continue
		}
		switch g, err := v.stillAllowed(ctx, r, g); {
		case err == nil:
			grants = append(grants, g)
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return grants, nil
}

// Recorded is what a worker heard without a card.
type Recorded struct {
	Answers

	Language     string
	Circumstance string
}

// RecordConsent writes down what the holder says of her own record and of her card. It
// gives nothing to anybody else: for that her card has to sign.
func (v *Vault) RecordConsent(ctx context.Context, by audit.Actor, caseID string, said Recorded) (Word, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Word{}, err
	}
	var c invalid.Checker
	said.check(&c)
	c.There("/method", said.Method != "", invalid.Required)
	c.ShortLine("/language", said.Language, maxLanguage, invalid.Required)
	c.OneOf("/circumstance", said.Circumstance, claims.Values("circumstance"), invalid.Required)
	c.There("/safe_if_state_knows", said.SafeWithState != "", invalid.Need(said.Mission))
	c.Must(!said.Mission || said.SafeWithState == "yes" || said.SafeWithState == "", "/mission", invalid.CodeInconsistent,
		"is no unless it is safe if the state knows")
	if err := c.Err(); err != nil {
		return Word{}, err
	}
	return v.say(ctx, by, r, Word{
		Kind: WordRecord, Language: said.Language, Circumstance: said.Circumstance,
		SafeWithState: said.SafeWithState, Mission: said.Mission, Method: said.Method, Witness: said.Witness,
	}, "consent.recorded")
}

// say writes down a word that gives nobody anything.
func (v *Vault) say(ctx context.Context, by audit.Actor, r Record, w Word, kind string) (Word, error) {
	w.ID, w.Case, w.Record, w.State = newID(), r.Case, r.ID, InForce
	w.Given, w.By = v.now().UTC().Truncate(time.Minute), by.ID
	spoken, err := v.spoken(r, w)
	if err != nil {
		return Word{}, err
	}
	entry, err := v.entry(r, by, kind, facts{"consent": w.ID, "mission": w.Mission, "safe_if_state_knows": w.SafeWithState, "circumstance": w.Circumstance})
	if err != nil {
		return Word{}, err
	}
	defer v.cases.lock(r.Case)()
	if err := v.store.AddWord(ctx, spoken, entry); err != nil {
		return Word{}, fmt.Errorf("vault: record a consent: %w", err)
	}
	return w, nil
}

// Consents lists what the holder of a case said: what is in force, or all of it. Everything
// that was shared stands on one of them.
func (v *Vault) Consents(ctx context.Context, by audit.Actor, caseID string, all bool) ([]Word, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	words, err := v.words(ctx, r)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(words, func(w Word) bool { return !all && w.State != InForce }), nil
}

// TakeBackConsent ends a word at once, with what stands on it. It takes neither her code
// nor a second person: whoever hears her say no, acts on it.
func (v *Vault) TakeBackConsent(ctx context.Context, by audit.Actor, caseID, id string) error {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	words, err := v.words(ctx, r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(words, func(w Word) bool { return w.ID == id && w.State == InForce && !w.no() })
	if i < 0 {
		return ErrNotFound // a no is lifted by her code on another day, and not by taking it back
	}
	if w := words[i]; w.Kind == WordGrant {
		of, err := v.owned(ctx, by, w.Record)
		if err != nil {
			return err
		}
		return v.takeBack(ctx, by, of, w.Agency, TakenBack)
	}
	entry, err := v.entry(r, by, "consent.taken_back", facts{"consent": id})
	if err == nil {
		err = v.store.EndWord(ctx, caseID, id, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: take back: %w", err)
	}
	return nil
}

// no tells whether a word takes away and gives nothing.
func (w Word) no() bool {
	return w.Kind == WordNone || w.Kind == WordRecord && (w.SafeWithState != "" && (!w.Mission || w.unsafe()) || w.Circumstance != "free")
}

// TakeBackAll is that she takes everything back: every grant ends at once, and that she
// said no is her newest word.
func (v *Vault) TakeBackAll(ctx context.Context, by audit.Actor, caseID string) (Word, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Word{}, err
	}
	// First, so that nothing is read from now on, whatever becomes of the rest.
	none, err := v.say(ctx, by, r, Word{Kind: WordNone}, "consent.none")
	if err != nil {
		return Word{}, err
	}
	grants, err := v.store.Grants(ctx, caseID)
	if err != nil {
		return Word{}, err
	}
	// Each by itself, so that what can be ended is, also where one cannot.
	var errs []error
	for _, g := range grants {
		of, err := v.store.Record(ctx, g.Record)
		if err == nil {
			err = v.takeBack(ctx, by, of, g.Agency, TakenBack)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return none, errors.Join(errs...)
}

// TellPrintAgain writes into the history of a case that a card says something that its
// holder does not allow any more.
func (v *Vault) TellPrintAgain(ctx context.Context, by audit.Actor, caseID string) error {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	entry, err := v.entry(r, by, "card.print_again", nil)
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: tell that a card is to be printed again: %w", err)
	}
	return nil
}

// SaidOfCard is what the holder of a case said at a desk, for what her own card says.
func (v *Vault) SaidOfCard(ctx context.Context, caseID string) ([]*claims.Consent, error) {
	r, err := v.store.Record(ctx, caseID)
	if err != nil {
		return nil, err
	}
	words, err := v.everywhere(ctx, r)
	if err != nil {
		return nil, err
	}
	var said []*claims.Consent
	for _, w := range words {
		switch {
		case w.Kind != WordGrant && w.State != TakenBack:
			said = append(said, w.consent(claims.Recipient{}))
		case w.unsafe(): // asked about somebody else, and an answer all the same
			said = append(said, Word{Given: w.Given}.consent(claims.Recipient{}))
		}
	}
	return said, nil
}
