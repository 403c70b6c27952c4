package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/vault"
)

// A place is one index of a status list and of the answers list beside it. Its row has a
// keyed name and a box of one size, whatever stands there: to whoever has no key a decoy
// and a person's card are alike, and what waits to become public is like what does not.
// Which block of its list a place is in stands in the clear: an index is drawn, and says
// nothing.

// placeRow is a place in a status list, and in the answers list beside it.
type placeRow struct {
	credentials.Entry

	list uint16
	// waiting orders what is not public yet: by the change from which on it waits.
	waiting int64
	held    bool // of what was lost with a backup that was not made any more
	// of is what stands there. It is empty for a decoy, for what is held, and for what
	// stood in a case that was erased.
	of    lead
	reply string // the id of the one that confirms the answer that is wanted

	box []byte // as it is stored
}

// placeForm is a place in its box. The order of its members is kept.
type placeForm struct {
	_ struct{} `cbor:",toarray"`

	Index                         uint32
	Decoy, Held                   bool
	WantedStatus, PublishedStatus uint8
	WantedAnswer, PublishedAnswer uint8
	Waiting                       int64
	Case, ID, Reply               compact
}

// placeSize is how long the plaintext of each place is: three ids, and room.
const placeSize = 96

// id names a place.
func (p placeRow) id() string { return fmt.Sprintf("%d/%d", p.list, p.Index) }

// public reports whether all that is wanted of a place is public.
func (p placeRow) public() bool {
	return p.WantedStatus == p.PublishedStatus && p.WantedAnswer == p.PublishedAnswer
}

// blockOf is the block that a place is in, among those of all lists.
func blockOf(list uint16, index uint32) int64 { return int64(list)*blocks + int64(index/blockSize) }

func (k *sealer) placeName(list uint16, index uint32) name {
	return k.name("place", fmt.Sprint(list), fmt.Sprint(index))
}

// place is the seal of a place. What its box holds is bound to the place by the box.
func (k *sealer) place(p placeRow) seal {
	return k.seal(sealedPlace, ofTable(sealedPlace, len(p.box)).number(int64(p.list), int64(p.Index)).bytes(p.box))
}

const selectPlaces = "SELECT block, name, box FROM status_entries "

// scanPlace reads a place, and opens it.
func (k *sealer) scanPlace(row scanner) (p placeRow, err error) {
	var block int64
	var called []byte
	if err := row.Scan(&block, &called, &p.box); err != nil {
		return p, err
	}
	damaged := &SealError{sealedPlace.String(), hex.EncodeToString(called)}
	plain, err := k.boxes.open(p.box, sealedPlace.String(), string(called), block)
	if err != nil {
		return p, damaged
	}
	var f placeForm
	if err := bodyDecoding.Unmarshal(plain, &f); err != nil {
		return p, damaged
	}
	p.Entry = credentials.Entry{
		Index: f.Index, Decoy: f.Decoy,
		WantedStatus: f.WantedStatus, PublishedStatus: f.PublishedStatus, WantedAnswer: f.WantedAnswer, PublishedAnswer: f.PublishedAnswer,
	}
	p.list, p.waiting, p.held = uint16(block/blocks), f.Waiting, f.Held //nolint:gosec // as blockOf made it
	p.of, p.reply = lead{string(f.Case), string(f.ID)}, string(f.Reply)
	if called := name(called); block != blockOf(p.list, p.Index) || called != k.placeName(p.list, p.Index) {
		return p, damaged
	}
	return p, nil
}

// boxed makes the box of a place.
func (k *sealer) boxed(p placeRow) (_ placeRow, called name, err error) {
	plain, err := bodyEncoding.Marshal(placeForm{
		Index: p.Index, Decoy: p.Decoy, Held: p.held,
		WantedStatus: p.WantedStatus, PublishedStatus: p.PublishedStatus, WantedAnswer: p.WantedAnswer, PublishedAnswer: p.PublishedAnswer,
		Waiting: p.waiting, Case: compact(p.of.Case), ID: compact(p.of.ID), Reply: compact(p.reply),
	})
	if err == nil && len(plain) > placeSize {
		err = fmt.Errorf("sqlstore: a place of %d bytes", len(plain))
	}
	called = k.placeName(p.list, p.Index)
	p.box = k.boxes.box(placeSize, plain, sealedPlace.String(), string(called[:]), blockOf(p.list, p.Index))
	return p, called, err
}

// addPlace writes a place that nothing has yet. credentials.ErrIndexTaken if something
// has it.
func addPlace(ctx context.Context, tx *sql.Tx, h *heads, p placeRow) error {
	of, err := h.of(ctx, ofBlock(p.list, p.Index))
	if err != nil {
		return err
	}
	p, called, err := h.boxed(p)
	if err != nil {
		return err
	}
	err = h.exec(ctx, tx, insertPlace, blockOf(p.list, p.Index), called[:], p.box)
	if isTaken(err) {
		return credentials.ErrIndexTaken
	}
	if err != nil {
		return fmt.Errorf("sqlstore: take a place: %w", err)
	}
	of.put(h.place(p))
	return nil
}

