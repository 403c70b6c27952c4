package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

// TestKeyCommands: what an operator at the machine types, and what it leaves in
// the log.
func TestKeyCommands(t *testing.T) {
	// A demo's passphrase, where a demo has it: the commands stretch it as little.
	cfg := service.Config{Dir: filepath.Join(t.TempDir(), "net"), WorkFactor: service.DemoWork, Passphrase: config.DemoPassphrase + "test"}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := service.Found(t.Context(), cfg, service.Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"}); err != nil {
		t.Fatal(err)
	}
	var agency string
	opened(t, cfg, func(s *service.Service) {
		a, err := s.Network.AddAgency(t.Context(), service.Console, network.Agency{Name: "Lotus", Class: network.NGO, Country: "KHM", Desk: "+855"})
		if err != nil {
			t.Fatal(err)
		}
		agency = a.ID
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
		m, token, err := s.People.AddMember(t.Context(), service.Console, agency, people.Supervisor)
		if err != nil {
			t.Fatal(err)
		}
		expect(do("member", "list", "--agency", agency), 0, m.ID+"  supervisor  may act")
		expect(do("member", "end", m.ID), 0, "lets nobody in")
		expect(do("member", "end", m.ID), 1, "")
		expect(do("member", "list", "--agency", agency), 0, m.ID+"  supervisor  ended")
		if _, err := s.People.Authenticate(t.Context(), token); !errors.Is(err, people.ErrUnauthenticated) {
			t.Errorf("the token still lets somebody in: %v", err)
		}
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
