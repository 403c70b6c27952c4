package httpapi_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
)

// keeps makes a case with a document and returns where the document is.
func (w *world) keeps(token string, record any) (at, document string) {
	w.t.Helper()
	at = w.cases(token)
	var kept struct{ ID string }
	w.into(w.call(token, "POST", at+"/documents", record), 201, &kept)
	return at, "/api/v1/documents/" + kept.ID
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

// TestSafetyQuestion is of hostile case 83: nothing goes to an authority of the holder's own state
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
		order := grantTo(w.agency[with])
		order["purpose"] = "protection"
		delete(order, "safe_if_state_knows")
		for name, value := range answers {
			order[name] = value
		}
		if order["circumstance"] != "free" {
			order["until"] = claims.NewDay(time.Now()).Add(10)
		}
		return w.shares(ngo, record, order)
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
			refused("not asked", share(record, with, nil), "input_refused", "/safe_if_state_knows")
			refused("detained", share(record, with, map[string]any{"safe_if_state_knows": "yes", "circumstance": "detained"}), "input_refused", "/second_agency")
			w.into(share(record, with, map[string]any{"safe_if_state_knows": "yes"}), 201, nil)
			refused("renewed, not asked", share(record, with, nil), "input_refused", "/safe_if_state_knows")
		}
		w.into(share(record, "Lawyers", nil), 201, nil) // not her state
	}
	// What she signs counts, whatever is ticked.
	yes := map[string]any{"safe_if_state_knows": "yes"}
	screen(func(c *claims.Consent) {
		c.SafeIfStateKnows, c.MissionMayBeContacted = "no", false
		c.ShareScope = []string{"police", "other_mission"}
	})
	for _, record := range []string{document, at} {
		refused("signed no", share(record, "Police", yes), "consent_missing", "")
		refused("signed no", share(record, "Embassy", yes), "consent_missing", "")
		refused("not in what she signed", share(record, "Lawyers", nil), "consent_missing", "")
	}

	// So does what she answers, and the next worker hears of it.
	for _, no := range []string{"no", "unsure"} {
		at, document = w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "ETH"})
		for _, with := range []string{"Police", "Embassy"} {
			refused(no, share(document, with, map[string]any{"safe_if_state_knows": no}), "consent_missing", "")
			refused("yes, a minute later", share(document, with, yes), "consent_missing", "")
		}
		var said struct {
			Consents []struct {
				Safe string `json:"safe_if_state_knows"`
			}
		}
		if w.into(w.call(ngo, "GET", at+"/consents", nil), 200, &said); len(said.Consents) != 1 || said.Consents[0].Safe != no {
			t.Errorf("kept %+v, want %s once", said, no)
		}
	}
}

// TestNewestWord: a signed no is not undone by a newer screening that holds an
// older yes, and a card names the mission of a state that she stated.
func TestNewestWord(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	at, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "ETH"})
	today := claims.NewDay(time.Now())
	screen := func(givenOn claims.Day, safe, supersedes string) string {
		t.Helper()
		s := screening()
		s.Consent.GivenOn, s.Consent.SafeIfStateKnows, s.Consent.MissionMayBeContacted = givenOn, safe, safe == "yes"
		if safe != "yes" {
			s.Consent.ShareScope = []string{"other_mission"}
		}
		order := orderOf(t, s)
		if supersedes != "" {
			order["supersedes"] = supersedes
		}
		var made struct{ ID string }
		w.into(w.call(ngo, "POST", at+"/attestations", order), 201, &made)
		return made.ID
	}
	grant := func() answer { return w.shares(ngo, document, grantTo(w.agency["Embassy"])) }
	card := func(nationality string) answer {
		body := map[string]any{"name": personName, "mission_may_be_contacted": true}
		if nationality != "" {
			body["nationality"] = nationality
		}
		return w.call(ngo, "POST", at+"/cards", body)
	}
	refused := func(what string, got answer) {
		t.Helper()
		var p struct {
			Problems []struct{ Pointer, Code string }
		}
		w.into(got, 422, &p)
		if len(p.Problems) != 1 || p.Problems[0].Pointer != "/mission_may_be_contacted" || p.Problems[0].Code != "not_allowed" {
			t.Errorf("%s: %s", what, got.body)
		}
	}
	who := orderOf(t, &claims.IdentityClaim{
		Names:       []claims.Name{{Script: "Latn", Full: private.New(personName), Type: "used"}},
		Citizenship: []string{"ETH"}, Assurance: "self_asserted", ClaimStatus: "open",
	})
	w.into(w.call(ngo, "POST", at+"/attestations", who), 201, nil)
	no := screen(today, "no", "")
	screen(today.Add(-100), "yes", no)
	if got := grant(); got.status != 422 || got.code() != "consent_missing" {
		t.Errorf("a grant after an older yes: %d %s", got.status, got.body)
	}
	refused("a card after an older yes", card("ETH"))
	at, document = w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "ETH"})
	w.into(w.call(ngo, "POST", at+"/attestations", who), 201, nil)
	older := screen(today.Add(-1), "no", "")
	refused("a card after a no", card("ETH"))
	w.into(grant(), 201, nil) // by her code, which is newer
	screen(today, "yes", older)
	w.into(grant(), 201, nil)
	w.into(card("ETH"), 201, nil)
	refused("another state's mission", card("KHM"))
	refused("no nationality", card(""))
}

