package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/demo"
)

// scratch holds what several tests share: the binary and two demos.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "safeconduct-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	for _, d := range demos {
		if d.process != nil {
			_ = d.process.Process.Kill()
			_ = d.process.Wait()
		}
	}
	_ = os.RemoveAll(scratch)
	os.Exit(status)
}

// built is the program, built once: the demo runs itself as a child, so it has
// to be a program of its own and not this test.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "bin", "safeconduct")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput() //nolint:noctx // TestMain has no context
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func program(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// manifest is demo.json, as docs/operate.md describes it: its members, and no
// other.
type manifest struct {
	URL     string `json:"url"`
	Network string `json:"network"`
	Pack    string `json:"pack"`
	Actors  []struct {
		Role, Agency, Token string
	} `json:"actors"`
	Persons   []demo.Staff `json:"persons"`
	Cards     []listedCard `json:"cards"`
	Documents []struct {
		Person    string `json:"person"`
		Number    string `json:"number"`
		BirthDate string `json:"birth_date"`
	} `json:"documents"`
}

type listedCard struct {
	Person, Number, Code, PNG, SVG, Digits, Expect string
}

func readManifest(dir string) (m manifest, err error) {
	f, err := os.Open(filepath.Join(dir, config.DemoName))
	if err != nil {
		return m, err
	}
	defer func() { _ = f.Close() }()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	return m, d.Decode(&m)
}

// played is a demo whose story was told.
type played struct {
	dir     string
	list    manifest
	process *exec.Cmd // nil once it has ended
	printed string    // up to where it says that it serves
}

var (
	demos   []*played
	demosMu sync.Mutex
)

// play runs a demo until it serves.
func play(binary, dir string) (*played, error) {
	d := &played{dir: dir, process: exec.Command(binary, "demo", "--dir", dir)} //nolint:noctx // lives on behind the test
	d.process.Stderr = os.Stderr
	stdout, err := d.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	demosMu.Lock()
	demos = append(demos, d)
	demosMu.Unlock()
	late := time.AfterFunc(15*time.Minute, func() { _ = d.process.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		d.printed += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "Ctrl-C") {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			d.list, err = readManifest(dir)
			return d, err
		}
	}
	return nil, errors.New("the demo ended before it served:\n" + d.printed)
}

// interrupt ends a demo as Ctrl-C does.
func (d *played) interrupt() error {
	if err := d.process.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := d.process.Wait()
	d.process = nil
	return err
}

// serving is a demo that serves until the tests are over.
var serving = sync.OnceValues(func() (*played, error) {
	binary, err := built()
	if err != nil {
		return nil, err
	}
	return play(binary, filepath.Join(scratch, "serving"))
})

// ended is a demo that was played over a copy of the first one, and was
// interrupted while it served. Its folder is at rest and may be copied.
var ended = sync.OnceValues(func() (*played, error) {
	first, err := serving()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(scratch, "ended")
	// Not the databases: somebody writes to them.
	for _, name := range []string{config.DemoName, config.PassphraseName, config.KeysName, config.PackName, "cards", config.ObjectsName} {
		if err := copyTree(filepath.Join(first.dir, name), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "somebody's notes"), []byte("kept"), 0o600); err != nil {
		return nil, err
	}
	binary, err := built()
	if err != nil {
		return nil, err
	}
	d, err := play(binary, dir)
	if err != nil {
		return nil, err
	}
	return d, d.interrupt()
})

func servingDemo(t *testing.T) *played { t.Helper(); return must(t)(serving()) }
func endedDemo(t *testing.T) *played   { t.Helper(); return must(t)(ended()) }

func must(t *testing.T) func(*played, error) *played {
	return func(d *played, err error) *played {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

// copyTree copies a file or a folder, with the modes that a demo gives.
func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		entries, err := os.ReadDir(from)
		for _, e := range entries {
			err = errors.Join(err, copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// as asks the served API in the name of the first actor with a role.
func (d *played) as(role, path string, answer any) error {
	for _, a := range d.list.Actors {
		if a.Role != role {
			continue
		}
		req, err := http.NewRequest(http.MethodGet, d.list.URL+path, nil) //nolint:noctx // bounded by the client
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+a.Token)
		resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %d", path, resp.StatusCode)
		}
		return json.NewDecoder(resp.Body).Decode(answer)
	}
	return fmt.Errorf("nobody is a %s", role)
}

// person is somebody of a demo, who is signed in, by the id of an agency, "" for the
// network, and a handle.
func (d *played) person(ctx context.Context, agency, handle string) (*caller.Person, error) {
	for _, one := range d.list.Persons {
		if one.Agency == agency && one.Handle == handle {
			p := caller.NewPerson(d.list.URL, d.list.URL, one.Passkey)
			return p, p.SignIn(ctx)
		}
	}
	return nil, fmt.Errorf("the demo has no %s", handle)
}

// agree has people of a demo agree to a request: each a handle of the network's own, or
// an agency and a handle with a slash between.
func (d *played) agree(ctx context.Context, request string, who ...string) error {
	var by []*caller.Person
	for _, one := range who {
		agency, handle, ok := strings.Cut(one, "/")
		if !ok {
			agency, handle = "", one
		}
		p, err := d.person(ctx, agency, handle)
		if err != nil {
			return err
		}
		by = append(by, p)
	}
	return caller.Agreed(ctx, caller.Request{ID: request}, by...)
}
