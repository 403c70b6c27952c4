package sqlstore

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

// A row is not authority. Each row that grants something has a seal, which is a
// keyed hash of what it says (seals.go), and stands in the head of its subject: a
// case, a block of places in a status list, the network. A head lists the seals of
// all rows of its subject, under a MAC with the number of the change that wrote it.
// So a row that somebody changed or added without the key is in no head, one that
// was taken away is missed, and one that was put back has a seal that its head does
// not list any more.
//
// A head that was put back, with all the rows under it, has a valid MAC. But its
// number is lower than it was. Every process adds up the numbers of all heads, in
// slots, and holds each head that it reads against the sum of its slot: numbers only
// grow, so that a sum as high as it should be has no old one in it. The sum of all
// stands in the database, too, under a MAC, for processes that start and for what
// others write (docs/decisions/0038-rows.md).

// ErrNeverSealed says that no row of the database was ever sealed.
var ErrNeverSealed = errors.New("sqlstore: the rows of this database were never sealed")

// ErrNoSealKey says that a row that grants something was asked for before anybody
// gave the key of the seals.
var ErrNoSealKey = errors.New("sqlstore: rows cannot be believed without the key of their seals")

// SealError says that rows are not what was written: changed, added, taken away or
// put back past this program. Nothing of them is used.
type SealError struct {
	Table string // or several, as "rows of"
	ID    string // of the row, or of what it is about; says nothing about anybody
}

// Error names the row.
func (e *SealError) Error() string {
	return fmt.Sprintf("sqlstore: %s %s is not what was written here", e.Table, e.ID)
}

// Unwrap says that this is damage.
func (e *SealError) Unwrap() error { return trouble.ErrDamaged }

// errAgain says that what was read comes from a moment that cannot be judged: it
// has to be read again, from one moment.
var errAgain = errors.New("sqlstore: read again")

const (
	// sealSize is a table's number and 16 bytes of a keyed hash.
	sealSize = 1 + 16
	// slots is in how many sums the numbers of heads are added up, in memory: a few
	// heads share each with a million cases. A slot from there on is one head's own.
	slots = 1 << 18
	// blockSize is how many places of a status list one head is about, and blocks
	// how many heads one list has at most.
	blockSize = 1 << 8
	blocks    = statuslist.Entries / blockSize
)

// seal is the keyed hash of one row, behind the number of its table.
type seal [sealSize]byte

// head is the newest list of seals of one subject, or the body of a case (body.go).
type head struct {
	subject string
	slot    int64
	number  int64  // drawn behind the count of changes; 0 for one that was never written
	content []byte // as it is stored: the seals, or a body
	seals   []byte
	body    *body    // of a case, once it is opened
	settled *settled // a body as a change has left it, which is not in content yet

	was int64 // its number before this transaction
	own bool  // changed in this transaction
}

// has reports whether a row with this seal is one of the subject's.
func (h *head) has(s seal) bool { return h.at(s) >= 0 }

func (h *head) at(s seal) int {
	for i := 0; i < len(h.seals); i += sealSize {
		if bytes.Equal(h.seals[i:i+sealSize], s[:]) {
			return i
		}
	}
	return -1
}

// count is how many rows of a table the subject has.
func (h *head) count(t sealedTable) (n int) {
	for i := 0; i < len(h.seals); i += sealSize {
		if h.seals[i] == byte(t) {
			n++
		}
	}
	return n
}

// only is the one seal of a table of which the subject has one; the zero seal if it has
// none.
func (h *head) only(t sealedTable) (s seal) {
	for i := 0; i < len(h.seals); i += sealSize {
		if h.seals[i] == byte(t) {
			copy(s[:], h.seals[i:])
		}
	}
	return s
}

// put adds the seal of a row that was written.
func (h *head) put(s seal) {
	h.seals, h.own = append(h.seals, s[:]...), true
}

