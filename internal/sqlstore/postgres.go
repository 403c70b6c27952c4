package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

var (
	// ErrConnectionString says that a PostgreSQL connection string cannot be
	// used. It does not repeat it, because it may hold a password.
	ErrConnectionString = errors.New("sqlstore: the connection string of the database cannot be used")

	// ErrDump says that a PostgreSQL database is copied with PostgreSQL's own
	// tools (docs/decisions/0008-postgresql.md).
	ErrDump = errors.New("sqlstore: a PostgreSQL database is backed up with its own tools")
)

const (
	// connectTimeout is how long one host may take to answer.
	connectTimeout = 5 * time.Second
	// statementTimeout ends a statement that nobody can be waiting for any
	// more. It has to be longer than a wait for a lock.
	statementTimeout = 15 * time.Second
	// idleTimeout ends a transaction whose client went silent, because it
	// keeps all other writers waiting.
	idleTimeout = 4 * time.Second
	// postgresPatience is how long a call waits in this process: for its turn,
	// and for a commit, which may wait for a standby.
	postgresPatience = 10 * time.Second
	// maintenanceTimeout is what a migration, or the rewriting of a table, may
	// take, and how long it waits for another process that does the same.
	maintenanceTimeout = 10 * time.Minute

	postgresReaders = 8
	// connectionLife brings connections back to a server that has returned,
	// and to settings that have changed.
	connectionLife = 30 * time.Minute
)

