package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/vault"
)

// Credentials is what was issued and its status: the credentials.Store.
type Credentials struct {
	db *DB
	// capacity is how many real entries a status list takes.
	capacity int
}

// Credentials returns the store of what was issued.
func (db *DB) Credentials() *Credentials { return &Credentials{db, listCapacity} }

// listCapacity is how many real entries a status list takes before the next
// one opens: a tenth, so that a drawn index is nearly always free and the real
// ones are few among all (docs/threat-model.md, Status lists).
const listCapacity = statuslist.Entries / 10

// OpenList returns the list that new entries go to.
func (c *Credentials) OpenList(ctx context.Context) (number uint16, err error) {
	number, err = openList(ctx, c.db.read)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, classify(err)
	}
	err = c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		number, err = openList(ctx, tx) // somebody may have been faster
		if errors.Is(err, sql.ErrNoRows) {
			number, err = addList(ctx, tx, h)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sqlstore: open status list: %w", err)
	}
	return number, nil
}

func openList(ctx context.Context, q querier) (number uint16, err error) {
	err = q.QueryRowContext(ctx, "SELECT number FROM status_lists WHERE NOT closed ORDER BY number LIMIT 1").Scan(&number)
	return number, err
}

// addList opens the list with the next number. ErrListFull when the numbers are
// used up.
func addList(ctx context.Context, tx *sql.Tx, h *heads) (uint16, error) {
	var next int64
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(number) + 1, 0) FROM status_lists").Scan(&next); err != nil {
		return 0, err
	}
	if next > math.MaxUint16 {
		return 0, credentials.ErrListFull
	}
	lists, err := h.of(ctx, ofLists)
	if err != nil {
		return 0, err
	}
	lists.put(h.list(listRow{number: uint16(next)})) //nolint:gosec // lists are numbered from 0, one by one
	_, err = tx.ExecContext(ctx,
		"INSERT INTO status_lists (number, used, closed, status, answers) VALUES ($1, 0, $2, '', '')", next, false)
	return uint16(next), err //nolint:gosec // as above
}

// Reserve writes a draft with its status index, and the log entries, and counts a
// card.
func (c *Credentials) Reserve(ctx context.Context, d credentials.Issued, limits []credentials.Limit, entries ...audit.Entry) error {
	err := c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		of, err := h.caseOf(ctx, d.Case)
		if err == nil && !of.open() {
			err = credentials.ErrNotFound
		}
		if err != nil {
			return err
		}
		if d.Kind == credentials.KindCard {
			if err := countCard(ctx, tx, h, d.Agency, d.IssuedOn, limits); err != nil {
				return err
			}
		}
		if err := takeIndex(ctx, tx, h, c.capacity, d); err != nil {
			return err
		}
		of.Issued = append(of.Issued, formOf(d))
		of.change()
		if err := addDraft(ctx, tx, h, lead{d.Case, string(d.ID)}, c.db.me.id); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
	switch {
	case hasSuch(err, ledRequest):
		return credentials.ErrKeyUsed
	case hasSuch(err, ledNumber), hasSuch(err, ledHandle):
		return credentials.ErrIndexTaken // the same number was drawn before: draw again
	default:
		return err
	}
}

// takeIndex gives an index away, for ever. A list that reaches its capacity
// closes with this entry; from half of it on the next list is open too, so that
// packs hold that one before its first entry is given out.
func takeIndex(ctx context.Context, tx *sql.Tx, h *heads, capacity int, d credentials.Issued) error {
	list, used, others := d.List, 0, 0
	err := tx.QueryRowContext(ctx,
		`UPDATE status_lists SET used = used + 1 WHERE number = $1 AND NOT closed
		RETURNING used, (SELECT COUNT(*) FROM status_lists WHERE NOT closed AND number <> $1)`, list).Scan(&used, &others)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return credentials.ErrListFull
	case err != nil:
		return fmt.Errorf("sqlstore: take status index: %w", err)
	}
	if used >= capacity {
		if err := changeList(ctx, tx, h, list, func(l *listRow) { l.closed = true }); err != nil {
			return fmt.Errorf("sqlstore: close status list: %w", err)
		}
	}
	if 2*used >= capacity && others == 0 {
		if _, err := addList(ctx, tx, h); err != nil && !errors.Is(err, credentials.ErrListFull) {
			return fmt.Errorf("sqlstore: open status list: %w", err)
		}
	}
	return addPlace(ctx, tx, h, placeRow{list: list, Entry: credentials.Entry{Index: d.Index}, of: lead{d.Case, string(d.ID)}})
}

