package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// inTurn repeats a call until the store is not busy with others any more: how many calls
// can wait at once hangs on the machine.
func inTurn(call func() error) error {
	for {
		if err := call(); !errors.Is(err, trouble.ErrBusy) {
			return err
		}
	}
}

// CredentialsStore is what the suite Credentials tests, with the log and the cases
// beside it.
type CredentialsStore struct {
	credentials.Store
	Log   audit.Store
	Vault vault.Store
}

// begun makes a case.
func (s CredentialsStore) begun(t *testing.T) string {
	t.Helper()
	id := NewID()
	ok(t, s.Vault.CreateRecord(t.Context(), vault.Record{ID: id, Case: id, Agency: NewID(), Recipient: "case " + id, Day: Day(0)}, nil, nil))
	return id
}

// Credentials is the suite of the credentials.Store. open returns an empty
// store whose status lists take so many real entries.
func Credentials(t *testing.T, open func(t *testing.T, capacity int) CredentialsStore) {
	for _, c := range []struct {
		name     string
		capacity int
		test     func(*testing.T, CredentialsStore)
	}{
		{"empty", 100, issuedEmpty},
		{"whole", 100, issuedWhole},
		{"reserve", 100, issuedReserve},
		{"complete", 100, issuedComplete},
		{"apply", 100, issuedApply},
		{"evidence", 100, issuedEvidence},
		{"abandon", 100, issuedAbandon},
		{"seen", 100, issuedSeen},
		{"both or neither", 100, issuedBothOrNeither},
		{"rollover", 4, issuedRollover},
		{"many at once", 150, issuedManyAtOnce},
		{"one request", 100, issuedOneRequest},
		{"queue", 100, issuedQueue},
		{"publish", 100, issuedPublish},
		{"papers", 100, issuedPapers},
		{"counts", 1000, issuedCounts},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t, c.capacity)) })
	}
}

// draft is an attestation that may be reserved, in a case and at an index of its own.
func draft(t *testing.T, s CredentialsStore, list uint16, index uint32) credentials.Issued {
	t.Helper()
	return draftOf(s.begun(t), list, index)
}

// draftOf is one in a case that is there.
func draftOf(caseID string, list uint16, index uint32) credentials.Issued {
	return credentials.Issued{
		ID: credentials.ID(NewID()), Kind: claims.KindScreening, Case: caseID, Agency: NewID(), State: credentials.Draft,
		List: list, Index: index, Digest: hash(), IssuedOn: Day(0), ValidUntil: Day(90), RequestKey: NewID(),
	}
}

// cardDraft is a card that may be reserved.
func cardDraft(t *testing.T, s CredentialsStore, list uint16, index uint32) credentials.Issued {
	t.Helper()
	d := draft(t, s, list, index)
	d.Kind, d.About = credentials.KindCard, credentials.ID(NewID())
	d.Card = &credentials.CardFacts{Epoch: 0xfedcba98, Number: tag(), Handle: tag(), Nationality: tag(), Holder: tag()}
	return d
}

func tag() (b [16]byte) {
	_, _ = rand.Read(b[:]) // never returns an error
	return b
}

// reserve writes a draft.
func reserve(t *testing.T, s CredentialsStore, d credentials.Issued) credentials.Issued {
	t.Helper()
	ok(t, s.Reserve(t.Context(), d, nil, Entry(t, d.Case)))
	return d
}

// issued writes a draft and completes it.
func issued(t *testing.T, s CredentialsStore, d credentials.Issued) credentials.Issued {
	t.Helper()
	reserve(t, s, d)
	ok(t, s.Complete(t.Context(), credentials.Completion{ID: d.ID}, Entry(t, d.Case)))
	d.State = credentials.Active
	return d
}

func openedList(t *testing.T, s CredentialsStore) uint16 {
	t.Helper()
	return get[uint16](t)(s.OpenList(t.Context()))
}

// state reads what a record stands in.
func state(t *testing.T, s CredentialsStore, id credentials.ID) credentials.State {
	t.Helper()
	return get[credentials.Issued](t)(s.Get(t.Context(), id)).State
}

