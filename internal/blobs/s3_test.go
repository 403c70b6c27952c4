package blobs_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/storetest"
)

func openS3(t *testing.T, cfg blobs.S3Config) *blobs.S3 {
	t.Helper()
	s, err := blobs.OpenS3(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestS3 gives every part of the suite a folder of the same bucket, so that it
// also shows that they do not see each other.
func TestS3(t *testing.T) {
	server := s3test.Run(t)
	n := 0
	storetest.Blobs(t, func(t *testing.T, now func() time.Time) storetest.BlobStore {
		cfg := server.Config
		n++
		cfg.Prefix, cfg.Now = fmt.Sprintf("vault/n%d", n), now
		return openS3(t, cfg)
	})
	if n := filesIn(t, filepath.Join(server.Folder, ".sgwtmp", "multipart")); n != 0 {
		t.Errorf("%d files of unfinished uploads are left on the server, want 0", n)
	}
}

func TestS3Killed(t *testing.T) {
	server := s3test.Run(t)
	now := time.Now()
	cfg := server.Config
	cfg.Now = func() time.Time { return now }
	cuts(t, func(t *testing.T, length, place int64) {
		s := openS3(t, cfg)
		killed(t, child{Endpoint: cfg.Endpoint, Length: length, Place: place})
		absent(t, s)
		if n, err := s.CollectTemp(t.Context()); err != nil || n != 0 {
			t.Errorf("collected %d, %v at once, want 0", n, err)
		}
		now = now.Add(25 * time.Hour)
		defer func() { now = now.Add(-25 * time.Hour) }()
		want := 0
		if place > 8<<20 { // a shorter upload has not sent anything
			want = 1
		}
		if n, err := s.CollectTemp(t.Context()); err != nil || n != want {
			t.Errorf("collected %d, %v a day later, want %d", n, err, want)
		}
		if n := filesIn(t, filepath.Join(server.Folder, ".sgwtmp", "multipart")); n != 0 {
			t.Errorf("%d files of unfinished uploads are left on the server, want 0", n)
		}
	})
}

func TestS3Config(t *testing.T) {
	good := blobs.S3Config{
		Endpoint: "https://s3.example.org", Region: "eu-central-1", Bucket: "objects",
		AccessKey: "access", SecretKey: private.New("very secret"),
	}
	for _, c := range []struct {
		name string
		edit func(*blobs.S3Config)
		want string // what the error says; all of it
	}{
		{"nothing", func(c *blobs.S3Config) { *c = blobs.S3Config{} }, "endpoint region bucket key"},
		{"plain http", func(c *blobs.S3Config) { c.Endpoint = "http://s3.example.org" }, "https"},
		{"http that only looks like loopback", func(c *blobs.S3Config) { c.Endpoint = "http://127.0.0.1.example.org" }, "https"},
		{"http at every address", func(c *blobs.S3Config) { c.Endpoint = "http://0.0.0.0:7070" }, "https"},
		{"no scheme", func(c *blobs.S3Config) { c.Endpoint = "s3.example.org" }, "endpoint"},
		{"another scheme", func(c *blobs.S3Config) { c.Endpoint = "ftp://s3.example.org" }, "https"},
		{"a path", func(c *blobs.S3Config) { c.Endpoint += "/objects" }, "endpoint"},
		{"a user", func(c *blobs.S3Config) { c.Endpoint = "https://a:b@s3.example.org" }, "endpoint"},
		{"bucket with a slash", func(c *blobs.S3Config) { c.Bucket = "objects/vault" }, "bucket"},
		{"prefix out of the bucket", func(c *blobs.S3Config) { c.Prefix = "../other" }, "prefix"},
		{"prefix from the root", func(c *blobs.S3Config) { c.Prefix = "/vault" }, "prefix"},
		{"roots that are none", func(c *blobs.S3Config) { c.CACert = []byte("x") }, "certificate"},
		{"negative timeout", func(c *blobs.S3Config) { c.Timeout = -1 }, "timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.edit(&cfg)
			_, err := blobs.OpenS3(t.Context(), cfg)
			if err == nil {
				t.Fatal("it was taken")
			}
			for word := range strings.FieldsSeq(c.want) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v, want it to speak of %s", err, word)
				}
			}
			if got, want := strings.Count(err.Error(), "blobs: "), len(strings.Fields(c.want)); got != want {
				t.Errorf("%d problems, want %d: %v", got, want, err)
			}
		})
	}
	if text := fmt.Sprintf("%v %+v %#v", good, good, good); strings.Contains(text, "secret\"") || strings.Contains(text, "very secret") {
		t.Error("printing the configuration prints the secret")
	}
}

