package sqlstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/vault"
)

// What is decided about a case stands in one box, its body, in the head of the case:
// which documents it has, who may read them, what was said and issued, and which cells
// and names belong to it. Whoever changes it does so in Go:
//
//	c, err := h.caseOf(ctx, id)   // from a reading (believed) or a transaction (sealed)
//	c.Grants = append(c.Grants, …)
//	c.change()                    // sealed saves it, when all else has ended well
//
// Three things follow from the fields and are done at the end of the change (settle):
//
//   - hints() says which rows of names lead to it (names.go). Those that were not there
//     before are written, those that are not there any more are removed. One that another
//     case has is a takenError, which the caller makes an error of its domain: hasSuch.
//   - refs() says which cells it has (cells.go): c.keep puts one in, and one that no field
//     refers to any more is removed.
//   - the seals of rows that stand in tables of their own go with it: put and take of its
//     head are as ever.
//
// A body is boxed under the key of its case, which is in the keyring (CaseKeys). Before an
// erasure destroys that key it is boxed under our own, without all that was about anybody;
// when the erasure is done the head is empty and stays, because
// numbers only grow.
//
// Numbers of fields are kept for ever. Those up to 39 are the vault's, from 40 on what was
// issued, from 60 on the history's.
type body struct {
	Case  string `cbor:"1,keyasint"`
	Seals []byte `cbor:"2,keyasint,omitempty"` // of rows that stand in tables of their own
	Cells uint64 `cbor:"3,keyasint,omitempty"` // how many it ever had: no number is given twice
	// Erasing counts what goes, from when that was taken out until the erasure is done.
	Erasing *vault.Erased `cbor:"4,keyasint,omitempty"`

	Findable bool             `cbor:"5,keyasint,omitempty"` // whether its documents may be found by number
	Records  []caseRecord     `cbor:"6,keyasint,omitempty"` // its own, and its documents
	Grants   []caseGrant      `cbor:"7,keyasint,omitempty"`
	Words    []caseWord       `cbor:"8,keyasint,omitempty"`
	Openings []caseOpening    `cbor:"9,keyasint,omitempty"`
	Assigned []caseAssignment `cbor:"10,keyasint,omitempty"`
	Joined   []caseJoined     `cbor:"11,keyasint,omitempty"`
	// Ending says that its erasure is written down: it takes nothing new.
	Ending bool `cbor:"12,keyasint,omitempty"`

	// Issued are the attestations and cards, in the order in which they were begun.
	Issued []issuedForm `cbor:"40,keyasint,omitempty"`

	// Entries counts those of the history, and Chain goes over them (history.go).
	Entries uint64 `cbor:"60,keyasint,omitempty"`
	Chain   []byte `cbor:"61,keyasint,omitempty"`

	head  *head
	was   []byte // as it was read, nil for one that is new
	fresh []freshCell
	told  []toldCell
	gone  bool // it was there, and was erased
}

// settled is a body as a change has left it. Changes that share a transaction write the
// head once, behind the last of them.
type settled struct {
	front front
	plain []byte // nil where nothing is left
	gone  bool
}

// What leads to a case: a record by its id, the cases of an agency and of a person in it,
// the grants to an agency, documents by their places in the index of numbers and by what
// they are known again, and what is open to a person by a grant.
const (
	ofRecord  = "record"
	ofAgency  = "cases of an agency"
	ofPerson  = "cases of a person"
	ofGranted = "grants to an agency"
	ofNumber  = "number"
	ofSame    = "same"
	ofOpened  = "open"
)

// hints are the rows of names that lead to a case.
func (b *body) hints(k *sealer) (all []hint) {
	for _, r := range b.Records {
		all = append(all, k.single(lead{b.Case, r.ID}, ofRecord, r.ID))
		for _, place := range r.Places {
			all = append(all, k.member(lead{b.Case, r.ID}, r.ID, ofNumber, string(place)))
		}
		for _, place := range r.Same {
			all = append(all, k.member(lead{b.Case, r.ID}, r.ID, ofSame, string(place)))
		}
	}
	for i := range b.Issued {
		all = append(all, b.Issued[i].hints(k, b.Case)...)
	}
	if !b.is() || b.Erasing != nil {
		return all
	}
	agency := b.record(b.Case).Agency
	all = append(all, k.member(lead{b.Case, ""}, b.Case, ofAgency, agency))
	for _, a := range b.Assigned {
		if a.Until != takenBack {
			all = append(all, k.member(lead{b.Case, ""}, b.Case, ofPerson, agency, a.Person))
		}
	}
	for _, g := range b.Grants {
		all = append(all, k.member(lead{b.Case, g.Record}, g.Record, ofGranted, g.Agency))
	}
	for _, o := range b.Openings {
		all = append(all, k.member(lead{b.Case, o.ID}, o.ID, ofOpened, o.Grant, o.Person))
	}
	return all
}

