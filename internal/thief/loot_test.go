package thief_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// loot is what a thief has: copies of files, and no key.
type loot struct {
	tables []*table
	lines  []line // of the service's log
	texts  map[string][]byte
}

// table is one of a database, or files and lines taken as one.
type table struct {
	name    string
	columns []string
	keys    []int // columns of its primary key; none where rows have numbers
	rows    []*row
	numbers bool                // rows have numbers, in the order in which they came
	before  []map[string]string // in the nights before: what each row said, by its key
}

// night is what a copy of the tables said: digests of rows, by table and key.
type night map[string]map[string]string

func nightOf(tables []*table) night {
	n := night{}
	for _, one := range tables {
		n[one.name] = map[string]string{}
		for _, r := range one.rows {
			n[one.name][r.key()] = r.digest()
		}
	}
	return n
}

// row is a row of the newest copy.
type row struct {
	table  *table
	n      int // which of the table's
	values []any
	tokens []string
	person int // for the experimenter: nobody where it is none's, or several people's
	times  int // how often that person's acts wrote it
}

// line is one of the service's access log.
type line struct {
	at            time.Time
	method, route string
	status        int
	numbers       map[string]float64 // of a publication: how far each column had come then
}

func (l line) what() string { return l.method + " " + l.route }

// copyTree copies a folder as it lies there, times too.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !info.Mode().IsRegular() || d.Name() == "keys.age" || d.Name() == "passphrase":
			return nil // he has no key, and needs no copy of what holds one
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, data, 0o600); err != nil {
			return err
		}
		return os.Chtimes(target, info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readTables reads every table of the SQLite files in a folder.
func readTables(t testing.TB, dir string) (all []*table) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: name}).EscapedPath())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tablesOf(t, db, filepath.Base(name))...)
		_ = db.Close()
	}
	return all
}

func tablesOf(t testing.TB, db *sql.DB, file string) (all []*table) {
	t.Helper()
	list, err := db.QueryContext(t.Context(), `SELECT name, wr FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	for list.Next() {
		one := &table{}
		var without bool
		if err := list.Scan(&one.name, &without); err != nil {
			t.Fatal(err)
		}
		one.numbers = !without
		all = append(all, one)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		order := ""
		if one.numbers {
			order = " ORDER BY rowid"
		}
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM "`+one.name+`"`+order)
		if err != nil {
			t.Fatal(err)
		}
		if one.columns, err = rows.Columns(); err != nil {
			t.Fatal(err)
		}
		one.read(t, rows)
		keys, err := db.QueryContext(t.Context(), `SELECT cid FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk`, one.name)
		if err != nil {
			t.Fatal(err)
		}
		for keys.Next() {
			var k int
			if err := keys.Scan(&k); err != nil {
				t.Fatal(err)
			}
			one.keys = append(one.keys, k)
		}
		if err := keys.Err(); err != nil {
			t.Fatal(err)
		}
		one.name = file + ":" + one.name
	}
	return all
}

