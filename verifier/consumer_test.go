package verifier_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConsumer builds a module that imports the verifier and nothing else of
// ours, for every platform that has to carry a check. It has its own go.mod, so
// it also shows what the verifier brings along.
func TestConsumer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for three platforms")
	}
	dir := filepath.Join("..", "testdata", "consumer")
	// What is read here is what the test cache knows of (golang/go#30313).
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no consumer (%v)", err)
	}
	for _, file := range files {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	targets := []string{"linux/amd64", "linux/arm64", "js/wasm"}
	for _, target := range targets {
		system, arch, _ := strings.Cut(target, "/")
		build := exec.Command("go", "build", "-o", os.DevNull, ".")
		build.Dir = dir
		build.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v (go mod tidy in testdata/consumer, if it says so)\n%s", target, err, out)
		}
	}
	// What the verifier brings along touches neither network nor database.
	list := exec.Command("go", "list", "-deps", "github.com/safeconduct/safeconduct/verifier")
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, dep := range deps {
		for _, refused := range []string{"net/http", "database/sql", "os/exec", "github.com/gin-gonic/gin", "github.com/safeconduct/safeconduct/internal", "github.com/safeconduct/safeconduct/network", "github.com/safeconduct/safeconduct/vault"} {
			if dep == refused || strings.HasPrefix(dep, refused+"/") {
				t.Errorf("the verifier brings %s along", dep)
			}
		}
	}
	if len(deps) == 0 {
		t.Error("no packages listed")
	}
	t.Logf("consumer: %d platforms, %d packages", len(targets), len(deps))
}
