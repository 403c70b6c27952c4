package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/vault"
)

// BlobStore is what the suite Blobs tests.
type BlobStore interface {
	vault.Blobs
	CollectTemp(ctx context.Context) (int, error)
	Of(ctx context.Context) (string, error)
	Belong(ctx context.Context, network string) error
}

// OpenBlobs opens an empty store. now is for CollectTemp; nil means time.Now.
type OpenBlobs func(t *testing.T, now func() time.Time) BlobStore

// long is the length of an object that no store takes in one piece.
const long = 20 << 20

// Blobs is the suite of the vault.Blobs.
func Blobs(t *testing.T, open OpenBlobs) {
	t.Run("objects", func(t *testing.T) { blobObjects(t, open(t, nil)) })
	t.Run("keys", func(t *testing.T) { blobKeys(t, open(t, nil)) })
	t.Run("lengths", func(t *testing.T) { blobLengths(t, open(t, nil)) })
	t.Run("list", func(t *testing.T) { blobList(t, open(t, nil)) })
	t.Run("many keys", func(t *testing.T) { blobMany(t, open(t, nil)) })
	t.Run("invisible until complete", func(t *testing.T) { blobInvisible(t, open(t, nil)) })
	t.Run("aborted", func(t *testing.T) { blobAborted(t, open) })
	t.Run("one winner", func(t *testing.T) { blobWinner(t, open(t, nil)) })
}

func putBlob(t *testing.T, s BlobStore, key, body string) {
	t.Helper()
	same(t, "length of "+key, get[int64](t)(s.Put(t.Context(), key, strings.NewReader(body))), int64(len(body)))
}

// GetBlob reads an object.
func GetBlob(t *testing.T, s vault.Blobs, key string) string {
	t.Helper()
	r := get[io.ReadCloser](t)(s.Get(t.Context(), key))
	body, err := io.ReadAll(r)
	ok(t, errors.Join(err, r.Close()))
	return string(body)
}

// BlobKeys lists the keys that start with prefix.
func BlobKeys(t *testing.T, s vault.Blobs, prefix string) []string {
	t.Helper()
	var all []string
	for key, err := range s.List(t.Context(), prefix) {
		ok(t, err)
		all = append(all, key)
	}
	return all
}

func blobObjects(t *testing.T, s BlobStore) {
	ctx := t.Context()
	began := time.Now()
	putBlob(t, s, "ab/cd01", "one")
	putBlob(t, s, "ab/cd02", "")
	putBlob(t, s, "ff", "three")
	same(t, "object", GetBlob(t, s, "ab/cd01"), "one")
	same(t, "empty object", GetBlob(t, s, "ab/cd02"), "")

	_, err := s.Put(ctx, "ff", strings.NewReader("other"))
	is(t, "put of a taken key", err, blobs.ErrExists)
	_, err = s.Put(ctx, "ff", Noise(1, long))
	is(t, "long put of a taken key", err, blobs.ErrExists)
	same(t, "object after refused puts", GetBlob(t, s, "ff"), "three")

	since := get[time.Time](t)(s.Since(ctx, "ff"))
	// S3 tells whole seconds, a disk the day.
	if since.Before(began.UTC().Truncate(24*time.Hour)) || since.After(time.Now().Add(2*time.Second)) {
		t.Errorf("put at %v, want about %v", since, began)
	}
	_, err = s.Of(ctx)
	is(t, "whose objects, before anybody has said", err, blobs.ErrNotFound)
	for range 2 {
		ok(t, s.Belong(ctx, "one network"))
	}
	is(t, "another network's", s.Belong(ctx, "another network"), blobs.ErrOthers)
	same(t, "whose objects", get[string](t)(s.Of(ctx)), "one network")

	_, err = s.Since(ctx, "fe")
	is(t, "since when there is nothing", err, blobs.ErrNotFound)

	for range 2 { // an erasure may be repeated
		ok(t, s.Delete(ctx, "ff"))
	}
	_, err = s.Get(ctx, "ff")
	is(t, "get after delete", err, blobs.ErrNotFound)
	ok(t, s.Delete(ctx, "ab"))
	_, err = s.Get(ctx, "ab")
	is(t, "get of a folder", err, blobs.ErrNotFound)
	_, err = s.Since(ctx, "ab")
	is(t, "since of a folder", err, blobs.ErrNotFound)
	same(t, "object after a delete of its folder", GetBlob(t, s, "ab/cd01"), "one")
	putBlob(t, s, "ff", "four")
	same(t, "object of a key that is free again", GetBlob(t, s, "ff"), "four")

	r := get[io.ReadCloser](t)(s.Get(ctx, "ff")) // a reader may change its mind
	ok(t, r.Close())
}

