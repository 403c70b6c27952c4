package credentials_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// crash runs do, which stops in the middle as a machine does, and starts again
// over the same file.
func (w *world) crash(t *testing.T, do func()) {
	t.Helper()
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("nothing crashed: this test proves nothing")
			}
		}()
		do()
	}()
	for _, a := range w.agencies.of {
		a.key.answer = nil
	}
	if err := w.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRecover stops the world between reserving and signing, between signing
// and storing, and in the making of a card.
func TestRecover(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	done := w.screening(t, w.house, caseID)
	request := ""
	order := func() credentials.Order {
		return credentials.Order{Case: caseID, Replaces: done.ID, Claims: sample("screening-least"), RequestKey: request}
	}
	for name, stop := range map[string]func(){
		"before the signature": func() {
			w.key(w.house).answer = func([]byte) ([]byte, error) { panic("the machine stops") }
			_, _ = w.issuer.Issue(t.Context(), w.house, order())
		},
		"after the signature": func() {
			if err := w.use(&refusing{Store: w.db.Credentials(), panics: true}); err != nil {
				t.Fatal(err)
			}
			_, _ = w.issuer.Issue(t.Context(), w.house, order())
		},
		"in the making of a card": func() {
			w.key(w.house).answer = func([]byte) ([]byte, error) { panic("the machine stops") }
			_, _ = w.issuer.IssueCard(t.Context(), w.house, credentials.CardOrder{
				Case: caseID, Name: private.New("TESFAYE"), RequestKey: request,
			})
		},
	} {
		request = storetest.NewID()
		w.crash(t, stop)
		drafts, err := w.store.Drafts(t.Context())
		if err != nil || len(drafts) != 1 {
			t.Fatalf("%s: %d drafts, want 1: %v", name, len(drafts), err)
		}
		d := drafts[0]
		if signed := w.key(w.house).signed; signed[len(signed)-1] != d.Digest {
			t.Errorf("%s: the draft does not hold what may have been signed", name)
		}
		_, err = w.issuer.Issue(t.Context(), w.house, order())
		wantError(t, name+": the same request, before recovery", err, credentials.ErrInFlight)

		signatures := w.key(w.house).count()
		if n, err := w.issuer.Recover(t.Context()); n != 1 || err != nil {
			t.Errorf("%s: %d recovered, want 1: %v", name, n, err)
		}
		if got := w.key(w.house).count(); got != signatures {
			t.Errorf("%s: recovery signed", name)
		}
		w.stands(t, name, d.ID, credentials.Abandoned)
		w.stands(t, name+": what it was to replace", done.ID, credentials.Active)
		kinds, bodies := w.notes(t, caseID)
		if got, want := kinds[len(kinds)-1], string(d.Kind)+".abandoned"; got != want || bodies[len(bodies)-1]["id"] != string(d.ID) {
			t.Errorf("%s: log ends with %s, want %s", name, got, want)
		}
		if n, err := w.issuer.Recover(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: once more: %d, %v", name, n, err)
		}

		// The request key is free, the index is not.
		again := w.issue(t, w.house, order())
		if again.ID == d.ID || again.Index == d.Index && again.List == d.List {
			t.Errorf("%s: the draft came back", name)
		}
		d.ID, d.RequestKey = credentials.ID(storetest.NewID()), ""
		wantError(t, name+": the index", w.store.Reserve(t.Context(), d, nil, storetest.Entry(t, caseID)), credentials.ErrIndexTaken)
		w.set(t, w.house, again.ID, credentials.Withdraw) // and out of the way of the next round
		done = w.screening(t, w.house, caseID)
	}
}

// TestRecoverWithoutTheCase settles a draft whose case was erased, and does
// not keep the others waiting for it.
func TestRecoverWithoutTheCase(t *testing.T) {
	w := newWorld(t)
	gone, stays := w.cases.open(w.house), w.cases.open(w.house)
	for _, caseID := range []string{gone, stays} {
		w.crash(t, func() {
			w.key(w.house).answer = func([]byte) ([]byte, error) { panic("the machine stops") }
			_, _ = w.issuer.Issue(t.Context(), w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
		})
	}
	w.cases.erase(gone)
	if n, err := w.issuer.Recover(t.Context()); n != 2 || err != nil {
		t.Errorf("%d recovered, want 2: %v", n, err)
	}
	for _, caseID := range []string{gone, stays} {
		all, err := w.store.ByCase(t.Context(), caseID)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d records: %v", len(all), err)
		}
		w.stands(t, "after recovery", all[0].ID, credentials.Abandoned)
	}
	entries, err := w.db.Log().Entries(t.Context())
	if err != nil || len(entries) != 1 {
		t.Errorf("%d log entries outside cases, want 1: %v", len(entries), err)
	}
}

