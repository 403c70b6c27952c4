package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
)

// marker is text that must never come back or be logged.
const marker = "MARKER-Tesfaye-9f3c"

// TestHostileRequests is hostile cases 47, 56, 58 and 61: what a stranger, a broken program or an attacker sends
// is refused with a stable code, and never repeated.
func TestHostileRequests(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	cards := "/api/v1/cases/" + made.ID + "/cards"
	big := `{"name":"` + strings.Repeat("a", 70<<10) + `"}`
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)

	for _, c := range []struct {
		name, method, path, body string
		edit                     func(*http.Request)
		status                   int
		code                     string
	}{
		{"unknown member", "POST", cards, `{"name":"A","` + marker + `":1}`, nil, 400, "unknown_field"},
		{"mass assignment", "POST", cards, `{"name":"A","status":2,"agency":"x"}`, nil, 400, "unknown_field"},
		{"member in another case", "POST", cards, `{"NAME":"` + marker + `"}`, nil, 400, "unknown_field"},
		{"duplicate member", "POST", cards, `{"name":"A","name":"` + marker + `"}`, nil, 400, "json_duplicate_key"},
		{"duplicate by case", "POST", cards, `{"name":"A","Name":"` + marker + `"}`, nil, 400, "json_duplicate_key"},
		{"trailing bytes", "POST", cards, `{"name":"A"}{}` + marker, nil, 400, "json_invalid"},
		{"not JSON", "POST", cards, marker, nil, 400, "json_invalid"},
		{"invalid UTF-8", "POST", cards, "{\"name\":\"\xff\"}", nil, 400, "json_invalid"},
		{"lone surrogate", "POST", cards, `{"name":"\ud800"}`, nil, 400, "json_invalid"},
		{"number beyond float64", "POST", cards, `{"name":"A","sex":1e400}`, nil, 400, "json_invalid"},
		{"nested too deeply", "POST", cards, deep, nil, 400, "json_invalid"},
		{"too large", "POST", cards, big, nil, 413, "too_large"},
		{"too large and chunked", "POST", cards, big, func(r *http.Request) { r.ContentLength = -1 }, 413, "too_large"},
		{"compressed", "POST", cards, `{"name":"A"}`, header("Content-Encoding", "gzip"), 415, "media_type_refused"},
		{"no media type", "POST", cards, `{"name":"A"}`, header("Content-Type", ""), 415, "media_type_refused"},
		{"other media type", "POST", cards, `<a/>`, header("Content-Type", "application/xml"), 415, "media_type_refused"},
		{"other charset", "POST", cards, `{"name":"A"}`, header("Content-Type", "application/json; charset=utf-16"), 415, "media_type_refused"},
		{"no body", "POST", cards, "", nil, 400, "body_missing"},
		{"body where none is asked for", "GET", "/api/v1/cases", `{"a":1}`, nil, 400, "body_unexpected"},
		{"not an object", "POST", cards, `["` + marker + `"]`, nil, 400, "invalid_request"},
		{"null", "POST", cards, `null`, nil, 400, "invalid_request"},
		{"wrong type", "POST", cards, `{"name":7}`, nil, 400, "invalid_request"},
		{"out of range", "POST", cards, `{"name":"A","sex":9}`, nil, 400, "invalid_request"},
		{"not in the list", "POST", "/api/v1/cards/" + randomID() + "/status", `{"action":"` + marker + `","reason":"other"}`, nil, 400, "invalid_request"},
		{"unknown kind", "POST", "/api/v1/cases/" + made.ID + "/attestations", `{"kind":"` + marker + `","claims":{}}`, nil, 400, "invalid_request"},
		{"claims of another kind", "POST", "/api/v1/cases/" + made.ID + "/attestations", `{"kind":"screening","claims":{"opinion":"concur"}}`, nil, 400, "unknown_field"},
		{"unknown parameter", "GET", "/api/v1/cases?" + marker + "=1", "", nil, 400, "invalid_request"},
		{"parameter twice", "GET", "/api/v1/cases?limit=1&limit=2", "", nil, 400, "invalid_request"},
		{"forged cursor", "GET", "/api/v1/cases?after=x'+OR+1=1--", "", nil, 400, "invalid_request"},
		{"limit out of range", "GET", "/api/v1/cases?limit=100000", "", nil, 400, "invalid_request"},
		{"no idempotency key", "POST", cards, `{"name":"A"}`, func(r *http.Request) { r.Header.Del("Idempotency-Key") }, 400, "idempotency_key_required"},
		{"short idempotency key", "POST", cards, `{"name":"A"}`, header("Idempotency-Key", "0123456789"), 400, "idempotency_key_required"},
		{"odd idempotency key", "POST", cards, `{"name":"A"}`, header("Idempotency-Key", strings.Repeat("'", 20)), 400, "idempotency_key_required"},
		{"other origin", "POST", cards, `{"name":"A"}`, header("Origin", "https://evil.example"), 403, "cross_origin"},
		{"cross site", "POST", cards, `{"name":"A"}`, header("Sec-Fetch-Site", "cross-site"), 403, "cross_origin"},
		{"a session from nowhere", "POST", cards, `{"name":"A"}`, header("Cookie", "__Host-safeconduct=x"), 403, "cross_origin"},
		{"a form's media type", "POST", cards, `{"name":"A"}`, header("Content-Type", "text/plain"), 403, "cross_origin"},
		{"doubled slash", "GET", "//api/v1/cases", "", nil, 404, "not_found"},
		{"dots", "GET", "/api/v1/agencies/../cases", "", nil, 404, "not_found"},
		{"escaped dots", "GET", "/api/v1/%2e%2e/v1/cases", "", nil, 404, "not_found"},
		{"escaped slash", "GET", "/api/v1%2fcases", "", nil, 404, "not_found"},
		{"trailing slash", "GET", "/api/v1/cases/", "", nil, 404, "not_found"},
		{"another case", "GET", "/api/v1/Cases", "", nil, 404, "not_found"},
		{"path parameter", "GET", "/api/v1/cases;a=b", "", nil, 404, "not_found"},
		{"other method", "PATCH", "/api/v1/cases", "", nil, 405, "method_not_allowed"},
		{"method override", "GET", "/api/v1/cases/" + made.ID, "", header("X-HTTP-Method-Override", "DELETE"), 200, ""},
		{"not an id", "GET", "/api/v1/cases/1%27%20OR%201=1", "", nil, 404, "not_found"},
		{"upper-case id", "GET", "/api/v1/cases/" + strings.ToUpper(made.ID), "", nil, 404, "not_found"},
		{"old ETag", "PUT", "/api/v1/documents/" + randomID(), `{"kind":"PASSPORT","issuing_state":"UTO"}`, header("If-Match", `"`+marker+`"`), 400, "invalid_request"},
		{"no ETag", "PUT", "/api/v1/documents/" + randomID(), `{"kind":"PASSPORT","issuing_state":"UTO"}`, nil, 400, "invalid_request"},
		{"not a picture", "POST", "/api/v1/documents/" + randomID() + "/pages?role=data", "GIF89a", header("Content-Type", "image/gif"), 415, "media_type_refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body any
			if c.body != "" {
				body = c.body
			}
			edit := []func(*http.Request){}
			if c.edit != nil {
				edit = append(edit, c.edit)
			}
			got := w.call(ngo, c.method, c.path, body, edit...)
			if got.status != c.status || got.code() != c.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, c.status, c.code)
			}
			if bytes.Contains(got.body, []byte(marker)) {
				t.Errorf("the answer repeats the input: %s", got.body)
			}
			if c.status >= 400 && got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got media type %q", got.header.Get("Content-Type"))
			}
		})
	}
	if strings.Contains(w.log.String(), marker) {
		t.Error("the log repeats the input")
	}
}

