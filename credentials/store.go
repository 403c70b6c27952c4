package credentials

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
)

// Conditions that a caller can act on.
var (
	ErrNotFound      = errors.New("credentials: no such record")
	ErrNotAllowed    = errors.New("credentials: not allowed for this agency")
	ErrConflict      = errors.New("credentials: the state does not allow this")
	ErrInFlight      = errors.New("credentials: the same request is still being worked on")
	ErrCodeShown     = errors.New("credentials: this card was made already, and its code is shown only once")
	ErrIndexTaken    = errors.New("credentials: status index is taken")
	ErrListFull      = errors.New("credentials: status list is closed to new entries")
	ErrKeyUsed       = errors.New("credentials: request key was used before")
	ErrSettled       = errors.New("credentials: the draft was given up meanwhile")
	ErrChanged       = errors.New("credentials: somebody else changed the case or the list meanwhile")
	ErrUnknownAction = errors.New("credentials: unknown status change")
	ErrKind          = errors.New("credentials: the agency signs no attestations of this kind")
	ErrSupervisor    = errors.New("credentials: a supervisor has to make this card")
	ErrQuota         = errors.New("credentials: the agency has made as many cards as it may")
	ErrLevel         = errors.New("credentials: the agency signs no decisions of this level")
	ErrCode          = errors.New("credentials: not number and code of a card in use of this case")
)

// ID names an attestation or a card: 128 random bits, 32 hex digits. It holds
// no time and no meaning.
type ID string

// KindCard is the kind of a card, which carries claims of other kinds and has
// none of its own.
const KindCard claims.Kind = "card"

// State is where an attestation or a card stands with its issuer. Being past
// its date is no state of its own: ValidUntil says it.
type State string

// The states.
const (
	Draft     State = "draft"     // written down; perhaps signed, never released
	Active    State = "active"    // signed and released
	Paused    State = "paused"    // for now
	Replaced  State = "replaced"  // by a newer one
	Withdrawn State = "withdrawn" // for good; says nothing about the person
	Abandoned State = "abandoned" // a draft that a crash or an error left behind
)

// Issued is an attestation or a card as the store keeps it: without personal
// data, except as ciphertext.
type Issued struct {
	ID       ID
	Kind     claims.Kind
	Case     string
	Agency   string // whose key signs
	About    ID     // opinion, reliance, reply: what they are about; card: the screening it carries
	Replaces ID     // the one that this one replaces
	State    State

	List  uint16
	Index uint32
	// Digest is the SHA-256 of the exact bytes that were to be signed. It is
	// written before the key is used.
	Digest [32]byte
	// IssuedOn, ValidUntil and ReviewBy are midnights UTC. ValidUntil is the
	// one after the last day, as exp is; ReviewBy may be zero.
	IssuedOn, ValidUntil, ReviewBy time.Time
	// Sealed is the signed token, encrypted to the case, of what is about to be stored.
	// Then the store has it (Token). Cards have none: a card exists on paper alone.
	Sealed []byte
	// Receipt says what was signed, by whoever has the key: it shows later that the
	// place of it may change. Nil where the keys are not in a process of their own.
	Receipt []byte
	// RequestKey makes a repeated request find what the first one did; a
	// keyed or plain hash, never the caller's own key. Empty: none.
	RequestKey string
	// ChangeKey is the RequestKey of the request that last changed the status.
	ChangeKey string
	// Contested says why the agency that keeps the case contests an answer; empty where
	// it does not.
	Contested Objection
	// Matched says that a reply confirms the person's identity, so that it
	// shows in the answers list.
	Matched bool
	Card    *CardFacts // of a card only
}

