package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/invalid"
)

// Part is a part of a record that an opening is for. A document's record, its pages
// (or the portrait alone), and the attestations that are sealed to the case are read
// here; what a reader sees of them stands in the table of package claims.
type Part = claims.Part

// The parts.
const (
	PartIdentity     = claims.PartIdentity
	PartPortrait     = claims.PartPortrait
	PartDocument     = claims.PartDocument
	PartPages        = claims.PartPages
	PartAttestations = claims.PartAttestations
	PartStatus       = claims.PartStatus
)

// Parts lists every part, in the order in which rows number them.
var Parts = claims.Parts

// How long a nonce lives, how far a device's clock may be off, and how long a record is
// open (docs/card.md, Opening a record online).
const (
	nonceLife   = 2 * time.Minute
	clockSkew   = 5 * time.Minute
	openingLife = 15 * time.Minute
)

// openingsADay is how often a record is opened to one agency on a day, before somebody of
// the agency that keeps it has to say yes to once more. Whoever kept card and code comes
// no further with them.
const openingsADay = 3

// Challenge is what a device signs over, so that a signature serves once.
type Challenge struct {
	Nonce   string // base64url of 128 random bits
	Expires time.Time
}

// Challenge gives the actor a nonce. It serves one opening by the same actor,
// within two minutes.
func (v *Vault) Challenge(ctx context.Context, by audit.Actor) (Challenge, error) {
	if err := requireActor(by); err != nil {
		return Challenge{}, err
	}
	return v.challenge(ctx, by, "", nonceLife)
}

// challenge gives the actor a nonce that serves for one thing.
func (v *Vault) challenge(ctx context.Context, by audit.Actor, about string, life time.Duration) (Challenge, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never returns an error
	c := Challenge{base64.RawURLEncoding.EncodeToString(nonce[:]), v.now().UTC().Truncate(time.Second).Add(life)}
	err := v.store.AddNonce(ctx, Nonce{Nonce: c.Nonce, Actor: by.ID, Agency: by.Agency, About: about, Expires: c.Expires}, v.now())
	if err != nil {
		return Challenge{}, fmt.Errorf("vault: challenge: %w", err)
	}
	return c, nil
}

// Opening is what a device says and signs with the key that the holder's card
// and code give it (docs/card.md, Opening a record online).
type Opening struct {
	Nonce     string
	Device    string
	Record    string // a document's id, or a case's id for the case and all its documents
	Purpose   Purpose
	Parts     []Part
	Minute    int64  // minutes since 1970-01-01 UTC on the device's clock
	Signature []byte // Ed25519 over OpeningMessage, 64 bytes
}

// OpeningMessage is what a device signs for an agency: card.Opening.Message. The
// signature of o is not part of it.
func OpeningMessage(o Opening, agency string) []byte {
	asked := card.Opening{Nonce: o.Nonce, Device: o.Device, Agency: agency, Record: o.Record, Purpose: string(o.Purpose), Minute: o.Minute}
	for _, p := range o.Parts {
		asked.Parts = append(asked.Parts, string(p))
	}
	return asked.Message()
}

// check lists what is wrong with an opening.
func (o Opening) check(how How, now time.Time) error {
	var c invalid.Checker
	c.Must((o.Device != "") == (how == ByDevice) && len(o.Device) <= 64, "/device", invalid.CodeFormat, "is a device's id")
	o.Purpose.check(&c)
	checkParts(&c, o.Parts)
	if how == Left {
		return c.Err()
	}
	if d := now.Unix()/60 - o.Minute; d > int64(clockSkew.Minutes()) || -d > int64(clockSkew.Minutes()) {
		c.Add("/minute", "clock", "is within five minutes of the service's clock")
	}
	return c.Err()
}

// checkParts wants some of the listed parts, each once.
func checkParts(c *invalid.Checker, parts []Part) {
	c.There("/parts", len(parts) > 0, invalid.Required)
	for i, part := range parts {
		c.Must(slices.Contains(Parts, part), invalid.At("/parts", i), invalid.CodeNotInList, "is one of the listed parts")
		c.Must(!slices.Contains(parts[:i], part), invalid.At("/parts", i), invalid.CodeDuplicate, "is in the list already")
	}
}

// Card is the holder's card that an opening comes by.
type Card struct {
	ID      string
	OpenKey ed25519.PublicKey
}

