package people_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/token"
)

// bench is a roster over a real database, in which the network's own store has
// written agencies and devices.
type bench struct {
	*people.Roster
	t       *testing.T
	network *sqlstore.Network
	log     *sqlstore.Log
	root    audit.Actor // the first operator
}

func newBench(t *testing.T) *bench {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "safeconduct.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := storetest.Seal(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, network: db.Network(), log: db.Log()}
	b.Roster, err = people.New(people.Config{Store: db.People()})
	b.ok(err)
	m, _ := people.NewOperator()
	b.ok(b.network.Init(t.Context(), network.Record{ID: strings.Repeat("5eed", 8)}, network.Founder{ID: m.ID, Token: m.Token}, nil))
	b.root = actor(m)
	return b
}

func actor(m people.Member) audit.Actor {
	return audit.Actor{ID: m.ID, Agency: m.Agency, Role: string(m.Role)}
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// id makes one of 32 hex digits from a word.
func id(word string) string { return strings.Repeat("0", 32-len(word)) + word }

// agency writes one of a class; the class says which.
func (b *bench) agency(class network.Class) network.Agency {
	b.t.Helper()
	a := network.Agency{ID: id(string(class)), Name: "Made-up House", Class: class, Country: "KHM", Desk: "+855 00 000 001"}
	b.ok(b.network.AddAgency(b.t.Context(), a))
	return a
}

func (b *bench) suspend(agency string, suspended bool) {
	b.t.Helper()
	a, err := b.network.Agency(b.t.Context(), agency)
	b.ok(err)
	a.Suspended = suspended
	b.ok(b.network.ReplaceAgency(b.t.Context(), a))
}

func (b *bench) member(agency string, role people.Role) (audit.Actor, string) {
	b.t.Helper()
	m, bearer, err := b.AddMember(b.t.Context(), b.root, agency, role)
	b.ok(err)
	return actor(m), bearer
}

// device writes one that was approved, and returns its token.
func (b *bench) device(agency string) string {
	b.t.Helper()
	bearer, id := b.waiting(agency, b.root.ID)
	b.ok(b.network.ApproveDevice(b.t.Context(), id))
	return bearer
}

// waiting writes a device that waits by somebody's invitation.
func (b *bench) waiting(agency, maker string) (bearer, id string) {
	b.t.Helper()
	bearer, hash := token.New(token.Bearer)
	_, secret := token.New(token.Invitation)
	id = fmt.Sprintf("%x", hash[:16])
	i := network.Invitation{ID: id, Agency: agency, Label: "gate-1", Secret: secret, InvitedBy: maker, Expires: time.Now().Add(time.Hour)}
	b.ok(b.network.AddInvitation(b.t.Context(), i))
	d := network.Device{ID: id, Agency: agency, Label: i.Label, Recipient: []byte{1}, Token: hash, InvitedBy: maker, Pending: true}
	b.ok(b.network.EnrolDevice(b.t.Context(), i.ID, time.Now(), d))
	return bearer, id
}

// logged counts the log's entries.
func (b *bench) logged() int {
	b.t.Helper()
	all, err := b.log.Entries(b.t.Context(), "", 1000)
	b.ok(err)
	return len(all)
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestMembersAndTokens(t *testing.T) {
	b := newBench(t)
	ngo, border, embassy := b.agency(network.NGO), b.agency(network.ImmigrationService), b.agency(network.DiplomaticMission)
	for _, c := range []struct {
		agency network.Agency
		role   people.Role
		want   error
	}{
		{ngo, people.Caseworker, nil},
		{ngo, people.Supervisor, nil},
		{ngo, people.Officer, invalid.ErrInput},
		{ngo, people.Mission, invalid.ErrInput},
		{ngo, people.Operator, invalid.ErrInput},
		{ngo, people.DeviceRole, invalid.ErrInput},
		{ngo, "clerk", invalid.ErrInput},
		{ngo, people.Admin, nil},
		{ngo, people.Auditor, invalid.ErrInput},
		{ngo, "", invalid.ErrInput},
		{border, people.Officer, nil},
		{border, people.Caseworker, invalid.ErrInput},
		{embassy, people.Mission, nil},
		{embassy, people.Supervisor, invalid.ErrInput},
		{network.Agency{ID: "unknown"}, people.Caseworker, people.ErrNotFound},
		{network.Agency{}, people.Caseworker, people.ErrNotFound},
	} {
		m, token, err := b.AddMember(t.Context(), b.root, c.agency.ID, c.role)
		if !errors.Is(err, c.want) {
			t.Errorf("%s in %s: %v, want %v", c.role, c.agency.Class, err, c.want)
			continue
		}
		if c.want != nil {
			continue
		}
		if got, err := b.Authenticate(t.Context(), token); err != nil || got != actor(m) {
			t.Errorf("%s in %s: the token gives role %q, %v", c.role, c.agency.Class, got.Role, err)
		}
	}

	supervisor, _ := b.member(ngo.ID, people.Supervisor)
	worker, token := b.member(ngo.ID, people.Caseworker)
	stranger, _ := b.member(border.ID, people.Officer)
	_, _, err := b.AddMember(t.Context(), supervisor, ngo.ID, people.Caseworker)
	b.ok(err)
	_, _, err = b.AddMember(t.Context(), supervisor, border.ID, people.Officer)
	wantErr(t, "a supervisor in another agency", err, people.ErrForbidden)
	_, _, err = b.AddMember(t.Context(), supervisor, "", people.Operator)
	wantErr(t, "a supervisor makes an operator", err, people.ErrForbidden)
	_, _, err = b.AddMember(t.Context(), worker, ngo.ID, people.Caseworker)
	wantErr(t, "a caseworker", err, people.ErrForbidden)
	unknown := b.RevokeMember(t.Context(), supervisor, strings.Repeat("0", 32))
	foreign := b.RevokeMember(t.Context(), supervisor, stranger.ID)
	wantErr(t, "another agency's member", foreign, people.ErrNotFound)
	if unknown.Error() != foreign.Error() {
		t.Errorf("a supervisor can tell %q from %q", foreign, unknown)
	}
	wantErr(t, "oneself", b.RevokeMember(t.Context(), supervisor, supervisor.ID), people.ErrConflict)
	wantErr(t, "by a caseworker", b.RevokeMember(t.Context(), worker, supervisor.ID), people.ErrForbidden)

	b.ok(b.RevokeMember(t.Context(), supervisor, worker.ID))
	_, err = b.Authenticate(t.Context(), token)
	wantErr(t, "a revoked member", err, people.ErrUnauthenticated)
	wantErr(t, "revoked twice", b.RevokeMember(t.Context(), supervisor, worker.ID), people.ErrConflict)
}

func TestAuthenticateRefuses(t *testing.T) {
	b := newBench(t)
	ngo := b.agency(network.NGO)
	_, good := b.member(ngo.ID, people.Caseworker)
	device := b.device(b.agency(network.ImmigrationService).ID)
	if who, err := b.Authenticate(t.Context(), device); err != nil || who.Role != "device" {
		t.Errorf("a device: role %q, %v", who.Role, err)
	}
	swapped := []byte(good)
	swapped[10] ^= 1
	// The last of 48 digits has no spare bits; the padding form is refused.
	for name, token := range map[string]string{
		"empty": "", "cut by one": good[:len(good)-1], "cut to half": good[:len(good)/2], "longer": good + "A",
		"padded": good + "=", "without prefix": strings.TrimPrefix(good, "sc_"), "other case": strings.ToUpper(good),
		"one bit": string(swapped), "a space": " " + good, "a line break": good[:20] + "\n" + good[21:],
	} {
		if who, err := b.Authenticate(t.Context(), token); !errors.Is(err, people.ErrUnauthenticated) || who != (audit.Actor{}) {
			t.Errorf("%s: role %q, %v, want ErrUnauthenticated", name, who.Role, err)
		}
	}

	b.suspend(ngo.ID, true)
	_, err := b.Authenticate(t.Context(), good)
	wantErr(t, "of a suspended agency", err, people.ErrUnauthenticated)
	_, _, err = b.AddMember(t.Context(), b.root, ngo.ID, people.Caseworker)
	wantErr(t, "a new member of a suspended agency", err, people.ErrConflict)
	b.suspend(ngo.ID, false)
	_, err = b.Authenticate(t.Context(), good)
	b.ok(err)
}

// TestWaitingEndsWithItsMaker: a device that waits for approval is let in, to hear
// that it waits, while whoever invited it could invite it still.
func TestWaitingEndsWithItsMaker(t *testing.T) {
	b := newBench(t)
	ngo, border := b.agency(network.NGO), b.agency(network.ImmigrationService)
	supervisor, _ := b.member(ngo.ID, people.Supervisor)
	worker, _ := b.member(ngo.ID, people.Caseworker)
	operator, _ := b.member("", people.Operator)
	revoked, _ := b.member(ngo.ID, people.Supervisor)
	b.ok(b.RevokeMember(t.Context(), b.root, revoked.ID))
	ask := func(bearer, role string) {
		t.Helper()
		switch who, err := b.Authenticate(t.Context(), bearer); {
		case role == "" && errors.Is(err, people.ErrUnauthenticated):
		case err != nil || who.Role != role:
			t.Errorf("role %q, %v, want %q", who.Role, err, role)
		}
	}
	for _, c := range []struct {
		name, agency, maker, role string
	}{
		{"its agency's supervisor", ngo.ID, supervisor.ID, "pending"},
		{"an operator", border.ID, operator.ID, "pending"},
		{"another agency's supervisor", border.ID, supervisor.ID, ""},
		{"a caseworker", ngo.ID, worker.ID, ""},
		{"a supervisor who was revoked", ngo.ID, revoked.ID, ""},
		{"whoever runs commands", ngo.ID, "console", ""},
		{"nobody", ngo.ID, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bearer, _ := b.waiting(c.agency, c.maker)
			ask(bearer, c.role)
		})
	}
	bearer, device := b.waiting(border.ID, operator.ID)
	ask(bearer, "pending")
	b.ok(b.RevokeMember(t.Context(), b.root, operator.ID))
	ask(bearer, "")
	b.ok(b.network.ApproveDevice(t.Context(), device))
	ask(bearer, "device") // who is in was let in by two
	b.suspend(border.ID, true)
	ask(bearer, "")
}

// TestEveryActIsLoggedAndGuarded has each act done by somebody who may not,
// which changes and logs nothing, and by the operator, which logs one entry.
func TestEveryActIsLoggedAndGuarded(t *testing.T) {
	b := newBench(t)
	ngo, border := b.agency(network.NGO), b.agency(network.ImmigrationService)
	officer, _ := b.member(border.ID, people.Officer)
	worker, _ := b.member(ngo.ID, people.Caseworker)
	for _, c := range []struct {
		name string
		do   func(by audit.Actor) error
	}{
		{"add member", func(by audit.Actor) error {
			_, _, err := b.AddMember(t.Context(), by, ngo.ID, people.Caseworker)
			return err
		}},
		{"revoke member", func(by audit.Actor) error { return b.RevokeMember(t.Context(), by, worker.ID) }},
	} {
		for _, by := range []audit.Actor{{}, officer, worker} {
			before := b.logged()
			wantErr(t, c.name+" by "+by.Role, c.do(by), people.ErrForbidden)
			if got := b.logged(); got != before {
				t.Errorf("%s by %q: %d entries logged, want none", c.name, by.Role, got-before)
			}
		}
		before := b.logged()
		if err := c.do(b.root); err != nil {
			t.Errorf("%s by the operator: %v", c.name, err)
		}
		if got := b.logged(); got != before+1 {
			t.Errorf("%s by the operator: %d entries logged, want 1", c.name, got-before)
		}
	}
	_, err := b.Members(t.Context(), officer, ngo.ID)
	wantErr(t, "members", err, people.ErrForbidden)
	_, err = b.Members(t.Context(), b.root, ngo.ID)
	b.ok(err)
}
