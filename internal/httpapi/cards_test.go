package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestPrintedName: whoever orders a card is told what name it says, and which sign
// of a name cannot be on one.
func TestPrintedName(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var begun struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &begun)
	cards := "/api/v1/cases/" + begun.ID + "/cards"
	for name, want := range map[string]string{
		"MUTHU A/L SAMY": `"printed_name":"MUTHU A L SAMY"`,
		"O\u2019NEIL":    `"printed_name":"O'NEIL"`,
		"SITI":           "",
	} {
		got := w.call(ngo, "POST", cards, map[string]string{"name": name})
		if got.status != 201 || strings.Contains(string(got.body), "printed_name") != (want != "") || !strings.Contains(string(got.body), want) {
			t.Errorf("%+q: got %d, without %s", name, got.status, want)
		}
	}
	for name, want := range map[string]string{
		"SITI @ NUR": "character 6 is @ (U+0040)", " SITI": "neither begins nor ends", "SITI NUR\u00a0សុខ": "character 10 is U+179F",
	} {
		got := w.call(ngo, "POST", cards, map[string]string{"name": name})
		var p struct {
			Problems []struct{ Pointer, Code, Rule string }
		}
		if err := json.Unmarshal(got.body, &p); err != nil || got.status != 422 || len(p.Problems) != 1 {
			t.Errorf("%+q: got %d %s", name, got.status, got.body)
			continue
		}
		if at := p.Problems[0]; at.Pointer != "/name" || at.Code != "format" || !strings.Contains(at.Rule, want) || strings.Contains(string(got.body), "SITI") {
			t.Errorf("%+q: got %s", name, got.body)
		}
	}
}
