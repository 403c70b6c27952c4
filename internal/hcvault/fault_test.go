package hcvault_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

// TestFake holds the fake to the suite: what it says when it does not
// misbehave is what a keystore says.
func TestFake(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) storetest.OpenKeys {
		cfg := newFake(t).config(t)
		v, err := hcvault.Create(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return openKeys(v, cfg)
	})
}

// TestThroughASigner is the same with a socket between the rooms and the keys.
func TestThroughASigner(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) storetest.OpenKeys {
		cfg := newFake(t).config(t)
		cfg.Timeout = 20 * time.Second // nothing here is about waiting
		v, err := hcvault.Create(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return storetest.OpenKeys{
			Keystore: through(t, v), NoKey: signer.ErrNoKey, Wrapped: signer.ErrWrapped,
			Again: func(t *testing.T) storetest.Keystore {
				t.Helper()
				again, err := hcvault.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				return through(t, again)
			},
		}
	})
}

// through puts a signer's socket in front of a Vault.
func through(t *testing.T, v *hcvault.Vault) storetest.Keystore {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := signer.Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- signer.Serve(ctx, l, signer.Config{Keys: v}) }()
	c, err := signer.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			t.Error(err)
		}
	})
	return keystore.New(c)
}

func openKeys(v *hcvault.Vault, cfg hcvault.Config) storetest.OpenKeys {
	return storetest.OpenKeys{
		Keystore: keystore.New(v), NoKey: hcvault.ErrNoKey, Wrapped: hcvault.ErrWrapped,
		Again: func(t *testing.T) storetest.Keystore {
			t.Helper()
			again, err := hcvault.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			return keystore.New(again)
		},
	}
}

var (
	text   = []byte("what is to be signed")
	digest = sha256.Sum256(text)
)

// sign is what most tests here do with a keystore.
func sign(ctx context.Context, v *hcvault.Vault) ([]byte, error) {
	_, key, err := keystore.New(v).Signer(ctx, "aa01")
	if err != nil {
		return nil, err
	}
	return crypto.SignMessage(key, nil, text, crypto.SHA256)
}

func signAgency(ctx context.Context, v *hcvault.Vault) error { _, err := sign(ctx, v); return err }

