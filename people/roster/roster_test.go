package roster_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/people/roster"
)

// house plays a network with made-up people. Its passkeys sign by hashing their own
// id with the challenge: what a real one does is tried in internal/passkey, and here
// it has only to be somebody's and over this act.
type house struct {
	t       testing.TB
	s       roster.State
	now     int64
	changes []roster.Change
	n       int
}

type hashes struct{}

func (hashes) Proof(c roster.Credential, challenge [32]byte, p approval.Proof) error {
	if sum := sha256.Sum256(append(slices.Clone(c.PublicKey), challenge[:]...)); string(sum[:]) != string(p.Signature) {
		return errors.New("another signature")
	}
	return nil
}

func (hashes) Root(root json.RawMessage, challenge [32]byte, signature []byte) error {
	if sum := sha256.Sum256(append(slices.Clone(root), challenge[:]...)); string(sum[:]) != string(signature) {
		return errors.New("another signature")
	}
	return nil
}

var (
	networkID = strings.Repeat("ab", 16)
	rootKey   = json.RawMessage(`{"kty":"EC"}`)
)

const began = 1_780_000_000

func (h *house) id() string { h.n++; return fmt.Sprintf("%032x", h.n) }

func (h *house) act(do, agency string, what any) approval.Act {
	h.t.Helper()
	a, err := approval.New(networkID, do, agency, "", what, time.Unix(h.now, 0), time.Hour)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func credential(person string) roster.Credential {
	key := sha256.Sum256([]byte("key of " + person))
	return roster.Credential{ID: []byte("passkey " + person), PublicKey: key[:], AAGUID: make([]byte, 16)}
}

func proof(a approval.Act, person string) approval.Proof {
	c := credential(person)
	challenge, _ := a.Challenge()
	sum := sha256.Sum256(append(slices.Clone(c.PublicKey), challenge[:]...))
	return approval.Proof{Person: person, Credential: c.ID, ClientData: []byte("{}"), AuthenticatorData: []byte{1}, Signature: sum[:]}
}

func (h *house) change(a approval.Act, people ...string) roster.Change {
	h.t.Helper()
	data, err := a.Bytes()
	if err != nil {
		h.t.Fatal(err)
	}
	c := roster.Change{Seq: h.s.Seq + 1, Prev: slices.Clone(h.s.Head[:]), At: h.now, Act: data}
	for _, p := range people {
		c.Proofs = append(c.Proofs, proof(a, p))
	}
	return c
}

func (h *house) try(c roster.Change) error {
	data, err := c.Bytes()
	if err != nil {
		h.t.Fatal(err)
	}
	parsed, err := roster.Parse(data)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.s.Apply(parsed, hashes{}); err != nil {
		return err
	}
	h.changes = append(h.changes, parsed)
	return nil
}

func (h *house) do(do, agency string, what any, people ...string) error {
	h.t.Helper()
	return h.try(h.change(h.act(do, agency, what), people...))
}

func (h *house) must(do, agency string, what any, people ...string) {
	h.t.Helper()
	if err := h.do(do, agency, what, people...); err != nil {
		h.t.Fatalf("%s: %v", do, err)
	}
}

func (h *house) pass(d time.Duration) { h.now += int64(d / time.Second) }

func (h *house) view() roster.State { return h.s.View(h.now) }

func link(secret string, until int64) roster.Link {
	sum := sha256.Sum256([]byte(secret))
	return roster.Link{Hash: sum[:], Until: until}
}

// found begins a network, and returns its first operator, who has joined.
func found(t testing.TB, demo bool) (*house, string) {
	t.Helper()
	h := &house{t: t, now: began}
	first := h.id()
	a := h.act(roster.DoFound, "", &roster.Found{
		Root: rootKey, Demo: demo, First: roster.Person{ID: first, Roles: []roster.Role{roster.Operator}, Handle: "operator-1"},
		Link: link("first", began+3600), Until: began + 24*3600, Format: roster.Format,
	})
	c := h.change(a)
	challenge, _ := a.Challenge()
	sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
	c.Root = sum[:]
	if err := h.try(c); err != nil {
		t.Fatal(err)
	}
	h.join(first, "first")
	return h, first
}

func (h *house) join(person, secret string) {
	h.t.Helper()
	c := h.change(h.act(roster.DoJoin, "", &roster.Join{Person: person, Credential: credential(person)}))
	c.Secret = secret
	a, _ := approval.Parse(c.Act)
	c.Proofs = []approval.Proof{proof(a, person)}
	if err := h.try(c); err != nil {
		h.t.Fatal(err)
	}
}

// person takes somebody in and lets them join.
func (h *house) person(agency string, role roster.Role, by ...string) string {
	h.t.Helper()
	id := h.id()
	h.must(roster.DoAddPerson, agency, &roster.AddPerson{
		Person: roster.Person{ID: id, Agency: agency, Roles: []roster.Role{role}, Handle: "desk-1"}, Link: link(id, h.now+7*24*3600),
	}, by...)
	if _, ok := h.view().People[id]; !ok {
		h.pass(roster.Delay)
	}
	h.join(id, id)
	return id
}

func (h *house) agency(class string, by ...string) string {
	h.t.Helper()
	id := h.id()
	h.must(roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: roster.Agency{
		ID: id, Name: "Made-up House " + id[30:], Class: class, Country: "KHM", Desk: "+855 00", Kinds: []string{"screening"}, Level: "reasonable_grounds",
	}}, by...)
	return id
}

