package verifier

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// precedence is the order of docs/overview.md, Results, written down once more.
// A blank's not_yet_in_use and that of a card whose time has not come stand in
// two places.
var precedence = []string{
	"not_ready", "unreadable", "not_ours", "newer_version", "code_not_given", "wrong_code", "code_locked",
	"does_not_match", "issuer_unknown", "out_of_use", "replaced", "blank", "paused", "expired", "not_begun",
	"status_old", "unconfirmed", "confirmed",
}

// A condition is one thing that can be the case at a check.
type condition struct {
	name string
	// gives is what the state would be if nothing else were wrong; "" for a
	// condition that only leaves things as they are.
	gives string
	apply func(*situation)
}

// situation is what the conditions change before a check.
type situation struct {
	pack Pack // a copy; its maps are shared and replaced, never changed
	in   Presentation
	now  time.Time
}

// TestPrecedence runs every combination of conditions: whatever else holds, the
// first state in the order of precedence is the answer.
func TestPrecedence(t *testing.T) {
	i := newIssued(t)
	other := newKey(t)
	b := card.Claims{IssuedAt: day, Expires: day.AddDate(0, 0, 60), Handle: [8]byte{9}, List: 1, Index: 4711, Blank: true}
	blank := seal(t, b, i.seal, i.kid, i.agencyKey)
	// The pack is good from long before the card's day until long after its
	// last one, so that the card's dates can be met by moving the clock.
	first, last := day.AddDate(0, 0, -30), day.AddDate(0, 0, 90)
	i.trust.IssuedAt, i.statement.IssuedAt, i.envelope.IssuedAt = first.Unix(), first.Unix(), first.Unix()
	i.trust.Expires, i.envelope.LeaseUntil = last.Unix(), last.Unix()
	pack := i.open(noon)

	trust := func(s *situation, edit func(*trusted)) {
		changed := *s.pack.trust
		edit(&changed)
		s.pack.trust = &changed
	}
	key := func(edit func(*issuerKey)) func(*situation) {
		k := pack.trust.issuers[0]
		edit(&k)
		return func(s *situation) { trust(s, func(t *trusted) { t.issuers = []issuerKey{k} }) }
	}
	lists := func(value uint8, to time.Time) map[uint16]*statuslist.Token {
		l, err := statuslist.New(2, statuslist.Entries)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Set(4711, value); err != nil {
			t.Fatal(err)
		}
		return map[uint16]*statuslist.Token{1: {IssuedAt: first, Expires: to, List: l}}
	}
	status := func(value uint8, to time.Time) func(*situation) {
		l := lists(value, to)
		return func(s *situation) { s.pack.status = l }
	}
	answers := func(value uint8, to time.Time) func(*situation) {
		l := lists(value, to)
		return func(s *situation) { s.pack.answers = l }
	}
	code := func(code string) func(*situation) { return func(s *situation) { s.in.Code = &code } }
	nothing := func(*situation) {}

	groups := [][]condition{
		{ // the clock comes first: the device's conditions are about it
			{"in its dates", "", nothing},
			{"at its end", "expired", func(s *situation) { s.now = day.AddDate(0, 0, 60) }},
			{"before its begin", "not_begun", func(s *situation) { s.now = day.Add(-time.Second) }},
		},
		{
			{"device ready", "", nothing},
			{"lease over", "not_ready", func(s *situation) { s.pack.envelope.LeaseUntil = s.now.Unix() }},
			{"trust list old", "not_ready", func(s *situation) {
				trust(s, func(t *trusted) { t.Expires = s.now.Unix() })
			}},
			{"clock wrong", "not_ready", func(s *situation) { s.pack.issued = s.now.Add(time.Second) }},
		},
		{
			{"card", "", nothing},
			{"blank", "blank", func(s *situation) { s.in.Text = blank }},
			{"card of a burned epoch", "not_ready", func(s *situation) { s.pack.burn([]uint32{202611}) }},
			{"something else", "not_ours", func(s *situation) { s.in.Text = "https://example.org/" + s.in.Text }},
			{"something long", "unreadable", func(s *situation) { s.in.Text = strings.Repeat(".", MaxText+1) }},
		},
		{
			{"tries left", "", nothing},
			{"tries used", "code_locked", func(s *situation) {
				c, err := card.Parse(s.in.Text)
				if err != nil {
					return // no card, nothing to lock
				}
				for _, e := range s.pack.keys.Live {
					s.in.Tries.Hours = map[string][]int64{s.pack.handle(c, e): slices.Repeat([]int64{hourOf(s.now)}, TriesPerHour)}
				}
			}},
		},
		{
			{"right code", "", nothing},
			{"no code", "code_not_given", func(s *situation) { s.in.Code = nil }},
			{"wrong code", "wrong_code", code(wrongCode)},
			{"code of another form", "wrong_code", code("12345")},
		},
		{
			{"key known", "", nothing},
			{"signed by another", "does_not_match", key(func(k *issuerKey) { k.public = &other.PublicKey })},
			{"key not listed", "issuer_unknown", key(func(k *issuerKey) { k.KeyID = "0000000000000000" })},
			{"key revoked", "issuer_unknown", key(func(k *issuerKey) { k.Revoked = true })},
			{"key from later", "issuer_unknown", key(func(k *issuerKey) { k.From = day.Unix() + 1 })},
			{"key compromised", "issuer_unknown", key(func(k *issuerKey) { k.Compromised = &Compromise{} })},
		},
		{
			{"in use", "", status(0, last)},
			{"withdrawn", "out_of_use", status(1, last)},
			{"paused", "paused", status(2, last)},
			{"replaced", "replaced", status(3, last)},
			{"in use, list old", "status_old", status(0, first.Add(time.Second))},
			{"withdrawn, list old", "out_of_use", status(1, first.Add(time.Second))},
			{"paused, list old", "paused", status(2, first.Add(time.Second))},
			{"replaced, list old", "replaced", status(3, first.Add(time.Second))},
			{"no list", "status_old", func(s *situation) { s.pack.status = nil }},
		},
		{
			{"no answer", "unconfirmed", answers(0, last)},
			{"mission answered", "confirmed", answers(1, last)},
			{"bound", "unconfirmed", answers(2, last)},
			{"authority answered", "confirmed", answers(3, last)},
			{"answers old", "unconfirmed", answers(1, first.Add(time.Second))},
			{"no answers list", "unconfirmed", func(s *situation) { s.pack.answers = nil }},
		},
	}

	cases := 0
	seen := map[State]int{}
	var run func(rest [][]condition, chosen []condition)
	run = func(rest [][]condition, chosen []condition) {
		if len(rest) > 0 {
			for _, c := range rest[0] {
				run(rest[1:], append(chosen, c))
			}
			return
		}
		s := situation{pack: *pack, now: noon, in: Presentation{Text: i.digits, Code: ptr(rightCode), Tries: &Tries{}}}
		s.pack.keys = EpochKeys{Live: slices.Clone(pack.keys.Live), Closed: slices.Clone(pack.keys.Closed)}
		want := len(precedence)
		locked := slices.ContainsFunc(chosen, func(c condition) bool { return c.name == "tries used" })
		for _, c := range chosen {
			c.apply(&s)
			// A locked device does not try a code of the right form, so it
			// cannot know that it is wrong.
			if c.gives == "" || locked && c.name == "wrong code" {
				continue
			}
			want = min(want, slices.Index(precedence, c.gives))
		}
		tried := maps.Clone(s.in.Tries.Hours)
		v := s.pack.verifyOnce(s.in, s.now)
		cases++
		seen[v.State]++
		state := State(precedence[want])
		if state == "blank" || state == "not_begun" {
			state = NotYetInUse
		}
		if v.State != state {
			t.Errorf("%s: got %v, want %s", names(chosen), v, precedence[want])
		}
		if err := honest(v); err != nil {
			t.Errorf("%s: %v: %v", names(chosen), v, err)
		}
		if counted := len(s.in.Tries.Hours) > len(tried); counted != (v.Reason == ReasonCodeWrong) {
			t.Errorf("%s: %v: a try was counted: %v", names(chosen), v, counted)
		}
	}
	run(groups, nil)
	for _, s := range States {
		if seen[s] == 0 && s != NewerVersion {
			t.Errorf("no combination gave %s", s)
		}
	}
	if len(States) != 17 {
		t.Errorf("%d states, want 17", len(States))
	}
	t.Logf("precedence: %d combinations", cases)
}

