package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

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
	err = c.db.tx(ctx, func(tx *sql.Tx) error {
		number, err = openList(ctx, tx) // somebody may have been faster
		if errors.Is(err, sql.ErrNoRows) {
			number, err = addList(ctx, tx)
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
func addList(ctx context.Context, tx *sql.Tx) (uint16, error) {
	var next int64
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(number) + 1, 0) FROM status_lists").Scan(&next); err != nil {
		return 0, err
	}
	if next > math.MaxUint16 {
		return 0, credentials.ErrListFull
	}
	_, err := tx.ExecContext(ctx,
		"INSERT INTO status_lists (number, used, closed, status, answers) VALUES ($1, 0, $2, '', '')", next, false)
	return uint16(next), err //nolint:gosec // bounded above
}

// Reserve writes a draft with its status index, and the log entries, and counts a
// card.
func (c *Credentials) Reserve(ctx context.Context, d credentials.Issued, limits []credentials.Limit, entries ...audit.Entry) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		if d.Kind == credentials.KindCard {
			if err := countCard(ctx, tx, d.Agency, d.IssuedOn, limits); err != nil {
				return err
			}
		}
		if err := takeIndex(ctx, tx, c.capacity, d.List, d.Index); err != nil {
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
				"INSERT INTO cards (id, epoch, number, handle, nationality, holder) VALUES ($1, $2, $3, $4, $5, $6)",
				d.ID, f.Epoch, f.Number[:], f.Handle[:], f.Nationality[:], f.Holder[:])
			if isTaken(err) {
				return credentials.ErrIndexTaken // the same number was drawn before: draw again
			}
			if err != nil {
				return fmt.Errorf("sqlstore: reserve card: %w", err)
			}
		}
		return c.db.appendEntries(ctx, tx, entries...)
	})
}

// takeIndex gives an index away, for ever. A list that reaches its capacity
// closes with this entry; from half of it on the next list is open too, so that
// packs hold that one before its first entry is given out.
func takeIndex(ctx context.Context, tx *sql.Tx, capacity int, list uint16, index uint32) error {
	var used, others int
	err := tx.QueryRowContext(ctx,
		`UPDATE status_lists SET used = used + 1, closed = (used + 1 >= $1) WHERE number = $2 AND NOT closed
		RETURNING used, (SELECT COUNT(*) FROM status_lists WHERE NOT closed AND number <> $2)`, capacity, list).Scan(&used, &others)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return credentials.ErrListFull
	case err != nil:
		return fmt.Errorf("sqlstore: take status index: %w", err)
	}
	if 2*used >= capacity && others == 0 {
		if _, err := addList(ctx, tx); err != nil && !errors.Is(err, credentials.ErrListFull) {
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
	return nil
}

// Complete turns a draft into an active record.
func (c *Credentials) Complete(ctx context.Context, done credentials.Completion, entries ...audit.Entry) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		if err := unchanged(ctx, tx, done.Seen); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx,
			"UPDATE issued SET state = $1, sealed = $2 WHERE id = $3 AND state = $4",
			credentials.Active, done.Sealed, done.ID, credentials.Draft)
		if err := mustChange(res, err, credentials.ErrSettled); err != nil {
			return err
		}
		if done.OpenKey != nil {
			res, err := tx.ExecContext(ctx, "UPDATE cards SET open_key = $1, salt = $2 WHERE id = $3", done.OpenKey, done.Salt, done.ID)
			if err := mustChange(res, err, credentials.ErrConflict); err != nil {
				return err
			}
		}
		if err := applyChanges(ctx, tx, done.Changes, done.Answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, entries...)
	})
}

// Apply makes status changes and answers.
func (c *Credentials) Apply(ctx context.Context, seen *credentials.Seen, changes []credentials.Change, answers []credentials.Answer, entries ...audit.Entry) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		if err := unchanged(ctx, tx, seen); err != nil {
			return err
		}
		if err := applyChanges(ctx, tx, changes, answers); err != nil {
			return err
		}
		return c.db.appendEntries(ctx, tx, entries...)
	})
}

// unchanged checks that a case stands as somebody saw it.
func unchanged(ctx context.Context, tx *sql.Tx, seen *credentials.Seen) error {
	if seen == nil {
		return nil
	}
	related, err := list(ctx, tx, func(row scanner) (d credentials.Issued, err error) { return d, row.Scan(&d.ID, &d.State) },
		"SELECT id, state FROM issued WHERE case_id = $1", seen.Case)
	if err != nil {
		return err
	}
	if *credentials.See(seen.Case, related) != *seen {
		return credentials.ErrChanged
	}
	return nil
}

