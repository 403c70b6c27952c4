package enginetest_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/claims"
)

// TestCopy takes a holder's own copy from a network that is served, at a desk and by the
// command, and has it opened and checked with nothing of ours: by the age tool and npm's
// age-encryption, and by a text for node's standard library that was written from
// docs/copy.md. Then it changes one thing after the other in a copy, and the check finds
// each.
func TestCopy(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	tools := newCopyTools(t)
	n := newTakenIn(t)

	const passphrase = "four made-up words, ចាន់"
	plain, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	scrypt, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []struct {
		name, member, value, secret string
		by                          age.Identity
	}{
		{"x25519", "recipient", plain.Recipient().String(), plain.String(), plain},
		{"hybrid", "recipient", hybrid.Recipient().String(), hybrid.String(), hybrid},
		{"passphrase", "passphrase", passphrase, passphrase, scrypt},
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := ""
	var kept []byte
	for i, kind := range kinds {
		at := filepath.Join(t.TempDir(), "copy.age")
		if err := os.WriteFile(at, n.atDesk(kind.member, kind.value), 0o600); err != nil {
			t.Fatal(err)
		}
		flag := []string{"--to", kind.value}
		if kind.member == "passphrase" {
			flag = []string{"--passphrase-file", secret}
		}
		made := []string{at}
		if i > 0 { // the desk has shown that the first kind opens
			made = append(made, filepath.Join(t.TempDir(), "by command.age"))
			n.export(append(flag, made[1])...)
		}
		for _, copied := range made {
			for opener, data := range map[string][]byte{"age": tools.age(copied, kind.secret), "age-encryption": tools.npm(copied, kind.secret)} {
				found := tools.check(data, root)
				if !found.OK {
					t.Errorf("%s, opened by %s: %v", kind.name, opener, found.Problems)
				}
				if root == "" {
					root = found.Root
				}
				// Its own entry waits, and those of the copies before it.
				if found.Documents != 1 || found.Pictures != 2 || found.Attestations != 4 || found.Cards != 1 || found.Proven == 0 ||
					found.History-found.Proven > 2*i+3 || found.Disclosures < 20 || found.Published["in use"] != 5 {
					t.Errorf("%s, opened by %s: %+v", kind.name, opener, found)
				}
				kept = data
			}
		}
	}
	if found := tools.check(kept, strings.Repeat("0", 64)); found.OK {
		t.Error("another network's root is taken")
	}
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			if found := tools.check(retouched(t, kept, c.edit), root); found.OK || len(found.Problems) == 0 {
				t.Errorf("nothing was found: %+v", found)
			}
		})
	}
	if found := tools.check(retouched(t, kept, func(unpacked) {}), root); !found.OK {
		t.Errorf("a copy that was packed anew: %v", found.Problems)
	}
	n.exportRefuses("is there already", "--to", plain.Recipient().String(), secret)
	n.exportRefuses("plugin", "--to", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", secret+".age")
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(secret), ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("a command that was refused left %v, %v", left, err)
	}
}

// unpacked are the files of a copy.
type unpacked map[string][]byte

