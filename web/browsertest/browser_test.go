//go:build !race

// Package browsertest_test plays the officers' page and the page of authority in
// Chromium, against the real service, and shows the first one printed cards through a
// camera. What is played
// stands in the .mjs files beside it; what the verifier answers is left to its
// own tests.
//
// The race detector sees nothing of a browser and slows down the drawing of
// frames tenfold, so that make browser runs these tests, without it.
package browsertest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/web/browsertest/camera"
)

// config is what the scenarios are given.
type config struct {
	Service string          `json:"service"` // the real one
	Demo    json.RawMessage `json:"demo"`    // its demo.json
	Folder  string          `json:"folder"`  // the demo's
	MadeUp  string          `json:"madeUp"`  // the network of madeUp
	Cards   []madeCard      `json:"cards"`   // its cards
	Screens string          `json:"screens"` // where pictures of the screens go
	Films   []film          `json:"films"`   // what a camera sees
	Long    bool            `json:"long"`

	Authority map[string]founded `json:"authority"` // networks that nobody has joined yet, by language
	Lock      founded            `json:"lock"`      // another one, served by a process of its own kind

	Founding begun `json:"founding"` // a network that nobody has joined yet, behind TLS
	Replicas begun `json:"replicas"` // another one, of two processes

	BlankPNG    string          `json:"blankPNG"`
	Pictures    []picture       `json:"pictures"`    // of the card that is unconfirmed
	Credentials madeCredentials `json:"credentials"` // of the network of madeUp
}

// film is a card before a camera.
type film struct {
	File   string `json:"file"`
	Code   string `json:"code"`
	Expect string `json:"expect"`
}

// scenarios are the tests in the .mjs files, each by its name.
var scenarios = []string{
	"english", "khmer", "arabic", "otherWays", "packs", "tabs", "tries",
	"pinDevice", "passkey", "offline", "camera", "closing", "stranger", "firstVisit",
	"adminEnglish", "adminArabic", "adminKhmer", "visitor", "lock",
}

// TestBrowser plays the page in Chromium, against the real service. Each scenario
// can be played alone: go test -run 'TestBrowser/offline'. Most share a browser,
// each with storage of its own.
func TestBrowser(t *testing.T) {
	needBrowser(t)
	c := config{Long: long(), BlankPNG: blank(t)}
	c.Service, c.Folder, c.Demo = startDemo(t)
	made := newMadeUp(t)
	c.MadeUp, c.Cards = made.serve(t, c.Service), made.Cards
	c.Pictures, c.Credentials = pictures(t, made.card("unconfirmed").Digits), made.credentials(t)
	c.Films = films(t, c.Demo)
	c.Authority = foundNetworks(t)
	c.Lock = serveNetwork(t)
	if os.Getenv("SAFECONDUCT_SCREENS") != "" {
		c.Screens = t.TempDir()
	}
	players := newPlayer(t, c)
	t.Run("scenarios", func(t *testing.T) {
		for _, name := range scenarios {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				players.play(t, name)
			})
		}
	})
	// It stops and continues processes of a browser, so that nothing may run beside
	// it. The long form alone holds its times to figures.
	if c.Long {
		t.Run("slow", func(t *testing.T) { players.play(t, "slow") })
	}
	if c.Screens != "" && !t.Failed() {
		keepScreens(t, c.Screens)
	}
}

// films are cards of the demo as a typical camera sees them, hardly moving, at
// the size at which reading is promised.
func films(t *testing.T, demo []byte) []film {
	t.Helper()
	var listed struct {
		Cards []struct{ Digits, Code, Expect string }
	}
	if err := json.Unmarshal(demo, &listed); err != nil {
		t.Fatal(err)
	}
	var made []film
	for i, c := range listed.Cards[:2] {
		s, err := symbol.New(c.Digits)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for j := range uint64(4) {
			f, err := camera.Draw(s, camera.Typical, 3.5, uint64(i)<<8+j)
			if err != nil {
				t.Fatal(err)
			}
			if err := camera.WriteMJPEG(&b, []camera.Frame{f}); err != nil {
				t.Fatal(err)
			}
		}
		name := filepath.Join(t.TempDir(), "film.mjpeg")
		if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		made = append(made, film{name, c.Code, c.Expect})
	}
	return made
}

// programIn builds the binary.
func programIn(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "safeconduct")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/safeconduct").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// startDemo builds the binary, and starts its demo.
func startDemo(t *testing.T) (address, folder string, listed json.RawMessage) {
	t.Helper()
	binary := programIn(t)
	// A page that asks for a passkey has to be at localhost, by name.
	port := freePort(t)
	folder = filepath.Join(t.TempDir(), "demo")
	c := exec.Command(binary, "demo", "--dir", folder, "--listen", "localhost:"+port)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	c.Stderr = &problems
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
	})
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "Look at ") {
				ready <- true
			}
		}
		close(ready)
	}()
	select {
	case told := <-ready:
		if !told {
			t.Fatalf("the demo ended: %s", problems.String())
		}
	case <-time.After(10 * time.Minute):
		t.Fatal("the demo takes too long")
	}
	if listed, err = os.ReadFile(filepath.Join(folder, "demo.json")); err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + port, folder, listed
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
