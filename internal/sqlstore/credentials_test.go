package sqlstore

import (
	"context"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

func TestCredentials(t *testing.T) {
	storetest.Credentials(t, func(t *testing.T, capacity int) storetest.CredentialsStore {
		db := openDB(t)
		return storetest.CredentialsStore{Store: &Credentials{db, capacity}, Log: db.Log(), Vault: db.Vault()}
	})
}

// TestEraseForgetsWhatWasIssued erases a case in which something was issued
// after the issuer withdrew what it knew of.
func TestEraseForgetsWhatWasIssued(t *testing.T) {
	db := openDB(t)
	ctx, c := t.Context(), db.Credentials()
	list, err := c.OpenList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	caseID, other := begun(t, db), begun(t, db)
	var made []credentials.Issued
	for i := range 4 {
		d := credentials.Issued{
			ID: credentials.ID(storetest.NewID()), Kind: credentials.KindCard, Case: caseID, Agency: storetest.NewID(), List: list, Index: uint32(i),
			IssuedOn: storetest.Day(0), ValidUntil: storetest.Day(9), RequestKey: storetest.NewID(),
			Card: &credentials.CardFacts{Number: [16]byte{byte(i)}, Handle: [16]byte{byte(i)}, Nationality: [16]byte{1}},
		}
		if i == 3 {
			d.Case = other // somebody else's
		}
		if err := c.Reserve(ctx, d, nil, storetest.Entry(t, d.Case)); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			done := credentials.Completion{ID: d.ID, Sealed: []byte("sealed"), OpenKey: []byte("key"), Salt: []byte("salt")}
			if err := c.Complete(ctx, done, storetest.Entry(t, d.Case)); err != nil {
				t.Fatal(err)
			}
		}
		made = append(made, d)
	}
	pause := []credentials.Change{{ID: made[2].ID, From: []credentials.State{credentials.Active}, To: credentials.Paused}}
	if err := c.Apply(ctx, nil, pause, nil, storetest.Entry(t, caseID)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Vault().Erase(ctx, caseID, storetest.Entry(t, "")); err != nil {
		t.Fatal(err)
	}
	for i, d := range made {
		got, err := c.Get(ctx, d.ID)
		if i == 3 {
			if err != nil || got.State != credentials.Active || got.Card.OpenKey == nil || got.RequestKey == "" {
				t.Errorf("somebody else's: %+v, %v", got, err)
			}
			continue
		}
		_, byKey := c.ByRequestKey(ctx, d.RequestKey)
		_, byNumber := c.ByNumber(ctx, d.Card.Number)
		_, byHandle := c.ByHandle(ctx, d.Card.Handle)
		for _, err := range []error{err, byKey, byNumber, byHandle} {
			if !errors.Is(err, credentials.ErrNotFound) {
				t.Errorf("record %d: %v", i, err)
			}
		}
	}
	if drafts, err := c.Drafts(ctx); err != nil || len(drafts) != 0 {
		t.Errorf("%d drafts, %v", len(drafts), err)
	}
	again := draftAt(list, 1)
	again.Case = other
	if err := c.Reserve(ctx, again, nil); !errors.Is(err, credentials.ErrIndexTaken) {
		t.Errorf("its place is given out again: %v", err)
	}
	entries, err := c.Entries(ctx, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		want := statuslist.Invalid
		if e.Index == 3 {
			want = statuslist.Valid
		}
		if e.WantedStatus != want {
			t.Errorf("index %d: wanted %d, want %d", e.Index, e.WantedStatus, want)
		}
	}
	if len(entries) != 4 {
		t.Errorf("%d indices, want 4: none may ever be used again", len(entries))
	}
}

// TestForgetPlacesWithoutKey erases a case whose key is gone, as after a restore: its
// places go out of use and lead nowhere, and nothing leads to what was issued in it.
func TestForgetPlacesWithoutKey(t *testing.T) {
	db := openDB(t)
	ctx, c := t.Context(), db.Credentials()
	list, err := c.OpenList(ctx)
	ok(t, err)
	gone := begun(t, db)
	for i := range uint32(3) {
		d := draftAt(list, i)
		d.Case = gone
		ok(t, c.Reserve(ctx, d, nil))
		if i > 0 {
			ok(t, c.Complete(ctx, credentials.Completion{ID: d.ID, Sealed: []byte("sealed")}))
		}
	}
	beside := &DB{base: db.base, me: newInstance()}
	beside.Seal([]byte(testSealKey))
	beside.CaseKeys(func(ctx context.Context, id string) ([]byte, error) {
		if id == gone {
			return nil, vault.ErrNotFound
		}
		return storetest.CaseKey(ctx, id)
	})
	e := vault.Erasure{Case: gone, Agency: storetest.NewID(), Records: []string{gone}, Day: storetest.Day(0), MAC: []byte("mac")}
	ok(t, beside.Vault().BeginErasure(ctx, e))
	ok(t, beside.Vault().Forget(ctx, e))
	_, err = beside.Vault().Erase(ctx, gone, storetest.Entry(t, ""))
	ok(t, err)
	ok(t, beside.believed(ctx, func(h *heads) error {
		places, err := placesOf(ctx, h, list)
		for _, p := range places {
			if p.of != (lead{}) || p.WantedStatus != statuslist.Invalid {
				t.Errorf("place %d: %+v", p.Index, p.Entry)
			}
		}
		if len(places) != 3 {
			t.Errorf("%d places", len(places))
		}
		return err
	}))
	if drafts, err := beside.Credentials().Drafts(ctx); err != nil || len(drafts) != 0 {
		t.Errorf("%d drafts, %v", len(drafts), err)
	}
	if h, err := beside.Check(ctx); err != nil || len(h.Problems) != 0 || h.Issued != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}
