package sqlstore

import (
	"cmp"
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

// Vault is cases, records, grants and openings: the vault.Store. What it keeps stands in
// the bodies of cases (casebody.go).
type Vault struct{ db *DB }

var _ vault.Store = (*Vault)(nil)

// Vault returns the store of cases and records.
func (db *DB) Vault() *Vault { return &Vault{db} }

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

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

// openCase returns the body of a case that there is and that is not being erased.
func (h *heads) openCase(ctx context.Context, id string) (*body, error) {
	c, err := h.caseOf(ctx, id)
	if err == nil && !c.open() {
		err = vault.ErrNotFound
	}
	return c, err
}

// recordOf finds a record, in the case that it belongs to. Where there is none it looks
// for a case all the same: absent.
func (h *heads) recordOf(ctx context.Context, id string) (*body, *caseRecord, error) {
	to, found, err := h.the(ctx, ofRecord, id)
	if err == nil && !found {
		err = h.absent(ctx, ofCase(id), vault.ErrNotFound)
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := h.caseOf(ctx, to.Case)
	if err != nil {
		return nil, nil, err
	}
	r := c.record(id)
	if r == nil {
		return nil, nil, &SealError{"names", id}
	}
	return c, r, nil
}

// inCase changes an open case, and appends the entries that tell about it.
func (v *Vault) inCase(ctx context.Context, id string, entries []audit.Entry, do func(h *heads, c *body) error) error {
	return v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		c, err := h.openCase(ctx, id)
		if err != nil {
			return err
		}
		c.change()
		return do(h, c)
	})
}

// CreateRecord adds a record with its first objects.
func (v *Vault) CreateRecord(ctx context.Context, r vault.Record, objects []vault.Object, places [][]byte, entries ...audit.Entry) error {
	if _, err := v.db.caseKeys.ofCase(ctx, r.Case); err != nil { // before anybody waits for this
		return err
	}
	err := v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		c, err := h.caseOf(ctx, r.Case)
		switch isCase := r.ID == r.Case; {
		case err != nil:
			return err
		case isCase && c.is():
			return vault.ErrConflict
		case isCase:
			c.Findable, c.gone = r.Findable, false
		case !c.open():
			return vault.ErrNotFound
		}
		c.change()
		c.Records = append(c.Records, caseRecord{ID: r.ID, Agency: r.Agency, Recipient: publicKey(r.Recipient), Day: toDay(r.Day), Places: places})
		own := &c.Records[len(c.Records)-1]
		for _, o := range objects {
			logged, err := h.hashOf(ctx, o.Entry, entries)
			if err != nil {
				return err
			}
			c.add(own, o, logged)
		}
		if r.Begins != "" {
			c.assign(vault.Assignment{Person: r.Begins, By: r.Begins})
		}
		return nil
	})
	if hasSuch(err, ofRecord) {
		return vault.ErrConflict
	}
	return err
}

// hashOf is the hash of the log's entry that commits to an object.
func (h *heads) hashOf(ctx context.Context, id string, entries []audit.Entry) (hash [32]byte, err error) {
	for _, e := range entries {
		if e.Name() == id {
			return e.Hash, nil
		}
	}
	return hash, errors.New("sqlstore: an object that no entry commits to")
}

// Record returns one record.
func (v *Vault) Record(ctx context.Context, id string) (r vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		c, own, err := h.recordOf(ctx, id)
		if err == nil {
			r = c.asRecord(*own)
		}
		return err
	})
	return r, err
}

// reading reads from the body of a case: an empty one where there is none.
func (v *Vault) reading(ctx context.Context, caseID string, read func(h *heads, c *body) error) error {
	return v.db.believed(ctx, func(h *heads) error {
		c, err := h.caseOf(ctx, caseID)
		if errors.Is(err, vault.ErrNotFound) { // it is known to stay shut
			c, err = &body{Case: caseID}, nil
		}
		if err != nil {
			return err
		}
		return read(h, c)
	})
}

// Records returns all records of a case, its own one first.
func (v *Vault) Records(ctx context.Context, caseID string) (all []vault.Record, err error) {
	err = v.reading(ctx, caseID, func(_ *heads, c *body) error {
		all = nil
		for _, r := range c.Records {
			all = append(all, c.asRecord(r))
		}
		slices.SortFunc(all, func(a, b vault.Record) int {
			if own := b.ID == caseID; own != (a.ID == caseID) {
				return map[bool]int{true: 1, false: -1}[own]
			}
			return cmp.Compare(a.ID, b.ID)
		})
		return nil
	})
	return all, err
}