func isPostgres(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// postgresEngine is one schema of a PostgreSQL database.
type postgresEngine struct {
	schema      schema
	maintenance *pgx.ConnConfig
	heartbeats  *sql.DB // a connection of their own, so that they queue behind nobody
}

func openPostgres(ctx context.Context, dsn string, s schema) (*base, error) {
	writer, err := postgresConfig(dsn, s.name, statementTimeout, busyTimeout)
	if err != nil {
		return nil, err
	}
	reader := writer.Copy()
	reader.AfterConnect = readOnly
	maintenance, err := postgresConfig(dsn, s.name, maintenanceTimeout, maintenanceTimeout)
	if err != nil {
		return nil, err
	}
	e := &postgresEngine{schema: s, maintenance: maintenance, heartbeats: stdlib.OpenDB(*heartbeatConfig(writer), stdlib.OptionResetSession(stillWritable))}
	e.heartbeats.SetMaxOpenConns(1)
	if err := e.migrate(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	b := &base{
		engine:   e,
		write:    stdlib.OpenDB(*writer, stdlib.OptionResetSession(stillWritable)),
		read:     stdlib.OpenDB(*reader, stdlib.OptionResetSession(stillPrimary)),
		patience: postgresPatience,
	}
	b.write.SetMaxOpenConns(1)
	b.read.SetMaxOpenConns(postgresReaders)
	b.read.SetMaxIdleConns(postgresReaders)
	for _, db := range []*sql.DB{b.write, b.read} {
		db.SetConnMaxLifetime(connectionLife)
	}
	if err := b.Ping(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// postgresConfig reads a connection string and adds every setting that a
// connection must have.
func postgresConfig(dsn, schema string, statement, lock time.Duration) (*pgx.ConnConfig, error) {
	cfg, err := parseAlone(dsn)
	if err != nil {
		return nil, ErrConnectionString // the parser's own text repeats parts of it
	}
	if cfg.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, fmt.Errorf("%w: the simple protocol puts values into the server's log", ErrConnectionString)
	}
	ways := append([]*pgconn.FallbackConfig{{Host: cfg.Host, TLSConfig: cfg.TLSConfig}}, cfg.Fallbacks...)
	for _, w := range ways {
		if !onThisMachine(w.Host) && (w.TLSConfig == nil || w.TLSConfig.InsecureSkipVerify) {
			return nil, fmt.Errorf("%w: a server on another machine needs sslmode=verify-full", ErrConnectionString)
		}
	}
	for name, value := range map[string]string{
		"application_name": "safeconduct",
		// Nothing else is looked for in, so that nobody who may create things
		// in another schema can put them in the way.
		"search_path":                         schema,
		"statement_timeout":                   milliseconds(statement),
		"lock_timeout":                        milliseconds(lock),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
		// The server repeats no value in its log beside a statement that failed.
		"log_parameter_max_length_on_error": "0",
	} {
		cfg.RuntimeParams[name] = value
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.DialFunc = (&net.Dialer{
		// A machine that is gone without a word is noticed within half a
		// minute, and not when TCP gives up.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         unansweredFor(30 * time.Second),
	}).DialContext
	// Of several hosts the one that takes changes.
	cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	cfg.AfterConnect = quietLogs
	cfg.Tracer = errorRedactor{}
	return cfg, nil
}

// parsing keeps parsers from seeing each other's empty environment.
var parsing sync.Mutex

// parseAlone reads a connection string and nothing else. As libpq does, pgx would
// fill in what it does not say from PG… in the environment and from files in the
// home folder: another host, user or password than an operator wrote down, or
// weaker TLS. It can be told not to in no other way.
func parseAlone(dsn string) (*pgx.ConnConfig, error) {
	parsing.Lock()
	defer parsing.Unlock()
	for _, one := range os.Environ() {
		name, value, _ := strings.Cut(one, "=")
		if name != "HOME" && !strings.HasPrefix(name, "PG") {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
		defer func() { _ = os.Setenv(name, value) }()
	}
	return pgx.ParseConfig(dsn)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// onThisMachine reports whether a host is a socket or a loopback address.
func onThisMachine(host string) bool {
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || net.ParseIP(host).IsLoopback()
}

// quietLogs keeps what is in our tables out of the server's log, as far as the
// role may: all but the last of these settings are an administrator's, who can
// grant them or make them the role's own (docs/decisions/0008-postgresql.md).
// The last one mends a server that answers commits before they are on disk.
func quietLogs(ctx context.Context, conn *pgconn.PgConn) error {
	return conn.Exec(ctx, `DO $$
		DECLARE s TEXT[];
		BEGIN
			FOREACH s SLICE 1 IN ARRAY ARRAY[['log_statement', 'none'], ['log_min_error_statement', 'panic'],
				['log_min_duration_statement', '-1'], ['log_error_verbosity', 'terse'], ['log_parameter_max_length', '0']]
			LOOP
				BEGIN
					PERFORM set_config(s[1], s[2], FALSE);
				EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL;
				END;
			END LOOP;
			IF current_setting('synchronous_commit') = 'off' THEN
				PERFORM set_config('synchronous_commit', 'on', FALSE);
			END IF;
		END $$`).Close()
}

// readOnly makes a session one that cannot write, once it has turned out to be
// with a server that can.
func readOnly(ctx context.Context, conn *pgconn.PgConn) error {
	if err := quietLogs(ctx, conn); err != nil {
		return err
	}
	return conn.Exec(ctx, "SET default_transaction_read_only = on").Close()
}

// errorRedactor removes from every error what the server tells of rows, before
// anybody can wrap or print it. What ends a session is about the session, and
// stays.
type errorRedactor struct{}

// TraceQueryStart does nothing.
func (errorRedactor) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd is called with the error before the caller has it.
func (errorRedactor) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	var e *pgconn.PgError
	if !errors.As(data.Err, &e) || e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC" {
		return
	}
	e.Message = "refused by the database"
	e.Detail, e.Hint, e.Where, e.InternalQuery = "", "", "", ""
}

// stillPrimary drops a connection whose server has become a standby: it says so
// by itself (PostgreSQL 14 and newer).
func stillPrimary(_ context.Context, conn *pgx.Conn) error {
	if conn.PgConn().ParameterStatus("in_hot_standby") == "on" {
		return driver.ErrBadConn
	}
	return nil
}

// stillWritable also drops one whose server was told to take no changes.
func stillWritable(ctx context.Context, conn *pgx.Conn) error {
	if conn.PgConn().ParameterStatus("default_transaction_read_only") == "on" {
		return driver.ErrBadConn
	}
	return stillPrimary(ctx, conn)
}

// migrateLock keeps processes that start together from migrating together.
const migrateLock = 0x5afec0d1

// migrate makes the schema when there is none, and brings it up to date.
func (e *postgresEngine) migrate(ctx context.Context) (err error) {
	db := stdlib.OpenDB(*e.maintenance)
	defer func() { err = errors.Join(err, db.Close()) }() // which gives the lock back, too
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlstore: open: %w", classify(err))
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return fmt.Errorf("%w: %w", ErrMigration, classify(err))
	}
	var exists, filled bool
	err = conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1), COALESCE(to_regclass($2), to_regclass($3)) IS NOT NULL",
		e.schema.name, pgx.Identifier{e.schema.name, cmp.Or(e.schema.keys, e.schema.had)}.Sanitize(), pgx.Identifier{e.schema.name, e.schema.had}.Sanitize()).Scan(&exists, &filled)
	if err == nil && e.schema.kept && !filled {
		return ErrMissing
	}
	if err == nil && !exists {
		_, err = conn.ExecContext(ctx, "CREATE SCHEMA "+pgx.Identifier{e.schema.name}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMigration, classify(err))
	}
	return migrate(ctx, db, goose.DialectPostgres, e.schema)
}

// begin starts a SERIALIZABLE transaction and waits for its turn. Isolation
// makes every transaction right whoever else writes; the turn makes it rare
// that one has to be repeated. LOCK TABLE is the one lock that is taken before
// the snapshot is, so that whoever waited sees what the one before has done.
// The transaction outlives the caller's context, or that would end its COMMIT.
func (e *postgresEngine) begin(ctx context.Context, conn *sql.Conn) (*sql.Tx, error) {
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "LOCK TABLE turn IN EXCLUSIVE MODE"); err != nil {
		_ = tx.Rollback()
		return nil, err
	}
	return tx, nil
}

