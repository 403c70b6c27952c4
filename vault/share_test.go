package vault_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/consenttest"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

func TestSharing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	other := w.newDocument(c.ID)

	w.share(d.ID, w.embassy)
	_, err := w.ReadDocument(ctx, w.embassy, d.ID)
	w.is("shared, but not opened", err, vault.ErrNotOpened)
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.is("shared with somebody else", err, vault.ErrNotFound)

	w.open(w.embassy, c.ID, vault.PartDocument)
	got, err := w.ReadDocument(ctx, w.embassy, d.ID)
	w.ok(err)
	if got.Document.Number.Reveal() != "L898902C3" {
		t.Error("the embassy read something else")
	}
	_, err = w.ReadDocument(ctx, w.embassy, other.ID)
	w.is("a document that was not shared", err, vault.ErrNotFound)
	_, err = w.UpdateDocument(ctx, w.embassy, d.ID, 1, got.Document)
	w.is("reading is not writing", err, vault.ErrNotFound)
	_, err = w.ReadPage(ctx, w.embassy, d.ID, 1)
	w.is("a part that was not opened", err, vault.ErrNotOpened)

	shared, err := w.SharedWith(ctx, w.embassy)
	w.ok(err)
	if len(shared) != 1 || shared[0].Record != d.ID || shared[0].Case != c.ID {
		t.Errorf("shared %+v", shared)
	}

	w.ok(w.TakeBack(ctx, w.worker, d.ID, w.embassy.Agency))
	_, err = w.ReadDocument(ctx, w.embassy, d.ID)
	w.is("taken back", err, vault.ErrNotFound)
	w.is("taken back twice", w.TakeBack(ctx, w.worker, d.ID, w.embassy.Agency), vault.ErrNotFound)
	_, err = w.ReadDocument(ctx, w.worker, d.ID)
	w.ok(err)
	w.has(c.ID, "record.shared", 1)
	w.has(c.ID, "record.taken_back", 1)
	w.has(c.ID, "record.opened", 1)
	w.has(c.ID, "document.read", 2)
}

// TestTakenBackKeyFile shows that the key file itself no longer opens, also
// when the row that would forbid it says otherwise.
func TestTakenBackKeyFile(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	given, err := consenttest.Give(ctx, w.Vault, w.worker, w.grant(d.ID, w.second))
	w.ok(err)
	w.open(w.second, c.ID, vault.PartDocument)
	before, err := w.keyring.Get(ctx, d.ID)
	w.ok(err)
	w.ok(w.TakeBack(ctx, w.worker, d.ID, w.second.Agency))

	// Somebody writes the row back.
	given.Word = "" // which has ended
	w.ok(w.store.Share(ctx, given, vault.Spoken{}))
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.is("row without a key", err, vault.ErrNotFound)

	// The old key file would open: that is why it must be gone.
	after, err := w.keyring.Get(ctx, d.ID)
	w.ok(err)
	w.ok(w.keyring.Swap(ctx, d.ID, after, before))
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.ok(err)
}

func TestGrantEnds(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	w.share(d.ID, w.second)
	lastDay := time.Date(2026, 3, 10, 23, 59, 0, 0, time.UTC)

	w.now = lastDay
	w.open(w.second, d.ID, vault.PartDocument)
	_, err := w.ReadDocument(ctx, w.second, d.ID)
	w.ok(err)
	n, err := w.Expire(ctx)
	w.ok(err)
	if n != 0 {
		t.Errorf("%d expired on the last day", n)
	}

	w.now = lastDay.Add(time.Minute)
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.is("expired", err, vault.ErrNotFound)
	_, err = w.OpenRecord(ctx, w.second, w.signed(w.second, d.ID, vault.PartDocument), w.card)
	w.is("opening of an expired grant", err, vault.ErrNotFound)
	if n, err = w.Expire(ctx); err != nil || n != 1 {
		t.Errorf("%d expired, %v", n, err)
	}
	// Also when the clock goes back.
	w.now = lastDay
	_, err = w.ReadDocument(ctx, w.second, d.ID)
	w.is("removed", err, vault.ErrNotFound)
	w.has(c.ID, "record.grant_expired", 1)
	w.has(c.ID, "opening.refused", 1)
}

