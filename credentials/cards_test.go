package credentials_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/invalid"
)

// cardOrder asks for a card of somebody from Ethiopia.
func cardOrder(caseID string, about credentials.ID) credentials.CardOrder {
	return credentials.CardOrder{Case: caseID, About: about, Name: private.New("TESFAYE, FELIX"), Nationality: private.New("ETH"), Supervised: true}
}

// card makes a card that must succeed. Each one takes an Argon2id.
func (w *world) card(tb testing.TB, by audit.Actor, o credentials.CardOrder) credentials.Card {
	tb.Helper()
	c, err := w.issuer.IssueCard(tb.Context(), by, o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// answers fails unless the answers list is to show a value for a card.
func (w *world) answers(tb testing.TB, what string, c credentials.Card, want uint8) {
	tb.Helper()
	if got := w.entry(tb, c.Issued).WantedAnswer; got != want {
		tb.Errorf("%s: wanted answer %d, want %d", what, got, want)
	}
}

// inUse fails unless a card is found, or not, by the handle that it shows.
func (w *world) inUse(tb testing.TB, what string, c credentials.Card, handle [8]byte, want bool) {
	tb.Helper()
	found, err := w.issuer.CardByHandle(tb.Context(), handle)
	if want && (err != nil || found.ID != c.ID) {
		tb.Errorf("%s: not found: %v", what, err)
	}
	if !want {
		wantError(tb, what, err, credentials.ErrNotFound)
	}
}

// openCard opens a card as a device does.
func (w *world) openCard(tb testing.TB, c credentials.Card) *card.Opened {
	tb.Helper()
	sealed, err := card.Parse(c.Digits)
	if err != nil {
		tb.Fatal(err)
	}
	o, err := card.Open(sealed, w.agencies.open, c.Code)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// agreed is a screening of somebody who agreed to everything, in freedom.
func agreed(edit func(*claims.Consent)) *claims.Screening {
	s := sample("screening-least").(*claims.Screening)
	s.Consent.SafeIfStateKnows, s.Consent.MissionMayBeContacted = "yes", true
	if edit != nil {
		edit(s.Consent)
	}
	return s
}

// states signs that the holder of a case stated nationalities.
func (w *world) states(tb testing.TB, caseID string, citizenship ...string) credentials.Attestation {
	tb.Helper()
	c := sample("identity-least").(*claims.IdentityClaim)
	c.Citizenship = citizenship
	return w.issue(tb, w.house, credentials.Order{Case: caseID, Claims: c})
}

// TestCardsAskConsent: a card says that a mission may be contacted only if the
// newest signed consent does.
func TestCardsAskConsent(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	order := cardOrder(caseID, "")
	order.MissionMayBeContacted = true
	may := func(what string, want bool) {
		t.Helper()
		_, err := w.issuer.IssueCard(t.Context(), w.house, order)
		switch {
		case want && err != nil:
			t.Errorf("%s: %v", what, err)
		case !want:
			wantProblems(t, what, err, "/mission_may_be_contacted not_allowed")
		}
	}
	w.states(t, caseID, "ETH")
	may("nobody asked her", false)
	first := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: agreed(nil)})
	may("she agreed", true)
	w.set(t, w.house, first.ID, credentials.Pause)
	may("what says so is paused", false)
	w.set(t, w.house, first.ID, credentials.Resume)
	for name, edit := range map[string]func(*claims.Consent){
		"safety not asked": func(c *claims.Consent) { c.SafeIfStateKnows, c.MissionMayBeContacted = "", false },
		"not sure":         func(c *claims.Consent) { c.SafeIfStateKnows, c.MissionMayBeContacted = "unsure", false },
		"detained":         func(c *claims.Consent) { c.Circumstance = "detained" },
	} {
		newer := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: agreed(edit)})
		may(name+", on the same day", false)
		yes := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: agreed(nil), Replaces: newer.ID})
		w.set(t, w.house, yes.ID, credentials.Withdraw)
		may("the yes that replaced it is withdrawn", false)
	}
	w.clock = w.clock.AddDate(0, 0, 1)
	w.issue(t, w.house, credentials.Order{Case: caseID, Claims: agreed(func(c *claims.Consent) { c.GivenOn = claims.NewDay(w.clock) })})
	may("a yes of the next day", true)
	w.clock = w.clock.AddDate(0, 0, 100)
	may("the finding is over, the consent is not", true)
	order.MissionMayBeContacted = false
	if made := w.card(t, w.house, order); w.openCard(t, made).Claims().MissionMayBeContacted {
		t.Error("a card says more than was ordered")
	}
}