// TestLies is hostile case 72: an answer that cannot be right is
// not used, whatever is wrong with it.
func TestLies(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signs := func(lie func(f *fake, raw []byte) any) func(*fake, string, string, map[string]any) {
		return func(f *fake, op, key string, data map[string]any) {
			text, ok := data["signature"].(string)
			if op == "sign" && ok {
				data["signature"] = lie(f, unbase64url(text))
			}
		}
	}
	agencyKey := func(f *fake) *ecdsa.PrivateKey {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.keys["safeconduct-sign-aa01"].secrets[0].(*ecdsa.PrivateKey)
	}
	set := func(on, member string, value any) func(*fake, string, string, map[string]any) {
		return func(_ *fake, op, key string, data map[string]any) {
			if op == on && (op != "keys" || key == "safeconduct-sign-aa01" || key == "safeconduct-wrap-aa01") {
				data[member] = value
			}
		}
	}
	wrap := func(ctx context.Context, v *hcvault.Vault) error {
		_, err := v.Wrap(ctx, "aa01", "rec1", []byte("sixteen bytes..."))
		return err
	}
	mac := func(ctx context.Context, v *hcvault.Vault) error {
		_, err := v.MAC(ctx, "label", []byte("data"))
		return err
	}
	batch := func(ctx context.Context, v *hcvault.Vault) error {
		var all [][]byte
		for i := range 5 {
			d := sha256.Sum256([]byte{byte(i)})
			all = append(all, d[:])
		}
		_, sigs, err := signBatch(ctx, v, "aa01", all)
		if err != nil && sigs != nil {
			return errors.New("signatures came back beside an error")
		}
		return err
	}
	checkpoint := func(ctx context.Context, v *hcvault.Vault) error {
		vkey, err := keystore.New(v).LogKey(ctx)
		if err != nil {
			return err
		}
		s, err := keystore.New(v).LogSigner(ctx, vkey)
		if err != nil {
			return err
		}
		_, err = note.Sign(&note.Note{Text: "text\n"}, s)
		return err
	}
	results := func(lie func(all []any) []any) func(*fake, string, string, map[string]any) {
		return func(_ *fake, op, _ string, data map[string]any) {
			if all, ok := data["batch_results"].([]any); ok && op == "sign" {
				data["batch_results"] = lie(all)
			}
		}
	}
	find := func(ctx context.Context, v *hcvault.Vault) error {
		_, _, err := keystore.New(v).Signer(ctx, "aa01")
		return err
	}
	aes := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

	for _, c := range []struct {
		name string
		do   func(context.Context, *hcvault.Vault) error
		lie  func(f *fake, op, key string, data map[string]any)
		want error
	}{
		{"the truth", signAgency, func(*fake, string, string, map[string]any) {}, nil},
		{"signature: empty", signAgency, set("sign", "signature", ""), hcvault.ErrBadResponse},
		{"signature: a number", signAgency, set("sign", "signature", 7), hcvault.ErrBadResponse},
		{"signature: missing", signAgency, func(_ *fake, op, _ string, data map[string]any) { delete(data, "signature") }, hcvault.ErrBadResponse},
		{"signature: garbage", signAgency, set("sign", "signature", "garbage"), hcvault.ErrBadResponse},
		{"signature: prefix only", signAgency, set("sign", "signature", "vault:v1:"), hcvault.ErrBadResponse},
		{"signature: of another version", signAgency, signs(func(f *fake, raw []byte) any { return signature(2, raw) }), hcvault.ErrBadResponse},
		{"signature: of no version", signAgency, signs(func(f *fake, raw []byte) any { return base64.RawURLEncoding.EncodeToString(raw) }), hcvault.ErrBadResponse},
		{"signature: version 01", signAgency, signs(func(f *fake, raw []byte) any {
			return strings.Replace(signature(1, raw), "v1:", "v01:", 1)
		}), hcvault.ErrBadResponse},
		{"signature: ASN.1", signAgency, signs(func(f *fake, raw []byte) any { return signature(1, asASN1(raw)) }), hcvault.ErrBadResponse},
		{"signature: ASN.1, padded base64", signAgency, signs(func(f *fake, raw []byte) any {
			return "vault:v1:" + base64.StdEncoding.EncodeToString(asASN1(raw))
		}), hcvault.ErrBadResponse},
		{"signature: padded", signAgency, signs(func(f *fake, raw []byte) any {
			return "vault:v1:" + base64.URLEncoding.EncodeToString(raw)
		}), hcvault.ErrBadResponse},
		{"signature: a byte short", signAgency, signs(func(f *fake, raw []byte) any { return signature(1, raw[:63]) }), hcvault.ErrBadResponse},
		{"signature: a byte long", signAgency, signs(func(f *fake, raw []byte) any { return signature(1, append(raw, 0)) }), hcvault.ErrBadResponse},
		{"signature: zeros", signAgency, signs(func(f *fake, raw []byte) any { return signature(1, make([]byte, 64)) }), hcvault.ErrBadResponse},
		{"signature: a bit flipped", signAgency, signs(func(f *fake, raw []byte) any { raw[40] ^= 1; return signature(1, raw) }), hcvault.ErrBadResponse},
		{"signature: of another input", signAgency, signs(func(f *fake, raw []byte) any {
			other := sha256.Sum256([]byte("other"))
			return signature(1, rawSignature(agencyKey(f), other[:]))
		}), hcvault.ErrBadResponse},
		{"signature: by another key", signAgency, signs(func(f *fake, raw []byte) any {
			return signature(1, rawSignature(stranger, digest[:]))
		}), hcvault.ErrBadResponse},
		{"batch: one too few", batch, results(func(all []any) []any { return all[1:] }), hcvault.ErrBadResponse},
		{"batch: one too many", batch, results(func(all []any) []any { return append(all, all[0]) }), hcvault.ErrBadResponse},
		{"batch: two swapped", batch, results(func(all []any) []any { all[1], all[2] = all[2], all[1]; return all }), hcvault.ErrBadResponse},
		{"batch: one error", batch, results(func(all []any) []any {
			all[4].(map[string]any)["error"] = "private words of the server"
			return all
		}), hcvault.ErrBadResponse},
		{"batch: no results", batch, results(func([]any) []any { return nil }), hcvault.ErrBadResponse},
		{"checkpoint: garbage", checkpoint, set("sign", "signature", signature(1, make([]byte, 64))), hcvault.ErrBadResponse},

		{"key: another name", signAgency, set("keys", "name", "safeconduct-sign-aa02"), hcvault.ErrBadResponse},
		{"key: version 0", signAgency, set("keys", "latest_version", 0), hcvault.ErrBadResponse},
		{"key: a huge version", signAgency, set("keys", "latest_version", 1<<30), hcvault.ErrBadResponse},
		{"key: a version it does not show", signAgency, set("keys", "latest_version", 2), hcvault.ErrBadResponse},
		{"key: no versions", signAgency, set("keys", "keys", map[string]any{}), hcvault.ErrBadResponse},
		{"key: a version that is no number", signAgency, set("keys", "keys", map[string]any{"x": map[string]any{}}), hcvault.ErrBadResponse},
		{"key: garbage", signAgency, set("keys", "keys", map[string]any{"1": map[string]any{"public_key": "garbage"}}), hcvault.ErrBadResponse},
		{"key: another public half than before", find, set("keys", "keys", map[string]any{"1": map[string]any{"public_key": publicPEM(&stranger.PublicKey)}}), hcvault.ErrBadResponse},
		{"key: another type", signAgency, set("keys", "type", "ecdsa-p384"), hcvault.ErrKey},
		{"key: exportable", signAgency, set("keys", "exportable", true), hcvault.ErrKey},
		{"key: backup in plain text", signAgency, set("keys", "allow_plaintext_backup", true), hcvault.ErrKey},
		{"key: deletable", signAgency, set("keys", "deletion_allowed", true), hcvault.ErrKey},
		{"key: brought in", signAgency, set("keys", "imported_key", true), hcvault.ErrKey},
		{"key: derived", wrap, set("keys", "derived", true), hcvault.ErrKey},
		{"key: without authentication", wrap, set("keys", "type", "aes256-cbc"), hcvault.ErrKey},
		{"key: rotates by itself", signAgency, set("keys", "auto_rotate_period", 3600), hcvault.ErrKey},

		{"wrapping: garbage", wrap, set("encrypt", "ciphertext", "garbage"), hcvault.ErrBadResponse},
		{"wrapping: empty", wrap, set("encrypt", "ciphertext", ""), hcvault.ErrBadResponse},
		{"wrapping: too short", wrap, set("encrypt", "ciphertext", "vault:v1:"+aes(43)), hcvault.ErrBadResponse},
		{"wrapping: version 0", wrap, set("encrypt", "ciphertext", "vault:v0:"+aes(44)), hcvault.ErrBadResponse},
		{"wrapping: version +1", wrap, set("encrypt", "ciphertext", "vault:v+1:"+aes(44)), hcvault.ErrBadResponse},
		{"wrapping: a huge version", wrap, set("encrypt", "ciphertext", "vault:v99999999999:"+aes(44)), hcvault.ErrBadResponse},
		{"opening: no text", unwrap, set("decrypt", "plaintext", nil), hcvault.ErrBadResponse},
		{"opening: too short", unwrap, set("decrypt", "plaintext", aes(15)), hcvault.ErrBadResponse},
		{"opening: garbage", unwrap, set("decrypt", "plaintext", "!"), hcvault.ErrBadResponse},
		{"hash: of another version", mac, set("hmac", "hmac", "vault:v2:"+aes(32)), hcvault.ErrBadResponse},
		{"hash: too short", mac, set("hmac", "hmac", "vault:v1:"+aes(20)), hcvault.ErrBadResponse},
		{"hash: garbage", mac, set("hmac", "hmac", "garbage"), hcvault.ErrBadResponse},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			now := time.Now()
			cfg := f.config(t)
			cfg.Now = func() time.Time { return now }
			v := f.created(t, cfg)
			if err := c.do(t.Context(), v); err != nil {
				t.Fatalf("before the lie: %v", err)
			}
			now = now.Add(time.Minute) // what was read about keys is old
			lie := func(op, key string, data map[string]any) { c.lie(f, op, key, data) }
			f.lie.Store(&lie)
			err := c.do(t.Context(), v)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%v, want %v", err, c.want)
			}
			quiet(t, err)
			f.behave()
			now = now.Add(time.Minute)
			if err := c.do(t.Context(), v); err != nil {
				t.Errorf("after the lie: %v", err)
			}
		})
	}
}

