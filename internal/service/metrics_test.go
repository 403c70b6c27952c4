package service

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/docs/api"
)

// openTestHouse makes a network in a folder and opens it, with metrics. The
// token is its operator's.
func openTestHouse(t *testing.T) (h *Service, token string) {
	t.Helper()
	cfg := Config{
		Dir: t.TempDir(), WorkFactor: DemoWork, Passphrase: "a passphrase for a test", Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(),
	}
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	if err != nil {
		t.Fatal(err)
	}
	token = access.Token
	if h, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg.Metrics.Watch(h)
	return h, token
}

// scrape asks for the metrics as Prometheus does.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Host = "127.0.0.1:9090"
	m.handler(false).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// contractRoutes are method and path template of every operation, and as what it is counted:
// those about cases are one.
func contractRoutes(t *testing.T) (all [][3]string) {
	t.Helper()
	var path string
	for line := range strings.SplitSeq(string(api.Contract), "\n") {
		if m := regexp.MustCompile(`^  (/\S+):$`).FindStringSubmatch(line); m != nil {
			path = m[1]
		}
		if m := regexp.MustCompile(`^    (get|post|put|patch|delete):$`).FindStringSubmatch(line); m != nil {
			all = append(all, [3]string{strings.ToUpper(m[1]), path, ginForm(path)})
		}
		if line == "      x-case: true" {
			all[len(all)-1][2] = "cases"
		}
	}
	if len(all) < 30 {
		t.Fatalf("found %d operations: the pattern is broken", len(all))
	}
	return all
}

var (
	sampleForm = regexp.MustCompile(`^([a-z_:0-9]+)(?:\{(.*)\})? (\S+)$`)
	labelForm  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// labels collects the values that each label of our own metrics has.
func labels(t *testing.T, text string) (values map[string][]string, series int) {
	t.Helper()
	values = map[string][]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := sampleForm.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("not a sample: %s", line)
		}
		if !strings.HasPrefix(m[1], "safeconduct_") {
			continue
		}
		series++
		for _, l := range labelForm.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(values[l[1]], l[2]) {
				values[l[1]] = append(values[l[1]], l[2])
			}
		}
	}
	return values, series
}

