package network_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// states counts the epochs in each state.
func (b *bench) states() map[network.EpochState]int {
	b.t.Helper()
	epochs, err := b.Epochs(b.t.Context(), b.root)
	b.ok(err)
	out := map[network.EpochState]int{}
	for _, e := range epochs {
		out[e.State(b.now())]++
	}
	return out
}

// TestEpochsDayByDay runs a network day by day and holds docs/card.md,
// Epochs, to its words on each of them.
func TestEpochsDayByDay(t *testing.T) {
	b := newBench(t)
	firstSeen := map[uint32]int{}
	sealed := map[uint32]bool{}
	for d := range 3 * 365 {
		before := b.logged()
		b.ok(b.Turn(t.Context()))
		once := b.logged()
		b.ok(b.Turn(t.Context()))
		if b.logged() != once || once > before+1 {
			t.Fatalf("day %d: turning twice logged %d and %d entries", d, once-before, b.logged()-once)
		}
		epochs, err := b.store.Epochs(t.Context())
		b.ok(err)
		states := b.states()
		if states[network.EpochLive] < 1 || states[network.EpochLive] > 7 || states[network.EpochNext] != 1 {
			t.Fatalf("day %d: %d live and %d next, want 1 to 7 and 1", d, states[network.EpochLive], states[network.EpochNext])
		}
		keys, end, err := b.SealKeys(t.Context())
		b.ok(err)
		sealed[keys.Epoch] = true
		for _, e := range epochs {
			if _, ok := firstSeen[e.ID]; !ok {
				firstSeen[e.ID] = d
			}
			closed := e.State(b.now()) == network.EpochEnded
			if e.Reduced != closed {
				t.Fatalf("day %d: an epoch is %s and reduced is %v", d, e.State(b.now()), e.Reduced)
			}
			if gone := !b.now().Before(e.EndsAt.Add(2 * 365 * day)); gone != (e.Keys == nil) {
				t.Fatalf("day %d: keys are gone is %v, want %v", d, e.Keys == nil, gone)
			}
		}
		if notice := d - firstSeen[keys.Epoch]; notice < 14 && d > 14 {
			t.Fatalf("day %d: sealing to an epoch that is known for %d days", d, notice)
		}
		// A card printed today may be valid for its full 180 days.
		if end.Sub(b.now()) < 180*day {
			t.Fatalf("day %d: the epoch ends %v from now", d, end.Sub(b.now()))
		}
		b.move(day)
	}
	if got := len(sealed); got != 37 {
		t.Errorf("sealed to %d epochs in 1095 days, want 37: one each 30 days", got)
	}
}

func TestEpochsAfterAPause(t *testing.T) {
	for _, c := range []struct {
		name string
		down time.Duration
		live int
	}{
		{"a week", 7 * day, 1},
		{"two months", 60 * day, 2},
		{"two years", 730 * day, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.move(c.down)
			_, _, before := b.SealKeys(t.Context())
			b.ok(b.Turn(t.Context()))
			states := b.states()
			if states[network.EpochLive] != c.live || states[network.EpochNext] != 1 {
				t.Errorf("%d live and %d next, want %d and 1", states[network.EpochLive], states[network.EpochNext], c.live)
			}
			if _, _, err := b.SealKeys(t.Context()); err != nil {
				t.Errorf("seal keys: %v", err)
			}
			if c.down > 300*day {
				wantErr(t, "before turning", before, network.ErrNoEpoch)
			}
		})
	}
}

func TestBurn(t *testing.T) {
	b := newBench(t)
	old, _, err := b.SealKeys(t.Context())
	b.ok(err)
	n, err := b.Burn(t.Context(), b.root)
	b.ok(err)
	if n != 2 {
		t.Errorf("%d epochs burned, want the live and the next one", n)
	}
	fresh, _, err := b.SealKeys(t.Context())
	b.ok(err)
	if fresh.Epoch == old.Epoch || bytes.Equal(fresh.TagKey, old.TagKey) || bytes.Equal(fresh.NetKey, old.NetKey) {
		t.Error("the burned keys still seal")
	}
	states := b.states()
	if states[network.EpochBurned] != 2 || states[network.EpochLive] != 1 || states[network.EpochNext] != 1 {
		t.Errorf("states are %v", states)
	}
	epochs, err := b.store.Epochs(t.Context())
	b.ok(err)
	for _, e := range epochs {
		if (e.State(b.now()) == network.EpochBurned) != e.Reduced {
			t.Error("a burned epoch still has its keys, or a live one lost them")
		}
	}
	b.ok(b.Turn(t.Context()))
}

