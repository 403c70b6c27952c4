package credentials

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// What an act says of an order, and what an order says. The order itself is about a
// person: the act holds its digest, and whoever is asked to agree is shown the order
// that has it. Whoever has the keys compares with it what is about to be signed (Says,
// SaysCard).

// Decision is what an act says of an attestation, in the form of people/roster's Issue.
type Decision struct {
	Case  string `json:"case"`
	Kind  string `json:"kind"`
	Level string `json:"level"` // DecisionLevel
	Order []byte `json:"order"` // SHA-256
}

// CardDecision is what an act says of a card, in the form of people/roster's Card.
type CardDecision struct {
	Case  string `json:"case"`
	Again bool   `json:"again"` // it takes a second pair of eyes
	Order []byte `json:"order"` // SHA-256
}

// Return is what an act says of a pause that is to end, in the form of people/roster's
// Resume.
type Return struct {
	Case   string  `json:"case"`
	Of     string  `json:"of"`   // id of the attestation or the card
	Kind   string  `json:"kind"` // of attestation, or KindCard
	Places []Place `json:"places"`
	Order  []byte  `json:"order"` // SHA-256
}

// Place is where the status of something stands.
type Place struct {
	List  uint16 `json:"list"`
	Index uint32 `json:"index"`
}

// attestationOrder is the one form of an order for an attestation.
type attestationOrder struct {
	Case       string          `json:"case"`
	Kind       claims.Kind     `json:"kind"`
	About      ID              `json:"about"`
	Claims     json.RawMessage `json:"claims"`
	Replaces   ID              `json:"replaces"`
	ValidUntil int64           `json:"valid_until"` // Unix seconds of the last day; 0 is the default of the kind
	Salt       string          `json:"salt"`        // keeps the digest from being guessed
}

// cardOrder is that of an order for a card. Status and decision level are those of the
// screening, so that people read them.
type cardOrder struct {
	Case                  string         `json:"case"`
	About                 ID             `json:"about"`
	TraffickingStatus     string         `json:"trafficking_status"`
	DecisionLevel         string         `json:"decision_level"`
	Name                  private.String `json:"name"` // as ordered
	BirthDate             private.String `json:"birth_date"`
	Sex                   int            `json:"sex"`
	Nationality           private.String `json:"nationality"`
	Portrait              []byte         `json:"portrait"` // SHA-256, or null
	MissionMayBeContacted bool           `json:"mission_may_be_contacted"`
	Replaces              ID             `json:"replaces"`
	ValidUntil            int64          `json:"valid_until"` // Unix seconds of the last day; 0 is as long as a card may be valid
	Salt                  string         `json:"salt"`
}

// returnOrder is that of an order to end a pause.
type returnOrder struct {
	Case   string `json:"case"`
	Of     ID     `json:"of"`
	Pause  string `json:"pause"` // the request that paused it: another pause is ended by another act
	Reason Reason `json:"reason"`
	Salt   string `json:"salt"`
}

// maxProposal bounds an order, in bytes.
const maxProposal = 300 << 10

// readOrder reads an order into a pointer, if it is the one that an act has the digest
// of.
func readOrder(data, digest []byte, order any) error {
	if sum := sha256.Sum256(data); string(sum[:]) != string(digest) {
		return fmt.Errorf("%w: the order is another one", ErrNotAgreed)
	}
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: maxProposal}, order); err != nil {
		return fmt.Errorf("decode the order: %w", err)
	}
	return nil
}

// readAttestation reads an order for an attestation, and what it states, and sees that
// the act names what it is.
func readAttestation(act approval.Act, data []byte) (o attestationOrder, stated claims.Claims, err error) {
	var d Decision
	if err := act.Read(&d); err != nil {
		return o, nil, err
	}
	if err := readOrder(data, d.Order, &o); err != nil {
		return o, nil, err
	}
	if stated, err = claims.Decode(o.Kind, o.Claims); err != nil {
		return o, nil, err
	}
	if d.Case != o.Case || d.Kind != string(o.Kind) || d.Level != DecisionLevel(stated) {
		return o, nil, fmt.Errorf("%w: the act is about another order", ErrNotAgreed)
	}
	return o, stated, nil
}

// readCard is readAttestation for a card.
func readCard(act approval.Act, data []byte) (o cardOrder, again bool, err error) {
	var d CardDecision
	if err := act.Read(&d); err != nil {
		return o, false, err
	}
	if err := readOrder(data, d.Order, &o); err != nil {
		return o, false, err
	}
	if d.Case != o.Case {
		return o, false, fmt.Errorf("%w: the act is about another order", ErrNotAgreed)
	}
	return o, d.Again, nil
}

