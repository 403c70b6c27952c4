//go:build linux

package service

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// office is an agency of a network whose log is about to be damaged, with a case
// and an attestation in it, and another one that an operator is about to admit.
type office struct {
	house  *peopletest.House
	asked  approval.Act
	by     audit.Actor
	record string
	issued credentials.ID
}

// openOffice lets an agency begin to work, publishes until the log has full
// tiles, and returns what there is to go on with.
func openOffice(t *testing.T, s *Service, access Access, site string) office {
	t.Helper()
	o := office{house: peopletest.Joined(t, s.People, s.Passkeys, site, access.Join)}
	o.by = audit.Actor{ID: randomHex(16), Agency: o.house.Agency(s.Network, made), Role: "supervisor"}
	q, err := o.ask(t.Context(), s, "Mill")
	if err != nil {
		t.Fatal(err)
	}
	o.asked = q.Act
	c, err := s.Vault.CreateCase(t.Context(), o.by)
	if err != nil {
		t.Fatal(err)
	}
	o.record = c.ID
	if o.issued, err = o.issue(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a full tile each time
		publish(t, s)
	}
	return o
}

func publish(t *testing.T, s *Service) {
	t.Helper()
	if _, err := s.Board.Publish(t.Context(), audit.Actor{ID: "test"}, false); err != nil {
		t.Fatal(err)
	}
}

// ask has an operator ask for another agency.
func (o office) ask(ctx context.Context, s *Service, name string) (people.Request, error) {
	another, err := s.Network.Admission(ctx, network.Agency{Name: name, Class: network.NGO, Country: "KHM", Desk: "+855"})
	if err != nil {
		return people.Request{}, err
	}
	operator, _, err := s.People.Person(ctx, o.house.First)
	if err != nil {
		return people.Request{}, err
	}
	return s.People.Ask(ctx, operator, roster.DoAdmitAgency, "", another)
}

// agree has the operator agree to what was asked first: that is enough while the
// network is founded.
func (o office) agree(ctx context.Context, s *Service) error {
	operator, _, err := s.People.Person(ctx, o.house.First)
	if err != nil {
		return err
	}
	_, err = s.People.Agree(ctx, operator, o.asked.ID, o.house.Proof(o.asked, o.house.First))
	return err
}

func (o office) issue(ctx context.Context, s *Service) (credentials.ID, error) {
	a, err := s.Issuer.Issue(ctx, o.by, credentials.Order{
		Case: o.record, RequestKey: randomHex(16), Claims: &claims.IdentityClaim{
			Names:     []claims.Name{{Script: "Latn", Full: private.New("MADE UP"), Type: "used"}},
			Assurance: "self_asserted", ClaimStatus: "open",
		},
	})
	return a.ID, err
}

// acts are what has to be logged before it is done.
func (o office) acts(s *Service) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"issue": func(ctx context.Context) error { _, err := o.issue(ctx, s); return err },
		"print a card": func(ctx context.Context) error {
			_, err := s.Issuer.IssueCard(ctx, o.by, credentials.CardOrder{Case: o.record, Name: private.New("MADE UP"), BirthDate: private.New("1990"), RequestKey: randomHex(16)})
			return err
		},
		"pause": func(ctx context.Context) error {
			_, err := s.Issuer.ChangeAttestation(ctx, o.by, o.issued, credentials.Pause, credentials.ReasonOther, randomHex(16))
			return err
		},
		"open a case": func(ctx context.Context) error { _, err := s.Vault.CreateCase(ctx, o.by); return err },
		"admit":       func(ctx context.Context) error { return o.agree(ctx, s) },
		"ask":         func(ctx context.Context) error { _, err := o.ask(ctx, s, "Weir"); return err },
		"publish": func(ctx context.Context) error {
			_, err := s.Board.Publish(ctx, audit.Actor{ID: "test"}, false)
			return err
		},
		"write a note": func(ctx context.Context) error {
			return s.DB.Log().Append(ctx, someEntry())
		},
		"log an access": func(ctx context.Context) error {
			return s.DB.Vault().Append(ctx, someEntry())
		},
	}
}

// someEntry tells of nothing.
func someEntry() audit.Entry {
	e, err := audit.NewAct("test", audit.Actor{}, "nothing", time.Now())
	if err != nil {
		panic(err)
	}
	return e
}

