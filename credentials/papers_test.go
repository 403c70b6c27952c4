package credentials_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// paper asks once, and makes sure that the question cost what every one costs.
func (w *world) paper(t *testing.T, number, code string) (answer credentials.PaperAnswer) {
	t.Helper()
	w.costs(t, 2, func() {
		var err error
		if answer, err = w.issuer.Paper(t.Context(), private.New(number), private.New(code)); err != nil {
			t.Error(err)
		}
	})
	return answer
}

// costs makes sure that a number and a code cost what all do: one stretch, so many keyed
// hashes, an epoch's key and one agency. TestPapersWorkAlike counts the statements.
func (w *world) costs(t *testing.T, hashes int32, ask func()) {
	t.Helper()
	macs, netKeys, asked := w.agencies.macs.Load(), w.agencies.netKeys.Load(), w.agencies.asked.Load()
	n := credentials.CountStretches(ask)
	m, k, a := w.agencies.macs.Load()-macs, w.agencies.netKeys.Load()-netKeys, w.agencies.asked.Load()-asked
	if n != 1 || m != hashes || k != 1 || a != 1 {
		t.Errorf("%d stretches, %d keyed hashes, %d epoch keys and %d agencies, want 1, %d, 1 and 1", n, m, k, a, hashes)
	}
}

// TestPaperSuspended: a card of an agency that may not speak is not in use, as an
// officer's check says that nobody knows who issued it; and is again afterwards.
func TestPaperSuspended(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	of := w.agencies.of[w.house.Agency]
	for _, step := range []struct {
		suspended bool
		code      string
		want      credentials.PaperAnswer
	}{
		{false, made.Code.Reveal(), credentials.PaperInUse},
		{true, made.Code.Reveal(), credentials.PaperNotInUse},
		{true, otherDigits(made.Code.Reveal()), credentials.PaperUnknown},
		{false, made.Code.Reveal(), credentials.PaperInUse},
	} {
		of.suspended = step.suspended
		if got := w.paper(t, made.Number, step.code); got != step.want {
			t.Errorf("suspended %t: %s, want %s", step.suspended, got, step.want)
		}
	}
	delete(w.agencies.of, w.house.Agency)
	if got := w.paper(t, made.Number, made.Code.Reveal()); got != credentials.PaperNotInUse {
		t.Errorf("an agency that nobody knows: %s", got)
	}
}

// cardFor is a card in a case of its own.
func (w *world) cardFor(t *testing.T) credentials.Card {
	t.Helper()
	return w.card(t, w.house, cardOrder(w.cases.open(w.house), ""))
}

