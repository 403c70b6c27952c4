package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
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
		for _, e := range epochs {
			if err := insertEpoch(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Network returns the record of the network.
func (s *Network) Network(ctx context.Context) (network.Record, error) {
	var r network.Record
	var generation int64
	err := s.db.read.QueryRowContext(ctx, "SELECT id, name, base_url, desk, demo, generation FROM network").
		Scan(&r.ID, &r.Name, &r.BaseURL, &r.Desk, &r.Demo, &generation)
	if err != nil {
		return network.Record{}, missing("network", err)
	}
	r.Generation = uint64(generation) //nolint:gosec // written from a uint64
	return r, nil
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
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE network SET generation = $1 WHERE generation < $1", int64(generation)) //nolint:gosec // counts changes by hand
		if err != nil {
			return fmt.Errorf("sqlstore: write generation: %w", err)
		}
		return nil
	})
}

// AddAgency writes an agency and its keys.
func (s *Network) AddAgency(ctx context.Context, a network.Agency, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
		terms, err := json.Marshal(a.Terms)
		if err != nil {
			return fmt.Errorf("sqlstore: encode terms: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO agencies
			(id, name, class, country, desk, suspended, version, admitted_day, terms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			a.ID, a.Name, string(a.Class), a.Country, a.Desk, a.Suspended, a.Version, optionalDay(a.Admitted), string(terms))
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write agency: %w", err)
		}
		return insertKeys(ctx, tx, a)
	})
}

// ReplaceAgency writes an agency as given. network.ErrConflict if somebody
// else has changed it since it was read.
func (s *Network) ReplaceAgency(ctx context.Context, a network.Agency, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
		terms, err := json.Marshal(a.Terms)
		if err != nil {
			return fmt.Errorf("sqlstore: encode terms: %w", err)
		}
		res, err := tx.ExecContext(ctx, `UPDATE agencies
			SET name = $1, class = $2, country = $3, desk = $4, suspended = $5, terms = $6, version = version + 1
			WHERE id = $7 AND version = $8`,
			a.Name, string(a.Class), a.Country, a.Desk, a.Suspended, string(terms), a.ID, a.Version)
		if err := mustChange(res, err, network.ErrConflict); err != nil {
			return fmt.Errorf("sqlstore: write agency: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM agency_keys WHERE agency_id = $1", a.ID); err != nil {
			return fmt.Errorf("sqlstore: write agency keys: %w", err)
		}
		return insertKeys(ctx, tx, a)
	})
}

func insertKeys(ctx context.Context, tx *sql.Tx, a network.Agency) error {
	for i, k := range a.Keys {
		var compromised []byte
		if k.Compromised != nil {
			var err error
			if compromised, err = json.Marshal(k.Compromised); err != nil {
				return fmt.Errorf("sqlstore: encode agency key: %w", err)
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO agency_keys
			(agency_id, kid, place, jwk, from_day, to_day, revoked, compromised) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			a.ID, k.KeyID, i, []byte(k.JWK), toDay(k.From), toDay(k.To), k.Revoked, compromised)
		if err != nil {
			return fmt.Errorf("sqlstore: write agency key: %w", err)
		}
	}
	return nil
}

// Agency returns an agency with its keys.
func (s *Network) Agency(ctx context.Context, id string) (network.Agency, error) {
	all, err := s.agencies(ctx, selectAgencies+"WHERE id = $1", selectKeys+"WHERE agency_id = $1 ORDER BY place", id)
	if err != nil {
		return network.Agency{}, err
	}
	if len(all) == 0 {
		return network.Agency{}, network.ErrNotFound
	}
	return all[0], nil
}

// Agencies returns all agencies with their keys, in order of id.
func (s *Network) Agencies(ctx context.Context) ([]network.Agency, error) {
	return s.agencies(ctx, selectAgencies+"ORDER BY id", selectKeys+"ORDER BY agency_id, place")
}

const (
	selectAgencies = "SELECT id, name, class, country, desk, suspended, version, admitted_day, terms FROM agencies "
	selectKeys     = "SELECT agency_id, kid, jwk, from_day, to_day, revoked, compromised FROM agency_keys "
)

// agencies reads agencies and their keys from one moment.
func (s *Network) agencies(ctx context.Context, which, keys string, args ...any) (all []network.Agency, err error) {
	err = s.db.readTx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, which, args...)
		if err != nil {
			return fmt.Errorf("sqlstore: read agencies: %w", err)
		}
		place := map[string]int{}
		err = each(rows, func() error {
			var a network.Agency
			var admitted sql.NullInt64
			var terms string
			if err := rows.Scan(&a.ID, &a.Name, &a.Class, &a.Country, &a.Desk, &a.Suspended, &a.Version, &admitted, &terms); err != nil {
				return err
			}
			if admitted.Valid {
				a.Admitted = fromDay(admitted.Int64)
			}
			if err := json.Unmarshal([]byte(terms), &a.Terms); err != nil {
				return errors.New("an agency's terms are damaged")
			}
			place[a.ID] = len(all)
			all = append(all, a)
			return nil
		})
		if err != nil {
			return fmt.Errorf("sqlstore: read agencies: %w", err)
		}
		rows, err = tx.QueryContext(ctx, keys, args...)
		if err != nil {
			return fmt.Errorf("sqlstore: read agency keys: %w", err)
		}
		err = each(rows, func() error {
			id, k, err := scanKey(rows)
			if err != nil {
				return err
			}
			a := &all[place[id]] // the foreign key holds it there
			a.Keys = append(a.Keys, k)
			return nil
		})
		if err != nil {
			return fmt.Errorf("sqlstore: read agency keys: %w", err)
		}
		return nil
	})
	return all, err
}

