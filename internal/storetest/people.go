package storetest

import (
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

// PeopleStore is what the suite People tests, with what it stands beside: the
// network, which writes agencies and devices, and the log.
type PeopleStore struct {
	people.Store
	Network network.Store
	Log     audit.Store
}

// network is the same store as the suite Network sees it.
func (s PeopleStore) network() NetworkStore { return NetworkStore{Store: s.Network, Log: s.Log} }

// People is the suite of the people.Store. open returns an empty store.
func People(t *testing.T, open func(t *testing.T) PeopleStore) {
	t.Run("first operator", func(t *testing.T) { peopleFounder(t, open(t)) })
	t.Run("members", func(t *testing.T) { peopleMembers(t, open(t)) })
	t.Run("agencies", func(t *testing.T) { peopleAgencies(t, open(t)) })
	t.Run("devices", func(t *testing.T) { peopleDevices(t, open(t)) })
	t.Run("both or neither", func(t *testing.T) { peopleBothOrNeither(t, open(t)) })
}

// peopleFounder: whoever founds a network is its first operator, and a second
// founding changes nothing.
func peopleFounder(t *testing.T, s PeopleStore) {
	first := founder()
	ok(t, s.Network.Init(t.Context(), record(), first, nil, Entry(t, "")))
	want := people.Member{ID: first.ID, Role: people.Operator, Token: first.Token}
	same(t, "operators", get[[]people.Member](t)(s.Members(t.Context(), "")), []people.Member{want})
	is(t, "a second Init", s.Network.Init(t.Context(), record(), founder(), nil), network.ErrExists)
	same(t, "operators after it", get[[]people.Member](t)(s.Members(t.Context(), "")), []people.Member{want})
	same(t, "by token", get[people.Member](t)(s.MemberByToken(t.Context(), first.Token)), want)
}

func peopleMembers(t *testing.T, s PeopleStore) {
	a := addAgency(t, s.network())
	m := people.Member{ID: NewID(), Agency: a.ID, Role: people.Caseworker, Token: hash()}
	ok(t, s.AddMember(t.Context(), m, Entry(t, "")))
	same(t, "by id", get[people.Member](t)(s.Member(t.Context(), m.ID)), m)
	same(t, "by token", get[people.Member](t)(s.MemberByToken(t.Context(), m.Token)), m)
	same(t, "by agency", get[[]people.Member](t)(s.Members(t.Context(), a.ID)), []people.Member{m})
	same(t, "no operators", len(get[[]people.Member](t)(s.Members(t.Context(), ""))), 0)

	_, err := s.Member(t.Context(), NewID())
	is(t, "unknown id", err, people.ErrNotFound)
	_, err = s.MemberByToken(t.Context(), hash())
	is(t, "unknown token", err, people.ErrNotFound)
	is(t, "an id twice", s.AddMember(t.Context(), people.Member{ID: m.ID, Agency: a.ID, Role: m.Role, Token: hash()}), people.ErrExists)
	is(t, "a token twice", s.AddMember(t.Context(), people.Member{ID: NewID(), Agency: a.ID, Role: m.Role, Token: m.Token}), people.ErrExists)
	if err := s.AddMember(t.Context(), people.Member{ID: NewID(), Agency: NewID(), Role: m.Role, Token: hash()}); err == nil {
		t.Error("a member of an agency that does not exist was taken")
	}

	ok(t, s.RevokeMember(t.Context(), m.ID, Entry(t, "")))
	is(t, "revoked twice", s.RevokeMember(t.Context(), m.ID, Entry(t, "")), people.ErrConflict)
	m.Revoked = true
	same(t, "revoked", get[people.Member](t)(s.MemberByToken(t.Context(), m.Token)), m)
	same(t, "log", logged(t, s.network()), 3)
}

// peopleAgencies: what the network writes of an agency is what people read.
func peopleAgencies(t *testing.T, s PeopleStore) {
	_, err := s.Agency(t.Context(), NewID())
	is(t, "unknown", err, people.ErrNotFound)
	_, err = s.Agency(t.Context(), "")
	is(t, "none", err, people.ErrNotFound)
	a := addAgency(t, s.network())
	same(t, "as added", get[people.Agency](t)(s.Agency(t.Context(), a.ID)), people.Agency{Class: string(a.Class)})
	a.Suspended = true
	ok(t, s.Network.ReplaceAgency(t.Context(), a))
	same(t, "suspended", get[people.Agency](t)(s.Agency(t.Context(), a.ID)), people.Agency{Class: string(a.Class), Suspended: true})
}

// peopleDevices: a device is known by its token while it waits, when it is in,
// and when it is out.
func peopleDevices(t *testing.T, s PeopleStore) {
	a := addAgency(t, s.network())
	d := enrolled(t, s.network(), a)
	other := enrolled(t, s.network(), a)
	read := func(what string, want people.Device) {
		t.Helper()
		same(t, what, get[people.Device](t)(s.DeviceByToken(t.Context(), want.Token)), want)
	}
	_, err := s.DeviceByToken(t.Context(), hash())
	is(t, "unknown token", err, people.ErrNotFound)
	want := people.Device{ID: d.ID, Agency: a.ID, Token: d.Token, InvitedBy: d.InvitedBy, Pending: true}
	read("waiting", want)
	ok(t, s.Network.ApproveDevice(t.Context(), d.ID))
	want.Pending = false
	read("approved", want)
	ok(t, s.Network.RevokeDevice(t.Context(), d.ID))
	want.Revoked = true
	read("revoked", want)
	ok(t, s.Network.RevokeDevice(t.Context(), other.ID))
	read("refused while it waited", people.Device{ID: other.ID, Agency: a.ID, Token: other.Token, InvitedBy: other.InvitedBy, Revoked: true})
}

// peopleBothOrNeither has the log refuse each change: then nothing of the
// change may be there.
func peopleBothOrNeither(t *testing.T, s PeopleStore) {
	a := addAgency(t, s.network())
	m := people.Member{ID: NewID(), Agency: a.ID, Role: people.Caseworker, Token: hash()}
	ok(t, s.AddMember(t.Context(), m))
	e := Entry(t, "") // twice the same id
	for name, change := range map[string]func() error{
		"add member": func() error {
			return s.AddMember(t.Context(), people.Member{ID: NewID(), Agency: a.ID, Role: m.Role, Token: hash()}, e, e)
		},
		"revoke member": func() error { return s.RevokeMember(t.Context(), m.ID, e, e) },
	} {
		if err := change(); err == nil {
			t.Errorf("%s: the log refused and the change went through", name)
		}
	}
	same(t, "log", logged(t, s.network()), 1)
	same(t, "members", get[[]people.Member](t)(s.Members(t.Context(), a.ID)), []people.Member{m})
}
