package sqlstore

import (
	"cmp"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/vault"
)

// What the vault keeps in a body. The numbers of fields are kept for ever.

// caseRecord is the case's own record or a document's. A document's objects are in the
// order of page and version, all that there ever were.
type caseRecord struct {
	ID        string       `cbor:"1,keyasint"`
	Agency    string       `cbor:"2,keyasint"`
	Recipient publicKey    `cbor:"3,keyasint"`
	Day       int64        `cbor:"4,keyasint"`
	Places    [][]byte     `cbor:"5,keyasint,omitempty"` // in the index of numbers
	Same      [][]byte     `cbor:"6,keyasint,omitempty"` // by what it is known again
	Objects   []caseObject `cbor:"7,keyasint,omitempty"`
}

// publicKey is an age recipient (age1pq1…), of which CBOR has the bytes: its text is as
// long as all else that is said of a case. What is no such text is kept as it is.
type publicKey string

// publicKeyText is what each begins with, and publicKeyBytes the letters behind it, each
// of which is five bits (BIP 173). They are kept with the checksum at their end, so that
// the same text comes back.
const publicKeyText = "age1pq1"

var publicKeyBytes = base32.NewEncoding("qpzry9x8gf2tvdw0s3jn54khce6mua7l").WithPadding(base32.NoPadding)

// MarshalCBOR writes bytes, or text.
func (k publicKey) MarshalCBOR() ([]byte, error) {
	if text, ok := strings.CutPrefix(string(k), publicKeyText); ok {
		if raw, err := publicKeyBytes.DecodeString(text); err == nil && publicKeyBytes.EncodeToString(raw) == text {
			return bodyEncoding.Marshal(raw)
		}
	}
	return bodyEncoding.Marshal(string(k))
}

// UnmarshalCBOR reads what MarshalCBOR wrote.
func (k *publicKey) UnmarshalCBOR(data []byte) error {
	raw, text, err := bytesOrText(data)
	if *k = publicKey(text); raw != nil {
		*k = publicKey(publicKeyText + publicKeyBytes.EncodeToString(raw))
	}
	return err
}

// caseObject is one version of a document's fields or of a page. Logged is the hash of the
// entry that commits to it.
type caseObject struct {
	Page         int      `cbor:"1,keyasint,omitempty"`
	Version      int      `cbor:"2,keyasint"`
	MediaType    string   `cbor:"3,keyasint"`
	Role         string   `cbor:"4,keyasint,omitempty"`
	SeenOriginal bool     `cbor:"5,keyasint,omitempty"`
	Length       int64    `cbor:"6,keyasint"`
	SHA256       [32]byte `cbor:"7,keyasint"`
	Salt         [32]byte `cbor:"8,keyasint"`
	Entry        string   `cbor:"9,keyasint"`
	Logged       [32]byte `cbor:"10,keyasint"`
	Blob         string   `cbor:"11,keyasint,omitempty"`
	Cell         ref      `cbor:"12,keyasint,omitzero"`
	Day          int64    `cbor:"13,keyasint"`
}

// caseGrant is what an agency may read. Parts are bits, in the order of vault.Parts.
type caseGrant struct {
	ID       string `cbor:"1,keyasint,omitempty"`
	Record   string `cbor:"2,keyasint"`
	Agency   string `cbor:"3,keyasint"`
	Word     string `cbor:"4,keyasint,omitempty"`
	Purpose  string `cbor:"5,keyasint"`
	Parts    int64  `cbor:"6,keyasint"`
	Readings int    `cbor:"7,keyasint,omitempty"`
	Taken    int    `cbor:"8,keyasint,omitempty"`
	Opened   int    `cbor:"9,keyasint,omitempty"`
	OpenedOn int64  `cbor:"10,keyasint,omitempty"` // 0 before it was
	Until    int64  `cbor:"11,keyasint"`
	Day      int64  `cbor:"12,keyasint"`
}

// caseWord is something that the holder said. The word itself is a cell.
type caseWord struct {
	ID     string `cbor:"1,keyasint"`
	Record string `cbor:"2,keyasint"`
	Agency string `cbor:"3,keyasint,omitempty"`
	Kind   string `cbor:"4,keyasint"`
	State  string `cbor:"5,keyasint"`
	Cell   ref    `cbor:"6,keyasint"`
	Day    int64  `cbor:"7,keyasint"`
}

