package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestNameOfAnother is hostile case 93: whose name cannot be told from another's
// is not admitted, and hears whose it is.
func TestNameOfAnother(t *testing.T) {
	w := newWorld(t)
	w.admit("Lotus House", "NGO", "KHM", "caseworker")
	for _, name := range []string{"Lotus House", "Lotus-House", "LOTUS HOUSE", "Lоtus Hоuse", "Lotus Höuse", "L0tus House"} {
		got := w.call(w.operator, http.MethodPost, "/api/v1/agencies", map[string]string{"name": name, "class": "NGO", "country": "THA", "desk": "+66 00 000 001"})
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(string(got.body), `"name_alike"`) || !strings.Contains(string(got.body), ": Lotus House") {
			t.Errorf("%q: got %d %s, want 422 with the other's name", name, got.status, got.body)
		}
	}
	for _, name := range []string{"Lotus  House", "<b>Lotus Home</b>", "Lotus\u200bHome", "Lоtus Home", "Lotus\nHome"} {
		got := w.call(w.operator, http.MethodPost, "/api/v1/agencies", map[string]string{"name": name, "class": "NGO", "country": "THA", "desk": "+66 00 000 001"})
		if got.status != http.StatusUnprocessableEntity && got.status != http.StatusBadRequest || strings.Contains(string(got.body), "Home") {
			t.Errorf("%q: got %d %s, want a refusal that does not repeat it", name, got.status, got.body)
		}
	}
}
