package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
)

// sealedRow is a row as a check of everything reads it.
type sealedRow struct {
	subject string
	id      string
	seal    seal
}

// casesAtOnce is how many cases are looked at in one reading.
const casesAtOnce = 500

// CheckSeals holds every row that has a seal against the head of its subject, and
// all heads against their count. It returns what does not hold, as table and id,
// which say nothing about anybody. Others go on reading and writing. What was found
// earlier is forgotten where it finds nothing.
func (db *DB) CheckSeals(ctx context.Context) (problems []string, err error) {
	return db.checkSeals(ctx, false)
}

// CheckLoaded is CheckSeals for rows that came back from a backup, which leaves out what
// means nothing later.
func (db *DB) CheckLoaded(ctx context.Context) (problems []string, err error) {
	return db.checkSeals(ctx, true)
}

func (db *DB) checkSeals(ctx context.Context, loaded bool) (problems []string, err error) {
	c := &sealCheck{db: db, loaded: loaded}
	parts := []func(context.Context) error{c.all, c.cases, c.lists, c.ofNetwork, c.boxed, c.roster, c.size, c.leaves, c.drafts}
	if !loaded {
		parts = append(parts, c.keyring)
	}
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return nil, fmt.Errorf("sqlstore: check the seals: %w", err)
		}
	}
	k := db.seals
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case len(c.problems) == 0:
		k.distrust = nil
	case k.distrust == nil:
		k.distrust = c.first
	}
	return c.problems, nil
}

// sealCheck gathers what does not hold.
type sealCheck struct {
	db       *DB
	loaded   bool // the rows come from a backup
	problems []string
	first    error
}

func (c *sealCheck) add(problem string) {
	if c.first == nil {
		c.first = fmt.Errorf("sqlstore: %s: the database is %w", problem, trouble.ErrDamaged)
	}
	if !slices.Contains(c.problems, problem) {
		c.problems = append(c.problems, problem)
	}
}

// oneMoment runs a part of the check, and notes a head that does not hold. What it
// found is kept only if all of it came from one moment.
func (c *sealCheck) oneMoment(ctx context.Context, part func(h *heads) (found []string, err error)) error {
	var found []string
	err := c.db.believed(ctx, func(h *heads) (err error) {
		if !h.whole {
			return errAgain
		}
		found, err = part(h)
		return err
	})
	if untrue, ok := errors.AsType[*SealError](err); ok {
		c.add(untrue.problem())
		return nil
	}
	for _, one := range found {
		c.add(one)
	}
	return err
}

func (e *SealError) problem() string { return e.Table + " " + e.ID + " is not what was written here" }

// all adds up all heads anew, and each has its MAC.
func (c *sealCheck) all(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) ([]string, error) {
		if err := h.load(ctx, inSlot, slotOf(ofNetwork)); err != nil {
			return nil, err
		}
		again := &sealer{macs: h.macs}
		return nil, again.addUp(ctx, h.q, h.count)
	})
}

// cases looks at all cases, from one moment: whether their bodies open, whether all that
// leads to one is there and leads back, whether its cells open, and whether there is
// anything else that leads to a case or is part of one.
func (c *sealCheck) cases(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) (found []string, err error) {
		seen, l := &seenCases{ids: map[string]bool{}, keyless: c.loaded}, c.db.leaves(h.q)
		step, err := slotsAtOnce(ctx, h.q)
		if err != nil {
			return nil, err
		}
		for first := int64(0); first < slots; first += step {
			all, err := h.between(ctx, first, step)
			if err != nil {
				return nil, err
			}
			more, err := h.checkBodies(ctx, l, all, seen)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
			maps.DeleteFunc(h.found, func(_ string, one *head) bool { return first <= one.slot && one.slot < first+step })
		}
		more, err := h.strays(ctx, seen)
		if err != nil {
			return nil, err
		}
		return append(found, more...), nil
	})
}

// seenCases are the cases that a check has come by, and what belongs to them: how much it
// is, and all of it added up.
type seenCases struct {
	ids          map[string]bool
	names, cells tally
	shut         bool // of some nobody can tell what belongs to them
	keyless      bool // a case without its key is no surprise
}

// tally is how many rows there are, and a sum that tells whether they are the same.
type tally struct {
	n   int
	sum [16]byte
}

func (t *tally) add(parts ...[]byte) {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	subtle.XORBytes(t.sum[:], t.sum[:], sum[:])
	t.n++
}