func unwrap(ctx context.Context, v *hcvault.Vault) error {
	wrapped, err := v.Wrap(ctx, "aa01", "rec1", []byte("sixteen bytes..."))
	if err != nil {
		return err
	}
	_, err = v.Unwrap(ctx, "aa01", "rec1", wrapped)
	return err
}

func unbase64url(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text[strings.LastIndex(text, ":")+1:])
	if err != nil {
		panic(err)
	}
	return b
}

// quiet checks that an error repeats nothing that the server or a caller said.
func quiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, word := range []string{"private words", "aa01", "rec1", "127.0.0.1", "transit/", "secret", "sixteen bytes"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("the error repeats %q: %v", word, err)
		}
	}
}

// TestFaults is the row about Vault among the faults of the threat model: each
// way of not working is ErrUnavailable within the time, says when to ask
// again, and ends when Vault works again.
func TestFaults(t *testing.T) {
	status := func(n int, header ...string) func(*fake) func(http.ResponseWriter, *http.Request) bool {
		return func(*fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				for i := 0; i+1 < len(header); i += 2 {
					w.Header().Set(header[i], header[i+1])
				}
				refuse(w, n)
				return true
			}
		}
	}
	hold := func(f *fake, r *http.Request) {
		select {
		case <-f.released:
		case <-r.Context().Done():
		}
	}
	for _, c := range []struct {
		name  string
		fault func(*fake) func(http.ResponseWriter, *http.Request) bool
		want  error
		after time.Duration // at least
	}{
		{"sealed", status(503), hcvault.ErrUnavailable, 5 * time.Second},
		{"rate limit", status(429, "Retry-After", "7"), hcvault.ErrUnavailable, 7 * time.Second},
		{"rate limit that never ends", status(429, "Retry-After", "99999999"), hcvault.ErrUnavailable, time.Minute},
		{"rate limit without a time", status(429), hcvault.ErrUnavailable, time.Second},
		{"broken", status(500), hcvault.ErrUnavailable, time.Second},
		{"bad gateway", status(502), hcvault.ErrUnavailable, time.Second},
		{"standby", status(473), hcvault.ErrUnavailable, time.Second},
		{"redirect", status(307, "Location", "http://127.0.0.1:1/"), hcvault.ErrUnavailable, time.Second},
		{"a teapot", status(200 + 26), hcvault.ErrBadResponse, 0},
		{"policy", func(*fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/sign/") {
					refuse(w, 403)
					return true
				}
				return false
			}
		}, hcvault.ErrDenied, 0},
		{"slow", func(f *fake) func(http.ResponseWriter, *http.Request) bool {
			return func(_ http.ResponseWriter, r *http.Request) bool {
				_, _ = io.Copy(io.Discard, r.Body)
				hold(f, r)
				return true
			}
		}, hcvault.ErrUnavailable, time.Second},
		{"slow after the first bytes", func(f *fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = fmt.Fprint(w, `{"data":{`)
				_ = http.NewResponseController(w).Flush()
				hold(f, r)
				return true
			}
		}, hcvault.ErrUnavailable, time.Second},
		{"hangs up", func(*fake) func(http.ResponseWriter, *http.Request) bool {
			return func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
		}, hcvault.ErrUnavailable, time.Second},
		{"no JSON", func(*fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = fmt.Fprint(w, "<html>welcome to the airport")
				return true
			}
		}, hcvault.ErrBadResponse, 0},
		{"nothing", func(*fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(200); return true }
		}, hcvault.ErrBadResponse, 0},
		{"endless", func(*fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = fmt.Fprint(w, `{"data":{"name":"`)
				junk := strings.Repeat("a", 1<<20)
				for range 64 {
					if _, err := fmt.Fprint(w, junk); err != nil {
						return true
					}
				}
				return true
			}
		}, hcvault.ErrBadResponse, 0},
		{"signs and says nothing", func(f *fake) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/sign/") {
					return false
				}
				f.mu.Lock()
				f.signed["swallowed"]++
				f.mu.Unlock()
				_, _ = io.Copy(io.Discard, r.Body)
				hold(f, r)
				return true
			}
		}, hcvault.ErrUnavailable, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			f := newFake(t)
			cfg := f.config(t)
			slow := errors.Is(c.want, hcvault.ErrUnavailable)
			if !slow {
				cfg.Timeout = 5 * time.Second // what is judged here has to arrive first
			}
			v := f.created(t, cfg)
			if err := signAgency(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			f.misbehave(c.fault(f))
			// More calls than the breaker takes to notice.
			for i := range 8 {
				began := time.Now()
				sig, err := sign(t.Context(), v)
				if !errors.Is(err, c.want) || sig != nil {
					t.Fatalf("call %d: %v, want %v", i, err, c.want)
				}
				quiet(t, err)
				if took := time.Since(began); slow && took > 30*time.Second {
					t.Errorf("call %d took %v", i, took)
				}
				var u *trouble.Later
				if slow && (!errors.As(err, &u) || i < 5 && u.RetryAfter() < c.after || u.RetryAfter() > time.Minute || u.RetryAfter()%time.Second != 0) {
					t.Errorf("call %d: ask again after %v, want at least %v", i, u.RetryAfter(), c.after)
				}
			}
			f.behave()
			eventually(t, "it works again", func() error { return signAgency(t.Context(), v) })
			// A signature that got lost may exist; asking again is the caller's
			// decision, never the client's.
			if f.signed["swallowed"] > 8 {
				t.Errorf("asked %d times for a signature that got lost, in 8 calls", f.signed["swallowed"])
			}
		})
	}
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 600 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s: not after a minute: %v", what, err)
}

