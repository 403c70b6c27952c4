package verifier

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// reasonOfPack says why a pack was refused; "" if it was not.
func reasonOfPack(t testing.TB, err error) Reason {
	t.Helper()
	if err == nil {
		return ReasonNone
	}
	var e *NotReadyError
	if !errors.As(err, &e) {
		t.Errorf("%v is no NotReadyError", err)
		return "?"
	}
	if v := NotReadyVerdict(err); v.State != NotReady || v.Reason != e.Reason {
		t.Errorf("the verdict is %v, want not_ready (%s)", v, e.Reason)
	}
	return e.Reason
}

// TestOpenPack refuses a pack in every way there is.
func TestOpenPack(t *testing.T) {
	base := newIssued(t)
	elsewhere := newNetwork(t, noon)
	elsewhere.keys = base.keys
	pack, status, root := signerOf(base.packKey), signerOf(base.statusKey), signerOf(base.root)
	stranger := signerOf(newKey(t))
	zero := bytes.Repeat([]byte{0}, 32)
	// as gives a key another key's kid.
	as := func(s Signer, kid string) Signer { return Signer{KeyID: kid, Key: s.Key} }
	other, otherRecipient, err := NewDevice(networkID, "device-2", base.device.Root)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		edit func(*network)
		now  time.Time // zero: noon
		want Reason
	}{
		{name: "as it is"},
		// The key that the root names for the trust list.
		{name: "a key that the root names", edit: (*network).named},
		{name: "the root in its place", edit: func(n *network) { n.named(); n.signTrust = root }, want: ReasonPackBroken},
		{name: "the root under its kid", edit: func(n *network) { n.named(); n.signTrust = as(root, n.signTrust.KeyID) }, want: ReasonPackBroken},
		{name: "it under the root's kid", edit: func(n *network) { n.named(); n.signTrust = as(n.signTrust, root.KeyID) }, want: ReasonPackBroken},
		{name: "a stranger under its kid", edit: func(n *network) { n.named(); n.signTrust = as(stranger, n.signTrust.KeyID) }, want: ReasonPackBroken},
		{name: "it names itself", edit: func(n *network) { n.named(); n.signTrustKey = n.signTrust }, want: ReasonPackBroken},
		{name: "the pack key names it", edit: func(n *network) { n.named(); n.signTrustKey = pack }, want: ReasonPackBroken},
		{name: "a key that nobody names", edit: func(n *network) { n.named(); n.trustKey = nil }, want: ReasonPackBroken},
		{name: "a trust list in place of the statement", edit: func(n *network) {
			n.named()
			n.after = func(f *File) { f.Lists.TrustKey = f.Lists.TrustList }
		}, want: ReasonPackBroken},
		{name: "the statement in place of the trust list", edit: func(n *network) {
			n.named()
			n.after = func(f *File) { f.Lists.TrustList = f.Lists.TrustKey }
		}, want: ReasonPackBroken},
		{name: "the statement of another network", edit: func(n *network) { n.named(); n.trustKey.Network = "ffffffffffffffffffffffffffffffff" }, want: ReasonPackBroken},
		{name: "a statement of no key", edit: func(n *network) { n.named(); n.trustKey.JWK = json.RawMessage(`{}`) }, want: ReasonPackBroken},
		{name: "a statement without a kid", edit: func(n *network) { n.named(); n.trustKey.KeyID = "" }, want: ReasonPackBroken},
		{name: "a statement for too long", edit: func(n *network) { n.named(); n.trustKey.Expires = n.trustKey.IssuedAt + 366*86400 + 1 }, want: ReasonPackBroken},
		{name: "a statement for as long as may be", edit: func(n *network) { n.named(); n.trustKey.Expires = n.trustKey.IssuedAt + 366*86400 }},
		{name: "a statement without a beginning", edit: func(n *network) { n.named(); n.trustKey.IssuedAt = 0 }, want: ReasonPackBroken},
		{name: "a statement ends now", edit: func(n *network) { n.named(); n.trustKey.Expires = noon.Unix() }, want: ReasonTrustListOld},
		{name: "a statement ends in a second", edit: func(n *network) { n.named(); n.trustKey.Expires = noon.Unix() + 1 }},
		{name: "a statement from now", edit: func(n *network) { n.named(); n.trustKey.IssuedAt, n.trust.IssuedAt = noon.Unix(), noon.Unix() }},
		{name: "a statement from after the list", edit: func(n *network) { n.named(); n.trustKey.IssuedAt++ }, want: ReasonPackOlder},
		{name: "a statement from later", edit: func(n *network) { n.named(); n.trustKey.IssuedAt = noon.Unix() + 1 }, want: ReasonClock},
		{name: "a statement older than one seen", edit: func(n *network) { n.named(); n.device.TrustKeyIssued = n.trustKey.IssuedAt + 1 }, want: ReasonPackOlder},
		{name: "the statement seen", edit: func(n *network) { n.named(); n.device.TrustKeyIssued = n.trustKey.IssuedAt }},
		{name: "the root itself, after a statement", edit: func(n *network) { n.device.TrustKeyIssued = n.trust.IssuedAt }},
		{name: "the root itself, before a statement seen", edit: func(n *network) { n.device.TrustKeyIssued = n.trust.IssuedAt + 1 }, want: ReasonPackOlder},
		{name: "a number and a time under an older statement", edit: func(n *network) {
			n.named()
			n.device.TrustKeyIssued, n.device.Sequence, n.device.Seen = n.trustKey.IssuedAt-1, 1<<53, noon.Unix()+86400
		}},
		{name: "a number under the same statement", edit: func(n *network) {
			n.named()
			n.device.TrustKeyIssued, n.device.Sequence = n.trustKey.IssuedAt, 1<<53
		}, want: ReasonPackOlder},
		{name: "a time under the same statement", edit: func(n *network) {
			n.named()
			n.device.TrustKeyIssued, n.device.Seen = n.trustKey.IssuedAt, noon.Unix()+1
		}, want: ReasonClock},
		// The file.
		{name: "empty", edit: func(n *network) { n.after = func(f *File) { *f = File{} } }, want: ReasonPackBroken},
		{name: "no envelope", edit: func(n *network) { n.after = func(f *File) { f.Envelope = "" } }, want: ReasonPackBroken},
		{name: "pack in place of the trust list", edit: func(n *network) { n.after = func(f *File) { f.Lists.TrustList = f.Lists.Pack } }, want: ReasonPackBroken},
		{name: "trust list in place of the pack", edit: func(n *network) { n.after = func(f *File) { f.Lists.Pack = f.Lists.TrustList } }, want: ReasonPackBroken},
		{name: "pack in place of the envelope", edit: func(n *network) { n.after = func(f *File) { f.Envelope = f.Lists.Pack } }, want: ReasonPackBroken},
		// The root and the trust list.
		{name: "another root signed", edit: func(n *network) { n.signTrust = stranger }, want: ReasonPackBroken},
		{name: "another root under the same kid", edit: func(n *network) { n.signTrust = as(stranger, root.KeyID) }, want: ReasonPackBroken},
		{name: "the pack key signed the trust list", edit: func(n *network) { n.signTrust = pack }, want: ReasonPackBroken},
		{name: "another network's trust list", edit: func(n *network) { n.trust.Network = "ffffffffffffffffffffffffffffffff" }, want: ReasonPackBroken},
		{name: "another network's pack", edit: func(n *network) { n.statement.Network = "ffffffffffffffffffffffffffffffff" }, want: ReasonPackBroken},
		{name: "trust list and pack of another network, envelope of this one", edit: func(n *network) {
			n.trust.Network, n.statement.Network = "ffffffffffffffffffffffffffffffff", "ffffffffffffffffffffffffffffffff"
		}, want: ReasonPackBroken},
		{name: "all of another network", edit: func(n *network) { n.after = func(f *File) { *f = elsewhere.file() } }, want: ReasonPackBroken},
		{name: "pack made for another trust list", edit: func(n *network) { n.statement.TrustSHA256 = TrustDigest("another") }, want: ReasonPackBroken},
		{name: "trust list signed again, same content", edit: func(n *network) {
			n.after = func(f *File) {
				f.Lists.TrustList, err = n.trust.Sign(root)
				if err != nil {
					t.Fatal(err)
				}
			}
		}, want: ReasonPackBroken},
		{name: "trust list ends now", edit: func(n *network) { n.trust.Expires = noon.Unix() }, want: ReasonTrustListOld},
		{name: "trust list ends in a second", edit: func(n *network) { n.trust.Expires = noon.Unix() + 1 }},
		{name: "trust list from now", edit: func(n *network) { n.trust.IssuedAt = noon.Unix() }},
		{name: "trust list from later", edit: func(n *network) { n.trust.IssuedAt = noon.Unix() + 1 }, want: ReasonClock},
		{name: "a key of a use that came later", edit: func(n *network) {
			n.trust.Keys = append(n.trust.Keys, NetworkKey{Use: "roster", KeyID: pack.KeyID, JWK: json.RawMessage(`{"kty":"OKP"}`)})
		}},
		{name: "a key of another use signed the lists", edit: func(n *network) { n.trust.Keys[0].Use = "all" }, want: ReasonStatusMissing},
		{name: "a key of another use signed the pack", edit: func(n *network) { n.trust.Keys[1].Use = "all" }, want: ReasonPackBroken},
		{name: "a network key that is none", edit: func(n *network) { n.trust.Keys[0].JWK = json.RawMessage(`{"kty":"oct","k":"AAAA"}`) }, want: ReasonPackBroken},
		{name: "two network keys with one kid", edit: func(n *network) { n.trust.Keys = append(n.trust.Keys, n.trust.Keys[1]) }, want: ReasonPackBroken},
		{name: "too many network keys", edit: func(n *network) { n.trust.Keys = slices.Repeat(n.trust.Keys[2:], MaxOwnKeys+1) }, want: ReasonPackBroken},
		{name: "an agency key that is none", edit: func(n *network) { n.trust.Agencies[0].Keys[0].JWK = json.RawMessage(`{}`) }, want: ReasonPackBroken},
		{name: "too many agency keys", edit: func(n *network) {
			n.trust.Agencies[0].Keys = slices.Repeat(n.trust.Agencies[0].Keys, MaxKeys+1)
		}, want: ReasonPackBroken},
		{name: "too many agencies", edit: func(n *network) { n.trust.Agencies = make([]Agency, MaxAgencies+1) }, want: ReasonPackBroken},
		{name: "what was logged is not sorted", edit: func(n *network) {
			n.trust.Agencies[0].Keys[0].Compromised = &Compromise{Logged: []string{"02", "01"}}
		}, want: ReasonPackBroken},
		{name: "one address for both kinds of list", edit: func(n *network) { n.trust.AnswersLists = n.trust.StatusLists }, want: ReasonPackBroken},
		{name: "addresses without a slash", edit: func(n *network) {
			n.trust.StatusLists, n.trust.AnswersLists = "https://lists.example/l", "https://lists.example/l1"
		}, want: ReasonPackBroken},
		// The pack.
		{name: "the status key signed the pack", edit: func(n *network) { n.signPack = status }, want: ReasonPackBroken},
		{name: "the status key under the pack key's kid", edit: func(n *network) { n.signPack = as(status, pack.KeyID) }, want: ReasonPackBroken},
		{name: "the root signed the pack", edit: func(n *network) { n.signPack = root }, want: ReasonPackBroken},
		{name: "a stranger signed the pack", edit: func(n *network) { n.signPack = stranger }, want: ReasonPackBroken},
		{name: "older than one seen", edit: func(n *network) { n.device.Sequence = 6 }, want: ReasonPackOlder},
		{name: "the one seen", edit: func(n *network) { n.device.Sequence = 5 }},
		{name: "newer than the one seen", edit: func(n *network) { n.device.Sequence = 4 }},
		{name: "pack from now", edit: func(n *network) { n.statement.IssuedAt = noon.Unix() }},
		{name: "pack from later", edit: func(n *network) { n.statement.IssuedAt = noon.Unix() + 1 }, want: ReasonClock},
		{name: "clock before a pack seen", edit: func(n *network) { n.device.Seen = noon.Unix() + 1 }, want: ReasonClock},
		{name: "clock at a pack seen", edit: func(n *network) { n.device.Seen = noon.Unix() }},
		// The envelope.
		{name: "lease ends now", edit: func(n *network) { n.envelope.LeaseUntil = noon.Unix() }, want: ReasonLeaseOver},
		{name: "lease ends in a second", edit: func(n *network) { n.envelope.LeaseUntil = noon.Unix() + 1 }},
		{name: "envelope from later", edit: func(n *network) { n.envelope.IssuedAt = noon.Unix() + 1 }, want: ReasonClock},
		{name: "envelope for another device, sealed to this one", edit: func(n *network) { n.envelope.Device = "device-2" }, want: ReasonPackBroken},
		{name: "envelope for this device, sealed to another", edit: func(n *network) { n.recipient = otherRecipient }, want: ReasonPackBroken},
		{name: "another device with this one's envelope", edit: func(n *network) { n.device = other }, want: ReasonPackBroken},
		{name: "another device under this one's name", edit: func(n *network) { n.device.Private = other.Private }, want: ReasonPackBroken},
		{name: "a device key that is none", edit: func(n *network) { n.device.Private = []byte{1} }, want: ReasonPackBroken},
		{name: "a device root that is none", edit: func(n *network) { n.device.Root = json.RawMessage(`{}`) }, want: ReasonPackBroken},
		{name: "envelope of another network", edit: func(n *network) { n.envelope.Network = "ffffffffffffffffffffffffffffffff" }, want: ReasonPackBroken},
		{name: "envelope of another pack", edit: func(n *network) { n.envelope.Sequence = 4 }, want: ReasonPackBroken},
		{name: "ciphertext of another pack's envelope", edit: func(n *network) {
			n.after = func(f *File) {
				e := n.envelope
				e.Sequence = 4
				// Only who has the pack key can do this, and HPKE finds it out.
				f.Envelope = resealed(t, n, e, pack)
			}
		}, want: ReasonPackBroken},
		{name: "the status key signed the envelope", edit: func(n *network) { n.signSealed = status }, want: ReasonPackBroken},
		{name: "the root signed the envelope", edit: func(n *network) { n.signSealed = root }, want: ReasonPackBroken},
		{name: "a stranger signed the envelope", edit: func(n *network) { n.signSealed = as(stranger, pack.KeyID) }, want: ReasonPackBroken},
		{name: "no epochs", edit: func(n *network) { n.keys = EpochKeys{} }},
		{name: "too many live epochs", edit: func(n *network) {
			for id := range uint32(MaxLive) {
				n.epoch(id)
			}
		}, want: ReasonPackBroken},
		{name: "an epoch twice", edit: func(n *network) { n.keys.Live = slices.Repeat(n.keys.Live, 2) }, want: ReasonPackBroken},
		{name: "an epoch live and closed", edit: func(n *network) {
			n.keys.Closed = []ClosedEpoch{{ID: n.keys.Live[0].ID, TagKey: n.keys.Live[0].TagKey}}
		}, want: ReasonPackBroken},
		{name: "a tag key of zeros", edit: func(n *network) { n.keys.Live[0].TagKey = zero }, want: ReasonPackBroken},
		{name: "a network key of zeros", edit: func(n *network) { n.keys.Live[0].NetKey = zero }, want: ReasonPackBroken},
		{name: "a private key of zeros", edit: func(n *network) { n.keys.Live[0].Private = zero }, want: ReasonPackBroken},
		{name: "a short network key", edit: func(n *network) { n.keys.Live[0].NetKey = zero[:31] }, want: ReasonPackBroken},
		{name: "a closed epoch without its key", edit: func(n *network) { n.keys.Closed = []ClosedEpoch{{ID: 1}} }, want: ReasonPackBroken},
		// The lists.
		{name: "no status lists", edit: func(n *network) { n.status = nil }, want: ReasonStatusMissing},
		{name: "no answers lists", edit: func(n *network) { n.answers = nil }},
		{name: "the only status list is broken", edit: func(n *network) { n.raw[1] = "x" }, want: ReasonStatusMissing},
		{name: "the pack key signed the lists", edit: func(n *network) { n.signLists = pack }, want: ReasonStatusMissing},
		{name: "a stranger signed the lists", edit: func(n *network) { n.signLists = as(stranger, status.KeyID) }, want: ReasonStatusMissing},
		{name: "list under another address", edit: func(n *network) { n.status[1] = list{subject: "https://lists.example/status-lists/2"} }, want: ReasonStatusMissing},
		{name: "an answers list in place of the status list", edit: func(n *network) { n.status[1] = list{subject: "https://lists.example/answers-lists/1"} }, want: ReasonStatusMissing},
		{name: "list of one bit", edit: func(n *network) { n.status[1] = list{bits: 1} }, want: ReasonStatusMissing},
		{name: "list of eight bits", edit: func(n *network) { n.status[1] = list{bits: 8} }, want: ReasonStatusMissing},
		{name: "a broken list beside a good one", edit: func(n *network) { n.status[2] = list{}; n.raw[2] = "x" }},
		{name: "an expired list", edit: func(n *network) { n.status[1] = list{from: noon.AddDate(0, -1, 0), to: noon.AddDate(0, 0, -20)} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := *base.network
			n.t = t
			n.trust.Keys = slices.Clone(base.trust.Keys)
			n.trust.Agencies = slices.Clone(base.trust.Agencies)
			n.trust.Agencies[0].Keys = slices.Clone(base.trust.Agencies[0].Keys)
			n.keys.Live = slices.Clone(base.keys.Live)
			n.status, n.answers, n.raw = map[uint16]list{1: {}}, map[uint16]list{1: {}}, map[uint16]string{}
			if test.edit != nil {
				test.edit(&n)
			}
			now := test.now
			if now.IsZero() {
				now = noon
			}
			p, err := OpenPack(n.bytes(), n.device, now)
			if got := reasonOfPack(t, err); got != test.want {
				t.Errorf("got %q (%v), want %q", got, err, test.want)
			}
			if (err == nil) != (p != nil) {
				t.Error("a pack and an error, or neither")
			}
		})
	}
	t.Logf("packs: %d cases", len(tests))
}

