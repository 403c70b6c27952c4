package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
)

// attendance is how long somebody on duty works on a case to whom its holder has given
// her code.
const attendance = 12 * time.Hour

// overseers are the roles to which every case of their agency is open: whoever answers
// for what it signs, and what this service does for an agency by itself. Everybody else
// works on the cases that were assigned to him. TestRelations, in internal/httpapi,
// holds this to the table of rights.
var overseers = []string{"supervisor", "console", "system"}

func oversees(by audit.Actor) bool {
	return slices.ContainsFunc(by.Roles(), func(role string) bool { return slices.Contains(overseers, role) })
}

// relation finds a record, and tells how an actor stands to it: whether his agency keeps
// it (own), and whether it is one of his. A colleague to whom the case was not assigned
// takes the same way as somebody of another agency, and as everybody takes to a record
// that never was, which is the zero Record.
func (v *Vault) relation(ctx context.Context, by audit.Actor, id string) (r Record, own, his bool, err error) {
	if err := requireActor(by); err != nil {
		return Record{}, false, false, err
	}
	if !isID(id) {
		return Record{}, false, false, nil
	}
	if r, err = v.store.Record(ctx, id); err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, false, false, err
	}
	his = oversees(by)
	if !his {
		a, err := v.store.Assigned(ctx, cmp.Or(r.Case, id), by.ID) // also to what is not there: it takes as long
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Record{}, false, false, err
		}
		his = err == nil && a.Serves(v.now())
	}
	own = r.ID != "" && r.Agency == by.Agency
	return r, own, own && his, nil
}

// Stands tells how an actor stands to a case, for rooms that decide by it: whether his
// agency keeps it, and whether it is one of his. ErrNotFound if there is no such case.
func (v *Vault) Stands(ctx context.Context, by audit.Actor, caseID string) (own, his bool, err error) {
	r, own, his, err := v.relation(ctx, by, caseID)
	if err == nil && (r.ID == "" || r.ID != r.Case) {
		err = ErrNotFound
	}
	if err != nil {
		return false, false, err
	}
	return own, his, nil
}

// People lists who works on a case now.
func (v *Vault) People(ctx context.Context, by audit.Actor, caseID string) ([]Assignment, error) {
	if _, err := v.ownedCase(ctx, by, caseID); err != nil {
		return nil, err
	}
	all, err := v.store.Assignments(ctx, caseID)
	if err != nil {
		return nil, err
	}
	now := v.now()
	return slices.DeleteFunc(all, func(a Assignment) bool { return !a.Serves(now) }), nil
}

// Assign gives a case to somebody of the actor's agency, until it is taken back. That he
// works there, and on cases, has been decided by whoever calls. Who is on a case for some
// hours gives it to nobody (ErrAttends).
func (v *Vault) Assign(ctx context.Context, by audit.Actor, caseID, person string) error {
	return v.changePeople(ctx, by, caseID, "case.assigned", person, func(a Assignment, on *Assignment, entry audit.Entry) error {
		return v.store.Assign(ctx, a, v.now(), on, entry)
	})
}

// Unassign takes a case from somebody, with his next call: the holder's card and code give
// it to him no more, until somebody assigns him again. A case that nobody is assigned to
// is the supervisor's. ErrNotFound if it was not his.
func (v *Vault) Unassign(ctx context.Context, by audit.Actor, caseID, person string) error {
	return v.changePeople(ctx, by, caseID, "case.unassigned", person, func(a Assignment, on *Assignment, entry audit.Entry) error {
		a.Taken = true
		return v.store.Unassign(ctx, a, on, entry)
	})
}

// changePeople has the actor change who works on a case. He does so as a supervisor, or
// on his own row as it is until the very change (on).
func (v *Vault) changePeople(ctx context.Context, by audit.Actor, caseID, kind, person string, change func(a Assignment, on *Assignment, entry audit.Entry) error) error {
	return whileChanged(func() error {
		r, err := v.ownedCase(ctx, by, caseID)
		if err != nil {
			return err
		}
		var on *Assignment
		if !oversees(by) {
			a, err := v.store.Assigned(ctx, r.ID, by.ID)
			switch {
			case err != nil:
				return err
			case a.Taken:
				return ErrNotFound // a moment ago
			case !a.Until.IsZero():
				return ErrAttends
			}
			on = &a
		}
		entry, err := v.entry(r, by, kind, facts{"person": person})
		if err == nil {
			err = change(Assignment{Case: r.ID, Person: person, By: by.ID}, on, entry)
		}
		if err != nil {
			return fmt.Errorf("vault: change who works on a case: %w", err)
		}
		return nil
	})
}