// TestGone has no server at all.
func TestGone(t *testing.T) {
	f := newFake(t)
	v := f.created(t, f.config(t))
	f.CloseClientConnections()
	_ = f.Listener.Close()
	if err := signAgency(t.Context(), v); !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("sign: %v, want ErrUnavailable", err)
	}
	_, err := hcvault.Open(t.Context(), f.config(t))
	if !errors.Is(err, hcvault.ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
	quiet(t, err)
}

// TestRedirectKeepsToken checks that no other server sees the token.
func TestRedirectKeepsToken(t *testing.T) {
	var asked atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer thief.Close()
	f := newFake(t)
	v := f.created(t, f.config(t))
	for _, code := range []int{301, 302, 307, 308} {
		f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, thief.URL, code)
			return true
		})
		if err := signAgency(t.Context(), v); !errors.Is(err, hcvault.ErrUnavailable) {
			t.Errorf("%d: %v, want ErrUnavailable", code, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the other server saw %d requests, want 0", asked.Load())
	}
}

// TestBreaker counts what reaches a server that is sealed: five calls, then
// none for two seconds, then one at a time.
func TestBreaker(t *testing.T) {
	f := newFake(t)
	now := time.Now()
	cfg := f.config(t)
	cfg.Now = func() time.Time { return now }
	v := f.created(t, cfg)
	var reached int
	f.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		reached++
		refuse(w, 503)
		return true
	})
	calls := func(n, want int) {
		t.Helper()
		before := reached
		for range n {
			if _, err := v.MAC(t.Context(), "label", nil); !errors.Is(err, hcvault.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
		}
		if got := reached - before; got != want {
			t.Errorf("%d of %d calls reached the server, want %d", got, n, want)
		}
	}
	calls(20, 5)
	now = now.Add(1900 * time.Millisecond)
	calls(20, 0)
	now = now.Add(200 * time.Millisecond)
	calls(20, 1)
	now = now.Add(2100 * time.Millisecond)
	f.behave()
	for range 3 {
		if _, err := v.MAC(t.Context(), "label", nil); err != nil {
			t.Errorf("when it works again: %v", err)
		}
	}
	// A rate limit is no reason to stop everything else.
	f.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		reached++
		refuse(w, 429)
		return true
	})
	calls(20, 20)
}