func applyChanges(ctx context.Context, tx *sql.Tx, changes []credentials.Change, answers []credentials.Answer) error {
	for _, ch := range changes {
		if err := applyChange(ctx, tx, ch); err != nil {
			return err
		}
	}
	for _, a := range answers {
		res, err := tx.ExecContext(ctx,
			"UPDATE status_entries SET wanted_answer = $1, "+waits, a.Value, a.ID)
		if err := mustChange(res, err, credentials.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// waits puts an entry that changes at the end of the queue for publication. One
// that stands there already keeps its place.
const waits = `waiting = CASE WHEN wanted_status = published_status AND wanted_answer = published_answer
		THEN (SELECT COALESCE(MAX(waiting), 0) + 1 FROM status_entries) ELSE waiting END
	WHERE (list, list_index) = (SELECT list, list_index FROM issued WHERE id = $2)`

func applyChange(ctx context.Context, tx *sql.Tx, ch credentials.Change) error {
	var state credentials.State
	err := tx.QueryRowContext(ctx, "SELECT state FROM issued WHERE id = $1", ch.ID).Scan(&state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return credentials.ErrNotFound
	case err != nil:
		return fmt.Errorf("sqlstore: read state: %w", err)
	}
	if !slices.Contains(ch.From, state) {
		return credentials.ErrConflict
	}
	if state == ch.To {
		return nil // only that it still is was asked
	}
	// An abandoned draft gives its request key back, so that the caller's
	// next try is a new one.
	set := "UPDATE issued SET state = $1 WHERE id = $2"
	if ch.To == credentials.Abandoned {
		set = "UPDATE issued SET state = $1, request = NULL WHERE id = $2"
	}
	if _, err := tx.ExecContext(ctx, set, ch.To, ch.ID); err != nil {
		return fmt.Errorf("sqlstore: write state: %w", err)
	}
	_, err = tx.ExecContext(ctx, "UPDATE issued SET changed = $1 WHERE id = $2", optional(ch.RequestKey), ch.ID)
	if err != nil {
		return fmt.Errorf("sqlstore: write state: %w", err)
	}
	res, err := tx.ExecContext(ctx,
		"UPDATE status_entries SET wanted_status = $1, "+waits, credentials.StatusOf(ch.To), ch.ID)
	return mustChange(res, err, credentials.ErrNotFound)
}

const issuedColumns = `i.id, i.kind, i.case_id, i.agency_id, i.about, i.replaces, i.state, i.list, i.list_index, i.digest,
	i.issued_day, i.until_day, i.review_day, i.matched, i.sealed, i.request,
	i.changed, c.epoch, c.number, c.handle, c.nationality, c.open_key, c.salt, c.holder
	FROM issued i LEFT JOIN cards c ON c.id = i.id`

// Get returns one record.
func (c *Credentials) Get(ctx context.Context, id credentials.ID) (credentials.Issued, error) {
	return c.one(ctx, "SELECT "+issuedColumns+" WHERE i.id = $1", id)
}

// ByRequestKey returns the record that a request made.
func (c *Credentials) ByRequestKey(ctx context.Context, key string) (credentials.Issued, error) {
	return c.one(ctx, "SELECT "+issuedColumns+" WHERE i.request = $1", key)
}

// ByHandle returns the card with a keyed hash of its case handle.
func (c *Credentials) ByHandle(ctx context.Context, handle [16]byte) (credentials.Issued, error) {
	return c.one(ctx, "SELECT "+issuedColumns+" WHERE c.handle = $1", handle[:])
}

// ByNumber returns the card with a keyed hash of its printed number.
func (c *Credentials) ByNumber(ctx context.Context, number [16]byte) (credentials.Issued, error) {
	return c.one(ctx, "SELECT "+issuedColumns+" WHERE c.number = $1", number[:])
}

// ByCase lists everything issued in a case, in the order of issue days.
func (c *Credentials) ByCase(ctx context.Context, caseID string) ([]credentials.Issued, error) {
	return c.many(ctx, "SELECT "+issuedColumns+" WHERE i.case_id = $1 ORDER BY i.issued_day, i.id", caseID)
}

// SignedSince lists what an agency issued since a day and that is not out of use.
func (c *Credentials) SignedSince(ctx context.Context, agency string, day time.Time, after credentials.ID, limit int) ([]credentials.Issued, error) {
	return c.many(ctx, "SELECT "+issuedColumns+` WHERE i.agency_id = $1 AND i.issued_day >= $2 AND i.state IN ('active', 'paused') AND i.id > $3
		ORDER BY i.id LIMIT $4`, agency, toDay(day), string(after), limit)
}

// Confirming lists the replies of an agency that confirm somebody's identity and
// are in use.
func (c *Credentials) Confirming(ctx context.Context, agency string) ([]credentials.Issued, error) {
	return c.many(ctx, "SELECT "+issuedColumns+" WHERE i.agency_id = $1 AND i.matched AND i.state = 'active' ORDER BY i.case_id, i.id", agency)
}

// Drafts lists what was reserved and neither completed nor abandoned.
func (c *Credentials) Drafts(ctx context.Context) ([]credentials.Issued, error) {
	return c.many(ctx, "SELECT "+issuedColumns+" WHERE i.state = $1 ORDER BY i.id", credentials.Draft)
}

// Orphans lists the drafts that no other process is about to complete: those of
// expired processes, and this one's own. The draft of an older release
// has no owner and counts as nobody's.
func (c *Credentials) Orphans(ctx context.Context) ([]credentials.Issued, error) {
	expired := ""
	if c.db.mayExpireOthers() {
		expired = " OR i.owner IS NULL OR " + c.db.expired("i.owner")
	}
	return c.many(ctx, "SELECT "+issuedColumns+" WHERE i.state = 'draft' AND (i.owner = $1"+expired+") ORDER BY i.id", c.db.me.id)
}

func (c *Credentials) one(ctx context.Context, query string, arg any) (credentials.Issued, error) {
	found, err := c.many(ctx, query, arg)
	switch {
	case err != nil:
		return credentials.Issued{}, err
	case len(found) != 1:
		return credentials.Issued{}, credentials.ErrNotFound
	default:
		return found[0], nil
	}
}

func (c *Credentials) many(ctx context.Context, query string, args ...any) ([]credentials.Issued, error) {
	rows, err := c.db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read issued: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	var found []credentials.Issued
	for rows.Next() {
		d, err := scanIssued(rows)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: read issued: %w", classify(err))
		}
		found = append(found, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlstore: read issued: %w", classify(err))
	}
	return found, nil
}

func scanIssued(rows *sql.Rows) (credentials.Issued, error) {
	var d credentials.Issued
	var digest, number, handle, nationality, openKey, salt, holder []byte
	var issued, until, review int64
	var request, changed sql.NullString
	var epoch sql.NullInt64
	err := rows.Scan(&d.ID, &d.Kind, &d.Case, &d.Agency, &d.About, &d.Replaces, &d.State, &d.List, &d.Index, &digest,
		&issued, &until, &review, &d.Matched, &d.Sealed, &request,
		&changed, &epoch, &number, &handle, &nationality, &openKey, &salt, &holder)
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
			Nationality: [16]byte(nationality), OpenKey: openKey, Salt: salt,
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

// Entries lists every entry of a list in the order of waiting.
func (c *Credentials) Entries(ctx context.Context, list uint16) ([]credentials.Entry, error) {
	rows, err := c.db.read.QueryContext(ctx,
		`SELECT list_index, decoy, wanted_status, published_status, wanted_answer, published_answer
		FROM status_entries WHERE list = $1 ORDER BY waiting, list_index`, list)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read status list: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	var entries []credentials.Entry
	for rows.Next() {
		var e credentials.Entry
		if err := rows.Scan(&e.Index, &e.Decoy, &e.WantedStatus, &e.PublishedStatus, &e.WantedAnswer, &e.PublishedAnswer); err != nil {
			return nil, fmt.Errorf("sqlstore: read status list: %w", classify(err))
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlstore: read status list: %w", classify(err))
	}
	return entries, nil
}

// MayAppend tells whether an entry could be appended to the log now.
func (c *Credentials) MayAppend(ctx context.Context) error { return c.db.Log().MayAppend(ctx) }

// Publish writes what became public, with new decoys and the signed lists.
func (c *Credentials) Publish(ctx context.Context, list uint16, before string, entries []credentials.Entry, status, answers string, log ...audit.Entry) error {
	return c.db.tx(ctx, func(tx *sql.Tx) error {
		var stands string
		err := tx.QueryRowContext(ctx, "SELECT status FROM status_lists WHERE number = $1", list).Scan(&stands)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return credentials.ErrNotFound
		case err == nil && stands != before:
			return credentials.ErrChanged
		case err == nil:
			_, err = tx.ExecContext(ctx, "UPDATE status_lists SET status = $1, answers = $2 WHERE number = $3", status, answers, list)
		}
		if err != nil {
			return fmt.Errorf("sqlstore: store a list: %w", err)
		}
		for _, e := range entries {
			if err := publishEntry(ctx, tx, list, e); err != nil {
				return err
			}
		}
		return c.db.appendEntries(ctx, tx, log...)
	})
}

// publishEntry updates an entry that is there, and adds a decoy that is not.
// A decoy must never meet a real entry, and what is wanted of a real one is not
// the publisher's to say: it may have changed meanwhile.
func publishEntry(ctx context.Context, tx *sql.Tx, list uint16, e credentials.Entry) error {
	set := "UPDATE status_entries SET published_status = $1, published_answer = $2"
	if e.Decoy {
		set += ", wanted_status = $1, wanted_answer = $2"
	}
	res, err := tx.ExecContext(ctx, set+" WHERE list = $3 AND list_index = $4 AND decoy = $5",
		e.PublishedStatus, e.PublishedAnswer, list, e.Index, e.Decoy)
	err = mustChange(res, err, credentials.ErrNotFound)
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
	return err
}

// Lists names every list.
func (c *Credentials) Lists(ctx context.Context) ([]uint16, error) {
	rows, err := c.db.read.QueryContext(ctx, "SELECT number FROM status_lists ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read status lists: %w", classify(err))
	}
	defer func() { _ = rows.Close() }()
	var lists []uint16
	for rows.Next() {
		var n uint16
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("sqlstore: read status lists: %w", classify(err))
		}
		lists = append(lists, n)
	}
	return lists, classify(rows.Err())
}

// Frozen tells whether a list came back from a backup.
func (c *Credentials) Frozen(ctx context.Context, list uint16) (frozen bool, err error) {
	err = c.db.read.QueryRowContext(ctx, "SELECT frozen FROM status_lists WHERE number = $1", list).Scan(&frozen)
	if errors.Is(err, sql.ErrNoRows) {
		return false, credentials.ErrNotFound
	}
	return frozen, classify(err)
}

// Tokens returns the newest signed lists; both are empty before the first
// publication.
func (c *Credentials) Tokens(ctx context.Context, list uint16) (status, answers string, err error) {
	err = c.db.read.QueryRowContext(ctx, "SELECT status, answers FROM status_lists WHERE number = $1", list).Scan(&status, &answers)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", credentials.ErrNotFound
	}
	return status, answers, classify(err)
}

// forgetIssued removes what a case's records say, and keeps the rows: their
// status indices must never be used again. What was issued or begun after the
// case was withdrawn, and before it was erased, goes out of use with it.
func forgetIssued(ctx context.Context, tx *sql.Tx, caseID string) error {
	for _, from := range []credentials.State{credentials.Active, credentials.Paused, credentials.Draft} {
		to := credentials.Withdrawn
		if from == credentials.Draft {
			to = credentials.Abandoned
		}
		if err := moveAll(ctx, tx, caseID, from, to); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx,
		"UPDATE cards SET open_key = NULL, salt = NULL, holder = NULL, nationality = $1 WHERE id IN (SELECT id FROM issued WHERE case_id = $2)", make([]byte, 16), caseID)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE issued SET sealed = NULL, request = NULL, changed = NULL WHERE case_id = $1", caseID)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: forget what was issued: %w", err)
	}
	return nil
}

