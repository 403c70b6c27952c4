package httpapi_test

import (
	"strings"
	"testing"
)

// TestCardPage: whatever is asked together with it, the page is the same bytes,
// and it may do nothing but stand there.
func TestCardPage(t *testing.T) {
	w := newWorld(t)
	plain := w.call("", "GET", "/card", nil)
	policy := plain.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'sha256-c3R5bGU='", "frame-ancestors 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	for _, not := range []string{"script-src", "img-src", "connect-src", "unsafe"} {
		if strings.Contains(policy, not) {
			t.Errorf("the policy %q has %s", policy, not)
		}
	}
	if got := plain.header.Get("Set-Cookie"); got != "" {
		t.Errorf("a cookie: %q", got)
	}
	for _, language := range []string{"km", "ar", "en"} {
		if got := w.call("", "GET", "/card", nil, header("Accept-Language", language)); string(got.body) != string(plain.body) {
			t.Errorf("another page for %s", language)
		}
	}
	for _, path := range []string{"/card/", "/card/123456789012", "/card?number=123456789012"} {
		if got := w.call("", "GET", path, nil); got.status == 200 && string(got.body) != string(plain.body) {
			t.Errorf("%s is answered with %d and other bytes", path, got.status)
		}
	}
	if got := w.call("", "POST", "/card", `{"number":"123456789012"}`); got.status != 405 {
		t.Errorf("POST: got %d, want 405", got.status)
	}
}
