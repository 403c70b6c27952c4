package verifier

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
)

// vc is a credential before it is signed, as plain JSON values, so that a test
// can make what no issuer of ours would.
type vc struct {
	header  map[string]any
	payload map[string]any
	hidden  []any // disclosures: their digests go into _sd
	extra   []any // disclosures whose digests go nowhere
	key     *ecdsa.PrivateKey
}

const credentialIndex = 4242

// newVC is a good credential of the agency.
func (i *issued) newVC(t testing.TB) vc {
	t.Helper()
	return vc{
		header: map[string]any{"alg": "ES256", "typ": sdjwt.TypeVC, "kid": i.kid},
		payload: map[string]any{
			"iss": "https://agencies.example/one", "vct": "https://types.example/identity",
			"iat": day.Unix(), "exp": day.AddDate(0, 0, 30).Unix(), "_sd_alg": "sha-256",
			"status": map[string]any{"status_list": map[string]any{"uri": i.trust.StatusLists + "1", "idx": credentialIndex}},
		},
		hidden: []any{[]any{"c2FsdHNhbHRzYWx0c2FsdA", "given_name", "AMINA"}, []any{"c2FsdHNhbHRzYWx0c2FsdB", "family_name", "TESTER"}},
		key:    i.agencyKey,
	}
}

// credential signs a credential after edit, which may be nil.
func (i *issued) credential(t testing.TB, edit func(*vc)) string {
	t.Helper()
	c := i.newVC(t)
	if edit != nil {
		edit(&c)
	}
	return c.sign(t)
}

