package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

var (
	// ErrBusy says that another process held the database for longer than
	// a call waits. Nothing was written; the call may be repeated.
	ErrBusy = fmt.Errorf("sqlstore: the database is %w", trouble.ErrBusy)

	// ErrFull says that the disk is full. Nothing was written.
	ErrFull = fmt.Errorf("sqlstore: the disk is %w", trouble.ErrFull)

	// ErrUnavailable says that the database server cannot be reached, takes no
	// more connections, takes no changes now, or was lost before it answered.
	// A change may or may not have happened: repeat it with the same key.
	ErrUnavailable = fmt.Errorf("sqlstore: the database is %w", trouble.ErrUnavailable)

	// ErrGone says that a file of the database was taken away or replaced while
	// it was open. What was to be written may be in the file that is lost: repeat
	// it with the same key. Stopping the process in order puts what it still
	// holds back into the database.
	ErrGone = fmt.Errorf("%w: a file of it was taken away or replaced while it was open; "+
		"stop the service in order, which puts back what it still holds, and see what touches its folder", ErrUnavailable)

	// ErrMissing says that there is no such database.
	ErrMissing = errors.New("sqlstore: there is no database")

	// ErrDamaged says that the database is not what was written: pages of its
	// file have changed, or a part of it is gone.
	ErrDamaged = fmt.Errorf("sqlstore: the database is %w", trouble.ErrDamaged)

	// ErrMigration says that the schema could not be brought up to date, so
	// the database was not opened.
	ErrMigration = errors.New("sqlstore: the schema could not be brought up to date")
)

// busyTimeout is how long a call waits for another process that writes.
// Inside one process nobody waits here: writers queue for the one connection.
const busyTimeout = 5 * time.Second

//go:embed migrations/*.sql
var mainMigrations embed.FS

// DB is the main database. Its methods Log, Network, Idempotency and their
// like return the Store of one domain room each. It is safe for use by many
// goroutines.
type DB struct {
	*base
	schema schema
	me     *instance

	// seals has the key by which rows are believed; nil before it was given.
	seals    *sealer
	caseKeys caseKeys

	// restarts are how the log began anew, once that was read.
	restarts atomic.Pointer[restarts]
	known    known

	// mayAppend looks whether the log holds together; nil before there is one.
	mayAppend func(ctx context.Context, leaves audit.Leaves) error
	looks     sharing
}

// ErrNoRoster says that a network is of a version in which nobody signed in. What was
// kept then says of nobody who they are, so that no version opens it.
var ErrNoRoster = errors.New("this network was made before people signed in, and has no roster. " +
	"Nothing was changed. Make a new network with init, and devices, packs and cards anew: docs/operate.md, From the version before")

// ErrOldStores says that a network is of a version whose database told more than this
// one's does, to whoever has a copy and no key. Nothing of it is taken over.
var ErrOldStores = errors.New("the stores of this network are laid out as in a version before, and are not taken over. " +
	"Nothing was changed. Go on with the version that made it, or make a new network with init, and devices, packs and cards anew: docs/operate.md, From the version before")

// OldestSchema is the first one that is brought up to date.
const OldestSchema = 60

// Open opens the database at where and brings its schema up to date. It refuses
// a database whose migrations did not all succeed, and, before anything is changed, one
// from before people signed in (ErrNoRoster) or before its stores told nothing
// (ErrOldStores), or one that is on the way to a newer version (ErrNewerStores). What takes
// keys is brought up to date by Finish. Close it when done.
//
// A where that begins with postgres:// or postgresql:// is the connection
// string of a PostgreSQL database, in which the tables stand in the schema
// safeconduct. It may name several hosts; the one that takes changes is used,
// also after another one has taken over. Servers on other machines are spoken
// to with sslmode=verify-full only. Anything else is the path of a SQLite file,
// which is created with mode 0600 when there is none.
func Open(ctx context.Context, where string) (*DB, error) {
	return openMain(ctx, where, steps)
}

// mainSchema has a network in it from its fourth migration on, and a roster from the
// fortieth on.
var mainSchema = schema{name: "safeconduct", files: mainMigrations, dir: "migrations", since: 4, had: "network", roster: 40, oldest: OldestSchema, state: "steps"}

func openMain(ctx context.Context, where string, steps []step) (*DB, error) {
	s := mainSchema
	s.steps = steps
	b, err := open(ctx, where, s)
	if err != nil {
		return nil, err
	}
	return &DB{base: b, schema: s, me: newInstance()}, nil
}

