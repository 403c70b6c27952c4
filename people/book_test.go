package people_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// office is a network whose people have software passkeys.
type office struct {
	*peopletest.House
	t     *testing.T
	db    string
	store *sqlstore.DB
	first string
	now   time.Time
}

func newOffice(t *testing.T, demo bool) *office {
	t.Helper()
	o := &office{t: t, db: filepath.Join(t.TempDir(), "safeconduct.db"), now: time.Now()}
	var err error
	o.store, err = sqlstore.Open(t.Context(), o.db)
	o.ok(err)
	t.Cleanup(func() { _ = o.store.Close() })
	o.ok(storetest.Seal(t.Context(), o.store))
	passkeys := peopletest.Passkeys(t)
	o.House = peopletest.Found(t, o.another(passkeys), passkeys, strings.Repeat("5eed", 8), demo, o.now)
	o.first = o.First
	return o
}

// another opens the same roster as another process would.
func (o *office) another(passkeys *passkey.RelyingParty) *people.Roster {
	o.t.Helper()
	r, err := people.New(people.Config{Store: o.store.People(), Checker: passkey.Checker{RelyingParty: passkeys}, Now: func() time.Time { return o.now }})
	o.ok(err)
	return r
}

func (o *office) ok(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) agency(by ...string) string {
	o.t.Helper()
	id := id(strings.Repeat("a", len(o.Keys)+2))
	o.Agency(nil, roster.Agency{ID: id, Name: "Made-up House", Class: string(network.NGO), Country: "KHM", Desk: "+855"}, by...)
	return id
}

func TestFromTheFoundingOn(t *testing.T) {
	o := newOffice(t, true)
	ngo := o.agency(o.first)
	s1, s2 := o.Person(ngo, people.Supervisor, o.first), o.Person(ngo, people.Supervisor, o.first)
	o.Do(roster.DoCloseFounding, "", &roster.CloseFounding{}, o.first, s1)

	// A program is let in by two, and its token works on every replica at once.
	p, secret := o.Program(ngo, people.Caseworker, s1, s2)
	other := o.another(o.Passkeys)
	by, err := other.Authenticate(t.Context(), secret)
	o.ok(err)
	if by != (audit.Actor{ID: p.ID, Agency: ngo, Role: "caseworker"}) {
		t.Errorf("the program is %q of %q", by.Role, by.Agency)
	}
	// It asks for nothing that its role may not, and agrees to nothing.
	_, err = o.Ask(t.Context(), by, roster.DoAddPerson, ngo, &roster.AddPerson{Person: people.NewPerson(ngo, "x", people.Caseworker)})
	wantErr(t, "a caseworker's program asks", err, people.ErrForbidden)
	q, err := o.Ask(t.Context(), o.Actor(s1), roster.DoRemoveProgram, ngo, &roster.RemoveProgram{ID: p.ID})
	o.ok(err)
	_, err = o.Agree(t.Context(), by, q.Act.ID, o.Proof(q.Act, s1))
	wantErr(t, "a program agrees", err, people.ErrNotFound)
	_, err = o.Agree(t.Context(), o.Actor(s1), q.Act.ID, o.Proof(q.Act, s1))
	o.ok(err)
	_, err = other.Authenticate(t.Context(), secret)
	wantErr(t, "a program that was removed", err, people.ErrUnauthenticated)

	// Sessions of somebody whose roles change are over, everywhere.
	o.now = o.now.Add(time.Minute)
	third := o.Person(ngo, people.Admin, s1, s2)
	o.Do(roster.DoChangePerson, ngo, &roster.ChangePerson{ID: s2, Roles: []people.Role{people.Caseworker}, Handle: "desk-2"}, s1, third)
	who, from, err := other.Person(t.Context(), s2)
	o.ok(err)
	if who.Role != "caseworker" || from.Unix() != o.now.Unix() {
		t.Errorf("role %q, sessions from %s", who.Role, from)
	}
}

