package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

// atOnce has changes wait for each other, in their order, and lets them go together.
func atOnce(t *testing.T, db *DB, changes ...func()) {
	t.Helper()
	conn, err := db.write.Conn(t.Context())
	ok(t, err)
	var all sync.WaitGroup
	for i, change := range changes {
		all.Go(change)
		for len(db.turns.present()) <= i {
			runtime.Gosched()
		}
	}
	ok(t, conn.Close())
	all.Wait()
}

// leafOf is a made-up leaf.
func leafOf(id string) [32]byte { return sha256.Sum256([]byte(id)) }

// added are those of which a leaf was added.
func added(t *testing.T, db *DB, ids ...string) (those []string) {
	t.Helper()
	for _, id := range ids {
		numbers, err := db.leaves(db.read).numbers(t.Context(), [][32]byte{leafOf(id)})
		ok(t, err)
		if len(numbers) > 0 {
			those = append(those, id)
		}
	}
	return those
}

// adding is a change that adds a leaf of the log, notes which transaction it was in,
// and does then.
func adding(ctx context.Context, t *testing.T, db *DB, in *sync.Map, id string, then func(tx *sql.Tx) error) error {
	return db.inTurn(ctx, caller{}, func(g *group) error {
		in.Store(id, g)
		if err := db.leaves(g.tx).add(ctx, g.tx, leafOf(id)); err != nil {
			return err
		}
		return then(g.tx)
	})
}

func nothing(*sql.Tx) error { return nil }

// groups counts the transactions that changes were in.
func groups(in *sync.Map) int {
	all := map[any]bool{}
	in.Range(func(_, g any) bool {
		all[g] = true
		return true
	})
	return len(all)
}

// TestGroup: changes that wait share one commit, and what one of them does wrong is
// undone alone.
func TestGroup(t *testing.T) { everywhere(t, testGroup) }

func testGroup(t *testing.T, on place) {
	db := on.db(t)
	var in sync.Map
	stop := errors.New("stop")
	ended, end := context.WithCancel(t.Context())
	got := map[string]error{}
	var mu sync.Mutex
	note := func(id string, err error) {
		mu.Lock()
		defer mu.Unlock()
		got[id] = err
	}
	one := func(id string, ctx context.Context, then func(tx *sql.Tx) error) func() {
		return func() { note(id, adding(ctx, t, db, &in, id, then)) }
	}
	atOnce(t, db,
		one("a", t.Context(), nothing),
		one("stops", t.Context(), func(*sql.Tx) error { return stop }),
		one("b", t.Context(), nothing),
		func() {
			defer func() { note("panics", fmt.Errorf("%v", recover())) }()
			_ = adding(t.Context(), t, db, &in, "panics", func(*sql.Tx) error { panic("made up") })
		},
		one("c", t.Context(), nothing),
		func() { note("twice", adding(t.Context(), t, db, &in, "a", nothing)) },
		one("refused", t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), "INSERT INTO nowhere VALUES (1)")
			return err
		}),
		one("d", t.Context(), nothing),
		one("over", ended, func(*sql.Tx) error { end(); return nil }),
		one("e", t.Context(), nothing),
	)
	if n := groups(&in); n != 1 {
		t.Errorf("%d transactions, want one", n)
	}
	if ids := added(t, db, "a", "stops", "b", "panics", "c", "refused", "d", "over", "e"); fmt.Sprint(ids) != "[a b c d e]" {
		t.Error(ids)
	}
	for id, want := range map[string]error{"a": nil, "b": nil, "c": nil, "d": nil, "e": nil, "stops": stop, "over": context.Canceled, "refused": ErrDamaged} {
		if !errors.Is(got[id], want) {
			t.Errorf("%s: %v, want %v", id, got[id], want)
		}
	}
	if !isTaken(got["twice"]) {
		t.Errorf("an id twice: %v", got["twice"])
	}
	if fmt.Sprint(got["panics"]) != "made up" {
		t.Errorf("panics: %v", got["panics"])
	}
}

// TestGroupBegins: where the first goes wrong the others have a transaction of their own.
func TestGroupBegins(t *testing.T) { everywhere(t, testGroupBegins) }

func testGroupBegins(t *testing.T, on place) {
	db := on.db(t)
	var in sync.Map
	stop := errors.New("stop")
	atOnce(t, db,
		func() {
			if err := adding(t.Context(), t, db, &in, "stops", func(*sql.Tx) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("stops: %v", err)
			}
		},
		func() { ok(t, adding(t.Context(), t, db, &in, "a", nothing)) },
		func() { ok(t, db.alone(t.Context(), func(*sql.Tx) error { in.Store("alone", "alone"); return nil })) },
		func() { ok(t, adding(t.Context(), t, db, &in, "b", nothing)) },
	)
	if n := groups(&in); n != 4 {
		t.Errorf("%d transactions, want four", n)
	}
	if ids := added(t, db, "stops", "a", "b"); fmt.Sprint(ids) != "[a b]" {
		t.Error(ids)
	}
}

// TestGroupIsTakenAlong: a change whose end takes the whole transaction along undoes
// nobody else's for good.
func TestGroupIsTakenAlong(t *testing.T) { everywhere(t, testGroupIsTakenAlong) }

