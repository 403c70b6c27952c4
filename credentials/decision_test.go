package credentials_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

// asked is what a key was shown, with what shows that it may sign it.
type asked struct {
	by      approval.Authority
	message []byte
	shown   [][]byte
	key     *ecdsa.PublicKey
}

// says is what whoever has the keys asks of an act and an order.
func (a asked) says(act approval.Act, order []byte) error {
	if a.message[0] == 0x84 {
		_, c, ok := card.ReadInput(a.message)
		if !ok {
			return errors.New("not a card")
		}
		about, err := a.about()
		return errors.Join(err, credentials.SaysCard(act, order, c, about))
	}
	_, c, err := sdjwt.ReadInput(a.message, a.shown, sdjwt.TypeVC)
	if err != nil {
		return err
	}
	return credentials.Says(act, order, c)
}

// about is the id of the screening that goes along.
func (a asked) about() (credentials.ID, error) {
	if a.by.About.IsZero() {
		return "", nil
	}
	token, err := sdjwt.Parse(a.by.About.Reveal(), sdjwt.TypeVC)
	if err != nil {
		return "", err
	}
	said, err := token.Verify(a.key, sdjwt.Policy{Now: claimsNow})
	if err != nil {
		return "", err
	}
	return credentials.ID(said.Text("attestation_id")), nil
}

// TestSays: what is signed says what people agreed to, and not what any other order
// says: each part of an order is changed, with the act's digest of it.
func TestSays(t *testing.T) {
	w := newWorld(t)
	var signed asked
	w.agencies.watch = func(ctx context.Context, message []byte, shown [][]byte) {
		signed = asked{approval.Of(ctx), message, shown, &w.key(w.house).PublicKey}
	}
	caseID := w.cases.open(w.house)
	about := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
	check := func(name string, agreed credentials.Approval) {
		t.Helper()
		act, err := approval.Parse(signed.by.Act)
		switch {
		case err != nil:
			t.Fatalf("%s: no act goes along: %v", name, err)
		case act.ID != agreed.Act.ID || len(signed.by.Proofs) != len(agreed.Proofs) || signed.by.Case != caseID:
			t.Errorf("%s: another act, other proofs or another case go along", name)
		}
		if err := signed.says(act, signed.by.Order); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, order := range altered(t, signed.by.Order) {
			if err := signed.says(act, order); !errors.Is(err, credentials.ErrNotAgreed) {
				t.Errorf("%s, another %s than the act has the digest of: %v", name, what, err)
			}
			if notOnCards[what] && strings.Contains(name, "card") || what == "name" && strings.Contains(name, "long name") {
				continue
			}
			if err := signed.says(withOrder(t, act, order), order); err == nil {
				t.Errorf("%s: it says what an order with another %s says", name, what)
			}
		}
		other := act
		other.What = bytes.Replace(act.What, []byte(caseID), []byte(storetest.NewID()), 1)
		if err := signed.says(other, signed.by.Order); err == nil {
			t.Errorf("%s: an act about another case", name)
		}
	}
	for name, o := range map[string]credentials.Order{
		"screening-everything": {Case: caseID}, "screening-least": {Case: caseID, ValidUntil: claimsNow.AddDate(0, 0, 5)},
		"identity-everything": {Case: caseID}, "document-everything": {Case: caseID}, "opinion": {About: about.ID},
		"reliance-officer": {About: about.ID},
	} {
		o.Claims = sample(name)
		agreed, sealed := w.decision(t, w.house, o)
		if _, _, err := w.issuer.Decide(t.Context(), w.house, agreed, sealed); err != nil {
			t.Fatal(err)
		}
		check(name, agreed)
	}
	agreed, sealed := w.decision(t, w.ethiopia, credentials.Order{About: about.ID, Claims: reply("ETH", "matched")})
	if _, _, err := w.issuer.Decide(t.Context(), w.ethiopia, agreed, sealed); err != nil {
		t.Fatal(err)
	}
	check("a reply", agreed)

	long := cardOrder(caseID, "")
	long.Name = private.New("ABCDEFGHIJKLMNOPQRSTUVWXYZ ABCDEFGHIJKLMNOPQRSTUVWXYZ, ABCDEFGHIJKLMNOPQRSTUVWXYZ ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	dated := cardOrder(caseID, about.ID)
	dated.ValidUntil, dated.BirthDate, dated.Sex, dated.Portrait = claimsNow.AddDate(0, 0, 9), private.New("1995"), 2, make([]byte, 32)
	for name, o := range map[string]credentials.CardOrder{"a card of a screening": dated, "a plain card": cardOrder(caseID, ""), "a card with a long name": long} {
		d, sealed, err := w.issuer.ProposeCard(t.Context(), w.house, o)
		if err != nil {
			t.Fatal(err)
		}
		agreed, err := w.agree(w.house, "card.issue", d)
		if err != nil {
			t.Fatal(err)
		}
		c, err := w.issuer.DecideCard(t.Context(), w.house, agreed, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if c.NamesShortened != (name == "a card with a long name") {
			t.Errorf("%s: shortened %v", name, c.NamesShortened)
		}
		check(name, agreed)
		if got := signed.by.About.Reveal(); (got == about.Token) != (o.About != "") {
			t.Errorf("%s: the screening that goes along is another one", name)
		}
		if _, err := w.issuer.DecideCard(t.Context(), w.house, agreed, sealed); !errors.Is(err, credentials.ErrCodeShown) {
			t.Errorf("%s, once more: %v", name, err)
		}
	}
}

// notOnCards are parts of an order that no card says.
var notOnCards = map[string]bool{"replaces": true}

// altered are orders in which one part each is another one. The salt only keeps digests
// apart.
func altered(t *testing.T, order []byte) map[string][]byte {
	t.Helper()
	var parts map[string]any
	if err := json.Unmarshal(order, &parts); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	add := func(what string, in map[string]any, name string) {
		was := in[name]
		defer func() { in[name] = was }()
		in[name] = another(was)
		data, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		all[what] = data
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if of, ok := parts[name].(map[string]any); ok {
			for member := range of {
				add(name+"/"+member, of, member)
			}
			continue
		}
		if name != "salt" {
			add(name, parts, name)
		}
	}
	return all
}

// another is a value of the same sort that says something else.
func another(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return strings.Repeat("ab", 16)
		}
		return v + "X"
	case bool:
		return !v
	case float64:
		return v + 86400*30
	case []any:
		return append(slices.Clone(v), v...)
	case nil:
		return strings.Repeat("AAAA", 10) + "AAA="
	default:
		return nil
	}
}