// TestRootAndOne: an act that the root signs with people waits for both, and is done when
// both are there.
func TestRootAndOne(t *testing.T) {
	o := newOffice(t, false)
	ask := func() (people.Request, error) {
		return o.AskByRoot(t.Context(), roster.DoReopenFounding, &roster.ReopenFounding{Until: o.now.Add(24 * time.Hour).Unix()})
	}
	_, err := ask()
	wantErr(t, "while founding is open", err, people.ErrConflict)
	o.now = o.now.Add(25 * time.Hour)
	_, err = o.WaitsForRoot(t.Context(), roster.DoReopenFounding)
	wantErr(t, "before it was asked", err, people.ErrNotFound)
	_, err = ask()
	o.ok(err)
	q, err := o.WaitsForRoot(t.Context(), roster.DoReopenFounding)
	o.ok(err)
	_, err = o.Countersign(t.Context(), q, o.Root)
	wantErr(t, "nobody has agreed", err, roster.ErrNotAgreed)
	q, err = o.Agree(t.Context(), o.Actor(o.first), q.Act.ID, o.Proof(q.Act, o.first))
	o.ok(err)
	if q.State != people.Waits {
		t.Errorf("one person alone made it %s", q.State)
	}
	_, err = o.Countersign(t.Context(), q, func([]byte) ([]byte, error) { return []byte("another signature"), nil })
	wantErr(t, "another key than the root", err, roster.ErrProof)
	q, err = o.Countersign(t.Context(), q, o.Root)
	o.ok(err)
	if s, err := o.State(t.Context()); err != nil || q.State != people.Done || q.Change != s.Seq || !s.Founding(o.now.Unix()) || s.Reopened == 0 {
		t.Errorf("%s as change %d, %v; founding is not open again", q.State, q.Change, err)
	}
}

// TestProgramsSeeWhatTheyManage: a program is shown what its role may manage, takes back
// only what it asked itself, and is never one of those who agree.
func TestProgramsSeeWhatTheyManage(t *testing.T) {
	o := newOffice(t, true)
	ngo := o.agency(o.first)
	actor := func(agency string, role people.Role) audit.Actor {
		p, _ := o.Program(agency, role, o.first)
		return audit.Actor{ID: p.ID, Agency: agency, Role: string(role)}
	}
	operator, supervisor, worker := actor("", people.Operator), actor(ngo, people.Supervisor), actor(ngo, people.Caseworker)
	q, err := o.Ask(t.Context(), operator, roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: ngo})
	o.ok(err)
	inside, err := o.Ask(t.Context(), supervisor, roster.DoAddPerson, ngo, &roster.AddPerson{
		Person: people.NewPerson(ngo, "desk-7", people.Caseworker), Link: roster.Link{Hash: make([]byte, 32), Until: o.now.Add(time.Hour).Unix()},
	})
	o.ok(err)
	for _, c := range []struct {
		name string
		by   audit.Actor
		id   string
		want error
	}{
		{"an operator's of a suspension", actor("", people.Operator), q.Act.ID, nil},
		{"an operator's of what an agency asks", operator, inside.Act.ID, nil},
		{"a supervisor's of its own", supervisor, inside.Act.ID, nil},
		{"a supervisor's of the network's", supervisor, q.Act.ID, people.ErrNotFound},
		{"a caseworker's", worker, inside.Act.ID, people.ErrNotFound},
	} {
		_, err := o.Request(t.Context(), c.by, c.id)
		if c.want == nil {
			o.ok(err)
			continue
		}
		wantErr(t, c.name, err, c.want)
	}
	wantErr(t, "another program takes it back", o.Withdraw(t.Context(), actor("", people.Operator), q.Act.ID), people.ErrForbidden)
	o.ok(o.Withdraw(t.Context(), operator, q.Act.ID))

	// Who runs the network, and whose passkeys are replaced, people ask for themselves.
	link, _ := o.NewLink()
	_, err = o.Ask(t.Context(), operator, roster.DoRecoverPerson, "", &roster.RecoverPerson{ID: o.first, Link: link})
	wantErr(t, "an operator's program asks to recover the operator", err, people.ErrForbidden)
	_, err = o.Ask(t.Context(), operator, roster.DoChangePerson, "", &roster.ChangePerson{ID: o.first, Roles: []people.Role{people.Auditor, people.Operator}, Handle: "x"})
	wantErr(t, "it asks for other roles", err, people.ErrForbidden)
	for _, role := range []people.Role{people.Operator, people.Auditor} {
		_, err = o.Ask(t.Context(), operator, roster.DoAddPerson, "", &roster.AddPerson{Person: people.NewPerson("", "op-9", role), Link: link})
		wantErr(t, "it asks for one more", err, people.ErrForbidden)
	}

	// More cards an agency asks for itself; a caseworker's program does not.
	more := &roster.RaiseQuota{Quota: roster.Quota{Agency: ngo, Event: "buses", Cards: 10, Until: o.now.Add(time.Hour).Unix()}}
	_, err = o.Ask(t.Context(), worker, roster.DoRaiseQuota, ngo, more)
	wantErr(t, "a caseworker's program asks for cards", err, people.ErrForbidden)
	_, err = o.Ask(t.Context(), o.Actor(o.Person(ngo, people.Supervisor, o.first)), roster.DoRaiseQuota, ngo, more)
	o.ok(err)
}

