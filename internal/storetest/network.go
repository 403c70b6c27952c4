package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// NetworkStore is what the suite Network tests, with the log beside it.
type NetworkStore struct {
	network.Store
	Log audit.Store
}

// Network is the suite of the network.Store. open returns an empty store.
func Network(t *testing.T, open func(t *testing.T) NetworkStore) {
	t.Run("record", func(t *testing.T) { networkRecord(t, open(t)) })
	t.Run("agencies", func(t *testing.T) { networkAgencies(t, open(t)) })
	t.Run("invitations", func(t *testing.T) { networkInvitations(t, open(t)) })
	t.Run("devices", func(t *testing.T) { networkDevices(t, open(t)) })
	t.Run("sweep", func(t *testing.T) { networkSweep(t, open(t)) })
	t.Run("epochs", func(t *testing.T) { networkEpochs(t, open(t)) })
	t.Run("sequences", func(t *testing.T) { networkSequences(t, open(t)) })
	t.Run("trust list", func(t *testing.T) { networkTrustList(t, open(t)) })
	t.Run("both or neither", func(t *testing.T) { networkBothOrNeither(t, open(t)) })
}

// logged counts the entries of the log.
func logged(t *testing.T, s NetworkStore) int {
	t.Helper()
	return int(get[int64](t)(s.Log.Waiting(t.Context())))
}

func hash() (h [32]byte) {
	_, _ = rand.Read(h[:]) // never returns an error
	return h
}

func record() network.Record {
	return network.Record{
		ID: NewID(), Name: "Made-up network", BaseURL: "https://network.example", Desk: "+855 00 000 000",
		Demo: true, Generation: 3,
	}
}

func initialised(t *testing.T, s NetworkStore, epochs ...network.Epoch) network.Record {
	t.Helper()
	r := record()
	ok(t, s.Init(t.Context(), r, epochs, Entry(t, "")))
	return r
}

func agencyKeys() network.AgencyKeys {
	return network.AgencyKeys{
		Agency: NewID(),
		Keys: []network.Key{
			{KeyID: "bb00000000000001", JWK: json.RawMessage(`{"kty":"EC"}`), From: Day(0), To: Day(700), Revoked: true},
			{KeyID: "aa00000000000002", JWK: json.RawMessage(`{"kty":"EC"}`), From: Day(10), To: Day(710),
				Compromised: &verifier.Compromise{At: Day(20).Unix() + 7, Logged: []string{"0011223344556677"}}},
		},
	}
}

func addKeys(t *testing.T, s NetworkStore) network.AgencyKeys {
	t.Helper()
	k := agencyKeys()
	ok(t, s.AddKeys(t.Context(), k, Entry(t, "")))
	return k
}

func networkRecord(t *testing.T, s NetworkStore) {
	_, err := s.Network(t.Context())
	is(t, "before Init", err, network.ErrNotFound)
	_, err = s.NextPack(t.Context(), Entry(t, ""))
	is(t, "a pack before Init", err, network.ErrNotFound)
	same(t, "log", logged(t, s), 0)

	epochs := []network.Epoch{epoch(1, Day(0)), epoch(2, Day(30))}
	r := record()
	ok(t, s.Init(t.Context(), r, epochs, Entry(t, "")))
	same(t, "record", get[network.Record](t)(s.Network(t.Context())), r)
	same(t, "epochs", get[[]network.Epoch](t)(s.Epochs(t.Context())), epochs)
	same(t, "log", logged(t, s), 1)

	is(t, "a second Init", s.Init(t.Context(), record(), nil, Entry(t, "")), network.ErrExists)
	same(t, "record after it", get[network.Record](t)(s.Network(t.Context())), r)
	same(t, "log after it", logged(t, s), 1)

	for _, c := range []struct{ see, want uint64 }{{5, 5}, {4, 5}, {6, 6}} {
		ok(t, s.SeeGeneration(t.Context(), c.see))
		same(t, "generation", get[network.Record](t)(s.Network(t.Context())).Generation, c.want)
	}
}

