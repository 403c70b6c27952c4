//go:build !js

package main_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/vectortest"
	"github.com/safeconduct/safeconduct/verifier"
)

// job is what node is given, and report what it answers.
type job struct {
	File       string    `json:"file"`
	Device     string    `json:"device"`
	Now        int64     `json:"now"`
	LeaseUntil int64     `json:"leaseUntil"`
	Cases      []oneCase `json:"cases"`

	Opening map[string]any `json:"opening"`

	KnownRoot   json.RawMessage `json:"knownRoot"`
	KnownPublic []byte          `json:"knownPublic"`
}

type oneCase struct {
	Text      string `json:"text"`
	Code      string `json:"code"`
	Stretched string `json:"stretched"` // hex; what the page's library would give

	name           string
	password, salt string
	claims         map[string]any
	openKey        []byte
}

type report struct {
	Pack  map[string]any
	Cases []struct {
		Shown, Asked, Checked answer
		Signed                *signed
	}
	Five []map[string]any

	// The answers that are not about a vector.
	Stories struct {
		Here, FewBytes, NothingRead, InMemory, NoPack, Afterwards answer
		LeaseOver, BrokenPack                                     answer
		Wrong                                                     []map[string]any
		Closed                                                    map[string]any
	}

	Enrolment struct {
		Made             struct{ Private, Public []byte }
		Fresh, Again     struct{ Text string }
		Opened, Stranger map[string]any
		Symbols, Known   struct{ Symbols string }
		Wrong            []map[string]any
	}
}

type answer struct {
	Verdict map[string]any
	Stretch map[string]any
	Tries   string
	Error   string
}

// signed is the answer to whoever opens a record.
type signed struct {
	answer

	Signature string
}

func (a answer) state() string  { s, _ := a.Verdict["state"].(string); return s }
func (a answer) reason() string { s, _ := a.Verdict["reason"].(string); return s }

