package vault_test

import (
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/vault"
)

// TestAssigned is of hostile case 46: a colleague is told of a case what is told of an id
// that never was, until it was given to him, and again after; the console and a supervisor
// pass.
func TestAssigned(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	colleague := audit.Actor{ID: id(), Agency: w.worker.Agency, Role: "caseworker"}
	reads := map[string]func(by audit.Actor) error{
		"case":      func(by audit.Actor) error { _, err := w.Case(ctx, by, c.ID); return err },
		"case of":   func(by audit.Actor) error { _, err := w.CaseOf(ctx, by, d.ID); return err },
		"document":  func(by audit.Actor) error { _, err := w.ReadDocument(ctx, by, d.ID); return err },
		"page":      func(by audit.Actor) error { _, err := w.ReadPage(ctx, by, d.ID, 1); return err },
		"documents": func(by audit.Actor) error { _, err := w.Documents(ctx, by, c.ID); return err },
		"history":   func(by audit.Actor) error { _, err := w.History(ctx, by, c.ID); return err },
		"access":    func(by audit.Actor) error { _, err := w.Access(ctx, by, c.ID); return err },
		"answers":   func(by audit.Actor) error { return w.Answers(ctx, by, c.ID) },
		"grants":    func(by audit.Actor) error { _, err := w.Grants(ctx, by, c.ID); return err },
		"people":    func(by audit.Actor) error { _, err := w.People(ctx, by, c.ID); return err },
		"joined":    func(by audit.Actor) error { _, err := w.Joined(ctx, by, c.ID); return err },
		"copy": func(by audit.Actor) error {
			_, err := w.Copy(ctx, by, c.ID, vault.Handover{Card: id(), To: vault.ToHybrid})
			return err
		},
		"assign":   func(by audit.Actor) error { return w.Assign(ctx, by, c.ID, by.ID) },
		"findable": func(by audit.Actor) error { return w.SetFindable(ctx, by, c.ID, true) },
		"erase": func(by audit.Actor) error {
			_, err := w.Erase(ctx, audit.Actor{ID: by.ID, Agency: by.Agency, Role: by.Role}, c.ID)
			return err
		},
	}
	refused := func(who string, by audit.Actor) {
		t.Helper()
		for name, read := range reads {
			w.is(who+": "+name, read(by), vault.ErrNotFound)
		}
		own, his, err := w.Stands(ctx, by, c.ID)
		if w.ok(err); own != (by.Agency == c.Agency) || his {
			t.Errorf("%s: own %v, his %v", who, own, his)
		}
		if all, err := w.Cases(ctx, by, "", 10); err != nil || len(all) != 0 {
			t.Errorf("%s lists %d, %v", who, len(all), err)
		}
	}
	refused("a colleague", colleague)
	for _, role := range []string{"admin", "officer", "mission", "device", ""} {
		refused("another role", audit.Actor{ID: id(), Agency: w.worker.Agency, Role: role})
	}
	refused("another agency's supervisor", audit.Actor{ID: id(), Agency: w.second.Agency, Role: "supervisor"})
	refused("who has its id elsewhere", audit.Actor{ID: w.worker.ID, Agency: w.second.Agency, Role: "caseworker"})
	for _, role := range []string{"supervisor", "admin+supervisor", "console", "system"} {
		by := audit.Actor{ID: id(), Agency: w.worker.Agency, Role: role}
		w.is(role, reads["document"](by), nil)
		if all, err := w.Cases(ctx, by, "", 10); err != nil || len(all) != 1 {
			t.Errorf("%s lists %d, %v", role, len(all), err)
		}
	}

	w.ok(w.Assign(ctx, w.worker, c.ID, colleague.ID))
	w.is("given", reads["document"](colleague), nil)
	if all, err := w.Cases(ctx, colleague, "", 10); err != nil || len(all) != 1 || all[0].ID != c.ID {
		t.Errorf("given: %d are listed, %v", len(all), err)
	}
	w.ok(w.Unassign(ctx, colleague, c.ID, colleague.ID))
	refused("from whom it was taken", colleague)
	w.has(c.ID, "case.assigned", 1)
	w.has(c.ID, "case.unassigned", 1)
}

// TestAttendance is of hostile case 46: who was given card and code is on the case for
// twelve hours, gives it to nobody, and then it is a colleague's again.
func TestAttendance(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	duty := audit.Actor{ID: id(), Agency: w.worker.Agency, Role: "caseworker"}
	_, err := w.Attend(ctx, audit.Actor{ID: id(), Agency: w.second.Agency, Role: "supervisor"}, c.ID, id())
	w.is("of another agency", err, vault.ErrNotFound)
	until, err := w.Attend(ctx, duty, c.ID, id())
	if w.ok(err); !until.Equal(w.now.Add(12 * time.Hour)) {
		t.Errorf("until %v", until)
	}
	reads := func() error { _, err := w.Case(ctx, duty, c.ID); return err }
	w.is("attends", reads(), nil)
	w.is("gives it to herself", w.Assign(ctx, duty, c.ID, duty.ID), vault.ErrAttends)
	w.is("takes it from another", w.Unassign(ctx, duty, c.ID, w.worker.ID), vault.ErrAttends)
	w.now = w.now.Add(6 * time.Hour)
	if until, err = w.Attend(ctx, duty, c.ID, id()); err != nil || !until.Equal(w.now.Add(12*time.Hour)) {
		t.Errorf("again: until %v, %v", until, err)
	}
	w.now = w.now.Add(12*time.Hour - time.Second)
	w.is("to the last second", reads(), nil)
	w.now = w.now.Add(time.Second)
	w.is("and no longer", reads(), vault.ErrNotFound)
	if people, err := w.People(ctx, w.worker, c.ID); err != nil || len(people) != 1 {
		t.Errorf("%d work on it, %v", len(people), err)
	}
	w.ok(w.ForgetAttendances(ctx))
	if all, err := w.store.Assignments(ctx, c.ID); err != nil || len(all) != 1 {
		t.Errorf("%d rows are left, %v", len(all), err)
	}

	if until, err = w.Attend(ctx, w.worker, c.ID, id()); err != nil || !until.IsZero() {
		t.Errorf("who works on it anyway: until %v, %v", until, err)
	}
	w.now = w.now.Add(13 * time.Hour)
	if _, err := w.Case(ctx, w.worker, c.ID); err != nil {
		t.Errorf("who attended to her own case: %v", err)
	}
	w.has(c.ID, "case.attended", 3)
}