// CardFacts is what the service keeps of a card. The code is not among it.
type CardFacts struct {
	Epoch uint32
	// Number, Handle and Nationality are keyed hashes.
	Number, Handle, Nationality [16]byte
	// Holder is a keyed hash of the name, bound to the case: two cards of a case
	// are seen to be in one name, and cards of two cases are not. Zero for cards
	// from before it was kept.
	Holder [16]byte
	// OpenKey checks a holder's consent to open a record: an Ed25519 public
	// key, docs/card.md, Opening a record online. It is known once the card
	// is sealed.
	OpenKey []byte
	// Contact is whether the card says that a mission may be contacted. False for cards
	// from before it was kept.
	Contact bool
	// Salt is that of the code's stretch: with it number and code can be known
	// again without the card. Cards from before it was kept have none.
	Salt []byte
}

// Change moves one record from any of the states From to another. A record that
// stands in To already stays untouched; whether it may is up to From all the
// same.
type Change struct {
	ID   ID
	From []State
	To   State
	// RequestKey is that of the request that asked for it; empty: none.
	RequestKey string
	// Agreed is what people agreed to, of a pause that ends: what shows to whoever has
	// the keys that a place may be in use again.
	Agreed *Approval
}

// Limit is how many cards an agency may make in so many days, today among them.
type Limit struct{ Days, Cards int }

// Seen is how a case stood when somebody worked out what a change means for its
// other records. A store that finds it otherwise answers ErrChanged: another
// process was at the same case.
type Seen struct {
	Case string
	Sum  [32]byte
}

// See sums up the records of a case. Drafts are not among them: nothing follows
// from what was never released.
func See(caseID string, related []Issued) *Seen {
	var stand []string
	for _, d := range related {
		if d.State != Draft && d.State != Abandoned {
			stand = append(stand, string(d.ID)+" "+string(d.State)+" "+string(d.Contested)+"\n")
		}
	}
	slices.Sort(stand)
	return &Seen{Case: caseID, Sum: sha256.Sum256([]byte(strings.Join(stand, "")))}
}

// Completion is what is known once a draft was signed.
type Completion struct {
	ID      ID
	Sealed  []byte // the signed token, encrypted to the case; nil for a card
	Receipt []byte
	OpenKey []byte // of a card; docs/card.md, Opening a record online
	Salt    []byte // of a card; docs/card.md, Bytes
	Case    string // whose draft it is; a hint for where to look
	Seen    *Seen  // how the case stood when the rest was worked out; nil: nothing follows
	Changes []Change
	Answers []Answer
}

// Answer is an entry for the answers list.
type Answer struct {
	ID    ID // of the card
	Value uint8
	Reply ID // that confirms it; empty where none does
}

// Values of the answers list: docs/card.md, Answers after printing.
const (
	AnswerNone    uint8 = 0
	AnswerMission uint8 = 1 // confirmed by the mission of the stated nationality
	AnswerBound   uint8 = 2 // a blank that was given to somebody
	AnswerOther   uint8 = 3 // confirmed by another authority
)