// TestCardsAskNewestWord: a no is not undone by a newer paper with an older yes,
// nor is the yes that a no corrects brought back by the no's earlier date.
func TestCardsAskNewestWord(t *testing.T) {
	w := newWorld(t)
	today := claims.NewDay(w.clock)
	yes := func(back int) *claims.Screening {
		return agreed(func(c *claims.Consent) { c.GivenOn = today.Add(-back) })
	}
	no := func(back int) *claims.Screening {
		return agreed(func(c *claims.Consent) {
			c.GivenOn, c.SafeIfStateKnows, c.MissionMayBeContacted = today.Add(-back), "no", false
		})
	}
	for name, c := range map[string]struct {
		chain    []*claims.Screening // each replaces the one before
		withdraw bool                // the last of them
		beside   *claims.Screening
		want     bool
	}{
		"a no, replaced by an older yes":                     {[]*claims.Screening{no(0), yes(100)}, false, nil, false},
		"a no, replaced by a yes of its day":                 {[]*claims.Screening{no(3), yes(3)}, false, nil, false},
		"a no, replaced by a newer yes":                      {[]*claims.Screening{no(3), yes(0)}, false, nil, true},
		"a no, replaced twice by older ones":                 {[]*claims.Screening{no(0), yes(100), yes(50)}, false, nil, false},
		"a no, its older yes withdrawn":                      {[]*claims.Screening{no(0), yes(100)}, true, nil, false},
		"a no, replaced, and an older yes beside":            {[]*claims.Screening{no(2), yes(100)}, false, yes(50), false},
		"a no, replaced, and a newer yes beside":             {[]*claims.Screening{no(2), yes(100)}, false, yes(1), true},
		"a yes, replaced by an older no":                     {[]*claims.Screening{yes(0), no(100)}, false, nil, false},
		"a yes, replaced twice, at last by a no":             {[]*claims.Screening{yes(0), yes(50), no(100)}, false, nil, false},
		"a yes, replaced by an older one":                    {[]*claims.Screening{yes(0), yes(100)}, false, nil, true},
		"a yes, and the older that took its place withdrawn": {[]*claims.Screening{yes(0), yes(100)}, true, nil, false},
		"a no that was withdrawn, an older yes":              {[]*claims.Screening{no(0)}, true, yes(100), false},
	} {
		t.Run(name, func(t *testing.T) {
			caseID := w.cases.open(w.house)
			w.states(t, caseID, "ETH")
			var last credentials.ID
			for _, s := range c.chain {
				last = w.issue(t, w.house, credentials.Order{Case: caseID, Claims: s, Replaces: last}).ID
			}
			if c.withdraw {
				w.set(t, w.house, last, credentials.Withdraw)
			}
			if c.beside != nil {
				w.issue(t, w.house, credentials.Order{Case: caseID, Claims: c.beside})
			}
			order := cardOrder(caseID, "")
			order.MissionMayBeContacted = true
			_, err := w.issuer.IssueCard(t.Context(), w.house, order)
			switch {
			case c.want && err != nil:
				t.Error(err)
			case !c.want:
				wantProblems(t, name, err, "/mission_may_be_contacted not_allowed")
			}
		})
	}
}

// TestCardsNameHerMission: the mission that a card names is that of a state that
// she stated, in what is signed and in use.
func TestCardsNameHerMission(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	w.issue(t, w.house, credentials.Order{Case: caseID, Claims: agreed(nil)})
	may := func(what, nationality string, want bool) {
		t.Helper()
		order := cardOrder(caseID, "")
		order.Nationality, order.MissionMayBeContacted = private.New(nationality), true
		_, err := w.issuer.IssueCard(t.Context(), w.house, order)
		switch {
		case want && err != nil:
			t.Errorf("%s: %v", what, err)
		case !want:
			wantProblems(t, what, err, "/mission_may_be_contacted not_allowed")
		}
	}
	may("she stated nothing", "ETH", false)
	passport := sample("document-least").(*claims.DocumentReport)
	passport.DocumentKind, passport.IssuingState = "PASSPORT", "KHM"
	w.issue(t, w.house, credentials.Order{Case: caseID, Claims: passport})
	may("a passport shows it, and she did not state it", "KHM", false)
	stated := w.states(t, caseID, "ETH", "RKS")
	may("she stated it", "ETH", true)
	may("she stated it by another code", "XKX", true)
	may("the state where she is", "KHM", false)
	may("a third state", "KEN", false)
	may("no nationality", "", false)
	may("a code of no state", "XXA", false)
	w.set(t, w.house, stated.ID, credentials.Pause)
	may("what states it is paused", "ETH", false)
	w.set(t, w.house, stated.ID, credentials.Resume)
	corrected := sample("identity-least").(*claims.IdentityClaim)
	corrected.Citizenship = []string{"KEN"}
	second := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: corrected, Replaces: stated.ID})
	may("what stated it is replaced", "ETH", false)
	may("she stated it instead", "KEN", true)
	w.set(t, w.house, second.ID, credentials.Withdraw)
	may("what states it is withdrawn", "KEN", false)
}

