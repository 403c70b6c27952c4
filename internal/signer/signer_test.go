package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// TestKeys is the suite that every keystore passes, with a socket between the
// rooms and the keys. That of internal/hcvault goes through one there.
func TestKeys(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) storetest.OpenKeys {
		file, cfg := keyFile(t)
		return storetest.OpenKeys{
			Keystore: keystore.New(through(t, file)), NoKey: signer.ErrNoKey, Wrapped: signer.ErrWrapped,
			Again: func(t *testing.T) storetest.Keystore {
				again, err := keyfile.Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				return keystore.New(through(t, again))
			},
		}
	})
}

func keyFile(t testing.TB) (*keyfile.File, keyfile.Config) {
	t.Helper()
	cfg := keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}
	file, err := keyfile.Create(t.Context(), cfg, "example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	return file, cfg
}

// serve answers on the socket until stop is called, which waits for the end.
func serve(t testing.TB, path string, cfg signer.Config) (stop func()) {
	t.Helper()
	l, err := signer.Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- signer.Serve(ctx, l, cfg) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func dial(t testing.TB, path string) *signer.Client {
	t.Helper()
	c, err := signer.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// through puts a socket between a Store and whoever uses what it returns.
func through(t testing.TB, store keystore.Store) *signer.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	t.Cleanup(serve(t, path, signer.Config{Keys: store}))
	return dial(t, path)
}

// failing is a Store that answers one error to everything.
type failing struct {
	keystore.Store
	err error
}

func (f failing) MAC(context.Context, string, []byte) ([]byte, error) { return []byte("no"), f.err }
func (f failing) Ready(context.Context) error                         { return f.err }

// TestErrors: what a caller can act on is the same on both sides of the socket.
func TestErrors(t *testing.T) {
	file, _ := keyFile(t)
	for name, c := range map[string]struct {
		is   error
		want []error
	}{
		"no key":       {keyfile.ErrNoKey, []error{keystore.ErrNoKey}},
		"wrapped":      {keyfile.ErrWrapped, []error{keystore.ErrWrapped, vault.ErrIntegrity}},
		"away":         {&trouble.Later{Err: trouble.ErrKeystore, Cause: "sealed", After: 7 * time.Second}, []error{trouble.ErrKeystore, trouble.ErrUnavailable}},
		"wrong answer": {trouble.ErrWrongAnswer, []error{trouble.ErrWrongAnswer}},
		"full":         {keyfile.ErrFull, []error{trouble.ErrFull}},
		"busy":         {trouble.ErrBusy, []error{trouble.ErrBusy}},
		"damaged":      {trouble.ErrDamaged, []error{trouble.ErrDamaged}},
		"too slow":     {context.DeadlineExceeded, []error{trouble.ErrKeystore}},
		"anything":     {errors.New("somewhere\x1b[31m else"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := through(t, quiet{failing{file, c.is}}).MAC(t.Context(), "label", nil)
			if err == nil || got != nil {
				t.Fatalf("%q, %v", got, err)
			}
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q", err)
			}
			later, ok := errors.AsType[*trouble.Later](c.is)
			if again, ok2 := errors.AsType[*trouble.Later](err); ok && (!ok2 || again.RetryAfter() != later.RetryAfter() || again.Cause != later.Cause) {
				t.Errorf("%v, want %v", err, later)
			}
		})
	}
}

// quiet is a Store without Ready.
type quiet struct{ keystore.Store }

// TestReady: a keystore that does not work is known before it is used.
func TestReady(t *testing.T) {
	file, _ := keyFile(t)
	path := filepath.Join(t.TempDir(), "s.sock")
	t.Cleanup(serve(t, path, signer.Config{Keys: failing{file, trouble.ErrKeystore}}))
	if _, err := signer.Dial(t.Context(), path); !errors.Is(err, trouble.ErrKeystore) {
		t.Errorf("%v, want ErrKeystore", err)
	}
}