// TestMetricsAreBounded drives every route, as every kind of asker and with all
// that a stranger can choose, and finds none of it in a scrape: each label has
// values from a list that was closed before.
func TestMetricsAreBounded(t *testing.T) {
	h, token := openTestHouse(t)
	const canary = "CANARY-Quillfeather-7719934"
	ask := func(method, path, token, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.RequestURI = method, path, path
		for name, value := range map[string]string{
			"Content-Type": "application/json", "Idempotency-Key": randomHex(16), "User-Agent": canary,
			"X-Forwarded-For": canary, "X-Request-Id": canary, "Referer": canary,
		} {
			r.Header.Set(name, value)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		h.API.ServeHTTP(httptest.NewRecorder(), r)
	}
	param := regexp.MustCompile(`\{[a-z]+\}`)
	routes := contractRoutes(t)
	drive := func(seed string) {
		for _, route := range routes {
			for _, id := range []string{randomHex(16), canary, canary + seed, "7"} {
				path := param.ReplaceAllString(route[1], id)
				for _, asker := range []string{"", token, canary} {
					ask(route[0], path, asker, `{"name":"`+canary+seed+`"}`)
				}
			}
		}
		for _, method := range []string{"BREW", canary, canary + seed, "HEAD", "OPTIONS", "TRACE", "get", "", "A\nB"} {
			for _, path := range []string{"/", "/pack", "/api/v1/cases", "/" + canary + seed, "//pack", "/pack/", "/api/v1/cases/" + seed, "*", "/" + strings.Repeat("a", 4000)} {
				for _, asker := range []string{"", token} {
					ask(method, path, asker, "")
				}
			}
		}
	}
	drive(randomHex(8))
	h.tellHour(t.Context()) // those about checks are counted then
	first := scrape(t, h.cfg.Metrics)
	if strings.Contains(strings.ToLower(first), "quillfeather") {
		t.Error("a scrape holds what a client sent")
	}
	values, series := labels(t, first)

	known := map[string][]string{
		"method":    {"-", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"},
		"status":    {"2xx", "3xx", "4xx", "5xx"},
		"role":      {"-", "operator", "auditor", "admin", "several", "caseworker", "supervisor", "officer", "mission", "device"},
		"operation": append([]string{"put", "get", "since", "delete", "list", "collect"}, keystoreOperations...),
		"outcome":   {"ok", "unavailable", "bad_response", "denied", "full", "damaged", "failed"},
		"database":  {"data", "keyring"},
		"use":       {"read", "write"},
		"le":        {"0.01", "0.1", "1", "10", "0.001", "0.005", "0.02", "0.5", "2", "+Inf"},
		"route":     {"-"},
	}
	for _, chore := range h.chores(time.Hour) {
		known["chore"] = append(known["chore"], chore.name)
	}
	for _, route := range routes {
		known["route"] = append(known["route"], route[2])
	}
	for name, got := range values {
		allowed, ok := known[name]
		if !ok {
			t.Errorf("a label %q that nobody has thought about", name)
		}
		for _, v := range got {
			if !slices.Contains(allowed, v) {
				t.Errorf("label %s has the value %q, which is not in its list", name, v)
			}
		}
	}
	for _, route := range routes {
		if !slices.Contains(values["route"], route[2]) {
			t.Errorf("%s %s was driven and is not counted", route[0], route[1])
		}
	}
	// Another round with other values makes no new one. It may make another series
	// of known ones: a request that was answered may be one too many the next time.
	drive(randomHex(8))
	h.tellHour(t.Context())
	again, _ := labels(t, scrape(t, h.cfg.Metrics))
	for name, all := range again {
		for _, v := range all {
			if !slices.Contains(values[name], v) {
				t.Errorf("label %s has got the value %q", name, v)
			}
		}
	}
	t.Logf("%d routes, %d series", len(routes), series)
}

// ginForm is a route as it is counted.
func ginForm(path string) string {
	switch path {
	case "/log/tile/{tile}":
		return "/log/tile/*tile"
	case "/check/{file}", "/admin/{file}", "/unlock/{file}":
		return strings.TrimSuffix(path, "{file}") + "*file"
	}
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// TestMetricsCount: the numbers are those of what happened.
func TestMetricsCount(t *testing.T) {
	h, token := openTestHouse(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/agencies", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	h.API.ServeHTTP(httptest.NewRecorder(), r)
	if _, err := h.Board.Publish(t.Context(), audit.Actor{ID: "service"}, false); err != nil {
		t.Fatal(err)
	}
	h.cfg.Metrics.chore("publish", nil)
	h.cfg.Metrics.chore("publish", io.ErrUnexpectedEOF)
	h.cfg.Metrics.countedObjects(brokenObjects{h.Objects}).(countedObjects).count("put", io.ErrUnexpectedEOF)
	text := scrape(t, h.cfg.Metrics)
	for _, want := range []string{
		`safeconduct_request_seconds_count{method="GET",role="operator",route="/api/v1/agencies",status="2xx"} 1`,
		`safeconduct_requests_in_flight 0`,
		`safeconduct_chores_total{chore="publish",outcome="ok"} 1`,
		`safeconduct_chores_total{chore="publish",outcome="failed"} 1`,
		`safeconduct_object_errors_total{operation="put",outcome="failed"} 1`,
		`safeconduct_ready 1`,
		`safeconduct_drafts_settled_total 0`, `safeconduct_log_behind 0`,
		`safeconduct_database_connections{database="data",use="write"} 1`,
		`go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("a scrape lacks %s", want)
		}
	}
	for _, positive := range []string{
		`safeconduct_keystore_seconds_count{operation="sign"} `, `safeconduct_log_leaves `,
		`safeconduct_keystore_seconds_count{operation="sign_log"} `,
	} {
		if !regexp.MustCompile(regexp.QuoteMeta(positive) + `[1-9]`).MatchString(text) {
			t.Errorf("%swants a positive number", positive)
		}
	}
}

type brokenObjects struct{ Objects }

// TestMetricsListener: loopback only unless told, and nothing but /metrics.
func TestMetricsListener(t *testing.T) {
	if l, err := metricsListener(t.Context(), "0.0.0.0:0", false); err == nil {
		_ = l.Close()
		t.Error("an address of all the world was taken")
	}
	for _, open := range []bool{false, true} {
		l, err := metricsListener(t.Context(), map[bool]string{false: "127.0.0.1:0", true: "0.0.0.0:0"}[open], open)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	m := NewMetrics()
	for _, c := range []struct {
		method, path, host string
		status             int
	}{
		{"GET", "/metrics", "127.0.0.1:9090", 200},
		{"GET", "/metrics", "localhost", 200},
		{"GET", "/metrics", "rebound.example", 403},
		{"POST", "/metrics", "127.0.0.1", 405},
		{"GET", "/", "127.0.0.1", 404},
		{"GET", "/debug/pprof/", "127.0.0.1", 404},
		{"GET", "/debug/vars", "127.0.0.1", 404},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
		r.Host = c.host
		m.handler(false).ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s %s at %s: got %d, want %d", c.method, c.path, c.host, w.Code, c.status)
		}
	}
}

// TestAlarms: every alarm is about something that a scrape tells, and
// docs/operate.md says what to do about it.
func TestAlarms(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join("..", "..", "docs", "alarms", "prometheus-rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	operate, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	h, _ := openTestHouse(t)
	h.API.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
	h.cfg.Metrics.chore("publish", nil)
	text := scrape(t, h.cfg.Metrics)
	alarms := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1)
	if len(alarms) < 8 {
		t.Fatalf("%d alarms: the pattern is broken", len(alarms))
	}
	for _, a := range alarms {
		if !strings.Contains(string(operate), "\n### "+a[1]+"\n") {
			t.Errorf("docs/operate.md has no section about %s", a[1])
		}
		if !strings.Contains(string(rules), "docs/operate.md#"+strings.ToLower(a[1])+"\n") {
			t.Errorf("%s does not say where to read on", a[1])
		}
	}
	asked := 0
	for _, expr := range regexp.MustCompile(`(?m)^ +expr: (.+)$`).FindAllStringSubmatch(string(rules), -1) {
		names := regexp.MustCompile(`\b(?:safeconduct|process|go)_[a-z_]+`).FindAllString(expr[1], -1)
		if len(names) == 0 && !strings.Contains(expr[1], "up{") {
			t.Errorf("asks for nothing of ours: %s", expr[1])
		}
		for _, name := range names {
			asked++
			if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(text) {
				t.Errorf("a scrape has no %s", name)
			}
		}
		// A selector that no series can have would never fire.
		for _, l := range labelForm.FindAllStringSubmatch(expr[1], -1) {
			if !strings.ContainsAny(l[2], ".*|") && l[1] != "job" && !strings.Contains(text, l[0]) && l[2] != "5xx" {
				t.Errorf("no series has %s", l[0])
			}
		}
	}
	if asked == 0 {
		t.Error("no alarm asks for a metric: the pattern is broken")
	}
	for _, section := range regexp.MustCompile(`(?m)^### (Safeconduct\w+)$`).FindAllStringSubmatch(string(operate), -1) {
		if !strings.Contains(string(rules), "- alert: "+section[1]+"\n") {
			t.Errorf("docs/operate.md tells about %s, which is no alarm", section[1])
		}
	}
}
