package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// codes are those of what somebody should look at.
func (u *unit) codes() []string {
	u.t.Helper()
	all, err := u.Alarms(u.t.Context())
	u.ok(err)
	var codes []string
	for _, a := range all {
		codes = append(codes, string(a.Code))
	}
	slices.Sort(codes)
	return codes
}

// TestAlarmsTell: what is unusual is told as long as it is, and nothing is told of a
// network in which all is well.
func TestAlarmsTell(t *testing.T) {
	u := newUnit(t, false)
	ctx := t.Context()
	publish := func() {
		t.Helper()
		_, err := u.Board.Publish(ctx, Console, false)
		u.ok(err)
	}
	publish()
	if got := u.codes(); len(got) != 0 {
		t.Errorf("all is well: %q", got)
	}
	u.clock = u.clock.Add(4 * time.Hour) // before anything is counted: budgets are of a day
	u.house.Do(roster.DoAddPerson, "", &roster.AddPerson{Person: people.NewPerson("", "op-2", people.Operator), Link: roster.Link{Hash: make([]byte, 32), Until: u.clock.Add(72 * time.Hour).Unix()}}, u.house.First, u.others[0])
	for range vault.LookUpsPerOfficer {
		u.ok(u.DB.Vault().Spend(ctx, u.clock, vault.Budget{Who: "actor:" + u.others[1], Limit: vault.LookUpsPerOfficer}))
	}
	u.ok(u.DB.Credentials().Refused(ctx, u.by.Agency, u.clock))
	for i := range 7 { // agencies that look up what they may, and are all together stopped by nothing
		for range vault.LookUpsPerAgency {
			u.ok(u.DB.Vault().Spend(ctx, u.clock, vault.Budget{Who: fmt.Sprint("agency:", i), Limit: vault.LookUpsPerAgency}))
		}
	}
	hour := u.clock.Unix()/3600 - 1 // of an hour is told when it is over
	tried := func(times int, of credentials.Budget) {
		t.Helper()
		for range times {
			within, err := u.DB.Credentials().TryPaper(ctx, []credentials.Budget{of}, hour)
			if u.ok(err); !within {
				t.Fatal("one of so many tries is too many")
			}
		}
	}
	tried(credentials.WrongPerDay, credentials.Budget{Place: [16]byte{1}, Daily: credentials.WrongPerDay})
	for i := range byte(2) { // with two numbers, and the agency together with one
		tried(credentials.WrongPerDayAsker, credentials.Budget{Place: [16]byte{2, i}, Who: "actor:" + u.others[1], Daily: credentials.WrongPerDayAsker})
	}
	tried(credentials.WrongPerDayAsker-1, credentials.Budget{Place: [16]byte{2, 2}, Who: "actor:" + u.others[0], Daily: credentials.WrongPerDayAsker})
	tried(credentials.WrongPerDayAgency, credentials.Budget{Place: [16]byte{3}, Who: "agency:" + u.by.Agency, Daily: credentials.WrongPerDayAgency})
	tried(credentials.WrongPerDayAgency-1, credentials.Budget{Place: [16]byte{3, 1}, Who: "agency:" + u.by.Agency, Daily: credentials.WrongPerDayAgency})
	if got, want := u.codes(), []string{"changes_waiting", "look_ups", "look_ups", "look_ups", "look_ups", "look_ups", "look_ups", "look_ups", "look_ups", "look_ups_in_all", "publishing_stopped", "quota_exceeded", "wrong_codes", "wrong_codes_at_desk", "wrong_codes_at_desk"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	all, err := u.Alarms(ctx)
	u.ok(err)
	for _, a := range all {
		if a.Code == httpapi.AlarmQuota && a.Agency != u.by.Agency || a.Code == httpapi.AlarmLookUps && (a.Agency == "" || a.Count != vault.LookUpsPerOfficer && a.Count != vault.LookUpsPerAgency) ||
			a.Code == httpapi.AlarmLookUpsInAll && (a.Agency != "" || a.Count != 7*vault.LookUpsPerAgency) || a.Code == httpapi.AlarmWrongCodes && a.Count != 1 {
			t.Errorf("%s of %q, %d", a.Code, a.Agency, a.Count)
		}
		if a.Code == httpapi.AlarmWrongAtDesk && (a.Asker != u.others[1] || a.Count != 2) && (a.Asker != "" || a.Agency != u.by.Agency || a.Count != 1) {
			t.Errorf("%s of %q, %q, %d", a.Code, a.Agency, a.Asker, a.Count)
		}
	}
	publish()
	u.clock = u.clock.Add(8 * 24 * time.Hour)
	publish()
	if got := u.codes(); len(got) != 0 {
		t.Errorf("a week later: %q", got)
	}

	// A roster that is not the one that was logged stops publishing.
	u.wrongRoster.Store(rosterError("was altered"))
	if got := u.codes(); !slices.Contains(got, "roster_mismatch") {
		t.Errorf("a roster that was altered: %q", got)
	}
	if _, err := u.Board.Publish(ctx, Console, false); !errors.Is(err, people.ErrDamaged) {
		t.Errorf("published with it: %v", err)
	}
	u.ok(u.watchRoster(ctx))
	publish()
}

// TestReopenedFounding: the root and the one person who is left open the founding again,
// and devices are told for 30 days.
func TestReopenedFounding(t *testing.T) {
	u := newUnit(t, false)
	ctx := t.Context()
	if _, _, err := u.Reopen(ctx, false); !errors.Is(err, people.ErrConflict) {
		t.Errorf("while two can agree: %v", err)
	}
	for _, gone := range u.others {
		u.ok(u.EndMember(ctx, gone))
	}
	q, done, err := u.Reopen(ctx, false)
	if err != nil || done {
		t.Fatalf("asked: %v %v", done, err)
	}
	if _, _, err := u.Reopen(ctx, false); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("before anybody agreed: %v", err)
	}
	_, err = u.People.Agree(ctx, u.house.Actor(u.house.First), q.Act.ID, u.house.Proof(q.Act, u.house.First))
	u.ok(err)
	if _, done, err = u.Reopen(ctx, true); err != nil || !done {
		t.Fatalf("signed: %v %v", done, err)
	}
	if got := u.codes(); !slices.Contains(got, "founding_open") || !slices.Contains(got, "founding_reopened") {
		t.Errorf("alarms: %q", got)
	}
	pack, err := u.Board.Pack(ctx)
	u.ok(err)
	if got, want := pack.Reopened(), u.clock.UTC().Format(time.DateOnly); got != want {
		t.Errorf("devices are told %q, want %q", got, want)
	}
	u.clock = u.clock.Add(31 * 24 * time.Hour)
	_, err = u.Board.Publish(ctx, Console, false)
	u.ok(err)
	if pack, err = u.Board.Pack(ctx); err != nil || pack.Reopened() != "" {
		t.Errorf("a month later devices are told %q, %v", pack.Reopened(), err)
	}
}

