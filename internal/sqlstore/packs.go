package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// PackNumber returns the number of the newest pack, 0 when there is none. It is
// cheap, for processes that ask all the time whether there is a newer one.
func (s *Network) PackNumber(ctx context.Context) (n uint64, err error) {
	var v int64
	err = s.db.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(sequence), 0) FROM packs").Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: read the number of the pack: %w", classify(err))
	}
	return uint64(v), nil //nolint:gosec // written from a uint64
}

// NewestPack returns the public half of the newest pack, byte for byte as it
// was published. network.ErrNotFound when there is none.
func (s *Network) NewestPack(ctx context.Context) (lists verifier.Lists, sequence uint64, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		var number int64
		lists, number, err = packIn(ctx, h.q, h)
		sequence = uint64(number) //nolint:gosec // written from a uint64
		return err
	})
	if err != nil {
		return verifier.Lists{}, 0, err
	}
	return lists, sequence, nil
}

// packIn reads the newest pack, and holds it against the head of the network.
func packIn(ctx context.Context, q querier, h *heads) (lists verifier.Lists, number int64, err error) {
	p, err := scanPack(q.QueryRowContext(ctx, selectPack))
	if errors.Is(err, sql.ErrNoRows) {
		return p.lists, 0, network.ErrNotFound
	}
	if err != nil {
		return p.lists, 0, fmt.Errorf("sqlstore: read the pack: %w", classify(err))
	}
	of, err := h.of(ctx, ofNetwork)
	if err == nil && !of.has(h.pack(p.number, p.lists)) {
		err = &SealError{sealedPack.String(), "1"}
	}
	return p.lists, p.number, err
}

// packRow is the newest pack with its number.
type packRow struct {
	number int64
	lists  verifier.Lists
}

const selectPack = "SELECT sequence, trust_list, pack, trust_key FROM packs"

func scanPack(row scanner) (p packRow, err error) {
	return p, row.Scan(&p.number, &p.lists.TrustList, &p.lists.Pack, &p.lists.TrustKey)
}

// KeepPack puts up a pack in place of the one with the number before, 0 for
// none. network.ErrConflict when another one is up. Whoever reads the number
// first, then everything that goes into the pack, and then keeps it, can never
// replace a pack by one that says what was true earlier.
func (s *Network) KeepPack(ctx context.Context, before, sequence uint64, lists verifier.Lists) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		of, err := h.of(ctx, ofNetwork)
		if err != nil {
			return err
		}
		old, up, err := packIn(ctx, tx, h)
		switch {
		case errors.Is(err, network.ErrNotFound) && of.count(sealedPack) > 0:
			return &SealError{sealedPack.String(), "1"}
		case errors.Is(err, network.ErrNotFound):
		case err != nil:
			return err
		default:
			if err := of.take(h.pack(up, old), "1"); err != nil {
				return err
			}
		}
		if uint64(up) != before || sequence <= before { //nolint:gosec // written from a uint64
			return network.ErrConflict
		}
		of.put(h.pack(int64(sequence), lists)) //nolint:gosec // counts from 1
		_, err = tx.ExecContext(ctx, `INSERT INTO packs (one, sequence, trust_list, pack, trust_key) VALUES (1, $1, $2, $3, $4)
			ON CONFLICT (one) DO UPDATE SET sequence = excluded.sequence, trust_list = excluded.trust_list, pack = excluded.pack, trust_key = excluded.trust_key`,
			int64(sequence), lists.TrustList, lists.Pack, lists.TrustKey) //nolint:gosec // counts from 1
		if err != nil {
			return fmt.Errorf("sqlstore: keep the pack: %w", err)
		}
		return nil
	})
}