func scanKey(rows *sql.Rows) (agency string, k network.Key, err error) {
	var jwk, compromised []byte
	var from, to int64
	if err := rows.Scan(&agency, &k.KeyID, &jwk, &from, &to, &k.Revoked, &compromised); err != nil {
		return "", network.Key{}, err
	}
	k.JWK, k.From, k.To = jwk, fromDay(from), fromDay(to)
	if compromised != nil {
		k.Compromised = new(verifier.Compromise)
		if err := json.Unmarshal(compromised, k.Compromised); err != nil {
			return "", network.Key{}, errors.New("sqlstore: an agency key is damaged")
		}
	}
	return agency, k, nil
}

// optional is a column that is NULL when the text is empty.
func optional(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// one is the first of what a look-up by a unique column found.
func one[T any](all []T, err error) (T, error) {
	var none T
	switch {
	case err != nil:
		return none, err
	case len(all) == 0:
		return none, network.ErrNotFound
	default:
		return all[0], nil
	}
}

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

// Epochs lists all epochs, the earliest sealing day first.
func (s *Network) Epochs(ctx context.Context) ([]network.Epoch, error) {
	rows, err := s.db.read.QueryContext(ctx, `SELECT id, keys, created_day, seal_day, end_day, burned_day, reduced
		FROM epochs ORDER BY seal_day, created_day, id`)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read epochs: %w", classify(err))
	}
	var all []network.Epoch
	err = each(rows, func() error {
		var e network.Epoch
		var id, created, seal, end int64
		var burned sql.NullInt64
		if err := rows.Scan(&id, &e.Keys, &created, &seal, &end, &burned, &e.Reduced); err != nil {
			return err
		}
		e.ID = uint32(id) //nolint:gosec // written from a uint32
		e.Created, e.SealFrom, e.EndsAt = fromDay(created), fromDay(seal), fromDay(end)
		if burned.Valid {
			e.BurnedAt = fromDay(burned.Int64)
		}
		all = append(all, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read epochs: %w", classify(err))
	}
	return all, nil
}

// ChangeEpochs adds epochs and replaces others. network.ErrConflict if there
// are not as many as the caller has read.
func (s *Network) ChangeEpochs(ctx context.Context, read int, add, replace []network.Epoch, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
		var stored int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM epochs").Scan(&stored); err != nil {
			return fmt.Errorf("sqlstore: count epochs: %w", err)
		}
		if stored != read {
			return network.ErrConflict
		}
		for _, e := range add {
			if err := insertEpoch(ctx, tx, e); err != nil {
				return err
			}
		}
		for _, e := range replace {
			res, err := tx.ExecContext(ctx, `UPDATE epochs
				SET keys = $1, created_day = $2, seal_day = $3, end_day = $4, burned_day = $5, reduced = $6 WHERE id = $7`,
				e.Keys, toDay(e.Created), toDay(e.SealFrom), toDay(e.EndsAt), optionalDay(e.BurnedAt), e.Reduced, int64(e.ID))
			if err := mustChange(res, err, network.ErrNotFound); err != nil {
				return fmt.Errorf("sqlstore: write epoch: %w", err)
			}
		}
		return nil
	})
}

// NextPack takes the next number of a pack.
func (s *Network) NextPack(ctx context.Context, log ...audit.Entry) (uint64, error) {
	return s.next(ctx, "UPDATE network SET pack_sequence = pack_sequence + 1 RETURNING pack_sequence", log)
}

// NextTrustList takes the next number of a trust list.
func (s *Network) NextTrustList(ctx context.Context, log ...audit.Entry) (uint64, error) {
	return s.next(ctx, "UPDATE network SET trust_sequence = trust_sequence + 1 RETURNING trust_sequence", log)
}

func (s *Network) next(ctx context.Context, statement string, log []audit.Entry) (n uint64, err error) {
	err = s.db.change(ctx, log, func(tx *sql.Tx) error {
		var v int64
		if err := tx.QueryRowContext(ctx, statement).Scan(&v); err != nil {
			return missing("sequence number", err)
		}
		n = uint64(v) //nolint:gosec // counts from 0
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// PublishTrustList stores a signed trust list, unless a newer one is stored.
func (s *Network) PublishTrustList(ctx context.Context, l network.SignedTrustList) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE network
			SET trust_stored = $1, trust_digest = $2, trust_expires = $3, trust_list = $4
			WHERE trust_stored IS NULL OR trust_stored < $1`,
			int64(l.Sequence), l.Digest[:], l.Expires.Unix(), l.Compact) //nolint:gosec // counts from 0
		if err != nil {
			return fmt.Errorf("sqlstore: write trust list: %w", err)
		}
		return nil
	})
}

// TrustList returns the newest signed trust list.
func (s *Network) TrustList(ctx context.Context) (network.SignedTrustList, error) {
	var l network.SignedTrustList
	var sequence, expires int64
	var digest []byte
	err := s.db.read.QueryRowContext(ctx,
		"SELECT trust_stored, trust_digest, trust_expires, trust_list FROM network WHERE trust_stored IS NOT NULL").
		Scan(&sequence, &digest, &expires, &l.Compact)
	if err != nil {
		return network.SignedTrustList{}, missing("trust list", err)
	}
	if len(digest) != len(l.Digest) {
		return network.SignedTrustList{}, errors.New("sqlstore: the trust list is damaged")
	}
	l.Sequence, l.Digest, l.Expires = uint64(sequence), [32]byte(digest), time.Unix(expires, 0).UTC() //nolint:gosec // counts from 0
	return l, nil
}
