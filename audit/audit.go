// Package audit keeps the tamper-evident log of what was done, in a form that
// a stranger can check without asking us, and without learning about anybody.
//
// # What is logged
//
// Every act worth remembering is a [Note]: a kind, a body in JSON and a salt
// of 32 random bytes. Its hash is
//
//	SHA-256(0x01 ‖ len(kind) ‖ kind ‖ salt ‖ body)
//
// with len(kind) in one byte. Only this hash is ever public. The salt keeps
// everybody from guessing bodies; whoever holds the note (the holder's history
// does) can ask for a proof that it was logged, and when both note and salt
// are erased the hash says nothing any more.
//
// # What is published
//
// The log is a Merkle tree as in RFC 6962 §2.1 with SHA-256, served as
// files. A leaf's content is the 32-byte hash of a note, so that
//
//	leaf hash = SHA-256(0x00 ‖ hash of the note)
//	node hash = SHA-256(0x01 ‖ left ‖ right)
//	root of no leaves = SHA-256("")
//
// The notes' own 0x01 cannot be mistaken for that of a node: their hashes are
// content and pass through the leaf's 0x00 first.
//
// The files are those of c2sp.org/tlog-tiles, with 256 hashes of 32 bytes to a
// tile:
//
//	checkpoint          the signed head
//	tile/<L>/<N>        a full tile, 8192 bytes
//	tile/<L>/<N>.p/<W>  a tile with W < 256 hashes
//
// <N> is written in groups of three digits, all but the last with an x before
// it: 1234067 is x001/x234/067. Tile N of level 0 holds the leaf hashes
// 256·N, 256·N+1, …; each hash of a tile of level L+1 is the root of one full
// tile of level L. A tree of S leaves has floor(S / 256^L) hashes on level L.
// There are no entry bundles (tile/entries): what a leaf stands for is not for
// the public.
//
// The tree grows by whole windows: every publication adds exactly [Window] leaves, a full
// tile, whatever was done since the one before and if nothing was. Where fewer notes wait,
// the others are filling leaves, whose content is a keyed hash of their number: to whoever
// has no key one looks like the other, and they stand in no order. What does not fit waits
// for the next window, the oldest first. So the public log tells how often it was
// published, and nothing of what was done.
//
// The checkpoint is a c2sp.org/tlog-checkpoint: a signed note
// (c2sp.org/signed-note, Ed25519) whose text is exactly three lines, the
// origin, the number of leaves in decimal, and the root hash in base64. The
// origin is the name of the signing key. Extension lines are refused; lines
// signed by keys that are not asked about, such as witnesses', are ignored.
//
// # How to check it
//
// Verify the checkpoint's signature. Read the tiles at the right edge of the
// tree: for every level L with w = floor(S / 256^L) mod 256 > 0, the partial
// tile of width w. Their hashes, split into complete subtrees, give the root
// of RFC 6962 §2.1; it must be the signed one. Then go down: the root of every
// full tile must be the hash at its place in the tile above. Whoever keeps the
// checkpoints he has seen also checks that each new one contains the old one
// (RFC 6962 §2.1.2), and whoever holds a note, that its hash is in the tree
// (RFC 6962 §2.1.1). [Verify], [CheckConsistency] and [CheckInclusion] do
// exactly this; nothing secret is needed.
//
// # What is promised
//
// A leaf that was published never changes, moves or goes away, and two signed
// heads never contradict each other; where keeping that promise is not
// possible, [Log.Publish] refuses to sign ([ErrFork]). It is a promise about
// signatures only. Whoever has the key, the database and the files can start
// another history, and that is seen only by somebody outside who kept an
// earlier checkpoint.
//
// The package leaves to others: what notes say and who may read them (the
// domain rooms; nothing here knows a person), keeping entries (a [Store]),
// when to publish, serving the files, and witnesses.
package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Conditions. A [TileError] names the tile that one of them is about.
var (
	// ErrNote says that a note has no valid kind or body, or another form than
	// MarshalJSON gives it.
	ErrNote = errors.New("audit: the note is not valid")

	// ErrCheckpoint says that a checkpoint is malformed, or not signed by the
	// key it should be signed by.
	ErrCheckpoint = errors.New("audit: the checkpoint is not valid")

	// ErrTampered says that the published files do not give the signed tree.
	ErrTampered = errors.New("audit: the published tiles do not give the signed tree")

	// ErrFork says that signing, or believing, would mean two histories: a
	// published leaf was rewritten or is gone, or two heads contradict each
	// other.
	ErrFork = errors.New("audit: the history would fork")

	// ErrProof says that a proof is malformed or proves nothing.
	ErrProof = errors.New("audit: the proof does not hold")

	// ErrNotPublished says that a leaf is not in the published tree yet.
	ErrNotPublished = errors.New("audit: the leaf is not published yet")

	// ErrOvertaken says that another process has published in the meantime.
	// Nothing was lost; publishing again begins with what it has published.
	ErrOvertaken = errors.New("audit: another publisher was faster")

	// ErrStopped says that no entry can be appended: what was published and what
	// the Store has do not hold together, or cannot be read. Nothing that has to
	// be logged may be done until somebody has found out why.
	ErrStopped = errors.New("audit: the log has stopped")

	// ErrSequence is what a Store answers when ids cannot be given the numbers
	// asked for.
	ErrSequence = errors.New("audit: the leaves cannot be numbered so")
)

