package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// replica is a process that serves a network, as far as one test can have two: it ends
// as a process does, and begins anew when its network was locked.
type replica struct {
	t       *testing.T
	cfg     Config
	address string
	locked  chan time.Time // when it had dropped everything
	ended   chan error
	stop    context.CancelFunc
}

func replicaOf(t *testing.T, cfg Config) *replica {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{t: t, cfg: cfg, address: l.Addr().String(), locked: make(chan time.Time, 9), ended: make(chan error, 1)}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *replica) start() *replica {
	ctx, stop := context.WithCancel(r.t.Context())
	r.stop = stop
	go func() {
		for {
			err := Serve(ctx, r.cfg, Serving{Listen: r.address, Window: time.Hour})
			if !errors.Is(err, ErrLocked) {
				r.ended <- err
				return
			}
			r.locked <- time.Now()
		}
	}()
	r.t.Cleanup(r.end)
	return r
}

func (r *replica) end() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
}

// get is one answer; status 0 for none.
func (r *replica) get(path string) (status int, header http.Header, body string) {
	return r.send(http.MethodGet, path, nil)
}

func (r *replica) send(method, path string, what any) (int, http.Header, string) {
	r.t.Helper()
	var body io.Reader
	if what != nil {
		data, err := json.Marshal(what)
		if err != nil {
			r.t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.address+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if what != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", randomHex(16))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, ""
	}
	return resp.StatusCode, resp.Header, string(data)
}

// becomes waits until /readyz answers so.
func (r *replica) becomes(want int, holds string) {
	r.t.Helper()
	var got int
	var body string
	for range 1200 { // a minute: the machine may be busy
		if got, _, body = r.get("/readyz"); got == want && strings.Contains(body, holds) {
			return
		}
		select {
		case err := <-r.ended:
			r.stop = nil
			r.t.Fatalf("it ended: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	r.t.Fatalf("/readyz answers %d %s", got, body)
}

// agreeing asks for the act that opens the network, and answers it as somebody.
func (r *replica) agreeing(house *peopletest.House, act string, person string) (string, json.RawMessage) {
	r.t.Helper()
	order := map[string]string{}
	if act != "" {
		order["act"] = act
	}
	status, _, body := r.send(http.MethodPost, "/api/v1/unlock/options", order)
	var drawn struct {
		Act     string
		Options json.RawMessage
	}
	if status != http.StatusOK || json.Unmarshal([]byte(body), &drawn) != nil {
		r.t.Fatalf("options: %d %s", status, body)
	}
	response, err := house.Keys[person].Get(drawn.Options, testSite)
	if err != nil {
		r.t.Fatal(err)
	}
	return drawn.Act, response
}

// unlock shows answers.
func (r *replica) unlock(act string, responses ...json.RawMessage) (status int, body string) {
	r.t.Helper()
	status, _, body = r.send(http.MethodPost, "/api/v1/unlock", map[string]any{"act": act, "responses": responses})
	return status, body
}

// TestLockReplicas: one person locks, and two replicas drop what they have and serve
// what is public, each without a key. One of two people agrees before the one replica,
// the other before the other; then both go on, and what was before is over.
func TestLockReplicas(t *testing.T) {
	t.Parallel()
	cfg, house, _, _, _ := withPeople(t, config.Engines{Database: pgtest.Start(t), Keyring: pgtest.Start(t)})
	second := cfg
	second.Dir = filepath.Join(t.TempDir(), "second")
	if err := os.Mkdir(second.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{config.EnginesName, config.KeysName} {
		data, err := os.ReadFile(filepath.Join(cfg.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(second.Dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The pages are in a folder that both have.
	if err := os.Symlink(filepath.Join(cfg.Dir, config.ObjectsName), filepath.Join(second.Dir, config.ObjectsName)); err != nil {
		t.Fatal(err)
	}
	var other string
	opened(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		other = house.Person("", roster.Operator, house.First)
	})
	a, b := replicaOf(t, cfg).start(), replicaOf(t, second).start()
	a.becomes(http.StatusOK, "")
	b.becomes(http.StatusOK, "")
	if status, _ := a.unlock(`{}`); status != http.StatusBadRequest {
		t.Errorf("a network that is open is unlocked by nobody: %d", status)
	}
	before := map[string]string{}
	list := listOf(t, a)
	public := []string{"/trust-list", "/trust-key", "/pack", "/status-lists/" + list, "/answers-lists/" + list, "/log/checkpoint", "/log/tile/0/000", "/card"}
	for _, path := range public {
		status, _, body := a.get(path)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", path, status)
		}
		before[path] = body
	}

	began := time.Now()
	looked(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		house.Do(roster.DoLock, "", &roster.Lock{}, house.First)
	})
	for _, r := range []*replica{a, b} {
		r.becomes(http.StatusServiceUnavailable, `"locked"`)
		if dropped := <-r.locked; dropped.Sub(began) > 10*time.Second {
			t.Logf("dropped after %s: the machine is busy", dropped.Sub(began))
		}
		status, _, body := r.get("/api/v1/cases")
		if status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"locked"`) || !strings.Contains(body, "+00 00") {
			t.Errorf("cases: %d %s", status, body)
		}
		for _, path := range public {
			if status, _, body := r.get(path); status != http.StatusOK || body != before[path] {
				t.Errorf("%s: %d, %d bytes, and was %d", path, status, len(body), len(before[path]))
			}
		}
		if status, header, _ := r.get("/admin"); status != http.StatusTemporaryRedirect || header.Get("Location") != "/unlock" {
			t.Errorf("/admin: %d", status)
		}
		if status, _, _ := r.get("/healthz"); status != http.StatusOK {
			t.Errorf("/healthz: %d", status)
		}
		if _, err := os.Stat(filepath.Join(r.cfg.Dir, config.LockedName)); err != nil {
			t.Error(err)
		}
	}
	t.Logf("closed everywhere %s after the press", time.Since(began).Round(10*time.Millisecond))

	act, first := a.agreeing(house, "", house.First)
	if status, body := a.unlock(act, first); status != http.StatusOK || !strings.Contains(body, `"open":false`) || !strings.Contains(body, `"agreed":1`) {
		t.Fatalf("one: %d %s", status, body)
	}
	if status, body := b.unlock(act, first, first); status != http.StatusForbidden {
		t.Errorf("one twice: %d %s", status, body)
	}
	_, another := b.agreeing(house, act, other)
	if status, body := b.unlock(act, first, another); status != http.StatusOK || !strings.Contains(body, `"open":true`) {
		t.Fatalf("two: %d %s", status, body)
	}
	a.becomes(http.StatusOK, "")
	b.becomes(http.StatusOK, "")
	for _, r := range []*replica{a, b} {
		for _, name := range []string{config.LockedName, config.UnlockName} {
			if _, err := os.Stat(filepath.Join(r.cfg.Dir, name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	looked(t, cfg, func(s *Service) {
		state, err := s.People.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, from, err := s.People.Person(t.Context(), other); err != nil || from.Unix() != state.SessionsFrom || state.SessionsFrom < began.Unix() {
			t.Errorf("sessions from before count: %v %v", from, err)
		}
		if problems, err := ExamineRoster(t.Context(), s.DB); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
	})
	// What opened this lock opens no other.
	looked(t, cfg, func(s *Service) {
		house.At(t, s.People, s.Passkeys).Do(roster.DoLock, "", &roster.Lock{}, other)
	})
	a.becomes(http.StatusServiceUnavailable, `"locked"`)
	if status, body := a.unlock(act, first, another); status != http.StatusForbidden {
		t.Errorf("by what opened the lock before: %d %s", status, body)
	}
}

// looked is opened beside whoever serves.
func looked(t *testing.T, cfg Config, do func(*Service)) {
	t.Helper()
	s, err := Look(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// listOf is the number of the first status list.
func listOf(t *testing.T, r *replica) string {
	t.Helper()
	_, _, body := r.get("/pack")
	var lists verifier.Lists
	if err := json.Unmarshal([]byte(body), &lists); err != nil {
		t.Fatal(err)
	}
	status, _, err := lists.Tokens()
	if err != nil || len(status) == 0 {
		t.Fatalf("%d lists, %v", len(status), err)
	}
	return strconv.Itoa(int(status[0].Number))
}

// TestLockFolder: a file in the folder locks what serves it, without a key, and the
// roster opens it all the same by two people. Whoever writes into the database, meanwhile,
// opens nothing: neither by a roster of his own, nor by a shorter one, nor by none.
func TestLockFolder(t *testing.T) { // not beside tests that start processes: for a moment each holds what is open here
	cfg, house, _, _, _ := withPeople(t, config.Engines{})
	var other string
	var old approval.Act // that stands in the roster
	opened(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		other = house.Person("", roster.Operator, house.First)
		rows, err := s.DB.People().Changes(t.Context(), 2, 1)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d %v", len(rows), err)
		}
		c, err := roster.Parse(rows[0])
		if err != nil {
			t.Fatal(err)
		}
		if old, err = approval.Parse(c.Act); err != nil {
			t.Fatal(err)
		}
	})
	r := replicaOf(t, cfg).start()
	r.becomes(http.StatusOK, "")
	// By hand, as somebody does who knows no command.
	if err := os.WriteFile(filepath.Join(cfg.Dir, config.LockedName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.becomes(http.StatusServiceUnavailable, `"locked"`)
	lock, ok, err := ReadLock(cfg.Dir)
	if err != nil || !ok || lock.Seq == 0 || lock.Desk == "" || lock.Roster {
		t.Fatalf("%+v %v %v", lock, ok, err)
	}
	if again, err := LockFolder(t.Context(), cfg.Dir); err != nil || again.ID != lock.ID {
		t.Errorf("locked once more: %v %v", again.ID, err)
	}
	act, first := r.agreeing(house, "", house.First)
	_, second := r.agreeing(house, act, other)

	// A database that was changed: the process starts anew over it, as after a reboot.
	r.end()
	whole := copyOf(t, cfg.Dir)
	for name, statement := range map[string]string{
		"shorter": "DELETE FROM roster_changes WHERE seq = (SELECT MAX(seq) FROM roster_changes)",
		"none":    "DELETE FROM roster_changes",
		"altered": "UPDATE roster_changes SET change = CAST(replace(CAST(change AS TEXT), 'Lotus', 'Locus') AS BLOB)",
	} {
		forged := cfg
		forged.Dir = copyOf(t, whole)
		sqlitetest.Administer(t, filepath.Join(forged.Dir, config.DatabaseName), statement)
		f := replicaOf(t, forged).start()
		f.becomes(http.StatusServiceUnavailable, `"locked"`)
		if status, body := f.unlock(act, first, second); status == http.StatusOK {
			t.Errorf("%s: it opens: %s", name, body)
		}
		f.end()
	}
	// What opens it, put into the folder: it is checked before any key is opened.
	keys := 0
	false1 := cfg
	false1.Keys = func(ctx context.Context, network string) (keystore.Store, func() error, error) {
		keys++
		return OpenKeys(ctx, Config{Dir: cfg.Dir, Passphrase: cfg.Passphrase}, network)
	}
	one := opening{Act: act}
	if err := one.write(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	f := replicaOf(t, false1).start()
	f.becomes(http.StatusServiceUnavailable, `"locked"`)
	if _, err := os.Stat(filepath.Join(cfg.Dir, config.UnlockName)); !errors.Is(err, os.ErrNotExist) || keys != 0 {
		t.Errorf("nobody's proof: %v, keys opened %d times", err, keys)
	}
	// Nor does it open anything that an act of the roster has this id.
	forged, err := approval.New(old.Network, roster.DoUnlock, "", "", &roster.Unlock{Lock: lock.ID}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	forged.ID = old.ID
	for _, a := range []approval.Act{old, forged} {
		data, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		f.end()
		if err := (opening{Act: string(data)}).write(cfg.Dir); err != nil {
			t.Fatal(err)
		}
		f = replicaOf(t, false1).start()
		f.becomes(http.StatusServiceUnavailable, `"locked"`)
		if _, err := os.Stat(filepath.Join(cfg.Dir, config.UnlockName)); !errors.Is(err, os.ErrNotExist) || keys != 0 {
			t.Errorf("%s: %v, keys opened %d times", a.Do, err, keys)
		}
	}
	if status, body := f.unlock(act, first, second); status != http.StatusOK || !strings.Contains(body, `"open":true`) {
		t.Fatalf("two: %d %s", status, body)
	}
	f.becomes(http.StatusOK, "")
	if keys != 1 {
		t.Errorf("keys opened %d times", keys)
	}
}

// TestOpenOfLocked: no command opens a network to settle it, or to serve it, while it is
// locked.
func TestOpenOfLocked(t *testing.T) {
	cfg, house, _, _, _ := withPeople(t, config.Engines{})
	looked(t, cfg, func(s *Service) {
		house = house.At(t, s.People, s.Passkeys)
		if err := s.LockByRoot(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.LockByRoot(t.Context()); err != nil {
			t.Errorf("once more: %v", err)
		}
		if _, _, err := s.People.Person(t.Context(), house.First); !errors.Is(err, roster.ErrLocked) {
			t.Errorf("somebody: %v", err)
		}
		if _, err := s.People.Authenticate(t.Context(), "sct_"+randomHex(16)); err == nil {
			t.Error("a token")
		}
	})
	if s, err := Open(t.Context(), cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
		if err == nil {
			_ = s.Close()
		}
	}
	// One operator: the root is the second.
	looked(t, cfg, func(s *Service) {
		lock, _, err := ReadLock(cfg.Dir)
		if err != nil {
			t.Fatal(err)
		}
		act, err := s.People.UnlockAct(t.Context(), lock.ID)
		if err != nil {
			t.Fatal(err)
		}
		needs, enough, err := s.People.Unlocking(t.Context(), act, []approval.Proof{house.Proof(act, house.First)})
		if err != nil || enough || !needs.Root {
			t.Errorf("%+v %v %v", needs, enough, err)
		}
		challenge, err := act.Challenge()
		if err != nil {
			t.Fatal(err)
		}
		response, err := house.Keys[house.First].Agree(challenge[:], testSite)
		if err != nil {
			t.Fatal(err)
		}
		data, err := act.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.UnlockByRoot(t.Context(), data, response); err != nil {
			t.Fatal(err)
		}
	})
	cfg.Log = slog.New(slog.DiscardHandler)
	opened(t, cfg, func(*Service) {})
}