// TestTakenBack is of hostile case 46: from whom a case was taken, by a supervisor or by
// himself, has it no more with the holder's card and code, until somebody gives it to him
// again.
func TestTakenBack(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	boss := audit.Actor{ID: id(), Agency: w.worker.Agency, Role: "supervisor"}
	reads := func() error { _, err := w.Case(ctx, w.worker, c.ID); return err }
	attends := func() error { _, err := w.Attend(ctx, w.worker, c.ID, id()); return err }
	for _, by := range []audit.Actor{boss, w.worker} {
		w.ok(w.Unassign(ctx, by, c.ID, w.worker.ID))
		w.is("attends to what was taken from her", attends(), vault.ErrNotFound)
		w.now = w.now.Add(25 * time.Hour)
		w.ok(w.ForgetAttendances(ctx))
		w.is("and later", attends(), vault.ErrNotFound)
		w.is("reads it", reads(), vault.ErrNotFound)
		w.is("taken twice", w.Unassign(ctx, boss, c.ID, w.worker.ID), vault.ErrNotFound)
		if people, err := w.People(ctx, boss, c.ID); err != nil || len(people) != 0 {
			t.Errorf("%d work on it, %v", len(people), err)
		}
		w.ok(w.Assign(ctx, boss, c.ID, w.worker.ID))
		w.is("given again", reads(), nil)
	}
	duty := audit.Actor{ID: id(), Agency: w.worker.Agency, Role: "caseworker"}
	if _, err := w.Attend(ctx, duty, c.ID, id()); err != nil {
		t.Fatal(err)
	}
	w.ok(w.Unassign(ctx, w.worker, c.ID, duty.ID))
	_, err := w.Attend(ctx, duty, c.ID, id())
	w.is("an attendance that was taken", err, vault.ErrNotFound)
	w.has(c.ID, "case.attended", 1)

	// A supervisor works on it anyway; when she is none any more, it is taken from her still.
	w.ok(w.Assign(ctx, boss, c.ID, boss.ID))
	w.ok(w.Unassign(ctx, boss, c.ID, boss.ID))
	if until, err := w.Attend(ctx, boss, c.ID, id()); err != nil || !until.IsZero() {
		t.Errorf("a supervisor attends until %v, %v", until, err)
	}
	boss.Role = "caseworker"
	_, err = w.Attend(ctx, boss, c.ID, id())
	w.is("who supervised", err, vault.ErrNotFound)
	w.has(c.ID, "case.attended", 2)
	w.has(c.ID, "case.unassigned", 4)
}

// TestTakenMeanwhile: a case that is taken from somebody stays taken, whatever he does at
// the same moment: each of these has read his row before it was taken.
func TestTakenMeanwhile(t *testing.T) {
	boss := audit.Actor{ID: id(), Role: "supervisor"}
	for name, does := range map[string]func(w *world, caseID string) error{
		"attends": func(w *world, caseID string) error {
			_, err := w.Attend(w.Context(), w.worker, caseID, id())
			return err
		},
		"gives it to himself": func(w *world, caseID string) error { return w.Assign(w.Context(), w.worker, caseID, w.worker.ID) },
		"gives it to another": func(w *world, caseID string) error { return w.Assign(w.Context(), w.worker, caseID, id()) },
		"takes it from another": func(w *world, caseID string) error {
			return w.Unassign(w.Context(), w.worker, caseID, w.second.ID)
		},
	} {
		for reading := 1; reading <= 2; reading++ { // whether it is his, and what stands in his row
			w := newWorld(t)
			c := w.newCase()
			boss.Agency = w.worker.Agency
			w.ok(w.Assign(t.Context(), boss, c.ID, w.second.ID))
			read := 0
			w.store.assigned = func() {
				if read++; read == reading {
					w.ok(w.Unassign(t.Context(), boss, c.ID, w.worker.ID))
				}
			}
			w.is(name, does(w, c.ID), vault.ErrNotFound)
			if people, err := w.People(t.Context(), boss, c.ID); err != nil || len(people) != 1 || people[0].Person != w.second.ID {
				t.Errorf("%s, taken after reading %d: its people are %v, %v", name, reading, people, err)
			}
			if history, err := w.History(t.Context(), boss, c.ID); err != nil || len(history) != 3 {
				t.Errorf("%s: the history has %d entries, want that it was begun, given and taken, %v", name, len(history), err)
			}
		}
	}
}