func TestConsent(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	police, host := w.agency("LawEnforcement", "UTO"), w.agency("LawEnforcement", "KHM")
	for _, one := range []struct {
		name string
		with audit.Actor
		edit func(*vault.Order)
		want error
	}{
		{"NGO", w.second, func(g *vault.Order) { g.Mission, g.SafeWithState = false, "" }, nil},
		{"mission", w.embassy, func(*vault.Order) {}, nil},
		{"mission, not separately", w.embassy, func(g *vault.Order) { g.Mission = false }, vault.ErrConsent},
		{"mission, not safe", w.embassy, func(g *vault.Order) { g.SafeWithState = "no" }, vault.ErrConsent},
		{"mission, not sure", w.embassy, func(g *vault.Order) { g.SafeWithState = "unsure" }, vault.ErrConsent},
		{"mission, not asked", w.embassy, func(g *vault.Order) { g.SafeWithState = "" }, invalid.ErrInput},
		{"mission, detained", w.embassy, func(g *vault.Order) { g.Circumstance = "detained" }, invalid.ErrInput},
		{"mission, just out", w.embassy, func(g *vault.Order) { g.Circumstance = "first_72h" }, invalid.ErrInput},
		{"mission, not said how she is", w.embassy, func(g *vault.Order) { g.Circumstance = "" }, invalid.ErrInput},
		{"police of her state, not asked", police, func(g *vault.Order) { g.SafeWithState = "" }, invalid.ErrInput},
		{"police of her state, not safe", police, func(g *vault.Order) { g.SafeWithState = "no" }, vault.ErrConsent},
		{"police where she is, not asked", host, func(g *vault.Order) { g.SafeWithState = "" }, nil},
		{"purpose", w.second, func(g *vault.Order) { g.Purpose = "curiosity" }, invalid.ErrInput},
		{"what takes no word of hers", w.second, func(g *vault.Order) { g.Purpose = "danger_to_life" }, invalid.ErrInput},
		{"no parts", w.second, func(g *vault.Order) { g.Parts = nil }, invalid.ErrInput},
		{"a part that nobody knows", w.second, func(g *vault.Order) { g.Parts = []vault.Part{"everything"} }, invalid.ErrInput},
		{"a part twice", w.second, func(g *vault.Order) { g.Parts = []vault.Part{vault.PartPages, vault.PartPages} }, invalid.ErrInput},
		{"eleven readings", w.second, func(g *vault.Order) { g.Readings = 11 }, invalid.ErrInput},
		{"less than none", w.second, func(g *vault.Order) { g.Readings = -1 }, invalid.ErrInput},
		{"readings for 15 days", w.second, func(g *vault.Order) { g.Readings, g.Until = 1, w.now.Truncate(24*time.Hour).AddDate(0, 0, 15) }, invalid.ErrInput},
		{"readings for 14 days", w.second, func(g *vault.Order) { g.Readings, g.Until = 10, w.now.Truncate(24*time.Hour).AddDate(0, 0, 14) }, nil},
		{"yesterday", w.second, func(g *vault.Order) { g.Until = g.Until.AddDate(0, 0, -10) }, invalid.ErrInput},
		{"for ever", w.second, func(g *vault.Order) { g.Until = g.Until.AddDate(1, 0, 0) }, invalid.ErrInput},
		{"half a day", w.second, func(g *vault.Order) { g.Until = g.Until.Add(time.Hour) }, invalid.ErrInput},
		{"itself", w.worker, func(*vault.Order) {}, invalid.ErrInput},
	} {
		g := w.grant(d.ID, one.with)
		one.edit(&g)
		w.is(one.name, w.give(w.worker, g, vault.Signed{}), one.want)
	}
	g := w.grant(d.ID, w.second)
	g.Agency = id()
	if w.give(w.worker, g, vault.Signed{}) == nil {
		t.Error("shared with an agency that the network does not know")
	}
	w.has(c.ID, "record.shared", 4)

	// What documents show decides whose state it is.
	third := w.agency("LawEnforcement", "THA")
	unasked := func(record string, with audit.Actor) error {
		g := w.grant(record, with)
		g.SafeWithState = ""
		return w.give(w.worker, g, vault.Signed{})
	}
	unknown := w.newCase()
	w.is("police of some state, nothing known of her", unasked(unknown.ID, third), invalid.ErrInput)
	w.is("police where she is, nothing known of her", unasked(unknown.ID, host), nil)
	w.is("police of another state than hers", unasked(d.ID, third), nil)
	local := passport()
	local.IssuingState, local.MRZ = "KHM", private.String{}
	_, err := w.AddDocument(ctx, w.worker, unknown.ID, local)
	w.ok(err)
	w.is("police where she is, which is her state", unasked(unknown.ID, host), invalid.ErrInput)
}

