package blobs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/vault"
)

var (
	_ vault.Blobs = (*blobs.Dir)(nil)
	_ vault.Blobs = (*blobs.S3)(nil)
)

func open(t *testing.T, now func() time.Time) (*blobs.Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blobs")
	d, err := blobs.Open(path, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, path
}

func put(t *testing.T, s vault.Blobs, key, body string) {
	t.Helper()
	n, err := s.Put(t.Context(), key, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(body)) {
		t.Fatalf("put %d bytes, want %d", n, len(body))
	}
}

// absent checks that nobody sees anything under the key aa, or elsewhere.
func absent(t *testing.T, s vault.Blobs) {
	t.Helper()
	if _, err := s.Get(t.Context(), "aa"); !errors.Is(err, blobs.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	if got := storetest.BlobKeys(t, s, ""); len(got) != 0 {
		t.Errorf("%d keys are listed, want 0", len(got))
	}
}

// filesIn counts the files below a folder.
func filesIn(t *testing.T, folder string) (n int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

func TestDir(t *testing.T) {
	storetest.Blobs(t, func(t *testing.T, now func() time.Time) storetest.BlobStore {
		d, path := open(t, now)
		t.Cleanup(func() {
			if n := filesIn(t, filepath.Join(path, "tmp")); n != 0 {
				t.Errorf("%d temporary files are left, want 0", n)
			}
		})
		return d
	})
}

func TestDirFiles(t *testing.T) {
	d, path := open(t, nil)
	put(t, d, "ab/cd01", "one")
	info, err := os.Stat(filepath.Join(path, "ab", "cd01"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}

	// What else lies there is no object.
	if err := os.WriteFile(filepath.Join(path, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := storetest.BlobKeys(t, d, ""); len(got) != 1 {
		t.Errorf("%d keys are listed, want 1", len(got))
	}

	// A link planted in the directory leads nowhere.
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(path, "ee")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), "ee"); err == nil {
		t.Error("a link out of the directory was followed")
	}
}

// TestFullDisk takes the error from the system itself.
func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer func() { _ = f.Close() }()
	_, full := f.Write([]byte("x"))
	d, _ := open(t, nil)
	if _, err := d.Put(t.Context(), "aa", iotest.ErrReader(full)); !errors.Is(err, blobs.ErrFull) {
		t.Errorf("put: %v, want ErrFull", err)
	}
}

func TestCollectTemp(t *testing.T) {
	now := time.Now()
	d, path := open(t, func() time.Time { return now })
	put(t, d, "aa", "kept")
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": 23 * time.Hour} {
		orphan := filepath.Join(path, "tmp", name)
		if err := os.WriteFile(orphan, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(orphan, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := d.CollectTemp(t.Context())
	if err != nil || n != 1 {
		t.Errorf("collected %d, %v, want 1", n, err)
	}
	if _, err := os.Stat(filepath.Join(path, "tmp", "young")); err != nil {
		t.Errorf("the young orphan: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "tmp", "old")); !os.IsNotExist(err) {
		t.Errorf("the old orphan: %v, want none", err)
	}
	if got := storetest.GetBlob(t, d, "aa"); got != "kept" {
		t.Errorf("got %q, want %q", got, "kept")
	}
}

// child is what a process that will be killed is to do.
type child struct {
	Dir      string // a directory, or else:
	Endpoint string // a server of s3test
	Length   int64
	Place    int64 // where it says so and waits for its end
}

const childEnv = "SAFECONDUCT_BLOBS_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := upload(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // it should have been killed
	}
	os.Exit(m.Run())
}

// killed runs a Put in a process of its own and kills that process at a place
// of the upload.
func killed(t *testing.T, c child) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if e := cmd.Process.Kill(); e != nil { // SIGKILL
		t.Fatal(e)
	}
	_ = cmd.Wait() // it was killed
	if err != nil || line != "here\n" {
		t.Fatalf("the upload did not get as far as its end: %q, %v", line, err)
	}
}

// cuts calls test for every length and place at which an upload is broken off.
func cuts(t *testing.T, test func(t *testing.T, length, place int64)) {
	for _, length := range []int64{100_000, 20 << 20} {
		for _, cut := range storetest.Cuts {
			place := length * cut / 1000
			t.Run(fmt.Sprintf("at %d of %d", place, length), func(t *testing.T) { test(t, length, place) })
		}
	}
}

func TestDirKilled(t *testing.T) {
	cuts(t, func(t *testing.T, length, place int64) {
		now := time.Now()
		d, path := open(t, func() time.Time { return now })
		killed(t, child{Dir: path, Length: length, Place: place})
		absent(t, d)
		if n, err := d.CollectTemp(t.Context()); err != nil || n != 0 {
			t.Errorf("collected %d, %v at once, want 0", n, err)
		}
		now = now.Add(25 * time.Hour)
		if n, err := d.CollectTemp(t.Context()); err != nil || n != 1 {
			t.Errorf("collected %d, %v a day later, want 1", n, err)
		}
		if n := filesIn(t, path); n != 0 {
			t.Errorf("%d files are left, want 0", n)
		}
	})
}

func ExampleDir() {
	path, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(path) }()
	d, err := blobs.Open(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = d.Close() }()

	n, err := d.Put(context.Background(), "5eed/0001", strings.NewReader("ciphertext"))
	fmt.Println(n, err)
	for key, err := range d.List(context.Background(), "5eed/") {
		fmt.Println(key, err)
	}
	// Output:
	// 10 <nil>
	// 5eed/0001 <nil>
}

// upload is what the child does.
func upload(text string) (err error) {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	ctx := context.Background()
	var s vault.Blobs
	if c.Dir != "" {
		s, err = blobs.Open(c.Dir, nil)
	} else {
		s, err = blobs.OpenS3(ctx, s3test.Config(c.Endpoint))
	}
	if err != nil {
		return err
	}
	_, err = s.Put(ctx, "aa", storetest.At(storetest.Noise(1, c.Length), c.Place, func() error {
		fmt.Println("here")
		_, _ = io.Copy(io.Discard, neverEnding{}) // until we are killed
		return nil
	}))
	return err
}

// neverEnding is a reader that waits for ever.
type neverEnding struct{}

func (neverEnding) Read([]byte) (int, error) { time.Sleep(time.Hour); return 0, nil }

// TestDirTimes: of when an object was put, read or removed the folder tells the day alone.
func TestDirTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects")
	d, err := blobs.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	ctx := t.Context()
	look := func(when string) (files int) {
		t.Helper()
		err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if at := info.ModTime().UTC(); !at.Equal(at.Truncate(24 * time.Hour)) {
				t.Errorf("%s: %s says %v", when, filepath.Base(name), at)
			}
			if !e.IsDir() {
				files++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	if err := d.Belong(ctx, "one network"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"00aa", "00bb", "ff/01"} {
		if _, err := d.Put(ctx, key, strings.NewReader("a page")); err != nil {
			t.Fatal(err)
		}
	}
	if n := look("put"); n != 4 {
		t.Errorf("%d files, want four", n)
	}
	r, err := d.Get(ctx, "00aa")
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if err := errors.Join(err, r.Close(), d.Delete(ctx, "00bb"), d.Delete(ctx, "ff/01")); err != nil {
		t.Fatal(err)
	}
	if n := look("removed"); n != 2 {
		t.Errorf("%d files, want two", n)
	}
}
