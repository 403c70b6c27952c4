package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

var (
	// ErrRows says that rows cannot be taken in: they are malformed, or of
	// tables that this version does not have.
	ErrRows = errors.New("sqlstore: the rows cannot be taken in")

	// ErrNewer says that rows come from a newer version of the schema.
	ErrNewer = errors.New("sqlstore: the rows come from a newer version of this program")
)

const (
	// dumpPart is where a part of a dump counts as full, in bytes.
	dumpPart = 4 << 20
	// maxRow bounds what a row may take in a dump.
	maxRow = 32 << 20
)

// transient are tables whose rows mean nothing later: who holds a lease, which
// process sent a heartbeat a moment ago, what was asked two minutes ago, what was
// answered yesterday, who was signed in and over which challenges, and the migrations' own book. A process that a backup brought back as living would
// keep its drafts from being settled. The log's files are copied as files: what
// they are depends on where they go. Which keyring belongs to the rows is for a
// restore to say, which makes one.
var transient = []string{"goose_db_version", "sqlite_sequence", "turn", "leases", "instances", "idempotency", "nonces", "sessions", "spent_challenges", "log_files", "keyring_bond"}

// madeAnew are tables whose rows are made from those of others, with the keys of cases. They
// are in no dump: from an old backup they would say of a case that was erased since who
// kept it and who it was shared with, to whoever has our own keys. Rows of an earlier dump
// are loaded, and made anew (LeadAnew).
var madeAnew = []string{"names"}

// The kinds of values, the same in both engines.
const (
	kindInteger = "integer"
	kindText    = "text"
	kindBytes   = "bytes"
	kindBoolean = "boolean"
)

// column is one column of a table.
type column struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// table is the shape of a table: what a dump needs to know, and a load checks.
type table struct {
	name     string
	columns  []column
	key      []string
	needs    []string          // tables whose rows must be there first
	itself   map[string]string // a column that names another row of the same table, and by which
	computed string            // a column that numbers itself, if any
}

// partHead is the first line of a part; each further line is a row, as an array
// in the order of the columns. Bytes are base64.
type partHead struct {
	Table   string   `json:"table"`
	Columns []column `json:"columns"`
}

// Dumped says what a dump holds.
type Dumped struct {
	Schema int64 // number of the newest migration
	Rows   map[string]int64
}

// Dump writes all rows as they stood at one moment, in parts, in a form that
// Load reads into either engine, but those that LeadAnew makes. Others go on reading and writing. Tables come
// after those that they refer to.
func (db *DB) Dump(ctx context.Context, emit func(part []byte) error) (Dumped, error) {
	d := Dumped{Rows: map[string]int64{}}
	err := db.readTx(ctx, func(tx *sql.Tx) error {
		if err := db.withoutTimeouts(ctx, tx); err != nil {
			return err
		}
		var err error
		if d.Schema, err = schemaVersion(ctx, tx); err != nil {
			return err
		}
		tables, err := db.tables(ctx, tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if slices.Contains(madeAnew, t.name) {
				continue
			}
			n, err := dumpTable(ctx, tx, t, emit)
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			d.Rows[t.name] = n
		}
		return nil
	})
	if err != nil {
		return Dumped{}, fmt.Errorf("sqlstore: dump: %w", err)
	}
	return d, nil
}