// agency is somebody of a class and a country.
func (w *world) agency(class, country string) audit.Actor {
	a := audit.Actor{ID: id(), Agency: id(), Role: "officer"}
	w.directory[a.Agency] = claims.Recipient{Class: class, Country: country}
	return a
}

// TestSignedConsent is of hostile case 83: what the holder signed last counts beside the word
// that she gives her code for, and of one day the careful one; for a second grant, which
// replaces the first, as for the first.
func TestSignedConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newCase()
	d := w.newDocument(c.ID)
	today := claims.NewDay(w.now)
	yes := claims.Consent{
		Interview: true, ShareScope: []string{"ngo", "police", "mission_of_origin"}, TransferToState: []string{"UTO"},
		Circumstance: "free", SafeIfStateKnows: "yes", MissionMayBeContacted: true,
	}
	police := w.agency("LawEnforcement", "UTO")
	for _, one := range []struct {
		name  string
		with  audit.Actor
		edits []func(*claims.Consent) // one consent each, a day later than the one before; the last is of today
		want  error
	}{
		{"mission, yes", w.embassy, []func(*claims.Consent){func(*claims.Consent) {}}, nil},
		{"police, yes", police, []func(*claims.Consent){func(*claims.Consent) {}}, nil},
		{"NGO, yes", w.second, []func(*claims.Consent){func(*claims.Consent) {}}, nil},
		{"mission, not safe", w.embassy, []func(*claims.Consent){func(c *claims.Consent) { c.SafeIfStateKnows = "no" }}, vault.ErrConsent},
		{"mission, not asked", w.embassy, []func(*claims.Consent){func(c *claims.Consent) { c.SafeIfStateKnows = "" }}, vault.ErrConsent},
		{"mission, not to be contacted", w.embassy, []func(*claims.Consent){func(c *claims.Consent) { c.MissionMayBeContacted = false }}, vault.ErrConsent},
		{"mission, out of scope", w.embassy, []func(*claims.Consent){func(c *claims.Consent) { c.ShareScope = []string{"ngo"} }}, vault.ErrConsent},
		{"mission, detained", w.embassy, []func(*claims.Consent){func(c *claims.Consent) { c.Circumstance = "detained" }}, vault.ErrConsent},
		{"police, another state", police, []func(*claims.Consent){func(c *claims.Consent) { c.TransferToState = []string{"THA"} }}, vault.ErrConsent},
		{"NGO, out of scope", w.second, []func(*claims.Consent){func(c *claims.Consent) { c.ShareScope = []string{"police"} }}, vault.ErrConsent},
		{"NGO, to be asked again since yesterday", w.second, []func(*claims.Consent){func(c *claims.Consent) { c.ReconfirmBy = today.Add(-1) }}, vault.ErrConsent},
		{"her newest word is no", w.embassy, []func(*claims.Consent){func(*claims.Consent) {}, func(c *claims.Consent) { c.SafeIfStateKnows = "no" }}, vault.ErrConsent},
		{"her newest word is yes", w.embassy, []func(*claims.Consent){func(c *claims.Consent) { c.SafeIfStateKnows = "no" }, func(*claims.Consent) {}}, nil},
	} {
		t.Run(one.name, func(t *testing.T) {
			w := w.in(t)
			var signed vault.Signed
			for i, edit := range one.edits {
				word := yes
				word.GivenOn = today.Add(i + 1 - len(one.edits))
				edit(&word)
				signed.Consents = append(signed.Consents, &word)
			}
			for _, record := range []string{d.ID, c.ID} {
				w.is("grant", w.give(w.worker, w.grant(record, one.with), signed), one.want)
				w.is("grant again", w.give(w.worker, w.grant(record, one.with), signed), one.want)
			}
		})
	}
}