// TestProblemsPoint: all that is wrong is said at once, by pointer.
func TestProblemsPoint(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	got := w.call(ngo, "POST", "/api/v1/cases/"+randomID()+"/attestations", `{"kind":"screening","about":"x","claims":{
		"tool":"none","act":["recruitment","flying"],"interview":{"prior_interviews":-1,"mode":7,"interpreter":"no"},"indicators":[{"extra":1}]}}`)
	var p struct {
		Code     string
		Problems []struct{ Pointer, Code, Rule string }
	}
	if err := json.Unmarshal(got.body, &p); err != nil {
		t.Fatal(err)
	}
	var pointers []string
	for _, one := range p.Problems {
		pointers = append(pointers, one.Pointer+" "+one.Code)
	}
	for _, want := range []string{
		"/about length", "/claims/tool not_in_list", "/claims/act/1 not_in_list",
		"/claims/interview/prior_interviews range", "/claims/interview/mode not_in_list", "/claims/interview/interpreter type", "/claims/indicators/0 unknown_field",
	} {
		if !slices.Contains(pointers, want) {
			t.Errorf("got %q, want %q among them", pointers, want)
		}
	}
}

// TestHeaders: what every answer says to browsers.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for path, cache := range map[string]string{"/api/v1/cases": "no-store", "/healthz": "no-store", "/nowhere": "no-store", "/api/openapi.yaml": "public, max-age=3600"} {
		got := w.call("", "GET", path, nil)
		for name, want := range map[string]string{
			"Cache-Control": cache, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
		if !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no content security policy", path)
		}
	}
	if got := w.call("", "GET", "/api/v1/cases", nil); got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Error("a 401 does not say how to sign in")
	}
}

