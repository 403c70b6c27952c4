package signer_test

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/signer"
)

// another is a user that we are not.
const another = 65534

// TestPeers: whoever can reach the socket and is another user gets no answer,
// unless that user is named.
func TestPeers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	file, _ := keyFile(t)
	for name, c := range map[string]struct {
		peers []int
		heard bool
	}{"not named": {nil, false}, "another named": {[]int{4711}, false}, "named": {[]int{4711, another}, true}} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "peers")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			path := filepath.Join(dir, "s.sock")
			t.Cleanup(serve(t, path, signer.Config{Keys: file, Peers: c.peers}))
			// The socket alone would let everybody in.
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			if heard := asAnother(t, path); heard != c.heard {
				t.Errorf("got an answer: %v, want %v", heard, c.heard)
			}
			dial(t, path)
		})
	}
}

// asAnother connects as another user, sends what is no question, and reports
// whether anything was answered.
func asAnother(t *testing.T, path string) (heard bool) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		if _, _, no := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), another, ^uintptr(0)); no != 0 {
			t.Errorf("become another user: %v", no)
			return
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Errorf("connect: %v", err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte("\x00\x00\x00\x01\xff"))
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, _ := conn.Read(make([]byte, 64))
		heard = n > 0
	}()
	<-done
	return heard
}
