package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/safeconduct/safeconduct/internal/httpapi"
)

// TestTriesOfTwoReplicas has one officer try wrong codes at two processes at
// once: there are five tries, and no more because there are more processes.
func TestTriesOfTwoReplicas(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	var printed cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", map[string]any{"name": "SITI"}), 201, &printed)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	wrong := "1" + printed.Code[1:]
	if wrong == printed.Code {
		wrong = "2" + printed.Code[1:]
	}
	other, err := httpapi.New(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	second := httptest.NewServer(other)
	t.Cleanup(second.Close)
	// The seats of a process let an actor try one code at a time: only two
	// processes can race.
	there := func(r *http.Request) { r.URL.Host = strings.TrimPrefix(second.URL, "http://") }
	here := func(*http.Request) {}
	var mu sync.Mutex
	states := map[string]int{}
	var wg sync.WaitGroup
	for _, where := range []func(*http.Request){here, there} {
		wg.Go(func() {
			for range 6 {
				var v verdictAnswer
				w.into(w.call(officer, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": wrong}, where), 200, &v)
				mu.Lock()
				states[v.State]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if states["wrong_code"] != 5 || states["code_locked"] != 7 {
		t.Errorf("twelve tries at two processes: %v, want 5 wrong and 7 locked", states)
	}
}
