package credentials_test

import (
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// given asks by which card number and code were given, and makes sure that it cost what
// every question about a paper costs.
func (w *world) given(t *testing.T, caseID, number, code string) (id credentials.ID, err error) {
	t.Helper()
	if n := credentials.CountStretches(func() {
		id, err = w.issuer.Given(t.Context(), caseID, private.New(number), private.New(code))
	}); n != 1 {
		t.Errorf("%d stretches, want 1", n)
	}
	return id, err
}

// TestGiven: number and code of a card in use say which card of the case was given;
// everything else is one refusal at the same price.
func TestGiven(t *testing.T) {
	w := newWorld(t)
	mine := w.cases.open(w.house)
	made, neighbour := w.card(t, w.house, cardOrder(mine, "")), w.cardFor(t)
	number, code := made.Number, made.Code.Reveal()
	if id, err := w.given(t, mine, card.FormatNumber(number), code[:5]+" "+code[5:]); err != nil || id != made.ID {
		t.Errorf("got %s, %v", id, err)
	}
	for name, c := range map[string]struct{ caseID, number, code string }{
		"another code":     {mine, number, otherDigits(code)},
		"a neighbour's":    {mine, neighbour.Number, neighbour.Code.Reveal()},
		"for another case": {neighbour.Case, number, code},
		"no number":        {mine, "", code},
		"no code":          {mine, number, ""},
		"nothing":          {mine, "", ""},
	} {
		if id, err := w.given(t, c.caseID, c.number, c.code); !errors.Is(err, credentials.ErrCode) || id != "" {
			t.Errorf("%s: got %s, %v", name, id, err)
		}
	}
	paused := w.cardFor(t)
	if _, err := w.issuer.ChangeCard(t.Context(), w.house, paused.ID, credentials.Pause, "safety", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.given(t, paused.Case, paused.Number, paused.Code.Reveal()); !errors.Is(err, credentials.ErrCode) {
		t.Errorf("a card that is paused: %v", err)
	}
}

// TestCopied: the agency that keeps a case reads all that was signed in it, also what is
// out of use and what others signed, and cards without what they say; nobody else does.
func TestCopied(t *testing.T) {
	w := newWorld(t)
	c := w.cases.open(w.house)
	first := w.screening(t, w.house, c)
	w.card(t, w.house, cardOrder(c, ""))
	if _, err := w.issuer.ChangeAttestation(t.Context(), w.house, first.ID, credentials.Withdraw, "other", ""); err != nil {
		t.Fatal(err)
	}
	kinds := map[claims.Kind]int{}
	for one, err := range w.issuer.Copy(t.Context(), w.house, c) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[one.Kind]++
		if (one.Said == nil) != (one.Kind == credentials.KindCard) || (one.Token == "") != (one.Kind == credentials.KindCard) {
			t.Errorf("a %s: said %t, token %t", one.Kind, one.Said != nil, one.Token != "")
		}
	}
	if kinds[claims.KindScreening] != 1 || kinds[credentials.KindCard] != 1 || len(kinds) != 2 {
		t.Errorf("got %v", kinds)
	}
	for _, err := range w.issuer.Copy(t.Context(), w.ethiopia, c) {
		if !errors.Is(err, credentials.ErrNotFound) {
			t.Errorf("another agency: %v", err)
		}
	}
}
