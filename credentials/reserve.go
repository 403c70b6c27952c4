package credentials

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// reserved runs sign with a key that writes the draft down before it signs
// anything, and draws another index when the one it had is taken.
// limits are those for cards.
func (is *Issuer) reserved(ctx context.Context, by audit.Actor, d *Issued, limits []Limit, key crypto.Signer, again func() error, sign func(crypto.Signer) error) error {
	for range maxDraws {
		list, err := is.cfg.Store.OpenList(ctx)
		if err != nil {
			return fmt.Errorf("open status list: %w", err)
		}
		is.letGo(d.ID)
		if d.ID, err = is.newID(); err != nil {
			return err
		}
		is.takeUp(d.ID)
		if d.Index, err = is.drawIndex(ctx, list); err != nil {
			return err
		}
		d.List = list
		recorded := &recordedKey{Signer: key, reserve: func(digest [32]byte) error {
			d.Digest = digest
			return is.reserve(ctx, by, *d, limits)
		}, again: again}
		switch err := sign(recorded); {
		case err == nil && recorded.used:
			return nil
		case errors.Is(err, ErrIndexTaken) || errors.Is(err, ErrListFull):
			continue
		case recorded.used:
			// Signed perhaps, released never.
			return errors.Join(fmt.Errorf("sign: %w", err), is.abandon(ctx, *d))
		case errors.Is(err, ErrKeyUsed):
			return ErrInFlight
		default:
			return fmt.Errorf("sign: %w", err)
		}
	}
	return ErrListFull
}

// maxDraws bounds how often a taken index is drawn again, and one of a decoy. A list
// closes at a tenth of its entries, and a quarter are decoys, so that even twenty
// misses in a row do not happen.
const maxDraws = 64

// takeUp notes a draft before it is written down, and letGo when nobody here
// works on it any more. What is still a draft then is Recover's.
func (is *Issuer) takeUp(id ID) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.hands[id] = true
}

func (is *Issuer) letGo(id ID) {
	is.mu.Lock()
	defer is.mu.Unlock()
	delete(is.hands, id)
}

func (is *Issuer) inHand(id ID) bool {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.hands[id]
}

func (is *Issuer) reserve(ctx context.Context, by audit.Actor, d Issued, limits []Limit) error {
	entry, err := is.entry(ctx, by, "reserved", d)
	if err != nil {
		return err
	}
	switch err := is.cfg.Store.Reserve(ctx, d, limits, entry); {
	case errors.Is(err, ErrQuota):
		return errors.Join(err, is.overQuota(ctx, by))
	case err != nil:
		return fmt.Errorf("reserve: %w", err)
	}
	is.cfg.afterReserve(d.ID)
	return nil
}

// overQuota logs that an agency was refused a card, and who asked, once a day: what
// can be asked again and again must not fill the log.
func (is *Issuer) overQuota(ctx context.Context, by audit.Actor) error {
	today := day(is.cfg.Now())
	entry, err := openNote("card.quota_exceeded", noteBody{Actor: by.ID, Agency: by.Agency, Day: today.Format(time.DateOnly)}, is.cfg.Now())
	if err != nil {
		return err
	}
	return is.cfg.Store.Refused(ctx, by.Agency, today, entry)
}

// recordedKey is a signing key that cannot be used before the record of its
// use is stored. It stands between the formats and the keystore, so that no
// format can forget to write down first.
type recordedKey struct {
	crypto.Signer
	reserve func(digest [32]byte) error
	again   func() error // what has to hold still when all is written down
	used    bool
}

// errReserved says that a reserved key was asked for more than it is for.
var errReserved = errors.New("credentials: a reserved key signs one message, once")

// Sign refuses: what is signed is written down by its digest, and shown whole to
// whoever has the key.
func (*recordedKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errReserved
}

var _ crypto.MessageSigner = (*recordedKey)(nil)

// SignMessage writes the message's digest down and then signs it, once.
func (k *recordedKey) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.used || opts == nil || opts.HashFunc() != crypto.SHA256 {
		return nil, errReserved
	}
	if err := k.reserve(sha256.Sum256(message)); err != nil {
		return nil, err
	}
	k.used = true
	if err := k.again(); err != nil {
		return nil, err
	}
	return crypto.SignMessage(k.Signer, random, message, opts)
}

func (is *Issuer) newID() (ID, error) {
	var b [16]byte
	if _, err := io.ReadFull(is.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("draw id: %w", err)
	}
	return ID(hex.EncodeToString(b[:])), nil
}

// drawIndex draws a status index uniformly among those that are no decoys: the number
// of entries is a power of two.
func (is *Issuer) drawIndex(ctx context.Context, list uint16) (uint32, error) {
	decoys, err := is.masks.of(ctx, list)
	if err != nil {
		return 0, err
	}
	for range maxDraws {
		var b [4]byte
		if _, err := io.ReadFull(is.cfg.Rand, b[:]); err != nil {
			return 0, fmt.Errorf("draw status index: %w", err)
		}
		if index := binary.BigEndian.Uint32(b[:]) % statuslist.Entries; !decoys.Has(index) {
			return index, nil
		}
	}
	return 0, ErrListFull
}
