package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/audit"
)

// Answers tells whether the actor may write an answer into a case, for the room that
// keeps answers: as one who reads it, or because something of it, the case or a document,
// is shared with his agency now, and the holder's newest word allows that. ErrNotFound for
// every other case, as for one that never was: that he once held the id of something in it
// gives him nothing.
func (v *Vault) Answers(ctx context.Context, by audit.Actor, caseID string) error {
	_, err := v.Access(ctx, by, caseID)
	switch {
	case err == nil, errors.Is(err, ErrNotOpened): // shared, and not opened
		return nil
	case !errors.Is(err, ErrNotFound):
		return err
	}
	// Also of a case that never was: it takes as long as another agency's.
	grants, err := v.allowed(ctx, caseID, by.Agency)
	switch {
	case err != nil:
		return fmt.Errorf("vault: what is shared: %w", err)
	case len(grants) == 0:
		return ErrNotFound
	default:
		return nil
	}
}
