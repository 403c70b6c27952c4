package httpapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/web"
)

// published are the files that are for everybody's browser.
var published = []string{"/trust-list", "/trust-key", "/pack", "/status-lists/0", "/answers-lists/0", "/log/checkpoint"}

// aside are headers that no two answers have alike.
var aside = []string{"Date", "X-Request-Id"}

// newPublished is a world in which something was published.
func newPublished(t testing.TB, edit ...func(*httpapi.Config)) *world {
	t.Helper()
	w := newWorld(t, edit...)
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", `{"name":"SITI"}`), 201, nil)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	return w
}

// TestHead: HEAD is answered wherever GET is, with the same headers and no body
// (RFC 9110 §9.1, §9.3.2).
func TestHead(t *testing.T) {
	w := newPublished(t, func(c *httpapi.Config) { c.Pages = []web.Page{checkPage(t)} })
	paths := []string{"/nowhere", "/log/tile/0", "/check/parts", "/check/app-0123456789abcdef.js", "/log/tile/0/000.p/9"}
	for _, route := range w.server.Routes() {
		if method, path, _ := strings.Cut(route, " "); method == http.MethodGet {
			paths = append(paths, path)
		}
	}
	paths = append(paths, published...)
	if len(paths) < 30 {
		t.Fatalf("found %d paths: the search is broken", len(paths))
	}
	for _, path := range paths {
		path = strings.NewReplacer("{id}", randomID(), "{n}", "1", ":list", "0", "/*tile", "/0/000", "/*file", "/sw.js").Replace(path)
		for who, token := range map[string]string{"nobody": "", "caseworker": w.tokens["Lotus caseworker"]} {
			t.Run(path+" as "+who, func(t *testing.T) {
				plain := header("Accept-Encoding", "identity") // the client would ask for less with HEAD
				get := w.call(token, "GET", path, nil, plain)
				head := w.call(token, "HEAD", path, nil, plain)
				if head.status != get.status || len(head.body) != 0 {
					t.Errorf("got %d with %d bytes, want %d with none", head.status, len(head.body), get.status)
				}
				for _, name := range aside {
					get.header.Del(name)
					head.header.Del(name)
				}
				for name, want := range get.header {
					if got := head.header[name]; !slices.Equal(got, want) {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

// TestOtherMethods: a path that is there says what can be done with it.
func TestOtherMethods(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate = 1e6 })
	allowed := map[string][]string{}
	for _, route := range w.server.Routes() {
		method, path, _ := strings.Cut(route, " ")
		allowed[path] = append(allowed[path], method)
	}
	for path, methods := range allowed {
		path = strings.NewReplacer("{id}", randomID(), "{n}", "1", ":list", "0", "/*tile", "/0/000", "/*file", "/sw.js").Replace(path)
		if slices.Contains(methods, "GET") {
			methods = append(methods, "HEAD")
		}
		for _, method := range []string{"PATCH", "TRACE", "QUERY", "get"} {
			t.Run(method+" "+path, func(t *testing.T) {
				got := w.call(w.operator, method, path, nil)
				if got.status != 405 || got.code() != "method_not_allowed" || got.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("got %d %s", got.status, got.body)
				}
				holdsAll(t, got.header.Get("Allow"), append(methods, "OPTIONS"))
			})
		}
		t.Run("OPTIONS "+path, func(t *testing.T) {
			got := w.call("", "OPTIONS", path, nil)
			if got.status != 204 || len(got.body) != 0 {
				t.Errorf("got %d %s", got.status, got.body)
			}
			holdsAll(t, got.header.Get("Allow"), append(methods, "OPTIONS"))
		})
	}
	for _, method := range []string{"PATCH", "OPTIONS", "HEAD", "DELETE"} {
		if got := w.call("", method, "/nowhere", nil); got.status != 404 {
			t.Errorf("%s /nowhere: got %d", method, got.status)
		}
	}
}

func holdsAll(t *testing.T, allow string, methods []string) {
	t.Helper()
	has := strings.Split(allow, ", ")
	for _, method := range methods {
		if !slices.Contains(has, method) {
			t.Errorf("Allow is %q, want %s in it", allow, method)
		}
	}
}

// TestAnyOrigin: scripts of every site may read what is for everybody, also why
// they did not get it, and nothing else.
func TestAnyOrigin(t *testing.T) {
	w := newPublished(t)
	for path, status := range map[string]int{
		"/trust-list": 200, "/trust-key": 200, "/pack": 200, "/status-lists/0": 200, "/answers-lists/0": 200, "/log/checkpoint": 200,
		"/status-lists/9": 404, "/status-lists/0?time=1686925000": 501, "/log/tile/0/001": 404, "/log/restart": 404,
	} {
		t.Run(path, func(t *testing.T) {
			got := w.call("", "GET", path, nil, header("Origin", "https://wallet.example"))
			if got.status != status || got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Credentials") != "" ||
				got.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
				t.Errorf("got %d with %v", got.status, got.header)
			}
			file, _, _ := strings.Cut(path, "?")
			before := w.call("", "OPTIONS", file, nil, header("Origin", "https://wallet.example"), header("Access-Control-Request-Headers", "if-none-match"))
			if before.status != 204 || before.header.Get("Access-Control-Allow-Origin") != "*" || before.header.Get("Access-Control-Allow-Headers") != "If-None-Match" {
				t.Errorf("asked before: got %d with %v", before.status, before.header)
			}
		})
	}
	for _, path := range []string{"/api/v1/cases", "/card", "/check", "/healthz", "/readyz", "/nowhere", "/api/v1/papers"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			t.Run(method+" "+path, func(t *testing.T) {
				got := w.call(w.operator, method, path, nil, header("Origin", "https://wallet.example"))
				if _, has := got.header["Access-Control-Allow-Origin"]; has {
					t.Errorf("scripts of other sites may read it: %v", got.header)
				}
			})
		}
	}
}

// TestNoHistory: a past state is not told, whatever time was asked for (Token
// Status List §8.4).
func TestNoHistory(t *testing.T) {
	w := newPublished(t)
	for _, query := range []string{"time=1686925000", "time=0", "time=-1", "time=", "time=yesterday"} {
		for _, path := range []string{"/status-lists/0", "/answers-lists/0", "/status-lists/9"} {
			t.Run(path+"?"+query, func(t *testing.T) {
				got := w.call("", "GET", path+"?"+query, nil)
				if got.status != 501 || got.code() != "history_not_supported" || got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("got %d %s", got.status, got.body)
				}
			})
		}
	}
	if strings.Contains(w.log.String(), "request failed") {
		t.Error("a question that is not answered is logged as a failure")
	}
	for _, query := range []string{"date=1", "time=1&time=2", "Time=1"} {
		if got := w.call("", "GET", "/status-lists/0?"+query, nil); got.status != 400 {
			t.Errorf("%s: got %d", query, got.status)
		}
	}
}

// TestOneSpelling: a number or a boolean in a path or a query is read in one
// spelling.
func TestOneSpelling(t *testing.T) {
	w := newPublished(t)
	ngo := w.tokens["Lotus caseworker"]
	id := randomID()
	for _, number := range []string{"01", "+1", "-1", "1.0", "1e0", "0x1", "1_0", " 1", "١", "00", ""} {
		escaped := strings.NewReplacer(" ", "%20", "+", "%2B").Replace(number)
		for path, status := range map[string]int{
			"/status-lists/" + escaped:                                     404,
			"/answers-lists/" + escaped:                                    404,
			"/api/v1/documents/" + id + "/pages/" + escaped:                404,
			"/api/v1/cases?limit=" + escaped:                               400,
			"/api/v1/documents/" + id + "/pages?role=data&page=" + escaped: 400,
		} {
			method := "GET"
			if strings.Contains(path, "role=") {
				method = "POST"
			}
			t.Run(method+" "+path, func(t *testing.T) {
				got := w.call(ngo, method, path, nil, picture(method)...)
				if got.status != status {
					t.Errorf("got %d %s, want %d", got.status, got.body, status)
				}
			})
		}
	}
	for _, value := range []string{"TRUE", "True", "1", "t", "yes", "0", ""} {
		path := "/api/v1/documents/" + id + "/pages?role=data&seen_original=" + value
		t.Run("POST "+path, func(t *testing.T) {
			if got := w.call(ngo, "POST", path, []byte("\xff\xd8"), header("Content-Type", "image/jpeg")); got.status != 400 {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	for _, path := range []string{"/api/v1/cases?limit=1", "/status-lists/0"} {
		if got := w.call(ngo, "GET", path, nil); got.status != 200 {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
	// Nothing of a query is dropped in silence.
	for _, query := range []string{"limit=1&%zz=1", "limit=1;after=x", "limit=1&%"} {
		if got := w.call(ngo, "GET", "/api/v1/cases?"+query, nil); got.status != 400 {
			t.Errorf("%s: got %d", query, got.status)
		}
	}
}

func picture(method string) []func(*http.Request) {
	if method != "POST" {
		return nil
	}
	return []func(*http.Request){header("Content-Type", "image/jpeg")}
}

// TestNoFileThere: a folder, a way through a file and a name that no file can
// have are not found, and nobody's fault.
func TestNoFileThere(t *testing.T) {
	w := newPublished(t, func(c *httpapi.Config) { c.Pages = []web.Page{checkPage(t)} })
	long := strings.Repeat("a", 300)
	for _, path := range []string{
		"/log/tile", "/log/tile/", "/log/tile/0", "/log/tile/0/", "/log/tile/0/000.p", "/log/tile/0/000.p/1/1", "/log/tile/0/x000", "/log/tile/0/x000/000.p",
		"/log/tile/0/000/1", "/log/tile/0/0", "/log/tile/00/000", "/log/tile/0/000.p/0", "/log/tile/0/000.p/256", "/log/tile/0/000.p/01", "/log/tile/64/000",
		"/log/tile/entries/000", "/log/tile/data/000", "/log/tile/" + strings.Repeat("x999/", 24) + "000", "/log/tile/" + long, "/log/", "/log",
		"/log/checkpoint/", "/log/restart/x", "/log/restart.json",
		"/check/parts", "/check/parts/", "/check/sw.js/x", "/check/sw.js/", "/check/" + long, "/check/.stamp", "/check/check.html", "/check/..", "/check/parts/..",
		"/check/app-0123456789abcdef.js.gz", "/check/con", "/check/a%00b", "/card/", "/card/x", "/.well-known", "/.well-known/", "/.well-known/security.txt/x",
		"/status-lists", "/status-lists/", "/status-lists/0/", "/pack/", "/trust-list/x", "/trust-key/", "/api", "/api/", "/api/v1", "/api/openapi.yaml/x",
	} {
		t.Run(path, func(t *testing.T) {
			if got := w.call("", "GET", path, nil); got.status != 404 || got.code() != "not_found" {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	if strings.Contains(w.log.String(), "request failed") {
		t.Error("a name that names nothing is logged as a failure")
	}
}

// FuzzFiles: no path and no query is more than the service can answer, what is
// not a file is nobody's fault, and what is one has a version.
func FuzzFiles(f *testing.F) {
	w := newPublished(f, func(c *httpapi.Config) {
		c.Log, c.Pages = slog.New(slog.DiscardHandler), []web.Page{checkPage(f)}
		c.Rate, c.StrangerRate = 1e6, 1e6
	})
	for _, seed := range [][2]string{
		{"/log/tile/0/000.p/3", ""}, {"/log/tile/0/x001/x234/067.p/9", ""}, {"/log/tile/0", ""}, {"/status-lists/0", "time=1"}, {"/status-lists/01", ""},
		{"/check/parts", ""}, {"/check/sw.js/x", "%zz"}, {"/api/v1/cases", "limit=01&after="}, {"//", ";"}, {"/pack", "a=b&a=c"}, {"/.well-known/security.txt", ""},
	} {
		f.Add("GET", seed[0], seed[1])
		f.Add("HEAD", seed[0], seed[1])
	}
	f.Add("OPTIONS", "/pack", "")
	f.Add("FIND", "/pack", "")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		if strings.ContainsAny(method, " /") || method == "" {
			return // net/http refuses it
		}
		answer := httptest.NewRecorder()
		w.server.ServeHTTP(answer, &http.Request{
			Method: method, URL: &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}, Header: http.Header{}, Body: http.NoBody, Host: "localhost",
		})
		switch {
		case answer.Code == http.StatusNotImplemented && strings.Contains(query, "time"):
		case answer.Code >= 500:
			t.Errorf("got %d %s", answer.Code, answer.Body)
		case answer.Code == http.StatusOK && answer.Header().Get("ETag") == "" && answer.Header().Get("Cache-Control") != "no-store":
			t.Errorf("is cached without a version: %v", answer.Header())
		}
	})
}
