package vault

import (
	"context"
	"errors"
	"fmt"
)

// Renew writes the key file of every record that an agency may read anew, each
// under the newest key that the keeper wraps with, so that older versions of
// that key can be ended. It touches no page. It may be cut off and begun again
// as often as one likes, and returns how many key files were written.
func (v *Vault) Renew(ctx context.Context, agency string) (renewed int, err error) {
	one := func(r Record) error {
		// Whoever shares or takes back in the same moment writes a new one, too.
		for range maxSwaps {
			err = v.changeReaders(ctx, r, agency, "", "")
			if !errors.Is(err, ErrConflict) {
				break
			}
		}
		switch {
		case errors.Is(err, ErrNotFound):
			return nil // erased, or taken back, meanwhile
		case err != nil:
			return fmt.Errorf("vault: renew a key file: %w", err)
		}
		renewed++
		return nil
	}
	for after := ""; ; {
		cases, err := v.store.Cases(ctx, agency, after, renewBatch)
		if err != nil {
			return renewed, fmt.Errorf("vault: renew key files: %w", err)
		}
		if len(cases) == 0 {
			break
		}
		for _, c := range cases {
			records, err := v.store.Records(ctx, c.Case)
			if err != nil {
				return renewed, fmt.Errorf("vault: renew key files: %w", err)
			}
			for _, r := range records {
				if err := one(r); err != nil {
					return renewed, err
				}
			}
		}
		after = cases[len(cases)-1].ID
	}
	// What others share with the agency is wrapped to it as well, also where the
	// grant has ended and nobody has taken it back yet.
	granted, err := v.store.GrantsTo(ctx, agency)
	if err != nil {
		return renewed, fmt.Errorf("vault: renew key files: %w", err)
	}
	for _, g := range granted {
		r, err := v.store.Record(ctx, g.Record)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return renewed, fmt.Errorf("vault: renew key files: %w", err)
		}
		if err := one(r); err != nil {
			return renewed, err
		}
	}
	return renewed, nil
}

const (
	renewBatch = 100
	maxSwaps   = 5
)
