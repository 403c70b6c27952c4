package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// KeyOverlap is how long a key of the network stands on the trust list beside the one
// that replaced it: as long as anything that it signed may be shown, and a trust list
// that names it alone be held against it.
const KeyOverlap = trustLife + 10*day

// maxOwn is how many keys for one use stand on the trust list: those of all uses together
// have room there. Of more that were replaced, the first leave early, so that a key is
// replaced whenever people agree to it.
const maxOwn = verifier.MaxOwnKeys / 4

// maxAgreed is how many keys of an agency people can fill the trust list with. One place is
// left for the key that an agency gets whose keys were in other hands.
const maxAgreed = verifier.MaxKeys - 1

// SigningKey is a key that signs, or signed, for the network or for an agency.
type SigningKey struct {
	Use    string // as in package roster
	Agency string
	KeyID  string
	Signs  bool
	// Until is when a former key leaves the trust list; zero where nobody knows.
	Until time.Time
}

// ownUses are what stands on the trust list of the network's own keys.
var ownUses = []verifier.Use{verifier.UseStatus, verifier.UsePack, verifier.UseLog}

// SigningKeys lists the keys for trust lists, lists, packs and the log, and those of an
// agency if one is named: those first that sign now.
func (n *Network) SigningKeys(ctx context.Context, agency string) ([]SigningKey, error) {
	var all []SigningKey
	for _, use := range slices.Concat([]verifier.Use{useTrust}, ownUses) {
		keys, err := n.ownKeys(ctx, use)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	if agency == "" {
		return all, nil
	}
	a, err := n.Agency(ctx, agency)
	if err != nil {
		return nil, err
	}
	for i, k := range slices.Backward(a.Keys) {
		all = append(all, SigningKey{Use: roster.UseAgency, Agency: agency, KeyID: k.KeyID, Signs: i == len(a.Keys)-1 && !k.Revoked && k.Compromised == nil})
	}
	return all, nil
}

// useTrust is the use of the key that signs trust lists. It stands on none: the root
// names it beside them.
const useTrust verifier.Use = roster.UseTrust

// ownKeys are the keys of the network for a use that devices believe: the one that signs,
// and those that it replaced, for as long as they stand on the trust list.
func (n *Network) ownKeys(ctx context.Context, use verifier.Use) ([]SigningKey, error) {
	signs, err := n.signs(ctx, use)
	if err != nil {
		return nil, fmt.Errorf("find the %s key: %w", use, err)
	}
	state, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return nil, err
	}
	keys := []SigningKey{{Use: string(use), KeyID: signs, Signs: true}}
	if use == useTrust {
		return keys, nil // the root names one at a time
	}
	for _, c := range slices.Backward(state.Ceremonies) {
		until := time.Unix(c.At, 0).Add(KeyOverlap)
		if c.Use == string(use) && c.Before != signs && n.cfg.Now().Before(until) && len(keys) < maxOwn {
			keys = append(keys, SigningKey{Use: c.Use, KeyID: c.Before, Until: until})
		}
	}
	return keys, nil
}

// signs is the id of the key that signs for a use of the network's own.
func (n *Network) signs(ctx context.Context, use verifier.Use) (kid string, err error) {
	var s verifier.Signer
	switch use {
	case useTrust:
		s, err = n.cfg.Keys.Trust(ctx)
	case verifier.UseStatus:
		s, err = n.cfg.Keys.Status(ctx)
	case verifier.UsePack:
		s, err = n.cfg.Keys.Pack(ctx)
	case verifier.UseLog:
		notes, err := n.cfg.Keys.Notes(ctx)
		if err != nil || len(notes) == 0 {
			return "", errors.Join(errNoLogKey, err)
		}
		return notes[0].KeyID, nil
	default:
		err = errors.New("network: a use that there is no key for")
	}
	return s.KeyID, err
}

var errNoLogKey = errors.New("network: the keystore has no key of the log")