// TestBounds has a server that holds on to every call, and a crowd: four calls
// are under way, sixteen wait, the rest is turned away at once. After the
// breaker's pause one call tries, and nobody beside it.
func TestBounds(t *testing.T) {
	f := newFake(t)
	var mu sync.Mutex
	now := time.Now()
	cfg := f.config(t)
	cfg.Timeout = 4 * time.Second // turned away at once is a second, on a busy machine
	cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	v := f.created(t, cfg)
	var reached atomic.Int64
	f.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		reached.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	})
	crowd := func() (atOnce int64) {
		var quick atomic.Int64
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				began := time.Now()
				if _, err := v.MAC(context.Background(), "label", nil); !errors.Is(err, hcvault.ErrUnavailable) {
					t.Errorf("%v, want ErrUnavailable", err)
				}
				if time.Since(began) < cfg.Timeout/4 {
					quick.Add(1)
				}
			})
		}
		wg.Wait()
		return quick.Load()
	}
	// Four are served and sixteen wait for half the time, in vain.
	if quick := crowd(); quick != 60-4-16 || reached.Load() != 4 {
		t.Errorf("%d turned away at once and %d under way, want 40 and 4", quick, reached.Load())
	}
	crowd() // the fifth failure trips the breaker
	mu.Lock()
	now = now.Add(3 * time.Second)
	mu.Unlock()
	before := reached.Load()
	if quick := crowd(); quick != 59 || reached.Load()-before != 1 {
		t.Errorf("after the pause %d were turned away and %d tried, want 59 and 1", quick, reached.Load()-before)
	}
}

// TestDenied checks that a refusal by policy leaves the login alone: each new
// one would be a lease more in Vault.
func TestDenied(t *testing.T) {
	f := newFake(t)
	v := f.created(t, f.config(t))
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/hmac/") {
			refuse(w, 403)
			return true
		}
		return false
	})
	logins := f.logins
	for range 5 {
		if _, err := v.MAC(t.Context(), "label", nil); !errors.Is(err, hcvault.ErrDenied) {
			t.Errorf("%v, want ErrDenied", err)
		}
	}
	if f.logins != logins {
		t.Errorf("%d new logins, want none", f.logins-logins)
	}
}

