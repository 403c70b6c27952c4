package sqlstore

import (
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
	return c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if d.Kind == credentials.KindCard {
			if err := countCard(ctx, tx, h, d.Agency, d.IssuedOn, limits); err != nil {
				return err
			}
		}
		if err := takeIndex(ctx, tx, h, c.capacity, d.List, d.Index); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			`INSERT INTO issued (id, kind, case_id, agency_id, about, replaces, state, list, list_index, digest,
				issued_day, until_day, review_day, matched, request, owner)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			d.ID, d.Kind, d.Case, d.Agency, d.About, d.Replaces, credentials.Draft, d.List, d.Index, d.Digest[:],
			toDay(d.IssuedOn), toDay(d.ValidUntil), dayOrNone(d.ReviewBy), d.Matched,
			sql.NullString{String: d.RequestKey, Valid: d.RequestKey != ""}, c.db.me.id)
		if isTaken(err) {
			return credentials.ErrKeyUsed
		}
		if err != nil {
			return fmt.Errorf("sqlstore: reserve: %w", err)
		}
		if f := d.Card; f != nil {
			_, err := tx.ExecContext(ctx,
				"INSERT INTO cards (id, epoch, number, handle, nationality, holder, contact) VALUES ($1, $2, $3, $4, $5, $6, $7)",
				d.ID, f.Epoch, f.Number[:], f.Handle[:], f.Nationality[:], f.Holder[:], f.Contact)
			if isTaken(err) {
				return credentials.ErrIndexTaken // the same number was drawn before: draw again
			}
			if err != nil {
				return fmt.Errorf("sqlstore: reserve card: %w", err)
			}
		}
		of, err := h.of(ctx, ofCase(d.Case))
		if err != nil {
			return err
		}
		of.put(h.issued(reserved(d)))
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
}

// reserved is a draft as Reserve writes it.
func reserved(d credentials.Issued) credentials.Issued {
	d.State, d.Sealed, d.Receipt, d.ChangeKey = credentials.Draft, nil, nil, ""
	if d.Card != nil {
		d.Card = &credentials.CardFacts{Epoch: d.Card.Epoch, Number: d.Card.Number, Handle: d.Card.Handle, Nationality: d.Card.Nationality, Holder: d.Card.Holder, Contact: d.Card.Contact}
	}
	return d
}

// takeIndex gives an index away, for ever. A list that reaches its capacity
// closes with this entry; from half of it on the next list is open too, so that
// packs hold that one before its first entry is given out.
func takeIndex(ctx context.Context, tx *sql.Tx, h *heads, capacity int, list uint16, index uint32) error {
	var used, others int
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
	_, err = tx.ExecContext(ctx,
		`INSERT INTO status_entries (list, list_index, decoy, wanted_status, published_status, wanted_answer, published_answer, waiting)
		VALUES ($1, $2, $3, 0, 0, 0, 0, 0)`, list, index, false)
	if isTaken(err) {
		return credentials.ErrIndexTaken
	}
	if err != nil {
		return fmt.Errorf("sqlstore: take status index: %w", err)
	}
	of, err := h.of(ctx, ofBlock(list, index))
	if err == nil {
		of.put(h.place(placeRow{list: list, Entry: credentials.Entry{Index: index}}))
	}
	return err
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
		if err := unchanged(ctx, tx, h, done.Seen); err != nil {
			return err
		}
		d, err := issuedIn(ctx, tx, h, done.ID)
		if errors.Is(err, credentials.ErrNotFound) || err == nil && d.State != credentials.Draft {
			return credentials.ErrSettled
		}
		if err != nil {
			return err
		}
		next := d
		next.State, next.Sealed, next.Receipt = credentials.Active, done.Sealed, done.Receipt
		_, err = tx.ExecContext(ctx, "UPDATE issued SET state = $1, sealed = $2, receipt = $3 WHERE id = $4", next.State, next.Sealed, next.Receipt, next.ID)
		if err != nil {
			return fmt.Errorf("sqlstore: complete: %w", err)
		}
		if done.OpenKey != nil {
			if d.Card == nil {
				return credentials.ErrConflict
			}
			facts := *d.Card
			facts.OpenKey, facts.Salt = done.OpenKey, done.Salt
			next.Card = &facts
			if _, err := tx.ExecContext(ctx, "UPDATE cards SET open_key = $1, salt = $2 WHERE id = $3", done.OpenKey, done.Salt, done.ID); err != nil {
				return fmt.Errorf("sqlstore: complete card: %w", err)
			}
		}
		if err := replaceIssued(ctx, h, d, next); err != nil {
			return err
		}
		if err := applyChanges(ctx, tx, h, done.Changes, done.Answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
}

// replaceIssued puts the seal of a record as it is now in the place of the old one.
func replaceIssued(ctx context.Context, h *heads, old, now credentials.Issued) error {
	of, err := h.of(ctx, ofCase(old.Case))
	if err != nil {
		return err
	}
	if err := of.take(h.issued(old), string(old.ID)); err != nil {
		return err
	}
	of.put(h.issued(now))
	return nil
}

// Apply makes status changes and answers.
func (c *Credentials) Apply(ctx context.Context, seen *credentials.Seen, changes []credentials.Change, answers []credentials.Answer, entries ...audit.Entry) error {
	return c.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := unchanged(ctx, tx, h, seen); err != nil {
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
		if err := unchanged(ctx, tx, h, seen); err != nil {
			return err
		}
		d, err := issuedIn(ctx, tx, h, id)
		if err != nil {
			return err
		}
		next := d
		next.Contested = why
		if _, err := tx.ExecContext(ctx, "UPDATE issued SET contested = $1 WHERE id = $2", string(why), id); err != nil {
			return fmt.Errorf("sqlstore: contest: %w", err)
		}
		if err := replaceIssued(ctx, h, d, next); err != nil {
			return err
		}
		if err := applyChanges(ctx, tx, h, nil, answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, h, entries...)
	})
}

// unchanged checks that a case stands as somebody saw it.
func unchanged(ctx context.Context, tx *sql.Tx, h *heads, seen *credentials.Seen) error {
	if seen == nil {
		return nil
	}
	related, err := issuedOf(ctx, tx, h, seen.Case)
	if err != nil {
		return err
	}
	if *credentials.See(seen.Case, related) != *seen {
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
		d, err := issuedIn(ctx, tx, h, a.ID)
		if err != nil {
			return err
		}
		if err := want(ctx, tx, h, d, func(p *placeRow) { p.WantedAnswer, p.reply = a.Value, string(a.Reply) }); err != nil {
			return err
		}
	}
	return nil
}

func applyChange(ctx context.Context, tx *sql.Tx, h *heads, ch credentials.Change) error {
	d, err := issuedIn(ctx, tx, h, ch.ID)
	if err != nil {
		return err
	}
	if !slices.Contains(ch.From, d.State) {
		return credentials.ErrConflict
	}
	if d.State == ch.To {
		return nil // only that it still is was asked
	}
	next := d
	next.State, next.ChangeKey = ch.To, ch.RequestKey
	if ch.To == credentials.Abandoned {
		// It gives its request key back, so that the caller's next try is a new one.
		next.RequestKey = ""
	}
	_, err = tx.ExecContext(ctx, "UPDATE issued SET state = $1, request = $2, changed = $3 WHERE id = $4",
		next.State, optional(next.RequestKey), optional(next.ChangeKey), next.ID)
	if err != nil {
		return fmt.Errorf("sqlstore: write state: %w", err)
	}
	if err := replaceIssued(ctx, h, d, next); err != nil {
		return err
	}
	agreed, err := encodeAgreed(ch.Agreed)
	if err != nil {
		return err
	}
	return want(ctx, tx, h, next, func(p *placeRow) { p.WantedStatus, p.agreed = credentials.StatusOf(next.State), agreed })
}

// agreed is what people agreed to, as it is kept with a place.
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

const selectPlaces = `SELECT list, list_index, decoy, wanted_status, published_status, wanted_answer, published_answer, waiting, held, reply, agreed
	FROM status_entries `

func scanPlace(row scanner) (p placeRow, err error) {
	err = row.Scan(&p.list, &p.Index, &p.Decoy, &p.WantedStatus, &p.PublishedStatus, &p.WantedAnswer, &p.PublishedAnswer, &p.waiting, &p.held, &p.reply, &p.agreed)
	return p, err
}

// want changes what is wanted of a record's place in its status list. A place that
// changes stands at the end of the queue for publication; one that stands there
// already keeps its turn.
func want(ctx context.Context, tx *sql.Tx, h *heads, d credentials.Issued, change func(*placeRow)) error {
	return changePlace(ctx, tx, h, d.List, d.Index, func(p *placeRow) error {
		if p.WantedStatus == p.PublishedStatus && p.WantedAnswer == p.PublishedAnswer {
			if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(waiting), 0) + 1 FROM status_entries").Scan(&p.waiting); err != nil {
				return fmt.Errorf("sqlstore: write status: %w", err)
			}
		}
		change(p)
		return nil
	})
}

// changePlace changes a place in a status list. credentials.ErrNotFound if nothing
// ever had it.
func changePlace(ctx context.Context, tx *sql.Tx, h *heads, list uint16, index uint32, change func(*placeRow) error) error {
	p, err := scanPlace(tx.QueryRowContext(ctx, selectPlaces+"WHERE list = $1 AND list_index = $2", list, index))
	if errors.Is(err, sql.ErrNoRows) {
		return credentials.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("sqlstore: read status: %w", err)
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
	of.put(h.place(p))
	_, err = tx.ExecContext(ctx, `UPDATE status_entries SET wanted_status = $1, published_status = $2, wanted_answer = $3, published_answer = $4, waiting = $5,
		reply = $6, agreed = $7 WHERE list = $8 AND list_index = $9`,
		p.WantedStatus, p.PublishedStatus, p.WantedAnswer, p.PublishedAnswer, p.waiting, p.reply, p.agreed, list, index)
	if err != nil {
		return fmt.Errorf("sqlstore: write status: %w", err)
	}
	return nil
}

const issuedColumns = `i.id, i.kind, i.case_id, i.agency_id, i.about, i.replaces, i.state, i.list, i.list_index, i.digest,
	i.issued_day, i.until_day, i.review_day, i.matched, i.sealed, i.request,
	i.changed, i.receipt, i.contested, c.epoch, c.number, c.handle, c.nationality, c.open_key, c.salt, c.holder, c.contact
	FROM issued i LEFT JOIN cards c ON c.id = i.id`

// Get returns one record.
func (c *Credentials) Get(ctx context.Context, id credentials.ID) (credentials.Issued, error) {
	return c.named(ctx, "WHERE i.id = $1", id)
}

// ByRequestKey returns the record that a request made.
func (c *Credentials) ByRequestKey(ctx context.Context, key string) (credentials.Issued, error) {
	return c.one(ctx, "WHERE i.request = $1", key)
}

// ByHandle returns the card with a keyed hash of its case handle.
func (c *Credentials) ByHandle(ctx context.Context, handle [16]byte) (credentials.Issued, error) {
	return c.named(ctx, "WHERE c.handle = $1", handle[:])
}

// ByNumber returns the card with a keyed hash of its printed number.
func (c *Credentials) ByNumber(ctx context.Context, number [16]byte) (credentials.Issued, error) {
	return c.named(ctx, "WHERE c.number = $1", number[:])
}

// ByCase lists everything issued in a case, in the order of issue days.
func (c *Credentials) ByCase(ctx context.Context, caseID string) (found []credentials.Issued, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		found, err = issuedOf(ctx, h.q, h, caseID)
		return err
	})
	return found, err
}

// issuedOf reads everything issued in a case, none of it missing.
func issuedOf(ctx context.Context, q querier, h *heads, caseID string) ([]credentials.Issued, error) {
	found, err := issuedWhere(ctx, q, h, "WHERE i.case_id = $1 ORDER BY i.issued_day, i.id", caseID)
	if err != nil {
		return nil, err
	}
	of, err := h.of(ctx, ofCase(caseID))
	if err == nil && of.count(sealedIssued) != len(found) {
		err = &SealError{"rows of issued of case", caseID}
	}
	return found, err
}

// issuedIn reads one record.
func issuedIn(ctx context.Context, q querier, h *heads, id credentials.ID) (credentials.Issued, error) {
	found, err := issuedWhere(ctx, q, h, "WHERE i.id = $1", id)
	switch {
	case err != nil:
		return credentials.Issued{}, err
	case len(found) != 1:
		return credentials.Issued{}, credentials.ErrNotFound
	default:
		return found[0], nil
	}
}

// issuedWhere reads records and holds each against its case.
func issuedWhere(ctx context.Context, q querier, h *heads, where string, args ...any) ([]credentials.Issued, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+issuedColumns+" "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read issued: %w", classify(err))
	}
	var found []credentials.Issued
	if err := each(rows, func() error {
		d, err := scanIssued(rows)
		found = append(found, d)
		return err
	}); err != nil {
		return nil, fmt.Errorf("sqlstore: read issued: %w", classify(err))
	}
	for _, d := range found {
		of, err := h.of(ctx, ofCase(d.Case))
		if err != nil {
			return nil, err
		}
		if !of.has(h.issued(d)) {
			return nil, &SealError{sealedIssued.String(), string(d.ID)}
		}
	}
	return found, nil
}

// SignedSince lists what an agency issued since a day and that is not out of use.
func (c *Credentials) SignedSince(ctx context.Context, agency string, day time.Time, after credentials.ID, limit int) ([]credentials.Issued, error) {
	return c.many(ctx, `WHERE i.agency_id = $1 AND i.issued_day >= $2 AND i.state IN ('active', 'paused') AND i.id > $3
		ORDER BY i.id LIMIT $4`, agency, toDay(day), string(after), limit)
}

// Confirming lists the replies of an agency that confirm somebody's identity and
// are in use.
func (c *Credentials) Confirming(ctx context.Context, agency string) ([]credentials.Issued, error) {
	return c.many(ctx, "WHERE i.agency_id = $1 AND i.matched AND i.state = 'active' ORDER BY i.case_id, i.id", agency)
}

// Over lists the replies in use that are over on a day, and that cards in use are wanted
// to be confirmed by.
func (c *Credentials) Over(ctx context.Context, day time.Time) ([]credentials.Issued, error) {
	return c.many(ctx, `WHERE i.matched AND i.state = 'active' AND i.until_day <= $1 AND i.id IN (
		SELECT reply FROM status_entries WHERE wanted_answer <> $2 AND wanted_status IN ($3, $4)) ORDER BY i.case_id, i.id`,
		toDay(day), credentials.AnswerNone, statuslist.Valid, statuslist.Suspended)
}

// Drafts lists what was reserved and neither completed nor abandoned.
func (c *Credentials) Drafts(ctx context.Context) ([]credentials.Issued, error) {
	return c.many(ctx, "WHERE i.state = $1 ORDER BY i.id", credentials.Draft)
}

// Orphans lists the drafts that no other process is about to complete: those of
// expired processes, and this one's own. The draft of an older release
// has no owner and counts as nobody's.
func (c *Credentials) Orphans(ctx context.Context) ([]credentials.Issued, error) {
	expired := ""
	if c.db.mayExpireOthers() {
		expired = " OR i.owner IS NULL OR " + c.db.expired("i.owner")
	}
	return c.many(ctx, "WHERE i.state = 'draft' AND (i.owner = $1"+expired+") ORDER BY i.id", c.db.me.id)
}

// named is one for what a stranger may name, who learns nothing from how long it takes.
func (c *Credentials) named(ctx context.Context, where string, arg any) (one credentials.Issued, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		found, err := issuedWhere(ctx, h.q, h, where, arg)
		switch {
		case err != nil:
			return err
		case len(found) != 1:
			return h.absent(ctx, ofCase(""), credentials.ErrNotFound)
		default:
			one = found[0]
			return nil
		}
	})
	return one, err
}

func (c *Credentials) one(ctx context.Context, where string, arg any) (credentials.Issued, error) {
	found, err := c.many(ctx, where, arg)
	switch {
	case err != nil:
		return credentials.Issued{}, err
	case len(found) != 1:
		return credentials.Issued{}, credentials.ErrNotFound
	default:
		return found[0], nil
	}
}

func (c *Credentials) many(ctx context.Context, where string, args ...any) (found []credentials.Issued, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		found, err = issuedWhere(ctx, h.q, h, where, args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func scanIssued(rows scanner) (credentials.Issued, error) {
	var d credentials.Issued
	var digest, number, handle, nationality, openKey, salt, holder []byte
	var issued, until, review int64
	var request, changed sql.NullString
	var epoch sql.NullInt64
	var contact sql.NullBool
	err := rows.Scan(&d.ID, &d.Kind, &d.Case, &d.Agency, &d.About, &d.Replaces, &d.State, &d.List, &d.Index, &digest,
		&issued, &until, &review, &d.Matched, &d.Sealed, &request,
		&changed, &d.Receipt, &d.Contested, &epoch, &number, &handle, &nationality, &openKey, &salt, &holder, &contact)
	if err != nil {
		return credentials.Issued{}, err
	}
	if len(digest) != len(d.Digest) {
		return credentials.Issued{}, errors.New("a stored digest has another length")
	}
	d.Digest = [32]byte(digest)
	d.IssuedOn, d.ValidUntil, d.RequestKey = fromDay(issued), fromDay(until), request.String
	d.ChangeKey = changed.String
	if review != 0 {
		d.ReviewBy = fromDay(review)
	}
	if epoch.Valid {
		if len(number) != 16 || len(handle) != 16 || len(nationality) != 16 {
			return credentials.Issued{}, errors.New("a stored keyed hash has another length")
		}
		d.Card = &credentials.CardFacts{
			Epoch:  uint32(epoch.Int64), //nolint:gosec // written from a uint32
			Number: [16]byte(number), Handle: [16]byte(handle),
			Nationality: [16]byte(nationality), OpenKey: openKey, Salt: salt, Contact: contact.Bool,
		}
		if len(holder) == 16 {
			d.Card.Holder = [16]byte(holder)
		}
	}
	return d, nil
}

func dayOrNone(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return toDay(t)
}

// Entries lists every entry of a list in the order of waiting. Each of them, and
// that none is missing, is held against the heads of the list.
func (c *Credentials) Entries(ctx context.Context, number uint16) (entries []credentials.Entry, err error) {
	err = c.db.believed(ctx, func(h *heads) error {
		entries = nil
		blocks, err := h.ofList(ctx, number)
		if err != nil {
			return err
		}
		sealed := map[seal]bool{}
		for _, b := range blocks {
			for s := range slices.Chunk(b.seals, sealSize) {
				sealed[seal(s)] = true
			}
		}
		places, err := list(ctx, h.q, scanPlace, selectPlaces+"WHERE list = $1 ORDER BY waiting, list_index", number)
		if err != nil {
			return fmt.Errorf("sqlstore: read status list: %w", classify(err))
		}
		for _, p := range places {
			if !sealed[h.place(p)] {
				return &SealError{sealedPlace.String(), p.id()}
			}
			entries = append(entries, p.Entry)
		}
		if len(places) != len(sealed) {
			return &SealError{"rows of status_entries of list", strconv.Itoa(int(number))}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
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

// placeAt reads a place, and believes it. credentials.ErrNotFound if nothing ever had it.
func placeAt(ctx context.Context, h *heads, list uint16, index uint32) (placeRow, error) {
	p, err := scanPlace(h.q.QueryRowContext(ctx, selectPlaces+"WHERE list = $1 AND list_index = $2", list, index))
	if errors.Is(err, sql.ErrNoRows) {
		return placeRow{}, credentials.ErrNotFound
	}
	if err != nil {
		return placeRow{}, fmt.Errorf("sqlstore: read status: %w", classify(err))
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

func evidence(ctx context.Context, h *heads, list uint16, index uint32) (one approval.Change, err error) {
	one.List, one.Index = list, index
	p, err := placeAt(ctx, h, list, index)
	if err != nil {
		return one, err
	}
	stands, err := issuedWhere(ctx, h.q, h, "WHERE i.list = $1 AND i.list_index = $2", list, index)
	if err != nil {
		return one, err
	}
	for _, d := range stands {
		one.Card = d.Receipt
	}
	if len(p.agreed) > 0 {
		var a agreed
		if err := json.Unmarshal(p.agreed, &a); err != nil {
			return one, &SealError{sealedPlace.String(), p.id()}
		}
		one.Act, one.Proofs = a.Act, a.Proofs
	}
	if p.reply == "" {
		return one, nil
	}
	reply, err := issuedIn(ctx, h.q, h, credentials.ID(p.reply))
	one.Reply = reply.Receipt
	return one, err
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
	_, err = tx.ExecContext(ctx,
		`INSERT INTO status_entries (list, list_index, decoy, wanted_status, published_status, wanted_answer, published_answer, waiting)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
		list, e.Index, true, e.WantedStatus, e.PublishedStatus, e.WantedAnswer, e.PublishedAnswer)
	if isTaken(err) {
		return credentials.ErrIndexTaken
	}
	if err != nil {
		return fmt.Errorf("sqlstore: add a decoy: %w", err)
	}
	of, err := h.of(ctx, ofBlock(list, e.Index))
	if err == nil {
		of.put(h.place(placeRow{list: list, Entry: e}))
	}
	return err
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