const selectLists = "SELECT number, closed, frozen, status, answers FROM status_lists "

func scanList(row scanner) (l listRow, err error) {
	return l, row.Scan(&l.number, &l.closed, &l.frozen, &l.status, &l.answers)
}

// changeList changes a status list's row. credentials.ErrNotFound if there is none.
func changeList(ctx context.Context, tx *sql.Tx, h *heads, number uint16, change func(*listRow)) error {
	l, err := scanList(tx.QueryRowContext(ctx, selectLists+"WHERE number = $1", number))
	if errors.Is(err, sql.ErrNoRows) {
		return credentials.ErrNotFound
	}
	if err != nil {
		return err
	}
	lists, err := h.of(ctx, ofLists)
	if err != nil {
		return err
	}
	if err := lists.take(h.list(l), strconv.Itoa(int(number))); err != nil {
		return err
	}
	change(&l)
	lists.put(h.list(l))
	_, err = tx.ExecContext(ctx, "UPDATE status_lists SET closed = $1, status = $2, answers = $3 WHERE number = $4", l.closed, l.status, l.answers, number)
	return err
}

// Complete turns a draft into an active record.
func (c *Credentials) Complete(ctx context.Context, done credentials.Completion, entries ...audit.Entry) error {
	return c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := unchanged(ctx, h, done.Seen); err != nil {
			return err
		}
		if done.Case != "" { // where issuedIn looks first
			if _, err := h.caseOf(ctx, done.Case); err != nil && !errors.Is(err, vault.ErrNotFound) {
				return err
			}
		}
		of, d, err := issuedIn(ctx, h, done.ID)
		switch {
		case errors.Is(err, credentials.ErrNotFound):
			return credentials.ErrSettled
		case err != nil:
			return err
		case d.State.state() != credentials.Draft:
			return credentials.ErrSettled
		}
		if err := forgetDraft(ctx, tx, h, done.ID); err != nil {
			return err
		}
		d.State, d.Receipt = stateOf(credentials.Active), done.Receipt
		if done.Sealed != nil {
			d.Token = of.keep(tokenLeast, done.Sealed)
		}
		if done.OpenKey != nil {
			if d.Card == nil {
				return credentials.ErrConflict
			}
			d.Card.OpenKey, d.Card.Salt = done.OpenKey, done.Salt
		}
		of.change()
		if err := applyChanges(ctx, tx, h, done.Changes, done.Answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
}

// Apply makes status changes and answers.
func (c *Credentials) Apply(ctx context.Context, seen *credentials.Seen, changes []credentials.Change, answers []credentials.Answer, entries ...audit.Entry) error {
	return c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := unchanged(ctx, h, seen); err != nil {
			return err
		}
		if err := applyChanges(ctx, tx, h, changes, answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
}

// Contest writes why an answer is contested, or that it is not any more.
func (c *Credentials) Contest(ctx context.Context, seen *credentials.Seen, id credentials.ID, why credentials.Objection, answers []credentials.Answer, entries ...audit.Entry) error {
	return c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := unchanged(ctx, h, seen); err != nil {
			return err
		}
		of, d, err := issuedIn(ctx, h, id)
		if err != nil {
			return err
		}
		d.Contested = string(why)
		of.change()
		if err := applyChanges(ctx, tx, h, nil, answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
}

// unchanged checks that a case stands as somebody saw it.
func unchanged(ctx context.Context, h *heads, seen *credentials.Seen) error {
	if seen == nil {
		return nil
	}
	of, err := h.caseOf(ctx, seen.Case)
	if err != nil {
		return err
	}
	if *credentials.See(seen.Case, of.issued()) != *seen {
		return credentials.ErrChanged
	}
	return nil
}

func applyChanges(ctx context.Context, tx *sql.Tx, h *heads, changes []credentials.Change, answers []credentials.Answer) error {
	for _, ch := range changes {
		if err := applyChange(ctx, tx, h, ch); err != nil {
			return err
		}
	}
	for _, a := range answers {
		_, d, err := issuedIn(ctx, h, a.ID)
		if err != nil {
			return err
		}
		if err := want(ctx, tx, h, d.List, d.Index, func(p *placeRow) { p.WantedAnswer, p.reply = a.Value, string(a.Reply) }); err != nil {
			return err
		}
	}
	return nil
}

func applyChange(ctx context.Context, tx *sql.Tx, h *heads, ch credentials.Change) error {
	of, d, err := issuedIn(ctx, h, ch.ID)
	if err != nil {
		return err
	}
	was := d.State.state()
	if !slices.Contains(ch.From, was) {
		return credentials.ErrConflict
	}
	if was == ch.To {
		return nil // only that it still is was asked
	}
	d.State, d.Change, d.Agreed = stateOf(ch.To), compact(ch.RequestKey), ref{}
	if ch.To == credentials.Abandoned {
		// It gives its request key back, so that the caller's next try is a new one.
		d.Request = ""
	}
	if was == credentials.Draft {
		if err := forgetDraft(ctx, tx, h, ch.ID); err != nil {
			return err
		}
	}
	agreed, err := encodeAgreed(ch.Agreed)
	if err != nil {
		return err
	}
	if agreed != nil {
		d.Agreed = of.keep(agreedLeast, agreed)
	}
	of.change()
	return want(ctx, tx, h, d.List, d.Index, func(p *placeRow) { p.WantedStatus = credentials.StatusOf(ch.To) })
}

// agreed is what people agreed to, as a cell of a case has it.
type agreed struct {
	Act    []byte           `json:"act"`
	Proofs []approval.Proof `json:"proofs"`
}

// encodeAgreed is nil for what nobody had to agree to.
func encodeAgreed(a *credentials.Approval) ([]byte, error) {
	if a == nil {
		return nil, nil
	}
	act, err := a.Act.Bytes()
	if err != nil {
		return nil, fmt.Errorf("sqlstore: write what was agreed to: %w", err)
	}
	return json.Marshal(agreed{act, a.Proofs})
}

// issued is everything that was issued in a case, in the order of issue days.
func (b *body) issued() []credentials.Issued {
	all := make([]credentials.Issued, len(b.Issued))
	for i := range b.Issued {
		all[i] = b.Issued[i].issued(b.Case)
	}
	slices.SortFunc(all, func(x, y credentials.Issued) int {
		return cmp.Or(x.IssuedOn.Compare(y.IssuedOn), cmp.Compare(x.ID, y.ID))
	})
	return all
}

// issuedBy finds what has an id among what was issued in a case.
func (b *body) issuedBy(id credentials.ID) *issuedForm {
	i := slices.IndexFunc(b.Issued, func(d issuedForm) bool { return d.ID == compact(id) })
	if i < 0 {
		return nil
	}
	return &b.Issued[i]
}

// issuedIn finds one record: in the cases that are read already, or where its name leads.
func issuedIn(ctx context.Context, h *heads, id credentials.ID) (*body, *issuedForm, error) {
	for _, one := range h.found {
		if one.body == nil {
			continue
		}
		if d := one.body.issuedBy(id); d != nil {
			return one.body, d, nil
		}
	}
	return issuedAt(ctx, h, ledIssued, string(id))
}

// issuedAt finds one record where a name leads. ErrNotFound where none does, or where
// there is no such record any more: the body of the case says what there is.
func issuedAt(ctx context.Context, h *heads, of string, part string) (*body, *issuedForm, error) {
	to, found, err := h.the(ctx, of, part)
	if err != nil {
		return nil, nil, err
	}
	if !found {
		// The body of no case is looked for as that of a case would be.
		return nil, nil, h.absent(ctx, ofCase(part), credentials.ErrNotFound)
	}
	b, err := h.caseOf(ctx, to.Case)
	if errors.Is(err, vault.ErrNotFound) {
		return nil, nil, credentials.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	d := b.issuedBy(credentials.ID(to.ID))
	if d == nil {
		return nil, nil, credentials.ErrNotFound
	}
	return b, d, nil
}

// Get returns one record.
func (c *Credentials) Get(ctx context.Context, id credentials.ID) (credentials.Issued, error) {
	return c.led(ctx, ledIssued, string(id), func(d *issuedForm) bool { return d.ID == compact(id) })
}

// ByRequestKey returns the record that a request made.
func (c *Credentials) ByRequestKey(ctx context.Context, key string) (credentials.Issued, error) {
	return c.led(ctx, ledRequest, key, func(d *issuedForm) bool { return key != "" && d.Request == compact(key) })
}

// ByHandle returns the card with a keyed hash of its case handle.
func (c *Credentials) ByHandle(ctx context.Context, handle [16]byte) (credentials.Issued, error) {
	return c.led(ctx, ledHandle, string(handle[:]), func(d *issuedForm) bool { return d.Card != nil && d.Card.Handle == handle })
}

// ByNumber returns the card with a keyed hash of its printed number.
func (c *Credentials) ByNumber(ctx context.Context, number [16]byte) (credentials.Issued, error) {
	return c.led(ctx, ledNumber, string(number[:]), func(d *issuedForm) bool { return d.Card != nil && d.Card.Number == number })
}

// led finds a record by its name, and looks whether it is the one that was asked for.
// Whoever names it learns nothing from how long it takes.
func (c *Credentials) led(ctx context.Context, of, part string, is func(*issuedForm) bool) (one credentials.Issued, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		b, d, err := issuedAt(ctx, h, of, part)
		switch {
		case err != nil:
			return err
		case !is(d):
			return credentials.ErrNotFound
		default:
			one = d.issued(b.Case)
			return nil
		}
	})
	return one, err
}

// ByCase lists everything issued in a case, in the order of issue days.
func (c *Credentials) ByCase(ctx context.Context, caseID string) (found []credentials.Issued, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		b, err := h.caseOf(ctx, caseID)
		if err == nil {
			found = b.issued()
		}
		return err
	})
	return found, err
}

