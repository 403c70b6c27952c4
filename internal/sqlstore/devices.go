package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
)

// AddInvitation writes an invitation.
func (s *Network) AddInvitation(ctx context.Context, i network.Invitation, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO invitations
			(id, agency_id, label, secret, invited_by, expires, used) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			i.ID, i.Agency, i.Label, i.Secret[:], i.InvitedBy, i.Expires.Unix(), i.Used)
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write invitation: %w", err)
		}
		return nil
	})
}

// Invitation finds an invitation by the hash of its secret.
func (s *Network) Invitation(ctx context.Context, secret [32]byte) (network.Invitation, error) {
	i := network.Invitation{Secret: secret}
	var expires int64
	err := s.db.read.QueryRowContext(ctx,
		"SELECT id, agency_id, label, invited_by, expires, used FROM invitations WHERE secret = $1", secret[:]).
		Scan(&i.ID, &i.Agency, &i.Label, &i.InvitedBy, &expires, &i.Used)
	if err != nil {
		return network.Invitation{}, missing("invitation", err)
	}
	i.Expires = time.Unix(expires, 0).UTC()
	return i, nil
}

// EnrolDevice uses an invitation up and writes a pending device.
func (s *Network) EnrolDevice(ctx context.Context, invitation string, now time.Time, d network.Device, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
		// Of two that come at once the second waits for the first and then finds
		// no row: the invitation is used by whoever changes it.
		res, err := tx.ExecContext(ctx,
			"UPDATE invitations SET used = TRUE WHERE id = $1 AND NOT used AND expires > $2", invitation, now.Unix())
		if err := mustChange(res, err, network.ErrConflict); err != nil {
			return fmt.Errorf("sqlstore: use invitation: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO enrolments
			(id, agency_id, label, recipient, token, invited_by, invitation_id, tries) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
			d.ID, d.Agency, d.Label, d.Recipient, d.Token[:], d.InvitedBy, invitation)
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write device: %w", err)
		}
		return nil
	})
}

// TryApproval counts a try to approve a pending device.
func (s *Network) TryApproval(ctx context.Context, device string) (try int, err error) {
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx,
			"UPDATE enrolments SET tries = tries + 1 WHERE id = $1 RETURNING tries", device).Scan(&try)
		if errors.Is(err, sql.ErrNoRows) {
			return network.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlstore: count try: %w", err)
		}
		return nil
	})
	return try, err
}

// ApproveDevice ends a device's waiting.
func (s *Network) ApproveDevice(ctx context.Context, device string, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error { return endWaiting(ctx, tx, device, false) })
}

// endWaiting moves a device from those that wait to those that are in or out.
func endWaiting(ctx context.Context, tx *sql.Tx, device string, revoked bool) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO devices (id, agency_id, label, recipient, token, revoked, invited_by)
		SELECT id, agency_id, label, recipient, token, $1, invited_by FROM enrolments WHERE id = $2`, revoked, device)
	if isTaken(err) {
		return network.ErrConflict // somebody else has just moved it
	}
	if err := mustChange(res, err, network.ErrConflict); err != nil {
		return fmt.Errorf("sqlstore: write device: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM enrolments WHERE id = $1", device); err != nil {
		return fmt.Errorf("sqlstore: write device: %w", err)
	}
	return nil
}

// RevokeDevice ends a device's access.
func (s *Network) RevokeDevice(ctx context.Context, id string, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE devices SET revoked = TRUE WHERE id = $1 AND NOT revoked", id)
		err = mustChange(res, err, network.ErrNotFound)
		if errors.Is(err, network.ErrNotFound) {
			return endWaiting(ctx, tx, id, true)
		}
		if err != nil {
			return fmt.Errorf("sqlstore: revoke device: %w", err)
		}
		return nil
	})
}

// selectDevices knows those that wait and those that do not as one.
const selectDevices = `SELECT id, agency_id, label, recipient, token, invited_by, pending, revoked FROM (
	SELECT id, agency_id, label, recipient, token, COALESCE(invited_by, '') AS invited_by, FALSE AS pending, revoked FROM devices
	UNION ALL
	SELECT id, agency_id, label, recipient, token, invited_by, TRUE, FALSE FROM enrolments) AS d `

// Device returns a device.
func (s *Network) Device(ctx context.Context, id string) (network.Device, error) {
	return one(s.devices(ctx, selectDevices+"WHERE id = $1", id))
}

// Devices lists an agency's devices, or all of them.
func (s *Network) Devices(ctx context.Context, agency string) ([]network.Device, error) {
	if agency == "" {
		return s.devices(ctx, selectDevices+"ORDER BY id")
	}
	return s.devices(ctx, selectDevices+"WHERE agency_id = $1 ORDER BY id", agency)
}

func (s *Network) devices(ctx context.Context, query string, args ...any) ([]network.Device, error) {
	rows, err := s.db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read devices: %w", classify(err))
	}
	var all []network.Device
	err = each(rows, func() error {
		var d network.Device
		var token []byte
		if err := rows.Scan(&d.ID, &d.Agency, &d.Label, &d.Recipient, &token, &d.InvitedBy, &d.Pending, &d.Revoked); err != nil {
			return err
		}
		if len(token) != len(d.Token) {
			return errors.New("sqlstore: a device is damaged")
		}
		d.Token = [32]byte(token)
		all = append(all, d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: read devices: %w", classify(err))
	}
	return all, nil
}
