package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
)

func TestCredentialsOnPostgres(t *testing.T) {
	for name, on := range map[string]place{"postgres": postgresPlace, "postgres, each transaction twice": repeatedPlace} {
		t.Run(name, func(t *testing.T) {
			storetest.Credentials(t, func(t *testing.T, capacity int) storetest.CredentialsStore {
				db := on.db(t)
				return storetest.CredentialsStore{Store: &Credentials{db, capacity}, Log: db.Log(), Vault: db.Vault()}
			})
		})
	}
}

// openAt opens a database that exists.
func openAt(t *testing.T, dsn string) *DB {
	t.Helper()
	return sealing(t, closed(t, func() (*DB, error) { return Open(t.Context(), dsn) }))
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPostgresSettings(t *testing.T) {
	db := postgresPlace.db(t)
	for _, pool := range []struct {
		name, readOnly string
		db             *sql.DB
	}{{"writer", "off", db.write}, {"readers", "on", db.read}} {
		for setting, want := range map[string]string{
			"search_path": "safeconduct", "statement_timeout": "15s", "lock_timeout": "5s",
			"idle_in_transaction_session_timeout": "4s", "log_parameter_max_length_on_error": "0",
			"synchronous_commit": "on", "application_name": "safeconduct", "default_transaction_read_only": pool.readOnly,
		} {
			var got string
			ok(t, pool.db.QueryRowContext(t.Context(), "SHOW "+setting).Scan(&got))
			if got != want {
				t.Errorf("%s: %s is %s, want %s", pool.name, setting, got, want)
			}
		}
	}
	if _, err := db.read.ExecContext(t.Context(), "DELETE FROM leaves"); !errors.Is(classify(err), ErrUnavailable) {
		t.Errorf("a reader wrote: %v, want ErrUnavailable", classify(err))
	}
	ok(t, db.tx(t.Context(), func(tx *sql.Tx) error {
		var level string
		err := tx.QueryRowContext(t.Context(), "SHOW transaction_isolation").Scan(&level)
		if level != "serializable" {
			t.Errorf("isolation is %s, want serializable", level)
		}
		return err
	}))
	if err := db.Backup(t.Context(), "copy"); !errors.Is(err, ErrDump) {
		t.Errorf("back up: %v, want ErrDump", err)
	}
	ok(t, db.Truncate(t.Context()))
}

// TestPostgresSchema looks for what the translation of the migrations is for.
func TestPostgresSchema(t *testing.T) {
	dsn := pgtest.Start(t)
	openAt(t, dsn)
	closed(t, func() (*Keyring, error) { return CreateKeyring(t.Context(), dsn, "0123", testRingKey) })
	server := pgtest.Shared(t)
	for _, c := range []struct{ what, query, want string }{
		{"columns of text that are not compared byte by byte", `SELECT COUNT(*) FROM information_schema.columns
			WHERE table_schema IN ('safeconduct', 'keyring') AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'`, "0"},
		{"columns of text", `SELECT COUNT(*) > 20 FROM information_schema.columns
			WHERE table_schema IN ('safeconduct', 'keyring') AND data_type = 'text'`, "t"},
		{"columns with times", `SELECT COUNT(*) FROM information_schema.columns WHERE table_schema IN ('safeconduct', 'keyring')
			AND data_type ~ 'time|date' AND table_name <> 'goose_db_version'`, "0"},
		{"tables elsewhere", `SELECT COUNT(*) FROM pg_tables WHERE schemaname NOT IN ('safeconduct', 'keyring', 'pg_catalog', 'information_schema')`, "0"},
		{"key files", "SELECT COUNT(*) FROM pg_tables WHERE tablename LIKE 'keys\\_%' AND schemaname = 'keyring'", "16"},
	} {
		if got := server.Administer(t, dsn, c.query); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestPostgresMigrations(t *testing.T) {
	dsn := pgtest.Start(t)
	sqlFile := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + s)} }
	files := fstest.MapFS{
		"m/0001_a.sql": sqlFile("CREATE TABLE a (x INTEGER PRIMARY KEY, y BLOB, z TEXT);"),
		// The other engine's words: reading them would be an error.
		"m/0001_a.sqlite.sql": sqlFile("CREATE TABLE a (x BIGINT);"),
		"m/0002_b.sql":        sqlFile("CREATE TABLE b (x BIGINT);\nNOT SQL;"),
	}
	s := schema{name: "m", files: files, dir: "m"}
	if _, err := open(t.Context(), dsn, s); !errors.Is(err, ErrMigration) {
		t.Fatalf("open: %v, want ErrMigration", err)
	}
	if got := pgtest.Shared(t).Administer(t, dsn, "SELECT to_regclass('m.a') IS NOT NULL, to_regclass('m.b') IS NULL"); got != "t|t" {
		t.Errorf("the first migration is there and nothing of the second one: %s, want t|t", got)
	}
	files["m/0002_b.sql"] = sqlFile("CREATE TABLE b (x BIGINT);")
	for _, what := range []string{"with the migration mended", "with an older program"} {
		b, err := open(t.Context(), dsn, s)
		if err != nil {
			t.Fatalf("open %s: %v", what, err)
		}
		ok(t, b.Close())
		delete(files, "m/0002_b.sql")
	}

	t.Run("at the same time", func(t *testing.T) {
		dsn := pgtest.Start(t)
		errs := make(chan error, 5)
		for i := range cap(errs) {
			go func() {
				if i == 0 { // the keyring beside it, in the same database
					k, err := CreateKeyring(context.Background(), dsn, "0123", testRingKey)
					if err == nil {
						err = k.Close()
					}
					errs <- err
					return
				}
				db, err := Open(context.Background(), dsn)
				if err == nil {
					err = db.Close()
				}
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("not allowed", func(t *testing.T) {
		dsn := pgtest.Start(t)
		server := pgtest.Shared(t)
		name := pgtest.Name(t, dsn)
		server.Administer(t, dsn, "ALTER DATABASE "+name+" OWNER TO postgres")
		defer server.Administer(t, dsn, "ALTER DATABASE "+name+" OWNER TO app")
		if _, err := Open(t.Context(), dsn); !errors.Is(err, ErrMigration) {
			t.Errorf("open: %v, want ErrMigration", err)
		}
		// An administrator made the schema, and the role may do no more.
		server.Administer(t, dsn, "CREATE SCHEMA safeconduct AUTHORIZATION app")
		openAt(t, dsn)
	})
}

func TestConnectionStrings(t *testing.T) {
	const secret = "made-up-pass%77ord"
	for _, c := range []struct {
		dsn  string
		want error
	}{
		{"postgres://app:" + secret + "@db.example/x?sslmode=verify-full", nil},
		{"postgres://app:" + secret + "@a.example,b.example/x?sslmode=verify-full", nil},
		{"postgresql://app@/x?host=/run/postgresql", nil},
		{"postgres://app@localhost/x", nil},
		{"postgres://app@127.0.0.1/x?sslmode=disable", nil},
		{"postgres://app@[::1]/x", nil},
		{"postgres://app:" + secret + "@db.example/x", ErrConnectionString},
		{"postgres://app:" + secret + "@db.example/x?sslmode=disable", ErrConnectionString},
		{"postgres://app:" + secret + "@db.example/x?sslmode=require", ErrConnectionString},
		{"postgres://app:" + secret + "@db.example/x?sslmode=verify-ca", ErrConnectionString},
		{"postgres://app:" + secret + "@localhost,db.example/x?sslmode=prefer", ErrConnectionString},
		{"postgres://app:" + secret + "@localhost/x?default_query_exec_mode=simple_protocol", ErrConnectionString},
		{"postgres://app:" + secret + "%zz@localhost/x", ErrConnectionString},
		{"postgres://app:" + secret + "@localhost:port/x", ErrConnectionString},
	} {
		cfg, err := postgresConfig(c.dsn, "s", statementTimeout, busyTimeout)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.dsn, err, c.want)
		}
		if err == nil && (cfg.ValidateConnect == nil || cfg.ConnectTimeout == 0) {
			t.Errorf("%s: a standby would do, or the wait has no end", c.dsn)
		}
		if err != nil {
			for _, part := range []string{"made-up-pass", "db.example", "app"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%s: the error repeats a part of it", c.dsn)
				}
			}
		}
	}
}

// TestEnvironmentIsNotAsked: nothing that pgx takes from the environment, or from
// files in the home folder, gets into a connection.
func TestEnvironmentIsNotAsked(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(home, name)
		ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
		ok(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write(".pgpass", "*:*:*:*:of-the-home-folder\n")
	write("service", "[other]\nhost=elsewhere.example\npassword=of-the-service\n")
	write(".postgresql/root.crt", "no certificate\n") // reading it would be an error
	for name, value := range map[string]string{
		"HOME": home, "PGHOST": "elsewhere.example", "PGPORT": "1", "PGDATABASE": "other", "PGUSER": "somebody", "PGPASSWORD": "of-the-environment",
		"PGPASSFILE": filepath.Join(home, ".pgpass"), "PGSERVICE": "other", "PGSERVICEFILE": filepath.Join(home, "service"),
		"PGSSLMODE": "disable", "PGSSLROOTCERT": filepath.Join(home, ".postgresql/root.crt"), "PGAPPNAME": "other", "PGCONNECT_TIMEOUT": "99",
		"PGTARGETSESSIONATTRS": "standby", "PGTZ": "Asia/Phnom_Penh", "PGOPTIONS": "-c fsync=off",
	} {
		t.Setenv(name, value)
	}
	cfg, err := postgresConfig("postgres://app@/ours?host=/run/postgresql", "s", statementTimeout, busyTimeout)
	ok(t, err)
	if cfg.Host != "/run/postgresql" || cfg.Port != 5432 || cfg.Database != "ours" || cfg.User != "app" || cfg.Password != "" ||
		cfg.ConnectTimeout != connectTimeout || cfg.RuntimeParams["application_name"] != "safeconduct" ||
		cfg.RuntimeParams["timezone"] != "" || cfg.RuntimeParams["options"] != "" {
		t.Errorf("host %s, port %d, database %s, user %s, password of %d characters, timeout %s, %v",
			cfg.Host, cfg.Port, cfg.Database, cfg.User, len(cfg.Password), cfg.ConnectTimeout, cfg.RuntimeParams)
	}
	if cfg, err = postgresConfig("postgres://app@/?host=/run/postgresql", "s", statementTimeout, busyTimeout); err != nil || cfg.Database == "other" {
		t.Errorf("a database from the environment: %v", err)
	}
	// And TLS stays what the address says.
	if _, err := postgresConfig("postgres://app@db.example/x?sslmode=verify-full", "s", statementTimeout, busyTimeout); err != nil {
		t.Errorf("the environment got in the way: %v", err)
	}
	t.Setenv("PGSSLMODE", "verify-full")
	if _, err := postgresConfig("postgres://app@db.example/x", "s", statementTimeout, busyTimeout); !errors.Is(err, ErrConnectionString) {
		t.Errorf("TLS by the environment's word: %v", err)
	}
	if os.Getenv("PGHOST") != "elsewhere.example" || os.Getenv("HOME") != home {
		t.Error("the environment was changed for others")
	}
}

// TestPostgresKind has the server raise what it would raise.
func TestPostgresKind(t *testing.T) {
	db := postgresPlace.db(t)
	for code, want := range map[string]error{
		"40001": ErrBusy, "40P01": ErrBusy, "55P03": ErrBusy, "57014": ErrBusy,
		"53100": ErrFull, "53000": ErrUnavailable, "53200": ErrUnavailable, "53300": ErrUnavailable, "53400": ErrUnavailable,
		"25006": ErrUnavailable, "57P01": ErrUnavailable, "57P03": ErrUnavailable, "08006": ErrUnavailable,
	} {
		t.Run(code, func(t *testing.T) {
			err := db.tx(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), "DO $$ BEGIN RAISE EXCEPTION 'a canary' USING ERRCODE = '"+code+"', DETAIL = 'a canary'; END $$")
				return err
			})
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary") {
				t.Error("the error repeats what the server said")
			}
		})
	}
	for _, code := range []string{"23505", "23503", "22P02", "42601", "XX001"} {
		err := db.tx(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '"+code+"'; END $$")
			return err
		})
		if err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, want an error without a name", code, err)
		}
	}
	for _, pool := range []*sql.DB{db.read, db.write} {
		const number = "SELECT CAST(CAST($1 AS TEXT) AS BIGINT)"
		_, err1 := pool.ExecContext(t.Context(), number, "a canary")
		err2 := pool.QueryRowContext(t.Context(), number, "a canary").Scan(new(int64))
		_, err3 := pool.ExecContext(t.Context(), `SELECT "a canary"`)
		for _, err := range []error{err1, err2, err3} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary") {
				t.Errorf("a value that is no number, a column that is not there: %v", err)
			}
		}
	}
	e := storetest.Entry(t, "")
	ok(t, db.Log().Append(t.Context(), e))
	if err := db.Log().Append(t.Context(), e); !isTaken(err) || strings.Contains(err.Error(), e.Name()) {
		t.Errorf("an id twice: taken is %v, %v", isTaken(err), err)
	}
}