// readReturn is readAttestation for a pause that is to end.
func readReturn(act approval.Act, data []byte) (o returnOrder, r Return, err error) {
	if err := act.Read(&r); err != nil {
		return o, r, err
	}
	if err := readOrder(data, r.Order, &o); err != nil {
		return o, r, err
	}
	if r.Case != o.Case || r.Of != string(o.Of) {
		return o, r, fmt.Errorf("%w: the act is about another order", ErrNotAgreed)
	}
	return o, r, nil
}

// errSays says that what is to be signed is not what people agreed to.
var errSays = fmt.Errorf("%w: it says something else", ErrNotAgreed)

// Says tells whether an attestation that is about to be signed says what an order says,
// whose digest an act names: all of that, and nothing beside it but who issues it, its
// own id and its place in a list. It does not ask who has agreed to the act, nor when.
func Says(act approval.Act, order []byte, c *sdjwt.Claims) error {
	o, stated, err := readAttestation(act, order)
	if err != nil {
		return err
	}
	var want map[string]any
	if err := strictjson.Unmarshal(o.Claims, strictjson.Limits{Size: maxProposal}, &want); err != nil {
		return fmt.Errorf("decode the order: %w", err)
	}
	want["kind"] = string(o.Kind)
	if o.About != "" {
		want["about"] = string(o.About)
	}
	if o.Replaces != "" {
		want["supersedes"] = string(o.Replaces)
	}
	got := maps.Clone(c.Payload())
	for _, its := range []string{"iss", "iat", "exp", "vct", "status", "attestation_id"} {
		if _, ok := got[its]; !ok {
			return errSays
		}
		delete(got, its)
	}
	issued := day(c.IssuedAt())
	last, err := lastDay(stated, o.ValidUntil, issued)
	if err != nil {
		return err
	}
	if !c.IssuedAt().Equal(issued) || !c.Expires().Equal(last.AddDate(0, 0, 1)) || !reflect.DeepEqual(got, want) {
		return errSays
	}
	return nil
}

// lastDay is the last day of an attestation: the one that was ordered, or what its kind
// has.
func lastDay(stated claims.Claims, ordered int64, issued time.Time) (time.Time, error) {
	if ordered > 0 {
		return day(time.Unix(ordered, 0)), nil
	}
	last, err := claims.LastDay(stated, claims.NewDay(issued))
	if err != nil {
		return time.Time{}, err
	}
	on, ok := last.Time()
	if !ok {
		return time.Time{}, errSays
	}
	return on, nil
}

// SaysCard is Says for a card that carries the screening with an id, "" for none. Its
// handle, its place in a list and the day on which it ends, where none was ordered, are
// its own.
func SaysCard(act approval.Act, order []byte, c card.Claims, about ID) error {
	o, _, err := readCard(act, order)
	switch {
	case err != nil:
		return err
	case o.About != about, (o.TraffickingStatus == "") != (c.Status == 0), (o.DecisionLevel == "") != (c.DecisionLevel == 0):
		return errSays
	}
	name := card.Transcribe(o.Name.Reveal())
	if c.NamesShortened && card.Shortens(name, c.Name.Reveal()) {
		name = c.Name.Reveal()
	}
	want := card.Claims{
		IssuedAt: c.IssuedAt, Expires: c.Expires, Handle: c.Handle, List: c.List, Index: c.Index, NamesShortened: c.NamesShortened,
		Name: private.New(name), BirthDate: o.BirthDate, Sex: o.Sex, Nationality: o.Nationality,
		Status: claims.CardStatus(o.TraffickingStatus), DecisionLevel: claims.CardDecisionLevel(o.DecisionLevel),
		MissionMayBeContacted: o.MissionMayBeContacted,
	}
	if len(o.Portrait) == sha256.Size {
		want.Portrait = o.Portrait[:16]
	}
	if o.ValidUntil > 0 {
		want.Expires = day(time.Unix(o.ValidUntil, 0)).AddDate(0, 0, 1)
	}
	if !sameCard(want, c) {
		return errSays
	}
	return nil
}

// sameCard compares all that cards say. Texts and times have several forms in memory,
// and one each to the eye.
func sameCard(a, b card.Claims) bool {
	same := a.IssuedAt.Equal(b.IssuedAt) && a.Expires.Equal(b.Expires) && a.Name.Equal(b.Name) && a.BirthDate.Equal(b.BirthDate) &&
		a.Nationality.Equal(b.Nationality) && string(a.Portrait) == string(b.Portrait)
	a.IssuedAt, a.Expires, a.Name, a.BirthDate, a.Nationality, a.Portrait = b.IssuedAt, b.Expires, b.Name, b.BirthDate, b.Nationality, b.Portrait
	return same && reflect.DeepEqual(a, b)
}
