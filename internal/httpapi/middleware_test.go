package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/internal/httpapi/api"
)

// bare is a server with nothing behind it, for what needs nothing behind it.
func bare(log *bytes.Buffer) *Server {
	return &Server{cfg: Config{Log: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now}}
}

// TestPanics: the value of a panic is told to nobody.
func TestPanics(t *testing.T) {
	const secret = "MARKER-in-a-panic"
	for name, value := range map[string]any{"string": secret, "error": errors.New(secret), "struct": struct{ Name string }{secret}} {
		var log bytes.Buffer
		s := bare(&log)
		r := gin.New()
		r.Use(s.nameRequest, s.logAccess, s.recover, s.setHeaders)
		r.GET("/x", func(*gin.Context) { panic(value) })
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		if w.Code != 500 || !strings.Contains(w.Body.String(), `"code":"internal"`) {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
		if strings.Contains(log.String(), secret) || strings.Contains(w.Body.String(), secret) {
			t.Errorf("%s: the panic's value was told", name)
		}
		if !strings.Contains(log.String(), "TestPanics") {
			t.Errorf("%s: the log does not say where: %s", name, &log)
		}
	}
}

// TestUnknownErrorsAreOurs: the cause goes to the log with the request's id,
// and the client gets the id.
func TestUnknownErrorsAreOurs(t *testing.T) {
	var log bytes.Buffer
	s := bare(&log)
	r := gin.New()
	r.Use(s.nameRequest)
	r.GET("/x", func(c *gin.Context) { s.refuse(c, errors.New("the cause")) })
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Code != "internal" || p.Request == "" || p.Request != w.Header().Get("X-Request-Id") || strings.Contains(w.Body.String(), "cause") {
		t.Errorf("got %s", w.Body)
	}
	if !strings.Contains(log.String(), "the cause") || !strings.Contains(log.String(), p.Request) {
		t.Errorf("got log %s", &log)
	}
}

// TestLatencyIsRounded: two requests of a like length look the same.
func TestLatencyIsRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "<=10ms", 11 * time.Millisecond: "<=100ms", time.Second: "<=1s", 3 * time.Second: "<=10s", time.Minute: ">10s",
	} {
		if got := bucket(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// FuzzProblems: whatever is sent, the problems are made of the contract's own
// words and of numbers, and the same each time.
func FuzzProblems(f *testing.F) {
	doc, err := readContract()
	if err != nil {
		f.Fatal(err)
	}
	words := map[string]bool{}
	for _, s := range doc.Components.Schemas {
		for name := range s.Value.Properties {
			words[name] = true
		}
	}
	for _, seed := range []string{
		`{"kind":"screening","claims":{"act":["x"],"interview":{"zz":1}}}`, `{"kind":7}`, `[]`, `null`, `{}`,
		`{"kind":"reply","claims":{"callbacks":[{"by":1},2]},"about":"0"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var v any
		if json.Unmarshal([]byte(body), &v) != nil {
			return
		}
		for _, name := range []string{"AttestationOrder", "AnswerOrder", "CardOrder", "DocumentRecord"} {
			check := func() []api.InputProblem {
				err := doc.Components.Schemas[name].Value.VisitJSON(v, openapi3.MultiErrors(), openapi3.VisitAsRequest())
				if err == nil {
					return nil
				}
				return inputProblems("", err)
			}
			first := check()
			if !slices.Equal(first, check()) {
				t.Fatalf("%s: two answers to one body", name)
			}
			for _, p := range first {
				for token := range strings.SplitSeq(strings.TrimPrefix(p.Pointer, "/"), "/") {
					if !words[token] && strings.Trim(token, "0123456789") != "" {
						t.Fatalf("%s: the pointer %q holds a word of the body", name, p.Pointer)
					}
				}
				if p.Code == "" || p.Rule == "" {
					t.Fatalf("%s: an empty problem %+v", name, p)
				}
			}
		}
	})
}

// TestSameSite is hostile cases 56 and 59: who may change something, by what a browser says of the page that
// sends, and with a session or without one.
func TestSameSite(t *testing.T) {
	s := &Server{origin: http.NewCrossOriginProtection()}
	const session, other = "x=1; __Host-safeconduct=token", "x=1"
	for _, c := range []struct {
		what, method, site, origin, cookie string
		ok                                 bool
	}{
		{"our page", "POST", "same-origin", "https://net.example", session, true},
		{"our page, no Origin", "POST", "same-origin", "", session, true},
		{"our page, an old browser", "POST", "", "https://net.example", session, true},
		{"the address line", "POST", "none", "", session, true},
		{"a host below ours", "POST", "same-site", "https://sub.net.example", session, false},
		{"another site", "POST", "cross-site", "https://evil.example", session, false},
		{"another site, no session", "POST", "cross-site", "https://evil.example", "", false},
		{"another site that names us", "POST", "cross-site", "https://net.example", session, false},
		{"another site, an old browser", "POST", "", "https://evil.example", session, false},
		{"another port", "POST", "", "https://net.example:8443", session, false},
		{"a page without an origin", "POST", "", "null", session, false},
		{"nowhere", "POST", "", "", session, false},
		{"nowhere, on a demonstration", "POST", "", "", "safeconduct=token", false},
		{"nowhere, with a cookie of no worth", "POST", "", "", "__Host-safeconduct=", false},
		{"nowhere, twice", "POST", "", "", "__Host-safeconduct=a; __Host-safeconduct=b", false},
		{"nowhere, and removes", "DELETE", "", "", session, false},
		{"nowhere, and replaces", "PUT", "", "", session, false},
		{"nowhere, and a method of its own", "MOVE", "", "", session, false},
		{"nowhere, and reads", "GET", "", "", session, true},
		{"another site, and reads", "GET", "cross-site", "https://evil.example", session, true}, // SameSite=Strict: the cookie stays at home
		{"a program", "POST", "", "", "", true},
		{"a program with a proxy's cookie", "POST", "", "", other, true},
	} {
		r := httptest.NewRequest(c.method, "https://net.example/api/v1/cases", nil)
		for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Origin": c.origin, "Cookie": c.cookie} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "Forwarded"} { // nobody reads these
			r.Header.Set(name, "evil.example")
		}
		if err := s.sameSite(r); (err == nil) != c.ok {
			t.Errorf("%s: %v, want %v", c.what, err, c.ok)
		}
	}
}
