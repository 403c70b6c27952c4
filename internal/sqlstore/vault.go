package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/vault"
)

// Vault is cases, records, grants and openings: the vault.Store.
type Vault struct{ db *DB }

var _ vault.Store = (*Vault)(nil)

// Vault returns the store of cases and records.
func (db *DB) Vault() *Vault { return &Vault{db} }

// selectRecord reads a record with what it needs of its case.
const selectRecord = `SELECT r.id, r.case_id, r.agency, r.recipient, c.recipient, c.findable, r.day
	FROM records r JOIN records c ON c.id = r.case_id `

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

func scanRecord(row scanner) (r vault.Record, err error) {
	var day int64
	err = row.Scan(&r.ID, &r.Case, &r.Agency, &r.Recipient, &r.CaseRecipient, &r.Findable, &day)
	r.Day = fromDay(day)
	return r, err
}

// found turns the absence of a row into the vault's word for it.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return vault.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("sqlstore: read the vault: %w", classify(err))
	}
	return nil
}

// list collects what scan makes of each row.
func list[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, found(err)
	}
	var all []T
	err = each(rows, func() error {
		one, err := scan(rows)
		all = append(all, one)
		return err
	})
	return all, found(err)
}

// CreateRecord adds a record with its first objects.
func (v *Vault) CreateRecord(ctx context.Context, r vault.Record, objects []vault.Object, places [][]byte, entries ...audit.Entry) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		if r.ID != r.Case {
			if err := openCase(ctx, tx, r.Case); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx,
			"INSERT INTO records (id, case_id, agency, recipient, findable, day) VALUES ($1, $2, $3, $4, $5, $6)",
			r.ID, r.Case, r.Agency, r.Recipient, r.Findable && r.ID == r.Case, toDay(r.Day))
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: create a record: %w", err)
		}
		if err := v.db.appendEntries(ctx, tx, entries...); err != nil {
			return err
		}
		for _, o := range objects {
			if err := addObject(ctx, tx, o); err != nil {
				return err
			}
		}
		return setPlaces(ctx, tx, r.ID, places)
	})
}

// openCase makes sure that a case exists and is not being erased.
func openCase(ctx context.Context, tx *sql.Tx, caseID string) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM records WHERE id = $1 AND case_id = $1
		AND NOT EXISTS (SELECT 1 FROM erasures WHERE case_id = $1)`, caseID).Scan(&n)
	return found(err)
}

func addObject(ctx context.Context, tx *sql.Tx, o vault.Object) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO objects (record_id, page, version, media_type, role, seen_original, length, sha256, salt,
			entry_id, blob, sealed, day)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		o.Record, o.Page, o.Version, o.MediaType, o.Role, o.SeenOriginal, o.Length, o.SHA256[:], o.Salt[:],
		o.Entry, sql.NullString{String: o.Blob, Valid: o.Blob != ""}, bytesOrNone(o.Sealed), toDay(o.Day))
	if isTaken(err) {
		return vault.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("sqlstore: add an object: %w", err)
	}
	if o.Page == 0 {
		return setSame(ctx, tx, o)
	}
	return nil
}

// setSame sets by what a document is known again.
func setSame(ctx context.Context, tx *sql.Tx, o vault.Object) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM document_sameness WHERE record_id = $1", o.Record)
	for _, place := range o.Same {
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO document_sameness (record_id, place) VALUES ($1, $2)", o.Record, place)
		}
	}
	if err != nil {
		return fmt.Errorf("sqlstore: know a document again: %w", err)
	}
	return nil
}

// Elsewhere tells whether a document is known again in another case.
func (v *Vault) Elsewhere(ctx context.Context, record string) (elsewhere bool, err error) {
	err = v.db.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM document_sameness mine
		JOIN document_sameness other ON other.place = mine.place
		JOIN records r ON r.id = mine.record_id JOIN records o ON o.id = other.record_id
		WHERE mine.record_id = $1 AND o.case_id <> r.case_id)`, record).Scan(&elsewhere)
	return elsewhere, found(err)
}

