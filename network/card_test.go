package network_test

import (
	"encoding/hex"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/verifier"
)

// print seals a card of a made-up person to today's epoch, as the issuer does.
func (b *bench) print(agency string) (digits, code string) {
	b.t.Helper()
	keys, end, err := b.SealKeys(b.t.Context())
	b.ok(err)
	kid, key, err := b.keys.Signer(b.t.Context(), agency)
	b.ok(err)
	var kid8 [8]byte
	if _, err := hex.Decode(kid8[:], []byte(kid)); err != nil {
		b.t.Fatal(err)
	}
	c, err := card.NewCode(nil)
	b.ok(err)
	today := b.now().Truncate(day)
	expires := today.Add(180 * day)
	if end.Before(expires) {
		expires = end
	}
	sealed, err := card.Seal(card.Claims{
		IssuedAt: today, Expires: expires, Name: private.New("Made Up Person"), BirthDate: private.New("1999"),
		Nationality: private.New("KEN"), Handle: [8]byte{1}, List: 0, Index: 7,
	}, keys, c, kid8, key, nil)
	b.ok(err)
	return sealed.Card.Digits(), c.Reveal()
}

// TestCards checks cards of a network through the service's own pack, which
// runs the code of devices, at the turning points of a card's life.
func TestCards(t *testing.T) {
	b := newBench(t)
	ngo := b.agency(network.NGO)
	digits, code := b.print(ngo.ID)
	see := func(what, digits, code string, state verifier.State, reason verifier.Reason) {
		t.Helper()
		status, answers := b.lists()
		lists, sequence, err := b.Pack(t.Context(), status, answers)
		b.ok(err)
		p, err := b.ServerPack(t.Context(), lists, sequence)
		b.ok(err)
		v := p.Verify(verifier.Presentation{Text: digits, Code: &code}, b.now())
		if v.State != state || v.Reason != reason {
			t.Errorf("%s: %s (%s), want %s (%s)", what, v.State, v.Reason, state, reason)
		}
	}
	see("a new card", digits, code, verifier.Unconfirmed, verifier.ReasonNone)

	b.suspend(ngo.ID)
	see("of a suspended agency", digits, code, verifier.IssuerUnknown, verifier.ReasonKeyUnknown)
	b.resume(ngo.ID)

	_, err := b.RotateKey(t.Context(), b.root, ngo.ID)
	b.ok(err)
	see("under the key before", digits, code, verifier.Unconfirmed, verifier.ReasonNone)
	digits2, code2 := b.print(ngo.ID)
	see("under the new key", digits2, code2, verifier.Unconfirmed, verifier.ReasonNone)
	b.ok(b.RevokeKey(t.Context(), b.root, ngo.ID, ngo.Keys[0].KeyID, nil))
	see("under a revoked key", digits, code, verifier.IssuerUnknown, verifier.ReasonKeyUnknown)

	for range 29 { // to the last day of sealing, and on to the last day of the card
		b.move(day)
		b.ok(b.Turn(t.Context()))
	}
	lastDigits, lastCode := b.print(ngo.ID)
	b.move(179 * day)
	b.ok(b.Turn(t.Context()))
	see("on its last day", lastDigits, lastCode, verifier.Unconfirmed, verifier.ReasonNone)
	see("past its date", digits2, code2, verifier.Expired, verifier.ReasonNone)
	b.move(3 * day)
	b.ok(b.Turn(t.Context()))
	see("of an ended epoch", digits2, code2, verifier.Expired, verifier.ReasonEpochEnded)

	fresh, freshCode := b.print(ngo.ID)
	_, err = b.Burn(t.Context(), b.root)
	b.ok(err)
	see("of a burned epoch", fresh, freshCode, verifier.NotReady, verifier.ReasonEpochBurned)
	again, againCode := b.print(ngo.ID)
	see("after burning", again, againCode, verifier.Unconfirmed, verifier.ReasonNone)

	stranger := newBench(t)
	other, otherCode := stranger.print(stranger.agency(network.NGO).ID)
	see("of another network", other, otherCode, verifier.NotOurs, verifier.ReasonUnknownContent)
}