// Token returns the signed token of an attestation.
func (c *Credentials) Token(ctx context.Context, d credentials.Issued) (token []byte, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		b, err := h.caseOf(ctx, d.Case)
		if err != nil {
			return err
		}
		f := b.issuedBy(d.ID)
		if f == nil || f.Token == (ref{}) {
			return credentials.ErrNotFound
		}
		token, err = h.cell(ctx, b, f.Token)
		return err
	})
	return token, err
}

// SignedSince lists what an agency issued since a day and that is not out of use.
func (c *Credentials) SignedSince(ctx context.Context, agency string, day time.Time, after credentials.ID, limit int) ([]credentials.Issued, error) {
	found, err := c.among(ctx, func(d *issuedForm) bool {
		state := d.State.state()
		return d.Agency == compact(agency) && d.Issued >= toDay(day) && (state == credentials.Active || state == credentials.Paused) && credentials.ID(d.ID) > after
	})
	slices.SortFunc(found, func(x, y credentials.Issued) int { return cmp.Compare(x.ID, y.ID) })
	return found[:min(len(found), limit)], err
}

// Confirming lists the replies of an agency that confirm somebody's identity and
// are in use.
func (c *Credentials) Confirming(ctx context.Context, agency string) ([]credentials.Issued, error) {
	return c.among(ctx, func(d *issuedForm) bool { return d.Agency == compact(agency) && d.confirms() })
}

