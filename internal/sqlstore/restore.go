package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/verifier"
)

// PublishedList is a status list and its answers list as they were published
// last.
type PublishedList struct {
	Number          uint16
	Status, Answers *statuslist.List
	// The tokens that they were in.
	StatusToken, AnswersToken string
}

// Aftermath is what is known, when rows come back from a backup, of what was
// made public since.
type Aftermath struct {
	Lists    []PublishedList
	Burned   []uint32          // epochs
	Agencies []verifier.Agency // as the trust list names them; only their keys are read

	// NewList is the number of the list that new entries go to from now on.
	NewList uint16
	// Sequence is the number of the next pack and of the next trust list, at
	// the least.
	Sequence uint64
	// Restart begins the log anew.
	Restart LogRestart
	// Day is today, for what is noted as ended now.
	Day int64
	// Entry says in the log that all this was done. It is the new log's first.
	Entry audit.Entry
}

// LogRestart is the beginning of a new log.
type LogRestart struct {
	Origin string // its name
	Former string // the newest checkpoint that is known of the one before
	Note   string // the first entry's note; all of it is public
}

// Adopted counts what Adopt changed.
type Adopted struct {
	Changed int `json:"changed"` // records whose status is now the published one
	Held    int `json:"held"`    // places that are out of use or paused, of records that are lost
	Burned  int `json:"burned"`  // epochs
	Ended   int `json:"ended"`   // keys revoked or called stolen since
}

// Adopt brings rows that came back from a backup up to what the network has
// said in public since, so that nothing it ever said is taken back: a place
// that is out of use, replaced or paused stays so; an epoch that was burned and
// a key that was revoked stay so; no place of the old lists is ever given out
// again, and numbers go on behind those that were used. Then every row is sealed as it
// stands: whether those of the backup held is for CheckSeals before.
func (db *DB) Adopt(ctx context.Context, a Aftermath) (done Adopted, err error) {
	if db.seals == nil {
		return Adopted{}, ErrNoSealKey
	}
	err = db.alone(ctx, func(tx *sql.Tx) error {
		done = Adopted{}
		for _, step := range []func(context.Context, *sql.Tx, Aftermath, *Adopted) error{
			adoptLists, adoptBurned, adoptKeys, adoptNumbers, adoptLog,
		} {
			if err := step(ctx, tx, a, &done); err != nil {
				return err
			}
		}
		return db.seals.sealAll(ctx, tx)
	})
	if err != nil {
		return Adopted{}, fmt.Errorf("sqlstore: adopt what was published: %w", err)
	}
	db.seals.forget()
	return done, nil
}

func adoptLists(ctx context.Context, tx *sql.Tx, a Aftermath, done *Adopted) error {
	for _, l := range a.Lists {
		_, err := tx.ExecContext(ctx, `INSERT INTO status_lists (number, used, closed, status, answers, frozen) VALUES ($1, 0, $2, $3, $4, $2)
			ON CONFLICT (number) DO UPDATE SET status = $3, answers = $4`, l.Number, true, l.StatusToken, l.AnswersToken)
		if err != nil {
			return err
		}
		if err := adoptList(ctx, tx, l, done); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE status_lists SET closed = $1, frozen = $1", true); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx,
		"INSERT INTO status_lists (number, used, closed, status, answers) VALUES ($1, 0, $2, '', '')", a.NewList, false)
	return err
}

// entryRow is a place with the state of the record that it belongs to.
type entryRow struct {
	credentials.Entry

	id    sql.NullString
	state sql.NullString
}

