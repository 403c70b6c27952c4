package credentials_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
)

// frozen is a store all of whose lists came back from a backup, once it is said.
type frozen struct {
	credentials.Store

	yes bool
}

func (f *frozen) Frozen(context.Context, uint16) (bool, error) { return f.yes, nil }

// TestPublishFrozen: a list that came back from a backup makes no decoy of a
// place that looks free, because somebody's card may stand there; it goes on
// with those that it has until they are used up, and then without.
func TestPublishFrozen(t *testing.T) {
	w := newWorld(t)
	f := &frozen{Store: w.store}
	w.store = f
	d := newDesk(t, w, 32, rand.Reader)
	places := func() (all int, idle int) {
		t.Helper()
		n, err := w.store.OpenList(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		entries, err := w.store.Entries(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.PublishedStatus == 0 || e.PublishedStatus == 2 {
				idle++
			}
		}
		return len(entries), idle
	}
	publish := func() {
		t.Helper()
		if _, err := d.publisher.Publish(t.Context(), audit.Actor{ID: "service"}, credentials.Window{}); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	publish()
	before, _ := places()
	if before == 0 {
		t.Fatal("there are no decoys: this test proves nothing")
	}
	f.yes = true
	windows := 0
	for {
		publish()
		windows++
		all, idle := places()
		if all != before {
			t.Fatalf("window %d made %d new decoys", windows, all-before)
		}
		if idle == 0 || windows == 500 {
			break
		}
	}
	publish() // with nothing left to change
	if all, idle := places(); all != before || idle != 0 {
		t.Errorf("%d places, %d of them idle after %d windows", all, idle, windows)
	}
	f.yes = false
	publish()
	if all, _ := places(); all == before {
		t.Error("a list that is not frozen makes no decoys")
	}
}
