package credentials_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/invalid"
)

// breaking is a store that is gone after so many changes.
type breaking struct {
	credentials.Store
	left int
}

var errBroken = errors.New("the store is gone")

func (b *breaking) Apply(ctx context.Context, seen *credentials.Seen, ch []credentials.Change, a []credentials.Answer, e ...audit.Entry) error {
	if b.left--; b.left < 0 {
		return errBroken
	}
	return b.Store.Apply(ctx, seen, ch, a, e...)
}

// TestWithdrawSigned: what an agency signed since a day goes out of use, whoever
// keeps the case; what was there before, and what others signed, stays. One that was
// cut off goes on where it was.
func TestWithdrawSigned(t *testing.T) {
	w := newWorld(t)
	console := audit.Actor{ID: "console", Role: "operator"}
	kept, foreign := w.cases.open(w.house), w.cases.open(w.river)
	before := w.screening(t, w.house, kept)
	since := w.clock.AddDate(0, 0, 1)
	w.clock = since.Add(time.Hour)

	caseID := w.cases.open(w.house)
	bad := w.screening(t, w.house, caseID)
	carries, plain := w.card(t, w.house, cardOrder(caseID, bad.ID)), w.card(t, w.house, cardOrder(kept, ""))
	w.set(t, w.house, plain.ID, credentials.Pause)
	theirs := w.screening(t, w.river, foreign)
	theirCard := w.card(t, w.river, cardOrder(foreign, theirs.ID))
	opinion := w.issue(t, w.house, credentials.Order{About: theirs.ID, Claims: sample("opinion")})
	matched := w.issue(t, w.ethiopia, credentials.Order{About: theirs.ID, Claims: reply("ETH", "matched")})
	w.answers(t, "a mission confirms", theirCard, credentials.AnswerMission)

	for _, day := range []time.Time{{}, w.clock.AddDate(0, 0, 1)} {
		if _, err := w.issuer.WithdrawSigned(t.Context(), console, w.house.Agency, day); !errors.Is(err, invalid.ErrInput) {
			t.Errorf("since %v: %v", day, err)
		}
	}

	whole := w.store
	wantError(t, "a store", w.use(&breaking{Store: whole, left: 1}), nil)
	first, err := w.issuer.WithdrawSigned(t.Context(), console, w.house.Agency, since)
	wantError(t, "cut off", err, errBroken)
	wantError(t, "a store", w.use(whole), nil)
	second, err := w.issuer.WithdrawSigned(t.Context(), console, w.house.Agency, since)
	wantError(t, "again", err, nil)
	if a, c := first.Attestations+second.Attestations, first.Cards+second.Cards; a != 2 || c != 2 {
		t.Errorf("%d attestations and %d cards were withdrawn, want 2 and 2: %+v, then %+v", a, c, first, second)
	}
	third, err := w.issuer.WithdrawSigned(t.Context(), console, w.house.Agency, since)
	wantError(t, "a third time", err, nil)
	if third != (credentials.Bulk{}) {
		t.Errorf("there was something left: %+v", third)
	}
	for what, want := range map[credentials.ID]credentials.State{
		before.ID: credentials.Active, bad.ID: credentials.Withdrawn, carries.ID: credentials.Withdrawn, plain.ID: credentials.Withdrawn,
		theirs.ID: credentials.Active, theirCard.ID: credentials.Active, opinion.ID: credentials.Withdrawn, matched.ID: credentials.Active,
	} {
		w.stands(t, string(what), what, want)
	}
	said := false
	kinds, bodies := w.notes(t, caseID)
	for i, kind := range kinds {
		said = said || kind == "screening.withdraw" && bodies[i]["actor"] == "console" && bodies[i]["reason"] == "issuer_not_relied_on"
	}
	if !said {
		t.Errorf("the history of the case does not say who withdrew it, and why: %v", bodies)
	}

	// A mission that cannot be relied on confirms nothing any more.
	_, err = w.issuer.WithdrawSigned(t.Context(), console, w.ethiopia.Agency, since)
	wantError(t, "a mission", err, nil)
	w.answers(t, "nobody confirms", theirCard, credentials.AnswerNone)

	_, err = w.issuer.ChangeAttestation(t.Context(), w.house, before.ID, credentials.Withdraw, credentials.ReasonIssuer, "")
	wantError(t, "an agency gives that reason itself", err, invalid.ErrInput)
}
