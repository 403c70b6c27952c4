package credentials_test

import (
	"context"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
)

// openCases are cases that everybody may read, as after the holder has opened a
// record that is shared.
type openCases struct{ *cases }

func (c openCases) Open(ctx context.Context, _ audit.Actor, id string, sealed []byte) ([]byte, error) {
	owner, err := c.Owner(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.cases.Open(ctx, audit.Actor{Agency: owner}, id, sealed)
}

// TestKeeperOnly: what is for the agency that keeps the case is read and
// answered by nobody else, also where the record is open to them; the rest is.
func TestKeeperOnly(t *testing.T) {
	w := newWorld(t)
	issuer, err := credentials.NewIssuer(credentials.IssuerConfig{
		Store: w.store, Keys: w.agencies, Cases: openCases{w.cases}, Network: w.agencies, StatusLists: statusLists, Now: w.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.issuer = issuer
	caseID := w.cases.open(w.house)
	for _, terms := range claims.Kinds() {
		if terms.Answers {
			continue
		}
		t.Run(string(terms.Kind), func(t *testing.T) {
			made := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: least(t, terms.Kind)})
			if _, err := w.issuer.Read(t.Context(), w.house, made.ID); err != nil {
				t.Errorf("its keeper: %v", err)
			}
			_, read := w.issuer.Read(t.Context(), w.river, made.ID)
			_, answered := w.issuer.Issue(t.Context(), w.river, credentials.Order{About: made.ID, Claims: sample("opinion")})
			if terms.KeeperOnly {
				wantError(t, "read by another agency", read, credentials.ErrNotFound)
				wantError(t, "answered by another agency", answered, credentials.ErrNotFound)
			} else if read != nil || answered != nil {
				t.Errorf("another agency: read %v, answered %v", read, answered)
			}
		})
	}
	if !slices.ContainsFunc(claims.Kinds(), func(k claims.Terms) bool { return !k.KeeperOnly && !k.Answers }) {
		t.Error("no kind is read by others: this test proves nothing")
	}
}
