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
	for _, wrong := range []signer.Pin{{Lock: pin.Lock, Place: signer.Place{Seq: pin.Seq, Head: make([]byte, 32)}}, {Lock: pin.Lock, Place: signer.Place{Seq: pin.Seq - 1, Head: pin.Head}}} {
		l, err := signer.Listen(filepath.Join(t.TempDir(), "s"), false)
		w.ok(err)
		if opened, err := signer.ServeShut(t.Context(), l, w.dir, wrong, signer.Config{Now: w.clock}); opened != "" || !errors.Is(err, signer.ErrState) {
			t.Errorf("over another roster: %q %v", opened, err)
		}
	}

	l, err := signer.Listen(filepath.Join(t.TempDir(), "s"), false)
	w.ok(err)
	if opened, err := signer.ServeShut(t.Context(), l, w.dir, signer.Pin{Lock: pin.Lock}, signer.Config{Now: w.clock}); opened != "" || !errors.Is(err, signer.ErrUnpinned) {
		t.Errorf("locked by hand while no signer ran: %q %v", opened, err)
	}

	socket, c, ended := serveShut(t, w, pin)
	for name, err := range map[string]error{
		"a key":     func() error { _, err := c.Public(t.Context(), keystore.Root); return err }(),
		"a hash":    func() error { _, err := c.MAC(t.Context(), "safeconduct/rows/1", nil); return err }(),
		"the log":   func() error { _, err := c.SignLog(t.Context(), "", []byte("x")); return err }(),
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
	if <-ended != pin.Lock {
		t.Error("it does not open")
	}
}

func act(t *testing.T, w *town, do string, what any) approval.Act {
	t.Helper()
	a, err := approval.New(netID, do, "", "", what, w.clock(), time.Hour)
	w.ok(err)
	return a
}

// TestLockedByItsRoster: a signer that has adopted the lock of its network does nothing
// with its keys, whether or not anybody told it otherwise, until it was shown what opens it.
func TestLockedByItsRoster(t *testing.T) {
	w := fileTown(t)
	second := w.Person("", people.Operator, w.First)
	trust, err := keystore.New(w.Client).Trust(t.Context())
	w.ok(err)
	_, err = w.listed(1).Sign(trust)
	w.ok(err)
	next := w.listed(2)
	w.Do(roster.DoLock, "", &roster.Lock{}, w.worker)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	asked := func() map[string]error {
		return map[string]error{
			"a trust list": func() error { _, err := next.Sign(trust); return err }(),
			"a record":     func() error { _, err := w.Unwrap(t.Context(), w.ngo, "r", []byte("x")); return err }(),
			"a hash":       func() error { _, err := w.MAC(t.Context(), "safeconduct/rows/1", nil); return err }(),
			"ready":        w.Ready(t.Context()),
		}
	}
	closed := func(when string) {
		t.Helper()
		for what, err := range asked() {
			if !errors.Is(err, signer.ErrShut) {
				t.Errorf("%s: %s: %v, want ErrShut", when, what, err)
			}
		}
	}
	closed("locked")
	socket := filepath.Join(t.TempDir(), "s")
	t.Cleanup(serve(t, socket, signer.Config{Keys: w.signer()}))
	if w.Client, err = signer.Dial(t.Context(), socket); !errors.Is(err, signer.ErrShut) {
		t.Fatalf("dialled: %v", err)
	}
	defer func() { _ = w.Close() }()
	w.Follow(signer.Roster{Base: base, Changes: w.db.People().Changes})
	closed("started anew")
	lock, err := w.all.Locked(t.Context())
	w.ok(err)
	open, err := w.all.UnlockAct(t.Context(), lock)
	w.ok(err)
	one, two := w.Proof(open, w.First), w.Proof(open, second)
	data, err := w.next(open, one).Bytes()
	w.ok(err)
	refused(t, "one alone", w.Open(t.Context(), data))
	closed("one alone")
	data, err = w.next(open, one, two).Bytes()
	w.ok(err)
	w.ok(w.Open(t.Context(), data))
	w.ok(w.Ready(t.Context()))
	_, err = w.MAC(t.Context(), "safeconduct/rows/1", nil)
	allowed(t, "a hash, by which the change is written down", err)
	w.ok(w.all.Unlock(t.Context(), open, []approval.Proof{one, two}, nil))
	_, err = w.HandOver(t.Context())
	w.ok(err)
	trust, err = keystore.New(w.Client).Trust(t.Context()) // of the signer that was started anew
	w.ok(err)
	allowed(t, "a trust list", func() error { _, err := next.Sign(trust); return err }())
}

// TestShutFolder: a signer whose folder alone is locked opens by what two people have
// agreed to since, whatever the lock is called: its name may be anybody's.
func TestShutFolder(t *testing.T) {
	w := fileTown(t)
	second := w.Person("", people.Operator, w.First)
	_, err := w.HandOver(t.Context())
	w.ok(err)
	early, err := w.all.UnlockAct(t.Context(), randomID())
	w.ok(err)
	w.wait(time.Hour)
	_, c, ended := serveShut(t, w, signer.Pin{At: w.clock().Unix(), Place: w.judge.Roster()})
	c.Follow(signer.Roster{Base: base, Changes: w.db.People().Changes})
	shows := func(act approval.Act, by ...string) error {
		var proofs []approval.Proof
		for _, person := range by {
			proofs = append(proofs, w.Proof(act, person))
		}
		data, err := w.next(act, proofs...).Bytes()
		w.ok(err)
		return c.Open(t.Context(), data)
	}
	refused(t, "what was agreed to before", shows(early, w.First, second))
	lock := randomID()
	open, err := w.all.UnlockAct(t.Context(), lock)
	w.ok(err)
	refused(t, "one alone", shows(open, w.First))
	w.ok(shows(open, w.First, second))
	if opened := <-ended; opened != lock {
		t.Errorf("opened: %q", opened)
	}
}

// serveShut is a signer that was shut at pin, whoever is connected to it, and how it
// ended: the lock that was opened.
func serveShut(t *testing.T, w *town, pin signer.Pin) (socket string, c *signer.Client, ended <-chan string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := signer.Listen(socket, false)
	w.ok(err)
	ends := make(chan string, 1)
	go func() {
		opened, err := signer.ServeShut(context.WithoutCancel(t.Context()), l, w.dir, pin, signer.Config{Now: w.clock})
		if err != nil {
			t.Error(err)
		}
		ends <- opened
	}()
	c, err = signer.Dial(t.Context(), socket)
	if !errors.Is(err, signer.ErrShut) {
		t.Fatalf("dialled: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return socket, c, ends
}
