package sdjwt_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/vectortest"
)

// theirs reads what the authors' examples need: their types, and no kid.
var theirs = sdjwt.Profile{Types: []string{"example+sd-jwt", sdjwt.TypeVC}, KeyID: jws.KeyIDOptional}

// while is a time at which all examples are valid.
var while = time.Unix(1700000000, 0)

// folder is one example.
type folder struct {
	t      *testing.T
	path   string
	issuer *ecdsa.PublicKey
	holder *ecdsa.PublicKey
}

// read returns a file, or "" if the example has none.
func (f folder) read(name string) string {
	b, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	return string(b)
}

// compact returns a token; the files break its lines.
func (f folder) compact(name string) string { return strings.Join(strings.Fields(f.read(name)), "") }

// json reads a file of JSON. The authors break lines inside strings, too.
func (f folder) json(name string) any {
	text := lineBreak.ReplaceAllString(f.read(name), "")
	v, err := strictjson.Value([]byte(text), strictjson.Limits{Depth: 20})
	if err != nil {
		f.t.Fatalf("%s: %v", name, err)
	}
	return v
}

var (
	lineBreak  = regexp.MustCompile(`\n *`)
	keyLine    = regexp.MustCompile(`(?m)^\s*-?\s*(kty|crv|x|y): *"?([\w-]+)"?`)
	digestLine = regexp.MustCompile("SHA-256 Hash: `([^`]+)`")
	codeSpan   = regexp.MustCompile("`([^`]*)`")
	decoyLine  = regexp.MustCompile("(?m)^ *\\* `([^`]+)`")
)

// settingsKey reads a key out of settings.yml without a YAML reader: the
// public members after the line that names it.
func settingsKey(t *testing.T, settings, after string) *ecdsa.PublicKey {
	t.Helper()
	_, rest, ok := strings.Cut(settings, after)
	if !ok {
		t.Fatalf("settings.yml has no %s", after)
	}
	jwk := map[string]string{}
	for _, m := range keyLine.FindAllStringSubmatch(rest, -1) {
		if _, there := jwk[m[1]]; !there {
			jwk[m[1]] = m[2]
		}
	}
	raw, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := jws.ParseKey(raw)
	if err != nil {
		t.Fatalf("%s: %v", after, err)
	}
	return pub
}

