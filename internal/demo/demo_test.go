package demo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/vault/mrz"
)

// people is everybody in the story.
var people = []person{felix, siti, sokha, aung, amara, wei, tigist, rahman}

// TestPeople: what is said of everybody can be said in the forms that a real
// agency's program would use.
func TestPeople(t *testing.T) {
	for _, p := range people {
		for _, c := range []claims.Claims{screening(p, time.Now()), identity(p)} {
			if _, err := claims.Encode(c); err != nil {
				t.Errorf("%s: %v", p.nationality, err)
			}
		}
		if (p.native == "") != (p.tag == "") || (p.native == "") != (p.script == "Latn") {
			t.Errorf("%s: a name in an own script has its language, and no other", p.nationality)
		}
	}
	for birth, want := range map[string]string{"19950314": "1995-03-14", "200206": "2002-06", "1999": "1999"} {
		if got := birthDate(person{birth: birth}); got != want {
			t.Errorf("%s: got %s, want %s", birth, got, want)
		}
	}
}

// TestScan: the scanned page is a picture of the machine-readable zone, and
// the zone's check digits hold.
func TestScan(t *testing.T) {
	for _, p := range []person{felix, amara} {
		lines, err := zone(p, "X0000009")
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := mrz.Parse(lines); err != nil || parsed.Checks.Failed() {
			t.Errorf("%s: the zone does not hold: %v", p.nationality, err)
		}
		page, err := scannedPage(lines)
		if err != nil {
			t.Fatal(err)
		}
		if err := readableScan(page); err != nil {
			t.Error(err)
		}
		other, err := scannedPage(lines[:1])
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(page, other) {
			t.Error("the page does not show the zone's second line")
		}
	}
	if readableScan([]byte("no picture")) == nil {
		t.Error("anything is taken for a scan")
	}
}

// TestPlayStops: a service that does not answer stops the story at its first
// step, which is named.
func TestPlayStops(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"refuses", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"status":403,"code":"forbidden","problems":[{"pointer":"/name","code":"taken"}]}`))
		}, "403 forbidden; /name taken"},
		{"is no service of ours", http.NotFound, "404 no_problem_document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			var told strings.Builder
			_, err := Play(t.Context(), Config{URL: server.URL, Dir: t.TempDir(), Out: &told, SetClock: func(time.Duration) {}})
			if err == nil || !strings.HasPrefix(err.Error(), "A network begins") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %s", err, c.want)
			}
			if !strings.HasPrefix(told.String(), "  ✕") {
				t.Errorf("got %q", told.String())
			}
		})
	}
}