// bytesOrNone is b, or NULL for nil.
func bytesOrNone(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// setPlaces sets a document's places in the number index. The first stands in
// the table that the version before knows, the others in one of their own.
func setPlaces(ctx context.Context, tx *sql.Tx, record string, places [][]byte) error {
	for _, statement := range []string{
		"DELETE FROM number_index WHERE record_id = $1", "DELETE FROM number_places WHERE record_id = $1",
	} {
		if _, err := tx.ExecContext(ctx, statement, record); err != nil {
			return fmt.Errorf("sqlstore: change the number index: %w", err)
		}
	}
	for i, place := range places {
		into := "INSERT INTO number_places (record_id, place) VALUES ($1, $2)"
		if i == 0 {
			into = "INSERT INTO number_index (record_id, place) VALUES ($1, $2)"
		}
		if _, err := tx.ExecContext(ctx, into, record, place); err != nil {
			return fmt.Errorf("sqlstore: change the number index: %w", err)
		}
	}
	return nil
}

// Record returns one record.
func (v *Vault) Record(ctx context.Context, id string) (vault.Record, error) {
	r, err := scanRecord(v.db.read.QueryRowContext(ctx, selectRecord+"WHERE r.id = $1", id))
	return r, found(err)
}

// Records returns all records of a case, its own one first.
func (v *Vault) Records(ctx context.Context, caseID string) ([]vault.Record, error) {
	return list(ctx, v.db.read, scanRecord,
		selectRecord+"WHERE r.case_id = $1 ORDER BY CASE WHEN r.id = r.case_id THEN 0 ELSE 1 END, r.id", caseID)
}

// Cases returns an agency's cases by id.
func (v *Vault) Cases(ctx context.Context, agency, after string, limit int) ([]vault.Record, error) {
	return list(ctx, v.db.read, scanRecord,
		selectRecord+"WHERE r.agency = $1 AND r.id = r.case_id AND r.id > $2 ORDER BY r.id LIMIT $3", agency, after, limit)
}

// AddObject adds a version.
func (v *Vault) AddObject(ctx context.Context, o vault.Object, places [][]byte, entries ...audit.Entry) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		r, err := scanRecord(tx.QueryRowContext(ctx, selectRecord+"WHERE r.id = $1", o.Record))
		if err := found(err); err != nil {
			return err
		}
		if err := openCase(ctx, tx, r.Case); err != nil {
			return err
		}
		var newest int
		err = tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM objects WHERE record_id = $1 AND page = $2",
			o.Record, o.Page).Scan(&newest)
		if err != nil {
			return found(err)
		}
		// Without gaps, so that a version that was removed is missed.
		if o.Version != newest+1 {
			return vault.ErrConflict
		}
		if err := v.db.appendEntries(ctx, tx, entries...); err != nil {
			return err
		}
		if err := addObject(ctx, tx, o); err != nil || o.Page != 0 {
			return err
		}
		return setPlaces(ctx, tx, o.Record, places)
	})
}

// The hash comes from the log and not from the row: the row says which entry
// commits to it, the log says to what.
const selectObject = `SELECT o.record_id, o.page, o.version, o.media_type, o.role, o.seen_original, o.length, o.sha256,
	o.salt, o.entry_id, l.hash, o.blob, o.sealed, o.day
	FROM objects o JOIN log_entries l ON l.id = o.entry_id `

func scanObject(row scanner) (o vault.Object, err error) {
	var digest, salt, logged []byte
	var blob sql.NullString
	var day int64
	err = row.Scan(&o.Record, &o.Page, &o.Version, &o.MediaType, &o.Role, &o.SeenOriginal, &o.Length, &digest,
		&salt, &o.Entry, &logged, &blob, &o.Sealed, &day)
	if err != nil {
		return vault.Object{}, err
	}
	if len(digest) != 32 || len(salt) != 32 || len(logged) != 32 {
		return vault.Object{}, vault.ErrIntegrity
	}
	o.SHA256, o.Salt, o.Logged = [32]byte(digest), [32]byte(salt), [32]byte(logged)
	o.Blob, o.Day = blob.String, fromDay(day)
	return o, nil
}

// Object returns the newest version of a page.
func (v *Vault) Object(ctx context.Context, record string, page int) (vault.Object, error) {
	o, err := scanObject(v.db.read.QueryRowContext(ctx,
		selectObject+"WHERE o.record_id = $1 AND o.page = $2 ORDER BY o.version DESC LIMIT 1", record, page))
	return o, found(err)
}

// Objects returns the newest version of every page, without what is sealed.
func (v *Vault) Objects(ctx context.Context, record string) ([]vault.Object, error) {
	bare := strings.Replace(selectObject, "o.sealed", "NULL", 1)
	return list(ctx, v.db.read, scanObject, bare+`WHERE o.record_id = $1 AND o.version =
		(SELECT MAX(n.version) FROM objects n WHERE n.record_id = o.record_id AND n.page = o.page) ORDER BY o.page`, record)
}