// take removes the seal of a row that changes or goes. The row was not what had
// been written, unless it is there.
func (h *head) take(s seal, id string) error {
	i := h.at(s)
	if i < 0 {
		return &SealError{sealedTable(s[0]).String(), id}
	}
	last := len(h.seals) - sealSize
	copy(h.seals[i:], h.seals[last:])
	h.seals, h.own = h.seals[:last], true
	return nil
}

// drop removes the seals of all rows of a table.
func (h *head) drop(t sealedTable) {
	kept := h.seals[:0]
	for s := range slices.Chunk(h.seals, sealSize) {
		if s[0] != byte(t) {
			kept = append(kept, s...)
		}
	}
	h.seals, h.own = kept, true
}

// clone is a head that can be changed without the other.
func (h *head) clone() *head {
	c := *h
	c.seals, c.body = bytes.Clone(h.seals), nil // a body is opened by whoever needs it
	return &c
}

// sealer has the key of the seals, and what this process knows of the numbers.
type sealer struct {
	macs, names     *keyed
	fills           *keyed // the leaves that fill the log's windows
	boxes           *boxes // what is not under the key of a case
	caseKeys        *caseKeys
	toRead, toWrite func() statements

	mu       sync.Mutex
	loaded   bool
	number   int64 // of the newest change that is added up below
	total    int64
	hashed   []slotSums
	alone    map[int64]slotSums
	distrust error // what was found first that does not hold
	noticed  chan struct{}
}

// slotSums are the sum of a slot's numbers since a change, and the one before, from
// one change to another: whoever reads from a moment ago is judged by what was so
// then.
type slotSums struct {
	sum, since         int64
	before, from, till int64
}

// at is the sum after a change, if it is known.
func (s slotSums) at(number int64) (sum int64, known bool) {
	switch {
	case number >= s.since:
		return s.sum, true
	case s.from <= number && number <= s.till:
		return s.before, true
	default:
		return 0, false
	}
}

// countRow is the row that counts changes.
type countRow struct{ number, total int64 }

// caseKeys are the keys of cases, as far as this process needed them.
type caseKeys struct {
	mu    sync.Mutex
	find  func(ctx context.Context, caseID string) ([]byte, error)
	known map[string]*boxes
}

// Seal gives the key by which rows are believed, called and boxed, 32 bytes. Call it
// before the database is used for anything that a row grants.
func (db *DB) Seal(key []byte) {
	db.seals = newSealer(key, &db.caseKeys)
	db.seals.toRead = sync.OnceValue(func() statements { return prepare(db.read, selectHeads+inSlot, selectNamed, selectCell, onePlace) })
	// Before any transaction: there is one connection that writes.
	db.seals.toWrite = sync.OnceValue(func() statements {
		return prepare(db.write, selectHeads+inSlot, writeHead, writeCount, selectNamed, insertName, deleteName, selectCell, insertCell, deleteCell,
			onePlace, insertPlace, updatePlace, insertDraft, deleteDraft)
	})
}

func newSealer(key []byte, cases *caseKeys) *sealer {
	made, err := newBoxes(derived(key, "safeconduct/boxes/1"))
	if err != nil {
		panic(err) // its key has the size that it has
	}
	return &sealer{
		macs: newKeyed(bytes.Clone(key)), names: newKeyed(derived(key, "safeconduct/names/1")), boxes: made,
		fills:    newKeyed(derived(key, "safeconduct/filling leaves/1")),
		caseKeys: cases, noticed: make(chan struct{}, 1),
	}
}

// Distrusted is what was found first that is not what was written; nil if nothing
// was. It stands until CheckSeals finds nothing.
func (db *DB) Distrusted() error {
	if db.seals == nil {
		return nil
	}
	db.seals.mu.Lock()
	defer db.seals.mu.Unlock()
	return db.seals.distrust
}

// Noticed is told when something is found that is not what was written.
func (db *DB) Noticed() <-chan struct{} { return db.seals.noticed }

// Seen is the number of the newest change that this process has seen. It never goes
// back, whatever the database says.
func (db *DB) Seen() int64 {
	if db.seals == nil {
		return 0
	}
	db.seals.mu.Lock()
	defer db.seals.mu.Unlock()
	return db.seals.number
}

