package sqlstore

import (
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/safeconduct/safeconduct/audit"
)

// What is public of the log is hashes in an order. Which of them stand for something that
// was done must not be told by a copy of the database laid beside the public files: so a
// row of leaves is called by keyed hashes of its content and of its number, and what both
// are is in its box. Filling leaves have no row. They are a keyed hash of their number,
// worked out anew wherever the tree is looked at: where a row is gone, the leaf that was
// published is not the one that would fill its place.

// leaf is what the log has to publish of one entry.
type leaf struct {
	hash   [32]byte
	window int64 // in which it was written down
	number int64 // notNumbered while it waits
}

// notNumbered is the number of a leaf that waits. Those of a log that began anew are below
// zero: see filling.
const notNumbered = -1 << 63

// leafSize is how long the plaintext of each row of leaves is.
const leafSize = 32 + 8 + 8

func (k *sealer) leafName(hash [32]byte) name { return k.name("leaf", string(hash[:])) }

// numberName is what the number of a leaf is kept as.
func (k *sealer) numberName(number int64) name {
	return k.name("leaf number", string(binary.BigEndian.AppendUint64(nil, uint64(number)))) //nolint:gosec // its bits
}

// place is the number of a leaf as it stands in its row; NULL while it waits.
func (k *sealer) placeOf(l leaf) []byte {
	if l.number == notNumbered {
		return nil
	}
	n := k.numberName(l.number)
	return n[:]
}

func (k *sealer) boxLeaf(l leaf) []byte {
	plain := make(message, 0, leafSize)
	plain = append(plain, l.hash[:]...).number(l.window, l.number)
	n := k.leafName(l.hash)
	return k.boxes.box(leafSize, plain, "leaves", string(n[:]), 0)
}

// openLeaf opens a row of leaves: name and box. The box says both names again.
func (k *sealer) openLeaf(of, box []byte) (l leaf, err error) {
	plain, err := k.boxes.open(box, "leaves", string(of), 0)
	if err != nil || len(plain) != leafSize {
		return leaf{}, damagedLeaf(of)
	}
	copy(l.hash[:], plain)
	l.window = int64(binary.BigEndian.Uint64(plain[32:])) //nolint:gosec // its bits
	l.number = int64(binary.BigEndian.Uint64(plain[40:])) //nolint:gosec // its bits
	return l, nil
}

// damagedLeaf says that a row of leaves is not what was written: it is for the log to
// stop, and no reason that nothing else is believed.
func damagedLeaf(of []byte) error {
	return fmt.Errorf("sqlstore: %w: leaves %x is not what was written here", audit.ErrFork, of)
}

// restarts are how the log began anew, oldest first. The leaves of before keep their
// numbers: what came with each restore is a window in front of them, whose leaves are
// numbered below zero.
type restarts []LogRestart

// filling is the content of the filling leaf of a number: a keyed hash of the number, and
// of the name of the log that gave it first. Two logs that went on from one backup do not
// fill alike.
func (k *sealer) filling(r restarts, number int64) [32]byte {
	origin := ""
	if number < 0 {
		origin = r[(-number+audit.Window-1)/audit.Window-1].Origin
	}
	for _, one := range r {
		if number >= one.carried {
			origin = one.Origin
		}
	}
	return [32]byte(k.fills.sum(make(message, 0, 64).text("filling leaf", origin).number(number)))
}

// leaves are the log's leaves, as a transaction or anybody sees them. How many there are
// is read once.
type leaves struct {
	db *DB
	q  querier

	asked bool
	end   int64 // behind the highest number
	begun restarts
}

func (db *DB) leaves(q querier) *leaves { return &leaves{db: db, q: q} }

// ask reads how far the log has come.
func (l *leaves) ask(ctx context.Context) error {
	if l.asked {
		return nil
	}
	begun, err := l.db.begun(ctx, l.q)
	if err != nil {
		return err
	}
	err = l.q.QueryRowContext(ctx, "SELECT numbered FROM log_size").Scan(&l.end)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("sqlstore: size of the log: %w", classify(err))
	}
	l.begun, l.asked = begun, true
	return nil
}

// begun reads how the log began anew, once: it does so only while nobody serves it.
func (db *DB) begun(ctx context.Context, q querier) (restarts, error) {
	if known := db.restarts.Load(); known != nil {
		return *known, nil
	}
	all, err := list(ctx, q, func(row scanner) (r LogRestart, err error) {
		return r, row.Scan(&r.Origin, &r.Former, &r.Note, &r.carried)
	}, "SELECT origin, former, note, carried FROM log_restarts ORDER BY number")
	if err != nil {
		return nil, err
	}
	known := restarts(all)
	db.restarts.Store(&known)
	return known, nil
}

