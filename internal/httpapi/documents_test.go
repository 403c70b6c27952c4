package httpapi_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/jpeg"
	"strings"
	"testing"
)

// keeps makes a case with a document and returns where the document is.
func (w *world) keeps(token string, record any) (at, document string) {
	w.t.Helper()
	var made, kept struct{ ID string }
	w.into(w.call(token, "POST", "/api/v1/cases", nil), 201, &made)
	w.into(w.call(token, "POST", "/api/v1/cases/"+made.ID+"/documents", record), 201, &kept)
	return "/api/v1/cases/" + made.ID, "/api/v1/documents/" + kept.ID
}

// TestPictures: a picture is taken by whatever name its sender has for it, or
// its sender is told what would be taken.
func TestPictures(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	_, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	whole := plain.Bytes()
	sized := bytes.Clone(whole) // says that it is 65,500 pixels high
	frame := bytes.Index(sized, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(sized[frame+5:], 65_500)
	for _, c := range []struct {
		name, media string
		body        []byte
		status      int
		code, rule  string
	}{
		{"JPEG", "image/jpeg", whole, 201, "", ""},
		{"JPEG by its other name", "image/jpg", whole, 201, "", ""},
		{"octets", "application/octet-stream", whole, 201, "", ""},
		{"JPEG without its end marker", "image/jpeg", whole[:len(whole)-2], 201, "", ""},
		{"JPEG that was cut off", "image/jpeg", whole[:len(whole)-20], 422, "image_unreadable", ""},
		{"JPEG that is too high", "image/jpeg", sized, 422, "image_too_large", "20000 pixels"},
		{"more bytes than are taken", "image/jpeg", append(bytes.Clone(whole), make([]byte, 16<<20)...), 413, "too_large", "16777216 bytes"},
		{"octets of something else", "application/octet-stream", []byte("GIF89a"), 415, "media_type_refused", ""},
		{"JPEG that is called PNG", "image/png", whole, 415, "media_type_refused", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.call(ngo, "POST", document+"/pages?role=data", c.body, header("Content-Type", c.media))
			if got.status != c.status || got.code() != c.code {
				t.Fatalf("got %d %s, want %d %s", got.status, got.body, c.status, c.code)
			}
			var p struct {
				Problems  []struct{ Code, Rule string }
				MediaType string `json:"media_type"`
			}
			if err := json.Unmarshal(got.body, &p); err != nil {
				t.Fatal(err)
			}
			if c.status == 201 && p.MediaType != "image/jpeg" {
				t.Errorf("kept as %q", p.MediaType)
			}
			if c.rule != "" && (len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Rule, c.rule)) {
				t.Errorf("no figure in %s", got.body)
			}
		})
	}
}
