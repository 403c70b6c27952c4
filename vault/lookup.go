package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// indexLabel names the index of document numbers and its version. sameLabel names
// what tells that one document is recorded in two cases: another key of the hash, so
// that nothing there is found by a look-up, and no consent to be found is asked.
const (
	indexLabel = "safeconduct/number-index/1"
	sameLabel  = "safeconduct/same-document/1"
)

// The cost of one place in the index (docs/threat-model.md, Document numbers):
// document numbers are so few that a keyed hash alone could be tried through
// by whoever steals the key.
const (
	indexTime   = 2
	indexMemory = 19 << 10 // KiB
	indexLength = 16       // bytes; a truncated keyed hash is enough to find
)

// How many look-ups there are in a day, by whom. All agencies together have no budget,
// which a few of them could spend for everybody; beyond LookUpsWatched there is an alarm.
const (
	LookUpsPerOfficer = 30
	LookUpsPerAgency  = 300
	LookUpsWatched    = 2000
)

// Query asks whether a document is known. Whoever holds the paper holds all of
// it, and so the answer says nothing.
type Query struct {
	Kind      string
	State     string         // three letters
	Number    private.String // as printed
	BirthDate private.String // YYMMDD as in a machine-readable zone
}

// Receipt is the answer to a look-up.
type Receipt string

// Received is always and only the answer: if a record exists, its keeper has
// been told.
const Received Receipt = "received"

func (q Query) check() error {
	var c invalid.Checker
	c.OneOf("/kind", q.Kind, claims.Values("document_kind"), invalid.Required)
	c.Country("/issuing_state", q.State, invalid.Required)
	checkNumber(&c, "/document_number", q.Number, invalid.Required)
	if b := q.BirthDate.Reveal(); len(b) != 6 || strings.Trim(b, "0123456789<") != "" {
		c.Add("/birth_date", invalid.CodeFormat, "is YYMMDD as in a machine-readable zone")
	}
	return c.Err()
}

// lookUpOrder is the one form of a query that waits for people to agree.
type lookUpOrder struct {
	Kind      string         `json:"kind"`
	State     string         `json:"issuing_state"`
	Number    private.String `json:"document_number"`
	BirthDate private.String `json:"birth_date"`
	Salt      string         `json:"salt"` // keeps the digest from being guessed
}

// ProposeLookUp checks a query, spends the asker's budget, looks nothing up, and seals
// the query to the asker's agency: what people agree to is the one that has the digest.
func (v *Vault) ProposeLookUp(ctx context.Context, by audit.Actor, q Query) (digest, sealed []byte, err error) {
	if err := v.maySpend(ctx, by, q); err != nil {
		return nil, nil, err
	}
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // never returns an error
	data, err := private.RevealJSON(lookUpOrder{q.Kind, q.State, q.Number, q.BirthDate, base64.RawURLEncoding.EncodeToString(salt[:])})
	if err != nil {
		return nil, nil, fmt.Errorf("vault: propose a look-up: %w", err)
	}
	if sealed, err = v.sealTo(ctx, by.Agency, data); err != nil {
		return nil, nil, fmt.Errorf("vault: propose a look-up: %w", err)
	}
	sum := sha256.Sum256(data)
	return sum[:], sealed, nil
}

// Proposed opens a query that waits, for an actor of the agency that asks.
func (v *Vault) Proposed(ctx context.Context, by audit.Actor, digest, sealed []byte) ([]byte, error) {
	data, err := v.openTo(ctx, by.Agency, sealed)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); !slices.Equal(sum[:], digest) {
		return nil, ErrIntegrity
	}
	return data, nil
}

// DecideLookUp looks up what was agreed to.
func (v *Vault) DecideLookUp(ctx context.Context, by audit.Actor, digest, sealed []byte) (Receipt, error) {
	data, err := v.Proposed(ctx, by, digest, sealed)
	if err != nil {
		return "", err
	}
	var o lookUpOrder
	if err := json.Unmarshal(data, &o); err != nil { // it has the digest, and so it was written here
		return "", ErrIntegrity
	}
	return v.find(ctx, by, Query{o.Kind, o.State, o.Number, o.BirthDate})
}

