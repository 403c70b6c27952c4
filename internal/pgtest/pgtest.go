// Package pgtest starts private PostgreSQL servers for tests: a real server
// from the binaries of the machine, in a temporary folder, behind a socket that
// nobody else can open. It asks nothing of a database but to exist, and leaves
// schemas, and what is to be tested, to the tests.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The administrator may do everything on a server; the application owns the
// databases it is given and may do nothing else, as in service.
const (
	administrator = "postgres"
	application   = "app"
)

// patience is how long a server may take to come up or to go.
const patience = 30 * time.Second

// Server is a running PostgreSQL server.
type Server struct {
	bin    string // folder of the server's binaries
	dir    string // holds the data folder, the socket and the log
	alive  io.Closer
	ended  chan error
	number atomic.Int64

	mu   sync.Mutex
	free []string // databases that no test uses
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Start returns the connection string of an empty database on the shared
// server. When the test ends it is emptied again and goes to another one: to
// make and drop a database takes many times longer.
func Start(t testing.TB) string {
	t.Helper()
	s := Shared(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		s.free = append(s.free, s.Database(t))
	}
	dsn := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	t.Cleanup(func() {
		s.Administer(t, dsn, empty)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free = append(s.free, dsn)
	})
	return dsn
}

// empty ends what a test left open and removes all that it made.
const empty = `DO $$
DECLARE name TEXT;
BEGIN
	PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
	FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', name);
	END LOOP;
END $$;
CREATE SCHEMA public;`

// Shared is the server that all tests of a binary share. It stops when the
// binary does. Where there is no PostgreSQL the test is skipped, or fails if
// CI=true.
func Shared(t testing.TB) *Server {
	t.Helper()
	bin := binaries(t)
	shared.once.Do(func() { shared.server, shared.err = start(bin, initialise) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// New starts a server that is the test's alone, to be stopped and broken at
// will. settings are more lines of the kind name=value.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(binaries(t), initialise, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// Standby starts a server that follows s, and returns when it has caught up.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	copied := func(bin, data string) error {
		return run(bin, "pg_basebackup", "-h", s.dir, "-U", administrator, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
	}
	standby, err := start(s.bin, copied)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.end)
	return standby
}

// Promote makes a standby a primary, and returns when it is one.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.control(t, "promote", "-w")
}

// Kill stops the server as a power cut would, but for what the kernel holds.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.control(t, "stop", "-m", "immediate", "-w")
}

func (s *Server) control(t testing.TB, args ...string) {
	t.Helper()
	if err := run(s.bin, "pg_ctl", append([]string{"-D", s.Data()}, args...)...); err != nil {
		t.Fatal(err)
	}
}

