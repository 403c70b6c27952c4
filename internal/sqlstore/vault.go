package sqlstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
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

// selectRecord reads a record with what it needs of its case, and all that their two
// seals are made of.
const selectRecord = `SELECT r.id, r.case_id, r.agency, r.recipient, r.findable, r.day,
	c.id, c.case_id, c.agency, c.recipient, c.findable, c.day
	FROM records r JOIN records c ON c.id = r.case_id `

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

// recordRow is a record with the row of its case.
type recordRow struct{ own, ofCase vault.Record }

func scanRecord(row scanner) (r recordRow, err error) {
	var day, caseDay int64
	err = row.Scan(&r.own.ID, &r.own.Case, &r.own.Agency, &r.own.Recipient, &r.own.Findable, &day,
		&r.ofCase.ID, &r.ofCase.Case, &r.ofCase.Agency, &r.ofCase.Recipient, &r.ofCase.Findable, &caseDay)
	r.own.Day, r.ofCase.Day = fromDay(day), fromDay(caseDay)
	return r, err
}

// record is the record as the vault knows it.
func (r recordRow) record() vault.Record {
	one := r.own
	one.CaseRecipient, one.Findable = r.ofCase.Recipient, r.ofCase.Findable
	return one
}

// believe holds a record and its case against their head.
func (r recordRow) believe(ctx context.Context, h *heads) error {
	of, err := h.of(ctx, ofCase(r.own.Case))
	if err != nil {
		return err
	}
	for _, one := range []vault.Record{r.own, r.ofCase} {
		if !of.has(h.record(one)) {
			return &SealError{sealedRecord.String(), one.ID}
		}
	}
	return nil
}

// recordsWhere reads records and holds each against its head.
func recordsWhere(ctx context.Context, q querier, h *heads, where string, args ...any) ([]vault.Record, error) {
	rows, err := list(ctx, q, scanRecord, selectRecord+where, args...)
	if err != nil {
		return nil, err
	}
	records := make([]vault.Record, len(rows))
	for i, r := range rows {
		if err := r.believe(ctx, h); err != nil {
			return nil, err
		}
		records[i] = r.record()
	}
	return records, nil
}

// recordIn reads one record.
func recordIn(ctx context.Context, q querier, h *heads, id string) (vault.Record, error) {
	found, err := recordsWhere(ctx, q, h, "WHERE r.id = $1", id)
	if err == nil && len(found) != 1 {
		err = h.absent(ctx, ofCase(id), vault.ErrNotFound)
	}
	if err != nil {
		return vault.Record{}, err
	}
	return found[0], nil
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
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if r.ID != r.Case {
			if err := openCase(ctx, tx, h, r.Case); err != nil {
				return err
			}
		}
		r.Findable = r.Findable && r.ID == r.Case
		_, err := tx.ExecContext(ctx,
			"INSERT INTO records (id, case_id, agency, recipient, findable, day) VALUES ($1, $2, $3, $4, $5, $6)",
			r.ID, r.Case, r.Agency, r.Recipient, r.Findable, toDay(r.Day))
		if isTaken(err) {
			return vault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: create a record: %w", err)
		}
		of, err := h.of(ctx, ofCase(r.Case))
		if err != nil {
			return err
		}
		of.put(h.record(r))
		if r.ID == r.Case {
			of.body.gone = false // it came back from a backup, with its key
		}
		if err := v.db.appendEntries(ctx, tx, h, entries...); err != nil {
			return err
		}
		for _, o := range objects {
			if err := addObject(ctx, tx, o); err != nil {
				return err
			}
			of.put(h.object(o))
		}
		if r.Begins != "" {
			if err := assign(ctx, tx, h, vault.Assignment{Case: r.Case, Person: r.Begins, By: r.Begins}); err != nil {
				return err
			}
		}
		return setPlaces(ctx, tx, h, r.Case, r.ID, places)
	})
}