// settled is a network whose founding is over: two operators, two NGOs with two
// supervisors each.
type settled struct {
	*house
	op1, op2, a, b, a1, a2, b1, b2 string
}

func grown(t *testing.T) *settled {
	t.Helper()
	h, op1 := found(t, false)
	s := &settled{house: h, op1: op1}
	s.op2 = h.person("", roster.Operator, op1)
	s.a, s.b = h.agency("NGO", op1), h.agency("NGO", op1)
	s.a1, s.a2 = h.person(s.a, roster.Supervisor, op1), h.person(s.a, roster.Supervisor, op1)
	s.b1, s.b2 = h.person(s.b, roster.Supervisor, op1), h.person(s.b, roster.Supervisor, op1)
	h.must(roster.DoCloseFounding, "", &roster.CloseFounding{}, op1, s.a1)
	if h.s.Founding(h.now) {
		t.Fatal("founding is open")
	}
	h.pass(time.Hour)
	return s
}

// TestWhoHasToAgree goes through every change and those who might make it, once
// founding is over.
func TestWhoHasToAgree(t *testing.T) {
	type row struct {
		do   string
		what func(s *settled) any
		by   func(s *settled) []string
		want error
		late bool // it counts a day later
	}
	agency := func(s *settled) any {
		return &roster.AdmitAgency{Agency: roster.Agency{ID: s.id(), Name: "Mill", Class: "NGO", Country: "KHM", Desk: "+855", Kinds: []string{}}}
	}
	person := func(agency func(*settled) string, role roster.Role) func(*settled) any {
		return func(s *settled) any {
			return &roster.AddPerson{Person: roster.Person{ID: s.id(), Agency: agency(s), Roles: []roster.Role{role}, Handle: "x"}, Link: link("x", s.now+7*24*3600)}
		}
	}
	inA := func(s *settled) string { return s.a }
	nowhere := func(*settled) string { return "" }
	by := func(f ...func(*settled) string) func(*settled) []string {
		return func(s *settled) (out []string) {
			for _, one := range f {
				out = append(out, one(s))
			}
			return out
		}
	}
	op1, op2 := func(s *settled) string { return s.op1 }, func(s *settled) string { return s.op2 }
	a1, a2 := func(s *settled) string { return s.a1 }, func(s *settled) string { return s.a2 }
	b1, b2 := func(s *settled) string { return s.b1 }, func(s *settled) string { return s.b2 }
	suspend := func(s *settled) any { return &roster.SuspendAgency{ID: s.a} }
	quota := func(s *settled) any {
		return &roster.RaiseQuota{Quota: roster.Quota{Agency: s.a, Event: "Yard", Cards: 300, Until: s.now + 3600}}
	}
	removeA2 := func(s *settled) any { return &roster.RemovePerson{ID: s.a2} }
	roles := func(s *settled) any {
		return &roster.ChangePerson{ID: s.a2, Roles: []roster.Role{roster.Caseworker}, Handle: "x"}
	}
	partner := func(s *settled) any { return &roster.Partner{ID: s.a, Partner: s.b} }
	program := func(s *settled) any {
		return &roster.AddProgram{Program: roster.Program{ID: s.id(), Agency: s.a, Role: roster.Caseworker, Label: "x", Token: make([]byte, 32), Expires: s.now + 90000}}
	}
	device := func(s *settled) any {
		return &roster.AdmitDevice{Device: roster.Device{ID: s.id(), Agency: s.a, Label: "gate", Recipient: []byte{1}, Token: make([]byte, 32), InvitedBy: s.a1}, Symbols: "ABCDEF"}
	}
	no := roster.ErrNotAgreed
	for i, r := range []row{
		{roster.DoAdmitAgency, agency, by(op1), no, false},
		{roster.DoAdmitAgency, agency, by(op1, op2), no, false},
		{roster.DoAdmitAgency, agency, by(a1, b1), no, false},
		{roster.DoAdmitAgency, agency, by(op1, op1), roster.ErrProof, false},
		{roster.DoAdmitAgency, agency, by(op1, a1), nil, true},
		{roster.DoAdmitAgency, agency, by(), no, false},
		{roster.DoSuspendAgency, suspend, by(op1, op2), no, false},
		{roster.DoSuspendAgency, suspend, by(op1, a1), no, false},
		{roster.DoSuspendAgency, suspend, by(op1, b1), nil, false},
		{roster.DoAddPerson, person(inA, roster.Supervisor), by(op1), no, false},
		{roster.DoAddPerson, person(inA, roster.Supervisor), by(op1, op2), no, false},
		{roster.DoAddPerson, person(inA, roster.Supervisor), by(op1, a1), no, false},
		{roster.DoAddPerson, person(inA, roster.Supervisor), by(a1), no, false},
		{roster.DoAddPerson, person(inA, roster.Supervisor), by(a1, b1), no, false},
		{roster.DoAddPerson, person(inA, roster.Supervisor), by(a1, a2), nil, true},
		{roster.DoAddPerson, person(inA, roster.Mission), by(a1, a2), invalid.ErrInput, false},
		{roster.DoAddPerson, person(inA, roster.Operator), by(a1, a2), invalid.ErrInput, false},
		{roster.DoAddPerson, person(nowhere, roster.Operator), by(op1), no, false},
		{roster.DoAddPerson, person(nowhere, roster.Operator), by(op1, op2), nil, true},
		{roster.DoAddPerson, person(nowhere, roster.Operator), by(op1, a1), no, false},
		{roster.DoChangePerson, roles, by(a1, a2), no, false},
		{roster.DoChangePerson, roles, by(a1, op1), no, false},
		{roster.DoRemovePerson, removeA2, by(a1), nil, false},
		{roster.DoRemovePerson, removeA2, by(op1), nil, false},
		{roster.DoRemovePerson, removeA2, by(b1), no, false},
		{roster.DoRemovePerson, removeA2, by(a2), no, false},
		{roster.DoPartner, partner, by(a1, a2), no, false},
		{roster.DoPartner, partner, by(a1, b1), nil, true},
		{roster.DoRaiseQuota, quota, by(a1, b1), no, false},
		{roster.DoRaiseQuota, quota, by(b1, b2), no, false},
		{roster.DoRaiseQuota, quota, by(op1, b1), no, false},
		{roster.DoAddProgram, program, by(a1), no, false},
		{roster.DoAddProgram, program, by(a1, a2), nil, true},
		{roster.DoAdmitDevice, device, by(a1), no, false},
		{roster.DoAdmitDevice, device, by(a1, op1), no, false},
		{roster.DoAdmitDevice, device, by(a1, a2), nil, true},
		{roster.DoSignOut, func(s *settled) any { return &roster.SignOut{ID: s.b1} }, by(b1), nil, false},
		{roster.DoSignOut, func(s *settled) any { return &roster.SignOut{ID: s.b1} }, by(a1), no, false},
		{roster.DoCloseFounding, func(*settled) any { return &roster.CloseFounding{} }, by(op1, a1), roster.ErrState, false},
		{roster.DoFound, func(*settled) any { return &roster.CloseFounding{} }, by(op1, a1), roster.ErrPlace, false},
	} {
		t.Run(fmt.Sprintf("%d %s", i, r.do), func(t *testing.T) {
			s := grown(t)
			if all := r.by(s); r.want == nil && len(all) == 2 {
				act, err := approval.New(s.s.Network, r.do, "", all[0], r.what(s), time.Unix(s.now, 0), time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				if !s.s.Counts(act, nil, all[0]) || !s.s.Counts(act, all[:1], all[1]) || s.s.Counts(act, all[:1], all[0]) {
					t.Error("another counts than those who are enough")
				}
			}
			err := s.do(r.do, "", r.what(s), r.by(s)...)
			if !errors.Is(err, r.want) {
				t.Fatalf("%v, want %v", err, r.want)
			}
			if r.want != nil && len(s.s.Waiting) != 0 {
				t.Error("something waits")
			}
			if got := len(s.s.Waiting) == 1; r.want == nil && got != r.late {
				t.Errorf("waits: %v, want %v", got, r.late)
			}
		})
	}
}

// TestTheRootAloneTakesAway: whoever has folder and passphrase can end and suspend,
// and add nothing.
func TestTheRootAloneTakesAway(t *testing.T) {
	for _, c := range []struct {
		do   string
		what func(s *settled) any
		want error
	}{
		{roster.DoRemovePerson, func(s *settled) any { return &roster.RemovePerson{ID: s.a1} }, nil},
		{roster.DoSuspendAgency, func(s *settled) any { return &roster.SuspendAgency{ID: s.a} }, nil},
		{roster.DoSignOut, func(s *settled) any { return &roster.SignOut{ID: s.a1} }, nil},
		{roster.DoAddPerson, func(s *settled) any {
			return &roster.AddPerson{Person: roster.Person{ID: s.id(), Roles: []roster.Role{roster.Operator}, Handle: "x"}, Link: link("x", s.now+9999999)}
		}, roster.ErrProof},
		{roster.DoRecoverPerson, func(s *settled) any { return &roster.RecoverPerson{ID: s.a1, Link: link("x", s.now+9999999)} }, roster.ErrProof},
		{roster.DoAdmitAgency, func(s *settled) any {
			return &roster.AdmitAgency{Agency: roster.Agency{ID: s.id(), Name: "Mill", Class: "NGO", Country: "KHM", Desk: "+855", Kinds: []string{}}}
		}, roster.ErrProof},
		{roster.DoCloseFounding, func(*settled) any { return &roster.CloseFounding{} }, roster.ErrProof},
	} {
		t.Run(c.do, func(t *testing.T) {
			s := grown(t)
			a := s.act(c.do, "", c.what(s))
			change := s.change(a)
			challenge, _ := a.Challenge()
			sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
			change.Root = sum[:]
			wrong := change
			wrong.Root = slices.Clone(change.Root)
			wrong.Root[0] ^= 1
			if err := s.try(wrong); !errors.Is(err, roster.ErrProof) {
				t.Errorf("another signature: %v", err)
			}
			if err := s.try(change); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestFounding(t *testing.T) {
	h, op := found(t, false)
	a := h.agency("NGO", op)
	if _, ok := h.view().Agencies[a]; !ok {
		t.Error("an agency of the founding does not count at once")
	}
	worker := h.person(a, roster.Caseworker, op)
	if err := h.do(roster.DoAddPerson, a, &roster.AddPerson{Person: roster.Person{ID: h.id(), Agency: a, Roles: []roster.Role{"caseworker"}, Handle: "x"}, Link: link("y", h.now+100)}, worker); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("a caseworker alone: %v", err)
	}
	if err := h.do(roster.DoCloseFounding, "", &roster.CloseFounding{}, op); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("closed by one: %v", err)
	}
	h.pass(24 * time.Hour) // it ends by itself
	if err := h.do(roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: roster.Agency{ID: h.id(), Name: "Mill", Class: "NGO", Country: "KHM", Desk: "+855", Kinds: []string{}}}, op); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("after it ended: %v", err)
	}
}

// TestReopenFounding: the root and the one person who is left open the founding again;
// neither alone, and nobody while two can agree. Where no operator is left, whoever
// answers for an agency is enough.
func TestReopenFounding(t *testing.T) {
	s := grown(t)
	reopen := func(root bool, by ...string) error {
		c := s.change(s.act(roster.DoReopenFounding, "", &roster.ReopenFounding{Until: s.now + 2*24*3600}), by...)
		if root {
			a, _ := approval.Parse(c.Act)
			challenge, _ := a.Challenge()
			sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
			c.Root = sum[:]
		}
		return s.try(c)
	}
	if err := reopen(true, s.b1); !errors.Is(err, roster.ErrState) {
		t.Errorf("while two can agree: %v", err)
	}
	for _, gone := range []string{s.a1, s.a2, s.op2, s.b2} {
		s.must(roster.DoRemovePerson, "", &roster.RemovePerson{ID: gone}, s.op1)
	}
	s.must(roster.DoRemovePerson, "", &roster.RemovePerson{ID: s.b1}, s.op1)
	if err := reopen(false, s.op1); !errors.Is(err, roster.ErrProof) {
		t.Errorf("without the root: %v", err)
	}
	if err := reopen(true); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("by the root alone: %v", err)
	}
	if err := reopen(true, s.op1); err != nil {
		t.Fatal(err)
	}
	if v := s.view(); v.Reopened != s.now || v.FoundingUntil != s.now+24*3600 {
		t.Errorf("reopened at %d until %d, want now for a day", v.Reopened, v.FoundingUntil)
	}
	if err := reopen(true, s.op1); !errors.Is(err, roster.ErrState) {
		t.Errorf("while it is open: %v", err)
	}
	b3 := s.person(s.b, roster.Supervisor, s.op1)
	if err := s.do(roster.DoAddPerson, s.b, &roster.AddPerson{Person: roster.Person{ID: s.id(), Agency: s.b, Roles: []roster.Role{roster.Supervisor}, Handle: "x"}, Link: link("y", s.now+100)}, b3); !errors.Is(err, roster.ErrNotAgreed) {
		t.Errorf("somebody of an agency alone, while an operator is there: %v", err)
	}

	// The operator is sent away by the root, and nobody of the network is left.
	c := s.change(s.act(roster.DoRemovePerson, "", &roster.RemovePerson{ID: s.op1}))
	a, _ := approval.Parse(c.Act)
	challenge, _ := a.Challenge()
	sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
	c.Root = sum[:]
	if err := s.try(c); err != nil {
		t.Fatal(err)
	}
	if op := s.person("", roster.Operator, b3); !s.view().People[op].Is(roster.Operator) {
		t.Error("the one who is left takes no operator in")
	}
}

