package service

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// unit is one agency of a network that is no demonstration, on a clock of its own.
type unit struct {
	t *testing.T
	*Service
	by     audit.Actor
	clock  time.Time
	others []string // people who answer for two other agencies
	house  *peopletest.House
}

func newUnit(t *testing.T, demo bool) *unit {
	t.Helper()
	u := &unit{t: t, clock: time.Now()}
	cfg := Config{
		Dir: filepath.Join(t.TempDir(), "net"), WorkFactor: DemoWork, Now: func() time.Time { return u.clock },
		Passphrase: "a passphrase for a test", Log: slog.New(slog.DiscardHandler),
	}
	u.ok(os.Mkdir(cfg.Dir, 0o700))
	f := Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00", Demo: demo}
	if demo {
		f.BaseURL = "http://localhost:8080"
	}
	access, err := Found(t.Context(), cfg, f)
	u.ok(err)
	u.Service, err = Open(t.Context(), cfg)
	u.ok(err)
	t.Cleanup(func() { u.ok(u.Close()) })
	u.house = peopletest.Joined(t, u.People, u.Passkeys, strings.TrimSuffix(f.BaseURL, "/"), access.Join)
	for _, name := range []string{"Bridge House", "River House"} {
		id := u.house.Agency(u.Network, roster.Agency{Name: name, Class: "NGO", Country: "KHM", Desk: "+855"})
		u.others = append(u.others, u.house.Person(id, people.Supervisor, u.house.First))
	}
	// Admitted by two bodies, when the founding is over: who was there before has no
	// probation.
	u.house.Do(roster.DoCloseFounding, "", &roster.CloseFounding{}, u.house.First, u.others[0])
	lotus := randomHex(16)
	u.house.Do(roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: roster.Agency{
		ID: lotus, Name: "Lotus House", Class: "NGO", Country: "KHM", Desk: "+855", Kinds: []string{},
	}}, u.house.First, u.others[0])
	if !demo {
		u.clock = u.clock.Add(roster.Delay)
	}
	u.ok(u.Network.Adopt(t.Context()))
	u.by = audit.Actor{ID: randomHex(16), Agency: lotus, Role: "caseworker"}
	return u
}

func (u *unit) ok(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

// card makes a card in a case of its own.
func (u *unit) card() error {
	u.t.Helper()
	c, err := u.Vault.CreateCase(u.t.Context(), u.by)
	u.ok(err)
	_, err = u.Issuer.IssueCard(u.t.Context(), u.by, credentials.CardOrder{
		Case: c.ID, Name: private.New("MADE UP"), BirthDate: private.New("1990"), RequestKey: randomHex(16),
	})
	return err
}

// entries counts the entries of a kind in the log that belong to no case.
func (u *unit) entries(kind string) (n int) {
	u.t.Helper()
	all, err := u.DB.Log().Entries(u.t.Context())
	u.ok(err)
	for _, e := range all {
		if note, err := e.Read(); err == nil && note.Kind == kind {
			n++
		}
	}
	return n
}

// TestProbation is hostile case 52: a new agency makes twenty cards in its first
// month, unless it was let make more for an event, and is refused the next.
func TestProbation(t *testing.T) {
	u := newUnit(t, false)
	for range network.ProbationCards {
		u.ok(u.card())
	}
	for range 3 {
		if err := u.card(); !errors.Is(err, credentials.ErrQuota) {
			t.Fatalf("a card more: %v", err)
		}
	}
	if got := u.entries("card.quota_exceeded"); got != 1 {
		t.Errorf("three refusals of one day are %d entries of the log", got)
	}

	// Two more for an event, for two days.
	u.house.Do(roster.DoRaiseQuota, "", &roster.RaiseQuota{Quota: roster.Quota{
		Agency: u.by.Agency, Event: "A compound was opened", Cards: 2, Until: u.clock.Add(48 * time.Hour).Unix(),
	}}, u.others...)
	u.ok(u.card())
	u.clock = u.clock.Add(24 * time.Hour)
	u.ok(u.card())
	if err := u.card(); !errors.Is(err, credentials.ErrQuota) {
		t.Fatalf("a third for the event: %v", err)
	}
	if got := u.entries("card.quota_exceeded"); got != 2 {
		t.Errorf("refusals of two days are %d entries of the log", got)
	}
	signed, err := u.Network.TrustList(t.Context())
	u.ok(err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(signed.Compact, ".")[1])
	u.ok(err)
	if !strings.Contains(string(payload), `"quotas":[{"event":"A compound was opened","cards":2,"until":`) {
		t.Errorf("the trust list does not say who was let make more cards: %s", payload)
	}
	u.clock = u.clock.Add(28 * 24 * time.Hour)
	if err := u.card(); !errors.Is(err, credentials.ErrQuota) {
		t.Fatalf("on the last day: %v", err)
	}
	u.clock = u.clock.Add(24 * time.Hour)
	u.ok(u.card())
}

// TestNoProbationInADemo: nobody waits a month to see a demonstration.
func TestNoProbationInADemo(t *testing.T) {
	u := newUnit(t, true)
	for range network.ProbationCards + 5 {
		u.ok(u.card())
	}
}
