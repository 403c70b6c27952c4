package vault_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/vault"
)

// TestOneReading is of hostile case 84: what one proof of the holder's has opened is open
// to one person, where she acts, for what was shared and was asked for, until anything
// ends that it hangs on. Nothing of it is a key.
func TestOneReading(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	given := w.grant(d.ID, w.second)
	given.Parts = []vault.Part{vault.PartDocument, vault.PartPages}
	share := func() {
		t.Helper()
		w.ok(w.give(w.worker, given, vault.Signed{}))
	}
	read := func(by audit.Actor) error { _, err := w.ReadDocument(ctx, by, d.ID); return err }
	colleague, elsewhere, nowhere, moved := w.second, w.second, w.second, w.second
	colleague.ID, elsewhere.At, nowhere.At, moved.Agency = id(), id(), "", w.embassy.Agency

	for _, one := range []struct {
		name string
		end  func(device string)
		by   audit.Actor
		want error
	}{
		{"to the one who opened it", func(string) {}, w.second, nil},
		{"to a colleague", func(string) {}, colleague, vault.ErrNotOpened},
		{"in another session of hers", func(string) {}, elsewhere, vault.ErrNotOpened},
		{"to who acts nowhere", func(string) {}, nowhere, vault.ErrNotOpened},
		{"in another agency", func(string) {}, moved, vault.ErrNotFound},
		{"within a quarter of an hour", func(string) { w.now = w.now.Add(15*time.Minute - time.Second) }, w.second, nil},
		{"after it", func(string) { w.now = w.now.Add(15 * time.Minute) }, w.second, vault.ErrNotOpened},
		{"after it was taken back", func(string) { w.ok(w.TakeBack(ctx, w.worker, d.ID, w.second.Agency)) }, w.second, vault.ErrNotFound},
		{"after it was taken back and given again", func(string) { w.ok(w.TakeBack(ctx, w.worker, d.ID, w.second.Agency)); share() }, w.second, vault.ErrNotOpened},
		{"after it was renewed", func(string) { share() }, w.second, vault.ErrNotOpened},
		{"without the card", func(string) { w.inUse = "" }, w.second, vault.ErrNotOpened},
		{"with a newer card", func(string) { w.inUse = id() }, w.second, vault.ErrNotOpened},
		{"without the device", func(device string) { delete(w.devices, device) }, w.second, vault.ErrNotOpened},
		{"with the device in another agency", func(device string) { w.devices[device] = w.embassy.Agency }, w.second, vault.ErrNotOpened},
	} {
		share()
		w.inUse = w.card.ID
		o := w.signed(w.second, d.ID, vault.PartDocument)
		_, err := w.OpenRecord(ctx, w.second, o, w.card)
		w.ok(err)
		one.end(o.Device)
		w.is(one.name, read(one.by), one.want)
		w.now = w.now.Add(time.Hour)
	}
}

// TestAsksNoMore is of hostile case 84: an opening is for the purpose of the grant and for
// no more of the record, by a device and a card that are there. The holder sees who tried
// more.
func TestAsksNoMore(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	given := w.grant(d.ID, w.second)
	given.Parts = []vault.Part{vault.PartDocument}
	w.ok(w.give(w.worker, given, vault.Signed{}))
	for i, one := range []struct {
		name string
		edit func(o *vault.Opening)
		want error
	}{
		{"another purpose", func(o *vault.Opening) { o.Purpose = "protection" }, vault.ErrBeyond},
		{"another part", func(o *vault.Opening) { o.Parts = []vault.Part{vault.PartPages} }, vault.ErrBeyond},
		{"one part more", func(o *vault.Opening) { o.Parts = []vault.Part{vault.PartDocument, vault.PartPages} }, vault.ErrBeyond},
		{"one part more, of the whole case", func(o *vault.Opening) {
			o.Record, o.Parts = c.ID, []vault.Part{vault.PartDocument, vault.PartAttestations}
		}, vault.ErrBeyond},
		{"a device that nobody knows", func(o *vault.Opening) { o.Device = id() }, vault.ErrDevice},
		{"a device of another agency", func(o *vault.Opening) { w.devices[o.Device] = w.embassy.Agency }, vault.ErrDevice},
	} {
		o := w.signed(w.second, d.ID, vault.PartDocument)
		one.edit(&o)
		o.Signature = ed25519.Sign(cardPrivate, vault.OpeningMessage(o, w.second.Agency))
		_, err := w.OpenRecord(ctx, w.second, o, w.card)
		w.is(one.name, err, one.want)
		w.has(c.ID, "opening.refused", i+1)
	}
	_, err := w.ReadDocument(ctx, w.second, d.ID)
	w.is("nothing is open", err, vault.ErrNotOpened)

	_, err = w.OpenRecord(ctx, w.worker, w.signed(w.worker, d.ID, vault.PartDocument), w.card)
	w.is("the agency that keeps it, which needs none", err, vault.ErrNotFound)
	w.inUse = ""
	_, err = w.OpenRecord(ctx, w.second, w.signed(w.second, d.ID, vault.PartDocument), w.card)
	w.is("a card that is not in use", err, vault.ErrSignature)
	nowhere := w.second
	nowhere.At = ""
	_, err = w.OpenRecord(ctx, nowhere, w.signed(nowhere, d.ID, vault.PartDocument), w.card)
	w.is("somebody who acts nowhere", err, vault.ErrActor)
}