const (
	insertPlace = "INSERT INTO status_entries (block, name, box) VALUES ($1, $2, $3)"
	updatePlace = "UPDATE status_entries SET box = $3 WHERE block = $1 AND name = $2"
	ofOneList   = "WHERE block >= $1 AND block < $2"
	onePlace    = selectPlaces + "WHERE block = $1 AND name = $2"
)

// placeAt reads a place, and believes it. credentials.ErrNotFound if nothing ever had it.
func placeAt(ctx context.Context, h *heads, list uint16, index uint32) (placeRow, error) {
	called := h.placeName(list, index)
	rows, err := h.send(ctx, onePlace, blockOf(list, index), called[:])
	if err != nil {
		return placeRow{}, fmt.Errorf("sqlstore: read status: %w", classify(err))
	}
	p, there := placeRow{}, false
	err = each(rows, func() (err error) {
		there = true
		p, err = h.scanPlace(rows)
		return err
	})
	switch {
	case err != nil:
		return placeRow{}, fmt.Errorf("sqlstore: read status: %w", classify(err))
	case !there:
		return placeRow{}, credentials.ErrNotFound
	}
	of, err := h.of(ctx, ofBlock(list, index))
	if err != nil {
		return placeRow{}, err
	}
	if !of.has(h.place(p)) {
		return placeRow{}, &SealError{sealedPlace.String(), p.id()}
	}
	return p, nil
}

// changePlace changes a place in a status list. credentials.ErrNotFound if nothing
// ever had it.
func changePlace(ctx context.Context, tx *sql.Tx, h *heads, list uint16, index uint32, change func(*placeRow) error) error {
	p, err := placeAt(ctx, h, list, index)
	if err != nil {
		return err
	}
	of, err := h.of(ctx, ofBlock(list, index))
	if err != nil {
		return err
	}
	if err := of.take(h.place(p), p.id()); err != nil {
		return err
	}
	if err := change(&p); err != nil {
		return err
	}
	p, called, err := h.boxed(p)
	if err != nil {
		return err
	}
	if err := h.exec(ctx, tx, updatePlace, blockOf(list, index), called[:], p.box); err != nil {
		return fmt.Errorf("sqlstore: write status: %w", err)
	}
	of.put(h.place(p))
	return nil
}

// want changes what is wanted of a place. One that changes stands at the end of the queue
// for publication; one that stands there already keeps its turn.
func want(ctx context.Context, tx *sql.Tx, h *heads, list uint16, index uint32, change func(*placeRow)) error {
	return changePlace(ctx, tx, h, list, index, func(p *placeRow) error {
		if p.public() {
			p.waiting = h.turn()
		}
		change(p)
		return nil
	})
}

// turn is a number that is higher than in every change that was committed before, and than
// the last one of this change. Changes that share a commit begin to wait together.
func (h *heads) turn() int64 {
	h.turns++
	return h.count.number<<16 + h.turns
}

// pauseOfBlocks is how long others have the database to themselves between two blocks that
// are written anew.
const pauseOfBlocks = 10 * time.Millisecond

// BoxAnew writes the box of every place anew, a block at a time. Of two copies of the
// database that are as far apart as this is done nothing tells which places changed in
// between.
func (c *Credentials) BoxAnew(ctx context.Context) error {
	used, err := list(ctx, c.db.read, func(row scanner) (block int64, err error) { return block, row.Scan(&block) },
		"SELECT DISTINCT block FROM status_entries ORDER BY block")
	if err != nil {
		return fmt.Errorf("sqlstore: read status: %w", classify(err))
	}
	for _, block := range used {
		err := c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error { return boxAnew(ctx, tx, h, block) })
		if err != nil {
			return fmt.Errorf("sqlstore: write status anew: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pauseOfBlocks):
		}
	}
	return nil
}

func boxAnew(ctx context.Context, tx *sql.Tx, h *heads, block int64) error {
	places, err := list(ctx, tx, h.scanPlace, selectPlaces+ofOneList, block, block+1)
	if err != nil {
		return err
	}
	for _, p := range places {
		of, err := h.of(ctx, ofBlock(p.list, p.Index))
		if err != nil {
			return err
		}
		if err := of.take(h.place(p), p.id()); err != nil {
			return err
		}
		p, called, err := h.boxed(p)
		if err != nil {
			return err
		}
		if err := h.exec(ctx, tx, updatePlace, block, called[:], p.box); err != nil {
			return err
		}
		of.put(h.place(p))
	}
	return nil
}

