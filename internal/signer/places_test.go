package signer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

const (
	statusAt, answersAt = base + "/status-lists/1", base + "/answers-lists/1"
	siti, other         = "5171aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "07be0000000000000000000000000000" // cases
	mine, theirs        = "aa01aa01aa01aa01aa01aa01aa01aa01", "aa02aa02aa02aa02aa02aa02aa02aa02" // an agency and a mission
	confirmed           = 1
	otherwise           = 3
)

// about is a context in which something is signed about a person.
func (g *guarded) about(caseID string) context.Context {
	return approval.With(g.t.Context(), approval.Authority{Case: caseID})
}

// printed has a card signed at a place of list 1, and returns the receipt for it.
func (g *guarded) printed(ctx context.Context, index uint32, nationality string) []byte {
	g.t.Helper()
	kid, key, err := g.Signer(ctx, mine)
	if err != nil {
		g.t.Fatal(err)
	}
	var id [8]byte
	if _, err := hex.Decode(id[:], []byte(kid)); err != nil {
		g.t.Fatal(err)
	}
	code, err := card.NewCode(rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	day := now.Truncate(24 * time.Hour)
	public := make([]byte, 32)
	public[0] = 9 // the base point
	_, err = card.Seal(card.Claims{
		IssuedAt: day, Expires: day.AddDate(0, 0, 90), Name: private.New("SITI"), Nationality: private.New(nationality), Handle: [8]byte{1}, List: 1, Index: index,
	}, card.SealKeys{Epoch: 1, TagKey: random(32), NetKey: random(32), Public: public}, code, id, key, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.receipt(index)
}

func (g *guarded) receipt(index uint32) []byte {
	g.t.Helper()
	r, err := g.Receipt(g.t.Context(), 1, index)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// replied has a reply of a mission signed at a place of a list, and returns the receipt.
func (g *guarded) replied(ctx context.Context, list, index int, edit func(map[string]any)) []byte {
	g.t.Helper()
	kid, key, err := g.Signer(ctx, theirs)
	if err != nil {
		g.t.Fatal(err)
	}
	said := map[string]any{
		"kind": "reply", "attestation_id": "x", "answer": "matched", "channel": "account", "mission_state": "ETH",
		"exp": now.Add(90 * 24 * time.Hour).Unix(),
	}
	if edit != nil {
		edit(said)
	}
	always := []sdjwt.Member{
		{Name: "iss", Value: base + "/agencies/" + theirs}, {Name: "iat", Value: now.Add(-time.Hour).Unix()}, {Name: "exp", Value: said["exp"]}, {Name: "vct", Value: "urn:safeconduct:attestation:1"},
		{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": index, "uri": base + "/status-lists/" + string('0'+rune(list))}}},
	}
	var hidden []sdjwt.Member
	for _, name := range []string{"kind", "attestation_id", "answer", "channel", "mission_state"} {
		hidden = append(hidden, sdjwt.Member{Name: name, Value: said[name]})
	}
	if _, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, always, hidden, 16, key, nil); err != nil {
		g.t.Fatal(err)
	}
	r, err := g.Receipt(g.t.Context(), uint16(list), uint32(index))
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// listFor is list with reasons.
func (g *guarded) listFor(subject string, values map[int]uint8, reasons ...approval.Change) (string, error) {
	g.t.Helper()
	l, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		g.t.Fatal(err)
	}
	for i, v := range values {
		if err := l.Set(i, v); err != nil {
			g.t.Fatal(err)
		}
	}
	s, err := g.Status(approval.With(g.t.Context(), approval.Authority{Changes: reasons}))
	if err != nil {
		g.t.Fatal(err)
	}
	return statuslist.Token{Subject: subject, IssuedAt: now, Expires: now.Add(72 * time.Hour), TTL: 6 * time.Hour, List: l}.Sign(s.KeyID, s.Key)
}

// withPeople is a network with an agency and a mission.
func withPeople(t *testing.T) *guarded {
	t.Helper()
	g := newGuarded(t)
	for _, id := range []string{mine, theirs} {
		if _, err := g.file.NewAgency(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// TestAnswers presents every wrong reason for an answer to a guard, and the right one.
func TestAnswers(t *testing.T) {
	g := withPeople(t)
	sitis := g.printed(g.about(siti), 7, "ETH")
	another := g.printed(g.about(siti), 8, "ETH")
	foreign := g.printed(g.about(siti), 9, "KEN")
	others := g.printed(g.about(other), 10, "ETH")
	ofNobody := g.printed(t.Context(), 12, "ETH")
	reply := g.replied(g.about(siti), 1, 1, nil)
	order := approval.With(t.Context(), approval.Authority{Case: siti, Order: []byte(`{"case":"` + other + `"}`)})
	ordered := g.replied(order, 1, 2, nil)

	stranger := withPeople(t)
	strangers := stranger.printed(stranger.about(siti), 7, "ETH")
	flipped := bytes.Clone(sitis)
	flipped[len(flipped)-1] ^= 1
	edited := bytes.Replace(others, []byte{10}, []byte{7}, 1)

	because := func(index uint32, card, reply []byte) approval.Change {
		return approval.Change{List: 1, Index: index, Card: card, Reply: reply}
	}
	_, err := g.listFor(answersAt, map[int]uint8{7: confirmed}, because(7, sitis, reply))
	refused(t, "before the list of the reply was published", err)
	_, err = g.listFor(statusAt, map[int]uint8{13: statuslist.Invalid, 14: statuslist.Suspended})
	allowed(t, "the first status list", err)

	withdrawn := g.replied(g.about(siti), 1, 13, nil)
	paused := g.replied(g.about(siti), 1, 14, nil)
	elsewhere := g.replied(g.about(siti), 2, 1, nil)
	for what, c := range map[string]struct {
		index  int
		value  uint8
		reason approval.Change
	}{
		"nothing":                               {7, confirmed, approval.Change{}},
		"no reply":                              {7, confirmed, because(7, sitis, nil)},
		"no card":                               {7, confirmed, because(7, nil, reply)},
		"the reason of another place":           {8, confirmed, because(7, sitis, reply)},
		"the card of another place":             {7, confirmed, because(7, another, reply)},
		"a place that is said to be a decoy's":  {15, confirmed, because(15, sitis, reply)},
		"a card of somebody else":               {10, confirmed, because(10, others, reply)},
		"a reply about somebody else":           {7, confirmed, because(7, sitis, ordered)},
		"a card about nobody":                   {12, confirmed, because(12, ofNobody, reply)},
		"a card about nobody, and so the reply": {12, confirmed, because(12, ofNobody, g.replied(t.Context(), 1, 4, nil))},
		"a card as a reply":                     {7, confirmed, because(7, sitis, another)},
		"a reply as a card":                     {1, confirmed, because(1, reply, reply)},
		"no match":                              {7, confirmed, because(7, sitis, g.replied(g.about(siti), 1, 5, func(m map[string]any) { m["answer"] = "not_found" }))},
		"relayed":                               {7, confirmed, because(7, sitis, g.replied(g.about(siti), 1, 6, func(m map[string]any) { m["channel"] = "relayed" }))},
		"over":                                  {7, confirmed, because(7, sitis, g.replied(g.about(siti), 1, 16, func(m map[string]any) { m["exp"] = now.Unix() }))},
		"no reply at all":                       {7, confirmed, because(7, sitis, g.replied(g.about(siti), 1, 17, func(m map[string]any) { m["kind"] = "opinion" }))},
		"a reply that is withdrawn":             {7, confirmed, because(7, sitis, withdrawn)},
		"a reply that is paused":                {7, confirmed, because(7, sitis, paused)},
		"a reply in a list that nobody knows":   {7, confirmed, because(7, sitis, elsewhere)},
		"a value that nothing gives":            {7, 2, because(7, sitis, reply)},
		"the mission of another nationality":    {9, confirmed, because(9, foreign, reply)},
		"the same, as another authority":        {9, otherwise, because(9, foreign, reply)},
		"a card that names no nationality":      {18, otherwise, because(18, g.printed(g.about(siti), 18, ""), reply)},
		"another network's receipt":             {7, confirmed, because(7, strangers, reply)},
		"a receipt with a bit changed":          {7, confirmed, because(7, flipped, reply)},
		"a receipt with another place":          {7, confirmed, because(7, edited, reply)},
		"a receipt cut short":                   {7, confirmed, because(7, sitis[:31], reply)},
		"too long to be one":                    {7, confirmed, because(7, bytes.Repeat(sitis, 20), reply)},
		"in the way of a decoy, twice":          {7, confirmed, because(3, sitis, reply)},
	} {
		_, err := g.listFor(answersAt, map[int]uint8{c.index: c.value}, c.reason)
		refused(t, what, err)
	}

	var asked []signer.Change
	g.open(noting{changes: &asked}) // started anew, it knows its receipts
	first, err := g.listFor(statusAt, map[int]uint8{13: statuslist.Invalid, 14: statuslist.Suspended})
	allowed(t, "the status list again", err)
	answers, err := g.listFor(answersAt, map[int]uint8{3: confirmed, 7: confirmed}, because(7, sitis, reply))
	allowed(t, "what the reply confirms, and a decoy", err)
	if len(asked) != 1 || asked[0].Mission != theirs || asked[0].State != "ETH" || asked[0].Agency != mine {
		t.Errorf("asked about %+v", asked)
	}
	allowed(t, "a pack with it", g.pack(1, first, answers))
	_, err = g.listFor(answersAt, map[int]uint8{7: confirmed, 11: otherwise})
	allowed(t, "what stands, with nothing shown", err)

	// The reply is withdrawn. What was taken back does not come again by a list of before,
	// nor by the reply.
	status, err := g.listFor(statusAt, map[int]uint8{1: statuslist.Invalid, 13: statuslist.Invalid, 14: statuslist.Suspended})
	allowed(t, "the reply withdrawn", err)
	none, err := g.listFor(answersAt, map[int]uint8{})
	allowed(t, "the answers taken back", err)
	_, err = g.listFor(answersAt, map[int]uint8{10: confirmed}, because(10, others, ordered))
	allowed(t, "another reply is good", err)
	allowed(t, "a pack without them", g.pack(2, status, none))
	refused(t, "a pack with the answers of before", g.pack(3, status, answers))
	_, err = g.listFor(answersAt, map[int]uint8{7: confirmed}, because(7, sitis, reply))
	refused(t, "the reply once more", err)
}

// TestReceipts: a receipt is for what was signed a moment ago, and says nothing.
func TestReceipts(t *testing.T) {
	g := withPeople(t)
	none := func(what string, list uint16) {
		t.Helper()
		if _, err := g.Receipt(t.Context(), list, 7); !errors.Is(err, signer.ErrAway) {
			t.Errorf("%s: %v, want ErrAway", what, err)
		}
	}
	none("before anything was signed", 1)
	r := g.printed(g.about(siti), 7, "ETH")
	for _, secret := range []string{siti, "ETH", "SITI"} {
		if bytes.Contains(r, []byte(secret)) {
			t.Errorf("it says %s", secret)
		}
	}
	if again := g.receipt(7); !bytes.Equal(again, r) {
		t.Error("another receipt for the same")
	}
	if bytes.Equal(g.printed(g.about(siti), 8, "ETH"), r) {
		t.Error("the same receipt for another place")
	}
	none("in another list", 2)
	// What the guard does not permit has none.
	g.open(denying{})
	kid, key, err := g.Signer(g.about(siti), mine)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, []sdjwt.Member{
		{Name: "iss", Value: base + "/agencies/" + mine}, {Name: "iat", Value: now.Unix()}, {Name: "exp", Value: now.Add(time.Hour).Unix()}, {Name: "vct", Value: "urn:safeconduct:attestation:1"},
		{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": 7, "uri": statusAt}}},
	}, []sdjwt.Member{{Name: "kind", Value: "screening"}}, 4, key, nil)
	refused(t, "not permitted", err)
	none("what was not signed", 1)
}

// TestOneAtAPlace: a place is of what was signed there first, also for a signer that is
// started anew.
func TestOneAtAPlace(t *testing.T) {
	g := withPeople(t)
	at := func(what string, index uint32) error {
		kid, key, err := g.Signer(g.about(siti), mine)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, []sdjwt.Member{
			{Name: "iss", Value: base + "/agencies/" + mine}, {Name: "iat", Value: now.Unix()}, {Name: "exp", Value: now.Add(time.Hour).Unix()}, {Name: "vct", Value: "urn:safeconduct:attestation:1"},
			{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": index, "uri": statusAt}}},
		}, []sdjwt.Member{{Name: "kind", Value: what}}, 4, key, nil)
		return err
	}
	allowed(t, "the first", at("screening", 7))
	refused(t, "something else", at("document", 7))
	refused(t, "the same with other salts", at("screening", 7))
	allowed(t, "another place", at("document", 8))
	g.open(nil)
	refused(t, "something else, started anew", at("document", 7))
	file := filepath.Join(g.dir, signer.TakenName)
	data, err := os.ReadFile(file)
	if err != nil || len(data) != 2*14 {
		t.Fatalf("%d bytes are kept: %v", len(data), err)
	}
	// A crash in the middle of a line.
	if err := os.WriteFile(file, data[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	g.open(nil)
	refused(t, "something else, after half a line", at("document", 7))
	allowed(t, "what was half written", at("screening", 8))
	allowed(t, "the next", at("screening", 9))
	g.open(nil)
	for _, index := range []uint32{7, 8, 9} {
		refused(t, "something else at all of them", at("document", index))
	}
}

// denying permits nothing that is signed for an agency.
type denying struct{ signer.PermitAll }

func (denying) Attestation(context.Context, string, keystore.Message, *sdjwt.Claims) error {
	return keystore.ErrRefused
}

// TestPauses presents every wrong act for a pause that is to end, and the right one.
func TestPauses(t *testing.T) {
	g := withPeople(t)
	sitis := g.printed(g.about(siti), 7, "ETH")
	others := g.printed(g.about(other), 8, "ETH")
	theirReply := g.replied(g.about(siti), 1, 9, nil)
	first, err := g.listFor(statusAt, map[int]uint8{7: statuslist.Suspended, 8: statuslist.Suspended, 9: statuslist.Suspended, 3: statuslist.Suspended})
	allowed(t, "the first list", err)
	allowed(t, "its pack", g.pack(1, first, ""))

	act := func(edit func(*approval.Act, *roster.Resume)) []byte {
		t.Helper()
		r := roster.Resume{Case: siti, Of: strings.Repeat("0f", 16), Kind: "card", Places: []roster.Place{{List: 1, Index: 7}}, Order: make([]byte, 32)}
		a, err := approval.New(netID, roster.DoResume, mine, "", r, now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(&a, &r)
			again, err := approval.New(a.Network, a.Do, a.Agency, "", r, time.Unix(a.Expires, 0), 0)
			if err != nil {
				t.Fatal(err)
			}
			a = again
		}
		data, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	resumed := map[int]uint8{8: statuslist.Suspended, 9: statuslist.Suspended}
	because := func(card, act []byte) approval.Change {
		return approval.Change{List: 1, Index: 7, Card: card, Act: act}
	}
	for what, reason := range map[string]approval.Change{
		"nothing":                    {},
		"no act":                     because(sitis, nil),
		"nothing of what it is":      because(nil, act(nil)),
		"the receipt of another":     because(others, act(nil)),
		"another doing":              because(sitis, act(func(a *approval.Act, _ *roster.Resume) { a.Do = roster.DoCard })),
		"another network":            because(sitis, act(func(a *approval.Act, _ *roster.Resume) { a.Network = other })),
		"another agency":             because(sitis, act(func(a *approval.Act, _ *roster.Resume) { a.Agency = theirs })),
		"another place":              because(sitis, act(func(_ *approval.Act, r *roster.Resume) { r.Places[0].Index = 8 })),
		"another list":               because(sitis, act(func(_ *approval.Act, r *roster.Resume) { r.Places[0].List = 0 })),
		"another person":             because(sitis, act(func(_ *approval.Act, r *roster.Resume) { r.Case = other })),
		"over for longer than lists": because(sitis, act(func(a *approval.Act, _ *roster.Resume) { a.Expires = now.Add(-73 * time.Hour).Unix() })),
		"not an act":                 because(sitis, []byte("{}")),
	} {
		_, err := g.listFor(statusAt, resumed, reason)
		refused(t, what, err)
	}
	_, err = g.listFor(statusAt, map[int]uint8{7: statuslist.Suspended, 8: statuslist.Suspended},
		approval.Change{List: 1, Index: 9, Card: theirReply, Act: act(func(_ *approval.Act, r *roster.Resume) { r.Places[0].Index = 9 })})
	refused(t, "by the agency that did not sign it", err)

	good := act(nil)
	once, err := g.listFor(statusAt, resumed, because(sitis, good))
	allowed(t, "what was agreed to, and a decoy", err)
	_, err = g.listFor(statusAt, resumed, because(sitis, good))
	allowed(t, "once more, because nobody has published it", err)
	allowed(t, "its pack", g.pack(2, once, ""))
	again, err := g.listFor(statusAt, map[int]uint8{7: statuslist.Suspended, 8: statuslist.Suspended, 9: statuslist.Suspended})
	allowed(t, "paused again", err)
	refused(t, "a pack where it never was", g.pack(2, again, ""))
	allowed(t, "its pack", g.pack(3, again, ""))
	g.open(nil)
	_, err = g.listFor(statusAt, resumed, because(sitis, good))
	refused(t, "the act of before", err)
	refused(t, "the list of before", g.pack(4, once, ""))
	_, err = g.listFor(statusAt, resumed, because(sitis, act(nil)))
	allowed(t, "another act", err)
}

// TestJudgePlaces: who gives an answer is a mission of the roster, for its own state, or
// who was named for one by two people; who ends a pause has agreed to it with her own
// passkey, and is there still.
func TestJudgePlaces(t *testing.T) {
	w := fileTown(t)
	as := func(mission, state string, value uint8) error {
		return w.judge.Changes(t.Context(), []signer.Change{{Subject: answersAt, Index: 7, To: value, Agency: w.ngo, Mission: mission, State: state}})
	}
	allowed(t, "a mission for its own state", as(w.embassy, "UTO", confirmed))
	refused(t, "the same, as another authority", as(w.embassy, "UTO", otherwise))
	refused(t, "for another state", as(w.embassy, "ETH", confirmed))
	refused(t, "for another state, as another authority", as(w.embassy, "ETH", otherwise))
	for _, value := range []uint8{confirmed, otherwise} {
		refused(t, "no mission", as(w.ngo, "KHM", value))
		refused(t, "nobody", as(theirs, "UTO", value))
	}

	named := roster.Agency{
		ID: w.embassy, Name: "Embassy of Utopia", Class: "x_DiplomaticMission", Country: "UTO", Desk: "+855 2", Kinds: []string{"reply"}, Confirms: []string{"ETH"},
	}
	w.Do(roster.DoChangeAgency, "", &roster.ChangeAgency{Agency: named}, w.First)
	refused(t, "for a state that it was named for, which nobody has told the signer", as(w.embassy, "ETH", otherwise))
	_, err := w.HandOver(t.Context())
	w.ok(err)
	allowed(t, "for a state that it was named for", as(w.embassy, "ETH", otherwise))
	refused(t, "for that state, as its mission", as(w.embassy, "ETH", confirmed))
	refused(t, "for a third state", as(w.embassy, "KEN", otherwise))
	allowed(t, "still for its own state", as(w.embassy, "UTO", confirmed))

	r := roster.Resume{Case: siti, Of: strings.Repeat("0f", 16), Kind: "card", Places: []roster.Place{{List: 1, Index: 7}}, Order: make([]byte, 32)}
	q := w.Sealed(roster.DoResume, w.ngo, &r, nil, w.worker, w.boss)
	act, err := q.Act.Bytes()
	w.ok(err)
	back := func(agency string, act []byte, proofs []approval.Proof) error {
		return w.judge.Changes(t.Context(), []signer.Change{{Subject: statusAt, Index: 7, From: statuslist.Suspended, Agency: agency, Act: act, Proofs: proofs}})
	}
	allowed(t, "two of the agency", back(w.ngo, act, q.Proofs))
	refused(t, "no act", back(w.ngo, nil, nil))
	refused(t, "no proofs", back(w.ngo, act, nil))
	refused(t, "one of two", back(w.ngo, act, q.Proofs[:1]))
	refused(t, "one of them twice", back(w.ngo, act, []approval.Proof{q.Proofs[0], q.Proofs[0]}))
	refused(t, "of what another agency signed", back(w.other, act, q.Proofs))
	forged := slices.Clone(q.Proofs)
	forged[1].Signature = forged[0].Signature
	refused(t, "a signature of somebody else", back(w.ngo, act, forged))
	again := q.Act
	again.Expires++
	longer, err := again.Bytes()
	w.ok(err)
	refused(t, "an act that was made to last longer", back(w.ngo, longer, q.Proofs))

	w.Do(roster.DoRemovePerson, w.ngo, &roster.RemovePerson{ID: w.boss}, w.First)
	w.Do(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: w.embassy}, w.First)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	refused(t, "one of them is there no more", back(w.ngo, act, q.Proofs))
	refused(t, "a mission that is suspended", as(w.embassy, "UTO", confirmed))
}

// TestTwoSigners: of two signers of one network each takes notice of what the other has
// published, and neither goes back behind it.
func TestTwoSigners(t *testing.T) {
	a := withPeople(t)
	b := &guarded{t: t, file: a.file, dir: t.TempDir()}
	b.open(nil)
	card, reply := a.printed(a.about(siti), 7, "ETH"), a.replied(a.about(siti), 1, 1, nil)
	lists := map[string]string{} // that packs name
	published := func(g *guarded, sequence uint64, status, answers map[int]uint8, reasons ...approval.Change) string {
		t.Helper()
		s, err1 := g.listFor(statusAt, status, reasons...)
		allowed(t, "a status list", err1)
		l, err2 := g.listFor(answersAt, answers, reasons...)
		allowed(t, "an answers list", err2)
		pack, err := g.packed(verifier.PackStatement{
			Sequence: sequence, Status: []verifier.ListToken{{Number: 1, Token: s}}, Answers: []verifier.ListToken{{Number: 1, Token: l}},
		}, g.names(), g.names())
		allowed(t, "a pack", err)
		lists[pack] = g.names()
		return pack
	}
	because := approval.Change{List: 1, Index: 7, Card: card, Reply: reply}
	first := published(a, 1, nil, map[int]uint8{7: confirmed}, because)
	_, err := b.listFor(answersAt, map[int]uint8{7: confirmed})
	refused(t, "what the other has published and nobody has shown", err)
	takes := func(g *guarded, pack string) {
		t.Helper()
		shows := approval.With(t.Context(), approval.Authority{About: private.New(lists[pack])})
		for _, at := range []string{statusAt, answersAt} {
			if list, judged, err := g.Said(shows, at, pack); err != nil || !judged || list == "" {
				t.Fatalf("%s: %v, %v", at, judged, err)
			}
		}
	}
	takes(b, first)
	second := published(b, 2, map[int]uint8{1: statuslist.Invalid}, map[int]uint8{7: confirmed})
	takes(a, second)
	_, err = a.listFor(statusAt, nil)
	refused(t, "back to what the first has published itself", err)
	third := published(a, 3, map[int]uint8{1: statuslist.Invalid, 2: statuslist.Suspended}, nil)
	takes(b, third)
	takes(b, first) // an older one is nothing new
	_, err = b.listFor(answersAt, map[int]uint8{7: confirmed})
	refused(t, "the answer that the other took back, by an older pack", err)
	refused(t, "a number of the other's", b.pack(3, "", ""))
	published(b, 4, map[int]uint8{1: statuslist.Invalid, 2: statuslist.Suspended}, nil)

	stranger := withPeople(t)
	_, _, err = b.Said(t.Context(), statusAt, published(stranger, 9, nil, nil))
	refused(t, "a pack of other keys", err)
	_, _, err = b.Said(t.Context(), statusAt, second[:len(second)-4]+"AAAA")
	refused(t, "a pack with another signature", err)
	_, _, err = b.Said(t.Context(), "https://other.example/lists/1", "")
	refused(t, "a list at no address", err)
	// Keys without a guard sign what goes back; a guard does not follow.
	unguarded := &guarded{t: t, file: a.file, Keys: keystore.New(a.file)}
	back := published(unguarded, 9, nil, nil)
	_, _, err = b.Said(approval.With(t.Context(), approval.Authority{About: private.New(lists[back])}), statusAt, back)
	refused(t, "a pack in which something is in use again", err)
	honest := published(a, 5, map[int]uint8{1: statuslist.Invalid, 2: statuslist.Suspended}, nil)
	_, _, err = b.Said(t.Context(), statusAt, honest)
	refused(t, "a pack without the trust list that it names", err)
	takes(b, honest)
}

// TestTwoAtOnce: of two packs or lists that are asked for at once, one is held against the
// other: what the first one withdrew the second one does not take back.
func TestTwoAtOnce(t *testing.T) {
	g := withPeople(t)
	at := uint64(1)
	for range 6 {
		at += 10
		place := int(nextPlace())
		before, err := g.listFor(statusAt, withdrawn)
		allowed(t, "a list", err)
		allowed(t, "a pack", g.pack(at, before, ""))
		withdrawn[place] = statuslist.Invalid
		after, err := g.listFor(statusAt, withdrawn)
		allowed(t, "a list", err)
		var first, second error
		var both sync.WaitGroup
		both.Go(func() { first = g.pack(at+1, after, "") })
		both.Go(func() { second = g.pack(at+2, before, "") })
		both.Wait()
		if first == nil && second == nil {
			t.Error("both packs were signed, and the second one takes back what the first one withdrew")
		}
		allowed(t, "what is withdrawn", g.pack(at+3, after, ""))
	}
}

// withdrawn are the places that TestTwoAtOnce has withdrawn.
var withdrawn = map[int]uint8{}