// hasStopped wants nothing to be done or signed, and everybody to be told.
func (o office) hasStopped(t *testing.T, s *Service) {
	t.Helper()
	signed := keystoreCalls(t, s.cfg.Metrics, "sign")
	_ = readyNow(t, s) // whose turn it is to be looked at is soon that of what was spoilt
	for name, act := range o.acts(s) {
		if err := act(t.Context()); !errors.Is(err, audit.ErrStopped) {
			t.Errorf("%s: %v, want ErrStopped", name, err)
		}
	}
	if more := keystoreCalls(t, s.cfg.Metrics, "sign") - signed; more != 0 {
		t.Errorf("%v signatures were made", more)
	}
	if err := readyNow(t, s); !errors.Is(err, audit.ErrStopped) {
		t.Errorf("ready: %v, want ErrStopped", err)
	}
	if code, body := ask(t, s, http.MethodGet, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %s, want 503", code, body)
	}
	// Whoever checks a card is served all the same.
	for _, path := range []string{"/trust-list", "/trust-key", "/pack", "/status-lists/0", "/healthz"} {
		if code, body := ask(t, s, http.MethodGet, path); code != http.StatusOK {
			t.Errorf("%s: %d %s, want 200", path, code, body)
		}
	}
}

// goesOn wants everything to be as it was.
func (o office) goesOn(t *testing.T, s *Service) {
	t.Helper()
	for name, act := range o.acts(s) {
		if err := act(t.Context()); err != nil {
			t.Errorf("%s, after it was mended: %v", name, err)
		}
	}
	if err := readyNow(t, s); err != nil {
		t.Errorf("ready, after it was mended: %v", err)
	}
}

// readyNow asks whether a service is ready, and takes no answer that stands from a
// moment ago: a machine that is fast does all that comes between in that time.
func readyNow(t *testing.T, s *Service) error {
	t.Helper()
	s.asking.Lock()
	s.answered = time.Time{}
	s.asking.Unlock()
	return s.ready(t.Context())
}

func ask(t *testing.T, s *Service, method, path string) (int, string) {
	t.Helper()
	_ = readyNow(t, s)
	w := httptest.NewRecorder()
	s.API.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Code, w.Body.String()
}

// oneLeaf is a row of leaves that has its place.
const oneLeaf = "name = (SELECT name FROM leaves WHERE place IS NOT NULL ORDER BY name LIMIT 1)"

// damages are what can happen to a folder while a service works in it, or lies
// still.
var damages = []struct {
	name  string
	spoil func(t *testing.T, dir string, run func(statement string))
}{
	{"a tile changed", func(t *testing.T, dir string, _ func(string)) {
		spoilFile(t, filepath.Join(dir, "log", "tile", "0", "000"))
	}},
	{"a tile is gone", func(t *testing.T, dir string, _ func(string)) {
		if err := os.Remove(filepath.Join(dir, "log", "tile", "0", "001")); err != nil {
			t.Fatal(err)
		}
	}},
	{"the edge changed", func(t *testing.T, dir string, _ func(string)) {
		edge, err := filepath.Glob(filepath.Join(dir, "log", "tile", "1", "000.p", "*"))
		if err != nil || len(edge) == 0 {
			t.Fatal("no edge", err)
		}
		for _, name := range edge {
			spoilFile(t, name)
		}
	}},
	{"the checkpoint changed", func(t *testing.T, dir string, _ func(string)) { spoilFile(t, filepath.Join(dir, "log", "checkpoint")) }},
	{"an entry was removed", func(_ *testing.T, _ string, run func(string)) { run("DELETE FROM leaves WHERE " + oneLeaf) }},
	{"the newest entries were removed", func(_ *testing.T, _ string, run func(string)) { run("UPDATE log_size SET numbered = numbered - 256") }},
	{"all entries were removed", func(_ *testing.T, _ string, run func(string)) { run("DELETE FROM leaves") }},
	{"an entry was rewritten", func(_ *testing.T, _ string, run func(string)) {
		run("UPDATE leaves SET box = (SELECT box FROM leaves ORDER BY name DESC LIMIT 1) WHERE " + oneLeaf)
	}},
}