// openCase makes sure that a case exists and is not being erased.
func openCase(ctx context.Context, tx *sql.Tx, h *heads, caseID string) error {
	r, err := recordIn(ctx, tx, h, caseID)
	if err != nil {
		return err
	}
	c, err := h.caseOf(ctx, caseID)
	if err == nil && (r.Case != caseID || c.Erasing != nil) {
		err = vault.ErrNotFound
	}
	return err
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
func setPlaces(ctx context.Context, tx *sql.Tx, h *heads, caseID, record string, places [][]byte) error {
	of, err := h.of(ctx, ofCase(caseID))
	if err != nil {
		return err
	}
	old, err := list(ctx, tx, scanBytes, "SELECT place FROM number_index WHERE record_id = $1 UNION ALL SELECT place FROM number_places WHERE record_id = $1", record)
	if err != nil {
		return err
	}
	for _, place := range old {
		if err := of.take(h.index(record, place), record); err != nil {
			return err
		}
	}
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
		of.put(h.index(record, place))
	}
	return nil
}

func scanBytes(row scanner) (b []byte, err error) { return b, row.Scan(&b) }

// Record returns one record.
func (v *Vault) Record(ctx context.Context, id string) (r vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		r, err = recordIn(ctx, h.q, h, id)
		return err
	})
	return r, err
}

// Records returns all records of a case, its own one first.
func (v *Vault) Records(ctx context.Context, caseID string) (all []vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = recordsWhere(ctx, h.q, h, "WHERE r.case_id = $1 ORDER BY CASE WHEN r.id = r.case_id THEN 0 ELSE 1 END, r.id", caseID)
		if err != nil {
			return err
		}
		of, err := h.of(ctx, ofCase(caseID))
		if err == nil && of.count(sealedRecord) != len(all) {
			err = &SealError{"rows of records of case", caseID}
		}
		return err
	})
	return all, err
}

// Cases returns an agency's cases by id.
func (v *Vault) Cases(ctx context.Context, agency, after string, limit int) (all []vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = recordsWhere(ctx, h.q, h, "WHERE r.agency = $1 AND r.id = r.case_id AND r.id > $2 ORDER BY r.id LIMIT $3", agency, after, limit)
		return err
	})
	return all, err
}

// AddObject adds a version.
func (v *Vault) AddObject(ctx context.Context, o vault.Object, places [][]byte, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		r, err := recordIn(ctx, tx, h, o.Record)
		if err != nil {
			return err
		}
		if err := openCase(ctx, tx, h, r.Case); err != nil {
			return err
		}
		of, err := h.of(ctx, ofCase(r.Case))
		if err != nil {
			return err
		}
		before, err := scanObject(tx.QueryRowContext(ctx, selectObject+"WHERE o.record_id = $1 AND o.page = $2 ORDER BY o.version DESC LIMIT 1", o.Record, o.Page))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return found(err)
		}
		// Without gaps, so that a version that was removed is missed.
		if o.Version != before.Version+1 {
			return vault.ErrConflict
		}
		if before.Version > 0 {
			if err := of.take(h.object(before), o.Record); err != nil {
				return err
			}
		}
		if err := v.db.appendEntries(ctx, tx, h, entries...); err != nil {
			return err
		}
		if err := addObject(ctx, tx, o); err != nil {
			return err
		}
		of.put(h.object(o))
		if o.Page != 0 {
			return nil
		}
		return setPlaces(ctx, tx, h, r.Case, o.Record, places)
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
func (v *Vault) Object(ctx context.Context, record string, page int) (o vault.Object, err error) {
	all, err := v.objects(ctx, record, selectObject+"WHERE o.record_id = $1 AND o.page = $2 ORDER BY o.version DESC LIMIT 1", page)
	if err == nil && len(all) == 0 {
		err = vault.ErrNotFound
	}
	if err != nil {
		return vault.Object{}, err
	}
	return all[0], nil
}

// Objects returns the newest version of every page, without what is sealed.
func (v *Vault) Objects(ctx context.Context, record string) ([]vault.Object, error) {
	bare := strings.Replace(selectObject, "o.sealed", "NULL", 1)
	return v.objects(ctx, record, bare+`WHERE o.record_id = $1 AND o.version =
		(SELECT MAX(n.version) FROM objects n WHERE n.record_id = o.record_id AND n.page = o.page) ORDER BY o.page`)
}

