package signer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// People replace a key because somebody else may have it. What it signs from then on, or
// has signed before where nobody looked, gets nobody anything from a signer.

// nameTrust has the root name the key that signs trust lists now.
func (w *town) nameTrust(iat int64) error {
	w.t.Helper()
	key := w.own(keystore.Trust)
	root, err := keystore.New(w.Client).Root(w.t.Context())
	w.ok(err)
	_, err = verifier.TrustKey{Network: netID, KeyID: key.KeyID, JWK: key.JWK, IssuedAt: iat, Expires: iat + 365*86400}.Sign(root)
	return err
}

// planted adds a key of one's own to an agency of a list.
func (w *town) planted(l verifier.TrustList) verifier.TrustList {
	w.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	jwk, err := jws.MarshalKey(&own.PublicKey)
	w.ok(err)
	a := swap(&l, w.ngo)
	a.Keys = append(a.Keys, verifier.AgencyKey{KeyID: jws.KeyID(&own.PublicKey), JWK: jwk, From: w.clock().Unix(), To: w.clock().Unix() + 300*86400})
	return l
}

// TestReplacedTrustKey: a list by the trust key of before is named by no pack, and a list
// by the one of now brings in no key of an agency that this keystore does not have.
func TestReplacedTrustKey(t *testing.T) {
	w := fileTown(t)
	g := &guarded{t: t, Keys: keystore.New(w.Client)}
	past := &guarded{t: t, Keys: keystore.New(w.keys)} // with the keys, past the signer
	signed := func(l verifier.TrustList) string {
		t.Helper()
		compact, err := l.Sign(past.key(past.Trust))
		w.ok(err)
		return compact
	}
	pack := func(number uint64, list string) error {
		_, err := g.packed(verifier.PackStatement{Sequence: number}, list, list)
		return err
	}
	w.ok(w.nameTrust(w.clock().Unix()))
	w.ok(g.published(w.listed(1)))
	w.ok(pack(1, g.newest))

	// While the key that somebody else has is the one of now.
	far := w.listed(2 + 1<<25)
	refused(t, "a list with a number far ahead", pack(2, signed(far)))
	rogue := w.planted(w.listed(2))
	allowed(t, "a list with a key of one's own", pack(2, signed(rogue)))
	rogue.Sequence = 3
	refused(t, "the next list, with that key", g.published(rogue))
	allowed(t, "the next without it", g.published(w.listed(3)))

	// Two people replace it. What it has signed until then is with whoever has it.
	old := signed(w.planted(w.listed(50)))
	past.newest = signed(w.listed(4))
	said, err := past.packed(verifier.PackStatement{Sequence: 5}, past.newest, past.newest)
	w.ok(err)
	w.ceremony(roster.UseTrust, keystore.Trust)
	w.ok(w.nameTrust(w.clock().Unix() + 1))
	refused(t, "a pack that names a list by the key of before", pack(3, old))
	_, _, err = w.Said(approval.With(t.Context(), approval.Authority{About: private.New(past.newest)}), statusAt, said)
	allowed(t, "shown the pack of before", err)
	refused(t, "a rogue key by the key of now", g.published(w.planted(w.listed(51))))
	allowed(t, "the next list", g.published(w.listed(4)))
	allowed(t, "the next pack", pack(3, g.newest)) // nothing was taken from number 5
}

// TestKeyUnderAnotherId: a list that somebody else has signed with the trust key brings in
// no key of one's own under the id of another, be it known or made up, living or ended.
func TestKeyUnderAnotherId(t *testing.T) {
	known := func(l verifier.TrustList, w *town) string { return swap(&l, w.ngo).Keys[0].KeyID }
	madeUp := func(verifier.TrustList, *town) string { return "00000000deadbeef" }
	for what, c := range map[string]struct {
		begins bool
		id     func(verifier.TrustList, *town) string
	}{
		"a known one":                            {id: known},
		"a made-up one":                          {id: madeUp},
		"a known one, by a signer that begins":   {begins: true, id: known},
		"a made-up one, by a signer that begins": {begins: true, id: madeUp},
	} {
		t.Run(what, func(t *testing.T) {
			w := fileTown(t)
			w.wait(90 * 24 * time.Hour)
			g := &guarded{t: t, Keys: keystore.New(w.Client), clock: w.clock}
			past := &guarded{t: t, Keys: keystore.New(w.keys)}
			if !c.begins {
				w.ok(g.published(w.listed(1)))
			}
			rogue := w.planted(w.listed(2))
			a := swap(&rogue, w.ngo)
			genuine, own := a.Keys[0], a.Keys[1]
			under := own
			under.KeyID, under.From, under.To = c.id(rogue, w), genuine.From, genuine.To
			if c.begins {
				under.To = under.From + 30*86400
			}
			a.Keys = []verifier.AgencyKey{under}
			shown, err := rogue.Sign(past.key(past.Trust))
			w.ok(err)
			_, err = g.packed(verifier.PackStatement{Sequence: 2, IssuedAt: w.clock().Unix()}, shown, shown)
			w.ok(err)
			next := w.listed(3)
			a = swap(&next, w.ngo)
			a.Keys = append(a.Keys, own)
			refused(t, "the next list with that key", g.published(next))
			allowed(t, "without it", g.published(w.listed(4)))
		})
	}
}

