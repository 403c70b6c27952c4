package vault

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/safeconduct/safeconduct/audit"
)

// Record is a row about one record: a case, whose id is that of its record, or
// a document of a case.
type Record struct {
	ID            string
	Case          string // the same as ID for the case's own record
	Agency        string // who opened the case
	Recipient     string // the public half of the record's age key
	CaseRecipient string // that of the case's record; filled when read
	Findable      bool   // whether the case's documents may be found by number; filled when read
	Begins        string // who begins the case, and is assigned to it; never filled when read
	Day           time.Time
}

// Assignment is a row about somebody who works on a case: a person, or a program.
type Assignment struct {
	Case   string
	Person string
	By     string    // who has assigned her, or has taken the case from her
	Until  time.Time // zero: until somebody takes it back
	Taken  bool      // somebody did: she works on it no more, until it is given to her again
}

// Serves tells whether an assignment has neither ended nor been taken back.
func (a Assignment) Serves(now time.Time) bool {
	return !a.Taken && (a.Until.IsZero() || now.Before(a.Until))
}

// Joined is a row about a case that is about the same person as another one. Both
// cases have one.
type Joined struct {
	Case, Other string
	By          string // who has joined them
	Day         time.Time
}

// Turned is the row of the other case.
func (j Joined) Turned() Joined { return Joined{Case: j.Other, Other: j.Case, By: j.By, Day: j.Day} }

// Object is a row about one sealed thing of a document: its fields (page 0) or
// a page, in one version.
type Object struct {
	Record       string
	Page         int // 0 for the document's fields, else from 1
	Version      int // from 1
	MediaType    string
	Role         PageRole // empty for page 0
	SeenOriginal bool
	Length       int64    // bytes before encryption
	SHA256       [32]byte // of the ciphertext
	Salt         [32]byte // of the commitment's note
	Case         string   // filled by AllObjects
	Entry        string   // id of the commitment's log entry
	Logged       [32]byte // that entry's hash, as the log has it; filled when read
	Blob         string   // key of the ciphertext among the blobs, or empty
	Sealed       []byte   // the ciphertext itself, when it is no blob
	Same         [][]byte // of page 0: by what the document is known again; never filled when read
	Day          time.Time
}

// Shared is a row about a grant: an agency that may read a record until the
// end of a day. There is at most one per record and agency.
type Shared struct {
	ID       string // another one whenever the grant is given again, so that what hung on the one before is over
	Record   string
	Case     string
	Agency   string
	Word     string // the holder's word that it stands on; empty for a grant from before there were any
	Purpose  Purpose
	Parts    []Part
	Readings int       // 0: at the counter only; else how many she left for the agency
	Card     string    // of hers, by which she gave the word; filled where it is asked whether that stands
	Taken    int       // how many of those the agency has taken
	Opened   int       // how often the record was opened to it on OpenedOn
	OpenedOn time.Time // the last day on which it was; zero before
	Until    time.Time // the last day, midnight UTC
	Day      time.Time // when it was given
}

// How is by what a record was opened.
type How string

// By what a record is opened.
const (
	ByDevice How = "device" // its holder's card and code, and a device of the agency that read it
	ByCode   How = "code"   // number and code, given to the service
	Left     How = "left"   // a reading that she left for the agency
	ByTwo    How = "two"    // two people of the agency agree to it, without her
)

// Opened is a row about an opening: of what one grant is of, to one person, where she
// acted, until Expires.
type Opened struct {
	ID      string // by two, of the request that they agree to
	Grant   string // id; a grant that is given again has another
	Word    string // the holder's, that the grant stands on
	Record  string
	Case    string
	Agency  string
	Person  string // audit.Actor.ID
	At      string // audit.Actor.At
	How     How
	Device  string // that signed; empty where none did
	Card    string // the holder's; empty where none was there
	Purpose Purpose
	Parts   []Part
	Expires time.Time // to the second
}

// Nonce is a row about a challenge. Expires is finer than a day; the row is gone two
// minutes later.
type Nonce struct {
	Nonce   string
	Actor   string
	Agency  string
	About   string // a digest of what it serves for; empty for an opening
	Expires time.Time
}

// Budget is how many look-ups one officer, agency or the whole network may
// make on a day.
type Budget struct {
	Who   string
	Limit int
}

// Erasure is a row of the erasure journal. It holds ids only, and is kept, so
// that a restored backup can be made to forget again.
type Erasure struct {
	Case    string
	Agency  string
	Records []string // sorted
	Day     time.Time
	MAC     []byte // over all of the above, by the key keeper
}