func adoptList(ctx context.Context, tx *sql.Tx, l PublishedList, done *Adopted) error {
	known, err := list(ctx, tx, func(row scanner) (e entryRow, err error) {
		err = row.Scan(&e.Index, &e.Decoy, &e.WantedStatus, &e.PublishedStatus, &e.WantedAnswer, &e.PublishedAnswer, &e.id, &e.state)
		return e, err
	}, `SELECT e.list_index, e.decoy, e.wanted_status, e.published_status, e.wanted_answer, e.published_answer, i.id, i.state
		FROM status_entries e LEFT JOIN issued i ON i.list = e.list AND i.list_index = e.list_index WHERE e.list = $1`, l.Number)
	if err != nil {
		return err
	}
	seen := make(map[uint32]bool, len(known))
	for _, e := range known {
		seen[e.Index] = true
		if err := adoptEntry(ctx, tx, l, e, done); err != nil {
			return err
		}
	}
	for i := range l.Status.Len() {
		status, answer := valueAt(l.Status, i), valueAt(l.Answers, i)
		if status == 0 && answer == 0 || seen[uint32(i)] {
			continue
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO status_entries
			(list, list_index, decoy, wanted_status, published_status, wanted_answer, published_answer, waiting, held)
			VALUES ($1, $2, $3, $4, $4, $5, $5, 0, $6)`, l.Number, i, false, status, answer, true)
		if err != nil {
			return err
		}
		done.Held++
	}
	return nil
}

func valueAt(l *statuslist.List, i int) uint8 {
	v, err := l.Get(i)
	if err != nil {
		return 0 // behind the end
	}
	return v
}

// adoptEntry brings one place up to what is public of it.
func adoptEntry(ctx context.Context, tx *sql.Tx, l PublishedList, e entryRow, done *Adopted) error {
	status, answer := valueAt(l.Status, int(e.Index)), valueAt(l.Answers, int(e.Index))
	now := e.Entry
	now.PublishedStatus, now.PublishedAnswer = status, answer
	if e.id.Valid {
		now.WantedStatus = afterBackup(e.WantedStatus, e.PublishedStatus, status)
		if e.WantedAnswer == e.PublishedAnswer || answer != 0 {
			now.WantedAnswer = answer
		}
	} else {
		now.WantedStatus, now.WantedAnswer = status, answer
	}
	if now == e.Entry {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE status_entries SET wanted_status = $1, published_status = $2, wanted_answer = $3, published_answer = $4
		WHERE list = $5 AND list_index = $6`,
		now.WantedStatus, now.PublishedStatus, now.WantedAnswer, now.PublishedAnswer, l.Number, e.Index)
	if err != nil || !e.id.Valid || now.WantedStatus == e.WantedStatus {
		return err
	}
	done.Changed++
	state, ok := map[uint8]credentials.State{
		statuslist.Valid: credentials.Active, statuslist.Invalid: credentials.Withdrawn,
		statuslist.Suspended: credentials.Paused, statuslist.Replaced: credentials.Replaced,
	}[now.WantedStatus]
	switch was := credentials.State(e.state.String); {
	case !ok, was == credentials.Abandoned, was == credentials.Draft:
		return nil // a draft is settled next, and ends
	default:
		_, err = tx.ExecContext(ctx, "UPDATE issued SET state = $1 WHERE id = $2", state, e.id.String)
		return err
	}
}

// afterBackup is what a record's status has to be, from what the backup wanted
// and had published, and from what was published last. What ended stays ended.
// A change that waited in the backup still waits, unless the public list says
// something stronger.
func afterBackup(wanted, before, public uint8) uint8 {
	ended := func(s uint8) bool { return s == statuslist.Invalid || s == statuslist.Replaced }
	switch {
	case ended(public):
		return public
	case ended(wanted):
		return wanted
	case public == statuslist.Suspended:
		return public
	case wanted == before:
		return public
	default:
		return wanted
	}
}

func adoptBurned(ctx context.Context, tx *sql.Tx, a Aftermath, done *Adopted) error {
	for _, epoch := range a.Burned {
		res, err := tx.ExecContext(ctx, "UPDATE epochs SET burned_day = $1 WHERE id = $2 AND burned_day IS NULL", a.Day, epoch)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		done.Burned += int(n)
	}
	return nil
}

// adoptKeys ends the keys that ended since. Who is an agency, and who is suspended,
// stands in the roster and is for whoever can sign.
func adoptKeys(ctx context.Context, tx *sql.Tx, a Aftermath, done *Adopted) error {
	for _, agency := range a.Agencies {
		for _, k := range agency.Keys {
			n, err := adoptKey(ctx, tx, agency.ID, k)
			if err != nil {
				return err
			}
			done.Ended += int(n)
		}
	}
	return nil
}

func adoptKey(ctx context.Context, tx *sql.Tx, agency string, k verifier.AgencyKey) (int64, error) {
	if !k.Revoked && k.Compromised == nil {
		return 0, nil
	}
	var revoked bool
	var stolen []byte
	err := tx.QueryRowContext(ctx, "SELECT revoked, compromised FROM agency_keys WHERE agency_id = $1 AND kid = $2", agency, k.KeyID).Scan(&revoked, &stolen)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	now, err := stillBelieved(stolen, k.Compromised)
	if err != nil || (revoked || !k.Revoked) && bytes.Equal(now, stolen) {
		return 0, err
	}
	res, err := tx.ExecContext(ctx, "UPDATE agency_keys SET revoked = $1, compromised = $2 WHERE agency_id = $3 AND kid = $4",
		revoked || k.Revoked, now, agency, k.KeyID)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// stillBelieved is what is left of a stolen key by a row and by what is public.
func stillBelieved(row []byte, public *verifier.Compromise) ([]byte, error) {
	if public == nil {
		return row, nil
	}
	left := *public
	if row != nil {
		var was verifier.Compromise
		if err := json.Unmarshal(row, &was); err != nil {
			return nil, err
		}
		left = left.Both(was)
	}
	return json.Marshal(left)
}

// adoptNumbers lets packs and trust lists go on behind those that devices have
// seen. A trust list is signed anew in any case.
func adoptNumbers(ctx context.Context, tx *sql.Tx, a Aftermath, _ *Adopted) error {
	_, err := tx.ExecContext(ctx, `UPDATE network SET
		pack_sequence = CASE WHEN pack_sequence < $1 THEN $1 ELSE pack_sequence END,
		trust_sequence = CASE WHEN trust_sequence < $1 THEN $1 ELSE trust_sequence END,
		trust_stored = NULL, trust_digest = NULL, trust_expires = NULL, trust_list = NULL, trust_key = ''`, int64(a.Sequence)) //nolint:gosec // counts by hand
	return err
}

// adoptLog writes down that rows came back, and begins the log anew: every entry
// of the backup gets a place in the new one, behind the entry that names the old
// one.
func adoptLog(ctx context.Context, tx *sql.Tx, a Aftermath, _ *Adopted) error {
	if err := insertEntries(ctx, tx, a.Entry); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE log_entries SET position = NULL"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE log_entries SET position = 0 WHERE id = $1", a.Entry.ID); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO log_restarts (number, origin, former, note)
		VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM log_restarts), $1, $2, $3)`, a.Restart.Origin, a.Restart.Former, a.Restart.Note)
	return err
}

// Restarts returns how the log began anew, oldest first; nothing for a log that
// is still the first one.
func (l *Log) Restarts(ctx context.Context) ([]LogRestart, error) {
	return list(ctx, l.db.read, func(row scanner) (r LogRestart, err error) { return r, row.Scan(&r.Origin, &r.Former, &r.Note) },
		"SELECT origin, former, note FROM log_restarts ORDER BY number")
}

// PackSequence is the number of the last pack.
func (s *Network) PackSequence(ctx context.Context) (uint64, error) {
	n, err := s.row(ctx)
	return uint64(n.pack), err //nolint:gosec // counts from zero
}
