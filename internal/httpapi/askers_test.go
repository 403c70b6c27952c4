package httpapi

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestAskersAreBounded: however many are let in, no more than so many are remembered. Who
// is at work, or has spent something, is not forgotten for somebody else.
func TestAskersAreBounded(t *testing.T) {
	now := time.Now()
	a := newAskers(10)
	working, spent := a.find("working", now), a.find("spent", now)
	working.seats <- struct{}{}
	spent.rate.AllowN(now.Add(2*time.Minute), 15) // and has not all of it again in a minute
	for i := range 2 * maxAskers {
		if one := a.find(fmt.Sprint(i), now); i >= maxAskers && one != a.other {
			t.Fatal("there is room for one more")
		}
	}
	later := now.Add(2 * time.Minute)
	if one := a.find("new", later); one == a.other || len(a.of) != 3 {
		t.Errorf("%d are remembered, want those who work, have spent or came last", len(a.of))
	}
	if a.find("working", later) != working || a.find("spent", later) != spent {
		t.Error("somebody was forgotten who lacks something")
	}
}

// TestSit: a seat that is taken is waited for, and who waits in vain keeps none.
func TestSit(t *testing.T) {
	one, other := make(chan struct{}, 1), make(chan struct{}, 1)
	leave, err := sit(t.Context(), one, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sit(gone, other, one); err == nil || diagnose(err).fault != faultBusy {
		t.Errorf("both seats: %v", err)
	}
	if len(other) != 0 || len(one) != 1 {
		t.Error("a seat was kept by nobody, or given away")
	}
	leave()
	if len(one) != 0 {
		t.Error("a seat is taken when all have left")
	}
}

// TestDoorsOfTheContract: what is public has a door, and nothing else has.
func TestDoorsOfTheContract(t *testing.T) {
	ops, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for key, o := range ops {
		if _, known := doors[o.door]; known != o.public || o.public == (o.weight > 0) {
			t.Errorf("%s: door %q, weight %d", key, o.door, o.weight)
		}
		used[o.door] = true
		// Whoever takes number and code stretches one.
		if takesCode(o) && !o.public && o.weight < 10 {
			t.Errorf("%s weighs %d", key, o.weight)
		}
	}
	for name := range doors {
		if !used[name] && name != doorUnknown {
			t.Errorf("nobody comes by the door %s", name)
		}
	}
}

// takesCode reports whether a body has the number of a card and her code, or a proof that
// may be made of them.
func takesCode(o *operation) bool {
	if o.spec.Operation.RequestBody == nil || !o.json {
		return false
	}
	members := o.spec.Operation.RequestBody.Value.Content.Get(mediaJSON).Schema.Value.Properties
	if proof := members["proof"]; proof != nil {
		members = proof.Value.Properties
	}
	return members["number"] != nil && members["code"] != nil
}
