package enginetest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
)

// TestCrash kills the service with SIGKILL while it issues, again and again,
// and looks at what is left: every attestation that somebody was told of is
// there, no status index was used twice, and nothing was signed that was not
// written down before.
//
// SAFECONDUCT_CRASH_CYCLES says how often; `make crash` does it 200 times. At
// least a quarter of the kills have to fall between reserving and completing.
func TestCrash(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	cycles := 20
	if s := os.Getenv("SAFECONDUCT_CRASH_CYCLES"); s != "" {
		var err error
		if cycles, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	s := newCrashService(t)
	s.begin()
	for i := range cycles {
		s.start()
		s.crash(i)
		s.fsck()
	}
	s.start()
	s.everythingIsThere()
	s.stop()
	s.noIndexTwice()
	s.nothingSignedUnrecorded()
	t.Logf("%d kills, %d of them between reserve and complete; %d attestations acknowledged, %d drafts settled, %d digests signed",
		cycles, s.between, len(s.acknowledged), s.settled, s.signedCount)
	if s.between*4 < cycles {
		t.Errorf("only %d of %d kills fell between reserve and complete", s.between, cycles)
	}
	if len(s.acknowledged) < cycles {
		t.Errorf("only %d attestations were acknowledged", len(s.acknowledged))
	}
}

// crashService is one service that is killed and started over the same folder.
type crashService struct {
	t                         *testing.T
	binary, dir, phrase, sums string
	address, token            string
	operator, agency, caseID  string
	process                   *exec.Cmd
	reserved                  chan struct{}
	mu                        sync.Mutex
	acknowledged              []string
	between, settled          int
	signedCount               int
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
	out, err := s.command("init", "--json", "--dir", s.dir, "--passphrase-file", s.phrase, "--name", "Crash test",
		"--url", "https://crash.example", "--desk", "+00 00 000 000").Output()
	var made struct{ ID, Token, Link string }
	if err := errors.Join(err, json.Unmarshal(out, &made)); err != nil {
		s.t.Fatal("init:", err)
	}
	// A demo's passphrase, where a demo has it, is stretched little from now on: each
	// of the starts to come would take a second longer.
	left := filepath.Join(s.dir, config.PassphraseName)
	if err := os.Rename(s.phrase, left); err != nil {
		s.t.Fatal(err)
	}
	s.phrase = left
	s.operator = made.Token
	s.start()
	first := openOffice(s.t, s.address, made.Link)
	s.agency = first.agency("Crash NGO (made up)", "KHM")
	s.token = first.program(s.agency, "caseworker")
	s.must("POST", "/api/v1/cases", `{}`, &made)
	s.caseID = made.ID
	s.stop()
}

func (s *crashService) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(s.t.Context(), s.binary, args...)
	c.Env = append(os.Environ(), "SAFECONDUCT_SIGNED="+s.sums, "SAFECONDUCT_FAILPOINT=30ms")
	return c
}

// start runs serve and waits until it answers.
func (s *crashService) start() {
	s.t.Helper()
	s.process = s.command("serve", "--dir", s.dir, "--passphrase-file", s.phrase, "--listen", s.address)
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
			if strings.Contains(lines.Text(), "failpoint reserved") {
				select {
				case reserved <- struct{}{}:
				default:
				}
			}
		}
	}()
	waitReady(s.t, s.address)
}

func (s *crashService) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *crashService) stop() {
	_ = s.process.Process.Signal(os.Interrupt)
	_ = s.process.Wait()
}

// crash issues from four clients and kills: half of the time right after a
// draft was reserved, half of the time whenever, once two have been acknowledged.
func (s *crashService) crash(cycle int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				s.issue(ctx, fmt.Sprintf("crash-%06d-%02d-%06d", cycle, client, n))
			}
		})
	}
	if cycle%2 == 0 {
		time.Sleep(time.Duration(60+rand.IntN(120)) * time.Millisecond)
		for len(s.reserved) > 0 {
			<-s.reserved
		}
		select {
		case <-s.reserved:
		case <-time.After(time.Minute):
			s.t.Error("nothing was reserved in a minute")
		}
	} else {
		before := s.told()
		for end := time.Now().Add(5 * time.Minute); s.told() < before+2; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				s.t.Error("nothing was acknowledged in five minutes")
				break
			}
		}
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
	}
	s.kill()
	cancel()
	clients.Wait()
}

// told is how many were acknowledged.
func (s *crashService) told() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acknowledged)
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
	out, err := s.command("fsck", "--json", "--dir", s.dir, "--passphrase-file", s.phrase).Output()
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
	if health.Settled > 0 {
		s.between++
	}
}

func (s *crashService) everythingIsThere() {
	s.t.Helper()
	// As fast as the service takes requests from everybody together.
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for _, id := range s.acknowledged {
		var a struct{ ID, State, Credential string }
		<-pace.C
		s.must("GET", "/api/v1/attestations/"+id, "", &a)
		if a.ID != id || a.State != "active" || a.Credential == "" {
			s.t.Fatalf("an acknowledged attestation is %q", a.State)
		}
	}
}

// issued reads everything that was ever reserved in the case.
func (s *crashService) issued() []credentials.Issued {
	s.t.Helper()
	h, err := service.Look(s.t.Context(), service.Config{Dir: s.dir, Passphrase: config.DemoPassphrase + "crash", Now: time.Now})
	if err != nil {
		s.t.Fatal(err)
	}
	all, err := h.DB.Credentials().ByCase(s.t.Context(), s.caseID)
	if err := errors.Join(err, h.Close()); err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *crashService) noIndexTwice() {
	s.t.Helper()
	seen := map[[2]uint32]bool{}
	for _, d := range s.issued() {
		at := [2]uint32{uint32(d.List), d.Index}
		if seen[at] {
			s.t.Fatalf("index %v was used twice", at)
		}
		seen[at] = true
	}
}

func (s *crashService) nothingSignedUnrecorded() {
	s.t.Helper()
	recorded := map[string]bool{}
	for _, d := range s.issued() {
		recorded[fmt.Sprintf("%x", d.Digest)] = true
	}
	data, err := os.ReadFile(s.sums)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		s.signedCount++
		if !recorded[strings.TrimSpace(line)] {
			s.t.Fatal("something was signed that is not recorded")
		}
	}
	if s.signedCount < len(s.acknowledged) {
		s.t.Fatalf("%d digests were signed for %d acknowledged attestations: the test does not watch", s.signedCount, len(s.acknowledged))
	}
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
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", "http://"+s.address+path, bytes.NewReader(picture))
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