// tamperings are changes of a copy by somebody who has it open. Each leaves contents.json
// as it would have to be, unless it says so.
var tamperings = []struct {
	name string
	edit func(f unpacked)
}{
	{"a picture, and not its digest", func(f unpacked) { f["documents/1/page-1.png"] = f["documents/1/page-2.jpg"] }},
	{"a file that is not listed", func(f unpacked) { f["documents/1/page-3.png"] = []byte("more") }},
	{"who looked", func(f unpacked) { f.edit("history.json", `document.read`, `document.kept`) }},
	{"what was done, with its leaf", func(f unpacked) {
		f.entries(func(all []map[string]any) []map[string]any {
			all[0]["body"], all[0]["salt"], all[0]["leaf"], all[0]["kind"] = all[1]["body"], all[1]["salt"], all[1]["leaf"], all[1]["kind"]
			return all
		})
	}},
	{"an entry left out", func(f unpacked) {
		f.entries(func(all []map[string]any) []map[string]any { return all[1:] })
	}},
	{"an entry for another", func(f unpacked) {
		f.entries(func(all []map[string]any) []map[string]any { all[1] = all[0]; return all })
	}},
	{"the log's head", func(f unpacked) { f.edit("proof/checkpoint", "safeconduct/", "safeconducu/") }},
	{"a claim in words", func(f unpacked) {
		f.each("attestations/", ".json", func(text string) string { return strings.Replace(text, "self_asserted", "documented", 1) })
	}},
	{"a claim, signed", func(f unpacked) {
		f.each("attestations/", ".sd-jwt", func(text string) string {
			parts := strings.Split(text, "~")
			parts[1] = "W" + parts[2][1:] // one of them twice
			return strings.Join(parts, "~")
		})
	}},
	{"a claim more", func(f unpacked) {
		f.each("attestations/", ".sd-jwt", func(text string) string { return text + "WyJzYWx0c2FsdHNhbHRzYWx0c2FsdCIsImEiLDFd~" })
	}},
	{"a signature", func(f unpacked) {
		f.each("attestations/", ".sd-jwt", func(text string) string {
			parts := strings.SplitN(text, "~", 2)
			at := strings.LastIndexByte(parts[0], '.') + 5
			other := byte('A')
			if parts[0][at] == other {
				other = 'B'
			}
			return parts[0][:at] + string(other) + parts[0][at+1:] + "~" + parts[1]
		})
	}},
	{"an agency's name on the trust list", func(f unpacked) {
		parts := strings.Split(string(f["proof/trust-list.jwt"]), ".")
		said, _ := base64.RawURLEncoding.DecodeString(parts[1])
		said = bytes.Replace(said, []byte("(made up)"), []byte("(made it)"), 1)
		parts[1] = base64.RawURLEncoding.EncodeToString(said)
		f["proof/trust-list.jwt"] = []byte(strings.Join(parts, "."))
	}},
	{"the root", func(f unpacked) { f.edit("proof/keys.json", `"x": "`, `"x": "A`) }},
	{"the state of something", func(f unpacked) {
		for name, content := range f {
			if strings.HasPrefix(name, "proof/status-list-") {
				f[name] = bytes.Replace(content, []byte("."), []byte(".e"), 1)
			}
		}
	}},
}

func (f unpacked) edit(name, was, is string) {
	f[name] = []byte(strings.Replace(string(f[name]), was, is, 1))
}

func (f unpacked) each(prefix, suffix string, edit func(string) string) {
	for name := range f {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			f[name] = []byte(edit(string(f[name])))
		}
	}
}

func (f unpacked) entries(edit func(all []map[string]any) []map[string]any) {
	var all []map[string]any
	if json.Unmarshal(f["history.json"], &all) == nil {
		f["history.json"], _ = json.Marshal(edit(all))
	}
}

