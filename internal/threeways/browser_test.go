//go:build stretched

package threeways_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// browser is the browser build in one node process.
type browser struct {
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
	err *strings.Builder
}

// newBrowser builds and starts the browser build.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is missing, and with it one of the three ways")
		}
		t.Skip("node is not installed")
	}
	wasm := filepath.Join(t.TempDir(), "verifier.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", wasm, "../../cmd/verifier-wasm")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	must(t, err)
	execJS := filepath.Join(strings.TrimSpace(string(goroot)), "lib", "wasm", "wasm_exec.js")
	b := &browser{cmd: exec.CommandContext(t.Context(), node, filepath.Join("testdata", "run.js"), execJS, wasm), err: &strings.Builder{}}
	b.cmd.Stderr = b.err
	b.in, err = b.cmd.StdinPipe()
	must(t, err)
	out, err := b.cmd.StdoutPipe()
	must(t, err)
	b.out = bufio.NewReader(out)
	must(t, b.cmd.Start())
	t.Cleanup(func() { _, _ = b.in.Close(), b.cmd.Wait() })
	return b
}

// check gives the browser build one group, and returns its verdicts and tries,
// by case and step.
func (b *browser) check(g *group) ([][]given, error) {
	line := struct {
		File   string   `json:"file"`
		Device string   `json:"device"`
		Opened int64    `json:"opened"`
		Cases  [][]step `json:"cases"`
	}{File: g.pack.file, Device: g.pack.device, Opened: g.pack.opened.Unix()}
	for _, c := range g.cases {
		line.Cases = append(line.Cases, c.steps)
	}
	if err := json.NewEncoder(b.in).Encode(line); err != nil {
		return nil, fmt.Errorf("ask node: %w: %s", err, b.err)
	}
	answered, err := b.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read from node: %w: %s", err, b.err)
	}
	var answers struct {
		Error string
		Cases [][]struct {
			Verdict json.RawMessage
			Tries   string
			Error   string
		}
	}
	if err := json.Unmarshal(answered, &answers); err != nil {
		return nil, fmt.Errorf("read from node: %w", err)
	}
	if answers.Error != "" {
		return nil, errors.New("node: " + answers.Error)
	}
	all := make([][]given, len(answers.Cases))
	for i, steps := range answers.Cases {
		for _, s := range steps {
			if s.Error != "" {
				all[i] = append(all[i], given{verdict: "error: " + s.Error})
				continue
			}
			all[i] = append(all[i], given{canonical(s.Verdict), s.Tries})
		}
	}
	return all, nil
}
