package credentials_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
)

// TestOrigin: where the holder of a case is from is what she stated in signed
// attestations, and what signed documents of hers show. What was replaced does
// not count, what was withdrawn does, and nobody but the keeper is told.
func TestOrigin(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	is := func(what, stated, shown string) {
		t.Helper()
		got, err := w.issuer.Origin(t.Context(), w.house, caseID)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Stated)
		slices.Sort(got.Shown)
		if s := strings.Join(got.Stated, " ") + ", " + strings.Join(got.Shown, " "); s != stated+", "+shown {
			t.Errorf("%s: %s", what, s)
		}
	}
	identity := func(citizenship ...string) *claims.IdentityClaim {
		c := sample("identity-least").(*claims.IdentityClaim)
		c.Citizenship = citizenship
		return c
	}
	document := func(kind, state string) *claims.DocumentReport {
		d := sample("document-least").(*claims.DocumentReport)
		d.DocumentKind, d.IssuingState = kind, state
		return d
	}
	w.screening(t, w.house, caseID)
	is("nothing said", "", "")
	first := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: identity("ETH", "ERI")})
	w.issue(t, w.house, credentials.Order{Case: caseID, Claims: document("PASSPORT", "ETH")})
	w.issue(t, w.house, credentials.Order{Case: caseID, Claims: document("WORK_PERMIT", "KHM")})
	is("said", "ERI ETH", "ETH")
	second := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: identity("ETH"), Replaces: first.ID})
	is("corrected", "ETH", "ETH")
	w.set(t, w.house, second.ID, credentials.Withdraw)
	is("withdrawn", "ETH", "ETH")
	w.clock = w.clock.AddDate(3, 0, 0)
	is("long after", "ETH", "ETH")
	if _, err := w.issuer.Origin(t.Context(), w.ethiopia, caseID); !errors.Is(err, credentials.ErrNotFound) {
		t.Errorf("told to another agency: %v", err)
	}
}

// TestAboutRecord: which record a document attestation is about.
func TestAboutRecord(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	d := sample("document-least").(*claims.DocumentReport)
	d.DocID = strings.Repeat("0a", 16)
	for _, c := range []struct {
		of   credentials.ID
		want string
	}{
		{w.issue(t, w.house, credentials.Order{Case: caseID, Claims: d}).ID, d.DocID},
		{w.issue(t, w.house, credentials.Order{Case: caseID, Claims: sample("document-least")}).ID, ""},
		{w.screening(t, w.house, caseID).ID, ""},
	} {
		if got, err := w.issuer.AboutRecord(t.Context(), c.of); err != nil || got != c.want {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	if _, err := w.issuer.AboutRecord(t.Context(), "unknown"); !errors.Is(err, credentials.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}