// TestWhoMakesOperators: where fewer than two operators are left, no agency alone makes
// one or has one's passkeys replaced.
func TestWhoMakesOperators(t *testing.T) {
	add := func(s *settled, by ...string) error {
		id := s.id()
		return s.do(roster.DoAddPerson, "", &roster.AddPerson{Person: roster.Person{ID: id, Roles: []roster.Role{roster.Operator}, Handle: "x"}, Link: link(id, s.now+100)}, by...)
	}
	recover := func(s *settled, who string, by ...string) error {
		return s.do(roster.DoRecoverPerson, "", &roster.RecoverPerson{ID: who, Link: link(s.id(), s.now+100)}, by...)
	}
	change := func(s *settled, who string, by ...string) error {
		return s.do(roster.DoChangePerson, "", &roster.ChangePerson{ID: who, Roles: []roster.Role{roster.Auditor, roster.Operator}, Handle: "x"}, by...)
	}
	program := func(s *settled, by ...string) error {
		id := s.id()
		token := sha256.Sum256([]byte(id))
		return s.do(roster.DoAddProgram, "", &roster.AddProgram{Program: roster.Program{ID: id, Role: roster.Operator, Label: "x", Token: token[:], Expires: s.now + 90000}}, by...)
	}
	remove := func(s *settled, who string) {
		t.Helper()
		c := s.change(s.act(roster.DoRemovePerson, "", &roster.RemovePerson{ID: who}))
		a, _ := approval.Parse(c.Act)
		challenge, _ := a.Challenge()
		sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
		c.Root = sum[:]
		if err := s.try(c); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, roster.ErrNotAgreed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	agreed := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	s := grown(t) // two operators, of whom one has lost the passkey
	refused("two of agencies recover one of two", recover(s, s.op2, s.a1, s.b1))
	refused("she herself and an agency", recover(s, s.op2, s.op2, s.a1))
	agreed("the other operator and an agency", recover(s, s.op2, s.op1, s.a1))

	s = grown(t)
	s.must(roster.DoRemovePerson, "", &roster.RemovePerson{ID: s.op2}, s.op1) // by one: it only takes away
	refused("one operator alone", add(s, s.op1))
	for name, do := range map[string]func(*settled, ...string) error{"add": add, "program": program} {
		refused(name+" by a pair of one agency", do(s, s.a1, s.a2))
		refused(name+" by two agencies, while an operator is there", do(s, s.a1, s.b1))
		agreed(name+" by the operator and an agency", do(s, s.op1, s.a1))
	}
	for name, do := range map[string]func(*settled, string, ...string) error{"recover": recover, "change": change} {
		refused(name+" by a pair of one agency", do(s, s.op1, s.a1, s.a2))
		refused(name+" by herself and an agency", do(s, s.op1, s.op1, s.a1))
		agreed(name+" by two agencies", do(s, s.op1, s.a1, s.b1))
	}

	s = grown(t)
	remove(s, s.op1)
	remove(s, s.op2)
	refused("nobody runs it, and a pair of one agency", add(s, s.a1, s.a2))
	agreed("nobody runs it, and two agencies", add(s, s.a1, s.b1))

	// In one agency there is no other way than the root and one.
	s = grown(t)
	remove(s, s.op1)
	s.must(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: s.b}, s.op2, s.a1)
	reopen := func() error {
		c := s.change(s.act(roster.DoReopenFounding, "", &roster.ReopenFounding{Until: s.now + 3600}), s.a1)
		a, _ := approval.Parse(c.Act)
		challenge, _ := a.Challenge()
		sum := sha256.Sum256(append(slices.Clone(rootKey), challenge[:]...))
		c.Root = sum[:]
		return s.try(c)
	}
	if err := reopen(); !errors.Is(err, roster.ErrState) {
		t.Errorf("founding opens while an operator is there: %v", err)
	}
	remove(s, s.op2)
	refused("a pair of the only agency", add(s, s.a1, s.a2))
	agreed("the root and one", reopen())
	agreed("who then takes an operator in", add(s, s.a1))
}