// caseOpening is what is open to a person. It goes with the next change after it expired.
type caseOpening struct {
	ID      string `cbor:"1,keyasint"`
	Grant   string `cbor:"2,keyasint,omitempty"`
	Word    string `cbor:"3,keyasint,omitempty"`
	Record  string `cbor:"4,keyasint"`
	Agency  string `cbor:"5,keyasint"`
	Person  string `cbor:"6,keyasint"`
	At      string `cbor:"7,keyasint,omitempty"`
	How     string `cbor:"8,keyasint"`
	Device  string `cbor:"9,keyasint,omitempty"`
	Card    string `cbor:"10,keyasint,omitempty"`
	Purpose string `cbor:"11,keyasint"`
	Parts   int64  `cbor:"12,keyasint"`
	Expires int64  `cbor:"13,keyasint"` // in seconds
}

// caseAssignment is who works on the case, until when.
type caseAssignment struct {
	Person string `cbor:"1,keyasint"`
	By     string `cbor:"2,keyasint"`
	Until  int64  `cbor:"3,keyasint,omitempty"` // 0 for good, takenBack when it was taken from that person
}

// takenBack stands instead of an end.
const takenBack = -1

// caseJoined is another case about the same person.
type caseJoined struct {
	Other string `cbor:"1,keyasint"`
	By    string `cbor:"2,keyasint"`
	Day   int64  `cbor:"3,keyasint"`
}

// is tells whether there is such a case.
func (b *body) is() bool { return b.record(b.Case) != nil }

// open tells whether there is such a case, and it is not being erased.
func (b *body) open() bool { return b.is() && !b.Ending }

func (b *body) record(id string) *caseRecord {
	i := slices.IndexFunc(b.Records, func(r caseRecord) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &b.Records[i]
}

// asRecord is a record as the vault knows it.
func (b *body) asRecord(r caseRecord) vault.Record {
	return vault.Record{
		ID: r.ID, Case: b.Case, Agency: r.Agency, Recipient: string(r.Recipient), CaseRecipient: string(b.record(b.Case).Recipient),
		Findable: b.Findable, Day: fromDay(r.Day),
	}
}

// newest is the newest version of a page, or nil.
func (r *caseRecord) newest(page int) *caseObject {
	for i := len(r.Objects) - 1; i >= 0; i-- {
		if r.Objects[i].Page == page {
			return &r.Objects[i]
		}
	}
	return nil
}

// add puts a version of a page into a record. What is sealed in it becomes a cell.
func (b *body) add(r *caseRecord, o vault.Object, logged [32]byte) {
	one := caseObject{
		Page: o.Page, Version: o.Version, MediaType: o.MediaType, Role: string(o.Role), SeenOriginal: o.SeenOriginal, Length: o.Length,
		SHA256: o.SHA256, Salt: o.Salt, Entry: o.Entry, Logged: logged, Blob: o.Blob, Day: toDay(o.Day),
	}
	if o.Blob == "" {
		one.Cell = b.keep(fieldsLeast, o.Sealed)
	}
	at, _ := slices.BinarySearchFunc(r.Objects, one, func(a, b caseObject) int {
		return cmp.Or(cmp.Compare(a.Page, b.Page), cmp.Compare(a.Version, b.Version))
	})
	r.Objects = slices.Insert(r.Objects, at, one)
	if o.Page == 0 {
		r.Same = o.Same
	}
}

// fieldsLeast and wordLeast are the smallest sizes of the cells of fields and of words.
const (
	fieldsLeast = 4 << 10
	wordLeast   = 4 << 10
)

// asObject is an object as the vault knows it, but for what is sealed in it.
func (r *caseRecord) asObject(o caseObject) vault.Object {
	return vault.Object{
		Record: r.ID, Page: o.Page, Version: o.Version, MediaType: o.MediaType, Role: vault.PageRole(o.Role), SeenOriginal: o.SeenOriginal,
		Length: o.Length, SHA256: o.SHA256, Salt: o.Salt, Entry: o.Entry, Logged: o.Logged, Blob: o.Blob, Day: fromDay(o.Day),
	}
}

func (b *body) grant(record, agency string) *caseGrant {
	i := slices.IndexFunc(b.Grants, func(g caseGrant) bool { return g.Record == record && g.Agency == agency })
	if i < 0 {
		return nil
	}
	return &b.Grants[i]
}

func toGrant(s vault.Shared) (caseGrant, error) {
	parts, err := partBits(s.Parts)
	return caseGrant{
		ID: s.ID, Record: s.Record, Agency: s.Agency, Word: s.Word, Purpose: string(s.Purpose), Parts: parts, Readings: s.Readings,
		Until: toDay(s.Until), Day: toDay(s.Day),
	}, err
}

// asShared is a grant as the vault knows it.
func (b *body) asShared(g caseGrant) vault.Shared {
	s := vault.Shared{
		ID: g.ID, Record: g.Record, Case: b.Case, Agency: g.Agency, Word: g.Word, Purpose: vault.Purpose(g.Purpose), Parts: partsOf(g.Parts),
		Readings: g.Readings, Taken: g.Taken, Opened: g.Opened, Until: fromDay(g.Until), Day: fromDay(g.Day),
	}
	if g.OpenedOn != 0 {
		s.OpenedOn = fromDay(g.OpenedOn)
	}
	return s
}

// shared are the grants of a case, in the order of records and agencies.
func (b *body) shared(which func(caseGrant) bool) (all []vault.Shared) {
	for _, g := range b.Grants {
		if which(g) {
			all = append(all, b.asShared(g))
		}
	}
	slices.SortFunc(all, byRecord)
	return all
}

func byRecord(a, b vault.Shared) int {
	return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Agency, b.Agency))
}

