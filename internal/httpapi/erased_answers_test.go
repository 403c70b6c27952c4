package httpapi_test

import (
	"bytes"
	"net/http"
	"regexp"

	"testing"

	"github.com/safeconduct/safeconduct/claims"
	contract "github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
)

// TestOtherKindIsUnknown: an id of another kind than the path says is answered
// as an id that never was, in every operation whose path names one, and does
// nothing: who may change cards does not resume a finding that was paused.
func TestOtherKindIsUnknown(t *testing.T) {
	f := newFile(t)
	record := map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"}
	document := f.document[len("/api/v1/documents/"):]
	f.into(f.call(f.keeper, "POST", "/api/v1/attestations/"+f.screening+"/status", `{"action":"pause","reason":"safety"}`), 200, nil)
	shared := f.readers[2].agency
	for _, op := range []struct {
		method, before, after string
		body                  any
		others                []string
	}{
		{"POST", "cards", "/status", `{"action":"resume","reason":"other"}`, []string{f.screening, f.id, document}},
		{"POST", "cards", "/status", `{"action":"withdraw","reason":"other"}`, []string{f.screening, f.id, document}},
		{"POST", "attestations", "/status", `{"action":"pause","reason":"other"}`, []string{f.card, f.id, document}},
		{"GET", "attestations", "", nil, []string{f.card, f.id, document}},
		{"POST", "attestations", "/contest", `{"reason":"other"}`, []string{f.card, f.id, document}},
		{"DELETE", "attestations", "/contest", nil, []string{f.card, f.id, document}},
		{"GET", "documents", "", nil, []string{f.id, f.card, f.screening}},
		{"GET", "documents", "/pages/1", nil, []string{f.id, f.card, f.screening}},
		{"POST", "documents", "/pages?role=data", scan(t), []string{f.id, f.card, f.screening}},
		{"PUT", "documents", "", record, []string{f.id, f.card, f.screening}},
		{"DELETE", "documents", "/grants/" + shared, nil, []string{f.id, f.card, f.screening}},
		{"GET", "cases", "", nil, []string{document, f.card, f.screening}},
		{"GET", "cases", "/history", nil, []string{document, f.card, f.screening}},
		{"GET", "cases", "/attestations", nil, []string{document, f.card, f.screening}},
		{"PUT", "cases", "/findable", `{"findable":true}`, []string{document, f.card, f.screening}},
		{"POST", "cases", "/documents", record, []string{document, f.card, f.screening}},
		{"POST", "cases", "/copies", map[string]string{"number": f.number, "code": f.code, "passphrase": "four words or more"}, []string{document, f.card, f.screening}},
		{"POST", "cases", "/cards", `{"name":"SITI"}`, []string{document, f.card, f.screening}},
		{"POST", "cases", "/attestations", screeningBody(t), []string{document, f.card, f.screening}},
		{"DELETE", "cases", "/grants/" + shared, nil, []string{document, f.card, f.screening}},
		{"GET", "cases", "/consents", nil, []string{document, f.card, f.screening}},
		{"POST", "cases", "/consents", recordedBody, []string{document, f.card, f.screening}},
		{"POST", "cases", "/consents/challenges", questionOf(f.id, grantTo(f.spare)), []string{document, f.card, f.screening}},
		{"POST", "cases", "/consents/none", nil, []string{document, f.card, f.screening}},
		{"DELETE", "cases", "", nil, []string{document, f.card, f.screening}},
	} {
		for _, other := range op.others {
			got := f.call(f.keeper, op.method, "/api/v1/"+op.before+"/"+other+op.after, op.body, mediaOf(op.body, op.method))
			if got.status != http.StatusNotFound || got.code() != "not_found" {
				t.Errorf("%s %s/…%s: %d %s", op.method, op.before, op.after, got.status, got.body)
			}
		}
	}
	for at, other := range map[string]string{"/api/v1/documents/": f.id, "/api/v1/cases/": document} {
		if got := f.share(f.keeper, at+other, f.spare); got.status != http.StatusNotFound {
			t.Errorf("share under %s: %d %s", at, got.status, got.body)
		}
	}
	var kept struct{ State string }
	f.into(f.call(f.keeper, "GET", "/api/v1/attestations/"+f.screening, nil), 200, &kept)
	if kept.State != "paused" {
		t.Errorf("the finding is %s, want paused", kept.State)
	}
}