func networkAgencies(t *testing.T, s NetworkStore) {
	same(t, "none", len(get[[]network.AgencyKeys](t)(s.AllKeys(t.Context()))), 0)
	_, err := s.Keys(t.Context(), NewID())
	is(t, "unknown", err, network.ErrNotFound)

	a, b := addKeys(t, s), addKeys(t, s)
	if b.Agency < a.Agency {
		a, b = b, a
	}
	same(t, "one", get[network.AgencyKeys](t)(s.Keys(t.Context(), b.Agency)), b)
	same(t, "all", get[[]network.AgencyKeys](t)(s.AllKeys(t.Context())), []network.AgencyKeys{a, b})
	is(t, "an id twice", s.AddKeys(t.Context(), a, Entry(t, "")), network.ErrExists)

	changed := a
	changed.Keys = append(slices.Clone(a.Keys[1:]), network.Key{
		KeyID: "0000000000000003", JWK: json.RawMessage(`{"kty":"EC"}`), From: Day(20), To: Day(720)})
	ok(t, s.ReplaceKeys(t.Context(), changed, Entry(t, "")))
	is(t, "from an older version", s.ReplaceKeys(t.Context(), a, Entry(t, "")), network.ErrConflict)
	is(t, "of an unknown one", s.ReplaceKeys(t.Context(), agencyKeys(), Entry(t, "")), network.ErrConflict)
	changed.Version++
	same(t, "changed", get[network.AgencyKeys](t)(s.Keys(t.Context(), a.Agency)), changed)
	same(t, "the other", get[network.AgencyKeys](t)(s.Keys(t.Context(), b.Agency)), b)
	same(t, "log", logged(t, s), 3)
}

func invitation(agency string) network.Invitation {
	return network.Invitation{
		ID: NewID(), Agency: agency, Label: "checkpoint-1", Secret: hash(), InvitedBy: NewID(), Expires: Day(2).Add(time.Second),
	}
}

// enrolled writes a pending device, with the invitation that it takes up.
func enrolled(t *testing.T, s NetworkStore, agency string) network.Device {
	t.Helper()
	i := invitation(agency)
	ok(t, s.AddInvitation(t.Context(), i))
	d := network.Device{
		ID: NewID(), Agency: agency, Label: i.Label, Recipient: bytes.Repeat([]byte{7}, 1216), Token: hash(),
		InvitedBy: i.InvitedBy, Pending: true,
	}
	ok(t, s.EnrolDevice(t.Context(), i.ID, Day(0), d))
	return d
}

func networkInvitations(t *testing.T, s NetworkStore) {
	a := NewID()
	i, unused := invitation(a), invitation(a)
	ok(t, s.AddInvitation(t.Context(), i, Entry(t, "")))
	ok(t, s.AddInvitation(t.Context(), unused, Entry(t, "")))
	same(t, "by secret", get[network.Invitation](t)(s.Invitation(t.Context(), i.Secret)), i)
	_, err := s.Invitation(t.Context(), hash())
	is(t, "an unknown secret", err, network.ErrNotFound)
	is(t, "twice", s.AddInvitation(t.Context(), i), network.ErrExists)
	twin := invitation(a)
	twin.Secret = i.Secret
	is(t, "a secret twice", s.AddInvitation(t.Context(), twin), network.ErrExists)

	device := func() network.Device {
		return network.Device{ID: NewID(), Agency: a, Label: i.Label, Recipient: []byte{7}, Token: hash(), InvitedBy: i.InvitedBy, Pending: true}
	}
	is(t, "an unknown invitation", s.EnrolDevice(t.Context(), NewID(), Day(0), device(), Entry(t, "")), network.ErrConflict)
	is(t, "one that is over", s.EnrolDevice(t.Context(), i.ID, i.Expires, device(), Entry(t, "")), network.ErrConflict)
	d := device()
	ok(t, s.EnrolDevice(t.Context(), i.ID, i.Expires.Add(-time.Second), d, Entry(t, "")))
	is(t, "one that was used", s.EnrolDevice(t.Context(), i.ID, Day(0), device(), Entry(t, "")), network.ErrConflict)
	i.Used = true
	same(t, "used", get[network.Invitation](t)(s.Invitation(t.Context(), i.Secret)), i)
	same(t, "not used", get[network.Invitation](t)(s.Invitation(t.Context(), unused.Secret)), unused)

	// A device that cannot be written leaves the invitation as it was.
	taken := device()
	taken.Token = d.Token
	is(t, "a token twice", s.EnrolDevice(t.Context(), unused.ID, Day(0), taken, Entry(t, "")), network.ErrExists)
	same(t, "still not used", get[network.Invitation](t)(s.Invitation(t.Context(), unused.Secret)), unused)

	// Of many that use one at once, one gets through.
	const callers = 20
	var through atomic.Int32
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			err := inTurn(func() error {
				return s.EnrolDevice(context.Background(), unused.ID, Day(0), device(), Entry(t, ""))
			})
			switch {
			case err == nil:
				through.Add(1)
			case !errors.Is(err, network.ErrConflict):
				t.Errorf("at once: %v", err)
			}
		})
	}
	wg.Wait()
	same(t, "devices of one invitation", through.Load(), int32(1))
	same(t, "devices", len(get[[]network.Device](t)(s.Devices(t.Context(), a))), 2)
	same(t, "log", logged(t, s), 4)
}

