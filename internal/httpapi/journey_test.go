package httpapi_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/people"
)

// Everybody here is made up.
const (
	personName   = "TESFAYE, FELIX ABEBE"
	personNumber = "X0000002"
	personBirth  = "19950314"
)

func screeningBody(t *testing.T) map[string]any {
	t.Helper()
	return orderOf(t, screening())
}

func screening() *claims.Screening {
	today := claims.NewDay(time.Now())
	return &claims.Screening{
		TraffickingStatus: claims.StatusPossible, DecisionLevel: "preliminary_screening",
		AuthorityClass: "NGO", StandardOfEvidence: "suspicion_indicators", Confidence: "medium", Tool: "ILO_EC_2009",
		Act: []string{"recruitment"}, Means: []string{"deception"}, Purpose: []string{"ForcedLabour"},
		MinorAtTime: "no",
		Interview: &claims.Interview{
			Date: today, PlaceCountry: "KHM", Mode: "in_person", Language: "amh", Interpreter: true,
			InterpreterKind: "vetted", InterviewerOrgRole: "NGO", Alone: "yes", PlaceKind: "shelter",
		},
		Consent: &claims.Consent{
			Interview: true, Purpose: true, Use: true, RightToRequestData: true, StorageDuration: true, HowToWithdraw: true,
			GivenOn: today, ReceiptLanguage: "amh", Method: "signature", ShareScope: claims.Values("share_scope"), TransferToState: []string{"ETH", "THA"},
			Controller: private.New("Lotus (made up)"), LawfulBasis: "consent", Circumstance: "free",
			SafeIfStateKnows: "yes", MissionMayBeContacted: true,
		},
	}
}

func orderOf(t *testing.T, c claims.Claims) map[string]any {
	t.Helper()
	encoded, err := claims.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"kind": c.Kind(), "claims": json.RawMessage(encoded)}
}

type cardAnswer struct {
	ID, Number, Code, Digits, SVG string
	PNG                           []byte
}

type verdictAnswer struct {
	State, Reason string
	Checks        map[string]string
	TriesLeft     int `json:"tries_left"`
	Demo          bool
	Card          *struct {
		Handle, Name string
		BirthDate    string `json:"birth_date"`
		Status       int
	}
}