// Erased counts what an erasure removed.
type Erased struct {
	Records int // the case's own one included
	Objects int // versions of fields and pages
	Pages   int // pages, however many versions each had
	Grants  int
	Notes   int // entries of the history; their hashes stay in the log
}

// Store keeps the rows. Whatever takes entries appends them in the same
// transaction as the change, and does neither when it cannot do both.
//
// Methods about something that is not there return ErrNotFound; days are
// midnight UTC.
type Store interface {
	// CreateRecord adds a record, with the first version of a document's fields
	// and its places in the number index, and of a case who begins it. A document's case must
	// exist and not be in the erasure journal. ErrConflict if the id is taken.
	CreateRecord(ctx context.Context, r Record, objects []Object, places [][]byte, entries ...audit.Entry) error
	// Record returns one record.
	Record(ctx context.Context, id string) (Record, error)
	// Records returns all records of a case, the case's own one first.
	Records(ctx context.Context, caseID string) ([]Record, error)
	// Cases returns at most limit records of cases that an agency opened, behind
	// the one with the id after, in an order that says nothing.
	Cases(ctx context.Context, agency, after string, limit int) ([]Record, error)

	// CasesOf is Cases for those that a person is assigned to at a time.
	CasesOf(ctx context.Context, agency, person string, now time.Time, after string, limit int) ([]Record, error)

	// Assign adds an assignment or replaces the one of that case and person, and forgets
	// those of the case that ended before now. It may stand on a row as it was read: on
	// none of that person where By is empty. ErrConflict if that is another one by now.
	Assign(ctx context.Context, a Assignment, now time.Time, on *Assignment, entries ...audit.Entry) error
	// Unassign marks the assignment of a case and person as taken, by whoever took it; it
	// may stand on a row, as Assign does. ErrNotFound if there is none, or it was taken.
	Unassign(ctx context.Context, a Assignment, on *Assignment, entries ...audit.Entry) error
	// Assigned returns the assignment of a person to a case, also one that has ended or
	// was taken. For a case that never was it takes as long.
	Assigned(ctx context.Context, caseID, person string) (Assignment, error)
	// Assignments returns the assignments to a case, also those that have ended or were
	// taken, in the order of the persons.
	Assignments(ctx context.Context, caseID string) ([]Assignment, error)
	// ForgetAssignments removes those that ended before now. What was taken stays.
	ForgetAssignments(ctx context.Context, now time.Time) error

	// Join says of two cases that they are about one person: j, and j turned.
	// ErrConflict if it was said before.
	Join(ctx context.Context, j Joined, entries ...audit.Entry) error
	// Joins returns what a case is joined with, in the order of the other ids.
	Joins(ctx context.Context, caseID string) ([]Joined, error)

	// AddObject adds a version of a document's fields or of a page, whose record
	// must exist. ErrConflict if that version exists, or a newer one. With page
	// 0, the document's places in the number index become places.
	AddObject(ctx context.Context, o Object, places [][]byte, entries ...audit.Entry) error
	// Object returns the newest version of a page.
	Object(ctx context.Context, record string, page int) (Object, error)
	// Objects returns the newest version of every page of a document, in the
	// order of the pages, without what is sealed in them.
	Objects(ctx context.Context, record string) ([]Object, error)

	// AllObjects returns at most limit objects of all records, in every version
	// and with what is sealed in them, case by case, and of a case in the order of
	// record, page and version, from the one behind after on; the zero Object begins.
	// One whose content cannot be read comes without it.
	AllObjects(ctx context.Context, after Object, limit int) ([]Object, error)

	// SetFindable says whether a case's documents may be found by their number
	// and replaces all their places in the index.
	SetFindable(ctx context.Context, caseID string, findable bool, places map[string][][]byte, entries ...audit.Entry) error
	// FindNumber returns the records that stand at any of some places of the
	// index, each once, if their case may be found by number.
	FindNumber(ctx context.Context, places [][]byte) ([]Record, error)
	// Elsewhere tells whether a document is known again in another case.
	Elsewhere(ctx context.Context, record string) (bool, error)
	// Spend takes one look-up from every budget, or none and ErrBudget.
	Spend(ctx context.Context, day time.Time, budgets ...Budget) error

	// Share adds a grant, with the word that it stands on, or replaces the one of that
	// record and agency with its word.
	Share(ctx context.Context, s Shared, w Spoken, entries ...audit.Entry) error
	// TakeBack removes a grant. The word that it stood on is then in that state.
	TakeBack(ctx context.Context, record, agency string, as WordState, entries ...audit.Entry) error
	// AddWord keeps a word that is for nobody else, and replaces the one of its kind. That
	// she takes everything back ends all of these.
	AddWord(ctx context.Context, w Spoken, entries ...audit.Entry) error
	// EndWord says of a word in force that it was taken back.
	EndWord(ctx context.Context, caseID, id string, entries ...audit.Entry) error
	// Words returns everything that the holder of a case said, in whatever state.
	Words(ctx context.Context, caseID string) ([]Spoken, error)
	// Grant returns the grant of a record to an agency, also an expired one.
	Grant(ctx context.Context, record, agency string) (Shared, error)
	// Grants returns the grants of a case, also expired ones.
	Grants(ctx context.Context, caseID string) ([]Shared, error)
	// GrantsTo returns the grants to an agency, also expired ones.
	GrantsTo(ctx context.Context, agency string) ([]Shared, error)
	// Expired returns at most limit grants whose last day is before day.
	Expired(ctx context.Context, day time.Time, limit int) ([]Shared, error)

	// AddNonce keeps a challenge, and forgets those that expired before now.
	AddNonce(ctx context.Context, n Nonce, now time.Time) error
	// TakeNonce removes a challenge and returns it. Of many calls with one
	// nonce exactly one gets it.
	TakeNonce(ctx context.Context, nonce string) (Nonce, error)
	// Open keeps openings, all of one case, and forgets those that expired before now. With
	// each, but those by two, it counts one to the grant on its day, and takes one of the
	// readings that were left. ErrNotFound if the grant is another one by now, ErrSpent if
	// no reading is left, ErrAgain if there were most on the day already; then none is kept.
	Open(ctx context.Context, opened []Opened, most int, now time.Time, entries ...audit.Entry) error
	// Openings returns a person's openings by a grant that have not expired.
	Openings(ctx context.Context, grant, person string, now time.Time) ([]Opened, error)

	// Append adds entries that no other change belongs to.
	Append(ctx context.Context, entries ...audit.Entry) error
	// Tell writes the entries of a look-up: the same work, whether or not one of them
	// is about a case.
	Tell(ctx context.Context, entries ...audit.Entry) error
	// History returns the entries of a case, oldest first, as far as days and
	// the log's numbers tell.
	History(ctx context.Context, caseID string) ([]audit.Logged, error)

	// BeginErasure writes the journal down before anything is destroyed, and
	// closes the case for new records. ErrConflict if the case has records
	// that the journal does not list. Repeating it replaces the entry.
	BeginErasure(ctx context.Context, e Erasure) error
	// Forget takes out of a case everything that it says, before its key is destroyed,
	// but for the ids of its records and of ciphertexts. Doing it again does no harm.
	// ErrIntegrity if that cannot be told.
	Forget(ctx context.Context, e Erasure) error
	// Erase removes every row that is left of a case and what its log entries hold besides
	// their hashes. That nothing is left is no error.
	Erase(ctx context.Context, caseID string, entries ...audit.Entry) (Erased, error)
	// Erasures returns the whole journal.
	Erasures(ctx context.Context) ([]Erasure, error)
}