// retouched changes a copy and packs it anew. contents.json lists the files as they are
// now, if it listed them before: what is found is found by more than the digests there.
func retouched(t *testing.T, data []byte, edit func(f unpacked)) []byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	f := unpacked{}
	for _, one := range archive.File {
		r, err := one.Open()
		if err != nil {
			t.Fatal(err)
		}
		if f[one.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	edit(f)
	var contents map[string]any
	if err := json.Unmarshal(f["contents.json"], &contents); err != nil {
		t.Fatal(err)
	}
	for _, one := range contents["files"].([]any) {
		line := one.(map[string]any)
		name, _ := line["file"].(string)
		if strings.HasPrefix(name, "documents/") {
			continue // "and not its digest"
		}
		line["bytes"], line["sha256"] = len(f[name]), fmt.Sprintf("%x", sha256.Sum256(f[name]))
	}
	if f["contents.json"], err = json.Marshal(contents); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for name, content := range f {
		into, err := w.Create(name)
		if err == nil {
			_, err = into.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// copyTools are other people's programs. Without one of them nothing is proven: in CI the
// test fails then, and elsewhere it says what to install.
type copyTools struct {
	t               *testing.T
	bin, reader, js string
}

func newCopyTools(t *testing.T) copyTools {
	t.Helper()
	c := copyTools{t: t, bin: t.TempDir(), reader: filepath.Join("testdata", "npm"), js: filepath.Join("..", "..", "scripts", "check-copy.mjs")}
	missing := func(err error) {
		t.Helper()
		switch {
		case err == nil:
		case os.Getenv("CI") != "":
			t.Fatal(err)
		default:
			t.Skipf("%v: scripts/install.sh test brings it", err)
		}
	}
	_, err := exec.LookPath("node")
	missing(err)
	_, err = os.Stat(filepath.Join(c.reader, "node_modules", "age-encryption", "package.json"))
	missing(err)
	// The tool as its authors build it, by the version that go.sum names.
	out, err := exec.CommandContext(t.Context(), "go", "build", "-modfile="+filepath.Join("..", "..", "tools", "go.mod"), "-o", c.bin+string(filepath.Separator),
		"filippo.io/age/cmd/age", "filippo.io/age/cmd/age-plugin-batchpass").CombinedOutput()
	if err != nil {
		t.Fatalf("build age: %v\n%s", err, out)
	}
	return c
}

// age opens a copy with the age tool.
func (c copyTools) age(path, secret string) []byte {
	c.t.Helper()
	key := filepath.Join(c.t.TempDir(), "key")
	args := []string{"--decrypt", "-i", key, path}
	if !strings.HasPrefix(secret, "AGE-SECRET-KEY-") {
		args = []string{"--decrypt", "-j", "batchpass", path} // without a terminal to ask at
	}
	if err := os.WriteFile(key, []byte(secret+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return c.run(exec.CommandContext(c.t.Context(), filepath.Join(c.bin, "age"), args...),
		"PATH="+c.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "AGE_PASSPHRASE="+secret)
}

// npm opens a copy with npm's age-encryption.
func (c copyTools) npm(path, secret string) []byte {
	c.t.Helper()
	return c.run(exec.CommandContext(c.t.Context(), "node", filepath.Join(c.reader, "open.mjs"), path), "SECRET="+secret)
}

func (c copyTools) run(command *exec.Cmd, env ...string) []byte {
	c.t.Helper()
	var said bytes.Buffer
	command.Env, command.Stderr = append(os.Environ(), env...), &said
	out, err := command.Output()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", filepath.Base(command.Path), err, said.Bytes())
	}
	return out
}

// checked is what the check says.
type checked struct {
	OK                                                    bool
	Root                                                  string
	Documents, Pictures, Attestations, Disclosures, Cards int
	History, Proven                                       int
	Published                                             map[string]int
	Problems                                              []string
}

// check checks an opened copy with node alone. What cannot even be read is a problem, too.
func (c copyTools) check(data []byte, root string) (found checked) {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), "node", c.js, root)
	command.Stdin = bytes.NewReader(data)
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if len(out) == 0 && err != nil {
		return checked{Problems: []string{said.String()}}
	}
	if bad := json.Unmarshal(out, &found); bad != nil || found.OK != (err == nil) {
		c.t.Fatalf("check-copy: %v, %v\n%s%s", err, bad, out, said.Bytes())
	}
	return found
}

// takenIn is a network that is served, and somebody of whom it keeps everything.
type takenIn struct {
	*crashService

	number, code string
	env          []string // of commands, besides this test's
}

func newTakenIn(t *testing.T) *takenIn {
	t.Helper()
	binary, dir := demoProgram(t, ""), filepath.Join(t.TempDir(), "demo")
	if story, err := exec.CommandContext(t.Context(), binary, "demo", "--once", "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("demo: %v\n%s", err, story)
	}
	n := &takenIn{crashService: &crashService{t: t, binary: binary, dir: dir, address: freeAddress(t), token: tokenOf(t, dir, "caseworker")}}
	n.process = exec.CommandContext(t.Context(), binary, "serve", "--dir", dir, "--listen", n.address)
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.kill)
	waitReady(t, n.address)
	n.takeIn()
	return n
}

// takeIn has everything stated and kept of somebody that there is a sample of.
func (n *takenIn) takeIn() {
	var made struct{ ID, Code, Number string }
	n.must("POST", "/api/v1/cases", `{}`, &made)
	n.caseID = made.ID
	for _, kind := range []string{"screening", "identity", "document"} {
		n.must("POST", "/api/v1/cases/"+n.caseID+"/attestations", n.sample(kind+"-least", ""), &made)
	}
	n.must("POST", "/api/v1/attestations", n.sample("opinion", made.ID), nil)
	n.must("POST", "/api/v1/cases/"+n.caseID+"/documents", `{"kind":"PASSPORT","issuing_state":"UTO","document_number":"QZ7719934",
		"holder_names":"ZABULON <b>QUILLFEATHER</b>","birth_date":"1977-11-23","custody":"unknown"}`, &made)
	document := made.ID
	var asPNG, asJPEG bytes.Buffer
	picture := image.NewGray(image.Rect(0, 0, 64, 64))
	if err := png.Encode(&asPNG, picture); err != nil {
		n.t.Fatal(err)
	}
	if err := jpeg.Encode(&asJPEG, picture, nil); err != nil {
		n.t.Fatal(err)
	}
	for _, content := range [][]byte{asPNG.Bytes(), asJPEG.Bytes()} {
		path := "/api/v1/documents/" + document + "/pages?role=data"
		if content[0] == 0xff {
			path += "&seen_original=true"
		}
		n.picture(path, content)
	}
	n.must("GET", "/api/v1/documents/"+document, "", nil)
	n.must("POST", "/api/v1/cases/"+n.caseID+"/cards", `{"name":"QUILLFEATHER, ZABULON"}`, &made)
	n.number, n.code = made.Number, made.Code

	mine := n.token
	n.token = tokenOf(n.t, n.dir, "operator")
	n.must("POST", "/api/v1/publications", `{}`, nil)
	n.token = mine
	n.must("GET", "/api/v1/documents/"+document, "", nil) // it waits for the next publication
}

// sample is an order of an attestation, with the days of a sample moved to today.
func (n *takenIn) sample(name, about string) string {
	data, err := os.ReadFile(filepath.Join("..", "..", "claims", "testdata", name+".json"))
	if err != nil {
		n.t.Fatal(err)
	}
	passed := int(time.Since(time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)).Hours() / 24)
	data = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}`).ReplaceAllFunc(data, func(day []byte) []byte { return []byte(claims.Day(day).Add(passed)) })
	kind, _, _ := strings.Cut(name, "-")
	order, err := json.Marshal(map[string]any{"kind": kind, "claims": json.RawMessage(data)})
	if err != nil {
		n.t.Fatal(err)
	}
	if about != "" {
		return strings.Replace(string(order), "{", `{"about":"`+about+`",`, 1)
	}
	return string(order)
}

func (n *takenIn) picture(path string, content []byte) {
	n.t.Helper()
	resp := n.send(path, http.DetectContentType(content), content)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		n.t.Fatalf("%s: %s", path, resp.Status)
	}
}

func (n *takenIn) send(path, mediaType string, body []byte) *http.Response {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, "http://"+n.address+path, bytes.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.token)
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Idempotency-Key", "test-"+randomHex(16))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp
}

// atDesk asks for a copy with number and code.
func (n *takenIn) atDesk(member, value string) []byte {
	n.t.Helper()
	order, err := json.Marshal(map[string]string{"number": n.number, "code": n.code, member: value, "language": "km"})
	if err != nil {
		n.t.Fatal(err)
	}
	resp := n.send("/api/v1/cases/"+n.caseID+"/copies", "application/json", order)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		n.t.Fatalf("a copy: %s, %v", resp.Status, err)
	}
	return data
}

// export runs the command, while the network is served.
func (n *takenIn) export(args ...string) {
	n.t.Helper()
	out, err := n.exporting(args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("export: %v\n%s", err, out)
	}
	info, err := os.Stat(args[len(args)-1])
	if err != nil || info.Mode().Perm() != 0o600 {
		n.t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
}

func (n *takenIn) exportRefuses(why string, args ...string) {
	n.t.Helper()
	if out, err := n.exporting(args...).CombinedOutput(); err == nil || !strings.Contains(string(out), why) {
		n.t.Errorf("export: %v, want a refusal with %q\n%s", err, why, out)
	}
}

func (n *takenIn) exporting(args ...string) *exec.Cmd {
	args = append([]string{"export", "--dir", n.dir, "--record", n.caseID}, args...)
	command := exec.CommandContext(n.t.Context(), n.binary, args...)
	command.Env = append(os.Environ(), n.env...)
	return command
}
