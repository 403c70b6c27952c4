package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

// PeopleStore is what the suite People tests, with what it stands beside: the
// network, which writes devices that wait, and the log.
type PeopleStore struct {
	people.Store
	Network network.Store
	Log     audit.Store
}

// network is the same store as the suite Network sees it.
func (s PeopleStore) network() NetworkStore { return NetworkStore{Store: s.Network, Log: s.Log} }

// People is the suite of the people.Store. open returns an empty store.
func People(t *testing.T, open func(t *testing.T) PeopleStore) {
	t.Run("roster", func(t *testing.T) { peopleRoster(t, open(t)) })
	t.Run("requests", func(t *testing.T) { peopleRequests(t, open(t)) })
	t.Run("devices", func(t *testing.T) { peopleDevices(t, open(t)) })
	t.Run("both or neither", func(t *testing.T) { peopleBothOrNeither(t, open(t)) })
}

// peopleRoster: changes come back in their order and byte for byte, and a number is
// given once.
func peopleRoster(t *testing.T, s PeopleStore) {
	read := func(from uint64, limit int) []string {
		t.Helper()
		var all []string
		for _, c := range get[[][]byte](t)(s.Changes(t.Context(), from, limit)) {
			all = append(all, string(c))
		}
		return all
	}
	same(t, "none", len(read(1, 10)), 0)
	for i, c := range []string{"one", "two", "three \x00\xff"} {
		ok(t, s.AppendChange(t.Context(), uint64(i+1), []byte(c), false, Entry(t, "")))
	}
	same(t, "all", read(1, 10), []string{"one", "two", "three \x00\xff"})
	same(t, "from the second", read(2, 10), []string{"two", "three \x00\xff"})
	same(t, "two of them", read(1, 2), []string{"one", "two"})
	is(t, "a number twice", s.AppendChange(t.Context(), 2, []byte("other"), false, Entry(t, "")), people.ErrConflict)
	same(t, "after it", read(2, 1), []string{"two"})
	same(t, "log", logged(t, s.network()), 3)
}

func request(t *testing.T, life time.Duration) people.Request {
	t.Helper()
	a, err := approval.New(strings.Repeat("ab", 16), "agency.admit", "", NewID(), map[string]string{"name": "Made-up House"}, Day(3), life)
	ok(t, err)
	return people.Request{Act: a, State: people.Waits}
}

// peopleRequests: who changed a request first is the one who did.
func peopleRequests(t *testing.T, s PeopleStore) {
	q, later := request(t, time.Hour), request(t, 2*time.Hour)
	for _, one := range []people.Request{later, q} {
		ok(t, s.AddRequest(t.Context(), one, false, nil, Entry(t, "")))
	}
	third := request(t, time.Hour)
	is(t, "asked for already", s.AddRequest(t.Context(), third, false, func(waits people.Request) bool { return waits.Act.ID == q.Act.ID }, Entry(t, "")), people.ErrExists)
	_, err := s.Request(t.Context(), third.Act.ID)
	is(t, "what was asked for already", err, people.ErrNotFound)
	is(t, "twice", s.AddRequest(t.Context(), q, false, nil, Entry(t, "")), people.ErrExists)
	same(t, "read", get[people.Request](t)(s.Request(t.Context(), q.Act.ID)), q)
	_, err = s.Request(t.Context(), NewID())
	is(t, "unknown", err, people.ErrNotFound)
	same(t, "waiting", get[[]people.Request](t)(s.Waiting(t.Context(), Day(3))), []people.Request{q, later})
	same(t, "when one is over", get[[]people.Request](t)(s.Waiting(t.Context(), Day(3).Add(time.Hour))), []people.Request{later})

	q.Proofs = []approval.Proof{{Person: NewID(), Credential: []byte{1}, ClientData: []byte("{}"), AuthenticatorData: []byte{0, 255}, Signature: []byte{7}}}
	ok(t, s.ReplaceRequest(t.Context(), q))
	is(t, "an older version", s.ReplaceRequest(t.Context(), q), people.ErrConflict)
	q.Version++
	same(t, "with an approval", get[people.Request](t)(s.Request(t.Context(), q.Act.ID)), q)
	other := q
	other.Act = later.Act
	other.Act.ID = q.Act.ID
	is(t, "another act under its id", s.ReplaceRequest(t.Context(), other), people.ErrConflict)
	q.State, q.Change = people.Done, 7
	ok(t, s.ReplaceRequest(t.Context(), q))
	q.Version++
	same(t, "done", get[people.Request](t)(s.Request(t.Context(), q.Act.ID)), q)
	same(t, "waiting after it", get[[]people.Request](t)(s.Waiting(t.Context(), Day(3))), []people.Request{later})
}

// peopleDevices: what the network writes of a device that waits is what people read,
// and of no other.
func peopleDevices(t *testing.T, s PeopleStore) {
	a := NewID()
	d := enrolled(t, s.network(), a)
	_, err := s.WaitingDevice(t.Context(), hash())
	is(t, "unknown token", err, people.ErrNotFound)
	same(t, "waiting", get[people.Device](t)(s.WaitingDevice(t.Context(), d.Token)), people.Device{ID: d.ID, Agency: a, Token: d.Token, InvitedBy: d.InvitedBy})
	ok(t, s.Network.EndWaiting(t.Context(), d.ID))
	_, err = s.WaitingDevice(t.Context(), d.Token)
	is(t, "that waits no more", err, people.ErrNotFound)
}

// peopleBothOrNeither has the log refuse each change: then nothing of the change may
// be there.
func peopleBothOrNeither(t *testing.T, s PeopleStore) {
	e, q := Entry(t, ""), request(t, time.Hour) // twice the same id
	for name, change := range map[string]func(context.Context) error{
		"change":  func(ctx context.Context) error { return s.AppendChange(ctx, 1, []byte("one"), false, e, e) },
		"request": func(ctx context.Context) error { return s.AddRequest(ctx, q, false, nil, e, e) },
	} {
		if err := change(t.Context()); err == nil {
			t.Errorf("%s: the log refused and the change went through", name)
		}
	}
	same(t, "log", logged(t, s.network()), 0)
	same(t, "roster", len(get[[][]byte](t)(s.Changes(t.Context(), 1, 10))), 0)
	_, err := s.Request(t.Context(), q.Act.ID)
	is(t, "request", err, people.ErrNotFound)
}