// strays looks for rows of names and cells that no body has.
func (h *heads) strays(ctx context.Context, seen *seenCases) (found []string, err error) {
	if seen.shut {
		return nil, nil
	}
	var names, cells tally
	for _, part := range []struct {
		of          string
		query       string
		there, have *tally
	}{
		{"names", "SELECT set_name, item FROM names", &names, &seen.names},
		{"cells", "SELECT name, name FROM cells", &cells, &seen.cells},
	} {
		rows, err := h.q.QueryContext(ctx, part.query)
		if err != nil {
			return nil, classify(err)
		}
		err = each(rows, func() error {
			var a, b []byte
			err := rows.Scan(&a, &b)
			part.there.add(a, b)
			return err
		})
		if err != nil {
			return nil, classify(err)
		}
		if *part.there != *part.have {
			found = append(found, fmt.Sprintf("%d rows of %s are not those of the cases, which have %d", part.there.n, part.of, part.have.n))
		}
	}
	return found, nil
}

// slotsAtOnce is in how many slots there are about as many cases as are looked at in one
// reading.
func slotsAtOnce(ctx context.Context, q querier) (int64, error) {
	var n int64
	if err := q.QueryRowContext(ctx, "SELECT COUNT(*) FROM heads WHERE slot < $1", slots).Scan(&n); err != nil {
		return 0, classify(err)
	}
	return max(1, slots*casesAtOnce/max(casesAtOnce, n)), nil
}

// checkBodies looks at the bodies of some heads, and at what belongs to them.
func (h *heads) checkBodies(ctx context.Context, l *leaves, all []*head, seen *seenCases) (found []string, err error) {
	for _, one := range all {
		if _, ok := caseID(one.subject); !ok || len(one.content) == 0 {
			continue
		}
		f, err := h.openFront(one.content, one.subject)
		if err == nil {
			seen.ids[f.caseID] = true
			if _, err = h.boxesOf(ctx, f); !errors.Is(err, vault.ErrNotFound) || !seen.keyless {
				err = h.openBody(ctx, one, f.caseID)
			}
		}
		if seen.shut = seen.shut || err != nil; err == nil {
			more, e := h.checkBody(ctx, l, one.body, seen)
			found, err = append(found, more...), e
		}
		switch untrue, ok := errors.AsType[*SealError](err); {
		case ok:
			found = append(found, untrue.problem())
		case errors.Is(err, audit.ErrFork):
			found = append(found, "leaves of entries are missing or damaged, of "+one.subject)
		case errors.Is(err, vault.ErrNotFound): // it is known to stay shut
		case err != nil:
			return nil, err
		}
	}
	return found, nil
}

// checkBody looks whether all that has to lead to a case does, and whether its cells and
// its history open.
func (h *heads) checkBody(ctx context.Context, l *leaves, b *body, seen *seenCases) (found []string, err error) {
	note := func(err error) error {
		untrue, ok := errors.AsType[*SealError](err)
		if ok {
			found, err = append(found, untrue.problem()), nil
		}
		return err
	}
	for _, one := range b.hints(h.sealer) {
		seen.names.add(one.set[:], one.item[:])
		to, err := h.leadsOf(ctx, one.set, selectNames+" AND item = $2", one.set[:], one.item[:])
		if err == nil && (len(to) != 1 || to[0] != one.to) {
			err = &SealError{"names", one.item.String()}
		}
		if err := note(err); err != nil {
			return nil, err
		}
	}
	for _, r := range b.refs() {
		called := h.cellName(b.Case, r.N)
		seen.cells.add(called[:], called[:])
		_, err := h.cell(ctx, b, r)
		if err := note(err); err != nil {
			return nil, err
		}
	}
	if err := note(h.checkPlaces(ctx, b)); err != nil {
		return nil, err
	}
	for n := uint64(1); n <= b.Entries; n++ {
		called := h.entryName(b.Case, n)
		seen.cells.add(called[:], called[:])
	}
	err = note(h.checkHistory(ctx, l, b))
	return found, err
}