// TestJourney goes the whole way of one finding over HTTP, with every room
// real: stated, carried, checked, relied on, opened, answered, withdrawn, and
// forgotten.
func TestJourney(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	mission := w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	device := w.device("Gate")
	publish := func() { t.Helper(); w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil) }
	check := func(c cardAnswer, code string, want string) verdictAnswer {
		t.Helper()
		var v verdictAnswer
		w.into(w.call(officer, "POST", "/api/v1/verifications", map[string]string{"digits": c.Digits, "code": code}), 200, &v)
		if v.State != want || !v.Demo {
			t.Fatalf("got %s (%s), want %s", v.State, v.Reason, want)
		}
		return v
	}

	// Stated.
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", map[string]any{"findable": true}), 201, &made)
	caseID := made.ID
	at := "/api/v1/cases/" + caseID
	var screening struct{ ID, State, Credential string }
	w.into(w.call(ngo, "POST", at+"/attestations", screeningBody(t)), 201, &screening)
	if screening.State != "active" || screening.Credential != "" {
		t.Errorf("got %+v", screening)
	}
	w.into(w.call(ngo, "GET", "/api/v1/attestations/"+screening.ID, nil), 200, &screening)
	if !strings.HasPrefix(screening.Credential, "eyJ") {
		t.Error("the attestation has no signed form")
	}

	// Kept.
	var kept struct {
		ID      string
		Version int
	}
	got := w.call(ngo, "POST", at+"/documents", map[string]any{
		"kind": "PASSPORT", "issuing_state": "ETH", "document_number": personNumber, "birth_date": "1995-03-14",
		"holder_names": personName, "custody": "trafficker",
	})
	w.into(got, 201, &kept)
	document := "/api/v1/documents/" + kept.ID
	changed := `{"kind":"PASSPORT","issuing_state":"ETH","document_number":"` + personNumber + `","birth_date":"1995-03-14","custody":"embassy"}`
	tag := got.header.Get("ETag")
	w.into(w.call(ngo, "PUT", document, changed, header("If-Match", tag)), 200, nil)
	if again := w.call(ngo, "PUT", document, changed, header("If-Match", tag)); again.status != 412 || again.code() != "changed_meanwhile" {
		t.Errorf("got %d %s", again.status, again.body)
	}
	w.into(w.call(ngo, "POST", document+"/pages?role=data&seen_original=true", scan(t), header("Content-Type", "image/png")), 201, nil)

	// Carried.
	var printed cardAnswer
	w.into(w.call(ngo, "POST", at+"/cards", map[string]any{
		"name": personName, "birth_date": personBirth, "sex": 1, "nationality": "ETH", "attestation": screening.ID,
	}), 201, &printed)
	if len(printed.Digits) != 667 || len(printed.Number) != 14 || len(printed.PNG) == 0 || printed.SVG == "" {
		t.Fatalf("the card is not whole: %d digits, number of %d", len(printed.Digits), len(printed.Number))
	}
	publish()

	// Checked.
	v := check(printed, printed.Code, "unconfirmed")
	if v.Card.Name != personName || v.Card.BirthDate != personBirth || v.Card.Status != 1 || v.Checks["signature"] != "yes" {
		t.Errorf("got %+v", v.Card)
	}
	if wrong := check(printed, "0000000000", "wrong_code"); wrong.Card != nil || wrong.TriesLeft != 4 {
		t.Errorf("got %+v", wrong)
	}
	var silent verdictAnswer
	w.into(w.call(device, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits}), 200, &silent)
	if silent.State != "code_not_given" {
		t.Errorf("got %s", silent.State)
	}
	var sealed struct{ Envelope string }
	w.into(w.call(device, "GET", "/api/v1/devices/self/envelope", nil), 200, &sealed)
	if strings.Count(sealed.Envelope, ".") != 2 {
		t.Error("the envelope is no JWS")
	}

	// Relied on.
	reliance := orderOf(t, &claims.Reliance{
		Reliance: "relied_no_reinterview", AuthorityClass: "NonPoliceGovernmentalOrganization", Date: claims.NewDay(time.Now()),
	})
	reliance["card_handle"] = v.Card.Handle
	if got := w.call(officer, "POST", "/api/v1/attestations", reliance); got.status != 404 || got.code() != "not_found" {
		t.Errorf("with the card alone, nothing shared: got %d %s", got.status, got.body)
	}
	w.into(w.shares(ngo, at, grantTo(w.agency["Gate"])), 201, nil)
	w.into(w.call(officer, "POST", "/api/v1/attestations", reliance), 201, nil)
	if got := w.call(officer, "POST", "/api/v1/attestations", map[string]any{"kind": "reply", "claims": map[string]any{}, "card_handle": v.Card.Handle}); got.status != 403 {
		t.Errorf("an officer's reply: got %d %s", got.status, got.body)
	}

	// Opened.
	w.into(w.shares(ngo, document, grantTo(w.agency["Embassy"])), 201, nil)
	if got := w.call(mission, "GET", document, nil); got.status != 403 || got.code() != "not_opened" {
		t.Errorf("before opening: got %d %s", got.status, got.body)
	}
	w.open(mission, printed, kept.ID)
	var record struct{ Record map[string]any }
	w.into(w.call(mission, "GET", document, nil), 200, &record)
	if record.Record["document_number"] != personNumber {
		t.Errorf("got %v", record.Record)
	}
	page := w.call(mission, "GET", document+"/pages/1", nil)
	if page.status != 200 || page.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %d %q", page.status, page.header.Get("Content-Type"))
	}
	if _, err := png.Decode(bytes.NewReader(page.body)); err != nil {
		t.Errorf("the page is no picture: %v", err)
	}
	if got := w.call(officer, "GET", document, nil); got.status != 403 && got.status != 404 {
		t.Errorf("another agency reads: got %d", got.status)
	}

	// Answered.
	reply := orderOf(t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
	})
	reply["card_handle"] = v.Card.Handle
	if got := w.reply(mission, reply); got == "" {
		t.Error("nobody has answered")
	}
	publish()
	check(printed, printed.Code, "confirmed")

	// Looked for, with the same answer for what is there and what is not.
	query := func(number string) request {
		asks := map[string]string{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": number, "birth_date": "950314"}
		return w.touched(w.call(officer, "POST", "/api/v1/look-ups", asks), w.of(officer), people.Admin, people.Officer)
	}
	there, nowhere := query(personNumber), query("X9999999")
	there.ID, there.Lines, nowhere.ID, nowhere.Lines = "", nil, "", nil // a digest and a time
	if !reflect.DeepEqual(there, nowhere) {
		t.Errorf("got %v and %v", there, nowhere)
	}

	// Withdrawn, and seen as withdrawn.
	w.into(w.call(ngo, "POST", "/api/v1/attestations/"+screening.ID+"/status", map[string]string{"action": "withdraw", "reason": "holder_asked"}), 200, nil)
	publish()
	check(printed, printed.Code, "out_of_use")

	// Answered for: the holder reads who opened her record.
	var history struct {
		Entries []struct {
			Day, Kind, Leaf string
			Salt            []byte
			Body            json.RawMessage
		}
	}
	w.into(w.call(ngo, "GET", at+"/history", nil), 200, &history)
	kinds := map[string]int{}
	for _, e := range history.Entries {
		kinds[e.Kind]++
		note := audit.Note{Kind: e.Kind, Salt: [32]byte(e.Salt), Body: e.Body}
		if hash := note.Hash(); hex.EncodeToString(hash[:]) != e.Leaf {
			t.Errorf("the leaf of %s cannot be computed from the history", e.Kind)
		}
	}
	for _, kind := range []string{"record.opened", "document.read", "page.read", "record.shared"} {
		if kinds[kind] == 0 {
			t.Errorf("the history has no %s: %v", kind, kinds)
		}
	}

	// Forgotten.
	erased := w.erased(ngo, at).Erased
	if erased.Records != 2 || erased.Pages != 1 || erased.Withdrawn == 0 {
		t.Errorf("got %+v", erased)
	}
	for _, path := range []string{at, at + "/history", document, document + "/pages/1", "/api/v1/attestations/" + screening.ID} {
		if got := w.call(ngo, "GET", path, nil); got.status != 404 {
			t.Errorf("%s after erasure: got %d", path, got.status)
		}
	}
	for _, secret := range []string{personName, "TESFAYE", personNumber, personBirth, "1995-03-14", printed.Code, printed.Number, v.Card.Handle, caseID, kept.ID} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestPlainRecordsLookAlike: the answer that makes a plain lost-document record
// has the members that any other card has.
func TestPlainRecordsLookAlike(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	var screening struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/attestations", screeningBody(t)), 201, &screening)
	members := func(body any) (names []string, digits, svg int) {
		var all map[string]any
		w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", body), 201, &all)
		for _, n := range []string{"id", "number", "code", "digits", "svg", "png", "expires", "names_shortened", "replaces"} {
			if _, ok := all[n]; ok {
				names = append(names, n)
			}
		}
		return names, len(all["digits"].(string)), len(all)
	}
	plain, digits1, n1 := members(map[string]any{"name": "SITI"})
	other, digits2, n2 := members(map[string]any{"name": "SITI", "attestation": screening.ID})
	if strings.Join(plain, " ") != strings.Join(other, " ") || digits1 != digits2 || n1 != n2 {
		t.Errorf("got %v and %v", plain, other)
	}
}

// TestTriesAreCounted: five wrong codes for a card and an hour, then the right
// one is refused too; for another card and for another actor it is not.
func TestTriesAreCounted(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	second := w.admit("Gate", "ImmigrationService", "THA", "officer")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	var printed cardAnswer
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/cards", map[string]any{"name": "SITI"}), 201, &printed)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	try := func(token, code string) verdictAnswer {
		var v verdictAnswer
		w.into(w.call(token, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": code}), 200, &v)
		return v
	}
	wrong := "1" + printed.Code[1:]
	if wrong == printed.Code {
		wrong = "2" + printed.Code[1:]
	}
	if v := try(officer, "abc"); v.State != "wrong_code" || v.TriesLeft != 5 {
		t.Errorf("a code of another form: got %s, %d left", v.State, v.TriesLeft)
	}
	for i := range 5 {
		if v := try(officer, wrong); v.State != "wrong_code" || v.TriesLeft != 4-i {
			t.Errorf("try %d: got %s, %d left", i+1, v.State, v.TriesLeft)
		}
	}
	if v := try(officer, printed.Code); v.State != "code_locked" || v.Card != nil {
		t.Errorf("after five: got %s", v.State)
	}
	if v := try(second, printed.Code); v.State != "unconfirmed" {
		t.Errorf("another officer: got %s", v.State)
	}
}

// TestErasureTakesAnswersAlong: a repeated request does not bring back what was
// erased.
func TestErasureTakesAnswersAlong(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	var made struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &made)
	key := header("Idempotency-Key", newKey())
	body := screeningBody(t)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/attestations", body, key), 201, nil)
	w.erased(ngo, "/api/v1/cases/"+made.ID)
	if got := w.call(ngo, "POST", "/api/v1/cases/"+made.ID+"/attestations", body, key); got.status != 404 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// open proves the holder's consent for a record, as a device does.
func (w *world) open(token string, printed cardAnswer, record string) {
	w.t.Helper()
	v := w.shown(printed.Digits, printed.Code)
	handle := hex.EncodeToString(v.Card.Handle[:])
	var challenge struct {
		Nonce   string
		Records []string
	}
	ask := func() {
		w.t.Helper()
		w.into(w.call(token, "POST", "/api/v1/openings/challenges", map[string]string{"card_handle": handle}), 201, &challenge)
		if len(challenge.Records) != 1 || challenge.Records[0] != record {
			w.t.Fatalf("got records %v", challenge.Records)
		}
	}
	ask()
	o := card.Opening{
		Nonce: challenge.Nonce, Device: w.deviceOf(w.agency["Embassy"]), Agency: w.agency["Embassy"], Record: record,
		Purpose: "confirm_identity", Parts: []string{"document", "pages"}, Minute: time.Now().Unix() / 60,
	}
	send := func(signature []byte) answer {
		return w.call(token, "POST", "/api/v1/openings", map[string]any{
			"nonce": o.Nonce, "device": o.Device, "record": o.Record, "card_handle": handle, "purpose": o.Purpose,
			"parts": o.Parts, "minute": o.Minute, "signature": base64.RawURLEncoding.EncodeToString(signature),
		})
	}
	if got := send(make([]byte, ed25519.SignatureSize)); got.status != http.StatusForbidden || got.code() != "opening.refused" {
		w.t.Errorf("unsigned: got %d %s", got.status, got.body)
	}
	if got := send(v.SignOpening(o)); got.status != http.StatusConflict || got.code() != "nonce_refused" {
		w.t.Errorf("used nonce: got %d %s", got.status, got.body)
	}
	ask()
	o.Nonce = challenge.Nonce
	w.into(send(v.SignOpening(o)), 201, nil)
}

// scan is a picture of a page.
func scan(t *testing.T) []byte {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, 120, 80))
	for i := range picture.Pix {
		picture.Pix[i] = color.Gray{Y: uint8(i % 251)}.Y
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLookUpBudget is hostile case 53: thirty questions a day for an officer, of forty that come
// at once.
func TestLookUpBudget(t *testing.T) {
	w := newWorld(t)
	officer := w.admit("Gate", "ImmigrationService", "THA", "officer")
	var wg sync.WaitGroup
	var received, refused atomic.Int32
	for range 40 {
		wg.Go(func() {
			got := w.call(officer, "POST", "/api/v1/look-ups", map[string]string{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": personNumber, "birth_date": "95<<<<"})
			switch {
			case got.status == 202:
				received.Add(1)
			case got.status == 429 && got.code() == "budget_exceeded":
				refused.Add(1)
			default:
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if received.Load() != 30 || refused.Load() != 10 {
		t.Errorf("got %d answers and %d refusals, want 30 and 10", received.Load(), refused.Load())
	}
}