// confirms tells whether it is a reply in use that confirms somebody's identity.
func (f *issuedForm) confirms() bool { return f.Matched && f.State.state() == credentials.Active }

// Over lists the replies in use that are over on a day, and that cards in use are wanted
// to be confirmed by.
func (c *Credentials) Over(ctx context.Context, day time.Time) ([]credentials.Issued, error) {
	return walk(ctx, c.db, func(h *heads, b *body) (found []credentials.Issued, err error) {
		for i := range b.Issued {
			d := &b.Issued[i]
			if !d.confirms() || d.Until > toDay(day) {
				continue
			}
			is, err := b.confirmedBy(ctx, h, string(d.ID))
			if err != nil {
				return nil, err
			}
			if is {
				found = append(found, d.issued(b.Case))
			}
		}
		return found, nil
	})
}

// confirmedBy tells whether a card in use of a case is wanted to be confirmed by a reply.
func (b *body) confirmedBy(ctx context.Context, h *heads, reply string) (bool, error) {
	for i := range b.Issued {
		d := &b.Issued[i]
		if d.Card == nil {
			continue
		}
		p, err := placeAt(ctx, h, d.List, d.Index)
		if err != nil {
			return false, err
		}
		if p.reply == reply && p.WantedAnswer != credentials.AnswerNone && (p.WantedStatus == statuslist.Valid || p.WantedStatus == statuslist.Suspended) {
			return true, nil
		}
	}
	return false, nil
}