// Store keeps what was issued. Every method that changes something takes the
// log entries that say so, and writes both or neither.
type Store interface {
	// OpenList returns the number of the list that new entries go to, and
	// opens one when there is none. When a list is half full, the next one is
	// there as well, so that it is published before its first entry is given
	// out.
	OpenList(ctx context.Context) (uint16, error)
	// Reserve writes a draft. A card is counted for its agency on the day of its
	// issue; ErrQuota if that is one too many for any of the limits. It,
	// ErrIndexTaken, ErrListFull and ErrKeyUsed leave nothing behind.
	Reserve(ctx context.Context, draft Issued, limits []Limit, entries ...audit.Entry) error
	// Refused writes the entries, once a day for each agency.
	Refused(ctx context.Context, agency string, day time.Time, entries ...audit.Entry) error
	// Complete turns a draft into an active record, and applies the changes
	// and answers that follow from it. It returns ErrSettled when the record
	// is not a draft any more, and ErrChanged when the case does not stand as
	// it was seen.
	Complete(ctx context.Context, c Completion, entries ...audit.Entry) error
	// Apply makes status changes and answers. All of them, or ErrConflict, or
	// ErrNotFound when there is no such record, or ErrChanged when the case
	// does not stand as it was seen; nil if that does not matter.
	Apply(ctx context.Context, seen *Seen, changes []Change, answers []Answer, entries ...audit.Entry) error
	// Contest writes why an answer is contested, "" for not any more, with what follows
	// for the answers list. ErrNotFound and ErrChanged as for Apply.
	Contest(ctx context.Context, seen *Seen, id ID, why Objection, answers []Answer, entries ...audit.Entry) error
	// Append adds entries that no other change belongs to.
	Append(ctx context.Context, entries ...audit.Entry) error
	// Drafts lists what was reserved and neither completed nor abandoned.
	Drafts(ctx context.Context) ([]Issued, error)
	// Orphans lists those of them that no other process is about to complete.
	// The caller's own are among them.
	Orphans(ctx context.Context) ([]Issued, error)

	// What is read comes without its token.
	Get(ctx context.Context, id ID) (Issued, error)
	// Token returns the signed token of an attestation, encrypted to its case.
	// ErrNotFound for what has none.
	Token(ctx context.Context, d Issued) ([]byte, error)
	ByCase(ctx context.Context, caseID string) ([]Issued, error)
	// SignedSince lists what an agency issued on a day or later and that is in use or
	// paused, in the order of the ids, from the one behind after on.
	SignedSince(ctx context.Context, agency string, day time.Time, after ID, limit int) ([]Issued, error)
	// Confirming lists the replies of an agency that confirm somebody's identity
	// and are in use.
	Confirming(ctx context.Context, agency string) ([]Issued, error)
	// Over lists the replies in use that are over on a day, and that cards in use are
	// wanted to be confirmed by all the same.
	Over(ctx context.Context, day time.Time) ([]Issued, error)
	// Wanted returns what the answers list is to show of a card.
	Wanted(ctx context.Context, card Issued) (Answer, error)
	ByRequestKey(ctx context.Context, key string) (Issued, error)
	// ByHandle and ByNumber find a card by keyed hash.
	ByHandle(ctx context.Context, handle [16]byte) (Issued, error)
	ByNumber(ctx context.Context, number [16]byte) (Issued, error)

	// TryPaper counts a try with a card number in an hour since 1970, in each of these
	// budgets, and tells whether all had room in the day that ends with the hour. A try
	// for which one had none is counted in none, by the same statements.
	TryPaper(ctx context.Context, budgets []Budget, hour int64) (within bool, err error)
	// SettlePaper takes a try out of these budgets that was right. Of one that was not
	// it takes nothing, by the same statements.
	SettlePaper(ctx context.Context, budgets []Budget, hour int64, right bool) error
	// SweepPapers forgets the tries of the hours before hour.
	SweepPapers(ctx context.Context, hour int64) error

	// Entries lists every entry of a list, real and decoy, in the order in
	// which they began to wait for publication.
	Entries(ctx context.Context, list uint16) ([]Entry, error)
	// Publish writes the published values of the entries, adds the new decoys
	// among them, and stores the tokens, all at once. ErrIndexTaken, when a
	// new decoy's index was reserved meanwhile, and ErrChanged, when the list's
	// status token is not before any more, leave nothing behind.
	Publish(ctx context.Context, list uint16, before string, entries []Entry, status, answers string, log ...audit.Entry) error
	// Evidence returns what shows that places of a list may change to what is wanted of
	// them: the receipts for what stands there and for the reply that confirms it, and
	// the act by which it is in use again. What there is nothing of is empty.
	Evidence(ctx context.Context, list uint16, places []uint32) ([]approval.Change, error)
	// MayAppend tells whether Publish could append its log entries now. Its tokens
	// are signed before that, and what cannot be logged is not signed.
	MayAppend(ctx context.Context) error
	// Lists names every list that exists.
	Lists(ctx context.Context) ([]uint16, error)
	// Frozen tells whether a list came back from a backup, so that places in it
	// may be in use that the store does not know of: no decoy is made of them.
	Frozen(ctx context.Context, list uint16) (bool, error)
	// Tokens returns the newest tokens of a list.
	Tokens(ctx context.Context, list uint16) (status, answers string, err error)
}

