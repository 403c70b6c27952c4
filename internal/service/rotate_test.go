package service

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
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// made is an agency as most tests want one.
var made = roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"}

// testSite is where the networks of these tests are.
const testSite = "https://net.example"

// joined is a network whose first operator has joined.
func joined(t *testing.T, s *Service, access Access) *peopletest.House {
	t.Helper()
	return peopletest.Joined(t, s.People, s.Passkeys, testSite, access.Join)
}

// withAgency makes a network with one agency and one case of it, at rest.
func withAgency(t *testing.T, e config.Engines) (cfg Config, agency, record string, by audit.Actor) {
	t.Helper()
	cfg, _, agency, record, by = withPeople(t, e)
	return cfg, agency, record, by
}

// withPeople is withAgency for whoever has the people do something: house is for At.
func withPeople(t *testing.T, e config.Engines) (cfg Config, house *peopletest.House, agency, record string, by audit.Actor) {
	t.Helper()
	cfg = Config{Dir: filepath.Join(t.TempDir(), "net"), Engines: e, WorkFactor: DemoWork, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if e.Vault == "" {
		cfg.Passphrase = "a passphrase for a test"
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: testSite, Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	opened(t, cfg, func(h *Service) {
		house = joined(t, h, access)
		agency = house.Agency(h.Network, made)
		by = audit.Actor{ID: randomHex(16), Agency: agency, Role: "supervisor"}
		c, err := h.Vault.CreateCase(t.Context(), by)
		if err != nil {
			t.Fatal(err)
		}
		record = c.ID
	})
	return cfg, house, agency, record, by
}

// opened opens a folder, lets do work in it, and closes it.
func opened(t *testing.T, cfg Config, do func(h *Service)) {
	t.Helper()
	h, err := Open(t.Context(), cfg)
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
				e := config.Engines{}
				if keys == "Vault" {
					v := server.Network(t)
					e = config.Engines{Vault: v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile}
				}
				cfg, agency, record, by := withAgency(t, e)
				var before string
				opened(t, cfg, func(h *Service) {
					var err error
					if before, _, err = h.Keys.Signer(t.Context(), agency); err != nil {
						t.Fatal(err)
					}
					r := &rotation{Agency: agency, Wrapping: keys == "Vault", s: h, alone: true, at: func(step string) error {
						if step == "begun" && killed == "between" {
							// The keystore has the new key and nobody wrote it down.
							if _, _, err := h.Keys.RotateAgency(t.Context(), agency, before); err != nil {
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
				opened(t, cfg, func(h *Service) {
					r := &rotation{Agency: agency, s: h, alone: true}
					done, err := r.run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					a, err := h.Network.Agency(t.Context(), agency)
					if err != nil {
						t.Fatal(err)
					}
					now, key, err := h.Keys.Signer(t.Context(), agency)
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
					pack, err := h.Board.Pack(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if !named(pack.Trust(), agency, now) || !named(pack.Trust(), agency, before) {
						t.Error("the pack does not name both keys")
					}
					if key == nil {
						t.Error("nobody signs")
					}
					if _, err := h.Vault.History(t.Context(), by, record); err != nil {
						t.Errorf("the record does not open any more: %v", err)
					}
					// Once more is another rotation.
					again, err := (&rotation{Agency: agency, s: h, alone: true}).run(t.Context())
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
	e := config.Engines{Vault: v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile}
	cfg, agency, record, by := withAgency(t, e)
	opened(t, cfg, func(h *Service) {
		old, err := h.Keyring.Get(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		done, err := (&rotation{Agency: agency, Wrapping: true, s: h, alone: true}).run(t.Context())
		if err != nil || done.Renewed != 1 {
			t.Fatalf("%+v %v", done, err)
		}
		fresh, err := h.Keyring.Get(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := h.Vault.Seal(t.Context(), record, []byte("a token"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Vault.Open(t.Context(), by, record, sealed); err != nil {
			t.Fatal(err)
		}
		if err := h.Keyring.Swap(t.Context(), record, fresh, old); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Vault.Open(t.Context(), by, record, sealed); err == nil {
			t.Error("a key file from before the rotation still opens")
		}
	})
}
