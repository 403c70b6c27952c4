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
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO invitations
			(id, agency_id, label, secret, invited_by, expires, used) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			i.ID, i.Agency, i.Label, i.Secret[:], i.InvitedBy, i.Expires.Unix(), i.Used)
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write invitation: %w", err)
		}
		of, err := h.of(ctx, ofWaiting)
		if err == nil {
			of.put(h.invitation(i))
		}
		return err
	})
}

const selectInvitations = "SELECT id, agency_id, label, secret, invited_by, expires, used FROM invitations "

func scanInvitation(row scanner) (i network.Invitation, err error) {
	var secret []byte
	var expires int64
	if err := row.Scan(&i.ID, &i.Agency, &i.Label, &secret, &i.InvitedBy, &expires, &i.Used); err != nil {
		return i, err
	}
	if len(secret) != len(i.Secret) {
		return i, &SealError{sealedInvitation.String(), i.ID}
	}
	i.Secret, i.Expires = [32]byte(secret), time.Unix(expires, 0).UTC()
	return i, nil
}

// Invitation finds an invitation by the hash of its secret.
func (s *Network) Invitation(ctx context.Context, secret [32]byte) (i network.Invitation, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		i, err = invitationIn(ctx, h.q, h, "WHERE secret = $1", secret[:])
		return err
	})
	return i, strangers(sealedInvitation, err, network.ErrNotFound)
}

func invitationIn(ctx context.Context, q querier, h *heads, where string, arg any) (network.Invitation, error) {
	i, err := scanInvitation(q.QueryRowContext(ctx, selectInvitations+where, arg))
	if err != nil {
		return network.Invitation{}, missing("invitation", err)
	}
	of, err := h.of(ctx, ofWaiting)
	if err == nil && !of.has(h.invitation(i)) {
		err = &SealError{sealedInvitation.String(), i.ID}
	}
	if err != nil {
		return network.Invitation{}, err
	}
	return i, nil
}

// enrolment is a device that nobody has let in yet.
type enrolment struct {
	network.Device

	invitation string
	tries, day int64
}

const selectEnrolments = "SELECT id, agency_id, label, recipient, token, invited_by, invitation_id, tries, day FROM enrolments "

func scanEnrolment(row scanner) (e enrolment, err error) {
	var token []byte
	if err := row.Scan(&e.ID, &e.Agency, &e.Label, &e.Recipient, &token, &e.InvitedBy, &e.invitation, &e.tries, &e.day); err != nil {
		return e, err
	}
	if len(token) != len(e.Token) {
		return e, &SealError{sealedEnrolment.String(), e.ID}
	}
	e.Token, e.Pending = [32]byte(token), true
	return e, nil
}