// refs are the cells of a case.
func (b *body) refs() (all []ref) {
	for _, r := range b.Records {
		for _, o := range r.Objects {
			if o.Blob == "" {
				all = append(all, o.Cell)
			}
		}
	}
	for _, w := range b.Words {
		all = append(all, w.Cell)
	}
	for i := range b.Issued {
		all = append(all, b.Issued[i].refs()...)
	}
	return all
}

// strip leaves of a case that is being erased what its erasure needs, also when it is asked
// for once more: ids of records, what the ciphertexts of pages are called, and who works
// on it. There is nothing about its holder.
func (b *body) strip(done vault.Erased) {
	bare := make([]caseRecord, len(b.Records))
	for i, r := range b.Records {
		bare[i] = caseRecord{ID: r.ID, Agency: r.Agency, Recipient: r.Recipient, Day: r.Day}
		for _, o := range r.Objects {
			if o.Blob != "" {
				bare[i].Objects = append(bare[i].Objects, caseObject{Page: o.Page, Version: o.Version, Blob: o.Blob})
			}
		}
	}
	*b = body{Case: b.Case, Seals: b.Seals, Cells: b.Cells, Records: bare, Assigned: b.Assigned, Ending: true, Erasing: &done, head: b.head, was: b.was}
	b.change()
}

// empty tells whether there is nothing to save.
func (b *body) empty() bool {
	return len(b.Seals) == 0 && b.Erasing == nil && len(b.Records) == 0 && b.Entries == 0
}

// change says that the body has changed, and is to be saved.
func (b *body) change() { b.head.own = true }

// forget empties the head of an erased case, but for the seals of rows that stay.
func (b *body) forget() {
	if b.Records = nil; len(b.head.seals) > 0 {
		b.strip(vault.Erased{})
		return
	}
	*b = body{Case: b.Case, head: b.head, was: b.was, gone: true}
	b.change()
}

const (
	// bodyLeast is the smallest size of a body; then it doubles.
	bodyLeast = 4 << 10
	// frontSize is how long the plaintext of a body's front is.
	frontSize = 96
	frontBox  = 24 + 4 + frontSize + 16
)

// front is what stands in front of a body, under our own key: whose it is, whether it is
// under our key as well, and how many cells there may be.
type front struct {
	caseID string
	ours   bool
	cells  uint64
}

func (k *sealer) boxFront(f front, subject string) ([]byte, error) {
	if len(f.caseID) > frontSize-1-9 {
		return nil, fmt.Errorf("sqlstore: an id of %d bytes", len(f.caseID))
	}
	plain := append(make([]byte, 0, frontSize), byte(len(f.caseID))) //nolint:gosec // looked at above
	plain = append(plain, f.caseID...)
	plain = message(plain).flag(f.ours).number(int64(f.cells)) //nolint:gosec // counts one by one
	return k.boxes.box(frontSize, plain, "fronts", subject, 0), nil
}

func (k *sealer) openFront(content []byte, subject string) (f front, err error) {
	var ok bool
	if len(content) >= frontBox {
		plain, err := k.boxes.open(content[:frontBox], "fronts", subject, 0)
		if err == nil {
			f.caseID, plain, ok = cutText(plain)
		}
		if ok = ok && len(plain) == 9; ok {
			f.ours, f.cells = plain[0] == 1, binary.BigEndian.Uint64(plain[1:])
		}
	}
	if !ok {
		return front{}, &SealError{"heads", subject}
	}
	return f, nil
}

// encoding of bodies is the deterministic one (RFC 8949, 4.2.1). A body must be readable
// for ever: a field that this version does not know is an error.
var (
	bodyEncoding = mustMode(cbor.CoreDetEncOptions().EncMode())
	bodyDecoding = mustMode(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   8,
		MaxArrayElements:  1 << 20,
		MaxMapPairs:       1 << 10,
	}.DecMode())
)