// resealed is the envelope of n that says its own sequence over the ciphertext
// made for e.
func resealed(t *testing.T, n *network, e Envelope, pack Signer) string {
	t.Helper()
	sealed, err := e.Seal(n.keys, n.recipient, pack)
	if err != nil {
		t.Fatal(err)
	}
	var made Envelope
	trust := &trusted{pack: map[string]*ecdsa.PublicKey{pack.KeyID: &n.packKey.PublicKey}}
	if err := openAny(TypeEnvelope, sealed, MaxEnvelope, trust.pack, &made); err != nil {
		t.Fatal(err)
	}
	made.Sequence = n.envelope.Sequence
	s, err := signStatement(TypeEnvelope, pack, made)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBrokenList: a list that cannot be read is as good as none, and takes no
// other list with it.
func TestBrokenList(t *testing.T) {
	i := newIssued(t)
	genuine := i.tokens(map[uint16]list{1: {}}, i.trust.StatusLists)[0].Token
	for name, token := range map[string]string{
		"empty":     "",
		"cut short": genuine[:len(genuine)-1],
		"changed":   genuine[:200] + flip(genuine[200:]),
		"a pack":    i.file().Lists.Pack,
	} {
		i.status = map[uint16]list{1: {entries: map[int]uint8{4711: 1}}, 2: {}}
		i.raw = map[uint16]string{1: token}
		p := i.open(noon)
		v := p.verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon)
		if v.State != StatusOld || v.Reason != ReasonStatusMissing {
			t.Errorf("%s: got %v, want status_old (status_missing)", name, v)
		}
		if dates := p.ListDates(); len(dates) != 1 || dates[2].IsZero() {
			t.Errorf("%s: lists are %v, want list 2 alone", name, dates)
		}
	}
	// The same number twice is no accident: one of them might hide the other.
	i.raw = map[uint16]string{}
	f := i.file()
	var s PackStatement
	if err := openAny(TypePack, f.Lists.Pack, MaxPack, map[string]*ecdsa.PublicKey{signerOf(i.packKey).KeyID: &i.packKey.PublicKey}, &s); err != nil {
		t.Fatal(err)
	}
	s.Status = append(s.Status, s.Status[0])
	var err error
	if f.Lists.Pack, err = s.Sign(signerOf(i.packKey)); err != nil {
		t.Fatal(err)
	}
	_, err = Open(f, i.device, noon)
	if got := reasonOfPack(t, err); got != ReasonPackBroken {
		t.Errorf("a list twice: got %q, want %q", got, ReasonPackBroken)
	}
}