func networkDevices(t *testing.T, s NetworkStore) {
	a, b := NewID(), NewID()
	other := enrolled(t, s, b)
	d := enrolled(t, s, a)
	same(t, "by id", get[network.Device](t)(s.Device(t.Context(), d.ID)), d)
	same(t, "by agency", get[[]network.Device](t)(s.Devices(t.Context(), a)), []network.Device{d})
	all := []network.Device{d, other}
	slices.SortFunc(all, func(a, b network.Device) int { return strings.Compare(a.ID, b.ID) })
	same(t, "of all", get[[]network.Device](t)(s.Devices(t.Context(), "")), all)
	same(t, "of another", len(get[[]network.Device](t)(s.Devices(t.Context(), NewID()))), 0)
	_, err := s.Device(t.Context(), NewID())
	is(t, "unknown id", err, network.ErrNotFound)

	for want := range 3 {
		same(t, "try", get[int](t)(s.TryApproval(t.Context(), d.ID)), want+1)
	}
	_, err = s.TryApproval(t.Context(), NewID())
	is(t, "a try at an unknown one", err, network.ErrConflict)
	is(t, "an unknown one waits no more", s.EndWaiting(t.Context(), NewID(), Entry(t, "")), network.ErrConflict)
	ok(t, s.EndWaiting(t.Context(), d.ID, Entry(t, "")))
	_, err = s.Device(t.Context(), d.ID)
	is(t, "one that waits no more", err, network.ErrNotFound)
	is(t, "twice", s.EndWaiting(t.Context(), d.ID, Entry(t, "")), network.ErrConflict)
	_, err = s.TryApproval(t.Context(), d.ID)
	is(t, "a try at it", err, network.ErrConflict)
	same(t, "the other waits", get[[]network.Device](t)(s.Devices(t.Context(), "")), []network.Device{other})
	same(t, "log", logged(t, s), 1)
}

// networkSweep: what is over is forgotten, and nothing else.
func networkSweep(t *testing.T, s NetworkStore) {
	a := NewID()
	d, i := enrolled(t, s, a), invitation(a) // since Day(0), until Day(2)
	ok(t, s.AddInvitation(t.Context(), i))
	ok(t, s.SweepWaiting(t.Context(), Day(2), Day(0)))
	same(t, "it waits", get[[]network.Device](t)(s.Devices(t.Context(), a)), []network.Device{d})
	same(t, "an invitation", get[network.Invitation](t)(s.Invitation(t.Context(), i.Secret)), i)
	ok(t, s.SweepWaiting(t.Context(), Day(3), Day(0)))
	_, err := s.Invitation(t.Context(), i.Secret)
	is(t, "an invitation that is over", err, network.ErrNotFound)
	same(t, "without its invitation", get[network.Device](t)(s.Device(t.Context(), d.ID)), d)
	ok(t, s.SweepWaiting(t.Context(), Day(3), Day(1)))
	same(t, "one that has waited for long", len(get[[]network.Device](t)(s.Devices(t.Context(), ""))), 0)
}

func epoch(id uint32, sealFrom time.Time) network.Epoch {
	return network.Epoch{
		ID: id, Keys: fmt.Appendf(nil, "wrapped %d", id), Created: Day(-1), SealFrom: sealFrom, EndsAt: sealFrom.AddDate(0, 0, 210),
	}
}

func networkEpochs(t *testing.T, s NetworkStore) {
	const high = 1<<32 - 1 // ids use all 32 bits
	first, second, third := epoch(high, Day(0)), epoch(5, Day(30)), epoch(6, Day(60))
	initialised(t, s, second, first)
	same(t, "in order", get[[]network.Epoch](t)(s.Epochs(t.Context())), []network.Epoch{first, second})

	burned := first
	burned.BurnedAt, burned.Keys, burned.Reduced = Day(40), nil, true
	is(t, "read another number", s.ChangeEpochs(t.Context(), 1, []network.Epoch{third}, nil, Entry(t, "")), network.ErrConflict)
	is(t, "an id twice", s.ChangeEpochs(t.Context(), 2, []network.Epoch{second}, []network.Epoch{burned}, Entry(t, "")), network.ErrExists)
	is(t, "replace an unknown", s.ChangeEpochs(t.Context(), 2, nil, []network.Epoch{burned, third}, Entry(t, "")), network.ErrNotFound)
	same(t, "unchanged", get[[]network.Epoch](t)(s.Epochs(t.Context())), []network.Epoch{first, second})
	ok(t, s.ChangeEpochs(t.Context(), 2, []network.Epoch{third}, []network.Epoch{burned}, Entry(t, "")))
	same(t, "changed", get[[]network.Epoch](t)(s.Epochs(t.Context())), []network.Epoch{burned, second, third})
	same(t, "log", logged(t, s), 2)
}