// TestKeysInOtherHands: two people say so, and the running service takes every key off,
// once, and signs with a new one.
func TestKeysInOtherHands(t *testing.T) {
	u := newUnit(t, false)
	ctx := t.Context()
	since := u.clock.UTC().Truncate(24 * time.Hour)
	u.house.Do(roster.DoCompromisedAgency, "", &roster.CompromisedAgency{ID: u.by.Agency, Since: since.Unix()}, u.house.First, u.others[0])
	for range 2 {
		u.ok(u.followCompromised(ctx))
		a, err := u.Network.Agency(ctx, u.by.Agency)
		u.ok(err)
		if len(a.Keys) != 2 || !takenOff(a.Keys[0], since) || a.Keys[1].Compromised != nil {
			t.Fatalf("%d keys, the first off: %v", len(a.Keys), takenOff(a.Keys[0], since))
		}
	}
	// A key that is changed later is not the one that was in other hands.
	_, err := u.Network.RotateKey(ctx, Console, u.by.Agency)
	u.ok(err)
	u.ok(u.followCompromised(ctx))
	if a, err := u.Network.Agency(ctx, u.by.Agency); err != nil || len(a.Keys) != 3 || a.Keys[2].Compromised != nil || a.Keys[1].Compromised != nil {
		t.Errorf("%d keys, %v", len(a.Keys), err)
	}
	if _, err := os.Stat(filepath.Join(u.cfg.Dir, "rotation.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a rotation is left: %v", err)
	}
}

