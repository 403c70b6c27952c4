package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// Network is the network.Store.
type Network struct{ db *DB }

var _ network.Store = (*Network)(nil)

// Network returns the store of the network, its agencies, devices and epochs.
func (db *DB) Network() *Network { return &Network{db} }

// Init writes a new network. network.ErrExists if there is one.
func (s *Network) Init(ctx context.Context, r network.Record, epochs []network.Epoch, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO network
			(one, id, name, base_url, desk, demo, generation, pack_sequence, trust_sequence)
			VALUES (1, $1, $2, $3, $4, $5, $6, 0, 0)`,
			r.ID, r.Name, r.BaseURL, r.Desk, r.Demo, int64(r.Generation)) //nolint:gosec // counts changes by hand
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write network: %w", err)
		}
		of, err := h.of(ctx, ofNetwork)
		if err != nil {
			return err
		}
		of.put(h.network(networkRow{Record: r}))
		for _, e := range epochs {
			if err := insertEpoch(ctx, tx, e); err != nil {
				return err
			}
			of.put(h.epoch(e))
		}
		return nil
	})
}

// Network returns the record of the network. Before the key of the seals was given
// nothing can hold it against anything: whoever opens the keys by it asks again.
func (s *Network) Network(ctx context.Context) (network.Record, error) {
	if s.db.seals == nil {
		n, err := scanNetwork(s.db.read.QueryRowContext(ctx, selectNetwork))
		if err != nil {
			return network.Record{}, missing("network", err)
		}
		return n.Record, nil
	}
	n, err := s.row(ctx)
	return n.Record, err
}

// row reads the one row of the network, and holds it against its head.
func (s *Network) row(ctx context.Context) (n networkRow, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		n, err = networkIn(ctx, h.q, h)
		return err
	})
	return n, err
}

func networkIn(ctx context.Context, q querier, h *heads) (networkRow, error) {
	n, err := scanNetwork(q.QueryRowContext(ctx, selectNetwork))
	if err != nil {
		return networkRow{}, missing("network", err)
	}
	of, err := h.of(ctx, ofNetwork)
	if err == nil && !of.has(h.network(n)) {
		err = &SealError{sealedNetwork.String(), "1"}
	}
	if err != nil {
		return networkRow{}, err
	}
	return n, nil
}

// changeNetwork changes the row of the network. network.ErrNotFound if there is none.
func changeNetwork(ctx context.Context, tx *sql.Tx, h *heads, change func(*networkRow)) error {
	n, err := networkIn(ctx, tx, h)
	if err != nil {
		return err
	}
	of, err := h.of(ctx, ofNetwork)
	if err != nil {
		return err
	}
	if err := of.take(h.network(n), "1"); err != nil {
		return err
	}
	change(&n)
	of.put(h.network(n))
	var digest []byte
	var expires sql.NullInt64
	if n.stored.Valid {
		digest, expires = n.list.Digest[:], sql.NullInt64{Int64: n.list.Expires.Unix(), Valid: true}
	}
	_, err = tx.ExecContext(ctx, `UPDATE network SET generation = $1, pack_sequence = $2, trust_sequence = $3,
		trust_stored = $4, trust_digest = $5, trust_expires = $6, trust_list = $7, trust_key = $8`,
		int64(n.Generation), n.pack, n.trust, n.stored, digest, expires, optional(n.list.Compact), n.list.Key) //nolint:gosec // counts changes by hand
	if err != nil {
		return fmt.Errorf("sqlstore: write network: %w", err)
	}
	return nil
}

// missing turns the absence of a row into network.ErrNotFound.
func missing(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return network.ErrNotFound
	}
	return fmt.Errorf("sqlstore: read %s: %w", what, classify(err))
}

// SeeGeneration raises the stored generation of the keystore.
func (s *Network) SeeGeneration(ctx context.Context, generation uint64) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		return changeNetwork(ctx, tx, h, func(n *networkRow) { n.Generation = max(n.Generation, generation) })
	})
}

// AddKeys writes the first keys of an agency.
func (s *Network) AddKeys(ctx context.Context, k network.AgencyKeys, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		of, err := h.of(ctx, ofAgencies)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO agencies (id, version) VALUES ($1, $2)", k.Agency, k.Version)
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write agency: %w", err)
		}
		return insertKeys(ctx, tx, h, of, k)
	})
}

// ReplaceKeys writes an agency's keys as given. network.ErrConflict if somebody else
// has changed them since they were read.
func (s *Network) ReplaceKeys(ctx context.Context, k network.AgencyKeys, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		old, err := keyedIn(ctx, tx, h, selectAgencies+"WHERE id = $1", selectKeys+"WHERE agency_id = $1 ORDER BY place", k.Agency)
		if err != nil {
			return err
		}
		if len(old) == 0 || old[0].Version != k.Version {
			return network.ErrConflict
		}
		of, err := h.of(ctx, ofAgencies)
		if err != nil {
			return err
		}
		if err := of.take(h.agency(old[0]), k.Agency); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE agencies SET version = version + 1 WHERE id = $1", k.Agency); err != nil {
			return fmt.Errorf("sqlstore: write agency: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM agency_keys WHERE agency_id = $1", k.Agency); err != nil {
			return fmt.Errorf("sqlstore: write agency keys: %w", err)
		}
		next := k
		next.Version++
		return insertKeys(ctx, tx, h, of, next)
	})
}

// keyedAgency is an agency's keys as they are kept: what is said of each that was
// stolen is the JSON of it.
type keyedAgency struct {
	network.AgencyKeys

	stolen [][]byte
}

func insertKeys(ctx context.Context, tx *sql.Tx, h *heads, of *head, a network.AgencyKeys) error {
	kept := keyedAgency{AgencyKeys: a}
	for i, k := range a.Keys {
		var compromised []byte
		if k.Compromised != nil {
			var err error
			if compromised, err = json.Marshal(k.Compromised); err != nil {
				return fmt.Errorf("sqlstore: encode agency key: %w", err)
			}
		}
		kept.stolen = append(kept.stolen, compromised)
		_, err := tx.ExecContext(ctx, `INSERT INTO agency_keys
			(agency_id, kid, place, jwk, from_day, to_day, revoked, compromised) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			a.Agency, k.KeyID, i, []byte(k.JWK), toDay(k.From), toDay(k.To), k.Revoked, compromised)
		if err != nil {
			return fmt.Errorf("sqlstore: write agency key: %w", err)
		}
	}
	of.put(h.agency(kept))
	return nil
}