// lists makes the network's list tokens as the issuer does.
func (b *bench) lists() (status, answers []verifier.ListToken) {
	b.t.Helper()
	key, err := b.keys.Status(b.t.Context())
	b.ok(err)
	for prefix, out := range map[string]*[]verifier.ListToken{b.StatusLists(): &status, b.AnswersLists(): &answers} {
		list, err := statuslist.New(2, statuslist.Entries)
		b.ok(err)
		token, err := statuslist.Token{
			Subject: prefix + "0", IssuedAt: b.now(), Expires: b.now().Add(72 * time.Hour), TTL: 6 * time.Hour, List: list,
		}.Sign(key.KeyID, key.Key)
		b.ok(err)
		*out = append(*out, verifier.ListToken{Number: 0, Token: token})
	}
	return status, answers
}

func TestTrustList(t *testing.T) {
	b := newBench(t)
	first, err := b.TrustList(t.Context())
	b.ok(err)
	before := b.logged()
	if again, err := b.TrustList(t.Context()); err != nil || again != first || b.logged() != before {
		t.Error("an unchanged list was signed again")
	}
	b.agency(network.NGO)
	second, err := b.TrustList(t.Context())
	b.ok(err)
	if second == first {
		t.Error("a new agency is not on the list")
	}
	b.move(14 * day)
	if again, err := b.TrustList(t.Context()); err != nil || again != second {
		t.Error("the list was signed again before half of its life")
	}
	b.move(2 * day)
	if again, err := b.TrustList(t.Context()); err != nil || again == second {
		t.Error("the list was not signed again after half of its life")
	}
}

// TestTrustKey: the root names the key that signs trust lists, once in half a year while
// it is at hand; while it is not, what it said holds until its end. A key that two people
// agreed to replace is replaced by the next statement alone.
func TestTrustKey(t *testing.T) {
	b := newBench(t)
	var device verifier.Device
	says := func() (verifier.TrustKey, network.SignedTrustList) {
		t.Helper()
		signed, err := b.TrustList(t.Context())
		b.ok(err)
		k, err := verifier.ReadTrustKey(signed.Key)
		b.ok(err)
		return k, signed
	}
	opens := func(signed network.SignedTrustList) {
		t.Helper()
		b.ok(b.Turn(t.Context()))
		status, answers := b.lists()
		lists, sequence, err := b.Pack(t.Context(), status, answers)
		b.ok(err)
		if lists.TrustKey != signed.Key || lists.TrustList != signed.Compact {
			t.Error("the pack has another trust list, or another statement beside it")
		}
		pack, err := b.ServerPack(t.Context(), lists, sequence)
		b.ok(err)
		device = pack.Accepted(device)
	}
	first, signed := says()
	key, err := b.keys.Trust(t.Context())
	b.ok(err)
	if first.KeyID != key.KeyID || first.Network != b.ID() || first.IssuedAt != b.now().Unix() || first.Expires != b.now().Add(365*day).Unix() {
		t.Errorf("the root says %+v", first)
	}
	opens(signed)
	b.move(182 * day)
	if k, _ := says(); k.IssuedAt != first.IssuedAt {
		t.Error("it was renewed in the first half of its life")
	}
	b.move(30 * day)
	renewed, signed := says()
	if renewed.KeyID != first.KeyID || renewed.IssuedAt != b.now().Unix() {
		t.Errorf("it was not renewed: %+v", renewed)
	}
	opens(signed)

	away := b.cfg
	away.Keys = noRoot{b.keys}
	if b.Network, err = network.New(away); err != nil {
		t.Fatal(err)
	}
	b.move(300 * day)
	if k, signed := says(); k.IssuedAt != renewed.IssuedAt {
		t.Error("somebody else than the root signed")
	} else {
		opens(signed)
	}
	if _, err := b.NameTrustKey(t.Context()); !errors.Is(err, errNoRoot) {
		t.Errorf("a ceremony without the root: %v", err)
	}
	b.move(65 * day)
	if _, err := b.TrustList(t.Context()); !errors.Is(err, errNoRoot) {
		t.Errorf("after its end, without the root: %v", err)
	}
	if b.Network, err = network.New(b.cfg); err != nil {
		t.Fatal(err)
	}
	_, err = b.NameTrustKey(t.Context())
	b.ok(err)

	what, err := b.NewKey(t.Context(), roster.UseTrust, "")
	b.ok(err)
	if what.Before != first.KeyID {
		t.Errorf("%s is to be replaced, want %s", what.Before, first.KeyID)
	}
	before, _ := says()
	b.house.Do(roster.DoNewKey, "", what, b.house.First)
	here := b.Network
	if b.Network, err = network.New(away); err != nil {
		t.Fatal(err)
	}
	b.ok(b.Renew(t.Context()))
	if k, _ := says(); k.KeyID != first.KeyID {
		t.Error("a key signs that the root did not name")
	}
	b.Network = here
	b.ok(b.Renew(t.Context()))
	replaced, signed := says()
	// All are of one second; the date of the newer one is later all the same.
	if replaced.KeyID == first.KeyID || replaced.IssuedAt <= before.IssuedAt {
		t.Errorf("two people agreed, and the root says %+v", replaced)
	}
	b.move(2 * time.Second)
	opens(signed)
	if device.TrustKeyIssued != replaced.IssuedAt {
		t.Errorf("a device has seen %d, want %d", device.TrustKeyIssued, replaced.IssuedAt)
	}
	keys, err := b.SigningKeys(t.Context(), "")
	b.ok(err)
	for _, k := range keys {
		if k.Use == roster.UseTrust && (!k.Signs || k.KeyID != replaced.KeyID) {
			t.Errorf("the key %s is listed still", k.KeyID)
		}
	}
}

