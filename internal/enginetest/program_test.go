package enginetest_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/web"
)

// scratch holds what several tests share: the program, once for each tag.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "safeconduct-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(status)
}

// programs are the builds of the program: as it is, with failpoints, and one
// that leaks on purpose.
var programs = map[string]func() (string, error){"": built(""), "failpoints": built("failpoints"), "leaking": built("leaking")}

func built(tags string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(scratch, "bin"+tags, "safeconduct")
		out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "../../cmd/safeconduct").CombinedOutput() //nolint:noctx // shared by tests
		if err != nil {
			return "", fmt.Errorf("build: %w\n%s", err, out)
		}
		return path, nil
	})
}

func program(t testing.TB, tags string) string {
	t.Helper()
	path, err := programs[tags]()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// demoProgram is a program whose demo holds, which takes the pages.
func demoProgram(t testing.TB, tags string) string {
	t.Helper()
	switch err := web.Built(); {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skipf("%v: scripts/web.sh builds them", err)
	}
	return program(t, tags)
}

// freeAddress is one at which nothing is served.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// manifest is what these tests need of demo.json.
type manifest struct {
	Pack   string
	Actors []struct{ Role, Agency, Token string }
	Cards  []struct{ Number, Code, Digits, PNG, Expect string }
}

func readManifest(t testing.TB, dir string) (m manifest) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, config.DemoName))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// identities are the keys in a file that open a backup.
func identities(t testing.TB, path string) []backup.Identity {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	ids, err := backup.ParseIdentities(f)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}