func TestIssueCard(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	w.states(t, caseID, "ETH")
	s := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: agreed(nil)})
	portrait := sha256.Sum256([]byte("portrait"))
	o := credentials.CardOrder{
		Case: caseID, About: s.ID, Name: private.New("TESFAYE, FELIX"), BirthDate: private.New("199907"), Sex: 2,
		Nationality: private.New("ETH"), Portrait: portrait[:], MissionMayBeContacted: true, RequestKey: "a hash",
	}
	made := w.card(t, w.house, o)
	if got := w.key(w.house).count(); got != 3 {
		t.Errorf("%d signatures, want one each of identity, screening and card", got)
	}

	opened := w.openCard(t, made)
	if !opened.Verify(&w.key(w.house).PublicKey) || opened.Verify(&w.key(w.river).PublicKey) {
		t.Error("it verifies under another key than the agency's")
	}
	today := claimsNow.Truncate(24 * time.Hour)
	content := opened.Claims()
	handle := content.Handle
	want := card.Claims{
		IssuedAt: today, Expires: today.AddDate(0, 0, 180), Name: o.Name, BirthDate: o.BirthDate, Sex: 2, Nationality: o.Nationality,
		Handle: handle, List: made.List, Index: made.Index, Status: 1, DecisionLevel: 1, Portrait: portrait[:16], MissionMayBeContacted: true,
	}
	if handle == [8]byte{} {
		t.Error("no handle")
	}
	if diff := cmp.Diff(content, want, cmp.Comparer(func(a, b private.String) bool { return a.Reveal() == b.Reveal() })); diff != "" {
		t.Errorf("card says, want:\n%s", diff)
	}
	stored, err := w.store.Get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.Issued, stored); diff != "" {
		t.Errorf("returned, stored:\n%s", diff)
	}
	if stored.Digest != opened.Digest() {
		t.Error("the stored digest is not that of what was signed")
	}
	if !opened.OpenKey().Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(stored.Card.OpenKey)) {
		t.Error("the stored key is not the one that opens the record")
	}
	if stored.Sealed != nil || stored.Card.Epoch != 7 || !card.ValidNumber(made.Number) || made.NamesShortened {
		t.Error("the record is not that of this card")
	}
	w.inUse(t, "in use", made, handle, true)
	if kinds, _ := w.notes(t, caseID); !slices.Equal(kinds[4:], []string{"card.reserved", "card.issued"}) {
		t.Errorf("log: %v", kinds)
	}
	_, err = w.issuer.Read(t.Context(), w.house, made.ID)
	wantError(t, "read a card", err, credentials.ErrNotFound)

	// The same request again shows no code, and signs nothing.
	_, err = w.issuer.IssueCard(t.Context(), w.house, o)
	wantError(t, "the same request", err, credentials.ErrCodeShown)
	if got := w.key(w.house).count(); got != 3 {
		t.Errorf("%d signatures, want 3 still", got)
	}

	// Another card in its place; a plain one has no status.
	plain := w.card(t, w.house, credentials.CardOrder{
		Case: caseID, Name: private.New("TESFAYE"), Replaces: made.ID, Supervised: true, ValidUntil: today.AddDate(0, 0, 9),
	})
	w.stands(t, "the first card", made.ID, credentials.Replaced)
	w.inUse(t, "replaced", made, handle, false)
	says := w.openCard(t, plain).Claims()
	if says.Status != 0 || says.DecisionLevel != 0 || says.Handle == handle {
		t.Error("a plain card says more than its papers")
	}
	if want := today.AddDate(0, 0, 10); !says.Expires.Equal(want) || !plain.ValidUntil.Equal(want) {
		t.Errorf("expires %v, want %v: its last day is printed", says.Expires, want)
	}
	if plain.Number == made.Number || plain.Code.Reveal() == made.Code.Reveal() {
		t.Error("number or code came again")
	}
	w.inUse(t, "the second", plain, says.Handle, true)
	w.set(t, w.house, plain.ID, credentials.Pause)
	w.inUse(t, "paused", plain, says.Handle, false)
	w.set(t, w.house, plain.ID, credentials.Resume)
	w.clock = today.AddDate(0, 0, 9).Add(23 * time.Hour)
	w.inUse(t, "on its last day", plain, says.Handle, true)
	w.clock = today.AddDate(0, 0, 10)
	w.inUse(t, "past its date", plain, says.Handle, false)

	storedNowhere(t, w, made, plain)
}