// among lists what was issued in any case and is such.
func (c *Credentials) among(ctx context.Context, such func(*issuedForm) bool) ([]credentials.Issued, error) {
	return walk(ctx, c.db, func(_ *heads, b *body) (found []credentials.Issued, err error) {
		for i := range b.Issued {
			if d := &b.Issued[i]; such(d) {
				found = append(found, d.issued(b.Case))
			}
		}
		return found, nil
	})
}

// Evidence returns what shows that places of a list may change.
func (c *Credentials) Evidence(ctx context.Context, list uint16, places []uint32) (found []approval.Change, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		found = nil
		for _, index := range places {
			one, err := evidence(ctx, h, list, index)
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Wanted returns what the answers list is to show of a card.
func (c *Credentials) Wanted(ctx context.Context, card credentials.Issued) (a credentials.Answer, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		p, err := placeAt(ctx, h, card.List, card.Index)
		a = credentials.Answer{ID: card.ID, Value: p.WantedAnswer, Reply: credentials.ID(p.reply)}
		return err
	})
	return a, err
}

func evidence(ctx context.Context, h *heads, list uint16, index uint32) (one approval.Change, err error) {
	one.List, one.Index = list, index
	p, err := placeAt(ctx, h, list, index)
	if err != nil || p.of == (lead{}) {
		return one, err
	}
	b, err := h.caseOf(ctx, p.of.Case)
	if err != nil {
		return one, err
	}
	d := b.issuedBy(credentials.ID(p.of.ID))
	if d == nil || d.List != list || d.Index != index {
		return one, &SealError{sealedPlace.String(), p.id()}
	}
	one.Card = d.Receipt
	if d.Agreed != (ref{}) {
		text, err := h.cell(ctx, b, d.Agreed)
		if err != nil {
			return one, err
		}
		var a agreed
		if err := json.Unmarshal(text, &a); err != nil {
			return one, &SealError{"cells", string(d.ID)}
		}
		one.Act, one.Proofs = a.Act, a.Proofs
	}
	if p.reply == "" {
		return one, nil
	}
	reply := b.issuedBy(credentials.ID(p.reply))
	if reply == nil {
		return one, credentials.ErrNotFound
	}
	one.Reply = reply.Receipt
	return one, nil
}

// Append adds log entries.
func (c *Credentials) Append(ctx context.Context, entries ...audit.Entry) error {
	return c.db.Log().Append(ctx, entries...)
}

// MayAppend tells whether an entry could be appended to the log now.
func (c *Credentials) MayAppend(ctx context.Context) error { return c.db.Log().MayAppend(ctx) }

// Publish writes what became public, with new decoys and the signed lists.
func (c *Credentials) Publish(ctx context.Context, list uint16, before string, entries []credentials.Entry, status, answers string, log ...audit.Entry) error {
	return c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		stood := ""
		err := changeList(ctx, tx, h, list, func(l *listRow) { stood, l.status, l.answers = l.status, status, answers })
		if err == nil && stood != before {
			return credentials.ErrChanged
		}
		if err != nil {
			return fmt.Errorf("sqlstore: store a list: %w", err)
		}
		for _, e := range entries {
			if err := publishEntry(ctx, tx, h, list, e); err != nil {
				return err
			}
		}
		return c.db.appendEntries(ctx, tx, h, log...)
	})
}