// forgetIssued removes what a case's records say, and keeps the rows: their
// status indices must never be used again. What was issued or begun after the
// case was withdrawn, and before it was erased, goes out of use with it.
func forgetIssued(ctx context.Context, tx *sql.Tx, h *heads, caseID string) error {
	all, err := issuedOf(ctx, tx, h, caseID)
	if err != nil {
		return err
	}
	for _, d := range all {
		to := credentials.Withdrawn
		switch d.State {
		case credentials.Active, credentials.Paused:
		case credentials.Draft:
			to = credentials.Abandoned
		default:
			to = d.State
		}
		if err := applyChange(ctx, tx, h, credentials.Change{ID: d.ID, From: []credentials.State{d.State}, To: to}); err != nil {
			return err
		}
	}
	if all, err = issuedOf(ctx, tx, h, caseID); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		"UPDATE cards SET open_key = NULL, salt = NULL, holder = NULL, contact = FALSE, nationality = $1 WHERE id IN (SELECT id FROM issued WHERE case_id = $2)", make([]byte, 16), caseID)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE issued SET sealed = NULL, receipt = NULL, request = NULL, changed = NULL, contested = '' WHERE case_id = $1", caseID)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: forget what was issued: %w", err)
	}
	for _, d := range all {
		if err := replaceIssued(ctx, h, d, forgotten(d)); err != nil {
			return err
		}
		if err := changePlace(ctx, tx, h, d.List, d.Index, forgetPlace); err != nil {
			return err
		}
	}
	return nil
}