// schema is what one of the two databases is made of.
type schema struct {
	name  string // in PostgreSQL, where both may share a database
	files fs.FS  // its migrations
	dir   string // the folder that they lie in
	// oldest is the number of the first version that is brought up to date. Of those before
	// it, what is in use is refused: since is the first that could be, had the table that
	// says so by a row, and roster the first in which people signed in.
	oldest, since, roster int64
	had                   string
	state                 string // the table that says how far steps have come, if there are any
	steps                 []step // behind the migrations
	keys                  string // the table whose rows must leave no trace when they go, if any
	page                  int    // bytes of a page of a SQLite file that is made; 0: as SQLite likes
	// kept says that a database which is not there must not be made: it would be
	// taken for the one that was lost.
	kept bool
}

// base is one database: a single connection that writes, so that writers queue
// in memory, and a pool that reads beside it without waiting.
type base struct {
	engine
	write *sql.DB
	read  *sql.DB
	path  string // of a SQLite file
	// files are those of SQLite, as they were when they were opened, and anchor
	// is a connection that nobody uses: while it is open SQLite removes none of
	// them, however many other connections come and go.
	files  []openFile
	anchor *sql.DB

	// turns are the changes that wait for the connection that writes.
	turns  turns
	layout layout

	// patience is how long a call waits for its turn inside this process, and
	// then for its COMMIT; zero is as long as it takes.
	patience time.Duration
}

// engine is what SQLite and PostgreSQL do differently. All else, every query
// among it, they share.
type engine interface {
	// begin starts a transaction that writes, and returns when no other one
	// does.
	begin(ctx context.Context, conn *sql.Conn) (*sql.Tx, error)
	// readOptions are the options of a transaction that reads from one moment.
	readOptions() *sql.TxOptions
	// now is a query for the seconds since 1970, by the one clock that all
	// processes share.
	now() string
	// heartbeat says that a process is there, leave that it is not, and others
	// counts the rest.
	heartbeat(ctx context.Context, instance string) error
	leave(ctx context.Context, instance string) error
	others(ctx context.Context, q querier, instance string) (int, error)
	// expired is a condition: the process that a column names is there no more.
	// The caller leaves out its own.
	expired(column string) string
	// damage tells what the engine itself finds wrong.
	damage(ctx context.Context, tx *sql.Tx) ([]string, error)
	// wipe removes what the files still hold of rows that are gone: of the
	// given ones of a table with such a duty, or of all if none are named.
	wipe(ctx context.Context, write *sql.DB, ids ...string) error
	// close ends connections of its own.
	close() error
	// backup writes a copy.
	backup(ctx context.Context, write *sql.DB, path string) error
	// describe reads what tables there are.
	describe(ctx context.Context, q querier) ([]table, error)
	// withoutTimeouts lets a transaction take the time that copying everything takes.
	withoutTimeouts(ctx context.Context, tx *sql.Tx) error
	// renumber lets columns that count by themselves go on behind the highest
	// number that was put into them.
	renumber(ctx context.Context, tx *sql.Tx, tables []table) error
}

func open(ctx context.Context, where string, s schema) (*base, error) {
	if isPostgres(where) {
		return openPostgres(ctx, where, s)
	}
	return openSQLite(ctx, where, s)
}