// OpenRecord opens a record by what a device of the actor's agency has signed with the
// card that it read: to him alone, where he acts, for a quarter of an hour.
//
// The nonce is spent whatever comes of it. Without a grant in force the answer is
// ErrNotFound, also when the signature is good; for another purpose than it has, or for
// more of the record, ErrBeyond. The holder sees each of these tries in her history.
func (v *Vault) OpenRecord(ctx context.Context, by audit.Actor, o Opening, from Card) (expires time.Time, err error) {
	return v.openSigned(ctx, by, o, Opened{How: ByDevice, Device: o.Device}, from)
}

// OpenByCode is OpenRecord for whoever has read no card: the caller was given number and
// code, and has signed with what they give. No device is named.
func (v *Vault) OpenByCode(ctx context.Context, by audit.Actor, o Opening, from Card) (expires time.Time, err error) {
	return v.openSigned(ctx, by, o, Opened{How: ByCode}, from)
}

func (v *Vault) openSigned(ctx context.Context, by audit.Actor, o Opening, like Opened, from Card) (expires time.Time, err error) {
	if err := requireActor(by); err != nil {
		return time.Time{}, err
	}
	now := v.now().UTC()
	if err := v.takeNonce(ctx, by, o.Nonce, ""); err != nil {
		return time.Time{}, err
	}
	if err := o.check(like.How, now); err != nil {
		return time.Time{}, err
	}
	if len(from.OpenKey) != ed25519.PublicKeySize || !ed25519.Verify(from.OpenKey, OpeningMessage(o, by.Agency), o.Signature) {
		return time.Time{}, ErrSignature
	}
	like.Card = from.ID
	return v.open(ctx, by, o, like, now)
}

// OpenLeft takes one of the readings that the holder left for the actor's agency, without
// her: the caller has made sure that he is a person who is signed in. It looks at record,
// purpose and parts of o. ErrNotOpened if she left none by what was shared, ErrSpent if
// none is left.
func (v *Vault) OpenLeft(ctx context.Context, by audit.Actor, o Opening) (expires time.Time, err error) {
	if err := requireActor(by); err != nil {
		return time.Time{}, err
	}
	now := v.now().UTC()
	if err := o.check(Left, now); err != nil {
		return time.Time{}, err
	}
	return v.open(ctx, by, o, Opened{How: Left}, now)
}

// AskByTwo notes where the actor made a request to open a record, which is shared with his
// agency, without its holder: it is open to him there, by the grant of now, once two people
// have agreed to that request. The row has the request's id, so that one agreement opens
// once.
func (v *Vault) AskByTwo(ctx context.Context, by audit.Actor, record, request string) error {
	if by.At == "" {
		return ErrActor
	}
	r, g, err := v.shared(ctx, by, record)
	if err != nil {
		return err
	}
	now := v.now().UTC()
	asked := Opened{
		ID: request, Grant: g.ID, Word: g.Word, Record: r.ID, Case: r.Case, Agency: by.Agency, Person: by.ID, At: by.At,
		How: ByTwo, Purpose: claims.PurposeDanger, Parts: common(openByTwo, g.Parts), Expires: now.Add(openingLife).Truncate(time.Second),
	}
	if err := v.store.Open(ctx, []Opened{asked}, 0, now); err != nil {
		return fmt.Errorf("vault: ask to open a record: %w", err)
	}
	return nil
}

// takeNonce spends a nonce. ErrNonce unless it was given to the actor, for this: an opening
// is about nothing.
func (v *Vault) takeNonce(ctx context.Context, by audit.Actor, nonce, about string) error {
	n, err := v.store.TakeNonce(ctx, nonce)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrNonce
	case err != nil:
		return fmt.Errorf("vault: spend a nonce: %w", err)
	case n.Actor != by.ID || n.Agency != by.Agency || n.About != about || !v.now().Before(n.Expires):
		return ErrNonce
	}
	return nil
}

