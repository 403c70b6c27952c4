package vault

import (
	"context"
	"fmt"
	"iter"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
)

// Case is one person's place with one agency. It says nothing about her.
type Case struct {
	ID       string // also the id of the case's own record
	Agency   string // that opened it and owns all of it
	Findable bool   // the holder agrees to be told when her document's number is looked up
	Day      time.Time
}

func caseOf(r Record) Case { return Case{ID: r.ID, Agency: r.Agency, Findable: r.Findable, Day: r.Day} }

// CreateCase opens a case for the actor's agency, with a record of its own to
// which attestations and the history are sealed. It is assigned to who begins it.
func (v *Vault) CreateCase(ctx context.Context, by audit.Actor) (Case, error) {
	if err := requireActor(by); err != nil {
		return Case{}, err
	}
	id := newID()
	r, err := v.newRecord(ctx, by, id, id)
	if err != nil {
		return Case{}, err
	}
	r.Begins = by.ID
	entry, err := v.entry(r, by, "case.created", nil)
	if err == nil {
		err = v.store.CreateRecord(ctx, r, nil, nil, entry)
	}
	if err != nil {
		return Case{}, v.discardKeyFile(ctx, id, fmt.Errorf("vault: create a case: %w", err))
	}
	return caseOf(r), nil
}

// newRecord makes a record's key and keeps the key file, which must exist
// before the row that names it (docs/overview.md, Keys). For a document the
// caller sets CaseRecipient.
func (v *Vault) newRecord(ctx context.Context, by audit.Actor, id, caseID string) (Record, error) {
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		return Record{}, fmt.Errorf("vault: make a record key: %w", err)
	}
	file, err := v.newKeyFile(ctx, id, key, []string{by.Agency})
	if err != nil {
		return Record{}, err
	}
	if err := v.keyring.Create(ctx, id, file); err != nil {
		return Record{}, fmt.Errorf("vault: keep a key file: %w", err)
	}
	public := key.Recipient().String()
	recipients.remember(public, key.Recipient())
	return Record{ID: id, Case: caseID, Agency: by.Agency, Recipient: public, CaseRecipient: public, Day: v.today()}, nil
}

// discardKeyFile removes the key file of a record that did not come to be. If that is
// not possible either, the file opens nothing that exists.
func (v *Vault) discardKeyFile(ctx context.Context, record string, cause error) error {
	// The request may be over; the clearing up is still wanted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = v.keyring.Erase(ctx, record)
	return cause
}

// Case returns a case of the actor's agency that is one of his. For every other id,
// random or real, the answer is ErrNotFound.
func (v *Vault) Case(ctx context.Context, by audit.Actor, caseID string) (Case, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Case{}, err
	}
	return caseOf(r), nil
}

// CaseOf returns the case that a record belongs to, if it is one of the actor's.
// ErrNotFound for every other id.
func (v *Vault) CaseOf(ctx context.Context, by audit.Actor, record string) (string, error) {
	r, err := v.owned(ctx, by, record)
	return r.Case, err
}

// Owner returns the agency that keeps a case, for rooms that decide by it who
// may add to the case. Whoever asks gets the answer, so that it must not leave
// the service as it is. ErrNotFound if there is no such case.
func (v *Vault) Owner(ctx context.Context, caseID string) (agency string, err error) {
	if !isID(caseID) {
		return "", ErrNotFound
	}
	r, err := v.store.Record(ctx, caseID)
	switch {
	case err != nil:
		return "", fmt.Errorf("vault: find a case: %w", err)
	case r.Case != r.ID:
		return "", ErrNotFound
	}
	return r.Agency, nil
}

// Keeper returns the case that a record belongs to, and the agency that keeps it. As
// with Owner, whoever asks gets the answer. ErrNotFound if there is no such record.
func (v *Vault) Keeper(ctx context.Context, record string) (caseID, agency string, err error) {
	if !isID(record) {
		return "", "", ErrNotFound
	}
	r, err := v.store.Record(ctx, record)
	if err != nil {
		return "", "", fmt.Errorf("vault: find a record: %w", err)
	}
	return r.Case, r.Agency, nil
}

// Cases returns at most limit cases of the actor's agency that are his, with ids
// greater than after, in the order of the ids: no order in time can be seen.
func (v *Vault) Cases(ctx context.Context, by audit.Actor, after string, limit int) ([]Case, error) {
	if err := requireActor(by); err != nil {
		return nil, err
	}
	var rows []Record
	var err error
	limit = min(max(limit, 1), 1000)
	if oversees(by) {
		rows, err = v.store.Cases(ctx, by.Agency, after, limit)
	} else {
		rows, err = v.store.CasesOf(ctx, by.Agency, by.ID, v.now(), after, limit)
	}
	if err != nil {
		return nil, err
	}
	cases := make([]Case, len(rows))
	for i, r := range rows {
		cases[i] = caseOf(r)
	}
	return cases, nil
}

// Event is one entry of a case's history.
type Event struct {
	Day      time.Time
	Note     audit.Note
	Leaf     [32]byte // what stands in the public log
	Position int64    // of the leaf, or -1 while it waits to be published
}

// History returns everything that was done about a case, oldest first, for the
// holder to read with her agency. An entry that does not open, or that is not
// what was logged, is ErrIntegrity.
func (v *Vault) History(ctx context.Context, by audit.Actor, caseID string) ([]Event, error) {
	r, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return nil, err
	}
	var all []Event
	for e, err := range v.events(ctx, r) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// events opens the history of a case, one entry after the other.
func (v *Vault) events(ctx context.Context, r Record) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		entries, err := v.store.History(ctx, r.ID)
		if err != nil {
			yield(Event{}, err)
			return
		}
		for _, e := range entries {
			note, err := e.Read()
			if err != nil {
				yield(Event{}, fmt.Errorf("vault: history: %w", ErrIntegrity))
				return
			}
			if !yield(Event{Day: e.Day, Note: note, Leaf: e.Hash, Position: e.Position}, nil) {
				return
			}
		}
	}
}

// facts is what an entry says besides who and when. Nothing in it is text
// about a person.
type facts map[string]any

// entry makes the entry of one act about the case of r. Who, for which
// agency and in which minute is inside; outside is only the day.
func (v *Vault) entry(r Record, by audit.Actor, kind string, more facts) (audit.Entry, error) {
	body := facts{
		"at":     v.now().UTC().Format("2006-01-02T15:04Z"),
		"actor":  by.ID,
		"agency": by.Agency,
		"role":   by.Role,
		"record": r.ID,
	}
	for name, value := range more {
		body[name] = value
	}
	note, err := audit.NewNote(kind, body)
	if err != nil {
		return audit.Entry{}, err
	}
	return audit.NewEntry(r.Case, note, v.now())
}

// plainEntry makes an entry that belongs to no case and says nothing about
// anybody.
func (v *Vault) plainEntry(kind string, body facts) (audit.Entry, error) {
	note, err := audit.NewNote(kind, body)
	if err != nil {
		return audit.Entry{}, err
	}
	return audit.NewEntry("", note, v.now())
}