// storedNowhere looks for what only the paper may hold in every byte of the
// database and its write-ahead log, and in what its boxes hold.
func storedNowhere(t *testing.T, w *world, cards ...credentials.Card) {
	t.Helper()
	files, err := filepath.Glob(w.path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, want database and log: %v", len(files), err)
	}
	var all []byte
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	for _, c := range cards {
		if bytes.Contains(all, []byte(c.ID)) || bytes.Contains(all, c.Card.Handle[:]) {
			t.Error("the record itself can be seen without a key")
		}
		// And what stands in the boxes.
		kept, err := w.store.Get(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = slices.Concat(all, []byte(kept.ID), kept.Digest[:], []byte(kept.RequestKey), kept.Receipt, kept.Sealed,
			kept.Card.Number[:], kept.Card.Handle[:], kept.Card.Nationality[:], kept.Card.Holder[:], kept.Card.OpenKey, kept.Card.Salt)
		o := w.openCard(t, c)
		handle := o.Claims().Handle
		for what, secret := range map[string][]byte{
			"code": []byte(c.Code.Reveal()), "number": []byte(c.Number), "digits": []byte(c.Digits[:40]), "name": []byte("TESFAYE"),
			"handle": handle[:], "open key": o.OpenKey().Seed(),
		} {
			if bytes.Contains(all, secret) {
				t.Errorf("the database holds the %s of a card", what)
			}
		}
	}
}

func TestIssueCardRefuses(t *testing.T) {
	w := newWorld(t)
	caseID, other := w.cases.open(w.house), w.cases.open(w.house)
	s, elsewhere := w.screening(t, w.house, caseID), w.screening(t, w.house, other)
	paused := w.screening(t, w.house, caseID)
	w.set(t, w.house, paused.ID, credentials.Pause)
	identity := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: sample("identity-least")})
	not := sample("screening-least").(*claims.Screening)
	not.TraffickingStatus = claims.StatusNot
	claims.Complete(not)
	no := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: not})
	signed := w.key(w.house).count()

	for name, tt := range map[string]struct {
		by   audit.Actor
		edit func(*credentials.CardOrder)
		want error
	}{
		"another agency":              {w.river, func(*credentials.CardOrder) {}, credentials.ErrNotFound},
		"a random case":               {w.house, func(o *credentials.CardOrder) { o.Case = storetest.NewID() }, credentials.ErrNotFound},
		"a random screening":          {w.house, func(o *credentials.CardOrder) { o.About = credentials.ID(storetest.NewID()) }, credentials.ErrNotFound},
		"a screening of another case": {w.house, func(o *credentials.CardOrder) { o.About = elsewhere.ID }, credentials.ErrNotFound},
		"no screening":                {w.house, func(o *credentials.CardOrder) { o.About = identity.ID }, credentials.ErrNotFound},
		"a paused screening":          {w.house, func(o *credentials.CardOrder) { o.About = paused.ID }, credentials.ErrConflict},
		"replaces no card":            {w.house, func(o *credentials.CardOrder) { o.Replaces = s.ID }, credentials.ErrNotFound},
		"replaces a random id":        {w.house, func(o *credentials.CardOrder) { o.Replaces = credentials.ID(storetest.NewID()) }, credentials.ErrNotFound},
	} {
		o := cardOrder(caseID, s.ID)
		tt.edit(&o)
		_, err := w.issuer.IssueCard(t.Context(), tt.by, o)
		wantError(t, name, err, tt.want)
	}

	_, err := w.issuer.IssueCard(t.Context(), w.house, credentials.CardOrder{
		Case: caseID, About: no.ID, Name: private.New("ተስፋዬ"), BirthDate: private.New("1999-07"), Nationality: private.New("Ethiopia"), Sex: 9,
		Portrait: []byte("not a hash"), ValidUntil: claimsNow.AddDate(0, 0, 181),
	})
	wantProblems(t, "all at once", err, "/portrait format", "/valid_until range", "/about not_allowed",
		"/birth_date format", "/nationality format", "/sex format", "/name format")
	for days, want := range map[int]string{-1: "/valid_until range", 180: "/valid_until range"} {
		o := cardOrder(caseID, s.ID)
		o.ValidUntil = claimsNow.AddDate(0, 0, days)
		_, err := w.issuer.IssueCard(t.Context(), w.house, o)
		var refused *invalid.Error
		if !errors.As(err, &refused) || said(refused.Problems)[0] != want {
			t.Errorf("valid for %d days: %v", days, err)
		}
	}

	w.clock = s.ValidUntil
	_, err = w.issuer.IssueCard(t.Context(), w.house, cardOrder(caseID, s.ID))
	wantError(t, "a screening past its date", err, credentials.ErrConflict)
	if got := w.key(w.house).count(); got != signed {
		t.Errorf("%d more signatures, want none", got-signed)
	}
}

