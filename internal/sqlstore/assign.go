package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/vault"
)

const (
	selectAssignments = "SELECT a.case_id, a.person, a.assigned_by, a.until FROM assignments a "
	selectJoined      = "SELECT case_id, other_id, joined_by, day FROM joined_cases "
)

func scanAssignment(row scanner) (a vault.Assignment, err error) {
	var until int64
	err = row.Scan(&a.Case, &a.Person, &a.By, &until)
	switch until {
	case taken:
		a.Taken = true
	case 0: // for good
	default:
		a.Until = time.Unix(until, 0).UTC()
	}
	return a, err
}

func scanJoined(row scanner) (j vault.Joined, err error) {
	var day int64
	err = row.Scan(&j.Case, &j.Other, &j.By, &day)
	j.Day = fromDay(day)
	return j, err
}

// taken stands in a row instead of its end when the case was taken from that person.
const taken = -1

// untilOf is how a row says until when.
func untilOf(a vault.Assignment) int64 {
	switch {
	case a.Taken:
		return taken
	case a.Until.IsZero():
		return 0
	default:
		return a.Until.Unix()
	}
}

// assignmentsWhere reads assignments and holds each against its case.
func assignmentsWhere(ctx context.Context, q querier, h *heads, where string, args ...any) ([]vault.Assignment, error) {
	all, err := list(ctx, q, scanAssignment, selectAssignments+where, args...)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		of, err := h.of(ctx, ofCase(a.Case))
		if err != nil {
			return nil, err
		}
		if !of.has(h.assignment(a)) {
			return nil, &SealError{sealedAssigned.String(), a.Case}
		}
	}
	return all, nil
}

// Assigned returns the assignment of a person to a case.
func (v *Vault) Assigned(ctx context.Context, caseID, person string) (a vault.Assignment, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err := assignmentsWhere(ctx, h.q, h, "WHERE a.case_id = $1 AND a.person = $2", caseID, person)
		if err == nil && len(all) != 1 {
			err = h.absent(ctx, ofCase(caseID), vault.ErrNotFound)
		}
		if err == nil {
			a = all[0]
		}
		return err
	})
	return a, err
}

// Assignments returns those of a case.
func (v *Vault) Assignments(ctx context.Context, caseID string) (all []vault.Assignment, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = assignmentsWhere(ctx, h.q, h, "WHERE a.case_id = $1 ORDER BY a.person", caseID)
		return err
	})
	return all, err
}

// CasesOf returns the cases of an agency that a person is assigned to, by id.
func (v *Vault) CasesOf(ctx context.Context, agency, person string, now time.Time, after string, limit int) (all []vault.Record, err error) {
	const his = "a.person = $2 AND (a.until = 0 OR a.until > $3) AND a.case_id > $4"
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = recordsWhere(ctx, h.q, h,
			"JOIN assignments a ON a.case_id = r.id WHERE r.agency = $1 AND r.id = r.case_id AND "+his+" ORDER BY r.id LIMIT $5",
			agency, person, now.Unix(), after, limit)
		if err != nil || len(all) == 0 {
			return err
		}
		given, err := assignmentsWhere(ctx, h.q, h, "WHERE a.person = $1 AND a.case_id >= $2 AND a.case_id <= $3", person, all[0].ID, all[len(all)-1].ID)
		if err != nil {
			return err
		}
		believed := map[string]bool{}
		for _, a := range given {
			believed[a.Case] = a.Serves(now)
		}
		for _, r := range all {
			if !believed[r.ID] { // it was taken back between the two statements
				return errAgain
			}
		}
		return nil
	})
	return all, err
}

