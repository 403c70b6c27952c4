package httpapi_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"

	contract "github.com/safeconduct/safeconduct/docs/api"
)

// TestPagesAreOctets is of hostile cases 65 and 67: a picture that is a page of HTML as well
// comes back without it, as octets that no browser shows as anything; whatever name its sender
// gives it is not kept, not told and in no header.
func TestPagesAreOctets(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	_, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	page := "<html><script>" + marker + "</script></html>"
	both := append(bytes.Clone(plain.Bytes()[:2]), 0xff, 0xfe, 0, byte(len(page)+2)) // a comment of JPEG
	both = append(append(append(both, page...), plain.Bytes()[2:]...), page...)
	for _, name := range []string{"../../" + marker, "%00" + marker, `"; filename=` + marker + `.html`, "\u202e" + marker, strings.Repeat(marker, 4096/len(marker))} {
		got := w.call(ngo, "POST", document+"/pages?role=data", both, header("Content-Type", "image/jpeg"), header("Content-Disposition", `attachment; filename="`+name+`"`), header("X-File-Name", name))
		if got.status != http.StatusCreated || bytes.Contains(got.body, []byte(marker)) {
			t.Errorf("%.20q: got %d %s", name, got.status, got.body)
		}
	}
	for _, named := range []string{"filename", "name", "file"} {
		if got := w.call(ngo, "POST", document+"/pages?role=data&"+named+"=..%2f"+marker, plain.Bytes(), header("Content-Type", "image/jpeg")); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", named, got.status, got.body)
		}
	}
	got := w.call(ngo, "GET", document+"/pages/1", nil)
	if got.status != http.StatusOK || bytes.Contains(got.body, []byte(marker)) || bytes.Contains(got.body, []byte("<html")) {
		t.Fatalf("got %d with %d bytes", got.status, len(got.body))
	}
	for name, want := range map[string]string{"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy is %q", policy)
	}
	for name, values := range got.header {
		if strings.Contains(name+strings.Join(values, ""), marker) {
			t.Errorf("%s holds the name", name)
		}
	}
}

// TestNoSheets is hostile case 71: nothing that the service answers is opened by a program
// for tables, so that no name is a formula there; and what answers a whole record answers one
// case, with its holder's code.
func TestNoSheets(t *testing.T) {
	text := string(contract.Contract)
	for _, table := range []string{"text/csv", "text/tab-separated-values", "application/vnd.ms-excel", "application/vnd.openxmlformats", "application/vnd.oasis"} {
		if strings.Contains(text, table) {
			t.Errorf("the contract has %s", table)
		}
	}
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "holder_names": `=HYPERLINK("http://example.org")`})
	for _, accept := range []string{"text/csv", "application/vnd.ms-excel", "*/*"} {
		if got := w.call(ngo, "GET", document, nil, header("Accept", accept)); got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s", accept, got.status, got.header)
		}
	}
	for _, path := range []string{"/api/v1/copies", "/api/v1/cases/copies", "/api/v1/export", "/api/v1/cases.csv", at + ".csv"} {
		for _, method := range []string{"GET", "POST"} {
			if got := w.call(ngo, method, path, nil); got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed && got.status != http.StatusBadRequest {
				t.Errorf("%s %s: got %d %s", method, path, got.status, got.body)
			}
		}
	}
	if got := w.call(ngo, "POST", at+"/copies", map[string]any{}); got.status < 400 {
		t.Errorf("a copy without a code: got %d", got.status)
	}
}
