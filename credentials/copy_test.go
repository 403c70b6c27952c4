package credentials_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// proven proves number and code, and makes sure that it cost what every question at a desk
// costs: two keyed hashes more than a paper, of who asks and of her agency.
func (w *world) proven(t *testing.T, caseID, number, code string, message []byte) (p credentials.Proof, err error) {
	t.Helper()
	w.costs(t, 4, func() {
		p, err = w.issuer.Prove(t.Context(), w.house, caseID, private.New(number), private.New(code), message)
	})
	return p, err
}

// TestProve: number and code of a card in use prove which card of the case was given, and
// have it sign; everything else is one refusal at the same price.
func TestProve(t *testing.T) {
	w := newWorld(t)
	mine := w.cases.open(w.house)
	made, neighbour := w.card(t, w.house, cardOrder(mine, "")), w.cardFor(t)
	number, code := made.Number, made.Code.Reveal()
	message := []byte("safeconduct/test/1")
	for what, caseID := range map[string]string{"of the case": mine, "of any case": ""} {
		p, err := w.proven(t, caseID, card.FormatNumber(number), code[:5]+" "+code[5:], message)
		if err != nil || p.Card != made.ID || p.Case != mine || p.Agency != w.house.Agency || !ed25519.Verify(p.OpenKey, message, p.Signature) {
			t.Errorf("%s: got %+v, %v", what, p, err)
		}
	}
	for name, c := range map[string]struct{ caseID, number, code string }{
		"another code":     {mine, number, otherDigits(code)},
		"a neighbour's":    {mine, neighbour.Number, neighbour.Code.Reveal()},
		"for another case": {neighbour.Case, number, code},
		"no number":        {mine, "", code},
		"no code":          {mine, number, ""},
		"nothing":          {mine, "", ""},
	} {
		if p, err := w.proven(t, c.caseID, c.number, c.code, message); !errors.Is(err, credentials.ErrCode) || p.Signature != nil {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
	paused := w.cardFor(t)
	if _, err := w.issuer.ChangeCard(t.Context(), w.house, paused.ID, credentials.Pause, "safety", ""); err != nil {
		t.Fatal(err)
	}
	if p, err := w.proven(t, paused.Case, paused.Number, paused.Code.Reveal(), message); !errors.Is(err, credentials.ErrCode) || p.Signature != nil {
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
