package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/people"
)

// TestOneTouch: what somebody has signed in her agency's name is signed when she has
// agreed to it, with what shows that, and a program's at once with its token.
func TestOneTouch(t *testing.T) {
	w := newWorld(t)
	program := w.admit("Lotus", "NGO", "KHM", "caseworker")
	w.admit("Bridge", "NGO", "THA", "caseworker")
	worker, stranger := w.person(w.agency["Lotus"], people.Caseworker), w.person(w.agency["Bridge"], people.Caseworker)
	var begun struct{ ID string }
	w.into(worker.call("POST", "/api/v1/cases", nil), 201, &begun)
	at := "/api/v1/cases/" + begun.ID
	signed := func() (n int) {
		t.Helper()
		var list struct{ Attestations []struct{ ID string } }
		w.into(worker.call("GET", at+"/attestations", nil), 200, &list)
		return len(list.Attestations)
	}

	var out asked
	w.into(worker.call("POST", at+"/attestations", screeningBody(t)), 202, &out)
	if q := out.Request; q.Do != "attestation.issue" || q.People != 1 || !q.Mine || signed() != 0 {
		t.Errorf("asked: %s by %d, mine %v, %d signed", q.Do, q.People, q.Mine, signed())
	}
	if slices.ContainsFunc(out.Request.Lines, func(l struct{ At, Value string }) bool { return strings.HasPrefix(l.At, "order.") }) {
		t.Error("the answer that is kept says what the order says")
	}
	var read request
	w.into(worker.call("GET", "/api/v1/requests/"+out.Request.ID, nil), 200, &read)
	if !slices.ContainsFunc(read.Lines, func(l struct{ At, Value string }) bool { return l.At == "order.claims.trafficking_status" }) {
		t.Error("she does not see what she is to sign")
	}
	if got := stranger.call("GET", "/api/v1/requests/"+out.Request.ID, nil); got.status != http.StatusNotFound {
		t.Errorf("another agency reads it: %d", got.status)
	}
	screening := worker.agreed(out.Request, "done")
	if screening.Attestation == "" || signed() != 1 {
		t.Errorf("signed: %q, %d in all", screening.Attestation, signed())
	}
	if by := w.witness.saw(); len(by.Act) == 0 || len(by.Proofs) != 1 || len(by.Order) == 0 || !by.Token.IsZero() || by.Case != begun.ID {
		t.Error("what she agreed to did not go along to where it was signed")
	}

	var printed asked
	body := map[string]any{"name": personName, "nationality": "ETH", "attestation": screening.Attestation}
	w.into(worker.call("POST", at+"/cards", body), 202, &printed)
	made := worker.agreed(printed.Request, "done")
	if len(made.Card.Digits) != 667 || made.Card.Code == "" || len(made.Card.PNG) == 0 || made.CardID != made.Card.ID {
		t.Error("the card is not in the answer to her approval")
	}
	if by := w.witness.saw(); len(by.Act) == 0 || by.About.IsZero() || by.Case != begun.ID {
		t.Error("the screening of the card did not go along to where it was signed")
	}
	var later request
	w.into(worker.call("GET", "/api/v1/requests/"+printed.Request.ID, nil), 200, &later)
	if later.Card.Code != "" || later.CardID != made.CardID {
		t.Error("the code is shown twice, or the card is gone")
	}
	var v verdictAnswer
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	w.into(worker.call("POST", "/api/v1/verifications", map[string]string{"digits": made.Card.Digits, "code": made.Card.Code}), 200, &v)
	if v.State != "unconfirmed" {
		t.Errorf("the card is %s", v.State)
	}

	w.given(comer{browser: worker}, at, comer{token: program})
	w.into(w.call(program, "POST", at+"/attestations", screeningBody(t)), 201, nil)
	if by := w.witness.saw(); by.Token.Reveal() != program || len(by.Act) != 0 || by.Case != begun.ID {
		t.Error("the program's token did not go along to where it was signed")
	}
	w.into(w.call(program, "POST", at+"/cards", map[string]any{"name": personName}), 201, nil)
	if by := w.witness.saw(); by.Token.Reveal() != program || !by.About.IsZero() {
		t.Error("a plain card shows another thing than the program's token")
	}
}