func TestPostgresBusy(t *testing.T) {
	dsn := pgtest.Start(t)
	db, other := openAt(t, dsn), openAt(t, dsn)
	if _, err := other.write.ExecContext(t.Context(), "SET lock_timeout = 20"); err != nil {
		t.Fatal(err)
	}
	ok(t, db.tx(t.Context(), func(*sql.Tx) error {
		if err := other.Log().Append(t.Context(), storetest.Entry(t, "")); !errors.Is(err, ErrBusy) {
			t.Errorf("write beside another process: %v, want ErrBusy", err)
		}
		// Readers wait for nobody.
		if _, err := other.Log().Size(t.Context()); err != nil {
			t.Errorf("read beside a writer: %v", err)
		}
		// In one process, writers wait for their turn and not for ever.
		db.patience = 20 * time.Millisecond
		if err := db.Log().Append(t.Context(), storetest.Entry(t, "")); !errors.Is(err, ErrBusy) {
			t.Errorf("write beside oneself: %v, want ErrBusy", err)
		}
		db.patience = postgresPatience
		ended, end := context.WithCancel(t.Context())
		end()
		if err := db.Log().Append(ended, storetest.Entry(t, "")); !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
			t.Errorf("write after the context ended: %v, want canceled", err)
		}
		return nil
	}))
	ok(t, other.Log().Append(t.Context(), storetest.Entry(t, "")))
}