// Cases returns an agency's cases, in the order of their names.
func (v *Vault) Cases(ctx context.Context, agency, after string, limit int) ([]vault.Record, error) {
	return v.casesIn(ctx, after, limit, func(c *body) bool { return c.record(c.Case).Agency == agency }, ofAgency, agency)
}

// CasesOf returns the cases of an agency that a person is assigned to.
func (v *Vault) CasesOf(ctx context.Context, agency, person string, now time.Time, after string, limit int) ([]vault.Record, error) {
	return v.casesIn(ctx, after, limit, func(c *body) bool {
		a := c.assigned(person)
		return a != nil && c.record(c.Case).Agency == agency && c.asAssignment(*a).Serves(now)
	}, ofPerson, agency, person)
}

// casesIn returns the next cases of a set that have something.
func (v *Vault) casesIn(ctx context.Context, after string, limit int, has func(*body) bool, of string, parts ...string) (all []vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		for from := after; ; {
			some, err := h.leadsBehind(ctx, from, limit, of, parts...)
			if err != nil {
				return err
			}
			for _, to := range some {
				from = to.Case
				c, err := h.caseOf(ctx, to.Case)
				if errors.Is(err, vault.ErrNotFound) { // it is known to stay shut
					continue
				}
				if err != nil {
					return err
				}
				if !c.is() {
					return &SealError{"names", to.Case}
				}
				if has(c) && len(all) < limit {
					all = append(all, c.asRecord(*c.record(c.Case)))
				}
			}
			if len(some) < limit || len(all) == limit {
				return nil
			}
		}
	})
	return all, err
}

// AddObject adds a version. There are no gaps, so that one that was removed is missed.
func (v *Vault) AddObject(ctx context.Context, o vault.Object, places [][]byte, entries ...audit.Entry) error {
	return v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		c, r, err := h.recordOf(ctx, o.Record)
		if err != nil {
			return err
		}
		if !c.open() {
			return vault.ErrNotFound
		}
		before := 0
		if newest := r.newest(o.Page); newest != nil {
			before = newest.Version
		}
		if o.Version != before+1 {
			return vault.ErrConflict
		}
		logged, err := h.hashOf(ctx, o.Entry, entries)
		if err != nil {
			return err
		}
		c.change()
		if c.add(r, o, logged); o.Page == 0 {
			r.Places = places
		}
		return nil
	})
}

// sealedOf is an object with what is sealed in it.
func (h *heads) sealedOf(ctx context.Context, c *body, r *caseRecord, one caseObject) (o vault.Object, err error) {
	if o = r.asObject(one); one.Blob == "" {
		o.Sealed, err = h.cell(ctx, c, one.Cell)
	}
	return o, err
}

// Object returns the newest version of a page.
func (v *Vault) Object(ctx context.Context, record string, page int) (o vault.Object, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		c, r, err := h.recordOf(ctx, record)
		if err != nil {
			return err
		}
		newest := r.newest(page)
		if newest == nil {
			return vault.ErrNotFound
		}
		o, err = h.sealedOf(ctx, c, r, *newest)
		return err
	})
	return o, err
}

// Objects returns the newest version of every page, without what is sealed.
func (v *Vault) Objects(ctx context.Context, record string) (all []vault.Object, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		_, r, err := h.recordOf(ctx, record)
		if errors.Is(err, vault.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, o := range r.Objects {
			if i+1 == len(r.Objects) || r.Objects[i+1].Page != o.Page {
				all = append(all, r.asObject(o))
			}
		}
		return nil
	})
	return all, err
}