// mediaOf says what a body of a test is, and which version of a document it is for.
func mediaOf(body any, method string) func(*http.Request) {
	return func(r *http.Request) {
		if _, picture := body.([]byte); picture {
			r.Header.Set("Content-Type", "image/png")
		}
		if method == http.MethodPut {
			r.Header.Set("If-Match", `"v1"`)
		}
	}
}

// TestOutOfUseIsUnknown: to answer what is out of use is a conflict only to who
// may know of it. The card comes last: what was opened with it is not open any more.
func TestOutOfUseIsUnknown(t *testing.T) {
	f := newFile(t)
	for _, one := range []struct{ about, status string }{
		{f.screening, "/api/v1/attestations/" + f.screening}, {f.card, "/api/v1/cards/" + f.card},
	} {
		f.into(f.call(f.keeper, "POST", one.status+"/status", `{"action":"withdraw","reason":"other"}`), 200, nil)
		for _, r := range f.readers {
			f.outOfUse(r, one.about, r.keeps()) // with her screening goes what she agreed to in it
		}
	}
}

// outOfUse has somebody answer what is out of use, which is a conflict to who knows of it
// and what never was to everybody else.
func (f *file) outOfUse(r reader, about string, knows bool) {
	f.t.Helper()
	for _, kind := range []claims.Kind{claims.KindOpinion, claims.KindReliance, claims.KindReply} {
		body := f.order(kind)
		ask := func(id string) answer {
			body["about"] = id
			return f.call(r.token, "POST", "/api/v1/attestations", body)
		}
		got, unknown := ask(about), ask(randomID())
		switch {
		case unknown.status != http.StatusNotFound: // not for this role
		case knows && got.code() != "state_conflict":
			f.t.Errorf("%s by a %s to whom it is %s: %d %s", kind, r.role, r.relation, got.status, got.body)
		case !knows && (got.status != unknown.status || !bytes.Equal(got.body, unknown.body)):
			f.t.Errorf("%s by a %s to whom it is %s: %d %s, want as for an unknown id", kind, r.role, r.relation, got.status, got.body)
		}
	}
}

