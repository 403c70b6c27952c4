package vault

import (
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
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