// first is the number of the first leaf.
func (r restarts) first() int64 { return -audit.Window * int64(len(r)) }

// Size is how many leaves have their places.
func (l *leaves) Size(ctx context.Context) (int64, error) {
	if err := l.ask(ctx); err != nil {
		return 0, err
	}
	return l.end - l.begun.first(), nil
}

// leavesAtOnce is how many leaves one statement asks for.
const leavesAtOnce = audit.Window

// known are the places that have rows, window by window, as far as this process has looked:
// so that the others need not be asked for. Whoever removes or moves a row is found out
// by the one that is missed. It has no row that was added: nobody without a key can.
type known struct {
	mu   sync.Mutex
	rows map[int64]*rowsOf
}

// rowsOf has a bit for each place of a window.
type rowsOf [audit.Window / 64]uint64

func (r *rowsOf) has(i int) bool { return r == nil || r[i/64]>>(i%64)&1 == 1 }

func (k *known) of(window int64) *rowsOf {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rows[window]
}

func (k *known) keep(window int64, r *rowsOf) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows == nil {
		k.rows = map[int64]*rowsOf{}
	}
	k.rows[window] = r
}

func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.rows)
}

// Forget has every place asked for again: something was not as it was published.
func (l *leaves) Forget() { l.db.known.forget() }

// Forget has every place asked for again.
func (l *Log) Forget() { l.db.known.forget() }

// Sequenced are the contents of at most n leaves from the one at first on.
func (l *leaves) Sequenced(ctx context.Context, first int64, n int) ([][32]byte, error) {
	size, err := l.Size(ctx)
	if err != nil {
		return nil, err
	}
	if l.db.seals == nil {
		return nil, ErrNoSealKey
	}
	hashes := make([][32]byte, max(0, min(int64(n), size-first)))
	for at := 0; at < len(hashes); {
		from := int((first + int64(at)) % audit.Window)
		upTo := min(audit.Window, from+len(hashes)-at)
		window := (first + int64(at) - int64(from) + l.begun.first()) / audit.Window
		if err := l.read(ctx, window, from, hashes[at:at+upTo-from]); err != nil {
			return nil, fmt.Errorf("sqlstore: read leaves: %w", classify(err))
		}
		at += upTo - from
	}
	return hashes, nil
}

// read reads leaves of a window, from a place on.
func (l *leaves) read(ctx context.Context, window int64, from int, into [][32]byte) error {
	k, first := l.db.seals, window*audit.Window
	rows := l.db.known.of(window)
	var found rowsOf
	var places [][]byte
	at := make(map[name]int, audit.Window)
	for i := range audit.Window {
		if rows.has(i) && (rows == nil || from <= i && i < from+len(into)) {
			place := k.numberName(first + int64(i))
			places, at[place] = append(places, place[:]), i
		}
	}
	err := l.eachPlace(ctx, places, func(place name, one leaf) error {
		i, asked := at[place]
		// Damage must not shift the leaves behind it into other places.
		if !asked || one.number != first+int64(i) {
			return fmt.Errorf("%w: leaf %d is damaged", audit.ErrFork, first+int64(i)-l.begun.first())
		}
		found[i/64] |= 1 << (i % 64)
		if from <= i && i < from+len(into) {
			into[i-from] = one.hash
		}
		return nil
	})
	for i := range into {
		if at := from + i; !found.has(at) {
			into[i] = k.filling(l.begun, first+int64(at))
		}
	}
	if rows == nil && err == nil {
		l.db.known.keep(window, &found)
	}
	return err
}

// eachPlace shows the leaves that stand at some places.
func (l *leaves) eachPlace(ctx context.Context, places [][]byte, show func(place name, one leaf) error) error {
	if len(places) == 0 {
		return nil
	}
	rows, err := queryIn(ctx, l.q, "SELECT name, place, box FROM leaves WHERE place IN ", places)
	if err != nil {
		return err
	}
	return each(rows, func() error {
		var of, place, box []byte
		if err := rows.Scan(&of, &place, &box); err != nil {
			return err
		}
		one, err := l.db.seals.openLeaf(of, box)
		if err != nil {
			return err
		}
		return show(name(place), one)
	})
}

// queryIn asks for the rows in which a column is one of some values.
func queryIn(ctx context.Context, q querier, query string, values [][]byte) (*sql.Rows, error) {
	var in strings.Builder
	args := make([]any, len(values))
	for i, v := range values {
		fmt.Fprintf(&in, ",$%d", i+1)
		args[i] = v
	}
	return q.QueryContext(ctx, query+"("+strings.TrimPrefix(in.String(), ",")+")", args...)
}