// Keys returns an agency's keys. An agency whose keys were taken away is not one that
// never had any.
func (s *Network) Keys(ctx context.Context, agency string) (k network.AgencyKeys, err error) {
	all, err := s.keys(ctx, selectAgencies+"WHERE id = $1", selectKeys+"WHERE agency_id = $1 ORDER BY place", agency)
	if err != nil {
		return k, err
	}
	if len(all) > 0 {
		return all[0], nil
	}
	if _, err := s.AllKeys(ctx); err != nil {
		return k, err
	}
	return k, network.ErrNotFound
}

// AllKeys returns the keys of all agencies, in order of their ids. None is missing.
func (s *Network) AllKeys(ctx context.Context) ([]network.AgencyKeys, error) {
	return s.keys(ctx, selectAgencies+"ORDER BY id", selectKeys+"ORDER BY agency_id, place")
}

func (s *Network) keys(ctx context.Context, which, keys string, args ...any) (all []network.AgencyKeys, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		all = nil
		found, err := keyedIn(ctx, h.q, h, which, keys, args...)
		for _, a := range found {
			all = append(all, a.AgencyKeys)
		}
		return err
	})
	return all, err
}

const (
	selectAgencies = "SELECT id, version FROM agencies "
	selectKeys     = "SELECT agency_id, kid, place, jwk, from_day, to_day, revoked, compromised FROM agency_keys "
)