// forgetPlace removes what shows that a place may change. What nobody can show any more
// does not become public.
func forgetPlace(p *placeRow) error {
	p.reply, p.agreed = "", nil
	if p.WantedAnswer != credentials.AnswerNone {
		p.WantedAnswer = p.PublishedAnswer
	}
	return nil
}

// forgotten is a record of a case that was erased.
func forgotten(d credentials.Issued) credentials.Issued {
	d.Sealed, d.Receipt, d.RequestKey, d.ChangeKey, d.Contested = nil, nil, "", "", ""
	if d.Card != nil {
		d.Card = &credentials.CardFacts{Epoch: d.Card.Epoch, Number: d.Card.Number, Handle: d.Card.Handle}
	}
	return d
}

// LoggedBetween returns the digests of everything that an agency signed and that was
// logged on days from one to before another. A draft is among it, which was logged and may
// be signed any moment: so there is never more than before.
func (c *Credentials) LoggedBetween(ctx context.Context, agency string, from, before time.Time) ([][32]byte, error) {
	found, err := c.many(ctx, "WHERE i.agency_id = $1 AND i.issued_day >= $2 AND i.issued_day < $3 AND i.state <> 'abandoned'", agency, toDay(from), toDay(before))
	if err != nil {
		return nil, err
	}
	all := make([][32]byte, len(found))
	for i, d := range found {
		all[i] = d.Digest
	}
	return all, nil
}