// remember notes what does not hold, and passes it on.
func (k *sealer) remember(err error) error {
	if untrue, ok := errors.AsType[*SealError](err); ok {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.distrust == nil {
			k.distrust = untrue
			select {
			case k.noticed <- struct{}{}:
			default: // somebody is about to hear of it
			}
		}
	}
	return err
}

// heads are the heads that one reading or one transaction has to do with.
type heads struct {
	*sealer

	q     querier
	ready statements
	whole bool  // everything that is read through q comes from one moment
	floor int64 // what had been written here before
	read  bool
	count countRow
	after countRow // once it has written
	found map[string]*head
	// before are heads as the changes before this one have made them, in the same
	// transaction. They are not in the database yet, and are not this one's to change.
	before map[string]*head
	looked *bool // whether once was called in this transaction; nil outside of one
	turns  int64 // how many places began to wait (places.go)
}

// once does what one look is enough of for all changes that share a transaction.
func (h *heads) once(look func() error) error {
	if h.looked == nil {
		return look()
	}
	if *h.looked {
		return nil
	}
	err := look()
	*h.looked = err == nil
	return err
}

func (k *sealer) reading() statements { return k.toRead() }
func (k *sealer) writing() statements { return k.toWrite() }

func (db *DB) newHeads(q querier, ready func(*sealer) statements, whole bool) (*heads, error) {
	if db.seals == nil {
		return nil, ErrNoSealKey
	}
	prepared := ready(db.seals)
	db.seals.mu.Lock()
	defer db.seals.mu.Unlock()
	return &heads{sealer: db.seals, q: q, ready: prepared, whole: whole, floor: db.seals.number, found: map[string]*head{}}, nil
}

// sealed runs do inside a write transaction, and writes the heads that do has changed
// with it. Changes that share a transaction share its heads: each is read once, held
// against what this process knows once, and written once, behind the last change.
func (db *DB) sealed(ctx context.Context, do func(tx *sql.Tx, h *heads) error) error {
	if db.seals == nil {
		return ErrNoSealKey
	}
	db.seals.toWrite()
	err := db.inTurn(ctx, caller{of: db.seals}, func(g *group) error {
		h, err := db.newHeads(g.tx, (*sealer).writing, true)
		if err != nil {
			return err
		}
		if g.heads != nil {
			h.before, h.count = g.heads.found, g.heads.count
		}
		g.mine, h.looked = h, &g.looked
		if err := do(g.tx, h); err != nil {
			return err
		}
		return h.settle(ctx, g.tx)
	})
	if errors.Is(err, errAgain) {
		err = ErrBusy // the newest moment there is cannot be too old
	}
	return db.seals.remember(err)
}

// maxReadings bounds how often something is read again because others write.
const maxReadings = 16

// believed runs read, which reads rows and holds them against their heads. What does
// not hold is read again from one moment before it is called so: rows and heads are
// read by two statements, and somebody may write between them. read must set what it
// hands out anew each time.
func (db *DB) believed(ctx context.Context, read func(h *heads) error) error {
	h, err := db.newHeads(db.read, (*sealer).reading, false)
	if err != nil {
		return err
	}
	err = read(h)
	for range maxReadings {
		untrue, _ := errors.AsType[*SealError](err)
		if untrue == nil && !errors.Is(err, errAgain) || ctx.Err() != nil {
			return err
		}
		err = db.readTx(ctx, func(tx *sql.Tx) error {
			if h, err = db.newHeads(tx, (*sealer).reading, true); err != nil {
				return err
			}
			return read(h)
		})
		if !errors.Is(err, errAgain) {
			return db.seals.remember(err)
		}
	}
	return ErrBusy
}

// subjects. That of a case is a name where it is stored: stored.
func ofCase(id string) string { return ofCases + id }

const ofCases = "case/"

// stored is how a subject is called in the database.
func (k *sealer) stored(subject string) string {
	if id, ok := caseID(subject); ok {
		return ofCases + k.name("case", id).String()
	}
	return subject
}