// TestWasm runs the browser build in node on every card of the vectors. Its
// verdicts are those of the native build.
func TestWasm(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is missing, and with it the only test of the browser build")
		}
		t.Skip("node is not installed")
	}
	f := vectortest.ReadCards(t)
	now := time.Unix(f.Now, 0).UTC()
	n := newNetwork(t, f, now)
	pack, err := verifier.OpenPack(n.file, n.device, now)
	if err != nil {
		t.Fatal(err)
	}
	j := n.job(t, f)
	j.Opening = map[string]any{
		"nonce": theOpening.Nonce, "device": theOpening.Device, "agency": theOpening.Agency, "record": theOpening.Record,
		"purpose": theOpening.Purpose, "parts": theOpening.Parts, "minute": theOpening.Minute,
	}
	// The known answer of verifier.Symbols: RFC 7517's key, and the device key of
	// the seed 00 01 … 1f.
	j.KnownRoot = json.RawMessage(`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`)
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	known, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	must(t, err)
	j.KnownPublic = known.PublicKey().Bytes()
	got := runNode(t, node, j)

	if got.Pack["name"] != "Made-up network" || got.Pack["sequence"] != 5.0 || got.Pack["seen"] != float64(f.Now) || got.Pack["trust_key_iat"] != float64(f.Now) || got.Pack["demo"] != true {
		t.Errorf("the pack says %v", got.Pack)
	}
	if len(got.Cases) != len(j.Cases) {
		t.Fatalf("%d answers to %d cases", len(got.Cases), len(j.Cases))
	}
	cards, openings := 0, 0
	for k, c := range j.Cases {
		answers := got.Cases[k]
		compare(t, c.name+", no code", answers.Shown, pack.Verify(verifier.Presentation{Text: c.Text}, now), oneCase{})
		tries := &verifier.Tries{}
		native := pack.Verify(verifier.Presentation{Text: c.Text, Code: &c.Code, Tries: tries}, now)
		compare(t, c.name, answers.Checked, native, c)
		if want, err := json.Marshal(tries); err != nil || answers.Checked.Tries != string(want) {
			t.Errorf("%s: tries are %s, want %s (%v)", c.name, answers.Checked.Tries, want, err)
		}
		if answers.Signed != nil {
			compare(t, c.name+", opening", answers.Signed.answer, native, c)
			testSignature(t, c, answers.Signed.Signature)
			openings++
		}
		if s := answers.Asked.Stretch; s != nil {
			want := map[string]any{"password": c.password, "salt": c.salt, "passes": 3.0, "kib": 65536.0, "lanes": 1.0, "size": 32.0}
			if diff := cmp.Diff(want, s); diff != "" || answers.Asked.Verdict != nil {
				t.Errorf("%s: what to stretch (-want +got):\n%s", c.name, diff)
			}
		}
		if k < len(f.Cards) {
			cards++
		}
	}
	if cards != 25 || cards != len(f.Cards) {
		t.Errorf("ran %d cards of %d, want 25", cards, len(f.Cards))
	}
	if openings == 0 {
		t.Error("nothing was signed")
	}
	t.Logf("wasm: %d cases", cards)

	for i, v := range got.Five {
		want, left := "wrong_code", any(float64(4-i))
		switch i {
		case 4:
			left = nil // none
		case 5:
			want, left = "code_locked", nil
		}
		if v["state"] != want || v["tries_left"] != left {
			t.Errorf("wrong code number %d: got %v, want %s and %v left", i+1, v, want, left)
		}
	}
	s := got.Stories
	for name, c := range map[string]struct {
		got           answer
		state, reason string
	}{
		"stretched here":        {s.Here, "unconfirmed", ""},
		"too few bytes":         {s.FewBytes, "not_ready", "pack_broken"},
		"nothing read":          {s.NothingRead, "unreadable", "no_code_in_picture"},
		"lease over":            {s.LeaseOver, "not_ready", "lease_over"},
		"lease over, in memory": {s.InMemory, "not_ready", "lease_over"},
		"broken pack":           {s.BrokenPack, "not_ready", "pack_broken"},
		"no pack":               {s.NoPack, "not_ready", "no_pack"},
		"pack closed":           {s.Afterwards, "not_ready", "no_pack"},
	} {
		if c.got.state() != c.state || c.got.reason() != c.reason {
			t.Errorf("%s: got %v, want %s (%s)", name, c.got, c.state, c.reason)
		}
	}
	for i, want := range []string{"deviceKey", "file", "now", "now", "handle", "text", "code", "tries", "stretched", "handle", "text", "stretched", "opening", "opening"} {
		if a := s.Wrong[i]; len(a) != 1 || a["error"] != want {
			t.Errorf("wrong call %d: got %v, want an error about %s and nothing else", i, a, want)
		}
	}
	testEnrolment(t, n, got)
}

// testEnrolment has the browser build make a device, as a page does that is
// enrolled, and compares with the native build.
func testEnrolment(t *testing.T, n network, got report) {
	e := got.Enrolment
	device, err := verifier.ParseDevice([]byte(e.Fresh.Text))
	must(t, err)
	key, err := hpke.MLKEM768X25519().NewPrivateKey(device.Private)
	must(t, err)
	if !bytes.Equal(key.PublicKey().Bytes(), e.Made.Public) || !bytes.Equal(device.Private, e.Made.Private) {
		t.Error("the device key is not the one that was made")
	}
	if device.Network != n.device.Network || device.ID != n.device.ID || !bytes.Equal(device.Root, n.device.Root) {
		t.Errorf("the file is for network %s, device %s", device.Network, device.ID)
	}
	again, err := verifier.ParseDevice([]byte(e.Again.Text))
	must(t, err)
	if diff := cmp.Diff(n.device.Private, again.Private); diff != "" || e.Opened["handle"] == nil {
		t.Errorf("the file of an enrolled device opens nothing: %v", e.Opened)
	}
	if v, _ := e.Stranger["verdict"].(map[string]any); v["reason"] != "pack_broken" {
		t.Errorf("another device's pack: %v", e.Stranger)
	}
	if e.Stranger["trust_key_iat"] != got.Pack["trust_key_iat"] || e.Stranger["seen"] != got.Pack["trust_key_iat"] || e.Stranger["sequence"] != nil {
		t.Errorf("what the root says in a pack that is refused is not kept: %v", e.Stranger)
	}
	want, err := verifier.Symbols(n.device.Network, n.device.Root, e.Made.Public)
	must(t, err)
	if e.Symbols.Symbols != want || e.Known.Symbols != "MAKJ3V" {
		t.Errorf("symbols are %q and %q, want %q and those of the known answer", e.Symbols.Symbols, e.Known.Symbols, want)
	}
	for i, want := range []string{
		"device", "device", "device", "device", "device", "device",
		"network", "root", "public", "symbols", "symbols", "symbols",
	} {
		if a := e.Wrong[i]; len(a) != 1 || a["error"] != want {
			t.Errorf("wrong call %d: got %v, want an error about %s and nothing else", i, a, want)
		}
	}
}