// TestTokens: nothing but a whole token lets anybody in.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	if got := w.call(ngo, "GET", "/api/v1/cases", nil); got.status != 200 {
		t.Fatalf("got %d", got.status)
	}
	for name, edit := range map[string]func(*http.Request){
		"none":       func(*http.Request) {},
		"cut":        header("Authorization", "Bearer "+ngo[:len(ngo)-1]),
		"longer":     header("Authorization", "Bearer "+ngo+"A"),
		"basic":      header("Authorization", "Basic "+ngo),
		"bare":       header("Authorization", ngo),
		"empty":      header("Authorization", "Bearer "),
		"space":      header("Authorization", "Bearer "+ngo+" x"),
		"very long":  header("Authorization", "Bearer "+strings.Repeat("a", 4000)),
		"twice":      func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + ngo, "Bearer " + ngo} },
		"in a query": func(r *http.Request) { r.URL.RawQuery = "access_token=" + ngo },
		"cookie":     header("Cookie", "token="+ngo),
	} {
		t.Run(name, func(t *testing.T) {
			got := w.call("", "GET", "/api/v1/cases", nil, edit)
			if got.status != 401 || got.code() != "unauthenticated" {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	if strings.Contains(w.log.String(), ngo) {
		t.Error("the log holds a token")
	}
}

// TestAccessLog is hostile case 60: a line has what it may have and nothing else.
func TestAccessLog(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	id := randomID()
	w.call(ngo, "DELETE", "/api/v1/devices/"+id+"?x="+marker, nil, func(r *http.Request) {
		r.Header.Set("User-Agent", marker+"[31m${jndi:ldap://x}")
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		r.Header.Set("X-Request-Id", marker)
	})
	w.call("", "GET", "/"+marker+"%0d%0aINFO", nil)
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines: %s", len(lines), w.log.String())
	}
	allowed := []string{"time", "level", "msg", "request", "method", "route", "status", "took", "code", "role", "build"}
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if !slices.Contains(allowed, name) {
				t.Errorf("the log has %q", name)
			}
		}
	}
	for _, secret := range []string{marker, id, "203.0.113.7", "127.0.0.1", "jndi", ngo} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(lines[0], `"route":"/api/v1/devices/:device"`) || !strings.Contains(lines[0], `"role":"caseworker"`) {
		t.Errorf("the log does not say the route: %s", lines[0])
	}
}

