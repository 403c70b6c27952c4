package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/people"
)

// People is the people.Store.
type People struct{ db *DB }

var _ people.Store = (*People)(nil)

// People returns the store of the members, which reads agencies and devices as
// the store of the network writes them.
func (db *DB) People() *People { return &People{db} }

func insertMember(ctx context.Context, tx *sql.Tx, m people.Member) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO members (id, agency_id, role, token, revoked) VALUES ($1, $2, $3, $4, $5)",
		m.ID, optional(m.Agency), string(m.Role), m.Token[:], m.Revoked)
	if isTaken(err) {
		return people.ErrExists
	}
	if err != nil {
		return fmt.Errorf("sqlstore: write member: %w", err)
	}
	return nil
}

// AddMember writes a member.
func (p *People) AddMember(ctx context.Context, m people.Member, log ...audit.Entry) error {
	return p.db.change(ctx, log, func(tx *sql.Tx) error { return insertMember(ctx, tx, m) })
}

// RevokeMember ends a member's access.
func (p *People) RevokeMember(ctx context.Context, id string, log ...audit.Entry) error {
	return p.db.change(ctx, log, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE members SET revoked = TRUE WHERE id = $1 AND NOT revoked", id)
		if err := mustChange(res, err, people.ErrConflict); err != nil {
			return fmt.Errorf("sqlstore: revoke member: %w", err)
		}
		return nil
	})
}

const selectMembers = "SELECT id, agency_id, role, token, revoked FROM members "

// Member returns a member.
func (p *People) Member(ctx context.Context, id string) (people.Member, error) {
	return p.member(ctx, selectMembers+"WHERE id = $1", id)
}

// MemberByToken finds a member by the hash of a bearer token.
func (p *People) MemberByToken(ctx context.Context, hash [32]byte) (people.Member, error) {
	return p.member(ctx, selectMembers+"WHERE token = $1", hash[:])
}

// Members lists an agency's members, or the operators.
func (p *People) Members(ctx context.Context, agency string) ([]people.Member, error) {
	return p.members(ctx, selectMembers+"WHERE COALESCE(agency_id, '') = $1 ORDER BY id", agency)
}

// member finds one by a unique column.
func (p *People) member(ctx context.Context, query string, arg any) (people.Member, error) {
	all, err := p.members(ctx, query, arg)
	switch {
	case err != nil:
		return people.Member{}, err
	case len(all) == 0:
		return people.Member{}, people.ErrNotFound
	default:
		return all[0], nil
	}
}

func (p *People) members(ctx context.Context, query string, arg any) ([]people.Member, error) {
	rows, err := p.db.read.QueryContext(ctx, query, arg)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read members: %w", classify(err))
	}
	var all []people.Member
	err = each(rows, func() error {
		var m people.Member
		var agency sql.NullString
		var hash []byte
		if err := rows.Scan(&m.ID, &agency, &m.Role, &hash, &m.Revoked); err != nil {
			return err
		}
		if len(hash) != len(m.Token) {
			return errors.New("sqlstore: a member is damaged")
		}
		m.Agency, m.Token = agency.String, [32]byte(hash)
		all = append(all, m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read members: %w", classify(err))
	}
	return all, nil
}

// Agency returns what people have to know of an agency.
func (p *People) Agency(ctx context.Context, id string) (people.Agency, error) {
	var a people.Agency
	err := p.db.read.QueryRowContext(ctx, "SELECT class, suspended FROM agencies WHERE id = $1", id).Scan(&a.Class, &a.Suspended)
	if err != nil {
		return people.Agency{}, noPerson("agency", err)
	}
	return a, nil
}

// DeviceByToken finds a device by the hash of its bearer token.
func (p *People) DeviceByToken(ctx context.Context, hash [32]byte) (people.Device, error) {
	var d people.Device
	var stored []byte
	err := p.db.read.QueryRowContext(ctx, `SELECT id, agency_id, token, COALESCE(invited_by, ''), FALSE, revoked FROM devices WHERE token = $1
		UNION ALL SELECT id, agency_id, token, invited_by, TRUE, FALSE FROM enrolments WHERE token = $1`, hash[:]).
		Scan(&d.ID, &d.Agency, &stored, &d.InvitedBy, &d.Pending, &d.Revoked)
	switch {
	case err != nil:
		return people.Device{}, noPerson("device", err)
	case len(stored) != len(d.Token):
		return people.Device{}, errors.New("sqlstore: a device is damaged")
	}
	d.Token = [32]byte(stored)
	return d, nil
}

// noPerson turns the absence of a row into people.ErrNotFound.
func noPerson(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return people.ErrNotFound
	}
	return fmt.Errorf("sqlstore: read %s: %w", what, classify(err))
}