func spoilFile(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStopped: whoever cannot log cannot sign. After any damage to the log nothing
// is issued, opened or changed, at once and after a start, until it is mended.
func TestStopped(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "whole")
	cfg := Config{
		Dir: whole, WorkFactor: DemoWork, Passphrase: "a passphrase for a test", Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(),
	}
	if err := os.Mkdir(whole, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	token := access.Token
	var o office
	opened(t, cfg, func(s *Service) { o = openOffice(t, s, access, testSite) })
	open := func(t *testing.T) *Service {
		t.Helper()
		cfg := cfg
		cfg.Dir, cfg.Metrics = filepath.Join(t.TempDir(), "copy"), NewMetrics()
		if err := os.CopyFS(cfg.Dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(cfg.Dir, config.KeysName), 0o600); err != nil {
			t.Fatal(err)
		}
		return reopen(t, cfg)
	}
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			run := func(statement string) {
				sqlitetest.Administer(t, filepath.Join(s.cfg.Dir, "safeconduct.db"), statement)
			}
			if err := readyNow(t, s); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, s.cfg.Dir, run)
			o.hasStopped(t, s)
			refused(t, s, token)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = reopen(t, s.cfg) // a service starts, and has not forgotten
			o.hasStopped(t, s)
		})
	}
	t.Run("mended while it runs", func(t *testing.T) {
		s := open(t)
		tile := filepath.Join(s.cfg.Dir, "log", "tile", "0", "000")
		spoilFile(t, tile)
		o.hasStopped(t, s)
		spoilFile(t, tile)
		o.goesOn(t, s)
	})
	t.Run("the write-ahead log was removed", func(t *testing.T) {
		s := open(t)
		if _, err := o.issue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		publish(t, s)
		database := filepath.Join(s.cfg.Dir, "safeconduct.db")
		left, err := os.ReadFile(database) // what a crash leaves without the other file
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(database + "-wal"); err != nil || info.Size() == 0 {
			t.Fatalf("nothing is in the write-ahead log: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(database, left, 0o600); err != nil {
			t.Fatal(err)
		}
		o.hasStopped(t, reopen(t, s.cfg))
	})
}