func names(chosen []condition) string {
	var all []string
	for _, c := range chosen {
		if c.gives != "" {
			all = append(all, c.name)
		}
	}
	return strings.Join(all, ", ")
}

// honest says what is wrong with a verdict on its own, whatever led to it.
func honest(v Verdict) error {
	opened := slices.Index(States, v.State) > slices.Index(States, IssuerUnknown)
	if v.Reason == ReasonEpochEnded {
		opened = false
	}
	inUse := v.State == Confirmed || v.State == Unconfirmed
	switch {
	case opened != (v.Card != nil || v.Credential != nil):
		return fmt.Errorf("claims there: %v", !opened)
	case (v.Card != nil) != (v.OpenKey() != nil):
		return fmt.Errorf("claims and open key do not come together")
	case opened != (v.Issuer != nil):
		return fmt.Errorf("issuer there: %v", !opened)
	case inUse && v.Checks != Checks{Yes, Yes, Yes}:
		return fmt.Errorf("checks are %v", v.Checks)
	case v.State == StatusOld && v.Checks != Checks{Yes, Yes, Unchecked}:
		return fmt.Errorf("checks are %v", v.Checks)
	case v.State == DoesNotMatch && v.Checks.Status != Unchecked:
		return fmt.Errorf("status was looked at behind a bad signature")
	case inUse && v.StatusAsOf.IsZero():
		return fmt.Errorf("in use by no list")
	case v.State == CodeLocked && v.LockedUntil.IsZero():
		return fmt.Errorf("locked for ever")
	case v.State == DoesNotMatch && (v.Kind != KindUnknown || !v.StatusAsOf.IsZero()):
		return fmt.Errorf("shows more than itself")
	}
	return nil
}