// TestSerializationFailure has somebody write who does not wait for a turn.
func TestSerializationFailure(t *testing.T) {
	dsn := pgtest.Start(t)
	db, other := openAt(t, dsn), openAt(t, dsn)
	ctx := t.Context()
	ok(t, db.Network().Init(ctx, network.Record{ID: storetest.NewID()}, nil))
	for _, c := range []struct {
		name      string
		conflicts int
		tries     int
		want      error
		sequence  int64 // 100 for each of the other's writes, 1 for ours
	}{
		{"no conflict", 0, 1, nil, 1},
		{"one", 1, 2, nil, 102},
		{"three", 3, 4, nil, 403},
		{"always", 4, 4, ErrBusy, 803},
	} {
		tries := 0
		err := db.tx(ctx, func(tx *sql.Tx) error {
			tries++
			var sequence int64
			if err := tx.QueryRowContext(ctx, "SELECT pack_sequence FROM network").Scan(&sequence); err != nil {
				return err
			}
			if tries <= c.conflicts {
				if _, err := other.write.ExecContext(ctx, "UPDATE network SET pack_sequence = pack_sequence + 100"); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, "UPDATE network SET pack_sequence = $1", sequence+1)
			return err
		})
		if !errors.Is(err, c.want) || tries != c.tries {
			t.Errorf("%s: %d tries, %v, want %d, %v", c.name, tries, err, c.tries, c.want)
		}
		var sequence int64
		ok(t, db.read.QueryRowContext(ctx, "SELECT pack_sequence FROM network").Scan(&sequence))
		if sequence != c.sequence {
			t.Errorf("%s: the number is %d, want %d", c.name, sequence, c.sequence)
		}
	}
}

