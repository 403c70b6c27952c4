package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/network"
)

// invitationSays is what the box of an invitation holds.
type invitationSays struct {
	ID        string `cbor:"1,keyasint"`
	Agency    string `cbor:"2,keyasint"`
	Label     string `cbor:"3,keyasint"`
	Secret    []byte `cbor:"4,keyasint"` // the hash of it
	InvitedBy string `cbor:"5,keyasint"`
	Expires   int64  `cbor:"6,keyasint"` // seconds
	Used      bool   `cbor:"7,keyasint,omitempty"`
}

func invitationOf(i network.Invitation) invitationSays {
	return invitationSays{i.ID, i.Agency, i.Label, i.Secret[:], i.InvitedBy, i.Expires.Unix(), i.Used}
}

func (says invitationSays) invitation(r boxedRow) (network.Invitation, error) {
	if len(says.Secret) != len(network.Invitation{}.Secret) {
		return network.Invitation{}, invitationRows.untrue(r)
	}
	return network.Invitation{
		ID: says.ID, Agency: says.Agency, Label: says.Label, Secret: [32]byte(says.Secret),
		InvitedBy: says.InvitedBy, Expires: time.Unix(says.Expires, 0).UTC(), Used: says.Used,
	}, nil
}

func ofInvitation(k *sealer, id string) name { return k.name("invitation", id) }

func ofSecret(k *sealer, secret [32]byte) name {
	return k.name("invitation's secret", string(secret[:]))
}

// AddInvitation writes an invitation.
func (s *Network) AddInvitation(ctx context.Context, i network.Invitation, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		secret := ofSecret(h.sealer, i.Secret)
		err := invitationRows.add(ctx, tx, h, ofInvitation(h.sealer, i.ID), secret[:], invitationOf(i))
		if isTaken(err) {
			return network.ErrExists
		}
		return err
	})
}

// Invitation finds an invitation by the hash of its secret.
func (s *Network) Invitation(ctx context.Context, secret [32]byte) (i network.Invitation, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		var says invitationSays
		r, found, err := invitationRows.getAlso(ctx, h, ofSecret(h.sealer, secret), &says)
		switch {
		case err != nil:
			return err
		case !found:
			return network.ErrNotFound
		}
		i, err = says.invitation(r)
		return err
	})
	return i, strangers(sealedInvitation, err, network.ErrNotFound)
}

// enrolmentSays is what the box of a device holds that nobody has let in yet.
type enrolmentSays struct {
	ID         string `cbor:"1,keyasint"`
	Agency     string `cbor:"2,keyasint"`
	Label      string `cbor:"3,keyasint"`
	Recipient  []byte `cbor:"4,keyasint"`
	Token      []byte `cbor:"5,keyasint"` // the hash of it
	InvitedBy  string `cbor:"6,keyasint"`
	Invitation string `cbor:"7,keyasint"`
	Tries      int64  `cbor:"8,keyasint,omitempty"` // how often symbols were typed
	Day        int64  `cbor:"9,keyasint"`           // on which it began to wait
}

func (says enrolmentSays) device(r boxedRow) (network.Device, error) {
	if len(says.Token) != len(network.Device{}.Token) {
		return network.Device{}, enrolmentRows.untrue(r)
	}
	return network.Device{
		ID: says.ID, Agency: says.Agency, Label: says.Label, Recipient: says.Recipient, Token: [32]byte(says.Token),
		InvitedBy: says.InvitedBy, Pending: true,
	}, nil
}

func ofWaiting(k *sealer, device string) name { return k.name("device that waits", device) }

func ofToken(k *sealer, token [32]byte) name { return k.name("token that waits", string(token[:])) }

