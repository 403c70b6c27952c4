package enginetest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/png"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestCanary plays the demo, then serves its folder and takes one more person
// in, and searches for everything personal in all that the service keeps and
// prints: plain, in UTF-16, base64 and hexadecimal. The same search has to
// catch a build that leaks on purpose, in every one of the places.
func TestCanary(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	c := newCanary(t)
	for _, leak := range c.run("") {
		t.Errorf("%s holds %s", leak.where, leak.what)
	}
	t.Logf("%d values in %d encodings each, over %d bytes of the service: database, journal, keyring, blobs, log, packs and output",
		len(c.needles), encodings, c.searched)

	found := map[string]bool{}
	for _, leak := range c.run("leaking") {
		found[leak.where] = true
	}
	for _, where := range []string{config.DatabaseName, config.ObjectsName, config.LogName, "output of serve"} {
		if !slices.ContainsFunc(slices.Collect(keysOf(found)), func(s string) bool { return strings.HasPrefix(s, where) }) {
			t.Errorf("the search does not catch a leak into %s", where)
		}
	}
}

func keysOf(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// canary is one search and what it looks for.
type canary struct {
	t        *testing.T
	needles  map[string]string // what it is → the value
	searched int64
	env      []string // of the service, besides this test's
	sought   *sought  // what needles come to, made when they are searched for
}

type leak struct{ where, what string }

// The canary person of the serve part, and the demo's people, as they are
// written anywhere.
func newCanary(t *testing.T) *canary {
	c := &canary{t: t, needles: map[string]string{}}
	for what, value := range map[string]string{
		"a name": "ZABULON QUILLFEATHER", "a surname": "QUILLFEATHER", "a birth date": "1977-11-23",
		"a birth date of a card": "19771123", "a document number": "QZ7719934", "a village": "Upper Canary Wells",
		"a zone": "P<UTOQUILLFEATHER<<ZABULON", "a Khmer name": "ចាន់ សុខា", "an Amharic name": "ፌሊክስ አበበ ተስፋዬ",
		"a Burmese name": "မောင်မောင်အောင်", "another Amharic name": "ትግስት በቀለ", "a Chinese name": "陈伟",
		"his name": "TESFAYE", "his given names": "FELIX ABEBE", "his birth date": "19950314", "his birth date with dashes": "1995-03-14",
		"his passport": "X0000002", "his zone": "P<UTOTESFAYE<<FELIX", "her name": "CHAN, SOKHA", "another name": "MG MG AUNG",
		"one more name": "JOHNSON, AMARA", "a short name": "CHEN, WEI", "a name twice": "BEKELE, TIGIST", "a last name": "RAHMAN, MD",
		"a reason": "told without contradictions", "who to keep apart": "former room warden", "a copy's passphrase": copyPassphrase,
	} {
		c.needles[what] = value
	}
	return c
}

const encodings = 1 + 2 + 6 + 2

// copyPassphrase opens the copies that the canary person takes.
const copyPassphrase = "marrow lantern quixotic fern"

// forms is every way in which a value is searched for. Those shorter than six
// bytes are left out by the search: chance alone would find them.
func forms(value string) [][]byte {
	raw := []byte(value)
	all := [][]byte{raw}
	wide := utf16.Encode([]rune(value))
	little, big := make([]byte, 0, 2*len(wide)), make([]byte, 0, 2*len(wide))
	for _, u := range wide {
		little = binary.LittleEndian.AppendUint16(little, u)
		big = binary.BigEndian.AppendUint16(big, u)
	}
	all = append(all, little, big)
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 { // base64 has three forms, by where the value begins
			text := e.EncodeToString(append(make([]byte, shift), raw...))
			all = append(all, []byte(text[(shift*8+5)/6:len(text)-1]))
		}
	}
	lower := hex.EncodeToString(raw)
	return append(all, []byte(lower), []byte(strings.ToUpper(lower)))
}

// run makes a build, plays the demo with it, serves the folder with one more
// person, and searches.
func (c *canary) run(tags string) []leak {
	t := c.t
	t.Helper()
	binary, dir := demoProgram(t, tags), filepath.Join(t.TempDir(), "demo")
	story, err := exec.CommandContext(t.Context(), binary, "demo", "--once", "--dir", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, story)
	}
	c.learn(dir)
	output := c.serve(binary, dir)
	leaks := c.search("output of serve", output)
	return append(leaks, c.searchFolder(dir)...)
}

