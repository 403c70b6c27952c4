package signer

import (
	"context"
	"sync"

	"github.com/safeconduct/safeconduct/credentials/mask"
)

// places is what a guard knows of the places of status lists beside what the lists say.
type places struct {
	mu     sync.Mutex
	decoys map[uint16]*mask.Decoys // of the lists that were asked about; they never change
}

// decoys are those of a list.
func (g *Guard) decoys(ctx context.Context, list uint16) (*mask.Decoys, error) {
	g.places.mu.Lock()
	d := g.places.decoys[list]
	g.places.mu.Unlock()
	if d != nil {
		return d, nil
	}
	key, err := g.Decoys(ctx, list)
	if err != nil {
		return nil, err
	}
	if d, err = mask.New(key); err != nil {
		return nil, err
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	if g.places.decoys == nil {
		g.places.decoys = map[uint16]*mask.Decoys{}
	}
	g.places.decoys[list] = d
	return d, nil
}

// free refuses to sign anything at a place of a decoy, which may change without a
// reason.
func (g *Guard) free(ctx context.Context, list uint16, index uint32) error {
	d, err := g.decoys(ctx, list)
	if err == nil && d.Has(index) {
		err = refuse("its place is a decoy's")
	}
	return err
}