var errNoRoot = errors.New("the root is in a safe")

// noRoot are the keys without the root's private half.
type noRoot struct{ keystore.Keys }

func (k noRoot) Root(ctx context.Context) (verifier.Signer, error) {
	s, err := k.Keys.Root(ctx)
	s.Key = silent{s.Key}
	return s, err
}

type silent struct{ crypto.Signer }

func (silent) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errNoRoot }

func (silent) SignMessage(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errNoRoot
}

// TestStolenTrustKey: whoever had the key for trust lists shows a device one pack of a
// number far ahead. After the ceremony the device takes the honest pack, and nothing of the
// stolen key any more.
func TestStolenTrustKey(t *testing.T) {
	b := newBench(t)
	border := b.agency(network.ImmigrationService)
	device, by, _ := b.device(border.ID)
	honest := func() verifier.File {
		status, answers := b.lists()
		lists, n, err := b.Pack(t.Context(), status, answers)
		b.ok(err)
		e, err := b.Envelope(t.Context(), by, n)
		b.ok(err)
		return verifier.File{Lists: lists, Envelope: e}
	}
	before := honest()
	p, err := verifier.Open(before, device, b.now())
	b.ok(err)
	device = p.Accepted(device)

	// He names a pack key of his own, and needs nothing else that is secret.
	trust, err := b.keys.Trust(t.Context())
	b.ok(err)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	b.ok(err)
	jwk, err := jws.MarshalKey(&own.PublicKey)
	b.ok(err)
	list, pack := p.Trust(), verifier.Signer{KeyID: "thief", Key: own}
	for i := range list.Keys {
		if list.Keys[i].Use == verifier.UsePack {
			list.Keys[i].KeyID, list.Keys[i].JWK = pack.KeyID, jwk
		}
	}
	compact, err := list.Sign(trust)
	b.ok(err)
	const far = uint64(1) << 53
	status, answers := b.lists()
	signed, err := verifier.PackStatement{
		Network: b.cfg.ID, Sequence: far, IssuedAt: b.now().Unix(), TrustSHA256: verifier.TrustDigest(compact), Status: status, Answers: answers,
	}.Sign(pack)
	b.ok(err)
	private, err := hpke.MLKEM768X25519().NewPrivateKey(device.Private)
	b.ok(err)
	sealed, err := verifier.Envelope{
		Network: b.cfg.ID, Device: device.ID, Sequence: far, IssuedAt: b.now().Unix(), LeaseUntil: b.now().Add(day).Unix(),
	}.Seal(verifier.EpochKeys{Live: []verifier.Epoch{}, Closed: []verifier.ClosedEpoch{}}, private.PublicKey().Bytes(), pack)
	b.ok(err)
	forged := verifier.File{Lists: verifier.Lists{TrustList: compact, Pack: signed, TrustKey: before.Lists.TrustKey}, Envelope: sealed}
	p, err = verifier.Open(forged, device, b.now())
	b.ok(err)
	device = p.Accepted(device)
	if device.Sequence != far {
		t.Fatalf("the device counts %d", device.Sequence)
	}

	what, err := b.NewKey(t.Context(), roster.UseTrust, "")
	b.ok(err)
	b.house.Do(roster.DoNewKey, "", what, b.house.First)
	b.ok(b.Renew(t.Context()))
	b.move(10 * time.Second)
	after := honest()
	p, err = verifier.Open(after, device, b.now())
	b.ok(err)
	accepted := p.Accepted(device)
	// A file of which only the statement can be read does as well.
	_, err = verifier.Open(verifier.File{Lists: verifier.Lists{TrustKey: after.Lists.TrustKey}}, device, b.now())
	not, ok := errors.AsType[*verifier.NotReadyError](err)
	if !ok {
		t.Fatal(err)
	}
	for name, device := range map[string]verifier.Device{"after the honest pack": accepted, "after the statement alone": not.Kept(device)} {
		for what, file := range map[string]verifier.File{"the forged pack": forged, "the pack from before": before} {
			_, err := verifier.Open(file, device, b.now())
			if not, ok := errors.AsType[*verifier.NotReadyError](err); !ok || not.Reason != verifier.ReasonPackOlder {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if _, err := verifier.Open(after, device, b.now()); err != nil {
			t.Errorf("%s, the honest pack: %v", name, err)
		}
	}
}

// TestDevice takes a pack all the way to a device, as the verifier opens it.
func TestDevice(t *testing.T) {
	b := newBench(t)
	b.cfg.Demo = false
	ngo, border := b.agency(network.NGO), b.agency(network.ImmigrationService)
	device, by, _ := b.device(border.ID)
	status, answers := b.lists()
	lists, sequence, err := b.Pack(t.Context(), status, answers)
	b.ok(err)
	envelope, err := b.Envelope(t.Context(), by, sequence)
	b.ok(err)
	file := verifier.File{Lists: lists, Envelope: envelope}
	p, err := verifier.Open(file, device, b.now())
	b.ok(err)
	if p.Sequence() != sequence || p.Sequence() != 1 {
		t.Errorf("sequence %d, want %d", p.Sequence(), sequence)
	}
	if got, want := p.LeaseUntil(), b.now().Add(7*day); !got.Equal(want) {
		t.Errorf("lease until %v, want %v", got, want)
	}
	trust := p.Trust()
	if len(trust.Agencies) != 2 || trust.Network != b.cfg.ID || trust.Demo || trust.Desk != b.cfg.Desk {
		t.Errorf("the trust list says %+v", trust)
	}
	i := slices.IndexFunc(trust.Agencies, func(a verifier.Agency) bool { return a.ID == ngo.ID })
	if i < 0 || trust.Agencies[i].Issuer != b.Issuer(ngo.ID) || len(trust.Agencies[i].Keys) != 1 {
		t.Error("the agency is not on the list as it is")
	}

	// The service itself opens the same lists through the same code.
	sp, err := b.ServerPack(t.Context(), lists, sequence)
	b.ok(err)
	if sp.Sequence() != sequence {
		t.Errorf("the service's pack has number %d, want %d", sp.Sequence(), sequence)
	}

	// An envelope opens on no other device, with no other pack and not after
	// its lease.
	otherDevice, _, _ := b.device(border.ID)
	if _, err := verifier.Open(file, otherDevice, b.now()); err == nil {
		t.Error("another device opened the envelope")
	}
	lists2, sequence2, err := b.Pack(t.Context(), status, answers)
	b.ok(err)
	if sequence2 != sequence+1 {
		t.Errorf("second pack has number %d, want %d", sequence2, sequence+1)
	}
	if _, err := verifier.Open(verifier.File{Lists: lists2, Envelope: envelope}, device, b.now()); err == nil {
		t.Error("an envelope opened with another pack")
	}
	if _, err := verifier.Open(file, device, b.now().Add(7*day)); err == nil {
		t.Error("an envelope opened after its lease")
	}

	// Whoever is not the device, or is not let in any more, gets none.
	officer, _ := b.member(border.ID, people.Officer)
	for name, refused := range map[string]error{
		"an officer":       second(b.Envelope(t.Context(), officer, sequence)),
		"the operator":     second(b.Envelope(t.Context(), b.root, sequence)),
		"another agency's": second(b.Envelope(t.Context(), actorIn(by.ID, ngo.ID), sequence)),
	} {
		wantErr(t, name, refused, network.ErrForbidden)
	}
	wantErr(t, "unknown", second(b.Envelope(t.Context(), actorIn("unknown", border.ID), sequence)), network.ErrNotFound)
	b.suspend(border.ID)
	wantErr(t, "suspended", second(b.Envelope(t.Context(), by, sequence)), network.ErrConflict)
	b.resume(border.ID)
	b.remove(by.ID, by.Agency)
	wantErr(t, "revoked", second(b.Envelope(t.Context(), by, sequence)), network.ErrForbidden)
}
