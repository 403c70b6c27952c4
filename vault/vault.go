// Package vault keeps what the agencies know about a person, so that a copied
// database, a stolen disk and everybody the holder did not agree to learn
// nothing: cases, passport records and their pages, who may read them until
// when, the index of document numbers, and erasure that holds.
//
// Every record has one age key of its own (hybrid, post-quantum). The public
// half lies in the main store, so that writing needs no secret. The private
// half exists only inside the record's key file, which is an age file for the
// agencies that may read, in a keyring of its own. Sharing a record rewrites
// that small file, whatever the record weighs; erasing destroys it, and with
// it every copy of the record in every backup.
//
// age has no sender and no associated data: whoever has the public half could
// make a page. So everything that is read back is held against a digest that
// stands in the tamper-evident log, and against a header inside the
// encryption, before the first byte is released.
//
// A case belongs to the agency that opened it, and there to the people it was
// assigned to and to whoever answers for the agency. For everybody else it does
// not exist, unless the holder agreed to share a record with them and gave her
// code, which opens it to one person for a quarter of an hour. Each of these
// acts, and each reading, is an entry of the holder's history, written in the
// transaction of the act or before anything is released.
//
// It has many exported names because what a holder says, how that stands, how a record is
// opened and what that takes are closed lists, each of whose values has a name.
//
// The package leaves to others: keeping rows, key files and objects ([Store],
// [Keyring], [Blobs]), agency keys ([KeyKeeper]), who is a member of what,
// which card belongs to which case, attestations and their withdrawal, telling
// people about an entry of their case, and every face to the outside.
package vault

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
)

// Conditions that a caller can act on.
var (
	// ErrNotFound is the answer for what does not exist, for what belongs to
	// another agency, for what was taken back or has expired, and for what was
	// erased: they cannot be told apart.
	ErrNotFound = errors.New("vault: no such record")

	// ErrNotOpened says that a shared record needs the holder's code first, or
	// again, or for this part.
	ErrNotOpened = errors.New("vault: the record is not open to the actor")

	// ErrActor says that nobody acts, or that an agency's id cannot be one.
	ErrActor = errors.New("vault: no actor")

	// ErrAttends says that somebody who is on a case for some hours may not give it to
	// anybody, nor take it from anybody.
	ErrAttends = errors.New("vault: whoever attends to a case does not change its people")

	// ErrConsent says that the holder has not agreed to this.
	ErrConsent = errors.New("vault: the holder has not agreed to this")

	// ErrText says that what the holder was read is not what is asked now.
	ErrText = errors.New("vault: the holder was read another text")

	// ErrConflict says that somebody else changed the record meanwhile.
	ErrConflict = errors.New("vault: the record was changed meanwhile")

	// ErrNonce says that a nonce was used before, is too old, or was given to
	// somebody else.
	ErrNonce = errors.New("vault: the nonce does not serve")

	// ErrSignature says that an opening is not signed with the key of a card that is in
	// use, and of this case.
	ErrSignature = errors.New("vault: the opening is not signed by the card")

	// ErrDevice says that the device which signed an opening is none of the actor's
	// agency, or not any more.
	ErrDevice = errors.New("vault: the device is none of the agency's")

	// ErrBeyond says that an opening is for another purpose than its holder shared the
	// record for, or for more of it.
	ErrBeyond = errors.New("vault: the opening is for more than was shared")

	// ErrSpent says that no reading is left of those that the holder left for an agency.
	ErrSpent = errors.New("vault: no readings are left")

	// ErrAgain says that an agency has opened a record as often as it may on a day: for
	// once more somebody of the agency that keeps it has to say yes.
	ErrAgain = errors.New("vault: the record was opened often enough today")

	// ErrMayOpen says that a record can be opened today without anybody's yes.
	ErrMayOpen = errors.New("vault: the record may be opened still today")

	// ErrBudget says that today's look-ups are spent.
	ErrBudget = errors.New("vault: no look-ups are left today")

	// ErrMediaType says that an upload does not begin as a JPEG or PNG does, or
	// not as what it is called.
	ErrMediaType = errors.New("vault: neither JPEG nor PNG, or not what it is called")

	// ErrUnreadable says that a JPEG or PNG is damaged, was cut off, or is of a
	// rare sort that cannot be read. Taking or saving the picture again helps.
	ErrUnreadable = errors.New("vault: the picture cannot be read")

	// ErrImageTooLarge is what every PictureError wraps.
	ErrImageTooLarge = errors.New("vault: the picture is too large")

	// ErrTooMany says that a document has all the pages that it may have.
	ErrTooMany = errors.New("vault: no more pages fit")

	// ErrIntegrity says that what lies in the stores is not what was written.
	// Nothing of it was released. It is a reason for an alarm.
	ErrIntegrity = errors.New("vault: stored data was changed or damaged")

	// ErrUnavailable says that the objects cannot be reached now. It says
	// nothing about what they hold.
	ErrUnavailable = errors.New("vault: the objects cannot be reached now")

	// ErrKeeper says that the key keeper answered with something that cannot
	// be right. Nothing was written.
	ErrKeeper = errors.New("vault: the key keeper's answer is wrong")
)

