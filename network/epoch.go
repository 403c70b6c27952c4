package network

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/verifier"
)

// The life of an epoch (docs/card.md, Epochs, and what each side has). An
// epoch seals for 30 days; a card is valid for at most 180 days and never
// longer than its epoch lives. So an epoch lives for 210 days after its first
// card, and of epochs that start every 30 days seven live at a time.
const (
	sealingPeriod = 30 * day
	cardLife      = 180 * day
	epochLife     = sealingPeriod + cardLife
	// leadTime is how long an epoch's keys are in every envelope before the
	// first card is sealed to it: a lease and a week.
	leadTime = 14 * day
	// recognitionPeriod is how long devices recognise the cards of a closed epoch.
	recognitionPeriod = 2 * 365 * day
)

// EpochState is where an epoch stands in its life.
type EpochState string

// The states of an epoch.
const (
	EpochNext   EpochState = "next"   // its keys are out, no card is sealed to it yet
	EpochLive   EpochState = "live"   // its cards open
	EpochEnded  EpochState = "ended"  // over; its cards are recognised only
	EpochBurned EpochState = "burned" // its keys were stolen; its cards are recognised only
)

// Epoch is one epoch as a store keeps it. All dates are midnight UTC.
type Epoch struct {
	ID       uint32 // random; implies no date
	Keys     []byte // ciphertext; nil when devices need not recognise its cards any more
	Created  time.Time
	SealFrom time.Time
	EndsAt   time.Time
	BurnedAt time.Time // zero unless burned
	// Reduced says that Keys holds the recognition key alone.
	Reduced bool
}

// State tells where the epoch stands at a moment.
func (e Epoch) State(now time.Time) EpochState {
	switch {
	case !e.BurnedAt.IsZero():
		return EpochBurned
	case !now.Before(e.EndsAt):
		return EpochEnded
	case now.Before(e.SealFrom):
		return EpochNext
	default:
		return EpochLive
	}
}

// closedAt is when an ended or burned epoch was over.
func (e Epoch) closedAt() time.Time {
	if !e.BurnedAt.IsZero() {
		return e.BurnedAt
	}
	return e.EndsAt
}

// epochKeys is what Epoch.Keys encrypts. A reduced one has the tag key alone.
type epochKeys struct {
	Tag     []byte `json:"tag"`
	Net     []byte `json:"net,omitempty"`
	Private []byte `json:"private,omitempty"` // X25519
}

// newEpoch makes an epoch with fresh keys that seals from a day on.
func (n *Network) newEpoch(ctx context.Context, taken []Epoch, sealFrom time.Time) (Epoch, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Epoch{}, fmt.Errorf("make epoch keys: %w", err)
	}
	keys := epochKeys{Tag: make([]byte, 32), Net: make([]byte, 32), Private: private.Bytes()}
	_, _ = rand.Read(keys.Tag) // never returns an error
	_, _ = rand.Read(keys.Net)
	e := Epoch{ID: newEpochID(taken), Created: n.today(), SealFrom: sealFrom, EndsAt: sealFrom.Add(epochLife)}
	return n.wrap(ctx, e, keys)
}

// newEpochID draws an id that no other epoch has. It is never zero, which would
// look like an id that was forgotten.
func newEpochID(taken []Epoch) uint32 {
	for {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never returns an error
		id := binary.BigEndian.Uint32(b[:])
		if id != 0 && !slices.ContainsFunc(taken, func(e Epoch) bool { return e.ID == id }) {
			return id
		}
	}
}

func (n *Network) wrap(ctx context.Context, e Epoch, keys epochKeys) (Epoch, error) {
	plain, err := json.Marshal(keys)
	if err != nil {
		return Epoch{}, fmt.Errorf("encode epoch keys: %w", err)
	}
	defer clear(plain)
	if e.Keys, err = n.cfg.Keys.WrapEpoch(ctx, e.ID, plain); err != nil {
		return Epoch{}, fmt.Errorf("wrap epoch keys: %w", err)
	}
	return e, nil
}

func (n *Network) unwrap(ctx context.Context, e Epoch) (epochKeys, error) {
	plain, err := n.cfg.Keys.UnwrapEpoch(ctx, e.ID, e.Keys)
	if err != nil {
		return epochKeys{}, fmt.Errorf("open epoch keys: %w", err)
	}
	defer clear(plain)
	var keys epochKeys
	if err := strictjson.Unmarshal(plain, strictjson.Limits{}, &keys); err != nil {
		return epochKeys{}, fmt.Errorf("read epoch keys: %w", err)
	}
	return keys, nil
}