// TestPackSays is about what a pack tells beside its verdicts, and what a
// device has to remember of it.
func TestPackSays(t *testing.T) {
	i := newIssued(t)
	i.status[7] = list{from: noon.Add(-2 * time.Hour), to: noon.Add(time.Hour)}
	p := i.open(noon)
	made := noon.Add(-time.Hour)
	if p.Sequence() != 5 || !p.Issued().Equal(made) || !p.LeaseUntil().Equal(noon.AddDate(0, 0, 7)) {
		t.Errorf("got sequence %d, issued %v, lease until %v", p.Sequence(), p.Issued(), p.LeaseUntil())
	}
	if got := p.Trust(); got.Name != "Made-up network" || len(got.Agencies) != 1 {
		t.Errorf("got trust list %q with %d agencies", got.Name, len(got.Agencies))
	}
	want := map[uint16]time.Time{1: made, 7: noon.Add(-2 * time.Hour)}
	if got := p.ListDates(); !reflect.DeepEqual(got, want) {
		t.Errorf("got list dates %v, want %v", got, want)
	}

	kept := p.Accepted(i.device)
	if kept.Sequence != 5 || kept.Seen != made.Unix() {
		t.Errorf("kept sequence %d and time %d, want 5 and %d", kept.Sequence, kept.Seen, made.Unix())
	}
	// A later envelope of the same pack moves the time on.
	i.envelope.IssuedAt = noon.Unix()
	if kept := i.open(noon).Accepted(kept); kept.Seen != noon.Unix() {
		t.Errorf("kept time %d, want %d", kept.Seen, noon.Unix())
	}
	// And what was seen is never forgotten.
	ahead := kept
	ahead.Sequence, ahead.Seen = 99, noon.Unix()+99
	if got := p.Accepted(ahead); got.Sequence != 99 || got.Seen != noon.Unix()+99 {
		t.Errorf("forgot what was seen: %d, %d", got.Sequence, got.Seen)
	}
}