// TestReplacedPackAndStatusKeys: a pack by keys of before gives nobody an answer, and takes
// nobody's number.
func TestReplacedPackAndStatusKeys(t *testing.T) {
	for what, uses := range map[string]map[string]keystore.Use{
		"pack":   {roster.UsePack: keystore.Pack},
		"status": {roster.UseStatus: keystore.Status},
		"both":   {roster.UsePack: keystore.Pack, roster.UseStatus: keystore.Status},
	} {
		t.Run(what, func(t *testing.T) {
			w := fileTown(t)
			g := &guarded{t: t, Keys: keystore.New(w.Client)}
			past := &guarded{t: t, Keys: keystore.New(w.keys)}
			w.ok(g.published(w.listed(1)))
			status, err := g.list(statusAt, nil, nil)
			w.ok(err)
			none, err := g.list(answersAt, nil, nil)
			w.ok(err)
			w.ok(g.pack(1, status, none))
			at := int(nextPlace())
			answers, err := past.list(answersAt, map[int]uint8{at: confirmed}, nil)
			w.ok(err)
			forged := verifier.PackStatement{Answers: []verifier.ListToken{{Number: 1, Token: answers}}, Status: []verifier.ListToken{{Number: 1, Token: status}}}
			show := func(number uint64, keys *guarded) error {
				t.Helper()
				forged.Sequence = number
				pack, err := keys.packed(forged, g.newest, g.newest)
				w.ok(err)
				_, _, err = w.Said(approval.With(t.Context(), approval.Authority{About: private.New(g.newest)}), answersAt, pack)
				return err
			}
			refused(t, "by the keys of now, with a number far ahead", show(1<<62, past))
			var packs []string
			for _, number := range []uint64{2, 1 << 62} {
				forged.Sequence = number
				pack, err := past.packed(forged, g.newest, g.newest)
				w.ok(err)
				packs = append(packs, pack)
			}
			for use, of := range uses {
				w.ceremony(use, of)
			}
			if uses[roster.UsePack] == "" { // that is in other hands as well, and not known to be
				packs = packs[:1]
			}
			for _, pack := range packs {
				list, _, err := w.Said(approval.With(t.Context(), approval.Authority{About: private.New(g.newest)}), answersAt, pack)
				if err != nil || list != none {
					t.Errorf("it goes by another list after it was shown one of before: %v", err)
				}
			}
			_, err = g.list(answersAt, map[int]uint8{at: confirmed}, nil)
			refused(t, "an answer that nobody gave", err)
			allowed(t, "the next pack", g.pack(2, "", ""))
		})
	}
}

// TestBehindCeremony: a signer that is behind when a key is replaced is shown the pack of
// before, and the one that has signed it as well. Nothing stops: the next pack is by the
// new key, and each of them takes notice of it.
func TestBehindCeremony(t *testing.T) {
	for _, use := range []keystore.Use{keystore.Trust, keystore.Pack, keystore.Status} {
		t.Run(string(use), func(t *testing.T) {
			a := newGuarded(t)
			b := &guarded{t: t, file: a.file, dir: t.TempDir()}
			b.open(nil)
			number := uint64(0)
			publish := func(g *guarded, status map[int]uint8) (list, pack string) {
				t.Helper()
				number++
				l := g.trustList(number)
				allowed(t, "a trust list", g.published(l))
				list, err := g.list(statusAt, status, nil)
				allowed(t, "a list", err)
				pack, err = g.packed(verifier.PackStatement{Sequence: number, Status: []verifier.ListToken{{Number: 1, Token: list}}}, g.newest, g.newest)
				allowed(t, "a pack", err)
				return list, pack
			}
			said := func(g, of *guarded, pack, want string) {
				t.Helper()
				list, judged, err := g.Said(approval.With(t.Context(), approval.Authority{About: private.New(of.newest)}), statusAt, pack)
				if err != nil || !judged || list != want {
					t.Errorf("another list than it should be: %v", err)
				}
			}
			out := map[int]uint8{int(nextPlace()): statuslist.Invalid}
			list, pack := publish(a, out)
			before, err := a.file.Public(t.Context(), use)
			if err == nil {
				_, err = a.file.Rotate(t.Context(), use, before.KeyID)
			}
			if err != nil {
				t.Fatal(err)
			}
			// A crash, before anything is published with the new key.
			said(a, a, pack, list)
			known := ""
			if use == keystore.Status { // nothing in it needs a reason
				known = list
			}
			said(b, a, pack, known)
			a.open(nil)
			said(a, a, pack, list)
			next, pack := publish(b, out)
			said(a, b, pack, next)
			last, pack := publish(a, out)
			said(b, a, pack, last)
		})
	}
}

// TestTrustKeyAfterCeremony: one ceremony is for one key. The one after the next is named
// by nobody's leave.
func TestTrustKeyAfterCeremony(t *testing.T) {
	w := fileTown(t)
	iat := w.clock().Unix()
	w.ok(w.nameTrust(iat))
	w.ceremony(roster.UseTrust, keystore.Trust)
	w.ok(w.nameTrust(iat + 1))
	second, err := w.Public(t.Context(), keystore.Trust)
	w.ok(err)
	_, err = w.keys.Rotate(t.Context(), keystore.Trust, second.KeyID) // behind the signer's back
	w.ok(err)
	refused(t, "a third key that nobody agreed to", w.nameTrust(iat+2))
	w.agreed(roster.NewKey{Use: roster.UseTrust, Before: second.KeyID})
	allowed(t, "agreed to", w.nameTrust(iat+3))
}