// dumpTable writes one table. Rows that others of the same table refer to come
// first.
func dumpTable(ctx context.Context, tx *sql.Tx, t table, emit func([]byte) error) (count int64, err error) {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = quoted(c.Name)
	}
	var order []string
	for column, target := range t.itself {
		order = append(order, fmt.Sprintf("CASE WHEN %s = %s THEN 0 ELSE 1 END", quoted(column), quoted(target)))
	}
	for _, k := range t.key {
		order = append(order, quoted(k))
	}
	//nolint:gosec // the names are those of our own schema
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + quoted(t.name) + " ORDER BY " + strings.Join(order, ", ")
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	head, err := json.Marshal(partHead{t.name, t.columns})
	if err != nil {
		return 0, errors.Join(err, rows.Close())
	}
	head = append(head, '\n')
	part := bytes.NewBuffer(bytes.Clone(head))
	into := make([]any, len(t.columns))
	err = each(rows, func() error {
		for i, c := range t.columns {
			into[i] = holder(c.Kind)
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		values := make([]any, len(into))
		for i := range into {
			values[i] = plainValue(into[i])
		}
		line, err := json.Marshal(values)
		if err != nil {
			return err
		}
		if part.Len() > len(head) && part.Len()+len(line) >= dumpPart {
			if err := emit(part.Bytes()); err != nil {
				return err
			}
			part.Reset()
			part.Write(head)
		}
		part.Write(line)
		part.WriteByte('\n')
		count++
		return nil
	})
	if err != nil || count == 0 {
		return count, err
	}
	return count, emit(part.Bytes())
}

// holder is where a value of a kind is read into.
func holder(kind string) any {
	switch kind {
	case kindInteger:
		return new(sql.NullInt64)
	case kindBoolean:
		return new(sql.NullBool)
	case kindBytes:
		return new(any) // SQLite's driver gives no bytes and NULL the same []byte
	default:
		return new(sql.NullString)
	}
}

// plainValue is what JSON is made of.
func plainValue(v any) any {
	switch v := v.(type) {
	case *sql.NullInt64:
		if v.Valid {
			return v.Int64
		}
	case *sql.NullBool:
		if v.Valid {
			return v.Bool
		}
	case *sql.NullString:
		if v.Valid {
			return v.String
		}
	case *any:
		if b, ok := (*v).([]byte); ok {
			return base64.StdEncoding.EncodeToString(b)
		}
	}
	return nil
}

// storedValue reverses plainValue.
func storedValue(raw json.RawMessage, kind string) (any, error) {
	if string(raw) == "null" {
		return nil, nil //nolint:nilnil // NULL
	}
	var err error
	switch kind {
	case kindInteger:
		var v int64
		err = json.Unmarshal(raw, &v)
		return v, err
	case kindBoolean:
		var v bool
		err = json.Unmarshal(raw, &v)
		return v, err
	case kindBytes:
		var v []byte
		if err = json.Unmarshal(raw, &v); v == nil {
			v = []byte{}
		}
		return v, err
	default:
		var v string
		err = json.Unmarshal(raw, &v)
		return v, err
	}
}

// Load takes in what Dump wrote, all of it or nothing. next returns io.EOF
// through ok being false when there is no more. The database must be empty;
// columns that the dump does not know get their defaults.
func (db *DB) Load(ctx context.Context, next func() (part []byte, ok bool, err error)) (map[string]int64, error) {
	loaded := map[string]int64{}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: load: %w", classify(err))
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := db.withoutTimeouts(ctx, tx); err != nil {
		return nil, fmt.Errorf("sqlstore: load: %w", classify(err))
	}
	tables, err := db.tables(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: load: %w", classify(err))
	}
	for {
		part, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		name, n, err := loadPart(ctx, tx, tables, part)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: load: %w", classify(err))
		}
		loaded[name] += n
	}
	if err := db.renumber(ctx, tx, tables); err != nil {
		return nil, fmt.Errorf("sqlstore: load: %w", classify(err))
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("sqlstore: load: %w", classify(err))
	}
	return loaded, db.there()
}