// compare holds an answer of the browser build against the native verdict.
func compare(t *testing.T, name string, got answer, native verifier.Verdict, c oneCase) {
	t.Helper()
	if got.Error != "" {
		t.Errorf("%s: error %q", name, got.Error)
		return
	}
	shown, _ := got.Verdict["card"].(map[string]any)
	credential, _ := got.Verdict["credential"].(map[string]any)
	for _, claim := range []string{"card", "credential"} {
		delete(got.Verdict, claim)
	}
	b, err := json.Marshal(native)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Verdict); diff != "" {
		t.Errorf("%s: verdict (-native +wasm):\n%s", name, diff)
	}
	if diff := cmp.Diff(asShown(c.claims), shown); diff != "" {
		t.Errorf("%s: claims (-file +wasm):\n%s", name, diff)
	}
	if (native.Credential != nil) != (credential != nil) || credential != nil && credential["given_name"] != "AMINA" {
		t.Errorf("%s: the credential is %v", name, credential)
	}
}

// theOpening is what the test asks to open, and theOpening.Message what has to be signed.
var theOpening = card.Opening{
	Nonce: "AAECAwQFBgcICQoLDA0ODw", Device: "d1", Agency: "a1", Record: "r1", Purpose: "protection",
	Parts: []string{"document", "pages"}, Minute: 29540000,
}

// testSignature wants one signature, by the key that the vectors give the card, of what
// was asked for; and none where no card was opened.
func testSignature(t *testing.T, c oneCase, signature string) {
	t.Helper()
	if (c.openKey == nil) != (signature == "") {
		t.Errorf("%s: a signature is there: %v", c.name, signature != "")
		return
	}
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if c.openKey != nil && (err != nil || !ed25519.Verify(c.openKey, theOpening.Message(), sig)) {
		t.Errorf("%s: the opening is not signed by the card's key (%v)", c.name, err)
	}
}

// asShown turns the claims of the file into those of the browser build.
func asShown(claims map[string]any) map[string]any {
	if claims == nil {
		return nil
	}
	date := func(v any, days int) string {
		return time.Unix(int64(v.(float64)), 0).UTC().AddDate(0, 0, days).Format(time.DateOnly)
	}
	m := map[string]any{"issued": date(claims["iat"], 0), "last_day": date(claims["exp"], -1)}
	for theirs, ours := range map[string]string{
		"caseHandle": "handle", "name": "name", "birthDate": "birth_date", "sex": "sex", "nationality": "nationality",
		"status": "status", "decisionLevel": "decision_level", "portraitSHA256Prefix": "portrait",
		"namesShortened": "names_shortened", "blank": "blank", "missionMayBeContacted": "mission_may_be_contacted",
	} {
		if v, there := claims[theirs]; there {
			m[ours] = v
		}
	}
	return m
}

