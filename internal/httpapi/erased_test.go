package httpapi_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
)

// TestErasedIsUnknown is of hostile case 91: whatever is asked with the id of an erased case, or of
// something in it, gets the answer of an id that never was: status, body and
// headers alike, in every operation that names one.
func TestErasedIsUnknown(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.admit("Bridge", "NGO", "THA", "supervisor")
	var c, document, attestation struct{ ID string }
	var printed cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases", `{"findable":true}`), 201, &c)
	at := "/api/v1/cases/" + c.ID
	record := map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"}
	w.into(w.call(ngo, "POST", at+"/documents", record), 201, &document)
	w.into(w.call(ngo, "POST", at+"/attestations", screeningBody(t)), 201, &attestation)
	w.into(w.call(ngo, "POST", at+"/cards", `{"name":"SITI"}`), 201, &printed)
	grant := unasked(grantTo(w.agency["Bridge"]))
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	page := func(path string) answer {
		return w.call(ngo, "POST", path, picture.Bytes(), header("Content-Type", "image/png"))
	}
	w.into(page("/api/v1/documents/"+document.ID+"/pages?role=data"), 201, nil)
	w.erased(ngo, at)

	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	mission := w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	about := func(id string, kind claims.Kind) string {
		body := (&file{t: t, world: w}).order(kind)
		body["about"] = id
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	order := screeningBody(t)
	for _, op := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/v1/cases/{case}", nil},
		{"HEAD", "/api/v1/cases/{case}", nil},
		{"DELETE", "/api/v1/cases/{case}", nil},
		{"PUT", "/api/v1/cases/{case}/findable", `{"findable":true}`},
		{"GET", "/api/v1/cases/{case}/history", nil},
		{"GET", "/api/v1/cases/{case}/attestations", nil},
		{"POST", "/api/v1/cases/{case}/attestations", order},
		{"POST", "/api/v1/cases/{case}/cards", `{"name":"SITI"}`},
		{"POST", "/api/v1/cases/{case}/documents", record},
		{"POST", "/api/v1/cases/{case}/grants", grant},
		{"DELETE", "/api/v1/cases/{case}/grants/" + w.agency["Bridge"], nil},
		{"GET", "/api/v1/cases/{case}/consents", nil},
		{"POST", "/api/v1/cases/{case}/consents", recordedBody},
		{"POST", "/api/v1/cases/{case}/consents/none", nil},
		{"DELETE", "/api/v1/cases/{case}/consents/{card}", nil},
		{"GET", "/api/v1/documents/{document}", nil},
		{"PUT", "/api/v1/documents/{document}", record},
		{"POST", "/api/v1/documents/{document}/pages?role=data", picture.Bytes()},
		{"POST", "/api/v1/documents/{document}/pages?role=data&page=1", picture.Bytes()},
		{"GET", "/api/v1/documents/{document}/pages/1", nil},
		{"POST", "/api/v1/documents/{document}/grants", grant},
		{"DELETE", "/api/v1/documents/{document}/grants/" + w.agency["Bridge"], nil},
		{"GET", "/api/v1/attestations/{attestation}", nil},
		{"POST", "/api/v1/attestations/{attestation}/status", `{"action":"withdraw","reason":"other"}`},
		{"POST", "/api/v1/attestations/{attestation}/status", `{"action":"pause","reason":"other"}`},
		{"POST", "/api/v1/cards/{card}/status", `{"action":"withdraw","reason":"other"}`},
		{"POST", "/api/v1/attestations", about("{attestation}", claims.KindOpinion)},
		{"POST", "/api/v1/attestations", about("{card}", claims.KindOpinion)},
		{"POST", "/api/v1/attestations", about("{attestation}", claims.KindReliance)},
		{"POST", "/api/v1/attestations", about("{card}", claims.KindReliance)},
		{"POST", "/api/v1/attestations", about("{attestation}", claims.KindReply)},
		{"POST", "/api/v1/attestations", about("{card}", claims.KindReply)},
		// A document's id where a case's is asked for, and the reverse.
		{"GET", "/api/v1/cases/{document}", nil},
		{"DELETE", "/api/v1/cases/{document}", nil},
		{"GET", "/api/v1/documents/{case}", nil},
	} {
		t.Run(op.method+" "+op.path, func(t *testing.T) {
			ask := func(ids *strings.Replacer) answer {
				var edit []func(*http.Request)
				if _, raw := op.body.([]byte); raw {
					edit = append(edit, header("Content-Type", "image/png"))
				}
				if op.method == "PUT" && strings.Contains(op.path, "/documents/") {
					edit = append(edit, header("If-Match", `"v1"`))
				}
				body, by := op.body, ngo
				if text, ok := body.(string); ok {
					body = ids.Replace(text)
					switch {
					case strings.Contains(text, `"kind":"reliance"`):
						by = officer
					case strings.Contains(text, `"kind":"reply"`):
						by = mission
					}
				}
				return w.call(by, op.method, ids.Replace(op.path), body, edit...)
			}
			got := ask(strings.NewReplacer("{case}", c.ID, "{document}", document.ID, "{attestation}", attestation.ID, "{card}", printed.ID))
			want := ask(strings.NewReplacer("{case}", randomID(), "{document}", randomID(), "{attestation}", randomID(), "{card}", randomID()))
			if want.status != 404 {
				t.Fatalf("an unknown id: got %d %s", want.status, want.body)
			}
			if got.status != want.status || !bytes.Equal(got.body, want.body) {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, want.status, want.body)
			}
			for _, name := range aside {
				got.header.Del(name)
				want.header.Del(name)
			}
			for name, values := range want.header {
				if !slices.Equal(got.header[name], values) {
					t.Errorf("%s is %q, want %q", name, got.header[name], values)
				}
			}
			if len(got.header) != len(want.header) {
				t.Errorf("got headers %v, want %v", got.header, want.header)
			}
		})
	}
}
