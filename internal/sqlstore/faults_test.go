package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// scissors stands between a program and a server and cuts the connection at a
// COMMIT, once each time that it is told to.
type scissors struct {
	address string
	server  string // path of a socket
	armed   atomic.Int32
}

const (
	cutBefore = 1 + iota // the server never sees the COMMIT
	cutAfter             // it has answered, and the answer is lost
)

func cutting(t *testing.T, server string) *scissors {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s := &scissors{address: l.Addr().String(), server: server}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go s.serve(client)
		}
	}()
	return s
}

func (s *scissors) serve(client net.Conn) {
	server, err := net.Dial("unix", s.server)
	if err != nil {
		_ = client.Close()
		return
	}
	hangUp := func() {
		_ = client.Close()
		_ = server.Close()
	}
	defer hangUp()
	var swallow atomic.Bool
	go func() {
		defer hangUp()
		answers := make([]byte, 1<<16)
		for {
			n, err := server.Read(answers)
			if err != nil || swallow.Load() {
				return
			}
			if _, err := client.Write(answers[:n]); err != nil {
				return
			}
		}
	}()
	questions := make([]byte, 1<<16)
	for {
		n, err := client.Read(questions)
		if err != nil {
			return
		}
		if bytes.Contains(questions[:n], []byte("commit\x00")) {
			switch s.armed.Swap(0) {
			case cutBefore:
				return
			case cutAfter:
				swallow.Store(true)
			}
		}
		if _, err := server.Write(questions[:n]); err != nil {
			return
		}
	}
}

// TestCutAtCommit loses the connection when nobody can tell whether a change has
// happened, and repeats the request with the same key, as a client does.
func TestCutAtCommit(t *testing.T) {
	for _, c := range []struct {
		name     string
		cut      int32
		happened bool
	}{{"before the server has it", cutBefore, false}, {"before its answer is here", cutAfter, true}} {
		t.Run(c.name, func(t *testing.T) {
			dsn := pgtest.Start(t)
			s := cutting(t, pgtest.Shared(t).Socket())
			db := openAt(t, through(t, dsn, s.address))
			ctx := t.Context()
			issued := db.Credentials()
			list, err := issued.OpenList(ctx)
			ok(t, err)

			first := draftAt(list, 1)
			first.Case = begun(t, db)
			s.armed.Store(c.cut)
			if err := issued.Reserve(ctx, first, nil, storetest.Entry(t, first.Case)); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("reserve: %v, want ErrUnavailable", err)
			}
			again := draftAt(list, 2)
			again.Case = first.Case
			again.RequestKey = first.RequestKey
			err = issued.Reserve(ctx, again, nil, storetest.Entry(t, again.Case))
			want := again.ID
			if c.happened {
				want = first.ID
				if !errors.Is(err, credentials.ErrKeyUsed) {
					t.Errorf("reserve again: %v, want ErrKeyUsed", err)
				}
			} else {
				ok(t, err)
			}
			got, err := issued.ByRequestKey(ctx, first.RequestKey)
			if err != nil || got.ID != want {
				t.Errorf("the request made another record, %v", err)
			}
			drafts, err1 := issued.Drafts(ctx)
			entries, err2 := issued.Entries(ctx, list)
			waiting, err3 := db.Log().Waiting(ctx)
			if err := errors.Join(err1, err2, err3); err != nil || len(drafts) != 1 || len(entries) != 1 || waiting != 1 {
				t.Errorf("%d records, %d indices, %d log entries, %v, want one of each", len(drafts), len(entries), waiting, err)
			}

			// The face's own memory of requests.
			var clock clock
			i := db.Idempotency(clock.now)
			s.armed.Store(c.cut)
			wantErr(t, i, "a", someKey, "r", ErrUnavailable)
			if c.happened {
				wantErr(t, i, "a", someKey, "r", ErrInFlight)
				clock.move(maxWork)
			}
			claim := begin(t, i, "a", someKey, "r")
			s.armed.Store(c.cut)
			if err := i.Finish(ctx, claim, "", []byte("answer")); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("finish: %v, want ErrUnavailable", err)
			}
			if !c.happened {
				ok(t, i.Finish(ctx, claim, "", []byte("answer")))
			}
			wantAnswer(t, i, "a", someKey, "r", "answer")
		})
	}
}