// AllObjects returns the objects behind one of them, case by case. What no body says is
// found by the check of everything.
func (v *Vault) AllObjects(ctx context.Context, after vault.Object, limit int) (all []vault.Object, err error) {
	from := after.Case
	if from == "" && after.Record != "" {
		r, err := v.Record(ctx, after.Record)
		if errors.Is(err, vault.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		from = r.Case
	}
	err = v.db.casesFrom(ctx, from, func(h *heads, c *body) (more bool, err error) {
		var its []vault.Object
		slices.SortFunc(c.Records, func(a, b caseRecord) int { return cmp.Compare(a.ID, b.ID) })
		for i := range c.Records {
			r := &c.Records[i]
			for _, one := range r.Objects {
				if c.Case == from && cmp.Or(cmp.Compare(r.ID, after.Record), cmp.Compare(one.Page, after.Page), cmp.Compare(one.Version, after.Version)) <= 0 {
					continue
				}
				o, err := h.sealedOf(ctx, c, r, one)
				if _, harmed := errors.AsType[*SealError](err); err != nil && !harmed {
					return false, err
				}
				o.Case = c.Case
				if its = append(its, o); len(all)+len(its) == limit {
					all = append(all, its...)
					return false, nil
				}
			}
		}
		all = append(all, its...)
		return true, nil
	})
	return all, err
}

// SetFindable changes a case's consent and its places in the index.
func (v *Vault) SetFindable(ctx context.Context, caseID string, findable bool, places map[string][][]byte, entries ...audit.Entry) error {
	return v.inCase(ctx, caseID, entries, func(_ *heads, c *body) error {
		c.Findable = findable
		for i := range c.Records {
			c.Records[i].Places = places[c.Records[i].ID]
		}
		return nil
	})
}

// FindNumber returns the records at any of some places of the index. Where nothing stands
// a head is looked for as well.
func (v *Vault) FindNumber(ctx context.Context, places [][]byte) (all []vault.Record, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		for _, place := range places {
			looked := len(h.found)
			found, err := h.leads(ctx, ofNumber, string(place))
			if err != nil {
				return err
			}
			for _, to := range found {
				c, err := h.caseOf(ctx, to.Case)
				if err != nil {
					return err
				}
				r := c.record(to.ID)
				if r == nil || !slices.ContainsFunc(r.Places, func(p []byte) bool { return string(p) == string(place) }) {
					return &SealError{"names", to.ID}
				}
				if c.Findable {
					all = append(all, c.asRecord(*r))
				}
			}
			if looked < len(h.found) {
				continue
			}
			if err := h.absent(ctx, ofCase(string(place)), nil); err != nil {
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

// PlacesOf returns the places of a document in the index of numbers.
func (db *DB) PlacesOf(ctx context.Context, record string) (places [][]byte, err error) {
	err = db.believed(ctx, func(h *heads) error {
		_, r, err := h.recordOf(ctx, record)
		if err == nil {
			places = r.Places
		}
		return err
	})
	return places, err
}

// Elsewhere tells whether a document is known again in another case.
func (v *Vault) Elsewhere(ctx context.Context, record string) (elsewhere bool, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		elsewhere = false
		c, r, err := h.recordOf(ctx, record)
		if errors.Is(err, vault.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, place := range r.Same {
			known, err := h.leads(ctx, ofSame, string(place))
			if err != nil {
				return err
			}
			elsewhere = elsewhere || slices.ContainsFunc(known, func(to lead) bool { return to.Case != c.Case })
		}
		return nil
	})
	return elsewhere, err
}

// Share adds or replaces a grant, and the word that it stands on.
func (v *Vault) Share(ctx context.Context, s vault.Shared, w vault.Spoken, entries ...audit.Entry) error {
	given, err := toGrant(s)
	if err != nil {
		return err
	}
	return v.inCase(ctx, s.Case, entries, func(_ *heads, c *body) error {
		if old := c.grant(s.Record, s.Agency); old != nil {
			c.endWord(old.Word, vault.Replaced)
			*old = given
		} else {
			c.Grants = append(c.Grants, given)
		}
		if w.ID == "" {
			return nil
		}
		return c.say(w)
	})
}

// TakeBack removes a grant.
func (v *Vault) TakeBack(ctx context.Context, record, agency string, as vault.WordState, entries ...audit.Entry) error {
	return v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		c, _, err := h.recordOf(ctx, record)
		if err != nil {
			return err
		}
		g := c.grant(record, agency)
		if g == nil {
			return vault.ErrNotFound
		}
		c.change()
		c.endWord(g.Word, as)
		c.Grants = slices.DeleteFunc(c.Grants, func(g caseGrant) bool { return g.Record == record && g.Agency == agency })
		return nil
	})
}

// Words returns everything that the holder of a case said.
func (v *Vault) Words(ctx context.Context, caseID string) (all []vault.Spoken, err error) {
	err = v.reading(ctx, caseID, func(h *heads, c *body) error {
		all = nil
		for _, w := range c.Words {
			sealed, err := h.cell(ctx, c, w.Cell)
			if err != nil {
				return err
			}
			all = append(all, vault.Spoken{
				ID: w.ID, Case: caseID, Record: w.Record, Agency: w.Agency, Kind: vault.WordKind(w.Kind), State: vault.WordState(w.State), Sealed: sealed, Day: fromDay(w.Day),
			})
		}
		slices.SortFunc(all, func(a, b vault.Spoken) int { return cmp.Compare(a.ID, b.ID) })
		return nil
	})
	return all, err
}

// AddWord keeps a word that is for nobody else, and replaces the one of its kind. That she
// takes everything back ends all of these.
func (v *Vault) AddWord(ctx context.Context, w vault.Spoken, entries ...audit.Entry) error {
	return v.inCase(ctx, w.Case, entries, func(_ *heads, c *body) error {
		for _, old := range c.Words {
			if old.Agency == "" && (old.Kind == string(w.Kind) || w.Kind == vault.WordNone) {
				c.endWord(old.ID, vault.Replaced)
			}
		}
		return c.say(w)
	})
}

// EndWord says of a word in force that it was taken back.
func (v *Vault) EndWord(ctx context.Context, caseID, id string, entries ...audit.Entry) error {
	return v.inCase(ctx, caseID, entries, func(_ *heads, c *body) error {
		c.endWord(id, vault.TakenBack)
		return nil
	})
}

// Grant returns one grant.
func (v *Vault) Grant(ctx context.Context, record, agency string) (s vault.Shared, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		c, _, err := h.recordOf(ctx, record)
		if err != nil {
			return err
		}
		g := c.grant(record, agency)
		if g == nil {
			return vault.ErrNotFound
		}
		s = c.asShared(*g)
		return nil
	})
	return s, err
}

