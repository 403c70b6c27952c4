package sqlstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// name is what a row is called by: a keyed hash of what it is about. Whoever has no key
// can tell neither what a row is about nor which rows belong together.
type name [16]byte

func (n name) String() string { return hex.EncodeToString(n[:]) }

// keyed makes keyed hashes. Its state is not made anew for each of them.
type keyed struct{ states sync.Pool }

func newKeyed(key []byte) *keyed {
	return &keyed{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (k *keyed) sum(m message) []byte {
	h, _ := k.states.Get().(hash.Hash)
	h.Reset()
	h.Write(m)
	sum := h.Sum(nil)
	k.states.Put(h)
	return sum
}

// name is the name of something: of says what it is, and parts which one. Each has its
// length in front of it, so that no two lists of texts give the same name.
func (k *sealer) name(of string, parts ...string) name {
	return name(k.names.sum(make(message, 0, 128).text(of).text(parts...))[:len(name{})])
}

// lead is what a row of names leads to: a case, and something in it, or the case itself
// where there is no id. It is a hint: what it leads to is believed only because the body
// of the case says it. One that is missing is found by the check of everything, because
// a body says which it must have.
type lead struct{ Case, ID string }

// leadSize is how long the plaintext of each row of names is: two ids in hex, and room.
const leadSize = 96

// hint is a row of names: a set and what it has in it. What there is only one of is in a
// set of its own.
type hint struct {
	set, item name
	to        lead
	of        string // what it is, for whoever finds that it is taken
}

// single is the hint to what is the only one: a record by its id, an act by the key of
// its request.
func (k *sealer) single(to lead, of string, parts ...string) hint {
	set := k.set(of, parts...)
	return hint{set, set, to, of}
}

// member is the hint to one of many: the cases of an agency, the documents at a place of
// the index of numbers. Of each item a set has one.
func (k *sealer) member(to lead, item string, of string, parts ...string) hint {
	set := k.set(of, parts...)
	return hint{set, k.item(set, item), to, of}
}

// set is the name of a set. No row of another table has it, also where that is called by
// the same texts: an act that waits for a second person has the id of the request that
// made it.
func (k *sealer) set(of string, parts ...string) name {
	return k.name("set", append([]string{of}, parts...)...)
}

// item is the name of something in a set. A set is read in the order of these.
func (k *sealer) item(set name, item string) name { return k.name("item", string(set[:]), item) }

// takenError says that there is such a row already.
type takenError struct{ of string }

func (e *takenError) Error() string { return "sqlstore: there is such a " + e.of + " already" }

// hasSuch reports whether err says that there is one of these already.
func hasSuch(err error, of string) bool {
	e, ok := errors.AsType[*takenError](err)
	return ok && e.of == of
}

const (
	selectNames = "SELECT item, box FROM names WHERE set_name = $1"
	selectNamed = selectNames + " ORDER BY item"
	insertName  = "INSERT INTO names (set_name, item, box) VALUES ($1, $2, $3)"
	deleteName  = "DELETE FROM names WHERE set_name = $1 AND item = $2"
)

// leads returns what a set leads to, in the order of its items' names.
func (h *heads) leads(ctx context.Context, of string, parts ...string) ([]lead, error) {
	set := h.set(of, parts...)
	return h.leadsOf(ctx, set, selectNamed, set[:])
}

// leadsBehind returns the next of what a set leads to, behind the item after; the empty
// item begins.
func (h *heads) leadsBehind(ctx context.Context, after string, limit int, of string, parts ...string) ([]lead, error) {
	set := h.set(of, parts...)
	var from name
	if after != "" {
		from = h.item(set, after)
	}
	return h.leadsOf(ctx, set, selectNames+" AND item > $2 ORDER BY item LIMIT $3", set[:], from[:], limit)
}

// the returns what there is only one of.
func (h *heads) the(ctx context.Context, of string, parts ...string) (to lead, found bool, err error) {
	all, err := h.leads(ctx, of, parts...)
	if err != nil || len(all) == 0 {
		return lead{}, false, err
	}
	return all[0], true, nil
}

func (h *heads) leadsOf(ctx context.Context, set name, query string, args ...any) ([]lead, error) {
	rows, err := h.send(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read names: %w", classify(err))
	}
	var all []lead
	err = each(rows, func() error {
		var item, box []byte
		if err := rows.Scan(&item, &box); err != nil {
			return err
		}
		to, err := h.openLead(set, item, box)
		all = append(all, to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read names: %w", classify(err))
	}
	return all, nil
}

// openLead opens a row of names.
func (k *sealer) openLead(set name, item, box []byte) (to lead, err error) {
	if len(item) != len(name{}) {
		return lead{}, &SealError{"names", hex.EncodeToString(item)}
	}
	plain, err := k.boxes.open(box, "names", string(set[:])+string(item), 0)
	if err != nil {
		return lead{}, &SealError{"names", hex.EncodeToString(item)}
	}
	return readLead(plain)
}

func readLead(plain []byte) (to lead, err error) {
	caseID, plain, ok := cutText(plain)
	id, _, also := cutText(plain)
	if !ok || !also {
		return lead{}, &SealError{"names", "a lead"}
	}
	return lead{caseID, id}, nil
}

// cutText reads a text with its length in front of it, one byte.
func cutText(from []byte) (text string, rest []byte, ok bool) {
	if len(from) == 0 || len(from) < 1+int(from[0]) {
		return "", nil, false
	}
	n := 1 + int(from[0])
	return string(from[1:n]), from[n:], true
}

// text is what readLead reads.
func (to lead) text() ([]byte, error) {
	plain := make([]byte, 0, leadSize)
	for _, text := range []string{to.Case, to.ID} {
		if len(text) > 255 {
			return nil, fmt.Errorf("sqlstore: an id of %d bytes", len(text))
		}
		plain = append(append(plain, byte(len(text))), text...) //nolint:gosec // looked at above
	}
	return plain, nil
}

// boxLead makes the box of a row of names.
func (k *sealer) boxLead(set, item name, to lead) ([]byte, error) {
	plain, err := to.text()
	if err != nil {
		return nil, err
	}
	return k.boxes.box(leadSize, plain, "names", string(set[:])+string(item[:]), 0), nil
}

// addHint writes a row of names. A takenError if there is one.
func (h *heads) addHint(ctx context.Context, tx *sql.Tx, one hint) error {
	box, err := h.boxLead(one.set, one.item, one.to)
	if err == nil {
		err = h.exec(ctx, tx, insertName, one.set[:], one.item[:], box)
	}
	if isTaken(err) {
		return &takenError{one.of}
	}
	if err != nil {
		return fmt.Errorf("sqlstore: name a row: %w", err)
	}
	return nil
}

// dropHint removes a row of names.
func (h *heads) dropHint(ctx context.Context, tx *sql.Tx, one hint) error {
	if err := h.exec(ctx, tx, deleteName, one.set[:], one.item[:]); err != nil {
		return fmt.Errorf("sqlstore: forget a name: %w", err)
	}
	return nil
}

// LeadAnew makes all that leads to cases from their bodies, once rows came back from a
// backup, and the keys of cases. Nothing leads to a case whose key did not come back, nor to
// one whose body does not open: CheckLoaded says which that is.
func (db *DB) LeadAnew(ctx context.Context) error {
	if db.seals == nil {
		return ErrNoSealKey
	}
	err := db.alone(ctx, func(tx *sql.Tx) error {
		if err := db.withoutTimeouts(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM names"); err != nil {
			return err
		}
		h := &heads{sealer: db.seals, q: tx, whole: true, read: true, found: map[string]*head{}}
		return h.eachBody(ctx, tx, func(b *body) error {
			for _, to := range b.hints(h.sealer) {
				// Of two that claim it the later one has it, and CheckLoaded names the other.
				if err := errors.Join(h.dropHint(ctx, tx, to), h.addHint(ctx, tx, to)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("sqlstore: make what leads to cases: %w", err)
	}
	return nil
}