// objects reads newest versions of a record's pages, and holds each against the head
// of its case: one that is older is in no head.
func (v *Vault) objects(ctx context.Context, record, query string, args ...any) (all []vault.Object, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		if all, err = list(ctx, h.q, scanObject, query, append([]any{record}, args...)...); err != nil || len(all) == 0 {
			return err
		}
		r, err := recordIn(ctx, h.q, h, record)
		if errors.Is(err, vault.ErrNotFound) {
			return &SealError{sealedObject.String(), record}
		}
		if err != nil {
			return err
		}
		of, err := h.of(ctx, ofCase(r.Case))
		if err != nil {
			return err
		}
		for _, o := range all {
			if !of.has(h.object(o)) {
				return &SealError{sealedObject.String(), record}
			}
		}
		return nil
	})
	return all, err
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
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := openCase(ctx, tx, h, caseID); err != nil {
			return err
		}
		of, err := h.of(ctx, ofCase(caseID))
		if err != nil {
			return err
		}
		r, err := recordIn(ctx, tx, h, caseID)
		if err != nil {
			return err
		}
		if err := of.take(h.record(r), caseID); err != nil {
			return err
		}
		r.Findable = findable
		of.put(h.record(r))
		of.drop(sealedIndex)
		_, err = tx.ExecContext(ctx, "UPDATE records SET findable = $1 WHERE id = $2", findable, caseID)
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
			if err := setPlaces(ctx, tx, h, caseID, record, some); err != nil {
				return err
			}
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// FindNumber returns the records at any of some places of the index. A version
// that knows one place only leaves the others where they are when it takes a
// case's consent back: that the case is findable is asked again.
func (v *Vault) FindNumber(ctx context.Context, places [][]byte) (all []vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		for _, place := range places {
			looked := len(h.found)
			found, err := recordsWhere(ctx, h.q, h, `WHERE c.findable AND r.id IN (
				SELECT record_id FROM number_index WHERE place = $1 UNION SELECT record_id FROM number_places WHERE place = $1)`, place)
			if err != nil {
				return err
			}
			for _, r := range found {
				of, err := h.of(ctx, ofCase(r.Case))
				if err != nil {
					return err
				}
				if !of.has(h.index(r.ID, place)) {
					return &SealError{sealedIndex.String(), r.ID}
				}
			}
			all = append(all, found...)
			if looked < len(h.found) {
				continue
			}
			// Where nothing stands a head is looked for as well.
			if err := h.absent(ctx, ofCase(hex.EncodeToString(place)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b vault.Record) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b vault.Record) bool { return a.ID == b.ID }), nil
}