// TestStolenTrustKey: a device that has accepted the statement which names a new key
// takes nothing of the old one any more, and one that has not, nothing after a year.
func TestStolenTrustKey(t *testing.T) {
	stolen := newIssued(t)
	stolen.named()
	p := stolen.open(noon)
	before := p.Accepted(stolen.device)
	if before.TrustKeyIssued != stolen.trustKey.IssuedAt {
		t.Fatalf("kept %d, want %d", before.TrustKeyIssued, stolen.trustKey.IssuedAt)
	}
	replaced := newIssued(t)
	replaced.device, replaced.recipient, replaced.root = stolen.device, stolen.recipient, stolen.root
	replaced.named()
	replaced.trustKey.IssuedAt++
	replaced.trust.IssuedAt++
	after := replaced.open(noon).Accepted(before)
	// Whoever has the old key makes a list with it that says anything, with any number.
	stolen.trust.Sequence, stolen.statement.Sequence, stolen.envelope.Sequence = 1000, 1000, 1000
	stolen.device = after
	_, err := OpenPack(stolen.bytes(), stolen.device, noon)
	if got := reasonOfPack(t, err); got != ReasonPackOlder {
		t.Errorf("got %q (%v), want %q", got, err, ReasonPackOlder)
	}
	stolen.device = before
	stolen.trust.Expires = noon.AddDate(2, 0, 0).Unix()
	stolen.envelope.LeaseUntil = noon.AddDate(2, 0, 0).Unix()
	p = stolen.open(noon)
	over := time.Unix(stolen.trustKey.Expires, 0)
	for now, want := range map[time.Time]Reason{over.Add(-time.Second): ReasonNone, over: ReasonTrustListOld} {
		if v := p.Verify(Presentation{Text: "x"}, now); v.Reason != want && want != ReasonNone || want == ReasonNone && v.State == NotReady {
			t.Errorf("at %v: got %v, want %q", now, v, want)
		}
		_, err := OpenPack(stolen.bytes(), before, now)
		if got := reasonOfPack(t, err); got != want {
			t.Errorf("opened at %v: got %q, want %q", now, got, want)
		}
	}
	// The root signs a list itself: nothing is older, and what was seen stays seen.
	replaced.trustKey, replaced.signTrust, replaced.device = nil, signerOf(replaced.root), after
	if kept := replaced.open(noon).Accepted(after); kept.TrustKeyIssued != after.TrustKeyIssued {
		t.Errorf("kept %d, want %d", kept.TrustKeyIssued, after.TrustKeyIssued)
	}
}

