package sqlstore

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/safeconduct/safeconduct/vault"
)

//go:embed keyring/*.sql
var keyringMigrations embed.FS

// Keyring is the database of key files, and of the keys of cases, apart from the main one: it has a file
// or a schema of its own, which data backups leave out, so that what was erased
// here stays erased (docs/overview.md, Keys). It is the vault.Keyring.
type Keyring struct {
	*base

	keys *ringKeys // nil before Seal

	owed  atomic.Bool   // a wipe did not come to its end, here or before we were started
	wiped atomic.Uint64 // how many changes there were when everything was wiped last
}

var _ vault.Keyring = (*Keyring)(nil)

// ringTable is the table of its rows.
const ringTable = "keys"

// keyringSchema is that of a keyring which has to be there. Pages of 16 KiB have room for
// seven rows, which so lie in the order of their names: in smaller ones what of a row is
// too much would lie in pages by the order in which rows came.
//
// Its third migration begins anew, so that one of before with keys in it is refused.
var keyringSchema = schema{
	name: "keyring", files: keyringMigrations, dir: "keyring", since: 1, had: "key_files", oldest: 3,
	keys: ringTable, page: 16 << 10, kept: true,
}

// ErrNoKeyringKey says that a key file was asked for before anybody gave the key of the
// keyring.
var ErrNoKeyringKey = errors.New("sqlstore: a keyring cannot be read without its key")

// Bond says whose keyring one is. The network's database notes the same id.
type Bond struct {
	Network string // its id
	ID      string // drawn when the keyring was bound
	Changes uint64 // how often it has been written to
}

// OpenKeyring opens the keyring at where. It makes none: ErrMissing where there
// is none, or something else. In PostgreSQL the tables stand in the schema
// keyring, of the main database or better of one of its own
// (docs/decisions/0008-postgresql.md). Seal it before it is read.
func OpenKeyring(ctx context.Context, where string) (*Keyring, error) {
	b, err := open(ctx, where, keyringSchema)
	if err != nil {
		return nil, err
	}
	k := &Keyring{base: b}
	k.owed.Store(true) // whoever was here before us may have been stopped between a change and its wipe
	return k, nil
}

// CreateKeyring makes an empty keyring for a network where there is none, under its key. Whoever
// founds a network or restores one does this, and nobody else: a keyring that is
// not there is a loss.
func CreateKeyring(ctx context.Context, where, network string, key []byte) (*Keyring, error) {
	free, err := VacantKeyring(ctx, where)
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, errors.New("sqlstore: there is a keyring already")
	}
	s := keyringSchema
	s.kept = false
	b, err := open(ctx, where, s)
	if err != nil {
		return nil, err
	}
	k := &Keyring{base: b}
	k.Seal(key)
	if err := k.Bind(ctx, network); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Seal gives a keyring its key, from the keystore. Before that it says whose it is, and
// nothing else.
func (k *Keyring) Seal(key []byte) { k.keys = newRingKeys(key) }

// Bond reads whose keyring this is. Before the key was given it may say anything; from
// then on what nobody wrote who had the key is vault.ErrIntegrity.
func (k *Keyring) Bond(ctx context.Context) (b Bond, err error) {
	b, _, err = k.bond(ctx, k.read)
	return b, err
}

func (k *Keyring) bond(ctx context.Context, q querier) (b Bond, sum ringSum, err error) {
	var changes int64
	var added, mac []byte
	err = q.QueryRowContext(ctx, "SELECT network, id, changes, sum, mac FROM bond").Scan(&b.Network, &b.ID, &changes, &added, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		return b, sum, fmt.Errorf("sqlstore: read whose keyring this is: %w", vault.ErrIntegrity)
	}
	if err != nil {
		return b, sum, fmt.Errorf("sqlstore: read whose keyring this is: %w", classify(err))
	}
	b.Changes = uint64(changes) //nolint:gosec // counts from zero
	if k.keys == nil {
		return b, sum, nil
	}
	if len(added) == len(sum) {
		sum = ringSum(added)
	}
	if len(added) != len(sum) || !hmac.Equal(mac, k.keys.bond(b, sum)) {
		return b, sum, fmt.Errorf("sqlstore: read whose keyring this is: %w", vault.ErrIntegrity)
	}
	return b, sum, nil
}

// Bind says whose keyring this is, if nobody has yet: of several processes that
// say it at once the first one counts.
func (k *Keyring) Bind(ctx context.Context, network string) error {
	return k.bind(ctx, network, 0, "INSERT INTO bond (network, id, changes, sum, mac) SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM bond)")
}

