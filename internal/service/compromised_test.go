package service

import (
	"errors"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// printed makes a card in a case of its own, and returns what stands on it.
func (u *unit) printed() verifier.Presentation {
	u.t.Helper()
	c, err := u.Vault.CreateCase(u.t.Context(), u.by)
	u.ok(err)
	made, err := u.Issuer.IssueCard(u.t.Context(), u.by, credentials.CardOrder{
		Case: c.ID, Name: private.New("MADE UP"), BirthDate: private.New("1990"), RequestKey: randomHex(16),
	})
	u.ok(err)
	code := made.Code.Reveal()
	return verifier.Presentation{Text: made.Digits, Code: &code}
}

// TestWhatWaitedIsStopped: an agency that two people have let in again, and that waits
// for its day, stays out when the network was brought back from a backup meanwhile.
func TestWhatWaitedIsStopped(t *testing.T) {
	u := newUnit(t, false)
	u.ok(u.Suspend(t.Context(), u.by.Agency, false))
	u.house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: u.by.Agency}, u.house.First, u.others[0])
	if n, err := u.StopWaiting(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d stopped, %v", n, err)
	}
	u.clock = u.clock.Add(2 * roster.Delay)
	state, err := u.People.State(t.Context())
	u.ok(err)
	if state.Active(u.by.Agency) || len(state.Waiting) > 0 {
		t.Errorf("it counts all the same: %+v", state.Agencies[u.by.Agency])
	}
	u.house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: u.by.Agency}, u.house.First, u.others[0])
	u.clock = u.clock.Add(roster.Delay)
	if state, err = u.People.State(t.Context()); err != nil || !state.Active(u.by.Agency) {
		t.Errorf("agreed to anew: %v", err)
	}
}

// TestNothingIsBelievedSince: two bodies say since when nothing that an agency signs is
// believed. What was logged on the days before stays what it was, whatever key it has;
// what was signed since is of an unknown issuer, and the agency signs no more.
func TestNothingIsBelievedSince(t *testing.T) {
	u := newUnit(t, false)
	before := u.printed()
	publish(t, u.Service)
	u.clock = u.clock.Add(48 * time.Hour)
	since := u.clock
	after := u.printed()
	publish(t, u.Service)
	state := func(p verifier.Presentation) verifier.State {
		t.Helper()
		pack, err := u.Board.Pack(t.Context())
		u.ok(err)
		return pack.Verify(p, u.clock).State
	}
	if got := []verifier.State{state(before), state(after)}; got[0] != verifier.Unconfirmed || got[1] != verifier.Unconfirmed {
		t.Fatalf("as long as it is believed: %v", got)
	}
	u.clock = u.clock.Add(time.Hour)
	u.house.Do(roster.DoCompromisedAgency, "", &roster.CompromisedAgency{ID: u.by.Agency, Since: since.Unix()}, u.house.First, u.others[0])
	publish(t, u.Service)
	if got := state(before); got != verifier.Unconfirmed {
		t.Errorf("from before: %s", got)
	}
	if got := state(after); got != verifier.IssuerUnknown {
		t.Errorf("from after: %s", got)
	}
	if err := u.card(); !errors.Is(err, credentials.ErrNotAllowed) {
		t.Errorf("a further card: %v, want ErrNotAllowed", err)
	}
	// Another key is no way around it.
	if _, err := u.Network.RotateKey(t.Context(), Console, u.by.Agency); err != nil {
		t.Fatal(err)
	}
	publish(t, u.Service)
	pack, err := u.Board.Pack(t.Context())
	u.ok(err)
	for _, a := range pack.Trust().Agencies {
		for _, k := range a.Keys {
			if (k.Compromised != nil) != (a.ID == u.by.Agency) {
				t.Errorf("key %s of %s is listed as %+v", k.KeyID, a.Name, k.Compromised)
			}
		}
	}
}