// publishEntry updates an entry that is there, and adds a decoy that is not.
// A decoy must never meet a real entry, and what is wanted of a real one is not
// the publisher's to say: it may have changed meanwhile.
func publishEntry(ctx context.Context, tx *sql.Tx, h *heads, list uint16, e credentials.Entry) error {
	err := changePlace(ctx, tx, h, list, e.Index, func(p *placeRow) error {
		switch {
		case p.Decoy == e.Decoy:
		case e.Decoy:
			return credentials.ErrIndexTaken
		default:
			return fmt.Errorf("sqlstore: publish place %s: %w", p.id(), credentials.ErrNotFound)
		}
		p.PublishedStatus, p.PublishedAnswer = e.PublishedStatus, e.PublishedAnswer
		if e.Decoy {
			p.WantedStatus, p.WantedAnswer = e.PublishedStatus, e.PublishedAnswer
		}
		return nil
	})
	if !errors.Is(err, credentials.ErrNotFound) || !e.Decoy {
		return err
	}
	return addPlace(ctx, tx, h, placeRow{list: list, Entry: e})
}

// lists reads status lists and holds each against the head of all.
func (c *Credentials) lists(ctx context.Context, where string, args ...any) (found []listRow, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		if found, err = list(ctx, h.q, scanList, selectLists+where, args...); err != nil {
			return fmt.Errorf("sqlstore: read status lists: %w", classify(err))
		}
		of, err := h.of(ctx, ofLists)
		if err != nil {
			return err
		}
		for _, l := range found {
			if !of.has(h.list(l)) {
				return &SealError{sealedList.String(), strconv.Itoa(int(l.number))}
			}
		}
		if len(args) == 0 && of.count(sealedList) != len(found) {
			return &SealError{"rows of", sealedList.String()}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (c *Credentials) list(ctx context.Context, number uint16) (listRow, error) {
	found, err := c.lists(ctx, "WHERE number = $1", number)
	if err == nil && len(found) != 1 {
		err = credentials.ErrNotFound
	}
	if err != nil {
		return listRow{}, err
	}
	return found[0], nil
}

// Lists names every list.
func (c *Credentials) Lists(ctx context.Context) ([]uint16, error) {
	found, err := c.lists(ctx, "ORDER BY number")
	numbers := make([]uint16, len(found))
	for i, l := range found {
		numbers[i] = l.number
	}
	return numbers, err
}

// Frozen tells whether a list came back from a backup.
func (c *Credentials) Frozen(ctx context.Context, list uint16) (frozen bool, err error) {
	l, err := c.list(ctx, list)
	return l.frozen, err
}

// Tokens returns the newest signed lists; both are empty before the first
// publication.
func (c *Credentials) Tokens(ctx context.Context, list uint16) (status, answers string, err error) {
	l, err := c.list(ctx, list)
	return l.status, l.answers, err
}

// forgetIssued takes everything that was issued in a case out of use, and removes what
// leads to it. The places stay taken: they must never be used again. What was issued or
// begun after the case was withdrawn, and before it was erased, goes with it.
func forgetIssued(ctx context.Context, tx *sql.Tx, h *heads, b *body) error {
	for i := range b.Issued {
		d, inUse := &b.Issued[i], false
		switch d.State.state() {
		case credentials.Draft:
			if err := forgetDraft(ctx, tx, h, credentials.ID(d.ID)); err != nil {
				return err
			}
			inUse = true
		case credentials.Active, credentials.Paused:
			inUse = true
		default: // it is out of use
		}
		if err := h.forgetPlace(ctx, tx, d.List, d.Index, inUse); err != nil {
			return err
		}
	}
	b.Issued = nil
	b.change()
	return nil
}

// LoggedBetween returns the digests of everything that an agency signed and that was
// logged on days from one to before another. A draft is among it, which was logged and may
// be signed any moment: so there is never more than before.
func (c *Credentials) LoggedBetween(ctx context.Context, agency string, from, before time.Time) ([][32]byte, error) {
	found, err := c.among(ctx, func(d *issuedForm) bool {
		return d.Agency == compact(agency) && d.Issued >= toDay(from) && d.Issued < toDay(before) && d.State.state() != credentials.Abandoned
	})
	if err != nil {
		return nil, err
	}
	all := make([][32]byte, len(found))
	for i, d := range found {
		all[i] = d.Digest
	}
	return all, nil
}