// TestGone: while nobody answers it says so at once, and when somebody does again
// nothing has to be started anew.
func TestGone(t *testing.T) {
	file, _ := keyFile(t)
	path := filepath.Join(t.TempDir(), "s.sock")
	if _, err := signer.Dial(t.Context(), path); !errors.Is(err, signer.ErrAway) {
		t.Errorf("before it is there: %v, want ErrAway", err)
	}
	stop := serve(t, path, signer.Config{Keys: file})
	c := dial(t, path)
	for range 3 {
		if _, err := c.MAC(t.Context(), "label", nil); err != nil {
			t.Fatal(err)
		}
		stop()
		began := time.Now()
		if _, err := c.MAC(t.Context(), "label", nil); !errors.Is(err, signer.ErrAway) {
			t.Errorf("%v, want ErrAway", err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("it took %s to say so", took)
		}
		stop = serve(t, path, signer.Config{Keys: file})
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.MAC(t.Context(), "label", nil); !errors.Is(err, signer.ErrAway) {
		t.Errorf("closed: %v, want ErrAway", err)
	}
	stop()
}

// slow is a Store that takes its time.
type slow struct {
	keystore.Store
	begun chan struct{}
	go_   chan struct{}
}

func (s slow) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	s.begun <- struct{}{}
	select {
	case <-s.go_:
		return s.Store.MAC(ctx, label, data)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestSlow: the asker's time counts, on both sides; others are not held up; and
// what was begun is finished when the signer stops.
func TestSlow(t *testing.T) {
	file, _ := keyFile(t)
	s := slow{file, make(chan struct{}, 1), make(chan struct{})}
	path := filepath.Join(t.TempDir(), "s.sock")
	stop := serve(t, path, signer.Config{Keys: s})
	c := dial(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // it has to arrive first
	defer cancel()
	began := time.Now()
	if _, err := c.MAC(ctx, "label", nil); !errors.Is(err, signer.ErrAway) {
		t.Errorf("%v, want ErrAway", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	<-s.begun

	answered := make(chan error, 1)
	go func() { _, err := c.MAC(t.Context(), "label", nil); answered <- err }()
	<-s.begun
	if _, err := c.Generation(t.Context()); err != nil {
		t.Errorf("while another is answered: %v", err)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	time.Sleep(50 * time.Millisecond)
	s.go_ <- struct{}{}
	if err := <-answered; err != nil {
		t.Errorf("what was begun: %v", err)
	}
	<-stopped
}

// TestManyAtOnce asks more at once than there may be connections.
func TestManyAtOnce(t *testing.T) {
	file, _ := keyFile(t)
	c := through(t, file)
	want, err := file.MAC(t.Context(), "label", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			got, err := c.MAC(context.WithoutCancel(t.Context()), "label", []byte("x"))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%x, %v", got, err)
			}
		})
	}
	wg.Wait()
}

// TestBatch: more than one question's worth is signed in order, and not half.
func TestBatch(t *testing.T) {
	file, _ := keyFile(t)
	c := through(t, file)
	p, err := c.Public(t.Context(), keystore.Status)
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.Key()
	if err != nil {
		t.Fatal(err)
	}
	messages := make([]keystore.Message, 2345)
	for i := range messages {
		messages[i].Bytes = bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 2000)
	}
	all, err := c.Sign(t.Context(), keystore.Status, p.KeyID, messages)
	if err != nil || len(all) != len(messages) {
		t.Fatalf("%d signatures, %v", len(all), err)
	}
	for i := range all {
		if !ecdsa.VerifyASN1(key, messages[i].Digest(), all[i]) {
			t.Fatalf("signature %d is another's", i)
		}
	}
	messages[2000].Bytes = make([]byte, 34<<20)
	if all, err := c.Sign(t.Context(), keystore.Status, p.KeyID, messages); err == nil || all != nil {
		t.Errorf("%d signatures, %v", len(all), err)
	}
}

// TestSocket: one signer to a socket, nobody else's rights on it, and what a
// killed one left is no hindrance.
func TestSocket(t *testing.T) {
	file, _ := keyFile(t)
	// Longer than the kernel takes as a name.
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 60), strings.Repeat("b", 60))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "signer.sock")
	stop := serve(t, path, signer.Config{Keys: file})
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := signer.Listen(path, false); err == nil {
		t.Error("two signers took one socket")
	}
	dial(t, path)
	stop() // the name stays, as after a kill
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
	serve(t, path, signer.Config{Keys: file})()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Listen(plain, false); err == nil {
		t.Error("a plain file was taken for a socket")
	}
	if data, err := os.ReadFile(plain); err != nil || string(data) != "somebody's" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestGarbage: what is no question ends its own connection, and nobody else's.
func TestGarbage(t *testing.T) {
	file, _ := keyFile(t)
	path := filepath.Join(t.TempDir(), "s.sock")
	t.Cleanup(serve(t, path, signer.Config{Keys: file}))
	c := dial(t, path)
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x01\xff", "\xff\xff\xff\xff", "\x00\x00\x00\x05\xa1\x01\x18\xff\x00", strings.Repeat("\x00", 4096)} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(garbage))
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Read(make([]byte, 1<<10)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20q: no answer and no end", garbage)
		}
		_ = conn.Close()
		if _, err := c.Generation(t.Context()); err != nil {
			t.Errorf("after %.20q: %v", garbage, err)
		}
	}
}

// BenchmarkSign compares a signature here with one through the socket, as the
// rooms ask for it: the signature is verified in either case.
func BenchmarkSign(b *testing.B) {
	file, _ := keyFile(b)
	for name, store := range map[string]keystore.Store{"here": file, "socket": through(b, file)} {
		b.Run(name, func(b *testing.B) {
			s, err := keystore.New(store).Status(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			message := make([]byte, 2000)
			for b.Loop() {
				if _, err := crypto.SignMessage(s.Key, nil, message, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