func blobKeys(t *testing.T, s BlobStore) {
	ctx := t.Context()
	for _, key := range []string{
		"", "/", "/ab", "ab/", "ab//cd", "..", "../ab", "ab/../cd", "AB", "tmp/ab", "probe/ab", "ab\x00", "ab\n", "a b", "ab.cd", "ab%2fcd",
		strings.Repeat("a", 161),
	} {
		_, err := s.Put(ctx, key, strings.NewReader("x"))
		is(t, fmt.Sprintf("put %q", key), err, blobs.ErrKey)
		_, err = s.Get(ctx, key)
		is(t, fmt.Sprintf("get %q", key), err, blobs.ErrKey)
		_, err = s.Since(ctx, key)
		is(t, fmt.Sprintf("since %q", key), err, blobs.ErrKey)
		is(t, fmt.Sprintf("delete %q", key), s.Delete(ctx, key), blobs.ErrKey)
	}
	longest := strings.Repeat("0123456789abcdef/", 9) + "0123456"
	same(t, "longest key", len(longest), 160)
	putBlob(t, s, longest, "x")
	same(t, "object under the longest key", GetBlob(t, s, longest), "x")
}

// blobLengths puts objects around the length of a part.
func blobLengths(t *testing.T, s BlobStore) {
	for i, n := range []int64{1, 8<<20 - 1, 8 << 20, 8<<20 + 1, 16 << 20, long} {
		key := fmt.Sprintf("%02x", i)
		same(t, "length", get[int64](t)(s.Put(t.Context(), key, Noise(byte(i), n))), n)
		same(t, fmt.Sprintf("%d bytes", n), digestOf(t, s, key), digest(t, Noise(byte(i), n)))
	}
}

func digest(t *testing.T, r io.Reader) [32]byte {
	t.Helper()
	h := sha256.New()
	_, err := io.Copy(h, r)
	ok(t, err)
	return [32]byte(h.Sum(nil))
}

func digestOf(t *testing.T, s BlobStore, key string) [32]byte {
	t.Helper()
	r := get[io.ReadCloser](t)(s.Get(t.Context(), key))
	defer func() { ok(t, r.Close()) }()
	return digest(t, r)
}

// Noise is n bytes that follow from the seed.
func Noise(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func blobList(t *testing.T, s BlobStore) {
	want := []string{"aa/01", "aa/02", "ab/01", "cc"}
	for _, key := range []string{want[2], want[0], want[3], want[1]} {
		putBlob(t, s, key, key)
	}
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"", want}, {"a", want[:3]}, {"aa/", want[:2]}, {"aa/02", want[1:2]}, {"dd", nil},
	} {
		same(t, fmt.Sprintf("list %q", c.prefix), BlobKeys(t, s, c.prefix), c.want)
	}
	for _, prefix := range []string{"../", "AA", "tmp/", "probe/"} {
		n := 0
		for _, err := range s.List(t.Context(), prefix) {
			is(t, "list of a bad prefix", err, blobs.ErrKey)
			n++
		}
		same(t, "answers to a bad prefix", n, 1)
	}
	for key, err := range s.List(t.Context(), "") {
		ok(t, err)
		same(t, "first of list", key, want[0])
		break
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, err := range s.List(ended, "") {
		is(t, "list when nobody waits", err, context.Canceled)
	}
}

