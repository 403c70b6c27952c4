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
