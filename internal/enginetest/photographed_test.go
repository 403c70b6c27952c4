package enginetest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/internal/config"
)

// TestPhotographedCard is hostile case 89: somebody has a photograph of one card, all
// files of the service and of the machine on which it was checked, and no key. Nothing to
// which its digits or its number lead is there, after checks with right codes and wrong ones.
func TestPhotographedCard(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	binary, dir := demoProgram(t, ""), filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), binary, "demo", "--once", "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	photographed := photograph(t, dir)
	c := &canary{t: t, needles: photographed.leadsTo(t)}
	output := photographed.checked(t, binary, dir)
	for _, leak := range append(c.search("output of serve", output), c.searchFolder(dir)...) {
		t.Errorf("%s holds %s", leak.where, leak.what)
	}
	t.Logf("%d things to which a card leads in %d encodings each, over %d bytes", len(c.needles), encodings, c.searched)

	// The search would find it.
	tries := filepath.Join(dir, "tries.json")
	data, err := os.ReadFile(tries)
	if err != nil {
		t.Fatal(err)
	}
	if leaks := c.search("here", append(data, c.needles["SHA-256 of its bytes"]...)); len(leaks) == 0 {
		t.Error("the search finds nothing")
	}
}

// photo is what a photograph shows of a card, and what the photographer does not have.
type photo struct{ digits, number, code string }

func photograph(t *testing.T, dir string) photo {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, config.DemoName))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Cards []struct{ Number, Code, Digits, Expect string }
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Cards {
		if c.Expect == "confirmed" {
			return photo{c.Digits, c.Number, c.Code}
		}
	}
	t.Fatal("the demo has no card that is confirmed")
	return photo{}
}

// leadsTo are the names that somebody computes from a photograph who has read this
// program: parts of the card, and hashes of them without a key.
func (p photo) leadsTo(t *testing.T) map[string]string {
	t.Helper()
	c, err := card.Parse(p.digits)
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer(" ", "", "-", "").Replace(p.number)
	salt := sha256.Sum256(append([]byte("safeconduct/card/1/salt"), c[8:40]...)) // docs/card.md, The code
	all := map[string]string{
		"its digits": p.digits[:58], "its last digits": p.digits[len(p.digits)-58:], "its number": plain,
		"its salt": string(salt[:16]), "its tag": string(c[:8]), "its enc": string(c[8:40]), "its ciphertext": string(c[40:72]), "its end": string(c[len(c)-16:]),
	}
	labels := []string{"", "safeconduct/tries/1", "safeconduct/tries/2", "safeconduct/card/1", "safeconduct/card/1/salt", "paper-tries", "desk-tries", "card-number", "code_tries", "paper_tries"}
	hashes := map[string]func() hash.Hash{"SHA-256": sha256.New, "SHA-1": sha1.New, "MD5": md5.New, "SHA-512": sha512.New}
	for what, of := range map[string]string{
		"its bytes": string(c[:]), "its digits": p.digits, "its tag": string(c[:8]), "its enc": string(c[8:40]),
		"its number": plain, "its number as printed": p.number,
	} {
		for name, made := range hashes {
			for i, label := range labels {
				sum := func(h hash.Hash, data string) string {
					_, _ = h.Write([]byte(data)) // never fails: hash.Hash
					return string(h.Sum(nil)[:10])
				}
				of, said := label+of, ""
				if i > 0 {
					said = ", label " + strconv.Itoa(i)
				}
				all[name+" of "+what+said] = sum(made(), of)
				all["HMAC-"+name+" of "+what+said] = sum(hmac.New(made, []byte(label)), strings.TrimPrefix(of, label))
			}
		}
	}
	return all
}

// checked has the card checked over the API and by the command, with its code, with wrong
// ones and by its number, and returns what the service printed.
func (p photo) checked(t *testing.T, binary, dir string) []byte {
	t.Helper()
	wrong := "1" + p.code[1:]
	if wrong == p.code {
		wrong = "2" + p.code[1:]
	}
	address := freeAddress(t)
	var output bytes.Buffer
	process := exec.CommandContext(t.Context(), binary, "serve", "--dir", dir,
		"--passphrase-file", filepath.Join(dir, config.PassphraseName), "--listen", address)
	process.Stdout, process.Stderr = &output, &output
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = process.Process.Kill() // so that journals are left as they are
		_ = process.Wait()
	}()
	waitReady(t, address)
	s := &crashService{t: t, address: address, token: tokenOf(t, dir, "officer")}
	for code, want := range map[string]string{p.code: "confirmed", wrong: "wrong_code"} {
		var v struct{ State string }
		body, err := json.Marshal(map[string]string{"digits": p.digits, "code": code})
		if err != nil {
			t.Fatal(err)
		}
		if s.must("POST", "/api/v1/verifications", string(body), &v); v.State != want {
			t.Fatalf("got %s, want %s", v.State, want)
		}
		s.must("POST", "/api/v1/papers", `{"number":"`+p.number+`","code":"`+code+`"}`, nil)
		check := exec.CommandContext(t.Context(), binary, "verify", "--dir", dir, "--code", code, p.digits)
		if out, err := check.CombinedOutput(); check.ProcessState == nil || check.ProcessState.ExitCode() == 1 {
			t.Fatalf("verify: %v\n%s", err, out)
		}
	}
	_ = process.Process.Kill()
	_ = process.Wait()
	return output.Bytes()
}