// TestCallerLeaves checks that a caller who hangs up gets his own error, and
// does not make Vault look broken to the others.
func TestCallerLeaves(t *testing.T) {
	f := newFake(t)
	v := f.created(t, f.config(t))
	f.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	})
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := v.MAC(ctx, "label", nil); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hcvault.ErrUnavailable) {
			t.Errorf("%v, want the caller's own deadline", err)
		}
		cancel()
	}
	f.behave()
	if err := signAgency(t.Context(), v); err != nil {
		t.Errorf("the next caller: %v", err)
	}
}

// TestFlat runs many callers against a Vault that flaps between all its
// faults, and checks that neither goroutines nor open files gather, and that
// no more calls are under way than allowed.
func TestFlat(t *testing.T) {
	f := newFake(t)
	cfg := f.config(t)
	cfg.Timeout = 200 * time.Millisecond
	v := f.created(t, cfg)
	var under, most, mode atomic.Int64
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		n := under.Add(1)
		defer under.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		switch mode.Load() {
		case 1:
			refuse(w, 503)
		case 2:
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		case 3:
			refuse(w, 429)
		case 4:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	})
	settle := func() (goroutines, files int) {
		time.Sleep(200 * time.Millisecond)
		return runtime.NumGoroutine(), openFiles(t)
	}
	g0, f0 := settle()
	// It works for long enough that the breaker closes, and then fails in one
	// of four ways.
	const works, fails = 2300 * time.Millisecond, 500 * time.Millisecond
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	end := time.Now().Add(time.Duration(rounds) * (works + fails))
	var calls, worked, refused atomic.Int64
	var peak int
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			for time.Now().Before(end) {
				calls.Add(1)
				switch err := signAgency(context.Background(), v); {
				case err == nil:
					worked.Add(1)
				case errors.Is(err, hcvault.ErrUnavailable):
					refused.Add(1)
					time.Sleep(20 * time.Millisecond) // far less than Retry-After asks for
				default:
					t.Errorf("another error: %v", err)
				}
			}
		})
	}
	for i := range rounds {
		mode.Store(0)
		time.Sleep(works)
		mode.Store(int64(1 + i%4))
		time.Sleep(fails)
		peak = max(peak, runtime.NumGoroutine())
	}
	wg.Wait()
	mode.Store(0)
	g1, f1 := settle()
	t.Logf("%d calls: %d worked, %d turned away; goroutines %d before, %d at most with 200 callers, %d after; files %d before, %d after; at most %d under way",
		calls.Load(), worked.Load(), refused.Load(), g0, peak, g1, f0, f1, most.Load())
	// A handler may learn a moment late that its client has left.
	if most.Load() > 2*int64(cfg.MaxInFlight) {
		t.Errorf("%d calls under way, want about %d", most.Load(), cfg.MaxInFlight)
	}
	if g1 > g0+20 {
		t.Errorf("%d goroutines after, %d before", g1, g0)
	}
	if f1 > f0+10 {
		t.Errorf("%d open files after, %d before", f1, f0)
	}
	if worked.Load() == 0 || refused.Load() == 0 {
		t.Error("the test saw only one side")
	}
	eventually(t, "it works again", func() error { return signAgency(t.Context(), v) })
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // no such list on this system
	}
	return len(entries)
}

