//go:build !race

package browsertest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// player is run.mjs, which plays scenarios by their names.
type player struct {
	mu       sync.Mutex
	orders   io.Writer
	waiting  map[string]chan outcome
	problems *bytes.Buffer // what node says; read it when it has ended
	ended    chan struct{}
}

// outcome is what became of one scenario.
type outcome struct {
	Name    string  `json:"name"`
	Said    string  `json:"said"`    // what held, in one line
	Problem string  `json:"problem"` // what did not
	Seconds float64 `json:"seconds"`
}

func newPlayer(t *testing.T, c config) *player {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "run.mjs", file)
	p := &player{waiting: map[string]chan outcome{}, problems: &bytes.Buffer{}, ended: make(chan struct{})}
	node.Stderr = p.problems
	orders, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.orders = orders
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.listen(out)
		_ = node.Wait() // what it says when it fails is in problems
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = orders.Close()
		<-p.ended
	})
	return p
}

// listen hands each outcome to the scenario that waits for it.
func (p *player) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o outcome
		if json.Unmarshal(lines.Bytes(), &o) != nil {
			continue
		}
		p.mu.Lock()
		if waits := p.waiting[o.Name]; waits != nil {
			waits <- o
		}
		p.mu.Unlock()
	}
}

// play plays one scenario to its end.
func (p *player) play(t *testing.T, name string) {
	t.Helper()
	done := make(chan outcome, 1)
	p.mu.Lock()
	p.waiting[name] = done
	_, err := io.WriteString(p.orders, name+"\n")
	p.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case o := <-done:
		if o.Problem != "" {
			t.Errorf("%s", o.Problem)
			return
		}
		t.Logf("%s (%.0f s)", o.Said, o.Seconds)
	case <-p.ended:
		t.Fatalf("node ended: %s", p.problems.String())
	}
}
