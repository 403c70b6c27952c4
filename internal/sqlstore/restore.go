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
	"github.com/safeconduct/safeconduct/vault"
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

	carried int64 // how far its leaves had come
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
	db.seals.toWrite() // while nobody writes: it waits for the one connection
	err = db.alone(ctx, func(tx *sql.Tx) error {
		done = Adopted{}
		for _, step := range []func(context.Context, *sql.Tx, Aftermath, *Adopted) error{
			db.adoptLists, adoptBurned, adoptKeys, adoptNumbers, db.adoptLog,
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
	db.restarts.Store(nil)
	db.known.forget()
	return done, nil
}

func (db *DB) adoptLists(ctx context.Context, tx *sql.Tx, a Aftermath, done *Adopted) error {
	// What it writes is sealed with all the rest, later.
	h := &heads{sealer: db.seals, q: tx, whole: true, read: true, found: map[string]*head{}}
	for _, l := range a.Lists {
		_, err := tx.ExecContext(ctx, `INSERT INTO status_lists (number, used, closed, status, answers, frozen) VALUES ($1, 0, $2, $3, $4, $2)
			ON CONFLICT (number) DO UPDATE SET status = $3, answers = $4`, l.Number, true, l.StatusToken, l.AnswersToken)
		if err != nil {
			return err
		}
		if err := adoptList(ctx, tx, h, l, done); err != nil {
			return err
		}
	}
	if err := h.settle(ctx, tx); err != nil {
		return err
	}
	for _, one := range h.found {
		if one.own {
			if err := h.writeHead(ctx, tx, one); err != nil {
				return err
			}
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE status_lists SET closed = $1, frozen = $1", true); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx,
		"INSERT INTO status_lists (number, used, closed, status, answers) VALUES ($1, 0, $2, '', '')", a.NewList, false)
	return err
}

func adoptList(ctx context.Context, tx *sql.Tx, h *heads, l PublishedList, done *Adopted) error {
	known, err := list(ctx, tx, h.scanPlace, selectPlaces+ofOneList, blockOf(l.Number, 0), blockOf(l.Number, 0)+blocks)
	if err != nil {
		return err
	}
	seen := make(map[uint32]bool, len(known))
	for _, p := range known {
		seen[p.Index] = true
		if err := adoptPlace(ctx, tx, h, l, p, done); err != nil {
			return err
		}
	}
	for i := range l.Status.Len() {
		status, answer := valueAt(l.Status, i), valueAt(l.Answers, i)
		if status == 0 && answer == 0 || seen[uint32(i)] {
			continue
		}
		held := placeRow{list: l.Number, held: true, Entry: credentials.Entry{
			Index: uint32(i), WantedStatus: status, PublishedStatus: status, WantedAnswer: answer, PublishedAnswer: answer,
		}}
		if err := putPlace(ctx, tx, h, insertPlace, held); err != nil {
			return err
		}
		done.Held++
	}
	return nil
}

// putPlace writes a place that is sealed later.
func putPlace(ctx context.Context, tx *sql.Tx, h *heads, statement string, p placeRow) error {
	p, called, err := h.boxed(p)
	if err == nil {
		_, err = tx.ExecContext(ctx, statement, blockOf(p.list, p.Index), called[:], p.box)
	}
	return err
}

func valueAt(l *statuslist.List, i int) uint8 {
	v, err := l.Get(i)
	if err != nil {
		return 0 // behind the end
	}
	return v
}

// adoptPlace brings one place up to what is public of it, and what stands there.
func adoptPlace(ctx context.Context, tx *sql.Tx, h *heads, l PublishedList, p placeRow, done *Adopted) error {
	status, answer, was := valueAt(l.Status, int(p.Index)), valueAt(l.Answers, int(p.Index)), p.Entry
	if p.Decoy {
		p.WantedStatus, p.WantedAnswer = status, answer
	} else {
		p.WantedStatus = afterBackup(was.WantedStatus, was.PublishedStatus, status)
		if was.WantedAnswer == was.PublishedAnswer || answer != 0 {
			p.WantedAnswer = answer
		}
	}
	p.PublishedStatus, p.PublishedAnswer = status, answer
	if p.Entry == was {
		return nil
	}
	if err := putPlace(ctx, tx, h, updatePlace, p); err != nil {
		return err
	}
	if p.of == (lead{}) || p.WantedStatus == was.WantedStatus {
		return nil
	}
	done.Changed++
	state, ok := map[uint8]credentials.State{
		statuslist.Valid: credentials.Active, statuslist.Invalid: credentials.Withdrawn,
		statuslist.Suspended: credentials.Paused, statuslist.Replaced: credentials.Replaced,
	}[p.WantedStatus]
	if !ok {
		return nil
	}
	b, err := h.caseAsItStands(ctx, p.of.Case)
	if errors.Is(err, vault.ErrNotFound) {
		return nil // it was erased since
	}
	if err != nil {
		return err
	}
	d := b.issuedBy(credentials.ID(p.of.ID))
	if d == nil || d.State.state() == credentials.Abandoned || d.State.state() == credentials.Draft {
		return nil // a draft is settled next, and ends
	}
	d.State = stateOf(state)
	b.change()
	return nil
}

// caseAsItStands is caseOf where nobody asks whether it is the newest.
func (h *heads) caseAsItStands(ctx context.Context, id string) (*body, error) {
	called := h.stored(ofCase(id))
	if h.found[called] == nil {
		all, err := h.rawHeads(ctx, "slot = $1 AND subject = $2", slotOf(called), called)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, vault.ErrNotFound
		}
		h.found[called] = all[0]
	}
	one := h.found[called]
	if one.body != nil {
		return one.body, nil
	}
	if _, err := h.caseKeys.ofCase(ctx, id); err != nil {
		return nil, err // vault.ErrNotFound for one that was erased since
	}
	if err := h.openBody(ctx, one, id); err != nil {
		return nil, err
	}
	return one.body, nil
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

// adoptLog writes down that rows came back, and begins the log anew: behind the entry
// that names the old one every leaf of the backup has the place that it had.
func (db *DB) adoptLog(ctx context.Context, tx *sql.Tx, a Aftermath, _ *Adopted) error {
	l := db.leaves(tx)
	h, err := db.newHeads(tx, (*sealer).writing, true)
	if err != nil {
		return err
	}
	if err := l.write(ctx, tx, h, a.Entry); err != nil {
		return err
	}
	if err := h.settle(ctx, tx); err != nil {
		return err
	}
	if _, err := h.write(ctx, tx); err != nil {
		return err
	}
	return l.beginAnew(ctx, tx, a.Restart, a.Entry.Hash)
}

// Restarts returns how the log began anew, oldest first; nothing for a log that
// is still the first one.
func (l *Log) Restarts(ctx context.Context) ([]LogRestart, error) { return l.db.begun(ctx, l.db.read) }

// PackSequence is the number of the last pack.
func (s *Network) PackSequence(ctx context.Context) (uint64, error) {
	n, err := s.row(ctx)
	return uint64(n.pack), err //nolint:gosec // counts from zero
}