// LogKeys are the note verifier keys of the log that stand on the trust list: the one that
// signs first, then those that it replaced, for a time.
func (n *Network) LogKeys(ctx context.Context) (vkeys []string, err error) {
	listed, err := n.listedKeys(ctx, verifier.UseLog)
	for _, k := range listed {
		vkeys = append(vkeys, k.Note)
	}
	return vkeys, err
}

// listedKeys are ownKeys as they stand on the trust list. One that the keystore does not
// have any more is left out: nothing of it can be checked.
func (n *Network) listedKeys(ctx context.Context, use verifier.Use) ([]verifier.NetworkKey, error) {
	keys, err := n.ownKeys(ctx, use)
	if err != nil {
		return nil, err
	}
	known, err := n.knownKeys(ctx, use)
	if err != nil {
		return nil, fmt.Errorf("find the keys for %s: %w", use, err)
	}
	var listed []verifier.NetworkKey
	for _, k := range keys {
		if key, ok := known[k.KeyID]; ok {
			listed = append(listed, key)
		}
	}
	return listed, nil
}

// knownKeys are all keys for a use that the keystore has, by their ids, as they would
// stand on a trust list. Of the log's the note says all.
func (n *Network) knownKeys(ctx context.Context, use verifier.Use) (map[string]verifier.NetworkKey, error) {
	known := map[string]verifier.NetworkKey{}
	if use == verifier.UseLog {
		notes, err := n.cfg.Keys.Notes(ctx)
		for _, k := range notes {
			known[k.KeyID] = verifier.NetworkKey{Use: use, Note: k.Note}
		}
		return known, err
	}
	publics, err := n.cfg.Keys.Formers(ctx, use)
	if err != nil {
		return nil, err
	}
	for kid, public := range publics {
		jwk, err := jws.MarshalKey(public)
		if err != nil {
			return nil, fmt.Errorf("encode the key: %w", err)
		}
		known[kid] = verifier.NetworkKey{Use: use, KeyID: kid, JWK: jwk}
	}
	return known, nil
}

// Renew replaces the keys that two people agreed to replace. It is called by whoever
// publishes what names the new ones, right before that, and repeated without harm.
func (n *Network) Renew(ctx context.Context) error {
	state, err := n.cfg.Rights.State(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range state.Ceremonies {
		errs = append(errs, n.renew(ctx, c))
	}
	return errors.Join(errs...)
}

func (n *Network) renew(ctx context.Context, c roster.Ceremony) error {
	keys, err := n.SigningKeys(ctx, c.Agency)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k SigningKey) bool { return k.Signs && k.Use == c.Use && k.KeyID == c.Before }) {
		return nil // it was replaced, or taken off
	}
	if c.Use == roster.UseTrust && !n.rootAtHand(ctx) {
		return nil // it is replaced with the first publication, or by the ceremony, at which the root can name the new one
	}
	if c.Use == roster.UseAgency {
		_, err := n.rotateKey(ctx, audit.Actor{}, c.Agency, c.Before, maxAgreed)
		return err
	}
	// The roster's change was logged, and so will be the trust list that names the key.
	if err := n.cfg.Keys.RotateOwn(ctx, verifier.Use(c.Use), c.Before); err != nil {
		return fmt.Errorf("make the new key: %w", err)
	}
	return n.recordGeneration(ctx)
}

// NewKey is what the roster has to say for the key to be replaced that signs for a use
// now. ErrConflict while an agency has as many keys as people can fill the trust list with.
func (n *Network) NewKey(ctx context.Context, use, agency string) (*roster.NewKey, error) {
	keys, err := n.SigningKeys(ctx, agency)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(keys, func(k SigningKey) bool { return k.Signs && k.Use == use && k.Agency == cmp.Or(agency, k.Agency) })
	if i < 0 {
		return nil, ErrConflict
	}
	if use == roster.UseAgency {
		a, err := n.Agency(ctx, agency)
		if err == nil {
			err = n.makeRoom(ctx, &a, maxAgreed)
		}
		if err != nil {
			return nil, err
		}
	}
	return &roster.NewKey{Use: use, Agency: agency, Before: keys[i].KeyID}, nil
}