// runNode builds the browser build and runs the job in it.
func runNode(t *testing.T, node string, j job) report {
	t.Helper()
	// Files that only the browser build has are no part of this test as far as
	// the test cache can see (golang/go#30313), unless they are read here.
	for _, pattern := range []string{"*.go", "testdata/*", "../../verifier/*.go", "../../credentials/*/*.go"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			_, err := os.ReadFile(file)
			must(t, err)
		}
	}
	dir := t.TempDir()
	wasm := filepath.Join(dir, "verifier.wasm")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", wasm, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	jobFile := filepath.Join(dir, "job.json")
	if err := os.WriteFile(jobFile, b, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(node, filepath.Join("testdata", "run.js"),
		filepath.Join(strings.TrimSpace(string(goroot)), "lib", "wasm", "wasm_exec.js"), wasm, jobFile)
	var errs bytes.Buffer
	run.Stderr = &errs
	began := time.Now()
	out, err := run.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, errs.String())
	}
	logSize(t, wasm, time.Since(began))
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func logSize(t *testing.T, wasm string, took time.Duration) {
	t.Helper()
	b, err := os.ReadFile(wasm)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("verifier.wasm: %d bytes, %d gzipped; node took %v", len(b), packed.Len(), took.Round(time.Millisecond))
}

// network is a made-up network with the epochs and issuers of the vectors.
type network struct {
	file   []byte
	device verifier.Device
	lease  time.Time
	agency *ecdsa.PrivateKey
	lists  string
}

func newNetwork(t *testing.T, f vectortest.Cards, now time.Time) network {
	t.Helper()
	root, named, status, packKey, agency := newKey(t), newKey(t), newKey(t), newKey(t), newKey(t)
	device, recipient, err := verifier.NewDevice("00112233445566778899aabbccddeeff", "device-1", jwk(t, &root.PublicKey))
	must(t, err)
	n := network{device: device, lease: now.AddDate(0, 0, 7), agency: agency, lists: "https://lists.example/status/"}

	l := verifier.TrustList{
		Network: device.Network, Name: "Made-up network", Demo: true, Sequence: 1,
		IssuedAt: now.Unix(), Expires: now.AddDate(0, 1, 0).Unix(), Desk: "+10000000000",
		StatusLists: n.lists, AnswersLists: "https://lists.example/answers/",
		Keys: []verifier.NetworkKey{
			{Use: verifier.UseStatus, KeyID: signer(status).KeyID, JWK: jwk(t, &status.PublicKey)},
			{Use: verifier.UsePack, KeyID: signer(packKey).KeyID, JWK: jwk(t, &packKey.PublicKey)},
		},
	}
	add := func(id, kid string, key *ecdsa.PublicKey) {
		l.Agencies = append(l.Agencies, verifier.Agency{
			ID: id, Name: "Agency " + id, Class: "NGO", Country: "THA", Issuer: "https://agencies.example/" + id, Desk: "+10000000001",
			Keys: []verifier.AgencyKey{{KeyID: kid, JWK: jwk(t, key), From: now.AddDate(-1, 0, 0).Unix(), To: now.AddDate(1, 0, 0).Unix()}},
		})
	}
	for i, issuer := range f.Issuers {
		add("issuer-"+strconv.Itoa(i), hex.EncodeToString(issuer.Kid), issuer.Key(t))
	}
	add("three", signer(agency).KeyID, &agency.PublicKey)
	trust, err := l.Sign(signer(named))
	must(t, err)
	trustKey, err := verifier.TrustKey{
		Network: device.Network, KeyID: signer(named).KeyID, JWK: jwk(t, &named.PublicKey), IssuedAt: now.Unix(), Expires: now.AddDate(0, 6, 0).Unix(),
	}.Sign(signer(root))
	must(t, err)

	s := verifier.PackStatement{Network: device.Network, Sequence: 5, IssuedAt: now.Unix(), TrustSHA256: verifier.TrustDigest(trust)}
	empty, err := statuslist.New(2, statuslist.Entries)
	must(t, err)
	for number := range uint16(8) {
		token := statuslist.Token{IssuedAt: now, Expires: now.AddDate(0, 0, 3), TTL: time.Hour, List: empty}
		for prefix, out := range map[string]*[]verifier.ListToken{l.StatusLists: &s.Status, l.AnswersLists: &s.Answers} {
			token.Subject = prefix + strconv.Itoa(int(number))
			compact, err := token.Sign(signer(status).KeyID, status)
			must(t, err)
			*out = append(*out, verifier.ListToken{Number: number, Token: compact})
		}
	}
	pack, err := s.Sign(signer(packKey))
	must(t, err)

	var keys verifier.EpochKeys
	for _, e := range f.Epochs {
		keys.Live = append(keys.Live, verifier.Epoch{ID: e.ID, TagKey: e.TagKey, NetKey: e.NetKey, Private: e.PrivateKey})
	}
	for _, e := range f.EndedEpochs {
		keys.Closed = append(keys.Closed, verifier.ClosedEpoch{ID: e.ID, TagKey: e.TagKey})
	}
	envelope, err := verifier.Envelope{
		Network: device.Network, Device: device.ID, Sequence: 5, IssuedAt: now.Unix(), LeaseUntil: n.lease.Unix(),
	}.Seal(keys, recipient, signer(packKey))
	must(t, err)
	n.file, err = verifier.MarshalFile(verifier.File{Lists: verifier.Lists{TrustList: trust, Pack: pack, TrustKey: trustKey}, Envelope: envelope})
	must(t, err)
	return n
}