// TestRenewedGrant: a grant that is given again has another id, by which whatever hung on
// the one before is over.
func TestRenewedGrant(t *testing.T) {
	w := newWorld(t)
	c := w.newCase()
	g := w.grant(c.ID, w.second)
	g.Parts, g.Readings = []vault.Part{vault.PartAttestations}, 2
	first, err := consenttest.Give(t.Context(), w.Vault, w.worker, g)
	w.ok(err)
	second, err := consenttest.Give(t.Context(), w.Vault, w.worker, g)
	w.ok(err)
	if first.ID == second.ID || first.ID == "" {
		t.Errorf("ids %q and %q", first.ID, second.ID)
	}
	for _, given := range []func() ([]vault.Shared, error){
		func() ([]vault.Shared, error) { return w.Grants(t.Context(), w.worker, c.ID) },
		func() ([]vault.Shared, error) { return w.SharedWith(t.Context(), w.second) },
	} {
		got, err := given()
		w.ok(err)
		for i := range got {
			got[i].Card = "" // of the word, where that was asked
		}
		if len(got) != 1 || !reflect.DeepEqual(got[0], second) {
			t.Errorf("grants %+v, want %+v", got, second)
		}
	}
}

func TestOpenings(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	w.share(d.ID, w.embassy)
	colleague, moved := w.embassy, w.embassy
	colleague.ID = id()
	moved.Agency = w.second.Agency
	_, stranger, err := ed25519.GenerateKey(nil)
	w.ok(err)

	good := w.signed(w.embassy, c.ID, vault.PartDocument)
	expires, err := w.OpenRecord(ctx, w.embassy, good, w.card)
	w.ok(err)
	if want := w.now.Add(15 * time.Minute); !expires.Equal(want) {
		t.Errorf("opened until %s, want %s", expires, want)
	}
	_, err = w.OpenRecord(ctx, w.embassy, good, w.card)
	w.is("replay", err, vault.ErrNonce)

	for _, one := range []struct {
		name string
		edit func(o *vault.Opening) (by audit.Actor, card vault.Card)
		want error
	}{
		{"other officer's nonce", func(*vault.Opening) (audit.Actor, vault.Card) { return colleague, w.card }, vault.ErrNonce},
		{"nonce from a former agency", func(*vault.Opening) (audit.Actor, vault.Card) { return moved, w.card }, vault.ErrNonce},
		{"other agency's nonce", func(*vault.Opening) (audit.Actor, vault.Card) { return w.second, w.card }, vault.ErrNonce},
		{"made-up nonce", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Nonce = "AAAAAAAAAAAAAAAAAAAAAA"
			return w.embassy, w.card
		}, vault.ErrNonce},
		{"signed for another record", func(o *vault.Opening) (audit.Actor, vault.Card) { o.Record = d.ID; return w.embassy, w.card }, vault.ErrSignature},
		{"more parts than signed", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Parts = append(o.Parts, vault.PartPages)
			return w.embassy, w.card
		}, vault.ErrSignature},
		{"other purpose than signed", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Purpose = "shelter"
			return w.embassy, w.card
		}, vault.ErrSignature},
		{"signed by another card", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Signature = ed25519.Sign(stranger, vault.OpeningMessage(*o, w.embassy.Agency))
			return w.embassy, w.card
		}, vault.ErrSignature},
		{"no key", func(*vault.Opening) (audit.Actor, vault.Card) { return w.embassy, vault.Card{ID: w.card.ID} }, vault.ErrSignature},
		{"no signature", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Signature = nil
			return w.embassy, w.card
		}, vault.ErrSignature},
		{"unknown part", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Parts = []vault.Part{"everything"}
			return w.embassy, w.card
		}, invalid.ErrInput},
		{"no device", func(o *vault.Opening) (audit.Actor, vault.Card) {
			o.Device = ""
			o.Signature = ed25519.Sign(cardPrivate, vault.OpeningMessage(*o, w.embassy.Agency))
			return w.embassy, w.card
		}, invalid.ErrInput},
		{"clock", func(o *vault.Opening) (audit.Actor, vault.Card) { o.Minute -= 6; return w.embassy, w.card }, invalid.ErrInput},
	} {
		o := w.signed(w.embassy, c.ID, vault.PartDocument)
		by, card := one.edit(&o)
		_, err := w.OpenRecord(ctx, by, o, card)
		w.is(one.name, err, one.want)
	}
	// A failed try has spent its nonce.
	o := w.signed(w.embassy, c.ID, vault.PartDocument)
	kept := o.Signature
	o.Signature = nil
	_, err = w.OpenRecord(ctx, w.embassy, o, w.card)
	w.is("no signature", err, vault.ErrSignature)
	o.Signature = kept
	_, err = w.OpenRecord(ctx, w.embassy, o, w.card)
	w.is("second try with one nonce", err, vault.ErrNonce)

	o = w.signed(w.embassy, c.ID, vault.PartDocument)
	w.now = w.now.Add(2 * time.Minute)
	_, err = w.OpenRecord(ctx, w.embassy, o, w.card)
	w.is("old nonce", err, vault.ErrNonce)

	// Somebody with the code but without a grant learns nothing, and is seen.
	_, err = w.OpenRecord(ctx, w.second, w.signed(w.second, c.ID, vault.PartDocument), w.card)
	w.is("code without a grant", err, vault.ErrNotFound)
	w.has(c.ID, "opening.refused", 1)

	w.now = expires.Add(-time.Second)
	_, err = w.ReadDocument(ctx, w.embassy, d.ID)
	w.ok(err)
	w.now = expires
	_, err = w.ReadDocument(ctx, w.embassy, d.ID)
	w.is("after a quarter of an hour", err, vault.ErrNotOpened)
}