// EnrolDevice uses an invitation up and writes a pending device. Of two that come at
// once the second waits for the first, and then finds it used.
func (s *Network) EnrolDevice(ctx context.Context, invitation string, now time.Time, d network.Device, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		i, err := invitationIn(ctx, tx, h, "WHERE id = $1", invitation)
		switch {
		case errors.Is(err, network.ErrNotFound):
			return network.ErrConflict
		case err != nil:
			return err
		case i.Used || i.Expires.Unix() <= now.Unix():
			return network.ErrConflict
		}
		of, err := h.of(ctx, ofWaiting)
		if err != nil {
			return err
		}
		if err := of.take(h.invitation(i), i.ID); err != nil {
			return err
		}
		i.Used = true
		of.put(h.invitation(i))
		if _, err := tx.ExecContext(ctx, "UPDATE invitations SET used = TRUE WHERE id = $1", i.ID); err != nil {
			return fmt.Errorf("sqlstore: use invitation: %w", err)
		}
		e := enrolment{Device: d, invitation: i.ID, day: toDay(now)}
		_, err = tx.ExecContext(ctx, `INSERT INTO enrolments
			(id, agency_id, label, recipient, token, invited_by, invitation_id, tries, day) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			e.ID, e.Agency, e.Label, e.Recipient, e.Token[:], e.InvitedBy, e.invitation, e.tries, e.day)
		if isTaken(err) {
			return network.ErrExists
		}
		if err != nil {
			return fmt.Errorf("sqlstore: write device: %w", err)
		}
		of.put(h.enrolment(e))
		return nil
	})
}

// enrolmentIn reads a device that waits. network.ErrNotFound if it does not.
func enrolmentIn(ctx context.Context, q querier, h *heads, where string, arg any) (enrolment, error) {
	e, err := scanEnrolment(q.QueryRowContext(ctx, selectEnrolments+where, arg))
	if err != nil {
		if err = missing("device", err); errors.Is(err, network.ErrNotFound) {
			err = h.absent(ctx, ofWaiting, err)
		}
		return enrolment{}, err
	}
	of, err := h.of(ctx, ofWaiting)
	if err == nil && !of.has(h.enrolment(e)) {
		err = &SealError{sealedEnrolment.String(), e.ID}
	}
	if err != nil {
		return enrolment{}, err
	}
	return e, nil
}

// changeWaiting reads a device that waits in order to change it: network.ErrConflict if
// it does not wait.
func changeWaiting(ctx context.Context, tx *sql.Tx, h *heads, device string) (of *head, e enrolment, err error) {
	e, err = enrolmentIn(ctx, tx, h, "WHERE id = $1", device)
	if errors.Is(err, network.ErrNotFound) {
		return nil, e, network.ErrConflict
	}
	if err != nil {
		return nil, e, err
	}
	if of, err = h.of(ctx, ofWaiting); err != nil {
		return nil, e, err
	}
	return of, e, of.take(h.enrolment(e), e.ID)
}

// TryApproval counts a try to approve a pending device.
func (s *Network) TryApproval(ctx context.Context, device string) (try int, err error) {
	err = s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		of, e, err := changeWaiting(ctx, tx, h, device)
		if err != nil {
			return err
		}
		e.tries++
		try = int(e.tries)
		of.put(h.enrolment(e))
		if _, err := tx.ExecContext(ctx, "UPDATE enrolments SET tries = $1 WHERE id = $2", e.tries, e.ID); err != nil {
			return fmt.Errorf("sqlstore: count try: %w", err)
		}
		return nil
	})
	return try, err
}

// EndWaiting forgets a device that waits.
func (s *Network) EndWaiting(ctx context.Context, device string, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		_, e, err := changeWaiting(ctx, tx, h, device)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM enrolments WHERE id = $1", e.ID); err != nil {
			return fmt.Errorf("sqlstore: end a device's waiting: %w", err)
		}
		return nil
	})
}

// SweepWaiting forgets invitations that are over, and devices that have waited since
// before a day.
func (s *Network) SweepWaiting(ctx context.Context, now, since time.Time) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		of, err := h.of(ctx, ofWaiting)
		if err != nil {
			return err
		}
		waited, err := list(ctx, tx, scanEnrolment, selectEnrolments+"WHERE day < $1", toDay(since))
		if err != nil {
			return err
		}
		for _, e := range waited {
			if err := of.take(h.enrolment(e), e.ID); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM enrolments WHERE id = $1", e.ID); err != nil {
				return fmt.Errorf("sqlstore: sweep devices: %w", err)
			}
		}
		over, err := list(ctx, tx, scanInvitation, selectInvitations+"WHERE expires <= $1", now.Unix())
		if err != nil {
			return err
		}
		for _, i := range over {
			if err := of.take(h.invitation(i), i.ID); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM invitations WHERE id = $1", i.ID); err != nil {
				return fmt.Errorf("sqlstore: sweep invitations: %w", err)
			}
		}
		return nil
	})
}

// Device returns a device that waits.
func (s *Network) Device(ctx context.Context, id string) (d network.Device, err error) {
	e, err := s.enrolment(ctx, "WHERE id = $1", id)
	return e.Device, err
}

func (s *Network) enrolment(ctx context.Context, where string, arg any) (e enrolment, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		e, err = enrolmentIn(ctx, h.q, h, where, arg)
		return err
	})
	return e, err
}

// Devices lists an agency's devices that wait, or all of them. None is missing.
func (s *Network) Devices(ctx context.Context, agency string) (all []network.Device, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		all = nil
		waiting, err := list(ctx, h.q, scanEnrolment, selectEnrolments+"ORDER BY id")
		if err != nil {
			return fmt.Errorf("sqlstore: read devices: %w", err)
		}
		of, err := h.of(ctx, ofWaiting)
		if err != nil {
			return err
		}
		for _, e := range waiting {
			if !of.has(h.enrolment(e)) {
				return &SealError{sealedEnrolment.String(), e.ID}
			}
			if agency == "" || e.Agency == agency {
				all = append(all, e.Device)
			}
		}
		if of.count(sealedEnrolment) != len(waiting) {
			return &SealError{"rows of", sealedEnrolment.String()}
		}
		return nil
	})
	return all, err
}
