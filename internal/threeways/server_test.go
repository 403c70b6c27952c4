//go:build stretched

package threeways_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// station is the real server, asked over real connections, whose clock and pack
// are those of the case at hand. Whoever asks is an officer with a token.
type station struct {
	httpapi.Board // for what no check asks
	url           string
	token         string
	client        *http.Client
	tries         *sqlstore.CodeTries
	now           atomic.Int64
	pack          *verifier.Pack
	refused       error
}

// Pack hands out the pack of the case at hand.
func (s *station) Pack(context.Context) (*verifier.Pack, error) { return s.pack, s.refused }

// newStations starts servers of one network.
func newStations(t *testing.T, n int) []*station {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db, err := sqlstore.Open(ctx, filepath.Join(dir, "main.db"))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	must(t, storetest.Seal(ctx, db))
	file, err := keyfile.Create(ctx, keyfile.Config{Path: filepath.Join(dir, "keys.age"), Passphrase: "made up", WorkFactor: 1}, "example.org/log")
	must(t, err)
	keys := keystore.New(file)
	passkeys := peopletest.Passkeys(t)
	all, err := people.New(people.Config{Store: db.People(), Checker: passkey.Checker{RelyingParty: passkeys}})
	must(t, err)
	net, err := network.New(network.Config{Store: db.Network(), Keys: keys, Rights: all, ID: networkID, Name: "Made up", BaseURL: "http://localhost", Desk: "+855 00 000 000", Demo: true})
	must(t, err)
	must(t, net.Init(ctx))
	// It is asked whether a card is one of its own, and none of these is.
	issuer, err := credentials.NewIssuer(credentials.IssuerConfig{
		Store: db.Credentials(), Keys: keys, Cases: &vault.Vault{}, Network: struct{ credentials.Network }{}, StatusLists: "http://localhost/status-lists/",
	})
	must(t, err)
	house := peopletest.Found(t, all, passkeys, networkID, true, time.Now())
	agency := house.Agency(net, roster.Agency{Name: "Gate", Class: "ImmigrationService", Country: "KEN", Desk: "+855 00 000 001"})

	stations := make([]*station, n)
	for i := range stations {
		own, err := sqlstore.Open(ctx, filepath.Join(dir, fmt.Sprintf("tries-%d.db", i)))
		must(t, err)
		t.Cleanup(func() { _ = own.Close() })
		must(t, storetest.Seal(ctx, own))
		s := &station{tries: own.CodeTries(), client: &http.Client{Transport: &http.Transport{}}, token: house.Token(agency, people.Officer)}
		server, err := httpapi.New(httpapi.Config{
			People: all, Passkeys: passkeys, Network: net, Board: s, Rate: 1e6,
			// A check issues nothing and keeps nothing, and a program does not sign in.
			Sessions: &signin.Sessions{}, Issuer: issuer, Vault: &vault.Vault{}, LogFiles: fstest.MapFS{},
			Idempotency: httpapi.Once(db.Idempotency(nil), sqlstore.ErrMismatch, sqlstore.ErrInFlight),
			Tries:       s.tries,
			Log:         slog.New(slog.DiscardHandler),
			Now:         func() time.Time { return time.Unix(s.now.Load(), 0).UTC() },
		})
		must(t, err)
		listener := httptest.NewServer(server)
		t.Cleanup(listener.Close)
		s.url = listener.URL + "/api/v1/verifications"
		stations[i] = s
	}
	return stations
}

// check makes the steps of a case.
func (s *station) check(c *oneCase) ([]given, error) {
	if err := s.forget(c); err != nil {
		return nil, err
	}
	var all []given
	for i, one := range c.steps {
		s.now.Store(one.Now)
		status, body, err := s.ask(one)
		want := http.StatusOK
		if c.beyond != "" && i == len(c.steps)-1 {
			want = http.StatusBadRequest
		}
		switch {
		case err != nil:
			return nil, err
		case status != want:
			return nil, fmt.Errorf("HTTP status %d, want %d: %s", status, want, body)
		}
		all = append(all, given{verdict: canonical(body)})
	}
	return all, nil
}

// forget leaves no try of an earlier case.
func (s *station) forget(c *oneCase) error {
	if c.steps[0].Code == nil {
		return nil
	}
	return s.tries.Sweep(context.Background(), day.AddDate(100, 0, 0))
}

func (s *station) ask(one step) (int, []byte, error) {
	order := map[string]string{}
	if one.Text != nil {
		// The contract has two members for what was read, of unequal length.
		field := "digits"
		if utf8.RuneCountInString(*one.Text) > 8000 || len(*one.Text) > 0 && (*one.Text)[0] == 'e' {
			field = "credential"
		}
		order[field] = *one.Text
	}
	if one.Code != nil {
		order["code"] = *one.Code
	}
	body, err := json.Marshal(order)
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequest(http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "0123456789abcdef")
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}
