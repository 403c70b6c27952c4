package vault

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/card"
)

// erasureLabel separates the journal's authentication from other uses of the
// key keeper's MAC.
const erasureLabel = "safeconduct/erasure/1"

// Erase destroys a case with everything in it, and counts what is gone.
//
// The order makes every crash safe:
//
//  1. The journal says what will be destroyed. From here on the case takes
//     nothing new.
//  2. What the case says goes, with its places in the number index and its history,
//     while its key still tells what is its own. Ids of records and of ciphertexts stay.
//  3. The key files go, and with them every copy of the content anywhere.
//  4. The ciphertexts go, then what is left of the rows.
//
// After an error the erasure is repeated, by this call or by Replay. What other
// rooms keep about the case (attestations, cards, their status) is theirs to
// withdraw. What was sealed to the case opens for nobody any more.
func (v *Vault) Erase(ctx context.Context, by audit.Actor, caseID string) (Erased, error) {
	c, err := v.ownedCase(ctx, by, caseID)
	if err != nil {
		return Erased{}, err
	}
	defer v.cases.lock(c.Case)()

	records, err := v.store.Records(ctx, caseID)
	if err != nil {
		return Erased{}, fmt.Errorf("vault: erase: %w", err)
	}
	j := Erasure{Case: c.ID, Agency: c.Agency, Day: v.today()}
	for _, r := range records {
		j.Records = append(j.Records, r.ID)
	}
	slices.Sort(j.Records)
	if j.MAC, err = v.keys.MAC(ctx, erasureLabel, j.message()); err != nil {
		return Erased{}, fmt.Errorf("vault: erase: %w", err)
	}
	if err := v.store.BeginErasure(ctx, j); err != nil {
		return Erased{}, fmt.Errorf("vault: erase: %w", err)
	}
	return v.destroy(ctx, j)
}

// destroy carries an erasure out. Doing it again does no harm. What is damaged keeps no key
// from being destroyed, and is said afterwards.
func (v *Vault) destroy(ctx context.Context, j Erasure) (Erased, error) {
	damaged := v.store.Forget(ctx, j)
	if damaged != nil && !errors.Is(damaged, ErrIntegrity) {
		return Erased{}, fmt.Errorf("vault: erase what a case says: %w", damaged)
	}
	if err := v.keyring.Erase(ctx, j.Records...); err != nil {
		return Erased{}, fmt.Errorf("vault: erase key files: %w", err)
	}
	if damaged != nil {
		return Erased{}, fmt.Errorf("vault: erase what a case says: %w", damaged)
	}
	// The rows alone say which ciphertexts are the case's, so that they go last.
	if err := v.deleteBlobs(ctx, j.Records); err != nil {
		return Erased{}, err
	}
	entry, err := v.plainEntry("case.erased", facts{"agency": j.Agency})
	if err != nil {
		return Erased{}, err
	}
	done, err := v.store.Erase(ctx, j.Case, entry)
	if err != nil {
		return Erased{}, fmt.Errorf("vault: erase rows: %w", err)
	}
	return done, nil
}

// deleteBlobs removes the ciphertexts of records. One that was on its way meanwhile has no
// row and no key: it is collected as an orphan.
func (v *Vault) deleteBlobs(ctx context.Context, records []string) error {
	for _, record := range records {
		for last := (Object{Record: record}); ; {
			batch, err := v.store.AllObjects(ctx, last, scrubBatch)
			if err != nil {
				return fmt.Errorf("vault: list pages: %w", err)
			}
			of := 0
			for ; of < len(batch) && batch[of].Record == record; of++ {
				if batch[of].Blob == "" {
					continue
				}
				if err := v.blobs.Delete(ctx, batch[of].Blob); err != nil {
					return fmt.Errorf("vault: erase pages: %w", err)
				}
			}
			if of < scrubBatch {
				break
			}
			last = batch[of-1]
		}
	}
	return nil
}

