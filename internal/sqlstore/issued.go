package sqlstore

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
)

// issuedForm is what was issued, as the body of its case has it: an attestation or a card,
// without its token, which is a cell of the case. The numbers of the members are kept, so
// that a body can be read for ever.
type issuedForm struct {
	ID       compact   `cbor:"1,keyasint"`
	Kind     string    `cbor:"2,keyasint"`
	Agency   compact   `cbor:"3,keyasint"`
	About    compact   `cbor:"4,keyasint,omitzero"`
	Replaces compact   `cbor:"5,keyasint,omitzero"`
	State    stateForm `cbor:"6,keyasint"`
	List     uint16    `cbor:"7,keyasint"`
	Index    uint32    `cbor:"8,keyasint"`
	Digest   [32]byte  `cbor:"9,keyasint"`
	// Days since 1970; Review is 0 where there is none.
	Issued  int64 `cbor:"10,keyasint"`
	Until   int64 `cbor:"11,keyasint"`
	Review  int64 `cbor:"12,keyasint,omitempty"`
	Matched bool  `cbor:"13,keyasint,omitempty"`
	// Token is the cell with the signed token.
	Token     ref     `cbor:"14,keyasint,omitzero"`
	Receipt   []byte  `cbor:"15,keyasint,omitempty"`
	Request   compact `cbor:"16,keyasint,omitzero"`
	Change    compact `cbor:"17,keyasint,omitzero"`
	Contested string  `cbor:"18,keyasint,omitempty"`
	// Agreed is the cell with the act by which it is in use again.
	Agreed ref       `cbor:"19,keyasint,omitzero"`
	Card   *cardForm `cbor:"20,keyasint,omitempty"`
}

// cardForm is what is kept of a card.
type cardForm struct {
	Epoch       uint32   `cbor:"1,keyasint"`
	Number      [16]byte `cbor:"2,keyasint"`
	Handle      [16]byte `cbor:"3,keyasint"`
	Nationality [16]byte `cbor:"4,keyasint"`
	Holder      [16]byte `cbor:"5,keyasint"`
	OpenKey     []byte   `cbor:"6,keyasint,omitempty"`
	Salt        []byte   `cbor:"7,keyasint,omitempty"`
	Contact     bool     `cbor:"8,keyasint,omitempty"`
}

// stateForm numbers states.
type stateForm uint8

// states has each at its number. 0 is none, so that a state that is missing is not read as
// one.
var states = []credentials.State{
	1: credentials.Draft, 2: credentials.Active, 3: credentials.Paused, 4: credentials.Replaced, 5: credentials.Withdrawn, 6: credentials.Abandoned,
}

func stateOf(s credentials.State) stateForm {
	return stateForm(max(0, slices.Index(states, s))) //nolint:gosec // a few
}

// state is "", which nothing is allowed in, for a number that is no state's.
func (f stateForm) state() credentials.State {
	if int(f) < len(states) {
		return states[f]
	}
	return ""
}

// formOf is a draft as it is reserved.
func formOf(d credentials.Issued) issuedForm {
	f := issuedForm{
		ID: compact(d.ID), Kind: string(d.Kind), Agency: compact(d.Agency), About: compact(d.About), Replaces: compact(d.Replaces),
		State: stateOf(credentials.Draft), List: d.List, Index: d.Index, Digest: d.Digest,
		Issued: toDay(d.IssuedOn), Until: toDay(d.ValidUntil), Review: dayOrNone(d.ReviewBy), Matched: d.Matched,
		Request: compact(d.RequestKey), Contested: string(d.Contested),
	}
	if c := d.Card; c != nil {
		f.Card = &cardForm{Epoch: c.Epoch, Number: c.Number, Handle: c.Handle, Nationality: c.Nationality, Holder: c.Holder, Contact: c.Contact}
	}
	return f
}

// issued is what the form says, of a case. The token is not among it.
func (f *issuedForm) issued(caseID string) credentials.Issued {
	d := credentials.Issued{
		ID: credentials.ID(f.ID), Kind: claims.Kind(f.Kind), Case: caseID, Agency: string(f.Agency),
		About: credentials.ID(f.About), Replaces: credentials.ID(f.Replaces), State: f.State.state(),
		List: f.List, Index: f.Index, Digest: f.Digest, IssuedOn: fromDay(f.Issued), ValidUntil: fromDay(f.Until),
		Receipt: f.Receipt, RequestKey: string(f.Request), ChangeKey: string(f.Change), Contested: credentials.Objection(f.Contested), Matched: f.Matched,
	}
	if f.Review != 0 {
		d.ReviewBy = fromDay(f.Review)
	}
	if c := f.Card; c != nil {
		d.Card = &credentials.CardFacts{
			Epoch: c.Epoch, Number: c.Number, Handle: c.Handle, Nationality: c.Nationality, Holder: c.Holder,
			OpenKey: c.OpenKey, Contact: c.Contact, Salt: c.Salt,
		}
	}
	return d
}

func dayOrNone(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return toDay(t)
}

// hints are the rows of names that lead to it.
func (f *issuedForm) hints(k *sealer, caseID string) []hint {
	to := lead{caseID, string(f.ID)}
	all := []hint{k.single(to, ledIssued, string(f.ID))}
	if f.Request != "" {
		all = append(all, k.single(to, ledRequest, string(f.Request)))
	}
	if f.Card != nil {
		all = append(all, k.single(to, ledNumber, string(f.Card.Number[:])), k.single(to, ledHandle, string(f.Card.Handle[:])))
	}
	return all
}

// refs are its cells.
func (f *issuedForm) refs() (all []ref) {
	for _, r := range []ref{f.Token, f.Agreed} {
		if r != (ref{}) {
			all = append(all, r)
		}
	}
	return all
}

const (
	// tokenLeast is the smallest size of a token's cell. It holds those of every kind,
	// a screening with all that it may say as well: 10 kB with what age adds. With its name
	// it fills three pages of SQLite's beside what lies in the row, and no fourth.
	tokenLeast = 13_052
	// agreedLeast is that of the act by which something is in use again.
	agreedLeast = 4 << 10
)

// compact is an id or a hash in hex, of which CBOR has the bytes. What is no such text is
// kept as it is.
type compact string

// MarshalCBOR writes bytes, or text.
func (c compact) MarshalCBOR() ([]byte, error) {
	if raw, err := hex.DecodeString(string(c)); err == nil && hex.EncodeToString(raw) == string(c) {
		return bodyEncoding.Marshal(raw)
	}
	return bodyEncoding.Marshal(string(c))
}

// UnmarshalCBOR reads what MarshalCBOR wrote.
func (c *compact) UnmarshalCBOR(data []byte) error {
	raw, text, err := bytesOrText(data)
	if *c = compact(text); raw != nil {
		*c = compact(hex.EncodeToString(raw))
	}
	return err
}

// bytesOrText reads what is one of both; raw is nil for a text.
func bytesOrText(data []byte) (raw []byte, text string, err error) {
	const bytesType = 2 // RFC 8949, 3.1
	if len(data) > 0 && data[0]>>5 == bytesType {
		err = bodyDecoding.Unmarshal(data, &raw)
		return raw, "", err
	}
	err = bodyDecoding.Unmarshal(data, &text)
	return nil, text, err
}

// By what something that was issued is found.
const (
	ledIssued  = "issued"
	ledRequest = "request"
	ledNumber  = "card number"
	ledHandle  = "card handle"
)