// AllObjects returns the objects behind one of them. The join is an outer one
// and nothing is checked, so that a broken row is seen and does not hide those
// behind it.
func (v *Vault) AllObjects(ctx context.Context, after vault.Object, limit int) ([]vault.Object, error) {
	return list(ctx, v.db.read, func(row scanner) (o vault.Object, err error) {
		var digest, salt, logged []byte
		var blob sql.NullString
		var day int64
		err = row.Scan(&o.Record, &o.Page, &o.Version, &o.MediaType, &o.Role, &o.SeenOriginal, &o.Length, &digest,
			&salt, &o.Entry, &logged, &blob, &o.Sealed, &day)
		copy(o.SHA256[:], digest)
		copy(o.Salt[:], salt)
		copy(o.Logged[:], logged)
		o.Blob, o.Day = blob.String, fromDay(day)
		return o, err
	}, strings.Replace(selectObject, "JOIN", "LEFT JOIN", 1)+`WHERE (o.record_id, o.page, o.version) > ($1, $2, $3)
		ORDER BY o.record_id, o.page, o.version LIMIT $4`, after.Record, after.Page, after.Version, limit)
}

// SetFindable changes a case's consent and its places in the index.
func (v *Vault) SetFindable(ctx context.Context, caseID string, findable bool, places map[string][][]byte, entries ...audit.Entry) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		if err := openCase(ctx, tx, caseID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE records SET findable = $1 WHERE id = $2", findable, caseID)
		for _, forget := range []string{
			"DELETE FROM number_index WHERE record_id IN (SELECT id FROM records WHERE case_id = $1)",
			"DELETE FROM number_places WHERE record_id IN (SELECT id FROM records WHERE case_id = $1)",
		} {
			if err == nil {
				_, err = tx.ExecContext(ctx, forget, caseID)
			}
		}
		if err != nil {
			return fmt.Errorf("sqlstore: set findable: %w", err)
		}
		for record, some := range places {
			if err := setPlaces(ctx, tx, record, some); err != nil {
				return err
			}
		}
		return v.db.appendEntries(ctx, tx, entries...)
	})
}

// FindNumber returns the records at any of some places of the index. A version
// that knows one place only leaves the others where they are when it takes a
// case's consent back: that the case is findable is asked again.
func (v *Vault) FindNumber(ctx context.Context, places [][]byte) ([]vault.Record, error) {
	var all []vault.Record
	for _, place := range places {
		found, err := list(ctx, v.db.read, scanRecord, selectRecord+`WHERE c.findable AND r.id IN (
			SELECT record_id FROM number_index WHERE place = $1 UNION SELECT record_id FROM number_places WHERE place = $1)`, place)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b vault.Record) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b vault.Record) bool { return a.ID == b.ID }), nil
}

// budgetDays is how long the counts of look-ups are kept: today's and
// yesterday's (docs/threat-model.md, Retention).
const budgetDays = 2

// Spend takes one from every budget.
func (v *Vault) Spend(ctx context.Context, day time.Time, budgets ...vault.Budget) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM lookup_budgets WHERE day <= $1", toDay(day)-budgetDays); err != nil {
			return fmt.Errorf("sqlstore: forget look-ups: %w", err)
		}
		for _, b := range budgets {
			res, err := tx.ExecContext(ctx,
				`INSERT INTO lookup_budgets (day, who, used) VALUES ($1, $2, 1)
				ON CONFLICT (day, who) DO UPDATE SET used = lookup_budgets.used + 1 WHERE lookup_budgets.used < $3`,
				toDay(day), b.Who, b.Limit)
			if err := mustChange(res, err, vault.ErrBudget); err != nil {
				return fmt.Errorf("sqlstore: count a look-up: %w", err)
			}
		}
		return nil
	})
}

// Share adds or replaces a grant.
func (v *Vault) Share(ctx context.Context, s vault.Shared, entries ...audit.Entry) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		if err := openCase(ctx, tx, s.Case); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			`INSERT INTO grants (record_id, agency, case_id, purpose, until_day, day) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (record_id, agency) DO UPDATE SET purpose = $4, until_day = $5, day = $6`,
			s.Record, s.Agency, s.Case, s.Purpose, toDay(s.Until), toDay(s.Day))
		if err != nil {
			return fmt.Errorf("sqlstore: share: %w", err)
		}
		return v.db.appendEntries(ctx, tx, entries...)
	})
}