// TestCutElsewhere loses the connection where it is certain that nothing has
// happened: the caller does not notice.
func TestCutElsewhere(t *testing.T) {
	dsn := pgtest.Start(t)
	db, server := openAt(t, dsn), pgtest.Shared(t)
	for range 3 {
		server.Administer(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'safeconduct'")
		if err := db.Log().Append(t.Context(), storetest.Entry(t, "")); err != nil {
			t.Errorf("write: %v", err)
		}
	}
	if n, err := db.Log().Waiting(t.Context()); err != nil && !errors.Is(err, ErrUnavailable) || err == nil && n != 3 {
		t.Errorf("%d entries, %v, want 3", n, err)
	}
}

// alter changes a setting of a server that runs. Its processes take notice one
// by one, and nothing tells when the last one has.
func alter(t *testing.T, s *pgtest.Server, dsn, setting string) {
	t.Helper()
	s.Administer(t, dsn, "ALTER SYSTEM SET "+setting+"; SELECT pg_reload_conf(); SELECT pg_sleep(1)")
}

// TestCommitWaits has a server that may not answer a commit, because the standby
// that must have it is away. Nothing is acknowledged, nothing is seen, and
// nobody's impatience changes that.
func TestCommitWaits(t *testing.T) {
	server := pgtest.New(t)
	dsn := server.Database(t)
	db := openAt(t, dsn)
	db.patience = 400 * time.Millisecond
	await := func(standbys string) { alter(t, server, dsn, "synchronous_standby_names = '"+standbys+"'") }
	visible := func() string { return server.Administer(t, dsn, "SELECT COUNT(*) FROM safeconduct.leaves") }
	await("nobody")
	hurried, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := db.sealed(hurried, func(tx *sql.Tx, h *heads) error {
		time.AfterFunc(200*time.Millisecond, cancel) // in the middle of COMMIT
		return db.appendEntries(hurried, tx, h, storetest.Entry(t, ""))
	})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("write: %v, want ErrUnavailable", err)
	}
	if err := db.Log().Append(t.Context(), storetest.Entry(t, "")); !errors.Is(err, ErrBusy) {
		t.Errorf("write behind it: %v, want ErrBusy", err)
	}
	if got := visible(); got != "0" {
		t.Errorf("%s entries are seen, want 0", got)
	}
	await("")
	patient := openAt(t, dsn)
	ok(t, patient.Log().Append(t.Context(), storetest.Entry(t, "")))
	if got := visible(); got != "2" {
		t.Errorf("%s entries are seen, want 2", got)
	}
}

// TestFailover kills a primary under a writer and promotes its standby. What was
// acknowledged is there, once.
func TestFailover(t *testing.T) {
	primary := pgtest.New(t)
	dsn := primary.Database(t)
	openAt(t, dsn)
	standby := primary.Standby(t)
	alter(t, primary, dsn, "synchronous_standby_names = '*'")

	// The standby first: it is passed over.
	db := openAt(t, pgtest.DSN(pgtest.Name(t, dsn), standby, primary))
	if _, err := Open(t.Context(), pgtest.DSN(pgtest.Name(t, dsn), standby)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("open on a standby alone: %v, want ErrUnavailable", err)
	}
	ctx := t.Context()
	var acknowledged [][32]byte
	write := func() error {
		e := storetest.Entry(t, "")
		err := db.Log().Append(ctx, e)
		for until := time.Now().Add(2 * time.Minute); errors.Is(err, ErrUnavailable) && time.Now().Before(until); {
			time.Sleep(50 * time.Millisecond)
			if err = db.Log().Append(ctx, e); isTaken(err) {
				err = nil // the try before had happened
			}
		}
		if err == nil {
			acknowledged = append(acknowledged, e.Hash)
		}
		return err
	}
	for range 20 {
		ok(t, write())
	}
	primary.Kill(t)
	if err := db.Log().Append(ctx, storetest.Entry(t, "")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("write to nobody: %v, want ErrUnavailable", err)
	}
	if err := db.Ping(ctx); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ping nobody: %v, want ErrUnavailable", err)
	}
	standby.Promote(t)
	for range 5 {
		ok(t, write())
	}
	ok(t, db.Ping(ctx))
	all, err := db.Log().Entries(ctx)
	ok(t, err)
	found := map[[32]byte]int{}
	for _, e := range all {
		found[e.Hash]++
	}
	for _, hash := range acknowledged {
		if found[hash] != 1 {
			t.Errorf("an acknowledged entry is there %d times, want once", found[hash])
		}
	}
	if err := db.Log().CloseWindow(ctx, 1); !errors.Is(err, audit.ErrSequence) {
		t.Errorf("a gap in the log: %v, want ErrSequence", err)
	}
	ok(t, db.Log().CloseWindow(ctx, 0))
}

func TestTooManyConnections(t *testing.T) {
	dsn := pgtest.Start(t)
	db := openAt(t, dsn)
	server, name := pgtest.Shared(t), pgtest.Name(t, dsn)
	server.Administer(t, dsn, "ALTER DATABASE "+name+" CONNECTION LIMIT 2") // the two that Open has made
	defer server.Administer(t, dsn, "ALTER DATABASE "+name+" CONNECTION LIMIT -1")
	if _, err := Open(t.Context(), dsn); !errors.Is(err, ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
	ok(t, db.Log().Append(t.Context(), storetest.Entry(t, "")))
}

// TestReadOnlyServer has a server that takes no changes for a while, as some do
// when their disk fills up.
func TestReadOnlyServer(t *testing.T) {
	server := pgtest.New(t)
	dsn := server.Database(t)
	db := openAt(t, dsn)
	alter(t, server, dsn, "default_transaction_read_only = on")
	for range 3 {
		if err := db.Log().Append(t.Context(), storetest.Entry(t, "")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("write: %v, want ErrUnavailable", err)
		}
	}
	if _, err := db.Log().Size(t.Context()); err != nil {
		t.Errorf("read: %v", err)
	}
	alter(t, server, dsn, "default_transaction_read_only = off")
	ok(t, db.Log().Append(t.Context(), storetest.Entry(t, "")))
}

func TestLost(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.ErrUnexpectedEOF, true},
		{&net.OpError{Op: "read", Err: errors.New("made up")}, true},
		{context.Canceled, false},
		{context.DeadlineExceeded, false}, // is a net.Error as well
		{audit.ErrSequence, false},
	} {
		if got := disconnected(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