func TestOpeningOfAttestations(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	sealed, err := w.Seal(ctx, c.ID, []byte("token"))
	w.ok(err)
	w.share(c.ID, w.second)
	_, err = w.Open(ctx, w.second, c.ID, sealed)
	w.is("not opened", err, vault.ErrNotOpened)
	w.open(w.second, c.ID, vault.PartAttestations)
	plain, err := w.Open(ctx, w.second, c.ID, sealed)
	w.ok(err)
	if string(plain) != "token" {
		t.Errorf("opened %q", plain)
	}
	_, err = w.History(ctx, w.second, c.ID)
	w.is("the history is the holder's", err, vault.ErrNotFound)
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c, quiet := w.newCase(), w.newCase()
	w.newDocument(quiet.ID)
	w.newDocument(c.ID)
	ask := func(what string, q vault.Query, told int) {
		t.Helper()
		answer, err := w.LookUp(ctx, w.second, q)
		w.ok(err)
		if answer != vault.Received {
			t.Errorf("%s: answer %q", what, answer)
		}
		w.has(c.ID, "number.looked_up", told)
		w.has(quiet.ID, "number.looked_up", 0)
	}
	q := specimenQuery()
	leaves := func() int64 {
		n, err := w.db.Log().Waiting(ctx)
		w.ok(err)
		return n
	}
	before := leaves()
	ask("not agreed", q, 0)
	miss := leaves() - before
	w.ok(w.SetFindable(ctx, w.worker, c.ID, true))
	before = leaves()
	ask("agreed", q, 1)
	if hit := leaves() - before; hit != miss {
		t.Errorf("%d leaves when there is a record, %d when there is none", hit, miss)
	}
	q.Number = private.New("l898-902 c3<")
	ask("written otherwise", q, 2)

	for name, edit := range map[string]func(*vault.Query){
		"kind":   func(q *vault.Query) { q.Kind = "VISA" },
		"state":  func(q *vault.Query) { q.State = "UTP" },
		"number": func(q *vault.Query) { q.Number = private.New("L898902C4") },
		"birth":  func(q *vault.Query) { q.BirthDate = private.New("740813") },
	} {
		q := specimenQuery()
		edit(&q)
		ask("another "+name, q, 2)
	}
	d := w.newDocument(c.ID)
	ask("two documents", specimenQuery(), 4)
	changed := d.Document
	changed.Number = private.New("X1")
	changed.MRZ, changed.MRZChecks, changed.MRZFormat = private.String{}, nil, ""
	_, err := w.UpdateDocument(ctx, w.worker, d.ID, 1, changed)
	w.ok(err)
	ask("moved in the index", specimenQuery(), 5)
	w.ok(w.SetFindable(ctx, w.worker, c.ID, false))
	ask("taken back", specimenQuery(), 5)

	_, err = w.LookUp(ctx, w.second, vault.Query{})
	var refused *invalid.Error
	if !errors.As(err, &refused) || len(refused.Problems) != 4 {
		t.Errorf("an empty query: %v", err)
	}
}

