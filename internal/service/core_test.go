package service

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"
)

// TestCoreDumps: a service that serves writes no core file.
func TestCoreDumps(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux alone")
	}
	if os.Getenv("SAFECONDUCT_TEST_CORE") != "" {
		if err := disableCoreDumps(); err != nil {
			t.Fatal(err)
		}
		limits, err := os.ReadFile("/proc/self/limits")
		if err != nil && !os.IsPermission(err) {
			t.Fatal(err)
		}
		if err == nil && !regexp.MustCompile(`Max core file size +0 +0`).Match(limits) {
			t.Errorf("%s", limits)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^TestCoreDumps$")
	c.Env = append(os.Environ(), "SAFECONDUCT_TEST_CORE=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