// TestAnswersAreErased: no answer that was kept for a repeated request outlives
// the case that it tells about. Every POST that keeps one is here, or has none
// to tell about.
func TestAnswersAreErased(t *testing.T) {
	f := newFile(t)
	var opened reader
	for _, r := range f.readers {
		if r.relation == people.Opened && r.role == people.Officer {
			opened = r
		}
	}
	grants := map[string]map[string]any{f.document: grantTo(f.spare), f.at: grantTo(f.spare)}
	for record, order := range grants {
		f.into(f.reads(f.with(f.keeper), record, order), 201, nil)
	}
	opinion := f.order(claims.KindOpinion)
	opinion["about"] = f.screening
	handle := map[string]string{"card_handle": f.seen.Card.Handle}
	asks := []struct {
		name, token, path string
		body              any
	}{
		{"attest", f.keeper, f.at + "/attestations", screeningBody(t)},
		{"issueCard", f.keeper, f.at + "/cards", `{"name":"SITI"}`},
		{"copyCase", f.keeper, f.at + "/copies", map[string]string{"number": f.number, "code": f.code, "passphrase": "four words or more"}},
		{"attendCase", f.keeper, "/api/v1/cases/attendances", map[string]string{"number": f.number, "code": f.code}},
		{"askConsent", f.keeper, f.at + "/consents/challenges", questionOf(f.at, grantTo(f.spare))},
		{"recordConsent", f.keeper, f.at + "/consents", recordedBody},
		{"addDocument", f.keeper, f.at + "/documents", map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"}},
		{"answer", f.keeper, "/api/v1/attestations", opinion},
		{"addPage", f.keeper, f.document + "/pages?role=data", scan(t)},
		{"shareDocument", f.keeper, f.document + "/grants", grants[f.document]},
		{"shareCase", f.keeper, f.at + "/grants", grants[f.at]},
		{"openRecord", opened.token, "/api/v1/openings", f.opening(opened, f.id, vault.PartAttestations)},
		{"openByCode", opened.token, "/api/v1/openings/by-code", f.byCode(opened, f.id, vault.PartAttestations)},
		{"challengeOpening", opened.token, "/api/v1/openings/challenges", handle},
		{"takeBackConsents", f.keeper, f.at + "/consents/none", nil},
		{"changeAttestation", f.keeper, "/api/v1/attestations/" + f.screening + "/status", `{"action":"withdraw","reason":"other"}`},
		{"contest", f.keeper, "/api/v1/attestations/" + f.reply + "/contest", `{"reason":"holder_disagrees"}`},
		{"changeCard", f.keeper, "/api/v1/cards/" + f.card + "/status", `{"action":"withdraw","reason":"other"}`},
	}
	keys := map[string]string{}
	repeat := func(i int) answer {
		ask := asks[i]
		return f.call(ask.token, "POST", ask.path, ask.body, mediaOf(ask.body, "POST"), header("Idempotency-Key", keys[ask.name]))
	}
	for i, ask := range asks {
		keys[ask.name] = newKey()
		if got := repeat(i); got.status >= 300 {
			t.Fatalf("%s: %d %s", ask.name, got.status, got.body)
		}
	}
	for i, ask := range asks { // told again, or that it was told
		if got := repeat(i); got.status >= 300 && got.status != http.StatusConflict {
			t.Fatalf("%s again: %d %s", ask.name, got.status, got.body)
		}
	}
	f.erased(f.keeper, f.at)
	for i, ask := range asks {
		// What names no case is answered as anything that is no card's number and code.
		if got := repeat(i); got.status != http.StatusNotFound && got.code() != "code_refused" {
			t.Errorf("%s after erasure: %d %s", ask.name, got.status, got.body)
		}
	}

	tried := map[string]bool{
		"openCase": true, // below
		"lookUp":   true, // its answer is the same for everybody
		"openLeft": true, // it says until when, and who is signed in takes it: TestLeft
		// These tell about no case.
		"admitAgency": true, "changeAgency": true, "addMember": true, "inviteDevice": true, "approveDevice": true, "publish": true,
		"addPerson": true, "recoverPerson": true, "addProgram": true,
	}
	for _, ask := range asks {
		tried[ask.name] = true
	}
	var operation string
	for _, line := range regexp.MustCompile(`(operationId|x-replay): (\w+)\n`).FindAllSubmatch(contract.Contract, -1) {
		word := string(line[2])
		switch {
		case string(line[1]) == "operationId":
			operation = word
		case word != "none" && !tried[operation]:
			t.Errorf("%s keeps its answer, and nobody tried whether it is erased", operation)
		default:
			delete(tried, operation)
		}
	}
	for operation := range tried {
		t.Errorf("%s keeps no answer", operation)
	}

	// A case that was opened and erased is not told of; another one begins.
	key := header("Idempotency-Key", newKey())
	var first, second struct{ ID string }
	f.into(f.call(f.keeper, "POST", "/api/v1/cases", nil, key), 201, &first)
	f.erased(f.keeper, "/api/v1/cases/"+first.ID)
	f.into(f.call(f.keeper, "POST", "/api/v1/cases", nil, key), 201, &second)
	if first.ID == second.ID {
		t.Error("openCase told of an erased case")
	}
}