// job is every card of the vectors, and then some things that are no cards.
func (n network) job(t *testing.T, f vectortest.Cards) job {
	t.Helper()
	device, err := json.Marshal(n.device)
	must(t, err)
	j := job{File: string(n.file), Device: string(device), Now: f.Now, LeaseUntil: n.lease.Unix()}
	stretched := map[string]string{}
	for _, c := range f.Cards {
		one := oneCase{Text: c.Digits, Code: c.Code, name: c.Name, claims: c.Claims, openKey: c.OpenKey}
		// Here the test is the page: it runs Argon2id with another library's
		// means, from the text of docs/card.md, Bytes, alone.
		parsed, err := card.Parse(c.Digits)
		code, codeErr := card.ParseCode(c.Code)
		if err == nil && codeErr == nil {
			sum := sha256.Sum256(append([]byte("safeconduct/card/1/salt"), parsed[8:40]...))
			one.password, one.salt = code.Reveal(), hex.EncodeToString(sum[:16])
			key := one.password + one.salt
			if stretched[key] == "" && c.Expect != "not_ours" && c.Name != "ended-epoch" {
				stretched[key] = hex.EncodeToString(argon2.IDKey([]byte(one.password), sum[:16], 3, 64*1024, 1, 32))
			}
			one.Stretched = stretched[key]
		}
		j.Cases = append(j.Cases, one)
	}
	day := time.Unix(f.Now, 0).UTC()
	credential, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: signer(n.agency).KeyID}, []sdjwt.Member{
		{Name: "iss", Value: "https://agencies.example/three"}, {Name: "vct", Value: "https://types.example/identity"},
		{Name: "iat", Value: day.Unix()}, {Name: "exp", Value: day.AddDate(0, 0, 30).Unix()},
		sdjwt.Status{URI: n.lists + "1", Index: 7}.Member(),
	}, []sdjwt.Member{{Name: "given_name", Value: "AMINA"}}, 4, n.agency, nil)
	must(t, err)
	for name, text := range map[string]string{
		"credential": credential, "changed credential": credential[:len(credential)-9] + "~", "address": "https://example.org",
		"nothing": "", "half a character": "\ufffd", "too long": strings.Repeat("x", verifier.MaxText+1),
	} {
		j.Cases = append(j.Cases, oneCase{Text: text, name: name})
	}
	return j
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func signer(key *ecdsa.PrivateKey) verifier.Signer {
	return verifier.Signer{KeyID: jws.KeyID(&key.PublicKey), Key: key}
}

func jwk(t *testing.T, key *ecdsa.PublicKey) json.RawMessage {
	t.Helper()
	b, err := jws.MarshalKey(key)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
