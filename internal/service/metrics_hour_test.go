package service

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestScrapesTellNoCheck is hostile case 89: whoever scrapes before and after a check finds
// the same numbers, also of what the process and its databases and keys had to do for it.
// They move when the hour is over, and without a role.
func TestScrapesTellNoCheck(t *testing.T) {
	h, token := openTestHouse(t)
	// How old something is moves by itself, and so does what publishing does.
	ages := regexp.MustCompile(`(?m)^safeconduct_(pack|lists)_age_seconds .*$`)
	read := func() string { return ages.ReplaceAllString(scrape(t, h.cfg.Metrics), "") }
	ask := func(method, path, body string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", randomHex(16))
		if strings.HasPrefix(path, "/api/v1/verifications") {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		h.API.ServeHTTP(httptest.NewRecorder(), r)
	}
	before := read()
	for range 3 {
		ask(http.MethodPost, "/api/v1/papers", `{"number":"1234-5678-9012","code":"0123456789"}`)
		ask(http.MethodPost, "/api/v1/verifications", `{"digits":"`+strings.Repeat("7", 667)+`","code":"0123456789"}`)
		ask(http.MethodGet, "/pack", "")
		ask(http.MethodGet, "/check", "")
		if after := read(); after != before {
			t.Fatalf("a scrape tells of a check:\n%s", differ(before, after))
		}
	}
	h.tellHour(t.Context())
	after := read()
	for _, want := range []string{
		`safeconduct_request_seconds_count{method="POST",role="-",route="/api/v1/papers",status="2xx"} 3`,
		`safeconduct_request_seconds_count{method="GET",role="-",route="/pack",status="2xx"} 3`,
	} {
		if !strings.Contains(after, want+"\n") {
			t.Errorf("when the hour is over there is no %s", want)
		}
	}
	if regexp.MustCompile(`role="[a-z]+",route="/api/v1/(verifications|papers)"`).MatchString(after) {
		t.Error("a role stands beside checks")
	}
	if mac := regexp.MustCompile(`safeconduct_keystore_seconds_count\{operation="mac"\} \d+`); mac.FindString(after) == mac.FindString(before) {
		t.Error("what checks asked of the keystore is not counted when the hour is over")
	}
	if goroutines := regexp.MustCompile(`(?m)^go_memstats_alloc_bytes_total .*$`); goroutines.FindString(after) == goroutines.FindString(before) || goroutines.FindString(after) == "" {
		t.Error("what the process uses is not read anew when the hour is over")
	}
}

// differ lists the lines of two scrapes that differ.
func differ(before, after string) string {
	var all []string
	for line := range strings.Lines(after) {
		if !strings.Contains(before, line) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "")
}

// TestTurnOfTheHour: what is told of an hour covers one at least.
func TestTurnOfTheHour(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ now, turn time.Duration }{
		{0, time.Hour}, {time.Millisecond, time.Hour}, {time.Second, time.Hour}, {3 * time.Second, 2 * time.Hour},
		{30 * time.Minute, 2 * time.Hour}, {time.Hour - time.Second, 2 * time.Hour}, {time.Hour, 2 * time.Hour},
	} {
		if got := untilTurn(noon.Add(c.now)); got != c.turn-c.now {
			t.Errorf("%v behind the hour: %v, want %v", c.now, got, c.turn-c.now)
		}
	}
}