// TestCardNames: a name is printed as it stands where that is possible, else
// transcribed, and whoever ordered the card is told; a refusal names the character.
func TestCardNames(t *testing.T) {
	w := newWorld(t)
	order := func(name string) (credentials.Card, error) {
		o := cardOrder(w.cases.open(w.house), "")
		o.Name = private.New(name)
		return w.issuer.IssueCard(t.Context(), w.house, o)
	}
	for name, printed := range map[string]string{
		"SAMY, MUTHU": "", "MUTHU A/L SAMY": "MUTHU A L SAMY", "O\u2019NEIL": "O'NEIL", "SITI  NUR": "SITI NUR", ",SITI": "SITI",
		"\u2066SITI\u2069": "SITI",
		strings.TrimSpace(strings.Repeat("NILAVADHANANANDA ", 7)): "NILAVADHANANANDA NILAVADHANANANDA NILAVADHANANANDA N",
	} {
		made, err := order(name)
		if err != nil {
			t.Errorf("%+q: %v", name, err)
			continue
		}
		switch got := made.PrintedName.Reveal(); {
		case made.NamesShortened && printed != "" && strings.HasPrefix(printed, "NILA"):
			if !strings.HasPrefix(got, "NILAVADHANANANDA ") || len(got) >= len(name) {
				t.Errorf("shortened to %q", got)
			}
		case got != printed:
			t.Errorf("%+q: printed %+q, want %+q", name, got, printed)
		}
	}
	for name, want := range map[string]string{
		" SITI ":       "/name neither begins nor ends with what cannot be seen",
		"SITI @ NUR":   "/name holds a character that a name cannot have; character 6 is @ (U+0040)",
		"SITI ស":       "/name must be in Latin letters, as in the passport or as a person transliterated it; character 6 is U+179F",
		"SITI\nNUR":    "/name has no control or direction characters; character 5 is one",
		"12":           "/name has a letter",
		"\u200b":       "/name is required",
		"SECRET<NAME>": "/name holds a character that a name cannot have; character 7 is < (U+003C)",
	} {
		_, err := order(name)
		var refused *invalid.Error
		if !errors.As(err, &refused) || len(refused.Problems) != 1 || refused.Problems[0].Pointer+" "+refused.Problems[0].Rule != want {
			t.Errorf("%+q: got %v", name, err)
		}
	}
}

// TestAnswers follows what missions answer on to the cards of a case.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	answer := func(by audit.Actor, state, answer string, replaces credentials.ID) credentials.ID {
		t.Helper()
		return w.issue(t, by, credentials.Order{About: s.ID, Replaces: replaces, Claims: reply(state, answer)}).ID
	}
	c := w.card(t, w.house, cardOrder(caseID, s.ID))
	w.answers(t, "before any answer", c, credentials.AnswerNone)
	w.issue(t, w.house, credentials.Order{About: s.ID, Claims: sample("reply-matched").(*claims.Reply)})
	w.answers(t, "relayed by the agency", c, credentials.AnswerNone)
	answer(w.ethiopia, "ETH", "refused", "")
	w.answers(t, "no match", c, credentials.AnswerNone)

	foreign := answer(w.kenya, "KEN", "matched", "")
	w.answers(t, "another state's mission", c, credentials.AnswerNone)
	w.agencies.of[w.kenya.Agency].Confirms = []string{"ETH"}
	kenya := answer(w.kenya, "ETH", "matched", "")
	w.answers(t, "one that is named for her state", c, credentials.AnswerOther)
	eth := answer(w.ethiopia, "ETH", "matched", "")
	w.answers(t, "its own mission", c, credentials.AnswerMission)
	w.set(t, w.kenya, kenya, credentials.Pause)
	w.answers(t, "the other one pauses", c, credentials.AnswerMission)
	var others []credentials.ID
	for range 4 {
		others = append(others, answer(w.kenya, "ETH", "matched", ""))
	}
	w.answers(t, "its own mission among others, in whatever order", c, credentials.AnswerMission)
	for _, id := range others {
		w.set(t, w.kenya, id, credentials.Withdraw)
	}
	w.set(t, w.kenya, kenya, credentials.Withdraw)
	w.answers(t, "a paused answer is withdrawn, one stands", c, credentials.AnswerMission)
	kenya = answer(w.kenya, "ETH", "matched", "")
	w.answers(t, "both", c, credentials.AnswerMission)
	w.set(t, w.ethiopia, eth, credentials.Pause)
	w.answers(t, "its own mission pauses", c, credentials.AnswerOther)
	w.set(t, w.ethiopia, eth, credentials.Resume)
	w.answers(t, "and resumes", c, credentials.AnswerMission)
	eth = answer(w.ethiopia, "ETH", "not_found", eth)
	w.answers(t, "it corrects itself", c, credentials.AnswerOther)
	w.set(t, w.kenya, kenya, credentials.Withdraw)
	w.answers(t, "the only one is withdrawn", c, credentials.AnswerNone)
	eth = answer(w.ethiopia, "ETH", "matched", eth)
	w.answers(t, "it corrects itself again", c, credentials.AnswerMission)

	// A new card shows it from the beginning, and one with another nationality, or
	// without any, does not.
	o := cardOrder(caseID, s.ID)
	o.Replaces = c.ID
	second := w.card(t, w.house, o)
	w.answers(t, "a new card", second, credentials.AnswerMission)
	o.Replaces, o.Nationality = second.ID, private.New("UGA")
	third := w.card(t, w.house, o)
	w.answers(t, "another nationality", third, credentials.AnswerNone)
	o.Replaces, o.Nationality = third.ID, private.New("")
	fourth := w.card(t, w.house, o)
	w.answers(t, "no nationality", fourth, credentials.AnswerNone)
	o.Replaces, o.Nationality = fourth.ID, private.New("ETH")
	last := w.card(t, w.house, o)
	w.answers(t, "hers again", last, credentials.AnswerMission)
	w.answers(t, "replaced before", c, credentials.AnswerMission)

	// The network names it no more.
	kenya = answer(w.kenya, "ETH", "matched", "")
	w.set(t, w.ethiopia, eth, credentials.Withdraw)
	w.answers(t, "withdrawn, and the other stands", last, credentials.AnswerOther)
	w.agencies.of[w.kenya.Agency].Confirms = nil
	if n, err := w.issuer.Reconsider(t.Context(), w.house, w.kenya.Agency); err != nil || n != 1 {
		t.Errorf("%d cases were reconsidered, %v, want 1", n, err)
	}
	w.answers(t, "named no more", last, credentials.AnswerNone)
	w.stands(t, "what another state's mission said", foreign, credentials.Active)
	w.stands(t, "what it said while it was named", kenya, credentials.Active)
	if n, err := w.issuer.WithdrawCase(t.Context(), w.house, caseID); err != nil || n == 0 {
		t.Errorf("withdraw the case: %d, %v", n, err)
	}
	w.stands(t, "the card", last.ID, credentials.Withdrawn)
}

