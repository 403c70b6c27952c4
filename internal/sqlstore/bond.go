package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/safeconduct/safeconduct/vault"
)

const selectBond = "SELECT id, changes FROM keyring_bond"

func scanBond(row scanner) (b Bond, err error) {
	var changes int64
	err = row.Scan(&b.ID, &changes)
	b.Changes = uint64(changes) //nolint:gosec // counts from zero
	return b, err
}

// KeyringBond is the keyring that belongs to these records: its id, and how many
// changes of it were seen. The zero Bond where none was noted yet. Before the key of
// the seals was given nothing can hold it against anything: whoever opens the network
// asks again.
func (db *DB) KeyringBond(ctx context.Context) (b Bond, err error) {
	if db.seals == nil {
		return bondIn(ctx, db.read, nil)
	}
	err = db.believed(ctx, func(h *heads) error {
		b, err = bondIn(ctx, h.q, h)
		return err
	})
	return b, err
}

func bondIn(ctx context.Context, q querier, h *heads) (Bond, error) {
	b, err := scanBond(q.QueryRowContext(ctx, selectBond))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Bond{}, fmt.Errorf("sqlstore: read which keyring belongs here: %w", classify(err))
	}
	if h == nil {
		return b, nil
	}
	var want seal
	if err == nil {
		want = h.bond(b)
	}
	of, err := h.of(ctx, ofKeyring)
	if err == nil && of.only(sealedBond) != want {
		err = &SealError{sealedBond.String(), b.ID}
	}
	return b, err
}

// BindKeyring notes that a keyring belongs to these records, in the place of any
// other, and which records stay shut because it has no key for them.
func (db *DB) BindKeyring(ctx context.Context, b Bond, shut []string) error {
	err := db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		for _, clear := range []string{"DELETE FROM keyring_bond", "DELETE FROM shut_records"} {
			if _, err := tx.ExecContext(ctx, clear); err != nil {
				return err
			}
		}
		for _, record := range shut {
			n := h.name("shut", record)
			if _, err := tx.ExecContext(ctx, "INSERT INTO shut_records (name) VALUES ($1)", n[:]); err != nil {
				return err
			}
		}
		of, err := h.of(ctx, ofKeyring)
		if err != nil {
			return err
		}
		of.drop(sealedBond)
		of.put(h.bond(b))
		_, err = tx.ExecContext(ctx, "INSERT INTO keyring_bond (id, changes) VALUES ($1, $2)", b.ID, int64(b.Changes)) //nolint:gosec // counts by hand
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: note which keyring belongs here: %w", err)
	}
	return nil
}

// SeeKeyring notes how many changes of the keyring were seen. It never goes
// back, and notes nothing of another keyring.
func (db *DB) SeeKeyring(ctx context.Context, b Bond) error {
	err := db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		noted, err := bondIn(ctx, tx, h)
		if err != nil || noted.ID != b.ID || noted.Changes >= b.Changes {
			return err
		}
		of, err := h.of(ctx, ofKeyring)
		if err != nil {
			return err
		}
		of.drop(sealedBond)
		of.put(h.bond(b))
		_, err = tx.ExecContext(ctx, "UPDATE keyring_bond SET changes = $1 WHERE id = $2", int64(b.Changes), b.ID) //nolint:gosec // counts by hand
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: note the keyring's changes: %w", err)
	}
	return nil
}

// staysShut reports whether a restore has said of a record that its key did not come back.
func (h *heads) staysShut(ctx context.Context, record string) (is bool, err error) {
	n := h.name("shut", record)
	err = h.q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM shut_records WHERE name = $1)", n[:]).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("sqlstore: look for a record that stays shut: %w", classify(err))
	}
	return is, nil
}

// Keyless returns the records, of those given, that must have a key file: they
// are there, are not being erased, and are not known to stay shut. Whoever finds
// no key file for a record asks this last.
func (db *DB) Keyless(ctx context.Context, records []string) (must []string, err error) {
	for _, r := range records {
		err := db.believed(ctx, func(h *heads) error {
			to, found, err := h.the(ctx, ofRecord, r)
			if err != nil {
				return err
			}
			if !found {
				to.Case = r // nothing leads to a case that came back without its key but its own id
			}
			_, err = h.of(ctx, ofCase(to.Case)) // it need not open: its key may be what is missing
			of := h.found[h.stored(ofCase(to.Case))]
			if of == nil || len(of.content) == 0 {
				return err
			}
			f, err := h.openFront(of.content, of.subject)
			if err != nil || f.ours {
				return err
			}
			if shut, err := h.staysShut(ctx, r); err != nil || shut {
				return err
			}
			must = append(must, r)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("sqlstore: look for a record: %w", err)
		}
	}
	slices.Sort(must)
	return slices.Compact(must), nil
}

// Keyed returns the ids of all records that must have a key file, in order: of a case
// whose own key is missing or damaged its own record alone, because nobody can read of
// others.
func (db *DB) Keyed(ctx context.Context) (all []string, err error) {
	err = db.frontsFrom(ctx, "", func(h *heads, of *head, f front) (bool, error) {
		if f.ours {
			return true, nil
		}
		records := []string{f.caseID}
		switch err := h.openBody(ctx, of, f.caseID); {
		case err == nil:
			records = nil
			for _, r := range of.body.Records {
				records = append(records, r.ID)
			}
		case !shutOrDamaged(err) && !errors.Is(err, vault.ErrIntegrity):
			return false, err
		}
		for _, r := range records {
			shut, err := h.staysShut(ctx, r)
			if err != nil {
				return false, err
			}
			if !shut {
				all = append(all, r)
			}
		}
		return true, nil
	})
	slices.Sort(all)
	return slices.Compact(all), err
}

func scanBytes(row scanner) (b []byte, err error) { return b, row.Scan(&b) }