// say keeps a word of the holder's. ErrConflict if there is one with its id.
func (b *body) say(w vault.Spoken) error {
	if slices.ContainsFunc(b.Words, func(one caseWord) bool { return one.ID == w.ID }) {
		return vault.ErrConflict
	}
	b.Words = append(b.Words, caseWord{
		ID: w.ID, Record: w.Record, Agency: w.Agency, Kind: string(w.Kind), State: string(w.State), Cell: b.keep(wordLeast, w.Sealed), Day: toDay(w.Day),
	})
	return nil
}

// endWord says of a word in force what has become of it. Of none, and of one that is over,
// there is nothing to say.
func (b *body) endWord(id string, as vault.WordState) {
	for i := range b.Words {
		if w := &b.Words[i]; w.ID == id && w.State == string(vault.InForce) {
			w.State = string(as)
		}
	}
}

func (o caseOpening) asOpened(caseID string) vault.Opened {
	return vault.Opened{
		ID: o.ID, Grant: o.Grant, Word: o.Word, Record: o.Record, Case: caseID, Agency: o.Agency, Person: o.Person, At: o.At, How: vault.How(o.How),
		Device: o.Device, Card: o.Card, Purpose: vault.Purpose(o.Purpose), Parts: partsOf(o.Parts), Expires: time.Unix(o.Expires, 0).UTC(),
	}
}

func toOpening(o vault.Opened) (caseOpening, error) {
	parts, err := partBits(o.Parts)
	return caseOpening{
		ID: o.ID, Grant: o.Grant, Word: o.Word, Record: o.Record, Agency: o.Agency, Person: o.Person, At: o.At, How: string(o.How),
		Device: o.Device, Card: o.Card, Purpose: string(o.Purpose), Parts: parts, Expires: o.Expires.Unix(),
	}, err
}

func (b *body) assigned(person string) *caseAssignment {
	i := slices.IndexFunc(b.Assigned, func(a caseAssignment) bool { return a.Person == person })
	if i < 0 {
		return nil
	}
	return &b.Assigned[i]
}

func (b *body) asAssignment(a caseAssignment) vault.Assignment {
	one := vault.Assignment{Case: b.Case, Person: a.Person, By: a.By, Taken: a.Until == takenBack}
	if a.Until > 0 {
		one.Until = time.Unix(a.Until, 0).UTC()
	}
	return one
}

// assign adds an assignment, or replaces the one of that person.
func (b *body) assign(a vault.Assignment) {
	one := caseAssignment{Person: a.Person, By: a.By}
	switch {
	case a.Taken:
		one.Until = takenBack
	case !a.Until.IsZero():
		one.Until = a.Until.Unix()
	}
	if old := b.assigned(a.Person); old != nil {
		*old = one
		return
	}
	b.Assigned = append(b.Assigned, one)
}

// forgetAssignments removes those that have ended. What was taken stays.
func (b *body) forgetAssignments(now time.Time) (some bool) {
	n := len(b.Assigned)
	b.Assigned = slices.DeleteFunc(b.Assigned, func(a caseAssignment) bool { return a.Until > 0 && a.Until <= now.Unix() })
	return len(b.Assigned) < n
}

// count counts what an erasure takes away.
func (b *body) count() (done vault.Erased) {
	done.Records, done.Grants, done.Notes = len(b.Records), len(b.Grants), int(b.Entries) //nolint:gosec // counts one by one
	for _, r := range b.Records {
		pages := map[int]bool{}
		for _, o := range r.Objects {
			if o.Page > 0 {
				pages[o.Page] = true
			}
		}
		done.Objects += len(r.Objects)
		done.Pages += len(pages)
	}
	return done
}

// partBits is a bit for each part.
func partBits(parts []vault.Part) (int64, error) {
	var bits int64
	for _, p := range parts {
		i := slices.Index(vault.Parts, p)
		if i < 0 {
			return 0, errors.New("sqlstore: an unknown part")
		}
		bits |= 1 << i
	}
	return bits, nil
}

func partsOf(bits int64) (parts []vault.Part) {
	for i, p := range vault.Parts {
		if bits&(1<<i) != 0 {
			parts = append(parts, p)
		}
	}
	return parts
}