// TestMissionAnswers: what a mission signs about a lost document stands in its
// record, and doing it again changes nothing. Whoever only relays an answer, and
// a mission of another state, change nothing.
func TestMissionAnswers(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	mission := w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	other := w.admit("Other", "x_DiplomaticMission", "THA", "mission")
	lost := map[string]any{"kind": "PASSPORT", "issuing_state": "ETH", "loss_report": map[string]string{"event": "stolen"}}
	at, document := w.keeps(ngo, lost)
	var second struct{ ID string }
	w.into(w.call(ngo, "POST", at+"/documents", lost), 201, &second)
	state := func(path string) string {
		t.Helper()
		var d struct {
			Record struct {
				Loss struct {
					Requested string `json:"sltd_requested"`
				} `json:"loss_report"`
			}
		}
		w.into(w.call(ngo, "GET", path, nil), 200, &d)
		return d.Record.Loss.Requested
	}
	var about struct{ ID string }
	w.into(w.call(ngo, "POST", at+"/attestations", orderOf(t, &claims.DocumentReport{
		DocID: document[len("/api/v1/documents/"):], DocumentKind: "PASSPORT", IssuingState: "ETH", Custody: "unknown", RecordStatus: "active",
	})), 201, &about)
	for _, agency := range []string{"Embassy", "Other"} {
		w.into(w.shares(ngo, at, grantTo(w.agency[agency])), 201, nil)
	}
	done := map[string]bool{}
	reply := func(token, country, channel string, key string) {
		t.Helper()
		order := orderOf(t, &claims.Reply{
			Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: country, Date: claims.NewDay(time.Now()),
			Channel: channel, SLTDRecorded: true,
		})
		order["about"] = about.ID
		if a := w.call(token, "POST", "/api/v1/attestations", order, header("Idempotency-Key", key)); !done[key] {
			w.touched(a, w.of(token), people.Mission)
		} else {
			w.into(a, 202, nil)
		}
		done[key] = true
	}
	reply(other, "THA", "account", newKey())
	reply(mission, "ETH", "relayed", newKey())
	if got := state(document); got != "" {
		t.Errorf("another state, or a relayed answer: %q", got)
	}
	key := newKey()
	reply(mission, "ETH", "account", key)
	reply(mission, "ETH", "account", key)
	if got := state(document) + ", " + state("/api/v1/documents/"+second.ID); got != "done_by_state, " {
		t.Errorf("after the mission's answer: %s", got)
	}
	var history struct{ Entries []struct{ Kind string } }
	w.into(w.call(ngo, "GET", at+"/history", nil), 200, &history)
	n := 0
	for _, e := range history.Entries {
		if e.Kind == "document.mission_answered" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the history has %d entries of it, want 1", n)
	}
}