// keyedIn reads agencies' keys, of one or of all, and holds them against their head.
func keyedIn(ctx context.Context, q querier, h *heads, which, keys string, args ...any) ([]keyedAgency, error) {
	all, err := readKeys(ctx, q, which, keys, args...)
	if err != nil {
		return nil, err
	}
	of, err := h.of(ctx, ofAgencies)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if !of.has(h.agency(a)) {
			return nil, &SealError{sealedAgency.String(), a.Agency}
		}
	}
	if len(args) == 0 && of.count(sealedAgency) != len(all) {
		return nil, &SealError{"rows of", sealedAgency.String()}
	}
	return all, nil
}

// readKeys reads agencies and their keys by two statements.
func readKeys(ctx context.Context, q querier, which, keys string, args ...any) ([]keyedAgency, error) {
	all, err := list(ctx, q, func(row scanner) (a keyedAgency, err error) { return a, row.Scan(&a.Agency, &a.Version) }, which, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read agencies: %w", err)
	}
	place := map[string]int{}
	for i, a := range all {
		place[a.Agency] = i
	}
	rows, err := q.QueryContext(ctx, keys, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read agency keys: %w", classify(err))
	}
	err = each(rows, func() error {
		id, at, k, stolen, err := scanKey(rows)
		i, known := place[id]
		if err == nil && (!known || at != len(all[i].Keys)) { // added between the statements, or by somebody else
			err = &SealError{"agency_keys", id}
		}
		if err != nil {
			return err
		}
		all[i].Keys, all[i].stolen = append(all[i].Keys, k), append(all[i].stolen, stolen)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read agency keys: %w", classify(err))
	}
	return all, nil
}

func scanKey(row scanner) (agency string, place int, k network.Key, stolen []byte, err error) {
	var jwk []byte
	var compromised any // a driver may give NULL and no bytes the same []byte
	var from, to int64
	if err := row.Scan(&agency, &k.KeyID, &place, &jwk, &from, &to, &k.Revoked, &compromised); err != nil {
		return "", 0, network.Key{}, nil, err
	}
	k.JWK, k.From, k.To = jwk, fromDay(from), fromDay(to)
	if stolen, _ = compromised.([]byte); stolen != nil {
		k.Compromised = new(verifier.Compromise)
		if err := json.Unmarshal(stolen, k.Compromised); err != nil {
			return "", 0, network.Key{}, nil, &SealError{"agency_keys", agency}
		}
	}
	return agency, place, k, stolen, nil
}

// optional is a column that is NULL when the text is empty.
func optional(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func insertEpoch(ctx context.Context, tx *sql.Tx, e network.Epoch) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO epochs
		(id, keys, created_day, seal_day, end_day, burned_day, reduced) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		int64(e.ID), e.Keys, toDay(e.Created), toDay(e.SealFrom), toDay(e.EndsAt), optionalDay(e.BurnedAt), e.Reduced)
	if isTaken(err) {
		return network.ErrExists
	}
	if err != nil {
		return fmt.Errorf("sqlstore: write epoch: %w", err)
	}
	return nil
}

// optionalDay is a column that is NULL when the time is zero.
func optionalDay(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: toDay(t), Valid: true}
}

const selectEpochs = "SELECT id, keys, created_day, seal_day, end_day, burned_day, reduced FROM epochs "

func scanEpoch(row scanner) (e network.Epoch, err error) {
	var id, created, seal, end int64
	var burned sql.NullInt64
	if err := row.Scan(&id, &e.Keys, &created, &seal, &end, &burned, &e.Reduced); err != nil {
		return e, err
	}
	e.ID = uint32(id) //nolint:gosec // written from a uint32
	e.Created, e.SealFrom, e.EndsAt = fromDay(created), fromDay(seal), fromDay(end)
	if burned.Valid {
		e.BurnedAt = fromDay(burned.Int64)
	}
	return e, nil
}