// Actor is who acts. Every call that does something in somebody's name takes
// one; the zero Actor is nobody.
type Actor struct {
	ID     string // 128 random bits in hex
	Agency string // the agency acted for
	Role   string // as package people names it; several with a plus between them

	// At is where he acts: a name for one session, program or device, and empty for whoever
	// came by none. What was opened to somebody is open there and nowhere else. No history
	// says it.
	At string
}

// Roles are the actor's roles, one by one.
func (a Actor) Roles() []string { return strings.Split(a.Role, "+") }

// Note is one thing that was done, as a history holds it. It is never public.
type Note struct {
	Kind string          // what was done: a lower-case word, 1 to 64 of a-z 0-9 . _ -
	Salt [32]byte        // keeps the hash from being guessed
	Body json.RawMessage // the caller's; compact JSON
}

// maxNote bounds an encoded note, in bytes.
const maxNote = 256 << 10

var kindForm = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,63}$`)

// NewNote makes a note with a fresh salt. The body is encoded with
// encoding/json; a json.RawMessage is made compact. Values about a person that
// refuse to be encoded must be revealed by the caller first, who also seals
// the encoded note before keeping it.
func NewNote(kind string, body any) (Note, error) {
	// The encoder's own text may repeat a part of the body, the type does not.
	data, err := json.Marshal(body)
	if err != nil {
		return Note{}, fmt.Errorf("%w: its body of type %T has no JSON form", ErrNote, body)
	}
	n := Note{Kind: kind, Body: data}
	_, _ = rand.Read(n.Salt[:]) // never returns an error
	encoded, err := n.MarshalJSON()
	if err != nil {
		return Note{}, err
	}
	if len(encoded) > maxNote {
		return Note{}, fmt.Errorf("%w: it is larger than %d bytes", ErrNote, maxNote)
	}
	return n, nil
}

// Hash is the content of the note's leaf: SHA-256(0x01 ‖ len(kind) ‖ kind ‖
// salt ‖ body). The length keeps kind and salt apart, the salt has a fixed
// length, and so no two notes share an input.
func (n Note) Hash() [32]byte {
	h := sha256.New()
	h.Write([]byte{0x01, byte(len(n.Kind))}) //nolint:gosec // kinds have at most 64 bytes, and others are never stored
	h.Write([]byte(n.Kind))
	h.Write(n.Salt[:])
	h.Write(n.Body)
	return [32]byte(h.Sum(nil))
}

// noteForm is the encoded note.
type noteForm struct {
	Kind string          `json:"kind"`
	Salt string          `json:"salt"` // base64url without padding
	Body json.RawMessage `json:"body"`
}

// MarshalJSON gives the one form in which a note is kept: an object of kind,
// salt and body, in this order and without white space. The error is ErrNote,
// for a note that neither NewNote nor ParseNote made.
func (n Note) MarshalJSON() ([]byte, error) {
	if !kindForm.MatchString(n.Kind) {
		return nil, fmt.Errorf("%w: its kind must be 1 to 64 of a-z, 0-9, dot, dash and underline", ErrNote)
	}
	data, err := json.Marshal(noteForm{n.Kind, base64.RawURLEncoding.EncodeToString(n.Salt[:]), n.Body})
	if err != nil {
		return nil, fmt.Errorf("%w: its body is not JSON", ErrNote)
	}
	return data, nil
}

// UnmarshalJSON reads as ParseNote does.
func (n *Note) UnmarshalJSON(data []byte) (err error) {
	*n, err = ParseNote(data)
	return err
}

// ParseNote reads what MarshalJSON wrote, byte for byte: any other spelling of the
// same note is refused with ErrNote, because the hash is over the bytes. The
// body is JSON but otherwise unchecked; whoever reads it knows its members.
func ParseNote(data []byte) (Note, error) {
	if len(data) > maxNote {
		return Note{}, fmt.Errorf("%w: it is larger than %d bytes", ErrNote, maxNote)
	}
	var f noteForm
	if err := json.Unmarshal(data, &f); err != nil {
		return Note{}, fmt.Errorf("%w: it is not JSON of the right shape", ErrNote)
	}
	salt, err := base64.RawURLEncoding.Strict().DecodeString(f.Salt)
	if err != nil || len(salt) != 32 || f.Body == nil {
		return Note{}, fmt.Errorf("%w: salt or body", ErrNote)
	}
	n := Note{Kind: f.Kind, Salt: [32]byte(salt), Body: f.Body}
	// One comparison instead of a list of what may differ: unknown and
	// repeated members, another order, white space, other escapes.
	if again, err := n.MarshalJSON(); err != nil || !bytes.Equal(again, data) {
		return Note{}, fmt.Errorf("%w: it is not in its one form", ErrNote)
	}
	return n, nil
}

// Entry is a note on its way into the log, as a Store takes it: encrypted as it keeps what
// is about that case.
type Entry struct {
	Case string         // the case it belongs to, "" if none
	Hash [32]byte       // the note's hash, which is the leaf's content
	Note private.String // the encoded note; without personal data when Case is ""
	Day  time.Time      // midnight UTC; a finer time would tell who was where
}

// Name is what a row calls an entry by.
func (e Entry) Name() string { return hex.EncodeToString(e.Hash[:]) }

// Logged is an entry with its place in the log.
type Logged struct {
	Entry

	Position int64 // leaf number, or -1 while it waits to be published
}

// NewEntry makes the entry of note n on the day of now. ErrNote, for a note that neither
// NewNote nor ParseNote made.
func NewEntry(caseID string, n Note, now time.Time) (Entry, error) {
	encoded, err := n.MarshalJSON()
	if err != nil {
		return Entry{}, err
	}
	return Entry{Case: caseID, Hash: n.Hash(), Note: private.New(string(encoded)), Day: now.UTC().Truncate(24 * time.Hour)}, nil
}

// Read returns the note of an entry that comes from a Store. ErrNote, if it is not the one
// whose hash was logged.
func (e Entry) Read() (Note, error) {
	n, err := ParseNote([]byte(e.Note.Reveal()))
	if err == nil && n.Hash() != e.Hash {
		err = fmt.Errorf("%w: it is not the one that was logged", ErrNote)
	}
	return n, err
}

// NewAct makes the entry of an act that is about no case: who did what, in the
// clear, because it holds nothing about a person. The zero Actor is the service
// itself.
func NewAct(kind string, by Actor, what any, now time.Time) (Entry, error) {
	note, err := NewNote(kind, struct {
		Actor  string `json:"actor,omitempty"`
		Agency string `json:"agency,omitempty"`
		What   any    `json:"what"`
	}{by.ID, by.Agency, what})
	if err != nil {
		return Entry{}, fmt.Errorf("write log entry: %w", err)
	}
	return NewEntry("", note, now)
}

// Window is by how many leaves the log grows each time that it is published: a full tile.
// Nothing of this version changes it, so that it tells nothing.
const Window = tileWidth

// Leaves are those that have their places: entries, and what fills the windows.
type Leaves interface {
	// Size returns how many leaves have a number. The numbers are 0 … Size-1.
	Size(ctx context.Context) (int64, error)

	// Sequenced returns the contents of the leaves first, first+1, …, in order,
	// at most n, and fewer only where the log ends. Filling leaves are among them, known
	// again by their number. ErrFork says that one of them is gone or damaged.
	Sequenced(ctx context.Context, first int64, n int) ([][32]byte, error)
}

// Store is what the log needs from a database. Entries get there with the
// change they tell about, in one transaction, which asks [Log.MayAppend] before;
// the store gives them their places when it is told to, once and for all.
type Store interface {
	Leaves

	// Waiting returns how many entries have no leaf number yet.
	Waiting(ctx context.Context) (int64, error)

	// CloseWindow gives the numbers first … first+Window-1, all or none: to at most Window
	// entries that wait, those of the oldest window first and in no order within one, at
	// places drawn at random; what is left are filling leaves. It answers ErrSequence when
	// first is not Size.
	CloseWindow(ctx context.Context, first int64) error
}

// Backlog is how many windows it takes until so many entries have their places.
func Backlog(waiting int64) int64 { return (waiting + Window - 1) / Window }

// Dir is the folder of public files. Names are slash-separated, as in fs.FS.
// [OpenFolder] makes one on a disk.
type Dir interface {
	fs.FS

	// WriteFile writes the whole file or nothing, and returns nil only when it
	// will still be there after a crash. It is for files that stay as they are;
	// the same bytes may be written again.
	WriteFile(name string, data []byte) error

	// ReplaceFile does the same, in place of the old bytes; nil is no file.
	// Where several processes write into one folder it answers ErrOvertaken if
	// something else is there.
	ReplaceFile(name string, old, data []byte) error
}