// Assign adds or replaces an assignment.
func (v *Vault) Assign(ctx context.Context, a vault.Assignment, now time.Time, on *vault.Assignment, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := openCase(ctx, tx, h, a.Case); err != nil {
			return err
		}
		if err := standsOn(ctx, tx, h, on); err != nil {
			return err
		}
		if err := unassign(ctx, tx, h, "WHERE a.case_id = $1 AND (a.person = $2 OR a.until > 0 AND a.until <= $3)", a.Case, a.Person, now.Unix()); err != nil {
			return err
		}
		if err := assign(ctx, tx, h, a); err != nil {
			return err
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// standsOn refuses what stands on a row that is another one by now.
func standsOn(ctx context.Context, tx *sql.Tx, h *heads, on *vault.Assignment) error {
	if on == nil {
		return nil
	}
	is := vault.Assignment{Case: on.Case, Person: on.Person}
	all, err := assignmentsWhere(ctx, tx, h, "WHERE a.case_id = $1 AND a.person = $2", on.Case, on.Person)
	if err == nil && len(all) == 1 {
		is = all[0]
	}
	if err == nil && is != *on {
		err = vault.ErrConflict
	}
	return err
}

// assign writes an assignment that is not there.
func assign(ctx context.Context, tx *sql.Tx, h *heads, a vault.Assignment) error {
	of, err := h.of(ctx, ofCase(a.Case))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO assignments (case_id, person, assigned_by, until) VALUES ($1, $2, $3, $4)",
		a.Case, a.Person, a.By, untilOf(a))
	if err != nil {
		return fmt.Errorf("sqlstore: assign: %w", err)
	}
	of.put(h.assignment(a))
	return nil
}

// unassign removes assignments, if there are any.
func unassign(ctx context.Context, tx *sql.Tx, h *heads, where string, args ...any) error {
	all, err := assignmentsWhere(ctx, tx, h, where, args...)
	if err != nil {
		return err
	}
	for _, a := range all {
		of, err := h.of(ctx, ofCase(a.Case))
		if err != nil {
			return err
		}
		if err := of.take(h.assignment(a), a.Case); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM assignments WHERE case_id = $1 AND person = $2", a.Case, a.Person); err != nil {
			return fmt.Errorf("sqlstore: unassign: %w", err)
		}
	}
	return nil
}

// Unassign marks an assignment as taken. Its row stays.
func (v *Vault) Unassign(ctx context.Context, a vault.Assignment, on *vault.Assignment, entries ...audit.Entry) error {
	const its = "WHERE a.case_id = $1 AND a.person = $2"
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		if err := openCase(ctx, tx, h, a.Case); err != nil {
			return err
		}
		if err := standsOn(ctx, tx, h, on); err != nil {
			return err
		}
		all, err := assignmentsWhere(ctx, tx, h, its, a.Case, a.Person)
		if err == nil && (len(all) == 0 || all[0].Taken) {
			err = vault.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := unassign(ctx, tx, h, its, a.Case, a.Person); err != nil {
			return err
		}
		if err := assign(ctx, tx, h, a); err != nil {
			return err
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// ForgetAssignments removes those that have ended. What was taken stays.
func (v *Vault) ForgetAssignments(ctx context.Context, now time.Time) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		return unassign(ctx, tx, h, "WHERE a.until > 0 AND a.until <= $1", now.Unix())
	})
}

// Join joins two cases.
func (v *Vault) Join(ctx context.Context, one vault.Joined, entries ...audit.Entry) error {
	return v.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		for _, j := range []vault.Joined{one, one.Turned()} {
			if err := openCase(ctx, tx, h, j.Case); err != nil {
				return err
			}
			of, err := h.of(ctx, ofCase(j.Case))
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "INSERT INTO joined_cases (case_id, other_id, joined_by, day) VALUES ($1, $2, $3, $4)",
				j.Case, j.Other, j.By, toDay(j.Day))
			if isTaken(err) {
				return vault.ErrConflict
			}
			if err != nil {
				return fmt.Errorf("sqlstore: join two cases: %w", err)
			}
			of.put(h.joined(j))
		}
		return v.db.appendEntries(ctx, tx, h, entries...)
	})
}

// Joins returns the cases that one is joined with.
func (v *Vault) Joins(ctx context.Context, caseID string) (all []vault.Joined, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all, err = joinedWhere(ctx, h.q, h, "WHERE case_id = $1 ORDER BY other_id", caseID)
		return err
	})
	return all, err
}

func joinedWhere(ctx context.Context, q querier, h *heads, where string, args ...any) ([]vault.Joined, error) {
	all, err := list(ctx, q, scanJoined, selectJoined+where, args...)
	if err != nil {
		return nil, err
	}
	for _, j := range all {
		of, err := h.of(ctx, ofCase(j.Case))
		if err != nil {
			return nil, err
		}
		if !of.has(h.joined(j)) {
			return nil, &SealError{sealedJoined.String(), j.Case}
		}
	}
	return all, nil
}

// forgetJoins removes both halves of what an erased case was joined with.
func forgetJoins(ctx context.Context, tx *sql.Tx, h *heads, caseID string) error {
	all, err := joinedWhere(ctx, tx, h, "WHERE case_id = $1 OR other_id = $1", caseID)
	if err != nil {
		return err
	}
	for _, j := range all {
		of, err := h.of(ctx, ofCase(j.Case))
		if err != nil {
			return err
		}
		if err := of.take(h.joined(j), j.Case); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM joined_cases WHERE case_id = $1 OR other_id = $1", caseID)
	if err != nil {
		return fmt.Errorf("sqlstore: part two cases: %w", err)
	}
	return nil
}
