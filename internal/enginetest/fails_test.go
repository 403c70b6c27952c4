//go:build linux

package enginetest_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
)

// TestFailingCalls has the n-th system call of the service fail, on its keyring, its
// database, its blobs, its log or wherever, with an error of the disk or because the disk
// is full, or has the service killed as it makes that call, while people do everything that
// is done to a case. Then the service starts as ever, fsck finds nothing, and everything
// that somebody was told of is there.
//
// strace makes calls fail (strace(1), Tampering). It counts by thread: with n = 3 every
// thread's third call of a name fails. With SAFECONDUCT_CRASH_CYCLES (`make crash`) n
// walks for each name by itself, from 1 until nothing fails any more.
func TestFailingCalls(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	tracer := strace(t)
	f := &failing{mortal: newMortal(t), tracer: tracer, injected: map[string]int{}}
	began := time.Now()
	if os.Getenv("SAFECONDUCT_CRASH_CYCLES") == "" {
		for i, s := range failingStores {
			f.fail(s, strings.Join(s.calls, ","), failures[i%len(failures)], 1)
			f.fail(s, strings.Join(s.calls, ","), failures[(i+1)%len(failures)], 1+rand.IntN(6))
		}
	} else {
		for _, s := range failingStores {
			for _, call := range append([]string{"openat"}, s.calls...) {
				for _, failure := range failures {
					last := f.walk(s, call, failure)
					t.Logf("%s: %s of %s, %s, n up to %d; %s", time.Since(began).Round(time.Second), call, s.name, failure, last, f.sofar(f.runs))
				}
			}
		}
	}
	f.start()
	f.askAgain(2 * time.Minute)
	f.served(nil)
	f.stop()
	f.kept(nil)
	f.fsck()
	t.Logf("%s; runs in which something failed: %v; %d did not come up, and did the next time", f.sofar(f.runs), f.injected, f.down)
	for _, s := range failingStores {
		if f.injected[s.name] == 0 {
			t.Errorf("no call failed in %s", s.name)
		}
	}
	for _, failure := range failures {
		if f.injected[failure] == 0 {
			t.Errorf("no call failed with %s", failure)
		}
	}
}

// failures are what happens to a call.
var failures = []string{"error=EIO", "error=ENOSPC", "signal=SIGKILL"}

// failingStore is where calls fail, and which, besides opening.
type failingStore struct {
	name  string
	in    []string // files and folders, with all that is in them; none is wherever
	calls []string
}

var failingStores = []failingStore{
	{"keyring", []string{config.KeyringName, config.KeyringName + "-wal", config.KeyringName + "-shm"}, []string{"pwrite64", "fsync", "ftruncate"}},
	{"blobs", []string{config.ObjectsName}, []string{"linkat", "mkdirat", "utimensat", "unlinkat", "fsync"}},
	{"log", []string{config.LogName, config.LogName + "/.tmp/next"}, []string{"write", "fsync", "renameat", "unlinkat", "mkdirat"}},
	{"database", []string{config.DatabaseName, config.DatabaseName + "-wal", config.DatabaseName + "-shm"}, []string{"pwrite64", "fsync", "ftruncate"}},
	{"anywhere", nil, []string{"write", "fsync", "renameat", "linkat", "unlinkat"}},
}

// strace finds the program, and tries whether it may be used.
func strace(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err == nil {
		err = exec.CommandContext(t.Context(), path, "-D", "-f", "--seccomp-bpf", "-o", os.DevNull, "true").Run()
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("strace: ", err)
	default:
		t.Skip("needs strace, and that this user may trace: ", err)
	}
	return path
}

// failing is a network whose system calls fail.
type failing struct {
	*mortal

	tracer     string
	runs, down int
	injected   map[string]int // runs in which something failed, by store and by failure
}

// walk lets n grow until nothing fails, twice, and returns it.
func (f *failing) walk(s failingStore, call, failure string) int {
	f.t.Helper()
	n := 1
	for quiet := 0; quiet < 2 && n < 100; n += max(1, n/6) {
		if f.fail(s, call, failure, n) {
			quiet = 0
		} else {
			quiet++
		}
	}
	return n
}

// fail has calls fail while the service starts and while people work, and looks at what
// is left. It says whether any call did.
func (f *failing) fail(s failingStore, calls, failure string, n int) (hit bool) {
	f.t.Helper()
	f.runs++
	told := f.dir + ".calls"
	args := []string{"-DD", "-f", "-q", "-o", told, "-e", "signal=SIGKILL", "-e", "trace=" + calls, "-e", fmt.Sprintf("inject=%s:%s:when=%d", calls, failure, n)}
	if strings.HasPrefix(failure, "error") {
		args = append(args, "--seccomp-bpf") // it stops at these calls alone; then no signal is sent
	}
	for _, path := range f.paths(s.in) {
		args = append(args, "-P", path)
	}
	serve := f.command("serve", "--listen", f.address)
	traced := exec.CommandContext(f.t.Context(), f.tracer, append(append(args, "--"), serve.Args...)...)
	traced.Env = serve.Env
	f.run(traced)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = traced.Wait()
	}()
	if f.comesUp(ended) {
		f.work(ended)
	} else {
		f.down++
	}
	said, err := os.ReadFile(told)
	if err != nil {
		f.t.Fatal(err)
	}
	hit = bytes.Contains(said, []byte("(INJECTED)")) || strings.HasPrefix(failure, "signal") && bytes.Contains(said, []byte("killed by SIGKILL"))
	if hit {
		f.injected[s.name]++
		f.injected[failure]++
	}
	_ = syscall.Kill(-traced.Process.Pid, syscall.SIGKILL)
	<-ended
	defer func() {
		if f.t.Failed() {
			f.t.Logf("%s of %s, %s, n = %d:\n%s", calls, s.name, failure, n, tail(string(said)))
		}
	}()

	touched := f.touched
	f.touched = map[*theCase]bool{}
	if !hit {
		f.kept(touched)
		return false
	}
	f.fsck()
	f.kept(touched)
	f.start()
	f.served(touched)
	f.askAgain(0)
	if f.runs%8 == 0 {
		f.move()
	}
	f.killAll(0)
	return true
}

// paths are those of files and folders, with all that is in them: strace looks at whole
// names.
func (f *failing) paths(in []string) (all []string) {
	f.t.Helper()
	for _, name := range in {
		top := filepath.Join(f.dir, name)
		all = append(all, top)
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && path != top {
				all = append(all, path)
			}
			return nil // some come and go
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return all
}

// comesUp waits until the service is ready. It may end, and never be.
func (f *failing) comesUp(ended <-chan struct{}) bool {
	f.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second} // whatever failed may leave it without an answer
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if resp, err := client.Get("http://" + f.address + "/readyz"); err == nil { //nolint:noctx // bounded by the loop
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

// work does everything once, as far as it goes.
func (f *failing) work(ended <-chan struct{}) {
	for _, act := range acts {
		if act.name == "a card" && f.runs%3 != 0 {
			continue // an agency makes so many in a day
		}
		ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
		_ = f.attest(ctx)
		_ = act.do(f.mortal, ctx)
		cancel()
		select {
		case <-ended:
			return
		default:
		}
	}
}