// TestOpenByCode: who has read no card opens with what number and code sign, and names no
// device. It hangs on the card as the other form does.
func TestOpenByCode(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	w.share(d.ID, w.second)
	asked := func() vault.Opening {
		o := w.signed(w.second, d.ID, vault.PartDocument)
		o.Device = ""
		o.Signature = ed25519.Sign(cardPrivate, vault.OpeningMessage(o, w.second.Agency))
		return o
	}
	_, err := w.OpenByCode(ctx, w.second, w.signed(w.second, d.ID, vault.PartDocument), w.card)
	if err == nil {
		t.Error("a device signed it")
	}
	expires, err := w.OpenByCode(ctx, w.second, asked(), w.card)
	w.ok(err)
	if want := w.now.Add(15 * time.Minute); !expires.Equal(want) {
		t.Errorf("open until %s, want %s", expires, want)
	}
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.ok(err)
	w.inUse = ""
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.is("without the card", err, vault.ErrNotOpened)
	w.has(c.ID, "record.opened", 1)
}

// TestNothingIsInUse: who does not say which cards are in use, and which devices are let
// in, opens nothing; and where that cannot be asked nothing is said of it.
func TestNothingIsInUse(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	w.share(c.ID, w.second)
	away := errors.New("the roster cannot be read")
	for _, one := range []struct {
		name string
		cfg  vault.Config
		want error
	}{
		{"no devices", vault.Config{}, vault.ErrDevice},
		{"no cards", vault.Config{Admitted: saying(true, nil)}, vault.ErrSignature},
		{"devices away", vault.Config{Admitted: saying(false, away), CardInUse: saying(true, nil)}, away},
		{"cards away", vault.Config{Admitted: saying(true, nil), CardInUse: saying(false, away)}, away},
	} {
		cfg := one.cfg
		cfg.Store, cfg.Keyring, cfg.Blobs, cfg.Keys, cfg.Directory, cfg.Network = w.store, w.keyring, w.blobs, w.keeper, w.directory, "test network"
		cfg.Now = func() time.Time { return w.now }
		v, err := vault.New(cfg)
		w.ok(err)
		_, err = v.OpenRecord(ctx, w.second, w.signed(w.second, c.ID, vault.PartAttestations), w.card)
		w.is(one.name, err, one.want)
	}
}

func saying(is bool, err error) func(context.Context, string, string) (bool, error) {
	return func(context.Context, string, string) (bool, error) { return is, err }
}

// TestLeft: the readings that she left for an agency are taken one by one, each by one
// person for a quarter of an hour, and there are no more of them.
func TestLeft(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	o := vault.Opening{Record: d.ID, Purpose: "confirm_identity", Parts: []vault.Part{vault.PartDocument}}
	take := func(by audit.Actor) error { _, err := w.OpenLeft(ctx, by, o); return err }
	read := func(by audit.Actor) error { _, err := w.ReadDocument(ctx, by, d.ID); return err }
	w.is("nothing is shared", take(w.second), vault.ErrNotFound)
	w.share(d.ID, w.second)
	w.is("she left none", take(w.second), vault.ErrNotOpened)

	given := w.grant(d.ID, w.second)
	given.Parts, given.Readings = []vault.Part{vault.PartDocument}, 2
	err := w.give(w.worker, given, vault.Signed{})
	w.ok(err)
	colleague := w.second
	colleague.ID = id()
	o.Purpose = "protection"
	w.is("another purpose", take(w.second), vault.ErrBeyond)
	o.Purpose, o.Parts = "confirm_identity", []vault.Part{vault.PartPages}
	w.is("another part", take(w.second), vault.ErrBeyond)
	o.Parts = []vault.Part{vault.PartDocument}
	w.ok(take(w.second))
	w.ok(read(w.second))
	w.is("to a colleague", read(colleague), vault.ErrNotOpened)
	w.now = w.now.Add(15 * time.Minute)
	w.is("after a quarter of an hour", read(w.second), vault.ErrNotOpened)
	w.ok(take(colleague))
	w.ok(read(colleague))
	w.is("a third", take(w.second), vault.ErrSpent)
	w.open(w.second, d.ID, vault.PartDocument) // she can still give her code
	w.ok(read(w.second))
	w.ok(w.TakeBack(ctx, w.worker, d.ID, w.second.Agency))
	w.is("taken back", read(colleague), vault.ErrNotFound)
	w.has(c.ID, "record.opened", 3)
	w.has(c.ID, "opening.refused", 4)
}