// firstEpochs makes an epoch that seals at once, and the next one. The first has
// no lead time. In a new network that harms nobody, for no device has an envelope
// without it. After a burn it is the price.
func (n *Network) firstEpochs(ctx context.Context, taken []Epoch) ([]Epoch, error) {
	first, err := n.newEpoch(ctx, taken, n.today())
	if err != nil {
		return nil, err
	}
	next, err := n.newEpoch(ctx, append(slices.Clip(taken), first), n.today().Add(sealingPeriod))
	if err != nil {
		return nil, err
	}
	return []Epoch{first, next}, nil
}

// Turn rotates the epochs: it makes the next one when the last has begun to seal,
// and destroys the keys of those that are over. It does nothing when it is called
// again the same day. Run it daily, and at every start.
func (n *Network) Turn(ctx context.Context) error {
	epochs, err := n.cfg.Store.Epochs(ctx)
	if err != nil {
		return fmt.Errorf("read epochs: %w", err)
	}
	add, err := n.missingEpochs(ctx, epochs)
	if err != nil {
		return err
	}
	replace, err := n.retireKeys(ctx, epochs)
	if err != nil {
		return err
	}
	return n.changeEpochs(ctx, audit.Actor{}, "epoch.turn", len(epochs), add, replace)
}

// missingEpochs makes the epochs that today asks for and that are not there.
func (n *Network) missingEpochs(ctx context.Context, epochs []Epoch) ([]Epoch, error) {
	now := n.cfg.Now()
	if slices.ContainsFunc(epochs, func(e Epoch) bool { return e.State(now) == EpochNext }) {
		return nil, nil
	}
	i := sealingEpoch(epochs, now)
	if i < 0 {
		return n.firstEpochs(ctx, epochs)
	}
	// A service that was down may be late. The lead time is kept all the same.
	sealFrom := later(epochs[i].SealFrom.Add(sealingPeriod), n.today().Add(leadTime))
	e, err := n.newEpoch(ctx, epochs, sealFrom)
	return []Epoch{e}, err
}

// retireKeys destroys the keys that closed epochs need no more: at once all but
// the recognition key, and that one at the end of the recognition period.
func (n *Network) retireKeys(ctx context.Context, epochs []Epoch) ([]Epoch, error) {
	now := n.cfg.Now()
	var changed []Epoch
	for _, e := range epochs {
		state := e.State(now)
		if e.Keys == nil || state == EpochNext || state == EpochLive {
			continue
		}
		switch {
		case !now.Before(e.closedAt().Add(recognitionPeriod)):
			e.Keys, e.Reduced = nil, true
		case !e.Reduced:
			var err error
			if e, err = n.keepTagKey(ctx, e); err != nil {
				return nil, err
			}
		default:
			continue
		}
		changed = append(changed, e)
	}
	return changed, nil
}

// keepTagKey destroys all keys of an epoch but the recognition key.
func (n *Network) keepTagKey(ctx context.Context, e Epoch) (Epoch, error) {
	keys, err := n.unwrap(ctx, e)
	if err != nil {
		return Epoch{}, err
	}
	e.Reduced = true
	return n.wrap(ctx, e, epochKeys{Tag: keys.Tag})
}

// Burn ends every epoch whose keys a stolen device holds, the next one included,
// and starts new ones that seal at once. It returns how many epochs were burned.
//
// The price: no card printed before opens offline any more, and each has to be
// replaced. Cards printed now open only on devices that have fetched an envelope
// since.
func (n *Network) Burn(ctx context.Context, by audit.Actor) (int, error) {
	if err := n.may(by, actEpochs, ""); err != nil {
		return 0, err
	}
	epochs, err := n.cfg.Store.Epochs(ctx)
	if err != nil {
		return 0, fmt.Errorf("read epochs: %w", err)
	}
	now := n.cfg.Now()
	var burned []Epoch
	for _, e := range epochs {
		if state := e.State(now); state != EpochLive && state != EpochNext {
			continue
		}
		if e, err = n.keepTagKey(ctx, e); err != nil {
			return 0, err
		}
		e.BurnedAt = n.today()
		burned = append(burned, e)
	}
	fresh, err := n.firstEpochs(ctx, epochs)
	if err != nil {
		return 0, err
	}
	return len(burned), n.changeEpochs(ctx, by, "epoch.burn", len(epochs), fresh, burned)
}

func (n *Network) changeEpochs(ctx context.Context, by audit.Actor, kind string, read int, add, replace []Epoch) error {
	if len(add) == 0 && len(replace) == 0 {
		return nil
	}
	entry, err := n.entry(kind, by, map[string][]uint32{"added": epochIDs(add), "changed": epochIDs(replace)})
	if err != nil {
		return err
	}
	if err := n.cfg.Store.ChangeEpochs(ctx, read, add, replace, entry); err != nil {
		return fmt.Errorf("store epochs: %w", err)
	}
	return nil
}