// TestNewStatement: the root's newer statement counts on a device as soon as its signature
// holds, whatever else is wrong with the file, and numbers begin anew under it.
func TestNewStatement(t *testing.T) {
	stolen := newIssued(t)
	stolen.named()
	stolen.statement.Sequence, stolen.envelope.Sequence, stolen.envelope.IssuedAt = 1<<53, 1<<53, noon.Unix()
	forged := stolen.open(noon)
	numbered := forged.Accepted(stolen.device)
	if numbered.Sequence != 1<<53 || numbered.Seen != noon.Unix() {
		t.Fatalf("kept %d and %d", numbered.Sequence, numbered.Seen)
	}
	made := stolen.trustKey.IssuedAt + 60
	replace := func() *network {
		n := newIssued(t)
		n.device, n.recipient, n.root = numbered, stolen.recipient, stolen.root
		n.named()
		n.trustKey.IssuedAt, n.trust.IssuedAt = made, made
		return n.network
	}
	kept := replace().open(noon).Accepted(numbered)
	if kept.Sequence != 5 || kept.Seen >= noon.Unix() || kept.TrustKeyIssued != made {
		t.Errorf("after the honest pack: %d, %d, %d", kept.Sequence, kept.Seen, kept.TrustKeyIssued)
	}
	if again := forged.Accepted(kept); again.Sequence != 5 || again.Seen != kept.Seen || again.TrustKeyIssued != made {
		t.Errorf("a pack of the older statement counts: %d, %d, %d", again.Sequence, again.Seen, again.TrustKeyIssued)
	}
	// What its own list says of it cannot be read, or not yet: the statement counts.
	for name, test := range map[string]struct {
		edit func(*network)
		now  time.Time
		want Reason
		not  bool // nothing is learnt
	}{
		"no trust list":             {edit: func(n *network) { n.after = func(f *File) { f.Lists.TrustList = "" } }, want: ReasonPackBroken},
		"no envelope":               {edit: func(n *network) { n.after = func(f *File) { f.Envelope = "" } }, want: ReasonPackBroken},
		"no list":                   {edit: func(n *network) { n.status = nil }, want: ReasonStatusMissing},
		"the lease is over":         {edit: func(n *network) { n.envelope.LeaseUntil = noon.Unix() }, want: ReasonLeaseOver},
		"it is past its date":       {edit: func(n *network) { n.trustKey.Expires = noon.Unix() }, want: ReasonTrustListOld},
		"the clock is before it":    {now: time.Unix(made-1, 0), want: ReasonClock},
		"a list from before it":     {edit: func(n *network) { n.trust.IssuedAt-- }, want: ReasonPackOlder},
		"another root":              {edit: func(n *network) { n.signTrustKey = signerOf(newKey(t)) }, want: ReasonPackBroken, not: true},
		"of another network":        {edit: func(n *network) { n.trustKey.Network = "ffffffffffffffffffffffffffffffff" }, want: ReasonPackBroken, not: true},
		"for more than a year":      {edit: func(n *network) { n.trustKey.Expires += 400 * 86400 }, want: ReasonPackBroken, not: true},
		"none; the root alone, old": {edit: func(n *network) { n.trustKey, n.signTrust = nil, signerOf(n.root) }, want: ReasonPackOlder, not: true},
	} {
		n, now := replace(), noon
		if test.edit != nil {
			test.edit(n)
		}
		if !test.now.IsZero() {
			now = test.now
		}
		_, err := OpenPack(n.bytes(), numbered, now)
		if got := reasonOfPack(t, err); got != test.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, test.want)
			continue
		}
		want := [3]int64{0, made, made}
		if test.not {
			want = [3]int64{1 << 53, noon.Unix(), stolen.trustKey.IssuedAt}
		}
		var not *NotReadyError
		if errors.As(err, &not) {
			kept := not.Kept(numbered)
			if got := [3]int64{int64(kept.Sequence), kept.Seen, kept.TrustKeyIssued}; got != want {
				t.Errorf("%s: keeps %v, want %v", name, got, want)
			}
			if _, err := OpenPack(stolen.bytes(), kept, noon); !test.not && reasonOfPack(t, err) != ReasonPackOlder {
				t.Errorf("%s: the stolen key still counts: %v", name, err)
			}
		}
	}
}