// Grants returns the grants of a case.
func (v *Vault) Grants(ctx context.Context, caseID string) (all []vault.Shared, err error) {
	err = v.reading(ctx, caseID, func(_ *heads, c *body) error {
		all = c.shared(func(caseGrant) bool { return true })
		return nil
	})
	return all, err
}

// GrantsTo returns the grants to an agency.
func (v *Vault) GrantsTo(ctx context.Context, agency string) (all []vault.Shared, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		found, err := h.leads(ctx, ofGranted, agency)
		if err != nil {
			return err
		}
		for _, to := range found {
			c, err := h.caseOf(ctx, to.Case)
			if err != nil {
				return err
			}
			g := c.grant(to.ID, agency)
			if g == nil {
				return &SealError{"names", to.ID}
			}
			all = append(all, c.asShared(*g))
		}
		slices.SortFunc(all, byRecord)
		return nil
	})
	return all, err
}

// Expired returns grants whose last day is over. It looks at all cases.
func (v *Vault) Expired(ctx context.Context, day time.Time, limit int) (all []vault.Shared, err error) {
	err = v.db.casesFrom(ctx, "", func(_ *heads, c *body) (bool, error) {
		all = append(all, c.shared(func(g caseGrant) bool { return g.Until < toDay(day) })...)
		return true, nil
	})
	slices.SortFunc(all, func(a, b vault.Shared) int { return cmp.Or(a.Until.Compare(b.Until), byRecord(a, b)) })
	return all[:min(limit, len(all))], err
}

// Open keeps openings, and counts them.
func (v *Vault) Open(ctx context.Context, opened []vault.Opened, most int, now time.Time, entries ...audit.Entry) error {
	return v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		for _, o := range opened {
			c, err := h.openCase(ctx, o.Case)
			if err != nil {
				return err
			}
			c.change()
			c.Openings = slices.DeleteFunc(c.Openings, func(o caseOpening) bool { return o.Expires < now.Unix() })
			if o.How != vault.ByTwo {
				if err := c.countOpening(o, most, toDay(now)); err != nil {
					return err
				}
			}
			one, err := toOpening(o)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(c.Openings, func(o caseOpening) bool { return o.ID == one.ID }) {
				return vault.ErrConflict
			}
			c.Openings = append(c.Openings, one)
		}
		return nil
	})
}

// countOpening counts an opening to its grant.
func (b *body) countOpening(o vault.Opened, most int, today int64) error {
	g := b.grant(o.Record, o.Agency)
	if g == nil || g.ID != o.Grant {
		return vault.ErrNotFound
	}
	if g.OpenedOn != today {
		g.Opened, g.OpenedOn = 0, today
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
	return nil
}

// Openings returns what is open to a person by a grant.
func (v *Vault) Openings(ctx context.Context, grant, person string, now time.Time) (all []vault.Opened, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		found, err := h.leads(ctx, ofOpened, grant, person)
		if err != nil {
			return err
		}
		for _, to := range found {
			c, err := h.caseOf(ctx, to.Case)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(c.Openings, func(o caseOpening) bool { return o.ID == to.ID })
			if i < 0 || c.Openings[i].Grant != grant || c.Openings[i].Person != person {
				return &SealError{"names", to.ID}
			}
			if o := c.Openings[i]; o.Expires > now.Unix() {
				all = append(all, o.asOpened(c.Case))
			}
		}
		slices.SortFunc(all, func(a, b vault.Opened) int { return cmp.Compare(a.ID, b.ID) })
		return nil
	})
	return all, err
}

