package credentials_test

import (
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
)

// TestKeeperOnly: what is for the agency that keeps the case is read and
// answered by nobody else, also where the record is open to them; the rest is.
func TestKeeperOnly(t *testing.T) {
	w := newWorld(t)
	w.cases.opened = &claims.Access{Purpose: "protection", Parts: claims.Parts}
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
			if claims.KeeperOnly(terms.Kind) {
				wantError(t, "read by another agency", read, credentials.ErrNotFound)
				wantError(t, "answered by another agency", answered, credentials.ErrNotFound)
			} else if read != nil || answered != nil {
				t.Errorf("another agency: read %v, answered %v", read, answered)
			}
		})
	}
	if !slices.ContainsFunc(claims.Kinds(), func(k claims.Terms) bool { return !claims.KeeperOnly(k.Kind) && !k.Answers }) {
		t.Error("no kind is read by others: this test proves nothing")
	}
}