// TestPutBack is hostile case 76: a log that was made anew, or put back with all that belongs to it,
// contradicts itself nowhere. The off-site folder knows better, and keeps what it
// has.
func TestPutBack(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	cfg := Config{
		Dir: filepath.Join(temp, "network"), WorkFactor: DemoWork, Passphrase: "a passphrase for a test", Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(), Engines: config.Engines{Aside: filepath.Join(temp, "aside")},
	}
	for _, dir := range []string{cfg.Dir, cfg.Engines.Aside} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: testSite, Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	var o office
	opened(t, cfg, func(s *Service) { o = openOffice(t, s, access, testSite) })
	older := copyOf(t, cfg.Dir)
	work := func(s *Service) {
		if _, err := o.issue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		publish(t, s)
	}
	opened(t, cfg, work)
	before := copyOf(t, cfg.Dir)
	opened(t, cfg, func(s *Service) {
		// Nothing of this is published: only the number of the rows tells.
		if _, err := o.issue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	})
	newer := copyOf(t, cfg.Dir)
	kept := map[string]string{}
	for _, name := range []string{offsite.CheckpointName, offsite.PackName, offsite.RowsName} {
		kept[name] = readFile(t, filepath.Join(cfg.Engines.Aside, name))
	}
	stopped := func(t *testing.T, dir string) {
		t.Helper()
		cfg := cfg
		cfg.Dir = dir
		s := reopen(t, cfg)
		o.hasStopped(t, s)
		for name, want := range kept {
			if readFile(t, filepath.Join(cfg.Engines.Aside, name)) != want {
				t.Errorf("%s in the off-site folder was overwritten", name)
			}
		}
	}
	forget := func(dir string) {
		database := filepath.Join(dir, "safeconduct.db")
		public := filepath.Join(dir, "log")
		if err := errors.Join(os.RemoveAll(public), os.Mkdir(public, 0o700)); err != nil {
			t.Fatal(err)
		}
		sqlitetest.Administer(t, database, "DELETE FROM leaves WHERE "+oneLeaf)
	}
	t.Run("the public files were removed and an entry with them", func(t *testing.T) {
		dir := copyOf(t, newer)
		forget(dir)
		stopped(t, dir)
	})
	t.Run("the whole folder was put back", func(t *testing.T) { wasPutBack(t, cfg, copyOf(t, older)) })
	t.Run("the database was put back", func(t *testing.T) {
		dir := copyOf(t, newer)
		if err := os.WriteFile(filepath.Join(dir, config.DatabaseName), []byte(readFile(t, filepath.Join(older, config.DatabaseName))), 0o600); err != nil {
			t.Fatal(err)
		}
		wasPutBack(t, cfg, dir)
	})
	t.Run("to what was published last", func(t *testing.T) { wasPutBack(t, cfg, copyOf(t, before)) })
	t.Run("it was put back and has grown since", func(t *testing.T) {
		cfg := cfg
		cfg.Dir = copyOf(t, older)
		checkpoint, rows := filepath.Join(cfg.Engines.Aside, offsite.CheckpointName), filepath.Join(cfg.Engines.Aside, offsite.RowsName)
		if err := errors.Join(os.Remove(checkpoint), os.Remove(rows)); err != nil {
			t.Fatal(err)
		}
		opened(t, cfg, func(s *Service) { work(s); work(s); work(s) })
		err := errors.Join(os.WriteFile(checkpoint, []byte(kept[offsite.CheckpointName]), 0o600), os.WriteFile(rows, []byte(kept[offsite.RowsName]), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		delete(kept, offsite.PackName) // its pack has a higher number by now
		stopped(t, cfg.Dir)
	})
	t.Run("the newest state came back", func(t *testing.T) {
		cfg := cfg
		cfg.Dir = copyOf(t, newer)
		o.goesOn(t, reopen(t, cfg))
	})
}

// wasPutBack wants nobody to open a folder, and to be told why and what to do.
func wasPutBack(t *testing.T, cfg Config, dir string) {
	t.Helper()
	cfg.Dir, cfg.Metrics = dir, NewMetrics()
	for name, open := range map[string]func(context.Context, Config) (*Service, error){"Open": Open, "Look": Look} {
		s, err := open(t.Context(), cfg)
		if err == nil {
			_ = s.Close()
		}
		if old, ok := errors.AsType[*PutBackError](err); !ok || !strings.Contains(old.Found, "an older copy") || old.Do == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, config.KeysName), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// reopen opens a folder until the test ends.
func reopen(t *testing.T, cfg Config) *Service {
	t.Helper()
	cfg.Metrics = NewMetrics()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	cfg.Metrics.Watch(s)
	return s
}

// refused wants a client to read why nothing is done.
func refused(t *testing.T, s *Service, token string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/agencies", strings.NewReader(`{"name":"Mill","class":"NGO","country":"KHM","desk":"+855 000"}`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", randomHex(16))
	w := httptest.NewRecorder()
	s.API.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"audit_unavailable"`) {
		t.Errorf("got %d %s, want 503 with audit_unavailable", w.Code, w.Body)
	}
}

// TestStoppedReplicas: where the log's files are in the database too, every
// replica finds the damage by itself.
func TestStoppedReplicas(t *testing.T) {
	t.Parallel()
	a, b, access, dsn := twoHouses(t)
	for _, s := range []*Service{a, b} {
		s.cfg.Metrics = NewMetrics()
		s.cfg.Metrics.Watch(s)
	}
	o := openOffice(t, a, access, "https://two.example")
	run := func(statement string) {
		t.Helper()
		pgtest.Shared(t).Administer(t, dsn, "SET search_path = safeconduct; "+statement)
	}
	// The second key file was copied before the agency had its keys.
	acts := func(s *Service) map[string]func(context.Context) error {
		all := o.acts(s)
		if s == b {
			for _, name := range []string{"issue", "print a card", "open a case"} {
				delete(all, name)
			}
		}
		return all
	}
	run("CREATE TABLE kept_files AS SELECT * FROM log_files; CREATE TABLE kept_leaves AS SELECT * FROM leaves")
	for _, c := range []struct{ name, spoil, mend string }{
		{"a tile changed", `UPDATE log_files SET data = set_byte(data, 5, 255 - get_byte(data, 5)) WHERE name = 'tile/0/001'`, "UPDATE log_files f SET data = k.data FROM kept_files k WHERE k.name = f.name"},
		{"a tile is gone", `DELETE FROM log_files WHERE name = 'tile/0/000'`, "INSERT INTO log_files SELECT * FROM kept_files WHERE name = 'tile/0/000'"},
		{"entries have lost their places", `UPDATE leaves SET place = NULL`, "UPDATE leaves l SET place = k.place FROM kept_leaves k WHERE k.name = l.name"},
		{"an entry was rewritten", `UPDATE leaves SET box = set_byte(box, 25, 255 - get_byte(box, 25)) WHERE place IS NOT NULL`, "UPDATE leaves l SET box = k.box FROM kept_leaves k WHERE k.name = l.name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(c.spoil)
			for _, s := range []*Service{a, b} {
				_ = readyNow(t, s)
				for name, act := range acts(s) {
					if err := act(t.Context()); !errors.Is(err, audit.ErrStopped) {
						t.Errorf("%s: %v, want ErrStopped", name, err)
					}
				}
				if err := readyNow(t, s); !errors.Is(err, audit.ErrStopped) {
					t.Errorf("ready: %v, want ErrStopped", err)
				}
			}
			run(c.mend)
			for _, s := range []*Service{a, b} {
				if err := acts(s)["write a note"](t.Context()); err != nil {
					t.Errorf("after it was mended: %v", err)
				}
				if err := readyNow(t, s); err != nil {
					t.Errorf("ready, after it was mended: %v", err)
				}
			}
		})
	}
}