// Append adds log entries.
func (v *Vault) Append(ctx context.Context, entries ...audit.Entry) error {
	return v.db.Log().Append(ctx, entries...)
}

// Tell appends the entries of a look-up. Where none is about a case a head without
// seals takes the place of that case's, so that the work is the same, in the same order.
func (v *Vault) Tell(ctx context.Context, entries ...audit.Entry) error {
	return v.db.change(ctx, entries, func(_ *sql.Tx, h *heads) error {
		if _, err := h.caseOf(ctx, noCase); err != nil {
			return err
		}
		found := false
		for _, e := range entries {
			if found = found || e.Case != noCase; e.Case == noCase {
				continue
			}
			if _, err := h.caseOf(ctx, e.Case); err != nil {
				return err
			}
		}
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

// BeginErasure writes the erasure journal, and closes the case. One that came back from a
// backup without its key cannot be closed, and takes nothing anyway.
func (v *Vault) BeginErasure(ctx context.Context, e vault.Erasure) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		c, err := h.caseOf(ctx, e.Case)
		switch {
		case shutOrDamaged(err):
			if _, err := h.keyless(ctx, e.Case); err != nil {
				return err
			}
		case err != nil:
			return err
		case slices.ContainsFunc(c.Records, func(r caseRecord) bool { return !slices.Contains(e.Records, r.ID) }):
			return vault.ErrConflict
		case c.open():
			c.Ending = true
			c.change()
		}
		return h.journal(ctx, tx, e)
	})
}

// Forget takes out of a case all that it says, while its key is there: nobody could tell
// afterwards what belonged to it. What its erasure still needs stays, under our own key.
func (v *Vault) Forget(ctx context.Context, e vault.Erasure) error {
	err := v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		c, err := h.caseOf(ctx, e.Case)
		if shutOrDamaged(err) {
			return h.forgetKeyless(ctx, tx, e)
		}
		if err != nil {
			return err
		}
		return h.forgetCase(ctx, tx, c)
	})
	if isSealError(err) {
		return fmt.Errorf("%w: %w", vault.ErrIntegrity, err)
	}
	return err
}

// shutOrDamaged tells that a body does not open.
func shutOrDamaged(err error) bool { return isSealError(err) || errors.Is(err, vault.ErrNotFound) }

// forgetCase puts a case under our own key, without anything about anybody, unless that
// was done.
func (h *heads) forgetCase(ctx context.Context, tx *sql.Tx, c *body) error {
	if !c.is() || c.Erasing != nil {
		return nil
	}
	for _, j := range c.Joined {
		other, err := h.caseOf(ctx, j.Other)
		if err != nil {
			return err
		}
		other.change()
		other.Joined = slices.DeleteFunc(other.Joined, func(j caseJoined) bool { return j.Other == c.Case })
	}
	if err := forgetIssued(ctx, tx, h, c); err != nil {
		return err
	}
	c.strip(c.count())
	return nil
}

// Erase removes every row of a case.
func (v *Vault) Erase(ctx context.Context, caseID string, entries ...audit.Entry) (done vault.Erased, err error) {
	err = v.db.change(ctx, entries, func(tx *sql.Tx, h *heads) error {
		c, err := h.caseOf(ctx, caseID)
		if err == nil {
			err = h.forgetCase(ctx, tx, c)
		}
		if err != nil {
			return err
		}
		if done = (vault.Erased{}); c.Erasing != nil {
			done = *c.Erasing
		}
		if err := forgetAnswers(ctx, tx, h.sealer, caseID); err != nil {
			return err
		}
		c.forget()
		return nil
	})
	if err != nil {
		return vault.Erased{}, err
	}
	v.db.caseKeys.drop(caseID)
	// What the write-ahead log still holds is ciphertext whose key is gone, so
	// that a reader who is in the way does not undo the erasure.
	if err := v.db.Truncate(ctx); err != nil && !errors.Is(err, ErrBusy) {
		return done, err
	}
	return done, nil
}
