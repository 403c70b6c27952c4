package verifier

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/internal/vectortest"
)

// everyList runs over every list that the cards of the file name.
func (n *network) everyList(edit func(number uint16, status, answers *list)) {
	for number := range n.status {
		s, a := n.status[number], n.answers[number]
		edit(number, &s, &a)
		n.status[number], n.answers[number] = s, a
	}
}

// TestCardVectors gives every card of the file the state that the file says.
// The file has no lists: what opens is then whatever the test's lists make of
// it.
func TestCardVectors(t *testing.T) {
	f := vectortest.ReadCards(t)
	now := time.Unix(f.Now, 0).UTC()
	made := now.Add(-time.Hour)

	// all sets the entry of every card in the lists.
	all := func(n *network, status, answer uint8) {
		for _, c := range f.Cards {
			number, there := c.Claims["statusList"].(float64)
			if !there {
				continue
			}
			index := int(c.Claims["statusIndex"].(float64))
			for value, lists := range map[*uint8]map[uint16]list{&status: n.status, &answer: n.answers} {
				l := lists[uint16(number)]
				if l.entries == nil {
					l.entries = map[int]uint8{}
				}
				l.entries[index] = *value
				lists[uint16(number)] = l
			}
		}
	}
	old := func(n *network) {
		n.everyList(func(_ uint16, s, _ *list) {
			s.from, s.to = made.Add(-100*time.Hour), made.Add(-28*time.Hour)
		})
	}
	type outcome struct {
		state  State
		reason Reason
		status Answer
		asOf   time.Time
	}
	tests := []struct {
		name  string
		edit  func(*network)
		opens outcome
	}{
		{"nothing in the lists", func(*network) {}, outcome{Unconfirmed, ReasonNone, Yes, made}},
		{"answered by the mission", func(n *network) { all(n, 0, 1) }, outcome{Confirmed, ReasonMission, Yes, made}},
		{"bound", func(n *network) { all(n, 0, 2) }, outcome{Unconfirmed, ReasonNone, Yes, made}},
		{"answered by another authority", func(n *network) { all(n, 0, 3) }, outcome{Confirmed, ReasonOtherAuthority, Yes, made}},
		{"answers past their date", func(n *network) {
			all(n, 0, 1)
			n.everyList(func(_ uint16, _, a *list) { a.from, a.to = made.Add(-100*time.Hour), made })
		}, outcome{Unconfirmed, ReasonNone, Yes, made}},
		{"no answers lists", func(n *network) { n.answers = map[uint16]list{} }, outcome{Unconfirmed, ReasonNone, Yes, made}},
		{"status past its date", func(n *network) { all(n, 0, 1); old(n) }, outcome{StatusOld, ReasonStatusExpired, Unchecked, made.Add(-100 * time.Hour)}},
		{"status ends now", func(n *network) {
			n.everyList(func(_ uint16, s, _ *list) { s.to = now })
		}, outcome{StatusOld, ReasonStatusExpired, Unchecked, made}},
		{"status ends in a second", func(n *network) {
			n.everyList(func(_ uint16, s, _ *list) { s.to = now.Add(time.Second) })
		}, outcome{Unconfirmed, ReasonNone, Yes, made}},
		{"no list of these cards", func(n *network) { n.status = map[uint16]list{999: {}} }, outcome{StatusOld, ReasonStatusMissing, Unchecked, time.Time{}}},
		{"withdrawn", func(n *network) { all(n, 1, 1) }, outcome{OutOfUse, ReasonNone, No, made}},
		{"paused", func(n *network) { all(n, 2, 1) }, outcome{Paused, ReasonNone, No, made}},
		{"replaced", func(n *network) { all(n, 3, 1) }, outcome{Replaced, ReasonNone, No, made}},
		{"withdrawn, in an old list", func(n *network) { all(n, 1, 1); old(n) }, outcome{OutOfUse, ReasonNone, No, made.Add(-100 * time.Hour)}},
		{"paused, in an old list", func(n *network) { all(n, 2, 1); old(n) }, outcome{Paused, ReasonNone, No, made.Add(-100 * time.Hour)}},
		{"replaced, in an old list", func(n *network) { all(n, 3, 1); old(n) }, outcome{Replaced, ReasonNone, No, made.Add(-100 * time.Hour)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := networkOf(t, f)
			test.edit(n)
			p := n.open(now)
			cases := 0
			issuers := map[string]bool{}
			for _, c := range f.Cards {
				v := p.verifyOnce(Presentation{Text: c.Digits, Code: &c.Code}, now)
				want := State(c.Expect)
				switch state := test.opens.state; {
				case c.Claims == nil: // does not open
				case state == OutOfUse || state == Replaced:
					want = state // before everything else that an opened card can be
				case state == Paused && c.Claims["blank"] == nil:
					want = state // before everything but a blank
				case c.Expect == "opens":
					want = state
				}
				if got := (outcome{v.State, v.Reason, v.Checks.Status, v.StatusAsOf}); c.Expect == "opens" && got != test.opens {
					t.Errorf("%s: got %v, want %v", c.Name, got, test.opens)
				}
				if v.State != want {
					t.Errorf("%s: got %v, want %s", c.Name, v, want)
				}
				checkClaims(t, c.Name, v, c.Claims, c.OpenKey)
				if v.Issuer != nil {
					issuers[v.Issuer.ID] = true
				}
				cases++
			}
			if len(issuers) != 2 {
				t.Errorf("cards of %d issuers opened, want the 2 that share a kid", len(issuers))
			}
			if cases != 25 || cases != len(f.Cards) {
				t.Errorf("ran %d cases of %d, want 25", cases, len(f.Cards))
			}
		})
	}
}