// TestNotFoundIsOneAnswer is hostile case 45: another agency's record, a record that never was and
// one of another kind are told in the same bytes.
func TestNotFoundIsOneAnswer(t *testing.T) {
	w := newWorld(t)
	mine := w.admit("Lotus", "NGO", "KHM", "supervisor")
	other := w.admit("Bridge", "NGO", "THA", "supervisor")
	var made struct{ ID string }
	w.into(w.call(other, "POST", "/api/v1/cases", nil), 201, &made)
	for _, path := range []string{"", "/history", "/attestations"} {
		theirs := w.call(mine, "GET", "/api/v1/cases/"+made.ID+path, nil)
		random := w.call(mine, "GET", "/api/v1/cases/"+randomID()+path, nil)
		if theirs.status != 404 || random.status != 404 || !bytes.Equal(theirs.body, random.body) {
			t.Errorf("%q: got %d %s and %d %s", path, theirs.status, theirs.body, random.status, random.body)
		}
	}
	if got := w.call(mine, "DELETE", "/api/v1/cases/"+made.ID, nil); got.status != 404 {
		t.Errorf("got %d", got.status)
	}
	w.into(w.call(other, "GET", "/api/v1/cases/"+made.ID, nil), 200, nil)
}

// TestIdempotency: one key, one effect.
func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	again := w.admit("Lotus", "NGO", "KHM", "caseworker")
	key := header("Idempotency-Key", newKey())
	first := w.call(ngo, "POST", "/api/v1/cases", nil, key)
	second := w.call(ngo, "POST", "/api/v1/cases", nil, key)
	if first.status != 201 || second.status != 201 || !bytes.Equal(first.body, second.body) {
		t.Errorf("got %d %s then %d %s", first.status, first.body, second.status, second.body)
	}
	if got := w.call(ngo, "POST", "/api/v1/cases", `{"findable":true}`, key); got.status != 422 || got.code() != "idempotency_mismatch" {
		t.Errorf("other body: got %d %s", got.status, got.body)
	}
	if got := w.call(again, "POST", "/api/v1/cases", nil, key); got.status != 201 || bytes.Equal(got.body, first.body) {
		t.Errorf("another actor's same key: got %d %s", got.status, got.body)
	}
	var list struct{ Cases []any }
	w.into(w.call(ngo, "GET", "/api/v1/cases", nil), 200, &list)
	if len(list.Cases) != 2 {
		t.Errorf("got %d cases, want 2", len(list.Cases))
	}

	// A refused request frees its key.
	key = header("Idempotency-Key", newKey())
	var made struct{ ID string }
	if err := json.Unmarshal(first.body, &made); err != nil {
		t.Fatal(err)
	}
	cards := "/api/v1/cases/" + made.ID + "/cards"
	if got := w.call(ngo, "POST", cards, `{"name":"អាមីណា"}`, key); got.status != 422 || got.code() != "input_refused" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := w.call(ngo, "POST", cards, `{"name":"SITI"}`, key); got.status != 201 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	// What was shown once is not shown again.
	if got := w.call(ngo, "POST", cards, `{"name":"SITI"}`, key); got.status != 409 || got.code() != "already_done" {
		t.Errorf("got %d %s", got.status, got.body)
	}

	// Twenty at once make one.
	key = header("Idempotency-Key", newKey())
	var wg sync.WaitGroup
	var mu sync.Mutex
	bodies, busy := map[string]int{}, 0
	for range 20 {
		wg.Go(func() {
			got := w.call(ngo, "POST", "/api/v1/cases", nil, key)
			mu.Lock()
			defer mu.Unlock()
			switch got.status {
			case 201:
				bodies[string(got.body)]++
			case 409:
				busy++
			default:
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if len(bodies) != 1 {
		t.Errorf("got %d different answers, %d busy", len(bodies), busy)
	}
}

// TestSlowAndLargeRequests is hostile case 62: the listener's own limits.
func TestSlowAndLargeRequests(t *testing.T) {
	w := newWorld(t)
	srv := w.server.Listener("")
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 0 || srv.IdleTimeout <= 0 {
		t.Error("a timeout is missing")
	}
	srv.ReadHeaderTimeout = 3 * time.Second // the others have to arrive in time
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	ask := func(lines string) string {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = c.Write([]byte(lines))
		buf := make([]byte, 64)
		n, _ := c.Read(buf)
		return string(buf[:n])
	}
	if got := ask("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n"); !strings.Contains(got, "431") {
		t.Errorf("large header: got %q", got)
	}
	if got := ask("GET /healthz HTTP/1.1\r\nHost: x\r\n"); got != "" && !strings.Contains(got, "408") {
		t.Errorf("slow header: got %q", got)
	}
	if got := ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(got, "200") {
		t.Errorf("got %q", got)
	}
}

// rights is who may pass the door of each operation: every role in one column,
// every route in one row. y is let through to the handler (which then knows no
// such record), - is 403.
var rights = `
                                                  operator caseworker supervisor officer mission device pending
GET    /api/v1/agencies                              y        y          y         y       y      y      -
POST   /api/v1/agencies                              y        -          -         -       -      -      -
POST   /api/v1/agencies/{id}/compromise              y        -          -         -       -      -      -
POST   /api/v1/agencies/{id}/description             y        -          -         -       -      -      -
POST   /api/v1/agencies/{id}/partner                 y        -          y         -       -      -      -
POST   /api/v1/agencies/{id}/quota                   y        -          y         -       -      -      -
POST   /api/v1/agencies/{id}/status                  y        -          -         -       -      -      -
GET    /api/v1/alarms                                y        -          -         -       -      -      -
POST   /api/v1/attestations                          -        y          y         y       y      -      -
GET    /api/v1/attestations/{id}                     -        y          y         y       y      -      -
POST   /api/v1/attestations/{id}/status              -        -          y         -       y      -      -
POST   /api/v1/attestations/{id}/contest             -        y          y         -       -      -      -
DELETE /api/v1/attestations/{id}/contest             -        y          y         -       -      -      -
POST   /api/v1/cards/{id}/status                     -        y          y         -       -      -      -
GET    /api/v1/cases                                 -        y          y         -       -      -      -
POST   /api/v1/cases                                 -        y          y         -       -      -      -
GET    /api/v1/cases/{id}                            -        y          y         -       -      -      -
POST   /api/v1/cases/attendances                     -        y          y         -       -      -      -
DELETE /api/v1/cases/{id}                            -        -          y         -       -      -      -
GET    /api/v1/cases/{id}/attestations               -        y          y         y       y      -      -
POST   /api/v1/cases/{id}/attestations               -        y          y         y       y      -      -
POST   /api/v1/cases/{id}/cards                      -        y          y         -       -      -      -
GET    /api/v1/cases/{id}/consents                   -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/consents                   -        y          y         -       -      -      -
DELETE /api/v1/cases/{id}/consents/{id}              -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/consents/challenges        -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/consents/none              -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/copies                     -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/documents                  -        y          y         -       -      -      -
PUT    /api/v1/cases/{id}/findable                   -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/grants                     -        y          y         -       -      -      -
DELETE /api/v1/cases/{id}/grants/{id}                -        y          y         -       -      -      -
GET    /api/v1/cases/{id}/history                    -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/joins                      -        y          y         -       -      -      -
POST   /api/v1/cases/{id}/people                     -        y          y         -       -      -      -
DELETE /api/v1/cases/{id}/people/{id}                -        y          y         -       -      -      -
POST   /api/v1/ceremonies                            y        -          y         -       -      -      -
GET    /api/v1/changes                               y        y          y         y       y      -      -
POST   /api/v1/changes/{n}/stop                      y        y          y         y       y      -      -
GET    /api/v1/devices                               y        -          y         -       -      -      -
DELETE /api/v1/devices/{id}                          y        -          y         -       -      -      -
POST   /api/v1/devices/{id}/approval                 y        -          y         -       -      -      -
DELETE /api/v1/devices/self                          -        -          -         -       -      -      y
GET    /api/v1/devices/self                          -        -          -         -       -      y      y
GET    /api/v1/devices/self/envelope                 -        -          -         -       -      y      -
GET    /api/v1/documents/{id}                        -        y          y         y       y      -      -
PUT    /api/v1/documents/{id}                        -        y          y         -       -      -      -
POST   /api/v1/documents/{id}/grants                 -        y          y         -       -      -      -
DELETE /api/v1/documents/{id}/grants/{id}            -        y          y         -       -      -      -
POST   /api/v1/documents/{id}/pages                  -        y          y         -       -      -      -
GET    /api/v1/documents/{id}/pages/{n}              -        y          y         y       y      -      -
GET    /api/v1/founding                              y        y          y         y       y      -      -
POST   /api/v1/invitations                           y        -          y         -       -      -      -
POST   /api/v1/look-ups                              -        -          -         y       y      -      -
POST   /api/v1/members                               y        -          y         -       -      -      -
POST   /api/v1/openings                              -        y          y         y       y      -      -
POST   /api/v1/openings/by-code                      -        y          y         y       y      -      -
POST   /api/v1/openings/challenges                   -        y          y         y       y      -      -
GET    /api/v1/people                                y        -          y         -       -      -      -
POST   /api/v1/people                                y        -          y         -       -      -      -
DELETE /api/v1/people/{id}                           y        -          y         -       -      -      -
POST   /api/v1/people/{id}/recovery                  y        -          y         -       -      -      -
POST   /api/v1/people/{id}/roles                     y        -          y         -       -      -      -
POST   /api/v1/people/{id}/sign-out                  y        y          y         y       y      -      -
GET    /api/v1/programs                              y        -          y         -       -      -      -
POST   /api/v1/programs                              y        -          y         -       -      -      -
DELETE /api/v1/programs/{id}                         y        -          y         -       -      -      -
POST   /api/v1/publications                          y        -          -         -       -      -      -
GET    /api/v1/requests                              y        y          y         y       y      -      -
GET    /api/v1/requests/{id}                         y        y          y         y       y      -      -
DELETE /api/v1/requests/{id}                         y        y          y         y       y      -      -
GET    /api/v1/shared                                -        y          y         y       y      -      -
GET    /api/v1/signing-keys                          y        -          y         -       -      -      -
POST   /api/v1/verifications                         -        y          y         y       y      y      -
`

// forStrangers are the routes that need no token.
var forStrangers = map[string]bool{
	"POST /api/v1/enrolments": true, "POST /api/v1/papers": true,
	"POST /api/v1/sessions/options": true, "POST /api/v1/sessions": true,
	"POST /api/v1/joins/options": true, "POST /api/v1/joins/passkey": true, "POST /api/v1/joins": true,
	"POST /api/v1/unlock/options": true, "POST /api/v1/unlock": true,
}

// forPeople are the routes that no token opens, whosever it is: TestPeopleOverHTTP
// goes through them.
var forPeople = []string{
	"POST /api/v1/openings/without-holder", "POST /api/v1/openings/left", "POST /api/v1/openings/again",
	"GET /api/v1/sessions", "GET /api/v1/sessions/self", "DELETE /api/v1/sessions/self",
	"POST /api/v1/keys/options", "POST /api/v1/keys", "DELETE /api/v1/keys/{id}",
	"POST /api/v1/requests/{id}/approvals", "DELETE /api/v1/founding", "POST /api/v1/lock",
}

// TestRights tries every route with every role. Requests are empty, so that
// whoever passes the door is refused for the body (400) or the record (404) at
// the latest, or answered.
func TestRights(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Rate = 100_000 })
	tokens := map[string]string{
		"operator":   w.operator,
		"caseworker": w.admit("Lotus", "NGO", "KHM", "caseworker"),
		"supervisor": w.admit("Lotus", "NGO", "KHM", "supervisor"),
		"officer":    w.admit("Gate", "ImmigrationService", "THA", "officer"),
		"mission":    w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission"),
		"device":     w.device("Gate"),
		"pending":    w.pending("Gate").Token,
	}
	lines := strings.Split(strings.TrimSpace(rights), "\n")
	roles := strings.Fields(lines[0])
	covered := map[string]bool{}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		method, path, cells := fields[0], fields[1], fields[2:]
		covered[method+" "+path] = true
		path = strings.NewReplacer("{id}", randomID(), "{n}", "1").Replace(path)
		for i, role := range roles {
			got := w.call(tokens[role], method, path, nil)
			if through := got.status != 403; through != (cells[i] == "y") || got.status >= 500 && got.status != 503 {
				t.Errorf("%s %s as %s: got %d %s, want %s", method, path, role, got.status, got.body, cells[i])
			}
			if method == "DELETE" && got.status == 204 { // a device that waits has ended itself
				tokens[role] = w.pending("Gate").Token
			}
		}
		if got := w.call("", method, path, nil); got.status != 401 {
			t.Errorf("%s %s as nobody: got %d", method, path, got.status)
		}
	}
	for _, route := range forPeople {
		covered[route] = true
		method, path, _ := strings.Cut(strings.NewReplacer("{id}", randomID(), "{n}", "1").Replace(route), " ")
		for role, token := range tokens {
			if got := w.call(token, method, path, nil); got.status != 401 {
				t.Errorf("%s by a token of %s: got %d, want 401", route, role, got.status)
			}
		}
	}
	for _, route := range w.server.Routes() {
		if strings.Contains(route, " /api/v1/") && !covered[route] && !forStrangers[route] {
			t.Errorf("%s has no row in the table of rights", route)
		}
	}
}

