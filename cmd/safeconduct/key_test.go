package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestKeyCommands: what an operator at the machine types, and what it leaves in
// the log.
func TestKeyCommands(t *testing.T) {
	// A demo's passphrase, where a demo has it: the commands stretch it as little.
	cfg := service.Config{Dir: filepath.Join(t.TempDir(), "net"), WorkFactor: service.DemoWork, Passphrase: config.DemoPassphrase + "test"}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	var agency string
	var house *peopletest.House
	opened(t, cfg, func(s *service.Service) {
		house = peopletest.Joined(t, s.People, s.Passkeys, "https://net.example", access.Join)
		agency = house.Agency(s.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
	})
	phrase := filepath.Join(cfg.Dir, config.PassphraseName)
	if err := os.WriteFile(phrase, []byte(cfg.Passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type lines struct {
		status int
		out    string
	}
	do := func(args ...string) lines {
		t.Helper()
		status, out, errs := command(append(args, "--dir", cfg.Dir, "--passphrase-file", phrase)...)
		return lines{status, out + errs}
	}
	expect := func(got lines, status int, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if got.status != status || !strings.Contains(got.out, part) {
				t.Errorf("got %d %s, want %d and %q", got.status, got.out, status, part)
			}
		}
	}
	first := do("key", "list", "--agency", agency)
	expect(first, 0, agency, "signs")
	kid := strings.Fields(first.out)[1]
	expect(do("key", "list", "--agency", randomHex(16)), 1, "no such record")
	expect(do("key", "rotate", "--agency", agency), 1, "two people agree")
	// Those of the network are listed before those of the agencies.
	network := do("key", "list")
	expect(network, 0, "trust  ", "status  ", "pack  ", "log  ", first.out)
	if n := strings.Count(network.out, "signs\n"); n != 4 || strings.Contains(first.out, "trust") {
		t.Errorf("%d keys of the network sign:\n%s", n, network.out)
	}
	expect(do("key", "rotate", "--agency", randomHex(16)), 1, "no such record")
	expect(do("key", "rotate", "--agency", "Lotus"), 1, "an id", "safeconduct agency list")
	status, _, errs := command("key", "rotate", "--agency", "Lotus", "--url", "http://127.0.0.1:1", "--token-file", phrase)
	expect(lines{status, errs}, 1, "an id", "safeconduct agency list")
	expect(do("key", "rotate", "--use", "pack"), 1, "two people agree")
	opened(t, cfg, func(s *service.Service) {
		house = house.At(t, s.People, s.Passkeys)
		house.Do(roster.DoNewKey, agency, &roster.NewKey{Use: roster.UseAgency, Agency: agency, Before: kid}, house.First)
	})
	expect(do("key", "rotate", "--agency", agency), 0, kid+" stays valid")
	expect(do("key", "list"), 0, kid+"  old", "signs")
	expect(do("key", "rotate", "--agency", agency, "--wrapping"), 1, "HashiCorp Vault only")
	expect(do("key", "compromised", "--agency", agency, "--kid", kid, "--since", "22.11.2026"), 1, "--since")
	expect(do("key", "compromised", "--agency", agency, "--kid", "0000000000000000", "--since", "2026-11-22"), 1, "key list")
	expect(do("key", "compromised", "--agency", agency, "--kid", kid, "--since", "2026-11-22"), 0, "logged before 2026-11-22")
	expect(do("key", "list"), 0, kid+"  compromised")
	expect(do("epoch", "list"), 0, "live", "next")
	expect(do("epoch", "rotate"), 0, "live")
	expect(do("epoch", "burn", "--yes", "Tset"), 1, "nothing was changed")
	expect(do("epoch", "burn"), 1, "The price", "nothing was changed")
	expect(do("epoch", "burn", "--yes", "Test"), 0, "2 epochs are burned")
	expect(do("epoch", "list"), 0, "burned", "live", "next")

	opened(t, cfg, func(s *service.Service) {
		house = house.At(t, s.People, s.Passkeys)
		program, token := house.Program(agency, people.Supervisor, house.First)
		expect(do("member", "list", "--agency", agency), 0, program.ID+"  program  active    supervisor ")
		expect(do("member", "end", program.ID), 0, "lets them in any more")
		expect(do("member", "end", program.ID), 1, "")
		expect(do("member", "list", "--agency", agency), 0, program.ID+"  program  ended     supervisor ")
		if _, err := s.People.Authenticate(t.Context(), token); !errors.Is(err, people.ErrUnauthenticated) {
			t.Errorf("the token still lets somebody in: %v", err)
		}
		// A person is signed out at once, and cannot sign in again.
		person := house.Person(agency, people.Supervisor, house.First)
		session, _, err := s.Sessions.Start(t.Context(), person, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sessions.Read(t.Context(), session); err != nil {
			t.Errorf("somebody who has signed in: %v", err)
		}
		expect(do("member", "list", "--agency", agency), 0, person+"  person   active    supervisor ")
		expect(do("member", "end", person), 0, "lets them in any more")
		expect(do("member", "end", person), 1, "")
		expect(do("member", "list", "--agency", agency), 0, person+"  person   ended     supervisor ")
		if _, _, err := s.People.Person(t.Context(), person); !errors.Is(err, people.ErrUnauthenticated) {
			t.Errorf("the person can still sign in: %v", err)
		}
		if _, err := s.Sessions.Read(t.Context(), session); err == nil {
			t.Error("the session of somebody who was ended is still good")
		}
		expect(do("member", "end", randomHex(16)), 1, "no such record")
		expect(do("member", "list"), 0, house.First+"  person   active    operator ")
		expect(do("key", "rotate", "--agency", agency), 1, "the folder is served")
		expect(do("key", "list"), 0, "signs")
		pack, err := s.Board.Pack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range pack.Trust().Agencies {
			for _, k := range a.Keys {
				if (k.KeyID == kid) != (k.Compromised != nil) {
					t.Errorf("the trust list says of %s: %+v", k.KeyID, k.Compromised)
				}
			}
		}
		found, err := doctor.Check(t.Context(), s, false)
		if err != nil || len(found.Problems) > 0 {
			t.Errorf("fsck: %v %v", found.Problems, err)
		}
	})
}

// opened opens a folder, lets do work in it, and closes it.
func opened(t *testing.T, cfg service.Config, do func(s *service.Service)) {
	t.Helper()
	s, err := service.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