// LookUp tells the keepers of a document that somebody asked for it, and the
// one who asks nothing: for every well-formed query the answer is Received,
// found or not, and both take the same way. Errors are about the query, the
// budget and the service; none depends on what is kept.
//
// A state that has several codes is asked for by all of them, and a birth date
// by itself, its month and its year, because whoever typed the record may have
// known no more. How much work that is, the query alone decides.
func (v *Vault) LookUp(ctx context.Context, by audit.Actor, q Query) (Receipt, error) {
	if err := v.maySpend(ctx, by, q); err != nil {
		return "", err
	}
	return v.find(ctx, by, q)
}

// maySpend checks a query, and spends the budget before any work, so that a flood buys
// no Argon2id and nobody's attention.
func (v *Vault) maySpend(ctx context.Context, by audit.Actor, q Query) error {
	if err := requireActor(by); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	err := v.store.Spend(ctx, v.today(), Budget{"actor:" + by.ID, LookUpsPerOfficer}, Budget{"agency:" + by.Agency, LookUpsPerAgency})
	if err != nil {
		return fmt.Errorf("vault: look up: %w", err)
	}
	return nil
}

// find is LookUp without the budget.
func (v *Vault) find(ctx context.Context, by audit.Actor, q Query) (Receipt, error) {
	var places [][]byte
	for _, state := range claims.StateCodes(q.State) {
		for _, birth := range coarser(q.BirthDate.Reveal()) {
			place, err := v.place(ctx, indexLabel, q.Kind, state, q.Number.Reveal(), birth)
			if err != nil {
				return "", fmt.Errorf("vault: look up: %w", err)
			}
			places = append(places, place)
		}
	}
	found, err := v.store.FindNumber(ctx, places)
	if err != nil {
		return "", fmt.Errorf("vault: look up: %w", err)
	}
	entries, err := v.tell(by, found)
	if err != nil {
		return "", fmt.Errorf("vault: look up: %w", err)
	}
	if err := v.store.Tell(ctx, entries...); err != nil {
		return "", fmt.Errorf("vault: look up: %w", err)
	}
	return Received, nil
}

// tell makes the entries of a look-up: one that counts it, and one for the
// keeper. Where there is no keeper an entry of the same work takes its place,
// so that neither time nor the number of leaves says whether there is one. A
// second keeper of the same number is so rare that its entry stays visible.
func (v *Vault) tell(by audit.Actor, found []Record) ([]audit.Entry, error) {
	counted, err := v.plainEntry("look_up.counted", facts{"agency": by.Agency})
	if err != nil {
		return nil, err
	}
	entries := []audit.Entry{counted}
	for _, r := range found {
		// An error here would say that there is a record.
		if e, err := v.entry(r, by, "number.looked_up", nil); err == nil {
			entries = append(entries, e)
		}
	}
	if len(entries) > 1 {
		return entries, nil
	}
	nobody := Record{ID: newID(), CaseRecipient: v.decoy}
	if _, err := v.entry(nobody, by, "number.looked_up", nil); err != nil {
		return nil, err
	}
	filler, err := v.plainEntry("look_up.filler", facts{})
	if err != nil {
		return nil, err
	}
	return append(entries, filler), nil
}

// SetFindable records whether the holder agrees that she is told when somebody
// asks for her document's number. Without it, which is the default, her
// documents are in no index; taking it back takes them out.
func (v *Vault) SetFindable(ctx context.Context, by audit.Actor, caseID string, findable bool) error {
	c, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	defer v.cases.lock(c.Case)()

	index := map[string][][]byte{}
	if findable {
		c.Findable = true
		records, err := v.store.Records(ctx, caseID)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.ID == r.Case {
				continue
			}
			d, _, err := v.openDocument(ctx, r, by.Agency)
			if err != nil {
				return err
			}
			if index[r.ID], err = v.placesOf(ctx, c, d); err != nil {
				return err
			}
		}
	}
	entry, err := v.entry(c, by, "case.findable", facts{"agreed": findable})
	if err == nil {
		err = v.store.SetFindable(ctx, caseID, findable, index, entry)
	}
	if err != nil {
		return fmt.Errorf("vault: set findable: %w", err)
	}
	return nil
}