// open opens what was asked for, as far as it was shared. like is how.
func (v *Vault) open(ctx context.Context, by audit.Actor, o Opening, like Opened, now time.Time) (expires time.Time, err error) {
	if by.At == "" {
		return time.Time{}, ErrActor // it would be open to nobody
	}
	if !isID(o.Record) {
		return time.Time{}, ErrNotFound
	}
	r, err := v.store.Record(ctx, o.Record)
	if err != nil {
		return time.Time{}, err
	}
	like.Case, like.Agency, like.Person, like.At = r.Case, by.Agency, by.ID, by.At
	like.Purpose, like.Expires = o.Purpose, now.Add(openingLife).Truncate(time.Second)
	grants, err := v.allowed(ctx, r.Case, by.Agency)
	if err != nil {
		return time.Time{}, err
	}
	opened, refused := o.within(grants, r, like)
	if held := v.allHold(ctx, like, opened); held != nil {
		refused = held
	}
	if refused != nil && !gone(refused) && !errors.Is(refused, ErrNotFound) && !errors.Is(refused, ErrBeyond) {
		return time.Time{}, refused
	}
	said := facts{"how": like.How, "purpose": o.Purpose, "parts": o.Parts}
	if like.Device != "" {
		said["device"], said["minute"] = like.Device, o.Minute
	}
	switch {
	case like.How == Left && errors.Is(refused, ErrNotFound): // nothing proves that he has to do with it
		return time.Time{}, refused
	case refused != nil:
		return time.Time{}, v.refuse(ctx, by, r, said, refused)
	}
	told := maps.Clone(said)
	told["grants"] = grantsOf(opened)
	entry, err := v.entry(r, by, "record.opened", told)
	if err != nil {
		return time.Time{}, err
	}
	again, err := v.again(ctx, by.Agency, r.ID)
	if err != nil {
		return time.Time{}, fmt.Errorf("vault: how often was it let: %w", err)
	}
	switch err := v.store.Open(ctx, opened, openingsADay+again, now, entry); {
	case errors.Is(err, ErrSpent) || errors.Is(err, ErrAgain):
		return time.Time{}, v.refuse(ctx, by, r, said, err)
	case err != nil:
		return time.Time{}, fmt.Errorf("vault: open a record: %w", err)
	}
	return like.Expires, nil
}

// refuse tells the holder of a try that opened nothing, and returns why it did not.
func (v *Vault) refuse(ctx context.Context, by audit.Actor, r Record, said facts, why error) error {
	entry, err := v.entry(r, by, "opening.refused", said)
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: open a record: %w", err)
	}
	return why
}

// within is what an opening opens: of each grant in force to the agency, what was asked
// for and shared. ErrNotFound if there is no grant, ErrBeyond if these do not have all
// that was asked for, or are for another purpose.
func (o Opening) within(grants []Shared, r Record, like Opened) (opened []Opened, err error) {
	rest := slices.Clone(o.Parts)
	err = ErrNotFound
	for _, g := range grants {
		if g.Agency != like.Agency || g.Record != r.ID && r.ID != r.Case {
			continue
		}
		if like.How == Left && g.Readings == 0 {
			if errors.Is(err, ErrNotFound) {
				err = ErrNotOpened
			}
			continue
		}
		err = ErrBeyond
		like.Parts = common(o.Parts, g.Parts)
		if r.ID != g.Record { // with the case, what there is of a document
			like.Parts = common(like.Parts, partsOfDocument)
		}
		if g.Purpose != o.Purpose || len(like.Parts) == 0 {
			continue
		}
		like.ID, like.Grant, like.Word, like.Record = newID(), g.ID, g.Word, g.Record
		if like.How == Left {
			like.Card = g.Card // by which she left it
		}
		opened = append(opened, like)
		rest = slices.DeleteFunc(rest, func(p Part) bool { return slices.Contains(g.Parts, p) })
	}
	if len(opened) == 0 || len(rest) > 0 {
		return nil, err
	}
	return opened, nil
}

// partsOfDocument are those that a document has. All of them have something in a case's
// own record.
var partsOfDocument = []Part{PartIdentity, PartPortrait, PartDocument, PartPages}

// grantsOf are the grants that openings are of.
func grantsOf(opened []Opened) []string {
	ids := make([]string, len(opened))
	for i, o := range opened {
		ids[i] = o.Grant
	}
	return ids
}

// common are the parts that stand in both lists, in the order of Parts.
func common(a, b []Part) []Part {
	return slices.DeleteFunc(slices.Clone(Parts), func(p Part) bool { return !slices.Contains(a, p) || !slices.Contains(b, p) })
}