// Replay carries the whole erasure journal out again, after a crash or after a
// backup was restored, and returns how many cases it held. The service is not
// ready before it has returned nil. An entry that the key keeper did not
// authenticate is ErrIntegrity, and does not keep the others from being
// carried out: nobody may destroy a case by writing a row. An audit.ErrStopped says
// that this is all that is wrong, and that every key file is gone.
func (v *Vault) Replay(ctx context.Context) (int, error) {
	journal, err := v.store.Erasures(ctx)
	if err != nil {
		return 0, fmt.Errorf("vault: replay erasures: %w", err)
	}
	return v.replayAll(ctx, journal)
}

// Repeat carries out erasures of a journal that was kept elsewhere: the rows
// may have come back from a backup that is older than they are. It writes them
// down here as well, and returns how many this store did not know of. The error
// is as that of Replay.
func (v *Vault) Repeat(ctx context.Context, journal []Erasure) (unknown int, err error) {
	known, err := v.store.Erasures(ctx)
	if err != nil {
		return 0, fmt.Errorf("vault: repeat erasures: %w", err)
	}
	have := make(map[string]bool, len(known))
	for _, j := range known {
		have[j.Case] = true
	}
	var fresh []Erasure
	for _, j := range journal {
		if have[j.Case] {
			continue
		}
		mac, err := v.keys.MAC(ctx, erasureLabel, j.message())
		if err != nil {
			return 0, fmt.Errorf("vault: repeat erasures: %w", err)
		}
		if subtle.ConstantTimeCompare(mac, j.MAC) != 1 {
			return 0, fmt.Errorf("vault: repeat erasures: %w", ErrIntegrity)
		}
		fresh = append(fresh, j)
	}
	for _, j := range fresh {
		if err := v.store.BeginErasure(ctx, j); err != nil {
			return 0, fmt.Errorf("vault: repeat erasures: %w", err)
		}
	}
	_, err = v.replayAll(ctx, fresh)
	return len(fresh), err
}

func (v *Vault) replayAll(ctx context.Context, journal []Erasure) (int, error) {
	done := 0
	var errs []error
	var waits error
	for _, j := range journal {
		mac, err := v.keys.MAC(ctx, erasureLabel, j.message())
		if err != nil {
			return done, fmt.Errorf("vault: replay erasures: %w", err)
		}
		if subtle.ConstantTimeCompare(mac, j.MAC) != 1 {
			errs = append(errs, fmt.Errorf("vault: replay erasures: %w", ErrIntegrity))
			continue
		}
		err = v.replay(ctx, j)
		switch {
		case errors.Is(err, audit.ErrStopped):
			waits = err
		case err != nil:
			errs = append(errs, err)
		default:
			done++
		}
	}
	if len(errs) > 0 {
		return done, errors.Join(errs...)
	}
	return done, waits
}

// replay carries one erasure out, unless nothing is left of the case.
func (v *Vault) replay(ctx context.Context, j Erasure) error {
	defer v.cases.lock(j.Case)()
	_, err := v.store.Record(ctx, j.Case)
	if errors.Is(err, ErrNotFound) {
		// It is gone, or its key did not come back and it stays shut: then what it
		// says goes, and it can be found once more, to be erased.
		if err := v.store.Forget(ctx, j); err != nil && !errors.Is(err, ErrIntegrity) {
			return fmt.Errorf("vault: replay erasures: %w", err)
		}
		_, err = v.store.Record(ctx, j.Case)
	}
	if errors.Is(err, ErrNotFound) {
		if err := v.keyring.Erase(ctx, j.Records...); err != nil {
			return fmt.Errorf("vault: replay erasures: %w", err)
		}
		return nil
	}
	_, err = v.destroy(ctx, j)
	return err
}

// message is what the key keeper authenticates.
func (j Erasure) message() []byte {
	return card.LengthPrefixed("", j.Case, j.Agency, strings.Join(j.Records, ","), j.Day.UTC().Format(time.DateOnly))
}
