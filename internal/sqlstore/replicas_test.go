package sqlstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// bothEngines runs a test on SQLite and on PostgreSQL.
func bothEngines(t *testing.T, do func(t *testing.T, where string)) {
	t.Run("sqlite", func(t *testing.T) { do(t, filepath.Join(t.TempDir(), "main.db")) })
	t.Run("postgres", func(t *testing.T) { do(t, pgtest.Start(t)) })
}

func TestLogFiles(t *testing.T) {
	bothEngines(t, func(t *testing.T, where string) {
		l := openAt(t, where).LogFiles()
		if _, err := l.Open("checkpoint"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("nothing is there yet: %v", err)
		}
		for _, name := range []string{"tile/0/000", "tile/0/001.p/3", "tile/0/001", "tile/1/000.p/1"} {
			ok(t, l.WriteFile(name, []byte("of "+name)))
		}
		ok(t, l.WriteFile("tile/0/000", []byte("of tile/0/000")))
		if err := l.WriteFile("tile/0/000", []byte("another")); !errors.Is(err, audit.ErrFork) {
			t.Errorf("a tile was rewritten: %v", err)
		}
		if err := l.ReplaceFile("checkpoint", []byte("none"), []byte("1")); !errors.Is(err, audit.ErrOvertaken) {
			t.Errorf("in place of what is not there: %v", err)
		}
		ok(t, l.ReplaceFile("checkpoint", nil, []byte("1")))
		ok(t, l.ReplaceFile("checkpoint", []byte("1"), []byte("2")))
		for _, old := range [][]byte{nil, []byte("1")} {
			if err := l.ReplaceFile("checkpoint", old, []byte("3")); !errors.Is(err, audit.ErrOvertaken) {
				t.Errorf("in place of %q: %v", old, err)
			}
		}
		for _, name := range []string{"", "/x", "../x", "a//b", "."} {
			if err := l.WriteFile(name, nil); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if data, err := fs.ReadFile(l, "checkpoint"); err != nil || string(data) != "2" {
			t.Errorf("%q, %v", data, err)
		}
		// The standard library's own idea of a file system.
		if err := fstest.TestFS(l, "checkpoint", "tile/0/000", "tile/0/001", "tile/0/001.p/3", "tile/1/000.p/1"); err != nil {
			t.Error(err)
		}
	})
}

func TestKeepPack(t *testing.T) {
	bothEngines(t, func(t *testing.T, where string) {
		db := openAt(t, where)
		s, ctx := db.Network(), t.Context()
		if _, _, err := s.NewestPack(ctx); !errors.Is(err, network.ErrNotFound) {
			t.Errorf("nothing is up yet: %v", err)
		}
		up := func(want uint64) {
			t.Helper()
			if n, err := s.PackNumber(ctx); n != want || err != nil {
				t.Errorf("pack %d is up, want %d: %v", n, want, err)
			}
		}
		up(0)
		second := verifier.Lists{TrustList: "trust", Pack: "second"}
		ok(t, s.KeepPack(ctx, 0, 2, second))
		for _, c := range []struct{ before, sequence uint64 }{{0, 3}, {1, 3}, {2, 2}, {2, 1}, {3, 4}} {
			if err := s.KeepPack(ctx, c.before, c.sequence, verifier.Lists{Pack: "worse"}); !errors.Is(err, network.ErrConflict) {
				t.Errorf("pack %d in place of %d: %v", c.sequence, c.before, err)
			}
		}
		if lists, n, err := s.NewestPack(ctx); lists != second || n != 2 || err != nil {
			t.Errorf("%v, %d, %v", lists, n, err)
		}
		ok(t, s.KeepPack(ctx, 2, 7, verifier.Lists{TrustList: "trust", Pack: "seventh"}))
		up(7)
	})
}

func TestCodeTries(t *testing.T) {
	bothEngines(t, func(t *testing.T, where string) {
		db := openAt(t, where)
		c, ctx, now := db.CodeTries(), t.Context(), storetest.Day(9)
		write := func(text string, version []byte, want bool) {
			t.Helper()
			if ok, err := c.Write(ctx, "actor", text, version, now); ok != want || err != nil {
				t.Errorf("write %q: %v, %v", text, ok, err)
			}
		}
		read := func(text string) (version []byte) {
			t.Helper()
			got, version, err := c.Read(ctx, "actor")
			if got != text || err != nil || (version == nil) != (text == "") {
				t.Errorf("%q, %v; want %q", got, err, text)
			}
			return version
		}
		read("")
		write("one", nil, true)
		write("at once", nil, false)
		first := read("one")
		write("two", first, true)
		write("of before", first, false)
		second := read("two")
		write("two", second, true) // a code that was right changes the row as one that was wrong
		if third := read("two"); bytes.Equal(second, third) || len(third) != len(first) {
			t.Error("a row that was written again is the same, or of another size")
		}
		if got, version, err := c.Read(ctx, "another"); got != "" || version != nil || err != nil {
			t.Errorf("another actor's: %q, %v", got, err)
		}
		write(strings.Repeat("x", 5000), read("two"), true)
		if v := read(strings.Repeat("x", 5000)); len(v) != 2*(len(first)-24-16-4)+24+16+4 {
			t.Errorf("more has %d bytes, less %d", len(v), len(first))
		}
		ok(t, c.Sweep(ctx, now.AddDate(0, 0, 1)))
		read(strings.Repeat("x", 5000))
		if _, err := db.write.ExecContext(ctx, "UPDATE code_tries SET box = $1", first); err != nil {
			t.Fatal(err)
		}
		read("one") // of before: a day's wrong codes once more (docs/threat-model.md, Rows)
		if _, err := db.write.ExecContext(ctx, "UPDATE code_tries SET box = $1", first[1:]); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(ctx, "actor"); !isSealError(err) {
			t.Errorf("a box that was cut: %v", err)
		}
		ok(t, c.Sweep(ctx, now.AddDate(0, 0, 2)))
		read("")
	})
}

// TestPaperTriesTellNothing: rows about wrong codes have one size, whoever they are about and
// whatever came of it, nothing of who, which number or when stands in them but the day, and
// the same rows change after a right code and a wrong one.
func TestPaperTriesTellNothing(t *testing.T) {
	bothEngines(t, func(t *testing.T, where string) {
		db, ctx := openAt(t, where), t.Context()
		c, hour := db.Credentials(), int64(24*20000+7)
		const officer = "actor:00112233445566778899aabbccddeeff"
		budgets := func(number byte) []credentials.Budget {
			return []credentials.Budget{
				{Place: [16]byte{number, 1}, Who: officer, Daily: 20}, {Place: [16]byte{number, 2}, Who: "agency:ffeeddccbbaa99887766554433221100", Daily: 100},
				{Place: [16]byte{number, 3}, Daily: 1000},
			}
		}
		type row struct {
			name, box string
			day       int64
			usedUp    bool
		}
		rows := func() (all []row) {
			t.Helper()
			found, err := db.read.QueryContext(ctx, "SELECT name, day, used_up, box FROM paper_tries ORDER BY name")
			ok(t, err)
			defer func() { _ = found.Close() }()
			for found.Next() {
				var r row
				var of, box []byte
				ok(t, found.Scan(&of, &r.day, &r.usedUp, &box))
				r.name, r.box = string(of), string(box)
				all = append(all, r)
			}
			ok(t, found.Err())
			return all
		}
		changed := func(before, after []row) (names []string) {
			for _, r := range after {
				if !slices.Contains(before, r) {
					names = append(names, r.name)
				}
			}
			return names
		}
		try := func(number byte, right bool) []string {
			t.Helper()
			before := rows()
			within, err := c.TryPaper(ctx, budgets(number), hour)
			ok(t, err)
			if !within {
				t.Fatal("a try is too many")
			}
			ok(t, c.SettlePaper(ctx, budgets(number), hour, right))
			return changed(before, rows())
		}
		first := try(1, false)
		for _, right := range []bool{true, false, true} {
			if got := try(1, right); !slices.Equal(got, first) || len(got) != 3 {
				t.Errorf("a code that is right (%v) changes other rows", right)
			}
		}
		try(2, true)
		all := rows()
		if len(all) != 6 {
			t.Errorf("%d rows", len(all))
		}
		for _, r := range all {
			if len(r.box) != len(all[0].box) || r.day != 20000 || r.usedUp {
				t.Errorf("a row of %d bytes, day %d, used up: %v", len(r.box), r.day, r.usedUp)
			}
			for _, told := range []string{officer, "0011223344556677", "agency"} {
				if strings.Contains(r.name+r.box, told) {
					t.Errorf("a row holds %q", told)
				}
			}
		}
		// Who uses up what may be wrong is told when the hour is over.
		for range 18 {
			try(1, false)
		}
		told := func(hour int64, want ...WrongAtDesk) {
			t.Helper()
			if got, err := c.WrongAtDesk(ctx, hour, 20); err != nil || !slices.Equal(got, want) {
				t.Errorf("hour %d: %v, %v; want %v", hour, got, err, want)
			}
		}
		told(hour)
		told(hour+1, WrongAtDesk{Actor: officer[len("actor:"):], Tries: 20})
		told(hour+24, WrongAtDesk{Actor: officer[len("actor:"):], Tries: 20})
		told(hour + 25)
		// What was altered is damage, and no absence.
		_, err := db.write.ExecContext(ctx, "UPDATE paper_tries SET box = $1", []byte(all[0].box))
		ok(t, err)
		if _, err := c.TryPaper(ctx, budgets(1), hour); !isSealError(err) {
			t.Errorf("boxes of another row: %v", err)
		}
		ok(t, c.SweepPapers(ctx, hour+24))
		if left := rows(); len(left) != 0 {
			t.Errorf("%d rows are left", len(left))
		}
	})
}

// TestOrphans has one process reserve and then fall silent: another one finds
// its draft, the first one cannot complete it any more, and neither takes away
// what the other is at work on.
func TestOrphans(t *testing.T) {
	dsn, ctx := pgtest.Start(t), t.Context()
	a, b := openAt(t, dsn), openAt(t, dsn)
	ok(t, a.Heartbeat(ctx))
	ok(t, b.Heartbeat(ctx))
	if n, err := a.Others(ctx); n != 1 || err != nil {
		t.Errorf("%d others, %v", n, err)
	}
	list, err := a.Credentials().OpenList(ctx)
	ok(t, err)
	d := draftAt(list, 1)
	d.Case = begun(t, a)
	ok(t, a.Credentials().Reserve(ctx, d, nil, storetest.Entry(t, "")))
	orphans := func(db *DB, want int) {
		t.Helper()
		found, err := db.Credentials().Orphans(ctx)
		if len(found) != want || err != nil {
			t.Errorf("%d orphans, %v; want %d", len(found), err, want)
		}
	}
	orphans(b, 0)
	orphans(a, 1) // its own; the issuer knows that it is at work on it

	// a stops, for longer than the others wait.
	silence(t, a)
	orphans(b, 1)
	ok(t, b.Credentials().Apply(ctx, nil, []credentials.Change{{ID: d.ID, From: []credentials.State{credentials.Draft}, To: credentials.Abandoned}}, nil, storetest.Entry(t, "")))
	// It wakes up, and goes on where it was.
	ok(t, a.Heartbeat(ctx))
	if err := a.Credentials().Complete(ctx, credentials.Completion{ID: d.ID, Sealed: []byte("signed")}, storetest.Entry(t, "")); !errors.Is(err, credentials.ErrSettled) {
		t.Errorf("a draft that was given up was completed: %v", err)
	}
	if got, err := b.Credentials().Get(ctx, d.ID); err != nil || got.State != credentials.Abandoned || got.Sealed != nil {
		t.Errorf("%v, %v", got.State, err)
	}
	orphans(b, 0)

	// Leaving is quicker than falling silent.
	e := draftAt(list, 2)
	e.Case = d.Case
	ok(t, a.Credentials().Reserve(ctx, e, nil, storetest.Entry(t, "")))
	orphans(b, 0)
	ok(t, a.Leave(ctx))
	orphans(b, 1)
}

// silence makes a process look as if it had not been heard for long.
func silence(t *testing.T, db *DB) {
	t.Helper()
	_, err := db.write.ExecContext(t.Context(), "UPDATE instances SET seen = seen - $1 WHERE id = $2", 2*expiredAfter.Milliseconds(), db.me.id)
	ok(t, err)
}

// TestJudges: after a gap a process does not take the others for gone, and looks
// after its own drafts all the same.
func TestJudges(t *testing.T) {
	dsn, ctx := pgtest.Start(t), t.Context()
	a, b := openAt(t, dsn), openAt(t, dsn)
	list, err := a.Credentials().OpenList(ctx)
	ok(t, err)
	ok(t, a.Heartbeat(ctx))
	for i, db := range []*DB{a, b} {
		d := draftAt(list, uint32(i))
		d.Case = begun(t, db)
		ok(t, db.Credentials().Reserve(ctx, d, nil, storetest.Entry(t, "")))
	}
	orphans := func(what string, want int) {
		t.Helper()
		if found, err := a.Credentials().Orphans(ctx); len(found) != want || err != nil {
			t.Errorf("%s: %d orphans, %v; want %d", what, len(found), err, want)
		}
	}
	orphans("when it starts", 2) // b was never heard
	ok(t, a.Heartbeat(ctx))
	orphans("just begun", 1)
	a.me.steadySince = a.me.steadySince.Add(-2 * expiredAfter)
	orphans("heard for long", 2)
	a.me.lastHeartbeat = a.me.lastHeartbeat.Add(-2 * expiredAfter)
	orphans("not heard", 1)
	if err := a.Alive(); !errors.Is(err, ErrHeartbeat) {
		t.Errorf("heard: %v", err)
	}
	ok(t, a.Heartbeat(ctx))
	orphans("after a gap", 1)
	ok(t, a.Alive())
}

// TestBeatWaitsForNobody: while somebody writes for long, a process is heard.
func TestBeatWaitsForNobody(t *testing.T) {
	dsn, ctx := pgtest.Start(t), t.Context()
	a, b := openAt(t, dsn), openAt(t, dsn)
	conn, err := b.write.Conn(ctx)
	ok(t, err)
	tx, err := b.begin(ctx, conn)
	ok(t, err)
	defer func() { _ = conn.Close() }()
	defer func() { _ = tx.Rollback() }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ok(t, a.Heartbeat(ctx))
}

// TestClaimOfTheDead: a request that a process began which is gone may be begun
// by another one; the first cannot finish it any more.
func TestClaimOfTheDead(t *testing.T) {
	dsn, ctx := pgtest.Start(t), t.Context()
	a, b := openAt(t, dsn), openAt(t, dsn)
	ok(t, a.Heartbeat(ctx))
	ok(t, b.Heartbeat(ctx))
	digest := [32]byte{1}
	first, _, err := a.Idempotency(nil).Begin(ctx, "actor", "a key of some length", digest)
	ok(t, err)
	if _, _, err := b.Idempotency(nil).Begin(ctx, "actor", "a key of some length", digest); !errors.Is(err, ErrInFlight) {
		t.Errorf("while the first lives: %v", err)
	}
	silence(t, a)
	b.me.heartbeats = 5 // not heard for long itself, so that it judges nobody
	if _, _, err := b.Idempotency(nil).Begin(ctx, "actor", "a key of some length", digest); !errors.Is(err, ErrInFlight) {
		t.Errorf("by one who may not judge: %v", err)
	}
	b.me.heartbeats = 1
	if _, _, err := b.Idempotency(nil).Begin(ctx, "actor", "a key of some length", [32]byte{2}); !errors.Is(err, ErrMismatch) {
		t.Errorf("another request: %v", err)
	}
	second, answer, err := b.Idempotency(nil).Begin(ctx, "actor", "a key of some length", digest)
	if second == nil || answer != nil || err != nil {
		t.Fatalf("after the first is gone: %v", err)
	}
	if err := a.Idempotency(nil).Finish(ctx, first, "", []byte("late")); !errors.Is(err, ErrClaim) {
		t.Errorf("the first finished: %v", err)
	}
	ok(t, b.Idempotency(nil).Finish(ctx, second, "", []byte("in time")))
	_, answer, err = a.Idempotency(nil).Begin(ctx, "actor", "a key of some length", digest)
	if string(answer) != "in time" || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestLostClaim: what could not be ended while the database was away is ended
// later.
func TestLostClaim(t *testing.T) {
	db := openAt(t, pgtest.Start(t))
	i := db.Idempotency(nil)
	claim, _, err := i.Begin(t.Context(), "actor", "a key of some length", [32]byte{1})
	ok(t, err)
	away, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Abandon(away, claim); err == nil {
		t.Fatal("nothing was lost")
	}
	if _, _, err := i.Begin(t.Context(), "actor", "a key of some length", [32]byte{1}); !errors.Is(err, ErrInFlight) {
		t.Errorf("before it is settled: %v", err)
	}
	ok(t, i.Settle(t.Context()))
	if again, _, err := i.Begin(t.Context(), "actor", "a key of some length", [32]byte{1}); again == nil || err != nil {
		t.Errorf("after it: %v", err)
	}
	if len(db.me.lost) != 0 {
		t.Errorf("%d claims are still noted", len(db.me.lost))
	}
}

// TestPublishersOfOneLog has two processes publish into one database, whatever
// the lease says, while leaves are added: there is one history.
func TestPublishersOfOneLog(t *testing.T) {
	dsn, ctx := pgtest.Start(t), t.Context()
	private, key, err := note.GenerateKey(rand.Reader, "example.org/log")
	ok(t, err)
	signer, err := note.NewSigner(private)
	ok(t, err)
	check, err := note.NewVerifier(key)
	ok(t, err)
	a, b := openAt(t, dsn), openAt(t, dsn)
	done := make(chan []int64, 2)
	for _, db := range []*DB{a, b} {
		go func() {
			var sizes []int64
			log, err := audit.New(audit.Config{Store: db.Log(), Dir: db.LogFiles(), Keys: audit.OneKey(signer, check)})
			if err != nil {
				t.Error(err)
			}
			for range 20 {
				for range 7 {
					if err := db.Log().Append(ctx, storetest.Entry(t, "")); err != nil {
						t.Error(err)
					}
				}
				switch head, err := log.Publish(ctx); {
				case err == nil:
					sizes = append(sizes, head.Size)
				case !errors.Is(err, audit.ErrOvertaken) && !errors.Is(err, audit.ErrSequence):
					t.Errorf("publish: %v", err)
				}
			}
			done <- sizes
		}()
	}
	first, second := <-done, <-done
	if !slices.IsSorted(first) || !slices.IsSorted(second) || len(first)+len(second) == 0 {
		t.Errorf("heads went back: %v, %v", first, second)
	}
	log, err := audit.New(audit.Config{Store: a.Log(), Dir: a.LogFiles(), Keys: audit.OneKey(signer, check)})
	ok(t, err)
	for range 2 { // the first may complete what was cut off
		_, err = log.Publish(ctx)
		ok(t, err)
	}
	report, err := audit.Verify(b.LogFiles(), key)
	if err != nil || report.Size%audit.Window != 0 || report.Size > 42*audit.Window {
		t.Errorf("%d leaves, %v", report.Size, err)
	}
	if waits, err := b.Log().Waiting(ctx); err != nil || waits != 0 {
		t.Errorf("%d of 280 entries wait, %v", waits, err)
	}
	ok(t, audit.Compare(ctx, a.LogFiles(), key, b.Log()))
}
