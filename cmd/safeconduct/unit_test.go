package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestUnits: the units' command lines are ones that the program takes, and systemd finds
// nothing wrong with them.
func TestUnits(t *testing.T) {
	for file, verbs := range map[string][]string{
		"safeconduct.service":         {"serve"},
		"safeconduct-signer.service":  {"signer"},
		"safeconduct-nightly.service": {"backup", "fsck"},
		"safeconduct-nightly.timer":   nil,
	} {
		t.Run(file, func(t *testing.T) { checkUnit(t, file, verbs) })
	}
}

// installed is where the units have the program.
const installed = "/usr/local/bin/safeconduct"

func checkUnit(t *testing.T, file string, verbs []string) {
	folder := filepath.Join("..", "..", "docs", "operate")
	unit, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	var called []string
	for _, line := range regexp.MustCompile(`(?m)^ExecStart=.*?`+installed+` (.+?)'?$`).FindAllSubmatch(unit, -1) {
		c, rest, err := rootCommand().Find(strings.Fields(string(line[1])))
		if err != nil {
			t.Fatalf("%s: %v", line[1], err)
		}
		called = append(called, c.Name())
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("%s: %v", line[1], err)
		}
	}
	if !slices.Equal(called, verbs) {
		t.Errorf("it calls %q, want %q", called, verbs)
	}
	for _, name := range regexp.MustCompile(`(?m)^Environment=([A-Z_]+)=`).FindAllSubmatch(unit, -1) {
		if !slices.ContainsFunc(config.Settings, func(s config.Setting) bool { return s.Env() == string(name[1]) }) {
			t.Errorf("%s is no setting", name[1])
		}
	}

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine: the rest held")
	}
	// systemd wants the program to be there, and a timer the unit that it starts.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	here := t.TempDir()
	all, err := filepath.Glob(filepath.Join(folder, "*.[st]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		b, err := os.ReadFile(one)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte(installed), []byte(self))
		if err := os.WriteFile(filepath.Join(here, filepath.Base(one)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join(here, file)).CombinedOutput()
	if err != nil || strings.Contains(string(out), file+":") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if verbs == nil {
		return
	}
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold=20", filepath.Join(here, file)).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	t.Log(lines[len(lines)-1])
}
