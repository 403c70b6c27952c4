package service

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// headBy is the newest checkpoint of a log, as one key shows it.
func headBy(t *testing.T, h *Service, vkey string) audit.Checkpoint {
	t.Helper()
	signed, err := fs.ReadFile(h.LogDir, CheckpointName)
	if err != nil {
		t.Fatal(err)
	}
	head, err := audit.ParseCheckpoint(signed, vkey)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// goesOn sees that a log goes on behind a checkpoint, as one key shows it.
func goesOn(t *testing.T, h *Service, vkey string, before audit.Checkpoint) {
	t.Helper()
	head := headBy(t, h, vkey)
	proof, err := audit.ProveConsistency(h.LogDir, vkey, before.Size)
	if err == nil {
		err = audit.CheckConsistency(before, head, proof)
	}
	if err != nil || head.Size <= before.Size {
		t.Errorf("%d leaves after %d: %v", head.Size, before.Size, err)
	}
}

// TestLogKeyCutOff: with either keystore a change of the log's key is cut off before it is
// published. Opened again the log is whole and goes on, both keys sign, no third one is
// made, and 41 days later the new one signs alone.
func TestLogKeyCutOff(t *testing.T) {
	server := vaulttest.Start(t)
	for _, keys := range []string{"key file", "Vault"} {
		for name, cut := range map[string]func(h *Service, before string) error{
			"before the database knows": func(h *Service, before string) error {
				return h.Keys.RotateOwn(t.Context(), verifier.UseLog, before)
			},
			"before the trust list": func(h *Service, _ string) error { return h.Network.Renew(t.Context()) },
			"before the checkpoint": func(h *Service, _ string) error {
				return errors.Join(h.Network.Renew(t.Context()), h.Board.makePack(t.Context()))
			},
		} {
			t.Run(keys+", "+name, func(t *testing.T) {
				e := config.Engines{}
				if keys == "Vault" {
					v := server.Network(t)
					e = config.Engines{Vault: v.Address, VaultCA: v.CACert, VaultMount: v.Mount, VaultPrefix: v.Prefix, VaultRoleID: v.RoleIDFile, VaultSecretID: v.SecretIDFile}
				}
				logKeyCutOff(t, e, cut)
			})
		}
	}
}

func logKeyCutOff(t *testing.T, e config.Engines, cut func(h *Service, before string) error) {
	t.Helper()
	cfg, house, _, _, _ := withPeople(t, e) //nolint:dogsled // a network at rest
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var first string
	var before audit.Checkpoint
	opened(t, cfg, func(h *Service) {
		publish(t, h)
		var err error
		first, err = h.Keys.LogKey(t.Context())
		check(err)
		before = headBy(t, h, first)
		what, err := h.Network.NewKey(t.Context(), roster.UseLog, "")
		check(err)
		house.At(t, h.People, h.Passkeys).Do(roster.DoNewKey, "", what, house.First)
		check(cut(h, what.Before))
	})
	var later time.Duration
	cfg.Now = func() time.Time { return time.Now().Add(later) }
	opened(t, cfg, func(h *Service) {
		_, err := h.CheckLog(t.Context())
		check(err)
		publish(t, h)
		vkeys, err := h.Keys.LogKeys(t.Context())
		check(err)
		if len(vkeys) != 2 || vkeys[1] != first {
			t.Fatalf("the log has the keys %q, and had %s", vkeys, first)
		}
		for _, vkey := range vkeys {
			goesOn(t, h, vkey, before)
		}
		later = 41 * 24 * time.Hour
		publish(t, h)
		headBy(t, h, vkeys[0])
		if _, err := audit.Verify(h.LogDir, first); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("the former key still signs: %v", err)
		}
	})
}
