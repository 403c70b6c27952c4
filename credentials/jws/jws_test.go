package jws_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/safeconduct/safeconduct/credentials/jws"
)

var b64 = base64.RawURLEncoding

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// token signs any header over any payload, right or wrong.
func token(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.Raw(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64.EncodeToString(raw)
}

func code(err error) string {
	var e *jws.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestRoundTrip(t *testing.T) {
	key := newKey(t)
	want := []byte(`{"iss":"https://ngo.example"}`)
	compact, err := jws.Sign("statuslist+jwt", "status-1", key, want)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jws.Parse(compact, 4096, "dc+sd-jwt", "statuslist+jwt")
	if err != nil {
		t.Fatal(err)
	}
	if m.Type() != "statuslist+jwt" || m.KeyID() != "status-1" {
		t.Errorf("got typ %q, kid %q", m.Type(), m.KeyID())
	}
	got, err := m.Verify(&key.PublicKey)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := m.Verify(&newKey(t).PublicKey); got != nil || code(err) != jws.CodeSignature {
		t.Errorf("another key: got %s, %v", got, err)
	}
	if got, err := m.Verify(nil); got != nil || code(err) != jws.CodeSignature {
		t.Errorf("no key: got %s, %v", got, err)
	}
}

// What we sign is exactly this header over exactly this payload, and the
// standard library alone finds the signature right.
func TestSignedText(t *testing.T) {
	key := newKey(t)
	for _, c := range []struct{ kid, header string }{
		{"k", `{"alg":"ES256","kid":"k","typ":"dc+sd-jwt"}`},
		{"", `{"alg":"ES256","typ":"dc+sd-jwt"}`},
	} {
		for size := range 70 {
			payload := bytes.Repeat([]byte("x"), size)
			compact, err := jws.Header{Type: "dc+sd-jwt", KeyID: c.kid}.SignHere(key, payload)
			if err != nil {
				t.Fatal(err)
			}
			end := strings.LastIndexByte(compact, '.')
			if want := b64.EncodeToString([]byte(c.header)) + "." + b64.EncodeToString(payload); compact[:end] != want {
				t.Fatalf("got %s, want %s", compact[:end], want)
			}
			sig, err := b64.DecodeString(compact[end+1:])
			if err != nil || len(sig) != 64 {
				t.Fatalf("signature of %d bytes, %v", len(sig), err)
			}
			digest := sha256.Sum256([]byte(compact[:end]))
			if !ecdsa.Verify(&key.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
				t.Fatal("does not verify")
			}
		}
	}
}

// go-jose by itself is the other reader and the other writer: each has to take
// what the other made.
func TestAgainstGoJose(t *testing.T) {
	key := newKey(t)
	for i := range 200 {
		payload := fmt.Appendf(nil, `{"n":%d,"x":"%x"}`, i, make([]byte, i))
		ours, err := jws.Sign("pack+jwt", "k", key, payload)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := jose.ParseSignedCompact(ours, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		got, err := theirs.Verify(&key.PublicKey)
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("go-jose reads %s, %v", got, err)
		}
		if h := theirs.Signatures[0].Protected; h.KeyID != "k" || h.ExtraHeaders["typ"] != "pack+jwt" {
			t.Fatalf("go-jose reads header %+v", h)
		}

		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, (&jose.SignerOptions{}).WithType("pack+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		made, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		compact, err := made.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		m, err := jws.Parse(compact, 0, "pack+jwt")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.Verify(&key.PublicKey); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("we read %s, %v", got, err)
		}
	}
}

// The hostile cases on headers and form, numbered as in the threat model's
// group A, each with a signature that would hold.
func TestRefused(t *testing.T) {
	key := newKey(t)
	good := token(t, key, `{"alg":"ES256","typ":"x+jwt","kid":"k"}`, `{}`)
	head, rest, _ := strings.Cut(good, ".")
	body, sig, _ := strings.Cut(rest, ".")
	header := func(h string) string { return token(t, key, h, `{}`) }
	for _, c := range []struct{ name, token, code string }{
		{"good", good, ""},
		{"white space inside the header", header(` { "kid" : "k" , "typ":"x+jwt", "alg":"ES256" } `), ""},

		{"1 alg none", header(`{"alg":"none","typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"1 alg None", header(`{"alg":"None","typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"1 alg empty", header(`{"alg":"","typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"1 alg missing", header(`{"typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"1 alg is a list", header(`{"alg":["ES256"],"typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"1 alg none without signature", b64.EncodeToString([]byte(`{"alg":"none","typ":"x+jwt","kid":"k"}`)) + "." + body + ".", jws.CodeAlg},
		{"2 HS256", header(`{"alg":"HS256","typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"3 EdDSA on an ES256 key", header(`{"alg":"EdDSA","typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"3 lower case", header(`{"alg":"es256","typ":"x+jwt","kid":"k"}`), jws.CodeAlg},
		{"4 kid is a path", header(`{"alg":"ES256","typ":"x+jwt","kid":"../../etc/passwd"}`), jws.CodeKeyID},
		{"4 kid is SQL", header(`{"alg":"ES256","typ":"x+jwt","kid":"x' OR 1=1--"}`), jws.CodeKeyID},
		{"4 kid with NUL", header(`{"alg":"ES256","typ":"x+jwt","kid":"a\u0000"}`), jws.CodeKeyID},
		{"4 kid of 1 MiB", header(`{"alg":"ES256","typ":"x+jwt","kid":"` + strings.Repeat("a", 1<<20) + `"}`), jws.CodeKeyID},
		{"4 kid of 65", header(`{"alg":"ES256","typ":"x+jwt","kid":"` + strings.Repeat("a", 65) + `"}`), jws.CodeKeyID},
		{"4 kid of 64", header(`{"alg":"ES256","typ":"x+jwt","kid":"` + strings.Repeat("a", 64) + `"}`), ""},
		{"4 kid empty", header(`{"alg":"ES256","typ":"x+jwt","kid":""}`), jws.CodeKeyID},
		{"4 kid missing", header(`{"alg":"ES256","typ":"x+jwt"}`), jws.CodeKeyID},
		{"4 kid is a number", header(`{"alg":"ES256","typ":"x+jwt","kid":1}`), jws.CodeKeyID},
		{"5 jku", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","jku":"http://169.254.169.254/"}`), jws.CodeHeader},
		{"5 x5u", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","x5u":"http://169.254.169.254/"}`), jws.CodeHeader},
		{"6 jwk", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","jwk":{"kty":"EC"}}`), jws.CodeHeader},
		{"6 x5c", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","x5c":["MII"]}`), jws.CodeHeader},
		{"7 crit", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","crit":["exp"]}`), jws.CodeHeader},
		{"7 b64", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","b64":false}`), jws.CodeHeader},
		{"7 unknown member", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","cty":"x"}`), jws.CodeHeader},
		{"8 typ missing", header(`{"alg":"ES256","kid":"k"}`), jws.CodeTyp},
		{"8 typ empty", header(`{"alg":"ES256","typ":"","kid":"k"}`), jws.CodeTyp},
		{"8 typ JWT", header(`{"alg":"ES256","typ":"JWT","kid":"k"}`), jws.CodeTyp},
		{"8 typ in another case", header(`{"alg":"ES256","typ":"X+JWT","kid":"k"}`), jws.CodeTyp},
		{"8 typ is a list", header(`{"alg":"ES256","typ":["x+jwt"],"kid":"k"}`), jws.CodeTyp},
		{"9 10 MiB of dots", strings.Repeat(".", 10<<20), jws.CodeTooLarge},
		{"9 10 MiB of text", strings.Repeat("a", 10<<20), jws.CodeTooLarge},
		{"10 JWE with zip", jwe(`{"alg":"ECDH-ES","enc":"A256GCM","zip":"DEF"}`), jws.CodeHeader},
		{"10 JWE with zip and direct key", jwe(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`), jws.CodeHeader},
		{"11 JWE with PBES2", jwe(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483648,"p2s":"AA"}`), jws.CodeAlg},
		{"12 JWE with empty key", b64.EncodeToString([]byte(`{"alg":"A256KW","enc":"A256GCM"}`)) + "..AA.AA.AA", jws.CodeAlg},
		{"13 duplicate member", header(`{"alg":"ES256","alg":"none","typ":"x+jwt","kid":"k"}`), "json_duplicate_key"},
		{"13 duplicate by case", header(`{"alg":"ES256","ALG":"none","typ":"x+jwt","kid":"k"}`), "json_duplicate_key"},
		{"14 depth", header(`{"alg":"ES256","typ":"x+jwt","kid":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`), "json_invalid"},
		{"14 number", header(`{"alg":"ES256","typ":"x+jwt","kid":"k","n":1e400}`), "json_invalid"},
		{"14 invalid UTF-8", header("{\"alg\":\"ES256\",\"typ\":\"x+jwt\",\"kid\":\"\xff\"}"), "json_invalid"},
		{"14 lone surrogate", header(`{"alg":"ES256","typ":"x+jwt","kid":"\ud800"}`), "json_invalid"},
		{"14 trailing bytes", header(`{"alg":"ES256","typ":"x+jwt","kid":"k"}x`), "json_invalid"},
		{"header is no object", header(`["alg"]`), jws.CodeMalformed},

		{"22 padding in the header", head + "=." + body + "." + sig, jws.CodeMalformed},
		{"22 padding in the payload", token(t, key, `{"alg":"ES256","typ":"x+jwt","kid":"k"}`, `{"a":1}`) + "==", jws.CodeMalformed},
		{"22 space before", " " + good, jws.CodeMalformed},
		{"22 space after", good + " ", jws.CodeMalformed},
		{"22 line break after", good + "\n", jws.CodeMalformed},
		{"22 line break inside", head + "." + body + "." + sig[:40] + "\r\n" + sig[40:], jws.CodeMalformed},
		{"22 standard alphabet", head + "." + body + "." + strings.Repeat("+", 86), jws.CodeMalformed},
		{"22 trailing bits in the signature", good[:len(good)-1] + string(next(good[len(good)-1])), jws.CodeMalformed},
		{"22 trailing bits in the payload", head + "." + body[:len(body)-1] + string(next(body[len(body)-1])) + "." + sig, jws.CodeMalformed},
		{"empty", "", jws.CodeMalformed},
		{"two dots", "..", "json_invalid"},
		{"two parts", head + "." + body, jws.CodeMalformed},
		{"four parts", good + ".AA", jws.CodeMalformed},
		{"no payload", head + ".." + sig, jws.CodeMalformed},
		{"no signature", head + "." + body + ".", jws.CodeMalformed},
		{"short signature", head + "." + body + "." + b64.EncodeToString(make([]byte, 63)), jws.CodeMalformed},
		{"long signature", head + "." + body + "." + b64.EncodeToString(make([]byte, 65)), jws.CodeMalformed},
		{"ASN.1 signature", head + "." + body + "." + b64.EncodeToString(make([]byte, 71)), jws.CodeMalformed},
		{"zero signature", head + "." + body + "." + b64.EncodeToString(make([]byte, 64)), jws.CodeSignature},
		{"other payload", head + "." + b64.EncodeToString([]byte(`{"a":1}`)) + "." + sig, jws.CodeSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := jws.Parse(c.token, 32<<10, "x+jwt")
			if err == nil {
				_, err = m.Verify(&key.PublicKey)
			}
			if got := code(err); got != c.code || (err == nil) != (c.code == "") {
				t.Errorf("got %q (%v), want %q", got, err, c.code)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Error("the error is long enough to repeat the token")
			}
		})
	}
}

// next returns the neighbour of a base64url digit, which differs in the lowest
// bit: one that must be zero where it stands.
func next(c byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, c)^1]
}

func jwe(header string) string {
	return b64.EncodeToString([]byte(header)) + ".AA.AA.AA.AA"
}

func TestKeyIDRules(t *testing.T) {
	key := newKey(t)
	with := token(t, key, `{"alg":"ES256","typ":"x+jwt","kid":"k"}`, `{}`)
	without := token(t, key, `{"alg":"ES256","typ":"x+jwt"}`, `{}`)
	for _, c := range []struct {
		name, token string
		rule        jws.KeyIDRule
		code        string
	}{
		{"required, there", with, jws.KeyIDRequired, ""},
		{"required, missing", without, jws.KeyIDRequired, jws.CodeKeyID},
		{"optional, there", with, jws.KeyIDOptional, ""},
		{"optional, missing", without, jws.KeyIDOptional, ""},
		{"a rule that is none, there", with, jws.KeyIDRule(9), "token_kid_invalid"},
		{"a rule that is none, missing", without, jws.KeyIDRule(-1), "token_kid_invalid"},
		{"absent, there", with, jws.KeyIDAbsent, jws.CodeHeader},
		{"absent, missing", without, jws.KeyIDAbsent, ""},
		{"unknown rule, missing", without, 99, jws.CodeKeyID},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := jws.Profile{Types: []string{"x+jwt"}, KeyID: c.rule}.Parse(c.token)
			if got := code(err); got != c.code {
				t.Errorf("got %q, want %q", got, c.code)
			}
		})
	}
	if _, err := (jws.Profile{}).Parse(with); code(err) != jws.CodeTyp {
		t.Errorf("a profile without types takes a token: %v", err)
	}
}

// answering is a keystore that answers with whatever it likes.
type answering struct {
	crypto.Signer
	answer func(digest []byte) ([]byte, error)
}

func (a answering) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return a.answer(digest)
}

func TestSignerThatLies(t *testing.T) {
	key := newKey(t)
	down := errors.New("keystore is down")
	good, err := key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		answer []byte
		err    error
		want   error
	}{
		{"another request's signature", good, nil, jws.ErrSigner},
		{"r and s, not ASN.1", make([]byte, 64), nil, jws.ErrSigner},
		{"noise", []byte("vault:v1:MEUC"), nil, jws.ErrSigner},
		{"nothing", nil, nil, jws.ErrSigner},
		{"trailing bytes", append(bytes.Clone(good), 0), nil, jws.ErrSigner},
		{"three numbers", []byte{0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1}, nil, jws.ErrSigner},
		{"negative numbers", []byte{0x30, 6, 2, 1, 0xff, 2, 1, 1}, nil, jws.ErrSigner},
		{"number of 33 bytes", append([]byte{0x30, 38, 2, 33, 1}, append(make([]byte, 32), 2, 1, 1)...), nil, jws.ErrSigner},
		{"down", nil, down, down},
	} {
		t.Run(c.name, func(t *testing.T) {
			signer := answering{key, func([]byte) ([]byte, error) { return c.answer, c.err }}
			for name, sign := range map[string]func() (string, error){
				"Sign":            func() (string, error) { return jws.Sign("x+jwt", "k", signer, []byte(`{}`)) },
				"Header.SignHere": func() (string, error) { return jws.Header{Type: "x+jwt"}.SignHere(signer, []byte(`{}`)) },
			} {
				if got, err := sign(); !errors.Is(err, c.want) || got != "" {
					t.Errorf("%s, %s: got %q, %v, want %v", name, c.name, got, err, c.want)
				}
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	key := newKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, typ, kid string
		key            crypto.Signer
	}{
		{"no typ", "", "k", key},
		{"typ that would need escaping", `x"`, "k", key},
		{"no kid", "x+jwt", "", key},
		{"kid that is a path", "x+jwt", "a/b", key},
		{"no key", "x+jwt", "k", nil},
		{"P-384", "x+jwt", "k", p384},
	} {
		if got, err := jws.Sign(c.typ, c.kid, c.key, []byte(`{}`)); err == nil {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

func TestKeys(t *testing.T) {
	key := newKey(t)
	jwk, err := jws.MarshalKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := jws.ParseKey(jwk)
	if err != nil || !pub.Equal(&key.PublicKey) {
		t.Fatalf("got %v, %v", pub, err)
	}
	var m map[string]any
	if err := json.Unmarshal(jwk, &m); err != nil || len(m) != 4 {
		t.Errorf("got %v, %v", m, err)
	}
	// go-jose makes the same thumbprint.
	thumb, err := (&jose.JSONWebKey{Key: &key.PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := jws.KeyID(pub), fmt.Sprintf("%x", thumb[:8]); got != want {
		t.Errorf("key id: got %s, want %s", got, want)
	}
	if !jws.ValidKeyID(jws.KeyID(pub)) {
		t.Error("our key ids are not of our form")
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.MarshalKey(&p384.PublicKey); !errors.Is(err, jws.ErrKey) {
		t.Errorf("P-384: %v", err)
	}
	if got := jws.KeyID(&p384.PublicKey); got != "" {
		t.Errorf("P-384 has key id %q", got)
	}
	if got := jws.KeyID(nil); got != "" {
		t.Errorf("no key has key id %q", got)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	const x, y = `"x":"TCAER19Zvu3OHF4j4W4vfSVoHIP1ILilDls7vCeGemc"`, `"y":"ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ"`
	for _, c := range []struct {
		name, jwk string
		ok        bool
	}{
		{"public key", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `}`, true},
		{"all that may confirm it", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"alg":"ES256","use":"sig","key_ops":["verify"],"ext":true,"kid":"1"}`, true},
		{"private key", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"d":"AA"}`, false},
		{"other kind", `{"kty":"RSA","crv":"P-256",` + x + `,` + y + `}`, false},
		{"other curve", `{"kty":"EC","crv":"secp256k1",` + x + `,` + y + `}`, false},
		{"other algorithm", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"alg":"ES384"}`, false},
		{"other use", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"use":"enc"}`, false},
		{"other operation", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"key_ops":["verify","deriveKey"]}`, false},
		{"off the curve", `{"kty":"EC","crv":"P-256",` + x + `,"y":"AxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ"}`, false},
		{"no y", `{"kty":"EC","crv":"P-256",` + x + `}`, false},
		{"31 bytes", `{"kty":"EC","crv":"P-256",` + x + `,"y":"GOJZZtkxAYdVYpVDiFtIiKuxV-55wITq3iNP0XYdlA"}`, false},
		{"zero", `{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, false},
		{"padding", `{"kty":"EC","crv":"P-256",` + x + `,"y":"ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ="}`, false},
		{"chain", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"x5c":[]}`, false},
		{"duplicate", `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,` + y + `}`, false},
		{"key set", `{"keys":[{"kty":"EC","crv":"P-256",` + x + `,` + y + `}]}`, false},
		{"symmetric", `{"kty":"oct","k":"AA"}`, false},
		{"nothing", ``, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			pub, err := jws.ParseKey([]byte(c.jwk))
			if (err == nil) != c.ok || (pub != nil) != c.ok || err != nil && !errors.Is(err, jws.ErrKey) {
				t.Errorf("got %v, %v", pub, err)
			}
		})
	}
}

// Whatever comes in, the answer is the same twice and nothing verifies that
// was not signed.
func FuzzParse(f *testing.F) {
	key := newKey(f)
	good := token(f, key, `{"alg":"ES256","typ":"x+jwt","kid":"k"}`, `{"a":1}`)
	f.Add(good)
	f.Add(good + ".")
	f.Add(jwe(`{"alg":"dir","zip":"DEF"}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := jws.Parse(s, 1<<12, "x+jwt")
		_, again := jws.Parse(s, 1<<12, "x+jwt")
		if fmt.Sprint(err) != fmt.Sprint(again) {
			t.Fatalf("first %v, then %v", err, again)
		}
		if err != nil {
			if code(err) == "" {
				t.Fatalf("no code: %v", err)
			}
			return
		}
		if _, err := m.Verify(&key.PublicKey); err == nil && s != good {
			t.Fatalf("%q verifies", s)
		}
	})
}

func ExampleSign() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	token, err := jws.Sign("statuslist+jwt", jws.KeyID(&key.PublicKey), key, []byte(`{"sub":"https://ngo.example/status-lists/1"}`))
	if err != nil {
		panic(err)
	}
	m, err := jws.Parse(token, 0, "statuslist+jwt")
	if err != nil {
		panic(err)
	}
	payload, err := m.Verify(&key.PublicKey)
	fmt.Println(m.Type(), string(payload), err)
	// Output: statuslist+jwt {"sub":"https://ngo.example/status-lists/1"} <nil>
}

func BenchmarkVerify(b *testing.B) {
	key := newKey(b)
	compact, err := jws.Sign("x+jwt", "k", key, make([]byte, 1500))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m, err := jws.Parse(compact, 0, "x+jwt")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Verify(&key.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}