// TestKeys is about the agency keys of a trust list, and what each may vouch
// for.
func TestKeys(t *testing.T) {
	i := newIssued(t)
	c, err := card.Parse(i.digits)
	if err != nil {
		t.Fatal(err)
	}
	code, err := card.ParseCode(rightCode)
	if err != nil {
		t.Fatal(err)
	}
	e := i.keys.Live[0]
	opened, err := openOnce(c, card.OpenKeys{Epoch: e.ID, TagKey: e.TagKey, NetKey: e.NetKey, Private: e.Private}, code)
	if err != nil {
		t.Fatal(err)
	}
	digest := opened.Digest()
	prefix := fmt.Sprintf("%x", digest[:8])
	iat := day.Unix()
	stranger := newKey(t)

	one := func(edit func(*AgencyKey)) func(*network) {
		return func(n *network) { edit(&n.trust.Agencies[0].Keys[0]) }
	}
	tests := []struct {
		name   string
		edit   func(*network)
		state  State
		reason Reason
		issuer string
	}{
		{"as it is", func(*network) {}, Unconfirmed, ReasonNone, "one"},
		{"window begins with iat", one(func(k *AgencyKey) { k.From = iat }), Unconfirmed, ReasonNone, "one"},
		{"window begins after iat", one(func(k *AgencyKey) { k.From = iat + 1 }), IssuerUnknown, ReasonKeyWindow, ""},
		{"window ends with iat", one(func(k *AgencyKey) { k.To = iat }), IssuerUnknown, ReasonKeyWindow, ""},
		{"window ends after iat", one(func(k *AgencyKey) { k.To = iat + 1 }), Unconfirmed, ReasonNone, "one"},
		{"window is over, the card is from inside it", one(func(k *AgencyKey) { k.To = iat + 60 }), Unconfirmed, ReasonNone, "one"},
		{"revoked", one(func(k *AgencyKey) { k.Revoked = true }), IssuerUnknown, ReasonKeyUnknown, ""},
		{"agency suspended", func(n *network) { n.trust.Agencies[0].Suspended = true }, IssuerUnknown, ReasonKeyUnknown, ""},
		{"agency gone", func(n *network) { n.trust.Agencies = nil }, IssuerUnknown, ReasonKeyUnknown, ""},
		{"stolen, and the card was logged", one(func(k *AgencyKey) {
			k.Compromised = &Compromise{At: iat, Logged: sorted("0000000000000000", prefix, "ffffffffffffffff")}
		}), Unconfirmed, ReasonNone, "one"},
		{"stolen, and only others were logged", one(func(k *AgencyKey) {
			k.Compromised = &Compromise{At: iat, Logged: []string{"0000000000000000", "ffffffffffffffff"}}
		}), IssuerUnknown, ReasonKeyWindow, ""},
		// The date inside the card proves nothing once the key was stolen.
		{"stolen long after iat, not logged", one(func(k *AgencyKey) {
			k.Compromised = &Compromise{At: iat + 1e6, Logged: []string{}}
		}), IssuerUnknown, ReasonKeyWindow, ""},
		{"stolen, logged, outside the window", one(func(k *AgencyKey) {
			k.To, k.Compromised = iat, &Compromise{At: iat, Logged: []string{prefix}}
		}), IssuerUnknown, ReasonKeyWindow, ""},
		{"stolen, logged, and revoked all the same", one(func(k *AgencyKey) {
			k.Revoked, k.Compromised = true, &Compromise{At: iat, Logged: []string{prefix}}
		}), IssuerUnknown, ReasonKeyUnknown, ""},
		{"another agency has a key with this kid, and comes first", func(n *network) {
			n.agency("two", i.kid, &stranger.PublicKey)
			slices.Reverse(n.trust.Agencies)
		}, Unconfirmed, ReasonNone, "one"},
		{"another agency has a key with this kid, this one is revoked", func(n *network) {
			n.agency("two", i.kid, &stranger.PublicKey)
			n.trust.Agencies[0].Keys[0].Revoked = true
		}, DoesNotMatch, ReasonSignature, ""},
		{"only another agency's key has this kid", func(n *network) {
			n.trust.Agencies = nil
			n.agency("two", i.kid, &stranger.PublicKey)
		}, DoesNotMatch, ReasonSignature, ""},
		{"one key twice, the first window does not hold it", func(n *network) {
			a := &n.trust.Agencies[0]
			a.Keys = append(a.Keys, a.Keys[0])
			a.Keys[0].To = iat
		}, Unconfirmed, ReasonNone, "one"},
		{"another key of the agency signed", func(n *network) {
			a := &n.trust.Agencies[0]
			a.Keys[0].JWK = jwk(t, &stranger.PublicKey)
		}, DoesNotMatch, ReasonSignature, ""},
	}
	base := i.trust
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := *i.network
			n.t = t
			n.trust = base
			n.trust.Agencies = slices.Clone(base.Agencies)
			n.trust.Agencies[0].Keys = slices.Clone(base.Agencies[0].Keys)
			test.edit(&n)
			v := n.open(noon).verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon)
			if v.State != test.state || v.Reason != test.reason {
				t.Errorf("got %v, want %s (%s)", v, test.state, test.reason)
			}
			issuer := ""
			if v.Issuer != nil {
				issuer = v.Issuer.ID
			}
			if issuer != test.issuer {
				t.Errorf("issuer %q, want %q", issuer, test.issuer)
			}
			if err := honest(v); err != nil {
				t.Error(err)
			}
		})
	}
}

