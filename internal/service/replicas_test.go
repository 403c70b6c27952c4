package service

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// twoHouses opens one network in two folders, as two replicas do, over a
// database that both share. Their key files are copies, which will do as long
// as nobody makes a key.
func twoHouses(t *testing.T) (a, b *Service, access Access, dsn string) {
	t.Helper()
	return twoHousesBy(t, func(Config) KeyOpener { return nil })
}

// twoHousesBy is twoHouses with other keys than those of the folders.
func twoHousesBy(t *testing.T, keys func(Config) KeyOpener) (a, b *Service, access Access, dsn string) {
	t.Helper()
	dsn = pgtest.Start(t)
	cfg := Config{
		Dir: filepath.Join(t.TempDir(), "a"), Passphrase: "a passphrase for a test", WorkFactor: 4,
		Engines: config.Engines{Database: dsn, Keyring: pgtest.Start(t)}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Two", BaseURL: "https://two.example", Desk: "+00 00 000 000"})
	if err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(t.TempDir(), "b")
	if err := os.Mkdir(second, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{config.EnginesName, config.KeysName} {
		data, err := os.ReadFile(filepath.Join(cfg.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(second, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The pages are in a folder that both have.
	if err := os.Symlink(filepath.Join(cfg.Dir, config.ObjectsName), filepath.Join(second, config.ObjectsName)); err != nil {
		t.Fatal(err)
	}
	var houses [2]*Service
	opener := keys(cfg)
	for i, dir := range []string{cfg.Dir, second} {
		cfg.Dir, cfg.Keys = dir, opener
		h, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		houses[i] = h
	}
	return houses[0], houses[1], access, dsn
}

// ownSigners are those of two replicas over the same keys: each knows what it has signed
// itself, or was shown.
func ownSigners(t *testing.T) func(Config) KeyOpener {
	return func(cfg Config) KeyOpener {
		file, done, err := OpenKeys(t.Context(), cfg, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = done() })
		return func(ctx context.Context, _ string) (keystore.Store, func() error, error) {
			guard, err := signer.NewGuard(ctx, signer.GuardConfig{
				Keys: file, Dir: t.TempDir(), Derived: []string{offsite.LabelBackup, offsite.LabelRows},
			})
			return guard, func() error { return nil }, err
		}
	}
}

// TestTwoTrustLists: one replica's signer signs packs that name what the other one's has
// signed, and none that names the list of before.
func TestTwoTrustLists(t *testing.T) {
	t.Parallel()
	a, b, access, _ := twoHousesBy(t, ownSigners(t))
	published := func(h *Service, suspended bool) verifier.Lists {
		t.Helper()
		publish(t, h)
		pack, err := h.Board.Pack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all := pack.Trust().Agencies; len(all) != 1 || all[0].Suspended != suspended {
			t.Fatalf("it names %+v", all)
		}
		lists, err := h.Board.Lists(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return lists
	}
	house := peopletest.Joined(t, a.People, a.Passkeys, "https://two.example", access.Join)
	agency := house.Agency(a.Network, made)
	before := published(a, false)
	published(b, false) // whose signer has signed no trust list
	house.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: agency}, house.First)
	published(a, true)
	published(b, true)
	for name, h := range map[string]*Service{"who signed the list": a, "who was shown it": b} {
		key, err := h.Keys.Pack(approval.With(t.Context(), approval.Authority{About: private.New(before.TrustList)}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = verifier.PackStatement{
			Network: h.Network.ID(), Sequence: h.Board.Number() + 1, IssuedAt: time.Now().Unix(), TrustSHA256: verifier.TrustDigest(before.TrustList),
			Status: []verifier.ListToken{}, Answers: []verifier.ListToken{}, Burned: []uint32{},
		}.Sign(key)
		if !errors.Is(err, keystore.ErrRefused) {
			t.Errorf("%s: a pack with the list on which the agency is not suspended: %v, want ErrRefused", name, err)
		}
	}
}

// TestTwoLogs: the signers of two replicas sign one log by turns, each behind what the
// other one's has signed, and neither signs what does not go on behind that.
func TestTwoLogs(t *testing.T) {
	t.Parallel()
	a, b, _, _ := twoHousesBy(t, ownSigners(t))
	vkey, err := a.Keys.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	origin, _, _ := strings.Cut(vkey, "+")
	for _, h := range []*Service{a, b, b, a} {
		before := headBy(t, a, vkey)
		publish(t, h)
		goesOn(t, a, vkey, before)
	}

	// What the one has published the other one's signer remembers before it is asked.
	if err := b.Board.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Board.show(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	now := headBy(t, a, vkey)
	for name, h := range map[string]*Service{"who signed it": a, "who was shown it": b} {
		if said, judged, err := h.Keys.Said(t.Context(), origin, ""); said != now.Text() || !judged || err != nil {
			t.Errorf("%s: %q, %v, %v", name, said, judged, err)
		}
		signer, err := h.Keys.LogSigner(t.Context(), vkey)
		if err != nil {
			t.Fatal(err)
		}
		for what, made := range map[string]audit.Checkpoint{
			"a leaf more": {Origin: origin, Size: now.Size + 1, Root: now.Root}, "a leaf less": {Origin: origin, Size: now.Size - 1, Root: now.Root},
		} {
			if _, err := signer.Sign([]byte(made.Text())); !errors.Is(err, keystore.ErrRefused) {
				t.Errorf("%s: %s, and a root that is none: %v, want ErrRefused", name, what, err)
			}
		}
	}
}

// later has the next request look for a newer pack.
func (b *Board) later() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = time.Time{}
}

// agree wants two boards to put up one pack, whoever published it. A request does not
// wait for longer than freshTime, so that on a busy machine it may take a second one.
func agree(t *testing.T, a, b *Service) uint64 {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	for {
		a.Board.later()
		b.Board.later()
		first, err1 := a.Board.Lists(ctx)
		second, err2 := b.Board.Lists(ctx)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if first == second && first.Pack != "" && a.Board.Number() == b.Board.Number() {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("packs %d and %d differ", a.Board.Number(), b.Board.Number())
		}
	}
	for _, h := range []*Service{a, b} {
		if p, _ := h.Board.Pack(t.Context()); p.Sequence() != h.Board.Number() {
			t.Errorf("pack %d is opened for the service itself, %d is served", p.Sequence(), h.Board.Number())
		}
	}
	return a.Board.Number()
}

func TestTwoBoards(t *testing.T) {
	t.Parallel()
	a, b, _, _ := twoHouses(t)
	by := audit.Actor{ID: "test"}
	before := agree(t, a, b) // b has published nothing
	for _, h := range []*Service{a, b, a} {
		done, err := h.Board.Publish(t.Context(), by, false)
		if err != nil {
			t.Fatal(err)
		}
		if done.Sequence <= before || agree(t, a, b) != done.Sequence {
			t.Errorf("pack %d after %d", done.Sequence, before)
		}
		before = done.Sequence
	}

	// Both at once: one after the other, and each pack is another one.
	var wg sync.WaitGroup
	var mu sync.Mutex
	numbers := map[uint64]bool{}
	for _, h := range []*Service{a, b} {
		wg.Go(func() {
			for range 3 {
				done, err := h.Board.Publish(t.Context(), by, false)
				for errors.Is(err, sqlstore.ErrBusy) { // on a busy machine the other takes longer
					done, err = h.Board.Publish(t.Context(), by, false)
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				numbers[done.Sequence] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(numbers) != 6 {
		t.Errorf("six publications have %d numbers", len(numbers))
	}
	agree(t, a, b)
	key, err := a.Keys.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report, err := audit.Verify(b.LogDir, key); err != nil || report.Size == 0 {
		t.Errorf("%d leaves, %v", report.Size, err)
	}

	// Without any lease nothing goes wrong either, it only costs more.
	for _, h := range []*Service{a, b} {
		wg.Go(func() {
			for range 3 {
				_, err := h.Board.publish(t.Context(), by, false)
				if err != nil && !errors.Is(err, audit.ErrOvertaken) && !errors.Is(err, audit.ErrSequence) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if now := agree(t, a, b); now <= before {
		t.Errorf("pack %d after %d", now, before)
	}
	if err := audit.Compare(t.Context(), a.LogDir, key, a.DB.Log()); err != nil {
		t.Error(err)
	}

	// Nothing is due that another process has just done.
	now := agree(t, a, b)
	if err := b.Board.publishDue(t.Context(), time.Hour); err != nil || agree(t, a, b) != now {
		t.Errorf("published twice in one window: %v", err)
	}
}

// TestPublishWaits: a publication waits for another process's, and not for ever.
func TestPublishWaits(t *testing.T) {
	t.Parallel()
	a, _, _, _ := twoHouses(t)
	other := a.DB.Lease("publish", "another process", time.Minute)
	if ours, err := other.Acquire(t.Context()); !ours || err != nil {
		t.Fatal(err)
	}
	a.Board.leaseWait = 300 * time.Millisecond
	before := a.Board.Number()
	if _, err := a.Board.Publish(t.Context(), audit.Actor{}, false); !errors.Is(err, sqlstore.ErrBusy) {
		t.Errorf("while another one publishes: %v, want ErrBusy", err)
	}
	if a.Board.Number() != before {
		t.Error("something was published")
	}
	a.Board.leaseWait = 10 * time.Second
	time.AfterFunc(300*time.Millisecond, func() { _ = other.Release(context.WithoutCancel(t.Context())) })
	if _, err := a.Board.Publish(t.Context(), audit.Actor{}, false); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// TestReady spoils what readiness stands for, one thing after the other.
func TestReady(t *testing.T) {
	t.Parallel()
	a, b, _, dsn := twoHouses(t)
	ready := func(what, want string) {
		t.Helper()
		err := readyNow(t, a)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	run := func(statement string) {
		pgtest.Shared(t).Administer(t, dsn, "SET search_path = safeconduct; "+statement)
	}
	ready("all is well", "")
	if _, err := b.Board.Publish(t.Context(), audit.Actor{}, false); err != nil {
		t.Fatal(err)
	}
	ready("another one has published", "")
	if a.Board.Number() != b.Board.Number() {
		t.Error("ready with an older pack")
	}

	a.window = time.Hour
	ready("fresh lists", "")
	a.Board.now = func() time.Time { return time.Now().Add(8 * time.Hour) }
	ready("old lists", "the lists are 8h")
	a.Board.now = time.Now

	if err := a.DB.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.beating.Store(true)
	ready("heard", "")
	a.beating.Store(false)

	run("UPDATE packs SET sequence = 1")
	ready("the database has gone back", "packs 1 is not what was written")
	run("UPDATE packs SET sequence = 2")
	if err := a.CheckRows(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready("it is back", "")

	run("CREATE TABLE kept AS SELECT * FROM log_files WHERE name = 'checkpoint'; DELETE FROM log_files WHERE name = 'checkpoint'")
	ready("the checkpoint is gone", "fork")
	run("INSERT INTO log_files SELECT * FROM kept; DROP TABLE kept")
	ready("it is back too", "")

	a.draining.Store(true)
	ready("about to stop", errDraining.Error())
}