func testGroupIsTakenAlong(t *testing.T, on place) {
	db := on.db(t)
	var in sync.Map
	hurried, leave := context.WithCancel(t.Context())
	tries := 0
	atOnce(t, db,
		func() {
			ok(t, adding(t.Context(), t, db, &in, "a", func(*sql.Tx) error { tries++; return nil }))
		},
		func() {
			err := adding(hurried, t, db, &in, "hurried", func(tx *sql.Tx) error {
				time.AfterFunc(50*time.Millisecond, leave) // in the middle of a statement
				_, err := tx.ExecContext(hurried, `INSERT INTO log_size (one, numbered)
					WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
					SELECT 1, MAX(i) FROM n`)
				return err
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("hurried: %v", err)
			}
		},
		func() { ok(t, adding(t.Context(), t, db, &in, "b", nothing)) },
	)
	if tries != 2 {
		t.Errorf("the first was run %d times, want twice", tries)
	}
	if ids := added(t, db, "a", "hurried", "b"); fmt.Sprint(ids) != "[a b]" {
		t.Error(ids)
	}
}

// TestGroupHeads: changes that share a transaction share its heads, and what is undone is
// not in them.
func TestGroupHeads(t *testing.T) { everywhere(t, testGroupHeads) }

func testGroupHeads(t *testing.T, on place) {
	ctx, db := t.Context(), on.db(t)
	list, err := db.Credentials().OpenList(ctx)
	ok(t, err)
	shared, other := aCase(t, db), aCase(t, db)
	stop := errors.New("stop")
	before := db.Seen()
	reserve := func(s vault.Shared, index uint32) func() {
		return func() {
			d := draftAt(list, index)
			d.Case, d.Agency = s.Case, s.Agency
			ok(t, db.Credentials().Reserve(ctx, d, nil, storetest.Entry(t, d.Case)))
		}
	}
	atOnce(t, db,
		reserve(shared, 1),
		func() {
			err := db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
				of, err := h.of(ctx, ofCase(shared.Case))
				if err != nil {
					return err
				}
				of.put(h.seal(sealedCount, message{}.text("of a row that nobody writes")))
				blocks, err := h.ofList(ctx, list)
				if err == nil && len(blocks) != 1 {
					t.Errorf("%d blocks, want the one that is not written yet", len(blocks))
				}
				return errors.Join(err, stop)
			})
			if !errors.Is(err, stop) {
				t.Errorf("stops: %v", err)
			}
		},
		reserve(shared, 2),
		reserve(other, 3),
		func() {
			ok(t, db.Vault().TakeBack(ctx, shared.Record, shared.Agency, vault.TakenBack, storetest.Entry(t, shared.Case)))
		},
	)
	// The two cases and the block of places, each once.
	if n := db.Seen() - before; n != 3 {
		t.Errorf("%d heads were written, want 3", n)
	}
	beside := &DB{base: db.base, me: newInstance()}
	beside.Seal([]byte(testSealKey))
	beside.CaseKeys(storetest.CaseKey)
	for _, db := range []*DB{db, beside} {
		if found, err := db.Credentials().ByCase(ctx, shared.Case); err != nil || len(found) != 2 {
			t.Errorf("%d records, %v", len(found), err)
		}
		if _, err := db.Vault().Grant(ctx, shared.Record, shared.Agency); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("taken back: %v", err)
		}
		if problems, err := db.CheckSeals(ctx); err != nil || len(problems) > 0 {
			t.Errorf("check: %v, %q", err, problems)
		}
	}
}

// TestCutAtGroup loses the connection at the one commit of several changes: nobody is
// told that hers has happened, and nobody that it has not.
func TestCutAtGroup(t *testing.T) {
	for _, cut := range []int32{cutBefore, cutAfter} {
		dsn := pgtest.Start(t)
		s := cutting(t, pgtest.Shared(t).Socket())
		db := openAt(t, through(t, dsn, s.address))
		list, err := db.Credentials().OpenList(t.Context())
		ok(t, err)
		_, err = db.write.ExecContext(t.Context(), "SELECT 1") // it is connected
		ok(t, err)
		drafts := []credentials.Issued{draftAt(list, 1), draftAt(list, 2), draftAt(list, 3)}
		for i := range drafts {
			drafts[i].Case = begun(t, db)
		}
		s.armed.Store(cut)
		var changes []func()
		for _, d := range drafts {
			changes = append(changes, func() {
				if err := db.Credentials().Reserve(t.Context(), d, nil, storetest.Entry(t, d.Case)); !errors.Is(err, ErrUnavailable) {
					t.Errorf("reserve: %v, want ErrUnavailable", err)
				}
			})
		}
		atOnce(t, db, changes...)
		want := 0
		if cut == cutAfter {
			want = len(drafts)
		}
		if found, err := db.Credentials().Drafts(t.Context()); err != nil || len(found) != want {
			t.Errorf("%d records, %v, want %d", len(found), err, want)
		}
		for _, d := range drafts {
			again := draftAt(list, d.Index+10)
			again.Case, again.RequestKey = d.Case, d.RequestKey
			err := db.Credentials().Reserve(t.Context(), again, nil, storetest.Entry(t, d.Case))
			if cut == cutAfter && !errors.Is(err, credentials.ErrKeyUsed) || cut == cutBefore && err != nil {
				t.Errorf("again: %v", err)
			}
		}
	}
}

// TestSharing: whoever asks gets what came of a run that began after she asked, and of
// many who wait one runs for all.
func TestSharing(t *testing.T) {
	var s sharing
	var runs, asked int
	begun, on := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		ok(t, s.share(func() error { runs++; close(begun); <-on; return nil }))
	})
	<-begun
	stop := errors.New("stop")
	for range 8 {
		asked++
		all.Go(func() {
			if err := s.share(func() error { runs++; return stop }); !errors.Is(err, stop) {
				t.Errorf("%v", err)
			}
		})
	}
	for waits := false; !waits; runtime.Gosched() {
		s.mu.Lock()
		waits = s.next != nil
		s.mu.Unlock()
	}
	close(on)
	all.Wait()
	if runs < 2 || runs > 1+asked {
		t.Errorf("%d runs", runs)
	}
	ok(t, s.share(func() error { return nil }))
}
