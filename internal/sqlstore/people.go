package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/people"
)

// People is the people.Store.
type People struct{ db *DB }

var _ people.Store = (*People)(nil)

// People returns the store of the roster, which reads devices that wait as the store
// of the network writes them.
func (db *DB) People() *People { return &People{db} }

// WaitingDevice finds a device that waits by the hash of its bearer token.
func (p *People) WaitingDevice(ctx context.Context, hash [32]byte) (people.Device, error) {
	var d people.Device
	var stored []byte
	err := p.db.read.QueryRowContext(ctx, "SELECT id, agency_id, token, invited_by FROM enrolments WHERE token = $1", hash[:]).
		Scan(&d.ID, &d.Agency, &stored, &d.InvitedBy)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return people.Device{}, people.ErrNotFound
	case err != nil:
		return people.Device{}, fmt.Errorf("sqlstore: read device: %w", classify(err))
	case len(stored) != len(d.Token):
		return people.Device{}, errors.New("sqlstore: a device is damaged")
	}
	d.Token = [32]byte(stored)
	return d, nil
}