// read takes all rows.
func (one *table) read(t testing.TB, rows *sql.Rows) {
	t.Helper()
	for rows.Next() {
		values := make([]any, len(one.columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			switch v := v.(type) {
			case time.Time:
				values[i] = v.Unix()
			case bool:
				values[i] = map[bool]int64{true: 1}[v]
			case []byte:
				values[i] = bytes.Clone(v)
			}
		}
		one.rows = append(one.rows, &row{table: one, n: len(one.rows), values: values, person: nobody})
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// readPostgres reads every table of a schema in a PostgreSQL database in the order in which its rows
// lie there. Rows that one transaction wrote last have the number of that in common.
func readPostgres(t testing.TB, dsn, name string) (all []*table) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	list, err := db.QueryContext(t.Context(), `SELECT c.relname, COALESCE((SELECT string_agg(a.attname, ',') FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary), '')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`, name)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[*table]string{}
	for list.Next() {
		one, k := &table{numbers: true}, ""
		if err := list.Scan(&one.name, &k); err != nil {
			t.Fatal(err)
		}
		keys[one] = k
		all = append(all, one)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		rows, err := db.QueryContext(t.Context(), `SELECT xmin::text::bigint AS xmin, * FROM "`+name+`"."`+one.name+`" ORDER BY tableoid, ctid`)
		if err != nil {
			t.Fatal(err)
		}
		if one.columns, err = rows.Columns(); err != nil {
			t.Fatal(err)
		}
		one.read(t, rows)
		for i, c := range one.columns {
			if slices.Contains(strings.Split(keys[one], ","), c) {
				one.keys = append(one.keys, i)
			}
		}
		for _, r := range one.rows {
			r.tokens = append(r.tokens, fmt.Sprint("transaction ", name, r.values[0]))
		}
		one.name = name + ":" + one.name
	}
	return all
}

// key is what a row is found by in another copy; digest is what it says there.
func (r *row) key() string {
	var b strings.Builder
	for _, k := range r.table.keys {
		fmt.Fprintf(&b, "%x ", r.values[k])
	}
	if len(r.table.keys) == 0 {
		fmt.Fprint(&b, r.n)
	}
	return b.String()
}

func (r *row) digest() string {
	h := sha256.New()
	for _, v := range r.values {
		fmt.Fprintf(h, "%x|", v)
	}
	return string(h.Sum(nil)[:8])
}

// take makes the loot: it reads the newest tables, and has the truth told of each row for
// the experimenter.
func take(t testing.TB, w *world, tables []*table, nights []night) *loot {
	t.Helper()
	l := &loot{tables: tables, texts: map[string][]byte{}}
	for _, one := range tables {
		for _, r := range one.rows {
			r.person, r.times = w.truth.whose(one, r)
		}
		for _, n := range nights {
			one.before = append(one.before, n[one.name])
		}
	}
	l.files(t, w)
	l.access(t, w.access.Bytes())
	l.lines = append(l.lines, w.published...)
	slices.SortStableFunc(l.lines, func(a, b line) int { return a.at.Compare(b.at) })
	for _, one := range l.tables {
		for _, r := range one.rows {
			r.tokens = append(tokensOf(r.values), r.tokens...)
		}
	}
	l.numbersAlike()
	return l
}

// files takes objects as a table, in the order of their times, and whatever else lies in
// the folder as texts.
func (l *loot) files(t testing.TB, w *world) {
	t.Helper()
	objects := &table{name: "files:blobs", columns: []string{"name", "size", "time"}, numbers: true}
	type object struct {
		name string
		size int64
		at   time.Time
		who  int
	}
	var all []object
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(w.dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(rel, "blobs/") {
			if !strings.Contains(rel, ".db") && !strings.HasPrefix(rel, "keys") && info.Size() < 8<<20 {
				l.texts[rel], err = os.ReadFile(path)
			}
			return err
		}
		o := object{rel, info.Size(), info.ModTime(), nobody}
		if act, ok := w.truth.made(info); ok {
			o.who = act.person
			if d := info.ModTime().Sub(act.from); d > -time.Second && d < time.Minute {
				o.at = act.at // a service whose clock this is would have left this time
			}
		}
		all = append(all, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(all, func(a, b object) int { return a.at.Compare(b.at) })
	for _, o := range all {
		objects.rows = append(objects.rows, &row{table: objects, n: len(objects.rows), values: []any{o.name, o.size, o.at.Unix()}, person: o.who})
	}
	l.tables = append(l.tables, objects)

	// The tree's leaves, in its order.
	leaves := &table{name: "files:leaves", columns: []string{"hash"}, numbers: true}
	var tiles []string
	for name := range l.texts {
		if strings.HasPrefix(name, "log/tile/0/") || strings.Contains(name, "tile/8/0/") {
			tiles = append(tiles, name)
		}
	}
	slices.Sort(tiles)
	for _, name := range tiles {
		data := l.texts[name]
		if strings.Contains(name, ".p/") {
			continue // it is whole in a later one, or the newest, of which little is lost
		}
		for ; len(data) >= 32; data = data[32:] {
			leaves.rows = append(leaves.rows, &row{table: leaves, n: len(leaves.rows), values: []any{bytes.Clone(data[:32])}, person: nobody})
		}
	}
	l.tables = append(l.tables, leaves)
}

// access reads the service's log.
func (l *loot) access(t testing.TB, data []byte) {
	t.Helper()
	l.texts["service.log"] = data
	for text := range bytes.Lines(data) {
		var one struct {
			Time          time.Time
			Msg           string
			Method, Route string
			Status        int
			Code          string
		}
		if err := json.Unmarshal(text, &one); err != nil {
			t.Fatal(err)
		}
		switch one.Msg {
		case "requests in an hour":
			l.lines = append(l.lines, line{at: one.Time, method: "hour " + one.Code, route: one.Route})
		case "request":
			l.lines = append(l.lines, line{at: one.Time, method: one.Method, route: one.Route, status: one.Status})
		}
	}
}

var (
	hexRun  = regexp.MustCompile(`[0-9a-f]{16,}`)
	codeRun = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)
)

// tokensOf are the values in a row that could stand in another row for the same thing:
// ids, keyed names, digests, and digests of these.
func tokensOf(values []any) (all []string) {
	add := func(s string) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, v := range values {
		switch v := v.(type) {
		case string:
			if len(v) > 4096 {
				v = v[:4096]
			}
			for _, run := range hexRun.FindAllString(strings.ReplaceAll(v, "/", " "), 8) {
				add(run)
				if len(run) == 32 {
					sum := sha256.Sum256([]byte(run))
					add(hex.EncodeToString(sum[:]))
				}
			}
			for _, run := range codeRun.FindAllString(v, 8) {
				add(run)
			}
		case []byte:
			if len(v) >= 8 && len(v) <= 64 {
				add(hex.EncodeToString(v))
			}
		}
	}
	return all
}

// numbersAlike finds columns of numbers that stand for the same: most of one are in the
// other, and more than chance would have.
func (l *loot) numbersAlike() {
	type column struct {
		table *table
		i     int
		set   map[int64]int
	}
	var all []column
	for _, one := range l.tables {
		for i := range one.columns {
			c := column{one, i, map[int64]int{}}
			lowest, highest := int64(1<<62), int64(-1<<62)
			for _, r := range one.rows {
				if n, ok := r.values[i].(int64); ok {
					c.set[n]++
					lowest, highest = min(lowest, n), max(highest, n)
				}
			}
			if len(c.set) >= 30 && len(c.set)*3 > len(one.rows) && highest-lowest > 4*int64(len(c.set)) {
				all = append(all, c)
			}
		}
	}
	for a := range all {
		for b := range a {
			x, y := all[a], all[b]
			if x.table == y.table {
				continue
			}
			both := 0
			for n := range x.set {
				if y.set[n] > 0 {
					both++
				}
			}
			if both*2 < min(len(x.set), len(y.set)) {
				continue
			}
			for _, c := range []column{x, y} {
				for _, r := range c.table.rows {
					if n, ok := r.values[c.i].(int64); ok {
						r.tokens = append(r.tokens, fmt.Sprintf("number %d.%d %d", a, b, n))
					}
				}
			}
		}
	}
}