// withOrder is an act with the digest of an order.
func withOrder(t *testing.T, act approval.Act, order []byte) approval.Act {
	t.Helper()
	var what map[string]any
	if err := json.Unmarshal(act.What, &what); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(order)
	old, err := json.Marshal(what["order"])
	if err != nil {
		t.Fatal(err)
	}
	now, err := json.Marshal(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	act.What = bytes.Replace(act.What, old, now, 1)
	return act
}

// TestNothingComesBackAlone: a pause ends where two have agreed, at the places that they
// saw.
func TestNothingComesBackAlone(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
	c := w.card(t, w.house, cardOrder(caseID, s.ID))
	w.set(t, w.house, s.ID, credentials.Pause)
	_, err := w.issuer.ChangeAttestation(t.Context(), w.house, s.ID, credentials.Resume, credentials.ReasonOther, "")
	wantError(t, "by whoever asks", err, credentials.ErrNotAgreed)
	_, err = w.issuer.ChangeCard(t.Context(), w.house, c.ID, credentials.Resume, credentials.ReasonOther, "")
	wantError(t, "a card by whoever asks", err, credentials.ErrNotAgreed)

	r, sealed, err := w.issuer.ProposeReturn(t.Context(), w.house, s.ID, false, credentials.ReasonMistake)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Places) != 2 || r.Case != caseID || r.Of != string(s.ID) {
		t.Errorf("%d places, want those of the screening and its card", len(r.Places))
	}
	act := func(alter func(*credentials.Return)) credentials.Approval {
		t.Helper()
		other := r
		other.Places = slices.Clone(r.Places)
		alter(&other)
		agreed, err := w.agree(w.house, "status.resume", other)
		if err != nil {
			t.Fatal(err)
		}
		return agreed
	}
	agreed := act(func(*credentials.Return) {})
	one := agreed
	one.Proofs = agreed.Proofs[:1]
	for what, a := range map[string]credentials.Approval{
		"one alone":     one,
		"at one place":  act(func(r *credentials.Return) { r.Places = r.Places[:1] }),
		"another thing": act(func(r *credentials.Return) { r.Of = string(c.ID) }),
		"another order": act(func(r *credentials.Return) { r.Order = make([]byte, 32) }),
	} {
		_, err := w.issuer.DecideReturn(t.Context(), w.house, a, sealed)
		wantError(t, what, err, credentials.ErrNotAgreed)
	}
	w.stands(t, "until then", s.ID, credentials.Paused)
	for range 2 { // an answer may be lost
		if _, err := w.issuer.DecideReturn(t.Context(), w.house, agreed, sealed); err != nil {
			t.Fatal(err)
		}
	}
	w.stands(t, "the screening", s.ID, credentials.Active)
	w.stands(t, "the card", c.ID, credentials.Active)
	if _, err := w.issuer.ChangeAttestation(t.Context(), w.house, s.ID, credentials.Pause, credentials.ReasonOther, "another pause"); err != nil {
		t.Fatal(err)
	}
	_, err = w.issuer.DecideReturn(t.Context(), w.house, agreed, sealed)
	wantError(t, "another pause, by an act that was done", err, credentials.ErrConflict)
}

// TestRepliesAreAgreedTo: nobody answers in a state's name alone.
func TestRepliesAreAgreedTo(t *testing.T) {
	w := newWorld(t)
	caseID := w.cases.open(w.house)
	s := w.issue(t, w.house, credentials.Order{Case: caseID, Claims: sample("screening-least")})
	o := credentials.Order{About: s.ID, Claims: reply("ETH", "matched")}
	_, err := w.issuer.Issue(t.Context(), w.ethiopia, o)
	wantError(t, "by whoever asks", err, credentials.ErrNotAgreed)
	if w.key(w.ethiopia).count() != 0 {
		t.Error("it is signed")
	}
	agreed, sealed := w.decision(t, w.ethiopia, o)
	if data, err := w.issuer.Proposed(t.Context(), w.ethiopia, agreed.Act, sealed); err != nil || !bytes.Contains(data, []byte(`"kind":"reply"`)) {
		t.Errorf("the embassy reads what it asks: %v", err)
	}
	for _, by := range []string{w.kenya.Agency, w.house.Agency} {
		other := w.ethiopia
		other.Agency = by
		_, err := w.issuer.Proposed(t.Context(), other, agreed.Act, sealed)
		wantError(t, "another agency reads it", err, credentials.ErrNotFound)
	}
	made, stated, err := w.issuer.Decide(t.Context(), w.ethiopia, agreed, sealed)
	if err != nil || made.About != s.ID || stated.Kind() != claims.KindReply || !made.Matched {
		t.Errorf("signed: %v", err)
	}
}