// TestOpenedOften: whoever kept card and code opens a record three times on a day, and
// then somebody of its agency says yes to each.
func TestOpenedOften(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	w.share(c.ID, w.second)
	w.now = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
	open := func() error {
		_, err := w.OpenRecord(ctx, w.second, w.signed(w.second, c.ID, vault.PartAttestations), w.card)
		return err
	}
	for range 3 {
		w.ok(open())
	}
	w.is("a fourth", open(), vault.ErrAgain)
	w.again = 1
	w.ok(open())
	w.is("a fifth", open(), vault.ErrAgain)
	w.again = 0
	w.now = w.now.AddDate(0, 0, 1)
	w.ok(open())
	w.has(c.ID, "opening.refused", 2)
}

// TestOpenByTwo: what two people open without her is of what was shared, to the one who
// asked, where she did, and ends as everything that is opened.
func TestOpenByTwo(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	given := w.grant(d.ID, w.second)
	given.Parts = []vault.Part{vault.PartDocument}
	err := w.give(w.worker, given, vault.Signed{})
	w.ok(err)
	read := func(by audit.Actor) error { _, err := w.ReadDocument(ctx, by, d.ID); return err }
	elsewhere := w.second
	elsewhere.At = id()
	agree := func(request string) { w.agreed[w.second.ID+" "+d.ID+" "+request] = true }
	request, again, renewed := id(), id(), id()
	w.is("what is not shared", w.AskByTwo(ctx, w.embassy, d.ID, id()), vault.ErrNotFound)
	w.ok(w.AskByTwo(ctx, w.second, d.ID, request))
	w.is("nobody has agreed", read(w.second), vault.ErrNotOpened)
	agree(request)
	w.ok(read(w.second))
	w.is("in another session", read(elsewhere), vault.ErrNotOpened)
	w.is("one agreement, in two sessions", w.AskByTwo(ctx, elsewhere, d.ID, request), vault.ErrConflict)
	w.ok(w.AskByTwo(ctx, elsewhere, d.ID, id()))
	w.is("asked in another session, where nobody has agreed", read(elsewhere), vault.ErrNotOpened)
	_, err = w.ReadPage(ctx, w.second, d.ID, 1)
	w.is("what was not shared of it", err, vault.ErrNotOpened)
	w.now = w.now.Add(15 * time.Minute)
	w.is("after a quarter of an hour", read(w.second), vault.ErrNotOpened)
	w.ok(w.AskByTwo(ctx, w.second, d.ID, again))
	w.is("asked again, and nobody has agreed", read(w.second), vault.ErrNotOpened)
	agree(again)
	w.ok(read(w.second))
	w.share(d.ID, w.second)
	w.is("shared again", read(w.second), vault.ErrNotOpened)
	w.ok(w.AskByTwo(ctx, w.second, d.ID, renewed))
	w.is("shared and asked again, and nobody has agreed", read(w.second), vault.ErrNotOpened)
	agree(renewed)
	w.ok(read(w.second))

	g := w.grant(d.ID, w.second)
	g.Purpose = "danger_to_life"
	if err := w.give(w.worker, g, vault.Signed{}); err == nil {
		t.Error("a holder shares for what two people agree to without her")
	}
}

// asked notes what a store is asked for.
type asked struct {
	vault.Store

	calls []string
}

func (a *asked) Record(ctx context.Context, id string) (vault.Record, error) {
	a.calls = append(a.calls, "record")
	return a.Store.Record(ctx, id)
}

func (a *asked) Grant(ctx context.Context, record, agency string) (vault.Shared, error) {
	a.calls = append(a.calls, "grant")
	return a.Store.Grant(ctx, record, agency)
}

// TestUnknownIsAnothers: whoever asks to open a record of somebody else's makes the store
// do what a record that never was makes it do, and hears the same.
func TestUnknownIsAnothers(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d := w.newDocument(w.newCase().ID)
	store := &asked{Store: w.store}
	v, err := vault.New(vault.Config{Store: store, Keyring: w.keyring, Blobs: w.blobs, Keys: w.keeper, Directory: w.directory, Network: "test network"})
	w.ok(err)
	for name, ask := range map[string]func(record string) error{
		"with a code": func(record string) error { _, _, err := v.Shared(ctx, w.second, record); return err },
		"by two":      func(record string) error { return v.AskByTwo(ctx, w.second, record, id()) },
	} {
		var made [2][]string
		for i, record := range []string{d.ID, id()} {
			store.calls = nil
			w.is(name, ask(record), vault.ErrNotFound)
			made[i] = store.calls
		}
		if !slices.Equal(made[0], made[1]) {
			t.Errorf("%s: %q for another's, %q for what never was", name, made[0], made[1])
		}
	}
}
