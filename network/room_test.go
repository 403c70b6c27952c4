package network_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// signing has the network know of so many things that every agency signs on each day.
func (b *bench) signing(each int) {
	b.t.Helper()
	b.cfg.Signed = func(_ context.Context, _ string, from, before time.Time) (all [][32]byte, err error) {
		for d := from; d.Before(before) && d.Before(b.now()); d = d.Add(day) {
			for i := range each {
				all = append(all, signedOn(d, i))
			}
		}
		return all, nil
	}
	b.again()
}

func signedOn(d time.Time, i int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d", d.Format(time.DateOnly), i))
}

// again makes the network anew, after its configuration was changed.
func (b *bench) again() {
	b.t.Helper()
	n, err := network.New(b.cfg)
	b.ok(err)
	b.Network = n
}

// newKey has people agree that a key is replaced, and replaces it.
func (b *bench) newKey(use, agency string) error {
	b.t.Helper()
	what, err := b.NewKey(b.t.Context(), use, agency)
	if err != nil {
		return err
	}
	b.house.Do(roster.DoNewKey, agency, what, b.house.First)
	return b.Renew(b.t.Context())
}

// onList is what the newest trust list says, if a device reads it.
func (b *bench) onList() (l verifier.TrustList) {
	b.t.Helper()
	signed, err := b.TrustList(b.t.Context())
	b.ok(err)
	m, err := jws.Parse(signed.Compact, verifier.MaxTrustList, verifier.TypeTrustList)
	b.ok(err)
	b.ok(json.Unmarshal(m.Unverified(), &l))
	status, answers := b.lists()
	lists, sequence, err := b.Pack(b.t.Context(), status, answers)
	b.ok(err)
	_, err = b.ServerPack(b.t.Context(), lists, sequence)
	b.ok(err)
	return l
}

// TestRoomForKeys: people of an agency that replace its key again and again are told when
// the trust list is full, and one place stays for the day on which the key was stolen. Keys
// with which nothing was signed leave it.
func TestRoomForKeys(t *testing.T) {
	b := newBench(t)
	a := b.agency(network.NGO)
	b.signing(0)
	b.move(time.Hour)
	for range verifier.MaxKeys + 2 {
		b.ok(b.newKey(roster.UseAgency, a.ID))
	}
	b.signing(1)
	var err error
	for made := 0; err == nil; made++ {
		if err = b.newKey(roster.UseAgency, a.ID); made > verifier.MaxKeys {
			t.Fatal("keys without end")
		}
	}
	wantErr(t, "one more", err, network.ErrConflict)
	a, err = b.Agency(t.Context(), a.ID)
	b.ok(err)
	if len(a.Keys) != verifier.MaxKeys-1 {
		t.Errorf("%d keys, want a place for one more of %d", len(a.Keys), verifier.MaxKeys)
	}
	// Agreed to all the same: it is refused again, and what was published stays readable.
	b.house.Do(roster.DoNewKey, a.ID, &roster.NewKey{Use: roster.UseAgency, Agency: a.ID, Before: a.Keys[len(a.Keys)-1].KeyID}, b.house.First)
	wantErr(t, "when it counts", b.Renew(t.Context()), network.ErrConflict)
	_, err = b.RotateKey(t.Context(), b.root, a.ID)
	b.ok(err)
	if got := len(b.onList().Agencies[0].Keys); got != verifier.MaxKeys {
		t.Errorf("%d keys stand on the list, want %d", got, verifier.MaxKeys)
	}
	_, err = b.RotateKey(t.Context(), b.root, a.ID)
	wantErr(t, "more than a list may name", err, network.ErrConflict)
}

// TestRoomForOwnKeys: a key of the network is replaced as often as people agree to it, and
// what was replaced first makes room for the others.
func TestRoomForOwnKeys(t *testing.T) {
	b := newBench(t)
	b.agency(network.NGO)
	for range verifier.MaxOwnKeys/4 + 2 {
		b.ok(b.newKey(roster.UsePack, ""))
	}
	count := map[verifier.Use]int{}
	for _, k := range b.onList().Keys {
		count[k.Use]++
	}
	if count[verifier.UsePack] != verifier.MaxOwnKeys/4 || count[verifier.UseStatus] != 1 || count[verifier.UseLog] != 1 {
		t.Errorf("keys on the list: %v", count)
	}
}

// TestLoggedOnce: what an agency signed before its keys were in other hands is listed with
// the key that signed on that day, and not with every other one.
func TestLoggedOnce(t *testing.T) {
	b := newBench(t)
	a := b.agency(network.NGO)
	b.signing(1)
	for range 3 {
		b.move(10 * day)
		b.ok(b.newKey(roster.UseAgency, a.ID))
	}
	b.move(10 * day)
	b.cfg.Rights = disbelieved{b.people, a.ID, b.now().Add(-5 * day)}
	b.again()
	keys := b.onList().Agencies[0].Keys
	if len(keys) != 4 {
		t.Fatalf("%d keys, want 4", len(keys))
	}
	for i, k := range keys {
		until := time.Unix(keys[0].From, 0).UTC().Add(35 * day)
		if i+1 < len(keys) {
			until = time.Unix(keys[i+1].From, 0).UTC().Add(day)
		}
		want := []string{}
		for d := time.Unix(k.From, 0).UTC(); d.Before(until); d = d.Add(day) {
			sum := signedOn(d, 0)
			want = append(want, hex.EncodeToString(sum[:8]))
		}
		slices.Sort(want)
		if k.Compromised == nil || !slices.Equal(k.Compromised.Logged, want) {
			t.Errorf("key %d: %+v, want %d things of its days", i, k.Compromised, len(want))
		}
	}
}

// TestLoggedTooMuch: where an agency signed more than a trust list has room for, nothing of
// it is believed, and the list says so to everybody. It stays so.
func TestLoggedTooMuch(t *testing.T) {
	b := newBench(t)
	a, other := b.agency(network.NGO), b.agency(network.Shelter)
	b.signing(350_000)
	b.move(2 * day)
	b.cfg.Rights = disbelieved{b.people, a.ID, start.Add(day)}
	b.again()
	for range 2 {
		for _, on := range b.onList().Agencies {
			for _, k := range on.Keys {
				if is := k.Compromised != nil && len(k.Compromised.Logged) == 0; is != (on.ID == a.ID) || on.ID == other.ID && k.Compromised != nil {
					t.Fatalf("key of %s: nothing believed is %v", on.ID, is)
				}
			}
		}
		b.signing(1)
	}
}