// TestLeaseInMemory: a pack that stays in memory stops when its lease does, and
// when the clock goes back behind it.
func TestLeaseInMemory(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	for _, test := range []struct {
		name string
		now  time.Time
		want Reason
	}{
		{"a second before the end", p.LeaseUntil().Add(-time.Second), ReasonNone},
		{"the end", p.LeaseUntil(), ReasonLeaseOver},
		{"after the trust list", noon.AddDate(1, 0, 0), ReasonLeaseOver},
		{"as the pack was made", p.Issued(), ReasonNone},
		{"before the pack was made", p.Issued().Add(-time.Second), ReasonClock},
	} {
		v := p.Verify(Presentation{Text: i.digits}, test.now)
		if (v.State == NotReady) != (test.want != ReasonNone) || v.Reason != test.want {
			t.Errorf("%s: got %v, want %q", test.name, v, test.want)
		}
		want := Unreadable
		if test.want != ReasonNone {
			want = NotReady
		}
		if v := p.UnreadableVerdict(ReasonNoPicture, test.now); v.State != want {
			t.Errorf("%s, no picture: got %v, want %s", test.name, v, want)
		}
	}
	i.envelope.IssuedAt = noon.Unix()
	p = i.open(noon)
	if v := p.Verify(Presentation{Text: i.digits}, noon.Add(-time.Second)); v.Reason != ReasonClock {
		t.Errorf("before the envelope was made: got %v, want %q", v, ReasonClock)
	}
	i.trust.Expires = noon.Unix() + 60
	p = i.open(noon)
	if v := p.Verify(Presentation{Text: i.digits}, noon.Add(time.Minute)); v.Reason != ReasonTrustListOld {
		t.Errorf("trust list over: got %v, want %q", v, ReasonTrustListOld)
	}
}