func TestS3Bucket(t *testing.T) {
	versions := t.TempDir()
	server := s3test.Run(t, "--versioning-dir", versions)
	for _, c := range []struct {
		name string
		edit func(*blobs.S3Config)
	}{
		{"there is none", func(c *blobs.S3Config) { c.Bucket = "no-such-bucket" }},
		{"another secret", func(c *blobs.S3Config) { c.SecretKey = private.New("guessed") }},
		{"another key", func(c *blobs.S3Config) { c.AccessKey = "somebody" }},
	} {
		cfg := server.Config
		c.edit(&cfg)
		if _, err := blobs.OpenS3(t.Context(), cfg); !errors.Is(err, blobs.ErrBucket) {
			t.Errorf("%s: %v, want ErrBucket", c.name, err)
		}
	}
	if n := filesIn(t, filepath.Dir(server.Folder)); n != 0 {
		t.Errorf("%d files were made by looking, want 0", n)
	}

	put(t, openS3(t, server.Config), "aa", "before there were versions")
	for _, status := range []string{"Enabled", "Suspended"} {
		server.SetVersioning(status)
		if _, err := blobs.OpenS3(t.Context(), server.Config); !errors.Is(err, blobs.ErrBucket) {
			t.Errorf("versioning %s: %v, want ErrBucket", status, err)
		}
	}
}

// inTime fails a test whose call takes longer than a person would wait.
func inTime(t *testing.T, what string, limit time.Duration, call func() error) {
	t.Helper()
	began := time.Now()
	if err := call(); !errors.Is(err, blobs.ErrUnavailable) {
		t.Errorf("%s: %v, want ErrUnavailable", what, err)
	} else if strings.Contains(err.Error(), "aa") || strings.Contains(err.Error(), "objects/") {
		t.Errorf("%s: the error names the object: %v", what, err)
	}
	if took := time.Since(began); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}

// everything calls every method, each of which must say ErrUnavailable.
func everything(t *testing.T, s *blobs.S3, limit time.Duration) {
	t.Helper()
	ctx := t.Context()
	inTime(t, "put", limit+10*time.Second, func() error { _, err := s.Put(ctx, "aa", strings.NewReader("x")); return err })
	inTime(t, "long put", limit+20*time.Second, func() error { _, err := s.Put(ctx, "aa", storetest.Noise(1, 9<<20)); return err })
	inTime(t, "get", limit, func() error { _, err := s.Get(ctx, "aa"); return err })
	inTime(t, "since", limit, func() error { _, err := s.Since(ctx, "aa"); return err })
	inTime(t, "delete", limit, func() error { return s.Delete(ctx, "aa") })
	inTime(t, "list", limit, func() error {
		for _, err := range s.List(ctx, "") {
			return err
		}
		return nil
	})
	inTime(t, "collect", limit, func() error { _, err := s.CollectTemp(ctx); return err })
}

func TestS3Down(t *testing.T) {
	server := s3test.Run(t)
	s := openS3(t, server.Config)
	put(t, s, "aa", "kept")
	server.Stop()
	everything(t, s, 5*time.Second)
	inTime(t, "open", 5*time.Second, func() error { _, err := blobs.OpenS3(t.Context(), server.Config); return err })

	server.Restart()
	if got := storetest.GetBlob(t, s, "aa"); got != "kept" {
		t.Errorf("after the server came back: %q, want %q", got, "kept")
	}
	put(t, s, "ab", "new")
}