// compare holds rows against the heads of their subjects, and the heads against
// them. Rows that stand together in a head are of one of the subjects.
func (h *heads) compare(ctx context.Context, subjects []string, rows []sealedRow) (found []string, err error) {
	of := map[string][]sealedRow{}
	for _, r := range rows {
		of[r.subject] = append(of[r.subject], r)
	}
	for _, subject := range subjects {
		head, err := h.of(ctx, subject)
		if untrue, ok := errors.AsType[*SealError](err); ok {
			found = append(found, untrue.problem())
			continue
		}
		if err != nil {
			return nil, err
		}
		seen := map[sealedTable]int{}
		for _, r := range of[subject] {
			if !head.has(r.seal) {
				found = append(found, (&SealError{sealedTable(r.seal[0]).String(), r.id}).problem())
				continue
			}
			seen[sealedTable(r.seal[0])]++
		}
		for t := range sealedTables {
			switch missing := head.count(t) - seen[t]; {
			case missing > 0:
				found = append(found, fmt.Sprintf("%d rows of %s are missing or changed, of %s", missing, t, subject))
			case missing < 0:
				found = append(found, fmt.Sprintf("%d rows of %s are there twice, of %s", -missing, t, subject))
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// lists looks at all status lists, one at a time.
func (c *sealCheck) lists(ctx context.Context) error {
	var numbers []uint16
	err := c.oneMoment(ctx, func(h *heads) ([]string, error) {
		rows, lists, err := h.rowsOfLists(ctx, h.q)
		if err != nil {
			return nil, err
		}
		numbers = lists
		return h.compare(ctx, []string{ofLists}, rows)
	})
	if err != nil {
		return err
	}
	for _, number := range numbers {
		err := c.oneMoment(ctx, func(h *heads) ([]string, error) {
			heads, err := h.ofList(ctx, number)
			if err != nil {
				return nil, err
			}
			rows, err := h.rowsOfList(ctx, h.q, number)
			if err != nil {
				return nil, err
			}
			subjects := make([]string, 0, len(heads))
			for _, one := range heads {
				subjects = append(subjects, one.subject)
			}
			for _, r := range rows {
				subjects = append(subjects, r.subject)
			}
			slices.Sort(subjects)
			return h.compare(ctx, slices.Compact(subjects), rows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *sealCheck) ofNetwork(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) ([]string, error) {
		rows, err := h.rowsOfNetwork(ctx, h.q)
		if err != nil {
			return nil, err
		}
		return h.compare(ctx, []string{ofNetwork, ofAgencies}, rows)
	})
}

// roster looks whether each change names the one before it, and whether the newest is
// the one that was written last. What they say is for package people.
func (c *sealCheck) roster(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) (found []string, err error) {
		of, err := h.of(ctx, ofRoster)
		if err != nil {
			return nil, err
		}
		newest, broken, err := h.newestChange(ctx, h.q)
		if err == nil && (broken > 0 || newest != of.only(sealedChange)) {
			found = append(found, (&SealError{sealedChange.String(), fmt.Sprint("from ", max(broken, 1), " on")}).problem())
		}
		return found, err
	})
}

// newestChange is the seal of the newest change of the roster, and the number of the
// first that does not name the one before it.
func (k *sealer) newestChange(ctx context.Context, q querier) (newest seal, broken int64, err error) {
	rows, err := q.QueryContext(ctx, "SELECT seq, change FROM roster_changes ORDER BY seq")
	if err != nil {
		return newest, 0, classify(err)
	}
	before, at := make([]byte, sha256.Size), int64(0)
	err = each(rows, func() error {
		var seq int64
		var change []byte
		if err := rows.Scan(&seq, &change); err != nil {
			return err
		}
		var says struct {
			Prev []byte `json:"prev"`
		}
		at++
		if broken == 0 && (seq != at || json.Unmarshal(change, &says) != nil || !bytes.Equal(says.Prev, before)) {
			broken = at
		}
		sum := sha256.Sum256(change)
		before, newest = sum[:], k.change(seq, change)
		return nil
	})
	return newest, broken, classify(err)
}

// drafts looks whether each draft that somebody is said to sign is one.
func (c *sealCheck) drafts(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) (found []string, err error) {
		all, err := list(ctx, h.q, h.scanDraft, selectDrafts)
		if err != nil {
			return nil, err
		}
		for _, to := range all {
			if _, err := h.caseKeys.ofCase(ctx, to.Case); c.loaded && errors.Is(err, vault.ErrNotFound) {
				continue // a case without its key is no surprise
			}
			d, there, err := h.leadsBack(ctx, to)
			if err != nil {
				return nil, err
			}
			if !there || d != nil && d.State.state() != credentials.Draft {
				found = append(found, (&SealError{"drafts", h.draftName(credentials.ID(to.ID)).String()}).problem())
			}
		}
		return found, nil
	})
}

func (c *sealCheck) size(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) ([]string, error) {
		rows, err := h.rowsOfLog(ctx, h.q)
		if err != nil {
			return nil, err
		}
		return h.compare(ctx, []string{ofLog}, rows)
	})
}

