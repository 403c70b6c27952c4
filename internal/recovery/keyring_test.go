package recovery_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestRestoreKeyring loses the keyring alone, on a server, after one more record
// was made than its backup knows: what the backup has opens again, what it lacks
// stays shut, and that has to be confirmed by name.
func TestRestoreKeyring(t *testing.T) {
	server, temp := pgtest.Shared(t), t.TempDir()
	cfg := service.Config{
		Dir: filepath.Join(temp, "net"), Passphrase: "a passphrase for a test", WorkFactor: service.DemoWork,
		Engines: config.Engines{Database: server.Database(t), Keyring: server.Database(t)},
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(temp, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret, one, err := backup.NewIdentity()
	_, two, err2 := backup.NewIdentity()
	if err := errors.Join(err, err2, os.Mkdir(cfg.Dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	folder := config.Folder{Dir: cfg.Dir, PassphraseFile: write("passphrase", cfg.Passphrase)}
	recipients, identity := write("recipients", one+"\n"+two), write("identity", secret)
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: strings.Repeat("ab", 16), Name: "Test", BaseURL: "https://net.example", Desk: "+00"})
	if err != nil {
		t.Fatal(err)
	}
	opened := func(do func(s *service.Service)) {
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
	var by audit.Actor
	takeIn := func() (record string) {
		t.Helper()
		opened(func(s *service.Service) {
			c, err := s.Vault.CreateCase(t.Context(), by)
			if err != nil {
				t.Fatal(err)
			}
			record = c.ID
		})
		return record
	}
	opened(func(s *service.Service) {
		house := peopletest.Joined(t, s.People, s.Passkeys, "https://net.example", access.Join)
		agency := house.Agency(s.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
		by = audit.Actor{ID: strings.Repeat("cd", 16), Agency: agency, Role: "supervisor"}
	})
	early := takeIn()
	keys := filepath.Join(temp, "keys.backup")
	if _, err := recovery.Backup(t.Context(), recovery.BackupOrder{
		Folder: folder, Recipients: recipients, To: filepath.Join(temp, "data.backup"), KeyringTo: keys, Progress: io.Discard,
	}); err != nil {
		t.Fatal(err)
	}
	late := takeIn()

	order := recovery.KeyringOrder{Folder: folder, Backup: keys, Identity: identity, Progress: io.Discard}
	if _, err := recovery.RestoreKeyring(t.Context(), order); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("over a keyring that is there: %v", err)
	}
	server.Administer(t, cfg.Engines.Keyring, "DROP SCHEMA keyring CASCADE")
	if s, err := service.Look(t.Context(), cfg); err == nil {
		_ = s.Close()
		t.Fatal("it opens without its keyring")
	}
	if _, err := recovery.RestoreKeyring(t.Context(), order); err == nil || !strings.Contains(err.Error(), "1 records will stay shut") {
		t.Errorf("a record is lost and nobody was asked: %v", err)
	}
	order.Yes = "Test"
	done, err := recovery.RestoreKeyring(t.Context(), order)
	if err != nil || done.KeyFiles != 1 || done.Shut != 1 || done.Mended != 0 || len(done.Problems) > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	opened(func(s *service.Service) {
		if _, err := s.Vault.History(t.Context(), by, early); err != nil {
			t.Errorf("a record whose key came back: %v", err)
		}
		if _, err := s.Vault.History(t.Context(), by, late); err == nil {
			t.Error("a record without a key opens")
		}
	})
	takeIn() // and it goes on
}