// TestRepliesWait: an answer in a state's name is one of an officer of its embassy,
// whoever asks.
func TestRepliesWait(t *testing.T) {
	w := newWorld(t)
	ngo := w.admit("Lotus", "NGO", "KHM", "caseworker")
	mission := w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	w.admit("Other", "x_DiplomaticMission", "THA", "mission")
	var begun, screening struct{ ID string }
	w.into(w.call(ngo, "POST", "/api/v1/cases", nil), 201, &begun)
	w.into(w.call(ngo, "POST", "/api/v1/cases/"+begun.ID+"/attestations", screeningBody(t)), 201, &screening)
	reply := orderOf(t, &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(time.Now()), Channel: "account",
	})
	reply["about"] = screening.ID
	w.into(w.shares(ngo, "/api/v1/cases/"+begun.ID, grantTo(w.agency["Embassy"])), 201, nil)
	officer, other := w.person(w.agency["Embassy"], people.Mission), w.person(w.agency["Other"], people.Mission)
	for name, ask := range map[string]func() answer{
		"a program":  func() answer { return w.call(mission, "POST", "/api/v1/attestations", reply) },
		"an officer": func() answer { return officer.call("POST", "/api/v1/attestations", reply) },
	} {
		var out asked
		w.into(ask(), 202, &out)
		if got := other.call("GET", "/api/v1/requests/"+out.Request.ID, nil); got.status != http.StatusNotFound {
			t.Errorf("%s asks, and another embassy reads it: %d", name, got.status)
		}
		if got := officer.agreed(out.Request, "done"); got.Attestation == "" {
			t.Errorf("%s asks, and nothing is signed", name)
		}
	}
}

// TestNothingIsBackByOne: what was paused is in use again when two have agreed, one of
// whom answers for the agency.
func TestNothingIsBackByOne(t *testing.T) {
	w := newWorld(t)
	program := w.admit("Lotus", "NGO", "KHM", "supervisor")
	worker, boss := w.person(w.agency["Lotus"], people.Caseworker), w.person(w.agency["Lotus"], people.Supervisor)
	var begun, screening struct{ ID string }
	var printed cardAnswer
	w.into(w.call(program, "POST", "/api/v1/cases", nil), 201, &begun)
	at := "/api/v1/cases/" + begun.ID
	w.given(comer{token: program}, at, comer{browser: worker})
	w.into(w.call(program, "POST", at+"/attestations", screeningBody(t)), 201, &screening)
	w.into(w.call(program, "POST", at+"/cards", map[string]any{"name": personName, "attestation": screening.ID}), 201, &printed)
	state := func() string {
		t.Helper()
		var a struct{ State string }
		w.into(worker.call("GET", "/api/v1/attestations/"+screening.ID, nil), 200, &a)
		return a.State
	}
	resume := map[string]string{"action": "resume", "reason": "other"}
	for _, path := range []string{"/api/v1/cards/" + printed.ID, "/api/v1/attestations/" + screening.ID} {
		w.into(w.call(program, "POST", path+"/status", map[string]string{"action": "pause", "reason": "safety"}), 200, nil)
		var out asked
		w.into(w.call(program, "POST", path+"/status", resume), 202, &out)
		worker.agreed(out.Request, "waits")
		boss.agreed(out.Request, "done")
		if got := w.call(program, "POST", path+"/status", resume); got.status != http.StatusConflict {
			t.Errorf("resumed twice: %d %s", got.status, got.body)
		}
	}
	if got := state(); got != "active" {
		t.Errorf("it is %s", got)
	}
	if got := worker.call("POST", "/api/v1/attestations/"+screening.ID+"/status", resume); got.status != http.StatusForbidden {
		t.Errorf("who may not change findings asks: %d", got.status)
	}
}

// TestErasedWaitsForNobody: a request whose case is gone is not listed, and does not
// hinder the others.
func TestErasedWaitsForNobody(t *testing.T) {
	w := newWorld(t)
	program := w.admit("Lotus", "NGO", "KHM", "supervisor")
	worker := w.person(w.agency["Lotus"], people.Caseworker)
	var asks []asked
	for range 2 {
		var begun struct{ ID string }
		w.into(worker.call("POST", "/api/v1/cases", nil), 201, &begun)
		var out asked
		w.into(worker.call("POST", "/api/v1/cases/"+begun.ID+"/attestations", screeningBody(t)), 202, &out)
		out.ID = begun.ID
		asks = append(asks, out)
	}
	w.erased(program, "/api/v1/cases/"+asks[0].ID)
	var list struct{ Requests []request }
	w.into(worker.call("GET", "/api/v1/requests", nil), 200, &list)
	if len(list.Requests) != 1 || list.Requests[0].ID != asks[1].Request.ID {
		t.Errorf("%d requests, want the one of the case that is there", len(list.Requests))
	}
	if got := worker.call("GET", "/api/v1/requests/"+asks[0].Request.ID, nil); got.status != http.StatusNotFound {
		t.Errorf("the other: %d %s", got.status, got.body)
	}
}