// Rebind says it anew, under another id, counts on behind changes, and adds up the rows
// that are there.
func (k *Keyring) Rebind(ctx context.Context, network string, changes uint64) error {
	return k.bind(ctx, network, changes, "UPDATE bond SET network = $1, id = $2, changes = $3, sum = $4, mac = $5")
}

func (k *Keyring) bind(ctx context.Context, network string, changes uint64, statement string) error {
	if k.keys == nil {
		return ErrNoKeyringKey
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never returns an error
	b := Bond{Network: network, ID: hex.EncodeToString(id[:]), Changes: changes + 1}
	err := k.tx(ctx, func(tx *sql.Tx) error {
		sum, damaged, err := k.addUp(ctx, tx)
		if err == nil && len(damaged) > 0 {
			err = vault.ErrIntegrity
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, statement, b.Network, b.ID, int64(b.Changes), sum[:], k.keys.bond(b, sum)) //nolint:gosec // counts by hand
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: bind the keyring: %w", err)
	}
	return nil
}

// addUp adds up all rows, and names those that are not what was written.
func (k *Keyring) addUp(ctx context.Context, q querier) (sum ringSum, damaged []string, err error) {
	for r, err := range k.rows(ctx, q) {
		if err != nil {
			return sum, nil, err
		}
		term, ok := k.keys.whole(r)
		if !ok {
			damaged = append(damaged, r.Name())
		}
		sum = sum.add(term)
	}
	return sum, damaged, nil
}

// change runs a change of the keyring, and counts it. do is given the sum of all rows, and
// returns what it is from now on. Where that is the same nothing was changed.
func (k *Keyring) change(ctx context.Context, do func(tx *sql.Tx, sum ringSum) (ringSum, error)) error {
	if k.keys == nil {
		return ErrNoKeyringKey
	}
	return k.tx(ctx, func(tx *sql.Tx) error {
		b, sum, err := k.bond(ctx, tx)
		if err != nil {
			return err
		}
		before := sum
		if sum, err = do(tx, sum); err != nil || sum == before {
			return err
		}
		b.Changes++
		_, err = tx.ExecContext(ctx, "UPDATE bond SET changes = $1, sum = $2, mac = $3", int64(b.Changes), sum[:], k.keys.bond(b, sum)) //nolint:gosec // counts one by one
		return err
	})
}

// KeyringHealth is what is wrong with a keyring.
type KeyringHealth struct {
	Problems []string // as the engine says
	Damaged  []string // names of rows that are not what was kept
	Others   bool     // all are whole, and not those kept last: one was put back, taken away or added
}

// Check looks at everything, and opens nothing.
func (k *Keyring) Check(ctx context.Context) (found KeyringHealth, err error) {
	if k.keys == nil {
		return found, ErrNoKeyringKey
	}
	err = k.readTx(ctx, func(tx *sql.Tx) error {
		if err := k.withoutTimeouts(ctx, tx); err != nil {
			return err
		}
		if found.Problems, err = k.damage(ctx, tx); err != nil || len(found.Problems) > 0 {
			return err
		}
		_, want, err := k.bond(ctx, tx)
		if err != nil {
			return err
		}
		sum, damaged, err := k.addUp(ctx, tx)
		found.Damaged, found.Others = damaged, len(damaged) == 0 && sum != want
		return err
	})
	if err != nil {
		return KeyringHealth{}, fmt.Errorf("sqlstore: check the keyring: %w", err)
	}
	return found, nil
}

// Create keeps the first key file of a record, and draws a key for what the main database
// keeps of it.
func (k *Keyring) Create(ctx context.Context, record string, file []byte) error {
	return k.change(ctx, func(tx *sql.Tx, sum ringSum) (ringSum, error) {
		rows, err := k.keys.seal(record, newCaseKey(), file)
		if err != nil {
			return sum, err
		}
		return k.insert(ctx, tx, sum, rows...)
	})
}

func (k *Keyring) insert(ctx context.Context, tx *sql.Tx, sum ringSum, rows ...ringRow) (ringSum, error) {
	for _, r := range rows {
		_, err := tx.ExecContext(ctx, "INSERT INTO keys (name, box) VALUES ($1, $2)", r.name, r.box)
		if isTaken(err) {
			return sum, vault.ErrConflict
		}
		if err != nil {
			return sum, fmt.Errorf("sqlstore: keep a key file: %w", err)
		}
		term, _ := k.keys.whole(r)
		sum = sum.add(term)
	}
	return sum, nil
}

func (k *Keyring) remove(ctx context.Context, tx *sql.Tx, sum ringSum, rows ...ringRow) (ringSum, error) {
	for _, r := range rows {
		if _, err := tx.ExecContext(ctx, "DELETE FROM keys WHERE name = $1", r.name); err != nil {
			return sum, fmt.Errorf("sqlstore: erase a key file: %w", err)
		}
		term, _ := k.keys.whole(r)
		sum = sum.sub(term)
	}
	return sum, nil
}

// Get returns a record's key file. One that is not what was kept is
// vault.ErrIntegrity.
func (k *Keyring) Get(ctx context.Context, record string) ([]byte, error) {
	_, file, err := k.opened(ctx, k.read, record)
	return file, err
}

// CaseKey returns the key of what the main database keeps of a case, by the case's own
// record. The errors are those of Get.
func (k *Keyring) CaseKey(ctx context.Context, record string) ([]byte, error) {
	head, _, err := k.opened(ctx, k.read, record)
	if err != nil {
		return nil, err
	}
	return head[:keySize], nil
}

// opened opens all rows of a record: what stands in front of each piece, and the key file.
func (k *Keyring) opened(ctx context.Context, q querier, record string) (head, file []byte, err error) {
	rows, err := k.rowsOf(ctx, q, record)
	for piece, r := range rows {
		if err != nil {
			break
		}
		var front, part []byte
		if front, part, err = k.keys.open(record, piece, r); err == nil && head != nil && !bytes.Equal(front, head) {
			err = vault.ErrIntegrity
		}
		head, file = front, append(file, part...)
	}
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return nil, nil, err
	case err == nil && len(rows) != int(head[ringHead-1]):
		err = vault.ErrIntegrity
	}
	if err != nil {
		return nil, nil, fmt.Errorf("sqlstore: read a key file: %w", err)
	}
	return head, file, nil
}

// rowsOf are the rows of a record as they lie there: vault.ErrNotFound if there is none.
func (k *Keyring) rowsOf(ctx context.Context, q querier, record string) (rows []ringRow, err error) {
	if k.keys == nil {
		return nil, ErrNoKeyringKey
	}
	for {
		r, err := rowNamed(ctx, q, k.keys.name(record, len(rows)))
		switch {
		case errors.Is(err, vault.ErrNotFound) && len(rows) > 0:
			return rows, nil
		case err != nil:
			return nil, err
		}
		if rows = append(rows, r); !k.more(record, len(rows), r) {
			return rows, nil
		}
	}
}

// more tells whether more rows than so many may belong to a record, as far as the one
// before tells: one that cannot be opened tells nothing.
func (k *Keyring) more(record string, have int, r ringRow) bool {
	head, _, err := k.keys.open(record, have-1, r)
	return err != nil || have < int(head[ringHead-1])
}

func rowNamed(ctx context.Context, q querier, name []byte) (r ringRow, err error) {
	r, err = scanRingRow(q.QueryRowContext(ctx, selectRing+"WHERE name = $1", name))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return r, vault.ErrNotFound
	case errors.Is(classify(err), ErrDamaged):
		return r, fmt.Errorf("%w: %w", vault.ErrIntegrity, classify(err))
	}
	return r, classify(err)
}