// TestTwoReplicas is hostile case 74. It has two processes, as far as the database can tell, work on
// one network at the same time.
func TestTwoReplicas(t *testing.T) {
	dsn := pgtest.Start(t)
	replicas := []*DB{openAt(t, dsn), openAt(t, dsn)}
	ctx := t.Context()
	ok(t, replicas[0].Network().Init(ctx, network.Record{ID: storetest.NewID()}, nil))
	logged := len(pgtest.Shared(t).Log(t))
	const workers, each, capacity = 3, 8, 30
	var mu sync.Mutex
	var packs []uint64
	var wg sync.WaitGroup
	for r, db := range replicas {
		issued := &Credentials{db, capacity}
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					// Both want the same indices.
					for index := uint32(w*each + i); ; index += 1000 {
						list, err := issued.OpenList(ctx)
						if err == nil {
							d := draftAt(list, index)
							d.Case = begun(t, db)
							err = issued.Reserve(ctx, d, nil, storetest.Entry(t, d.Case))
						}
						if err == nil {
							break
						}
						if !errors.Is(err, credentials.ErrIndexTaken) && !errors.Is(err, credentials.ErrListFull) {
							t.Errorf("reserve: %v", err)
							return
						}
					}
					n, err := db.Network().NextPack(ctx, storetest.Entry(t, ""))
					if err != nil {
						t.Errorf("next pack: %v", err)
						return
					}
					mu.Lock()
					packs = append(packs, n)
					mu.Unlock()
				}
			})
		}
		wg.Go(func() { // a publisher in each, whatever the lease would say
			for range 10 {
				size, err := db.Log().Size(ctx)
				if err == nil {
					err = db.Log().CloseWindow(ctx, size)
				}
				if err != nil && !errors.Is(err, audit.ErrSequence) {
					t.Errorf("publisher %d: %v", r, err)
				}
			}
		})
	}
	wg.Wait()

	// They queued, and did not run into each other.
	if strings.Contains(pgtest.Shared(t).Log(t)[logged:], "could not serialize access") {
		t.Error("the server had to refuse a transaction")
	}
	slices.Sort(packs)
	for i, n := range packs {
		if n != uint64(i+1) {
			t.Fatalf("numbers of packs: %v, want each once", packs)
		}
	}
	db := replicas[0]
	drafts, err := db.Credentials().Drafts(ctx)
	ok(t, err)
	seen := map[[2]uint32]bool{}
	perList := map[uint16]int{}
	for _, d := range drafts {
		if place := [2]uint32{uint32(d.List), d.Index}; seen[place] {
			t.Error("an index was given out twice")
		} else {
			seen[place] = true
		}
		perList[d.List]++
	}
	if len(drafts) != 2*workers*each || perList[0] != capacity {
		t.Errorf("%d drafts, %d of them on the first list, want %d and %d", len(drafts), perList[0], 2*workers*each, capacity)
	}
	health, err := db.Check(ctx)
	if err != nil || len(health.Problems) != 0 {
		t.Errorf("check: %v, %v", health.Problems, err)
	}
	size, err := db.Log().Size(ctx)
	ok(t, err)
	if leaves, err := db.Log().Sequenced(ctx, 0, 100_000); err != nil || int64(len(leaves)) != size || size == 0 {
		t.Errorf("%d leaves without a gap, %v, want %d", len(leaves), err, size)
	}
}

