package software_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
)

const (
	page   = "http://localhost:8080"
	person = "00112233445566778899aabbccddeeff"
)

// TestKept: an authenticator goes into a file and comes back as the same.
func TestKept(t *testing.T) {
	cfg, err := passkey.At(page, "Demonstration", true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := passkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	challenge := make([]byte, 32)
	options, err := p.CreationOptions(passkey.Registration{Person: person, Label: "Officer"}, challenge)
	if err != nil {
		t.Fatal(err)
	}
	a := software.New()
	asked, err := p.RequestOptions(challenge, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Get(asked, page); !errors.Is(err, software.ErrCredential) {
		t.Errorf("an assertion without a credential: %v", err)
	}
	response, err := a.Create(options, page)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Register(person, challenge, response)
	if err != nil || !c.Software {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := a.Create(options, page); !errors.Is(err, software.ErrCredential) {
		t.Errorf("a second credential: %v", err)
	}

	file, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back software.Authenticator
	if err := json.Unmarshal(file, &back); err != nil {
		t.Fatal(err)
	}
	for _, allow := range [][]passkey.Credential{nil, {c}} {
		if asked, err = p.RequestOptions(challenge, allow); err != nil {
			t.Fatal(err)
		}
		if response, err = back.Get(asked, page); err != nil {
			t.Fatal(err)
		}
		in, err := passkey.ReadAssertion(response)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.SignIn(c, person, challenge, in); err != nil {
			t.Error(err)
		}
	}
	other, err := p.RequestOptions(challenge, []passkey.Credential{{ID: []byte("another")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := back.Get(other, page); !errors.Is(err, software.ErrCredential) {
		t.Errorf("a credential that it has not: %v", err)
	}
	back.Unverified = true
	response, err = back.Agree(challenge, page)
	if err != nil {
		t.Fatal(err)
	}
	in, err := passkey.ReadAssertion(response)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(c, [32]byte{}, in.Proof(person)); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("somebody whom it does not know: %v", err)
	}
	for _, broken := range []software.Authenticator{{}, {RPID: "localhost", AAGUID: make([]byte, 16), Credential: []byte{1}, Key: []byte("x"), Person: person}} {
		if _, err := broken.Agree(challenge, page); !errors.Is(err, software.ErrCredential) {
			t.Errorf("a file that is broken: %v", err)
		}
	}
}

// TestOtherSite: it answers its own site alone, so that nobody registers the keys
// of a demonstration elsewhere by mistake.
func TestOtherSite(t *testing.T) {
	cfg, err := passkey.At("https://net.example", "Made-up network", false)
	if err != nil {
		t.Fatal(err)
	}
	p, err := passkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	create, err := p.CreationOptions(passkey.Registration{Person: person, Label: "Officer"}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	request, err := p.RequestOptions(make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := software.New()
	if _, err := a.Create(create, "https://net.example"); !errors.Is(err, software.ErrSite) {
		t.Errorf("registering: %v", err)
	}
	if _, err := a.Get(request, "https://net.example"); !errors.Is(err, software.ErrSite) {
		t.Errorf("signing in: %v", err)
	}
}