// TestApprovals is hostile cases 48, 49 and 50.
func TestApprovals(t *testing.T) {
	o := newOffice(t, true)
	ngo, second := o.agency(o.first), ""
	s1, s2, worker := o.Person(ngo, people.Supervisor, o.first), o.Person(ngo, people.Supervisor, o.first), o.Person(ngo, people.Caseworker, o.first)
	second = o.agency(o.first)
	stranger := o.Person(second, people.Supervisor, o.first)
	o.Do(roster.DoCloseFounding, "", &roster.CloseFounding{}, o.first, s1)
	ask := func() people.Request {
		link, _ := o.NewLink()
		q, err := o.Ask(t.Context(), o.Actor(s1), roster.DoAddPerson, ngo, &roster.AddPerson{Person: people.NewPerson(ngo, "desk-9", people.Caseworker), Link: link})
		o.ok(err)
		return q
	}
	agree := func(q people.Request, person string, p approval.Proof) (people.Request, error) {
		return o.Agree(t.Context(), o.Actor(person), q.Act.ID, p)
	}
	t.Run("one that cannot be the last", func(t *testing.T) {
		q, err := o.Ask(t.Context(), o.Actor(o.first), roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: roster.Agency{
			ID: id("a9"), Name: "Mill", Class: "NGO", Country: "KHM", Desk: "+855", Kinds: []string{},
		}})
		o.ok(err)
		_, err = agree(q, s1, o.Proof(q.Act, s1))
		o.ok(err)
		_, err = agree(q, stranger, o.Proof(q.Act, stranger))
		wantErr(t, "two agencies, and no operator", err, approval.ErrRefused)
		q, err = agree(q, o.first, o.Proof(q.Act, o.first))
		o.ok(err)
		if q.State != people.Done || len(q.Proofs) != 2 {
			t.Errorf("%s, with %d proofs", q.State, len(q.Proofs))
		}
	})
	t.Run("twice by one", func(t *testing.T) {
		q := ask()
		_, err := agree(q, s1, o.Proof(q.Act, s1))
		o.ok(err)
		_, err = agree(q, s1, o.Proof(q.Act, s1))
		wantErr(t, "again", err, approval.ErrRefused)
		_, err = agree(q, s2, o.Proof(q.Act, s1))
		wantErr(t, "with the other's proof", err, approval.ErrRefused)
		p := o.Proof(q.Act, s1)
		p.Person = s2
		_, err = agree(q, s2, p)
		wantErr(t, "with the other's passkey", err, approval.ErrRefused)
	})
	t.Run("another act", func(t *testing.T) {
		q, other := ask(), ask()
		_, err := agree(q, s2, o.Proof(other.Act, s2))
		wantErr(t, "its proof", err, approval.ErrRefused)
		edited := q.Act
		edited.Expires++
		_, err = agree(q, s2, o.Proof(edited, s2))
		wantErr(t, "one second longer", err, approval.ErrRefused)
	})
	t.Run("strangers", func(t *testing.T) {
		q := ask()
		for _, person := range []string{worker, stranger} {
			_, err := agree(q, person, o.Proof(q.Act, person))
			wantErr(t, "agrees", err, people.ErrNotFound)
			_, err = o.Request(t.Context(), o.Actor(person), q.Act.ID)
			wantErr(t, "reads", err, people.ErrNotFound)
			all, err := o.Waiting(t.Context(), o.Actor(person))
			o.ok(err)
			if len(all) != 0 {
				t.Errorf("sees %d requests", len(all))
			}
		}
	})
	t.Run("at once", func(t *testing.T) {
		q := ask()
		var wg sync.WaitGroup
		for _, person := range []string{s1, s2} {
			by, p := o.Actor(person), o.Proof(q.Act, person)
			for range 4 {
				wg.Go(func() { _, _ = o.Agree(context.WithoutCancel(t.Context()), by, q.Act.ID, p) })
			}
		}
		wg.Wait()
		got, err := o.Request(t.Context(), o.Actor(s1), q.Act.ID)
		o.ok(err)
		if got.State != people.Done {
			t.Errorf("both agreed, and it is %s", got.State)
		}
	})
	t.Run("over and withdrawn", func(t *testing.T) {
		q := ask()
		o.ok(o.Withdraw(t.Context(), o.Actor(s2), q.Act.ID))
		_, err := agree(q, s1, o.Proof(q.Act, s1))
		wantErr(t, "withdrawn", err, people.ErrConflict)
		q = ask()
		o.now = o.now.Add(72 * time.Hour)
		_, err = agree(q, s1, o.Proof(q.Act, s1))
		wantErr(t, "over", err, people.ErrConflict)
	})
	t.Run("an approver is removed", func(t *testing.T) {
		q := ask()
		_, err := agree(q, s2, o.Proof(q.Act, s2))
		o.ok(err)
		o.Do(roster.DoRemovePerson, ngo, &roster.RemovePerson{ID: s2}, s1)
		q, err = agree(q, s1, o.Proof(q.Act, s1))
		if err == nil && q.State == people.Done {
			t.Error("an approval counts of somebody who was removed")
		}
	})
}