// loadPart takes one part in.
func loadPart(ctx context.Context, tx *sql.Tx, tables []table, part []byte) (name string, count int64, err error) {
	line, rest, _ := bytes.Cut(part, []byte("\n"))
	var head partHead
	if err := json.Unmarshal(line, &head); err != nil {
		return "", 0, ErrRows
	}
	i := slices.IndexFunc(tables, func(t table) bool { return t.name == head.Table })
	if i < 0 || len(head.Columns) == 0 {
		return "", 0, ErrRows
	}
	names, places := make([]string, len(head.Columns)), make([]string, len(head.Columns))
	for j, c := range head.Columns {
		if !slices.Contains(tables[i].columns, c) {
			return "", 0, ErrRows
		}
		names[j], places[j] = quoted(c.Name), fmt.Sprintf("$%d", j+1)
	}
	//nolint:gosec // the names are those of our own schema: they were just compared
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+quoted(head.Table)+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(places, ", ")+")")
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	for len(rest) > 0 {
		if line, rest, _ = bytes.Cut(rest, []byte("\n")); len(line) > maxRow {
			return "", 0, ErrRows
		}
		var raw []json.RawMessage
		if err := json.Unmarshal(line, &raw); err != nil || len(raw) != len(head.Columns) {
			return "", 0, ErrRows
		}
		values := make([]any, len(raw))
		for j := range raw {
			if values[j], err = storedValue(raw[j], head.Columns[j].Kind); err != nil {
				return "", 0, ErrRows
			}
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return "", 0, fmt.Errorf("table %s: %w", head.Table, err)
		}
		count++
	}
	return head.Table, count, nil
}

// quoted is a name in SQL, for both engines.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// SchemaVersion is the number of the newest migration that the database has.
func (db *DB) SchemaVersion(ctx context.Context) (int64, error) {
	n, err := schemaVersion(ctx, db.read)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: read the schema's version: %w", classify(err))
	}
	return n, nil
}

func schemaVersion(ctx context.Context, q querier) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version").Scan(&n)
	return n, err
}

// tables reads the shape of the schema, tables after those that they refer to.
func (b *base) tables(ctx context.Context, q querier) ([]table, error) {
	all, err := b.describe(ctx, q)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(t table) bool { return slices.Contains(transient, t.name) })
	var sorted []table
	done := map[string]bool{}
	for len(sorted) < len(all) {
		before := len(sorted)
		for _, t := range all {
			ready := !slices.ContainsFunc(t.needs, func(n string) bool { return n != t.name && !done[n] })
			if !done[t.name] && ready {
				done[t.name] = true
				sorted = append(sorted, t)
			}
		}
		if len(sorted) == before {
			return nil, fmt.Errorf("%w: tables refer to each other in a circle", ErrRows)
		}
	}
	return sorted, nil
}

// kindOf is what a declared type holds.
func kindOf(declared string) string {
	switch strings.ToUpper(declared) {
	case "INTEGER", "BIGINT", "SMALLINT":
		return kindInteger
	case "BOOLEAN":
		return kindBoolean
	case "BLOB", "BYTEA":
		return kindBytes
	default:
		return kindText
	}
}

// Vacant reports whether nothing of ours is at where yet: no file, or no schema
// of the database. It changes nothing.
func Vacant(ctx context.Context, where string) (bool, error) {
	return vacant(ctx, where, "safeconduct")
}

// emptyFile reports whether there is no file, or one in which nothing was ever written: SQLite
// takes both for a new database.
func emptyFile(path string) (bool, error) {
	for _, name := range []string{path, path + "-wal"} {
		switch info, err := os.Stat(name); {
		case errors.Is(err, os.ErrNotExist):
		case err != nil || info.Size() > 0:
			return false, err
		}
	}
	return true, nil
}

// VacantKeyring is Vacant for a keyring.
func VacantKeyring(ctx context.Context, where string) (bool, error) {
	return vacant(ctx, where, "keyring")
}

func vacant(ctx context.Context, where, schema string) (bool, error) {
	if !isPostgres(where) {
		return emptyFile(where)
	}
	cfg, err := postgresConfig(where, schema, statementTimeout, busyTimeout)
	if err != nil {
		return false, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, fmt.Errorf("sqlstore: open: %w", classify(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var taken bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)", schema).Scan(&taken)
	return !taken, classify(err)
}
