package signer_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// next is the change that would open the network, by these proofs.
func (w *town) next(act approval.Act, proofs ...approval.Proof) roster.Change {
	w.t.Helper()
	state, err := w.all.State(w.t.Context())
	w.ok(err)
	data, err := act.Bytes()
	w.ok(err)
	return roster.Change{Seq: state.Seq + 1, Prev: slices.Clone(state.Head[:]), At: w.clock().Unix(), Act: data, Proofs: proofs}
}

// TestShut: a signer that is locked has no key, whatever it is asked, and whoever asks it
// opens it with nothing but what two people have signed for this lock.
func TestShut(t *testing.T) {
	w := fileTown(t)
	second := w.Person("", people.Operator, w.First)
	_, err := w.HandOver(t.Context())
	w.ok(err)
	pin := signer.Pin{Place: w.judge.Roster()}
	w.Do(roster.DoLock, "", &roster.Lock{}, w.worker)
	if pin.Lock, err = w.all.Locked(t.Context()); err != nil || pin.Lock == "" {
		t.Fatalf("%q %v", pin.Lock, err)
	}

	// A roster that is another one than when it was locked, or none, opens nothing.
	for _, wrong := range []signer.Pin{{Lock: pin.Lock, Place: signer.Place{Seq: pin.Seq, Head: make([]byte, 32)}}, {Lock: pin.Lock, Place: signer.Place{Seq: pin.Seq - 1, Head: pin.Head}}, {Lock: pin.Lock}} {
		l, err := signer.Listen(filepath.Join(t.TempDir(), "s"), false)
		w.ok(err)
		if opened, err := signer.ServeShut(t.Context(), l, w.dir, wrong, signer.Config{Now: w.clock}); opened || !errors.Is(err, signer.ErrState) {
			t.Errorf("over another roster: %v %v", opened, err)
		}
	}

	socket := filepath.Join(t.TempDir(), "s")
	l, err := signer.Listen(socket, false)
	w.ok(err)
	ended := make(chan bool, 1)
	go func() {
		opened, err := signer.ServeShut(context.WithoutCancel(t.Context()), l, w.dir, pin, signer.Config{Now: w.clock})
		if err != nil {
			t.Error(err)
		}
		ended <- opened
	}()
	c, err := signer.Dial(t.Context(), socket)
	if !errors.Is(err, signer.ErrShut) {
		t.Fatalf("dialled: %v", err)
	}
	defer func() { _ = c.Close() }()
	for name, err := range map[string]error{
		"a key":     func() error { _, err := c.Public(t.Context(), keystore.Root); return err }(),
		"a hash":    func() error { _, err := c.MAC(t.Context(), "safeconduct/rows/1", nil); return err }(),
		"the log":   func() error { _, err := c.SignLog(t.Context(), []byte("x")); return err }(),
		"lock":      signer.LockAt(t.Context(), socket, pin.Lock),
		"a roster":  c.Open(t.Context(), nil), // it was not said where that is
		"an agency": func() error { _, err := c.NewAgency(t.Context(), w.ngo); return err }(),
	} {
		if !errors.Is(err, signer.ErrShut) {
			t.Errorf("%s: %v", name, err)
		}
	}

	c.Follow(signer.Roster{Base: base, Changes: w.db.People().Changes})
	open, err := w.all.UnlockAct(t.Context(), pin.Lock)
	w.ok(err)
	another, err := approval.New(netID, roster.DoUnlock, "", "", &roster.Unlock{Lock: open.ID}, w.clock(), time.Hour)
	w.ok(err)
	one, two := w.Proof(open, w.First), w.Proof(open, second)
	forged := two
	forged.Signature = slices.Clone(two.Signature)
	forged.Signature[len(forged.Signature)-1] ^= 1
	ahead := w.next(open, one, two)
	ahead.At += 3600
	for name, change := range map[string]roster.Change{
		"one alone":        w.next(open, one),
		"a caseworker":     w.next(open, one, w.Proof(open, w.worker)),
		"another lock":     w.next(another, w.Proof(another, w.First), w.Proof(another, second)),
		"another act":      w.next(open, one, w.Proof(another, second)),
		"forged":           w.next(open, one, forged),
		"ahead":            ahead,
		"what locked it":   {},
		"nobody":           w.next(open),
		"the same, twice":  w.next(open, one, one),
		"an act of others": w.next(act(t, w, roster.DoSignOut, &roster.SignOut{ID: second}), w.Proof(open, second)),
	} {
		data, err := change.Bytes()
		w.ok(err)
		if err := c.Open(t.Context(), data); !errors.Is(err, signer.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Open(t.Context(), nil); !errors.Is(err, signer.ErrRefused) {
		t.Errorf("nothing: %v", err)
	}
	select {
	case <-ended:
		t.Fatal("it has opened")
	default:
	}
	data, err := w.next(open, one, two).Bytes()
	w.ok(err)
	w.ok(c.Open(t.Context(), data))
	if !<-ended {
		t.Error("it does not open")
	}
}

func act(t *testing.T, w *town, do string, what any) approval.Act {
	t.Helper()
	a, err := approval.New(netID, do, "", "", what, w.clock(), time.Hour)
	w.ok(err)
	return a
}