// TestFlippedPack changes a pack file in many places. What comes out is no
// pack, or the same pack: a name in JSON in another case is the same name.
func TestFlippedPack(t *testing.T) {
	i := newIssued(t)
	i.status[1] = list{entries: map[int]uint8{1: 1, 4711: 2}}
	file := i.bytes()
	want, err := OpenPack(file, i.device, noon)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same places every time
	refused, same := 0, 0
	change := func(b []byte, where string) {
		p, err := OpenPack(b, i.device, noon)
		switch {
		case err != nil:
			refused++
			if reason := reasonOfPack(t, err); reason != ReasonPackBroken {
				t.Errorf("%s: refused for %q, want %q", where, reason, ReasonPackBroken)
			}
		case reflect.DeepEqual(p, want):
			same++
		default:
			t.Errorf("%s: another pack came out", where)
		}
	}
	for range 1000 {
		at, bit := random.IntN(len(file)), random.IntN(8)
		b := bytes.Clone(file)
		b[at] ^= 1 << bit
		change(b, fmt.Sprintf("byte %d, bit %d", at, bit))
	}
	for range 50 {
		at := random.IntN(len(file))
		change(file[:at], fmt.Sprintf("cut at %d", at))
	}
	change(append(bytes.Clone(file), '{', '}'), "something after it")
	change(append([]byte(`{"envelope":"",`), file[1:]...), "a member twice")
	change(append([]byte(`{"more":"",`), file[1:]...), "a member more")
	change(bytes.Repeat([]byte(" "), MaxPack+1), "too large")
	if refused < 1000 {
		t.Errorf("%d of 1054 refused: the changes do not reach what is signed", refused)
	}
	t.Logf("changed packs: %d cases in %d bytes, %d refused, %d the same", refused+same, len(file), refused, same)
}

