package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestFirstHour runs what docs/operate.md tells people to copy: the shell blocks
// of its section about the first hour, in order, in one shell.
func TestFirstHour(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	operate, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(operate), "\n## The first hour\n")
	if !ok {
		t.Fatal("no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindAllStringSubmatch(section, -1)
	if len(blocks) < 5 {
		t.Fatalf("%d blocks: the pattern is broken", len(blocks))
	}
	var script strings.Builder
	script.WriteString("set -eu\ntrap 'kill $(cat serve.pid) 2> /dev/null || true' EXIT\n")
	for i, b := range blocks {
		fmt.Fprintf(&script, "echo block %d\n%s\n", i+1, b[1])
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
	c.Env = []string{
		"PATH=" + filepath.Dir(program(t)) + ":" + os.Getenv("PATH"), "HOME=" + work, "L=" + listen,
		"D=" + filepath.Join(work, "net"), "SAFECONDUCT_PASSPHRASE_FILE=" + filepath.Join(work, "passphrase"),
	}
	c.WaitDelay = time.Minute
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all blocks ran") {
		served, _ := os.ReadFile(filepath.Join(work, "serve.log"))
		t.Fatalf("%v\n%s\n%s", err, out, served)
	}
	for _, held := range []string{"The log holds together", "signs", "next", "drafts: none is open", "default"} {
		if !strings.Contains(string(out), held) {
			t.Errorf("nothing says %q:\n%s", held, out)
		}
	}
	// The two things that are wrong there, as the text says.
	if n := strings.Count(string(out), "✕"); n != 2 || !strings.Contains(string(out), "✕ passphrase place") || !strings.Contains(string(out), "✕ aside") {
		t.Errorf("doctor finds %d faults:\n%s", n, out)
	}
}
