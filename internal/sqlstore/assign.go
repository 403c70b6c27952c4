package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/vault"
)

// Assigned returns the assignment of a person to a case.
func (v *Vault) Assigned(ctx context.Context, caseID, person string) (a vault.Assignment, err error) {
	err = v.reading(ctx, caseID, func(_ *heads, c *body) error {
		one := c.assigned(person)
		if one == nil {
			return vault.ErrNotFound
		}
		a = c.asAssignment(*one)
		return nil
	})
	return a, err
}

// Assignments returns those of a case.
func (v *Vault) Assignments(ctx context.Context, caseID string) (all []vault.Assignment, err error) {
	err = v.reading(ctx, caseID, func(_ *heads, c *body) error {
		all = nil
		for _, a := range c.Assigned {
			all = append(all, c.asAssignment(a))
		}
		slices.SortFunc(all, func(a, b vault.Assignment) int { return cmp.Compare(a.Person, b.Person) })
		return nil
	})
	return all, err
}

// Assign adds or replaces an assignment.
func (v *Vault) Assign(ctx context.Context, a vault.Assignment, now time.Time, on *vault.Assignment, entries ...audit.Entry) error {
	return v.inCase(ctx, a.Case, entries, func(_ *heads, c *body) error {
		if err := c.standsOn(on); err != nil {
			return err
		}
		c.forgetAssignments(now)
		c.assign(a)
		return nil
	})
}

// standsOn refuses what stands on an assignment that is another one by now.
func (b *body) standsOn(on *vault.Assignment) error {
	if on == nil {
		return nil
	}
	is := vault.Assignment{Case: on.Case, Person: on.Person}
	if a := b.assigned(on.Person); a != nil {
		is = b.asAssignment(*a)
	}
	if is != *on {
		return vault.ErrConflict
	}
	return nil
}

// Unassign marks an assignment as taken. It stays.
func (v *Vault) Unassign(ctx context.Context, a vault.Assignment, on *vault.Assignment, entries ...audit.Entry) error {
	return v.inCase(ctx, a.Case, entries, func(_ *heads, c *body) error {
		if err := c.standsOn(on); err != nil {
			return err
		}
		if is := c.assigned(a.Person); is == nil || is.Until == takenBack {
			return vault.ErrNotFound
		}
		c.assign(a)
		return nil
	})
}

// ForgetAssignments removes those that have ended. What was taken stays. It looks at all
// cases.
func (v *Vault) ForgetAssignments(ctx context.Context, now time.Time) error {
	var ended []string
	err := v.db.casesFrom(ctx, "", func(_ *heads, c *body) (bool, error) {
		if c.forgetAssignments(now) {
			ended = append(ended, c.Case)
		}
		return true, nil
	})
	for _, id := range ended {
		if err != nil {
			break
		}
		err = v.inCase(ctx, id, nil, func(_ *heads, c *body) error {
			c.forgetAssignments(now)
			return nil
		})
		if errors.Is(err, vault.ErrNotFound) { // it was erased meanwhile
			err = nil
		}
	}
	return err
}

// Join joins two cases.
func (v *Vault) Join(ctx context.Context, one vault.Joined, entries ...audit.Entry) error {
	return v.inCase(ctx, one.Case, entries, func(h *heads, c *body) error {
		other, err := h.openCase(ctx, one.Other)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.Joined, func(j caseJoined) bool { return j.Other == one.Other }) {
			return vault.ErrConflict
		}
		other.change()
		c.Joined = append(c.Joined, caseJoined{one.Other, one.By, toDay(one.Day)})
		other.Joined = append(other.Joined, caseJoined{one.Case, one.By, toDay(one.Day)})
		return nil
	})
}

// Joins returns the cases that one is joined with.
func (v *Vault) Joins(ctx context.Context, caseID string) (all []vault.Joined, err error) {
	err = v.reading(ctx, caseID, func(_ *heads, c *body) error {
		all = nil
		for _, j := range c.Joined {
			all = append(all, vault.Joined{Case: c.Case, Other: j.Other, By: j.By, Day: fromDay(j.Day)})
		}
		slices.SortFunc(all, func(a, b vault.Joined) int { return cmp.Compare(a.Other, b.Other) })
		return nil
	})
	return all, err
}