func TestConfig(t *testing.T) {
	good := func() hcvault.Config {
		return hcvault.Config{Address: "https://vault.example:8200", RoleIDFile: "r", SecretIDFile: "s", Origin: "example.org/log"}
	}
	for _, c := range []struct {
		name string
		edit func(*hcvault.Config)
		want string
	}{
		{"nothing", func(c *hcvault.Config) { *c = hcvault.Config{} }, "https://"},
		{"no TLS", func(c *hcvault.Config) { c.Address = "http://vault.example:8200" }, "loopback"},
		{"no TLS, an address that only looks local", func(c *hcvault.Config) { c.Address = "http://127.0.0.1.example:8200" }, "loopback"},
		{"no TLS, a private address", func(c *hcvault.Config) { c.Address = "http://10.0.0.1:8200" }, "loopback"},
		{"no scheme", func(c *hcvault.Config) { c.Address = "vault.example:8200" }, "https://"},
		{"another scheme", func(c *hcvault.Config) { c.Address = "unix:///run/vault" }, "https://"},
		{"a password", func(c *hcvault.Config) { c.Address = "https://a:b@vault.example" }, "https://"},
		{"a path", func(c *hcvault.Config) { c.Address = "https://vault.example/v1" }, "https://"},
		{"no role", func(c *hcvault.Config) { c.RoleIDFile = "" }, "role id"},
		{"no secret", func(c *hcvault.Config) { c.SecretIDFile = "" }, "secret id"},
		{"no log", func(c *hcvault.Config) { c.Origin = "" }, "log's name"},
		{"a log with a space", func(c *hcvault.Config) { c.Origin = "a b" }, "log's name"},
		{"a mount that climbs", func(c *hcvault.Config) { c.Mount = "../sys" }, "transit"},
		{"a mount with a query", func(c *hcvault.Config) { c.Mount = "transit?x" }, "transit"},
		{"a prefix with a slash", func(c *hcvault.Config) { c.Prefix = "a/b" }, "prefix"},
		{"a negative time", func(c *hcvault.Config) { c.Timeout = -1 }, "timeout"},
		{"no such authorities", func(c *hcvault.Config) { c.CACert = "missing.pem" }, "authorities"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good()
			c.edit(&cfg)
			_, err := hcvault.Open(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one about %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "a:b") {
				t.Error("the error repeats the input")
			}
		})
	}
	_, err := hcvault.Open(t.Context(), hcvault.Config{Address: "http://vault.example"})
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("several problems: %v, want all of them at once", err)
	}
}

// TestEnvironment sets what HashiCorp's client would take from the
// environment: a token, a namespace, another server, and no check of
// certificates.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "from-the-environment", "VAULT_NAMESPACE": "elsewhere",
		"VAULT_SKIP_VERIFY": "true", "VAULT_HEADERS": `{"X-Injected":"yes"}`, "VAULT_MAX_RETRIES": "9", "HTTP_PROXY": "http://127.0.0.1:1",
		"HTTPS_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	f := newFake(t)
	f.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Vault-Namespace") != "" || r.Header.Get("X-Injected") != "" || strings.Contains(r.Header.Get("X-Vault-Token"), "environment") {
			t.Errorf("%s carries what the environment says", r.URL.Path)
		}
		return false
	})
	if err := signAgency(t.Context(), f.created(t, f.config(t))); err != nil {
		t.Error(err)
	}
	strange := httptest.NewTLSServer(f)
	defer strange.Close()
	cfg := f.config(t)
	cfg.Address, cfg.Timeout = strange.URL, time.Minute // its certificate has to arrive first
	if _, err := hcvault.Open(t.Context(), cfg); !errors.Is(err, hcvault.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
}

// TestLogins covers what Vault may say to a login.
func TestLogins(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer string
		want   error
	}{
		{"too long a life", `{"auth":{"client_token":"s.1","lease_duration":2764800}}`, hcvault.ErrToken},
		{"endless life", `{"auth":{"client_token":"s.1","lease_duration":0}}`, hcvault.ErrToken},
		{"no token", `{"auth":{"lease_duration":60}}`, hcvault.ErrBadResponse},
		{"a token with a line break", `{"auth":{"client_token":"s.1\nX: y","lease_duration":60}}`, hcvault.ErrBadResponse},
		{"no login", `{"data":{}}`, hcvault.ErrBadResponse},
	} {
		f := newFake(t)
		f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = fmt.Fprint(w, c.answer)
			return true
		})
		if _, err := hcvault.Open(t.Context(), f.config(t)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	f := newFake(t)
	cfg := f.config(t)
	cfg.SecretIDFile = file(t, "wrong")
	if _, err := hcvault.Open(t.Context(), cfg); !errors.Is(err, hcvault.ErrDenied) {
		t.Errorf("a wrong secret: %v, want ErrDenied", err)
	}
	cfg.SecretIDFile = file(t, " \n")
	if _, err := hcvault.Open(t.Context(), cfg); err == nil {
		t.Error("an empty secret was taken")
	}
}

// TestIgnoresBinding has a server that does not know associated data.
func TestIgnoresBinding(t *testing.T) {
	f := newFake(t)
	cfg := f.config(t)
	f.created(t, cfg)
	f.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		if body, err := io.ReadAll(r.Body); err == nil {
			r.Body = io.NopCloser(strings.NewReader(dropBinding(string(body))))
		}
		return false
	})
	if _, err := hcvault.Open(t.Context(), cfg); !errors.Is(err, hcvault.ErrBadResponse) {
		t.Errorf("open: %v, want ErrBadResponse", err)
	}
}

