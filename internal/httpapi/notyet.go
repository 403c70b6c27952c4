package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/safeconduct/safeconduct/internal/httpapi/api"
)

// NotYet answers in the place of a service that is about to be there: that the process
// lives, and that all else is to be asked again.
func NotYet() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			answer(w, "application/json", http.StatusOK, api.Health200JSONResponse{State: api.Ok})
			return
		}
		w.Header().Set("Retry-After", "30")
		f := faultBusy
		answer(w, "application/problem+json", f.status, api.Problem{Type: "/problems/" + f.code, Title: f.title, Status: f.status, Code: f.code})
	})
}

func answer(w http.ResponseWriter, kind string, status int, what any) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what) // whoever asked may be gone
}