// EnrolDevice uses an invitation up and writes a pending device. Of two that come at
// once the second waits for the first, and then finds it used.
func (s *Network) EnrolDevice(ctx context.Context, invitation string, now time.Time, d network.Device, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		var i invitationSays
		r, found, err := invitationRows.get(ctx, h, ofInvitation(h.sealer, invitation), &i)
		switch {
		case err != nil:
			return err
		case !found, i.Used, i.Expires <= now.Unix():
			return network.ErrConflict
		}
		i.Used = true
		if err := invitationRows.replace(ctx, tx, h, r, r.also, i); err != nil {
			return err
		}
		token := ofToken(h.sealer, d.Token)
		err = enrolmentRows.add(ctx, tx, h, ofWaiting(h.sealer, d.ID), token[:], enrolmentSays{
			ID: d.ID, Agency: d.Agency, Label: d.Label, Recipient: d.Recipient, Token: d.Token[:], InvitedBy: d.InvitedBy,
			Invitation: i.ID, Day: toDay(now),
		})
		if isTaken(err) {
			return network.ErrExists
		}
		return err
	})
}

// waitingIn reads a device that waits in order to change it: network.ErrConflict if it
// does not wait.
func waitingIn(ctx context.Context, h *heads, device string) (r boxedRow, says enrolmentSays, err error) {
	r, found, err := enrolmentRows.get(ctx, h, ofWaiting(h.sealer, device), &says)
	if err == nil && !found {
		err = network.ErrConflict
	}
	return r, says, err
}

// TryApproval counts a try to approve a pending device.
func (s *Network) TryApproval(ctx context.Context, device string) (try int, err error) {
	err = s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		r, says, err := waitingIn(ctx, h, device)
		if err != nil {
			return err
		}
		says.Tries++
		try = int(says.Tries)
		return enrolmentRows.replace(ctx, tx, h, r, r.also, says)
	})
	return try, err
}

// EndWaiting forgets a device that waits.
func (s *Network) EndWaiting(ctx context.Context, device string, log ...audit.Entry) error {
	return s.db.change(ctx, log, func(tx *sql.Tx, h *heads) error {
		r, _, err := waitingIn(ctx, h, device)
		if err != nil {
			return err
		}
		return enrolmentRows.remove(ctx, tx, h, r)
	})
}

// SweepWaiting forgets invitations that are over, and devices that have waited since
// before a day.
func (s *Network) SweepWaiting(ctx context.Context, now, since time.Time) error {
	return s.db.sealed(ctx, func(tx *sql.Tx, h *heads) error {
		err := every(ctx, h, enrolmentRows, func(r boxedRow, says enrolmentSays) error {
			if says.Day >= toDay(since) {
				return nil
			}
			return enrolmentRows.remove(ctx, tx, h, r)
		})
		if err != nil {
			return err
		}
		return every(ctx, h, invitationRows, func(r boxedRow, says invitationSays) error {
			if says.Expires > now.Unix() {
				return nil
			}
			return invitationRows.remove(ctx, tx, h, r)
		})
	})
}

// Device returns a device that waits.
func (s *Network) Device(ctx context.Context, id string) (network.Device, error) {
	return s.enrolment(ctx, func(h *heads, says *enrolmentSays) (boxedRow, bool, error) {
		return enrolmentRows.get(ctx, h, ofWaiting(h.sealer, id), says)
	})
}

// withToken returns the device that waits and has a token, by the hash of that.
func (s *Network) withToken(ctx context.Context, hash [32]byte) (network.Device, error) {
	return s.enrolment(ctx, func(h *heads, says *enrolmentSays) (boxedRow, bool, error) {
		return enrolmentRows.getAlso(ctx, h, ofToken(h.sealer, hash), says)
	})
}

func (s *Network) enrolment(ctx context.Context, get func(*heads, *enrolmentSays) (boxedRow, bool, error)) (d network.Device, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		var says enrolmentSays
		r, found, err := get(h, &says)
		switch {
		case err != nil:
			return err
		case !found:
			return network.ErrNotFound
		}
		d, err = says.device(r)
		return err
	})
	return d, err
}

// Devices lists an agency's devices that wait, or all of them. None is missing.
func (s *Network) Devices(ctx context.Context, agency string) (all []network.Device, err error) {
	err = s.db.believed(ctx, func(h *heads) error {
		all = nil
		return every(ctx, h, enrolmentRows, func(r boxedRow, says enrolmentSays) error {
			d, err := says.device(r)
			if err == nil && (agency == "" || d.Agency == agency) {
				all = append(all, d)
			}
			return err
		})
	})
	slices.SortFunc(all, func(a, b network.Device) int { return strings.Compare(a.ID, b.ID) })
	return all, err
}