// TakeBack removes a grant.
func (v *Vault) TakeBack(ctx context.Context, record, agency string, entries ...audit.Entry) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM grants WHERE record_id = $1 AND agency = $2", record, agency)
		if err := mustChange(res, err, vault.ErrNotFound); err != nil {
			return fmt.Errorf("sqlstore: take back: %w", err)
		}
		return v.db.appendEntries(ctx, tx, entries...)
	})
}

const selectGrant = "SELECT record_id, case_id, agency, purpose, until_day, day FROM grants "

func scanGrant(row scanner) (s vault.Shared, err error) {
	var until, day int64
	err = row.Scan(&s.Record, &s.Case, &s.Agency, &s.Purpose, &until, &day)
	s.Until, s.Day = fromDay(until), fromDay(day)
	return s, err
}

// Grant returns one grant.
func (v *Vault) Grant(ctx context.Context, record, agency string) (vault.Shared, error) {
	s, err := scanGrant(v.db.read.QueryRowContext(ctx, selectGrant+"WHERE record_id = $1 AND agency = $2", record, agency))
	return s, found(err)
}

// Grants returns the grants of a case.
func (v *Vault) Grants(ctx context.Context, caseID string) ([]vault.Shared, error) {
	return list(ctx, v.db.read, scanGrant, selectGrant+"WHERE case_id = $1 ORDER BY record_id, agency", caseID)
}

// GrantsTo returns the grants to an agency.
func (v *Vault) GrantsTo(ctx context.Context, agency string) ([]vault.Shared, error) {
	return list(ctx, v.db.read, scanGrant, selectGrant+"WHERE agency = $1 ORDER BY record_id", agency)
}

// Expired returns grants whose last day is over.
func (v *Vault) Expired(ctx context.Context, day time.Time, limit int) ([]vault.Shared, error) {
	return list(ctx, v.db.read, scanGrant, selectGrant+"WHERE until_day < $1 ORDER BY until_day, record_id, agency LIMIT $2",
		toDay(day), limit)
}

// AddNonce keeps a challenge.
func (v *Vault) AddNonce(ctx context.Context, n vault.Nonce, now time.Time) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM nonces WHERE expires < $1", now.Unix())
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO nonces (nonce, actor, agency, expires) VALUES ($1, $2, $3, $4)",
				n.Nonce, n.Actor, n.Agency, n.Expires.Unix())
		}
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: keep a challenge: %w", err)
		}
		return nil
	})
}

// TakeNonce removes a challenge and returns it.
func (v *Vault) TakeNonce(ctx context.Context, nonce string) (n vault.Nonce, err error) {
	err = v.db.tx(ctx, func(tx *sql.Tx) error {
		var expires int64
		err := tx.QueryRowContext(ctx, "DELETE FROM nonces WHERE nonce = $1 RETURNING nonce, actor, agency, expires", nonce).
			Scan(&n.Nonce, &n.Actor, &n.Agency, &expires)
		n.Expires = time.Unix(expires, 0).UTC()
		return found(err)
	})
	return n, err
}

// AddOpening keeps an opening.
func (v *Vault) AddOpening(ctx context.Context, o vault.Opened, entries ...audit.Entry) error {
	parts, err := partBits(o.Parts)
	if err != nil {
		return err
	}
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		if err := openCase(ctx, tx, o.Case); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM openings WHERE day < $1", toDay(o.Day))
		if err == nil {
			_, err = tx.ExecContext(ctx,
				"INSERT INTO openings (id, record_id, case_id, agency, parts, day) VALUES ($1, $2, $3, $4, $5, $6)",
				o.ID, o.Record, o.Case, o.Agency, parts, toDay(o.Day))
		}
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: keep an opening: %w", err)
		}
		return v.db.appendEntries(ctx, tx, entries...)
	})
}

// partBits is a bit for each part.
func partBits(parts []vault.Part) (int64, error) {
	var bits int64
	for _, p := range parts {
		i := slices.Index(vault.Parts, p)
		if i < 0 {
			return 0, errors.New("sqlstore: an opening of an unknown part")
		}
		bits |= 1 << i
	}
	return bits, nil
}

func scanOpening(row scanner) (o vault.Opened, err error) {
	var bits, day int64
	err = row.Scan(&o.ID, &o.Record, &o.Case, &o.Agency, &bits, &day)
	for i, p := range vault.Parts {
		if bits&(1<<i) != 0 {
			o.Parts = append(o.Parts, p)
		}
	}
	o.Day = fromDay(day)
	return o, err
}