// TestCeremonies: who has to agree that a key is replaced, and that it is done once.
func TestCeremonies(t *testing.T) {
	s := grown(t)
	key := func(use, agency, before string) *roster.NewKey {
		return &roster.NewKey{Use: use, Agency: agency, Before: before}
	}
	first, no := "0123456789abcdef", roster.ErrNotAgreed
	for name, c := range map[string]struct {
		what *roster.NewKey
		by   []string
		want error
	}{
		"one operator":               {key("pack", "", first), []string{s.op1}, no},
		"one operator, the log's":    {key("log", "", first), []string{s.op1}, no},
		"one operator, for trust":    {key("trust", "", first), []string{s.op1}, no},
		"two operators":              {key("pack", "", first), []string{s.op1, s.op2}, no},
		"two of agencies":            {key("pack", "", first), []string{s.a1, s.b1}, no},
		"one of an agency":           {key("agency", s.a, first), []string{s.a1}, no},
		"one of each agency":         {key("agency", s.a, first), []string{s.a1, s.b1}, no},
		"an agency's of no agency":   {key("agency", "", first), []string{s.op1, s.op2}, roster.ErrState},
		"the network's of an agency": {key("pack", s.a, first), []string{s.op1, s.a1}, roster.ErrState},
	} {
		if err := s.do(roster.DoNewKey, "", c.what, c.by...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for name, what := range map[string]*roster.NewKey{"the root": key("root", "", first), "no key": key("pack", "", "?")} {
		if err := s.do(roster.DoNewKey, "", what, s.op1, s.a1); err == nil {
			t.Errorf("%s is replaced", name)
		}
	}
	s.must(roster.DoNewKey, "", key("trust", "", first), s.op1, s.a1)
	s.must(roster.DoNewKey, "", key("pack", "", first), s.op1, s.a1)
	s.must(roster.DoNewKey, "", key("log", "", first), s.op1, s.b1)
	s.must(roster.DoNewKey, "", key("agency", s.a, first), s.a1, s.a2)
	v := s.view()
	if !v.Replaces("trust", "", first) || !v.Replaces("pack", "", first) || !v.Replaces("log", "", first) || !v.Replaces("agency", s.a, first) || v.Replaces("status", "", first) || v.Replaces("agency", s.b, first) {
		t.Error("what was agreed to is something else")
	}
	if err := s.do(roster.DoNewKey, "", key("pack", "", first), s.op1, s.b1); !errors.Is(err, roster.ErrState) {
		t.Errorf("a second time: %v", err)
	}
}

func TestDemoNeverWaits(t *testing.T) {
	h, op := found(t, true)
	a := h.agency("NGO", op)
	s1, s2 := h.person(a, roster.Supervisor, op), h.person(a, roster.Supervisor, op)
	h.must(roster.DoCloseFounding, "", &roster.CloseFounding{}, op, s1)
	w := h.person(a, roster.Caseworker, s1, s2)
	if h.now != began || !slices.Equal(h.view().People[w].Roles, []roster.Role{roster.Caseworker}) {
		t.Error("somebody new waits on a demo network")
	}
}

// TestWhatWaits: it counts after a day, not before; it is stopped, and it is void
// when one of those who agreed was sent away meanwhile.
func TestWhatWaits(t *testing.T) {
	begin := func(t *testing.T) (*settled, string) {
		s := grown(t)
		id := s.id()
		s.must(roster.DoAddPerson, s.a, &roster.AddPerson{Person: roster.Person{ID: id, Agency: s.a, Roles: []roster.Role{roster.Caseworker}, Handle: "x"}, Link: link("x", s.now+7*24*3600)}, s.a1, s.a2)
		return s, id
	}
	there := func(s *settled, id string) bool { _, ok := s.view().People[id]; return ok }
	t.Run("a day", func(t *testing.T) {
		s, id := begin(t)
		s.pass(roster.Delay - time.Second)
		if there(s, id) {
			t.Error("counts too early")
		}
		s.pass(time.Second)
		if !there(s, id) {
			t.Error("does not count")
		}
	})
	t.Run("stopped", func(t *testing.T) {
		s, id := begin(t)
		stop := &roster.Stop{Seq: s.s.Waiting[0].Seq}
		if err := s.do(roster.DoStop, "", stop, s.b1); !errors.Is(err, roster.ErrNotAgreed) {
			t.Errorf("by a stranger: %v", err)
		}
		s.must(roster.DoStop, "", stop, s.a2)
		s.pass(2 * roster.Delay)
		if there(s, id) {
			t.Error("counts all the same")
		}
	})
	t.Run("an approver was removed", func(t *testing.T) {
		s, id := begin(t)
		s.must(roster.DoRemovePerson, s.a, &roster.RemovePerson{ID: s.a2}, s.op1)
		s.pass(2 * roster.Delay)
		if there(s, id) {
			t.Error("counts all the same")
		}
	})
	t.Run("the agency was suspended", func(t *testing.T) {
		s, id := begin(t)
		s.must(roster.DoSuspendAgency, "", &roster.SuspendAgency{ID: s.a}, s.op1, s.b1)
		s.pass(2 * roster.Delay)
		if there(s, id) {
			t.Error("counts all the same")
		}
	})
}

func TestLossAndRecovery(t *testing.T) {
	s := grown(t)
	// Two of the agency are too few where one of them lost the passkey: an operator
	// does not stand in while two are there, so that the agency needs a third.
	third := s.person(s.a, roster.Admin, s.a1, s.a2)
	s.must(roster.DoRecoverPerson, s.a, &roster.RecoverPerson{ID: s.a2, Link: link("again", s.now+7*24*3600)}, s.a1, third)
	s.pass(roster.Delay)
	if got := s.view().People[s.a2]; len(got.Credentials) != 0 || got.SessionsFrom != s.now {
		t.Errorf("the lost passkeys: %d, sessions from %d, want none and %d", len(got.Credentials), got.SessionsFrom, s.now)
	}
	// What was lost proves nothing more.
	if err := s.do(roster.DoSignOut, s.a, &roster.SignOut{ID: s.a2}, s.a2); !errors.Is(err, roster.ErrProof) {
		t.Errorf("by a lost passkey: %v", err)
	}
	c := s.change(s.act(roster.DoJoin, "", &roster.Join{Person: s.a2, Credential: credential("another")}))
	act, _ := approval.Parse(c.Act)
	p := proof(act, "another")
	p.Person = s.a2
	c.Proofs = []approval.Proof{p}
	for _, secret := range []string{"", "guess"} {
		c.Secret = secret
		if err := s.try(c); !errors.Is(err, roster.ErrProof) {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
	c.Secret = "again"
	if err := s.try(c); err != nil {
		t.Fatal(err)
	}
	again := s.change(s.act(roster.DoJoin, "", &roster.Join{Person: s.a2, Credential: credential("third")}))
	again.Secret = "again"
	if err := s.try(again); !errors.Is(err, roster.ErrProof) {
		t.Errorf("a link used twice: %v", err)
	}
}

// TestOneWhoAnswers: where one person alone answers for an agency, two operators do not
// act for it without her, in nothing that concerns it. Where it has nobody who could agree
// they do: it was just admitted, all are gone, or she is the one whom it is about.
func TestOneWhoAnswers(t *testing.T) {
	alone := func() *settled {
		s := grown(t)
		s.must(roster.DoRemovePerson, s.a, &roster.RemovePerson{ID: s.a2}, s.op1)
		return s
	}
	worker := func(s *settled) string { // somebody of the agency who does not answer for it
		return s.person(s.a, roster.Caseworker, s.a1, s.op1)
	}
	whats := map[string]func(s *settled) (do string, what any){
		"an administrator": func(s *settled) (string, any) {
			id := s.id()
			return roster.DoAddPerson, &roster.AddPerson{Person: roster.Person{ID: id, Agency: s.a, Roles: []roster.Role{roster.Admin}, Handle: "x"}, Link: link(id, s.now+7*24*3600)}
		},
		"other roles": func(s *settled) (string, any) {
			return roster.DoChangePerson, &roster.ChangePerson{ID: worker(s), Roles: []roster.Role{roster.Supervisor}, Handle: "x"}
		},
		"other passkeys": func(s *settled) (string, any) {
			return roster.DoRecoverPerson, &roster.RecoverPerson{ID: worker(s), Link: link("again", s.now+7*24*3600)}
		},
		"a program": func(s *settled) (string, any) {
			return roster.DoAddProgram, &roster.AddProgram{Program: roster.Program{ID: s.id(), Agency: s.a, Role: roster.Caseworker, Label: "x", Token: make([]byte, 32), Expires: s.now + 90000}}
		},
		"a device": func(s *settled) (string, any) {
			return roster.DoAdmitDevice, &roster.AdmitDevice{Device: roster.Device{ID: s.id(), Agency: s.a, Label: "gate", Recipient: []byte{1}, Token: make([]byte, 32), InvitedBy: s.a1}, Symbols: "ABCDEF"}
		},
		"a key": func(s *settled) (string, any) {
			return roster.DoNewKey, &roster.NewKey{Use: roster.UseAgency, Agency: s.a, Before: "0123456789abcdef"}
		},
	}
	for name, make := range whats {
		t.Run(name, func(t *testing.T) {
			s := alone()
			do, what := make(s)
			act := s.act(do, s.a, what)
			if view := s.view(); !view.Counts(act, nil, s.op1) || view.Counts(act, []string{s.op1}, s.op2) || !view.Counts(act, []string{s.op1}, s.a1) || !view.Counts(act, []string{s.op1, s.op2}, s.a1) {
				t.Error("another counts than those who are enough")
			}
			for who, by := range map[string][]string{"two operators": {s.op1, s.op2}, "she alone": {s.a1}, "she and another agency": {s.a1, s.b1}, "an operator and another agency": {s.op1, s.b1}} {
				if err := s.do(do, s.a, what, by...); !errors.Is(err, roster.ErrNotAgreed) {
					t.Errorf("%s: %v", who, err)
				}
			}
			if err := s.do(do, s.a, what, s.op2, s.a1); err != nil {
				t.Errorf("she and an operator: %v", err)
			}
		})
		t.Run(name+", where nobody answers", func(t *testing.T) {
			s := alone()
			do, what := make(s)
			s.must(roster.DoRemovePerson, s.a, &roster.RemovePerson{ID: s.a1}, s.op1)
			for who, by := range map[string][]string{"an operator": {s.op1}, "she who is gone": {s.op1, s.a1}, "an operator and another agency": {s.op1, s.b1}} {
				if err := s.do(do, s.a, what, by...); err == nil {
					t.Errorf("%s is enough", who)
				}
			}
			if err := s.do(do, s.a, what, s.op1, s.op2); err != nil {
				t.Errorf("two operators: %v", err)
			}
		})
	}
	t.Run("it was just admitted", func(t *testing.T) {
		s := grown(t)
		c := s.agency("NGO", s.op1, s.b1)
		s.pass(roster.Delay)
		c1 := s.person(c, roster.Supervisor, s.op1, s.op2)
		if err := s.do(roster.DoAddPerson, c, &roster.AddPerson{Person: roster.Person{ID: s.id(), Agency: c, Roles: []roster.Role{roster.Admin}, Handle: "x"}, Link: link("y", s.now+7*24*3600)}, s.op1, s.op2); !errors.Is(err, roster.ErrNotAgreed) {
			t.Errorf("two operators, once she has joined: %v", err)
		}
		s.person(c, roster.Admin, s.op1, c1)
	})
	t.Run("she joins before it counts", func(t *testing.T) {
		s := grown(t)
		c := s.agency("NGO", s.op1, s.b1)
		s.pass(roster.Delay)
		first := s.id()
		s.must(roster.DoAddPerson, c, &roster.AddPerson{Person: roster.Person{ID: first, Agency: c, Roles: []roster.Role{roster.Supervisor}, Handle: "x"}, Link: link(first, s.now+7*24*3600)}, s.op1, s.op2)
		s.pass(time.Hour)
		later := s.id()
		s.must(roster.DoAddPerson, c, &roster.AddPerson{Person: roster.Person{ID: later, Agency: c, Roles: []roster.Role{roster.Admin}, Handle: "y"}, Link: link(later, s.now+7*24*3600)}, s.op1, s.op2)
		s.pass(roster.Delay - time.Hour)
		s.join(first, first)
		s.pass(time.Hour)
		if _, ok := s.view().People[later]; ok {
			t.Error("two operators let somebody in whom she knows nothing of")
		}
	})
	t.Run("she lost her passkeys", func(t *testing.T) {
		s := alone()
		again := &roster.RecoverPerson{ID: s.a1, Link: link("again", s.now+7*24*3600)}
		for who, by := range map[string][]string{"one operator": {s.op1}, "she herself": {s.a1, s.op1}, "another agency": {s.op1, s.b1}} {
			if err := s.do(roster.DoRecoverPerson, s.a, again, by...); !errors.Is(err, roster.ErrNotAgreed) {
				t.Errorf("%s: %v", who, err)
			}
		}
		s.must(roster.DoRecoverPerson, s.a, again, s.op1, s.op2)
		s.pass(roster.Delay)
		s.join(s.a1, "again")
		if !slices.Equal(s.view().People[s.a1].Roles, []roster.Role{roster.Supervisor}) {
			t.Error("she is another")
		}
	})
}

// TestReplay: the sequence alone gives the same state, and no other sequence does.
func TestReplay(t *testing.T) {
	s := grown(t)
	s.must(roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: roster.Agency{ID: s.id(), Name: "Mill", Class: "NGO", Country: "KHM", Desk: "+855", Kinds: []string{}}}, s.op1, s.a1)
	replay := func(changes []roster.Change) (again roster.State, err error) {
		for _, c := range changes {
			if err = again.Apply(c, hashes{}); err != nil {
				return again, err
			}
		}
		return again, nil
	}
	again, err := replay(s.changes)
	if err != nil || again.Head != s.s.Head || len(again.People) != len(s.s.People) || len(again.Waiting) != 1 {
		t.Fatalf("%v, or another state", err)
	}
	for i := range s.changes {
		without := slices.Delete(slices.Clone(s.changes), i, i+1)
		if _, err := replay(without); err == nil && i < len(s.changes)-1 {
			t.Errorf("without change %d", i+1)
		}
		twice := slices.Insert(slices.Clone(s.changes), i, s.changes[i])
		if _, err := replay(twice); err == nil {
			t.Errorf("change %d twice", i+1)
		}
		data, err := s.changes[i].Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(data); at += 7 {
			altered := slices.Clone(data)
			altered[at] ^= 1
			c, err := roster.Parse(altered)
			if err != nil {
				continue
			}
			if _, err := replay(slices.Replace(slices.Clone(s.changes), i, i+1, c)); err == nil && i < len(s.changes)-1 {
				t.Errorf("change %d, byte %d altered", i+1, at)
			}
		}
	}
	// An act that was done is not done again, with whatever proofs.
	c := s.change(s.act(roster.DoSignOut, s.a, &roster.SignOut{ID: s.a1}), s.a1)
	if err := s.try(c); err != nil {
		t.Fatal(err)
	}
	c.Seq, c.Prev = s.s.Seq+1, slices.Clone(s.s.Head[:])
	if err := s.try(c); !errors.Is(err, roster.ErrPlace) {
		t.Errorf("an act done twice: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	h, op := found(f, true)
	_ = h.agency("NGO", op)
	for _, c := range h.changes {
		data, err := c.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(binary.BigEndian.AppendUint64(nil, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := roster.Parse(data)
		if err != nil {
			return
		}
		again, err := c.Bytes()
		if err != nil || string(again) != string(data) {
			t.Error("another form is taken")
		}
		s := h.s
		if s.Apply(c, hashes{}) == nil && len(c.Proofs) == 0 && len(c.Root) == 0 {
			t.Error("nobody has agreed")
		}
	})
}

// TestWhoSigns: who has to agree to what an agency signs, and who is not enough.
func TestWhoSigns(t *testing.T) {
	s := grown(t)
	worker, other := s.person(s.a, roster.Caseworker, s.a1, s.a2), s.person(s.a, roster.Caseworker, s.a1, s.a2)
	embassy := s.agency("x_DiplomaticMission", s.op1, s.a1)
	gate := s.agency("ImmigrationService", s.op1, s.a1)
	s.pass(roster.Delay)
	mission, second := s.person(embassy, roster.Mission, s.op1, s.op2), s.person(embassy, roster.Mission, s.op1, s.op2)
	admin := s.person(embassy, roster.Admin, s.op1, s.op2)
	officer := s.person(gate, roster.Officer, s.op1, s.op2)
	id, digest := s.id(), make([]byte, 32)
	issue := func(kind, level string) any { return &roster.Issue{Case: id, Kind: kind, Level: level, Order: digest} }
	card := func(again bool) any { return &roster.Card{Case: id, Again: again, Order: digest} }
	resume := &roster.Resume{Case: id, Of: id, Kind: "card", Places: []roster.Place{{Index: 1}}, Order: digest}
	view := s.view()
	no := roster.ErrNotAgreed
	for i, r := range []struct {
		do, agency string
		what       any
		by         []string
		want       error
	}{
		{roster.DoIssue, s.a, issue("screening", ""), []string{worker}, nil},
		{roster.DoIssue, s.a, issue("screening", ""), []string{s.b1}, no},
		{roster.DoIssue, s.a, issue("screening", ""), nil, no},
		{roster.DoIssue, s.a, issue("screening", "reasonable_grounds"), []string{worker}, no},
		{roster.DoIssue, s.a, issue("screening", "reasonable_grounds"), []string{worker, other}, no},
		{roster.DoIssue, s.a, issue("screening", "reasonable_grounds"), []string{worker, s.a1}, nil},
		{roster.DoIssue, s.a, issue("screening", "preliminary_screening"), []string{worker, s.a1}, invalid.ErrInput},
		{roster.DoIssue, s.a, issue("identity", "reasonable_grounds"), []string{worker, s.a1}, invalid.ErrInput},
		{roster.DoIssue, s.a, issue("verdict", ""), []string{s.a1}, invalid.ErrInput},
		{roster.DoIssue, gate, issue("opinion", ""), []string{officer}, nil},
		{roster.DoIssue, gate, issue("screening", ""), []string{officer}, no},
		{roster.DoIssue, embassy, issue("opinion", ""), []string{mission}, nil},
		{roster.DoIssue, embassy, issue("reply", ""), []string{mission}, nil},
		{roster.DoIssue, embassy, issue("reply", ""), []string{admin}, no},
		{roster.DoIssue, embassy, issue("reply", ""), []string{worker}, no},
		{roster.DoIssue, s.a, issue("reply", ""), []string{s.a1}, no},
		{roster.DoCard, s.a, card(false), []string{worker}, nil},
		{roster.DoCard, s.a, card(false), []string{s.b1}, no},
		{roster.DoCard, s.a, card(true), []string{worker}, no},
		{roster.DoCard, s.a, card(true), []string{s.a2}, nil},
		{roster.DoCard, embassy, card(false), []string{mission}, no},
		{roster.DoResume, s.a, resume, []string{s.a1}, no},
		{roster.DoResume, s.a, resume, []string{worker, other}, no},
		{roster.DoResume, s.a, resume, []string{worker, s.a1}, nil},
		{roster.DoResume, s.a, resume, []string{worker, s.b1}, no},
		{roster.DoResume, embassy, resume, []string{mission}, no},
		{roster.DoResume, embassy, resume, []string{mission, second}, nil},
		{roster.DoResume, embassy, resume, []string{mission, admin}, nil},
		{roster.DoResume, s.a, &roster.Resume{Case: id, Of: id, Kind: "card", Order: digest}, []string{worker, s.a1}, invalid.ErrInput},
		{roster.DoIssue, id, issue("screening", ""), []string{worker}, roster.ErrState},
	} {
		act := s.act(r.do, r.agency, r.what)
		if err := view.Agreed(act, r.by); !errors.Is(err, r.want) || r.want == nil && err != nil {
			t.Errorf("%d %s: %v, want %v", i, r.do, err, r.want)
		}
		if err := s.try(s.change(act, r.by...)); err == nil {
			t.Errorf("%d %s: it is a change of the roster", i, r.do)
		}
	}
}