// Epochs lists all epochs, the earliest sealing day first. None is missing.
func (s *Network) Epochs(ctx context.Context) (all []network.Epoch, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		if all, err = list(ctx, h.q, scanEpoch, selectEpochs+"ORDER BY seal_day, created_day, id"); err != nil {
			return fmt.Errorf("sqlstore: read epochs: %w", classify(err))
		}
		of, err := h.of(ctx, ofNetwork)
		if err != nil {
			return err
		}
		for _, e := range all {
			if !of.has(h.epoch(e)) {
				return &SealError{sealedEpoch.String(), strconv.FormatUint(uint64(e.ID), 10)}
			}
		}
		if of.count(sealedEpoch) != len(all) {
			return &SealError{"rows of", sealedEpoch.String()}
		}
		return nil
	})
	return all, err
}

// ChangeEpochs adds epochs and replaces others. network.ErrConflict if there
// are not as many as the caller has read.
func (s *Network) ChangeEpochs(ctx context.Context, read int, add, replace []network.Epoch, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		of, err := h.of(ctx, ofNetwork)
		if err != nil {
			return err
		}
		if of.count(sealedEpoch) != read {
			return network.ErrConflict
		}
		for _, e := range add {
			if err := insertEpoch(ctx, tx, e); err != nil {
				return err
			}
			of.put(h.epoch(e))
		}
		for _, e := range replace {
			old, err := scanEpoch(tx.QueryRowContext(ctx, selectEpochs+"WHERE id = $1", int64(e.ID)))
			if err != nil {
				return missing("epoch", err)
			}
			if err := of.take(h.epoch(old), strconv.FormatUint(uint64(e.ID), 10)); err != nil {
				return err
			}
			of.put(h.epoch(e))
			_, err = tx.ExecContext(ctx, `UPDATE epochs
				SET keys = $1, created_day = $2, seal_day = $3, end_day = $4, burned_day = $5, reduced = $6 WHERE id = $7`,
				e.Keys, toDay(e.Created), toDay(e.SealFrom), toDay(e.EndsAt), optionalDay(e.BurnedAt), e.Reduced, int64(e.ID))
			if err != nil {
				return fmt.Errorf("sqlstore: write epoch: %w", err)
			}
		}
		return nil
	})
}

// NextPack takes the next number of a pack.
func (s *Network) NextPack(ctx context.Context, log ...audit.Entry) (n uint64, err error) {
	return s.next(ctx, log, func(n *networkRow) int64 { n.pack++; return n.pack })
}

// NextTrustList takes the next number of a trust list.
func (s *Network) NextTrustList(ctx context.Context, log ...audit.Entry) (uint64, error) {
	return s.next(ctx, log, func(n *networkRow) int64 { n.trust++; return n.trust })
}

func (s *Network) next(ctx context.Context, log []audit.Entry, take func(*networkRow) int64) (number uint64, err error) {
	err = s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		return changeNetwork(ctx, tx, h, func(n *networkRow) { number = uint64(take(n)) }) //nolint:gosec // counts from 0
	})
	if err != nil {
		return 0, err
	}
	return number, nil
}

// PublishTrustList stores a signed trust list, unless a newer one is stored.
func (s *Network) PublishTrustList(ctx context.Context, l network.SignedTrustList) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		return changeNetwork(ctx, tx, h, func(n *networkRow) {
			if !n.stored.Valid || n.stored.Int64 < int64(l.Sequence) { //nolint:gosec // counts from 0
				n.stored, n.list = sql.NullInt64{Int64: int64(l.Sequence), Valid: true}, l //nolint:gosec // counts from 0
			}
		})
	})
}

// TrustList returns the newest signed trust list.
func (s *Network) TrustList(ctx context.Context) (network.SignedTrustList, error) {
	n, err := s.row(ctx)
	if err == nil && !n.stored.Valid {
		err = network.ErrNotFound
	}
	return n.list, err
}