// Openings returns what an agency opened of a case on a day.
func (v *Vault) Openings(ctx context.Context, caseID, agency string, day time.Time) ([]vault.Opened, error) {
	return list(ctx, v.db.read, scanOpening,
		"SELECT id, record_id, case_id, agency, parts, day FROM openings WHERE case_id = $1 AND agency = $2 AND day = $3 ORDER BY id",
		caseID, agency, toDay(day))
}

// Append adds log entries.
func (v *Vault) Append(ctx context.Context, entries ...audit.Entry) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error { return v.db.appendEntries(ctx, tx, entries...) })
}

// History returns the entries of a case, oldest first.
func (v *Vault) History(ctx context.Context, caseID string) ([]audit.Entry, error) {
	logged, err := v.db.Log().History(ctx, caseID)
	if err != nil {
		return nil, err
	}
	all := make([]audit.Entry, len(logged))
	for i, l := range logged {
		all[i] = l.Entry
	}
	return all, nil
}

// BeginErasure writes the erasure journal.
func (v *Vault) BeginErasure(ctx context.Context, e vault.Erasure) error {
	return v.db.tx(ctx, func(tx *sql.Tx) error {
		ids, err := list(ctx, tx, func(row scanner) (id string, err error) { return id, row.Scan(&id) },
			"SELECT id FROM records WHERE case_id = $1", e.Case)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(e.Records, id) }) {
			return vault.ErrConflict
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO erasures (case_id, agency, records, day, mac) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (case_id) DO UPDATE SET agency = $2, records = $3, day = $4, mac = $5`,
			e.Case, e.Agency, strings.Join(e.Records, " "), toDay(e.Day), e.MAC)
		if err != nil {
			return fmt.Errorf("sqlstore: begin an erasure: %w", err)
		}
		return nil
	})
}

// Erase removes every row of a case.
func (v *Vault) Erase(ctx context.Context, caseID string, entries ...audit.Entry) (done vault.Erased, err error) {
	const ofCase = "record_id IN (SELECT id FROM records WHERE case_id = $1)"
	err = v.db.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT
			(SELECT COUNT(*) FROM records WHERE case_id = $1),
			(SELECT COUNT(*) FROM objects WHERE `+ofCase+`),
			(SELECT COUNT(*) FROM (SELECT DISTINCT record_id, page FROM objects WHERE page > 0 AND `+ofCase+`) AS p),
			(SELECT COUNT(*) FROM grants WHERE case_id = $1),
			(SELECT COUNT(*) FROM log_entries WHERE case_id = $1)`, caseID).
			Scan(&done.Records, &done.Objects, &done.Pages, &done.Grants, &done.Notes)
		if err != nil {
			return found(err)
		}
		for _, statement := range []string{
			"DELETE FROM number_index WHERE " + ofCase,
			"DELETE FROM number_places WHERE " + ofCase,
			"DELETE FROM objects WHERE " + ofCase,
			"DELETE FROM openings WHERE case_id = $1",
			"DELETE FROM grants WHERE case_id = $1",
			"DELETE FROM records WHERE case_id = $1 AND id <> case_id",
			"DELETE FROM records WHERE id = $1",
		} {
			if _, err := tx.ExecContext(ctx, statement, caseID); err != nil {
				return fmt.Errorf("sqlstore: erase: %w", err)
			}
		}
		if err := forgetIssued(ctx, tx, caseID); err != nil {
			return err
		}
		if err := forgetAnswers(ctx, tx, caseID); err != nil {
			return err
		}
		if err := forgetHistory(ctx, tx, caseID); err != nil {
			return err
		}
		return v.db.appendEntries(ctx, tx, entries...)
	})
	if err != nil {
		return vault.Erased{}, err
	}
	// What the write-ahead log still holds is ciphertext whose key is gone, so
	// that a reader who is in the way does not undo the erasure.
	if err := v.db.Truncate(ctx); err != nil && !errors.Is(err, ErrBusy) {
		return done, err
	}
	return done, nil
}

// Erasures returns the erasure journal.
func (v *Vault) Erasures(ctx context.Context) ([]vault.Erasure, error) {
	return list(ctx, v.db.read, func(row scanner) (e vault.Erasure, err error) {
		var records string
		var day int64
		err = row.Scan(&e.Case, &e.Agency, &records, &day, &e.MAC)
		e.Records, e.Day = strings.Fields(records), fromDay(day)
		return e, err
	}, "SELECT case_id, agency, records, day, mac FROM erasures ORDER BY case_id")
}