// Swap replaces old by new, if old is what is kept. When it returns nil, nothing of old is
// left, as for Erase. After an error old may have been replaced already: the same call
// again, or the next that wipes, then takes away what is left of it.
func (k *Keyring) Swap(ctx context.Context, record string, old, new []byte) error {
	var names []string
	err := k.change(ctx, func(tx *sql.Tx, sum ringSum) (ringSum, error) {
		names = nil
		head, kept, err := k.opened(ctx, tx, record)
		if err != nil {
			return sum, err
		}
		if k.owed.Load() && bytes.Equal(kept, new) && !bytes.Equal(old, new) {
			return sum, nil // done before, but for the wipe
		}
		if !bytes.Equal(kept, old) {
			return sum, vault.ErrConflict
		}
		before, err := k.rowsOf(ctx, tx, record)
		if err != nil {
			return sum, err
		}
		after, err := k.keys.seal(record, caseKey(head), new)
		if err != nil {
			return sum, err
		}
		names = namesOf(before)
		if sum, err = k.remove(ctx, tx, sum, before...); err != nil {
			return sum, err
		}
		return k.insert(ctx, tx, sum, after...)
	})
	if err != nil {
		return err
	}
	return k.forget(ctx, names...)
}

// Renew seals the rows of some records anew, and changes nothing that they hold. One that
// has none is left out.
func (k *Keyring) Renew(ctx context.Context, records ...string) error {
	for some := range slices.Chunk(records, renewedAtOnce) {
		err := k.change(ctx, func(tx *sql.Tx, sum ringSum) (ringSum, error) {
			for _, record := range some {
				head, file, err := k.opened(ctx, tx, record)
				if errors.Is(err, vault.ErrNotFound) {
					continue
				}
				if err != nil {
					return sum, err
				}
				if sum, err = k.reseal(ctx, tx, sum, record, head, file); err != nil {
					return sum, err
				}
			}
			return sum, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// renewedAtOnce is how many records are sealed anew while nobody else writes: milliseconds.
const renewedAtOnce = 50

func (k *Keyring) reseal(ctx context.Context, tx *sql.Tx, sum ringSum, record string, head, file []byte) (ringSum, error) {
	before, err := k.rowsOf(ctx, tx, record)
	if err != nil {
		return sum, err
	}
	after, err := k.keys.seal(record, caseKey(head), file)
	if err != nil {
		return sum, err
	}
	for i, r := range after { // as many as before, under the same names
		if _, err := tx.ExecContext(ctx, "UPDATE keys SET box = $1 WHERE name = $2", r.box, r.name); err != nil {
			return sum, fmt.Errorf("sqlstore: keep a key file: %w", err)
		}
		old, _ := k.keys.whole(before[i])
		term, _ := k.keys.whole(r)
		sum = sum.sub(old).add(term)
	}
	return sum, nil
}

// Erase destroys key files, with the keys of cases. When it returns nil, no file of the table holds a
// byte of them, and SQLite's write-ahead log neither. PostgreSQL's write-ahead
// log and its archive keep them until they are recycled. After an error the rows may be
// gone and their bytes not: the same call again finishes it, in any process.
func (k *Keyring) Erase(ctx context.Context, records ...string) error {
	if len(records) == 0 {
		return nil
	}
	return k.erase(ctx, func(tx *sql.Tx) (rows []ringRow, all bool, err error) {
		all = true
		for _, record := range records {
			of, err := k.rowsOf(ctx, tx, record)
			if err != nil && !errors.Is(err, vault.ErrNotFound) {
				return nil, false, err
			}
			rows, all = append(rows, of...), all && len(of) > 0
		}
		return rows, all, nil
	})
}

// EraseRows is Erase for rows by their names.
func (k *Keyring) EraseRows(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	return k.erase(ctx, func(tx *sql.Tx) (rows []ringRow, all bool, err error) {
		all = true
		for _, name := range names {
			of, err := hex.DecodeString(name)
			if err != nil {
				return nil, false, err
			}
			r, err := rowNamed(ctx, tx, of)
			if errors.Is(err, vault.ErrNotFound) {
				all = false
				continue
			}
			if err != nil {
				return nil, false, err
			}
			rows = append(rows, r)
		}
		return rows, all, nil
	})
}

// erase removes rows, and wipes. Where not all were there an erasure before may have been
// stopped behind its commit, and how many rows a record had nobody knows any more: then
// everything is wiped, unless nothing was changed since that was done last.
func (k *Keyring) erase(ctx context.Context, which func(tx *sql.Tx) (rows []ringRow, all bool, err error)) error {
	var names []string
	var changes uint64
	err := k.change(ctx, func(tx *sql.Tx, sum ringSum) (ringSum, error) {
		rows, all, err := which(tx)
		if err != nil {
			return sum, fmt.Errorf("sqlstore: erase a key file: %w", err)
		}
		b, _, err := k.bond(ctx, tx)
		if err != nil {
			return sum, err
		}
		names, changes = nil, b.Changes
		if len(rows) > 0 {
			changes++
		}
		if all {
			names = namesOf(rows)
		}
		return k.remove(ctx, tx, sum, rows...)
	})
	if err != nil || len(names) == 0 && !k.owed.Load() && k.wiped.Load() == changes {
		return err
	}
	if err := k.forget(ctx, names...); err != nil {
		return err
	}
	if len(names) == 0 {
		k.wiped.Store(changes)
	}
	return nil
}

func namesOf(rows []ringRow) []string {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Name()
	}
	return names
}

// forget removes what the files still hold of these rows from before the
// last change, or of all rows where none is named or a wipe is owed. A reader may be in the
// way for a moment; one that stays leaves the wipe owed.
func (k *Keyring) forget(ctx context.Context, names ...string) (err error) {
	if k.owed.Swap(false) {
		names = nil
	}
	defer func() {
		if err != nil {
			k.owed.Store(true)
		}
	}()
	err = k.wipe(ctx, k.write, names...)
	for wait := time.Millisecond; errors.Is(err, ErrBusy) && wait < time.Second; wait *= 2 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		err = k.wipe(ctx, k.write, names...)
	}
	return err
}

// Name is what the first row of a record is called, in hex. It says nothing without the
// record's id. The keyring has its key.
func (k *Keyring) Name(record string) string { return k.rowName(record, 0) }

func (k *Keyring) rowName(record string, piece int) string {
	return hex.EncodeToString(k.keys.name(record, piece))
}

// NamesOf are the names of the rows of a record, as far as some has them; the first one in
// any case.
func (k *Keyring) NamesOf(record string, some func(name string) bool) []string {
	names := []string{k.Name(record)}
	for piece := 1; some(k.rowName(record, piece)); piece++ {
		names = append(names, k.rowName(record, piece))
	}
	return names
}

// MayBeNamesOf are the names of all rows that a record can have.
func (k *Keyring) MayBeNamesOf(record string) []string {
	names := make([]string, maxPieces)
	for piece := range names {
		names[piece] = k.rowName(record, piece)
	}
	return names
}

// KeyringRows reads rows of a keyring under a key that is not there yet.
type KeyringRows []byte

// NamesOf is that of Keyring.
func (r KeyringRows) NamesOf(record string, some func(name string) bool) []string {
	return (&Keyring{keys: newRingKeys(r)}).NamesOf(record, some)
}

// CaseKey is the key of a case in its first row: vault.ErrNotFound where there is none.
func (r KeyringRows) CaseKey(record string, box []byte) ([]byte, error) {
	if box == nil {
		return nil, vault.ErrNotFound
	}
	keys := newRingKeys(r)
	head, _, err := keys.open(record, 0, ringRow{keys.name(record, 0), box})
	if err != nil {
		return nil, err
	}
	return head[:keySize], nil
}

// Names are the names of all rows.
func (k *Keyring) Names(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	for r, err := range k.rows(ctx, k.read) {
		if err != nil {
			return nil, err
		}
		names[r.Name()] = true
	}
	return names, nil
}

// KeyRow is a row of the keyring as it lies there. It opens with the key of the keyring
// and the id of its record alone.
type KeyRow struct {
	Name string // in hex
	Box  []byte
}

// Rows yields every row, in the order of the names. It waits for nobody and keeps nobody
// waiting.
func (k *Keyring) Rows(ctx context.Context) iter.Seq2[KeyRow, error] {
	return func(yield func(KeyRow, error) bool) {
		for r, err := range k.rows(ctx, k.read) {
			if !yield(KeyRow{r.Name(), r.box}, err) || err != nil {
				return
			}
		}
	}
}

// PutBack keeps a row that came from a backup of this network's keyring. vault.ErrIntegrity
// for anything else.
func (k *Keyring) PutBack(ctx context.Context, row KeyRow) error {
	if k.keys == nil {
		return ErrNoKeyringKey
	}
	name, err := hex.DecodeString(row.Name)
	r := ringRow{name, row.Box}
	if _, ok := k.keys.whole(r); err != nil || !ok {
		return fmt.Errorf("sqlstore: put a key file back: %w", vault.ErrIntegrity)
	}
	return k.change(ctx, func(tx *sql.Tx, sum ringSum) (ringSum, error) { return k.insert(ctx, tx, sum, r) })
}

const selectRing = "SELECT name, box FROM keys "

func scanRingRow(row scanner) (r ringRow, err error) { return r, row.Scan(&r.name, &r.box) }

// rowsAtOnce is how many rows are read at a time: some hundred KB.
const rowsAtOnce = 200

func (k *Keyring) rows(ctx context.Context, q querier) iter.Seq2[ringRow, error] {
	return func(yield func(ringRow, error) bool) {
		for after := []byte{}; ; {
			some, err := list(ctx, q, scanRingRow, selectRing+"WHERE name > $1 ORDER BY name LIMIT $2", after, rowsAtOnce)
			if err != nil {
				yield(ringRow{}, fmt.Errorf("sqlstore: read key files: %w", err))
				return
			}
			for _, r := range some {
				if !yield(r, nil) {
					return
				}
			}
			if len(some) < rowsAtOnce {
				return
			}
			after = some[len(some)-1].name
		}
	}
}
