package service

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// atOnce asks for as many cards of a case at once, as a supervisor, who may, and counts
// those that were made.
func (u *unit) atOnce(n int) (made int) {
	u.t.Helper()
	by := audit.Actor{ID: u.by.ID, Agency: u.by.Agency, Role: string(people.Supervisor)}
	c, err := u.Vault.CreateCase(u.t.Context(), by)
	u.ok(err)
	var through atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			_, err := u.Issuer.IssueCard(u.t.Context(), by, credentials.CardOrder{
				Case: c.ID, Name: private.New("MADE UP"), BirthDate: private.New("1990"), RequestKey: randomHex(16), Supervised: true,
			})
			switch {
			case err == nil:
				through.Add(1)
			case !errors.Is(err, credentials.ErrQuota):
				u.t.Errorf("at once: %v", err)
			}
		})
	}
	wg.Wait()
	return int(through.Load())
}

// TestCardsAtOnce is hostile case 52 with a hundred at once: exactly as many cards are
// made as an agency in its probation may make, and exactly as many more as it was let
// make for an event.
func TestCardsAtOnce(t *testing.T) {
	t.Parallel()
	u := newUnit(t, false)
	if made := u.atOnce(100); made != network.ProbationCards {
		t.Errorf("%d cards of a hundred at once, want %d", made, network.ProbationCards)
	}
	u.house.Do(roster.DoRaiseQuota, "", &roster.RaiseQuota{Quota: roster.Quota{
		Agency: u.by.Agency, Event: "A compound was opened", Cards: 3, Until: u.clock.Add(48 * time.Hour).Unix(),
	}}, u.others...)
	if made := u.atOnce(20); made != 3 { // each costs what a code costs
		t.Errorf("%d cards more of twenty at once, want 3", made)
	}
	if got := u.entries("card.quota_exceeded"); got != 1 {
		t.Errorf("the refusals of one day are %d entries of the log", got)
	}
}