func mustMode[T any](mode T, err error) T {
	if err != nil {
		panic(err)
	}
	return mode
}

func decodeBody(plain []byte) (*body, error) {
	b := &body{}
	if err := bodyDecoding.Unmarshal(plain, b); err != nil {
		return nil, err
	}
	if len(b.Seals)%sealSize != 0 {
		return nil, errBox
	}
	return b, nil
}

// ErrNoCaseKey says that nothing tells the keys of cases: CaseKeys was not called.
var ErrNoCaseKey = errors.New("sqlstore: bodies cannot be opened without the keys of cases")

// CaseKeys says who tells the key of a case, of 32 bytes: the keyring's CaseKey, which is
// vault.ErrNotFound for one that is erased. Call it before the database is used.
func (db *DB) CaseKeys(key func(ctx context.Context, caseID string) ([]byte, error)) {
	db.caseKeys.mu.Lock()
	defer db.caseKeys.mu.Unlock()
	db.caseKeys.find, db.caseKeys.known = key, map[string]*boxes{}
}

// caseKeysKept is how many keys of cases are kept in memory at most.
const caseKeysKept = 1 << 16

// ofCase returns the boxes of a case.
func (k *caseKeys) ofCase(ctx context.Context, caseID string) (*boxes, error) {
	k.mu.Lock()
	find, known := k.find, k.known[caseID]
	k.mu.Unlock()
	switch {
	case known != nil:
		return known, nil
	case find == nil:
		return nil, ErrNoCaseKey
	}
	key, err := find(ctx, caseID)
	if err != nil {
		return nil, err
	}
	made, err := newBoxes(key)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= caseKeysKept {
		clear(k.known)
	}
	k.known[caseID] = made
	return made, nil
}

// drop forgets the key of a case that is being erased.
func (k *caseKeys) drop(caseID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, caseID)
}

// caseOf returns the body of a case: an empty one where there is none yet, or not any
// more. Whether there is such a case its records say.
func (h *heads) caseOf(ctx context.Context, id string) (*body, error) {
	of, err := h.of(ctx, ofCase(id))
	if err != nil {
		return nil, err
	}
	return of.body, nil
}

// caseID is the id of a case by the name of its head.
func caseID(subject string) (id string, ok bool) { return strings.CutPrefix(subject, ofCases) }

// openBody opens the body of a head.
func (h *heads) openBody(ctx context.Context, of *head, id string) error {
	if s := of.settled; s != nil {
		b, err := &body{Case: id}, error(nil)
		if s.plain != nil {
			b, err = decodeBody(s.plain)
		}
		if err != nil || s.front.caseID != id {
			return &SealError{"heads", id}
		}
		b.head, b.was, b.gone = of, s.plain, s.gone
		of.body, of.seals = b, b.Seals
		return nil
	}
	if len(of.content) == 0 {
		of.body = &body{Case: id, head: of, gone: of.was > 0}
		if of.body.gone {
			h.caseKeys.drop(id)
		}
		return nil
	}
	f, err := h.openFront(of.content, of.subject)
	if err != nil {
		return err
	}
	under, err := h.boxesOf(ctx, f)
	if err != nil {
		return h.shut(ctx, f.caseID, err)
	}
	plain, err := under.open(of.content[frontBox:], "heads", of.subject, 0)
	if err != nil {
		return &SealError{"heads", f.caseID}
	}
	b, err := decodeBody(plain)
	if err != nil || b.Case != f.caseID || b.Case != id {
		return &SealError{"heads", f.caseID}
	}
	b.head, b.was = of, plain
	of.body, of.seals = b, b.Seals
	return nil
}

// shut says of a case whose key is not there whether it is known to stay shut: then it is
// as if it were not. Else its key was lost.
func (h *heads) shut(ctx context.Context, id string, err error) error {
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	known, err := h.staysShut(ctx, id)
	switch {
	case err != nil:
		return err
	case known:
		return vault.ErrNotFound
	default:
		return &SealError{"heads", id}
	}
}

// keyless is the front of a case whose key is gone: it came back from a backup.
func (h *heads) keyless(ctx context.Context, id string) (f front, err error) {
	of := h.found[h.stored(ofCase(id))]
	if of == nil {
		return f, &SealError{"heads", id}
	}
	if f, err = h.openFront(of.content, of.subject); err != nil {
		return f, err
	}
	switch _, err := h.caseKeys.ofCase(ctx, id); {
	case err == nil:
		return f, &SealError{"heads", id} // with its key it does not open
	case !errors.Is(err, vault.ErrNotFound):
		return f, err
	}
	return f, nil
}