// TestRowsOfTheRosterGrantNothing alters the table as somebody who has SQL and no
// passkey.
func TestRowsOfTheRosterGrantNothing(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		running   bool // a process that has read it already finds it
	}{
		"the newest was removed":   {"DELETE FROM roster_changes WHERE seq = (SELECT max(seq) FROM roster_changes)", true},
		"one was removed":          {"DELETE FROM roster_changes WHERE seq = 3", false},
		"all were removed":         {"DELETE FROM roster_changes", true},
		"one was altered":          {"UPDATE roster_changes SET change = replace(change, 'Made-up', 'Made-Up') WHERE seq = 3", false},
		"the newest was altered":   {"UPDATE roster_changes SET change = replace(change, 'desk-1', 'desk-2') WHERE seq = (SELECT max(seq) FROM roster_changes WHERE instr(change, CAST('desk-1' AS BLOB)) > 0)", false},
		"one was added":            {"INSERT INTO roster_changes SELECT max(seq) + 1, change FROM roster_changes", true},
		"something else was added": {"INSERT INTO roster_changes SELECT max(seq) + 1, x'7b7d' FROM roster_changes", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, true)
			ngo := o.agency(o.first)
			_ = o.Person(ngo, people.Supervisor, o.first)
			sqlitetest.Administer(t, o.db, c.statement)
			if _, err := o.State(t.Context()); c.running && !errors.Is(err, people.ErrDamaged) {
				t.Errorf("a process that runs: %v, want ErrDamaged", err)
			}
			s, err := o.another(o.Passkeys).State(t.Context())
			// Of a sequence that was cut at its end only its length is missing: what has
			// seen more notices, and nobody has more rights than before.
			if !errors.Is(err, people.ErrDamaged) && (err != nil || len(s.People) > 2 || !strings.Contains(name, "removed")) {
				t.Errorf("a process that starts: %v, want ErrDamaged", err)
			}
		})
	}
}
