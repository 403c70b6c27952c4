package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/web"
)

// checkPage stands for what scripts/web.sh builds.
func checkPage(t testing.TB) web.Page {
	t.Helper()
	script := []byte(strings.Repeat("let calm = true;\n", 100))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(script); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	all := notBuilt()
	page := all[slices.IndexFunc(all, func(p web.Page) bool { return p.Name == "check" })]
	page.Files = fstest.MapFS{
		"check.html":                             {Data: []byte(`<!doctype html><meta name="desk" content=""><title>Card check</title>`)},
		"check/app-0123456789abcdef.js":          {Data: script},
		"check/app-0123456789abcdef.js.gz":       {Data: packed.Bytes()},
		"check/sw.js":                            {Data: []byte("self")},
		"check/parts/" + strings.Repeat("0", 32): {Data: []byte{0x1f, 0x8b}},
		"check/.stamp":                           {Data: []byte("x")},
		"secret.txt":                             {Data: []byte("x")},
	}
	return page
}

// notBuilt are the pages as a binary has them that was built without them.
func notBuilt() []web.Page {
	all := slices.Clone(web.Pages)
	for i := range all {
		all[i].Files = fstest.MapFS{}
	}
	return all
}

// TestPages: every file comes with the policy that holds it, under the name
// that the page uses, and nothing else of the folder does.
func TestPages(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Pages, c.Desk = []web.Page{checkPage(t)}, `+00 "00"` })
	get := func(path string, header ...string) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		// The default transport would unpack what it asked for itself.
		resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, body
	}
	const app = "/check/app-0123456789abcdef.js"
	for path, want := range map[string]struct{ mediaType, cache string }{
		"/check":       {"text/html; charset=utf-8", "no-cache"},
		"/check/sw.js": {"text/javascript; charset=utf-8", "no-cache"},
		app:            {"text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/check/parts/" + strings.Repeat("0", 32): {"application/octet-stream", "public, max-age=31536000, immutable"},
	} {
		resp, body := get(path)
		if resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Fatalf("%s: %d with %d bytes", path, resp.StatusCode, len(body))
		}
		for header, value := range map[string]string{
			"Content-Type": want.mediaType, "Cache-Control": want.cache, "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			if got := resp.Header.Get(header); got != value {
				t.Errorf("%s: %s is %q, want %q", path, header, got, value)
			}
		}
		policy := resp.Header.Get("Content-Security-Policy")
		for _, rule := range []string{
			"default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'", "frame-ancestors 'none'",
			"form-action 'none'", "require-trusted-types-for 'script'",
		} {
			if !strings.Contains(policy, rule) {
				t.Errorf("%s: the policy lacks %s", path, rule)
			}
		}
		if strings.Contains(policy, "unsafe-inline") || strings.Contains(policy, "'unsafe-eval'") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is %s", path, policy)
		}
		if !strings.HasPrefix(resp.Header.Get("Permissions-Policy"), "camera=(self), ") {
			t.Errorf("%s: permissions are %q", path, resp.Header.Get("Permissions-Policy"))
		}
		again, none := get(path, "If-None-Match", resp.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || len(none) > 0 || again.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s again: %d with %d bytes", path, again.StatusCode, len(none))
		}
	}

	if _, body := get("/check"); !bytes.Contains(body, []byte(`<meta name="desk" content="+00 &#34;00&#34;">`)) {
		t.Errorf("the page names no desk: %s", body)
	}
	if resp, _ := get("/check/sw.js"); resp.Header.Get("Service-Worker-Allowed") != "/check" {
		t.Error("the service worker may not stand before the page")
	}
	plain, body := get(app)
	packed, small := get(app, "Accept-Encoding", "br, gzip;q=0.8")
	refused, large := get(app, "Accept-Encoding", "gzip;q=0")
	if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" || refused.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for the wrong one")
	}
	if len(small) >= len(body) || !bytes.Equal(body, large) || plain.Header.Get("ETag") == packed.Header.Get("ETag") {
		t.Errorf("%d bytes plain, %d packed, %d for whoever refuses", len(body), len(small), len(large))
	}

	for _, path := range []string{
		"/check//", "/check%2F", "/chec/", "/check/none.js", "/check/.stamp", "/check/app-0123456789abcdef.js.gz", "/check/../secret.txt",
		"/check/parts", "/check/parts/", "/check//sw.js", "/check/%2e%2e/secret.txt", "/check/check.html", "/check.html",
		"/check?x=1", "/check/sw.js?x=1",
	} {
		t.Run(path, func(t *testing.T) {
			resp, _ := get(path)
			if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusUnprocessableEntity && resp.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d", resp.StatusCode)
			}
			if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox") {
				t.Error("an answer that is no page has the policy of one")
			}
		})
	}
}

// TestPageWithSlash: a slash at the end of a page's address leads to the page.
func TestPageWithSlash(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Pages = web.Pages })
	for _, p := range web.Pages {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequestWithContext(t.Context(), method, w.http.URL+"/"+p.Name+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(req) // follows nothing
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != "/"+p.Name {
				t.Errorf("%s /%s/: %d to %q", method, p.Name, resp.StatusCode, got)
			}
			if got := resp.Header.Get("Cache-Control"); got != "public, max-age=3600" {
				t.Errorf("%s /%s/ is kept: %q", method, p.Name, got)
			}
			if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox") {
				t.Errorf("%s /%s/ has the policy %q", method, p.Name, policy)
			}
		}
		if got := w.call("", "POST", "/"+p.Name+"/", nil); got.status != http.StatusNotFound {
			t.Errorf("POST /%s/: %d", p.Name, got.status)
		}
	}
}

// TestNoPages: a build without pages serves everything else, and whoever opens a
// page is told what is wrong and who mends it how.
func TestNoPages(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/check", "/check/sw.js"} {
		got := w.call("", "GET", path, nil)
		if got.status != http.StatusNotImplemented || !strings.Contains(string(got.body), `"pages_missing"`) || !strings.Contains(string(got.body), "make build") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := w.call("", "GET", "/healthz", nil); got.status != http.StatusOK {
		t.Errorf("/healthz: %d", got.status)
	}
}
