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
	"github.com/safeconduct/safeconduct/network"
)

// unit is one agency of a network that is no demonstration, on a clock of its own.
type unit struct {
	t *testing.T
	*Service
	by    audit.Actor
	clock time.Time
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
	_, err := Found(t.Context(), cfg, f)
	u.ok(err)
	u.Service, err = Open(t.Context(), cfg)
	u.ok(err)
	t.Cleanup(func() { u.ok(u.Close()) })
	a, err := u.Network.AddAgency(t.Context(), Console, network.Agency{Name: "Lotus House", Class: network.NGO, Country: "KHM", Desk: "+855"})
	u.ok(err)
	u.by = audit.Actor{ID: randomHex(16), Agency: a.ID, Role: "caseworker"}
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
	all, err := u.DB.Log().Entries(u.t.Context(), "", 1000)
	u.ok(err)
	for _, e := range all {
		if note, err := audit.ParseNote(e.Sealed); err == nil && note.Kind == kind {
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
	a, err := u.Network.Agency(t.Context(), u.by.Agency)
	u.ok(err)
	a.Terms.Quotas = []network.Quota{{Event: "A compound was opened", Cards: 2, Until: u.clock.Add(48 * time.Hour)}}
	u.ok(u.DB.Network().ReplaceAgency(t.Context(), a))
	u.ok(u.card())
	u.clock = u.clock.Add(24 * time.Hour)
	u.ok(u.card())
	if err := u.card(); !errors.Is(err, credentials.ErrQuota) {
		t.Fatalf("a third for the event: %v", err)
	}
	if got := u.entries("card.quota_exceeded"); got != 2 {
		t.Errorf("refusals of two days are %d entries of the log", got)
	}
	list, err := u.Network.TrustList(t.Context())
	u.ok(err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(list, ".")[1])
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