// TestS3Silent has a server that accepts everything and answers nothing.
func TestS3Silent(t *testing.T) {
	server := s3test.Run(t)
	var silent atomic.Bool
	cfg := server.Config
	cfg.Timeout = time.Second
	over := between(t, server, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if silent.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
	cfg.Endpoint = over.URL
	s := openS3(t, cfg)
	silent.Store(true)
	everything(t, s, 4*time.Second)
}

// TestS3Stalls has a server that stops in the middle of an object.
func TestS3Stalls(t *testing.T) {
	server := s3test.Run(t)
	cfg := server.Config
	cfg.Timeout = time.Second
	over := between(t, server, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/aa") {
			next.ServeHTTP(&stalling{ResponseWriter: w, left: 1 << 20, done: r.Context().Done()}, r)
			return
		}
		next.ServeHTTP(w, r)
	})
	cfg.Endpoint = over.URL
	s := openS3(t, cfg)
	if _, err := s.Put(t.Context(), "aa", storetest.Noise(1, 3<<20)); err != nil {
		t.Fatal(err)
	}
	inTime(t, "read", 4*time.Second, func() error {
		r, err := s.Get(t.Context(), "aa")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		_, err = io.Copy(io.Discard, r)
		return err
	})
	// A caller that gives up is told so, and not that the server is away.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := s.Get(ctx, "aa")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) || errors.Is(err, blobs.ErrUnavailable) {
		t.Errorf("read by a caller who has left: %v, want Canceled", err)
	}
}

type stalling struct {
	http.ResponseWriter
	left int
	done <-chan struct{}
}

func (s *stalling) Write(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		<-s.done
		return 0, io.ErrClosedPipe
	}
	return s.ResponseWriter.Write(p)
}

// between stands between us and the real server, and may misbehave.
func between(t *testing.T, server *s3test.Server, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) *httptest.Server {
	t.Helper()
	over := httptest.NewServer(through(t, server, handle))
	t.Cleanup(over.Close)
	return over
}

func through(t *testing.T, server *s3test.Server, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) http.Handler {
	t.Helper()
	target, err := url.Parse(server.Config.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	next := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, next) })
}

// TestS3Wire cuts the connection in the middle of each request that carries a
// body, at every place of the table.
func TestS3Wire(t *testing.T) {
	server := s3test.Run(t)
	cuts(t, func(t *testing.T, length, place int64) {
		cfg := server.Config
		s := openS3(t, cfg)
		share := float64(place) / float64(length)
		line := cutting(t, strings.TrimPrefix(cfg.Endpoint, "http://"))
		cfg.Endpoint = "http://" + line.address
		cfg.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
		through := openS3(t, cfg)
		// What a request carries: a part, or all of it. Headers come on top.
		line.limit.Store(int64(share * float64(min(length, 8<<20))))
		if _, err := through.Put(t.Context(), "aa", storetest.Noise(1, length)); !errors.Is(err, blobs.ErrUnavailable) {
			t.Errorf("put: %v, want ErrUnavailable", err)
		}
		line.limit.Store(0)
		absent(t, s)
		if _, err := through.CollectTemp(t.Context()); err != nil {
			t.Error(err)
		}
		if n := filesIn(t, filepath.Join(server.Folder, ".sgwtmp", "multipart")); n != 0 {
			t.Errorf("%d files of unfinished uploads are left on the server, want 0", n)
		}
	})
}

// line passes bytes on, and breaks after limit bytes towards the server, if
// that is not 0.
type line struct {
	address string
	limit   atomic.Int64
}

func cutting(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	l := &line{address: listener.Addr().String()}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go l.pass(in, target)
		}
	}()
	return l
}

func (l *line) pass(in net.Conn, target string) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
	buffer, passed := make([]byte, 1024), int64(0)
	for {
		n, err := in.Read(buffer)
		if passed += int64(n); l.limit.Load() > 0 && passed > l.limit.Load() {
			return
		}
		if _, e := out.Write(buffer[:n]); err != nil || e != nil {
			return
		}
	}
}