// placesOf is a document's places in the index: for what was typed and for what
// the machine-readable zone says, in every combination, because whoever asks may
// read either. None without the holder's consent, without a number or without a
// year of birth.
func (v *Vault) placesOf(ctx context.Context, r Record, d Document) ([][]byte, error) {
	if !r.Findable {
		return nil, nil
	}
	return v.placesUnder(ctx, indexLabel, d, func(state string) string { return state })
}

// sameOf is by what a document is known again in another case, whoever keeps that:
// the places of its number, as above, with one code for each state. Dates count as
// they stand: a year and a day of that year are two documents here, because a place
// of a year would give back most of what the date adds.
func (v *Vault) sameOf(ctx context.Context, d Document) ([][]byte, error) {
	return v.placesUnder(ctx, sameLabel, d, claims.State)
}

func (v *Vault) placesUnder(ctx context.Context, label string, d Document, code func(state string) string) ([][]byte, error) {
	states := []string{d.IssuingState}
	numbers := []string{normalNumber(d.Number.Reveal())}
	births := []string{zoneDate(d.BirthDate)}
	if zone, err := d.Zone(); err == nil && zone.Format != "" {
		if state := zone.State.Reveal(); claims.State(state) != claims.State(d.IssuingState) {
			states = append(states, state)
		}
		numbers = append(numbers, normalNumber(zone.Number.Reveal()))
		births = append(births, zone.BirthDate.Reveal())
	}
	var places [][]byte
	for i := range states {
		states[i] = code(states[i])
	}
	for _, state := range distinct(states) {
		for _, number := range distinct(numbers) {
			for _, birth := range distinct(births) {
				place, err := v.place(ctx, label, d.Kind, state, number, birth)
				if err != nil {
					return nil, fmt.Errorf("vault: index: %w", err)
				}
				places = append(places, place)
			}
		}
	}
	return places, nil
}

// distinct leaves out what is empty and what was there before. What is typed
// stays first.
func distinct(values []string) (kept []string) {
	for _, v := range values {
		if v != "" && !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// coarser is a date as a machine-readable zone has it, as it is and as somebody
// knows it who knows the month or the year only.
func coarser(birth string) []string {
	return slices.Compact([]string{birth, birth[:4] + "<<", birth[:2] + "<<<<"})
}

// argon2id is a variable so that test runs can make it cheap (light.go).
var argon2id = argon2.IDKey

// place computes a place in the index: the first 16 bytes of
// MAC(label, Argon2id(kind, state, number, birth; salt)), the salt being the
// first 16 bytes of SHA-256(label ‖ network id).
func (v *Vault) place(ctx context.Context, label, kind, state, number, birth string) ([]byte, error) {
	select {
	case v.argon <- struct{}{}:
		defer func() { <-v.argon }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	salt := sha256.Sum256([]byte(label + v.network))
	secret := card.LengthPrefixed("", kind, state, normalNumber(number), birth)
	stretched := argon2id(secret, salt[:16], indexTime, v.indexMemory, 1, 32)
	mac, err := v.keys.MAC(ctx, label, stretched)
	if err != nil {
		return nil, err
	}
	// A keeper that gives back what it was given keyed nothing.
	if len(mac) != sha256.Size || slices.Equal(mac, stretched) {
		return nil, ErrKeeper
	}
	return mac[:indexLength], nil
}

// normalNumber is a document number as it is compared: letters and digits
// only, upper case.
func normalNumber(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if isAlnum(rune(s[i])) {
			b.WriteByte(s[i])
		}
	}
	return strings.ToUpper(b.String())
}

// zoneDate writes YYYY, YYYY-MM or YYYY-MM-DD as a machine-readable zone does,
// with fillers for what is unknown (ICAO Doc 9303-3 §4.8).
func zoneDate(date private.String) string {
	s := strings.ReplaceAll(date.Reveal(), "-", "")
	if len(s) < 4 {
		return ""
	}
	return s[2:] + strings.Repeat("<", 8-min(len(s), 8))
}