func (e *postgresEngine) readOptions() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (e *postgresEngine) now() string {
	return "SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp())) AS BIGINT)"
}

// heartbeatConfig is for heartbeats: small, alone, and not worth a standby's
// answer.
func heartbeatConfig(writer *pgx.ConnConfig) *pgx.ConnConfig {
	cfg := writer.Copy()
	cfg.ConnectTimeout = expiredAfter / 2
	cfg.RuntimeParams["statement_timeout"] = milliseconds(expiredAfter / 2)
	cfg.RuntimeParams["synchronous_commit"] = "local"
	cfg.RuntimeParams["default_transaction_isolation"] = "read committed"
	return cfg
}

// clockMillis is the database's clock, in milliseconds since 1970.
const clockMillis = "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)"

func (e *postgresEngine) heartbeat(ctx context.Context, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, expiredAfter)
	defer cancel()
	_, err := e.heartbeats.ExecContext(ctx,
		"INSERT INTO instances (id, seen) VALUES ($1, "+clockMillis+") ON CONFLICT (id) DO UPDATE SET seen = excluded.seen", instance)
	return err
}

// leave also sweeps out whoever expired a day ago.
func (e *postgresEngine) leave(ctx context.Context, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, expiredAfter)
	defer cancel()
	_, err := e.heartbeats.ExecContext(ctx, "DELETE FROM instances WHERE id = $1 OR seen < "+clockMillis+" - 86400000", instance)
	return err
}

func (e *postgresEngine) others(ctx context.Context, q querier, instance string) (n int, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM instances n WHERE n.id <> $1 AND NOT "+e.expired("n.id"), instance).Scan(&n)
	return n, err
}

func (e *postgresEngine) expired(column string) string {
	return "NOT EXISTS (SELECT 1 FROM instances AS alive WHERE alive.id = " + column +
		" AND alive.seen > " + clockMillis + " - " + milliseconds(expiredAfter) + ")"
}

func (e *postgresEngine) close() error { return e.heartbeats.Close() }

// damage asks for what the server knows. Reading every page is pg_amcheck's.
func (e *postgresEngine) damage(ctx context.Context, tx *sql.Tx) (problems []string, err error) {
	var durable bool
	var failures int64
	err = tx.QueryRowContext(ctx, `SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
		COALESCE((SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()), 0)`).Scan(&durable, &failures)
	if err != nil {
		return nil, err
	}
	if !durable {
		problems = append(problems, "the database server may lose commits: fsync or full_page_writes is off")
	}
	if failures != 0 {
		problems = append(problems, "the database server has read damaged pages")
	}
	return problems, nil
}

// wipe rewrites the parts of the keyring's table that hold the given rows, or
// all of it, so that no file of the table keeps a byte of what is gone. A plain
// VACUUM would leave the bytes where they are. What is rewritten lies in the order of the
// names.
func (e *postgresEngine) wipe(ctx context.Context, write *sql.DB, ids ...string) (err error) {
	if e.schema.keys == "" {
		return nil // what is left is ciphertext whose key is gone
	}
	parts, err := e.parts(ctx, write, ids)
	if err != nil {
		return fmt.Errorf("sqlstore: rewrite a table: %w", classify(err))
	}
	cfg := e.maintenance.Copy()
	cfg.RuntimeParams["lock_timeout"] = milliseconds(busyTimeout) // readers wait behind us
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, part := range parts {
		if _, err := db.ExecContext(ctx, "CLUSTER "+pgx.Identifier{part}.Sanitize()+" USING "+pgx.Identifier{part + "_pkey"}.Sanitize()); err != nil {
			return fmt.Errorf("sqlstore: rewrite a table: %w", classify(err))
		}
	}
	return nil
}