// TestSuspendedConfirmNothing: what a suspended mission has confirmed colours no
// card, from the next lists on, and does again when it is let in. While nobody can
// tell who belongs to the network, nothing is changed.
func TestSuspendedConfirmNothing(t *testing.T) {
	w := newWorld(t)
	type opened struct {
		id, reply credentials.ID
		card      credentials.Card
	}
	open := func(by audit.Actor, state string) opened {
		t.Helper()
		caseID := w.cases.open(w.house)
		s := w.screening(t, w.house, caseID)
		r := w.issue(t, by, credentials.Order{About: s.ID, Claims: reply(state, "matched")})
		return opened{s.ID, r.ID, w.card(t, w.house, cardOrder(caseID, s.ID))}
	}
	w.agencies.of[w.kenya.Agency].Confirms = []string{"ETH"}
	first, second, other := open(w.ethiopia, "ETH"), open(w.ethiopia, "ETH"), open(w.kenya, "ETH")
	w.issue(t, w.kenya, credentials.Order{About: second.id, Claims: reply("ETH", "matched")})
	reconsider := func(want int) {
		t.Helper()
		if n, err := w.issuer.Reconsider(t.Context(), w.house, w.ethiopia.Agency); err != nil || n != want {
			t.Fatalf("%d cases were reconsidered, %v, want %d", n, err, want)
		}
	}
	w.agencies.of[w.ethiopia.Agency].suspended = true
	reconsider(2)
	w.answers(t, "suspended", first.card, credentials.AnswerNone)
	w.answers(t, "suspended, with another mission's answer", second.card, credentials.AnswerOther)
	w.answers(t, "another mission's", other.card, credentials.AnswerOther)
	w.agencies.of[w.ethiopia.Agency].suspended = false
	reconsider(2)
	w.answers(t, "let in again", first.card, credentials.AnswerMission)
	w.answers(t, "let in again, with another mission's answer", second.card, credentials.AnswerMission)

	w.agencies.away.Store(true)
	_, err := w.issuer.Reconsider(t.Context(), w.house, w.ethiopia.Agency)
	wantError(t, "nobody can tell", err, errAway)
	_, err = w.issuer.ChangeAttestation(t.Context(), w.ethiopia, second.reply, credentials.Withdraw, credentials.ReasonMistake, "")
	wantError(t, "nobody can tell who else confirms", err, errAway)
	w.agencies.away.Store(false)
	w.answers(t, "nobody could tell", first.card, credentials.AnswerMission)
	w.stands(t, "a reply", second.reply, credentials.Active)
	w.set(t, w.ethiopia, second.reply, credentials.Withdraw)
	reconsider(1)
}

