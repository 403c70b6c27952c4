package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
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

// How long a nonce lives, and how far a device's clock may be off
// (docs/card.md, Opening a record online).
const (
	nonceLife = 2 * time.Minute
	clockSkew = 5 * time.Minute
)

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
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never returns an error
	c := Challenge{base64.RawURLEncoding.EncodeToString(nonce[:]), v.now().UTC().Truncate(time.Second).Add(nonceLife)}
	err := v.store.AddNonce(ctx, Nonce{Nonce: c.Nonce, Actor: by.ID, Agency: by.Agency, Expires: c.Expires}, v.now())
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

// openingLabel is the first field of the message, and its version.
const openingLabel = "safeconduct/open/1"

// OpeningMessage is what a device signs for an agency: the label
// safeconduct/open/1 and then nonce, device, agency, record, purpose, parts
// joined by commas, and minute in decimal, each with its length in bytes in
// front of it as four bytes, big-endian. The label has no length in front.
// The signature of o is not part of it.
func OpeningMessage(o Opening, agency string) []byte {
	parts := make([]string, len(o.Parts))
	for i, p := range o.Parts {
		parts[i] = string(p)
	}
	return lengthPrefixed(openingLabel, o.Nonce, o.Device, agency, o.Record, string(o.Purpose),
		strings.Join(parts, ","), strconv.FormatInt(o.Minute, 10))
}

// lengthPrefixed is label ‖ for each field its length in four bytes ‖ field.
// No two lists of fields give the same bytes.
func lengthPrefixed(label string, fields ...string) []byte {
	b := []byte(label)
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f))) //nolint:gosec // fields are far below 4 GiB
		b = append(b, f...)
	}
	return b
}

// check lists what is wrong with an opening.
func (o Opening) check(now time.Time) error {
	var c invalid.Checker
	c.Must(o.Device != "" && len(o.Device) <= 64, "/device", invalid.CodeFormat, "is a device's id")
	o.Purpose.check(&c)
	checkParts(&c, o.Parts)
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

// OpenRecord opens a record to the actor's agency for the rest of the day,
// UTC. openKey is the public key of the card that was read, and the caller has
// made sure that this card belongs to the case of the record.
//
// The nonce is spent whatever comes of it. Without a live grant of something
// that the opening would open the answer is ErrNotFound, also when the
// signature is good; the holder then sees the try in her history.
func (v *Vault) OpenRecord(ctx context.Context, by audit.Actor, o Opening, openKey ed25519.PublicKey) (expires time.Time, err error) {
	if err := requireActor(by); err != nil {
		return time.Time{}, err
	}
	now := v.now().UTC()
	nonce, err := v.store.TakeNonce(ctx, o.Nonce)
	switch {
	case errors.Is(err, ErrNotFound):
		return time.Time{}, ErrNonce
	case err != nil:
		return time.Time{}, fmt.Errorf("vault: open a record: %w", err)
	case nonce.Actor != by.ID || nonce.Agency != by.Agency || nonce.About != "" || !now.Before(nonce.Expires):
		return time.Time{}, ErrNonce
	}
	if err := o.check(now); err != nil {
		return time.Time{}, err
	}
	if len(openKey) != ed25519.PublicKeySize || !ed25519.Verify(openKey, OpeningMessage(o, by.Agency), o.Signature) {
		return time.Time{}, ErrSignature
	}
	if !isID(o.Record) {
		return time.Time{}, ErrNotFound
	}
	r, err := v.store.Record(ctx, o.Record)
	if err != nil {
		return time.Time{}, err
	}
	grants, err := v.live(v.store.Grants(ctx, r.Case))
	if err != nil {
		return time.Time{}, err
	}
	shared := slices.ContainsFunc(grants, func(s Shared) bool {
		return s.Agency == by.Agency && (s.Record == r.ID || r.ID == r.Case)
	})
	kind := "record.opened"
	if !shared && r.Agency != by.Agency {
		kind = "opening.refused"
	}
	entry, err := v.entry(r, by, kind, facts{"device": o.Device, "purpose": o.Purpose, "parts": o.Parts, "minute": o.Minute})
	if err != nil {
		return time.Time{}, err
	}
	if kind == "opening.refused" {
		if err := v.store.Append(ctx, entry); err != nil {
			return time.Time{}, fmt.Errorf("vault: open a record: %w", err)
		}
		return time.Time{}, ErrNotFound
	}
	opened := Opened{ID: newID(), Record: r.ID, Case: r.Case, Agency: by.Agency, Parts: o.Parts, Day: v.today()}
	if err := v.store.AddOpening(ctx, opened, entry); err != nil {
		return time.Time{}, fmt.Errorf("vault: open a record: %w", err)
	}
	return opened.Day.AddDate(0, 0, 1), nil
}

// readable finds a record that the actor may read one of some parts of, as its owner, or
// with a live grant and an opening of today, and on what.
func (v *Vault) readable(ctx context.Context, by audit.Actor, id string, parts ...Part) (Record, claims.Access, error) {
	if err := requireActor(by); err != nil {
		return Record{}, claims.Access{}, err
	}
	if !isID(id) {
		return Record{}, claims.Access{}, ErrNotFound
	}
	r, err := v.store.Record(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, claims.Access{}, err
	}
	if err == nil && r.Agency == by.Agency {
		return r, claims.Access{Own: true}, nil
	}
	// Also for a record that never was: it takes as long as another agency's.
	g, err := v.store.Grant(ctx, id, by.Agency)
	if err != nil {
		return Record{}, claims.Access{}, err
	}
	today := v.today()
	if g.Until.Before(today) {
		return Record{}, claims.Access{}, ErrNotFound
	}
	openings, err := v.store.Openings(ctx, r.Case, by.Agency, today)
	if err != nil {
		return Record{}, claims.Access{}, err
	}
	on := claims.Access{Purpose: string(g.Purpose)}
	for _, o := range openings {
		if o.Record == r.ID || o.Record == r.Case {
			on.Parts = append(on.Parts, o.Parts...)
		}
	}
	isOpen := func(p Part) bool { return slices.Contains(on.Parts, p) }
	if slices.ContainsFunc(parts, func(p Part) bool { return !isOpen(p) }) {
		open, err := v.byTwo(ctx, by, r.ID)
		if err != nil {
			return Record{}, claims.Access{}, fmt.Errorf("vault: ask who has opened it: %w", err)
		}
		if open {
			on.Parts = append(on.Parts, openByTwo...)
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

// Shared is where a record is that is shared with the actor's agency now, so that people
// may agree to open it without its holder. ErrNotFound for every other.
func (v *Vault) Shared(ctx context.Context, by audit.Actor, record string) (caseID, keeper string, err error) {
	if err := requireActor(by); err != nil {
		return "", "", err
	}
	if !isID(record) {
		return "", "", ErrNotFound
	}
	r, err := v.store.Record(ctx, record)
	if err != nil {
		return "", "", err
	}
	g, err := v.store.Grant(ctx, r.ID, by.Agency)
	switch {
	case err != nil:
		return "", "", err
	case g.Until.Before(v.today()) || r.Agency == by.Agency:
		return "", "", ErrNotFound
	}
	return r.Case, r.Agency, nil
}

// TellOpened writes into the history of a case, for its holder, that a record was opened
// to the actor without her, why, and who agreed.
func (v *Vault) TellOpened(ctx context.Context, by audit.Actor, record string, purpose Purpose, agreed []string) error {
	if _, _, err := v.Shared(ctx, by, record); err != nil {
		return err
	}
	r, err := v.store.Record(ctx, record)
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