// forgetKeyless takes out what belonged to a case whose key is gone, as far as it can be
// told: what leads to it, and its cells. What its pages are called nobody knows any more;
// they are collected as orphans.
func (h *heads) forgetKeyless(ctx context.Context, tx *sql.Tx, e vault.Erasure) error {
	f, err := h.keyless(ctx, e.Case)
	if err != nil {
		return err
	}
	if err := h.forgetNames(ctx, tx, e.Case); err != nil {
		return err
	}
	if err := h.forgetPlaces(ctx, tx, e.Case); err != nil {
		return err
	}
	if err := h.forgetEntries(ctx, tx, e.Case); err != nil {
		return err
	}
	if err := h.forgetJoins(ctx, tx, e.Case); err != nil {
		return err
	}
	for n := range f.cells {
		called := h.cellName(e.Case, n+1)
		if err := h.exec(ctx, tx, deleteCell, called[:]); err != nil {
			return fmt.Errorf("sqlstore: forget a cell: %w", err)
		}
	}
	of := h.found[h.stored(ofCase(e.Case))]
	of.body = &body{Case: e.Case, Cells: f.cells, Ending: true, Erasing: &vault.Erased{}, head: of}
	for _, id := range e.Records {
		of.body.Records = append(of.body.Records, caseRecord{ID: id, Agency: e.Agency, Day: toDay(e.Day)})
	}
	of.body.change()
	return nil
}

// forgetJoins looks for the cases that a case was joined to whose body nobody can read, and
// parts them.
func (h *heads) forgetJoins(ctx context.Context, tx *sql.Tx, id string) error {
	return h.eachBody(ctx, tx, func(b *body) error {
		if !slices.ContainsFunc(b.Joined, func(j caseJoined) bool { return j.Other == id }) {
			return nil
		}
		other, err := h.caseOf(ctx, b.Case)
		if err != nil {
			return err
		}
		other.change()
		other.Joined = slices.DeleteFunc(other.Joined, func(j caseJoined) bool { return j.Other == id })
		return nil
	})
}

