package signer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// agreed has people agree that a key is replaced, and the signer hear of it.
func (w *town) agreed(what roster.NewKey) {
	w.t.Helper()
	w.Do(roster.DoNewKey, what.Agency, &what, w.First)
	_, err := w.HandOver(w.t.Context())
	w.ok(err)
}

// ceremony replaces a key that signs for the network, as people agreed.
func (w *town) ceremony(use string, ks keystore.Use) {
	w.t.Helper()
	p, err := w.Public(w.t.Context(), ks)
	w.ok(err)
	w.agreed(roster.NewKey{Use: use, Before: p.KeyID})
	_, err = w.Rotate(w.t.Context(), ks, p.KeyID)
	w.ok(err)
}

// newKey gives an agency a new key, as people agreed.
func (w *town) newKey(agency string) {
	w.t.Helper()
	old, err := w.Public(w.t.Context(), keystore.Agency(agency))
	w.ok(err)
	w.agreed(roster.NewKey{Use: roster.UseAgency, Agency: agency, Before: old.KeyID})
	_, err = w.RotateAgency(w.t.Context(), agency, old.KeyID)
	w.ok(err)
}

// own is a key of the network's own that signs now, as it stands on trust lists.
func (w *town) own(use keystore.Use) verifier.NetworkKey {
	w.t.Helper()
	p, err := w.Public(w.t.Context(), use)
	w.ok(err)
	key, err := p.Key()
	w.ok(err)
	jwk, err := jws.MarshalKey(key)
	w.ok(err)
	return verifier.NetworkKey{Use: verifier.Use(use), KeyID: p.KeyID, JWK: jwk}
}

// notes are the keys of the log as they stand on trust lists, the one that signs first.
func (w *town) notes() (all []verifier.NetworkKey) {
	w.t.Helper()
	notes, err := keystore.New(w.Client).Notes(w.t.Context())
	w.ok(err)
	for _, k := range notes {
		all = append(all, verifier.NetworkKey{Use: verifier.UseLog, Note: k.Note})
	}
	return all
}

