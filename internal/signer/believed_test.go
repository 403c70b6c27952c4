package signer_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// ceremony replaces a key that signs for the network, as people agreed.
func (w *town) ceremony(use string, ks keystore.Use) {
	w.t.Helper()
	p, err := w.Public(w.t.Context(), ks)
	w.ok(err)
	w.Do(roster.DoNewKey, "", &roster.NewKey{Use: use, Before: p.KeyID}, w.First)
	_, err = w.HandOver(w.t.Context())
	w.ok(err)
	_, err = w.Rotate(w.t.Context(), ks, p.KeyID)
	w.ok(err)
}

// newKey gives an agency a new key, as people agreed.
func (w *town) newKey(agency string) {
	w.t.Helper()
	old, err := w.Public(w.t.Context(), keystore.Agency(agency))
	w.ok(err)
	w.Do(roster.DoNewKey, agency, &roster.NewKey{Use: roster.UseAgency, Agency: agency, Before: old.KeyID}, w.First)
	_, err = w.HandOver(w.t.Context())
	w.ok(err)
	_, err = w.RotateAgency(w.t.Context(), agency, old.KeyID)
	w.ok(err)
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
