package sdjwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

var b64 = base64.RawURLEncoding

var now = time.Unix(1790000000, 0)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func code(err error) string {
	var e *sdjwt.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// sign makes the issuer-signed part of anything, right or wrong.
func sign(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	return signed + "." + b64.EncodeToString(raw)
}

const header = `{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1"}`

// world is an issuer, a holder, and a credential between them.
type world struct {
	t              testing.TB
	issuer, holder *ecdsa.PrivateKey
}

func newWorld(t testing.TB) world { return world{t, newKey(t), newKey(t)} }

var status = sdjwt.Status{URI: "https://net.example/status-lists/1", Index: 7}

func (w world) members() (always, disclosable []sdjwt.Member) {
	cnf, err := sdjwt.Confirmation(&w.holder.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return []sdjwt.Member{
			{Name: "iss", Value: "https://ngo.example"},
			{Name: "vct", Value: "urn:example:finding"},
			{Name: "exp", Value: now.Unix() + 1000},
			cnf,
			status.Member(),
		}, []sdjwt.Member{
			{Name: "name", Value: private.New("Siti Example")},
			{Name: "birth_date", Value: private.New("1999-01-02")},
			{Name: "address", Value: map[string]private.String{"city": private.New("Dili")}},
			{Name: "languages", Value: []string{"id", "<tet>"}},
			{Name: "number", Value: 12},
			{Name: "level", Value: json.RawMessage(`{"a":[1,2,null]}`)},
		}
}

func (w world) credential() string {
	always, disclosable := w.members()
	s, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 12, w.issuer, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w world) verify(s string, p sdjwt.Policy) (*sdjwt.Claims, error) {
	token, err := sdjwt.Parse(s, sdjwt.TypeVC)
	if err != nil {
		return nil, err
	}
	if p.Now.IsZero() {
		p.Now = now
	}
	return token.Verify(&w.issuer.PublicKey, p)
}

func TestSignAndVerify(t *testing.T) {
	w := newWorld(t)
	token, err := sdjwt.Parse(w.credential(), sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	if token.KeyID() != "k1" || token.Type() != sdjwt.TypeVC {
		t.Errorf("got kid %q, typ %q", token.KeyID(), token.Type())
	}
	c, err := token.Verify(&w.issuer.PublicKey, sdjwt.Policy{Now: now, Required: []string{"iss", "exp", "cnf", "status"}})
	if err != nil {
		t.Fatal(err)
	}
	delete(c.Payload(), "cnf")
	want := map[string]any{
		"iss": "https://ngo.example", "vct": "urn:example:finding", "exp": json.Number("1790001000"),
		"status": map[string]any{"status_list": map[string]any{"uri": status.URI, "idx": json.Number("7")}},
		"name":   "Siti Example", "birth_date": "1999-01-02",
		"address":   map[string]any{"city": "Dili"},
		"languages": []any{"id", "<tet>"},
		"number":    json.Number("12"),
		"level":     map[string]any{"a": []any{json.Number("1"), json.Number("2"), nil}},
	}
	if diff := cmp.Diff(want, c.Payload()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	names := slices.Sorted(slices.Values(c.Disclosed()))
	if diff := cmp.Diff([]string{"address", "birth_date", "languages", "level", "name", "number"}, names); diff != "" {
		t.Errorf("disclosed: -want +got\n%s", diff)
	}
	if c.VCT() != "urn:example:finding" || c.Issuer() != "https://ngo.example" || c.Text("name") != "Siti Example" || c.Text("number") != "" {
		t.Error("claims are not what was signed")
	}
	if *c.Status() != status || c.Expires().Unix() != now.Unix()+1000 || !c.IssuedAt().IsZero() || !c.NotBefore().IsZero() {
		t.Errorf("got status %v, exp %v", c.Status(), c.Expires())
	}
}

// What is the same for every file must look the same.
func TestDigestsSayNothing(t *testing.T) {
	w := newWorld(t)
	always, disclosable := w.members()
	var lists [][]string
	for _, n := range []int{1, len(disclosable)} {
		s, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable[:n], 12, w.issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b64.DecodeString(strings.Split(s, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var payload struct {
			Digests []string `json:"_sd"`
			Alg     string   `json:"_sd_alg"`
		}
		if err := json.Unmarshal(raw, &payload); err != nil {
			t.Fatal(err)
		}
		if len(payload.Digests) != 12 || payload.Alg != "sha-256" || !slices.IsSorted(payload.Digests) {
			t.Errorf("with %d claims: %d digests, %q", n, len(payload.Digests), payload.Alg)
		}
		for _, d := range payload.Digests {
			if b, err := b64.DecodeString(d); err != nil || len(b) != sha256.Size {
				t.Errorf("digest of %d bytes", len(b))
			}
		}
		lists = append(lists, payload.Digests)
	}
	// Fresh salts: the same claim has another digest each time.
	for _, d := range lists[0] {
		if slices.Contains(lists[1], d) {
			t.Error("a digest came twice")
		}
	}
}

func TestNothingToDisclose(t *testing.T) {
	w := newWorld(t)
	always, _ := w.members()
	s, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, nil, 12, w.issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b64.DecodeString(strings.Split(s, ".")[1])
	if err != nil || bytes.Contains(raw, []byte("_sd")) || strings.Count(s, "~") != 1 {
		t.Errorf("%v, %d tildes", err, strings.Count(s, "~"))
	}
	if _, err := w.verify(s, sdjwt.Policy{}); err != nil {
		t.Error(err)
	}
}

func TestSaltsComeFromTheReader(t *testing.T) {
	w := newWorld(t)
	always, disclosable := w.members()
	make1 := func(noise []byte) (string, error) {
		s, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 8, w.issuer, bytes.NewReader(noise))
		_, rest, _ := strings.Cut(s, "~")
		return rest, err
	}
	noise := make([]byte, 16*6+32*2)
	for i := range noise {
		noise[i] = byte(i)
	}
	one, err1 := make1(noise)
	two, err2 := make1(noise)
	if err1 != nil || err2 != nil || one != two {
		t.Errorf("same noise, other disclosures: %v, %v", err1, err2)
	}
	raw, err := b64.DecodeString(strings.Split(one, "~")[0])
	if err != nil || string(raw) != `["AAECAwQFBgcICQoLDA0ODw","name","Siti Example"]` {
		t.Errorf("got %s, %v", raw, err)
	}
	if _, err := make1(noise[:len(noise)-1]); err == nil {
		t.Error("too little noise was enough")
	}
}

func TestSignRefuses(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		change func(always, disclosable *[]sdjwt.Member)
		want   []string
	}{
		{"several at once", func(a, d *[]sdjwt.Member) {
			*a = append((*a)[2:], sdjwt.Member{Name: "_sd", Value: 1})
			*d = append(*d, sdjwt.Member{Name: "exp", Value: 1}, sdjwt.Member{Name: "NAME", Value: "canary"})
		}, []string{"reserved", "must not be disclosable", "occurs twice", "vct is required"}},
		{"reserved name inside", func(a, _ *[]sdjwt.Member) {
			*a = append(*a, sdjwt.Member{Name: "x", Value: json.RawMessage(`{"y":[{"...":"canary"}]}`)})
		}, []string{"reserved name in it"}},
		{"JSON that no reader takes", func(a, _ *[]sdjwt.Member) {
			*a = append(*a, sdjwt.Member{Name: "x", Value: json.RawMessage(`{"canary":1,"CANARY":2}`)})
		}, []string{"not acceptable JSON"}},
		{"text that ends early", func(a, _ *[]sdjwt.Member) {
			*a = append(*a, sdjwt.Member{Name: "x", Value: json.RawMessage(`"canary","y":"z"`)})
		}, []string{"not acceptable JSON"}},
		{"nested too deeply", func(a, _ *[]sdjwt.Member) {
			*a = append(*a, sdjwt.Member{Name: "x", Value: json.RawMessage(strings.Repeat("[", 8) + strings.Repeat("]", 8))})
		}, []string{"not acceptable JSON"}},
		{"value that is none", func(a, _ *[]sdjwt.Member) {
			*a = append(*a, sdjwt.Member{Name: "x", Value: make(chan int)})
		}, []string{"cannot be encoded"}},
		{"vct that is no text", func(a, _ *[]sdjwt.Member) { (*a)[1].Value = 12 }, []string{"vct is required"}},
		{"empty vct", func(a, _ *[]sdjwt.Member) { (*a)[1].Value = "" }, []string{"vct is required"}},
		{"more claims than digests", func(_, d *[]sdjwt.Member) {
			for i := range 20 {
				*d = append(*d, sdjwt.Member{Name: fmt.Sprint("n", i), Value: i})
			}
		}, []string{"more claims than digests"}},
		{"too large", func(a, _ *[]sdjwt.Member) {
			*a = append(*a, sdjwt.Member{Name: "x", Value: strings.Repeat("x", 32<<10)})
		}, []string{"too large"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			always, disclosable := w.members()
			c.change(&always, &disclosable)
			s, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 12, w.issuer, nil)
			if err == nil || s != "" {
				t.Error("signed")
				return
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Error("the error shows a value")
			}
		})
	}
}

func TestPresentAndBind(t *testing.T) {
	w := newWorld(t)
	token, err := sdjwt.Parse(w.credential(), sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := token.Present("name", "level")
	if err != nil {
		t.Fatal(err)
	}
	to := sdjwt.Binding{Nonce: "n-0S6_WzA2Mj", Audience: "x509_hash:abc"}
	bound, err := sdjwt.Bind(shown, to, now, w.holder)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.verify(bound, sdjwt.Policy{Binding: &to})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(slices.Values(c.Disclosed())); !slices.Equal(got, []string{"level", "name"}) {
		t.Errorf("disclosed %v", got)
	}
	holder, err := c.Holder()
	if err != nil || !holder.Equal(&w.holder.PublicKey) {
		t.Errorf("holder: %v", err)
	}
	// Presenting again what has key binding leaves the key binding out.
	again, err := sdjwt.Parse(bound, sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Present("name", "level"); err != nil || got != shown {
		t.Errorf("got %q, %v", got, err)
	}
	for _, name := range []string{"iss", "nobody", "_sd", "_sd_alg", ""} {
		if got, err := token.Present(name); !errors.Is(err, sdjwt.ErrNoSuchClaim) || got != "" {
			t.Errorf("%q: got %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		presentation string
		to           sdjwt.Binding
	}{
		"no tilde":      {strings.TrimSuffix(shown, "~"), to},
		"already bound": {bound, to},
		"no nonce":      {shown, sdjwt.Binding{Audience: "a"}},
		"no audience":   {shown, sdjwt.Binding{Nonce: "n"}},
	} {
		if got, err := sdjwt.Bind(c.presentation, c.to, now, w.holder); err == nil || got != "" {
			t.Errorf("%s: bound", name)
		}
	}
}

func TestNothingPrints(t *testing.T) {
	w := newWorld(t)
	token, err := sdjwt.Parse(w.credential(), sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	c, err := token.Verify(&w.issuer.PublicKey, sdjwt.Policy{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("read", "claims", c, "token", token)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb, c)
		fmt.Fprintf(&out, verb, token)
		fmt.Fprintf(&out, verb, []any{c, token})
	}
	for _, needle := range []string{"Siti", fmt.Sprintf("%x", "Siti"), b64.EncodeToString([]byte(header))} {
		if strings.Contains(out.String(), needle) {
			t.Errorf("%q was printed", needle)
		}
	}
	if !strings.Contains(out.String(), private.Masked) {
		t.Error("nothing was printed")
	}
	if raw, err := json.Marshal(c); err == nil {
		t.Errorf("encoded as %s", raw)
	}
}

// disclosure makes a disclosure of any JSON.
func disclosure(json string) string { return b64.EncodeToString([]byte(json)) }

// hostile is one of the hostile cases on tokens, numbered as in the threat
// model's group A. Each token is signed by the right issuer unless it says
// otherwise: the refusal has to come from the rule that the case is about.
type hostile struct {
	name  string
	token func(w world) string
	code  string
}

// payload is a good payload with more members; more begins with a comma.
func payload(w world, more string) string {
	jwk, err := jws.MarshalKey(&w.holder.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return `{"iss":"https://ngo.example","vct":"urn:example:finding","exp":1790001000,"cnf":{"jwk":` + string(jwk) +
		`},"status":{"status_list":{"idx":7,"uri":"https://net.example/s/1"}}` + more + `}`
}

// with is a credential with more in the payload, and disclosures.
func with(more string, disclosures ...string) func(world) string {
	return func(w world) string { return assemble(sign(w.t, w.issuer, header, payload(w, more)), disclosures...) }
}

// payloadOnly is a credential whose whole payload is given.
func payloadOnly(p string, disclosures ...string) func(world) string {
	return func(w world) string { return assemble(sign(w.t, w.issuer, header, p), disclosures...) }
}

func headed(h string) func(world) string {
	return func(w world) string { return sign(w.t, w.issuer, h, payload(w, "")) + "~" }
}

func assemble(jwt string, disclosures ...string) string {
	return strings.Join(append([]string{jwt}, disclosures...), "~") + "~"
}

// sd lists digests of disclosures as a payload member.
func sd(disclosures ...string) string {
	var digests []string
	for _, d := range disclosures {
		digests = append(digests, `"`+sdjwt.Digest(d)+`"`)
	}
	return `"_sd":[` + strings.Join(digests, ",") + `]`
}

var (
	name  = disclosure(`["c2FsdHNhbHRzYWx0c2FsdA","name","Siti"]`)
	other = disclosure(`["c2FsdHNhbHRzYWx0c2FsdB","other",1]`)
	elem  = disclosure(`["c2FsdHNhbHRzYWx0c2FsdC","KH"]`)
	// parent holds other.
	parent = disclosure(`["c2FsdHNhbHRzYWx0c2FsdD","parent",{` + sd(other) + `,"open":1}]`)
	deep   = disclosure(`["s","deep",` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `]`)
	flat   = disclosure(`["s","flat",` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `]`)
)

// one makes a case of a single disclosure of the given JSON.
func one(json string) func(world) string {
	d := disclosure(json)
	return with(","+sd(d), d)
}

func element(d string) string { return `{"...":"` + sdjwt.Digest(d) + `"}` }

// behind writes something behind a credential, and cutTilde takes its end away.
func behind(f func(world) string, more string) func(world) string {
	return func(w world) string { return f(w) + more }
}

func cutTilde(f func(world) string) func(world) string {
	return func(w world) string { return strings.TrimSuffix(f(w), "~") }
}

var hostiles = []hostile{
	{"good", with(","+sd(name, other), name, other), ""},
	{"good, withheld", with(","+sd(name, other), other), ""},
	{"good, recursive", with(","+sd(name, parent), parent, other), ""},
	{"good, element", with(`,"nationalities":[`+element(elem)+`,"MM"]`, elem), ""},
	{"good, alg named", with(`,"_sd_alg":"sha-256",`+sd(name), name), ""},
	{"good, at the depth", with(","+sd(flat), flat), ""},

	{"1 alg none", headed(`{"alg":"none","typ":"dc+sd-jwt","kid":"k1"}`), "token_alg_refused"},
	{"1 alg None", headed(`{"alg":"None","typ":"dc+sd-jwt","kid":"k1"}`), "token_alg_refused"},
	{"1 alg empty", headed(`{"alg":"","typ":"dc+sd-jwt","kid":"k1"}`), "token_alg_refused"},
	{"2 public key as HS256 secret", func(w world) string {
		pub, err := w.issuer.PublicKey.Bytes()
		if err != nil {
			w.t.Fatal(err)
		}
		signed := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"dc+sd-jwt","kid":"k1"}`)) + "." + b64.EncodeToString([]byte(payload(w, "")))
		mac := hmac.New(sha256.New, pub)
		mac.Write([]byte(signed))
		return signed + "." + b64.EncodeToString(mac.Sum(nil)) + "~"
	}, "token_alg_refused"},
	{"3 EdDSA for an ES256 key", func(w world) string {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			w.t.Fatal(err)
		}
		signed := b64.EncodeToString([]byte(`{"alg":"EdDSA","typ":"dc+sd-jwt","kid":"k1"}`)) + "." + b64.EncodeToString([]byte(payload(w, "")))
		return signed + "." + b64.EncodeToString(ed25519.Sign(key, []byte(signed))) + "~"
	}, "token_alg_refused"},
	{"4 kid is a path", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"../../etc/passwd"}`), "token_kid_invalid"},
	{"4 kid is SQL", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"x' OR 1=1--"}`), "token_kid_invalid"},
	{"4 kid with NUL", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k\u0000"}`), "token_kid_invalid"},
	{"4 kid of 1 MiB", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"` + strings.Repeat("k", 1<<20) + `"}`), "token_kid_invalid"},
	{"5 jku", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","jku":"http://169.254.169.254/"}`), "token_header_refused"},
	{"5 x5u", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","x5u":"http://169.254.169.254/"}`), "token_header_refused"},
	{"6 jwk", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","jwk":{"kty":"EC"}}`), "token_header_refused"},
	{"6 x5c", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","x5c":["MII"]}`), "token_header_refused"},
	{"7 crit", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","crit":["exp"]}`), "token_header_refused"},
	{"7 b64", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","b64":false}`), "token_header_refused"},
	{"8 typ missing", headed(`{"alg":"ES256","kid":"k1"}`), "token_typ_refused"},
	{"8 typ JWT", headed(`{"alg":"ES256","typ":"JWT","kid":"k1"}`), "token_typ_refused"},
	{"8 typ vc+sd-jwt", headed(`{"alg":"ES256","typ":"vc+sd-jwt","kid":"k1"}`), "token_typ_refused"},
	{"8 typ kb+jwt", headed(`{"alg":"ES256","typ":"kb+jwt","kid":"k1"}`), "token_typ_refused"},
	{"8 typ statuslist+jwt", headed(`{"alg":"ES256","typ":"statuslist+jwt","kid":"k1"}`), "token_typ_refused"},
	{"9 10 MiB of dots", func(world) string { return strings.Repeat(".", 10<<20) }, "too_large"},
	{"9 a million tildes", func(world) string { return strings.Repeat("~", 1e6) }, "too_large"},
	{"9 65 disclosures", func(w world) string {
		return assemble(sign(w.t, w.issuer, header, payload(w, "")), make([]string, 65)...)
	}, "sd_malformed"},
	{"10 JWE with zip", jwe(`{"alg":"ECDH-ES","enc":"A256GCM","zip":"DEF"}`), "token_header_refused"},
	{"11 JWE with PBES2", jwe(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483648,"p2s":"AA"}`), "token_alg_refused"},
	{"12 JWE with empty key", jwe(`{"alg":"A256KW","enc":"A256GCM"}`), "token_alg_refused"},
	{"13 duplicate in the header", headed(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"k1","kid":"k2"}`), "json_duplicate_key"},
	{"13 duplicate claim", with(`,"exp":1`), "json_duplicate_key"},
	{"13 duplicate claim by case", with(`,"EXP":1`), "json_duplicate_key"},
	{"13 duplicate in a disclosure", one(`["s","name",{"a":1,"A":2}]`), "json_duplicate_key"},
	{"14 depth in the payload", with(`,"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000)), "json_invalid"},
	{"14 depth in a disclosure", with(","+sd(deep), deep), "json_invalid"},
	{"14 depth by recursion", func(w world) string {
		d, all := other, []string{other}
		for i := range 8 {
			d = disclosure(fmt.Sprintf(`["s","n%d",{%s}]`, i, sd(d)))
			all = append(all, d)
		}
		return with(","+sd(d), all...)(w)
	}, "json_invalid"},
	{"14 number", with(`,"x":1e400`), "json_invalid"},
	{"14 invalid UTF-8", with(",\"x\":\"\xff\""), "json_invalid"},
	{"14 lone surrogate", with(`,"x":"\udfff"`), "json_invalid"},
	{"14 trailing bytes", with(`}{`), "json_invalid"},
	{"14 trailing bytes in a disclosure", one(`["s","name",1]]`), "json_invalid"},
	{"14 payload is an array", payloadOnly(`[]`), "sd_malformed"},
	{"14 disclosure in UTF-16", one("[\x00\"\x00"), "json_invalid"},

	{"15 not referenced", with("", name), "sd_unreferenced"},
	{"15 not referenced among others", with(","+sd(other), other, name), "sd_unreferenced"},
	{"15 child without its parent", with(","+sd(name, parent), other), "sd_unreferenced"},
	{"15 digest elsewhere than in _sd", with(`,"x":"`+sdjwt.Digest(name)+`"`, name), "sd_unreferenced"},
	{"15 element digest in an object", with(`,"x":["`+sdjwt.Digest(elem)+`"]`, elem), "sd_unreferenced"},
	{"16 same disclosure twice", with(","+sd(name), name, name), "sd_duplicate_digest"},
	{"16 digest twice", with(","+sd(name, name), name), "sd_duplicate_digest"},
	{"16 decoy twice", with(`,"_sd":["AAAA","AAAA"]`), "sd_duplicate_digest"},
	{"16 digest on two levels", with(","+sd(other)+`,"x":{`+sd(other)+`}`, other), "sd_duplicate_digest"},
	{"16 digest recursively", with(","+sd(parent, other), parent, other), "sd_duplicate_digest"},
	{"16 digest in two elements", with(`,"x":[`+element(elem)+`,`+element(elem)+`]`, elem), "sd_duplicate_digest"},
	{"17 named _sd", one(`["s","_sd",[]]`), "sd_claim_refused"},
	{"17 named ...", one(`["s","...","x"]`), "sd_claim_refused"},
	{"17 named _sd_alg", one(`["s","_sd_alg","sha-256"]`), "sd_claim_refused"},
	{"17 name is there", one(`["s","exp",9999999999]`), "sd_claim_refused"},
	{"17 name is there in another case", with(`,"nick":"a",`+sd(disclosure(`["s","NICK","b"]`)), disclosure(`["s","NICK","b"]`)), "sd_claim_refused"},
	{"17 overrides status", one(`["s","status",{}]`), "sd_claim_refused"},
	{"17 overrides cnf", one(`["s","cnf",{}]`), "sd_claim_refused"},
	{"17 two of one name", with(","+sd(name, disclosure(`["t","name","Lita"]`)), name, disclosure(`["t","name","Lita"]`)), "sd_claim_refused"},
	{"17 name is there inside", with(`,"x":{"name":1,`+sd(name)+`}`, name), "sd_claim_refused"},
	{"18 two parts in _sd", with(","+sd(elem), elem), "sd_malformed"},
	{"18 three parts in an array", with(`,"x":[`+element(name)+`]`, name), "sd_malformed"},
	{"18 four parts", one(`["s","name",1,2]`), "sd_malformed"},
	{"18 one part", one(`["s"]`), "sd_malformed"},
	{"18 no parts", one(`[]`), "sd_malformed"},
	{"18 object", one(`{"s":1}`), "sd_malformed"},
	{"18 salt is a number", one(`[1,"name",1]`), "sd_malformed"},
	{"18 name is a number", one(`["s",1,1]`), "sd_malformed"},
	{"18 _sd is a text", with(`,"_sd":"x"`), "sd_malformed"},
	{"18 _sd holds a number", with(`,"_sd":[1]`), "sd_malformed"},
	{"18 ... is a number", with(`,"x":[{"...":1}]`), "sd_malformed"},
	{"18 ... with others", with(`,"x":[{"...":"AA","y":1}]`), "sd_malformed"},
	{"18 ... outside an array", with(`,"x":{"...":"AA"}`), "sd_malformed"},
	{"18 _sd_alg inside", with(`,"x":{"_sd_alg":"sha-256"}`), "sd_malformed"},
	{"18 no tilde", func(w world) string { return sign(w.t, w.issuer, header, payload(w, "")) }, "sd_malformed"},
	{"18 JSON serialisation", func(world) string { return ` {"payload":"","signatures":[]}` }, "sd_malformed"},
	{"18 empty disclosure", with("", ""), "sd_malformed"},
	{"18 empty disclosure behind another", with(","+sd(name), name, ""), "sd_malformed"},
	{"18 empty disclosure before another", with(","+sd(name), "", name), "sd_malformed"},
	{"18 last tilde missing", cutTilde(with(","+sd(name), name)), "sd_malformed"},
	{"18 last tilde missing, part of a disclosure", func(w world) string { s := with(","+sd(name), name)(w); return s[:len(s)-4] }, "sd_malformed"},
	{"18 text behind it", behind(with(","+sd(name), name), "x"), "sd_malformed"},
	{"18 a blank behind it", behind(with(","+sd(name), name), " "), "sd_malformed"},
	{"18 a line break behind it", behind(with(","+sd(name), name), "\n"), "sd_malformed"},
	{"18 two parts behind it", behind(with(","+sd(name), name), "eyJ.eyJ"), "sd_malformed"},
	{"18 four parts behind it", behind(with(","+sd(name), name), "eyJ.eyJ.AA.AA"), "sd_malformed"},
	{"18 three empty parts behind it", behind(with(","+sd(name), name), ".."), "sd_malformed"},
	{"21 a credential behind it", func(w world) string { return with(","+sd(name), name)(w) + sign(w.t, w.issuer, header, payload(w, "")) }, "kb_invalid"},
	{"21 three parts of nothing behind it", behind(with(","+sd(name), name), "eyJ.eyJ.AA"), "kb_invalid"},
	{"19 shortened hash", with(`,"_sd_alg":"sha-256-32"`), "sd_alg_refused"},
	{"19 unknown hash", with(`,"_sd_alg":"md5"`), "sd_alg_refused"},
	{"19 another hash", with(`,"_sd_alg":"sha-512"`), "sd_alg_refused"},
	{"19 in another case", with(`,"_sd_alg":"SHA-256"`), "sd_alg_refused"},
	{"19 number", with(`,"_sd_alg":256`), "sd_alg_refused"},
	{"20 exp withheld", payloadOnly(`{"iss":"i","vct":"v",` + sd(disclosure(`["s","exp",9999999999]`)) + `,"cnf":{},"status":{"status_list":{"idx":1,"uri":"u"}}}`), "claim_missing"},
	{"20 status withheld", payloadOnly(`{"iss":"i","vct":"v","exp":1790001000,"cnf":{},` + sd(disclosure(`["s","status",{}]`)) + `}`), "claim_missing"},
	{"20 cnf withheld", payloadOnly(`{"iss":"i","vct":"v","exp":1790001000,"status":{"status_list":{"idx":1,"uri":"u"}},` + sd(name) + `}`), "claim_missing"},
	{"20 vct withheld", payloadOnly(`{"iss":"i","exp":1790001000,"cnf":{},"status":{"status_list":{"idx":1,"uri":"u"}}}`), "claim_missing"},
	{"20 exp disclosed", payloadOnly(`{"iss":"i","vct":"v",`+sd(disclosure(`["s","exp",9999999999]`))+`}`, disclosure(`["s","exp",9999999999]`)), "sd_claim_refused"},
	{"20 vct disclosed", payloadOnly(`{"iss":"i",`+sd(disclosure(`["s","vct","v"]`))+`}`, disclosure(`["s","vct","v"]`)), "sd_claim_refused"},
	{"20 inside status", payloadOnly(`{"iss":"i","vct":"v","status":{"status_list":{"uri":"u",` + sd(name) + `}}}`), "sd_claim_refused"},
	{"20 inside cnf", payloadOnly(`{"iss":"i","vct":"v","cnf":{"x":[` + element(elem) + `]}}`), "sd_claim_refused"},
	{"22 padding", func(w world) string { return with(","+sd(name+"="), name+"=")(w) }, "token_malformed"},
	{"22 white space in a disclosure", func(w world) string { return with(","+sd(name+"\n"), name+"\n")(w) }, "token_malformed"},
	{"22 trailing bits in a disclosure", func(w world) string {
		d := disclosure(`["s","name","aa"]`)
		d = d[:len(d)-1] + string(d[len(d)-1]+1)
		return with(","+sd(d), d)(w)
	}, "token_malformed"},
	{"22 space before", func(w world) string { return " " + with("")(w) }, "token_malformed"},
	{"22 trailing bits in the signature", func(w world) string {
		jwt := sign(w.t, w.issuer, header, payload(w, ""))
		return jwt[:len(jwt)-1] + string(jwt[len(jwt)-1]+1) + "~"
	}, "token_malformed"},
	{"24 signed by another", func(w world) string { return sign(w.t, newKey(w.t), header, payload(w, "")) + "~" }, "signature_invalid"},

	{"aka_vcts empty", with(`,"aka_vcts":[]`), "claim_invalid"},
	{"aka_vcts holds vct", with(`,"aka_vcts":["urn:example:finding"]`), "claim_invalid"},
	{"aka_vcts good", with(`,"aka_vcts":["urn:other"]`), ""},
	{"vct is a number", payloadOnly(`{"iss":"i","vct":1,"exp":1790001000,"cnf":{},"status":{"status_list":{"idx":1,"uri":"u"}}}`), "claim_invalid"},
	{"iss is a list", payloadOnly(`{"iss":["i"],"vct":"v","exp":1790001000,"cnf":{},"status":{"status_list":{"idx":1,"uri":"u"}}}`), "claim_invalid"},
	{"aud is somebody", with(`,"aud":"https://x.example"`), "claim_invalid"},
	{"status is of another kind", payloadOnly(`{"iss":"i","vct":"v","exp":1790001000,"cnf":{},"status":{"other":1}}`), "claim_invalid"},
	{"status index is a text", payloadOnly(`{"iss":"i","vct":"v","exp":1790001000,"cnf":{},"status":{"status_list":{"idx":"1","uri":"u"}}}`), "claim_invalid"},
	{"status index is a fraction", payloadOnly(`{"iss":"i","vct":"v","exp":1790001000,"cnf":{},"status":{"status_list":{"idx":1.0,"uri":"u"}}}`), "claim_invalid"},
	{"status without uri", payloadOnly(`{"iss":"i","vct":"v","exp":1790001000,"cnf":{},"status":{"status_list":{"idx":1}}}`), "claim_invalid"},
}

// jwe is an encrypted token: as it is, and as somebody could dress it up.
func jwe(header string) func(world) string {
	return func(world) string { return b64.EncodeToString([]byte(header)) + ".AA.AA.AA.AA" }
}

func TestHostile(t *testing.T) {
	w := newWorld(t)
	required := []string{"iss", "exp", "cnf", "status"}
	for _, c := range hostiles {
		t.Run(c.name, func(t *testing.T) {
			claims, err := w.verify(c.token(w), sdjwt.Policy{Required: required})
			if got := code(err); got != c.code || (err == nil) != (c.code == "") {
				t.Fatalf("got %q (%v), want %q", got, err, c.code)
			}
			if err == nil {
				return
			}
			if claims != nil {
				t.Error("refused, but has claims")
			}
			if len(err.Error()) > 200 || strings.Contains(err.Error(), "Siti") {
				t.Error("the error repeats the token")
			}
		})
	}
}

// The rule about claims that stay open is that of verifiable credentials;
// plain RFC 9901 has none.
func TestPlainSDJWT(t *testing.T) {
	w := newWorld(t)
	d := disclosure(`["s","exp",1790000500]`)
	jwt := sign(t, w.issuer, `{"alg":"ES256","typ":"example+sd-jwt"}`, `{`+sd(d)+`}`)
	token, err := theirs.Parse(assemble(jwt, d))
	if err != nil {
		t.Fatal(err)
	}
	c, err := token.Verify(&w.issuer.PublicKey, sdjwt.Policy{Now: now, Required: []string{"exp"}})
	if err != nil || c.Expires().Unix() != 1790000500 {
		t.Errorf("got %v", err)
	}
}

func TestTimes(t *testing.T) {
	w := newWorld(t)
	at := func(member string, seconds int64) string { return fmt.Sprintf(`"%s":%d`, member, now.Unix()+seconds) }
	for _, c := range []struct {
		name, member string
		code         string
		is           error
	}{
		{"exp 59 s ago", at("exp", -59), "", nil},
		{"exp 60 s ago", at("exp", -60), "claim_invalid", sdjwt.ErrExpired},
		{"exp 61 s ago", at("exp", -61), "claim_invalid", sdjwt.ErrExpired},
		{"nbf in 59 s", at("nbf", 59), "", nil},
		{"nbf in 61 s", at("nbf", 61), "claim_invalid", sdjwt.ErrNotYetValid},
		{"exp is a fraction", `"exp":1790001000.0`, "claim_invalid", nil},
		{"exp has an exponent", `"exp":1.79e9`, "claim_invalid", nil},
		{"exp is a text", `"exp":"1790001000"`, "claim_invalid", nil},
		{"exp is negative", `"exp":-1`, "claim_invalid", nil},
		{"exp is 2^63", `"exp":9223372036854775808`, "claim_invalid", nil},
		{"exp is 2^63-1", `"exp":9223372036854775807`, "claim_invalid", nil},
		{"exp is null", `"exp":null`, "claim_invalid", nil},
		{"nbf is a text", `"nbf":"0"`, "claim_invalid", nil},
		{"iat is a fraction", `"iat":1.5`, "claim_invalid", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims, err := w.verify(sign(t, w.issuer, header, `{"vct":"v",`+c.member+`}`)+"~", sdjwt.Policy{})
			if got := code(err); got != c.code || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %q", err, c.code)
			}
			if has := claims != nil; has != (err == nil || c.is != nil) {
				t.Errorf("claims are there: %v", has)
			}
		})
	}
	token, err := sdjwt.Parse(w.credential(), sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := token.Verify(&w.issuer.PublicKey, sdjwt.Policy{}); err == nil || c != nil {
		t.Error("verified without a time")
	}
}

func TestAudience(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, aud, mine string
		ok              bool
	}{
		{"mine", `"a"`, "a", true},
		{"mine among others", `["b","a"]`, "a", true},
		{"somebody else", `"b"`, "a", false},
		{"others", `["b"]`, "a", false},
		{"empty and I am nobody", `""`, "", false},
		{"list with an empty text and I am nobody", `[""]`, "", false},
		{"number", `1`, "a", false},
		{"object", `{"a":1}`, "a", false},
	} {
		_, err := w.verify(with(`,"aud":`+c.aud)(w), sdjwt.Policy{Audience: c.mine})
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// TestBinding is hostile case 96, and what is like it: what is wrong with a key binding, or
// stands where one could be, is refused.
func TestBinding(t *testing.T) {
	w := newWorld(t)
	want := sdjwt.Binding{Nonce: "nonce", Audience: "https://verifier.example"}
	shown := with(","+sd(name, other), name)(w)
	good, err := sdjwt.Bind(shown, want, now, w.holder)
	if err != nil {
		t.Fatal(err)
	}
	kb := func(header, payload string) string { return shown + sign(t, w.holder, header, payload) }
	const kbHeader = `{"alg":"ES256","typ":"kb+jwt"}`
	hash := sdjwt.Digest(shown)
	body := func(iat, nonce, aud, hash string) string {
		return `{"iat":` + iat + `,"nonce":` + nonce + `,"aud":` + aud + `,"sd_hash":"` + hash + `"}`
	}
	const iat, nonce, aud = `1790000000`, `"nonce"`, `"https://verifier.example"`
	rebind := func(to sdjwt.Binding, at time.Time, presentation string) string {
		s, err := sdjwt.Bind(presentation, to, at, w.holder)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	moved := func(presentation string) string {
		_, last, _ := strings.Cut(good[strings.LastIndex(good, "~"):], "~")
		return presentation + last
	}
	for _, c := range []struct{ name, token, code string }{
		{"good", good, ""},
		{"good, made by hand", kb(kbHeader, body(iat, nonce, aud, hash)), ""},
		{"good, more members", kb(kbHeader, `{"x":[1],`+body(iat, nonce, aud, hash)[1:]), ""},
		{"119 s ago", rebind(want, now.Add(-119*time.Second), shown), ""},
		{"in 119 s", rebind(want, now.Add(119*time.Second), shown), ""},
		{"stripped", shown, "kb_required"},
		{"wrong nonce", rebind(sdjwt.Binding{Nonce: "other", Audience: want.Audience}, now, shown), "kb_invalid"},
		{"other audience", rebind(sdjwt.Binding{Nonce: want.Nonce, Audience: "https://other.example"}, now, shown), "kb_invalid"},
		{"10 minutes ago", rebind(want, now.Add(-10*time.Minute), shown), "kb_invalid"},
		{"in 10 minutes", rebind(want, now.Add(10*time.Minute), shown), "kb_invalid"},
		{"disclosure added", moved(assemble(strings.Split(shown, "~")[0], name, other)), "kb_invalid"},
		{"disclosure removed", moved(assemble(strings.Split(shown, "~")[0])), "kb_invalid"},
		{"hash of the issuer's part", kb(kbHeader, body(iat, nonce, aud, sdjwt.Digest(strings.Split(shown, "~")[0]))), "kb_invalid"},
		{"hash is missing", kb(kbHeader, `{"iat":`+iat+`,"nonce":`+nonce+`,"aud":`+aud+`}`), "kb_invalid"},
		{"iat is missing", kb(kbHeader, `{"nonce":`+nonce+`,"aud":`+aud+`,"sd_hash":"`+hash+`"}`), "kb_invalid"},
		{"iat is a text", kb(kbHeader, body(`"1790000000"`, nonce, aud, hash)), "kb_invalid"},
		{"iat is a fraction", kb(kbHeader, body(`1790000000.5`, nonce, aud, hash)), "kb_invalid"},
		{"aud is a list", kb(kbHeader, body(iat, nonce, `[`+aud+`]`, hash)), "kb_invalid"},
		{"nonce is a number", kb(kbHeader, body(iat, `1`, aud, hash)), "kb_invalid"},
		{"duplicate member", kb(kbHeader, `{"nonce":"x",`+body(iat, nonce, aud, hash)[1:]), "kb_invalid"},
		{"payload is a list", kb(kbHeader, `[]`), "kb_invalid"},
		{"typ JWT", kb(`{"alg":"ES256","typ":"JWT"}`, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"typ missing", kb(`{"alg":"ES256"}`, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"alg none", kb(`{"alg":"none","typ":"kb+jwt"}`, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"with a kid", kb(`{"alg":"ES256","typ":"kb+jwt","kid":"k"}`, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"with a jwk", kb(`{"alg":"ES256","typ":"kb+jwt","jwk":{}}`, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"signed by the issuer", shown + sign(t, w.issuer, kbHeader, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"signed by somebody", shown + sign(t, newKey(t), kbHeader, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"text after", good + "x", "kb_invalid"},
		{"not a token", shown + "x", "sd_malformed"},
		{"last tilde cut off", strings.TrimSuffix(shown, "~"), "sd_malformed"},
		{"no cnf", rebind(want, now, payloadOnly(`{"vct":"v"}`)(w)), "claim_missing"},
		{"cnf without key", rebind(want, now, payloadOnly(`{"vct":"v","cnf":{"kid":"1"}}`)(w)), "claim_invalid"},
		{"cnf is a text", rebind(want, now, payloadOnly(`{"vct":"v","cnf":"x"}`)(w)), "claim_invalid"},
		{"cnf with another kind of key", rebind(want, now, payloadOnly(`{"vct":"v","cnf":{"jwk":{"kty":"oct","k":"AA"}}}`)(w)), "claim_invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims, err := w.verify(c.token, sdjwt.Policy{Binding: &want})
			if got := code(err); got != c.code || (err == nil) != (c.code == "") || (claims == nil) != (err != nil) {
				t.Errorf("got %q (%v), want %q", got, err, c.code)
			}
		})
	}
	// RFC 9901 §7.3: whether it is wanted does not depend on what was sent. One that
	// was sent is the holder's all the same, for whomever and whenever it was.
	for _, c := range []struct{ name, token, code string }{
		{"good", good, ""},
		{"for another", rebind(sdjwt.Binding{Nonce: "other", Audience: "https://other.example"}, now.Add(-time.Hour), shown), ""},
		{"by the issuer", shown + sign(t, w.issuer, kbHeader, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"by somebody", shown + sign(t, newKey(t), kbHeader, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"of another typ", kb(`{"alg":"ES256","typ":"JWT"}`, body(iat, nonce, aud, hash)), "kb_invalid"},
		{"over another presentation", moved(assemble(strings.Split(shown, "~")[0])), "kb_invalid"},
		{"without a hash", kb(kbHeader, `{"iat":`+iat+`,"nonce":`+nonce+`,"aud":`+aud+`}`), "kb_invalid"},
		{"no cnf", rebind(want, now, payloadOnly(`{"vct":"v"}`)(w)), "claim_missing"},
	} {
		if _, err := w.verify(c.token, sdjwt.Policy{}); code(err) != c.code {
			t.Errorf("not wanted, but sent, %s: got %v, want %q", c.name, err, c.code)
		}
	}
	for _, b := range []sdjwt.Binding{{}, {Nonce: "nonce"}, {Audience: "a"}} {
		if _, err := w.verify(good, sdjwt.Policy{Binding: &b}); code(err) != "kb_invalid" {
			t.Errorf("a policy that asks for nothing: %v", err)
		}
	}
}

// Whatever comes in, the answer is the same twice, and what verifies is what
// was signed.
func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	jwt := sign(f, w.issuer, header, payload(w, ","+sd(name, parent)+`,"nationalities":[`+element(elem)+`]`))
	for _, rest := range []string{"~", "~" + name + "~", "~" + name + "~" + parent + "~" + other + "~", "~" + elem + "~", "~" + other + "~", "~~", ""} {
		f.Add(rest, []byte(nil))
	}
	f.Add("~"+name+"~", []byte(`["s","name",{"_sd":[]}]`))
	for _, c := range hostiles {
		if s := c.token(w); len(s) < 4096 {
			head, rest, _ := strings.Cut(s, "~")
			if p, err := b64.DecodeString(strings.Split(head+"..", ".")[1]); err == nil {
				f.Add("~"+rest, p)
			}
		}
	}
	f.Fuzz(func(t *testing.T, rest string, signed []byte) {
		token := jwt + rest
		if len(signed) > 0 {
			// The issuer, too, may be hostile: then all but the rules is right.
			token = sign(t, w.issuer, header, string(signed)) + rest
		}
		ask := func() (string, *sdjwt.Claims) {
			parsed, err := sdjwt.Parse(token, sdjwt.TypeVC)
			if err != nil {
				return code(err), nil
			}
			if _, err := parsed.Present("name"); err != nil && code(err) == "" && !errors.Is(err, sdjwt.ErrNoSuchClaim) {
				t.Fatalf("Present: %v", err)
			}
			c, err := parsed.Verify(&w.issuer.PublicKey, sdjwt.Policy{Now: now})
			if err != nil && code(err) == "" {
				t.Fatalf("no code: %v", err)
			}
			return code(err), c
		}
		one, c := ask()
		two, again := ask()
		if one != two {
			t.Fatalf("first %q, then %q", one, two)
		}
		if (c == nil) != (again == nil) {
			t.Fatal("claims are there only once")
		}
		if c == nil {
			return
		}
		if !cmp.Equal(c.Payload(), again.Payload()) || !slices.Equal(c.Disclosed(), again.Disclosed()) {
			t.Fatal("read twice, differently")
		}
		for _, reserved := range []string{"_sd", "_sd_alg", "..."} {
			if _, there := c.Payload()[reserved]; there {
				t.Fatalf("%s is left", reserved)
			}
		}
		if len(signed) == 0 && c.Issuer() != "https://ngo.example" {
			t.Fatal("the issuer was replaced")
		}
	})
}
