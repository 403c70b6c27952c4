package sqlstore

import (
	"context"
	"errors"

	"github.com/safeconduct/safeconduct/network"
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
	e, err := p.db.Network().withToken(ctx, hash)
	err = strangers(sealedEnrolment, err, network.ErrNotFound)
	switch {
	case errors.Is(err, network.ErrNotFound):
		return people.Device{}, people.ErrNotFound
	case err != nil:
		return people.Device{}, err
	}
	return people.Device{ID: e.ID, Agency: e.Agency, Token: e.Token, InvitedBy: e.InvitedBy}, nil
}