// forgetPlace removes what leads from a place to a case. One in use goes out of use. What
// nobody can show any more does not become public. The place itself stays taken, for ever.
func (h *heads) forgetPlace(ctx context.Context, tx *sql.Tx, list uint16, index uint32, inUse bool) error {
	return want(ctx, tx, h, list, index, func(p *placeRow) {
		p.of, p.reply = lead{}, ""
		if inUse && p.WantedStatus != statuslist.Replaced {
			p.WantedStatus = statuslist.Invalid
		}
		if p.WantedAnswer != credentials.AnswerNone {
			p.WantedAnswer = p.PublishedAnswer
		}
	})
}

// forgetPlaces forgets what was issued in a case whose body nobody can read any more: its
// drafts, and where its places are of.
func (h *heads) forgetPlaces(ctx context.Context, tx *sql.Tx, caseID string) error {
	all, err := list(ctx, tx, h.scanPlace, selectPlaces)
	if err != nil {
		return fmt.Errorf("sqlstore: read status: %w", classify(err))
	}
	for _, p := range all {
		if p.of.Case != caseID {
			continue
		}
		if err := h.forgetPlace(ctx, tx, p.list, p.Index, true); err != nil {
			return err
		}
	}
	drafts, err := list(ctx, tx, h.scanDraft, selectDrafts)
	if err != nil {
		return fmt.Errorf("sqlstore: read drafts: %w", classify(err))
	}
	for _, to := range drafts {
		if to.Case != caseID {
			continue
		}
		if err := forgetDraft(ctx, tx, h, credentials.ID(to.ID)); err != nil {
			return err
		}
	}
	return nil
}

// placesOf reads all places of a list, each of which is held against its head, and none
// of which is missing.
func placesOf(ctx context.Context, h *heads, number uint16) ([]placeRow, error) {
	heads, err := h.ofList(ctx, number)
	if err != nil {
		return nil, err
	}
	sealed := map[seal]bool{}
	for _, b := range heads {
		for s := range slices.Chunk(b.seals, sealSize) {
			sealed[seal(s)] = true
		}
	}
	places, err := list(ctx, h.q, h.scanPlace, selectPlaces+ofOneList, blockOf(number, 0), blockOf(number, 0)+blocks)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read status list: %w", classify(err))
	}
	for _, p := range places {
		if !sealed[h.place(p)] {
			return nil, &SealError{sealedPlace.String(), p.id()}
		}
	}
	if len(places) != len(sealed) {
		return nil, &SealError{"rows of status_entries of list", fmt.Sprint(number)}
	}
	return places, nil
}

// Entries lists every entry of a list in the order of waiting. Each of them, and
// that none is missing, is held against the heads of the list.
func (c *Credentials) Entries(ctx context.Context, number uint16) (entries []credentials.Entry, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		places, err := placesOf(ctx, h, number)
		if err != nil {
			return err
		}
		slices.SortFunc(places, func(a, b placeRow) int {
			return cmp.Or(cmp.Compare(a.waiting, b.waiting), cmp.Compare(a.Index, b.Index))
		})
		entries = make([]credentials.Entry, len(places))
		for i, p := range places {
			entries[i] = p.Entry
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// checkPlaces looks whether all that was issued in a case has its place, which is of it
// and wants what its state means, and whether its drafts are known.
func (h *heads) checkPlaces(ctx context.Context, b *body) error {
	for i := range b.Issued {
		d := &b.Issued[i]
		p, err := placeAt(ctx, h, d.List, d.Index)
		if errors.Is(err, credentials.ErrNotFound) {
			return &SealError{sealedPlace.String(), placeRow{list: d.List, Entry: credentials.Entry{Index: d.Index}}.id()}
		}
		if err != nil {
			return err
		}
		state := d.State.state()
		if p.Decoy || p.of != (lead{b.Case, string(d.ID)}) || state != credentials.Draft && p.WantedStatus != credentials.StatusOf(state) {
			return &SealError{sealedPlace.String(), p.id()}
		}
		if state != credentials.Draft {
			continue
		}
		called := h.draftName(credentials.ID(d.ID))
		to, err := list(ctx, h.q, h.scanDraft, selectDrafts+"WHERE name = $1", called[:])
		if err != nil {
			return err
		}
		if len(to) != 1 || to[0] != (lead{b.Case, string(d.ID)}) {
			return &SealError{"drafts", called.String()}
		}
	}
	return nil
}

// leadsBack looks whether a case has what a place or a draft says. Of one that nobody can
// open any more nothing is known.
func (h *heads) leadsBack(ctx context.Context, to lead) (*issuedForm, bool, error) {
	b, err := h.caseOf(ctx, to.Case)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	d := b.issuedBy(credentials.ID(to.ID))
	return d, d != nil, nil
}