// dropBinding empties the associated data of a request.
func dropBinding(body string) string {
	const member = `"associated_data":"`
	before, rest, found := strings.Cut(body, member)
	if !found {
		return body
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + member + `"` + after
}

// TestOlderState puts the server back to before a rotation while it runs.
func TestOlderState(t *testing.T) {
	f := newFake(t)
	now := time.Now()
	cfg := f.config(t)
	cfg.Now = func() time.Time { return now }
	v := f.created(t, cfg)
	if _, err := rotateAgency(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	k := f.keys["safeconduct-sign-aa01"]
	k.secrets, k.minEncode = k.secrets[:1], 0
	f.mu.Unlock()
	now = now.Add(time.Minute)
	if _, _, err := keystore.New(v).Signer(t.Context(), "aa01"); !errors.Is(err, hcvault.ErrBadResponse) {
		t.Errorf("%v, want ErrBadResponse", err)
	}
}

func ExamplePolicies() {
	policies, err := hcvault.Policies("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range policies {
		fmt.Println(p.Name)
	}
	// Output:
	// safeconduct-records
	// safeconduct-signer
	// safeconduct-root
	// safeconduct-keys
}

// freePort finds a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestErrorsReachTheTop checks that what the keystore says survives the format
// rooms, so that the edge can tell a caller when to ask again.
func TestErrorsReachTheTop(t *testing.T) {
	f := newFake(t)
	v := f.created(t, f.config(t))
	kid, key, err := keystore.New(v).Signer(t.Context(), "aa01")
	if err != nil {
		t.Fatal(err)
	}
	f.misbehave(func(w http.ResponseWriter, _ *http.Request) bool { refuse(w, 503); return true })
	_, err = jws.Sign("dc+sd-jwt", kid, key, []byte(`{}`))
	var u *trouble.Later
	if !errors.As(err, &u) || !errors.Is(err, hcvault.ErrUnavailable) || u.RetryAfter() != 5*time.Second {
		t.Errorf("sign a token while sealed: %v, want ErrUnavailable and five seconds", err)
	}
	lie := func(_, _ string, data map[string]any) { data["signature"] = signature(1, make([]byte, 64)) }
	f.behave()
	f.lie.Store(&lie)
	if _, err = jws.Sign("dc+sd-jwt", kid, key, []byte(`{}`)); !errors.Is(err, hcvault.ErrBadResponse) {
		t.Errorf("sign a token with a lie: %v, want ErrBadResponse", err)
	}
}

// TestAnswersCross has two questions about a key under way at once, and a rotation between
// their answers, of which the one that was asked first saw it. Whoever has the new key's id
// from that one signs with it, whichever answer comes first; and the answer that saw less is
// not taken for that of a Vault that was put back.
func TestAnswersCross(t *testing.T) {
	for _, newFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("new first %v", newFirst), func(t *testing.T) {
			f := newFake(t)
			cfg := f.config(t)
			v := f.created(t, cfg)
			other, err := hcvault.Open(t.Context(), cfg)
			must(t, err)

			var asked atomic.Int32
			arrived, rotated, answered := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
			f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "-sign-aa01") || r.Header.Get("Again") != "" {
					return false
				}
				r.Header.Set("Again", "yes")
				switch asked.Add(1) {
				case 1: // this one sees what is there after the rotation
					arrived <- struct{}{}
					<-rotated
				case 2: // and this one what was there before
					was := httptest.NewRecorder()
					f.ServeHTTP(was, r)
					arrived <- struct{}{}
					if newFirst {
						<-answered
					}
					w.WriteHeader(was.Code)
					_, _ = w.Write(was.Body.Bytes())
					return true
				}
				return false
			})
			type found struct {
				keystore.Public
				err error
			}
			ask := func() chan found {
				c := make(chan found, 1)
				go func() {
					p, err := other.Public(t.Context(), keystore.Agency("aa01"))
					c <- found{p, err}
				}()
				<-arrived
				return c
			}
			first := ask()
			second := ask()
			var old found
			if !newFirst {
				old = <-second
			}
			kid, err := rotateAgency(t.Context(), v)
			must(t, err)
			close(rotated)
			late := <-first
			must(t, late.err)
			close(answered)
			if newFirst {
				old = <-second
			}
			must(t, old.err)
			if late.KeyID != kid || !newFirst && old.KeyID == kid {
				t.Fatalf("found %s and %s, want %s by the one that was asked first alone", late.KeyID, old.KeyID, kid)
			}
			if _, err := other.Sign(t.Context(), keystore.Agency("aa01"), kid, []keystore.Message{{Bytes: text}}); err != nil {
				t.Errorf("sign with the key that was just found: %v", err)
			}
		})
	}
}