func networkSequences(t *testing.T, s NetworkStore) {
	initialised(t, s)
	same(t, "first trust list", get[uint64](t)(s.NextTrustList(t.Context())), uint64(1))
	const callers, each = 4, 10
	var mu sync.Mutex
	var all []uint64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				n, err := s.NextPack(context.Background())
				if err != nil {
					t.Errorf("next pack: %v", err)
				}
				mu.Lock()
				all = append(all, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	var want []uint64
	for n := range callers * each {
		want = append(want, uint64(n)+1)
	}
	same(t, "numbers", all, want)
	same(t, "second trust list", get[uint64](t)(s.NextTrustList(t.Context(), Entry(t, ""))), uint64(2))
	same(t, "log", logged(t, s), 2)
}

func networkTrustList(t *testing.T, s NetworkStore) {
	initialised(t, s)
	_, err := s.TrustList(t.Context())
	is(t, "before the first", err, network.ErrNotFound)
	second := network.SignedTrustList{Sequence: 2, Digest: hash(), Expires: Day(30).Add(time.Second), Compact: "a.b.c"}
	ok(t, s.PublishTrustList(t.Context(), second))
	same(t, "stored", get[network.SignedTrustList](t)(s.TrustList(t.Context())), second)
	ok(t, s.PublishTrustList(t.Context(), network.SignedTrustList{Sequence: 1, Digest: hash(), Expires: Day(60), Compact: "older"}))
	same(t, "after an older one", get[network.SignedTrustList](t)(s.TrustList(t.Context())), second)
	third := network.SignedTrustList{Sequence: 3, Digest: hash(), Expires: Day(40), Compact: "d.e.f"}
	ok(t, s.PublishTrustList(t.Context(), third))
	same(t, "after a newer one", get[network.SignedTrustList](t)(s.TrustList(t.Context())), third)
}

// networkBothOrNeither has the log refuse each change: then nothing of the
// change may be there.
func networkBothOrNeither(t *testing.T, s NetworkStore) {
	initialised(t, s, epoch(1, Day(0)))
	a := addKeys(t, s)
	d, i := enrolled(t, s, a.Agency), invitation(a.Agency)
	ok(t, s.AddInvitation(t.Context(), i))
	packs := get[uint64](t)(s.NextPack(t.Context()))

	e := Entry(t, "") // twice the same id
	fewer := a
	fewer.Keys = a.Keys[1:]
	burned := epoch(1, Day(0))
	burned.BurnedAt = Day(1)
	for name, change := range map[string]func() error{
		"add keys":       func() error { return s.AddKeys(t.Context(), agencyKeys(), e, e) },
		"replace keys":   func() error { return s.ReplaceKeys(t.Context(), fewer, e, e) },
		"add invitation": func() error { return s.AddInvitation(t.Context(), invitation(a.Agency), e, e) },
		"enrol device": func() error {
			return s.EnrolDevice(t.Context(), i.ID, Day(0),
				network.Device{ID: NewID(), Agency: a.Agency, Label: "x", Recipient: []byte{7}, Token: hash(), InvitedBy: i.InvitedBy}, e, e)
		},
		"end waiting": func() error { return s.EndWaiting(t.Context(), d.ID, e, e) },
		"change epochs": func() error {
			return s.ChangeEpochs(t.Context(), 1, []network.Epoch{epoch(2, Day(30))}, []network.Epoch{burned}, e, e)
		},
		"next pack":       func() error { _, err := s.NextPack(t.Context(), e, e); return err },
		"next trust list": func() error { _, err := s.NextTrustList(t.Context(), e, e); return err },
	} {
		if err := change(); err == nil {
			t.Errorf("%s: the log refused and the change went through", name)
		}
	}
	same(t, "log", logged(t, s), 2)
	same(t, "keys", get[[]network.AgencyKeys](t)(s.AllKeys(t.Context())), []network.AgencyKeys{a})
	same(t, "devices", get[[]network.Device](t)(s.Devices(t.Context(), a.Agency)), []network.Device{d})
	same(t, "invitation", get[network.Invitation](t)(s.Invitation(t.Context(), i.Secret)), i)
	same(t, "epochs", get[[]network.Epoch](t)(s.Epochs(t.Context())), []network.Epoch{epoch(1, Day(0))})
	same(t, "next pack", get[uint64](t)(s.NextPack(t.Context())), packs+1)
	same(t, "next trust list", get[uint64](t)(s.NextTrustList(t.Context())), uint64(1))
}