func (c *sealCheck) keyring(ctx context.Context) error {
	return c.oneMoment(ctx, func(h *heads) ([]string, error) {
		rows, err := h.rowsOfKeyring(ctx, h.q)
		if err != nil {
			return nil, err
		}
		return h.compare(ctx, []string{ofKeyring}, rows)
	})
}

// gather makes sealed rows of what a query finds.
func gather[T any](ctx context.Context, q querier, into *[]sealedRow, scan func(scanner) (T, error), make func(T) sealedRow, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return classify(err)
	}
	return classify(each(rows, func() error {
		one, err := scan(rows)
		if err == nil {
			*into = append(*into, make(one))
		}
		return err
	}))
}

// rowsOfLists reads the rows of the status lists themselves, and the numbers of those
// that they or their places name.
func (k *sealer) rowsOfLists(ctx context.Context, q querier) (rows []sealedRow, numbers []uint16, err error) {
	err = gather(ctx, q, &rows, scanList, func(l listRow) sealedRow {
		return sealedRow{ofLists, strconv.Itoa(int(l.number)), k.list(l)}
	}, selectLists)
	if err != nil {
		return nil, nil, err
	}
	numbers, err = list(ctx, q, func(row scanner) (n uint16, err error) { return n, row.Scan(&n) },
		fmt.Sprintf("SELECT number FROM status_lists UNION SELECT DISTINCT block / %d FROM status_entries ORDER BY 1", blocks))
	return rows, numbers, err
}

// rowsOfList reads the places of one status list, in the order of their blocks.
func (k *sealer) rowsOfList(ctx context.Context, q querier, number uint16) (rows []sealedRow, err error) {
	err = gather(ctx, q, &rows, k.scanPlace, func(p placeRow) sealedRow {
		return sealedRow{ofBlock(p.list, p.Index), p.id(), k.place(p)}
	}, selectPlaces+ofOneList+" ORDER BY block", blockOf(number, 0), blockOf(number, 0)+blocks)
	return rows, err
}

func (k *sealer) rowsOfNetwork(ctx context.Context, q querier) (rows []sealedRow, err error) {
	err = errors.Join(
		gather(ctx, q, &rows, scanNetwork, func(n networkRow) sealedRow { return sealedRow{ofNetwork, "1", k.network(n)} }, selectNetwork),
		gather(ctx, q, &rows, scanEpoch, func(e network.Epoch) sealedRow {
			return sealedRow{ofNetwork, strconv.FormatUint(uint64(e.ID), 10), k.epoch(e)}
		}, selectEpochs),
		gather(ctx, q, &rows, scanPack, func(p packRow) sealedRow { return sealedRow{ofNetwork, "1", k.pack(p.number, p.lists)} }, selectPack),
	)
	agencies, also := readKeys(ctx, q, selectAgencies+"ORDER BY id", selectKeys+"ORDER BY agency_id, place")
	for _, a := range agencies {
		rows = append(rows, sealedRow{ofAgencies, a.Agency, k.agency(a)})
	}
	return rows, errors.Join(err, also)
}

func (k *sealer) rowsOfKeyring(ctx context.Context, q querier) (rows []sealedRow, err error) {
	err = gather(ctx, q, &rows, scanBond, func(b Bond) sealedRow { return sealedRow{ofKeyring, b.ID, k.bond(b)} }, selectBond)
	return rows, err
}