// Share adds or replaces a grant, and the word that it stands on.
func (v *Vault) Share(ctx context.Context, s vault.Shared, w vault.Spoken, entries ...audit.Entry) error {
	parts, err := partBits(s.Parts)
	if err != nil {
		return err
	}
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := openCase(ctx, tx, h, s.Case); err != nil {
			return err
		}
		of, err := h.of(ctx, ofCase(s.Case))
		if err != nil {
			return err
		}
		switch old, err := grantIn(ctx, tx, h, s.Record, s.Agency); {
		case errors.Is(err, vault.ErrNotFound):
		case err != nil:
			return err
		default:
			if err := of.take(h.grant(old), s.Record); err != nil {
				return err
			}
			if err := endWord(ctx, tx, h, old.Case, old.Word, vault.Replaced); err != nil {
				return err
			}
		}
		if w.ID != "" {
			if err := addWord(ctx, tx, h, w); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO grants (record_id, agency, case_id, purpose, until_day, day, id, word_id, parts, readings)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (record_id, agency) DO UPDATE
			SET purpose = $4, until_day = $5, day = $6, id = $7, word_id = $8, parts = $9, readings = $10, taken = 0, opened = 0, opened_on = 0`,
			s.Record, s.Agency, s.Case, s.Purpose, toDay(s.Until), toDay(s.Day), s.ID, s.Word, parts, s.Readings)
		if err != nil {
			return fmt.Errorf("sqlstore: share: %w", err)
		}
		of.put(h.grant(grantRow{Shared: s, parts: parts}))
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// TakeBack removes a grant.
func (v *Vault) TakeBack(ctx context.Context, record, agency string, as vault.WordState, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		s, err := grantIn(ctx, tx, h, record, agency)
		if err != nil {
			return err
		}
		of, err := h.of(ctx, ofCase(s.Case))
		if err != nil {
			return err
		}
		if err := of.take(h.grant(s), record); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM grants WHERE record_id = $1 AND agency = $2", record, agency); err != nil {
			return fmt.Errorf("sqlstore: take back: %w", err)
		}
		if err := endWord(ctx, tx, h, s.Case, s.Word, as); err != nil {
			return err
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

const selectWords = "SELECT id, case_id, record_id, agency, kind, state, sealed, day FROM consents "

func scanWord(row scanner) (w vault.Spoken, err error) {
	var day int64
	err = row.Scan(&w.ID, &w.Case, &w.Record, &w.Agency, &w.Kind, &w.State, &w.Sealed, &day)
	w.Day = fromDay(day)
	return w, err
}

// wordsOf reads all words of a case, and holds them against its head: one that is missing
// may be a no.
func wordsOf(ctx context.Context, q querier, h *heads, caseID string) ([]vault.Spoken, error) {
	all, err := list(ctx, q, scanWord, selectWords+"WHERE case_id = $1 ORDER BY id", caseID)
	if err != nil {
		return nil, err
	}
	of, err := h.of(ctx, ofCase(caseID))
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		if !of.has(h.word(w)) {
			return nil, &SealError{sealedWord.String(), w.ID}
		}
	}
	if of.count(sealedWord) != len(all) {
		return nil, &SealError{"rows of consents of case", caseID}
	}
	return all, nil
}

func addWord(ctx context.Context, tx *sql.Tx, h *heads, w vault.Spoken) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO consents (id, case_id, record_id, agency, kind, state, sealed, day) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		w.ID, w.Case, w.Record, w.Agency, w.Kind, w.State, w.Sealed, toDay(w.Day))
	if isTaken(err) {
		return vault.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("sqlstore: keep a consent: %w", err)
	}
	of, err := h.of(ctx, ofCase(w.Case))
	if err == nil {
		of.put(h.word(w))
	}
	return err
}

// endWord says of a word in force what has become of it. Of none, and of one that is over,
// there is nothing to say.
func endWord(ctx context.Context, tx *sql.Tx, h *heads, caseID, id string, as vault.WordState) error {
	all, err := wordsOf(ctx, tx, h, caseID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(w vault.Spoken) bool { return w.ID == id && w.State == vault.InForce })
	if i < 0 {
		return nil
	}
	w := all[i]
	of, err := h.of(ctx, ofCase(caseID))
	if err != nil {
		return err
	}
	if err := of.take(h.word(w), w.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE consents SET state = $1 WHERE id = $2", as, w.ID); err != nil {
		return fmt.Errorf("sqlstore: end a consent: %w", err)
	}
	w.State = as
	of.put(h.word(w))
	return nil
}

// Words returns everything that the holder of a case said.
func (v *Vault) Words(ctx context.Context, caseID string) (all []vault.Spoken, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = wordsOf(ctx, h.q, h, caseID)
		return err
	})
	return all, err
}

// AddWord keeps a word that is for nobody else, and replaces the one of its kind. That she
// takes everything back ends all of these.
func (v *Vault) AddWord(ctx context.Context, w vault.Spoken, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := openCase(ctx, tx, h, w.Case); err != nil {
			return err
		}
		all, err := wordsOf(ctx, tx, h, w.Case)
		if err != nil {
			return err
		}
		for _, old := range all {
			if old.Agency != "" || old.State != vault.InForce || old.Kind != w.Kind && w.Kind != vault.WordNone {
				continue
			}
			if err := endWord(ctx, tx, h, w.Case, old.ID, vault.Replaced); err != nil {
				return err
			}
		}
		if err := addWord(ctx, tx, h, w); err != nil {
			return err
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// EndWord says of a word in force that it was taken back.
func (v *Vault) EndWord(ctx context.Context, caseID, id string, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := openCase(ctx, tx, h, caseID); err != nil {
			return err
		}
		if err := endWord(ctx, tx, h, caseID, id, vault.TakenBack); err != nil {
			return err
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// grantRow is a grant as it stands.
type grantRow struct {
	vault.Shared

	parts    int64
	openedOn int64 // 0 before it was
}

// shared is the grant as the vault knows it. One from before grants had ids has one that
// follows from what it is of, and all parts: so it was when it was given.
func (g grantRow) shared() vault.Shared {
	s := g.Shared
	if s.ID == "" {
		named := sha256.Sum256([]byte("grant/" + s.Record + "/" + s.Agency))
		s.ID, s.Parts = hex.EncodeToString(named[:16]), slices.Clone(vault.Parts)
	}
	return s
}

const selectGrant = "SELECT record_id, case_id, agency, purpose, until_day, day, id, word_id, parts, readings, taken, opened, opened_on FROM grants "

func scanGrant(row scanner) (g grantRow, err error) {
	var until, day int64
	err = row.Scan(&g.Record, &g.Case, &g.Agency, &g.Purpose, &until, &day, &g.ID, &g.Word, &g.parts, &g.Readings, &g.Taken, &g.Opened, &g.openedOn)
	if g.openedOn != 0 {
		g.OpenedOn = fromDay(g.openedOn)
	}
	g.Until, g.Day, g.Parts = fromDay(until), fromDay(day), partsOf(g.parts)
	return g, err
}

// grantsWhere reads grants and holds each against its case.
func grantsWhere(ctx context.Context, q querier, h *heads, where string, args ...any) ([]vault.Shared, error) {
	rows, err := grantRows(ctx, q, h, where, args...)
	all := make([]vault.Shared, len(rows))
	for i, g := range rows {
		all[i] = g.shared()
	}
	return all, err
}

func grantRows(ctx context.Context, q querier, h *heads, where string, args ...any) ([]grantRow, error) {
	rows, err := list(ctx, q, scanGrant, selectGrant+where, args...)
	if err != nil {
		return nil, err
	}
	for _, g := range rows {
		of, err := h.of(ctx, ofCase(g.Case))
		if err != nil {
			return nil, err
		}
		if !of.has(h.grant(g)) {
			return nil, &SealError{sealedGrant.String(), g.Record}
		}
	}
	return rows, nil
}

func grantIn(ctx context.Context, q querier, h *heads, record, agency string) (grantRow, error) {
	all, err := grantRows(ctx, q, h, "WHERE record_id = $1 AND agency = $2", record, agency)
	if err == nil && len(all) != 1 {
		err = vault.ErrNotFound
	}
	if err != nil {
		return grantRow{}, err
	}
	return all[0], nil
}

func (v *Vault) grants(ctx context.Context, where string, args ...any) (all []vault.Shared, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = grantsWhere(ctx, h.q, h, where, args...)
		return err
	})
	return all, err
}

// Grant returns one grant.
func (v *Vault) Grant(ctx context.Context, record, agency string) (s vault.Shared, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		g, err := grantIn(ctx, h.q, h, record, agency)
		if err == nil {
			s = g.shared()
		}
		return err
	})
	return s, err
}

// Grants returns the grants of a case.
func (v *Vault) Grants(ctx context.Context, caseID string) ([]vault.Shared, error) {
	return v.grants(ctx, "WHERE case_id = $1 ORDER BY record_id, agency", caseID)
}

// GrantsTo returns the grants to an agency.
func (v *Vault) GrantsTo(ctx context.Context, agency string) ([]vault.Shared, error) {
	return v.grants(ctx, "WHERE agency = $1 ORDER BY record_id", agency)
}

// Expired returns grants whose last day is over.
func (v *Vault) Expired(ctx context.Context, day time.Time, limit int) ([]vault.Shared, error) {
	return v.grants(ctx, "WHERE until_day < $1 ORDER BY until_day, record_id, agency LIMIT $2", toDay(day), limit)
}

// Open keeps openings, and counts them.
func (v *Vault) Open(ctx context.Context, opened []vault.Opened, most int, now time.Time, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM openings WHERE expires < $1", now.Unix()); err != nil {
			return fmt.Errorf("sqlstore: forget openings: %w", err)
		}
		for _, o := range opened {
			if err := openCase(ctx, tx, h, o.Case); err != nil {
				return err
			}
			if o.How != vault.ByTwo {
				if err := countOpening(ctx, tx, h, o, most, toDay(now)); err != nil {
					return err
				}
			}
			if err := addOpening(ctx, tx, h, o); err != nil {
				return err
			}
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// countOpening counts an opening to its grant. The row is in the head of its case, so that
// of two that count at once one comes after the other.
func countOpening(ctx context.Context, tx *sql.Tx, h *heads, o vault.Opened, most int, today int64) error {
	g, err := grantIn(ctx, tx, h, o.Record, o.Agency)
	if err != nil {
		return err
	}
	if g.shared().ID != o.Grant {
		return vault.ErrNotFound
	}
	of, err := h.of(ctx, ofCase(g.Case))
	if err == nil {
		err = of.take(h.grant(g), g.Record)
	}
	if err != nil {
		return err
	}
	if g.openedOn != today {
		g.Opened, g.openedOn = 0, today
	}
	left := o.How == vault.Left
	switch {
	case left && g.Taken >= g.Readings:
		return vault.ErrSpent
	case g.Opened >= most:
		return vault.ErrAgain
	}
	if g.Opened++; left {
		g.Taken++
	}
	_, err = tx.ExecContext(ctx, "UPDATE grants SET taken = $1, opened = $2, opened_on = $3 WHERE record_id = $4 AND agency = $5",
		g.Taken, g.Opened, g.openedOn, g.Record, g.Agency)
	if err != nil {
		return fmt.Errorf("sqlstore: count an opening: %w", err)
	}
	of.put(h.grant(g))
	return nil
}

func addOpening(ctx context.Context, tx *sql.Tx, h *heads, o vault.Opened) error {
	parts, err := partBits(o.Parts)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		"INSERT INTO openings ("+openingColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
		o.ID, o.Grant, o.Word, o.Record, o.Case, o.Agency, o.Person, o.At, o.How, o.Device, o.Card, o.Purpose, parts, o.Expires.Unix(), h.opening(o, parts))
	if isTaken(err) {
		return vault.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("sqlstore: keep an opening: %w", err)
	}
	return nil
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

// partsOf reverses partBits.
func partsOf(bits int64) (parts []vault.Part) {
	for i, p := range vault.Parts {
		if bits&(1<<i) != 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// openingRow is an opening with its MAC.
type openingRow struct {
	vault.Opened

	parts int64
	mac   []byte
}

func scanOpening(row scanner) (o openingRow, err error) {
	var expires int64
	err = row.Scan(&o.ID, &o.Grant, &o.Word, &o.Record, &o.Case, &o.Agency, &o.Person, &o.At, &o.How, &o.Device, &o.Card, &o.Purpose, &o.parts, &expires, &o.mac)
	o.Parts, o.Expires = partsOf(o.parts), time.Unix(expires, 0).UTC()
	return o, err
}

const (
	openingColumns = "id, grant_id, word_id, record_id, case_id, agency, person, at, how, device, card, purpose, parts, expires, mac"
	selectOpenings = "SELECT " + openingColumns + " FROM openings "
)

// Openings returns what is open to a person by a grant.
func (v *Vault) Openings(ctx context.Context, grant, person string, now time.Time) (all []vault.Opened, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		rows, err := list(ctx, h.q, scanOpening, selectOpenings+"WHERE grant_id = $1 AND person = $2 AND expires > $3 ORDER BY id", grant, person, now.Unix())
		if err != nil {
			return err
		}
		for _, o := range rows {
			if !hmac.Equal(o.mac, h.opening(o.Opened, o.parts)) {
				return &SealError{sealedOpening.String(), o.ID}
			}
			all = append(all, o.Opened)
		}
		return nil
	})
	return all, err
}

// Append adds log entries.
func (v *Vault) Append(ctx context.Context, entries ...audit.Entry) error {
	return v.db.Log().Append(ctx, entries...)
}

// Tell appends the entries of a look-up. Where none is about a case a head without
// seals takes the place of that case's, so that the work is the same.
func (v *Vault) Tell(ctx context.Context, entries ...audit.Entry) error {
	found := slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Case != "" })
	return v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		if found {
			return nil
		}
		nobody, err := h.of(ctx, ofNobody)
		if err == nil {
			nobody.own = true
		}
		return err
	})
}

// History returns the entries of a case, oldest first.
func (v *Vault) History(ctx context.Context, caseID string) ([]audit.Logged, error) {
	return v.db.Log().History(ctx, caseID)
}

// BeginErasure writes the erasure journal.
func (v *Vault) BeginErasure(ctx context.Context, e vault.Erasure) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		ids, err := list(ctx, tx, func(row scanner) (id string, err error) { return id, row.Scan(&id) },
			"SELECT id FROM records WHERE case_id = $1", e.Case)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(e.Records, id) }) {
			return vault.ErrConflict
		}
		if err := h.journal(ctx, tx, e); err != nil {
			return err
		}
		return h.beginErasure(ctx, tx, e.Case)
	})
}

// beginErasure puts a case under our own key, before its own is destroyed, without
// anything about anybody. One whose key is gone already came back from a backup: what
// leads to it and its cells are removed without its body.
func (h *heads) beginErasure(ctx context.Context, tx *sql.Tx, caseID string) error {
	c, err := h.caseOf(ctx, caseID)
	if _, ok := errors.AsType[*SealError](err); ok || errors.Is(err, vault.ErrNotFound) {
		c, err = h.keyless(ctx, tx, caseID)
	}
	if err != nil || c.empty() || c.Erasing != nil {
		return err
	}
	c.strip(vault.Erased{})
	return nil
}

// Erase removes every row of a case.
func (v *Vault) Erase(ctx context.Context, caseID string, entries ...audit.Entry) (done vault.Erased, err error) {
	const inCase = "record_id IN (SELECT id FROM records WHERE case_id = $1)"
	err = v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		err := tx.QueryRowContext(ctx, `SELECT
			(SELECT COUNT(*) FROM records WHERE case_id = $1),
			(SELECT COUNT(*) FROM objects WHERE `+inCase+`),
			(SELECT COUNT(*) FROM (SELECT DISTINCT record_id, page FROM objects WHERE page > 0 AND `+inCase+`) AS p),
			(SELECT COUNT(*) FROM grants WHERE case_id = $1),
			(SELECT COUNT(*) FROM log_entries WHERE case_id = $1)`, caseID).
			Scan(&done.Records, &done.Objects, &done.Pages, &done.Grants, &done.Notes)
		if err != nil {
			return found(err)
		}
		if err := forgetJoins(ctx, tx, h, caseID); err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM number_index WHERE " + inCase,
			"DELETE FROM number_places WHERE " + inCase,
			"DELETE FROM objects WHERE " + inCase,
			"DELETE FROM openings WHERE case_id = $1",
			"DELETE FROM grants WHERE case_id = $1",
			"DELETE FROM assignments WHERE case_id = $1",
			"DELETE FROM consents WHERE case_id = $1",
			"DELETE FROM records WHERE case_id = $1 AND id <> case_id",
			"DELETE FROM records WHERE id = $1",
		} {
			if _, err := tx.ExecContext(ctx, statement, caseID); err != nil {
				return fmt.Errorf("sqlstore: erase: %w", err)
			}
		}
		if err := forgetIssued(ctx, tx, h, caseID); err != nil {
			return err
		}
		if err := forgetAnswers(ctx, tx, h.sealer, caseID); err != nil {
			return err
		}
		if err := forgetHistory(ctx, tx, h, caseID); err != nil {
			return err
		}
		c, err := h.caseOf(ctx, caseID)
		if err != nil {
			return err
		}
		for _, t := range []sealedTable{sealedRecord, sealedObject, sealedIndex, sealedGrant, sealedWord, sealedAssigned} {
			c.head.drop(t)
		}
		c.forget()
		return v.db.appendEntries(ctx, tx, h, entries...)
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