func sorted(s ...string) []string { slices.Sort(s); return s }

// TestEpochs is about what a card shows before any code is asked for.
func TestEpochs(t *testing.T) {
	i := newIssued(t)
	live := i.keys
	closed := ClosedEpoch{ID: live.Live[0].ID, TagKey: live.Live[0].TagKey}
	tests := []struct {
		name   string
		edit   func(*network)
		state  State
		reason Reason
	}{
		{"live", func(*network) {}, CodeNotGiven, ReasonNone},
		{"unknown", func(n *network) { n.keys.Live = nil }, NotOurs, ReasonUnknownContent},
		{"ended", func(n *network) { n.keys = EpochKeys{Closed: []ClosedEpoch{closed}} }, Expired, ReasonEpochEnded},
		{"burned, by the envelope", func(n *network) {
			c := closed
			c.Burned = true
			n.keys = EpochKeys{Closed: []ClosedEpoch{c}}
		}, NotReady, ReasonEpochBurned},
		{"burned, by the public pack", func(n *network) { n.statement.Burned = []uint32{1, closed.ID} }, NotReady, ReasonEpochBurned},
		{"ended, then burned by the public pack", func(n *network) {
			n.keys = EpochKeys{Closed: []ClosedEpoch{closed}}
			n.statement.Burned = []uint32{closed.ID}
		}, NotReady, ReasonEpochBurned},
		{"another one burned", func(n *network) { n.statement.Burned = []uint32{1} }, CodeNotGiven, ReasonNone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := *i.network
			n.t = t
			test.edit(&n)
			p := n.open(noon)
			for name, code := range map[string]*string{"no code": nil, "right code": ptr(rightCode)} {
				v := p.verifyOnce(Presentation{Text: i.digits, Code: code}, noon)
				if code != nil && test.state == CodeNotGiven {
					if v.State != Unconfirmed {
						t.Errorf("%s: got %v, want unconfirmed", name, v)
					}
					continue
				}
				if v.State != test.state || v.Reason != test.reason {
					t.Errorf("%s: got %v, want %s (%s)", name, v, test.state, test.reason)
				}
			}
		})
	}
}

