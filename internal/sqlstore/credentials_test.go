package sqlstore

import (
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

func TestCredentials(t *testing.T) {
	storetest.Credentials(t, func(t *testing.T, capacity int) storetest.CredentialsStore {
		db := openDB(t)
		return storetest.CredentialsStore{Store: &Credentials{db, capacity}, Log: db.Log()}
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
	caseID := storetest.NewID()
	var made []credentials.Issued
	for i := range 4 {
		d := credentials.Issued{
			ID: credentials.ID(storetest.NewID()), Kind: credentials.KindCard, Case: caseID, Agency: storetest.NewID(), List: list, Index: uint32(i),
			IssuedOn: storetest.Day(0), ValidUntil: storetest.Day(9), RequestKey: storetest.NewID(),
			Card: &credentials.CardFacts{Number: [16]byte{byte(i)}, Handle: [16]byte{byte(i)}, Nationality: [16]byte{1}},
		}
		if i == 3 {
			d.Case = storetest.NewID() // somebody else's
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
	for i, want := range []credentials.State{credentials.Abandoned, credentials.Withdrawn, credentials.Withdrawn, credentials.Active} {
		got, err := c.Get(ctx, made[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != want {
			t.Errorf("record %d: %s, want %s", i, got.State, want)
		}
		gone := got.Sealed == nil && got.Card.OpenKey == nil && got.Card.Salt == nil && got.Card.Nationality == [16]byte{} && got.RequestKey == ""
		if mine := i < 3; gone != mine {
			t.Errorf("record %d: forgotten is %v, want %v", i, gone, mine)
		}
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
