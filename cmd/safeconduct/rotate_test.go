package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/verifier"
)

// withAgency makes a network with one agency and one case of it, at rest.
func withAgency(t *testing.T, e engines) (cfg houseConfig, agency, record string, by audit.Actor) {
	t.Helper()
	cfg = houseConfig{dir: filepath.Join(t.TempDir(), "net"), engines: e, workFactor: demoWork, now: time.Now, log: slog.New(slog.DiscardHandler)}
	if e.Vault == "" {
		cfg.passphrase = "a passphrase for a test"
	}
	if err := os.Mkdir(cfg.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := found(t.Context(), cfg, founding{id: randomHex(16), name: "Test", baseURL: "https://net.example", desk: "+00 00"}); err != nil {
		t.Fatal(err)
	}
	opened(t, cfg, func(h *house) {
		a, err := h.network.AddAgency(t.Context(), console, network.Agency{Name: "Lotus", Class: network.NGO, Country: "KHM", Desk: "+855"})
		if err != nil {
			t.Fatal(err)
		}
		agency, by = a.ID, audit.Actor{ID: randomHex(16), Agency: a.ID, Role: "supervisor"}
		c, err := h.vault.CreateCase(t.Context(), by)
		if err != nil {
			t.Fatal(err)
		}
		record = c.ID
	})
	return cfg, agency, record, by
}

// opened opens a folder, lets do work in it, and closes it.
func opened(t *testing.T, cfg houseConfig, do func(h *house)) {
	t.Helper()
	h, err := openHouse(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	do(h)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

var errKilled = errors.New("killed")

// TestRotationKilledAnywhere ends a rotation behind each of its steps, and
// between keystore and database, and runs it again: there is one new key, packs
// name it, the old one is ended, and the records still open.
func TestRotationKilledAnywhere(t *testing.T) {
	server := vaulttest.Start(t)
	steps := []string{"begun", "between", "rotated", "published", "retired", "wrapping made", "renewed"}
	for _, keys := range []string{"key file", "Vault"} {
		for _, killed := range steps {
			if keys == "key file" && (killed == "retired" || strings.HasPrefix(killed, "w") || killed == "renewed") {
				continue // that keystore has no such step
			}
			t.Run(keys+", "+killed, func(t *testing.T) {
				e := engines{}
				if keys == "Vault" {
					v := server.Network(t)
					e = engines{Vault: v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile}
				}
				cfg, agency, record, by := withAgency(t, e)
				var before string
				opened(t, cfg, func(h *house) {
					var err error
					if before, _, err = h.keys.Signer(t.Context(), agency); err != nil {
						t.Fatal(err)
					}
					r := &rotation{Agency: agency, Wrapping: keys == "Vault", h: h, alone: true, at: func(step string) error {
						if step == "begun" && killed == "between" {
							// The keystore has the new key and nobody wrote it down.
							if _, _, err := h.keys.RotateAgency(t.Context(), agency); err != nil {
								t.Fatal(err)
							}
							return errKilled
						}
						if step == killed {
							return errKilled
						}
						return nil
					}}
					if _, err := r.run(t.Context()); !errors.Is(err, errKilled) {
						t.Fatalf("was not killed: %v", err)
					}
				})
				opened(t, cfg, func(h *house) {
					r := &rotation{Agency: agency, h: h, alone: true}
					done, err := r.run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					a, err := h.network.Agency(t.Context(), agency)
					if err != nil {
						t.Fatal(err)
					}
					now, key, err := h.keys.Signer(t.Context(), agency)
					if err != nil {
						t.Fatal(err)
					}
					if len(a.Keys) != 2 || a.Keys[0].KeyID != before || a.Keys[1].KeyID != now || done.KeyID != now || done.From != before || !done.Resumed {
						t.Errorf("keys %d, done %+v, signs %s", len(a.Keys), done, now)
					}
					if (keys == "Vault") != done.Retired {
						t.Errorf("retired is %v", done.Retired)
					}
					if _, err := os.Stat(r.path()); !errors.Is(err, fs.ErrNotExist) {
						t.Error("the note of the rotation was left")
					}
					pack, err := h.board.Pack(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if !named(pack.Trust(), agency, now) || !named(pack.Trust(), agency, before) {
						t.Error("the pack does not name both keys")
					}
					if key == nil {
						t.Error("nobody signs")
					}
					if _, err := h.vault.History(t.Context(), by, record); err != nil {
						t.Errorf("the record does not open any more: %v", err)
					}
					// Once more is another rotation.
					again, err := (&rotation{Agency: agency, h: h, alone: true}).run(t.Context())
					if err != nil || again.Resumed || again.From != now {
						t.Errorf("again: %+v %v", again, err)
					}
				})
			})
		}
	}
}

func named(l verifier.TrustList, agency, kid string) bool {
	for _, a := range l.Agencies {
		for _, k := range a.Keys {
			if a.ID == agency && k.KeyID == kid {
				return true
			}
		}
	}
	return false
}

// TestWrappingIsEnded: after a rotation of the key-encryption key, a key file
// from before is of no use to anybody.
func TestWrappingIsEnded(t *testing.T) {
	v := vaulttest.Start(t).Network(t)
	e := engines{Vault: v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile}
	cfg, agency, record, by := withAgency(t, e)
	opened(t, cfg, func(h *house) {
		old, err := h.keyring.Get(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		done, err := (&rotation{Agency: agency, Wrapping: true, h: h, alone: true}).run(t.Context())
		if err != nil || done.Renewed != 1 {
			t.Fatalf("%+v %v", done, err)
		}
		fresh, err := h.keyring.Get(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.vault.History(t.Context(), by, record); err != nil {
			t.Fatal(err)
		}
		if err := h.keyring.Swap(t.Context(), record, fresh, old); err != nil {
			t.Fatal(err)
		}
		if _, err := h.vault.History(t.Context(), by, record); err == nil {
			t.Error("a key file from before the rotation still opens")
		}
	})
}

// TestKeyCommands: what an operator at the machine types, and what it leaves in
// the log.
func TestKeyCommands(t *testing.T) {
	cfg, agency, _, _ := withAgency(t, engines{})
	phrase := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(phrase, []byte(cfg.passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type lines struct {
		status int
		out    string
	}
	do := func(args ...string) lines {
		t.Helper()
		status, out, errs := command(append(args, "--dir", cfg.dir, "--passphrase-file", phrase)...)
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

	opened(t, cfg, func(h *house) {
		m, token, err := h.people.AddMember(t.Context(), console, agency, people.Supervisor)
		if err != nil {
			t.Fatal(err)
		}
		expect(do("member", "list", "--agency", agency), 0, m.ID+"  supervisor  may act")
		expect(do("member", "end", m.ID), 0, "lets nobody in")
		expect(do("member", "end", m.ID), 1, "")
		expect(do("member", "list", "--agency", agency), 0, m.ID+"  supervisor  ended")
		if _, err := h.people.Authenticate(t.Context(), token); !errors.Is(err, people.ErrUnauthenticated) {
			t.Errorf("the token still lets somebody in: %v", err)
		}
		expect(do("key", "rotate", "--agency", agency), 1, "the folder is served")
		expect(do("key", "list"), 0, "signs")
		pack, err := h.board.Pack(t.Context())
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
		found, err := h.check(t.Context(), false)
		if err != nil || len(found.Problems) > 0 {
			t.Errorf("fsck: %v %v", found.Problems, err)
		}
	})
}