// parts names the partitions that rows with these names belong to, or all of them.
func (e *postgresEngine) parts(ctx context.Context, q querier, names []string) ([]string, error) {
	scan := func(row scanner) (name string, err error) { return name, row.Scan(&name) }
	if len(names) == 0 {
		return list(ctx, q, scan, "SELECT $1 || '_' || part FROM generate_series(0, 15) AS part", e.schema.keys)
	}
	return list(ctx, q, scan, `SELECT DISTINCT $1 || '_' || part FROM generate_series(0, 15) AS part, unnest(CAST($2 AS TEXT[])) AS name
		WHERE satisfies_hash_partition(CAST($1 AS regclass), 16, part, decode(name, 'hex'))`, e.schema.keys, names)
}

func (e *postgresEngine) backup(context.Context, *sql.DB, string) error { return ErrDump }

// describe asks the catalogue for the tables of our schema.
func (e *postgresEngine) describe(ctx context.Context, q querier) ([]table, error) {
	var all []table
	_, err := list(ctx, q, func(row scanner) (none struct{}, err error) {
		var name, column1, declared, identity string
		if err := row.Scan(&name, &column1, &declared, &identity); err != nil {
			return none, err
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, table{name: name, itself: map[string]string{}})
		}
		t := &all[len(all)-1]
		t.columns = append(t.columns, column{column1, kindOf(declared)})
		if identity == "YES" {
			t.computed = column1
		}
		return none, nil
	}, `SELECT c.table_name, c.column_name, c.data_type, c.is_identity FROM information_schema.columns c
		JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = $1 AND t.table_type = 'BASE TABLE' ORDER BY c.table_name COLLATE "C", c.ordinal_position`, e.schema.name)
	if err != nil {
		return nil, err
	}
	_, err = list(ctx, q, func(row scanner) (none struct{}, err error) {
		var name, kind, from, other, to string
		if err := row.Scan(&name, &kind, &from, &other, &to); err != nil {
			return none, err
		}
		for i := range all {
			t := &all[i]
			switch {
			case t.name != name:
			case kind == "p":
				t.key = append(t.key, from)
			default:
				t.needs = append(t.needs, other)
				if other == name {
					t.itself[from] = to
				}
			}
		}
		return none, nil
	}, `SELECT r.relname, k.contype::text, a.attname, COALESCE(f.relname, ''), COALESCE(b.attname, '')
		FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
		CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
		LEFT JOIN pg_class f ON f.oid = k.confrelid
		LEFT JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[u.place]
		WHERE n.nspname = $1 AND k.contype IN ('p', 'f') ORDER BY r.relname, k.oid, u.place`, e.schema.name)
	return all, err
}

// withoutTimeouts lifts the limits that end what nobody can be waiting for.
func (e *postgresEngine) withoutTimeouts(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT set_config('statement_timeout', '0', TRUE), set_config('idle_in_transaction_session_timeout', '0', TRUE)")
	return err
}

func (e *postgresEngine) renumber(ctx context.Context, tx *sql.Tx, tables []table) error {
	for _, t := range tables {
		if t.computed == "" {
			continue
		}
		//nolint:gosec // the names are those of our own schema
		_, err := tx.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence($1, $2), COALESCE(MAX("+quoted(t.computed)+"), 0) + 1, FALSE) FROM "+quoted(t.name),
			e.schema.name+"."+t.name, t.computed)
		if err != nil {
			return err
		}
	}
	return nil
}

// classifyPostgres is the name that an error of PostgreSQL, or of the way to it,
// has among ours, or nil. The codes are those of PostgreSQL's appendix A.
func classifyPostgres(err error) error {
	var unreachable *pgconn.ConnectError
	var e *pgconn.PgError
	switch {
	case errors.As(err, &unreachable), disconnected(err):
		return ErrUnavailable
	case !errors.As(err, &e):
		return nil
	}
	switch e.Code {
	case "40001", "40P01", "55P03", "57014": // serialization, deadlock, lock or statement timeout
		return ErrBusy
	case "53100": // disk_full
		return ErrFull
	case "XX001", "XX002", "42P01", "42703", "3F000": // data or index corrupted, undefined table or column, no such schema
		return ErrDamaged
	case "25006", "25P03", "57P01", "57P02", "57P03", "57P04": // read-only, idle too long, server going or coming
		return ErrUnavailable
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53": // connection, resources
		return ErrUnavailable
	default:
		return nil
	}
}

func postgresTaken(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "23505" // unique_violation
}

// conflicted reports whether the server has undone a transaction only because of
// what others did at the same time.
func conflicted(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// disconnected reports whether a connection broke. The caller's own impatience, which
// breaks it too, is something else.
func disconnected(err error) bool {
	var unreachable *pgconn.ConnectError
	if err == nil || errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code == "57P01" || e.Code == "57P02" || e.Code == "25P03" // the server ended the session
	}
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}