// entryAt finds the entry of an index, which must be there once.
func entryAt(t *testing.T, s CredentialsStore, list uint16, index uint32) credentials.Entry {
	t.Helper()
	var found []credentials.Entry
	for _, e := range get[[]credentials.Entry](t)(s.Entries(t.Context(), list)) {
		if e.Index == index {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("index is there %d times, want once", len(found))
	}
	return found[0]
}

func logSize(t *testing.T, s CredentialsStore) int {
	t.Helper()
	return int(get[int64](t)(s.Log.Waiting(t.Context())))
}

// change is one change of state.
func change(id credentials.ID, to credentials.State, from ...credentials.State) []credentials.Change {
	return []credentials.Change{{ID: id, From: from, To: to}}
}

func issuedEmpty(t *testing.T, s CredentialsStore) {
	ctx := t.Context()
	_, err := s.Get(ctx, credentials.ID(NewID()))
	is(t, "get", err, credentials.ErrNotFound)
	_, err = s.ByRequestKey(ctx, NewID())
	is(t, "by request key", err, credentials.ErrNotFound)
	_, err = s.ByRequestKey(ctx, "")
	is(t, "by no request key", err, credentials.ErrNotFound)
	_, err = s.ByHandle(ctx, tag())
	is(t, "by handle", err, credentials.ErrNotFound)
	_, err = s.ByNumber(ctx, tag())
	is(t, "by number", err, credentials.ErrNotFound)
	same(t, "by case", len(get[[]credentials.Issued](t)(s.ByCase(ctx, NewID()))), 0)
	same(t, "drafts", len(get[[]credentials.Issued](t)(s.Drafts(ctx))), 0)
	same(t, "lists", len(get[[]uint16](t)(s.Lists(ctx))), 0)
	same(t, "entries", len(get[[]credentials.Entry](t)(s.Entries(ctx, 0))), 0)
	_, _, err = s.Tokens(ctx, 0)
	is(t, "tokens", err, credentials.ErrNotFound)
	is(t, "publish", s.Publish(ctx, 0, "", nil, "s", "a", Entry(t, "")), credentials.ErrNotFound)
	same(t, "log", logSize(t, s), 0)

	list := openedList(t, s)
	same(t, "the same list again", openedList(t, s), list)
	same(t, "lists", get[[]uint16](t)(s.Lists(ctx)), []uint16{list})
	status, answers, err := s.Tokens(ctx, list)
	ok(t, err)
	same(t, "tokens before the first window", status+answers, "")
}

// issuedWhole keeps every field of every kind of record.
func issuedWhole(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	a := draft(t, s, list, 7)
	a.About, a.Replaces, a.ReviewBy, a.Matched = credentials.ID(NewID()), credentials.ID(NewID()), Day(14), true
	c := cardDraft(t, s, list, statuslist.Entries-1)
	c.Case, c.IssuedOn = a.Case, Day(1)
	b := draft(t, s, list, 8)
	b.RequestKey = "" // several may have none
	b2 := draft(t, s, list, 9)
	b2.RequestKey = ""
	for _, d := range []credentials.Issued{a, c, b, b2} {
		reserve(t, s, d)
		same(t, "draft", get[credentials.Issued](t)(s.Get(ctx, d.ID)), d)
	}
	same(t, "drafts", len(get[[]credentials.Issued](t)(s.Drafts(ctx))), 4)

	ok(t, s.Complete(ctx, credentials.Completion{ID: a.ID, Sealed: []byte("sealed")}, Entry(t, a.Case)))
	ok(t, s.Complete(ctx, credentials.Completion{ID: c.ID, OpenKey: []byte("open key"), Salt: []byte("salt")}, Entry(t, a.Case)))
	a.State = credentials.Active
	same(t, "token", string(get[[]byte](t)(s.Token(ctx, a))), "sealed")
	_, err := s.Token(ctx, c)
	is(t, "token of a card", err, credentials.ErrNotFound)
	c.State, c.Card.OpenKey, c.Card.Salt = credentials.Active, []byte("open key"), []byte("salt")
	for _, f := range []struct {
		name string
		got  credentials.Issued
		want credentials.Issued
	}{
		{"get", get[credentials.Issued](t)(s.Get(ctx, a.ID)), a},
		{"by request key", get[credentials.Issued](t)(s.ByRequestKey(ctx, a.RequestKey)), a},
		{"card by request key", get[credentials.Issued](t)(s.ByRequestKey(ctx, c.RequestKey)), c},
		{"by handle", get[credentials.Issued](t)(s.ByHandle(ctx, c.Card.Handle)), c},
		{"by number", get[credentials.Issued](t)(s.ByNumber(ctx, c.Card.Number)), c},
	} {
		same(t, f.name, f.got, f.want)
	}
	same(t, "by case", get[[]credentials.Issued](t)(s.ByCase(ctx, a.Case)), []credentials.Issued{a, c})
	same(t, "confirming", get[[]credentials.Issued](t)(s.Confirming(ctx, a.Agency)), []credentials.Issued{a})
	same(t, "confirming nobody", len(get[[]credentials.Issued](t)(s.Confirming(ctx, b.Agency))), 0)
	ok(t, s.Apply(ctx, nil, []credentials.Change{{ID: a.ID, From: []credentials.State{credentials.Active}, To: credentials.Withdrawn}}, nil))
	same(t, "confirming no more", len(get[[]credentials.Issued](t)(s.Confirming(ctx, a.Agency))), 0)
	_, err = s.ByNumber(ctx, c.Card.Handle)
	is(t, "a handle is no number", err, credentials.ErrNotFound)
}

func issuedReserve(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	first := reserve(t, s, cardDraft(t, s, list, 5))
	same(t, "log", logSize(t, s), 1)
	for _, c := range []struct {
		name string
		edit func(*credentials.Issued)
		want error
	}{
		{"the same index", func(d *credentials.Issued) { d.Index = first.Index }, credentials.ErrIndexTaken},
		{"no such list", func(d *credentials.Issued) { d.List++ }, credentials.ErrListFull},
		{"the same request", func(d *credentials.Issued) { d.RequestKey = first.RequestKey }, credentials.ErrKeyUsed},
		{"the same number", func(d *credentials.Issued) { d.Card.Number = first.Card.Number }, credentials.ErrIndexTaken},
		{"the same handle", func(d *credentials.Issued) { d.Card.Handle = first.Card.Handle }, credentials.ErrIndexTaken},
	} {
		d := cardDraft(t, s, list, 6)
		c.edit(&d)
		is(t, c.name, s.Reserve(ctx, d, nil, Entry(t, d.Case)), c.want)
		_, err := s.Get(ctx, d.ID)
		is(t, c.name+": draft", err, credentials.ErrNotFound)
		same(t, c.name+": entries", len(get[[]credentials.Entry](t)(s.Entries(ctx, list))), 1)
		same(t, c.name+": log", logSize(t, s), 1)
	}
	reserve(t, s, cardDraft(t, s, list, 6)) // nothing of the refused ones stands in its way
	same(t, "a reserved entry", entryAt(t, s, list, 6), credentials.Entry{Index: 6})
}

func issuedComplete(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	old, card := issued(t, s, draft(t, s, list, 1)), issued(t, s, cardDraft(t, s, list, 2))
	d := draft(t, s, list, 3)
	d.Replaces = old.ID
	reserve(t, s, d)
	ok(t, s.Complete(ctx, credentials.Completion{
		ID: d.ID, Sealed: []byte("x"),
		Changes: append(change(old.ID, credentials.Replaced, credentials.Active), change(card.ID, credentials.Active, credentials.Active)...),
		Answers: []credentials.Answer{{ID: card.ID, Value: credentials.AnswerOther}},
	}, Entry(t, d.Case)))
	same(t, "state", state(t, s, d.ID), credentials.Active)
	same(t, "the old one", state(t, s, old.ID), credentials.Replaced)
	same(t, "the card", state(t, s, card.ID), credentials.Active)
	same(t, "entry of the old one", entryAt(t, s, list, 1), credentials.Entry{Index: 1, WantedStatus: statuslist.Replaced})
	same(t, "entry of the card", entryAt(t, s, list, 2), credentials.Entry{Index: 2, WantedAnswer: credentials.AnswerOther})
	same(t, "drafts", len(get[[]credentials.Issued](t)(s.Drafts(ctx))), 0)

	size := logSize(t, s)
	is(t, "twice", s.Complete(ctx, credentials.Completion{ID: d.ID, Sealed: []byte("y")}, Entry(t, d.Case)), credentials.ErrSettled)
	is(t, "unknown", s.Complete(ctx, credentials.Completion{ID: credentials.ID(NewID())}, Entry(t, d.Case)), credentials.ErrSettled)
	e := reserve(t, s, draft(t, s, list, 4))
	for name, c := range map[string]struct {
		done credentials.Completion
		want error
	}{
		"replaces what is gone":        {credentials.Completion{Changes: change(old.ID, credentials.Replaced, credentials.Active)}, credentials.ErrConflict},
		"rests on what is gone":        {credentials.Completion{Changes: change(old.ID, credentials.Active, credentials.Active)}, credentials.ErrConflict},
		"replaces what was never":      {credentials.Completion{Changes: change(credentials.ID(NewID()), credentials.Replaced, credentials.Active)}, credentials.ErrNotFound},
		"an answer for what was never": {credentials.Completion{Answers: []credentials.Answer{{ID: credentials.ID(NewID()), Value: 1}}}, credentials.ErrNotFound},
		"an open key of no card":       {credentials.Completion{OpenKey: []byte("k")}, credentials.ErrConflict},
	} {
		c.done.ID, c.done.Sealed = e.ID, []byte("z")
		is(t, name, s.Complete(ctx, c.done, Entry(t, e.Case)), c.want)
		same(t, name+": draft", get[credentials.Issued](t)(s.Get(ctx, e.ID)), e)
	}
	same(t, "token", string(get[[]byte](t)(s.Token(ctx, d))), "x")
	same(t, "log", logSize(t, s), size+1)
}

func issuedApply(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	a, b := issued(t, s, draft(t, s, list, 1)), issued(t, s, cardDraft(t, s, list, 2))
	for _, step := range []struct {
		name  string
		moves []credentials.Change
		want  error
		a, b  credentials.State
		entry uint8
	}{
		{"pause both", append(change(a.ID, credentials.Paused, credentials.Active), change(b.ID, credentials.Paused, credentials.Active)...), nil, credentials.Paused, credentials.Paused, statuslist.Suspended},
		{"one of two may not", append(change(a.ID, credentials.Active, credentials.Paused), change(b.ID, credentials.Withdrawn, credentials.Active)...), credentials.ErrConflict, credentials.Paused, credentials.Paused, statuslist.Suspended},
		{"one of two is unknown", append(change(a.ID, credentials.Active, credentials.Paused), change(credentials.ID(NewID()), credentials.Active, credentials.Paused)...), credentials.ErrNotFound, credentials.Paused, credentials.Paused, statuslist.Suspended},
		{"resume one", change(a.ID, credentials.Active, credentials.Paused), nil, credentials.Active, credentials.Paused, statuslist.Valid},
		{"look only", change(b.ID, credentials.Paused, credentials.Active, credentials.Paused), nil, credentials.Active, credentials.Paused, statuslist.Valid},
		{"withdraw one", change(a.ID, credentials.Withdrawn, credentials.Active, credentials.Paused), nil, credentials.Withdrawn, credentials.Paused, statuslist.Invalid},
		{"back from there", change(a.ID, credentials.Active, credentials.Active, credentials.Paused), credentials.ErrConflict, credentials.Withdrawn, credentials.Paused, statuslist.Invalid},
		{"nothing", nil, nil, credentials.Withdrawn, credentials.Paused, statuslist.Invalid},
	} {
		size := logSize(t, s)
		err := s.Apply(ctx, nil, step.moves, nil, Entry(t, a.Case))
		if step.want == nil {
			ok(t, err)
			size++
		} else {
			is(t, step.name, err, step.want)
		}
		same(t, step.name+": first", state(t, s, a.ID), step.a)
		same(t, step.name+": second", state(t, s, b.ID), step.b)
		same(t, step.name+": wanted", entryAt(t, s, list, 1).WantedStatus, step.entry)
		same(t, step.name+": log", logSize(t, s), size)
	}
	ok(t, s.Apply(ctx, nil, nil, []credentials.Answer{{ID: b.ID, Value: credentials.AnswerMission}}, Entry(t, a.Case)))
	same(t, "answer", entryAt(t, s, list, 2).WantedAnswer, credentials.AnswerMission)
	if card, err := s.Get(ctx, b.ID); err != nil {
		t.Error(err)
	} else if wanted, err := s.Wanted(ctx, card); err != nil || wanted.ID != b.ID || wanted.Value != credentials.AnswerMission {
		t.Errorf("got %+v, %v", wanted, err)
	}
	size := logSize(t, s)
	ok(t, s.Contest(ctx, nil, b.ID, credentials.ObjectionOther, []credentials.Answer{{ID: b.ID, Value: credentials.AnswerNone}}, Entry(t, a.Case)))
	contested, err := s.Get(ctx, b.ID)
	ok(t, err)
	same(t, "contested", contested.Contested, credentials.ObjectionOther)
	same(t, "contested: answer", entryAt(t, s, list, 2).WantedAnswer, credentials.AnswerNone)
	is(t, "seen before that", s.Contest(ctx, credentials.See(b.Case, []credentials.Issued{b}), b.ID, "", nil, Entry(t, a.Case)), credentials.ErrChanged)
	ok(t, s.Contest(ctx, nil, b.ID, "", nil, Entry(t, a.Case)))
	is(t, "contest of nobody", s.Contest(ctx, nil, credentials.ID(NewID()), "", nil, Entry(t, a.Case)), credentials.ErrNotFound)
	same(t, "contested: log", logSize(t, s), size+2)
	is(t, "answer of nobody", s.Apply(ctx, nil, nil, []credentials.Answer{{ID: credentials.ID(NewID())}}, Entry(t, a.Case)), credentials.ErrNotFound)
}

// issuedSeen changes a case under the eyes of somebody who works out what
// follows from another change of it.
func issuedSeen(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	a := issued(t, s, draft(t, s, list, 1))
	b := draft(t, s, list, 2)
	b.Case = a.Case
	reserve(t, s, b)
	related := func() []credentials.Issued { return get[[]credentials.Issued](t)(s.ByCase(ctx, a.Case)) }
	seen := credentials.See(a.Case, related())
	c := draft(t, s, list, 3)
	c.Case = a.Case
	reserve(t, s, c) // drafts are not seen
	ok(t, s.Apply(ctx, seen, change(a.ID, credentials.Paused, credentials.Active), nil, Entry(t, a.Case)))

	size := logSize(t, s)
	is(t, "complete, the case was changed", s.Complete(ctx, credentials.Completion{ID: b.ID, Seen: seen}, Entry(t, a.Case)), credentials.ErrChanged)
	is(t, "apply, the case was changed", s.Apply(ctx, seen, change(a.ID, credentials.Withdrawn, credentials.Paused), nil, Entry(t, a.Case)), credentials.ErrChanged)
	same(t, "first", state(t, s, a.ID), credentials.Paused)
	same(t, "second", state(t, s, b.ID), credentials.Draft)
	same(t, "log", logSize(t, s), size)
	seen = credentials.See(a.Case, related())
	ok(t, s.Complete(ctx, credentials.Completion{ID: b.ID, Seen: seen}, Entry(t, a.Case)))
	is(t, "what was a draft counts now", s.Complete(ctx, credentials.Completion{ID: c.ID, Seen: seen}, Entry(t, a.Case)), credentials.ErrChanged)
	ok(t, s.Complete(ctx, credentials.Completion{ID: c.ID, Seen: credentials.See(a.Case, related())}, Entry(t, a.Case)))
}

// issuedEvidence keeps what shows that a place may change, as long as it is wanted.
func issuedEvidence(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	c, r := cardDraft(t, s, list, 1), draft(t, s, list, 2)
	r.Case, r.Matched = c.Case, true
	for _, d := range []credentials.Issued{c, r} {
		reserve(t, s, d)
	}
	ok(t, s.Complete(ctx, credentials.Completion{ID: c.ID, OpenKey: []byte("k"), Salt: []byte("s"), Receipt: []byte("card")}, Entry(t, c.Case)))
	same(t, "the receipt", string(get[credentials.Issued](t)(s.Get(ctx, c.ID)).Receipt), "card")
	shown := func() approval.Change {
		t.Helper()
		all := get[[]approval.Change](t)(s.Evidence(ctx, list, []uint32{2, 1}))
		if len(all) != 2 || all[0].Index != 2 {
			t.Fatalf("%d places", len(all))
		}
		return all[1]
	}
	same(t, "a card", shown(), approval.Change{List: list, Index: 1, Card: []byte("card")})
	ok(t, s.Complete(ctx, credentials.Completion{
		ID: r.ID, Sealed: []byte("x"), Receipt: []byte("reply"), Answers: []credentials.Answer{{ID: c.ID, Value: credentials.AnswerMission, Reply: r.ID}},
	}, Entry(t, c.Case)))
	same(t, "an answer", shown(), approval.Change{List: list, Index: 1, Card: []byte("card"), Reply: []byte("reply")})
	same(t, "not over", len(get[[]credentials.Issued](t)(s.Over(ctx, r.ValidUntil.AddDate(0, 0, -1)))), 0)
	over := get[[]credentials.Issued](t)(s.Over(ctx, r.ValidUntil))
	if len(over) != 1 || over[0].ID != r.ID {
		t.Errorf("over: %v", over)
	}
	act, err := approval.New(NewID(), "status.resume", NewID(), "", struct{}{}, Day(1), time.Hour)
	ok(t, err)
	data, err := act.Bytes()
	ok(t, err)
	agreed := &credentials.Approval{Act: act, Proofs: []approval.Proof{{Person: NewID(), Credential: []byte("c")}, {Person: NewID(), Credential: []byte("d")}}}
	back := change(c.ID, credentials.Active, credentials.Paused)
	back[0].Agreed = agreed
	ok(t, s.Apply(ctx, nil, change(c.ID, credentials.Paused, credentials.Active), nil, Entry(t, c.Case)))
	ok(t, s.Apply(ctx, nil, back, nil, Entry(t, c.Case)))
	same(t, "in use again", shown(), approval.Change{List: list, Index: 1, Card: []byte("card"), Reply: []byte("reply"), Act: data, Proofs: agreed.Proofs})
	ok(t, s.Apply(ctx, nil, change(c.ID, credentials.Paused, credentials.Active), []credentials.Answer{{ID: c.ID}}, Entry(t, c.Case)))
	same(t, "paused, and the answer taken back", shown(), approval.Change{List: list, Index: 1, Card: []byte("card")})
	same(t, "over, and wanted by no card", len(get[[]credentials.Issued](t)(s.Over(ctx, r.ValidUntil))), 0)
	_, err = s.Evidence(ctx, list, []uint32{9})
	is(t, "a place of nobody", err, credentials.ErrNotFound)
}

// issuedAbandon gives the request key back and never the index.
func issuedAbandon(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	d := reserve(t, s, draft(t, s, list, 1))
	ok(t, s.Apply(ctx, nil, change(d.ID, credentials.Abandoned, credentials.Draft), nil, Entry(t, d.Case)))
	same(t, "state", state(t, s, d.ID), credentials.Abandoned)
	same(t, "entry", entryAt(t, s, list, 1), credentials.Entry{Index: 1, WantedStatus: statuslist.Invalid})
	same(t, "drafts", len(get[[]credentials.Issued](t)(s.Drafts(ctx))), 0)
	_, err := s.ByRequestKey(ctx, d.RequestKey)
	is(t, "request key", err, credentials.ErrNotFound)
	is(t, "completed after all", s.Complete(ctx, credentials.Completion{ID: d.ID}, Entry(t, d.Case)), credentials.ErrSettled)

	again := draft(t, s, list, 1)
	again.RequestKey = d.RequestKey
	is(t, "the index again", s.Reserve(ctx, again, nil, Entry(t, d.Case)), credentials.ErrIndexTaken)
	again.Index = 2
	reserve(t, s, again)
	same(t, "by request key", get[credentials.Issued](t)(s.ByRequestKey(ctx, d.RequestKey)).ID, again.ID)
}

// issuedBothOrNeither makes the log refuse, and looks that nothing else
// happened.
func issuedBothOrNeither(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	active, waits := issued(t, s, cardDraft(t, s, list, 1)), reserve(t, s, draft(t, s, list, 2))
	twice := Entry(t, active.Case)
	ok(t, s.Apply(ctx, nil, nil, nil, twice))
	size := logSize(t, s)
	entries := get[[]credentials.Entry](t)(s.Entries(ctx, list))
	fresh := draft(t, s, list, 3)
	for name, do := range map[string]func(...audit.Entry) error{
		"reserve": func(e ...audit.Entry) error { return s.Reserve(ctx, fresh, nil, e...) },
		"complete": func(e ...audit.Entry) error {
			return s.Complete(ctx, credentials.Completion{ID: waits.ID, Sealed: []byte("x"), Changes: change(active.ID, credentials.Replaced, credentials.Active)}, e...)
		},
		"apply": func(e ...audit.Entry) error {
			return s.Apply(ctx, nil, change(active.ID, credentials.Withdrawn, credentials.Active), []credentials.Answer{{ID: active.ID, Value: 1}}, e...)
		},
		"publish": func(e ...audit.Entry) error {
			return s.Publish(ctx, list, "", []credentials.Entry{{Index: 9, Decoy: true, PublishedStatus: 1}}, "s", "a", e...)
		},
	} {
		// The second entry has an id that is in the log already.
		if err := do(Entry(t, active.Case), twice); err == nil {
			t.Errorf("%s: the log refused, and it went on", name)
		}
		same(t, name+": log", logSize(t, s), size)
		same(t, name+": entries", get[[]credentials.Entry](t)(s.Entries(ctx, list)), entries)
		same(t, name+": active", state(t, s, active.ID), credentials.Active)
		same(t, name+": draft", state(t, s, waits.ID), credentials.Draft)
		_, err := s.Get(ctx, fresh.ID)
		is(t, name+": fresh", err, credentials.ErrNotFound)
		status, answers, err := s.Tokens(ctx, list)
		ok(t, err)
		same(t, name+": tokens", status+answers, "")
	}
}

// issuedRollover fills lists of four entries.
func issuedRollover(t *testing.T, s CredentialsStore) {
	ctx, first := t.Context(), openedList(t, s)
	reserve(t, s, draft(t, s, first, 0))
	same(t, "lists, a quarter full", get[[]uint16](t)(s.Lists(ctx)), []uint16{first})
	is(t, "a taken index", s.Reserve(ctx, draft(t, s, first, 0), nil, Entry(t, "")), credentials.ErrIndexTaken)
	reserve(t, s, draft(t, s, first, 1))
	same(t, "lists, half full", get[[]uint16](t)(s.Lists(ctx)), []uint16{first, first + 1})
	same(t, "new entries still go to the first", openedList(t, s), first)
	reserve(t, s, draft(t, s, first, 2))
	last := reserve(t, s, draft(t, s, first, 3))
	second := openedList(t, s)
	same(t, "the next list", second, first+1)
	is(t, "a full list", s.Reserve(ctx, draft(t, s, first, 4), nil, Entry(t, "")), credentials.ErrListFull)
	same(t, "entries", len(get[[]credentials.Entry](t)(s.Entries(ctx, first))), 4)
	reserve(t, s, draft(t, s, second, 0)) // the same index of another list
	same(t, "lists", get[[]uint16](t)(s.Lists(ctx)), []uint16{first, second})

	// A full list takes nothing more and goes on changing.
	ok(t, s.Complete(ctx, credentials.Completion{ID: last.ID}, Entry(t, "")))
	ok(t, s.Apply(ctx, nil, change(last.ID, credentials.Withdrawn, credentials.Active), nil, Entry(t, "")))
	same(t, "wanted", entryAt(t, s, first, 3).WantedStatus, statuslist.Invalid)
	ok(t, s.Publish(ctx, first, "", []credentials.Entry{{Index: 3, PublishedStatus: statuslist.Invalid}}, "s", "a", Entry(t, "")))
}

// issuedManyAtOnce has 200 goroutines reserve on a list with room for 150.
func issuedManyAtOnce(t *testing.T, s CredentialsStore) {
	first := openedList(t, s)
	var wg sync.WaitGroup
	for i := range 200 {
		caseID := s.begun(t)
		wg.Go(func() {
			// Neighbours want the same index, so that many are refused once.
			for index := uint32(i / 2); ; index += 1000 {
				list, err := s.OpenList(context.Background())
				if err != nil {
					t.Errorf("open list: %v", err)
					return
				}
				d := draftOf(caseID, list, index)
				err = inTurn(func() error { return s.Reserve(context.Background(), d, nil, Entry(t, d.Case)) })
				if err == nil {
					return
				}
				if !errors.Is(err, credentials.ErrIndexTaken) && !errors.Is(err, credentials.ErrListFull) {
					t.Errorf("reserve: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	seen := map[[2]uint32]bool{}
	for _, d := range get[[]credentials.Issued](t)(s.Drafts(t.Context())) {
		place := [2]uint32{uint32(d.List), d.Index}
		if seen[place] {
			t.Error("an index was given out twice")
		}
		seen[place] = true
	}
	same(t, "drafts", len(seen), 200)
	same(t, "entries of the first list", len(get[[]credentials.Entry](t)(s.Entries(t.Context(), first))), 150)
	same(t, "entries of the next list", len(get[[]credentials.Entry](t)(s.Entries(t.Context(), first+1))), 50)
	same(t, "log", logSize(t, s), 200)
}

// issuedOneRequest has many goroutines use one request key.
func issuedOneRequest(t *testing.T, s CredentialsStore) {
	list, key := openedList(t, s), NewID()
	var wg sync.WaitGroup
	won := make(chan credentials.ID, 20)
	for i := range 20 {
		caseID := s.begun(t)
		wg.Go(func() {
			d := draftOf(caseID, list, uint32(i))
			d.RequestKey = key
			switch err := inTurn(func() error { return s.Reserve(context.Background(), d, nil, Entry(t, d.Case)) }); {
			case err == nil:
				won <- d.ID
			case !errors.Is(err, credentials.ErrKeyUsed):
				t.Errorf("reserve: %v", err)
			}
		})
	}
	wg.Wait()
	same(t, "winners", len(won), 1)
	same(t, "by request key", get[credentials.Issued](t)(s.ByRequestKey(t.Context(), key)).ID, <-won)
	same(t, "entries", len(get[[]credentials.Entry](t)(s.Entries(t.Context(), list))), 1)
	same(t, "log", logSize(t, s), 1)
}

// issuedQueue looks at the order in which entries wait for publication.
func issuedQueue(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	var d [4]credentials.Issued
	for i := range d {
		d[i] = issued(t, s, cardDraft(t, s, list, uint32(i)))
	}
	order := func() (indices []uint32) {
		for _, e := range get[[]credentials.Entry](t)(s.Entries(ctx, list)) {
			if e.WantedStatus != e.PublishedStatus || e.WantedAnswer != e.PublishedAnswer {
				indices = append(indices, e.Index)
			}
		}
		return indices
	}
	same(t, "nothing waits", len(order()), 0)
	ok(t, s.Apply(ctx, nil, change(d[2].ID, credentials.Paused, credentials.Active), nil, Entry(t, "")))
	ok(t, s.Apply(ctx, nil, nil, []credentials.Answer{{ID: d[0].ID, Value: 1}}, Entry(t, "")))
	ok(t, s.Apply(ctx, nil, change(d[3].ID, credentials.Withdrawn, credentials.Active), nil, Entry(t, "")))
	same(t, "as they came", order(), []uint32{2, 0, 3})
	ok(t, s.Apply(ctx, nil, change(d[2].ID, credentials.Withdrawn, credentials.Paused), nil, Entry(t, "")))
	same(t, "who waits keeps the place", order(), []uint32{2, 0, 3})
	ok(t, s.Publish(ctx, list, "", []credentials.Entry{{Index: 0, PublishedAnswer: 1}}, "s", "a", Entry(t, "")))
	same(t, "one is public", order(), []uint32{2, 3})
	ok(t, s.Apply(ctx, nil, nil, []credentials.Answer{{ID: d[0].ID}}, Entry(t, "")))
	same(t, "and comes again, last", order(), []uint32{2, 3, 0})
}

func issuedPublish(t *testing.T, s CredentialsStore) {
	ctx, list := t.Context(), openedList(t, s)
	d := issued(t, s, cardDraft(t, s, list, 1))
	ok(t, s.Apply(ctx, nil, change(d.ID, credentials.Paused, credentials.Active), nil, Entry(t, "")))
	decoy := credentials.Entry{Index: 2, Decoy: true, WantedStatus: 2, PublishedStatus: 2}
	ok(t, s.Publish(ctx, list, "", []credentials.Entry{{Index: 1, PublishedStatus: 2}, decoy}, "status", "answers", Entry(t, "")))
	status, answers, err := s.Tokens(ctx, list)
	ok(t, err)
	same(t, "tokens", []string{status, answers}, []string{"status", "answers"})
	same(t, "real", entryAt(t, s, list, 1), credentials.Entry{Index: 1, WantedStatus: 2, PublishedStatus: 2})
	same(t, "decoy", entryAt(t, s, list, 2), decoy)

	// What came to be wanted while the window was made stays wanted.
	ok(t, s.Apply(ctx, nil, change(d.ID, credentials.Withdrawn, credentials.Paused), nil, Entry(t, "")))
	decoy = credentials.Entry{Index: 2, Decoy: true, WantedAnswer: 3, PublishedAnswer: 3}
	ok(t, s.Publish(ctx, list, "status", []credentials.Entry{{Index: 1, WantedStatus: 2, PublishedStatus: 2, PublishedAnswer: 1}, decoy}, "s2", "a2", Entry(t, "")))
	same(t, "real again", entryAt(t, s, list, 1), credentials.Entry{Index: 1, WantedStatus: 1, PublishedStatus: 2, PublishedAnswer: 1})
	same(t, "decoy again", entryAt(t, s, list, 2), decoy)

	is(t, "a decoy's index for somebody", s.Reserve(ctx, draft(t, s, list, 2), nil, Entry(t, "")), credentials.ErrIndexTaken)
	entries, size := get[[]credentials.Entry](t)(s.Entries(ctx, list)), logSize(t, s)
	for _, c := range []struct {
		name   string
		bad    credentials.Entry
		list   uint16
		before string
		want   error
	}{
		{"a decoy on a real index", credentials.Entry{Index: 1, Decoy: true, PublishedStatus: 1}, list, "s2", credentials.ErrIndexTaken},
		{"a real entry that is not there", credentials.Entry{Index: 9, PublishedStatus: 1}, list, "s2", credentials.ErrNotFound},
		{"a real entry that is a decoy", credentials.Entry{Index: 2, PublishedStatus: 1}, list, "s2", credentials.ErrNotFound},
		{"no such list", credentials.Entry{Index: 1}, list + 1, "", credentials.ErrNotFound},
		{"made from an older list", credentials.Entry{Index: 1, PublishedStatus: 1}, list, "status", credentials.ErrChanged},
	} {
		good := credentials.Entry{Index: 3, Decoy: true, PublishedStatus: 1, WantedStatus: 1}
		is(t, c.name, s.Publish(ctx, c.list, c.before, []credentials.Entry{good, c.bad}, "s3", "a3", Entry(t, "")), c.want)
		same(t, c.name+": entries", get[[]credentials.Entry](t)(s.Entries(ctx, list)), entries)
		status, answers, err = s.Tokens(ctx, list)
		ok(t, err)
		same(t, c.name+": tokens", status+answers, "s2a2")
		same(t, c.name+": log", logSize(t, s), size)
	}
}

// issuedPapers: tries are counted by number and hour, taken out again if they were right,
// and forgotten.
func issuedPapers(t *testing.T, s CredentialsStore) {
	a, b := tag(), tag()
	of := func(number [16]byte, who string, daily int) credentials.Budget {
		return credentials.Budget{Place: number, Who: who, Daily: daily}
	}
	tryAll := func(what string, hour int64, want bool, budgets ...credentials.Budget) {
		t.Helper()
		same(t, what, get[bool](t)(s.TryPaper(t.Context(), budgets, hour)), want)
	}
	try := func(what string, number [16]byte, hour int64, want bool) {
		t.Helper()
		tryAll(what, hour, want, of(number, "", 5))
	}
	settle := func(number [16]byte, hour int64, right bool) {
		t.Helper()
		ok(t, s.SettlePaper(t.Context(), []credentials.Budget{of(number, "", 5)}, hour, right))
	}
	for _, hour := range []int64{1000, 1000, 1000, 1001, 1002} {
		try("in the day", a, hour, true)
		settle(a, hour, false)
	}
	try("a sixth in the day", a, 1002, false)
	settle(a, 1002, false)
	try("another number", b, 1000, true)
	try("at the end of the day", a, 1023, false)
	for range 7 {
		try("a day after the first", a, 1024, true) // three are out of the day
		settle(a, 1024, true)
	}
	same(t, "log", get[int64](t)(s.Log.Waiting(t.Context())), int64(0))

	ok(t, s.SweepPapers(t.Context(), 1001))
	for range 3 {
		try("what was not swept", a, 1024, true)
	}
	try("a sixth in the day", a, 1024, false)

	// What one budget has no room for takes nothing of the others, and what was right
	// nothing of any.
	hers, all := of(tag(), "actor:1", 2), of(tag(), "", 3)
	for range 4 {
		tryAll("right", 1500, true, hers, all)
		ok(t, s.SettlePaper(t.Context(), []credentials.Budget{hers, all}, 1500, true))
	}
	for _, want := range []bool{true, true, false, false} {
		tryAll("hers", 1500, want, hers, all)
		ok(t, s.SettlePaper(t.Context(), []credentials.Budget{hers, all}, 1500, false))
	}
	for _, want := range []bool{true, false} {
		tryAll("somebody else's", 1500, want, of(tag(), "actor:2", 2), all)
	}

	// Many at once are not more.
	c := tag()
	var within atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			var ok bool
			err := inTurn(func() (err error) {
				ok, err = s.TryPaper(context.Background(), []credentials.Budget{of(c, "", 3)}, 2000)
				return err
			})
			if err != nil {
				t.Errorf("at once: %v", err)
			}
			if ok {
				within.Add(1)
			}
		})
	}
	wg.Wait()
	same(t, "within, at once", within.Load(), int32(3))
}

func leaves(t *testing.T, s CredentialsStore) int {
	t.Helper()
	return int(get[int64](t)(s.Log.Waiting(t.Context())))
}

// issuedCounts: cards are counted by agency and day, and of many that are made at
// once no more get through than are left.
func issuedCounts(t *testing.T, s CredentialsStore) {
	list, index := openedList(t, s), uint32(1000)
	card := func(agency string, day int) credentials.Issued {
		d := cardDraft(t, s, list, index)
		index++
		d.Agency, d.IssuedOn = agency, Day(day)
		return d
	}
	agency, other := NewID(), NewID()
	month := []credentials.Limit{{Days: 30, Cards: 3}}
	try := func(what, agency string, day int, limits []credentials.Limit, want error) {
		t.Helper()
		is(t, what, s.Reserve(t.Context(), card(agency, day), limits, Entry(t, "")), want)
	}
	try("the first", agency, 100, month, nil)
	try("two limits", agency, 100, []credentials.Limit{{Days: 30, Cards: 3}, {Days: 1, Cards: 1}}, credentials.ErrQuota)
	try("another day", agency, 101, append(month, credentials.Limit{Days: 1, Cards: 1}), nil)
	try("the third", agency, 102, month, nil)
	try("a fourth", agency, 103, month, credentials.ErrQuota)
	try("of another agency", other, 103, month, nil)
	try("the last day of the first", agency, 129, month, credentials.ErrQuota)
	try("a day later", agency, 130, month, nil)
	try("a raised limit", agency, 130, []credentials.Limit{{Days: 30, Cards: 5}}, nil)
	try("no limit", agency, 130, nil, nil)
	attestation := draft(t, s, list, index)
	index++
	attestation.Agency, attestation.IssuedOn = agency, Day(130)
	is(t, "an attestation is no card", s.Reserve(t.Context(), attestation, month, Entry(t, "")), nil)

	// What is refused leaves nothing behind, and is not counted.
	before, taken := leaves(t, s), card(NewID(), 140)
	taken.Index = attestation.Index
	is(t, "a taken index", s.Reserve(t.Context(), taken, []credentials.Limit{{Days: 1, Cards: 1}}, Entry(t, "")), credentials.ErrIndexTaken)
	same(t, "log", leaves(t, s), before)
	try("the card all the same", taken.Agency, 140, []credentials.Limit{{Days: 1, Cards: 1}}, nil)

	// Once a day it is logged.
	before = leaves(t, s)
	for range 3 {
		ok(t, s.Refused(t.Context(), agency, Day(130), Entry(t, "")))
		ok(t, s.Refused(t.Context(), agency, Day(131), Entry(t, "")))
	}
	same(t, "refusals in the log", leaves(t, s)-before, 2)
	try("a refusal is no card", agency, 131, []credentials.Limit{{Days: 1, Cards: 1}}, nil)

	// Long gone days are forgotten.
	try("long after", agency, 300, month, nil)
	try("of all that there ever was", agency, 300, []credentials.Limit{{Days: 1000, Cards: 2}}, nil)
	try("but what is new", agency, 300, []credentials.Limit{{Days: 1000, Cards: 2}}, credentials.ErrQuota)

	// A hundred at once, with seven left.
	edge, at := NewID(), []credentials.Limit{{Days: 30, Cards: 12}}
	for range 5 {
		try("before", edge, 200, at, nil)
	}
	var through, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 100 {
		d := card(edge, 200+i%3)
		wg.Go(func() {
			switch err := inTurn(func() error { return s.Reserve(context.Background(), d, at, Entry(t, "")) }); {
			case err == nil:
				through.Add(1)
			case errors.Is(err, credentials.ErrQuota):
				refused.Add(1)
			default:
				t.Errorf("at once: %v", err)
			}
		})
	}
	wg.Wait()
	same(t, "through, at once", through.Load(), int32(7))
	same(t, "refused, at once", refused.Load(), int32(93))
}
