package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/vault"
)

// erasureSays is what the box of a row of the erasure journal holds: ids, and when. It is
// under our own key, because that of the case is gone.
type erasureSays struct {
	Case    string   `cbor:"1,keyasint"`
	Agency  string   `cbor:"2,keyasint"`
	Records []string `cbor:"3,keyasint"`
	Day     int64    `cbor:"4,keyasint"`
	MAC     []byte   `cbor:"5,keyasint"`
}

func (e erasureSays) erasure() vault.Erasure {
	return vault.Erasure{Case: e.Case, Agency: e.Agency, Records: e.Records, Day: fromDay(e.Day), MAC: e.MAC}
}

// journal writes a row of the erasure journal, over one of the same case.
func (h *heads) journal(ctx context.Context, tx *sql.Tx, e vault.Erasure) error {
	n := h.name("erasure", e.Case)
	var before erasureSays
	r, found, err := erasureRows.get(ctx, h, n, &before)
	if err != nil {
		return err
	}
	says := erasureSays{e.Case, e.Agency, e.Records, toDay(e.Day), e.MAC}
	if !found {
		return erasureRows.add(ctx, tx, h, n, nil, says)
	}
	return erasureRows.replace(ctx, tx, h, r, nil, says)
}

// Erasures returns the erasure journal. Each entry has a MAC of the vault's own,
// which the vault looks at.
func (v *Vault) Erasures(ctx context.Context) (all []vault.Erasure, err error) {
	err = v.db.believed(ctx, func(h *heads) error {
		all = nil
		return every(ctx, h, erasureRows, func(_ boxedRow, says erasureSays) error {
			all = append(all, says.erasure())
			return nil
		})
	})
	slices.SortFunc(all, func(a, b vault.Erasure) int { return strings.Compare(a.Case, b.Case) })
	return all, err
}