// KeyKeeper keeps the agencies' key-encryption keys and the index key.
type KeyKeeper interface {
	// Wrap encrypts a file key so that Unwrap opens it only for the same
	// agency and record.
	Wrap(ctx context.Context, agency, record string, fileKey []byte) ([]byte, error)
	// Unwrap reverses Wrap. ErrIntegrity if wrapped is not what Wrap made for this
	// agency and record.
	Unwrap(ctx context.Context, agency, record string, wrapped []byte) ([]byte, error)
	// MAC is HMAC-SHA-256 under a key of its own for each label: 32 bytes.
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
}

// Directory says who is who, as far as sharing depends on it.
type Directory interface {
	// Recipient says of what class and of which country an agency is. An agency
	// that the network does not know is an error.
	Recipient(ctx context.Context, agency string) (claims.Recipient, error)
}

// Config is what a Vault needs. All fields but Now are required.
type Config struct {
	Store     Store
	Keyring   Keyring
	Blobs     Blobs
	Keys      KeyKeeper
	Directory Directory

	// Network is the network's id. It salts the index of document numbers, so
	// that two networks' indexes cannot be compared.
	Network string

	Now func() time.Time // nil means time.Now

	// CardInUse tells whether a card of a case is in use now, and Admitted whether a
	// device is one of an agency's. Nil means that none ever is: nothing is opened with a
	// card, or by a device.
	CardInUse func(ctx context.Context, caseID, card string) (bool, error)
	Admitted  func(ctx context.Context, device, agency string) (bool, error)

	// OpenedByTwo tells whether a record is open to somebody now without its holder,
	// because people have agreed to that request of his who may; nil means that none ever is.
	OpenedByTwo func(ctx context.Context, by audit.Actor, record, request string) (bool, error)

	// AllowedAgain tells how often people of the agency that keeps a record have let an
	// agency open it once more today; nil means never.
	AllowedAgain func(ctx context.Context, agency, record string) (int, error)

	// Said tells what signed attestations of a case say about sharing it, as they stand
	// now; nil means that nothing was signed. An error is no yes.
	Said func(ctx context.Context, caseID string) (Signed, error)

	// KeyringDamaged is told, with ErrIntegrity, of a key file that does not open
	// as the record's own. Nil if nobody wants to know.
	KeyringDamaged func(error)
}

