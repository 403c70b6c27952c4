package credentials_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// errSees is what a signer says who sees no reason.
var errSees = errors.New("no reason")

// receipts gives a receipt for everything that is signed.
type receipts struct{ *agencies }

func (receipts) Receipt(_ context.Context, list uint16, index uint32) ([]byte, error) {
	return fmt.Appendf(nil, "%d/%d", list, index), nil
}

// judging is a desk whose signer holds each list against the last that it stands by.
type judging struct {
	*desk
	stands map[string]string   // lists by their addresses
	shown  [][]approval.Change // with each list that was signed
	blind  bool                // it sees no reason in anything
	sees   func(approval.Change) bool
	asked  int
}

func newJudging(t *testing.T, w *world, changes int) *judging {
	t.Helper()
	j := &judging{desk: newDesk(t, w, changes, nil), stands: map[string]string{}}
	issuer, err := credentials.NewIssuer(credentials.IssuerConfig{
		Store: w.store, Keys: receipts{w.agencies}, Cases: w.cases, Network: w.agencies, StatusLists: statusLists, Now: w.now, Agreed: w.agreed,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.issuer = issuer
	if j.publisher, err = credentials.NewPublisher(credentials.PublisherConfig{
		Store: w.store, Decoys: w.agencies.Decoys, StatusLists: statusLists, AnswersLists: answersLists, Changes: changes, Now: w.now,
		Said: func(_ context.Context, address string) (string, bool, error) { return j.stands[address], true, nil },
		Signer: func(ctx context.Context) (string, crypto.Signer, error) {
			shown := approval.Of(ctx).Changes
			j.asked++
			if j.blind && len(shown) > 0 || j.sees != nil && slices.ContainsFunc(shown, func(one approval.Change) bool { return !j.sees(one) }) {
				return "", nil, errSees
			}
			j.shown = append(j.shown, shown)
			return "status-key", j.key, nil
		},
		Refused: errSees,
	}); err != nil {
		t.Fatal(err)
	}
	return j
}

// published has what was published stand in a pack.
func (j *judging) published() {
	j.Helper()
	status, answers, err := j.w.store.Tokens(j.Context(), 0)
	if err != nil {
		j.Fatal(err)
	}
	j.stands[statusLists+"0"], j.stands[answersLists+"0"] = status, answers
}

// reasons are the places that something was shown for with the last lists.
func (j *judging) reasons(what string, want ...approval.Change) {
	j.Helper()
	if len(j.shown) == 0 || len(j.shown[len(j.shown)-1]) != len(want) {
		j.Fatalf("%s: shown %v, want %d", what, j.shown, len(want))
	}
	for i, got := range j.shown[len(j.shown)-1] {
		if got.Index != want[i].Index || string(got.Card) != string(want[i].Card) || string(got.Reply) != string(want[i].Reply) || len(got.Act) > 0 != (len(want[i].Act) > 0) || len(got.Proofs) != len(want[i].Proofs) {
			j.Errorf("%s: shown %+v, want %+v", what, got, want[i])
		}
	}
}

// TestPublishReasons: what shows that places may change goes with the lists, for all that
// differs from the lists that stand, whatever the rows say was published. What nothing is
// shown for, or not believed, stays as it stands, and the rest is published.
func TestPublishReasons(t *testing.T) {
	w := newWorld(t)
	j := newJudging(t, w, 4)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	c := w.card(t, w.house, cardOrder(caseID, s.ID))
	r := w.issue(t, w.ethiopia, credentials.Order{About: s.ID, Claims: reply("ETH", "matched")})
	receipt := func(d credentials.Issued) []byte { return fmt.Appendf(nil, "%d/%d", d.List, d.Index) }
	answer := approval.Change{Index: c.Index, Card: receipt(c.Issued), Reply: receipt(r.Issued)}
	one := credentials.Published{Lists: 1, Changed: 1}
	j.window(one, credentials.Window{})
	j.shows("confirmed", c.Issued, statuslist.Valid, credentials.AnswerMission)
	j.reasons("confirmed", answer)
	j.window(credentials.Published{Lists: 1}, credentials.Window{})
	j.reasons("in no pack yet", answer)
	j.published()
	j.window(credentials.Published{Lists: 1}, credentials.Window{})
	j.reasons("what stands")

	// A pause needs no reason, and its end one.
	w.set(t, w.house, c.ID, credentials.Pause)
	j.window(one, credentials.Window{})
	j.reasons("paused")
	j.published()
	w.set(t, w.house, c.ID, credentials.Resume)
	back := answer
	back.Act, back.Proofs = []byte("an act"), make([]approval.Proof, 2)
	j.blind = true
	j.window(credentials.Published{Lists: 1, Waiting: 1, Held: 1}, credentials.Window{})
	j.shows("not believed", c.Issued, statuslist.Suspended, credentials.AnswerMission)
	other := w.screening(t, w.house, caseID)
	w.set(t, w.house, other.ID, credentials.Withdraw)
	j.window(credentials.Published{Lists: 1, Changed: 1, Waiting: 1, Held: 1}, credentials.Window{})
	j.shows("a withdrawal beside it", other.Issued, statuslist.Invalid, credentials.AnswerNone)
	j.blind = false
	j.window(one, credentials.Window{})
	j.reasons("its end", back)
	j.shows("in use again", c.Issued, statuslist.Valid, credentials.AnswerMission)

	// The rows say that it was published, and whoever signs begins anew and believes
	// nothing: then it was not.
	j.published()
	j.stands, j.blind = map[string]string{}, true
	j.window(credentials.Published{Lists: 1, Waiting: 1, Held: 1}, credentials.Window{})
	j.shows("published, and stands nowhere", c.Issued, statuslist.Valid, credentials.AnswerNone)
	j.blind = false
	j.window(one, credentials.Window{})
	j.reasons("shown again", back)
	j.shows("shown again", c.Issued, statuslist.Valid, credentials.AnswerMission)
	j.published()

	// A reply that is gone takes the answer with it, and nothing has to be shown.
	w.set(t, w.ethiopia, r.ID, credentials.Withdraw)
	j.window(credentials.Published{Lists: 1, Changed: 2}, credentials.Window{})
	j.reasons("taken back")
	j.shows("taken back", c.Issued, statuslist.Valid, credentials.AnswerNone)

	// What cannot be asked is not published.
	boom := errors.New("away")
	p, err := credentials.NewPublisher(credentials.PublisherConfig{
		Store: w.store, Decoys: w.agencies.Decoys, StatusLists: statusLists, AnswersLists: answersLists, Now: w.now,
		Said:   func(context.Context, string) (string, bool, error) { return "", true, boom },
		Signer: func(context.Context) (string, crypto.Signer, error) { return "status-key", j.key, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Publish(t.Context(), audit.Actor{}, credentials.Window{})
	wantError(t, "nobody says what stands", err, boom)
}

// TestPublishRefusedAlone: of all that there is a reason for, what the signer does not
// believe is held alone, a place's answer without the end of its pause, and is asked about
// last as long as it is not believed.
func TestPublishRefusedAlone(t *testing.T) {
	w := newWorld(t)
	j := newJudging(t, w, 16)
	receipt := func(d credentials.Issued) string { return fmt.Sprintf("%d/%d", d.List, d.Index) }
	var cards, replies []credentials.Issued
	for range 8 {
		caseID := w.cases.open(w.house)
		s := w.screening(t, w.house, caseID)
		cards = append(cards, w.card(t, w.house, cardOrder(caseID, s.ID)).Issued)
		replies = append(replies, w.issue(t, w.ethiopia, credentials.Order{About: s.ID, Claims: reply("ETH", "matched")}).Issued)
	}
	// The first, whose pause ends, and the sixth are answered by what is not believed.
	w.set(t, w.house, cards[0].ID, credentials.Pause)
	j.sees = func(one approval.Change) bool {
		return string(one.Reply) != receipt(replies[0]) && string(one.Reply) != receipt(replies[5])
	}
	j.window(credentials.Published{Lists: 1, Changed: 7, Waiting: 2, Held: 2}, credentials.Window{})
	j.published()
	w.set(t, w.house, cards[0].ID, credentials.Resume)
	j.asked = 0
	j.window(credentials.Published{Lists: 1, Changed: 1, Waiting: 2, Held: 2}, credentials.Window{})
	if j.asked > 6 { // all, all others, both, each alone, and the window
		t.Errorf("asked %d times, for two that were not believed before", j.asked)
	}
	for i, c := range cards {
		want := credentials.AnswerMission
		if i == 0 || i == 5 {
			want = credentials.AnswerNone
		}
		j.shows(fmt.Sprintf("card %d", i), c, statuslist.Valid, want)
	}
	j.published()
	j.sees = nil
	j.window(credentials.Published{Lists: 1, Changed: 2}, credentials.Window{})
	j.shows("believed later", cards[0], statuslist.Valid, credentials.AnswerMission)
}

// TestPublishWithoutReceipt: what was issued before there were receipts waits, and nobody
// waits for it.
func TestPublishWithoutReceipt(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	bare := w.card(t, w.house, cardOrder(caseID, s.ID))
	j := newJudging(t, w, 4)
	w.issue(t, w.ethiopia, credentials.Order{About: s.ID, Claims: reply("ETH", "matched")})
	j.window(credentials.Published{Lists: 1, Waiting: 1, Held: 1}, credentials.Window{})
	j.shows("without a receipt", bare.Issued, statuslist.Valid, credentials.AnswerNone)
	order := cardOrder(caseID, s.ID)
	order.Replaces = bare.ID
	c := w.card(t, w.house, order)
	j.window(credentials.Published{Lists: 1, Changed: 2, Waiting: 1, Held: 1}, credentials.Window{})
	j.shows("the one in its place", c.Issued, statuslist.Valid, credentials.AnswerMission)
	j.shows("replaced", bare.Issued, statuslist.Replaced, credentials.AnswerNone)
	if !slices.ContainsFunc(j.shown[len(j.shown)-1], func(one approval.Change) bool { return one.Index == c.Index }) {
		t.Error("nothing was shown for it")
	}
}

// TestLapse: what is over confirms nobody from the first window after its last day on,
// although nothing else happens in the case, and what is not over confirms on.
func TestLapse(t *testing.T) {
	w := newWorld(t)
	desk := newDesk(t, w, 4, nil)
	caseID := w.cases.open(w.house)
	s := w.screening(t, w.house, caseID)
	c := w.card(t, w.house, cardOrder(caseID, s.ID))
	for _, days := range []int{1, 3} {
		w.issue(t, w.ethiopia, credentials.Order{About: s.ID, Claims: reply("ETH", "matched"), ValidUntil: w.clock.AddDate(0, 0, days)})
	}
	first := w.clock
	for days, want := range []uint8{
		credentials.AnswerMission, credentials.AnswerMission, credentials.AnswerMission, credentials.AnswerMission, credentials.AnswerNone, credentials.AnswerNone,
	} {
		w.clock = first.AddDate(0, 0, days)
		if err := w.issuer.Lapse(t.Context(), audit.Actor{ID: "service"}); err != nil {
			t.Fatal(err)
		}
		if _, err := desk.publisher.Publish(t.Context(), audit.Actor{ID: "service"}, credentials.Window{}); err != nil {
			t.Fatal(err)
		}
		entries, err := w.store.Entries(t.Context(), c.List)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(entries, func(e credentials.Entry) bool { return e.Index == c.Index })
		if entries[i].PublishedAnswer != want {
			t.Errorf("after %d days: %d, want %d", days, entries[i].PublishedAnswer, want)
		}
	}
}