// TestDeviceFile reads what it wrote, and nothing less.
func TestDeviceFile(t *testing.T) {
	i := newIssued(t)
	b, err := json.Marshal(i.device)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDevice(b)
	if err != nil || !reflect.DeepEqual(got, i.device) {
		t.Errorf("the device did not come back (%v)", err)
	}
	for name, text := range map[string]string{
		"empty":      "",
		"no object":  "[]",
		"incomplete": `{"network":"n","device":"d"}`,
		"unknown":    strings.Replace(string(b), `{`, `{"more":1,`, 1),
		"twice":      strings.Replace(string(b), `{`, `{"network":"n",`, 1),
		"after it":   string(b) + "x",
		"too large":  string(b) + strings.Repeat(" ", MaxDevice),
	} {
		if _, err := ParseDevice([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSeal refuses to make what nobody could open.
func TestSeal(t *testing.T) {
	i := newIssued(t)
	if _, err := i.envelope.Seal(i.keys, []byte{1}, signerOf(i.packKey)); err == nil {
		t.Error("sealed to no key")
	}
	if _, err := i.envelope.Seal(i.keys, i.recipient, Signer{KeyID: "../x", Key: i.packKey}); err == nil {
		t.Error("signed under no kid")
	}
	if _, err := (TrustList{}).Sign(Signer{KeyID: "x"}); err == nil {
		t.Error("signed without a key")
	}
}
