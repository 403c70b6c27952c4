package passkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
)

const (
	site   = "net.example"
	origin = "https://net.example"
	person = "00112233445566778899aabbccddeeff"
)

var b64 = base64.RawURLEncoding

func party(t testing.TB, baseURL string, demo bool) *passkey.RelyingParty {
	t.Helper()
	cfg, err := passkey.At(baseURL, "Made-up network", demo)
	if err != nil {
		t.Fatal(err)
	}
	p, err := passkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func challenge(t testing.TB) []byte {
	t.Helper()
	c := make([]byte, 32)
	_, _ = rand.Read(c)
	return c
}

// registered is a person with a credential.
func registered(t testing.TB, p *passkey.RelyingParty, a *software.Authenticator, origin string) passkey.Credential {
	t.Helper()
	ch := challenge(t)
	c, err := p.Register(person, ch, created(t, p, a, ch, origin))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func created(t testing.TB, p *passkey.RelyingParty, a *software.Authenticator, ch []byte, origin string) []byte {
	t.Helper()
	options, err := p.CreationOptions(passkey.Registration{Person: person, Label: "Caseworker, Shelter North"}, ch)
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.Create(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// refused reports an error that is not the refusal for this reason.
func refused(t *testing.T, what string, err error, why passkey.Reason) {
	t.Helper()
	r, ok := errors.AsType[*passkey.Refused](err)
	if !ok || r.Reason != why || !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("%s: %v, want it refused: %s", what, err, why)
	}
}

// TestStory registers a passkey, signs in with it without a name, and agrees.
func TestStory(t *testing.T) {
	p, a := party(t, origin, false), software.Unlabelled(site)
	c := registered(t, p, a, origin)
	if c.Software || len(c.ID) != 32 || !slices.Equal(c.Transports, []string{"internal"}) {
		t.Errorf("registered %+v", c)
	}

	ch := challenge(t)
	options, err := p.RequestOptions(ch, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.Get(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	in, err := passkey.ReadAssertion(response)
	if err != nil {
		t.Fatal(err)
	}
	if in.Person != person || !slices.Equal(in.Credential, c.ID) || !slices.Equal(in.Challenge, ch) {
		t.Errorf("read %+v", in)
	}
	if _, err := p.SignIn(c, person, ch, in); err != nil {
		t.Error(err)
	}
	_, err = p.SignIn(c, strings.Repeat("f", 32), ch, in)
	refused(t, "another person's credential", err, passkey.WrongPerson)
	in.Person = ""
	_, err = p.SignIn(c, person, ch, in)
	refused(t, "nobody's credential", err, passkey.WrongPerson)
	if _, err := p.Again(c, person, ch, in); err != nil {
		t.Errorf("somebody who is known need not be named: %v", err)
	}

	act := sha256.Sum256([]byte("an act"))
	agreed, err := a.Agree(act[:], origin)
	if err != nil {
		t.Fatal(err)
	}
	in, err = passkey.ReadAssertion(agreed)
	if err != nil {
		t.Fatal(err)
	}
	proof := in.Proof(person)
	if err := p.Verify(c, act, proof); err != nil {
		t.Error(err)
	}
	refused(t, "another act", p.Verify(c, sha256.Sum256([]byte("another act")), proof), passkey.WrongChallenge)
	other := registered(t, p, software.Unlabelled(site), origin)
	refused(t, "another credential", p.Verify(other, act, proof), passkey.WrongCredential)
	other.ID = c.ID
	refused(t, "another key", p.Verify(other, act, proof), passkey.WrongSignature)
	refused(t, "no credential", p.Verify(passkey.Credential{}, act, proof), passkey.WrongCredential)
	refused(t, "no proof", p.Verify(c, act, approval.Proof{}), passkey.Malformed)
}

// TestOptions: what a browser is asked for never varies in what matters.
func TestOptions(t *testing.T) {
	p := party(t, "https://net.example:8443/", false)
	has := passkey.Credential{ID: []byte("one that she has"), Transports: []string{"usb"}}
	raw, err := p.CreationOptions(passkey.Registration{Person: person, Label: "Caseworker", Exclude: []passkey.Credential{has}}, challenge(t))
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		RP          struct{ ID, Name string }
		User        struct{ ID, Name, DisplayName string }
		Attestation string
		Exclude     []struct {
			ID         string
			Transports []string
		} `json:"excludeCredentials"`
		Selection struct{ ResidentKey, UserVerification string } `json:"authenticatorSelection"`
		Params    []struct{ Alg int }                            `json:"pubKeyCredParams"`
	}
	if err := json.Unmarshal(raw, &made); err != nil {
		t.Fatal(err)
	}
	handle, _ := b64.DecodeString(made.User.ID)
	if made.RP.ID != site || hex.EncodeToString(handle) != person || made.User.Name != "Caseworker" || made.User.DisplayName != "Caseworker" ||
		made.Attestation != "none" || made.Selection.ResidentKey != "required" || made.Selection.UserVerification != "required" ||
		len(made.Exclude) != 1 || made.Exclude[0].ID != b64.EncodeToString(has.ID) || len(made.Params) != 3 {
		t.Errorf("asked for %s", raw)
	}

	raw, err = p.RequestOptions(challenge(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	var asked struct {
		RPID, UserVerification string
		Allow                  []struct{ ID string } `json:"allowCredentials"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil {
		t.Fatal(err)
	}
	if asked.RPID != site || asked.UserVerification != "required" || len(asked.Allow) != 0 {
		t.Errorf("asked for %s", raw)
	}
	if raw, err = p.RequestOptions(challenge(t), []passkey.Credential{has}); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &asked); err != nil || len(asked.Allow) != 1 || asked.Allow[0].ID != b64.EncodeToString(has.ID) {
		t.Errorf("asked for %s", raw)
	}
}

// TestMisuse: mistakes of a program are errors of their own, at once.
func TestMisuse(t *testing.T) {
	p, good := party(t, origin, false), passkey.Registration{Person: person, Label: "Caseworker"}
	for what, try := range map[string]func() error{
		"a short challenge": func() error { _, err := p.CreationOptions(good, make([]byte, 31)); return err },
		"no challenge":      func() error { _, err := p.RequestOptions(nil, nil); return err },
		"a long challenge":  func() error { _, err := p.RequestOptions(make([]byte, 65), nil); return err },
		"a name for a person": func() error {
			_, err := p.CreationOptions(passkey.Registration{Person: "Sok Dara", Label: "x"}, challenge(t))
			return err
		},
		"capitals in an id": func() error {
			_, err := p.Register(strings.ToUpper(person), challenge(t), nil)
			return err
		},
		"no label": func() error {
			_, err := p.CreationOptions(passkey.Registration{Person: person}, challenge(t))
			return err
		},
		"no origin":                       func() error { _, err := passkey.New(passkey.Config{RPID: site, Name: "x"}); return err },
		"no name":                         func() error { _, err := passkey.At(origin, "", false); return err },
		"plain http":                      func() error { _, err := passkey.At("http://net.example", "x", false); return err },
		"a bare address":                  func() error { _, err := passkey.At("https://192.0.2.1", "x", false); return err },
		"localhost, and no demonstration": func() error { _, err := passkey.At("https://localhost", "x", false); return err },
		"a demonstration for everybody":   func() error { _, err := passkey.At("https://demo.example", "x", true); return err },
		"another host's origin": func() error {
			_, err := passkey.New(passkey.Config{RPID: site, Name: "x", Origins: []string{"https://sub.net.example"}})
			return err
		},
		"an origin with a path": func() error {
			_, err := passkey.New(passkey.Config{RPID: site, Name: "x", Origins: []string{origin + "/"}})
			return err
		},
	} {
		if err := try(); !errors.Is(err, passkey.ErrConfig) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for address, want := range map[string]string{
		"https://Net.Example/":     "https://net.example",
		"https://net.example:443":  "https://net.example",
		"https://net.example:8443": "https://net.example:8443",
	} {
		if c, err := passkey.At(address, "x", false); err != nil || c.Origins[0] != want || c.RPID != site {
			t.Errorf("%s is %+v: %v", address, c, err)
		}
	}
	for _, address := range []string{"http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"} {
		if c, err := passkey.At(address, "x", true); err != nil || c.Origins[0] != "http://localhost:8080" || c.RPID != "localhost" {
			t.Errorf("%s is %+v: %v", address, c, err)
		}
	}
}

// An alteration changes what a client sends, after which all of it that is signed
// is signed again, unless the alteration is of that.
type alteration struct {
	what   string
	client func(c map[string]any)        // the client data, before it is encoded
	data   func(d []byte) []byte         // the authenticator data
	object func(o map[string]any)        // the attestation object, for registering
	outer  func(r, inner map[string]any) // the response, at last
	want   passkey.Reason
}

// setting is an alteration of one member.
func setting(member string, value any) func(map[string]any) {
	return func(c map[string]any) {
		if value == nil {
			delete(c, member)
		} else {
			c[member] = value
		}
	}
}

func flags(clear, set byte) func([]byte) []byte {
	return func(d []byte) []byte {
		d[32] = d[32]&^clear | set
		return d
	}
}

// clientAlterations are the same for both ceremonies.
func clientAlterations(otherCeremony string) []alteration {
	return []alteration{
		{what: "another ceremony", client: setting("type", otherCeremony), want: passkey.WrongCeremony},
		{what: "no ceremony", client: setting("type", nil), want: passkey.WrongCeremony},
		{what: "another challenge", client: setting("challenge", b64.EncodeToString(make([]byte, 32))), want: passkey.WrongChallenge},
		{what: "no challenge", client: setting("challenge", nil), want: passkey.Malformed},
		{what: "another site", client: setting("origin", "https://evil.example"), want: passkey.WrongOrigin},
		{what: "a site below", client: setting("origin", "https://sub.net.example"), want: passkey.WrongOrigin},
		{what: "another port", client: setting("origin", "https://net.example:8443"), want: passkey.WrongOrigin},
		{what: "the usual port", client: setting("origin", "https://net.example:443"), want: passkey.WrongOrigin},
		{what: "capitals", client: setting("origin", "https://NET.example"), want: passkey.WrongOrigin},
		{what: "a path", client: setting("origin", "https://net.example/"), want: passkey.WrongOrigin},
		{what: "plain http", client: setting("origin", "http://net.example"), want: passkey.WrongOrigin},
		{what: "a telephone's app", client: setting("origin", "android:apk-key-hash:x"), want: passkey.WrongOrigin},
		{what: "no origin", client: setting("origin", nil), want: passkey.WrongOrigin},
		{what: "a frame", client: setting("crossOrigin", true), want: passkey.CrossOrigin},
		{what: "a frame's page", client: setting("topOrigin", origin), want: passkey.CrossOrigin},
		{what: "a number for an origin", client: setting("origin", 1), want: passkey.Malformed},
		{what: "a member in capitals", client: setting("Origin", origin), want: passkey.Malformed},
		{what: "much client data", client: setting("more", strings.Repeat("x", 5000)), want: passkey.Malformed},

		{what: "another site's authenticator", data: func(d []byte) []byte { d[0] ^= 1; return d }, want: passkey.WrongSite},
		{what: "nobody there", data: flags(1, 0), want: passkey.NotPresent},
		{what: "nobody known", data: flags(4, 0), want: passkey.NotVerified},
		{what: "copied and not to be copied", data: flags(0, 16), want: passkey.WrongBackup},
		{what: "bytes behind", data: func(d []byte) []byte { return append(d, 0) }, want: passkey.Malformed},
		{what: "bytes missing", data: func(d []byte) []byte { return d[:36] }, want: passkey.Malformed},
		{what: "extensions that are not there", data: flags(0, 128), want: passkey.Malformed},

		{what: "another type", outer: func(r, _ map[string]any) { r["type"] = "password" }, want: passkey.Malformed},
		{what: "no type", outer: func(r, _ map[string]any) { delete(r, "type") }, want: passkey.Malformed},
		{what: "no id", outer: func(r, _ map[string]any) { r["id"], r["rawId"] = "", "" }, want: passkey.Malformed},
		{what: "two ids", outer: func(r, _ map[string]any) { r["rawId"] = "AAAA" }, want: passkey.Malformed},
		{what: "another id", outer: func(r, _ map[string]any) { r["id"], r["rawId"] = "AAAA", "AAAA" }, want: passkey.WrongCredential},
		{what: "an id in two spellings", outer: func(r, _ map[string]any) { r["id"], r["rawId"] = "AAB", "AAB" }, want: passkey.Malformed},
		{what: "an id with a line end", outer: func(r, _ map[string]any) { r["id"], r["rawId"] = "AA\nAA", "AA\nAA" }, want: passkey.Malformed},
		{what: "a long id", outer: func(r, _ map[string]any) {
			r["id"] = b64.EncodeToString(make([]byte, 1024))
			r["rawId"] = r["id"]
		}, want: passkey.Malformed},
		{what: "no client data", outer: func(_, in map[string]any) { delete(in, "clientDataJSON") }, want: passkey.Malformed},
		{what: "client data that are none", outer: func(_, in map[string]any) { in["clientDataJSON"] = "AAAA" }, want: passkey.Malformed},
		{what: "no response", outer: func(r, _ map[string]any) { delete(r, "response") }, want: passkey.Malformed},
	}
}

func TestAlteredAssertions(t *testing.T) {
	p, a := party(t, origin, false), software.Unlabelled(site)
	c := registered(t, p, a, origin)
	act := sha256.Sum256([]byte("an act"))
	all := append(clientAlterations("webauthn.create"),
		alteration{what: "nothing"},
		alteration{what: "a member that browsers may add", client: setting("new_keys_may_be_added_here", "x")},
		alteration{what: "an attested key", data: func(d []byte) []byte {
			d[32] |= 64
			key, _ := cbor.Marshal(map[int]any{1: 2})
			return append(d, append(make([]byte, 18), key...)...)
		}, want: passkey.Malformed},
		alteration{what: "may be copied now", data: flags(0, 8), want: passkey.WrongBackup},
		alteration{what: "another signature", outer: func(_, in map[string]any) { in["signature"] = "AAAA" }, want: passkey.WrongSignature},
		alteration{what: "no signature", outer: func(_, in map[string]any) { delete(in, "signature") }, want: passkey.Malformed},
		alteration{what: "a signature with bytes behind", outer: func(_, in map[string]any) {
			raw, _ := b64.DecodeString(in["signature"].(string))
			in["signature"] = b64.EncodeToString(append(raw, 0))
		}, want: passkey.WrongSignature},
		alteration{what: "signed before the flags were changed", outer: func(_, in map[string]any) {
			raw, _ := b64.DecodeString(in["authenticatorData"].(string))
			raw[36]++
			in["authenticatorData"] = b64.EncodeToString(raw)
		}, want: passkey.WrongSignature},
		alteration{what: "no authenticator data", outer: func(_, in map[string]any) { delete(in, "authenticatorData") }, want: passkey.Malformed},
		alteration{what: "a person of another size", outer: func(_, in map[string]any) { in["userHandle"] = "AAAA" }, want: passkey.WrongPerson},
		alteration{what: "a large response", outer: func(r, _ map[string]any) { r["more"] = strings.Repeat("x", 17000) }, want: passkey.Malformed},
	)
	for _, alt := range all {
		response := assertion(t, a, act[:], alt)
		in, err := passkey.ReadAssertion(response)
		if err == nil {
			err = p.Verify(c, act, in.Proof(person))
		}
		if alt.want != "" {
			refused(t, alt.what, err, alt.want)
		} else if err != nil {
			t.Errorf("%s: %v", alt.what, err)
		}
	}
}

// assertion is what an authenticator answers with an alteration.
func assertion(t testing.TB, a *software.Authenticator, ch []byte, alt alteration) []byte {
	t.Helper()
	plain, err := a.Agree(ch, origin)
	if err != nil {
		t.Fatal(err)
	}
	r, inner := opened(t, plain)
	client := clientOf(t, inner, alt)
	data, _ := b64.DecodeString(inner["authenticatorData"].(string))
	if alt.data != nil {
		data = alt.data(data)
	}
	inner["clientDataJSON"], inner["authenticatorData"] = b64.EncodeToString(client), b64.EncodeToString(data)
	inner["signature"] = b64.EncodeToString(signed(t, a, data, client))
	return closed(t, r, inner, alt)
}

func TestAlteredRegistrations(t *testing.T) {
	p := party(t, origin, false)
	key := func(edit func(k map[int]any)) func([]byte) []byte {
		return func(d []byte) []byte {
			at := 55 + int(d[53])<<8 + int(d[54])
			var k map[int]any
			if err := cbor.Unmarshal(d[at:], &k); err != nil {
				t.Fatal(err)
			}
			edit(k)
			raw, err := cbor.Marshal(k)
			if err != nil {
				t.Fatal(err)
			}
			return append(slices.Clone(d[:at]), raw...)
		}
	}
	all := append(clientAlterations("webauthn.get"),
		alteration{what: "nothing"},
		alteration{what: "no extensions at all", outer: func(r, _ map[string]any) { delete(r, "clientExtensionResults") }},
		alteration{what: "found without a name", outer: func(r, _ map[string]any) {
			r["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}}
		}},
		alteration{what: "not found without a name", outer: func(r, _ map[string]any) {
			r["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": false}}
		}, want: passkey.NotDiscoverable},
		alteration{what: "no key", data: flags(64, 0), want: passkey.Malformed},
		alteration{what: "of a demonstration", data: func(d []byte) []byte {
			copy(d[37:], passkey.SoftwareAAGUID[:])
			return d
		}, want: passkey.SoftwareKey},
		alteration{what: "another algorithm", data: key(func(k map[int]any) { k[3] = -35 }), want: passkey.WrongAlgorithm},
		alteration{what: "an algorithm that is none", data: key(func(k map[int]any) { k[3] = 0 }), want: passkey.WrongAlgorithm},
		alteration{what: "a point off the curve", data: key(func(k map[int]any) { k[-2] = make([]byte, 32) }), want: passkey.WrongAlgorithm},
		alteration{what: "a short coordinate", data: key(func(k map[int]any) { k[-2] = make([]byte, 31) }), want: passkey.WrongAlgorithm},
		alteration{what: "a weak RSA key", data: key(func(k map[int]any) {
			clear(k)
			n := make([]byte, 128)
			n[0], n[127] = 0xff, 1
			k[1], k[3], k[-1], k[-2] = 3, -257, n, []byte{1, 0, 1}
		}), want: passkey.WrongAlgorithm},
		alteration{what: "an RSA key with exponent 3", data: key(func(k map[int]any) {
			clear(k)
			n := make([]byte, 256)
			n[0], n[255] = 0xff, 1
			k[1], k[3], k[-1], k[-2] = 3, -257, n, []byte{3}
		}), want: passkey.WrongAlgorithm},
		alteration{what: "a statement where none is", object: func(o map[string]any) { o["attStmt"] = map[string]any{"sig": []byte{1}} }, want: passkey.WrongStatement},
		alteration{what: "a chip's statement", object: func(o map[string]any) { o["fmt"] = "tpm" }, want: passkey.WrongStatement},
		alteration{what: "a statement of nothing", object: func(o map[string]any) { o["fmt"] = "" }, want: passkey.WrongStatement},
		alteration{what: "a maker's statement", object: func(o map[string]any) {
			o["fmt"], o["attStmt"] = "packed", map[string]any{"alg": -7, "sig": []byte{1}, "x5c": []any{[]byte{1}}}
		}, want: passkey.WrongStatement},
		alteration{what: "a statement of itself with another's signature", object: func(o map[string]any) {
			o["fmt"], o["attStmt"] = "packed", map[string]any{"alg": -7, "sig": []byte{1}}
		}, want: passkey.WrongStatement},
		alteration{what: "a large statement", object: func(o map[string]any) { o["attStmt"] = map[string]any{"x": make([]byte, 5000)} }, want: passkey.Malformed},
		alteration{what: "no statement", outer: func(_, in map[string]any) { delete(in, "attestationObject") }, want: passkey.Malformed},
		alteration{what: "a statement that is none", outer: func(_, in map[string]any) { in["attestationObject"] = "AAAA" }, want: passkey.Malformed},
		alteration{what: "ways of its own", outer: func(_, in map[string]any) { in["transports"] = []string{"usb", "telepathy", "ble", "usb"} }},
	)
	for _, alt := range all {
		ch := challenge(t)
		response := registration(t, p, software.Unlabelled(site), ch, alt)
		c, err := p.Register(person, ch, response)
		switch {
		case alt.want != "":
			refused(t, alt.what, err, alt.want)
		case err != nil:
			t.Errorf("%s: %v", alt.what, err)
		case alt.what == "ways of its own" && !slices.Equal(c.Transports, []string{"ble", "usb"}):
			t.Errorf("%s: %v", alt.what, c.Transports)
		}
	}
}

func registration(t testing.TB, p *passkey.RelyingParty, a *software.Authenticator, ch []byte, alt alteration) []byte {
	t.Helper()
	r, inner := opened(t, created(t, p, a, ch, origin))
	client := clientOf(t, inner, alt)
	raw, _ := b64.DecodeString(inner["attestationObject"].(string))
	var object map[string]any
	if err := cbor.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	if alt.data != nil {
		object["authData"] = alt.data(object["authData"].([]byte))
	}
	if alt.object != nil {
		alt.object(object)
	}
	encoder, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = encoder.Marshal(object); err != nil {
		t.Fatal(err)
	}
	inner["clientDataJSON"], inner["attestationObject"] = b64.EncodeToString(client), b64.EncodeToString(raw)
	return closed(t, r, inner, alt)
}

// TestOwnStatement: the one statement that a browser may leave, a credential's of
// itself, is verified, and its key is what is kept.
func TestOwnStatement(t *testing.T) {
	p, a, ch := party(t, origin, false), software.Unlabelled(site), challenge(t)
	r, inner := opened(t, created(t, p, a, ch, origin))
	client, _ := b64.DecodeString(inner["clientDataJSON"].(string))
	raw, _ := b64.DecodeString(inner["attestationObject"].(string))
	var object map[string]any
	if err := cbor.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	object["fmt"] = "packed"
	object["attStmt"] = map[string]any{"alg": -7, "sig": signed(t, a, object["authData"].([]byte), client)}
	raw, err := cbor.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	inner["attestationObject"] = b64.EncodeToString(raw)
	if _, err := p.Register(person, ch, closed(t, r, inner, alteration{})); err != nil {
		t.Error(err)
	}
}

func opened(t testing.TB, response []byte) (r, inner map[string]any) {
	t.Helper()
	if err := json.Unmarshal(response, &r); err != nil {
		t.Fatal(err)
	}
	inner, _ = r["response"].(map[string]any)
	return r, inner
}

func closed(t testing.TB, r, inner map[string]any, alt alteration) []byte {
	t.Helper()
	if alt.outer != nil {
		alt.outer(r, inner)
	}
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func clientOf(t testing.TB, inner map[string]any, alt alteration) []byte {
	t.Helper()
	raw, _ := b64.DecodeString(inner["clientDataJSON"].(string))
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	c["crossOrigin"] = false // as browsers write it
	if alt.client != nil {
		alt.client(c)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// signed is what an authenticator makes (WebAuthn §6.3.3).
func signed(t testing.TB, a *software.Authenticator, data, client []byte) []byte {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := key.(*ecdsa.PrivateKey).Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// TestTwice: JSON that two readers could understand differently is refused before
// anybody reads it.
func TestTwice(t *testing.T) {
	p, a := party(t, origin, false), software.Unlabelled(site)
	c := registered(t, p, a, origin)
	act := sha256.Sum256([]byte("an act"))
	for _, text := range []string{
		`{"type":"webauthn.get","type":"webauthn.get","challenge":"` + b64.EncodeToString(act[:]) + `","origin":"` + origin + `"}`,
		`{"type":"webauthn.get","challenge":"` + b64.EncodeToString(act[:]) + `","origin":"https://evil.example","origin":"` + origin + `"}`,
		`{"type":"webauthn.get","challenge":"` + b64.EncodeToString(act[:]) + `","origin":"` + origin + `"} ` + "x",
		"\ufeff" + `{"type":"webauthn.get","challenge":"` + b64.EncodeToString(act[:]) + `","origin":"` + origin + `"}`,
	} {
		data := assertion(t, a, act[:], alteration{})
		in, err := passkey.ReadAssertion(data)
		if err != nil {
			t.Fatal(err)
		}
		proof := in.Proof(person)
		proof.ClientData, proof.Signature = []byte(text), signed(t, a, in.AuthenticatorData, []byte(text))
		refused(t, text, p.Verify(c, act, proof), passkey.Malformed)
	}
}

// TestCounter: the count is judged at signing in, and never where an act is
// checked.
func TestCounter(t *testing.T) {
	p, a := party(t, origin, false), software.Unlabelled(site)
	c := registered(t, p, a, origin)
	sign := func(count uint32) (passkey.Credential, error) {
		a.Count = count
		ch := challenge(t)
		in, err := passkey.ReadAssertion(assertion(t, a, ch, alteration{}))
		if err != nil {
			t.Fatal(err)
		}
		return p.SignIn(c, person, ch, in)
	}
	for _, step := range []struct {
		count   uint32
		refused bool
	}{{0, false}, {0, false}, {7, false}, {8, false}, {8, true}, {3, true}, {0, true}, {9, false}} {
		now, err := sign(step.count)
		if step.refused {
			refused(t, "a count that did not rise", err, passkey.Counted)
			continue
		}
		if err != nil || now.SignCount != step.count {
			t.Errorf("count %d: %+v, %v", step.count, now, err)
		}
		c = now
	}
	act := sha256.Sum256([]byte("an act of long ago"))
	a.Count = 1
	in, err := passkey.ReadAssertion(assertion(t, a, act[:], alteration{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(c, act, in.Proof(person)); err != nil {
		t.Errorf("an act that was agreed to before: %v", err)
	}
}

// TestBackup: whether a passkey is copied may change, whether it can be may not.
func TestBackup(t *testing.T) {
	p, a, ch := party(t, origin, false), software.Unlabelled(site), challenge(t)
	c, err := p.Register(person, ch, registration(t, p, a, ch, alteration{data: flags(0, 8)}))
	if err != nil || !c.BackupEligible || c.BackupState {
		t.Fatalf("%+v, %v", c, err)
	}
	in, err := passkey.ReadAssertion(assertion(t, a, ch, alteration{data: flags(0, 8|16)}))
	if err != nil {
		t.Fatal(err)
	}
	if now, err := p.SignIn(c, person, ch, in); err != nil || !now.BackupState {
		t.Errorf("copied: %+v, %v", now, err)
	}
	if in, err = passkey.ReadAssertion(assertion(t, a, ch, alteration{})); err != nil {
		t.Fatal(err)
	}
	_, err = p.SignIn(c, person, ch, in)
	refused(t, "no longer to be copied", err, passkey.WrongBackup)
}

// TestDemonstration: what was registered in a demonstration is taken nowhere else,
// by its model, by what was recorded, and by the site that it signs for.
func TestDemonstration(t *testing.T) {
	const page = "http://localhost:8080"
	demo, real := party(t, "http://127.0.0.1:8080", true), party(t, origin, false)
	a := software.New()
	c := registered(t, demo, a, page)
	if !c.Software {
		t.Error("its credential does not say that it is software")
	}
	act := sha256.Sum256([]byte("an act"))
	response, err := a.Agree(act[:], page)
	if err != nil {
		t.Fatal(err)
	}
	in, err := passkey.ReadAssertion(response)
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Verify(c, act, in.Proof(person)); err != nil {
		t.Error(err)
	}
	refused(t, "a page of a demonstration", real.Verify(c, act, in.Proof(person)), passkey.WrongOrigin)

	// Somebody takes the key out of the file, and signs for the real network.
	a.RPID = site
	if response, err = a.Agree(act[:], origin); err != nil {
		t.Fatal(err)
	}
	if in, err = passkey.ReadAssertion(response); err != nil {
		t.Fatal(err)
	}
	refused(t, "the model", real.Verify(c, act, in.Proof(person)), passkey.SoftwareKey)
	c.AAGUID = [16]byte{}
	refused(t, "the record", real.Verify(c, act, in.Proof(person)), passkey.SoftwareKey)
	// Nothing but who is in the roster holds where both are gone: the decision
	// says so.
	c.Software = false
	if err := real.Verify(c, act, in.Proof(person)); err != nil {
		t.Errorf("a key is a key: %v", err)
	}
}

// FuzzAssertion: nothing that a client sends breaks the reader, and what is
// altered is not believed.
func FuzzAssertion(f *testing.F) {
	p, a := party(f, origin, false), software.Unlabelled(site)
	c := registered(f, p, a, origin)
	act := sha256.Sum256([]byte("an act"))
	good := assertion(f, a, act[:], alteration{})
	f.Add(good)
	f.Add([]byte(`{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{}}`))
	f.Add(assertion(f, a, act[:], alteration{data: flags(0, 128)}))
	want, err := passkey.ReadAssertion(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		in, err := passkey.ReadAssertion(response)
		if err != nil {
			if !errors.Is(err, passkey.ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		if len(in.Challenge) > 64 || in.Person != "" && len(in.Person) != 32 {
			t.Fatalf("read %+v", in)
		}
		if err := p.Verify(c, act, in.Proof(person)); err == nil &&
			(!slices.Equal(in.ClientData, want.ClientData) || !slices.Equal(in.AuthenticatorData, want.AuthenticatorData)) {
			t.Fatalf("believed %s", response)
		}
	})
}

// FuzzAuthenticatorData reaches the library's own readers, behind client data that
// are right.
func FuzzAuthenticatorData(f *testing.F) {
	p, a := party(f, origin, false), software.Unlabelled(site)
	c := registered(f, p, a, origin)
	act := sha256.Sum256([]byte("an act"))
	in, err := passkey.ReadAssertion(assertion(f, a, act[:], alteration{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(in.AuthenticatorData, in.Signature)
	f.Add(flags(0, 128)(append(slices.Clone(in.AuthenticatorData), 0xa1, 0x61, 0x61, 1)), in.Signature)
	f.Add(flags(0, 64)(append(slices.Clone(in.AuthenticatorData), make([]byte, 40)...)), in.Signature)
	f.Fuzz(func(t *testing.T, data, signature []byte) {
		proof := in.Proof(person)
		proof.AuthenticatorData, proof.Signature = data, signature
		if err := p.Verify(c, act, proof); err == nil && !slices.Equal(data, in.AuthenticatorData) {
			t.Fatalf("believed %x", data)
		} else if err != nil && !errors.Is(err, passkey.ErrRefused) {
			t.Fatal(err)
		}
	})
}

// FuzzRegistration: what is taken for a new credential has a key of a kind that
// is taken, and nothing is larger than it may be.
func FuzzRegistration(f *testing.F) {
	p, a, ch := party(f, origin, false), software.Unlabelled(site), challenge(f)
	_, inner := opened(f, created(f, p, a, ch, origin))
	client, _ := b64.DecodeString(inner["clientDataJSON"].(string))
	object, _ := b64.DecodeString(inner["attestationObject"].(string))
	f.Add(a.Credential, object)
	f.Add([]byte{1}, []byte{0xa0})
	f.Fuzz(func(t *testing.T, id, object []byte) {
		name := b64.EncodeToString(id)
		response, err := json.Marshal(map[string]any{"id": name, "rawId": name, "type": "public-key", "response": map[string]any{
			"clientDataJSON": b64.EncodeToString(client), "attestationObject": b64.EncodeToString(object),
		}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Register(person, ch, response)
		switch {
		case err == nil && (!slices.Equal(c.ID, id) || len(c.PublicKey) > 1024):
			t.Fatalf("took %+v", c)
		case err != nil && !errors.Is(err, passkey.ErrRefused):
			t.Fatal(err)
		}
	})
}
