package sqlstore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"

	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// sealedTable numbers the tables whose rows have seals. The numbers are kept: they
// stand in every head. Those that are missing were of rows that stand in bodies now.
type sealedTable byte

const (
	// 1 was what was issued, which stands in the bodies of cases.
	sealedPlace   sealedTable = 2
	sealedList    sealedTable = 3
	sealedErasure sealedTable = 8
	sealedNetwork sealedTable = 9
	sealedEpoch   sealedTable = 10
	sealedPack    sealedTable = 11

	sealedAgency     sealedTable = 13 // with its rows in agency_keys
	sealedInvitation sealedTable = 14
	sealedEnrolment  sealedTable = 15
	sealedRequest    sealedTable = 16
	sealedChange     sealedTable = 17 // the newest change of the roster
	sealedCount      sealedTable = 19
	sealedBond       sealedTable = 20
	sealedSession    sealedTable = 21
	sealedSize       sealedTable = 22 // how many leaves of the log have numbers
)

var sealedTables = map[sealedTable]string{
	sealedPlace: "status_entries", sealedList: "status_lists",
	sealedErasure: "erasures",
	sealedNetwork: "network", sealedEpoch: "epochs", sealedPack: "packs",
	sealedAgency: "agencies", sealedInvitation: "invitations", sealedEnrolment: "enrolments", sealedRequest: "requests",
	sealedChange: "roster_changes", sealedCount: "card_counts", sealedBond: "keyring_bond",
	sealedSession: "sessions", sealedSize: "log_size",
}

// String is the table's name.
func (t sealedTable) String() string { return sealedTables[t] }

// message is what a keyed hash is made of. Texts have their length in front of them,
// so that no two lists of fields give the same bytes.
type message []byte

func (m message) text(fields ...string) message {
	for _, f := range fields {
		m = binary.BigEndian.AppendUint32(m, uint32(len(f))) //nolint:gosec // fields are far below 4 GiB
		m = append(m, f...)
	}
	return m
}

func (m message) bytes(fields ...[]byte) message {
	for _, f := range fields {
		m = binary.BigEndian.AppendUint32(m, uint32(len(f))) //nolint:gosec // fields are far below 4 GiB
		m = append(m, f...)
	}
	return m
}

func (m message) number(fields ...int64) message {
	for _, f := range fields {
		m = binary.BigEndian.AppendUint64(m, uint64(f)) //nolint:gosec // its bits
	}
	return m
}

func (m message) flag(fields ...bool) message {
	for _, f := range fields {
		b := byte(0)
		if f {
			b = 1
		}
		m = append(m, b)
	}
	return m
}

// ofTable begins the message of a row with the table's name, so that a row of one is
// never taken for one of another.
func ofTable(t sealedTable, size int) message {
	return make(message, 0, 256+size).text("row", t.String())
}

// seal is the seal of a row of a table.
func (k *sealer) seal(t sealedTable, m message) (s seal) {
	s[0] = byte(t)
	copy(s[1:], k.macs.sum(m))
	return s
}

// listRow is a status list. How many of its places are used is a count that only
// says when the next one is opened.
type listRow struct {
	number          uint16
	closed, frozen  bool
	status, answers string
}

func (k *sealer) list(l listRow) seal {
	return k.seal(sealedList, ofTable(sealedList, 0).number(int64(l.number)).flag(l.closed, l.frozen).text(l.status, l.answers))
}

// networkRow is the one row of the network, with its newest trust list.
type networkRow struct {
	network.Record

	pack, trust int64                   // the last numbers that were given
	stored      sql.NullInt64           // of the trust list that is stored; NULL when none is
	list        network.SignedTrustList // that one
}

const selectNetwork = `SELECT id, name, base_url, desk, demo, generation, pack_sequence, trust_sequence,
	trust_stored, trust_digest, trust_expires, trust_list, trust_key FROM network`

func scanNetwork(row scanner) (n networkRow, err error) {
	var generation int64
	var expires sql.NullInt64
	var digest []byte
	var list sql.NullString
	var key string
	err = row.Scan(&n.ID, &n.Name, &n.BaseURL, &n.Desk, &n.Demo, &generation, &n.pack, &n.trust, &n.stored, &digest, &expires, &list, &key)
	if err != nil {
		return n, err
	}
	n.Generation = uint64(generation) //nolint:gosec // written from a uint64
	if n.stored.Valid {
		if len(digest) != len(n.list.Digest) {
			return n, errors.New("sqlstore: the trust list is damaged")
		}
		n.list = network.SignedTrustList{
			Sequence: uint64(n.stored.Int64), Digest: [32]byte(digest), Expires: time.Unix(expires.Int64, 0).UTC(), Compact: list.String, Key: key, //nolint:gosec // counts from 0
		}
	}
	return n, nil
}

func (k *sealer) network(n networkRow) seal {
	m := ofTable(sealedNetwork, 0).text(n.ID, n.Name, n.BaseURL, n.Desk).flag(n.Demo, n.stored.Valid).
		number(int64(n.Generation), n.pack, n.trust) //nolint:gosec // counts by hand
	if n.stored.Valid {
		m = m.number(n.stored.Int64, n.list.Expires.Unix()).bytes(n.list.Digest[:]).text(n.list.Compact).text(named(n.list.Key)...)
	}
	return k.seal(sealedNetwork, m)
}

func (k *sealer) epoch(e network.Epoch) seal {
	burned := optionalDay(e.BurnedAt)
	return k.seal(sealedEpoch, ofTable(sealedEpoch, 0).number(int64(e.ID), toDay(e.Created), toDay(e.SealFrom), toDay(e.EndsAt), burned.Int64).
		flag(burned.Valid, e.Reduced, e.Keys != nil).bytes(e.Keys))
}

func (k *sealer) pack(sequence int64, lists verifier.Lists) seal {
	return k.seal(sealedPack, ofTable(sealedPack, 0).number(sequence).text(lists.TrustList, lists.Pack).text(named(lists.TrustKey)...))
}

// named is the statement beside a trust list, as it stands at the end of a row: one that
// has none is sealed as before there were any.
func named(key string) []string {
	if key == "" {
		return nil
	}
	return []string{key}
}

// agency is the seal of an agency's keys, in their order.
func (k *sealer) agency(a keyedAgency) seal {
	m := ofTable(sealedAgency, 512*len(a.Keys)).text(a.Agency).number(a.Version, int64(len(a.Keys)))
	for i, key := range a.Keys {
		m = m.text(key.KeyID).number(toDay(key.From), toDay(key.To)).flag(key.Revoked, a.stolen[i] != nil).bytes(key.JWK, a.stolen[i])
	}
	return k.seal(sealedAgency, m)
}

// change is the seal of the newest change of the roster. Those before are named by the
// one behind them.
func (k *sealer) change(seq int64, change []byte) seal {
	digest := sha256.Sum256(change)
	return k.seal(sealedChange, ofTable(sealedChange, 0).number(seq).bytes(digest[:]))
}

func (k *sealer) bond(b Bond) seal {
	return k.seal(sealedBond, ofTable(sealedBond, 0).text(b.ID).number(int64(b.Changes))) //nolint:gosec // counts by hand
}