// TestLookUpVariants: the keeper is told whether somebody asks for what was typed
// or for what the zone says, for as much of the date as was known, and by
// whichever code of the state.
func TestLookUpVariants(t *testing.T) {
	t.Parallel()
	zone := passport().MRZ.Reveal()
	typed := func(edit func(*vault.Document)) vault.Document {
		d := passport()
		edit(&d)
		return d
	}
	ask := func(edit func(*vault.Query)) vault.Query {
		q := specimenQuery()
		edit(&q)
		return q
	}
	for _, c := range []struct {
		name string
		kept vault.Document
		q    vault.Query
		want int
	}{
		{"year typed, day in the zone", typed(func(d *vault.Document) { d.BirthDate = private.New("1974") }), specimenQuery(), 1},
		{"year typed, asked as typed", typed(func(d *vault.Document) { d.BirthDate = private.New("1974") }),
			ask(func(q *vault.Query) { q.BirthDate = private.New("74<<<<") }), 1},
		{"year typed, no zone", typed(func(d *vault.Document) { d.BirthDate, d.MRZ = private.New("1974"), private.String{} }), specimenQuery(), 1},
		{"month typed, no zone", typed(func(d *vault.Document) { d.BirthDate, d.MRZ = private.New("1974-08"), private.String{} }), specimenQuery(), 1},
		{"another year typed, no zone", typed(func(d *vault.Document) { d.BirthDate, d.MRZ = private.New("1975"), private.String{} }), specimenQuery(), 0},
		{"another day typed, asked for the zone's", typed(func(d *vault.Document) { d.BirthDate = private.New("1974-12-08") }), specimenQuery(), 1},
		{"another day typed, asked for it", typed(func(d *vault.Document) { d.BirthDate = private.New("1974-12-08") }),
			ask(func(q *vault.Query) { q.BirthDate = private.New("741208") }), 1},
		{"another number typed, asked for the zone's", typed(func(d *vault.Document) { d.Number = private.New("L8989O2C3") }), specimenQuery(), 1},
		{"another number typed, asked for it", typed(func(d *vault.Document) { d.Number = private.New("L8989O2C3") }),
			ask(func(q *vault.Query) { q.Number = private.New("L8989O2C3") }), 1},
		{"RKS, asked with XKX", typed(func(d *vault.Document) { d.IssuingState, d.MRZ = "RKS", private.String{} }),
			ask(func(q *vault.Query) { q.State = "XKX" }), 1},
		{"XKX typed, RKS in the zone, asked with RKS", typed(func(d *vault.Document) {
			d.IssuingState, d.MRZ = "XKX", private.New(strings.ReplaceAll(zone, "UTO", "RKS"))
		}), ask(func(q *vault.Query) { q.State = "RKS" }), 1},
		{"DEU typed, asked with DEU, D in the zone", typed(func(d *vault.Document) {
			d.IssuingState, d.MRZ = "DEU", private.New(strings.ReplaceAll(zone, "UTO", "D<<"))
		}), ask(func(q *vault.Query) { q.State = "DEU" }), 1},
		{"ROM, asked with ROU", typed(func(d *vault.Document) { d.IssuingState, d.MRZ = "ROM", private.String{} }),
			ask(func(q *vault.Query) { q.State = "ROU" }), 1},
		{"another state typed, asked for the zone's", typed(func(d *vault.Document) { d.IssuingState = "THA" }), specimenQuery(), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			made := w.newCase()
			w.ok(w.SetFindable(t.Context(), w.worker, made.ID, true))
			_, err := w.AddDocument(t.Context(), w.worker, made.ID, c.kept)
			w.ok(err)
			_, err = w.LookUp(t.Context(), w.second, c.q)
			w.ok(err)
			w.has(made.ID, "number.looked_up", c.want)
		})
	}
}

