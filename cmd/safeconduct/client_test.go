package main

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestLockedSaysWhere: a locked network says where two people open it, at the name that
// its passkeys are for and not at the address that a program reached it by.
func TestLockedSaysWhere(t *testing.T) {
	for name, list := range map[string]string{
		"https://net.example/unlock": "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"status_lists":"https://net.example/status-lists/"}`)) + ".e30",
		"URL/unlock":                 "",
	} {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != "/trust-list":
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write([]byte(`{"code":"locked","title":"The network is locked; call its desk"}`))
			case list == "":
				w.WriteHeader(http.StatusNotFound)
			default:
				_, _ = w.Write([]byte(list))
			}
		}))
		want := strings.Replace(name, "URL", service.URL, 1)
		err := (&remote{url: service.URL}).call(t.Context(), http.MethodGet, "/api/v1/requests", "", nil, nil)
		service.Close()
		if err == nil || !strings.Contains(err.Error(), "on the page "+want) || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