// TestFlippedBits turns every bit of a genuine card, one at a time: none of
// them is one of ours any more, so none costs an Argon2id.
func TestFlippedBits(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	genuine, err := card.Parse(i.digits)
	if err != nil {
		t.Fatal(err)
	}
	never := func(card.Card, card.OpenKeys, card.Code) (*card.Opened, error) {
		t.Error("a card that is not ours was opened")
		return nil, card.ErrWrongCode
	}
	for bit := range card.Size * 8 {
		c := genuine
		c[bit/8] ^= 1 << (bit % 8)
		v := p.verify(Presentation{Text: c.Digits(), Code: ptr(rightCode)}, never, noon)
		if v.State != NotOurs {
			t.Errorf("bit %d: got %v, want not_ours", bit, v)
		}
	}
	t.Logf("flipped bits: %d cases", card.Size*8)
}

// TestForeignText is about what is no card at all.
func TestForeignText(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	zlibDigits := "135" + strings.Repeat("0", card.Digits-2) // its first three are a zlib header in Base45
	tests := []struct {
		name, text string
		state      State
		reason     Reason
		kind       Kind
	}{
		{"nothing", "", NotOurs, ReasonUnknownContent, KindUnknown},
		{"address", "https://example.org/?q=" + i.digits, NotOurs, ReasonUnknownContent, KindWebAddress},
		{"one digit less", i.digits[1:], NotOurs, ReasonUnknownContent, KindUnknown},
		{"one digit more", i.digits + "0", NotOurs, ReasonUnknownContent, KindUnknown},
		{"digits that begin as a compressed text would", zlibDigits, NotOurs, ReasonUnknownContent, KindUnknown},
		{"a line end", i.digits + "\n", NotOurs, ReasonUnknownContent, KindUnknown},
		{"space in front", " " + i.digits, NotOurs, ReasonUnknownContent, KindUnknown},
		{"the most a symbol holds", strings.Repeat("7", 7089), NotOurs, ReasonUnknownContent, KindUnknown},
		{"block too large", strings.Repeat("9", card.Digits), NotOurs, ReasonUnknownContent, KindUnknown},
		{"all zero", strings.Repeat("0", card.Digits), NotOurs, ReasonUnknownContent, KindUnknown},
		{"other digits", strings.Repeat("๑", card.Digits), NotOurs, ReasonUnknownContent, KindUnknown},
		{"ten million dots", strings.Repeat(".", 10<<20), Unreadable, ReasonTooLarge, KindUnknown},
		{"a million tildes", "eyJ" + strings.Repeat("~", 1e6), Unreadable, ReasonTooLarge, KindUnknown},
		{"at the limit", strings.Repeat("x", MaxText), NotOurs, ReasonUnknownContent, KindUnknown},
		{"above the limit", strings.Repeat("x", MaxText+1), Unreadable, ReasonTooLarge, KindUnknown},
		{"parts of nothing", "ey..", Unreadable, jws.CodeMalformed, KindUnknown},
		{"empty header", "e30..", Unreadable, jws.CodeAlg, KindUnknown},
		{"words with dots", "eyewear.example.org", Unreadable, jws.CodeMalformed, KindUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, code := range []*string{nil, ptr(rightCode)} {
				v := p.Verify(Presentation{Text: test.text, Code: code}, noon)
				if v.State != test.state || v.Reason != test.reason || v.Kind != test.kind {
					t.Errorf("got %v and kind %q, want %s (%s) and kind %q", v, v.Kind, test.state, test.reason, test.kind)
				}
			}
		})
	}
}