// TestCardsFollowTheirScreening pauses and withdraws what cards state.
func TestCardsFollowTheirScreening(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	carries, plain := w.card(t, w.house, cardOrder(caseID, s.ID)), w.card(t, w.house, cardOrder(caseID, ""))

	w.set(t, w.house, s.ID, credentials.Pause)
	w.stands(t, "screening paused", carries.ID, credentials.Paused)
	w.stands(t, "screening paused, plain card", plain.ID, credentials.Active)
	_, err := w.changedCard(t.Context(), w.house, carries.ID, credentials.Resume, credentials.ReasonOther)
	wantError(t, "resume the card alone", err, credentials.ErrConflict)
	w.set(t, w.house, s.ID, credentials.Resume)
	w.stands(t, "screening resumed", carries.ID, credentials.Active)
	w.set(t, w.house, carries.ID, credentials.Pause)
	w.stands(t, "only the card paused", s.ID, credentials.Active)
	w.set(t, w.house, carries.ID, credentials.Resume)
	w.stands(t, "the card resumed", carries.ID, credentials.Active)

	// A newer screening leaves the card in use, and takes it along later.
	newer := w.issue(t, w.house, credentials.Order{Case: caseID, Replaces: s.ID, Claims: sample("screening-everything")})
	w.stands(t, "screening replaced", carries.ID, credentials.Active)
	w.set(t, w.house, newer.ID, credentials.Pause)
	w.stands(t, "newer screening paused", carries.ID, credentials.Paused)
	w.set(t, w.house, newer.ID, credentials.Resume)
	w.set(t, w.house, carries.ID, credentials.Pause)
	w.set(t, w.house, carries.ID, credentials.Resume)
	w.stands(t, "the card resumed on the newer screening", carries.ID, credentials.Active)

	// One that may not stand on a card takes it out of use.
	not := sample("screening-least").(*claims.Screening)
	not.TraffickingStatus = claims.StatusNot
	claims.Complete(not)
	w.issue(t, w.house, credentials.Order{Case: caseID, Replaces: newer.ID, Claims: not})
	w.stands(t, "replaced by a screening that no card carries", carries.ID, credentials.Withdrawn)
	w.stands(t, "plain card", plain.ID, credentials.Active)

	again := w.screening(t, w.house, caseID)
	o := cardOrder(caseID, again.ID)
	o.Replaces = plain.ID
	last := w.card(t, w.house, o)
	w.set(t, w.house, again.ID, credentials.Withdraw)
	w.stands(t, "screening withdrawn", last.ID, credentials.Withdrawn)
}

// TestNoCardIsReleased breaks the making of a card after the draft.
func TestNoCardIsReleased(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	key := w.key(w.house)
	for name, tt := range map[string]struct {
		answer func([]byte) ([]byte, error)
		want   error
	}{
		"another input's signature": {func([]byte) ([]byte, error) {
			other := sha256.Sum256([]byte("another card"))
			return ecdsa.SignASN1(rand.Reader, key.PrivateKey, other[:])
		}, card.ErrSigner},
		"screening withdrawn meanwhile": {func(d []byte) ([]byte, error) {
			w.set(t, w.house, s.ID, credentials.Pause)
			return ecdsa.SignASN1(rand.Reader, key.PrivateKey, d)
		}, credentials.ErrConflict},
	} {
		before, err := w.store.ByCase(t.Context(), caseID)
		if err != nil {
			t.Fatal(err)
		}
		key.answer = tt.answer
		o := cardOrder(caseID, s.ID)
		o.RequestKey = name
		made, err := w.issuer.IssueCard(t.Context(), w.house, o)
		key.answer = nil
		wantError(t, name, err, tt.want)
		if made.Digits != "" || !made.Code.IsZero() || made.Number != "" {
			t.Errorf("%s: something of the card was released", name)
		}
		all, err := w.store.ByCase(t.Context(), caseID)
		if err != nil || len(all) != len(before)+1 {
			t.Fatalf("%s: %d records, want one more than %d: %v", name, len(all), len(before), err)
		}
		for _, d := range all {
			if !slices.ContainsFunc(before, func(b credentials.Issued) bool { return b.ID == d.ID }) {
				w.stands(t, name, d.ID, credentials.Abandoned)
			}
		}
		if kinds, _ := w.notes(t, caseID); kinds[len(kinds)-1] != "card.abandoned" {
			t.Errorf("%s: log ends with %s", name, kinds[len(kinds)-1])
		}
		if d, err := w.store.Get(t.Context(), s.ID); err == nil && d.State == credentials.Paused {
			w.set(t, w.house, s.ID, credentials.Resume)
		}
	}
}

