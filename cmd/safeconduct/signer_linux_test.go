package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people/roster"
)

// signed is a network that is served by the program, with a signer.
type signed struct {
	t           *testing.T
	dir, phrase string
	passphrase  string
	token       string // of its operator
	house       *peopletest.House
	address     string
	process     *exec.Cmd
}

// newSigned makes a network with one agency.
func newSigned(t *testing.T) *signed {
	t.Helper()
	s := &signed{t: t, dir: filepath.Join(t.TempDir(), "net"), phrase: filepath.Join(t.TempDir(), "phrase"), passphrase: "a long passphrase " + randomHex(16)}
	cfg := service.Config{Dir: s.dir, WorkFactor: service.DemoWork, Passphrase: s.passphrase}
	if err := errors.Join(os.Mkdir(s.dir, 0o700), os.WriteFile(s.phrase, []byte(s.passphrase+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	access, err := service.Found(t.Context(), cfg, service.Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	s.token = access.Token
	opened(t, cfg, func(h *service.Service) {
		s.house = peopletest.Joined(t, h.People, h.Passkeys, "https://net.example", access.Join)
		s.house.Agency(h.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
	})
	return s
}

// serve starts the service and waits until it can work.
func (s *signed) serve(args ...string) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = l.Addr().String()
	if err := l.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.process = s.start(append([]string{"serve", "--dir", s.dir, "--listen", s.address}, args...)...)
	s.becomes("/readyz", http.StatusOK)
}

// start runs the program until the test is over.
func (s *signed) start(args ...string) *exec.Cmd {
	s.t.Helper()
	c := exec.Command(program(s.t), args...) //nolint:noctx // ended below
	var said bytes.Buffer
	c.Stderr = &said
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
		_ = c.Wait()
		late.Stop()
		if s.t.Failed() {
			s.t.Logf("%v said:\n%s", args[0], &said)
		}
	})
	return c
}

// ask is one request in the operator's name.
func (s *signed) ask(method, path string) (status int, answer string) {
	s.t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", randomHex(16))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// becomes waits until a path answers so.
func (s *signed) becomes(path string, want int) {
	s.t.Helper()
	var got int
	for range 720 { // three minutes: the machine may be busy
		if got, _ = s.ask(http.MethodGet, path); got == want {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	s.t.Fatalf("%s answers %d, want %d", path, got, want)
}

// answers waits until a path answers so, with this in it.
func (s *signed) answers(path string, want int, holds string) {
	s.t.Helper()
	var got int
	var answer string
	for range 720 { // three minutes: the machine may be busy
		if got, answer = s.ask(http.MethodGet, path); got == want && strings.Contains(answer, holds) {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	s.t.Fatalf("%s answers %d %s, want %d %s", path, got, answer, want, holds)
}

// child is the process that another one has started.
func child(t *testing.T, parent int) (pid int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// secrets are what only a signer may have, by name, in every form in which this
// program keeps it.
func (s *signed) secrets() map[string][]byte {
	s.t.Helper()
	f, err := os.Open(filepath.Join(s.dir, config.KeysName))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	identity, err := age.NewScryptIdentity(s.passphrase)
	if err != nil {
		s.t.Fatal(err)
	}
	plain, err := age.Decrypt(f, identity)
	if err != nil {
		s.t.Fatal(err)
	}
	var keys struct {
		Root, Trust, Status, Pack, Index, Epochs []byte
		Log                                      string
		Agencies                                 map[string]struct{ Signing, KEK [][]byte }
	}
	if err := json.NewDecoder(plain).Decode(&keys); err != nil {
		s.t.Fatal(err)
	}
	found := map[string][]byte{"passphrase": []byte(s.passphrase), "index": keys.Index, "epochs": keys.Epochs, "log": []byte(keys.Log)}
	// PRIVATE+KEY+name+hash+key (C2SP signed-note); the key may have a plus sign.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(keys.Log, "+", 5)[4])
	if err != nil {
		s.t.Fatal(err)
	}
	found["log seed"] = seed[1:]
	private := func(name string, der []byte) {
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			s.t.Fatal(err)
		}
		scalar, err := parsed.(*ecdsa.PrivateKey).Bytes()
		if err != nil {
			s.t.Fatal(err)
		}
		found[name] = scalar
		backwards := slices.Clone(scalar) // as big.Int has it
		slices.Reverse(backwards)
		found[name+" backwards"] = backwards
	}
	private("root", keys.Root)
	private("trust", keys.Trust)
	private("status", keys.Status)
	private("pack", keys.Pack)
	for _, a := range keys.Agencies {
		private("agency", a.Signing[0])
		found["kek"] = a.KEK[0]
	}
	if len(keys.Agencies) != 1 {
		s.t.Fatalf("%d agencies", len(keys.Agencies))
	}
	return found
}

// inMemory names the secrets that are in a process's memory.
func inMemory(t *testing.T, pid int, secrets map[string][]byte) (names []string) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skipf("the memory of another process is not shown here: %v", err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skipf("the memory of another process is not shown here: %v", err)
	}
	defer func() { _ = mem.Close() }()
	found, read := map[string]bool{}, 0
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		// Overlapping pieces: much of what is mapped was never touched.
		const piece = 1 << 20
		for at := from; at < to; at += piece {
			data := make([]byte, min(piece+4096, to-at))
			n, _ := mem.ReadAt(data, at)
			read += n
			for name, secret := range secrets {
				found[name] = found[name] || bytes.Contains(data[:n], secret)
			}
		}
	}
	if read < 1<<20 {
		t.Fatalf("only %d bytes of the process could be read", read)
	}
	for name, is := range found {
		if is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestSignerBeside: serve has neither passphrase nor key in its memory, its signer
// has; without one it says so and signs nothing; and neither outlives the other.
func TestSignerBeside(t *testing.T) {
	s := newSigned(t)
	s.serve("--passphrase-file", s.phrase)
	if status, answer := s.ask(http.MethodPost, "/api/v1/publications"); status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("publish: %d %s", status, answer)
	}
	first := child(t, s.process.Process.Pid)
	if first == 0 {
		t.Fatal("serve has no signer")
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", first)); err != nil || bytes.Contains(line, []byte(s.passphrase)) {
		t.Errorf("the signer's command line: %q, %v", line, err)
	}
	secrets := s.secrets()
	if names := inMemory(t, first, secrets); !slices.Contains(names, "passphrase") || !slices.Contains(names, "agency") || !slices.Contains(names, "index") {
		t.Errorf("of the signer's memory the search finds %v: it would find nothing elsewhere", names)
	}
	if names := inMemory(t, s.process.Process.Pid, secrets); len(names) > 0 {
		t.Errorf("the process that serves has %v", names)
	}

	// The medium with the passphrase is taken out, and the signer ends.
	if err := os.Rename(s.phrase, s.phrase+" taken out"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.becomes("/readyz", http.StatusServiceUnavailable)
	if status, answer := s.ask(http.MethodPost, "/api/v1/publications"); status != http.StatusServiceUnavailable || !strings.Contains(answer, "keystore_unavailable") {
		t.Errorf("without a signer: %d %s", status, answer)
	}
	if status, answer := s.ask(http.MethodGet, "/pack"); status != http.StatusOK {
		t.Errorf("without a signer: the pack: %d %s", status, answer)
	}
	if err := os.Rename(s.phrase+" taken out", s.phrase); err != nil {
		t.Fatal(err)
	}
	s.becomes("/readyz", http.StatusOK)
	if status, answer := s.ask(http.MethodPost, "/api/v1/publications"); status != http.StatusOK && status != http.StatusCreated {
		t.Errorf("with a new signer: %d %s", status, answer)
	}

	second := child(t, s.process.Process.Pid)
	if second == 0 || second == first {
		t.Fatalf("the new signer is %d", second)
	}
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if errors.Is(syscall.Kill(second, 0), syscall.ESRCH) {
			break
		}
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", second)); err != nil || bytes.Contains(data, []byte(") Z ")) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", second)); err == nil && !bytes.Contains(data, []byte(") Z ")) {
		t.Errorf("the signer outlived the service: %s", data)
	}
}

// TestSignerOfItsOwn: the keys in a folder of their own, asked over a socket by
// serve and by every other command, neither of which is told a passphrase.
func TestSignerOfItsOwn(t *testing.T) {
	s := newSigned(t)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := errors.Join(os.Mkdir(keys, 0o700), os.Rename(filepath.Join(s.dir, config.KeysName), filepath.Join(keys, config.KeysName)),
		os.WriteFile(filepath.Join(s.dir, config.EnginesName), []byte(`{"signer_socket": "`+filepath.Join(keys, config.SocketName)+`"}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	refused := exec.Command(program(t), "serve", "--dir", s.dir) //nolint:noctx // it ends at once
	if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "signer") {
		t.Errorf("without a signer: %v\n%s", err, out)
	}
	own := s.start("signer", "--dir", keys, "--passphrase-file", s.phrase)
	for range 600 {
		if _, err := os.Lstat(filepath.Join(keys, config.SocketName)); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if out, err := exec.Command(program(t), "signer", "--dir", keys, "--passphrase-file", s.phrase).CombinedOutput(); err == nil { //nolint:noctx // it ends by itself
		t.Errorf("a second signer took the same keys\n%s", out)
	}
	s.serve()
	if pid := child(t, s.process.Process.Pid); pid != 0 {
		t.Error("serve started a signer although there is one")
	}
	if status, answer := s.ask(http.MethodPost, "/api/v1/publications"); status != http.StatusOK && status != http.StatusCreated {
		t.Errorf("publish: %d %s", status, answer)
	}
	for _, args := range [][]string{{"fsck"}, {"key", "list"}, {"log", "verify"}} {
		if out, err := exec.Command(program(t), append(args, "--dir", s.dir)...).CombinedOutput(); err != nil { //nolint:noctx // it ends by itself
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if err := own.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.becomes("/readyz", http.StatusServiceUnavailable)
	s.start("signer", "--dir", keys, "--passphrase-file", s.phrase)
	s.becomes("/readyz", http.StatusOK)
}