func ofBlock(list uint16, index uint32) string {
	return fmt.Sprintf("list/%05d/%04d", list, index/blockSize)
}

const (
	ofNetwork  = "network"
	ofLists    = "lists"
	ofAgencies = "agencies"
	ofRoster   = "roster"
	ofKeyring  = "keyring"
	ofLog      = "log"
	ofNobody   = "nobody" // without seals, written where there is no case to write to
)

// Rows of boxed tables, of which many come and go, share these many subjects, so that
// none of them has to be forgotten: numbers only grow.
const (
	buckets  = 1 << 8
	ofBucket = "rows/"
)

// inBucket is the subject of a row by its name.
func inBucket(n name) string { return fmt.Sprintf("%s%02x", ofBucket, n[0]) }

// bucketSlots is where the slots of buckets begin: behind all lists.
const bucketSlots = int64(slots) + (1<<16)*blocks

// slotOf is where a subject's numbers are added up. A block of a status list is
// alone in its slot, because a publication reads all of them, and so is a bucket.
func slotOf(subject string) int64 {
	if at, ok := strings.CutPrefix(subject, ofBucket); ok {
		if n, err := strconv.ParseUint(at, 16, 8); err == nil && len(at) == 2 {
			return bucketSlots + int64(n)
		}
	}
	if rest, ok := strings.CutPrefix(subject, "list/"); ok {
		list, block, _ := strings.Cut(rest, "/")
		n, err1 := strconv.ParseUint(list, 10, 16)
		at, err2 := strconv.ParseUint(block, 10, 32)
		if err1 == nil && err2 == nil && at < blocks {
			return slots + int64(n)*blocks + int64(at)
		}
	}
	sum := sha256.Sum256([]byte(subject))
	return int64(binary.BigEndian.Uint32(sum[:]) % slots)
}

const selectHeads = `SELECT c.number, c.total, c.mac, h.subject, h.slot, h.number, h.digest, h.mac, h.content
	FROM head_count c LEFT JOIN heads h ON `

// of returns the newest head of a subject, an empty one where nothing was ever
// sealed. That of a case comes with its body.
func (h *heads) of(ctx context.Context, subject string) (*head, error) {
	called := h.stored(subject)
	if before := h.before[called]; before != nil && h.found[called] == nil {
		h.found[called] = before.clone()
	}
	if h.found[called] == nil {
		slot := slotOf(called)
		if err := h.load(ctx, inSlot, slot); err != nil {
			return nil, err
		}
		if err := h.judge(ctx, slot, slot+1); err != nil {
			return nil, err
		}
		if h.found[called] == nil {
			h.found[called] = &head{subject: called, slot: slot}
		}
	}
	of := h.found[called]
	if id, ok := caseID(subject); ok && of.body == nil {
		if err := h.openBody(ctx, of, id); err != nil {
			return nil, err
		}
	}
	return of, nil
}

// absent is for a row that is not there: it looks for a head as it would for the row's
// own, so that how long the answer takes does not tell a row that is another agency's
// from one that never was. It returns unknown, unless that look goes wrong.
func (h *heads) absent(ctx context.Context, subject string, unknown error) error {
	if _, err := h.of(ctx, subject); err != nil {
		return err
	}
	return unknown
}

// ofList returns the heads of all blocks of a status list.
func (h *heads) ofList(ctx context.Context, list uint16) ([]*head, error) {
	return h.between(ctx, int64(slots)+int64(list)*blocks, blocks)
}

// ofBuckets returns the heads of all buckets, also of those that are empty.
func (h *heads) ofBuckets(ctx context.Context) ([]*head, error) {
	if _, err := h.between(ctx, bucketSlots, buckets); err != nil {
		return nil, err
	}
	all := make([]*head, buckets)
	for i := range all {
		subject := inBucket(name{byte(i)})
		if h.found[subject] == nil {
			h.found[subject] = &head{subject: subject, slot: slotOf(subject)}
		}
		all[i] = h.found[subject]
	}
	return all, nil
}

