package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestUnit: the unit's command line is one that the program takes, and systemd
// finds nothing wrong with it.
func TestUnit(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "operate", "safeconduct.service")
	unit, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(.+)$`).FindSubmatch(unit)
	if start == nil {
		t.Fatal("no ExecStart")
	}
	args := strings.Fields(string(start[1]))
	if args[0] != "/usr/local/bin/safeconduct" {
		t.Errorf("starts %s", args[0])
	}
	c, rest, err := rootCommand().Find(args[1:])
	if err != nil || c.Name() != "serve" {
		t.Fatalf("%v: %v", args, err)
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Error(err)
	}
	for _, name := range regexp.MustCompile(`(?m)^Environment=([A-Z_]+)=`).FindAllSubmatch(unit, -1) {
		known := false
		for _, s := range config.Settings {
			known = known || s.Env() == string(name[1])
		}
		if !known {
			t.Errorf("%s is no setting", name[1])
		}
	}
	// systemd wants the program to be there.
	here := filepath.Join(t.TempDir(), "safeconduct.service")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(here, []byte(strings.ReplaceAll(string(unit), args[0], self)), 0o600); err != nil {
		t.Fatal(err)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine: the rest held")
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", here).CombinedOutput()
	if err != nil || strings.Contains(string(out), "safeconduct.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold=20", here).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	t.Log(lines[len(lines)-1])
}