// whileChanged does again what stands on a row that somebody has changed meanwhile.
func whileChanged(do func() error) error {
	err := do()
	for tries := 1; tries < 4 && errors.Is(err, ErrConflict); tries++ {
		err = do()
	}
	return err
}

// Attend assigns the actor for twelve hours to a case of his agency, whose holder gave him
// number and code of this card of hers. That she did has been decided by whoever calls. It
// is in her history like an opening. until is zero for somebody who works on it anyway.
// ErrNotFound for somebody from whom the case was taken, and who does not supervise.
func (v *Vault) Attend(ctx context.Context, by audit.Actor, caseID, card string) (until time.Time, err error) {
	err = whileChanged(func() error {
		until, err = v.attend(ctx, by, caseID, card)
		return err
	})
	return until, err
}

func (v *Vault) attend(ctx context.Context, by audit.Actor, caseID, card string) (until time.Time, err error) {
	r, own, _, err := v.relation(ctx, by, caseID)
	switch {
	case err != nil:
		return time.Time{}, err
	case !own || r.ID != r.Case:
		return time.Time{}, ErrNotFound
	}
	now := v.now().UTC().Truncate(time.Minute)
	a := Assignment{Case: r.ID, Person: by.ID, By: by.ID, Until: now.Add(attendance)}
	was, err := v.store.Assigned(ctx, r.ID, by.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		was = Assignment{Case: r.ID, Person: by.ID}
	case err != nil:
		return time.Time{}, err
	case was.Taken && oversees(by):
		a = was // it is open to her all the same, and she attends
	case was.Taken:
		return time.Time{}, ErrNotFound // whatever she printed or wrote down while it was hers
	case was.Until.IsZero():
		a = was
	}
	said := facts{"card": card}
	if !a.Until.IsZero() {
		said["until"] = a.Until.Format("2006-01-02T15:04Z")
	}
	entry, err := v.entry(r, by, "case.attended", said)
	if err == nil {
		err = v.store.Assign(ctx, a, now, &was, entry)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("vault: attend to a case: %w", err)
	}
	return a.Until, nil
}

// Join says of two cases of the actor's agency that they are about one person, who gave
// number and code of this card of hers; that she did has been decided by whoever calls.
// Both stay as they are, and each names the other. Saying it again changes nothing.
func (v *Vault) Join(ctx context.Context, by audit.Actor, caseID, other, card string) error {
	one, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return err
	}
	two, err := v.ownedCase(ctx, by, other)
	switch {
	case err != nil:
		return err
	case one.ID == two.ID:
		return invalid.One("/case", invalid.CodeNotAllowed, "is another case")
	}
	entry, err := v.entry(one, by, "case.joined", facts{"with": two.ID, "card": card})
	if err != nil {
		return err
	}
	also, err := v.entry(two, by, "case.joined", facts{"with": one.ID, "card": card})
	if err != nil {
		return err
	}
	err = v.store.Join(ctx, Joined{Case: one.ID, Other: two.ID, By: by.ID, Day: v.today()}, entry, also)
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("vault: join two cases: %w", err)
	}
	return nil
}

// Joined lists the cases that are joined with one.
func (v *Vault) Joined(ctx context.Context, by audit.Actor, caseID string) ([]string, error) {
	if _, err := v.ownedCase(ctx, by, caseID); err != nil {
		return nil, err
	}
	all, err := v.store.Joins(ctx, caseID)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, j := range all {
		ids[i] = j.Other
	}
	return ids, nil
}

// ForgetAttendances removes the assignments that have ended. It is for a timer.
func (v *Vault) ForgetAttendances(ctx context.Context) error {
	if err := v.store.ForgetAssignments(ctx, v.now()); err != nil {
		return fmt.Errorf("vault: forget who attended: %w", err)
	}
	return nil
}