// TestSettledWhileItWasSigned abandons a draft under the issuer's hands, as a
// recovery by another process would: nothing is released.
func TestSettledWhileItWasSigned(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	key, mine := w.key(w.house), w.issuer
	if err := w.use(w.store); err != nil { // another process
		t.Fatal(err)
	}
	key.answer = func(d []byte) ([]byte, error) {
		if n, err := mine.Recover(t.Context()); n != 0 || err != nil {
			return nil, errors.Join(errors.New("an issuer took its own draft away"), err)
		}
		if n, err := w.issuer.Recover(t.Context()); n != 1 || err != nil {
			return nil, errors.Join(errors.New("nothing was recovered"), err)
		}
		return ecdsa.SignASN1(rand.Reader, key.PrivateKey, d)
	}
	a, err := mine.Issue(t.Context(), w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
	wantError(t, "issue", err, credentials.ErrSettled)
	if a.Token != "" {
		t.Error("a token was released")
	}
	all, err := w.store.ByCase(t.Context(), caseID)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d records: %v", len(all), err)
	}
	w.stands(t, "after it", all[0].ID, credentials.Abandoned)
}

// overtaken is a store that another process writes to whenever a case was read.
type overtaken struct {
	credentials.Store
	meanwhile func()
}

func (o *overtaken) ByCase(ctx context.Context, id string) ([]credentials.Issued, error) {
	all, err := o.Store.ByCase(ctx, id)
	if o.meanwhile != nil {
		o.meanwhile()
	}
	return all, err
}

// TestTwoProcessesAtOneCase has another process make a card while a screening
// is withdrawn: the card goes with it. Then the other one never stops.
func TestTwoProcessesAtOneCase(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	other, between := w.issuer, &overtaken{Store: w.store}
	if err := w.use(between); err != nil {
		t.Fatal(err)
	}
	makeCard := func() (card credentials.Card) {
		t.Helper()
		card, err := other.IssueCard(t.Context(), w.house, credentials.CardOrder{Case: caseID, About: s.ID, Name: private.New("TESFAYE")})
		if err != nil {
			t.Fatal(err)
		}
		return card
	}
	var card credentials.Card
	between.meanwhile = func() {
		between.meanwhile = nil
		card = makeCard()
	}
	w.set(t, w.house, s.ID, credentials.Withdraw)
	w.stands(t, "the card that was made meanwhile", card.ID, credentials.Withdrawn)

	s = w.screening(t, w.house, caseID)
	between.meanwhile = func() {
		if _, err := other.Issue(t.Context(), w.house, credentials.Order{Case: caseID, Claims: sample("identity-least")}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.issuer.ChangeAttestation(t.Context(), w.house, s.ID, credentials.Withdraw, credentials.ReasonOther, "")
	wantError(t, "against one who never stops", err, credentials.ErrChanged)
	w.stands(t, "what was to be withdrawn", s.ID, credentials.Active)
}

// TestChangeTwice sends the same withdrawal again, as a client does whose
// answer was lost.
func TestChangeTwice(t *testing.T) {
	w := newWorld(t)
	s := w.screening(t, w.house, w.cases.open(w.house))
	for range 2 {
		d, err := w.issuer.ChangeAttestation(t.Context(), w.house, s.ID, credentials.Withdraw, credentials.ReasonOther, "request")
		if err != nil || d.State != credentials.Withdrawn {
			t.Errorf("%s, %v", d.State, err)
		}
	}
	_, err := w.issuer.ChangeAttestation(t.Context(), w.house, s.ID, credentials.Withdraw, credentials.ReasonOther, "another")
	wantError(t, "another request", err, credentials.ErrConflict)
	kinds, _ := w.notes(t, s.Case)
	if n := len(kinds); n != 3 { // reserved, issued, withdrawn
		t.Errorf("%d log entries, want 3: %v", n, kinds)
	}
}