// TestDoubts: whoever keeps or reads a document is told what to look at twice,
// and nothing is refused for it.
func TestDoubts(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	record := map[string]any{
		"kind": "PASSPORT", "issuing_state": "IND", "birth_date": "1990",
		"mrz": "P<IND<<RAVINDRA" + strings.Repeat("<", 29) + "\r\nL898902C36IND9001012M3001013<<<<<<<<<<<<<<09",
	}
	type told struct {
		ID     string
		Doubts []struct{ Pointer, Code, Rule string }
	}
	is := func(when string, got told, want string) {
		t.Helper()
		var all []string
		for _, d := range got.Doubts {
			all = append(all, d.Pointer+" "+d.Code)
		}
		if s := strings.Join(all, ", "); s != want {
			t.Errorf("%s: %s, want %s", when, s, want)
		}
	}
	var made, kept told
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/documents", record), 201, &kept)
	const odd = "/mrz mrz_filler, /mrz_checks/dob check_digit, /mrz_checks/expiry check_digit, /mrz_checks/composite check_digit"
	is("added", kept, odd)
	path := "/api/v1/documents/" + kept.ID
	var read told
	got := w.call(ngo, "GET", path, nil)
	w.into(got, 200, &read)
	is("read", read, odd)
	record["birth_date"] = "1991-01-01"
	var updated told
	w.into(w.call(ngo, "PUT", path, record, header("If-Match", got.header.Get("ETag"))), 200, &updated)
	is("updated", updated, odd+", /birth_date differs_from_mrz")
}

// unread is a body that tells whether anybody has read it.
type unread struct{ read bool }

func (u *unread) Read([]byte) (int, error) {
	u.read = true
	return 0, io.EOF
}

// TestBodiesThatAreNotRead is hostile case 70: what is refused for whom it comes from, for how much of it
// there is already, or for what its head says, is refused before the body is in memory.
func TestBodiesThatAreNotRead(t *testing.T) {
	w := newWorld(t)
	ngo, other := w.admit("Lotus", "NGO", "KHM", "supervisor"), w.admit("Bridge", "NGO", "THA", "supervisor")
	_, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	send := func(server http.Handler, token string, body io.Reader, length int64, edit ...func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, document+"/pages?role=data", body)
		r.ContentLength = length
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", newKey())
		r.Header.Set("Content-Type", "image/png")
		for _, e := range edit {
			e(r)
		}
		got := httptest.NewRecorder()
		server.ServeHTTP(got, r)
		return got
	}
	const large = 8 << 20
	refused := func(name string, server http.Handler, token string, length int64, status int, edit ...func(*http.Request)) {
		t.Helper()
		body := &unread{}
		if got := send(server, token, body, length, edit...); got.Code != status || body.read {
			t.Errorf("%s: got %d %s, want %d; body read: %v", name, got.Code, got.Body, status, body.read)
		}
	}

	// Eight bodies of one asker are under way, and none says how long it is.
	var slow []*io.PipeWriter
	var wait sync.WaitGroup
	for range 8 {
		body, in := io.Pipe()
		slow = append(slow, in)
		wait.Go(func() { send(w.server, ngo, body, -1) })
	}
	for _, in := range slow { // a write returns when its body has been let in
		if _, err := in.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
	}
	refused("one more", w.server, ngo, large, http.StatusServiceUnavailable)
	if body := new(unread); send(w.server, other, body, large).Code == http.StatusServiceUnavailable || !body.read {
		t.Error("one asker's bodies keep another's out")
	}
	for _, in := range slow {
		_ = in.Close()
	}
	wait.Wait()
	if body := new(unread); send(w.server, ngo, body, large).Code == http.StatusServiceUnavailable || !body.read {
		t.Error("there is no room when all have left")
	}

	refused("nobody", w.server, "nobody", large, http.StatusUnauthorized)
	refused("too large", w.server, ngo, 17<<20, http.StatusRequestEntityTooLarge)
	refused("compressed", w.server, ngo, large, http.StatusUnsupportedMediaType, header("Content-Encoding", "gzip"))
	refused("of another type", w.server, ngo, large, http.StatusUnsupportedMediaType, header("Content-Type", "image/gif"))
	refused("a parameter too many", w.server, ngo, large, http.StatusBadRequest, func(r *http.Request) { r.URL.RawQuery += "&x=1" })

	// A server that takes nothing: one request in a thousand years.
	none := w.cfg
	none.Rate = 1e-11
	closed, err := httpapi.New(none)
	if err != nil {
		t.Fatal(err)
	}
	send(closed, ngo, new(unread), 0) // the burst
	refused("over the rate", closed, ngo, large, http.StatusTooManyRequests)
}