// meeting is a store in which an answer comes just before a card is completed.
type meeting struct {
	credentials.Store
	card   func(credentials.ID) bool
	answer func()
}

func (m *meeting) Complete(ctx context.Context, c credentials.Completion, e ...audit.Entry) error {
	if m.card(c.ID) {
		m.answer()
	}
	return m.Store.Complete(ctx, c, e...)
}

// TestReplyMeetsCard makes a card and an answer at the same moment: neither
// may miss the other.
func TestReplyMeetsCard(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	replied := make(chan error, 1)
	store := w.db.Credentials()
	if err := w.use(&meeting{
		Store: store,
		card: func(id credentials.ID) bool {
			d, err := store.Get(t.Context(), id)
			return err == nil && d.Kind == credentials.KindCard
		},
		answer: func() {
			go func() {
				_, err := w.made(context.Background(), w.ethiopia, credentials.Order{About: s.ID, Claims: reply("ETH", "matched")})
				replied <- err
			}()
			// The answer has to wait for the card. If it did not, it would be
			// through by then.
			select {
			case err := <-replied:
				replied <- err
			case <-time.After(200 * time.Millisecond):
			}
		},
	}); err != nil {
		t.Fatal(err)
	}
	made := w.card(t, w.house, cardOrder(caseID, s.ID))
	if err := <-replied; err != nil {
		t.Fatal(err)
	}
	w.answers(t, "answered at the same moment", made, credentials.AnswerMission)
}

// TestSecondPairOfEyes: a worker alone makes a person's first card and one more in
// the same name; another name, and the third in a month, take a supervisor.
func TestSecondPairOfEyes(t *testing.T) {
	w := newWorld(t)
	try := func(caseID string, about credentials.ID, name string, supervised bool, want error) {
		t.Helper()
		o := cardOrder(caseID, about)
		o.Name, o.Supervised = private.New(name), supervised
		before := w.key(w.house).count()
		_, err := w.issuer.IssueCard(t.Context(), w.house, o)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if want != nil && w.key(w.house).count() != before {
			t.Errorf("%s was signed", name)
		}
	}
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	try(caseID, s.ID, "TESTER, AMINA", false, nil)
	try(caseID, s.ID, "OTHER, BERTHA", false, credentials.ErrSupervisor)
	try(caseID, "", "OTHER, BERTHA", false, credentials.ErrSupervisor) // also on a card that says nothing
	try(caseID, s.ID, "Amina  Tester", false, nil)                     // one name, written in another way
	try(caseID, s.ID, "TESTER, AMINA", false, credentials.ErrSupervisor)
	try(caseID, s.ID, "TESTER, AMINA", true, nil)
	w.clock = w.clock.AddDate(0, 0, 30)
	again := w.screening(t, w.house, caseID)
	try(caseID, again.ID, "TESTER, AMINA", false, nil) // a month later
	try(caseID, again.ID, "OTHER, BERTHA", true, nil)
	try(caseID, again.ID, "TESTER, AMINA", false, credentials.ErrSupervisor) // of two names, each is another

	// Withdrawing the first makes no room for another name.
	second := w.cases.open(w.house)
	o := cardOrder(second, "")
	o.Name = private.New("OTHER, BERTHA")
	first := w.card(t, w.house, o)
	_, err := w.issuer.ChangeCard(t.Context(), w.house, first.ID, credentials.Withdraw, credentials.ReasonMistake, "")
	wantError(t, "withdraw", err, nil)
	try(second, "", "TESTER, AMINA", false, credentials.ErrSupervisor)

	// Equal names of two cases do not look equal.
	one, err := w.store.ByCase(t.Context(), caseID)
	wantError(t, "read", err, nil)
	other, err := w.store.ByCase(t.Context(), second)
	wantError(t, "read", err, nil)
	for _, a := range one {
		for _, b := range other {
			if a.Card != nil && b.Card != nil && a.Card.Holder == b.Card.Holder {
				t.Error("a name is seen in two cases")
			}
		}
	}
}

// TestTwoNamesAtOnce: of two first cards in two names that are made at the same
// moment, a worker gets one.
func TestTwoNamesAtOnce(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for _, name := range []string{"TESTER, AMINA", "OTHER, BERTHA", "THIRD, CARLA"} {
		o := cardOrder(caseID, "")
		o.Name, o.Supervised = private.New(name), false
		wg.Go(func() {
			switch _, err := w.issuer.IssueCard(context.Background(), w.house, o); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, credentials.ErrSupervisor):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || refused.Load() != 2 {
		t.Errorf("%d cards were made and %d refused, want 1 and 2", made.Load(), refused.Load())
	}
}