// kidOf is the id of a key of the log.
func kidOf(t testing.TB, k verifier.NetworkKey) string {
	t.Helper()
	kid, err := keystore.LogKeyID(k.Note)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

// TestReplacedKeysListedAgain: a trust list has the key that signs now first of its use,
// and one that people had replaced beside it for 40 days. The log has one name.
func TestReplacedKeysListedAgain(t *testing.T) {
	w := fileTown(t)
	n := uint64(0)
	sign := func(keys ...verifier.NetworkKey) error {
		t.Helper()
		n++
		l := w.listed(n)
		l.Keys = keys
		trust, err := keystore.New(w.Client).Trust(t.Context())
		w.ok(err)
		_, err = l.Sign(trust)
		return err
	}
	status, pack, log := w.own(keystore.Status), w.own(keystore.Pack), w.notes()[0]
	named := func(k verifier.NetworkKey, name string) verifier.NetworkKey {
		public, err := keystore.LogPublic(k.Note)
		w.ok(err)
		k.Note, err = note.NewEd25519VerifierKey(name, public)
		w.ok(err)
		return k
	}
	refused(t, "a log of anybody's", sign(status, pack, named(log, "somebody-elses.example/log")))
	refused(t, "a log of another network", sign(status, pack, named(log, "safeconduct/"+strings.Repeat("0", 32))))
	refused(t, "a log with half a name", sign(status, pack, named(log, "safeconduct/"+netID+"/dead")))
	allowed(t, "as it is", sign(status, pack, log))
	refused(t, "a log with the name of a restore that there was not", sign(status, pack, named(log, "safeconduct/"+netID+"/deadbeef")))
	for what, keys := range map[string][]verifier.NetworkKey{
		"no key for lists": {pack, log}, "no key for packs": {status, log}, "no key of the log": {status, pack}, "no key": {},
	} {
		refused(t, what, sign(keys...))
	}

	w.ceremony(roster.UsePack, keystore.Pack)
	w.ceremony(roster.UseStatus, keystore.Status)
	w.agreed(roster.NewKey{Use: roster.UseLog, Before: kidOf(t, log)})
	_, err := w.Rotate(t.Context(), keystore.Log, kidOf(t, log))
	w.ok(err)
	status2, pack2, log2 := w.own(keystore.Status), w.own(keystore.Pack), w.notes()[0]
	both := func() error { return sign(status2, status, pack2, pack, log2, log) }
	always := func(when string) {
		t.Helper()
		allowed(t, "the new ones "+when, sign(status2, pack2, log2))
		for what, keys := range map[string][]verifier.NetworkKey{
			"the former for lists alone": {status, pack2, log2}, "the former for packs alone": {status2, pack, log2},
			"the former of the log alone": {status2, pack2, log},
			"the former for lists first":  {status, status2, pack2, log2}, "the former for packs first": {status2, pack, pack2, log2},
			"the former of the log first": {status2, pack2, log, log2},
			"a log with two names":        {status2, pack2, log2, named(log, "safeconduct/"+netID+"/deadbeef")},
		} {
			refused(t, what+" "+when, sign(keys...))
		}
	}
	always("at once")
	allowed(t, "both at once", both())
	w.wait(39 * 24 * time.Hour)
	allowed(t, "both after 39 days", both())
	w.wait(2 * 24 * time.Hour)
	refused(t, "both after 41 days", both())
	for what, keys := range map[string][]verifier.NetworkKey{
		"for lists": {status2, status, pack2, log2}, "for packs": {status2, pack2, pack, log2}, "of the log": {status2, pack2, log2, log},
	} {
		refused(t, "the former one "+what+" after 41 days", sign(keys...))
	}
	always("after 41 days")
	w.start()
	always("started anew")
	refused(t, "the log under another name, started anew", sign(status2, pack2, named(log2, "safeconduct/"+netID+"/deadbeef")))
}

// TestLogNamedAnew: a restore begins the log anew, and publishes its name with the keys
// themselves. A signer that is shown it goes on with that name.
func TestLogNamedAnew(t *testing.T) {
	g := newGuarded(t)
	allowed(t, "as it was", g.published(g.trustList(1)))
	allowed(t, "a pack", g.pack(1, "", ""))
	public, err := keystore.LogPublic(g.trustList(1).Keys[2].Note)
	allowed(t, "the key", err)
	vkey, err := note.NewEd25519VerifierKey("safeconduct/"+netID+"/0a0b0c0d", public)
	allowed(t, "its new name", err)
	restored := func(number uint64) verifier.TrustList {
		l := g.trustList(number)
		l.Keys[2].Note = vkey
		return l
	}
	refused(t, "another name", g.published(restored(2)))
	g.newest = g.elsewhere(restored(3))
	allowed(t, "a pack that names what a restore published", g.pack(2, "", ""))
	allowed(t, "the new name", g.published(restored(4)))
	refused(t, "the name of before", g.published(g.trustList(5)))
}

// TestKeysOfTheirTime: a key of an agency is not from before the agency, and keeps the
// time that it was said to be good for; an agency is as old as the roster says.
func TestKeysOfTheirTime(t *testing.T) {
	w := fileTown(t)
	n := uint64(0)
	sign := func(edit func(a *verifier.Agency, k *verifier.AgencyKey)) error {
		n++
		l := w.listed(n)
		a := swap(&l, w.ngo)
		edit(a, &a.Keys[0])
		trust, err := keystore.New(w.Client).Trust(t.Context())
		w.ok(err)
		_, err = l.Sign(trust)
		return err
	}
	const year = 365 * 86400
	long := func(_ *verifier.Agency, k *verifier.AgencyKey) { k.To = k.From + 2*year }
	for what, edit := range map[string]func(a *verifier.Agency, k *verifier.AgencyKey){
		"no first day":          func(a *verifier.Agency, _ *verifier.AgencyKey) { a.Admitted = 0 },
		"a key of years ago":    func(_ *verifier.Agency, k *verifier.AgencyKey) { k.From -= 10 * year },
		"a key of the day ago":  func(_ *verifier.Agency, k *verifier.AgencyKey) { k.From -= 86400 },
		"a key for a century":   func(_ *verifier.Agency, k *verifier.AgencyKey) { k.To = k.From + 100*year },
		"a key for two years+":  func(_ *verifier.Agency, k *verifier.AgencyKey) { k.To = k.From + 2*year + 1 },
		"a key of next month":   func(_ *verifier.Agency, k *verifier.AgencyKey) { k.From += 30 * 86400; k.To = k.From + year },
		"a key that never ends": func(_ *verifier.Agency, k *verifier.AgencyKey) { k.To = 1<<63 - 1 },
	} {
		refused(t, what, sign(edit))
	}
	allowed(t, "a key for two years", sign(long))
	w.wait(100 * 24 * time.Hour)
	allowed(t, "the same later", sign(long))
	refused(t, "moved", sign(func(_ *verifier.Agency, k *verifier.AgencyKey) { k.From += 86400; k.To = k.From + 2*year }))
	refused(t, "begun later", sign(func(a *verifier.Agency, k *verifier.AgencyKey) { long(a, k); k.From += 86400 }))
	allowed(t, "ended", sign(func(_ *verifier.Agency, k *verifier.AgencyKey) { k.To = k.From + year }))
	refused(t, "good for two years again", sign(long))
}

// TestEndedKeys: a signer that begins lists no ended key of an agency that this keystore
// does not have, but where a list was shown to it that has it; and none lives again.
func TestEndedKeys(t *testing.T) {
	w := fileTown(t)
	gone, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	jwk, err := jws.MarshalKey(&gone.PublicKey)
	w.ok(err)
	w.wait(90 * 24 * time.Hour)
	g := &guarded{t: t, Keys: keystore.New(w.Client), clock: w.clock}
	list := func(n uint64, days int64) verifier.TrustList {
		l := w.listed(n)
		a := swap(&l, w.ngo)
		a.Keys = append(a.Keys, verifier.AgencyKey{KeyID: jws.KeyID(&gone.PublicKey), JWK: jwk, From: a.Admitted, To: a.Admitted + days*86400})
		return l
	}
	for what, days := range map[string]int64{"ended": 30, "ended today": 90, "living": 400} {
		refused(t, "a made-up key, "+what, g.published(list(1, days)))
	}
	// The list that another signer of these keys has signed, in a pack.
	trust, err := keystore.New(w.keys).Trust(t.Context())
	w.ok(err)
	shown, err := list(2, 30).Sign(trust)
	w.ok(err)
	packKey, err := keystore.New(w.keys).Pack(t.Context())
	w.ok(err)
	pack, err := verifier.PackStatement{
		Network: netID, Sequence: 1, IssuedAt: w.clock().Unix(), TrustSHA256: verifier.TrustDigest(shown),
		Status: []verifier.ListToken{}, Answers: []verifier.ListToken{}, Burned: []uint32{},
	}.Sign(packKey)
	w.ok(err)
	_, _, err = w.Said(approval.With(t.Context(), approval.Authority{About: private.New(shown)}), base+"/status-lists/1", pack)
	w.ok(err)
	allowed(t, "an ended key that is gone, on a list that was shown", g.published(list(3, 30)))
	w.start()
	g.Keys = keystore.New(w.Client)
	allowed(t, "the same, started anew", g.published(list(4, 30)))
	refused(t, "living again", g.published(list(5, 400)))
}

// TestCardOnAStolenKey: a card repeats no screening that devices would not believe,
// because of what trust lists said of the key.
func TestCardOnAStolenKey(t *testing.T) {
	w := fileTown(t)
	g := &guarded{t: t, Keys: keystore.New(w.Client)}
	stated := preliminary(t)
	stated["decision_level"] = "reasonable_grounds"
	level, is := claims.CardDecisionLevel("reasonable_grounds"), claims.CardStatus(stated["trafficking_status"].(string))
	// The thief has the key, and signs past the signer.
	kid, key, err := keystore.New(w.keys).Signer(t.Context(), w.ngo)
	w.ok(err)
	forged := func(on time.Time) string {
		t.Helper()
		token, err := w.signed(kid, key, on.UTC().Truncate(24*time.Hour), w.ngo, "screening", stated)
		w.ok(err)
		return token
	}
	late, early, logged := forged(w.clock()), forged(w.clock().AddDate(0, 0, -2)), forged(w.clock())
	print := func(about string) error {
		ctx := approval.With(t.Context(), approval.Authority{Token: private.New(w.program), About: private.New(about)})
		return w.print(ctx, w.ngo, func(c *card.Claims) { c.Status, c.DecisionLevel = is, level })
	}
	number := uint64(0)
	was := w.listed(1)
	list := func(edit func(*verifier.AgencyKey)) {
		t.Helper()
		number++
		l := w.listed(number)
		if number > 1 {
			a := swap(&l, w.ngo)
			a.Keys = append(a.Keys, swap(&was, w.ngo).Keys[0])
			edit(&a.Keys[1])
		}
		w.ok(g.published(l))
		w.ok(g.pack(number, "", ""))
	}
	list(nil)
	w.newKey(w.ngo)
	list(func(*verifier.AgencyKey) {})
	allowed(t, "by a key that was replaced", print(late))
	refused(t, "dated before the key", print(early))
	signed := strings.SplitN(logged, "~", 2)[0]
	sum := sha256.Sum256([]byte(signed[:strings.LastIndexByte(signed, '.')]))
	stolen := func(k *verifier.AgencyKey) {
		k.Compromised = &verifier.Compromise{At: w.clock().Unix(), Logged: []string{hex.EncodeToString(sum[:8])}}
	}
	list(stolen)
	refused(t, "by a stolen key", print(late))
	allowed(t, "by a stolen key, logged before", print(logged))
	w.start()
	g.Keys = keystore.New(w.Client)
	refused(t, "by a stolen key, started anew", print(late))
	list(func(k *verifier.AgencyKey) { stolen(k); k.Revoked = true })
	refused(t, "by a key that was revoked", print(logged))
}

// TestCardOnAnUnlistedKey: a signer that has seen no trust list believes the key that
// signs now, and no former one.
func TestCardOnAnUnlistedKey(t *testing.T) {
	w := fileTown(t)
	screening, err := w.attest(w.with(w.program), w.ngo, "screening", preliminary(t))
	w.ok(err)
	ctx := approval.With(t.Context(), approval.Authority{Token: private.New(w.program), About: private.New(screening)})
	is := claims.CardStatus(preliminary(t)["trafficking_status"].(string))
	print := func() error {
		return w.print(ctx, w.ngo, func(c *card.Claims) { c.Status, c.DecisionLevel = is, 1 })
	}
	allowed(t, "by the key that signs now", print())
	w.newKey(w.ngo)
	refused(t, "by a former key", print())
}

// TestCardOnAPausedScreening: none is made while the screening is paused.
func TestCardOnAPausedScreening(t *testing.T) {
	w := fileTown(t)
	screening, err := w.attest(w.with(w.program), w.ngo, "screening", preliminary(t))
	w.ok(err)
	g := &guarded{t: t, Keys: keystore.New(w.Client)}
	w.ok(g.published(w.listed(1)))
	ctx := approval.With(t.Context(), approval.Authority{Token: private.New(w.program), About: private.New(screening)})
	is := claims.CardStatus(preliminary(t)["trafficking_status"].(string))
	print := func() error {
		return w.print(ctx, w.ngo, func(c *card.Claims) { c.Status, c.DecisionLevel = is, 1 })
	}
	allowed(t, "on a screening in use", print())
	list, err := g.list(base+"/status-lists/1", map[int]uint8{w.place(w.ngo, screening): statuslist.Suspended}, nil)
	w.ok(err)
	w.ok(g.pack(1, list, ""))
	refused(t, "on a paused one", print())
}

// TestCompromisedMissionConfirms: of a mission that is not believed since a time no reply
// confirms anybody, whenever it was given.
func TestCompromisedMissionConfirms(t *testing.T) {
	w := fileTown(t)
	g := &guarded{t: t, Keys: keystore.New(w.Client)}
	w.ok(g.published(w.listed(1)))
	reply := sample(t, "reply-matched")
	reply["channel"], reply["mission_state"] = "account", "UTO"
	attestation, err := w.attest(w.shown(w.agree(w.embassy, "reply", "", reply, w.officer)), w.embassy, "reply", reply)
	w.ok(err)
	replied := g.receipt(uint32(w.place(w.embassy, attestation)))
	var index uint32
	ctx := approval.With(t.Context(), approval.Authority{Token: private.New(w.program), Case: strings.Repeat("0c", 16)})
	w.ok(w.print(ctx, w.ngo, func(c *card.Claims) { c.Nationality, index = private.New("UTO"), c.Index }))
	printed := g.receipt(index)
	status, err := g.list(base+"/status-lists/1", map[int]uint8{}, nil)
	w.ok(err)
	w.ok(g.pack(1, status, ""))
	sign := func() error {
		_, err := g.listFor(answersAt, map[int]uint8{int(index): confirmed}, approval.Change{List: 1, Index: index, Card: printed, Reply: replied})
		return err
	}
	allowed(t, "a mission that is believed", sign())
	w.Do(roster.DoCompromisedAgency, "", &roster.CompromisedAgency{ID: w.embassy, Since: w.clock().Unix() - 86400}, w.First)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	refused(t, "a mission that is not believed since yesterday", sign())
}

// midnight is that of a day, in Unix seconds.
func midnight(at int64) int64 { return at - at%86400 }