// TestCeremonies: two people have keys replaced that sign for the network and for an
// agency. The next publication names and uses the new ones, the old ones of the network
// stand beside them for a time, and what they signed is good.
func TestCeremonies(t *testing.T) {
	u := newUnit(t, false)
	ctx := t.Context()
	publish := func() *verifier.Pack {
		t.Helper()
		_, err := u.Board.Publish(ctx, Console, false)
		u.ok(err)
		pack, err := u.Board.Pack(ctx)
		u.ok(err)
		return pack
	}
	kids := func(pack *verifier.Pack, use verifier.Use) (all []string) {
		for _, k := range pack.Trust().Keys {
			if k.Use == use {
				all = append(all, k.KeyID+k.Note)
			}
		}
		return all
	}
	first := publish()
	older := headBy(t, u.Service, kids(first, verifier.UseLog)[0])
	for _, use := range []verifier.Use{verifier.UseStatus, verifier.UsePack, verifier.UseLog} {
		before := kids(first, use)
		what, err := u.Network.NewKey(ctx, string(use), "")
		u.ok(err)
		u.house.Do(roster.DoNewKey, "", what, u.house.First, u.others[0])
		after := kids(publish(), use)
		if len(before) != 1 || len(after) != 2 || after[0] == before[0] || after[1] != before[0] {
			t.Errorf("%s: %q after %q, want a new one with the old one beside it", use, after, before)
		}
		if again := kids(publish(), use); !slices.Equal(again, after) {
			t.Errorf("%s: replaced once more: %q", use, again)
		}
		// What was agreed to is done once.
		if _, err := u.People.Ask(ctx, u.house.Actor(u.house.First), roster.DoNewKey, "", what); !errors.Is(err, people.ErrConflict) {
			t.Errorf("%s: asked for again: %v", use, err)
		}
	}
	// The log goes on under its name: both keys sign, and show that it forgot nothing.
	logKeys := kids(publish(), verifier.UseLog)
	for _, vkey := range logKeys {
		goesOn(t, u.Service, vkey, older)
	}
	agency := u.by.Agency
	what, err := u.Network.NewKey(ctx, roster.UseAgency, agency)
	u.ok(err)
	link, secret := u.People.NewLink()
	second := people.NewPerson("", "operator-2", people.Operator)
	u.house.Do(roster.DoAddPerson, "", &roster.AddPerson{Person: second, Link: link}, u.house.First, u.others[0])
	u.clock = u.clock.Add(roster.Delay)
	u.house.Join(second.ID, secret)
	u.house.Do(roster.DoNewKey, agency, what, u.house.First, second.ID)
	publish()
	a, err := u.Network.Agency(ctx, agency)
	u.ok(err)
	if len(a.Keys) != 2 || a.Keys[0].KeyID != what.Before || a.Keys[0].Revoked {
		t.Errorf("the agency has %d keys", len(a.Keys))
	}
	u.clock = u.clock.Add(41 * 24 * time.Hour)
	late := publish()
	for _, use := range []verifier.Use{verifier.UseStatus, verifier.UseLog} {
		if got := kids(late, use); len(got) != 1 || got[0] == kids(first, use)[0] {
			t.Errorf("%s: 41 days later the trust list names %q", use, got)
		}
	}
	if _, err := audit.Verify(u.LogDir, logKeys[1]); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("the former key of the log signs still: %v", err)
	}
	if _, err := audit.Verify(u.LogDir, logKeys[0]); err != nil {
		t.Error(err)
	}
}