// blobMany puts more keys than an S3 server lists at once.
func blobMany(t *testing.T, s BlobStore) {
	const n = 1203
	want := make([]string, n)
	var wg sync.WaitGroup
	free := make(chan struct{}, 8)
	for i := range want {
		want[i] = fmt.Sprintf("%02x/%04x", i%3, i)
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if _, err := s.Put(t.Context(), want[i], strings.NewReader("x")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(want)
	same(t, "all keys", BlobKeys(t, s, ""), want)
	same(t, "a third of them", len(BlobKeys(t, s, "01/")), n/3)
	for _, key := range want {
		ok(t, s.Delete(t.Context(), key))
	}
	same(t, "none is left", len(BlobKeys(t, s, "")), 0)
}

// at is a reader that calls do once, before it gives the byte at place.
type at struct {
	r     io.Reader
	place int64
	do    func() error
	read  int64
}

func (a *at) Read(p []byte) (int, error) {
	if a.read == a.place && a.do != nil {
		do := a.do
		a.do = nil
		if err := do(); err != nil {
			return 0, err
		}
	}
	if a.read < a.place {
		p = p[:min(int64(len(p)), a.place-a.read)]
	}
	n, err := a.r.Read(p)
	a.read += int64(n)
	return n, err
}

// At reads r and calls do before the byte at place is read; an error of do
// ends the reading.
func At(r io.Reader, place int64, do func() error) io.Reader { return &at{r: r, place: place, do: do} }

// nothing checks that there is no object and nothing on its way to one.
func nothing(t *testing.T, s BlobStore, key string) {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	is(t, "get", err, blobs.ErrNotFound)
	_, err = s.Since(t.Context(), key)
	is(t, "since", err, blobs.ErrNotFound)
	same(t, "keys", BlobKeys(t, s, ""), []string(nil))
}

func blobInvisible(t *testing.T, s BlobStore) {
	for _, n := range []int64{3, long} {
		looked := false
		r := At(Noise(7, n), n-1, func() error {
			nothing(t, s, "aa")
			looked = true
			return nil
		})
		same(t, "length", get[int64](t)(s.Put(t.Context(), "aa", r)), n)
		same(t, "looked while it was written", looked, true)
		same(t, "object", digestOf(t, s, "aa"), digest(t, Noise(7, n)))
		ok(t, s.Delete(t.Context(), "aa"))
	}
}

// Cuts are the places at which uploads are broken off, in thousandths.
var Cuts = []int64{10, 500, 999}

func blobAborted(t *testing.T, open OpenBlobs) {
	broken := errors.New("broken")
	later := func() time.Time { return time.Now().Add(48 * time.Hour) }
	for _, n := range []int64{100_000, long} {
		for _, cut := range Cuts {
			place := n * cut / 1000
			t.Run(fmt.Sprintf("reader breaks at %d of %d", place, n), func(t *testing.T) {
				s := open(t, later)
				_, err := s.Put(t.Context(), "aa", At(Noise(1, n), place, func() error { return broken }))
				is(t, "put", err, broken)
				nothing(t, s, "aa")
				same(t, "left over", get[int](t)(s.CollectTemp(t.Context())), 0)
			})
			t.Run(fmt.Sprintf("context ends at %d of %d", place, n), func(t *testing.T) {
				s := open(t, later)
				ctx, end := context.WithCancel(t.Context())
				_, err := s.Put(ctx, "aa", At(Noise(1, n), place, func() error { end(); return nil }))
				is(t, "put", err, context.Canceled)
				nothing(t, s, "aa")
				same(t, "left over", get[int](t)(s.CollectTemp(t.Context())), 0)
			})
		}
	}
	t.Run("context ended before", func(t *testing.T) {
		s := open(t, later)
		ctx, end := context.WithCancel(t.Context())
		end()
		_, err := s.Put(ctx, "aa", strings.NewReader("x"))
		is(t, "put", err, context.Canceled)
		nothing(t, s, "aa")
	})
	t.Run("no space", func(t *testing.T) {
		s := open(t, later)
		_, err := s.Put(t.Context(), "aa", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(syscall.ENOSPC)))
		is(t, "put", err, blobs.ErrFull)
		nothing(t, s, "aa")
	})
}

// blobWinner lets many writers race for one key: one of them wins, and the
// object is its own from the first to the last byte.
func blobWinner(t *testing.T, s BlobStore) {
	for _, c := range []struct{ writers, length int }{{16, 4096}, {3, 9 << 20}} {
		key := fmt.Sprintf("ab/%04x", c.writers)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []int
		for i := range c.writers {
			wg.Go(func() {
				_, err := s.Put(context.WithoutCancel(t.Context()), key, bytes.NewReader(bytes.Repeat([]byte{byte(i)}, c.length)))
				switch {
				case err == nil:
					mu.Lock()
					defer mu.Unlock()
					won = append(won, i)
				case !errors.Is(err, blobs.ErrExists):
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of %d writers won, want 1", len(won), c.writers)
		}
		if got := GetBlob(t, s, key); got != strings.Repeat(string([]byte{byte(won[0])}), c.length) {
			t.Error("the object is not the winner's")
		}
	}
}