// Entry is one index of a status list and of the answers list beside it.
type Entry struct {
	Index                         uint32
	Decoy                         bool
	WantedStatus, PublishedStatus uint8
	WantedAnswer, PublishedAnswer uint8
}

// Keys is the only way to an agency's key. It is narrow, so that the keys may
// live in another process or another machine.
type Keys interface {
	// Signer returns the agency's signing key, P-256, and its key id. It is
	// called only in acts of that agency's own actors.
	Signer(ctx context.Context, agency string) (kid string, key crypto.Signer, err error)
	// MAC is a keyed hash whose key never leaves the keystore; labels
	// separate its uses.
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
	// Decoys is the key by which the decoys of a list are known (package mask).
	Decoys(ctx context.Context, list uint16) ([]byte, error)
	// Receipt says what was signed last for a place of a list, right after it was; nil
	// where nobody reads what is signed.
	Receipt(ctx context.Context, list uint16, index uint32) ([]byte, error)
}

// Cases is what the issuer needs of the room that keeps cases.
type Cases interface {
	// Owner returns the agency that keeps the case.
	Owner(ctx context.Context, caseID string) (agency string, err error)
	// Stands tells how an actor stands to a case: whether his agency keeps it, and
	// whether it is one of his, because it was assigned to him or he answers for the
	// agency. ErrNotFound if there is no such case.
	Stands(ctx context.Context, by audit.Actor, caseID string) (own, his bool, err error)
	// Seal encrypts to the case's record; no secret key is needed.
	Seal(ctx context.Context, caseID string, plain []byte) ([]byte, error)
	// Access tells on what an actor may read the attestations of a case; an error if not.
	Access(ctx context.Context, by audit.Actor, caseID string) (claims.Access, error)
	// Answers tells whether an actor may write an answer into a case; an error if not.
	Answers(ctx context.Context, by audit.Actor, caseID string) error
	// Open decrypts what Seal made, for an actor whose agency may read it.
	Open(ctx context.Context, by audit.Actor, caseID string, sealed []byte) ([]byte, error)
}

// Network is what the issuer needs to know about the network it issues in.
type Network interface {
	// Agency describes an agency. ErrNotFound for one that nobody knows,
	// ErrNotAllowed for one that is suspended; any other error says that nobody
	// could tell.
	Agency(ctx context.Context, id string) (Agency, error)
	// Stands tells whether an agency may speak: one that nobody knows, or that is
	// suspended, may not, which is found out by the same work.
	Stands(ctx context.Context, agency string) (bool, error)
	// PublicKey returns a signing key of an agency, by its key id, also one
	// that signs nothing new any more.
	PublicKey(ctx context.Context, agency, kid string) (*ecdsa.PublicKey, error)
	// SealKeys returns the epoch that new cards are sealed to, and when that
	// epoch's life ends.
	SealKeys(ctx context.Context) (keys card.SealKeys, end time.Time, err error)
	// NetKey returns the netKey of an epoch whose cards still open. For any other
	// epoch known is false, after the same work.
	NetKey(ctx context.Context, epoch uint32) (key []byte, known bool, err error)
}

// Agency is what the issuer needs to know about an agency.
type Agency struct {
	ID      string
	Class   string // docs/vocabulary.md, organisation classes
	Country string // ICAO three-letter code
	Issuer  string // the iss of its credentials
	// Agreed is what the network agreed that it signs; nil is what its class signs.
	Agreed *claims.Signing
	// Confirms are the states for which the network has named it, beside its own.
	Confirms []string
	// Limits say how many cards it may make now; each by itself.
	Limits []Limit
}

// answers is the agency as one that answers.
func (a Agency) answers() claims.Answerer {
	return claims.Answerer{Class: a.Class, Country: a.Country, Confirms: a.Confirms}
}

// signs is what the agency may sign.
func (a Agency) signs() claims.Signing {
	if a.Agreed != nil {
		return *a.Agreed
	}
	return claims.SigningOf(a.Class)
}
