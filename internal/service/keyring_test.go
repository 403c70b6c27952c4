package service

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/consenttest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
)

// refusesKeyring wants every way into a folder to be shut, and the keyring to be
// as it was.
func refusesKeyring(t *testing.T, cfg Config, found string) {
	t.Helper()
	for name, open := range map[string]func(context.Context, Config) (*Service, error){"Open": Open, "Look": Look} {
		s, err := open(t.Context(), cfg)
		refused, ok := errors.AsType[*KeyringError](err)
		if err == nil {
			_ = s.Close()
		}
		if !ok || !strings.Contains(refused.Found, found) || refused.Do == "" {
			t.Errorf("%s: %v, want a keyring that %s", name, err, found)
		}
	}
}

// TestKeyringOfAFile puts something else in the place of a keyring that is a
// file. Nothing opens then, nothing is made, and with the right one back
// everything is as it was.
func TestKeyringOfAFile(t *testing.T) {
	cfg, house, agency, record, by := withPeople(t, config.Engines{})
	where := filepath.Join(cfg.Dir, config.KeyringName)
	copied := func() []byte {
		t.Helper()
		data, err := os.ReadFile(where)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	put := func(data []byte) {
		t.Helper()
		for _, ext := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(where + ext); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if data == nil {
			return
		}
		if err := os.WriteFile(where, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unborn := copied() // one record
	opened(t, cfg, func(s *Service) {
		if _, err := s.Vault.CreateCase(t.Context(), by); err != nil {
			t.Fatal(err)
		}
	})
	unshared := copied() // two records
	opened(t, cfg, func(s *Service) {
		other := house.At(t, s.People, s.Passkeys).Agency(s.Network, roster.Agency{Name: "Bridge", Class: "NGO", Country: "THA", Desk: "+66"})
		if _, err := consenttest.Give(t.Context(), s.Vault, by, consenttest.Order(record, other, time.Now(), 7)); err != nil {
			t.Fatal(err)
		}
		if err := s.noteKeyring(t.Context()); err != nil { // as the service does each second
			t.Fatal(err)
		}
	})
	strangers, _, _, _ := withAgency(t, config.Engines{})
	stranger, err := os.ReadFile(filepath.Join(strangers.Dir, config.KeyringName))
	if err != nil {
		t.Fatal(err)
	}
	nobodys := filepath.Join(t.TempDir(), "empty.db")
	k, err := sqlstore.CreateKeyring(t.Context(), nobodys, "another network", bytes.Repeat([]byte{1}, 32))
	if err := errors.Join(err, k.Close()); err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(nobodys)
	if err != nil {
		t.Fatal(err)
	}
	var inRow []byte // the box of a row, which holds a key file
	opened(t, cfg, func(s *Service) {
		for row, err := range s.Keyring.Rows(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			inRow = row.Box
		}
	})
	right := copied()
	flipped := slices.Clone(right)
	flipped[bytes.Index(right, inRow)+100] ^= 1
	for _, c := range []struct {
		what, found string
		data        []byte
	}{
		{"none", "is not there", nil},
		{"no byte", "is not there", []byte{}},
		{"another file", "is damaged", []byte(strings.Repeat("nothing of ours\n", 400))},
		{"cut in half", "is damaged", right[:len(right)/2]},
		{"a bit flipped", "is damaged", flipped},
		{"from before a record", "is an older copy", unborn},
		{"from before a grant", "is an older copy", unshared},
		{"another network's", "is another network's", stranger},
		{"an empty one of another network", "is another network's", empty},
	} {
		t.Run(c.what, func(t *testing.T) {
			put(c.data)
			refusesKeyring(t, cfg, c.found)
			if _, err := os.Stat(where); c.data == nil && !errors.Is(err, os.ErrNotExist) {
				t.Error("a keyring was made")
			}
			put(right)
			opened(t, cfg, func(s *Service) {
				if _, err := s.Vault.History(t.Context(), by, record); err != nil {
					t.Errorf("with the right one back: %v", err)
				}
			})
		})
	}
	t.Run("a folder", func(t *testing.T) {
		put(nil)
		if err := os.Mkdir(where, 0o700); err != nil {
			t.Fatal(err)
		}
		refusesKeyring(t, cfg, "is damaged")
	})
	if agency == "" {
		t.Error("nobody owns the records")
	}
}

// TestKeyringOfAServer is the same where the keyring is a database of a server.
func TestKeyringOfAServer(t *testing.T) {
	server := pgtest.Shared(t)
	e := config.Engines{Database: server.Database(t), Keyring: server.Database(t)}
	cfg, _, record, by := withAgency(t, e)
	theirs := config.Engines{Database: server.Database(t), Keyring: server.Database(t)}
	withAgency(t, theirs)
	run := func(sql string) { server.Administer(t, e.Keyring, "SET search_path = keyring; "+sql) }
	engines := func(e config.Engines) {
		t.Helper()
		if err := e.Write(cfg.Dir); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TABLE was AS SELECT * FROM keys")
	opened(t, cfg, func(s *Service) {
		file, err := s.Keyring.Get(t.Context(), record)
		if err := errors.Join(err, s.Keyring.Swap(t.Context(), record, file, file)); err != nil {
			t.Fatal(err)
		}
	})
	for _, c := range []struct {
		what, found string
		spoil, mend func()
	}{
		{"no database of ours", "is not there", func() { run("ALTER SCHEMA keyring RENAME TO away") }, func() { run("ALTER SCHEMA away RENAME TO keyring") }},
		{"a record's key file gone", "is an older copy", func() { run("CREATE TABLE kept AS SELECT * FROM keys; DELETE FROM keys") },
			func() { run("INSERT INTO keys SELECT * FROM kept; DROP TABLE kept") }},
		{"a row more", "is damaged", func() { run("INSERT INTO keys SELECT '\\x00112233445566778899aabbccddeeff', box FROM keys LIMIT 1") }, func() { run("DELETE FROM keys WHERE name = '\\x00112233445566778899aabbccddeeff'") }},
		{"a row put back", "were put back", func() {
			run("CREATE TABLE kept AS SELECT * FROM keys; UPDATE keys SET box = was.box FROM was WHERE was.name = keys.name")
		},
			func() { run("UPDATE keys SET box = kept.box FROM kept WHERE kept.name = keys.name; DROP TABLE kept") }},
		{"fewer changes", "is damaged", func() { run("UPDATE bond SET changes = changes - 1") }, func() { run("UPDATE bond SET changes = changes + 1") }},
		{"a byte changed", "is damaged", func() { run(`UPDATE keys SET box = box || '\x00'`) },
			func() { run("UPDATE keys SET box = substring(box FROM 1 FOR length(box) - 1)") }},
		{"no row says whose it is", "is damaged", func() { run("CREATE TABLE kept AS SELECT * FROM bond; DELETE FROM bond") },
			func() { run("INSERT INTO bond SELECT * FROM kept; DROP TABLE kept") }},
		{"no word whose it is", "is damaged", func() { run("ALTER TABLE bond RENAME TO away") }, func() { run("ALTER TABLE away RENAME TO bond") }},
		{"no list of migrations", "is damaged", func() { run("ALTER TABLE goose_db_version RENAME TO away") },
			func() { run("DROP TABLE IF EXISTS goose_db_version; ALTER TABLE away RENAME TO goose_db_version") }},
		{"another id", "is damaged", func() { run("UPDATE bond SET id = reverse(id)") }, func() { run("UPDATE bond SET id = reverse(id)") }},
		{"another network's", "is another network's", func() { e := e; e.Keyring = theirs.Keyring; engines(e) }, func() { engines(e) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.spoil()
			refusesKeyring(t, cfg, c.found)
			c.mend()
			opened(t, cfg, func(s *Service) {
				if _, err := s.Vault.History(t.Context(), by, record); err != nil {
					t.Errorf("with the right one back: %v", err)
				}
			})
		})
	}
	opened(t, cfg, func(s *Service) {
		if err := s.Keyring.Rebind(t.Context(), s.Network.ID(), 9); err != nil {
			t.Fatal(err)
		}
	})
	refusesKeyring(t, cfg, "of another restore")
}

// TestKeyringWhileServing: a key file that turns out to be damaged, and a
// keyring that was taken away, keep the service from being ready.
func TestKeyringWhileServing(t *testing.T) {
	ready := func(s *Service) error { return readyNow(t, s) }
	t.Run("a file taken away", func(t *testing.T) {
		cfg, _, _, _ := withAgency(t, config.Engines{})
		opened(t, cfg, func(s *Service) {
			if err := ready(s); err != nil {
				t.Fatal(err)
			}
			where := filepath.Join(cfg.Dir, config.KeyringName)
			if err := os.Rename(where, where+".away"); err != nil {
				t.Fatal(err)
			}
			if ready(s) == nil {
				t.Error("ready without the file")
			}
			if err := os.Rename(where+".away", where); err != nil {
				t.Fatal(err)
			}
			if err := ready(s); err != nil {
				t.Errorf("with the file back: %v", err)
			}
		})
	})
	for _, name := range []string{config.DatabaseName + "-wal", config.KeyringName, config.KeyringName + "-wal"} {
		t.Run(name+" removed", func(t *testing.T) {
			cfg, house, agency, _, _ := withPeople(t, config.Engines{})
			opened(t, cfg, func(s *Service) {
				token := house.At(t, s.People, s.Passkeys).Token(agency, people.Supervisor)
				create := func() *httptest.ResponseRecorder {
					w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/cases", nil)
					r.Header.Set("Authorization", "Bearer "+token)
					r.Header.Set("Idempotency-Key", randomHex(16))
					s.API.ServeHTTP(w, r)
					return w
				}
				if w := create(); w.Code != http.StatusCreated {
					t.Fatalf("before: %d %s", w.Code, w.Body)
				}
				if err := os.Remove(filepath.Join(cfg.Dir, name)); err != nil {
					t.Fatal(err)
				}
				if err := ready(s); !errors.Is(err, sqlstore.ErrGone) || !strings.Contains(err.Error(), name) {
					t.Errorf("ready: %v, want ErrGone with the file's name", err)
				}
				if w := create(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"code":"database_unavailable"`) {
					t.Errorf("a new case: %d %s, want 503", w.Code, w.Body)
				}
			})
		})
	}
	t.Run("key files exchanged", func(t *testing.T) {
		cfg, _, record, by := withAgency(t, config.Engines{})
		opened(t, cfg, func(s *Service) {
			ctx := t.Context()
			other, err := s.Vault.CreateCase(ctx, by)
			if err != nil {
				t.Fatal(err)
			}
			a, err := s.Keyring.Get(ctx, record)
			b, err2 := s.Keyring.Get(ctx, other.ID)
			if err := errors.Join(err, err2, ready(s), s.Keyring.Swap(ctx, record, a, b), s.Keyring.Swap(ctx, other.ID, b, a)); err != nil {
				t.Fatal(err)
			}
			sealed, err := s.Vault.Seal(ctx, record, []byte("a token"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Vault.Open(ctx, by, record, sealed); !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("another record's key file: %v, want ErrIntegrity", err)
			}
			if _, ok := errors.AsType[*KeyringError](ready(s)); !ok {
				t.Error("ready with exchanged key files")
			}
		})
	})
	t.Run("a key file damaged", func(t *testing.T) {
		server := pgtest.Shared(t)
		e := config.Engines{Database: server.Database(t), Keyring: server.Database(t)}
		cfg, house, agency, record, by := withPeople(t, e)
		opened(t, cfg, func(s *Service) {
			if err := ready(s); err != nil {
				t.Fatal(err)
			}
			kept, err := s.Vault.AddDocument(t.Context(), by, record, vault.Document{Kind: "PASSPORT", IssuingState: "UTO"})
			if err != nil {
				t.Fatal(err)
			}
			server.Administer(t, e.Keyring, `UPDATE keyring.keys SET box = box || '\x00'`)
			if _, err := s.Vault.ReadDocument(t.Context(), by, kept.ID); !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("a damaged key file: %v, want ErrIntegrity", err)
			}
			if ready(s) == nil {
				t.Error("ready with a damaged key file")
			}
			token := house.At(t, s.People, s.Passkeys).Token(agency, people.Supervisor)
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/documents/"+kept.ID, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			s.API.ServeHTTP(w, r)
			if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"integrity_failure"`) {
				t.Errorf("over HTTP: %d %s", w.Code, w.Body)
			}
		})
	})
}