// SealRows seals every row as it stands, and believes all that it finds. It is for a
// database that nobody has worked with yet, and for rows of the version before this
// one. Changes go on behind all that were counted.
func (db *DB) SealRows(ctx context.Context) error {
	if db.seals == nil {
		return ErrNoSealKey
	}
	err := db.alone(ctx, func(tx *sql.Tx) error {
		if err := db.withoutTimeouts(ctx, tx); err != nil {
			return err
		}
		return db.seals.sealAll(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("sqlstore: seal the rows: %w", err)
	}
	db.seals.forget()
	return nil
}

// forget has everything added up anew.
func (k *sealer) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded, k.number, k.total, k.distrust = false, 0, 0, nil
}

// sealAll seals every row in a transaction. Bodies stay as they are, but for the seals in
// them, and one that nobody can open stays as it is.
func (k *sealer) sealAll(ctx context.Context, tx *sql.Tx) error {
	h := &heads{sealer: k, q: tx, whole: true, read: true, found: map[string]*head{}}
	err := tx.QueryRowContext(ctx, "SELECT number FROM head_count").Scan(&h.count.number)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	k.mu.Lock()
	h.count.number = max(h.count.number, k.number) + spread // above all that was drawn
	k.mu.Unlock()
	for _, clear := range []string{"DELETE FROM heads WHERE subject NOT LIKE 'case/%'", "DELETE FROM head_count"} {
		if _, err := tx.ExecContext(ctx, clear); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO head_count (one, number, total, mac) VALUES (1, $1, $2, $3)", h.count.number, h.count.total, h.countMAC(h.count))
	if err != nil {
		return err
	}
	if err := h.sealCases(ctx, tx); err != nil {
		return err
	}
	return h.sealAll(ctx, tx)
}

// sealAll seals every row that is about no case behind a count that is there.
func (h *heads) sealAll(ctx context.Context, tx *sql.Tx) error {
	rows, err := h.rowsOfAll(ctx, tx)
	if err != nil {
		return err
	}
	lists, numbers, err := h.rowsOfLists(ctx, tx)
	if err != nil {
		return err
	}
	if err := h.sealSome(ctx, tx, append(rows, lists...)); err != nil {
		return err
	}
	for _, number := range numbers {
		if rows, err = h.rowsOfList(ctx, tx, number); err != nil {
			return err
		}
		if err := h.sealSome(ctx, tx, rows); err != nil {
			return err
		}
	}
	return nil
}

// sealCases gives all cases new numbers.
func (h *heads) sealCases(ctx context.Context, tx *sql.Tx) error {
	step, err := slotsAtOnce(ctx, tx)
	if err != nil {
		return err
	}
	for first := int64(0); first < slots; first += step {
		all, err := list(ctx, tx, func(row scanner) (*head, error) {
			one := &head{}
			return one, row.Scan(&one.subject, &one.slot, &one.content)
		}, "SELECT subject, slot, content FROM heads WHERE slot >= $1 AND slot < $2 ORDER BY slot, subject", first, first+step)
		if err != nil {
			return err
		}
		for _, one := range all {
			one.own = true
			h.found[one.subject] = one
			if len(one.content) == 0 {
				continue
			}
			f, err := h.openFront(one.content, one.subject)
			if err == nil {
				err = h.openBody(ctx, one, f.caseID)
			}
			if _, ok := errors.AsType[*SealError](err); err != nil && !ok && !errors.Is(err, vault.ErrNotFound) {
				return err
			}
		}
		if err := h.sealBodies(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// sealBodies writes the cases that were found.
func (h *heads) sealBodies(ctx context.Context, tx *sql.Tx) (err error) {
	for _, one := range h.found {
		one.seals = nil
	}
	if err := h.settle(ctx, tx); err != nil {
		return err
	}
	h.count, err = h.write(ctx, tx)
	clear(h.found)
	return err
}

// rowsOfAll reads what is about no case and no list.
func (h *heads) rowsOfAll(ctx context.Context, tx *sql.Tx) (all []sealedRow, err error) {
	for _, read := range []func(context.Context, querier) ([]sealedRow, error){
		h.rowsOfNetwork, h.rowsOfBoxed, h.rowsOfKeyring, h.rowsOfLog,
	} {
		rows, err := read(ctx, tx)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	newest, _, err := h.newestChange(ctx, tx)
	if newest != (seal{}) {
		all = append(all, sealedRow{ofRoster, ofRoster, newest})
	}
	return all, err
}

// sealSome writes the heads of some rows, which are all that their subjects have.
func (h *heads) sealSome(ctx context.Context, tx *sql.Tx, rows []sealedRow) (err error) {
	for _, r := range rows {
		if h.found[r.subject] == nil {
			h.found[r.subject] = &head{subject: r.subject, slot: slotOf(r.subject)}
		}
		h.found[r.subject].put(r.seal)
	}
	h.count, err = h.write(ctx, tx)
	clear(h.found)
	return err
}

// Counted is the number of the newest change of a sealed row. Asking for it adds up
// what there is.
func (db *DB) Counted(ctx context.Context) (number int64, err error) {
	if db.seals != nil {
		db.seals.toWrite() // while nobody writes: it waits for the one connection
	}
	err = db.believed(ctx, func(h *heads) error {
		if err := h.load(ctx, inSlot, slotOf(ofNetwork)); err != nil {
			return err
		}
		number = h.count.number
		return h.judge(ctx, slotOf(ofNetwork), slotOf(ofNetwork)+1)
	})
	return number, err
}
