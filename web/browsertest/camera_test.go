//go:build !race

package browsertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card/symbol"
	"github.com/safeconduct/safeconduct/web/browsertest/camera"
)

// cell is one kind of frame: how the card is, and how large its modules are.
type cell struct {
	class     camera.Class
	perModule float64
	least     float64 // share of frames that have to be read; zero asks for nothing
}

// cells of the short form. The long form adds the sizes at which reading
// begins to fail; nothing is promised there.
var (
	cells = []cell{
		{camera.Typical, 3.5, 0.95}, {camera.Typical, 5, 0.95},
		{camera.Worn, 3.5, 0.90}, {camera.Worn, 5, 0.90},
	}
	longCells = []cell{
		{camera.Typical, 2.5, 0}, {camera.Typical, 3, 0}, {camera.Typical, 3.5, 0.95}, {camera.Typical, 4, 0.95}, {camera.Typical, 5, 0.95},
		{camera.Worn, 2.5, 0}, {camera.Worn, 3, 0}, {camera.Worn, 3.5, 0.90}, {camera.Worn, 4, 0.90}, {camera.Worn, 5, 0.90},
	}
)

// shot is one frame as it lies in the file, and what stands on its card.
type shot struct {
	Digits string   `json:"digits"`
	Offset int      `json:"offset"`
	Length int      `json:"length"`
	Marks  []string `json:"marks"`

	jpeg []byte
}

// TestCamera shows printed cards to the page's QR reader, in Chromium. The
// frames are drawn from fixed seeds, so that a change of the reader is the only
// thing that can change the outcome.
func TestCamera(t *testing.T) {
	needBrowser(t)
	table, perCell := cells, 40
	if long() {
		table, perCell = longCells, 200
	}
	var shots []shot
	for i, c := range table {
		shots = append(shots, shoot(t, c, perCell, uint64(i)<<32)...)
	}
	folder := t.TempDir()
	writeFrames(t, folder, shots)

	var results []struct {
		Read, Other bool
		Looks       int
		MS          float64
	}
	if err := json.Unmarshal(node(t, "camera.mjs", folder), &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != len(shots) {
		t.Fatalf("%d frames were shown and %d came back", len(shots), len(results))
	}
	report := "frames of a 720p camera, read by the page's looks and worker\n  class    px/module  frames   read  at first look  median ms  95% ms\n"
	for i, c := range table {
		read, first, times, unread := 0, 0, []float64{}, map[string]int{}
		for j := i * perCell; j < (i+1)*perCell; j++ {
			times = append(times, results[j].MS)
			if results[j].Other {
				t.Errorf("%s at %.1f: a frame was read as other digits than it shows", c.class, c.perModule)
			}
			if results[j].Read {
				read++
				if results[j].Looks == 1 {
					first++
				}
			} else {
				unread[strings.Join(shots[j].Marks, " ")]++
			}
		}
		slices.Sort(times)
		share := float64(read) / float64(perCell)
		report += fmt.Sprintf("  %-8s %9.1f %7d %5.1f%% %13.1f%% %10.0f %7.0f  %s\n", c.class, c.perModule, perCell, 100*share, 100*float64(first)/float64(perCell), times[len(times)/2], times[len(times)*95/100], tally(unread))
		if share < c.least {
			t.Errorf("%s at %.1f pixels to a module: %.1f%% were read, want %.0f%%", c.class, c.perModule, 100*share, 100*c.least)
		}
	}
	t.Log(report)
}

// tally says what the cards were like that could not be read.
func tally(unread map[string]int) string {
	var said []string
	for marks, n := range unread {
		said = append(said, fmt.Sprintf("%d×(%s)", n, marks))
	}
	slices.Sort(said)
	return strings.Join(said, " ")
}

// shoot draws the frames of one cell, each of another card.
func shoot(t *testing.T, c cell, count int, seed uint64) []shot {
	t.Helper()
	shots, failed := make([]shot, count), make([]error, count)
	var wait sync.WaitGroup
	for worker := range runtime.NumCPU() {
		wait.Go(func() {
			for i := worker; i < count; i += runtime.NumCPU() {
				shots[i], failed[i] = shootOne(c, seed+uint64(i))
			}
		})
	}
	wait.Wait()
	for _, err := range failed {
		if err != nil {
			t.Fatal(err)
		}
	}
	return shots
}

func shootOne(c cell, seed uint64) (shot, error) {
	digits := anyDigits(seed)
	s, err := symbol.New(digits)
	if err != nil {
		return shot{}, err
	}
	f, err := camera.Draw(s, c.class, c.perModule, seed)
	if err != nil {
		return shot{}, err
	}
	data, err := f.JPEG()
	return shot{Digits: digits, Length: len(data), Marks: f.Marks, jpeg: data}, err
}

// anyDigits are those of a card that nobody has.
func anyDigits(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 667))
	digits := make([]byte, symbol.Digits)
	for i := range digits {
		digits[i] = '0' + byte(r.IntN(10))
	}
	return string(digits)
}

func writeFrames(t *testing.T, folder string, shots []shot) {
	t.Helper()
	var film bytes.Buffer
	for i := range shots {
		shots[i].Offset = film.Len()
		film.Write(shots[i].jpeg)
	}
	index, err := json.Marshal(shots)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"frames.mjpeg": film.Bytes(), "frames.json": index} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// long asks for the long form of every test here: make camera, make
// browser-long.
func long() bool { return os.Getenv("SAFECONDUCT_BROWSER_LONG") != "" }

// needBrowser skips where there is no browser, except where there has to be one.
func needBrowser(t *testing.T) {
	t.Helper()
	missing := ""
	if _, err := exec.LookPath("chromium"); err != nil {
		missing = "chromium"
	}
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		missing = "playwright-core"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing: scripts/install.sh test installs it", missing)
	default:
		t.Skipf("%s is not here; scripts/install.sh test installs it", missing)
	}
}

// node runs a script of this folder and returns what it prints.
func node(t *testing.T, args ...string) []byte {
	t.Helper()
	c := exec.CommandContext(t.Context(), "node", args...)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		t.Errorf("node %s: %v\n%s", strings.Join(args, " "), err, problems.String())
	}
	return out.Bytes()
}