func specimenQuery() vault.Query {
	return vault.Query{Kind: "PASSPORT", State: "UTO", Number: private.New("L898902C3"), BirthDate: private.New("740812")}
}

// TestLookUpBudget: at 30 left, exactly 30 of a hundred at once are served.
func TestLookUpBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	served, refused := 0, 0
	q := specimenQuery()
	q.BirthDate = private.New("74<<<<") // asked for in one place, not in three
	var wait sync.WaitGroup
	const asked = 100
	for range asked {
		wait.Go(func() {
			_, err := w.LookUp(t.Context(), w.second, q)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				served++
			case errors.Is(err, vault.ErrBudget):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if served != vault.LookUpsPerOfficer || refused != asked-vault.LookUpsPerOfficer {
		t.Errorf("%d served, %d refused", served, refused)
	}
	w.now = w.now.AddDate(0, 0, 1)
	_, err := w.LookUp(t.Context(), w.second, q)
	w.ok(err)
}

// TestLookUpsOfSevenAgencies is hostile case 90: ten officers of each of seven agencies
// look up all that they may, and it is not somebody else's: not of an agency that has
// asked nothing yet, nor of an agency whose own budget is not spent. An eleventh officer
// of theirs gets nothing more.
func TestLookUpsOfSevenAgencies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(agency, officer string) error {
		_, _, err := w.ProposeLookUp(t.Context(), audit.Actor{ID: agency + officer, Agency: agency, Role: "officer"}, specimenQuery())
		return err
	}
	for a := range 7 {
		agency := fmt.Sprint("agency-", a)
		for o := range vault.LookUpsPerAgency / vault.LookUpsPerOfficer {
			for range vault.LookUpsPerOfficer {
				w.ok(ask(agency, fmt.Sprint(o)))
			}
			if err := ask(agency, fmt.Sprint(o)); !errors.Is(err, vault.ErrBudget) {
				t.Errorf("an officer's thirty-first: %v", err)
			}
		}
		if err := ask(agency, "another"); !errors.Is(err, vault.ErrBudget) {
			t.Errorf("an agency's three hundred and first: %v", err)
		}
	}
	for range vault.LookUpsPerOfficer {
		w.ok(ask("agency-7", "1"))
	}
	_, err := w.LookUp(t.Context(), w.second, specimenQuery())
	w.ok(err)
}

// TestSharingAtOnce: many changes of one key file, none of which is lost.
func TestSharingAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	agencies := []audit.Actor{w.embassy, w.second}
	var wait sync.WaitGroup
	for range 4 {
		for _, a := range agencies {
			wait.Go(func() {
				// What was given or taken back while others were asked is newer.
				if err := w.give(w.worker, w.grant(d.ID, a), vault.Signed{}); err != nil && !errors.Is(err, vault.ErrConsent) {
					t.Error(err)
				}
			})
			wait.Go(func() {
				if err := w.TakeBack(ctx, w.worker, d.ID, a.Agency); err != nil && !errors.Is(err, vault.ErrNotFound) {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	// Whatever came last: rows and key file say the same.
	grants, err := w.Grants(ctx, w.worker, c.ID)
	w.ok(err)
	for _, a := range agencies {
		listed := slices.ContainsFunc(grants, func(s vault.Shared) bool { return s.Agency == a.Agency })
		if !listed {
			_, err := w.ReadDocument(ctx, a, d.ID)
			w.is("not shared", err, vault.ErrNotFound)
			continue
		}
		w.open(a, d.ID, vault.PartDocument)
		_, err := w.ReadDocument(ctx, a, d.ID)
		w.ok(err)
	}
}

// TestKeeperLies: whatever the key keeper answers, nothing is lost, nothing is
// released, and the key file that was there stays.
func TestKeeperLies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	before, err := w.keyring.Get(ctx, d.ID)
	w.ok(err)
	zeros := func(n int) func(string, []byte, []byte) []byte {
		return func(_ string, _, _ []byte) []byte { return make([]byte, n) }
	}
	only := func(call string, lie func(in, out []byte) []byte) func(string, []byte, []byte) []byte {
		return func(c string, in, out []byte) []byte {
			if c == call {
				return lie(in, out)
			}
			return out
		}
	}
	for name, lie := range map[string]func(string, []byte, []byte) []byte{
		"garbage":             zeros(44),
		"nothing":             zeros(0),
		"too much":            zeros(1 << 20),
		"wrap does nothing":   only("wrap", func(in, _ []byte) []byte { return in }),
		"wrap hides the key":  only("wrap", func(in, out []byte) []byte { return append(append([]byte("x"), in...), out...) }),
		"wrap cuts":           only("wrap", func(_, out []byte) []byte { return out[:len(out)-1] }),
		"wrap flips":          only("wrap", func(_, out []byte) []byte { out[3] ^= 1; return out }),
		"does nothing at all": func(_ string, in, _ []byte) []byte { return in },
		"unwrap another key":  only("unwrap", func(_, out []byte) []byte { out[0] ^= 1; return out }),
		"unwrap a longer key": only("unwrap", func(_, out []byte) []byte { return append(out, 0) }),
		"unwrap no key":       only("unwrap", func(_, _ []byte) []byte { return nil }),
	} {
		t.Run(name, func(t *testing.T) {
			w.keeper.lie = lie
			if err := w.give(w.worker, w.grant(d.ID, w.second), vault.Signed{}); err == nil {
				t.Error("shared")
			}
			if _, err := w.CreateCase(ctx, w.worker); err == nil {
				t.Error("created a case")
			}
			w.keeper.lie = nil
			after, err := w.keyring.Get(ctx, d.ID)
			w.ok(err)
			if !slices.Equal(before, after) {
				t.Fatal("the key file changed")
			}
		})
	}
	_, err = w.SharedWith(ctx, w.second)
	w.ok(err)
	_, err = w.ReadDocument(ctx, w.worker, d.ID)
	w.ok(err)
	w.has(c.ID, "record.shared", 0)

	w.ok(w.SetFindable(ctx, w.worker, c.ID, false))
	for name, lie := range map[string]func(in, out []byte) []byte{
		"echo":  func(in, _ []byte) []byte { return in },
		"short": func(_, out []byte) []byte { return out[:15] },
		"empty": func(_, _ []byte) []byte { return nil },
	} {
		w.keeper.lie = only("mac", lie)
		_, err := w.LookUp(ctx, w.second, specimenQuery())
		w.is("mac "+name, err, vault.ErrKeeper)
		w.keeper.lie = nil
	}
}

func TestNew(t *testing.T) {
	_, err := vault.New(vault.Config{})
	for _, part := range []string{"store", "keyring", "blobs", "keys", "directory", "network"} {
		if err == nil || !strings.Contains(err.Error(), part+" is required") {
			t.Errorf("%s is not reported as missing: %v", part, err)
		}
	}
}

// The message that a device signs, for whoever writes a device.
func ExampleOpeningMessage() {
	m := vault.OpeningMessage(vault.Opening{
		Nonce: "AAECAwQFBgcICQoLDA0ODw", Device: "d1", Record: "r1", Purpose: "protection",
		Parts: []vault.Part{vault.PartDocument, vault.PartPages}, Minute: 29540000,
	}, "a1")
	fmt.Println(hex.EncodeToString(m))
	// Output:
	// 73616665636f6e647563742f6f70656e2f310000001641414543417751464267634943516f4c4441304f44770000000264310000000261310000000272310000000a70726f74656374696f6e0000000e646f63756d656e742c7061676573000000083239353430303030
}
