package service

import (
	"errors"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestTrustKeyCeremony: two people have the key replaced that signs trust lists. The next
// publication has the root name the new one, and a device that has seen it takes nothing
// of the old one any more, whatever whoever has it signs.
func TestTrustKeyCeremony(t *testing.T) {
	u := newUnit(t, false)
	ctx := t.Context()
	publish := func() (verifier.Lists, verifier.TrustKey) {
		t.Helper()
		_, err := u.Board.Publish(ctx, Console, false)
		u.ok(err)
		lists, err := u.Board.Lists(ctx)
		u.ok(err)
		k, err := verifier.ReadTrustKey(lists.TrustKey)
		u.ok(err)
		return lists, k
	}
	root, err := u.Network.RootKey(ctx)
	u.ok(err)
	device, _, err := verifier.NewDevice(u.Network.ID(), "device-1", root)
	u.ok(err)
	open := func(lists verifier.Lists) error {
		pack, err := verifier.OpenOwn(lists, verifier.EpochKeys{}, device, u.clock.Add(time.Hour), u.clock)
		if err == nil {
			device = pack.Accepted(device)
			device.Sequence = 0 // whoever has a stolen key has packs of any number
		}
		return err
	}
	before, old := publish()
	u.ok(open(before))
	what, err := u.Network.NewKey(ctx, roster.UseTrust, "")
	u.ok(err)
	if what.Before != old.KeyID {
		t.Fatalf("%s is to be replaced, and the root names %s", what.Before, old.KeyID)
	}
	u.clock = u.clock.Add(time.Minute)
	u.house.Do(roster.DoNewKey, "", what, u.house.First, u.others[0])
	after, now := publish()
	if now.KeyID == old.KeyID || now.IssuedAt <= old.IssuedAt {
		t.Errorf("the root names %+v after %+v", now, old)
	}
	u.ok(open(before)) // it has not seen the new one
	u.ok(open(after))
	var not *verifier.NotReadyError
	if err := open(before); !errors.As(err, &not) || not.Reason != verifier.ReasonPackOlder {
		t.Errorf("a list of the old key: %v, want %s", err, verifier.ReasonPackOlder)
	}
	if _, again := publish(); again.IssuedAt != now.IssuedAt || again.KeyID != now.KeyID {
		t.Errorf("named once more: %+v", again)
	}
	if _, err := u.People.Ask(ctx, u.house.Actor(u.house.First), roster.DoNewKey, "", what); !errors.Is(err, people.ErrConflict) {
		t.Errorf("asked for again: %v", err)
	}
}
