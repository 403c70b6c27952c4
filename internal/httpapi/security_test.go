package httpapi_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/httpapi"
)

// TestSecurityText: a contact and one date, less than a year away and not past
// (RFC 9116 §2.5.3, §2.5.5), for as long as the service runs.
func TestSecurityText(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(c *httpapi.Config) {
		c.SecurityContact = "mailto:security@example.org"
		c.Now = func() time.Time { return now }
	})
	for _, after := range []time.Duration{0, 400 * 24 * time.Hour} {
		now = time.Now().Add(after)
		got := w.call("", "GET", "/.well-known/security.txt", nil)
		if got.status != 200 || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Fatalf("got %d %q", got.status, got.header.Get("Content-Type"))
		}
		fields := map[string][]string{}
		for line := range strings.Lines(string(got.body)) {
			name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if !ok {
				t.Errorf("a line is %q", line)
			}
			fields[name] = append(fields[name], value)
		}
		if len(fields["Contact"]) != 1 || fields["Contact"][0] != "mailto:security@example.org" || len(fields["Expires"]) != 1 {
			t.Fatalf("got %s", got.body)
		}
		until, err := time.Parse(time.RFC3339, fields["Expires"][0])
		if left := until.Sub(now); err != nil || left < 90*24*time.Hour || left > 365*24*time.Hour {
			t.Errorf("expires %s, %v", fields["Expires"][0], err)
		}
	}
}

// TestSecurityContact: what security.txt cannot say is refused at the start, and
// without a contact there is no file.
func TestSecurityContact(t *testing.T) {
	for _, contact := range []string{"security@example.org", "http://example.org", "mailto:", "https://", "tel:+1\nExpires: x", "mailto:a b@example.org", "javascript:x", "%"} {
		if err := httpapi.CheckSecurityContact(contact); !errors.Is(err, httpapi.ErrContact) {
			t.Errorf("%q: got %v", contact, err)
		}
	}
	for _, contact := range []string{"", "mailto:security@example.org", "https://example.org/report", "tel:+855-00-000-000"} {
		if err := httpapi.CheckSecurityContact(contact); err != nil {
			t.Errorf("%q: got %v", contact, err)
		}
	}
	w := newWorld(t, func(c *httpapi.Config) { c.SecurityContact = "" })
	if got := w.call("", "GET", "/.well-known/security.txt", nil); got.status != 404 {
		t.Errorf("got %d", got.status)
	}
	w.cfg.SecurityContact = "security@example.org"
	if _, err := httpapi.New(w.cfg); !errors.Is(err, httpapi.ErrContact) {
		t.Errorf("a server with such a contact: %v", err)
	}
}
