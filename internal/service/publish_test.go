package service

import (
	"context"
	"crypto"
	"log/slog"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestPublishDelaysNobody: wherever a publication is made to wait, a case is opened and
// an attestation signed meanwhile; and it writes as many heads whatever waits for it.
func TestPublishDelaysNobody(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), WorkFactor: DemoWork, Passphrase: "a passphrase for a test", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: peopletest.Address, Desk: "+00 00", Demo: true})
	must(err)
	s, err := Open(t.Context(), cfg)
	must(err)
	defer func() { must(s.Close()) }()
	agency := peopletest.Joined(t, s.People, s.Passkeys, peopletest.Origin, access.Join).
		Agency(s.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
	o := office{by: audit.Actor{ID: randomHex(16), Agency: agency, Role: "supervisor"}}
	work := func() credentials.ID {
		t.Helper()
		c, err := s.Vault.CreateCase(t.Context(), o.by)
		must(err)
		o.record = c.ID
		id, err := o.issue(t.Context(), s)
		must(err)
		return id
	}

	at, on := make(chan string), make(chan struct{})
	wait := func(where string) { at <- where; <-on }
	believed, keepRows := s.Board.believed, s.Board.keepRows
	s.Board.believed = func() error { wait("before it begins"); return believed() }
	s.Board.keepRows = func(ctx context.Context) error { wait("when all is public"); return keepRows(ctx) }
	s.Board.publisher, err = credentials.NewPublisher(credentials.PublisherConfig{
		Store: s.DB.Credentials(), Decoys: s.Keys.Decoys,
		Signer: func(ctx context.Context) (string, crypto.Signer, error) {
			wait("before its lists are signed")
			signer, err := s.Keys.Status(ctx)
			return signer.KeyID, signer.Key, err
		},
		StatusLists: s.Network.StatusLists(), AnswersLists: s.Network.AnswersLists(), Now: cfg.Now,
	})
	must(err)
	publish := func() (written int64) {
		t.Helper()
		before, done := s.DB.Seen(), make(chan error)
		worked := int64(0)
		go func() {
			_, err := s.Board.Publish(t.Context(), audit.Actor{ID: "service"}, false)
			done <- err
		}()
		for {
			select {
			case where := <-at:
				t.Log(where)
				begun := s.DB.Seen()
				work()
				worked += s.DB.Seen() - begun
				on <- struct{}{}
			case err := <-done:
				must(err)
				return s.DB.Seen() - before - worked
			}
		}
	}
	publish()
	few := publish()
	for range 40 {
		_, err := s.Issuer.ChangeAttestation(t.Context(), o.by, work(), credentials.Withdraw, credentials.ReasonOther, randomHex(16))
		must(err)
	}
	// The places of a window are drawn, and some share a head.
	if many := publish(); many > 2*few {
		t.Errorf("%d heads for 40 changes that wait, %d for none", many, few)
	}
}
