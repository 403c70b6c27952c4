package recovery_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestRestoreRoster: after the backup one agency is suspended, another one admitted,
// and both published. A restore suspends the first again, which the roster says and
// people can undo, and tells that the second is lost. A row that says otherwise of the
// first says nothing.
func TestRestoreRoster(t *testing.T) {
	temp := t.TempDir()
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
	cfg := service.Config{
		Dir: filepath.Join(temp, "net"), Passphrase: "a passphrase for a test", WorkFactor: service.DemoWork,
		Engines: config.Engines{Aside: filepath.Join(temp, "aside")},
	}
	if err := errors.Join(err, err2, os.Mkdir(cfg.Dir, 0o700), os.Mkdir(cfg.Engines.Aside, 0o700)); err != nil {
		t.Fatal(err)
	}
	folder := config.Folder{Dir: cfg.Dir, PassphraseFile: write("passphrase", cfg.Passphrase)}
	recipients, identity := write("recipients", one+"\n"+two), write("identity", secret)
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: strings.Repeat("ab", 16), Name: "Test", BaseURL: "https://net.example", Desk: "+00"})
	if err != nil {
		t.Fatal(err)
	}
	opened := func(dir string, do func(s *service.Service)) {
		t.Helper()
		cfg := cfg
		cfg.Dir = dir
		s, err := service.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		do(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(s *service.Service) {
		t.Helper()
		if _, err := s.Board.Publish(t.Context(), audit.Actor{ID: "test"}, false); err != nil {
			t.Fatal(err)
		}
	}
	var house *peopletest.House
	var lotus, mill, token string
	opened(cfg.Dir, func(s *service.Service) {
		house = peopletest.Joined(t, s.People, s.Passkeys, "https://net.example", access.Join)
		lotus = house.Agency(s.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
		mill = house.Agency(s.Network, roster.Agency{Name: "Mill", Class: "NGO", Country: "THA", Desk: "+66"})
		token = house.Token(lotus, people.Supervisor)
		publish(s)
	})
	to := filepath.Join(temp, "data.backup")
	if _, err := recovery.Backup(t.Context(), recovery.BackupOrder{Folder: folder, Recipients: recipients, To: to, Progress: io.Discard}); err != nil {
		t.Fatal(err)
	}
	opened(cfg.Dir, func(s *service.Service) {
		house = house.At(t, s.People, s.Passkeys)
		house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: lotus}, house.First)
		house.Agency(s.Network, roster.Agency{Name: "Bridge", Class: "NGO", Country: "IDN", Desk: "+62"})
		publish(s)
	})

	from := filepath.Join(temp, "copy of aside")
	if err := errors.Join(os.CopyFS(from, os.DirFS(cfg.Engines.Aside)), os.RemoveAll(cfg.Engines.Aside), os.Mkdir(cfg.Engines.Aside, 0o700)); err != nil {
		t.Fatal(err)
	}
	again := config.Folder{Dir: filepath.Join(temp, "again"), PassphraseFile: folder.PassphraseFile}
	done, err := recovery.Restore(t.Context(), recovery.RestoreOrder{
		Backup: to, Identity: identity, Folder: again, Engines: cfg.Engines, From: from, Progress: io.Discard,
	})
	if err != nil || done.Suspended != 1 || !slices.Equal(done.Agencies, []string{"Bridge"}) || len(done.Problems) > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	opened(again.Dir, func(s *service.Service) {
		state, err := s.People.State(t.Context())
		if err != nil || state.Active(lotus) || !state.Active(mill) || len(state.Agencies) != 2 {
			t.Errorf("the roster has %+v, %v", state.Agencies, err)
		}
		if _, err := s.People.Authenticate(t.Context(), token); !errors.Is(err, people.ErrUnauthenticated) {
			t.Errorf("a program of the suspended agency: %v, want ErrUnauthenticated", err)
		}
		pack, err := s.Board.Pack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range pack.Trust().Agencies {
			if a.Suspended != (a.ID == lotus) {
				t.Errorf("the trust list says of %s that it is suspended: %v", a.Name, a.Suspended)
			}
		}
		house = house.At(t, s.People, s.Passkeys)
		house.Do(roster.DoResumeAgency, "", &roster.ResumeAgency{ID: lotus}, house.First)
		if _, err := s.People.Authenticate(t.Context(), token); err != nil {
			t.Errorf("let in again by people: %v", err)
		}
		publish(s)
	})
	found, err := doctor.Fsck(t.Context(), again)
	if err != nil || len(found.Problems) > 0 {
		t.Errorf("fsck: %q, %v", found.Problems, err)
	}
	if log, err := doctor.VerifyLog(t.Context(), again); err != nil || !log.Roster || len(log.Problems)+len(log.RosterProblems) > 0 {
		t.Errorf("log verify: %+v, %v", log, err)
	}
}