// opened lists the parts of a shared record that are open to the actor now: to the one
// person who opened them, where she did, until they are closed; for the purpose of the
// grant, or by two for their own. Everything that an opening hangs on is asked anew at
// each reading, so that what ends it ends it with the next request, wherever that is
// answered.
func (v *Vault) opened(ctx context.Context, by audit.Actor, g Shared, purpose Purpose) (parts []Part, err error) {
	if by.At == "" {
		return nil, nil
	}
	now := v.now()
	all, err := v.store.Openings(ctx, g.ID, by.ID, now)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if o.Person != by.ID || o.At != by.At || o.Agency != by.Agency || o.Grant != g.ID || o.Purpose != purpose || !now.Before(o.Expires) {
			continue
		}
		switch err := v.holds(ctx, o); {
		case err == nil:
			parts = append(parts, common(o.Parts, g.Parts)...)
		case !gone(err):
			return nil, err
		}
	}
	return parts, nil
}

// allHold is holds of what is to be opened: of what was left, by the cards by which it was.
func (v *Vault) allHold(ctx context.Context, like Opened, opened []Opened) error {
	if like.How != Left {
		return v.holds(ctx, like)
	}
	for _, o := range opened {
		if err := v.holds(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// holds asks whether what an opening came by is there still: when it is made, and at each
// reading. An error that is gone if not.
func (v *Vault) holds(ctx context.Context, o Opened) error {
	if o.How == ByDevice {
		switch admitted, err := v.admitted(ctx, o.Device, o.Agency); {
		case err != nil:
			return fmt.Errorf("vault: is the device let in: %w", err)
		case !admitted:
			return ErrDevice
		}
	}
	switch o.How {
	case ByDevice, ByCode, Left:
		switch inUse, err := v.cardInUse(ctx, o.Case, o.Card); {
		case err != nil:
			return fmt.Errorf("vault: is the card in use: %w", err)
		case !inUse:
			return ErrSignature
		}
		return nil
	case ByTwo:
		switch agreed, err := v.byTwo(ctx, audit.Actor{ID: o.Person, Agency: o.Agency}, o.Record, o.ID); {
		case err != nil:
			return fmt.Errorf("vault: ask who has opened it: %w", err)
		case !agreed:
			return ErrNotOpened
		}
		return nil
	default:
		return ErrNotOpened
	}
}

// gone tells whether an opening is over because of what it came by.
func gone(err error) bool {
	return errors.Is(err, ErrDevice) || errors.Is(err, ErrSignature) || errors.Is(err, ErrNotOpened)
}

// readable finds a record that the actor may read one of some parts of, as one of his own,
// or with a live grant and an opening of his own, and on what.
func (v *Vault) readable(ctx context.Context, by audit.Actor, id string, parts ...Part) (Record, claims.Access, error) {
	r, _, his, err := v.relation(ctx, by, id)
	switch {
	case err != nil:
		return Record{}, claims.Access{}, err
	case his:
		return r, claims.Access{Own: true}, nil
	case !isID(id):
		return Record{}, claims.Access{}, ErrNotFound
	}
	// Also for a record that never was: it takes as long as another agency's.
	g, err := v.store.Grant(ctx, id, by.Agency)
	if err != nil {
		return Record{}, claims.Access{}, err
	}
	if g.Until.Before(v.today()) {
		return Record{}, claims.Access{}, ErrNotFound
	}
	if _, err := v.stillAllowed(ctx, r, g); err != nil {
		return Record{}, claims.Access{}, err
	}
	on := claims.Access{Purpose: string(g.Purpose)}
	if on.Parts, err = v.opened(ctx, by, g, g.Purpose); err != nil {
		return Record{}, claims.Access{}, err
	}
	isOpen := func(p Part) bool { return slices.Contains(on.Parts, p) }
	if slices.ContainsFunc(parts, func(p Part) bool { return !isOpen(p) }) {
		two, err := v.opened(ctx, by, g, claims.PurposeDanger)
		if err != nil {
			return Record{}, claims.Access{}, err
		}
		if len(two) > 0 {
			on.Purpose, on.Parts = claims.PurposeDanger, append(on.Parts, two...)
		}
	}
	if !slices.ContainsFunc(parts, isOpen) {
		return Record{}, claims.Access{}, ErrNotOpened
	}
	return r, on, nil
}

// openByTwo are the parts that two people open without the holder. What takes a word of
// its own, nobody says for her.
var openByTwo = []Part{PartIdentity, PartPortrait, PartDocument, PartPages, PartAttestations}

// Access tells on what the actor may read the attestations of a case, for the room that
// keeps them. ErrNotFound and ErrNotOpened as for a document.
func (v *Vault) Access(ctx context.Context, by audit.Actor, caseID string) (claims.Access, error) {
	r, on, err := v.readable(ctx, by, caseID, PartAttestations)
	if err == nil && r.ID != r.Case {
		return claims.Access{}, ErrNotFound
	}
	return on, err
}

// view is what the actor sees of a record that is open to him.
func (v *Vault) view(ctx context.Context, by audit.Actor, on claims.Access) (claims.View, error) {
	if on.Own {
		return claims.ViewOf(claims.Recipient{}, by.Roles(), on), nil
	}
	of, err := v.directory.Recipient(ctx, by.Agency)
	if err != nil {
		return claims.View{}, fmt.Errorf("vault: who reads: %w", err)
	}
	return claims.ViewOf(of, by.Roles(), on), nil
}

// reading is the entry of a reading. It is in the history before anything is released.
func (v *Vault) reading(ctx context.Context, r Record, by audit.Actor, kind string, as claims.Reader, on claims.Access, more facts) error {
	said := facts{"reader": as}
	if on.Purpose != "" {
		said["purpose"] = on.Purpose
	}
	maps.Copy(said, more)
	entry, err := v.entry(r, by, kind, said)
	if err != nil {
		return err
	}
	return v.store.Append(ctx, entry)
}

// Shared is where a record is that is shared with the actor's agency now. ErrNotFound for
// every other.
func (v *Vault) Shared(ctx context.Context, by audit.Actor, record string) (caseID, keeper string, err error) {
	r, _, err := v.shared(ctx, by, record)
	if err != nil {
		return "", "", err
	}
	return r.Case, r.Agency, nil
}

func (v *Vault) shared(ctx context.Context, by audit.Actor, record string) (Record, Shared, error) {
	if err := requireActor(by); err != nil {
		return Record{}, Shared{}, err
	}
	if !isID(record) {
		return Record{}, Shared{}, ErrNotFound
	}
	r, err := v.store.Record(ctx, record)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, Shared{}, err
	}
	// Also for a record that never was: it takes as long as another agency's.
	g, err := v.store.Grant(ctx, record, by.Agency)
	switch {
	case err != nil:
		return Record{}, Shared{}, err
	case g.Until.Before(v.today()) || r.Agency == by.Agency:
		return Record{}, Shared{}, ErrNotFound
	}
	g, err = v.stillAllowed(ctx, r, g)
	if err != nil {
		return Record{}, Shared{}, err
	}
	return r, g, nil
}

// TellOpened writes into the history of a case, for its holder, that a record was opened
// to the actor without her, why, and who agreed.
func (v *Vault) TellOpened(ctx context.Context, by audit.Actor, record string, purpose Purpose, agreed []string) error {
	r, _, err := v.shared(ctx, by, record)
	if err != nil {
		return err
	}
	entry, err := v.entry(r, by, "record.opened_by_two", facts{"purpose": purpose, "agreed": agreed})
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: tell that a record was opened: %w", err)
	}
	return nil
}

// AskAgain is where a record is of which the actor's agency has spent the day's openings,
// so that it may ask for one more. ErrMayOpen if it has some, also one that it was let and
// has not taken.
func (v *Vault) AskAgain(ctx context.Context, by audit.Actor, record string) (caseID, keeper string, err error) {
	r, _, err := v.shared(ctx, by, record)
	if err != nil {
		return "", "", err
	}
	grants, err := v.allowed(ctx, r.Case, by.Agency)
	if err != nil {
		return "", "", err
	}
	again, err := v.again(ctx, by.Agency, r.ID)
	if err != nil {
		return "", "", fmt.Errorf("vault: how often was it let: %w", err)
	}
	spent := slices.ContainsFunc(grants, func(g Shared) bool {
		return (g.Record == r.ID || r.ID == r.Case) && g.OpenedOn.Equal(v.today()) && g.Opened >= openingsADay+again
	})
	if !spent {
		return "", "", ErrMayOpen
	}
	return r.Case, r.Agency, nil
}

// TellAgain writes into the history of a case that somebody of its agency has let another
// one open a record once more today.
func (v *Vault) TellAgain(ctx context.Context, by audit.Actor, record, reader, asked string) error {
	r, err := v.store.Record(ctx, record)
	switch {
	case err != nil:
		return err
	case r.Agency != by.Agency:
		return ErrNotFound
	}
	entry, err := v.entry(r, by, "record.read_again", facts{"reader": reader, "asked": asked})
	if err == nil {
		err = v.store.Append(ctx, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: tell that a record may be opened again: %w", err)
	}
	return nil
}