// begun makes a case.
func begun(t *testing.T, db *DB) string {
	t.Helper()
	id := storetest.NewID()
	r := vault.Record{ID: id, Case: id, Agency: storetest.NewID(), Recipient: "case " + id, Day: storetest.Day(0)}
	if err := db.Vault().CreateRecord(t.Context(), r, nil, nil); err != nil {
		t.Error(err)
	}
	return id
}

func draftAt(list uint16, index uint32) credentials.Issued {
	return credentials.Issued{
		ID: credentials.ID(storetest.NewID()), Kind: claims.KindScreening, Case: storetest.NewID(), Agency: storetest.NewID(),
		State: credentials.Draft, List: list, Index: index, IssuedOn: storetest.Day(0), ValidUntil: storetest.Day(9), RequestKey: storetest.NewID(),
	}
}

// TestPostgresServerLog looks into the server's log and files after requests
// that were refused.
func TestPostgresServerLog(t *testing.T) {
	server := pgtest.New(t, "log_statement=all", "log_min_duration_statement=0")
	dsn := server.Database(t)
	provoke := func(db *DB) (id string) {
		e := storetest.Entry(t, "")
		ok(t, db.Log().Append(t.Context(), e))
		if err := db.Log().Append(t.Context(), e); !isTaken(err) {
			t.Errorf("an id twice: %v", err)
		}
		return e.Name()
	}
	// With an administrator's leave nothing of a request reaches the log.
	server.Administer(t, dsn, `GRANT SET ON PARAMETER log_statement, log_min_error_statement, log_min_duration_statement,
		log_error_verbosity, log_parameter_max_length TO app`)
	id := provoke(openAt(t, dsn))
	log := server.Log(t)
	for _, text := range []string{"canary", id, "INSERT INTO leaves"} {
		if strings.Contains(log, text) {
			t.Errorf("%q is in the server's log", text)
		}
	}
	if !strings.Contains(log, "duplicate key") {
		t.Error("the refusal is not in the log: this test looks in the wrong place")
	}
}