// moveAll moves everything in a case from one state to another.
func moveAll(ctx context.Context, tx *sql.Tx, caseID string, from, to credentials.State) error {
	changes, err := list(ctx, tx, func(row scanner) (ch credentials.Change, err error) {
		ch.From, ch.To = []credentials.State{from}, to
		return ch, row.Scan(&ch.ID)
	}, "SELECT id FROM issued WHERE case_id = $1 AND state = $2", caseID, from)
	if err != nil {
		return err
	}
	return applyChanges(ctx, tx, changes, nil)
}

// LoggedBefore returns the digests of everything that an agency signed and that
// was logged before a day.
func (c *Credentials) LoggedBefore(ctx context.Context, agency string, day time.Time) ([][32]byte, error) {
	rows, err := c.db.read.QueryContext(ctx,
		"SELECT digest FROM issued WHERE agency_id = $1 AND issued_day < $2 AND state NOT IN ('draft', 'abandoned')", agency, toDay(day))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read what was signed: %w", classify(err))
	}
	var all [][32]byte
	err = each(rows, func() error {
		var digest []byte
		if err := rows.Scan(&digest); err != nil {
			return err
		}
		if len(digest) != 32 {
			return errors.New("a digest of another length")
		}
		all = append(all, [32]byte(digest))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read what was signed: %w", classify(err))
	}
	return all, nil
}
