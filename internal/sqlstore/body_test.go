package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// TestBodyTellsNothing: nobody without a key finds the id of a case, or tells which rows
// belong to it; and heads of cases are of one length until one outgrows it.
func TestBodyTellsNothing(t *testing.T) { everywhere(t, testBodyTellsNothing) }

func testBodyTellsNothing(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	a, b := aCase(t, db), aCase(t, db)
	if err := db.Vault().TakeBack(ctx, b.Record, b.Agency, vault.TakenBack, storetest.Entry(t, b.Case)); err != nil {
		t.Fatal(err)
	}
	heads, err := list(ctx, db.read, func(row scanner) (row2 headRow, err error) {
		return row2, row.Scan(&row2.subject, &row2.content)
	}, "SELECT subject, content FROM heads WHERE subject LIKE 'case/%'")
	if err != nil || len(heads) != 2 {
		t.Fatal(len(heads), err)
	}
	for _, h := range heads {
		for _, said := range []string{a.Case, b.Case, a.Agency, "protection"} {
			if bytes.Contains(h.content, []byte(said)) || h.subject.String == ofCase(said) {
				t.Error("a head says", said)
			}
		}
		if len(h.content) != len(heads[0].content) {
			t.Errorf("heads of %d and %d bytes", len(h.content), len(heads[0].content))
		}
	}
}

// TestCaseKey: without the key of a case its body is damage, where it is known to stay
// shut it is as if it were not, and it can be erased all the same.
func TestCaseKey(t *testing.T) { everywhere(t, testCaseKey) }

func testCaseKey(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	s, other := aCase(t, db), aCase(t, db)
	open, err := db.Credentials().OpenList(ctx)
	ok(t, err)
	drafted := draftAt(open, 1) // as it was when the backup was made
	drafted.Case = s.Case
	ok(t, db.Credentials().Reserve(ctx, drafted, nil, storetest.Entry(t, s.Case)))
	ok(t, db.Vault().Join(ctx, vault.Joined{Case: s.Case, Other: other.Case, By: "by", Day: storetest.Day(0)}, storetest.Entry(t, s.Case)))
	if all, err := db.Vault().Joins(ctx, other.Case); err != nil || len(all) != 1 {
		t.Fatalf("joined: %v, %v", all, err)
	}
	lost := func(ctx context.Context, id string) ([]byte, error) {
		if id == s.Case {
			return nil, vault.ErrNotFound
		}
		return storetest.CaseKey(ctx, id)
	}
	db.CaseKeys(lost)
	if _, err := db.Vault().Grant(ctx, s.Record, s.Agency); !errors.Is(err, trouble.ErrDamaged) {
		t.Errorf("without its key: %v", err)
	}
	if problems, err := db.CheckSeals(ctx); err != nil || len(problems) == 0 {
		t.Errorf("the check: %v, %q", err, problems)
	}
	if problems, err := db.CheckLoaded(ctx); err != nil || len(problems) > 0 {
		t.Errorf("the check of what came back from a backup: %v, %q", err, problems)
	}
	if err := db.BindKeyring(ctx, Bond{ID: "bond", Changes: 1}, []string{s.Case}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Vault().Grant(ctx, s.Record, s.Agency); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("known to stay shut: %v", err)
	}
	if _, err := db.Vault().Grant(ctx, other.Record, other.Agency); err != nil {
		t.Errorf("another one: %v", err)
	}
	e := vault.Erasure{Case: s.Case, Agency: "a", Records: []string{s.Case}, Day: storetest.Day(0), MAC: []byte("mac")}
	if err := errors.Join(db.Vault().BeginErasure(ctx, e), db.Vault().Forget(ctx, e)); err != nil {
		t.Errorf("begin to erase it: %v", err)
	}
	if _, err := db.Vault().Erase(ctx, s.Case, storetest.Entry(t, "")); err != nil {
		t.Errorf("erase it: %v", err)
	}
	if all, err := db.Vault().Joins(ctx, other.Case); err != nil || len(all) > 0 {
		t.Errorf("still joined: %v, %v", all, err)
	}
}

// TestNoCaseKey: a program that was not told who has the keys of cases says so.
func TestNoCaseKey(t *testing.T) {
	db := openDB(t)
	s := aCase(t, db)
	none := &DB{base: db.base, me: newInstance()}
	none.Seal([]byte(testSealKey))
	if _, err := none.Vault().Grant(t.Context(), s.Record, s.Agency); !errors.Is(err, ErrNoCaseKey) {
		t.Error(err)
	}
}

// TestLeads: what is named is found by its set, in an order that says nothing, and there
// is one of each.
func TestLeads(t *testing.T) { everywhere(t, testLeads) }

func testLeads(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	in := func(do func(tx *sql.Tx, h *heads) error) error { return db.sealed(ctx, do) }
	want := map[lead]bool{{"c1", "1"}: true, {"c2", "2"}: true, {"c3", ""}: true}
	err := in(func(tx *sql.Tx, h *heads) error {
		for to := range want {
			if err := h.addHint(ctx, tx, h.member(to, to.Case, "of", "agency")); err != nil {
				return err
			}
		}
		return h.addHint(ctx, tx, h.single(lead{"c1", "x"}, "one", "x"))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = in(func(tx *sql.Tx, h *heads) error { return h.addHint(ctx, tx, h.single(lead{"c2", "x"}, "one", "x")) })
	if !hasSuch(err, "one") || hasSuch(err, "two") {
		t.Errorf("twice: %v", err)
	}
	err = db.believed(ctx, func(h *heads) error {
		all, err := h.leads(ctx, "of", "agency")
		if err != nil || len(all) != len(want) || !want[all[0]] || !want[all[1]] || !want[all[2]] {
			t.Errorf("%v, %v", all, err)
		}
		behind, err := h.leadsBehind(ctx, all[0].Case, 1, "of", "agency")
		if err != nil || len(behind) != 1 || behind[0] != all[1] {
			t.Errorf("behind %v: %v, %v", all[0], behind, err)
		}
		if one, found, err := h.the(ctx, "one", "x"); err != nil || !found || one != (lead{"c1", "x"}) {
			t.Errorf("the one: %v, %v, %v", one, found, err)
		}
		_, found, err := h.the(ctx, "one", "y")
		if found {
			t.Error("what is not there is found")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.write.ExecContext(ctx, "UPDATE names SET box = (SELECT box FROM names ORDER BY box LIMIT 1)"); err != nil {
		t.Fatal(err)
	}
	err = db.believed(ctx, func(h *heads) error {
		_, err := h.leads(ctx, "of", "agency")
		return err
	})
	if !errors.Is(err, trouble.ErrDamaged) {
		t.Errorf("another's box: %v", err)
	}
}
