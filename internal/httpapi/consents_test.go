package httpapi_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// slip is number and code of a card, as its holder has them, and what a device has that
// has read it with the code.
type slip struct {
	number, code string
	read         verifier.Verdict
}

// held are the number and code of a case's holder. A card is made for her the first time,
// unless the test has said which one she has.
func (w *world) held(caseID string) slip {
	w.t.Helper()
	if s, ok := w.slips[caseID]; ok {
		return s
	}
	_, keeper, err := w.cfg.Vault.Keeper(w.t.Context(), caseID)
	if err != nil {
		return slip{} // there is nobody
	}
	made, err := w.cfg.Issuer.IssueCard(w.t.Context(), audit.Actor{ID: randomID(), Agency: keeper, Role: "supervisor"},
		credentials.CardOrder{Case: caseID, Name: private.New("MADE UP"), RequestKey: newKey(), Supervised: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.slips[caseID] = slip{number: made.Number, code: made.Code.Reveal()}
	return w.slips[caseID]
}

// grantTo is a yes to everything, for an agency.
func grantTo(agency string) map[string]any {
	return map[string]any{
		"agency": agency, "purpose": "confirm_identity", "parts": vault.Parts, "until": claims.NewDay(time.Now()).Add(30),
		"language": "am", "circumstance": "free", "mission": true, "safe_if_state_knows": "yes",
	}
}

// recordedBody is what a worker heard without a card.
var recordedBody = map[string]any{"language": "am", "circumstance": "free", "method": "signature", "mission": true, "safe_if_state_knows": "yes"}

// caller sends a request as somebody.
type caller func(method, path string, body any, edit ...func(*http.Request)) answer

func (w *world) with(token string) caller {
	return func(method, path string, body any, edit ...func(*http.Request)) answer {
		w.t.Helper()
		return w.call(token, method, path, body, edit...)
	}
}

// questionOf is what is asked of the holder for an order.
func questionOf(record string, order map[string]any) map[string]any {
	q := map[string]any{"record": record[strings.LastIndexByte(record, '/')+1:]}
	for _, member := range []string{"agency", "purpose", "parts", "readings", "until", "language", "circumstance"} {
		if v, there := order[member]; there {
			q[member] = v
		}
	}
	return q
}

// unasked is an order that nobody was asked about.
func unasked(order map[string]any) map[string]any {
	order["nonce"], order["text_sha256"] = strings.Repeat("A", 22), strings.Repeat("0", 64)
	order["proof"] = map[string]string{"number": "123456789012", "code": "1234567890"}
	return order
}

// consents has a record shared by number and code of its holder: she is read the text, and
// gives them. Where others have to agree, the answer is 202.
func (w *world) consents(ask caller, record string, order map[string]any) answer {
	w.t.Helper()
	if got := w.reads(ask, record, order); got.status != http.StatusCreated {
		return got
	}
	return ask("POST", record+"/grants", order)
}

// reads has the holder read the text about an order, and puts what she gives into it.
func (w *world) reads(ask caller, record string, order map[string]any) answer {
	w.t.Helper()
	id := record[strings.LastIndexByte(record, '/')+1:]
	caseID, _, err := w.cfg.Vault.Keeper(w.t.Context(), id)
	if err != nil {
		caseID = id
	}
	var q struct {
		Nonce string
		Text  string `json:"text_sha256"`
	}
	got := ask("POST", "/api/v1/cases/"+caseID+"/consents/challenges", questionOf(record, order))
	if got.status != http.StatusCreated {
		return got
	}
	w.into(got, 201, &q)
	order["nonce"], order["text_sha256"], order["proof"] = q.Nonce, q.Text, w.proof(caseID, id, q.Nonce, q.Text, order)
	return got
}

// proof is what shows that a holder agrees to an order: what a device signs that has read
// her card, or number and code.
func (w *world) proof(caseID, record, nonce, text string, order map[string]any) map[string]any {
	w.t.Helper()
	s := w.held(caseID)
	if s.read.Card == nil {
		return map[string]any{"number": s.number, "code": s.code}
	}
	_, keeper, err := w.cfg.Vault.Keeper(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	c := card.Consent{Nonce: nonce, Keeper: keeper, Record: record, Minute: time.Now().Unix() / 60}
	encoded, _ := json.Marshal(order)
	var said struct {
		Agency, Purpose, Until string
		Parts                  []string
		Readings               int
	}
	if err := json.Unmarshal(encoded, &said); err != nil {
		w.t.Fatal(err)
	}
	c.Agency, c.Purpose, c.Until, c.Parts, c.Readings = said.Agency, said.Purpose, said.Until, said.Parts, said.Readings
	_, _ = hex.Decode(c.Text[:], []byte(text))
	return map[string]any{
		"card_handle": fmt.Sprintf("%x", s.read.Card.Handle), "device": w.deviceOf(keeper), "minute": c.Minute,
		"signature": base64.RawURLEncoding.EncodeToString(s.read.SignConsent(c)),
	}
}

// shares is consents until the record is shared: two people of the agency agree, where
// they have to.
func (w *world) shares(token, record string, order map[string]any) answer {
	w.t.Helper()
	got := w.consents(w.with(token), record, order)
	if got.status != http.StatusAccepted {
		return got
	}
	w.touched(got, w.of(token), people.Caseworker, people.Supervisor)
	return w.granted(token, record, order["agency"])
}

// granted is the answer that says that a record is shared.
func (w *world) granted(token, record string, agency any) answer {
	w.t.Helper()
	id := record[strings.LastIndexByte(record, '/')+1:]
	caseID, _, err := w.cfg.Vault.Keeper(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var c struct {
		Grants []map[string]any
	}
	w.into(w.call(token, "GET", "/api/v1/cases/"+caseID, nil), 200, &c)
	for _, g := range c.Grants {
		if g["record"] == id && g["agency"] == agency {
			body, _ := json.Marshal(g)
			return answer{status: http.StatusCreated, body: body}
		}
	}
	w.t.Fatal("nothing was shared")
	return answer{}
}

// desk is an agency that keeps the case of somebody from UTO, and others who would like to
// see it.
type desk struct {
	*world
	ngo, at, document string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{world: newWorld(t, func(c *httpapi.Config) { c.Rate = 1e6 })}
	d.ngo = d.admit("Lotus", "NGO", "KHM", "supervisor")
	d.admit("Bridge", "NGO", "THA", "caseworker")
	d.admit("Police", "LawEnforcement", "UTO", "officer")
	d.admit("Ministry", "CentralGovernmentOrganisation", "UTO", "caseworker")
	d.admit("Embassy", "x_DiplomaticMission", "UTO", "mission")
	d.at, d.document = d.keeps(d.ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	return d
}

func (d *desk) wants(what string, got answer, status int, code string) {
	d.t.Helper()
	if got.status != status || got.code() != code {
		d.t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, code)
	}
}

// states is what the holder's agency lists of what she said, by kind and state.
func (d *desk) states(query string) (all []string) {
	d.t.Helper()
	var list struct {
		Consents []struct{ Kind, State string }
	}
	d.into(d.call(d.ngo, "GET", d.at+"/consents"+query, nil), 200, &list)
	for _, c := range list.Consents {
		all = append(all, c.Kind+" "+c.State)
	}
	return all
}

// TestConsentIsHers is of hostile case 83: what she agrees to for another agency is what she
// was read, once, and is hers by her code alone.
func TestConsentIsHers(t *testing.T) {
	d := newDesk(t)
	mine := d.held(idIn(d.at))
	elsewhere, _ := d.keeps(d.ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	neighbour := d.held(idIn(elsewhere))
	colleague := d.person(d.agency["Lotus"], people.Supervisor)
	for _, one := range []struct {
		what   string
		edit   func(order map[string]any)
		by     caller
		status int
		code   string
	}{
		{"another code", func(o map[string]any) {
			o["proof"] = map[string]string{"number": mine.number, "code": neighbour.code}
		}, nil, 403, "code_refused"},
		{"another's card", func(o map[string]any) {
			o["proof"] = map[string]string{"number": neighbour.number, "code": neighbour.code}
		}, nil, 403, "code_refused"},
		{"no proof", func(o map[string]any) { o["proof"] = map[string]string{} }, nil, 400, "invalid_request"},
		{"two proofs", func(o map[string]any) {
			o["proof"] = map[string]any{"number": mine.number, "code": mine.code, "minute": 1}
		}, nil, 400, "invalid_request"},
		{"another purpose than she was asked", func(o map[string]any) { o["purpose"] = "shelter" }, nil, 409, "text_changed"},
		{"one part more", func(o map[string]any) { o["parts"] = vault.Parts }, nil, 409, "text_changed"},
		{"a day more", func(o map[string]any) { o["until"] = claims.NewDay(time.Now()).Add(31) }, nil, 409, "text_changed"},
		{"another agency", func(o map[string]any) { o["agency"] = d.agency["Police"] }, nil, 409, "text_changed"},
		{"another text", func(o map[string]any) { o["text_sha256"] = strings.Repeat("0", 64) }, nil, 409, "text_changed"},
		{"how she is, otherwise", func(o map[string]any) { o["circumstance"], o["until"] = "detained", claims.NewDay(time.Now()).Add(5) }, nil, 409, "text_changed"},
		{"a nonce that nobody was given", func(o map[string]any) { o["nonce"] = strings.Repeat("A", 22) }, nil, 409, "nonce_refused"},
		{"by a colleague, with the nonce of another", nil, colleague.call, 409, "nonce_refused"},
	} {
		order := grantTo(d.agency["Bridge"])
		order["parts"] = []string{"document"}
		d.into(d.reads(d.with(d.ngo), d.document, order), 201, nil)
		if one.edit != nil {
			one.edit(order)
		}
		by := one.by
		if by == nil {
			by = d.with(d.ngo)
		}
		d.wants(one.what, by("POST", d.document+"/grants", order), one.status, one.code)
	}
	order := grantTo(d.agency["Bridge"])
	d.into(d.reads(d.with(d.ngo), d.document, order), 201, nil)
	d.wants("the case, by what she was asked of a document", d.call(d.ngo, "POST", d.at+"/grants", order), 409, "nonce_refused")
	d.into(d.reads(d.with(d.ngo), d.document, order), 201, nil)
	d.into(d.call(d.ngo, "POST", d.document+"/grants", order), 201, nil)
	d.wants("once more", d.call(d.ngo, "POST", d.document+"/grants", order), 409, "nonce_refused")
	if got := d.states("?all=true"); len(got) != 1 {
		t.Errorf("she said %v", got)
	}
}

// TestOwnStateTakesThree is hostile case 83: her own state, of whatever class, is told
// nothing with no, not asked, not sure, on one person's word, or while she is held by one
// agency's; and with her code, the question and a second person it is.
func TestOwnStateTakesThree(t *testing.T) {
	d := newDesk(t)
	d.admit("River", "NGO", "THA", "caseworker")
	lotus, river := d.agency["Lotus"], d.agency["River"]
	worker, boss := d.person(lotus, people.Caseworker), d.person(lotus, people.Supervisor)
	other := d.person(river, people.Caseworker)
	for _, with := range []string{"Police", "Ministry", "Embassy"} {
		ask := func(edit func(o map[string]any)) answer {
			order := grantTo(d.agency[with])
			order["until"] = claims.NewDay(time.Now()).Add(10)
			edit(order)
			return d.consents(d.with(d.ngo), d.document, order)
		}
		d.wants(with+", not asked", ask(func(o map[string]any) { delete(o, "safe_if_state_knows") }), 422, "input_refused")
		d.wants(with+", she does not want it", ask(func(o map[string]any) { o["mission"] = false }), 422, "consent_missing")
		d.wants(with+", held, one agency", ask(func(o map[string]any) { o["circumstance"] = "detained" }), 422, "input_refused")
		d.wants(with+", held, for a month", ask(func(o map[string]any) {
			o["circumstance"], o["second_agency"], o["until"] = "detained", river, claims.NewDay(time.Now()).Add(30)
		}), 422, "input_refused")
		d.wants(with+", held, and its own state beside it", ask(func(o map[string]any) {
			o["circumstance"], o["second_agency"] = "detained", lotus
		}), 409, "state_conflict")
		shared := func() bool {
			t.Helper()
			return strings.Contains(string(d.call(d.ngo, "GET", d.at, nil).body), d.agency[with])
		}

		var waits asked
		d.into(ask(func(map[string]any) {}), 202, &waits)
		if waits.Request.Do != "record.share" || shared() {
			t.Errorf("%s: %s, before anybody has agreed", with, waits.Request.Do)
		}
		boss.agreed(waits.Request, "waits")
		if shared() {
			t.Errorf("%s is shared what one has agreed to", with)
		}
		worker.agreed(waits.Request, "done")
		if !shared() {
			t.Errorf("%s is not shared what two have agreed to", with)
		}
		d.into(d.call(d.ngo, "DELETE", d.document+"/grants/"+d.agency[with], nil), 204, nil)
		if got := boss.call("GET", "/api/v1/requests/"+waits.Request.ID, nil); got.status != 200 || shared() {
			t.Errorf("%s is shared again by what was agreed to: %s", with, got.body)
		}

		d.into(ask(func(o map[string]any) { o["circumstance"], o["second_agency"] = "detained", river }), 202, &waits)
		boss.agreed(waits.Request, "waits")
		if got := worker.call("GET", "/api/v1/requests/"+waits.Request.ID, nil); strings.Contains(string(got.body), `"mine":true`) {
			t.Errorf("%s: a second one of the same agency counts: %s", with, got.body)
		}
		other.agreed(waits.Request, "done")
		if !shared() {
			t.Errorf("%s is not shared what two of two agencies have agreed to", with)
		}
		d.into(d.call(d.ngo, "DELETE", d.document+"/grants/"+d.agency[with], nil), 204, nil)
	}
	for _, with := range []string{"Police", "Ministry", "Embassy"} {
		for _, says := range []string{"no", "unsure", "yes"} { // a yes of the day of her no, too
			order := grantTo(d.agency[with])
			order["safe_if_state_knows"] = says
			d.wants(with+", "+says, d.consents(d.with(d.ngo), d.document, order), 422, "consent_missing")
		}
	}
}

// TestNewestWordEnds: what she signs or says now counts over what she granted before, with
// the next request; taking back takes no code; and everything that she said is listed.
func TestNewestWordEnds(t *testing.T) {
	d := newDesk(t)
	bridge := d.tokens["Bridge caseworker"]
	reads := func(what string, status int) {
		t.Helper()
		if got := d.call(bridge, "GET", d.document, nil); got.status != status {
			t.Errorf("%s: %d %s, want %d", what, got.status, got.body, status)
		}
	}
	share := func() (grant struct{ Consent string }) {
		t.Helper()
		d.into(d.shares(d.ngo, d.document, grantTo(d.agency["Bridge"])), 201, &grant)
		return grant
	}
	again := func(got answer, status int) bool {
		t.Helper()
		var said struct {
			Again bool `json:"print_again"`
		}
		d.into(got, status, &said)
		return said.Again
	}
	first := share()
	reads("shared, and not opened", 403)
	if again(d.call(d.ngo, "DELETE", d.at+"/consents/"+first.Consent, nil), 200) {
		t.Error("a card that says nothing is to be printed again")
	}
	reads("taken back", 404)
	d.wants("taken back twice", d.call(d.ngo, "DELETE", d.at+"/consents/"+first.Consent, nil), 404, "not_found")
	share()
	share() // which replaces it
	if got := d.states("?all=true"); !slices.Equal(got, []string{"grant taken_back", "grant replaced", "grant in_force"}) && len(got) != 3 {
		t.Errorf("she said %v", got)
	}
	if got := d.states(""); !slices.Equal(got, []string{"grant in_force"}) {
		t.Errorf("in force: %v", got)
	}
	reads("shared again", 403)
	s := screening()
	s.Consent.ShareScope = []string{"police"}
	d.into(d.call(d.ngo, "POST", d.at+"/attestations", orderOf(t, s)), 201, nil)
	reads("she signs that no NGO may", 404)
	d.wants("and her code of the same day lifts no no", d.shares(d.ngo, d.document, grantTo(d.agency["Bridge"])), 422, "consent_missing")

	d.at, d.document = d.keeps(d.ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	share()
	d.into(d.call(d.ngo, "POST", d.at+"/consents", recordedBody), 201, nil)
	reads("with what a worker heard beside it", 403)
	again(d.call(d.ngo, "POST", d.at+"/consents/none", nil), 201)
	reads("she takes everything back", 404)
	if got := d.states(""); !slices.Equal(got, []string{"none in_force"}) {
		t.Errorf("in force: %v", got)
	}
	d.wants("before another day", d.shares(d.ngo, d.document, grantTo(d.agency["Bridge"])), 422, "consent_missing")
	d.into(d.call(d.ngo, "POST", d.at+"/consents", recordedBody), 201, nil)
	d.wants("and what a worker heard lifts nothing", d.shares(d.ngo, d.document, grantTo(d.agency["Bridge"])), 422, "consent_missing")
}

// TestPrintAgain: a card says that a mission may be contacted while she allows it. Then it
// is to be printed again, and whoever checks it online is not told.
func TestPrintAgain(t *testing.T) {
	d := newDesk(t)
	d.into(d.call(d.ngo, "POST", d.at+"/attestations", orderOf(t, &claims.IdentityClaim{
		Names:       []claims.Name{{Script: "Latn", Full: private.New(personName), Type: "used"}},
		Citizenship: []string{"UTO"}, Assurance: "self_asserted", ClaimStatus: "open",
	})), 201, nil)
	order := map[string]any{"name": personName, "nationality": "UTO", "mission_may_be_contacted": true}
	d.wants("before she said anything", d.call(d.ngo, "POST", d.at+"/cards", order), 422, "input_refused")
	d.into(d.call(d.ngo, "POST", d.at+"/consents", recordedBody), 201, nil)
	var printed cardAnswer
	d.into(d.call(d.ngo, "POST", d.at+"/cards", order), 201, &printed)
	d.into(d.call(d.operator, "POST", "/api/v1/publications", nil), 201, nil)
	told := func() bool {
		t.Helper()
		got := d.call(d.ngo, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": printed.Code})
		d.into(got, 200, nil)
		return strings.Contains(string(got.body), `"mission_may_be_contacted":true`)
	}
	says := func(mission bool) (again bool) {
		t.Helper()
		body := maps.Clone(recordedBody)
		body["mission"] = mission
		var said struct {
			Again bool `json:"print_again"`
		}
		d.into(d.call(d.ngo, "POST", d.at+"/consents", body), 201, &said)
		return said.Again
	}
	if !told() || says(true) {
		t.Error("she allows it, and the card says so")
	}
	if !says(false) || told() {
		t.Error("she does not allow it any more")
	}
	var history struct{ Entries []struct{ Kind string } }
	d.into(d.call(d.ngo, "GET", d.at+"/history", nil), 200, &history)
	if !slices.ContainsFunc(history.Entries, func(e struct{ Kind string }) bool { return e.Kind == "card.print_again" }) {
		t.Error("her history does not say it")
	}
}