// numbers are the numbers of the leaves with these contents, counted from the log's first;
// -1 while one waits. One that has no leaf is not among them.
func (l *leaves) numbers(ctx context.Context, hashes [][32]byte) (map[[32]byte]int64, error) {
	if err := l.ask(ctx); err != nil {
		return nil, err
	}
	k := l.db.seals
	found := make(map[[32]byte]int64, len(hashes))
	for some := range slices.Chunk(hashes, leavesAtOnce) {
		names := make([][]byte, len(some))
		for i, hash := range some {
			n := k.leafName(hash)
			names[i] = n[:]
		}
		rows, err := queryIn(ctx, l.q, "SELECT name, box FROM leaves WHERE name IN ", names)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: find leaves: %w", classify(err))
		}
		err = each(rows, func() error {
			var of, box []byte
			if err := rows.Scan(&of, &box); err != nil {
				return err
			}
			one, err := k.openLeaf(of, box)
			if err == nil && one.number == notNumbered {
				found[one.hash] = -1
			} else if err == nil {
				found[one.hash] = one.number - l.begun.first()
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("sqlstore: find leaves: %w", classify(err))
		}
	}
	return found, nil
}

// number says of entries where in the log they stand. Each has a leaf.
func (l *leaves) number(ctx context.Context, all []audit.Logged) error {
	hashes := make([][32]byte, len(all))
	for i, e := range all {
		hashes[i] = e.Hash
	}
	numbers, err := l.numbers(ctx, hashes)
	if err != nil {
		return err
	}
	for i, e := range all {
		at, ok := numbers[e.Hash]
		if !ok {
			of := l.db.seals.leafName(e.Hash)
			return damagedLeaf(of[:])
		}
		all[i].Position = at
	}
	return nil
}

// add has the log publish hashes.
func (l *leaves) add(ctx context.Context, tx *sql.Tx, hashes ...[32]byte) error {
	if err := l.ask(ctx); err != nil {
		return err
	}
	k := l.db.seals
	if k == nil {
		return ErrNoSealKey
	}
	for _, hash := range hashes {
		of := k.leafName(hash)
		box := k.boxLeaf(leaf{hash: hash, window: l.end / audit.Window, number: notNumbered})
		if _, err := tx.ExecContext(ctx, "INSERT INTO leaves (name, box) VALUES ($1, $2)", of[:], box); err != nil {
			return fmt.Errorf("sqlstore: append to the log: %w", err)
		}
	}
	return nil
}

// Size returns how many leaves have a number.
func (l *Log) Size(ctx context.Context) (int64, error) { return l.db.leaves(l.db.read).Size(ctx) }

// Sequenced returns the contents of at most n leaves from the one at first on.
func (l *Log) Sequenced(ctx context.Context, first int64, n int) ([][32]byte, error) {
	return l.db.leaves(l.db.read).Sequenced(ctx, first, n)
}

// Waiting returns how many leaves have no number yet.
func (l *Log) Waiting(ctx context.Context) (n int64, err error) {
	if err := l.db.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM leaves WHERE place IS NULL").Scan(&n); err != nil {
		return 0, fmt.Errorf("sqlstore: count what waits: %w", classify(err))
	}
	return n, nil
}

// CloseWindow gives the next audit.Window numbers to what waits longest, in no order.
func (l *Log) CloseWindow(ctx context.Context, first int64) error {
	k := l.db.seals
	if k == nil {
		return ErrNoSealKey
	}
	// Where much waits, all of it is opened before anybody has to wait for this. What comes
	// meanwhile is behind it.
	ahead, err := k.waiting(ctx, l.db.read)
	if err != nil {
		return fmt.Errorf("sqlstore: close a window of the log: %w", err)
	}
	ahead = oldest(ahead)
	err = l.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		at := l.db.leaves(tx)
		size, err := at.Size(ctx)
		if err != nil {
			return err
		}
		if first != size {
			return audit.ErrSequence
		}
		next := ahead
		if len(ahead) < audit.Window {
			all, err := k.waiting(ctx, tx)
			if err != nil {
				return err
			}
			next = oldest(all)
		}
		places := newDraw().Perm(audit.Window)
		for i, one := range next {
			one.number = at.end + int64(places[i])
			if err := k.numberLeaf(ctx, tx, one); err != nil {
				return err
			}
		}
		return h.growLog(ctx, tx, at.end, at.end+audit.Window)
	})
	if err != nil && !errors.Is(err, audit.ErrSequence) {
		return fmt.Errorf("sqlstore: close a window of the log: %w", err)
	}
	return err
}

