package enginetest_test

import (
	"bufio"
	"bytes"
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
	"syscall"
	"testing"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// crashService is one service that is killed and started over the same folder.
type crashService struct {
	t                         *testing.T
	binary, dir, phrase, sums string
	engines, env              []string // elsewhere than in its folder, and what it takes to get there
	address, token            string
	operator, agency, caseID  string
	process                   *exec.Cmd
	attr                      *syscall.SysProcAttr
	reserved                  chan struct{}
	mu                        sync.Mutex
	acknowledged              []string
	complaints                []string
	settled                   int
}

func newCrashService(t *testing.T) *crashService {
	t.Helper()
	temp := t.TempDir()
	s := &crashService{
		t: t, binary: program(t, "failpoints"), dir: filepath.Join(temp, "house"),
		phrase: filepath.Join(temp, "passphrase"), sums: filepath.Join(temp, "signed"),
		address: freeAddress(t),
	}
	if err := os.WriteFile(s.phrase, []byte(config.DemoPassphrase+"crash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// begin makes the network, one agency, one program of it and one case.
func (s *crashService) begin() {
	s.t.Helper()
	first := s.found()
	s.agency = first.agency("Crash NGO (made up)", "KHM")
	s.token = first.program(s.agency, "caseworker")
	var made struct{ ID string }
	s.must("POST", "/api/v1/cases", `{}`, &made)
	s.caseID = made.ID
	s.stop()
}

// found makes the network, and has its first operator join it while it is served.
func (s *crashService) found() *office {
	s.t.Helper()
	out, err := s.command(append([]string{"init", "--json", "--name", "Crash test", "--url", "https://crash.example", "--desk", "+00 00 000 000"}, s.engines...)...).Output()
	var made struct{ Token, Link string }
	if err := errors.Join(err, json.Unmarshal(out, &made)); err != nil {
		s.t.Fatal("init:", err)
	}
	if s.phrase != "" {
		// A demo's passphrase, where a demo has it, is stretched little from now on: each
		// of the starts to come would take a second longer.
		left := filepath.Join(s.dir, config.PassphraseName)
		if err := os.Rename(s.phrase, left); err != nil {
			s.t.Fatal(err)
		}
		s.phrase = left
	}
	s.operator = made.Token
	s.start()
	return openOffice(s.t, s.address, made.Link)
}

// command is one of the program over the folder.
func (s *crashService) command(args ...string) *exec.Cmd {
	args = append(args, "--dir", s.dir)
	if s.phrase != "" {
		args = append(args, "--passphrase-file", s.phrase)
	}
	c := exec.CommandContext(s.t.Context(), s.binary, args...)
	c.Env = append(os.Environ(), "SAFECONDUCT_SIGNED="+s.sums, "SAFECONDUCT_FAILPOINT=30ms")
	c.Env = append(c.Env, s.env...)
	return c
}

// start runs serve and waits until it answers.
func (s *crashService) start() {
	s.t.Helper()
	s.run(s.command("serve", "--listen", s.address))
	waitReady(s.t, s.address)
}

// run begins to serve.
func (s *crashService) run(serve *exec.Cmd) {
	s.t.Helper()
	s.process = serve
	s.process.SysProcAttr = s.attr
	stderr, err := s.process.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	reserved := make(chan struct{}, 1024)
	s.reserved = reserved
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.hear(lines.Text())
			if strings.Contains(lines.Text(), "failpoint reserved") {
				select {
				case reserved <- struct{}{}:
				default:
				}
			}
		}
	}()
}

// hear remembers the last complaints of the process, which say more of a failure than
// its answers do.
func (s *crashService) hear(line string) {
	if strings.Contains(line, `"level":"INFO"`) || strings.HasPrefix(line, "failpoint ") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.complaints = append(s.complaints, line); len(s.complaints) > 40 {
		s.complaints = s.complaints[1:]
	}
}

// complained tells what was heard, if the test failed.
func (s *crashService) complained() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.t.Failed() {
		s.t.Logf("the process said last:\n%s", strings.Join(s.complaints, "\n"))
	}
}

func (s *crashService) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *crashService) stop() {
	_ = s.process.Process.Signal(os.Interrupt)
	_ = s.process.Wait()
}

const crashClaims = `{"kind":"identity","claims":{"names":[{"script":"Latn","full":"MADE UP","type":"used"}],"assurance":"self_asserted","claim_status":"open"}}`

// issue notes what the service acknowledged.
func (s *crashService) issue(ctx context.Context, key string) {
	var made struct{ ID string }
	if err := s.call(ctx, "POST", "/api/v1/cases/"+s.caseID+"/attestations", crashClaims, key, &made); err != nil || made.ID == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acknowledged = append(s.acknowledged, made.ID)
}

// fsck settles what the crash left and must find nothing broken.
func (s *crashService) fsck() {
	s.t.Helper()
	out, err := s.command("fsck", "--json").Output()
	if err != nil {
		s.t.Fatalf("fsck: %v\n%s", err, out)
	}
	var health sqlstore.Health
	if err := json.Unmarshal(out, &health); err != nil {
		s.t.Fatal(err)
	}
	if len(health.Problems) > 0 {
		s.t.Fatalf("fsck: %q", health.Problems)
	}
	s.settled += health.Settled
}

func (s *crashService) must(method, path, body string, answer any) {
	s.t.Helper()
	if err := s.call(s.t.Context(), method, path, body, "test-"+randomHex(16), answer); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (s *crashService) call(ctx context.Context, method, path, body, key string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%d %s", resp.StatusCode, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

// upload sends a picture.
func (s *crashService) upload(path string, picture []byte) error {
	return s.uploadBy(s.t.Context(), path, picture)
}

func (s *crashService) uploadBy(ctx context.Context, path string, picture []byte) error {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.address+path, bytes.NewReader(picture))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "image/png")
	req.Header.Set("Idempotency-Key", "test-"+randomHex(16))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return fmt.Errorf("%d %s", resp.StatusCode, data)
	}
	return nil
}
