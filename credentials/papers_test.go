package credentials_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// paper asks once, and makes sure that the question cost what every one costs:
// one stretch, two keyed hashes, an epoch's key and one agency.
func (w *world) paper(t *testing.T, number, code string) credentials.PaperAnswer {
	t.Helper()
	var answer credentials.PaperAnswer
	var err error
	macs, netKeys, asked := w.agencies.macs.Load(), w.agencies.netKeys.Load(), w.agencies.asked.Load()
	if n := credentials.CountStretches(func() {
		answer, err = w.issuer.Paper(t.Context(), private.New(number), private.New(code))
	}); n != 1 || err != nil {
		t.Errorf("%d stretches, %v; want 1", n, err)
	}
	if m, k := w.agencies.macs.Load()-macs, w.agencies.netKeys.Load()-netKeys; m != 2 || k != 1 {
		t.Errorf("%d keyed hashes and %d epoch keys, want 2 and 1", m, k)
	}
	if n := w.agencies.asked.Load() - asked; n != 1 {
		t.Errorf("%d agencies were asked for, want 1", n)
	}
	return answer
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

	// Five questions about the number were counted: now the right code is
	// unknown, too, until the next hour; and ten are all for a day.
	if got := w.paper(t, number, code); got != credentials.PaperUnknown {
		t.Errorf("a sixth in the hour: %s", got)
	}
	if got := w.paper(t, neighbour.Number, neighbour.Code.Reveal()); got != credentials.PaperInUse {
		t.Errorf("a neighbour meanwhile: %s", got)
	}
	w.clock = w.clock.Add(time.Hour)
	for range 5 {
		if got := w.paper(t, number, code); got != credentials.PaperInUse {
			t.Errorf("in the next hour: %s", got)
		}
	}
	w.clock = w.clock.Add(time.Hour)
	if got := w.paper(t, number, code); got != credentials.PaperUnknown {
		t.Errorf("an eleventh in the day: %s", got)
	}
	w.clock = w.clock.Add(24 * time.Hour)
	if err := w.issuer.SweepPapers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.paper(t, number, code); got != credentials.PaperInUse {
		t.Errorf("a day later: %s", got)
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

func (b brokenTries) TryPaper(context.Context, [16]byte, int64, int, int) (bool, error) {
	return false, b.err
}

// TestPapersAtOnce: of a hundred that ask with one number at once exactly as many are
// told as may try within an hour.
func TestPapersAtOnce(t *testing.T) {
	w := newWorld(t)
	made := w.cardFor(t)
	var told, unknown atomic.Int64
	credentials.WithoutStretching(func() {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				switch answer, err := w.issuer.Paper(t.Context(), private.New(made.Number), private.New(made.Code.Reveal())); {
				case err != nil:
					t.Error(err)
				case answer == credentials.PaperInUse:
					told.Add(1)
				default:
					unknown.Add(1)
				}
			})
		}
		wg.Wait()
	})
	if told.Load() != 5 || unknown.Load() != 95 {
		t.Errorf("%d were told and %d were not, want 5 and 95", told.Load(), unknown.Load())
	}
}
