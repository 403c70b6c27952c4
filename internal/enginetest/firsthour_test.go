package enginetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// TestFirstHour runs what docs/operate.md tells people to copy: the shell blocks
// of its section about the first hour, in order, in one shell.
func TestFirstHour(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	out := copied(t, "operate.md", "The first hour", 5)
	// The two things that are wrong there, as the text says.
	if n := strings.Count(out, "✕"); n != 2 || !strings.Contains(out, "✕ passphrase place") || !strings.Contains(out, "✕ aside") {
		t.Errorf("doctor finds %d faults:\n%s", n, out)
	}
}

// TestFirstHourElsewhere runs the blocks of docs/operate/engines.md against real
// servers, which it starts as empty as their makers ship them.
func TestFirstHourElsewhere(t *testing.T) {
	t.Parallel()
	keys, objects, databases := vaulttest.Start(t), s3test.Run(t), pgtest.New(t)
	tools := t.TempDir()
	if err := os.Symlink(vaulttest.Binary(t), filepath.Join(tools, "vault")); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "s3")
	if err := os.WriteFile(secret, []byte(objects.Config.SecretKey.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	database := func(name string) string {
		return "postgres://safeconduct@/" + name + "?host=" + url.QueryEscape(filepath.Dir(databases.Socket()))
	}
	out := copied(t, "operate/engines.md", "The first hour with PostgreSQL, S3 and HashiCorp Vault", 6,
		"PATH="+tools+":"+filepath.Dir(program(t, ""))+":"+os.Getenv("PATH"),
		"PGHOST="+filepath.Dir(databases.Socket()), "PGUSER=postgres",
		"DATABASE="+database("safeconduct"), "KEYRING="+database("safeconduct_keyring"),
		"S3="+objects.Config.Endpoint, "BUCKET=first-hour", "REGION="+objects.Config.Region,
		"SAFECONDUCT_S3_ACCESS_KEY="+objects.Config.AccessKey, "SAFECONDUCT_S3_SECRET_KEY_FILE="+secret,
		"VAULT_ADDR="+keys.Address, "VAULT_CACERT="+keys.CACert, "VAULT_TOKEN=root", "VAULT_AUDIT="+filepath.Join(tools, "audit.log"))
	for _, elsewhere := range []string{"postgres", "s3://first-hour/net"} {
		if !strings.Contains(out, elsewhere) {
			t.Errorf("nothing says %q:\n%s", elsewhere, out)
		}
	}
}

// copied runs the shell blocks of a section of a document, and returns what they
// print. There are at least so many; env is added to what a shell needs.
func copied(t *testing.T, document, heading string, least int, env ...string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(document)))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut("\n"+string(text), "# "+heading+"\n")
	if !ok {
		t.Fatal("no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindAllStringSubmatch(section, -1)
	if len(blocks) < least {
		t.Fatalf("%d blocks: the pattern is broken", len(blocks))
	}
	var script strings.Builder
	script.WriteString("set -eu\ntrap 'kill $(cat serve.pid) 2> /dev/null || true' EXIT\n")
	for i, b := range blocks {
		fmt.Fprintf(&script, "echo block %d\n%s\n", i+1, b[1])
		if strings.Contains(b[1], `"link":`) { // which somebody opens now
			script.WriteString("touch waits; until test -e came; do sleep 0.1; done\n")
		}
	}
	script.WriteString("echo all blocks ran\n")
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := free.Addr().String()
	_ = free.Close()
	work := t.TempDir()
	c := exec.CommandContext(t.Context(), "sh", "-c", script.String())
	c.Dir = work
	c.Env = append([]string{
		"PATH=" + filepath.Dir(program(t, "")) + ":" + os.Getenv("PATH"), "HOME=" + work, "L=" + listen, "C=" + filepath.Join(work, "logins"),
		"D=" + filepath.Join(work, "net"), "SAFECONDUCT_PASSPHRASE_FILE=" + filepath.Join(work, "passphrase"),
	}, env...)
	c.WaitDelay = time.Minute
	came := make(chan struct{})
	go func() { defer close(came); firstPeople(t, work, listen) }()
	out, err := c.CombinedOutput()
	<-came
	if err != nil || !strings.Contains(string(out), "all blocks ran") {
		served, _ := os.ReadFile(filepath.Join(work, "serve.log"))
		t.Fatalf("%v\n%s\n%s", err, out, served)
	}
	for _, held := range []string{"The log holds together", "signs", "next", "drafts: none is open", "default"} {
		if !strings.Contains(string(out), held) {
			t.Errorf("nothing says %q:\n%s", held, out)
		}
	}
	return string(out)
}

// firstPeople do in their browsers what the document says that people do, as soon as
// the shell waits for them.
func firstPeople(t *testing.T, work, listen string) {
	waits, came := filepath.Join(work, "waits"), filepath.Join(work, "came")
	for until := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(waits); err == nil {
			break
		}
		if time.Now().After(until) || t.Context().Err() != nil {
			t.Error("nobody was asked to open the link")
			return
		}
	}
	// Whatever comes of it, the shell goes on.
	defer func() { _ = os.WriteFile(came, nil, 0o600) }()
	secret := filepath.Join(work, "operator.json")
	if info, err := os.Stat(secret); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the operator's token is read by others: %v", err)
	}
	data, err := os.ReadFile(secret)
	var made struct{ Link string }
	if err := errors.Join(err, json.Unmarshal(data, &made)); err != nil {
		t.Error(err)
		return
	}
	first := openOffice(t, listen, made.Link)
	first.person("", "operator")
	agency := first.agency("Lotus House", "KHM")
	lead := first.person(agency, "supervisor")
	var asked caller.Asked
	if err := first.Call(t.Context(), "DELETE", "/api/v1/founding", nil, &asked); err != nil {
		t.Error(err)
		return
	}
	if err := caller.Agreed(t.Context(), asked.Request, first.Person, lead); err != nil {
		t.Error(err)
	}
}