func TestCheck(t *testing.T) {
	everywhere(t, func(t *testing.T, on place) {
		db := on.db(t)
		list, err := db.Credentials().OpenList(t.Context())
		ok(t, err)
		d := draftAt(list, 1)
		d.Case = begun(t, db)
		ok(t, db.Credentials().Reserve(t.Context(), d, nil, storetest.Entry(t, d.Case)))
		h, err := db.Check(t.Context())
		if err != nil || h.Issued != 1 || h.Drafts != 1 || h.Logged != 1 || len(h.Problems) != 0 {
			t.Errorf("check: %+v, %v", h, err)
		}
		_, err = db.write.ExecContext(t.Context(), "DELETE FROM status_entries")
		ok(t, err)
		if h, err = db.Check(t.Context()); err != nil || len(h.Problems) != 1 {
			t.Errorf("check without the status entry: %v, %v, want one problem", h.Problems, err)
		}
	})
	t.Run("a server that loses commits", func(t *testing.T) {
		h, err := openAt(t, pgtest.New(t, "fsync=off").Database(t)).Check(t.Context())
		if err != nil || len(h.Problems) != 1 {
			t.Errorf("check: %v, %v, want one problem", h.Problems, err)
		}
	})
}

// through is a connection string that goes through a TCP address.
func through(t *testing.T, dsn, address string) string {
	t.Helper()
	return (&url.URL{Scheme: "postgres", User: url.User("app"), Host: address, Path: "/" + pgtest.Name(t, dsn), RawQuery: "sslmode=disable"}).String()
}