// TestUnknownStatus: a value that no list of two bits can hold says at least not
// that something is in use, and one of the answers list confirms nobody.
func TestUnknownStatus(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	odd := func(value uint8) *statuslist.Token {
		l, err := statuslist.New(8, statuslist.Entries)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Set(int(person().Index), value); err != nil {
			t.Fatal(err)
		}
		return &statuslist.Token{IssuedAt: noon.Add(-time.Hour), Expires: noon.Add(time.Hour), List: l}
	}
	see := func(what string, want State) {
		t.Helper()
		if v := p.verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon); v.State != want || v.Checks.Status == Yes && want == OutOfUse {
			t.Errorf("%s: got %v with status %s, want %s", what, v, v.Checks.Status, want)
		}
	}
	for _, value := range []uint8{4, 7, 0xff} {
		p.status[1] = odd(value)
		see(fmt.Sprintf("status %d", value), OutOfUse)
		p.status[1], p.answers[1] = odd(0), odd(value)
		see(fmt.Sprintf("answer %d", value), Unconfirmed)
	}
}

// TestLists is about the place of a card in its list.
func TestLists(t *testing.T) {
	i := newIssued(t)
	at := person().Index
	tests := []struct {
		name   string
		edit   func(*network)
		state  State
		reason Reason
	}{
		{"another card is withdrawn", func(n *network) {
			n.status = map[uint16]list{1: {entries: map[int]uint8{int(at) - 1: 1, int(at) + 1: 2, 0: 3}}}
		}, Unconfirmed, ReasonNone},
		{"withdrawn in another list", func(n *network) {
			n.status = map[uint16]list{1: {}, 2: {entries: map[int]uint8{int(at): 1}}}
		}, Unconfirmed, ReasonNone},
		{"the list has not begun", func(n *network) {
			n.status = map[uint16]list{1: {from: noon.Add(time.Second), to: noon.Add(time.Hour)}}
		}, StatusOld, ReasonStatusExpired},
		{"answers in another list", func(n *network) {
			n.answers = map[uint16]list{1: {}, 2: {entries: map[int]uint8{int(at): 1}}}
		}, Unconfirmed, ReasonNone},
		{"answers have not begun", func(n *network) {
			n.answers = map[uint16]list{1: {entries: map[int]uint8{int(at): 1}, from: noon.Add(time.Second), to: noon.Add(time.Hour)}}
		}, Unconfirmed, ReasonNone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := *i.network
			n.t = t
			test.edit(&n)
			v := n.open(noon).verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon)
			if v.State != test.state || v.Reason != test.reason {
				t.Errorf("got %v, want %s (%s)", v, test.state, test.reason)
			}
		})
	}
}

// TestDemo: every verdict of a demonstration network says so, whatever it is, and on
// which day somebody alone opened the founding again.
func TestDemo(t *testing.T) {
	i := newIssued(t)
	i.trust.Demo, i.trust.Reopened = true, day.Add(-3*24*time.Hour).Unix()
	p := i.open(noon)
	for name, v := range map[string]Verdict{
		"foreign":    p.Verify(Presentation{Text: "x"}, noon),
		"credential": p.Verify(Presentation{Text: "eyJ.."}, noon),
		"no code":    p.Verify(Presentation{Text: i.digits}, noon),
		"wrong code": p.verifyOnce(Presentation{Text: i.digits, Code: ptr(wrongCode)}, noon),
		"opened":     p.verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon),
		"too late":   p.Verify(Presentation{Text: i.digits}, noon.AddDate(1, 0, 0)),
		"no picture": p.UnreadableVerdict(ReasonNoPicture, noon),
	} {
		if !v.Demo || v.Desk != i.trust.Desk || v.Reopened != "2026-11-20" {
			t.Errorf("%s: demo is %v, the desk %q, and founding was opened again on %q", name, v.Demo, v.Desk, v.Reopened)
		}
	}
}

// TestNoPack: a device without a pack says nothing about what it is shown.
func TestNoPack(t *testing.T) {
	var p *Pack
	i := newIssued(t)
	for name, v := range map[string]Verdict{
		"card":       p.Verify(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon),
		"credential": p.Verify(Presentation{Text: "eyJ.."}, noon),
		"picture":    p.UnreadableVerdict(ReasonNoPicture, noon),
		"nil error":  NotReadyVerdict(nil),
	} {
		if v.State != NotReady || v.Reason != ReasonNoPack || v.Checks != (Checks{Unchecked, Unchecked, Unchecked}) {
			t.Errorf("%s: got %v with checks %v, want not_ready (no_pack), all unchecked", name, v, v.Checks)
		}
	}
	if v := NotReadyVerdict(fmt.Errorf("something else")); v.State != NotReady || v.Reason != ReasonPackBroken {
		t.Errorf("an error of another kind: got %v, want not_ready (pack_broken)", v)
	}
}