// TestCardVectorsWhole runs every card through Verify itself, Argon2id
// included, once.
func TestCardVectorsWhole(t *testing.T) {
	f := vectortest.ReadCards(t)
	now := time.Unix(f.Now, 0).UTC()
	n := networkOf(t, f)
	p := n.open(now)
	cases := 0
	for _, c := range f.Cards {
		want := State(c.Expect)
		if want == "opens" {
			want = Unconfirmed
		}
		tries := &Tries{}
		v := p.Verify(Presentation{Text: c.Digits, Code: &c.Code, Tries: tries}, now)
		if v.State != want {
			t.Errorf("%s: got %v, want %s", c.Name, v, want)
		}
		if got, want := len(tries.Hours), map[bool]int{true: 1}[v.Reason == ReasonCodeWrong]; got != want {
			t.Errorf("%s: %d cards with counted tries, want %d", c.Name, got, want)
		}
		checkClaims(t, c.Name, v, c.Claims, c.OpenKey)
		// Without the code nothing opens, and a card that is ours asks for it.
		v = p.Verify(Presentation{Text: c.Digits}, now)
		switch {
		case c.Name == "ended-epoch":
			want = Expired
		case c.Expect != "not_ours":
			want = CodeNotGiven
		}
		if v.State != want || v.Card != nil {
			t.Errorf("%s, no code: got %v, want %s", c.Name, v, want)
		}
		cases++
	}
	if cases != 25 || cases != len(f.Cards) {
		t.Errorf("ran %d cases of %d, want 25", cases, len(f.Cards))
	}
	t.Logf("card vectors: %d cases", cases)
}

// checkClaims compares what a verdict carries with what the file says; nothing
// where the file says nothing.
func checkClaims(t *testing.T, name string, v Verdict, want map[string]any, openKey []byte) {
	t.Helper()
	if want == nil {
		if v.Card != nil || v.OpenKey() != nil || v.Issuer != nil {
			t.Errorf("%s: a verdict that opens nothing carries claims", name)
		}
		return
	}
	if v.Card == nil || v.OpenKey() == nil || v.Issuer == nil {
		t.Errorf("%s: no claims, key or issuer", name)
		return
	}
	if diff := cmp.Diff(want, asInFile(*v.Card)); diff != "" {
		t.Errorf("%s: claims (-want +got):\n%s", name, diff)
	}
	if got := v.OpenKey(); !bytes.Equal(got, openKey) {
		t.Errorf("%s: open key: got %x, want %x", name, got, openKey)
	}
}

// asInFile writes claims the way the file does.
func asInFile(c card.Claims) map[string]any {
	m := map[string]any{
		"iat": float64(c.IssuedAt.Unix()), "exp": float64(c.Expires.Unix()),
		"caseHandle": hex.EncodeToString(c.Handle[:]),
		"statusList": float64(c.List), "statusIndex": float64(c.Index),
	}
	for k, v := range map[string]string{
		"name": c.Name.Reveal(), "birthDate": c.BirthDate.Reveal(), "nationality": c.Nationality.Reveal(),
		"portraitSHA256Prefix": hex.EncodeToString(c.Portrait),
	} {
		if v != "" {
			m[k] = v
		}
	}
	for k, v := range map[string]int{"sex": c.Sex, "status": c.Status, "decisionLevel": c.DecisionLevel} {
		if v != 0 {
			m[k] = float64(v)
		}
	}
	for k, v := range map[string]bool{
		"namesShortened": c.NamesShortened, "blank": c.Blank, "missionMayBeContacted": c.MissionMayBeContacted,
	} {
		if v {
			m[k] = v
		}
	}
	return m
}