func (c vc) sign(t testing.TB) string {
	t.Helper()
	encode := func(v any) string {
		if raw, ok := v.(string); ok {
			return base64.RawURLEncoding.EncodeToString([]byte(raw))
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	var disclosures strings.Builder
	var digests []any
	for _, d := range c.hidden {
		s := encode(d)
		disclosures.WriteString(s + "~")
		sum := sha256.Sum256([]byte(s))
		digests = append(digests, base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	for _, d := range c.extra {
		disclosures.WriteString(encode(d) + "~")
	}
	if _, there := c.payload["_sd"]; !there && len(digests) > 0 {
		c.payload["_sd"] = digests
	}
	return signRaw(t, encode(c.header)+"."+encode(c.payload), c.key) + "~" + disclosures.String()
}

func signRaw(t testing.TB, input string, key *ecdsa.PrivateKey) string {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// TestCredentials judges credentials that their issuer really signed.
func TestCredentials(t *testing.T) {
	i := newIssued(t)
	stranger := newKey(t)
	now := noon
	claim := func(name string, value any) func(*vc) {
		return func(c *vc) {
			if value == nil {
				delete(c.payload, name)
				return
			}
			c.payload[name] = value
		}
	}
	status := func(uri string, idx any) func(*vc) {
		return claim("status", map[string]any{"status_list": map[string]any{"uri": uri, "idx": idx}})
	}
	inList := func(value uint8) func(*network) {
		return func(n *network) { n.status = map[uint16]list{1: {entries: map[int]uint8{credentialIndex: value}}} }
	}
	oldList := func(value uint8) func(*network) {
		return func(n *network) {
			n.status = map[uint16]list{1: {entries: map[int]uint8{credentialIndex: value}, from: now.Add(-80 * time.Hour), to: now}}
		}
	}
	answered := func(value uint8) func(*network) {
		return func(n *network) { n.answers = map[uint16]list{1: {entries: map[int]uint8{credentialIndex: value}}} }
	}
	ours := i.trust.StatusLists
	day30 := day.AddDate(0, 0, 30)
	tests := []struct {
		name   string
		edit   func(*vc)
		net    func(*network)
		now    time.Time // zero: noon
		state  State
		reason Reason
	}{
		{name: "as it is", state: Unconfirmed},
		{name: "answered by the mission", net: answered(1), state: Confirmed, reason: ReasonMission},
		{name: "answered by another authority", net: answered(3), state: Confirmed, reason: ReasonOtherAuthority},
		{name: "withdrawn", net: inList(statuslist.Invalid), state: OutOfUse},
		{name: "paused", net: inList(statuslist.Suspended), state: Paused},
		{name: "replaced", net: inList(statuslist.Replaced), state: Replaced},
		{name: "list old", net: oldList(0), state: StatusOld, reason: ReasonStatusExpired},
		{name: "withdrawn, list old", net: oldList(1), state: OutOfUse},
		{name: "no such list", edit: status(ours+"2", 1), state: StatusOld, reason: ReasonStatusMissing},
		{name: "the last index", edit: status(ours+"1", statuslist.Entries-1), state: Unconfirmed},
		{name: "index beyond the list", edit: status(ours+"1", statuslist.Entries), state: StatusOld, reason: ReasonStatusIndex},
		{name: "index 2^31", edit: status(ours+"1", 1<<31), state: StatusOld, reason: ReasonStatusIndex},
		{name: "index 2^32", edit: status(ours+"1", 1<<32), state: StatusOld, reason: ReasonStatusIndex},
		{name: "index below the list", edit: status(ours+"1", -1), state: StatusOld, reason: ReasonStatusIndex},
		{name: "list of another network", edit: status("https://elsewhere.example/status-lists/1", 1), state: StatusOld, reason: ReasonStatusMissing},
		{name: "list number with a zero", edit: status(ours+"01", 1), state: StatusOld, reason: ReasonStatusMissing},
		{name: "list number with a sign", edit: status(ours+"+1", 1), state: StatusOld, reason: ReasonStatusMissing},
		{name: "list number too large", edit: status(ours+"65537", 1), state: StatusOld, reason: ReasonStatusMissing},
		{name: "an answers list instead", edit: status(i.trust.AnswersLists+"1", 1), state: StatusOld, reason: ReasonStatusMissing},
		{name: "index is a text", edit: status(ours+"1", "1"), state: DoesNotMatch, reason: sdjwt.CodeClaimInvalid},
		{name: "no status", edit: claim("status", nil), state: DoesNotMatch, reason: sdjwt.CodeClaimMissing},
		{name: "no exp", edit: claim("exp", nil), state: DoesNotMatch, reason: sdjwt.CodeClaimMissing},
		{name: "no iat", edit: claim("iat", nil), state: DoesNotMatch, reason: sdjwt.CodeClaimMissing},
		{name: "no iss", edit: claim("iss", nil), state: DoesNotMatch, reason: sdjwt.CodeClaimMissing},
		{name: "no vct", edit: claim("vct", nil), state: DoesNotMatch, reason: sdjwt.CodeClaimMissing},
		{name: "59 s after exp", now: day30.Add(59 * time.Second), state: Unconfirmed},
		{name: "60 s after exp", now: day30.Add(60 * time.Second), state: Expired},
		{name: "60 s before nbf", edit: claim("nbf", now.Unix()+60), state: Unconfirmed},
		{name: "61 s before nbf", edit: claim("nbf", now.Unix()+61), state: NotYetInUse, reason: ReasonNotBegun},
		{name: "60 s before iat", edit: claim("iat", now.Unix()+60), state: Unconfirmed},
		{name: "61 s before iat", edit: claim("iat", now.Unix()+61), state: NotYetInUse, reason: ReasonNotBegun},
		{name: "withdrawn and past its date", net: inList(1), now: day30.AddDate(0, 0, 1), state: OutOfUse},
		{name: "paused and past its date", net: inList(2), now: day30.AddDate(0, 0, 1), state: Paused},
		{name: "exp is a text", edit: claim("exp", "tomorrow"), state: DoesNotMatch, reason: sdjwt.CodeClaimInvalid},
		{name: "exp is a fraction", edit: claim("exp", 1.8e9+0.5), state: DoesNotMatch, reason: sdjwt.CodeClaimInvalid},
		{name: "exp is negative", edit: claim("exp", -1), state: DoesNotMatch, reason: sdjwt.CodeClaimInvalid},
		{name: "exp is 2^63", edit: claim("exp", json.Number("9223372036854775808")), state: DoesNotMatch, reason: sdjwt.CodeClaimInvalid},
		{name: "for somebody else", edit: claim("aud", "somebody"), state: DoesNotMatch, reason: sdjwt.CodeClaimInvalid},
		{name: "iss of another agency", edit: claim("iss", "https://agencies.example/two"), state: IssuerUnknown, reason: ReasonIssuerKey},
		{name: "key window ends with iat", net: func(n *network) { n.trust.Agencies[0].Keys[0].To = day.Unix() }, state: IssuerUnknown, reason: ReasonIssuerKey},
		{name: "key window begins with iat", net: func(n *network) { n.trust.Agencies[0].Keys[0].From = day.Unix() }, state: Unconfirmed},
		{name: "key stolen, not logged", net: func(n *network) { n.trust.Agencies[0].Keys[0].Compromised = &Compromise{} }, state: IssuerUnknown, reason: ReasonIssuerKey},
		{name: "key revoked", net: func(n *network) { n.trust.Agencies[0].Keys[0].Revoked = true }, state: IssuerUnknown, reason: ReasonKeyUnknown},
		{name: "agency suspended", net: func(n *network) { n.trust.Agencies[0].Suspended = true }, state: IssuerUnknown, reason: ReasonKeyUnknown},
		{name: "kid not listed", edit: func(c *vc) { c.header["kid"] = "0000000000000000" }, state: IssuerUnknown, reason: ReasonKeyUnknown},
		{name: "signed by a stranger", edit: func(c *vc) { c.key = stranger }, state: DoesNotMatch, reason: jws.CodeSignature},
		{name: "one kid, two agencies, the other first", net: func(n *network) {
			n.agency("two", i.kid, &stranger.PublicKey)
			slices.Reverse(n.trust.Agencies)
		}, state: Unconfirmed},
		{name: "one key, two agencies, the other first", net: func(n *network) {
			n.agency("two", i.kid, &i.agencyKey.PublicKey)
			slices.Reverse(n.trust.Agencies)
		}, state: Unconfirmed},
	}
	base := i.trust
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := *i.network
			n.t = t
			n.envelope.LeaseUntil = day.AddDate(0, 0, 60).Unix()
			n.trust = base
			n.trust.Expires = day.AddDate(0, 0, 60).Unix()
			n.status, n.answers = map[uint16]list{1: {to: day.AddDate(0, 0, 60)}}, map[uint16]list{1: {}}
			n.trust.Agencies = slices.Clone(base.Agencies)
			n.trust.Agencies[0].Keys = slices.Clone(base.Agencies[0].Keys)
			if test.net != nil {
				test.net(&n)
			}
			at := test.now
			if at.IsZero() {
				at = now
			}
			v := n.open(noon).Verify(Presentation{Text: i.credential(t, test.edit), Code: ptr("a code is of no use here")}, at)
			want := test.reason
			if want == jws.CodeSignature {
				want = ReasonSignature
			}
			if v.State != test.state || v.Reason != want {
				t.Errorf("got %v, want %s (%s)", v, test.state, want)
			}
			if v.Credential != nil {
				if v.Credential.Type != "https://types.example/identity" || v.Credential.Claims["family_name"] != "TESTER" {
					t.Error("the claims are not those of the credential")
				}
				if v.Card != nil || v.OpenKey() != nil || v.Issuer.ID != "one" {
					t.Error("the verdict carries something else")
				}
			}
			if err := honest(v); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("credentials: %d cases", len(tests))
}

// TestCompromisedCredential: what was logged before its key was stolen stays.
func TestCompromisedCredential(t *testing.T) {
	i := newIssued(t)
	token := i.credential(t, nil)
	jwt, _, _ := strings.Cut(token, "~")
	sum := sha256.Sum256([]byte(jwt[:strings.LastIndex(jwt, ".")]))
	i.trust.Agencies[0].Keys[0].Compromised = &Compromise{At: day.Unix(), Logged: []string{fmt.Sprintf("%x", sum[:8])}}
	p := i.open(noon)
	if v := p.Verify(Presentation{Text: token}, noon); v.State != Unconfirmed {
		t.Errorf("logged: got %v, want unconfirmed", v)
	}
	if v := p.Verify(Presentation{Text: i.credential(t, func(c *vc) { c.payload["exp"] = day.Unix() + 1e6 })}, noon); v.State != IssuerUnknown {
		t.Errorf("not logged: got %v, want issuer_unknown", v)
	}
}

// TestBinding: that the holder presents a credential is asked for by the
// verifier, and never by the credential.
func TestBinding(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	holder, stranger := newKey(t), newKey(t)
	bindable := func(c *vc) {
		c.payload["cnf"] = map[string]any{"jwk": jwk(t, &holder.PublicKey)}
	}
	want := Binding{Nonce: "nonce-1", Audience: "https://check.example"}
	bound := func(to Binding, at time.Time, key *ecdsa.PrivateKey, edit func(*vc)) string {
		t.Helper()
		s, err := sdjwt.Bind(i.credential(t, edit), to, at, key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := bound(want, noon, holder, bindable)
	tests := []struct {
		name      string
		text      string
		binding   *Binding
		state     State
		reason    Reason
		signature Answer
	}{
		{"asked for and given", good, &want, Unconfirmed, ReasonNone, Yes},
		{"given and not asked for", good, nil, Unconfirmed, ReasonNone, Yes},
		{"stripped", good[:strings.LastIndex(good, "~")+1], &want, DoesNotMatch, sdjwt.CodeBindingRequired, Unchecked},
		{"stripped and not asked for", good[:strings.LastIndex(good, "~")+1], nil, Unconfirmed, ReasonNone, Yes},
		{"other nonce", bound(Binding{Nonce: "nonce-2", Audience: want.Audience}, noon, holder, bindable), &want, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"other audience", bound(Binding{Nonce: want.Nonce, Audience: "https://other.example"}, noon, holder, bindable), &want, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"too old", bound(want, noon.Add(-10*time.Minute), holder, bindable), &want, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"too new", bound(want, noon.Add(10*time.Minute), holder, bindable), &want, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"by somebody else", bound(want, noon, stranger, bindable), &want, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"over more disclosures than shown", withoutDisclosure(good), &want, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"a credential without cnf", bound(want, noon, holder, nil), &want, DoesNotMatch, sdjwt.CodeClaimMissing, Yes},
		{"a credential without cnf, not asked for", bound(want, noon, holder, nil), nil, DoesNotMatch, sdjwt.CodeClaimMissing, Yes},
		{"by somebody else, not asked for", bound(want, noon, stranger, bindable), nil, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"over more disclosures than shown, not asked for", withoutDisclosure(good), nil, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
		{"asked for without a nonce", good, &Binding{Audience: want.Audience}, DoesNotMatch, sdjwt.CodeBindingInvalid, Yes},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := p.Verify(Presentation{Text: test.text, Binding: test.binding}, noon)
			if v.State != test.state || v.Reason != test.reason || v.Checks.Signature != test.signature {
				t.Errorf("got %v, signature %s; want %s (%s), signature %s", v, v.Checks.Signature, test.state, test.reason, test.signature)
			}
			if err := honest(v); err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// withoutDisclosure takes the first disclosure out of a presentation.
func withoutDisclosure(s string) string {
	parts := strings.Split(s, "~")
	return strings.Join(append(parts[:1:1], parts[2:]...), "~")
}

// TestHostileCredentials: what is malformed or was changed is unreadable or
// does not match, says why, and shows nothing.
func TestHostileCredentials(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	good := i.credential(t, nil)
	header := func(name string, value any) func(*vc) {
		return func(c *vc) {
			c.header[name] = value
			if value == nil {
				delete(c.header, name)
			}
		}
	}
	hidden := func(d ...any) func(*vc) { return func(c *vc) { c.hidden = append(c.hidden, d...) } }
	in := func(name string, value any) func(*vc) { return func(c *vc) { c.payload[name] = value } }
	issue := func(edit func(*vc)) string { return i.credential(t, edit) }
	raw := func(header, payload string) string {
		e := base64.RawURLEncoding
		return signRaw(t, e.EncodeToString([]byte(header))+"."+e.EncodeToString([]byte(payload)), i.agencyKey) + "~"
	}
	plain := fmt.Sprintf(`{"alg":"ES256","typ":"dc+sd-jwt","kid":"%s"`, i.kid)
	jwt, rest, _ := strings.Cut(good, "~")
	parts := strings.Split(jwt, ".")
	jwe := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"
	}
	salt := "c2FsdHNhbHRzYWx0c2FsdC"
	tests := []struct {
		name   string
		text   string
		state  State
		reason Reason
	}{
		{"alg none", issue(header("alg", "none")), Unreadable, jws.CodeAlg},
		{"alg None", issue(header("alg", "None")), Unreadable, jws.CodeAlg},
		{"alg empty", issue(header("alg", "")), Unreadable, jws.CodeAlg},
		{"alg missing", issue(header("alg", nil)), Unreadable, jws.CodeAlg},
		{"alg none, no signature", encoded(`{"alg":"none","typ":"dc+sd-jwt"}`) + "." + parts[1] + ".~" + rest, Unreadable, jws.CodeAlg},
		{"HS256 with the public key", issue(header("alg", "HS256")), Unreadable, jws.CodeAlg},
		{"EdDSA", issue(header("alg", "EdDSA")), Unreadable, jws.CodeAlg},
		{"kid is a path", issue(header("kid", "../../etc/passwd")), Unreadable, jws.CodeKeyID},
		{"kid is a query", issue(header("kid", "x' OR 1=1--")), Unreadable, jws.CodeKeyID},
		{"kid has a NUL", issue(header("kid", "a\x00b")), Unreadable, jws.CodeKeyID},
		{"kid is long", issue(header("kid", strings.Repeat("a", 20_000))), Unreadable, jws.CodeKeyID},
		{"kid is missing", issue(header("kid", nil)), Unreadable, jws.CodeKeyID},
		{"jku", issue(header("jku", "http://169.254.169.254/")), Unreadable, jws.CodeHeader},
		{"x5u", issue(header("x5u", "http://169.254.169.254/")), Unreadable, jws.CodeHeader},
		{"jwk", issue(header("jwk", jwk(t, &i.agencyKey.PublicKey))), Unreadable, jws.CodeHeader},
		{"x5c", issue(header("x5c", []string{"AAAA"})), Unreadable, jws.CodeHeader},
		{"crit", issue(header("crit", []string{"exp"})), Unreadable, jws.CodeHeader},
		{"b64", issue(header("b64", false)), Unreadable, jws.CodeHeader},
		{"zip", issue(header("zip", "DEF")), Unreadable, jws.CodeHeader},
		{"typ missing", issue(header("typ", nil)), Unreadable, jws.CodeTyp},
		{"typ JWT", issue(header("typ", "JWT")), Unreadable, jws.CodeTyp},
		{"typ vc+sd-jwt", issue(header("typ", "vc+sd-jwt")), Unreadable, jws.CodeTyp},
		{"typ kb+jwt", issue(header("typ", "kb+jwt")), Unreadable, jws.CodeTyp},
		{"typ statuslist+jwt", issue(header("typ", "statuslist+jwt")), Unreadable, jws.CodeTyp},
		{"typ of a pack", issue(header("typ", TypePack)), Unreadable, jws.CodeTyp},
		{"JWE, compressed", jwe(`{"alg":"ECDH-ES","enc":"A256GCM","zip":"DEF"}`), Unreadable, jws.CodeHeader},
		{"JWE, PBES2", jwe(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAA"}`), Unreadable, jws.CodeAlg},
		{"JWE, A256KW with no key", jwe(`{"alg":"A256KW","enc":"A256GCM"}`), Unreadable, jws.CodeAlg},
		{"header key twice", raw(plain+`,"kid":"x"}`, "{}"), Unreadable, "json_duplicate_key"},
		{"header key twice, other case", raw(plain+`,"KID":"x"}`, "{}"), Unreadable, "json_duplicate_key"},
		{"header with something after it", raw(plain+`} `+`{}`, "{}"), Unreadable, "json_invalid"},
		{"header with white space", raw("{ "+plain[1:]+"}", `{}`), DoesNotMatch, sdjwt.CodeClaimMissing},
		{"claim twice", raw(plain+"}", `{"exp":1,"exp":2}`), DoesNotMatch, "json_duplicate_key"},
		{"claim twice, other case", raw(plain+"}", `{"exp":1,"EXP":2}`), DoesNotMatch, "json_duplicate_key"},
		{"payload too deep", raw(plain+"}", strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000)), Unreadable, jws.CodeTooLarge},
		{"payload rather deep", raw(plain+"}", strings.Repeat(`{"a":`, 500)+"1"+strings.Repeat("}", 500)), DoesNotMatch, "json_invalid"},
		{"payload with 1e400", raw(plain+"}", `{"exp":1e400}`), DoesNotMatch, "json_invalid"},
		{"payload not UTF-8", raw(plain+"}", "{\"a\":\"\xff\"}"), DoesNotMatch, "json_invalid"},
		{"payload with half a character", raw(plain+"}", `{"a":"\ud800"}`), DoesNotMatch, "json_invalid"},
		{"payload with something after it", raw(plain+"}", `{}{}`), DoesNotMatch, "json_invalid"},
		{"payload no object", raw(plain+"}", `[]`), DoesNotMatch, sdjwt.CodeMalformed},
		{"disclosure that nothing names", issue(func(c *vc) { c.extra = []any{[]any{salt, "x", 1}} }), DoesNotMatch, sdjwt.CodeUnreferenced},
		{"disclosure twice", good + strings.Split(rest, "~")[0] + "~", DoesNotMatch, sdjwt.CodeDuplicateDigest},
		{"digest twice", issue(in("_sd", []any{"x", "x"})), DoesNotMatch, sdjwt.CodeDuplicateDigest},
		{"disclosure named _sd", issue(hidden([]any{salt, "_sd", []any{}})), DoesNotMatch, sdjwt.CodeClaimRefused},
		{"disclosure named ...", issue(hidden([]any{salt, "...", "x"})), DoesNotMatch, sdjwt.CodeClaimRefused},
		{"disclosure of exp", issue(hidden([]any{salt, "exp", 1})), DoesNotMatch, sdjwt.CodeClaimRefused},
		{"disclosure of status", issue(hidden([]any{salt, "status", 1})), DoesNotMatch, sdjwt.CodeClaimRefused},
		{"disclosure of cnf", issue(hidden([]any{salt, "cnf", 1})), DoesNotMatch, sdjwt.CodeClaimRefused},
		{"disclosure of what is there", issue(func(c *vc) { c.payload["given_name"] = "X" }), DoesNotMatch, sdjwt.CodeClaimRefused},
		{"disclosure of two parts", issue(hidden([]any{salt, "x"})), DoesNotMatch, sdjwt.CodeMalformed},
		{"disclosure of four parts", issue(hidden([]any{salt, "x", 1, 2})), DoesNotMatch, sdjwt.CodeMalformed},
		{"disclosure with a number for salt", issue(hidden([]any{1, "x", 1})), DoesNotMatch, sdjwt.CodeMalformed},
		{"_sd_alg sha-256-32", issue(in("_sd_alg", "sha-256-32")), DoesNotMatch, sdjwt.CodeAlgRefused},
		{"_sd_alg unknown", issue(in("_sd_alg", "md5")), DoesNotMatch, sdjwt.CodeAlgRefused},
		{"exp hidden and withheld", issue(func(c *vc) { delete(c.payload, "exp") }), DoesNotMatch, sdjwt.CodeClaimMissing},
		{"too many disclosures", good + strings.Repeat("WzFd~", 65), Unreadable, sdjwt.CodeMalformed},
		{"no tilde", jwt, Unreadable, sdjwt.CodeMalformed},
		{"last tilde missing", strings.TrimSuffix(good, "~"), Unreadable, sdjwt.CodeMalformed},
		{"cut inside a disclosure", good[:len(good)-9], Unreadable, sdjwt.CodeMalformed},
		{"text behind the last tilde", good + "x", Unreadable, sdjwt.CodeMalformed},
		{"a sentence behind the last tilde", good + " is genuine", Unreadable, sdjwt.CodeMalformed},
		{"a credential behind the last tilde", good + jwt, DoesNotMatch, sdjwt.CodeClaimMissing},
		{"a tilde more", good + "~", Unreadable, sdjwt.CodeMalformed},
		{"a tilde more in front", jwt + "~~" + rest, Unreadable, sdjwt.CodeMalformed},
		{"a line break between disclosures", jwt + "~\n" + rest, Unreadable, jws.CodeMalformed},
		{"a line break inside a disclosure", jwt + "~" + rest[:9] + "\r\n" + rest[9:], Unreadable, jws.CodeMalformed},
		{"a line break inside the signed part", parts[0] + "." + parts[1][:9] + "\n" + parts[1][9:] + "." + parts[2] + "~" + rest, Unreadable, jws.CodeMalformed},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2] + "~", Unreadable, jws.CodeMalformed},
		{"white space", parts[0] + "\n." + parts[1] + "." + parts[2] + "~", Unreadable, jws.CodeMalformed},
		{"four parts", jwt + ".x~", Unreadable, jws.CodeMalformed},
		{"two parts and a dot", parts[0] + "." + parts[1] + ".~", Unreadable, jws.CodeMalformed},
		{"signature of another length", parts[0] + "." + parts[1] + "." + parts[2][:80] + "~", Unreadable, jws.CodeMalformed},
		{"signature changed", parts[0] + "." + parts[1] + "." + flip(parts[2]) + "~", DoesNotMatch, ReasonSignature},
		{"payload changed", parts[0] + "." + flip(parts[1]) + "." + parts[2] + "~", DoesNotMatch, ReasonSignature},
		{"trailing bits", parts[0] + "." + parts[1] + "." + looseBits(parts[2]) + "~", Unreadable, jws.CodeMalformed},
		{"too large", good + strings.Repeat("A", MaxText), Unreadable, ReasonTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := p.Verify(Presentation{Text: test.text}, noon)
			if v.State != test.state || v.Reason != test.reason {
				t.Errorf("got %v, want %s (%s)", v, test.state, test.reason)
			}
			if err := honest(v); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("hostile credentials: %d cases", len(tests))
}

func encoded(header string) string { return base64.RawURLEncoding.EncodeToString([]byte(header)) }

// flip changes the first character to another one.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// looseBits sets the bits behind the last byte, which base64 leaves unused.
func looseBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last^1])
}

// TestCredentialEveryByte changes every character of a credential that the
// issuer signed, one at a time.
func TestCredentialEveryByte(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	good := i.credential(t, nil)
	states := map[State]int{}
	for at := range len(good) {
		b := []byte(good)
		b[at] ^= 1
		v := p.Verify(Presentation{Text: string(b)}, noon)
		states[v.State]++
		if v.Credential != nil || !slices.Contains([]State{Unreadable, DoesNotMatch, IssuerUnknown, NotOurs}, v.State) {
			t.Errorf("character %d: got %v", at, v)
		}
	}
	t.Logf("changed characters: %d cases, %v", len(good), states)
}

// TestPasted: what copying leaves around a credential is dropped, and a card's
// digits stay as they are.
func TestPasted(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	good := i.credential(t, nil)
	for _, around := range []string{" ", "\n", "\r\n", "\t", "\u00a0", "\u2028", "\ufeff", "\u200b", "\u2066", " \n\u202a\ufeff "} {
		t.Run(fmt.Sprintf("%q", around), func(t *testing.T) {
			for name, text := range map[string]string{"before": around + good, "behind": good + around, "around": around + good + around} {
				if v := p.Verify(Presentation{Text: text}, noon); v.State != Unconfirmed || v.Credential == nil {
					t.Errorf("%q %s: got %v, want unconfirmed", around, name, v)
				}
			}
			if v := p.Verify(Presentation{Text: around + i.digits}, noon); v.State != NotOurs {
				t.Errorf("%q before a card: got %v, want not_ours", around, v)
			}
		})
	}
}

// TestSaysNothing: a credential of which every claim was cut off is genuine, and
// its verdict tells that it says nothing.
func TestSaysNothing(t *testing.T) {
	i := newIssued(t)
	p := i.open(noon)
	salt := "c2FsdHNhbHRzYWx0c2FsdC"
	cutAll := func(s string) string { return s[:strings.IndexByte(s, '~')+1] }
	whole := i.credential(t, nil)
	inner := i.credential(t, func(c *vc) {
		sum := sha256.Sum256([]byte("withheld"))
		digest := base64.RawURLEncoding.EncodeToString(sum[:])
		c.hidden = nil
		c.payload["address"] = map[string]any{"_sd": []any{digest}, "lines": []any{map[string]any{"...": digest + "x"}}}
	})
	tests := []struct {
		name string
		text string
		want bool
	}{
		{"nothing was cut off", whole, false},
		{"one is left", withoutDisclosure(whole), false},
		{"everything was cut off", cutAll(whole), true},
		{"only empty containers are left", inner, true},
		{"something was never hidden", cutAll(i.credential(t, func(c *vc) { c.payload["note"] = "x" })), false},
		{"false is something", i.credential(t, func(c *vc) { c.hidden = []any{[]any{salt, "adult", false}} }), false},
		{"null is something", i.credential(t, func(c *vc) { c.hidden = []any{[]any{salt, "adult", nil}} }), false},
		{"only claims about itself", cutAll(i.credential(t, func(c *vc) { c.payload["jti"], c.payload["nbf"] = "7", day.Unix() })), true},
	}
	for _, test := range tests {
		v := p.Verify(Presentation{Text: test.text}, noon)
		if v.State != Unconfirmed || v.SaysNothing != test.want {
			t.Errorf("%s: got %v, says nothing: %v, want %v", test.name, v, v.SaysNothing, test.want)
		}
		b, err := json.Marshal(v)
		if err != nil || strings.Contains(string(b), `"says_nothing":true`) != test.want {
			t.Errorf("%s: %v, %s", test.name, err, b)
		}
	}
	i.status[1] = list{entries: map[int]uint8{credentialIndex: statuslist.Invalid}}
	if v := i.open(noon).Verify(Presentation{Text: cutAll(whole)}, noon); v.State != OutOfUse || !v.SaysNothing {
		t.Errorf("out of use: got %v, says nothing: %v", v, v.SaysNothing)
	}
	if v := p.Verify(Presentation{Text: cutAll(whole) + "x"}, noon); v.SaysNothing {
		t.Errorf("not accepted: got %v, says nothing: %v", v, v.SaysNothing)
	}
}

// TestOurIssuer holds the verifier against what package sdjwt signs.
func TestOurIssuer(t *testing.T) {
	i := newIssued(t)
	token, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: i.kid}, []sdjwt.Member{
		{Name: "iss", Value: "https://agencies.example/one"}, {Name: "vct", Value: "https://types.example/identity"},
		{Name: "iat", Value: day.Unix()}, {Name: "exp", Value: day.AddDate(0, 0, 30).Unix()},
		sdjwt.Status{URI: i.trust.StatusLists + strconv.Itoa(1), Index: 7}.Member(),
	}, []sdjwt.Member{{Name: "given_name", Value: "AMINA"}, {Name: "birth_date", Value: "1998"}}, 8, i.agencyKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := sdjwt.Parse(token, sdjwt.TypeVC)
	if err != nil {
		t.Fatal(err)
	}
	part, err := parsed.Present("birth_date")
	if err != nil {
		t.Fatal(err)
	}
	v := i.open(noon).Verify(Presentation{Text: part}, noon)
	if v.State != Unconfirmed {
		t.Fatalf("got %v, want unconfirmed", v)
	}
	_, withheld := v.Credential.Claims["given_name"]
	if v.Credential.Claims["birth_date"] != "1998" || withheld {
		t.Error("the claims are not those that were shown")
	}
}
