package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestAgencyCommands: an agency is shut out while the service runs. Its tokens let
// nobody in from the next call on, and the trust list says so from the next
// publication on; a command that has the folder to itself publishes at once. No
// command lets it in again: people do.
func TestAgencyCommands(t *testing.T) {
	// A demo's passphrase, where a demo has it: the commands stretch it as little.
	cfg := service.Config{Dir: filepath.Join(t.TempDir(), "net"), WorkFactor: service.DemoWork, Passphrase: config.DemoPassphrase + "test"}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	phrase := filepath.Join(cfg.Dir, config.PassphraseName)
	if err := os.WriteFile(phrase, []byte(cfg.Passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want string, args ...string) {
		t.Helper()
		status, out, errs := command(append(args, "--dir", cfg.Dir, "--passphrase-file", phrase)...)
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("%v: %d %s%s, want %q", args, status, out, errs, want)
		}
	}
	suspended := func(s *service.Service, agency string) bool {
		t.Helper()
		pack, err := s.Board.Pack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range pack.Trust().Agencies {
			if a.ID == agency {
				return a.Suspended
			}
		}
		t.Fatal("the agency is not on the trust list")
		return false
	}
	var agency string
	opened(t, cfg, func(s *service.Service) {
		house := peopletest.Joined(t, s.People, s.Passkeys, "https://net.example", access.Join)
		agency = house.Agency(s.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
		token := house.Token(agency, people.Supervisor)
		server := httptest.NewServer(s.API)
		defer server.Close()
		ask := func(want int) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/cases", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("the token gets %d, want %d", answer.StatusCode, want)
			}
		}
		publish := func() {
			t.Helper()
			if _, err := s.Board.Publish(t.Context(), service.Console, false); err != nil {
				t.Fatal(err)
			}
		}
		publish()
		ask(200)
		run("from the next publication on", "agency", "suspend", agency)
		ask(401)
		if suspended(s, agency) {
			t.Error("the trust list was published by a command while the service runs")
		}
		publish()
		if !suspended(s, agency) {
			t.Error("after a publication the trust list does not say that the agency is suspended")
		}
		run(agency+"  suspended", "agency", "list")
		if status, out, _ := command("agency", "resume", agency, "--dir", cfg.Dir, "--passphrase-file", phrase); status == 0 || strings.Contains(out, "let in again") {
			t.Errorf("folder and passphrase let it in again: %d %s", status, out)
		}
		ask(401)
		house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: agency}, house.First)
		ask(200)
	})
	run("let in any more", "agency", "suspend", agency)
	opened(t, cfg, func(s *service.Service) {
		if !suspended(s, agency) {
			t.Error("a command that has the folder to itself did not publish")
		}
	})
	run("Withdrawn: 0 attestations and 0 cards, of 0 cases.", "agency", "withdraw", agency, "--since", "2026-01-01", "--yes", "Lotus")
	run("The lists say all of it now", "agency", "withdraw", agency, "--since", "2026-01-01", "--yes", agency, "--emergency")
	if status, _, _ := command("agency", "withdraw", agency, "--since", "2026-01-01", "--yes", "Rose", "--dir", cfg.Dir, "--passphrase-file", phrase); status == 0 {
		t.Error("withdrawn, and another agency was named")
	}
	today := time.Now().UTC().Format(time.DateOnly)
	run("Keys taken off: 1.", "agency", "compromised", agency, "--since", today)
	run("Keys taken off: 0.", "agency", "compromised", agency, "--since", today) // not the key in its place
	opened(t, cfg, func(s *service.Service) {
		a, err := s.Network.Agency(t.Context(), agency)
		if err != nil || len(a.Keys) != 2 || a.Keys[0].Compromised == nil || a.Keys[1].Compromised != nil {
			t.Errorf("%v; the agency has the keys %+v, want one that was taken off and one in its place", err, a.Keys)
		}
	})
}