// Data is the server's data folder.
func (s *Server) Data() string { return filepath.Join(s.dir, "data") }

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// Log is what the server has logged so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Holds reports whether any file of the server has text in it: tables, indexes,
// the write-ahead log, the server's log. Folders called as one of without are
// left out.
func (s *Server) Holds(t testing.TB, text string, without ...string) bool {
	t.Helper()
	found := false
	files := os.DirFS(s.dir)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // the server removes files of its own
		case err != nil || found:
			return err
		case d.IsDir() && slices.Contains(without, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		data, err := fs.ReadFile(files, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		found = bytes.Contains(data, []byte(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Database makes a database, which goes when the server does, and returns its
// connection string. The application owns it.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "test" + strconv.FormatInt(s.number.Add(1), 10)
	if err := run(s.bin, "createdb", "-h", s.dir, "-U", administrator, "-O", application, name); err != nil {
		t.Fatal(err)
	}
	return DSN(name, s)
}

// DSN is the connection string of a database that any of the servers may have.
func DSN(database string, servers ...*Server) string {
	var hosts, ports []string
	for _, s := range servers {
		hosts, ports = append(hosts, s.dir), append(ports, "5432")
	}
	q := url.Values{"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}}
	return (&url.URL{Scheme: "postgres", User: url.User(application), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Name is the database that a connection string names.
func Name(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the connection string of a test does not parse")
	}
	return strings.TrimPrefix(u.Path, "/")
}

// Dump is what pg_dump writes of a database of s.
func (s *Server) Dump(t testing.TB, dsn string) []byte {
	t.Helper()
	cmd := command(s.bin, "pg_dump", "-h", s.dir, "-U", administrator, "-d", Name(t, dsn))
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, told.Bytes())
	}
	return out
}

// Administer runs statements in a database of s, as the administrator, and
// returns what they print.
func (s *Server) Administer(t testing.TB, dsn, statements string) string {
	t.Helper()
	cmd := command(s.bin, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-U", administrator, "-d", Name(t, dsn))
	cmd.Stdin = strings.NewReader(statements)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// binaries is the folder of the newest PostgreSQL server on this machine.
func binaries(t testing.TB) string {
	t.Helper()
	dir := find()
	if dir == "" && os.Getenv("CI") == "true" {
		t.Fatal("no PostgreSQL server on this machine; scripts/install.sh test installs one")
	}
	if dir == "" {
		t.Skip("no PostgreSQL server on this machine; scripts/install.sh test installs one")
	}
	return dir
}

func find() string {
	var dirs []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			dirs = append(dirs, filepath.Dir(initdb))
		}
	}
	// Debian keeps the server's binaries off the path, one folder a version.
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	slices.SortFunc(versions, func(a, b string) int {
		version := func(dir string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // a strange name sorts last
			return n
		}
		return version(b) - version(a)
	})
	for _, dir := range append(dirs, versions...) {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return dir
		}
	}
	return ""
}

// supervise runs the server until the pipe on its standard input closes, which
// it does when the test binary ends, however that ends. No server is left
// behind by a test that crashed.
const supervise = `"$1/postgres" -D "$2/data" -k "$2" "$3" >"$2/log" 2>&1 </dev/null &
read -r _
kill -QUIT $! 2>/dev/null
wait
rm -rf "$2"`

// start makes a data folder with fill and starts a server on it.
func start(bin string, fill func(bin, data string) error, settings ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pg") // short: the path of a socket has 107 bytes at most
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, ended: make(chan error, 1)}
	if err := own(dir); err != nil {
		return nil, err
	}
	if err := fill(bin, s.Data()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	args := []string{
		// No TCP: nothing else on the machine can find the server. What is not
		// named here is as PostgreSQL ships it, fsync among it.
		"listen_addresses=", "max_connections=60", "shared_buffers=16MB", "max_wal_size=128MB",
	}
	shell := supervise
	for _, a := range append(args, settings...) {
		shell = strings.Replace(shell, `"$3"`, `-c '`+a+`' "$3"`, 1)
	}
	shell = strings.Replace(shell, ` "$3"`, "", 1)
	cmd := command("/bin", "sh", "-c", shell, "sh", bin, dir)
	if s.alive, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: start: %w", err), os.RemoveAll(dir))
	}
	go func() { s.ended <- cmd.Wait() }()
	if err := s.ready(); err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "log")) // for the message alone
		s.end()
		return nil, fmt.Errorf("pgtest: %w: %s", err, text)
	}
	return s, nil
}

// initialise makes the data folder of a new cluster. Whoever can open the
// socket is trusted, and only the folder's owner and root can.
func initialise(bin, data string) error {
	if err := run(bin, "initdb", "-D", data, "-U", administrator, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	// Made in single-user mode, so that a server is never up without it.
	cmd := command(bin, "postgres", "--single", "-D", data, administrator)
	cmd.Stdin = strings.NewReader("CREATE ROLE " + application + " LOGIN\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: create a role: %w: %s", err, out)
	}
	return nil
}

func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if run(s.bin, "pg_isready", "-q", "-h", s.dir) == nil {
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return errors.New("the server ended")
		case <-ctx.Done():
			return errors.New("the server does not come up")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end stops the server and removes its folder.
func (s *Server) end() {
	_ = s.alive.Close() // the supervisor sees the end of its input
	select {
	case err := <-s.ended:
		s.ended <- err
	case <-time.After(patience):
	}
}

func run(bin, name string, args ...string) error {
	out, err := command(bin, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pgtest: %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// command is a program that runs as somebody PostgreSQL accepts, and knows
// nothing of the settings of whoever runs the tests.
func command(bin, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, name), args...) //nolint:gosec // G204: programs of this machine's PostgreSQL
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "PGOPTIONS=-c client_min_messages=warning"}
	cmd.Dir = os.TempDir()
	unprivileged(cmd)
	return cmd
}