// between returns the heads in some slots, which are alone in them.
func (h *heads) between(ctx context.Context, first, n int64) (found []*head, err error) {
	if err := h.load(ctx, "h.slot >= $1 AND h.slot < $2", first, first+n); err != nil {
		return nil, err
	}
	if err := h.judge(ctx, first, first+n); err != nil {
		return nil, err
	}
	for subject, one := range h.before { // also those that were not there before
		if first <= one.slot && one.slot < first+n && h.found[subject] == nil {
			h.found[subject] = one.clone()
		}
	}
	for _, one := range h.found {
		if first <= one.slot && one.slot < first+n {
			found = append(found, one)
		}
	}
	return found, nil
}

const inSlot = "h.slot = $1"

// What every change writes.
const (
	writeHead = `INSERT INTO heads (slot, subject, number, digest, mac, content) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (slot, subject) DO UPDATE SET number = excluded.number, digest = excluded.digest, mac = excluded.mac, content = excluded.content`
	writeCount = "UPDATE head_count SET number = $1, total = $2, mac = $3"
)

// statements are those that are prepared once, because every call needs them. One
// that could not be prepared is missing, and is sent as it is.
type statements map[string]*sql.Stmt

func prepare(db *sql.DB, queries ...string) statements {
	ready := statements{}
	for _, q := range queries {
		if s, err := db.PrepareContext(context.Background(), q); err == nil {
			ready[q] = s
		}
	}
	return ready
}

// send sends a query, one that is prepared if there is such a one.
func (h *heads) send(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ready := h.ready[query]
	tx, inTx := h.q.(*sql.Tx)
	switch {
	case ready == nil:
		return h.q.QueryContext(ctx, query, args...)
	case inTx:
		return tx.StmtContext(ctx, ready).QueryContext(ctx, args...)
	default:
		return ready.QueryContext(ctx, args...)
	}
}

