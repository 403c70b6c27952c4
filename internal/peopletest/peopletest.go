// Package peopletest plays the people of a network for tests: made-up persons with
// software passkeys, who join, agree and are let in as real ones are. What they do
// goes through package people; what is right is for the tests to say.
package peopletest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// Origin is the site of a network at Address.
const (
	Address = "http://localhost:8080"
	Origin  = Address
)

// Passkeys are what a demonstration at Address checks passkeys with.
func Passkeys(t testing.TB) *passkey.RelyingParty {
	t.Helper()
	rp, err := passkey.New(passkey.Config{RPID: "localhost", Origins: []string{Origin}, Name: "Made up", Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// House is a roster and the passkeys of its people.
type House struct {
	*people.Roster
	Passkeys *passkey.RelyingParty
	First    string                             // the first operator
	Keys     map[string]*software.Authenticator // by person
	Origin   string
	Root     func(message []byte) ([]byte, error) // signs with the root key; nil where the House did not found the network

	t testing.TB
}

// Network is what has to follow the roster: network.Network.
type Network interface {
	Adopt(ctx context.Context) error
}

// Found begins a roster, with an operator who has joined. A network that is no
// demonstration has a founding that ends, and changes that wait.
func Found(t testing.TB, all *people.Roster, passkeys *passkey.RelyingParty, network string, demo bool, now time.Time) *House {
	t.Helper()
	root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	jwk, err := jws.MarshalKey(&root.PublicKey)
	ok(t, err)
	return FoundWith(t, all, passkeys, network, demo, now, jwk, func(message []byte) ([]byte, error) {
		return crypto.SignMessage(root, rand.Reader, message, crypto.SHA256)
	})
}

// FoundWith is Found with the root key of a keystore.
func FoundWith(t testing.TB, all *people.Roster, passkeys *passkey.RelyingParty, network string, demo bool, now time.Time, root json.RawMessage, sign func(message []byte) ([]byte, error)) *House {
	t.Helper()
	link, secret := all.NewLink()
	first := people.NewPerson("", "operator-1", people.Operator)
	ok(t, all.Found(t.Context(), network, roster.Found{
		Root: root, Demo: demo, First: first, Link: link, Until: now.Add(roster.FoundingLife).Unix(), Format: roster.Format,
	}, sign))
	h := &House{Roster: all, Passkeys: passkeys, First: first.ID, Keys: map[string]*software.Authenticator{}, Origin: Origin, Root: sign, t: t}
	h.Join(first.ID, secret)
	return h
}

// Joined is a House of a network that was founded already: whoever has the secret of
// its first link joins.
func Joined(t testing.TB, all *people.Roster, passkeys *passkey.RelyingParty, origin, secret string) *House {
	t.Helper()
	p, err := all.Invited(t.Context(), secret)
	ok(t, err)
	h := &House{Roster: all, Passkeys: passkeys, First: p.ID, Keys: map[string]*software.Authenticator{}, Origin: origin, t: t}
	h.Join(p.ID, secret)
	return h
}

// At is the same people before a roster that was opened again.
func (h *House) At(t testing.TB, all *people.Roster, passkeys *passkey.RelyingParty) *House {
	again := *h
	again.Roster, again.Passkeys, again.t = all, passkeys, t
	return &again
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Join has somebody join with the secret of a link.
func (h *House) Join(person, secret string) {
	h.t.Helper()
	key, challenge := h.authenticator(), make([]byte, 32)
	_, _ = rand.Read(challenge)
	options, err := h.Passkeys.CreationOptions(passkey.Registration{Person: person, Label: "made up"}, challenge)
	ok(h.t, err)
	response, err := key.Create(options, h.Origin)
	ok(h.t, err)
	c, err := h.Passkeys.Register(person, challenge, response)
	ok(h.t, err)
	act, err := h.JoinAct(h.t.Context(), secret, c.Kept())
	ok(h.t, err)
	h.Keys[person] = key
	by, err := h.Roster.Join(h.t.Context(), secret, act, h.Proof(act, person))
	ok(h.t, err)
	if by.ID != person {
		h.t.Fatal("somebody else joined")
	}
}

// authenticator is a new one: of a demonstration, or one that says nothing of itself.
func (h *House) authenticator() *software.Authenticator {
	u, err := url.Parse(h.Origin)
	ok(h.t, err)
	if u.Hostname() == "localhost" {
		return software.New()
	}
	return software.Unlabelled(u.Hostname())
}

// Proof has somebody agree to an act.
func (h *House) Proof(a approval.Act, person string) approval.Proof {
	h.t.Helper()
	challenge, err := a.Challenge()
	ok(h.t, err)
	response, err := h.Keys[person].Agree(challenge[:], h.Origin)
	ok(h.t, err)
	read, err := passkey.ReadAssertion(response)
	ok(h.t, err)
	return read.Proof(person)
}

// Actor is somebody as an actor.
func (h *House) Actor(person string) audit.Actor {
	h.t.Helper()
	by, _, err := h.Roster.Person(h.t.Context(), person)
	ok(h.t, err)
	return by
}

// Do has the first of by ask, and all of them agree. Fewer would not be enough.
func (h *House) Do(do, agency string, what any, by ...string) people.Request {
	h.t.Helper()
	q, err := h.Ask(h.t.Context(), h.Actor(by[0]), do, agency, what)
	ok(h.t, err)
	for i, person := range by {
		q, err = h.Agree(h.t.Context(), h.Actor(person), q.Act.ID, h.Proof(q.Act, person))
		ok(h.t, err)
		if last := i == len(by)-1; last != (q.State == people.Done) {
			h.t.Fatalf("%s after %d of %d: %s", do, i+1, len(by), q.State)
		}
	}
	return q
}

// Sealed has the first of by ask for what is done elsewhere and has the digest of an
// order, and all of them agree.
func (h *House) Sealed(do, agency string, what any, sealed []byte, by ...string) people.Request {
	h.t.Helper()
	q, err := h.AskSealed(h.t.Context(), h.Actor(by[0]), do, agency, what, sealed)
	ok(h.t, err)
	for i, person := range by {
		q, err = h.Agree(h.t.Context(), h.Actor(person), q.Act.ID, h.Proof(q.Act, person))
		ok(h.t, err)
		if last := i == len(by)-1; last != (q.State == people.Agreed) {
			h.t.Fatalf("%s after %d of %d: %s", do, i+1, len(by), q.State)
		}
	}
	return q
}

// Person takes somebody in and has them join.
func (h *House) Person(agency string, role people.Role, by ...string) string {
	h.t.Helper()
	link, secret := h.NewLink()
	p := people.NewPerson(agency, "desk-1", role)
	h.Do(roster.DoAddPerson, agency, &roster.AddPerson{Person: p, Link: link}, by...)
	h.Join(p.ID, secret)
	return p.ID
}

// Program lets a program in, and returns it and its token.
func (h *House) Program(agency string, role people.Role, by ...string) (roster.Program, string) {
	h.t.Helper()
	p, token := h.NewProgram(agency, role, "made-up program", 24*time.Hour)
	h.Do(roster.DoAddProgram, agency, &roster.AddProgram{Program: p}, by...)
	return p, token
}

// Agency takes an organisation in, by the first operator where nobody is named, and has
// its keys made. It returns its id.
func (h *House) Agency(n Network, a roster.Agency, by ...string) string {
	h.t.Helper()
	if a.ID == "" {
		a.ID = people.NewPerson("", "", people.Operator).ID
	}
	if a.Kinds == nil {
		a.Kinds = []string{}
	}
	if len(by) == 0 {
		by = []string{h.First}
	}
	h.Do(roster.DoAdmitAgency, "", &roster.AdmitAgency{Agency: a}, by...)
	if n != nil {
		ok(h.t, n.Adopt(h.t.Context()))
	}
	return a.ID
}

// Token lets a program in, by the first operator, and returns its token.
func (h *House) Token(agency string, role people.Role) string {
	h.t.Helper()
	_, token := h.Program(agency, role, h.First)
	return token
}