// Keyring keeps the key files, apart from everything else: its backups have
// their own, short life.
type Keyring interface {
	// Create keeps the first key file of a record. ErrConflict if it has one.
	Create(ctx context.Context, record string, file []byte) error
	// Get returns the key file of a record, or ErrNotFound.
	Get(ctx context.Context, record string) ([]byte, error)
	// Swap replaces old by new, or returns ErrConflict if the file is not old
	// any more. Nothing of old is left when it returns nil.
	Swap(ctx context.Context, record string, old, new []byte) error
	// Erase destroys key files: when it returns nil, nothing of them is left
	// in the keyring's files. That there is none is no error.
	Erase(ctx context.Context, records ...string) error
}

// Blobs keeps encrypted objects. Keys are lower-case hex in parts divided by
// slashes. Methods return ErrUnavailable when nothing can be said about an
// object now; every other error about one that a row names means damage.
type Blobs interface {
	// Put keeps what r holds and returns its length. Nobody sees the object
	// before it is complete; after an error nothing is kept.
	Put(ctx context.Context, key string, r io.Reader) (int64, error)
	// Get opens an object.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Since tells when an object was put.
	Since(ctx context.Context, key string) (time.Time, error)
	// Delete removes an object. That there is none is no error.
	Delete(ctx context.Context, key string) error
	// List yields the keys that start with prefix.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}