// TestPublicFiles: cacheable, the same for everybody, and nothing else in the
// log's folder is served.
func TestPublicFiles(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", `{"name":"SITI"}`), 201, nil)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	for path, mediaType := range map[string]string{
		"/trust-list": "application/jwt", "/trust-key": "application/jwt", "/pack": "application/json", "/log/checkpoint": "text/plain; charset=utf-8",
		"/status-lists/0": "application/statuslist+jwt", "/answers-lists/0": "application/statuslist+jwt",
		"/.well-known/security.txt": "text/plain; charset=utf-8", "/api/openapi.yaml": "application/yaml",
		"/card": "text/html; charset=utf-8",
	} {
		got := w.call("", "GET", path, nil)
		if got.status != 200 || got.header.Get("Content-Type") != mediaType || len(got.body) == 0 {
			t.Errorf("%s: got %d %q, %d bytes", path, got.status, got.header.Get("Content-Type"), len(got.body))
			continue
		}
		if !strings.HasPrefix(got.header.Get("Cache-Control"), "public") {
			t.Errorf("%s cannot be cached", path)
		}
		if again := w.call("", "GET", path, nil, header("If-None-Match", got.header.Get("ETag"))); again.status != 304 || len(again.body) > 0 {
			t.Errorf("%s: got %d, want 304", path, again.status)
		}
	}
	for _, path := range []string{
		"/status-lists/9", "/status-lists/65536", "/status-lists/00", "/status-lists/-1", "/status-lists/0x1",
		"/log/tile/", "/log/tile/../checkpoint", "/log/tile/9/999", "/log/tile/%2e%2e/checkpoint", "/log/other", "/log/checkpoint/x",
	} {
		if got := w.call("", "GET", path, nil); got.status != 404 {
			t.Errorf("%s: got %d", path, got.status)
		}
	}
	if got := w.call("", "GET", "/log/tile/0/000", nil); got.status != 200 {
		t.Errorf("the first tile: got %d", got.status)
	}
}