func TestExamples(t *testing.T) {
	for _, set := range []struct {
		path []string
		want map[string]int // how many folders, with key binding, in JSON
	}{
		{[]string{"sd-jwt", "rfc9901-examples"}, map[string]int{"folders": 13, "binding": 4, "json": 1}},
		{[]string{"sd-jwt", "sd-jwt-vc-draft-examples"}, map[string]int{"folders": 3, "binding": 2}},
		{[]string{"oid4vc", "openid4vp-1.0", "1.0", "examples", "sd_jwt_vcld"}, map[string]int{"folders": 1, "binding": 1}},
	} {
		root := vectortest.Path(t, set.path...)
		name := filepath.Base(root)
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(root, "settings.yml"))
			if err != nil {
				t.Fatal(err)
			}
			issuer := settingsKey(t, string(raw), "issuer_key")
			holder := settingsKey(t, string(raw), "holder_key")
			entries, err := os.ReadDir(root)
			if err != nil {
				t.Fatal(err)
			}
			got, folders := map[string]int{}, 0
			for _, e := range entries {
				if !e.IsDir() {
					continue
				}
				folders++
				t.Run(e.Name(), func(t *testing.T) {
					f := folder{t, filepath.Join(root, e.Name()), issuer, holder}
					if f.read("sd_jwt_issuance.json") != "" {
						f.refusesJSON()
						got["json"]++
					} else {
						f.readsIssuance()
						if f.readsPresentation() {
							got["binding"]++
						}
						f.presentsAll()
					}
					got["folders"]++
				})
			}
			t.Logf("%s: %d cases, %d with key binding, %d in the JSON serialisation", name, got["folders"], got["binding"], got["json"])
			if got["folders"] != folders {
				t.Errorf("ran %d folders of %d", got["folders"], folders)
			}
			if diff := cmp.Diff(set.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func (f folder) refusesJSON() {
	for _, name := range []string{"sd_jwt_issuance.json", "sd_jwt_presentation.json", "sd_jwt_jws_part.json"} {
		text := f.read(name)
		if text == "" {
			f.t.Errorf("%s is missing", name)
		}
		if _, err := theirs.Parse(text); code(err) != sdjwt.CodeMalformed {
			f.t.Errorf("%s: got %v", name, err)
		}
	}
	f.digestsMatch()
}

// readsIssuance verifies what the issuer gave out, with all disclosures, and
// compares their digests with those the authors list.
func (f folder) readsIssuance() {
	issuance := f.compact("sd_jwt_issuance.txt")
	token, err := theirs.Parse(issuance)
	if err != nil {
		f.t.Fatal(err)
	}
	claims, err := token.Verify(f.issuer, sdjwt.Policy{Now: while})
	if err != nil {
		f.t.Fatal(err)
	}
	listed := f.digestsMatch()
	if parts := strings.Split(strings.TrimSuffix(issuance, "~"), "~"); len(parts)-1 != listed {
		f.t.Errorf("issuance has %d disclosures, disclosures.md %d", len(parts)-1, listed)
	}
	// Nothing was withheld: what the user claims say is all there.
	for name, want := range f.json("user_claims.json").(map[string]any) {
		if diff := cmp.Diff(want, claims.Payload()[name]); diff != "" {
			f.t.Errorf("claim %s: -want +got\n%s", name, diff)
		}
	}
	if _, err := token.Verify(f.holder, sdjwt.Policy{Now: while}); code(err) != jws.CodeSignature {
		f.t.Errorf("verified with the holder's key: %v", err)
	}
	f.countsDecoys(issuance)
}

// digestsMatch compares our digest of each disclosure with the authors'. Both
// are read from disclosures.md.
func (f folder) digestsMatch() int {
	n := 0
	for _, part := range strings.Split(f.read("disclosures.md"), "\n__") {
		want := digestLine.FindStringSubmatch(part)
		if want == nil {
			continue
		}
		_, rest, _ := strings.Cut(part, "Disclosure:")
		rest, _, _ = strings.Cut(rest, " * Contents:")
		var disclosure strings.Builder
		for _, m := range codeSpan.FindAllStringSubmatch(rest, -1) {
			disclosure.WriteString(m[1])
		}
		if got := sdjwt.Digest(disclosure.String()); got != want[1] {
			f.t.Errorf("digest of a disclosure: got %s, want %s", got, want[1])
		}
		n++
	}
	if n == 0 {
		f.t.Error("disclosures.md lists nothing")
	}
	return n
}

// countsDecoys compares the digests that no disclosure matches with the list
// of decoys.
func (f folder) countsDecoys(issuance string) {
	list := f.read("decoy_digests.md")
	want := map[string]bool{}
	for _, m := range decoyLine.FindAllStringSubmatch(list, -1) {
		want[m[1]] = true
	}
	jwt, rest, _ := strings.Cut(issuance, "~")
	real := map[string]bool{}
	for d := range strings.SplitSeq(strings.TrimSuffix(rest, "~"), "~") {
		real[sdjwt.Digest(d)] = true
	}
	raw, err := b64.DecodeString(strings.Split(jwt, ".")[1])
	if err != nil {
		f.t.Fatal(err)
	}
	text := string(raw)
	for d := range strings.SplitSeq(strings.TrimSuffix(rest, "~"), "~") {
		raw, err := b64.DecodeString(d)
		if err != nil {
			f.t.Fatal(err)
		}
		text += string(raw)
	}
	got := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([\w-]{43})"`).FindAllStringSubmatch(text, -1) {
		if !real[m[1]] && !isCoordinate(text, m[1]) {
			got[m[1]] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("decoys: -want +got\n%s", diff)
	}
	if list != "" {
		f.t.Logf("%d decoys", len(got))
	}
}

// isCoordinate tells the numbers of a key from digests; both have 43 letters.
func isCoordinate(text, s string) bool {
	return regexp.MustCompile(`"[xy]": "` + regexp.QuoteMeta(s) + `"`).MatchString(text)
}

// readsPresentation verifies what the holder showed, and reports whether it
// had key binding.
func (f folder) readsPresentation() bool {
	presentation := f.compact("sd_jwt_presentation.txt")
	token, err := theirs.Parse(presentation)
	if err != nil {
		f.t.Fatal(err)
	}
	policy := sdjwt.Policy{Now: while}
	bound := f.read("kb_jwt_payload.json") != ""
	if bound != !strings.HasSuffix(presentation, "~") {
		f.t.Error("key binding is not where the files say")
	}
	if bound {
		policy.Now, policy.Binding = f.binding()
	}
	claims, err := token.Verify(f.issuer, policy)
	if err != nil {
		f.t.Fatal(err)
	}
	if diff := cmp.Diff(f.json("verified_contents.json"), any(claims.Payload())); diff != "" {
		f.t.Errorf("-want +got\n%s", diff)
	}
	f.seesBinding(token, policy, bound)
	return bound
}

func (f folder) binding() (time.Time, *sdjwt.Binding) {
	kb := f.json("kb_jwt_payload.json").(map[string]any)
	iat, err := kb["iat"].(json.Number).Int64()
	if err != nil {
		f.t.Fatal(err)
	}
	return time.Unix(iat, 0), &sdjwt.Binding{Nonce: kb["nonce"].(string), Audience: kb["aud"].(string)}
}

// seesBinding checks that key binding holds only for what it was made for.
func (f folder) seesBinding(token *sdjwt.Token, good sdjwt.Policy, bound bool) {
	if !bound {
		good.Binding = &sdjwt.Binding{Nonce: "n", Audience: "a"}
		if _, err := token.Verify(f.issuer, good); code(err) != sdjwt.CodeBindingRequired {
			f.t.Errorf("no key binding: got %v", err)
		}
		return
	}
	for name, change := range map[string]func(*sdjwt.Policy){
		"other nonce":    func(p *sdjwt.Policy) { p.Binding.Nonce += "x" },
		"other audience": func(p *sdjwt.Policy) { p.Binding.Audience += "/" },
		"too late":       func(p *sdjwt.Policy) { p.Now = p.Now.Add(121 * time.Second) },
		"too early":      func(p *sdjwt.Policy) { p.Now = p.Now.Add(-121 * time.Second) },
	} {
		binding := *good.Binding
		bad := sdjwt.Policy{Now: good.Now, Binding: &binding}
		change(&bad)
		if _, err := token.Verify(f.issuer, bad); code(err) != sdjwt.CodeBindingInvalid {
			f.t.Errorf("%s: got %v", name, err)
		}
	}
}

// presentsAll chooses each top-level claim in turn, and all together.
func (f folder) presentsAll() {
	token, err := theirs.Parse(f.compact("sd_jwt_issuance.txt"))
	if err != nil {
		f.t.Fatal(err)
	}
	full, err := token.Verify(f.issuer, sdjwt.Policy{Now: while})
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for name := range full.Payload() {
		one, err := token.Present(name)
		if err != nil {
			continue // it is always shown
		}
		names = append(names, name)
		if got := f.verified(one)[name]; !cmp.Equal(got, full.Payload()[name]) {
			f.t.Errorf("presenting %s: -want +got\n%s", name, cmp.Diff(full.Payload()[name], got))
		}
	}
	all, err := token.Present(names...)
	if err != nil {
		f.t.Fatal(err)
	}
	if diff := cmp.Diff(full.Payload(), f.verified(all)); diff != "" {
		f.t.Errorf("presenting all: -want +got\n%s", diff)
	}
	none, err := token.Present()
	if err != nil || strings.Count(none, "~") != 1 {
		f.t.Errorf("presenting nothing: %v", err)
	}
	if len(names) == 0 {
		f.t.Error("nothing can be presented")
	}
}

func (f folder) verified(presentation string) map[string]any {
	token, err := theirs.Parse(presentation)
	if err != nil {
		f.t.Fatal(err)
	}
	claims, err := token.Verify(f.issuer, sdjwt.Policy{Now: while})
	if err != nil {
		f.t.Fatal(err)
	}
	return claims.Payload()
}

// The example of a credential in OpenID4VP is the payload of one of the
// draft's; its key must be readable.
func TestOpenID4VPCredential(t *testing.T) {
	raw, err := os.ReadFile(vectortest.Path(t, "oid4vc", "openid4vp-1.0", "1.0", "examples", "credentials", "sd_jwt_vc.json"))
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	token, err := theirs.Parse(sign(t, key, `{"alg":"ES256","typ":"dc+sd-jwt"}`, string(raw)) + "~")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := token.Verify(&key.PublicKey, sdjwt.Policy{Now: while, Required: []string{"iss", "exp", "cnf"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claims.Holder(); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(claims.VCT(), claims.Issuer(), claims.Expires().Unix()); got != "https://credentials.example.com/identity_credentialhttps://example.com/issuer1883000000" {
		t.Errorf("got %s", got)
	}
}