// learn adds what the story made: codes, card numbers, digits.
func (c *canary) learn(dir string) {
	data, err := os.ReadFile(filepath.Join(dir, config.DemoName))
	if err != nil {
		c.t.Fatal(err)
	}
	var m struct {
		Cards []struct{ Number, Code, Digits string }
	}
	if err := json.Unmarshal(data, &m); err != nil {
		c.t.Fatal(err)
	}
	for i, card := range m.Cards {
		n := string(rune('a' + i))
		c.needles["code "+n] = card.Code
		c.needles["number "+n] = strings.NewReplacer(" ", "", "-", "").Replace(card.Number)
		c.needles["digits "+n] = card.Digits[:58]
	}
	c.needles["a picture"] = "\x00\x00\x00\rIHDR"
}

// serve runs the service over the demo's folder and takes the canary person
// in, with everything that can be said of her, some of it wrongly.
func (c *canary) serve(binary, dir string) []byte {
	t := c.t
	t.Helper()
	address := freeAddress(t)
	var output bytes.Buffer
	process := exec.CommandContext(t.Context(), binary, "serve", "--dir", dir,
		"--passphrase-file", filepath.Join(dir, config.PassphraseName), "--listen", address)
	process.Env = append(os.Environ(), c.env...)
	process.Stdout, process.Stderr = &output, &output
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = process.Process.Kill() // so that journals are left as they are
		_ = process.Wait()         // and everything was read that it printed
	})
	defer kill()
	waitReady(t, address)

	s := &crashService{t: t, address: address, token: tokenOf(t, dir, "caseworker")}
	var made struct{ ID, Code, Number, Digits string }
	s.must("POST", "/api/v1/cases", `{}`, &made)
	caseID := made.ID
	s.must("POST", "/api/v1/cases/"+caseID+"/attestations", `{"kind":"identity","claims":{"names":[{"script":"Latn","full":"ZABULON QUILLFEATHER","type":"passport"}],
		"dob":{"value":"1977-11-23","precision":"day"},"village":"Upper Canary Wells","assurance":"self_asserted","claim_status":"open"}}`, nil)
	s.must("POST", "/api/v1/cases/"+caseID+"/documents", `{"kind":"PASSPORT","issuing_state":"UTO","document_number":"QZ7719934",
		"holder_names":"ZABULON QUILLFEATHER","birth_date":"1977-11-23","custody":"unknown"}`, &made)
	document := made.ID
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	if err := s.upload("/api/v1/documents/"+document+"/pages?role=data", picture.Bytes()); err != nil {
		t.Fatal(err)
	}
	s.must("POST", "/api/v1/cases/"+caseID+"/cards", `{"name":"QUILLFEATHER, ZABULON","birth_date":"19771123","sex":1,"nationality":"UTO"}`, &made)
	c.needles["the canary's code"], c.needles["the canary's number"], c.needles["the canary's digits"] =
		made.Code, strings.NewReplacer(" ", "", "-", "").Replace(made.Number), made.Digits[:58]
	// Her own copy, once at the desk and once by the command; both lie in the folder that
	// is searched.
	n := &takenIn{crashService: s, number: made.Number, code: made.Code, env: c.env}
	s.binary, s.dir, s.caseID = binary, dir, caseID
	if err := os.WriteFile(filepath.Join(dir, "copy.age"), n.atDesk("passphrase", copyPassphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(copyPassphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	n.export("--passphrase-file", secret, filepath.Join(dir, "copy by command.age"))
	// Wrong on purpose: refusals are where values like to slip out.
	for _, bad := range []struct{ method, path, body string }{
		{"POST", "/api/v1/cases/" + caseID + "/cards", `{"name":"ZABULON QUILLFEATHER","sex":"QZ7719934"}`},
		{"POST", "/api/v1/cases/" + caseID + "/copies", `{"number":"` + made.Number + `","code":"0000000000","passphrase":"` + copyPassphrase + `"}`},
		{"POST", "/api/v1/cases/" + caseID + "/copies", `{"number":"QZ7719934","code":"QUILLFEATHER","recipient":"ZABULON QUILLFEATHER"}`},
		{"POST", "/api/v1/cases/" + caseID + "/documents", `{"kind":"QZ7719934","ZABULON QUILLFEATHER":1}`},
		{"POST", "/api/v1/look-ups", `{"kind":"PASSPORT","issuing_state":"UTO","document_number":"QZ7719934","birth_date":"771123"}`},
		{"GET", "/api/v1/cases/ZABULON%20QUILLFEATHER?name=QUILLFEATHER", ""},
	} {
		_ = s.call(t.Context(), bad.method, bad.path, bad.body, "test-"+randomHex(16), nil)
	}
	kill()
	return output.Bytes()
}

func waitReady(t *testing.T, address string) {
	t.Helper()
	for range 3600 { // three minutes: other tests may have the machine
		resp, err := http.Get("http://" + address + "/readyz") //nolint:noctx // bounded by the loop
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the service does not come up")
}

// tokenOf returns the token of the first actor with a role.
func tokenOf(t *testing.T, dir, role string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, config.DemoName))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Actors []struct{ Role, Token string }
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, a := range m.Actors {
		if a.Role == role {
			return a.Token
		}
	}
	t.Fatalf("nobody is a %s", role)
	return ""
}

// searchFolder looks through everything but what the demo lists on purpose:
// demo.json and the pictures of cards.
func (c *canary) searchFolder(dir string) []leak {
	var leaks []leak
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name == config.DemoName || strings.HasPrefix(name, "cards"+string(filepath.Separator)) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		leaks = append(leaks, c.search(name, data)...)
		leaks = append(leaks, c.search(name+" (its name)", []byte(name))...)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return leaks
}

// search goes through data once, whatever it is that is looked for: where the first four
// bytes of a form stand, the whole is compared.
func (c *canary) search(where string, data []byte) []leak {
	c.searched += int64(len(data))
	sought := c.formsOfAll()
	found := map[string]bool{}
	for i := range max(0, len(data)-shortest+1) {
		head := binary.LittleEndian.Uint32(data[i:])
		if !sought.begins[fold(head)] {
			continue
		}
		for _, f := range sought.by[head] {
			if bytes.HasPrefix(data[i:], f.bytes) {
				found[f.what] = true
			}
		}
	}
	var leaks []leak
	for what := range found {
		leaks = append(leaks, leak{where, what})
	}
	return leaks
}

// TestCanarySearch: whatever is looked for is found in every form, wherever it stands.
func TestCanarySearch(t *testing.T) {
	c := newCanary(t)
	c.needles["a picture"] = "\x00\x00\x00\rIHDR"
	around := append(make([]byte, 40), "as told in the story of his journey, 0123456789abcdef"...)
	if leaks := c.search("noise", around); len(leaks) > 0 {
		t.Errorf("found %v in noise", leaks)
	}
	for what, value := range c.needles {
		for n, form := range forms(value) {
			if len(form) < shortest {
				continue
			}
			for _, at := range []int{0, 17, len(around)} {
				data := slices.Concat(around[:at], form, around[at:])
				if leaks := c.search("here", data); !slices.Contains(leaks, leak{"here", what}) {
					t.Errorf("%s, form %d at %d: not found", what, n, at)
				}
				if leaks := c.search("cut", data[:at+len(form)-1]); at == len(around) && slices.Contains(leaks, leak{"cut", what}) {
					t.Errorf("%s, form %d without its end: found", what, n)
				}
			}
		}
	}
}

// shortest is how long a form is at least that is searched for.
const shortest = 6

// sought are the forms of all needles by their first four bytes.
type sought struct {
	needles map[string]string
	begins  [1 << 16]bool // by the first four bytes, folded
	by      map[uint32][]form
}

// form is one way in which what a needle is may be written.
type form struct {
	what  string
	bytes []byte
}

func fold(head uint32) uint16 { return uint16(head>>16) ^ uint16(head)*31 }

// formsOfAll makes the list anew when there is more to look for.
func (c *canary) formsOfAll() *sought {
	if c.sought != nil && maps.Equal(c.sought.needles, c.needles) {
		return c.sought
	}
	c.sought = &sought{needles: maps.Clone(c.needles), by: map[uint32][]form{}}
	for what, value := range c.needles {
		for _, b := range forms(value) {
			if len(b) < shortest {
				continue
			}
			head := binary.LittleEndian.Uint32(b)
			c.sought.begins[fold(head)] = true
			c.sought.by[head] = append(c.sought.by[head], form{what, b})
		}
	}
	return c.sought
}