// Close closes both pools. The database must not be used afterwards.
func (b *base) Close() error {
	var errs []error
	for _, db := range []*sql.DB{b.read, b.write, b.anchor} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if b.engine != nil {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}

// Ping reports whether the database can be read and written to. A file that was
// taken away or replaced while it is open can be, and all of it would be lost:
// that is ErrGone.
func (b *base) Ping(ctx context.Context) error {
	if err := b.there(); err != nil {
		return err
	}
	if err := b.read.PingContext(ctx); err != nil {
		return fmt.Errorf("sqlstore: ping readers: %w", classify(err))
	}
	if err := b.write.PingContext(ctx); err != nil {
		return fmt.Errorf("sqlstore: ping writer: %w", classify(err))
	}
	return nil
}

// openFile is a file and which one it was when it was opened.
type openFile struct {
	path string
	info os.FileInfo
}

// there returns ErrGone unless the files that are open are those in the folder:
// SQLite goes on writing to a file without a name, whose bytes end with the
// process. A server looks after its own files.
func (b *base) there() error {
	for _, f := range b.files {
		if now, err := os.Stat(f.path); err != nil || !os.SameFile(f.info, now) {
			return fmt.Errorf("%w: %s", ErrGone, filepath.Base(f.path))
		}
	}
	return nil
}

// Pool counts the connections of one of a database's two pools.
type Pool struct {
	Open, InUse int
	Waits       int64         // calls that had to wait for a connection, since the start
	Waited      time.Duration // by all of them together
}

// Pools tells how busy the one connection that writes is, and those that read.
func (b *base) Pools() (write, read Pool) {
	write, read = poolOf(b.write), poolOf(b.read)
	b.turns.mu.Lock() // changes wait for each other, and one of them for the connection
	defer b.turns.mu.Unlock()
	write.Waits += b.turns.waits
	write.Waited += b.turns.waited
	return write, read
}

func poolOf(db *sql.DB) Pool {
	s := db.Stats()
	return Pool{Open: s.OpenConnections, InUse: s.InUse, Waits: s.WaitCount, Waited: s.WaitDuration}
}

// Truncate removes what the database's files still hold of erased rows. On
// SQLite it moves everything from the write-ahead log into the database and
// empties the log; an erasure is not finished before it has returned nil. On
// PostgreSQL it rewrites the keyring's table and does nothing to the main
// database, where what is left is ciphertext whose key is gone. What the
// server's own write-ahead log and its archive hold is beyond it
// (docs/decisions/0008-postgresql.md).
func (b *base) Truncate(ctx context.Context) error { return b.wipe(ctx, b.write) }

// Backup writes a consistent copy of a SQLite database to the new file at path,
// while others go on reading and writing. A PostgreSQL database has its own
// tools for that, and Backup returns ErrDump.
func (b *base) Backup(ctx context.Context, path string) error { return b.backup(ctx, b.write, path) }

// maxTries is how often a transaction is begun at most: once, and three times
// more when the database asks for it.
const maxTries = 4

// tx runs do inside a write transaction: all of it is on disk when tx
// returns nil, and none of it otherwise, but for ErrUnavailable, which leaves
// open what happened. Others may share the transaction (group.go), and whose do
// comes later sees what do has changed. do must use the context it closes over, must not keep
// tx, and must not wait for another call of tx. It may run several times, each
// time in a new transaction: it must set what it hands out anew, and must not
// change anything outside the database.
func (b *base) tx(ctx context.Context, do func(tx *sql.Tx) error) error {
	return b.inTurn(ctx, caller{}, func(g *group) error { return do(g.tx) })
}

// alone is tx in a transaction that nobody shares: for what takes long, changes settings
// of the transaction, or writes heads itself.
func (b *base) alone(ctx context.Context, do func(tx *sql.Tx) error) error {
	return b.inTurn(ctx, caller{alone: true}, func(g *group) error { return do(g.tx) })
}

// inTurn runs a change, again where the database asks for it. From the second time on
// nobody shares its transaction, so that nobody else is why it fails.
func (b *base) inTurn(ctx context.Context, how caller, do func(g *group) error) error {
	for tries := 1; ; tries++ {
		c := how
		c.alone = how.alone || tries > 1
		again, err := b.try(ctx, &c, do)
		if !again || tries == maxTries {
			return classify(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(tries) * 5 * time.Millisecond):
		}
	}
}

// readTx runs do in a read transaction, against one unchanging snapshot, for reads
// that need several statements to agree. A single statement goes to b.read directly.
func (b *base) readTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := b.read.BeginTx(ctx, b.readOptions())
	if err != nil {
		return fmt.Errorf("sqlstore: begin: %w", classify(err))
	}
	defer func() { _ = tx.Rollback() }()
	return classify(do(tx))
}

// classify puts our name on the engines' errors that callers act upon.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrDamaged) || errors.Is(err, ErrBusy) || errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable) {
		return err
	}
	if named := cmp.Or(classifySQLite(err), classifyPostgres(err)); named != nil {
		return fmt.Errorf("%w: %w", named, err)
	}
	return err
}

// isTaken reports whether err says that a primary key or a unique index holds
// such a row already.
func isTaken(err error) bool { return sqliteTaken(err) || postgresTaken(err) }

// mustChange turns a statement that changed no row into missing.
func mustChange(res sql.Result, err, missing error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return missing
	}
	return nil
}

// toDay is the number of whole days since 1970-01-01 UTC. Rows carry days
// only, because finer times would tie a row to an event that somebody saw.
func toDay(t time.Time) int64 {
	s := t.Unix()
	d := s / 86400
	if s%86400 < 0 {
		d--
	}
	return d
}

// fromDay is midnight UTC of a day that toDay made.
func fromDay(day int64) time.Time { return time.Unix(day*86400, 0).UTC() }