// exec writes a head, their count, or what belongs to one.
func (h *heads) exec(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	if ready := h.ready[query]; ready != nil {
		_, err := tx.StmtContext(ctx, ready).ExecContext(ctx, args...)
		return err
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}

// load reads the count and the heads for which a condition holds.
func (h *heads) load(ctx context.Context, where string, args ...any) error {
	rows, err := h.send(ctx, selectHeads+where, args...)
	if err != nil {
		return fmt.Errorf("sqlstore: read heads: %w", classify(err))
	}
	counted := false
	err = each(rows, func() error {
		var count countRow
		var mac []byte
		var row headRow
		if err := rows.Scan(&count.number, &count.total, &mac, &row.subject, &row.slot, &row.number, &row.digest, &row.mac, &row.content); err != nil {
			return err
		}
		if !counted {
			if counted = true; !hmac.Equal(mac, h.countMAC(count)) || count.number < h.floor {
				return &SealError{"head_count", "1"}
			}
			// Of one reading that is not from one moment each statement is judged by
			// its own count.
			h.count, h.read = count, true
		}
		if !row.subject.Valid {
			return nil
		}
		one, err := h.entire(row)
		if err != nil || h.found[one.subject] != nil {
			return err
		}
		if before := h.before[one.subject]; before != nil {
			one = before.clone()
		}
		h.found[one.subject] = one
		return nil
	})
	if err != nil {
		return classify(err)
	}
	if !counted {
		return ErrNeverSealed
	}
	return nil
}

// headRow is a row of heads. Where all heads are added up it comes without its content.
type headRow struct {
	subject              sql.NullString
	slot, number         sql.NullInt64
	digest, mac, content []byte
}

// summed is a head that was read without its content.
func (k *sealer) summed(row headRow) (*head, error) {
	one := &head{subject: row.subject.String, slot: row.slot.Int64, number: row.number.Int64, was: row.number.Int64}
	if !hmac.Equal(row.mac, k.headMAC(one, row.digest)) || one.slot != slotOf(one.subject) {
		return nil, &SealError{"heads", one.subject}
	}
	return one, nil
}

// entire is a head with its content. A body is opened by whoever needs it.
func (k *sealer) entire(row headRow) (*head, error) {
	one, err := k.summed(row)
	if err != nil {
		return nil, err
	}
	one.content = row.content
	if digest := sha256.Sum256(row.content); !bytes.Equal(digest[:], row.digest) {
		return nil, &SealError{"heads", one.subject}
	}
	if _, ok := caseID(one.subject); ok {
		return one, nil
	}
	if one.seals = row.content; len(one.seals)%sealSize != 0 {
		return nil, &SealError{"heads", one.subject}
	}
	return one, nil
}

// judge holds what was read in the slots from first to before end against what this
// process knows of them.
func (h *heads) judge(ctx context.Context, first, end int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.loaded || h.count.number > h.number {
		if !h.whole {
			return errAgain // somebody else has written: catch up, from one moment
		}
		if err := h.catchUp(ctx); err != nil {
			return err
		}
	}
	if h.count.number == h.number && h.count.total != h.total {
		return &SealError{"heads", "in all"}
	}
	sums := map[int64]int64{}
	for _, one := range h.found {
		if first <= one.slot && one.slot < end {
			sums[one.slot] += one.was
		}
	}
	if first < slots {
		sums[first] += 0
	} else {
		for slot := range h.alone {
			if first <= slot && slot < end {
				sums[slot] += 0 // also one that is missing
			}
		}
	}
	for slot, sum := range sums {
		switch want, known := h.slot(slot).at(h.count.number); {
		case !known:
			return errAgain
		case sum != want:
			return &SealError{"heads", fmt.Sprintf("in slot %d", slot)}
		}
	}
	return nil
}

func (k *sealer) slot(slot int64) slotSums {
	if slot < slots {
		return k.hashed[slot]
	}
	return k.alone[slot]
}

// setSum notes a slot's sum since a change; till another one it was as before.
func (k *sealer) setSum(slot, sum, since, till int64) {
	was := k.slot(slot)
	now := slotSums{sum, since, was.sum, was.since, till}
	if was.since == since { // a second head of the same slot in one transaction
		now.before, now.from = was.before, was.from
	}
	if slot < slots {
		k.hashed[slot] = now
	} else {
		k.alone[slot] = now
	}
}

// catchUp adds up what others have written, from one moment. The lock is held.
func (h *heads) catchUp(ctx context.Context) error {
	k := h.sealer
	if !k.loaded {
		return k.addUp(ctx, h.q, h.count)
	}
	sums, err := k.sumOf(ctx, h.q, "WHERE slot IN (SELECT slot FROM heads WHERE number > $1)", k.number)
	if err != nil {
		return err
	}
	total := k.total
	for slot, sum := range sums {
		total += sum - k.slot(slot).sum
	}
	if total != h.count.total {
		return &SealError{"heads", "in all"}
	}
	for slot, sum := range sums {
		if sum != k.slot(slot).sum {
			k.setSum(slot, sum, h.count.number, k.number)
		}
	}
	k.number, k.total = h.count.number, total
	return nil
}

// addUp adds up the numbers of all heads, each of which is held against its MAC.
func (k *sealer) addUp(ctx context.Context, q querier, count countRow) error {
	sums, err := k.sumOf(ctx, q, "")
	if err != nil {
		return err
	}
	var total int64
	for _, sum := range sums {
		total += sum
	}
	if total != count.total {
		return &SealError{"heads", "in all"}
	}
	k.hashed, k.alone = make([]slotSums, slots), map[int64]slotSums{}
	for slot, sum := range sums {
		// Of what was before nothing is known.
		now := slotSums{sum: sum, since: count.number, till: -1}
		if slot < slots {
			k.hashed[slot] = now
		} else {
			k.alone[slot] = now
		}
	}
	k.number, k.total, k.loaded = count.number, total, true
	return nil
}

// sumOf adds up the numbers of some heads, slot by slot.
func (k *sealer) sumOf(ctx context.Context, q querier, where string, args ...any) (map[int64]int64, error) {
	rows, err := q.QueryContext(ctx, "SELECT subject, slot, number, digest, mac FROM heads "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read heads: %w", classify(err))
	}
	sums := map[int64]int64{}
	err = each(rows, func() error {
		var row headRow
		if err := rows.Scan(&row.subject, &row.slot, &row.number, &row.digest, &row.mac); err != nil {
			return err
		}
		one, err := k.summed(row)
		if err == nil {
			sums[one.slot] += one.number
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read heads: %w", classify(err))
	}
	return sums, nil
}

// spread is how far behind the count of changes the number of a head is drawn. A number
// that was the change's own, or one drawn among those of its transaction, would tell which
// rows of other heads were written beside a case, and which line of the service's log is
// about it (docs/decisions/0073-numbers-that-are-drawn.md). Whoever catches up reads as
// many heads more.
const spread = 1 << 8

// write writes the heads that were changed, and returns the count after them. Each gets a
// number that is above its own and above the count before, and not more than spread behind
// that: so numbers only grow, what was written behind a count has a number above it, and how
// often a head was written does not run ahead of the count.
func (h *heads) write(ctx context.Context, tx *sql.Tx) (now countRow, err error) {
	now = h.count
	for _, subject := range slices.Sorted(maps.Keys(h.found)) {
		one := h.found[subject]
		if !one.own {
			continue
		}
		now.number++
		above := max(h.count.number, one.was)
		left := max(1, h.count.number+spread-above)
		one.number = above + 1 + rand.Int64N(left) //nolint:gosec // ChaCha8 under a seed of the process, and no secret
		now.total += one.number - one.was
		if err := h.writeHead(ctx, tx, one); err != nil {
			return now, err
		}
	}
	if now == h.count {
		return now, nil
	}
	if err := h.exec(ctx, tx, writeCount, now.number, now.total, h.countMAC(now)); err != nil {
		return now, fmt.Errorf("sqlstore: count heads: %w", err)
	}
	h.after = now
	return now, nil
}

// keptIn adds what a change has read and changed to what those before it have, in the
// same transaction; nil if there were none.
func (h *heads) keptIn(before *heads) *heads {
	if before == nil {
		h.before = nil
		return h
	}
	maps.Copy(before.found, h.found)
	if h.read {
		before.count, before.read = h.count, true
	}
	return before
}

func (h *heads) writeHead(ctx context.Context, tx *sql.Tx, one *head) (err error) {
	switch _, ok := caseID(one.subject); {
	case one.settled != nil:
		if one.content, err = h.boxBody(ctx, one); err != nil {
			return err
		}
	case !ok:
		one.content = one.seals
	}
	return h.putHead(ctx, tx, one)
}

// putHead writes a head as it is.
func (h *heads) putHead(ctx context.Context, tx *sql.Tx, one *head) error {
	digest := sha256.Sum256(one.content)
	err := h.exec(ctx, tx, writeHead, one.slot, one.subject, one.number, digest[:], h.headMAC(one, digest[:]), nonNil(one.content))
	if err != nil {
		return fmt.Errorf("sqlstore: write a head: %w", err)
	}
	return nil
}

// nonNil is b, which is no NULL when it is empty.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// written adds up what a transaction has written, now that it is committed.
func (h *heads) written() {
	if !h.read || h.after == (countRow{}) {
		return
	}
	k := h.sealer
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.loaded || k.number != h.count.number {
		return // somebody has read it already, and caught up
	}
	for _, one := range h.found {
		if one.own {
			k.setSum(one.slot, k.slot(one.slot).sum+one.number-one.was, h.after.number, h.count.number)
		}
	}
	k.number, k.total = h.after.number, h.after.total
}

func (k *sealer) headMAC(h *head, digest []byte) []byte {
	return k.macs.sum(message{}.text("head", h.subject).number(h.slot, h.number).bytes(digest))
}

func (k *sealer) countMAC(c countRow) []byte {
	return k.macs.sum(message{}.text("count").number(c.number, c.total))
}
