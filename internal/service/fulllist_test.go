package service

import (
	"errors"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestFullListStopsNobody: people of one agency have its key replaced until the trust
// list has no room. They are told, everybody else's lists go out, and when the keys are said to
// be in other hands, devices learn it and the agency gets another key.
func TestFullListStopsNobody(t *testing.T) {
	u := newUnit(t, false)
	ctx := t.Context()
	agency := u.by.Agency
	link, secret := u.People.NewLink()
	second := people.NewPerson("", "operator-2", people.Operator)
	u.house.Do(roster.DoAddPerson, "", &roster.AddPerson{Person: second, Link: link}, u.house.First, u.others[0])
	u.clock = u.clock.Add(roster.Delay)
	u.house.Join(second.ID, secret)
	since := u.clock
	u.ok(u.card()) // signed on this day: no key of it leaves the list
	for range verifier.MaxKeys - 2 {
		what, err := u.Network.NewKey(ctx, roster.UseAgency, agency)
		u.ok(err)
		u.house.Do(roster.DoNewKey, agency, what, u.house.First, second.ID)
		publish(t, u.Service)
	}
	if _, err := u.Network.NewKey(ctx, roster.UseAgency, agency); !errors.Is(err, network.ErrConflict) {
		t.Errorf("asked once more: %v, want ErrConflict", err)
	}

	// It is agreed to all the same.
	a, err := u.Network.Agency(ctx, agency)
	u.ok(err)
	last := a.Keys[len(a.Keys)-1].KeyID
	u.house.Do(roster.DoNewKey, agency, &roster.NewKey{Use: roster.UseAgency, Agency: agency, Before: last}, u.house.First, second.ID)
	publish(t, u.Service)

	listed := func() verifier.Agency {
		t.Helper()
		publish(t, u.Service)
		pack, err := u.Board.Pack(ctx)
		u.ok(err)
		for _, a := range pack.Trust().Agencies {
			if a.ID == agency {
				return a
			}
		}
		t.Fatal("it stands on no list")
		return verifier.Agency{}
	}
	if got := listed(); len(got.Keys) != verifier.MaxKeys-1 || got.Keys[len(got.Keys)-1].KeyID != last {
		t.Errorf("%d keys, want a place for one more", len(got.Keys))
	}
	u.clock = u.clock.Add(time.Minute)
	u.house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: agency}, u.house.First, u.others[0])
	if !listed().Suspended {
		t.Error("it is not suspended")
	}
	u.house.Do(roster.DoCompromisedAgency, "", &roster.CompromisedAgency{ID: agency, Since: since.Unix()}, u.house.First, u.others[0])
	for _, k := range listed().Keys {
		if k.Compromised == nil {
			t.Errorf("key %s is believed", k.KeyID)
		}
	}
	for range 2 {
		u.ok(u.followCompromised(ctx))
		if got := listed(); len(got.Keys) != verifier.MaxKeys {
			t.Errorf("%d keys, want one that nobody stole beside the others", len(got.Keys))
		}
	}
}