// Epochs lists the epochs, the earliest sealing day first, without their keys.
func (n *Network) Epochs(ctx context.Context, by audit.Actor) ([]Epoch, error) {
	if err := n.may(by, actEpochs, ""); err != nil {
		return nil, err
	}
	epochs, err := n.cfg.Store.Epochs(ctx)
	for i := range epochs {
		epochs[i].Keys = nil
	}
	return epochs, err
}

// SealKeys returns the keys that new cards are sealed to, and the end of that
// epoch's life, which no card may outlive. ErrNoEpoch if there is none.
func (n *Network) SealKeys(ctx context.Context) (card.SealKeys, time.Time, error) {
	epochs, err := n.cfg.Store.Epochs(ctx)
	if err != nil {
		return card.SealKeys{}, time.Time{}, fmt.Errorf("read epochs: %w", err)
	}
	i := sealingEpoch(epochs, n.cfg.Now())
	if i < 0 {
		return card.SealKeys{}, time.Time{}, ErrNoEpoch
	}
	keys, err := n.unwrap(ctx, epochs[i])
	if err != nil {
		return card.SealKeys{}, time.Time{}, err
	}
	private, err := ecdh.X25519().NewPrivateKey(keys.Private)
	if err != nil {
		return card.SealKeys{}, time.Time{}, fmt.Errorf("read epoch keys: %w", card.ErrKeys)
	}
	return card.SealKeys{
		Epoch: epochs[i].ID, TagKey: keys.Tag, NetKey: keys.Net, Public: private.PublicKey().Bytes(),
	}, epochs[i].EndsAt, nil
}

// NetKey returns the netKey of an epoch that is live or next: a code is tried with
// it. For any other epoch known is false, after the same work.
func (n *Network) NetKey(ctx context.Context, epoch uint32) (key []byte, known bool, err error) {
	epochs, err := n.cfg.Store.Epochs(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("read epochs: %w", err)
	}
	now := n.cfg.Now()
	i := slices.IndexFunc(epochs, func(e Epoch) bool {
		state := e.State(now)
		return e.ID == epoch && !e.Reduced && (state == EpochLive || state == EpochNext)
	})
	known = i >= 0
	if !known {
		i = sealingEpoch(epochs, now)
	}
	if i < 0 {
		return nil, false, nil
	}
	keys, err := n.unwrap(ctx, epochs[i])
	if err != nil {
		return nil, false, err
	}
	if !known {
		return nil, false, nil
	}
	return keys.Net, true, nil
}

// sealingEpoch finds the epoch that new cards are sealed to: the live one that
// began last. -1 if none is live.
func sealingEpoch(epochs []Epoch, now time.Time) int {
	best := -1
	for i, e := range epochs {
		if e.State(now) == EpochLive && (best < 0 || e.SealFrom.After(epochs[best].SealFrom)) {
			best = i
		}
	}
	return best
}

// deviceKeys is what an envelope seals: the keys of the epochs whose cards open,
// and the recognition keys of the others. The epoch that seals now comes first,
// because most cards are of it.
func (n *Network) deviceKeys(ctx context.Context) (verifier.EpochKeys, error) {
	epochs, err := n.cfg.Store.Epochs(ctx)
	if err != nil {
		return verifier.EpochKeys{}, fmt.Errorf("read epochs: %w", err)
	}
	slices.SortStableFunc(epochs, func(a, b Epoch) int { return b.SealFrom.Compare(a.SealFrom) })
	now := n.cfg.Now()
	out := verifier.EpochKeys{Live: []verifier.Epoch{}, Closed: []verifier.ClosedEpoch{}}
	for _, e := range epochs {
		if e.Keys == nil || !now.Before(e.closedAt().Add(recognitionPeriod)) {
			continue
		}
		keys, err := n.unwrap(ctx, e)
		if err != nil {
			return verifier.EpochKeys{}, err
		}
		switch e.State(now) {
		case EpochLive, EpochNext:
			out.Live = append(out.Live, verifier.Epoch{ID: e.ID, TagKey: keys.Tag, NetKey: keys.Net, Private: keys.Private})
		case EpochBurned:
			out.Closed = append(out.Closed, verifier.ClosedEpoch{ID: e.ID, TagKey: keys.Tag, Burned: true})
		default: // of anything else a device gets the least
			out.Closed = append(out.Closed, verifier.ClosedEpoch{ID: e.ID, TagKey: keys.Tag})
		}
	}
	return out, nil
}

// burnedEpochs lists the epochs that packs name as burned: for good, as a signer sees
// that none of them is left out again.
func burnedEpochs(epochs []Epoch, now time.Time) []uint32 {
	ids := []uint32{}
	for _, e := range epochs {
		if e.State(now) == EpochBurned {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func epochIDs(epochs []Epoch) []uint32 {
	ids := make([]uint32, len(epochs))
	for i, e := range epochs {
		ids[i] = e.ID
	}
	return ids
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