// Vault is the one door to all records. It is safe for use by many goroutines.
type Vault struct {
	store     Store
	keyring   Keyring
	blobs     Blobs
	keys      KeyKeeper
	directory Directory
	network   string
	now       func() time.Time
	damaged   func(error)
	byTwo     func(ctx context.Context, by audit.Actor, record, request string) (bool, error)
	cardInUse func(ctx context.Context, caseID, card string) (bool, error)
	admitted  func(ctx context.Context, device, agency string) (bool, error)
	again     func(ctx context.Context, agency, record string) (int, error)
	said      func(ctx context.Context, caseID string) (Signed, error)

	cases  keyedMutex    // one change of a case at a time
	pixels *queue        // bounds the memory of the pictures being decoded
	argon  chan struct{} // a semaphore for Argon2id computations
	decoy  string        // a recipient that nobody has the key of

	indexMemory uint32 // KiB; always indexMemory, but in tests that look up much
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Vault, error) {
	var missing []error
	for _, part := range []struct {
		name string
		ok   bool
	}{
		{"store", cfg.Store != nil}, {"keyring", cfg.Keyring != nil}, {"blobs", cfg.Blobs != nil},
		{"keys", cfg.Keys != nil}, {"directory", cfg.Directory != nil}, {"network", cfg.Network != ""},
	} {
		if !part.ok {
			missing = append(missing, fmt.Errorf("vault: %s is required", part.name))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OpenedByTwo == nil {
		cfg.OpenedByTwo = func(context.Context, audit.Actor, string, string) (bool, error) { return false, nil }
	}
	never := func(context.Context, string, string) (bool, error) { return false, nil }
	if cfg.CardInUse == nil {
		cfg.CardInUse = never
	}
	if cfg.Admitted == nil {
		cfg.Admitted = never
	}
	if cfg.AllowedAgain == nil {
		cfg.AllowedAgain = func(context.Context, string, string) (int, error) { return 0, nil }
	}
	if cfg.Said == nil {
		cfg.Said = func(context.Context, string) (Signed, error) { return Signed{}, nil }
	}
	decoy, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, fmt.Errorf("vault: make a recipient: %w", err)
	}
	cores := max(1, runtime.GOMAXPROCS(0))
	return &Vault{
		store: cfg.Store, keyring: cfg.Keyring, blobs: cfg.Blobs, keys: cfg.Keys, directory: cfg.Directory,
		network: cfg.Network, now: cfg.Now, damaged: cfg.KeyringDamaged, byTwo: cfg.OpenedByTwo,
		cardInUse: cfg.CardInUse, admitted: cfg.Admitted, again: cfg.AllowedAgain, said: cfg.Said,
		// One core stays for everybody else: drawing a picture takes a second.
		pixels: newQueue(maxDecoded, min(2, max(1, cores-1))),
		argon:  make(chan struct{}, cores),
		decoy:  decoy.Recipient().String(),

		indexMemory: indexMemory,
	}, nil
}

// today is midnight UTC: rows carry days only.
func (v *Vault) today() time.Time { return v.now().UTC().Truncate(24 * time.Hour) }

// newID returns 128 random bits in hex.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never returns an error
	return hex.EncodeToString(id[:])
}

// isID reports whether s could be an id of ours. What cannot is not looked up.
func isID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isAgency reports whether s can be an agency's id. It becomes an argument of
// an age stanza, which must be printable and without spaces.
func isAgency(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// requireActor refuses a call in nobody's name.
func requireActor(by audit.Actor) error {
	if by.ID == "" || !isAgency(by.Agency) {
		return ErrActor
	}
	return nil
}

// owned finds a record of the actor's own agency that is one of his. A colleague's
// record, one of another agency and one that never existed take the same way to the
// same answer.
func (v *Vault) owned(ctx context.Context, by audit.Actor, id string) (Record, error) {
	r, _, his, err := v.relation(ctx, by, id)
	switch {
	case err != nil:
		return Record{}, err
	case !his:
		return Record{}, ErrNotFound
	}
	return r, nil
}

// ownedCase finds a case of the actor's own agency.
func (v *Vault) ownedCase(ctx context.Context, by audit.Actor, id string) (Record, error) {
	r, err := v.owned(ctx, by, id)
	if err == nil && r.ID != r.Case {
		return Record{}, ErrNotFound
	}
	return r, err
}

// ownedDocument finds a document record of the actor's own agency.
func (v *Vault) ownedDocument(ctx context.Context, by audit.Actor, id string) (Record, error) {
	r, err := v.owned(ctx, by, id)
	if err == nil && r.ID == r.Case {
		return Record{}, ErrNotFound
	}
	return r, err
}

// keyedMutex has one mutex for each case that is being changed, so that two
// changes of a key file do not undo each other. Between processes the keyring's
// compare-and-swap does the same, with ErrConflict for the later one.
type keyedMutex struct {
	mu      sync.Mutex
	entries map[string]*mutexEntry
}

type mutexEntry struct {
	mu    sync.Mutex
	users int // that hold it or wait for it
}

// lock waits for a case and returns how to let it go.
func (k *keyedMutex) lock(id string) (unlock func()) {
	k.mu.Lock()
	if k.entries == nil {
		k.entries = map[string]*mutexEntry{}
	}
	e := k.entries[id]
	if e == nil {
		e = &mutexEntry{}
		k.entries[id] = e
	}
	e.users++
	k.mu.Unlock()

	e.mu.Lock()
	return func() {
		e.mu.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if e.users--; e.users == 0 {
			delete(k.entries, id)
		}
	}
}
