package thief_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// nobody is who acts where no person of a population is meant.
const nobody = -1

// truth is what the experimenter writes down while the script is played: during whose
// act each row was written. It needs no key, and knows no layout: SQLite tells of each
// row that it writes (sqlite3_preupdate_hook). Nothing of it is the thief's.
type truth struct {
	dir      string
	postgres map[string]*sql.DB // where there is no hook

	mu      sync.Mutex
	person  int
	rows    map[string][]map[string]*written // by table, by column, by value
	touches map[int]int                      // transactions, by person
	acts    []span
	newest  map[string][]int64 // the highest number in each column, by table
}

// written is who wrote a row: one person, or several.
type written struct {
	person  int
	several bool
	times   int
}

// span is when a person's act took place, by the clock of this machine, by the service's,
// and by the transactions of PostgreSQL.
type span struct {
	person   int
	from, to time.Time
	at       time.Time
	first    map[string]int64 // by database, the first transaction
	after    map[string]int64 // and the first that came after it
}

var (
	watching sync.Map // folder → *truth
	hooking  sync.Once
)

// watch begins to write down what is written in a folder's databases.
func watch(dir string) *truth {
	tr := &truth{dir: dir, person: nobody, rows: map[string][]map[string]*written{}, touches: map[int]int{}, newest: map[string][]int64{}}
	watching.Store(dir, tr)
	hooking.Do(func() { sqlite.RegisterConnectionHook(hook) })
	return tr
}

func (tr *truth) stop() { watching.Delete(tr.dir) }

func hook(conn sqlite.ExecQuerierContext, dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil //nolint:nilerr // it is nobody's that we know
	}
	found, ok := watching.Load(filepath.Dir(u.Path))
	if !ok {
		return nil
	}
	tr, file := found.(*truth), filepath.Base(u.Path)
	h := conn.(sqlite.HookRegisterer)
	var some atomic.Bool
	h.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
		if d.Op == sqlite3.SQLITE_DELETE {
			some.Store(true)
			return
		}
		values := make([]any, d.Count())
		if d.New(values...) != nil {
			return
		}
		some.Store(true)
		tr.note(file+":"+d.TableName, values)
	})
	h.RegisterCommitHook(func() int32 {
		if some.Swap(false) {
			tr.commit()
		}
		return 0
	})
	return nil
}

// of says whose act comes now, and whose it was.
func (tr *truth) of(person int) (before int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	before, tr.person = tr.person, person
	return before
}

// act plays one act of a person.
func (tr *truth) act(person int, at time.Time, do func()) {
	from, first := time.Now(), tr.transactions()
	before := tr.of(person)
	do()
	tr.of(before)
	after := tr.transactions()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.acts = append(tr.acts, span{person, from, time.Now(), at, first, after})
}

func (tr *truth) note(table string, values []any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.rows[table] == nil {
		for range values {
			tr.rows[table] = append(tr.rows[table], map[string]*written{})
		}
		tr.newest[table] = make([]int64, len(values))
	}
	rows, newest := tr.rows[table], tr.newest[table]
	for i, v := range values {
		if n, ok := v.(int64); ok {
			newest[i] = max(newest[i], n)
		}
		// Any value of the row that is long enough to be its own leads to it.
		key := keyOf(v)
		if key == "" {
			continue
		}
		switch w := rows[i][key]; {
		case w == nil:
			rows[i][key] = &written{person: tr.person, times: 1}
		case w.person == tr.person:
			w.times++
		default:
			if w.person == nobody {
				w.person = tr.person
			} else if tr.person != nobody {
				w.several = true
			}
		}
	}
}

// keyOf writes a value that may identify a row, "" for one that does not.
func keyOf(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) >= 8 {
			return v
		}
	case []byte:
		if len(v) >= 8 && len(v) <= 64 {
			return string(v)
		}
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// commit counts a transaction that wrote something for the person who acts.
func (tr *truth) commit() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.touches[tr.person]++
}

func (tr *truth) touched(person int) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.touches[person]
}

// rises tells of each column by how much its highest number has gone up since last was
// filled, and fills it.
func (tr *truth) rises(last map[string][]int64, each func(table string, column int, by int64)) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for table, newest := range tr.newest {
		was := last[table]
		if was == nil {
			was = make([]int64, len(newest))
			last[table] = was
		}
		for i, n := range newest {
			if n != was[i] {
				each(table, i, n-was[i])
				was[i] = n
			}
		}
	}
}

// numbers are the highest in each column. A publication writes many rows that are no
// person's, one after the other: the thief sees from those how far it took the numbers.
func (tr *truth) numbers() map[string]float64 {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	all := map[string]float64{}
	for table, newest := range tr.newest {
		for i, n := range newest {
			all[fmt.Sprintf("%s#%d", table, i)] = float64(n)
		}
	}
	return all
}

// whose tells whose a row is: the person whom a value of it leads to alone, where values
// agree, and how often it was written. Two values that lead to two people are nobody's.
func (tr *truth) whose(one *table, r *row) (person, times int) {
	if i := slices.Index(one.columns, "xmin"); i >= 0 {
		return tr.wroteAt(one.name, r.values[i].(int64)), 1
	}
	values := r.values
	rows := tr.rows[one.name]
	if rows == nil {
		return nobody, 0
	}
	votes := map[int]int{}
	for i, v := range values {
		if n, is := v.(int64); is && n < 1<<16 {
			continue // small numbers are in many rows
		}
		if key := keyOf(v); key != "" {
			if w := rows[i][key]; w != nil && !w.several && w.person != nobody {
				votes[w.person]++
				times = max(times, w.times)
			}
		}
	}
	if len(votes) != 1 {
		return nobody, 0
	}
	for p := range votes {
		person = p
	}
	return person, times
}

// transactions are the numbers that PostgreSQL gives to what is written next.
func (tr *truth) transactions() map[string]int64 {
	if len(tr.postgres) == 0 {
		return nil
	}
	next := map[string]int64{}
	for name, db := range tr.postgres {
		var n int64
		if err := db.QueryRow("SELECT pg_current_xact_id()::text::bigint").Scan(&n); err == nil {
			next[name] = n
		}
	}
	return next
}

// wroteAt tells in whose act a transaction was that wrote a row last.
func (tr *truth) wroteAt(table string, n int64) int {
	name, _, _ := strings.Cut(table, ":")
	i := sort.Search(len(tr.acts), func(i int) bool { return tr.acts[i].after[name] >= n })
	if i < len(tr.acts) && tr.acts[i].first[name] < n {
		return tr.acts[i].person
	}
	return nobody
}

// made tells during whose act a file was put in its place, by its change time, which no
// program sets (stat(2)).
func (tr *truth) made(info fs.FileInfo) (s span, ok bool) {
	st, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return s, false
	}
	at := time.Unix(st.Ctim.Unix())
	lo, hi := 0, len(tr.acts)
	for lo < hi {
		if mid := (lo + hi) / 2; tr.acts[mid].to.Before(at) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	// Kernel times are those of the last tick.
	for i := lo; i < len(tr.acts) && i < lo+2; i++ {
		if a := tr.acts[i]; !at.Before(a.from.Add(-10*time.Millisecond)) && !at.After(a.to) {
			return a, true
		}
	}
	return s, false
}

func shortName(table string) string {
	return strings.Replace(strings.Replace(table, "safeconduct.db:", "", 1), "keyring.db:", "keyring.", 1)
}