// TestS3LostAnswer loses the answer to a request that the server has carried
// out: the object is there and ours, and Put must say so.
func TestS3LostAnswer(t *testing.T) {
	server := s3test.Run(t)
	var lose atomic.Int32
	over := between(t, server, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		last := r.Method == http.MethodPut && r.URL.RawQuery != "" && !r.URL.Query().Has("partNumber") ||
			r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
		if last && lose.Add(-1) >= 0 {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	cfg := server.Config
	cfg.Endpoint = over.URL
	s := openS3(t, cfg)
	for _, length := range []int64{1000, 9 << 20} {
		for _, lost := range []int32{1, 3} {
			t.Run(fmt.Sprintf("%d answers, %d bytes", lost, length), func(t *testing.T) {
				key := fmt.Sprintf("%06x/%02x", length, lost)
				lose.Store(lost)
				n, err := s.Put(t.Context(), key, storetest.Noise(1, length))
				if err != nil || n != length {
					t.Fatalf("put %d, %v, want %d", n, err, length)
				}
				if lose.Load() > 0 {
					t.Error("no answer was lost: this test proves nothing")
				}
				lose.Store(0)
				want, err := io.ReadAll(storetest.Noise(1, length))
				if err != nil {
					t.Fatal(err)
				}
				if got := storetest.GetBlob(t, s, key); got != string(want) {
					t.Error("the object is not what was put")
				}
				if _, err := s.Put(t.Context(), key, strings.NewReader("x")); !errors.Is(err, blobs.ErrExists) {
					t.Errorf("put of a taken key: %v, want ErrExists", err)
				}
			})
		}
	}
}

// TestS3Unconditional has servers that cannot refuse a taken key by
// themselves, with or without saying so.
func TestS3Unconditional(t *testing.T) {
	server := s3test.Run(t)
	for name, answer := range map[string]int{"says so": http.StatusNotImplemented, "is silent about it": http.StatusOK} {
		t.Run(name, func(t *testing.T) {
			over := between(t, server, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Header.Get("If-None-Match") == "" {
					next.ServeHTTP(w, r)
					return
				}
				recorder := httptest.NewRecorder()
				next.ServeHTTP(recorder, r)
				if recorder.Code == http.StatusPreconditionFailed || answer != http.StatusOK {
					w.WriteHeader(answer)
					return
				}
				w.WriteHeader(recorder.Code)
				_, _ = w.Write(recorder.Body.Bytes())
			})
			cfg := server.Config
			cfg.Endpoint, cfg.Prefix = over.URL, fmt.Sprint("a", answer)
			s := openS3(t, cfg)
			put(t, s, "aa", "first")
			for _, length := range []int64{10, 9 << 20} {
				if _, err := s.Put(t.Context(), "aa", storetest.Noise(1, length)); !errors.Is(err, blobs.ErrExists) {
					t.Errorf("put of a taken key: %v, want ErrExists", err)
				}
			}
			if got := storetest.GetBlob(t, s, "aa"); got != "first" {
				t.Errorf("got %q, want %q", got, "first")
			}
			if got := storetest.BlobKeys(t, s, ""); len(got) != 1 {
				t.Errorf("%d keys, want 1", len(got))
			}
		})
	}
}

// TestS3Damage changes objects behind the server's back.
func TestS3Damage(t *testing.T) {
	server := s3test.Run(t)
	s := openS3(t, server.Config)
	for i, length := range []int64{1000, 1 << 20, 20 << 20} {
		for name, damage := range map[string]func([]byte) []byte{
			"first bit": func(b []byte) []byte { b[0] ^= 1; return b },
			"last bit":  func(b []byte) []byte { b[len(b)-1] ^= 128; return b },
			"truncated": func(b []byte) []byte { return b[:len(b)-1] },
			"longer":    func(b []byte) []byte { return append(b, 0) },
			"swapped":   func(b []byte) []byte { return bytes.Repeat([]byte("a"), len(b)) },
		} {
			t.Run(fmt.Sprintf("%s of %d", name, length), func(t *testing.T) {
				key := fmt.Sprintf("%02x/%02x", i, len(name))
				if _, err := s.Put(t.Context(), key, storetest.Noise(1, length)); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(server.Folder, key)
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				// Written over, so that what the server keeps beside it stays.
				if err := os.WriteFile(file, damage(data), 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := s.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.Copy(io.Discard, r)
				if err := errors.Join(err, r.Close()); !errors.Is(err, blobs.ErrDamaged) {
					t.Errorf("read: %v, want ErrDamaged", err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestS3Answers takes servers' refusals one by one.
func TestS3Answers(t *testing.T) {
	server := s3test.Run(t)
	var status atomic.Int32
	var code atomic.Value
	var asked atomic.Int32
	over := between(t, server, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if status.Load() == 0 || r.Method != http.MethodPut {
			next.ServeHTTP(w, r)
			return
		}
		asked.Add(1)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(int(status.Load()))
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>objects/aa</Message><Resource>/objects/aa</Resource></Error>", code.Load())
	})
	cfg := server.Config
	cfg.Endpoint = over.URL
	s := openS3(t, cfg)
	other := errors.New("none of ours")
	for _, c := range []struct {
		status int32
		code   string
		want   error
		asked  int32
	}{
		{507, "InsufficientStorage", blobs.ErrFull, 1},
		{403, "QuotaExceeded", blobs.ErrFull, 1},
		{507, "XMinioStorageFull", blobs.ErrFull, 1},
		{503, "SlowDown", blobs.ErrUnavailable, 3},
		{500, "InternalError", blobs.ErrUnavailable, 3},
		{429, "TooManyRequests", blobs.ErrUnavailable, 1},
		{400, "XAmzContentChecksumMismatch", blobs.ErrUnavailable, 1},
		{409, "ConditionalRequestConflict", blobs.ErrUnavailable, 1},
		{403, "AccessDenied", blobs.ErrBucket, 1},
		{404, "NoSuchBucket", blobs.ErrBucket, 1},
		{400, "objects/aa &lt;b&gt;", other, 1},
		{307, "TemporaryRedirect", other, 1},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			asked.Store(0)
			code.Store(c.code)
			status.Store(c.status)
			_, err := s.Put(t.Context(), "aa", strings.NewReader("x"))
			status.Store(0)
			if err == nil || c.want != other && !errors.Is(err, c.want) { //nolint:errorlint // a mark of this table
				t.Errorf("put: %v, want %v", err, c.want)
			}
			for _, ours := range []error{blobs.ErrFull, blobs.ErrUnavailable, blobs.ErrBucket, blobs.ErrExists, blobs.ErrNotFound} {
				if !errors.Is(ours, c.want) && errors.Is(err, ours) {
					t.Errorf("put: %v is also %v", err, ours)
				}
			}
			if err != nil && strings.Contains(err.Error(), "aa") {
				t.Errorf("the error names the object: %v", err)
			}
			if got := asked.Load(); got != c.asked {
				t.Errorf("asked %d times, want %d", got, c.asked)
			}
			absent(t, s)
		})
	}
}

func TestS3TLS(t *testing.T) {
	server := s3test.Run(t)
	over := httptest.NewUnstartedServer(through(t, server, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }))
	over.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told about refused handshakes
	over.StartTLS()
	t.Cleanup(over.Close)
	cfg := server.Config
	cfg.Endpoint = over.URL
	inTime(t, "a certificate that nobody knows", 10*time.Second, func() error { _, err := blobs.OpenS3(t.Context(), cfg); return err })

	cfg.CACert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: over.Certificate().Raw})
	s := openS3(t, cfg)
	put(t, s, "aa", "over TLS")
	if got := storetest.GetBlob(t, s, "aa"); got != "over TLS" {
		t.Errorf("got %q", got)
	}
	if _, err := s.Put(t.Context(), "ab", storetest.Noise(1, 9<<20)); err != nil {
		t.Error(err)
	}
}

func ExampleOpenS3() {
	s, err := blobs.OpenS3(context.Background(), blobs.S3Config{
		Endpoint: "http://s3.example.org", Region: "eu-central-1", Bucket: "safeconduct",
		AccessKey: "from the environment", SecretKey: private.New("from a file"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	// Output: blobs: the endpoint must be https, unless it is on loopback
}