// eachBody opens the body of every case that opens, as it stands.
func (h *heads) eachBody(ctx context.Context, q querier, do func(*body) error) error {
	step, err := slotsAtOnce(ctx, q)
	if err != nil {
		return err
	}
	for first := int64(0); first < slots; first += step {
		all, err := h.rawHeads(ctx, "slot >= $1 AND slot < $2", first, min(first+step, slots))
		if err != nil {
			return err
		}
		for _, one := range all {
			opened, err := h.openRaw(ctx, one)
			if err == nil && opened {
				err = do(one.body)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// openRaw opens the body of a head that is read as it stands, if it is a case's and opens.
func (h *heads) openRaw(ctx context.Context, one *head) (opened bool, err error) {
	if _, ok := caseID(one.subject); !ok || len(one.content) == 0 {
		return false, nil
	}
	f, err := h.openFront(one.content, one.subject)
	if err == nil {
		if _, err = h.boxesOf(ctx, f); err == nil {
			err = h.openBody(ctx, one, f.caseID)
		}
	}
	if shutOrDamaged(err) {
		return false, nil
	}
	return err == nil, err
}

// forgetNames looks for what leads to a case whose body nobody can read, and removes it.
func (h *heads) forgetNames(ctx context.Context, tx *sql.Tx, id string) error {
	rows, err := tx.QueryContext(ctx, "SELECT set_name, item, box FROM names")
	if err != nil {
		return fmt.Errorf("sqlstore: read names: %w", classify(err))
	}
	var its []hint
	err = each(rows, func() error {
		var set, item, box []byte
		if err := rows.Scan(&set, &item, &box); err != nil {
			return err
		}
		if len(set) != len(name{}) || len(item) != len(name{}) {
			return nil // the check of everything finds it
		}
		if to, err := h.openLead(name(set), item, box); err == nil && to.Case == id {
			its = append(its, hint{set: name(set), item: name(item)})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlstore: read names: %w", classify(err))
	}
	for _, one := range its {
		if err := h.dropHint(ctx, tx, one); err != nil {
			return err
		}
	}
	return nil
}

// settle writes what belongs to the bodies that a change has changed. What it says of a
// name that is taken or of a key that is gone, it says of that change alone.
func (h *heads) settle(ctx context.Context, tx *sql.Tx) error {
	for _, called := range slices.Sorted(maps.Keys(h.found)) {
		one := h.found[called]
		if !one.own || one.body == nil {
			continue
		}
		if err := h.settleBody(ctx, tx, one.body); err != nil {
			return err
		}
	}
	return nil
}

func (h *heads) settleBody(ctx context.Context, tx *sql.Tx, b *body) error {
	b.Seals = b.head.seals
	before := &body{}
	if b.was != nil {
		var err error
		if before, err = decodeBody(b.was); err != nil {
			return &SealError{"heads", b.Case}
		}
	}
	if err := h.saveHints(ctx, tx, before.hints(h.sealer), b.hints(h.sealer)); err != nil {
		return err
	}
	if err := h.saveCells(ctx, tx, before, b); err != nil {
		return err
	}
	if err := h.saveHistory(ctx, tx, before, b); err != nil {
		return err
	}
	s := &settled{front: front{b.Case, b.Erasing != nil || b.Case == noCase, b.Cells}, gone: b.gone}
	if !b.empty() {
		if b.gone {
			return vault.ErrNotFound
		}
		if _, err := h.boxesOf(ctx, s.front); err != nil {
			return err
		}
		var err error
		if s.plain, err = bodyEncoding.Marshal(b); err != nil {
			return fmt.Errorf("sqlstore: write a body: %w", err)
		}
	}
	b.head.settled, b.was, b.fresh = s, s.plain, nil
	return nil
}

// boxesOf is what the body behind a front is under.
func (k *sealer) boxesOf(ctx context.Context, f front) (*boxes, error) {
	if f.ours {
		return k.boxes, nil
	}
	return k.caseKeys.ofCase(ctx, f.caseID)
}

// boxBody is what a head holds of a settled body.
func (h *heads) boxBody(ctx context.Context, of *head) ([]byte, error) {
	s := of.settled
	if s.plain == nil {
		return nil, nil
	}
	under, err := h.boxesOf(ctx, s.front)
	if err != nil {
		return nil, err
	}
	content, err := h.boxFront(s.front, of.subject)
	return append(content, under.box(bodyLeast, s.plain, "heads", of.subject, 0)...), err
}

// frontsFrom shows the heads of cases to look, from one on, until look wants no more. Where
// something does not hold, look is called once more for that case: it keeps what it found
// at its end.
func (db *DB) frontsFrom(ctx context.Context, from string, look func(h *heads, of *head, f front) (more bool, err error)) error {
	if db.seals == nil {
		return ErrNoSealKey
	}
	many, err := slotsAtOnce(ctx, db.read)
	if err != nil {
		return err
	}
	first, begin, step := int64(0), "", many
	if from != "" {
		begin = db.seals.stored(ofCase(from))
		first, step = slotOf(begin), 1 // which may be all that is wanted
	}
	for first < slots {
		var all []*head
		var in *heads
		err := db.believed(ctx, func(h *heads) (err error) {
			in = h
			all, err = h.between(ctx, first, step)
			return err
		})
		if err != nil {
			return err
		}
		// What was read from one moment is looked at behind its transaction.
		in.q, in.ready, in.whole = db.read, db.seals.reading(), false
		slices.SortFunc(all, func(a, b *head) int { return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.subject, b.subject)) })
		for _, one := range all {
			if _, ok := caseID(one.subject); !ok || len(one.content) == 0 || one.subject < begin {
				continue
			}
			f, err := in.openFront(one.content, one.subject)
			more := true
			if err == nil {
				more, err = look(in, one, f)
			}
			if isSealError(err) || errors.Is(err, errAgain) {
				err = db.believed(ctx, func(h *heads) (err error) {
					of, err := h.of(ctx, ofCase(f.caseID))
					if err == nil && len(of.content) > 0 {
						more, err = look(h, of, f)
					}
					return err
				})
			}
			if err != nil && !isSealError(err) && !errors.Is(err, vault.ErrNotFound) {
				return err
			}
			if err == nil && !more {
				return nil
			}
		}
		first, begin, step = first+step, "", many
	}
	return nil
}

// casesFrom is frontsFrom for bodies that open. Those that do not are for the check of
// everything.
func (db *DB) casesFrom(ctx context.Context, from string, look func(h *heads, c *body) (more bool, err error)) error {
	return db.frontsFrom(ctx, from, func(h *heads, of *head, f front) (bool, error) {
		if of.body == nil {
			if err := h.openBody(ctx, of, f.caseID); err != nil {
				return true, err
			}
		}
		return look(h, of.body)
	})
}

func isSealError(err error) bool {
	_, ok := errors.AsType[*SealError](err)
	return ok
}

// saveHints writes the rows of names that are new, and removes those that are not any
// more.
func (h *heads) saveHints(ctx context.Context, tx *sql.Tx, before, after []hint) error {
	was := make(map[hint]bool, len(before))
	for _, one := range before {
		was[one] = true
	}
	is := make(map[hint]bool, len(after))
	for _, one := range after {
		is[one] = true
	}
	for _, one := range before { // in their order, so that trying once more does the same
		if is[one] {
			continue
		}
		if err := h.dropHint(ctx, tx, one); err != nil {
			return err
		}
	}
	for _, one := range after {
		if was[one] {
			continue
		}
		was[one] = true
		if err := h.addHint(ctx, tx, one); err != nil {
			return err
		}
	}
	return nil
}

// A cell is a part of a case that never changes: a token, what a document says, a word.
// It is called by its case and a number, and its box is bound to the mark in the body.

// ref is what a body says of a cell.
type ref struct {
	_    struct{} `cbor:",toarray"`
	N    uint64
	Mark [8]byte
}

// freshCell is one that is written with its body.
type freshCell struct {
	ref   ref
	least int
	plain []byte
}

// keep puts a cell into a case. Its box is at least so long; then it doubles.
func (b *body) keep(least int, plain []byte) ref {
	b.Cells++
	r := ref{N: b.Cells}
	_, _ = rand.Read(r.Mark[:]) // never returns an error
	b.fresh = append(b.fresh, freshCell{r, least, plain})
	b.change()
	return r
}

func (k *sealer) cellName(caseID string, n uint64) name {
	return k.name("cell", caseID, string(binary.BigEndian.AppendUint64(nil, n)))
}

// bound is what the box of a cell is bound to.
func (r ref) bound(called name) string { return string(called[:]) + string(r.Mark[:]) }

const (
	selectCell = "SELECT box FROM cells WHERE name = $1"
	insertCell = "INSERT INTO cells (name, box) VALUES ($1, $2)"
	deleteCell = "DELETE FROM cells WHERE name = $1"
)

// cell opens a cell of a case. One that is missing is damage.
func (h *heads) cell(ctx context.Context, b *body, r ref) ([]byte, error) {
	for _, one := range b.fresh {
		if one.ref == r {
			return one.plain, nil
		}
	}
	under, err := h.caseKeys.ofCase(ctx, b.Case)
	if err != nil {
		return nil, h.shut(ctx, b.Case, err)
	}
	called := h.cellName(b.Case, r.N)
	rows, err := h.send(ctx, selectCell, called[:])
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read a cell: %w", classify(err))
	}
	var box []byte
	if err := each(rows, func() error { return rows.Scan(&box) }); err != nil {
		return nil, fmt.Errorf("sqlstore: read a cell: %w", classify(err))
	}
	plain, err := under.open(box, "cells", r.bound(called), 0)
	if err != nil {
		return nil, &SealError{"cells", called.String()}
	}
	return plain, nil
}

// saveCells writes the cells that are new, and removes those that no field refers to any
// more.
func (h *heads) saveCells(ctx context.Context, tx *sql.Tx, before, b *body) error {
	is := map[ref]bool{}
	for _, r := range b.refs() {
		is[r] = true
	}
	for _, r := range before.refs() {
		if is[r] {
			continue
		}
		called := h.cellName(b.Case, r.N)
		if err := h.exec(ctx, tx, deleteCell, called[:]); err != nil {
			return fmt.Errorf("sqlstore: forget a cell: %w", err)
		}
	}
	if len(b.fresh) == 0 {
		return nil
	}
	under, err := h.caseKeys.ofCase(ctx, b.Case)
	if err != nil {
		return err
	}
	for _, one := range b.fresh {
		if !is[one.ref] {
			continue
		}
		called := h.cellName(b.Case, one.ref.N)
		if err := h.exec(ctx, tx, insertCell, called[:], under.box(one.least, one.plain, "cells", one.ref.bound(called), 0)); err != nil {
			return fmt.Errorf("sqlstore: keep a cell: %w", err)
		}
	}
	return nil
}