func otherDigits(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// TestPaper: number and code of one card together say whether it is in use;
// everything else is unknown, at the same price.
func TestPaper(t *testing.T) {
	w := newWorld(t)
	made, neighbour := w.cardFor(t), w.cardFor(t)
	number, code := made.Number, made.Code.Reveal()
	unknown, err := card.NewNumber(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, number, code string
		want               credentials.PaperAnswer
	}{
		{"both", number, code, credentials.PaperInUse},
		{"both, as they are read out", card.FormatNumber(number), code[:3] + " " + code[3:], credentials.PaperInUse},
		{"another code", number, otherDigits(code), credentials.PaperUnknown},
		{"a neighbour's code", number, neighbour.Code.Reveal(), credentials.PaperUnknown},
		{"a neighbour's number", neighbour.Number, code, credentials.PaperUnknown},
		{"a number that nobody has", unknown, code, credentials.PaperUnknown},
		{"wrong check digits", otherDigits(number), code, credentials.PaperUnknown},
		{"no number", "", code, credentials.PaperUnknown},
		{"no code", number, "", credentials.PaperUnknown},
		{"words", "not a number", "nor a code", credentials.PaperUnknown},
		{"nothing", "", "", credentials.PaperUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := w.paper(t, c.number, c.code); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}

	// What becomes of the card is told to whoever has both.
	w.set(t, w.house, made.ID, credentials.Pause)
	if got := w.paper(t, number, code); got != credentials.PaperNotInUse {
		t.Errorf("paused: %s", got)
	}
	if got := w.paper(t, number, otherDigits(code)); got != credentials.PaperUnknown {
		t.Errorf("paused, with another code: %s", got)
	}
	w.set(t, w.house, made.ID, credentials.Withdraw)
	if got := w.paper(t, number, code); got != credentials.PaperNotInUse {
		t.Errorf("withdrawn: %s", got)
	}
	w.clock = neighbour.ValidUntil
	if got := w.paper(t, neighbour.Number, neighbour.Code.Reveal()); got != credentials.PaperNotInUse {
		t.Errorf("past its date: %s", got)
	}
}

// TestPaperPasted: number and code come out of a message with marks that nobody
// sees, and are the same number and code.
func TestPaperPasted(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	number, code := made.Number, made.Code.Reveal()
	for name, c := range map[string]struct{ number, code string }{
		"embedded":      {"\u202a" + number + "\u202c", "\u202a" + code + "\u202c"},
		"isolated":      {"\u2066" + card.FormatNumber(number) + "\u2069", "\u2066" + code + "\u2069"},
		"marks between": {number[:6] + "\u200b\u200e" + number[6:], "\ufeff" + code[:5] + "\u00ad\u2060" + code[5:]},
	} {
		if got := w.paper(t, c.number, c.code); got != credentials.PaperInUse {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestPaperUnknowable: cards that the service knows and cannot test a code of.
func TestPaperUnknowable(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	store := w.store
	for name, forget := range map[string]func(*credentials.Issued){
		"from before the salt was kept": func(d *credentials.Issued) { d.Card.Salt = nil },
		"erased":                        func(d *credentials.Issued) { d.Card.Salt, d.Card.OpenKey = nil, nil },
		"of an epoch that is over":      func(d *credentials.Issued) { d.Card.Epoch++ },
		"never given out":               func(d *credentials.Issued) { d.State = credentials.Abandoned },
	} {
		if err := w.use(forgetful{store, forget}); err != nil {
			t.Fatal(err)
		}
		if got := w.paper(t, made.Number, made.Code.Reveal()); got != credentials.PaperUnknown {
			t.Errorf("%s: %s, want unknown", name, got)
		}
	}
	if err := w.use(store); err != nil {
		t.Fatal(err)
	}
	if got := w.paper(t, made.Number, made.Code.Reveal()); got != credentials.PaperInUse {
		t.Errorf("as it is: %s", got)
	}
}

// forgetful is a store that has forgotten something about its cards.
type forgetful struct {
	credentials.Store
	forget func(*credentials.Issued)
}

func (f forgetful) ByNumber(ctx context.Context, number [16]byte) (credentials.Issued, error) {
	d, err := f.Store.ByNumber(ctx, number)
	if err == nil {
		f.forget(&d)
	}
	return d, err
}

// TestPaperBroken: what cannot be looked up is an error, for every number the
// same, and never an answer.
func TestPaperBroken(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	broken := errors.New("broken")
	if err := w.use(brokenTries{w.store, broken}); err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{made.Number, strings.Repeat("1", 12)} {
		answer, err := w.issuer.Paper(t.Context(), private.New(number), private.New(made.Code.Reveal()))
		if !errors.Is(err, broken) || answer != "" {
			t.Errorf("got %q, %v", answer, err)
		}
	}
}

type brokenTries struct {
	credentials.Store
	err error
}

func (b brokenTries) TryPaper(context.Context, []credentials.Budget, int64) (bool, error) {
	return false, b.err
}

// TestWrongCodes is hostile case 90: whoever knows a card's number alone doesn't shut its
// holder out. Her code is answered after 999 wrong ones within a day, however often she
// gives it, and not after 1,000; a neighbour's is, and hers again a day later. Desks have
// wrong codes of their own. Every question costs the same.
func TestWrongCodes(t *testing.T) {
	w := newWorld(t)
	made, neighbour := w.cardFor(t), w.cardFor(t)
	number, code := made.Number, made.Code.Reveal()
	// paper makes sure of what each of these questions costs.
	ask := func(number, code string, want credentials.PaperAnswer) {
		t.Helper()
		if got := w.paper(t, number, code); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	proves := func(want error) {
		t.Helper()
		if _, err := w.proven(t, made.Case, number, code, nil); !errors.Is(err, want) {
			t.Fatalf("at a desk: %v, want %v", err, want)
		}
	}
	guess := func(n int) {
		t.Helper()
		for range n {
			ask(number, otherDigits(code), credentials.PaperUnknown)
		}
	}
	ask(number, code, credentials.PaperInUse)
	guess(500)
	for range 20 { // she may be right as often as she likes
		ask(number, code, credentials.PaperInUse)
	}
	w.clock = w.clock.Add(3 * time.Hour)
	guess(499)
	ask(number, code, credentials.PaperInUse)
	guess(1)
	ask(number, code, credentials.PaperUnknown)
	ask(number, otherDigits(code), credentials.PaperUnknown)
	ask(neighbour.Number, neighbour.Code.Reveal(), credentials.PaperInUse)
	proves(nil)
	w.clock = w.clock.Add(21 * time.Hour) // the first 500 are of another day
	if err := w.issuer.SweepPapers(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(number, code, credentials.PaperInUse)
	proves(nil)
}

// TestWrongCodesAtDesks is hostile case 90: whoever knows a number and works at a desk
// doesn't shut its holder out at the others. After 20 wrong codes within a day he gets no
// answer himself, after 100 nobody of his agency does, after 1,000 nobody at any desk; and
// each does a day later. Right ones count nowhere.
func TestWrongCodesAtDesks(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	const right, wrong = "1111111111", "0000000000"
	desk := func(agency string) audit.Actor {
		return audit.Actor{ID: storetest.NewID(), Agency: agency, Role: "caseworker"}
	}
	proves := func(by audit.Actor, code string, want error) {
		t.Helper()
		if _, err := w.issuer.Prove(t.Context(), by, "", private.New(made.Number), private.New(code), nil); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	spends := func(by audit.Actor) {
		t.Helper()
		for range credentials.WrongPerDayAsker {
			proves(by, right, nil)
			proves(by, wrong, credentials.ErrCode)
		}
		proves(by, right, credentials.ErrCode)
	}
	credentials.WithoutStretching(right, func() {
		him, colleague, elsewhere := w.house, desk(w.house.Agency), desk(w.river.Agency)
		spends(him)
		proves(colleague, right, nil)
		proves(elsewhere, right, nil)
		for range 300 { // he gets no more of it by going on
			proves(him, wrong, credentials.ErrCode)
		}
		proves(colleague, right, nil)
		for range 4 {
			spends(desk(w.house.Agency))
		}
		proves(colleague, right, credentials.ErrCode)
		proves(elsewhere, right, nil)
		for range 9 { // agencies together
			agency := storetest.NewID()
			for range 5 {
				spends(desk(agency))
			}
		}
		proves(elsewhere, right, credentials.ErrCode)
		if got, err := w.issuer.Paper(t.Context(), private.New(made.Number), private.New(right)); got != credentials.PaperInUse || err != nil {
			t.Errorf("strangers: %s, %v", got, err)
		}
		w.clock = w.clock.Add(24 * time.Hour)
		for _, by := range []audit.Actor{him, colleague, elsewhere} {
			proves(by, right, nil)
		}
	})
}

// TestWrongCodesAtOnce: wrong codes that are tried at once are no fewer.
func TestWrongCodesAtOnce(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	const right, wrong = "1111111111", "0000000000"
	ask := func(code string, want credentials.PaperAnswer) {
		if got, err := w.issuer.Paper(t.Context(), private.New(made.Number), private.New(code)); got != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	credentials.WithoutStretching(right, func() {
		for range 900 {
			ask(wrong, credentials.PaperUnknown)
		}
		var wg sync.WaitGroup
		for range 99 {
			wg.Go(func() { ask(wrong, credentials.PaperUnknown) })
		}
		wg.Wait()
		ask(right, credentials.PaperInUse)
		for range 2 {
			wg.Go(func() { ask(wrong, credentials.PaperUnknown) })
		}
		wg.Wait()
		ask(right, credentials.PaperUnknown)
	})
}