// oldest are the leaves of a window: those that wait longest, and of equal ones any.
func oldest(waiting []leaf) []leaf {
	newDraw().Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
	slices.SortStableFunc(waiting, func(a, b leaf) int { return cmp.Compare(a.window, b.window) })
	return waiting[:min(len(waiting), audit.Window)]
}

// growLog writes how many leaves have numbers now. It has a seal: a log that seems to be a
// window longer than it was published would look like one whose publication was cut off.
func (h *heads) growLog(ctx context.Context, tx *sql.Tx, before, now int64) error {
	of, err := h.of(ctx, ofLog)
	switch {
	case err != nil:
		return err
	case before > 0:
		err = of.take(h.logSize(before), "1")
	case of.count(sealedSize) > 0:
		err = &SealError{sealedSize.String(), "1"}
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO log_size (one, numbered) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET numbered = excluded.numbered", now)
	of.put(h.logSize(now))
	return err
}

func (k *sealer) logSize(numbered int64) seal {
	return k.seal(sealedSize, ofTable(sealedSize, 0).number(numbered))
}

// rowsOfLog reads how many leaves have numbers, for the check of everything.
func (k *sealer) rowsOfLog(ctx context.Context, q querier) (rows []sealedRow, err error) {
	err = gather(ctx, q, &rows, func(row scanner) (n int64, err error) { return n, row.Scan(&n) },
		func(n int64) sealedRow { return sealedRow{ofLog, "1", k.logSize(n)} }, "SELECT numbered FROM log_size")
	return rows, err
}

// newDraw draws as nobody can foresee.
func newDraw() *rand.Rand {
	var seed [32]byte
	_, _ = cryptorand.Read(seed[:])        // never returns an error
	return rand.New(rand.NewChaCha8(seed)) //nolint:gosec // ChaCha8 under a seed that nobody has
}

// waiting reads the leaves that have no number.
func (k *sealer) waiting(ctx context.Context, q querier) ([]leaf, error) {
	return list(ctx, q, func(row scanner) (leaf, error) {
		var of, box []byte
		if err := row.Scan(&of, &box); err != nil {
			return leaf{}, err
		}
		one, err := k.openLeaf(of, box)
		if err == nil && one.number != notNumbered {
			err = damagedLeaf(of) // its place was taken from it
		}
		return one, err
	}, "SELECT name, box FROM leaves WHERE place IS NULL")
}

func (k *sealer) numberLeaf(ctx context.Context, tx *sql.Tx, one leaf) error {
	of := k.leafName(one.hash)
	res, err := tx.ExecContext(ctx, "UPDATE leaves SET place = $1, box = $2 WHERE name = $3 AND place IS NULL", k.placeOf(one), k.boxLeaf(one), of[:])
	return mustChange(res, err, audit.ErrSequence)
}

// beginAnew puts a window in front of a log that begins anew, whose first leaf tells of
// it. Those of the log before keep their numbers and what filled them, and go on behind
// it: of two logs that somebody lays side by side neither tells what was done.
func (l *leaves) beginAnew(ctx context.Context, tx *sql.Tx, r LogRestart, tells [32]byte) error {
	if err := l.ask(ctx); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO log_restarts (number, origin, former, note, carried)
		VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM log_restarts), $1, $2, $3, $4)`, r.Origin, r.Former, r.Note, l.end)
	if err != nil {
		return err
	}
	return l.db.seals.numberLeaf(ctx, tx, leaf{hash: tells, window: l.end / audit.Window, number: l.begun.first() - audit.Window})
}

// checkLeaves looks whether every leaf is what was written, and has the place that it
// says.
func (c *sealCheck) leaves(ctx context.Context) error {
	for after := []byte{}; ; {
		n := 0
		err := c.oneMoment(ctx, func(h *heads) (found []string, err error) {
			at, last := c.db.leaves(h.q), after
			if err := at.ask(ctx); err != nil {
				return nil, err
			}
			rows, err := h.q.QueryContext(ctx, "SELECT name, place, box FROM leaves WHERE name > $1 ORDER BY name LIMIT 4096", after)
			if err != nil {
				return nil, classify(err)
			}
			n = 0
			err = each(rows, func() error {
				var of, place, box []byte
				if err := rows.Scan(&of, &place, &box); err != nil {
					return err
				}
				n, last = n+1, of
				one, err := h.openLeaf(of, box)
				if err != nil || string(place) != string(h.placeOf(one)) || one.number >= at.end {
					found = append(found, (&SealError{"leaves", hex.EncodeToString(of)}).problem())
				}
				return nil
			})
			if err == nil {
				after = last
			}
			return found, classify(err)
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
