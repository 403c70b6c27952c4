package httpapi_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
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

// TestSafetyQuestion: nothing goes to an authority of the holder's own state
// before she was asked whether that is safe, and nothing that her newest signed
// consent does not allow, for a document, for a case, and when it is renewed.
func TestSafetyQuestion(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.admit("Police", "LawEnforcement", "ETH", "officer")
	w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	w.admit("Lawyers", "LegalService", "ETH", "caseworker")
	at, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "ETH"})
	share := func(record, with string, answers map[string]any) answer {
		consent := map[string]any{"holder": true, "mission": true, "method": "signature", "language": "am", "circumstance": "free"}
		for name, value := range answers {
			consent[name] = value
		}
		return w.call(ngo, "POST", record+"/grants", map[string]any{
			"agency": w.agency[with], "purpose": "protection", "until": claims.NewDay(time.Now()).Add(30), "consent": consent,
		})
	}
	refused := func(name string, got answer, code, pointer string) {
		t.Helper()
		var p struct {
			Problems []struct{ Pointer, Code string }
		}
		w.into(got, 422, &p)
		if got.code() != code || pointer != "" && (len(p.Problems) != 1 || p.Problems[0].Pointer != pointer || p.Problems[0].Code != "required") {
			t.Errorf("%s: got %s", name, got.body)
		}
	}
	screen := func(edit func(*claims.Consent)) {
		t.Helper()
		s := screening()
		edit(s.Consent)
		w.into(w.call(ngo, "POST", at+"/attestations", orderOf(t, s)), 201, nil)
	}
	for _, record := range []string{document, at} {
		for _, with := range []string{"Police", "Embassy"} {
			refused("not asked", share(record, with, nil), "input_refused", "/consent/safe_with_state")
			for _, no := range []string{"no", "unsure", "not_sure"} {
				refused(no, share(record, with, map[string]any{"safe_with_state": no}), "consent_missing", "")
			}
			refused("detained", share(record, with, map[string]any{"safe_with_state": "yes", "circumstance": "detained"}), "consent_missing", "")
			w.into(share(record, with, map[string]any{"safe_with_state": "yes"}), 201, nil)
			refused("renewed, not asked", share(record, with, nil), "input_refused", "/consent/safe_with_state")
		}
		w.into(share(record, "Lawyers", nil), 201, nil) // not her state
	}
	// What she signs counts, whatever is ticked.
	yes := map[string]any{"safe_with_state": "yes"}
	screen(func(c *claims.Consent) {
		c.SafeIfStateKnows, c.MissionMayBeContacted = "no", false
		c.ShareScope = []string{"police", "other_mission"}
	})
	for _, record := range []string{document, at} {
		refused("signed no", share(record, "Police", yes), "consent_missing", "")
		refused("signed no", share(record, "Embassy", yes), "consent_missing", "")
		refused("not in what she signed", share(record, "Lawyers", nil), "consent_missing", "")
	}
}