// TestPrinting looks for a person in whatever a verdict can be turned into by
// accident.
func TestPrinting(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	v := p.verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon)
	if v.Card == nil || v.Card.Name.Reveal() != "TESTER, AMINA" {
		t.Fatal("the card did not open")
	}
	token := i.credential(t, nil)
	w := p.Verify(Presentation{Text: token}, noon)
	if w.Credential == nil || w.Credential.Claims["given_name"] != "AMINA" {
		t.Fatalf("the credential did not open: %v", w)
	}
	// fmt asks no method of an unexported field. With verbs that do not fit it
	// follows pointers there, and go vet refuses those.
	type holder struct{ v Verdict }
	holders := []string{"%v", "%+v", "%#v"}
	secret := []string{"TESTER", "AMINA", "tester", "amina", "1998", "KEN", fmt.Sprintf("%x", "TESTER"), fmt.Sprintf("%X", "AMINA")}
	for _, key := range [][]byte{[]byte(v.openSeed.Reveal()), i.device.Private, i.keys.Live[0].TagKey, i.keys.Live[0].NetKey} {
		key = key[:8]
		numbers := fmt.Sprintf("%d", key)
		secret = append(secret, strings.Trim(numbers, "[]"), fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), string(key),
			strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", key), "[]byte"), "{}"), base64.StdEncoding.EncodeToString(key)[:10])
	}
	secret = append(secret, strings.Split(token, "~")[1][:12])
	look := func(how, text string) {
		t.Helper()
		for _, s := range secret {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %q", how, s)
			}
		}
	}
	shown := 0
	for _, value := range []any{
		v, &v, w, &w, holder{v}, &holder{v}, holder{w}, &holder{w}, []Verdict{v, w}, map[string]Verdict{"a": v, "b": w},
		*v.Card, v.Card, *w.Credential, w.Credential, p, *p, i.device, &i.device, i.keys, i.keys.Live, i.keys.Live[0], ClosedEpoch{TagKey: i.keys.Live[0].TagKey},
		Presentation{Text: token}, &Presentation{Text: token},
	} {
		verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%T"}
		switch value.(type) {
		case holder, *holder:
			verbs = holders
		}
		for _, verb := range verbs {
			look(fmt.Sprintf("%s of %T", verb, value), fmt.Sprintf(verb, value))
			shown++
		}
	}
	for name, value := range map[string]Verdict{"card": v, "credential": w} {
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		look("JSON of a "+name, string(b))
		if !strings.Contains(string(b), `"state":"unconfirmed"`) {
			t.Errorf("JSON of a %s: %s", name, b)
		}
	}
	if _, err := json.Marshal(w.Credential); err == nil {
		t.Error("a credential lets itself be written as JSON")
	}
	if got, want := fmt.Sprintf("%v", v), "unconfirmed ()"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := fmt.Sprint(*w.Credential); got != private.Masked {
		t.Errorf("got %q, want %q", got, private.Masked)
	}
	t.Logf("printing: %d cases", shown)
}

// recorder is a key that remembers what it was last asked to sign.
type recorder struct {
	*ecdsa.PrivateKey
	digest []byte
}

func (r *recorder) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	r.digest = bytes.Clone(digest)
	return r.PrivateKey.Sign(random, digest, opts)
}

// TestLoggedCard: what an issuer logs is the digest that its key is asked to
// sign. A reader of the card has to come to the same one.
func TestLoggedCard(t *testing.T) {
	i := newIssued(t)
	key := &recorder{PrivateKey: i.agencyKey}
	digits := seal(t, person(), i.seal, i.kid, key)
	logged := fmt.Sprintf("%x", key.digest[:8])
	for _, test := range []struct {
		logged []string
		want   State
	}{{[]string{logged}, Unconfirmed}, {nil, IssuerUnknown}} {
		i.trust.Agencies[0].Keys[0].Compromised = &Compromise{At: day.Unix(), Logged: test.logged}
		v := i.open(noon).verifyOnce(Presentation{Text: digits, Code: ptr(rightCode)}, noon)
		if v.State != test.want {
			t.Errorf("%d logged: got %v, want %s", len(test.logged), v, test.want)
		}
	}
}
